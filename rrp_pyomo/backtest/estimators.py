"""What is estimated from a window of returns: a covariance and an uncertainty set around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from rrp_pyomo._extras import require_extra
from rrp_pyomo.data import (
    Covariance,
    CovarianceUncertainty,
    DenseCovariance,
    FactorModel,
    WeightSet,
)
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InputError, brief, is_number, require_kind
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.risk_parity import Budgets
from rrp_pyomo.models.robust import RobustRiskParity


class History(NamedTuple):
    """The window before a rebalance: (p, n) excess returns and (p, m) factor returns."""

    date: pd.Timestamp
    returns: FloatArray
    factors: FloatArray
    labels: tuple[Any, ...]
    factor_labels: tuple[Any, ...]
    dates: pd.Index


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is known at a rebalance.

    Attributes
    ----------
    date : Timestamp
    covariance : Covariance
        Σ⁰.
    uncertainty : CovarianceUncertainty
        The set around Σ⁰, computed when it is first asked for.
    model : FactorModel or None
        Where the covariance comes from one.
    history : History or None
        The window that it was estimated from.
    """

    date: pd.Timestamp
    covariance: Covariance
    find_uncertainty: Callable[[], CovarianceUncertainty]
    model: FactorModel | None = None
    history: History | None = None
    _stated: list[_Stated] = field(default_factory=list, repr=False)

    @cached_property
    def uncertainty(self) -> CovarianceUncertainty:
        """U around Σ⁰; raises InputError where the estimator was given none."""
        return self.find_uncertainty()

    @cached_property
    def parity(self) -> FloatArray:
        """The weights of risk parity under Σ⁰, with equal budgets."""
        n = self.covariance.size
        return newton(self.covariance, np.full(n, 1.0 / n)).weights

    @cached_property
    def returns(self) -> pd.DataFrame:
        """The window's excess returns; raises InputError where the estimator left them out."""
        if self.history is None:
            raise InputError(
                "the estimate has no returns, which this problem is about; let the estimator give "
                "its history on: Estimate(..., history=history)"
            )
        return pd.DataFrame(self.history.returns, self.history.dates, list(self.covariance.labels))

    def robust(
        self, omega: float, budgets: Budgets = None, weight_set: WeightSet | None = None
    ) -> RobustRiskParity:
        """Problem (12); for several ω with the same budgets and weight set it is stated once."""
        for stated in self._stated:
            if stated.budgets is budgets and stated.weight_set is weight_set:
                first = stated.problem
                first.omega = omega
                return first
        problem = RobustRiskParity(self.uncertainty, omega, budgets, weight_set)
        self._stated.append(_Stated(budgets, weight_set, problem))
        return problem


class _Stated(NamedTuple):
    """A statement of (12), and the objects that it was stated for."""

    budgets: Budgets
    weight_set: WeightSet | None
    problem: RobustRiskParity


Estimator = Callable[[History], Estimate]


@dataclass(frozen=True)
class FactorModelEstimator:
    """Factor model by least squares; the uncertainty set follows from its standard errors.

    Parameters
    ----------
    scale : float
        Multiplies the standard errors in (10).

    Examples
    --------
    Standard errors that are twice as large make a robust portfolio another one:

    >>> from rrp_pyomo.backtest import Backtest, FactorModelEstimator, Robust
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> for scale in (1.0, 2.0):
    ...     estimator = FactorModelEstimator(scale)
    ...     result = Backtest(R, F, [Robust(1.0)], estimation="2Y", estimator=estimator).run()
    ...     print(result.weights.iloc[-1].round(3).tolist())
    [0.512, 0.213, 0.274]
    [0.627, 0.145, 0.228]
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        as_number(self.scale, "scale", least=0.0)

    def __call__(self, history: History) -> Estimate:
        model = FactorModel.from_arrays(
            history.returns, history.factors, history.labels, history.factor_labels, history.dates
        )
        return Estimate(
            history.date,
            model.covariance,
            lambda: model.covariance_uncertainty(self.scale),
            model,
            history,
        )


class UncertaintyEstimator(Protocol):
    """Makes an uncertainty set around a covariance that ``matrix`` estimated from a window."""

    def __call__(
        self,
        matrix: Callable[[FloatArray], FloatArray],
        history: History,
        nominal: Covariance,
    ) -> CovarianceUncertainty: ...


@dataclass(frozen=True)
class _MatrixEstimator(ABC):
    """An estimator of the covariance matrix itself, and of a set around it if one is wanted."""

    uncertainty: UncertaintyEstimator | None = None

    def __post_init__(self) -> None:
        if self.uncertainty is not None and (
            isinstance(self.uncertainty, type) or not callable(self.uncertainty)
        ):
            raise InputError(
                f"uncertainty is {brief(self.uncertainty)}; expected an object such as "
                "BootstrapUncertainty() or GivenBounds(upper)"
            )

    @abstractmethod
    def matrix(self, returns: FloatArray) -> FloatArray:
        """Σ⁰ from (p, n) returns."""

    def __call__(self, history: History) -> Estimate:
        nominal = DenseCovariance(self.matrix(history.returns), history.labels)
        return Estimate(history.date, nominal, lambda: self._set(history, nominal), history=history)

    def _set(self, history: History, nominal: Covariance) -> CovarianceUncertainty:
        if self.uncertainty is None:
            raise InputError(
                f"{type(self).__name__} has no uncertainty set, which worst-case and robust "
                "portfolios need; give it one: uncertainty=BootstrapUncertainty()"
            )
        return self.uncertainty(self.matrix, history, nominal)


@dataclass(frozen=True)
class SampleCovariance(_MatrixEstimator):
    """The sample covariance (ddof = 1).

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, MinimumVariance, SampleCovariance
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [MinimumVariance()], "2Y", estimator=SampleCovariance()).run()
    >>> result.weights.iloc[-1].round(3).tolist()
    [0.758, 0.0, 0.242]
    """

    def matrix(self, returns: FloatArray) -> FloatArray:
        return np.atleast_2d(np.cov(returns, rowvar=False))


@dataclass(frozen=True)
class ShrinkageCovariance(_MatrixEstimator):
    """A covariance estimator of scikit-learn.

    Parameters
    ----------
    uncertainty : UncertaintyEstimator, optional
    estimator : scikit-learn estimator, optional
        With ``fit`` and ``covariance_``, such as ``OAS()``; default ``LedoitWolf()``.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, MinimumVariance, ShrinkageCovariance
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [MinimumVariance()], "2Y", estimator=ShrinkageCovariance()).run()
    >>> result.weights.iloc[-1].round(3).tolist()
    [0.665, 0.066, 0.269]
    """

    estimator: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator is not None and (
            isinstance(self.estimator, type) or not hasattr(self.estimator, "fit")
        ):
            raise InputError(
                f"estimator is {brief(self.estimator)}; expected an object of scikit-learn's, such "
                "as OAS()"
            )

    def matrix(self, returns: FloatArray) -> FloatArray:
        require_extra("sklearn", "ShrinkageCovariance")
        from sklearn.base import clone
        from sklearn.covariance import LedoitWolf

        estimator = LedoitWolf() if self.estimator is None else clone(self.estimator)
        covariance: FloatArray = estimator.fit(returns).covariance_
        return covariance


@dataclass(frozen=True)
class BootstrapUncertainty:
    """Upper bounds from the stationary bootstrap: quantiles of re-estimated covariances.

    Each entry of Σ̄ is that quantile of the entry over the replications, variances being at least
    the nominal ones; where the bounds are not positive semidefinite, negative eigenvalues are set
    to zero, which only raises variances.

    Parameters
    ----------
    replications : int
    quantile : float
        Between 0.5 and 1.
    block : float, optional
        Expected length of a block in periods; default the average of the assets' optimal lengths.
    seed : int
        With the window's date it determines the draws.

    References
    ----------
    Politis & Romano (1994), The stationary bootstrap. Bounds by bootstrapped percentiles:
    Tütüncü & Koenig (2004), Robust asset allocation.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, BootstrapUncertainty, Robust, SampleCovariance
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> estimator = SampleCovariance(BootstrapUncertainty(replications=50, block=3.0, seed=1))
    >>> result = Backtest(R, F, [Robust(1.0)], estimation="2Y", estimator=estimator).run()
    >>> result.weights.iloc[-1].round(2).tolist()
    [0.61, 0.17, 0.22]
    """

    replications: int = 200
    quantile: float = 0.95
    block: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.5 <= as_number(self.quantile, "quantile") < 1.0:
            raise InputError(f"quantile is {self.quantile}; expected 0.5 ≤ quantile < 1")
        for name, least in (("replications", 1), ("seed", 0)):
            value = getattr(self, name)
            if not is_number(value, Integral) or value < least:
                raise InputError(
                    f"{name} is {brief(value)}; expected a whole number of at least {least}"
                )
        if self.block is not None and not as_number(self.block, "block") > 0.0:
            raise InputError(f"block is {self.block}; expected a length above 0, in periods")

    def __call__(
        self,
        matrix: Callable[[FloatArray], FloatArray],
        history: History,
        nominal: Covariance,
    ) -> CovarianceUncertainty:
        require_extra("arch", "BootstrapUncertainty")
        from arch.bootstrap import StationaryBootstrap, optimal_block_length

        block = self.block
        if block is None:
            block = float(optimal_block_length(history.returns)["stationary"].mean())
        rng = np.random.default_rng([self.seed, history.date.toordinal()])
        # Its annotations ask for whole blocks, its algorithm for their expected length.
        length: Any = max(block, 1.0)
        bootstrap = StationaryBootstrap(length, history.returns, seed=rng)
        draws = [
            matrix(np.asarray(sample[0])) for sample, _ in bootstrap.bootstrap(self.replications)
        ]
        upper = np.quantile(draws, self.quantile, axis=0)
        np.fill_diagonal(upper, np.maximum(upper.diagonal(), nominal.variances))
        upper = 0.5 * (upper + upper.T)
        return CovarianceUncertainty.from_bounds(
            nominal, DenseCovariance(upper, nominal.labels, repair="clip")
        )


Bound = pd.DataFrame | Callable[[pd.Timestamp], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class GivenBounds:
    """Bounds on the covariance matrix from elsewhere, (6).

    Parameters
    ----------
    upper, lower : (n, n) DataFrame, or a function from the rebalance date to one
        By asset, at least those of the backtest.

    Examples
    --------
    Bounds that say a volatility of 6 % per month for each asset, and no more of correlations:

    >>> import numpy as np
    >>> import pandas as pd
    >>> from rrp_pyomo.backtest import Backtest, GivenBounds, RiskParity, SampleCovariance
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> upper = pd.DataFrame(0.0036 * (0.5 + 0.5 * np.eye(3)), R.columns, R.columns)
    >>> estimator = SampleCovariance(GivenBounds(upper))
    >>> worst = RiskParity(worst_case=True)
    >>> result = Backtest(R, F, [worst], estimation="2Y", estimator=estimator).run()
    >>> result.weights.iloc[-1].round(3).tolist()
    [0.333, 0.333, 0.333]
    """

    upper: Bound
    lower: Bound | None = None

    def __call__(
        self,
        matrix: Callable[[FloatArray], FloatArray],
        history: History,
        nominal: Covariance,
    ) -> CovarianceUncertainty:
        upper = _at(self.upper, history)
        lower = None if self.lower is None else _at(self.lower, history)
        return CovarianceUncertainty.from_bounds(nominal, upper, lower)


def _at(bound: Bound, history: History) -> pd.DataFrame:
    frame = bound(history.date) if callable(bound) else bound
    require_kind(frame, pd.DataFrame, "a bound", "by asset and asset")
    labels = list(history.labels)
    missing = [label for label in labels if label not in frame.index or label not in frame.columns]
    if missing:
        raise InputError(
            f"the bounds lack {len(missing)} of {len(labels)} assets, such as {str(missing[0])!r}; "
            "give a row and a column for each asset"
        )
    return frame.loc[labels, labels]
