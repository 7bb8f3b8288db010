"""Triangles of semidefinite matrices, in the orders in which solvers want them."""

from __future__ import annotations

from math import isqrt

import numpy as np

from rrp_pyomo.forms.conic import SEMIDEFINITE, Cone, ConicForm
from rrp_pyomo.forms.rows import IntArray


def matrix_order(cone: Cone) -> int:
    """d of the d × d matrices whose triangles have the cone's dimension d(d+1)/2."""
    return (isqrt(8 * cone.dimension + 1) - 1) // 2


def lower_triangles(form: ConicForm) -> IntArray | None:
    """The places of the form's rows once triangles are lower ones; None where there is no triangle.

    Both go column by column: the entries (1,1), (2,1), …, (d,1), (2,2), … of a lower triangle are
    (1,1), (1,2), …, (1,d), (2,2), … in the upper one that a form has.
    """
    if not any(cone.kind == SEMIDEFINITE for cone in form.cones):
        return None
    pieces = []
    for cone, own in form.blocks():
        rows = np.arange(own.start, own.stop).reshape(cone.count, cone.dimension)
        if cone.kind == SEMIDEFINITE:
            column, row = np.triu_indices(matrix_order(cone))  # entry (row, column), row ≥ column
            rows = rows[:, row * (row + 1) // 2 + column]
        pieces.append(rows.ravel())
    return np.concatenate(pieces)
