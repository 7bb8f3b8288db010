"""The exercises of lesson 11."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.answers import (
    TOLERANCE,
    known_portfolio,
    number,
    require_budget,
    require_close,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.data import Covariance, DenseCovariance, FactorModel, excess_returns
from rrp_pyomo.data.datasets import french
from rrp_pyomo.linalg import FloatArray

LESSON = Lesson(11, "Solvers")


def _covariance(*assets: str) -> Covariance:
    """Of excess returns of sixty months."""
    data = french()
    returns = excess_returns(data.returns, data.risk_free).tail(60)[list(assets)]
    return FactorModel.fit(returns, data.factors.tail(60)).covariance


# --- 11.1 -----------------------------------------------------------------------------------------


def _centre_data() -> Data:
    covariance = _covariance("NoDur", "Manuf", "BusEq", "Utils", "Hlth")
    return {"covariance": covariance.matrix(), "t": 2e4}


@LESSON.exercise(
    "A point of the central path",
    """
    For least variance, ½x'Σx over x ≥ 0 and 1'x = 1 with this `covariance` Σ, find the point of
    the central path at `t`: the minimiser of t·½x'Σx − Σ log x_i subject to 1'x = 1. Weights.
    """,
    _centre_data,
)
def central_point(answer: Any, data: Data) -> str:
    S, t = data["covariance"], data["t"]
    x = vector(answer, S.index)
    require_budget(x)
    if x.min() <= 0:
        raise WrongAnswer(f"{x.idxmin()!r} has {x.min():.4g}; in the interior all are positive")

    def residual(factor: float) -> float:
        gradient = t * factor * (S @ x) - 1 / x
        return float(np.ptp(gradient) / np.abs(1 / x).max())

    if (off := residual(1.0)) > 1e-3:
        if residual(2.0) < 1e-3:
            raise WrongAnswer("that is for t·x'Σx, without the ½")
        if np.ptp(x) < 1e-2 * x.mean():
            raise WrongAnswer(
                "these are equal weights, nearly: there the path begins, at t = 0; t multiplies "
                "the risk, not the logarithms"
            )
        contributions = x * (S @ x)
        if np.ptp(contributions) < 1e-3 * contributions.mean():
            raise WrongAnswer("that is risk parity, which the path passes at another t")
        # On the path 1/x is t Σx − ν, a line over Σx.
        other = float(np.polyfit(S @ x, 1 / x, 1)[0])
        if other > 0 and residual(other / t) < 1e-3:
            raise WrongAnswer(f"that is the point of the path at t = {other:.0f}, not at {t:.0f}")
        name = known_portfolio(x, DenseCovariance(S))
        told = f"these are {name}; " if name else ""
        raise WrongAnswer(
            f"{told}the derivatives t(Σx)_i − 1/x_i should all be the same number ν; they differ "
            f"by {off:.2g} of the largest 1/x_i"
        )
    nu = float((t * (S @ x) - 1 / x).mean())
    return f"t(Σx)_i − 1/x_i = {nu:.4f} for all i; the duality gap is n/t = {len(x) / t:.2e}"


# --- 11.2 -----------------------------------------------------------------------------------------


def _proof_data() -> Data:
    covariance = _covariance("NoDur", "Manuf", "BusEq", "Utils", "Hlth")
    x = pd.Series([0.45, 0.08, 0.02, 0.33, 0.12], covariance.labels)
    return {"covariance": covariance.matrix(), "weights": x}


@LESSON.exercise(
    "What an answer proves",
    """
    A solver stopped at these `weights` and calls them optimal for min x'Σx over x ≥ 0, 1'x = 1,
    with this `covariance` Σ. Use the tangent at the weights to compute a variance below which no
    admissible portfolio can be. A number, the largest that this argument proves.
    """,
    _proof_data,
)
def proof(answer: Any, data: Data) -> str:
    x, S = data["weights"], data["covariance"]
    marginal, variance = S @ x, float(x @ S @ x)
    right = 2 * float(marginal.min()) - variance
    given = number(answer)
    require_close(
        given,
        right,
        "the bound",
        "the tangent of f = x'Σx is f(x) + 2(Σx)'(v − x), which is least over v at one of the "
        "corners of the simplex",
        mistakes=[
            (
                _least_variance(S.to_numpy()),
                "that is the least variance itself, which another solve found; the tangent at the "
                "weights proves a little less",
            ),
            (variance, "that is the variance of the weights, which bounds from above"),
            (np.sqrt(max(right, 0)), "that is a volatility; a variance is asked for"),
            (marginal.min(), "the derivative of x'Σx is 2Σx, not Σx"),
            (variance - marginal.min(), "that is half of the gap; the bound is the variance − gap"),
            (2 * (variance - marginal.min()), "that is the gap; the bound is the variance − gap"),
            (1 - right / variance, "that is the gap as a part of the variance"),
            (2 * marginal.max() - variance, "the tangent is least where (Σx)_i is smallest"),
            (variance / 2 + marginal.min() - variance, "that is for ½x'Σx"),
        ],
    )
    return f"no portfolio is below {right:.4e}; these weights are within {1 - right / variance:.1%}"


# --- 11.3 -----------------------------------------------------------------------------------------


def _units_data() -> Data:
    return {"cap": 0.002, "tolerance": 1e-6, "unit": 100.0}


@LESSON.exercise(
    "What a tolerance lets through",
    """
    A model limits the volatility per day to `cap` (0.2 %) by the row x'Σx ≤ cap², returns being
    decimals, and its solver lets every row be violated by `tolerance`. By which part of the cap
    may the volatility exceed it? (0.05 would be a twentieth.) And by which, if returns are
    multiplied by `unit`, to be per cent, and the row is x'Σx ≤ (unit · cap)²? Two numbers.
    """,
    _units_data,
)
def units(answer: Any, data: Data) -> str:
    given = vector(answer, ["decimals", "per cent"], "the answer")
    cap, tolerance = data["cap"], data["tolerance"]
    says = ("with decimals", "with per cent")
    parts = tolerance / (np.array([1.0, data["unit"]]) * cap) ** 2
    if np.allclose(given, (np.sqrt(1 + parts) - 1)[::-1], rtol=1e-3, atol=0):
        raise WrongAnswer("the two are interchanged: decimals first, then per cent")
    for told, unit, part, value in zip(says, (1.0, data["unit"]), parts, given, strict=True):
        right = float(np.sqrt(1 + part) - 1)
        require_close(
            float(value),
            right,
            f"the excess {told}",
            "compare the root of the largest variance that the row lets through with the cap",
            mistakes=[
                (part, "that is the excess of the variance; take the root"),
                (right * unit * cap, "that is in units of volatility; divide by the cap"),
                (1 + right, "that is the whole, where the excess is asked for"),
                (tolerance / (unit * cap), "the row is of variances: cap² + tolerance"),
                (part / 2, "that is the root to first order, and what is let through is not small"),
                (np.sqrt(1 + parts[0]) - 1, "the cap's square is unit² times as large as in "
                 "decimals, and the tolerance is not"),
                (np.sqrt(1 + parts[0] / unit) - 1, "the unit is squared with the cap"),
                (np.sqrt(part), "the root of a sum, √(cap² + tolerance), is no sum of roots"),
            ],
        )  # fmt: skip
    return f"up to {given.iloc[0]:.1%} too volatile in decimals, {given.iloc[1]:.4%} in per cent"


# --- 11.4 -----------------------------------------------------------------------------------------


def _few_data() -> Data:
    names = ("NoDur", "Durbl", "Manuf", "Chems", "BusEq", "Utils", "Shops", "Hlth", "Money")
    return {"covariance": _covariance(*names), "k": 2}


@LESSON.exercise(
    "Least variance with few assets",
    """
    Of nine industries with this `covariance`, which portfolio of at most `k` has the least
    variance? It is long-only and fully invested. Weights of all nine.
    """,
    _few_data,
)
def few(answer: Any, data: Data) -> str:
    covariance, k = data["covariance"], data["k"]
    x = vector(answer, covariance.labels)
    require_budget(x)
    require_long_only(x)
    held = list(x.index[x > TOLERANCE])
    if len(held) > k:
        raise WrongAnswer(f"{len(held)} are held, more than {k}: {', '.join(held)}")
    S = covariance.matrix().to_numpy()
    best = {c: _least_variance(S[np.ix_(c, c)]) for c in combinations(range(len(S)), k)}
    variance, least = float(x @ S @ x), min(best.values())
    own = _least_variance(covariance.matrix().loc[held, held].to_numpy())
    if variance > least * (1 + 1e-4):
        if variance > own * (1 + 1e-4):
            raise WrongAnswer(
                f"{', '.join(held)} could have a variance of {own:.4e} among themselves, and have "
                f"{variance:.4e}: weights are to be optimised anew once the others are out"
            )
        raise WrongAnswer(
            f"{variance:.4e} is the best of {', '.join(held)}, and {least:.4e} that of another "
            f"choice; the {k} largest weights of least variance with all nine need not be it"
        )
    return f"{', '.join(held)}: {variance:.4e}, the least of {len(best)} choices"


def _least_variance(S: FloatArray) -> float:
    """min x'Sx over the simplex, by the best of its faces; for few assets."""
    found = []
    n = len(S)
    for size in range(1, n + 1):
        for face in map(list, combinations(range(n), size)):
            x = np.linalg.solve(S[np.ix_(face, face)], np.ones(size))
            if (x >= 0).all():
                found.append(1 / x.sum())
    return float(min(found))
