"""``rrp reproduce``: section 5 of the paper."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rrp_pyomo.cli.data_options import (
    HOW_ANNUALISED,
    DatasetOption,
    FactorsOption,
    Mean,
    PercentOption,
    ReturnsOption,
    read_market,
)
from rrp_pyomo.errors import InputError

INTERRUPTED = 130
EXPERIMENT_COLUMNS = {
    "n": ("n", "{}"),
    "omega": ("ω", "{:.1f}"),
    "ann_excess_return_pct": ("return", "{:.2f}%"),
    "ann_volatility_pct": ("vol.", "{:.2f}%"),
    "sharpe_pct": ("Sharpe", "{:.2f}%"),
    "turnover_pct": ("turnover", "{:.2f}%"),
    "trials_sharpe_above_nominal": ("above", "{}"),
    "cv": ("CV", "{:.3f}"),
    "hrc": ("HRC", "{:.3f}"),
}
TABLE1_COLUMNS = {
    "nlp_3": ("(3)", "{:.3g}"),
    "qclp_4": ("(4)", "{:.3g}"),
    "nlp_3_paper": ("(3), paper", "{:.3g}"),
    "qclp_4_paper": ("(4), paper", "{:.3g}"),
}


class ExperimentName(StrEnum):
    """Section 5 of Costa & Kwon (2020), and its Table 1."""

    ONE = "1"
    TWO = "2"
    TABLE1 = "table1"


class Where(StrEnum):
    """What runs the trials."""

    LOCAL = "local"
    DASK = "dask"


def reproduce(
    experiment: Annotated[
        ExperimentName, typer.Option(help="1 (5.1), 2 (5.2) or table1 of Costa & Kwon (2020).")
    ],
    out: Annotated[Path, typer.Option(help="Folder for tables, figures, report and raw trials.")],
    dataset: DatasetOption = None,
    returns: ReturnsOption = None,
    factors: FactorsOption = None,
    factors_in_percent: PercentOption = None,
    trials: Annotated[
        int | None, typer.Option(help="Number of trials (default 1,000; matrices of table1: 100).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes; default the number of cores, of table1 1 for its times."),
    ] = None,
    executor: Annotated[Where, typer.Option(help="Where the trials run.")] = Where.LOCAL,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Numbers of assets, separated by commas, in place of 5's.")
    ] = None,
    mean: Annotated[
        Mean | None,
        typer.Option(
            help=f"{HOW_ANNUALISED} (default geometric; uncompounded seems to be the paper's)."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder.")
    ] = False,
) -> None:
    """The paper's experiments: tables.csv, figures, report.html and the raw trials."""
    from rrp_pyomo.backtest.engine import Panel
    from rrp_pyomo.cli.tables import console, labelled_table
    from rrp_pyomo.paper import reproduce as experiments
    from rrp_pyomo.paper.table1 import reproduce_table1

    if scheduler is not None and executor is Where.LOCAL:
        raise InputError("--scheduler goes with --executor dask; add it, or leave --scheduler out")
    if experiment is ExperimentName.TABLE1:
        _require_none_given(
            dataset=dataset, returns=returns, factors=factors, sizes=sizes, mean=mean
        )
        with _places(executor, scheduler, workers) as (pool, count):
            medians = reproduce_table1(
                out, 100 if trials is None else trials, seed, resume=resume, progress=True,
                workers=count, executor=pool,
            )  # fmt: skip
        console().print(labelled_table(medians, TABLE1_COLUMNS))
        return
    design = experiments.find_experiment(experiment.value, dataset)
    if sizes is not None:
        design = design.on(sizes=_whole_numbers(sizes))
    panel = Panel.of(*read_market(dataset, returns, factors, factors_in_percent))
    with _places(executor, scheduler, workers) as (pool, count):
        table = experiments.reproduce(
            design, panel, out, 1000 if trials is None else trials, seed, count, pool,
            resume, mean=(mean or Mean.GEOMETRIC).value, progress=True,
        )  # fmt: skip
    console().print(labelled_table(table.set_index("portfolio"), EXPERIMENT_COLUMNS))
    console().print(f"Report: {out / 'report.html'}", soft_wrap=True)


@contextlib.contextmanager
def _places(
    executor: Where, scheduler: str | None, workers: int | None
) -> Iterator[tuple[Executor | None, int | None]]:
    """Where trials run, and how many at a time; who interrupts them is told how to go on."""
    from rrp_pyomo.paper.runner import dask_workers

    with contextlib.ExitStack() as stack:
        pool, count = None, workers
        if executor is Where.DASK:
            pool, count = stack.enter_context(dask_workers(scheduler, workers))
        try:
            yield pool, count
        except KeyboardInterrupt:
            typer.echo("rrp: interrupted; finished trials are kept: go on with --resume", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _require_none_given(**options: object) -> None:
    """Table 1 is of random matrices: it takes no data and no portfolios."""
    if given := [f"--{name}" for name, value in options.items() if value is not None]:
        raise InputError(
            f"{', '.join(given)}: not with --experiment table1, which draws its own matrices; "
            "leave it out"
        )


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"sizes are {text!r}; expected whole numbers with commas, such as '15,25'"
        ) from None
