"""What every conic solver answers, whatever its own words: numbers, an ending, and their errors."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.forms.conic import ConicForm

FloatArray = NDArray[np.float64]


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


class RelativeErrors(NamedTuple):
    """Largest residuals of the optimality conditions, relative to the numbers in them."""

    primal: float
    dual: float
    gap: float


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

    @cached_property
    def errors(self) -> RelativeErrors:
        """By how much the answer misses the optimality conditions, computed when it is asked."""
        return relative_errors(self.form, self)


def scaled_slacks(solution: ConicSolution) -> FloatArray:
    """The slacks as the solver saw them, in rows of magnitude one."""
    return solution.s * solution.form.row_scale


def scaled_multipliers(solution: ConicSolution) -> FloatArray:
    """The multipliers as the solver saw them, of rows and an objective of magnitude one."""
    return solution.z / solution.form.row_scale * solution.form.objective_scale


def relative_errors(form: ConicForm, solution: ConicSolution) -> RelativeErrors:
    """‖Ax + s − b‖, ‖Px + A'z + q‖ and the duality gap, from the data of the scaled form.

    Each is divided by the largest of the terms in it and 1; s and z are in their cones.
    """
    x = solution.x / form.column_scale
    s, z = scaled_slacks(solution), scaled_multipliers(solution)
    Px = np.zeros_like(x)
    if form.P is not None:
        Px = form.P @ x + form.P.T @ x - form.P.diagonal() * x
    primal = np.stack([form.A @ x, s, -form.b])
    dual = np.stack([Px, form.A.T @ z, form.q])
    quadratic = 0.5 * float(x @ Px)
    values = quadratic + float(form.q @ x), -quadratic - float(form.b @ z)
    return RelativeErrors(
        primal=_largest(primal.sum(axis=0)) / max(1.0, _largest(primal)),
        dual=_largest(dual.sum(axis=0)) / max(1.0, _largest(dual)),
        gap=abs(values[0] - values[1]) / max(1.0, min(map(abs, values))),
    )


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


def _largest(array: FloatArray) -> float:
    return float(np.abs(array).max(initial=0.0))
