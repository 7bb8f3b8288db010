"""What is solved: one file for each problem of the paper."""

from rrp_pyomo.models.largest_omega import largest_omega
from rrp_pyomo.models.nlp import RiskParityNLP
from rrp_pyomo.models.qclp import RiskParityQCLP
from rrp_pyomo.models.robust import RobustRiskParity
from rrp_pyomo.models.socp import RiskParitySOCP

__all__ = [
    "RiskParityNLP",
    "RiskParityQCLP",
    "RiskParitySOCP",
    "RobustRiskParity",
    "largest_omega",
]
