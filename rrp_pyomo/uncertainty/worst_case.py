"""What an answer is robust against: the worst elements of its sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from rrp_pyomo.data import Covariance


@dataclass(frozen=True, eq=False)
class WorstCase:
    """The elements of a problem's sets that are worst for its weights; None where it has no set.

    Attributes
    ----------
    mean : Series or None
        μ* by asset, per period.
    covariance : Covariance or None
        Σ*.
    loadings : DataFrame or None
        V*, factors × assets, where the set is one of loadings.
    distribution : Distribution or None
        P*: scenarios with probabilities.

    Examples
    --------
    >>> from rrp_pyomo import MeanVariance
    >>> from rrp_pyomo.uncertainty import Box, FrobeniusBall
    >>> means = Box([0.06, 0.03], 0.01)
    >>> covariances = FrobeniusBall([[0.04, 0.0], [0.0, 0.01]], 0.002)
    >>> worst = MeanVariance(means, covariances, risk_aversion=2.0).solve().worst_case
    >>> worst.mean.round(4).tolist()
    [0.05, 0.02]
    >>> worst.covariance.matrix().round(4).to_numpy().tolist()
    [[0.041, 0.001], [0.001, 0.011]]
    """

    mean: pd.Series | None = None
    covariance: Covariance | None = None
    loadings: pd.DataFrame | None = None
    distribution: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by label; the covariance by its variances, and what is not there as None.

        Matrices are left to :attr:`covariance`, which may be too large to write.
        """
        plain: dict[str, Any] = dict.fromkeys(("mean", "variances", "loadings", "distribution"))
        if self.mean is not None:
            plain["mean"] = _plain(self.mean)
        if self.covariance is not None:
            plain["variances"] = _plain(
                pd.Series(self.covariance.variances, list(self.covariance.labels))
            )
        if self.loadings is not None:
            plain["loadings"] = {str(k): _plain(row) for k, row in self.loadings.iterrows()}
        if self.distribution is not None:
            plain["distribution"] = self.distribution.to_dict()
        return plain


def _plain(series: pd.Series) -> dict[str, float]:
    return {str(label): float(value) for label, value in series.items()}
