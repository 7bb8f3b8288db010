"""The exercises of lesson 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.answers import (
    ANOTHER_ORDER,
    TOLERANCE,
    is_permuted,
    known_portfolio,
    number,
    require_budget,
    require_close,
    require_contributions,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.lesson02 import TWO, industries
from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.modeling import log, norm
from rrp_pyomo.models import RiskParitySOCP
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

LESSON = Lesson(3, "From (3) and (4) to (11)")


def _budgeted() -> Data:
    """The six industries, with half of the risk in the first two."""
    covariance = industries()["covariance"]
    budgets = [1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8]
    return {"covariance": covariance, "budgets": pd.Series(budgets, covariance.index)}


def _stocks_and_bonds() -> Data:
    sigma = np.array([0.15, 0.05])
    correlations = np.array([[1.0, 0.2], [0.2, 1.0]])
    return {"covariance": pd.DataFrame(correlations * np.outer(sigma, sigma), TWO, TWO)}


def _barrier() -> Data:
    """The sum of the positions that minimise the log form with b_i = 1/n, of a monthly Σ."""
    covariance = DenseCovariance(industries()["covariance"])
    parity = RiskParitySOCP(covariance).solve("newton")
    return {"total": float(1 / parity.volatility), "assets": covariance.size}


def _floor() -> Data:
    covariance = industries()["covariance"]
    parity = RiskParitySOCP(DenseCovariance(covariance)).solve("newton").weights
    return {"covariance": covariance, "floor": float(np.log(parity).sum()) - 1.0}


@LESSON.exercise(
    "How far equal weights are",
    """
    What is the smallest value that the objective p − t of (11) can take for equal weights of the
    six industries with the given `covariance`?
    """,
    industries,
)
def gap_of_equal_weights(answer: Any, data: Data) -> str:
    given = number(answer, "p − t")
    Sigma = data["covariance"].to_numpy()
    n = len(Sigma)
    x = np.full(n, 1 / n)
    R = x * (Sigma @ x)
    p, t = float(np.sqrt(R.mean())), float(np.sqrt(R.min()))
    geometric = float(np.exp(np.log(R).mean() / 2))
    require_close(
        given,
        p - t,
        "p − t",
        "p² is the mean of the contributions x_i z_i, and t² the smallest of them",
        mistakes=[
            (np.sqrt(R.sum()) - t, "the root of n is missing: √n p is the volatility"),
            (p**2 - t**2, "that is p² − t²; take the roots first"),
            (np.sqrt(p**2 - t**2), "that is √(p² − t²)"),
            (p - np.sqrt(R.max()), "t² is at most every x_i z_i, so at most the smallest"),
            (np.sqrt(R.max()) - t, "that is the largest root less the smallest; p² is the mean"),
            (p - geometric, "t² is at most the smallest x_i z_i; you took their geometric mean"),
            (p - np.sqrt(R).min() / np.sqrt(n), "t is no sum: no root of n belongs to it"),
            (p - np.sqrt((Sigma @ x).min()), "t² is at most x_i z_i; the weight is missing"),
            (p - float(np.sqrt(Sigma.diagonal().min())) / n, "t² has x_i z_i with z = Σx, all "
             "covariances, not variances alone"),
            (1 - t / p, "that is (p − t)/p"),
            (p, "that is p"),
            (t, "that is t"),
            (0.0, "that is the value of risk parity; equal weights are not"),
        ],
    )  # fmt: skip
    return f"p = {p:.5f}, t = {t:.5f}: the smallest contribution is {(t / p) ** 2:.2f} of the mean"


@LESSON.exercise(
    "Newton's method with budgets",
    """
    Use the ten lines of Newton's method so that the risk contributions of the six industries are
    in the proportions of `budgets`. Which weights, long-only and of sum 1, are these?
    """,
    _budgeted,
)
def newton_with_budgets(answer: Any, data: Data) -> str:
    covariance, b = DenseCovariance(data["covariance"]), data["budgets"]
    weights = vector(answer, covariance.labels)
    require_long_only(weights)
    if weights.abs().max() <= TOLERANCE:
        raise WrongAnswer("all weights are 0")
    R = weights * covariance.marginal_risk(weights)
    shares = R / R.sum()
    budgeted = (shares - b).abs().max() < TOLERANCE
    require_budget(weights, so_far="contributions are as budgeted, but " if budgeted else "")
    if (shares - 1 / len(b)).abs().max() < 1e-3:
        raise WrongAnswer("contributions are equal; b_i multiplies log y_i in the objective")
    sigma = covariance.volatilities()
    for other, told in (
        (b, "weights are the budgets; it is risks that are budgeted"),
        (b / sigma, "weights are b/σ, divided by their sum; that ignores correlations"),
        (
            np.sqrt(b) / sigma,
            "weights are √b/σ, divided by their sum: the start of Newton's method",
        ),
        (_squared_budgets(covariance, b), "contributions are in proportion to b²"),
    ):
        if (weights - other / other.sum()).abs().max() < TOLERANCE:
            raise WrongAnswer(told)
    require_contributions(weights, covariance, b)
    volatility = covariance.variance(weights) ** 0.5
    return f"contributions are as budgeted; y sums to 1/volatility = {1 / volatility:.2f}"


@LESSON.exercise(
    "(3) is not convex",
    """
    `covariance` is that of stocks and bonds. Prove that the objective of (3) is not convex in the
    weights of sum 1: find two weights of *stocks* between 0 and 1, such that the objective half-way
    is larger than the mean of the objectives at the two. (A pair of numbers.)
    """,
    _stocks_and_bonds,
)
def nonconvex(answer: Any, data: Data) -> str:
    if isinstance(answer, Mapping | pd.Series):
        answer = list(answer.values()) if isinstance(answer, Mapping) else answer.tolist()
    pair = vector(answer, ["one", "the other"], "the weights of stocks").tolist()
    if min(pair) < 0 or max(pair) > 1:
        inside = " (they seem to be per cent)" if min(pair) >= 0 and 2 < max(pair) <= 100 else ""
        raise WrongAnswer(
            f"weights of stocks are between 0 and 1; given: {pair[0]:g} and {pair[1]:g}{inside}"
        )
    if abs(pair[0] - pair[1]) < 1e-3:
        raise WrongAnswer("the two weights are the same, to 0.001; half-way is nothing new then")
    Sigma = data["covariance"].to_numpy()

    def objective(stocks: float) -> float:
        x = np.array([stocks, 1 - stocks])
        R = x * (Sigma @ x)
        return float(2 * (R[0] - R[1]) ** 2)

    middle, mean = objective(sum(pair) / 2), (objective(pair[0]) + objective(pair[1])) / 2
    if middle <= mean * (1 + 1e-9):
        parity, low, h = 0.25, min(pair), 1e-4
        if low < parity < max(pair):
            where = "on both sides of parity"
        elif objective(low) + objective(low + 2 * h) < 2 * objective(low + h):
            where = "too far apart, for the objective is convex at one and not at the other"
        else:
            where = "where the objective is convex"
        raise WrongAnswer(
            f"half-way the objective is {middle:.3g}, not more than the mean {mean:.3g} of the "
            f"two; they are {where}: look for a piece of its graph that bends down, such as where "
            "there are nearly bonds only"
        )
    return f"{middle:.4g} half-way is more than {mean:.4g}, the mean of the two"


@LESSON.exercise(
    "What the sum of y says",
    """
    Somebody minimised ½ y'Σy − Σ_i b_i log y_i with b_i = 1/6 for six assets, where Σ has variances
    per month, and kept only the sum of the y_i, `total`. What is the volatility per *year* of the
    risk parity portfolio?
    """,
    _barrier,
)
def what_the_sum_says(answer: Any, data: Data) -> str:
    given, total = number(answer, "the volatility"), data["total"]
    month = 1 / total
    require_close(
        given,
        month * np.sqrt(12),
        "the volatility",
        "y has a volatility that the equations y_i (Σy)_i = b_i give; x = y/1'y",
        mistakes=[
            (month, "that is of a month; a year has √12 times the volatility"),
            (12 * month, "that is 12 times the volatility of a month; volatilities grow by √12"),
            (total, "that is the sum of y; x = y/1'y is shorter than y by this factor"),
            (total * np.sqrt(12), "y was shortened to get x, so divide by its sum"),
            (np.sqrt(12 / total), "the volatility, not the variance, shrinks with the weights"),
            (12 / total**2, "that is the variance of a year"),
            (np.sqrt(12 * data["assets"]) / total, "the contributions of y sum to Σ b_i = 1, not "
             "to n"),
            (np.sqrt(12 / data["assets"]) / total, "the contributions of y are 1/6 each; all of "
             "them sum to 1"),
        ],
    )  # fmt: skip
    return f"y has volatility 1, so x = y/1'y has 1/{total:.2f} a month"


@LESSON.exercise(
    "The price of spreading",
    """
    Minimise the volatility of long-only weights of sum 1 with the given `covariance` that are
    spread at least so much that the *sum* of log x_i is `floor`, which is one less than that of
    risk parity.
    """,
    _floor,
)
def price_of_spreading(answer: Any, data: Data) -> str:
    covariance, floor = DenseCovariance(data["covariance"]), data["floor"]
    weights = vector(answer, covariance.labels)
    require_budget(weights)
    require_long_only(weights)
    if weights.min() <= 0:
        raise WrongAnswer(f"{weights.idxmin()!r} has weight 0, and so the sum of log x_i is −∞")
    n, reached = covariance.size, float(np.log(weights).sum())
    marginal = covariance.marginal_risk(weights)
    shares = weights * marginal / (weights * marginal).sum()
    if (shares - 1 / n).abs().max() < 1e-3:
        raise WrongAnswer(
            "this is risk parity, which is spread more than it has to be: its sum of log x_i is "
            f"{reached:.4f}, and {floor:.4f} is allowed"
        )
    if reached < floor - 1e-3:
        told = f"the sum of log x_i is {reached:.4f}, less than {floor:.4f}"
        if abs(reached / n - floor) < 0.05:
            told += "; it is the sum that has a floor, not the mean"
        raise WrongAnswer(told)
    if reached > floor + 1e-3:
        name = known_portfolio(weights, covariance)
        told = f"these are {name}; " if name else ""
        if abs(reached / n - floor / n**2) < 0.01:
            told = "the floor seems to be on the mean of log x_i; "
        raise WrongAnswer(
            f"{told}the sum of log x_i is {reached:.4f}, more than {floor:.4f}: there is room left "
            "to lower the volatility"
        )
    # Stationary: Σx = λ/x + ν, for a λ ≥ 0.
    A = np.column_stack([1 / weights, np.ones(n)])
    multipliers = np.linalg.lstsq(A, marginal.to_numpy())[0]
    residual = float(np.abs(A @ multipliers - marginal).max() / marginal.abs().max())
    if residual > 1e-3 or multipliers[0] < 0:
        if is_permuted(weights, _least_volatile(covariance, floor)):
            raise WrongAnswer(ANOTHER_ORDER)
        raise WrongAnswer(
            "weights are spread as asked, but their volatility "
            f"{covariance.variance(weights) ** 0.5:.6f} is not the least: Σx should be λ/x + ν for "
            f"some λ ≥ 0 and ν, and is {100 * residual:.2g} % off"
            + ("; a solver that stopped early? Scale the data" if residual < 0.02 else "")
        )
    return (
        f"Σx = λ/x + ν with λ > 0: no weights that are spread so have less volatility than "
        f"{covariance.variance(weights) ** 0.5:.5f}"
    )


def _least_volatile(covariance: DenseCovariance, floor: float) -> pd.Series:
    """The weights asked for, to tell whether others are these in another order."""
    program = Program("spread")
    x = program.variable("x", covariance.labels, lower=0)
    program.minimize(norm(np.asarray(covariance.root) / covariance.mean_row_sum**0.5 @ x))
    program.subject_to(fully_invested=x.sum() == 1, spread=log(x).sum() >= floor)
    weights: pd.Series = solve_program(program).values["x"]
    return weights


def _squared_budgets(covariance: DenseCovariance, b: pd.Series) -> pd.Series:
    squared = b**2 / (b**2).sum()
    return RiskParitySOCP(covariance, squared).solve("newton").weights
