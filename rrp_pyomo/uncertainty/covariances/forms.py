"""Sets of covariances whose worst variance is one quadratic form for all weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rrp_pyomo.data import Covariance, DenseCovariance, FactorCovariance, FactorModel
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.data.validation import Matrix, as_number
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, norm
from rrp_pyomo.uncertainty.base import sample_size
from rrp_pyomo.uncertainty.covariance_set import CovarianceSet
from rrp_pyomo.uncertainty.covariances.expressions import variance_by_root
from rrp_pyomo.uncertainty.covariances.matrices import (
    as_covariance,
    entries_of,
    is_semidefinite,
    plus_diagonal,
    plus_outer,
    sampled,
    unit_matrix,
    with_parts,
)


class QuadraticSet(CovarianceSet):
    """A set with v(w) = w'Mw for all weights w: one sum of squares, one second-order cone.

    M need not be a member: for each w another element attains w'Mw.
    """

    @property
    @abstractmethod
    def form(self) -> Covariance:
        """M with v(w) = w'Mw; the centre itself where the set has no other element."""

    def _variance_expression(self, w: Affine, h: Any) -> Any:
        return variance_by_root(self.form.root, w, h)

    def _volatility_expression(self, w: Affine) -> Any:
        return norm(Named("root", self.form.root) @ w)

    def _marginal_risk(self, w: FloatArray) -> FloatArray:
        return self.form.operator @ w

    def _marginal_changes(self, w: FloatArray, directions: FloatArray) -> FloatArray:
        return self.form.operator @ directions

    def _variance(self, w: FloatArray) -> float:
        return float(w @ (self.form.operator @ w))


@dataclass(frozen=True, init=False, repr=False, eq=False)
class FrobeniusBall(QuadraticSet):
    """U = {Σ ⪰ 0 : ‖Σ − Σ̂‖_F ≤ δ}, with v(w) = w'(Σ̂ + δI)w.

    Minimum variance, or mean–variance, over this set is ridge regularisation: with risk aversion λ
    the penalty is γ‖w‖₂², γ = λδ/2. The ball of the spectral norm has the same v(w). The worst
    element is Σ̂ + δww'/‖w‖², which stays factored where Σ̂ is.

    Parameters
    ----------
    center : Covariance, (n, n) DataFrame or array
        Σ̂, per-period variances.
    radius : float
        δ ≥ 0, in units of variance.

    Raises
    ------
    InputError
        A negative radius, a centre that :class:`~rrp_pyomo.DenseCovariance` refuses.

    Examples
    --------
    w'Σ̂w + δ‖w‖² at half and half:

    >>> from rrp_pyomo.uncertainty import FrobeniusBall
    >>> given = FrobeniusBall([[0.04, 0.0], [0.0, 0.01]], radius=0.002)
    >>> round(given.variance([0.5, 0.5]), 4)
    0.0135
    >>> given.worst([0.5, 0.5]).matrix().round(4).to_numpy().tolist()
    [[0.041, 0.001], [0.001, 0.011]]
    """

    center: Covariance
    radius: float

    def __init__(self, center: Covariance | Matrix, radius: float) -> None:
        radius = as_number(radius, "radius", least=0.0)
        vars(self).update(center=as_covariance(center), radius=radius)

    @property
    def formula(self) -> str:
        return r"\{\Sigma \succeq 0 : \|\Sigma - \hat\Sigma\|_F \le " + f"{self.radius:.4g}" + r"\}"

    def _numbers(self) -> dict[str, float]:
        return {"radius": self.radius}

    @cached_property
    def form(self) -> Covariance:
        """Σ̂ + δI."""
        return plus_diagonal(self.center, self.radius)

    def _worst(self, w: FloatArray) -> Covariance:
        size = float(np.linalg.norm(w))
        return plus_outer(self.center, w / (size or 1.0), self.radius)

    def contains(self, element: Covariance | Matrix, tolerance: float = 1e-9) -> bool:
        """Whether ‖Σ − Σ̂‖_F ≤ δ and Σ ⪰ 0, to a tolerance relative to the size of Σ̂."""
        entries = entries_of(element, self.labels)
        missed = np.linalg.norm(entries - multiplied_out(self.center.operator)) - self.radius
        near = missed <= tolerance * max(self.radius, self.center.frobenius_norm)
        return bool(near and is_semidefinite(entries, tolerance))

    def sample(self, rng: np.random.Generator, size: int) -> list[Covariance]:
        def deviation() -> FloatArray:
            return self.radius * unit_matrix(rng, self.size)

        return sampled(self.center, rng, size, deviation)

    def select(self, labels: Iterable[Hashable]) -> FrobeniusBall:
        """The set of the covariances of some of the assets."""
        return FrobeniusBall(self.center.select(labels), self.radius)

    def scaled(self, factor: float) -> FrobeniusBall:
        """The set with ``factor`` times the radius."""
        return FrobeniusBall(self.center, factor * self.radius)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class SamplingError(QuadraticSet):
    """The errors of a sample covariance of normal returns (Wishart), δ standard errors wide.

        U = {Σ ⪰ 0 : ½(T − 1) tr((Σ̂⁻¹(Σ − Σ̂))²) ≤ δ²},   v(w) = (1 + δ√(2/(T − 1))) w'Σ̂w

    The shape is Cov(vec Σ̂) = (I + K)(Σ̂ ⊗ Σ̂)/(T − 1), K the commutation matrix, so that the
    standard error of w'Σ̂w is √(2/(T − 1)) w'Σ̂w for all w. Weights therefore change by the risk
    aversion only: λ becomes λ(1 + δ√(2/(T − 1))). The worst element is
    Σ̂ + δ√(2/(T − 1)) Σ̂ww'Σ̂/w'Σ̂w, which stays factored where Σ̂ is.

    Parameters
    ----------
    center : Covariance, (n, n) DataFrame or array
        Σ̂, per-period variances.
    observations : int
        T ≥ 2, the number of periods of the data.
    radius : float
        δ ≥ 0, in standard errors.

    Raises
    ------
    InputError
        Fewer than 2 observations, a negative radius, a centre that
        :class:`~rrp_pyomo.DenseCovariance` refuses.

    References
    ----------
    Anderson (2003), An Introduction to Multivariate Statistical Analysis, section 3.4.

    Examples
    --------
    Two standard errors of a variance from 61 returns: 1 + 2√(2/60) times as much:

    >>> from rrp_pyomo.uncertainty import SamplingError
    >>> given = SamplingError([[0.04, 0.0], [0.0, 0.01]], 61, radius=2.0)
    >>> round(given.variance([0.5, 0.5]), 4), round(given.relative_error, 4)
    (0.0171, 0.3651)
    """

    center: Covariance
    observations: float
    radius: float

    def __init__(self, center: Covariance | Matrix, observations: float, radius: float) -> None:
        T = as_number(observations, "observations", least=2.0)
        radius = as_number(radius, "radius", least=0.0)
        vars(self).update(center=as_covariance(center), observations=T, radius=radius)

    @property
    def formula(self) -> str:
        return (
            r"\{\Sigma \succeq 0 : \tfrac{T-1}{2} \mathrm{tr}\,"
            r"(\hat\Sigma^{-1}(\Sigma - \hat\Sigma))^2 \le "
            f"{self.radius:.4g}" + r"^2\}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"observations": self.observations, "radius": self.radius}

    @property
    def relative_error(self) -> float:
        """δ√(2/(T − 1)), by which every variance may exceed the nominal one."""
        return float(self.radius * np.sqrt(2.0 / (self.observations - 1.0)))

    @cached_property
    def form(self) -> Covariance:
        """(1 + δ√(2/(T − 1))) Σ̂."""
        if self.relative_error == 0.0:
            return self.center
        larger = 1.0 + self.relative_error
        if isinstance(self.center, FactorCovariance):
            return with_parts(self.center, F=larger * self.center.F, D=larger * self.center.D)
        return DenseCovariance(larger * multiplied_out(self.center.operator), self.labels)

    def _worst(self, w: FloatArray) -> Covariance:
        marginal = self.center.operator @ w
        variance = float(w @ marginal)
        if not variance > 0.0:
            return self.center
        return plus_outer(self.center, marginal / np.sqrt(variance), self.relative_error)

    def contains(self, element: Covariance | Matrix, tolerance: float = 1e-9) -> bool:
        """Whether ‖R⁻ᵀ(Σ − Σ̂)R⁻¹‖_F ≤ δ√(2/(T − 1)), R'R = Σ̂, and Σ ⪰ 0, to a tolerance."""
        entries = entries_of(element, self.labels)
        nominal = multiplied_out(self.center.operator)
        scale = np.sqrt(self.center.variances)
        values, vectors = np.linalg.eigh(nominal / scale / scale[:, None])
        kept = values > self.size * np.finfo(float).eps * values[-1]
        inverse_root = vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]
        root = np.sqrt(values[kept])[:, None] * vectors[:, kept].T * scale
        gap = inverse_root.T @ (entries - nominal) @ inverse_root
        # What a singular centre cannot have: deviations outside of its range.
        outside = (entries - nominal - root.T @ gap @ root) / scale / scale[:, None]
        near = np.linalg.norm(gap) - self.relative_error <= tolerance * max(
            1.0, self.relative_error
        )
        inside = near and np.linalg.norm(outside) <= max(tolerance, 1e-12) * self.size
        return bool(inside and is_semidefinite(entries, tolerance))

    def sample(self, rng: np.random.Generator, size: int) -> list[Covariance]:
        R = multiplied_out_root(self.center)

        def deviation() -> FloatArray:
            return self.relative_error * (R.T @ unit_matrix(rng, len(R)) @ R)

        return sampled(self.center, rng, size, deviation)

    def select(self, labels: Iterable[Hashable]) -> SamplingError:
        """The set of the covariances of some of the assets."""
        return SamplingError(self.center.select(labels), self.observations, self.radius)

    def scaled(self, factor: float) -> SamplingError:
        """The set with ``factor`` times the radius."""
        return SamplingError(self.center, self.observations, factor * self.radius)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class FactorCovarianceBall(QuadraticSet):
    """Errors of the inverse factor covariance, with v(w) = w'(V'F₀V/(1 − η) + D)w.

        U = {V'FV + D : F⁻¹ = F₀⁻¹ + Δ,  ‖F₀^½ Δ F₀^½‖₂ ≤ η}

    The worst element is F₀/(1 − η) for all weights; it stays factored.

    Parameters
    ----------
    model : FactorCovariance or FactorModel
        V, F₀ and D; F₀ positive definite.
    eta : float
        0 ≤ η < 1.

    Raises
    ------
    InputError
        η outside of [0, 1), a covariance without factors, a singular F₀.

    References
    ----------
    Goldfarb & Iyengar (2003), Robust portfolio selection problems, section 2.

    Examples
    --------
    Of one asset on one factor: 0.04/(1 − 0.2) + 0.01:

    >>> from rrp_pyomo import FactorCovariance
    >>> from rrp_pyomo.uncertainty import FactorCovarianceBall
    >>> model = FactorCovariance([[1.0]], [[0.04]], [0.01])
    >>> round(FactorCovarianceBall(model, eta=0.2).variance([1.0]), 4)
    0.06
    """

    center: FactorCovariance
    eta: float

    def __init__(self, model: FactorCovariance | FactorModel, eta: float) -> None:
        center = model.covariance if isinstance(model, FactorModel) else model
        require_kind(center, FactorCovariance, "model", "such as FactorModel.fit(returns, factors)")
        eta = as_number(eta, "eta", least=0.0)
        if eta >= 1.0:
            raise InputError(f"eta is {eta:g}; expected less than 1, as F⁻¹ loses its inverse at 1")
        if not is_semidefinite(center.F - 1e-12 * np.diag(center.F.diagonal()), 0.0):
            raise InputError(
                "the model's factor covariance is singular, and the set is one of inverses; leave "
                "out a factor that the others explain"
            )
        vars(self).update(center=center, eta=eta)

    @property
    def formula(self) -> str:
        return (
            r"\{V'FV + D : F^{-1} = F_0^{-1} + \Delta,\ \|F_0^{1/2} \Delta F_0^{1/2}\|_2 \le "
            f"{self.eta:.4g}" + r"\}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"eta": self.eta}

    @cached_property
    def form(self) -> Covariance:
        """V'F₀V/(1 − η) + D."""
        if self.eta == 0.0:
            return self.center
        return with_parts(self.center, F=self.center.F / (1.0 - self.eta))

    def _worst(self, w: FloatArray) -> Covariance:
        return self.form

    def contains(self, element: Covariance | Matrix, tolerance: float = 1e-9) -> bool:
        """Whether Σ = V'FV + D with an F whose F₀^½F⁻¹F₀^½ is within η of I, to a tolerance."""
        V, D = self.center.V, self.center.D
        entries = entries_of(element, self.labels)
        systematic = entries - np.diag(D)
        back = np.linalg.pinv(V)
        F = back.T @ systematic @ back
        size = max(float(np.linalg.norm(systematic)), self.center.frobenius_norm)
        if np.linalg.norm(V.T @ F @ V - systematic) > max(tolerance, 1e-12) * size:
            return False
        root = np.linalg.inv(np.linalg.cholesky(self.center.F))
        values = np.linalg.eigvalsh(root @ (F + F.T) @ root.T / 2.0)
        lower, upper = 1.0 / (1.0 + self.eta), 1.0 / (1.0 - self.eta)
        return bool(values[0] >= lower - tolerance and values[-1] <= upper * (1.0 + tolerance))

    def sample(self, rng: np.random.Generator, size: int) -> list[Covariance]:
        L = np.linalg.cholesky(self.center.F)
        members: list[Covariance] = []
        for _ in range(sample_size(rng, size)):
            Q = np.linalg.qr(rng.standard_normal(L.shape)).Q
            errors = self.eta * rng.uniform(-1.0, 1.0, len(L))
            G = L @ Q / np.sqrt(1.0 + errors)
            members.append(with_parts(self.center, F=G @ G.T))
        return members

    def select(self, labels: Iterable[Hashable]) -> FactorCovarianceBall:
        """The set of the covariances of some of the assets."""
        return FactorCovarianceBall(self.center.select(labels), self.eta)

    def scaled(self, factor: float) -> FactorCovarianceBall:
        """The set with ``factor`` times η."""
        return FactorCovarianceBall(self.center, factor * self.eta)


def multiplied_out_root(center: Covariance) -> FloatArray:
    """R with R'R = Σ̂ as an array."""
    root = center.root
    return root if isinstance(root, np.ndarray) else root.toarray()
