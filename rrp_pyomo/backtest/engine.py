"""The loop of a backtest: fit, decide, hold; arrays in, arrays out."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import pandas as pd

from rrp_pyomo.backtest.estimators import Estimate, Estimator, FactorModelEstimator, History
from rrp_pyomo.backtest.schedule import Window
from rrp_pyomo.backtest.statistics import until_ruin
from rrp_pyomo.backtest.strategies import (
    FromHeld,
    Relaxable,
    Relaxation,
    Strategy,
    nominal_in_place_of,
)
from rrp_pyomo.data.readers import rate_beside
from rrp_pyomo.data.units import refuse_impossible, refuse_prices
from rrp_pyomo.data.validation import (
    as_floats,
    index_of,
    require_dates,
    require_finite,
    require_same_dates,
    require_shape,
)
from rrp_pyomo.errors import (
    InfeasibleError,
    InputError,
    RiskParityError,
    RiskParityWarning,
    brief,
    require_kind,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solve.session import ProgramSession

OnInfeasible = Literal["cap", "hold", "nominal", "raise"]

# Of the weights that solvers find, and how far their sum may be from 1.
_ROUNDING, _ROUNDING_OF_SUM = 1e-8, 1e-6

# What is done with a strategy that cannot be run on the data.
LEFT_OUT = "leave out"

# Of a strategy that knows no smaller ω to go on with.
__all__ = ["Panel"]

_NO_RELAXATION = Relaxation(None, np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class Panel:
    """Market data in numbers, checked once.

    Attributes
    ----------
    returns, excess : (p, n) arrays
        Total returns, and those over the risk-free rate.
    risk_free : (p,) array
    factors : (p, m) array
    labels, factor_labels : tuple
    dates : Index

    Examples
    --------
    >>> from rrp_pyomo.backtest.engine import Panel
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> panel = Panel.of(data.returns, data.factors, data.risk_free)
    >>> panel.returns.shape, panel.factor_labels
    ((819, 30), ('Mkt-RF', 'SMB', 'HML'))
    """

    returns: FloatArray
    excess: FloatArray
    risk_free: FloatArray
    factors: FloatArray
    labels: tuple[Any, ...]
    factor_labels: tuple[Any, ...]
    dates: pd.Index

    @classmethod
    def of(
        cls, returns: pd.DataFrame, factors: pd.DataFrame, risk_free: pd.Series | None = None
    ) -> Panel:
        """From labelled data over the same dates; without a risk-free rate it is 0.

        Raises
        ------
        InputError
            Dates that are repeated, unsorted or differ, entries that are not numbers, prices in
            place of returns, a rate that seems to be in per cent beside the returns.
        """
        require_dates(returns, "returns")
        require_dates(factors, "factors")
        require_same_dates(returns.index, factors.index, "returns", "factors")
        total = as_floats(returns, "returns", 2)
        refuse_prices(total, "returns")
        rate = np.zeros(len(returns))
        if risk_free is not None:
            table = pd.DataFrame(total, returns.index, returns.columns)
            rate = rate_beside(table, risk_free)
        return cls(
            total,
            total - rate[:, None],
            rate,
            as_floats(factors, "factors", 2),
            tuple(returns.columns),
            tuple(factors.columns),
            returns.index,
        )

    @property
    def fingerprint(self) -> str:
        """A digest of all numbers, labels and dates."""
        digest = hashlib.sha256()
        for array in (self.returns, self.risk_free, self.factors):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr((self.labels, [str(date) for date in self.dates])).encode())
        return digest.hexdigest()[:16]

    def select(self, columns: Sequence[int] | FloatArray) -> Panel:
        """The assets in these positions."""
        return Panel(
            np.ascontiguousarray(self.returns[:, columns]),
            np.ascontiguousarray(self.excess[:, columns]),
            self.risk_free,
            self.factors,
            tuple(self.labels[i] for i in columns),
            self.factor_labels,
            self.dates,
        )

    def require_complete(self, windows: Sequence[Window]) -> None:
        """Raise where a return within the windows is missing or below −100 %; asset and date are
        named."""
        used = slice(windows[0].fit.start, windows[-1].hold.stop)
        dates = self.dates[used]
        require_finite(self.returns[used], "return", dates, self.labels)
        require_finite(self.factors[used], "factor return", dates, self.factor_labels)
        require_finite(self.risk_free[used], "risk-free rate", dates)
        refuse_impossible(self.returns[used], "return", dates, index_of(self.labels))

    def history(self, window: Window) -> History:
        """What is known at the window's date."""
        rows = window.fit
        return History(
            window.date,
            self.excess[rows],
            self.factors[rows],
            self.labels,
            self.factor_labels,
            self.dates[rows],
        )


class Event(NamedTuple):
    """What did not go as planned at a rebalance.

    ``action`` is ``cap``, ``hold``, ``nominal``, ``accept`` or ``leave out``, the latter with the
    first date and for the whole backtest; ``used`` is the ω that was solved.
    """

    date: pd.Timestamp
    strategy: str
    action: str
    omega: float
    omega_max: float
    used: float
    reason: str


class Simulation(NamedTuple):
    """K rebalances of S strategies over n assets, and T periods that were held.

    ``contributions`` are relative, under Σ⁰ of the window; ``drifted`` are the weights at the end
    of the window; ``seconds`` what each decision took, the estimate being part of the first one
    that asks for it.
    """

    weights: FloatArray  # (K, S, n)
    contributions: FloatArray  # (K, S, n)
    drifted: FloatArray  # (K, S, n)
    returns: FloatArray  # (T, S)
    seconds: FloatArray  # (K, S)
    events: list[Event]


def simulate(
    panel: Panel,
    windows: Sequence[Window],
    strategies: Sequence[Strategy],
    estimator: Estimator | None = None,
    on_infeasible: OnInfeasible = "cap",
) -> Simulation:
    """Fit, decide and hold, window by window; see :class:`Backtest`."""
    estimator = as_estimator(estimator)
    require_policy(on_infeasible)
    solvers, events = ProgramSession(), list[Event]()
    K, S, n = len(windows), len(strategies), len(panel.labels)
    weights, contributions, drifted = (np.empty((K, S, n)) for _ in range(3))
    seconds, returns, ruined = np.empty((K, S)), [], np.zeros(S, dtype=bool)
    for k, window in enumerate(windows):
        estimate = estimator(panel.history(window))
        require_kind(estimate, Estimate, "what the estimator gave", "see Estimate(...)")
        for s, strategy in enumerate(strategies):
            start = time.perf_counter()
            last = weights[k - 1, s] if k else None
            held = drifted[k - 1, s] if k else None
            weights[k, s] = _decide(strategy, estimate, solvers, on_infeasible, last, held, events)
            seconds[k, s] = time.perf_counter() - start
        X = weights[k]
        risk = X * (estimate.covariance.operator @ X.T).T
        contributions[k] = risk / risk.sum(axis=1, keepdims=True)
        earned, drifted[k] = hold(X, panel.returns[window.hold])
        returns.append(earned)
        drifted[k, ruined] = 0.0
        ruined |= (earned == -1.0).any(axis=0)
    total = until_ruin(np.concatenate(returns))
    return Simulation(weights, contributions, drifted, total, seconds, events)


@dataclass(frozen=True, eq=False)
class Alone:
    """A backtest of one strategy at a time: a function of it, for other processes too."""

    panel: Panel
    windows: Sequence[Window]
    estimator: Estimator
    on_infeasible: OnInfeasible

    def __call__(self, strategy: Strategy) -> Simulation | RiskParityError:
        """What became of it, or why nothing did."""
        try:
            return simulate(
                self.panel, self.windows, [strategy], self.estimator, self.on_infeasible
            )
        except RiskParityError as error:
            return error


def joined(simulations: Sequence[Simulation]) -> Simulation:
    """Simulations of different strategies over the same windows as one."""
    *arrays, events = zip(*simulations, strict=True)
    weights, contributions, drifted, returns, seconds = (np.concatenate(a, axis=1) for a in arrays)
    return Simulation(
        weights, contributions, drifted, returns, seconds, [e for each in events for e in each]
    )


def hold(weights: FloatArray, returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Hold portfolios without trading, so that their weights drift with the returns.

    A portfolio of which less than 1e-8 is left has lost everything: what rounding leaves of its
    weights, or of their sum, is no wealth.

    Parameters
    ----------
    weights : (S, n) array
        Each row sums to 1 (what does not is cash that earns nothing).
    returns : (T, n) array

    Returns
    -------
    (T, S) array
        Returns of the portfolios; −1 from where everything is lost.
    (S, n) array
        Weights at the end; 0 where everything is lost.
    """
    growth = np.cumprod(1.0 + returns, axis=0)
    cash = 1.0 - weights.sum(axis=1)
    value = growth @ weights.T + cash
    left = value - np.where(np.abs(cash) <= _ROUNDING_OF_SUM, cash, 0.0)
    lost = np.maximum.accumulate(left <= _ROUNDING, axis=0)
    value = np.where(lost, 1.0, value)
    before = np.vstack([np.ones(len(weights)), value[:-1]])
    drifted = weights * growth[-1] / value[-1][:, None]
    return np.where(lost, -1.0, value / before - 1.0), np.where(lost[-1][:, None], 0.0, drifted)


def as_estimator(estimator: Estimator | None) -> Estimator:
    """The estimator, by default the factor model."""
    if estimator is None:
        return FactorModelEstimator()
    if isinstance(estimator, type) or not callable(estimator):
        raise InputError(
            f"estimator is {brief(estimator)}; expected an object such as FactorModelEstimator() "
            "or a function from a History to an Estimate"
        )
    return estimator


def require_policy(on_infeasible: str) -> None:
    """Raise for an ``on_infeasible`` that nobody knows."""
    if not isinstance(on_infeasible, str) or on_infeasible not in get_args(OnInfeasible):
        raise InputError(
            f"on_infeasible is {brief(on_infeasible)}; expected one of "
            f"{', '.join(get_args(OnInfeasible))}"
        )


def require_names(names: Sequence[Hashable]) -> None:
    """Raise where two strategies share a name, or there are none."""
    if not names:
        raise InputError("no strategies were given; give at least one, such as RiskParity()")
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise InputError(
            f"several strategies are called {min(map(str, repeated))!r}; give each its own name="
        )


def _decide(
    strategy: Strategy,
    estimate: Estimate,
    solvers: ProgramSession,
    policy: OnInfeasible,
    last: FloatArray | None,
    held: FloatArray | None,
    events: list[Event],
) -> FloatArray:
    """The strategy's weights, or what the policy puts in their place; events say so."""
    omega = getattr(strategy, "omega", np.nan)
    limit = used = np.nan
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RiskParityWarning)
        try:
            x = _weights_of(strategy, estimate, solvers, held)
        except InfeasibleError as error:
            x, limit, used = _instead(strategy, estimate, solvers, policy, last, error)
            reason = f"infeasible: {error}"
            events.append(Event(estimate.date, strategy.name, policy, omega, limit, used, reason))
    for remark in [*solvers.remarks, *_said(caught)]:
        solved = omega if np.isnan(used) else used
        events.append(Event(estimate.date, strategy.name, "accept", omega, limit, solved, remark))
    solvers.remarks.clear()
    return x


def _weights_of(
    strategy: Strategy, estimate: Estimate, solvers: ProgramSession, held: FloatArray | None
) -> FloatArray:
    """The strategy's weights; what is none is an error that names it."""
    if hasattr(strategy, "weights_from"):  # many times faster than to ask for the protocol
        x = cast(FromHeld, strategy).weights_from(estimate, solvers, held)
    else:
        x = strategy.weights(estimate, solvers)
    n = estimate.covariance.size
    if type(x) is np.ndarray and x.dtype == float and x.shape == (n,) and np.isfinite(x).all():
        return x
    name = f"strategy {strategy.name!r} at {estimate.date:%Y-%m-%d}: weights"
    x = as_floats(x, name, 1)
    require_shape(x, (n,), name, f"{n} assets")
    require_finite(x, name, estimate.covariance.labels)
    return x


def _said(caught: list[warnings.WarningMessage]) -> list[str]:
    """What this package warned of; other warnings go their way."""
    for w in caught:
        if not issubclass(w.category, RiskParityWarning):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
    return [str(w.message) for w in caught if issubclass(w.category, RiskParityWarning)]


def _instead(
    strategy: Strategy,
    estimate: Estimate,
    solvers: ProgramSession,
    policy: OnInfeasible,
    last: FloatArray | None,
    error: InfeasibleError,
) -> tuple[FloatArray, float, float]:
    """Weights in place of those of an infeasible problem, ω_max and the ω that was used."""
    relaxed = strategy.relaxed(estimate) if isinstance(strategy, Relaxable) else _NO_RELAXATION
    limit = relaxed.limit
    if policy == "nominal":
        return nominal_in_place_of(strategy).weights(estimate, solvers), limit, np.nan
    if policy == "hold" and last is not None:
        return last, limit, np.nan
    if policy == "cap" and relaxed.strategy is not None:
        return relaxed.strategy.weights(estimate, solvers), limit, relaxed.used
    remedy = {
        "raise": "use on_infeasible='cap' to go on with a smaller omega",
        "hold": "there is no earlier portfolio to hold; use on_infeasible='cap' or 'nominal'",
        "cap": "no smaller omega helps; use on_infeasible='hold' or 'nominal'",
    }[policy]
    raise InfeasibleError(
        f"strategy {strategy.name!r} has no solution at {estimate.date:%Y-%m-%d}: {error}; {remedy}"
    ) from error
