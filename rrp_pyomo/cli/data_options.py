"""What several commands take: market data by name or as files, and how returns are averaged."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rrp_pyomo.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


class Dataset(StrEnum):
    """Data that come with other packages."""

    FRENCH = "french"


class Mean(StrEnum):
    """How excess returns are annualised."""

    GEOMETRIC = "geometric"
    UNCOMPOUNDED = "uncompounded"
    ARITHMETIC = "arithmetic"


HOW_ANNUALISED = (
    "How excess returns are annualised: geometric is compounded, uncompounded the geometric mean "
    "of a period times the periods a year, arithmetic the mean times these"
)


DatasetOption = Annotated[
    Dataset | None,
    typer.Option(help="Fama-French portfolios and factors, monthly 1949 to 2017."),
]
ReturnsOption = Annotated[
    Path | None,
    typer.Option(help="CSV: dates, then a column of decimal returns for each asset."),
]
FactorsOption = Annotated[
    Path | None,
    typer.Option(help="CSV: dates, then the factors; RF is the risk-free rate."),
]
PercentOption = Annotated[
    bool | None,
    typer.Option(
        "--factors-in-percent/--factors-in-decimals",
        help="Unit of the factors' file, RF with them; decimals unless it looks otherwise.",
    ),
]


def read_market(
    dataset: Dataset | None,
    returns: Path | None,
    factors: Path | None,
    factors_in_percent: bool | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series | None]:
    """Total returns, factors and, where it is known, the risk-free rate.

    Raises
    ------
    InputError
        Neither a data set nor both files, or both; files that cannot be read, or that seem to be
        in per cent, by themselves or one beside the other.
    """
    from rrp_pyomo.data import datasets, read_factors, read_returns, require_one_unit

    if dataset is not None and factors_in_percent is not None:
        raise InputError(
            "--factors-in-percent is about --factors; --dataset is in decimals: leave it out"
        )
    if dataset is not None and returns is None and factors is None:
        known = datasets.french()
        return known.returns, known.factors, known.risk_free
    if dataset is None and returns is not None and factors is not None:
        given = read_factors(factors, factors_in_percent)
        total = read_returns(returns)
        if factors_in_percent is None:
            require_one_unit(total, given.factors)
        return total, given.factors, given.risk_free
    raise InputError("give either --dataset, or both --returns and --factors")
