"""Risk parity and risk budgeting: of a covariance, or of an uncertainty set around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from rrp_pyomo import models
from rrp_pyomo.backtest.estimators import Estimate
from rrp_pyomo.backtest.strategies import CAP
from rrp_pyomo.models import largest_omega
from rrp_pyomo.sklearn.base import PortfolioEstimator

LOADINGS = "the errors of a factor model's loadings"


@dataclass(eq=False, repr=False, kw_only=True)
class NominalParity(PortfolioEstimator):
    """Parity under one covariance, whose parameters :class:`RiskParitySOCP` describes."""

    budgets: Any = None
    worst_case: bool = False

    # What is solved, where covariance, budgets and X are all there is to it.
    _kind: ClassVar[Callable[..., Any]]

    def _covariance(self, known: Estimate) -> Any:
        return known.uncertainty.worst_case if self.worst_case else known.covariance

    def _problem(self, known: Estimate) -> Any:
        return type(self)._kind(self._covariance(known), self.budgets, self.weight_set)


@dataclass(eq=False, repr=False)
class RiskParitySOCP(NominalParity):
    """Equal risk contributions, or those of budgets, by second-order cones (11).

    Parameters
    ----------
    minimum_share : float, optional
        α: no contribution is below α times its budget.
    cardinality : int, optional
        k: the most assets that are held.
    minimum_weight : float, optional
        The least weight of an asset that is held.
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions; equal by default.
    worst_case : bool
        Whether the covariance is the worst one of the set, Σ̄, in the place of Σ⁰.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import RiskParitySOCP
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> RiskParitySOCP().fit(R, factors=F).weights_.round(3).tolist()
    [0.466, 0.231, 0.303]
    >>> RiskParitySOCP(budgets=[0.5, 0.25, 0.25]).fit(R).weights_.round(3).tolist()
    [0.597, 0.179, 0.224]
    """

    minimum_share: float | None = None
    cardinality: int | None = None
    minimum_weight: float | None = None

    def _problem(self, known: Estimate) -> models.RiskParitySOCP:
        return models.RiskParitySOCP(
            self._covariance(known),
            self.budgets,
            self.weight_set,
            self.minimum_share,
            self.cardinality,
            self.minimum_weight,
        )


@dataclass(eq=False, repr=False)
class RiskParityQCLP(NominalParity):
    """The same by nonconvex quadratic constraints (4).

    Parameters
    ----------
    budgets, worst_case
        As of :class:`RiskParitySOCP`.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import RiskParityQCLP
    >>> RiskParityQCLP().fit(french().returns.iloc[-36:, :3]).weights_.round(3).tolist()
    [0.471, 0.232, 0.296]
    """

    _kind = models.RiskParityQCLP


@dataclass(eq=False, repr=False)
class RiskParityNLP(NominalParity):
    """The same by least squares of contributions, nonconvex (3).

    Parameters
    ----------
    budgets, worst_case
        As of :class:`RiskParitySOCP`.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import RiskParityNLP
    >>> RiskParityNLP().fit(french().returns.iloc[-36:, :3]).weights_.round(3).tolist()
    [0.471, 0.232, 0.296]
    """

    _kind = models.RiskParityNLP


@dataclass(eq=False, repr=False)
class RiskBudgeting(NominalParity):
    """Risk budgeting that stays exact beside constraints, of Richard & Roncalli (2019).

    Parameters
    ----------
    cardinality : int, optional
        k: the most assets that are held.
    minimum_weight : float, optional
        The least weight of an asset that is held.
    budgets, worst_case
        As of :class:`RiskParitySOCP`.

    Examples
    --------
    >>> from rrp_pyomo import WeightSet
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import RiskBudgeting
    >>> capped = RiskBudgeting(weight_set=WeightSet(upper=0.4))
    >>> capped.fit(french().returns.iloc[-36:, :3]).weights_.round(3).tolist()
    [0.4, 0.263, 0.337]
    """

    cardinality: int | None = None
    minimum_weight: float | None = None

    def _problem(self, known: Estimate) -> models.RiskBudgeting:
        return models.RiskBudgeting(
            self._covariance(known),
            self.budgets,
            self.weight_set,
            self.cardinality,
            self.minimum_weight,
        )


@dataclass(eq=False, repr=False)
class FactorRiskParity(NominalParity):
    """Equal risk contributions of factors, not of assets, of Roncalli & Weisang (2016).

    Parameters
    ----------
    budgets : Series, mapping or (m,) array, optional
        Shares of the factors; equal by default.
    worst_case : bool
        As of :class:`RiskParitySOCP`.

    Examples
    --------
    >>> from rrp_pyomo import WeightSet
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import FactorRiskParity
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :4], data.factors[-36:]
    >>> fitted = FactorRiskParity(weight_set=WeightSet(long_only=False)).fit(R, factors=F)
    >>> fitted.weights_.round(2).tolist()
    [1.19, -0.28, 0.21, -0.12]
    """

    _needs_factors: ClassVar[str] = "the contributions of factors"
    _kind = models.FactorRiskParity


@dataclass(eq=False, repr=False)
class RobustRiskParity(PortfolioEstimator):
    """Robust risk parity (12), against the errors of the loadings, of Costa & Kwon (2020).

    Parameters
    ----------
    omega : float
        ω ≥ 0, the aversion to estimation error.
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions; equal by default.
    cap : bool
        Whether an ω beyond ω_max, where nothing is feasible, becomes 0.99 ω_max, as in backtests,
        instead of an error; ``solution_.omega`` says which ω it was.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import RobustRiskParity
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> fitted = RobustRiskParity(omega=2.0).fit(R, factors=F)
    >>> fitted.weights_.round(3).tolist(), round(fitted.solution_.omega_max, 2)
    ([0.484, 0.219, 0.297], 12.17)
    """

    omega: float = 1.0
    budgets: Any = None
    cap: bool = False

    _needs_factors: ClassVar[str] = LOADINGS

    def _problem(self, known: Estimate) -> models.RobustRiskParity:
        omega = self.omega
        if self.cap:
            omega = min(omega, CAP * largest_omega(known.uncertainty, self.weight_set))
        return models.RobustRiskParity(known.uncertainty, omega, self.budgets, self.weight_set)


@dataclass(eq=False, repr=False)
class RobustRiskBudgeting(PortfolioEstimator):
    """The variant of (12) that keeps to its budgets beside constraints.

    Parameters
    ----------
    omega : float
        ω ≥ 0, the aversion to estimation error.
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions; equal by default.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import RobustRiskBudgeting
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> RobustRiskBudgeting().fit(R, factors=F).weights_.round(3).tolist()
    [0.475, 0.208, 0.316]
    """

    omega: float = 1.0
    budgets: Any = None

    _needs_factors: ClassVar[str] = LOADINGS

    def _problem(self, known: Estimate) -> models.RobustRiskBudgeting:
        return models.RobustRiskBudgeting(
            known.uncertainty, self.omega, self.budgets, self.weight_set
        )
