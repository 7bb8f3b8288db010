"""The risk parity portfolios of all orthants."""

from itertools import product

import numpy as np
import pytest

from rrp_pyomo import DenseCovariance, parity_orthants
from rrp_pyomo.errors import InputError, SolverError
from rrp_pyomo.models.newton import newton


def test_all_of_them_are_parity_and_sorted(dense_covariance):
    covariance = dense_covariance(6)
    budgets = np.linspace(1, 2, 6) / 9
    found = parity_orthants(covariance, budgets, gross=2.0)
    assert len(found) == 32
    assert found.is_complete
    assert not len(found.skipped)
    assert found.volatility.is_monotonic_increasing
    assert {tuple(s) for s in found.signs.to_numpy()} == set(product([1], *[[1, -1]] * 5))
    assert (np.sign(found.weights) == found.signs).all(axis=None)
    np.testing.assert_allclose(found.weights.abs().sum(axis=1), 2.0)
    Sigma = covariance.matrix().to_numpy()
    for k, x in enumerate(found.weights.to_numpy()):
        np.testing.assert_allclose(x * (Sigma @ x) / (x @ Sigma @ x), budgets, atol=1e-12)
        assert found.volatility[k] == pytest.approx(np.sqrt(x @ Sigma @ x))
        assert found.portfolio(k).volatility == pytest.approx(found.volatility[k])
    assert found.portfolio().largest_deviation < 1e-12
    assert repr(found).startswith("ParityOrthants(32 in all, volatility ")


def test_two_assets_in_closed_form():
    """Weights ∝ ±1/σ; volatility √(2 ± 2ρ) σ₁σ₂ / (σ₁ + σ₂)."""
    found = parity_orthants(DenseCovariance([[0.01, 0.005], [0.005, 0.04]], ["a", "b"]))
    np.testing.assert_allclose(found.weights, [[2 / 3, -1 / 3], [2 / 3, 1 / 3]])
    np.testing.assert_allclose(found.volatility, np.sqrt([1.5, 2.5]) * 0.02 / 0.3)
    assert list(found.weights.columns) == ["a", "b"]


def test_one_asset():
    assert parity_orthants(DenseCovariance([[0.04]])).weights.to_numpy().tolist() == [[1.0]]


@pytest.mark.parametrize("n", [12, 60])
def test_many_at_once_are_those_of_newton_one_by_one(n, factor_covariance, hedging_covariance):
    for covariance in (factor_covariance(n), hedging_covariance(n, 1)):
        found = parity_orthants(covariance, samples=20, seed=3)
        assert len(found) == 20
        assert not found.is_complete
        assert "20 sampled" in repr(found)
        assert not found.signs.duplicated().any()
        assert (found.signs.iloc[:, 0] == 1).all()
        for s, x in zip(found.signs.to_numpy(), found.weights.to_numpy(), strict=True):
            expected = newton(covariance, np.full(n, 1 / n), signs=s.astype(float)).weights
            np.testing.assert_allclose(x, expected, atol=1e-11)


@pytest.mark.parametrize(("n", "rho"), [(8, 0.99), (12, 0.999)])
def test_assets_that_hedge_each_other_almost(n, rho):
    """Full Newton steps leave the orthant here, and rounding leaves no 1e-12 in the second case."""
    covariance = DenseCovariance(0.04 * (rho * np.ones((n, n)) + (1 - rho) * np.eye(n)))
    budgets = np.arange(1.0, n + 1) / (n * (n + 1) / 2)
    found = parity_orthants(covariance, budgets)
    assert len(found) == 2 ** (n - 1)
    assert (np.sign(found.weights) == found.signs).all(axis=None)
    x = found.weights.to_numpy()
    contributions = x * (x @ covariance.operator)
    shares = contributions / contributions.sum(axis=1, keepdims=True) / budgets
    np.testing.assert_allclose(shares, 1.0, atol=1e-9)
    hardest = found.signs.iloc[0].to_numpy().astype(float)
    np.testing.assert_allclose(newton(covariance, budgets, signs=hardest).weights, x[0], atol=1e-9)


def test_samples(dense_covariance):
    covariance = dense_covariance(5)
    every = parity_orthants(covariance)
    assert parity_orthants(covariance, samples=1000).volatility.equals(every.volatility)
    some = parity_orthants(covariance, samples=6)
    assert some.weights.equals(parity_orthants(covariance, samples=6).weights)
    assert not some.weights.equals(parity_orthants(covariance, samples=6, seed=1).weights)
    assert set(some.volatility) < set(every.volatility)
    assert len(parity_orthants(dense_covariance(13))) == 2048


def test_orthants_with_a_portfolio_without_risk_are_skipped():
    """Three assets whose returns are those of one; parity exists only where all are long."""
    covariance = DenseCovariance(np.full((3, 3), 0.04) + 0.0 * np.eye(3))
    found = parity_orthants(covariance)
    assert found.signs.to_numpy().tolist() == [[1, 1, 1]]
    assert len(found.skipped) == 3
    assert found.is_complete
    assert "3 skipped" in repr(found)
    for s in found.skipped.to_numpy():
        with pytest.raises(SolverError, match="almost no risk"):
            newton(covariance, np.full(3, 1 / 3), signs=s.astype(float))


def test_bad_input(dense_covariance):
    covariance = dense_covariance(3)
    with pytest.raises(InputError, match="covariance is a Series; expected a Covariance"):
        parity_orthants(covariance.volatilities())
    with pytest.raises(InputError, match="samples is 0; expected a whole number"):
        parity_orthants(covariance, samples=0)
    with pytest.raises(InputError, match="gross is 0; expected a positive"):
        parity_orthants(covariance, gross=0)
    with pytest.raises(InputError, match="seed is 'a'"):
        parity_orthants(covariance, samples=2, seed="a")
