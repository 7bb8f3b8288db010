"""Tables for terminals: portfolios, statistics and solvers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.solve.table import SOLVERS, Found, Solver

if TYPE_CHECKING:
    from rrp_pyomo.portfolio import Portfolio
    from rrp_pyomo.uncertainty.worst_case import WorstCase

# A terminal shows no more assets than this; the smaller weights are left to files and plots.
MOST_SHOWN = 60

# What is particular to a problem, where it has a symbol.
_HEADINGS = {"omega": "ω", "omega_max": "ω_max"}


def console() -> Console:
    """Where commands print; labels and paths are texts, whatever brackets and colons they have."""
    return Console(markup=False, emoji=False)


def weights_table(portfolio: Portfolio) -> Table:
    """Weights, relative risk contributions and budgets by asset, in per cent.

    Of a robust portfolio also what mean and volatility are at worst. Of more than 60 assets, those
    with the largest weights.
    """
    weights = portfolio.weights
    n = weights.size
    shown: Sequence[int] = range(n)
    table = Table("asset", box=SIMPLE_HEAD, pad_edge=False, caption_justify="left")
    columns: dict[str, Sequence[float]] = {
        "weight %": weights.to_list(),
        "risk contribution %": portfolio.relative_risk_contributions.to_list(),
        "budget %": list(portfolio.budgets),
    } | _worst_by_asset(portfolio)
    for heading in columns:
        table.add_column(heading, justify="right")
    if n > MOST_SHOWN:
        shown = sorted(range(n), key=lambda i: -weights.iloc[i])[:MOST_SHOWN]
        table.caption = f"the {MOST_SHOWN} largest of {n} weights"
    for i in shown:
        values = (f"{100 * column[i]:.3f}" for column in columns.values())
        table.add_row(Text(str(weights.index[i])), *values)
    return table


def _worst_of(portfolio: Portfolio) -> WorstCase | None:
    """The worst elements of a problem's sets; None where all of them are points."""
    return None if portfolio.worst_value == portfolio.nominal_value else portfolio.worst_case


def _worst_by_asset(portfolio: Portfolio) -> dict[str, Sequence[float]]:
    """Mean and volatility per period at the worst elements of a problem's sets."""
    worst, columns = _worst_of(portfolio), dict[str, Sequence[float]]()
    if worst is not None and worst.mean is not None:
        columns["worst mean %"] = worst.mean.to_list()
    if worst is not None and worst.covariance is not None:
        columns["worst volatility %"] = list(np.sqrt(worst.covariance.variances))
    return columns


def guarantee(portfolio: Portfolio) -> list[str]:
    """What a robust portfolio is robust against, in sentences; none for a problem without sets."""
    worst = _worst_of(portfolio)
    if worst is None:
        return []
    bound = "least" if getattr(portfolio.details, "maximising", False) else "most"
    lines = [
        f"Whatever element of its sets is true, the objective is at {bound} "
        f"{portfolio.worst_value:.4g}."
    ]
    if (P := worst.distribution) is not None:
        returns = P.scenarios.to_numpy() @ portfolio.weights.to_numpy()
        lines.append(
            f"Under the worst distribution, of {len(returns)} scenarios, the weights earn "
            f"{P.probabilities.to_numpy() @ returns:.3%} a period on average and "
            f"{returns.min():.3%} in the worst of them."
        )
    if worst.loadings is not None or worst.distribution is not None:
        lines.append("The worst elements are in the file of --json.")
    return lines


def measures_table(portfolios: Mapping[str, Portfolio]) -> Table:
    """Risk and its concentration, a column for each portfolio.

    Volatility √(x'Σx) per period; coefficient of variation (CV), largest (HRC) and Herfindahl index
    of the relative risk contributions; largest weight; what is particular to a problem, such as ω
    and ω_max of robust portfolios.
    """
    rows: dict[str, Callable[[Portfolio], str]] = {
        "volatility": lambda p: f"{100 * p.volatility:.3f} %",
        "CV": lambda p: f"{p.cv:.3g}",
        "HRC": lambda p: f"{100 * p.highest_risk_contribution:.3f} %",
        "Herfindahl": lambda p: f"{p.herfindahl:.5f}",
        "largest weight": lambda p: f"{100 * p.weights.max():.3f} %",
    }
    particular = [_numbers_of(p) for p in portfolios.values()]
    table = Table(
        Column(no_wrap=True),
        box=SIMPLE_HEAD,
        pad_edge=False,
        caption="Volatility per period. CV, largest (HRC) and Herfindahl index of the relative "
        "risk contributions.",
        caption_justify="left",
    )
    for name in portfolios:
        table.add_column(Text(str(name)), justify="right")
    for row, written in rows.items():
        table.add_row(row, *map(written, portfolios.values()))
    for key in dict.fromkeys(key for details in particular for key in details):
        values = (details.get(key) for details in particular)
        heading = _HEADINGS.get(key, key.replace("_", " "))
        table.add_row(Text(heading), *("" if value is None else f"{value:.4g}" for value in values))
    return table


def _numbers_of(portfolio: Portfolio) -> dict[str, float | None]:
    """What is particular to a problem, as far as it is numbers."""
    details = portfolio.details.to_dict() if portfolio.details else {}
    return {key: v for key, v in details.items() if v is None or isinstance(v, int | float)}


def solver_tables() -> tuple[Table, Table]:
    """What each solver takes, and where it is or how to get it."""
    takes = Table("solver", "version", "takes", "Pyomo models", "duals", show_lines=True)
    places = Table("solver", Column("where", overflow="fold"), "licence", show_lines=True)
    for name, solver in SOLVERS.items():
        found = solver.locate()
        takes.add_row(
            name,
            "missing" if found is None else found.version,
            ", ".join(_taken(solver)) or "risk parity only",
            ", ".join(solver.reads),
            "yes" if solver.duals else "no",
        )
        places.add_row(name, Text("\n".join(_place(solver, found))), solver.licence)
    return takes, places


def _place(solver: Solver, found: Found | None) -> Iterator[str]:
    """Where a solver is, in lines; and what to do where it is not."""
    if found is None:
        yield f"not here: {solver.install}"
        return
    yield found.where
    if found.path:
        yield found.path
    if found.embedded and solver.new_interface is not None:
        yield f"no executable is here: {solver.install}"


def labelled_table(table: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> Table:
    """A table of numbers: what its index says, then these columns as heading and format."""
    rich = Table(box=None, header_style="bold underline")
    rich.add_column(Text(str(table.index.name)), no_wrap=True)
    for head, _ in columns.values():
        rich.add_column(head, justify="right", no_wrap=True)
    for label, row in table.iterrows():
        values = [(row[name], spec) for name, (_, spec) in columns.items()]
        shown = ["" if pd.isna(value) else spec.format(value) for value, spec in values]
        rich.add_row(Text(str(label).replace("_", " ")), *shown)
    return rich


def _taken(solver: Solver) -> Iterator[str]:
    """The classes of problems, with the Pyomo models in which alone it takes them."""
    for problems in Takes:
        kinds = solver.kinds(problems)
        if kinds:
            yield problems if kinds == solver.reads else f"{problems} ({', '.join(kinds)})"
