"""Realisation as a ``pyomo.environ`` block: cones as quadratics in Lorentz form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.base.var import VarData

from rrp_pyomo.modeling.constraints import Constraint, Linear
from rrp_pyomo.modeling.expressions import Variable
from rrp_pyomo.modeling.program import Program
from rrp_pyomo.realise.binding import bound_and_lifted, refuse_reserved_names, resolve
from rrp_pyomo.realise.pyomo_expressions import Components, bounded_rows, expressions
from rrp_pyomo.realise.quadratic import as_quadratic_bound


def environ_block(program: Program, bind: Mapping[str, Any], objective: bool) -> pyo.Block:
    """See :meth:`Program.block`."""
    bound = resolve(program, bind, lambda c: isinstance(c, VarData), "pyomo.environ")
    source = bound_and_lifted(program, bound, bare_squares=False)
    block = pyo.Block(concrete=True)
    block.scaling_factor = pyo.Suffix(direction=pyo.Suffix.LOCAL)
    refuse_reserved_names(block, source)
    components: Components = {}
    for name, variable in source.variables.items():
        if name in bound:
            components[name] = bound[name]
            # A plain attribute: the variables stay parts of the model that they come from.
            object.__setattr__(block, name, dict(zip(_index(variable), bound[name], strict=True)))
        else:
            container = _variables(variable)
            block.add_component(name, container)
            components[name] = list(container.values())
        if variable.unit != 1.0:
            for component in components[name]:
                block.scaling_factor[component] = 1.0 / variable.unit
    for name, constraint in source.constraints.items():
        block.add_component(name, _constraint(source, constraint, components))
    (cost,) = expressions(source.objective, components)
    block.objective_expression = pyo.Expression(expr=cost)
    if objective:
        sense = pyo.maximize if program.maximizing else pyo.minimize
        block.objective = pyo.Objective(expr=block.objective_expression, sense=sense)
    return block


def _index(variable: Variable) -> Any:
    return (None,) if variable.labels is None else variable.labels


def _variables(variable: Variable) -> pyo.Var:
    lower, upper = (
        [None if np.isinf(b) else b for b in np.broadcast_to(bound, (variable.size,)).tolist()]
        for bound in (variable.lower, variable.upper)
    )
    if variable.labels is None:
        return pyo.Var(bounds=(lower[0], upper[0]))
    bounds = dict(zip(variable.labels, zip(lower, upper, strict=True), strict=True))
    return pyo.Var(list(variable.labels), bounds=bounds)


def _constraint(program: Program, constraint: Constraint, components: Components) -> pyo.Constraint:
    bound = constraint if isinstance(constraint, Linear) else as_quadratic_bound(constraint)
    rows = bounded_rows(bound, components)
    if len(rows) == 1:
        return pyo.Constraint(expr=_stated(*rows[0]))
    labels = list(program.row_labels(bound.body))
    by_label = dict(zip(labels, rows, strict=True))
    return pyo.Constraint(labels, rule=lambda _, *key: _stated(*by_label[_key(key)]))


def _stated(lower: float | None, body: Any, upper: float | None) -> tuple[Any, ...]:
    return (body, upper) if lower == upper else (lower, body, upper)


def _key(key: tuple[Any, ...]) -> Any:
    """Pyomo hands a tuple label over as several arguments."""
    return key[0] if len(key) == 1 else key
