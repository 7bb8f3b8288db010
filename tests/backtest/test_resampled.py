"""Resampled portfolios as a strategy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import MeanVariance, Resampled, WeightSet
from rrp_pyomo.backtest import FactorModelEstimator, ResampledMeanVariance
from rrp_pyomo.backtest.estimators import History
from rrp_pyomo.backtest.strategies import parse_strategy
from rrp_pyomo.data import datasets, excess_returns
from rrp_pyomo.errors import InputError
from rrp_pyomo.solve.session import ProgramSession


def test_a_window_holds_the_average_for_its_estimates():
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).tail(60).iloc[:, :5]
    factors = data.factors.tail(60)
    history = History(
        pd.Timestamp(returns.index[-1]),
        returns.to_numpy(),
        factors.to_numpy(),
        tuple(returns.columns),
        tuple(factors.columns),
        returns.index,
    )
    estimate = FactorModelEstimator()(history)
    X = WeightSet(upper=0.6)
    held = ResampledMeanVariance(2.0, 4, weight_set=X).weights(estimate, ProgramSession())
    problem = MeanVariance(returns.mean(), estimate.covariance, 2.0, weight_set=X)
    expected = Resampled(problem, 4, average="risk_aversion", observations=60).solve().weights
    np.testing.assert_array_equal(held, expected)
    assert held.max() <= 0.6 + 1e-8


def test_it_has_a_name():
    assert isinstance(parse_strategy("resampled"), ResampledMeanVariance)
    with pytest.raises(InputError, match="risk_aversion is -1"):
        ResampledMeanVariance(-1.0)
