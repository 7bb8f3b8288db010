"""Constrained risk budgeting against other statements of it, and the gap of larger models."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
import scipy.optimize

from rrp_pyomo import DenseCovariance, FactorModel, RiskBudgeting, WeightSet, solve_program
from rrp_pyomo.data import Group, LinearRow, excess_returns
from rrp_pyomo.errors import InfeasibleError, InputError, ModelError, UnknownLabelError
from rrp_pyomo.models.constrained_budgeting import _polished, constrained_risk_budgeting
from rrp_pyomo.models.newton import newton

N = 10
A = [f"A{i}" for i in range(N)]


@pytest.fixture(scope="module")
def industries(french):
    """The 60 months to 2017-03 of 30 industry portfolios."""
    returns = excess_returns(french.returns, french.risk_free).tail(60)
    return FactorModel.fit(returns, french.factors.tail(60)).covariance


SETS = {
    "upper": WeightSet(upper=0.12),
    "lower": WeightSet(lower={"A3": 0.3}),
    "excluded": WeightSet(lower={"A1": 0.05}, upper={"A0": 0.02, "A9": 0.0}),
    "fixed": WeightSet(lower={"A5": 0.2}, upper={"A5": 0.2}),
    "groups": WeightSet(
        groups={"top": Group(A[:3], 0.5, None), "end": Group(["A8", "A9"], None, 0.05)}
    ),
    "rows": WeightSet(rows=[LinearRow("tilt", {"A0": 1.0, "A1": 1.0, "A2": -1.0}, 0.2, 0.25)]),
    "equality": WeightSet(rows=[LinearRow("pair", {"A0": 1.0, "A7": -2.0}, 0.0, 0.0)]),
    "nearly one portfolio": WeightSet(upper=0.1001),
    "all": WeightSet(
        lower=0.02,
        upper=0.2,
        groups={"top": Group(A[:3], 0.35, 0.4)},
        rows=[LinearRow("tilt", pd.Series({"A5": 1.0, "A6": -1.0}), 0.01, None)],
    ),
}


def by_cvxpy(S, b, X):
    """min σ(x) − λ Σ b_i log x_i without 1'x = 1, λ by bisection, by another hand."""
    n, held = len(b), X.upper > 0
    x, lam = cp.Variable(n), cp.Parameter(nonneg=True)
    rows = [x >= X.lower, x[np.isfinite(X.upper)] <= X.upper[np.isfinite(X.upper)]]
    if X.matrix is not None:
        low, high = np.isfinite(X.row_lower), np.isfinite(X.row_upper)
        rows += [X.matrix[low] @ x >= X.row_lower[low]] if low.any() else []
        rows += [X.matrix[high] @ x <= X.row_upper[high]] if high.any() else []
    risk = cp.norm(np.linalg.cholesky(S).T @ x)
    (at,) = np.nonzero(held & (b > 0))
    problem = cp.Problem(cp.Minimize(risk - lam * (b[at] @ cp.log(x[at]))), rows)

    def total(logarithm):
        lam.value = np.exp(logarithm)
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        return x.value.sum() - 1.0

    scipy.optimize.brentq(total, -6.0, 6.0, xtol=1e-7)
    return x.value


@pytest.mark.parametrize("case", SETS)
def test_against_cvxpy(case, factor_covariance):
    Sigma = factor_covariance(N)
    b = np.linspace(1.0, 2.0, N) / np.linspace(1.0, 2.0, N).sum()
    problem = RiskBudgeting(Sigma, b, SETS[case])
    portfolio = problem.solve()
    S = Sigma.matrix().to_numpy()
    expected = by_cvxpy(S / S.diagonal().mean(), b, problem.weight_set)
    np.testing.assert_allclose(portfolio.weights, expected, atol=1e-5)
    certificate = portfolio.certificate
    assert certificate.is_risk_budgeting
    assert max(certificate.largest_deviation, certificate.infeasibility) < 1e-12
    assert certificate.stationarity < 1e-9
    assert portfolio.weights.sum() == pytest.approx(1.0, abs=1e-14)


def test_richard_roncalli_on_industries(industries):
    """The largest contributions of DESIGN's table, and all untouched ones equal to 1e-12."""
    labels = list(industries.labels)
    cases = {
        1.0114: WeightSet(upper={"Utils": 0.06}),
        1.0242: WeightSet(upper={"Utils": 0.03}),
        1.0246: WeightSet(upper=0.05),
        1.1908: WeightSet(groups={"first": Group(labels[:12], upper=0.35)}),
        3.5296: WeightSet(lower={"Utils": 0.2}),
    }
    for largest, X in cases.items():
        certificate = RiskBudgeting(industries, weight_set=X).solve().certificate
        assert certificate.largest_share == pytest.approx(largest, abs=5e-5)
        assert certificate.largest_deviation < 1e-12


def test_the_simplex_is_newtons(factor_covariance):
    Sigma = factor_covariance(N)
    b = np.arange(1.0, N + 1) / np.arange(1.0, N + 1).sum()
    expected = newton(Sigma, b).weights
    for solver in (None, "newton", "clarabel"):
        portfolio = RiskBudgeting(Sigma, b).solve(solver)
        np.testing.assert_allclose(portfolio.weights, expected, rtol=1e-10)
        assert abs(portfolio.objective) < 1e-12 * portfolio.volatility
    loose = RiskBudgeting(Sigma, b, WeightSet(upper=0.9)).solve()
    np.testing.assert_allclose(loose.weights, expected, rtol=1e-10)
    assert loose.certificate.binding == ()


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt", "gurobi"])
def test_the_gap_in_a_larger_model(industries, solver, need):
    """A Var with a bound of its own: the gap within its limit, in per-period volatility."""
    need(solver)
    problem = RiskBudgeting(industries)
    m = pyo.ConcreteModel()
    m.w = pyo.Var(industries.labels, bounds=(0, 0.05))
    m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
    m.parity = problem.block(weights=m.w)
    m.cap = pyo.Constraint(expr=m.parity.parity_gap <= 0.001)
    m.goal = pyo.Objective(expr=m.parity.volatility)
    pyo.SolverFactory(solver).solve(m)
    x = np.array([pyo.value(m.w[a]) for a in industries.labels])
    volatility = np.sqrt(x @ industries.matrix().to_numpy() @ x)
    assert pyo.value(m.parity.volatility) == pytest.approx(volatility, rel=1e-5)
    gap = volatility - problem.parity_ratio * np.exp(np.log(30 * x).mean())
    assert gap == pytest.approx(0.001, rel=1e-3)
    assert pyo.value(m.parity.parity_gap) == pytest.approx(gap, rel=1e-3)


def test_the_gap_over_exponential_cones(factor_covariance):
    """Budgets in no ratio of whole numbers: kernel blocks for conic solvers, environ for Ipopt."""
    Sigma = factor_covariance(N)
    b = np.sqrt(np.arange(1.0, N + 1)) / np.sqrt(np.arange(1.0, N + 1)).sum()
    problem = RiskBudgeting(Sigma, b, WeightSet(upper=0.12))
    expected = solve_program(problem.program()).objective * problem.objective_unit
    for block, solver in ((problem.kernel(), "clarabel"), (problem.block(), "casadi_ipopt")):
        pyo.SolverFactory(solver).solve(block)
        assert pyo.value(block.parity_gap) == pytest.approx(expected, rel=1e-4)
    x, value = cp.Variable(N), 100 * problem.parity_ratio
    root = np.linalg.cholesky(1e4 * Sigma.matrix().to_numpy()).T
    tower = cp.Variable()
    rows = [cp.sum(x) == 1, x >= 0, x <= 0.12]
    rows += [cp.sum(cp.multiply(b, cp.rel_entr(tower, N * x))) <= 0]  # Σ b_i log(N x_i/g) ≥ 0
    found = cp.Problem(cp.Minimize(cp.norm(root @ x) - value * tower), rows).solve(cp.CLARABEL)
    assert found / 100 == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("near", [1e-9, 0.1])
def test_the_active_constraints_are_found_out(factor_covariance, near):
    """From a guess near the weights, with none of the constraints taken as active or too many."""
    Sigma = factor_covariance(N)
    b = np.full(N, 1.0 / N)
    X = WeightSet(upper=0.105, groups={"a": Group(A[:5], upper=0.48)}).resolve(A)
    exact = constrained_risk_budgeting(Sigma, b, X)
    guess = 0.998 * exact.weights
    found = _polished(Sigma, b, X, guess, exact.reward, near)
    assert found is not None
    np.testing.assert_allclose(found[0], exact.weights, rtol=1e-10)
    assert found[1] == pytest.approx(exact.reward, rel=1e-10)
    assert 0 < (exact.weights == 0.105).sum() < N


# --- degenerate sets ------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0.4, 0.9])
def test_groups_with_fixed_totals(factor_covariance, first):
    """Any λ keeps 1'x = 1: within groups x_i ((Σx)_i − μ_g) ∝ b_i, with Σ_g μ_g Σ_g x_i = 0."""
    Sigma = factor_covariance(N)
    groups = {"a": Group(A[:4], first, first), "b": Group(A[4:], 1 - first, 1 - first)}
    portfolio = RiskBudgeting(Sigma, weight_set=WeightSet(groups=groups)).solve()
    x = portfolio.weights.to_numpy()
    marginal = Sigma.operator @ x
    variance = x @ marginal
    normal = np.array([[1.0] * 4 + [0.0] * 6, [0.0] * 4 + [1.0] * 6])
    missing = marginal - variance / N / x
    mu = np.linalg.lstsq(normal.T, missing, rcond=None)[0]
    np.testing.assert_allclose(missing, normal.T @ mu, atol=1e-12 * marginal.max())
    assert mu @ [first, 1 - first] == pytest.approx(0.0, abs=1e-12 * variance)


@pytest.mark.parametrize("X", [WeightSet(upper=0.1), WeightSet(lower=0.1)], ids=["upper", "lower"])
def test_a_set_of_one_portfolio(factor_covariance, X):
    portfolio = RiskBudgeting(factor_covariance(N), weight_set=X).solve()
    np.testing.assert_allclose(portfolio.weights, 0.1, rtol=1e-12)
    assert len(portfolio.certificate.binding) == N


def test_zero_budgets_are_hedges(hedging_covariance):
    """Assets without a budget minimise the variance: (Σx)_i = 0 where held, ≥ 0 where not."""
    held = 0
    for seed in range(6):
        Sigma = hedging_covariance(N, seed)
        b = np.array([0.5, 0.3, 0.2] + [0.0] * (N - 3))
        problem = RiskBudgeting(Sigma, b)
        portfolio = problem.solve()
        x, r = portfolio.weights.to_numpy(), portfolio.relative_risk_contributions.to_numpy()
        np.testing.assert_allclose(r, b, atol=1e-10)
        marginal = Sigma.operator @ x
        assert (marginal[3:] >= -1e-9 * marginal.max()).all()
        held += (x[3:] > 1e-6).sum()
        assert abs(portfolio.objective) < 1e-12 * portfolio.volatility
        assert portfolio.certificate.is_risk_budgeting
        # c is the least ratio there is: no portfolio has a negative gap.
        gap = solve_program(problem.program()).objective
        assert gap > -1e-7
    assert held > 0  # some of them do hedge


def test_what_has_no_solution(factor_covariance):
    Sigma = factor_covariance(N)
    two = dict(zip(A, [0.5, 0.5] + [0.0] * 8, strict=True))
    cases = {
        "leaves no room for 'A0', 'A1'; give them budgets of 0": (
            None, WeightSet(groups={"a": Group(["A0", "A1"], upper=0.0)}),
        ),
        "weights sum to less than 1 .* raise upper bounds": (two, WeightSet(upper=0.3)),
        "sum to less than 1": (
            None,
            WeightSet(rows=[LinearRow("r", {a: 1 + 9 * (a > "A4") for a in A}, upper=1.0)]),
        ),
    }  # fmt: skip
    for message, (budgets, X) in cases.items():
        with pytest.raises(InfeasibleError, match=message):
            RiskBudgeting(Sigma, budgets, X).solve()
    hedged = DenseCovariance([[1.0, -0.9], [-0.9, 1.0]], ["A", "B"])
    with pytest.raises(InfeasibleError, match=r"weights sum to more than 1 .* lower lower bounds"):
        RiskBudgeting(hedged, weight_set=WeightSet(lower={"A": 0.9})).solve()


def test_what_is_refused(factor_covariance):
    Sigma = factor_covariance(N)
    everything = {"all": Group(A, 1.3, 1.3)}
    with pytest.raises(InputError, match="has x = 0 in it"):
        RiskBudgeting(Sigma, weight_set=WeightSet(fully_invested=False)).solve()
    with pytest.raises(InputError, match="asks for neither; use one of them, or block"):
        RiskBudgeting(Sigma, weight_set=WeightSet(fully_invested=False, groups=everything)).solve()
    with pytest.raises(InputError, match="all 1 assets with a budget have upper bounds of 0"):
        RiskBudgeting(Sigma, [1.0] + [0.0] * 9, WeightSet(upper={"A0": 0.0}))
    with pytest.raises(InputError, match=r"budget of 'A0' is -0\.1; budgets must not be"):
        RiskBudgeting(Sigma, [-0.1, 1.1] + [0.0] * 8)
    with pytest.raises(ModelError, match="'newton' takes positive budgets, and 9 are 0"):
        RiskBudgeting(Sigma, [1.0] + [0.0] * 9).solve("newton")
    with pytest.raises(ModelError, match="'newton' takes weights that are just long-only"):
        RiskBudgeting(Sigma, weight_set=WeightSet(upper=0.2)).solve("newton")
    with pytest.raises(UnknownLabelError, match="unknown Newton option 'tolerance'"):
        RiskBudgeting(Sigma).solve("newton", tolerance=1e-3)


@pytest.mark.parametrize("solver", ["casadi_ipopt", "scs"])
def test_any_solver_of_the_subproblems_gives_the_same(factor_covariance, solver, need):
    problem = RiskBudgeting(factor_covariance(N), weight_set=WeightSet(upper=0.12))
    expected = problem.solve().weights
    np.testing.assert_allclose(problem.solve(need(solver)).weights, expected, rtol=1e-12)


def test_cv_leaves_out_assets_without_a_budget(factor_covariance):
    portfolio = RiskBudgeting(factor_covariance(N), [0.5, 0.5] + [0.0] * 8).solve()
    assert portfolio.cv < 1e-9


# --- what the gap implies -------------------------------------------------------------------------


def gap_and_contributions(problem, Sigma, x):
    """η = −log(1 − gap / volatility) and the relative contributions."""
    marginal = Sigma.operator @ x
    volatility = np.sqrt(x @ marginal)
    gap = volatility - problem.parity_ratio * problem.geometric_mean(x)
    assert gap >= -1e-12 * volatility
    return -np.log1p(-gap / volatility), x * marginal / (x @ marginal)


@pytest.mark.parametrize("spread", [0.01, 0.1, 1.0])
def test_gap_bounds_contributions(dense_covariance, spread):
    """Σ b_i log(b_i / r_i) ≤ 2η without negative covariances, each term at least 0."""
    tightest = np.inf
    for seed in range(20):
        rng = np.random.default_rng([seed, int(100 * spread)])
        Sigma = DenseCovariance(np.abs(dense_covariance(N, seed).matrix()) + 1e-3 * np.eye(N))
        b = rng.dirichlet(np.ones(N))
        problem = RiskBudgeting(Sigma, b)
        x = problem.solve().weights.to_numpy() * np.exp(spread * rng.normal(size=N))
        eta, r = gap_and_contributions(problem, Sigma, x)
        divergence = b @ np.log(b / r)
        assert divergence <= 2 * eta * (1 + 1e-9) + 1e-12
        tightest = min(tightest, 2 * eta / divergence)
        terms = b * (r / b - 1 - np.log(r / b))
        assert terms.max() <= 2 * eta * (1 + 1e-9) + 1e-12
    assert tightest < 2.5  # the bound is not idle


@pytest.mark.parametrize("spread", [0.01, 0.1, 1.0])
def test_gap_bounds_contributions_of_hedges(hedging_covariance, spread):
    """Σ |r_i − b_i| ≤ max(√(2 (K + 2) η), 4η) with K = (Σ x_i σ_i)² / x'Σx, whatever the signs."""
    for seed in range(20):
        rng = np.random.default_rng([seed, int(100 * spread)])
        Sigma = hedging_covariance(N, seed)
        problem = RiskBudgeting(Sigma)
        x = problem.solve().weights.to_numpy() * np.exp(spread * rng.normal(size=N))
        eta, r = gap_and_contributions(problem, Sigma, x)
        K = (x @ np.sqrt(Sigma.variances)) ** 2 / (x @ (Sigma.operator @ x))
        bound = max(np.sqrt(2 * (K + 2) * eta), 4 * eta)
        assert np.abs(r - problem.budgets).sum() <= bound * (1 + 1e-9)


def test_slack_of_11_bounds_the_smallest_contribution(hedging_covariance):
    """(min RC) / (mean RC) ≥ (1 − s / p)², and nothing bounds the largest."""
    from rrp_pyomo import RiskParitySOCP

    Sigma = hedging_covariance(N, 1)
    problem = RiskParitySOCP(Sigma)
    parity = problem.solve("newton").weights.to_numpy()
    for seed in range(20):
        x = parity * np.exp(0.3 * np.random.default_rng(seed).normal(size=N))
        values = problem._values_at(x)
        share = x * (Sigma.operator @ x) * N / (x @ (Sigma.operator @ x))
        if values["t"] > 0:
            assert share.min() >= (values["t"] / values["p"]) ** 2 * (1 - 1e-12)
