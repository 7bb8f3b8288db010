"""Weights of given signs: the parity portfolio of an orthant, in every formulation."""

import numpy as np
import pytest

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    WeightSet,
    largest_omega,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.models.newton import newton

NOMINAL = [RiskParitySOCP, RiskParityQCLP, RiskParityNLP]


@pytest.fixture
def six(factor_covariance):
    """Six assets in a dense matrix, and signs for them."""
    covariance = factor_covariance(6)
    return DenseCovariance(covariance.matrix()), np.array([1.0, 1, 1, 1, -1, -1])


def flipped(covariance, signs):
    """The covariance of the returns of positions, whose sign is changed for shorts."""
    return DenseCovariance(covariance.matrix() * np.outer(signs, signs))


@pytest.mark.parametrize("formulation", NOMINAL)
@pytest.mark.parametrize("gross", [1.0, 2.5])
def test_parity_of_an_orthant(formulation, gross, six):
    covariance, signs = six
    found = formulation(covariance, weight_set=WeightSet(signs=signs, gross=gross)).solve()
    expected = signs * gross * newton(flipped(covariance, signs), np.full(6, 1 / 6)).weights
    np.testing.assert_allclose(found.weights, expected, atol=1e-9 * gross)
    np.testing.assert_allclose(found.relative_risk_contributions, 1 / 6, atol=1e-8)


def test_robust_problem_is_that_of_flipped_returns(six):
    covariance, signs = six
    worst = DenseCovariance(covariance.matrix() + np.diag(0.3 * covariance.variances))
    uncertainty = CovarianceUncertainty.from_bounds(covariance, worst)
    other = CovarianceUncertainty.from_bounds(flipped(covariance, signs), flipped(worst, signs))
    X = WeightSet(signs=signs, gross=1.0)
    assert largest_omega(uncertainty, X) == pytest.approx(largest_omega(other), rel=1e-6)
    found = RobustRiskParity(uncertainty, 0.5, weight_set=X).solve()
    np.testing.assert_allclose(
        signs * found.weights, RobustRiskParity(other, 0.5).solve().weights, atol=1e-7
    )
    assert found.certificate.largest_residual < 1e-7


def test_short_positions_without_signs_are_offered_signs(six):
    covariance, _ = six
    with pytest.raises(InputError, match=r"RiskParitySOCP needs weights x ≥ 0.*signs="):
        RiskParitySOCP(covariance, weight_set=WeightSet(long_only=False))
