"""Weighted geometric means."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import groupby
from math import lcm
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.errors import InputError, brief
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Term
from rrp_pyomo.modeling.cones import EXPONENTIAL, NONNEGATIVE, ROTATED
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import Affine, flattened, repeated_rows, stack
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.operands import numbers

IntArray = NDArray[np.int64]
Cones: TypeAlias = Literal["exponential", "second_order"]


class GeometricMean(Term):
    """t ≤ Π e_i^{w_i}: g exp(u_i/g) ≤ e_i with Σ w_i u_i ≥ 0, g ≥ max(t, 0).

    The n exponential cones say u_i ≤ g log(e_i/g), so that the sum is at least 0 exactly where
    Σ w_i log e_i ≥ log g.
    """

    name = "geometric_mean"
    curvature = -1
    lower = 0.0

    def __init__(self, e: Affine, weights: FloatArray) -> None:
        self.arguments = (e,)
        self.weights = weights

    def value(self, x: FloatArray) -> FloatArray:
        e = np.maximum(self.arguments[0].value(x), 0.0)
        with np.errstate(divide="ignore"):
            return np.array([np.exp(self.weights @ np.log(e))])

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        (e,) = self.arguments

        def logarithms(x: FloatArray) -> FloatArray:
            ratios = np.maximum(e.value(x), 1e-300) / max(self.value(x)[0], 1e-300)
            return np.asarray(self.value(x) * np.log(ratios))

        g = new("mean", None, self.value, 0.0)
        u = new("logarithm", e.labels or e.size, logarithms, -np.inf)
        return [
            Bounded("", InCone((g - bound,), NONNEGATIVE), 0, -1.0),
            Bounded("logarithms", InCone((u, repeated_rows(g, e.size), e), EXPONENTIAL), None),
            Bounded("total", InCone((self.weights @ u,), NONNEGATIVE), None),
        ]


class TowerOfMeans(GeometricMean):
    """The same for weights k_i / K with whole k_i, over rotated cones.

    With 2^m ≥ K, g^{2^m} ≤ Π e_i^{k_i} · g^{2^m − K} is a product of 2^m factors. A pair of equal
    factors is its own geometric mean, any other pair has one in y² ≤ a b: from level to level half
    as many factors are left, until g² ≤ a b.
    """

    def __init__(self, e: Affine, counts: IntArray) -> None:
        super().__init__(e, counts / counts.sum())
        self.counts = counts

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        (e,) = self.arguments
        g = new("mean", None, self.value, 0.0)
        stated = [Bounded("", InCone((g - bound,), NONNEGATIVE), 0, -1.0)]
        total = int(self.counts.sum())
        levels = (total - 1).bit_length()
        factors = [Factors(e, self.counts), Factors(g, np.array([2**levels - total]))]
        if levels == 0:
            stated.append(Bounded("single", InCone((e - g,), NONNEGATIVE), None))
        for level in range(levels, 0, -1):
            a, b = _pairs(factors)
            factors = [Factors(f.rows, f.counts // 2) for f in factors]
            if a is None:
                continue
            y = g if level == 1 else new(f"level_{level}", a.size, _root_of(a, b), 0.0)
            stated.append(Bounded(f"cone_{level}", InCone((a, b, y), ROTATED), None))
            factors.insert(-1, Factors(y, np.ones(a.size, int)))
        return stated


class Factors(NamedTuple):
    """Rows of an expression, and how often each is a factor of a product."""

    rows: Affine
    counts: IntArray


def _pairs(factors: list[Factors]) -> tuple[Any, Any]:
    """Left and right of the pairs of unequal factors: those of an odd count."""
    odd = [
        (which, int(row))
        for which, (_, counts) in enumerate(factors)
        for row in np.flatnonzero(counts % 2)
    ]
    if not odd:
        return None, None
    sides = []
    for side in (odd[::2], odd[1::2]):
        parts = []
        for which, members in groupby(side, lambda item: item[0]):
            rows = factors[which].rows
            mask = np.zeros(rows.size, bool)
            mask[[row for _, row in members]] = True
            parts.append(rows[mask] if rows.size > 1 else rows)
        stacked = stack(*parts)  # rows of several assets have no labels
        sides.append(Affine(stacked.size, stacked.terms, stacked.constant, None, None))
    left, right = sides
    return left, right


def _root_of(a: Affine, b: Affine) -> Callable[[FloatArray], FloatArray]:
    def root(x: FloatArray) -> FloatArray:
        product = np.maximum(a.value(x), 0.0) * np.maximum(b.value(x), 0.0)
        return np.asarray(np.sqrt(product))

    return root


def whole_multiples(weights: FloatArray, most: int = 10_000) -> IntArray | None:
    """Whole numbers k in the ratio of the weights with Σk ≤ most; None where there are none."""
    fractions = [Fraction(float(w)).limit_denominator(most) for w in weights / weights.sum()]
    total = 1
    for fraction in fractions:
        total = lcm(total, fraction.denominator)
        if total > most:
            return None
    counts = np.array([int(fraction * total) for fraction in fractions])
    share = weights / weights.sum()
    return counts if np.abs(counts / total - share).max() <= 1e-13 else None


def geometric_mean(
    expression: Affine,
    weights: Any = None,
    cones: Cones = "exponential",
) -> Composite:
    """Π e_i^{w_i} of e ≥ 0, a scalar: concave.

    Parameters
    ----------
    expression : Affine
    weights : Series or array, optional
        Positive; divided by their sum. Equal by default.
    cones : {"exponential", "second_order"}
        By an exponential cone for each row, or by a tower of about as many rotated cones, which
        more solvers take and ConcreteModels state as quadratics. The tower is for weights in the
        ratio of whole numbers that sum to at most 10,000, such as equal ones or percentages.

    Raises
    ------
    InputError
        Weights that are not positive numbers, of another length, or in no such ratio.

    Examples
    --------
    On x + 2y = 4 the largest √(xy) is at (2, 1):

    >>> from rrp_pyomo import Program, geometric_mean, solve_program
    >>> program = Program("area")
    >>> x = program.variable("x", ["x", "y"], lower=0)
    >>> program.subject_to(line=x["x"] + 2 * x["y"] == 4)
    >>> program.maximize(geometric_mean(x))
    >>> solve_program(program).values["x"].round(4).to_dict()
    {'x': 2.0, 'y': 1.0}
    """
    (e,) = flattened((expression,))
    w = np.ones(e.size) if weights is None else np.atleast_1d(numbers(weights, e)[0])
    if w.size != e.size or not (np.isfinite(w).all() and (w > 0).all()):
        raise InputError(
            f"the weights of a geometric mean of {e.size} rows are {weights!r}; expected one "
            "positive number for each (leave out rows of weight 0)"
        )
    if cones not in ("exponential", "second_order"):
        raise InputError(f"cones is {cones!r}; expected 'exponential' or 'second_order'")
    term = GeometricMean(e, w / w.sum())
    if cones == "second_order":
        counts = whole_multiples(w)
        if counts is None:
            raise InputError(
                f"the weights of a geometric mean are {brief(weights)}; second-order cones take "
                "those in the ratio of whole numbers up to 10,000 in all: use cones='exponential'"
            )
        term = TowerOfMeans(e, counts)
    return Composite.of(term, joined("geometric_mean", e.notation))
