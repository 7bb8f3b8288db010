"""Wasserstein balls: distributions that the nominal one can be moved to at a limited cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from rrp_pyomo.data.validation import Labels, agreed_labels, as_number, by_label, index_of
from rrp_pyomo.errors import InputError, ModelError, brief
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, quad_over_lin
from rrp_pyomo.modeling import norm as norm_of
from rrp_pyomo.modeling.operators import Expression
from rrp_pyomo.program import Program
from rrp_pyomo.uncertainty.base import sample_size
from rrp_pyomo.uncertainty.distribution_set import DistributionSet
from rrp_pyomo.uncertainty.distributions.distribution import Distribution, tail
from rrp_pyomo.uncertainty.distributions.ground_norm import GroundNorm
from rrp_pyomo.uncertainty.distributions.scenario_sets import Scenarios, as_scenarios, bound_by
from rrp_pyomo.uncertainty.distributions.supported import Supported
from rrp_pyomo.uncertainty.distributions.transport import distance


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Wasserstein(DistributionSet):
    """{P : W_p(P, P̂) ≤ ε}: scenarios moved by ‖d‖, at a mean cost (E‖d‖^p)^{1/p} of at most ε.

        sup c E[L] + CVaR_α(L) = c E_P̂[L] + CVaR_α^P̂(L) + ε ‖Z‖_s ‖w‖_*,    L = −w'R

    with Z = c + 1/α on the tail and c elsewhere, 1/p + 1/s = 1, and the dual norm ‖w‖_* of the
    ground norm: ε (c + 1/α) for p = 1, ε α^{−1/2} for p = 2 and c = 0, ε (c + 1) for p = ∞. It is
    attained by moving scenarios against w, for p = 1 those of the tail by ε/α. Linear programs for
    ground norms 1 and ∞, one second-order cone more for 2 and Mahalanobis.

    With a support {ξ : Cξ ≤ d}, p = 1, it is a program of a norm cone for each scenario (Mohajerin
    Esfahani & Kuhn 2018, (27)).

    Parameters
    ----------
    scenarios : Scenarios, or (N, n) DataFrame or array of returns
        P̂, equal probabilities by default.
    radius : float
        ε ≥ 0, in units of returns.
    norm : {2, 1, inf} or Covariance
        The ground norm ‖d‖; a covariance Σ for Mahalanobis' √(d'Σ⁻¹d).
    order : {1, 2, inf}
        p.
    support : Polyhedron, optional
        Where returns can be; order 1 only. The scenarios must be in it.

    Raises
    ------
    InputError
        A negative radius, an unknown norm or order, a support that some scenario is not in, or
        beside another order.

    References
    ----------
    Wozabal (2014), Robustifying convex risk measures for linear portfolios; Mohajerin Esfahani &
    Kuhn (2018); Pflug, Pichler & Wozabal (2012); Blanchet, Chen & Zhou (2022).

    Examples
    --------
    Moving the tail against w adds ε‖w‖₂/α:

    >>> from rrp_pyomo.uncertainty import Wasserstein
    >>> returns = [[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01]]
    >>> for radius in (0.0, 0.001):
    ...     print(radius, round(Wasserstein(returns, radius).risk([0.5, 0.5], alpha=0.25), 4))
    0.0 0.02
    0.001 0.0228
    """

    center: Distribution
    radius: float
    norm: Any
    order: float
    support: Any

    _orders: ClassVar[tuple[float, ...]] = (1, 2, np.inf)

    def __init__(
        self,
        scenarios: Any,
        radius: float,
        norm: Any = 2,
        order: float = 1,
        support: Any = None,
    ) -> None:
        center = as_scenarios(scenarios)
        radius = as_number(radius, "radius", least=0.0)
        ground = GroundNorm(norm)
        if ground.labels is not None:
            agreed_labels("asset", len(center.labels), scenarios=center.labels, norm=ground.labels)
        if order not in self._orders:
            raise InputError(f"order is {brief(order)}; expected 1, 2 or inf")
        if support is not None and order != 1:
            raise InputError(
                f"a support is given beside order={order:g}; expected order=1, for which it has a "
                "conic counterpart"
            )
        supported = None if support is None else Supported(center, support)
        vars(self).update(center=center, radius=radius, norm=norm, order=float(order))
        vars(self).update(support=support, _ground=ground, _supported=supported)

    _ground: GroundNorm
    _supported: Supported | None

    @property
    def labels(self) -> Labels:  # type: ignore[override]
        """The assets."""
        return self.center.labels

    @property
    def nominal(self) -> Scenarios:
        """P̂ alone."""
        return Scenarios(self.center)

    @property
    def formula(self) -> str:
        order = r"\infty" if np.isinf(self.order) else f"{self.order:g}"
        inside = "" if self.support is None else r",\; P(C\xi \le d) = 1"
        return (
            rf"\{{P : W_{{{order}}}(P, \hat P) \le \varepsilon{inside}\}}, "
            rf"\quad \lVert d \rVert = \lVert d \rVert_{{{self._ground.name}}}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"scenarios": len(self.center.p), "radius": self.radius, "order": self.order}

    def distance(self, distribution: Distribution) -> float:
        """W_p(P, P̂), by a linear program over transport plans of N × M masses."""
        return distance(self.center, distribution, self._ground, self.order)

    def _unit(self, w: Affine) -> float:
        return self.nominal._unit(w)

    # --- risk -----------------------------------------------------------------------------------

    def _charge(self, alpha: float, mean_weight: float) -> float:
        """ε ‖Z‖_s, what weights are charged by."""
        c, tail_c = mean_weight, mean_weight + 1.0 / alpha
        if self.order == 1:
            return self.radius * tail_c
        if self.order == 2:
            return self.radius * float(np.sqrt((1.0 - alpha) * c**2 + alpha * tail_c**2))
        return self.radius * (c + 1.0)

    def _risk_expression(self, w: Affine, alpha: float, mean_weight: float) -> Any:
        if self._supported is not None and self.radius > 0.0:
            return super()._risk_expression(w, alpha, mean_weight)
        risk = self.nominal.risk(w, alpha, mean_weight)
        if self.radius == 0.0:
            return risk
        return risk + self._charge(alpha, mean_weight) * self._ground.dual(w)

    def _risk(self, w: FloatArray, alpha: float, mean_weight: float) -> float:
        if self._supported is not None:
            return super()._risk(w, alpha, mean_weight)
        nominal = self.nominal._risk(w, alpha, mean_weight)
        return nominal + self._charge(alpha, mean_weight) * float(self._ground.dual(w))

    def _worst(self, w: FloatArray, alpha: float, mean_weight: float) -> Distribution:
        center = self.center
        if self.radius == 0.0:
            return center
        slopes = np.array([mean_weight, mean_weight + 1.0 / alpha])
        if self._supported is not None:
            return self._supported.worst(w, self.radius, self._ground, slopes, alpha)
        q = alpha * tail(-(center.R @ w), center.p, alpha)
        masses = np.array([center.p - q, q])
        moved = slopes > 0.0
        lengths = np.where(moved, self.radius, 0.0)
        if self.order == 1:
            lengths = np.array([0.0, self.radius / alpha])
        elif self.order == 2:
            lengths = self.radius * slopes / np.sqrt(masses.sum(axis=1) @ slopes**2)
        return _moved(center, masses, lengths, self._ground.against(w))

    def _state_gradient(
        self, program: Program, w: FloatArray, alpha: float, mean_weight: float
    ) -> Affine:
        if self._supported is not None and self.radius > 0.0:
            slopes = np.array([mean_weight, mean_weight + 1.0 / alpha])
            stated = self._supported.state(program, self.radius, self._ground, slopes)
            program.subject_to(tail_mass=stated.masses[1].sum() == alpha)
            return stated.gradient
        gradient = self.nominal._state_gradient(program, w, alpha, mean_weight)
        if self.radius > 0.0:
            z = program.variable("displacement", w.size)
            self._ground.state_within(program, z, 1.0)
            gradient = gradient + self._charge(alpha, mean_weight) * z
        return gradient

    # --- expectations ---------------------------------------------------------------------------

    def worst_expectation(self, losses: Any) -> Any:
        """Refused: scenarios move, so that losses by scenario do not say what they become.

        Raises
        ------
        ModelError
            Always; see :meth:`worst_piecewise`.
        """
        raise ModelError(
            f"{self!r} moves scenarios, for which losses by scenario are not enough, and a loss "
            "that grows faster than linearly (log, power, exponential or quadratic utility) has no "
            "finite worst case at any radius; use worst_piecewise(w, slopes, intercepts), or "
            "KullbackLeibler(scenarios, radius)"
        )

    def _piecewise(self, w: Affine, slopes: list[float], intercepts: list[Any]) -> Any:
        if self.radius == 0.0:
            return self.nominal._piecewise(w, slopes, intercepts)
        if self._supported is not None:
            return self._supported.piecewise(w, self.radius, self._ground, slopes, intercepts)
        charge, program = self._ground.dual(w), w.program
        if self.order == 1 or len(slopes) == 1:  # the largest slope is the Lipschitz constant
            nominal = self.nominal._piecewise(w, slopes, intercepts)
            return nominal + self.radius * max(slopes) * charge
        size = bound_by(program, "charge", charge)
        if np.isinf(self.order):  # every scenario moves by ε
            shifted = [b + a * self.radius * size for a, b in zip(slopes, intercepts, strict=True)]
            return self.nominal._piecewise(w, slopes, shifted)
        # π ε + E max_k (a_k L + b_k + a_k² ε‖w‖²/(4π)), by the conjugate of ‖d‖² π/ε.
        price = program.variable(program.free_name("price"), lower=0.0, unit=size.magnitude)
        gain = bound_by(program, "gain", quad_over_lin(np.sqrt(self.radius) * size, 4.0 * price))
        shifted = [b + a**2 * gain for a, b in zip(slopes, intercepts, strict=True)]
        return self.nominal._piecewise(w, slopes, shifted) + self.radius * price

    def _piecewise_value(self, w: FloatArray, slopes: FloatArray, intercepts: FloatArray) -> float:
        if self._supported is not None and self.radius > 0.0:
            return self._supported.value(w, self.radius, self._ground, slopes, intercepts)
        charge = self.radius * float(self._ground.dual(w))
        nominal = self.nominal._piecewise_value
        if charge == 0.0 or self.order == 1 or len(slopes) == 1:
            return nominal(w, slopes, intercepts) + charge * float(slopes.max())
        if np.isinf(self.order):
            return nominal(w, slopes, intercepts + charge * slopes)

        def bound(s: float) -> float:  # the price λ = ‖w‖ e^s / (2ε)
            moved = nominal(w, slopes, intercepts + 0.5 * charge * np.exp(-s) * slopes**2)
            return moved + 0.5 * charge * float(np.exp(s))

        span = np.log(max(float(slopes.max()), 1e-9)) + np.array([-25.0, 0.5])
        found = minimize_scalar(bound, bounds=span, method="bounded", options={"xatol": 1e-10})
        return float(found.fun)

    # --- variance -------------------------------------------------------------------------------

    def volatility(self, w: Any) -> Any:
        """sup over P of √Var(w'R) = σ̂ + ε‖w‖_*, σ̂ under P̂: order 2 without a support.

        Returns
        -------
        float, or a convex expression

        Raises
        ------
        ModelError
            Another order, or a support.

        References
        ----------
        Blanchet, Chen & Zhou (2022), Distributionally robust mean-variance portfolio selection.
        """
        self._require_order_2()
        x = self._ordered(w) if isinstance(w, Expression) else by_label(w, self.labels, "weights")
        exposure = Named("root", self._root) @ x if isinstance(x, Affine) else self._root @ x
        nominal = norm_of(exposure) if isinstance(x, Affine) else float(np.linalg.norm(exposure))
        return nominal + self.radius * self._ground.dual(x) if self.radius else nominal

    def worst_of_variance(self, w: Any) -> Distribution:
        """The distribution that attains :meth:`volatility`: scenarios stretched about their mean.

        Where w'R has no variance under P̂, half of the mass moves each way.
        """
        self._require_order_2()
        x, center = by_label(w, self.labels, "weights"), self.center
        against = self._ground.against(x)
        deviation = (center.R - center.p @ center.R) @ x
        sigma = float(np.sqrt(center.p @ deviation**2))
        if sigma > 0.0:
            moved = center.R - self.radius * np.outer(deviation / sigma, against)
            return Distribution(pd.DataFrame(moved, center.index, index_of(self.labels)), center.p)
        lengths = self.radius * np.array([-1.0, 1.0])
        return _moved(center, np.array([0.5 * center.p] * 2), lengths, against)

    @cached_property
    def _root(self) -> FloatArray:
        """Of the covariance under P̂, with at most n rows."""
        center = self.center
        rows = np.sqrt(center.p)[:, None] * (center.R - center.p @ center.R)
        return np.asarray(np.linalg.qr(rows, mode="r")) if len(rows) > rows.shape[1] else rows

    def _require_order_2(self) -> None:
        if self.order != 2 or self._supported is not None:
            raise ModelError(
                f"the worst variance under {self!r} has no closed form; use order=2 and no support"
            )

    # --- members --------------------------------------------------------------------------------

    def contains(self, element: Any, tolerance: float = 1e-9) -> bool:
        """Whether a :class:`Distribution` is within ε of P̂, and in the support."""
        if self._supported is not None and not self._supported.holds(element.R, tolerance):
            return False
        return self.distance(element) <= self.radius + tolerance

    def sample(self, rng: np.random.Generator, size: int) -> list[Distribution]:
        """Members: scenarios moved at random, some far and some not at all, all at a cost ≤ ε."""
        center, members = self.center, []
        count = sample_size(rng, size)
        for reach in rng.uniform(size=count):
            d = rng.standard_normal(center.R.shape) * rng.exponential(size=(len(center.p), 1)) ** 3
            if isinstance(self.norm, (int, float)) and rng.uniform() < 0.5:
                d = np.sign(d[:, :1]) * np.abs(d) * (d == d.max(axis=1, keepdims=True))
            if self._supported is not None:
                others = center.R[rng.integers(len(center.p), size=len(center.p))]
                d = rng.uniform(size=(len(center.p), 1)) ** 4 * (others - center.R)
            lengths = self._ground.length(d)
            cost = float(lengths.max())
            if not np.isinf(self.order):
                cost = float(center.p @ lengths**self.order) ** (1.0 / self.order)
            scale = reach * self.radius / (cost or 1.0)
            if self._supported is not None:  # towards another scenario, not beyond it
                scale = min(scale, 1.0)
            members.append(Distribution(center.scenarios + scale * d, center.p))
        return members


def _moved(
    center: Distribution, masses: FloatArray, lengths: FloatArray, direction: FloatArray
) -> Distribution:
    """Each scenario in as many parts as there are masses, each part moved by its length."""
    scenarios, probabilities = [], []
    for mass, length in zip(masses, lengths, strict=True):
        held = mass > 1e-15
        scenarios.append(center.scenarios[held] + length * direction)
        probabilities.append(mass[held])
    return Distribution(pd.concat(scenarios), np.concatenate(probabilities))
