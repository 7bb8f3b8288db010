"""One self-contained HTML page with tables and figures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rrp_pyomo._files import as_path, backtest_folder, write_atomically
from rrp_pyomo.backtest import plots
from rrp_pyomo.backtest.result import require_cost
from rrp_pyomo.backtest.statistics import Mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rrp_pyomo.backtest.comparison import Comparison
    from rrp_pyomo.backtest.result import BacktestResult

# Lines and panels are drawn for no more strategies than this and one to compare them with.
MOST_DRAWN = 8

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin-top: 2rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.85rem; }}
th, td {{ padding: 0.25rem 0.6rem; text-align: right; border-bottom: 1px solid #ddd; }}
th {{ background: #f5f5f5; }} td:first-child, th:first-child {{ text-align: left; }}
img {{ max-width: 100%; height: auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


@dataclass
class Report:
    """A page that grows part by part."""

    title: str
    _parts: list[str] = field(default_factory=list)

    def text(self, paragraph: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{html.escape(paragraph)}</p>")

    def heading(self, text: str) -> None:
        """Add a heading."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def table(self, table: pd.DataFrame, formats: Mapping[str, str] | None = None) -> None:
        """Add a table; ``formats`` by column, such as ``"{:.1%}"``."""
        shown = table.astype(object)
        for name in shown.columns.intersection(list(formats or {})):
            shown[name] = [_shown(value, (formats or {})[name]) for value in table[name]]
        text = shown.to_html(border=0, na_rep="", index_names=False)
        self._parts.append(f'<div class="wide">{text}</div>')

    def figure(self, figure: Figure, caption: str, folder: Path, name: str) -> None:
        """Add a figure, embedded; also write it to the folder as ``name.png`` and ``name.svg``."""
        png = _saved(figure, "png", dpi=130, metadata={"Software": None})
        write_atomically(folder / f"{name}.png", png)
        write_atomically(folder / f"{name}.svg", _saved(figure, "svg", metadata={"Date": None}))
        source, text = base64.b64encode(png).decode(), html.escape(caption)
        self._parts.append(
            f'<p><img alt="{text}" src="data:image/png;base64,{source}"><br>{text}</p>'
        )

    def write(self, path: Path) -> None:
        """Write the page."""
        body = "\n".join(self._parts)
        page = _PAGE.format(title=html.escape(self.title), body=body)
        write_atomically(path, page.encode())


def _drawn(result: BacktestResult, reference: str) -> tuple[BacktestResult, str]:
    """The backtest as far as there are lines and panels for it, and what to say of that."""
    if len(result.strategies) <= MOST_DRAWN:
        return result, ""
    best = result.statistics()["sharpe"].nlargest(MOST_DRAWN).index
    return result.select([reference, *best]), f", of the {MOST_DRAWN} largest Sharpe ratios"


def _shown(value: Any, form: str) -> str:
    return "" if pd.isna(value) else form.format(value)


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    """The figure as a file; the same figure always gives the same bytes."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "rrp", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _compare(report: Report, comparison: Comparison) -> None:
    report.heading(f"Against {comparison.reference}")
    for sentence in comparison.verdict():
        report.text(sentence)
    for name, reason in comparison.left_out.items():
        report.text(f"Not compared: {name}: {reason}")
    report.table(comparison.table, COMPARISON_FORMATS)
    report.text(comparison.how())


STATISTICS_FORMATS = {
    "excess_return": "{:.2%}",
    "volatility": "{:.2%}",
    "sharpe": "{:.3f}",
    "maximum_drawdown": "{:.1%}",
    "turnover": "{:.2%}",
    "cv": "{:.4f}",
    "hrc": "{:.4f}",
    "herfindahl": "{:.4f}",
}


COMPARISON_FORMATS = {
    "sharpe": "{:.3f}",
    "sharpe_p": "{:.3f}",
    "certainty_equivalent": "{:.2%}",
    "certainty_equivalent_p": "{:.3f}",
    "drifted_turnover": "{:.2%}",
    "drifted_turnover_p": "{:.3f}",
    "return_loss": "{:.2%}",
}


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
    omegas, cost = omegas or {}, require_cost(cost)
    report = Report("Backtest")
    settings = result.settings
    report.text(
        f"{settings['assets']} assets, {len(result.rebalances)} rebalances every "
        f"{settings['rebalance']} from {settings['start']} to {settings['end']}, each fitted on "
        f"the {settings['estimation']} before it. Where (12) has no solution: "
        f"{settings['on_infeasible']}."
    )
    report.heading("Performance and concentration")
    report.text(
        f"Excess return ({mean}, after costs of {cost:.2%} of what is traded), volatility and "
        "Sharpe ratio are annualised; turnover, CV, HRC and Herfindahl index are averages over "
        "rebalances. Figures are before costs."
    )
    report.table(result.statistics(mean, cost), STATISTICS_FORMATS)
    if comparison is not None:
        _compare(report, comparison)
    report.heading("What did not go as planned")
    if result.events.empty:
        report.text("Nothing: every problem was solved as stated in every window.")
    else:
        report.table(result.events.assign(date=result.events["date"].dt.date).set_index("date"))
    reference = "nominal" if "nominal" in result.strategies else result.strategies[0]
    drawn, of = _drawn(result, reference)
    figures = {
        "wealth": (plots.plot_wealth(drawn), f"Wealth{of}"),
        "weights": (plots.plot_weights(drawn), f"Target weights{of}"),
        "risk_contributions": (
            plots.plot_risk_contributions(drawn),
            f"Risk contributions{of}",
        ),
    }
    if len(result.strategies) > 1:
        relative = plots.plot_relative_wealth(drawn, reference)
        figures["relative_wealth"] = (relative, f"Wealth relative to {reference}{of}")
    if len(omegas) > 1:
        sweep = plots.plot_omega_sweep(plots.omega_table(result, omegas))
        figures["omega"] = (sweep, "The effect of ω")
    report.heading("Figures")
    for name, (figure, caption) in figures.items():
        report.figure(figure, caption, folder, name)
    report.write(folder / "report.html")
    return folder / "report.html"
