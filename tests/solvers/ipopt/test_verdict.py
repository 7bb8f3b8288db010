"""What Ipopt answers is right in the model's own numbers, or is not called optimal."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.solvers.ipopt import CasadiIpopt
from rrp_pyomo.solvers.ipopt.verdict import Conditions

ROUTES = ("quadratic", "nl")
NOTHING = {"raise_exception_on_nonoptimal_result": False, "load_solutions": False}


def solve(model: Any, route: str = "auto", **options: Any) -> Any:
    return CasadiIpopt(route=route, solver_options=options).solve(model, **NOTHING)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("exponent", [2, 4, 6, 8])
@pytest.mark.parametrize("seed", range(3))
def test_penalties_buy_nothing(seed: int, exponent: int, route: str) -> None:
    """A knapsack with shortfall: the cheapest items first, the penalty for what they cannot do."""
    rng = np.random.default_rng([seed, exponent])
    n, penalty = 5, 10.0**exponent
    cost, capacity = np.sort(rng.uniform(1.0, 5.0, n)), rng.uniform(0.5, 2.0, n)
    short = 0.5 * seed
    demand = capacity[:3].sum() + short if seed == 0 else capacity.sum() + short
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(n), bounds=lambda _, i: (0, capacity[i]))
    model.s = pyo.Var(bounds=(0, None))
    model.demand = pyo.Constraint(expr=sum(model.x.values()) + model.s >= demand)
    model.cost = pyo.Objective(expr=sum(cost[i] * model.x[i] for i in range(n)) + penalty * model.s)
    results = solve(model, route)
    taken = np.clip(demand - np.r_[0.0, np.cumsum(capacity)[:-1]], 0.0, capacity)
    exact = cost @ taken + penalty * short
    assert results.solution_status is SolutionStatus.optimal
    assert results.incumbent_objective == pytest.approx(exact, rel=2e-6)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("factor", [1e-4, 1.0, 1e4, 1e8])
def test_factors_of_rows_change_nothing(factor: float, route: str) -> None:
    """The point of x'Dx/2 + c'x with a'x = b is in closed form, whatever multiplies the row."""
    rng = np.random.default_rng(int(np.log10(factor)) + 10)
    d, c, a = rng.uniform(0.5, 2.0, 4), rng.normal(size=4), rng.uniform(0.5, 2.0, 4)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(4))
    row = factor * sum(a[i] * model.x[i] for i in range(4))
    model.row = pyo.Constraint(expr=row <= factor * -5.0)
    model.cost = pyo.Objective(
        expr=sum(d[i] * model.x[i] ** 2 / 2 + c[i] * model.x[i] for i in range(4))
    )
    results = solve(model, route)
    multiplier = (5.0 - a @ (c / d)) / (a @ (a / d))
    x = -(c + multiplier * a) / d
    assert results.solution_status is SolutionStatus.optimal
    values = results.solution_loader.get_vars()
    np.testing.assert_allclose([values[v] for v in model.x.values()], x, rtol=1e-5, atol=1e-5)


def diverging(slope: float, gap: float) -> pyo.ConcreteModel:
    """Along x = y the objective falls; the second row contradicts the first by ``gap``."""
    model = pyo.ConcreteModel()
    model.x, model.y = pyo.Var(initialize=1.0), pyo.Var(initialize=1.0)
    model.first = pyo.Constraint(expr=model.x - slope * model.y <= 0.0)
    model.second = pyo.Constraint(expr=model.x - slope * model.y >= gap)
    model.cost = pyo.Objective(expr=-model.x - model.y)
    return model


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
def test_what_is_unbounded_has_a_feasible_point(slope: float, route: str) -> None:
    results = solve(diverging(slope, -1.0), route)
    assert results.termination_condition is TerminationCondition.unbounded
    results = solve(diverging(slope, 1.0), route)
    assert results.termination_condition is not TerminationCondition.unbounded
    assert results.solution_status is not SolutionStatus.optimal


def test_what_does_not_stand_is_explained() -> None:
    """Options that move a bound of 1e8 a unit: the message names it, and what to do."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, None), initialize=1.0)
    model.cost = pyo.Objective(expr=1e8 * model.x)
    results = solve(model, bound_relax_factor=1e-8, honor_original_bounds="no", slack_move=1e-8)
    assert results.solution_status is not SolutionStatus.optimal
    assert "'x'" in results.extra_info.message
    assert "choose units" in results.extra_info.message


def test_equations_that_say_the_same_hide_no_wrong_point() -> None:
    """Multipliers that only cancel, here ±1e20, make every residual small beside its terms."""
    numbers = Conditions(
        x=np.array([0.25, 0.75]), objective=0.25**2 + 0.75**2, gradient=np.array([0.5, 1.5]),
        rows=np.ones(2), row=np.array([0, 1, 0, 1]), col=np.array([0, 0, 1, 1]), slope=np.ones(4),
        row_multipliers=np.array([1e20, -1e20]), bound_multipliers=np.zeros(2),
        lower=np.zeros(2), upper=np.ones(2), row_lower=np.ones(2), row_upper=np.ones(2),
        gradient_around=np.array([0.6, 1.4]), slope_around=np.ones(4), reach=np.ones(2),
    )  # fmt: skip
    assert numbers.are_ambiguous
    assert numbers.errors().largest < 1e-6  # as far as these can tell
    assert numbers.with_least_multipliers().errors().dual == pytest.approx(0.5 / 1.5)
    best = dataclasses.replace(numbers, x=np.full(2, 0.5), objective=0.5, gradient=np.ones(2))
    least = best.with_least_multipliers()
    assert not least.are_ambiguous
    assert least.row_multipliers == pytest.approx([-0.5, -0.5])
    assert least.errors().largest < 1e-12
