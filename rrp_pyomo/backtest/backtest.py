"""Rolling-window backtests on labelled returns."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo._processes import local_processes, number_of_workers
from rrp_pyomo.backtest.engine import (
    LEFT_OUT,
    Alone,
    Event,
    OnInfeasible,
    Panel,
    Simulation,
    as_estimator,
    joined,
    require_names,
    require_policy,
    simulate,
)
from rrp_pyomo.backtest.estimators import Estimator
from rrp_pyomo.backtest.result import BacktestResult
from rrp_pyomo.backtest.schedule import rolling_windows
from rrp_pyomo.backtest.strategies import Strategy, as_strategies
from rrp_pyomo.errors import InputError, RiskParityError, SolverError


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
        ``"robust:2"``; ``"all"`` stands for all that have one. Names must be unique.
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
    leave_out : bool
        Whether a strategy that cannot be run on the data, or has no solution and no way out, is
        left out, which ``BacktestResult.left_out`` says, instead of ending the backtest.

    Raises
    ------
    InputError
        Arguments of another type, dates that are repeated, unsorted or differ, a missing period or
        return, or one below −100 %, within the windows (asset and date are named), a window that is
        longer than the history, two strategies of one name, an unknown policy.

    Examples
    --------
    Three assets over a year, each half-year from two years before:

    >>> from rrp_pyomo.backtest import Backtest, EqualWeight, RiskParity
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> backtest = Backtest(R, F, [EqualWeight(), RiskParity()], estimation="2Y", rebalance="6M")
    >>> result = backtest.run()
    >>> result.wealth.iloc[-1].round(3).to_dict()
    {'equal weight': 1.239, 'nominal': 1.222}
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
        leave_out: bool = False,
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
        self.leave_out = leave_out
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

    def run(
        self, workers: int | None = 1, report: Callable[[str], None] | None = None
    ) -> BacktestResult:
        """Run it.

        Parameters
        ----------
        workers : int, optional
            Processes among which the strategies are divided; None for the number of cores.
            Strategies and the estimator must then be such that pickle takes them.
        report : callable, optional
            Told the name of each strategy that is done, where they are run one by one: by several
            workers or with ``leave_out``.

        Raises
        ------
        InfeasibleError
            (12) has no solution and ``on_infeasible`` has no way out; strategy and date are named.
        SolverError
            A solver failed.
        InputError
            What an estimator or a strategy refuses; for several workers, what they cannot be sent;
            no strategy is left.
        """
        workers = number_of_workers(workers)
        if workers == 1 and not self.leave_out:
            simulation = simulate(
                self.panel, self.windows, self.strategies, self.estimator, self.on_infeasible
            )
            return self._result(simulation, self.names)
        done: list[Simulation] = []
        names, events = list[str](), list[Event]()
        for strategy, outcome in self._one_by_one(workers):
            if report is not None:
                report(strategy.name)
            if isinstance(outcome, Simulation):
                done.append(outcome)
                names.append(strategy.name)
            elif self.leave_out:
                date = self.windows[0].date
                reason = " ".join(str(outcome).split())
                events.append(Event(date, strategy.name, LEFT_OUT, np.nan, np.nan, np.nan, reason))
            else:
                raise outcome
        if not done:
            raise InputError(
                f"none of the strategies can be run on these data; {events[0].strategy!r}: "
                f"{events[0].reason}"
            )
        simulation = joined(done)
        return self._result(simulation._replace(events=simulation.events + events), names)

    def _one_by_one(self, workers: int) -> Iterator[tuple[Strategy, Simulation | RiskParityError]]:
        """Each strategy with what became of it, in their order."""
        alone = Alone(self.panel, self.windows, self.estimator, self.on_infeasible)
        if workers == 1:
            yield from ((strategy, alone(strategy)) for strategy in self.strategies)
            return
        try:
            pickle.dumps([alone, self.strategies])
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InputError(
                f"a strategy or the estimator cannot be sent to other processes ({error}); define "
                "its function in a module, or use workers=1"
            ) from None
        with local_processes(min(workers, len(self.strategies))) as pool:
            try:
                yield from zip(self.strategies, pool.map(alone, self.strategies), strict=True)
            except BrokenProcessPool as error:
                raise SolverError(
                    f"one of {workers} worker processes died, perhaps for want of memory; use fewer"
                ) from error

    def _result(self, simulation: Simulation, names: list[str]) -> BacktestResult:
        return BacktestResult.of(simulation, self.panel, self.windows, names, dict(self.settings))
