"""(3), (4), (11) and Newton are the same portfolio: risk parity, and the only long-only one."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from rrp_pyomo import (
    DenseCovariance,
    FactorCovariance,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
)
from rrp_pyomo.errors import InputError, RiskParityWarning, SolverError, UnknownLabelError
from rrp_pyomo.models.newton import newton

SIZES = (5, 25, 60, 200)


@pytest.fixture(params=["factored", "dense", "market", "market, factored"])
def covariance(request, factor_covariance, dense_covariance):
    def make(n, seed=0):
        match request.param:
            case "factored":
                return factor_covariance(n, seed=seed)
            case "dense":
                return dense_covariance(n, seed)
            case "market":
                returns = request.getfixturevalue("weekly_market").excess
                stocks = np.random.default_rng([n, seed]).choice(returns.columns, n, replace=False)
                return DenseCovariance(returns[stocks].cov())
            case _:
                return request.getfixturevalue("market_uncertainty")(n, seed).nominal

    return make


def unequal(covariance, seed=0):
    b = np.random.default_rng(seed).uniform(0.2, 1.0, covariance.size)
    return pd.Series(b / b.sum(), index=list(covariance.labels))


@pytest.mark.parametrize("budgets", [None, unequal], ids=["equal", "unequal"])
@pytest.mark.parametrize("n", SIZES)
def test_all_formulations_agree(covariance, n, budgets):
    Sigma = covariance(n)
    b = budgets and budgets(Sigma)
    oracle = RiskParitySOCP(Sigma, b).solve("newton")
    assert oracle.cv <= 1e-14
    for formulation, cv in ((RiskParityQCLP, 1e-10), (RiskParityNLP, 1e-8), (RiskParitySOCP, 1e-6)):
        portfolio = formulation(Sigma, b).solve()
        assert portfolio.cv <= cv
        assert n * np.abs(portfolio.weights - oracle.weights).max() <= 1e-5
        assert portfolio.weights.sum() == pytest.approx(1.0, abs=1e-12 if cv < 1e-6 else 1e-8)
        assert portfolio.certificate.is_risk_parity
        if b is not None:
            contributions = portfolio.relative_risk_contributions
            pd.testing.assert_series_equal(contributions, b, check_names=False, rtol=1e-5)


@pytest.mark.parametrize("formulation", [RiskParityNLP, RiskParityQCLP])
@pytest.mark.parametrize("start", ["equal", "inverse_volatility", "a Series"])
def test_without_hedges_every_start_leads_there(formulation, start, factor_covariance):
    """Not only from the solution: Ipopt gets there from elsewhere where there are no traps."""
    Sigma = factor_covariance(25)
    if start == "a Series":
        x = np.random.default_rng(1).dirichlet(np.full(25, 5.0))
        start = pd.Series(x, index=list(Sigma.labels))[::-1]
    portfolio = formulation(Sigma).solve(start=start)
    assert 25 * np.abs(portfolio.weights - RiskParitySOCP(Sigma).solve().weights).max() <= 1e-5


@pytest.mark.parametrize("formulation", [RiskParityNLP, RiskParityQCLP, RiskParitySOCP])
@pytest.mark.parametrize("solver", ["casadi_ipopt", "ipopt", "gurobi", "scip"])
def test_solvers_agree(formulation, solver, factor_covariance, need):
    Sigma = factor_covariance(5)
    portfolio = formulation(Sigma).solve(need(solver))
    oracle = RiskParitySOCP(Sigma).solve("newton")
    assert 5 * np.abs(portfolio.weights - oracle.weights).max() <= 1e-5
    assert portfolio.solver.startswith(solver)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_newton_minimises_the_log_form(n, dense_covariance):
    """Its multiple with Σx = b/x is the minimum of ½x'Σx − b'log x, found by scipy too."""
    Sigma = dense_covariance(n, seed=3)
    S = Sigma.matrix().to_numpy() / Sigma.variances.mean()
    b = unequal(Sigma).to_numpy()
    found = newton(Sigma, b)
    assert found.deviation <= 1e-14
    peer = minimize(
        lambda y: 0.5 * np.exp(y) @ S @ np.exp(y) - b @ y,
        np.zeros(n),
        jac=lambda y: np.exp(y) * (S @ np.exp(y)) - b,
        tol=1e-12,
    )
    x = np.exp(peer.x)
    np.testing.assert_allclose(found.weights, x / x.sum(), rtol=1e-5)


def test_newton_factored_and_dense_agree(factor_covariance):
    Sigma = factor_covariance(300, m=5)
    b = unequal(Sigma).to_numpy()
    factored, dense = newton(Sigma, b), newton(DenseCovariance(Sigma.matrix()), b)
    np.testing.assert_allclose(factored.weights, dense.weights, rtol=1e-12)


def test_newton_with_budgets_of_very_different_size(hedging_covariance):
    Sigma = hedging_covariance(50, seed=0)
    b = np.geomspace(1e-6, 1.0, 50)
    b /= b.sum()
    found = newton(Sigma, b)
    R = found.weights * Sigma.marginal_risk(found.weights).to_numpy()
    np.testing.assert_allclose(R / R.sum(), b, rtol=1e-11)


def test_newton_says_where_there_is_no_answer():
    """x = (1, 1)/2 has no risk at all: contributions of 1/2 of nothing."""
    Sigma = DenseCovariance([[1.0, -1.0], [-1.0, 1.0]])
    with pytest.raises(SolverError, match="long-only portfolio with almost no risk"):
        RiskParityNLP(Sigma).solve("newton")
    almost = DenseCovariance([[1.0, -0.999], [-0.999, 1.0]])
    assert RiskParityNLP(almost).solve("newton").cv <= 1e-12


def test_newtons_iterations_can_be_limited(factor_covariance):
    with pytest.raises(SolverError, match="in 2 iterations"):
        RiskParitySOCP(factor_covariance(25)).solve("newton", max_iter=2)


@pytest.mark.parametrize("option", ["max_iter", "tol"])
@pytest.mark.parametrize("value", [0, "2", None, True, np.timedelta64(1, "D"), [1], np.nan])
def test_newtons_options_are_positive_numbers(factor_covariance, option, value):
    with pytest.raises(InputError, match=rf"{option} is .*; expected a .*number"):
        RiskParitySOCP(factor_covariance(3)).solve("newton", **{option: value})


def test_objectives_of_newton_are_those_of_the_problem(factor_covariance):
    Sigma = factor_covariance(25)
    for formulation in (RiskParityNLP, RiskParityQCLP, RiskParitySOCP):
        by_newton, portfolio = formulation(Sigma).solve("newton"), formulation(Sigma).solve()
        scale = Sigma.mean_row_sum
        assert by_newton.objective == pytest.approx(portfolio.objective, abs=1e-8 * scale**0.5)


# --- hedging assets: where a nonlinear solver may stop elsewhere ----------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("formulation", [RiskParityNLP, RiskParityQCLP])
@pytest.mark.parametrize("n", [100, 200, 500])
def test_the_default_start_ends_in_risk_parity(formulation, n, hedging_covariance):
    for seed in range(10):
        portfolio = formulation(hedging_covariance(n, seed)).solve()  # warnings are errors here
        assert portfolio.certificate.is_risk_parity
        assert portfolio.cv <= 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("formulation", [RiskParityNLP, RiskParityQCLP])
@pytest.mark.parametrize("n", [100, 200, 500])
def test_failures_from_equal_weights_are_all_reported(formulation, n, hedging_covariance):
    failed = 0
    for seed in range(10):
        Sigma = hedging_covariance(n, seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            portfolio = formulation(Sigma).solve(start="equal")
        said = [w for w in caught if w.category is RiskParityWarning]
        wrong = n * np.abs(portfolio.weights - newton(Sigma, portfolio.budgets).weights).max() > 0.1
        assert portfolio.certificate.is_risk_parity is not wrong
        assert len(said) == wrong
        if wrong:
            failed += 1
            assert portfolio.status == "Solve_Succeeded"  # which is why one must not trust it
            assert portfolio.cv > 0.01
            assert "not risk parity" in str(said[0].message)
            assert "start='convex'" in str(said[0].message)
            assert said[0].filename == __file__
    assert failed >= 5  # otherwise this test tests nothing


@pytest.mark.parametrize(
    ("formulation", "seed"), [(RiskParityQCLP, 0), (RiskParityQCLP, 3), (RiskParityNLP, 175)]
)
def test_ipopt_is_kept_near_the_convex_start(formulation, seed):
    """Hedges with weights close to 0: pushed off its bounds, the solution is left for a trap."""
    n, rng = 500, np.random.default_rng(seed)
    beta, D = rng.normal(1.0, 0.5, (1, n)), rng.uniform(0.01, 0.04, n) ** 2
    problem = formulation(FactorCovariance(beta, [[4e-4]], D))
    assert problem.solve().certificate.is_risk_parity  # warnings are errors here
    pushes = ("bound_push", "bound_frac", "slack_bound_push", "slack_bound_frac")
    with pytest.warns(RiskParityWarning, match="not risk parity"):
        problem.solve(mu_init=1e-4, **dict.fromkeys(pushes, 1e-3))


# --- starts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("formulation", [RiskParityNLP, RiskParityQCLP])
def test_named_starts_are_what_they_say(formulation, hedging_covariance):
    """Where starts lead to different traps, each name leads where its weights do."""
    Sigma = hedging_covariance(50, 0)
    inverse = 1.0 / np.sqrt(Sigma.variances)
    starts = {"equal": np.full(50, 0.02), "inverse_volatility": inverse / inverse.sum()}
    ends = []
    for name, weights in starts.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RiskParityWarning)
            by_name, by_weights = (formulation(Sigma).solve(start=s) for s in (name, weights))
        np.testing.assert_allclose(by_name.weights, by_weights.weights, atol=1e-9)
        ends.append(by_name.weights.to_numpy())
    assert 50 * np.abs(ends[0] - ends[1]).max() > 1  # otherwise this test tests nothing


def test_starts_that_are_none(factor_covariance):
    Sigma = factor_covariance(3)
    problem = RiskParityQCLP(Sigma)
    with pytest.raises(UnknownLabelError, match="start 'equals'; did you mean 'equal'"):
        problem.solve(start="equals")
    with pytest.raises(UnknownLabelError, match="asset 'A9'"):
        problem.solve(start=pd.Series({"A0": 0.5, "A1": 0.2, "A2": 0.2, "A9": 0.1}))
    with pytest.raises(InputError, match="start weights lack 1 of 3 assets, such as 'A2'"):
        problem.solve(start={"A0": 0.5, "A1": 0.5})
    with pytest.raises(InputError, match="'A1' is nan"):
        problem.solve(start=[0.5, np.nan, 0.5])
    with pytest.raises(InputError, match="RiskParitySOCP is convex: it takes no start"):
        RiskParitySOCP(Sigma).solve(start="equal")
