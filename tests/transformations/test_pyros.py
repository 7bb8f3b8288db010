"""PyROS as a second opinion: its sets are the same sets here, its optima the same optima."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyomo.contrib.pyros as pyros
import pyomo.environ as pyo
import pytest

import rrp_pyomo  # noqa: F401  (registers the transformation)
from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.transformations.pyros_sets import from_pyros
from rrp_pyomo.uncertainty import Ball, Box, Budgeted, Ellipsoid, Vertices

ASSETS = ["a", "b", "c"]
MEAN = pd.Series([1.0, 1.4, 1.2], ASSETS)
ERROR = np.array([0.1, 0.5, 0.2])
ROOT = np.array([[0.6, 0.2, 0.1], [0.0, 0.9, 0.3], [0.0, 0.0, 0.7]])
SHAPE = np.array([[0.05, 0.02, 0.0], [0.02, 0.2, 0.05], [0.0, 0.05, 0.08]])
CORNERS = MEAN.to_numpy() + np.array([[0, 0, 0], [0.1, -0.6, 0], [-0.2, 0.1, 0.1], [0.1, 0, -0.4]])
BOX = pyros.BoxSet(np.column_stack([MEAN - ERROR, MEAN + ERROR]).tolist())
ELLIPSOID = pyros.EllipsoidalSet(MEAN.to_list(), SHAPE.tolist(), scale=1.5)
SETS: dict[str, Any] = {
    "box": BOX,
    "cardinality": pyros.CardinalitySet(
        MEAN.to_list(), [0.1, 0.2, 0.3], 1.5, negative_deviation=[0.3, 0.5, 0.0]
    ),
    "symmetric cardinality": pyros.CardinalitySet(
        MEAN.to_list(), ERROR.tolist(), 1.5, negative_deviation=ERROR.tolist()
    ),
    "gamma": pyros.CardinalitySet(MEAN.to_list(), [0.1, 0.2, 0.3], 1.5),
    "budget": pyros.BudgetSet([[1, 1, 0], [0, 1, 1]], [0.3, 0.2], origin=(MEAN - 0.05).to_list()),
    "factors": pyros.FactorModelSet(MEAN.to_list(), 2, [[0.1, 0.0], [0.3, 0.2], [0.0, 0.2]], 0.5),
    "free factors": pyros.FactorModelSet(MEAN.to_list(), 2, [[0.1, 0], [0.3, 0.2], [0, 0.2]], 1.0),
    "polyhedron": pyros.PolyhedralSet(
        [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [1, 1, 1]], [-0.8, -0.9, -1.1, 3.9]
    ),
    "axes": pyros.AxisAlignedEllipsoidalSet(MEAN.to_list(), ERROR.tolist()),
    "flat axes": pyros.AxisAlignedEllipsoidalSet(MEAN.to_list(), [0.1, 0.0, 0.2]),
    "ellipsoid": ELLIPSOID,
    "confidence": pyros.EllipsoidalSet(
        MEAN.to_list(), SHAPE.tolist(), scale=None, gaussian_conf_lvl=0.9
    ),
    "scenarios": pyros.DiscreteScenarioSet(CORNERS.tolist()),
    "intersection": pyros.IntersectionSet(one=BOX, two=ELLIPSOID),
    "common scenarios": pyros.IntersectionSet(
        one=BOX, two=pyros.DiscreteScenarioSet(CORNERS.tolist())
    ),
    "product": pyros.CartesianProductSet(
        [
            pyros.BoxSet([[0.9, 1.1]]),
            pyros.EllipsoidalSet([1.4, 1.2], [[0.2, 0.05], [0.05, 0.08]]),
        ]
    ),
}


def largest(set_: Any, direction: Any) -> float:
    """max d'q over the set, as PyROS states its constraints."""
    if set_.geometry == pyros.uncertainty_sets.Geometry.DISCRETE_SCENARIOS:
        return float(max(np.array(set_.scenarios) @ direction))
    m = pyo.ConcreteModel()
    m.q = pyo.Var(range(3), initialize=MEAN.to_list())
    m.inside = pyo.Block()
    set_.set_as_constraint(uncertain_params=list(m.q.values()), block=m.inside)
    m.goal = pyo.Objective(expr=sum(d * m.q[k] for k, d in enumerate(direction)), sense=-1)
    pyo.SolverFactory("clarabel").solve(m)
    return float(pyo.value(m.goal))


@pytest.mark.parametrize("name", SETS)
def test_the_sets_of_pyros_are_the_same_sets(name: str) -> None:
    given = SETS[name]
    converted = from_pyros(given, tuple(ASSETS), "mu")
    assert converted.labels == tuple(ASSETS)
    for direction in np.random.default_rng(5).normal(size=(4, 3)):
        worst = converted.worst(direction)
        assert converted.support(direction) == pytest.approx(largest(given, direction), abs=1e-6)
        assert worst @ direction == pytest.approx(converted.support(direction), abs=1e-7)
        inner = worst + 1e-6 * (converted.center - worst)
        assert given.point_in_set(worst.to_list()) or given.point_in_set(inner.to_list()) or (
            name == "flat axes" and worst["b"] == MEAN["b"]
        )  # fmt: skip


def test_what_has_no_conversion_is_refused() -> None:
    class Own(pyros.UncertaintySet):
        dim = 3
        geometry = parameter_bounds = type = None
        point_in_set = set_as_constraint = compute_auxiliary_uncertain_param_vals = None

    with pytest.raises(ModelError, match="given a Own of PyROS, whose support function is not"):
        from_pyros(object.__new__(Own), tuple(ASSETS), "mu")
    with pytest.raises(InputError, match="BoxSet of mu has 3 dimensions; expected one for each of"):
        from_pyros(BOX, ("a", "b"), "mu")
    empty = pyros.PolyhedralSet([[1.0], [-1.0]], [1.0, 0.0])
    empty.rhs_vec = [-1.0, 0.0]
    with pytest.raises(InputError, match="PolyhedralSet of mu is empty"):
        from_pyros(empty, ("a",), "mu")


# --- the same optima ----------------------------------------------------------------------------


def market() -> Any:
    m = pyo.ConcreteModel()
    m.w = pyo.Var(ASSETS, bounds=(0, 1), initialize=1 / 3)
    m.mu = pyo.Param(ASSETS, initialize=MEAN.to_dict(), mutable=True)
    m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
    m.mean = pyo.Expression(expr=sum(m.mu[a] * m.w[a] for a in ASSETS))
    exposures = [sum(c * m.w[a] for c, a in zip(row, ASSETS, strict=True)) for row in ROOT]
    m.variance = pyo.Expression(expr=sum(e**2 for e in exposures))
    return m


def most(m: Any) -> Any:
    m.goal = pyo.Objective(expr=m.mean, sense=pyo.maximize)
    return m


def utility(m: Any) -> Any:
    m.goal = pyo.Objective(expr=m.mean - 0.5 * m.variance, sense=pyo.maximize)
    return m


def limited(m: Any) -> Any:
    m.risk = pyo.Constraint(expr=m.variance <= 0.35)
    return most(m)


def cheapest(m: Any) -> Any:
    m.floor = pyo.Constraint(expr=m.mean >= 1.0)
    m.goal = pyo.Objective(expr=m.variance)
    return m


def loss(m: Any) -> Any:
    m.goal = pyo.Objective(expr=m.variance - 2 * m.mean + m.mu["a"] * m.w["b"])
    return m


def both_sides(m: Any) -> Any:
    m.inside = pyo.Constraint(expr=pyo.inequality(-0.6, m.mean - 1.2, 0.35))
    m.goal = pyo.Objective(expr=m.w["a"] + 2 * m.w["c"])
    return m


def nonconvex(m: Any) -> Any:
    """A concave cost of trading, uncertain coefficients before products."""
    cost = 0.1 * sum(pyo.sqrt(m.w[a] + 0.01) for a in ASSETS)
    m.floor = pyo.Constraint(expr=m.mean - m.mu["b"] * m.w["b"] * m.w["c"] >= 0.8)
    m.goal = pyo.Objective(expr=m.variance + cost)
    return m


class Case(NamedTuple):
    state: Callable[[Any], Any]
    pyros: str
    ours: Any = None
    solver: str = "clarabel"


CASES = {
    "max, box": Case(utility, "box", Box(MEAN, ERROR)),
    "max, scenarios": Case(most, "scenarios", Vertices(pd.DataFrame(CORNERS, columns=ASSETS))),
    "max, intersection": Case(
        most, "intersection", Box(MEAN, ERROR) & Ellipsoid(MEAN, SHAPE, 1.5**0.5)
    ),
    "risk limit, ellipsoid": Case(limited, "ellipsoid", Ellipsoid(MEAN, SHAPE, 1.5**0.5)),
    "risk limit, budgets": Case(
        limited, "symmetric cardinality", Budgeted(MEAN, ERROR, 1.5)
    ),
    "floor, axes": Case(cheapest, "axes", Ellipsoid(MEAN, root=np.diag(ERROR))),
    "floor, factors": Case(cheapest, "factors"),
    "floor, polyhedron": Case(cheapest, "polyhedron"),
    "min, cardinality": Case(loss, "cardinality"),
    "min, budget": Case(loss, "budget"),
    "min, product": Case(loss, "product"),
    "range, ellipsoid": Case(both_sides, "ellipsoid"),
    "nonconvex, ellipsoid": Case(nonconvex, "ellipsoid", solver="casadi_ipopt"),
    "nonconvex, gamma": Case(nonconvex, "gamma", solver="casadi_ipopt"),
}  # fmt: skip


def by_pyros(m: Any, set_: Any, solver: Any) -> float:
    first = [v for v in m.component_data_objects(pyo.Var) if not v.fixed]
    found = pyros.PyROS().solve(
        m, first, [], list(m.mu.values()), set_, solver, solver,
        objective_focus=pyros.ObjectiveType.worst_case, solve_master_globally=True,
        progress_logger=logging.getLogger("tests.quiet"),
    )  # fmt: skip
    assert found.pyros_termination_condition == pyros.pyrosTerminationCondition.robust_optimal
    return float(found.final_objective_value)


@pytest.mark.parametrize("name", CASES)
def test_pyros_finds_the_same_optimum(name: str) -> None:
    case = CASES[name]
    transformation = pyo.TransformationFactory("rrp_pyomo.robust_counterpart")
    m = case.state(market())
    given = SETS[case.pyros]
    robust = transformation.create_using(m, sets={m.mu: given if case.ours is None else case.ours})
    solver = pyo.SolverFactory(case.solver)
    solver.solve(robust)
    assert by_pyros(m, given, solver) == pytest.approx(pyo.value(robust.goal), abs=2e-4)
    center = from_pyros(given, tuple(ASSETS), "mu").center
    for row in robust.robust_counterpart.worst_case().values():
        inner = row["mu"] + 1e-6 * (center - row["mu"])
        assert given.point_in_set(row["mu"].to_list()) or given.point_in_set(inner.to_list())


@pytest.mark.parametrize("name", ["box", pytest.param("ellipsoid", marks=pytest.mark.slow)])
def test_integers_choose_as_pyros_does_one_choice_at_a_time(name: str) -> None:
    """PyROS takes no integer variables: it is asked for each pair of assets with a cost each."""
    m = market()
    m.pick = pyo.Var(ASSETS, domain=pyo.Binary)
    m.held = pyo.Constraint(ASSETS, rule=lambda m, a: m.w[a] <= m.pick[a])
    m.few = pyo.Constraint(expr=sum(m.pick.values()) <= 2)
    costs = {"a": 0.02, "b": 0.03, "c": 0.05}
    m.goal = pyo.Objective(expr=m.mean - sum(costs[a] * m.pick[a] for a in ASSETS), sense=-1)
    transformation = pyo.TransformationFactory("rrp_pyomo.robust_counterpart")
    robust = transformation.create_using(m, sets={m.mu: SETS[name]})
    pyo.SolverFactory("gurobi").solve(robust)
    values = []
    for chosen in ("ab", "ac", "bc", "a", "b", "c"):
        m = most(market())
        for a in set(ASSETS) - set(chosen):
            m.w[a].fix(0.0)
        paid = sum(costs[a] for a in chosen)
        values.append(by_pyros(m, SETS[name], pyo.SolverFactory("clarabel")) - paid)
    assert pyo.value(robust.goal) == pytest.approx(max(values), abs=2e-4)


@pytest.mark.parametrize("name", ["max, box", "risk limit, ellipsoid", "min, cardinality"])
def test_the_sets_of_both_give_the_same_counterpart(name: str) -> None:
    case = CASES[name]
    values = []
    for set_ in (SETS[case.pyros], from_pyros(SETS[case.pyros], tuple(ASSETS), "mu")):
        m = case.state(market())
        pyo.TransformationFactory("rrp_pyomo.robust_counterpart").apply_to(m, sets={m.mu: set_})
        pyo.SolverFactory("clarabel").solve(m)
        values.append(pyo.value(m.goal))
    assert values[0] == values[1]


def test_a_set_of_pyros_over_two_params() -> None:
    m = market()
    m.cost = pyo.Param(initialize=0.1, mutable=True)
    m.goal = pyo.Objective(expr=m.mean - m.cost - 0.5 * m.variance, sense=pyo.maximize)
    product = pyros.CartesianProductSet([ELLIPSOID, pyros.BoxSet([[0.0, 0.3]])])
    transformation = pyo.TransformationFactory("rrp_pyomo.robust_counterpart")
    joint = transformation.create_using(m, sets={("mu", "cost"): product})
    apart = transformation.create_using(m, sets={"mu": ELLIPSOID, "cost": Ball([0.15], 0.15)})
    for robust in (joint, apart):
        pyo.SolverFactory("clarabel").solve(robust)
        assert robust.robust_counterpart.worst_case()["goal"]["cost"] == pytest.approx(0.3)
    assert pyo.value(joint.goal) == pytest.approx(pyo.value(apart.goal), abs=1e-7)
