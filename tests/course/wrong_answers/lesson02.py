"""Typical wrong answers of lesson 2: exercise, answer, a piece of the hint."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rrp_pyomo import DenseCovariance, MeanVariance, RiskParitySOCP

EQUAL = np.full(6, 1 / 6)


def positions(e):
    """The x_iσ_i of 60/40, and their covariance."""
    y = (e["weights"] * e["volatilities"]).to_numpy()
    return y, e["correlation"] * y.prod()


def variance(e):
    y, cross = positions(e)
    return y @ y + 2 * cross


def scaled(weights):
    return weights / weights.sum()


def contributions(e, x=EQUAL):
    return x * (e["covariance"].to_numpy() @ x)


def sigma(e):
    return pd.Series(np.diag(e["covariance"]) ** 0.5, e["covariance"].index)


def inverse(e):
    return np.linalg.solve(e["covariance"], np.ones(6))


def parity(e):
    return RiskParitySOCP(DenseCovariance(e["covariance"])).solve().weights


def of_two(e, budgets):
    s, rho = e["volatilities"].to_numpy(), e["correlation"]
    covariance = DenseCovariance(np.outer(s, s) * [[1, rho], [rho, 1]])
    return RiskParitySOCP(covariance, np.asarray(budgets)).solve().weights.to_numpy()


def budgets_of_seven(e, energy, copy, others=None):
    labels = e["covariance"].index
    b = pd.Series((1 - energy - copy) / 5 if others is None else others, labels)
    b["Enrgy"], b["copy"] = energy, copy
    return b


def half_and_half(seven):
    six = RiskParitySOCP(DenseCovariance(seven.iloc[:6, :6])).solve().weights
    return six.reindex(seven.index, fill_value=six["Enrgy"]).mul(
        [0.5 if name in ("Enrgy", "copy") else 1.0 for name in seven]
    )


WRONG = [
    ("2.1", lambda e: 0.6, "the weight of stocks"),
    ("2.1", lambda e: 0.09 / 0.11, "with the covariance"),
    ("2.1", lambda e: positions(e)[0][0] ** 2 / (positions(e)[0] ** 2).sum(), "not correlated"),
    ("2.1", lambda e: positions(e)[0][0] ** 2 / variance(e), "covariance with bonds is missing"),
    (
        "2.1",
        lambda e: (positions(e)[0][0] ** 2 + 2 * positions(e)[1]) / variance(e),
        "counts twice for stocks",
    ),
    ("2.1", lambda e: positions(e)[0][0] ** 2 + positions(e)[1], "divide it by the variance"),
    (
        "2.1",
        lambda e: 100 * (positions(e)[0][0] ** 2 + positions(e)[1]) / variance(e),
        "decimals are asked for",
    ),
    ("2.1", lambda e: 1 - (positions(e)[0][0] ** 2 + positions(e)[1]) / variance(e), "of bonds"),
    ("2.2", lambda e: e["budgets"], "not wealth"),
    ("2.2", lambda e: scaled(1 / e["volatilities"]), "weights of parity"),
    ("2.2", lambda e: scaled(e["budgets"] / e["volatilities"]), "contributions are quadratic"),
    ("2.2", lambda e: scaled(e["budgets"] ** 0.5 / e["volatilities"]), "solve u²"),
    ("2.2", lambda e: [0.5, 0.5], "these are equal weights"),
    ("2.2", lambda e: [20, 80], "they are per cent"),
    ("2.2", lambda e: 30 * of_two(e, e["budgets"]), "divide by their sum"),
    ("2.2", lambda e: [0.2, 0.7], "sum to 0.9"),
    ("2.2", lambda e: [-0.2, 1.2], "'stocks' is short"),
    ("2.2", lambda e: [0.3, 0.7], "the contribution of 'bonds' is"),
    ("2.2", lambda e: of_two(e, e["budgets"][::-1]), "are interchanged"),
    ("2.2", lambda e: np.array([5e-5, -5e-5]) + of_two(e, e["budgets"]), "of the variance, not"),
    ("2.3", lambda e: EQUAL, "these are the weights"),
    ("2.3", lambda e: contributions(e), "divide them by it"),
    ("2.3", lambda e: contributions(e) / contributions(e).sum() ** 0.5, "sum to the volatility"),
    ("2.3", lambda e: e["covariance"] @ EQUAL, "multiply each by its weight"),
    ("2.3", lambda e: scaled(sigma(e)), "proportions of the volatilities"),
    ("2.3", lambda e: scaled(sigma(e) ** 2), "proportions of the variances"),
    ("2.3", lambda e: 100 * contributions(e) / contributions(e).sum(), "decimals are asked for"),
    ("2.3", lambda e: contributions(e)[::-1] / contributions(e).sum(), "another order"),
    ("2.3", lambda e: contributions(e)[:5], "should be 6 numbers; given: 5"),
    ("2.4", lambda e: EQUAL, "these are equal weights"),
    ("2.4", lambda e: scaled(1 / sigma(e) ** 2), "proportional to 1/variance"),
    ("2.4", lambda e: scaled(1 / sigma(e)), "ignore correlations"),
    ("2.4", lambda e: inverse(e), "equal, but weights sum to"),
    ("2.4", parity, "this is risk parity"),
    (
        "2.4",
        lambda e: MeanVariance(None, DenseCovariance(e["covariance"])).solve(),
        "short positions are allowed",
    ),
    ("2.4", lambda e: scaled(inverse(e))[::-1], "in another order"),
    ("2.4", lambda e: scaled(inverse(e)).round(3), "with all its digits"),
    ("2.4", lambda e: [0, 0, 0, 0, 0, 1], "still lowers the variance"),
    ("2.4", lambda e: [0.5, 0.1, 0.0, 0.0, 0.2, 0.2], "still lowers the variance"),
    ("2.4", lambda e: 100 * scaled(inverse(e)), "per cent, not decimals"),
    ("2.4", lambda e: dict.fromkeys(e["covariance"], 0.0), "sum to 0"),
    ("2.5", lambda e: np.full(7, 1 / 7), "two of seven shares"),
    ("2.5", lambda e: budgets_of_seven(e, 1 / 6, 1 / 6, 1 / 6), "sum to 1.167"),
    ("2.5", lambda e: budgets_of_seven(e, 1 / 6, 0.0), "budgets are positive"),
    ("2.5", lambda e: budgets_of_seven(e, 1 / 14, 1 / 14), "energy then has"),
    ("2.5", lambda e: 100 * budgets_of_seven(e, 1 / 12, 1 / 12), "they are per cent"),
    ("2.5", lambda e: budgets_of_seven(e, 0.1, 0.1), "its two budgets sum to 0.2"),
    ("2.5", lambda e: parity(e), "equal, as in parity of the six"),
    ("2.5", lambda e: half_and_half(e["covariance"]), "these are the weights"),
    ("2.5", lambda e: EQUAL, "should be 7 numbers; given: 6"),
]
