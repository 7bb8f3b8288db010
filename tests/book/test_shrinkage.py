"""Shrunk means and covariances: their risks by simulation, their limits, scikit-learn's numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import LedoitWolf

from rrp_pyomo import DenseCovariance, baranchik, bayes_stein, james_stein, ledoit_wolf
from rrp_pyomo.errors import InputError

N, T = 10, 60


def samples(mean, draws=700, seed=0):
    """Samples of T returns with unit errors of the mean: σ² = T."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield mean + np.sqrt(T) * rng.standard_normal((T, N))


def squared_errors(mean, *estimators, draws=700):
    rows = [[((f(R) - mean) ** 2).sum() for f in estimators] for R in samples(mean, draws)]
    return np.mean(rows, axis=0)


def sample_mean(returns):
    return returns.mean(axis=0)


def printed(returns):
    return baranchik(returns, 0.0).mean


def james(returns):
    return james_stein(returns, 0.0).mean


def test_the_printed_intensity_counts_the_noise_twice():
    """At a perfect target the optimum is 1; Σv/(‖μ̂ − μ₀‖² + Σv) stops near ½."""
    mean = np.zeros(N)
    a = [baranchik(R, 0.0).intensity for R in samples(mean)]
    assert np.mean(a) == pytest.approx(0.52, abs=0.01)
    losses = squared_errors(mean, sample_mean, printed, james, draws=1000)
    np.testing.assert_allclose(losses, [N, 2.83, 1.25], rtol=0.12)
    oracle = N / (0.0 + N)  # the true distance from the target in the denominator
    assert oracle == 1.0


@pytest.mark.parametrize("distance", [1.0, 3.2, 20.0])
def test_both_are_better_than_the_sample_mean(distance):
    """Minimax: whatever μ is."""
    mean = np.full(N, distance / np.sqrt(N))
    plain, baranchiks, steins = squared_errors(mean, sample_mean, printed, james)
    assert baranchiks < plain + 0.05
    assert steins < plain + 0.05
    if distance == 3.2:  # ‖μ − μ₀‖²/n ≈ 1: the region in which the printed one is better
        assert baranchiks < steins


def test_james_stein_formulas():
    R = pd.DataFrame(np.random.default_rng(4).normal(0.01, 0.05, (40, 6)), columns=list("abcdef"))
    mean, v = R.mean(), R.var() / 40
    given = james_stein(R, 0.02)
    a = 4 * v.mean() / ((mean - 0.02) ** 2).sum()
    assert given.intensity == pytest.approx(min(a, 1.0))
    np.testing.assert_allclose(given.mean, mean + given.intensity * (0.02 - mean))
    grand = james_stein(R, positive_part=False)
    assert grand.intensity == pytest.approx(3 * v.mean() / ((mean - mean.mean()) ** 2).sum())
    assert (grand.target == mean.mean()).all()
    sigma = DenseCovariance(R.cov())
    d = mean - 0.02
    general = james_stein(R, 0.02, covariance=sigma, positive_part=False)
    assert general.intensity == pytest.approx(4 / (40 * d @ np.linalg.inv(R.cov()) @ d))
    by_asset = james_stein(R, pd.Series(0.02, list("fedcba")))
    assert by_asset.intensity == given.intensity


def test_general_james_stein_is_the_plain_one_where_assets_are_alike():
    R = np.random.default_rng(5).normal(0.01, 0.05, (40, 6))
    sigma = DenseCovariance(0.05**2 * np.eye(6))
    general = james_stein(R, covariance=sigma)
    d = R.mean(axis=0) - R.mean()
    assert general.intensity == pytest.approx(min(1.0, 3 * 0.05**2 / 40 / (d @ d)))
    np.testing.assert_allclose(general.target, R.mean())


def test_the_general_one_beats_the_sample_mean_in_its_own_loss():
    rng = np.random.default_rng(6)
    C = rng.normal(size=(5, 5)) / 5
    S = C @ C.T + 0.02 * np.eye(5)
    sigma, inverse, losses = DenseCovariance(S), np.linalg.inv(S), []
    for R in rng.multivariate_normal(np.full(5, 0.1), S, (300, 20)):
        found = james_stein(R, covariance=sigma)
        for estimate in (found.mean, found.sample_mean):
            losses.append((estimate - 0.1) @ inverse @ (estimate - 0.1))
    shrunk, plain = np.reshape(losses, (-1, 2)).mean(axis=0)
    assert plain == pytest.approx(5 / 20, rel=0.15)
    assert shrunk < 0.7 * plain


def test_bayes_stein_is_jorions():
    R = pd.DataFrame(np.random.default_rng(7).normal(0.01, 0.05, (60, 5)), columns=list("abcde"))
    n, periods = 5, 60
    found = bayes_stein(R)
    sigma = R.cov() * (periods - 1) / (periods - n - 2)
    inverse, one = np.linalg.inv(sigma), np.ones(n)
    mu0 = one @ inverse @ R.mean() / (one @ inverse @ one)
    d = R.mean() - mu0
    k = (n + 2) / (d @ inverse @ d)
    np.testing.assert_allclose(found.target, mu0)
    assert found.intensity == pytest.approx(k / (periods + k))
    expected = sigma * (1 + 1 / (periods + k)) + k / (periods * (periods + 1 + k)) / (
        one @ inverse @ one
    )
    np.testing.assert_allclose(found.covariance.matrix(), expected, rtol=1e-10)


def test_equal_sample_means_are_shrunk_all_the_way():
    R = np.random.default_rng(8).normal(size=(30, 5))
    R += 0.1 - R.mean(axis=0)
    for found in (bayes_stein(R), james_stein(R)):
        assert found.intensity == pytest.approx(1.0)
        np.testing.assert_allclose(found.mean, 0.1, atol=1e-12)
    assert np.isfinite(bayes_stein(R).covariance.matrix().to_numpy()).all()


@pytest.mark.parametrize(("periods", "n"), [(40, 6), (20, 30)])
def test_ledoit_wolf_is_scikit_learns(periods, n):
    R = np.random.default_rng(9).normal(size=(periods, n)) * np.linspace(0.01, 0.1, n)
    found, theirs = ledoit_wolf(R), LedoitWolf().fit(R)
    np.testing.assert_allclose(found.covariance.matrix(), theirs.covariance_, atol=1e-16)
    assert found.intensity == pytest.approx(theirs.shrinkage_, abs=1e-15)
    S = np.cov(R, rowvar=False, ddof=0)
    a, m = found.intensity, found.target
    np.testing.assert_allclose(
        found.covariance.matrix(), (1 - a) * S + a * m * np.eye(n), atol=1e-15
    )
    # min(b̄², d²)/d² of Ledoit & Wolf (2004), in the Frobenius norm over n.
    X = R - R.mean(axis=0)
    d2 = ((S - m * np.eye(n)) ** 2).sum() / n
    b2 = np.mean([((np.outer(x, x) - S) ** 2).sum() for x in X]) / n / periods
    assert a == pytest.approx(min(b2, d2) / d2, rel=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda R: james_stein(R[:, :2], 0.0), "at least 3 with a target"),
        (lambda R: james_stein(R[:, :3]), "at least 4 without a target"),
        (lambda R: bayes_stein(R[:7]), "7 periods are too few for 5"),
        (lambda R: baranchik(R[:1]), "at least 2"),
        (lambda R: baranchik(R, [0.0, 1.0]), "target has shape"),
        (lambda R: james_stein(R, "zero"), "target is 'zero'"),
        (lambda R: ledoit_wolf(np.where(R == R[1, 1], np.nan, R)), "finite"),
        (lambda R: james_stein(R, covariance=R), "expected a Covariance"),
        (lambda R: james_stein(R, covariance=DenseCovariance(np.ones((5, 5)))), "singular"),
    ],
)
def test_what_is_refused(call, message):
    R = np.random.default_rng(0).normal(size=(20, 5))
    with pytest.raises(InputError, match=message):
        call(R)
