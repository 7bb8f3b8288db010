"""Strategies against 1/n: statistics by their definitions, p-values by simulation."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from rrp_pyomo.backtest import Backtest, BacktestResult, Custom, EqualWeight, Registered
from rrp_pyomo.backtest.comparison import (
    block_length,
    certainty_equivalent_of,
    mean_of,
    p_values,
    sharpe_of,
)
from rrp_pyomo.backtest.engine import Event
from rrp_pyomo.cli.main import app
from rrp_pyomo.errors import InfeasibleError, InputError, UnknownLabelError
from rrp_pyomo.models.registry import PROBLEMS, Data, Entry

STRATEGIES = ["equal_weight", "inverse_volatility", "minimum_variance", "nominal"]


@pytest.fixture
def result(market) -> BacktestResult:
    return Backtest(
        market.returns, market.factors, STRATEGIES, "3Y", "3M", risk_free=market.risk_free
    ).run()


# --- the numbers ----------------------------------------------------------------------------------


def test_the_table_is_what_the_definitions_say(result, market) -> None:
    """Asset by asset and period by period, as DeMiguel, Garlappi & Uppal (2009) define them."""
    table = result.comparison("equal_weight", risk_aversion=3.0, replications=9).table
    excess = result.returns.sub(result.risk_free, axis=0)
    for name in result.strategies:
        e = excess[name]
        mean, variance = e.mean(), ((e - e.mean()) ** 2).mean()
        assert table.loc[name, "sharpe"] == pytest.approx(mean / variance**0.5 * 12**0.5)
        assert table.loc[name, "certainty_equivalent"] == pytest.approx(
            12 * (mean - 1.5 * variance)
        )
        loss = excess["equal weight"].mean() / excess["equal weight"].std() * e.std() - e.mean()
        assert table.loc[name, "return_loss"] == pytest.approx(12 * loss, abs=1e-15)
        traded = []
        for before, now in zip(result.rebalances[:-1], result.rebalances[1:], strict=True):
            held = market.returns[(market.returns.index >= before) & (market.returns.index < now)]
            worth = result.weights.loc[(before, name)] * (1.0 + held).prod()
            drifted = worth / worth.sum()
            traded.append(abs(result.weights.loc[(now, name)] - drifted).sum())
        assert table.loc[name, "drifted_turnover"] == pytest.approx(np.mean(traded))
    assert table.loc["equal weight", "drifted_turnover"] > 0.01
    assert result.statistics().loc["equal weight", "turnover"] == 0.0  # of target weights


def test_costs_are_paid_before_the_comparison(result) -> None:
    table = result.comparison(cost=0.01, replications=9).table
    e = result.net_returns(0.01).sub(result.risk_free, axis=0)
    sharpe = e.mean() / e.std(ddof=0) * 12**0.5
    np.testing.assert_allclose(table["sharpe"], sharpe)


@pytest.mark.parametrize("statistic", [mean_of, sharpe_of, certainty_equivalent_of])
def test_influences_are_derivatives_by_the_weight_of_a_row(statistic) -> None:
    """The statistic of a sample in which one row counts a little more."""
    sample = np.random.default_rng(1).normal(0.01, 0.05, (7, 2))
    value, influence = statistic(sample)
    np.testing.assert_allclose(influence.sum(axis=0), 0.0, atol=1e-14)
    copies = 4000
    for t in range(7):
        heavier = np.vstack([np.tile(sample, (copies, 1)), sample[[t]]])
        slope = (statistic(heavier).value - value) * (7 * copies + 1)
        np.testing.assert_allclose(slope, influence[t], atol=2e-3)


def test_a_certainty_equivalent_has_its_risk_aversion() -> None:
    sample = np.random.default_rng(2).normal(0.01, 0.05, (50, 1))
    value = certainty_equivalent_of(sample, 4.0).value
    assert value == pytest.approx(sample.mean() - 2.0 * sample.var())


# --- p-values -------------------------------------------------------------------------------------


def rejected(persistence: float, block: int, level: float = 0.1) -> float:
    """How often a difference that is not there is significant, over 60 samples."""
    rng, below = np.random.default_rng(3), []
    for k in range(60):
        shocks = rng.standard_t(6, (241, 8)) + rng.standard_t(6, (241, 1))
        series = 0.01 + 0.02 * (shocks[1:] + persistence * shocks[:-1])
        p = p_values(series, 0, [sharpe_of], block, 79, seed=k).single
        below.append(p[:, 1:] <= level)
    return float(np.mean(below))


def test_p_values_are_uniform_where_nothing_differs() -> None:
    """Series that depend a little on their past, of one distribution."""
    assert rejected(0.2, block=3) == pytest.approx(0.1, abs=0.05)


def test_blocks_keep_what_depends_on_the_past() -> None:
    assert rejected(0.9, block=1) > rejected(0.9, block=8) + 0.05


def test_the_best_of_many_that_are_no_better_is_found_significant_seldom() -> None:
    """Of twenty alike, one is below 10 % on its own in half of the samples, jointly in a tenth."""
    rng, single, joint = np.random.default_rng(8), [], []
    for k in range(40):
        series = 0.01 + 0.04 * rng.normal(size=(120, 21))
        p = p_values(series, 0, [mean_of], 1, 79, seed=k)
        single.append(np.nanmin(p.single) <= 0.1)
        joint.append(np.nanmin(p.joint) <= 0.1)
    assert np.mean(single) > 0.4
    assert np.mean(joint) < 0.25


def test_p_values_find_what_differs() -> None:
    rng = np.random.default_rng(4)
    common = rng.normal(0.01, 0.04, (400, 1))
    noise = rng.normal(0.0, 0.01, (400, 3))
    series = common + noise + [0.0, 0.004, 0.0]
    p, joint = p_values(series, 0, [sharpe_of, mean_of], 2, 999)
    assert (joint[:, 1:] >= p[:, 1:]).all()
    assert (joint[:, 1] < 0.01).all()
    assert np.isnan(p[:, 0]).all()
    assert (p[:, 1] < 0.005).all()
    assert (p[:, 2] > 0.05).all()


def test_blocks_need_not_divide_the_sample() -> None:
    series = np.random.default_rng(9).normal(0.01, 0.04, (100, 3))
    p = p_values(series, 0, [sharpe_of], 7, 19)
    assert np.isfinite(p.single[:, 1:]).all()


def test_one_portfolio_by_two_solvers_does_not_differ() -> None:
    series = np.random.default_rng(5).normal(0.01, 0.04, (60, 1))
    both = np.hstack([series, series + 1e-8, series * 1.5])
    p, joint = p_values(both, 0, [mean_of], 2, 19)
    np.testing.assert_array_equal(p, joint)  # one difference
    assert p[0, 1] == 1.0
    assert p[0, 2] < 1.0


def test_draws_are_those_of_the_seed(result) -> None:
    first, again, other = (
        result.comparison(seed=seed, replications=49).table for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["sharpe_p"].equals(other["sharpe_p"])
    numbers = [name for name in first if not name.endswith("_p")]
    pd.testing.assert_frame_equal(first[numbers], other[numbers])


def test_blocks_are_long_where_the_past_matters() -> None:
    rng = np.random.default_rng(6)
    shocks = rng.normal(size=(400, 2))
    persistent = pd.DataFrame(shocks).ewm(alpha=0.1).mean().to_numpy()
    assert block_length(shocks) <= 4 < block_length(persistent) <= 40
    assert block_length(np.zeros((400, 2))) == 1


# --- in words -------------------------------------------------------------------------------------


def test_who_beats_the_reference_is_said(result) -> None:
    comparison = result.comparison("nominal", replications=99)
    table = comparison.table
    own = table.loc["nominal"]
    assert comparison.better("sharpe") == list(table.index[table["sharpe"] > own["sharpe"]])
    less = list(table.index[table["drifted_turnover"] < own["drifted_turnover"]])
    assert comparison.better("drifted_turnover") == less
    for measure in ("sharpe", "certainty_equivalent", "drifted_turnover"):
        significant = set(table.index[table[f"{measure}_p"] < 0.05])
        named = comparison.better(measure, True) + comparison.worse(measure, True)
        assert set(named) == significant
        jointly = comparison.better(measure, "joint") + comparison.worse(measure, "joint")
        assert set(jointly) == set(table.index[table[f"{measure}_joint_p"] < 0.05]) <= significant
        both = set(comparison.better(measure)) | set(comparison.worse(measure))
        assert both == set(result.strategies) - {"nominal"}
    table = table.assign(sharpe_p=0.01, sharpe_joint_p=[0.01, 0.5, 0.5, 0.5])
    changed = replace(comparison, table=table)
    for names in (changed.better, changed.worse):
        assert names("sharpe", True) == names("sharpe")
        assert set(names("sharpe", "joint")) <= {"equal weight"}
    assert len(changed.better("sharpe", "joint") + changed.worse("sharpe", "joint")) == 1
    first, *_, last = comparison.verdict()
    count = len(comparison.better("sharpe"))
    assert first.startswith(f"Sharpe ratio: {count} of 3 beat nominal ({table.sharpe.nominal:.3f})")
    assert last.startswith("Beat nominal in all three significantly: ")
    assert "circular block bootstrap" in comparison.how()
    assert str(comparison).endswith(comparison.how())
    with pytest.raises(InputError, match=r"measure is 'alpha'; expected one of sharpe, certainty"):
        comparison.better("alpha")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"reference": "robust"}, UnknownLabelError, "unknown strategy 'robust'"),
        ({"risk_aversion": -1.0}, InputError, "risk_aversion"),
        ({"replications": 0}, InputError, "replications is 0; expected at least 1"),
        ({"block": 1000}, InputError, "block is 1000; expected at most the 60 periods"),
        ({"cost": 0.7}, InputError, "expected 0 ≤ cost < 0.5"),
    ],
)
def test_a_comparison_refuses(result, arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        result.comparison(**arguments)


def short(model) -> pd.Series:
    """Long and short so much that the first bad month ends it."""
    x = pd.Series(0.0, model.labels)
    x.iloc[:2] = [41.0, -40.0]
    return x


@pytest.mark.filterwarnings("ignore::rrp_pyomo.errors.RiskParityWarning")
def test_who_lost_everything_is_not_compared(market) -> None:
    result = Backtest(
        market.returns, market.factors, ["equal_weight", "nominal", Custom("short", short)],
        "3Y", "1Y", risk_free=market.risk_free,
    ).run()  # fmt: skip
    comparison = result.comparison(replications=9)
    assert list(comparison.table.index) == ["equal weight", "nominal"]
    assert comparison.left_out["short"].startswith("lost everything at '2003-")
    with pytest.raises(InputError, match="nothing to compare with"):
        result.comparison("short")


def test_some_strategies_of_a_result_are_what_they_were(result) -> None:
    some = result.select(["nominal", "equal_weight"])
    assert some.strategies == ["equal weight", "nominal"]
    pd.testing.assert_frame_equal(some.statistics(), result.statistics().loc[some.strategies])
    pd.testing.assert_frame_equal(some.trades, result.trades[some.strategies])
    with pytest.raises(UnknownLabelError, match="unknown strategy 'robust'"):
        result.select(["robust"])


# --- all strategies -------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch):
    """A table of problems with one that is fine and one that has no solution."""
    fine = PROBLEMS["socp"]
    failing = Entry("socp", "RiskParitySOCP", "", "", "", Data.ESTIMATES, recipe="failing")
    monkeypatch.setattr("rrp_pyomo.models.recipes.failing", _failing, raising=False)
    monkeypatch.setattr("rrp_pyomo.backtest.strategies.STRATEGIES", {"equal_weight": EqualWeight})
    for name in list(PROBLEMS):
        monkeypatch.delitem(PROBLEMS, name)
    monkeypatch.setitem(PROBLEMS, "socp", fine)
    monkeypatch.setitem(PROBLEMS, "failing", failing)


def _failing(estimates, number=None, weight_set=None, budgets=None):
    raise InfeasibleError("there is\nno such portfolio")


@pytest.mark.usefixtures("few")
def test_all_strategies_are_run_or_said_to_be_left_out(market, tmp_path) -> None:
    arguments = market.returns, market.factors, ["all"], "5Y", "1Y"
    plan = Backtest(*arguments, risk_free=market.risk_free, leave_out=True)
    assert plan.names == ["equal weight", "socp", "failing"]
    done: list[str] = []
    result = plan.run(report=done.append)
    assert done == plan.names
    assert result.strategies == ["equal weight", "socp"]
    assert "there is no such portfolio" in result.left_out["failing"]
    assert result.comparison(replications=9).left_out.equals(result.left_out)
    result.to_parquet(tmp_path / "kept")
    again = BacktestResult.from_parquet(tmp_path / "kept")
    assert again.left_out.equals(result.left_out)
    with pytest.raises(InfeasibleError, match="no such portfolio"):
        Backtest(*arguments, risk_free=market.risk_free).run()
    with pytest.raises(InputError, match="none of the strategies can be run"):
        Backtest(*arguments[:2], ["failing"], "5Y", "1Y", leave_out=True).run()


@pytest.mark.usefixtures("few")
def test_all_from_the_command_line(market, tmp_path) -> None:
    market.returns.to_csv(tmp_path / "r.csv")
    market.factors.assign(RF=market.risk_free).to_csv(tmp_path / "f.csv")
    files = ["--returns", f"{tmp_path}/r.csv", "--factors", f"{tmp_path}/f.csv"]
    done = CliRunner(env={"COLUMNS": "120"}).invoke(
        app,
        ["backtest", *files, "--strategies", "all", "--workers", "1", "--rebalance", "1Y",
         "--risk-aversion", "2", "--out", f"{tmp_path}/out"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text()
    said = " ".join(done.output.split())
    for text in (said, " ".join(page.split())):
        assert "Sharpe ratio: " in text
        assert "Beat equal weight in all three: " in text
        assert "mean − 1 · variance" in text
        assert "there is no such portfolio" in text
    assert "failing: left out: " in said
    assert "Not compared: failing: " in page


def test_processes_find_what_one_finds(market) -> None:
    plan = Backtest(
        market.returns, market.factors, ["equal_weight", "robust:1000"], "5Y", "1Y",
        risk_free=market.risk_free,
    )  # fmt: skip
    one, two = plan.run(), plan.run(workers=2)
    for name in ("returns", "weights", "drifted", "risk_contributions", "events"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name))
    assert set(two.events["action"]) == {"cap"}


def test_what_cannot_be_sent_to_processes_is_refused(market) -> None:
    local = Custom("local", lambda model: pd.Series(1 / 6, model.labels))
    plan = Backtest(market.returns, market.factors, [local, "nominal"], "5Y", "1Y")
    with pytest.raises(InputError, match=r"cannot be sent to other processes .* workers=1"):
        plan.run(workers=2)
    with pytest.raises(InputError, match="workers is 0; expected at least 1"):
        plan.run(workers=0)


def test_errors_can_be_sent() -> None:
    error = UnknownLabelError("asset", "Utlis", ["Utils"])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (UnknownLabelError, str(error))


def test_what_a_problem_warns_of_is_an_event(market) -> None:
    """Parity of factors that long-only weights do not reach: accepted, and said so."""
    result = Backtest(
        market.returns, market.factors, [Registered("factor_parity")], "5Y", "1Y",
        risk_free=market.risk_free,
    ).run()  # fmt: skip
    assert list(result.events.columns) == list(Event._fields)
    warned = result.events[result.events["reason"].str.contains("away from their budgets")]
    assert len(warned) >= 1
    assert set(warned["action"]) == {"accept"}
    assert json.dumps(result.settings)
