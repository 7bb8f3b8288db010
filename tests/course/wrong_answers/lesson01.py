"""Typical wrong answers of lesson 1: exercise, answer, a piece of the hint."""

from __future__ import annotations

import numpy as np

from rrp_pyomo import FactorModel


def model(e):
    return FactorModel.fit(e["returns"], e["factors"])


def systematic(e):
    return e["loadings"].T @ e["factor_covariance"] @ e["loadings"]


def covariance(e):
    return systematic(e) + np.diag(e["residual_variance"])


def slopes(y, *columns):
    return np.linalg.lstsq(np.column_stack(columns), y)[0]


def slopes_squares(y, factors):
    """The sum of squared residuals, without an intercept."""
    return np.linalg.lstsq(factors, y)[1][0]


def market_years(e, power=2, unit=12):
    return (2 * e["market"].std() / e["market"].mean()) ** power / unit


WRONG = [
    ("1.1", lambda e: e["returns"].mean(axis=1).std(), "of a month"),
    ("1.1", lambda e: e["returns"].mean(axis=1).std() * 12, "grow by √12"),
    ("1.1", lambda e: e["returns"].mean(axis=1).var() * 12, "variance of a year"),
    ("1.1", lambda e: 100 * e["returns"].mean(axis=1).std() * 12**0.5, "decimals are asked for"),
    ("1.1", lambda e: e["returns"].std().mean() * 12**0.5, "do not move together"),
    ("1.1", lambda e: np.std(e["returns"].mean(axis=1), ddof=0) * 12**0.5, "divide by T − 1"),
    ("1.1", lambda e: round(e["returns"].mean(axis=1).std() * 12**0.5, 2), "rounded"),
    ("1.1", lambda e: e["returns"].std() * 12**0.5, "should be one number"),
    ("1.1", lambda e: np.log1p(e["returns"].mean(axis=1)).std() * 12**0.5, "logarithmic returns"),
    (
        "1.1",
        lambda e: (1 + e["returns"]).cumprod().mean(axis=1).pct_change().std() * 12**0.5,
        "bought once",
    ),
    (
        "1.1",
        lambda e: 1.005 * e["returns"].mean(axis=1).std() * 12**0.5,
        "a little too large",
    ),
    (
        "1.1",
        lambda e: (12 * model(e).covariance.variance(np.full(6, 1 / 6))) ** 0.5,
        "by the factor model's",
    ),
    ("1.1", lambda e: e["returns"].std().sum() * 12**0.5, "mean over assets first"),
    (
        "1.2",
        lambda e: slopes(e["returns"], np.ones(60), e["factors"])[1:],
        "take the riskless rate off",
    ),
    ("1.2", lambda e: slopes(e["returns"] - e["risk_free"], e["factors"]), "column of ones"),
    (
        "1.2",
        lambda e: slopes(e["returns"] - e["risk_free"], np.ones(60), e["factors"]),
        "leave the intercept out",
    ),
    (
        "1.2",
        lambda e: slopes(e["returns"] - e["risk_free"], e["factors"], np.ones(60))[[2, 1, 0]],
        "another order",
    ),
    (
        "1.2",
        lambda e: [
            np.polyfit(e["factors"][name], e["returns"] - e["risk_free"], 1)[0]
            for name in e["factors"]
        ],
        "all of them in one regression",
    ),
    (
        "1.2",
        lambda e: slopes(e["returns"] - e["risk_free"], np.ones(60), 100 * e["factors"])[1:],
        "a hundred times too small",
    ),
    (
        "1.2",
        lambda e: slopes(
            e["returns"] - e["risk_free"], np.ones(60), e["factors"].sub(e["risk_free"], axis=0)
        )[1:],
        "off the factors, too",
    ),
    (
        "1.2",
        lambda e: slopes(
            e["returns"] - e["risk_free"],
            np.ones(60),
            e["factors"]["Mkt-RF"] - e["risk_free"],
            e["factors"][["SMB", "HML"]],
        )[1:],
        "off the market, too",
    ),
    ("1.2", lambda e: (0.001, [0.8, -0.3, 0.4]), "should be 3 numbers"),
    ("1.2", lambda e: {"Mkt-RF": 0.5, "SMB": 0.1}, "nothing for 'HML'"),
    ("1.3", lambda e: model(e).residual_variance["Utils"] ** 0.5, "still to be multiplied"),
    (
        "1.3",
        lambda e: model(e).loading_standard_errors.loc["Mkt-RF", "Utils"] ** 2,
        "take its root",
    ),
    (
        "1.3",
        lambda e: (56 / 60) ** 0.5 * model(e).loading_standard_errors.loc["Mkt-RF", "Utils"],
        "p − m − 1",
    ),
    (
        "1.3",
        lambda e: FactorModel.fit(
            e["returns"], e["factors"][["Mkt-RF"]]
        ).loading_standard_errors.loc["Mkt-RF", "Utils"],
        "only factor here",
    ),
    (
        "1.3",
        lambda e: np.sqrt(
            slopes_squares(e["returns"]["Utils"], e["factors"])
            / 57
            * np.linalg.inv(e["factors"].T @ e["factors"])[0, 0]
        ),
        "column of ones",
    ),
    ("1.3", lambda e: model(e).loadings.loc["Mkt-RF", "Utils"], "not its standard error"),
    (
        "1.3",
        lambda e: model(e).loading_standard_errors.loc["Mkt-RF", "NoDur"],
        "the standard error of 'NoDur'",
    ),
    ("1.3", lambda e: model(e).loading_standard_errors.loc["SMB", "Utils"], "loading on SMB"),
    ("1.3", lambda e: model(e).loading_standard_errors["Utils"], "one number"),
    ("1.4", systematic, "residual variance, too"),
    (
        "1.4",
        lambda e: systematic(e) + np.diag(e["residual_variance"] ** 0.5),
        "variances belong there",
    ),
    ("1.4", lambda e: systematic(e) + e["residual_variance"], "np.diag(D)"),
    (
        "1.4",
        lambda e: e["loadings"].T @ e["loadings"] + np.diag(e["residual_variance"]),
        "F is missing",
    ),
    ("1.4", lambda e: e["returns"].cov(), "sample covariance"),
    ("1.4", lambda e: 12 * covariance(e), "12 times too large"),
    ("1.4", lambda e: 1e4 * covariance(e), "per cent squared"),
    ("1.4", lambda e: covariance(e).to_numpy()[::-1, ::-1], "another order"),
    ("1.4", lambda e: e["factor_covariance"], "should be 6 × 6"),
    ("1.5", lambda e: market_years(e, unit=1), "in months"),
    ("1.5", lambda e: market_years(e) / 4, "two are asked for"),
    ("1.5", lambda e: market_years(e) / 2, "inside the square"),
    ("1.5", lambda e: market_years(e, power=1, unit=1), "square it"),
    ("1.5", lambda e: market_years(e) / 12, "12 times too small"),
    ("1.5", lambda e: market_years(e) * 0.98**2, "1.96 standard errors"),
    ("1.5", lambda e: market_years(e) * 119 / 120, "this one by T"),
    ("1.5", lambda e: 10.0, "same units"),
]
