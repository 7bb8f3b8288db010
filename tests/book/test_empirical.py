"""Robust portfolios "naturally diversify", have less turnover, outperform: what of it holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from rrp_pyomo import MeanVariance
from rrp_pyomo.backtest import Backtest
from rrp_pyomo.data import datasets
from rrp_pyomo.uncertainty import Ball, Box

NAMES = list("ABCDE")
MEAN = pd.Series([0.100, 0.075, 0.110, 0.115, 0.120], NAMES)
SIGMA = pd.DataFrame(0.04 * (0.6 * np.eye(5) + 0.4), NAMES, NAMES)
KNOWN = pd.Series([0.0, 0.0, 0.08, 0.08, 0.08], NAMES)


def effective_names(weights: pd.Series) -> float:
    return 1.0 / float(weights @ weights)


def by_slsqp(penalty) -> float:
    """Effective names of the same portfolio, the penalty written down."""
    found = minimize(
        lambda x: -(x @ MEAN - 0.5 * x @ SIGMA.to_numpy() @ x - penalty(x)),
        np.full(5, 0.2), bounds=[(0, 1)] * 5, method="SLSQP",
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1.0}, options={"ftol": 1e-14},
    )  # fmt: skip
    return 1.0 / float(found.x @ found.x)


def test_a_box_concentrates_where_some_means_are_known_and_a_ball_spreads() -> None:
    cases = {
        "point": (MEAN, lambda x: 0.0),
        "box": (Box(MEAN, KNOWN), lambda x: KNOWN.to_numpy() @ x),
        "ball": (Ball(MEAN, 0.08), lambda x: 0.08 * np.linalg.norm(x)),
    }
    names = {}
    for case, (means, penalty) in cases.items():
        names[case] = effective_names(MeanVariance(means, SIGMA).solve().weights)
        assert names[case] == pytest.approx(by_slsqp(penalty), abs=1e-2)
    assert names["box"] == pytest.approx(1.0, abs=1e-6)
    assert names["box"] < names["point"] - 1.0 < names["ball"] - 2.5


def test_it_is_so_on_random_markets() -> None:
    """A ball has at least as many names as the point; a box that knows two assets often fewer."""
    rng, fewer = np.random.default_rng(7), 0
    for _ in range(20):
        mean = pd.Series(rng.normal(0.08, 0.02, 5), NAMES)
        point, box, ball = (
            effective_names(MeanVariance(means, SIGMA, 2.0).solve().weights)
            for means in (mean, Box(mean, KNOWN), Ball(mean, 0.08))
        )
        assert ball > point
        fewer += box < point - 0.1
    assert fewer >= 10


def test_a_robust_portfolio_may_trade_more_and_earn_less() -> None:
    """Industries since 1990: confidence intervals of the means in the place of the means.

    An ellipsoid of the means does better than the point there; no theorem tells which it will be.
    """
    data = datasets.french()
    result = Backtest(
        data.returns.iloc[:, :12], data.factors,
        ["mean_variance", "box_mean_variance", "robust_mean_variance"],
        start="1990-01-01", risk_free=data.risk_free,
    ).run()  # fmt: skip
    table = result.comparison("mean_variance", replications=9).table
    point, box, ellipsoid = (table.loc[name] for name in result.strategies)
    assert box["sharpe"] < point["sharpe"] < ellipsoid["sharpe"]
    assert box["certainty_equivalent"] < point["certainty_equivalent"]
    assert box["drifted_turnover"] > point["drifted_turnover"] > ellipsoid["drifted_turnover"]
