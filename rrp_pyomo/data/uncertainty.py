"""Uncertainty sets on the covariance matrix: nominal, worst case and the perturbation between."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeGuard

import numpy as np
import pandas as pd

from rrp_pyomo.data.covariance import (
    Covariance,
    DenseCovariance,
    FactorCovariance,
    multiplied_out,
)
from rrp_pyomo.data.definite import symmetric
from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    agreed_labels,
    as_floats,
    as_number,
    index_of,
    labels_of,
    require_finite,
    require_shape,
    selection,
)
from rrp_pyomo.data.weight_set import Signs, resolve_signs
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.linalg import Factor, FloatArray, LinearMap, Stack

MOST_FACTORS = 20


@dataclass(frozen=True, eq=False, repr=False)
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

    Examples
    --------
    >>> from rrp_pyomo import CovarianceUncertainty
    >>> nominal, upper = [[0.04, 0.0], [0.0, 0.01]], [[0.05, 0.0], [0.0, 0.01]]
    >>> given = CovarianceUncertainty.from_bounds(nominal, upper)
    >>> given.perturbation.matrix().round(4).to_numpy().tolist()
    [[0.01, 0.0], [0.0, 0.0]]
    >>> round(given.perturbation.frobenius_norm, 4)
    0.01
    """

    operator: LinearMap | FloatArray
    norm_map: LinearMap | FloatArray
    frobenius_norm: float
    labels: Labels

    def __repr__(self) -> str:
        return f"Perturbation({len(self.labels)} assets, norm {self.frobenius_norm:.3g})"

    def matrix(self) -> pd.DataFrame:
        """Σ^Δ multiplied out and labelled, shape (n, n)."""
        labels = index_of(self.labels)
        return pd.DataFrame(multiplied_out(self.operator), index=labels, columns=labels)


@dataclass(frozen=True, eq=False, repr=False)
class CovarianceUncertainty:
    """A box of covariance matrices around a nominal one, (6) and (7).

        U = { Σ = Σ⁰ + δ ⊙ Σ^Δ :  −1 ≤ δ_ij ≤ 1,  Σ̲_ij ≤ Σ_ij },   Σ^Δ = Σ̄ − Σ⁰

    Made by :meth:`FactorModel.covariance_uncertainty`, :meth:`from_loading_errors` or
    :meth:`from_bounds`.

    Attributes
    ----------
    nominal, worst_case : Covariance
        Σ⁰ and Σ̄.
    perturbation : Perturbation
        Σ^Δ.
    lower : (n, n) array or None
        Σ̲ where it was given; otherwise Σ⁰ − Σ^Δ is meant.

    References
    ----------
    Costa & Kwon (2020), section 3.

    Examples
    --------
    >>> from rrp_pyomo import CovarianceUncertainty
    >>> nominal, upper = [[0.04, 0.0], [0.0, 0.01]], [[0.05, 0.01], [0.01, 0.01]]
    >>> given = CovarianceUncertainty.from_bounds(nominal, upper)
    >>> given.perturbation.matrix().round(4).to_numpy().tolist()
    [[0.01, 0.01], [0.01, 0.0]]
    >>> round(given.relative_size, 4)
    0.4201
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
        standard_errors: Matrix,
        scale: float = 1.0,
        signs: Signs = None,
    ) -> CovarianceUncertainty:
        """The set that errors of the loadings imply, with the exact worst case of (10).

        V* maximises 1'(V'FV + D)1 over |V − V⁰| ≤ scale · SE. But for a constant this is u'Fu with
        u = V1, each u_k has an interval of its own, and a convex function is largest at one of the
        2^m corners of a box, where row k of V* is V⁰_k ± scale · SE_k with one sign throughout.
        Where corners tie, the first in the order (+…++), (+…+−), …, (−…−−) is taken.

        For a book of signs s it maximises s'(V'FV + D)s, u = Vs: errors that raise the loadings of
        longs and shorts alike cancel, and are not the worst case of such a book.

        Parameters
        ----------
        nominal : FactorCovariance
            Σ⁰ = V⁰'F V⁰ + D.
        standard_errors : (m, n) DataFrame or array
            SE(V⁰), nonnegative, in the order of the loadings.
        scale : float
            Multiplies the standard errors; the paper has 1.
        signs : mapping, Series or (n,) array, optional
            1 or −1 for each asset, those of the weight set; 1 for all by default.

        Raises
        ------
        InputError
            ``scale`` or a standard error negative or not finite, standard errors that do not fit
            the loadings, more than 20 factors.
        """
        require_kind(
            nominal,
            FactorCovariance,
            "nominal",
            "such as FactorModel.fit(returns, factors).covariance",
        )
        scale = as_number(scale, "scale", least=0.0)
        width = scale * _standard_errors(standard_errors, nominal)
        m = len(nominal.factor_labels)
        if m > MOST_FACTORS:
            raise InputError(
                f"the worst case over {m} factors has 2^{m} corners and at most {MOST_FACTORS} "
                "factors are enumerated; use fewer, or CovarianceUncertainty.from_bounds"
            )
        n = nominal.size
        s = np.ones(n) if signs is None else resolve_signs(signs, nominal.labels)
        corner = _worst_signs((nominal.V * s).sum(axis=1), width.sum(axis=1), nominal.F)
        change = corner[:, None] * width * s
        if np.array_equal(nominal.V + change, nominal.V):
            change = np.zeros_like(change)  # the rounding errors of an exact fit, not of estimation
        worst_case = _with_loadings(nominal, nominal.V + change)
        perturbation = _factored_perturbation(nominal, worst_case, change)
        return cls(nominal, worst_case, perturbation, None, width)

    @classmethod
    def from_bounds(
        cls,
        nominal: Covariance | Matrix,
        upper: Covariance | Matrix,
        lower: Covariance | Matrix | None = None,
    ) -> CovarianceUncertainty:
        """The set between given bounds (6), with Σ̄ = ``upper`` and Σ^Δ = ``upper`` − ``nominal``.

        Two factor covariances with the same F and D stay factored. Only the variances must lie
        within their bounds: a worst case raises the sum of all covariances and may lower some of
        them (a larger market beta moves an asset closer to some and away from its hedges). The
        worst case of a factor model may lower even variances, those of assets with negative beta;
        its set comes from :meth:`from_loading_errors`.

        Parameters
        ----------
        nominal, upper : Covariance, (n, n) DataFrame or array
            Positive semidefinite, over the same assets in the same order.
        lower : Covariance, (n, n) DataFrame or array, optional
            Symmetric, need not be positive semidefinite; default Σ⁰ − Σ^Δ.

        Raises
        ------
        InputError
            Differing assets, bounds on the wrong side of a nominal variance, matrices that
            :class:`DenseCovariance` refuses.
        """
        nominal = _as_covariance(nominal, "nominal")
        upper = _as_covariance(upper, "upper", nominal.labels)
        agreed_labels("asset", nominal.size, nominal=nominal.labels, upper=upper.labels)
        _require_side("upper", upper.variances, nominal, 1)
        bound = None if lower is None else _lower_bound(lower, nominal)
        if isinstance(nominal, FactorCovariance) and _has_factors_of(upper, nominal):
            worst_case = _with_loadings(nominal, upper.V)
            perturbation = _factored_perturbation(nominal, worst_case, upper.V - nominal.V)
            return cls(nominal, worst_case, perturbation, bound)
        difference = multiplied_out(upper.operator) - multiplied_out(nominal.operator)
        size = float(np.linalg.norm(difference))
        return cls(
            nominal, upper, Perturbation(difference, difference, size, nominal.labels), bound
        )

    def __repr__(self) -> str:
        return f"CovarianceUncertainty({self.nominal!r}, relative size {self.relative_size:.3g})"

    @property
    def labels(self) -> Labels:
        """The assets."""
        return self.nominal.labels

    @property
    def size(self) -> int:
        """The number of assets n."""
        return self.nominal.size

    @property
    def worst_case_loadings(self) -> pd.DataFrame | None:
        """V* of (10), shape (m, n); None where the worst case is not factored."""
        worst = self.worst_case
        return worst.loadings if isinstance(worst, FactorCovariance) else None

    @cached_property
    def loading_bounds(self) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        """V⁰ − scale · SE and V⁰ + scale · SE of (10), shape (m, n); None for a set from bounds."""
        if self._loading_width is None or not isinstance(self.nominal, FactorCovariance):
            return None
        loadings = self.nominal.loadings
        return loadings - self._loading_width, loadings + self._loading_width

    @property
    def relative_size(self) -> float:
        """‖Σ^Δ‖_F / ‖Σ⁰‖_F."""
        return self.perturbation.frobenius_norm / self.nominal.frobenius_norm

    @property
    def worst_root(self) -> Stack | FloatArray:
        """R with R'R = Σ̄; from the exposures V⁰x and V*x − V⁰x of Σ^Δ where it is factored."""
        root, shared = self.worst_case.root, self.perturbation.norm_map
        if not isinstance(root, Stack) or not isinstance(shared, LinearMap):
            return root
        systematic, residual = root.parts
        assert isinstance(systematic, LinearMap)
        left = systematic.factors[0].left
        factors = (Factor(left, f.right, f.name, f.labels) for f in shared.factors)
        return Stack((LinearMap(tuple(factors)), residual))

    def penalty(self, omega: float) -> float:
        """Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F, the weight of the perturbation in (12c).

        Raises
        ------
        InputError
            ω negative or not finite.
        """
        return as_number(omega, "omega", least=0.0) * self.relative_size

    def select(self, labels: Iterable[Hashable]) -> CovarianceUncertainty:
        """The set of the covariance matrices of some of the assets, factored where it was.

        Σ⁰, Σ̄ and Σ^Δ are those of the whole, restricted: V* stays the worst case of all assets,
        which need not be the worst one of those that are left. For that, select from the factor
        model, ``model.select(labels).covariance_uncertainty()``. The relative size ‖Σ^Δ‖_F / ‖Σ⁰‖_F
        changes, and with it Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F of the same ω, and ω_max.

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
        nominal, worst_case = self.nominal.select(chosen), self.worst_case.select(chosen)
        shared = self.perturbation.norm_map
        if isinstance(shared, LinearMap):
            assert isinstance(nominal, FactorCovariance)
            assert isinstance(worst_case, FactorCovariance)
            change = shared.factors[0].right[:, at]
            perturbation = _factored_perturbation(nominal, worst_case, change)
        else:
            part = multiplied_out(self.perturbation.operator)[np.ix_(at, at)]
            perturbation = Perturbation(part, part, float(np.linalg.norm(part)), chosen)
        lower = None if self.lower is None else self.lower[np.ix_(at, at)]
        width = None if self._loading_width is None else self._loading_width[:, at]
        return CovarianceUncertainty(nominal, worst_case, perturbation, lower, width)

    def contains(self, covariance: Covariance) -> bool:
        """Whether a covariance is in the set (7), to 1e-12 of its largest entry; O(n²).

        An entry may lie anywhere between its bounds, whichever of the two is the larger one.
        """
        require_kind(covariance, Covariance, "covariance", "such as DenseCovariance(matrix)")
        agreed_labels("asset", self.size, set=self.labels, covariance=covariance.labels)
        upper, entries = (
            multiplied_out(self.worst_case.operator),
            multiplied_out(covariance.operator),
        )
        lower = self.lower
        if lower is None:
            lower = upper - 2.0 * multiplied_out(self.perturbation.operator)
        slack = 1e-12 * np.abs(upper).max()
        above = entries >= np.minimum(lower, upper) - slack
        return bool((above & (entries <= np.maximum(lower, upper) + slack)).all())


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
    bits = np.arange(2**k)[:, None] >> np.arange(k)[::-1] & 1
    return np.where(bits, -1.0, 1.0)


def _with_loadings(nominal: FactorCovariance, V: FloatArray) -> FactorCovariance:
    return FactorCovariance(
        V,
        nominal.F,
        nominal.D,
        nominal.labels,
        nominal.factor_labels,
        exposure_name="worst_case_exposure",
    )


def _factored_perturbation(
    nominal: FactorCovariance, worst: FactorCovariance, change: FloatArray
) -> Perturbation:
    """Σ^Δ from factors, in terms of E = V* − V⁰, the ``change``, which V* may be too large to show.

    Σ^Δ = W'MW with W = [E; V⁰] and M = [F F; F 0]. With W' = QR,

        ‖Σ^Δ x‖ = ‖RMW x‖,   ‖Σ^Δ‖_F = ‖RMR'‖_F,   Σ^Δ = V*'F E + E'F V⁰.

    None of them subtracts numbers that are nearly equal: a small Σ^Δ keeps its digits.
    """
    F, V, m = nominal.F, nominal.V, len(nominal.F)
    R = np.linalg.qr(np.vstack([change, V]).T).R
    RM = np.hstack([(R[:, :m] + R[:, m:]) @ F, R[:, :m] @ F])
    factor = nominal.operator.factors[0]

    def both(left: FloatArray, left_nominal: FloatArray) -> LinearMap:
        return LinearMap(
            (
                Factor(left, change, "exposure_change", factor.labels),
                Factor(left_nominal, V, factor.name, factor.labels),
            )
        )

    return Perturbation(
        operator=both(worst.operator.factors[0].left, change.T @ F),
        norm_map=both(RM[:, :m], RM[:, m:]),
        frobenius_norm=float(np.linalg.norm(RM @ R.T)),
        labels=nominal.labels,
    )


def _standard_errors(values: Matrix, nominal: FactorCovariance) -> FloatArray:
    errors = as_floats(values, "standard_errors", 2)
    m, n = nominal.V.shape
    require_shape(errors, (m, n), "standard_errors", f"loadings of {m} factors and {n} assets")
    if isinstance(values, pd.DataFrame):
        agreed_labels("factor", m, loadings=nominal.factor_labels, standard_errors=values.index)
        agreed_labels("asset", n, loadings=nominal.labels, standard_errors=values.columns)
    require_finite(errors, "standard error", nominal.factor_labels, nominal.labels)
    if errors.min() < 0:
        raise InputError(f"a standard error is {errors.min():.6g}; expected at least 0")
    return errors


def _as_covariance(
    value: Covariance | Matrix, name: str, labels: Labels | None = None
) -> Covariance:
    """A matrix as a covariance; ``labels`` are for arrays."""
    if isinstance(value, Covariance):
        return value
    try:
        return DenseCovariance(value, None if isinstance(value, pd.DataFrame) else labels)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _lower_bound(lower: Covariance | Matrix, nominal: Covariance) -> FloatArray:
    """Lower bounds as an array, which need not be positive semidefinite."""
    matrix = lower.matrix() if isinstance(lower, Covariance) else lower
    bound, n = as_floats(matrix, "lower", 2), nominal.size
    require_shape(bound, (n, n), "lower", f"{n} assets")
    agreed_labels(
        "asset",
        n,
        nominal=nominal.labels,
        lower=labels_of(matrix),
        lower_columns=labels_of(matrix, 1),
    )
    bound = symmetric(bound, nominal.labels, "lower")
    _require_side("lower", bound.diagonal(), nominal, -1)
    return bound


def _require_side(name: str, variances: FloatArray, nominal: Covariance, side: int) -> None:
    """Variances must be at least (side 1) or at most (side −1) the nominal ones, up to rounding."""
    wrong = side * (variances - nominal.variances) < -1e-12 * nominal.variances
    if wrong.any():
        i = int(wrong.argmax())
        raise InputError(
            f"{name} has variance {variances[i]:.6g} for {str(nominal.labels[i])!r}, "
            f"{'below' if side > 0 else 'above'} the nominal {nominal.variances[i]:.6g}; the "
            "bounds must enclose every nominal variance"
        )


def _has_factors_of(upper: Covariance, nominal: FactorCovariance) -> TypeGuard[FactorCovariance]:
    """Whether two covariances have the same F and D and differ in their loadings only."""
    return (
        isinstance(upper, FactorCovariance)
        and upper.factor_labels == nominal.factor_labels
        and np.array_equal(upper.F, nominal.F)
        and np.array_equal(upper.D, nominal.D)
    )
