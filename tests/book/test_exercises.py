"""The exercises of a textbook chapter on robust portfolio optimisation, with the right numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from rrp_pyomo import DenseCovariance, MeanVariance, WeightSet
from rrp_pyomo.uncertainty import Ball, Box, Ellipsoid

MU = np.array([0.08, 0.12])
S = np.array([[0.04, 0.01], [0.01, 0.09]])
FREE = WeightSet(long_only=False, fully_invested=False)
BUDGET = WeightSet(long_only=False)


def solved(*args, **kwargs):
    return MeanVariance(*args, **kwargs).solve()


class TestExercise1:
    """κ = 0.5, λ = 2, Ω = Σ."""

    def test_markowitz(self):
        np.testing.assert_allclose(solved(MU, S, 2.0, weight_set=FREE).weights, [6 / 7, 4 / 7])
        budget = solved(MU, S, 2.0, weight_set=BUDGET)
        np.testing.assert_allclose(budget.weights, [6 / 11, 5 / 11], rtol=1e-9)
        normalised = MeanVariance(MU, S, 2.0, weight_set=BUDGET).worst_value([0.6, 0.4])
        assert normalised < budget.worst_value - 1e-4  # what is printed is no optimum

    def test_the_printed_portfolio_is_optimal_for_another_risk_aversion(self):
        at = float(np.ones(2) @ np.linalg.solve(S, MU))
        assert at == pytest.approx(20 / 7)
        np.testing.assert_allclose(solved(MU, S, at, weight_set=BUDGET).weights, [0.6, 0.4])

    def test_robust_free(self):
        robust = solved(Ellipsoid(MU, S, 0.5), S, 2.0, weight_set=FREE)
        part = 1 - 0.5 / np.sqrt(MU @ np.linalg.solve(S, MU))
        assert part == pytest.approx(0.045297, abs=5e-7)
        np.testing.assert_allclose(robust.weights, part * np.array([6 / 7, 4 / 7]), rtol=1e-6)
        np.testing.assert_allclose(robust.weights, [0.038826, 0.025884], atol=5e-7)
        assert 1 - robust.weights.sum() == pytest.approx(0.935, abs=5e-4)  # cash
        nothing = solved(Ellipsoid(MU, S, 0.53), S, 2.0, weight_set=FREE)
        assert np.abs(nothing.weights).max() < 1e-7  # the formula needs its positive part

    def test_robust_with_a_budget(self):
        problem = MeanVariance(Ellipsoid(MU, S, 0.5), S, 2.0, weight_set=BUDGET)
        robust = problem.solve()
        np.testing.assert_allclose(robust.weights, [0.651125, 0.348875], atol=5e-7)
        assert robust.worst_value == pytest.approx(-0.028579, abs=5e-7)
        assert problem.worst_value([0.6, 0.4]) == pytest.approx(-0.029252, abs=5e-7)
        np.testing.assert_allclose(robust.worst_case.mean, [-0.0020, 0.0148], atol=5e-5)
        aversion = 2.0 + 0.5 / robust.volatility
        assert aversion == pytest.approx(4.7754, abs=5e-5)
        theta = 2.0 / aversion
        least = np.linalg.solve(S, np.ones(2)) / np.linalg.solve(S, np.ones(2)).sum()
        mixed = theta * np.array([6 / 11, 5 / 11]) + (1 - theta) * least
        assert theta == pytest.approx(0.4188, abs=5e-5)
        np.testing.assert_allclose(robust.weights, mixed, atol=1e-9)

    def test_it_moves_to_minimum_variance(self):
        far = solved(Ellipsoid(MU, S, 5000.0), S, 2.0, weight_set=BUDGET)
        np.testing.assert_allclose(far.weights, [8 / 11, 3 / 11], atol=2e-5)


class TestExercise2:
    """A ball of means without a budget."""

    @pytest.mark.parametrize(
        ("radius", "expected", "value", "printed_value"),
        [(0.08, (0.2653, 0.3029), 0.01268, 0.00524), (0.13, (0.0491, 0.0700), 0.00061, -0.0796)],
    )
    def test_the_printed_formula_is_another_portfolio(self, radius, expected, value, printed_value):
        problem = MeanVariance(Ball(MU, radius), S, 2.0, weight_set=FREE)
        robust = problem.solve()
        np.testing.assert_allclose(robust.weights, expected, atol=6e-5)
        assert robust.worst_value == pytest.approx(value, abs=6e-6)
        direction = np.linalg.solve(S, MU)
        printed = direction / 2 - radius / 2 * np.linalg.solve(S, direction) / np.linalg.norm(
            direction
        )
        assert problem.worst_value(printed) == pytest.approx(printed_value, abs=6e-5)

    @pytest.mark.parametrize("radius", [0.03, 0.08, 0.13])
    def test_the_secular_equation(self, radius):
        values, vectors = np.linalg.eigh(S)
        along = vectors.T @ MU

        def excess(rho):
            return ((along / (2.0 * rho * values + radius)) ** 2).sum() - 1

        rho = brentq(excess, 1e-12, 100.0, xtol=1e-15)
        exact = np.linalg.solve(2.0 * S + radius / rho * np.eye(2), MU)
        robust = solved(Ball(MU, radius), S, 2.0, weight_set=FREE)
        np.testing.assert_allclose(robust.weights, exact, rtol=1e-7)

    def test_nothing_beyond_the_length_of_the_mean(self):
        radius = 1.001 * np.linalg.norm(MU)
        assert np.abs(solved(Ball(MU, radius), S, 2.0, weight_set=FREE).weights).max() < 1e-7

    def test_large_positions_are_not_always_shrunk_more(self):
        near = np.array([[0.04, 0.048], [0.048, 0.09]])
        mean = np.array([0.08, 0.10])
        before = solved(mean, near, 2.0, weight_set=FREE).weights
        after = solved(Ball(mean, 0.01), near, 2.0, weight_set=FREE).weights
        np.testing.assert_allclose(before, [0.926, 0.062], atol=6e-4)
        np.testing.assert_allclose(after, [0.647, 0.195], atol=6e-4)


class TestExercise3:
    def test_a_budget_and_signs_make_another_problem(self):
        U = Ball(MU, 0.02)
        np.testing.assert_allclose(
            solved(U, S, 2.0, weight_set=FREE).weights, [0.6719, 0.5237], atol=6e-5
        )
        np.testing.assert_allclose(solved(U, S, 2.0).weights, [0.5362, 0.4638], atol=6e-5)


class TestExercise4:
    """A set given by a norm is charged by the dual norm."""

    def test_dual_norms(self):
        w = np.array([0.5, -0.3])
        delta = np.array([0.01, 0.03])
        for U, penalty in (
            (Ball(MU, 0.02), 0.02 * np.linalg.norm(w)),
            (Ball(MU, 0.02, np.inf), 0.02 * np.abs(w).sum()),
            (Ball(MU, 0.02, 1), 0.02 * np.abs(w).max()),
            (Box(MU, delta), delta @ np.abs(w)),
            (Ellipsoid(MU, S, 0.3), 0.3 * np.sqrt(w @ S @ w)),
        ):
            assert -U.support(-w) == pytest.approx(MU @ w - penalty, rel=1e-12)

    def test_a_box_with_exactly_known_assets_concentrates(self):
        """Robustness need not diversify: what is known exactly takes all."""
        mean = np.full(6, 0.08)
        covariance = DenseCovariance(0.04 * (0.3 + 0.7 * np.eye(6)))
        box = solved(Box(mean, np.array([0.0, *[0.05] * 5])), covariance, 1.0)
        ball = solved(Ball(mean, 0.05), covariance, 1.0)
        assert 1 / (box.weights**2).sum() < 1.5
        assert 1 / (ball.weights**2).sum() == pytest.approx(6.0, abs=1e-4)
