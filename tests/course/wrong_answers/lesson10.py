"""Typical wrong answers to the exercises of lesson 10."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest

from rrp_pyomo import MeanVariance, RiskBudgeting, RiskParitySOCP, WeightSet
from rrp_pyomo.errors import RiskParityWarning


def contributions(e):
    return e["weights"] * (e["covariance"] @ e["weights"])


def smallest_share(e):
    X = WeightSet(upper=e["caps"].to_dict())
    with pytest.warns(RiskParityWarning, match="smallest of them only"):
        return RiskParitySOCP(e["covariance"], weight_set=X).solve()


def scaled(e, *, alone):
    """Parity's weights, or those of the others alone, beside the caps."""
    caps, C = e["caps"], e["covariance"]
    others = [a for a in C.labels if a not in caps.index]
    part = RiskParitySOCP(C.select(others) if alone else C).solve("newton").weights[others]
    return pd.concat([(1 - caps.sum()) * part / part.sum(), caps])


def too_tight(e):
    X = WeightSet(upper=(e["caps"] - 0.01).to_dict())
    return RiskBudgeting(e["covariance"], weight_set=X).solve()


def least_gap(e):
    m = pyo.ConcreteModel()
    m.w = pyo.Var(list(e["covariance"].labels), bounds=(0, 1))
    m.rp = RiskBudgeting(e["covariance"]).block(weights=m.w, objective=True)
    m.cap = pyo.Constraint(list(e["caps"].index), rule=lambda m, a: m.w[a] <= e["caps"][a])
    pyo.SolverFactory("clarabel").solve(m)
    return m.w.extract_values()


def sleeves(*, parity=True, own=True, ceiling=True, invested=True, sense=pyo.maximize):
    """A model of 10.4 with something forgotten."""

    def build(mean, covariance, parts, limit):
        A = list(covariance.labels)
        m = pyo.ConcreteModel()
        m.w = pyo.Var(A, bounds=(0, 1))
        m.equal = pyo.ConstraintList()
        m.part = pyo.Block(list(parts))
        for name, assets in parts.items() if parity else []:
            free = WeightSet(fully_invested=False)
            assets = assets if own else A
            block = RiskParitySOCP(covariance.select(assets), weight_set=free)
            m.part[name].rp = block.block({a: m.w[a] for a in assets})
            m.equal.add(m.part[name].rp.slack <= 0)
        if invested:
            m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
        sides = covariance.root @ np.array(list(m.w.values())) / limit
        if ceiling:
            m.calm = pyo.Constraint(expr=sum(s**2 for s in sides) <= 1)
        m.goal = pyo.Objective(expr=sum(mean[a] * m.w[a] for a in A), sense=sense)
        return m

    return build


def for_the_given_data_only(e):
    def build(mean, covariance, parts, limit):
        return sleeves()(e["mean"], e["covariance"], e["sleeves"], e["ceiling"])

    return build


def parity_of(e, held):
    found = RiskParitySOCP(e["covariance"].select(held)).solve("newton").weights
    return found.reindex(e["mean"].index).fillna(0.0)


def largest_means(e):
    return list(e["mean"].nlargest(e["k"]).index)


WRONG = [
    ("10.1", lambda e: np.sqrt(contributions(e).mean()) - np.sqrt(contributions(e).min()), "√n"),
    (
        "10.1",
        lambda e: np.sqrt(contributions(e).sum()) - np.sqrt(contributions(e).min()),
        "same √n",
    ),
    ("10.1", lambda e: contributions(e).sum() - 4 * contributions(e).min(), "variances"),
    ("10.1", lambda e: np.sqrt(contributions(e).sum()), "still to be subtracted"),
    ("10.1", lambda e: 0.0, "not the mean"),
    ("10.2", lambda e: [0.2, 0.8 * 2 / 3, 0.8 / 3], "RiskBudgeting"),
    ("10.2", lambda e: [1 / 2, 1 / 3, 1 / 6], "parity without the cap"),
    ("10.2", lambda e: [0.2, 0.4, 0.4], "marginal risks"),
    ("10.2", lambda e: [0.1, 0.72, 0.18], "wants it larger"),
    ("10.2", lambda e: [0.2, 0.64, 0.1], "weights sum to"),
    ("10.3", smallest_share, "as under (11)"),
    ("10.3", lambda e: RiskParitySOCP(e["covariance"]).solve(), "above its cap"),
    ("10.3", too_tight, "it should have more"),
    ("10.3", least_gap, "the least gap is close"),
    ("10.3", lambda e: scaled(e, alone=True), "by their own covariance"),
    ("10.3", lambda e: scaled(e, alone=False), "risk parity's own weights"),
    ("10.3", lambda e: pd.Series(1 / 12, e["covariance"].labels), "above its cap"),
    ("10.4", lambda e: sleeves(parity=False), "contributions are not equal"),
    ("10.4", lambda e: sleeves(own=False), "to the whole all contribute the same"),
    ("10.4", lambda e: sleeves(ceiling=False), "above the ceiling"),
    ("10.4", lambda e: sleeves(invested=False), "weights sum to"),
    ("10.4", lambda e: sleeves(sense=pyo.minimize), "is the objective maximised"),
    ("10.4", lambda e: sleeves()(e["mean"], e["covariance"], e["sleeves"], 1), "the function"),
    ("10.4", for_the_given_data_only, "on others"),
    ("10.4", lambda e: lambda *data: None, "return model"),
    ("10.4", lambda e: lambda mean: mean, "failed: TypeError"),
    ("10.4", lambda e: lambda *data: pyo.ConcreteModel(), "objective"),
    ("10.5", lambda e: parity_of(e, ["BusEq", "Telcm", "Hlth"]), "the largest of the 5"),
    ("10.5", lambda e: parity_of(e, largest_means(e)), "below 0.31"),
    ("10.5", lambda e: e["mean"].eq(e["mean"].max()) * 1.0, "1 are held"),
    (
        "10.5",
        lambda e: (
            MeanVariance(None, e["covariance"].select(["BusEq", "Hlth", "Money"]))
            .solve()
            .weights.reindex(e["mean"].index)
            .fillna(0.0)
        ),
        "not equal",
    ),
]
