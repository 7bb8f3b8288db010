"""Matrices that stay factored: what covariances hand to statements, numbers only.

A :class:`LinearMap` is ``sum_k left_k @ right_k + diag(diagonal)``. It multiplies an array like
any matrix; a statement that meets one introduces the intermediate products ``right_k @ x`` (for a
factor covariance: the factor exposures) as variables, once, so that it costs O(n·m), never O(n²).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Factor:
    """One product ``left @ right`` of a linear map.

    Parameters
    ----------
    left : (k, r) array
    right : (r, n) array
        Two factors that hold the *same* array object share their intermediate product.
    name : str
        What the intermediate product ``right @ x`` is called, such as ``"exposure"``.
    labels : tuple of str
        Labels of its r entries.
    """

    left: FloatArray
    right: FloatArray
    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LinearMap:
    """The matrix ``sum_k left_k @ right_k + diag(diagonal)``, kept in this form.

    Parameters
    ----------
    factors : tuple of Factor
    diagonal : (n,) array, optional
        Only for square maps.
    """

    factors: tuple[Factor, ...] = ()
    diagonal: FloatArray | None = None

    # numpy must leave `array @ LinearMap` alone instead of treating the map as a 0-d object.
    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        if self.diagonal is not None:
            return self.diagonal.size, self.diagonal.size
        return self.factors[0].left.shape[0], self.factors[0].right.shape[1]

    def __matmul__(self, x: FloatArray) -> FloatArray:
        """The product with an array of shape (n,) or (n, k), of numbers or of Pyomo's variables."""
        if not isinstance(x, np.ndarray):
            return NotImplemented
        product = np.zeros((self.shape[0], *x.shape[1:]), object if x.dtype == object else float)
        if self.diagonal is not None:
            product += self.diagonal.reshape(-1, *(1,) * (x.ndim - 1)) * x
        for factor in self.factors:
            product += factor.left @ (factor.right @ x)
        return product

    def __truediv__(self, divisor: float) -> LinearMap:
        """The map divided by a number; the right-hand factors stay the same objects."""
        factors = tuple(Factor(f.left / divisor, f.right, f.name, f.labels) for f in self.factors)
        return LinearMap(factors, None if self.diagonal is None else self.diagonal / divisor)

    def toarray(self) -> FloatArray:
        """The matrix multiplied out, shape (k, n)."""
        result = np.zeros(self.shape) if self.diagonal is None else np.diag(self.diagonal)
        for factor in self.factors:
            result += factor.left @ factor.right
        return result


@dataclass(frozen=True, eq=False)
class Stack:
    """Linear maps (or dense matrices) on top of each other, with the same columns."""

    parts: tuple[LinearMap | FloatArray, ...]

    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return sum(part.shape[0] for part in self.parts), self.parts[0].shape[1]

    def __matmul__(self, x: FloatArray) -> FloatArray:
        """The product with an array of shape (n,) or (n, k)."""
        if not isinstance(x, np.ndarray):
            return NotImplemented
        return np.concatenate([part @ x for part in self.parts])

    def __truediv__(self, divisor: float) -> Stack:
        """The stack divided by a number."""
        return Stack(tuple(part / divisor for part in self.parts))

    def toarray(self) -> FloatArray:
        """The matrix multiplied out."""
        return self @ np.eye(self.shape[1])


@dataclass(frozen=True, eq=False)
class Named:
    """A matrix with the name under which statements write it."""

    name: str
    matrix: LinearMap | Stack | FloatArray

    __array_ufunc__ = None

    def __matmul__(self, x: FloatArray) -> FloatArray:
        """The product with an array."""
        if not isinstance(x, np.ndarray):
            return NotImplemented
        return self.matrix @ x

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.matrix.shape
        return rows, columns
