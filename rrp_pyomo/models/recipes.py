"""What problems of the table are made from where several have one class: a function for each.

Each takes the estimates of a market, the number that its user chooses and a weight set, and reads
as the problem is written; a line in :mod:`rrp_pyomo.models.registry` names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrp_pyomo.models.mean_cvar import MeanCVaR
from rrp_pyomo.models.mean_variance import MeanVariance
from rrp_pyomo.uncertainty import Moments, Wasserstein

if TYPE_CHECKING:
    from rrp_pyomo.data import WeightSet
    from rrp_pyomo.models.estimates import Estimates


def mean_variance(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """Markowitz's portfolio of the sample means and Σ⁰; the number is λ."""
    mean = estimates.returns.mean()
    return MeanVariance(mean, estimates.covariance, number, weight_set=weight_set)


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
