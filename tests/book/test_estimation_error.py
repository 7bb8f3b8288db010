"""Errors of sample moments, and what plug-in portfolios make of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import error_maximisation, standard_errors
from rrp_pyomo.errors import InputError

MEAN = pd.Series({"A": 0.08, "B": 0.12})
SIGMA = pd.DataFrame([[0.04, 0.01], [0.01, 0.09]], MEAN.index, MEAN.index)


def test_standard_errors_of_covariances_are_wisharts():
    """Printed: σ_ij/√T, which is 0 for uncorrelated assets and √2 too small for variances."""
    rng = np.random.default_rng(0)
    sigma = np.array([[0.04, 0.0], [0.0, 0.09]]) / 12
    T, draws = 60, 20_000
    returns = rng.multivariate_normal(np.zeros(2), sigma, (draws, T))
    centred = returns - returns.mean(axis=1, keepdims=True)
    S = np.einsum("sti,stj->sij", centred, centred) / (T - 1)
    errors = standard_errors(sigma, T)
    np.testing.assert_allclose(errors.covariance, S.std(axis=0), rtol=0.03)
    np.testing.assert_allclose(errors.mean, returns.mean(axis=1).std(axis=0), rtol=0.03)
    printed = sigma / np.sqrt(T)
    assert printed[0, 1] == 0.0
    assert errors.covariance.loc[0, 1] > 4e-4
    assert errors.covariance.loc[0, 0] / printed[0, 0] == pytest.approx(np.sqrt(2 * 60 / 59))


def test_five_years_of_months_are_five_yearly_observations():
    """Printed: 20 % a year over 60 months has a standard error of 2.5 % a year."""
    yearly = standard_errors([[0.2**2]], 5).mean[0]
    monthly = standard_errors([[0.2**2 / 12]], 60).mean[0]
    assert yearly == pytest.approx(0.0894427, abs=1e-7)
    assert 12 * monthly == pytest.approx(yearly)
    assert yearly / (0.2 / np.sqrt(60)) == pytest.approx(np.sqrt(12))
    assert standard_errors([[0.2**2]], 64).mean[0] == pytest.approx(0.025)


@pytest.mark.parametrize("known", [True, False])
def test_promised_and_delivered(known):
    """The simulation draws moments; here they come from returns, and weights from the formula."""
    lam, T, n = 2.0, 30, 2
    found = error_maximisation(MEAN, SIGMA, T, lam, covariance_known=known, simulations=60_000)
    theta2 = MEAN @ np.linalg.inv(SIGMA) @ MEAN
    assert found.optimal == pytest.approx(theta2 / (2 * lam))
    if known:
        assert found.promised == pytest.approx((theta2 + n / T) / (2 * lam))
        assert found.delivered == pytest.approx((theta2 - n / T) / (2 * lam))
    error = found.simulated.std() / np.sqrt(len(found.simulated))
    for name in ("promised", "delivered"):
        miss = found.simulated[name].mean() - getattr(found, name)
        assert abs(miss) < 4 * error[name]

    rng = np.random.default_rng(1)
    returns = rng.multivariate_normal(MEAN, SIGMA, (20_000, T))
    means = returns.mean(axis=1)
    centred = returns - means[:, None]
    S = np.einsum("sti,stj->sij", centred, centred) / (T - 1)
    used = np.broadcast_to(SIGMA, S.shape) if known else S
    w = np.linalg.solve(used, means[:, :, None])[:, :, 0] / lam
    promised = (w * means).sum(1) - lam / 2 * np.einsum("si,sij,sj->s", w, used, w)
    delivered = w @ MEAN - lam / 2 * np.einsum("si,ij,sj->s", w, SIGMA.to_numpy(), w)
    for name, values in (("promised", promised), ("delivered", delivered)):
        assert abs(values.mean() - getattr(found, name)) < 4 * values.std() / np.sqrt(len(values))
    assert found.delivered < found.optimal < found.promised


def test_the_same_seed_gives_the_same_numbers_and_a_picture():
    one, other = (error_maximisation(MEAN, SIGMA, 30, simulations=500, seed=3) for _ in range(2))
    assert one.simulated.equals(other.simulated)
    assert {text.get_text() for text in one.plot().axes[0].get_legend().get_texts()} == {
        "promised",
        "delivered",
        "optimal",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"observations": 6, "covariance_known": False}, "at least 7"),
        ({"observations": 2.5}, "whole number"),
        ({"risk_aversion": 0.0}, "risk_aversion is 0.0"),
        ({"covariance": [[1.0, 1.0], [1.0, 1.0]], "mean": [0.1, 0.1]}, "singular"),
    ],
)
def test_what_is_refused(arguments, message):
    given = {"mean": MEAN, "covariance": SIGMA, "observations": 30, **arguments}
    with pytest.raises(InputError, match=message):
        error_maximisation(**given)


def test_one_observation_has_no_covariance():
    with pytest.raises(InputError, match="observations is 1"):
        standard_errors(SIGMA, 1)
