"""How far sample means and covariances are from what they estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rrp_pyomo.data.covariance import Covariance, DenseCovariance
from rrp_pyomo.data.validation import Matrix, as_number, index_of


@dataclass(frozen=True, eq=False, repr=False)
class StandardErrors:
    """The standard deviations of sample moments.

    Attributes
    ----------
    mean : (n,) Series
        σ_i / √T.
    covariance : (n, n) DataFrame
        √((σ_ii σ_jj + σ_ij²) / (T − 1)).

    Examples
    --------
    As :func:`~rrp_pyomo.standard_errors` gives them:

    >>> from rrp_pyomo import standard_errors
    >>> errors = standard_errors([[0.04, 0.0], [0.0, 0.01]], observations=5)
    >>> errors.mean.round(4).tolist()
    [0.0894, 0.0447]
    """

    mean: pd.Series
    covariance: pd.DataFrame

    def __repr__(self) -> str:
        return f"StandardErrors({self.mean.size} assets)"


def standard_errors(covariance: Covariance | Matrix, observations: float) -> StandardErrors:
    """The standard errors of the mean and the covariances of normal returns.

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
        Σ of the returns.
    observations : float
        T > 1, in the periods of Σ: 5 for yearly variances from 60 months, which are a mean's
        standard error of σ/√5, whatever the frequency (Merton 1980).

    Raises
    ------
    InputError
        At most 1 observation.

    Notes
    -----
    That of the mean holds for any independent returns with this covariance. Those of the
    covariances are Wishart's: for uncorrelated assets σ_iσ_j/√(T − 1), not 0, and for variances
    σ_i² √(2/(T − 1)).

    References
    ----------
    Anderson (2003), An introduction to multivariate statistical analysis, section 3.4; Merton
    (1980), On estimating the expected return on the market.

    Examples
    --------
    Of five years, in yearly units: a volatility of 20 % leaves a mean uncertain by 9 %.

    >>> from rrp_pyomo import standard_errors
    >>> errors = standard_errors([[0.04, 0.0], [0.0, 0.01]], observations=5)
    >>> errors.mean.round(3).tolist(), errors.covariance.round(4).to_numpy().tolist()
    ([0.089, 0.045], [[0.0283, 0.01], [0.01, 0.0071]])
    """
    sigma = covariance if isinstance(covariance, Covariance) else DenseCovariance(covariance)
    T = as_number(observations, "observations", least=1.0 + 1e-9)
    variances, matrix = sigma.variances, sigma.matrix()
    spread = np.sqrt((np.outer(variances, variances) + matrix.to_numpy() ** 2) / (T - 1.0))
    return StandardErrors(
        pd.Series(np.sqrt(variances / T), index_of(sigma.labels), name="standard_error"),
        pd.DataFrame(spread, matrix.index, matrix.columns),
    )
