"""``rrp backtest`` and ``rrp reproduce``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrp_pyomo.cli.data_options import DatasetOption, FactorsOption, ReturnsOption, read_market
from rrp_pyomo.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from rrp_pyomo.backtest.strategies import Strategy

DEFAULT_STRATEGIES = (
    "equal_weight,inverse_volatility,minimum_variance,nominal,worst_case,robust:1,robust:2"
)
INTERRUPTED = 130


class ExperimentName(StrEnum):
    """Section 5 of Costa & Kwon (2020), and its Table 1."""

    ONE = "1"
    TWO = "2"
    TABLE1 = "table1"


class Where(StrEnum):
    """What runs the trials."""

    LOCAL = "local"
    DASK = "dask"


class OnInfeasible(StrEnum):
    """What to do where (12) has no solution."""

    CAP = "cap"
    HOLD = "hold"
    NOMINAL = "nominal"
    RAISE = "raise"


class Mean(StrEnum):
    """How excess returns are averaged."""

    GEOMETRIC = "geometric"
    ARITHMETIC = "arithmetic"


_Averaged = Annotated[Mean, typer.Option(help="How excess returns are averaged.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this package to the command line."""
    app.command()(backtest)
    app.command()(reproduce)


def backtest(
    dataset: DatasetOption = None,
    returns: ReturnsOption = None,
    factors: FactorsOption = None,
    strategies: Annotated[
        str, typer.Option(help="Names, separated by commas; robust:W is robust with omega = W.")
    ] = DEFAULT_STRATEGIES,
    estimation: Annotated[str, typer.Option(help="Window before each rebalance.")] = "5Y",
    rebalance: Annotated[str, typer.Option(help="Time between rebalances.")] = "6M",
    start: Annotated[str | None, typer.Option(help="First rebalance.")] = None,
    end: Annotated[str | None, typer.Option(help="Last date that is held.")] = None,
    on_infeasible: Annotated[
        OnInfeasible, typer.Option(help="What to do where (12) has no solution.")
    ] = OnInfeasible.CAP,
    mean: _Averaged = Mean.GEOMETRIC,
    cost: Annotated[
        float, typer.Option(help="Proportional transaction costs, such as 0.001.")
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report, its figures and the tables.")
    ] = None,
) -> None:
    """Rolling-window backtest: fit, decide, hold; statistics, figures and a report."""
    from rich.console import Console

    from rrp_pyomo._files import prepare_backtest_folder
    from rrp_pyomo.backtest.backtest import Backtest
    from rrp_pyomo.backtest.result import require_cost
    from rrp_pyomo.backtest.strategies import parse_strategy

    require_cost(cost)
    parsed = [parse_strategy(name) for name in strategies.split(",")]
    total, factor_returns, risk_free = read_market(dataset, returns, factors)
    plan = Backtest(
        total,
        factor_returns,
        parsed,
        estimation,
        rebalance,
        start,
        end,
        on_infeasible.value,
        risk_free,
    )
    if out is not None:
        prepare_backtest_folder(out, plan.settings)
    run = plan.run()
    console = Console()
    console.print(
        f"{run.settings['assets']} assets, {len(run.rebalances)} rebalances, held from "
        f"{run.returns.index[0]:%Y-%m-%d} to {run.returns.index[-1]:%Y-%m-%d}"
    )
    console.print(_rich_table(run.statistics(mean.value, cost), _BACKTEST_COLUMNS))
    for text, count in run.events.groupby("strategy").size().items():
        console.print(f"{text}: {count} window(s) did not go as planned; see the report")
    if out is not None:
        from rrp_pyomo.backtest.report import backtest_report

        run.to_parquet(out)
        report = backtest_report(run, out, _omegas(parsed), mean.value, cost)
        console.print(f"Report: {report}", soft_wrap=True)


def reproduce(
    experiment: Annotated[
        ExperimentName, typer.Option(help="1 (5.1), 2 (5.2) or table1 of Costa & Kwon (2020).")
    ],
    out: Annotated[Path, typer.Option(help="Folder for tables, figures, report and raw trials.")],
    dataset: DatasetOption = None,
    returns: ReturnsOption = None,
    factors: FactorsOption = None,
    trials: Annotated[
        int | None, typer.Option(help="Number of trials (default 1,000; matrices of table1: 100).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Processes; default the number of cores.")
    ] = None,
    executor: Annotated[Where, typer.Option(help="Where the trials run.")] = Where.LOCAL,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Numbers of assets, separated by commas, in place of 5's.")
    ] = None,
    mean: Annotated[
        Mean | None, typer.Option(help="How excess returns are averaged (default geometric).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder.")
    ] = False,
) -> None:
    """The paper's experiments: tables.csv, figures, report.html and the raw trials."""
    from rich.console import Console

    from rrp_pyomo.backtest.engine import Panel
    from rrp_pyomo.paper import reproduce as experiments
    from rrp_pyomo.paper.runner import dask_workers
    from rrp_pyomo.paper.table1 import reproduce_table1

    console = Console()
    if experiment is ExperimentName.TABLE1:
        _require_none_given(
            dataset=dataset, returns=returns, factors=factors, sizes=sizes, mean=mean
        )
        count = 100 if trials is None else trials
        medians = reproduce_table1(out, count, seed, resume=resume, progress=True)
        console.print(_rich_table(medians, _TABLE1_COLUMNS))
        return
    design = experiments.find_experiment(experiment.value, dataset)
    if sizes is not None:
        design = design.on(sizes=_whole_numbers(sizes))
    panel = Panel.of(*read_market(dataset, returns, factors))
    if scheduler is not None and executor is Where.LOCAL:
        raise InputError("--scheduler goes with --executor dask; add it, or leave --scheduler out")
    with contextlib.ExitStack() as stack:
        pool = None
        if executor is Where.DASK:
            pool, workers = stack.enter_context(dask_workers(scheduler, workers))
        try:
            table = experiments.reproduce(
                design, panel, out, 1000 if trials is None else trials, seed, workers, pool,
                resume, mean=(mean or Mean.GEOMETRIC).value, progress=True,
            )  # fmt: skip
        except KeyboardInterrupt:
            typer.echo("rrp: interrupted; finished trials are kept: go on with --resume", err=True)
            raise typer.Exit(INTERRUPTED) from None
    console.print(_rich_table(table.set_index("portfolio"), _EXPERIMENT_COLUMNS))
    console.print(f"Report: {out / 'report.html'}", soft_wrap=True)


def _omegas(strategies: list[Strategy]) -> dict[str, float]:
    return {s.name: s.omega for s in strategies if hasattr(s, "omega")}


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


_BACKTEST_COLUMNS = {
    "excess_return": ("return", "{:.2%}"),
    "volatility": ("volatil.", "{:.2%}"),
    "sharpe": ("Sharpe", "{:.3f}"),
    "maximum_drawdown": ("max loss", "{:.1%}"),
    "turnover": ("turnover", "{:.2%}"),
    "cv": ("CV", "{:.3f}"),
    "hrc": ("HRC", "{:.3f}"),
}
_EXPERIMENT_COLUMNS = {
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
_TABLE1_COLUMNS = {
    "nlp_3": ("(3)", "{:.3g}"),
    "qclp_4": ("(4)", "{:.3g}"),
    "nlp_3_paper": ("(3), paper", "{:.3g}"),
    "qclp_4_paper": ("(4), paper", "{:.3g}"),
}


def _rich_table(table: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> Any:
    """A table for the terminal: what the index says, then these columns as head and format."""
    import pandas as pd
    from rich.table import Table

    rich = Table(box=None, header_style="bold underline")
    rich.add_column(str(table.index.name), no_wrap=True)
    for head, _ in columns.values():
        rich.add_column(head, justify="right", no_wrap=True)
    for label, row in table.iterrows():
        values = [(row[name], spec) for name, (_, spec) in columns.items()]
        shown = ["" if pd.isna(value) else spec.format(value) for value, spec in values]
        rich.add_row(str(label).replace("_", " "), *shown)
    return rich
