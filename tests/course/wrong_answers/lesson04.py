"""Typical wrong answers of lesson 4: exercise, answer, a piece of the hint."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rrp_pyomo import RiskBudgeting, RiskParitySOCP, WeightSet, parity_orthants

TWELFTH = np.full(12, 1 / 12)


def slope(e, factor=0.5, sold=2.0, falls=1.0):
    S, x = e["covariance"].to_numpy(), e["trap"].to_numpy()
    R = x[:2] * (S @ x)[:2]
    return factor * (falls * max(x[:2] * S[:2, 2] - sold * R) - S[2] @ x)


def shares(e):
    S = e["covariance"].matrix().to_numpy()
    return 12 * TWELFTH * (S @ TWELFTH) / (TWELFTH @ S @ TWELFTH)


def book(e, rank, sign=1):
    return sign * parity_orthants(e["covariance"]).weights.iloc[rank]


def sold_short(e):
    signs = pd.Series([1, 1, 1, -1, -1], e["covariance"].labels)
    return RiskBudgeting(e["covariance"], weight_set=WeightSet(signs=signs, gross=1.0)).solve()


WRONG = [
    ("4.1", lambda e: slope(e, factor=1.0), "half of it"),
    ("4.1", lambda e: -slope(e), "the sign"),
    ("4.1", lambda e: e["trap"]["A"] * (e["covariance"] @ e["trap"]).iloc[0] / 2, "ζ itself"),
    ("4.1", lambda e: slope(e, falls=0.0), "R_H's part alone"),
    ("4.1", lambda e: slope(e, sold=0.0), "(1 − h)²"),
    ("4.1", lambda e: slope(e, sold=3.0), "too small"),
    ("4.2", lambda e: np.prod(shares(e)) ** (1 / 12), "what is left"),
    ("4.2", lambda e: 1 - np.prod(shares(e) / 12) ** (1 / 12), "divided by its budget"),
    ("4.2", lambda e: 100 * (1 - np.prod(shares(e)) ** (1 / 12)), "a hundred times too large"),
    ("4.2", lambda e: abs(shares(e) - 1).max() / 12, "residual"),
    ("4.2", lambda e: 1 - np.prod(shares(e)), "a geometric mean"),
    ("4.2", lambda e: 1 - shares(e).min(), "all twelve"),
    ("4.2", lambda e: 0.5, "relative contributions"),
    ("4.2", lambda e: 1 - shares(e).mean(), "arithmetic"),
    ("4.3", lambda e: [1 / 3, 1 / 3, 1 / 3], "where H is not held"),
    ("4.3", lambda e: [0.5, 0.5, 0.0], "at least 0.01"),
    ("4.3", lambda e: [0.5, 0.5, 0.02], "sum to 1.02"),
    ("4.3", lambda e: [0.98, 0.01, 0.01], "A and B are alike"),
    ("4.4", lambda e: [*TWELFTH, 0.0], "as in the trap"),
    (
        "4.4",
        lambda e: RiskParitySOCP(e["covariance"]).solve("newton").weights.round(5),
        "look rounded",
    ),
    ("4.4", lambda e: 1 / e["covariance"].volatilities(), "1/volatility"),
    ("4.4", lambda e: 2 * RiskParitySOCP(e["covariance"]).solve("newton").weights, "sum to 2"),
    ("4.4", lambda e: np.zeros(13), "no risk"),
    ("4.5", lambda e: book(e, 1), "a calmer one"),
    ("4.5", lambda e: book(e, 0), "short in 2"),
    ("4.5", lambda e: book(e, 0, -1) / book(e, 0, -1).sum(), "gross and net differ"),
    ("4.5", lambda e: [0.2, 0.2, 0.2, -0.2, -0.2], "no risk parity"),
    ("4.5", sold_short, "not in 3"),
    ("4.5", lambda e: np.zeros(5), "no risk"),
]
