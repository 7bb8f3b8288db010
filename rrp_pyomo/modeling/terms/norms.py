"""Norms and absolute values."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Term
from rrp_pyomo.modeling.cones import NONNEGATIVE, SECOND_ORDER
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import Affine, flattened, repeated_rows, stack
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.operators import Expression


class Norm(Term):
    """‖parts‖₂ ≤ t: a second-order cone."""

    name = "norm"
    is_length = True
    curvature = 1
    lower = 0.0

    def __init__(self, parts: tuple[Affine, ...]) -> None:
        self.arguments = parts

    def value(self, x: FloatArray) -> FloatArray:
        return np.array([np.linalg.norm(np.concatenate([e.value(x) for e in self.arguments]))])

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        return [Bounded("", InCone((bound, *self.arguments), SECOND_ORDER))]


class Norm1(Term):
    """Σ|e_i| ≤ t: −u ≤ e ≤ u with Σu ≤ t."""

    name = "norm1"
    curvature = 1
    lower = 0.0

    def __init__(self, e: Affine) -> None:
        self.arguments = (e,)

    def value(self, x: FloatArray) -> FloatArray:
        return np.array([np.abs(self.arguments[0].value(x)).sum()])

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        (e,) = self.arguments
        u = new("size", e.labels or e.size, lambda x: np.abs(e.value(x)), 0.0)
        return [
            Bounded("", InCone((bound - u.sum(),), NONNEGATIVE)),
            Bounded("above", InCone((u - e,), NONNEGATIVE), None),
            Bounded("below", InCone((u + e,), NONNEGATIVE), None),
        ]


class Abs(Term):
    """|e_i| ≤ t_i: −t ≤ e ≤ t, row by row; with one t for all rows, the norm ‖e‖_∞."""

    name = "abs"
    curvature = 1
    lower = 0.0

    def __init__(self, e: Affine, largest: bool = False) -> None:
        self.arguments = (e,)
        self.size, self.labels = (1, None) if largest else (e.size, e.labels)

    def value(self, x: FloatArray) -> FloatArray:
        rows = np.abs(self.arguments[0].value(x))
        return rows.max(keepdims=True) if self.size == 1 else rows

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        (e,) = self.arguments
        t = repeated_rows(bound, e.size)
        return [
            Bounded("above", InCone((t - e,), NONNEGATIVE)),
            Bounded("below", InCone((t + e,), NONNEGATIVE)),
        ]


def norm(*parts: Any, p: float = 2) -> Composite:
    """The p-norm of affine expressions, stacked, for p in 1, 2 and infinity: a scalar, convex.

    Parameters
    ----------
    *parts : expressions
        ``norm(root @ x)``; a number at the end is p: ``norm(w - before, 1)``.
    p : {1, 2, inf}

    Examples
    --------
    The point of the line x + 2y = 5 that is nearest to the origin:

    >>> from rrp_pyomo import Program, norm, solve_program
    >>> program = Program("distance")
    >>> x = program.variable("x", ["x", "y"])
    >>> program.subject_to(line=x["x"] + 2 * x["y"] == 5)
    >>> program.minimize(norm(x))
    >>> solution = solve_program(program)
    >>> round(solution.objective, 4), solution.values["x"].round(4).to_dict()
    (2.2361, {'x': 1.0, 'y': 2.0})
    """
    if len(parts) > 1 and not isinstance(parts[-1], (Affine, tuple, Composite)):
        *parts, p = parts  # type: ignore[assignment]
    flat = flattened(parts)
    if not flat:
        raise InputError("norm() has nothing to measure; give it an affine expression")
    e = flat[0] if len(flat) == 1 else None
    written = list(dict.fromkeys(part.notation for part in flat))
    if p == 2:
        return Composite.of(Norm(flat), joined("norm", *written))
    e = e if e is not None else stack(*flat)
    if p == 1:
        return Composite.of(Norm1(e), joined("norm1", *written))
    if p == np.inf:
        return Composite.of(Abs(e, largest=True), joined("norminf", *written))
    raise InputError(f"the norm of order {p!r} is none of the language's; expected 1, 2 or inf")


def abs(expression: Any) -> Any:
    """|e|, row by row: convex. Of anything but expressions it is Python's own.

    Examples
    --------
    The least sum of distances from 0, 1 and 5 is at their median:

    >>> import numpy as np
    >>> from rrp_pyomo import Program, abs, solve_program
    >>> program = Program("median")
    >>> x = program.variable("x")
    >>> program.minimize(abs(np.ones((3, 1)) @ x - np.array([0.0, 1.0, 5.0])).sum())
    >>> round(float(solve_program(program).values["x"]), 4)
    1.0
    """
    if not isinstance(expression, Expression):
        return builtins.abs(expression)
    (e,) = flattened((expression,))
    return Composite.of(Abs(e), joined("abs", e.notation))
