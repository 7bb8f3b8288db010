"""Expected utility against cvxpy and the adversary's side: sets of distributions × utilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory
from scipy.optimize import minimize

from rrp_pyomo import ExpectedUtility, KinkedUtility, PowerUtility, StagewiseUtility, WeightSet
from rrp_pyomo.errors import InputError, ModelError, SolverError
from rrp_pyomo.models.utility import LogUtility
from rrp_pyomo.uncertainty import (
    Box,
    DelageYe,
    Ellipsoid,
    FrobeniusBall,
    KullbackLeibler,
    Moments,
    Polyhedron,
    ScenarioProbabilities,
    Scenarios,
    Wasserstein,
)

n, N = 5, 40
LABELS = list("abcde")
RNG = np.random.default_rng(5)
R = RNG.multivariate_normal(
    RNG.normal(0.01, 0.01, n), 0.003 * (0.6 * np.eye(n) + 0.4), N
)  # fmt: skip
SCENARIOS = pd.DataFrame(R, columns=LABELS)
RATE = 0.002
MU, SIGMA = R.mean(axis=0), np.cov(R.T, bias=True)
ROOT = np.linalg.cholesky(SIGMA).T
UTILITIES = {
    "log": LogUtility(),
    "γ = 0.5": PowerUtility(0.5),
    "γ = 6": PowerUtility(6.0),
    "kinked": KinkedUtility(9.0, 0.005),
    "linear": KinkedUtility(0.0),
}
WEIGHTS: dict[str, tuple[Any, Callable[[Any], list[Any]]]] = {
    "long": (None, lambda w: [cp.sum(w) == 1, w >= 0]),
    "bounded": (
        WeightSet(fully_invested=False, long_only=False, lower=-0.5, upper=1.0),
        lambda w: [w >= -0.5, w <= 1.0],
    ),
    "long and short": (WeightSet(long_only=False), lambda w: [cp.sum(w) == 1]),
}


# A gap over weights of any size is the weights' last digits times that size.
TIGHT = {"long": 1e-6, "bounded": 1e-6, "long and short": 5e-5}


def utility_of(u: Any, W: Any) -> Any:
    if isinstance(u, LogUtility):
        return cp.log(W)
    if isinstance(u, PowerUtility):
        return cp.power(W, 1 - u.gamma, approx=False) / (1 - u.gamma)
    return W - 1 - u.b * cp.pos(u.k + 1 - W)


def known(U: Any) -> tuple[Any, list[Any]]:
    return cp.sum(U) / N, []


ETA = 0.04


def entropic(U: Any) -> tuple[Any, list[Any]]:
    """The dual in cvxpy: t η + s, with Σ t e^{(−U−s)/t} ≤ N t."""
    t, s, e = cp.Variable(), cp.Variable(), cp.Variable(N)
    loss = cp.Variable(N)
    cone = cp.constraints.ExpCone(loss - s, t * np.ones(N), e)
    return -(s + t * ETA), [loss >= -U, cone, cp.sum(e) <= N * t, t >= 0]


LOW, HIGH = 0.4 / N, 2.5 / N


def boxed(U: Any) -> tuple[Any, list[Any]]:
    """min over p of p'U, low ≤ p ≤ high, by its dual."""
    level, up = cp.Variable(), cp.Variable(N)
    value = LOW * cp.sum(U) + (1 - LOW * N) * level - (HIGH - LOW) * cp.sum(up)
    return value, [up >= 0, up >= level - U]


PARTS = RNG.dirichlet(np.ones(N), 3)


def mixed(U: Any) -> tuple[Any, list[Any]]:
    parts = cp.Variable(3)
    return cp.min(parts), [parts <= PARTS @ cp.hstack([U])]


ON_SCENARIOS: dict[str, tuple[Any, Any]] = {
    "scenarios": (SCENARIOS, known),
    "entropy": (KullbackLeibler(SCENARIOS, ETA), entropic),
    "box": (ScenarioProbabilities.box(SCENARIOS, LOW, HIGH), boxed),
    "mixture": (ScenarioProbabilities.mixture([Scenarios(SCENARIOS, p) for p in PARTS]), mixed),
}


def best(make: Callable[[Any], tuple[Any, list[Any]]], weights: str) -> float:
    w = cp.Variable(n)
    worth, constraints = make(w)
    problem = cp.Problem(cp.Maximize(worth), [*constraints, *WEIGHTS[weights][1](w)])
    exact = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-11)
    return float(problem.solve("CLARABEL", **exact))


@pytest.mark.parametrize("kind", ON_SCENARIOS)
@pytest.mark.parametrize("name", UTILITIES)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_on_scenarios_against_cvxpy(kind, name, weights):
    if name == "linear" and weights == "long and short":
        pytest.skip("unbounded")
    given, make = ON_SCENARIOS[kind]
    u = UTILITIES[name]

    def worth(w: Any) -> tuple[Any, list[Any]]:
        U = cp.Variable(N)
        value, constraints = make(U)
        return value, [*constraints, U <= utility_of(u, 1 + RATE + (R - RATE) @ w)]

    expected = best(worth, weights)
    problem = ExpectedUtility(given, u, WEIGHTS[weights][0], RATE)
    found = problem.solve()
    # cvxpy's answer may be off where the cones are many; ours is proved from the data.
    assert found.worst_value >= expected - 1e-6 * max(abs(expected), 1e-3)
    assert found.worst_value == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert found.certificate.gap <= TIGHT[weights] * max(abs(expected), 0.01)
    assert found.certificate.infeasibility <= 1e-8
    worst = found.worst_case.distribution
    wealth = problem.wealth(found.weights)
    assert problem.distribution.contains(worst, 1e-7)
    assert worst.p @ u.value(wealth) == pytest.approx(found.worst_value, abs=1e-6)
    members = problem.distribution.sample(np.random.default_rng(0), 50)
    assert min(m.p @ u.value(wealth) for m in members) >= found.worst_value - 1e-9


@pytest.mark.parametrize("name", ["log", "γ = 0.5", "γ = 6"])
def test_smooth_utilities_against_scipy(name):
    u = UTILITIES[name]
    answer = minimize(
        lambda w: -u.value(1 + RATE + (R - RATE) @ w).mean(),
        np.full(n, 0.2),
        jac=lambda w: -(R - RATE).T @ u.slope(1 + RATE + (R - RATE) @ w) / N,
        bounds=[(0, 1)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    found = ExpectedUtility(SCENARIOS, u, risk_free=RATE).solve()
    assert found.worst_value == pytest.approx(-answer.fun, rel=1e-9)


# --- piecewise linear utility where returns are not given scenarios -----------------------------

B, K = 4.0, 0.005
KINKED = KinkedUtility(B, K)


def scarf(mean_penalty: Any, deviation: Any) -> Any:
    def worth(w: Any) -> tuple[Any, list[Any]]:
        m, s = cp.Variable(), cp.Variable()
        value = m - B / 2 * (cp.norm(cp.hstack([s, K - m])) + K - m)
        cash = RATE * (1 - cp.sum(w))
        return value, [m <= MU @ w + cash - mean_penalty(w), s >= deviation(w)]

    return worth


def moved(order: float, dual: Any, epsilon: float = 0.01) -> Any:
    """Wasserstein balls: order 1 by the slope, ∞ by the shift, 2 by its price."""

    def worth(w: Any) -> tuple[Any, list[Any]]:
        x = RATE + (R - RATE) @ w
        size, U = cp.Variable(), cp.Variable(N)
        if order == 1:
            return cp.sum(utility_of(KINKED, 1 + x)) / N - epsilon * (1 + B) * dual(w), []
        if order == np.inf:
            return cp.sum(U) / N, [size >= dual(w), U <= utility_of(KINKED, 1 + x - epsilon * size)]
        gain, price = cp.Variable(), cp.Variable()
        lost = epsilon * gain  # λ = price/ε
        pieces = [U <= x - lost, U <= x - B * (K - x) - (1 + B) ** 2 * lost]
        quad = cp.quad_over_lin(size, 4 * price) <= gain
        return cp.sum(U) / N - price * epsilon, [*pieces, quad, size >= dual(w)]

    return worth


MOMENTS = pd.Series(MU, LABELS), pd.DataFrame(SIGMA, LABELS, LABELS)
ELSEWHERE: dict[str, tuple[Any, Any]] = {
    "moments": (Moments(*MOMENTS), scarf(lambda w: 0, lambda w: cp.norm(ROOT @ w))),
    "ellipsoid of means": (
        Moments(Ellipsoid(MOMENTS[0], MOMENTS[1] / N, 0.8), MOMENTS[1]),
        scarf(lambda w: 0.8 / np.sqrt(N) * cp.norm(ROOT @ w), lambda w: cp.norm(ROOT @ w)),
    ),
    "box and Frobenius ball": (
        Moments(Box(MOMENTS[0], 0.002), FrobeniusBall(MOMENTS[1], 0.001)),
        scarf(
            lambda w: 0.002 * cp.norm1(w),
            lambda w: cp.norm(np.linalg.cholesky(SIGMA + 0.001 * np.eye(n)).T @ w),
        ),
    ),
    "W1": (Wasserstein(SCENARIOS, 0.01), moved(1, cp.norm)),
    "W1, ℓ1": (Wasserstein(SCENARIOS, 0.01, norm=1), moved(1, cp.norm_inf)),
    "W1, ℓ∞": (Wasserstein(SCENARIOS, 0.01, norm=np.inf), moved(1, cp.norm1)),
    "W2": (Wasserstein(SCENARIOS, 0.01, order=2), moved(2, cp.norm)),
    "W∞": (Wasserstein(SCENARIOS, 0.01, order=np.inf), moved(np.inf, cp.norm)),
}


@pytest.mark.parametrize("kind", ELSEWHERE)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_kinked_utility_beyond_scenarios(kind, weights):
    given, worth = ELSEWHERE[kind]
    expected = best(worth, weights)
    problem = ExpectedUtility(given, KINKED, WEIGHTS[weights][0], RATE)
    found = problem.solve()
    assert found.worst_value == pytest.approx(expected, rel=1e-6)
    if kind != "W2":
        # A gap is of the first order in the last digits of weights, the value of the second.
        assert found.certificate.gap <= 2e-4 * abs(expected)
    # The adversary's side: a member that attains the value, and others that do not fall below.
    x = found.weights.to_numpy()

    def under(d: Any) -> float:
        return float(d.p @ KINKED.value(1 + RATE + (d.R - RATE) @ x))

    worst = found.worst_case.distribution
    assert given.contains(worst, 1e-6)
    assert under(worst) == pytest.approx(found.worst_value, abs=1e-6)
    drawn = given.sample(np.random.default_rng(1), 100)
    assert min(map(under, drawn)) >= found.worst_value - 1e-9


def test_a_support_that_is_never_reached_changes_nothing():
    far = Polyhedron(pd.Series(0.0, LABELS), np.vstack([np.eye(n), -np.eye(n)]), np.full(2 * n, 50))
    free = ExpectedUtility(Wasserstein(SCENARIOS, 0.01), KINKED).solve()
    held = ExpectedUtility(Wasserstein(SCENARIOS, 0.01, support=far), KINKED).solve()
    assert held.worst_value == pytest.approx(free.worst_value, rel=1e-5)
    near = Polyhedron(
        pd.Series(0.0, LABELS), np.vstack([np.eye(n), -np.eye(n)]), np.full(2 * n, 0.2)
    )
    inside = ExpectedUtility(Wasserstein(SCENARIOS, 0.05, support=near), KINKED, risk_free=RATE)
    found = inside.solve()
    assert (
        found.worst_value
        > ExpectedUtility(Wasserstein(SCENARIOS, 0.05), KINKED).solve().worst_value
    )
    assert found.certificate.gap <= 1e-5 * abs(found.worst_value)
    assert np.abs(found.worst_case.distribution.R).max() <= 0.2 + 1e-9


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UTILITIES)
def test_radius_0_is_the_nominal_problem(name):
    u = UTILITIES[name]
    nominal = ExpectedUtility(SCENARIOS, u).solve()
    zero = [KullbackLeibler(SCENARIOS, 0.0)]
    if isinstance(u, KinkedUtility):
        zero += [Wasserstein(SCENARIOS, 0.0), Wasserstein(SCENARIOS, 0.0, order=2)]
    for given in zero:
        found = ExpectedUtility(given, u).solve()
        assert (found.weights == nominal.weights).all()
        assert found.price_of_robustness == pytest.approx(0.0, abs=1e-9)


def test_a_large_entropy_is_the_worst_scenario():
    worst = ExpectedUtility(KullbackLeibler(SCENARIOS, np.log(N)), "log").solve()
    w, t = cp.Variable(n), cp.Variable()
    problem = cp.Problem(cp.Maximize(t), [t <= R @ w, cp.sum(w) == 1, w >= 0])
    assert worst.worst_value == pytest.approx(np.log1p(problem.solve("CLARABEL")), rel=1e-6)
    assert worst.certificate.gap <= 1e-7


def test_small_losses_make_all_utilities_mean_variance():
    """γ w'Σw/2 is what power utility charges where returns are small."""
    small = 0.01 * R
    for gamma in (1.0, 3.0):
        u = "log" if gamma == 1.0 else PowerUtility(gamma)
        found = ExpectedUtility(small, u, risk_free=0.0)
        x = np.full(n, 1 / n)
        expected = small.mean(axis=0) @ x - gamma / 2 * np.mean((small @ x) ** 2)
        assert found.certainty_equivalent(x) == pytest.approx(expected, abs=1e-8)


def test_costs_and_turnover_around_what_is_held():
    held = pd.Series([0.5, 0.5, 0.0, 0.0, 0.0], LABELS)
    stay = ExpectedUtility(SCENARIOS, "log", l1=1.0, previous=held).solve()
    np.testing.assert_allclose(stay.weights, held, atol=1e-6)
    limited = ExpectedUtility(KullbackLeibler(SCENARIOS, ETA), "log", previous=held, turnover=0.2)
    found = limited.solve()
    assert (found.weights - held).abs().sum() <= 0.2 + 1e-8
    assert found.certificate.gap <= 1e-7


def test_permuted_assets_permute_weights():
    a = ExpectedUtility(KullbackLeibler(SCENARIOS, ETA), PowerUtility(3.0)).solve()
    b = ExpectedUtility(KullbackLeibler(SCENARIOS[LABELS[::-1]], ETA), PowerUtility(3.0)).solve()
    np.testing.assert_allclose(a.weights, b.weights[LABELS], atol=1e-8)


@pytest.mark.parametrize("name", ["log", "γ = 6", "kinked"])
def test_blocks(name):
    problem = ExpectedUtility(KullbackLeibler(SCENARIOS, ETA), UTILITIES[name])
    expected = problem.solve().worst_value
    block = problem.kernel()
    SolverFactory("clarabel").solve(block)
    assert problem.portfolio(block).worst_value == pytest.approx(expected, rel=1e-5)
    m = pyo.ConcreteModel()
    m.part = problem.block()
    m.goal = pyo.Objective(expr=m.part.objective_expression, sense=pyo.maximize)
    m.part.objective.deactivate()
    SolverFactory("casadi_ipopt").solve(m)
    assert problem.portfolio(m.part).worst_value == pytest.approx(expected, rel=1e-5)


# --- several stages -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["log", "γ = 0.5", "γ = 6"])
def test_stages_are_the_tree(name):
    """One-stage problems against the tree program of the same stages."""
    from rrp_pyomo import ScenarioTree, TreeProgram

    rng = np.random.default_rng(3)
    stages = [(rng.normal(0.01, 0.08, (3, 2)), rng.dirichlet(4 * np.ones(3), 2)) for _ in range(3)]
    sets = [
        ScenarioProbabilities.mixture([Scenarios(returns, p) for p in vertices])
        for returns, vertices in stages
    ]
    X, u = WeightSet(fully_invested=False, upper=0.7), UTILITIES[name]
    separate = StagewiseUtility(sets, u, X, RATE).solve()
    together = TreeProgram(ScenarioTree.stagewise(stages), u, X, RATE).solve()
    assert together.worst_value == pytest.approx(separate.worst_value, rel=1e-7)
    for depth in range(3):
        rows = together.weights[[len(path) == depth for path in together.weights.index]]
        np.testing.assert_allclose(
            rows, np.tile(separate.weights.iloc[depth], (len(rows), 1)), atol=1e-4
        )


def test_stages_that_are_one_object_are_solved_once():
    policy = StagewiseUtility([KullbackLeibler(SCENARIOS, ETA)] * 4, "log").solve()
    once = ExpectedUtility(KullbackLeibler(SCENARIOS, ETA), "log").solve()
    assert len(set(map(id, policy.portfolios))) == 1
    assert policy.worst_value == pytest.approx(4 * once.worst_value)
    assert policy.weights.shape == (4, n)


# --- what is refused ----------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "log in a Wasserstein ball": (
        lambda: ExpectedUtility(Wasserstein(SCENARIOS, 0.01), "log"),
        ModelError,
        "falls faster than linearly.*worst case is −∞.*KullbackLeibler",
    ),
    "power under moments": (
        lambda: ExpectedUtility(Moments(*MOMENTS), PowerUtility(2.0)),
        ModelError,
        "PowerUtility falls faster than linearly",
    ),
    "kinked under Delage and Ye": (
        lambda: ExpectedUtility(DelageYe(*MOMENTS, 0.1, 1.0), KINKED).solve(),
        ModelError,
        "2 pieces",
    ),
    "a utility by another name": (
        lambda: ExpectedUtility(SCENARIOS, "crra"),
        InputError,
        r"utility is 'crra'; expected 'log', PowerUtility\(gamma\) or KinkedUtility",
    ),
    "arbitrage": (
        lambda: ExpectedUtility(R[:3], "log", WeightSet(long_only=False)).solve(),
        SolverError,
        "best weights are unbounded.*give the weight set bounds",
    ),
    "stages of kinked utility": (
        lambda: StagewiseUtility([SCENARIOS], KINKED),
        ModelError,
        "weights depend on wealth; use 'log'",
    ),
    "no list of stages": (
        lambda: StagewiseUtility(SCENARIOS),
        InputError,
        "expected a list of sets",
    ),
}


@pytest.mark.filterwarnings("ignore::rrp_pyomo.errors.RiskParityWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    make, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said):
        make()
