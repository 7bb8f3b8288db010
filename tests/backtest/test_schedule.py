from __future__ import annotations

import pandas as pd
import pytest

from rrp_pyomo.backtest.schedule import periods_per_year, rolling_windows
from rrp_pyomo.errors import InputError

WEEKS = pd.date_range("1995-01-06", "2016-12-30", freq="W-FRI")
MONTHS = pd.date_range("1949-01-31", "2017-03-31", freq="ME")


def test_the_papers_schedule() -> None:
    windows = rolling_windows(WEEKS, "5Y", "6M", start="2000-01-01")
    assert len(windows) == 34
    assert [w.date.month for w in windows] == [1, 7] * 17
    for window in windows:
        fit, hold = WEEKS[window.fit], WEEKS[window.hold]
        assert fit[-1] < window.date <= hold[0]
        assert fit[0] >= window.date - pd.DateOffset(years=5)
        assert len(fit) in (260, 261)


def test_windows_hold_every_period_once() -> None:
    windows = rolling_windows(WEEKS, "5Y", "6M", start="2000-01-01")
    held = [row for window in windows for row in range(window.hold.start, window.hold.stop)]
    assert held == list(range(windows[0].hold.start, len(WEEKS)))


def test_the_default_start_is_the_first_with_a_whole_window() -> None:
    first = rolling_windows(MONTHS, "5Y", "6M")[0]
    assert first.date == pd.Timestamp("1954-01-01")
    assert (first.fit, first.hold) == (slice(0, 60), slice(60, 66))


def test_end_is_the_last_date_held() -> None:
    last = rolling_windows(MONTHS, "5Y", "1Y", "1960-01-01", "1961-06-30")[-1]
    assert MONTHS[last.hold][-1] == pd.Timestamp("1961-06-30")


@pytest.mark.parametrize(
    ("freq", "expected"), [("B", 252), ("W-FRI", 52), ("2W", 26), ("ME", 12), ("QE", 4), ("YE", 1)]
)
def test_periods_per_year(freq: str, expected: int) -> None:
    assert periods_per_year(pd.date_range("2000-01-01", periods=40, freq=freq)) == expected


def test_exchange_closures_and_long_months_are_no_gaps() -> None:
    days = pd.bdate_range("2000-01-03", "2003-12-31")
    closed = (days >= "2001-09-11") & (days <= "2001-09-14")
    assert rolling_windows(days[~closed], "1Y", "6M")


@pytest.mark.parametrize(
    ("dates", "arguments", "message"),
    [
        (
            MONTHS,
            {"estimation": "80Y"},
            "window of 80Y .* does not fit .* use a shorter estimation window$",
        ),
        (MONTHS, {"start": "1950-01-01"}, "start between '1954-01-01' and '2017-03-31'"),
        (MONTHS, {"start": "2020-01-01"}, "does not fit the history"),
        (MONTHS, {"start": "1960-01-01", "end": "1959-01-01"}, "expected start < end"),
        (MONTHS, {"start": "soon"}, "start is 'soon'; expected a date"),
        (MONTHS, {"rebalance": "half a year"}, "rebalance is 'half a year'; expected a number"),
        (MONTHS, {"estimation": "99999Y"}, "estimation is '99999Y'; expected at most 150 years"),
        (MONTHS, {"rebalance": "9999999999Y"}, "expected at most 150 years"),
        (MONTHS, {"rebalance": "9999999999D"}, "expected at most 150 years"),
        (MONTHS, {"start": "0001-01-01"}, "does not fit the history"),
        (MONTHS, {"start": "9999-12-31"}, "does not fit the history"),
        (MONTHS, {"start": ""}, "start is ''; expected a date"),
        (MONTHS, {"start": [1]}, r"start is \[1\]; expected a date"),
        (MONTHS, {"start": "1960-01-01T00:00Z"}, "expected a date without a time zone"),
        (MONTHS.tz_localize("UTC"), {"end": "1960-01-01"}, r"with a time zone \(UTC\)"),
        (MONTHS.delete(100), {}, "missing between '1957-04-30' and '1957-06-30'"),
        (WEEKS.delete(300), {}, "periods are missing between"),
        (pd.RangeIndex(100), {}, "needs dates as index"),
        (MONTHS[:1], {}, "needs a history"),
    ],
)
def test_refusals(dates: pd.Index, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rolling_windows(dates, **arguments)


def test_a_time_zone_and_lengths_beyond_the_history() -> None:
    plain = rolling_windows(MONTHS, "5Y", "150Y", start="1960-01-01", end="9999-12-31")
    zoned = rolling_windows(
        MONTHS.tz_localize("UTC"), "5Y", "150Y", pd.Timestamp("1960-01-01", tz="UTC")
    )
    assert len(plain) == 1
    assert [(w.fit, w.hold) for w in plain] == [(w.fit, w.hold) for w in zoned]


def test_a_gap_outside_the_windows_does_not_matter() -> None:
    assert rolling_windows(MONTHS.delete(3), "5Y", "6M", start="1960-01-01")
