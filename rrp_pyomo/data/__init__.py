"""What is known: covariances, uncertainty sets, admissible weights and budgets."""

from rrp_pyomo.data.budgets import resolve_budgets
from rrp_pyomo.data.covariance import Covariance, DenseCovariance, FactorCovariance
from rrp_pyomo.data.uncertainty import CovarianceUncertainty, Perturbation
from rrp_pyomo.data.weight_set import Group, LinearRow, ResolvedWeightSet, WeightSet

__all__ = [
    "Covariance",
    "CovarianceUncertainty",
    "DenseCovariance",
    "FactorCovariance",
    "Group",
    "LinearRow",
    "Perturbation",
    "ResolvedWeightSet",
    "WeightSet",
    "resolve_budgets",
]
