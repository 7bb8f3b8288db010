"""Weighted geometric means."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Term
from rrp_pyomo.modeling.cones import EXPONENTIAL, NONNEGATIVE
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import Affine, flattened, repeated_rows
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.operands import numbers


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


def geometric_mean(expression: Affine, weights: Any = None) -> Composite:
    """Π e_i^{w_i} of e ≥ 0, a scalar: concave.

    Parameters
    ----------
    expression : Affine
    weights : Series or array, optional
        Positive; divided by their sum. Equal by default.

    Raises
    ------
    InputError
        Weights that are not positive numbers, or of another length.
    """
    (e,) = flattened((expression,))
    w = np.ones(e.size) if weights is None else np.atleast_1d(numbers(weights, e)[0])
    if w.size != e.size or not (np.isfinite(w).all() and (w > 0).all()):
        raise InputError(
            f"the weights of a geometric mean of {e.size} rows are {weights!r}; expected one "
            "positive number for each (leave out rows of weight 0)"
        )
    return Composite.of(GeometricMean(e, w / w.sum()), joined("geometric_mean", e.notation))
