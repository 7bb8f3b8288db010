"""Linear rows, collected one by one from expressions or whole from matrices."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from pyomo.common.errors import PyomoException
from pyomo.core.base.var import ScalarVar, VarData
from pyomo.core.expr.numeric_expr import LinearExpression, MonomialTermExpression
from pyomo.core.kernel.expression import expression as named_expression
from pyomo.core.kernel.matrix_constraint import matrix_constraint
from pyomo.core.kernel.variable import variable as kernel_variable

from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.reading.checks import INFINITE, not_finite
from rrp_pyomo.solvers.reading.columns import Columns


class LinearRows(NamedTuple):
    """lower ≤ rows ≤ upper, with the constraint that each row comes from."""

    rows: Rows
    lower: FloatArray
    upper: FloatArray
    constraints: list[Any]


class PlainSum(NamedTuple):
    """Σ linear[id of variable] · variable + constant, in the words of Pyomo's own visitors."""

    linear: dict[int, float]
    constant: float
    quadratic: None = None
    nonlinear: None = None


def plain_sum(expression: Any, columns: Columns) -> PlainSum | None:
    """A sum of unfixed variables, each at most once, times numbers; None for anything else.

    Pyomo's visitors read all expressions, but need longer to start than most sums to be read.
    """
    if expression.__class__ is named_expression:
        expression = expression.expr
    if expression.__class__ is not LinearExpression:
        return None
    variables, values, constant = [], [], 0.0
    for term in expression.args:
        kind = term.__class__
        if kind is MonomialTermExpression:
            value, variable = term._args_
            if (value.__class__ is not float and value.__class__ is not int) or not value:
                return None
            variables.append(variable)
            values.append(value)
        elif kind is float or kind is int:
            constant += term
        elif kind is kernel_variable or kind is VarData or kind is ScalarVar:
            variables.append(term)
            values.append(1.0)
        else:
            return None
    linear = dict(zip(map(id, variables), values, strict=True))
    if len(linear) < len(variables) or any(map(attrgetter("fixed"), variables)):
        return None
    columns.of(variables)
    return PlainSum(linear, constant)


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
