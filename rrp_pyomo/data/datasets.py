"""Data sets that come with other packages."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rrp_pyomo.errors import InputError

__all__ = ["FrenchData", "french"]

_FACTORS = {"MktRF": "Mkt-RF", "SMB": "SMB", "HML": "HML"}


@dataclass(frozen=True, eq=False)
class FrenchData:
    """Monthly data of Kenneth French's library, 1949-01 to 2017-03.

    Attributes
    ----------
    returns : (819, 30) DataFrame
        Total returns, decimals: 12 industries, 9 portfolios by size and value (``S1V1`` …
        ``S5V5``) and 9 by size and momentum (``S1M1`` … ``S5M5``).
    factors : (819, 3) DataFrame
        Market (``Mkt-RF``, over the risk-free rate), size (``SMB``) and value (``HML``), decimals.
    risk_free : (819,) Series
        The one-month Treasury bill rate (``RF``), decimals.

    Examples
    --------
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> data.returns.shape, data.factors.columns.tolist(), data.risk_free.name
    ((819, 30), ['Mkt-RF', 'SMB', 'HML'], 'RF')
    """

    returns: pd.DataFrame
    factors: pd.DataFrame
    risk_free: pd.Series


def french() -> FrenchData:
    """The Fama-French data of the ``linearmodels`` package, dated by month ends.

    Raises
    ------
    InputError
        ``linearmodels`` is not installed.

    Examples
    --------
    >>> from rrp_pyomo.data import FactorModel, datasets, excess_returns
    >>> data = datasets.french()
    >>> FactorModel.fit(excess_returns(data.returns, data.risk_free), data.factors)
    FactorModel(30 assets, 3 factors, 819 observations)
    """
    try:
        from linearmodels.datasets import french as source
    except ImportError:
        raise InputError(
            "the Fama-French data come with linearmodels, which is not installed; "
            'run: pip install "rrp-pyomo[data]"'
        ) from None
    # Its dates are first days of months; returns are known at the last.
    table = source.load().set_index("dates")
    table.index = table.index + pd.offsets.MonthEnd(0)
    table = table.rename_axis("date")
    portfolios = table.columns[table.columns.get_loc("RF") + 1 :]
    return FrenchData(
        table[portfolios], table[list(_FACTORS)].rename(columns=_FACTORS), table["RF"]
    )
