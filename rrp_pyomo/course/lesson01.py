"""The exercises of lesson 1."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.answers import (
    matrix,
    number,
    require_all_close,
    require_close,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.data import FactorModel, datasets, excess_returns
from rrp_pyomo.linalg import FloatArray

LESSON = Lesson(1, "Returns, factors and their errors")

ASSETS = ["NoDur", "Durbl", "Enrgy", "BusEq", "Telcm", "Utils"]
MONTHS = 12


def sixty_months() -> Data:
    """Excess returns of six industries and of the factors, 2012-04 to 2017-03."""
    french = datasets.french()
    returns = excess_returns(french.returns, french.risk_free)[ASSETS].tail(60)
    return {"returns": returns, "factors": french.factors.tail(60)}


def _high_rates() -> Data:
    """Sixty months in which the riskless rate was high, and moved."""
    french, years = datasets.french(), slice("1979-01", "1983-12")
    return {
        "returns": french.returns.loc[years, "Utils"],
        "risk_free": french.risk_free.loc[years],
        "factors": french.factors.loc[years],
    }


def _pieces() -> Data:
    """What :class:`FactorModel` estimates, as labelled numbers."""
    given = sixty_months()
    model = FactorModel.fit(given["returns"], given["factors"])
    return {
        "loadings": model.loadings,
        "factor_covariance": model.factor_covariance,
        "residual_variance": model.residual_variance,
        "returns": given["returns"],
    }


def _market() -> Data:
    """The market's excess returns, 2007-04 to 2017-03."""
    return {"market": datasets.french().factors["Mkt-RF"].tail(120)}


@LESSON.exercise(
    "The volatility of a year",
    """
    `returns` has monthly excess returns of six industries. What is the volatility per year of equal
    weights, rebalanced every month? (A decimal: 0.1 is 10 %. Sample variances divide by T − 1, and
    months count as uncorrelated.)
    """,
    sixty_months,
)
def volatility_of_a_year(answer: Any, data: Data) -> str:
    given, returns = number(answer, "the volatility"), data["returns"]
    equal = returns.mean(axis=1)
    right = float(equal.std() * np.sqrt(MONTHS))
    x = np.full(returns.shape[1], 1 / returns.shape[1])
    wealth = (1 + returns).cumprod().mean(axis=1)
    drifting = wealth / wealth.shift(fill_value=1.0) - 1
    bought_once = (
        "that is of a portfolio that is bought once and left alone; rebalanced every month, its "
        "return is the mean of the assets' returns"
    )
    by_factors = FactorModel.fit(returns, data["factors"]).covariance.variance(x)
    mistakes = [
        (returns.std().mean() * np.sqrt(MONTHS), "that is the mean of the assets' volatilities; a "
         "portfolio has less, since its assets do not move together"),
        (returns.std().mean(), "that is the mean of the assets' volatilities, and of a month"),
        (equal.std(ddof=0) * np.sqrt(MONTHS), "its variance divides by T; the mean was estimated, "
         "divide by T − 1"),
        (np.log1p(equal).std() * np.sqrt(MONTHS), "that is of logarithmic returns; those of the "
         "lesson are price over price, less 1"),
        (drifting.std() * np.sqrt(MONTHS), bought_once),
        (drifting.iloc[1:].std() * np.sqrt(MONTHS), bought_once),
        (equal.std(), "that is the volatility of a month; variances add up over 12 months"),
        (equal.var() * MONTHS, "that is the variance of a year; its root is asked for"),
        (equal.std() * MONTHS, "that is the volatility of a month times 12; it is variances that "
         "add up, so volatilities grow by √12"),
        (np.sqrt(returns.var().mean() * MONTHS / returns.shape[1]), "this is right for "
         "uncorrelated assets; take the volatility of the portfolio's own returns, or "
         "√(x'Σx) with all covariances"),
        (np.sqrt(by_factors * MONTHS), "that is by the factor model's covariance; the sample's is "
         "asked for"),
        (equal.mean() * MONTHS, "that is the mean of a year, not the volatility"),
    ]  # fmt: skip
    require_close(
        given,
        right,
        "the volatility",
        "take the mean over assets first (the portfolio's returns), then their standard deviation",
        mistakes=mistakes,
    )
    return f"{100 * right:.2f} % a year, {100 * equal.std():.2f} % a month times √12"


@LESSON.exercise(
    "Loadings by least squares",
    """
    `returns` has monthly returns of utilities from 1979 to 1983, when the riskless rate
    (`risk_free`) was high; `factors` those of the three factors, which are excess returns. Estimate
    the loadings of the excess return of utilities, with an intercept. (Three numbers by factor.)
    """,
    _high_rates,
)
def loadings(answer: Any, data: Data) -> str:
    factors = data["factors"]
    if isinstance(answer, Sized) and len(answer) == factors.shape[1] + 1:
        raise WrongAnswer("four numbers are given; leave the intercept out, it is no loading")
    given = vector(answer, factors.columns, "loadings")
    excess = data["returns"] - data["risk_free"]
    right = _slopes(excess, factors)
    apart = pd.Series(
        [_slopes(excess, factors[[name]]).iloc[0] for name in factors], factors.columns
    )
    market_less = factors.assign(**{"Mkt-RF": factors["Mkt-RF"] - data["risk_free"]})
    require_all_close(
        given,
        right,
        "loadings",
        "the residuals should have no covariance with any factor, and these have",
        mistakes=[
            (_slopes(data["returns"], factors), "they explain the return, not the excess return: "
             "take the riskless rate off first"),
            (_slopes(excess, factors, intercept=False), "the regression has no intercept; add a "
             "column of ones"),
            (_slopes(data["returns"], factors, intercept=False), "the regression has no intercept, "
             "and the riskless rate is still in the returns"),
            (apart, "each factor was taken alone; factors are correlated, so take all of them in "
             "one regression"),
            (_slopes(excess, factors.sub(data["risk_free"], axis=0)), "the riskless rate was taken "
             "off the factors, too; they are excess returns already"),
            (_slopes(excess, market_less), "the riskless rate was taken off the market, too; it is "
             "an excess return already"),
            ([excess.corr(factors[name]) for name in factors], "correlations have no units; "
             "loadings are slopes"),
        ],
    )  # fmt: skip
    explained = ((factors - factors.mean()) @ given).var() / excess.var()
    return (
        "the residuals have no covariance with any factor, which explain "
        f"{100 * explained:.0f} % of the variance"
    )


@LESSON.exercise(
    "The error of a loading",
    """
    With the data of exercise 1.1: what is the standard error of the market loading of `Utils` in
    the model of three factors and an intercept?
    """,
    sixty_months,
)
def error_of_a_loading(answer: Any, data: Data) -> str:
    given = number(answer, "the standard error")
    y, factors = data["returns"]["Utils"].to_numpy(), data["factors"]
    A = _design(factors)
    p, columns = A.shape
    beta = np.linalg.lstsq(A, y)[0]
    squares = float(((y - A @ beta) ** 2).sum())
    inverse = np.linalg.inv(A.T @ A)
    variance = squares / (p - columns)
    right = float(np.sqrt(variance * inverse[1, 1]))
    alone = A[:, :2]
    single = float(((y - alone @ np.linalg.lstsq(alone, y)[0]) ** 2).sum()) / (p - 2)
    each = ((data["returns"] - A @ np.linalg.lstsq(A, data["returns"])[0]) ** 2).sum()
    of_market = np.sqrt(each / (p - columns) * inverse[1, 1])
    plain = float(((y - A[:, 1:] @ np.linalg.lstsq(A[:, 1:], y)[0]) ** 2).sum())
    apart = float(((A[:, 1] - A[:, 1].mean()) ** 2).sum())
    require_close(
        given,
        right,
        "the standard error",
        "it is the root of s²(A'A)⁻¹ at the market's place on the diagonal, A = [1 factors]",
        mistakes=[
            (np.sqrt(squares / p * inverse[1, 1]), "the residual variance divides by p; four "
             "coefficients were estimated, so divide by p − m − 1"),
            (np.sqrt(squares / (p - 1) * inverse[1, 1]), "the residual variance divides by p − 1; "
             "four coefficients were estimated, so divide by p − m − 1"),
            (np.sqrt(squares / (p - columns + 1) * inverse[1, 1]), "the residual variance divides "
             "by p − m; the intercept was estimated, too: p − m − 1"),
            (variance * inverse[1, 1], "that is the variance of the loading; take its root"),
            (np.sqrt(variance), "that is the residual volatility s; it is still to be multiplied "
             "by √((A'A)⁻¹)"),
            (np.sqrt(single / apart), "the market is the only factor here; the others belong to "
             "the model"),
            (np.sqrt(plain / (p - 3) * np.linalg.inv(A[:, 1:].T @ A[:, 1:])[0, 0]), "the "
             "regression has no intercept; add a column of ones"),
            (np.sqrt(variance / apart), "divided by the spread of the market alone; what counts is "
             "what the other factors do not explain of it: (A'A)⁻¹, not 1/(A'A)"),
            *(
                (error, f"that is the standard error of {name!r}")
                for name, error in of_market.drop("Utils").items()
            ),
            (np.sqrt(variance * inverse[0, 0]), "that is the standard error of the intercept"),
            (np.sqrt(variance * inverse[2, 2]), "that is the standard error of the loading on SMB"),
            (np.sqrt(variance * inverse[3, 3]), "that is the standard error of the loading on HML"),
            (beta[1], "that is the loading itself, not its standard error"),
            (beta[1] / right, "that is the loading over its standard error, a t-statistic"),
        ],
    )  # fmt: skip
    return f"the loading is {beta[1]:.2f} ± {right:.2f}, {beta[1] / right:.1f} standard errors"


@LESSON.exercise(
    "The covariance of a factor model",
    """
    `loadings` V (3 × 6), `factor_covariance` F and `residual_variance` D are the estimates of the
    lesson's model. What is the covariance matrix of the six industries that the model implies, per
    month? (A table or array, 6 × 6.)
    """,
    _pieces,
)
def covariance_of_a_model(answer: Any, data: Data) -> str:
    V, D = data["loadings"], data["residual_variance"]
    F = data["factor_covariance"].to_numpy()
    given = matrix(answer, V.columns, "the covariance matrix")
    systematic = V.to_numpy().T @ F @ V.to_numpy()
    right = pd.DataFrame(systematic + np.diag(D), V.columns, V.columns)
    ones = V.to_numpy().T @ V.to_numpy()
    require_all_close(
        given,
        right,
        "the covariance matrix",
        "it is V'FV and, on the diagonal, the residual variances",
        mistakes=[
            (systematic, "that is only what the factors explain; each asset has a residual "
             "variance, too"),
            (systematic + np.diag(np.sqrt(D)), "residual volatilities are on the diagonal; "
             "variances belong there"),
            (systematic + np.diag(D**2), "the residual variances are squared; they are variances "
             "already"),
            (systematic + D.to_numpy(), "the residual variances were added to every column; they "
             "belong on the diagonal: np.diag(D)"),
            (ones + np.diag(D), "F is missing between V' and V"),
            (V.to_numpy().T @ np.diag(F.diagonal()) @ V.to_numpy() + np.diag(D), "only the "
             "variances of the factors were taken; F has their covariances, too"),
            (data["returns"].cov(), "that is the sample covariance; the model's has V'FV off the "
             "diagonal"),
            (right / np.sqrt(np.outer(np.diag(right), np.diag(right))), "these are correlations, "
             "not covariances"),
        ],
    )  # fmt: skip
    share = float(np.trace(systematic) / np.trace(right))
    return f"V'FV + D, of whose variances the factors explain {100 * share:.0f} %"


@LESSON.exercise(
    "Years to know a mean",
    """
    `market` has 120 monthly excess returns of the market. Suppose that its true mean and volatility
    are those of the sample. How many years of data does it take until the estimated mean is two
    standard errors away from 0?
    """,
    _market,
)
def years_to_know_a_mean(answer: Any, data: Data) -> str:
    given, market = number(answer, "the number of years"), data["market"]
    mean, volatility = float(market.mean()), float(market.std())
    months = (2 * volatility / mean) ** 2
    right = months / MONTHS
    require_close(
        given if given != np.ceil(right) else right,  # whole years are an answer, too
        right,
        "the number of years",
        "solve mean = 2 volatility/√T for T, with mean and volatility in the same units",
        relative=5e-3,
        mistakes=[
            (months, "that is in months; years are asked for"),
            (right * (1 - 1 / len(market)), "the sample's volatility divides by T − 1, this one "
             "by T"),
            (months / MONTHS / 4, "one standard error away; two are asked for"),
            (months / 4, "one standard error away, and in months"),
            (months / MONTHS / 2, "the 2 is inside the square: T = (2σ/μ)²"),
            (2 * volatility / mean, "2σ/μ is √T (of months); square it"),
            (2 * volatility / mean / np.sqrt(MONTHS), "that is √T; square it"),
            ((2 * volatility / mean / MONTHS) ** 2, "12 times too small: the mean is of a year and "
             "the volatility of a month, or months became years twice"),
            ((2 * volatility * np.sqrt(MONTHS) / mean) ** 2, "the volatility is of a year and the "
             "mean of a month; put both in the same units"),
            ((1.96 * volatility / mean) ** 2 / MONTHS, "that is 1.96 standard errors away; two are "
             "asked for"),
            (4 * volatility / mean / MONTHS, "the square is missing: T = (2σ/μ)²"),
        ],
    )  # fmt: skip
    return (
        f"{right:.1f} years for a mean of {100 * MONTHS * mean:.1f} % and a volatility of "
        f"{100 * np.sqrt(MONTHS) * volatility:.1f} % a year"
    )


def _design(factors: pd.DataFrame) -> FloatArray:
    return np.column_stack([np.ones(len(factors)), factors.to_numpy()])


def _slopes(y: pd.Series, factors: pd.DataFrame, intercept: bool = True) -> pd.Series:
    A = _design(factors) if intercept else factors.to_numpy()
    return pd.Series(np.linalg.lstsq(A, y.to_numpy())[0][int(intercept) :], factors.columns)
