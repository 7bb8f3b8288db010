"""``rrp backtest``: fit, decide, hold."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from rrp_pyomo.backtest.backtest import Backtest
    from rrp_pyomo.backtest.comparison import Comparison
    from rrp_pyomo.backtest.result import BacktestResult
    from rrp_pyomo.backtest.strategies import Strategy

DEFAULT_STRATEGIES = (
    "equal_weight,inverse_volatility,minimum_variance,nominal,worst_case,robust:1,robust:2"
)
COLUMNS = {
    "excess_return": ("return", "{:.2%}"),
    "volatility": ("volatil.", "{:.2%}"),
    "sharpe": ("Sharpe", "{:.3f}"),
    "maximum_drawdown": ("max loss", "{:.1%}"),
    "turnover": ("turnover", "{:.2%}"),
    "cv": ("CV", "{:.3f}"),
    "hrc": ("HRC", "{:.3f}"),
}
COMPARISON_COLUMNS = {
    "sharpe": ("Sharpe", "{:.3f}"),
    "sharpe_p": ("p", "{:.3f}"),
    "certainty_equivalent": ("CEQ", "{:.2%}"),
    "certainty_equivalent_p": ("p", "{:.3f}"),
    "drifted_turnover": ("turnover", "{:.2%}"),
    "drifted_turnover_p": ("p", "{:.3f}"),
    "return_loss": ("return loss", "{:.2%}"),
}
REFERENCE = "equal weight"


class OnInfeasible(StrEnum):
    """What to do where (12) has no solution."""

    CAP = "cap"
    HOLD = "hold"
    NOMINAL = "nominal"
    RAISE = "raise"


def backtest(
    dataset: DatasetOption = None,
    returns: ReturnsOption = None,
    factors: FactorsOption = None,
    factors_in_percent: PercentOption = None,
    strategies: Annotated[
        str,
        typer.Option(help="Names, separated by commas, or all; robust:W is robust with omega = W."),
    ] = DEFAULT_STRATEGIES,
    estimation: Annotated[str, typer.Option(help="Window before each rebalance.")] = "5Y",
    rebalance: Annotated[str, typer.Option(help="Time between rebalances.")] = "6M",
    start: Annotated[str | None, typer.Option(help="First rebalance.")] = None,
    end: Annotated[str | None, typer.Option(help="Last date that is held.")] = None,
    on_infeasible: Annotated[
        OnInfeasible, typer.Option(help="What to do where (12) has no solution.")
    ] = OnInfeasible.CAP,
    mean: Annotated[Mean, typer.Option(help=f"{HOW_ANNUALISED}.")] = Mean.GEOMETRIC,
    cost: Annotated[
        float, typer.Option(help="Proportional transaction costs, such as 0.001.")
    ] = 0.0,
    risk_aversion: Annotated[
        float, typer.Option(help="Of the certainty equivalents in the comparison with 1/n.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the comparison's bootstrap.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes; default the number of cores for all, else 1."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report, its figures and the tables.")
    ] = None,
) -> None:
    """Rolling-window backtest: fit, decide, hold; statistics, figures and a report."""
    from rrp_pyomo._extras import require_extra
    from rrp_pyomo._files import backtest_folder
    from rrp_pyomo._processes import number_of_workers
    from rrp_pyomo.backtest.backtest import Backtest
    from rrp_pyomo.backtest.page import NEEDED
    from rrp_pyomo.backtest.result import require_cost
    from rrp_pyomo.backtest.strategies import as_strategies
    from rrp_pyomo.cli.tables import console

    require_cost(cost)
    names = [name.strip() for name in strategies.split(",")]
    parsed = as_strategies(names)
    every = "all" in names
    workers = number_of_workers(workers) if every or workers is not None else 1
    total, factor_returns, risk_free = read_market(dataset, returns, factors, factors_in_percent)
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
        leave_out=every,
    )

    def carry_out() -> tuple[BacktestResult, Comparison | None]:
        """Run and print, which no full disk can lose."""
        run = _run(plan, workers)
        _print_result(run, mean, cost)
        comparison = _compare(run, risk_aversion, cost, seed)
        if comparison is not None:
            _print_comparison(comparison)
        return run, comparison

    if out is None:
        carry_out()
        return
    for module in ("pyarrow", *NEEDED):
        require_extra(module, "--out")
    with backtest_folder(out, plan.settings):
        run, comparison = carry_out()
        from rrp_pyomo.backtest.report import write_report  # matplotlib takes long to import

        run.write(out)
        report = write_report(run, out, _omegas(parsed), mean.value, cost, comparison)
    console().print(f"Report: {report}", soft_wrap=True)


def _run(plan: Backtest, workers: int) -> BacktestResult:
    """With a bar where strategies are run one by one."""
    from rrp_pyomo._progress import progress_bar

    one_by_one = plan.leave_out or workers > 1
    with progress_bar("strategies", "strategies", len(plan.names), 0, one_by_one) as advance:
        return plan.run(workers, lambda name: advance(1))


def _compare(
    run: BacktestResult, risk_aversion: float, cost: float, seed: int
) -> Comparison | None:
    """With 1/n where it is one of several strategies, and what that takes is installed."""
    from rrp_pyomo._extras import require_extra

    if REFERENCE not in run.strategies or len(run.strategies) < 2 or len(run.returns) < 2:
        return None
    try:
        require_extra("arch", "the comparison with 1/n")
    except InputError as missing:
        typer.echo(f"rrp: {missing}", err=True)
        return None
    return run.comparison(REFERENCE, risk_aversion, cost, seed=seed)


def _print_comparison(comparison: Comparison) -> None:
    from rrp_pyomo.cli.tables import console, labelled_table

    console().print()
    console().print(labelled_table(comparison.table, COMPARISON_COLUMNS))
    for sentence in [*comparison.verdict(), comparison.how()]:
        console().print(sentence)


def _print_result(run: BacktestResult, mean: Mean, cost: float) -> None:
    from rrp_pyomo.cli.tables import console, labelled_table

    console().print(
        f"{run.settings['assets']} assets, {len(run.rebalances)} rebalances, held from "
        f"{run.returns.index[0]:%Y-%m-%d} to {run.returns.index[-1]:%Y-%m-%d}"
    )
    console().print(labelled_table(run.statistics(mean.value, cost), COLUMNS))
    for text, reason in run.left_out.items():
        console().print(f"{text}: left out: {reason}")
    others = run.events[~run.events["strategy"].isin(run.left_out.index)]
    for text, count in others.groupby("strategy").size().items():
        console().print(f"{text}: {count} window(s) did not go as planned; see the report")


def _omegas(strategies: list[Strategy]) -> dict[str, float]:
    return {s.name: s.omega for s in strategies if hasattr(s, "omega")}
