"""Magnitudes: the builder's scaling, and models with numbers of very different size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.util import NoDualsError

from rrp_pyomo.forms.conic import ConicBuilder, ConicForm
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.solvers.conic import Clarabel, Scs
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError

NONE = np.zeros(0, np.intp)


def constant(*values: float) -> Rows:
    return Rows(NONE, NONE, np.zeros(0), np.array(values))


def variables(*columns: int) -> Rows:
    n = len(columns)
    return Rows(np.arange(n), np.array(columns), np.ones(n), np.zeros(n))


def built(builder: ConicBuilder) -> ConicForm:
    return builder.build(variables(0))


@pytest.mark.parametrize("by_cone", [False, True])
@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e3, 1e6])
def test_constants_are_the_magnitude_where_there_is_no_coefficient(
    by_cone: bool, size: float
) -> None:
    """x · c ≥ y² with a fixed c: in the form both factors of the product are of magnitude one."""
    builder = ConicBuilder(np.ones(2), by_cone)
    builder.product(variables(0), constant(size), variables(1))
    form = built(builder)
    assert np.abs(form.b).max() == pytest.approx(1.0)
    assert np.abs(form.A.toarray()[:2]).max() == pytest.approx(1.0)

    builder = ConicBuilder(np.ones(2), by_cone)
    builder.nonnegative(constant(size))
    assert built(builder).b == pytest.approx([1.0])


@pytest.mark.parametrize("by_cone", [False, True])
def test_rows_of_zeros_are_left_alone(by_cone: bool) -> None:
    builder = ConicBuilder(np.ones(2), by_cone)
    builder.nonnegative(constant(0.0))
    assert built(builder).row_scale == pytest.approx([1.0])


def test_each_cone_has_its_own_magnitude_where_that_is_asked_for() -> None:
    """Two products in one call, their fixed factors nine digits apart."""
    builder = ConicBuilder(np.ones(4), by_cone=True)
    builder.product(variables(0, 1), constant(1e-6, 1e3), variables(2, 3))
    assert np.abs(built(builder).b) == pytest.approx([1.0, 1.0, 0.0] * 2)


@pytest.mark.parametrize("fixed", [1e-8, 1e-4, 1e4, 1e8])
def test_a_fixed_member_of_a_cone_costs_no_accuracy(fixed: float) -> None:
    """min r with y² ≤ 2 r c, y = 1 and c fixed: r = 1 / 2c, whatever c is."""
    model = pmo.block()
    model.r, model.c = pmo.variable(lb=0), pmo.variable(value=fixed, lb=0, fixed=True)
    model.y = pmo.variable()
    model.cone = pmo.conic.rotated_quadratic(model.r, model.c, [model.y])
    model.row = pmo.constraint(model.y >= np.sqrt(fixed))
    model.cost = pmo.objective(model.r)
    Clarabel().solve(model)
    assert pyo.value(model.r) == pytest.approx(0.5, rel=1e-6)


# --- numbers of very different magnitude --------------------------------------------------------


@pytest.fixture(params=[(Clarabel, 1e-6), (Scs, 1e-3)], ids=["clarabel", "scs"])
def accurate(request: pytest.FixtureRequest) -> tuple[Any, float]:
    """A solver, and its stated accuracy."""
    solver, accuracy = request.param
    return solver(), accuracy


@pytest.mark.parametrize("seed", range(8))
def test_penalties_cost_no_accuracy(accurate: tuple[Any, float], seed: int) -> None:
    """A demand, served at the lowest price first; what is not served is penalised, and nothing is.

    Greedy is optimal, and the marginal price is the dual of the demand.
    """
    solver, accuracy = accurate
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    price = np.sort(rng.uniform(0.5, 2.0, n)) * 10.0 ** rng.uniform(-3, 0)
    capacity = rng.uniform(0.5, 2.0, n) * 10.0 ** rng.uniform(0, 3)
    demand = rng.uniform(0.2, 0.9) * capacity.sum()
    filled = np.clip(demand - np.cumsum(capacity) + capacity, 0.0, capacity)
    model = pyo.ConcreteModel()
    model.y = pyo.Var(range(n), bounds=lambda m, k: (0, capacity[k]))
    model.slack = pyo.Var(bounds=(0, None))
    model.demand = pyo.Constraint(expr=sum(model.y.values()) + model.slack >= demand)
    penalty = 10.0 ** rng.uniform(2, 8)
    cost = sum(p * model.y[k] for k, p in enumerate(price))
    model.cost = pyo.Objective(expr=cost + penalty * model.slack)
    results = solver.solve(model)
    optimum = float(price @ filled)
    assert results.incumbent_objective == pytest.approx(optimum, rel=accuracy, abs=accuracy)
    assert results.objective_bound <= optimum * (1 + accuracy) + accuracy
    marginal = price[np.flatnonzero(filled > 0.0)[-1]]
    dual = results.solution_loader.get_duals()[model.demand]
    assert dual == pytest.approx(marginal, rel=10 * accuracy, abs=accuracy)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("norm", [False, True])
def test_large_coefficients_cost_no_accuracy(
    accurate: tuple[Any, float], seed: int, norm: bool
) -> None:
    """min 2Mx + y with Mx + y ≥ 1, or with ‖(Mx − 1, y)‖ ≤ 1/2 at the price of M x."""
    solver, accuracy = accurate
    # SCS does not get there within its limit of iterations, and says so, where cones are larger.
    digits = 3 if norm and isinstance(solver, Scs) else 8
    size = 10.0 ** np.random.default_rng(seed).uniform(0, digits)
    model = pyo.ConcreteModel()
    model.x, model.y = pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    if norm:
        model.row = pyo.Constraint(expr=(size * model.x - 1) ** 2 + model.y**2 <= 0.25)
        model.cost = pyo.Objective(expr=size * model.x)
    else:
        model.row = pyo.Constraint(expr=size * model.x + model.y >= 1)
        model.cost = pyo.Objective(expr=2 * size * model.x + model.y)
    results = solver.solve(model)
    optimum = 0.5 if norm else 1.0
    assert results.incumbent_objective == pytest.approx(optimum, rel=2 * accuracy)
    assert size * model.x.value + model.y.value >= optimum - 2 * accuracy


@pytest.mark.parametrize("size", [1e6, 1e9, 1e12, 1e15])
def test_bounds_that_are_far_away_change_nothing(accurate: tuple[Any, float], size: float) -> None:
    solver, accuracy = accurate
    model = pyo.ConcreteModel()
    model.x = pyo.Var([0, 1], bounds=(-size, size))
    model.row = pyo.Constraint(expr=(-size, model.x[0] + model.x[1], size))
    model.floor = pyo.Constraint([0, 1], rule=lambda m, k: m.x[k] >= -7 + k)
    model.cost = pyo.Objective(expr=model.x[0] + 2 * model.x[1])
    results = solver.solve(model)
    assert results.incumbent_objective == pytest.approx(-19.0, rel=10 * accuracy)


@pytest.mark.parametrize("curvature", [1e-11, 1e-9, 1e-4])
def test_slightly_nonconvex_is_not_convex(curvature: float) -> None:
    """(x − y)² − c x² is −c 1e16 where x = y = 1e8."""
    model = pyo.ConcreteModel()
    model.x, model.y = pyo.Var(bounds=(-1e8, 1e8)), pyo.Var(bounds=(-1e8, 1e8))
    model.cost = pyo.Objective(expr=(model.x - model.y) ** 2 - curvature * model.x**2)
    with pytest.raises(IncompatibleModelError, match="not convex"):
        Clarabel().solve(model)


@pytest.mark.parametrize("factor", [None, "a", 0.0, -1.0, float("nan"), float("inf")])
def test_scaling_factors_that_are_none(factor: Any) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(1, None))
    model.cost = pyo.Objective(expr=model.x)
    model.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    model.scaling_factor[model.x] = factor
    with pytest.raises(IncompatibleModelError, match=r"'x' is .*; expected a positive number"):
        Clarabel().solve(model)


def test_a_model_without_rows_can_be_solved_again(accurate: tuple[Any, float]) -> None:
    solver, accuracy = accurate
    model = pyo.ConcreteModel()
    model.x, model.c = pyo.Var(), pyo.Param(mutable=True, initialize=1.0)
    model.cost = pyo.Objective(expr=(model.x - model.c) ** 2)
    for goal in (1.0, 1.0, 3.0):
        model.c = goal
        solver.solve(model)
        assert model.x.value == pytest.approx(goal, abs=10 * accuracy)


def test_what_is_infeasible_whatever_the_variables_are(accurate: tuple[Any, float]) -> None:
    """Nothing is solved, and the results say so in the same words as others."""
    solver, _ = accurate
    model = pyo.ConcreteModel()
    model.x, model.fixed = pyo.Var(bounds=(0, 1)), pyo.Var()
    model.fixed.fix(2.0)
    model.row = pyo.Constraint(expr=model.fixed <= 1)
    model.cost = pyo.Objective(expr=model.x)
    results = solver.solve(model, load_solutions=False, raise_exception_on_nonoptimal_result=False)
    assert "'row'" in results.extra_info.status
    assert results.extra_info.iterations == 0
    with pytest.raises(NoDualsError, match="'row'"):
        results.solution_loader.get_infeasibility_certificate()
