"""Which rows of an expression have one sign throughout: absolute values of those are linear."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, abs


def row_signs(d: Affine) -> FloatArray:
    """1 for rows that the bounds of the variables keep at least 0, −1 for those at most 0, else 0.

    Rows with parameters, whose values may change, have 0.
    """
    if d.is_parametric or not d.terms:
        return np.zeros(d.size)
    row, col, val, constant = d.rows()
    lower, upper = np.empty((2, max(v.offset + v.size for v in d.terms)))
    for v in d.terms:
        lower[v.offset : v.offset + v.size], upper[v.offset : v.offset + v.size] = v.lower, v.upper
    used = val != 0.0
    row, col, val = row[used], col[used], val[used]
    ends = val * lower[col], val * upper[col]
    least = constant + np.bincount(row, np.minimum(*ends), d.size)
    most = constant + np.bincount(row, np.maximum(*ends), d.size)
    return np.where(least >= 0.0, 1.0, np.where(most <= 0.0, -1.0, 0.0))


def weighted_absolute(d: Affine, widths: FloatArray) -> Any:
    """Σ widths_i |d_i|: linear where the sign of d_i is known, no row where the width is 0."""
    signs = row_signs(d)
    linear = (signs * widths) @ d
    open_rows = np.flatnonzero((signs == 0.0) & (widths != 0.0))
    if not open_rows.size:
        return linear
    total = widths[open_rows] @ abs(picked(d, open_rows))
    return linear + total if open_rows.size < d.size else total


def picked(d: Affine, at: Any) -> Affine:
    """Some rows by their places."""
    if len(at) == d.size:
        return d
    return d[[d.labels[i] for i in at] if d.labels else list(at)]


def without_sign(d: Affine) -> Affine:
    """x in place of −x, for a norm: what others state of x, such as its exposures, is shared."""
    if len(d.terms) == 1 and not np.any(d.constant):
        ((symbol, block),) = d.terms.items()
        if symbol.is_variable and isinstance(block, float) and block == -1.0:
            found: Affine = symbol
            return found
    return d
