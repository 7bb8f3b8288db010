"""New numbers for a conic form whose sparsity pattern stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.forms.conic import ConicForm, ScaledRows, scale_of_objective, with_data
from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.linalg import FloatArray

Triplets = tuple[IntArray, IntArray, FloatArray]


class FormPattern:
    """The places of a form's numbers, so that some of them can be replaced.

    Parameters
    ----------
    form : ConicForm
    groups : mapping of int to ScaledRows
        The groups whose numbers will change, as they went into the form.
    """

    def __init__(self, form: ConicForm, groups: Mapping[int, ScaledRows]) -> None:
        self._form = form
        self._groups = dict(groups)
        self._places = {g: self._place(g) for g in groups}
        self._quadratic: IntArray | None = None

    def with_numbers(
        self,
        groups: Mapping[int, ScaledRows],
        objective: tuple[Rows, Triplets | None] | None,
    ) -> ConicForm | None:
        """The form with other numbers; None where they do not have the same places.

        Parameters
        ----------
        groups : mapping of int to ScaledRows
            Those of the constructor.
        objective : (Rows, triplets or None), optional
            One row, and ½x'Px in the same order as that which the form was built from; what the
            form has by default.
        """
        form = self._form
        changes: dict[str, Any] = {} if objective is None else self._objective(*objective)
        if not groups:
            return replace(form, **changes)
        data, b, scale = form.A.data.copy(), form.b.copy(), form.row_scale.copy()
        restored = list(form.groups)
        for g, new in groups.items():
            old, (place, repeats) = self._groups[g].rows, self._places[g]
            same = np.array_equal(old.row, new.rows.row) and np.array_equal(old.col, new.rows.col)
            if not same:
                return None
            own = form.groups[g].rows
            values = -new.rows.val * new.scale[new.rows.row] * form.column_scale[new.rows.col]
            data[place] = 0.0 if repeats else values
            if repeats:
                np.add.at(data, place, values)
            b[own], scale[own] = new.rows.constant * new.scale, new.scale
            restored[g] = form.groups[g]._replace(restore=new.restore, product=new.product)
        A = with_data(form.A, data)
        return replace(form, A=A, b=b, row_scale=scale, groups=tuple(restored), **changes)

    def _objective(self, row: Rows, quadratic: Triplets | None) -> dict[str, Any]:
        units = self._form.column_scale
        q = np.bincount(row.col, row.val * units[row.col], units.size).astype(float)
        P = self._matrix(quadratic)
        scale = scale_of_objective(q, P, units)
        if P is not None:
            P.data *= scale
        constant = float(row.constant[0])
        return {"P": P, "q": q * scale, "constant": constant, "objective_scale": scale}

    def _place(self, g: int) -> tuple[IntArray, bool]:
        """Where the triplets of a group are among the nonzeros of A, and whether some repeat."""
        rows = self._groups[g].rows
        place = _found(self._form.A, rows.row + self._form.groups[g].rows.start, rows.col)
        return place, np.unique(place).size < place.size

    def _matrix(self, quadratic: Triplets | None) -> sp.csc_matrix | None:
        P = self._form.P
        if quadratic is None or P is None:
            return None
        i, j, v = quadratic
        if self._quadratic is None:
            self._quadratic = _found(P, i, j)
        units = self._form.column_scale
        data = np.bincount(self._quadratic, v * units[i] * units[j], P.data.size).astype(float)
        return with_data(P, data)


def _found(matrix: sp.csc_matrix, row: IntArray, col: IntArray) -> IntArray:
    """The places of entries among the nonzeros of a matrix with sorted columns."""
    rows = np.int64(matrix.shape[0])
    columns = np.repeat(np.arange(matrix.shape[1], dtype=np.int64), np.diff(matrix.indptr))
    keys = columns * rows + matrix.indices
    return np.searchsorted(keys, col.astype(np.int64) * rows + row)
