"""Returns, factors and budgets from CSV files (also compressed, such as ``.csv.gz``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import as_floats, require_dates, require_same_dates, unique_labels
from rrp_pyomo.errors import InputError, require_kind

RISK_FREE = "RF"

# Half of all returns beyond ±50 % in one period: these are percentages.
_LARGEST_MEDIAN = 0.5


@dataclass(frozen=True, eq=False)
class Factors:
    """Factor returns and, where the file has it, the risk-free rate.

    Attributes
    ----------
    factors : (p, m) DataFrame
        Decimals per period, by date and factor.
    risk_free : (p,) Series or None
        Decimals per period, by date.
    """

    factors: pd.DataFrame
    risk_free: pd.Series | None


def read_returns(path: str | Path) -> pd.DataFrame:
    """Returns of assets from a CSV file: dates in the first column, one column for each asset.

    Parameters
    ----------
    path : str or Path
        Header line with the assets; returns are decimals per period (0.01 is 1 %).

    Returns
    -------
    (p, n) DataFrame
        By increasing date and asset.

    Raises
    ------
    InputError
        No such file, an empty file, no columns or rows; a cell that is empty, text or infinite or a
        date that cannot be read (line and column are named); repeated assets; repeated or unsorted
        dates; returns that look like percentages.
    """
    table = _read_table(path)
    table.index = _dates(table.index, path)
    require_dates(table, f"{path}: returns")
    _refuse_percentages(table, path)
    return table


def read_factors(path: str | Path) -> Factors:
    """Factor returns from a CSV file like that of :func:`read_returns`.

    A column ``RF`` is the risk-free rate: take it off the asset returns with
    :func:`excess_returns`; the other columns are the factors.

    Raises
    ------
    InputError
        As for :func:`read_returns`, and a file whose only column is ``RF``.
    """
    table = read_returns(path)
    if RISK_FREE not in table:
        return Factors(table, None)
    factors = table.drop(columns=RISK_FREE)
    if factors.empty:
        raise InputError(
            f"{path}: no factors besides {RISK_FREE}; expected a column for each factor"
        )
    return Factors(factors, table[RISK_FREE])


def read_budgets(path: str | Path) -> pd.Series:
    """Risk budgets from a CSV file with a header line and two columns: asset, budget.

    Raises
    ------
    InputError
        As for :func:`read_returns`, and a file with other than two columns. Whether the budgets
        suit a portfolio is for :func:`resolve_budgets` to say.
    """
    table = _read_table(path)
    if table.shape[1] != 1:
        raise InputError(
            f"{path}: {table.shape[1] + 1} columns; expected two, the asset and its budget"
        )
    unique_labels(table.index, f"{path}: asset")
    return table.iloc[:, 0].rename("budget")


def excess_returns(returns: pd.DataFrame, risk_free: pd.Series | None) -> pd.DataFrame:
    """Returns over the risk-free rate, date by date; None leaves the returns as they are.

    Raises
    ------
    InputError
        Dates that are not the same in both; the first that differs is named.
    """
    require_dates(returns, "returns")
    if risk_free is None:
        return returns
    require_kind(
        risk_free, pd.Series, "risk_free", "by date, such as pd.Series(0.01, returns.index)"
    )
    require_same_dates(returns.index, risk_free.index, "returns", "risk_free")
    rate = as_floats(risk_free, "risk_free", 1)
    return pd.DataFrame(
        as_floats(returns, "returns", 2) - rate[:, None], returns.index, returns.columns
    )


def _read_table(path: str | Path) -> pd.DataFrame:
    """All columns but the first as numbers, with the first as index."""
    try:
        # As text: pandas would rename repeated columns and read "NA", a ticker, as missing.
        text = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, skipinitialspace=True
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{path} is empty; expected a header line and rows below it") from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError, EOFError) as error:
        raise InputError(f"{path} is not a CSV file: {str(error).strip()}") from None
    if text.shape[1] < 2 or len(text) < 2:
        raise InputError(
            f"{path} has {text.shape[1]} column(s) and {len(text) - 1} row(s) below its header; "
            "expected a first column of labels and at least one column of numbers, with commas"
        )
    header = unique_labels(text.iloc[0, 1:], f"{path}: column")
    body = text.iloc[1:, 1:]
    numbers = body.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise InputError(
            f"{path}, line {row + 2}, column {header[column]!r}: {body.iloc[row, column]!r} is not "
            "a finite number"
        )
    return pd.DataFrame(numbers, index=text.iloc[1:, 0].to_list(), columns=list(header))


def _dates(labels: pd.Index, path: str | Path) -> pd.DatetimeIndex:
    dates = pd.to_datetime(labels, errors="coerce", format="ISO8601")
    if dates.isna().any():
        row = int(dates.isna().argmax())
        raise InputError(
            f"{path}, line {row + 2}: {labels[row]!r} is not a date; expected YYYY-MM-DD in the "
            "first column"
        )
    return dates.rename("date")


def _refuse_percentages(returns: pd.DataFrame, path: str | Path) -> None:
    median = float(np.median(np.abs(returns.to_numpy())))
    if median > _LARGEST_MEDIAN:
        raise InputError(
            f"{path}: half of all returns exceed {median:.3g} in absolute value, so they seem to "
            "be percentages; decimals are expected: divide by 100"
        )
