"""The report of a backtest: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rrp_pyomo._extras import require_extra
from rrp_pyomo._files import as_path, backtest_folder
from rrp_pyomo.backtest import plots
from rrp_pyomo.backtest.charts import backtest_charts
from rrp_pyomo.backtest.page import NEEDED, WORDS, Head, Page
from rrp_pyomo.backtest.result import require_cost
from rrp_pyomo.backtest.schedule import in_words
from rrp_pyomo.backtest.statistics import Mean

if TYPE_CHECKING:
    from rrp_pyomo.backtest.comparison import Comparison
    from rrp_pyomo.backtest.result import BacktestResult

# Lines and panels are drawn for no more strategies than this and one to compare them with.
MOST_DRAWN = 8

# What takes the place of a problem without a solution.
INSTEAD = {
    "cap": "0.99 ω_max takes the place of ω",
    "hold": "the last target weights are kept",
    "nominal": "the nominal portfolio is held",
    "raise": "the backtest stops",
}

STRATEGY = Head("Strategy", WORDS)
STATISTICS = {
    "excess_return": Head("Excess return", "% a year", "{:z.2f}", 100.0),
    "volatility": Head("Volatility", "% a year", "{:z.2f}", 100.0),
    "sharpe": Head("Sharpe ratio", "annualised", "{:.3f}"),
    "maximum_drawdown": Head("Largest loss from a peak", "% of wealth", "{:.1f}", 100.0),
    "turnover": Head("Turnover", "% per rebalance", "{:.2f}", 100.0),
    "cv": Head("CV of risk contributions", "ratio", "{:.4f}"),
    "hrc": Head("Highest risk contribution", "% of risk", "{:.2f}", 100.0),
    "herfindahl": Head("Herfindahl index", "1/n to 1", "{:.4f}"),
    "infeasible": Head("Not as planned", "windows", "{:d}"),
}
COMPARISON = {
    "sharpe": Head("Sharpe ratio", "annualised", "{:.3f}"),
    "sharpe_p": Head("p-value", "of Sharpe ratio", "{:.3f}"),
    "sharpe_joint_p": Head("p-value", "of Sharpe ratio, jointly", "{:.3f}"),
    "certainty_equivalent": Head("Certainty equivalent", "% a year", "{:z.2f}", 100.0),
    "certainty_equivalent_p": Head("p-value", "of certainty equivalent", "{:.3f}"),
    "certainty_equivalent_joint_p": Head("p-value", "of certainty equivalent, jointly", "{:.3f}"),
    "drifted_turnover": Head("Turnover from drifted weights", "% per rebalance", "{:.2f}", 100.0),
    "drifted_turnover_p": Head("p-value", "of turnover", "{:.3f}"),
    "drifted_turnover_joint_p": Head("p-value", "of turnover, jointly", "{:.3f}"),
    "return_loss": Head("Return loss", "% a year", "{:z.2f}", 100.0),
}
EVENTS = {
    "strategy": STRATEGY,
    "action": Head("What was done", WORDS),
    "omega": Head("ω", "asked for", "{:.3g}"),
    "omega_max": Head("ω_max", "largest", "{:.3g}"),
    "used": Head("ω", "used", "{:.3g}"),
    "reason": Head("Why", WORDS),
}


def _drawn(result: BacktestResult, reference: str) -> tuple[BacktestResult, str]:
    """The backtest as far as there are lines and panels for it, and what to say of that."""
    if len(result.strategies) <= MOST_DRAWN:
        return result, ""
    best = result.statistics()["sharpe"].nlargest(MOST_DRAWN).index
    return result.select([reference, *best]), f", of the {MOST_DRAWN} largest Sharpe ratios"


def _compare(report: Page, comparison: Comparison) -> None:
    report.heading(f"Against {comparison.reference}")
    for sentence in comparison.verdict():
        report.text(sentence)
    for name, reason in comparison.left_out.items():
        report.text(f"Not compared: {name}: {reason}")
    report.table(comparison.table, COMPARISON, STRATEGY)
    report.text(comparison.how())


def backtest_report(
    result: BacktestResult,
    folder: str | Path,
    omegas: Mapping[str, float] | None = None,
    mean: Mean = "geometric",
    cost: float = 0.0,
    comparison: Comparison | None = None,
) -> Path:
    """Tables and figures of a backtest: ``report.html``, and each figure as PNG and SVG.

    Parameters
    ----------
    result : BacktestResult
    folder : str or Path
        A new or empty one, or that of :meth:`BacktestResult.to_parquet`.
    omegas : mapping, optional
        ω by name of strategy, for the figure of its effect.
    mean, cost
        See :meth:`BacktestResult.statistics`.
    comparison : Comparison, optional
        By :meth:`BacktestResult.comparison`, to be told in a part of its own.

    Raises
    ------
    InputError
        The folder is not writable, or holds anything but the same backtest.
    """
    folder = as_path(folder, "folder")
    with backtest_folder(folder, result.settings):
        return write_report(result, folder, omegas, mean, cost, comparison)


def write_report(
    result: BacktestResult,
    folder: Path,
    omegas: Mapping[str, float] | None,
    mean: Mean,
    cost: float,
    comparison: Comparison | None = None,
) -> Path:
    """What :func:`backtest_report` does, in a folder that is already kept for this backtest."""
    for module in NEEDED:
        require_extra(module, "a report")
    omegas, cost = omegas or {}, require_cost(cost)
    report = Page("Backtest")
    settings = result.settings
    report.text(
        f"{settings['assets']} assets, {len(result.rebalances)} rebalances every "
        f"{in_words(settings['rebalance'])} from {settings['start']} to {settings['end']}, each "
        f"fitted on the {in_words(settings['estimation'])} before it. Where (12) has no solution, "
        f"{INSTEAD[settings['on_infeasible']]}."
    )
    report.heading("Performance and concentration")
    report.text(
        f"Excess return ({mean}, after costs of {cost:.2%} of what is traded), volatility and "
        "Sharpe ratio are annualised; turnover, CV, HRC and Herfindahl index are averages over "
        "rebalances. Figures are before costs."
    )
    report.table(result.statistics(mean, cost), STATISTICS, STRATEGY)
    if comparison is not None:
        _compare(report, comparison)
    report.heading("What did not go as planned")
    if result.events.empty:
        report.text("Nothing: every problem was solved as stated in every window.")
    else:
        events = result.events.assign(date=result.events["date"].dt.strftime("%Y-%m-%d"))
        report.table(events.set_index("date"), EVENTS, Head("Date", WORDS))
    reference = "nominal" if "nominal" in result.strategies else result.strategies[0]
    drawn, of = _drawn(result, reference)
    figures = {}
    if len(result.strategies) > 1:
        relative = plots.plot_relative_wealth(drawn, reference)
        figures["relative_wealth"] = (relative, f"Wealth relative to {reference}{of}")
    figures |= {
        "wealth": (plots.plot_wealth(drawn), f"Wealth{of}"),
        "weights": (plots.plot_weights(drawn), f"Target weights{of}"),
        "risk_contributions": (
            plots.plot_risk_contributions(drawn),
            f"Risk contributions{of}",
        ),
    }
    sweep = plots.omega_table(result, omegas) if len(omegas) > 1 else None
    if sweep is not None:
        figures["omega"] = (plots.plot_omega_sweep(sweep), "The effect of ω")
    charts = backtest_charts(drawn, reference, sweep)
    report.heading("Figures")
    report.text(
        "Point at a chart for its values; click a name in a legend to hide or show its line; the "
        "menu above a chart chooses what it shows."
    )
    for name, (figure, caption) in figures.items():
        report.figure(figure, caption, folder, name, charts.get(name, ()))
    report.write(folder / "report.html")
    return folder / "report.html"
