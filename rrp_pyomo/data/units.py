"""Decimals per period are expected everywhere; what tells per cent and impossible returns apart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import shown
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

# Half of all returns beyond ±50 % in one period, or sizes of 200 % a year (the French data: 17 %,
# volatile coins: 150 %), at least over some periods: these are percentages.
_LARGEST_MEDIAN = 0.5
_LARGEST_YEARLY = 2.0
_FEWEST = 10
# Beside a table that is this many times quieter 100 % a year are enough.
_YEARLY_BESIDE = 1.0
_LARGEST_RATIO = 30.0
# Riskless rates above 100 % a year; the largest of the one-month bill was 1.35 % a month.
_LARGEST_RATE = 1.0
# Assets earn the rate, too, before fees: on average they move at least by a third of it.
_RATE_TO_RETURNS = 3.0


def periods_per_year(dates: pd.Index) -> float | None:
    """How many rows a year has; None where the index does not say."""
    if not isinstance(dates, pd.DatetimeIndex) or len(dates) < 2:
        return None
    return float((len(dates) - 1) / ((dates[-1] - dates[0]) / pd.Timedelta(days=365.25)))


def yearly_size(table: pd.DataFrame) -> float:
    """The median column's root mean square, per year; 0 where there are too few rows to tell."""
    per_year = periods_per_year(table.index)
    if per_year is None or len(table) < _FEWEST:
        return 0.0
    return float(np.sqrt(per_year * table.pow(2).mean().median()))


def refuse_percent(
    table: pd.DataFrame, name: str, remedy: str, beside: pd.DataFrame | None = None
) -> None:
    """Raise where returns seem to be percentages, by themselves or beside quieter ones, or prices.

    Raises
    ------
    InputError
        See above; the message ends with the remedy.
    """
    if table.empty:
        return
    refuse_prices(table.to_numpy(), name)
    median = float(np.median(np.abs(table.to_numpy())))
    if median > _LARGEST_MEDIAN:
        raise InputError(
            f"{name}: half of all returns exceed {median:.3g} in absolute value, so they seem to "
            f"be percentages; decimals are expected: {remedy}"
        )
    size = yearly_size(table)
    other = 0.0 if beside is None else yearly_size(beside)
    if size > _LARGEST_YEARLY or (size > _YEARLY_BESIDE and size > _LARGEST_RATIO * other > 0.0):
        compared = "" if size > _LARGEST_YEARLY else f", {size / other:.0f} times the other table's"
        raise InputError(
            f"{name}: typical volatility is {100 * size:.0f} % a year{compared}, so the returns "
            f"seem to be percentages; decimals are expected: {remedy}"
        )


def refuse_prices(returns: FloatArray, name: str) -> None:
    """Raise where returns seem to be prices: all are positive, and half of them large.

    Raises
    ------
    InputError
        See above.
    """
    if len(returns) < _FEWEST or not returns.size or not (returns > 0.0).all():
        return
    median = float(np.median(returns))
    if median > _LARGEST_MEDIAN:
        raise InputError(
            f"{name}: all numbers are positive, and half of them exceed {median:.3g}, so they seem "
            "to be prices; returns are expected: prices.pct_change().iloc[1:]"
        )


def refuse_percent_rate(
    rate: pd.Series, name: str, remedy: str, returns: pd.DataFrame | None = None
) -> None:
    """Raise where a riskless rate seems to be in per cent, by itself or beside returns.

    Raises
    ------
    InputError
        See above; the message ends with the remedy.
    """
    mean = float(rate.abs().mean())
    yearly = mean * (periods_per_year(rate.index) or 0.0)
    large = yearly > _LARGEST_RATE
    compared = ""
    if returns is not None and len(returns) >= _FEWEST:
        moves = float(returns.abs().mean().median())
        large = mean > _RATE_TO_RETURNS * moves or (large and mean > moves)
        compared = f" beside returns of {moves:.3g} in absolute value"
    if large:
        raise InputError(
            f"{name} is {mean:.3g} per period on average{compared}"
            + (f", {100 * yearly:.0f} % a year" if yearly else "")
            + f", so it seems to be in per cent; decimals are expected: {remedy}"
        )


def refuse_impossible(
    returns: FloatArray, name: str, dates: pd.Index, columns: pd.Index, least: float = -1.0 - 1e-9
) -> None:
    """Raise where an asset loses more than all it is worth, naming asset and date.

    Raises
    ------
    InputError
        See above.
    """
    below = (returns < least) & np.isfinite(returns)
    if not below.any():
        return
    row, column = np.argwhere(below)[0]
    raise InputError(
        f"{name} of {shown(columns[column])} at {shown(dates[row])} is {returns[row, column]:.6g}, "
        "below the −1 of a total loss; expected simple returns in decimals: correct it, make log "
        "returns simple (exp(r) − 1), divide percentages by 100"
    )
