"""The linear systems of Newton's method for risk parity: (Σ + diag(e)) d = −g."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from rrp_pyomo.data import Covariance, DenseCovariance, FactorCovariance
from rrp_pyomo.errors import SolverError
from rrp_pyomo.linalg import FloatArray, LinearMap

# Up to so many assets a factorisation takes no longer than a few products.
_FEW = 100
# The part of a variance that counts as an asset's own beside the curvature of the logarithm.
_OWN = 0.2
# Directions that are so close to others add nothing but rounding, which is smaller than that.
_DEPENDENT = 1e-6
# So many columns stay in the processor's cache from one operation to the next.
_BLOCK = 8192


class Systems:
    """Products with Σ, and solutions of (Σ + diag(e)) d = −g to the accuracy that is asked for.

    Attributes
    ----------
    direct : bool
        Whether solutions come from a factorisation, exact but for rounding. It becomes true where
        conjugate gradients took longer than that.
    """

    def __init__(self, covariance: Covariance) -> None:
        self._covariance = covariance
        self.direct = isinstance(covariance, FactorCovariance) or covariance.size <= _FEW
        self._met: list[tuple[FloatArray, FloatArray]] = []
        self.times: Callable[[FloatArray], FloatArray] = covariance.as_given.__matmul__
        if isinstance(covariance, DenseCovariance):
            # Half of a symmetric matrix has all of it; its transpose is as LAPACK has matrices.
            self.times = partial(scipy.linalg.blas.dsymv, 1.0, np.asarray(covariance.as_given).T)

    @cached_property
    def _inverse(self) -> Callable[[FloatArray, FloatArray], FloatArray]:
        return shifted_inverse(self._covariance)

    def step(self, e: FloatArray, g: FloatArray, accuracy: float) -> tuple[FloatArray, FloatArray]:
        """d and Σd; the residual is less than the accuracy times g where that is inexact."""
        if not self.direct:
            most = max(10, self._covariance.size // 20)  # which take as long as a factorisation
            found = self._by_conjugate_gradients(e, g, min(accuracy, 0.3), most)
            if found is not None:
                return found
            self.direct = True
        d = -self._inverse(e, g)
        return d, self.times(d)

    def require_semidefinite(self) -> None:
        """Raise where Σ is not positive semidefinite among the directions of all steps.

        Their products with Σ are there, so that this costs nothing. It is no proof, which takes
        longer than the steps; ``covariance.root`` is one.
        """
        if not self._met:
            return
        sigma = np.sqrt(self._covariance.variances)
        p = np.array([p for p, _ in self._met]) * sigma
        size = np.linalg.norm(p, axis=1)[:, None]
        p, Cp = p / size, np.array([Sp for _, Sp in self._met]) / sigma / size
        values, vectors = np.linalg.eigh(p @ p.T)
        kept = values > _DEPENDENT * values[-1]
        basis = vectors[:, kept] / np.sqrt(values[kept])
        curvatures = np.linalg.eigvalsh(basis.T @ (p @ Cp.T) @ basis)
        if not curvatures[0] > -_DEPENDENT * curvatures[-1]:
            _ = self._covariance.root  # says so where Σ is no covariance

    def _by_conjugate_gradients(
        self, e: FloatArray, g: FloatArray, accuracy: float, most: int
    ) -> tuple[FloatArray, FloatArray] | None:
        """The step where that many products are enough.

        With x ≥ 0 near the solution, the Hessian scaled by diag(x/√b) has eigenvalues from 1 to 2
        where no covariance is negative, most of them near 1 where there are a few factors.
        """
        scale = 1.0 / (e + _OWN * self._covariance.variances)
        d, r = np.zeros_like(g), -g
        p = scale * r
        size = first = r @ p
        for _ in range(most):
            Sp = self.times(p)
            Hp = Sp + e * p
            curvature = p @ Hp
            self._met.append((p, Sp))
            if not curvature > 0.0:
                return None
            length = size / curvature
            d += length * p
            r -= length * Hp
            z = scale * r
            before, size = size, r @ z
            if size <= accuracy**2 * first:
                return d, -g - r - e * d
            p = z + (size / before) * p
        return None


def shifted_inverse(
    covariance: Covariance, kept: NDArray[np.bool_] | None = None
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """(Σ + diag(e))⁻¹ g for a vector or the columns of g, over all assets or those that are kept.

    By Cholesky, or with factors U'U = V'FV and E = D + diag(e) by

        (U'U + E)⁻¹ g = E⁻¹g − E⁻¹U'(I + U E⁻¹ U')⁻¹ U E⁻¹ g.
    """
    at = slice(None) if kept is None else np.flatnonzero(kept)
    if not isinstance(covariance, FactorCovariance):
        matrix = np.asarray(covariance.as_given)[at][:, at]

        def dense(e: FloatArray, g: FloatArray) -> FloatArray:
            hessian = matrix.copy()
            hessian.flat[:: matrix.shape[0] + 1] += e
            # LAPACK itself: beside a few assets, checks of its arguments take most of the time.
            _, solution, failed = scipy.linalg.lapack.dposv(hessian.T, g, overwrite_a=True)
            if failed:
                _ = covariance.root  # says so where Σ is no covariance
                raise SolverError(
                    f"the Hessian of risk parity of {matrix.shape[0]} assets has no Cholesky "
                    f"factorisation: row {failed} is singular to rounding; check the covariance"
                )
            return np.asarray(solution)

        return dense
    systematic = covariance.root.parts[0]
    assert isinstance(systematic, LinearMap)
    U = (systematic.factors[0].left @ systematic.factors[0].right)[:, at]
    D = covariance.D[at]

    def factored(e: FloatArray, g: FloatArray) -> FloatArray:
        E = D + e
        small, right = np.eye(U.shape[0]), np.zeros((U.shape[0], *g.shape[1:]))
        for part in _parts(E.size):
            scaled = U[:, part] / E[part]
            small += scaled @ U[:, part].T
            right += scaled @ g[part]
        right = np.linalg.solve(small, right)
        solution = np.empty_like(g)
        for part in _parts(E.size):
            solution[part] = ((g[part] - U[:, part].T @ right).T / E[part]).T
        return solution

    return factored


def _parts(size: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, size, _BLOCK))
