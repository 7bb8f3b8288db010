"""Typical wrong answers to the exercises of lesson 12."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo


def drifted(e):
    grown = e["before"] * (1 + e["returns"])
    return grown / grown.sum()


def influences(e):
    z = (e["returns"] - e["returns"].mean()) / e["returns"].std()
    return z - e["returns"].mean() / e["returns"].std() / 2 * (z**2 - 1)


def without_deviations(e):
    z = e["returns"] / e["returns"].std()
    return z.diff(axis=1)["equal"].std() / np.sqrt(len(z))


def plans(*, half=0.5, first=True, cost=1.0, invested=True, sense=pyo.maximize):
    """A model of 12.4 with something forgotten."""

    def build(mean, covariance, aversion, price, held):
        m, H, A = pyo.ConcreteModel(), list(mean.index), list(mean.columns)
        m.w, m.u = pyo.Var(H, A, bounds=(0, 1)), pyo.Var(H, A, bounds=(0, None))
        S, gain, m.rows = covariance.matrix().to_numpy(), 0, pyo.ConstraintList()
        for k, h in enumerate(H):
            x = np.array([m.w[h, a] for a in A])
            gain += mean.loc[h].to_numpy() @ x - half * aversion * (x @ S @ x)
            gain -= cost * price * sum(m.u[h, a] for a in A)
            if invested:
                m.rows.add(sum(x) == 1)
            for a in A:
                before = m.w[H[k - 1], a] if k else held[a]
                if k or first:
                    m.rows.add(m.u[h, a] >= m.w[h, a] - before)
                    m.rows.add(m.u[h, a] >= before - m.w[h, a])
        m.goal = pyo.Objective(expr=gain, sense=sense)
        return m

    return build


def of_five_years(mean, covariance, aversion, price, held):
    """The risk aversion and the weights of the exercise, whatever is given."""
    return plans()(mean, covariance, 5.0, price, dict.fromkeys(mean.columns, 1 / len(held)))


def assets_first(mean, covariance, aversion, price, held):
    m = pyo.ConcreteModel()
    m.w = pyo.Var(list(mean.columns), list(mean.index), bounds=(0, 1))
    m.goal = pyo.Objective(expr=sum(m.w.values()))
    return m


def best(e):
    return e["mean"] / (e["risk_aversion"] * e["volatility"] ** 2)


def of_one_period(e):
    return best(e) - e["cost"] / (e["risk_aversion"] * e["volatility"] ** 2)


WRONG = [
    ("12.1", best, "without costs"),
    ("12.1", lambda e: 2 * best(e) - 0.466667, "stop below"),
    ("12.1", of_one_period, "paid once"),
    ("12.1", lambda e: e["held"], "not trading"),
    ("12.2", lambda e: (e["target"] - drifted(e)).abs().sum(), "multiply by the cost"),
    ("12.2", lambda e: e["cost"] * (e["target"] - e["before"]).abs().sum(), "have drifted"),
    ("12.2", lambda e: e["cost"] / 2 * (e["target"] - drifted(e)).abs().sum(), "sales"),
    ("12.3", lambda e: np.sqrt(influences(e).var().sum() / 240), "never apart"),
    ("12.3", lambda e: influences(e).diff(axis=1)["equal"].std(), "√T"),
    ("12.3", without_deviations, "errors of the standard deviations"),
    ("12.3", lambda e: np.sqrt(1 / 240), "one Sharpe ratio"),
    ("12.3", lambda e: np.sqrt(12) * influences(e).diff(axis=1)["equal"].std() / 240**0.5, "√12"),
    ("12.4", lambda e: plans(cost=0.0), "without costs"),
    ("12.4", lambda e: plans(half=1.0), "without the ½"),
    ("12.4", lambda e: plans(cost=0.5), "half the costs"),
    ("12.4", lambda e: of_five_years, "not on others"),
    ("12.4", lambda e: lambda *data: plans()(*e.data.values()), "not on others"),
    ("12.4", lambda e: plans(first=False), "first trade is free"),
    ("12.4", lambda e: plans(invested=False), "sum to"),
    ("12.4", lambda e: plans(sense=pyo.minimize), "no solution"),
    ("12.4", lambda e: plans()(*e.data.values()), "the function"),
    ("12.4", lambda e: assets_first, "the row of `mean` comes first"),
    ("12.5", lambda e: (e["p_values"] <= 0.05).sum(), "without allowing"),
    ("12.5", lambda e: (e["p_values"] <= 0.05 / 20).sum(), "Bonferroni"),
    ("12.5", lambda e: 7, "Benjamini"),
    ("12.5", lambda e: 6, "Hochberg's"),
    ("12.5", lambda e: 5, "stops at the first"),
]
