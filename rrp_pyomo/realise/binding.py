"""Existing Pyomo variables in the place of a program's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rrp_pyomo.errors import InfeasibleError, InputError, ModelError, UnknownLabelError
from rrp_pyomo.modeling.cones import NONNEGATIVE
from rrp_pyomo.modeling.constraints import InCone, QuadraticBound, Stated
from rrp_pyomo.modeling.statement import Statement
from rrp_pyomo.modeling.symbols import Variable
from rrp_pyomo.realise.lifting import over_variables
from rrp_pyomo.realise.lowering import Lowered


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


def refuse_reserved_names(block: Any, statement: Lowered) -> None:
    """Raise where a variable or constraint has the name of something that Pyomo's blocks have."""
    names = (statement.variables, statement.parameters, statement.expressions, statement.stated)
    for name in itertools.chain(*names):
        if hasattr(block, name) or name in _RESERVED:
            raise ModelError(
                f"{name!r} names a part of {statement.name!r}, but Pyomo's blocks have "
                "something else by that name; choose another"
            )


def resolve(
    statement: Statement, bind: Mapping[str, Any], is_variable: Any, kind: str
) -> dict[str, list[Any]]:
    """The Pyomo variables that take the place of each bound variable, in label order.

    Raises
    ------
    UnknownLabelError
        The program has no variable of that name.
    InputError
        A container lacks a label, has another length, or holds something else than variables.
    """
    return {
        name: _components(_known(statement, name), components, is_variable, kind)
        for name, components in bind.items()
    }


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
        if not is_variable(component):
            raise InputError(
                f"{type(component).__name__} {component} was given for {variable.name!r}; expected "
                f"a {kind} variable (kernel and environ objects do not mix)"
            )
    return components


def _lower(component: Any) -> float:
    bound = component.lb
    return -np.inf if bound is None else float(bound)


def _upper(component: Any) -> float:
    bound = component.ub
    return np.inf if bound is None else float(bound)
