"""Robust risk parity portfolios as declarative Pyomo blocks.

The way from data to a portfolio:

>>> model = FactorModel.fit(returns, factors)  # doctest: +SKIP
>>> uncertainty = model.covariance_uncertainty()  # doctest: +SKIP
>>> portfolio = RobustRiskParity(uncertainty, omega=1.0).solve()  # doctest: +SKIP

Importing the package registers its solvers with Pyomo. Everything else is imported when it is first
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrp_pyomo import models as models
from rrp_pyomo import solvers as solvers
from rrp_pyomo import transformations as transformations
from rrp_pyomo._lazy import MOVED, exports
from rrp_pyomo._version import __version__ as __version__
from rrp_pyomo.solve.table import SOLVERS

if TYPE_CHECKING:
    from rrp_pyomo.data import CovarianceUncertainty as CovarianceUncertainty
    from rrp_pyomo.data import DenseCovariance as DenseCovariance
    from rrp_pyomo.data import FactorCovariance as FactorCovariance
    from rrp_pyomo.data import FactorModel as FactorModel
    from rrp_pyomo.data import Views as Views
    from rrp_pyomo.data import WeightSet as WeightSet
    from rrp_pyomo.data import baranchik as baranchik
    from rrp_pyomo.data import bayes_stein as bayes_stein
    from rrp_pyomo.data import james_stein as james_stein
    from rrp_pyomo.data import ledoit_wolf as ledoit_wolf
    from rrp_pyomo.data import standard_errors as standard_errors
    from rrp_pyomo.modeling import abs as abs
    from rrp_pyomo.modeling import cvar as cvar
    from rrp_pyomo.modeling import entropy as entropy
    from rrp_pyomo.modeling import exp as exp
    from rrp_pyomo.modeling import geometric_mean as geometric_mean
    from rrp_pyomo.modeling import log as log
    from rrp_pyomo.modeling import log_sum_exp as log_sum_exp
    from rrp_pyomo.modeling import maximum as maximum
    from rrp_pyomo.modeling import norm as norm
    from rrp_pyomo.modeling import positive as positive
    from rrp_pyomo.modeling import power as power
    from rrp_pyomo.modeling import quad_over_lin as quad_over_lin
    from rrp_pyomo.modeling import relative_entropy as relative_entropy
    from rrp_pyomo.modeling import square as square
    from rrp_pyomo.modeling import stack as stack
    from rrp_pyomo.modeling import sum_squares as sum_squares
    from rrp_pyomo.modeling import variance as variance
    from rrp_pyomo.modeling import worst_case as worst_case
    from rrp_pyomo.models import BlackLitterman as BlackLitterman
    from rrp_pyomo.models import ErrorMaximisation as ErrorMaximisation
    from rrp_pyomo.models import ExpectedUtility as ExpectedUtility
    from rrp_pyomo.models import FactorRiskContributions as FactorRiskContributions
    from rrp_pyomo.models import FactorRiskParity as FactorRiskParity
    from rrp_pyomo.models import Frontier as Frontier
    from rrp_pyomo.models import KinkedUtility as KinkedUtility
    from rrp_pyomo.models import MeanCVaR as MeanCVaR
    from rrp_pyomo.models import MeanEVaR as MeanEVaR
    from rrp_pyomo.models import MeanVariance as MeanVariance
    from rrp_pyomo.models import MultiPeriod as MultiPeriod
    from rrp_pyomo.models import PowerUtility as PowerUtility
    from rrp_pyomo.models import Resampled as Resampled
    from rrp_pyomo.models import RiskBudgeting as RiskBudgeting
    from rrp_pyomo.models import RiskContributions as RiskContributions
    from rrp_pyomo.models import RiskParityNLP as RiskParityNLP
    from rrp_pyomo.models import RiskParityQCLP as RiskParityQCLP
    from rrp_pyomo.models import RiskParitySOCP as RiskParitySOCP
    from rrp_pyomo.models import RobustRiskBudgeting as RobustRiskBudgeting
    from rrp_pyomo.models import RobustRiskParity as RobustRiskParity
    from rrp_pyomo.models import ScenarioTree as ScenarioTree
    from rrp_pyomo.models import StagewiseUtility as StagewiseUtility
    from rrp_pyomo.models import TreeProgram as TreeProgram
    from rrp_pyomo.models import efficient_frontier as efficient_frontier
    from rrp_pyomo.models import error_maximisation as error_maximisation
    from rrp_pyomo.models import largest_omega as largest_omega
    from rrp_pyomo.models import parity_orthants as parity_orthants
    from rrp_pyomo.portfolio import Portfolio as Portfolio
    from rrp_pyomo.program import Program as Program
    from rrp_pyomo.solve.infeasible import contradiction as contradiction
    from rrp_pyomo.solve.objective_bound import objective_bound as objective_bound
    from rrp_pyomo.solve.program import solve_program as solve_program
    from rrp_pyomo.solve.table import NEAR_START as NEAR_START

__all__, __getattr__, __dir__ = exports(
    __name__,
    {
        "data": (
            "CovarianceUncertainty",
            "DenseCovariance",
            "FactorCovariance",
            "FactorModel",
            "Views",
            "WeightSet",
            "baranchik",
            "bayes_stein",
            "james_stein",
            "ledoit_wolf",
            "standard_errors",
        ),
        "errors": (),
        "modeling": (
            "abs",
            "cvar",
            "entropy",
            "exp",
            "geometric_mean",
            "log",
            "log_sum_exp",
            "maximum",
            "norm",
            "positive",
            "power",
            "quad_over_lin",
            "relative_entropy",
            "square",
            "stack",
            "sum_squares",
            "variance",
            "worst_case",
        ),
        "program": ("Program",),
        "models": models.__all__,
        "portfolio": ("Portfolio",),
        "solve.program": ("solve_program",),
        "solve.infeasible": ("contradiction",),
        "solve.table": ("NEAR_START",),
        "solve.objective_bound": ("objective_bound",),
    },
)

# The solvers of this package, under their names in both of Pyomo's factories.
for _solver in SOLVERS.values():
    if _solver.module:
        solvers.register_on_demand(_solver.pyomo_name, _solver.module)
transformations.register()

MOVED["rrp_pyomo.modeling"] = {"Program": "rrp_pyomo.program"}
MOVED["rrp_pyomo.portfolio"] = {
    "NominalCertificate": "rrp_pyomo.models.nominal",
    "RobustCertificate": "rrp_pyomo.models.robust",
}
