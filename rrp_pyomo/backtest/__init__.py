"""Rolling-window backtests, performance statistics, and the paper's experiments."""

from rrp_pyomo.backtest.backtest import Backtest
from rrp_pyomo.backtest.estimators import (
    BootstrapUncertainty,
    FactorModelEstimator,
    GivenBounds,
    SampleCovariance,
    ShrinkageCovariance,
)
from rrp_pyomo.backtest.result import BacktestResult
from rrp_pyomo.backtest.strategies import (
    Custom,
    EqualWeight,
    InverseVolatility,
    MinimumVariance,
    RiskParity,
    Robust,
)

__all__ = [
    "Backtest",
    "BacktestResult",
    "BootstrapUncertainty",
    "Custom",
    "EqualWeight",
    "FactorModelEstimator",
    "GivenBounds",
    "InverseVolatility",
    "MinimumVariance",
    "RiskParity",
    "Robust",
    "SampleCovariance",
    "ShrinkageCovariance",
]
