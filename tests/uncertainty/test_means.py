"""Sets of means: support function, worst element, members and statements agree with cvxpy."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from mean_sets import ASSETS, N, cases, largest

from rrp_pyomo import Program, WeightSet, solve_program
from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.errors import InputError, ModelError, UnknownLabelError
from rrp_pyomo.models import MeanVariance
from rrp_pyomo.uncertainty import (
    Ball,
    Box,
    Budgeted,
    Ellipsoid,
    Point,
    Polyhedron,
    Vertices,
    as_mean_set,
    hull,
)

CASES = cases()
NAMES = tuple(CASES)
DIRECTIONS = np.random.default_rng(7).normal(size=(3, N))
DIRECTIONS[2] = -np.abs(DIRECTIONS[2])  # of long-only weights
CENTER = pd.Series([0.004, 0.006, 0.002, 0.009, 0.005], ASSETS)
TIGHT = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}

by_name = pytest.mark.parametrize("name", NAMES)


@by_name
def test_the_support_function_is_the_largest_value(name: str) -> None:
    case = CASES[name]
    for d in DIRECTIONS:
        assert case.given.support(d) == pytest.approx(largest(case, d), abs=3e-9)


@by_name
def test_the_worst_element_is_a_member_and_attains_it(name: str) -> None:
    given = CASES[name].given
    for d in DIRECTIONS:
        worst = given.worst(d)
        assert list(worst.index) == ASSETS
        assert worst @ d == pytest.approx(given.support(d), abs=1e-12)
        assert given.contains(worst)
    assert given.contains(given.center)
    assert given.contains(given.worst(np.zeros(N)))


@by_name
def test_how_the_worst_element_moves(name: str) -> None:
    given, d = CASES[name].given, DIRECTIONS[1]
    directions = np.random.default_rng(3).normal(size=(N, 3))
    h = 1e-3 if "intersection" in name else 1e-5  # those take small solves
    moved = [(given.worst(d + h * e) - given.worst(d - h * e)) / (2 * h) for e in directions.T]
    accuracy = 5e-4 if "intersection" in name else 1e-8
    found = given._worst_changes(d, directions)
    np.testing.assert_allclose(found, np.column_stack(moved), atol=accuracy)


@by_name
def test_members_never_exceed_the_support_function(name: str) -> None:
    given = CASES[name].given
    members = given.sample(np.random.default_rng(1), 1000)
    assert members.shape == (1000, N)
    for d in DIRECTIONS:
        assert (members @ pd.Series(d, ASSETS)).max() <= given.support(d) + 1e-12
    assert all(given.contains(member) for _, member in members.iloc[::250].iterrows())


@by_name
def test_points_beyond_the_border_are_no_members(name: str) -> None:
    given = CASES[name].given
    for d in DIRECTIONS:
        beyond = given.worst(d) + 1e-5 * d
        assert not given.contains(beyond)
        assert not given.contains(beyond, tolerance=1e-4)
        assert given.contains(beyond, tolerance=0.1)


@by_name
@pytest.mark.parametrize("long_only", [True, False])
def test_the_expression_has_the_adversarys_value(name: str, long_only: bool) -> None:
    """max over w of min over U of w'u is min over U of max over w: on simplices and on cubes."""
    case, program = CASES[name], Program("largest_worst_return")
    w = program.variable("w", ASSETS, lower=0 if long_only else -1, upper=1)
    if long_only:
        program.subject_to(invested=w.sum() == 1)
    program.maximize(-1.0 * case.given.support(-w))
    u = cp.Variable(N)
    best = cp.max(1e3 * u) if long_only else cp.norm(1e3 * u, 1)
    adversary = cp.Problem(cp.Minimize(best), case.members(u))
    value = adversary.solve(solver="CLARABEL", **TIGHT) / 1e3
    solution = solve_program(program, **TIGHT)
    assert solution.objective == pytest.approx(value, abs=3e-9)
    weights = solution.values["w"]
    assert -case.given.support(-weights) == pytest.approx(value, abs=3e-9)


@by_name
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_members_are_stated_with_their_scale(name: str, scale: float) -> None:
    given, d = CASES[name].given, DIRECTIONS[0]
    program = Program("adversary")
    u = program.variable("u", ASSETS, unit=0.01)
    s = program.variable("s", lower=0.0)
    given.state_member(program, u, s)
    program.subject_to(scale=s == scale)
    program.maximize(100.0 * (d @ u))
    value = solve_program(program, **TIGHT).objective / 100.0
    assert value == pytest.approx(scale * given.support(d), abs=5e-9)


@by_name
def test_no_scale_is_the_origin(name: str) -> None:
    program = Program("nothing")
    u = program.variable("u", ASSETS)
    CASES[name].given.state_member(program, u, 0.0)
    program.maximize(DIRECTIONS[0] @ u)
    assert solve_program(program, **TIGHT).objective == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize(
    "name", ["box", "ball 1", "factored ellipsoid", "budgeted", "polyhedron", "intersection", "sum",
             "hull of boxes", "many factors and a residual"]
)  # fmt: skip
def test_blocks_state_the_same(name: str) -> None:
    given, values = CASES[name].given, []
    program = Program("robust")
    w = program.variable("w", ASSETS, lower=-0.5, upper=1.0)
    program.subject_to(invested=w.sum() == 1)
    program.minimize(100.0 * given.support(-w))
    values.append(solve_program(program).objective)
    for block in (program.block(), program.kernel()):
        kernel = not isinstance(block, pyo.Block)
        if not kernel:
            model = pyo.ConcreteModel()
            model.part = block
        solver = pyo.SolverFactory("clarabel")
        solver.solve(block if kernel else model)
        values.append(pyo.value(block.objective_expression))
    assert np.ptp(values) <= 1e-6


def test_the_expression_is_the_supports_dual_in_constraints_too() -> None:
    """A worst return of at least r in a constraint, whose multiplier is what r costs."""
    given = CASES["intersection"].given
    costs = []
    for least in (0.0005, 0.0005 + 1e-6):
        program = Program("cheapest")
        w = program.variable("w", ASSETS, lower=0)
        program.subject_to(enough=given.support(-w) <= -least)
        program.minimize(w.sum())
        solution = solve_program(program, **TIGHT)
        costs.append(solution.objective)
    slope = (costs[1] - costs[0]) / 1e-6
    assert solution.duals is not None
    assert abs(solution.duals["enough"]) == pytest.approx(slope, rel=1e-4)


def test_a_support_function_is_not_kept_from_getting_small() -> None:
    program = Program("wrong")
    w = program.variable("w", ASSETS)
    for name in ("ball 2", "budgeted", "intersection", "hull of boxes", "polyhedron"):
        with pytest.raises(ModelError, match="not convex"):
            program.maximize(CASES[name].given.support(w))


# --- limits ---------------------------------------------------------------------------------------

SIGMA = DenseCovariance(
    pd.DataFrame(
        np.diag([0.04, 0.09, 0.02, 0.16, 0.05]) / 12
        + 0.001 * np.outer([1, 2, 0.5, 3, 1], [1, 2, 0.5, 3, 1]),
        ASSETS,
        ASSETS,
    )
)
SETS = {
    "box": lambda k: Box(CENTER, 0.002 * k),
    "ball 1": lambda k: Ball(CENTER, 0.002 * k, 1),
    "ball 2": lambda k: Ball(CENTER, 0.002 * k),
    "ball inf": lambda k: Ball(CENTER, 0.002 * k, np.inf),
    "ellipsoid": lambda k: Ellipsoid(CENTER, SIGMA, 0.05 * k),
    "zero shape": lambda k: Ellipsoid(CENTER, np.eye(N) * k, 0.01),
    "zero net": lambda k: Ellipsoid(CENTER, SIGMA, 0.05 * k, zero_net=True),
    "budgeted": lambda k: Budgeted(CENTER, 0.002, 2.0 * k),
    "no half-width": lambda k: Budgeted(CENTER, 0.002 * k, 2.0),
    "vertices": lambda k: Vertices(
        pd.DataFrame(CENTER.to_numpy() + 0.002 * k * np.eye(N), columns=ASSETS)
    ),
    "polyhedron": lambda k: Polyhedron(CENTER, np.vstack([np.eye(N), -np.eye(N)]), 0.002 * k),
    "sum": lambda k: Box(CENTER, 0.002 * k) + Ball(0 * CENTER, 0.001 * k),
    "intersection": lambda k: Box(CENTER, 0.002 * k) & Ball(CENTER, 0.001 * k),
    "hull": lambda k: Box(CENTER, 0.002 * k) | Ball(CENTER, 0.001 * k),
    "image": lambda k: Ball(CENTER, 0.002 * k).through(np.eye(N), ASSETS),
    "scaled": lambda k: (Box(CENTER, 0.002) | Ball(CENTER, 0.003)).scaled(k),
}
WEIGHT_SETS = {
    "long": None,
    "budget": WeightSet(long_only=False, lower=-2, upper=2),
    "bounds": WeightSet(upper=0.4),
}


@pytest.mark.parametrize("weights", WEIGHT_SETS)
@pytest.mark.parametrize("name", SETS)
def test_radius_0_is_the_nominal_problem_exactly(name: str, weights: str) -> None:
    X = WEIGHT_SETS[weights]
    nominal = MeanVariance(CENTER, SIGMA, 3.0, weight_set=X)
    robust = MeanVariance(SETS[name](0.0), SIGMA, 3.0, weight_set=X)
    assert SETS[name](0.0).is_point
    assert not SETS[name](1.0).is_point
    assert set(robust.program().lowered().stated) == set(nominal.program().lowered().stated)
    pd.testing.assert_series_equal(robust.solve().weights, nominal.solve().weights, rtol=0, atol=0)


def test_a_uniform_box_has_no_effect_on_long_only_weights() -> None:
    box = MeanVariance(Box(CENTER, 0.003), SIGMA, 3.0)
    point = MeanVariance(CENTER, SIGMA, 3.0)
    assert np.abs(box.solve().weights - point.solve().weights).max() < 1e-7
    assert box.solve().worst_value == pytest.approx(point.solve().worst_value - 0.003, abs=1e-9)
    for cube in (Box(CENTER, 0.003), Ball(CENTER, 0.003, np.inf)):
        program = MeanVariance(cube, SIGMA, 3.0).program()
        assert set(program.lowered().stated) == set(point.program().lowered().stated)


@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_a_set_by_a_norm_is_charged_by_the_dual_norm(norm: float) -> None:
    dual = {1: np.inf, 2: 2, np.inf: 1}[norm]
    for d in DIRECTIONS:
        charged = Ball(CENTER, 0.01, norm).support(d) - CENTER @ d
        assert charged == pytest.approx(0.01 * np.linalg.norm(d, dual), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 7.0))
def test_the_budget_pays_for_the_largest_charges(seed: int, budget: float) -> None:
    rng = np.random.default_rng(seed)
    delta, d = rng.uniform(0, 0.01, N), rng.normal(size=N)
    charges = np.sort(delta * np.abs(d))[::-1]
    whole, part = int(min(budget, N)), min(budget, N) % 1.0
    expected = charges[:whole].sum() + (part * charges[whole] if whole < N else 0.0)
    given = Budgeted(CENTER, delta, budget)
    assert given.support(d) - CENTER @ d == pytest.approx(expected, abs=1e-15)
    assert given.contains(given.worst(d))


def test_budgets_of_n_and_of_1() -> None:
    for d in DIRECTIONS:
        box = Box(CENTER, 0.002 * (1 + np.arange(N)))
        whole = Budgeted(CENTER, box.half_width, N)
        assert whole.support(d) == pytest.approx(box.support(d), rel=1e-14)
        one = Budgeted(CENTER, 0.002, 1)
        assert one.support(d) == pytest.approx(Ball(CENTER, 0.002, 1).support(d), rel=1e-14)


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        (Ball(CENTER, 1.0), np.ones(N)),
        (Ball(CENTER, 1.0, 1), np.ones(N)),
        (Ellipsoid(CENTER, np.diag([1.0, 2, 3, 4, 5])), 1 / np.arange(1.0, 6)),
        (Ellipsoid(CENTER, SIGMA), np.linalg.solve(SIGMA.matrix(), np.ones(N))),
    ],
    ids=("ball 2", "ball 1", "diagonal", "minimum variance"),
)
def test_large_radii_leave_the_set_alone_to_decide(given, limit) -> None:
    weights = WeightSet(long_only=False)
    problem = MeanVariance(given.scaled(1e4), SIGMA, 1.0, weight_set=weights)
    assert np.abs(problem.solve().weights - limit / limit.sum()).max() < 2e-5


def test_an_intersection_with_a_larger_set_is_the_smaller_one() -> None:
    small, large = Ball(CENTER, 0.002), Box(CENTER, 0.01)
    for d in DIRECTIONS:
        assert (small & large).support(d) == pytest.approx(small.support(d), abs=1e-12)
        assert (large & small).support(d) == pytest.approx(small.support(d), abs=1e-12)
        assert (small + Point(0 * CENTER)).support(d) == pytest.approx(small.support(d), rel=1e-14)
        assert (small + 0 * CENTER).support(d) == pytest.approx(small.support(d), rel=1e-14)
        both = Box(CENTER, 0.003) & Ball(CENTER, 0.005)
        assert both.support(d) <= min(part.support(d) for part in both.parts) + 1e-12


def test_factors_do_not_charge_what_has_no_exposure() -> None:
    B = pd.DataFrame(np.random.default_rng(2).normal(size=(N, 2)), ASSETS, ["f", "g"])
    means = pd.Series([0.01, 0.002], ["f", "g"])
    given = Ball(means, 0.005).through(B)
    w = np.linalg.svd(B.T)[2][-1]
    assert np.abs(B.T @ w).max() < 1e-12
    assert given.support(w) == pytest.approx(0.0, abs=1e-15)
    assert (given + Box(0 * CENTER, 0.001)).support(w) == pytest.approx(0.001 * np.abs(w).sum())


@by_name
def test_permuting_assets_permutes_everything(name: str) -> None:
    given = CASES[name].given
    order = list("dbeac")
    other = given.select(order)
    assert other.labels == tuple(order)
    for d in DIRECTIONS:
        series = pd.Series(d, ASSETS)
        assert other.support(series) == pytest.approx(given.support(series), abs=1e-10)
        assert other.support(series[order].to_numpy()) == other.support(series)
    some = given.select(["c", "a"])
    padded = pd.Series([0.3, 0, -0.7, 0, 0], ASSETS)
    assert some.support(padded[["c", "a"]]) == pytest.approx(given.support(padded), abs=1e-10)
    assert some.contains(some.worst(padded[["a", "c"]]))


@by_name
def test_other_units_leave_the_answer_alone(name: str) -> None:
    """Per cent in place of decimals: the set is 100 times as large."""
    given = CASES[name].given
    percent = given.through(100.0 * np.eye(N), ASSETS)
    own = MeanVariance(given, SIGMA, 3.0).solve()
    per_cent = SIGMA.matrix() * 1e4
    other = MeanVariance(percent, DenseCovariance(per_cent), 0.03).solve()
    assert other.worst_value == pytest.approx(100 * own.worst_value, abs=1e-6)


@by_name
def test_problems_with_every_set_are_proved_optimal(name: str) -> None:
    """Ties at the worst element included: the certificate is computed from the data."""
    given = CASES[name].given
    for X in WEIGHT_SETS.values():
        portfolio = MeanVariance(given, SIGMA, 2.0, weight_set=X).solve()
        assert portfolio.certificate.relative_gap < 1e-4
        assert given.contains(portfolio.worst_case.mean, 1e-8)


@by_name
@pytest.mark.parametrize("long_only", [True, False])
def test_mean_variance_has_the_adversarys_value(name: str, long_only: bool) -> None:
    """min over U of ν + (1/2λ)(μ − ν1 + s)'Σ⁻¹(μ − ν1 + s), s ≥ 0 for long-only weights."""
    given, members = CASES[name]
    aversion = 3.0
    X = None if long_only else WeightSet(long_only=False)
    portfolio = MeanVariance(given, SIGMA, aversion, weight_set=X).solve()
    u, nu, s = cp.Variable(N), cp.Variable(), cp.Variable(N, nonneg=True)
    inverse = np.linalg.inv(np.linalg.cholesky(SIGMA.matrix()))
    left = u - nu * np.ones(N) + (s if long_only else 0)
    value = nu + cp.sum_squares(inverse @ left) / (2 * aversion)
    adversary = cp.Problem(cp.Minimize(1e3 * value), members(u))
    found = adversary.solve("CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9) / 1e3
    assert portfolio.worst_value == pytest.approx(found, abs=3e-9)


# --- the algebra ----------------------------------------------------------------------------------


@by_name
@pytest.mark.parametrize("factor", [0.3, 2.0])
def test_multiples_keep_the_centre(name: str, factor: float) -> None:
    given = CASES[name].given
    for other in (given.scaled(factor), factor * given, np.float64(factor) * given):
        pd.testing.assert_series_equal(other.center, given.center, rtol=1e-12)
        for d in DIRECTIONS:
            own = given.support(d) - given.center @ d
            assert other.support(d) - other.center @ d == pytest.approx(factor * own, abs=1e-10)
            assert other.contains(other.worst(d))


def test_hulls_flatten_and_take_points() -> None:
    a, b = Box(CENTER, 0.001), Ball(CENTER + 0.01, 0.002)
    many = hull(a, b, CENTER - 0.01)
    assert len(many.parts) == len((a | b | Point(CENTER - 0.01)).parts) == 3
    for d in DIRECTIONS:
        expected = max(a.support(d), b.support(d), (CENTER - 0.01) @ d)
        assert many.support(d) == pytest.approx(expected, rel=1e-13)
    assert hull(a) is a
    for point in (CENTER + 0.02, (CENTER + 0.02).to_numpy()):
        for larger in (a | point, point | a):
            assert larger.support(np.ones(N)) == pytest.approx((CENTER + 0.02).sum())
        for shifted in (a + point, point + a):
            assert shifted.center.to_numpy() == pytest.approx((2 * CENTER + 0.02).to_numpy())
    assert len((a & b.scaled(20) & Ball(CENTER, 1.0)).parts) == 3
    assert len((a + b + a).parts) == 3


def test_images_by_all_kinds_of_matrices() -> None:
    factors = pd.Series([0.01, 0.002], ["f", "g"])
    B = pd.DataFrame(np.random.default_rng(3).normal(size=(N, 2)), ASSETS, ["g", "f"])
    sets = [
        B @ Ball(factors, 0.001),
        Ball(factors, 0.001).through(B),
        Ball(factors, 0.001).through(B[["f", "g"]].to_numpy(), ASSETS),
    ]
    for d in DIRECTIONS:
        values = [s.support(d) for s in sets]
        assert np.ptp(values) < 1e-14
    assert (B[["f", "g"]].to_numpy() @ Ball(factors, 0.001)).labels == tuple(range(N))
    with pytest.raises(InputError, match=r"give B\.T"):
        Ball(factors, 0.001).through(B.T)
    with pytest.raises(UnknownLabelError, match="'g'; known: h, f"):
        Ball(factors, 0.001).through(B.rename(columns={"g": "h"}))


def test_sets_without_a_common_point_do_not_intersect() -> None:
    with pytest.raises(InputError, match="no interior point in common"):
        Box(CENTER, 0.001) & Ball(CENTER + 0.01, 0.001)
    with pytest.raises(InputError, match="intersection is empty"):
        Point(CENTER) & Ball(CENTER + 0.01, 0.001)
    met = Point(CENTER) & Ball(CENTER, 0.001)
    assert met.is_point
    assert met.support(DIRECTIONS[0]) == pytest.approx(CENTER @ DIRECTIONS[0])


def test_flat_sets_beside_each_other_do_not_intersect() -> None:
    flat = Box(CENTER, [0.0, 0.001, 0.001, 0.001, 0.001])
    with pytest.raises(InputError, match="no interior point in common"):
        flat & (flat + 0.0001 * (1 + 0 * CENTER))
    both = flat & Box(CENTER + 0.0005, [0.001, 0.001, 0.001, 0.001, 0.0])
    assert both.worst(-np.ones(N)).to_numpy() == pytest.approx(
        [0.004, 0.0055, 0.0015, 0.0085, 0.0055], abs=1e-10
    )


def random_set(rng: np.random.Generator, n: int, depth: int, scale: float, center):
    """Any kind of set, or a composition of some, with radii of other sizes by asset."""
    if depth == 0:
        widths = scale * 10 ** rng.uniform(-2, 0, n)
        rows = rng.normal(size=(4 * n, n)) / widths
        kinds = (
            lambda: Box(center, widths),
            lambda: Ball(center, scale, rng.choice([1, 2, np.inf])),
            lambda: Ellipsoid(center, root=rng.normal(size=(n + 1, n)) * widths),
            lambda: Budgeted(center, widths, rng.uniform(0.5, n)),
            lambda: Vertices(center + n * np.vstack([np.diag(widths), -np.diag(widths)])),
            lambda: Polyhedron(center, np.vstack([rows, -rows]), rng.uniform(0.5, 2, 8 * n)),
            lambda: rng.normal(size=(n, n + 2)) @ Ball(np.zeros(n + 2), scale) + center,
        )
        return kinds[rng.integers(len(kinds))]()
    one = random_set(rng, n, depth - 1, scale, center)
    shift = 0.05 * one._reach * rng.normal(size=n)
    size = scale * 10 ** rng.uniform(-0.5, 0.5)
    other = random_set(rng, n, int(rng.integers(depth)), size, center + shift)
    kinds = (
        lambda: one & other.scaled(3.0),
        lambda: one + (other + -center),
        lambda: one | other,
        lambda: rng.uniform(0.2, 3.0) * one,
    )
    return kinds[rng.integers(len(kinds))]()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_duality_holds_for_random_compositions(seed: int) -> None:
    """The statement of the support function and that of members have one value, as numbers do."""
    rng = np.random.default_rng(seed)
    n, scale = int(rng.integers(1, 5)), 10 ** rng.uniform(-5, 1)
    center = scale * rng.normal(size=n)
    try:
        given = random_set(rng, n, int(rng.integers(1, 4)), scale, center)
    except InputError:  # nothing in common
        reject()
    d = rng.normal(size=n)
    value, unit = given.support(d), given._unit * float(np.linalg.norm(d))
    assert given.worst(d) @ d == pytest.approx(value, abs=1e-9 * unit)
    assert given.contains(given.worst(d), 1e-8)
    members = Program("members")
    u = members.variable("u", n)
    given.state_member(members, given._unit * u + given._center)
    members.maximize(d @ u)
    found = given._unit * solve_program(members).objective + given._center @ d
    assert found == pytest.approx(value, abs=1e-7 * unit)
    support = Program("support")
    w = support.variable("w", n)
    support.subject_to(fixed=w == d)
    support.minimize((given.support(w) - given._center @ w) * (1.0 / unit))
    found = unit * solve_program(support).objective + given._center @ d
    assert found == pytest.approx(value, abs=1e-7 * unit)


def test_only_sets_of_the_same_assets_go_together() -> None:
    other = Box(CENTER.rename({"a": "z"}), 0.001)
    for together in (
        lambda: other & Box(CENTER, 0.01),
        lambda: other + CENTER,
        lambda: other | other + CENTER,
    ):
        with pytest.raises(InputError, match="'z'"):
            together()
    with pytest.raises(TypeError):
        other & 3.0
    with pytest.raises(TypeError):
        other + 1.0


def test_sets_are_aligned_by_label() -> None:
    order = CENTER.index[::-1]
    for shape in (SIGMA, SIGMA.select(order)):
        given = Ellipsoid(CENTER, shape, 0.1)
        assert given.support(DIRECTIONS[0]) == pytest.approx(
            Ellipsoid(CENTER, SIGMA, 0.1).support(DIRECTIONS[0]), rel=1e-12
        )
    one, other = Box(CENTER, 0.001), Ball(CENTER[::-1], 0.002)
    d = pd.Series(DIRECTIONS[0], ASSETS)
    expected = one.support(d) + other.support(d)
    assert (one + other).support(d) == pytest.approx(expected, rel=1e-14)
    assert one.support(d[::-1]) == one.support(d) == one.support(d.to_dict())
    program = Program("aligned")
    w = program.variable("w", ASSETS[::-1])
    program.subject_to(fixed=w == d)
    program.minimize(one.support(w))
    assert solve_program(program).objective == pytest.approx(one.support(d), abs=1e-9)


# --- values ---------------------------------------------------------------------------------------


@by_name
def test_sets_are_frozen_travel_and_are_written(name: str) -> None:
    given = CASES[name].given
    with pytest.raises(FrozenInstanceError):
        given.labels = ()
    copy = pickle.loads(pickle.dumps(given))
    assert copy.support(DIRECTIONS[0]) == given.support(DIRECTIONS[0])
    assert repr(given).startswith(type(given).__name__)
    assert given._repr_latex_() == f"${given.formula}$"
    assert given.formula.count("{") == given.formula.count("}")
    assert as_mean_set(given) is given


@by_name
def test_pictures_show_two_assets(name: str) -> None:
    figure = CASES[name].given.plot(["b", "d"], weights=pd.Series(0.2, ASSETS))
    (axes,) = figure.axes
    assert "b" in axes.get_xlabel()
    assert "d" in axes.get_ylabel()
    assert [t.get_text() for t in axes.get_legend().get_texts()][1] == "its worst mean"
    assert Point(CENTER).plot(["b", "d"], ax=axes) is figure
    assert len(axes.patches) == 2


def test_pictures_take_two_assets() -> None:
    for assets in (["b"], list("abc")):
        with pytest.raises(InputError, match="choose a pair"):
            Box(CENTER, 0.001).plot(assets)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(CENTER, -0.001), "half_width is -0.001|half_width of 'a' is -0.001"),
        (lambda: Box(CENTER, [0.1, 0.2]), "half_width has shape"),
        (lambda: Box(CENTER, CENTER.rename({"a": "z"})), "'z'"),
        (lambda: Box(CENTER.replace(0.004, np.nan), 0.1), "center of 'a' is nan"),
        (lambda: Ball(CENTER, -1.0), "radius is -1.0"),
        (lambda: Ball(CENTER, 1.0, 3), "norm is 3; expected 1, 2 or inf"),
        (lambda: Ellipsoid(CENTER), "neither is given"),
        (lambda: Ellipsoid(CENTER, SIGMA, 1.0, root=np.eye(N)), "both is given|both"),
        (lambda: Ellipsoid(CENTER, -np.eye(N)), "eigenvalue|positive"),
        (lambda: Ellipsoid(CENTER, root=np.eye(3)), "root has shape"),
        (lambda: Budgeted(CENTER, 0.1, -1), "budget is -1"),
        (lambda: Vertices(np.zeros((0, 3))), "at least one"),
        (lambda: Vertices([[0.1, np.inf]]), "is inf"),
        (lambda: Polyhedron(CENTER, np.eye(N), -0.1), "not a member"),
        (lambda: Polyhedron(CENTER, np.eye(3), 0.1), "A has shape"),
        (lambda: Box(CENTER, 0.1).scaled(-1.0), "factor is -1"),
        (lambda: Box(CENTER, 0.1).select(["x"]), "'x'"),
        (lambda: hull(), "no set"),
    ],
)
def test_bad_input_is_refused(make, message) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_an_unbounded_polyhedron_has_no_worst_element_there() -> None:
    below = Polyhedron(CENTER, -np.eye(N), 0.002)
    assert not below.is_bounded
    assert below.support(np.ones(N)) == np.inf
    with pytest.raises(InputError, match="unbounded"):
        below.worst(np.ones(N))
    # Long-only weights see its lower side only.
    robust = MeanVariance(below, SIGMA, 3.0).solve()
    box = MeanVariance(Box(CENTER, 0.002), SIGMA, 3.0).solve()
    assert robust.worst_value == pytest.approx(box.worst_value, abs=1e-9)


def test_known_signs_take_no_rows() -> None:
    for lower, upper, rows in (
        (0, np.inf, 0),
        (-np.inf, 0, 0),
        (-1, 1, 1),
        (-1e-3, 1, 1),
        (-1, 1e-3, 1),
    ):
        program = Program("signs")
        w = program.variable("w", ASSETS, lower, upper)
        for penalty in (Box(CENTER, 0.01).support(-w), Ball(CENTER, 0.01, np.inf).support(w)):
            program.minimize(penalty)
            assert (len(program.lowered().stated) > 0) == rows
    program = Program("mixed")
    w = program.variable("w", ASSETS, [-1, 0, 0, -1, 0])
    t = program.parameter("t", 1.0)
    program.minimize(Box(CENTER, 0.01).support(w))
    sizes = [c.parts[0].size for c in program.lowered().stated.values()]
    assert max(sizes) == 2
    # A parameter may change its sign.
    program = Program("parameter")
    w = program.variable("w", ASSETS, 0.0, 1.0)
    t = program.parameter("t", 1.0)
    program.minimize(Box(0 * CENTER, 0.01).support(t * w - 0.5) + 0.0 * w.sum())
    program.set(t=-1.0)
    assert solve_program(program).objective == pytest.approx(0.01 * 0.5 * N, abs=1e-8)


# --- from data ------------------------------------------------------------------------------------


def market(periods: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    R = np.linalg.cholesky(SIGMA.matrix()[:3].T[:3]).T
    return pd.DataFrame(rng.normal(size=(periods, 3)) @ R + 0.01, columns=list("abc"))


COVERED = {
    "known": lambda r: Ellipsoid.of_mean(r, 0.8, SIGMA.select(list("abc"))),
    "estimated": lambda r: Ellipsoid.of_mean(r, 0.8),
    "t": lambda r: Box.of_mean(r, 0.8),
    "bootstrap": lambda r: Box.of_mean(r, 0.8, "bootstrap", draws=50),
    "one": lambda r: Box.of_mean(r, 0.8, joint=False).select(["b"]),
    "one by bootstrap": lambda r: Box.of_mean(r, 0.8, "bootstrap", joint=False, draws=50).select(
        ["b"]
    ),
}


@pytest.mark.parametrize("name", COVERED)
def test_the_stated_level_is_what_is_covered(name: str) -> None:
    """Bonferroni covers more, the bootstrap of 30 periods less; two standard errors are 6 %."""
    count = 80 if "bootstrap" in name else 150
    inside = 0
    for seed in range(count):
        given = COVERED[name](market(30, seed))
        inside += given.contains(np.full(given.size, 0.01))
    assert 0.66 <= inside / count <= 0.90


def test_confidence_regions_in_closed_form() -> None:
    returns = market(60, 1)
    mean, S = returns.mean(), returns.cov()
    region = Ellipsoid.of_mean(returns, 0.95)
    d = np.array([1.0, -2.0, 0.5])
    # Hotelling: 3·59/57 times the F-quantile with 3 and 57 degrees of freedom.
    expected = mean @ d + np.sqrt(3 * 59 / 57 * 2.766437925668 * (d @ S @ d) / 60)
    assert region.support(d) == pytest.approx(expected, rel=1e-8)
    known = Ellipsoid.of_mean(returns, 0.95, S)
    expected = mean @ d + np.sqrt(7.814727903 * (d @ S @ d) / 60)
    assert known.support(d) == pytest.approx(expected, rel=1e-8)
    box = Box.of_mean(returns, 0.95, joint=False)
    assert box.half_width["b"] == pytest.approx(2.000995378 * np.sqrt(S.loc["b", "b"] / 60))
    joint = Box.of_mean(returns, 0.95)
    assert (joint.half_width > box.half_width).all()
    assert Box.of_mean(returns, 0.0).is_point
    assert Ellipsoid.of_mean(returns, 0.0).is_point


def test_factored_regions_stay_factored() -> None:
    from rrp_pyomo import FactorModel
    from rrp_pyomo.data import datasets

    data = datasets.french()
    R, f = data.returns.tail(60), data.factors.tail(60)
    model = FactorModel.fit(R, f)
    region = Ellipsoid.of_mean(R, 0.9, model)
    dense = Ellipsoid.of_mean(R, 0.9, DenseCovariance(model.covariance.matrix()))
    rng = np.random.default_rng(0)
    for d in rng.normal(size=(3, R.shape[1])):
        assert region.support(d) == pytest.approx(dense.support(d), rel=1e-10)
        assert region.contains(dense.worst(d), 1e-8)
        assert not region.contains(dense.worst(d) + 1e-3 * d)
    portfolio = MeanVariance(region, model.covariance, 3.0)
    columns = portfolio.program().columns
    assert columns == R.shape[1] + f.shape[1]  # the exposures of the covariance serve both
    with pytest.raises(InputError, match="too few"):
        Ellipsoid.of_mean(R.tail(20), 0.9)


def test_zero_net_deviations() -> None:
    given = Ellipsoid(CENTER, SIGMA, 2.0, zero_net=True)
    for d in DIRECTIONS:
        assert (given.worst(d) - CENTER).sum() == pytest.approx(0.0, abs=1e-15)
        assert given.support(d + 3.0) == pytest.approx(given.support(d) + 3.0 * CENTER.sum())
    assert not given.contains(CENTER + 1e-4)
    assert given.select(["a", "b"]).support([1.0, 0.0]) == pytest.approx(
        given.support([1.0, 0, 0, 0, 0])
    )


@pytest.mark.parametrize("level", [-0.1, 1.0, 1.5, "high", np.nan])
def test_levels_are_probabilities(level) -> None:
    with pytest.raises(InputError, match="level"):
        Box.of_mean(market(30, 0), level)
    with pytest.raises(InputError, match="level"):
        Ellipsoid.of_mean(market(30, 0), level)


def test_methods_are_known() -> None:
    with pytest.raises(InputError, match="'normal' or 'bootstrap'"):
        Box.of_mean(market(30, 0), 0.9, "student")
    with pytest.raises(InputError, match="at least 2"):
        Box.of_mean(market(1, 0), 0.9)
