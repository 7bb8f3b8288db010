"""An ellipsoid for the factor loadings of each asset: the set of Goldfarb and Iyengar."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f as fisher

from rrp_pyomo.data import FactorCovariance, FactorModel
from rrp_pyomo.data.definite import symmetric
from rrp_pyomo.data.validation import (
    Matrix,
    Vector,
    agreed_labels,
    as_floats,
    as_number,
    frozen,
    index_of,
    labels_of,
    nonnegative,
    require_shape,
    selection,
)
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, Variable
from rrp_pyomo.uncertainty.covariances.loading_set import HELD, LoadingSet, principal
from rrp_pyomo.uncertainty.covariances.matrices import is_semidefinite
from rrp_pyomo.uncertainty.covariances.signs import absolute
from rrp_pyomo.uncertainty.means.norms import Box


class RegressionSets(NamedTuple):
    """What the errors of a regression leave open: the means and the covariances.

    Attributes
    ----------
    mean : Box
    covariance : LoadingEllipsoids

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo import FactorModel
    >>> from rrp_pyomo.uncertainty import LoadingEllipsoids
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.0, 0.05, (60, 1))
    >>> returns = factors * [1.0, 0.5] + rng.normal(0.0, 0.02, (60, 2))
    >>> sets = LoadingEllipsoids.from_regression(FactorModel.from_arrays(returns, factors), 0.95)
    >>> sets.mean.half_width.round(3).tolist(), sets.covariance.radii.round(3).tolist()
    ([0.007, 0.006], [0.051, 0.048])
    """

    mean: Box
    covariance: LoadingEllipsoids


@dataclass(frozen=True, init=False, repr=False, eq=False)
class LoadingEllipsoids(LoadingSet):
    """The set of Goldfarb & Iyengar (2003): an ellipsoid for the loadings of each asset.

        U = {V'FV + D : V_i = V⁰_i + W_i,  √(W_i'GW_i) ≤ ρ_i,  0 ≤ D_i ≤ D̄_i}

    The exposures Vw then fill {V⁰w + y : ‖y‖_G ≤ ρ'|w|}, so that with H = G^{-½}FG^{-½} = QΛQ' and
    u = Q'G^{½}V⁰w

        v(w) = min τ + Σ t_i + w'D̄w,   τσ ≥ (ρ'|w|)²,   t_i(1 − Λ_i σ) ≥ Λ_i u_i²,   0 ≤ σ ≤ 1/Λ_max

    and where G = cF, as it is from a regression, v(w) = (‖F^½V⁰w‖ + ρ'|w|/√c)² + w'D̄w: one
    second-order cone. The worst loadings are V⁰_i + ρ_i sign(w_i) y/(ρ'|w|), all moved along one
    direction. Costs O(nm).

    Parameters
    ----------
    loadings : (m, n) DataFrame or array
        V⁰, one row per factor.
    factor_covariance : (m, m) DataFrame or array
        F.
    shape : (m, m) DataFrame or array
        G, positive definite.
    radii : Series, mapping or (n,) array, or a number for all
        ρ ≥ 0.
    residual_variance : (n,) Series or array
        D̄, the largest residual variances.

    Raises
    ------
    InputError
        What :class:`~rrp_pyomo.FactorCovariance` refuses, G not positive definite, negative radii,
        labels that do not fit.

    References
    ----------
    Goldfarb & Iyengar (2003), Robust portfolio selection problems, sections 2 and 3.

    Examples
    --------
    Of one factor: (|V⁰w| + ρ'|w|)² F + w'D̄w with G = 1:

    >>> from rrp_pyomo.uncertainty import LoadingEllipsoids
    >>> given = LoadingEllipsoids([[1.0, 0.5]], [[0.04]], [[1.0]], [0.1, 0.2], [0.01, 0.01])
    >>> round(given.variance([0.5, 0.5]), 4)
    0.0374
    >>> given.worst_loadings([0.5, 0.5]).round(4).to_numpy().tolist()
    [[1.1, 0.7]]
    """

    center: FactorCovariance
    _radii: FloatArray
    _shape: FloatArray

    def __init__(
        self,
        loadings: Matrix,
        factor_covariance: Matrix,
        shape: Matrix,
        radii: Any,
        residual_variance: Vector,
    ) -> None:
        center = FactorCovariance(loadings, factor_covariance, residual_variance)
        vars(self).update(center=center, _radii=nonnegative(radii, center.labels, "radii"))
        vars(self).update(_shape=_positive_definite(shape, center))

    @classmethod
    def from_regression(cls, model: FactorModel, level: float) -> RegressionSets:
        """The means and covariances that a regression leaves open at a level of confidence.

        With p observations and c the quantile of the F distribution with m + 1 and p − m − 1
        degrees of freedom at ``level``,

            γ_i = √((m + 1) c s_i²/p),   ρ_i = √((m + 1) c s_i²),   G = Σ_t (f_t − f̄)(f_t − f̄)'

        so that mean and loadings of an asset are in their sets together with probability ``level``
        at least, for normal residuals; those of n assets with level^n, if their residuals are
        independent. F = G/(p − 1), and D̄ the estimates s².

        Parameters
        ----------
        model : FactorModel
        level : float
            Confidence for each asset, 0 ≤ level < 1.

        Returns
        -------
        RegressionSets
            ``mean``, the box of half widths γ around the expected returns, and ``covariance``.

        References
        ----------
        Goldfarb & Iyengar (2003), section 5.
        """
        require_kind(model, FactorModel, "model", "such as FactorModel.fit(returns, factors)")
        level = as_number(level, "level", least=0.0)
        if level >= 1.0:
            raise InputError(f"level is {level:g}; expected a confidence below 1, such as 0.95")
        p, m = model.observations, len(model.factor_labels)
        quantile = float(fisher.ppf(level, m + 1, p - m - 1))
        reach = (m + 1) * quantile * model.residual_variance
        F = model.factor_covariance
        means = Box(model.expected_returns, np.sqrt(reach / p))
        return RegressionSets(
            means, cls(model.loadings, F, (p - 1) * F, np.sqrt(reach), model.residual_variance)
        )

    @property
    def radii(self) -> pd.Series:
        """ρ by asset."""
        return pd.Series(self._radii, index=index_of(self.labels), name="radii")

    @property
    def shape(self) -> pd.DataFrame:
        """G with labels, shape (m, m)."""
        factors = index_of(self.center.factor_labels)
        return pd.DataFrame(self._shape, index=factors, columns=factors)

    @property
    def formula(self) -> str:
        return r"\{V'FV + D : \|V_i - V^0_i\|_G \le \rho_i,\ D_i \le \overline D_i\}"

    def _numbers(self) -> dict[str, float]:
        return {"factors": len(self.center.F), "largest_radius": float(self._radii.max())}

    @property
    def is_point(self) -> bool:
        return not self._radii.any()

    @cached_property
    def _map(self) -> FloatArray:
        """Q'G^{½}, with the triangular root of G in the place of G^{½}."""
        root = np.linalg.cholesky(self._shape).T
        back = np.linalg.inv(root)
        return principal(back.T @ self.center.F @ back) @ root

    def _radius_at(self, w: FloatArray) -> float:
        return float(self._radii @ np.abs(w))

    def _state_radius(self, w: Affine, factor: float) -> Affine:
        radii = factor * self._radii
        program, size = w.program, absolute(w)
        unit = float(radii.sum()) * max(getattr(s, "unit", 1.0) for s in w.terms)
        reach: Variable = program.variable(program.free_name("reach"), lower=0.0, unit=unit)
        program.definitions.append(
            (reach, lambda point: np.array([radii @ np.abs(w.value(point))]))
        )
        name = program.free_name("reach_of_loadings")
        program.subject_to(**{name: radii @ size <= reach})
        return reach

    def _undecided(self, w: FloatArray) -> NDArray[np.intp]:
        small = np.abs(w) <= HELD * np.abs(w).max()
        return np.flatnonzero(small & (self._radii > 0.0))

    def _pattern(self, w: FloatArray, undecided: float | None = None) -> FloatArray:
        signs = np.sign(w)
        if undecided is not None:
            signs[self._undecided(w)] = undecided
        elif w.min() >= 0.0:  # what is not held is put where long positions fear it
            signs = np.ones(w.size)
        total = float(self._radii @ np.abs(w))
        return self._radii * signs / total if total else np.zeros(w.size)

    def _excess(self, change: FloatArray) -> float:
        sizes = np.sqrt(np.einsum("ki,kl,li->i", change, self._shape, change).clip(min=0.0))
        whole = np.sqrt(
            np.einsum("ki,kl,li->i", self.center.V, self._shape, self.center.V).clip(min=0.0)
        )
        return float(((sizes - self._radii) / np.maximum(self._radii, whole.max() or 1.0)).max())

    def _change(self, rng: np.random.Generator) -> FloatArray:
        m, n = self.center.V.shape
        u = rng.standard_normal((m, n))
        if rng.uniform() < 0.5:  # all along one line, as the worst ones are
            u = np.outer(rng.standard_normal(m), rng.choice([-1.0, 1.0], n))
        u = u / np.linalg.norm(u, axis=0) * self._radii * rng.uniform() ** (1.0 / m)
        root = np.linalg.cholesky(self._shape).T
        changed: FloatArray = np.linalg.solve(root, u)
        return changed

    def select(self, labels: Iterable[Hashable]) -> LoadingEllipsoids:
        """The set of the covariances of some of the assets, with the same factors."""
        at, chosen = selection(labels, self.labels)
        return self._with(self.center.select(chosen), self._radii[at])

    def scaled(self, factor: float) -> LoadingEllipsoids:
        """The set with ``factor`` times the radii."""
        return self._with(self.center, as_number(factor, "factor", least=0.0) * self._radii)

    def _with(self, center: FactorCovariance, radii: FloatArray) -> LoadingEllipsoids:
        result = LoadingEllipsoids.__new__(LoadingEllipsoids)
        vars(result).update(center=center, _radii=frozen(radii), _shape=self._shape)
        return result


def _positive_definite(shape: Matrix, center: FactorCovariance) -> FloatArray:
    m = len(center.F)
    matrix = as_floats(shape, "shape", 2)
    require_shape(matrix, (m, m), "shape", f"loadings of {m} factors")
    factors = center.factor_labels
    agreed_labels(
        "factor", m, loadings=factors, shape=labels_of(shape), shape_columns=labels_of(shape, 1)
    )
    matrix = symmetric(matrix, factors, "shape")
    definite = matrix.diagonal().min() > 0.0
    if not (definite and is_semidefinite(matrix - 1e-13 * np.diag(matrix.diagonal()), 0.0)):
        raise InputError(
            "shape is not positive definite, so that its ellipsoids are unbounded; pass a matrix "
            "such as the factors' covariance"
        )
    return matrix
