"""Uncertainty sets: the worst case (10) is exact, and Σ^Δ is the same in every form."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo.data import CovarianceUncertainty, DenseCovariance, FactorCovariance, FactorModel
from rrp_pyomo.errors import InputError

quick = settings(deadline=None, derandomize=True, max_examples=40)

seeds = st.integers(0, 10**6)


def make_uncertainty(nominal: FactorCovariance, scale: float = 1.0) -> CovarianceUncertainty:
    rng = np.random.default_rng(nominal.size)
    return CovarianceUncertainty.from_loading_errors(
        nominal, rng.uniform(0.05, 0.5, nominal.V.shape), scale
    )


def total(V: np.ndarray, nominal: FactorCovariance) -> float:
    """The objective of (10) without the constant 1'D1."""
    u = V.sum(axis=1)
    return float(u @ nominal.F @ u)


def dense(operator, n: int) -> np.ndarray:
    return operator @ np.eye(n)


@quick
@given(seeds, st.integers(1, 8), st.integers(1, 6), st.floats(0.01, 10.0))
def test_worst_case_is_the_best_corner(make_covariance, seed, n, m, scale):
    nominal = make_covariance(seed, n, m)
    uncertainty = make_uncertainty(nominal, scale)
    lower, upper = (bound.to_numpy() for bound in uncertainty.loading_bounds)
    corners = [
        total(np.where(np.array(signs)[:, None], upper, lower), nominal)
        for signs in product([True, False], repeat=m)
    ]
    V = uncertainty.worst_case_loadings.to_numpy()
    assert total(V, nominal) == pytest.approx(max(corners), rel=1e-12)
    at_bound = np.isclose(V, lower, rtol=1e-12) | np.isclose(V, upper, rtol=1e-12)
    assert at_bound.all()


@quick
@given(seeds, st.sampled_from([(1, 1), (2, 2), (3, 3), (5, 2), (2, 5), (1, 6), (10, 1)]))
def test_no_other_signs_of_single_loadings_are_better(make_covariance, seed, shape):
    n, m = shape
    nominal = make_covariance(seed, n, m)
    uncertainty = make_uncertainty(nominal)
    lower, upper = (bound.to_numpy() for bound in uncertainty.loading_bounds)
    best = max(
        total(np.where(np.reshape(signs, (m, n)), upper, lower), nominal)
        for signs in product([True, False], repeat=n * m)
    )
    worst = total(uncertainty.worst_case_loadings.to_numpy(), nominal)
    assert worst == pytest.approx(best, rel=1e-12)


def test_ten_thousand_random_loadings_never_beat_the_worst_case(make_covariance):
    rng = np.random.default_rng(0)
    for seed, (n, m) in enumerate([(25, 3), (10, 6), (4, 1), (50, 5)]):
        nominal = make_covariance(seed, n, m)
        uncertainty = make_uncertainty(nominal)
        lower, upper = (bound.to_numpy() for bound in uncertainty.loading_bounds)
        worst = total(uncertainty.worst_case_loadings.to_numpy(), nominal)
        # Points inside the box, and points with most loadings at a bound.
        gamma = rng.uniform(-1.0, 1.0, (10_000, m, n)) * rng.choice([1.0, 10.0], (10_000, 1, 1))
        V = (lower + upper) / 2 + gamma.clip(-1, 1) * (upper - lower) / 2
        u = V.sum(axis=2)
        values = np.einsum("tk,kl,tl->t", u, nominal.F, u)
        assert values.max() <= worst * (1 + 1e-12)


def test_ties_take_the_first_corner():
    # u⁰ = 0: every corner has its mirror image, and with F = I all corners tie.
    nominal = FactorCovariance([[1.0, -1.0], [2.0, -2.0]], np.eye(2), np.ones(2))
    uncertainty = CovarianceUncertainty.from_loading_errors(nominal, np.full((2, 2), 0.5))
    np.testing.assert_array_equal(uncertainty.worst_case_loadings, nominal.V + 0.5)
    negative = FactorCovariance([[1.0, -1.0], [2.0, -2.0]], [[1.0, -0.5], [-0.5, 1.0]], np.ones(2))
    uncertainty = CovarianceUncertainty.from_loading_errors(negative, np.full((2, 2), 0.5))
    np.testing.assert_array_equal(
        uncertainty.worst_case_loadings, nominal.V + np.array([[0.5, 0.5], [-0.5, -0.5]])
    )


def test_twenty_factors_are_enumerated(make_covariance):
    nominal = make_covariance(seed=5, n=30, m=20)
    uncertainty = make_uncertainty(nominal)
    signs = np.sign((uncertainty.worst_case.V - nominal.V)[:, 0])
    width = uncertainty.loading_bounds[1].to_numpy().sum(axis=1) - nominal.V.sum(axis=1)
    # Local optimality in every single sign and every pair of them.
    for i, j in product(range(20), repeat=2):
        other = signs.copy()
        other[i] *= -1
        other[j] *= -1 if i != j else 1
        u = nominal.V.sum(axis=1) + other * width
        assert u @ nominal.F @ u <= total(uncertainty.worst_case.V, nominal) * (1 + 1e-12)


@quick
@given(seeds, st.integers(1, 12), st.integers(1, 5), st.floats(0.1, 3.0))
def test_perturbation_factored_equals_dense(make_covariance, seed, n, m, scale):
    nominal = make_covariance(seed, n, m)
    uncertainty = make_uncertainty(nominal, scale)
    worst, perturbation = uncertainty.worst_case, uncertainty.perturbation
    delta = worst.matrix().to_numpy() - nominal.matrix().to_numpy()
    size = np.abs(worst.matrix().to_numpy()).max()
    forms = [perturbation]
    if (np.diag(delta) >= 0).all():  # which bounds must fulfil
        forms.append(
            CovarianceUncertainty.from_bounds(nominal.matrix(), worst.matrix()).perturbation
        )
    x = np.random.default_rng(seed).normal(size=(n, 7))
    for form in forms:
        np.testing.assert_allclose(form.matrix(), delta, rtol=1e-12, atol=1e-12 * size)
        np.testing.assert_allclose(form.operator @ x, delta @ x, atol=1e-12 * size * n)
        np.testing.assert_allclose(
            np.linalg.norm(form.norm_map @ x, axis=0),
            np.linalg.norm(delta @ x, axis=0),
            atol=1e-12 * size * n,
        )
        assert form.frobenius_norm == pytest.approx(
            np.linalg.norm(delta), rel=1e-12, abs=1e-12 * size
        )
    assert perturbation.norm_map.shape == (min(n, 2 * m), n)


def test_small_perturbation_keeps_its_digits(make_covariance):
    nominal = make_covariance(seed=6, n=8, m=3)
    small, full = make_uncertainty(nominal, 1e-7), make_uncertainty(nominal)
    width = (full.loading_bounds[1] - nominal.loadings).to_numpy(np.longdouble)
    E = np.longdouble(1e-7) * width * np.sign(small.worst_case.V - nominal.V)
    V, F = nominal.V.astype(np.longdouble), nominal.F.astype(np.longdouble)
    delta = V.T @ F @ E + E.T @ F @ V + E.T @ F @ E
    expected = float(np.sqrt((delta**2).sum()))
    # V* itself is rounded: its difference to V⁰ has nine digits left.
    assert small.perturbation.frobenius_norm == pytest.approx(expected, rel=1e-8)


def test_no_uncertainty_is_no_perturbation(make_covariance):
    nominal = make_covariance(seed=7)
    uncertainty = make_uncertainty(nominal, scale=0.0)
    assert uncertainty.perturbation.frobenius_norm == 0.0
    assert uncertainty.penalty(2.0) == 0.0
    np.testing.assert_array_equal(uncertainty.perturbation.norm_map @ np.eye(6), 0.0)
    np.testing.assert_array_equal(uncertainty.worst_case.V, nominal.V)


def test_errors_that_change_no_digit_of_the_loadings_are_none(make_covariance):
    uncertainty = make_uncertainty(make_covariance(seed=7), scale=1e-20)
    assert uncertainty.relative_size == 0.0
    assert make_uncertainty(make_covariance(seed=7), scale=1e-13).relative_size > 0.0


def test_statements_can_share_exposures(make_covariance):
    nominal = make_covariance(seed=8)
    uncertainty = make_uncertainty(nominal)
    perturbation, worst = uncertainty.perturbation, uncertainty.worst_case
    for linear_map in (perturbation.operator, perturbation.norm_map):
        assert [factor.name for factor in linear_map.factors] == ["exposure_change", "exposure"]
        assert linear_map.factors[0].right is perturbation.operator.factors[0].right
        assert linear_map.factors[1].right is nominal.operator.factors[0].right
    assert worst.operator.factors[0].right is worst.root.parts[0].factors[0].right


def test_copies_by_pickle_share_exposures_as_well(sample):
    uncertainty = pickle.loads(pickle.dumps(FactorModel.fit(*sample).covariance_uncertainty()))
    worst = uncertainty.worst_case
    perturbation, nominal = uncertainty.perturbation, uncertainty.nominal
    assert perturbation.norm_map.factors[1].right is nominal.operator.factors[0].right
    assert worst.operator.factors[0].right is worst.V
    assert uncertainty.penalty(1.0) > 0


def test_factor_model_hands_its_errors_over(sample):
    model = FactorModel.fit(*sample)
    uncertainty = model.covariance_uncertainty(scale=2.0)
    assert uncertainty.nominal is model.covariance
    step = (uncertainty.worst_case_loadings - model.loadings).abs()
    pd.testing.assert_frame_equal(step, 2.0 * model.loading_standard_errors)
    lower, upper = uncertainty.loading_bounds
    pd.testing.assert_frame_equal(upper - lower, 4.0 * model.loading_standard_errors)
    assert uncertainty.labels == model.labels
    assert uncertainty.size == len(model.labels)
    same = CovarianceUncertainty.from_loading_errors(
        model.covariance, model.loading_standard_errors, 2.0
    )
    np.testing.assert_array_equal(same.worst_case.V, uncertainty.worst_case.V)


def test_penalty_is_the_relative_size_times_omega(make_covariance):
    uncertainty = make_uncertainty(make_covariance(seed=9))
    delta, sigma = uncertainty.perturbation.matrix(), uncertainty.nominal.matrix()
    ratio = np.linalg.norm(delta) / np.linalg.norm(sigma)
    assert uncertainty.relative_size == pytest.approx(ratio, rel=1e-12)
    assert uncertainty.penalty(1.5) == pytest.approx(1.5 * ratio, rel=1e-12)


def test_bounds_of_equal_factors_stay_factored(make_covariance):
    random = make_covariance(seed=10)
    nominal = FactorCovariance(abs(random.loadings), np.diag(np.diag(random.F)), random.D)
    made = make_uncertainty(nominal)
    given = CovarianceUncertainty.from_bounds(nominal, made.worst_case, lower=nominal)
    assert isinstance(given.worst_case, FactorCovariance)
    assert given.perturbation.frobenius_norm == made.perturbation.frobenius_norm
    assert given.loading_bounds is None
    pd.testing.assert_frame_equal(given.worst_case_loadings, made.worst_case_loadings)


def test_worst_case_of_a_factor_model_may_lower_a_variance():
    nominal = FactorCovariance([[1.0, -0.5]], [[1.0]], [1.0, 1.0], ["market", "hedge"])
    uncertainty = CovarianceUncertainty.from_loading_errors(nominal, [[0.2, 0.2]])
    np.testing.assert_allclose(uncertainty.worst_case_loadings, [[1.2, -0.3]])
    with pytest.raises(InputError, match=r"1\.09 for 'hedge', below the nominal 1\.25"):
        CovarianceUncertainty.from_bounds(nominal, uncertainty.worst_case)


def test_bounds_may_mix_forms_and_lower_single_covariances(make_covariance):
    nominal = make_covariance(seed=11)
    upper = nominal.matrix() + 0.5 * np.eye(6)
    upper.iloc[0, 1] = upper.iloc[1, 0] = nominal.matrix().iloc[0, 1] - 0.1
    uncertainty = CovarianceUncertainty.from_bounds(nominal, upper.to_numpy())
    assert isinstance(uncertainty.worst_case, DenseCovariance)
    assert uncertainty.worst_case_loadings is None
    assert uncertainty.loading_bounds is None
    pd.testing.assert_frame_equal(uncertainty.worst_case.matrix(), upper)
    pd.testing.assert_frame_equal(
        uncertainty.perturbation.matrix(), upper - nominal.matrix(), rtol=1e-14
    )


def test_contains(make_covariance):
    nominal = DenseCovariance([[2.0, 0.5], [0.5, 1.0]])
    upper = np.array([[3.0, 0.4], [0.4, 2.0]])
    box = CovarianceUncertainty.from_bounds(nominal, upper)
    assert box.contains(nominal)
    assert box.contains(box.worst_case)
    assert box.contains(DenseCovariance([[1.0, 0.6], [0.6, 0.5]]))
    assert not box.contains(DenseCovariance([[2.0, 0.7], [0.7, 1.0]]))
    assert not box.contains(DenseCovariance([[3.1, 0.5], [0.5, 1.0]]))
    tighter = CovarianceUncertainty.from_bounds(nominal, upper, [[1.5, 0.5], [0.5, 0.9]])
    assert tighter.contains(nominal)
    assert not tighter.contains(DenseCovariance([[1.0, 0.45], [0.45, 1.0]]))
    factored = make_uncertainty(make_covariance(seed=12))
    assert factored.contains(factored.nominal)
    assert factored.contains(factored.worst_case)
