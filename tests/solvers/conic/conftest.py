"""Checks of optimality and of certificates from a Pyomo model's own expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.core.expr.calculus.derivatives import Modes, differentiate
from pyomo.core.expr.visitor import identify_variables
from pyomo.core.kernel import conic
from pyomo.core.kernel.base import ICategorizedObject
from pyomo.core.kernel.constraint import IConstraint
from pyomo.core.kernel.objective import IObjective

from rrp_pyomo.solvers.conic import Clarabel, Scs


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "solver(name): Pyomo's mark of the solver that a test runs")


class ConeType(NamedTuple):
    """A conic constraint: its members, its gauge (≥ 0 inside), its dual and its sign bounds."""

    members: Callable[[Any], tuple[Any, ...]]
    gauge: Callable[[Any], Any]
    dual: str
    positive: Callable[[int], list[int]]


def _norm(x: Any) -> Any:
    return np.sqrt(np.sum(np.asarray(x) ** 2))


def _power(y: Any, alpha: float) -> Any:
    return y[0] ** alpha * y[1] ** (1 - alpha) - _norm(y[2:])


def _geomean(y: Any) -> Any:
    return np.prod(y[:-1]) ** (1 / (len(y) - 1)) - np.sqrt(y[-1] ** 2)


ALPHA = 0.3

CONES = {
    "quadratic": ConeType(
        lambda c: (c.r, *c.x), lambda y: y[0] - _norm(y[1:]), "quadratic", lambda n: [0]
    ),
    "rotated_quadratic": ConeType(
        lambda c: (c.r1, c.r2, *c.x),
        lambda y: np.sqrt(2 * y[0] * y[1]) - _norm(y[2:]),
        "rotated_quadratic",
        lambda n: [0, 1],
    ),
    "primal_exponential": ConeType(
        lambda c: (c.r, c.x1, c.x2),
        lambda y: y[0] - y[1] * np.exp(y[2] / y[1]),
        "dual_exponential",
        lambda n: [0, 1],
    ),
    "dual_exponential": ConeType(
        lambda c: (c.r, c.x1, c.x2),
        lambda y: y[0] + y[2] * np.exp(y[1] / y[2] - 1),
        "primal_exponential",
        lambda n: [0],
    ),
    "primal_power": ConeType(
        lambda c: (c.r1, c.r2, *c.x), lambda y: _power(y, ALPHA), "dual_power", lambda n: [0, 1]
    ),
    "dual_power": ConeType(
        lambda c: (c.r1, c.r2, *c.x),
        lambda y: _power([y[0] / ALPHA, y[1] / (1 - ALPHA), *y[2:]], ALPHA),
        "primal_power",
        lambda n: [0, 1],
    ),
    "primal_geomean": ConeType(
        lambda c: (*c.r, c.x), _geomean, "dual_geomean", lambda n: list(range(n - 1))
    ),
    "dual_geomean": ConeType(
        lambda c: (*c.r, c.x),
        lambda y: _geomean([*y[:-1], y[-1] / (len(y) - 1)]),
        "primal_geomean",
        lambda n: list(range(n - 1)),
    ),
}


def cone_of(name: str, y: list[Any]) -> Any:
    """The conic constraint with these members."""
    kind = getattr(conic, name)
    if name == "quadratic":
        return kind(y[0], y[1:])
    if name == "rotated_quadratic":
        return kind(y[0], y[1], y[2:])
    if "power" in name:
        return kind(y[0], y[1], y[2:], ALPHA)
    if "geomean" in name:
        return kind(y[:-1], y[-1])
    return kind(*y)


def violation(name: str, y: Any) -> float:
    """By how much a point is outside a cone."""
    y = np.asarray(y, float)
    outside = [-y[k] for k in CONES[name].positive(y.size)]
    if name == "dual_exponential":
        outside.append(y[2])
    # The closure of the exponential cones: the last or the first variable decides at zero.
    if name == "primal_exponential" and y[1] < 1e-9:
        return float(max(*outside, y[2], 0.0))
    if name == "dual_exponential" and y[2] > -1e-9:
        return float(max(*outside, -y[1], 0.0))
    inside = np.array(y)
    places = CONES[name].positive(y.size)
    inside[places] = np.maximum(inside[places], 0.0)
    return float(max(*outside, -CONES[name].gauge(inside), 0.0))


class Statement:
    """A model's functions, evaluated at the values of its variables."""

    def __init__(self, model: Any) -> None:
        kernel = isinstance(model, ICategorizedObject)
        constraints = (
            model.components(ctype=IConstraint)
            if kernel
            else model.component_data_objects(pyo.Constraint, active=True)
        )
        objectives = (
            model.components(ctype=IObjective)
            if kernel
            else model.component_data_objects(pyo.Objective, active=True)
        )
        constraints = list(constraints)
        self.cones = [c for c in constraints if isinstance(c, conic._ConicBase)]
        rows = [c for c in constraints if not isinstance(c, conic._ConicBase)]
        self.rows = [c for c in rows if c.has_lb() or c.has_ub()]
        self.objective = next(iter(objectives), None)
        expressions = [c.body for c in self.rows]
        expressions += [] if self.objective is None else [self.objective.expr]
        found = [v for e in expressions for v in identify_variables(e, include_fixed=False)]
        found += [v for c in self.cones for v in self.members(c) if not v.fixed]
        self.variables = list({id(v): v for v in found}.values())
        self.place = {id(v): k for k, v in enumerate(self.variables)}

    @staticmethod
    def members(cone: Any) -> tuple[Any, ...]:
        return CONES[type(cone).__name__].members(cone)

    @property
    def sense(self) -> int:
        return 1 if self.objective is None or self.objective.sense == pyo.minimize else -1

    def gradient(self, expression: Any) -> Any:
        values = differentiate(expression, wrt_list=self.variables, mode=Modes.reverse_numeric)
        return np.array(values, float)

    def combination(self, duals: Mapping[Any, Any], costs: Mapping[Any, float]) -> Any:
        """Σ dual ∇body + Σ dual' ∂members + reduced costs."""
        total = np.array([costs[v] for v in self.variables])
        for c in self.rows:
            total += duals[c] * self.gradient(c.body)
        for c in self.cones:
            for member, w in zip(self.members(c), duals[c], strict=True):
                if not member.fixed:
                    total[self.place[id(member)]] += w
        return total


def _side(multiplier: float, lower: float | None, upper: float | None) -> float | None:
    """The bound that a multiplier belongs to, by its sign."""
    return lower if multiplier > 0 else upper


def optimality_errors(model: Any, results: Any) -> dict[str, float]:
    """Residuals of the KKT conditions at the loaded point, relative to its magnitude."""
    loader = results.solution_loader
    duals, costs = loader.get_duals(), loader.get_reduced_costs()
    stated = Statement(model)
    sense = stated.sense
    primal, dual, gaps = [0.0], [0.0], [0.0]
    intervals = [(c.body, c.lb, c.ub, duals[c]) for c in stated.rows]
    intervals += [(v, *v.bounds, costs[v]) for v in stated.variables]
    for body, lower, upper, multiplier in intervals:
        at = pyo.value(body)
        primal += [0.0 if lower is None else lower - at, 0.0 if upper is None else at - upper]
        side = _side(sense * multiplier, lower, upper)
        if side is None:
            dual.append(abs(multiplier))
        else:
            gaps.append(abs(multiplier * (at - side)))
    for c in stated.cones:
        name = type(c).__name__
        y, w = [pyo.value(m) for m in stated.members(c)], sense * np.array(duals[c])
        primal.append(violation(name, y))
        dual.append(violation(CONES[name].dual, w))
        gaps.append(abs(float(w @ y)))
    gradient = np.zeros(len(stated.variables))
    if stated.objective is not None:
        gradient = stated.gradient(stated.objective.expr)
    size = max(1.0, *(abs(v.value) for v in stated.variables))
    slope = max(1.0, float(np.abs(gradient).max()))
    return {
        "primal": max(primal) / size,
        "dual": max(dual) / slope,
        "stationarity": float(np.abs(gradient - stated.combination(duals, costs)).max()) / slope,
        "complementarity": max(gaps) / (size * slope),
    }


def infeasibility_errors(model: Any, results: Any) -> dict[str, float]:
    """Residuals of a certificate: a combination that vanishes, yet should be positive."""
    duals, costs = results.solution_loader.get_infeasibility_certificate()
    stated = Statement(model)
    support, dual = 0.0, [0.0]
    functions = {id(c): f for c, f in duals.items() if hasattr(f, "coefficients")}
    for c in stated.rows:
        if id(c) in functions:
            function = functions[id(c)]
            dual.append(_most_negative(c, function))
            support -= function.constant
    curved = [c for c in stated.rows if id(c) in functions]
    stated.rows = [c for c in stated.rows if id(c) not in functions]
    for v in stated.variables:
        v.value = 0.0
    intervals = [(pyo.value(c.body), c.lb, c.ub, duals[c]) for c in stated.rows]
    intervals += [(0.0, *v.bounds, costs[v]) for v in stated.variables]
    for constant, lower, upper, multiplier in intervals:
        side = _side(multiplier, lower, upper)
        if side is None:
            dual.append(abs(multiplier))
        else:
            support += multiplier * (side - constant)
    for c in stated.cones:
        dual.append(violation(CONES[type(c).__name__].dual, duals[c]))
        fixed = [m.value if m.fixed else 0.0 for m in stated.members(c)]
        support -= float(np.dot(duals[c], fixed))
    assert support > 0
    total = stated.combination(duals, costs)
    for c in curved:
        for v, coefficient in functions[id(c)].coefficients.items():
            total[stated.place[id(v)]] += coefficient
    return {
        "dual": max(dual) / support,
        "combination": float(np.abs(total).max()) / support,
    }


def _most_negative(constraint: Any, function: Any) -> float:
    """By how much an affine function is negative somewhere where a constraint holds."""
    rng = np.random.default_rng(0)
    variables = list(identify_variables(constraint.body))
    worst, inside = 0.0, 0
    for _ in range(400):
        for v in variables:
            v.value = rng.normal() * rng.choice([0.1, 1.0, 10.0])
            v.value = abs(v.value) if v.lb == 0 else v.value
        slack = constraint.slack() if callable(constraint.slack) else constraint.slack
        if slack >= 0:
            inside += 1
            value = sum(a * v.value for v, a in function.coefficients.items()) + function.constant
            worst = max(worst, -value)
    assert inside > 20
    return worst


def ray_errors(model: Any, results: Any) -> dict[str, float]:
    """Residuals of a direction of recession along which the objective improves."""
    ray = results.solution_loader.get_unbounded_ray()
    stated = Statement(model)
    direction = np.array([ray[v] for v in stated.variables])
    for v in stated.variables:
        v.value = 0.0
    slope = -stated.sense * float(stated.gradient(stated.objective.expr) @ direction)
    assert slope > 0
    outside = [0.0]
    moves = [(float(stated.gradient(c.body) @ direction), c.lb, c.ub) for c in stated.rows]
    moves += [(ray[v], *v.bounds) for v in stated.variables]
    for move, lower, upper in moves:
        outside += [0.0 if lower is None else -move, 0.0 if upper is None else move]
    for c in stated.cones:
        y = [0.0 if m.fixed else ray[m] for m in stated.members(c)]
        outside.append(violation(type(c).__name__, y))
    return {"recession": max(outside) / slope}


class Tools(NamedTuple):
    """What tests take from here."""

    cones: Mapping[str, ConeType] = CONES
    cone: Callable[[str, list[Any]], Any] = cone_of
    violation: Callable[[str, Any], float] = violation
    optimality: Callable[[Any, Any], dict[str, float]] = optimality_errors
    infeasibility: Callable[[Any, Any], dict[str, float]] = infeasibility_errors
    ray: Callable[[Any, Any], dict[str, float]] = ray_errors


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


class Accuracy(NamedTuple):
    """A solver and what may be expected of its numbers."""

    solver: Any
    tolerance: float
    #: Options for well-conditioned problems, to determine multipliers on curved boundaries, which
    #: a duality gap of ε leaves uncertain by √ε.
    sharper: dict[str, float]


@pytest.fixture(params=["clarabel", "scs"], scope="session")
def accurate(request: pytest.FixtureRequest) -> Accuracy:
    """Each conic solver, without exceptions for results that are not optimal."""
    if request.param == "clarabel":
        solver, tolerance = Clarabel(), 2e-6
        sharper = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10}
    else:
        solver, tolerance, sharper = Scs(), 1e-4, {"eps_abs": 1e-8, "eps_rel": 1e-8}
        solver.config.solver_options.set_value({"eps_abs": 1e-6, "eps_rel": 1e-6})
    solver.config.raise_exception_on_nonoptimal_result = False
    solver.config.load_solutions = False
    return Accuracy(solver, tolerance, sharper)
