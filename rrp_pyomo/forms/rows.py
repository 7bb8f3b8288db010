"""Affine rows as triplets: what goes into every form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.linalg import FloatArray

IntArray = NDArray[np.intp]


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

    def value(self, x: FloatArray) -> FloatArray:
        """The rows at a point."""
        return self.constant + np.bincount(self.row, self.val * x[self.col], self.size)

    def above(self, other: Rows) -> Rows:
        """These rows, and below them others."""
        return stacked((self, other))

    def times(self, factor: float | FloatArray) -> Rows:
        """The rows multiplied by a number, or each by its own."""
        if isinstance(factor, np.ndarray):
            return self._replace(val=factor[self.row] * self.val, constant=factor * self.constant)
        return self._replace(val=factor * self.val, constant=factor * self.constant)


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


def scattered(size: int, *parts: tuple[Rows, IntArray, float | FloatArray]) -> Rows:
    """Add up groups of rows, each multiplied by a factor (or one per row), at the places given."""
    constant, values = np.zeros(size), []
    for rows, place, factor in parts:
        by_entry = factor[rows.row] if isinstance(factor, np.ndarray) else factor
        values.append(by_entry * rows.val)
        constant[place] += factor * rows.constant
    return Rows(
        np.concatenate([place[rows.row] for rows, place, _ in parts]),
        np.concatenate([rows.col for rows, _, _ in parts]),
        np.concatenate(values),
        constant,
    )
