"""The command line: ``rrp solve``, ``rrp solvers``, and what the backtests add."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.console import Console
from typer.core import TyperGroup

from rrp_pyomo._version import __version__
from rrp_pyomo.cli.backtest import register as register_backtests
from rrp_pyomo.cli.data_options import DatasetOption, FactorsOption, ReturnsOption, read_market
from rrp_pyomo.errors import (
    InputError,
    RiskParityError,
    SolverError,
    SolverUnavailableError,
)

if TYPE_CHECKING:
    from rrp_pyomo.data import CovarianceUncertainty
    from rrp_pyomo.models.problem import PortfolioProblem
    from rrp_pyomo.portfolio import Certificate, Portfolio

BAD_INPUT, NO_SOLUTION = 2, 3
PICTURES = (".png", ".pdf", ".svg")

# Typer depends on click or brings a copy of it along, according to its version.
_UsageError: type[Any] = typer.BadParameter.__bases__[0]


class _Commands(TyperGroup):
    """Commands whose errors are one line on stderr and an exit status."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # ω in a locale without it
        try:
            rest: list[str] = super().parse_args(ctx, args)
            return rest
        except _UsageError as error:
            if not args:  # the help
                raise
            _say(error.format_message())
            raise typer.Exit(BAD_INPUT) from error

    def invoke(self, ctx: Any) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except _UsageError as error:
                status, message = BAD_INPUT, error.format_message()
            except RiskParityError as error:
                unsolved = isinstance(error, SolverError)
                unsolved &= not isinstance(error, SolverUnavailableError)
                status, message = NO_SOLUTION if unsolved else BAD_INPUT, str(error)
            except OSError as error:
                place = "" if error.filename is None else f"{error.filename}: "
                status, message = BAD_INPUT, f"{place}{error.strerror}"
        _say(message)
        raise typer.Exit(status)


app = typer.Typer(
    name="rrp",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    help="Robust risk parity portfolios.",
    epilog="Exit status: 0, or 2 for bad input, or 3 where no solution exists or none was found.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rrp {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Robust risk parity portfolios."""


class Model(StrEnum):
    """The problems of Costa & Kwon (2020) by their names here."""

    NLP = "nlp"
    QCLP = "qclp"
    SOCP = "socp"
    ROBUST = "robust"


@app.command()
def solve(
    model: Annotated[
        Model,
        typer.Option(help="Problem (3), (4), (11) or (12) of Costa & Kwon (2020)."),
    ],
    dataset: DatasetOption = None,
    returns: ReturnsOption = None,
    factors: FactorsOption = None,
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
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the portfolio to this file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the portfolio to this file (.png, .pdf, .svg).")
    ] = None,
) -> None:
    """Solve one problem: from returns and factors to weights with a certificate."""
    from rrp_pyomo.data import FactorModel, excess_returns, read_budgets

    _check_picture(plot)
    total, factor_returns, risk_free = read_market(dataset, returns, factors)
    factor_model = FactorModel.fit(excess_returns(total, risk_free), factor_returns)
    uncertainty = factor_model.covariance_uncertainty()
    targets = None if budgets is None else read_budgets(budgets)
    formulation = _formulation(model, uncertainty, worst_case, omega, targets)
    portfolio = formulation.solve(solver)
    certificate = portfolio.certificate  # of the problem that was solved
    if worst_case:
        portfolio = portfolio.under(uncertainty.nominal)
    if json_file is not None:
        content = portfolio.to_dict() | {"certificate": certificate and certificate.to_dict()}
        text = json.dumps(content, indent=2, allow_nan=False)
        json_file.write_text(text + "\n", encoding="utf-8")
    if plot is not None:
        portfolio.plot().savefig(plot)
    _print_portfolio(portfolio, certificate, worst_case)


@app.command()
def solvers() -> None:
    """Which solvers there are, what each of them takes, and how to get what is missing."""
    from rrp_pyomo.cli.tables import solver_tables

    console = Console()
    for table in solver_tables():
        console.print(table)


def _formulation(
    model: Model,
    uncertainty: CovarianceUncertainty,
    worst_case: bool,
    omega: float | None,
    budgets: Any,
) -> PortfolioProblem:
    from rrp_pyomo.models import RiskParityNLP, RiskParityQCLP, RiskParitySOCP, RobustRiskParity

    if model is Model.ROBUST:
        if worst_case:
            raise InputError(
                "--worst-case goes with --model nlp, qclp or socp; the robust model has the "
                "worst case in it"
            )
        return RobustRiskParity(uncertainty, 1.0 if omega is None else omega, budgets)
    if omega is not None:
        raise InputError(f"--omega goes with --model robust; the model is {model}: leave it out")
    nominal: dict[Model, Callable[..., PortfolioProblem]] = {
        Model.NLP: RiskParityNLP,
        Model.QCLP: RiskParityQCLP,
        Model.SOCP: RiskParitySOCP,
    }
    covariance = uncertainty.worst_case if worst_case else uncertainty.nominal
    return nominal[model](covariance, budgets)


def _print_portfolio(
    portfolio: Portfolio, certificate: Certificate | None, worst_case: bool
) -> None:
    from rrp_pyomo.cli.tables import measures_table, weights_table

    console = Console()
    console.print(weights_table(portfolio))
    console.print(measures_table({portfolio.model: portfolio}))
    console.print(f"{portfolio.solver}: {portfolio.status}")
    if certificate is not None:
        under = " under the worst-case covariance" if worst_case else ""
        console.print(certificate.summary() + under)


def _check_picture(path: Path | None) -> None:
    """Refuse a kind of picture that cannot be written before anything is solved."""
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        raise InputError(
            f"{path}: cannot draw to a file of this kind; use one of {', '.join(PICTURES)}"
        )


def _say(message: str) -> None:
    typer.echo("rrp: " + " ".join(message.split()), err=True)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    _say(f"warning: {message}")


register_backtests(app)
