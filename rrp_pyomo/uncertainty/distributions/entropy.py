"""Relative entropy: distributions that are hard to tell from the nominal one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import rel_entr

from rrp_pyomo.data.validation import as_number
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, relative_entropy
from rrp_pyomo.modeling.cones import EXPONENTIAL, NONNEGATIVE
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import repeated_rows
from rrp_pyomo.program import Program
from rrp_pyomo.uncertainty.distributions.distribution import Distribution
from rrp_pyomo.uncertainty.distributions.scenario_sets import ScenarioSet, as_scenarios

# Losses this close to the largest, relative to their range, are equal to it.
_TIE = 1e-12


@dataclass(frozen=True, init=False, repr=False, eq=False)
class KullbackLeibler(ScenarioSet):
    """{p : Σ p_i log(p_i / p̂_i) ≤ η}: other probabilities of the same scenarios, no new ones.

        max p'ℓ = min over t ≥ 0 of t η + t log Σ p̂_i e^{ℓ_i/t},   attained at p_i ∝ p̂_i e^{ℓ_i/t}

    which is the entropic value at risk of tail probability e^{−η}: N exponential cones. From
    η = −log p̂_i of the largest loss on (log N for equal p̂), all of it is on that scenario.

    Parameters
    ----------
    scenarios : Scenarios, or (N, n) DataFrame or array of returns
        With their nominal probabilities p̂, equal by default. Scenarios of probability 0 stay
        impossible, and are left out.
    radius : float
        η ≥ 0, in nats. χ²_{1,β}/(2N) makes the worst mean an asymptotically exact bound of
        one-sided confidence (1 + β)/2.

    Raises
    ------
    InputError
        Scenarios that are none; a negative radius.

    References
    ----------
    Hu & Hong (2013), Kullback–Leibler divergence constrained distributionally robust optimization;
    Ahmadi-Javid (2012), Entropic value-at-risk; Lam (2019); Duchi, Glynn & Namkoong (2021).

    Examples
    --------
    The worst mean loss moves probability to the bad scenarios; from η = log 4 on, all of it:

    >>> from rrp_pyomo.uncertainty import KullbackLeibler
    >>> returns = [[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01]]
    >>> for radius in (0.0, 0.1, 1.4):
    ...     print(radius, round(KullbackLeibler(returns, radius).expected_loss([0.5, 0.5]), 4))
    0.0 -0.01
    0.1 -0.0016
    1.4 0.02
    """

    center: Distribution
    radius: float

    def __init__(self, scenarios: Any, radius: float) -> None:
        radius, center = as_number(radius, "radius", least=0.0), as_scenarios(scenarios)
        if not center.p.all():
            center = Distribution(center.scenarios[center.p > 0.0], center.p[center.p > 0.0])
        vars(self).update(center=center, radius=radius)

    @property
    def formula(self) -> str:
        return r"\{p : \textstyle\sum_i p_i \log(p_i / \hat p_i) \le \eta\}"

    def _numbers(self) -> dict[str, float]:
        return {"scenarios": len(self.center.p), "radius": self.radius}

    @property
    def _is_point(self) -> bool:
        return self.radius == 0.0

    @property
    def _reaches_all(self) -> bool:
        """Whether any one scenario may have all the probability, so that the largest loss counts.

        There t = 0, the apex of the exponential cones.
        """
        return bool(self.radius >= -np.log(self.center.p.min()))

    def divergence(self, probabilities: Any) -> float:
        """Σ p_i log(p_i / p̂_i) of probabilities by scenario; infinite where p̂_i = 0 < p_i."""
        return float(rel_entr(self._by_scenario(probabilities), self.center.p).sum())

    def _outside(self, p: FloatArray) -> float:
        return float(rel_entr(p.clip(min=0.0), self.center.p).sum()) - self.radius

    def _worst_probabilities(self, losses: FloatArray) -> FloatArray:
        p = self.center.p
        if self._is_point:
            return p
        gap = losses.max() - losses
        t = self._temperature(losses)
        if t == np.inf:
            return p
        worst = p * (np.exp(-gap / t) if t > 0.0 else gap <= _TIE * np.ptp(gap))
        return np.asarray(worst / worst.sum())

    def _temperature(self, losses: FloatArray) -> float:
        """The minimising t, at which p_i ∝ p̂_i e^{ℓ_i/t} has the divergence η.

        0 where the largest losses can have all the probability, infinite where all are equal.
        """
        p, gap = self.center.p, losses.max() - losses
        size = float(gap.max())
        if size == 0.0:
            return np.inf
        if self.radius >= -np.log(p[gap <= _TIE * size].sum()):
            return 0.0

        def excess(s: float) -> float:
            q = p * np.exp(-gap / size * np.exp(s))
            return float(rel_entr(q / q.sum(), p).sum()) - self.radius

        low = high = 0.0  # s = log(size / t), with which the divergence grows
        while excess(low) > 0.0:
            low -= 4.0
        while excess(high) < 0.0 and high < 60.0:
            high += 4.0
        s = high if excess(high) <= 0.0 else brentq(excess, low, high, xtol=1e-14, rtol=1e-15)
        return size * float(np.exp(-s))

    def _worst_of_risk(self, L: FloatArray, alpha: float, mean_weight: float) -> FloatArray:
        """By the quantile τ, at which the worst p of mean_weight · L + (L − τ)₊/α exceeds it by α.

        P(L > τ) of that p falls in τ: first the loss at which it gets below α, then between it and
        the one before.
        """
        values = np.unique(L)
        if self._is_point or values.size == 1 or alpha == 1.0:
            return self._worst_probabilities(L)

        def worst(t: float) -> FloatArray:
            return self._worst_probabilities(mean_weight * L + np.maximum(L - t, 0.0) / alpha)

        low, high = -1, values.size - 1  # P(L > values[high]) ≤ α < P(L > values[low])
        while high - low > 1:
            k = (low + high) // 2
            if worst(values[k])[values[k] < L].sum() <= alpha:
                high = k
            else:
                low = k
        if low < 0:
            return worst(values[0])
        is_tail = values[high] <= L

        def missing(t: float) -> float:
            return float(worst(t)[is_tail].sum()) - alpha

        left, right = values[low], values[high]
        if high == values.size - 1 and not mean_weight:
            return worst(left)  # (L − τ)₊ is positive at the largest loss only, at itself nowhere
        if missing(right) >= 0.0:
            return worst(right)
        return worst(brentq(missing, left, right, xtol=1e-15 * abs(values).max(), rtol=1e-14))

    def _bounded(self, losses: Affine, bound: Affine, new: Any) -> list[Bounded]:
        """u_i ≥ p̂_i t e^{(ℓ_i − s)/t}, Σ u_i ≤ t with s = bound − t η: u = t p at the worst p."""
        p, N = self.center.p, losses.size
        if self._reaches_all:
            return [Bounded("", InCone((repeated_rows(bound, N) - losses,), NONNEGATIVE))]

        def temperature(x: FloatArray) -> FloatArray:
            t = self._temperature(losses.value(x))
            return np.array([t if np.isfinite(t) else 0.0])

        def shares(x: FloatArray) -> FloatArray:
            return np.asarray(t.value(x) * self._worst_probabilities(losses.value(x)))

        t = new("temperature", None, temperature, 0.0)
        u = new("share", N, shares, 0.0)
        exponent = losses - repeated_rows(bound, N) + (self.radius + np.log(p)) * t
        return [
            Bounded("", InCone((exponent, repeated_rows(t, N), u), EXPONENTIAL), 0, -1.0),
            Bounded("total", InCone((t - u.sum(),), NONNEGATIVE), None),
        ]

    def _state_probabilities(self, program: Program, p: Affine) -> None:
        divergence = relative_entropy(p, self.center.p).sum()
        program.subject_to(divergence=divergence <= self.radius)
