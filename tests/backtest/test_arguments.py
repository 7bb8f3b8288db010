"""Arguments of another kind are refused by the package's own errors, wherever they go."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import WeightSet
from rrp_pyomo.backtest import (
    Backtest,
    BacktestResult,
    BootstrapUncertainty,
    EqualWeight,
    FactorModelEstimator,
    GivenBounds,
    InverseVolatility,
    MinimumVariance,
    Registered,
    RiskParity,
    Robust,
    SampleCovariance,
    ShrinkageCovariance,
)
from rrp_pyomo.backtest.plots import plot_relative_wealth, plot_risk_contributions, plot_weights
from rrp_pyomo.errors import InputError
from rrp_pyomo.paper.experiments import Experiment
from rrp_pyomo.paper.reproduce import reproduce

# Nothing that any of the arguments below takes.
JUNK = [
    object(), b"x", 1j, {1, 2}, np.array("x"), np.ones((2, 2)), pd.NaT, int, RiskParity, Ellipsis,
    datetime.timedelta(1), np.array([object()]),
]  # fmt: skip
NO_NUMBERS = [*JUNK, "x", "", [], {}, np.nan, -1, True, None, datetime.date(2001, 1, 1)]
NO_TEXTS = [*JUNK, 3, 1.5, True, [], {}, Decimal(1)]
NO_OBJECTS = [*JUNK[:-2], 3, "x", True, 1.5]


def made(market, **change):
    data = {"returns": market.returns, "factors": market.factors, "strategies": ["nominal"]}
    return Backtest(**(data | {"estimation": "5Y", "rebalance": "3Y"} | change)).run()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("returns", NO_OBJECTS),
        ("factors", NO_OBJECTS),
        ("risk_free", NO_OBJECTS),
        ("strategies", [*JUNK, None, 3, "nominal", [], [RiskParity], [int], [3], [b"nominal"]]),
        ("estimation", NO_TEXTS),
        ("rebalance", [*NO_TEXTS, None]),
        ("start", [*JUNK, 3, 1.5, True, [], {}, "x"]),
        ("end", [*JUNK, 3, 1.5, -1, True, [], {}, "x"]),
        ("on_infeasible", [*NO_TEXTS, None, ["cap"], np.array(["cap"])]),
        ("estimator", [*JUNK[:-2], 0, 3, "x", FactorModelEstimator]),
    ],
)
def test_arguments_of_a_backtest(market, name, values) -> None:
    for value in values:
        with pytest.raises(InputError, match=r";|must hold|expected"):
            made(market, **{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        *((kind, "name", [*NO_TEXTS, None]) for kind in (EqualWeight, InverseVolatility, Robust)),
        (RiskParity, "worst_case", [*JUNK, "no", 1, None]),
        (RiskParity, "solver", NO_TEXTS),
        (RiskParity, "formulation", [*JUNK, 3, "socp"]),
        (RiskParity, "budgets", [object(), 3, "x", 1j, int]),
        (Robust, "omega", NO_NUMBERS),
        (Robust, "budgets", [object(), 3, "x", 1j, int]),
        *(
            (kind, "weight_set", [*JUNK, 3, "x", {"upper": 0.5}, WeightSet])
            for kind in (RiskParity, Robust, MinimumVariance)
        ),
        (Registered, "problem", [*NO_TEXTS, None, "", "x", ":", "robust:x"]),
        (FactorModelEstimator, "scale", NO_NUMBERS),
        (SampleCovariance, "uncertainty", [*JUNK[:-4], 3, "x", BootstrapUncertainty]),
        (ShrinkageCovariance, "estimator", [object(), 3, "x", int]),
        (BootstrapUncertainty, "replications", [*NO_NUMBERS, 0, 1.5]),
        (BootstrapUncertainty, "seed", [*NO_NUMBERS, 1.5]),
        (BootstrapUncertainty, "quantile", [*NO_NUMBERS, 0.4, 1.0]),
        (BootstrapUncertainty, "block", [v for v in NO_NUMBERS if v is not None] + [0]),
    ],
)
def test_arguments_of_strategies_and_estimators(market, kind, name, values) -> None:
    for value in values:
        with pytest.raises(InputError, match=r"expected|must hold|unknown|number|known"):
            made(market, strategies=[kind(**{name: value})])


@pytest.mark.parametrize("bound", [3, "x", None, lambda date: 3, np.eye(6)])
def test_bounds_that_are_none(market, bound) -> None:
    estimator = SampleCovariance(GivenBounds(bound))
    with pytest.raises(InputError, match=r"a bound is .*expected a DataFrame"):
        made(market, strategies=["worst_case"], estimator=estimator)


class Own:
    """A strategy of the user's with weights that are none."""

    name = "own"

    def __init__(self, weights):
        self.given = weights

    def weights(self, estimate, solvers):
        return self.given


@pytest.mark.parametrize(
    "weights",
    [
        None,
        "x",
        1.0,
        np.ones(5),
        np.ones((6, 1)),
        np.full(6, np.nan),
        np.full(6, np.inf),
        ["a"] * 6,
    ],
)
def test_own_strategies_owe_weights(market, weights) -> None:
    with pytest.raises(InputError, match=r"strategy 'own' at 2005-01-01: weights"):
        made(market, strategies=[Own(weights)])


@pytest.mark.parametrize("estimate", [None, 3, np.eye(6)])
def test_own_estimators_owe_an_estimate(market, estimate) -> None:
    with pytest.raises(InputError, match=r"what the estimator gave is .*expected a"):
        made(market, estimator=lambda history: estimate)


def test_arguments_of_results(market) -> None:
    run = made(market)
    for value in [*JUNK, None, 3, "x", ["geometric"]]:
        with pytest.raises(InputError, match="mean is"):
            run.statistics(mean=value)
    for value in NO_NUMBERS:
        with pytest.raises(InputError, match="cost"):
            run.net_returns(value)
    for value in [*JUNK, None, 3]:
        with pytest.raises(InputError, match="folder is"):
            run.to_parquet(value)
        with pytest.raises(InputError, match="folder is"):
            BacktestResult.from_parquet(value)
    for value in [*JUNK, 3, "x", []]:
        with pytest.raises(InputError, match="unknown strategy"):
            plot_relative_wealth(run, value)
        for draw in (plot_weights, plot_risk_contributions):
            with pytest.raises(InputError, match=r"unknown strategy|expected a list"):
                draw(run, value)


def test_arguments_of_experiments(market, tmp_path) -> None:
    for value in [*JUNK, None, 3, "x", [], ["x"], [1.5], [True]]:
        with pytest.raises(InputError, match="sizes are"):
            Experiment("e", value, (1.0,))
    for value in [*JUNK[:-1], None, 3, "x", [], ["x"], [-1.0], [np.nan]]:
        with pytest.raises(InputError, match="omega"):
            Experiment("e", (3,), value)
    good = {
        "experiment": Experiment("e", (3,), (1.0,), start="2005-01-01"),
        "panel": market.panel,
        "out": tmp_path / "out",
    }
    for name, values in {
        "experiment": NO_OBJECTS,
        "panel": NO_OBJECTS,
        "out": [*JUNK, None, 3],
        **{key: [*NO_NUMBERS, 1.5] for key in ("trials", "seed", "chunk")},
    }.items():
        for value in values:
            with pytest.raises(InputError, match=name):
                reproduce(**(good | {name: value}))
    assert not (tmp_path / "out").exists()
