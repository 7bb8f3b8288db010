"""What is solved: one file for each problem, and the table of them in ``registry``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrp_pyomo._lazy import exports
from rrp_pyomo.models.registry import PROBLEMS

if TYPE_CHECKING:
    from rrp_pyomo.models.black_litterman import BlackLitterman as BlackLitterman
    from rrp_pyomo.models.contributions import RiskContributions as RiskContributions
    from rrp_pyomo.models.expected_utility import ExpectedUtility as ExpectedUtility
    from rrp_pyomo.models.factor_contributions import (
        FactorRiskContributions as FactorRiskContributions,
    )
    from rrp_pyomo.models.factor_parity import FactorRiskParity as FactorRiskParity
    from rrp_pyomo.models.frontier import Frontier as Frontier
    from rrp_pyomo.models.frontier import efficient_frontier as efficient_frontier
    from rrp_pyomo.models.mean_cvar import MeanCVaR as MeanCVaR
    from rrp_pyomo.models.mean_cvar import MeanEVaR as MeanEVaR
    from rrp_pyomo.models.mean_variance import MeanVariance as MeanVariance
    from rrp_pyomo.models.multi_period import MultiPeriod as MultiPeriod
    from rrp_pyomo.models.nlp import RiskParityNLP as RiskParityNLP
    from rrp_pyomo.models.omega_max import largest_omega as largest_omega
    from rrp_pyomo.models.orthants import parity_orthants as parity_orthants
    from rrp_pyomo.models.plug_in import ErrorMaximisation as ErrorMaximisation
    from rrp_pyomo.models.plug_in import error_maximisation as error_maximisation
    from rrp_pyomo.models.qclp import RiskParityQCLP as RiskParityQCLP
    from rrp_pyomo.models.resampled import Resampled as Resampled
    from rrp_pyomo.models.risk_budgeting import RiskBudgeting as RiskBudgeting
    from rrp_pyomo.models.robust import RobustRiskParity as RobustRiskParity
    from rrp_pyomo.models.robust_risk_budgeting import RobustRiskBudgeting as RobustRiskBudgeting
    from rrp_pyomo.models.scenario_tree import ScenarioTree as ScenarioTree
    from rrp_pyomo.models.socp import RiskParitySOCP as RiskParitySOCP
    from rrp_pyomo.models.stagewise import StagewiseUtility as StagewiseUtility
    from rrp_pyomo.models.tree_program import TreeProgram as TreeProgram
    from rrp_pyomo.models.utility import KinkedUtility as KinkedUtility
    from rrp_pyomo.models.utility import PowerUtility as PowerUtility

# Imported on first use: the command line lists its problems without them.
_homes = {
    "black_litterman": ["BlackLitterman"],
    "contributions": ["RiskContributions"],
    "expected_utility": ["ExpectedUtility"],
    "factor_contributions": ["FactorRiskContributions"],
    "frontier": ["Frontier", "efficient_frontier"],
    "multi_period": ["MultiPeriod"],
    "omega_max": ["largest_omega"],
    "orthants": ["parity_orthants"],
    "plug_in": ["ErrorMaximisation", "error_maximisation"],
    "resampled": ["Resampled"],
    "scenario_tree": ["ScenarioTree"],
    "stagewise": ["StagewiseUtility"],
    "tree_program": ["TreeProgram"],
    "utility": ["KinkedUtility", "PowerUtility"],
}
for _module, _name in dict.fromkeys((e.module, e.class_name) for e in PROBLEMS.values()):
    _homes.setdefault(_module, []).append(_name)
__all__, __getattr__, __dir__ = exports(__name__, _homes)
