"""Exponentials, logarithms and entropies: terms over the exponential cone y exp(x/y) ≤ z."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Term
from rrp_pyomo.modeling.cones import EXPONENTIAL, NONNEGATIVE
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import Affine, flattened, repeated_rows
from rrp_pyomo.modeling.labels import common_rows
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.operands import numbers

_ONE = Affine(1, {}, 1.0)


class _RowByRow(Term):
    def magnitude(self, *arguments: float) -> float:
        return 1.0

    def __init__(self, *arguments: Affine) -> None:
        self.size, self.labels = arguments[0].size, arguments[0].labels
        self.arguments = arguments


class Exp(_RowByRow):
    """exp(e) ≤ t: (e, 1, t)."""

    name = "exp"
    curvature = 1
    lower = 0.0

    def value(self, x: FloatArray) -> FloatArray:
        return np.exp(self.arguments[0].value(x))

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        return [Bounded("", InCone((self.arguments[0], _ONE, bound), EXPONENTIAL), 2)]


class Log(_RowByRow):
    """t ≤ log e: (t, 1, e)."""

    name = "log"
    curvature = -1

    def value(self, x: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(self.arguments[0].value(x))

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        return [Bounded("", InCone((bound, _ONE, self.arguments[0]), EXPONENTIAL), 0)]


class Entropy(_RowByRow):
    """t ≤ −e log e: e exp(t/e) ≤ 1, (t, e, 1)."""

    name = "entropy"
    curvature = -1

    def value(self, x: FloatArray) -> FloatArray:
        value: FloatArray = scipy.special.entr(self.arguments[0].value(x))
        return value

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        return [Bounded("", InCone((bound, self.arguments[0], _ONE), EXPONENTIAL), 0)]


class RelativeEntropy(_RowByRow):
    """e log(e/f) ≤ t: e exp(−t/e) ≤ f, (−t, e, f)."""

    name = "relative_entropy"
    curvature = 1

    def value(self, x: FloatArray) -> FloatArray:
        value: FloatArray = scipy.special.rel_entr(*(e.value(x) for e in self.arguments))
        return value

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        e, f = self.arguments
        return [Bounded("", InCone((-bound, e, f), EXPONENTIAL), 0, -1.0)]


class LogSumExp(Term):
    """log Σ exp(e_i) ≤ t: exp(e_i − t) ≤ u_i with Σ u_i ≤ 1."""

    name = "log_sum_exp"
    curvature = 1

    def magnitude(self, *arguments: float) -> float:
        return 1.0

    def __init__(self, e: Affine) -> None:
        self.arguments = (e,)

    def value(self, x: FloatArray) -> FloatArray:
        return np.array([scipy.special.logsumexp(self.arguments[0].value(x))])

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        (e,) = self.arguments
        share = new("share", e.labels or e.size, lambda x: scipy.special.softmax(e.value(x)), 0.0)
        difference = e - repeated_rows(bound, e.size)
        return [
            Bounded("", InCone((difference, _ONE, share), EXPONENTIAL), 0, -1.0),
            Bounded("total", InCone((1.0 - share.sum(),), NONNEGATIVE), None),
        ]


def exp(expression: Affine) -> Composite:
    """exp(e), row by row: convex.

    Examples
    --------
    The smallest e^x − 2x is at x = log 2:

    >>> from rrp_pyomo import Program, exp, solve_program
    >>> program = Program("tangent")
    >>> x = program.variable("x")
    >>> program.minimize(exp(x) - 2 * x)
    >>> round(float(solve_program(program).values["x"]), 3)
    0.693
    """
    return _of(Exp, expression)


def log(expression: Affine) -> Composite:
    """The natural logarithm of e > 0, row by row: concave.

    Examples
    --------
    At even odds one of two assets doubles and the other is lost: half of wealth goes to each.

    >>> from rrp_pyomo import Program, log, solve_program
    >>> program = Program("growth")
    >>> w = program.variable("w", ["A", "B"], lower=0)
    >>> program.subject_to(invested=w.sum() == 1)
    >>> program.maximize(0.5 * log(2 * w).sum())
    >>> solve_program(program).values["w"].round(4).to_dict()
    {'A': 0.5, 'B': 0.5}
    """
    return _of(Log, expression)


def entropy(expression: Affine) -> Composite:
    """−e log e of e ≥ 0, row by row, 0 at 0: concave.

    Examples
    --------
    Of all distributions the even one has the largest entropy, log 3:

    >>> from rrp_pyomo import Program, entropy, solve_program
    >>> program = Program("even")
    >>> p = program.variable("p", 3, lower=0)
    >>> program.subject_to(total=p.sum() == 1)
    >>> program.maximize(entropy(p).sum())
    >>> round(solve_program(program).objective, 4)
    1.0986
    """
    return _of(Entropy, expression)


def relative_entropy(expression: Affine, reference: Any) -> Composite:
    """e log(e/f) of e, f ≥ 0, row by row: convex in both.

    For two distributions its sum is the Kullback–Leibler divergence.

    Examples
    --------
    The distribution nearest to (½, ¼, ¼) that has at least ½ on the last:

    >>> import numpy as np
    >>> from rrp_pyomo import Program, relative_entropy, solve_program
    >>> program = Program("nearest")
    >>> p = program.variable("p", 3, lower=0)
    >>> program.subject_to(total=p.sum() == 1, last=p[2] >= 0.5)
    >>> program.minimize(relative_entropy(p, np.array([0.5, 0.25, 0.25])).sum())
    >>> solve_program(program).values["p"].round(3).tolist()
    [0.333, 0.167, 0.5]
    """
    (e,) = flattened((expression,))
    if not isinstance(reference, (Affine, Composite)):
        value, labels = numbers(reference, e)
        reference = Affine(np.size(value), {}, value, labels, None)
    (f,) = flattened((reference,))
    size, labels = common_rows(e.size, e.labels, f.size, f.labels)
    term = RelativeEntropy(repeated_rows(e, size), repeated_rows(f, size))
    term.labels = labels
    return Composite.of(term, joined("relative_entropy", e.notation, f.notation))


def log_sum_exp(expression: Affine) -> Composite:
    """log Σ_i exp(e_i), a scalar: convex, at most log n above the largest e_i.

    Examples
    --------
    At most log 2 above the larger one:

    >>> from rrp_pyomo import Program, log_sum_exp, solve_program
    >>> program = Program("smooth_maximum")
    >>> x = program.variable("x", 2, lower=[1.0, 1.0])
    >>> program.minimize(log_sum_exp(x))
    >>> round(solve_program(program).objective, 4)
    1.6931
    """
    return _of(LogSumExp, expression)


def _of(kind: Any, expression: Affine) -> Composite:
    (e,) = flattened((expression,))
    return Composite.of(kind(e), joined(kind.name, e.notation))
