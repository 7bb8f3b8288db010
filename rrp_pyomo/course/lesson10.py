"""The exercises of lesson 10."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pyomo.environ as pyo

from rrp_pyomo.course.answers import (
    TOLERANCE,
    UNROUNDED,
    is_rounded,
    number,
    require_budget,
    require_close,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.models import by_label, made, on_other_data, solved, values
from rrp_pyomo.data import Covariance, FactorModel, excess_returns
from rrp_pyomo.data.datasets import french
from rrp_pyomo.models import RiskParitySOCP
from rrp_pyomo.portfolio import Portfolio

LESSON = Lesson(10, "Composition")


@cache
def _industries(last: int = 60, until: int | None = None) -> tuple[pd.Series, Covariance]:
    """Mean excess returns and factor covariance of twelve industries over some months."""
    data = french()
    returns = excess_returns(data.returns, data.risk_free).iloc[:until, :12].tail(last)
    return returns.mean(), FactorModel.fit(returns, data.factors.loc[returns.index]).covariance


def _relative(weights: pd.Series, covariance: Covariance) -> pd.Series:
    """Shares of risk, or why there are none."""
    if not weights.any():
        raise WrongAnswer("all weights are 0: there is no risk to share")
    return Portfolio.of(weights, covariance).relative_risk_contributions


def _unequal(shares: pd.Series, so_far: str) -> WrongAnswer:
    return WrongAnswer(
        f"{so_far}contributions are not equal: {shares.idxmax()!r} has {shares.max():.4f} of the "
        f"risk, {shares.idxmin()!r} has {shares.min():.4f}"
    )


# --- 10.1 -----------------------------------------------------------------------------------------


def _slack_data() -> Data:
    _, covariance = _industries()
    covariance = covariance.select(["NoDur", "Enrgy", "Utils", "Money"])
    return {
        "covariance": covariance.matrix(),
        "weights": pd.Series([0.4, 0.1, 0.3, 0.2], covariance.labels),
    }


@LESSON.exercise(
    "How far from parity?",
    """
    With `covariance` and `weights` of four assets, what is the least slack that a block of (11)
    can have at these weights, in units of volatility per month? A number.
    """,
    _slack_data,
)
def slack(answer: Any, data: Data) -> str:
    weights = data["weights"]
    contributions = weights * (data["covariance"] @ weights)
    volatility, n = np.sqrt(contributions.sum()), len(weights)
    t = np.sqrt(contributions.min())
    right = volatility - np.sqrt(n) * t
    require_close(
        number(answer),
        right,
        "the slack",
        "p is the volatility over √n, t² the smallest contribution x_i (Σx)_i",
        mistakes=[
            (right / np.sqrt(n), "that is p − t; the slack is in units of volatility, √n times it"),
            (volatility - n * t, "t is times √n, as p is, not times n"),
            (volatility - t, "p√n is the volatility, and t has the same √n"),
            (
                volatility - np.sqrt(n * contributions.mean()),
                "it is 0 at parity only: t sees the smallest contribution, not the mean",
            ),
            (
                volatility - np.sqrt(n * contributions.max()),
                "t sees the smallest contribution, not the largest",
            ),
            (
                contributions.sum() - n * contributions.min(),
                "that is a difference of variances; take the roots first",
            ),
            (1 - np.sqrt(n) * t / volatility, "that is s/σ, without a unit; multiply by σ"),
            (1 - (1 - right / volatility) ** 2, "that is what the smallest share lacks of 1"),
            ((1 - right / volatility) ** 2, "that is the smallest share over its budget"),
            (volatility, "that is the volatility; √n t is still to be subtracted"),
        ],
    )
    floor = (1 - right / volatility) ** 2
    return f"s = {right:.6f}, so that every share is at least {floor:.3f} of its budget"


# --- 10.2 -----------------------------------------------------------------------------------------


def _by_hand_data() -> Data:
    return {"volatilities": pd.Series({"a": 0.10, "b": 0.15, "c": 0.30}), "cap": 0.2}


@LESSON.exercise(
    "A cap, by hand",
    """
    Three assets are uncorrelated and have these `volatilities`. The weight of `a` is at most
    `cap`. Which portfolio does (11) give? Weights.
    """,
    _by_hand_data,
)
def capped_by_hand(answer: Any, data: Data) -> str:
    sigma, cap = data["volatilities"], data["cap"]
    x = vector(answer, sigma.index)
    require_budget(x)
    require_long_only(x)
    if x["a"] > cap + TOLERANCE:
        told = "; that is risk parity without the cap" if np.ptp(sigma * x) < TOLERANCE else ""
        raise WrongAnswer(f"'a' has {x['a']:.4g}, above its cap of {cap:g}{told}")
    if x["a"] < cap - TOLERANCE:
        raise WrongAnswer(
            f"'a' has {x['a']:.4g}: the smallest contribution is its own, and (11) wants it "
            "larger, as far as the cap lets it"
        )
    b, c = (sigma**2 * x)[["b", "c"]]
    if abs(b - c) > 1e-3 * max(b, c):
        r = (sigma * x)[["b", "c"]]
        if np.ptp(r) < 1e-3 * r.max():
            raise WrongAnswer(
                "'b' and 'c' contribute the same: so it would be with RiskBudgeting, but (11) has "
                "its t from 'a' alone and is free to minimise p over the other two"
            )
        raise WrongAnswer(
            "the volatility could be smaller: t is set by 'a', so that only p is left, and at its "
            f"least the marginal risks σ²x are equal; they are {b:.4g} for 'b' and {c:.4g} for 'c'"
        )
    shares = (sigma * x) ** 2 / ((sigma * x) ** 2).sum()
    told = ", ".join(f"{a!r} {share:.3f}" for a, share in shares.items())
    return f"least variance beside the cap; shares of risk: {told}"


# --- 10.3 -----------------------------------------------------------------------------------------


def _caps_data() -> Data:
    return {"covariance": _industries()[1], "caps": pd.Series({"Utils": 0.08, "Telcm": 0.07})}


@LESSON.exercise(
    "What two caps leave of parity",
    """
    Twelve industries have this `covariance`, and two of them the upper bounds `caps`. Find the
    fully invested, long-only portfolio in which all industries that no cap touches contribute
    exactly the same risk, and those at their caps less. Weights.
    """,
    _caps_data,
)
def capped(answer: Any, data: Data) -> str:
    covariance, caps = data["covariance"], data["caps"]
    x = vector(answer, covariance.labels)
    require_budget(x)
    require_long_only(x)
    over = x[caps.index] - caps
    if over.max() > TOLERANCE:
        asset = over.idxmax()
        raise WrongAnswer(f"{asset!r} has {x[asset]:.4g}, above its cap of {caps[asset]:g}")
    shares = _relative(x, covariance)
    free = shares.drop(caps.index[over > -TOLERANCE])
    for asset in caps.index.intersection(free.index):
        if shares[asset] < shares.drop(caps.index).min() - 2 * TOLERANCE:
            raise WrongAnswer(
                f"{asset!r} has {x[asset]:.4g} and contributes less than others, though its cap of "
                f"{caps[asset]:g} does not touch it: it should have more"
            )
    if np.ptp(free) > 2 * TOLERANCE:
        so_far = "weights sum to 1 and keep to the caps, but "
        raise _unequal(free, so_far + _why_unequal(x[free.index], free, covariance))
    at_cap = shares[caps.index]
    if at_cap.max() > free.mean() + TOLERANCE:
        raise WrongAnswer(f"{at_cap.idxmax()!r} is at its cap and contributes more than the others")
    return f"{len(free)} equal shares of {free.mean():.4f}; " + ", ".join(
        f"{a!r} has {share:.4f}" for a, share in at_cap.items()
    )


def _why_unequal(x: pd.Series, shares: pd.Series, covariance: Covariance) -> str:
    """What the weights are that no cap touches, where that is known."""
    if shares.max() > 1.5 * shares.min():
        return "as under (11), which sees the smallest share only, "

    def is_part_of_parity(of: Covariance) -> bool:
        other = RiskParitySOCP(of).solve("newton").weights[x.index]
        return bool(np.abs(x / x.sum() - other / other.sum()).max() < TOLERANCE)

    if is_part_of_parity(covariance.select(x.index)):
        return "with parity of the others by their own covariance, without those at their caps, "
    if is_part_of_parity(covariance):
        return "with risk parity's own weights, scaled where no cap touches them, "
    if shares.max() < 1.15 * shares.min():
        told = f"the weights look rounded, {UNROUNDED}" if is_rounded(x) else ""
        return f"close as they are ({told or 'the least gap is close, solve() is exact'}), "
    return ""


# --- 10.4 -----------------------------------------------------------------------------------------


def _sleeves_data() -> Data:
    mean, covariance = _industries()
    goods = ["NoDur", "Durbl", "Manuf", "Chems", "Shops"]
    energy = ["Enrgy", "Utils"]
    services = [a for a in covariance.labels if a not in goods + energy]
    sleeves = {"goods": goods, "energy": energy, "services": services}
    return {"mean": mean, "covariance": covariance, "sleeves": sleeves, "ceiling": 0.03}


@LESSON.exercise(
    "Sleeves under a ceiling (modelling)",
    """
    Write a function `build(mean, covariance, sleeves, ceiling)` that returns a
    `pyo.ConcreteModel` with a variable `m.w[asset]` for each asset. `sleeves` is a dict from the
    name of a sleeve to its assets; each asset is in one. The model maximises the mean return
    Σ mean_a w_a such that weights are not negative and sum to 1, that inside each sleeve all
    assets contribute the same to the risk *of that sleeve*, and that the volatility of the whole
    is at most `ceiling`. What is handed in is the function; it is tried on two sets of data.
    """,
    _sleeves_data,
    modelling=True,
)
def sleeves_under_a_ceiling(answer: Any, data: Data) -> str:
    if isinstance(answer, pyo.Block):
        raise WrongAnswer("the answer should be the function build, not a model that it made")
    said = _judge_sleeves(answer, data)
    mean, before = _industries(120, -60)
    few = ["Utils", "Hlth", "Money", "Telcm", "BusEq"]
    other = {
        "mean": mean[few],
        "covariance": before.select(few),
        "sleeves": {"calm": few[:2], "rest": few[2:]},
        "ceiling": 0.036,
    }
    with on_other_data():
        _judge_sleeves(answer, other)
    return said


def _judge_sleeves(answer: Any, data: Data) -> str:
    mean, covariance, ceiling = data["mean"], data["covariance"], data["ceiling"]
    model = solved(made(answer, *(data[k] for k in ("mean", "covariance", "sleeves", "ceiling"))))
    w = by_label(values(model), covariance.labels)
    require_budget(w)
    require_long_only(w)
    for name, own in data["sleeves"].items():
        if w[own].sum() > 1e-3:
            shares = _relative(w[own], covariance.select(own))
            if np.ptp(shares) > 1e-2 / len(own):
                whole = _relative(w, covariance)[own]
                of = "to the whole all contribute the same, but " if np.ptp(whole) < 1e-3 else ""
                raise _unequal(shares, f"{of}inside sleeve {name!r}, by its own covariance, ")
    volatility = Portfolio.of(w, covariance).volatility
    if volatility > ceiling * (1 + 1e-4):
        raise WrongAnswer(f"the volatility is {volatility:.5f}, above the ceiling of {ceiling:g}")
    best = _best_mean(mean, covariance, data["sleeves"], ceiling)
    if mean @ w < best - 1e-3 * abs(best):
        if np.ptp(_relative(w, covariance)) < 1e-2 / len(w):
            raise WrongAnswer("that is risk parity of all assets: sizes of sleeves should be free")
        told = "is the objective maximised, and are the sizes of the sleeves free?"
        if volatility < ceiling * (1 - 1e-3):
            told = f"the volatility is only {volatility:.5f}; is it that of the whole, and " + told
        raise WrongAnswer(
            f"all rules hold, but the mean return is {mean @ w:.6f} where {best:.6f} can be: {told}"
        )
    return f"mean return {mean @ w:.6f} at a volatility of {volatility:.5f}, the best there is"


def _best_mean(
    mean: pd.Series, covariance: Covariance, sleeves: Mapping[str, list[str]], ceiling: float
) -> float:
    """The largest mean of mixtures of the sleeves' parity portfolios under a ceiling."""
    parts = {k: RiskParitySOCP(covariance.select(a)).solve("newton") for k, a in sleeves.items()}
    X = pd.DataFrame({k: part.weights for k, part in parts.items()}).loc[mean.index].fillna(0.0)
    root = np.linalg.cholesky(X.T @ covariance.matrix() @ X).T
    m = pyo.ConcreteModel()
    m.size = pyo.Var(list(X), bounds=(0, 1))
    m.all = pyo.Constraint(expr=sum(m.size.values()) == 1)
    sides = root @ np.array(list(m.size.values())) / ceiling
    m.cap = pyo.Constraint(expr=sum(s**2 for s in sides) <= 1)
    m.mean = pyo.Objective(expr=pyo.sum_product(mean @ X, m.size), sense=pyo.maximize)
    return float(pyo.value(solved(m).mean))


# --- 10.5 -----------------------------------------------------------------------------------------


def _choice_data() -> Data:
    mean, covariance = _industries()
    eight = ["NoDur", "Durbl", "Chems", "BusEq", "Telcm", "Utils", "Hlth", "Money"]
    return {"mean": mean[eight], "covariance": covariance.select(eight), "k": 3, "least": 0.31}


@LESSON.exercise(
    "Three of eight",
    """
    Of eight industries with this `mean` and `covariance` hold exactly `k`, at risk parity with
    each other and none of them below `least`, such that the mean return is as large as possible.
    Weights of all eight (0 for those that are not held).
    """,
    _choice_data,
)
def choice(answer: Any, data: Data) -> str:
    mean, covariance, k, least = (data[name] for name in ("mean", "covariance", "k", "least"))
    x = vector(answer, covariance.labels)
    require_budget(x)
    require_long_only(x)
    held = list(x.index[x > TOLERANCE])
    if len(held) != k:
        raise WrongAnswer(f"{len(held)} are held, not {k}: {', '.join(map(str, held))}")
    shares = _relative(x[held], covariance.select(held))
    if np.ptp(shares) > 2 * TOLERANCE:
        raise _unequal(shares, f"{k} are held, but their ")
    if x[held].min() < least - TOLERANCE:
        raise WrongAnswer(
            f"at parity {x[held].idxmin()!r} has {x[held].min():.4f}, below {least:g}: another "
            f"{k} are wanted"
        )
    every = [RiskParitySOCP(covariance.select(c)).solve("newton") for c in _subsets(x.index, k)]
    allowed = [mean[p.weights.index] @ p.weights for p in every if p.weights.min() >= least]
    if max(allowed) > mean @ x + 1e-7:
        raise WrongAnswer(
            f"{', '.join(held)} are at parity with a mean of {mean @ x:.6f}, and the largest of "
            f"the {len(allowed)} choices that are allowed is {max(allowed):.6f}"
        )
    return f"{', '.join(held)}: the largest mean of {len(allowed)} choices, {mean @ x:.6f}"


def _subsets(labels: pd.Index, k: int) -> list[list[Any]]:
    return [list(chosen) for chosen in combinations(labels, k)]
