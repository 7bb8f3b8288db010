"""Typical wrong answers of lesson 3: exercise, answer, a piece of the hint."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize

from rrp_pyomo import DenseCovariance, Program, RiskParitySOCP, log, norm, solve_program

EQUAL = np.full(6, 1 / 6)


def contributions(e):
    return EQUAL * (e["covariance"].to_numpy() @ EQUAL)


def gap(e, power=0.5):
    return contributions(e).mean() ** power - contributions(e).min() ** power


def parity(e, budgets=None):
    return RiskParitySOCP(DenseCovariance(e["covariance"]), budgets).solve().weights


def minimiser(e, b):
    """Of the log form: weights over their volatility."""
    portfolio = RiskParitySOCP(DenseCovariance(e["covariance"]), b).solve("newton")
    return portfolio.weights / portfolio.volatility


def sigma(e):
    return pd.Series(np.diag(e["covariance"]) ** 0.5, e["covariance"].index)


def scaled(weights):
    return weights / weights.sum()


def spread(e, floor):
    program = Program("spread")
    x = program.variable("x", e["covariance"].index, lower=0)
    program.minimize(norm(np.linalg.cholesky(1e4 * e["covariance"]).T @ x))
    program.subject_to(invested=x.sum() == 1, spread=log(x).sum() >= floor)
    return solve_program(program).values["x"]


def as_spread(e):
    """A power of the weights of parity that is spread as asked."""
    x = parity(e)
    k = brentq(lambda k: np.log(scaled(x**k)).sum() - e["floor"], 1, 9)
    return scaled(x**k)


def stopped_early(e):
    """SLSQP, its tolerance absolute and the covariance in decimals of a month."""
    Sigma = e["covariance"].to_numpy()
    return minimize(
        lambda x: x @ Sigma @ x, EQUAL, bounds=[(1e-6, 1)] * 6,
        constraints=[
            {"type": "eq", "fun": lambda x: x.sum() - 1},
            {"type": "ineq", "fun": lambda x: np.log(x).sum() - e["floor"]},
        ],
    ).x  # fmt: skip


WRONG = [
    ("3.1", lambda e: gap(e, 1.0), "take the roots first"),
    ("3.1", lambda e: contributions(e).sum() ** 0.5 - contributions(e).min() ** 0.5, "root of n"),
    (
        "3.1",
        lambda e: contributions(e).max() ** 0.5 - contributions(e).min() ** 0.5,
        "p² is the mean",
    ),
    (
        "3.1",
        lambda e: contributions(e).mean() ** 0.5 - contributions(e).max() ** 0.5,
        "at most the smallest",
    ),
    (
        "3.1",
        lambda e: contributions(e).mean() ** 0.5 - np.exp(np.log(contributions(e)).mean() / 2),
        "geometric mean",
    ),
    ("3.1", lambda e: 0.0, "the value of risk parity"),
    ("3.1", lambda e: 100 * gap(e), "decimals are asked for"),
    ("3.1", lambda e: -gap(e), "the sign is wrong"),
    ("3.1", lambda e: gap(e) / contributions(e).mean() ** 0.5, "(p − t)/p"),
    ("3.2", parity, "contributions are equal"),
    ("3.2", lambda e: minimiser(e, e["budgets"]), "divide by their sum"),
    ("3.2", lambda e: 100 * parity(e, e["budgets"]), "they are per cent"),
    ("3.2", lambda e: e["budgets"], "it is risks that are budgeted"),
    ("3.2", lambda e: scaled(e["budgets"] / sigma(e)), "ignores correlations"),
    ("3.2", lambda e: scaled(e["budgets"] ** 0.5 / sigma(e)), "the start of Newton's method"),
    ("3.2", lambda e: parity(e, scaled(e["budgets"] ** 2)), "proportion to b²"),
    ("3.2", lambda e: EQUAL, "these are equal weights"),
    ("3.2", lambda e: parity(e, e["budgets"]).to_numpy()[::-1], "in another order"),
    ("3.2", lambda e: 0.9 * parity(e, e["budgets"]) + 0.1 / 6, "the contribution of"),
    ("3.2", lambda e: parity(e, e["budgets"]).round(3), "look rounded"),
    ("3.2", lambda e: -EQUAL, "is short"),
    ("3.3", lambda e: (0.0, 1.0), "on both sides of parity"),
    ("3.3", lambda e: (0.3, 0.9), "where the objective is convex"),
    ("3.3", lambda e: (0.0, 0.2), "too far apart"),
    ("3.3", lambda e: {"one": 0.8, "another": 1.0}, "where the objective is convex"),
    ("3.3", lambda e: (0.1, 0.1), "the two weights are the same"),
    ("3.3", lambda e: (0, 10), "per cent"),
    ("3.3", lambda e: 0.1, "should be 2 numbers; given: 1"),
    ("3.3", lambda e: ([0.1, 0.9], [0.2, 0.8]), "should be 2 numbers"),
    ("3.3", lambda e: (-0.5, 0.0), "between 0 and 1"),
    ("3.4", lambda e: 1 / e["total"], "of a month"),
    ("3.4", lambda e: 12 / e["total"], "grow by √12"),
    ("3.4", lambda e: e["total"], "the sum of y"),
    ("3.4", lambda e: 12**0.5 * e["total"], "divide by its sum"),
    ("3.4", lambda e: 12 / e["total"] ** 2, "variance of a year"),
    ("3.4", lambda e: 72**0.5 / e["total"], "not to n"),
    ("3.4", lambda e: 2**0.5 / e["total"], "all of them sum to 1"),
    ("3.4", lambda e: 100 * 12**0.5 / e["total"], "decimals are asked for"),
    ("3.5", parity, "this is risk parity"),
    ("3.5", lambda e: EQUAL, "these are equal weights"),
    ("3.5", lambda e: scaled(1 / sigma(e)), "ignore correlations"),
    ("3.5", lambda e: scaled(1 / sigma(e) ** 2), "proportional to 1/variance"),
    ("3.5", lambda e: spread(e, e["floor"] - 1), "less than"),
    ("3.5", lambda e: spread(e, e["floor"] + 0.5), "room left"),
    ("3.5", lambda e: [0.5, 0.3, 0.2, 0.0, 0.0, 0.0], "has weight 0"),
    ("3.5", lambda e: 100 * spread(e, e["floor"]), "per cent"),
    ("3.5", lambda e: spread(e, e["floor"]).to_numpy()[::-1], "in another order"),
    ("3.5", as_spread, "is not the least"),
    ("3.5", stopped_early, "Scale the data"),
]
