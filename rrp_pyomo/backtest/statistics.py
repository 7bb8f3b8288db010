"""Performance and concentration in numbers; arrays whose first axis is time."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import stats

from rrp_pyomo.errors import InputError, brief
from rrp_pyomo.linalg import FloatArray

Mean = Literal["geometric", "uncompounded", "arithmetic"]


class Performance(NamedTuple):
    """Annualised excess return, volatility and their ratio, the Sharpe ratio; decimals."""

    excess_return: FloatArray
    volatility: FloatArray
    sharpe: FloatArray


def performance(excess: FloatArray, per_year: int, mean: Mean = "geometric") -> Performance:
    """Annualised performance of excess returns e_t, t = 1 … T, along the first axis.

    With N periods per year the excess return is Π(1 + e_t)^{N/T} − 1 for ``geometric``,
    N·(Π(1 + e_t)^{1/T} − 1) for ``uncompounded`` and N·mean(e) for ``arithmetic``, the volatility
    √N·sd(e) with T − 1 degrees of freedom. A geometric mean with a period of −100 % or worse is
    −100 %, uncompounded −N·100 %; the volatility of one period is NaN.

    Raises
    ------
    InputError
        Another ``mean``.
    """
    if not isinstance(mean, str) or mean not in get_args(Mean):
        raise InputError(f"mean is {brief(mean)}; expected one of {', '.join(get_args(Mean))}")
    with np.errstate(divide="ignore", invalid="ignore"):
        if mean == "arithmetic":
            annual: FloatArray = excess.mean(axis=0) * per_year
        else:
            growth = np.log1p(np.maximum(excess, -1.0)).mean(axis=0)
            compounded = mean == "geometric"
            annual = np.expm1(growth * per_year) if compounded else np.expm1(growth) * per_year
        deviation = excess.std(axis=0, ddof=1) if len(excess) > 1 else np.nan * excess[0]
        volatility: FloatArray = deviation * float(np.sqrt(per_year))
        sharpe: FloatArray = annual / volatility
    return Performance(annual, volatility, sharpe)


def wealth_of(returns: FloatArray) -> FloatArray:
    """Wealth at the end of each period, from 1 at the beginning of the first."""
    return np.cumprod(1.0 + returns, axis=0, dtype=np.float64)


def until_ruin(returns: FloatArray) -> FloatArray:
    """Returns that end with the wealth: −1 where all of it, or more, is lost, and 0 afterwards."""
    lost = np.maximum.accumulate(returns <= -1.0, axis=0)
    earlier = np.concatenate([np.zeros_like(lost[:1]), lost[:-1]])
    kept: FloatArray = np.where(earlier, 0.0, np.maximum(returns, -1.0))
    return kept


def maximum_drawdown(returns: FloatArray) -> FloatArray:
    """The largest loss from a peak of wealth, max_t (1 − W_t / max_{s ≤ t} W_s), with W_0 = 1."""
    wealth = wealth_of(returns)
    peak = np.maximum(np.maximum.accumulate(wealth, axis=0), 1.0)
    loss: FloatArray = (1.0 - wealth / peak).max(axis=0)
    return loss


def turnover_of(weights: FloatArray) -> FloatArray:
    """Σ_i |x_{k,i} − x_{k−1,i}| of target weights between neighbouring rebalances.

    Parameters
    ----------
    weights : (k, …, n) array

    Returns
    -------
    (k − 1, …) array
    """
    change: FloatArray = np.abs(np.diff(weights, axis=0)).sum(axis=-1)
    return change


class Concentration(NamedTuple):
    """CV, HRC and Herfindahl index of relative risk contributions."""

    cv: FloatArray
    hrc: FloatArray
    herfindahl: FloatArray


def concentration(contributions: FloatArray) -> Concentration:
    """Concentration of relative risk contributions along the last axis.

    CV = sd(R) / mean(R) with the sample standard deviation, HRC = max_i R_i, H = Σ_i R_i².

    References
    ----------
    Costa & Kwon (2020), section 5.1.
    """
    R = contributions
    return Concentration(
        R.std(axis=-1, ddof=1) / R.mean(axis=-1), R.max(axis=-1), (R**2).sum(axis=-1)
    )


def paired_t(values: FloatArray, reference: FloatArray) -> float:
    """The t-statistic of the mean of ``values − reference``, a paired sample t-test."""
    return float(stats.ttest_rel(values, reference).statistic)
