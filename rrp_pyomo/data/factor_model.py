"""The factor model of asset returns, by least squares."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo.data.covariance import FactorCovariance
from rrp_pyomo.data.uncertainty import CovarianceUncertainty
from rrp_pyomo.data.units import refuse_impossible, refuse_prices
from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    agreed_labels,
    as_floats,
    frozen,
    index_of,
    require_dates,
    require_finite,
    require_same_dates,
    selection,
    shown,
    unique_labels,
)
from rrp_pyomo.data.weight_set import Signs
from rrp_pyomo.errors import InputError, warn
from rrp_pyomo.linalg import FloatArray

# What rounding leaves of a column's length when all that it could explain is taken away.
_RANK_TOLERANCE = 1e-10
# Other units, in which −1 is no total loss, have larger returns than this: half of all are below.
_DECIMAL = 0.1
# All is lost, and the riskless rate of a month with it.
_LEAST_EXCESS = -1.02
# Least squares and the norms of what follows hold products of four returns.
_LEAST_SIZE, _LARGEST_SIZE = 1e-74, 1e74


class _Estimates(NamedTuple):
    """What least squares of p returns of n assets on m factors gives, as read-only arrays."""

    alpha: FloatArray
    V: FloatArray
    residual_variance: FloatArray
    standard_errors: FloatArray
    residuals: FloatArray
    factor_means: FloatArray
    F: FloatArray


@dataclass(frozen=True, repr=False, eq=False)
class FactorModel:
    """Returns explained by factors (8), estimated by ordinary least squares for all assets at once.

        r = α + V'f + ε,   f ~ (φ, F),   ε ~ (0, D),   D diagonal

    Made by :meth:`fit` from labelled returns or by :meth:`from_arrays` from numbers. All moments
    are per period of the data.

    Attributes
    ----------
    labels, factor_labels : tuple
        The n assets and the m factors.
    dates : Index
        The p periods.

    References
    ----------
    Costa & Kwon (2020), section 3.1. Its linear model y = Aβ + ε has for A the p × (m + 1) matrix
    of ones and factor returns.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo import FactorModel
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.0, 0.05, (60, 1))
    >>> returns = factors * [1.0, 0.5] + rng.normal(0.0, 0.02, (60, 2))
    >>> model = FactorModel.from_arrays(returns, factors)
    >>> model
    FactorModel(2 assets, 1 factors, 60 observations)
    >>> model.loadings.round(2).to_numpy().tolist()
    [[0.97, 0.34]]
    >>> model.loading_standard_errors.round(2).to_numpy().tolist()
    [[0.06, 0.05]]
    """

    labels: Labels
    factor_labels: Labels
    dates: pd.Index
    _estimates: _Estimates

    @classmethod
    def fit(cls, returns: pd.DataFrame, factors: pd.DataFrame) -> FactorModel:
        """Estimate the model from returns of assets and of factors over the same periods.

        Parameters
        ----------
        returns : (p, n) DataFrame
            Returns by date and asset, decimals per period; excess returns where the factors are.
        factors : (p, m) DataFrame
            Factor returns by date and factor, decimals per period, with the same index.

        Raises
        ------
        InputError
            Dates that are repeated, unsorted or differ (the first is named), prices in place of
            returns, decimals with a return below −100 % among them (asset and date are named), and
            all that :meth:`from_arrays` refuses.

        Warns
        -----
        RiskParityWarning
            The risk-free rate, by the name ``RF``, is among the factors.
        """
        require_dates(returns, "returns")
        require_dates(factors, "factors")
        require_same_dates(returns.index, factors.index, "returns", "factors")
        for column in factors.columns:
            if str(column).strip().upper() == "RF":
                warn(
                    f"factors have a column {column!r}, which is the risk-free rate in files of "
                    "factors, and is taken for a factor here; leave it out: excess_returns(returns,"
                    f" factors[{column!r}]) takes it, and factors.drop(columns={column!r}) are fit"
                )
        numbers = as_floats(returns, "returns", 2)
        refuse_prices(numbers, "returns")
        if numbers.min(initial=0.0) < _LEAST_EXCESS and np.median(np.abs(numbers)) < _DECIMAL:
            refuse_impossible(numbers, "the return", returns.index, returns.columns, _LEAST_EXCESS)
        return cls.from_arrays(
            numbers,
            as_floats(factors, "factors", 2),
            returns.columns,
            factors.columns,
            returns.index,
        )

    @classmethod
    def from_arrays(
        cls,
        returns: Matrix,
        factors: Matrix,
        labels: Iterable[Hashable] | None = None,
        factor_labels: Iterable[Hashable] | None = None,
        dates: pd.Index | None = None,
    ) -> FactorModel:
        """Estimate the model from arrays whose rows are the same periods: the fast path.

        Parameters
        ----------
        returns, factors : (p, n) and (p, m) arrays
        labels, factor_labels : iterables of hashables, optional
            Default 0, 1, ….
        dates : Index, optional
            Default 0, 1, ….

        Raises
        ------
        InputError
            Fewer than m + 2 periods, NaN or infinite entries (asset and date are named), duplicate
            labels, a constant factor, collinear factors (named), an asset that never moves, returns
            of a size beyond 1e-74 to 1e74.
        """
        Y, X = as_floats(returns, "returns", 2), as_floats(factors, "factors", 2)
        (p, n), m = Y.shape, X.shape[1]
        if len(X) != p:
            raise InputError(
                f"returns have {p} periods and factors {len(X)}; they must be the same"
            )
        assets = agreed_labels("asset", n, labels=labels)
        names = agreed_labels("factor", m, factor_labels=factor_labels)
        if p < m + 2:
            raise InputError(
                f"{p} observations are too few for {m} factors; at least m + 2 = {m + 2} are needed"
            )
        dates = pd.RangeIndex(p) if dates is None else _dates(dates, p)
        require_finite(Y, "return", dates, assets)
        require_finite(X, "factor return", dates, names)
        _require_scale(Y, assets, "asset")
        _require_scale(X, names, "factor")
        return cls(assets, names, dates, _least_squares(Y, X, assets, names))

    @property
    def observations(self) -> int:
        """The number of periods p."""
        return len(self.dates)

    @cached_property
    def alpha(self) -> pd.Series:
        """The intercepts α of (8), shape (n,)."""
        return self._by_asset(self._estimates.alpha, "alpha")

    @cached_property
    def loadings(self) -> pd.DataFrame:
        """The loadings V of (8), shape (m, n)."""
        return self._by_factor(self._estimates.V)

    @cached_property
    def loading_standard_errors(self) -> pd.DataFrame:
        """SE(V_kj) = s_j √((A'A)⁻¹)_kk, shape (m, n), with A = [1 factors]."""
        return self._by_factor(self._estimates.standard_errors)

    @cached_property
    def residual_variance(self) -> pd.Series:
        """The diagonal of D: s_j² = ‖y_j − A β_j‖² / (p − m − 1), shape (n,)."""
        return self._by_asset(self._estimates.residual_variance, "residual_variance")

    @cached_property
    def factor_covariance(self) -> pd.DataFrame:
        """F, the sample covariance (ddof = 1) of the factors, shape (m, m)."""
        factors = index_of(self.factor_labels)
        return pd.DataFrame(self._estimates.F, index=factors, columns=factors)

    @cached_property
    def factor_mean(self) -> pd.Series:
        """φ, the sample mean of the factors, shape (m,), per period."""
        means, factors = self._estimates.factor_means, index_of(self.factor_labels)
        return pd.Series(means, index=factors, name="factor_mean")

    @cached_property
    def residuals(self) -> pd.DataFrame:
        """ε of (8), shape (p, n)."""
        return pd.DataFrame(self._estimates.residuals, self.dates, index_of(self.labels))

    @cached_property
    def expected_returns(self) -> pd.Series:
        """μ = α + V'φ of (9), shape (n,), per period."""
        e = self._estimates
        return self._by_asset(e.alpha + e.V.T @ e.factor_means, "expected_return")

    @cached_property
    def covariance(self) -> FactorCovariance:
        """Σ⁰ = V'FV + D of (9), kept factored."""
        e = self._estimates
        return FactorCovariance(e.V, e.F, e.residual_variance, self.labels, self.factor_labels)

    def select(self, labels: Iterable[Hashable]) -> FactorModel:
        """The model of some of the assets, as :meth:`fit` finds it from their returns alone.

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
        at, chosen = selection(labels, self.labels)
        e = self._estimates
        part = e._replace(
            alpha=frozen(e.alpha[at]),
            V=frozen(e.V[:, at]),
            residual_variance=frozen(e.residual_variance[at]),
            standard_errors=frozen(e.standard_errors[:, at]),
            residuals=frozen(e.residuals[:, at]),
        )
        return FactorModel(chosen, self.factor_labels, self.dates, part)

    def covariance_uncertainty(
        self, scale: float = 1.0, signs: Signs = None
    ) -> CovarianceUncertainty:
        """The uncertainty set that the errors of the loadings imply, with its worst case (10).

        Parameters
        ----------
        scale : float
            Multiplies the standard errors; the paper has 1.
        signs : mapping, Series or (n,) array, optional
            1 or −1 for each asset, where the worst case of a long–short book is wanted.

        Raises
        ------
        InputError
            ``scale`` negative or not finite, more than 20 factors, signs that are not ±1.
        """
        return CovarianceUncertainty.from_loading_errors(
            self.covariance, self._estimates.standard_errors, scale, signs
        )

    def _by_asset(self, values: FloatArray, name: str) -> pd.Series:
        return pd.Series(values, index=index_of(self.labels), name=name)

    def _by_factor(self, values: FloatArray) -> pd.DataFrame:
        return pd.DataFrame(
            values, index=index_of(self.factor_labels), columns=index_of(self.labels)
        )

    def __repr__(self) -> str:
        n, m, p = len(self.labels), len(self.factor_labels), self.observations
        return f"FactorModel({n} assets, {m} factors, {p} observations)"


def _dates(dates: Iterable[Hashable], periods: int) -> pd.Index:
    index = dates if isinstance(dates, pd.Index) else index_of(unique_labels(dates, "date"))
    if len(index) != periods:
        raise InputError(
            f"dates are {len(index)} where returns have {periods} periods; give one for each"
        )
    return index


def _least_squares(Y: FloatArray, X: FloatArray, labels: Labels, factors: Labels) -> _Estimates:
    """Least squares with intercept, by the QR factorisation of the centred factors.

    Centring both sides leaves V as it is and makes (X'X)⁻¹ the part of (A'A)⁻¹ that belongs to V.
    """
    p, m = X.shape
    means, factor_means = Y.mean(axis=0), X.mean(axis=0)
    Yc, Xc = Y - means, X - factor_means
    _require_variation(Yc, Y, labels, "asset")
    _require_variation(Xc, X, factors, "factor")
    Q, R = np.linalg.qr(Xc)
    _require_independent(R, factors)
    inverse = np.linalg.inv(R)
    V = inverse @ (Q.T @ Yc)
    residuals = Yc - Xc @ V
    s = _lengths(residuals) / np.sqrt(p - m - 1)
    estimates = _Estimates(
        alpha=means - factor_means @ V,
        V=V,
        residual_variance=s**2,
        standard_errors=np.outer(_lengths(inverse.T), s),
        residuals=residuals,
        factor_means=factor_means,
        F=Xc.T @ Xc / (p - 1),
    )
    for array in estimates:
        array.flags.writeable = False
    return estimates


def _lengths(columns: FloatArray) -> FloatArray:
    lengths: FloatArray = np.sqrt(np.einsum("tj,tj->j", columns, columns))
    return lengths


def _require_scale(values: FloatArray, labels: Labels, kind: str) -> None:
    size = np.abs(values).max(axis=0)
    beyond = (size > _LARGEST_SIZE) | ((size < _LEAST_SIZE) & (size > 0.0))
    if beyond.any():
        k = int(beyond.argmax())
        raise InputError(
            f"{kind} {shown(labels[k])} has returns of up to {size[k]:.6g}, beyond the scale of "
            f"{_LEAST_SIZE:g} to {_LARGEST_SIZE:g} that can be computed with; use other units, "
            "such as decimals per period"
        )


def _require_variation(centred: FloatArray, values: FloatArray, labels: Labels, kind: str) -> None:
    still = _lengths(centred) <= _RANK_TOLERANCE * _lengths(values)
    if still.any():
        k = int(still.argmax())
        raise InputError(
            f"{kind} {str(labels[k])!r} has zero variance: its return is {values[0, k]:.6g} in "
            f"every period; leave the {kind} out"
        )


def _require_independent(R: FloatArray, factors: Labels) -> None:
    """No factor may be a combination of those before it: R_kk is what they leave of its length."""
    left = np.abs(R.diagonal()) / _lengths(R)
    if left.min() > _RANK_TOLERANCE:
        return
    k = int((left <= _RANK_TOLERANCE).argmax())
    shares = np.abs(np.linalg.solve(R[:k, :k], R[:k, k])) * _lengths(R[:, :k])
    others = [str(factors[j]) for j in np.flatnonzero(shares > 1e-6 * shares.max())]
    raise InputError(
        f"factors are collinear: {str(factors[k])!r} is a combination of {', '.join(others)}; "
        "leave one of them out"
    )
