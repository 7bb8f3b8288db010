"""The table of problems: complete, on its page, and all that a new problem needs."""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import pkgutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import rrp_pyomo.models
from rrp_pyomo import RiskParityNLP, RiskParitySOCP, RobustRiskParity, WeightSet, uncertainty
from rrp_pyomo.backtest import Backtest, Registered
from rrp_pyomo.backtest.strategies import parse_strategy
from rrp_pyomo.cli.main import app
from rrp_pyomo.errors import InputError
from rrp_pyomo.models import recipes
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.models.registry import PROBLEMS, Data, Entry, Number, problem_table
from rrp_pyomo.portfolio import Portfolio

PAGE = Path(__file__).parents[2] / "docs" / "problems.md"


def test_the_page_has_this_table():
    """Where this fails, replace the table in docs/problems.md by what problem_table() says."""
    assert problem_table() in PAGE.read_text()


def concrete(problem: type) -> set[type]:
    found = set() if inspect.isabstract(problem) else {problem}
    return found.union(*map(concrete, problem.__subclasses__()))


def test_every_problem_of_the_package_is_in_the_table():
    """Where this fails, give the new problem its line in models/registry.py."""
    for module in pkgutil.iter_modules(rrp_pyomo.models.__path__):
        importlib.import_module(f"rrp_pyomo.models.{module.name}")
    ours = {p for p in concrete(PortfolioProblem) if p.__module__.startswith("rrp_pyomo.")}
    listed = {entry.problem for entry in PROBLEMS.values()}
    assert ours == {problem for problem in listed if issubclass(problem, PortfolioProblem)}
    assert {problem.__name__ for problem in ours} <= set(rrp_pyomo.__all__)


def test_what_the_table_says_runs(french):
    """What is left out as … is filled in by what the recipes take."""
    returns, factors = french.returns.iloc[-60:, :4], french.factors.tail(60)
    model = rrp_pyomo.FactorModel.fit(returns, factors)
    sets = model.covariance_uncertainty()
    known = {
        name: getattr(home, name) for home in (rrp_pyomo, uncertainty) for name in home.__all__
    }
    known |= {
        "returns": returns, "scenarios": returns, "mean": returns.mean(), "T": 60, "radius": 0.001,
        "model": model, "covariance": model.covariance, "uncertainty": sets,
        "alpha": model.alpha, "loadings": model.loadings, "factor_mean": factors.mean(),
    }  # fmt: skip
    left_out = {
        "BlackLitterman(covariance, …)": "BlackLitterman(covariance)",
        "KullbackLeibler(scenarios, …)": "KullbackLeibler(scenarios, 0.1)",
        "loadings, …, 1.0": "loadings, model.factor_covariance, model.residual_variance, 1.0",
    }
    for entry in PROBLEMS.values():
        written = entry.written
        for short, full in left_out.items():
            written = written.replace(short, full)
        assert isinstance(eval(written, dict(known)), entry.problem), entry.written


def test_numbers_are_arguments_with_that_default():
    for entry in PROBLEMS.values():
        taken = inspect.signature(entry.construct).parameters
        assert ("budgets" in taken) == entry.budgets
        if entry.data is Data.ESTIMATES:
            assert list(taken) == ["estimates", "number", "weight_set"]
            assert entry.arguments
        elif entry.number is not None:
            assert taken[entry.number.name].default == entry.number.default


def test_every_recipe_belongs_to_a_line():
    made = inspect.getmembers(recipes, inspect.isfunction)
    ours = {
        name
        for name, function in made
        if function.__module__ == recipes.__name__ and not name.startswith("_")
    }
    assert ours == {entry.recipe for entry in PROBLEMS.values()} - {""}


# --- a problem of another kind --------------------------------------------------------------------


@dataclass(frozen=True)
class Worst:
    """Certificate and details in one: the least return over the scenarios."""

    status: str
    least: float
    alpha: float

    def to_dict(self):
        return {"least_return": self.least}

    def summary(self):
        return f"never below {self.least:.3g}"


class Minimax(PortfolioProblem):
    """maximise α min_s r_s'x over scenarios: no covariance, no budgets."""

    def __init__(self, returns, alpha=1.0, weight_set=None):
        super().__init__(returns.columns, weight_set)
        self.R, self.alpha = returns.to_numpy(), float(alpha)

    def _state(self, program, x):
        least = program.variable("least")
        program.maximize(self.alpha * least)
        program.subject_to(scenarios=self.R @ x >= least)

    @classmethod
    def from_estimates(cls, estimates, number=None, weight_set=None):
        """Of excess returns, both of the assets and of the market beside them."""
        market = estimates.model.factor_covariance.iloc[0, 0]
        return cls(estimates.returns / market, 1.0 if number is None else number, weight_set)

    def _certificate(self, solution):
        return Worst(solution.status, float((self.R @ solution.values["x"]).min()), self.alpha)


@pytest.fixture
def minimax(monkeypatch):
    module = ModuleType("rrp_pyomo.models.minimax")
    module.Minimax = Minimax
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = Entry(
        "minimax", "Minimax", "(2)", "Young (1998)", "linear", Data.RETURNS,
        Number("alpha", 1.0, "scale"), budgets=False,
    )  # fmt: skip
    monkeypatch.setitem(PROBLEMS, "minimax", entry)


def test_a_problem_without_a_covariance():
    returns = pd.DataFrame([[0.02, -0.02], [-0.01, 0.03]], columns=["A", "B"])
    problem = Minimax(returns)
    assert repr(problem) == "Minimax(2 assets, X: long-only, fully invested)"
    portfolio = problem.solve()
    np.testing.assert_allclose(portfolio.weights, [0.625, 0.375], atol=1e-6)
    assert portfolio.objective == pytest.approx(0.005, abs=1e-7)
    assert portfolio.certificate.least == pytest.approx(0.005, abs=1e-7)
    assert repr(portfolio) == "Portfolio(Minimax, 2 assets, largest weight 62.5 % in 'A')"
    with pytest.raises(InputError, match=r"no covariance .* use portfolio\.under"):
        portfolio.volatility  # noqa: B018
    written = portfolio.to_dict()
    assert written["volatility"] is None
    assert written["certificate"] == {"least_return": portfolio.certificate.least}
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert pickle.loads(pickle.dumps(portfolio)).to_dict() == written
    measured = portfolio.under(rrp_pyomo.DenseCovariance(np.eye(2), ["A", "B"]))
    assert measured.volatility == pytest.approx(np.hypot(0.625, 0.375), abs=1e-6)


@pytest.mark.usefixtures("minimax")
def test_a_new_line_in_the_table_is_a_new_model(tmp_path):
    dates = pd.date_range("2020-01-31", periods=30, freq="ME", name="date")
    rng = np.random.default_rng(0)
    factor = pd.DataFrame({"market": rng.normal(0.01, 0.04, 30)}, dates)
    returns = pd.DataFrame(factor.to_numpy() + rng.normal(0, 0.03, (30, 3)), dates, list("ABC"))
    returns.to_csv(tmp_path / "r.csv")
    factor.to_csv(tmp_path / "f.csv")

    def rrp(*arguments: str):
        files = ["--returns", f"{tmp_path}/r.csv", "--factors", f"{tmp_path}/f.csv"]
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["solve", *files, *arguments])

    done = rrp("--model", "minimax:2", "--json", f"{tmp_path}/out.json")
    assert done.exit_code == 0, done.output
    assert "never below" in done.output
    written = json.loads((tmp_path / "out.json").read_text())
    expected = Minimax(returns, 2.0).solve()
    assert written["weights"] == pytest.approx(expected.weights.to_dict(), abs=1e-6)
    assert written["objective"] == pytest.approx(expected.objective)
    assert written["volatility"] > 0  # under the estimated covariance
    for arguments, message in {
        (
            "--omega",
            "1",
        ): "--omega goes with --model robust or robust_budgeting; the model is minimax: leave",
        (
            "--worst-case",
        ): "goes with --model nlp, qclp, socp, budgeting or factor_parity; the minimax model has",
        (
            "--budgets",
            "b.csv",
        ): "--budgets goes with --model nlp, qclp, socp, robust, budgeting, robust_budgeting or",
    }.items():
        refused = rrp("--model", "minimax", *arguments)
        assert refused.exit_code == 2
        assert message in refused.output
    assert "`minimax`, `minimax:1`" in problem_table()

    run = Backtest(returns, factor, ["minimax", "minimax:2"], estimation="1Y", rebalance="6M").run()
    first = Minimax(returns[returns.index < run.rebalances[0]].tail(12)).solve()
    target = run.weights.loc[(run.rebalances[0], "minimax")]
    np.testing.assert_allclose(target, first.weights, atol=1e-6)


def from_half(estimates, number=None, weight_set=None):
    return Minimax(number * estimates.returns.iloc[::2], weight_set=weight_set)


@pytest.mark.usefixtures("minimax")
def test_several_lines_may_have_one_class(monkeypatch):
    """By the class's own way from estimates, or by a recipe."""
    monkeypatch.setattr(recipes, "from_half", from_half, raising=False)
    scaled = Entry(
        "minimax", "Minimax", "scaled", "nobody", "linear", Data.ESTIMATES, budgets=False,
        arguments="returns / variance",
    )  # fmt: skip
    half = replace(
        scaled, number=Number("scale", 3.0, "scale"), arguments="3 returns", recipe="from_half"
    )

    class Known:
        returns = pd.DataFrame([[0.02, -0.02], [9.0, 9.0], [-0.01, 0.03]], columns=["A", "B"])
        model = SimpleNamespace(factor_covariance=pd.DataFrame([[0.5]]))

    X = WeightSet(upper=0.6)
    problem = scaled.make(Known, weight_set=X)
    np.testing.assert_array_equal(problem.R, Known.returns / 0.5)
    assert problem.weight_set.upper.max() == 0.6
    np.testing.assert_array_equal(half.make(Known).R, 3.0 * Known.returns.iloc[[0, 2]])
    np.testing.assert_array_equal(half.make(Known, 5.0).R, 5.0 * Known.returns.iloc[[0, 2]])
    with pytest.raises(InputError, match="Minimax takes no number"):
        scaled.make(Known, 2.0)
    with pytest.raises(InputError, match="takes no worst-case covariance, but the estimates"):
        half.make(Known, worst_case=True)
    monkeypatch.setitem(PROBLEMS, "half", half)
    assert "| `Minimax(3 returns)` | scaled, nobody | linear | `clarabel` | `half`, `half:3` |" in (
        problem_table()
    )


# --- problems by name -----------------------------------------------------------------------------


def test_registered_problems_are_strategies():
    assert isinstance(parse_strategy(" socp "), Registered)
    assert parse_strategy("qclp").name == "qclp"
    for text in ("socp:2", "nominal:2", "robust:two"):
        with pytest.raises(
            InputError, match=r"strategy .* a number goes with robust, robust_budgeting.* only"
        ):
            parse_strategy(text)
    with pytest.raises(
        InputError,
        match="unknown model 'sopc'; expected nlp, qclp, socp, robust, budgeting, robust_b",
    ):
        Registered("sopc")


def test_make_refuses_what_a_problem_does_not_take(make_uncertainty):
    class Known:
        uncertainty = make_uncertainty(4)
        covariance = uncertainty.nominal

    robust = PROBLEMS["robust"].make(Known, 2.0, weight_set=WeightSet(upper=0.5))
    assert isinstance(robust, RobustRiskParity)
    assert (robust.omega, robust.weight_set.upper.max()) == (2.0, 0.5)
    assert PROBLEMS["robust"].make(Known).omega == 1.0
    worst = PROBLEMS["socp"].make(Known, worst_case=True)
    assert isinstance(worst, RiskParitySOCP)
    assert worst.covariance is Known.uncertainty.worst_case
    assert isinstance(PROBLEMS["nlp"].make(Known), RiskParityNLP)
    with pytest.raises(InputError, match="RobustRiskParity takes no worst-case covariance"):
        PROBLEMS["robust"].make(Known, worst_case=True)
    with pytest.raises(InputError, match=r"RiskParitySOCP takes no number; leave 2\.0 out"):
        PROBLEMS["socp"].make(Known, 2.0)


def test_reprs(make_uncertainty):
    X = WeightSet(upper=0.5, groups={"pair": (["A0", "A1"], 0.1, 0.9)})
    problem = RobustRiskParity(make_uncertainty(4), 1.5, weight_set=X)
    assert repr(problem) == (
        "RobustRiskParity(4 assets, omega=1.5, X: long-only, fully invested, upper bounds, 1 row)"
    )
    text = repr(problem.solve())
    assert text.startswith("Portfolio(RobustRiskParity, 4 assets, volatility ")
    assert "\n" not in text
    assert repr(
        Portfolio.of(pd.Series({"A0": 1.0}), rrp_pyomo.DenseCovariance([[4.0]], ["A0"]))
    ) == ("Portfolio(1 asset, volatility 200 %, largest weight 100 % in 'A0')")
