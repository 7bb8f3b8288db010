"""From an estimate to weights: small objects with a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from rrp_pyomo.backtest.estimators import Estimate
from rrp_pyomo.backtest.predictive import ModelPredictiveControl
from rrp_pyomo.data import FactorModel, WeightSet
from rrp_pyomo.data.validation import Vector, as_number, by_label
from rrp_pyomo.errors import (
    InfeasibleError,
    InputError,
    SolverError,
    UnknownLabelError,
    brief,
    require_kind,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import sum_squares
from rrp_pyomo.models import MeanVariance, Resampled, RiskParitySOCP, largest_omega
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.nominal import NominalRiskParity
from rrp_pyomo.models.registry import PROBLEMS, find_problem, name_and_number
from rrp_pyomo.models.weights import state_weights
from rrp_pyomo.program import Program
from rrp_pyomo.solve.session import ProgramSession
from rrp_pyomo.solve.table import is_own

# How far the weights of a user's function may sum from 1.
_SUM_TOLERANCE = 1e-6

# ω goes to this part of ω_max where it is beyond: at ω_max itself hardly any portfolio is left.
CAP = 0.99


class Strategy(Protocol):
    """What a backtest runs."""

    @property
    def name(self) -> str:
        """Unique within a backtest."""

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
        """Weights in the order of the estimate's assets, shape (n,)."""


@runtime_checkable
class FromHeld(Protocol):
    """A strategy to which it matters what is held when it decides."""

    def weights_from(
        self, estimate: Estimate, solvers: ProgramSession, held: FloatArray | None
    ) -> FloatArray:
        """Weights, shape (n,), from those that have drifted since the last rebalance.

        ``held`` is None at the first one.
        """


class Relaxation(NamedTuple):
    """What a strategy without a solution may ask for in its place.

    Attributes
    ----------
    strategy : Strategy or None
        The same for a smaller ω; None where no smaller one helps.
    limit : float
        The largest ω that has a solution.
    used : float
        The smaller ω.

    Examples
    --------
    What :class:`Robust` asks for where its ω is above ω_max, here of 3.0:

    >>> from rrp_pyomo.backtest import Relaxation, Robust
    >>> instead = Relaxation(Robust(2.97), limit=3.0, used=2.97)
    >>> instead.strategy.name, instead.used
    ('robust ω = 2.97', 2.97)
    """

    strategy: Strategy | None
    limit: float
    used: float


@runtime_checkable
class Relaxable(Protocol):
    """A strategy that may have no solution, and knows how to ask for less."""

    def relaxed(self, estimate: Estimate) -> Relaxation:
        """What has a solution in place of what has none."""


def _require_fields(strategy: Any) -> None:
    """Raise where a strategy was made from what it cannot use, before anything is solved."""
    given = vars(strategy)
    require_kind(given["name"], str, "name of a strategy", "such as 'mine'")
    for name in ("solver", "problem"):
        if given.get(name) is not None:
            require_kind(given[name], str, name, "a name")
    if given.get("weight_set") is not None:
        require_kind(given["weight_set"], WeightSet, "weight_set", "such as WeightSet(upper=0.1)")
    if not isinstance(given.get("worst_case", False), bool):
        raise InputError(f"worst_case is {brief(given['worst_case'])}; expected True or False")
    if not isinstance(given.get("budgets"), pd.Series | Mapping | np.ndarray | Sequence | None):
        raise InputError(
            f"budgets are {brief(given['budgets'])}; expected a Series or mapping by asset"
        )


@dataclass(frozen=True)
class EqualWeight:
    """x_i = 1/n.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, EqualWeight
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [EqualWeight()], estimation="2Y").run()
    >>> result.weights.iloc[-1].round(3).tolist()
    [0.333, 0.333, 0.333]
    """

    name: str = "equal weight"

    def __post_init__(self) -> None:
        _require_fields(self)

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
        n = estimate.covariance.size
        return np.full(n, 1.0 / n)


@dataclass(frozen=True)
class InverseVolatility:
    """x_i proportional to 1/σ_i.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, InverseVolatility
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [InverseVolatility()], estimation="2Y").run()
    >>> result.weights.iloc[-1].round(3).tolist()
    [0.446, 0.243, 0.311]
    """

    name: str = "inverse volatility"

    def __post_init__(self) -> None:
        _require_fields(self)

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
        x: FloatArray = 1.0 / np.sqrt(estimate.covariance.variances)
        return x / float(x.sum())


@dataclass(frozen=True, eq=False)
class MinimumVariance:
    """Minimises x'Σ⁰x over x ∈ X, long-only and fully invested by default.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, MinimumVariance
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [MinimumVariance()], estimation="2Y").run()
    >>> result.weights.iloc[-1].round(3).tolist()
    [0.746, 0.0, 0.254]
    """

    weight_set: WeightSet = field(default_factory=WeightSet)
    name: str = "minimum variance"

    def __post_init__(self) -> None:
        require_kind(self.weight_set, WeightSet, "weight_set", "such as WeightSet(upper=0.1)")
        _require_fields(self)

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
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

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, RiskParity
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [RiskParity()], estimation="2Y").run()
    >>> result.weights.iloc[-1].round(3).tolist()
    [0.495, 0.224, 0.281]
    >>> result.risk_contributions.iloc[-1].round(3).tolist()
    [0.333, 0.333, 0.333]
    """

    worst_case: bool = False
    formulation: type[NominalRiskParity] | None = None
    solver: str | None = None
    budgets: pd.Series | dict[Any, float] | None = None
    weight_set: WeightSet | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _require_fields(self)
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

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
        if self._is_plain and not self.worst_case:
            return estimate.parity
        covariance = estimate.uncertainty.worst_case if self.worst_case else estimate.covariance
        if self._is_plain:
            return newton(covariance, np.full(covariance.size, 1.0 / covariance.size)).weights
        formulation = self.formulation or RiskParitySOCP
        problem = formulation(covariance, self.budgets, self.weight_set)
        return problem.solve(self.solver).weights.to_numpy()

    @cached_property
    def _is_plain(self) -> bool:
        """Equal budgets by Newton, where stating the problem would take longer than solving it."""
        return is_own(self.solver) and self.budgets is None and self.weight_set is None


def nominal_in_place_of(strategy: Strategy) -> RiskParity:
    """Risk parity under Σ⁰ with a strategy's budgets and weight set, where it has some."""
    return RiskParity(
        budgets=getattr(strategy, "budgets", None), weight_set=getattr(strategy, "weight_set", None)
    )


@dataclass(frozen=True, eq=False)
class Robust:
    """Robust risk parity (12).

    Parameters
    ----------
    omega : float
        ω ≥ 0.
    budgets : Series or mapping, optional
    weight_set : WeightSet, optional

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, Robust
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [Robust(1.0), Robust(2.0)], estimation="2Y").run()
    >>> result.weights.round(3).iloc[-2:].to_numpy().tolist()
    [[0.512, 0.213, 0.274], [0.532, 0.201, 0.266]]
    """

    omega: float = 1.0
    budgets: pd.Series | dict[Any, float] | None = None
    weight_set: WeightSet | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _require_fields(self)
        object.__setattr__(self, "omega", as_number(self.omega, "omega", least=0.0))
        if not self.name:
            object.__setattr__(self, "name", f"robust ω = {self.omega:g}")

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
        problem = estimate.robust(self.omega, self.budgets, self.weight_set)
        x = problem.equalised(estimate.parity if self.budgets is None else None)
        if x is not None:
            return x
        try:
            return solvers.solve(problem.statement)["x"]
        except SolverError as error:
            # So close to its limit that Clarabel cannot tell, (12) is infeasible all the same.
            if self.omega > (limit := self._omega_max(estimate)):
                raise InfeasibleError(
                    f"omega = {self.omega:g} is beyond omega_max = {limit:.6g}; use a smaller omega"
                ) from error
            raise

    def relaxed(self, estimate: Estimate) -> Relaxation:
        """The same for ω = 0.99 ω_max where ω is beyond."""
        limit = self._omega_max(estimate)
        if limit <= 0.0:
            return Relaxation(None, limit, np.nan)
        used = min(self.omega, CAP * limit)
        return Relaxation(replace(self, omega=used), limit, used)

    def _omega_max(self, estimate: Estimate) -> float:
        return largest_omega(estimate.uncertainty, self.weight_set)


@dataclass(frozen=True, eq=False)
class Registered:
    """A problem of :data:`~rrp_pyomo.models.registry.PROBLEMS`, made anew from each window.

    Parameters
    ----------
    problem : str
        Its name there, with its number if it takes one: ``"socp"``, ``"robust:1.5"``.
    solver : str, optional
        By default the problem's own.
    budgets : Series or mapping, optional
    weight_set : WeightSet, optional
    worst_case : bool
        For the worst-case covariance.

    Raises
    ------
    InputError
        No problem has that name, or it takes no number.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, Registered
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [Registered("ridge:0.1")], estimation="2Y").run()
    >>> result.weights.iloc[-1].round(3).tolist()
    [0.344, 0.316, 0.341]
    """

    problem: str
    solver: str | None = None
    budgets: pd.Series | dict[Any, float] | None = None
    weight_set: WeightSet | None = None
    worst_case: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        _require_fields(self)
        require_kind(self.problem, str, "problem", "such as 'socp' or 'robust:1.5'")
        name, _ = name_and_number(self.problem, "problem")
        find_problem(name)
        if not self.name:
            object.__setattr__(self, "name", self.problem.strip())

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
        name, number = name_and_number(self.problem)
        problem = find_problem(name).make(
            estimate, number, self.budgets, self.weight_set, self.worst_case
        )
        return problem.solve(self.solver).weights.to_numpy()


@dataclass(frozen=True, eq=False)
class ResampledMeanVariance:
    """Markowitz's portfolio averaged over samples drawn from N(μ̂, Σ⁰).

    Parameters
    ----------
    risk_aversion : float
        λ > 0.
    draws : int
    average : {"risk_aversion", "rank"}
        As :class:`~rrp_pyomo.Resampled` takes it.
    weight_set : WeightSet, optional
        With bounds.
    seed : int
        Every window has the same draws of normals.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, ResampledMeanVariance
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> strategy = ResampledMeanVariance(risk_aversion=5.0, draws=20)
    >>> result = Backtest(R, F, [strategy], estimation="2Y").run()
    >>> result.weights.iloc[-1].round(2).tolist()
    [0.55, 0.09, 0.36]
    """

    risk_aversion: float = 1.0
    draws: int = 50
    average: str = "risk_aversion"
    weight_set: WeightSet | None = None
    seed: int = 0
    name: str = "resampled"

    def __post_init__(self) -> None:
        _require_fields(self)
        as_number(self.risk_aversion, "risk_aversion", least=0.0)

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
        problem = MeanVariance(
            estimate.returns.mean(),
            estimate.covariance,
            self.risk_aversion,
            weight_set=self.weight_set,
        )
        resampled = Resampled(
            problem,
            self.draws,
            average=self.average,
            observations=len(estimate.returns),
            seed=self.seed,
        )
        return resampled.solve().weights.to_numpy()


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

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, Custom
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> first = Custom("first asset", lambda model: [1.0, 0.0, 0.0])
    >>> Backtest(R, F, [first], estimation="2Y").run().weights.iloc[-1].tolist()
    [1.0, 0.0, 0.0]
    """

    name: str
    function: Callable[[FactorModel], Vector]

    def __post_init__(self) -> None:
        _require_fields(self)
        if not callable(self.function):
            raise InputError(
                f"the function of strategy {self.name!r} is {self.function!r}; expected a function "
                "from a FactorModel to weights"
            )

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
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


# Every registered problem is a strategy, too; (12) has one of its own that solves it faster.
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "equal_weight": EqualWeight,
    "inverse_volatility": InverseVolatility,
    "minimum_variance": MinimumVariance,
    "nominal": RiskParity,
    "worst_case": lambda: RiskParity(worst_case=True),
    "robust": Robust,
    "resampled": ResampledMeanVariance,
    "model_predictive": ModelPredictiveControl,
}


def as_strategies(given: Sequence[Strategy | str]) -> list[Strategy]:
    """Strategies from themselves or the texts that name them.

    Raises
    ------
    InputError
        Something else than a sequence of these, and what :func:`parse_strategy` refuses.
    """
    try:
        listed = [] if isinstance(given, str | bytes) else list(given)
    except TypeError:
        listed = []
    if not listed and not isinstance(given, list | tuple):
        raise InputError(f"strategies is {brief(given)}; expected a list, such as ['nominal']")
    listed = [name for s in listed for name in (all_names() if _is_all(s) else [s])]
    strategies = [parse_strategy(s) if isinstance(s, str) else s for s in listed]
    for strategy in strategies:
        known = isinstance(getattr(strategy, "name", None), str) and not isinstance(strategy, type)
        if not (known and callable(getattr(strategy, "weights", None))):
            raise InputError(
                f"{brief(strategy)} is no strategy; expected a name, such as 'nominal', or an "
                "object such as RiskParity() or Custom(name, function)"
            )
    return strategies


def all_names() -> list[str]:
    """The names of all strategies that have one."""
    return list(STRATEGIES | PROBLEMS)


def _is_all(given: object) -> bool:
    return isinstance(given, str) and given.strip() == "all"


def parse_strategy(text: str) -> Strategy:
    """The strategy that a text names, such as ``"nominal"``, ``"socp"`` or ``"robust:1.5"``.

    Raises
    ------
    UnknownLabelError
        Nobody knows the name.
    InputError
        What follows the colon is no number, or the strategy takes none.
    """
    known = STRATEGIES | PROBLEMS
    require_kind(text, str, "strategy", "such as 'nominal' or 'robust:1.5'")
    name = text.strip().partition(":")[0]
    if name not in known:
        raise UnknownLabelError("strategy", name, known)
    _, number = name_and_number(text, "strategy")
    make = STRATEGIES.get(name)
    if make is None or (number is not None and make is not Robust):
        return Registered(text.strip())
    return make() if number is None else Robust(number)
