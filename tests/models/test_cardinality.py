"""Exactly k assets share the risk: against every choice of k, each by Newton's method."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np
import pyomo.environ as pyo
import pytest

from rrp_pyomo import FactorCovariance, FactorModel, RiskBudgeting, RiskParitySOCP, WeightSet
from rrp_pyomo.data import Covariance, excess_returns
from rrp_pyomo.errors import (
    InfeasibleError,
    InputError,
    ModelError,
    RiskParityWarning,
    SolverError,
)
from rrp_pyomo.models.cardinality import parity_bounds
from rrp_pyomo.models.newton import newton
from rrp_pyomo.solve.program import needs
from rrp_pyomo.solve.table import find_solver

SOLVERS = ["scip", "gurobi", "outer_approximation"]


def choices(covariance: Covariance, k: int, signs: Any = None) -> Iterator[np.ndarray]:
    """The risk parity portfolio of every k assets, with Σ|x_i| = 1."""
    labels = covariance.labels
    s = np.ones(len(labels)) if signs is None else signs
    for S in itertools.combinations(range(len(labels)), k):
        at = list(S)
        part = covariance.select([labels[i] for i in at])
        x = np.zeros(len(labels))
        x[at] = newton(part, np.full(k, 1 / k), signs=s[at]).weights
        yield x / np.abs(x).sum()


def volatility(covariance: Covariance, x: np.ndarray) -> float:
    return float(np.sqrt(x @ (covariance.operator @ x)))


@pytest.fixture(scope="module")
def twelve(french) -> tuple[Covariance, np.ndarray]:
    """The first twelve industries over the last five years, and their mean returns."""
    returns = excess_returns(french.returns, french.risk_free).tail(60).iloc[:, :12]
    fitted = FactorModel.fit(returns, french.factors.tail(60))
    return fitted.covariance_uncertainty().nominal, returns.mean().to_numpy()


@pytest.fixture(scope="module")
def every(twelve) -> Callable[[int], list[np.ndarray]]:
    return cache(lambda k: list(choices(twelve[0], k)))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("k", [4, 6])
def test_the_least_volatile_of_all_choices(twelve, every, need, solver, k) -> None:
    covariance, _ = twelve
    best = min(every(k), key=lambda x: volatility(covariance, x))
    portfolio = RiskParitySOCP(covariance, cardinality=k).solve(need(solver))
    assert portfolio.weights.to_numpy() == pytest.approx(best, abs=1e-12)
    assert portfolio.certificate.is_risk_parity
    assert portfolio.details.number_held == k
    assert portfolio.details.selected == tuple(portfolio.weights.index[best > 0])
    assert portfolio.details.bound <= portfolio.volatility
    assert 0 <= portfolio.details.gap < 1.1e-4  # Gurobi's own default
    assert portfolio.largest_deviation < 1e-12


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", [0, 1, 6])
def test_assets_that_hedge_may_be_left_out(factor_covariance, need, solver, seed) -> None:
    """Where an asset that is not selected has a negative marginal risk, (11b) must not bind it."""
    rng = np.random.default_rng(seed)
    covariance = factor_covariance(8, seed=seed)
    V = covariance.V * np.where(rng.random(8) < 0.4, -0.4, 1.0)
    covariance = type(covariance)(V, covariance.F, covariance.D, covariance.labels)
    best = min(choices(covariance, 3), key=lambda x: volatility(covariance, x))
    most = max(choices(covariance, 3), key=lambda x: volatility(covariance, x))
    assert (covariance.operator @ most).min() < 0
    portfolio = RiskParitySOCP(covariance, cardinality=3).solve(need(solver))
    assert portfolio.weights.to_numpy() == pytest.approx(best, abs=1e-12)

    # Also where such a portfolio is what is wanted.
    program = RiskParitySOCP(covariance, cardinality=3).program()
    point = program.point(RiskParitySOCP(covariance, cardinality=3)._values_at(most))
    assert max(program.residuals(point).values()) < 1e-9
    assert program.objective.value(point) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("seed", "k"), [(100, 3), (104, 3), (106, 2), (126, 5)])
def test_cones_without_interior_cost_no_optimum(need, seed, k) -> None:
    """Where a gap of 0 is asked for, Gurobi calls another choice optimal in some of these."""
    rng = np.random.default_rng(seed)
    V = rng.normal(0.0, 0.5, (3, 9))
    V[0] += rng.choice([0, 0.5, 1, 1.5])
    F, D = np.diag([4e-4, 1e-4, 1e-4]), rng.uniform(0.01, 0.05, 9) ** 2
    covariance = FactorCovariance(V, F, D)
    best = min(choices(covariance, k), key=lambda x: volatility(covariance, x))
    portfolio = RiskParitySOCP(covariance, cardinality=k).solve(need("gurobi"))
    assert portfolio.weights.to_numpy() == pytest.approx(best, abs=1e-12)


def test_a_composed_model_with_the_largest_return(twelve, every, need) -> None:
    need("scip")
    covariance, mean = twelve
    least = 0.1
    best = max((x for x in every(4) if x[x > 0].min() >= least), key=lambda x: mean @ x)
    model = pyo.ConcreteModel()
    model.w = pyo.Var(covariance.labels, bounds=(0, 1))
    problem = RiskParitySOCP(covariance, cardinality=4, minimum_weight=least)
    model.rp = problem.block(weights=model.w)
    model.parity = pyo.Constraint(expr=model.rp.slack <= 1e-8)
    gain = sum(1000 * r * w for r, w in zip(mean, model.w.values(), strict=True))
    model.goal = pyo.Objective(expr=gain, sense=pyo.maximize)
    pyo.SolverFactory("scip_direct").solve(model)
    weights = np.array([pyo.value(w) for w in model.w.values()])
    assert weights == pytest.approx(best, abs=1e-4)
    assert [pyo.value(s) > 0.5 for s in model.rp.selected.values()] == list(best > 0)
    assert pyo.value(model.rp.volatility) == pytest.approx(volatility(covariance, best), rel=1e-3)
    assert problem.portfolio(model.rp).certificate.largest_deviation < 1e-3


def test_weights_of_given_signs(factor_covariance, need) -> None:
    covariance = factor_covariance(8, seed=3)
    signs = np.array([1.0, 1, -1, 1, -1, 1, 1, -1])
    best = min(choices(covariance, 3, signs), key=lambda x: volatility(covariance, x))
    X = WeightSet(signs=signs, gross=1.0)
    portfolio = RiskParitySOCP(covariance, weight_set=X, cardinality=3).solve(need("scip"))
    assert portfolio.weights.to_numpy() == pytest.approx(best, abs=1e-12)


def test_all_of_them_are_problem_11(twelve, need) -> None:
    covariance, _ = twelve
    portfolio = RiskParitySOCP(covariance, cardinality=12).solve(need("scip"))
    expected = RiskParitySOCP(covariance).solve("newton")
    assert portfolio.weights.to_numpy() == pytest.approx(expected.weights.to_numpy(), abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*beside:rrp_pyomo.errors.RiskParityWarning")
def test_parity_within_bounds_and_the_least_slack_beyond_them(twelve, every, need) -> None:
    covariance, _ = twelve
    solver = need("scip")
    within = [x for x in every(4) if x[7] <= 0.15]  # Utils
    best = min(within, key=lambda x: volatility(covariance, x))
    X = WeightSet(upper={"Utils": 0.15})
    found = RiskParitySOCP(covariance, weight_set=X, cardinality=4).solve(solver)
    assert found.weights.to_numpy() == pytest.approx(best, abs=1e-12)

    # With Utils at most 6 %, and held, no choice is at parity.
    X = WeightSet(lower={"Utils": 0.02}, upper={"Utils": 0.06})
    problem = RiskParitySOCP(covariance, weight_set=X, cardinality=2)
    found = problem.solve(solver)
    slacks = {
        other: RiskParitySOCP(covariance.select([other, "Utils"]), weight_set=X).solve().objective
        for other in covariance.labels
        if other != "Utils"
    }
    assert set(found.details.selected) == {min(slacks, key=slacks.__getitem__), "Utils"}
    assert found.objective == pytest.approx(min(slacks.values()), rel=1e-5)
    assert found.details.bound == pytest.approx(found.objective * np.sqrt(2), rel=1e-4)
    assert not found.certificate.is_risk_parity


def test_budgeting_is_the_same_at_parity(twelve, every, need) -> None:
    best = min(every(4), key=lambda x: volatility(twelve[0], x))
    portfolio = RiskBudgeting(twelve[0], cardinality=4).solve(need("scip"))
    assert portfolio.weights.to_numpy() == pytest.approx(best, abs=1e-12)
    assert portfolio.certificate.is_risk_budgeting


@pytest.mark.parametrize("solver", ["gurobi", "outer_approximation"])
def test_budgeting_takes_the_choice_of_least_gap(twelve, need, solver) -> None:
    """Against the gap of each choice by cvxpy, and the portfolio of that choice by itself."""
    six = twelve[0].select(["NoDur", "Hlth", "Utils", "Telcm", "Shops", "Money"])
    X = WeightSet(lower={"Utils": 0.02}, upper={"Utils": 0.06})
    problem = RiskBudgeting(six, weight_set=X, cardinality=3)
    found = problem.solve(need(solver))

    def gap(S: tuple[str, ...]) -> float:
        part = six.select(S).matrix().to_numpy() * 1e3
        x, t, z = cp.Variable(3, nonneg=True), cp.Variable(3), cp.Variable(3)
        rows = [z == part @ x, cp.sum(x) == 1, x[S.index("Utils")] <= 0.06]
        rows += [x[S.index("Utils")] >= 0.02]
        rows += [cp.quad_over_lin(t[i], z[i]) <= x[i] for i in range(3)]
        risk = cp.norm(np.linalg.cholesky(part).T @ x)
        goal = cp.Minimize(risk - np.sqrt(3) * cp.geo_mean(t))
        return float(cp.Problem(goal, rows).solve(solver="CLARABEL") / np.sqrt(1e3))

    gaps = {S: gap(S) for S in itertools.combinations(six.labels, 3) if "Utils" in S}
    best = min(gaps, key=gaps.__getitem__)
    assert found.details.selected == best
    assert found.details.bound == pytest.approx(gaps[best], rel=2e-4)
    alone = RiskBudgeting(six.select(best), weight_set=X).solve()
    assert found.weights[list(best)].to_numpy() == pytest.approx(alone.weights.to_numpy(), abs=1e-9)
    assert found.certificate.binding == ("upper bound of 'Utils'",)

    # At the portfolio's weights the statement's values fit, and its gap is no less than the least.
    values = problem._values_at(found.weights.to_numpy())
    program = problem.program()
    assert max(program.residuals(program.point(values)).values()) < 1e-9
    assert found.objective >= gaps[best] - 1e-8


def test_a_minimum_weight(twelve, every, need) -> None:
    covariance, _ = twelve
    within = [x for x in every(4) if x[x > 0].min() >= 0.23]
    best = min(within, key=lambda x: volatility(covariance, x))
    problem = RiskParitySOCP(covariance, cardinality=4, minimum_weight=0.23)
    assert problem.solve(need("scip")).weights.to_numpy() == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_bounds_on_ratios_hold_for_every_choice(factor_covariance, seed) -> None:
    """At parity and away from it: random weights of random choices."""
    rng = np.random.default_rng(seed)
    covariance = factor_covariance(7, seed=seed)
    signs = np.where(rng.random(7) < 0.3 * seed, -1.0, 1.0)
    matrix = covariance.matrix().to_numpy() * np.outer(signs, signs)
    sigma = np.sqrt(np.diag(matrix))
    for k in (2, 4):
        bounds = parity_bounds(matrix / np.outer(sigma, sigma), k)
        assert bounds is not None
        lower, upper, lower_slope, upper_slope = bounds
        for x in choices(covariance, k, signs):
            at = np.flatnonzero(x)
            u = np.abs(x[at])
            for spread in (0.0, 1e-3, 0.03, 0.3, 1.0):
                y = np.zeros(7)
                y[at] = u * np.exp(spread * rng.normal(size=k))
                contributions = (y * (matrix @ y))[at]
                if contributions.min() < 0:
                    continue
                variance = contributions.sum()
                delta = 1 - np.sqrt(k * contributions.min() / variance)
                v = k * sigma[at] * y[at] / np.sqrt(variance)
                assert (v >= (lower - lower_slope * delta)[at] - 1e-9).all()
                assert (v <= (upper + upper_slope * delta)[at] + 1e-9).all()


@pytest.mark.parametrize("solver", ["scip", "outer_approximation"])
def test_the_best_choice_so_far_at_a_time_limit(factor_covariance, need, solver) -> None:
    covariance = factor_covariance(40, seed=1)
    problem = RiskParitySOCP(covariance, cardinality=12)
    try:
        with pytest.warns(RiskParityWarning, match="the best point so far.*more time"):
            found = problem.solve(need(solver), time_limit=4)
    except SolverError as none_yet:
        pytest.skip(f"too slow a machine: {none_yet}")
    assert found.certificate.is_risk_parity
    assert found.details.number_held == 12
    assert found.details.bound < found.volatility
    assert found.details.gap == pytest.approx(1 - found.details.bound / found.volatility)


@pytest.mark.parametrize("kind", [RiskParitySOCP, RiskBudgeting])
def test_a_block_begins_at_a_choice(twelve, kind) -> None:
    """Feasible, also where an asset cannot be held."""
    problem = kind(twelve[0], weight_set=WeightSet(upper={"Utils": 0}), cardinality=4)
    block = problem.block()
    assert block.selected["Utils"].value == 0
    assert sum(s.value for s in block.selected.values()) == 4
    for constraint in block.component_data_objects(pyo.Constraint):
        assert constraint.lslack() > -1e-9
        assert constraint.uslack() > -1e-9


def test_a_statement_for_mosek(twelve) -> None:
    """Which has no licence here: its block has the binaries beside the cones."""
    problem = RiskParitySOCP(twelve[0], cardinality=4)
    assert find_solver("mosek").can(needs(problem.program()))
    block = problem.kernel()
    assert all(s.is_binary() for s in block.selected.values())


def test_what_is_refused(twelve) -> None:
    covariance, _ = twelve
    for arguments, message in (
        ({"cardinality": 13}, "cardinality is 13; expected a whole number from 1 to 12"),
        ({"cardinality": 2.5}, "expected a whole number"),
        ({"cardinality": True}, "expected a whole number"),
        ({"minimum_weight": 0.1}, "give cardinality=k"),
        ({"cardinality": 4, "minimum_weight": 0.3}, "at most 0.25 for 4 assets"),
        ({"cardinality": 4, "minimum_weight": -0.3}, "at least 0"),
        ({"cardinality": 4, "budgets": np.full(12, 1 / 12)}, "leave them out"),
        ({"cardinality": 4, "weight_set": WeightSet(fully_invested=False)}, "largest weight"),
    ):
        with pytest.raises(InputError, match=message):
            RiskParitySOCP(covariance, **arguments)
    problem = RiskParitySOCP(covariance, cardinality=4)
    with pytest.raises(ModelError, match="does not choose assets"):
        problem.solve("newton")
    with pytest.raises(ModelError, match="does not take integer"):
        problem.solve("clarabel")
    with pytest.raises(InputError, match="takes no 'start'"):
        problem.solve(start="equal")


def test_no_choice_at_all(twelve, need) -> None:
    X = WeightSet(lower={"Utils": 0.2, "Hlth": 0.2, "Telcm": 0.2})
    problem = RiskParitySOCP(twelve[0], weight_set=X, cardinality=2)
    with pytest.raises(InfeasibleError, match="no 2 assets have weights in X"):
        problem.solve(need("scip"))
