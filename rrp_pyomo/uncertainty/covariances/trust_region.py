"""The largest value of a convex quadratic on a ball: what loadings in an ellipsoid can do.

By the S-lemma its Lagrangian dual in one multiplier is exact, though a convex function is
maximised: that is what makes cones of the sets of loadings, and the secular equation what finds
their worst element (Moré & Sorensen 1983).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from rrp_pyomo.linalg import FloatArray


def largest_on_ball(a: FloatArray, b: FloatArray, radius: float) -> FloatArray:
    """The y of ‖y‖₂ ≤ radius with the largest Σ a_i y_i² + 2 b_i y_i.

    It is y_i = b_i / (τ − a_i) with the τ ≥ max a where ‖y‖ = radius: a decreasing function of
    s = τ − max a, in which the equation is solved, as 1/‖y‖ is nearly linear in s. Where b has no
    part along the largest a, ‖y‖ may be too small even at s = 0, the *hard case*: the rest of the
    radius then goes along that direction, either way.

    Parameters
    ----------
    a, b : (m,) arrays
        a nonnegative.
    radius : float
        Nonnegative.
    """
    if radius == 0.0:
        return np.zeros_like(b)
    below = a.max() - a
    top = int(a.argmax())

    def direction(s: float) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(b == 0.0, 0.0, b / (s + below))

    largest = float(np.linalg.norm(b)) / radius
    least = float(np.linalg.norm(b[below == 0.0])) / radius
    if least == 0.0:
        y = direction(0.0)
        rest = radius**2 - float(y @ y)
        if rest >= 0.0:  # the hard case
            y[top] = np.sqrt(rest)
            return y
        least = np.finfo(float).tiny
    s = largest
    if least < largest:  # else all of b is along the largest a
        s = brentq(
            lambda s: 1.0 - radius / np.linalg.norm(direction(s)),
            least * (1.0 - 1e-15),
            largest * (1.0 + 1e-15),
            xtol=np.finfo(float).tiny,
            rtol=4 * np.finfo(float).eps,
            maxiter=1000,
        )
    y = direction(s)
    return y * (radius / float(np.linalg.norm(y)))
