"""Where the cones are put together: affine rows become a scaled, sparse conic form.

    minimise    ½ x'Px + q'x + constant
    subject to  b − A x ∈ K,     K a product of cones

Whoever compiles a model (a :class:`~rrp_pyomo.modeling.program.Program` or a Pyomo model) hands
groups of affine rows to a :class:`ConicBuilder`, which balances their magnitudes, turns product
bounds into second-order cones and sorts everything into one :class:`ConicForm`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.forms.rows import IntArray, Rows, scattered
from rrp_pyomo.linalg import FloatArray

ZERO, NONNEGATIVE, SECOND_ORDER = "zero", "nonnegative", "second_order"
SEMIDEFINITE, EXPONENTIAL, POWER = "semidefinite", "exponential", "power"
#: The largest number by which a row is divided for its coefficients alone, how many times as large
#: as they are a constant is divided by instead, and the largest one for an objective with units.
LARGE, FAR, UNITS = 1e2, 10.0, 10.0
# Triplets of so many entries are sorted here.
_FEW = 5000
_ORDER = (ZERO, NONNEGATIVE, SECOND_ORDER, SEMIDEFINITE, EXPONENTIAL, POWER)


@dataclass(frozen=True, slots=True)
class Cone:
    """``count`` cones of one kind and dimension, their rows one after the other.

    ``zero`` {s = 0} and ``nonnegative`` {s ≥ 0} have count 1 and dimension the number of rows;
    ``second_order`` is {s₀ ≥ ‖s₁…‖₂}, ``exponential`` {s₁ exp(s₀/s₁) ≤ s₂, s₁ > 0} and ``power``
    {s₀^α s₁^(1−α) ≥ |s₂|, s₀, s₁ ≥ 0}, as Clarabel and SCS define them. ``semidefinite`` of
    dimension d(d+1)/2 holds the upper triangles of positive semidefinite d × d matrices, column by
    column, (1,1), (1,2), (2,2), (1,3), …, off-diagonal entries multiplied by √2.
    """

    kind: str
    dimension: int
    count: int = 1
    alpha: float = 0.0


class RowGroup(NamedTuple):
    """Where the rows of one call of the builder went.

    ``restore`` turns the multipliers of rows T s, a row for each cone, to those of s: w = T'z.
    ``product`` is 4 ρ_a ρ_b where the rows are those of product bounds: what the solver's
    s₀² − ‖s₁…‖² is multiples of a b − ‖c‖² of.
    """

    rows: slice
    dimension: int
    restore: Callable[[FloatArray], FloatArray] | None
    product: FloatArray | float | None = None


@dataclass(frozen=True, eq=False)
class ConicForm:
    """A conic problem in the scaled variables x̂ = x / column_scale, ready for a solver.

    Attributes
    ----------
    P : (n, n) csc_matrix or None
        Upper triangle of the objective's quadratic term; None for a linear objective.
    q : (n,) array
    A : (k, n) csc_matrix
    b : (k,) array
    cones : tuple of Cone
        In the order of the rows.
    constant : float
        The constant of the objective, unscaled.
    column_scale, row_scale : arrays of shape (n,) and (k,)
        ``x = column_scale * x̂`` and ``s = ŝ / row_scale`` (for the rows of a product bound the
        latter holds after the cone's own rotation only).
    objective_scale : float
        The stated objective is ``(½ x̂'Px̂ + q'x̂) / objective_scale + constant``.
    groups : tuple of RowGroup
        In the order in which they were handed to the builder.
    by_cone : bool
        Whether rows were scaled one by one, for want of units; see :class:`ConicBuilder`.

    Examples
    --------
    What a conic solver gets: rows in zero, nonnegative and second-order cones.

    >>> from rrp_pyomo import Program, norm
    >>> program = Program()
    >>> x = program.variable("x", 2, lower=0)
    >>> program.subject_to(total=x.sum() == 1)
    >>> program.minimize(norm(x))
    >>> form = program.conic()
    >>> form.A.shape, [(cone.kind, cone.dimension) for cone in form.cones]
    ((7, 3), [('zero', 1), ('nonnegative', 3), ('second_order', 3)])
    """

    P: sp.csc_matrix | None
    q: FloatArray
    A: sp.csc_matrix
    b: FloatArray
    cones: tuple[Cone, ...]
    constant: float
    column_scale: FloatArray
    row_scale: FloatArray
    objective_scale: float
    groups: tuple[RowGroup, ...]
    by_cone: bool = False

    @cached_property
    def columns(self) -> IntArray:
        """The column of each entry of A."""
        return np.repeat(np.arange(self.A.shape[1]), np.diff(self.A.indptr))

    def rescaled(self) -> ConicForm:
        """The same problem, its rows divided by the largest coefficient of each cone's."""
        largest = np.zeros(self.b.size)
        np.maximum.at(largest, self.A.indices, np.abs(self.A.data))
        for cone, own in self.blocks():
            if cone.kind not in (ZERO, NONNEGATIVE):
                members = largest[own].reshape(cone.count, -1).max(axis=1)
                largest[own] = np.repeat(members, cone.dimension)
        factor = 1.0 / np.where(largest > 0.0, largest, 1.0)
        A = with_data(self.A, self.A.data * factor[self.A.indices])
        return replace(self, A=A, b=self.b * factor, row_scale=self.row_scale * factor)

    def blocks(self) -> Iterator[tuple[Cone, slice]]:
        """Each kind of cone, and its rows."""
        start = 0
        for cone in self.cones:
            rows = slice(start, start + cone.count * cone.dimension)
            yield cone, rows
            start = rows.stop

    def objective(self, scaled: float) -> float:
        """The stated objective for a solver's objective value (primal or dual)."""
        return scaled / self.objective_scale + self.constant

    def dual(self, group: int, z: FloatArray) -> FloatArray:
        """The multipliers w of the affine rows s = G x + g of a group, as they were handed over.

        They satisfy ∇objective = Σ G'w, the sum over all groups. Product bounds and matrices were
        turned into T s by the builder; their multipliers are turned back, w = T'z.

        Parameters
        ----------
        group : int
            What the builder's method returned.
        z : (k,) array
            Multipliers of the form's rows, unscaled.

        Returns
        -------
        (count, dimension) array
            A row for each cone; for ``zero`` and ``nonnegative`` rows a single one.
        """
        rows, dimension, restore, _ = self.groups[group]
        w: FloatArray = z[rows].reshape(-1, dimension)
        return w if restore is None else restore(w)


class ScaledRows(NamedTuple):
    """Rows of one call of the builder, as they go into the form: ``scale`` times each row."""

    cone: Cone
    rows: Rows
    scale: FloatArray
    restore: Callable[[FloatArray], FloatArray] | None = None
    product: FloatArray | float | None = None


class ConicBuilder:
    """Collects affine rows, cone by cone, and builds the conic form.

    Every method that adds rows returns the number of their group, its place in
    :attr:`ConicForm.groups`.

    Parameters
    ----------
    units : (n,) array
        The typical magnitude of each variable. Every group of rows is divided by the magnitude that
        follows from it, so that a solver's absolute tolerances mean the same in each of them.
    by_cone : bool
        Whether each linear row and each cone has a magnitude of its own, instead of one for the
        group: for rows that have nothing but their kind in common.
    """

    def __init__(self, units: FloatArray, by_cone: bool = False) -> None:
        self._units = units
        self._by_cone = by_cone
        self._groups: list[ScaledRows] = []

    def variables(self, units: FloatArray) -> IntArray:
        """Add auxiliary variables of these magnitudes; returns their columns."""
        first = self._units.size
        self._units = np.concatenate([self._units, units])
        return np.arange(first, self._units.size)

    @property
    def count(self) -> int:
        """The number of groups so far."""
        return len(self._groups)

    def group(self, number: int) -> ScaledRows:
        """What the call with this number added, for :meth:`repeat`."""
        return self._groups[number]

    def repeat(self, group: ScaledRows) -> int:
        """Rows that a builder with the same variables had before."""
        self._groups.append(group)
        return len(self._groups) - 1

    def zero(self, rows: Rows) -> int:
        """Rows = 0."""
        return self._add(Cone(ZERO, rows.size), rows, self._row_scale(rows, rows.size))

    def nonnegative(self, rows: Rows) -> int:
        """Rows ≥ 0."""
        return self._add(Cone(NONNEGATIVE, rows.size), rows, self._row_scale(rows, rows.size))

    def second_order(self, bound: Rows, vector: Rows) -> int:
        """‖vector_k‖₂ ≤ bound_k for each row k of ``bound``, all vector_k of the same length."""
        count = bound.size
        if count == 1:
            return self.second_order_rows(bound.above(vector), 1 + vector.size)
        length = vector.size // count
        first = np.arange(count) * (1 + length)
        rest = (first[:, None] + np.arange(1, 1 + length)).ravel()
        rows = scattered(count * (1 + length), (bound, first, 1.0), (vector, rest, 1.0))
        return self.second_order_rows(rows, 1 + length)

    def second_order_rows(self, rows: Rows, dimension: int) -> int:
        """‖(s₁, s₂, …)‖₂ ≤ s₀ for each ``dimension`` consecutive rows s."""
        count = rows.size // dimension
        scale = self._row_scale(rows, count)
        return self._add(Cone(SECOND_ORDER, dimension, count), rows, scale)

    def product(self, a: Rows, b: Rows, c: Rows) -> int:
        """a_k b_k ≥ ‖c_k‖₂², a_k, b_k ≥ 0, for each row k of ``a`` and ``b``.

        A rotated cone is a second-order cone turned by 45°: with any ρ_a, ρ_b > 0,

            a b ≥ ‖c‖²,  a, b ≥ 0   ⇔   ‖(ρ_a a − ρ_b b, 2 √(ρ_a ρ_b) c)‖₂ ≤ ρ_a a + ρ_b b.

        The factors balance the two sides; without them, weights of order 1 would drown marginal
        risks of order 1e-5.
        """
        count = a.size
        length = c.size // count
        rho_a, rho_b = self._balance(a, count), self._balance(b, count)
        rho_c = 2.0 * np.sqrt(rho_a * rho_b)
        first = np.arange(count) * (2 + length)
        rest = (first[:, None] + np.arange(2, 2 + length)).ravel()
        rows = scattered(
            count * (2 + length),
            (a, first, rho_a),
            (b, first, rho_b),
            (a, first + 1, rho_a),
            (b, first + 1, -rho_b),
            (c, rest, np.repeat(rho_c, length) if isinstance(rho_c, np.ndarray) else rho_c),
        )

        def restore(w: FloatArray) -> FloatArray:
            turned: FloatArray = w * np.reshape(rho_c, (-1, 1))
            turned[:, 0] = rho_a * (w[:, 0] + w[:, 1])
            turned[:, 1] = rho_b * (w[:, 0] - w[:, 1])
            return turned

        cone = Cone(SECOND_ORDER, 2 + length, count)
        return self._add(cone, rows, np.ones(rows.size), restore, rho_c**2)

    def semidefinite(self, entries: Rows, side: int) -> int:
        """The matrix with these d² entries, row after row, or its symmetric part: S ⪰ 0."""
        i, j = np.divmod(np.arange(side * side), side)
        column = np.maximum(i, j)
        place = column * (column + 1) // 2 + np.minimum(i, j)
        factor = np.where(i == j, 1.0, np.sqrt(0.5))
        size = side * (side + 1) // 2
        rows = Rows(
            place[entries.row],
            entries.col,
            factor[entries.row] * entries.val,
            np.bincount(place, factor * entries.constant, size).astype(float),
        )
        return self._add(
            Cone(SEMIDEFINITE, size), rows, self._row_scale(rows, 1), lambda w: w[:, place] * factor
        )

    def exponential(self, x: Rows, y: Rows, z: Rows) -> int:
        """y_k exp(x_k / y_k) ≤ z_k, y_k > 0, and the closure of this set, for each row k."""
        first = np.arange(x.size) * 3
        rows = scattered(3 * x.size, (x, first, 1.0), (y, first + 1, 1.0), (z, first + 2, 1.0))
        return self._add(Cone(EXPONENTIAL, 3, x.size), rows, self._row_scale(rows, x.size))

    def power(self, a: Rows, b: Rows, c: Rows, alpha: float) -> int:
        """a_k^α b_k^(1−α) ≥ |c_k|, a_k, b_k ≥ 0, for each row k.

        The two sides are balanced by any ρ_a, ρ_b > 0 if c is multiplied by ρ_a^α ρ_b^(1−α).
        """
        count = a.size
        first = np.arange(count) * 3
        rows = scattered(3 * count, (a, first, 1.0), (b, first + 1, 1.0), (c, first + 2, 1.0))
        rho_a, rho_b = self._balance(a, count), self._balance(b, count)
        scale = np.empty((count, 3))
        scale[:, 0], scale[:, 1], scale[:, 2] = rho_a, rho_b, rho_a**alpha * rho_b ** (1.0 - alpha)
        return self._add(Cone(POWER, 3, count, alpha), rows, scale.ravel())

    def build(
        self, objective: Rows, quadratic: tuple[IntArray, IntArray, FloatArray] | None = None
    ) -> ConicForm:
        """The conic form that minimises one affine row (plus ½x'Px, upper triangle triplets)."""
        order = sorted(
            range(len(self._groups)), key=lambda g: _ORDER.index(self._groups[g].cone.kind)
        )
        groups = [self._groups[g] for g in order]
        starts = np.concatenate([[0], np.cumsum([group.rows.size for group in groups])])
        placed = dict(zip(order, starts.tolist(), strict=False))

        n, size = self._units.size, int(starts[-1])
        scale = _concatenate([group.scale for group in groups])
        row = _concatenate([g.rows.row + s for g, s in zip(groups, starts, strict=False)], np.intp)
        col = _concatenate([group.rows.col for group in groups], np.intp)
        val = -_concatenate([group.rows.val for group in groups])
        A = _csc(row, col, val * scale[row] * self._units[col], (size, n))
        b = _concatenate([group.rows.constant for group in groups]) * scale

        q = np.zeros(n)
        np.add.at(q, objective.col, objective.val * self._units[objective.col])
        P = None
        if quadratic is not None and quadratic[2].size:
            i, j, v = quadratic
            P = _csc(i, j, v * self._units[i] * self._units[j], (n, n))
        objective_scale = scale_of_objective(q, P, self._units)
        if P is not None:
            P.data *= objective_scale
        return ConicForm(
            P=P,
            q=q * objective_scale,
            A=A,
            b=b,
            cones=_merged([group.cone for group in groups]),
            constant=float(objective.constant[0]),
            column_scale=self._units,
            row_scale=scale,
            objective_scale=objective_scale,
            groups=tuple(
                RowGroup(slice(placed[g], placed[g] + rows.size), cone.dimension, restore, product)
                for g, (cone, rows, _, restore, product) in enumerate(self._groups)
            ),
            by_cone=self._by_cone,
        )

    def _add(
        self,
        cone: Cone,
        rows: Rows,
        scale: FloatArray,
        restore: Callable[[FloatArray], FloatArray] | None = None,
        product: FloatArray | float | None = None,
    ) -> int:
        return self.repeat(ScaledRows(cone, rows, scale, restore, product))

    def _magnitude(self, rows: Rows, count: int) -> float | FloatArray:
        """The largest coefficient, else constant, else 1: of the group or of each of its cones."""
        size = np.abs(rows.val * self._units[rows.col])
        if not self._by_cone:
            constant = np.abs(rows.constant)
            return float(size.max(initial=0.0)) or float(constant.max(initial=0.0)) or 1.0
        length = rows.size // count
        largest = np.zeros(count)
        np.maximum.at(largest, rows.row if length == 1 else rows.row // length, size)
        if not (largest > 0.0).all():
            fallback = np.abs(rows.constant).reshape(count, length).max(axis=1)
            largest = np.where(largest > 0.0, largest, np.where(fallback > 0.0, fallback, 1.0))
        return largest

    def _balance(self, rows: Rows, count: int) -> float | FloatArray:
        """One over the magnitude.

        Of rows that have nothing but their kind in common, large coefficients do not count beyond
        :data:`LARGE`: they do not tell how large their terms are at a solution.
        """
        magnitude = self._magnitude(rows, count)
        if not isinstance(magnitude, np.ndarray) or not magnitude.max(initial=0.0) > LARGE:
            return 1.0 / magnitude
        constant = np.abs(rows.constant).reshape(count, -1).max(axis=1)
        return 1.0 / np.where(magnitude == constant, magnitude, np.minimum(magnitude, LARGE))

    def _row_scale(self, rows: Rows, count: int) -> FloatArray:
        """One over the magnitude of each row; where a constant dwarfs the coefficients, over it."""
        scale = self._balance(rows, count)
        if not isinstance(scale, np.ndarray):
            return np.full(rows.size, scale)
        if count == rows.size:
            constant = np.abs(rows.constant)
            far = (constant > 1.0) & (scale * constant > FAR)
            scale[far] = 1.0 / constant[far]
        return np.repeat(scale, rows.size // count)


def scale_of_objective(q: FloatArray, P: sp.csc_matrix | None, units: FloatArray) -> float:
    """What makes the largest coefficient 1 where it is smaller, or not much larger and has units.

    The tolerances of solvers are absolute for small objectives. A large coefficient, such as that
    of a penalty, says nothing of the objective at a solution.
    """
    largest = max(np.abs(q).max(initial=0.0), 0.0 if P is None else np.abs(P.data).max(initial=0.0))
    most = UNITS if (units != 1.0).any() else 1.0
    return 1.0 / min(float(largest), most) if largest > 0.0 else 1.0


def with_data(matrix: sp.csc_matrix, data: FloatArray) -> sp.csc_matrix:
    """The same pattern with other numbers."""
    result = copy.copy(matrix)
    result.data = data
    return result


def _concatenate(arrays: list[NDArray[Any]], dtype: type = np.float64) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)


def _csc(row: IntArray, col: IntArray, val: FloatArray, shape: tuple[int, int]) -> sp.csc_matrix:
    """Triplets to compressed columns; repeated positions add up, explicit zeros stay."""
    if val.size <= _FEW:  # scipy's way by coordinates takes longer than to sort them
        places = _places(row.tobytes(), col.tobytes(), row.dtype.char, col.dtype.char, shape)
        val = val[places.order]
        if places.first is not None:
            val = np.add.reduceat(val, places.first)
        return with_data(places.pattern, val)
    matrix = sp.csc_matrix((val, (row, col)), shape=shape)
    matrix.sort_indices()
    return matrix


class _Places(NamedTuple):
    """Where triplets go: their order by columns, the first of each position, and the pattern.

    ``first`` is None where no position is repeated.
    """

    order: IntArray
    first: IntArray | None
    pattern: sp.csc_matrix


@lru_cache(maxsize=64)
def _places(rows: bytes, columns: bytes, kind: str, other: str, shape: tuple[int, int]) -> _Places:
    """Of triplets with these rows and columns: one statement is compiled for many data."""
    row, col = np.frombuffer(rows, kind), np.frombuffer(columns, other)
    order = np.lexsort((row, col))
    row, col = row[order], col[order]
    first = None
    repeats = (row[1:] == row[:-1]) & (col[1:] == col[:-1])
    if repeats.any():
        first = np.flatnonzero(np.concatenate([[True], ~repeats]))
        row, col = row[first], col[first]
    starts = np.searchsorted(col, np.arange(shape[1] + 1))
    return _Places(order, first, sp.csc_matrix((np.zeros(row.size), row, starts), shape=shape))


def _merged(cones: list[Cone]) -> tuple[Cone, ...]:
    """Neighbouring zero and nonnegative cones joined, equal neighbours counted together."""
    merged: list[Cone] = []
    for cone in cones:
        kind, dimension, count, alpha = cone.kind, cone.dimension, cone.count, cone.alpha
        last = merged[-1] if merged else None
        if last is not None and last.kind == kind:
            if kind in (ZERO, NONNEGATIVE):
                merged[-1] = Cone(kind, last.dimension + dimension)
                continue
            if last.dimension == dimension and last.alpha == alpha:
                merged[-1] = Cone(kind, dimension, last.count + count, alpha)
                continue
        merged.append(cone)
    return tuple(merged)
