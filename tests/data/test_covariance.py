"""Covariances: the factored and the dense form of every operation are the same matrix."""

from __future__ import annotations

import tracemalloc
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo import Portfolio
from rrp_pyomo.data import Covariance, DenseCovariance, FactorCovariance
from rrp_pyomo.errors import InputError

quick = settings(deadline=None, derandomize=True, max_examples=60)


def root_of(covariance: Covariance) -> np.ndarray:
    return covariance.root @ np.eye(covariance.size)


@quick
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 5), st.integers(0, 5))
def test_factored_equals_dense(make_covariance, seed, n, m, rank):
    factored = make_covariance(seed, n, m, min(rank, m))
    V, F, D = factored.V, factored.F, factored.D
    sigma = V.T @ F @ V + np.diag(D)
    size = np.abs(sigma).max()
    dense = DenseCovariance((sigma + sigma.T) / 2, factored.labels)
    x = pd.Series(np.random.default_rng(seed).normal(size=n), list(factored.labels))

    for covariance in (factored, dense):
        np.testing.assert_allclose(covariance.matrix(), sigma, rtol=1e-12, atol=1e-12 * size)
        np.testing.assert_allclose(
            covariance.operator @ np.eye(n), sigma, rtol=1e-12, atol=1e-12 * size
        )
        R = root_of(covariance)
        np.testing.assert_allclose(R.T @ R, sigma, rtol=1e-12, atol=1e-12 * size)
        assert covariance.frobenius_norm == pytest.approx(np.linalg.norm(sigma), rel=1e-12)
        assert covariance.mean_row_sum == pytest.approx(
            sigma.sum(axis=1).mean(), rel=1e-12, abs=1e-12 * size
        )
        assert covariance.variance(x) == pytest.approx(x @ sigma @ x, rel=1e-12)
        np.testing.assert_allclose(
            covariance.marginal_risk(x), sigma @ x, rtol=1e-12, atol=1e-12 * size * n
        )
        np.testing.assert_allclose(covariance.volatilities(), np.sqrt(np.diag(sigma)), rtol=1e-12)
        assert covariance.size == n
        assert covariance.repaired is None


def test_factored_without_residual_variance_is_singular_and_fine():
    loadings = np.array([[1.0, 2.0, -1.0]])
    covariance = FactorCovariance(loadings, [[4.0]], np.zeros(3))
    R = root_of(covariance)
    np.testing.assert_allclose(R.T @ R, 4.0 * loadings.T @ loadings, rtol=1e-15)


def test_singular_dense_root_has_as_many_rows_as_its_rank():
    half = np.random.default_rng(0).normal(size=(2, 5))
    covariance = DenseCovariance(half.T @ half)
    assert covariance.root.shape == (2, 5)
    np.testing.assert_allclose(root_of(covariance).T @ root_of(covariance), half.T @ half)
    assert covariance.repaired is None


def test_weights_are_aligned_by_label(make_covariance):
    covariance = make_covariance(seed=1)
    x = pd.Series(np.arange(6.0), list(covariance.labels))
    shuffled = x.sample(frac=1, random_state=1)
    expected = covariance.marginal_risk(x.to_numpy())
    pd.testing.assert_series_equal(covariance.marginal_risk(shuffled), expected)
    assert covariance.variance(shuffled) == covariance.variance(x)


def test_labels_come_from_pandas_or_the_caller(make_covariance):
    covariance = make_covariance(seed=2)
    again = FactorCovariance(
        covariance.loadings, covariance.factor_covariance, covariance.residual_variance
    )
    assert (again.labels, again.factor_labels) == (covariance.labels, covariance.factor_labels)
    pd.testing.assert_frame_equal(again.matrix(), covariance.matrix())
    pairs = [("US", "A"), ("US", "B")]
    assert DenseCovariance(np.eye(2), pairs).labels == tuple(pairs)
    assert DenseCovariance(DenseCovariance(np.eye(2), pairs).matrix()).labels == tuple(pairs)
    assert DenseCovariance(np.eye(2)).labels == (0, 1)


def test_clip_gives_the_nearest_psd_matrix_and_says_so():
    indefinite = np.array([[1.0, 2.0], [2.0, 1.0]])  # eigenvalues 3 and −1
    repaired = DenseCovariance(indefinite, repair="clip")
    np.testing.assert_allclose(repaired.matrix(), [[1.5, 1.5], [1.5, 1.5]], rtol=1e-14)
    assert "1 negative eigenvalue" in repaired.repaired
    assert "-1" in repaired.repaired
    np.testing.assert_allclose(root_of(repaired).T @ root_of(repaired), repaired.operator)


def test_clip_leaves_a_sound_matrix_alone():
    half = np.random.default_rng(0).normal(size=(2, 5))
    covariance = DenseCovariance(half.T @ half, repair="clip")
    assert covariance.repaired is None
    np.testing.assert_array_equal(covariance.operator, half.T @ half)


def test_rounding_errors_are_averaged_out():
    matrix = np.array([[1.0, 0.5], [0.5 + 1e-13, 1.0]])
    operator = DenseCovariance(matrix).operator
    np.testing.assert_array_equal(operator, operator.T)
    assert operator[0, 1] == pytest.approx(0.5 + 0.5e-13, rel=1e-15)


def test_immutable_and_independent_of_its_input():
    matrix = np.eye(3)
    dense = DenseCovariance(matrix)
    V = np.ones((1, 3))
    factored = FactorCovariance(V, [[1.0]], np.ones(3))
    matrix[:] = V[:] = 7.0
    np.testing.assert_array_equal(dense.operator, np.eye(3))
    np.testing.assert_array_equal(factored.V, np.ones((1, 3)))
    with pytest.raises(FrozenInstanceError):
        factored.V = V
    with pytest.raises(FrozenInstanceError):
        dense.labels = ()
    with pytest.raises(ValueError, match="read-only"):
        factored.V[0, 0] = 2.0


def test_exposures_are_named_and_shared(make_covariance):
    covariance = make_covariance(seed=3)
    (factor,) = covariance.operator.factors
    assert (factor.name, factor.labels) == ("exposure", ("F0", "F1", "F2"))
    assert factor.right is covariance.root.parts[0].factors[0].right


def test_twenty_thousand_assets_stay_factored(make_covariance):
    n, m = 20_000, 5
    tracemalloc.start()
    covariance = make_covariance(seed=4, n=n, m=m)
    x = np.full(n, 1.0 / n)
    assert np.linalg.norm(covariance.root @ x) ** 2 == pytest.approx(covariance.variance(x))
    assert covariance.frobenius_norm > 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * n * m  # a dozen arrays of the size of V; Σ itself would be 8 n² = 3.2 GB
    assert repr(covariance) == "FactorCovariance(20000 assets, 5 factors)"


def graded(seed: int, smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of five assets with the smallest eigenvalue given, and deviations 1 … 1e-12."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    values = np.concatenate([[smallest], rng.uniform(0.2, 2.0, 4)])
    matrix = basis * values @ basis.T
    unit = np.sqrt(np.abs(matrix.diagonal()))
    return matrix / np.outer(unit, unit), 10.0 ** rng.uniform(-12.0, 0.0, 5)


@quick
@given(st.integers(0, 10**6))
def test_indefinite_however_small_the_variances(seed):
    """Σ is judged as correlations are: a correlation of −1.5 is none beside a variance of 1e20."""
    correlations, scale = graded(seed, -0.1)
    correlations[np.diag_indices(5)] = 1.0
    least = np.linalg.eigvalsh(correlations)[0]
    matrix = correlations * np.outer(scale, scale)
    if least > -1e-6:
        DenseCovariance(matrix)
        return
    with pytest.raises(InputError, match=r"smallest eigenvalue is -.*repair='clip'"):
        DenseCovariance(matrix)
    with pytest.raises(InputError, match="factor_covariance is not positive semidefinite"):
        FactorCovariance(np.eye(5), matrix, np.ones(5))
    repaired = DenseCovariance(matrix, repair="clip")
    assert "clipped" in repaired.repaired
    unit = np.sqrt(repaired.variances)
    assert np.linalg.eigvalsh(repaired.operator / np.outer(unit, unit))[0] > -1e-9


@quick
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_singular_however_different_the_variances(seed, rank):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(rank, 5)) * 10.0 ** rng.uniform(-12.0, 0.0, 5)
    matrix = half.T @ half
    covariance = DenseCovariance(matrix)
    unit = np.sqrt(np.outer(covariance.variances, covariance.variances))
    R = root_of(covariance)
    np.testing.assert_allclose(R.T @ R / unit, matrix / unit, atol=1e-12)
    assert Portfolio.of(pd.Series(0.2, range(5)), covariance).volatility >= 0


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1.0])
def test_a_correlation_beyond_one_beside_a_larger_variance(size):
    matrix = np.diag([1.0, size, size])
    matrix[1, 2] = matrix[2, 1] = -1.5 * size
    with pytest.raises(InputError, match=r"smallest eigenvalue is -0\.5"):
        DenseCovariance(matrix)


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1.0])
def test_asymmetric_beside_a_larger_variance(size):
    matrix = np.diag([1.0, size, size])
    matrix[1, 2] = 0.5 * size
    with pytest.raises(InputError, match=r"not symmetric: \(1, 2\)"):
        DenseCovariance(matrix)


def test_factors_without_variance():
    F = np.diag([1.0, 0.0, 4.0])
    assert FactorCovariance(np.ones((3, 2)), F, np.ones(2)).variances.tolist() == [6.0, 6.0]
    for covariance in (0.1, 1e-6):
        F[1, 2] = F[2, 1] = covariance
        with pytest.raises(InputError, match="factor_covariance is not positive semidefinite"):
            FactorCovariance(np.ones((3, 2)), F, np.ones(2))
