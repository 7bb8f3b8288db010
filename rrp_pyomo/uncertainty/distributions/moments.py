"""Distributions of which mean and covariance are known, or lie in sets of their own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from rrp_pyomo.data import Covariance, DenseCovariance
from rrp_pyomo.data.validation import Labels, Vector, agreed_labels, as_number, index_of
from rrp_pyomo.errors import InputError, ModelError, require_kind
from rrp_pyomo.linalg import FloatArray, Stack
from rrp_pyomo.modeling import Affine, norm, stack
from rrp_pyomo.program import Program
from rrp_pyomo.uncertainty.base import sample_size
from rrp_pyomo.uncertainty.covariance_set import CovarianceSet
from rrp_pyomo.uncertainty.covariances.point import as_covariance_set
from rrp_pyomo.uncertainty.distribution_set import DistributionSet
from rrp_pyomo.uncertainty.distributions.distribution import Distribution, covariance_of
from rrp_pyomo.uncertainty.distributions.scenario_sets import bound_by
from rrp_pyomo.uncertainty.mean_set import MeanSet
from rrp_pyomo.uncertainty.means.point import Point, as_mean_set


class Extreme(NamedTuple):
    """Mean loss, standard deviation and what attains them, for given weights.

    Attributes
    ----------
    mean : (n,) array
        E[R].
    root : (k, n) array
        Of the covariance of R.
    """

    mean: FloatArray
    root: FloatArray

    def two_points(self, w: FloatArray, beta: float) -> Distribution:
        """w'R on two points, the lower one with probability β, and noise that w does not see.

        R = μ + Σw ξ/σ + η with ξ = −√((1−β)/β) or √(β/(1−β)), and η = ±√k times a column of
        root'(I − uu'), u = root w/σ: mean μ and covariance Σ exactly.
        """
        k = len(self.root)
        u = self.root @ w
        sigma = float(np.linalg.norm(u))
        u = u / sigma if sigma > 0.0 else u
        noise = np.sqrt(k) * (self.root - np.outer(u, u @ self.root))
        noise = noise[np.abs(noise).max(axis=1) > 1e-14 * np.abs(self.root).max()]
        noise = np.vstack([noise, -noise]) if len(noise) else np.zeros((1, w.size))
        # Where noise was left out, η is 0 with its probability.
        share = np.full(len(noise), 1.0 / (2 * k))
        if (rest := 1.0 - share.sum()) > 1e-12:
            noise, share = np.vstack([noise, np.zeros(w.size)]), np.append(share, rest)
        along = u @ self.root
        odds = np.sqrt((1.0 - beta) / beta)
        points = [(-odds, beta), (1.0 / odds, 1.0 - beta)]
        scenarios = np.vstack([self.mean + xi * along + noise for xi, _ in points])
        p = np.concatenate([mass * share for _, mass in points])
        return Distribution(scenarios, p / p.sum())


class MomentSet(DistributionSet):
    """What is said of mean and covariance only: the worst distribution of w'R is on two points.

    For a loss with mean −w'μ and standard deviation σ, the worst CVaR_α (and VaR_α) is
    −w'μ + √((1−α)/α) σ (El Ghaoui, Oks & Oustry 2003), and the worst E[(L − k)₊] is
    ½(m − k + √((m − k)² + σ²)) (Scarf 1958).
    """

    @abstractmethod
    def _extreme(self, w: FloatArray, alpha: float, mean_weight: float) -> Extreme:
        """The moments at which the risk is worst."""

    def _worst(self, w: FloatArray, alpha: float, mean_weight: float) -> Distribution:
        # At α = 1 the mean is all that counts; then the points are alike.
        beta = alpha if alpha < 1.0 else 0.5
        worst = self._extreme(w, alpha, mean_weight).two_points(w, beta)
        return Distribution(_table(worst.R, self.labels), worst.p)

    def _risk(self, w: FloatArray, alpha: float, mean_weight: float) -> float:
        mean, root = self._extreme(w, alpha, mean_weight)
        deviation = _factor(alpha) * float(np.linalg.norm(root @ w))
        return deviation - (1.0 + mean_weight) * float(mean @ w)

    def _gradient(self, w: FloatArray, alpha: float, mean_weight: float) -> FloatArray:
        mean, root = self._extreme(w, alpha, mean_weight)
        u = root @ w
        sigma = float(np.linalg.norm(u)) or 1.0
        return np.asarray((_factor(alpha) / sigma) * (u @ root) - (1.0 + mean_weight) * mean)

    def _state_gradient(
        self, program: Program, w: FloatArray, alpha: float, mean_weight: float
    ) -> Affine:
        """−(1 + c) μ + √((1−α)/α) root'z with ‖z‖ ≤ 1, at the worst covariance."""
        mean, root = self._extreme(w, alpha, mean_weight)
        gradient = (1.0 + mean_weight) * self._state_loss(program, mean)
        if (factor := _factor(alpha)) > 0.0:
            gradient = gradient + factor * self._state_deviation(program, w, root)
        result: Affine = gradient
        return result

    def _state_deviation(self, program: Program, w: FloatArray, root: FloatArray) -> Affine:
        """A gradient of √(w'Σw) at the worst covariance: root'z with ‖z‖ ≤ 1."""
        z = program.variable("z", len(root))
        program.subject_to(deviation=norm(z) <= 1.0)
        result: Any = root.T @ z
        return cast(Affine, result)

    @abstractmethod
    def _state_loss(self, program: Program, mean: FloatArray) -> Affine:
        """−μ for means that may be worst, ``mean`` being one of them."""


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Moments(MomentSet):
    """Every distribution with mean μ ∈ U_μ and covariance Σ ∈ U_Σ, known ones or sets.

        sup c E[L] + CVaR_α(L) = −(1 + c) min w'μ + √((1−α)/α) max √(w'Σw)

    VaR_α has the same worst value. The expectation of a linear loss depends on the mean only.

    Parameters
    ----------
    mean : Series, (n,) array or MeanSet
    covariance : Covariance, (n, n) DataFrame or array, or CovarianceSet

    Raises
    ------
    InputError
        Means and covariances of different assets.

    References
    ----------
    El Ghaoui, Oks & Oustry (2003), Worst-case value-at-risk and robust portfolio optimization;
    Natarajan, Sim & Uichanco (2010); Zymler, Kuhn & Rustem (2013).

    Examples
    --------
    −w'μ̂ + κ√(w'Σw) with κ = √(0.95/0.05) = 4.36:

    >>> from rrp_pyomo.uncertainty import Moments
    >>> given = Moments([0.05, 0.03], [[0.04, 0.0], [0.0, 0.01]])
    >>> round(given.risk([0.5, 0.5], alpha=0.05), 4)
    0.4473
    """

    mean: MeanSet
    covariance: CovarianceSet

    def __init__(self, mean: Any, covariance: Any) -> None:
        means, covariances = as_mean_set(mean), as_covariance_set(covariance)
        agreed_labels("asset", covariances.size, covariance=covariances.labels, mean=means.labels)
        vars(self).update(mean=means, covariance=covariances)

    @property
    def labels(self) -> Labels:  # type: ignore[override]
        """The assets."""
        return self.covariance.labels

    @property
    def nominal(self) -> Moments:
        """The set with the means' and covariances' centres."""
        return Moments(self.mean.center, self.covariance.center)

    @property
    def formula(self) -> str:
        return (
            rf"\{{P : E_P[R] \in {self.mean.formula},\; "
            rf"\mathrm{{Cov}}_P(R) \in {self.covariance.formula}\}}"
        )

    def _risk_expression(self, w: Affine, alpha: float, mean_weight: float) -> Any:
        risk = (1.0 + mean_weight) * self.mean.support(-w)
        if (factor := _factor(alpha)) > 0.0:
            risk = risk + factor * self.covariance.volatility(w)
        return risk

    def _extreme(self, w: FloatArray, alpha: float, mean_weight: float) -> Extreme:
        return Extreme(self.mean._worst(-w), _dense_root(self.covariance._worst(w)))

    def _state_deviation(self, program: Program, w: FloatArray, root: FloatArray) -> Affine:
        choice = self.covariance._state_worst(program, w)
        size = float(np.linalg.norm(root @ w))
        if choice is None or not size:
            return super()._state_deviation(program, w, root)
        # By Cauchy and Schwarz Σw/√v is below √v everywhere, for every member Σ.
        scaled: Affine = choice.marginal_risk * (1.0 / size)
        return scaled

    def _state_loss(self, program: Program, mean: FloatArray) -> Affine:
        mu = program.variable("mean", mean.size, unit=float(np.abs(mean).max()) or 1.0)
        self.mean.state_member(program, mu)
        return -mu

    def _piecewise(self, w: Affine, slopes: list[float], intercepts: list[Any]) -> Any:
        (flat, b), *steeper = _ordered_pieces(slopes, intercepts)
        loss = self.mean.support(-w)
        if not steeper:
            return flat * loss + b
        ((steep, d),) = steeper
        bound = bound_by(w.program, "mean_loss", loss)
        deviation = bound_by(w.program, "volatility", self.covariance.volatility(w))
        gap = (steep - flat) * bound + (d - b)
        # E[max(p, q)] = E[p] + E[(q − p)₊], whose worst value grows with mean and deviation.
        return flat * bound + b + 0.5 * (gap + norm(stack(gap, (steep - flat) * deviation)))

    def _piecewise_value(self, w: FloatArray, slopes: FloatArray, intercepts: FloatArray) -> float:
        (flat, b), *steeper = _ordered_pieces(slopes, intercepts)
        m, sigma = self.mean.support(-w), self.covariance.volatility(w)
        if not steeper:
            return float(flat * m + b)
        ((steep, d),) = steeper
        gap = (steep - flat) * m + d - b
        return float(flat * m + b + 0.5 * (gap + np.hypot(gap, (steep - flat) * sigma)))

    def contains(self, element: Any, tolerance: float = 1e-9) -> bool:
        """Whether a distribution has a mean and a covariance in their sets."""
        given = _distribution(element)
        covariance = DenseCovariance(covariance_of(given.R, given.p), self.labels)
        inside = self.mean.contains(given.mean().to_numpy(), tolerance)
        return inside and self.covariance.contains(covariance, tolerance)

    def sample(self, rng: np.random.Generator, size: int) -> list[Distribution]:
        """Members: sampled means and covariances, each with random scenarios that have them."""
        means = self.mean.sample(rng, size).to_numpy()
        covariances = self.covariance.sample(rng, size)
        return [
            _with_moments(rng, mean, _dense_root(covariance), self.labels)
            for mean, covariance in zip(means, covariances, strict=True)
        ]


@dataclass(frozen=True, init=False, repr=False, eq=False)
class DelageYe(MomentSet):
    """Distributions whose mean is near μ̂ and whose second moment about μ̂ is bounded:

        (E[R] − μ̂)'Σ̂⁻¹(E[R] − μ̂) ≤ γ₁,    E[(R − μ̂)(R − μ̂)'] ⪯ γ₂ Σ̂

    With c the mean's weight, a = 1 + c and κ² = (1−α)/α, the worst risk is −a w'μ̂ + k σ, σ² = w'Σ̂w:
    the mean loss moves by δσ, which leaves a deviation of √(γ₂ − δ²) σ, and k is the largest
    a δ + κ√(γ₂ − δ²) over δ² ≤ min(γ₁, γ₂). For c = 0, k = √γ₁ + κ√(γ₂ − γ₁) where γ₁ ≤ α γ₂, else
    √(γ₂/α).

    Parameters
    ----------
    mean : Series or (n,) array
        μ̂.
    covariance : Covariance, (n, n) DataFrame or array
        Σ̂.
    gamma1, gamma2 : float
        At least 0. (0, 1) has the worst case of known moments.

    Raises
    ------
    InputError
        Means and covariances of different assets, a set in place of one, negative numbers.

    References
    ----------
    Delage & Ye (2010), Distributionally robust optimization under moment uncertainty.

    Examples
    --------
    Known moments, (0, 1), and what more room costs:

    >>> from rrp_pyomo.uncertainty import DelageYe
    >>> mean, covariance = [0.05, 0.03], [[0.04, 0.0], [0.0, 0.01]]
    >>> for gamma1, gamma2 in ((0.0, 1.0), (0.01, 1.0), (0.01, 1.2)):
    ...     print(round(DelageYe(mean, covariance, gamma1, gamma2).risk([0.5, 0.5], alpha=0.05), 4))
    0.4473
    0.4561
    0.5028
    """

    covariance: Covariance
    gamma1: float
    gamma2: float
    _mean: FloatArray

    def __init__(self, mean: Vector, covariance: Any, gamma1: float, gamma2: float) -> None:
        if isinstance(mean, MeanSet) or isinstance(covariance, CovarianceSet):
            raise InputError(
                "mean or covariance of DelageYe is a set; expected known ones, around which gamma1 "
                "and gamma2 make the set: use Moments(mean, covariance) for sets"
            )
        Sigma = as_covariance_set(covariance).center
        mu = Point(mean)
        agreed_labels("asset", Sigma.size, covariance=Sigma.labels, mean=mu.labels)
        vars(self).update(
            covariance=Sigma,
            gamma1=as_number(gamma1, "gamma1", least=0.0),
            gamma2=as_number(gamma2, "gamma2", least=0.0),
            _mean=mu._center,
        )

    @property
    def labels(self) -> Labels:  # type: ignore[override]
        """The assets."""
        return self.covariance.labels

    @property
    def mean(self) -> pd.Series:
        """μ̂ by asset."""
        return pd.Series(self._mean, index=index_of(self.labels), name="mean")

    @property
    def nominal(self) -> Moments:
        """The set with μ̂ and Σ̂ known."""
        return Moments(self.mean, self.covariance)

    @property
    def formula(self) -> str:
        return (
            r"\{P : (E_P[R] - \hat\mu)^\top \hat\Sigma^{-1} (E_P[R] - \hat\mu) \le \gamma_1,\; "
            r"E_P[(R - \hat\mu)(R - \hat\mu)^\top] \preceq \gamma_2 \hat\Sigma\}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"gamma1": self.gamma1, "gamma2": self.gamma2}

    def shift(self, alpha: float, mean_weight: float = 0.0) -> float:
        """δ: by how many standard deviations the mean loss moves where the risk is worst."""
        a, kappa = 1.0 + mean_weight, _factor(alpha)
        free = a * np.sqrt(self.gamma2) / np.hypot(a, kappa)
        return float(min(np.sqrt(self.gamma1), free))

    def _charge(self, alpha: float, mean_weight: float) -> float:
        delta = self.shift(alpha, mean_weight)
        left = np.sqrt(max(self.gamma2 - delta**2, 0.0))
        return (1.0 + mean_weight) * delta + _factor(alpha) * float(left)

    @property
    def _is_known(self) -> bool:
        return self.gamma1 == 0.0 and self.gamma2 == 1.0

    def _risk_expression(self, w: Affine, alpha: float, mean_weight: float) -> Any:
        if self._is_known:
            return self.nominal._risk_expression(w, alpha, mean_weight)
        risk = -(1.0 + mean_weight) * (self._mean @ w)
        if (charge := self._charge(alpha, mean_weight)) > 0.0:
            risk = risk + charge * as_covariance_set(self.covariance).volatility(w)
        return risk

    def _extreme(self, w: FloatArray, alpha: float, mean_weight: float) -> Extreme:
        root = _dense_root(self.covariance)
        u = root @ w
        sigma = float(np.linalg.norm(u))
        if sigma == 0.0:
            return Extreme(self._mean, np.sqrt(self.gamma2) * root)
        delta, u = self.shift(alpha, mean_weight), u / sigma
        return Extreme(self._mean - delta * (u @ root), self._rest(root, u, delta, self.gamma2))

    @staticmethod
    def _rest(root: FloatArray, u: FloatArray, delta: float, gamma2: float) -> FloatArray:
        """A root of γ₂Σ̂ − δ² root'uu'root: what a shift along u leaves for the covariance."""
        left = np.sqrt(gamma2) - np.sqrt(max(gamma2 - delta**2, 0.0))
        return np.asarray(np.sqrt(gamma2) * root - left * np.outer(u, u @ root))

    def _risk(self, w: FloatArray, alpha: float, mean_weight: float) -> float:
        if self._is_known:
            return self.nominal._risk(w, alpha, mean_weight)
        sigma = float(np.sqrt(self.covariance.variance(w)))
        loss = -(1.0 + mean_weight) * float(self._mean @ w)
        return loss + self._charge(alpha, mean_weight) * sigma

    def _state_gradient(
        self, program: Program, w: FloatArray, alpha: float, mean_weight: float
    ) -> Affine:
        root = _dense_root(self.covariance)
        z = program.variable("z", len(root))
        program.subject_to(deviation=norm(z) <= 1.0)
        charge = self._charge(alpha, mean_weight)
        along: Any = (charge * root.T) @ z
        gradient: Affine = along - (1.0 + mean_weight) * self._mean
        return gradient

    def _state_loss(self, program: Program, mean: FloatArray) -> Affine:
        raise NotImplementedError("mean and deviation are stated together")

    def _piecewise(self, w: Affine, slopes: list[float], intercepts: list[Any]) -> Any:
        a, b = self._only_piece(slopes, intercepts)
        charge = np.sqrt(min(self.gamma1, self.gamma2))
        loss: Any = -(self._mean @ w)
        if charge > 0.0:
            loss = loss + float(charge) * as_covariance_set(self.covariance).volatility(w)
        return a * loss + b

    def _piecewise_value(self, w: FloatArray, slopes: FloatArray, intercepts: FloatArray) -> float:
        a, b = self._only_piece(slopes, intercepts)
        charge = np.sqrt(min(self.gamma1, self.gamma2) * self.covariance.variance(w))
        return float(a * (charge - self._mean @ w) + b)

    def _only_piece(self, slopes: Any, intercepts: Any) -> tuple[float, Any]:
        pieces = _ordered_pieces(slopes, intercepts)
        if len(pieces) > 1:
            raise ModelError(
                f"the worst expectation of {len(pieces)} pieces under {self!r} has no counterpart "
                "here; use Moments(mean, covariance), or a loss of one piece"
            )
        return pieces[0]

    def contains(self, element: Any, tolerance: float = 1e-9) -> bool:
        """Whether a distribution has moments that are within both bounds."""
        given = _distribution(element)
        root = _dense_root(self.covariance)
        deviation = given.R - self._mean
        d = given.p @ deviation
        # d'Σ⁻¹d as the least squares z of root'z = d; M ⪯ γ₂Σ where γ₂Σ − M has no negative part.
        z, *_ = np.linalg.lstsq(root.T, d, rcond=None)
        size = float(np.abs(root).max())
        if np.abs(root.T @ z - d).max() > tolerance * size or z @ z > self.gamma1 + tolerance:
            return False
        second = (given.p[:, None] * deviation).T @ deviation
        rest = self.gamma2 * (root.T @ root) - second
        return bool(np.linalg.eigvalsh(rest).min() >= -tolerance * max(size**2, 1e-300))

    def sample(self, rng: np.random.Generator, size: int) -> list[Distribution]:
        """Members: means in random directions, with what they leave for the covariance."""
        root = _dense_root(self.covariance)
        members = []
        count = sample_size(rng, size)
        for reach, scale in rng.uniform(size=(count, 2)):
            u = rng.standard_normal(len(root))
            u /= np.linalg.norm(u)
            gamma2 = self.gamma2 * np.sqrt(scale)
            delta = reach * np.sqrt(min(self.gamma1, gamma2))
            mean, rest = self._mean - delta * (u @ root), self._rest(root, u, delta, gamma2)
            members.append(_with_moments(rng, mean, rest, self.labels))
        return members


def _factor(alpha: float) -> float:
    """√((1−α)/α): standard deviations from the mean to the worst CVaR_α and VaR_α."""
    return float(np.sqrt((1.0 - alpha) / alpha))


def _dense_root(covariance: Covariance) -> FloatArray:
    """R with R'R = Σ as an array."""
    root = covariance.root
    return root.toarray() if isinstance(root, Stack) else root


def _ordered_pieces(slopes: Any, intercepts: Any) -> list[tuple[float, Any]]:
    """The pieces a L + b by slope; at most two."""
    pieces = sorted(zip(map(float, slopes), intercepts, strict=True), key=lambda piece: piece[0])
    if len(pieces) > 2:
        raise ModelError(
            f"the worst expectation of {len(pieces)} pieces under known moments has no "
            "second-order counterpart; expected one or two pieces, or scenarios"
        )
    if len(pieces) == 2 and pieces[0][0] == pieces[1][0]:
        raise InputError(f"two pieces have the slope {pieces[0][0]:g}; leave the lower one out")
    return pieces


def _with_moments(
    rng: np.random.Generator, mean: FloatArray, root: FloatArray, labels: Labels
) -> Distribution:
    """Random scenarios of this mean and covariance, exactly: draws with their own taken out."""
    k = len(root)
    z = rng.standard_t(4, size=(2 * k + 2, k))
    z -= z.mean(axis=0)
    u, _, v = np.linalg.svd(z, full_matrices=False)
    z = np.sqrt(len(z)) * (u @ v)
    return Distribution(_table(mean + z @ root, labels))


def _table(R: FloatArray, labels: Labels) -> pd.DataFrame:
    return pd.DataFrame(R, columns=index_of(labels))


def _distribution(element: Any) -> Distribution:
    require_kind(element, Distribution, "element", "such as Distribution(scenarios, probabilities)")
    given: Distribution = element
    return given
