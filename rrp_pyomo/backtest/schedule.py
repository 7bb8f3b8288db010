"""When a backtest fits and how long it holds: rolling windows over dates."""

from __future__ import annotations

import re
from collections.abc import Callable
from numbers import Number
from typing import NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import shown
from rrp_pyomo.errors import InputError

_UNITS: dict[str, Callable[[int], pd.DateOffset]] = {
    "Y": lambda k: pd.DateOffset(years=k),
    "M": lambda k: pd.DateOffset(months=k),
    "W": lambda k: pd.DateOffset(weeks=k),
    "D": lambda k: pd.DateOffset(days=k),
}

_WORDS = {"Y": "year", "M": "month", "W": "week", "D": "day"}

# Periods per year that returns usually have, and the days that such periods last.
_FREQUENCIES = {252: 1.0, 52: 7.0, 26: 14.0, 12: 30.4, 4: 91.3, 1: 365.25}

# No length may be longer (days): dates must stay within what pandas can count in nanoseconds.
_DAYS = {"Y": 365.25, "M": 30.4, "W": 7.0, "D": 1.0}
_LONGEST = 150 * 365.25

# Dates further apart than this multiple of the usual distance have a period missing between them
# (months differ by 28 to 31 days) ...
_GAP = 1.75
# ... if it is also longer than any closure of an exchange.
_LONGEST_CLOSURE = pd.Timedelta(days=10)


class Window(NamedTuple):
    """One rebalance: the date, the rows to fit on (all before it), the rows to hold over."""

    date: pd.Timestamp
    fit: slice
    hold: slice


def rolling_windows(
    dates: pd.Index,
    estimation: str = "5Y",
    rebalance: str = "6M",
    start: str | pd.Timestamp | None = None,
    end: str | pd.Timestamp | None = None,
) -> list[Window]:
    """The windows of a backtest.

    The portfolio that is held from date d on is fitted on the returns dated from d − estimation to
    before d, and earns those dated from d to before d + rebalance.

    Parameters
    ----------
    dates : DatetimeIndex
        Increasing; each dates the end of a period.
    estimation, rebalance : str
        A number and a unit: ``"5Y"``, ``"6M"``, ``"26W"``, ``"90D"``.
    start : date, optional
        The first rebalance; by default as soon as the history is long enough.
    end : date, optional
        The last date that is held; by default the last of all.

    Raises
    ------
    InputError
        Dates that are no dates, or of which only some have a time zone, an unreadable length, a
        history that is shorter than the first window, no returns after ``start``, a period missing
        within the dates that are used.
    """
    if not isinstance(dates, pd.DatetimeIndex):
        raise InputError(
            f"a backtest needs dates as index, but the index holds {dates.dtype}; convert it with "
            "pd.to_datetime"
        )
    if len(dates) < 2:
        raise InputError(f"a backtest needs a history; {len(dates)} date(s) were given")
    before, step = _length(estimation, "estimation"), _length(rebalance, "rebalance")
    # The first date is the end of its period; the period began this much earlier.
    first = dates[0] - _spacing(dates) + pd.Timedelta(days=1)
    begin = first + before if start is None else _date(start, "start", dates)
    stop = dates[-1] if end is None else min(_date(end, "end", dates), dates[-1])
    if not first <= begin <= dates[-1] or begin - before < first:
        between = f" or a start between {shown(first + before)} and {shown(dates[-1])}"
        raise InputError(
            f"the window of {estimation} before {shown(begin)} does not fit the history, which "
            f"goes from {shown(dates[0])} to {shown(dates[-1])}; use a shorter estimation window"
            + (between if first + before <= dates[-1] else "")
        )
    last = dates.searchsorted(stop, side="right")
    windows, k = [], 0
    while (row := dates.searchsorted(date := begin + k * step)) < last:
        until = min(dates.searchsorted(begin + (k + 1) * step), last)
        if until > row:
            fit = slice(int(dates.searchsorted(date - before)), int(row))
            windows.append(Window(date, fit, slice(int(row), int(until))))
        k += 1
    if not windows:
        raise InputError(f"no returns from {shown(begin)} to {shown(stop)}; expected start < end")
    _require_no_gap(dates[windows[0].fit.start : windows[-1].hold.stop])
    return windows


def periods_per_year(dates: pd.Index) -> int:
    """252, 52, 26, 12, 4 or 1: what the usual distance between dates comes closest to.

    Raises
    ------
    InputError
        Less than two dates.
    """
    if len(dates) < 2:
        raise InputError(
            f"{len(dates)} period(s) are held, but the periods of a year are known from two on; "
            "choose an earlier start or a later end"
        )
    days = _spacing(dates) / pd.Timedelta(days=1)
    return min(_FREQUENCIES, key=lambda k: abs(np.log(days / _FREQUENCIES[k])))


def _spacing(dates: pd.Index) -> pd.Timedelta:
    """The usual distance between neighbouring dates."""
    return pd.Timedelta(np.median(np.diff(dates.to_numpy())))


def _length(text: str, name: str) -> pd.DateOffset:
    count, unit = _count_and_unit(text, name)
    if count * _DAYS[unit] > _LONGEST:
        raise InputError(f"{name} is {text!r}; expected at most 150 years")
    return _UNITS[unit](count)


def in_words(length: str) -> str:
    """``"6M"`` as 6 months."""
    count, unit = _count_and_unit(length, "length")
    return f"{count} {_WORDS[unit]}{'s' if count > 1 else ''}"


def _count_and_unit(text: str, name: str) -> tuple[int, str]:
    match = re.fullmatch(r"([1-9]\d*)\s*([YMWD])", str(text).strip().upper())
    if match is None:
        raise InputError(
            f"{name} is {text!r}; expected a number and a unit (Y, M, W or D), such as '5Y'"
        )
    return int(match[1]), match[2]


def _date(value: str | pd.Timestamp, name: str, dates: pd.DatetimeIndex) -> pd.Timestamp:
    try:
        if isinstance(value, Number):  # nanoseconds since 1970
            raise ValueError("not a date")
        date = pd.Timestamp(value)
        if pd.isna(date):
            raise ValueError("not a date")
    except (TypeError, ValueError):
        raise InputError(f"{name} is {value!r}; expected a date, such as '2000-01-01'") from None
    if (date.tz is None) != (dates.tz is None):
        kind = "without a time zone" if dates.tz is None else f"with a time zone ({dates.tz})"
        raise InputError(f"{name} is {str(value)!r}; expected a date {kind}, as those of the data")
    return date


def _require_no_gap(dates: pd.DatetimeIndex) -> None:
    distance = np.diff(dates.to_numpy())
    gaps = np.flatnonzero(distance > max(_GAP * _spacing(dates), _LONGEST_CLOSURE))
    if gaps.size:
        k = int(gaps[0])
        raise InputError(
            f"periods are missing between {shown(dates[k])} and {shown(dates[k + 1])} "
            f"({gaps.size} gap(s) in all); fill them in or choose start and end around them"
        )
