"""Returns, factors and budgets from CSV files (also compressed, such as ``.csv.gz``)."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rrp_pyomo.data.units import refuse_impossible, refuse_percent, refuse_percent_rate
from rrp_pyomo.data.validation import as_floats, require_dates, require_same_dates, unique_labels
from rrp_pyomo.errors import InputError, brief, require_kind
from rrp_pyomo.linalg import FloatArray

RISK_FREE = "RF"

_DIVIDE = "divide by 100, or say which it is: {reader}(path, percent=True) or percent=False"
_OPTION = "; on the command line --factors-in-percent or --factors-in-decimals"


@dataclass(frozen=True, eq=False)
class Factors:
    """Factor returns and, where the file has it, the risk-free rate.

    Attributes
    ----------
    factors : (p, m) DataFrame
        Decimals per period, by date and factor.
    risk_free : (p,) Series or None
        Decimals per period, by date.

    Examples
    --------
    >>> import pandas as pd
    >>> from rrp_pyomo.data import read_factors
    >>> table = pd.DataFrame({"MKT": [0.015], "RF": [0.001]}, ["2020-01-31"])
    >>> table.to_csv("factors.csv", index_label="date")
    >>> read = read_factors("factors.csv")
    >>> read.factors.columns.tolist(), read.risk_free.name
    (['MKT'], 'RF')
    """

    factors: pd.DataFrame
    risk_free: pd.Series | None


def read_returns(path: str | Path, percent: bool | None = None) -> pd.DataFrame:
    """Returns of assets from a CSV file: dates in the first column, one column for each asset.

    Parameters
    ----------
    path : str or Path
        Header line with the assets; returns are decimals per period (0.01 is 1 %).
    percent : bool, optional
        True: the file is in per cent and is divided by 100. False: it is in decimals, whatever it
        looks like. By default decimals are expected, and what looks like per cent is refused.

    Returns
    -------
    (p, n) DataFrame
        By increasing date and asset, decimals.

    Raises
    ------
    InputError
        No such file, a damaged or empty one, no columns or rows; a cell that is empty, text or
        infinite or a date that cannot be read (line and column are named); repeated assets;
        repeated or unsorted dates, or dates of several time zones; returns that look like
        percentages, or are below −100 % (asset and date are named).

    Examples
    --------
    >>> import pandas as pd
    >>> from rrp_pyomo.data import read_returns
    >>> table = pd.DataFrame({"A": [0.02, -0.01], "B": [0.01, 0.0]}, ["2020-01-31", "2020-02-29"])
    >>> table.to_csv("returns.csv", index_label="date")
    >>> read_returns("returns.csv").to_dict("list")
    {'A': [0.02, -0.01], 'B': [0.01, 0.0]}
    """
    table = _read_dated(path, percent)
    if percent is None:
        refuse_percent(table, f"{path}", _DIVIDE.format(reader="read_returns"))
    refuse_impossible(table.to_numpy(), f"{path}: the return", table.index, table.columns)
    return table


def read_factors(path: str | Path, percent: bool | None = None) -> Factors:
    """Factor returns from a CSV file like that of :func:`read_returns`.

    A column ``RF`` is the risk-free rate: take it off the asset returns with
    :func:`excess_returns`; the other columns are the factors. The files of Kenneth French's library
    are in per cent: ``percent=True``.

    Raises
    ------
    InputError
        As for :func:`read_returns`, and a file whose only column is ``RF``. Factors, which may be
        bought on credit, may lose more than 100 %.

    Examples
    --------
    >>> import pandas as pd
    >>> from rrp_pyomo.data import read_factors
    >>> per_cent = pd.DataFrame({"MKT": [1.5], "RF": [0.1]}, ["2020-01-31"])
    >>> per_cent.to_csv("factors.csv", index_label="date")
    >>> read = read_factors("factors.csv", percent=True)
    >>> read.factors["MKT"].round(4).tolist(), read.risk_free.round(4).tolist()
    ([0.015], [0.001])
    """
    table = _read_dated(path, percent)
    rate = table.pop(RISK_FREE) if RISK_FREE in table else None
    if table.empty:
        raise InputError(
            f"{path}: no factors besides {RISK_FREE}; expected a column for each factor"
        )
    if percent is None:
        remedy = _DIVIDE.format(reader="read_factors") + _OPTION
        refuse_percent(table, f"{path}", remedy)
        if rate is not None:
            refuse_percent_rate(rate, f"{path}: {RISK_FREE}", remedy)
    return Factors(table, rate)


def require_one_unit(returns: pd.DataFrame, factors: pd.DataFrame) -> None:
    """Raise where one of two tables seems to be in per cent beside the other.

    Raises
    ------
    InputError
        See above.

    Examples
    --------
    Nothing happens where both are decimals; factors in per cent are refused:

    >>> import pandas as pd
    >>> from rrp_pyomo.data import require_one_unit
    >>> from rrp_pyomo.errors import InputError
    >>> returns, factors = pd.DataFrame({"A": [0.02, -0.01]}), pd.DataFrame({"MKT": [0.01, -0.02]})
    >>> require_one_unit(returns, factors)
    >>> try:
    ...     require_one_unit(returns, 100 * factors)
    ... except InputError:
    ...     print("refused")
    refused
    """
    refuse_percent(factors, "factors", "divide by 100" + _OPTION, beside=returns)
    refuse_percent(returns, "returns", "divide by 100", beside=factors)


def read_budgets(path: str | Path) -> pd.Series:
    """Risk budgets from a CSV file with a header line and two columns: asset, budget.

    Raises
    ------
    InputError
        As for :func:`read_returns`, and a file with other than two columns. Whether the budgets
        suit a portfolio is for :func:`resolve_budgets` to say.

    Examples
    --------
    >>> import pandas as pd
    >>> from rrp_pyomo.data import read_budgets
    >>> pd.Series({"A": 0.6, "B": 0.4}, name="budget").to_csv("budgets.csv", index_label="asset")
    >>> read_budgets("budgets.csv").to_dict()
    {'A': 0.6, 'B': 0.4}
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
        Dates that are not the same in both; the first that differs is named. A rate that seems to
        be in per cent beside these returns.

    Examples
    --------
    >>> import pandas as pd
    >>> from rrp_pyomo.data import excess_returns
    >>> dates = pd.to_datetime(["2020-01-31", "2020-02-29"])
    >>> returns = pd.DataFrame({"A": [0.02, -0.01]}, dates)
    >>> excess_returns(returns, pd.Series([0.001, 0.002], dates))["A"].round(4).tolist()
    [0.019, -0.012]
    """
    require_dates(returns, "returns")
    if risk_free is None:
        return returns
    total = pd.DataFrame(as_floats(returns, "returns", 2), returns.index, returns.columns)
    return total.sub(rate_beside(total, risk_free), axis=0)


def rate_beside(returns: pd.DataFrame, risk_free: pd.Series) -> FloatArray:
    """The risk-free rate as an array over the dates of returns; raises as excess_returns does."""
    require_kind(
        risk_free, pd.Series, "risk_free", "by date, such as pd.Series(0.01, returns.index)"
    )
    require_same_dates(returns.index, risk_free.index, "returns", "risk_free")
    rate = as_floats(risk_free, "risk_free", 1)
    refuse_percent_rate(
        pd.Series(rate, returns.index), "risk_free", "divide by 100" + _OPTION, returns
    )
    return rate


def _read_dated(path: str | Path, percent: bool | None) -> pd.DataFrame:
    """A table of decimals with dates as index."""
    if not (percent is None or isinstance(percent, bool)):
        raise InputError(f"percent is {brief(percent)}; expected True, False or None")
    table = _read_table(path)
    table.index = _dates(table.index, path)
    require_dates(table, f"{path}: returns")
    return table / 100.0 if percent else table


def _read_table(path: str | Path) -> pd.DataFrame:
    """All columns but the first as numbers, with the first as index."""
    if not (isinstance(path, str | os.PathLike) or hasattr(path, "read")):
        raise InputError(f"the file's path is {brief(path)}; expected a str or Path")
    try:
        # As text: pandas would rename repeated columns and read "NA", a ticker, as missing.
        text = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, skipinitialspace=True
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check its name and folder") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{path} is empty; expected a header line and rows below it") from None
    except Exception as error:  # each kind of archive has errors of its own for damaged ones
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path} is not a CSV file that can be read: {why}; expected text with commas, "
            "compressed as its name says"
        ) from None
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
        cell = body.iloc[row, column]
        remedy = "fill one in, or drop the line"
        if cell.endswith("%"):
            remedy = "write 0.05 for 5 %, or leave the signs out and say percent=True"
        raise InputError(
            f"{path}, line {_line(path, row)}, column {header[column]!r}: "
            f"{cell!r} is not a finite number; {remedy}"
        )
    return pd.DataFrame(numbers, index=text.iloc[1:, 0].to_list(), columns=list(header))


def _dates(labels: pd.Index, path: str | Path) -> pd.DatetimeIndex:
    try:
        dates = pd.to_datetime(labels, errors="coerce", format="ISO8601")
    except ValueError:  # for several time zones, whatever "errors" says
        zones = [
            str(getattr(pd.to_datetime(label, errors="coerce", format="ISO8601"), "tzinfo", None))
            for label in labels
        ]
        row = next(row for row, zone in enumerate(zones) if zone != zones[0])
        raise InputError(
            f"{path}, line {_line(path, row)}: {labels[row]!r} has another time zone than "
            f"{labels[0]!r}; expected dates of one zone, best of none: YYYY-MM-DD"
        ) from None
    if dates.isna().any():
        row = int(dates.isna().argmax())
        raise InputError(
            f"{path}, line {_line(path, row)}: {labels[row]!r} is not a date; expected YYYY-MM-DD "
            "in the first column"
        )
    return dates.rename("date")


def _line(path: str | Path, row: int) -> int:
    """The line of the file where a row below the header begins; blank lines count, too."""
    try:
        lines = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False,
            names=["line"], sep="\x1f", quoting=csv.QUOTE_NONE,
        )["line"]  # fmt: skip
    except Exception:  # a stream that is read already
        return row + 2
    reader, begin, record = csv.reader(line + "\n" for line in lines), 1, -1
    for cells in reader:
        record += bool("".join(cells).strip() or len(cells) > 1)
        if record > row:
            break
        begin = reader.line_num + 1
    return begin
