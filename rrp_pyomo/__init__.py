"""Robust risk parity portfolios as declarative Pyomo blocks.

The way from data to a portfolio:

>>> model = FactorModel.fit(returns, factors)  # doctest: +SKIP
>>> uncertainty = model.covariance_uncertainty()  # doctest: +SKIP
>>> portfolio = RobustRiskParity(uncertainty, omega=1.0).solve()  # doctest: +SKIP
"""

from rrp_pyomo.data import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    FactorModel,
    WeightSet,
)
from rrp_pyomo.modeling import Program, norm, square, sum_squares
from rrp_pyomo.models import (
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    largest_omega,
)
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.solvers.programs import solve_program

__version__ = "0.1.0"

__all__ = [
    "CovarianceUncertainty",
    "DenseCovariance",
    "FactorCovariance",
    "FactorModel",
    "Portfolio",
    "Program",
    "RiskParityNLP",
    "RiskParityQCLP",
    "RiskParitySOCP",
    "RobustRiskParity",
    "WeightSet",
    "largest_omega",
    "norm",
    "solve_program",
    "square",
    "sum_squares",
]
