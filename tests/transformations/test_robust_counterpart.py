"""Robust counterparts of ConcreteModels: exactness, worst elements, refusals."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from pyomo.common.collections import ComponentMap
from pyomo.gdp import Disjunct, Disjunction

import rrp_pyomo  # noqa: F401  (registers the transformation)
from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.errors import InputError, ModelError, RiskParityWarning, UnknownLabelError
from rrp_pyomo.uncertainty import Ball, Box, Budgeted, CovariancePoint, Ellipsoid, Point, Vertices

ASSETS = ["a", "b", "c", "d"]
RNG = np.random.default_rng(3)
MEAN = pd.Series([0.9, 1.3, 1.1, 0.7], ASSETS)
ROOT = RNG.normal(size=(6, 4))
COVARIANCE = ROOT.T @ ROOT / 6
SHAPE = RNG.normal(size=(5, 4))
SHAPE = SHAPE.T @ SHAPE / 40
POINTS = pd.DataFrame([MEAN, *(MEAN + RNG.normal(size=4) / 4 for _ in range(7))], range(8))
SETS: dict[str, Any] = {
    "box": Box(MEAN, [0.1, 0.4, 0.0, 0.3]),
    "ball": Ball(MEAN, 0.3),
    "l1 ball": Ball(MEAN, 0.3, norm=1),
    "linf ball": Ball(MEAN, 0.3, norm=np.inf),
    "ellipsoid": Ellipsoid(MEAN, SHAPE, 1.5),
    "flat ellipsoid": Ellipsoid(MEAN, root=[[0.3, -0.2, 0.0, 0.1]]),
    "budget": Budgeted(MEAN, [0.3, 0.4, 0.1, 0.3], 1.5),
    "vertices": Vertices(POINTS),
    "intersection": Box(MEAN, 0.3) & Ball(MEAN, 0.4),
    "sum": Ball(MEAN, 0.1) + Box(MEAN * 0, 0.2),
}


def transform(m: Any, sets: Any) -> Any:
    return pyo.TransformationFactory("rrp_pyomo.robust_counterpart").create_using(m, sets=sets)


def solve(m: Any, solver: str = "clarabel") -> Any:
    pyo.SolverFactory(solver).solve(m)
    return m


def market(sense: Any = pyo.maximize) -> Any:
    """Mean less variance, fully invested, short sales to a half."""
    m = pyo.ConcreteModel("market")
    m.w = pyo.Var(ASSETS, bounds=(-0.5, 1))
    m.mu = pyo.Param(ASSETS, initialize=MEAN.to_dict(), mutable=True)
    m.gamma = pyo.Param(initialize=0.8, mutable=True)
    m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
    m.mean = pyo.Expression(expr=sum(m.mu[a] * m.w[a] for a in ASSETS))
    exposures = [sum(row[i] * m.w[a] for i, a in enumerate(ASSETS)) for row in ROOT]
    m.variance = pyo.Expression(expr=sum(e**2 for e in exposures) / 6)
    sign = 1 if sense == pyo.maximize else -1
    m.utility = pyo.Objective(expr=sign * (m.mean - m.gamma * m.variance), sense=sense)
    return m


def worst_mean(name: str, w: Any) -> Any:
    """min over the set of μ'w, written out for cvxpy."""
    mean, set_ = MEAN.to_numpy(), SETS[name]
    match name:
        case "box":
            return mean @ w - set_.half_width.to_numpy() @ cp.abs(w)
        case "ball" | "l1 ball" | "linf ball":
            return mean @ w - 0.3 * cp.norm(w, {"ball": 2, "l1 ball": "inf"}.get(name, 1))
        case "ellipsoid":
            return mean @ w - 1.5 * cp.norm(np.linalg.cholesky(SHAPE).T @ w)
        case "flat ellipsoid":
            return mean @ w - cp.abs(np.array([0.3, -0.2, 0.0, 0.1]) @ w)
        case "budget":
            shares = set(itertools.permutations([1.0, 0.5, 0.0, 0.0]))
            signs = list(itertools.product([-1, 1], repeat=4))
            corners = np.unique([np.array(s) * z for z in shares for s in signs], axis=0)
            return cp.min((mean + set_.half_width.to_numpy() * corners) @ w)
        case "vertices":
            return cp.min(set_.points.to_numpy() @ w)
        case "intersection":
            u = cp.Variable(4)  # the infimal convolution of the two penalties
            return mean @ w - 0.3 * cp.norm(u, 1) - 0.4 * cp.norm(w - u)
        case _:
            return mean @ w - 0.1 * cp.norm(w) - 0.2 * cp.norm(w, 1)


def by_hand(name: str) -> float:
    w = cp.Variable(4)
    utility = worst_mean(name, w) - 0.8 * cp.sum_squares(ROOT @ w) / 6
    problem = cp.Problem(cp.Maximize(utility), [cp.sum(w) == 1, w >= -0.5, w <= 1])
    return float(problem.solve("CLARABEL"))


@pytest.mark.parametrize("sense", [pyo.maximize, pyo.minimize], ids=["max", "min"])
@pytest.mark.parametrize("name", SETS)
def test_an_objective_is_the_one_stated_by_hand(name: str, sense: Any) -> None:
    set_, sign = SETS[name], 1 if sense == pyo.maximize else -1
    m = solve(transform(market(sense), {"mu": set_}))
    value = by_hand(name)
    assert sign * pyo.value(m.utility) == pytest.approx(value, abs=2e-6)
    worst = m.robust_counterpart.worst_case()["utility"]["mu"]
    assert list(worst.index) == ASSETS
    assert worst.name == "mu"
    assert set_.contains(worst, 1e-7)
    w = pd.Series(m.w.extract_values())
    attained = worst @ w - 0.8 * w @ COVARIANCE @ w
    assert m.robust_counterpart.worst_values()["utility"] == pytest.approx(
        sign * attained, abs=1e-8
    )
    assert attained == pytest.approx(value, abs=2e-6)
    for _, member in set_.sample(np.random.default_rng(0), 200).iterrows():
        assert member @ w >= worst @ w - 1e-8


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt", "gurobi", "scip_direct", "scs"])
def test_solvers_agree(solver: str) -> None:
    m = solve(transform(market(), {"mu": SETS["ellipsoid"]}), solver)
    tolerance = 1e-3 if solver in ("scip_direct", "scs") else 1e-5
    assert pyo.value(m.utility) == pytest.approx(by_hand("ellipsoid"), abs=tolerance)


def test_the_original_stays_as_it_is() -> None:
    m = market()
    before = [str(c.expr) for c in m.component_data_objects((pyo.Constraint, pyo.Objective))]
    names = {c.name for c in m.component_objects()}
    robust = transform(m, {m.mu: SETS["ball"]})
    after = [str(c.expr) for c in m.component_data_objects((pyo.Constraint, pyo.Objective))]
    assert before == after
    assert names == {c.name for c in m.component_objects()}
    assert robust.mu is not m.mu
    assert pyo.value(solve(m).utility) > pyo.value(solve(robust).utility)


def test_apply_to_changes_the_model_itself_and_once() -> None:
    m = market()
    robust = pyo.TransformationFactory("rrp_pyomo.robust_counterpart")
    robust.apply_to(m, sets={m.mu: SETS["ball"]})
    assert pyo.value(solve(m).utility) == pytest.approx(by_hand("ball"), abs=2e-6)
    with pytest.raises(ModelError, match="has a 'robust_counterpart' already"):
        robust.apply_to(m, sets={m.mu: SETS["ball"]})


def test_clones_and_pickles_are_models_of_their_own() -> None:
    m = solve(transform(market(), {"mu": SETS["ellipsoid"]}))
    known = m.robust_counterpart.worst_case()["utility"]["mu"]
    for other in (m.clone(), pickle.loads(pickle.dumps(m))):
        other.w["a"].value = 0.9
        moved = other.robust_counterpart.worst_case()["utility"]["mu"]
        assert not np.allclose(moved, known)
        pd.testing.assert_series_equal(m.robust_counterpart.worst_case()["utility"]["mu"], known)
        again = solve(other).robust_counterpart.worst_case()["utility"]["mu"]
        np.testing.assert_allclose(again, known, atol=1e-5)


@pytest.mark.parametrize(
    "none", [Ball(MEAN, 0.0), Box(MEAN, 0.0), Ellipsoid(MEAN, SHAPE, 0.0), Point(MEAN), MEAN]
)
def test_a_radius_of_zero_is_the_nominal_model(none: Any) -> None:
    m, nominal = transform(market(), {"mu": none}), solve(market())
    rows = list(m.robust_counterpart.component_data_objects(pyo.Constraint))
    assert [row.body.polynomial_degree() for row in rows] == [1]
    for a in ASSETS:
        assert solve(m).w[a].value == pytest.approx(nominal.w[a].value, abs=1e-6)


# --- constraints --------------------------------------------------------------------------------


def members(set_: Any) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    border = [set_.worst(rng.normal(size=set_.size)) for _ in range(200)]
    return pd.concat([set_.sample(rng, 200), pd.DataFrame(border)])


@pytest.mark.parametrize("name", SETS)
def test_each_side_of_a_range_has_its_own_adversary(name: str) -> None:
    set_ = SETS[name]
    m = market()
    m.del_component(m.utility)
    m.away = pyo.Objective(expr=sum((m.w[a] - 2 * (a == "b")) ** 2 for a in ASSETS))
    m.range = pyo.Constraint(expr=pyo.inequality(-0.4, m.mean - 1 + 0.1 * m.w["a"], 0.35))
    m.invested.deactivate()
    solve(m := transform(m, {"mu": set_}))
    w = pd.Series(m.w.extract_values())
    bodies = members(set_) @ w - 1 + 0.1 * w["a"]
    assert -0.4 - 1e-6 <= bodies.min() <= bodies.max() <= 0.35 + 1e-6
    values, worst = m.robust_counterpart.worst_values(), m.robust_counterpart.worst_case()
    assert list(values.index) == ["range.upper", "range.lower"]
    for side in ("upper", "lower"):
        element = worst[f"range.{side}"]["mu"]
        assert element @ w - 1 + 0.1 * w["a"] == pytest.approx(values[f"range.{side}"], abs=1e-9)
    assert values["range.lower"] - 1e-9 <= bodies.min()
    assert bodies.max() <= values["range.upper"] + 1e-9
    assert values["range.upper"] == pytest.approx(0.35, abs=1e-5)  # it binds
    assert values["range.lower"] >= -0.4 - 1e-6


def test_corners_of_a_box_are_all_that_counts() -> None:
    """The deterministic model with a row for each of the 2⁴ corners has the same optimum."""
    m, corners = market(), market()
    m.need = pyo.Constraint(expr=m.mean >= 0.95)
    m.low = pyo.Objective(expr=m.variance)
    widths = SETS["box"].half_width.to_numpy()
    points = [MEAN.to_numpy() + widths * s for s in itertools.product([-1, 1], repeat=4)]
    corners.need = pyo.Constraint(
        range(16),
        rule=lambda m, k: sum(p * m.w[a] for p, a in zip(points[k], ASSETS, strict=True)) >= 0.95,
    )
    corners.low = pyo.Objective(expr=corners.variance)
    for model in (m, corners):
        model.utility.deactivate()
    solve(m := transform(m, {"mu": SETS["box"]}))
    assert pyo.value(m.low) == pytest.approx(pyo.value(solve(corners).low), abs=1e-6)
    assert m.robust_counterpart.worst_values()["need"] == pytest.approx(0.95, abs=1e-6)
    assert m.find_component("need").active


def test_uncertain_bounds_and_several_sets_in_a_row() -> None:
    """min x with α + β·(x + 2y) ≤ x + γ for independent α, β, γ and y = 1."""
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(), pyo.Var()
    m.y.fix(1)
    m.alpha, m.beta, m.gamma = (pyo.Param(initialize=v, mutable=True) for v in (1.0, 0.2, 0.5))
    m.row = pyo.Constraint(expr=m.alpha + m.beta * (m.x + 2 * m.y) - m.x <= m.gamma)
    m.goal = pyo.Objective(expr=m.x)
    sets = ComponentMap(
        [(m.alpha, Box([1.0], 0.3)), (m.beta, Box([0.2], 0.1)), (m.gamma, Ball([0.5], 0.1))]
    )
    solve(r := transform(m, sets))
    # α = 1.3, β = 0.3, γ = 0.4: 1.3 + 0.6 − 0.4 = 0.7 x
    assert r.x.value == pytest.approx(1.5 / 0.7, rel=1e-6)
    assert r.robust_counterpart.worst_case()["row"] == pytest.approx(
        {"alpha": 1.3, "beta": 0.3, "gamma": 0.4}
    )
    assert r.robust_counterpart.worst_values()["row"] == pytest.approx(0.0, abs=1e-7)
    r.y.fix(2)  # what was fixed is not frozen
    assert solve(r).x.value == pytest.approx((1.3 + 1.2 - 0.4) / 0.7, rel=1e-6)


def test_one_set_over_several_params() -> None:
    """One budget for all: the mean of one asset, or the cost, but not both."""
    m = market()
    m.cost = pyo.Param(initialize=0.1, mutable=True)
    m.need = pyo.Constraint(expr=m.mean - m.cost >= 0.5)
    m.utility.deactivate()
    m.low = pyo.Objective(expr=m.variance)
    labels = [*(f"mu[{a}]" for a in ASSETS), "cost"]
    joint = Budgeted(pd.Series([*MEAN, 0.1], labels), [0.2, 0.2, 0.2, 0.2, 0.3], 1)
    by_name = solve(transform(m, {("mu", "cost"): joint}))
    by_place = solve(
        transform(m, [((m.mu, m.cost), Budgeted([*MEAN, 0.1], joint.half_width.to_numpy(), 1))])
    )
    w = pd.Series(by_name.w.extract_values())
    assert MEAN @ w - 0.1 - max(0.3, 0.2 * w.abs().max()) == pytest.approx(0.5, abs=1e-6)
    worst = by_name.robust_counterpart.worst_case()["need"]
    assert worst["cost"] == pytest.approx(0.4)
    pd.testing.assert_series_equal(worst["mu"], MEAN.rename("mu"))
    np.testing.assert_allclose(pd.Series(by_place.w.extract_values()), w, atol=1e-6)


def test_one_row_by_the_names_of_its_entries() -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var([1, 2], bounds=(0, 10))
    m.A = pyo.Param(
        [1, 2], [1, 2], initialize={(1, 1): 2, (1, 2): 1, (2, 1): 1, (2, 2): 3}, mutable=True
    )
    m.row = pyo.Constraint([1, 2], rule=lambda m, i: sum(m.A[i, j] * m.x[j] for j in m.x) <= 4)
    m.most = pyo.Objective(expr=m.x[1] + m.x[2], sense=pyo.maximize)
    r = solve(transform(m, {("A[2,1]", "A[2,2]"): Box([1.0, 3.0], 0.5)}))
    assert list(r.robust_counterpart.worst_case()) == ["row[2]"]
    expected = np.linalg.solve([[2.0, 1.0], [1.5, 3.5]], [4.0, 4.0])
    np.testing.assert_allclose([r.x[1].value, r.x[2].value], expected, atol=1e-6)


def test_other_params_keep_their_place() -> None:
    m = transform(market(), {"mu": SETS["ball"]})
    m.gamma.value = 5.0
    solve(m)
    w = cp.Variable(4)
    utility = worst_mean("ball", w) - 5.0 * cp.sum_squares(ROOT @ w) / 6
    value = cp.Problem(cp.Maximize(utility), [cp.sum(w) == 1, w >= -0.5, w <= 1]).solve("CLARABEL")
    assert pyo.value(m.utility) == pytest.approx(value, abs=2e-6)


def test_coefficients_with_other_params_follow_them() -> None:
    m = market()
    m.scale = pyo.Param(ASSETS, initialize=1.0, mutable=True)
    m.need = pyo.Constraint(expr=sum(m.mu[a] * m.scale[a] * (m.w[a] + 0.1) for a in ASSETS) >= 1)
    m = transform(m, {"mu": SETS["box"]})
    solve(m)
    m.scale["b"].value = 0.5
    solve(m)
    w = pd.Series(m.w.extract_values())
    d = (w + 0.1) * pd.Series([1, 0.5, 1, 1], ASSETS)
    worst = m.robust_counterpart.worst_values()["need"]
    assert worst == pytest.approx(-SETS["box"].support(-d))
    assert -SETS["box"].support(-d) >= 1 - 1e-6


@pytest.mark.parametrize("solver", ["clarabel", "gurobi", "casadi_ipopt"])
def test_what_is_convex_stays_so(solver: str) -> None:
    """An uncertain risk aversion multiplies a variance: bounded from one side, no equality."""
    m = transform(market(), {"gamma": Box([0.8], 0.3)})
    w = cp.Variable(4)
    utility = MEAN.to_numpy() @ w - 1.1 * cp.sum_squares(ROOT @ w) / 6
    value = cp.Problem(cp.Maximize(utility), [cp.sum(w) == 1, w >= -0.5, w <= 1]).solve("CLARABEL")
    solve(m, solver)
    assert pyo.value(m.utility) == pytest.approx(value, abs=2e-6)
    assert m.robust_counterpart.worst_case()["utility"] == pytest.approx({"gamma": 1.1})


def test_negative_params_bound_from_the_other_side() -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0.1, 9))
    m.k = pyo.Param(initialize=-1.0, mutable=True)
    m.goal = pyo.Objective(expr=m.x - m.k * m.x**2 + m.k * pyo.sqrt(m.x), sense=pyo.minimize)
    r = solve(transform(m, {"k": Box([-1.0], 0.5)}), "casadi_ipopt")
    x = np.linspace(0.1, 9, 200001)
    values = np.max([x - k * x**2 + k * np.sqrt(x) for k in (-1.5, -0.5)], axis=0)
    assert pyo.value(r.goal) == pytest.approx(values.min(), abs=1e-6)


def test_the_rest_may_be_nonconvex() -> None:
    """Nonlinear coefficients and a nonconvex rest: each x has its own worst element."""
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(bounds=(-2, 2), initialize=1.0), pyo.Var(bounds=(-2, 2), initialize=0.5)
    m.p = pyo.Param([1, 2], initialize={1: 0.3, 2: -0.2}, mutable=True)
    body = pyo.sin(m.x) * m.y + m.p[1] * m.x * m.y + m.p[2] * pyo.cos(m.y)
    m.row = pyo.Constraint(expr=body >= 0.2)
    m.goal = pyo.Objective(expr=(m.x - 0.2) ** 2 + (m.y - 0.1) ** 2)
    set_ = Ellipsoid(pd.Series([0.3, -0.2], [1, 2]), [[0.04, 0.01], [0.01, 0.02]], 1.2)
    r = solve(transform(m, {m.p: set_}), "casadi_ipopt")
    grid = np.linspace(0, 2, 1001)
    X, Y = np.meshgrid(grid, grid)
    first, second = X * Y, np.cos(Y)
    variance = 0.04 * first**2 + 0.02 * first * second + 0.02 * second**2
    worst = np.sin(X) * Y + 0.3 * first - 0.2 * second - 1.2 * np.sqrt(variance)
    goal = np.where(worst >= 0.2, (X - 0.2) ** 2 + (Y - 0.1) ** 2, np.inf)
    assert pyo.value(r.goal) == pytest.approx(goal.min(), abs=5e-3)
    x, y = r.x.value, r.y.value
    for p in members(set_).to_numpy():
        assert np.sin(x) * y + p[0] * x * y + p[1] * np.cos(y) >= 0.2 - 1e-6
    p = r.robust_counterpart.worst_case()["row"]["p"]
    assert np.sin(x) * y + p[1] * x * y + p[2] * np.cos(y) == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize("solver", ["gurobi", "scip_direct", "outer_approximation"])
def test_integer_variables(solver: str) -> None:
    """Two of four assets, against an ellipsoid: enumeration says which."""
    m = market()
    m.pick = pyo.Var(ASSETS, domain=pyo.Binary)
    m.held = pyo.Constraint(ASSETS, rule=lambda m, a: m.w[a] <= m.pick[a])
    m.long = pyo.Constraint(ASSETS, rule=lambda m, a: m.w[a] >= 0)
    m.two = pyo.Constraint(expr=sum(m.pick.values()) == 2)
    m.utility.deactivate()
    m.t = pyo.Var()
    m.floor = pyo.Constraint(expr=m.t <= m.mean)
    m.best = pyo.Objective(expr=m.t - 0.3 * m.variance, sense=pyo.maximize)
    m = solve(transform(m, {"mu": SETS["ellipsoid"]}), solver)
    values = []
    for pair in itertools.combinations(range(4), 2):
        w = cp.Variable(4, nonneg=True)
        utility = worst_mean("ellipsoid", w) - 0.3 * cp.sum_squares(ROOT @ w) / 6
        others = [w[i] == 0 for i in range(4) if i not in pair]
        values.append(cp.Problem(cp.Maximize(utility), [cp.sum(w) == 1, *others]).solve("CLARABEL"))
    assert pyo.value(m.best) == pytest.approx(max(values), abs=1e-3)


def test_blocks_and_references_and_inactive_parts() -> None:
    m = market()
    m.utility.deactivate()
    m.period = pyo.Block([1, 2])
    for t in (1, 2):
        b = m.period[t]
        b.v = pyo.Var(ASSETS, bounds=(0, 1))
        b.invested = pyo.Constraint(expr=sum(b.v.values()) == 1)
        b.inner = pyo.Block()
        income = sum(m.mu[a] * b.v[a] for a in ASSETS)
        b.inner.floor = pyo.Constraint([0], rule={0: income >= 0.7 + 0.05 * t})
    m.again = pyo.Reference(m.period[:].inner.floor)
    m.off = pyo.Constraint(expr=m.mu["a"] * m.w["a"] == 1)
    m.off.deactivate()
    m.low = pyo.Objective(
        expr=m.variance + sum(v**2 for t in (1, 2) for v in m.period[t].v.values())
    )
    m = solve(transform(m, {"mu": SETS["ball"]}))
    rows = ["period[1].inner.floor[0]", "period[2].inner.floor[0]"]
    assert list(m.robust_counterpart.worst_values().index) == rows
    for t, name in zip((1, 2), rows, strict=True):
        w = pd.Series(m.period[t].v.extract_values())
        assert MEAN @ w - 0.3 * np.linalg.norm(w) >= 0.7 + 0.05 * t - 1e-6
        assert m.find_component(name).active


def test_a_block_alone() -> None:
    """The Params and other variables may be outside of the block that is transformed."""
    m = market()
    m.part = pyo.Block()
    m.part.floor = pyo.Constraint(expr=m.mean >= 0.8)
    robust = pyo.TransformationFactory("rrp_pyomo.robust_counterpart")
    robust.apply_to(m.part, sets={m.mu: SETS["ball"]})
    solve(m)
    assert list(m.part.robust_counterpart.worst_case()) == ["floor"]
    assert m.part.robust_counterpart.worst_values()["floor"] >= 0.8 - 1e-6
    assert "mu[a]" in str(m.mean.expr)


def test_disjuncts_hold_against_every_element() -> None:
    """Either a floor for the mean or a limit for the variance; big-M of the robust row."""
    m = market()
    m.dear, m.calm = Disjunct(), Disjunct()
    m.dear.row = pyo.Constraint(expr=m.mean >= 1.1)
    m.calm.row = pyo.Constraint(expr=m.w["b"] <= 0.1)
    m.either = Disjunction(expr=[m.dear, m.calm])
    m.utility.deactivate()
    m.low = pyo.Objective(expr=sum(c * v for c, v in zip([1, 3, 2, 1], m.w.values(), strict=True)))
    r = transform(m, {"mu": SETS["box"]})
    worst = r.robust_counterpart.rows["dear.row"].adversary.worst
    corners = [SETS["box"].support(-np.array(w)) for w in itertools.product([-0.5, 1], repeat=4)]
    assert worst.lb <= min(corners) + 1e-12
    assert worst.ub == pytest.approx(max(corners))
    pyo.TransformationFactory("gdp.bigm").apply_to(r)
    solve(r, "gurobi")
    values = []
    for row in (lambda w: worst_mean("box", w) >= 1.1, lambda w: w[1] <= 0.1):
        w = cp.Variable(4)
        rows = [cp.sum(w) == 1, w >= -0.5, w <= 1, row(w)]
        values.append(cp.Problem(cp.Minimize(np.array([1, 3, 2, 1]) @ w), rows).solve("CLARABEL"))
    assert pyo.value(r.low) == pytest.approx(min(values), abs=1e-5)


# --- what is refused, and what is said ----------------------------------------------------------


def with_row(expression: Any) -> Any:
    m = market()
    m.row = pyo.Constraint(expr=expression(m))
    return m


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (lambda m: m.mu["a"] * m.mu["b"] * m.w["a"] <= 1, "multiplies uncertain Params by each"),
        (lambda m: m.w["a"] / m.mu["a"] <= 1, "divides by an uncertain Param"),
        (lambda m: m.w["a"] * m.mu["a"] ** 2 <= 1, "uncertain Param in the power"),
        (lambda m: m.mu["a"] ** m.w["a"] <= 1, "uncertain Param in the power"),
        (lambda m: pyo.exp(m.mu["a"] * m.w["a"]) <= 1, "uncertain Param inside of"),
        (lambda m: abs(m.mean) <= 1, "uncertain Param inside of"),
        (lambda m: pyo.Expr_if(m.mu["a"] >= 0, m.w["a"], m.w["b"]) <= 1, "inside of"),
        (lambda m: m.mean * m.gamma * m.mu["a"] <= 1, "multiplies uncertain Params"),
    ],
)
def test_what_is_not_affine_is_refused(row: Any, message: str) -> None:
    with pytest.raises(ModelError, match=rf"constraint 'row' is not affine .*{message}"):
        transform(with_row(row), {"mu": SETS["ball"]})


def test_a_refusal_changes_nothing() -> None:
    m = with_row(lambda m: m.mean == 1)
    before = str(m.utility.expr)
    with pytest.raises(ModelError, match="'row' is an equality with uncertain Params"):
        pyo.TransformationFactory("rrp_pyomo.robust_counterpart").apply_to(
            m, sets={"mu": SETS["ball"]}
        )
    assert str(m.utility.expr) == before
    assert m.component("robust_counterpart") is None


def test_an_equality_with_what_is_certain_stays_one() -> None:
    m = with_row(lambda m: 2 * m.mu["c"] * m.w["c"] == m.mu["c"] * m.gamma)
    m = solve(transform(m, {"mu": SETS["box"]}))  # whose half-width is 0 there
    assert m.row.equality
    assert m.w["c"].value == pytest.approx(0.4, abs=1e-7)


@pytest.mark.parametrize(
    ("sets", "error", "message"),
    [
        ({"mu": Ball(MEAN.rename({"a": "aa"}), 0.1)}, UnknownLabelError, "did you mean 'a'"),
        ({"mu": Ball(MEAN[:3], 0.1)}, InputError, "lacks 'd'; give a set over all 4"),
        ({"mu": Ball(MEAN.to_numpy()[:3], 0.1)}, UnknownLabelError, "unknown label of the set"),
        ({"nu": SETS["ball"]}, UnknownLabelError, "did you mean 'mu'"),
        ({"w": SETS["ball"]}, InputError, "IndexedVar .*expected a mutable Param"),
        ({"fixed": SETS["ball"]}, InputError, "not mutable.*mutable=True"),
        ({}, InputError, "nothing in `sets`"),
        (SETS["ball"], InputError, "expected a mapping from Params"),
        ({"mu": CovariancePoint(DenseCovariance(np.eye(4)))}, InputError, "a set of covariances"),
        ([("mu", SETS["ball"]), ("mu", SETS["box"])], InputError, "give each Param one set"),
        ({"mu": 3.0}, InputError, "dimension"),
    ],
)
def test_sets_that_do_not_fit(sets: Any, error: Any, message: str) -> None:
    m = market()
    m.fixed = pyo.Param(ASSETS, initialize=1.0)
    with pytest.raises(error, match=message):
        transform(m, sets)


def test_a_param_of_another_model_is_refused() -> None:
    m, other = market(), market()
    with pytest.raises(InputError, match="belongs to another model"):
        pyo.TransformationFactory("rrp_pyomo.robust_counterpart").apply_to(
            m, sets={other.mu: SETS["ball"]}
        )


def test_labels_are_matched_not_counted() -> None:
    shuffled = MEAN[["d", "b", "a", "c"]]
    widths = pd.Series([0.1, 0.4, 0.0, 0.3], ASSETS)
    m = solve(transform(market(), {"mu": Box(shuffled, widths)}))
    assert pyo.value(m.utility) == pytest.approx(by_hand("box"), abs=2e-6)
    assert list(m.robust_counterpart.worst_case()["utility"]["mu"].index) == ASSETS
    by_order = transform(market(), {"mu": Box(MEAN.to_numpy(), widths.to_numpy())})
    assert pyo.value(solve(by_order).utility) == pytest.approx(by_hand("box"), abs=2e-6)


def test_an_array_goes_by_the_order_of_a_range_from_one() -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var([1, 2, 3], bounds=(0, 1))
    m.p = pyo.Param(pyo.RangeSet(3), initialize={1: 1.0, 2: 2.0, 3: 3.0}, mutable=True)
    m.goal = pyo.Objective(expr=sum(m.p[i] * m.x[i] for i in m.x), sense=pyo.maximize)
    m = solve(transform(m, {"p": Box([1.0, 2.0, 3.0], [0.1, 0.2, 0.3])}))
    assert pyo.value(m.goal) == pytest.approx(5.4, abs=1e-6)
    assert m.robust_counterpart.worst_case()["goal"]["p"].to_dict() == pytest.approx(
        {1: 0.9, 2: 1.8, 3: 2.7}
    )


def test_one_label_is_matched_too() -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 9))
    m.p = pyo.Param(["a"], mutable=True)  # without a value, which the set does not need
    m.row = pyo.Constraint(expr=m.p["a"] * m.x <= 2)
    m.goal = pyo.Objective(expr=m.x, sense=pyo.maximize)
    with pytest.raises(UnknownLabelError, match="unknown label of the set of p"):
        transform(m, {"p": Box(pd.Series([1.0], ["z"]), 0.25)})
    for sets in ({"p": Box([1.0], 0.25)}, [(m.p["a"], Box(pd.Series([1.0], ["z"]), 0.25))]):
        assert solve(transform(m, sets)).x.value == pytest.approx(1.6, abs=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_rows_with_a_part_of_the_params(name: str) -> None:
    """What a row does not have is at its worst for the others' sake."""
    m = with_row(lambda m: m.mu["b"] * m.w["b"] + m.mu["d"] * (m.w["d"] - m.w["a"]) >= 0.4)
    m.utility.deactivate()
    m.low = pyo.Objective(expr=m.variance)
    m = solve(transform(m, {"mu": SETS[name]}))
    w = cp.Variable(4)
    part = cp.hstack([0, w[1], 0, w[3] - w[0]])
    rows = [cp.sum(w) == 1, w >= -0.5, w <= 1, worst_mean(name, part) >= 0.4]
    value = cp.Problem(cp.Minimize(cp.sum_squares(ROOT @ w) / 6), rows).solve("CLARABEL")
    assert pyo.value(m.low) == pytest.approx(value, abs=2e-6)
    worst = m.robust_counterpart.worst_case()["row"]["mu"]
    d = pd.Series([0, m.w["b"].value, 0, m.w["d"].value - m.w["a"].value], ASSETS)
    assert worst @ d == pytest.approx(m.robust_counterpart.worst_values()["row"], abs=1e-9)
    assert SETS[name].contains(worst, 1e-7)


def test_a_nominal_value_outside_of_the_set_is_said() -> None:
    with pytest.warns(RiskParityWarning, match="value of mu is not an element of its set"):
        transform(market(), {"mu": Ball(MEAN + 1, 0.1)})


def test_a_param_that_occurs_nowhere_is_said() -> None:
    m = market()
    m.idle = pyo.Param(initialize=1.0, mutable=True)
    with pytest.warns(RiskParityWarning, match="idle is in no active constraint"):
        m = transform(m, {"idle": Box([1.0], 0.1)})
    assert m.robust_counterpart.worst_case() == {}


def test_bounds_of_variables_and_logic_are_refused() -> None:
    m = market()
    m.x = pyo.Var(bounds=(0, m.gamma))
    with pytest.raises(ModelError, match="bound of variable x has uncertain Params"):
        transform(m, {"gamma": Box([0.8], 0.1)})
    m.x.setub(1)
    m.b = pyo.BooleanVar()
    m.logic = pyo.LogicalConstraint(expr=m.b.implies(m.w["a"] <= m.gamma))
    with pytest.raises(ModelError, match="logical constraint logic has uncertain Params"):
        transform(m, {"gamma": Box([0.8], 0.1)})


def test_reading_before_solving_is_an_error() -> None:
    m = transform(market(), {"mu": SETS["ball"]})
    with pytest.raises(ModelError, match="variables in 'utility' have no value; solve"):
        m.robust_counterpart.worst_case()
    with pytest.raises(UnknownLabelError, match="unknown option"):
        pyo.TransformationFactory("rrp_pyomo.robust_counterpart").apply_to(m, set={})


def test_rows_without_variables() -> None:
    """A condition on Params alone is judged at its worst element."""
    m = with_row(lambda m: m.gamma * 2 <= 1.9)
    m.utility.deactivate()
    robust = transform(m, {"gamma": Box([0.8], 0.1)})
    assert pyo.value(robust.row.body) == pytest.approx(1.8)
    assert robust.robust_counterpart.worst_values()["row"] == pytest.approx(1.8)
