"""Every cone type: known solutions, random instances of every outcome, certificates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

CONES = [
    "quadratic",
    "rotated_quadratic",
    "primal_exponential",
    "dual_exponential",
    "primal_power",
    "dual_power",
    "primal_geomean",
    "dual_geomean",
]

#: Members of one point on the boundary of each cone, but for the first, the head.
TAILS = {
    "quadratic": (3.0, 4.0),
    "rotated_quadratic": (2.0, 1.0, -2.0),
    "primal_exponential": (2.0, 1.0),
    "dual_exponential": (0.5, -1.0),
    "primal_power": (2.0, 0.6, -0.8),
    "dual_power": (2.0, 0.6, -0.8),
    "primal_geomean": (2.0, 3.0, -1.5),
    "dual_geomean": (2.0, 3.0, 4.0),
}

SAMPLES = settings(max_examples=12, deadline=None, derandomize=True)


def gradient(gauge: Any, y: np.ndarray) -> np.ndarray:
    """Derivatives by complex steps, exact to rounding."""
    steps = 1e-30j * np.eye(y.size)
    return np.array([np.imag(gauge(y + step)) / 1e-30 for step in steps])


def head(gauge: Any, tail: tuple[float, ...]) -> float:
    """The head that puts a point on the boundary, by bisection."""
    low, high = 0.0, 1e3
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if gauge(np.array([middle, *tail])) >= 0 else (middle, high)
    return high


def kernel_model(tools: Any, name: str, size: int) -> Any:
    """A block with variables that are the members of one cone, with its sign bounds."""
    model = pmo.block()
    model.y = pmo.variable_list([pmo.variable() for _ in range(size)])
    for k in tools.cones[name].positive(size):
        model.y[k].lb = 0
    if name == "dual_exponential":
        model.y[2].ub = 0
    model.cone = tools.cone(name, list(model.y))
    return model


@pytest.mark.parametrize("name", CONES)
def test_smallest_head(tools: Any, accurate: Any, name: str) -> None:
    """min y₀ with the other members given: y₀ is on the boundary, and the dual is the gradient of
    the gauge there, divided by its first entry."""
    tail = TAILS[name]
    model = kernel_model(tools, name, 1 + len(tail))
    model.given = pmo.constraint_list(
        [pmo.constraint(y == value) for y, value in zip(list(model.y)[1:], tail, strict=True)]
    )
    model.objective = pmo.objective(model.y[0])
    results = accurate.solver.solve(model)
    assert results.solution_status is SolutionStatus.optimal
    results.solution_loader.load_vars()

    gauge = tools.cones[name].gauge
    expected = head(gauge, tail)
    slope = gradient(gauge, np.array([expected, *tail]))
    dual = results.solution_loader.get_duals()[model.cone]
    assert model.y[0].value == pytest.approx(expected, rel=accurate.tolerance)
    # On a curved boundary a duality gap of 1e-8 leaves 1e-4 of freedom to the dual.
    assert dual == pytest.approx(slope / slope[0], abs=max(1e-4, 20 * accurate.tolerance))
    assert max(tools.optimality(model, results).values()) < accurate.tolerance


@pytest.mark.parametrize("name", CONES)
def test_as_domain(tools: Any, accurate: Any, name: str) -> None:
    """The same through the block that Pyomo builds for expressions, constants and None."""
    tail = TAILS[name]
    model = pmo.block()
    model.y = pmo.variable()
    arguments = [model.y + 1.0, *tail]
    kind = getattr(pmo.conic, name)
    if name == "quadratic":
        model.domain = kind.as_domain(arguments[0], arguments[1:])
    elif name == "rotated_quadratic":
        model.domain = kind.as_domain(arguments[0], arguments[1], arguments[2:])
    elif "power" in name:
        model.domain = kind.as_domain(arguments[0], arguments[1], arguments[2:], 0.3)
    elif "geomean" in name:
        model.domain = kind.as_domain(arguments[:-1], arguments[-1])
    else:
        model.domain = kind.as_domain(*arguments)
    model.objective = pmo.objective(model.y)
    results = accurate.solver.solve(model)
    expected = head(tools.cones[name].gauge, tail) - 1.0
    assert results.incumbent_objective == pytest.approx(expected, abs=5 * accurate.tolerance)


def interior(tools: Any, name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """A point well inside a cone."""
    places = tools.cones[name].positive(size)
    while True:
        y = rng.normal(size=size)
        y[places] = np.abs(y[places]) + 0.5
        if name == "dual_exponential":
            y[2] = -abs(y[2]) - 0.2
        y[0] += 3.0
        if tools.cones[name].gauge(y) > 0.2:
            return y


def random_model(
    tools: Any, name: str, seed: int
) -> tuple[Any, np.ndarray, np.ndarray, np.random.Generator]:
    """A model of one cone, with a point inside it and one inside its dual."""
    rng = np.random.default_rng(seed)
    size = 3 if "exponential" in name else int(rng.integers(3, 7))
    model = kernel_model(tools, name, size)
    point = interior(tools, name, size, rng)
    dual = interior(tools, tools.cones[name].dual, size, rng)
    return model, point, dual, rng


def rows(model: Any, A: np.ndarray, rhs: np.ndarray) -> Any:
    return pmo.matrix_constraint(A, rhs=rhs, x=list(model.y))


def linear(model: Any, c: np.ndarray) -> Any:
    return sum(float(v) * y for v, y in zip(c, model.y, strict=True))


@pytest.mark.parametrize("name", CONES)
@SAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_feasible_and_bounded(tools: Any, accurate: Any, name: str, seed: int) -> None:
    """min c'y over A y = A p, with p in the cone and c − A'λ in its dual: an optimum exists."""
    model, point, dual, rng = random_model(tools, name, seed)
    A = rng.normal(size=(1, point.size))
    model.rows = rows(model, A, A @ point)
    sense = rng.choice([pmo.minimize, pmo.maximize])
    cost = (dual + A.T @ rng.normal(size=1)) * (1 if sense == pmo.minimize else -1)
    model.objective = pmo.objective(linear(model, cost), sense=sense)
    results = accurate.solver.solve(model)
    assert results.solution_status is SolutionStatus.optimal
    results.solution_loader.load_vars()
    errors = tools.optimality(model, results)
    assert max(errors.values()) < 5 * accurate.tolerance, errors


@pytest.mark.parametrize("name", CONES)
@SAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_infeasible(tools: Any, accurate: Any, name: str, seed: int) -> None:
    """d'y ≤ −1 with d in the dual cone cannot be; the certificate says so from the data."""
    model, _, dual, rng = random_model(tools, name, seed)
    A = np.vstack([dual, rng.normal(size=dual.size)])
    model.rows = pmo.matrix_constraint(
        A, lb=np.array([-np.inf, -9.0]), ub=np.array([-1.0, 9.0]), x=list(model.y)
    )
    model.objective = pmo.objective(linear(model, rng.normal(size=dual.size)))
    results = accurate.solver.solve(model)
    assert results.termination_condition is TerminationCondition.provenInfeasible
    errors = tools.infeasibility(model, results)
    assert max(errors.values()) < 10 * accurate.tolerance, errors


@pytest.mark.parametrize("name", CONES)
@SAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_unbounded(tools: Any, accurate: Any, name: str, seed: int) -> None:
    """A point and a direction inside the cone, along which the objective falls."""
    model, direction, _, rng = random_model(tools, name, seed)
    across = rng.normal(size=direction.size)
    across -= direction * (across @ direction) / (direction @ direction)
    model.rows = rows(model, across[None, :], np.zeros(1))
    model.objective = pmo.objective(linear(model, -direction))
    results = accurate.solver.solve(model)
    assert results.termination_condition is TerminationCondition.unbounded
    errors = tools.ray(model, results)
    assert max(errors.values()) < 10 * accurate.tolerance, errors


@pytest.mark.parametrize("alpha", [0.05, 0.5, 0.9])
def test_power_cones_of_different_exponents(accurate: Any, alpha: float) -> None:
    """max r₁^α over r₁ + r₂ = 1, t ≤ r₁^α r₂^(1−α): r₁ = α."""
    model = pmo.block()
    model.r = pmo.variable_list([pmo.variable(lb=0) for _ in range(4)])
    model.t = pmo.variable_list([pmo.variable() for _ in range(2)])
    model.cones = pmo.constraint_list(
        [
            pmo.conic.primal_power(model.r[0], model.r[1], [model.t[0]], alpha),
            pmo.conic.primal_power(model.r[2], model.r[3], [model.t[1]], pmo.parameter(0.25)),
        ]
    )
    model.sums = pmo.constraint_list(
        [pmo.constraint(model.r[k] + model.r[k + 1] == 1) for k in (0, 2)]
    )
    model.objective = pmo.objective(model.t[0] + model.t[1], sense=pmo.maximize)
    results = accurate.solver.solve(model)
    results.solution_loader.load_vars()
    assert model.r[0].value == pytest.approx(alpha, abs=1e-4)
    assert model.r[2].value == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("name", ["primal_geomean", "dual_geomean"])
def test_geometric_means_include_their_signs(accurate: Any, name: str) -> None:
    """Without bounds too, r ≥ 0: max −x over r₁ + r₂ = 1, |x| ≤ (r₁ r₂)^(1/2) times 1 or 2."""
    model = pmo.block()
    model.r = pmo.variable_list([pmo.variable(), pmo.variable()])
    model.x = pmo.variable()
    model.cone = getattr(pmo.conic, name)(list(model.r), model.x)
    model.total = pmo.constraint(model.r[0] + model.r[1] == 1)
    model.objective = pmo.objective(-model.x, sense=pmo.maximize)
    results = accurate.solver.solve(model)
    expected = 0.5 if name == "primal_geomean" else 1.0
    assert results.incumbent_objective == pytest.approx(expected, abs=1e-4)
    model.total.rhs = -1
    results = accurate.solver.solve(model)
    assert results.termination_condition is TerminationCondition.provenInfeasible


def test_fixed_members(accurate: Any) -> None:
    """Fixed variables in a cone are numbers, and its dual still has an entry for each."""
    model = pmo.block()
    model.r = pmo.variable()
    model.x = pmo.variable_list([pmo.variable(), pmo.variable()])
    model.r.lb = 0
    model.x[0].fix(3.0)
    model.cone = pmo.conic.quadratic(model.r, model.x)
    model.floor = pmo.constraint(model.x[1] >= 4)
    model.objective = pmo.objective(model.r)
    results = accurate.solver.solve(model)
    assert results.incumbent_objective == pytest.approx(5.0, abs=1e-5)
    dual = results.solution_loader.get_duals()[model.cone]
    assert dual == pytest.approx((1.0, -0.6, -0.8), abs=1e-4)

    model.r.fix(5.0)
    model.objective.expr = -model.x[1]
    results = accurate.solver.solve(model)
    assert results.incumbent_objective == pytest.approx(-4.0, abs=1e-5)


def test_cones_without_vector(accurate: Any) -> None:
    """Cones of heads alone say that these are nonnegative."""
    model = pmo.block()
    model.r = pmo.variable_list([pmo.variable(lb=0) for _ in range(3)])
    model.q = pmo.conic.quadratic(model.r[0], [])
    model.rotated = pmo.conic.rotated_quadratic(model.r[1], model.r[2], [])
    model.objective = pmo.objective(sum(model.r) + 1)
    results = accurate.solver.solve(model)
    assert results.incumbent_objective == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("sense", [pyo.minimize, pyo.maximize])
def test_cones_in_environ(tools: Any, accurate: Any, sense: Any) -> None:
    """Lorentz and rotated forms on a ConcreteModel: known optimum, KKT with scalar multipliers."""
    model = pyo.ConcreteModel()
    model.r = pyo.Var(bounds=(0, None))
    model.s = pyo.Var(bounds=(0, None))
    model.x = pyo.Var([1, 2])
    model.disc = pyo.Constraint(expr=model.x[1] ** 2 + model.x[2] ** 2 <= model.r**2)
    model.hyperbola = pyo.Constraint(expr=model.r * model.s >= 25 / 2)
    model.given = pyo.Constraint([1, 2], rule=lambda m, k: m.x[k] == k + 2)
    sign = 1 if sense == pyo.minimize else -1
    model.objective = pyo.Objective(expr=sign * (model.r + model.s), sense=sense)
    results = accurate.solver.solve(model)
    results.solution_loader.load_vars()
    # r = 5 is forced by the disc, s = 12.5 / 5 by the hyperbola.
    assert model.r.value == pytest.approx(5.0, abs=1e-4)
    assert model.s.value == pytest.approx(2.5, abs=1e-4)
    duals = results.solution_loader.get_duals()
    # d(r + s)/dr = 1 − s/r = 0.5 along the hyperbola; the disc's body is |x|² − r².
    assert duals[model.disc] == pytest.approx(-sign * 0.5 / 10.0, abs=1e-4)
    assert abs(duals[model.hyperbola]) == pytest.approx(1 / 5.0, abs=1e-4)
    assert max(tools.optimality(model, results).values()) < 5 * accurate.tolerance


def environ_cone(kind: str, size: int, rng: np.random.Generator) -> tuple[Any, int]:
    """A ConcreteModel of one Lorentz or rotated cone (the last, or the last two, are heads)."""
    model = pyo.ConcreteModel()
    model.y = pyo.Var(range(size))
    heads = 1 if kind == "lorentz" else 2
    for k in range(size - heads, size):
        model.y[k].setlb(0)
    weights = rng.uniform(0.5, 2, size)
    squares = sum(float(weights[k]) * model.y[k] ** 2 for k in range(size - heads))
    if kind == "lorentz":
        model.cone = pyo.Constraint(expr=squares <= float(weights[-1]) * model.y[size - 1] ** 2)
    else:
        model.cone = pyo.Constraint(expr=squares <= model.y[size - 2] * model.y[size - 1])
    return model, heads


def dot(a: np.ndarray, y: Any) -> Any:
    return sum(float(v) * y[k] for k, v in enumerate(a))


@pytest.mark.parametrize("kind", ["lorentz", "rotated"])
@SAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_outcomes_in_environ(tools: Any, accurate: Any, kind: str, seed: int) -> None:
    """Infeasible, unbounded and optimal, as quadratic constraints; certificates from the data."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 6))
    model, heads = environ_cone(kind, size, rng)
    inside = np.concatenate([rng.normal(size=size - heads) * 0.3, rng.uniform(2, 3, heads)])
    # An element of the dual cone: the heads outweigh the rest.
    steep = np.concatenate([rng.normal(size=size - heads) * 0.3, rng.uniform(2, 3, heads)])

    model.cut = pyo.Constraint(expr=dot(steep, model.y) <= -1)
    model.cost = pyo.Objective(expr=model.y[0])
    results = accurate.solver.solve(model)
    assert results.termination_condition is TerminationCondition.provenInfeasible
    errors = tools.infeasibility(model, results)
    assert max(errors.values()) < 10 * accurate.tolerance, errors

    del model.cut
    model.cost.expr = -dot(inside, model.y)
    results = accurate.solver.solve(model)
    assert results.termination_condition is TerminationCondition.unbounded
    ray = results.solution_loader.get_unbounded_ray()
    for k in model.y:
        model.y[k].value = ray[model.y[k]]
    assert model.cone.slack() >= -accurate.tolerance
    assert min(ray[model.y[k]] for k in range(size - heads, size)) >= -accurate.tolerance
    assert pyo.value(model.cost) < 0

    model.level = pyo.Constraint(expr=dot(steep, model.y) <= float(steep @ inside))
    results = accurate.solver.solve(model, solver_options=accurate.sharper)
    assert results.solution_status is SolutionStatus.optimal
    results.solution_loader.load_vars()
    errors = tools.optimality(model, results)
    assert max(errors.values()) < max(1e-4, 20 * accurate.tolerance), errors
