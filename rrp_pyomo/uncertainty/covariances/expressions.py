"""Variances and volatilities as expressions, by a root or by what the variance is."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.linalg import FloatArray, LinearMap, Named, Stack
from rrp_pyomo.modeling import Affine, quad_over_lin, stack, sum_squares
from rrp_pyomo.uncertainty.covariance_set import CovarianceSet


def variance_by_root(root: LinearMap | Stack | FloatArray, w: Affine, h: Any = 1.0) -> Any:
    """‖Rw‖²/h as an expression; a factored root stays factored."""
    exposure = Named("root", root) @ w
    if isinstance(h, float):
        return sum_squares(exposure)
    return quad_over_lin(stack(exposure), h)


def smallest_mean(covariances: CovarianceSet, w: Affine) -> Any:
    """√v(w) = min over h of (v(w)/h + h)/2, attained where h = √v(w).

    The perspective v(w)/h keeps the cones of v, so that no root has to be taken of it.
    """
    program = w.program
    at_equal = np.full(w.size, w.magnitude)
    unit = float(np.sqrt(at_equal @ (covariances.center.operator @ at_equal)))
    h = program.variable(program.free_name("volatility_bound"), lower=0.0, unit=unit or 1.0)

    def best(point: FloatArray) -> FloatArray:
        value: FloatArray = np.sqrt([max(0.0, covariances._variance(w.value(point)))])
        return value

    program.definitions.append((h, best))
    return 0.5 * covariances._variance_expression(w, h) + 0.5 * h
