"""Losses of everything: exact, dated and said; losses of more than that are no returns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo.backtest import Backtest, Custom, EqualWeight, MinimumVariance
from rrp_pyomo.backtest.engine import hold
from rrp_pyomo.backtest.plots import plot_relative_wealth, plot_wealth
from rrp_pyomo.backtest.statistics import maximum_drawdown, performance, until_ruin, wealth_of
from rrp_pyomo.errors import InputError, RiskParityWarning


def backtest(market, strategies, **options) -> Backtest:
    options = {"estimation": "3Y", "rebalance": "6M", "risk_free": market.risk_free} | options
    return Backtest(market.returns, market.factors, strategies, **options)


@given(
    row=st.integers(0, 95), asset=st.integers(0, 5), value=st.floats(-1e6, -1.0, exclude_max=True)
)
@settings(max_examples=25, deadline=None)
def test_losses_of_more_than_everything(make_market, row, asset, value) -> None:
    market = make_market()
    if value > -1.0 - 1e-6:
        value = -1.001
    market.returns.iloc[row, asset] = value
    date = f"{market.returns.index[row]:%Y-%m-%d}"
    with pytest.raises(InputError, match=rf"return of 'asset {asset}' at '{date}' is -"):
        backtest(market, ["nominal"])


def test_an_asset_may_lose_everything(market) -> None:
    market.returns.iloc[50, 2] = -1.0
    table = backtest(market, ["equal_weight"]).run().statistics()
    assert np.isfinite(table).all(axis=None)
    assert 1 / 6 - 0.1 < table["maximum_drawdown"].item() < 1.0


def losing(market, row: int, strategies: list):
    market.returns.iloc[row] = -1.0
    return backtest(market, strategies).run()


@pytest.mark.parametrize("row", [36, 40, 47, 95])
def test_all_assets_lose_everything(market, row) -> None:
    run = losing(market, row, ["nominal", EqualWeight(), MinimumVariance()])
    date = market.returns.index[row]
    assert (run.ruined == date).all()
    assert (run.wealth[:date].iloc[:-1] > 0).all(axis=None)
    assert (run.wealth[date:] == 0.0).all(axis=None)
    assert (run.returns.loc[date] == -1.0).all()
    assert np.isfinite(run.drifted).all(axis=None)
    message = f"lost everything at '{date:%Y-%m-%d}'"
    with pytest.warns(RiskParityWarning, match=message) as said:
        table = run.statistics()
    assert [str(w.message).split("'")[1] for w in said] == run.strategies
    assert (table["maximum_drawdown"] == 1.0).all()
    assert (table["excess_return"] == -1.0).all()
    assert np.isfinite(table["volatility"]).all() == (row > 36)  # of two periods, at least
    for figure in (plot_wealth(run), plot_relative_wealth(run)):
        figure.draw_without_rendering()


def test_statistics_are_of_the_periods_until_ruin(market) -> None:
    run = losing(market, 60, [EqualWeight()])
    for cost in (0.0, 0.01):
        excess = run.net_returns(cost).sub(run.risk_free, axis=0)[: market.returns.index[60]]
        with pytest.warns(RiskParityWarning, match="of the periods until then"):
            table = run.statistics("arithmetic", cost)
        assert table["excess_return"].item() == pytest.approx(12 * excess.to_numpy().mean())
        expected = np.sqrt(12) * excess.to_numpy().std(ddof=1)
        assert table["volatility"].item() == pytest.approx(expected)
        assert (run.net_returns(cost)[market.returns.index[61] :] == 0.0).all(axis=None)


def test_one_strategy_is_ruined_and_another_is_not(market) -> None:
    """A levered one, whose asset falls by a half."""
    market.returns.iloc[60] = [0.0, -0.5, 0.1, 0.1, 0.1, 0.1]
    levered = Custom("levered", lambda model: np.array([-1.0, 2.0, 0.0, 0.0, 0.0, 0.0]))
    run = backtest(market, [levered, EqualWeight()], rebalance="1M").run()
    assert list(run.ruined.isna()) == [False, True]
    assert run.ruined["levered"] <= market.returns.index[60]
    assert (run.wealth["levered"][market.returns.index[60] :] == 0.0).all()
    alone = backtest(market, [EqualWeight()], rebalance="1M").run()
    with pytest.warns(RiskParityWarning, match="'levered' lost everything"):
        table = run.statistics()
    pd.testing.assert_frame_equal(table.loc[["equal weight"]], alone.statistics())


def test_ruin_by_costs(market) -> None:
    sell_and_buy = Custom("levered", lambda model: np.array([3.0, -2.0, 0.0, 0.0, 0.0, 0.0]))
    run = backtest(market, [sell_and_buy]).run()
    net = run.net_returns(0.4)
    assert net.iloc[0].item() == -1.0  # 0.4 of 5 is twice the wealth
    assert (net.iloc[1:] == 0.0).all(axis=None)


@given(
    seed=st.integers(0, 10**6),
    noise=st.floats(-1e-9, 1e-9),
    at=st.integers(0, 5),
    n=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_rounding_of_weights_is_no_wealth(seed, noise, at, n) -> None:
    """Whatever weights sum to, and whichever tiny one survives."""
    rng = np.random.default_rng(seed)
    weights = np.append(rng.dirichlet(np.ones(n), 2), np.full((2, 1), noise), axis=1)
    returns = rng.uniform(-0.5, 0.5, (6, n + 1))
    returns[at, :n] = -1.0
    earned, drifted = hold(weights, returns)
    assert (earned[:at] > -1.0).all()
    assert (earned[at:] == -1.0).all()
    assert (drifted == 0.0).all()


@given(st.lists(st.floats(-3.0, 1.0), min_size=1, max_size=12))
@settings(max_examples=60)
def test_wealth_ends_at_zero_and_stays_there(values) -> None:
    returns = until_ruin(np.array([values]).T)
    wealth = wealth_of(returns)[:, 0]
    gone = [k for k, value in enumerate(values) if value <= -1.0]
    assert (wealth >= 0.0).all()
    assert (maximum_drawdown(returns)[0] == 1.0) >= bool(gone)
    if gone:
        assert (wealth[gone[0] :] == 0.0).all()
    else:
        assert list(returns[:, 0]) == values


def test_an_excess_of_minus_everything_has_a_geometric_mean() -> None:
    annual = performance(np.array([[0.1], [-1.002], [0.1]]), 12)
    assert annual.excess_return.item() == -1.0
    assert np.isfinite(annual.volatility).all()


def test_one_period_is_no_year(market) -> None:
    last = market.returns.index[-1]
    run = backtest(market, ["equal_weight"], start=last).run()
    with pytest.raises(InputError, match=r"1 period\(s\) are held"):
        run.statistics()
