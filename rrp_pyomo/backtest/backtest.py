"""Rolling-window backtests on labelled returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from rrp_pyomo.backtest.engine import (
    OnInfeasible,
    Panel,
    as_estimator,
    require_names,
    require_policy,
    simulate,
)
from rrp_pyomo.backtest.estimators import Estimator
from rrp_pyomo.backtest.result import BacktestResult
from rrp_pyomo.backtest.schedule import rolling_windows
from rrp_pyomo.backtest.strategies import Strategy, as_strategies


class Backtest:
    """A rolling-window backtest.

    At each rebalance date: fit on the returns of the window before it, let every strategy decide,
    hold its portfolio, whose weights drift with the returns, until the next date. Nothing dated on
    or after a rebalance date is seen by what is decided then.

    Parameters
    ----------
    returns : (p, n) DataFrame
        Total returns by date and asset, decimals; dates are ends of periods.
    factors : (p, m) DataFrame
        Factor returns over the same dates.
    strategies : sequence of Strategy or str
        Such as ``RiskParity()``, ``Robust(2.0)``, or their short names ``"nominal"``,
        ``"robust:2"``; names must be unique.
    estimation, rebalance : str
        Length of the window and of the time between rebalances: ``"5Y"``, ``"6M"``, ``"26W"``.
    start, end : date, optional
        First rebalance (by default as soon as the history allows) and last date that is held.
    on_infeasible : {"cap", "hold", "nominal", "raise"}
        What to do where (12) has no solution: solve it with 0.99 ω_max, keep the last target
        weights, take the nominal portfolio, or raise. ``BacktestResult.events`` says what was done.
    risk_free : (p,) Series, optional
        Risk-free rate; the estimator sees excess returns, and statistics are of excess returns.
        Without it returns are taken to be excess returns.
    estimator : Estimator, optional
        By default the factor model.

    Raises
    ------
    InputError
        Arguments of another type, dates that are repeated, unsorted or differ, a missing period or
        return, or one below −100 %, within the windows (asset and date are named), a window that is
        longer than the history, two strategies of one name, an unknown policy.

    Examples
    --------
    >>> data = french()  # doctest: +SKIP
    >>> backtest = Backtest(
    ...     data.returns, data.factors, ["nominal", Robust(2.0)], risk_free=data.risk_free
    ... )  # doctest: +SKIP
    >>> backtest.run().statistics()  # doctest: +SKIP
    """

    def __init__(
        self,
        returns: pd.DataFrame,
        factors: pd.DataFrame,
        strategies: Sequence[Strategy | str],
        estimation: str = "5Y",
        rebalance: str = "6M",
        start: str | pd.Timestamp | None = None,
        end: str | pd.Timestamp | None = None,
        on_infeasible: OnInfeasible = "cap",
        risk_free: pd.Series | None = None,
        estimator: Estimator | None = None,
    ) -> None:
        require_policy(on_infeasible)
        self.panel = Panel.of(returns, factors, risk_free)
        self.strategies = as_strategies(strategies)
        self.names = [strategy.name for strategy in self.strategies]
        require_names(self.names)
        self.windows = rolling_windows(self.panel.dates, estimation, rebalance, start, end)
        self.panel.require_complete(self.windows)
        self.on_infeasible = on_infeasible
        self.estimator = as_estimator(estimator)
        self.settings: dict[str, Any] = {
            "estimation": estimation,
            "rebalance": rebalance,
            "start": str(self.windows[0].date.date()),
            "end": str(self.panel.dates[self.windows[-1].hold.stop - 1].date()),
            "on_infeasible": on_infeasible,
            "estimator": repr(self.estimator),
            "assets": len(self.panel.labels),
            "strategies": self.names,
            "data_fingerprint": self.panel.fingerprint,
        }

    def run(self) -> BacktestResult:
        """Run it.

        Raises
        ------
        InfeasibleError
            (12) has no solution and ``on_infeasible`` has no way out; strategy and date are named.
        SolverError
            A solver failed.
        """
        simulation = simulate(
            self.panel, self.windows, self.strategies, self.estimator, self.on_infeasible
        )
        return BacktestResult.of(
            simulation, self.panel, self.windows, self.names, dict(self.settings)
        )
