"""Solving for the k assets that share the risk, and what is said of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.errors import InfeasibleError, InputError, ModelError, SolverUnavailableError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.cardinality import (
    Selection,
    largest_weights,
    selected_of,
    state_parity_of_selected,
)
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.models.risk_parity import RiskParityProblem
from rrp_pyomo.models.weights import normalised, restricted, state_weights, violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.solve.table import SOLVERS, is_own

# Solvers for binary variables beside cones, those first that come with the package.
_MIXED_INTEGER = ("outer_approximation", "scip", "gurobi", "mosek", "xpress")
# The gap that counts as parity while assets are chosen. Cones without an interior, as a gap of 0
# makes them, cost Gurobi the optimum; the weights are then made exact.
_AT_PARITY = 1e-6
# By how much weights at parity may violate X.
_ADMISSIBLE = 1e-6
# A weight below this part of the largest holds nothing.
_NOTHING = 1e-6


@dataclass(frozen=True)
class CardinalityDetails:
    """Which assets were selected, and what is proved of the choice.

    Attributes
    ----------
    selected : tuple of labels
        The assets of the k largest weights.
    number_held : int
        How many assets hold more than 1e-6 of the largest weight: k, if a model kept to it.
    bound : float
        What the solver proved that no choice of k assets goes below, per-period volatility: of the
        parity portfolio's volatility or, where X rules parity out, of the slack. NaN where nothing
        was proved, as for the weights of a block.
    gap : float
        By how much the portfolio is above the bound, relative to its volatility.
    """

    selected: tuple[Hashable, ...]
    number_held: int
    bound: float = np.nan
    gap: float = np.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {**vars(self), "selected": [str(a) for a in self.selected]}


class SelectingRiskParity(RiskParityProblem):
    """A risk parity problem that may be asked which k assets share the risk."""

    selection: Selection | None = None

    @property
    def _asked(self) -> Selection:
        assert self.selection is not None
        return self.selection

    def _numbers(self) -> Mapping[str, float]:
        if self.selection is None:
            return super()._numbers()
        least = self.selection.minimum_weight
        chosen = {"minimum_weight": least} if least else {}
        return {**super()._numbers(), "cardinality": self.selection.cardinality, **chosen}

    def _initial_weights(self) -> FloatArray:
        """Of one size for the k assets of least variance, which any selection of them admits."""
        x = super()._initial_weights()
        if self.selection is None:
            return x
        k, room = self.selection.cardinality, largest_weights(self.weight_set) > 0
        chosen = np.argsort(np.where(room, self.covariance.variances, np.inf))[:k]
        start = np.zeros(x.size)
        start[chosen] = x[chosen] * (x.size / k)
        return start

    # --- solving --------------------------------------------------------------------------------

    def _select(self, solver: str | None, options: dict[str, Any]) -> Portfolio:
        """The least volatile parity portfolio of k assets in X; without one, that of least gap."""
        if is_own(solver):
            raise ModelError(
                f"solver {solver!r} does not choose assets; use one that takes binary variables, "
                f"such as {mixed_integer_solver()!r}, or leave cardinality out"
            )
        for option in ("start", "near"):
            if option in options:
                raise InputError(f"a problem with cardinality takes no {option!r}; leave it out")
        self._require_risk()
        solver = solver or mixed_integer_solver()
        exact = self._parity_program()
        try:
            solution = solve_program(exact, solver, **options)
        except InfeasibleError:
            solution = self._closest(solver, options)
        at_parity = solution.statement is exact
        held = solution.arrays["selected"] > 0.5
        x = np.zeros(held.size)
        x[held] = self._weights_of(held, at_parity)
        size = self._asked.cardinality if not at_parity else held.size
        unit = np.sqrt(size * self.risk_unit)
        bound = np.nan if solution.objective_bound is None else unit * solution.objective_bound
        found = self._solution_at(x, solution.status, solution.solver)
        portfolio = self._portfolio(found)
        reached = portfolio.volatility if at_parity else unit * found.objective
        gap = float(np.maximum(reached - bound, 0.0) / portfolio.volatility)
        choice = portfolio.details
        assert isinstance(choice, CardinalityDetails)
        return replace(portfolio, details=replace(choice, bound=float(bound), gap=gap))

    def _parity_program(self) -> Program:
        """The least p of k assets at parity."""
        program = Program(type(self).__name__)
        x = state_weights(program, self.weight_set)
        state_parity_of_selected(
            program, x, self.weight_set, self.covariance, self.risk_unit, self._asked
        )
        program.subject_to(parity=program.objective <= _AT_PARITY)
        program.minimize(program.variables["p"])
        return program

    def _closest(self, solver: str, options: dict[str, Any]) -> ProgramSolution:
        """The choice of least gap, where no k assets are at parity in X."""
        try:
            return solve_program(self._program, solver, **options)
        except InfeasibleError as error:
            raise InfeasibleError(
                f"no {self._asked.cardinality} assets have weights in X with all other weights 0; "
                "choose another cardinality, or relax X or minimum_weight"
            ) from error

    def _weights_of(self, held: NDArray[np.bool_], at_parity: bool) -> FloatArray:
        """The weights of the selected assets: risk parity, or the problem's own near it."""
        part = self._part(held)
        if at_parity:
            X = part.weight_set
            x = normalised(X, newton(part.covariance, part.budgets, signs=X.signs).weights)
            if violation(X, x) <= _ADMISSIBLE:
                return x
        return part._weights_near_parity()

    def _weights_near_parity(self) -> FloatArray:
        """The weights of the problem without a selection, without a word about constraints."""
        return solve_program(self._program).arrays["x"]

    def _part(self, held: NDArray[np.bool_]) -> Self:
        """The problem of the assets that are held, all of them."""
        X = restricted(self.weight_set, held, self._asked.minimum_weight)
        part = type(self)(self.covariance.select(X.labels), None, None)
        part.weight_set = X
        return part

    # --- what comes out -------------------------------------------------------------------------

    def _held(self, x: FloatArray) -> NDArray[np.bool_]:
        return selected_of(x, self._asked.cardinality) > 0

    def _choice(self, x: FloatArray) -> CardinalityDetails:
        selected = tuple(a for a, held in zip(self.labels, self._held(x), strict=True) if held)
        size = np.abs(x)
        return CardinalityDetails(selected, int((size > _NOTHING * size.max()).sum()))

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        if self.selection is None:
            return super()._portfolio(solution)
        x = solution.arrays["x"]
        return replace(
            PortfolioProblem._portfolio(self, solution),
            budgets=self._held(x) / self._asked.cardinality,
            details=self._choice(x),
        )

    def _certificate(self, solution: ProgramSolution) -> Any:
        """That of the selected assets alone."""
        if self.selection is None:
            return super()._certificate(solution)  # type: ignore[safe-super]
        x = solution.arrays["x"]
        held = self._held(x)
        part = self._part(held)
        return part._certificate(part._solution_at(x[held], solution.status, solution.solver))


def mixed_integer_solver() -> str:
    """The first solver for binary variables beside cones that is installed here.

    Raises
    ------
    SolverUnavailableError
        None is.
    """
    for name in _MIXED_INTEGER:
        if SOLVERS[name].locate() is not None:
            return name
    known = " or ".join(map(repr, _MIXED_INTEGER))
    raise SolverUnavailableError(
        f"cardinality needs a solver for binary variables, {known}; to install one: "
        f"{SOLVERS['scip'].install}"
    )
