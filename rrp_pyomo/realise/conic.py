"""Realisation as a conic form: every convex constraint becomes rows of one cone."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.errors import ModelError
from rrp_pyomo.forms.conic import ConicBuilder, ConicForm, Rows, ScaledRows
from rrp_pyomo.modeling.constraints import (
    Constraint,
    Linear,
    NormBound,
    ProductBound,
    QuadraticBound,
)
from rrp_pyomo.modeling.expressions import Affine, Quadratic
from rrp_pyomo.modeling.program import Program

FloatArray = NDArray[np.float64]


def conic_form(program: Program, compiled: MutableMapping[Constraint, ScaledRows]) -> ConicForm:
    """Compile a program to its conic form; see :meth:`Program.conic`.

    ``compiled`` holds the rows of constraints that were compiled before, and takes up the others.
    """
    builder = ConicBuilder(program.units)
    _add_bounds(builder, program)
    for name, constraint in program.constraints.items():
        if constraint in compiled:
            builder.repeat(compiled[constraint])
        else:
            _add_conic(builder, name, constraint)
            compiled[constraint] = builder.last
    sign = -1.0 if program.maximizing else 1.0
    objective = program.objective
    if isinstance(objective, Affine):
        return builder.build((sign * objective).rows())
    row, constant, triplets = _convex_quadratic(objective * sign, program.columns, "the objective")
    return builder.build(row._replace(constant=row.constant + constant), triplets)


def _add_bounds(builder: ConicBuilder, program: Program) -> None:
    """±(x − bound) ≥ 0 in multiples of each variable's unit, all lower bounds, then all upper."""
    units = program.units
    for bound, sign in zip(program.bounds(), (1.0, -1.0), strict=True):
        at = np.flatnonzero(np.isfinite(bound))
        if at.size:
            size = sign / units[at]
            builder.nonnegative(Rows(np.arange(at.size), at, size, -size * bound[at]))


def _add_conic(builder: ConicBuilder, name: str, constraint: Constraint) -> None:
    match constraint:
        case Linear(body, 0.0, 0.0):
            builder.zero(body.rows())
        case Linear(body, lower, _):
            builder.nonnegative(body.rows() if lower == 0.0 else (-body).rows())
        case NormBound(parts, bound):
            builder.second_order(bound.rows(), stacked([e.rows() for e in parts]))
        case ProductBound(a, b, c):
            builder.product(a.rows(), b.rows(), c.rows())
        case QuadraticBound(body, lower, _):
            # ‖e‖² ≤ affine is the product bound affine · 1 ≥ ‖e‖².
            small = body if lower == -np.inf else -body
            if not is_convex(constraint):
                raise ModelError(
                    f"constraint {name!r} is not convex in the form in which it is stated; use a "
                    "nonlinear solver such as 'ipopt', or state it with norm(), square() or "
                    "sum_squares()"
                )
            one = Affine(small.size, {}, 1.0)
            builder.product((-small.affine).rows(), one.rows(), squares(small))


def stacked(pieces: Sequence[Rows]) -> Rows:
    """Groups of rows, one below the other."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        none = np.zeros(0, np.intp)
        return Rows(none, none, np.zeros(0), np.zeros(0))
    starts = np.cumsum([0] + [piece.size for piece in pieces])
    return Rows(
        np.concatenate([piece.row + start for piece, start in zip(pieces, starts, strict=False)]),
        np.concatenate([piece.col for piece in pieces]),
        np.concatenate([piece.val for piece in pieces]),
        np.concatenate([piece.constant for piece in pieces]),
    )


def is_convex(constraint: QuadraticBound) -> bool:
    """Whether the constraint bounds a sum of squares from above, by its form."""
    small = constraint.body if constraint.lower == -np.inf else -constraint.body
    return constraint.lower != constraint.upper and is_sum_of_squares(small)


def is_sum_of_squares(body: Quadratic) -> bool:
    """Whether a quadratic is Σ w‖e‖² + affine with w ≥ 0, by its form."""
    if body.size > 1 and any(p.summed for p in body.products):
        return False
    return all(p.is_square and np.all(np.asarray(p.weight) >= 0) for p in body.products)


def squares(body: Quadratic) -> Rows:
    """The expressions under the squares: all of them for a scalar, row by row for a vector."""
    pieces = [(p.a * np.sqrt(p.weight)).rows() for p in body.products]
    if body.size == 1:
        return stacked(pieces)
    k = len(pieces)  # row r of piece p becomes row r·k + p
    return Rows(
        np.concatenate([piece.row * k + p for p, piece in enumerate(pieces)]),
        np.concatenate([piece.col for piece in pieces]),
        np.concatenate([piece.val for piece in pieces]),
        np.column_stack([piece.constant for piece in pieces]).ravel(),
    )


def _convex_quadratic(
    body: Quadratic, columns: int, what: str
) -> tuple[Rows, FloatArray, tuple[Any, Any, Any]]:
    """Σ w‖e‖² + affine as a row, a constant, and the upper triangle of P in ½x'Px."""
    if not is_sum_of_squares(body):
        raise ModelError(
            f"{what} is not convex in the form in which it is stated; use a nonlinear solver such "
            "as 'ipopt', or state it with square() or sum_squares()"
        )
    G, h = sparse(squares(body), columns)
    P = sp.triu(2.0 * (G.T @ G), format="coo")
    linear = 2.0 * (G.T @ h)
    row = body.affine.rows()
    at = np.flatnonzero(linear)
    row = Rows(
        np.concatenate([row.row, np.zeros(at.size, np.intp)]),
        np.concatenate([row.col, at]),
        np.concatenate([row.val, linear[at]]),
        row.constant,
    )
    return row, np.array([h @ h]), (P.row.astype(np.intp), P.col.astype(np.intp), P.data)


def sparse(rows: Rows, columns: int) -> tuple[sp.csr_matrix, FloatArray]:
    shape = rows.size, columns
    return sp.csr_matrix((rows.val, (rows.row, rows.col)), shape=shape), rows.constant
