"""The signs that weights have by their bounds, for which absolute values need no rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, abs


def known_signs(w: Affine) -> FloatArray | None:
    """1 for rows that are at least 0 and −1 for those at most 0, by the variables' own bounds.

    None where a row can have either sign, or where a parameter, whose value changes, is in it.
    """
    if w.is_parametric or w.program is None:
        return None
    row, col, val, constant = w.rows()
    lower, upper = w.program.bounds()
    ends = []
    for low, high in ((lower, upper), (upper, lower)):
        values = val * np.where(val > 0.0, low[col], high[col])
        ends.append(constant + np.bincount(row, weights=values, minlength=w.size))
    least, most = ends
    signs = np.where(least >= 0.0, 1.0, np.where(most <= 0.0, -1.0, 0.0))
    return signs if signs.all() else None


def absolute(w: Affine) -> Any:
    """|w|, row by row: affine where the signs are known."""
    signs = known_signs(w)
    return abs(w) if signs is None else w * signs
