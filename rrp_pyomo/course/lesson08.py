"""The exercises of lesson 8: those of a textbook's chapter, with the right answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from rrp_pyomo.course.answers import require_all_close, require_budget, require_close, vector
from rrp_pyomo.course.by_hand import (
    best_in_ball,
    best_of_two,
    charge_of_both,
    other_way_round,
    with_budget,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.programs import stated, weights_of
from rrp_pyomo.linalg import FloatArray

LESSON = Lesson(8, "Robust mean–variance and a textbook's exercises")

ASSETS = ["A", "B"]
MEAN = pd.Series([0.08, 0.12], ASSETS)
SIGMA = pd.DataFrame([[0.04, 0.01], [0.01, 0.09]], ASSETS, ASSETS)


def _example() -> Data:
    return {"mean": MEAN, "covariance": SIGMA, "risk_aversion": 2.0, "kappa": 0.5}


@LESSON.exercise(
    "A budget, and means in an ellipsoid",
    """
    The `mean` of two assets is only known to be in {μ : (μ − μ̂)'Σ⁻¹(μ − μ̂) ≤ κ²}, with Σ their
    `covariance` and κ = `kappa`. Which weights with 1'w = 1, short ones allowed, have the largest
    worst case of w'μ − (λ/2) w'Σw, λ being `risk_aversion`? The answer is weights by asset.
    """,
    _example,
)
def ellipsoid_and_budget(answer: Any, data: Data) -> str:
    mu, S = data["mean"].to_numpy(), data["covariance"].to_numpy()
    aversion, kappa = data["risk_aversion"], data["kappa"]
    weights = vector(answer, data["mean"].index)
    w = weights.to_numpy()
    free = np.linalg.solve(S, mu) / aversion
    shrunk = max(0.0, 1 - kappa / np.sqrt(mu @ np.linalg.solve(S, mu))) * free
    if np.abs(w - shrunk).max() < 1e-3:
        raise WrongAnswer(
            f"these are right if the rest, {1 - w.sum():.3f}, may be held in cash; with 1'w = 1 "
            "there is none"
        )
    require_budget(weights)

    def excess(s: float) -> float:
        x = with_budget(mu, S, aversion + kappa / s)
        return float(np.sqrt(x @ S @ x)) - s

    s = brentq(excess, 1e-3, 10.0, xtol=1e-14)
    right = with_budget(mu, S, aversion + kappa / s)
    least = with_budget(0 * mu, S, 1.0)
    require_all_close(
        weights,
        pd.Series(right, weights.index),
        "the weights",
        _marginal_utilities(w, mu, S, aversion, kappa),
        mistakes=[
            (
                free / free.sum(),
                "these are the free weights divided by their sum. That is optimal for one risk "
                f"aversion only, 1'Σ⁻¹μ̂ = {np.linalg.solve(S, mu).sum():.4f}: the budget needs a "
                "multiplier",
            ),
            (
                with_budget(mu, S, aversion),
                "that is Markowitz's portfolio, right for κ = 0: the worst mean costs κ√(w'Σw)",
            ),
            (least, "that is the portfolio of least variance, which is right for κ → ∞"),
            (
                with_budget(mu, S, aversion + 2 * kappa),
                "is κ w'Σw charged? The worst mean costs its square root, κ√(w'Σw)",
            ),
            (
                with_budget(mu, S, aversion + kappa),
                "λ + κ is not the risk aversion of the answer: that is λ + κ/σ, σ its volatility",
            ),
            (
                best_of_two(lambda x: _utility(x, mu, S, aversion, kappa**2)),
                "the radius is κ, not κ²",
            ),
            (
                best_of_two(
                    lambda x: x @ mu - kappa * np.linalg.norm(S @ x) - aversion / 2 * x @ S @ x
                ),
                "‖Σw‖ is charged, which is √(w'Σ²w): take ‖Rw‖, with a root R of Σ, R'R = Σ",
            ),
            (
                best_of_two(
                    lambda x: x @ mu - kappa * np.linalg.norm(x) - aversion / 2 * x @ S @ x
                ),
                "κ‖w‖₂ is charged, which belongs to a ball; an ellipsoid costs κ√(w'Σw)",
            ),
            (
                best_of_two(lambda x: _utility(x, mu, S, aversion, -kappa)),
                "κ√(w'Σw) is added: the adversary takes it away",
            ),
            (
                best_of_two(lambda x: _utility(x, mu, S, 2 * aversion, kappa)),
                "the variance is charged λ times; it is λ/2",
            ),
            (
                best_of_two(lambda x: _utility(x, mu, S, 0.0, kappa)),
                "the variance, (λ/2) w'Σw, is missing",
            ),
        ],
    )
    worst = mu - kappa * S @ w / np.sqrt(w @ S @ w)
    return (
        f"({w[0]:.4f}, {w[1]:.4f}): at the worst mean ({worst[0]:.4f}, {worst[1]:.4f}) no shift "
        f"between the assets gains; the utility is {_utility(w, mu, S, aversion, kappa):.6f}, "
        f"{_utility(free / free.sum(), mu, S, aversion, kappa):.6f} with normalised weights"
    )


def _utility(x: FloatArray, mu: FloatArray, S: FloatArray, aversion: float, kappa: float) -> float:
    return float(x @ mu - kappa * np.sqrt(x @ S @ x) - aversion / 2 * x @ S @ x)


def _marginal_utilities(
    w: FloatArray, mu: FloatArray, S: FloatArray, aversion: float, kappa: float
) -> str:
    risk = np.sqrt(w @ S @ w)
    first, second = mu - kappa * S @ w / risk - aversion * S @ w
    return (
        "a little more of the first asset for the second changes the worst utility at a rate of "
        f"{first - second:+.4f}; at the optimum it is 0"
    )


def _ball() -> Data:
    return {"mean": MEAN, "covariance": SIGMA, "risk_aversion": 2.0, "delta": 0.08}


@LESSON.exercise(
    "Means in a ball",
    """
    Now the mean is in the ball ‖μ − μ̂‖₂ ≤ δ around `mean`, δ = `delta`, and nothing ties the sum of
    the weights: what is not invested is cash. Which weights maximise the worst case of
    w'μ − (λ/2) w'Σw? The answer is weights by asset.
    """,
    _ball,
)
def ball_without_budget(answer: Any, data: Data) -> str:
    mu, S = data["mean"].to_numpy(), data["covariance"].to_numpy()
    aversion, delta = data["risk_aversion"], data["delta"]
    weights = vector(answer, data["mean"].index)
    w = weights.to_numpy()
    right = best_in_ball(mu, S, aversion, delta)
    free = np.linalg.solve(S, mu) / aversion
    direction = free / np.linalg.norm(free)
    eye, size = np.eye(len(mu)), float(np.linalg.norm(w))
    slope = mu - aversion * S @ w - delta * (w / size if size else 0 * w)
    if abs(w.sum() - 1) < 1e-6:
        raise WrongAnswer("the weights sum to 1, and nothing asks for that: the rest is cash")
    hint = (
        f"the derivative of the worst utility there is ({slope[0]:.4f}, {slope[1]:.4f}); "
        "μ̂ − δ w/‖w‖ − λΣw should be 0 at your own w"
        if size
        else f"‖μ̂‖ = {np.linalg.norm(mu):.4f} > δ: a little of μ̂ gains at any μ of the ball"
    )
    require_all_close(
        weights,
        pd.Series(right, weights.index),
        "the weights",
        hint,
        mistakes=[
            (free, "that is Markowitz's portfolio, right for δ = 0"),
            (
                free - delta / aversion * np.linalg.solve(S, direction),
                "that has the direction of Markowitz's portfolio in the place of w/‖w‖. It is that "
                "of the answer itself, and they differ unless Σ⁻¹μ̂ is an eigenvector of Σ",
            ),
            (
                np.linalg.solve(aversion * S + delta / np.linalg.norm(free) * eye, mu),
                "(λΣ + (δ/ρ)I)⁻¹μ̂ is the form; ρ is the length of the answer, not of Markowitz's "
                "portfolio: find the ρ that agrees with itself",
            ),
            (
                (1 - delta / np.linalg.norm(mu)) * free,
                "the mean is shrunk towards zero; that is the answer only if Σ is a multiple of I",
            ),
            (
                np.linalg.solve(aversion * S + 2 * delta * eye, mu),
                "is δ‖w‖₂² charged? The worst mean costs δ‖w‖₂, without the square",
            ),
            (
                max(0.0, 1 - delta / np.sqrt(mu @ np.linalg.solve(S, mu))) * free,
                "that is right for the ellipsoid of shape Σ; the ball costs δ‖w‖₂",
            ),
            (2 * right, "the derivative of (λ/2) w'Σw is λΣw, not (λ/2) Σw"),
            (right / 2, "the derivative of (λ/2) w'Σw is λΣw, not 2λΣw"),
            (np.linalg.solve(aversion * S + delta * eye, mu), "Σ gets (δ/‖w‖)I, not δI"),
            (
                np.linalg.solve(S, mu - delta) / aversion,
                "each mean is lowered by δ, as in a box; in a ball they cannot all be so low",
            ),
            (best_in_ball(mu, S, aversion, delta**2), "the radius is δ, not δ²"),
        ],
    )
    return (
        f"with ρ = ‖w‖ = {size:.4f} the weights are (λΣ + (δ/ρ)I)⁻¹μ̂; the worst utility is "
        f"{w @ mu - delta * size - aversion / 2 * w @ S @ w:.5f}"
    )


def _statement() -> Data:
    return {"mean": MEAN, "covariance": SIGMA, "delta": 0.02, "risk_aversion": 2.0}


@LESSON.exercise(
    "The ball as a second-order cone program",
    """
    Write a function of `(mean, covariance, delta, risk_aversion)` that states the problem of
    exercise 8.2: maximise w'μ̂ − δ‖w‖₂ − (λ/2) w'Σw. It returns a `Program` or a
    `pyo.ConcreteModel` with one variable `w` for each label of `mean`; nothing ties their sum, and
    they may be short. The answer is the function. It is tried on other data, too.
    """,
    _statement,
    modelling=True,
)
def ball_as_a_model(answer: Any, data: Data) -> str:
    given = [data[name] for name in ("mean", "covariance", "delta", "risk_aversion")]
    mean = pd.Series([0.03, -0.02, 0.05], ["x", "y", "z"])
    # Small enough for weights beyond −1 and 1, which nothing forbids.
    root = np.array([[0.1, 0.025, 0.0], [0.0, 0.05, 0.01], [0.05, 0.0, 0.075]])
    other = [mean, pd.DataFrame(root.T @ root, mean.index, mean.index), 0.01, 3.0]
    values = [_require_ball_model(answer, *case) for case in (given, other)]
    return (
        f"solved for two markets: the worst utilities are {values[0]:.6f} and {values[1]:.6f}, "
        "and no weights have better ones"
    )


def _require_ball_model(
    answer: Any, mean: pd.Series, covariance: pd.DataFrame, delta: float, aversion: float
) -> float:
    """The worst utility of the model's weights; they are the best ones."""
    weights = weights_of(stated(answer, mean, covariance, delta, aversion), mean.index)
    mu, S, w = mean.to_numpy(), covariance.to_numpy(), weights.to_numpy()
    right = best_in_ball(mu, S, aversion, delta)

    def utility(x: FloatArray) -> float:
        return float(x @ mu - delta * np.linalg.norm(x) - aversion / 2 * x @ S @ x)

    best = utility(right)
    if best - utility(w) <= 1e-5 * best:
        return utility(w)
    of = f"for the means {', '.join(f'{v:g}' for v in mu)} "
    if abs(w.sum() - 1) < 1e-5:
        told = "the weights sum to 1: nothing asks for that here"
    elif w.min() > -1e-6 and right.min() < 0:
        told = (
            "no weight is short, and the best ones are: leave out w ≥ 0 (NonNegativeReals, lower=0)"
        )
    elif np.abs(w).max() < 1 + 1e-6 and np.abs(right).max() > 1.1:
        told = "no weight is beyond −1 or 1, and some of the best ones are: leave out such bounds"
    else:
        eye = np.eye(len(mu))
        told = _known_model(
            w,
            [
                (best_in_ball(mu, S, 2 * aversion, delta), "the variance counts twice: it is λ/2"),
                (best_in_ball(mu, S, aversion / 2, delta), "the variance is charged λ/4 times"),
                (np.linalg.solve(S, mu) / aversion, "δ‖w‖₂ is missing: these are Markowitz's"),
                (
                    best_in_ball(mu, S @ S, aversion, delta),
                    "‖Σw‖² is no variance: take ‖Rw‖² with R'R = Σ",
                ),
                (
                    best_in_ball(mu, other_way_round(S), aversion, delta),
                    "‖Lw‖² with Σ = LL' is w'L'Lw; the variance is ‖L'w‖²",
                ),
                (
                    best_in_ball(mu, S, 2.0, 0.02),
                    "they are for λ = 2 and δ = 0.02: use the function's arguments",
                ),
                (
                    best_in_ball(mu, S, 2.0, delta),
                    "they are for λ = 2: use the function's arguments",
                ),
                (
                    best_in_ball(mu, S, aversion, 0.02),
                    "they are for δ = 0.02: use the function's arguments",
                ),
                (
                    np.linalg.solve(aversion * S + 2 * delta * eye, mu),
                    "the norm is squared: δ‖w‖₂² is ridge",
                ),
                (
                    best_in_ball(mu, S, aversion, delta**2),
                    "the norm is charged δ² times: δ belongs inside the cone once, ‖δw‖₂ ≤ …",
                ),
            ],
        )
    raise WrongAnswer(
        f"{of}the worst utility of the model's weights is {utility(w):.6f}, and {best:.6f} can be "
        f"had: {told}"
    )


def _known_model(w: FloatArray, mistakes: list[tuple[FloatArray, str]]) -> str:
    return next(
        (told for x, told in mistakes if np.abs(w - x).max() < 1e-3 * np.abs(x).max() + 1e-6),
        "write it down term by term: mean, δ times the length of w, λ/2 times the variance",
    )


SETS = ["norm 1", "norm 2", "norm inf", "both"]


def _penalties() -> Data:
    weights = pd.Series([0.5, 0.4, -0.2, 0.3], ["A", "B", "C", "D"])
    return {"weights": weights, "delta": 0.02, "half_width": 0.011, "sets": SETS}


@LESSON.exercise(
    "What a set charges",
    """
    How much can the mean return of `weights` fall, the largest of −w'(μ − μ̂), if μ is in a ball
    ‖μ − μ̂‖_q ≤ δ (`delta`) of norm q = 1, 2 or ∞, called `"norm 1"`, `"norm 2"` and `"norm inf"`?
    And if it is in the ball of norm 2 *and* in the box |μ_i − μ̂_i| ≤ `half_width`, called `"both"`?
    The answer is four numbers, by these names (`sets`).
    """,
    _penalties,
)
def charges(answer: Any, data: Data) -> str:
    given = vector(answer, SETS, "the charges")
    a, delta, width = np.abs(data["weights"].to_numpy()), data["delta"], data["half_width"]
    l1, l2, most = delta * a.sum(), delta * float(np.linalg.norm(a)), delta * a.max()
    box = width * a.sum()
    net = delta * float(data["weights"].sum())
    dual = "a set given by a norm is charged by its dual norm, δ‖w‖_*"
    for name, right, known in (
        ("norm 1", most, {l1: f"that is δ‖w‖₁; {dual}", l2: f"that is δ‖w‖₂; {dual}"}),
        ("norm 2", l2, {l1: f"that is δ‖w‖₁; {dual}", delta * float(a @ a): "the norm is squared"}),
        ("norm inf", l1, {most: f"that is δ‖w‖_∞; {dual}", net: "a short position can lose, too"}),
    ):
        _require_charge(given, name, right, [(right / delta, "δ is missing"), *known.items()])
    right, deviation = charge_of_both(a, delta, width)
    _require_charge(
        given,
        "both",
        right,
        [
            (l2, "that is the charge of the ball alone; its worst point is outside the box"),
            (box, "that is the charge of the box alone; its worst point is outside the ball"),
            (
                l2 + box,
                "charges add up for a *sum* of sets; of an intersection the charge is never above "
                "the smaller one",
            ),
            (
                (l2 + box) / 2,
                "the charge is no average: it is the least of π₁(u) + π₂(v) with u + v = w",
            ),
        ],
    )
    return (
        f"the dual norms give {most:.5f}, {l2:.5f} and {l1:.5f}; both together {right:.5f}, less "
        f"than ball and box alone ({l2:.5f} and {box:.5f}); the box holds "
        f"{int((deviation >= width).sum())} of the four deviations"
    )


def _require_charge(
    given: pd.Series, name: str, right: float, mistakes: list[tuple[float, str]]
) -> None:
    require_close(
        float(given[name]),
        right,
        f"the charge of {name!r}",
        "find the worst deviation first: it is in the set, and against the weights",
        mistakes=mistakes,
    )


def _views() -> Data:
    return {
        "covariance": SIGMA,
        "market": pd.Series([0.6, 0.4], ASSETS),
        "risk_aversion": 2.0,
        "tau": 0.05,
        "view": 0.12,
    }


@LESSON.exercise(
    "Black–Litterman with a budget",
    """
    The `market` weights are optimal for means π = λΣw. The means are μ ~ N(π, τΣ), and there is one
    view: the second asset's mean is `view`, up to an error of variance τΣ₂₂. Which weights with
    1'w = 1, short ones allowed, maximise w'μ̄ − (λ/2) w'Σw, μ̄ being the posterior mean? The answer
    is weights by asset, to four digits.
    """,
    _views,
)
def black_litterman(answer: Any, data: Data) -> str:
    S, market = data["covariance"].to_numpy(), data["market"].to_numpy()
    aversion, tau = data["risk_aversion"], data["tau"]
    weights = vector(answer, data["market"].index)
    prior = aversion * S @ market
    surprise = data["view"] - prior[1]

    def posterior(view_variance: float) -> FloatArray:
        return np.asarray(prior + tau * S[:, 1] * surprise / (tau * S[1, 1] + view_variance))

    mean = posterior(tau * S[1, 1])
    free = np.linalg.solve(S, mean) / aversion
    predictive = S + tau * S - tau**2 * np.outer(S[:, 1], S[:, 1]) / (2 * tau * S[1, 1])
    if np.abs(weights.to_numpy() - free).max() < 1e-3:
        raise WrongAnswer(
            f"these are the weights without a budget; they sum to {free.sum():.4g}, not to 1"
        )
    require_budget(weights)
    right = with_budget(mean, S, aversion)
    replaced = np.array([prior[0], data["view"]])
    require_all_close(
        weights,
        pd.Series(right, weights.index),
        "the weights",
        f"the posterior mean is μ̄ = π + τΣp'(q − pπ)/(pτΣp' + τΣ₂₂) with the "
        f"view pμ = q, p = (0, 1), and π = "
        f"({prior[0]:.3f}, {prior[1]:.3f}); then the weights are Σ⁻¹(μ̄ − ν1)/λ",
        relative=1e-4,
        mistakes=[
            (
                free / free.sum(),
                "these are the free weights divided by their sum, which is not optimal among "
                "weights that sum to 1",
            ),
            (market, "these are the market's weights: the view is missing"),
            (
                with_budget(mean, predictive, aversion),
                "that takes the predictive covariance, Σ and the posterior's; here risk is w'Σw",
            ),
            (
                with_budget(posterior(0.0), S, aversion),
                "the view is taken as certain; its error has the variance τΣ₂₂",
            ),
            (
                with_budget(replaced, S, aversion),
                "the view replaces one mean; the other one moves, too, by their covariance",
            ),
            (
                with_budget(np.array([prior[0], mean[1]]), S, aversion),
                "the first mean moves, too: by τΣ₁₂ times the surprise over its variance",
            ),
            (
                with_budget(posterior(S[1, 1]), S, aversion),
                "the view's variance is τΣ₂₂, not Σ₂₂",
            ),
            (
                with_budget(mean, S, 2 * aversion),
                "the variance is charged λ times; it is λ/2",
            ),
        ],
    )
    return (
        f"the posterior mean is ({mean[0]:.3f}, {mean[1]:.3f}), and the weights are "
        f"({right[0]:.4f}, {right[1]:.4f})"
    )
