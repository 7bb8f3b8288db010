"""``rrp solve``: one problem, from returns and factors to weights with a certificate."""

from __future__ import annotations

import io
import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rrp_pyomo._files import require_writable, write_atomically
from rrp_pyomo.cli.data_options import (
    DatasetOption,
    FactorsOption,
    PercentOption,
    ReturnsOption,
    read_market,
)
from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.models.registry import (
    Data,
    Entry,
    find_problem,
    name_and_number,
    names_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from rrp_pyomo.backtest.estimators import Estimate
    from rrp_pyomo.portfolio import Certificate, Portfolio

PICTURES = (".png", ".pdf", ".svg")


def solve(
    model: Annotated[
        str, typer.Option(metavar="NAME[:NUMBER]", help=f"Problem: {names_of(lambda entry: True)}.")
    ],
    dataset: DatasetOption = None,
    returns: ReturnsOption = None,
    factors: FactorsOption = None,
    factors_in_percent: PercentOption = None,
    worst_case: Annotated[
        bool,
        typer.Option(
            "--worst-case",
            help="Solve for the worst-case covariance; risk is measured under the nominal one.",
        ),
    ] = False,
    omega: Annotated[
        float | None,
        typer.Option(help="Aversion to estimation error, with --model robust (default 1)."),
    ] = None,
    solver: Annotated[
        str | None, typer.Option(help="See `rrp solvers`; by default the one that suits the model.")
    ] = None,
    budgets: Annotated[
        Path | None, typer.Option(help="CSV with two columns: asset, risk budget.")
    ] = None,
    short: Annotated[
        list[str] | None, typer.Option(help="An asset that is held short; repeat it for more.")
    ] = None,
    gross: Annotated[
        float | None,
        typer.Option(help="What is held long and short in all; without it weights sum to 1."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the portfolio to this file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the portfolio to this file (.png, .pdf, .svg).")
    ] = None,
) -> None:
    """Solve one problem: from returns and factors to weights with a certificate."""
    from rrp_pyomo.data import WeightSet, read_budgets

    name, number = name_and_number(model, "--model")
    entry = find_problem(name)
    _require_taken(name, entry, worst_case, omega, budgets)
    if omega is not None and number is not None:
        raise InputError(f"--omega and --model {model} both give omega; leave one of them out")
    _check_outputs(json_file, plot, [returns, factors, budgets])
    market = read_market(dataset, returns, factors, factors_in_percent)
    signs = _signs(list(map(str, market[0])), short or [])
    estimate = _estimate(*market, signs)
    targets = None if budgets is None else read_budgets(budgets)
    given = number if omega is None else omega
    X = None if signs is None and gross is None else WeightSet(signs=signs, gross=gross)
    portfolio = entry.make(estimate, given, targets, X, worst_case).solve(solver)
    certificate = portfolio.certificate  # of the problem that was solved
    if worst_case or portfolio.covariance is None:
        portfolio = portfolio.under(estimate.covariance)
    _print_portfolio(portfolio, certificate, worst_case)  # first: no full disk can lose it
    if json_file is not None:
        content = portfolio.to_dict() | {"certificate": certificate and certificate.to_dict()}
        text = json.dumps(content, indent=2, allow_nan=False)
        write_atomically(json_file, f"{text}\n".encode())
    if plot is not None:
        picture = io.BytesIO()
        portfolio.plot().savefig(picture, format=plot.suffix[1:].lower())
        write_atomically(plot, picture.getvalue())


def _signs(assets: list[str], short: list[str]) -> list[float] | None:
    """−1 for the assets of --short, 1 for the others; None where all are held long."""
    for name in short:
        if name not in assets:
            raise UnknownLabelError("asset", name, assets)
    return [-1.0 if name in short else 1.0 for name in assets] if short else None


def _require_taken(
    name: str, entry: Entry, worst_case: bool, omega: float | None, budgets: Path | None
) -> None:
    """Refuse options that go with other problems."""
    takes_omega = entry.number is not None and entry.number.name == "omega"
    if worst_case and not entry.has_worst_case:
        takers = names_of(lambda other: other.has_worst_case)
        why = {
            Data.UNCERTAINTY: "has the worst case in it",
            Data.RETURNS: "has no covariance",
        }.get(entry.data, "has sets of its own")
        raise InputError(f"--worst-case goes with --model {takers}; the {name} model {why}")
    if omega is not None and not takes_omega:
        takers = names_of(lambda other: other.number is not None and other.number.name == "omega")
        raise InputError(f"--omega goes with --model {takers}; the model is {name}: leave it out")
    if budgets is not None and not entry.budgets:
        takers = names_of(lambda other: other.budgets)
        raise InputError(f"--budgets goes with --model {takers}; the model is {name}: leave it out")


def _estimate(
    total: pd.DataFrame,
    factors: pd.DataFrame,
    risk_free: pd.Series | None,
    signs: list[float] | None,
) -> Estimate:
    """The factor model of all returns, and what follows from it for positions of these signs."""
    from rrp_pyomo.backtest.estimators import Estimate, History
    from rrp_pyomo.data import FactorModel, excess_returns

    excess = excess_returns(total, risk_free)
    model = FactorModel.fit(excess, factors)
    date = excess.index[-1]
    history = History(
        date, excess.to_numpy(), factors.to_numpy(), tuple(excess), tuple(factors), excess.index
    )
    uncertainty = partial(model.covariance_uncertainty, signs=signs)
    return Estimate(date, model.covariance, uncertainty, model, history)


def _print_portfolio(
    portfolio: Portfolio, certificate: Certificate | None, worst_case: bool
) -> None:
    from rrp_pyomo.cli.tables import console, guarantee, measures_table, weights_table

    out = console()
    out.print(weights_table(portfolio))
    out.print(measures_table({portfolio.model: portfolio}))
    out.print(f"{portfolio.solver}: {portfolio.status}")
    if certificate is not None:
        under = " under the worst-case covariance" if worst_case else ""
        out.print(certificate.summary() + under)
    for sentence in guarantee(portfolio):
        out.print(sentence)


def _check_outputs(json_file: Path | None, plot: Path | None, inputs: list[Path | None]) -> None:
    """Refuse what cannot be written, or should not, before anything is solved."""
    if plot is not None and plot.suffix.lower() not in PICTURES:
        raise InputError(
            f"{plot}: cannot draw to a file of this kind; use one of {', '.join(PICTURES)}"
        )
    taken = [os.path.realpath(file) for file in inputs if file is not None]
    for option, file in (("--json", json_file), ("--plot", plot)):
        if file is not None:
            require_writable(file)
            if os.path.realpath(file) in taken:
                raise InputError(
                    f"{option} {file}: this file has another use in the same command; choose "
                    "another file"
                )
            taken.append(os.path.realpath(file))
