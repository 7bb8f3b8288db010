"""Realisation as a ``pyomo.environ`` block: cones as quadratics in Lorentz form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isinf
from typing import Any

import pyomo.environ as pyo
from pyomo.core.base.var import VarData

from rrp_pyomo.errors import ModelError
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.constraints import InCone, QuadraticBound, Stated
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.modeling.symbols import Parameter, Variable
from rrp_pyomo.realise.binding import (
    Start,
    bound_and_lifted,
    initial_values,
    link_name,
    refuse_reserved_names,
    resolve,
    without_rows_of_numbers,
)
from rrp_pyomo.realise.bounds import implied_bounds
from rrp_pyomo.realise.lowering import Lowered
from rrp_pyomo.realise.pyomo_expressions import Components, bounded_rows, expressions
from rrp_pyomo.realise.quadratic import as_quadratic_bound

_QUADRATIC = (Takes.LINEAR, Takes.SECOND_ORDER)
_DOMAINS = {"continuous": pyo.Reals, "binary": pyo.Binary, "integer": pyo.Integers}


def environ_block(
    source: Lowered,
    bind: Mapping[str, Any],
    objective: bool,
    start: Start,
    scaling: bool,
    bounds: bool,
) -> pyo.Block:
    """A lowered statement as an environ block; see :meth:`rrp_pyomo.Program.block`."""
    given = resolve(source, bind, lambda c: isinstance(c, VarData), "pyomo.environ")
    source = bound_and_lifted(source, given.bound, kernel=False)
    values = initial_values(source, given, start)
    lower, upper = implied_bounds(source) if bounds else source.bounds()
    block = pyo.Block(concrete=True)
    block.scaling_factor = factors = pyo.Suffix(direction=pyo.Suffix.LOCAL)
    refuse_reserved_names(block, source, given)
    components: Components = {}
    for name, parameter in source.parameters.items():
        container = _parameters(parameter)
        block.add_component(name, container)
        components[name] = list(container.values())
    for name, variable in source.variables.items():
        if name in given.bound:
            components[name] = given.bound[name]
            _refer(block, variable, components[name])
        else:
            own = slice(variable.offset, variable.offset + variable.size)
            start_values = None if values is None else values[name]
            container = _variables(variable, lower[own], upper[own], start_values)
            block.add_component(name, container)
            components[name] = list(container.values())
        if variable.unit != 1.0:
            factors.update((component, 1.0 / variable.unit) for component in components[name])
    for name, entries in given.linked.items():
        link = [own == other for own, other in zip(components[name], entries, strict=True)]
        block.add_component(link_name(name), _rows(source.variables[name].index, link))
    for name, constraint in without_rows_of_numbers(source).items():
        block.add_component(name, _constraint(name, constraint, components))
    for name, expression in source.expressions.items():
        block.add_component(name, _named(expression, components))
    if not scaling:
        block.del_component(factors)
    (cost,) = expressions(source.objective, components)
    block.objective_expression = pyo.Expression(expr=cost)
    if objective:
        sense = pyo.maximize if source.maximizing else pyo.minimize
        block.objective = pyo.Objective(expr=block.objective_expression, sense=sense)
    return block


def _refer(block: pyo.Block, variable: Variable, entries: list[Any]) -> None:
    """A part of the block that is existing variables, which stay parts of their own model."""
    if variable.index is None:
        # A reference to a scalar would be indexed.
        object.__setattr__(block, variable.name, entries[0])
    else:
        by_label = dict(zip(variable.index, entries, strict=True))
        block.add_component(variable.name, pyo.Reference(by_label, ctype=pyo.Var))


def _parameters(parameter: Parameter) -> pyo.Param:
    if parameter.labels is None:
        return pyo.Param(initialize=float(parameter.numbers[0]), mutable=True, domain=pyo.Reals)
    values = dict(zip(parameter.labels, parameter.numbers.tolist(), strict=True))
    return pyo.Param(list(parameter.labels), initialize=values, mutable=True, domain=pyo.Reals)


def _variables(
    variable: Variable, lower: FloatArray, upper: FloatArray, values: FloatArray | None
) -> pyo.Var:
    start = [None] * variable.size if values is None else values.tolist()
    lows, highs = ([None if isinf(b) else b for b in side.tolist()] for side in (lower, upper))
    domain = _DOMAINS[variable.domain]
    if variable.index is None:
        return pyo.Var(bounds=(lows[0], highs[0]), domain=domain, initialize=start[0])
    bounds = dict(zip(variable.index, zip(lows, highs, strict=True), strict=True))
    initialize = dict(zip(variable.index, start, strict=True))
    return pyo.Var(list(variable.index), bounds=bounds, domain=domain, initialize=initialize)


def _named(expression: Affine | Composite, components: Components) -> pyo.Expression:
    rows = expressions(expression, components)
    if expression.index is None:
        return pyo.Expression(expr=rows[0])
    by_label = dict(zip(expression.index, rows, strict=True))
    return pyo.Expression(list(by_label), initialize=by_label)


def _constraint(name: str, constraint: Stated, components: Components) -> pyo.Constraint:
    if isinstance(constraint, QuadraticBound) or constraint.cone.takes in _QUADRATIC:
        return _labelled(as_quadratic_bound(name, constraint), components)
    return _smooth(name, constraint, components)


def _smooth(name: str, constraint: InCone, components: Components) -> pyo.Constraint:
    """A cone by its smooth functions."""
    cone = constraint.cone
    members = [expressions(part, components) for part in constraint.parts]
    count = cone.count(constraint.parts)
    members = [m * count if len(m) == 1 else m for m in members]
    smooth = [cone.smooth(*entries) for entries in cone.entries(members)] if cone.heads else []
    rows = [functions for functions in smooth if functions is not None]
    if not rows:
        raise ModelError(
            f"constraint {name!r} is a matter of the {cone.name} cone, which no block of Pyomo can "
            "state; solve the program by its conic form, with 'clarabel' or 'scs'"
        )
    labels = list(cone.labels(constraint.parts) or range(len(rows)))
    sides = len(rows[0])
    if sides == 1 and len(rows) == 1:
        return pyo.Constraint(expr=rows[0][0] >= 0)
    by_label = {
        label if sides == 1 else (label, side): functions[side]
        for label, functions in zip(labels, rows, strict=True)
        for side in range(sides)
    }
    return _rows(by_label, [row >= 0 for row in by_label.values()])


def _labelled(bound: QuadraticBound, components: Components) -> pyo.Constraint:
    rows = [_stated(*row) for row in bounded_rows(bound, components)]
    return _rows(None if len(rows) == 1 else bound.body.index, rows)


def _rows(labels: Iterable[Any] | None, rows: list[Any]) -> pyo.Constraint:
    """Constraints by label; no function makes them, which pickle would not take."""
    if labels is None:
        return pyo.Constraint(expr=rows[0])
    by_label = dict(zip(labels, rows, strict=True))
    return pyo.Constraint(list(by_label), rule=by_label)


def _stated(lower: float | None, body: Any, upper: float | None) -> tuple[Any, ...]:
    return (body, upper) if lower == upper else (lower, body, upper)
