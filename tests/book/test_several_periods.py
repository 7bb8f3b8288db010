"""Several periods: what is rectangular, what is not, and what that costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import (
    DenseCovariance,
    ExpectedUtility,
    KinkedUtility,
    MultiPeriod,
    PowerUtility,
    ScenarioTree,
    StagewiseUtility,
    TreeProgram,
    WeightSet,
)
from rrp_pyomo.models.utility import LogUtility
from rrp_pyomo.uncertainty import Ball, Ellipsoid, ScenarioProbabilities, Scenarios

FREE = WeightSet(fully_invested=False, long_only=False)
MOVES = np.array([[0.2], [-0.2]])
VERTICES = [[0.4, 0.6], [0.6, 0.4]]


def growth(amounts: list[float], p: float) -> float:
    """E log W of ±20 % in two periods with the same p, for amounts at the root and both nodes."""
    first, *second = amounts
    total = 0.0
    for move, mass, amount in zip((0.2, -0.2), (p, 1 - p), second, strict=True):
        W = 1 + first * move
        total += mass * (p * np.log(W + 0.2 * amount) + (1 - p) * np.log(W - 0.2 * amount))
    return total


def test_a_constant_probability_is_not_rectangular():
    """+1 and then −1 of ±20 %: −0.0408 for every constant p, −0.1219 where p may change."""
    program = TreeProgram(ScenarioTree.stagewise([(MOVES, VERTICES)] * 2), "log", FREE)
    amounts = [1.0, -1.2, -0.8]
    constant = [growth(amounts, p) for p in np.linspace(0.4, 0.6, 21)]
    np.testing.assert_allclose(constant, np.log(1.2) + np.log(0.8), atol=1e-15)
    assert min(constant) == pytest.approx(-0.0408, abs=5e-5)
    policy = pd.DataFrame({0: amounts}, program.tree.nodes.index(program.tree.nodes.decisions))
    rectangular = program.worst_value(policy)
    assert rectangular == pytest.approx(2 * (0.4 * np.log(1.2) + 0.6 * np.log(0.8)), abs=1e-15)
    assert rectangular == pytest.approx(-0.1219, abs=5e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_rectangular_value_is_at_most_that_of_a_constant_parameter(seed):
    """For any policy: nature chooses at every node what it had to choose once."""
    rng = np.random.default_rng(seed)
    program = TreeProgram(ScenarioTree.stagewise([(MOVES, VERTICES)] * 2), "log", FREE)
    index = program.tree.nodes.index(program.tree.nodes.decisions)
    for amounts in rng.uniform(-1.5, 1.5, (50, 3)):
        constant = min(growth(list(amounts), p) for p in np.linspace(0.4, 0.6, 41))
        assert program.worst_value(pd.DataFrame({0: amounts}, index)) <= constant + 1e-12
    # So is the best one: no bet against ±20 % with p on both sides of 1/2 is worth it.
    assert program.solve().worst_value == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("utility", [LogUtility(), PowerUtility(4.0), KinkedUtility(5.0)], ids=repr)
def test_one_vertex_and_one_period_are_expected_utility(utility):
    rng = np.random.default_rng(1)
    R, p = rng.normal(0.01, 0.08, (7, 3)), rng.dirichlet(np.ones(7))
    tree = TreeProgram(ScenarioTree(R, p), utility).solve()
    alone = ExpectedUtility(Scenarios(R, p), utility).solve()
    assert tree.worst_value == pytest.approx(alone.worst_value, rel=1e-7, abs=1e-9)
    vertices = rng.dirichlet(np.ones(7), 3)
    robust = TreeProgram(ScenarioTree(R, vertices), utility).solve()
    mixture = ScenarioProbabilities.mixture([Scenarios(R, v) for v in vertices])
    assert robust.worst_value == pytest.approx(
        ExpectedUtility(mixture, utility).solve().worst_value, rel=1e-6, abs=1e-8
    )


def test_the_weights_of_constant_relative_risk_aversion_know_no_horizon():
    """V₀ = log W₀ + Σ v_t, and for power utility the product of the stages'."""
    rng = np.random.default_rng(2)
    R = rng.normal(0.01, 0.08, (5, 2))
    mixture = ScenarioProbabilities.mixture([Scenarios(R, v) for v in rng.dirichlet(np.ones(5), 2)])
    for utility in ("log", PowerUtility(0.5), PowerUtility(5.0)):
        short, long = (StagewiseUtility([mixture] * T, utility).solve() for T in (1, 6))
        np.testing.assert_array_equal(long.weights.iloc[0], short.weights.iloc[0])
        assert long.certainty_equivalent == pytest.approx(
            (1 + short.certainty_equivalent) ** 6 - 1, rel=1e-9
        )


def test_with_costs_the_horizon_matters():
    """What the decomposition leaves out: a trade is worth its cost where it lasts."""
    stage = (np.array([[0.06, 0.0], [-0.03, 0.0]]), np.array([0.45, 0.55]))
    held = [0.0, 1.0]
    first = {
        T: TreeProgram(ScenarioTree.stagewise([stage] * T), "log", l1=0.009, previous=held).solve()
        for T in (1, 3)
    }
    assert first[1].first.iloc[0] == pytest.approx(0.0, abs=1e-5)
    assert first[3].first.iloc[0] > 0.1


def test_time_structures_of_errors_by_hand():
    """One asset, errors within ±δ, amounts 1 and −½: 1.5 δ, 0.5 δ and √1.25 δ are lost."""
    sigma = DenseCovariance(np.array([[0.04]]))
    lost = {}
    for structure in ("rectangular", "common", "joint"):
        plan = MultiPeriod(
            [0.0], sigma, 0.0, 2, structure, FREE, errors=Ball(np.zeros(1), 0.02)
        )  # fmt: skip
        lost[structure] = -plan.worst_value([[1.0], [-0.5]]) / 0.02
    assert lost == pytest.approx({"rectangular": 1.5, "common": 0.5, "joint": np.sqrt(1.25)})


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_without_costs_every_step_of_a_plan_is_the_portfolio_of_one_period(horizon):
    rng = np.random.default_rng(4)
    sigma = DenseCovariance(np.cov(rng.normal(size=(30, 4)).T) * 0.01)
    mean = Ellipsoid(rng.normal(0.01, 0.01, 4), sigma.matrix() / 60, 0.7)
    one = MultiPeriod(mean, sigma, 5.0).solve()
    several = MultiPeriod(mean, sigma, 5.0, horizon).solve()
    np.testing.assert_allclose(several.weights, np.tile(one.weights, (horizon, 1)), atol=2e-5)
