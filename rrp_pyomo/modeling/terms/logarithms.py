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
    """exp(e), row by row: convex."""
    return _of(Exp, expression)


def log(expression: Affine) -> Composite:
    """The natural logarithm of e > 0, row by row: concave."""
    return _of(Log, expression)


def entropy(expression: Affine) -> Composite:
    """−e log e of e ≥ 0, row by row, 0 at 0: concave."""
    return _of(Entropy, expression)


def relative_entropy(expression: Affine, reference: Any) -> Composite:
    """e log(e/f) of e, f ≥ 0, row by row: convex in both.

    For two distributions its sum is the Kullback–Leibler divergence.
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
    """log Σ_i exp(e_i), a scalar: convex, at most log n above the largest e_i."""
    return _of(LogSumExp, expression)


def _of(kind: Any, expression: Affine) -> Composite:
    (e,) = flattened((expression,))
    return Composite.of(kind(e), joined(kind.name, e.notation))
