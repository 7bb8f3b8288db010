"""The experiments of section 5: arithmetic on a generated market, the tables on the paper's own.

The latter is not in this repository; without it these tests are skipped.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.backtest.engine import Panel, simulate
from rrp_pyomo.backtest.schedule import periods_per_year
from rrp_pyomo.data import read_factors, read_returns
from rrp_pyomo.paper.experiments import EXPERIMENTS, Chunk, Experiment, Job, Trials, draw
from rrp_pyomo.paper.reproduce import paper_table

# Experiment 1, with an ω beyond ω_max in some windows of the generated market.
DESIGN = Experiment("generated", (25,), (1.0, 8.0))


@pytest.fixture(scope="module")
def trials(weekly_market) -> Trials:
    panel = weekly_market.panel
    return Trials.of(Job(DESIGN, panel, 1)(Chunk(25, 0, 3)), DESIGN, panel)


def test_design(trials: Trials) -> None:
    assert trials.returns.shape == (3, 4, 887)
    assert trials.measures["cv"].shape == (3, 4, 34)
    assert trials.measures["turnover"].shape == (3, 4, 33)
    assert periods_per_year(trials.dates) == 52


def test_robustness_lowers_volatility_and_evens_out_less(trials: Trials) -> None:
    nominal, worst_case, *robust = trials.table()[["cv", "ann_volatility_pct"]].to_numpy()
    assert nominal[0] < 1e-12 < worst_case[0]
    assert nominal[0] < robust[0][0] < robust[1][0]
    assert nominal[1] > robust[0][1] > robust[1][1]


def test_statistics_from_the_raw_returns(trials: Trials) -> None:
    excess = trials.returns[:, 3] - trials.risk_free
    annual = (1 + excess).prod(axis=1) ** (52 / 887) - 1
    volatility = excess.std(axis=1, ddof=1) * np.sqrt(52)
    row = trials.table().iloc[3]
    assert row["ann_excess_return_pct"] == pytest.approx(100 * annual.mean())
    assert row["sharpe_pct"] == pytest.approx(100 * (annual / volatility).mean())
    assert row["sd_volatility_pct"] == pytest.approx(100 * volatility.std(ddof=1))
    higher = trials.table("arithmetic")["ann_excess_return_pct"][3]
    assert higher == pytest.approx(100 * 52 * excess.mean())
    weekly = (1 + excess).prod(axis=1) ** (1 / 887) - 1
    uncompounded = trials.table("uncompounded").iloc[3]
    assert uncompounded["sharpe_pct"] == pytest.approx(100 * (52 * weekly / volatility).mean())
    assert uncompounded["t_statistic"] == row["t_statistic"]


def test_wealth_paths(trials: Trials) -> None:
    paths = trials.wealth_paths()
    final = (1 + trials.returns).prod(axis=2)
    np.testing.assert_allclose(paths.mean[-1], final.mean(axis=0))
    np.testing.assert_allclose(paths.relative[-1], (final / final[:, :1]).mean(axis=0) - 1)
    assert (paths.relative[:, 0] == 0.0).all()


def test_capped_windows_are_counted(trials: Trials, weekly_market) -> None:
    table = trials.capped_table()
    assert list(table["omega"]) == [1.0, 8.0]
    assert (table["windows"] == 34 * 3).all()
    panel, windows = weekly_market.panel, DESIGN.windows(weekly_market.panel)
    events = [
        event
        for trial in range(3)
        for event in simulate(
            panel.select(draw(250, 25, 1, trial)), windows, DESIGN.strategies[3:]
        ).events
    ]
    assert {event.action for event in events} == {"cap"}
    assert list(table["capped"]) == [0, len(events)]
    assert table["share"].iloc[1] == len(events) / (34 * 3)


# --- the paper's own market ----------------------------------------------------------------------

TRIALS = 6


@pytest.fixture(scope="module")
def stocks(shared_data) -> Panel:
    """The 250 stocks and three factors of section 5, weekly."""
    factors = read_factors(shared_data / "ff3_weekly.csv")
    returns = read_returns(shared_data / "weekly_returns.csv.gz")
    return Panel.of(returns, factors.factors, factors.risk_free)


@pytest.fixture(scope="module")
def table(stocks: Panel) -> pd.DataFrame:
    experiment = EXPERIMENTS["1"]
    rows = Job(experiment, stocks, 1)(Chunk(25, 0, TRIALS))
    return Trials.of(rows, experiment, stocks).table()


def test_close_to_the_papers_tables(table: pd.DataFrame) -> None:
    """Six trials of a thousand: their means scatter by about a sixth of a trial's deviation."""
    numbers = ["ann_volatility_pct", "turnover_pct", "cv", "hrc", "herfindahl"]
    ratio = table[numbers] / paper_table(EXPERIMENTS["1"])[numbers]
    np.testing.assert_allclose(ratio["turnover_pct"], 1.0, atol=0.12)
    np.testing.assert_allclose(ratio["cv"][1:6], 1.0, atol=0.2)
    np.testing.assert_allclose(ratio["ann_volatility_pct"], 1.0, atol=0.05)
    np.testing.assert_allclose(ratio["herfindahl"][:6], 1.0, atol=0.05)


def test_robustness_pays_in_the_papers_market(table: pd.DataFrame) -> None:
    robust = table[table["portfolio"] == "robust"]
    assert robust["ann_volatility_pct"].is_monotonic_decreasing
    assert robust["sharpe_pct"].is_monotonic_increasing
    assert robust["cv"].is_monotonic_increasing
    assert (robust["trials_sharpe_above_nominal"] >= TRIALS - 1).all()
    assert table["cv"][0] < 1e-12


def test_close_to_the_limit_a_new_solver_helps(stocks: Panel) -> None:
    """At 0.99 ω_max of the second window a solver that keeps the first's scaling breaks down."""
    experiment = EXPERIMENTS["2"]
    windows = experiment.windows(stocks)[:2]
    panel = stocks.select(draw(250, 100, 0, 17))
    simulation = simulate(panel, windows, experiment.strategies)
    event, *others = [e for e in simulation.events if e.date == windows[1].date]
    assert all(other.action == "accept" for other in others)
    assert (event.action, event.omega) == ("cap", 2.0)
    assert event.used == pytest.approx(0.99 * event.omega_max)
    assert simulation.weights[1, 3].sum() == pytest.approx(1.0)
