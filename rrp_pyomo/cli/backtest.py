"""``rrp backtest``: fit, decide, hold."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rrp_pyomo.cli.data_options import (
    DatasetOption,
    FactorsOption,
    Mean,
    PercentOption,
    ReturnsOption,
    read_market,
)

if TYPE_CHECKING:
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
        str, typer.Option(help="Names, separated by commas; robust:W is robust with omega = W.")
    ] = DEFAULT_STRATEGIES,
    estimation: Annotated[str, typer.Option(help="Window before each rebalance.")] = "5Y",
    rebalance: Annotated[str, typer.Option(help="Time between rebalances.")] = "6M",
    start: Annotated[str | None, typer.Option(help="First rebalance.")] = None,
    end: Annotated[str | None, typer.Option(help="Last date that is held.")] = None,
    on_infeasible: Annotated[
        OnInfeasible, typer.Option(help="What to do where (12) has no solution.")
    ] = OnInfeasible.CAP,
    mean: Annotated[Mean, typer.Option(help="How excess returns are averaged.")] = Mean.GEOMETRIC,
    cost: Annotated[
        float, typer.Option(help="Proportional transaction costs, such as 0.001.")
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report, its figures and the tables.")
    ] = None,
) -> None:
    """Rolling-window backtest: fit, decide, hold; statistics, figures and a report."""
    from rrp_pyomo._extras import require_extra
    from rrp_pyomo._files import backtest_folder
    from rrp_pyomo.backtest.backtest import Backtest
    from rrp_pyomo.backtest.result import require_cost
    from rrp_pyomo.backtest.strategies import parse_strategy
    from rrp_pyomo.cli.tables import console

    require_cost(cost)
    parsed = [parse_strategy(name) for name in strategies.split(",")]
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
    )
    if out is None:
        _print_result(plan.run(), mean, cost)
        return
    require_extra("pyarrow", "--out")
    with backtest_folder(out, plan.settings):
        run = plan.run()
        _print_result(run, mean, cost)  # first, so that no full disk can lose it
        from rrp_pyomo.backtest.report import write_report  # matplotlib takes long to import

        run.write(out)
        report = write_report(run, out, _omegas(parsed), mean.value, cost)
    console().print(f"Report: {report}", soft_wrap=True)


def _print_result(run: BacktestResult, mean: Mean, cost: float) -> None:
    from rrp_pyomo.cli.tables import console, labelled_table

    console().print(
        f"{run.settings['assets']} assets, {len(run.rebalances)} rebalances, held from "
        f"{run.returns.index[0]:%Y-%m-%d} to {run.returns.index[-1]:%Y-%m-%d}"
    )
    console().print(labelled_table(run.statistics(mean.value, cost), COLUMNS))
    for text, count in run.events.groupby("strategy").size().items():
        console().print(f"{text}: {count} window(s) did not go as planned; see the report")


def _omegas(strategies: list[Strategy]) -> dict[str, float]:
    return {s.name: s.omega for s in strategies if hasattr(s, "omega")}
