"""The exercises of lesson 9."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from rrp_pyomo.course.answers import (
    TOLERANCE,
    UNROUNDED,
    is_rounded,
    matrix,
    number,
    require_budget,
    require_close,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.programs import stated, weights_of
from rrp_pyomo.errors import brief
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable, cvar, norm, sum_squares
from rrp_pyomo.models import MeanCVaR
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty import Wasserstein

LESSON = Lesson(9, "Distributions")


def _cvar(losses: Iterable[float], p: FloatArray, alpha: float) -> float:
    """The mean of the worst α of a loss: min over τ of τ + E(L − τ)₊/α, at one of the losses."""
    L = np.asarray(losses, dtype=float)
    excess = np.maximum(L[None, :] - L[:, None], 0.0) @ p
    return float((L + excess / alpha).min())


def _equal(n: int) -> FloatArray:
    return np.full(n, 1.0 / n)


def _ten() -> Data:
    returns = [0.02, -0.05, 0.01, -0.01, 0.03, -0.08, 0.00, -0.02, 0.04, 0.02]
    return {"returns": pd.Series(returns, range(1, 11)), "alpha": 0.25}


@LESSON.exercise(
    "A tail of two and a half months",
    """
    Ten months had the `returns` given here. What is CVaR_α of the *loss*, −returns, at the tail
    probability α = `alpha`: the mean of the worst quarter? The answer is a number.
    """,
    _ten,
)
def tail(answer: Any, data: Data) -> str:
    given = number(answer, "CVaR")
    L, alpha = np.sort(-data["returns"].to_numpy())[::-1], data["alpha"]
    right = _cvar(L, _equal(len(L)), alpha)
    require_close(
        given,
        right,
        "CVaR",
        "it is the mean over a probability of α: two months and half of the third",
        mistakes=[
            (float(L[2]), "that is the value at risk, where the tail begins; take the tail's mean"),
            (
                float(L[:2].mean()),
                "that is the mean of two months: half of the third belongs to it",
            ),
            (
                float(L[:3].mean()),
                "that is the mean of three months: of the third only half belongs to it",
            ),
            (float(L[0]), "that is the worst month alone"),
            (
                float(-L[2]),
                "that is a return, and where the tail begins; take the tail's mean loss",
            ),
            (float(L[:2].sum() + L[2] / 2), "that is a sum: divide by the 2.5 months of the tail"),
            (-right, "the loss is −returns: a positive CVaR is a loss"),
            (
                right * alpha,
                "divide by α: it is a mean of the tail, not its part of the whole mean",
            ),
            (
                _cvar(L, _equal(len(L)), 1 - alpha),
                "that is the mean of the worst 1 − α; α is the probability of the tail",
            ),
            (
                _cvar(-L, _equal(len(L)), alpha),
                "that is of the best months: the loss is −returns",
            ),
            (float(L[:2].sum() + L[2] / 2) / 3, "the tail has 2.5 months: divide by 2.5, not by 3"),
        ],
    )
    return f"({L[0]:.2f} + {L[1]:.2f} + ½ · {L[2]:.2f})/2.5 = {right:.4f}, {L[2]:.2f} being the VaR"


def _known_moments() -> Data:
    return {"mean": 0.01, "volatility": 0.04, "alpha": 0.1}


@LESSON.exercise(
    "The worst distribution of two moments",
    """
    Of a portfolio's return only `mean` and `volatility` are known. Find a distribution with these
    moments whose CVaR_α of the loss (minus the return), α = `alpha`, is as large as it can be. The
    answer is a dictionary from returns to their probabilities.
    """,
    _known_moments,
)
def worst_of_moments(answer: Any, data: Data) -> str:
    m, sigma, alpha = data["mean"], data["volatility"], data["alpha"]
    r, p = _distribution(answer)
    mean = float(p @ r)
    sd = float(np.sqrt(p @ (r - mean) ** 2))
    kappa = np.sqrt((1 - alpha) / alpha)
    most = -m + kappa * sigma
    require_close(
        mean,
        m,
        "the mean of your returns",
        "returns times their probabilities should sum to it",
        relative=1e-3 * sigma / m,
        mistakes=[(-m, "it has the wrong sign: returns are asked for, not losses")],
    )
    require_close(
        sd,
        sigma,
        "their standard deviation",
        "a point at m − κσ with probability α needs the other at m + σ/κ",
    )
    cvar = _cvar(-r, p, alpha)
    require_close(
        cvar,
        most,
        "CVaR",
        f"a distribution with these moments has {most:.4f}: put the tail's probability α on one "
        "return, and the rest on one other",
        mistakes=[
            (
                -m + 1 / kappa * sigma,
                "the two probabilities are interchanged: α is that of the low return",
            ),
            (-m + sigma, "half and half on m ± σ is the worst case for α = ½ only"),
        ],
    )
    return (
        f"mean {mean:.4f}, standard deviation {sd:.4f}, CVaR {cvar:.4f} = −m + κσ with "
        f"κ = √((1 − α)/α) = {kappa:.4f}"
    )


def _distribution(answer: Any) -> tuple[FloatArray, FloatArray]:
    """Values and probabilities of a mapping or Series."""
    if not isinstance(answer, Mapping | pd.Series) or not len(answer):
        raise WrongAnswer(
            "the answer should be a dictionary from returns to probabilities, such as "
            f"{{0.05: 0.5, -0.03: 0.5}}; given: {brief(answer)}"
        )
    try:
        r, p = (
            np.array(list(part), dtype=float) for part in (answer.keys(), dict(answer).values())
        )
    except (TypeError, ValueError):
        raise WrongAnswer(
            f"returns and probabilities should be numbers; given: {brief(answer)}"
        ) from None
    if not (np.isfinite(r).all() and np.isfinite(p).all()):
        raise WrongAnswer("returns and probabilities should be finite")
    _require_probabilities(p)
    return r, p


def _require_probabilities(p: FloatArray) -> None:
    if p.min() < -1e-9:
        raise WrongAnswer(f"a probability is negative: {p.min():.4g}")
    if (off := abs(p.sum() - 1)) > 2 * TOLERANCE:
        near = off < 0.01 and is_rounded(p)
        raise WrongAnswer(
            f"the probabilities sum to {p.sum():.6g}, not to 1"
            + (f": they look rounded, {UNROUNDED}" if near else "")
        )


def _twenty() -> Data:
    rng = np.random.default_rng(9)
    columns = ["A", "B", "C"]
    R = pd.DataFrame(rng.normal(0.005, [0.03, 0.05, 0.04], (20, 3)).round(3), columns=columns)
    weights = pd.Series([0.5, 0.2, 0.3], columns)
    return {"returns": R, "weights": weights, "epsilon": 0.002, "alpha": 0.1}


@LESSON.exercise(
    "Moving the tail",
    """
    Twenty equally likely scenarios, `returns`, are moved: scenario i by d_i, such that on average
    ‖d_i‖₂ is at most ε (`epsilon`). Move them such that CVaR_α of the loss of `weights`, −w'R,
    becomes as large as possible, α = `alpha`. The answer is the table of the moved returns.
    """,
    _twenty,
)
def moved(answer: Any, data: Data) -> str:
    R, w, eps, alpha = (data[k] for k in ("returns", "weights", "epsilon", "alpha"))
    given = matrix(answer, R.index, "the moved returns", R.columns)
    steps = np.linalg.norm((given - R).to_numpy(), axis=1)
    p = _equal(len(R))
    before, after = (_cvar(-(table @ w), p, alpha) for table in (R, given))
    most = before + eps / alpha * float(np.linalg.norm(w))
    if steps.mean() > eps * (1 + 1e-3):
        if np.linalg.norm(given.to_numpy(), axis=1).mean() <= eps * (1 + 1e-3):
            raise WrongAnswer("these are the moves d_i; add them to `returns`")
        raise WrongAnswer(
            f"the scenarios are moved by {steps.mean():.5f} on average, more than {eps:g}"
            + (
                "; the two worst may move by ε/α each, the others stay"
                if np.isclose(steps.max(), eps / alpha, rtol=1e-3)
                else ""
            )
        )
    require_close(
        after,
        most,
        "CVaR",
        _where_to_move(steps, given - R, w, eps),
        mistakes=[
            (before, "nothing that matters has moved: it is as large as before"),
            (
                before - eps / alpha * float(np.linalg.norm(w)),
                "the tail has moved along w, which is a gain: move it against w",
            ),
        ],
    )
    return (
        f"scenarios moved: {int((steps > 1e-9).sum())}, by up to {steps.max():.4f} and by "
        f"{steps.mean():.4f} on average; CVaR rises from {before:.5f} to {after:.5f}, by (ε/α)‖w‖₂"
    )


def _where_to_move(steps: FloatArray, d: pd.DataFrame, w: pd.Series, eps: float) -> str:
    if np.allclose(steps, steps.mean(), rtol=1e-3):
        return (
            "all scenarios move by the same, where those of the tail alone matter: let them move "
            "further, by ε/α, and leave the others where they are"
        )
    if steps.mean() < 0.999 * eps:
        return f"they move by {steps.mean():.5f} on average, and {eps:g} is allowed"
    along = -(d @ w).to_numpy() / (np.linalg.norm(w) * np.where(steps > 0, steps, 1.0))
    if along[steps > 1e-9].max() < 0:
        return "the scenarios move along w, which is a gain: move them against w"
    if along[steps > 1e-9].min() < 1 - 1e-4:
        return (
            "the direction costs too much: for a length measured by ‖·‖₂ the largest loss is "
            "against w itself, d = −s w/‖w‖₂"
        )
    return "only the tail counts: move the α of the scenarios with the largest losses −w'R"


def _wasserstein() -> Data:
    rng = np.random.default_rng(5)
    columns = ["A", "B", "C", "D"]
    scale = np.array([0.02, 0.03, 0.05, 0.06])
    common = rng.standard_t(4, (60, 1))
    R = 0.004 + 0.1 * scale + scale * (0.6 * common + rng.standard_normal((60, 4)))
    return {"returns": pd.DataFrame(R, columns=columns), "epsilon": 0.004, "alpha": 0.05}


@LESSON.exercise(
    "The worst CVaR of a ball of distributions",
    """
    Write a function of `(returns, epsilon, alpha)` that states: minimise over weights w ≥ 0 with
    1'w = 1 the largest CVaR_α(−w'R) of all distributions within ε of the scenarios `returns` (each
    equally likely) in the Wasserstein distance of order 1 with ‖·‖₂. It returns a `Program` or a
    `pyo.ConcreteModel` with one variable `w` for each column. The answer is the function. It is
    tried on other data, too.
    """,
    _wasserstein,
    modelling=True,
)
def ball_of_distributions(answer: Any, data: Data) -> str:
    R, eps, alpha = data["returns"], data["epsilon"], data["alpha"]
    other = R.iloc[:37, :3].rename(columns={"A": "x", "B": "y", "C": "z"})
    first = _require_ball(answer, R, eps, alpha, "the worst CVaR is min over τ of τ + mean(−w'R − "
                          "τ)₊/α, plus (ε/α)‖w‖₂")  # fmt: skip
    second = _require_ball(
        answer, 1.5 * other, 0.001, 0.1, "right for the data of the exercise: does the function "
        "use one of its numbers, such as 60, 0.05 or 0.004, in the place of its arguments, or a "
        "bound that is not asked for?"
    )  # fmt: skip
    return (
        f"solved for two sets of scenarios: the worst CVaRs are {first:.5f} and {second:.5f}, and "
        "no weights have smaller ones"
    )


def _require_ball(answer: Any, R: pd.DataFrame, eps: float, alpha: float, hint: str) -> float:
    """The worst CVaR of the model's weights; they are the best ones."""
    weights = weights_of(stated(answer, R, eps, alpha), R.columns)
    if np.abs(weights).max() < 1e-6:
        raise WrongAnswer("all weights are 0: without 1'w = 1 nothing is held, and nothing lost")
    require_budget(weights)
    require_long_only(weights)

    def worst(w: pd.Series) -> float:
        return _cvar(-(R @ w), _equal(len(R)), alpha) + eps / alpha * float(np.linalg.norm(w))

    right = worst(MeanCVaR(Wasserstein(R, eps), alpha=alpha).solve().weights)
    if worst(weights) <= right * (1 + 1e-5):
        return worst(weights)
    tail = "α and 1 − α are interchanged: α is the probability of the tail"
    charge, first = eps / alpha, _wasserstein()
    mistakes: list[tuple[Any, float, Callable[[Variable], Any], str]] = [
        (R, alpha, lambda w: 0 * w.sum(), "(ε/α)‖w‖₂ is missing or constant: right for ε = 0"),
        (R, alpha, lambda w: eps * norm(w), "the charge is (ε/α)‖w‖₂, not ε‖w‖₂"),
        (R, alpha, lambda w: charge * sum_squares(w), "the charge is (ε/α)‖w‖₂, without a square"),
        (R, 1 - alpha, lambda w: eps / (1 - alpha) * norm(w), tail),
        (R, 1 - alpha, lambda w: charge * norm(w), tail),
        (
            R,
            alpha,
            lambda w: eps / (1 - alpha) * norm(w),
            "the charge is (ε/α)‖w‖₂ with the tail's α, not 1 − α",
        ),
        (
            R,
            alpha,
            lambda w: charge * norm(w, np.inf),
            "the largest weight is charged, as for distances by ‖·‖₁; ‖·‖₂ is its own dual",
        ),
        (-R, alpha, lambda w: charge * norm(w), "the loss is −w'R: these are the best months"),
        (
            R,
            alpha / len(R),
            lambda w: charge * norm(w),
            "the excesses are to be averaged, not added",
        ),
        (
            R,
            first["alpha"],
            lambda w: first["epsilon"] / first["alpha"] * norm(w),
            "these are for the radius and the tail of the exercise: use the function's arguments",
        ),
        (R, 1.0, lambda w: charge * norm(w), "the mean of the excesses is to be divided by α"),
        (
            R,
            max(int(alpha * len(R)), 1) / len(R),
            lambda w: charge * norm(w),
            f"the tail has {alpha * len(R):g} scenarios, the last of them in part",
        ),
    ]
    told = next(
        (
            text
            for *case, text in mistakes
            if np.abs(_least(*case) - weights.to_numpy()).max() < 1e-3
        ),
        hint,
    )
    raise WrongAnswer(
        f"with {len(R)} scenarios the worst CVaR of the model's weights is {worst(weights):.5f}, "
        f"and {right:.5f} can be had: {told}"
    )


def _least(R: pd.DataFrame, tail: float, charge: Callable[[Variable], Any]) -> FloatArray:
    """The long-only weights of least CVaR at this tail plus this charge."""
    program = Program("least")
    w = program.variable("w", len(R.columns), lower=0)
    losses: Any = -(R.to_numpy() @ w)
    program.minimize(cvar(losses, tail) + charge(w))
    program.subject_to(fully_invested=w.sum() == 1)
    return np.asarray(solve_program(program).arrays["w"])


def _eight() -> Data:
    losses = [0.06, -0.02, 0.01, -0.03, 0.03, -0.01, -0.04, 0.00]
    return {"losses": pd.Series(losses, list("abcdefgh")), "eta": 0.2}


@LESSON.exercise(
    "The worst probabilities",
    """
    Eight scenarios with the `losses` given are equally likely, p̂_i = 1/8. Of all probabilities with
    Σ p_i log(p_i/p̂_i) ≤ η (`eta`), which have the largest mean loss? The answer is a probability
    for each scenario.
    """,
    _eight,
)
def tilted(answer: Any, data: Data) -> str:
    L, eta = data["losses"].to_numpy(), data["eta"]
    p = vector(answer, data["losses"].index, "the probabilities").to_numpy()
    _require_probabilities(p)
    p, p0 = p / p.sum(), _equal(len(L))
    divergence = _divergence(p, p0)

    def bound(log_t: float) -> float:
        t = np.exp(log_t)
        return float(t * eta + t * logsumexp(L / t, b=p0))

    best = minimize_scalar(bound, bounds=(-12, 3), options={"xatol": 1e-10})
    t, most, mean = float(np.exp(best.x)), float(best.fun), float(p @ L)
    right = np.exp(L / t) / np.exp(L / t).sum()
    if np.abs(p - right).max() > 1e-3 and np.allclose(np.sort(p), np.sort(right), atol=1e-3):
        raise WrongAnswer("the right numbers in another order: the largest loss is the likeliest")
    order = np.corrcoef(L, np.log(np.maximum(p, 1e-300)))[0, 1] if np.ptp(p) > 1e-12 else 0.0
    if divergence > eta * (1 + 1e-3):
        told = ""
        if abs(_divergence(p0, p) - eta) < 1e-3:
            told = "; Σ p̂ log(p̂/p) is η, but the other one is asked for"
        elif order > 0.999:
            told = "; they are proportional to e^(loss/t): a larger t brings them nearer to p̂"
        raise WrongAnswer(f"Σ p log(p/p̂) = {divergence:.4f} is more than {eta:g}{told}")
    if most - mean > 1e-4 * (most - L.mean()):
        told = "they should be proportional to e^(loss/t), with one t for all"
        if divergence < 1e-9:
            told = "these are p̂ itself"
        elif order < -0.999:
            told = "the probabilities are proportional to e^(−loss/t): the sign is wrong"
        elif order > 0.999:
            told = (
                f"Σ p log(p/p̂) = {divergence:.4f} is less than η: a smaller t in e^(loss/t) tilts "
                "them more"
            )
        raise WrongAnswer(f"the mean loss is {mean:.6f}, and {most:.6f} can be had: {told}")
    return (
        f"Σ p log(p/p̂) = {divergence:.4f}, the mean loss is {mean:.6f} and, by duality, at most "
        f"{most:.6f}; t = {t:.5f}"
    )


def _divergence(p: FloatArray, q: FloatArray) -> float:
    """Σ p log(p/q), infinite where q has no probability and p has."""
    held = p > 0
    if (q[held] <= 0).any():
        return float("inf")
    return float(p[held] @ np.log(p[held] / q[held]))
