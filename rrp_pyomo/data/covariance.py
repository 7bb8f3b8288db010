"""Covariance matrices of asset returns, kept factored where they come from a factor model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rrp_pyomo.data._validation import (
    Labels,
    as_floats,
    by_label,
    require_finite,
    resolve_labels,
    unique_labels,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import Factor, FloatArray, LinearMap, Stack

# Rounding leaves asymmetries and negative eigenvalues of this size, relative to the largest entry
# or eigenvalue; anything above it is in the data.
_SYMMETRY_TOLERANCE = 1e-9
_EIGENVALUE_TOLERANCE = 1e-10


class Covariance(ABC):
    """A covariance matrix Σ of n asset returns, per-period variance, immutable.

    Attributes
    ----------
    labels : tuple
        The assets, in the order of rows and columns.
    repaired : str or None
        What was changed to make the matrix positive semidefinite; None where nothing was.
    """

    labels: Labels
    repaired: str | None = None

    @property
    def size(self) -> int:
        """The number of assets n."""
        return len(self.labels)

    @property
    @abstractmethod
    def operator(self) -> LinearMap | FloatArray:
        """Σ as numbers that multiply, shape (n, n)."""

    @property
    @abstractmethod
    def root(self) -> Stack | FloatArray:
        """R with R'R = Σ, so that the volatility of weights x is ‖R x‖₂; n columns."""

    @property
    @abstractmethod
    def frobenius_norm(self) -> float:
        """‖Σ‖_F."""

    @property
    @abstractmethod
    def variances(self) -> FloatArray:
        """The diagonal of Σ, shape (n,)."""

    def matrix(self) -> pd.DataFrame:
        """Σ multiplied out and labelled, shape (n, n)."""
        array = self.operator.toarray() if isinstance(self.operator, LinearMap) else self.operator
        return pd.DataFrame(array, index=list(self.labels), columns=list(self.labels))

    def marginal_risk(self, weights: pd.Series | ArrayLike) -> pd.Series:
        """Σx, the marginal risk of each asset (2), variance units.

        Parameters
        ----------
        weights : Series or (n,) array
            A Series is aligned by label; an array is in the order of ``labels``.

        Raises
        ------
        InputError
            Unknown or missing labels, wrong length, entries that are not finite.
        """
        x = by_label(weights, self.labels, "weights")
        return pd.Series(self.operator @ x, index=list(self.labels), name="marginal_risk")

    def variance(self, weights: pd.Series | ArrayLike) -> float:
        """x'Σx, the variance of a portfolio per period; ``weights`` as for marginal_risk."""
        x = by_label(weights, self.labels, "weights")
        return float(x @ (self.operator @ x))

    def volatilities(self) -> pd.Series:
        """The standard deviation of each asset's return per period: √Σ_ii."""
        return pd.Series(np.sqrt(self.variances), index=list(self.labels), name="volatility")

    @cached_property
    def mean_row_sum(self) -> float:
        """The mean of Σ1: the magnitude of a marginal risk when weights are of order 1."""
        return float((self.operator @ np.ones(self.size)).mean())

    def _require_positive_variances(self) -> None:
        if not (self.variances > 0).all():
            i = int(self.variances.argmin())
            raise InputError(
                f"asset {str(self.labels[i])!r} has variance {self.variances[i]:.3g}; every "
                "variance must be positive: drop the asset or check its returns"
            )


class FactorCovariance(Covariance):
    """Σ = V'FV + D of a factor model (9), never multiplied out: O(n·m) numbers.

    Parameters
    ----------
    loadings : (m, n) DataFrame or array
        V, one row per factor.
    factor_covariance : (m, m) DataFrame or array
        F, symmetric and positive semidefinite.
    residual_variance : (n,) Series or array
        D, nonnegative.
    labels, factor_labels : iterables of hashables, optional
        Taken from pandas objects where those are given, otherwise 0, 1, ….
    exposure_name : str
        What statements call the exposures V x.

    Raises
    ------
    InputError
        Shapes or labels that do not fit, duplicate labels, entries that are not finite, F not
        symmetric or not positive semidefinite, D negative, an asset without variance.

    References
    ----------
    Costa & Kwon (2020), equation (9).
    """

    def __init__(
        self,
        loadings: pd.DataFrame | ArrayLike,
        factor_covariance: pd.DataFrame | ArrayLike,
        residual_variance: pd.Series | ArrayLike,
        labels: Iterable[Hashable] | None = None,
        factor_labels: Iterable[Hashable] | None = None,
        *,
        exposure_name: str = "exposure",
    ) -> None:
        self.V = as_floats(loadings, "loadings", 2)
        self.F = as_floats(factor_covariance, "factor covariance", 2)
        self.D = as_floats(residual_variance, "residual variance", 1)
        self.exposure_name = exposure_name
        framed = isinstance(loadings, pd.DataFrame)
        m, n = self.V.shape
        self.labels = resolve_labels(labels, loadings.columns if framed else None, n, "asset")
        self.factor_labels = resolve_labels(
            factor_labels, loadings.index if framed else None, m, "factor"
        )
        self._check_labels(factor_covariance, residual_variance)
        self._check_numbers()

    @cached_property
    def loadings(self) -> pd.DataFrame:
        """V, labelled, shape (m, n)."""
        return pd.DataFrame(self.V, index=list(self.factor_labels), columns=list(self.labels))

    @cached_property
    def factor_covariance(self) -> pd.DataFrame:
        """F, labelled, shape (m, m)."""
        return pd.DataFrame(
            self.F, index=list(self.factor_labels), columns=list(self.factor_labels)
        )

    @cached_property
    def residual_variance(self) -> pd.Series:
        """The diagonal of D, labelled, shape (n,)."""
        return pd.Series(self.D, index=list(self.labels), name="residual_variance")

    @cached_property
    def operator(self) -> LinearMap:
        return LinearMap((self._factor(self._FV.T),), self.D)

    @cached_property
    def root(self) -> Stack:
        systematic = LinearMap((self._factor(self._factor_root),))
        return Stack((systematic, LinearMap(diagonal=np.sqrt(self.D))))

    @cached_property
    def frobenius_norm(self) -> float:
        # ‖V'FV + D‖² = tr(FGFG) + 2 Σ_i D_i (V'FV)_ii + ‖D‖² with G = VV'
        FG = self._FV @ self.V.T
        systematic = self.variances - self.D
        return float(np.sqrt((FG * FG.T).sum() + self.D @ (2.0 * systematic + self.D)))

    @cached_property
    def variances(self) -> FloatArray:
        return np.einsum("kj,kj->j", self.V, self._FV) + self.D

    @cached_property
    def _FV(self) -> FloatArray:
        return self.F @ self.V

    def _factor(self, left: FloatArray) -> Factor:
        return Factor(left, self.V, self.exposure_name, tuple(map(str, self.factor_labels)))

    def _check_labels(self, factor_covariance: object, residual_variance: object) -> None:
        m, n = self.V.shape
        for name, array, shape in (
            ("factor covariance", self.F, (m, m)),
            ("residual variance", self.D, (n,)),
        ):
            if array.shape != shape:
                raise InputError(
                    f"{name} has shape {array.shape}; loadings of shape {(m, n)} (factors, assets) "
                    f"need {shape}"
                )
        if isinstance(factor_covariance, pd.DataFrame):
            for axis in factor_covariance.axes:
                _require_same(axis, self.factor_labels, "factor covariance", "factor")
        if isinstance(residual_variance, pd.Series):
            _require_same(residual_variance.index, self.labels, "residual variance", "asset")

    def _check_numbers(self) -> None:
        factors, assets = self.factor_labels, self.labels
        require_finite(self.V, "loading", rows=factors, columns=assets)
        require_finite(self.F, "factor covariance", rows=factors, columns=factors)
        require_finite(self.D, "residual variance", rows=assets)
        _require_symmetric(self.F, factors, "factor covariance")
        self._factor_root, _ = _psd_root(self.F, "factor covariance", clip=False)
        if (self.D < 0).any():
            i = int(self.D.argmin())
            raise InputError(
                f"residual variance of {str(assets[i])!r} is {self.D[i]:.3g}; it must not be "
                "negative"
            )
        self._require_positive_variances()

    def __repr__(self) -> str:
        return f"FactorCovariance({self.size} assets, {len(self.factor_labels)} factors)"


class DenseCovariance(Covariance):
    """Σ as an (n, n) array.

    Parameters
    ----------
    matrix : (n, n) DataFrame or array
        Symmetric and positive semidefinite up to rounding.
    labels : iterable of hashables, optional
        Taken from a DataFrame, otherwise 0, 1, ….
    repair : {None, "clip"}
        ``"clip"`` sets negative eigenvalues to zero and says so in ``repaired``.

    Raises
    ------
    InputError
        Not square, not symmetric (the worst pair is named), not positive semidefinite (the
        smallest eigenvalue is named), entries that are not finite, duplicate or differing labels,
        an asset without variance.
    """

    def __init__(
        self,
        matrix: pd.DataFrame | ArrayLike,
        labels: Iterable[Hashable] | None = None,
        repair: Literal["clip"] | None = None,
    ) -> None:
        if repair not in (None, "clip"):
            raise InputError(f"repair is {repair!r}; expected None or 'clip'")
        array = as_floats(matrix, "covariance", 2)
        if array.shape[0] != array.shape[1]:
            raise InputError(f"covariance has shape {array.shape}; it must be square")
        framed = isinstance(matrix, pd.DataFrame)
        self.labels = resolve_labels(
            labels, matrix.columns if framed else None, len(array), "asset"
        )
        if framed:
            _require_same(matrix.index, self.labels, "index of the covariance", "asset")
        require_finite(array, "covariance", rows=self.labels, columns=self.labels)
        _require_symmetric(array, self.labels, "covariance")
        self._matrix = array
        self._require_positive_variances()
        self._root, self.repaired = _psd_root(array, "covariance", clip=repair == "clip")
        if self.repaired:
            self._matrix = self._root.T @ self._root

    @property
    def operator(self) -> FloatArray:
        return self._matrix

    @property
    def root(self) -> FloatArray:
        return self._root

    @cached_property
    def frobenius_norm(self) -> float:
        return float(np.linalg.norm(self._matrix))

    @property
    def variances(self) -> FloatArray:
        return np.diagonal(self._matrix)

    def __repr__(self) -> str:
        return f"DenseCovariance({self.size} assets)"


def _require_same(found: Iterable[Hashable], labels: Labels, name: str, kind: str) -> None:
    found = unique_labels(found, kind)
    for position, (left, right) in enumerate(zip(found, labels, strict=True)):
        if left != right:
            raise InputError(
                f"{name} has {kind} {str(left)!r} at position {position} where {str(right)!r} is "
                "expected; reindex one of them so that the labels agree"
            )


def _require_symmetric(matrix: FloatArray, labels: Labels, name: str) -> None:
    gap = np.abs(matrix - matrix.T)
    if gap.max(initial=0.0) > _SYMMETRY_TOLERANCE * np.abs(matrix).max(initial=0.0):
        i, j = np.unravel_index(gap.argmax(), gap.shape)
        raise InputError(
            f"{name} is not symmetric: entry ({labels[i]}, {labels[j]}) is {matrix[i, j]:.6g} but "
            f"({labels[j]}, {labels[i]}) is {matrix[j, i]:.6g}; use (S + S.T) / 2 if both are meant"
        )


def _psd_root(matrix: FloatArray, name: str, clip: bool) -> tuple[FloatArray, str | None]:
    """R with R'R = matrix: Cholesky, or from the eigenvalues where the matrix is singular.

    The second value says what was clipped, if anything.
    """
    try:
        return np.linalg.cholesky(matrix).T, None
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
    smallest, repaired = values[0], None
    if smallest < -_EIGENVALUE_TOLERANCE * np.abs(values).max():
        if not clip:
            raise InputError(
                f"{name} is not positive semidefinite: its smallest eigenvalue is {smallest:.3g}; "
                "estimate it again, or make it so (DenseCovariance has repair='clip')"
            )
        repaired = f"clipped {(values < 0).sum()} negative eigenvalues, smallest {smallest:.3g}"
    kept = values > _EIGENVALUE_TOLERANCE * 1e-4 * values[-1]
    return np.sqrt(values[kept])[:, None] * vectors[:, kept].T, repaired
