"""Model predictive control: several periods are planned at a rebalance, the first one is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.backtest.estimators import Estimate
from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.data.weight_set import resolved_weight_set
from rrp_pyomo.errors import (
    InputError,
    SolverError,
    UnknownLabelError,
    brief,
    is_number,
    require_kind,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.multi_period import MultiPeriod
from rrp_pyomo.models.separable import SeparableProgram, markowitz
from rrp_pyomo.models.time_structure import STRUCTURES, Forecasts
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.solve.session import ProgramSession
from rrp_pyomo.uncertainty import Ellipsoid

Costs = float | Mapping[Any, float] | pd.Series


@dataclass(frozen=True, eq=False)
class ModelPredictiveControl:
    """A :class:`~rrp_pyomo.MultiPeriod` plan at each rebalance, of which the first step is taken.

    The plan starts from the weights that are held, drifted with the returns since the last
    rebalance; at the first one nothing is held and trading is free. Means are the window's, with
    errors in their confidence ellipsoid, unless a forecast says others. A heuristic: every plan is
    robust, but the sequence of first steps is no robust policy (Boyd et al. 2017).

    With ``horizon=1`` and ``level=None`` it is Markowitz's problem with costs, anew at each date.
    Under a factor model that takes about a millisecond for 500 assets, because it is separable but
    for the factors, where weights have bounds alone.

    Parameters
    ----------
    horizon : int
        H ≥ 1, how many periods are planned.
    cost : float, Series or mapping by asset
        c ≥ 0 of a unit traded, a part of wealth.
    risk_aversion : float
        λ ≥ 0.
    level : float or None
        The confidence of the ellipsoid of mean errors, from 0 to 1; None takes means as they are.
    uncertainty : {"rectangular", "common", "joint"}
        How the errors of the periods go together, as :class:`~rrp_pyomo.MultiPeriod` takes it.
    forecast : callable, optional
        From the estimate to an (H, n) table of means.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.
    turnover : float, optional
        The most that is traded at a rebalance, once something is held.

    Raises
    ------
    InputError
        Numbers that are none of these, or a forecast that is no function.

    Examples
    --------
    The more trading costs, the less is traded:

    >>> from rrp_pyomo.backtest import Backtest, ModelPredictiveControl
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> for cost in (0.0, 0.01):
    ...     strategy = ModelPredictiveControl(horizon=2, cost=cost, risk_aversion=10.0)
    ...     result = Backtest(R, F, [strategy], estimation="2Y").run()
    ...     print(cost, result.trades.iloc[-1].round(2).tolist())
    0.0 [0.51]
    0.01 [0.14]
    """

    horizon: int = 3
    cost: Costs = 0.001
    risk_aversion: float = 1.0
    level: float | None = 0.95
    uncertainty: str = "common"
    forecast: Callable[[Estimate], Any] | None = None
    weight_set: WeightSet | None = None
    turnover: float | None = None
    name: str = "model predictive"

    def __post_init__(self) -> None:
        require_kind(self.name, str, "name of a strategy", "such as 'mine'")
        if not (is_number(self.horizon, int) and self.horizon >= 1):
            raise InputError(
                f"horizon is {brief(self.horizon)}; expected a whole number of at least 1"
            )
        if is_number(self.cost):
            as_number(self.cost, "cost", least=0.0)
        as_number(self.risk_aversion, "risk_aversion", least=0.0)
        if self.level is not None:
            as_number(self.level, "level", least=0.0, most=1.0)
        if self.uncertainty not in STRUCTURES:
            raise UnknownLabelError(
                "structure of the uncertainty in time", self.uncertainty, STRUCTURES
            )
        if self.forecast is not None and not callable(self.forecast):
            raise InputError(
                f"forecast is {brief(self.forecast)}; expected a function from an Estimate to "
                "means by period and asset"
            )
        if self.weight_set is not None:
            require_kind(self.weight_set, WeightSet, "weight_set", "such as WeightSet(upper=0.1)")

    def weights(self, estimate: Estimate, solvers: ProgramSession) -> FloatArray:
        """The first step where nothing is held."""
        return self.weights_from(estimate, solvers, None)

    def weights_from(
        self, estimate: Estimate, solvers: ProgramSession, held: FloatArray | None
    ) -> FloatArray:
        """The first step from what is held, an (n,) array."""
        program = self._separable(estimate, held)
        if program is not None:
            n = estimate.covariance.size
            with suppress(SolverError):  # it stands by its own bound, or Clarabel is asked
                return program.solve(np.full(n, 1.0 / n) if held is None else held)
        plan = self.plan(estimate, held)
        return np.asarray(solvers.solve(plan.statement)["x_1"])

    def plan(self, estimate: Estimate, held: FloatArray | None = None) -> MultiPeriod:
        """What is planned at a rebalance."""
        errors = None
        if self.level:
            errors = Ellipsoid.of_mean(estimate.returns, self.level, estimate.covariance)
        return MultiPeriod(
            self._means(estimate),
            estimate.covariance,
            self.risk_aversion,
            uncertainty=self.uncertainty,
            weight_set=self.weight_set,
            errors=errors,
            l1=self.cost,
            previous=held,
            turnover=None if held is None else self.turnover,
        )

    def _means(self, estimate: Estimate) -> Any:
        """By period and asset."""
        if self.forecast is not None:
            return self.forecast(estimate)
        return [estimate.returns.to_numpy().mean(axis=0)] * self.horizon

    def _separable(self, estimate: Estimate, held: FloatArray | None) -> SeparableProgram | None:
        """The plan of a single period, where known means and few factors make it separable."""
        if self.horizon > 1 or self.level or (held is not None and self.turnover is not None):
            return None
        labels = estimate.covariance.labels
        forecasts = Forecasts.of(self._means(estimate), None, None, labels)
        if not forecasts.known_alone or len(forecasts.periods) > 1:
            return None
        trading = Trading.of(labels, 0.0 if held is None else self.cost, held, None)
        X = resolved_weight_set(self.weight_set, labels)
        (mean,) = forecasts.centers
        return markowitz(mean, estimate.covariance, self.risk_aversion, trading, X)
