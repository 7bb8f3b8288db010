"""Rolling-window backtests and performance statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrp_pyomo._lazy import exports

if TYPE_CHECKING:
    from rrp_pyomo.backtest.backtest import Backtest as Backtest
    from rrp_pyomo.backtest.comparison import Comparison as Comparison
    from rrp_pyomo.backtest.estimators import BootstrapUncertainty as BootstrapUncertainty
    from rrp_pyomo.backtest.estimators import FactorModelEstimator as FactorModelEstimator
    from rrp_pyomo.backtest.estimators import GivenBounds as GivenBounds
    from rrp_pyomo.backtest.estimators import SampleCovariance as SampleCovariance
    from rrp_pyomo.backtest.estimators import ShrinkageCovariance as ShrinkageCovariance
    from rrp_pyomo.backtest.predictive import ModelPredictiveControl as ModelPredictiveControl
    from rrp_pyomo.backtest.result import BacktestResult as BacktestResult
    from rrp_pyomo.backtest.strategies import Custom as Custom
    from rrp_pyomo.backtest.strategies import EqualWeight as EqualWeight
    from rrp_pyomo.backtest.strategies import InverseVolatility as InverseVolatility
    from rrp_pyomo.backtest.strategies import MinimumVariance as MinimumVariance
    from rrp_pyomo.backtest.strategies import Registered as Registered
    from rrp_pyomo.backtest.strategies import Relaxation as Relaxation
    from rrp_pyomo.backtest.strategies import ResampledMeanVariance as ResampledMeanVariance
    from rrp_pyomo.backtest.strategies import RiskParity as RiskParity
    from rrp_pyomo.backtest.strategies import Robust as Robust

# Imported on first use: the command line lists its commands without them.
__all__, __getattr__, __dir__ = exports(
    __name__,
    {
        "backtest": ("Backtest",),
        "comparison": ("Comparison",),
        "estimators": (
            "BootstrapUncertainty",
            "FactorModelEstimator",
            "GivenBounds",
            "SampleCovariance",
            "ShrinkageCovariance",
        ),
        "predictive": ("ModelPredictiveControl",),
        "result": ("BacktestResult",),
        "strategies": (
            "Custom",
            "EqualWeight",
            "InverseVolatility",
            "MinimumVariance",
            "Registered",
            "Relaxation",
            "ResampledMeanVariance",
            "RiskParity",
            "Robust",
        ),
    },
)
