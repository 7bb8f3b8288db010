"""Answers to the exercises of lesson 8, by hand: closed forms, and roots of one equation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from rrp_pyomo.linalg import FloatArray


def with_budget(mu: FloatArray, S: FloatArray, aversion: float) -> FloatArray:
    """Markowitz with 1'w = 1: Σ⁻¹(μ − ν1)/λ."""
    ones = np.ones(len(mu))
    a, b = np.linalg.solve(S, mu), np.linalg.solve(S, ones)
    return np.asarray((a - (a.sum() - aversion) / b.sum() * b) / aversion)


def best_of_two(utility: Callable[[FloatArray], float]) -> FloatArray:
    """The best weights (a, 1 − a)."""
    found = minimize_scalar(
        lambda a: -utility(np.array([a, 1 - a])), bounds=(-5, 5), options={"xatol": 1e-10}
    )
    return np.array([found.x, 1 - found.x])


def best_in_ball(mu: FloatArray, S: FloatArray, aversion: float, delta: float) -> FloatArray:
    """(λΣ + (δ/ρ)I)⁻¹μ̂ with ρ its own length; 0 where ‖μ̂‖ ≤ δ."""
    if np.linalg.norm(mu) <= delta:
        return np.zeros(len(mu))
    values, vectors = np.linalg.eigh(S)
    along = vectors.T @ mu
    most = float(np.linalg.norm(np.linalg.solve(S, mu))) / aversion

    def excess(rho: float) -> float:
        return float(((along / (aversion * rho * values + delta)) ** 2).sum() - 1)

    rho = brentq(excess, 0.0, 2 * most, xtol=1e-15)
    return np.asarray(vectors @ (along * rho / (aversion * rho * values + delta)))


def charge_of_both(a: FloatArray, delta: float, width: float) -> tuple[float, FloatArray]:
    """The largest a'd over 0 ≤ d ≤ width, ‖d‖₂ ≤ δ: d = min(width, θa), ‖d‖ = δ."""
    if width * np.sqrt(len(a)) <= delta:
        return float(width * a.sum()), np.full(len(a), width)

    def excess(theta: float) -> float:
        return float(np.linalg.norm(np.minimum(width, theta * a)) - delta)

    theta = brentq(excess, 0.0, 1e3 * width / a.min(), xtol=1e-15)
    d = np.minimum(width, theta * a)
    return float(a @ d), d


def other_way_round(S: FloatArray) -> FloatArray:
    """L'L for Σ = LL'."""
    L = np.linalg.cholesky(S)
    return np.asarray(L.T @ L)
