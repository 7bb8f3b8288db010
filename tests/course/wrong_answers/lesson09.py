"""Typical wrong answers to the exercises of lesson 9."""

import numpy as np
import pandas as pd

from rrp_pyomo import Program, cvar, norm, sum_squares


def _moved(e, times=1.0, towards=None, scenarios=2):
    """The scenarios of the largest losses moved by a multiple of ε/α."""
    R, w = e["returns"], e["weights"]
    direction = -(w if towards is None else pd.Series(towards, w.index))
    step = times * e["epsilon"] / e["alpha"] * direction / np.linalg.norm(direction)
    chosen = (R @ w).nsmallest(scenarios).index
    moved = R.copy()
    moved.loc[chosen] += step
    return moved


def _model(charge=lambda w, eps, alpha: eps / alpha * norm(w), budget=True, tail=lambda a: a):
    def state(returns, epsilon, alpha):
        program = Program("worst_cvar")
        w = program.variable("w", returns.columns, lower=0)
        program.minimize(cvar(-(returns @ w), tail(alpha)) + charge(w, epsilon, alpha))
        if budget:
            program.subject_to(budget=w.sum() == 1)
        return program

    return state


def _model_of_whole_scenarios(returns, epsilon, alpha):
    """The mean of the largest losses, as many as are wholly in the tail."""
    size, whole = len(returns), int(alpha * len(returns))
    return _model(lambda w, eps, _: eps / alpha * norm(w))(returns, epsilon, whole / size)


def _tilted(e, t, sign=1):
    p = np.exp(sign * e["losses"] / t)
    return p / p.sum()


WRONG = [
    ("9.1", lambda e: 0.02, "value at risk"),
    ("9.1", lambda e: 0.065, "mean of two months"),
    ("9.1", lambda e: 0.05, "mean of three months"),
    ("9.1", lambda e: -0.056, "positive CVaR is a loss"),
    ("9.1", lambda e: 0.014, "divide by α"),
    ("9.1", lambda e: 0.14 / 3, "divide by 2.5"),
    ("9.1", lambda e: 0.03, "half of the third"),
    ("9.2", lambda e: {-0.03: 0.5, 0.05: 0.5}, "half and half"),
    ("9.2", lambda e: {0.13: 0.1, 0.01 - 0.04 / 3: 0.9}, "interchanged"),
    ("9.2", lambda e: {-0.11: 0.1, 0.05: 0.9}, "the mean of your returns is too large"),
    ("9.2", lambda e: {0.01: 1.0}, "standard deviation is too small"),
    ("9.2", lambda e: {0.11: 0.1, -0.01 - 0.04 / 3: 0.9}, "not losses"),
    ("9.2", lambda e: {-0.03: 0.5, 0.05: 0.6}, "sum to 1.1"),
    ("9.2", lambda e: [-0.11, 0.02333], "a dictionary from returns"),
    ("9.3", lambda e: e["returns"], "nothing that matters has moved"),
    ("9.3", lambda e: _moved(e, 0.1, scenarios=20), "those of the tail alone"),
    ("9.3", lambda e: _moved(e, 0.1), "is allowed"),
    ("9.3", lambda e: _moved(e, -1.0), "along w"),
    ("9.3", lambda e: _moved(e, 10.0), "on average, more than"),
    ("9.3", lambda e: _moved(e, scenarios=3), "the others stay"),
    ("9.3", lambda e: _moved(e) - e["returns"], "these are the moves"),
    ("9.3", lambda e: _moved(e, 0.995), "is allowed"),
    ("9.3", lambda e: _moved(e, towards=[1, 1, 1]), "against w itself"),
    ("9.3", lambda e: _moved(e, towards=[1, 0, 0]), "against w itself"),
    ("9.4", lambda e: _model(charge=lambda w, eps, alpha: 0 * w.sum()), "right for ε = 0"),
    ("9.4", lambda e: _model(charge=lambda w, eps, alpha: eps * norm(w)), "not ε‖w‖₂"),
    ("9.4", lambda e: _model(budget=False), "without 1'w = 1"),
    ("9.4", lambda e: _model(tail=lambda a: 1 - a), "interchanged"),
    (
        "9.4",
        lambda e: _model(charge=lambda w, eps, alpha: eps / alpha * norm(w, np.inf)),
        "largest weight",
    ),
    ("9.4", lambda e: _model(charge=lambda w, eps, a: eps / a * norm(w, 1)), "right for ε = 0"),
    (
        "9.4",
        lambda e: _model(charge=lambda w, eps, a: eps / a * sum_squares(w)),
        "without a square",
    ),
    ("9.4", lambda e: lambda R, eps, a: _model()(-R, eps, a), "the best months"),
    ("9.4", lambda e: lambda R, eps, a: _model()(R, 0.004, 0.05), "arguments"),
    ("9.4", lambda e: lambda R, eps, a: _model()(e["returns"], 0.004, 0.05), "nothing for 'x'"),
    ("9.4", lambda e: _model(charge=lambda w, eps, a: 9 * eps * norm(w)), "plus (ε/α)‖w‖₂"),
    ("9.4", lambda e: _model_of_whole_scenarios, "the last of them in part"),
    ("9.4", lambda e: lambda R, eps, a: _model()(R, eps, 0.05), "in the place of its arguments"),
    ("9.4", lambda e: lambda R, eps, a: _model()(R, 0.004, a), "in the place of its arguments"),
    ("9.5", lambda e: _tilted(e, 0.0522282993683621).round(3), "rounded"),
    ("9.5", lambda e: _tilted(e, 1.0), "a smaller t"),
    ("9.5", lambda e: _tilted(e, 0.01), "a larger t"),
    ("9.5", lambda e: _tilted(e, 0.05, -1), "the sign is wrong"),
    ("9.5", lambda e: np.full(8, 1 / 8), "p̂ itself"),
    ("9.5", lambda e: np.exp(e["losses"]), "sum to 8"),
    ("9.5", lambda e: [0.2, 0.1, 0.15, 0.1, 0.15, 0.1, 0.1, 0.1], "one t for all"),
]
