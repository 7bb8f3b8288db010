"""The command line: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from rrp_pyomo import (
    CovarianceUncertainty,
    FactorModel,
    RiskParitySOCP,
    RobustRiskParity,
    WeightSet,
)
from rrp_pyomo.cli.main import app
from rrp_pyomo.data import datasets, excess_returns
from rrp_pyomo.solve.table import SOLVERS

KEYS = [
    "model", "solver", "status", "objective", "omega", "omega_max", "weights",
    "relative_risk_contributions", "volatility", "cv", "highest_risk_contribution", "herfindahl",
    "certificate",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def rrp(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def solved(*arguments: object) -> str:
    result = rrp("solve", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def failed(status: int, *arguments: object) -> str:
    """The one line that a command that fails prints."""
    result = rrp(*arguments)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("rrp: ")
    assert "Traceback" not in line
    return line.removeprefix("rrp: ")


def read_json(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sixty months of five assets as CSV files, with the risk-free rate among the factors."""
    folder = tmp_path_factory.mktemp("csv")
    data = datasets.french()
    returns = data.returns.iloc[-60:, :5]
    factors = data.factors.tail(60).assign(RF=data.risk_free.tail(60))
    returns.to_csv(folder / "returns.csv")
    factors.to_csv(folder / "factors.csv")
    factors.drop(columns="RF").to_csv(folder / "factors_only.csv")
    budgets = pd.Series([0.3, 0.25, 0.2, 0.15, 0.1], returns.columns, name="budget")
    budgets.to_csv(folder / "budgets.csv", index_label="asset")
    return folder


def data_of(folder, factors="factors.csv"):
    return "--returns", folder / "returns.csv", "--factors", folder / factors


@pytest.fixture(scope="module")
def uncertainty(files):
    table = pd.read_csv(files / "factors.csv", index_col=0, parse_dates=True)
    returns = pd.read_csv(files / "returns.csv", index_col=0, parse_dates=True)
    excess = excess_returns(returns, table["RF"])
    return FactorModel.fit(excess, table.drop(columns="RF")).covariance_uncertainty()


# --- rrp solve ----------------------------------------------------------------------------------


def test_robust_portfolio_as_json(files, uncertainty, tmp_path):
    out = tmp_path / "out.json"
    solved(*data_of(files), "--model", "robust", "--omega", 2, "--json", out)
    written = read_json(out)
    expected = RobustRiskParity(uncertainty, omega=2.0).solve()
    assert list(written) == KEYS
    assert written["weights"] == pytest.approx(expected.weights.to_dict(), abs=1e-6)
    assert written["omega"] == 2.0
    assert written["omega_max"] == pytest.approx(expected.omega_max)
    assert written["volatility"] == pytest.approx(expected.volatility)
    assert written["certificate"]["status"] == "converged"
    assert set(written["certificate"]["residuals"]) == {f"12{c}" for c in "bcdefg"}


@pytest.mark.parametrize("model", ["nlp", "qclp", "socp"])
def test_nominal_portfolios(model, files, uncertainty, tmp_path):
    out = tmp_path / "out.json"
    solved(*data_of(files), "--model", model, "--json", out)
    written = read_json(out)
    expected = RiskParitySOCP(uncertainty.nominal).solve("newton").weights
    assert written["weights"] == pytest.approx(expected.to_dict(), abs=1e-6)
    assert written["omega"] is None
    assert written["omega_max"] is None
    assert written["certificate"]["is_risk_parity"] is True


def test_worst_case_is_measured_under_the_nominal_covariance(files, uncertainty, tmp_path):
    out = tmp_path / "out.json"
    text = solved(*data_of(files), "--model", "socp", "--worst-case", "--json", out)
    written = read_json(out)
    weights = RiskParitySOCP(uncertainty.worst_case).solve("newton").weights
    assert written["weights"] == pytest.approx(weights.to_dict(), abs=1e-6)
    variance = weights @ uncertainty.nominal.matrix() @ weights
    assert written["volatility"] == pytest.approx(math.sqrt(variance), rel=1e-6)
    assert written["cv"] > 1e-4
    assert written["certificate"]["is_risk_parity"] is True
    assert "risk parity under the worst-case covariance" in text


def test_budgets(files, tmp_path):
    out = tmp_path / "out.json"
    budgets = files / "budgets.csv"
    solved(*data_of(files), "--model", "socp", "--budgets", budgets, "--json", out)
    written = read_json(out)["relative_risk_contributions"]
    targets = pd.read_csv(budgets, index_col=0)["budget"]
    assert written == pytest.approx(targets.to_dict(), abs=1e-6)


def test_short_positions(files, uncertainty, tmp_path):
    out, (first, second, *others) = tmp_path / "out.json", uncertainty.labels
    socp = (*data_of(files), "--model", "socp")
    solved(*socp, "--short", first, "--short", second, "--gross", 1.5, "--json", out)
    weights = read_json(out)["weights"]
    assert {name for name, weight in weights.items() if weight < 0} == {first, second}
    assert sum(map(abs, weights.values())) == pytest.approx(1.5)
    assert "unknown asset 'XYZ'" in failed(2, "solve", *socp, "--short", "XYZ")
    robust = (*data_of(files), "--model", "robust:0.1", "--short", first, "--gross", 1)
    solved(*robust, "--json", out)
    signs = [-1.0, 1, 1, 1, 1]
    errors = abs(uncertainty.worst_case_loadings - uncertainty.nominal.loadings)
    worst = CovarianceUncertainty.from_loading_errors(uncertainty.nominal, errors, 1.0, signs)
    expected = RobustRiskParity(worst, 0.1, weight_set=WeightSet(signs=signs, gross=1)).solve()
    assert read_json(out)["weights"] == pytest.approx(expected.weights.to_dict(), abs=1e-6)
    most = [part for name in (first, second, *others[:2]) for part in ("--short", name)]
    assert "no multiple of it is fully invested" in failed(2, "solve", *socp, *most)


def test_without_a_risk_free_rate_returns_are_taken_as_they_are(files, tmp_path):
    out = tmp_path / "out.json"
    solved(*data_of(files, "factors_only.csv"), "--model", "socp", "--json", out)
    returns = pd.read_csv(files / "returns.csv", index_col=0, parse_dates=True)
    factors = pd.read_csv(files / "factors_only.csv", index_col=0, parse_dates=True)
    covariance = FactorModel.fit(returns, factors).covariance
    expected = RiskParitySOCP(covariance).solve().volatility
    assert read_json(out)["volatility"] == pytest.approx(expected)


def test_data_set_table_and_plot(tmp_path):
    picture = tmp_path / "out.png"
    text = solved("--dataset", "french", "--model", "robust", "--plot", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert all(asset in text for asset in datasets.french().returns.columns)
    for word in ("weight %", "volatility", "CV", "HRC", "Herfindahl", "ω_max", "duality gap"):
        assert word in text


def test_solver_by_name(files, tmp_path):
    out = tmp_path / "out.json"
    solved(*data_of(files), "--model", "qclp", "--solver", "newton", "--json", out)
    assert read_json(out)["solver"].startswith("newton")


def test_infinite_omega_max_is_null_in_json(tmp_path):
    """Multiples of the factor leave no estimation error: no aversion to it is too large."""
    dates = pd.date_range("2020-01-31", periods=32, freq="ME", name="date")
    market = np.random.default_rng(0).permutation([-3.0, -1.0, 1.0, 3.0] * 8) / 64
    returns = {"A": market, "B": 2 * market, "C": market / 2}
    pd.DataFrame({"market": market}, dates).to_csv(tmp_path / "factors.csv")
    pd.DataFrame(returns, dates).to_csv(tmp_path / "returns.csv")
    out = tmp_path / "out.json"
    text = solved(*data_of(tmp_path), "--model", "robust", "--omega", 1e6, "--json", out)
    written = read_json(out)
    assert written["omega"] == 1e6
    assert written["omega_max"] is None
    assert written["weights"] == pytest.approx({"A": 2 / 7, "B": 1 / 7, "C": 4 / 7}, abs=1e-6)
    (line,) = (line for line in text.splitlines() if "ω_max" in line)
    assert line.split() == ["ω_max", "inf"]


def test_more_assets_than_a_terminal_shows(tmp_path):
    rng = np.random.default_rng(0)
    dates = pd.date_range("2020-01-31", periods=36, freq="ME", name="date")
    market = rng.normal(0.01, 0.04, 36)
    noise = rng.normal(0, 0.05, (36, 80))
    names = [f"A{i}" for i in range(80)]
    pd.DataFrame(market[:, None] + noise, dates, names).to_csv(tmp_path / "returns.csv")
    pd.DataFrame({"market": market}, dates).to_csv(tmp_path / "factors.csv")
    text = solved(*data_of(tmp_path), "--model", "socp")
    assert "the 60 largest of 80 weights" in text
    assert sum(line.strip().startswith("A") for line in text.splitlines()) == 60


# --- bad input ----------------------------------------------------------------------------------

ROBUST = ("solve", "--dataset", "french", "--model", "robust")
LEAST = ("solve", "--dataset", "french", "--model", "minimum_variance")
SOCP = ("solve", "--dataset", "french", "--model", "socp")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("slove",), ["No such command 'slove'", "solve"]),
        (("solve", "--dataset", "french"), ["--model"]),
        (("solve", "--model", "socp"), ["--dataset", "--returns and --factors"]),
        ((*SOCP, "--returns", "r.csv"), ["either --dataset"]),
        (("solve", "--model", "socp", "--returns", "r.csv"), ["both --returns and --factors"]),
        (("solve", "--dataset", "french", "--model", "sopc"), ["sopc", "socp", "robust"]),
        (("solve", "--dataset", "frnech", "--model", "socp"), ["frnech", "french"]),
        ((*ROBUST, "--omega", "one"), ["--omega"]),
        ((*ROBUST, "--omega", "-1"), ["omega is -1", "at least 0"]),
        ((*ROBUST, "--omega", "nan"), ["omega is nan"]),
        ((*ROBUST, "--worst-case"), ["--worst-case", "socp"]),
        ((*SOCP, "--omega", "1"), ["--omega goes with --model robust"]),
        ((*SOCP, "--solver", "clarable"), ["'clarable'", "did you mean 'clarabel'"]),
        ((*SOCP, "--solver", "xpress"), ["xpress", 'pip install "rrp-pyomo[xpress]"']),
        ((*ROBUST, "--solver", "highs"), ["'highs' does not take second-order", "clarabel"]),
        ((*LEAST, "--solver", "newton"), ["newton", "clarabel"]),
        ((*SOCP, "--plot", "out.doc"), ["out.doc", "png"]),
        ((*SOCP, "--plot", "none/out.png"), ["none/out.png", "No such file or directory"]),
        ((*SOCP, "--json", "none/out.json"), ["none/out.json", "No such file or directory"]),
        ((*SOCP, "--json", "."), ["Is a directory"]),
        ((*SOCP, "--budgets", "none.csv"), ["none.csv", "no such file"]),
        (("solve", "--model", "socp", "--returns", "r", "--factors", "f"), ["no such file"]),
    ],
)
def test_bad_input(arguments, words, monkeypatch, tmp_path):
    if "xpress" in arguments and SOLVERS["xpress"].locate() is not None:
        pytest.skip("Xpress is installed here")
    monkeypatch.chdir(tmp_path)
    line = failed(2, *arguments)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty"]),
        ("date,A,B\n", ["0 row"]),
        ("date,A,B\n2020-01-31,0.01,x\n", ["line 2", "'B'", "'x'"]),
        ("date,A,B\n2020-01-31,0.01,\n", ["line 2", "'B'"]),
        ("date,A,A\n2020-01-31,0.01,0.02\n", ["'A'", "2 times"]),
        ("date,A,B\nmonday,0.01,0.02\n", ["line 2", "'monday'", "YYYY-MM-DD"]),
        ("date,A,B\n2020-01-31,1.5,2.5\n", ["percentages", "divide by 100"]),
        ("date,A,B\n2020-01-31,0.1,0.2\n", ["observations", "at least"]),
    ],
)
def test_bad_returns_file(content, words, tmp_path):
    (tmp_path / "returns.csv").write_text(content)
    (tmp_path / "factors.csv").write_text("date,m\n2020-01-31,0.01\n")
    line = failed(2, "solve", "--model", "socp", *data_of(tmp_path))
    assert all(word in line for word in words), line


def test_returns_and_factors_of_other_dates(files, tmp_path):
    (tmp_path / "factors.csv").write_text("date,m\n2020-01-31,0.01\n")
    line = failed(
        2, "solve", "--model", "socp", "--returns", files / "returns.csv",
        "--factors", tmp_path / "factors.csv",
    )  # fmt: skip
    assert "returns" in line
    assert "factors" in line


def test_budgets_that_do_not_fit(files, tmp_path):
    path = tmp_path / "budgets.csv"
    path.write_text("asset,budget\nNoDur,0.5\nDurbl,0.5\n")
    line = failed(2, "solve", "--model", "socp", *data_of(files), "--budgets", path)
    assert "budgets" in line
    path.write_text("asset,budget\nNoDurr,1.0\n")
    line = failed(2, "solve", "--model", "socp", *data_of(files), "--budgets", path)
    assert "did you mean 'NoDur'" in line


def test_unreadable_file(tmp_path):
    (tmp_path / "returns.csv").write_bytes(b"\xff\xfe\x00\x81")
    (tmp_path / "factors.csv").write_text("date,m\n2020-01-31,0.01\n")
    assert "returns.csv" in failed(2, "solve", "--model", "socp", *data_of(tmp_path))


# --- no solution --------------------------------------------------------------------------------


def test_omega_beyond_its_largest_value(files, uncertainty):
    omega_max = RobustRiskParity(uncertainty).solve().omega_max
    line = failed(3, "solve", *data_of(files), "--model", "robust", "--omega", 1e6)
    assert "omega = 1000000" in line
    assert f"omega_max = {omega_max:.6g}"[:18] in line


# --- the rest -----------------------------------------------------------------------------------


def test_solvers_lists_every_solver():
    result = rrp("solvers")
    assert result.exit_code == 0
    words = result.stdout
    for name, solver in SOLVERS.items():
        found = solver.locate()
        assert name in words
        assert (found.version if found else solver.install.split()[0]) in words
    for word in ("linear", "second-order", "nonconvex", "integer", "kernel, environ"):
        assert word in words


def test_help_names_the_exit_statuses():
    result = rrp("--help")
    assert result.exit_code == 0
    assert "2 for bad input" in result.stdout
    assert all(name in result.stdout for name in ("solve", "solvers"))


def test_warnings_are_one_line(monkeypatch):
    """A portfolio whose solver promises less than usual is printed, and the doubt about it."""
    program = """
import warnings
from rrp_pyomo.cli.main import app
from rrp_pyomo.errors import RiskParityWarning

@app.command()
def doubt():
    warnings.warn("first line\\nsecond line", RiskParityWarning)

app(["doubt"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == "rrp: warning: first line second line\n"


def test_program_ends_with_its_status():
    """As a process of its own: no traceback behind the one line."""
    command = [sys.executable, "-c", "from rrp_pyomo.cli.main import app; app()", *ROBUST]
    done = subprocess.run([*command, "--omega", "-1"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_installed_command_is_this_app():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert EntryPoint("rrp", project["scripts"]["rrp"], "console_scripts").load() is app


def test_version():
    result = rrp("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("rrp 0.")


def test_errors_before_a_command_are_one_line():
    assert "--nope" in failed(2, "--nope", "solve")
    assert "frobnicate" in failed(2, "frobnicate")


def test_pictures_are_of_a_known_kind():
    message = failed(2, "solve", "--dataset", "french", "--model", "socp", "--plot", "x.pgf")
    assert ".png, .pdf, .svg" in message


def test_locale_without_greek_letters():
    command = "from rrp_pyomo.cli.main import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", command, "solve", "--dataset", "french", "--model", "robust"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    assert b"_max" in done.stdout
