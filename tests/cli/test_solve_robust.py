"""What the command line says of problems with sets: the worst case, in words and in the file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rrp_pyomo.cli.main import app


@pytest.fixture
def files(market, tmp_path: Path) -> list[str]:
    market.returns.to_csv(tmp_path / "returns.csv")
    market.factors.assign(RF=market.risk_free).to_csv(tmp_path / "factors.csv")
    return ["--returns", f"{tmp_path}/returns.csv", "--factors", f"{tmp_path}/factors.csv"]


def solve(files: list[str], model: str, out: Path) -> tuple[str, dict[str, Any]]:
    """What is printed, in one line, and what is written."""
    done = CliRunner(env={"COLUMNS": "160"}).invoke(
        app, ["solve", *files, "--model", model, "--json", str(out)]
    )
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split()), json.loads(out.read_text())


def test_a_set_of_means_and_one_of_loadings(files, tmp_path) -> None:
    printed, written = solve(files, "goldfarb_iyengar:0.9", tmp_path / "out.json")
    for heading in ("worst mean %", "worst volatility %", "price of robustness"):
        assert heading in printed
    value = written["worst_value"]
    assert f"the objective is at least {value:.4g}. " in printed
    assert "The worst elements are in the file of --json." in printed
    worst = written["worst_case"]
    assert set(worst["mean"]) == set(worst["variances"]) == set(written["weights"])
    assert {len(row) for row in worst["loadings"].values()} == {6}
    assert value == pytest.approx(written["objective"], rel=1e-6)
    # The utility of the weights at what is written.
    x, mean = written["weights"], worst["mean"]
    assert sum(x[a] * mean[a] for a in x) > value
    assert written["nominal_value"] > value
    assert written["price_of_robustness"] >= 0.0
    assert written["certificate"]["gap"] < 1e-6


def test_a_set_of_distributions(files, tmp_path) -> None:
    printed, written = solve(files, "wasserstein_cvar:0.01", tmp_path / "out.json")
    assert f"the objective is at most {written['worst_value']:.4g}. Under the worst" in printed
    assert re.search(
        r"of 9\d scenarios, the weights earn \S+% a period on average and -\S+%", printed
    )
    assert written["worst_value"] > written["nominal_value"]
    distribution = written["worst_case"]["distribution"]
    assert sum(map(float, _numbers(distribution["probabilities"]))) == pytest.approx(1.0)
    assert "worst mean %" not in printed


def _numbers(values: Any) -> list[float]:
    return list(values.values()) if isinstance(values, dict) else list(values)


def test_points_promise_nothing(files, tmp_path) -> None:
    printed, written = solve(files, "mean_variance:5", tmp_path / "out.json")
    assert "Whatever element" not in printed
    assert "worst mean" not in printed
    assert written["worst_value"] == written["nominal_value"]
    assert written["price_of_robustness"] == pytest.approx(0.0, abs=1e-9)


def test_numbers_and_options_of_other_problems_are_refused(files) -> None:
    for arguments, message in (
        (["minimum_variance:2"], "a number goes with robust, "),
        (["goldfarb_iyengar", "--worst-case"], "the goldfarb_iyengar model has sets of its own"),
        (["goldfarb_iyengar:2"], "level is 2"),
        (["ridge", "--omega", "1"], "--omega goes with --model robust or robust_budgeting"),
    ):
        done = CliRunner(env={"COLUMNS": "400"}).invoke(
            app, ["solve", *files, "--model", *arguments]
        )
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())
