"""Return against risk, tails and utility, at an estimate or at the worst of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from rrp_pyomo import models
from rrp_pyomo.backtest.estimators import Estimate
from rrp_pyomo.backtest.predictive import ModelPredictiveControl
from rrp_pyomo.sklearn.base import PortfolioEstimator, TradingEstimator
from rrp_pyomo.sklearn.known import COVARIANCES, DISTRIBUTIONS, MEANS, Choice, chosen


@dataclass(eq=False, repr=False)
class MeanVariance(TradingEstimator):
    """Mean and variance, each an estimate or a set: Markowitz's problem, or a robust one.

    Parameters
    ----------
    risk_aversion : float
        λ ≥ 0.
    mean : str, function or None
        An estimate, ``"sample"``, ``"james_stein"``, ``"baranchik"``, ``"bayes_stein"``,
        ``"black_litterman"`` or a factor model's ``"alpha"``; a set, ``"ellipsoid"``, ``"box"`` or
        ``"loading_ellipsoids"``, each with its ``level``; a function from the estimate to either;
        None leaves the mean out.
    covariance : str or function
        An estimate, ``"nominal"`` for Σ⁰, ``"bayes_stein"`` or ``"black_litterman"``, that of the
        next period's returns; a set, ``"uncertainty"`` that of the estimator,
        ``"elementwise_error"`` or ``"loadings_ball"``, each with its ``radius``,
        ``"loading_ellipsoids"`` with its ``level``; a function from the estimate to either.
    level : float
        The confidence that a set holds the truth.
    radius : float
        The size of a set that has no confidence level.
    l2, l2_squared, linf : float
        The weights of penalties ‖x‖₂, ‖x‖₂² (ridge) and ‖x‖_∞.
    l1 : float, Series, mapping or (n,) array
        c ≥ 0, the costs of trading around ``previous_weights``; without these a lasso penalty.
    turnover : float, optional
        The most that Σ|x_i − x⁰_i| may be, once something is held. Where trading is limited or
        costs, skfolio's ``cross_val_predict`` hands x⁰ on from fold to fold.

    Examples
    --------
    Means that are taken for the truth, and the worst ones of their confidence ellipsoid:

    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import MeanVariance
    >>> R = french().returns.iloc[-36:, :3]
    >>> MeanVariance(10.0).fit(R).weights_.round(3).tolist()
    [0.983, 0.0, 0.017]
    >>> robust = MeanVariance(10.0, mean="ellipsoid", level=0.9).fit(R)
    >>> robust.weights_.round(3).tolist(), robust.solution_.worst_case.mean.round(4).tolist()
    ([0.847, 0.0, 0.153], [-0.0019, -0.0067, -0.003])
    """

    risk_aversion: float = 1.0
    mean: Choice | None = "sample"
    covariance: Choice = "nominal"
    level: float = 0.95
    radius: float = 1.0
    l2: float = 0.0
    l2_squared: float = 0.0
    linf: float = 0.0

    def _problem(self, known: Estimate) -> models.MeanVariance:
        return models.MeanVariance(
            None if self.mean is None else chosen(self.mean, "mean", MEANS, known, self),
            chosen(self.covariance, "covariance", COVARIANCES, known, self),
            self.risk_aversion,
            l2=self.l2,
            l2_squared=self.l2_squared,
            linf=self.linf,
            weight_set=self.weight_set,
            **self._trading(),
        )


@dataclass(eq=False, repr=False)
class Resampled(PortfolioEstimator):
    """Markowitz's portfolios of samples that might have been, averaged (Michaud 1998).

    Parameters
    ----------
    risk_aversion : float
        λ ≥ 0.
    draws : int
        How many samples are drawn.
    method : {"normal", "bootstrap"}
        From N(μ̂, Σ⁰), or rows of the returns with replacement.
    average : {"risk_aversion", "rank"}
        Which portfolios of the samples are averaged.
    seed : int
        With a draw's number it determines the draw.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import Resampled
    >>> fitted = Resampled(risk_aversion=5.0, draws=20).fit(french().returns.iloc[-36:, :3])
    >>> fitted.weights_.round(2).tolist()
    [0.76, 0.07, 0.17]
    """

    risk_aversion: float = 1.0
    draws: int = 50
    method: str = "normal"
    average: str = "risk_aversion"
    seed: int = 0

    def _problem(self, known: Estimate) -> models.Resampled:
        mean = known.returns.mean()
        return models.Resampled(
            models.MeanVariance(
                mean, known.covariance, self.risk_aversion, weight_set=self.weight_set
            ),
            self.draws,
            self.method,
            self.average,
            returns=known.returns,
            seed=self.seed,
        )


@dataclass(eq=False, repr=False)
class MeanCVaR(TradingEstimator):
    """Mean and CVaR: the average loss in the tail, of the returns or at the worst of a set.

    Parameters
    ----------
    alpha : float
        α, the probability of the tail.
    mean_weight : float
        How much of the mean return makes up for a unit of risk.
    distribution : {"scenarios", "moments", "wasserstein", "kullback_leibler"} or function
        The returns themselves; all distributions with their means and covariance; those within
        ``radius`` of them; those within the entropy that has the ``level``; or what a function
        makes of the estimate.
    radius : float
        Of the Wasserstein ball, in units of returns.
    level : float
        The confidence of the ball of entropy.
    l1, turnover
        As of :class:`MeanVariance`.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import MeanCVaR
    >>> R = french().returns.iloc[-60:, :3]
    >>> MeanCVaR(0.1).fit(R).weights_.round(3).tolist()
    [0.881, 0.034, 0.085]
    >>> MeanCVaR(0.1, distribution="wasserstein", radius=0.01).fit(R).weights_.round(3).tolist()
    [0.478, 0.196, 0.326]
    """

    alpha: float = 0.05
    mean_weight: float = 0.0
    distribution: Choice = "scenarios"
    radius: float = 0.001
    level: float = 0.95

    def _problem(self, known: Estimate) -> models.MeanCVaR:
        return models.MeanCVaR(
            chosen(self.distribution, "distribution", DISTRIBUTIONS, known, self),
            self.alpha,
            self.mean_weight,
            self.weight_set,
            **self._trading(),
        )


@dataclass(eq=False, repr=False)
class MeanEVaR(TradingEstimator):
    """Mean and entropic value at risk of the returns, a bound on their CVaR.

    Parameters
    ----------
    alpha : float
        α, the probability of the tail.
    mean_weight : float
        How much of the mean return makes up for a unit of risk.
    l1, turnover
        As of :class:`MeanVariance`.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import MeanEVaR
    >>> MeanEVaR(0.1).fit(french().returns.iloc[-60:, :3]).weights_.round(3).tolist()
    [0.765, 0.142, 0.093]
    """

    alpha: float = 0.05
    mean_weight: float = 0.0

    def _problem(self, known: Estimate) -> models.MeanEVaR:
        return models.MeanEVaR(
            known.returns, self.alpha, self.mean_weight, self.weight_set, **self._trading()
        )


@dataclass(eq=False, repr=False)
class ExpectedUtility(TradingEstimator):
    """The best expected utility over the returns, or under the worst distribution of a set.

    Parameters
    ----------
    utility : "log", PowerUtility or KinkedUtility
        u, such as ``PowerUtility(5.0)``.
    distribution : {"scenarios", "moments", "wasserstein", "kullback_leibler"} or function
        As for :class:`MeanCVaR`; moments and Wasserstein balls have a worst case for kinked utility
        only.
    risk_free : float
        What is not invested earns, per period.
    radius : float
        Of the Wasserstein ball, in units of returns.
    level : float
        The confidence of the ball of entropy.
    l1, turnover
        As of :class:`MeanVariance`.

    Examples
    --------
    >>> from rrp_pyomo import PowerUtility
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import ExpectedUtility
    >>> R = french().returns.iloc[-60:, :3]
    >>> for utility in ("log", PowerUtility(20.0)):
    ...     print(ExpectedUtility(utility).fit(R).weights_.round(3).tolist())
    [0.59, 0.0, 0.41]
    [0.758, 0.016, 0.227]
    """

    utility: Any = "log"
    distribution: Choice = "scenarios"
    risk_free: float = 0.0
    radius: float = 0.001
    level: float = 0.95

    def _problem(self, known: Estimate) -> models.ExpectedUtility:
        return models.ExpectedUtility(
            chosen(self.distribution, "distribution", DISTRIBUTIONS, known, self),
            self.utility,
            self.weight_set,
            self.risk_free,
            **self._trading(),
        )


@dataclass(eq=False, repr=False)
class MultiPeriod(TradingEstimator):
    """The first step of a plan of several periods, from what is held before.

    Parameters
    ----------
    periods : int
        H, how many are planned.
    risk_aversion : float
        λ ≥ 0.
    level : float or None
        The confidence of the ellipsoid of mean errors; None takes means as they are.
    uncertainty : {"common", "rectangular", "joint"}
        How the errors of the periods go together.
    l1, turnover
        As of :class:`MeanVariance`.

    Examples
    --------
    Where trading costs more than it brings, what is held is kept:

    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import MultiPeriod
    >>> R = french().returns.iloc[-36:, :3]
    >>> for cost in (0.0, 0.1):
    ...     plan = MultiPeriod(2, 10.0, l1=cost, previous_weights=[0.2, 0.4, 0.4]).fit(R)
    ...     print(plan.weights_.round(3).tolist())
    [0.841, 0.0, 0.159]
    [0.2, 0.4, 0.4]
    """

    periods: int = 3
    risk_aversion: float = 1.0
    level: float | None = 0.95
    uncertainty: str = "common"

    def _problem(self, known: Estimate) -> models.MultiPeriod:
        trading = self._trading()
        rule = ModelPredictiveControl(
            self.periods,
            self.l1,
            self.risk_aversion,
            self.level,
            self.uncertainty,
            weight_set=self.weight_set,
            turnover=self.turnover,
        )
        return rule.plan(known, trading["previous"])

    def _solved(self, known: Estimate) -> Any:
        return self._problem(known).solve(*([self.solver] if self.solver else []))

    def _first(self, weights: pd.DataFrame) -> Any:
        return weights.iloc[0]
