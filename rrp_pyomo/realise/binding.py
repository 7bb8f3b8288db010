"""Existing Pyomo variables in the place of a program's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from pyomo.core.expr import identify_variables, value

from rrp_pyomo.errors import (
    InfeasibleError,
    InputError,
    ModelError,
    UnknownLabelError,
    is_number,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.cones import NONNEGATIVE
from rrp_pyomo.modeling.constraints import InCone, QuadraticBound, Stated
from rrp_pyomo.modeling.statement import Statement
from rrp_pyomo.modeling.symbols import Variable
from rrp_pyomo.realise.lifting import over_variables
from rrp_pyomo.realise.lowering import Lowered

#: Values by variable name from which a block's variables start, or a function that returns them,
#: given those that existing variables have.
Start: TypeAlias = (
    Mapping[str, Any] | Callable[[Mapping[str, FloatArray]], Mapping[str, Any]] | None
)


def bound_and_lifted(source: Lowered, bind: Mapping[str, Sequence[Any]], kernel: bool) -> Lowered:
    """The statement over variables, with rows for bounds that bound variables do not have."""
    loose: set[str] = set()
    extra: dict[str, InCone] = {}
    for name, components in bind.items():
        variable = source.variables[name]
        for side, has, sign in (("lower", _lower, 1.0), ("upper", _upper, -1.0)):
            wanted = sign * np.broadcast_to(getattr(variable, side), (variable.size,))
            if np.any(np.array([sign * has(c) for c in components]) < wanted):
                loose.add(name)
                finite = np.flatnonzero(np.isfinite(wanted))
                picked = variable if finite.size == variable.size else variable[np.isfinite(wanted)]
                extra[source.free_name(f"{name}_{side}_bound")] = InCone(
                    (sign * picked - wanted[finite],), NONNEGATIVE
                )
    result = over_variables(source, kernel, loose)
    result.stated.update(extra)
    return result


def without_rows_of_numbers(source: Lowered) -> dict[str, Stated]:
    """What a block states: all but rows without variables, which have to hold by themselves.

    Raises
    ------
    InfeasibleError
        One does not hold.
    ModelError
        One has parameters in it, so that it may hold for some of their values.
    """
    stated = dict(source.stated)
    for name, constraint in source.stated.items():
        if isinstance(constraint, QuadraticBound) or not all(p.is_data for p in constraint.parts):
            continue
        if constraint.is_parametric:
            raise ModelError(
                f"constraint {name!r} is about parameters only, which a block of Pyomo cannot "
                "state; check it before, or solve the program by its conic form"
            )
        if (
            np.max(constraint.cone.violation(*(part.value(_NOWHERE) for part in constraint.parts)))
            > 1e-9
        ):
            raise InfeasibleError(f"constraint {name!r} has no variables and does not hold")
        del stated[name]
    return stated


_NOWHERE = np.zeros(0)
_RESERVED = ("objective", "objective_cone", "objective_expression")


def refuse_reserved_names(block: Any, statement: Lowered, given: Given) -> None:
    """Raise where a variable or constraint has the name of something that Pyomo's blocks have."""
    reserved = (*_RESERVED, *map(link_name, given.linked))
    names = (statement.variables, statement.parameters, statement.expressions, statement.stated)
    for name in itertools.chain(*names):
        if hasattr(block, name) or name in reserved:
            raise ModelError(
                f"{name!r} names a part of {statement.name!r}, but Pyomo's blocks have "
                "something else by that name; choose another"
            )


class Given(NamedTuple):
    """What takes the place of a program's variables, by name and in label order.

    Attributes
    ----------
    bound : dict of str to list of variables
    linked : dict of str to list of expressions, parameters, numbers and variables
        Where they are not variables throughout: the block has its own, which equal them.
    """

    bound: dict[str, list[Any]]
    linked: dict[str, list[Any]]

    @property
    def values(self) -> dict[str, FloatArray]:
        """The values that they have, by name, where all of one name have a value."""
        found = {}
        for name, entries in (self.bound | self.linked).items():
            values = [value(entry, exception=False) for entry in entries]
            if None not in values:
                found[name] = np.array(values, float)
        return found


def link_name(name: str) -> str:
    """The name of the constraint by which a block's own variables equal what was given for them."""
    return f"{name}_link"


def resolve(statement: Statement, bind: Mapping[str, Any], is_variable: Any, kind: str) -> Given:
    """What is given for each bound variable, in label order.

    Raises
    ------
    UnknownLabelError
        The program has no variable of that name.
    InputError
        A container lacks a label, has another length, or holds something else than variables,
        expressions in them, parameters and numbers.
    """
    given = Given({}, {})
    for name, components in bind.items():
        entries = _components(_known(statement, name), components, is_variable, kind)
        own = all(map(is_variable, entries))
        (given.bound if own else given.linked)[name] = entries
    return given


def initial_values(source: Lowered, given: Given, start: Start) -> dict[str, FloatArray] | None:
    """By name, where the variables of a block begin; None where nothing is known of them.

    Raises
    ------
    UnknownLabelError, InputError
        Values for variables that are not there, or that do not fit.
    """
    if start is None:
        return None
    known = given.values
    values = start(known) if callable(start) else {**start, **known}
    return source.values(source.point(values))


def _known(statement: Statement, name: str) -> Variable:
    if name not in statement.variables:
        raise UnknownLabelError("variable", name, statement.variables)
    return statement.variables[name]


def _components(variable: Variable, given: Any, is_variable: Any, kind: str) -> list[Any]:
    if variable.index is None:
        components = [given]
    elif hasattr(given, "keys"):
        missing = [label for label in variable.index if label not in given]
        if missing:
            raise InputError(
                f"the variables given for {variable.name!r} have no entry for {missing[0]!r}"
                f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; expected one "
                f"for each of the {variable.size} labels"
            )
        components = [given[label] for label in variable.index]
    else:
        components = list(given) if isinstance(given, Iterable) else [given]
        if len(components) != variable.size:
            raise InputError(
                f"{len(components)} variables were given for {variable.name!r}; "
                f"expected {variable.size}, or a container with its labels as keys"
            )
    for component in components:
        if not (is_variable(component) or _is_expression(component, is_variable)):
            raise InputError(
                f"{type(component).__name__} {component} was given for {variable.name!r}; expected "
                f"a {kind} variable, or an expression in such variables and parameters (kernel and "
                "environ objects do not mix)"
            )
    return components


def _is_expression(component: Any, is_variable: Any) -> bool:
    if is_number(component):
        return True
    is_numeric = getattr(component, "is_numeric_type", bool)()
    return is_numeric and all(map(is_variable, identify_variables(component)))


def _lower(component: Any) -> float:
    bound = component.lb
    return -np.inf if bound is None else float(bound)


def _upper(component: Any) -> float:
    bound = component.ub
    return np.inf if bound is None else float(bound)
