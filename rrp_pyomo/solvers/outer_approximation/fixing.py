"""A form with some of its variables at given numbers: fewer columns, the same rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray


class Fixing:
    """The form that is left where some variables are fixed; each time with other numbers."""

    def __init__(self, form: ConicForm, columns: IntArray) -> None:
        self._form = form
        self.columns = columns
        self.free = np.setdiff1d(np.arange(form.q.size), columns)
        self._A_free = form.A[:, self.free].tocsc()
        self._A_fixed = form.A[:, columns].tocsc()
        self._P_free: sp.csc_matrix | None = None
        if form.P is not None:
            self._full = (form.P + sp.triu(form.P, 1).T).tocsc()
            P_free = sp.triu(self._full[np.ix_(self.free, self.free)], format="csc")
            self._P_free = P_free if P_free.nnz else None

    def at(self, values: FloatArray) -> ConicForm:
        """The form for these numbers."""
        form = self._form
        q, constant = form.q[self.free], float(form.q[self.columns] @ values)
        if form.P is not None:
            of_fixed = self._full[:, self.columns] @ values
            q = q + of_fixed[self.free]
            constant += 0.5 * float(of_fixed[self.columns] @ values)
        return replace(
            form,
            P=self._P_free,
            q=q,
            A=self._A_free,
            b=form.b - self._A_fixed @ values,
            constant=form.constant + constant / form.objective_scale,
            column_scale=form.column_scale[self.free],
        )

    def whole(self, free: FloatArray, values: FloatArray) -> FloatArray:
        """All variables of the form."""
        x = np.empty(self.free.size + self.columns.size)
        x[self.free], x[self.columns] = free, values
        return x
