"""Uncertain factor loadings: an ellipsoid for each asset's, or a ball for all of them together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f as fisher

from rrp_pyomo.data import Covariance, FactorCovariance, FactorModel
from rrp_pyomo.data.definite import symmetric
from rrp_pyomo.data.validation import (
    Matrix,
    Vector,
    agreed_labels,
    as_floats,
    as_number,
    by_label,
    frozen,
    index_of,
    labels_of,
    require_shape,
    selection,
)
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.linalg import Factor, FloatArray, LinearMap, Named
from rrp_pyomo.modeling import Affine, Variable, norm, quad_over_lin, stack, sum_squares
from rrp_pyomo.modeling.operators import Expression
from rrp_pyomo.uncertainty.base import Choice, CovarianceSet, JointChoice, JointSet
from rrp_pyomo.uncertainty.covariances.expressions import smallest_mean, variance_by_root
from rrp_pyomo.uncertainty.covariances.matrices import is_semidefinite, with_parts
from rrp_pyomo.uncertainty.covariances.signs import absolute
from rrp_pyomo.uncertainty.covariances.trust_region import largest_on_ball
from rrp_pyomo.uncertainty.means.norms import Box, nonnegative
from rrp_pyomo.uncertainty.worst_case import WorstCase

# Weights below this part of the largest one are not held; a second worst change of the exposures
# may lose this part of what the worst one adds.
_HELD, _TIED = 1e-6, 1e-4
# Eigenvalues and shapes that agree to this are called equal: the worst case is then closed.
_EQUAL = 1e-12


class LoadingSet(CovarianceSet):
    """Covariances V'FV + D whose exposures Vw may lie within r(w) of V⁰w, in some norm.

    In coordinates in which that norm is ‖·‖₂ and F is diagonal, with u the exposures V⁰w and
    Λ_1 ≥ Λ_2 ≥ … the variances there,

        v(w) = max over ‖z‖ ≤ r(w) of Σ Λ_i (u_i + z_i)² + w'Dw
             = min over 0 ≤ σ ≤ 1/Λ_1 of r(w)²/σ + Σ Λ_i u_i²/(1 − Λ_i σ) + w'Dw,

    by the S-lemma: m + 1 rotated cones, jointly convex in w and σ, stated in multiples of 1/Λ_1.
    Where all Λ_i are equal the minimum is (√Λ_1 r(w) + ‖√Λ u‖)² + w'Dw, one second-order cone.
    """

    center: FactorCovariance

    # --- what a set says ------------------------------------------------------------------------

    @property
    @abstractmethod
    def is_point(self) -> bool:
        """Whether the centre is the only element."""

    @cached_property
    @abstractmethod
    def _map(self) -> FloatArray:
        """T with exposures TVw in the coordinates of the ball, (m, m)."""

    @abstractmethod
    def _radius_at(self, w: FloatArray) -> float:
        """r(w)."""

    @abstractmethod
    def _state_radius(self, w: Affine, factor: float) -> Affine:
        """An expression, of one row or several, whose norm is at least factor · r(w)."""

    @abstractmethod
    def _pattern(self, w: FloatArray, undecided: float | None = None) -> FloatArray:
        """p with the loadings V⁰ + yp' of the member whose exposures are V⁰w + y, (n,).

        ``undecided`` is the sign of assets whose loadings do not count for the exposures.
        """

    def _undecided(self, w: FloatArray) -> NDArray[np.intp]:
        """Assets whose loadings do not count for v(w), and may lie anywhere in their set."""
        return np.flatnonzero(np.zeros(w.size))

    # --- what follows ---------------------------------------------------------------------------

    @cached_property
    def _variances(self) -> FloatArray:
        """Λ, those of the factors in the coordinates of the ball."""
        inverse = np.linalg.inv(self._map)
        values: FloatArray = (inverse.T @ self.center.F @ inverse).diagonal().clip(min=0.0)
        return values

    @property
    def is_closed(self) -> bool:
        """Whether all Λ_i are equal, and the worst case needs no multiplier."""
        Lambda = self._variances
        return bool(Lambda.max() - Lambda.min() <= _EQUAL * Lambda.max())

    def _residual(self, w: Affine) -> Affine | None:
        D = self.center.D
        return w * np.sqrt(D) if D.any() else None

    def _exposures(self, w: Affine) -> tuple[Affine, float]:
        """√Λ u, as variables of their own, m rows over all assets; and their size."""
        roots = np.sqrt(self._variances)[:, None] * (self._map @ self.center.V)
        m = len(roots)
        names = tuple(f"{k + 1}" for k in range(m))
        exposures = LinearMap((Factor(np.eye(m), roots, "principal_exposure", names),))
        unit = w.magnitude * float(np.linalg.norm(roots, axis=0).sum())
        return exposures @ w, unit or 1.0

    def _variance_expression(self, w: Affine, h: Any) -> Any:
        if self.is_point or not self._variances.any():
            return variance_by_root(self.center.root, w, h)
        residual = self._residual(w)
        exposures, unit = self._exposures(w)
        largest = float(self._variances.max())
        radius = self._state_radius(w, np.sqrt(largest))
        if self.is_closed:
            total = _length_variable(w.program, exposures, radius)
            parts = total if residual is None else stack(total, residual)
            return sum_squares(parts) if isinstance(h, float) else quad_over_lin(parts, h)
        sigma, rests = self._multiplier(w, h)
        # Cones of numbers of order 1: exposures in units of the worst ones at equal weights.
        unit += float(np.sqrt(largest)) * self._radius_at(np.full(w.size, w.magnitude))
        systematic: Any = quad_over_lin(radius * (1.0 / unit), sigma)
        for exposure, rest, own in zip(exposures, rests, self._variances, strict=True):
            if own > 0.0:
                systematic = systematic + quad_over_lin(exposure * (1.0 / unit), rest)
        variance = systematic * unit**2
        if residual is not None:
            own = sum_squares(residual) if isinstance(h, float) else quad_over_lin(residual, h)
            variance = variance + own
        return variance

    def _multiplier(
        self, w: Affine, h: Any = 1.0, a: FloatArray | None = None, slope: FloatArray | None = None
    ) -> tuple[Variable, Variable]:
        """σ in multiples of h/Λ_1, with its best value at a point, and h − Λ_i/Λ_1 σ.

        Small sets have a small one: its unit is what is best at equal weights.
        """
        a = self._variances if a is None else a
        linear = np.zeros(a.size) if slope is None else slope

        def share(x: FloatArray) -> float:
            u = self._map @ (self.center.V @ x)
            return _best_multiplier(a, a * u + linear, self._radius_at(x))

        def best(point: FloatArray) -> FloatArray:
            size = float(h.value(point)[0]) if isinstance(h, Affine) else 1.0
            return np.array([size * share(w.value(point))])

        unit = h.magnitude if isinstance(h, Affine) else 1.0
        unit *= max(share(np.full(w.size, w.magnitude)), 1e-12)
        program = w.program
        sigma: Variable = program.variable(program.free_name("multiplier"), lower=0.0, unit=unit)
        program.definitions.append((sigma, best))
        rests = (-a / a.max())[:, None] @ sigma
        rests = rests + (np.ones((a.size, 1)) @ h if isinstance(h, Affine) else h)
        size = h.magnitude if isinstance(h, Affine) else 1.0
        name = program.free_name("remainder")
        return sigma, program.define(name, rests, a.size, lower=0.0, unit=size)

    def _volatility_expression(self, w: Affine) -> Any:
        if self.is_point or not self._variances.any():
            return norm(Named("root", self.center.root) @ w)
        if not self.is_closed:
            return smallest_mean(self, w)
        radius = self._state_radius(w, float(np.sqrt(self._variances.max())))
        total = _length_variable(w.program, self._exposures(w)[0], radius)
        residual = self._residual(w)
        return norm(total) if residual is None else norm(total, residual)

    def _worst_exposures(self, w: FloatArray) -> FloatArray:
        """z, by which the worst exposures differ from V⁰w, in the coordinates of the ball."""
        slope = self._variances * (self._map @ (self.center.V @ w))
        return largest_on_ball(self._variances, slope, self._radius_at(w))

    def _change_at(self, w: FloatArray) -> FloatArray:
        """The worst change of the loadings."""
        return np.outer(self._back @ self._worst_exposures(w), self._pattern(w))

    @cached_property
    def _back(self) -> FloatArray:
        """From the coordinates of the ball to exposures."""
        return np.linalg.inv(self._map).astype(np.float64, copy=False)

    def _state_worst(self, program: Any, w: FloatArray) -> Choice | None:
        if self.is_point or not w.any():
            return None
        Lambda, V, F, D = self._variances, self.center.V, self.center.F, self.center.D
        u, z = self._map @ (V @ w), self._worst_exposures(w)
        gained = float(z @ (Lambda * (z + 2.0 * u)))
        # Where V⁰w has no part along the largest Λ, all ways of the same length there are worst.
        top = np.flatnonzero(Lambda >= Lambda.max() * (1.0 - _EQUAL))
        length = float(np.linalg.norm(z[top]))
        tied = 4.0 * float(Lambda[top] @ np.abs(u[top] * z[top])) <= _TIED * gained
        undecided = self._undecided(w)
        if not tied and not undecided.size:
            return None
        settled = np.where(np.isin(np.arange(z.size), top), 0.0, z) if tied else z
        pattern, ends = self._pattern(w, 0.0), self._pattern(w, 1.0)
        exposures = V @ w + self._back @ settled
        own = float(z @ (Lambda * (u + z)))
        marginal_risk: Any = V.T @ (F @ exposures) + D * w + own * pattern
        way = sign = None
        if tied:
            way = program.variable(program.free_name("way"), int(top.size), unit=length or 1.0)
            program.subject_to(**{program.free_name("length"): norm(way) <= length})
            marginal_risk = (V.T @ (F @ self._back[:, top])) @ way + marginal_risk
        if undecided.size:
            sign = program.variable(program.free_name("sign"), int(undecided.size), -1.0, 1.0)
            spread = np.zeros((w.size, undecided.size))
            spread[undecided, np.arange(undecided.size)] = own * ends[undecided]
            marginal_risk = spread @ sign + marginal_risk

        def read(solution: Any) -> tuple[Covariance, FloatArray]:
            chosen, signs = z.copy(), self._pattern(w, 0.0)
            if way is not None:
                found = solution.arrays[way.name]
                size = float(np.linalg.norm(found))
                chosen[top] = found * (length / size) if size else z[top]
            if sign is not None:
                signs[undecided] = np.clip(solution.arrays[sign.name], -1, 1) * ends[undecided]
            change = np.outer(self._back @ chosen, signs)
            return with_parts(self.center, V=V + change), marginal_risk.value(solution.x)

        return Choice(marginal_risk, read)

    def _worst(self, w: FloatArray) -> Covariance:
        if self.is_point or not w.any():
            return self.center
        return with_parts(self.center, V=self.center.V + self._change_at(w))

    def _marginal_risk(self, w: FloatArray) -> FloatArray:
        if self.is_point:
            return self.center.operator @ w
        V = self.center.V + self._change_at(w)
        risk: FloatArray = V.T @ (self.center.F @ (V @ w)) + self.center.D * w
        return risk

    def _marginal_changes(self, w: FloatArray, directions: FloatArray) -> FloatArray:
        if self.is_point:
            return self.center.operator @ directions
        return super()._marginal_changes(w, directions)

    def worst_loadings(self, w: Any) -> pd.DataFrame:
        """V* of the member that attains v(w), shape (m, n)."""
        worst = self._worst(by_label(w, self.labels, "weights"))
        assert isinstance(worst, FactorCovariance)
        return worst.loadings

    def contains(self, element: Covariance, tolerance: float = 1e-9) -> bool:
        """Whether a factored covariance has this F, residuals of at most D and loadings in the set.

        Raises
        ------
        InputError
            A covariance that is not factored: the set is one of loadings.
        """
        require_kind(
            element, FactorCovariance, "element", "as the set is one of loadings: give V, F and D"
        )
        assert isinstance(element, FactorCovariance)
        n = self.size
        if element.labels != self.labels and set(element.labels) == set(self.labels):
            element = element.select(self.labels)
        agreed_labels("asset", n, set=self.labels, element=element.labels)
        F, V, D = self.center.F, self.center.V, self.center.D
        if element.F.shape != F.shape or not np.allclose(
            element.F, F, rtol=0.0, atol=max(tolerance, 1e-15) * np.abs(F).max()
        ):
            return False
        if (element.D > D + tolerance * self.center.variances).any():
            return False
        return self._excess(element.V - V) <= tolerance

    @abstractmethod
    def _excess(self, change: FloatArray) -> float:
        """By how much a change of the loadings is outside, relative to the set or the loadings."""

    @abstractmethod
    def _change(self, rng: np.random.Generator) -> FloatArray:
        """A random change of the loadings within the set."""

    def sample(self, rng: np.random.Generator, size: int) -> list[Covariance]:
        members: list[Covariance] = []
        for _ in range(int(as_number(size, "size", least=0))):
            members.append(with_parts(self.center, V=self.center.V + self._change(rng)))
        return members


class RegressionSets(NamedTuple):
    """What the errors of a regression leave open: the means and the covariances.

    Attributes
    ----------
    mean : Box
    covariance : LoadingEllipsoids
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
        return _principal(back.T @ self.center.F @ back) @ root

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
        small = np.abs(w) <= _HELD * np.abs(w).max()
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


@dataclass(frozen=True, init=False, repr=False, eq=False)
class LoadingsBall(LoadingSet, JointSet):
    """Loadings in a Frobenius ball, from which risk and return follow together.

        U = {(V'φ, V'FV + D) : ‖V − V⁰‖_F ≤ δ}

    {Vw} = {V⁰w + z : ‖z‖₂ ≤ δ‖w‖₂}, so that with F = QΦQ', a = (λ/2)Φ, v = Q'V⁰w and c = Q'φ

        max over V of (λ/2) w'(V'FV + D)w − w'V'φ
          = min over 0 ≤ σ ≤ 1/a_max of
            δ²‖w‖²/σ + Σ [(2a_i v_i − c_i)²/(4a_i(1 − a_i σ)) − c_i²/(4a_i)] + (λ/2) w'Dw,

    m + 1 rotated cones, exact by the S-lemma. One V is worst for risk and return together, V⁰ +
    zw'/‖w‖²; the worst variance and the worst mean, each by a V of its own, would overcharge.
    As a set of covariances, for the variance alone, it has v(w) = max over V of w'(V'FV + D)w. In
    :class:`~rrp_pyomo.MeanVariance` it stands in the place of the covariance, and brings the mean
    V'φ, to which ``mean`` is added.

    Parameters
    ----------
    loadings : (m, n) DataFrame or array
        V⁰, one row per factor.
    factor_covariance : (m, m) DataFrame or array
        F.
    residual_variance : (n,) Series or array
        D.
    radius : float
        δ ≥ 0, in units of loadings.
    factor_mean : Series or (m,) array, optional
        φ, per-period decimals; without it the set has no means.

    Raises
    ------
    InputError
        What :class:`~rrp_pyomo.FactorCovariance` refuses, a negative radius, a mean that does not
        fit the factors.

    References
    ----------
    The loadings of Goldfarb & Iyengar (2003) in one ball; El Ghaoui & Lebret (1997), Robust
    solutions to least-squares problems with uncertain data, have the set.
    """

    center: FactorCovariance
    radius: float
    _factor_mean: FloatArray | None

    def __init__(
        self,
        loadings: Matrix,
        factor_covariance: Matrix,
        residual_variance: Vector,
        radius: float,
        factor_mean: Vector | None = None,
    ) -> None:
        center = FactorCovariance(loadings, factor_covariance, residual_variance)
        mean = None
        if factor_mean is not None:
            mean = frozen(by_label(factor_mean, center.factor_labels, "factor_mean"))
        radius = as_number(radius, "radius", least=0.0)
        vars(self).update(center=center, radius=radius, _factor_mean=mean)

    @property
    def factor_mean(self) -> pd.Series | None:
        """φ by factor."""
        if self._factor_mean is None:
            return None
        return pd.Series(
            self._factor_mean, index=index_of(self.center.factor_labels), name="factor_mean"
        )

    @property
    def formula(self) -> str:
        mean = "" if self._factor_mean is None else r"V'\varphi,\ "
        return r"\{(" + mean + r"V'FV + D) : \|V - V^0\|_F \le " + f"{self.radius:.4g}" + r"\}"

    def _numbers(self) -> dict[str, float]:
        return {"factors": len(self.center.F), "radius": self.radius}

    @property
    def is_point(self) -> bool:
        return self.radius == 0.0

    @cached_property
    def _map(self) -> FloatArray:
        """Q'."""
        return _principal(self.center.F)

    def _radius_at(self, w: FloatArray) -> float:
        return self.radius * float(np.linalg.norm(w))

    def _state_radius(self, w: Affine, factor: float) -> Affine:
        reach: Affine = w * (factor * self.radius)
        return reach

    def _pattern(self, w: FloatArray, undecided: float | None = None) -> FloatArray:
        return w / (float(w @ w) or 1.0)

    def _excess(self, change: FloatArray) -> float:
        missed = float(np.linalg.norm(change)) - self.radius
        return missed / max(self.radius, float(np.linalg.norm(self.center.V)) or 1.0)

    def _change(self, rng: np.random.Generator) -> FloatArray:
        m, n = self.center.V.shape
        u = rng.standard_normal((m, n))
        if rng.uniform() < 0.5:  # of rank 1, as the worst one is
            u = np.outer(rng.standard_normal(m), rng.standard_normal(n))
        return u * float(self.radius * np.sqrt(rng.uniform()) / np.linalg.norm(u))

    # --- risk and return together ---------------------------------------------------------------

    @property
    def nominal(self) -> tuple[FloatArray, Covariance]:
        """V⁰'φ, 0 without factor means, and the covariance of the centre."""
        return self._mean_of(self.center.V), self.center

    def _mean_of(self, V: FloatArray) -> FloatArray:
        if self._factor_mean is None:
            return np.zeros(self.size)
        return V.T @ self._factor_mean

    def loss(self, w: Any, risk_aversion: float) -> Any:
        """max over V of (λ/2) w'(V'FV + D)w − w'V'φ.

        Parameters
        ----------
        w : Series, mapping, (n,) array, or an affine expression of n rows
        risk_aversion : float
            λ ≥ 0.

        Returns
        -------
        float, or a convex expression
        """
        aversion = as_number(risk_aversion, "risk_aversion", least=0.0)
        if isinstance(w, Expression):
            return self._loss_expression(self._ordered(w), aversion)
        x = by_label(w, self.labels, "weights")
        worst = self.worst(x, aversion)
        return 0.5 * aversion * worst.covariance.variance(x) - float(
            x @ self._mean_of(worst.covariance.V)
        )

    def worst(self, w: Any, risk_aversion: float | None = None) -> Any:
        """The member that attains v(w), or :meth:`loss` where there is a risk aversion.

        Returns
        -------
        Covariance, or with a risk aversion WorstCase
            Of mean, covariance and loadings.
        """
        x = by_label(w, self.labels, "weights")
        if risk_aversion is None:
            return self._worst(x)
        aversion = as_number(risk_aversion, "risk_aversion", least=0.0)
        return self._member(self._jointly_worst(x, aversion))

    def _member(self, V: FloatArray) -> WorstCase:
        covariance = with_parts(self.center, V=V)
        mean = None
        if self._factor_mean is not None:
            mean = pd.Series(self._mean_of(V), index=index_of(self.labels), name="mean")
        return WorstCase(mean, covariance, covariance.loadings)

    def _jointly_worst(self, x: FloatArray, aversion: float) -> FloatArray:
        if self.is_point or not x.any():
            return self.center.V
        z = largest_on_ball(*self._quadratic(x, aversion), self._radius_at(x))
        return self.center.V + np.outer(self._back @ z, self._pattern(x))

    def _quadratic(self, x: FloatArray, aversion: float) -> tuple[FloatArray, FloatArray]:
        """a and b with the loss Σ a_i z_i² + 2b_i z_i, and what does not depend on z."""
        a = 0.5 * aversion * self._variances
        return a, a * (self._map @ (self.center.V @ x)) - 0.5 * self._principal_mean

    def _state_worst_jointly(
        self, program: Any, w: FloatArray, risk_aversion: float
    ) -> JointChoice | None:
        if self.is_point or not (w.any() and risk_aversion):
            return None
        a, b = self._quadratic(w, risk_aversion)
        z = largest_on_ball(a, b, self._radius_at(w))
        # As for the variance alone: where b has no part along the largest a, all ways of one length
        # there are worst, and the gradient is linear in the mean of those that are chosen.
        top = np.flatnonzero(a >= a.max() * (1.0 - _EQUAL))
        length = float(np.linalg.norm(z[top]))
        gained = float(z @ (a * z + 2.0 * b))
        if 4.0 * float(np.abs(b[top] @ z[top])) > _TIED * gained or not length:
            return None
        way = program.variable(program.free_name("way"), int(top.size), unit=length)
        program.subject_to(**{program.free_name("length"): norm(way) <= length})
        slopes = risk_aversion * (self.center.V.T @ self.center.F @ self._back[:, top])
        slopes = slopes + np.outer(self._pattern(w), 2.0 * b[top])
        change = way - z[top]

        def read(solution: Any) -> tuple[WorstCase, FloatArray, float]:
            found = solution.arrays[way.name]
            found = found * min(1.0, length / (float(np.linalg.norm(found)) or length))
            size = float(np.linalg.norm(found))
            chosen = z.copy()
            chosen[top] = found * (length / size) if size else z[top]
            V = self.center.V + np.outer(self._back @ chosen, self._pattern(w))
            moved = found - z[top]
            return self._member(V), slopes @ moved, 2.0 * float(b[top] @ moved)

        return JointChoice(slopes @ change, (2.0 * b[top]) @ change, read)

    @property
    def _principal_mean(self) -> FloatArray:
        """c = Q'φ."""
        if self._factor_mean is None:
            return np.zeros(len(self.center.F))
        return self._map @ self._factor_mean

    def _loss_expression(self, w: Affine, aversion: float) -> Any:
        mean = self._mean_of(self.center.V)
        nominal = -(mean @ w) if mean.any() else 0.0
        if self._factor_mean is None or not self._factor_mean.any():
            return (0.5 * aversion) * self._variance_expression(w, 1.0) + nominal
        if self.is_point:
            return (0.5 * aversion) * variance_by_root(self.center.root, w) + nominal
        a, c = 0.5 * aversion * self._variances, self._principal_mean
        residual = self._residual(w)
        loss: Any = 0.0
        if residual is not None and aversion:
            loss = (0.5 * aversion) * sum_squares(residual)
        if not a.any():
            return nominal + self.radius * float(np.linalg.norm(c)) * norm(w) + loss
        largest = float(a.max())
        sigma, rests = self._multiplier(w, a=a, slope=-0.5 * c)
        loss = loss + quad_over_lin(w * (np.sqrt(largest) * self.radius), sigma)
        V = self._map @ self.center.V
        sizes = np.abs(V).max(axis=1) + self.radius
        for a_i, c_i, row, rest, size in zip(a, c, V, rests, sizes, strict=True):
            if a_i <= _NEGLIGIBLE * max(largest, abs(c_i) / size):
                loss = loss + (c_i**2 / (4.0 * largest)) * sigma - (c_i * row) @ w
                continue
            root = np.sqrt(a_i)
            bent = (root * row) @ w - c_i / (2.0 * root)
            loss = loss + quad_over_lin(bent, rest)
            loss = loss - c_i**2 / (4.0 * a_i)
        return loss

    def select(self, labels: Iterable[Hashable]) -> LoadingsBall:
        """The set of the means and covariances of some of the assets, with the same factors."""
        return self._with(self.center.select(labels), self.radius)

    def scaled(self, factor: float) -> LoadingsBall:
        """The set with ``factor`` times the radius."""
        return self._with(self.center, as_number(factor, "factor", least=0.0) * self.radius)

    def _with(self, center: FactorCovariance, radius: float) -> LoadingsBall:
        result = LoadingsBall.__new__(LoadingsBall)
        vars(result).update(center=center, radius=radius, _factor_mean=self._factor_mean)
        return result


# Below this share of the largest one, a factor's variance is left out beside its mean.
_NEGLIGIBLE = 1e-10


def _principal(F: FloatArray) -> FloatArray:
    """Q' with F = QΛQ'."""
    vectors: FloatArray = np.linalg.eigh(F)[1].T[::-1]
    return vectors


def _best_multiplier(a: FloatArray, slope: FloatArray, radius: float) -> float:
    """max a / τ of the secular equation, between 0 and 1."""
    z = largest_on_ball(a, slope, radius)
    total = float(z @ (slope + a * z))
    return min(1.0, float(a.max()) * radius**2 / total) if total > 0.0 else 1.0


def _length_variable(program: Any, exposures: Affine, radius: Affine) -> Variable:
    """A variable of at least ‖exposures‖ + ‖radius‖."""
    unit = exposures.magnitude + radius.magnitude
    total: Variable = program.variable(program.free_name("worst_exposure"), lower=0.0, unit=unit)

    def best(point: FloatArray) -> FloatArray:
        return np.array([sum(np.linalg.norm(e.value(point)) for e in (exposures, radius))])

    program.definitions.append((total, best))
    length = radius if radius.size == 1 else norm(radius)
    program.subject_to(
        **{program.free_name("length_of_exposures"): norm(exposures) + length <= total}
    )
    return total


def _positive_definite(shape: Matrix, center: FactorCovariance) -> FloatArray:
    m = len(center.F)
    matrix = as_floats(shape, "shape", 2)
    require_shape(matrix, (m, m), "shape", f"loadings of {m} factors")
    factors = center.factor_labels
    agreed_labels(
        "factor", m, loadings=factors, shape=labels_of(shape), shape_columns=labels_of(shape, 1)
    )
    matrix = symmetric(matrix, factors, "shape")
    if not is_semidefinite(matrix - 1e-13 * np.diag(matrix.diagonal()), 0.0):
        raise InputError(
            "shape is not positive definite, so that its ellipsoids are unbounded; pass a matrix "
            "such as the factors' covariance"
        )
    return matrix
