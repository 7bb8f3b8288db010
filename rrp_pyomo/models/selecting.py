"""Solving for the k assets that share the risk, and what is said of them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.data import ResolvedWeightSet
from rrp_pyomo.errors import InfeasibleError, InputError, ModelError, SolverUnavailableError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.cardinality import Selection, selected_of
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.nominal import NominalCertificate, NominalRiskParity
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.models.risk_parity import shares
from rrp_pyomo.models.weights import binding, normalised, violation
from rrp_pyomo.portfolio import Portfolio
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


@dataclass(frozen=True)
class CardinalityCertificate(NominalCertificate):
    """How far the selected assets are from equal contributions 1/k.

    Attributes
    ----------
    number_selected : int
        How many assets hold something.
    """

    number_selected: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return super().to_dict() | {"number_selected": self.number_selected}

    def summary(self) -> str:
        """One line for a terminal."""
        return f"{self.number_selected} assets selected, {super().summary()}"


@dataclass(frozen=True)
class CardinalityDetails:
    """Which assets were selected, and what is proved of the choice.

    Attributes
    ----------
    selected : tuple of labels
    bound : float
        What the solver proved that no choice of k assets goes below, per-period volatility: of the
        parity portfolio's volatility or, where X rules parity out, of the slack. NaN where nothing
        was proved, as for the weights of a block.
    gap : float
        By how much the portfolio is above the bound, relative to its volatility.
    """

    selected: tuple[Hashable, ...]
    bound: float
    gap: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {"selected": [str(a) for a in self.selected], "bound": self.bound, "gap": self.gap}


class SelectingRiskParity(NominalRiskParity):
    """A nominal problem that may be asked which k assets share the risk."""

    selection: Selection | None = None

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """Solve the problem; see :meth:`NominalRiskParity.solve`."""
        if self.selection is None:
            return super().solve(solver, **options)
        if is_own(solver):
            raise ModelError(
                f"solver {solver!r} does not choose assets; use one that takes binary variables, "
                f"such as {mixed_integer_solver()!r}, or leave cardinality out"
            )
        for option in ("start", "near"):
            if option in options:
                raise InputError(f"a problem with cardinality takes no {option!r}; leave it out")
        self._require_risk()
        return self._solve_selection(solver or mixed_integer_solver(), options)

    def _solve_selection(self, solver: str, options: dict[str, Any]) -> Portfolio:
        assert self.selection is not None
        n, k = self.covariance.size, self.selection.cardinality
        exact = self.program()
        exact.subject_to(parity=exact.objective <= _AT_PARITY)
        exact.minimize(exact.variables["p"])
        try:
            solution, unit = solve_program(exact, solver, **options), np.sqrt(n * self.risk_unit)
        except InfeasibleError:
            solution = self._closest(solver, options)
            unit = np.sqrt(k * self.risk_unit)
        at_parity = solution.statement is exact
        selected = solution.arrays["selected"] > 0.5
        x = np.zeros(n)
        x[selected] = self._weights_of(selected, at_parity)
        found = self._solution_at(x, solution.status, solution.solver)
        portfolio = self._portfolio(found)
        bound = np.nan if solution.objective_bound is None else unit * solution.objective_bound
        reached = found.values["volatility" if at_parity else "slack"]
        gap = max(0.0, reached - bound) / portfolio.volatility
        return replace(portfolio, details=self._choice(x, bound, gap))

    def _closest(self, solver: str, options: dict[str, Any]) -> ProgramSolution:
        """The choice of least gap, where no k assets are at parity in X."""
        assert self.selection is not None
        try:
            return solve_program(self._program, solver, **options)
        except InfeasibleError as error:
            raise InfeasibleError(
                f"no {self.selection.cardinality} assets have weights in X with all other weights "
                "0; choose another cardinality, or relax X or minimum_weight"
            ) from error

    def _weights_of(self, selected: NDArray[np.bool_], at_parity: bool) -> FloatArray:
        """The weights of the selected assets: risk parity, or as close to it as X allows."""
        assert self.selection is not None
        X = restricted(self.weight_set, selected, self.selection.minimum_weight)
        part = type(self)(self.covariance.select(X.labels))
        part.weight_set = X
        if at_parity:
            x = normalised(X, newton(part.covariance, part.budgets, signs=X.signs).weights)
            if violation(X, x) <= _ADMISSIBLE:
                return x
        return solve_program(part.program()).arrays["x"]

    def _choice(
        self, x: FloatArray, bound: float = np.nan, gap: float = np.nan
    ) -> CardinalityDetails:
        return CardinalityDetails(
            tuple(a for a, held in zip(self.labels, self._held(x), strict=True) if held),
            float(bound),
            float(gap),
        )

    def _held(self, x: FloatArray) -> FloatArray:
        assert self.selection is not None
        return selected_of(x, self.selection.cardinality)

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        if self.selection is None:
            return super()._portfolio(solution)
        x = solution.arrays["x"]
        return replace(
            PortfolioProblem._portfolio(self, solution),
            budgets=self._held(x) / self.selection.cardinality,
            details=self._choice(x),
        )

    def _certificate(self, solution: ProgramSolution) -> NominalCertificate:
        if self.selection is None:
            return super()._certificate(solution)
        x = solution.arrays["x"]
        R = x * (self.covariance.operator @ x)
        budgets = self._held(x) / self.selection.cardinality
        smallest, largest = shares(R, budgets)
        return CardinalityCertificate(
            status=solution.status,
            largest_deviation=float(np.abs(R / R.sum() - budgets).max()),
            smallest_share=smallest,
            largest_share=largest,
            binding=binding(self.weight_set, x),
            number_selected=int((np.abs(x) > 1e-6 * np.abs(x).max()).sum()),
        )


def restricted(
    X: ResolvedWeightSet, at: NDArray[np.bool_], minimum_weight: float
) -> ResolvedWeightSet:
    """X for the assets at these places alone, all of which are held."""
    where = np.flatnonzero(at)
    signs = np.ones(len(X.labels)) if X.signs is None else X.signs
    low = np.where(signs > 0, np.maximum(X.lower, minimum_weight), X.lower)
    high = np.where(signs < 0, np.minimum(X.upper, -minimum_weight), X.upper)
    return replace(
        X,
        labels=tuple(X.labels[i] for i in where),
        lower=low[where],
        upper=high[where],
        matrix=None if X.matrix is None else X.matrix[:, where],
        signs=None if X.signs is None else X.signs[where],
        is_orthant=X.is_orthant and minimum_weight == 0.0,
    )


def mixed_integer_solver() -> str:
    """The first solver for binary variables beside cones that is installed here.

    Raises
    ------
    SolverUnavailableError
        None is.
    """
    for name in _MIXED_INTEGER:
        if name in SOLVERS and SOLVERS[name].locate() is not None:
            return name
    known = " or ".join(repr(name) for name in _MIXED_INTEGER if name in SOLVERS)
    raise SolverUnavailableError(
        f"cardinality needs a solver for binary variables, {known}; to install one: "
        f"{SOLVERS['scip'].install}"
    )
