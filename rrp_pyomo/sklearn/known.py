"""What is known of a market, by name: estimates from returns, and the sets around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array

from rrp_pyomo.backtest.estimators import (
    Estimate,
    Estimator,
    FactorModelEstimator,
    History,
    SampleCovariance,
    ShrinkageCovariance,
)
from rrp_pyomo.data import baranchik, james_stein
from rrp_pyomo.data.validation import Matrix, require_same_dates
from rrp_pyomo.errors import InputError, UnknownLabelError, brief
from rrp_pyomo.models import recipes

ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "factor_model": FactorModelEstimator,
    "sample": SampleCovariance,
    "ledoit_wolf": ShrinkageCovariance,
}


# From what is known, and the estimator whose numbers say how well.
Known = Callable[[Estimate, Any], Any]
Choice = str | Callable[[Estimate], Any]

# The recipes of the registry say what each of these is.
MEANS: dict[str, Known] = {
    "sample": lambda known, by: known.returns.mean(),
    "james_stein": lambda known, by: james_stein(known.returns).mean,
    "baranchik": lambda known, by: baranchik(known.returns).mean,
    "bayes_stein": lambda known, by: recipes.bayes_stein(known, 1.0).mean_set,
    "black_litterman": lambda known, by: recipes.black_litterman(known, by.risk_aversion).mean_set,
    "alpha": lambda known, by: recipes.robust_loadings(known, by.radius).mean_set,
    "ellipsoid": lambda known, by: recipes.robust_mean_variance(known, by.level).mean_set,
    "box": lambda known, by: recipes.box_mean_variance(known, by.level).mean_set,
    "loading_ellipsoids": lambda known, by: recipes.goldfarb_iyengar(known, by.level).mean_set,
}
COVARIANCES: dict[str, Known] = {
    "nominal": lambda known, by: known.covariance,
    "bayes_stein": lambda known, by: recipes.bayes_stein(known, 1.0).covariance_set,
    "black_litterman": lambda known, by: (
        recipes.black_litterman(known, by.risk_aversion).covariance_set
    ),
    "uncertainty": lambda known, by: known.uncertainty,
    "elementwise_error": lambda known, by: (
        recipes.robust_minimum_variance(known, by.radius).covariance_set
    ),
    "loading_ellipsoids": lambda known, by: (
        recipes.goldfarb_iyengar(known, by.level).covariance_set
    ),
    "loadings_ball": lambda known, by: recipes.robust_loadings(known, by.radius).covariance_set,
}
DISTRIBUTIONS: dict[str, Known] = {
    "scenarios": lambda known, by: known.returns,
    "moments": lambda known, by: recipes.moment_cvar(known, 0.05).distribution,
    "wasserstein": lambda known, by: recipes.wasserstein_cvar(known, by.radius).distribution,
    "kullback_leibler": lambda known, by: recipes.robust_log_utility(known, by.level).distribution,
}


def chosen(given: Choice, what: str, choices: Mapping[str, Known], known: Estimate, by: Any) -> Any:
    """A mean, a covariance, a distribution or a set, by its name or by the user's function.

    Raises
    ------
    UnknownLabelError
        Nothing has that name.
    """
    if callable(given):
        return given(known)
    return _named(given, what, choices)(known, by)


def estimated(returns: Matrix, factors: Any, by: str | Estimator | None) -> Estimate:
    """What an estimator makes of (T, n) returns and those of factors.

    Raises
    ------
    InputError
        Factors that are missing, or of other dates; an estimator that is none.
    """
    if by is None:
        by = "sample" if factors is None else "factor_model"
    if isinstance(by, str):
        by = _named(by, "estimator", ESTIMATORS)()
    if not callable(by) or isinstance(by, type):
        raise InputError(
            f"estimator is {brief(by)}; expected a name, such as 'sample', or an object such as "
            "FactorModelEstimator()"
        )
    if factors is None and isinstance(by, FactorModelEstimator):
        raise InputError(
            "a factor model is to be estimated, and no factors are given; fit(X, factors=F), or "
            "choose estimator='sample'"
        )
    R = _table(returns)
    F = pd.DataFrame(index=R.index) if factors is None else _factors(factors, R.index)
    last = R.index[-1]
    return by(
        History(
            last if isinstance(last, pd.Timestamp) else pd.Timestamp(0),
            R.to_numpy(),
            F.to_numpy(dtype=np.float64),
            tuple(R.columns),
            tuple(F.columns),
            R.index,
        )
    )


def _named(name: Any, what: str, choices: Mapping[str, Any]) -> Any:
    if not isinstance(name, str) or name not in choices:
        raise UnknownLabelError(what, name, choices)
    return choices[name]


def _table(given: Any) -> pd.DataFrame:
    return given if isinstance(given, pd.DataFrame) else pd.DataFrame(given)


def _factors(given: Any, dates: pd.Index) -> pd.DataFrame:
    """Factor returns with labels, for the periods of the assets' returns."""
    array = check_array(given, dtype=np.float64, ensure_2d=False, input_name="factors")
    table = pd.DataFrame(array)
    if isinstance(given, pd.DataFrame | pd.Series):
        frame = given.to_frame() if isinstance(given, pd.Series) else given
        table = pd.DataFrame(array, frame.index, frame.columns)
        if not isinstance(dates, pd.RangeIndex):
            require_same_dates(dates, frame.index, "returns", "factors")
    return table
