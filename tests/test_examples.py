"""Every example runs from top to bottom, and says what it should."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def output(monkeypatch, tmp_path, capsys):
    def run(name: str, *arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", line)]


def row(text: str, name: str) -> list[float]:
    """The numbers of a table's row."""
    (line,) = (line for line in text.splitlines() if line.strip().startswith(name))
    return numbers(line.strip().removeprefix(name))


def test_none_is_left_out():
    tested = {"demo.py", "paper.py", "own_model.py", "solvers.py", "allocation.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_demo(output, tmp_path):
    text = output("demo.py", "plots")
    equal, nominal, worst_case, robust_1, robust_2 = row(text, "CV")
    assert nominal < 1e-6 < worst_case < equal
    assert robust_1 < robust_2
    volatility = row(text, "volatility")
    assert volatility[4] < volatility[3] < volatility[1]
    assert row(text, "largest weight")[0] == pytest.approx(100 / 30, abs=1e-3)
    assert len(set(row(text, "ω_max"))) == 1
    plots = {path.name for path in (tmp_path / "plots").iterdir()}
    assert plots >= {"comparison.png", "equal_weight.png", "nominal.png", "robust_omega_2.png"}


def test_paper(output):
    text = output("paper.py")
    nlp, qclp, socp, worst_case, robust = row(text, "CV")
    assert max(nlp, qclp) < 1e-8
    assert socp < 1e-6 < min(worst_case, robust)
    differences = [numbers(line)[-1] for line in text.splitlines() if "against (11)" in line]
    assert len(differences) == 2
    assert max(differences) < 1e-5


def test_own_model(output):
    lines = output("own_model.py").splitlines()
    assert len(lines) == 3
    objectives = [numbers(line)[0] for line in lines]
    assert max(objectives) - min(objectives) < 1e-8
    assert all(numbers(line)[-1] < 1e-6 for line in lines)


def test_solvers(output):
    text = output("solvers.py")
    lines = {line.split()[0]: line for line in text.splitlines()}
    for solver in ("clarabel", "casadi_ipopt", "ipopt", "scs", "gurobi", "scip"):
        objective, difference, *_ = numbers(lines[solver])
        assert objective == pytest.approx(numbers(lines["clarabel"])[0], rel=1e-3)
        assert difference < 1e-2
    assert "does not take second-order" in lines["highs"]


def test_allocation(output):
    header, *lines = output("allocation.py").splitlines()
    assert "gap" in header
    prices, gaps, means, _, cv, largest, turnover = zip(*map(numbers, lines), strict=True)
    # A cheaper gap is used more, and buys return, within the investor's own limit.
    assert list(prices) == sorted(prices, reverse=True)
    assert list(gaps) == sorted(gaps)
    assert list(means) == sorted(means)
    assert gaps[-1] > 1.5 * gaps[0]
    assert cv[0] < 0.2
    assert largest[0] < 1.5
    assert max(turnover) <= 40.001
