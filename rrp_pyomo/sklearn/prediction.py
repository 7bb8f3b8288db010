"""What weights would have earned: skfolio's portfolio where that is installed, or a light one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

HAS_SKFOLIO = find_spec("skfolio") is not None


@dataclass(frozen=True, eq=False)
class Prediction:
    """The returns of a portfolio on data that it was not fitted to; an array where one is wanted.

    Where skfolio is installed, its ``Portfolio`` takes this one's place, which has the same names
    and many more.

    Attributes
    ----------
    returns : (T,) array
        x'r_t per period.
    weights : (n,) array
        x.
    name : str
        The estimator's class.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo.sklearn import Prediction
    >>> R, x = np.array([[0.02, 0.0], [0.01, 0.03], [-0.01, 0.01]]), np.array([0.5, 0.5])
    >>> prediction = Prediction(R @ x, x)
    >>> round(prediction.mean, 4), round(prediction.sharpe_ratio, 4)
    (0.01, 1.0)
    >>> np.asarray(prediction).tolist()
    [0.01, 0.02, 0.0]
    """

    returns: FloatArray
    weights: FloatArray
    name: str = ""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> FloatArray:
        return np.array(self.returns, dtype, copy=copy)

    def __len__(self) -> int:
        return self.returns.size

    def __getitem__(self, periods: Any) -> Any:
        return self.returns[periods]

    @property
    def mean(self) -> float:
        """The mean return per period."""
        return float(self.returns.mean())

    @property
    def standard_deviation(self) -> float:
        """The volatility per period, with T − 1 degrees of freedom; NaN for one period."""
        return float(self.returns.std(ddof=1)) if self.returns.size > 1 else np.nan

    @property
    def sharpe_ratio(self) -> float:
        """Their ratio, per period."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.divide(self.mean, self.standard_deviation))


def predicted(
    X: FloatArray | pd.DataFrame,
    weights: FloatArray,
    name: str,
    held: Any,
    parameters: Mapping[str, Any] | None,
) -> Any:
    """What the weights would have earned, after ``held`` before.

    ``parameters`` are those of skfolio's ``Portfolio``.
    """
    if not HAS_SKFOLIO:
        if parameters:
            raise InputError(
                "portfolio_params are those of skfolio's Portfolio, and skfolio is not installed; "
                "run: pip install skfolio"
            )
        return Prediction(np.asarray(X, dtype=np.float64) @ weights, weights, name)
    from skfolio import Portfolio

    return Portfolio(X, weights, **{"name": name, "previous_weights": held, **(parameters or {})})
