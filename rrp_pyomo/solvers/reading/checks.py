"""What the reader refuses: components, domains and numbers that no conic form has."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from numbers import Real
from operator import attrgetter
from typing import Any

import numpy as np
from pyomo.core.base.component import ActiveComponent
from pyomo.core.expr.visitor import identify_mutable_parameters, identify_variables
from pyomo.core.kernel.base import ICategorizedObject
from pyomo.core.kernel.set_types import RealSet
from pyomo.core.kernel.variable import variable as kernel_variable
from pyomo.environ import Block, Constraint, Objective, Suffix

from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError

#: Bounds from here on count as none, as in Clarabel, HiGHS and Gurobi.
INFINITE = 1e20

#: By how much a constraint without variables may be violated, relative to its bound.
TRIVIAL = 1e-8

#: What to use instead, by the names of pyo.SolverFactory, on a ConcreteModel and in pyomo.kernel.
INTEGERS = (
    "this solver takes continuous models only; use pyo.SolverFactory('outer_approximation'), "
    "'gurobi_direct', 'scip_direct' or 'xpress_direct', or 'highs' where all is linear"
)
KERNEL_INTEGERS = (
    "this solver takes continuous models only; use pyo.SolverFactory('outer_approximation'), "
    "'gurobi_direct' or 'xpress_direct', which take kernel models with integers"
)
NONLINEAR = "use a nonlinear solver such as pyo.SolverFactory('casadi_ipopt')"
GLOBAL = f"{NONLINEAR}, or a global one such as 'scip_direct' or 'gurobi_direct'"

_REMEDIES = {
    "Disjunction": "turn them into binary variables by pyo.TransformationFactory('gdp.bigm') or "
    "'gdp.hull', and solve with 'outer_approximation', 'gurobi_direct' or 'scip_direct'",
    "SOSConstraint": "pyo.SolverFactory('gurobi_direct') takes them, or state them by binary "
    "variables",
    "LogicalConstraint": "turn them into linear ones by "
    "pyo.TransformationFactory('core.logical_to_linear')",
}
_REMEDIES["Disjunct"] = _REMEDIES["Disjunction"]

_READ = {Block, Constraint, Objective, Suffix}


def refuse_foreign_components(block: Any) -> None:
    """Raise for kernel objects on an environ block, and for components that no row can state."""
    for name, attribute in vars(block).items():
        if isinstance(attribute, ICategorizedObject):
            raise IncompatibleModelError(
                f"{name!r} on {block.name!r} is a pyomo.kernel object on a pyomo.environ block; "
                "Pyomo ignores such objects silently. Build the model from pyomo.kernel alone, or "
                "state the cone as a quadratic constraint (x**2 + y**2 <= r**2 with r >= 0)"
            )
    for ctype in block.collect_ctypes(active=True, descend_into=False):
        # What cannot be active, such as sets and parameters, states nothing by itself.
        if issubclass(ctype, ActiveComponent) and ctype not in _READ:
            names = ", ".join(
                repr(c.name)
                for c in block.component_objects(ctype, active=True, descend_into=False)
            )
            remedy = _REMEDIES.get(ctype.__name__, "deactivate or reformulate them")
            raise IncompatibleModelError(
                f"{names}: {ctype.__name__} components, which this solver does not take; {remedy}"
            )


def integer_columns(variables: list[Any]) -> IntArray:
    """The places of integer and binary variables.

    Raises
    ------
    IncompatibleModelError
        A domain has gaps other than those between whole numbers.
    """
    asked: Iterable[int] = range(len(variables))
    if _are_plain(variables):
        domains = map(attrgetter("_domain_type"), variables)
        asked = [k for k, domain in enumerate(domains) if domain is not RealSet]
    discrete = [k for k in asked if not variables[k].is_continuous()]
    for k in discrete:
        if not (variables[k].is_integer() or variables[k].is_binary()):
            raise IncompatibleModelError(
                f"variable {variables[k].name!r} is neither continuous nor integer; expected a "
                "domain such as Reals, Integers or Binary"
            )
    return np.array(discrete, np.intp)


def refuse_integers(variables: list[Any], integers: IntArray) -> None:
    """Raise where there are integers, with solvers that take them."""
    if not integers.size:
        return
    first = variables[integers[0]]
    remedy = (
        KERNEL_INTEGERS
        if isinstance(first, ICategorizedObject)
        else f"{INTEGERS}, or relax the domains by "
        "pyo.TransformationFactory('core.relax_integer_vars')"
    )
    raise IncompatibleModelError(
        f"variable {first.name!r} is integer or binary ({integers.size} in all); {remedy}"
    )


def bounds(variables: list[Any]) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds, infinite where there are none."""
    try:
        lower, upper = _bounds(variables)
    except (TypeError, ValueError) as error:
        raise IncompatibleModelError(
            f"a bound of variable {_without_bounds(variables)!r} is no number ({error}); expected "
            "a finite number, or None for no bound"
        ) from error
    sound = (lower < INFINITE) & (upper > -INFINITE)  # false for NaN, too
    if not sound.all():
        raise not_finite("variable", variables[int(np.argmin(sound))])
    return lower, upper


def _are_plain(variables: list[Any]) -> bool:
    """Whether the slots of all are known: properties take 30 times as long to read."""
    return set(map(type, variables)) <= {kernel_variable}


def _bounds(variables: list[Any]) -> tuple[FloatArray, FloatArray]:
    if _are_plain(variables):
        with contextlib.suppress(TypeError):  # not all are numbers: Pyomo evaluates them
            lower, upper = (list(map(attrgetter(side), variables)) for side in ("_lb", "_ub"))
            return _or_infinite(lower, -np.inf), _or_infinite(upper, np.inf)
    pairs = [v.bounds for v in variables]
    lower, upper = [lb for lb, _ in pairs], [ub for _, ub in pairs]
    return _or_infinite(lower, -np.inf), _or_infinite(upper, np.inf)


def _or_infinite(given: list[Any], infinite: float) -> FloatArray:
    """Numbers in an array, infinite where there is none."""
    if all(number is None for number in given):
        return np.full(len(given), infinite)
    numbers = [infinite if number is None else number for number in given]
    return np.fromiter(numbers, float, len(numbers))


def _without_bounds(variables: list[Any]) -> str:
    """The name of the first variable whose bounds cannot be read."""
    for variable in variables:
        try:
            variable.bounds  # noqa: B018
        except (TypeError, ValueError):
            return str(variable.name)
    return ""


def fixed_values(fixed: list[Any]) -> FloatArray:
    """The numbers at which variables are fixed."""
    for variable in fixed:
        if not _is_finite(variable.value):
            raise IncompatibleModelError(
                f"variable {variable.name!r} is fixed at {variable.value!r}; expected a number: "
                "fix it at a value or unfix it"
            )
    return np.array([v.value for v in fixed], float)


def not_finite(kind: str, component: Any) -> IncompatibleModelError:
    """The refusal of a component with a number that is none."""
    names = ", ".join(_without_number(getattr(component, "body", None)))
    return IncompatibleModelError(
        f"{kind} {component.name!r} has a coefficient, constant or bound that is NaN, infinite or "
        f"no number{names and f' (look at {names})'}; expected finite data (None for no bound)"
    )


def _without_number(expression: Any) -> list[str]:
    """Names of the fixed variables and parameters in an expression that have no finite value."""
    if expression is None:
        return []
    found = [v for v in identify_variables(expression) if v.fixed]
    found += identify_mutable_parameters(expression)
    return [repr(c.name) for c in found if not _is_finite(c.value)]


def _is_finite(number: object) -> bool:
    return isinstance(number, Real) and math.isfinite(number)


def shown(expression: Any, most: int = 60) -> str:
    """An expression, shortened."""
    text = str(expression)
    return text if len(text) <= most else text[: most - 1] + "…"
