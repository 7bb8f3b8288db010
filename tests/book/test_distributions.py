"""Sections on ambiguity sets, worst-case CVaR, moments and relative entropy; an exercise on balls.

Each test shows a statement of a textbook chapter on robust portfolio optimisation as it is printed,
and what is right in its place.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import MeanCVaR, MeanVariance, WeightSet
from rrp_pyomo.data import DenseCovariance, datasets
from rrp_pyomo.errors import ModelError
from rrp_pyomo.uncertainty import (
    DelageYe,
    Distribution,
    Ellipsoid,
    KullbackLeibler,
    Moments,
    Polyhedron,
    ScenarioProbabilities,
    Scenarios,
    Wasserstein,
)

AB = ["A", "B"]
MEAN = pd.Series([0.08, 0.12], AB)
SIGMA = pd.DataFrame([[0.04, 0.01], [0.01, 0.09]], AB, AB)
W = pd.Series([0.6, 0.4], AB)
SD = float(np.sqrt(W @ SIGMA @ W))
R = datasets.french().returns.tail(120)
N, n = R.shape
ALPHA = 0.05


class TestAmbiguitySets:
    def test_the_second_moment_is_not_the_covariance(self):
        """E[RR'] = M leaves √(w'Mw − m²) for a mean m of w'R: not a product of two sets."""
        second = SIGMA + np.outer(MEAN, MEAN)
        kappa = np.sqrt((1 - ALPHA) / ALPHA)
        as_printed = -MEAN @ W + kappa * np.sqrt(W @ second @ W)
        with_mean = Moments(MEAN, SIGMA).risk(W, ALPHA)
        assert as_printed > with_mean * 1.05
        total = W @ second @ W
        means = np.linspace(-np.sqrt(total), np.sqrt(total), 20001)
        free = float((-means + kappa * np.sqrt(np.maximum(total - means**2, 0.0))).max())
        # The worst mean is −√(α w'Mw), and the value √(w'Mw/α), a two-point distribution's.
        assert free == pytest.approx(np.sqrt(total / ALPHA), rel=1e-6)
        # It is the set of Delage & Ye around 0 that bounds E[RR'], with a mean that is free.
        bounded = DelageYe(0 * MEAN, second, 1.0, 1.0)
        assert bounded.risk(W, ALPHA) == pytest.approx(free, rel=1e-6)

    def test_no_worst_case_of_a_loss_that_grows_faster_than_linearly(self):
        """A share δ of one scenario moves by ε/δ: E log(1 + w'R) falls without bound, at any ε."""
        few, w = R.iloc[:20, :2], np.array([0.5, 0.5])
        epsilon, utilities = 1e-3, []
        for left in (1e-2, 1e-8, 1e-16):
            # A scenario to where all but a little of the wealth is lost, with a mass that ε pays.
            target = np.full(2, -(1.0 - left))
            share = epsilon / np.linalg.norm(target - few.to_numpy()[0])
            p = np.append(np.full(20, 1 / 20), share)
            p[0] -= share
            P = Distribution(np.vstack([few, target]), p)
            assert Wasserstein(few, epsilon).contains(P)
            utilities.append(P.expectation(lambda table: np.log1p(table @ w)))
        gaps = -np.diff(utilities)
        assert (gaps > 0).all()
        assert gaps[1] > gaps[0]
        with pytest.raises(ModelError, match="no finite worst case"):
            Wasserstein(few, epsilon).worst_expectation(-np.log1p(few @ w))

    def test_norm_and_order_decide_the_answer(self):
        portfolios = {
            (norm, order): MeanCVaR(Wasserstein(R, 0.01, norm, order), ALPHA).solve().weights
            for norm in (1, 2, np.inf)
            for order in (1, np.inf)
        }
        for key, weights in portfolios.items():
            for other, others in portfolios.items():
                if key[0] != other[0] and np.inf not in (key[1], other[1]):
                    assert np.abs(weights - others).max() > 0.02

    def test_a_relative_entropy_sees_no_new_scenario(self):
        given, w = KullbackLeibler(R, 50.0), np.full(n, 1 / n)
        worst = given.worst(w, ALPHA)
        np.testing.assert_array_equal(worst.R, R)
        assert given.risk(w, ALPHA) == pytest.approx(-(R @ w).min())
        assert Wasserstein(R, 0.1).risk(w, ALPHA) > given.risk(w, ALPHA)


class TestWassersteinTheorem:
    def test_a_portfolio_is_charged_by_the_dual_norm(self):
        """25 equal weights, ℓ₂, ε = 0.01, α = 5 %: 0.04, where a scalar loss would say 0.20."""
        rows = np.random.default_rng(0).standard_normal((50, 25)) * 0.05
        w = np.full(25, 0.04)
        charge = Wasserstein(rows, 0.01).risk(w, ALPHA) - Scenarios(rows).risk(w, ALPHA)
        assert charge == pytest.approx(0.04, rel=1e-10)
        scalar = (rows @ w)[:, None]
        alone = Wasserstein(scalar, 0.01).risk([1.0], ALPHA) - Scenarios(scalar).risk([1.0], ALPHA)
        assert alone == pytest.approx(0.20, rel=1e-10)

    def test_the_lipschitz_constant_is_a_bound_only_elsewhere(self):
        """With a support, or another order, less is added."""
        few, w = R.iloc[:20, :3], np.array([0.5, 0.3, 0.2])
        size = 1.1 * float(np.abs(few.to_numpy()).max())
        box = Polyhedron(0 * few.mean(), np.vstack([np.eye(3), -np.eye(3)]), size)
        nominal = Scenarios(few).risk(w, ALPHA)
        lipschitz = 0.01 / ALPHA * np.linalg.norm(w)
        assert Wasserstein(few, 0.01).risk(w, ALPHA) == pytest.approx(nominal + lipschitz)
        assert Wasserstein(few, 0.01, support=box).risk(w, ALPHA) < nominal + 0.95 * lipschitz
        assert Wasserstein(few, 0.01, order=2).risk(w, ALPHA) < nominal + 0.9 * lipschitz

    def test_signs(self):
        """max–min of the CVaR of a loss is not what is meant: −CVaR of the loss is acceptability.

        The mean of the worst returns is −CVaR_α(−w'R); its max–min is the min–max here.
        """
        w = np.full(n, 1 / n)
        returns = np.sort(R @ w)[: int(ALPHA * N)]
        assert Scenarios(R).risk(w, ALPHA) == pytest.approx(-returns.mean(), rel=1e-10)

    def test_mixtures_can_be_worse_than_their_parts(self):
        """Losses (2, 1, 0), α = ½: parts 1 and 1, half of each 1.25."""
        losses = np.array([[-2.0], [-1.0], [0.0]])
        parts = [Scenarios(losses, p) for p in ([0, 1, 0], [0.25, 0, 0.75])]
        assert [part.risk([1.0], 0.5) for part in parts] == [1.0, 1.0]
        half = Distribution(losses, [0.125, 0.5, 0.375])
        assert half.cvar([1.0], 0.5) == pytest.approx(1.25)
        mixture = ScenarioProbabilities.mixture(parts)
        assert mixture.risk([1.0], 0.5) == pytest.approx(4 / 3, rel=1e-8)
        assert mixture.contains(half)
        outside = max(part.risk([1.0], 0.5) for part in parts)  # the maximum outside of min over τ
        assert outside < half.cvar([1.0], 0.5)

    def test_a_redundant_multiplier(self):
        """Columns that sum to 0: 1'Az = 0 says nothing, and no multiplier of it runs away."""
        rng = np.random.default_rng(3)
        A = rng.standard_normal((N, 4)) / N
        A -= A.mean(axis=0)
        given = ScenarioProbabilities.ellipsoid(R, A)
        portfolio = MeanCVaR(given, ALPHA).solve()
        assert portfolio.objective == pytest.approx(portfolio.worst_value, rel=1e-6)
        p, q = cp.Variable(N, nonneg=True), cp.Variable(N, nonneg=True)
        z = cp.Variable(4)
        rows = [p == 1 / N + A @ z, cp.norm(z) <= 1, ALPHA * q <= p, cp.sum(q) == 1]
        losses = -(R @ portfolio.weights).to_numpy()
        worst = cp.Problem(cp.Maximize(100 * q @ losses), rows).solve(solver=cp.CLARABEL) / 100
        assert portfolio.worst_value == pytest.approx(worst, rel=1e-6)


class TestMomentFormula:
    def test_an_expected_loss_has_no_deviation_in_it(self):
        """E = −0.0960 for every P with these moments; printed 0.0873."""
        moments = Moments(MEAN, SIGMA)
        for P in moments.sample(np.random.default_rng(0), 50):
            assert P.expected_loss(W) == pytest.approx(-0.0960, abs=1e-12)
        assert moments.expected_loss(W) == pytest.approx(-0.0960, abs=1e-12)
        assert -MEAN @ W + SD == pytest.approx(0.0873, abs=5e-5)

    def test_the_printed_line_is_the_worst_cvar_at_one_half(self):
        moments = Moments(MEAN, SIGMA)
        for alpha, factor in ((0.05, 4.358899), (0.10, 3.0), (0.5, 1.0)):
            risk = moments.risk(W, alpha)
            assert (risk + MEAN @ W) / SD == pytest.approx(factor, rel=1e-6)
            worst = moments.worst(W, alpha)
            assert worst.cvar(W, alpha) == pytest.approx(risk, rel=1e-12)
            losses = np.sort(worst.losses(W).round(10).unique())
            assert len(losses) == 2
            # VaR is as bad: the lower point has the probability α.
            assert losses[-1] == pytest.approx(risk, rel=1e-8)

    def test_every_pair_of_a_product_is_of_one_distribution(self):
        means = Ellipsoid(MEAN, SIGMA / 60, 2.0)
        moments = Moments(means, SIGMA)
        worst = moments.worst(W, ALPHA)
        np.testing.assert_allclose(worst.mean(), means.worst(-W), atol=1e-15)
        np.testing.assert_allclose(worst.covariance().matrix(), SIGMA, atol=1e-14)

    def test_it_is_the_robust_mean_of_an_ellipsoid(self):
        kappa = np.sqrt((1 - ALPHA) / ALPHA)
        robust = MeanVariance(Ellipsoid(MEAN, SIGMA, kappa), SIGMA, 0.0).solve()
        moment = MeanCVaR(Moments(MEAN, SIGMA), ALPHA).solve()
        np.testing.assert_allclose(robust.weights, moment.weights, atol=1e-6)

    def test_scarf(self):
        """u(r) = min(r, r − b(k − r)): −E = ½ b (√(s² + (k − m)²) + k − m) − m."""
        b, k = 2.0, 0.02
        m = MEAN @ W
        printed = m - b / 2 * (np.sqrt(SD**2 + (k - m) ** 2) + k - m)
        found = Moments(MEAN, SIGMA).worst_piecewise(W, [1.0, 1.0 + b], [0.0, b * k])
        assert -found == pytest.approx(printed, rel=1e-12)


class TestRelativeEntropy:
    def test_the_worst_scenario_exactly_and_not_only_in_the_limit(self):
        w = np.full(n, 1 / n)
        largest = -(R @ w).min()
        for radius in (np.log(N), np.log(N) + 1):
            assert KullbackLeibler(R, radius).expected_loss(w) == pytest.approx(largest, rel=1e-15)
        tied = pd.concat([R, R])
        assert KullbackLeibler(tied, np.log(N)).expected_loss(w) == pytest.approx(largest)

    def test_entropic_value_at_risk(self):
        """The dual: min over t of tη + t log E e^{L/t}, on a grid never below, attained."""
        w, eta = np.full(n, 1 / n), -np.log(ALPHA)
        losses = -(R @ w).to_numpy()
        found = KullbackLeibler(R, eta).expected_loss(w)
        t = np.geomspace(1e-3, 1.0, 4001)
        dual = t * eta + t * np.log(np.exp(losses / t[:, None]).mean(axis=1))
        assert dual.min() == pytest.approx(found, rel=1e-5)
        assert dual.min() >= found - 1e-15
        assert found >= Scenarios(R).risk(w, ALPHA)


class TestExerciseOnBalls:
    def test_two_conventions_for_alpha(self):
        """20 ε‖w‖ for a tail of 5 %; read with 0.95 it is 1.05, 19 times less, and says little."""
        w, epsilon = np.full(n, 1 / n), 0.005

        def charge(alpha: float) -> float:
            given = Wasserstein(R, epsilon)
            return given.risk(w, alpha) - Scenarios(R).risk(w, alpha)

        assert charge(0.05) / (epsilon * np.linalg.norm(w)) == pytest.approx(20)
        assert charge(0.95) / (epsilon * np.linalg.norm(w)) == pytest.approx(1 / 0.95)
        assert charge(0.05) / charge(0.95) == pytest.approx(19)
        right = MeanCVaR(Wasserstein(R, epsilon), 0.05).solve().weights
        other = MeanCVaR(Wasserstein(R, epsilon), 0.95).solve().weights
        assert other.max() > 1.5 * right.max()

    def test_without_a_budget_the_value_is_0_or_unbounded(self):
        """Positively homogeneous: at a multiple of weights the risk is that multiple."""
        given, w = Wasserstein(R, 0.01), np.full(n, 1 / n)
        for scale in (0.0, 0.5, 3.0):
            assert given.risk(scale * w, ALPHA) == pytest.approx(scale * given.risk(w, ALPHA))
        cash = WeightSet(fully_invested=False)
        nothing = MeanCVaR(given, ALPHA, weight_set=cash).solve()
        assert nothing.weights.abs().max() < 1e-6
        assert nothing.worst_value == pytest.approx(0.0, abs=1e-8)

    def test_the_radius_of_a_rate_and_dimensions(self):
        """The distance of samples falls as N^{−1/2} in one dimension, more slowly in three."""
        rng = np.random.default_rng(0)
        rates = []
        for d in (1, 3):
            sizes = []
            for count in (10, 60):
                pairs = [rng.standard_normal((2, count, d)) for _ in range(8)]
                found = [Wasserstein(a, 1.0).distance(Distribution(b)) for a, b in pairs]
                sizes.append(np.mean(found))
            rates.append(np.log(sizes[0] / sizes[1]) / np.log(6))
        assert rates[0] > rates[1] + 0.05

    def test_covariances_for_the_ground_norm(self):
        """Mahalanobis: the charge is the standard deviation, and the direction Σw."""
        covariance = DenseCovariance(R.cov())
        given, w = Wasserstein(R, 0.2, covariance), np.full(n, 1 / n)
        sigma = np.sqrt(covariance.variance(w))
        charge = given.risk(w, ALPHA) - Scenarios(R).risk(w, ALPHA)
        assert charge == pytest.approx(0.2 / ALPHA * sigma, rel=1e-10)
