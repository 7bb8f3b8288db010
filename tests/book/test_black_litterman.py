"""Black and Litterman in a textbook chapter: its sixth exercise with the right numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import BlackLitterman, MeanVariance, WeightSet
from rrp_pyomo.uncertainty import Ellipsoid

SIGMA = pd.DataFrame([[0.04, 0.01], [0.01, 0.09]], ["A", "B"], ["A", "B"])
MEAN = pd.Series({"A": 0.08, "B": 0.12})
FREE = WeightSet(long_only=False, fully_invested=False)
BUDGET = WeightSet(long_only=False)


@pytest.fixture(scope="module")
def posterior():
    return BlackLitterman(SIGMA, {"A": 0.6, "B": 0.4}, 2.0, 0.05, "B = 12 %")


def weights(problem):
    return problem.solve().weights


def test_the_means_are_as_printed(posterior):
    np.testing.assert_allclose(posterior.equilibrium, [0.056, 0.084], atol=1e-12)
    np.testing.assert_allclose(posterior.mean, [0.058, 0.102], atol=1e-12)
    np.testing.assert_allclose(posterior.omega, [[0.05 * 0.09]])


def test_the_mean_minimises_the_penalised_squares(posterior):
    """½(μ − π)'(τΣ)⁻¹(μ − π) + ½(Pμ − q)'Ω⁻¹(Pμ − q), as printed."""
    P, omega = posterior.views.P.to_numpy(), posterior.omega.to_numpy()
    shift = posterior.mean - posterior.equilibrium
    gradient = np.linalg.inv(0.05 * SIGMA.to_numpy()) @ shift
    gradient += P.T @ np.linalg.inv(omega) @ (P @ posterior.mean - posterior.views.q)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-10)


def test_weights_without_a_budget(posterior):
    np.testing.assert_allclose(weights(posterior.problem(FREE)), [0.6, 0.5], atol=1e-6)
    found = weights(posterior.problem(FREE, predictive=True))
    np.testing.assert_allclose(found, [0.571429, 0.489353], atol=1e-6)


def test_normalised_free_weights_are_not_optimal_with_a_budget(posterior):
    """Printed: (0.545, 0.455), which divides the free weights by their sum."""
    problem = posterior.problem(BUDGET)
    best = weights(problem)
    np.testing.assert_allclose(best, [0.527273, 0.472727], atol=1e-6)
    printed = pd.Series({"A": 0.6, "B": 0.5}) / 1.1
    assert problem.worst_value(printed) < problem.worst_value(best) - 1e-5
    found = weights(posterior.problem(BUDGET, predictive=True))
    np.testing.assert_allclose(found, [0.527601, 0.472399], atol=1e-6)


def test_without_views_the_predictive_portfolio_holds_less_than_the_market():
    """Printed: (Σ + M)⁻¹μ/λ = w_mkt + tilt."""
    silent = BlackLitterman(SIGMA, {"A": 0.6, "B": 0.4}, 2.0, 0.05)
    market = silent.market_weights
    np.testing.assert_allclose(weights(silent.problem(FREE)), market, atol=1e-6)
    np.testing.assert_allclose(
        weights(silent.problem(FREE, predictive=True)), market / 1.05, atol=1e-6
    )
    np.testing.assert_allclose(weights(silent.problem()), market, atol=1e-6)


def test_the_comparison_at_the_end(posterior):
    """Printed: 60/40, 54.5/45.5 and 60/40."""
    robust = MeanVariance(Ellipsoid(MEAN, SIGMA, 0.5), SIGMA, 2.0, weight_set=BUDGET)
    problems = (
        MeanVariance(MEAN, SIGMA, 2.0, weight_set=BUDGET),
        posterior.problem(BUDGET),
        robust,
    )
    found = [100 * weights(problem)["A"] for problem in problems]
    np.testing.assert_allclose(found, [54.5455, 52.7273, 65.1125], atol=1e-4)


def test_half_a_confidence_is_the_printed_variance(posterior):
    """ω² = τQΣQ' is He & Litterman's, and Idzorek's at 50 %."""
    half = BlackLitterman(SIGMA, posterior.market_weights, 2.0, 0.05, "B = 12 %", confidence=0.5)
    np.testing.assert_allclose(half.mean, posterior.mean)


def test_certain_views_move_only_what_they_are_about_and_its_relatives():
    """Stated: Ω small, posterior close to the views. Only in the span of P."""
    apart = pd.DataFrame(np.diag([0.04, 0.09]), ["A", "B"], ["A", "B"])
    certain = BlackLitterman(apart, [0.6, 0.4], 2.0, 0.05, "B = 12 %", omega=0.0)
    np.testing.assert_allclose(certain.mean, [certain.equilibrium["A"], 0.12])
    related = BlackLitterman(SIGMA, [0.6, 0.4], 2.0, 0.05, "B = 12 %", omega=0.0)
    np.testing.assert_allclose(related.mean, [0.056 + 0.01 / 0.09 * 0.036, 0.12])


def test_a_robust_portfolio_of_the_posterior(posterior):
    """A set of means from M: the weights do at least as well for each of them."""
    problem = MeanVariance(posterior.ellipsoid(0.9), SIGMA, 2.0)
    portfolio = problem.solve()
    M, x = posterior.covariance.matrix().to_numpy(), portfolio.weights.to_numpy()
    worst = posterior.mean - problem.mean_set.radius * (M @ x) / np.sqrt(x @ M @ x)
    np.testing.assert_allclose(portfolio.worst_case.mean, worst, atol=1e-9)
