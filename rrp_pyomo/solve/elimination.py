"""Variables that linear equations define, written as functions of the others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.errors import InfeasibleError
from rrp_pyomo.linalg import BoolArray, FloatArray
from rrp_pyomo.solvers.reading.standard_form import StandardForm


class Reduced(NamedTuple):
    """Columns, in multiples of their units, as affine functions of those that are kept.

    Attributes
    ----------
    columns : (N, 1 + k) array
        Constant and coefficients of each column.
    kept : list of int
    rows : (m, 1 + k) array
        Bounds and linear inequalities, as ``rows ≥ 0``.
    """

    columns: FloatArray
    kept: list[int]
    rows: FloatArray

    @classmethod
    def of(cls, stated: StandardForm) -> Reduced:
        linear = stated.substituted(stated.linear.rows)
        n = len(stated.variables)
        A = sp.csr_array((linear.val, (linear.row, linear.col)), (linear.size, n)).toarray()
        A *= stated.units
        low, high = (side - linear.constant for side in (stated.linear.lower, stated.linear.upper))
        equal = low == high
        free = np.isinf(stated.lower) & np.isinf(stated.upper)
        solved, pivots = _solved(np.column_stack([-low, A])[equal], free, (A != 0.0).sum(axis=0))
        kept = [j for j in range(n) if j not in pivots]
        columns = np.zeros((n, 1 + len(kept)))
        columns[kept, 1 + np.arange(len(kept))] = 1.0
        for j, row in pivots.items():
            columns[j] = -solved[row][[0, *(1 + k for k in kept)]]
        whole = np.vstack([np.eye(1 + len(kept))[:1], columns])
        eye, units = np.eye(n), stated.units
        sides = np.vstack(
            [
                np.column_stack([-low, A])[~equal],
                np.column_stack([high, -A])[~equal],
                np.column_stack([-stated.lower / units, eye]),
                np.column_stack([stated.upper / units, -eye]),
            ]
        )
        return cls(columns, kept, _normalised(sides[np.isfinite(sides[:, 0])] @ whole))


def _solved(
    equations: FloatArray, free: BoolArray, mentions: FloatArray
) -> tuple[FloatArray, dict[int, int]]:
    """Equations solved for columns, and which row each of these columns is in.

    If possible they have no bounds, and of several it is the one that the fewest rows mention:
    marginal risks rather than weights.
    """
    equations = _normalised(equations)
    pivots: dict[int, int] = {}
    for k, row in enumerate(equations):
        size = np.abs(row[1:])
        if size.max() <= 1e-9:
            if abs(row[0]) > 1e-7:
                raise InfeasibleError(
                    f"{len(equations)} linear equations contradict each other; relax one of them"
                )
            continue
        able = size > 0.01 * size.max()
        able = np.flatnonzero(able & free if (able & free).any() else able)
        j = int(able[mentions[able].argmin()])
        row /= row[1 + j]
        others = np.arange(len(equations)) != k
        equations[others] -= np.outer(equations[others, 1 + j], row)
        pivots[j] = k
    equations[np.abs(equations) < 1e-13] = 0.0
    return equations, pivots


def _normalised(rows: FloatArray) -> FloatArray:
    """Rows divided by their largest coefficient; none without one."""
    size = np.abs(rows[:, 1:]).max(axis=1, initial=0.0)
    kept = size > 1e-12
    result: FloatArray = rows[kept] / size[kept, None]
    return result
