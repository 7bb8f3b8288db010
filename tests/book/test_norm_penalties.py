"""Penalties, shrinkage and sets: which are the same, and which only look alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from rrp_pyomo import DenseCovariance, MeanVariance, WeightSet, ledoit_wolf
from rrp_pyomo.uncertainty import Ball, Box, Ellipsoid

NAMES = list("ABC")
MEAN = pd.Series([0.10, 0.09, 0.08], NAMES)
SIGMA = pd.DataFrame(
    [[0.040, 0.018, 0.012], [0.018, 0.050, 0.020], [0.012, 0.020, 0.060]], NAMES, NAMES
)
FREE = WeightSet(long_only=False, fully_invested=False)
BUDGET = WeightSet(long_only=False)
X = pd.Series([0.5, 0.3, 0.2], NAMES)
# Of a box, a ball, their intersection and their sum.
CHARGES = [0.02000, 0.01849, 0.01806, 0.03849]


def weights(*args, **kwargs):
    return MeanVariance(*args, **kwargs).solve().weights


def frontier_weights(risk_aversion):
    """w_g + Qμ/λ, the whole frontier with a budget."""
    inverse, one = np.linalg.inv(SIGMA), np.ones(3)
    least = inverse @ one / (one @ inverse @ one)
    Q = inverse - np.outer(inverse @ one, least)
    return least + Q @ MEAN / risk_aversion


def test_an_ellipsoid_of_another_shape_is_no_shrinkage_of_the_mean():
    """Stated: robust with an ellipsoid ⇔ mean–variance with a shrunk mean and a larger λ.

    For Ω ∝ Σ it is; for a diagonal Ω no λ and no target with equal means comes near the answer.
    """
    omega = pd.DataFrame(np.diag([0.08, 0.0005, 0.0001]), NAMES, NAMES)
    robust = weights(Ellipsoid(MEAN, omega, 1.0), SIGMA, 1.0, weight_set=BUDGET)

    def miss(log_aversion):
        return np.abs(frontier_weights(np.exp(log_aversion)) - robust).max()

    nearest = min(miss(t) for t in np.linspace(-10, 20, 3001))
    assert nearest > 0.2
    free = weights(Ellipsoid(MEAN, omega, 0.2), SIGMA, 1.0, weight_set=FREE)
    ray = np.linalg.solve(SIGMA, MEAN)
    assert minimize_scalar(lambda t: np.abs(t * ray - free).max()).fun > 0.2
    along = weights(Ellipsoid(MEAN, SIGMA, 0.2), SIGMA, 1.0, weight_set=FREE)
    np.testing.assert_allclose(along / along["A"], ray / ray[0], rtol=1e-5)


@pytest.mark.parametrize("portfolios", [None, BUDGET, FREE])
def test_the_worst_mean_of_the_answer_is_a_shrunk_mean_that_gives_it(portfolios):
    """True of any set: Markowitz for the worst mean of the answer itself, and the same λ."""
    omega = pd.DataFrame(np.diag([0.02, 0.01, 0.001]), NAMES, NAMES)
    problem = MeanVariance(Ellipsoid(MEAN, omega, 0.3), SIGMA, 2.0, weight_set=portfolios)
    robust = problem.solve()
    again = weights(robust.worst_case.mean, SIGMA, 2.0, weight_set=portfolios)
    np.testing.assert_allclose(again, robust.weights, atol=2e-5)


def test_a_lasso_promotes_nothing_where_weights_are_long_and_sum_to_one():
    """Stated: ℓ₁ promotes sparsity."""
    plain = weights(MEAN, SIGMA, 2.0)
    np.testing.assert_allclose(weights(MEAN, SIGMA, 2.0, l1=0.5), plain, atol=1e-6)
    unequal = weights(MEAN, SIGMA, 2.0, l1={"A": 0.0, "B": 0.05, "C": 0.05})
    assert (unequal.round(6) > 0).sum() < (plain.round(6) > 0).sum()
    free = weights(MEAN, SIGMA, 2.0, l1=0.075, weight_set=FREE)
    assert (free.abs() > 1e-5).tolist() == [True, True, False]


def test_ridge_shrinks_to_zero_or_to_one_over_n():
    """Stated: towards zero. With a budget it is towards 1/n."""
    free = weights(MEAN, SIGMA, 2.0, l2_squared=1e4, weight_set=FREE)
    np.testing.assert_allclose(free, 0.0, atol=1e-5)
    budget = weights(MEAN, SIGMA, 2.0, l2_squared=1e4, weight_set=BUDGET)
    np.testing.assert_allclose(budget, 1 / 3, atol=1e-5)


@pytest.mark.parametrize("portfolios", [None, BUDGET, FREE])
def test_ledoit_wolf_is_a_ridge_with_less_risk_aversion(portfolios):
    """(1 − a)S + a m I: λ(1 − a) on S and γ = λ a m/2, the same as λ on S/(1 − a)-scaled."""
    rng = np.random.default_rng(3)
    returns = pd.DataFrame(rng.multivariate_normal(MEAN, SIGMA, 30), columns=NAMES)
    shrunk, lam = ledoit_wolf(returns), 2.0
    a, m = shrunk.intensity, shrunk.target
    assert 0.05 < a < 0.95
    S = DenseCovariance(returns.cov(ddof=0))
    direct = weights(MEAN, shrunk.covariance, lam, weight_set=portfolios)
    ridge = weights(MEAN, S, lam * (1 - a), l2_squared=lam * a * m / 2, weight_set=portfolios)
    np.testing.assert_allclose(ridge, direct, atol=2e-6)
    # As utility over 1 − a: λ and γ/(1 − a), with the mean as much larger.
    scaled = weights(
        MEAN / (1 - a), S, lam, l2_squared=lam * a * m / (2 * (1 - a)), weight_set=portfolios
    )
    np.testing.assert_allclose(scaled, direct, atol=2e-6)


def test_a_ball_is_charged_by_the_norm_and_not_by_its_square():
    """Stated: the ℓ₂ ball is ridge. It is the ridge with γ = δ/(2‖w*‖), which depends on w*."""
    delta, lam = 0.05, 2.0
    for portfolios in (None, BUDGET, FREE):
        ball = weights(Ball(MEAN, delta), SIGMA, lam, weight_set=portfolios)
        gamma = delta / (2 * np.linalg.norm(ball))
        ridge = weights(MEAN, SIGMA, lam, l2_squared=gamma, weight_set=portfolios)
        np.testing.assert_allclose(ridge, ball, atol=2e-5)
    other = weights(Ball(MEAN * 1.5, delta), SIGMA, lam, weight_set=FREE)
    same = weights(MEAN * 1.5, SIGMA, lam, l2_squared=gamma, weight_set=FREE)
    assert np.abs(other - same).max() > 0.02


def test_adding_to_all_eigenvalues_is_not_a_common_value():
    """Stated: shrinks eigenvalues towards a common value. It adds; only their ratio shrinks."""
    values = np.linalg.eigvalsh(SIGMA)
    added = np.linalg.eigvalsh(SIGMA + 0.1 * np.eye(3))
    np.testing.assert_allclose(np.ptp(added), np.ptp(values))
    assert added[-1] / added[0] < values[-1] / values[0]


def test_an_intersection_is_charged_less_than_either_set():
    """Stated: ℓ₁ and ℓ₂ constraints together give an elastic net.

    An intersection is charged min over u + v = w of the two penalties; a sum of sets is charged the
    sum of the penalties; a ball of ℓ₁ is charged ‖w‖_∞.
    """
    box, ball = Box(MEAN, 0.02), Ball(0.0 * MEAN, 0.03)

    def charge(U, center=MEAN):
        return float(center @ X + U.support(-X))

    found = [charge(box), charge(ball, 0.0 * MEAN), charge(box & Ball(MEAN, 0.03))]
    np.testing.assert_allclose([*found, charge(box + ball)], CHARGES, atol=5e-6)
    assert found[2] == pytest.approx(min_over_split(0.02, 0.03), rel=1e-5)
    assert charge(Ball(MEAN, 0.03, 1)) == pytest.approx(0.03 * 0.5)


def min_over_split(l1, l2):
    import cvxpy as cp

    u = cp.Variable(3)
    v = X.to_numpy() - u
    return cp.Problem(cp.Minimize(l1 * cp.norm1(u) + l2 * cp.norm2(v))).solve("CLARABEL")
