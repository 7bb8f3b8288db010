"""Markowitz's problem with costs under a factor covariance, by Newton's method on its dual."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.data import Covariance, FactorCovariance, ResolvedWeightSet
from rrp_pyomo.errors import SolverError
from rrp_pyomo.linalg import FloatArray, LinearMap
from rrp_pyomo.models.trading import Trading

# How far apart exposures and their multipliers may be at the end, relative to their size and to
# that of the terms that they are sums of; and where rounding is all that is left.
_ASKED, _ROUNDING, _ACCEPTED = 1e-11, 1e-15, 1e-8
_MOST_STEPS, _MOST_HALVINGS = 100, 30
# Of the growth that a slope promises, what a step is to bring; slopes that promise no more than
# this part of the terms of the objective are close to rounding.
_ENOUGH, _CLOSE = 1e-4, 1e-12


class Response(NamedTuple):
    """The best weights for given multipliers, and which of them move with these."""

    x: FloatArray
    moving: NDArray[np.bool_]


class Terms(NamedTuple):
    """How large the terms are that exposures and values are the sums of."""

    exposure: float
    value: float


class Kinks(NamedTuple):
    """Prices at which weights bend, the changes of their slopes there, and the slope before all."""

    asset: NDArray[np.intp]
    price: FloatArray
    change: FloatArray
    before: float


@dataclass(frozen=True, eq=False)
class SeparableProgram:
    """A quadratic program that is separable but for a few factors, and for 1'x = 1.

        minimise  ½‖Ux‖² + Σ_i [ ½ d_i x_i² − g_i x_i + c_i |x_i − p_i| ]
        subject to  lower ≤ x ≤ upper,   1'x = 1 if ``invested``

    With y = Ux and multipliers u of it, ν of the sum, every weight is a function of the price
    s_i = g_i − (U'u)_i − ν alone, x_i(s) = min(max(p_i + soft(s − d_i p_i, c_i)/d_i, l_i), h_i).
    For each u, ν is where the weights, piecewise linear in it, sum to 1. What is left is concave
    in the m multipliers u, with the gradient r = Ux − u, piecewise linear too; Newton's method
    ends after finitely many steps of O(n m²). All of its points x are feasible, and

        objective(x) − optimum ≤ ½‖r‖².

    Parameters
    ----------
    U : (m, n) array
    d : (n,) array
        Positive.
    g, c, p : (n,) arrays
        c ≥ 0.
    lower, upper : (n,) arrays
        Infinite where there is no bound.
    invested : bool

    References
    ----------
    Best & Hlouskova (2005), An algorithm for portfolio optimization with transaction costs; Qi &
    Sun (1993), A nonsmooth version of Newton's method.
    """

    U: FloatArray
    d: FloatArray
    g: FloatArray
    c: FloatArray
    p: FloatArray
    lower: FloatArray
    upper: FloatArray
    invested: bool

    def solve(self, near: FloatArray) -> FloatArray:
        """The weights, from others that are taken to be near them.

        Raises
        ------
        SolverError
            Newton's method stopped before the end, at a gap that is said.
        """
        u = self.U @ near
        response = self.response(u)
        for _ in range(_MOST_STEPS):
            x, r = response.x, self.U @ response.x - u
            size, terms = float(np.linalg.norm(r)), self._terms(x)
            if size <= max(_ASKED * float(np.linalg.norm(u)), _ROUNDING * terms.exposure):
                return x
            step = np.linalg.solve(self._hessian(response.moving), r)
            value, slope = self._value(x, r), float(r @ step)
            # Close to the end values differ by rounding only, and residuals tell more.
            close = slope <= _CLOSE * terms.value
            for halving in range(_MOST_HALVINGS):
                length = 0.5**halving
                ahead = u + length * step
                response = self.response(ahead)
                left = self.U @ response.x - ahead
                if close and float(np.linalg.norm(left)) <= 0.5 * size:
                    break
                if self._value(response.x, left) >= value + _ENOUGH * length * slope:
                    break
            else:
                break
            u = ahead
        if size <= _ACCEPTED * float(np.linalg.norm(u)):
            return x
        raise SolverError(
            f"Newton's method ended {0.5 * size**2:.3g} from the optimum of a separable program; "
            "expected rounding: leave it to Clarabel"
        )

    def response(self, u: FloatArray) -> Response:
        """x(s) for s = g − U'u − ν, with ν such that the weights sum to 1."""
        s = self.g - u @ self.U
        if self.invested:
            s = s + self._level(s)
        return self._at(s)

    def objective(self, x: FloatArray) -> float:
        """What is minimised."""
        exposure = self.U @ x
        return float(0.5 * exposure @ exposure) + self._own(x)

    def _own(self, x: FloatArray) -> float:
        """The separable part."""
        return float((0.5 * self.d * x - self.g) @ x + self.c @ np.abs(x - self.p))

    def _terms(self, x: FloatArray) -> Terms:
        exposure = float(np.linalg.norm(np.abs(self.U) @ np.abs(x)))
        return Terms(exposure, exposure**2 + float(np.abs(self.g) @ np.abs(x)))

    def _value(self, x: FloatArray, r: FloatArray) -> float:
        """The dual objective at u = Ux − r."""
        return self.objective(x) - 0.5 * float(r @ r)

    def _at(self, s: FloatArray) -> Response:
        pull = s - self.d * self.p
        beyond = np.abs(pull) - self.c
        wanted = self.p + np.where(beyond > 0.0, np.copysign(beyond, pull), 0.0) / self.d
        x = np.minimum(np.maximum(wanted, self.lower), self.upper)
        return Response(x, (beyond > 0.0) & (self.lower < wanted) & (wanted < self.upper))

    def _hessian(self, moving: NDArray[np.bool_]) -> FloatArray:
        """I + U(W − W11'W / 1'W1)U', W the inverse of d over the weights that move."""
        at = np.flatnonzero(moving)
        U = self.U[:, at]
        scaled = U / self.d[at]
        H: FloatArray = np.eye(len(U)) + scaled @ U.T
        if self.invested and at.size:
            along = scaled.sum(axis=1)
            H -= np.outer(along, along) / float((1.0 / self.d[at]).sum())
        return H

    def _level(self, s: FloatArray) -> float:
        """τ with Σ x_i(s_i + τ) = 1: the sum is piecewise linear and grows."""
        kinks = self._kinks
        place = kinks.price - s[kinks.asset]
        order = np.argsort(place)
        place, slopes = place[order], kinks.before + np.cumsum(kinks.change[order])
        start = float(place[0]) if place.size else 0.0
        first = float(self._at(s + start).x.sum())
        sums = first + np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(place))])
        k = int(np.searchsorted(sums, 1.0)) if place.size else 0
        if k == 0:
            slope, tau = kinks.before, start
        else:
            slope, tau = float(slopes[k - 1]), float(place[k - 1])
        if slope <= 0.0:
            return tau
        # Anew from the near end of the piece, because sums of many pieces have errors.
        return tau + (1.0 - float(self._at(s + tau).x.sum())) / slope

    @cached_property
    def _kinks(self) -> Kinks:
        """Where the functions x_i bend, and how: none at infinite bounds."""
        d, c, p, rate = self.d, self.c, self.p, 1.0 / self.d
        low, high = self.lower, self.upper
        inside = (low < p) & (p < high) & (c > 0.0)
        assets = np.arange(d.size)
        parts = [
            (assets, d * low + np.where(low < p, -c, c), rate),
            (assets[inside], (d * p - c)[inside], -rate[inside]),
            (assets[inside], (d * p + c)[inside], rate[inside]),
            (assets, d * high + np.where(high > p, c, -c), -rate),
        ]
        asset, price, change = (np.concatenate(part) for part in zip(*parts, strict=True))
        finite = np.isfinite(price)
        before = float(rate[np.isneginf(low)].sum())
        return Kinks(asset[finite], price[finite], change[finite], before)


def markowitz(
    mean: FloatArray | None,
    covariance: Covariance,
    risk_aversion: float,
    trading: Trading,
    X: ResolvedWeightSet,
    ridge: float = 0.0,
) -> SeparableProgram | None:
    """Markowitz's problem with costs as a separable program; None where it is none.

    It is one under a factor covariance all of whose residuals have a variance, for weights that
    have nothing but bounds and 1'x = 1, and without a limit on trading.
    """
    plain = X.matrix is None and X.gross is None
    untied = trading.turnover is None and trading.largest == 0.0
    if not (plain and untied and isinstance(covariance, FactorCovariance)):
        return None
    d = risk_aversion * covariance.D + 2.0 * ridge
    if not (d > 0.0).all():
        return None
    systematic = covariance.root.parts[0]
    assert isinstance(systematic, LinearMap)
    (factor,) = systematic.factors
    return SeparableProgram(
        np.sqrt(risk_aversion) * (factor.left @ factor.right), d,
        np.zeros(d.size) if mean is None else mean,
        trading.costs, trading.previous, X.lower, X.upper, X.fully_invested,
    )  # fmt: skip
