"""Models that no conic solver can represent are refused before anything is solved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.util import IncompatibleModelError as PyomoIncompatibleModelError
from pyomo.gdp import Disjunct

from rrp_pyomo.errors import ModelError
from rrp_pyomo.solvers.conic import Clarabel, Scs

Rng = np.random.Generator
Maker = Callable[[Rng], tuple[Any, str]]


def environ(rng: Rng, size: int = 4) -> Any:
    """A convex model with a value at every variable, to which something is added."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(size), initialize=lambda m, k: float(k))
    model.p = pyo.Param(mutable=True, initialize=1.0)
    model.box = pyo.Constraint(range(size), rule=lambda m, k: (-10, m.x[k], 10))
    model.cost = pyo.Objective(expr=sum(rng.normal() * model.x[k] for k in range(size)))
    return model


def kernel(rng: Rng, size: int = 4) -> Any:
    model = pmo.block()
    model.x = pmo.variable_list([pmo.variable(value=float(k)) for k in range(size)])
    model.box = pmo.constraint_list([pmo.constraint((-10, x, 10)) for x in model.x])
    model.cost = pmo.objective(sum(rng.normal() * x for x in model.x))
    return model


def quadratic(x: Any, Q: np.ndarray) -> Any:
    n = len(Q)
    return sum(Q[i, j] * x[i] * x[j] for i in range(n) for j in range(n))


def matrix_with(rng: Rng, values: list[float]) -> np.ndarray:
    """A symmetric matrix with these eigenvalues."""
    U, _ = np.linalg.qr(rng.normal(size=(len(values), len(values))))
    return U @ np.diag(values) @ U.T


def integer(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    domains = pyo.Integers, pyo.Binary, pyo.NonNegativeIntegers
    model.k = pyo.Var(domain=domains[rng.integers(3)])
    model.use = pyo.Constraint(expr=model.k + model.x[0] >= 1)
    return model, "integer or binary"


def integer_in_kernel(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    model.k = pmo.variable(domain=pmo.Binary)
    model.r = pmo.variable(lb=0)
    model.cone = pmo.conic.quadratic(model.r, [model.k, model.x[0]])
    return model, "integer or binary"


def indefinite_constraint(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    Q = matrix_with(rng, [2.0, 1.0, -rng.uniform(0.01, 2), -rng.uniform(0.01, 2)])
    body = quadratic(model.x, Q) + rng.normal() * model.x[0]
    model.bad = pyo.Constraint(expr=body <= 1 if rng.random() < 0.5 else body >= -1)
    return model, "not convex"


def outside_of_a_ball(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    Q = matrix_with(rng, list(rng.uniform(0.1, 2.0, 4)))
    model.bad = pmo.constraint(quadratic(model.x, Q) + model.x[1] >= 1)
    return model, "not convex"


def quadratic_equality(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    model.bad = pyo.Constraint(expr=sum(model.x[k] ** 2 for k in model.x) == rng.uniform(1, 2))
    return model, "both sides"


def quadratic_range(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    model.bad = pmo.constraint((1.0, sum(x**2 for x in model.x), 1.0 + rng.random()))
    return model, "both sides"


def bilinear(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    model.bad = pyo.Constraint(expr=model.x[0] * model.x[1] + model.x[2] <= rng.uniform(1, 2))
    return model, "not convex"


def two_sheets(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    tail = sum(float(v) * model.x[k] ** 2 for k, v in enumerate(rng.uniform(0.5, 2, 3)))
    model.bad = pyo.Constraint(expr=tail + rng.uniform(0, 1) <= model.x[3] ** 2)
    return model, "lower bound of 0"


def two_branches(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    model.bad = pmo.constraint(model.x[0] * model.x[1] >= rng.uniform(0.1, 1) + model.x[2] ** 2)
    return model, "bounds of 0"


def two_general_sheets(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    head = sum(float(v) * model.x[k] for k, v in enumerate(rng.normal(size=4))) + 1.0
    model.bad = pyo.Constraint(expr=(model.x[0] - 1) ** 2 + 1.0 <= head**2)
    return model, "which half"


def nonconvex_objective(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    model.cost.deactivate()
    values = [*rng.uniform(0.1, 2, 3), -rng.uniform(1e-3, 1)]
    model.bad = pyo.Objective(expr=quadratic(model.x, matrix_with(rng, values)))
    return model, "not convex"


def convex_maximised(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    model.cost.deactivate()
    values = list(rng.uniform(0.1, 2, 4))
    body = quadratic(model.x, matrix_with(rng, values))
    model.bad = pmo.objective(body, sense=pmo.maximize)
    return model, "not concave"


def nonlinear_constraint(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    x, y = model.x[0], model.x[1]
    terms = [
        pyo.exp(x), pyo.log(x + 20), pyo.sin(x), pyo.sqrt(x + 20), x**3, 1 / (x + 20), abs(x),
        x * y * model.x[2], x**2 * y, x**1.5, 2**x, x**y, pyo.atan(x), x / (y + 20),
    ]  # fmt: skip
    model.bad = pyo.Constraint(expr=terms[rng.integers(len(terms))] + y <= 3)
    return model, "nonlinear term"


def nonlinear_objective(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    model.cost.deactivate()
    x = model.x[0]
    terms = [pmo.exp(x), pmo.cos(x), x**4, pmo.tanh(x)]
    model.bad = pmo.objective(terms[rng.integers(len(terms))] + model.x[1])
    return model, "nonlinear term"


def cone_without_sign_bound(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    x = list(model.x)
    for variable in x:
        variable.lb = -rng.uniform(0.01, 1)
    cones = [
        pmo.conic.quadratic(x[0], x[1:]),
        pmo.conic.rotated_quadratic(x[0], x[1], x[2:]),
        pmo.conic.primal_exponential(x[0], x[1], x[2]),
        pmo.conic.dual_exponential(x[0], x[1], x[2]),
        pmo.conic.primal_power(x[0], x[1], x[2:], 0.4),
        pmo.conic.dual_power(x[0], x[1], x[2:], 0.4),
    ]
    model.bad = cones[rng.integers(len(cones))]
    return model, "give that variable lb=0"


def dual_exponential_without_upper_bound(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    model.x[0].lb = 0
    model.bad = pmo.conic.dual_exponential(model.x[0], model.x[1], model.x[2])
    return model, "give that variable ub=0"


def impossible_exponent(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    model.x[0].lb = model.x[1].lb = 0
    alpha = pmo.parameter(0.5)
    model.bad = pmo.conic.primal_power(model.x[0], model.x[1], [model.x[2]], alpha)
    alpha.value = float(rng.choice([0.0, 1.0, -0.5, 1.5, math.nan]))
    return model, "0 < alpha < 1"


def semidefinite_cone(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    model.bad = pmo.conic.svec_psdcone(list(model.x)[:3])
    return model, "svec_psdcone"


def several_objectives(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    model.second = pyo.Objective(expr=model.x[0])
    return model, "2 active objectives"


def kernel_object_on_environ(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    block = model
    if rng.random() < 0.5:
        model.part = block = pyo.Block()
    r, x = pmo.variable(lb=0), pmo.variable()
    objects = [
        pmo.conic.quadratic(r, [x]),
        pmo.constraint(x >= 1),
        pmo.block(),
        pmo.variable_list([x]),
        pmo.conic.quadratic.as_domain(r, [x]),
    ]
    block.bad = objects[rng.integers(len(objects))]
    return model, "pyomo.kernel object on a pyomo.environ block"


def special_ordered_set(rng: Rng) -> tuple[Any, str]:
    if rng.random() < 0.5:
        model = environ(rng)
        model.bad = pyo.SOSConstraint(var=model.x, sos=1)
        return model, "SOSConstraint"
    model = kernel(rng)
    model.bad = pmo.sos1(list(model.x))
    return model, "SOS constraint"


def logic(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    if rng.random() < 0.5:
        model.flag = pyo.BooleanVar([1, 2])
        model.bad = pyo.LogicalConstraint(expr=model.flag[1].implies(model.flag[2]))
        return model, "LogicalConstraint"
    model.bad = Disjunct()
    model.bad.row = pyo.Constraint(expr=model.x[0] >= 1)
    return model, "Disjunct"


def number_that_is_none(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    number = float(rng.choice([math.nan, math.inf, -math.inf]))
    model.p.value = number
    x = model.x[0]
    bodies = [model.p * x, model.p * x + x**2, model.p + x, x**2 + model.p]
    model.bad = pyo.Constraint(expr=bodies[rng.integers(len(bodies))] <= 1)
    return model, "'bad'.*'p'"


def number_that_is_none_in_kernel(rng: Rng) -> tuple[Any, str]:
    model = kernel(rng)
    number = float(rng.choice([math.nan, math.inf, -math.inf]))
    match rng.integers(4):
        case 0:
            A = rng.normal(size=(3, 4))
            A[1, 2] = number
            model.bad = pmo.matrix_constraint(A, ub=np.ones(3), x=list(model.x))
        case 1:
            model.bad = pmo.linear_constraint(list(model.x), [1.0, number, 2.0, 3.0], ub=1)
        case 2:
            model.bad = pmo.matrix_constraint(
                np.ones((1, 4)), rhs=np.array([number]), x=list(model.x)
            )
        case 3:
            model.bad = pmo.variable(lb=math.nan)
            model.use = pmo.constraint(model.bad + model.x[0] >= 1)
    return model, "bad"


def fixed_at_nothing(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    model.bad = pyo.Var()
    model.use = pyo.Constraint(expr=model.bad + model.x[0] >= 1)
    model.bad.fixed = True
    if rng.random() < 0.5:
        model.bad.set_value(math.nan, skip_validation=True)
    return model, "bad"


def no_scale(rng: Rng) -> tuple[Any, str]:
    model = environ(rng)
    model.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    model.scaling_factor[model.x[0]] = float(rng.choice([0.0, -1.0, math.nan, math.inf]))
    return model, "scaling_factor"


MAKERS: list[Maker] = [
    integer, integer_in_kernel, indefinite_constraint, outside_of_a_ball, quadratic_equality,
    quadratic_range, bilinear, two_sheets, two_branches, two_general_sheets, nonconvex_objective,
    convex_maximised, nonlinear_constraint, nonlinear_objective, cone_without_sign_bound,
    dual_exponential_without_upper_bound, impossible_exponent, semidefinite_cone,
    several_objectives, kernel_object_on_environ, special_ordered_set, logic, number_that_is_none,
    number_that_is_none_in_kernel, fixed_at_nothing, no_scale,
]  # fmt: skip


def values(model: Any) -> list[float | None]:
    return [x.value for x in (model.x.values() if hasattr(model.x, "values") else model.x)]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", range(8))
def test_refused(make: Maker, seed: int) -> None:
    """The error names the component or says the remedy; values of variables are untouched."""
    rng = np.random.default_rng([seed, MAKERS.index(make)])
    model, words = make(rng)
    before = values(model)
    for solver in (Clarabel(), Scs()):
        with pytest.raises(ModelError, match=words) as refused:
            solver.solve(model)
        assert isinstance(refused.value, PyomoIncompatibleModelError)
    with pytest.raises(ModelError, match=words):
        pyo.SolverFactory("clarabel").solve(model)
    assert values(model) == before


@pytest.mark.parametrize(
    "model", [pyo.AbstractModel(), pyo.Block([1, 2], concrete=True), pmo.block_list(), 5, None]
)
def test_not_a_model(model: Any) -> None:
    with pytest.raises(ModelError, match="expected a block"):
        Clarabel().solve(model)


def test_solves_after_a_refusal() -> None:
    solver = Clarabel()
    rng = np.random.default_rng(0)
    with pytest.raises(ModelError):
        solver.solve(bilinear(rng)[0])
    results = solver.solve(environ(rng))
    assert results.extra_info.status == "Solved"


def test_unused_integers_do_not_matter() -> None:
    """As in Pyomo, a variable that no active component mentions is not part of the model."""
    model = environ(np.random.default_rng(0))
    model.k = pyo.Var(domain=pyo.Integers)
    model.k_fixed = pyo.Var(domain=pyo.Integers, initialize=2)
    model.k_fixed.fix()
    model.use = pyo.Constraint(expr=model.x[0] >= model.k_fixed)
    Clarabel().solve(model)
    assert model.x[0].value >= 2 - 1e-6


@pytest.mark.parametrize("number", ["one", 1j, None])
def test_what_is_no_number_is_named(number: object) -> None:
    """The value of a fixed variable, of a parameter; not numpy's error about its types."""
    model = environ(np.random.default_rng(0))
    model.fixed = pyo.Var()
    model.fixed.fix(number, skip_validation=True)
    model.use = pyo.Constraint(expr=model.fixed * model.x[0] <= 1)
    with pytest.raises(ModelError, match=r"'fixed'.*expected"):
        Clarabel().solve(model)

    model = environ(np.random.default_rng(0))
    model.odd = pyo.Param(mutable=True, within=pyo.Any, initialize=number)
    model.use = pyo.Constraint(expr=model.odd * model.x[0] <= 1)
    with pytest.raises(ModelError, match=r"'use' .*look at 'odd'"):
        Clarabel().solve(model)
