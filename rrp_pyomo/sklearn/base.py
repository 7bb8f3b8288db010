"""What all estimators share: from returns to what is known, a problem, and its certified answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from rrp_pyomo.backtest.estimators import Estimate, Estimator
from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.units import refuse_prices
from rrp_pyomo.data.validation import Matrix
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.sklearn.known import estimated
from rrp_pyomo.sklearn.prediction import HAS_SKFOLIO, predicted


@dataclass(eq=False, repr=False, kw_only=True)
class PortfolioEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """A problem as an estimator: ``fit`` to returns solves it for what they say.

    Its parameters are those of the problem, with what is estimated by name: ``set_params``,
    ``clone`` and scikit-learn's searches work. Those here are common to all, and given by keyword.

    Parameters
    ----------
    estimator : {"factor_model", "sample", "ledoit_wolf"} or estimator of ``rrp_pyomo.backtest``
        What the covariance Σ⁰ and the set around it come from, such as ``FactorModelEstimator(2)``
        or ``SampleCovariance(BootstrapUncertainty())``. By default ``"factor_model"`` where factors
        are given, otherwise ``"sample"``.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.
    solver : str, optional
        By default the problem's own.
    previous_weights : Series, mapping or (n,) array, optional
        x⁰, what is held before. Problems about trading start from it; of the others it is only told
        to skfolio's ``Portfolio``.
    portfolio_params : dict, optional
        What the ``Portfolio`` of skfolio takes that :meth:`predict` returns there, such as
        ``{"annualization_factor": 12}``.

    Attributes
    ----------
    weights_ : (n,) array
        x, in the order of the columns.
    solution_ : Portfolio
        The answer with labels, its certificate and what it is robust against.
    n_features_in_ : int
        n.
    feature_names_in_ : (n,) array of str
        The assets, where all of them have names.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.sklearn import PortfolioEstimator, RiskParitySOCP
    >>> fitted = RiskParitySOCP().fit(french().returns.iloc[-36:, :3])
    >>> isinstance(fitted, PortfolioEstimator), fitted.weights_.round(3).tolist()
    (True, [0.471, 0.232, 0.296])
    >>> fitted.solution_.certificate.is_risk_parity
    True
    """

    estimator: str | Estimator | None = None
    weight_set: WeightSet | None = None
    solver: str | None = None
    previous_weights: Any = None
    portfolio_params: Mapping[str, Any] | None = None

    # Why there is no problem without factors, unless an estimator says otherwise.
    _needs_factors: ClassVar[str] = ""

    def fit(self, X: Matrix, y: Any = None, factors: Any = None) -> Self:
        """Estimate from returns, state the problem and solve it.

        Parameters
        ----------
        X : (T, n) DataFrame or array
            Returns by period and asset, decimals; excess returns where the factors are.
        y : (T, m) or (T,) DataFrame, Series or array, optional
            Factor returns, too, for callers that have no other argument to pass on; not looked at
            where ``factors`` are given.
        factors : (T, m) or (T,) DataFrame, Series or array, optional
            Factor returns of the same periods. With metadata routing,
            ``set_fit_request(factors=True)`` lets searches and ``cross_val_predict`` pass them on.

        Raises
        ------
        InputError
            No factors for a problem about their loadings, dates that differ, a table of prices,
            parameters and returns that the problem refuses.
        InfeasibleError
            No weights satisfy the constraints.
        """
        if self.weight_set is not None:
            require_kind(self.weight_set, WeightSet, "weight_set", "such as WeightSet(upper=0.1)")
        returns = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        if isinstance(X, pd.DataFrame):
            refuse_prices(returns, "X")
            returns = pd.DataFrame(returns, X.index, X.columns)
        given = y if factors is None else factors
        if given is None and self.estimator is None and self._needs_factors:
            raise InputError(
                f"{type(self).__name__} is about {self._needs_factors}, and no factors are given; "
                "fit(X, factors=F), or choose an estimator that makes a set without them, such as "
                "SampleCovariance(BootstrapUncertainty())"
            )
        self.solution_ = self._solved(estimated(returns, given, self.estimator))
        self.weights_ = self._first(self.solution_.weights).to_numpy()
        return self

    def predict(self, X: Matrix) -> Any:
        """What the weights earn on other returns of the same assets.

        Returns
        -------
        skfolio.Portfolio or Prediction
            The former where skfolio is installed. Both have ``returns``, ``weights``, ``mean``,
            ``standard_deviation`` and ``sharpe_ratio``, and are their returns for ``np.asarray``.
        """
        check_is_fitted(self)
        returns = validate_data(self, X, dtype=np.float64, reset=False)
        shown = X if isinstance(X, pd.DataFrame) else returns
        name, held = type(self).__name__, self.previous_weights
        return predicted(shown, self.weights_, name, held, self.portfolio_params)

    def score(self, X: Matrix, y: Any = None) -> float:
        """The Sharpe ratio per period of what is predicted, mean over standard deviation.

        Without a riskless rate, as skfolio has it: give excess returns, or there
        ``portfolio_params={"risk_free_rate": …}``.
        """
        return float(self.predict(X).sharpe_ratio)

    @property
    def needs_previous_weights(self) -> bool:
        """Whether one fit depends on the one before, which skfolio asks."""
        return False

    @abstractmethod
    def _problem(self, known: Estimate) -> Any:
        """The problem for what is known."""

    def _solved(self, known: Estimate) -> Any:
        return self._problem(known).solve(self.solver)

    def _first(self, weights: Any) -> Any:
        """What is to be held now."""
        return weights


@dataclass(eq=False, repr=False, kw_only=True)
class TradingEstimator(PortfolioEstimator):
    """A problem to which it matters what is held before, what trading costs and how much is traded.

    :class:`MeanVariance` describes the parameters.
    """

    l1: Any = 0.0
    turnover: float | None = None

    @property
    def needs_previous_weights(self) -> bool:
        """Whether trading costs or is limited, so that one fit depends on the one before."""
        costs = list(self.l1.values()) if isinstance(self.l1, Mapping) else self.l1
        return self.turnover is not None or bool(np.any(costs))

    def _trading(self) -> dict[str, Any]:
        """The problem's arguments about trading."""
        held = self.previous_weights
        return {
            "l1": self.l1,
            "previous": held,
            "turnover": None if held is None else self.turnover,
        }


if HAS_SKFOLIO:
    # Its cross-validation takes nothing else.
    from skfolio.optimization import BaseOptimization

    BaseOptimization.register(PortfolioEstimator)
