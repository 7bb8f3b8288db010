"""What problems of the table are made from where several have one class: a function for each.

Each takes the estimates of a market, the number that its user chooses and a weight set, and reads
as the problem is written; a line in :mod:`rrp_pyomo.models.registry` names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from rrp_pyomo.data import shrinkage
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InputError
from rrp_pyomo.models.black_litterman import BlackLitterman
from rrp_pyomo.models.expected_utility import ExpectedUtility
from rrp_pyomo.models.mean_cvar import MeanCVaR
from rrp_pyomo.models.mean_variance import MeanVariance
from rrp_pyomo.models.resampled import Resampled
from rrp_pyomo.models.utility import KinkedUtility, PowerUtility
from rrp_pyomo.uncertainty import (
    Box,
    ElementwiseError,
    Ellipsoid,
    KullbackLeibler,
    LoadingEllipsoids,
    LoadingsBall,
    Moments,
    Wasserstein,
)

if TYPE_CHECKING:
    from rrp_pyomo.data import FactorModel, WeightSet
    from rrp_pyomo.models.estimates import Estimates


# --- points: estimates are taken for the truth ---------------------------------------------------


def mean_variance(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """Markowitz's portfolio of the sample means and Σ⁰; the number is λ."""
    mean = estimates.returns.mean()
    return MeanVariance(mean, estimates.covariance, number, weight_set=weight_set)


def minimum_variance(
    estimates: Estimates, number: None = None, weight_set: WeightSet | None = None
) -> MeanVariance:
    """The least variance under Σ⁰, whatever the means."""
    return MeanVariance(None, estimates.covariance, weight_set=weight_set)


def ledoit_wolf(
    estimates: Estimates, number: None = None, weight_set: WeightSet | None = None
) -> MeanVariance:
    """The least variance under the sample covariance shrunk towards a multiple of I."""
    shrunk = shrinkage.ledoit_wolf(estimates.returns)
    return MeanVariance(None, shrunk.covariance, weight_set=weight_set)


def bayes_stein(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """Jorion's mean and the covariance of the next period's returns with it; the number is λ."""
    shrunk = shrinkage.bayes_stein(estimates.returns)
    return MeanVariance(shrunk.mean, shrunk.covariance, number, weight_set=weight_set)


def black_litterman(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """What 1/n implies, updated by views that each mean is the sample's; the number is λ."""
    mean, sigma = estimates.returns.mean(), estimates.covariance
    views, tau = (np.eye(len(mean)), mean.to_numpy()), 1.0 / len(estimates.returns)
    posterior = BlackLitterman(sigma, risk_aversion=number, tau=tau, views=views)
    return MeanVariance(
        posterior.mean, posterior.predictive_covariance, number, weight_set=weight_set
    )


def resampled(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> Resampled:
    """Markowitz's portfolios of fifty samples from N(μ̂, Σ⁰), averaged; the number is λ."""
    problem = mean_variance(estimates, number, weight_set)
    periods = len(estimates.returns)
    return Resampled(problem, 50, average="risk_aversion", observations=periods)


def ridge(estimates: Estimates, number: float, weight_set: WeightSet | None = None) -> MeanVariance:
    """The penalty γ‖x‖₂², which is a Frobenius ball of covariances of radius 2γ/λ, λ = 1."""
    mean = estimates.returns.mean()
    return MeanVariance(mean, estimates.covariance, l2_squared=number, weight_set=weight_set)


# --- sets of means -------------------------------------------------------------------------------


def robust_mean_variance(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """The means in an ellipsoid that holds them at a confidence level, which is the number."""
    means = Ellipsoid.of_mean(estimates.returns, number, estimates.covariance)
    return MeanVariance(means, estimates.covariance, weight_set=weight_set)


def box_mean_variance(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """Each mean in an interval that holds it at a confidence level, which is the number."""
    means = Box.of_mean(estimates.returns, number, joint=False)
    return MeanVariance(means, estimates.covariance, weight_set=weight_set)


# --- sets of covariances -------------------------------------------------------------------------


def robust_minimum_variance(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """Σ⁰ up to errors of its entries, of so many standard errors in all as the number says."""
    periods = len(estimates.returns)
    covariances = ElementwiseError.from_observations(estimates.covariance, periods, number)
    return MeanVariance(None, covariances, weight_set=weight_set)


def goldfarb_iyengar(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """Means and loadings in the confidence regions of the regression; the number is their level."""
    means, covariances = LoadingEllipsoids.from_regression(_model(estimates), number)
    return MeanVariance(means, covariances, weight_set=weight_set)


def robust_loadings(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """Loadings in a Frobenius ball, risk and return worst together; the number is its radius."""
    model = _model(estimates)
    ball = LoadingsBall(
        model.loadings, model.factor_covariance, model.residual_variance, number, model.factor_mean
    )
    return MeanVariance(model.alpha, ball, weight_set=weight_set)


# --- sets of distributions ------------------------------------------------------------------------


def moment_cvar(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanCVaR:
    """The worst CVaR of all distributions with the sample means and Σ⁰; the number is α."""
    moments = Moments(estimates.returns.mean(), estimates.covariance)
    return MeanCVaR(moments, number, weight_set=weight_set)


def wasserstein_cvar(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanCVaR:
    """The worst CVaR at 5 % near the market's returns; the number is the radius, for ℓ₂."""
    return MeanCVaR(Wasserstein(estimates.returns, number), weight_set=weight_set)


def _model(estimates: Estimates) -> FactorModel:
    if estimates.model is None:
        raise InputError(
            "the estimates have no factor model, whose loadings this problem is about; use "
            "FactorModelEstimator(), the default"
        )
    return estimates.model


# --- expected utility ----------------------------------------------------------------------------


def log_utility(
    estimates: Estimates, number: None = None, weight_set: WeightSet | None = None
) -> ExpectedUtility:
    """Kelly's portfolio of the sample's returns."""
    return ExpectedUtility(estimates.returns, "log", weight_set)


def power_utility(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> ExpectedUtility:
    """Constant relative risk aversion over the sample's returns; the number is γ."""
    utility = "log" if number == 1.0 else PowerUtility(number)
    return ExpectedUtility(estimates.returns, utility, weight_set)


def robust_log_utility(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> ExpectedUtility:
    """Kelly's portfolio within the entropy χ²_{1,β}/(2N) of the sample; the number is β.

    The worst growth rate is a lower bound of the true one at confidence (1 + β)/2 (Lam 2019).
    """
    returns, level = estimates.returns, as_number(number, "level", least=0.0, most=1.0)
    radius = chi2.ppf(level, 1) / (2.0 * len(returns))
    return ExpectedUtility(KullbackLeibler(returns, radius), "log", weight_set)


def moment_shortfall(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> ExpectedUtility:
    """Scarf's: shortfalls below 0 count 1 + b times under known moments; the number is b."""
    moments = Moments(estimates.returns.mean(), estimates.covariance)
    return ExpectedUtility(moments, KinkedUtility(number), weight_set)
