"""Model predictive control in backtests: what is held matters, its limits, its costs."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import MeanVariance, WeightSet
from rrp_pyomo.backtest import Backtest, BacktestResult, ModelPredictiveControl, predictive
from rrp_pyomo.backtest.estimators import Estimate
from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.solve.session import ProgramSession
from rrp_pyomo.uncertainty import Ellipsoid

LABELS = list("abcd")


@cache
def market() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(2)
    dates = pd.date_range("2015-01-31", periods=72, freq="ME", name="date")
    factor = rng.normal(0.005, 0.03, 72)
    returns = np.outer(factor, [0.8, 1.0, 1.2, 0.5]) + rng.normal(0.002, 0.03, (72, 4))
    return pd.DataFrame(returns, dates, LABELS), pd.DataFrame({"market": factor}, dates)


def run(*strategies: ModelPredictiveControl) -> BacktestResult:
    returns, factors = market()
    return Backtest(returns, factors, list(strategies), estimation="36M", rebalance="6M").run()


def test_without_costs_any_horizon_is_the_portfolio_of_one_period():
    """Under constant means and sets, each step is MeanVariance's portfolio of the window."""
    result = run(
        *(
            ModelPredictiveControl(H, 0.0, 4.0, 0.9, "rectangular", name=f"H = {H}")
            for H in (1, 2, 4)
        )
    )
    seen: list[Estimate] = []
    strategy = ModelPredictiveControl(forecast=lambda e: seen.append(e) or [e.returns.mean()] * 3)
    run(strategy)
    for date, estimate in zip(result.rebalances, seen, strict=True):
        mean = Ellipsoid.of_mean(estimate.returns, 0.9, estimate.covariance)
        alone = MeanVariance(mean, estimate.covariance, 4.0).solve().weights
        for name in ("H = 1", "H = 2", "H = 4"):
            np.testing.assert_allclose(result.weights.loc[(date, name)], alone, atol=1e-4)


def test_one_period_of_known_means_takes_no_solver(monkeypatch):
    """Under few factors its plan is separable, and its answer right to rounding."""
    strategy = ModelPredictiveControl(1, 0.002, 20.0, None, weight_set=WeightSet(upper=0.6))
    with monkeypatch.context() as patched:
        patched.setattr(ProgramSession, "solve", None)
        result = run(strategy)
    with monkeypatch.context() as patched:
        patched.setattr(predictive, "markowitz", lambda *given: None)
        by_clarabel = run(strategy)
    np.testing.assert_allclose(result.weights, by_clarabel.weights, atol=1e-6)
    assert 0.0 < result.trades.iloc[1:].max().item() < 0.5


@pytest.mark.parametrize(
    "strategy",
    [
        ModelPredictiveControl(1, 0.002, 20.0, 0.9),
        ModelPredictiveControl(1, 0.002, 20.0, None, turnover=0.1),
        ModelPredictiveControl(1, 0.002, 20.0, None, forecast=lambda e: [e.returns.mean()] * 2),
    ],
    ids=["errors of means", "a limit on trading", "a forecast of two periods"],
)
def test_other_plans_are_for_conic_solvers(strategy, monkeypatch):
    monkeypatch.setattr(ProgramSession, "solve", None)
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        run(strategy)


def test_large_costs_keep_what_has_drifted():
    result = run(ModelPredictiveControl(2, 5.0, 200.0, None, name="stay"))
    held = result.drifted.to_numpy()[:-1]
    assert np.abs(held - result.weights.to_numpy()[:-1]).max() > 1e-3
    assert len(held) >= 4
    np.testing.assert_allclose(result.weights.to_numpy()[1:], held, atol=1e-6)
    assert result.trades.iloc[1:].max().max() <= 1e-5


def test_costs_reduce_what_is_traded_and_limits_bound_it():
    result = run(
        ModelPredictiveControl(3, 0.0, 20.0, None, name="free"),
        ModelPredictiveControl(3, 0.003, 20.0, None, name="costly"),
        ModelPredictiveControl(3, 0.0, 20.0, None, turnover=0.05, name="limited"),
    )
    trades = result.trades.iloc[1:]
    assert trades["costly"].sum() < trades["free"].sum()
    assert trades["limited"].max() <= 0.05 + 1e-6
    assert trades["free"].max() > 0.05
    assert (result.net_returns(0.003)["costly"] <= result.returns["costly"] + 1e-15).all()


def test_its_name_is_known():
    returns, factors = market()
    result = Backtest(
        returns, factors, ["model_predictive", "equal_weight"], estimation="36M"
    ).run()
    assert list(result.returns.columns) == ["model predictive", "equal weight"]


REFUSED = {
    "horizon": ({"horizon": 0}, InputError, "horizon is 0; expected a whole number"),
    "level": ({"level": 95}, InputError, "level is 95; .*at most 1"),
    "cost": ({"cost": -0.1}, InputError, "cost is -0.1; .*at least 0"),
    "structure": ({"uncertainty": "seasonal"}, UnknownLabelError, "unknown structure"),
    "forecast": ({"forecast": 0.01}, InputError, "forecast is 0.01; expected a function"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    given, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said):
        ModelPredictiveControl(**given)
