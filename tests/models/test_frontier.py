"""Efficient frontiers: against cvxpy, the critical line, and their own definition."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import MeanCVaR, MeanVariance, RiskParitySOCP, WeightSet, efficient_frontier
from rrp_pyomo.data import FactorCovariance
from rrp_pyomo.errors import InputError
from rrp_pyomo.uncertainty import Box, Ellipsoid, LoadingsBall, Wasserstein

LABELS = list("abcdef")


def market(seed=0, n=6):
    rng = np.random.default_rng(seed)
    V = rng.normal(0.0, 0.03, (2, n)) + 0.03
    sigma = FactorCovariance(V, np.eye(2), rng.uniform(0.02, 0.05, n) ** 2, LABELS[:n])
    return pd.Series(rng.uniform(0.002, 0.015, n), LABELS[:n]), sigma


@pytest.mark.parametrize("X", [None, WeightSet(upper=0.4)])
def test_points_have_the_least_risk_for_their_return(X):
    mu, sigma = market()
    S, n, top = sigma.matrix().to_numpy(), 6, 1.0 if X is None else 0.4
    frontier = efficient_frontier(MeanVariance(mu, sigma, weight_set=X), 7)
    assert frontier.nominal is None
    values = frontier.values
    np.testing.assert_allclose(np.diff(values["nominal_return"], 2), 0.0, atol=3e-8)
    w, level = cp.Variable(n), cp.Parameter()
    admissible = [cp.sum(w) == 1, w >= 0, w <= top]
    least = cp.Problem(cp.Minimize(cp.quad_form(w, S)), [*admissible, mu.to_numpy() @ w >= level])
    for mean, risk in zip(values["nominal_return"], values["nominal_risk"], strict=True):
        level.value = mean - 1e-9
        assert np.sqrt(least.solve("CLARABEL")) == pytest.approx(risk, rel=1e-5)
    highest = cp.Problem(cp.Maximize(mu.to_numpy() @ w), admissible).solve("CLARABEL")
    assert values["nominal_return"].iloc[-1] == pytest.approx(highest, rel=1e-5)
    lowest = cp.Problem(cp.Minimize(cp.quad_form(w, S)), admissible).solve("CLARABEL")
    assert values["nominal_risk"].iloc[0] == pytest.approx(np.sqrt(lowest), rel=1e-6)


def test_budget_only_is_the_hyperbola():
    """σ² = σ_g² + (r − r_g)²/(μ'Qμ), by risk aversions."""
    mu, sigma = market(1)
    S, one = sigma.matrix().to_numpy(), np.ones(6)
    inverse = np.linalg.inv(S)
    c = one @ inverse @ one
    Q = inverse - inverse @ np.outer(one, one) @ inverse / c
    problem = MeanVariance(mu, sigma, weight_set=WeightSet(long_only=False))
    frontier = efficient_frontier(problem, [1.0, 3.0, 10.0])
    assert frontier.weights.index.tolist() == [1.0, 3.0, 10.0]
    r, s = frontier.values["nominal_return"], frontier.values["nominal_risk"]
    expected = 1 / c + (r - one @ inverse @ mu / c) ** 2 / (mu @ Q @ mu)
    np.testing.assert_allclose(s**2, expected, rtol=1e-6)
    before = problem.solve()
    again = efficient_frontier(problem, [3.0])
    np.testing.assert_allclose(again.weights.iloc[0], frontier.weights.iloc[1], atol=1e-8)
    assert problem.statement.numbers["risk_aversion"] == 1.0
    assert problem.solve().objective == pytest.approx(before.objective)
    with pytest.raises(InputError, match="points as risk aversions"):
        efficient_frontier(problem, 5)


def test_the_robust_frontier_is_best_at_the_worst_case_and_the_nominal_one_without():
    mu, sigma = market(2)
    omega = np.diag(sigma.variances)
    problem = MeanVariance(Ellipsoid(mu, omega, 0.15), sigma)
    frontier = efficient_frontier(problem, 30)
    robust, nominal = frontier.values, frontier.nominal.values
    for values, weights in ((robust, frontier.weights), (nominal, frontier.nominal.weights)):
        for point, w in weights.iterrows():
            at = values.loc[point]
            assert at["nominal_return"] == pytest.approx(mu @ w)
            assert at["worst_return"] == pytest.approx(mu @ w - 0.15 * np.sqrt(w @ omega @ w))
            assert at["worst_risk"] == pytest.approx(np.sqrt(sigma.variance(w)))
    grid = np.linspace(robust["worst_risk"].min(), robust["worst_risk"].max(), 30)
    best, plain = (np.interp(grid, v["worst_risk"], v["worst_return"]) for v in (robust, nominal))
    assert (best >= plain - 1e-6).all()
    assert (best > plain + 2e-5).any()
    assert robust["worst_return"].iloc[-1] > nominal["worst_return"].iloc[-1] + 1e-4
    assert nominal["nominal_return"].iloc[-1] > robust["nominal_return"].iloc[-1] + 1e-4
    lines = frontier.plot().axes[0].lines
    assert len(lines) == 4
    assert len(frontier.nominal.plot().axes[0].lines) == 1


def test_no_uncertainty_is_the_nominal_frontier_and_a_uniform_box_shifts_it():
    mu, sigma = market(3)
    plain = efficient_frontier(MeanVariance(mu, sigma), 5)
    none = efficient_frontier(MeanVariance(Box(mu, 0.0), sigma), 5)
    assert none.weights.equals(plain.weights)
    shifted = efficient_frontier(MeanVariance(Box(mu, 0.001), sigma), 5)
    np.testing.assert_allclose(shifted.weights, plain.weights, atol=2e-5)
    lost = shifted.values["nominal_return"] - shifted.values["worst_return"]
    np.testing.assert_allclose(lost, 0.001)


def test_costs_and_penalties_count_as_less_return():
    mu, sigma = market(4)
    held = pd.Series(1 / 6, LABELS)
    costly = MeanVariance(mu, sigma, l1=0.01, previous=held, turnover=0.5)
    frontier = efficient_frontier(costly, 5)
    assert ((frontier.weights - held).abs().sum(axis=1) <= 0.5 + 1e-7).all()
    free = efficient_frontier(MeanVariance(mu, sigma, previous=held, turnover=0.5), 5)
    traded = [(f.weights - held).abs().sum(axis=1).iloc[-1] for f in (frontier, free)]
    assert traded[0] < traded[1]


def test_other_problems_go_by_their_number():
    """CVaR and mean of scenarios: each point is the problem's own answer at that weight."""
    rng = np.random.default_rng(6)
    mu, sigma = market(6)
    returns = pd.DataFrame(rng.multivariate_normal(mu, sigma.matrix(), 60), columns=LABELS)
    ball = MeanCVaR(Wasserstein(returns, 0.01), 0.1)
    frontier = efficient_frontier(ball, [0.0, 2.0, 50.0])
    assert frontier.weights.index.name == "mean_weight"
    for weight, x in frontier.weights.iterrows():
        own = MeanCVaR(Wasserstein(returns, 0.01), 0.1, weight)
        assert own.worst_value(x) == pytest.approx(own.solve().worst_value, rel=1e-6)
        losses = np.sort(-(returns @ x))[::-1]
        at = frontier.values.loc[weight]
        assert at["nominal_risk"] == pytest.approx(losses[:6].mean())
        assert at["nominal_return"] == pytest.approx(returns.mean() @ x)
        charged = at["nominal_risk"] + 0.01 / 0.1 * np.linalg.norm(x)
        if weight == 0.0:
            assert at["worst_risk"] == pytest.approx(charged, rel=1e-6)
    assert frontier.values["nominal_return"].is_monotonic_increasing
    ball.solve()
    assert efficient_frontier(ball, [50.0]).weights.iloc[0].equals(frontier.weights.iloc[2])
    with pytest.raises(InputError, match="no evenly spaced returns"):
        efficient_frontier(ball, 5)


def test_one_set_for_mean_and_covariance_goes_by_risk_aversions():
    _, sigma = market(7)
    factor_mean = pd.Series([0.01, 0.005], sigma.factor_labels)
    joint = LoadingsBall(
        sigma.loadings, sigma.factor_covariance, sigma.residual_variance, 0.1, factor_mean
    )
    frontier = efficient_frontier(MeanVariance(None, joint), [1.0, 5.0])
    half, values = frontier.values.index.to_numpy() / 2, frontier.values
    worst = values["worst_return"] - half * values["worst_risk"] ** 2
    nominal = values["nominal_return"] - half * values["nominal_risk"] ** 2
    assert (worst < nominal).all()
    with pytest.raises(InputError, match="in a set"):
        efficient_frontier(MeanVariance(None, joint), 4)


def test_units_do_not_matter():
    mu, sigma = market(8)
    S = sigma.matrix()
    small, large = (
        efficient_frontier(MeanVariance(Ellipsoid(k * mu, S, 0.1 * k), k**2 * S), 4)
        for k in (1.0, 100.0)
    )
    np.testing.assert_allclose(large.weights, small.weights, atol=1e-6)
    np.testing.assert_allclose(large.values, 100 * small.values, rtol=1e-5)


def test_equal_means_have_one_point():
    _, sigma = market(5)
    frontier = efficient_frontier(MeanVariance(pd.Series(0.01, LABELS), sigma), 3)
    assert frontier.weights.nunique().eq(1).all()


@pytest.mark.parametrize(
    ("points", "message"),
    [(1, "at least 2"), (2.5, "whole number"), ([-1.0], "at least 0"), ("many", "risk_aversion")],
)
def test_what_is_refused(points, message):
    with pytest.raises(InputError, match=message):
        efficient_frontier(MeanVariance(*market()), points)


def test_problems_without_a_trade_off_are_refused():
    _, sigma = market()
    with pytest.raises(InputError, match="expected a RobustProblem"):
        efficient_frontier(RiskParitySOCP(sigma))
    with pytest.raises(InputError, match="no evenly spaced returns"):
        efficient_frontier(MeanVariance(None, sigma))
