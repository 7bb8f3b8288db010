"""Typical wrong answers to the exercises of lesson 11."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from rrp_pyomo import MeanVariance, RiskParitySOCP
from rrp_pyomo.data import DenseCovariance


def centre(e, factor):
    """The minimiser for another multiple of the risk than t/2."""
    S, n = e["covariance"].to_numpy(), len(e["covariance"])

    def f(x):
        return factor * x @ S @ x - np.log(x).sum(), 2 * factor * S @ x - 1 / x

    one = {"type": "eq", "fun": lambda x: x.sum() - 1}
    bounds = [(1e-9, 1)] * n
    found = minimize(
        f, np.full(n, 1 / n), jac=True, bounds=bounds, constraints=one,
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    return found.x


def least(e):
    return MeanVariance(None, DenseCovariance(e["covariance"])).solve()


def marginal(e):
    return e["covariance"] @ e["weights"]


def of(e, *held, optimal=True):
    part = MeanVariance(None, e["covariance"].select(held)).solve().weights
    part = part if optimal else pd.Series(1 / len(held), held)
    return part.reindex(e["covariance"].labels).fillna(0.0)


def largest(e):
    return MeanVariance(None, e["covariance"]).solve().weights.nlargest(e["k"]).index


def cut(e):
    whole = MeanVariance(None, e["covariance"]).solve().weights
    kept = whole.where(whole.index.isin(largest(e)), 0.0)
    return kept / kept.sum()


def excess(e):
    return e["tolerance"] / (np.array([1, e["unit"]]) * e["cap"]) ** 2


WRONG = [
    ("11.1", lambda e: centre(e, e["t"]), "without the ½"),
    ("11.1", lambda e: centre(e, 0.5 / e["t"]), "t multiplies"),
    ("11.1", lambda e: centre(e, e["t"] / 4), "at t = 10000, not at 20000"),
    ("11.1", least, "positive"),
    ("11.1", lambda e: RiskParitySOCP(DenseCovariance(e["covariance"])).solve(), "risk parity"),
    ("11.1", lambda e: [0.2] * 5, "equal weights"),
    ("11.2", lambda e: e["weights"] @ marginal(e), "from above"),
    ("11.2", lambda e: least(e).volatility ** 2, "another solve"),
    ("11.2", lambda e: marginal(e).min(), "2Σx"),
    ("11.2", lambda e: 2 * (e["weights"] @ marginal(e) - marginal(e).min()), "that is the gap"),
    ("11.2", lambda e: 2 * marginal(e).max() - e["weights"] @ marginal(e), "smallest"),
    ("11.3", excess, "take the root"),
    ("11.3", lambda e: np.sqrt(1 + excess(e)), "the whole"),
    ("11.3", lambda e: np.sqrt(excess(e)), "no sum of roots"),
    ("11.3", lambda e: excess(e) / 2, "first order"),
    ("11.3", lambda e: (np.sqrt(1 + excess(e)) - 1)[::-1], "interchanged"),
    ("11.3", lambda e: [np.sqrt(1 + excess(e)[0]) - 1] * 2, "unit² times"),
    ("11.3", lambda e: [0.118], "2 numbers"),
    ("11.4", lambda e: MeanVariance(None, e["covariance"]).solve(), "more than 2"),
    ("11.4", cut, "anew"),
    ("11.4", lambda e: of(e, *largest(e)), "need not be it"),
    ("11.4", lambda e: of(e, "NoDur", "Utils", optimal=False), "anew"),
]
