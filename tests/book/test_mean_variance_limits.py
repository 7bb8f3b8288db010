"""Where robust mean-variance portfolios must end up: limits, closed forms, equivalences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from rrp_pyomo import DenseCovariance, MeanVariance, WeightSet
from rrp_pyomo.uncertainty import Ball, Box, Ellipsoid, FrobeniusBall

N = 5
FREE = WeightSet(long_only=False, fully_invested=False)
BUDGET = WeightSet(long_only=False)
CONE = WeightSet(fully_invested=False)
LONG = WeightSet()
SETS = {"free": FREE, "budget": BUDGET, "cone": CONE, "long": LONG}


@pytest.fixture(params=[0, 1, 2])
def market(request):
    """Means and a covariance of yearly returns."""
    rng = np.random.default_rng(request.param)
    root = rng.normal(size=(N + 3, N)) * 0.12
    return rng.uniform(0.01, 0.12, N), root.T @ root / 2


def weights(*args, **kwargs):
    return MeanVariance(*args, **kwargs).solve().weights.to_numpy()


@pytest.mark.parametrize("X", SETS.values(), ids=SETS)
def test_a_radius_of_zero_is_the_nominal_problem(market, X):
    mean, S = market
    nominal = weights(mean, S, 3.0, weight_set=X)
    for U in (
        Box(mean, 0.0), Ball(mean, 0.0), Ball(mean, 0.0, 1), Ball(mean, 0.0, np.inf),
        Ellipsoid(mean, S, 0.0),
    ):  # fmt: skip
        problem = MeanVariance(U, S, 3.0, weight_set=X)
        np.testing.assert_array_equal(problem.solve().weights, nominal)
        nominal_form = MeanVariance(mean, S, 3.0, weight_set=X).statement.conic()
        assert (problem.statement.conic().A != nominal_form.A).nnz == 0


def test_a_uniform_box_changes_nothing_for_long_weights(market):
    mean, S = market
    nominal = MeanVariance(mean, S, 3.0).solve()
    boxed = MeanVariance(Box(mean, 0.03), S, 3.0).solve()
    np.testing.assert_allclose(boxed.weights, nominal.weights, atol=1e-8)
    assert boxed.worst_value == pytest.approx(nominal.worst_value - 0.03, abs=1e-10)


@pytest.mark.parametrize("X", [FREE, CONE], ids=["free", "cone"])
def test_the_shape_of_the_covariance_shrinks_weights_in_a_cone(market, X):
    """(1 − κ/S)_+ times the nominal weights, S being the best Sharpe ratio over the cone."""
    mean, S = market
    nominal = weights(mean, S, 3.0, weight_set=X)
    sharpe = mean @ nominal / np.sqrt(nominal @ S @ nominal)
    for part in (0.2, 0.7):
        robust = weights(Ellipsoid(mean, S, part * sharpe), S, 3.0, weight_set=X)
        np.testing.assert_allclose(robust, (1 - part) * nominal, atol=1e-7 * abs(nominal).max())
    nothing = weights(Ellipsoid(mean, S, 1.1 * sharpe), S, 3.0, weight_set=X)
    assert np.abs(nothing).max() < 1e-6 * np.abs(nominal).max()


@pytest.mark.parametrize("X", [BUDGET, LONG], ids=["budget", "long"])
def test_with_a_budget_only_the_risk_aversion_grows(market, X):
    """λ + κ/σ(w*), with any constraints (Zhu, Coleman & Li 2009)."""
    mean, S = market
    robust = weights(Ellipsoid(mean, S, 0.4), S, 3.0, weight_set=X)
    aversion = 3.0 + 0.4 / np.sqrt(robust @ S @ robust)
    np.testing.assert_allclose(robust, weights(mean, S, aversion, weight_set=X), atol=1e-8)


def test_with_a_budget_the_deviation_solves_a_quartic(market):
    """(λs + κ)²(s² − σ_g²) = s² μ'Qμ, and no multiple of the free portfolio is the answer."""
    mean, S = market
    aversion, kappa = 3.0, 0.4
    inverse, one = np.linalg.inv(S), np.ones(N)
    total = one @ inverse @ one
    Q = inverse - np.outer(inverse @ one, inverse @ one) / total
    slope, least = mean @ Q @ mean, 1.0 / total

    def quartic(s):
        return (aversion * s + kappa) ** 2 * (s**2 - least) - s**2 * slope

    s = brentq(quartic, np.sqrt(least), 10.0, xtol=1e-14)
    robust = weights(Ellipsoid(mean, S, kappa), S, aversion, weight_set=BUDGET)
    assert np.sqrt(robust @ S @ robust) == pytest.approx(s, rel=1e-8)
    tangency = inverse @ mean / (one @ inverse @ mean)
    assert np.abs(robust - tangency).max() > 1e-3


def test_without_risk_it_is_unbounded_up_to_the_slope_of_the_frontier(market):
    """With λ = 0 and Ω = Σ, σ² = κ²σ_g²/(κ² − μ'Qμ) beyond the slope of its asymptote."""
    mean, S = market
    inverse, one = np.linalg.inv(S), np.ones(N)
    total = one @ inverse @ one
    slope = mean @ (inverse - np.outer(inverse @ one, inverse @ one) / total) @ mean
    kappa = 1.5 * np.sqrt(slope)
    robust = weights(Ellipsoid(mean, S, kappa), S, 0.0, weight_set=BUDGET)
    expected = kappa**2 / total / (kappa**2 - slope)
    assert robust @ S @ robust == pytest.approx(expected, rel=1e-7)
    from rrp_pyomo.errors import SolverError

    with pytest.raises(SolverError):
        MeanVariance(Ellipsoid(mean, S, 0.9 * np.sqrt(slope)), S, 0.0, weight_set=BUDGET).solve()


def test_a_large_radius_forgets_the_means(market):
    """Ω^{-1}1, normalised: minimum variance, 1/n, inverse variance."""
    mean, S = market
    one = np.ones(N)
    by_variance = np.linalg.solve(S, one)
    diagonal = one / np.diag(S)
    for U, expected in (
        (Ellipsoid(mean, S / 60, 1e6), by_variance / by_variance.sum()),
        (Ball(mean, 1e5), one / N),
        (Ball(mean, 1e5, 1), one / N),
        (Ellipsoid(mean, np.diag(np.diag(S)), 1e5), diagonal / diagonal.sum()),
    ):
        found = weights(U, S, 3.0, weight_set=BUDGET)
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_ball_is_a_ridge_of_another_parameter(market):
    """0 where ‖μ‖ ≤ δ; else the ridge with γ = δ/(λ‖w‖) on Σ."""
    mean, S = market
    radius = 0.3 * np.linalg.norm(mean)
    robust = weights(Ball(mean, radius), S, 3.0, weight_set=FREE)
    gamma = radius / (3.0 * np.linalg.norm(robust))
    np.testing.assert_allclose(
        robust, np.linalg.solve(3.0 * (S + gamma * np.eye(N)), mean), rtol=1e-7
    )
    ridge = weights(mean, S, 3.0, l2_squared=1.5 * gamma, weight_set=FREE)
    np.testing.assert_allclose(robust, ridge, rtol=1e-7)
    nothing = weights(Ball(mean, 1.01 * np.linalg.norm(mean)), S, 3.0, weight_set=FREE)
    assert np.abs(nothing).max() < 1e-6


def test_with_equal_variances_a_ball_shrinks_the_mean(market):
    mean, _ = market
    radius = 0.4 * np.linalg.norm(mean)
    robust = weights(Ball(mean, radius), 0.04 * np.eye(N), 3.0, weight_set=FREE)
    np.testing.assert_allclose(robust, 0.6 * mean / (3.0 * 0.04), rtol=1e-7)


def test_a_ridge_is_a_frobenius_ball(market):
    mean, S = market
    for X in SETS.values():
        ridge = MeanVariance(mean, S, 3.0, l2_squared=0.06, weight_set=X).solve()
        ball = MeanVariance(
            mean, FrobeniusBall(DenseCovariance(S), 0.04), 3.0, weight_set=X
        ).solve()
        shifted = MeanVariance(mean, S + 0.04 * np.eye(N), 3.0, weight_set=X).solve()
        np.testing.assert_allclose(ball.weights, ridge.weights, atol=1e-7)
        np.testing.assert_allclose(shifted.weights, ridge.weights, atol=1e-7)
        assert ball.worst_value == pytest.approx(ridge.worst_value, rel=1e-8)


def test_a_lasso_is_a_box_and_an_elastic_net_a_box_with_a_frobenius_ball(market):
    mean, S = market
    for X in SETS.values():
        lasso = MeanVariance(mean, S, 3.0, l1=0.01, weight_set=X).solve()
        box = MeanVariance(Box(mean, 0.01), S, 3.0, weight_set=X).solve()
        np.testing.assert_allclose(box.weights, lasso.weights, atol=1e-7)
        net = MeanVariance(mean, S, 3.0, l1=0.01, l2_squared=0.06, weight_set=X).solve()
        both = MeanVariance(
            Box(mean, 0.01), FrobeniusBall(DenseCovariance(S), 0.04), 3.0, weight_set=X
        ).solve()
        np.testing.assert_allclose(both.weights, net.weights, atol=1e-7)
        assert both.worst_value == pytest.approx(net.worst_value, rel=1e-8)
        # The unsquared norm is another portfolio, and another set's.
        unsquared = MeanVariance(mean, S, 3.0, l1=0.01, l2=0.06, weight_set=X).solve()
        assert np.abs(unsquared.weights - net.weights).max() > 1e-4 or X is CONE


def test_a_ridge_goes_to_equal_weights_with_a_budget_and_to_zero_without(market):
    mean, S = market
    np.testing.assert_allclose(
        weights(mean, S, 3.0, l2_squared=1e5, weight_set=BUDGET), 1 / N, atol=1e-5
    )
    assert np.abs(weights(mean, S, 3.0, l2_squared=1e5, weight_set=FREE)).max() < 1e-5


def test_the_names_and_the_units_do_not_matter(market):
    mean, S = market
    order = np.random.default_rng(0).permutation(N)
    U = Ellipsoid(mean, S / 20, 1.5)
    first = weights(U, S, 3.0)
    shuffled = Ellipsoid(mean[order], S[np.ix_(order, order)] / 20, 1.5)
    np.testing.assert_allclose(
        weights(shuffled, S[np.ix_(order, order)], 3.0), first[order], atol=1e-9
    )
    percent = Ellipsoid(100 * mean, 1e4 * S / 20, 1.5)
    np.testing.assert_allclose(weights(percent, 1e4 * S, 3.0 / 100), first, atol=1e-8)
    monthly = Ellipsoid(mean / 12, S / 12 / (20 * 12), 1.5)
    np.testing.assert_allclose(weights(monthly, S / 12, 3.0), first, atol=1e-8)


def test_the_worst_pair_gives_the_same_portfolio(market):
    """The saddle point: Markowitz for the worst mean and covariance."""
    mean, S = market
    for U in (Ellipsoid(mean, S / 20, 1.5), Ball(mean, 0.02), Box(mean, np.linspace(0, 0.04, N))):
        for X in SETS.values():
            robust = MeanVariance(U, S, 3.0, weight_set=X).solve()
            again = MeanVariance(robust.worst_case.mean, S, 3.0, weight_set=X).solve()
            np.testing.assert_allclose(again.weights, robust.weights, atol=2e-6)
