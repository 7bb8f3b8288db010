"""Linear rows, collected one by one from expressions or whole from matrices."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from pyomo.common.errors import PyomoException
from pyomo.core.kernel.matrix_constraint import matrix_constraint

from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.reading.checks import INFINITE, not_finite


class LinearRows(NamedTuple):
    """lower ≤ rows ≤ upper, with the constraint that each row comes from."""

    rows: Rows
    lower: FloatArray
    upper: FloatArray
    constraints: list[Any]


class _Part(NamedTuple):
    lengths: IntArray
    col: IntArray
    val: FloatArray
    constant: FloatArray
    lower: FloatArray
    upper: FloatArray


class LinearCollector:
    """Collects rows and joins them at the end."""

    def __init__(self) -> None:
        self._length, self._col, self._val = array("q"), array("q"), array("d")
        self._constant, self._lower, self._upper = array("d"), array("d"), array("d")
        self._constraints: list[Any] = []
        self._matrices: list[_Part] = []
        self._matrix_rows: list[Any] = []

    def row(
        self,
        constraint: Any,
        columns: Iterable[int],
        values: Iterable[float],
        constant: float,
        lower: float | None,
        upper: float | None,
    ) -> None:
        """One row, from a constraint.

        Raises
        ------
        IncompatibleModelError
            A value is no number.
        """
        before = len(self._val)
        try:
            self._col.extend(columns)
            self._val.extend(values)
            self._constant.append(constant)
            self._lower.append(-np.inf if lower is None else lower)
            self._upper.append(np.inf if upper is None else upper)
        except (PyomoException, ValueError, TypeError) as error:
            raise not_finite("constraint", constraint) from error
        self._length.append(len(self._val) - before)
        self._constraints.append(constraint)

    def matrix(self, block: matrix_constraint, columns: IntArray) -> None:
        """All rows of a matrix; those that are not active get infinite bounds."""
        A = block._A if block.sparse else sp.csr_matrix(block._A)  # block.A makes a new view
        lower, upper, constraints = block.lb, block.ub, list(block)
        idle = [k for k, c in enumerate(constraints) if not c._active]
        if idle:
            lower, upper = lower.copy(), upper.copy()
            lower[idle], upper[idle] = -np.inf, np.inf
        lengths, col = A.indptr[1:] - A.indptr[:-1], columns[A.indices]
        self._matrices.append(_Part(lengths, col, A.data, np.zeros(lengths.size), lower, upper))
        self._matrix_rows += constraints

    def joined(self) -> LinearRows:
        """All rows, those of expressions first.

        Raises
        ------
        IncompatibleModelError
            A number is NaN or infinite where it may not be.
        """
        stated = _Part(
            np.array(self._length, np.intp),
            np.array(self._col, np.intp),
            np.array(self._val),
            np.array(self._constant),
            np.array(self._lower),
            np.array(self._upper),
        )
        parts = zip(stated, *self._matrices, strict=True)
        lengths, col, val, constant, lower, upper = map(np.concatenate, parts)
        rows = Rows(np.repeat(np.arange(lengths.size), lengths), col, val, constant)
        constraints = self._constraints + self._matrix_rows
        sound = np.isfinite(constant) & (lower < INFINITE) & (upper > -INFINITE)  # false for NaN
        sound[rows.row[~np.isfinite(val)]] = False
        if not sound.all():
            raise not_finite("constraint", constraints[int(np.argmin(sound))])
        return LinearRows(rows, lower, upper, constraints)
