"""Realisation as a conic form: every membership becomes rows of one cone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.errors import ModelError
from rrp_pyomo.forms.conic import ConicBuilder, ConicForm, Rows, ScaledRows, stacked
from rrp_pyomo.modeling.constraints import QuadraticBound
from rrp_pyomo.modeling.expressions import Composite
from rrp_pyomo.realise.lifting import Lowered, is_sum_of_squares

FloatArray = NDArray[np.float64]


@dataclass
class CompiledStatement:
    """A conic form, and the way back to the statement's constraints.

    Attributes
    ----------
    source : Lowered
    rows : dict of str to ScaledRows
        Those of constraints without parameters, for the next time.
    form : ConicForm
    groups : dict of str to int
        By name of membership, its group of the form.
    """

    source: Lowered
    rows: dict[str, ScaledRows] = field(default_factory=dict)
    form: ConicForm = None  # type: ignore[assignment]
    groups: dict[str, int] = field(default_factory=dict)

    def compile(self) -> ConicForm:
        """The conic form for the parameters' values of now.

        Raises
        ------
        ModelError
            A constraint or the objective is not convex, by the form in which it is stated, or the
            statement has integers.
        """
        source = self.source
        _refuse_integers(source)
        builder = ConicBuilder(source.units)
        _add_bounds(builder, source)
        for name, constraint in source.stated.items():
            if isinstance(constraint, QuadraticBound):
                raise not_convex(f"constraint {name!r}")
            if name in self.rows:
                self.groups[name] = builder.repeat(self.rows[name])
                continue
            parts = [part.rows() for part in constraint.parts]
            group = self.groups[name] = constraint.cone.rows(builder, parts)
            if not constraint.is_parametric:
                self.rows[name] = builder.group(group)
        self.form = _with_objective(builder, source)
        return self.form

    def members(self, name: str, z: FloatArray) -> list[FloatArray]:
        """The multipliers of a membership's parts, ∇objective being the sum of all G'w."""
        membership: Any = self.source.stated[name]
        w = self.form.dual(self.groups[name], z)
        if membership.cone.is_linear:
            return [w.ravel()]
        return list(membership.cone.split(w, membership.parts))


def _with_objective(builder: ConicBuilder, source: Lowered) -> ConicForm:
    sign = -1.0 if source.maximizing else 1.0
    objective = source.objective * sign
    if not isinstance(objective, Composite) or not objective.terms:
        affine = objective.affine if isinstance(objective, Composite) else objective
        return builder.build(affine.rows())
    if not is_sum_of_squares(objective):
        raise not_convex("the objective")
    G, h = sparse(squares(objective), source.columns)
    P = sp.triu(2.0 * (G.T @ G), format="coo")
    linear = 2.0 * (G.T @ h)
    at = np.flatnonzero(linear)
    row = stacked_row(objective.affine.rows(), at, linear[at], float(h @ h))
    return builder.build(row, (P.row.astype(np.intp), P.col.astype(np.intp), P.data))


def stacked_row(row: Rows, col: Any, val: FloatArray, constant: float) -> Rows:
    """One row plus more entries and a constant."""
    return Rows(
        np.concatenate([row.row, np.zeros(col.size, np.intp)]),
        np.concatenate([row.col, col]),
        np.concatenate([row.val, val]),
        row.constant + constant,
    )


def squares(body: Composite) -> Rows:
    """The expressions under the squares of a scalar."""
    return stacked([(w.term.a * np.sqrt(w.numbers)).rows() for w in body.terms])


def sparse(rows: Rows, columns: int) -> tuple[sp.csr_matrix, FloatArray]:
    """Rows as a sparse matrix, and their constants."""
    shape = rows.size, columns
    return sp.csr_matrix((rows.val, (rows.row, rows.col)), shape=shape), rows.constant


def not_convex(what: str) -> ModelError:
    """What conic realisations say of products that are no cone."""
    return ModelError(
        f"{what} is not convex in the form in which it is stated; use a nonlinear solver such "
        "as 'ipopt', or state it with norm(), square() or sum_squares()"
    )


def _refuse_integers(source: Lowered) -> None:
    for variable in source.variables.values():
        if variable.domain != "continuous":
            raise ModelError(
                f"variable {variable.name!r} is {variable.domain}, and a conic form has "
                "continuous variables only; use a solver that takes integers, such as 'scip' or "
                "'gurobi', or 'highs' where everything else is linear"
            )


def _add_bounds(builder: ConicBuilder, source: Lowered) -> None:
    """±(x − bound) ≥ 0 in multiples of each variable's unit, all lower bounds, then all upper."""
    units = source.units
    for bound, sign in zip(source.bounds(), (1.0, -1.0), strict=True):
        at = np.flatnonzero(np.isfinite(bound))
        if at.size:
            size = sign / units[at]
            builder.nonnegative(Rows(np.arange(at.size), at, size, -size * bound[at]))
