"""A covariance that something was learned about: a multiple of one, less a few directions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from rrp_pyomo.data.covariance import Covariance, DenseCovariance, multiplied_out
from rrp_pyomo.data.validation import frozen, selection
from rrp_pyomo.linalg import Factor, FloatArray, LinearMap, Stack

# Rounding leaves this much of a variance of which all is taken away.
_ALL = 1e-14


@dataclass(frozen=True, init=False, repr=False, eq=False)
class UpdatedCovariance(Covariance):
    """a Σ − U' diag(d) U = R'(a I − E diag(d) E')R with R'R = Σ and U = E'R.

    What the update formula of a normal posterior gives. Σ stays factored: O(n·(m + k)) numbers. An
    asset may be left without variance, where it is known exactly.

    Parameters
    ----------
    base : Covariance
        Σ of n assets.
    scale : float
        a > 0.
    directions : (r, k) array
        E, with orthonormal columns, r being the number of rows of ``base.root``.
    products : (k, n) array
        U = E'R.
    reductions : (k,) array
        d, each between 0 and a.
    name : str
        What statements call the products Ux.
    """

    base: Covariance
    scale: float
    _E: FloatArray
    _d: FloatArray
    _U: FloatArray
    _name: str

    def __init__(
        self,
        base: Covariance,
        scale: float,
        directions: FloatArray,
        products: FloatArray,
        reductions: FloatArray,
        name: str = "view",
    ) -> None:
        vars(self).update(labels=base.labels, base=base, scale=scale, _name=name)
        vars(self).update(_E=directions, _U=frozen(products), _d=reductions)

    @cached_property
    def operator(self) -> LinearMap | FloatArray:
        """a Σ − U' diag(d) U."""
        return self._less(self.base.operator, self.scale, self._U.T * self._d)

    @cached_property
    def root(self) -> Stack | FloatArray:
        """√a R − E diag(√a − √(a − d)) U."""
        a = float(np.sqrt(self.scale))
        left = self._E * (a - np.sqrt(self.scale - self._d))
        if not isinstance(self.base.root, Stack):
            return a * self.base.root - left @ self._U
        parts = self.base.root.parts
        ends = list(accumulate(part.shape[0] for part in parts))
        rows = np.split(left, ends[:-1])
        return Stack(
            tuple(self._less(part, a, piece) for part, piece in zip(parts, rows, strict=True))
        )

    @cached_property
    def frobenius_norm(self) -> float:
        """‖a Σ − U' diag(d) U‖_F from products with k columns."""
        mixed = np.einsum("kj,jk->k", self._U, self.base.operator @ self._U.T) @ self._d
        G = (self._U @ self._U.T) * self._d
        total = (self.scale * self.base.frobenius_norm) ** 2 - 2.0 * self.scale * mixed
        return float(np.sqrt(max(total + (G * G.T).sum(), 0.0)))

    @cached_property
    def variances(self) -> FloatArray:
        """The diagonal, shape (n,)."""
        reduction = np.einsum("kj,k,kj->j", self._U, self._d, self._U)
        left: FloatArray = self.scale * self.base.variances - reduction
        left[left <= _ALL * self.scale * self.base.variances] = 0.0
        return left

    def select(self, labels: Iterable[Hashable]) -> Covariance:
        """The covariance of some of the assets, multiplied out."""
        at, chosen = selection(labels, self.labels)
        matrix = multiplied_out(self.operator)[np.ix_(at, at)]
        return DenseCovariance((matrix + matrix.T) / 2.0, chosen)

    def _less(
        self, matrix: LinearMap | FloatArray, scale: float, left: FloatArray
    ) -> LinearMap | FloatArray:
        """A multiple of a matrix less ``left @ U``, in the matrix's own form."""
        if not isinstance(matrix, LinearMap):
            return scale * matrix - left @ self._U
        scaled = matrix / (1.0 / scale)
        names = tuple(f"{self._name} {k + 1}" for k in range(len(self._U)))
        taken = (Factor(-left, self._U, self._name, names),) if names else ()
        return LinearMap(scaled.factors + taken, scaled.diagonal)

    def __repr__(self) -> str:
        return f"UpdatedCovariance({self.scale:g} × {self.base!r}, {len(self._d)} directions)"
