"""The command line: its commands, and the frame that turns their errors into one line each."""

from __future__ import annotations

import io
import sys
import warnings
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from rrp_pyomo._files import reason_of
from rrp_pyomo._version import __version__
from rrp_pyomo.cli.backtest import backtest
from rrp_pyomo.cli.paper import reproduce
from rrp_pyomo.cli.solve import solve
from rrp_pyomo.cli.solvers import solvers
from rrp_pyomo.errors import RiskParityError, SolverError, SolverUnavailableError

BAD_INPUT, NO_SOLUTION = 2, 3

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
                status, message = BAD_INPUT, f"{place}{reason_of(error)}"
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


for _command in (solve, solvers, backtest, reproduce):
    app.command()(_command)
