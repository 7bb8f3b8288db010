"""The commands as a user runs them, and what they leave behind."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from rrp_pyomo.backtest import BacktestResult
from rrp_pyomo.cli.main import app
from rrp_pyomo.paper import table1
from rrp_pyomo.paper.experiments import EXPERIMENTS
from rrp_pyomo.paper.reproduce import differences, paper_table
from rrp_pyomo.paper.runner import RunFolder
from rrp_pyomo.paper.table1 import reproduce_table1

RUNNER = CliRunner(env={"COLUMNS": "100"})


def run(*arguments: object, status: int = 0) -> str:
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def files(market, tmp_path: Path) -> list[str]:
    market.returns.to_csv(tmp_path / "returns.csv")
    market.factors.assign(RF=market.risk_free).to_csv(tmp_path / "factors.csv")
    return ["--returns", f"{tmp_path}/returns.csv", "--factors", f"{tmp_path}/factors.csv"]


def test_backtest_of_the_french_data(tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = run(
        "backtest", "--dataset", "french", "--start", "2012-01-01", "--out", out,
        "--strategies", "nominal,robust:1,robust:2",
    )  # fmt: skip
    assert "30 assets, 11 rebalances, held from 2012-01-31 to 2017-03-31" in text
    assert "robust ω = 2" in text
    again = BacktestResult.from_parquet(out)
    assert again.settings["estimation"] == "5Y"
    page = (out / "report.html").read_text()
    # But for the library of the charts, which asks for nothing (see test_report.py).
    without = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert without.count("data:image/png;base64,") == 5
    assert "http" not in re.sub(r"base64,[^\"]*", "", without)
    names = {"wealth", "relative_wealth", "weights", "risk_contributions", "omega"}
    assert {file.stem for file in out.glob("*.svg")} == names
    assert {file.stem for file in out.glob("*.png")} == names


def test_backtest_of_files_reports_what_did_not_go_as_planned(files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = run(
        "backtest", *files, "--strategies", "nominal,robust:1000", "--rebalance", "1Y",
        "--cost", 0.001, "--mean", "arithmetic", "--out", out,
    )  # fmt: skip
    assert "robust ω = 1000: 3 window(s) did not go as planned" in text
    page = (out / "report.html").read_text()
    assert "beyond omega_max" in page or "has no solution" in page
    assert "arithmetic, after costs of 0.10%" in page


def test_a_backtest_spares_the_folders_of_other_runs(files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    arguments = ["backtest", *files, "--out", out, "--strategies"]
    for _ in range(2):
        run(*arguments, "nominal")
    before = (out / "settings.json").read_bytes()
    assert "holds another backtest; choose another folder" in run(*arguments, "robust", status=2)
    assert (out / "settings.json").read_bytes() == before
    RunFolder(tmp_path / "run", {"experiment": "experiment 1"})
    arguments[arguments.index(out)] = tmp_path / "run"
    assert "holds experiment 1; choose another" in run(*arguments, "nominal", status=2)


@pytest.mark.parametrize("cost", ["-0.1", "nan"])
def test_costs_are_checked_first(cost: str, tmp_path: Path) -> None:
    text = run("backtest", "--returns", "none", "--factors", "none", "--cost", cost, status=2)
    assert "expected 0 ≤ cost < 0.5" in text


def test_a_folder_that_cannot_be_made_is_refused_before_solving(files, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = run("backtest", *files, "--out", tmp_path / "file" / "out", status=2)
    assert "cannot write" in text
    assert "assets," not in text


def test_experiment_on_french_data_writes_everything(tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = run(
        "reproduce", "--experiment", 2, "--dataset", "french", "--trials", 2, "--workers", 1,
        "--out", out,
    )  # fmt: skip
    assert "report.html" in text
    table = pd.read_csv(out / "tables.csv")
    assert list(table["n"].unique()) == [12, 25]
    assert list(table.columns) == list(paper_table(EXPERIMENTS["2"]).columns)
    figures = {"n012_wealth", "n025_wealth", "sizes_wealth", "sizes_relative"}
    assert {file.stem for file in out.glob("*.svg")} == figures
    run("reproduce", "--experiment", 2, "--dataset", "french", "--out", out, status=2)


def test_experiment_1_has_the_figures_of_the_paper(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(
        "reproduce", "--experiment", 1, "--dataset", "french", "--sizes", 12, "--trials", 2,
        "--workers", 1, "--mean", "uncompounded", "--out", out,
    )  # fmt: skip
    figures = {"n012_wealth", "n012_relative", "n012_omega"}
    assert {file.stem for file in out.glob("*.png")} == figures
    page = (out / "report.html").read_text()
    assert "uncompounded excess returns" in page
    for chart, lines in (("wealth", 8), ("relative", 6)):
        script = page[page.index(f'id="chart_n012_{chart}"') :].partition("</script>")[0]
        assert script.count('"mode":"text"') == lines
    assert "Excess return<span" in page
    assert ">ann_excess_return" not in page
    # Another start than the paper's: there is nothing to compare it with.
    assert not (out / "differences.csv").exists()


def test_a_history_too_short_for_the_experiment(files, tmp_path: Path) -> None:
    options = ["--sizes", 3, "--out", tmp_path / "out"]
    assert "does not fit the history" in run(
        "reproduce", "--experiment", 1, *files, *options, status=2
    )
    assert not (tmp_path / "out").exists()


def test_table_1_from_the_command_line(tmp_path: Path) -> None:
    text = run("reproduce", "--experiment", "table1", "--trials", 1, "--out", tmp_path / "out")
    assert "65.6" in text
    table = pd.read_csv(tmp_path / "out" / "tables.csv").set_index("measure")
    assert table.loc["cv", "nlp_3"] <= 1e-8
    assert table.loc["cv", "qclp_4"] <= 1e-10


def test_table_1(tmp_path: Path) -> None:
    first = reproduce_table1(tmp_path / "out", trials=1, n=20)
    values = reproduce_table1(tmp_path / "out", trials=2, n=20, resume=True)
    assert list(first.columns) == list(values.columns)
    assert values.loc["cv", "nlp_3"] <= 1e-8
    assert values.loc["cv", "qclp_4"] <= 1e-10
    assert values.loc["runtime_s", "qclp_4_paper"] == 1.81
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert len(runs) == 4
    assert "Medians of (3) and (4)" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("places", [["--workers", 2], ["--executor", "dask", "--workers", 1]])
def test_table_1_in_other_processes(places, tmp_path: Path, monkeypatch) -> None:
    reproduce_table1(tmp_path / "here", trials=2)
    monkeypatch.setattr(table1, "_solve", None)  # in this process
    options = ["--experiment", "table1", "--trials", 2, *places]
    run("reproduce", *options, "--out", tmp_path / "there")
    here, there = (pd.read_csv(tmp_path / name / "runs.csv") for name in ("here", "there"))
    pd.testing.assert_frame_equal(*(table.drop(columns="runtime_s") for table in (here, there)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiment", 1, "--dataset", "french", "--sizes", "a"], "expected whole numbers"),
        (["--experiment", 1, "--dataset", "french", "--sizes", 31], "cannot be drawn from 30"),
        (["--experiment", 1], "give either --dataset, or both"),
        (["--experiment", 1, "--dataset", "french", "--sizes", "5,5"], "give each of them once"),
        (["--experiment", 1, "--dataset", "french", "--trials", 0], "trials is 0; expected at"),
        (["--experiment", "table1", "--sizes", 5], "--sizes: not with --experiment table1"),
        (["--experiment", "table1", "--dataset", "french"], "--dataset: not with"),
        (["--experiment", "table1", "--returns", "r", "--factors", "f"], "--returns, --factors: "),
        (["--experiment", "table1", "--mean", "geometric"], "--mean: not with"),
        (["--experiment", "table1", "--seed", -1], "seed is -1; expected at least 0"),
        (["--experiment", "table1", "--workers", 0], "workers is 0; expected at least 1"),
        (["--experiment", "table1", "--scheduler", "tcp://host:1"], "--scheduler goes with"),
        (
            ["--experiment", 1, "--dataset", "french", "--scheduler", "tcp://host:1"],
            "--scheduler goes with --executor dask",
        ),
    ],
)
def test_refusals(arguments, message, tmp_path: Path) -> None:
    text = run("reproduce", *arguments, "--out", tmp_path / "out", status=2)
    assert message in " ".join(text.split())


def test_a_missing_return_names_asset_and_date(files, market, tmp_path: Path) -> None:
    returns = market.returns.astype(object)
    returns.loc["2004-03-31", "asset 1"] = ""
    returns.to_csv(tmp_path / "returns.csv")
    text = run("backtest", *files, status=2)
    assert "line 52, column 'asset 1'" in text


def test_the_papers_tables_come_along() -> None:
    for name, rows in (("1", 8), ("2", 20)):
        table = paper_table(EXPERIMENTS[name])
        assert len(table) == rows
        assert np.isfinite(table["ann_volatility_pct"]).all()
    assert paper_table(EXPERIMENTS["2"].on(sizes=(25, 30)))["n"].unique() == [25]
    assert paper_table(EXPERIMENTS["1"].on(start="1954-01-01")) is None


@pytest.mark.parametrize("name", ["1", "2"])
def test_sizes_that_the_paper_does_not_have(name) -> None:
    design = EXPERIMENTS[name]
    known = set(design.sizes)
    for sizes in ((5,), (24, 26), (2, 101), (249,), (25, 30), (3, 25, 4)):
        table = paper_table(design.on(sizes=sizes))
        assert (set() if table is None else set(table["n"])) == known & set(sizes)
    for change in ({"estimation": "3Y"}, {"rebalance": "1Y"}, {"end": "2010-01-01"}):
        assert paper_table(design.on(**change)) is None


@pytest.mark.parametrize(("sizes", "alone"), [("3", "3"), ("25,4", "4")])
def test_an_experiment_beside_the_papers(make_market, tmp_path, monkeypatch, sizes, alone) -> None:
    """The generated market begins too late for the paper's own dates."""
    monkeypatch.setitem(EXPERIMENTS, "2", EXPERIMENTS["2"].on(start="2007-01-01"))
    market, out = make_market(26), tmp_path / "out"
    market.returns.to_csv(tmp_path / "returns.csv")
    market.factors.to_csv(tmp_path / "factors.csv")
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr("rrp_pyomo.paper.runner.local_processes", lambda workers: pool)
        run(
            "reproduce", "--experiment", 2, "--sizes", sizes, "--trials", 2, "--workers", 1,
            "--returns", tmp_path / "returns.csv", "--factors", tmp_path / "factors.csv",
            "--out", out,
        )  # fmt: skip
    page = (out / "report.html").read_text()
    assert f"The paper has no figures for portfolios of {alone} assets" in page
    assert (out / "differences.csv").exists() == ("25" in sizes)


def test_differences_from_the_paper() -> None:
    paper = paper_table(EXPERIMENTS["2"])
    assert np.nanmax(np.abs(differences(paper, paper).iloc[:, 3:])) == 0.0
    ours = paper[paper["n"] == 50].copy()
    ours["turnover_pct"] *= 1.02
    ours.loc[ours["omega"] == 1.0, "sharpe_pct"] += 0.302  # a tenth of 66.43 − 63.41
    table = differences(ours, paper).set_index("omega")
    np.testing.assert_allclose(table["turnover_rel_pct"], 2.0)
    assert table.loc[1.0, "sharpe_gain_rel_pct"] == pytest.approx(10.0)
    assert table.loc[2.0, "sharpe_gain_rel_pct"] == pytest.approx(0.0)
    assert table["sharpe_gain_rel_pct"].isna().sum() == 2
