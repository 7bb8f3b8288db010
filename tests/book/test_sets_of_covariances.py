"""Sections on sets of covariances: ellipsoids, Goldfarb & Iyengar's columns, loadings in a ball.

Each test shows a statement of a textbook chapter on robust portfolio optimisation as it is printed,
and what is right in its place.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    FactorModel,
    MeanVariance,
    Program,
    WeightSet,
    solve_program,
)
from rrp_pyomo.data import datasets
from rrp_pyomo.errors import InputError
from rrp_pyomo.uncertainty import (
    Ball,
    Box,
    CovarianceBox,
    CovarianceEllipsoid,
    ElementwiseError,
    FactorCovarianceBall,
    FrobeniusBall,
    LoadingEllipsoids,
    LoadingsBall,
    SamplingError,
    as_covariance_set,
)

ABC = list("ABC")
MEAN = pd.Series([0.08, 0.12, 0.10], ABC)
SIGMA = pd.DataFrame(
    [[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.06]], index=ABC, columns=ABC
)
SHORT = WeightSet(long_only=False, lower=-1.0, upper=2.0)


def commutation(n: int) -> np.ndarray:
    """K with K vec A = vec A'."""
    K = np.zeros((n * n, n * n))
    for i in range(n):
        for j in range(n):
            K[i * n + j, j * n + i] = 1.0
    return K


def printed_variance(center: np.ndarray, shape: np.ndarray, delta: float, w: np.ndarray) -> float:
    """w'Σ̂w + δ‖Ω^½(w⊗w)‖."""
    ww = np.kron(w, w)
    return float(w @ center @ w + delta * np.sqrt(ww @ shape @ ww))


class TestGeneralEllipsoid:
    """‖Ω^{-½}(vec Σ − vec Σ̂)‖ ≤ δ, and its "second-order cone" ‖Ω^½(w⊗w)‖ ≤ (s − w'Σ̂w)/δ."""

    def test_the_printed_function_is_not_convex_and_the_right_one_is(self):
        """Only the covariance is uncertain, by ±0.02, of two assets of variance 0.01."""
        S = 0.02 * np.sqrt(2.0) * np.array([[0.0, 1.0], [1.0, 0.0]])
        center, given = 0.01 * np.eye(2), ElementwiseError(0.01 * np.eye(2), S, 1.0)
        shape = np.diag((S**2).ravel())
        ends, middle = np.eye(2), np.array([0.5, 0.5])
        printed = [printed_variance(center, shape, 1.0, w) for w in (*ends, middle)]
        assert printed == pytest.approx([0.01, 0.01, 0.015])
        assert [given.variance(w) for w in (*ends, middle)] == pytest.approx([0.01] * 3, rel=1e-7)
        # The printed worst matrix is no covariance: its correlation would be 2.
        assert not given.contains(center + 0.02 * (1.0 - np.eye(2)))
        assert given.worst(middle).matrix().to_numpy() == pytest.approx(np.full((2, 2), 0.01))

    def test_the_shape_of_a_sampling_error_has_no_inverse_root(self):
        """vec Σ has every covariance twice."""
        shape = (np.eye(9) + commutation(3)) @ np.kron(SIGMA, SIGMA) / 59.0
        assert np.linalg.matrix_rank(shape) == 6
        given = CovarianceEllipsoid(SIGMA, shape, 2.0)
        assert given.contains(given.worst([0.2, 0.5, 0.3]))

    def test_what_the_shape_asks_of_the_antisymmetric_part_is_nothing(self):
        rng = np.random.default_rng(0)
        R = rng.standard_normal((9, 9)) * 0.01
        K, w = commutation(3), np.array([0.5, 0.8, -0.3])
        whole, half = R.T @ R, (np.eye(9) + K) @ R.T @ R @ (np.eye(9) + K) / 4.0
        one, two = (CovarianceEllipsoid(SIGMA, shape, 0.5) for shape in (whole, half))
        assert one.variance(w) == pytest.approx(two.variance(w), rel=1e-8)

    @pytest.mark.parametrize("seed", range(4))
    def test_the_inequality_is_the_printed_value_iff_its_matrix_is_psd(self, seed):
        """Limit: never above it, equal where the printed worst matrix is a covariance."""
        rng = np.random.default_rng(seed)
        R = rng.standard_normal((9, 9)) * 0.02
        shape = R.T @ R
        symmetric = (np.eye(9) + commutation(3)) / 2.0
        for delta in (0.05, 3.0):
            given = CovarianceEllipsoid(SIGMA, shape, delta)
            for w in rng.standard_normal((5, 3)):
                ww = np.kron(w, w)
                loosest = symmetric @ shape @ ww * delta / np.sqrt(ww @ shape @ ww)
                worst = SIGMA.to_numpy() + loosest.reshape(3, 3)
                psd = np.linalg.eigvalsh(worst)[0] >= 0.0
                value = printed_variance(SIGMA.to_numpy(), shape, delta, w)
                assert given.variance(w) <= value * (1 + 1e-9)
                assert (given.variance(w) >= value * (1 - 1e-7)) == psd

    @pytest.mark.parametrize("long", [True, False], ids=["long", "long-short"])
    def test_agrees_with_the_statement_of_two_psd_matrices(self, long):
        """The generic covariance set of other packages: min ⟨Σ̂, X + Z⟩ + κ‖Ω^½ vec(X + Z)‖."""
        rng = np.random.default_rng(3)
        n = 5
        returns = rng.standard_normal((40, n))
        S = np.cov(returns.T) + np.eye(n)
        R = rng.standard_normal((n * n, n * n)) * 0.2
        mean = rng.uniform(0.0, 0.5, n)
        given = CovarianceEllipsoid(S, R.T @ R, 1.5)
        X = None if long else SHORT
        portfolio = MeanVariance(mean, given, 2.0, weight_set=X).solve()
        w = cp.Variable(n)
        X1, Z = cp.Variable((n, n), PSD=True), cp.Variable((n, n), PSD=True)
        W = X1 + Z
        limits = [cp.bmat([[X1, cp.reshape(w, (n, 1), order="F")],
                           [cp.reshape(w, (1, n), order="F"), np.ones((1, 1))]]) >> 0]  # fmt: skip
        limits += [cp.sum(w) == 1, w >= (0 if long else -1), w <= (1 if long else 2)]
        risk = cp.trace(S @ W) + 1.5 * cp.norm(R @ cp.vec(W, order="F"))
        problem = cp.Problem(cp.Maximize(mean @ w - risk), limits)
        problem.solve(solver="CLARABEL")
        assert portfolio.worst_value == pytest.approx(problem.value, rel=1e-6)
        assert portfolio.certificate.relative_gap < 1e-5
        assert given.contains(portfolio.worst_case.covariance, 1e-8)


class TestNoInequalityNeeded:
    """Shapes for which the worst variance is a form, or takes second-order cones."""

    @drawn(st.integers(0, 1000), st.floats(0.0, 0.5))
    @settings(max_examples=10, deadline=None)
    def test_frobenius_is_the_identity_shape_and_ridge(self, seed, delta):
        w = np.random.default_rng(seed).standard_normal(3)
        form = w @ (SIGMA.to_numpy() + delta * np.eye(3)) @ w
        ball = FrobeniusBall(SIGMA, delta)
        assert ball.variance(w) == pytest.approx(form, rel=1e-12)
        ellipsoid = CovarianceEllipsoid(SIGMA, np.eye(9), delta)
        assert ellipsoid.variance(w) == pytest.approx(form, rel=1e-7)

    @pytest.mark.parametrize("X", [None, SHORT], ids=["long", "long-short"])
    def test_a_frobenius_ball_is_ridge_regularisation(self, X):
        """γ = λδ/2, on any weight set."""
        robust = MeanVariance(MEAN, FrobeniusBall(SIGMA, 0.02), 3.0, weight_set=X).solve()
        ridge = MeanVariance(MEAN, SIGMA, 3.0, l2_squared=0.03, weight_set=X).solve()
        larger = MeanVariance(MEAN, SIGMA + 0.02 * np.eye(3), 3.0, weight_set=X).solve()
        assert robust.weights.to_numpy() == pytest.approx(ridge.weights.to_numpy(), abs=1e-7)
        assert robust.weights.to_numpy() == pytest.approx(larger.weights.to_numpy(), abs=1e-7)
        assert robust.worst_value == pytest.approx(ridge.objective, rel=1e-9)

    def test_a_sampling_error_changes_the_risk_aversion_only(self):
        """Shape (I + K)(Σ̂ ⊗ Σ̂)/(T − 1): λ(1 + δ√(2/(T − 1)))."""
        T, delta = 60, 2.0
        given = SamplingError(SIGMA, T, delta)
        shape = (np.eye(9) + commutation(3)) @ np.kron(SIGMA, SIGMA) / (T - 1)
        general = CovarianceEllipsoid(SIGMA, shape, delta)
        for w in np.random.default_rng(0).standard_normal((5, 3)):
            assert given.variance(w) == pytest.approx(general.variance(w), rel=1e-7)
            # Stretching all of Σ̂ is no member: the worst one stretches along Σ̂w.
            assert general.contains(given.worst(w), 1e-7)
        stretched = (1.0 + given.relative_error) * SIGMA
        assert not given.contains(stretched)
        assert not general.contains(stretched)
        robust = MeanVariance(MEAN, given, 2.0, weight_set=SHORT).solve()
        averse = MeanVariance(
            MEAN, SIGMA, 2.0 * (1 + delta * np.sqrt(2 / (T - 1))), weight_set=SHORT
        )
        assert robust.weights.to_numpy() == pytest.approx(
            averse.solve().weights.to_numpy(), abs=1e-8
        )

    @pytest.mark.parametrize("X", [None, SHORT], ids=["long", "long-short"])
    def test_standard_errors_of_normal_returns_take_second_order_cones(self, X):
        """S∘S is psd; the general inequality has the same value."""
        given = ElementwiseError.from_observations(SIGMA, 60, 2.0)
        assert given.is_second_order
        S = given.scale.to_numpy()
        general = CovarianceEllipsoid(SIGMA, np.diag((S**2).ravel()), 2.0)
        for w in np.random.default_rng(0).standard_normal((5, 3)):
            assert given.variance(w) == pytest.approx(general.variance(w), rel=1e-7)
            q = w**2
            value = w @ SIGMA.to_numpy() @ w + 2.0 * np.sqrt(q @ S**2 @ q)
            assert given.variance(w) == pytest.approx(value, rel=1e-12)
        values = [MeanVariance(MEAN, U, 3.0, weight_set=X).solve() for U in (given, general)]
        assert values[0].worst_value == pytest.approx(values[1].worst_value, rel=1e-7)

    def test_a_product_shape_is_one_form(self):
        """Ω = A ⊗ A: w'(Σ̂ + δA)w."""
        A = np.array([[0.02, 0.005, 0.0], [0.005, 0.03, 0.01], [0.0, 0.01, 0.02]])
        given = CovarianceEllipsoid(SIGMA, np.kron(A, A), 0.7)
        for w in np.random.default_rng(0).standard_normal((5, 3)):
            assert given.variance(w) == pytest.approx(w @ (SIGMA + 0.7 * A) @ w, rel=1e-7)

    def test_a_safe_bound_for_every_shape(self):
        rng = np.random.default_rng(0)
        R = rng.standard_normal((9, 9)) * 0.02
        given = CovarianceEllipsoid(SIGMA, R.T @ R, 1.3)
        ball = FrobeniusBall(SIGMA, 1.3 * np.linalg.norm(R, 2))
        for w in rng.standard_normal((10, 3)):
            assert given.variance(w) <= ball.variance(w) * (1 + 1e-9)


class TestBox:
    def test_an_upper_corner_that_is_no_covariance_only_bounds(self):
        """Σ̄ = 0.04 [[1, 1.2], [1.2, 1]]: 0.044, but no member has over 0.04."""
        upper = 0.04 * np.array([[1.0, 1.2], [1.2, 1.0]])
        given = CovarianceBox(0.02 * np.eye(2), upper)
        w = np.array([0.5, 0.5])
        assert w @ upper @ w == pytest.approx(0.044)
        assert given.variance(w) == pytest.approx(0.04, rel=1e-7)
        assert given.contains(given.worst(w))
        assert not given.contains(upper)

    def test_long_weights_see_the_upper_corner_by_one_form(self):
        half = 0.2 * np.abs(SIGMA)
        given = CovarianceBox(SIGMA - half, SIGMA + half)
        robust = MeanVariance(MEAN, given, 2.0)
        nominal = MeanVariance(MEAN, SIGMA + half, 2.0)
        assert not any("second_moment" in name for name in robust.statement.variables)
        assert np.array_equal(robust.solve().weights, nominal.solve().weights)
        # Shorts fear the lower bounds: the corner of their signs, if it is a covariance.
        w = np.array([0.8, -0.3, 0.5])
        signs = np.outer(np.sign(w), np.sign(w))
        corner = np.where(signs > 0, SIGMA + half, SIGMA - half)
        assert given.variance(w) == pytest.approx(w @ corner @ w, rel=1e-12)
        fixed = WeightSet(signs={"A": 1, "B": -1, "C": 1}, gross=1.0)
        of_signs = MeanVariance(MEAN, given, 2.0, weight_set=fixed)
        assert not any("second_moment" in name for name in of_signs.statement.variables)
        alone = MeanVariance(MEAN, DenseCovariance(corner, ABC), 2.0, weight_set=fixed).solve()
        assert of_signs.solve().objective == pytest.approx(alone.objective, rel=1e-9)

    def test_the_inequality_never_exceeds_the_upper_corner(self):
        rng = np.random.default_rng(1)
        half = rng.uniform(0.0, 0.05, (3, 3))
        given = CovarianceBox(SIGMA - half - half.T, SIGMA + half + half.T)
        upper = given.upper.to_numpy()
        for w in np.abs(rng.standard_normal((10, 3))):
            assert given.variance(w) <= w @ upper @ w * (1 + 1e-12)

    def test_the_papers_set_has_its_upper_corner_at_the_absolute_perturbation(self):
        """(7): Σ⁰ + |Σ^Δ|, which is Σ̄ only where no entry of Σ^Δ is negative."""
        lower_covariance = SIGMA.copy()
        lower_covariance.loc["A", "B"] = lower_covariance.loc["B", "A"] = 0.005
        upper = lower_covariance + 0.01 * np.eye(3)
        given = as_covariance_set(CovarianceUncertainty.from_bounds(SIGMA, upper))
        w = np.array([0.5, 0.3, 0.2])
        expected = SIGMA + np.abs(upper - SIGMA)
        assert given.variance(w) == pytest.approx(w @ expected @ w, rel=1e-12)
        assert given.variance(w) > w @ upper @ w
        assert given.center.matrix().equals(SIGMA)

    def test_the_papers_set_stays_factored_for_long_weights(self):
        data = datasets.french()
        returns, factors = data.returns.tail(120), data.factors.tail(120)
        uncertainty = FactorModel.fit(returns, factors).covariance_uncertainty()
        given = as_covariance_set(uncertainty)
        entries = uncertainty.perturbation.matrix().to_numpy()
        if entries.min() >= 0.0:
            assert given.worst(np.ones(given.size)) is uncertainty.worst_case
        robust = MeanVariance(None, given).solve()
        own = given.variance(robust.weights)
        assert 2.0 * -robust.worst_value == pytest.approx(own, rel=1e-9)

    def test_bounds_without_a_covariance_between_them(self):
        lower = np.array([[0.04, 0.05], [0.05, 0.04]])
        with pytest.raises(InputError, match="no matrix between lower and upper"):
            CovarianceBox(lower, lower + 0.001)
        with pytest.raises(InputError, match="lower bound of \\(A, A\\)"):
            CovarianceBox(SIGMA + 0.01, SIGMA)


def market(seed: int, n: int = 6, m: int = 3):
    rng = np.random.default_rng(seed)
    V = 0.4 * rng.standard_normal((m, n)) + np.array([[1.0]] + [[0.0]] * (m - 1))
    F = 4e-4 * np.cov(rng.standard_normal((m, 40))).reshape(m, m)
    return rng, V, F, rng.uniform(1e-4, 5e-4, n)


class TestGoldfarbIyengar:
    def test_no_radius_is_the_nominal_problem(self):
        rng, V, F, D = market(0)
        mean = rng.uniform(0.0, 0.01, 6)
        for X in (None, SHORT):
            robust = MeanVariance(mean, LoadingEllipsoids(V, F, 50 * F, 0.0, D), 4.0, weight_set=X)
            nominal = MeanVariance(mean, FactorCovariance(V, F, D), 4.0, weight_set=X)
            assert np.array_equal(robust.solve().weights, nominal.solve().weights)

    @pytest.mark.parametrize("seed", range(3))
    def test_a_shape_that_is_a_multiple_of_the_factor_covariance_is_closed(self, seed):
        """(‖F^½V⁰w‖ + ρ'|w|/√c)² + w'Dw; the S-lemma's cones of a shape nearby agree."""
        rng, V, F, D = market(seed)
        rho, c = rng.uniform(0.0, 0.01, 6), 59.0
        closed = LoadingEllipsoids(V, F, c * F, rho, D)
        assert closed.is_closed
        for w in rng.standard_normal((5, 6)):
            exposures = np.sqrt(w @ V.T @ F @ V @ w)
            value = (exposures + rho @ np.abs(w) / np.sqrt(c)) ** 2 + w @ (D * w)
            assert closed.variance(w) == pytest.approx(value, rel=1e-12)
        near = LoadingEllipsoids(V, F, c * F * (1 + 1e-7 * np.eye(3)), rho, D)
        assert not near.is_closed
        mean = rng.uniform(0.0, 0.01, 6)
        for X in (None, SHORT):
            one, two = (MeanVariance(mean, U, 4.0, weight_set=X).solve() for U in (closed, near))
            assert one.worst_value == pytest.approx(two.worst_value, rel=1e-6)
            assert one.certificate.relative_gap < 1e-6

    def test_every_exposure_within_reach_is_had_by_columns_in_their_ellipsoids(self):
        """{Ww} = {y : ‖y‖_G ≤ ρ'|w|}: the worst columns reach its border."""
        rng, V, F, D = market(4)
        G, rho = np.cov(rng.standard_normal((3, 20))), rng.uniform(0.1, 0.3, 6)
        given = LoadingEllipsoids(V, F, G, rho, D)
        w = rng.standard_normal(6)
        y = (given.worst_loadings(w).to_numpy() - V) @ w
        assert np.sqrt(y @ G @ y) == pytest.approx(rho @ np.abs(w), rel=1e-9)
        for member in given.sample(rng, 200):
            y = (member.V - V) @ w
            assert np.sqrt(y @ G @ y) <= rho @ np.abs(w) * (1 + 1e-9)

    def test_equal_errors_of_the_means_have_no_effect_on_long_weights(self):
        rng, V, F, D = market(1)
        mean = rng.uniform(0.0, 0.01, 6)
        columns = LoadingEllipsoids(V, F, 59 * F, rng.uniform(0.0, 0.01, 6), D)
        one, two = (MeanVariance(mu, columns, 4.0).solve() for mu in (mean, Box(mean, 0.002)))
        assert one.weights.to_numpy() == pytest.approx(two.weights.to_numpy(), abs=1e-8)
        assert two.worst_value == pytest.approx(one.worst_value - 0.002, rel=1e-9)

    def test_sizes_from_a_regression(self):
        data = datasets.french()
        model = FactorModel.fit(data.returns.tail(90), data.factors.tail(90))
        mean, columns = LoadingEllipsoids.from_regression(model, 0.95)
        p, m, s = 90, len(model.factor_labels), model.residual_variance
        from scipy.stats import f

        reach = (m + 1) * f.ppf(0.95, m + 1, p - m - 1) * s
        assert mean.half_width.to_numpy() == pytest.approx(np.sqrt(reach / p).to_numpy())
        assert mean.center.to_numpy() == pytest.approx(data.returns.tail(90).mean().to_numpy())
        assert columns.radii.to_numpy() == pytest.approx(np.sqrt(reach).to_numpy())
        assert columns.is_closed
        gram = np.cov(data.factors.tail(90).T) * (p - 1)
        assert columns.shape.to_numpy() == pytest.approx(gram)
        none = LoadingEllipsoids.from_regression(model, 0.0)
        assert none.covariance.is_point
        with pytest.raises(InputError, match="level is 1"):
            LoadingEllipsoids.from_regression(model, 1.0)
        robust = MeanVariance(mean, columns, 5.0).solve()
        assert robust.certificate.relative_gap < 1e-5
        assert columns.contains(robust.worst_case.covariance)
        assert robust.worst_case.loadings.shape == (m, 30)

    def test_the_sets_hold_mean_and_loadings_of_an_asset_at_their_level(self):
        """Simulated at ω = 0.9: the projections of a joint ellipsoid cover more, 0.946 here."""
        rng = np.random.default_rng(0)
        m, p, draws = 3, 60, 1500
        f = rng.standard_normal((p, m)) * 0.04
        V, alpha = rng.standard_normal((m, 1)), 0.002
        mean = alpha + float(f.mean(axis=0) @ V[:, 0])
        held = 0
        returns = alpha + f @ V + 0.03 * rng.standard_normal((p, draws))
        model = FactorModel.from_arrays(returns, f)
        sets = LoadingEllipsoids.from_regression(model, 0.9)
        W = model.loadings.to_numpy() - V
        G = sets.covariance.shape.to_numpy()
        inside = np.sqrt(np.einsum("ki,kl,li->i", W, G, W)) <= sets.covariance.radii.to_numpy()
        inside &= np.abs(sets.mean.center.to_numpy() - mean) <= sets.mean.half_width.to_numpy()
        held = inside.mean()
        assert held == pytest.approx(0.946, abs=0.02)

    def test_worst_inverse_factor_covariance(self):
        """F⁻¹ = F₀⁻¹ + Δ, ‖F₀^½ΔF₀^½‖ ≤ η: F₀/(1 − η), for all weights."""
        rng, V, F, D = market(2)
        model = FactorCovariance(V, F, D)
        given = FactorCovarianceBall(model, 0.25)
        w = rng.standard_normal(6)
        expected = w @ V.T @ F @ V @ w / 0.75 + w @ (D * w)
        assert given.variance(w) == pytest.approx(expected, rel=1e-12)
        assert given.contains(given.worst(w))
        assert not given.contains(FactorCovariance(V, F / 0.74, D))
        with pytest.raises(InputError, match="eta is 1"):
            FactorCovarianceBall(model, 1.0)


class TestLoadingsInABall:
    """max over w of min over B of w'B E[f] − (λ/2) w'(BFB' + D)w, ‖B − B̂‖_F ≤ δ."""

    @pytest.mark.parametrize("seed", range(3))
    def test_closed_cases(self, seed):
        """k = 1: F(|b'w| + δ‖w‖)²; F = fI: f(‖B̂'w‖ + δ‖w‖)²."""
        rng, V, F, D = market(seed, m=1)
        w, delta = rng.standard_normal(6), 0.3
        size = np.linalg.norm(w)
        one = LoadingsBall(V, F, D, delta)
        expected = F[0, 0] * (abs(V[0] @ w) + delta * size) ** 2 + w @ (D * w)
        assert one.variance(w) == pytest.approx(expected, rel=1e-12)
        rng, V, _, D = market(seed)
        equal = LoadingsBall(V, 3e-4 * np.eye(3), D, delta)
        expected = 3e-4 * (np.linalg.norm(V @ w) + delta * size) ** 2 + w @ (D * w)
        assert equal.variance(w) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("aversion", [0.0, 0.5, 5.0, 500.0])
    def test_the_joint_worst_case_is_the_adversarys(self, seed, aversion):
        """By the S-lemma as an inequality, in cvxpy; and by 2,000 members."""
        rng, V, F, D = market(seed)
        phi = 5e-3 * rng.standard_normal(3)
        given = LoadingsBall(V, F, D, 0.4, phi)
        w = rng.standard_normal(6)
        w /= np.linalg.norm(w)
        A, v = aversion / 2 * F, V @ w
        unit = np.linalg.norm(A) + np.linalg.norm(phi)
        level, factor = cp.Variable(), cp.Variable(nonneg=True)
        corner = level - (v @ A @ v - phi @ v) / unit - factor * 0.16
        column = cp.reshape(-(A @ v - phi / 2) / unit, (3, 1), order="F")
        lmi = cp.bmat([[factor * np.eye(3) - A / unit, column],
                       [column.T, cp.reshape(corner, (1, 1), order="F")]])  # fmt: skip
        problem = cp.Problem(cp.Minimize(level), [(lmi + lmi.T) / 2 >> 0])
        problem.solve(solver="CLARABEL")
        expected = problem.value * unit + aversion / 2 * (w @ (D * w))
        assert given.loss(w, aversion) == pytest.approx(expected, rel=1e-6)
        worst = given.worst(w, aversion)
        assert given.contains(worst.covariance)
        attained = aversion / 2 * worst.covariance.variance(w) - worst.mean @ w
        assert attained == pytest.approx(given.loss(w, aversion), rel=1e-12)
        for member in given.sample(rng, 300):
            loss = aversion / 2 * member.variance(w) - phi @ member.V @ w
            assert loss <= attained + 1e-12 * abs(attained)

    def test_apart_overcharges(self):
        """Risk and return each by its own worst B: never below the joint worst case."""
        found = []
        for seed in range(20):
            rng, V, F, D = market(seed)
            phi = 5e-3 * rng.standard_normal(3)
            given = LoadingsBall(V, F, D, 0.4, phi)
            w = np.abs(rng.standard_normal(6))
            apart = 2.0 * given.variance(w)
            apart += 0.4 * np.linalg.norm(phi) * np.linalg.norm(w) - phi @ V @ w
            found.append(apart - given.loss(w, 4.0))
        assert min(found) >= 0.0
        assert max(found) > 1e-4

    @pytest.mark.parametrize("X", [None, SHORT], ids=["long", "long-short"])
    def test_portfolios_are_certified(self, X):
        for seed in range(3):
            rng, V, F, D = market(seed)
            phi = 5e-3 * rng.standard_normal(3)
            given = LoadingsBall(V, F, D, 0.2, phi)
            portfolio = MeanVariance(None, given, 4.0, weight_set=X).solve()
            assert portfolio.worst_value == pytest.approx(portfolio.objective, rel=1e-6)
            assert portfolio.certificate.relative_gap < 1e-5
            none = MeanVariance(None, given.scaled(0.0), 4.0, weight_set=X).solve()
            alone = MeanVariance(V.T @ phi, given.center, 4.0, weight_set=X).solve()
            assert none.weights.to_numpy() == pytest.approx(alone.weights.to_numpy(), abs=1e-8)

    def test_an_intercept_is_a_mean_beside_the_set(self):
        """Printed: the return w'B E[f] drops the α of its own model."""
        rng, V, F, D = market(0)
        phi, alpha = 5e-3 * rng.standard_normal(3), 2e-3 * rng.standard_normal(6)
        given = LoadingsBall(V, F, D, 0.2, phi)
        portfolio = MeanVariance(alpha, given, 4.0).solve()
        x = portfolio.weights.to_numpy()
        assert portfolio.worst_value == pytest.approx(alpha @ x - given.loss(x, 4.0), rel=1e-9)

    def test_a_large_ball_leaves_equal_weights(self):
        """δ → ∞ with a budget: δ‖w‖ is all that counts."""
        rng, V, F, D = market(0)
        for phi in (None, 5e-3 * rng.standard_normal(3)):
            given = LoadingsBall(V, F, D, 1e3, phi)
            x = MeanVariance(None, given, 4.0, weight_set=SHORT).solve().weights
            assert x.to_numpy() == pytest.approx(np.full(6, 1 / 6), abs=5e-4)


class TestOtherPlaces:
    def test_weights_do_not_depend_on_the_order_of_assets_or_the_unit(self):
        """Limit: permuting assets permutes weights; percent, with λ and radii rescaled."""
        rng, V, F, D = market(0)
        columns = LoadingEllipsoids(V, F, np.cov(rng.standard_normal((3, 20))), 0.2, D)
        errors = ElementwiseError.from_observations(SIGMA, 60, 2.0)
        x = MeanVariance(None, columns).solve().weights.to_numpy()
        order = [3, 1, 0, 5, 4, 2]
        permuted = MeanVariance(None, columns.select(order)).solve().weights
        assert permuted.to_numpy() == pytest.approx(x[order], abs=1e-7)
        percent = MeanVariance(
            100 * MEAN, ElementwiseError.from_observations(1e4 * SIGMA, 60, 2.0), 0.03
        )
        decimal = MeanVariance(MEAN, errors, 3.0)
        assert percent.solve().weights.to_numpy() == pytest.approx(
            decimal.solve().weights.to_numpy(), abs=1e-7
        )

    def test_several_sets_in_one_program(self):
        """A robust volatility limit beside a robust variance in the objective."""
        rng, V, F, D = market(1)
        columns = LoadingEllipsoids(V, F, np.cov(rng.standard_normal((3, 20))), 0.1, D)
        ball = Ball(rng.uniform(0.0, 0.01, 6), 0.001)
        program = Program("both")
        w = program.variable("w", 6, lower=0.0, unit=1 / 6)
        program.minimize(100 * (2.0 * columns.variance(w) + ball.support(-w)))
        limit = 1.02 * columns.volatility(MeanVariance(None, columns).solve().weights)
        program.subject_to(invested=w.sum() == 1, limit=columns.volatility(w) <= limit)
        x = solve_program(program).arrays["w"]
        assert columns.volatility(x) <= limit * (1 + 1e-7)


@pytest.mark.parametrize("kind", ["columns", "ball", "box"])
def test_tied_worst_elements_prove_the_answer(kind):
    """Weights that hedge exposures, or hold none of some assets, have many worst elements."""
    rng = np.random.default_rng(7)
    gaps = []
    for seed in range(4):
        _, V, F, D = market(seed)
        mean = 0.01 * rng.standard_normal(6)
        if kind == "columns":
            given = LoadingEllipsoids(V, F, np.cov(rng.standard_normal((3, 20))), 1.0, D)
        elif kind == "ball":
            given = LoadingsBall(V, F, D, 0.6, 5e-3 * rng.standard_normal(3))
        else:
            S = FactorCovariance(V, F, D).matrix().to_numpy()
            given = CovarianceBox(S - 0.6 * np.abs(S), S + 0.6 * np.abs(S))
        aversion = 1000.0 if kind == "ball" else 20.0
        problem = MeanVariance(mean, given, aversion, weight_set=SHORT)
        portfolio = problem.solve()
        gaps.append(portfolio.certificate.relative_gap)
        # What is proved holds: no other weights are better by more than the gap.
        best = portfolio.worst_value + portfolio.certificate.gap
        x = portfolio.weights.to_numpy()
        for _ in range(30):
            other = x + 0.05 * rng.standard_normal(6)
            other = other / other.sum()
            if (other >= -1.0).all() and (other <= 2.0).all():
                assert problem.worst_value(other) <= best + 1e-12
    assert max(gaps) < 1e-4
