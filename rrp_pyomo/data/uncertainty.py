"""Uncertainty sets on the covariance matrix: nominal, worst case and the perturbation between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rrp_pyomo.data._validation import Labels, as_floats, require_finite
from rrp_pyomo.data.covariance import Covariance, DenseCovariance, FactorCovariance
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import Factor, FloatArray, LinearMap

MOST_FACTORS = 20


@dataclass(frozen=True, eq=False)
class Perturbation:
    """Σ^Δ = Σ̄ − Σ⁰, kept factored where both are.

    Attributes
    ----------
    operator : LinearMap or (n, n) array
        Σ^Δ itself; for a factor model V*'F V* − V⁰'F V⁰.
    norm_map : LinearMap or (n, n) array
        K with ‖Kx‖₂ = ‖Σ^Δ x‖₂ for every x: 2m rows instead of n for a factor model.
    frobenius_norm : float
        ‖Σ^Δ‖_F.
    labels : tuple
        The assets.
    """

    operator: LinearMap | FloatArray
    norm_map: LinearMap | FloatArray
    frobenius_norm: float
    labels: Labels

    def matrix(self) -> pd.DataFrame:
        """Σ^Δ multiplied out and labelled, shape (n, n)."""
        array = self.operator.toarray() if isinstance(self.operator, LinearMap) else self.operator
        return pd.DataFrame(array, index=list(self.labels), columns=list(self.labels))


@dataclass(frozen=True, eq=False)
class CovarianceUncertainty:
    """A box of covariance matrices around a nominal one (6)–(7).

        U = { Σ⁰ + δ ⊙ Σ^Δ :  −1 ≤ δ_ij ≤ 1 },   Σ^Δ = Σ̄ − Σ⁰

    Made by :meth:`FactorModel.covariance_uncertainty`, :meth:`from_loading_errors` or
    :meth:`from_bounds`.

    Attributes
    ----------
    nominal, worst_case : Covariance
        Σ⁰ and Σ̄.
    perturbation : Perturbation
        Σ^Δ.
    lower : Covariance or array or None
        The lower bounds of (6); None stands for Σ⁰ − Σ^Δ.

    References
    ----------
    Costa & Kwon (2020), section 3.
    """

    nominal: Covariance
    worst_case: Covariance
    perturbation: Perturbation
    lower: FloatArray | None = None
    _loading_width: FloatArray | None = None

    @classmethod
    def from_loading_errors(
        cls,
        nominal: FactorCovariance,
        standard_errors: pd.DataFrame | ArrayLike,
        scale: float = 1.0,
    ) -> CovarianceUncertainty:
        """The set that the errors of the loadings imply, with the exact worst case of (10).

        V* maximises 1'(V'FV + D)1 over |V − V⁰| ≤ scale · SE. The objective is u'Fu plus a constant
        with u = V1; each u_k has an interval of its own, and a convex function is largest at one of
        the 2^m corners, where row k of V* is V⁰_k ± scale · SE_k with one sign throughout. Where
        corners tie, the first in the order (+…++), (+…+−), …, (−…−−) is taken.

        Parameters
        ----------
        nominal : FactorCovariance
            Σ⁰ = V⁰'F V⁰ + D.
        standard_errors : (m, n) DataFrame or array
            SE(V⁰), in the order of the loadings.
        scale : float
            Multiplies the standard errors.

        Raises
        ------
        InputError
            ``scale`` or a standard error negative or not finite, more than 20 factors.
        """
        if not (np.isfinite(scale) and scale >= 0):
            raise InputError(f"scale is {scale}; expected a finite number of at least 0")
        m = len(nominal.factor_labels)
        if m > MOST_FACTORS:
            raise InputError(
                f"the worst case over {m} factors has 2^{m} corners; at most {MOST_FACTORS} "
                "factors are enumerated: use fewer factors or CovarianceUncertainty.from_bounds"
            )
        width = scale * np.asarray(standard_errors, dtype=np.float64)
        sign = _worst_signs(nominal.V.sum(axis=1), width.sum(axis=1), nominal.F)
        step = sign[:, None] * width
        worst_case = _with_loadings(nominal, nominal.V + step)
        return cls(
            nominal,
            worst_case,
            _factored_perturbation(nominal, worst_case),
            _loading_width=width,
        )

    @classmethod
    def from_bounds(
        cls,
        nominal: Covariance | pd.DataFrame | ArrayLike,
        upper: Covariance | pd.DataFrame | ArrayLike,
        lower: Covariance | pd.DataFrame | ArrayLike | None = None,
    ) -> CovarianceUncertainty:
        """The set between given bounds (6), with Σ̄ = ``upper`` and Σ^Δ = ``upper`` − ``nominal``.

        Two factor covariances with the same F and D stay factored. Only on the diagonal must
        ``upper`` be at least ``nominal``: the worst case of a factor model raises the sum of all
        covariances and lowers some of them (those of assets whose loadings have opposite signs).

        Parameters
        ----------
        nominal, upper : Covariance, (n, n) DataFrame or array
            Positive semidefinite, over the same assets in the same order.
        lower : Covariance, (n, n) DataFrame or array, optional
            Need not be positive semidefinite; default Σ⁰ − Σ^Δ.

        Raises
        ------
        InputError
            Differing assets, bounds on the wrong side of a nominal variance, matrices that
            :class:`DenseCovariance` refuses.
        """
        nominal, upper = _as_covariance(nominal), _as_covariance(upper)
        if upper.labels != nominal.labels:
            raise InputError("upper and nominal differ in their assets; reindex upper like nominal")
        below = upper.variances < nominal.variances * (1 - 1e-12)
        _refuse(below, "upper", upper.variances, "below", nominal)
        bound = None
        if lower is not None:
            bound = _as_bound(lower, nominal.labels)
            above = np.diagonal(bound) > nominal.variances * (1 + 1e-12)
            _refuse(above, "lower", np.diagonal(bound), "above", nominal)
        if _same_factors(nominal, upper):
            worst_case = _with_loadings(nominal, upper.V)
            return cls(nominal, worst_case, _factored_perturbation(nominal, worst_case), bound)
        difference = _dense(upper) - _dense(nominal)
        perturbation = Perturbation(
            difference, difference, float(np.linalg.norm(difference)), nominal.labels
        )
        return cls(nominal, upper, perturbation, bound)

    @property
    def labels(self) -> Labels:
        """The assets."""
        return self.nominal.labels

    @property
    def size(self) -> int:
        """The number of assets n."""
        return self.nominal.size

    @cached_property
    def worst_case_loadings(self) -> pd.DataFrame | None:
        """V* of (10), shape (m, n); None for a set that is not factored."""
        worst = self.worst_case
        return worst.loadings if isinstance(worst, FactorCovariance) else None

    @cached_property
    def loading_bounds(self) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        """V⁰ ± scale · SE of (10), each of shape (m, n); None for a set from bounds."""
        if self._loading_width is None or not isinstance(self.nominal, FactorCovariance):
            return None
        loadings = self.nominal.loadings
        return loadings - self._loading_width, loadings + self._loading_width

    @property
    def relative_size(self) -> float:
        """‖Σ^Δ‖_F / ‖Σ⁰‖_F."""
        return self.perturbation.frobenius_norm / self.nominal.frobenius_norm

    def penalty(self, omega: float) -> float:
        """Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F, the penalty on marginal risk in (12c)."""
        if not (np.isfinite(omega) and omega >= 0):
            raise InputError(f"omega is {omega}; expected a finite number of at least 0")
        return float(omega) * self.relative_size


def _worst_signs(center: FloatArray, width: FloatArray, F: FloatArray) -> FloatArray:
    """The signs s that maximise u'Fu, u = center + s * width.

    With u in two halves a and b, u'Fu = a'F_aa a + 2 a'F_ab b + b'F_bb b: all 2^m values in one
    product of matrices.
    """
    half = center.size // 2
    head, tail = slice(half), slice(half, None)
    signs_a, signs_b = _corners(half), _corners(center.size - half)
    a, b = center[head] + signs_a * width[head], center[tail] + signs_b * width[tail]
    value = 2.0 * (a @ F[head, tail]) @ b.T
    value += np.einsum("ij,ij->i", a @ F[head, head], a)[:, None]
    value += np.einsum("ij,ij->i", b @ F[tail, tail], b)
    i, j = divmod(int(value.argmax()), len(b))
    return np.concatenate([signs_a[i], signs_b[j]])


@lru_cache
def _corners(k: int) -> FloatArray:
    """All sign vectors of length k as rows, from (+…++) over (+…+−) to (−…−−)."""
    bits = np.arange(2**k)[:, None] >> np.arange(k)[::-1]
    return 1.0 - 2.0 * (bits & 1)


def _with_loadings(nominal: FactorCovariance, V: FloatArray) -> FactorCovariance:
    return FactorCovariance(
        V,
        nominal.F,
        nominal.D,
        nominal.labels,
        nominal.factor_labels,
        exposure_name="worst_case_exposure",
    )


def _factored_perturbation(nominal: FactorCovariance, worst: FactorCovariance) -> Perturbation:
    """Σ^Δ from factors, in terms of E = V* − V⁰ so that a small Σ^Δ keeps its digits.

    Σ^Δ = W'MW with W = [E; V⁰] and M = [F F; F 0]. With W' = QR,

        ‖Σ^Δ x‖ = ‖RMW x‖,   ‖Σ^Δ‖_F = ‖RMR'‖_F,

    and W x = (V*x − V⁰x, V⁰x) gives the columns that multiply the two exposures.
    """
    F, V, m = nominal.F, nominal.V, len(nominal.F)
    R = np.linalg.qr(np.vstack([worst.V - V, V]).T, mode="r")
    RM = np.hstack([(R[:, :m] + R[:, m:]) @ F, R[:, :m] @ F])
    worst_factor, factor = worst.operator.factors[0], nominal.operator.factors[0]

    def both(left_worst: FloatArray, left: FloatArray) -> LinearMap:
        return LinearMap(
            (
                Factor(left_worst, worst.V, worst_factor.name, worst_factor.labels),
                Factor(left, V, factor.name, factor.labels),
            )
        )

    return Perturbation(
        operator=both(worst_factor.left, -factor.left),
        norm_map=both(RM[:, :m], RM[:, m:] - RM[:, :m]),
        frobenius_norm=float(np.linalg.norm(RM @ R.T)),
        labels=nominal.labels,
    )


def _as_covariance(value: Covariance | pd.DataFrame | ArrayLike) -> Covariance:
    return value if isinstance(value, Covariance) else DenseCovariance(value)


def _dense(covariance: Covariance) -> FloatArray:
    operator = covariance.operator
    return operator.toarray() if isinstance(operator, LinearMap) else operator


def _as_bound(lower: Covariance | pd.DataFrame | ArrayLike, labels: Labels) -> FloatArray:
    """Lower bounds as an array, which need not be positive semidefinite."""
    if isinstance(lower, Covariance):
        lower = lower.matrix()
    if isinstance(lower, pd.DataFrame) and not tuple(lower.index) == tuple(lower.columns) == labels:
        raise InputError("lower and nominal differ in their assets; reindex lower like nominal")
    bound = as_floats(lower, "lower", 2)
    if bound.shape != (len(labels), len(labels)):
        raise InputError(f"lower has shape {bound.shape}; {len(labels)} assets need n × n")
    require_finite(bound, "lower", rows=labels, columns=labels)
    return bound


def _same_factors(nominal: Covariance, upper: Covariance) -> bool:
    return (
        isinstance(nominal, FactorCovariance)
        and isinstance(upper, FactorCovariance)
        and nominal.factor_labels == upper.factor_labels
        and np.array_equal(nominal.F, upper.F)
        and np.array_equal(nominal.D, upper.D)
    )


def _refuse(
    wrong: NDArray[np.bool_], name: str, bound: FloatArray, side: str, nominal: Covariance
) -> None:
    if wrong.any():
        i = int(wrong.argmax())
        raise InputError(
            f"{name} variance of {str(nominal.labels[i])!r} is {bound[i]:.6g}, {side} the nominal "
            f"{nominal.variances[i]:.6g}; bounds must enclose the nominal variances"
        )
