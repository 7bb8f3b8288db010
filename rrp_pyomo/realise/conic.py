"""Realisation as a conic form: every membership becomes rows of one cone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.errors import ModelError
from rrp_pyomo.forms.conic import ConicBuilder, ConicForm, ScaledRows
from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.forms.updating import FormPattern, Triplets
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Weighted, as_composite
from rrp_pyomo.modeling.constraints import InCone, QuadraticBound
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.realise.lowering import Lowered, is_sum_of_squares
from rrp_pyomo.realise.parametric import ParametricRows
from rrp_pyomo.realise.reduction import Reduced

# Matrices of so many entries are multiplied as arrays.
_SMALL = 10_000


@dataclass
class CompiledStatement:
    """A conic form, and the way back to the statement's constraints.

    Attributes
    ----------
    source : Lowered
        Or :class:`~rrp_pyomo.realise.reduction.Reduced`, for a form without some of its variables.
    form : ConicForm
        For the parameters' values at the last call of :meth:`compile`.
    groups : dict of str to int
        By name of membership, its group of the form.
    """

    source: Lowered
    form: ConicForm = None  # type: ignore[assignment]
    groups: dict[str, int] = field(default_factory=dict)
    _objective: Objective = None  # type: ignore[assignment]
    _columns: Columns = None  # type: ignore[assignment]
    _pattern: FormPattern | None = None
    _parametric: dict[str, InCone] = field(default_factory=dict)
    _split: ParametricRows | None = None
    _determined: list[Rows] = field(default_factory=list)
    _numbers: dict[str, FloatArray] = field(default_factory=dict)

    def compile(self) -> ConicForm:
        """The conic form for the parameters' values of now.

        Raises
        ------
        ModelError
            A constraint or the objective is not convex, by the form in which it is stated, or the
            statement has integers.
        """
        numbers = self.source.numbers
        if self.form is not None and all(
            numbers[name] is old for name, old in self._numbers.items()
        ):
            return self.form
        self.form = self._with_new_numbers() or self._built()
        self._numbers = numbers
        return self.form

    def point(self, x: FloatArray) -> FloatArray:
        """A point of the statement from one of the form."""
        source = self.source
        if not isinstance(source, Reduced):
            return x[: source.columns]
        return source.complete(x, self._determined)

    def members(self, name: str, z: FloatArray) -> list[FloatArray]:
        """The multipliers of a membership's parts, ∇objective being the sum of all G'w."""
        membership: Any = self.source.stated[name]
        w = self.form.dual(self.groups[name], z)
        if membership.cone.is_linear:
            return [w.ravel()]
        return list(membership.cone.split(w, membership.parts))

    def _built(self) -> ConicForm:
        source = self.source
        _refuse_integers(source)
        self._columns = columns = Columns.of(source)
        builder = ConicBuilder(columns.units)
        _add_bounds(builder, source, columns)
        for name, constraint in source.stated.items():
            if isinstance(constraint, QuadraticBound):
                raise not_convex(f"constraint {name!r}")
            self.groups[name] = columns.add(builder, constraint)
        self._objective = Objective(source, columns)
        if isinstance(source, Reduced):
            self._determined = [e.rows() for e in source.determined.values()]
        form = builder.build(*self._objective.numbers())
        if source.parameters:
            stated = source.stated.items()
            self._parametric = {
                name: c for name, c in stated if isinstance(c, InCone) and c.is_parametric
            }
            self._pattern = self._split = None
        return form

    def _with_new_numbers(self) -> ConicForm | None:
        """The form of before with other numbers in it; None where there is none, or none fits."""
        if self.form is None:
            return None
        if self._pattern is None or self._split is None:
            self._split = ParametricRows(
                self.source.parameters.values(),
                [part for c in self._parametric.values() for part in c.parts] + self._others(),
            )
            self._pattern = FormPattern(self.form, self._changed(self._numbers, self._split))
        changed = self._changed(self.source.numbers, self._split)
        objective = self._objective.numbers() if self._objective.is_parametric else None
        return self._pattern.with_numbers(changed, objective)

    def _others(self) -> list[Affine]:
        """What variables are that are not in the form."""
        return list(self.source.determined.values()) if isinstance(self.source, Reduced) else []

    def _changed(
        self, numbers: Mapping[str, FloatArray], split: ParametricRows
    ) -> dict[int, ScaledRows]:
        """The groups with parameters in them, by number, for values of these."""
        parts = iter(split.rows(numbers))
        changed: dict[int, ScaledRows] = {}
        for name, constraint in self._parametric.items():
            builder = ConicBuilder(self.form.column_scale)
            rows = [self._columns.rows(next(parts)) for _ in constraint.parts]
            changed[self.groups[name]] = builder.group(constraint.cone.rows(builder, rows))
        self._determined = list(parts)
        return changed


class Columns(NamedTuple):
    """The columns of a form, which may be some of a statement's.

    Attributes
    ----------
    units : array
    place : array or None
        By column of the statement, that of the form; None where they are the same.
    """

    units: FloatArray
    place: IntArray | None = None

    @classmethod
    def of(cls, source: Lowered) -> Columns:
        kept = source.kept if isinstance(source, Reduced) else None
        if kept is None:
            return cls(source.units)
        place = np.full(source.columns, -1)
        place[kept] = np.arange(kept.size)
        return cls(source.units[kept], place)

    def rows(self, rows: Rows) -> Rows:
        """Rows over the columns of the form."""
        return rows if self.place is None else rows._replace(col=self.place[rows.col])

    def add(self, builder: ConicBuilder, constraint: InCone) -> int:
        """Add a membership to a form; returns its group."""
        parts = [self.rows(part.rows()) for part in constraint.parts]
        return constraint.cone.rows(builder, parts)


class Objective:
    """The objective of a form, minimised: a row, and the triplets of ½x'Px.

    Squares Σ w ‖G x + h‖² without parameters in G and h are multiplied out once.

    Raises
    ------
    ModelError
        It is not convex.
    """

    def __init__(self, source: Lowered, columns: Columns) -> None:
        self._body = as_composite(source.objective * (-1.0 if source.maximizing else 1.0))
        self.is_parametric = self._body.is_parametric
        self._columns = columns
        self._known: dict[int, Square] = {}

    def numbers(self) -> tuple[Rows, Triplets | None]:
        """Row and triplets for the parameters' values of now."""
        row = self._columns.rows(self._body.affine.rows())
        if not self._body.terms:
            return row, None
        if not is_sum_of_squares(self._body):
            raise not_convex("the objective")
        squares = [self._square(k, w) for k, w in enumerate(self._body.terms)]
        row = Rows(
            np.concatenate([row.row, *(np.zeros(s.col.size, np.intp) for s, _ in squares)]),
            np.concatenate([row.col, *(s.col for s, _ in squares)]),
            np.concatenate([row.val, *(weight * s.linear for s, weight in squares)]),
            row.constant + sum(weight * s.constant for s, weight in squares),
        )
        return row, (
            np.concatenate([s.i for s, _ in squares]),
            np.concatenate([s.j for s, _ in squares]),
            np.concatenate([weight * s.value for s, weight in squares]),
        )

    def _square(self, k: int, weighted: Weighted) -> tuple[Square, float]:
        """The square of a term, and the number that it is multiplied by."""
        weight = weighted.numbers
        if np.ndim(weight) > 0:
            return self._square_of(weighted.term.a * np.sqrt(weight)), 1.0
        if k not in self._known or weighted.term.a.is_parametric:
            self._known[k] = self._square_of(weighted.term.a)
        return self._known[k], float(weight)

    def _square_of(self, e: Affine) -> Square:
        rows = self._columns.rows(e.rows())
        return Square.of(rows, self._columns.units.size, e.is_parametric)


class Square(NamedTuple):
    """‖G x + h‖² = ½x'Px + linear'x + constant, the upper triangle of P as triplets."""

    i: IntArray
    j: IntArray
    value: FloatArray
    col: IntArray
    linear: FloatArray
    constant: float

    @classmethod
    def of(cls, rows: Rows, columns: int, is_parametric: bool = False) -> Square:
        """Of G x + h; with a parameter in h, entries that are 0 now may not stay so."""
        h = rows.constant
        i, j, value = _upper_triangle(rows, columns)
        linear = np.zeros(columns)
        np.add.at(linear, rows.col, 2.0 * rows.val * h[rows.row])
        col = np.arange(columns) if is_parametric else np.flatnonzero(linear)
        return cls(i, j, 2.0 * value, col, linear[col], float(h @ h))


def _upper_triangle(rows: Rows, columns: int) -> Triplets:
    """The upper triangle of G'G as triplets."""
    if rows.row.size == rows.size and (np.diff(rows.row) > 0).all():  # an entry in each row
        return rows.col, rows.col, rows.val**2
    used, place = np.unique(rows.col, return_inverse=True)
    if rows.size * used.size <= _SMALL:  # sparse matrices take longer to make than to multiply
        G = np.zeros((rows.size, used.size))
        np.add.at(G, (rows.row, place), rows.val)
        i, j = np.triu_indices(used.size)
        return used[i], used[j], (G.T @ G)[i, j]
    G, _ = sparse(rows, columns)
    P = sp.triu(G.T @ G, format="coo")
    return P.row.astype(np.intp), P.col.astype(np.intp), P.data


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
                "continuous variables only; use a solver that takes integers, such as "
                "'outer_approximation', 'scip' or 'gurobi', or 'highs' where all else is linear"
            )


def _add_bounds(builder: ConicBuilder, source: Lowered, columns: Columns) -> None:
    """±(x − bound) ≥ 0 in multiples of each variable's unit, all lower bounds, then all upper."""
    units = columns.units
    for bound, sign in zip(source.bounds(), (1.0, -1.0), strict=True):
        if columns.place is not None:
            bound = bound[columns.place >= 0]
        at = np.flatnonzero(np.isfinite(bound))
        if at.size:
            size = sign / units[at]
            builder.nonnegative(Rows(np.arange(at.size), at, size, -size * bound[at]))
