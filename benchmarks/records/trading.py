"""Mean–variance with costs, decided anew each day for five years, beside cvxportfolio."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cvxportfolio as cvx
import numpy as np
import pandas as pd
from record import Record, timed

from rrp_pyomo import WeightSet
from rrp_pyomo.backtest import Backtest, BacktestResult, ModelPredictiveControl

STOCKS, FACTORS, DAYS = 500, 5, 1250
COST, AVERSION, LARGEST = 5e-4, 10.0, 0.05
# Every such decision is certified, beside the paths of all days.
EVERY = 25


@dataclass(frozen=True)
class Market:
    """Daily returns, what a backtest estimates from the year before each day, its first weights."""

    backtest: Backtest
    returns: pd.DataFrame
    means: pd.DataFrame
    exposures: pd.DataFrame
    residual_variances: pd.DataFrame
    first: pd.Series


def market(days: int) -> Market:
    """Synthetic factor returns with heavy tails; the last day has nobody to hold it."""
    rng = np.random.default_rng(0)
    dates = pd.bdate_range("2015-01-02", periods=262 + days + 1)
    tails = np.sqrt(3.0 / 5.0)
    moves = rng.standard_t(5, (len(dates), FACTORS)) * tails
    F = moves * [0.010, 0.005, 0.005, 0.004, 0.003] + [4e-4, 1e-4, 1e-4, 5e-5, 5e-5]
    V = np.vstack([rng.normal(1.0, 0.3, STOCKS), rng.normal(0.0, 0.6, (FACTORS - 1, STOCKS))])
    noise = rng.standard_t(5, (len(dates), STOCKS)) * tails * rng.uniform(0.008, 0.025, STOCKS)
    returns = pd.DataFrame(F @ V + noise, dates, [f"stock {k}" for k in range(STOCKS)])
    strategy = ModelPredictiveControl(
        horizon=1, cost=COST, risk_aversion=AVERSION, level=None,
        weight_set=WeightSet(upper=LARGEST),
    )  # fmt: skip
    backtest = Backtest(
        returns[:-1], pd.DataFrame(F[:-1], dates[:-1]), [strategy], "1Y", "1D", start=dates[262]
    )
    means, exposures, residuals = {}, {}, {}
    for window in backtest.windows:
        estimate = backtest.estimator(backtest.panel.history(window))
        S = estimate.model.covariance
        means[window.date] = estimate.returns.to_numpy().mean(axis=0)
        exposures[window.date] = pd.DataFrame(np.linalg.cholesky(S.F).T @ S.V, columns=S.labels)
        residuals[window.date] = S.D
    by_day = {"orient": "index", "columns": returns.columns}
    estimate = backtest.estimator(backtest.panel.history(backtest.windows[0]))
    return Market(
        backtest,
        returns,
        pd.DataFrame.from_dict(means, **by_day),
        pd.concat(exposures),
        pd.DataFrame.from_dict(residuals, **by_day),
        strategy.plan(estimate).solve().weights.iloc[0],
    )


def theirs(market: Market) -> Any:
    """The same policy, with the estimates given, by the fastest of its solvers that is accurate."""
    with_cash = market.returns.assign(cash=0.0)
    start = pd.concat([market.first, pd.Series({"cash": 0.0})])
    risk = cvx.FactorModelCovariance(F=market.exposures, d=market.residual_variances)
    policy = cvx.SinglePeriodOptimization(
        cvx.ReturnsForecast(market.means) - 0.5 * AVERSION * risk - cvx.TransactionCost(a=COST),
        [cvx.LongOnly(), cvx.NoCash(), cvx.MaxWeights(LARGEST)],
        include_cash_return=False,
        solver="CLARABEL",  # its default tolerances leave wealth 1e-4 off
        tol_gap_abs=1e-12,
        tol_gap_rel=1e-11,
        tol_feas=1e-10,
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulator = cvx.MarketSimulator(
            returns=with_cash, cash_key="cash", costs=[cvx.TransactionCost(a=COST)],
            base_location=folder, min_history=pd.Timedelta("0d"),
        )  # fmt: skip
        return simulator.backtest(
            policy, market.means.index[0], market.returns.index[-1], h=1e6 * start
        )


def certified(market: Market, ours: BacktestResult, theirs: Any) -> str:
    """The largest distance between the two paths of wealth, and what decisions leave.

    Raises
    ------
    AssertionError
        The paths differ by more than 1e-4, or a decision is not the best one.
    """
    # Ours pays for its first portfolio; theirs begins with it.
    path = (1.0 + ours.net_returns(COST)).prod(axis=1).cumprod().to_numpy() / (1.0 - COST)
    other = (theirs.v / theirs.v.iloc[0]).to_numpy()[1:]
    apart = float(np.abs(path / other - 1.0).max())
    assert apart < 1e-4, f"paths of wealth are {apart:.3g} apart"
    (strategy,) = market.backtest.strategies
    gaps = []
    for k in range(0, len(market.backtest.windows), EVERY):
        estimate = market.backtest.estimator(
            market.backtest.panel.history(market.backtest.windows[k])
        )
        held = ours.drifted.iloc[k - 1].to_numpy() if k else None
        gaps.append(strategy.plan(estimate, held).gap(ours.weights.iloc[[k]].to_numpy()))
    assert max(gaps) < 1e-9, f"a decision is {max(gaps):.3g} from the best one"
    return (
        f"paths of wealth within {apart:.1g} on all {len(path)} days; every {EVERY}th decision "
        f"within {max(gaps):.0e} of the best, bounded from the data"
    )


def records() -> Iterator[Record]:
    warm = market(3)
    warm.backtest.run(), theirs(warm)
    given = market(DAYS)
    us, them = timed(given.backtest.run), timed(theirs, given)
    yield Record(
        f"mean–variance with costs, {STOCKS} stocks × {DAYS:,} days, daily",
        us.seconds,
        1 / 4,
        certified(given, us.result, them.result),
        "cvxportfolio, single-period optimisation, factor covariance, Clarabel",
        them.seconds,
        us.seconds / them.seconds,
        note=(
            f"costs of {1e4 * COST:g} basis points, weights up to {LARGEST:g}; it was given the "
            "daily estimates, which ours makes in its time, and both ran once, whole. Its default "
            "solver, OSQP, saves a sixth of its time, but its wealth is 1e-3 off. It pays costs "
            "out of cash, ours out of all positions, which is what is left between the paths."
        ),
    )
