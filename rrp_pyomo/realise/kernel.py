"""Realisation as a ``pyomo.kernel`` block: matrix rows and conic objects, labelled.

Convex quadratics are cones too where there are cones: MOSEK takes no model with both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.kernel as pmo
import scipy.sparse as sp
from pyomo.core.kernel.variable import IVariable

from rrp_pyomo.modeling.constraints import (
    Constraint,
    Linear,
    NormBound,
    ProductBound,
    QuadraticBound,
)
from rrp_pyomo.modeling.expressions import Affine, Quadratic, Variable
from rrp_pyomo.modeling.program import Program
from rrp_pyomo.realise.binding import bound_and_lifted, refuse_reserved_names, resolve
from rrp_pyomo.realise.conic import is_convex, is_sum_of_squares
from rrp_pyomo.realise.pyomo_expressions import Components, bounded_rows, expressions


def kernel_block(program: Program, bind: Mapping[str, Any], objective: bool) -> pmo.block:
    """See :meth:`Program.kernel`."""
    bound = resolve(program, bind, lambda c: isinstance(c, IVariable), "pyomo.kernel")
    source = bound_and_lifted(program, bound, bare_squares=True)
    block = pmo.block()
    block.scaling_factor = pmo.suffix(direction=pmo.suffix.LOCAL)
    refuse_reserved_names(block, source)
    components: Components = {}
    for name, variable in source.variables.items():
        components[name] = bound[name] if name in bound else _variables(variable)
        setattr(block, name, _container(variable, components[name], name in bound))
        if variable.unit != 1.0:
            for component in components[name]:
                block.scaling_factor[component] = 1.0 / variable.unit
    conic = any(isinstance(c, (NormBound, ProductBound)) for c in source.constraints.values())
    for name, constraint in source.constraints.items():
        setattr(block, name, _constraint(source, constraint, components, conic))
    block.objective_expression = pmo.expression(expressions(source.objective, components)[0])
    if objective:
        sense = pmo.maximize if program.maximizing else pmo.minimize
        block.objective = pmo.objective(block.objective_expression, sense=sense)
        if conic and isinstance(source.objective, Quadratic):
            _bound_squares(block, source.objective, components)
    return block


def _variables(variable: Variable) -> list[Any]:
    bounds = (
        np.broadcast_to(b, (variable.size,)).tolist() for b in (variable.lower, variable.upper)
    )
    return [
        pmo.variable(lb=None if lb == -np.inf else lb, ub=None if ub == np.inf else ub)
        for lb, ub in zip(*bounds, strict=True)
    ]


def _container(variable: Variable, components: list[Any], bound: bool) -> Any:
    if variable.labels is None:
        # A bound variable has its own parent: a one-element list is a handle, not a second home.
        return components if bound else components[0]
    labelled = dict(zip(variable.labels, components, strict=True))
    return labelled if bound else pmo.variable_dict(labelled)


def _constraint(
    program: Program, constraint: Constraint, components: Components, conic: bool
) -> Any:
    match constraint:
        case Linear(body, lower, upper):
            return _matrix_rows(body, lower, upper, components)
        case NormBound(parts, bound):
            vector = [c for e in parts for c in components[_name(e)]]
            return pmo.conic.quadratic(components[_name(bound)][0], vector)
        case ProductBound(a, b, c):
            left, right, root = (components[_name(e)] for e in (a, b, c))
            root = root * (len(left) // len(root))
            cones = [
                pmo.conic.rotated_quadratic(r1, r2, (x,))
                for r1, r2, x in zip(left, right, root, strict=True)
            ]
            return pmo.constraint_dict(zip(program.row_labels(a), cones, strict=True))
        case QuadraticBound(body, lower, _) if conic and is_convex(constraint):
            small = body if lower == -np.inf else -body
            bounds = expressions(-small.affine, components)
            blocks = _cones(bounds, small, components)
            return pmo.block_dict(zip(program.row_labels(body), blocks, strict=True))
        case QuadraticBound():
            rows = [
                pmo.constraint(body=body, rhs=low)
                if low == high
                else pmo.constraint(body=body, lb=low, ub=high)
                for low, body, high in bounded_rows(constraint, components)
            ]
            return pmo.constraint_dict(zip(program.row_labels(constraint.body), rows, strict=True))


def _bound_squares(block: pmo.block, cost: Quadratic, components: Components) -> None:
    """Minimise (or maximise the negative of) a bound on the objective's squares instead."""
    sign = 1.0 if block.objective.sense == pmo.minimize else -1.0
    if is_sum_of_squares(cost * sign):
        (block.objective_cone,) = _cones([None], cost * sign, components)
        (affine,) = expressions(cost.affine, components)
        block.objective.expr = affine + sign * block.objective_cone.r1


def _cones(bounds: list[Any], squares: Quadratic, components: Components) -> list[pmo.block]:
    """``‖e‖² ≤ a`` as the rotated cone ``2 · a · ½ ≥ ‖e‖²``, row by row; None is a new variable."""
    roots = [expressions(p.a * np.sqrt(p.weight), components) for p in squares.products]
    vectors = (
        [[e for rows in roots for e in rows]] if squares.size == 1 else zip(*roots, strict=True)
    )
    return [
        pmo.conic.rotated_quadratic.as_domain(a, 0.5, e)
        for a, e in zip(bounds, vectors, strict=True)
    ]


def _name(expression: Affine) -> str:
    (variable,) = expression.terms
    return variable.name


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
