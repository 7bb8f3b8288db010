"""From an estimate to weights: small objects with a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from rrp_pyomo.backtest.estimators import Estimate
from rrp_pyomo.data import FactorModel, WeightSet
from rrp_pyomo.data.validation import Vector, by_label
from rrp_pyomo.errors import InfeasibleError, InputError, SolverError, UnknownLabelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Program, sum_squares
from rrp_pyomo.models import RiskParitySOCP, largest_omega
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.nominal import NominalRiskParity
from rrp_pyomo.models.weights import state_weights
from rrp_pyomo.solvers.backends import ClarabelBackend, Termination

# How far the weights of a user's function may sum from 1.
_SUM_TOLERANCE = 1e-6


class Solvers:
    """One Clarabel object for each problem, whose numbers are updated from window to window.

    An updated solver keeps the equilibration of the first data that it saw. Its answers depend on
    them in their last digits: a run that must be reproducible starts with new solvers. And where
    (12) is almost infeasible it may not come to an end, while a new solver does.

    Attributes
    ----------
    remarks : list of str
        What was unusual since somebody last cleared it.
    """

    def __init__(self) -> None:
        self.remarks: list[str] = []
        self._backends: dict[str, ClarabelBackend] = {}

    def solve(self, program: Program) -> dict[str, FloatArray]:
        """The solution by variable name.

        Raises
        ------
        InfeasibleError
            There is none.
        SolverError
            Clarabel did not find one.
        """
        form = program.conic()
        backend = self._backends.setdefault(program.name, ClarabelBackend())
        answer = backend.solve(form)
        if answer.termination not in (Termination.SOLVED, Termination.INFEASIBLE):
            backend = self._backends[program.name] = ClarabelBackend()
            answer = backend.solve(form)
        if answer.termination is Termination.INFEASIBLE:
            raise InfeasibleError(f"{program.name} has no solution")
        if answer.termination is Termination.ALMOST_SOLVED:
            self.remarks.append(f"Clarabel ended with {answer.status!r}")
        elif answer.termination is not Termination.SOLVED:
            raise SolverError(f"Clarabel ended with {answer.status!r} on {program.name}")
        return program.values(answer.x)


class Strategy(Protocol):
    """What a backtest runs."""

    @property
    def name(self) -> str:
        """Unique within a backtest."""

    def weights(self, estimate: Estimate, solvers: Solvers) -> FloatArray:
        """Weights in the order of the estimate's assets, shape (n,)."""


@dataclass(frozen=True)
class EqualWeight:
    """x_i = 1/n."""

    name: str = "equal weight"

    def weights(self, estimate: Estimate, solvers: Solvers) -> FloatArray:
        n = estimate.covariance.size
        return np.full(n, 1.0 / n)


@dataclass(frozen=True)
class InverseVolatility:
    """x_i proportional to 1/σ_i."""

    name: str = "inverse volatility"

    def weights(self, estimate: Estimate, solvers: Solvers) -> FloatArray:
        x: FloatArray = 1.0 / np.sqrt(estimate.covariance.variances)
        return x / float(x.sum())


@dataclass(frozen=True, eq=False)
class MinimumVariance:
    """Minimises x'Σ⁰x over x ∈ X, long-only and fully invested by default."""

    weight_set: WeightSet = field(default_factory=WeightSet)
    name: str = "minimum variance"

    def weights(self, estimate: Estimate, solvers: Solvers) -> FloatArray:
        covariance = estimate.covariance
        unit = np.sqrt(covariance.variances.mean())
        program = Program(self.name)
        x = state_weights(program, self.weight_set.resolve(covariance.labels))
        program.minimize(sum_squares((covariance.root / unit) @ x))
        return solvers.solve(program)["x"]


@dataclass(frozen=True, eq=False)
class RiskParity:
    """Risk parity under Σ⁰, or under the worst case Σ̄.

    Parameters
    ----------
    worst_case : bool
    formulation : class, optional
        :class:`~rrp_pyomo.RiskParityNLP` (3), :class:`~rrp_pyomo.RiskParityQCLP` (4) or
        :class:`~rrp_pyomo.RiskParitySOCP` (11), the default.
    solver : str, optional
        By default the formulation's own; ``"newton"``, which solves any of them, where neither a
        formulation nor a weight set is given.
    budgets : Series or mapping, optional
    weight_set : WeightSet, optional

    Raises
    ------
    InputError
        Another formulation.
    """

    worst_case: bool = False
    formulation: type[NominalRiskParity] | None = None
    solver: str | None = None
    budgets: pd.Series | dict[Any, float] | None = None
    weight_set: WeightSet | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", "worst case" if self.worst_case else "nominal")
        given = self.formulation
        if given is None and self.weight_set is None:
            object.__setattr__(self, "solver", self.solver or "newton")
        elif given is not None and not (
            isinstance(given, type) and issubclass(given, NominalRiskParity)
        ):
            raise InputError(
                f"formulation is {given!r}; expected RiskParityNLP, RiskParityQCLP or "
                "RiskParitySOCP (the class itself)"
            )

    def weights(self, estimate: Estimate, solvers: Solvers) -> FloatArray:
        covariance = estimate.uncertainty.worst_case if self.worst_case else estimate.covariance
        if self._is_plain:
            return newton(covariance, np.full(covariance.size, 1.0 / covariance.size)).weights
        formulation = self.formulation or RiskParitySOCP
        problem = formulation(covariance, self.budgets, self.weight_set)
        return problem.solve(self.solver).weights.to_numpy()

    @cached_property
    def _is_plain(self) -> bool:
        """Equal budgets by Newton, where stating the problem would take longer than solving it."""
        return self.solver == "newton" and self.budgets is None and self.weight_set is None


@dataclass(frozen=True, eq=False)
class Robust:
    """Robust risk parity (12).

    Parameters
    ----------
    omega : float
        ω ≥ 0.
    budgets : Series or mapping, optional
    weight_set : WeightSet, optional
    """

    omega: float = 1.0
    budgets: pd.Series | dict[Any, float] | None = None
    weight_set: WeightSet | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"robust ω = {self.omega:g}")

    def weights(self, estimate: Estimate, solvers: Solvers) -> FloatArray:
        problem = estimate.robust(self.omega, self.budgets, self.weight_set)
        try:
            return solvers.solve(problem.statement)["x"]
        except SolverError as error:
            # So close to its limit that Clarabel cannot tell, (12) is infeasible all the same.
            if self.omega > (limit := self.omega_max(estimate)):
                raise InfeasibleError(
                    f"omega = {self.omega:g} is beyond omega_max = {limit:.6g}"
                ) from error
            raise

    def omega_max(self, estimate: Estimate) -> float:
        """The largest ω for which (12) has a solution."""
        return largest_omega(estimate.uncertainty, self.weight_set)

    def with_omega(self, omega: float) -> Robust:
        """The same strategy with another ω."""
        return replace(self, omega=omega)


@dataclass(frozen=True, eq=False)
class Custom:
    """Weights by a function of the user's.

    Parameters
    ----------
    name : str
    function : callable
        From the fitted :class:`~rrp_pyomo.FactorModel` to a Series by asset or an (n,) array of
        weights that sum to 1 (to within 1e-6).

    Raises
    ------
    InputError
        ``function`` is none; once it is called: weights that are missing, not finite, of unknown
        assets or do not sum to 1 (strategy and date are named).
    """

    name: str
    function: Callable[[FactorModel], Vector]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(
                f"the function of strategy {self.name!r} is {self.function!r}; expected a function "
                "from a FactorModel to weights"
            )

    def weights(self, estimate: Estimate, solvers: Solvers) -> FloatArray:
        if estimate.model is None:
            raise InputError(
                f"strategy {self.name!r} takes a factor model, but the estimator makes none; use "
                "the default estimator"
            )
        given = self.function(estimate.model)
        try:
            x = by_label(given, estimate.covariance.labels, "weights")
            if abs(total := float(x.sum()) - 1.0) > _SUM_TOLERANCE:
                raise InputError(f"weights sum to {1.0 + total:.9g}; expected 1")
        except InputError as error:
            raise InputError(
                f"strategy {self.name!r} at {estimate.date:%Y-%m-%d}: {error}"
            ) from None
        return x


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "equal_weight": EqualWeight,
    "inverse_volatility": InverseVolatility,
    "minimum_variance": MinimumVariance,
    "nominal": RiskParity,
    "worst_case": lambda: RiskParity(worst_case=True),
    "robust": Robust,
}


def as_strategies(given: Sequence[Strategy | str]) -> list[Strategy]:
    """Strategies from themselves or the texts that name them.

    Raises
    ------
    InputError
        Something else than a sequence of these, and what :func:`parse_strategy` refuses.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError(f"strategies is {given!r}; expected a list, such as ['nominal']")
    strategies = [parse_strategy(s) if isinstance(s, str) else s for s in given]
    for strategy in strategies:
        if not (hasattr(strategy, "name") and callable(getattr(strategy, "weights", None))):
            raise InputError(
                f"{strategy!r} is no strategy; expected a name, such as 'nominal', or an object "
                "such as RiskParity() or Custom(name, function)"
            )
    return strategies


def parse_strategy(text: str) -> Strategy:
    """The strategy that a text names, such as ``"nominal"`` or ``"robust:1.5"``.

    Raises
    ------
    UnknownLabelError
        Nobody knows the name.
    InputError
        The number after ``robust:`` is none.
    """
    name, _, number = text.strip().partition(":")
    if name not in STRATEGIES:
        raise UnknownLabelError("strategy", name, STRATEGIES)
    if not number:
        return STRATEGIES[name]()
    try:
        if name == "robust":
            return Robust(float(number))
    except ValueError:
        pass
    raise InputError(
        f"strategy {text!r} is not understood; a number goes with robust only, as in 'robust:1.5'"
    )
