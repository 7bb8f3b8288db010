"""Array expressions written out as Pyomo expressions, for kernel and environ alike."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from pyomo.core.expr.numeric_expr import LinearExpression, ProductExpression, SumExpression

from rrp_pyomo.modeling.coefficients import triplets
from rrp_pyomo.modeling.composite import Composite, Weighted
from rrp_pyomo.modeling.constraints import QuadraticBound
from rrp_pyomo.modeling.expressions import Affine

#: Pyomo variables and parameters by name in the program, in label order.
Components: TypeAlias = dict[str, list[Any]]


def expressions(body: Affine | Composite, components: Components) -> list[Any]:
    """A Pyomo expression for each row."""
    if isinstance(body, Affine):
        return [row.expression() for row in _rows(body, components)]
    total = expressions(body.affine, components)
    for weighted in body.terms:
        rows = _products(weighted, components)
        if weighted.summed:
            total = [total[0] + sum(rows)]
        else:
            total = [t + r for t, r in zip(total, rows, strict=True)]
    return total


def bounded_rows(
    bound: QuadraticBound, components: Components
) -> list[tuple[float | None, Any, float | None]]:
    """``(lower, body, upper)`` for each row, with the constants in the bounds.

    Pyomo 6.10's interface to SCIP loses a constant in the body of a constraint with two bounds.
    """
    constants = np.full(bound.body.size, bound.body.affine.constant)
    body = bound.body - constants if constants.any() else bound.body
    rows = [
        # Pyomo takes no constraint between numbers.
        SumExpression([row]) if isinstance(row, float) else row
        for row in expressions(body, components)
    ]
    bounds = (
        [None if np.isinf(b) else b for b in (side - constants).tolist()]
        for side in (bound.lower, bound.upper)
    )
    return [(low, row, high) for row, low, high in zip(rows, *bounds, strict=True)]


class _Row:
    """``constant + Σ coefficient · variable + Σ coefficient · other``.

    The others are parameters, and their products with expressions.
    """

    __slots__ = ("coefficients", "constant", "others", "variables")

    def __init__(self, constant: float) -> None:
        self.constant = constant
        self.coefficients: list[float] = []
        self.variables: list[Any] = []
        self.others: list[tuple[float, Any]] = []

    @property
    def is_monomial(self) -> bool:
        return self.constant == 0.0 and len(self.variables) == 1 and not self.others

    def expression(self) -> Any:
        # An empty LinearExpression is more than some of Pyomo's own tools can read.
        if self.is_monomial:
            return _multiple(self.coefficients[0], self.variables[0])
        total: Any = self.constant
        if self.variables:
            total = LinearExpression(
                constant=self.constant, linear_coefs=self.coefficients, linear_vars=self.variables
            )
        return sum((_multiple(c, other) for c, other in self.others), total)

    def factored(self) -> tuple[float, Any]:
        """A number, and what it multiplies."""
        if self.is_monomial:
            return self.coefficients[0], self.variables[0]
        if self.constant == 0.0 and len(self.others) == 1 and not self.variables:
            return self.others[0]
        return 1.0, self.expression()


def _multiple(coefficient: float, of: Any) -> Any:
    if coefficient == 1.0:
        return of
    if of.is_expression_type():
        # Pyomo would move the number to a parameter inside, where its printers do not find it.
        return ProductExpression((coefficient, of))
    return coefficient * of


def _products(weighted: Weighted, components: Components) -> list[Any]:
    term = weighted.term
    left = _rows(term.a, components)
    right = left if term.is_square else _rows(term.b, components)
    if isinstance(weighted.weight, Affine):
        weights = expressions(weighted.weight, components)
        weights = weights * (len(left) // len(weights))
    else:
        weights = np.broadcast_to(weighted.weight, (len(left),)).tolist()
    return [_multiplied(*row) for row in zip(weights, left, right, strict=True)]


def _multiplied(weight: Any, a: _Row, b: _Row) -> Any:
    """The product of two rows; of two monomials, one coefficient before the variables."""
    if a.is_monomial and b.is_monomial:
        coefficient = weight * (a.coefficients[0] * b.coefficients[0])
        u, v = a.variables[0], b.variables[0]
    else:
        coefficient, u, v = weight, a.expression(), b.expression()
    term = u**2 if a is b else u * v
    return term if isinstance(coefficient, float) and coefficient == 1.0 else coefficient * term


def _rows(body: Affine, components: Components) -> list[_Row]:
    rows = [_Row(constant) for constant in np.full(body.size, body.constant).tolist()]
    for symbol, block in body.terms.items():
        row, col, val = triplets(block, body.size, symbol.size, 0)
        entries = components[symbol.name] if symbol.is_variable else _entries(symbol, components)
        for r, c, value in zip(row.tolist(), col.tolist(), val.tolist(), strict=True):
            if value == 0.0:
                continue
            if symbol.is_variable:
                rows[r].coefficients.append(value)
                rows[r].variables.append(entries[c])
            else:
                inside, entry = entries[c]
                rows[r].others.append((value * inside, entry))
    return rows


def _entries(symbol: Any, components: Components) -> list[tuple[float, Any]]:
    """What stands for a parameter or its product with variables, behind a number."""
    if not hasattr(symbol, "factor"):
        return [(1.0, entry) for entry in components[symbol.name]]
    factors, inner = (
        [row.factored() for row in _rows(e, components)] for e in (symbol.factor, symbol.inner)
    )
    factors = factors * (len(inner) // len(factors))
    return [(a * b, f * e) for (a, f), (b, e) in zip(factors, inner, strict=True)]
