"""Small models at the edges of what can be stated: what is true of each, or what must be named."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo


class Odd(NamedTuple):
    """A model with its optimal value or verdict, or with names that its refusal has to mention."""

    model: Any
    truth: float | str | None = None
    refused_by: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    #: The largest number in it, for a solver that has some digits of that.
    terms: float = 0.0
    is_apex: bool = False


CONIC = ("clarabel", "scs")
ALL = (*CONIC, "casadi_ipopt")


def draw_odd(rng: np.random.Generator) -> tuple[str, Odd]:
    """One of the kinds below."""
    make = ODD[int(rng.integers(len(ODD)))]
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(-10, 10), initialize=1.0)
    m.y = pyo.Var(bounds=(-10, 10), initialize=1.0)
    made = make(m, rng, round(float(rng.uniform(1, 9)), 3))
    return make.__name__, made if isinstance(made, Odd) else Odd(m, *made)


def constant_objective(m: Any, rng: Any, a: float) -> Any:
    m.o = pyo.Objective(expr=a + 0 * m.x)
    m.c = pyo.Constraint(expr=m.x + m.y >= 1)
    return (a,)


def no_objective(m: Any, rng: Any, a: float) -> Any:
    m.c = pyo.Constraint(expr=m.x + m.y >= a)
    return ("feasible",)


def no_objective_infeasible(m: Any, rng: Any, a: float) -> Any:
    m.c = pyo.Constraint(expr=m.x + m.y >= 20 + a)
    return ("infeasible",)


def nothing_at_all(m: Any, rng: Any, a: float) -> Any:
    m.o = pyo.Objective(expr=a)
    return (a,)


def all_fixed(m: Any, rng: Any, a: float) -> Any:
    m.x.fix(a)
    m.y.fix(1)
    m.c = pyo.Constraint(expr=m.x + m.y >= a)
    m.o = pyo.Objective(expr=m.x**2 + m.y)
    return (a * a + 1,)


def all_fixed_infeasible(m: Any, rng: Any, a: float) -> Any:
    m.x.fix(a)
    m.y.fix(-1)
    m.c = pyo.Constraint(expr=m.x + m.y >= a)
    m.o = pyo.Objective(expr=m.x)
    return ("infeasible",)


def zero_row(m: Any, rng: Any, a: float) -> Any:
    m.c = pyo.Constraint(expr=0 * m.x + 0 * m.y <= a)
    m.o = pyo.Objective(expr=m.x)
    return (-10.0,)


def zero_row_infeasible(m: Any, rng: Any, a: float) -> Any:
    m.c = pyo.Constraint(expr=0 * m.x + 0 * m.y >= a)
    m.o = pyo.Objective(expr=m.x)
    return ("infeasible",)


def small_zero_row_infeasible(m: Any, rng: Any, a: float) -> Any:
    scale = 10.0 ** rng.uniform(-6, 6)
    m.y.fix(a * scale)
    m.c = pyo.Constraint(expr=m.y == 1.01 * a * scale)
    m.o = pyo.Objective(expr=m.x)
    return ("infeasible",)


def cancelled(m: Any, rng: Any, a: float) -> Any:
    m.c = pyo.Constraint(expr=m.x - m.x + m.y >= a)
    m.o = pyo.Objective(expr=m.y + a * m.x - a * m.x)
    return (a,)


def crossing_bounds(m: Any, rng: Any, a: float) -> Any:
    m.x.setlb(a)
    m.x.setub(a - 0.5)
    m.o = pyo.Objective(expr=m.x + m.y)
    return ("infeasible",)


def crossing_row(m: Any, rng: Any, a: float) -> Any:
    low, high = pyo.Param(initialize=a, mutable=True), pyo.Param(initialize=a - 1, mutable=True)
    m.low, m.high = low, high
    m.c = pyo.Constraint(expr=(m.low, m.x + m.y, m.high))
    m.o = pyo.Objective(expr=m.x + m.y)
    return ("infeasible",)


def huge_bounds(m: Any, rng: Any, a: float) -> Any:
    big = float(rng.choice([1e20, 1e30, 1e15, 1e10]))
    m.x.setlb(-big)
    m.x.setub(big)
    m.c = pyo.Constraint(expr=m.x >= -a)
    m.o = pyo.Objective(expr=m.x)
    return (-a,)


def huge_sides(m: Any, rng: Any, a: float) -> Any:
    big = float(rng.choice([1e20, 1e30, 1e15]))
    m.c = pyo.Constraint(expr=(-a, m.x + m.y, big))
    m.o = pyo.Objective(expr=m.x + m.y)
    return (-a,)


def unbounded_line(m: Any, rng: Any, a: float) -> Any:
    m.x.setlb(None)
    m.o = pyo.Objective(expr=a * m.x + m.y)
    return ("unbounded",)


def unconstrained(m: Any, rng: Any, a: float) -> Any:
    m.x.setlb(None)
    m.x.setub(None)
    m.o = pyo.Objective(expr=a * (m.x - 3) ** 2 + 1)
    return (1.0,)


def far_square(m: Any, rng: Any, a: float) -> Any:
    m.x.setub(None)
    far = a * float(10.0 ** rng.uniform(0, 4))
    m.o = pyo.Objective(expr=(m.x - far) ** 2 + m.y)
    return Odd(m, -10.0, terms=far**2)


def quotient(m: Any, rng: Any, a: float) -> Any:
    m.p = pyo.Param(initialize=a, mutable=True)
    m.e = pyo.Expression(expr=m.x / m.p + m.y)
    m.c = pyo.Constraint(expr=m.e >= 2)
    m.o = pyo.Objective(expr=m.e * m.p)
    return (2 * a,)


def sparse_set(m: Any, rng: Any, a: float) -> Any:
    m.z = pyo.Var([("a", 1), ("b", "x"), (None, 2.5)], bounds=(0, a))
    m.o = pyo.Objective(expr=pyo.quicksum(m.z.values()), sense=pyo.maximize)
    return (3 * a,)


def scaled_by_suffix(m: Any, rng: Any, a: float) -> Any:
    m.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    m.scaling_factor[m.x] = float(10.0 ** rng.uniform(-2, 2))
    m.c = pyo.Constraint(expr=m.x + m.y >= a)
    m.o = pyo.Objective(expr=m.x**2 + m.y**2)
    return (a * a / 2,)


def apex(m: Any, rng: Any, a: float) -> Any:
    m.r = pyo.Var(bounds=(0, None), initialize=1.0)
    m.c = pyo.Constraint(expr=(m.x - 3) ** 2 + (m.y + 1) ** 2 <= m.r**2)
    m.o = pyo.Objective(expr=m.r + 0.1 * a * m.x)
    return Odd(m, 0.3 * a, is_apex=True)


# --- what has to be refused ----------------------------------------------------------------------


def integer(m: Any, rng: Any, a: float) -> Any:
    m.whole = pyo.Var(domain=pyo.Integers, bounds=(0, 5))
    m.o = pyo.Objective(expr=m.whole + m.x)
    return None, ALL, ("whole",)


def not_convex(m: Any, rng: Any, a: float) -> Any:
    m.o = pyo.Objective(expr=m.x * m.y + a * m.x)
    return None, CONIC, ("convex",)


def not_convex_row(m: Any, rng: Any, a: float) -> Any:
    m.curved = pyo.Constraint(expr=m.x**2 + m.y**2 >= a)
    m.o = pyo.Objective(expr=m.x)
    return None, CONIC, ("curved",)


def slightly_not_convex(m: Any, rng: Any, a: float) -> Any:
    m.x.setlb(-1e8)
    m.x.setub(1e8)
    m.y.setlb(-1e8)
    m.y.setub(1e8)
    e = 10.0 ** rng.uniform(-11, -6)
    m.o = pyo.Objective(expr=(m.x - m.y) ** 2 - e * m.x**2)
    return None, CONIC, ("convex",)


def quadratic_equality(m: Any, rng: Any, a: float) -> Any:
    m.curved = pyo.Constraint(expr=m.x**2 + m.y**2 == a)
    m.o = pyo.Objective(expr=m.x)
    return None, CONIC, ("curved",)


def cone_without_sign(m: Any, rng: Any, a: float) -> Any:
    m.curved = pyo.Constraint(expr=m.x**2 + 1 <= m.y**2)
    m.o = pyo.Objective(expr=m.x)
    return None, CONIC, ("curved", "y")


def nonlinear(m: Any, rng: Any, a: float) -> Any:
    m.curved = pyo.Constraint(expr=pyo.exp(m.x) + m.y >= a)
    m.o = pyo.Objective(expr=m.x + m.y)
    return None, CONIC, ("curved",)


def not_a_number(m: Any, rng: Any, a: float) -> Any:
    m.p = pyo.Param(initialize=float(rng.choice([math.nan, math.inf])), mutable=True)
    m.odd = pyo.Constraint(expr=m.p * m.x + m.y >= 1)
    m.o = pyo.Objective(expr=m.x)
    return None, ALL, ("odd",)


def not_a_bound(m: Any, rng: Any, a: float) -> Any:
    m.p = pyo.Param(initialize=math.nan, mutable=True)
    m.x.setub(m.p)
    m.o = pyo.Objective(expr=m.x)
    return None, ALL, ("x",)


def fixed_at_nothing(m: Any, rng: Any, a: float) -> Any:
    m.x.fixed = True
    m.x.set_value(None)
    m.o = pyo.Objective(expr=m.x + m.y)
    return None, ALL, ("x",)


def parameter_without_value(m: Any, rng: Any, a: float) -> Any:
    m.p = pyo.Param(mutable=True)
    m.odd = pyo.Constraint(expr=m.p * m.x >= 1)
    m.o = pyo.Objective(expr=m.x)
    return None, ALL, ("p",)


def two_objectives(m: Any, rng: Any, a: float) -> Any:
    m.first = pyo.Objective(expr=m.x)
    m.second = pyo.Objective(expr=m.y)
    return None, ALL, ("first", "second")


def special_sets(m: Any, rng: Any, a: float) -> Any:
    m.z = pyo.Var([1, 2, 3], bounds=(0, 1))
    m.special = pyo.SOSConstraint(var=m.z, sos=1)
    m.o = pyo.Objective(expr=-sum(m.z.values()))
    return None, ALL, ("special",)


def kernel_object(m: Any, rng: Any, a: float) -> Any:
    m.foreign = pmo.conic.quadratic(pmo.variable(lb=0), [pmo.variable()])
    m.o = pyo.Objective(expr=m.x)
    return None, ALL, ("foreign",)


def bad_scaling(m: Any, rng: Any, a: float) -> Any:
    m.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    bad = ["a", 0.0, -1.0, math.nan, math.inf, None]
    m.scaling_factor[m.x] = bad[int(rng.integers(len(bad)))]
    m.o = pyo.Objective(expr=m.x)
    return None, ALL, ("x", "scaling_factor")


def division_by_zero(m: Any, rng: Any, a: float) -> Any:
    m.p = pyo.Param(initialize=0.0, mutable=True)
    m.odd = pyo.Constraint(expr=m.x / m.p >= 1)
    m.o = pyo.Objective(expr=m.x)
    return None, ALL, ("odd",)


ODD: list[Callable[[Any, Any, float], Any]] = [
    constant_objective, no_objective, no_objective_infeasible, nothing_at_all, all_fixed,
    all_fixed_infeasible, zero_row, zero_row_infeasible, small_zero_row_infeasible, cancelled,
    crossing_bounds, crossing_row, huge_bounds, huge_sides, unbounded_line, unconstrained,
    far_square, quotient, sparse_set, scaled_by_suffix, apex, integer, not_convex, not_convex_row,
    slightly_not_convex, quadratic_equality, cone_without_sign, nonlinear, not_a_number,
    not_a_bound, fixed_at_nothing, parameter_without_value, two_objectives, special_sets,
    kernel_object, bad_scaling, division_by_zero,
]  # fmt: skip
