"""Policies on trees against dynamic programming by brute force, and their limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory
from scipy.optimize import minimize_scalar

from rrp_pyomo import KinkedUtility, PowerUtility, ScenarioTree, TreeProgram, WeightSet
from rrp_pyomo.errors import InputError, SolverError
from rrp_pyomo.models.utility import LogUtility

CASH = WeightSet(fully_invested=False, long_only=False, lower=-1.0, upper=2.0)
UTILITIES = [LogUtility(), PowerUtility(0.5), PowerUtility(4.0), KinkedUtility(3.0, 0.02)]
# One asset: two stages of three branches, probabilities between two vertices in each.
STAGES = [
    (np.array([[0.25], [0.03], [-0.18]]), np.array([[0.4, 0.3, 0.3], [0.3, 0.2, 0.5]])),
    (np.array([[0.2], [0.01], [-0.1]]), np.array([[0.3, 0.2, 0.5], [0.5, 0.2, 0.3]])),
]
RATE = 0.004


def best(function: Callable[[float], float], low: float, high: float) -> float:
    return -minimize_scalar(
        lambda x: -function(x), bounds=(low, high), method="bounded", options={"xatol": 1e-10}
    ).fun


def by_brute_force(
    utility: Any, cost: float, held: float, wealth: float = 1.0, t: int = 0
) -> float:
    """V_t(W, what is held): the best amount by a search over a line, at every node."""
    if t == len(STAGES):
        return float(utility.value(np.array([wealth]))[0])
    R, vertices = STAGES[t]

    def value(amount: float) -> float:
        left = wealth - cost * abs(amount - held)
        if not -left <= amount <= 2.0 * left:
            return -1e3 - abs(amount)
        after = [
            by_brute_force(
                utility, cost, amount * (1 + r), (1 + RATE) * left + amount * (r - RATE), t + 1
            )
            for r in R[:, 0]
        ]
        return float((vertices @ after).min())

    # The value is concave in the amount within the bounds of X, which depend on what is paid.
    low = max(-wealth / (1 - cost), (-wealth + cost * held) / (1 + cost)) if cost else -wealth
    high = 2.0 * (wealth + cost * held) / (1 + 2 * cost) if cost else 2.0 * wealth
    return max(best(value, low, held), best(value, held, high)) if cost else best(value, low, high)


@pytest.mark.parametrize("utility", UTILITIES, ids=repr)
def test_against_dynamic_programming_by_brute_force(utility):
    tree = ScenarioTree.stagewise(STAGES)
    policy = TreeProgram(tree, utility, CASH, RATE).solve()
    assert policy.worst_value == pytest.approx(by_brute_force(utility, 0.0, 0.0), abs=1e-6)
    assert policy.gap <= 1e-6


@pytest.mark.parametrize("utility", [UTILITIES[0], UTILITIES[3]], ids=repr)
def test_with_costs_against_brute_force(utility):
    tree = ScenarioTree.stagewise(STAGES)
    policy = TreeProgram(tree, utility, CASH, RATE, l1=0.02, previous=[0.3]).solve()
    assert policy.worst_value == pytest.approx(by_brute_force(utility, 0.02, 0.3), abs=1e-5)


def random_tree(seed: int, n: int = 2, T: int = 2, unequal: bool = True) -> ScenarioTree:
    rng = np.random.default_rng(seed)

    def grow(t: int) -> ScenarioTree | None:
        if t == 0:
            return None
        N = int(rng.integers(2, 4))
        R = pd.DataFrame(rng.normal(0.01, 0.1, (N, n)), columns=list("abc")[:n])
        ends = rng.random(N) < 0.25 if unequal else np.zeros(N, bool)
        return ScenarioTree(
            R, rng.dirichlet(4 * np.ones(N), 3), [None if end else grow(t - 1) for end in ends]
        )

    tree = grow(T)
    assert tree is not None
    return tree


def peer(tree: ScenarioTree, utility: Any, cost: float, previous: Any, upper: float) -> float:
    """The same by recursion in cvxpy, a variable for each node."""
    constraints: list[Any] = []

    def value(t: ScenarioTree | None, W: Any, held: Any) -> Any:
        if t is None:
            if isinstance(utility, LogUtility):
                return cp.log(W)
            if isinstance(utility, PowerUtility):
                g = 1 - utility.gamma
                return cp.power(W, g, approx=False) / g
            return W - 1 - utility.b * cp.pos(utility.k + 1 - W)
        a, paid, V = cp.Variable(len(t.labels)), cp.Variable(), cp.Variable()
        constraints.extend([cp.sum(a) == W - paid, a >= 0, a <= upper * (W - paid)])
        constraints.append(paid >= (0 if held is None else cost * cp.norm1(a - held)))
        after = [
            value(
                following,
                (1 + RATE) * (W - paid) + (r - RATE) @ a,
                cp.multiply(1 + r, a),
            )
            for r, following in zip(t.R, t.following, strict=True)
        ]
        children = cp.Variable(len(after))
        constraints.extend(child <= v for child, v in zip(children, after, strict=True))
        constraints.append(V <= t.vertices @ children)
        return V

    V = value(tree, cp.Constant(1.0), previous)
    return float(cp.Problem(cp.Maximize(V), constraints).solve("CLARABEL"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("utility", UTILITIES, ids=repr)
def test_random_trees_against_cvxpy(seed, utility):
    tree = random_tree(seed)
    X = WeightSet(upper=0.8)
    cost, held = (0.01, np.array([0.5, 0.5])) if seed % 2 else (0.0, None)
    problem = TreeProgram(tree, utility, X, RATE, l1=cost, previous=held)
    policy = problem.solve()
    assert policy.worst_value == pytest.approx(peer(tree, utility, cost, held, 0.8), abs=2e-7)
    assert policy.gap <= 1e-6


def test_members_of_the_polytopes_are_never_worse():
    tree = random_tree(5, unequal=False)
    problem = TreeProgram(tree, PowerUtility(3.0), WeightSet(upper=0.8))
    policy = problem.solve()
    nodes, rng = tree.nodes, np.random.default_rng(0)
    final = problem.utility.value(policy.wealth.to_numpy()[nodes.leaves])
    for _ in range(300):
        shares = [rng.dirichlet(np.ones(len(b.tree.vertices))) @ b.tree.vertices
                  for b in nodes.branching]  # fmt: skip
        assert nodes.measure(shares)[nodes.leaves] @ final >= policy.worst_value - 1e-12
    p = policy.worst_probabilities.to_numpy()
    worst = nodes.measure([p[b.children] for b in nodes.branching])
    assert worst[nodes.leaves] @ final == pytest.approx(policy.worst_value, abs=1e-14)


def test_a_policy_goes_on_as_the_best_policy_of_the_subtree():
    """Time consistency: what is done after a branch is optimal from there on."""
    tree = random_tree(8, unequal=False)
    policy = TreeProgram(tree, "log", WeightSet(upper=0.8)).solve()
    for branch, following in zip(tree.branches, tree.following, strict=True):
        alone = TreeProgram(following, "log", WeightSet(upper=0.8)).solve()
        np.testing.assert_allclose(policy.weights.loc[[(branch,)]].iloc[0], alone.first, atol=1e-4)


def test_blocks():
    problem = TreeProgram(random_tree(1), PowerUtility(2.0))
    block = problem.kernel()
    SolverFactory("clarabel").solve(block)
    assert pyo.value(block.objective) == pytest.approx(problem.solve().worst_value, abs=1e-7)


def test_paths_label_the_answer():
    returns = pd.DataFrame([[0.2, 0.0], [-0.1, 0.0]], ["up", "down"], ["stock", "bill"])
    policy = TreeProgram(ScenarioTree.stagewise([(returns, None)] * 2)).solve()
    assert list(policy.amounts.index) == [(), ("up",), ("down",)]
    assert list(policy.amounts.columns) == ["stock", "bill"]
    assert policy.wealth.loc[[("up", "down")]].iloc[0] > 1.0
    assert "4 leaves" in repr(policy)


@pytest.mark.filterwarnings("ignore::rrp_pyomo.errors.RiskParityWarning")
def test_policies_that_gain_in_every_branch_are_unbounded():
    tree = ScenarioTree(np.array([[0.1, 0.02], [-0.02, 0.05]]))
    with pytest.raises(SolverError, match="best weights are unbounded"):
        TreeProgram(tree, "log", WeightSet(fully_invested=False, long_only=False)).solve()


REFUSED = {
    "no branches": (lambda: ScenarioTree(np.zeros((0, 2))), "returns have shape .0, 2."),
    "sums": (lambda: ScenarioTree([[0.1], [0.0]], [0.5, 0.6]), "vertex 1 sum to 1.1; expected 1"),
    "negative": (lambda: ScenarioTree([[0.1], [0.0]], [1.5, -0.5]), "smallest being -0.5"),
    "of another number": (lambda: ScenarioTree([[0.1], [0.0]], [1.0]), "expected 2 numbers"),
    "following": (
        lambda: ScenarioTree([[0.1], [0.0]], None, [None]), "1 trees follow 2 branches; give one"
    ),
    "other assets": (
        lambda: ScenarioTree([[0.1]], None, ScenarioTree([[0.1, 0.2]])), "following holds 2 assets"
    ),
    "no stages": (lambda: ScenarioTree.stagewise([]), "there are no stages; give a list"),
    "no tree": (lambda: TreeProgram([[0.1]]), "tree is a list; expected a ScenarioTree"),
    "utility": (lambda: TreeProgram(random_tree(0), "exp"), "utility is 'exp'; expected 'log'"),
    "gamma": (lambda: PowerUtility(1.0), "gamma is 1; .* use utility='log'"),
    "negative b": (lambda: KinkedUtility(-1.0), "b is -1.0; expected a finite number of at least"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    make, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        make()
