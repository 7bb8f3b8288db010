"""Powers: terms over the power cone a^α b^(1−α) ≥ |c|."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.errors import InputError, brief, is_number
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Term
from rrp_pyomo.modeling.cones import NONNEGATIVE
from rrp_pyomo.modeling.cones import Power as PowerCone
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import Affine, flattened
from rrp_pyomo.modeling.notation import joined

_ONE = Affine(1, {}, 1.0)


class Power(Term):
    """e^p, row by row: t ≤ g ≤ e^p for 0 < p < 1, (e, 1, g); for p < 0 e^p ≤ t, e^{−p} t ≥ 1.

    The cone bounds |g|: where the bound t may be negative, g ≥ 0 stands between the two.
    """

    name = "power"
    lower = 0.0

    def __init__(self, e: Affine, exponent: float) -> None:
        self.size, self.labels = e.size, e.labels
        self.arguments = (e,)
        self.exponent = exponent
        self.curvature = -1 if exponent > 0 else 1

    def magnitude(self, *arguments: float) -> float:
        return 1.0

    def value(self, x: FloatArray) -> FloatArray:
        e = self.arguments[0].value(x)
        outside = np.nan if self.exponent > 0 else np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(e >= 0.0, np.maximum(e, 0.0) ** self.exponent, outside)

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        (e,), p = self.arguments, self.exponent
        if p > 0:
            g = new("root", e.labels or e.size, self.value, 0.0)
            return [
                Bounded("", InCone((g - bound,), NONNEGATIVE), 0, -1.0),
                Bounded("cone", InCone((e, _ONE, g), PowerCone(p)), None),
            ]
        return [Bounded("", InCone((e, bound, _ONE), PowerCone(-p / (1.0 - p))), 1)]


def power(expression: Affine, exponent: float) -> Composite:
    """e^p, row by row: concave of e ≥ 0 for 0 < p < 1, convex of e > 0 for p < 0.

    Parameters
    ----------
    expression : Affine
    exponent : float
        p < 1, not 0. Squares are ``square(e)``.

    Raises
    ------
    InputError
        Another exponent.

    Examples
    --------
    The largest √x − x/2 is at x = 1:

    >>> from rrp_pyomo import Program, power, solve_program
    >>> program = Program("root")
    >>> x = program.variable("x", lower=0)
    >>> program.maximize(power(x, 0.5) - 0.5 * x)
    >>> round(solve_program(program).objective, 4)
    0.5
    """
    (e,) = flattened((expression,))
    if not (is_number(exponent) and -np.inf < exponent < 1.0 and exponent != 0.0):
        raise InputError(
            f"the exponent of power is {brief(exponent)}; expected a number below 1 other than 0, "
            "and square(e) for 2"
        )
    return Composite.of(Power(e, float(exponent)), joined("power", e.notation, float(exponent)))
