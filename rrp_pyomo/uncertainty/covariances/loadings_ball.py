"""Factor loadings in one ball, from which risk and return follow together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.data import Covariance, FactorCovariance
from rrp_pyomo.data.validation import (
    Matrix,
    Vector,
    as_number,
    by_label,
    frozen,
    index_of,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, norm, quad_over_lin, sum_squares
from rrp_pyomo.modeling.operators import Expression
from rrp_pyomo.uncertainty.covariances.expressions import variance_by_root
from rrp_pyomo.uncertainty.covariances.loading_set import EQUAL, TIED, LoadingSet, principal
from rrp_pyomo.uncertainty.covariances.matrices import with_parts
from rrp_pyomo.uncertainty.covariances.trust_region import largest_on_ball
from rrp_pyomo.uncertainty.joint_set import JointChoice, JointSet
from rrp_pyomo.uncertainty.worst_case import WorstCase

# Below this share of the largest one, a factor's variance is left out beside its mean.
_NEGLIGIBLE = 1e-10


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

    Examples
    --------
    Of one factor: (|V⁰w| + δ‖w‖)² F + w'Dw:

    >>> from rrp_pyomo.uncertainty import LoadingsBall
    >>> given = LoadingsBall([[1.0, 0.5]], [[0.04]], [0.01, 0.01], radius=0.1)
    >>> round(given.variance([0.5, 0.5]), 4)
    0.0319
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
        return principal(self.center.F)

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
        top = np.flatnonzero(a >= a.max() * (1.0 - EQUAL))
        length = float(np.linalg.norm(z[top]))
        gained = float(z @ (a * z + 2.0 * b))
        if 4.0 * float(np.abs(b[top] @ z[top])) > TIED * gained or not length:
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
