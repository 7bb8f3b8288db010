"""What sets of uncertain loadings share: the S-lemma, the secular equation, ties."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rrp_pyomo.data import Covariance, FactorCovariance
from rrp_pyomo.data.validation import (
    agreed_labels,
    by_label,
)
from rrp_pyomo.errors import require_kind
from rrp_pyomo.linalg import Factor, FloatArray, LinearMap, Named
from rrp_pyomo.modeling import Affine, Variable, norm, quad_over_lin, stack, sum_squares
from rrp_pyomo.uncertainty.base import sample_size
from rrp_pyomo.uncertainty.covariance_set import Choice, CovarianceSet
from rrp_pyomo.uncertainty.covariances.expressions import smallest_mean, variance_by_root
from rrp_pyomo.uncertainty.covariances.matrices import with_parts
from rrp_pyomo.uncertainty.covariances.trust_region import largest_on_ball

# Weights below this part of the largest one are not held; a second worst change of the exposures
# may lose this part of what the worst one adds.
HELD, TIED = 1e-6, 1e-4
# Eigenvalues and shapes that agree to this are called equal: the worst case is then closed.
EQUAL = 1e-12


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
        return bool(Lambda.max() - Lambda.min() <= EQUAL * Lambda.max())

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
            return best_multiplier(a, a * u + linear, self._radius_at(x))

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
        top = np.flatnonzero(Lambda >= Lambda.max() * (1.0 - EQUAL))
        length = float(np.linalg.norm(z[top]))
        tied = 4.0 * float(Lambda[top] @ np.abs(u[top] * z[top])) <= TIED * gained
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
        for _ in range(sample_size(rng, size)):
            members.append(with_parts(self.center, V=self.center.V + self._change(rng)))
        return members


def principal(F: FloatArray) -> FloatArray:
    """Q' with F = QΛQ'."""
    vectors: FloatArray = np.linalg.eigh(F)[1].T[::-1]
    return vectors


def best_multiplier(a: FloatArray, slope: FloatArray, radius: float) -> float:
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
