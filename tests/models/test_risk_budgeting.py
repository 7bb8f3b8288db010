"""Constrained risk budgeting against other statements of it, and the gap of larger models."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
import scipy.optimize

from rrp_pyomo import FactorModel, RiskBudgeting, WeightSet, solve_program
from rrp_pyomo.data import Group, LinearRow, excess_returns
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
