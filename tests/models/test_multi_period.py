"""Plans over several periods against cvxpy, their limits, and what proves them."""

from __future__ import annotations

from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import DenseCovariance, MeanVariance, MultiPeriod, WeightSet
from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.uncertainty import Ball, Box, Ellipsoid, FrobeniusBall, Vertices

n, H, T = 5, 3, 60
LABELS = list("abcde")
ZERO = pd.Series(0.0, LABELS)
RNG = np.random.default_rng(11)
RETURNS = RNG.normal(size=(T, n)) @ (0.05 * np.eye(n) + 0.01)
SIGMA = DenseCovariance(pd.DataFrame(np.cov(RETURNS.T), LABELS, LABELS))
MEANS = pd.DataFrame(RNG.normal(0.01, 0.01, (H, n)), columns=LABELS)
HELD = pd.Series(1.0 / n, LABELS)
LAMBDA, COST = 3.0, 0.001
ROOT = np.linalg.cholesky(SIGMA.matrix().to_numpy() / T).T
WIDTHS = np.array([0.001, 0.004, 0.0, 0.002, 0.003])

ERRORS: dict[str, tuple[Any, Any]] = {
    "ellipsoid": (Ellipsoid(ZERO, SIGMA.matrix() / T, 0.5), lambda w: 0.5 * cp.norm(ROOT @ w)),
    "box": (Box(ZERO, WIDTHS), lambda w: WIDTHS @ cp.abs(w)),
    "l1 ball": (Ball(ZERO, 0.004, 1), lambda w: 0.004 * cp.norm_inf(w)),
}
TOGETHER = {
    "rectangular": lambda pi, w: sum(map(pi, w)),
    "common": lambda pi, w: pi(sum(w)),
    "joint": lambda pi, w: cp.norm(cp.hstack([pi(x) for x in w])),
}
SETS = {
    "long": (None, lambda w: [w >= 0]),
    "long and short": (WeightSet(long_only=False), lambda w: []),
    "bounded": (WeightSet(long_only=False, lower=-0.3, upper=0.5), lambda w: [w >= -0.3, w <= 0.5]),
}


@cache
def peer(errors: str, structure: str, weights: str, limit: float | None) -> float:
    w = [cp.Variable(n) for _ in range(H)]
    trades = [x - y for x, y in zip(w, [HELD.to_numpy(), *w[:-1]], strict=True)]
    worth = sum(
        m @ x - LAMBDA / 2 * cp.quad_form(x, SIGMA.matrix().to_numpy())
        for m, x in zip(MEANS.to_numpy(), w, strict=True)
    )
    worth -= TOGETHER[structure](ERRORS[errors][1], w) + COST * sum(map(cp.norm1, trades))
    constraints = [c for x in w for c in [cp.sum(x) == 1, *SETS[weights][1](x)]]
    if limit is not None:
        constraints += [cp.norm1(t) <= limit for t in trades]
    return float(cp.Problem(cp.Maximize(worth), constraints).solve("CLARABEL"))


def plan(errors: str, structure: str, weights: str, limit: float | None = None) -> MultiPeriod:
    return MultiPeriod(
        MEANS, SIGMA, LAMBDA, uncertainty=structure, weight_set=SETS[weights][0],
        errors=ERRORS[errors][0], l1=COST, previous=HELD, turnover=limit,
    )  # fmt: skip


@pytest.mark.parametrize("errors", ERRORS)
@pytest.mark.parametrize("structure", TOGETHER)
@pytest.mark.parametrize("weights", SETS)
@pytest.mark.parametrize("limit", [None, 0.1])
def test_against_cvxpy(errors, structure, weights, limit):
    best = peer(errors, structure, weights, limit)
    found = plan(errors, structure, weights, limit).solve()
    assert found.worst_value == pytest.approx(best, rel=1e-6)
    assert 0.0 <= found.gap <= 1e-6 * abs(best)
    assert found.infeasibility <= 1e-8


@pytest.mark.parametrize("errors", ERRORS)
@pytest.mark.parametrize("structure", TOGETHER)
def test_no_errors_of_the_structure_are_worse(errors, structure):
    """The adversary's side: errors within the sets, together in time as the structure says."""
    problem = plan(errors, structure, "long and short")
    found = problem.solve()
    w, S = found.weights.to_numpy(), ERRORS[errors][0]
    nominal = found.nominal_value
    deviations = found.worst_means.to_numpy() - MEANS.to_numpy()
    draws = S.sample(np.random.default_rng(0), 900).to_numpy().reshape(300, H, n)
    if structure == "common":
        draws = np.repeat(draws[:, :1], H, axis=1)
    if structure == "joint":
        t = np.abs(np.random.default_rng(1).normal(size=(300, H, 1)))
        draws = draws * t / np.linalg.norm(t, axis=1, keepdims=True)
    assert (nominal + (draws * w).sum(axis=(1, 2)) >= found.worst_value - 1e-12).all()
    assert nominal + (deviations * w).sum() == pytest.approx(found.worst_value, abs=1e-12)
    if structure == "common":
        np.testing.assert_allclose(deviations, deviations[:1] * np.ones((H, 1)), atol=1e-15)
    assert all(S.contains(d) for d in deviations)


@pytest.mark.parametrize("errors", ERRORS)
def test_the_rectangular_worst_case_is_the_largest_penalty(errors):
    w = RNG.normal(size=(H, n))
    worth = {s: plan(errors, s, "long and short").worst_value(w) for s in TOGETHER}
    assert worth["rectangular"] <= min(worth["common"], worth["joint"]) + 1e-15
    # Nothing else separates the structures: the same weights in all periods, which is common.
    same = np.tile(w[:1], (H, 1))
    alike = {s: plan(errors, s, "long and short").worst_value(same) for s in TOGETHER}
    assert alike["rectangular"] == pytest.approx(alike["common"], abs=1e-14)


@pytest.mark.parametrize("weights", SETS)
def test_without_costs_every_period_has_the_portfolio_of_one(weights):
    X = SETS[weights][0]
    sets = [Ellipsoid(row, SIGMA.matrix() / T, 0.3) for _, row in MEANS.iterrows()]
    found = MultiPeriod(sets, SIGMA, LAMBDA, weight_set=X).solve()
    for h, one in enumerate(sets):
        alone = MeanVariance(one, SIGMA, LAMBDA, weight_set=X).solve()
        np.testing.assert_allclose(found.weights.iloc[h], alone.weights, atol=2e-5)


def test_one_period_is_the_same_under_every_structure():
    one = Ellipsoid(MEANS.iloc[0], SIGMA.matrix() / T, 0.5)
    alone = MeanVariance(one, SIGMA, LAMBDA, l1=COST, previous=HELD).solve()
    for structure in TOGETHER:
        problem = MultiPeriod(one, SIGMA, LAMBDA, uncertainty=structure, l1=COST, previous=HELD)
        assert problem.solve().worst_value == pytest.approx(alone.worst_value, rel=1e-7)


def test_large_costs_keep_what_is_held():
    held = pd.Series([0.4, 0.1, 0.1, 0.3, 0.1], LABELS)
    found = MultiPeriod(MEANS, SIGMA, LAMBDA, l1=10.0, previous=held).solve()
    np.testing.assert_allclose(found.weights, np.tile(held, (H, 1)), atol=1e-7)
    assert found.turnover.sum() <= 1e-6
    limited = MultiPeriod(MEANS, SIGMA, LAMBDA, previous=held, turnover=0.0).solve()
    np.testing.assert_allclose(limited.weights, np.tile(held, (H, 1)), atol=1e-7)


@pytest.mark.parametrize("structure", TOGETHER)
def test_radius_0_is_the_nominal_plan_by_the_same_statement(structure):
    def cones(problem: MultiPeriod) -> list[str]:
        stated = problem.program().lowered().stated.values()
        return sorted(type(getattr(s, "cone", s)).__name__ for s in stated)

    none = MultiPeriod(MEANS, SIGMA, LAMBDA, l1=COST, previous=HELD)
    for zero in (Ellipsoid(ZERO, SIGMA.matrix(), 0.0), Box(ZERO, 0.0), Ball(ZERO, 0.0)):
        problem = MultiPeriod(
            MEANS, SIGMA, LAMBDA, errors=zero, uncertainty=structure, l1=COST, previous=HELD
        )
        assert cones(problem) == cones(none)
        assert (problem.solve().weights == none.solve().weights).all().all()


def test_other_units_leave_weights_alone():
    """Percent in place of decimals: means, errors and costs times 100, λ over 100."""
    S = Ellipsoid(ZERO, SIGMA.matrix() / T, 0.5)
    percent = Ellipsoid(ZERO, 1e4 * SIGMA.matrix() / T, 0.5)
    a = MultiPeriod(MEANS, SIGMA, LAMBDA, errors=S, l1=COST, previous=HELD).solve()
    b = MultiPeriod(
        100 * MEANS, 1e4 * SIGMA.matrix(), LAMBDA / 100, errors=percent, l1=100 * COST,
        previous=HELD,
    ).solve()  # fmt: skip
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-6)
    assert b.worst_value == pytest.approx(100 * a.worst_value, rel=1e-8)


def test_the_gap_is_a_bound_for_any_plan():
    problem = plan("ellipsoid", "joint", "long")
    best = problem.solve().worst_value
    for weights in RNG.dirichlet(np.ones(n), (4, H)):
        lost = best - problem.worst_value(weights)
        assert lost - 1e-9 <= problem.gap(weights) <= 50 * lost


@pytest.mark.parametrize("structure", TOGETHER)
@pytest.mark.parametrize("invested", [True, False])
def test_sets_of_covariances_and_weights_without_bounds(structure, invested):
    """A Frobenius ball is Σ + δI; the gap is small where only risk keeps weights finite."""
    X = WeightSet(long_only=False, fully_invested=invested)
    ball = FrobeniusBall(SIGMA, 0.001)
    larger = SIGMA.matrix() + 0.001 * np.eye(n)
    common = {"risk_aversion": LAMBDA, "uncertainty": structure, "weight_set": X, "l1": COST}
    points = Vertices(pd.DataFrame(RNG.normal(0, 0.003, (6, n)), columns=LABELS))
    for errors in (ERRORS["ellipsoid"][0], ERRORS["box"][0], points):
        given = common | {"errors": errors, "previous": HELD}
        found, known = (MultiPeriod(MEANS, C, **given).solve() for C in (ball, larger))
        assert found.worst_value == pytest.approx(known.worst_value, rel=1e-7)
        assert found.gap <= 1e-6 * abs(found.worst_value)


def test_blocks_with_existing_variables():
    problem = plan("ellipsoid", "rectangular", "long")
    best = problem.solve().worst_value
    m = pyo.ConcreteModel()
    m.w = pyo.Var(problem.periods, LABELS)
    weights = {h: {a: m.w[h, a] for a in LABELS} for h in problem.periods}
    m.plan = problem.block(weights, objective=True)
    SolverFactory("clarabel").solve(m)
    rows = [[m.w[h, a].value for a in LABELS] for h in problem.periods]
    assert problem.worst_value(np.array(rows)) == pytest.approx(best, rel=1e-6)
    kernel = problem.kernel()
    SolverFactory("clarabel").solve(kernel)
    assert pyo.value(kernel.objective) * problem.objective_unit == pytest.approx(best, rel=1e-6)


def test_tables_have_periods_and_assets():
    means = MEANS.set_axis(pd.period_range("2024-01", periods=H, freq="M"))[LABELS[::-1]]
    problem = MultiPeriod(means, SIGMA, LAMBDA, l1=COST, previous=HELD)
    found = problem.solve()
    assert list(found.weights.index) == list(means.index)
    assert list(found.worst_means.columns) == LABELS
    assert found.worst_value == pytest.approx(
        MultiPeriod(MEANS, SIGMA, LAMBDA, l1=COST, previous=HELD).solve().worst_value, rel=1e-7
    )


REFUSED = {
    "another structure": ({"uncertainty": "seasonal"}, UnknownLabelError, "unknown structure"),
    "periods": ({"periods": 2}, InputError, "means of 3 periods are given with periods=2"),
    "half a period": ({"periods": 1.5}, InputError, "periods is 1.5; expected a whole number"),
    "covariances": ({"covariance": [SIGMA] * 2}, InputError, "2 covariances .* for 3 periods"),
    "errors": ({"errors": 0.01}, InputError, "errors are 0.01; expected a set of means"),
    "two errors": ({"errors": [Box(ZERO, 1.0)] * 2}, InputError, "2 sets of errors .* 3 periods"),
    "assets": ({"errors": Box(ZERO[:3], 1.0)}, InputError, "mean holds 3 assets"),
    "several common errors": (
        {"mean": [Box(ZERO, 0.1), Box(ZERO, 0.2)], "uncertainty": "common"},
        InputError,
        "2 sets of means are given for one common error",
    ),
    "errors twice": (
        {"mean": Box(ZERO, 0.1), "errors": Box(ZERO, 0.2)},
        InputError,
        "errors=.* are given beside sets of means",
    ),
    "negative cost": ({"l1": -1.0}, InputError, "l1 of 'a' is -1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    given, kind, said = REFUSED[case]
    arguments = {"mean": MEANS, "covariance": SIGMA} | given
    with pytest.raises(kind, match=said):
        MultiPeriod(**arguments)


def test_weights_of_another_shape():
    with pytest.raises(InputError, match=r"weights have shape \(2, 5\); expected 3 periods × 5"):
        plan("box", "common", "long").worst_value(np.ones((2, n)))
