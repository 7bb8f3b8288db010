"""What strategies owe the engine, and estimates their strategies."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import RiskParitySOCP, WeightSet
from rrp_pyomo.backtest import Backtest, FactorModelEstimator, Registered, RiskParity, Robust
from rrp_pyomo.backtest.estimators import Estimate
from rrp_pyomo.backtest.schedule import rolling_windows
from rrp_pyomo.backtest.strategies import EqualWeight, Relaxation
from rrp_pyomo.errors import InfeasibleError, InputError


@dataclass(frozen=True)
class Demanding:
    """Has no solution before 2006, unless it may ask for less."""

    weight_set: WeightSet | None = None
    name: str = "demanding"

    def weights(self, estimate, solvers):
        if estimate.date.year < 2006:
            raise InfeasibleError("too much")
        return EqualWeight().weights(estimate, solvers)


@dataclass(frozen=True)
class Relenting(Demanding):
    omega: float = 7.0

    def relaxed(self, estimate):
        return Relaxation(EqualWeight(), 5.0, 4.0)


def run(market, strategy, **options):
    return Backtest(
        market.returns,
        market.factors,
        [strategy],
        "5Y",
        "1Y",
        risk_free=market.risk_free,
        **options,
    ).run()


def test_any_strategy_may_ask_for_less(market) -> None:
    result = run(market, Relenting())
    np.testing.assert_allclose(result.weights, 1.0 / result.weights.shape[1])
    assert set(result.events["action"]) == {"cap"}
    for column, value in {"omega": 7.0, "omega_max": 5.0, "used": 4.0}.items():
        assert (result.events[column] == value).all()
    assert result.events["reason"].str.contains("too much").all()


def test_who_cannot_ask_for_less_is_told_so(market) -> None:
    with pytest.raises(InfeasibleError, match=r"'demanding' .* no smaller omega helps; use on_inf"):
        run(market, Demanding())
    X = WeightSet(upper=0.4)
    instead = run(market, Demanding(X), on_infeasible="nominal")
    nominal = run(market, RiskParity(weight_set=X))
    first = instead.rebalances[0]
    np.testing.assert_allclose(instead.weights.loc[first], nominal.weights.loc[first], atol=1e-6)
    assert instead.events[["omega", "omega_max", "used"]].isna().all(axis=None)


def test_registered_problems_are_solved_as_they_are(market) -> None:
    X = WeightSet(upper=0.5)
    result = run(market, Registered("robust:0.5", weight_set=X))
    own = run(market, Robust(0.5, weight_set=X))
    np.testing.assert_allclose(result.weights, own.weights, atol=1e-5)
    worst = run(market, Registered("socp", worst_case=True, solver="newton"))
    np.testing.assert_allclose(
        worst.weights, run(market, RiskParity(worst_case=True)).weights, atol=1e-9
    )


def first_estimate(market) -> Estimate:
    window = rolling_windows(market.returns.index, "5Y")[0]
    return FactorModelEstimator()(market.panel.history(window))


def test_a_statement_is_shared_by_what_it_was_stated_for(market) -> None:
    """By the objects themselves: equal weight sets may be different, and ids are given anew."""
    estimate, X = first_estimate(market), WeightSet(upper=0.5)
    one = estimate.robust(0.5, None, X)
    assert one.omega == 0.5
    assert estimate.robust(1.0, None, X) is one
    assert one.omega == 1.0
    for upper in (0.3, 0.4, 0.6):  # each of them at once forgotten
        other = estimate.robust(0.5, None, WeightSet(upper=upper))
        assert other.weight_set.upper.max() == upper
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_allclose(again.solve().weights, one.solve().weights, atol=1e-7)


def test_estimates_know_their_returns(market) -> None:
    estimate = first_estimate(market)
    excess = market.returns.sub(market.risk_free, axis=0).iloc[:60]
    pd.testing.assert_frame_equal(estimate.returns, excess, check_freq=False, check_names=False)
    bare = Estimate(estimate.date, estimate.covariance, lambda: estimate.uncertainty)
    assert RiskParitySOCP(bare.covariance).solve("newton").certificate.is_risk_parity
    with pytest.raises(InputError, match="history=history"):
        bare.returns  # noqa: B018
