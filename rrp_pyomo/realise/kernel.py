"""Realisation as a ``pyomo.kernel`` block: matrix rows and conic objects, labelled.

Convex quadratics are cones too where there are cones: MOSEK takes no model with both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyomo.kernel as pmo
import scipy.sparse as sp
from pyomo.core.kernel.variable import IVariable

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Weighted, as_composite
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
from rrp_pyomo.realise.lowering import Lowered, is_sum_of_squares
from rrp_pyomo.realise.pyomo_expressions import Components, bounded_rows, expressions

_DOMAINS = {"continuous": pmo.RealSet, "binary": pmo.IntegerSet, "integer": pmo.IntegerSet}


def kernel_block(
    source: Lowered, bind: Mapping[str, Any], objective: bool, start: Start, scaling: bool
) -> pmo.block:
    """A lowered statement as a kernel block; see :meth:`rrp_pyomo.Program.kernel`."""
    given = resolve(source, bind, lambda c: isinstance(c, IVariable), "pyomo.kernel")
    source = bound_and_lifted(source, given.bound, kernel=True)
    values = initial_values(source, given, start)
    block = pmo.block()
    block.scaling_factor = factors = pmo.suffix(direction=pmo.suffix.LOCAL)
    refuse_reserved_names(block, source, given)
    components: Components = {}
    for name, parameter in source.parameters.items():
        container, components[name] = _parameters(parameter)
        setattr(block, name, container)
    for name, variable in source.variables.items():
        if name in given.bound:
            components[name] = given.bound[name]
            _refer(block, variable, components[name])
        else:
            components[name] = _variables(variable, None if values is None else values[name])
            setattr(block, name, _container(variable, components[name]))
        if variable.unit != 1.0:
            factors.update((component, 1.0 / variable.unit) for component in components[name])
    for name, entries in given.linked.items():
        own = components[name]
        rows = [pmo.constraint(x == other) for x, other in zip(own, entries, strict=True)]
        labels = source.variables[name].index
        setattr(block, link_name(name), rows[0] if labels is None else _labelled(labels, rows))
    for name, constraint in without_rows_of_numbers(source).items():
        setattr(block, name, _constraint(name, constraint, components))
    for name, expression in source.expressions.items():
        setattr(block, name, _named(expression, components))
    if not scaling:
        del block.scaling_factor
    block.objective_expression = pmo.expression(expressions(source.objective, components)[0])
    if objective:
        sense = pmo.maximize if source.maximizing else pmo.minimize
        block.objective = pmo.objective(block.objective_expression, sense=sense)
        if isinstance(source.objective, Composite) and _has_cones(source):
            _bound_squares(block, source.objective, components)
    return block


def _has_cones(source: Lowered) -> bool:
    return any(isinstance(c, InCone) and not c.cone.is_linear for c in source.stated.values())


def _parameters(parameter: Parameter) -> tuple[Any, list[Any]]:
    entries = [pmo.parameter(value) for value in parameter.numbers.tolist()]
    if parameter.labels is None:
        return entries[0], entries
    return pmo.parameter_dict(zip(parameter.labels, entries, strict=True)), entries


def _variables(variable: Variable, values: FloatArray | None) -> list[Any]:
    start = [None] * variable.size if values is None else values.tolist()
    bounds = (
        np.broadcast_to(b, (variable.size,)).tolist() for b in (variable.lower, variable.upper)
    )
    domain = _DOMAINS[variable.domain]
    return [
        pmo.variable(
            lb=None if lb == -np.inf else lb,
            ub=None if ub == np.inf else ub,
            domain_type=domain,
            value=value,
        )
        for lb, ub, value in zip(*bounds, start, strict=True)
    ]


def _refer(block: pmo.block, variable: Variable, entries: list[Any]) -> None:
    """A handle on existing variables, which have a parent already and cannot have a second."""
    index = variable.index
    handle = entries[0] if index is None else dict(zip(index, entries, strict=True))
    object.__setattr__(block, variable.name, handle)


def _container(variable: Variable, components: list[Any]) -> Any:
    if variable.index is None:
        return components[0]
    return pmo.variable_dict(zip(variable.index, components, strict=True))


def _named(expression: Affine | Composite, components: Components) -> Any:
    rows = [pmo.expression(row) for row in expressions(expression, components)]
    if expression.index is None:
        return rows[0]
    return pmo.expression_dict(zip(expression.index, rows, strict=True))


def _constraint(name: str, constraint: Stated, components: Components) -> Any:
    if isinstance(constraint, QuadraticBound):
        return _labelled(constraint.body.labels, _rows(constraint, components))
    if constraint.cone.is_linear:
        body, lower, upper = constraint.bounded_body
        if body.is_parametric:
            rows = _rows(QuadraticBound(as_composite(body), lower, upper), components)
            return _labelled(body.labels, rows)
        return _matrix_rows(body, lower, upper, components)
    if not constraint.cone.heads:  # Pyomo has no matrices: the cone says so
        return constraint.cone.kernel()
    members = [_members(part, components) for part in constraint.parts]
    cones = [constraint.cone.kernel(*entries) for entries in constraint.cone.entries(members)]
    if len(cones) == 1 and constraint.cone.heads == 1:
        return cones[0]
    return _labelled(constraint.cone.labels(constraint.parts), cones)


def _labelled(labels: Any, rows: list[Any]) -> Any:
    return pmo.constraint_dict(zip(labels or range(len(rows)), rows, strict=True))


def _rows(bound: QuadraticBound, components: Components) -> list[Any]:
    return [
        pmo.constraint(body=body, rhs=low)
        if low == high
        else pmo.constraint(body=body, lb=low, ub=high)
        for low, body, high in bounded_rows(bound, components)
    ]


def _members(part: Affine, components: Components) -> list[Any]:
    """The variables that a part of a cone is, a scalar one once for each row."""
    (variable,) = part.terms
    found = components[variable.name]
    return found if len(found) == part.size else found * part.size


def _bound_squares(block: pmo.block, cost: Composite, components: Components) -> None:
    """Minimise (or maximise the negative of) a bound on the objective's squares instead.

    ``‖e‖² ≤ r`` is the rotated cone ``2 · r · ½ ≥ ‖e‖²``; squares that a parameter multiplies have
    a cone of their own.
    """
    sign = 1.0 if block.objective.sense == pmo.minimize else -1.0
    if not is_sum_of_squares(cost * sign):
        return
    (total,) = expressions(cost.affine, components)
    plain = [w for w in cost.terms if not isinstance(w.weight, Affine)]
    if plain:
        block.objective_cone = _square_cone(plain, sign, components)
        total = total + sign * block.objective_cone.r1
    multiplied = [w for w in cost.terms if isinstance(w.weight, Affine)]
    for k, (weight, root) in enumerate(_weights_and_roots(multiplied, components)):
        cone = pmo.conic.rotated_quadratic.as_domain(None, 0.5, root)
        setattr(block, f"objective_cone_{k}", cone)
        total = total + weight * cone.r1
    block.objective.expr = total


def _weights_and_roots(
    squares: list[Weighted], components: Components
) -> Iterator[tuple[Any, list[Any]]]:
    """The weights that parameters make, and the vectors whose squares they multiply."""
    for weighted in squares:
        weights = expressions(weighted.weight, components)
        roots = expressions(weighted.term.a, components)
        if len(weights) == 1:
            yield weights[0], roots
        else:
            yield from ((weight, [root]) for weight, root in zip(weights, roots, strict=True))


def _square_cone(squares: list[Weighted], sign: float, components: Components) -> Any:
    roots = [expressions(w.term.a * np.sqrt(sign * w.weight), components) for w in squares]
    return pmo.conic.rotated_quadratic.as_domain(None, 0.5, [e for rows in roots for e in rows])


def _matrix_rows(body: Affine, lower: float, upper: float, components: Components) -> Any:
    """Rows over just the variables that they mention, columns in the order of mention."""
    rows = body.rows()
    offset, x, shift = 0, [], np.empty(rows.col.size, np.intp)
    for variable in body.terms:
        mine = (rows.col >= variable.offset) & (rows.col < variable.offset + variable.size)
        shift[mine] = offset - variable.offset
        x.extend(components[variable.name])
        offset += variable.size
    A = sp.csr_matrix((rows.val, (rows.row, rows.col + shift)), shape=(rows.size, offset))
    low = None if lower == -np.inf else lower - rows.constant
    high = None if upper == np.inf else upper - rows.constant
    if lower == upper:
        return pmo.matrix_constraint(A, rhs=low, x=x)
    return pmo.matrix_constraint(A, lb=low, ub=high, x=x)
