"""The exercises of lesson 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.answers import (
    ANOTHER_ORDER,
    TOLERANCE,
    UNROUNDED,
    is_permuted,
    is_rounded,
    known_portfolio,
    number,
    require_all_close,
    require_budget,
    require_close,
    require_contributions,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.lesson01 import sixty_months
from rrp_pyomo.data import DenseCovariance, FactorModel
from rrp_pyomo.models import RiskParitySOCP

LESSON = Lesson(2, "Risk contributions and why parity")

TWO = ["stocks", "bonds"]


def _two_assets() -> Data:
    """Volatilities of a year, and the classical 60/40."""
    return {
        "volatilities": pd.Series([0.15, 0.05], TWO),
        "correlation": 0.2,
        "weights": pd.Series([0.6, 0.4], TWO),
    }


def _two_budgets() -> Data:
    return {
        "volatilities": pd.Series([0.15, 0.05], TWO),
        "correlation": 0.4,
        "budgets": pd.Series([0.2, 0.8], TWO),
    }


def industries() -> Data:
    """The covariance matrix of lesson 1, multiplied out."""
    given = sixty_months()
    return {"covariance": FactorModel.fit(given["returns"], given["factors"]).covariance.matrix()}


def _with_copy() -> Data:
    """The six industries, and energy once more under another name."""
    six = industries()["covariance"]
    seven = six.reindex(index=[*six, "copy"], columns=[*six, "copy"])
    seven["copy"] = seven["Enrgy"]
    seven.loc["copy"] = seven.loc["Enrgy"]
    seven.loc["copy", "copy"] = six.loc["Enrgy", "Enrgy"]
    return {"covariance": seven}


@LESSON.exercise(
    "Sixty to forty",
    """
    Stocks and bonds have the given `volatilities` and `correlation`; `weights` has 60 % of stocks.
    What proportion of the portfolio's variance is the risk contribution of stocks? (A decimal.)
    """,
    _two_assets,
)
def sixty_to_forty(answer: Any, data: Data) -> str:
    given = number(answer, "the proportion")
    sigma, x, rho = data["volatilities"], data["weights"], data["correlation"]
    y = sigma * x
    cross = rho * float(y.prod())
    own = (y**2).to_numpy()
    variance = float(own.sum() + 2 * cross)
    right = (own[0] + cross) / variance
    require_close(
        given,
        right,
        "the proportion",
        "R = x₁(x₁σ₁² + x₂ρσ₁σ₂), divided by the variance of the portfolio",
        mistakes=[
            (own[0] / variance, "the covariance with bonds is missing: R₁ = x₁²σ₁² + x₁x₂ρσ₁σ₂"),
            (own[0] / own.sum(), "this is right for assets that are not correlated; R₁ = x₁²σ₁² + "
             "x₁x₂ρσ₁σ₂"),
            ((own[0] + 2 * cross) / variance, "the covariance counts twice for stocks and not at "
             "all for bonds; each has x₁x₂ρσ₁σ₂ once"),
            (y.iloc[0] / y.sum(), "proportions of the volatilities x_iσ_i; contributions are to "
             "the variance of the portfolio, with the covariance"),
            (own[0] + cross, "that is the contribution itself; divide it by the variance"),
            ((own[0] + cross) / np.sqrt(variance), "that is the contribution to the volatility; "
             "divide once more by the volatility"),
            ((own[1] + cross) / variance, "that is the proportion of bonds"),
            ((own[0] / x.iloc[0] + cross / x.iloc[0]) / variance, "that is the marginal risk over "
             "the variance; multiply it by the weight"),
            (x.iloc[0], "that is the weight of stocks, not their risk"),
            ((own[0] + cross / np.prod(sigma)) / (own.sum() + 2 * cross / np.prod(sigma)), "the "
             "correlation was taken for the covariance, which is ρσ₁σ₂"),
        ],
    )  # fmt: skip
    return f"60 % of wealth, {100 * right:.1f} % of the variance"


@LESSON.exercise(
    "Two assets and two budgets",
    """
    Which long-only weights of stocks and bonds have risk contributions in the proportions of
    `budgets`, 20 % and 80 % of the variance, for the given `volatilities` and `correlation`?
    """,
    _two_budgets,
)
def two_budgets(answer: Any, data: Data) -> str:
    budgets, sigma = data["budgets"], data["volatilities"]
    weights, covariance = vector(answer, TWO), _covariance_of_two(data)
    budgeted = (_shares(weights, covariance) - budgets).abs().max() < TOLERANCE
    require_budget(weights, so_far="contributions are as budgeted, but " if budgeted else "")
    require_long_only(weights)
    for b, told in (
        (budgets, "weights are the budgets; risks are to be in this proportion, not wealth"),
        (budgets / sigma, "weights are in proportion to b/σ, which makes the x_iσ_i proportional "
         "to the budgets; contributions are quadratic"),
        (np.sqrt(budgets) / sigma, "weights are in proportion to √b/σ, which is right for assets "
         "that are not correlated; solve u² + ρ(1 − k)u − k = 0 for u = x₁σ₁/(x₂σ₂), k = b₁/b₂"),
        (budgets[::-1].to_numpy() / sigma, "weights are in proportion to b/σ, with the budgets "
         "interchanged"),
        (pd.Series(1.0, TWO) / sigma, "these are the weights of parity; the budgets are not equal"),
    ):  # fmt: skip
        if np.abs(weights - b / b.sum()).max() < TOLERANCE:
            raise WrongAnswer(told)
    if _shares(weights, covariance).iloc[::-1].sub(budgets.to_numpy()).abs().max() < TOLERANCE:
        raise WrongAnswer("the contributions of stocks and bonds are interchanged")
    require_contributions(weights, covariance, budgets)
    return (
        f"stocks have {100 * weights['stocks']:.1f} % of wealth and "
        f"{100 * _shares(weights, covariance)['stocks']:.1f} % of the variance"
    )


@LESSON.exercise(
    "Where the risk of equal weights is",
    """
    `covariance` is that of six industries (lesson 1). What are the relative risk contributions of
    equal weights? (Six numbers that sum to 1.)
    """,
    industries,
)
def risk_of_equal_weights(answer: Any, data: Data) -> str:
    covariance = DenseCovariance(data["covariance"])
    given = vector(answer, covariance.labels, "contributions")
    x = pd.Series(1 / covariance.size, covariance.labels)
    marginal = covariance.marginal_risk(x)
    R, sigma = x * marginal, covariance.volatilities()
    right = R / R.sum()
    require_all_close(
        given,
        right,
        "contributions",
        "R_i = x_i(Σx)_i over their sum",
        mistakes=[
            (x, "these are the weights; the contributions of equal weights are not equal"),
            (R, "they sum to the variance; divide them by it"),
            (R / np.sqrt(R.sum()), "they sum to the volatility; divide by it once more"),
            (marginal, "these are the marginal risks Σx; multiply each by its weight and divide by "
             "the variance"),
            (marginal / R.sum(), "these are the marginal risks over the variance; multiply each by "
             "its weight"),
            (sigma**2 / (sigma**2).sum(), "these are proportions of the variances; covariances "
             "with the other assets belong to a contribution"),
            (sigma / sigma.sum(), "these are proportions of the volatilities; R_i = x_i(Σx)_i has "
             "the covariances, too"),
        ],
    )  # fmt: skip
    least, most = right.idxmin(), right.idxmax()
    return (
        f"from {100 * right.min():.1f} % ({least}) to {100 * right.max():.1f} % ({most}) of the "
        f"variance, with {100 / covariance.size:.1f} % of wealth each"
    )


@LESSON.exercise(
    "The least variance",
    """
    Which fully invested weights of the six industries, short positions allowed, have the least
    variance? (What can be said of their risk contributions?)
    """,
    industries,
)
def least_variance(answer: Any, data: Data) -> str:
    covariance = DenseCovariance(data["covariance"])
    weights = vector(answer, covariance.labels)
    marginal = covariance.marginal_risk(weights)
    spread = float(marginal.max() - marginal.min()) / max(float(marginal.abs().max()), 1e-12)
    require_budget(
        weights, so_far="marginal risks are equal, but " if 0 < spread < TOLERANCE else ""
    )
    if spread > 10 * TOLERANCE:
        least = np.linalg.solve(data["covariance"], np.ones(covariance.size))
        if is_permuted(weights, least / least.sum()):
            raise WrongAnswer(ANOTHER_ORDER)
        if spread < 0.05 and is_rounded(weights):
            raise WrongAnswer(f"marginal risks are nearly equal; {UNROUNDED}")
        if name := known_portfolio(weights, covariance):
            raise WrongAnswer(
                f"these are {name}; their marginal risks go from {marginal.min():.3g} to "
                f"{marginal.max():.3g}, and the variance is least where they are all equal"
            )
        shares = _shares(weights, covariance)
        if shares.max() - shares.min() < 1e-3:
            raise WrongAnswer("this is risk parity; variance is least where *marginal* risks agree")
        held = weights > 1e-3
        is_least = marginal[held].max() < 1.01 * marginal.min()
        if weights.min() > -TOLERANCE and is_least:
            raise WrongAnswer(
                "this is the least variance of long-only weights; short positions are allowed"
            )
        raise WrongAnswer(
            f"wealth moved from {marginal.idxmax()!r} to {marginal.idxmin()!r} still lowers the "
            f"variance: their marginal risks are {marginal.max():.3g} and {marginal.min():.3g}"
        )
    return (
        "all marginal risks are equal, so that relative risk contributions are the weights, from "
        f"{weights.min():.2f} to {weights.max():.2f}"
    )


@LESSON.exercise(
    "The same asset twice",
    """
    In `covariance` energy shares appear a second time, as `copy`. Equal budgets would give them two
    sevenths of the risk. Which budgets, for the seven assets, give the six industries the weights
    that they have in risk parity of the six, `Enrgy` and `copy` together?
    """,
    _with_copy,
)
def same_asset_twice(answer: Any, data: Data) -> str:
    covariance = DenseCovariance(data["covariance"])
    budgets = vector(answer, covariance.labels, "budgets")
    if abs(budgets.sum() - 100) < TOLERANCE:
        raise WrongAnswer("budgets sum to 100: they are per cent, not decimals")
    if abs(budgets.sum() - 1) > TOLERANCE:
        raise WrongAnswer(f"budgets sum to {budgets.sum():.4g}, not to 1")
    if budgets.min() <= 0:
        raise WrongAnswer(
            f"the budget of {budgets.idxmin()!r} is {budgets.min():g}; budgets are positive, share "
            "it between the two"
        )
    if np.ptp(budgets) < TOLERANCE:
        raise WrongAnswer(
            "equal budgets are those to be mended: energy has two of seven shares; how many has it "
            "in parity of the six?"
        )
    six = list(covariance.labels[:-1])
    parity = RiskParitySOCP(covariance.select(six)).solve("newton").weights
    others = budgets.drop(["Enrgy", "copy"])
    if (others - parity[others.index]).abs().max() < TOLERANCE:
        raise WrongAnswer("these are the weights; budgets are shares of the risk")
    if np.ptp(others) > TOLERANCE:
        raise WrongAnswer(
            "the budgets of the other five should be equal, as in parity of the six; "
            f"{others.idxmax()!r} has {others.max():.4f} and {others.idxmin()!r} {others.min():.4f}"
        )
    target = parity["Enrgy"]
    found = RiskParitySOCP(covariance, budgets / budgets.sum()).solve("newton").weights
    together = float(found["Enrgy"] + found["copy"])
    if abs(together - target) > TOLERANCE:
        raise WrongAnswer(
            f"energy then has {together:.4f} of wealth in all, and {target:.4f} in risk parity of "
            f"the six: its two budgets sum to {budgets['Enrgy'] + budgets['copy']:.4f} of the risk"
        )
    return f"energy has {together:.4f} of wealth in all, as in risk parity of the six"


def _covariance_of_two(data: Data) -> DenseCovariance:
    sigma, rho = data["volatilities"].to_numpy(), data["correlation"]
    correlations = np.array([[1.0, rho], [rho, 1.0]])
    return DenseCovariance(correlations * np.outer(sigma, sigma), labels=TWO)


def _shares(weights: pd.Series, covariance: DenseCovariance) -> pd.Series:
    R = weights * covariance.marginal_risk(weights)
    return R / R.sum()
