"""New numbers for a conic form whose sparsity pattern stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.forms.conic import (
    ConicForm,
    FloatArray,
    IntArray,
    Rows,
    ScaledRows,
    scale_of_objective,
)

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
        objective: Rows,
        quadratic: Triplets | None,
    ) -> ConicForm | None:
        """The form with other numbers; None where they do not have the same places.

        Parameters
        ----------
        groups : mapping of int to ScaledRows
        objective : Rows
            One row.
        quadratic : triplets, optional
            Those of ½x'Px, in the same order as those that the form was built from.
        """
        form = self._form
        data, b, scale = form.A.data.copy(), form.b.copy(), form.row_scale.copy()
        restored = list(form.groups)
        for g, new in groups.items():
            old, place = self._groups[g], self._places[g]
            if not (
                np.array_equal(old.rows.row, new.rows.row)
                and np.array_equal(old.rows.col, new.rows.col)
            ):
                return None
            own = form.groups[g].rows
            values = -new.rows.val * new.scale[new.rows.row] * form.column_scale[new.rows.col]
            data[place] = 0.0
            np.add.at(data, place, values)
            b[own], scale[own] = new.rows.constant * new.scale, new.scale
            restored[g] = form.groups[g]._replace(restore=new.restore)
        A = sp.csc_matrix((data, form.A.indices, form.A.indptr), shape=form.A.shape)
        q = np.zeros(form.q.size)
        np.add.at(q, objective.col, objective.val * form.column_scale[objective.col])
        P = self._matrix(quadratic)
        objective_scale = scale_of_objective(q, P)
        if P is not None:
            P.data *= objective_scale
        return replace(
            form,
            P=P,
            q=q * objective_scale,
            A=A,
            b=b,
            constant=float(objective.constant[0]),
            row_scale=scale,
            objective_scale=objective_scale,
            groups=tuple(restored),
        )

    def _place(self, g: int) -> IntArray:
        """Where the triplets of a group are among the nonzeros of A."""
        rows = self._groups[g].rows
        return _found(self._form.A, rows.row + self._form.groups[g].rows.start, rows.col)

    def _matrix(self, quadratic: Triplets | None) -> sp.csc_matrix | None:
        P = self._form.P
        if quadratic is None or P is None:
            return None
        i, j, v = quadratic
        if self._quadratic is None:
            self._quadratic = _found(P, i, j)
        units = self._form.column_scale
        data = np.bincount(self._quadratic, v * units[i] * units[j], P.data.size)
        return sp.csc_matrix((data, P.indices, P.indptr), shape=P.shape)


def _found(matrix: sp.csc_matrix, row: IntArray, col: IntArray) -> IntArray:
    """The places of entries among the nonzeros of a matrix with sorted columns."""
    rows = np.int64(matrix.shape[0])
    columns = np.repeat(np.arange(matrix.shape[1], dtype=np.int64), np.diff(matrix.indptr))
    keys = columns * rows + matrix.indices
    return np.searchsorted(keys, col.astype(np.int64) * rows + row)
