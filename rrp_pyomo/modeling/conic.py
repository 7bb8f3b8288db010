"""Where the cones are put together: affine rows become a scaled, sparse conic form.

    minimise    ½ x'Px + q'x + constant
    subject to  b − A x ∈ K,     K a product of cones

Whoever compiles a model (a :class:`~rrp_pyomo.modeling.program.Program` or a Pyomo model) hands
groups of affine rows to a :class:`ConicBuilder`, which balances their magnitudes, turns product
bounds into second-order cones and sorts everything into one :class:`ConicForm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

ZERO, NONNEGATIVE, SECOND_ORDER = "zero", "nonnegative", "second_order"
EXPONENTIAL, POWER = "exponential", "power"
_ORDER = (ZERO, NONNEGATIVE, SECOND_ORDER, EXPONENTIAL, POWER)


class Rows(NamedTuple):
    """Affine rows ``G x + constant`` as triplets; triplets may repeat a position (they add up)."""

    row: IntArray
    col: IntArray
    val: FloatArray
    constant: FloatArray

    @property
    def size(self) -> int:
        """The number of rows."""
        return self.constant.size


class Cone(NamedTuple):
    """``count`` cones of one kind and dimension, their rows one after the other.

    ``zero`` {s = 0} and ``nonnegative`` {s ≥ 0} have count 1 and dimension the number of rows;
    ``second_order`` is {s₀ ≥ ‖s₁…‖₂}, ``exponential`` {s₁ exp(s₀/s₁) ≤ s₂, s₁ > 0} and ``power``
    {s₀^α s₁^(1−α) ≥ |s₂|, s₀, s₁ ≥ 0}, as Clarabel and SCS define them.
    """

    kind: str
    dimension: int
    count: int = 1
    alpha: float = 0.0


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
    slices : tuple of slice
        The rows of each group, in the order in which the groups were handed to the builder.
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
    slices: tuple[slice, ...]

    def objective(self, scaled: float) -> float:
        """The stated objective for a solver's objective value (primal or dual)."""
        return scaled / self.objective_scale + self.constant


class _Group(NamedTuple):
    cone: Cone
    rows: Rows
    scale: FloatArray


class ConicBuilder:
    """Collects affine rows, cone by cone, and builds the conic form.

    Parameters
    ----------
    units : (n,) array
        The typical magnitude of each variable. Every group of rows is divided by the magnitude that
        follows from it, so that a solver's absolute tolerances mean the same in each of them.
    """

    def __init__(self, units: FloatArray) -> None:
        self._units = units
        self._groups: list[_Group] = []

    def zero(self, rows: Rows) -> int:
        """Rows = 0; returns the number of the group (its place in ``ConicForm.slices``)."""
        return self._add(Cone(ZERO, rows.size), rows, self._uniform_scale(rows))

    def nonnegative(self, rows: Rows) -> int:
        """Rows ≥ 0."""
        return self._add(Cone(NONNEGATIVE, rows.size), rows, self._uniform_scale(rows))

    def second_order(self, bound: Rows, vector: Rows) -> int:
        """‖vector_k‖₂ ≤ bound_k for each row k of ``bound``; vector_k are equally many rows each."""
        count = bound.size
        length = vector.size // count
        first = np.arange(count) * (1 + length)
        rest = (first[:, None] + np.arange(1, 1 + length)).ravel()
        rows = _scatter(count * (1 + length), (bound, first, 1.0), (vector, rest, 1.0))
        return self._add(Cone(SECOND_ORDER, 1 + length, count), rows, self._uniform_scale(rows))

    def product(self, a: Rows, b: Rows, c: Rows) -> int:
        """a_k b_k ≥ ‖c_k‖₂², a_k, b_k ≥ 0, for each row k of ``a`` and ``b``.

        A rotated cone is a second-order cone turned by 45°: with any ρ > 0,

            a b ≥ ‖c‖²,  a, b ≥ 0   ⇔   ‖(ρa − b/ρ, 2c)‖₂ ≤ ρa + b/ρ.

        ρ balances the two sides; without it, weights of order 1 would drown marginal risks of
        order 1e-5.
        """
        count = a.size
        length = c.size // count
        scale_a, scale_b = self._magnitude(a) ** -1, self._magnitude(b) ** -1
        first = np.arange(count) * (2 + length)
        rest = (first[:, None] + np.arange(2, 2 + length)).ravel()
        rows = _scatter(
            count * (2 + length),
            (a, first, scale_a),
            (b, first, scale_b),
            (a, first + 1, scale_a),
            (b, first + 1, -scale_b),
            (c, rest, 2.0 * np.sqrt(scale_a * scale_b)),
        )
        return self._add(Cone(SECOND_ORDER, 2 + length, count), rows, np.ones(rows.size))

    def build(
        self, objective: Rows, quadratic: tuple[IntArray, IntArray, FloatArray] | None = None
    ) -> ConicForm:
        """The conic form that minimises one affine row (plus ½x'Px, upper triangle triplets)."""
        order = sorted(
            range(len(self._groups)), key=lambda g: _ORDER.index(self._groups[g].cone.kind)
        )
        groups = [self._groups[g] for g in order]
        starts = np.concatenate([[0], np.cumsum([group.rows.size for group in groups])])
        slices: list[slice] = [slice(0)] * len(groups)
        for place, g in enumerate(order):
            slices[g] = slice(int(starts[place]), int(starts[place + 1]))

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
        largest = max(np.abs(q).max(initial=0.0), 0.0 if P is None else np.abs(P.data).max())
        objective_scale = 1.0 / largest if largest > 0 else 1.0
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
            slices=tuple(slices),
        )

    def _add(self, cone: Cone, rows: Rows, scale: FloatArray) -> int:
        self._groups.append(_Group(cone, rows, scale))
        return len(self._groups) - 1

    def _magnitude(self, rows: Rows) -> float:
        size = np.abs(rows.val * self._units[rows.col]).max(initial=0.0)
        return float(size) or float(np.abs(rows.constant).max(initial=0.0)) or 1.0

    def _uniform_scale(self, rows: Rows) -> FloatArray:
        return np.full(rows.size, 1.0 / self._magnitude(rows))


def _scatter(size: int, *parts: tuple[Rows, IntArray, float]) -> Rows:
    """Add up groups of rows, each multiplied by a factor, at the places given."""
    constant = np.zeros(size)
    for rows, place, factor in parts:
        constant[place] += factor * rows.constant
    return Rows(
        np.concatenate([place[rows.row] for rows, place, _ in parts]),
        np.concatenate([rows.col for rows, _, _ in parts]),
        np.concatenate([factor * rows.val for rows, _, factor in parts]),
        constant,
    )


def _concatenate(arrays: list[NDArray], dtype: type = np.float64) -> NDArray:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)


def _csc(row: IntArray, col: IntArray, val: FloatArray, shape: tuple[int, int]) -> sp.csc_matrix:
    """Triplets to compressed columns; repeated positions add up, explicit zeros stay.

    Several times faster than scipy's conversion for the few hundred entries of a small portfolio.
    """
    key = col * shape[0] + row
    order = np.argsort(key, kind="stable")
    key = key[order]
    val = val[order]
    if key.size and (repeated := key[1:] == key[:-1]).any():
        first = np.flatnonzero(np.concatenate([[True], ~repeated]))
        key, val = key[first], np.add.reduceat(val, first)
    cols, rows = np.divmod(key, shape[0]) if shape[0] else (key, key)
    starts = np.searchsorted(cols, np.arange(shape[1] + 1))
    matrix = sp.csc_matrix(shape)
    matrix.data, matrix.indices, matrix.indptr = val, rows, starts
    matrix.has_sorted_indices = True
    return matrix


def _merged(cones: list[Cone]) -> tuple[Cone, ...]:
    """Neighbouring zero and nonnegative cones joined, equal neighbours counted together."""
    merged: list[Cone] = []
    for cone in cones:
        last = merged[-1] if merged else None
        if last is not None and last.kind == cone.kind and cone.kind in (ZERO, NONNEGATIVE):
            merged[-1] = last._replace(dimension=last.dimension + cone.dimension)
        elif last is not None and last._replace(count=cone.count) == cone:
            merged[-1] = last._replace(count=last.count + cone.count)
        else:
            merged.append(cone)
    return tuple(merged)
