"""What problems of the table are made from where several have one class: a function for each.

Each takes the estimates of a market, the number that its user chooses and a weight set, and reads
as the problem is written; a line in :mod:`rrp_pyomo.models.registry` names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrp_pyomo.models.mean_variance import MeanVariance

if TYPE_CHECKING:
    from rrp_pyomo.data import WeightSet
    from rrp_pyomo.models.estimates import Estimates


def mean_variance(
    estimates: Estimates, number: float, weight_set: WeightSet | None = None
) -> MeanVariance:
    """Markowitz's portfolio of the sample means and Σ⁰; the number is λ."""
    mean = estimates.returns.mean()
    return MeanVariance(mean, estimates.covariance, number, weight_set=weight_set)
