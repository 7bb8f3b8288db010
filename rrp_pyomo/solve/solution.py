"""A solved program, and where a solver starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import pandas as pd

from rrp_pyomo.errors import SolverError, UnknownLabelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.labels import Labels
from rrp_pyomo.modeling.statement import Statement
from rrp_pyomo.solve.certificate import ProgramCertificate

# Values by variable name, or a function that returns them for solvers that use a start.
Start: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None


def start_values(start: Start) -> Mapping[str, Any]:
    """The values of a start; none where there is none."""
    return start() if callable(start) else (start or {})


def without_solution(ended: str) -> SolverError:
    """The error for a solver that ended without telling whether there is a solution."""
    return SolverError(
        f"{ended}: no solution was found; try another solver, and see its log by tee=True"
    )


def labelled(numbers: FloatArray, labels: Labels, name: str, scalar: bool) -> Any:
    """A Series with these labels (else places), or a float."""
    if scalar:
        return float(numbers[0])
    index = None if labels is None else pd.Index(labels, tupleize_cols=False)
    return pd.Series(numbers, index=index, name=name)


class UnknownNameError(UnknownLabelError, KeyError):
    """What a mapping raises for a name that it does not have; suggests the nearest."""

    __str__ = Exception.__str__


class Values(Mapping[str, Any]):
    """By name of variable or expression: a float for a scalar, a Series by label for the others."""

    def __init__(self, statement: Statement, arrays: Mapping[str, FloatArray]) -> None:
        named = statement.variables | statement.expressions
        self._named = {name: named[name] for name in arrays}
        self._arrays = arrays

    def __getitem__(self, name: str) -> Any:
        if name not in self._named:
            raise UnknownNameError("variable", name, self._named)
        e = self._named[name]
        return labelled(self._arrays[name], e.labels, name, e.index is None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def __repr__(self) -> str:
        return f"Values({', '.join(self._named)})"


@dataclass(frozen=True, eq=False)
class ProgramSolution:
    """A solved program.

    Attributes
    ----------
    values : mapping of str to float or Series
        By name of variable or named expression, labelled.
    arrays : dict of str to array
        The same as plain arrays, of one entry for scalars.
    objective : float
        Of the statement.
    duality_gap : float or None
        Primal minus dual objective, where the solver has a dual.
    objective_bound : float or None
        What the solver proved that no objective is better than, where it branches and bounds.
    duals : mapping or None
        By constraint name: ∂objective/∂(left − right), a float or a Series by label, in the sign of
        Pyomo's: with f the objective as it is stated, ∇f = Σ dual · ∇(left − right) + …, so that
        when minimising the dual of ``<=`` is at most 0 and that of ``>=`` at least 0; NaN where
        none exists, at the apex of a cone. A membership in a cone has a mapping from the names of
        its parts to multipliers in the dual cone. None where the solver has no duals.
    certificate : ProgramCertificate
        Residuals and gap, recomputed from the statement.
    status : str
        The solver's own words.
    solver : str
        Which solver, its version and where it was found.
    iterations : int or None
    numbers : mapping of str to array
        The parameters' values that were solved for.
    worst_case : mapping
        By name of uncertain data, the element of its set that the answer is robust against: a
        Series for means, a Covariance, a distribution. ``"covariance"`` is that of a set without a
        name. Where a name stands in several worst cases, ``(name, constraint)`` and ``(name,
        "objective")`` are keys, too.
    saddle_gap : float
        The robust objective at the answer minus the optimum of the program in which these elements
        are fixed, relative to the objective's size: 0 at the optimum. Both are computed from the
        data when it is asked for, by a second solve.
    """

    x: FloatArray = field(repr=False)
    statement: Statement = field(repr=False)
    objective: float
    duality_gap: float | None
    status: str
    solver: str
    iterations: int | None = None
    numbers: Mapping[str, FloatArray] = field(default_factory=dict, repr=False)
    objective_bound: float | None = None
    find_duals: Callable[[], Mapping[str, Any]] | None = field(default=None, repr=False)
    certify: Callable[[], ProgramCertificate] | None = field(default=None, repr=False)
    find_worst_case: Callable[[], Mapping[Any, Any]] | None = field(default=None, repr=False)
    find_saddle_gap: Callable[[Any], float] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        # What is found when it is asked for is found before it travels.
        state = vars(self) | {"duals": self.duals, "find_duals": None, "certify": None}
        if self.certify is not None:
            state |= {"certificate": self.certificate}
        if self.find_worst_case is not None:
            state |= {"worst_case": self.worst_case, "find_worst_case": None}
            state |= {"saddle_gap": self.saddle_gap, "find_saddle_gap": None}
        return state

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """By name of variable or named expression, labelled."""
        return Values(self.statement, self.arrays)

    @cached_property
    def arrays(self) -> dict[str, FloatArray]:
        """The same as plain arrays, of one entry for scalars."""
        values = self.statement.values(self.x)
        if not self.statement.expressions:
            return values
        with self.statement.with_numbers(self.numbers):
            return values | self.statement.named_values(self.x)

    @cached_property
    def duals(self) -> Mapping[str, Any] | None:
        """By constraint name and label."""
        return None if self.find_duals is None else self.find_duals()

    @cached_property
    def certificate(self) -> ProgramCertificate:
        """Residuals and gap, recomputed from the statement."""
        assert self.certify is not None, "a solution of solve_program has a certificate"
        return self.certify()

    @cached_property
    def worst_case(self) -> Mapping[Any, Any]:
        """The elements that the answer is robust against."""
        return {} if self.find_worst_case is None else self.find_worst_case()

    @cached_property
    def saddle_gap(self) -> float:
        """How far the answer is from a saddle point; 0 for programs without uncertain data."""
        return 0.0 if self.find_saddle_gap is None else self.find_saddle_gap(self.worst_case)
