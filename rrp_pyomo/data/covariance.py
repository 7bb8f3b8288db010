"""Covariance matrices of asset returns, kept factored where they come from a factor model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from rrp_pyomo.data.definite import clipped, psd_root, symmetric
from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    Vector,
    agreed_labels,
    as_floats,
    by_label,
    frozen,
    index_of,
    labels_of,
    require_finite,
    require_shape,
    selection,
)
from rrp_pyomo.errors import InputError, brief, require_kind
from rrp_pyomo.linalg import Factor, FloatArray, LinearMap, Stack

# Norms square variances once more, which floats hold as far as 1e±308.
_LEAST_VARIANCE, _LARGEST_VARIANCE = 1e-150, 1e150
# Up to so many assets a factorisation takes no longer than what else is checked at once.
_FACTORED_AT_ONCE = 100


class Covariance(ABC):
    """A covariance matrix Σ of n asset returns: per-period variances, labelled, immutable.

    Attributes
    ----------
    labels : tuple
        The assets, in the order of rows and columns.
    repaired : str or None
        What was changed to make the matrix positive semidefinite; None where nothing was.

    Examples
    --------
    What all covariances have, dense or factored:

    >>> from rrp_pyomo.data import Covariance, DenseCovariance
    >>> given = DenseCovariance([[0.04, 0.006], [0.006, 0.01]], ["stocks", "bonds"])
    >>> isinstance(given, Covariance), given.labels
    (True, ('stocks', 'bonds'))
    >>> round(given.variance([0.5, 0.5]), 4), given.marginal_risk([0.5, 0.5]).round(4).tolist()
    (0.0155, [0.023, 0.008])
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
    def as_given(self) -> LinearMap | FloatArray:
        """Σ as in ``operator``, though nobody may have asked whether it is semidefinite.

        For what goes through with any symmetric matrix, and meets what is not semidefinite itself.
        """
        return self.operator

    @property
    @abstractmethod
    def root(self) -> Stack | FloatArray:
        """R with R'R = Σ, so that weights x have the volatility ‖R x‖₂; n columns."""

    @property
    @abstractmethod
    def frobenius_norm(self) -> float:
        """‖Σ‖_F."""

    @property
    @abstractmethod
    def variances(self) -> FloatArray:
        """The diagonal of Σ, shape (n,)."""

    @abstractmethod
    def select(self, labels: Iterable[Hashable]) -> Covariance:
        """The covariance matrix of some of the assets; a factored one stays factored.

        Parameters
        ----------
        labels : iterable of labels
            The assets, in the order that the result has.

        Raises
        ------
        UnknownLabelError
            A label that is not in ``labels``.
        InputError
            No labels, or repeated ones.
        """

    def matrix(self) -> pd.DataFrame:
        """Σ multiplied out and labelled, shape (n, n)."""
        labels = index_of(self.labels)
        return pd.DataFrame(multiplied_out(self.operator), index=labels, columns=labels)

    def __matmul__(self, weights: Any) -> pd.Series:
        """Σx for weights, as :meth:`marginal_risk` has it; for expressions, see the language."""
        if isinstance(weights, (pd.Series, np.ndarray)):
            return self.marginal_risk(weights)
        return NotImplemented

    def marginal_risk(self, weights: Vector) -> pd.Series:
        """Σx, the marginal risk of each asset, in units of variance.

        Parameters
        ----------
        weights : Series or (n,) array
            A Series is aligned by label; an array is in the order of ``labels``.

        Raises
        ------
        UnknownLabelError
            A weight for an asset that is not in ``labels``.
        InputError
            A missing asset, the wrong length, entries that are not finite.

        References
        ----------
        Costa & Kwon (2020), equation (2).
        """
        x = by_label(weights, self.labels, "weights")
        return pd.Series(self.operator @ x, index=index_of(self.labels), name="marginal_risk")

    def variance(self, weights: Vector) -> float:
        """x'Σx, the variance of a portfolio per period; ``weights`` as in :meth:`marginal_risk`."""
        x = by_label(weights, self.labels, "weights")
        return float(x @ (self.operator @ x))

    def volatilities(self) -> pd.Series:
        """√Σ_ii, the standard deviation of each asset's return per period."""
        return pd.Series(np.sqrt(self.variances), index=index_of(self.labels), name="volatility")

    @cached_property
    def mean_row_sum(self) -> float:
        """The mean of Σ1: the magnitude of a marginal risk when weights are of order 1."""
        return float((self.as_given @ np.ones(self.size)).mean())


@dataclass(frozen=True, init=False, repr=False, eq=False)
class FactorCovariance(Covariance):
    """Σ = V'FV + D of a factor model (9), never multiplied out: O(n·m) numbers.

    Parameters
    ----------
    loadings : (m, n) DataFrame or array
        V, one row per factor.
    factor_covariance : (m, m) DataFrame or array
        F, symmetric and positive semidefinite.
    residual_variance : (n,) Series or array
        The diagonal of D, nonnegative.
    labels, factor_labels : iterables of hashables, optional
        Taken from the pandas objects where there are any, otherwise 0, 1, ….
    exposure_name : str
        What statements call the exposures V x.

    Attributes
    ----------
    V, F, D : (m, n), (m, m) and (n,) arrays
        The numbers, read-only; ``loadings``, ``factor_covariance`` and ``residual_variance`` are
        the same with labels.

    Raises
    ------
    InputError
        Shapes or labels that do not fit, duplicate labels, entries that are not finite, F not
        symmetric (the worst pair is named) or not positive semidefinite (the smallest eigenvalue
        is named), D negative, an asset without variance.

    References
    ----------
    Costa & Kwon (2020), equation (9).

    Examples
    --------
    Two assets on one factor: Σ_12 = 1 · 0.04 · 0.5.

    >>> from rrp_pyomo import FactorCovariance
    >>> given = FactorCovariance([[1.0, 0.5]], [[0.04]], residual_variance=[0.01, 0.02])
    >>> given.matrix().round(4).to_numpy().tolist()
    [[0.05, 0.02], [0.02, 0.03]]
    >>> round(given.variance([0.5, 0.5]), 4)
    0.03
    """

    V: FloatArray
    F: FloatArray
    D: FloatArray
    labels: Labels
    factor_labels: Labels
    exposure_name: str
    _factor_root: FloatArray

    def __init__(
        self,
        loadings: Matrix,
        factor_covariance: Matrix,
        residual_variance: Vector,
        labels: Iterable[Hashable] | None = None,
        factor_labels: Iterable[Hashable] | None = None,
        *,
        exposure_name: str = "exposure",
    ) -> None:
        V = frozen(as_floats(loadings, "loadings", 2))
        F = as_floats(factor_covariance, "factor_covariance", 2)
        D = frozen(as_floats(residual_variance, "residual_variance", 1))
        m, n = V.shape
        require_shape(F, (m, m), "factor_covariance", f"loadings of {m} factors")
        require_shape(D, (n,), "residual_variance", f"loadings of {n} assets")
        assets = agreed_labels(
            "asset",
            n,
            labels=labels,
            loadings=labels_of(loadings, 1),
            residual_variance=labels_of(residual_variance),
        )
        factors = agreed_labels(
            "factor",
            m,
            factor_labels=factor_labels,
            loadings=labels_of(loadings),
            factor_covariance=labels_of(factor_covariance),
            columns=labels_of(factor_covariance, 1),
        )
        require_finite(V, "loading", factors, assets)
        require_finite(D, "residual variance", assets)
        _require_nonnegative(D, assets)
        F = symmetric(F, factors, "factor_covariance")
        root = psd_root(F, "factor_covariance")
        # A frozen dataclass accepts its fields in this way only.
        vars(self).update(V=V, F=F, D=D, labels=assets, factor_labels=factors)
        vars(self).update(exposure_name=exposure_name, _factor_root=root)
        with np.errstate(over="ignore", invalid="ignore"):
            _require_positive(self.variances, assets)

    @cached_property
    def loadings(self) -> pd.DataFrame:
        """V with labels, shape (m, n)."""
        return pd.DataFrame(
            self.V, index=index_of(self.factor_labels), columns=index_of(self.labels)
        )

    @cached_property
    def factor_covariance(self) -> pd.DataFrame:
        """F with labels, shape (m, m)."""
        factors = index_of(self.factor_labels)
        return pd.DataFrame(self.F, index=factors, columns=factors)

    @cached_property
    def residual_variance(self) -> pd.Series:
        """The diagonal of D with labels, shape (n,)."""
        return pd.Series(self.D, index=index_of(self.labels), name="residual_variance")

    @cached_property
    def operator(self) -> LinearMap:
        """V'F · V + D."""
        return LinearMap((self._factor(self._FV.T),), self.D)

    @cached_property
    def root(self) -> Stack:
        """R = [F^½ V; D^½], shape (m + n, n), with F^½'F^½ = F."""
        systematic = LinearMap((self._factor(self._factor_root),))
        return Stack((systematic, LinearMap(diagonal=np.sqrt(self.D))))

    @cached_property
    def frobenius_norm(self) -> float:
        """‖V'FV + D‖_F in O(n m²): with G = VV', √(tr FGFG + Σ_i D_i (2 (V'FV)_ii + D_i))."""
        FG = self._FV @ self.V.T
        return float(np.sqrt((FG * FG.T).sum() + self.D @ (2.0 * self.variances - self.D)))

    @cached_property
    def variances(self) -> FloatArray:
        """The diagonal of V'FV + D, shape (n,)."""
        systematic: FloatArray = np.einsum("kj,kj->j", self.V, self._FV)
        return systematic + self.D

    def select(self, labels: Iterable[Hashable]) -> FactorCovariance:
        """The covariance of some of the assets, with the same factors."""
        at, chosen = selection(labels, self.labels)
        return FactorCovariance(
            self.V[:, at],
            self.F,
            self.D[at],
            chosen,
            self.factor_labels,
            exposure_name=self.exposure_name,
        )

    @cached_property
    def _FV(self) -> FloatArray:
        return self.F @ self.V

    def _factor(self, left: FloatArray) -> Factor:
        return Factor(left, self.V, self.exposure_name, tuple(map(str, self.factor_labels)))

    def __repr__(self) -> str:
        return f"FactorCovariance({self.size} assets, {len(self.factor_labels)} factors)"


@dataclass(frozen=True, init=False, repr=False, eq=False)
class DenseCovariance(Covariance):
    """Σ as an (n, n) array.

    Parameters
    ----------
    matrix : (n, n) DataFrame or array
        Symmetric and positive semidefinite up to rounding. With more than 100 assets the latter is
        found out where Σ is first used, as that takes longer than many a use: by all but Newton's
        method for risk parity, which needs no more than a convex problem.
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

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance
    >>> given = DenseCovariance([[0.04, 0.006], [0.006, 0.01]], ["stocks", "bonds"])
    >>> given.volatilities().round(4).tolist()
    [0.2, 0.1]
    >>> round(given.variance([0.5, 0.5]), 4)
    0.0155

    What is no covariance is refused, or repaired where that is asked for:

    >>> DenseCovariance([[0.04, 0.03], [0.03, 0.01]], repair="clip").repaired
    'clipped 1 negative eigenvalue(s) to 0, the smallest -0.00854102'
    """

    labels: Labels
    repaired: str | None
    _matrix: FloatArray

    def __init__(
        self,
        matrix: Matrix,
        labels: Iterable[Hashable] | None = None,
        repair: Literal["clip"] | None = None,
    ) -> None:
        if not (repair is None or (isinstance(repair, str) and repair == "clip")):
            raise InputError(f"repair is {brief(repair)}; expected None or 'clip'")
        array = as_floats(matrix, "covariance", 2)
        n = len(array)
        require_shape(array, (n, n), "covariance", f"{n} assets")
        assets = agreed_labels(
            "asset", n, labels=labels, rows=labels_of(matrix), columns=labels_of(matrix, 1)
        )
        with np.errstate(all="ignore"):
            row_sums = array @ np.ones(n)
        array = symmetric(array, assets, "covariance", row_sums)
        _require_positive(array.diagonal(), assets)
        repaired = None
        if repair == "clip":
            array, repaired = clipped(array)
        vars(self).update(labels=assets, repaired=repaired, _matrix=array)
        if repair is None:
            vars(self).update(mean_row_sum=float(row_sums.mean()))
        if n <= _FACTORED_AT_ONCE or repair is not None:
            self._require_semidefinite()

    @property
    def operator(self) -> FloatArray:
        """Σ itself."""
        self._require_semidefinite()
        return self._matrix

    @property
    def as_given(self) -> FloatArray:
        """Σ itself, though nobody may have asked whether it is semidefinite."""
        return self._matrix

    @cached_property
    def root(self) -> FloatArray:
        """R with R'R = Σ: Cholesky, or from the eigenvalues where Σ is singular."""
        return psd_root(self._matrix, "covariance")

    def _require_semidefinite(self) -> None:
        _ = self.root

    @cached_property
    def frobenius_norm(self) -> float:
        """‖Σ‖_F."""
        return float(np.linalg.norm(self._matrix))

    @property
    def variances(self) -> FloatArray:
        """The diagonal of Σ, shape (n,)."""
        return self._matrix.diagonal()

    def select(self, labels: Iterable[Hashable]) -> DenseCovariance:
        """The covariance of some of the assets; ``repaired`` says what was done to the whole."""
        at, chosen = selection(labels, self.labels)
        part = DenseCovariance(self._matrix[np.ix_(at, at)], chosen)
        vars(part).update(repaired=self.repaired)
        return part

    def __repr__(self) -> str:
        return f"DenseCovariance({self.size} assets)"


CovarianceLike: TypeAlias = Covariance | Matrix


def as_covariance(value: CovarianceLike) -> Covariance:
    """A covariance as it is, a table or an array as a :class:`DenseCovariance`.

    Raises
    ------
    InputError
        It is neither, or no covariance matrix.
    """
    if isinstance(value, Covariance):
        return value
    if not isinstance(value, pd.DataFrame | np.ndarray | list | tuple):
        what = "such as DenseCovariance(matrix), or an (n, n) table or array"
        require_kind(value, Covariance, "covariance", what)
    return DenseCovariance(value)


def multiplied_out(operator: LinearMap | FloatArray) -> FloatArray:
    """A linear map as an array."""
    return operator.toarray() if isinstance(operator, LinearMap) else operator


def _require_nonnegative(variances: FloatArray, labels: Labels) -> None:
    if variances.min() < 0:
        i = int(variances.argmin())
        raise InputError(
            f"residual variance of {str(labels[i])!r} is {variances[i]:.6g}; expected at least 0"
        )


def _require_positive(variances: FloatArray, labels: Labels) -> None:
    i = int(variances.argmin())
    if variances[i] <= 0:
        raise InputError(
            f"asset {str(labels[i])!r} has variance {variances[i]:.6g}; every variance must be "
            "positive: drop the asset or check its returns"
        )
    if not (variances[i] >= _LEAST_VARIANCE and variances.max() <= _LARGEST_VARIANCE):
        i = i if variances[i] < _LEAST_VARIANCE else int(variances.argmax())
        raise InputError(
            f"asset {str(labels[i])!r} has variance {variances[i]:.6g}, beyond the scale of "
            f"{_LEAST_VARIANCE:g} to {_LARGEST_VARIANCE:g} that can be computed with; use other "
            "units, such as decimals per period"
        )
