"""Folders of backtests: of one of them and of one process; what is damaged is not read."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo._files import backtest_folder
from rrp_pyomo.backtest import Backtest, BacktestResult, EqualWeight
from rrp_pyomo.backtest.plots import plot_relative_wealth, plot_wealth, plot_weights
from rrp_pyomo.backtest.report import backtest_report
from rrp_pyomo.errors import InputError

TABLES = {
    "returns", "risk_free", "weights", "risk_contributions", "drifted", "solve_times", "events",
}  # fmt: skip


@pytest.fixture(scope="module")
def result(make_market) -> BacktestResult:
    market = make_market()
    return Backtest(market.returns, market.factors, [EqualWeight()], "5Y", "1Y").run()


@pytest.fixture(scope="module")
def other(result) -> BacktestResult:
    return dataclasses.replace(result, settings=result.settings | {"estimation": "3Y"})


@pytest.fixture(scope="module")
def kept(result, tmp_path_factory) -> dict[str, bytes]:
    result.to_parquet(out := tmp_path_factory.mktemp("kept"))
    return {file.name: file.read_bytes() for file in out.iterdir()}


def test_what_is_written(kept) -> None:
    assert set(kept) == {f"{name}.parquet" for name in TABLES} | {"settings.json"}


@pytest.mark.parametrize("write", [BacktestResult.to_parquet, backtest_report])
def test_folders_of_others_are_left_alone(result, other, tmp_path, write) -> None:
    for name in ("own", "another"):
        (tmp_path / name).mkdir()
    (tmp_path / "own" / "returns.parquet").write_text("the only copy")
    other.to_parquet(tmp_path / "another")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.*")}
    with pytest.raises(InputError, match=r"holds other files, such as returns\.parquet"):
        write(result, tmp_path / "own")
    with pytest.raises(InputError, match="holds another backtest; choose another folder"):
        write(result, tmp_path / "another")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.*")} == before


def test_tables_and_report_share_a_folder(result, tmp_path) -> None:
    result.to_parquet(tmp_path)
    assert backtest_report(result, tmp_path).exists()
    result.to_parquet(tmp_path)


@pytest.mark.parametrize("same", [True, False])
def test_two_backtests_at_once(result, other, tmp_path, same) -> None:
    out = tmp_path / "out"
    with backtest_folder(out, result.settings):
        before = [(p.name, p.read_bytes()) for p in out.iterdir()]
        with pytest.raises(InputError, match="another process writes to the folder"):
            (result if same else other).to_parquet(out)
        assert [(p.name, p.read_bytes()) for p in out.iterdir()] == before
        result.write(out)
    assert BacktestResult.from_parquet(out).settings == result.settings


def test_many_backtests_at_once(result, tmp_path) -> None:
    """All but one are refused; the one that is not leaves everything of its own."""
    every = [
        dataclasses.replace(result, settings=result.settings | {"start": str(k)}) for k in range(8)
    ]
    barrier, outcomes, refusals = threading.Barrier(len(every)), [], []

    def write(one: BacktestResult) -> None:
        barrier.wait()
        try:
            one.to_parquet(tmp_path / "out")
            outcomes.append(one.settings)
        except InputError as error:
            refusals.append(str(error))

    threads = [threading.Thread(target=write, args=(one,)) for one in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = outcomes
    assert all("choose an" in line for line in refusals), refusals
    assert BacktestResult.from_parquet(tmp_path / "out").settings == winner


def test_a_killed_backtest_that_wrote_nothing_is_no_obstacle(result, other, tmp_path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(other.settings))
    (tmp_path / ".rrp-0123456789abcdef.part").write_bytes(b"half")
    result.to_parquet(tmp_path)
    assert BacktestResult.from_parquet(tmp_path).settings == result.settings
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("gone", sorted(TABLES))
def test_half_a_folder_is_no_backtest(result, kept, tmp_path, gone) -> None:
    for name, content in kept.items():
        if name != f"{gone}.parquet":
            (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"holds no backtest: {gone}\.parquet is missing"):
        BacktestResult.from_parquet(tmp_path)
    result.to_parquet(tmp_path)
    BacktestResult.from_parquet(tmp_path)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_damaged_tables_are_named(result, kept, tmp_path_factory, data) -> None:
    out = tmp_path_factory.mktemp("damaged")
    for name, content in kept.items():
        (out / name).write_bytes(content)
    name = f"{data.draw(st.sampled_from(sorted(TABLES)))}.parquet"
    content = bytearray(kept[name])
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    (out / name).write_bytes(content)
    with contextlib.suppress(UnreadError):
        read = reading(out, out / name)
        # Only the name of the stamp has changed, and nothing of the table.
        pd.testing.assert_frame_equal(read.weights, result.weights)
        pd.testing.assert_frame_equal(read.returns, result.returns, check_freq=False)


class UnreadError(Exception):
    """A table that was refused by its name."""


def reading(folder: Path, damaged: Path) -> BacktestResult:
    try:
        return BacktestResult.from_parquet(folder)
    except InputError as error:
        if str(error).startswith(f"cannot read {damaged}: "):
            raise UnreadError from None
        raise


def test_tables_of_another_backtest(kept, other, tmp_path) -> None:
    other.to_parquet(tmp_path)
    (tmp_path / "weights.parquet").write_bytes(kept["weights.parquet"])
    with pytest.raises(InputError, match=r"weights\.parquet: it is not of the backtest that"):
        BacktestResult.from_parquet(tmp_path)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_another_table_of_the_same_backtest(kept, tmp_path, name) -> None:
    for file, content in kept.items():
        (tmp_path / file).write_bytes(content)
    other = next(table for table in TABLES if table != name)
    (tmp_path / f"{name}.parquet").write_bytes(kept[f"{other}.parquet"])
    with pytest.raises(UnreadError):
        reading(tmp_path, tmp_path / f"{name}.parquet")


def test_tables_of_an_earlier_version_are_read(result, kept, tmp_path) -> None:
    (tmp_path / "settings.json").write_bytes(kept["settings.json"])
    for name in TABLES:
        table = getattr(result, name)
        frame = table.to_frame() if isinstance(table, pd.Series) else table
        frame.to_parquet(tmp_path / f"{name}.parquet")
    again = BacktestResult.from_parquet(tmp_path)
    pd.testing.assert_frame_equal(again.weights, result.weights)


# --- labels --------------------------------------------------------------------------------------

KINDS = {
    "tuples": [("a", k) for k in range(6)],
    "uneven tuples": [("a",), ("a", "b"), ("c", 1, 2), (), ("d",), ("e", "f")],
    "numbers": range(6),
    "dates": pd.date_range("2020-01-31", periods=6),
    "mixed": ["a", 2, ("b", 3), 4.5, "e", "f"],
    "odd": ["[/x]", "$x_{$", "", " ", "_u", "\n"],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:The DataFrame has column names of mixed type")
def test_labels_of_any_kind(market, kind, tmp_path: Path) -> None:
    labels = list(KINDS[kind])
    returns = market.returns.set_axis(pd.Index(labels, tupleize_cols=False), axis=1)
    run = Backtest(returns, market.factors, ["nominal"], "5Y", "1Y").run()
    plain = Backtest(market.returns, market.factors, ["nominal"], "5Y", "1Y").run()
    assert list(run.weights.columns) == labels
    np.testing.assert_array_equal(run.weights, plain.weights)
    plot_weights(run).draw_without_rendering()
    if kind in ("tuples", "uneven tuples", "mixed"):
        with pytest.raises(InputError, match=r"cannot be kept in a Parquet file.*rename the"):
            run.to_parquet(tmp_path / "out")
        assert not (tmp_path / "out").exists()
    else:
        run.to_parquet(tmp_path / "out")
        assert list(BacktestResult.from_parquet(tmp_path / "out").weights.columns) == labels


@pytest.mark.parametrize("name", ["$x_{$", "_mine", "[/x]", ":smile:", "a\\b$c$"])
def test_strategies_of_any_name_are_drawn(market, name, tmp_path: Path) -> None:
    run = Backtest(market.returns, market.factors, [EqualWeight(name), "nominal"], "5Y").run()
    for figure in (plot_wealth(run), plot_relative_wealth(run, "nominal")):
        figure.savefig(tmp_path / "figure.png")
        assert figure.axes[0].get_legend().get_texts()[0].get_text() == name
    for figure in (plot_relative_wealth(run), plot_weights(run)):
        figure.savefig(tmp_path / "figure.png")
        assert name in figure.axes[0].get_title()
