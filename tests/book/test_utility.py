"""Expected utility under ambiguity: where a worst case exists, and what it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import ExpectedUtility, KinkedUtility, PowerUtility
from rrp_pyomo.errors import ModelError
from rrp_pyomo.uncertainty import (
    Distribution,
    Ellipsoid,
    KullbackLeibler,
    Moments,
    Scenarios,
    Wasserstein,
)

# The data of the text's first exercise.
MU, SIGMA = np.array([0.08, 0.12]), np.array([[0.04, 0.01], [0.01, 0.09]])
W = np.array([0.6, 0.4])


def members(rng: np.random.Generator, count: int = 40) -> list[Distribution]:
    """Distributions with these moments: normal-like, skewed and two-point ones."""
    root = np.linalg.cholesky(SIGMA).T
    found = []
    for k in range(count):
        z = rng.standard_normal((60, 2)) if k % 2 else rng.exponential(size=(60, 2)) ** 2
        z = z - z.mean(axis=0)
        z = z @ np.linalg.inv(np.linalg.cholesky(z.T @ z / 60).T)
        found.append(Distribution(MU + z @ root))
    return found


def test_the_mean_of_a_linear_loss_has_no_deviation_term():
    """−w'μ for every distribution of these moments, −0.0960; printed with + √(w'Σw): 0.0873."""
    risk_neutral = ExpectedUtility(Moments(MU, SIGMA), KinkedUtility(0.0))
    assert risk_neutral.worst_value(W) == pytest.approx(0.0960)
    for member in members(np.random.default_rng(0)):
        assert member.p @ (member.R @ W) == pytest.approx(0.0960)
    printed = -W @ MU + np.sqrt(W @ SIGMA @ W)
    assert printed == pytest.approx(0.0873, abs=5e-5)
    # With a set of means it is the worst mean's.
    means = Ellipsoid(MU, SIGMA / 60, 1.0)
    worst = ExpectedUtility(Moments(means, SIGMA), KinkedUtility(0.0)).worst_value(W)
    assert worst == pytest.approx(0.0960 - np.sqrt(W @ SIGMA @ W / 60))


@pytest.mark.parametrize("k", [-0.1, 0.0, 0.096, 0.2])
@pytest.mark.parametrize("b", [0.5, 3.0, 20.0])
def test_scarf(b, k):
    """m − (b/2)(√(v + (k − m)²) + k − m), attained on two points, undercut by no member."""
    utility = KinkedUtility(b, k)
    problem = ExpectedUtility(Moments(MU, SIGMA), utility)
    m, v = W @ MU, W @ SIGMA @ W
    expected = m - b / 2 * (np.sqrt(v + (k - m) ** 2) + k - m)
    assert problem.worst_value(W) == pytest.approx(expected, abs=1e-12)
    worst = problem.worst_case(W).distribution
    np.testing.assert_allclose(worst.mean(), MU, atol=1e-12)
    np.testing.assert_allclose(worst.covariance().matrix(), SIGMA, atol=1e-12)
    points = np.unique(np.round(worst.R @ W, 9))
    size = np.sqrt(v + (k - m) ** 2)
    np.testing.assert_allclose(points, [k - size, k + size], atol=1e-8)
    assert worst.p @ utility.value(1 + worst.R @ W) == pytest.approx(expected, abs=1e-12)
    for member in members(np.random.default_rng(1)):
        assert member.p @ utility.value(1 + member.R @ W) >= expected - 1e-12


SCENARIOS = pd.DataFrame(np.random.default_rng(3).normal(0.01, 0.05, (50, 3)), columns=list("abc"))


@pytest.mark.parametrize("utility", ["log", PowerUtility(3.0)], ids=str)
@pytest.mark.parametrize("radius", [1e-4, 0.01])
def test_log_and_power_utility_have_no_worst_case_in_a_wasserstein_ball(utility, radius):
    """A sliver of a scenario goes to where nothing is left: within any radius, utility falls to −∞.

    The text takes such balls and concave utilities together without saying so.
    """
    ball, x = Wasserstein(SCENARIOS, radius), np.full(3, 1 / 3)
    with pytest.raises(ModelError, match="worst case is −∞"):
        ExpectedUtility(ball, utility)
    alone = ExpectedUtility(SCENARIOS, utility)
    lowest = np.inf
    for left in (1e-20, 1e-80, 1e-300):
        # The first scenario's returns, with the mass that this radius pays for, leave W = left.
        loss = SCENARIOS.to_numpy()[0] @ x + 1 - left
        move = -loss * x / (x @ x)
        mass = min(radius / np.linalg.norm(move), 1 / 50)
        value = (1 - mass) * alone.utility.value(1 + SCENARIOS.to_numpy() @ x).mean()
        value += mass * float(alone.utility.value(np.array([left]))[0])
        assert value < lowest
        lowest = value
    assert lowest < (-0.01 if radius < 1e-3 else -1.0)


def test_kinked_utility_pays_its_slope():
    """ε (1 + b) ‖x‖_* for a ball of order 1, at every radius."""
    utility, x = KinkedUtility(4.0, 0.0), np.array([0.5, 0.3, 0.2])
    nominal = ExpectedUtility(SCENARIOS, utility).worst_value(x)
    for radius in (1e-3, 0.05, 1.0):
        for norm, dual in ((2, 2), (1, np.inf), (np.inf, 1)):
            problem = ExpectedUtility(Wasserstein(SCENARIOS, radius, norm=norm), utility)
            charged = nominal - radius * 5.0 * np.linalg.norm(x, dual)
            assert problem.worst_value(x) == pytest.approx(charged, abs=1e-12)


def test_entropy_reweights_scenarios_and_sees_no_new_one():
    found = ExpectedUtility(KullbackLeibler(SCENARIOS, 0.3), "log").solve()
    worst = found.worst_case.distribution
    np.testing.assert_array_equal(worst.R, SCENARIOS)
    growth = np.log1p(SCENARIOS.to_numpy() @ found.weights.to_numpy())
    # p ∝ e^{−u/t}: the log of the weights is linear in utility.
    slope, intercept = np.polyfit(growth, np.log(worst.p), 1)
    assert slope < 0
    np.testing.assert_allclose(np.log(worst.p), slope * growth + intercept, atol=1e-6)


@pytest.mark.parametrize("utility", ["log", PowerUtility(4.0), KinkedUtility(3.0)], ids=str)
def test_a_small_entropy_charges_the_deviation_of_utility(utility):
    """E u − √(2η) sd(u) as η → 0."""
    x = np.full(3, 1 / 3)
    problem = ExpectedUtility(SCENARIOS, utility)
    u = problem.utility.value(1 + SCENARIOS.to_numpy() @ x)
    errors = []
    for eta in (1e-4, 1e-6):
        worst = ExpectedUtility(KullbackLeibler(SCENARIOS, eta), utility).worst_value(x)
        errors.append(abs(worst - (u.mean() - np.sqrt(2 * eta) * u.std())) / np.sqrt(2 * eta))
    assert errors[0] < 0.05 * u.std()
    assert errors[1] < 0.2 * errors[0]


def test_a_large_entropy_is_the_worst_scenario_exactly():
    """From log N on, not only in the limit."""
    x = np.full(3, 1 / 3)
    least = np.log1p(SCENARIOS.to_numpy() @ x).min()
    for eta in (np.log(50), 10.0):
        worst = ExpectedUtility(KullbackLeibler(SCENARIOS, eta), "log").worst_value(x)
        assert worst == pytest.approx(least, rel=1e-13)
    almost = ExpectedUtility(KullbackLeibler(SCENARIOS, 0.9 * np.log(50)), "log").worst_value(x)
    assert almost > least
    assert ExpectedUtility(Scenarios(SCENARIOS), "log").worst_value(x) > almost
