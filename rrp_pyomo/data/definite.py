"""Symmetric and positive semidefinite: judged, factored, repaired on the scale of correlations."""

from __future__ import annotations

import numpy as np
from scipy.linalg import issymmetric

from rrp_pyomo.data.validation import Labels, frozen, require_finite
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

# Rounding leaves asymmetries and negative eigenvalues of this size in a correlation matrix; what is
# above it is in the data. Relative to the largest variance, small ones could hide anything.
_SYMMETRY_TOLERANCE = 1e-10
_EIGENVALUE_TOLERANCE = 1e-10


def symmetric(
    matrix: FloatArray, labels: Labels, name: str, row_sums: FloatArray | None = None
) -> FloatArray:
    """The matrix, read-only, its rounding errors averaged out; the worst other pair is named.

    The sums of its rows may be known.
    """
    # What is not finite is never equal to itself or never has a finite sum.
    with np.errstate(all="ignore"):
        sums = matrix @ np.ones(len(matrix)) if row_sums is None else row_sums
        if issymmetric(matrix) and np.isfinite(sums).all():
            return frozen(matrix if matrix.flags.c_contiguous else matrix.T)
    require_finite(matrix, name, labels, labels)
    gap = np.abs(matrix - matrix.T)
    if gap.any():
        scale = _deviations(matrix)
        size = np.maximum(np.outer(scale, scale), np.maximum(np.abs(matrix), np.abs(matrix.T)))
        gap = np.divide(gap, size, out=gap, where=gap > 0)
    if gap.max() > _SYMMETRY_TOLERANCE:
        i, j = divmod(int(gap.argmax()), len(matrix))
        raise InputError(
            f"{name} is not symmetric: ({labels[i]}, {labels[j]}) is {matrix[i, j]:.6g} but "
            f"({labels[j]}, {labels[i]}) is {matrix[j, i]:.6g}; pass (S + S.T) / 2 to average them"
        )
    return frozen(matrix / 2 + matrix.T / 2 if gap.any() else matrix)


def _deviations(matrix: FloatArray) -> FloatArray:
    """Standard deviations, 0 where a variance is not positive."""
    return np.sqrt(np.maximum(matrix.diagonal(), 0.0))


def _eigen(matrix: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Eigenvalues and vectors of a correlation matrix, and the deviations that make it Σ again.

    What has no variance may have covariances by rounding only, and is given a deviation that makes
    an eigenvalue negative where there are others.
    """
    scale = _deviations(matrix)
    scale[scale == 0.0] = 1e-3 * scale.max() or np.sqrt(np.abs(matrix).max()) or 1.0
    values, vectors = np.linalg.eigh(matrix / scale / scale[:, None])
    return values, vectors, scale


def psd_root(matrix: FloatArray, name: str) -> FloatArray:
    """R with R'R = matrix: Cholesky, or from the eigenvalues where the matrix is singular."""
    try:
        return np.linalg.cholesky(matrix, upper=True).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        values, vectors, scale = _eigen(matrix)
    if _is_negative(values):
        raise InputError(
            f"{name} is not positive semidefinite: as correlations, its smallest eigenvalue is "
            f"{values[0]:.6g}; estimate it anew or pass the nearest such matrix "
            "(DenseCovariance: repair='clip')"
        )
    kept = values > len(matrix) * np.finfo(float).eps * values[-1]
    root: FloatArray = np.sqrt(values[kept])[:, None] * vectors[:, kept].T * scale
    return root


def _is_negative(eigenvalues: FloatArray) -> bool:
    return bool(eigenvalues[0] < -_EIGENVALUE_TOLERANCE * np.abs(eigenvalues).max())


def clipped(matrix: FloatArray) -> tuple[FloatArray, str | None]:
    """The nearest positive semidefinite matrix (in the Frobenius norm), and what was changed.

    Where variances differ so much that this one is none to rounding, of correlation matrices.
    """
    said = None
    for decompose in (lambda m: (*np.linalg.eigh(m), np.ones(len(m))), _eigen):
        values, vectors, scale = decompose(matrix)
        if _is_negative(values):
            root = np.sqrt(values.clip(min=0))[:, None] * vectors.T * scale
            matrix = frozen(root.T @ root)
            number = (values < 0).sum()
            said = said or (
                f"clipped {number} negative eigenvalue(s) to 0, the smallest {values[0]:.6g}"
            )
    return matrix, said
