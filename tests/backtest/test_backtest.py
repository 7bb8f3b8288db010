"""The loop: no look ahead, holding, policies, costs, files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import (
    FactorModel,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    WeightSet,
    largest_omega,
)
from rrp_pyomo.backtest import (
    Backtest,
    BacktestResult,
    Custom,
    EqualWeight,
    InverseVolatility,
    MinimumVariance,
    RiskParity,
    Robust,
)
from rrp_pyomo.backtest.engine import Panel, Simulation, hold, simulate
from rrp_pyomo.backtest.schedule import rolling_windows
from rrp_pyomo.backtest.strategies import parse_strategy
from rrp_pyomo.data import FrenchData, excess_returns
from rrp_pyomo.errors import InfeasibleError, InputError, UnknownLabelError

ALL = ["equal_weight", "inverse_volatility", "minimum_variance", "nominal", "worst_case", "robust"]


def french_backtest(data: FrenchData, strategies: list, **options: object) -> Backtest:
    options = {"start": "2005-01-01", "risk_free": data.risk_free} | options
    return Backtest(data.returns, data.factors, strategies, **options)


@pytest.fixture(scope="module")
def result(french: FrenchData) -> BacktestResult:
    return french_backtest(french, ALL).run()


# --- what is decided -----------------------------------------------------------------------------


def test_weights_are_those_of_the_formulations(french: FrenchData, result: BacktestResult) -> None:
    date = result.rebalances[3]
    window = slice(date - pd.DateOffset(years=5), date - pd.Timedelta(days=1))
    excess = excess_returns(french.returns, french.risk_free)
    model = FactorModel.fit(excess.loc[window], french.factors.loc[window])
    uncertainty = model.covariance_uncertainty()
    expected = {
        "nominal": RiskParitySOCP(model.covariance).solve("newton").weights,
        "worst case": RiskParitySOCP(uncertainty.worst_case).solve("newton").weights,
        "robust ω = 1": RobustRiskParity(uncertainty, 1.0).solve().weights,
    }
    for name, weights in expected.items():
        np.testing.assert_allclose(result.weights.loc[date, name], weights, atol=1e-7)
        contributions = weights * model.covariance.marginal_risk(weights)
        np.testing.assert_allclose(
            result.risk_contributions.loc[date, name],
            contributions / contributions.sum(),
            atol=1e-7,
        )


def test_nothing_sees_the_future(french: FrenchData, result: BacktestResult) -> None:
    shock = result.rebalances[5]
    returns, factors = french.returns.copy(), french.factors.copy()
    rng = np.random.default_rng(0)
    later = returns.index >= shock
    returns[later] = (returns[later] * rng.normal(size=returns[later].shape) * 20).clip(-0.9)
    factors[later] = rng.normal(size=factors[later].shape)
    shocked = french_backtest(dataclasses.replace(french, returns=returns, factors=factors), ALL)
    moved = shocked.run()
    decided = result.rebalances <= shock
    pd.testing.assert_frame_equal(
        result.weights.loc[result.rebalances[decided]],
        moved.weights.loc[result.rebalances[decided]],
        check_exact=True,
    )
    before = result.returns.index < shock
    assert np.array_equal(result.returns[before], moved.returns[before])
    assert not np.allclose(result.weights.iloc[-6:], moved.weights.iloc[-6:])


def test_minimum_variance_satisfies_its_optimality_conditions(market) -> None:
    run = Backtest(market.returns, market.factors, [MinimumVariance()], "3Y").run()
    date = run.rebalances[0]
    model = FactorModel.fit(market.returns[:date], market.factors[:date])
    x = run.weights.loc[date, "minimum variance"]
    marginal = model.covariance.marginal_risk(x)
    least = marginal.min()
    assert x.sum() == pytest.approx(1.0)
    assert ((marginal - least) * x).abs().max() < 1e-6 * least


def test_any_formulation_and_solver(market) -> None:
    strategies = [
        RiskParity(),
        RiskParity(formulation=RiskParitySOCP, name="socp"),
        RiskParity(formulation=RiskParityQCLP, solver="ipopt", name="qclp"),
    ]
    run = Backtest(market.returns, market.factors, strategies, "5Y", "1Y").run()
    # Newton's method hits the budgets exactly; Clarabel does not.
    assert run.cv["nominal"].max() < 1e-12 < run.cv["socp"].max()
    for name in ("socp", "qclp"):
        gap = run.weights.xs(name, level="strategy") - run.weights.xs("nominal", level="strategy")
        assert gap.abs().to_numpy().max() < 1e-6


def test_budgets_and_weight_sets_are_heeded(market) -> None:
    budgets = pd.Series(np.arange(1.0, 7.0) / 21, market.returns.columns)
    capped = WeightSet(upper=0.2)
    strategies = [RiskParity(budgets=budgets), Robust(0.5, weight_set=capped, name="capped")]
    run = Backtest(market.returns, market.factors, strategies, "5Y", "1Y").run()
    shares = run.risk_contributions.xs("nominal", level="strategy")
    np.testing.assert_allclose(shares, np.tile(budgets, (len(shares), 1)), atol=1e-10)
    assert run.weights.xs("capped", level="strategy").to_numpy().max() < 0.2 + 1e-7


def test_custom_strategies_see_the_factor_model(market) -> None:
    def least_beta(model: FactorModel) -> pd.Series:
        beta = model.loadings.loc["Mkt-RF"]
        return (beta == beta.min()).astype(float)[::-1]

    run = Backtest(market.returns, market.factors, [Custom("least beta", least_beta)], "5Y").run()
    assert (run.weights.max(axis=1) == 1.0).all()
    assert run.highest_risk_contribution.to_numpy() == pytest.approx(1.0)


# --- holding -------------------------------------------------------------------------------------


def test_weights_drift_until_the_next_rebalance(market) -> None:
    run = Backtest(market.returns, market.factors, [EqualWeight()], "5Y", "6M").run()
    shares = np.full(6, 1 / 6)
    held = market.returns[run.returns.index[0] :].iloc[:6]
    for date, row in held.iterrows():
        value = shares @ (1 + row)
        assert run.returns.loc[date, "equal weight"] == pytest.approx(value - 1)
        shares = shares * (1 + row) / value
    np.testing.assert_allclose(run.drifted.iloc[0], shares)
    assert (run.turnover == 0.0).all(axis=None)
    assert run.trades.iloc[1, 0] == pytest.approx(np.abs(1 / 6 - shares).sum())


def test_what_is_not_invested_is_cash_that_earns_nothing() -> None:
    """Half a portfolio, a levered one and one without any cash, over two periods."""
    weights = np.array([[0.25, 0.25], [1.0, 0.5], [0.5, 0.5]])
    returns = np.array([[0.2, 0.0], [0.0, -0.5]])
    earned, drifted = hold(weights, returns)
    # The first: 0.3 + 0.25 and 0.5 of cash, then 0.3 + 0.125 + 0.5; the second owes 0.5.
    np.testing.assert_allclose(
        earned, [[0.05, 0.2, 0.1], [0.925 / 1.05 - 1, 0.95 / 1.2 - 1, 0.85 / 1.1 - 1]]
    )
    np.testing.assert_allclose(
        drifted,
        [[0.3 / 0.925, 0.125 / 0.925], [1.2 / 0.95, 0.25 / 0.95], [0.6 / 0.85, 0.25 / 0.85]],
    )


def test_costs_are_what_is_traded(market) -> None:
    run = Backtest(market.returns, market.factors, ["nominal"], "5Y", "6M").run()
    free, paid = run.net_returns(), run.net_returns(0.01)
    pd.testing.assert_frame_equal(free, run.returns)
    ratio = (1 + paid["nominal"]) / (1 + free["nominal"])
    first = run.returns.index.searchsorted(run.rebalances)
    np.testing.assert_allclose(ratio.iloc[first], 1 - 0.01 * run.trades["nominal"])
    assert np.isclose(ratio.drop(ratio.index[first]), 1.0).all()
    assert run.trades.iloc[0, 0] == pytest.approx(1.0)
    assert run.statistics(cost=0.01).loc["nominal", "sharpe"] < run.statistics()["sharpe"].item()


def test_wealth_compounds_and_excess_is_over_the_risk_free_rate(result: BacktestResult) -> None:
    np.testing.assert_allclose(result.wealth.iloc[-1], (1 + result.returns).prod())
    gap = result.returns["nominal"] - result.excess_returns["nominal"]
    np.testing.assert_allclose(gap, result.risk_free)


def test_statistics_of_the_french_data(result: BacktestResult) -> None:
    table = result.statistics()
    assert list(table.index[:2]) == ["equal weight", "inverse volatility"]
    assert table.loc["minimum variance", "volatility"] == table["volatility"].min()
    assert table.loc["nominal", "cv"] < 1e-10 < table.loc["robust ω = 1", "cv"]
    assert table.loc["nominal", "herfindahl"] == pytest.approx(1 / 30)
    assert (table["infeasible"] == 0).all()
    assert result.periods_per_year == 12


# --- infeasible windows --------------------------------------------------------------------------


def test_cap_solves_with_the_largest_omega_and_says_so(market) -> None:
    run = Backtest(market.returns, market.factors, [Robust(1e4)], "5Y", "1Y").run()
    assert list(run.events["action"]) == ["cap"] * len(run.rebalances)
    date = run.rebalances[0]  # an updated solver differs in its last digits
    window = slice(date - pd.DateOffset(years=5), date - pd.Timedelta(days=1))
    model = FactorModel.fit(market.returns.loc[window], market.factors.loc[window])
    limit = largest_omega(model.covariance_uncertainty())
    assert run.events["omega_max"][0] == pytest.approx(limit, rel=1e-6)
    assert run.events["used"][0] == pytest.approx(0.99 * limit, rel=1e-6)
    expected = RobustRiskParity(model.covariance_uncertainty(), 0.99 * limit).solve().weights
    np.testing.assert_allclose(run.weights.loc[date, "robust ω = 10000"], expected, atol=1e-8)
    assert run.statistics()["infeasible"].item() == len(run.rebalances)


def test_nominal_in_place_of_an_infeasible_portfolio(market) -> None:
    run = Backtest(
        market.returns, market.factors, ["nominal", Robust(1e4)], "5Y", on_infeasible="nominal"
    ).run()
    nominal, robust = (run.weights.xs(name, level="strategy") for name in run.strategies)
    pd.testing.assert_frame_equal(nominal, robust)
    assert set(run.events["action"]) == {"nominal"}


def test_hold_keeps_the_last_target(market) -> None:
    class Sometimes(Robust):
        def weights(self, estimate, solvers):
            if estimate.date.year > 2005:
                raise InfeasibleError("not this time")
            return super().weights(estimate, solvers)

    strategy = Sometimes(1.0, name="sometimes")
    run = Backtest(market.returns, market.factors, [strategy], "5Y", on_infeasible="hold").run()
    later = run.rebalances.year > 2005
    assert run.turnover["sometimes"][later[1:]].abs().max() == 0.0
    assert list(run.events["date"]) == list(run.rebalances[later])
    assert (run.events["action"] == "hold").all()


@pytest.mark.parametrize("policy", ["raise", "hold"])
def test_no_way_out_raises_with_strategy_and_date(market, policy) -> None:
    backtest = Backtest(market.returns, market.factors, [Robust(1e4)], "5Y", on_infeasible=policy)
    with pytest.raises(InfeasibleError, match="'robust ω = 10000' has no solution at 2005-01-01"):
        backtest.run()


# --- almost solved -------------------------------------------------------------------------------


def at_the_limit(market, seed: int) -> list[Simulation]:
    """One window, six assets, (12) within a hair of its limit, where Clarabel stalls."""
    panel = market.panel.select(np.random.default_rng(seed).choice(250, 6, replace=False))
    windows = rolling_windows(panel.dates, "5Y", "6M", "2000-01-01")[:1]
    window = windows[0].fit
    model = FactorModel.from_arrays(panel.excess[window], panel.factors[window])
    limit = largest_omega(model.covariance_uncertainty())
    return [
        simulate(panel, windows, [Robust(limit * (1.0 + gap), name="close")])
        for gap in (-1e-4, -1e-6, -1e-7, -1e-8, -1e-9, 1e-9, 1e-8)
    ]


def test_an_almost_solved_portfolio_is_taken_and_said(weekly_market) -> None:
    """Which of these windows Clarabel hardly solves is its own affair; some of them it does."""
    accepted = 0
    for run in (run for seed in (0, 8, 15, 22) for run in at_the_limit(weekly_market, seed)):
        for event in run.events:
            assert event.action in ("cap", "accept")
            if event.action == "accept":
                accepted += 1
                assert (event.strategy, event.date) == ("close", pd.Timestamp("2000-01-01"))
                assert event.used == event.omega
                assert "AlmostSolved" in event.reason
                assert run.weights.sum() == pytest.approx(1.0, abs=1e-4)
                assert run.weights.min() > -1e-4
    assert accepted > 0


class Remarkable(EqualWeight):
    """Equal weights that a solver had something to say about, twice in 2006."""

    omega = 0.5

    def weights(self, estimate, solvers):
        if estimate.date.year == 2006:
            solvers.remarks += ["one thing", "and another"]
        return super().weights(estimate, solvers)


def test_remarks_of_solvers_become_events(market, tmp_path: Path) -> None:
    strategies = ["nominal", Remarkable("remarkable"), EqualWeight()]
    run = Backtest(market.returns, market.factors, strategies, "5Y", "1Y").run()
    assert list(run.events["action"]) == ["accept", "accept"]
    assert list(run.events["strategy"]) == ["remarkable"] * 2
    assert list(run.events["reason"]) == ["one thing", "and another"]
    assert {date.year for date in run.events["date"]} == {2006}
    assert list(run.events["used"]) == list(run.events["omega"]) == [0.5, 0.5]
    assert (run.statistics()["infeasible"] == 0).all()
    run.to_parquet(tmp_path)
    pd.testing.assert_frame_equal(BacktestResult.from_parquet(tmp_path).events, run.events)


@pytest.mark.parametrize("calm", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("n", [25, 60])
def test_a_new_solver_decides_what_an_updated_one_cannot(weekly_market, n, calm) -> None:
    """Half of the stocks hardly move: scaling that suited a larger ω may not suit 0.99 ω_max."""
    for seed in range(6):
        columns = np.random.default_rng(seed).choice(250, n, replace=False)
        returns = weekly_market.excess.iloc[:, columns]
        returns.iloc[:261, : n // 2] *= calm
        panel = Panel.of(returns, weekly_market.factors)
        windows = rolling_windows(panel.dates, "5Y", "6M", "2000-01-01")[:1]
        cap, *remarks = simulate(panel, windows, [Robust(1e3)]).events
        assert cap.action == "cap"
        at_once = simulate(panel, windows, [Robust(cap.used)]).events
        assert len(remarks) <= len(at_once)


# --- files ---------------------------------------------------------------------------------------


def test_parquet_round_trip(result: BacktestResult, tmp_path: Path) -> None:
    result.to_parquet(tmp_path / "kept")
    again = BacktestResult.from_parquet(tmp_path / "kept")
    for name in ("returns", "weights", "risk_contributions", "drifted", "solve_times", "events"):
        pd.testing.assert_frame_equal(getattr(result, name), getattr(again, name), check_freq=False)
    pd.testing.assert_frame_equal(result.statistics(), again.statistics())
    assert again.settings == result.settings


def test_the_folder_of_another_backtest_is_spared(market, tmp_path: Path) -> None:
    run = Backtest(market.returns, market.factors, ["nominal"]).run()
    for _ in range(2):
        run.to_parquet(tmp_path)
    market.returns.iloc[-1, -1] += 0.01
    other = Backtest(market.returns, market.factors, ["nominal"]).run()
    with pytest.raises(InputError, match="holds another backtest; choose another folder"):
        other.to_parquet(tmp_path)
    pd.testing.assert_frame_equal(
        BacktestResult.from_parquet(tmp_path).returns, run.returns, check_freq=False
    )


def test_events_survive_parquet(market, tmp_path: Path) -> None:
    run = Backtest(market.returns, market.factors, [Robust(1e4)], "5Y").run()
    run.to_parquet(tmp_path)
    again = BacktestResult.from_parquet(tmp_path)
    pd.testing.assert_frame_equal(run.events, again.events)


def test_a_folder_without_a_backtest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no backtest: settings\.json is missing"):
        BacktestResult.from_parquet(tmp_path)


# --- bad input -----------------------------------------------------------------------------------


def test_missing_return_inside_a_window(market) -> None:
    market.returns.loc["2003-05-31", "asset 4"] = np.nan
    with pytest.raises(InputError, match="return of 'asset 4' at '2003-05-31' is nan"):
        Backtest(market.returns, market.factors, ["nominal"], "5Y")


def test_missing_return_before_the_windows(market) -> None:
    options = {"estimation": "5Y", "start": "2006-01-01"}
    whole = Backtest(market.returns, market.factors, ["nominal"], **options).run()
    market.returns.loc["2000-05-31", "asset 4"] = np.nan
    run = Backtest(market.returns, market.factors, ["nominal"], **options).run()
    pd.testing.assert_frame_equal(run.weights, whole.weights, check_exact=True)
    assert run.weights.notna().all(axis=None)


def test_missing_factor_return(market) -> None:
    market.factors.loc["2003-05-31", "SMB"] = np.nan
    with pytest.raises(InputError, match="factor return of 'SMB' at '2003-05-31'"):
        Backtest(market.returns, market.factors, ["nominal"], "5Y")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategies": []}, "no strategies were given"),
        ({"strategies": ["nominal", RiskParity()]}, "several strategies are called 'nominal'"),
        ({"on_infeasible": "ignore"}, "expected one of cap, hold, nominal, raise"),
        ({"strategies": ["robust:much"]}, "a number goes with robust, robust_budgeting.* only"),
        ({"strategies": ["nominal:2"]}, "a number goes with robust, robust_budgeting.* only"),
        ({"strategies": ["robust:-1"]}, "omega is -1"),
        ({"strategies": "nominal"}, r"expected a list, such as \['nominal'\]"),
        ({"strategies": 3}, "strategies is 3; expected a list"),
        ({"strategies": [3]}, "3 is no strategy; expected a name"),
        ({"strategies": [lambda model: 1]}, "is no strategy"),
        ({"returns": np.ones((96, 6))}, "returns is an ndarray; expected a DataFrame"),
        ({"factors": np.ones((96, 3))}, "factors is an ndarray; expected a DataFrame"),
        ({"risk_free": 0.0}, "risk_free is a float; expected a Series"),
        ({"estimation": "20Y"}, "does not fit the history"),
    ],
)
def test_refusals(market, change, message) -> None:
    data = {"returns": market.returns, "factors": market.factors}
    arguments = data | {"strategies": ["nominal"], "estimation": "5Y"} | change
    with pytest.raises(InputError, match=message):
        Backtest(**arguments).run()


@pytest.mark.parametrize("formulation", ["foo", RobustRiskParity, 3])
def test_formulations_that_are_none(formulation) -> None:
    with pytest.raises(InputError, match="expected RiskParityNLP, RiskParityQCLP or"):
        RiskParity(formulation=formulation)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full(6, 0.2), r"weights sum to 1\.2; expected 1"),
        (np.full(6, (1 + 2e-6) / 6), r"weights sum to 1\.000002"),
        (np.full(5, 0.2), r"weights has shape \(5,\)"),
        (np.full(6, np.nan), "weights of 'asset 0' is nan"),
        (pd.Series(1.0, ["asset 0"]), "weights lack 5 of 6 assets"),
        (pd.Series(1.0, ["asset 9"]), "unknown asset 'asset 9'"),
        (None, "weights"),
    ],
)
def test_custom_weights_that_are_none(market, weights, message) -> None:
    mine = Custom("mine", lambda model: weights)
    with pytest.raises(InputError, match=rf"strategy 'mine' at 2005-01-01: .*{message}"):
        Backtest(market.returns, market.factors, [mine]).run()


def test_custom_takes_a_function() -> None:
    with pytest.raises(InputError, match="function of strategy 'x' is 3"):
        Custom("x", 3)


def test_unknown_strategy_suggests_the_nearest() -> None:
    with pytest.raises(UnknownLabelError, match="did you mean 'minimum_variance'"):
        parse_strategy("minimun_variance")


def test_dates_out_of_order(market) -> None:
    with pytest.raises(InputError, match="not sorted by date"):
        Backtest(market.returns[::-1], market.factors[::-1], ["nominal"])


def test_dates_that_differ(market) -> None:
    with pytest.raises(InputError, match="differ in 1 date"):
        Backtest(market.returns, market.factors.iloc[1:], ["nominal"])


def test_risk_free_rate_of_other_dates(market) -> None:
    with pytest.raises(InputError, match="risk_free"):
        Backtest(market.returns, market.factors, ["nominal"], risk_free=market.risk_free.iloc[:-1])


def test_costs_beyond_reason(result: BacktestResult) -> None:
    with pytest.raises(InputError, match=r"expected 0 ≤ cost < 0\.5"):
        result.net_returns(0.5)


def test_names_and_texts_of_strategies() -> None:
    strategies = [parse_strategy(text) for text in (*ALL, " robust:1.5 ")]
    assert strategies[-1].name == "robust ω = 1.5"
    assert isinstance(strategies[1], InverseVolatility)
    assert len({s.name for s in strategies}) == len(strategies)


@pytest.mark.filterwarnings("ignore:.*beside:rrp_pyomo.errors.RiskParityWarning")
def test_the_nominal_portfolio_in_its_place_keeps_to_the_weight_set(market):
    strategy = Robust(1e4, weight_set=WeightSet(upper=0.2))
    run = Backtest(market.returns, market.factors, [strategy], "5Y", on_infeasible="nominal").run()
    assert len(run.events) > 0
    assert run.weights.to_numpy().max() <= 0.2 + 1e-6
