"""Typical wrong answers of lesson 6: exercise, answer, a piece of the hint."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rrp_pyomo import Program, norm, worst_case
from rrp_pyomo.uncertainty import Box, Ellipsoid


def mean_at(e, way, power=0.5, sign=-1):
    w, Omega = e["weights"], e["shape"]
    moved = {"Omega w": Omega @ w, "w": w, "errors": np.sqrt(np.diag(Omega))}[way]
    return e["mean"] + sign * e["radius"] * moved / (w @ Omega @ w) ** power


def lost(e, count, order="loss"):
    loss = e["half_width"] * e["weights"]
    by = {"loss": loss, "width": e["half_width"], "weight": e["weights"]}[order]
    return loss[by.sort_values(ascending=False).index].iloc[:count].sum()


def prices(e, **given):
    return pd.Series(0.0, e["b"].index).add(pd.Series(given), fill_value=0.0)[e["b"].index]


def robust(choose, *, cap=True, lower=0.0, budget=True, cash=False):
    def state(mean, half_width, shape, radius, covariance, limit):
        given = choose(mean, half_width, shape, radius, covariance)
        program = Program("robust")
        w = program.variable("w", mean.index, lower=lower, upper=5)
        program.maximize(worst_case(program.uncertain("mu", given) @ w))
        if cash:
            program.subject_to(invested=w.sum() <= 1)
        elif budget:
            program.subject_to(invested=w.sum() == 1)
        if cap:
            program.subject_to(risk=norm(np.linalg.cholesky(covariance).T @ w) <= limit)
        return program

    return state


def both(mean, half_width, shape, radius, covariance):
    return Box(mean, half_width) & Ellipsoid(mean, shape, radius)


def best_case(mean, half_width, shape, radius, covariance, cap):
    program = Program("convex where concave is asked for")
    w = program.variable("w", mean.index, lower=0)
    program.maximize(mean @ w + radius * norm(np.linalg.cholesky(shape).T @ w))
    program.subject_to(invested=w.sum() == 1)
    return program


WRONG = [
    ("6.1", lambda e: mean_at(e, "Omega w", sign=1), "the best one"),
    ("6.1", lambda e: mean_at(e, "Omega w", power=0.0), "is inside the set"),
    ("6.1", lambda e: mean_at(e, "Omega w", power=1.0), "not by its square"),
    ("6.1", lambda e: mean_at(e, "errors", power=0.0), "outside of it"),
    ("6.1", lambda e: mean_at(e, "w", power=0.0) * 0 + e["mean"], "is 0²"),
    ("6.1", lambda e: mean_at(e, "Omega w") - e["mean"], "add μ̂"),
    (
        "6.1",
        lambda e: e["mean"] - e["radius"] * e["weights"] / np.linalg.norm(e["weights"]),
        "worst of a ball",
    ),
    ("6.1", lambda e: mean_at(e, "Omega w") / 100, "per cent"),
    ("6.1", lambda e: mean_at(e, "Omega w") @ e["weights"], "numbers; given: 1"),
    ("6.2", lambda e: e["mean"] @ e["weights"] - lost(e, 3), "next largest"),
    ("6.2", lambda e: e["mean"] @ e["weights"] - lost(e, 4), "half of its width"),
    ("6.2", lambda e: e["mean"] @ e["weights"] - lost(e, 12), "the box"),
    ("6.2", lambda e: e["mean"] @ e["weights"], "of the estimates"),
    ("6.2", lambda e: lost(e, 3) / 2 + lost(e, 4) / 2, "what is lost"),
    (
        "6.2",
        lambda e: e["mean"] @ e["weights"] - (lost(e, 3, "width") + lost(e, 4, "width")) / 2,
        "are not the δ_i",
    ),
    (
        "6.2",
        lambda e: e["mean"] @ e["weights"] - (lost(e, 3, "weight") + lost(e, 4, "weight")) / 2,
        "are not the weights",
    ),
    (
        "6.3",
        lambda e: prices(e, **{"bonds down": 0.5, "stocks down": 0.3, "gold down": 0.2}),
        "all",
    ),
    ("6.3", lambda e: prices(e, **{"bonds up": 0.5, "stocks up": 0.3, "gold up": 0.2}), "the sign"),
    (
        "6.3",
        lambda e: prices(e, **{"bonds down": 0.2, "stocks up": -0.0, "gold up": 0.1, "all": 0.3}),
        "'gold up' has a price, which only pays back",
    ),
    ("6.3", lambda e: prices(e, **{"bonds down": 0.5}), "A'y is not −w"),
    ("6.3", lambda e: prices(e, **{"stocks up": -0.3, "bonds up": -0.5}), "turns its row round"),
    (
        "6.4",
        lambda e: e["mean"] @ e["weights"] / (e["weights"] @ e["shape"] @ e["weights"]),
        "root",
    ),
    (
        "6.4",
        lambda e: (
            e["mean"] @ e["weights"] / np.sqrt(240 * e["weights"] @ e["shape"] @ e["weights"])
        ),
        "Ω = Σ",
    ),
    (
        "6.4",
        lambda e: e["mean"] @ e["weights"] / (e["weights"] @ np.sqrt(np.diag(e["shape"]))),
        "a box",
    ),
    ("6.4", lambda e: 1.0, "set μ̂'w"),
    ("6.5", lambda e: robust(lambda m, d, S, k, C: Box(m, d)), "the box alone"),
    ("6.5", lambda e: robust(lambda m, d, S, k, C: Ellipsoid(m, S, k)), "the ellipsoid alone"),
    ("6.5", lambda e: robust(lambda m, d, S, k, C: Ellipsoid(m, S, 0.0)), "the estimates"),
    (
        "6.5",
        lambda e: robust(lambda m, d, S, k, C: Box(m, d) + Ellipsoid(0 * m, S, k)),
        "sum of both penalties",
    ),
    ("6.5", lambda e: robust(lambda m, d, S, k, C: Ellipsoid(m, C, k)), "not Σ/T"),
    ("6.5", lambda e: robust(lambda m, d, S, k, C: Box(m, d) | Ellipsoid(m, S, k)), "the hull"),
    (
        "6.5",
        lambda e: robust(lambda m, d, S, k, C: both(m, d, np.diag(np.diag(S)), k, C)),
        "errors without correlations",
    ),
    (
        "6.5",
        lambda e: robust(lambda m, d, S, k, C: both(m, d, S @ S, k, C)),
        "a charge of ‖Ωw‖",
    ),
    ("6.5", lambda e: robust(both, cash=True), "sum to"),
    ("6.5", lambda e: robust(both, cap=False), "the cap is"),
    ("6.5", lambda e: robust(both, lower=-1.0), "is short"),
    ("6.5", lambda e: robust(both, budget=False), "sum to"),
    ("6.5", lambda e: best_case, "your function failed"),
    ("6.5", lambda e: both(*list(e.data.values())[:5]), "a function that makes the model"),
]
