"""The problems as estimators of scikit-learn, which skfolio takes for its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrp_pyomo._extras import require_extra
from rrp_pyomo._lazy import exports

if TYPE_CHECKING:
    from rrp_pyomo.sklearn.base import PortfolioEstimator as PortfolioEstimator
    from rrp_pyomo.sklearn.optimising import ExpectedUtility as ExpectedUtility
    from rrp_pyomo.sklearn.optimising import MeanCVaR as MeanCVaR
    from rrp_pyomo.sklearn.optimising import MeanEVaR as MeanEVaR
    from rrp_pyomo.sklearn.optimising import MeanVariance as MeanVariance
    from rrp_pyomo.sklearn.optimising import MultiPeriod as MultiPeriod
    from rrp_pyomo.sklearn.optimising import Resampled as Resampled
    from rrp_pyomo.sklearn.parity import FactorRiskParity as FactorRiskParity
    from rrp_pyomo.sklearn.parity import RiskBudgeting as RiskBudgeting
    from rrp_pyomo.sklearn.parity import RiskParityNLP as RiskParityNLP
    from rrp_pyomo.sklearn.parity import RiskParityQCLP as RiskParityQCLP
    from rrp_pyomo.sklearn.parity import RiskParitySOCP as RiskParitySOCP
    from rrp_pyomo.sklearn.parity import RobustRiskBudgeting as RobustRiskBudgeting
    from rrp_pyomo.sklearn.parity import RobustRiskParity as RobustRiskParity
    from rrp_pyomo.sklearn.prediction import Prediction as Prediction

require_extra("sklearn", "rrp_pyomo.sklearn", "sklearn")

__all__, __getattr__, __dir__ = exports(
    __name__,
    {
        "base": ("PortfolioEstimator",),
        "optimising": (
            "ExpectedUtility",
            "MeanCVaR",
            "MeanEVaR",
            "MeanVariance",
            "MultiPeriod",
            "Resampled",
        ),
        "parity": (
            "FactorRiskParity",
            "RiskBudgeting",
            "RiskParityNLP",
            "RiskParityQCLP",
            "RiskParitySOCP",
            "RobustRiskBudgeting",
            "RobustRiskParity",
        ),
        "prediction": ("Prediction",),
    },
)
