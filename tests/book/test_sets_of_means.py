"""Sections on sets of means, the worst-case lemma and the code beside them.

Each test shows a statement of a textbook chapter on robust portfolio optimisation as it is printed,
and what is right in its place.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import WeightSet
from rrp_pyomo.data import DenseCovariance, datasets
from rrp_pyomo.models import MeanVariance
from rrp_pyomo.uncertainty import Ball, Box, Ellipsoid, FrobeniusBall, Point

ABC = list("ABC")
WEIGHTS = pd.Series([0.5, 0.3, 0.2], ABC)
MEAN = pd.Series([0.08, 0.12, 0.10], ABC)
SIGMA = pd.DataFrame(
    [[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.06]], index=ABC, columns=ABC
)
FREE = WeightSet(long_only=False)
DATA = datasets.french()


def penalty(given, weights) -> float:
    return given.center @ weights + given.support(-weights)


class TestBox:
    def test_weights_stay_0_where_the_error_covers_what_would_be_gained(self):
        """w_i = 0 ⇔ |μ̂_i − λ(Σw)_i − ν| ≤ δ_i, with shorts allowed."""
        delta = pd.Series([0.005, 0.08, 0.02], ABC)
        problem = MeanVariance(Box(MEAN, delta), DenseCovariance(SIGMA), 2.0, weight_set=FREE)
        w = problem.solve().weights
        held = w.abs() > 1e-6
        assert 0 < held.sum() < 3
        left = MEAN - 2.0 * (SIGMA @ w)
        nu = (left - delta * np.sign(w))[held].mean()
        assert np.allclose((left - nu - delta * np.sign(w))[held], 0.0, atol=1e-6)
        assert ((left - nu).abs() <= delta + 1e-6)[~held].all()

    def test_the_l1_norm_belongs_to_the_cube(self):
        """Printed: ‖μ − μ̂‖₁ ≤ δ beside ‖w‖₁. It is charged δ‖w‖_∞, a cap on the largest weight."""
        assert penalty(Ball(MEAN, 0.02, 1), WEIGHTS) == pytest.approx(0.02 * 0.5)
        assert penalty(Ball(MEAN, 0.02, np.inf), WEIGHTS) == pytest.approx(0.02)
        delta = pd.Series([0.01, 0.02, 0.03], ABC)
        assert penalty(Box(MEAN, delta), WEIGHTS) == pytest.approx(delta @ WEIGHTS)


class TestEllipsoid:
    def test_the_error_of_a_mean_is_the_covariance_over_the_periods(self):
        """Printed: Ω = Σ. Against Σ/T the same κ is √T too large: 95 % became certainty."""
        rng, T, kappa = np.random.default_rng(0), 60, np.sqrt(7.814727903)
        root = np.linalg.cholesky(SIGMA / 12).T
        means = MEAN.to_numpy() / 12 + rng.normal(size=(2000, 3)) @ root / np.sqrt(T)
        found = {}
        for name, shape in (("Σ", SIGMA / 12), ("Σ/T", SIGMA / 12 / T)):
            given = Ellipsoid(MEAN / 12, shape, kappa)
            found[name] = np.mean([given.contains(mean) for mean in means])
        assert found["Σ/T"] == pytest.approx(0.95, abs=0.015)
        assert found["Σ"] == 1.0

    def test_singular_shapes(self):
        """Printed: Ω ≻ 0 with its inverse. The root needs none: a flat ellipsoid."""
        common = Ellipsoid(MEAN, root=np.array([[0.02, 0.02, 0.02]]))
        assert penalty(common, WEIGHTS) == pytest.approx(0.02)
        assert common.contains(MEAN - 0.02)
        assert not common.contains(MEAN - [0.02, 0.01, 0.02])
        assert penalty(common, pd.Series([1.0, -1.0, 0.0], ABC)) == pytest.approx(0.0, abs=1e-15)

    def test_deviations_without_a_net(self):
        """Ceria & Stubbs: Ω − Ω11'Ω/(1'Ω1), by cvxpy's own intersection."""
        net = Ellipsoid(MEAN, SIGMA / 60, 1.5, zero_net=True)
        root = np.linalg.cholesky(SIGMA / 60).T
        u = cp.Variable(3)
        rows = [cp.norm(u) <= 1, cp.sum(1.5 * root.T @ u) == 0]
        worst = cp.Problem(cp.Minimize(WEIGHTS.to_numpy() @ (1.5 * root.T @ u)), rows).solve(
            "CLARABEL"
        )
        assert -penalty(net, WEIGHTS) == pytest.approx(worst, abs=1e-7)
        assert penalty(net, pd.Series(1 / 3, ABC)) == pytest.approx(0.0, abs=1e-12)


class TestFactors:
    def test_a_residual_mean_without_a_set_is_fixed(self):
        """Printed: μ = Bf + ε, f ∈ U_f. Without a set for ε what is neutral to f is not charged."""
        B = pd.DataFrame([[1.0], [0.8], [1.2]], ABC, ["market"])
        factor = Box(pd.Series({"market": 0.06}), 0.03)
        alpha = MEAN - 0.06 * B["market"]
        neutral = pd.Series([0.8, -1.0, 0.0], ABC)
        fixed = factor.through(B) + alpha
        assert penalty(fixed, neutral) == pytest.approx(0.0, abs=1e-15)
        assert fixed.center.to_numpy() == pytest.approx(MEAN.to_numpy())
        charged = factor.through(B) + Box(alpha, 0.01)
        assert penalty(charged, neutral) == pytest.approx(0.01 * 1.8)
        assert penalty(charged, WEIGHTS) == pytest.approx(0.03 * (B["market"] @ WEIGHTS) + 0.01)


class TestMixedConstraints:
    """Printed: the elastic net α‖w‖₁ + (1 − α)‖w‖₂ comes from mixed ℓ₁/ℓ₂ constraints on μ."""

    box, ball = Box(MEAN, 0.02), Ball(MEAN, 0.03)

    def test_an_intersection_is_charged_less_than_either(self):
        assert penalty(self.box, WEIGHTS) == pytest.approx(0.02)
        assert penalty(self.ball, WEIGHTS) == pytest.approx(0.0184932, abs=1e-7)
        assert penalty(self.box & self.ball, WEIGHTS) == pytest.approx(0.0180623, abs=1e-7)
        w = WEIGHTS.to_numpy()
        u = cp.Variable(3)
        split = cp.Minimize(0.02 * cp.norm(u, 1) + 0.03 * cp.norm(w - u, 2))
        assert cp.Problem(split).solve("CLARABEL") == pytest.approx(0.0180623, abs=1e-7)

    def test_the_sum_of_norms_is_a_sum_of_sets(self):
        total = self.box + Ball(0 * MEAN, 0.03)
        assert penalty(total, WEIGHTS) == pytest.approx(0.0384932, abs=1e-7)

    @pytest.mark.parametrize("X", [None, WeightSet(long_only=False, lower=-1, upper=1)])
    def test_the_elastic_net_is_a_box_with_a_ball_of_covariances(self, X):
        """‖w‖₂² comes from a set of covariances: γ = λρ/2 (Zou & Hastie have the square)."""
        C, lam, rho = DenseCovariance(SIGMA), 2.0, 0.05
        net = MeanVariance(MEAN, C, lam, l1=0.02, l2_squared=lam * rho / 2, weight_set=X).solve()
        sets = MeanVariance(Box(MEAN, 0.02), FrobeniusBall(C, rho), lam, weight_set=X).solve()
        assert sets.worst_value == pytest.approx(net.worst_value, abs=1e-9)
        assert (sets.weights - net.weights).abs().max() < 1e-5
        other = MeanVariance(self.box + Ball(0 * MEAN, 0.03), C, lam, weight_set=X).solve()
        assert (other.weights - net.weights).abs().max() > 1e-3


class TestLemma:
    """The worst mean of an ellipsoid is μ̂ − κΩw/√(w'Ωw)."""

    def test_for_a_positive_radius(self):
        given = Ellipsoid(MEAN, SIGMA / 60, 1.5)
        w, Omega = WEIGHTS, SIGMA / 60
        expected = MEAN - 1.5 * (Omega @ w) / np.sqrt(w @ Omega @ w)
        pd.testing.assert_series_equal(given.worst(-w), expected, rtol=1e-12, check_names=False)
        assert expected @ w == pytest.approx(-given.support(-w), rel=1e-14)

    def test_where_the_shape_sends_the_weights_to_0(self):
        """Printed without a condition: 0/0. Every element attains it, and the root has a kink."""
        given = Ellipsoid(MEAN, root=np.array([[0.02, 0.02, 0.02]]))
        w = pd.Series([1.0, -1.0, 0.0], ABC)
        pd.testing.assert_series_equal(given.worst(-w), MEAN, check_names=False)
        values = given.sample(np.random.default_rng(0), 100) @ w
        assert np.ptp(values) < 1e-15
        slopes = [(given.support(-w + t) - given.support(-w)) / t for t in (1e-6, -1e-6)]
        assert slopes[0] - slopes[1] == pytest.approx(0.12, rel=1e-6)

    def test_the_root_is_not_a_root_of_the_shape_only(self):
        """Any R with R'R = Ω gives the same set; Cholesky needs Ω ≻ 0."""
        values, vectors = np.linalg.eigh(SIGMA)
        symmetric = (vectors * np.sqrt(values)) @ vectors.T
        roots = (np.linalg.cholesky(SIGMA).T, symmetric, np.vstack([symmetric, np.zeros(3)]))
        found = [Ellipsoid(MEAN, root=R).worst(-WEIGHTS) for R in roots]
        for other in found[1:]:
            np.testing.assert_allclose(other, found[0], rtol=1e-12)


class TestSnippet:
    """Printed: `cp.norm(Sigma_mu @ w)` for the penalty √(w'Σ_μ w)."""

    def test_the_norm_of_the_shape_is_no_standard_error(self):
        R = DATA.returns.tail(60)
        w = pd.Series(1 / R.shape[1], R.columns)
        shape = R.cov() / 60
        right = penalty(Ellipsoid(R.mean(), shape), w)
        assert right == pytest.approx((R @ w).std() / np.sqrt(60), rel=1e-10)
        printed = float(np.linalg.norm(shape @ w))
        assert printed < right / 10
        # In per cent the right one is 100 times as large, the printed one 10,000 times.
        per_cent = Ellipsoid(100 * R.mean(), 1e4 * shape)
        assert penalty(per_cent, w) == pytest.approx(100 * right, rel=1e-10)
        assert np.linalg.norm(1e4 * shape @ w) == pytest.approx(1e4 * printed)

    def test_robustness_is_switched_off_silently(self):
        R = DATA.returns.tail(60)
        mean, C = R.mean(), DenseCovariance(R.cov())
        shape = R.cov() / 60
        nominal = MeanVariance(mean, C, 8.0).solve().weights
        right = MeanVariance(Ellipsoid(mean, shape), C, 8.0).solve().weights
        printed = MeanVariance(Ellipsoid(mean, root=shape), C, 8.0).solve().weights
        assert (right - nominal).abs().max() > 0.1
        assert (printed - nominal).abs().max() < 0.1 * (right - nominal).abs().max()
        square = Ellipsoid(mean, shape @ shape)  # what was stated instead
        assert penalty(square, right) == pytest.approx(np.linalg.norm(shape @ right), rel=1e-6)

    def test_the_code_has_no_covariance_set_and_adds_long_only(self):
        """It illustrates a theorem on both, without w ≥ 0: shorts and a set of Σ change weights."""
        C = DenseCovariance(SIGMA)
        code = MeanVariance(Ellipsoid(MEAN, SIGMA / 60), C, 4.0).solve()
        theorem = MeanVariance(
            Ellipsoid(MEAN, SIGMA / 60), FrobeniusBall(C, 0.05), 4.0, weight_set=FREE
        ).solve()
        assert (code.weights - theorem.weights).abs().max() > 0.01
        assert code.worst_value > theorem.worst_value


def test_a_known_mean_is_the_set_of_one_element():
    assert Point(MEAN).is_point
    assert penalty(Point(MEAN), WEIGHTS) == pytest.approx(0.0, abs=1e-16)
