"""Black & Litterman's posterior against the textbook's formula with inverses, and its limits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.linalg import inv
from scipy.stats import chi2

from rrp_pyomo import (
    BlackLitterman,
    DenseCovariance,
    FactorCovariance,
    MeanVariance,
    WeightSet,
)
from rrp_pyomo.errors import InputError, UnknownLabelError

ASSETS = ["bonds", "stocks", "gold", "Wal-Mart"]


def market(seed, n=4, k=2, factored=False):
    rng = np.random.default_rng(seed)
    labels = ASSETS if n == 4 else [f"a{i}" for i in range(n)]
    V, D = rng.normal(size=(2, n)), rng.uniform(0.01, 0.05, n)
    sigma = FactorCovariance(0.1 * V, np.eye(2), D, labels)
    if not factored:
        sigma = DenseCovariance(sigma.matrix())
    w = rng.dirichlet(np.ones(n))
    return sigma, w, (rng.normal(size=(k, n)), 0.02 * rng.normal(size=k)), rng


def textbook(sigma, pi, tau, P, q, omega):
    """[(τΣ)⁻¹ + P'Ω⁻¹P]⁻¹ [(τΣ)⁻¹π + P'Ω⁻¹q]."""
    M = inv(inv(tau * sigma) + P.T @ inv(omega) @ P)
    return M @ (inv(tau * sigma) @ pi + P.T @ inv(omega) @ q), M


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("factored", [False, True])
def test_kalman_form_is_the_textbook_formula(seed, factored):
    sigma, w, (P, q), rng = market(seed, factored=factored)
    C = rng.normal(size=(2, 2))
    omega = 1e-3 * (C @ C.T + 0.1 * np.eye(2))
    bl = BlackLitterman(sigma, w, 3.0, 0.1, (P, q), omega=omega)
    S = sigma.matrix().to_numpy()
    mean, M = textbook(S, 3.0 * S @ w, 0.1, P, q, omega)
    np.testing.assert_allclose(bl.equilibrium, 3.0 * S @ w, rtol=1e-12)
    np.testing.assert_allclose(bl.mean, mean, rtol=1e-9, atol=1e-12)
    for covariance, expected in ((bl.covariance, M), (bl.predictive_covariance, S + M)):
        np.testing.assert_allclose(covariance.matrix(), expected, rtol=1e-8, atol=1e-12)
        R = covariance.root @ np.eye(4)
        np.testing.assert_allclose(R.T @ R, expected, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(covariance.variances, expected.diagonal(), rtol=1e-8)
        assert covariance.frobenius_norm == pytest.approx(np.linalg.norm(expected), rel=1e-9)
        part = covariance.select(["gold", "bonds"]).matrix()
        np.testing.assert_allclose(part, expected[np.ix_([2, 0], [2, 0])], rtol=1e-8)


def test_a_factored_covariance_stays_factored():
    sigma, w, views, _ = market(0, n=3000, k=3, factored=True)
    bl = BlackLitterman(sigma, w, 2.5, 0.05, views)
    assert sum(f.right.size for p in bl.covariance.root.parts for f in p.factors) < 30_000
    assert bl.covariance.variance(w) < 0.05 * sigma.variance(w)
    U = bl.ellipsoid(0.9)
    longest = np.sqrt(bl.covariance.variances.max())
    assert U._reach == pytest.approx(U.radius * longest)
    assert bl.predictive_covariance.variance(w) == pytest.approx(
        sigma.variance(w) + bl.covariance.variance(w)
    )


@pytest.mark.parametrize("X", [None, WeightSet(long_only=False, fully_invested=False)])
def test_portfolios_under_the_factored_predictive_covariance(X):
    sigma, w, views, _ = market(9, n=12, k=3, factored=True)
    bl = BlackLitterman(sigma, w, 2.5, 0.2, views)
    found = bl.problem(X, predictive=True).solve()
    multiplied = DenseCovariance(bl.predictive_covariance.matrix())
    plain = MeanVariance(bl.mean, multiplied, 2.5, weight_set=X).solve()
    np.testing.assert_allclose(found.weights, plain.weights, atol=1e-7)
    assert found.certificate.relative_gap < 1e-7


def test_certain_views_are_met_and_far_ones_are_not_heard():
    sigma, w, (P, q), _ = market(3)
    certain = BlackLitterman(sigma, w, 2.5, 0.05, (P, q), omega=0.0)
    np.testing.assert_allclose(P @ certain.mean, q, atol=1e-14)
    np.testing.assert_allclose(P @ certain.covariance.matrix() @ P.T, 0.0, atol=1e-16)
    deaf = BlackLitterman(sigma, w, 2.5, 0.05, (P, q), omega=1e9)
    np.testing.assert_allclose(deaf.mean, deaf.equilibrium, atol=1e-9)
    silent = BlackLitterman(sigma, w, 2.5, 0.05)
    assert silent.mean.equals(silent.equilibrium.rename("mean"))


def test_without_views_the_market_is_optimal():
    sigma, w, _, _ = market(1)
    bl = BlackLitterman(sigma, w, 2.5, 0.05)
    S = sigma.matrix().to_numpy()
    np.testing.assert_allclose(inv(S) @ bl.mean / 2.5, w, rtol=1e-10)
    T = bl.predictive_covariance.matrix().to_numpy()
    np.testing.assert_allclose(inv(T) @ bl.mean / 2.5, w / 1.05, rtol=1e-10)


def test_he_and_litterman_default_is_free_of_tau():
    sigma, w, (P, q), _ = market(2)
    means = [BlackLitterman(sigma, w, 2.5, tau, (P, q)).mean for tau in (0.01, 0.3)]
    np.testing.assert_allclose(*means, rtol=1e-10)


def test_free_weights_are_the_market_and_one_portfolio_for_each_view():
    """He & Litterman (1999): w = (w_mkt + P'Λ)/(1 + τ)."""
    sigma, w, (P, q), _ = market(4)
    bl = BlackLitterman(sigma, w, 2.5, 0.2, (P, q))
    T = bl.predictive_covariance.matrix().to_numpy()
    best = inv(T) @ bl.mean.to_numpy() / 2.5
    np.testing.assert_allclose(best, (w + P.T @ bl.view_weights) / 1.2, rtol=1e-9)


def test_the_tables_of_he_and_litterman():
    """He & Litterman (1999), tables 1, 2, 4 and 5: seven countries, λ = 2.5, τ = 0.05."""
    countries = ["Australia", "Canada", "France", "Germany", "Japan", "UK", "USA"]
    volatility = np.array([0.160, 0.203, 0.248, 0.271, 0.210, 0.200, 0.187])
    below = [
        [0.488],
        [0.478, 0.664],
        [0.515, 0.655, 0.861],
        [0.439, 0.310, 0.355, 0.354],
        [0.512, 0.608, 0.783, 0.777, 0.405],
        [0.491, 0.779, 0.668, 0.653, 0.306, 0.652],
    ]
    R = np.eye(7)
    for i, row in enumerate(below, 1):
        R[i, :i] = R[:i, i] = row
    S = pd.DataFrame(R * np.outer(volatility, volatility), countries, countries)
    w = pd.Series([0.016, 0.022, 0.052, 0.055, 0.116, 0.124, 0.615], countries)
    europe = w[["France", "UK"]] / w[["France", "UK"]].sum()
    first = f"Germany - {europe['France']} France - {europe['UK']} UK = 5 %"
    published = {
        (first,): (
            [4.3, 7.6, 9.3, 11.0, 4.5, 7.0, 8.1],
            [1.5, 2.1, -4.0, 35.4, 11.0, -9.5, 58.6],
            [0.317],
        ),
        (first, "Canada - USA = 3 %"): (
            [4.4, 8.7, 9.5, 11.2, 4.6, 7.0, 7.5],
            [1.5, 41.9, -3.4, 33.6, 11.0, -8.2, 18.8],
            [0.298, 0.418],
        ),
    }
    for views, (means, weights, view_weights) in published.items():
        bl = BlackLitterman(S, w, 2.5, 0.05, views)
        np.testing.assert_allclose(
            100 * bl.equilibrium, [3.9, 6.9, 8.4, 9.0, 4.3, 6.8, 7.6], atol=0.051
        )
        np.testing.assert_allclose(100 * bl.mean, means, atol=0.051)
        np.testing.assert_allclose(bl.view_weights, view_weights, atol=6e-4)
        free = WeightSet(long_only=False, fully_invested=False)
        found = bl.problem(free, predictive=True).solve().weights
        np.testing.assert_allclose(100 * found, weights, atol=0.11)


def test_idzorek_confidence_is_linear_for_one_view():
    sigma, w, _, _ = market(5)
    view = "stocks - Wal-Mart = 3 %"
    full = BlackLitterman(sigma, w, 2.5, 0.05, view, confidence=1.0)
    for c in (0.1, 0.5, 0.9):
        part = BlackLitterman(sigma, w, 2.5, 0.05, view, confidence={view: c})
        tilt = c * (full.mean - full.equilibrium)
        np.testing.assert_allclose(part.mean - part.equilibrium, tilt, rtol=1e-10, atol=1e-16)
    half = BlackLitterman(sigma, w, 2.5, 0.05, view, confidence=[0.5])
    default = BlackLitterman(sigma, w, 2.5, 0.05, view)
    np.testing.assert_allclose(half.omega, default.omega)


def test_repeated_and_dependent_views_may_be_certain_unless_they_contradict():
    sigma, w, (P, q), _ = market(6)
    P3, q3 = np.vstack([P, P[0] + 2 * P[1]]), np.append(q, q[0] + 2 * q[1])
    two = BlackLitterman(sigma, w, 2.5, 0.05, (P, q), omega=0.0)
    three = BlackLitterman(sigma, w, 2.5, 0.05, (P3, q3), omega=0.0)
    np.testing.assert_allclose(two.mean, three.mean, rtol=1e-8)
    with pytest.raises(InputError, match="contradicts"):
        BlackLitterman(sigma, w, 2.5, 0.05, (P3, q3 + np.array([0, 0, 0.01])), omega=0.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_ellipsoid_holds_the_mean_as_often_as_it_says(seed):
    sigma, w, (P, q), rng = market(seed)
    bl = BlackLitterman(sigma, w, 2.5, 0.05, (P, q))
    U = bl.ellipsoid(0.8)
    M = bl.covariance.matrix().to_numpy()
    assert U.radius == pytest.approx(np.sqrt(chi2.ppf(0.8, 4)))
    x = rng.normal(size=4)
    assert U.support(x) == pytest.approx(bl.mean @ x + U.radius * np.sqrt(x @ M @ x))
    draws = rng.multivariate_normal(bl.mean, M, 4000)
    inside = np.mean([U.contains(d) for d in draws])
    assert inside == pytest.approx(0.8, abs=0.02)


def test_the_ellipsoid_of_certain_views_is_flat():
    sigma, w, _, _ = market(7)
    bl = BlackLitterman(sigma, w, 2.5, 0.05, "gold = 3 %", omega=0.0)
    U = bl.ellipsoid(0.9)
    assert U.radius == pytest.approx(np.sqrt(chi2.ppf(0.9, 3)))
    assert U.support(pd.Series({a: float(a == "gold") for a in ASSETS})) == pytest.approx(0.03)
    all_known = BlackLitterman(sigma, w, 2.5, 0.05, (np.eye(4), [0.1, 0.2, 0.3, 0.4]), omega=0)
    assert all_known.ellipsoid().radius == 0.0
    assert (all_known.covariance.volatilities() == 0.0).all()
    assert bl.covariance.volatilities()["gold"] == 0.0
    np.testing.assert_allclose(all_known.mean, [0.1, 0.2, 0.3, 0.4])


def test_permuted_assets_and_other_units():
    sigma, w, _, _ = market(8)
    w = pd.Series(w, ASSETS)
    views = ["stocks - bonds = 2 %", "gold = 1 %"]
    bl = BlackLitterman(sigma, w, 2.5, 0.05, views)
    turned = BlackLitterman(sigma.select(ASSETS[::-1]), w, 2.5, 0.05, views)
    np.testing.assert_allclose(turned.mean[ASSETS], bl.mean, rtol=1e-10)
    yearly = DenseCovariance(12 * sigma.matrix())
    times = BlackLitterman(yearly, w, 2.5, 0.05, (bl.views.P, 12 * bl.views.q))
    np.testing.assert_allclose(times.mean, 12 * bl.mean, rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"views": "silver = 2 %"}, UnknownLabelError, "silver"),
        ({"tau": 0.0}, InputError, "tau is 0.0"),
        ({"risk_aversion": -1}, InputError, "risk_aversion is -1"),
        ({"market_weights": [1e9, 1e9, 1e9, 1e9]}, InputError, "capitalisations"),
        ({"views": "gold = 2 %", "omega": -1.0}, InputError, "omega is -1.0"),
        ({"views": "gold = 2 %", "confidence": 0.0}, InputError, "above 0"),
        ({"views": "gold = 2 %", "confidence": 60.0}, InputError, "at most 1"),
        ({"views": "gold = 2 %", "confidence": 0.5, "omega": 0.0}, InputError, "both"),
        ({"views": "gold = 2 %", "confidence": {"gold": 0.5}}, UnknownLabelError, "gold = 2 %"),
        ({"views": ["gold = 2 %", "bonds = 1 %"], "omega": [1.0]}, InputError, "2 views"),
        ({"views": "gold = 2 %", "omega": [[1.0, 0.0], [0.0, 1.0]]}, InputError, "omega has shape"),
    ],
)
def test_what_is_refused(arguments, kind, message):
    sigma, w, _, _ = market(0)
    given = {"market_weights": w, "risk_aversion": 2.5, "tau": 0.05, **arguments}
    with pytest.raises(kind, match=message):
        BlackLitterman(sigma, **given)


def test_levels_are_probabilities():
    sigma, w, _, _ = market(0)
    with pytest.raises(InputError, match="level is 95"):
        BlackLitterman(sigma, w).ellipsoid(95)
