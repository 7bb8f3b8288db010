"""What is known: returns, factor models, covariances, uncertainty sets, weights and budgets."""

from __future__ import annotations

from rrp_pyomo.data import datasets
from rrp_pyomo.data.budgets import resolve_budgets
from rrp_pyomo.data.covariance import Covariance, DenseCovariance, FactorCovariance
from rrp_pyomo.data.datasets import FrenchData
from rrp_pyomo.data.factor_model import FactorModel
from rrp_pyomo.data.readers import (
    Factors,
    excess_returns,
    read_budgets,
    read_factors,
    read_returns,
    require_one_unit,
)
from rrp_pyomo.data.resolved_weight_set import ResolvedWeightSet
from rrp_pyomo.data.sampling_errors import StandardErrors, standard_errors
from rrp_pyomo.data.shrinkage import (
    ShrunkCovariance,
    ShrunkMean,
    baranchik,
    bayes_stein,
    james_stein,
    ledoit_wolf,
)
from rrp_pyomo.data.uncertainty import CovarianceUncertainty, Perturbation
from rrp_pyomo.data.views import Views
from rrp_pyomo.data.weight_set import Group, LinearRow, WeightSet

__all__ = [
    "Covariance",
    "CovarianceUncertainty",
    "DenseCovariance",
    "FactorCovariance",
    "FactorModel",
    "Factors",
    "FrenchData",
    "Group",
    "LinearRow",
    "Perturbation",
    "ResolvedWeightSet",
    "ShrunkCovariance",
    "ShrunkMean",
    "StandardErrors",
    "Views",
    "WeightSet",
    "baranchik",
    "bayes_stein",
    "datasets",
    "excess_returns",
    "james_stein",
    "ledoit_wolf",
    "read_budgets",
    "read_factors",
    "read_returns",
    "require_one_unit",
    "resolve_budgets",
    "standard_errors",
]
