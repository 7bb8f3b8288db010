"""The exercises of lesson 6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.answers import (
    number,
    require_all_close,
    require_budget,
    require_close,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.programs import stated, transposed, weights_of
from rrp_pyomo.data import DenseCovariance, datasets, excess_returns
from rrp_pyomo.modeling import norm, worst_case
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty import Box, Ellipsoid, Polyhedron

LESSON = Lesson(6, "Uncertainty sets and worst cases")


def _industries(months: int = 240, assets: int = 12) -> pd.DataFrame:
    data = datasets.french()
    return 100 * excess_returns(data.returns, data.risk_free).iloc[-months:, :assets]


def _ellipsoid() -> Data:
    R = _industries(assets=4)
    return {
        "mean": R.mean(),
        "shape": R.cov() / len(R),
        "radius": 2.0,
        "weights": pd.Series([0.4, 0.3, 0.2, 0.1], R.columns),
    }


@LESSON.exercise(
    "The worst mean",
    """
    The means are in the ellipsoid (μ − μ̂)'Ω⁻¹(μ − μ̂) ≤ κ² with μ̂ = `e["mean"]`,
    Ω = `e["shape"]` and κ = `e["radius"]`. Which of them is worst for `e["weights"]`? Answer: μ, a
    number for each asset.
    """,
    _ellipsoid,
)
def worst_mean(answer: Any, data: Data) -> str:
    mean, shape, radius, w = (data[k] for k in ("mean", "shape", "radius", "weights"))
    given = vector(answer, mean.index, "μ")
    moved = shape @ w
    size = float(np.sqrt(w @ moved))
    right = mean - radius * moved / size
    mistakes = (
        (100 * right, "the data are in per cent, and so is the answer"),
        (right / 100, "the data are in per cent, and so is the answer"),
        (2 * mean - right, "that is the best one: the adversary goes against the weights"),
        (mean - radius * moved, "Ωw has to be divided by √(w'Ωw), or μ is inside the set"),
        (mean - radius * moved / size**2, "Ωw is divided by √(w'Ωw), not by its square"),
        (mean - radius**2 * moved / size, "the set's radius is κ; κ² is on the right of its row"),
        (
            mean - radius * np.sqrt(np.diag(shape)),
            "the worst corner of the box around the ellipsoid, which is outside of it",
        ),
        (right - mean, "that is the way from the centre; add μ̂"),
        (
            mean - radius * w / np.linalg.norm(w),
            "that is the worst of a ball; an ellipsoid's direction is Ωw, not w",
        ),
    )
    d = given - mean
    found = float(np.sqrt(d @ np.linalg.solve(shape, d)))
    hint = (
        f"its (μ − μ̂)'Ω⁻¹(μ − μ̂) is {found:.4g}², with {radius:g}² on the border, and its w'μ "
        f"{w @ given:.4g}, where {w @ right:.4g} can be had"
    )
    require_all_close(given, right, "μ", hint, mistakes=mistakes)
    return (
        f"in the set (radius {found:.4g}), and w'μ = {w @ given:.4f} is what "
        f"Cauchy–Schwarz says is least"
    )


def _budgeted() -> Data:
    R = _industries()
    return {
        "mean": R.mean(),
        "half_width": 2 * R.std() / np.sqrt(len(R)),
        "budget": 3.5,
        "weights": pd.Series([5, 3, 1, 3, 2, 3, 1, 4, 2, 4, 1, 1], R.columns) / 30,
    }


@LESSON.exercise(
    "A budget for the adversary",
    """
    μ_i = μ̂_i + δ_i z_i with |z_i| ≤ 1 and Σ|z_i| ≤ Γ: `e["mean"]`, `e["half_width"]` and
    `e["budget"]`. What is the smallest mean return of `e["weights"]`? Answer: a number.
    """,
    _budgeted,
)
def budgeted(answer: Any, data: Data) -> str:
    given = number(answer, "the worst mean return")
    mean, delta, budget, w = (data[k] for k in ("mean", "half_width", "budget", "weights"))
    loss, nominal = (delta * w.abs()).sort_values(ascending=False), float(mean @ w)
    whole = int(budget)

    def at(count: int, part: float = 0.0) -> float:
        return nominal - float(loss.iloc[:count].sum() + part * loss.iloc[count])

    right = at(whole, budget - whole)
    widest, heaviest = (
        loss[by.sort_values(ascending=False, kind="stable").index] for by in (delta, w.abs())
    )
    mistakes = (
        (right / 100, "the data are in per cent, and so is the answer"),
        (100 * right, "the data are in per cent, and so is the answer"),
        (nominal, "that is the mean return of the estimates"),
        (2 * nominal - right, "that is the best case"),
        (nominal - right, "that is what is lost; the mean return that is left is asked for"),
        (right - nominal, "that is what is lost; the mean return that is left is asked for"),
        (at(whole), "the half that is left of the budget goes to the next largest"),
        (at(whole + 1), "the last one moves by half of its width only"),
        (at(len(loss) - 1, 1.0), "all of them at once is the box; the budget allows 3.5"),
        (
            nominal - float(widest[:whole].sum() + (budget - whole) * widest.iloc[whole]),
            "largest are not the δ_i that count, but the δ_i |w_i|",
        ),
        (
            nominal - float(heaviest[:whole].sum() + (budget - whole) * heaviest.iloc[whole]),
            "largest are not the weights that count, but the δ_i |w_i|",
        ),
        (nominal - budget * float(loss.iloc[0]), "no z_i is larger than 1"),
    )
    hint = "the Γ largest δ_i |w_i| are lost, the last of them in part"
    require_close(given, right, "the worst mean return", hint, 1e-4, mistakes)
    return f"{right:.4f} of {nominal:.4f} % a month are left; the box would leave " + (
        f"{at(len(loss) - 1, 1.0):.4f}"
    )


def _polyhedron() -> Data:
    assets = ["bonds", "stocks", "gold"]
    rows = ["bonds up", "bonds down", "stocks up", "stocks down", "gold up", "gold down", "all"]
    A = pd.DataFrame(np.kron(np.eye(3), [[1.0], [-1.0]]), rows[:-1], assets)
    A.loc["all"] = -1.0
    return {
        "A": A,
        "b": pd.Series([0.01, 0.01, 0.04, 0.04, 0.03, 0.03, 0.05], rows),
        "weights": pd.Series([0.5, 0.3, 0.2], assets),
    }


@LESSON.exercise(
    "Prices for the adversary's rows",
    """
    Errors d of three means satisfy `e["A"]` d ≤ `e["b"]`: each is bounded, and they do not all fall
    together. Prove what the largest loss −w'd of `e["weights"]` is: find y ≥ 0 with A'y = −w, by
    which −w'd = y'Ad ≤ b'y for every d of the set, and b'y as small as possible. Answer: y, a
    number for each row.
    """,
    _polyhedron,
)
def prices(answer: Any, data: Data) -> str:
    A, b, w = data["A"], data["b"], data["weights"]
    y = vector(answer, A.index, "y")
    if y.min() < -1e-9:
        raise WrongAnswer(f"y of {y.idxmin()!r} is negative, which turns its row round")
    missed = A.T @ y + w
    if abs(missed).max() > 1e-6:
        if abs(A.T @ y - w).max() < 1e-6:
            raise WrongAnswer("the sign: A'y is w, and −w is asked for, since losses are bounded")
        raise WrongAnswer(
            f"A'y is not −w: {missed.abs().idxmax()!r} is off by {missed.abs().max():.3g}"
        )
    bound = float(b @ y)
    centre = pd.Series(0.0, w.index)
    largest = Polyhedron(centre, A, b).support(-w)
    if bound > largest + 1e-6:
        up = [row for row in A.index if row.endswith(" up") and y[row] > 1e-6]
        raise WrongAnswer(
            f"true, no loss is above {bound:.6g}; but there is a smaller bound: "
            + (
                f"{up[0]!r} has a price, which only pays back what other rows carry too much"
                if up
                else "let the row 'all' carry a part of every weight"
            )
        )
    return f"no loss is above {bound:.4f}, and an error of the set attains it"


def _safe() -> Data:
    R = _industries(assets=5)
    return {
        "mean": R.mean(),
        "shape": R.cov() / len(R),
        "weights": pd.Series([0.3, 0.1, 0.2, 0.1, 0.3], R.columns),
    }


@LESSON.exercise(
    "How wrong may the means be?",
    """
    With Ω = `e["shape"]`, the largest κ for which the mean return of `e["weights"]` is not negative
    for any μ of the ellipsoid of radius κ around `e["mean"]`. Answer: κ, a number.
    """,
    _safe,
)
def how_wrong(answer: Any, data: Data) -> str:
    given = number(answer, "κ")
    mean, shape, w = data["mean"], data["shape"], data["weights"]
    error = float(np.sqrt(w @ shape @ w))
    right = float(mean @ w) / error
    mistakes = (
        (float(mean @ w) / error**2, "the penalty is κ√(w'Ωw): is there a square root missing?"),
        (right / np.sqrt(240), "that is for Ω = Σ, not for the error of the mean, Σ/T"),
        (
            float(mean @ w) / float(w @ np.sqrt(np.diag(shape))),
            "that is for a box of κ standard errors, where all errors are at their worst",
        ),
        (-right, "the sign"),
        (error / float(mean @ w), "that is 1/κ"),
    )
    require_close(given, right, "κ", "set μ̂'w − κ√(w'Ωw) to 0", 2e-3, mistakes)
    left = -Ellipsoid(mean, shape, given).support(-w)
    return (
        f"at κ = {given:.4g} the worst mean return is {round(left, 3) + 0:g} %; "
        "κ is the t-value of w's mean"
    )


def _both() -> Data:
    R = _industries(assets=8)
    error = R.std() / np.sqrt(len(R))
    return {
        "mean": R.mean(),
        "half_width": error,
        "shape": pd.DataFrame(np.diag(error**2), R.columns, R.columns),
        "radius": 2.0,
        "covariance": R.cov(),
        "cap": 3.6,
    }


_GIVEN = ("mean", "half_width", "shape", "radius", "covariance", "cap")


def _set_of(data: Mapping[str, Any]) -> Any:
    box = Box(data["mean"], data["half_width"])
    return box & Ellipsoid(data["mean"], data["shape"], data["radius"])


@LESSON.exercise(
    "Box and ellipsoid at once",
    """
    Write `state(mean, half_width, shape, radius, covariance, cap)`, which returns a model with
    variables `w` by asset: long-only, fully invested weights with a volatility of at most `cap`,
    whose worst mean return is largest, over all means that are in the box mean ± half_width *and*
    in the ellipsoid of that shape and radius around mean. Answer: the function; it is tried on the
    data, `e["mean"]`, …, and on others.
    """,
    _both,
    modelling=True,
)
def both(answer: Any, data: Data) -> str:
    trials = {
        "on the data": dict(data),
        "with a set half as large": {**data, "half_width": data["half_width"] / 2, "radius": 1.0},
        # Here some parts of w are negative, and who need not invest would not.
        "with correlated errors, two means well known and all negative": {
            **data,
            "shape": data["covariance"] / 240,
            "radius": 1.0,
            "half_width": data["half_width"] * np.array([1.0] * 6 + [0.05] * 2),
            "mean": data["mean"] - 1,
        },
    }
    reached = [_judge_robust(answer, given, what) for what, given in trials.items()]
    return "the best worst case on three sets of data: " + ", ".join(f"{r:.4f}" for r in reached)


def _judge_robust(answer: Any, given: Mapping[str, Any], what: str) -> float:
    model = stated(answer, *(given[name] for name in _GIVEN))
    mean, means = given["mean"], _set_of(given)
    weights = weights_of(model, mean.index, hint="is a variance held below a volatility?")
    require_budget(weights, so_far=f"{what}: ")
    require_long_only(weights)
    risk = float(np.sqrt(weights @ given["covariance"] @ weights))
    if risk > given["cap"] * (1 + 1e-4):
        why = transposed(
            given["covariance"].to_numpy(), {"cap": weights.to_numpy()}, {"cap": given["cap"]}
        )
        raise WrongAnswer(f"{what}: the cap is {given['cap']:g}, your volatility {risk:.4g}{why}")
    reached, best = -means.support(-weights), -means.support(-_robust(given, means))
    if reached < best - 1e-4 * abs(best):
        raise WrongAnswer(
            f"{what}: {_why(weights, given)}{best:.4f} can be had in the worst case, "
            f"and your weights have {reached:.4f}"
        )
    return float(reached)


def _robust(given: Mapping[str, Any], means: Any) -> pd.Series:
    """The best weights against a set of means."""
    program = Program("robust")
    w = program.variable("w", given["mean"].index, lower=0)
    mu = program.uncertain("mu", means)
    program.maximize(worst_case(mu @ w))
    root = DenseCovariance(given["covariance"]).root
    program.subject_to(invested=w.sum() == 1, risk=norm(root @ w) <= given["cap"])
    found: pd.Series = solve_program(program).values["w"]
    return found


def _why(weights: pd.Series, given: Mapping[str, Any]) -> str:
    """Which other set the weights are best for, in words; empty where it is none of these."""
    mean = given["mean"]
    box = Box(mean, given["half_width"])
    ellipsoid = Ellipsoid(mean, given["shape"], given["radius"])
    other = {
        "the estimates themselves": Ellipsoid(mean, given["shape"], 0.0),
        "the box alone": box,
        "the ellipsoid alone": ellipsoid,
        "the sum of both penalties, which is that of A + B": box
        + Ellipsoid(0 * mean, given["shape"], given["radius"]),
        "the worse of two worst cases, which is the hull of the sets, A | B": box | ellipsoid,
        "an ellipsoid of shape Σ, not Σ/T": Ellipsoid(mean, given["covariance"], given["radius"]),
        "a charge of ‖Ωw‖, where ‖Rw‖ with a root R'R = Ω is right": box
        & Ellipsoid(mean, root=given["shape"], radius=given["radius"]),
        "errors without correlations": box
        & Ellipsoid(mean, np.diag(np.diag(given["shape"])), given["radius"]),
    }
    for name, means in other.items():
        if abs(weights - _robust(given, means)).max() < 1e-3:
            return f"these are the weights for {name}; "
    return ""
