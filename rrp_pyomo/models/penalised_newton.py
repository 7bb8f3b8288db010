"""Newton's method on (12) where all of its contributions are equal: fast, and proven optimal."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from rrp_pyomo.data import CovarianceUncertainty, FactorCovariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.errors import SolverError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.newton_systems import shifted_inverse

# What contributions may differ by, and the duality gap relative to p, of an answer that stands.
_EQUAL, _GAP = 1e-9, 1e-9
# Down to where iterations go on, what they may need, and how often a step is halved.
_TARGET, _MOST_STEPS, _MOST_HALVINGS = 1e-12, 15, 3
# How far towards the edge of x > 0 a step may go.
_INSIDE = 0.9


class Proven(NamedTuple):
    """A portfolio of (12), and what proves it.

    Attributes
    ----------
    weights : (n,) array
    gap : float
        By how much p − t is above the least value that multipliers allow, in volatility.
    """

    weights: FloatArray
    gap: float


class PenalisedNewton:
    """Problem (12) for long-only, fully invested weights, for one ω after the other.

    With z = Σ⁰x − Ω‖Σ^Δ x‖/√n as large as (12b) and (12c) let it, (12) minimises p − t subject to
    h_i(x) = √(x_i z_i / n b_i) ≥ t, where p and all h_i are homogeneous in x. Where the optimum has
    all h_i = t, as it has unless ω is near its limit, it is a multiple of the solution of

        x_i ((Σ⁰x)_i − c‖Σ^Δ x‖) = b_i,   c = Ω/√n,

    which Newton's method finds from the risk parity portfolio in a few steps. The Jacobian of these
    equations over x, Σ⁰ + diag(b/x²) − c 1g' with g the gradient of ‖Σ^Δ x‖, is that of the nominal
    problem and a rank-one matrix: a step costs O(n m²) where Σ⁰ has m factors.

    Its transpose gives the multipliers λ of h(x) ≥ t. Where they are not negative, the portfolio is
    optimal: with Σλ_i = 1, p − t is at least min_i v_i, v = ∇p − Σ λ_i ∇h_i, for all weights.

    Parameters
    ----------
    uncertainty : CovarianceUncertainty
    budgets : (n,) array
        Positive, summing to 1.
    start : (n,) array, optional
        The weights of risk parity under Σ⁰, where they are known.

    References
    ----------
    Costa & Kwon (2020), equation (12).
    """

    def __init__(
        self,
        uncertainty: CovarianceUncertainty,
        budgets: FloatArray,
        start: FloatArray | None = None,
    ) -> None:
        self._uncertainty = uncertainty
        self._budgets = budgets
        self._given = start
        self._solve = shifted_inverse(uncertainty.nominal)

    def __reduce__(self) -> tuple[Any, ...]:
        # What was computed can be computed again.
        return type(self), (self._uncertainty, self._budgets, self._given)

    @cached_property
    def _start(self) -> FloatArray:
        """The risk parity portfolio under Σ⁰, of variance 1."""
        nominal = self._uncertainty.nominal
        x = newton(nominal, self._budgets).weights if self._given is None else self._given
        start: FloatArray = x / np.sqrt(x @ (nominal.operator @ x))
        return start

    @cached_property
    def _norm_map(self) -> FloatArray:
        return multiplied_out(self._uncertainty.perturbation.norm_map)

    def proven(self, Omega: float) -> Proven | None:
        """The portfolio of (12), which sums to 1; None where this method does not find it.

        Parameters
        ----------
        Omega : float
            Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F.
        """
        c = Omega / np.sqrt(self._budgets.size)
        with np.errstate(all="ignore"):  # what is not a number does not stand
            try:
                x = self._equalised(c)
            except (SolverError, np.linalg.LinAlgError):
                return None
            if x is None:
                return None
            p, gap = self._gap(x, c)
            return Proven(x / x.sum(), gap / x.sum()) if gap <= _GAP * p else None

    def _equalised(self, c: float) -> FloatArray | None:
        """x with x_i z_i = b_i, z = Σ⁰x − c‖Σ^Δ x‖."""
        b, ones = self._budgets, np.ones_like(self._budgets)
        x = self._start
        off, gradient = self._missed(x, c)
        missed = float(np.abs(off / b).max())
        for _ in range(_MOST_STEPS):
            if missed <= _TARGET:
                break
            along, across = self._solve(b / x**2, np.array([off / x, ones]).T).T
            along += across * (c * (gradient @ along) / (1.0 - c * (gradient @ across)))
            length = min(1.0, _INSIDE / max((along / x).max(), _INSIDE))
            for _ in range(1 + _MOST_HALVINGS):
                candidate = x - length * along
                found, slope = self._missed(candidate, c)
                now = float(np.abs(found / b).max())
                if now < missed:
                    break
                length *= 0.5
            else:
                break
            x, off, gradient, missed = candidate, found, slope, now
        return x if missed <= _EQUAL else None

    def _missed(self, x: FloatArray, c: float) -> tuple[FloatArray, FloatArray]:
        """x_i z_i − b_i, and the gradient of ‖Σ^Δ x‖."""
        size, gradient = self._perturbation(x)
        z = self._times(x) - c * size
        return x * z - self._budgets, gradient

    def _times(self, x: FloatArray) -> FloatArray:
        """Σ⁰x; a few small products, where a linear map takes longer to look at its parts."""
        nominal = self._uncertainty.nominal
        if not isinstance(nominal, FactorCovariance):
            product: FloatArray = nominal.operator @ x
            return product
        return (nominal.F @ (nominal.V @ x)) @ nominal.V + nominal.D * x

    def _perturbation(self, x: FloatArray) -> tuple[float, FloatArray]:
        """‖Σ^Δ x‖ and its gradient."""
        image = self._norm_map @ x
        size = float(np.sqrt(image @ image))
        gradient: FloatArray = (image @ self._norm_map) / (size or 1.0)
        return size, gradient

    def _gap(self, x: FloatArray, c: float) -> tuple[float, float]:
        """p, and how much more p − t is than the multipliers prove that it must be.

        With x of the length that x_i z_i = b_i has, t = 1/√n, and
        ∇h_i = (z_i e_i + x_i (Σ⁰e_i − c g)) / (2√n b_i).
        """
        b, root = self._budgets, np.sqrt(x.size)
        size, gradient = self._perturbation(x)
        z = self._times(x) - c * size
        t = np.sqrt((x * z / b).min()) / root
        worst = self._uncertainty.worst_case.operator @ x
        volatility = np.sqrt(x @ worst)
        p, slope = volatility / root, worst / (volatility * root)
        least = (p - t) / x.sum()
        right = np.array([2.0 * root * (slope - least), gradient])
        direct, shared = self._solve(z / x, right.T).T
        multipliers = b / x * (direct + shared * (c * direct.sum() / (1.0 - c * shared.sum())))
        multipliers = np.maximum(multipliers, 0.0)
        multipliers /= multipliers.sum()
        mu = x * multipliers / b
        v = slope - (z / x * mu + self._times(mu) - c * mu.sum() * gradient) / (2.0 * root)
        return float(p), float(p - t - v.min() * x.sum())
