"""What every conic solver answers, whatever its own words: numbers, an ending, and their errors."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.conic.verdict import RelativeErrors, relative_errors, terms_of_rows


class Termination(enum.Enum):
    """How a conic solver ended."""

    SOLVED = "solved"
    ALMOST_SOLVED = "almost solved"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    INFEASIBLE_OR_UNBOUNDED = "infeasible or unbounded"
    ITERATION_LIMIT = "iteration limit"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    STALLED = "no more progress"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class ConicSolution:
    """A solver's answer to a conic form, in the units of the statement.

    Attributes
    ----------
    form : ConicForm
        What was solved.
    x : (n,) array
        The point; for an unbounded problem a direction of recession.
    s, z : (k,) arrays
        Slacks b − Ax and multipliers, both in the rows' own units; for an infeasible problem z is
        a certificate (A'z = 0, b'z < 0, z in the dual cone).
    status : str
        The solver's own words.
    objective, dual_objective : float
        Of the statement, not of its scaled form.
    setup_time, solve_time : float
        Seconds.
    updated : bool
        Whether the solver started from what it had kept of an earlier form.
    resolution : float
        What the solver cannot tell from zero, in the scale of its form.
    """

    form: ConicForm = field(repr=False)
    x: FloatArray
    s: FloatArray
    z: FloatArray
    status: str
    termination: Termination
    objective: float
    dual_objective: float
    iterations: int
    setup_time: float
    solve_time: float
    updated: bool = False
    resolution: float = 1e-6

    @cached_property
    def errors(self) -> RelativeErrors:
        """By how much the answer misses the optimality conditions, in the scale of its form."""
        x, s, z = self.scaled_point, self.scaled_slacks, self.scaled_multipliers
        return relative_errors(self.form, x, s, z, self.resolution)

    @cached_property
    def terms(self) -> FloatArray:
        """The sizes of what adds up in the rows of the form, variables being 1 at least."""
        return terms_of_rows(self.form, np.maximum(np.abs(self.scaled_point), 1.0))

    @property
    def scaled_point(self) -> FloatArray:
        """The point in the variables of the form."""
        return self.x / self.form.column_scale

    @property
    def scaled_slacks(self) -> FloatArray:
        """The slacks in the rows of the form."""
        return self.s * self.form.row_scale

    @property
    def scaled_multipliers(self) -> FloatArray:
        """The multipliers of the rows and the objective of the form."""
        return self.z / self.form.row_scale * self.form.objective_scale


def same_pattern(a: ConicForm, b: ConicForm) -> bool:
    """Whether two forms differ in numbers only."""
    return (
        a.cones == b.cones
        and a.A.shape == b.A.shape
        and (a.P is None) == (b.P is None)
        and _same_places(a.A, b.A)
        and (a.P is None or b.P is None or _same_places(a.P, b.P))
    )


def _same_places(a: sp.csc_matrix, b: sp.csc_matrix) -> bool:
    return (a.indices is b.indices or np.array_equal(a.indices, b.indices)) and np.array_equal(
        a.indptr, b.indptr
    )
