"""The larger of several expressions, and positive parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Term
from rrp_pyomo.modeling.cones import NONNEGATIVE
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import Affine, flattened, repeated_rows
from rrp_pyomo.modeling.labels import rows_together
from rrp_pyomo.modeling.notation import joined, of_numbers
from rrp_pyomo.modeling.operands import numbers


class Maximum(Term):
    """max(a, b, …) ≤ t: t − a ≥ 0, t − b ≥ 0, …, row by row."""

    name = "maximum"
    curvature = 1

    def __init__(self, arguments: tuple[Affine, ...]) -> None:
        self.size, self.labels = rows_together(arguments)
        self.arguments = arguments

    def value(self, x: FloatArray) -> FloatArray:
        values = [np.broadcast_to(e.value(x), (self.size,)) for e in self.arguments]
        value: FloatArray = np.max(values, axis=0)
        return value

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        slacks = [bound - e for e in self.arguments]
        return [
            Bounded(str(k), InCone((slack,), NONNEGATIVE))
            for k, slack in enumerate(slacks)
            if slack.terms or np.any(np.asarray(slack.constant) < 0.0)  # numbers say all else
        ]


class Largest(Term):
    """max_i e_i ≤ t: t − e_i ≥ 0 for every row."""

    name = "maximum"
    curvature = 1

    def __init__(self, e: Affine) -> None:
        self.arguments = (e,)

    def value(self, x: FloatArray) -> FloatArray:
        value: FloatArray = self.arguments[0].value(x).max(keepdims=True)
        return value

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        (e,) = self.arguments
        return [Bounded("", InCone((repeated_rows(bound, e.size) - e,), NONNEGATIVE))]


def maximum(*operands: Any) -> Composite:
    """The largest of several expressions or numbers, row by row; of a single one, its largest row.

    Convex. The smallest is ``-maximum(-a, -b)``.

    Examples
    --------
    >>> from rrp_pyomo import Program, maximum, solve_program
    >>> program = Program("roof")
    >>> x = program.variable("x")
    >>> program.minimize(maximum(2 - x, 0.5 * x))
    >>> round(float(solve_program(program).values["x"]), 4)
    1.3333
    """
    first = next((e for e in operands if isinstance(e, Affine)), None)
    if first is None:
        raise InputError("maximum() takes at least one affine expression of variables")
    if len(operands) == 1:
        return Composite.of(Largest(first), joined("maximum", first.notation))
    arguments = flattened(_affine(e, first) for e in operands)
    written = (e.notation if e.notation is not None else of_numbers(e.constant) for e in arguments)
    return Composite.of(Maximum(arguments), joined("maximum", *written))


def positive(expression: Affine) -> Composite:
    """max(e, 0), row by row: convex.

    Examples
    --------
    What falls short of 1, at three times its price, beside what is bought:

    >>> from rrp_pyomo import Program, positive, solve_program
    >>> program = Program("shortfall")
    >>> x = program.variable("x", lower=0)
    >>> program.minimize(x + 3 * positive(1 - x))
    >>> round(solve_program(program).objective, 4)
    1.0
    """
    (e,) = flattened((expression,))
    zero = Affine(1, {}, 0.0, notation=0.0)
    return Composite.of(Maximum((e, zero)), joined("positive", e.notation))


def _affine(operand: Any, beside: Affine) -> Any:
    if isinstance(operand, (Affine, Composite)):
        return operand
    value, labels = numbers(operand, beside)
    return Affine(np.size(value), {}, value, labels)
