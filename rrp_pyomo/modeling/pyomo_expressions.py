"""Array expressions written out as Pyomo expressions, for kernel and environ alike."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from pyomo.core.expr.numeric_expr import LinearExpression

from rrp_pyomo.modeling.expressions import Affine, Product, Quadratic

# Pyomo variables by the name of the program's variable, in label order.
Components: TypeAlias = dict[str, list[Any]]


def expressions(body: Affine | Quadratic, components: Components) -> list[Any]:
    """A Pyomo expression for each row."""
    if isinstance(body, Affine):
        return _affine(body, components)
    total = _affine(body.affine, components)
    for product in body.products:
        rows = _products(product, components)
        if product.summed:
            total = [total[0] + sum(rows)]
        else:
            total = [t + r for t, r in zip(total, rows, strict=True)]
    return total


def _products(product: Product, components: Components) -> list[Any]:
    left = _affine(product.a, components)
    weights = np.broadcast_to(product.weight, (len(left),)).tolist()
    if product.is_square:
        return [w * e**2 for w, e in zip(weights, left, strict=True)]
    right = _affine(product.b, components)
    return [w * (u * v) for w, u, v in zip(weights, left, right, strict=True)]


def _affine(body: Affine, components: Components) -> list[Any]:
    rows = body.rows()
    columns = {
        variable.offset + k: component
        for variable in body.terms
        for k, component in enumerate(components[variable.name])
    }
    terms: list[tuple[list[float], list[Any]]] = [([], []) for _ in range(rows.size)]
    for r, c, value in zip(rows.row.tolist(), rows.col.tolist(), rows.val.tolist(), strict=True):
        if value != 0.0:
            terms[r][0].append(value)
            terms[r][1].append(columns[c])
    return [_linear(c, *row) for c, row in zip(rows.constant.tolist(), terms, strict=True)]


def _linear(constant: float, coefficients: list[float], variables: list[Any]) -> Any:
    if constant == 0.0 and coefficients == [1.0]:
        return variables[0]
    return LinearExpression(constant=constant, linear_coefs=coefficients, linear_vars=variables)
