"""Finite bounds of variables that have none, from the rows of their own statement.

Transformations of disjunctions and global solvers ask for them. Intervals are propagated through
all rows at once, as presolvers do. Where weights of known signs have a fixed total, the interval of
a sum over them is the one over that simplex, which does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rrp_pyomo.forms.rows import Rows, stacked
from rrp_pyomo.linalg import BoolArray, FloatArray
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.cones import EXPONENTIAL, ROTATED, SECOND_ORDER
from rrp_pyomo.modeling.constraints import InCone, QuadraticBound
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.realise.lowering import Lowered

#: Rows from one end of their interval to the other.
Interval = tuple[FloatArray, FloatArray]


def implied_bounds(source: Lowered) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds of all columns; declared ones are kept.

    The others are twice what the rows imply, so that they never bind. A variable that the rows
    bound from below only, such as p in ‖e‖₂ ≤ p, gets twice the largest value that any of them asks
    for. Parameters are taken to keep their signs.
    """
    box = _Box(source)
    with np.errstate(invalid="ignore", over="ignore"):
        box.narrow()
        box.close()
        box.narrow()
    lower, upper = (
        np.where(np.isfinite(old), old, new + sign * (np.abs(new) + source.units))
        for old, new, sign in zip(source.bounds(), (box.lower, box.upper), (-1.0, 1.0), strict=True)
    )
    return lower, upper


class _Sums(NamedTuple):
    """Where all rows are, and for each entry the others of its row."""

    low: FloatArray
    high: FloatArray
    others_low: FloatArray
    others_high: FloatArray


class _Simplex(NamedTuple):
    """Columns with Σ coefficient · x = total and coefficient · x ≥ 0."""

    coefficients: FloatArray
    total: float
    size: int


class _Box:
    """Bounds of all columns, and the rows that narrow them."""

    def __init__(self, source: Lowered) -> None:
        self.source = source
        self.lower, self.upper = source.bounds()
        self._bodies: list[Affine] = []
        self._count = 0
        self._static: list[tuple[slice, FloatArray | float, FloatArray | float]] = []
        # Rows whose interval depends on that of others, and those that ask for a large value.
        self._dynamic: list[tuple[slice, Callable[[_Sums], Interval]]] = []
        self._asking: list[tuple[slice, Callable[[_Sums], FloatArray]]] = []
        self._shifted: list[tuple[slice, slice]] = []
        for constraint in source.stated.values():
            if isinstance(constraint, QuadraticBound):
                self._add_quadratic(constraint)
            else:
                self._add_cone(constraint)
        self._range = [(variable, self._add(e)) for variable, e in source.ranges]
        self._stack()

    # --- rows -----------------------------------------------------------------------------------

    def _add(
        self, body: Affine, low: FloatArray | float = -np.inf, high: FloatArray | float = np.inf
    ) -> slice:
        """Rows low ≤ body ≤ high; where they are."""
        at = slice(self._count, self._count + body.size)
        terms = {s: block for s, block in body.terms.items() if s.is_variable}
        self._bodies.append(Affine(body.size, terms, body.constant))
        self._count += body.size
        self._static.append((at, low, high))
        for symbol, block in body.terms.items():
            if not symbol.is_variable:
                now = Affine(body.size, {symbol: block}).evaluated()
                self._shifted.append((at, self._add(now)))
        return at

    def _add_cone(self, constraint: InCone) -> None:
        parts = constraint.parts
        if constraint.cone.is_linear:
            self._add(*constraint.bounded_body)
        elif constraint.cone == EXPONENTIAL:  # y exp(x/y) is at least x + y, and at least e x
            x, y, z = (Affine(part.size, part.terms, part.constant) for part in parts)
            self._add(x + y - z, high=0.0)
            self._add(np.e * x - z, high=0.0)
        elif constraint.cone == SECOND_ORDER:
            head, *pieces = (self._add(part) for part in parts)
            for piece in pieces:
                self._dynamic.append((piece, partial(_in_ball, head, piece)))
            self._asking.append((head, partial(_length, pieces, head)))
        elif constraint.cone == ROTATED:
            a, b, *pieces = (self._add(part) for part in parts)
            for piece in pieces:
                self._dynamic.append((piece, partial(_in_product, a, b, piece)))

    def _add_quadratic(self, bound: QuadraticBound) -> None:
        body = bound.body
        factors = [(w, self._add(w.term.a), self._add(w.term.b)) for w in body.terms]
        at = self._add(body.affine)
        low, high = bound.lower, bound.upper

        def interval(sums: _Sums) -> Interval:
            least, most = _products(body, factors, sums)
            return low - most, high - least

        self._dynamic.append((at, interval))

    def _stack(self) -> None:
        rows = stacked([body.rows() for body in self._bodies])
        stated = rows.val != 0.0
        self._rows = Rows(rows.row[stated], rows.col[stated], rows.val[stated], rows.constant)
        self._low, self._high = np.empty(rows.size), np.empty(rows.size)
        for at, low, high in self._static:
            self._low[at], self._high[at] = low, high
        self._simplex = self._find_simplex()

    def _find_simplex(self) -> _Simplex | None:
        """The first equation of a positive total over terms that are not negative."""
        row, col, val, constant = self._rows
        negative = np.where(val > 0, self.lower[col] < 0, self.upper[col] > 0)
        total = self._low - constant
        fits = (self._low == self._high) & (total > 0) & np.isfinite(total)
        fits &= np.bincount(row, negative, fits.size) == 0
        fits &= np.bincount(row, minlength=fits.size) > 1
        if not fits.any():
            return None
        first = int(fits.argmax())
        coefficients = np.zeros(self.upper.size)
        coefficients[col[row == first]] = val[row == first]
        return _Simplex(coefficients, float(total[first]), int((row == first).sum()))

    # --- intervals ------------------------------------------------------------------------------

    def narrow(self) -> None:
        """Go through the rows as long as columns without a bound get one."""
        row, col, val, _ = self._rows
        positive = val > 0
        known = -1
        # Bounds that get narrower still are not waited for.
        while known != (known := int(np.isfinite([self.lower, self.upper]).sum())):
            sums = self._sums()
            low, high = self._low.copy(), self._high.copy()
            for at, interval in self._dynamic:
                low[at], high[at] = interval(sums)
            most = (high[row] - sums.others_low) / val
            least = (low[row] - sums.others_high) / val
            upper, lower = np.where(positive, most, least), np.where(positive, least, most)
            np.minimum.at(self.upper, col, np.where(np.isnan(upper), np.inf, upper))
            np.maximum.at(self.lower, col, np.where(np.isnan(lower), -np.inf, lower))

    def close(self) -> None:
        """Bounds for columns that the rows leave open, and that gain nothing from it."""
        sums = self._sums()
        for variable, within in self._range:
            at = slice(variable.offset, variable.offset + variable.size)
            self.lower[at] = np.maximum(self.lower[at], sums.low[within].min())
            self.upper[at] = np.minimum(self.upper[at], sums.high[within].max())
            sums = self._sums()
        self._close_what_is_asked(sums)
        self._close_means()

    def _close_what_is_asked(self, sums: _Sums) -> None:
        """Give columns without an upper bound the largest value that a row asks for."""
        row, col, val, _ = self._rows
        low = self._low.copy()
        for at, size in self._asking:
            low[at] = size(sums)
        needed = (
            np.where(val > 0, low[row] - sums.others_low, self._high[row] - sums.others_high) / val
        )
        asked = np.full(self.upper.size, -np.inf)
        np.maximum.at(asked, col, np.where(np.isfinite(needed), needed, -np.inf))
        is_open = np.isinf(self.upper) & np.isfinite(asked)
        self.upper[is_open] = np.maximum(asked[is_open], 0.0)

    def _close_means(self) -> None:
        """Towers of v² ≤ a b make geometric means, which grow with all that they are means of."""
        corner = np.where(np.isinf(self.upper), np.nan, self.upper)
        for variable, function in self.source.definitions:
            at = slice(variable.offset, variable.offset + variable.size)
            if np.isnan(corner[at]).any() and self._is_in_tower(variable.offset):
                corner[at] = function(corner)
                known = np.where(np.isnan(corner[at]), np.inf, corner[at])
                self.upper[at] = np.minimum(self.upper[at], known)

    def _is_in_tower(self, column: int) -> bool:
        cones = (c for c in self.source.stated.values() if isinstance(c, InCone))
        parts = (part for c in cones if c.cone == ROTATED for part in c.parts)
        return any(column in part.rows().col for part in parts)

    def _sums(self) -> _Sums:
        rows = self._rows
        ends = rows.val * self.lower[rows.col], rows.val * self.upper[rows.col]
        sides = []
        for take, tighter, infinity in (
            (np.minimum, np.maximum, -np.inf),
            (np.maximum, np.minimum, np.inf),
        ):
            own = take(*ends)
            total, others = _summed(rows, own, infinity)
            if self._simplex is not None:
                inside, over = self._over_simplex(take, -infinity)
                sharp, rest = _summed(rows, np.where(inside, 0.0, own), infinity)
                total = tighter(total, sharp + over)
                others = np.where(inside, others, tighter(others, rest + over[rows.row]))
            sides += [total + rows.constant, others + rows.constant[rows.row]]
        low, others_low, high, others_high = sides
        for at, by in self._shifted:
            down, up = np.where(low[by] < 0, -np.inf, 0.0), np.where(high[by] > 0, np.inf, 0.0)
            low[at] += down
            high[at] += up
            mine = (rows.row >= at.start) & (rows.row < at.stop)
            others_low[mine] += down[rows.row[mine] - at.start]
            others_high[mine] += up[rows.row[mine] - at.start]
        return _Sums(low, high, others_low, others_high)

    def _over_simplex(self, take: np.ufunc, start: float) -> tuple[BoolArray, FloatArray]:
        """Which entries are over the simplex, and the extreme value, by row, of their sum there."""
        assert self._simplex is not None
        coefficients, total, size = self._simplex
        rows = self._rows
        inside = coefficients[rows.col] != 0.0
        row, col = rows.row[inside], rows.col[inside]
        count = np.bincount(row, minlength=rows.size)
        # A column that a row does not mention has the ratio 0.
        extreme = np.where(count < size, 0.0, start)
        take.at(extreme, row, rows.val[inside] / coefficients[col])
        return inside, total * extreme


def _summed(rows: Rows, ends: FloatArray, infinity: float) -> tuple[FloatArray, FloatArray]:
    """Sums of intervals' ends by row, and for each entry that of the others in its row."""
    infinite = np.isinf(ends)
    count = np.bincount(rows.row, infinite, rows.size)
    finite = np.where(infinite, 0.0, ends)
    total = np.bincount(rows.row, finite, rows.size)
    others = np.where(count[rows.row] > infinite, infinity, total[rows.row] - finite)
    return np.where(count > 0, infinity, total), others


def _ball(radius: FloatArray, piece: slice) -> Interval:
    """Where the rows of a piece are if their length, or that of each, is at most the radius."""
    size = radius if radius.size == piece.stop - piece.start else np.max(radius)
    size = np.where(np.isnan(size), np.inf, size)
    return -size, size


def _in_ball(head: slice, piece: slice, sums: _Sums) -> Interval:
    return _ball(sums.high[head], piece)


def _in_product(a: slice, b: slice, piece: slice, sums: _Sums) -> Interval:
    left, right = (np.maximum(sums.high[head], 0.0) for head in (a, b))
    return _ball(np.sqrt(left * right), piece)


def _length(pieces: list[slice], head: slice, sums: _Sums) -> FloatArray:
    """The largest length of the pieces' rows, one for each cone."""
    squares = (np.maximum(np.abs(sums.low[v]), np.abs(sums.high[v])) ** 2 for v in pieces)
    cones = head.stop - head.start
    return np.asarray(np.sqrt(sum(s.reshape(cones, -1).sum(axis=1) for s in squares)))


def _products(body: Composite, factors: list[tuple[Any, slice, slice]], sums: _Sums) -> Interval:
    """Where the products of a quadratic body are, by row."""
    low, high = np.zeros(body.size), np.zeros(body.size)
    for weighted, a, b in factors:
        weight = np.broadcast_to(weighted.numbers, (weighted.term.size,))
        corners = np.array(
            [
                weight * u * v
                for u in (sums.low[a], sums.high[a])
                for v in (sums.low[b], sums.high[b])
            ]
        )
        corners[np.isnan(corners)] = 0.0  # 0 · ∞
        least, most = corners.min(axis=0), corners.max(axis=0)
        if weighted.term.is_square:
            least = np.where(weight > 0, np.maximum(least, 0.0), least)
            most = np.where(weight > 0, most, np.minimum(most, 0.0))
        low += least.sum() if weighted.summed else least
        high += most.sum() if weighted.summed else most
    return low, high
