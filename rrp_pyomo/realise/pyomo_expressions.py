"""Array expressions written out as Pyomo expressions, for kernel and environ alike."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from pyomo.core.expr.numeric_expr import LinearExpression

from rrp_pyomo.modeling.constraints import Linear, QuadraticBound
from rrp_pyomo.modeling.expressions import Affine, Product, Quadratic

# Pyomo variables by the name of the program's variable, in label order.
Components: TypeAlias = dict[str, list[Any]]


def expressions(body: Affine | Quadratic, components: Components) -> list[Any]:
    """A Pyomo expression for each row."""
    if isinstance(body, Affine):
        return [row.expression() for row in _rows(body, components)]
    total = expressions(body.affine, components)
    for product in body.products:
        rows = _products(product, components)
        if product.summed:
            total = [total[0] + sum(rows)]
        else:
            total = [t + r for t, r in zip(total, rows, strict=True)]
    return total


def bounded_rows(
    bound: Linear | QuadraticBound, components: Components
) -> list[tuple[float | None, Any, float | None]]:
    """``(lower, body, upper)`` for each row, with the constants in the bounds.

    Pyomo 6.10's interface to SCIP loses a constant in the body of a constraint with two bounds.
    """
    body = bound.body
    affine = body if isinstance(body, Affine) else body.affine
    constants = np.full(body.size, affine.constant)
    rows = expressions(body - constants, components)
    bounds = (
        [None if np.isinf(b) else b for b in (side - constants).tolist()]
        for side in (bound.lower, bound.upper)
    )
    return [(low, row, high) for row, low, high in zip(rows, *bounds, strict=True)]


class _Row(NamedTuple):
    """``constant + Σ coefficient · variable``."""

    constant: float
    coefficients: list[float]
    variables: list[Any]

    @property
    def is_monomial(self) -> bool:
        return self.constant == 0.0 and len(self.variables) == 1

    def expression(self) -> Any:
        if self.is_monomial and self.coefficients[0] == 1.0:
            return self.variables[0]
        return LinearExpression(
            constant=self.constant, linear_coefs=self.coefficients, linear_vars=self.variables
        )


def _products(product: Product, components: Components) -> list[Any]:
    left = _rows(product.a, components)
    right = left if product.is_square else _rows(product.b, components)
    weights = np.broadcast_to(product.weight, (len(left),)).tolist()
    return [_multiplied(*row) for row in zip(weights, left, right, strict=True)]


def _multiplied(weight: float, a: _Row, b: _Row) -> Any:
    """The product of two rows; of two monomials, one coefficient before the variables."""
    if a.is_monomial and b.is_monomial:
        coefficient = weight * a.coefficients[0] * b.coefficients[0]
        u, v = a.variables[0], b.variables[0]
    else:
        coefficient, u, v = weight, a.expression(), b.expression()
    term = u**2 if a is b else u * v
    return term if coefficient == 1.0 else coefficient * term


def _rows(body: Affine, components: Components) -> list[_Row]:
    triplets = body.rows()
    columns = {
        variable.offset + k: component
        for variable in body.terms
        for k, component in enumerate(components[variable.name])
    }
    rows = [_Row(constant, [], []) for constant in triplets.constant.tolist()]
    entries = (triplets.row.tolist(), triplets.col.tolist(), triplets.val.tolist())
    for r, c, value in zip(*entries, strict=True):
        if value != 0.0:
            rows[r].coefficients.append(value)
            rows[r].variables.append(columns[c])
    return rows
