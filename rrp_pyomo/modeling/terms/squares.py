"""Sums of squares, and squares over linear expressions."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Product, Term, Weighted
from rrp_pyomo.modeling.cones import ROTATED
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import Affine, flattened
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.numpy_protocol import NumpyProtocol
from rrp_pyomo.modeling.operands import as_numbers, notation_of


class QuadOverLin(Term):
    """‖e‖² / y ≤ t: the rotated cone t y ≥ ‖e‖², t, y ≥ 0."""

    name = "quad_over_lin"
    curvature = 1
    lower = 0.0

    def __init__(self, e: Affine, y: Affine) -> None:
        self.arguments = (e, y)

    def value(self, x: FloatArray) -> FloatArray:
        e, y = (part.value(x) for part in self.arguments)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(y > 0, e @ e / y, np.where(e @ e + y == 0.0, 0.0, np.inf))

    def magnitude(self, *arguments: float) -> float:
        return arguments[0] ** 2 / arguments[1]

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        e, y = self.arguments
        return [Bounded("", InCone((bound, y, e), ROTATED))]


def sum_squares(*parts: Any) -> Composite:
    """‖parts‖₂², a scalar: ``sum_squares(root @ x)`` is the variance x'Σx. Convex.

    Examples
    --------
    Least squares: 1 and 3 observe a level, 4 observes twice it.

    >>> import numpy as np
    >>> from rrp_pyomo import Program, solve_program, sum_squares
    >>> program = Program("fit")
    >>> b = program.variable("b", 1)
    >>> A, y = np.array([[1.0], [1.0], [2.0]]), np.array([1.0, 3.0, 4.0])
    >>> program.minimize(sum_squares(A @ b - y))
    >>> solve_program(program).values["b"].round(4).tolist()
    [2.0]
    """
    flat = flattened(parts)
    terms = tuple(Weighted(Product(e, e), summed=True) for e in flat)
    return Composite(
        Affine(1, {}), terms, joined("sum_squares", *dict.fromkeys(e.notation for e in flat))
    )


def quad_over_lin(expression: Any, divisor: Affine) -> Composite:
    """‖e‖₂² / y with y ≥ 0 meant, a scalar: convex in both; e may be numbers, as in 1 / y.

    Raises
    ------
    InputError
        y has several rows.

    Examples
    --------
    x²/y on x = 2, y ≤ 4:

    >>> from rrp_pyomo import Program, quad_over_lin, solve_program
    >>> program = Program("ratio")
    >>> x, y = program.variable("x", lower=2), program.variable("y", upper=4)
    >>> program.minimize(quad_over_lin(x, y))
    >>> round(solve_program(program).objective, 4)
    1.0
    """
    if not isinstance(expression, (NumpyProtocol, tuple)):
        constant = as_numbers(expression)
        notation = notation_of(constant)
        expression = Affine(np.size(constant), {}, constant, notation=notation)
    e, y = flattened((expression, divisor))
    if y.size != 1:
        raise InputError(f"the divisor of quad_over_lin has {y.size} rows; expected a scalar")
    return Composite.of(QuadOverLin(e, y), joined("quad_over_lin", e.notation, y.notation))
