"""Experiments 1 and 2 of the paper: run the trials, write tables, figures and the report."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import Executor
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rrp_pyomo._extras import require_extra
from rrp_pyomo._files import KEPT, to_csv, write_atomically
from rrp_pyomo._processes import require_at_least
from rrp_pyomo._progress import progress_bar
from rrp_pyomo._version import __version__
from rrp_pyomo.backtest import charts
from rrp_pyomo.backtest.engine import Panel
from rrp_pyomo.backtest.page import NEEDED, WORDS, Head, Page
from rrp_pyomo.backtest.plots import OMEGA_PANELS, named, plot_omega_sweep
from rrp_pyomo.backtest.schedule import in_words
from rrp_pyomo.backtest.statistics import Mean
from rrp_pyomo.errors import UnknownLabelError, require_kind
from rrp_pyomo.paper import plots
from rrp_pyomo.paper.experiments import (
    EXPERIMENTS,
    Experiment,
    Job,
    Trials,
    WealthPaths,
    chunks_of,
)
from rrp_pyomo.paper.runner import RunFolder, run_chunks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["find_experiment", "reproduce"]

# Seconds of work per chunk are then about 3: little is lost in an interruption.
CHUNK = 8

FRENCH = {"sizes": (12, 25), "start": "1954-01-01"}

_NAMES = {
    "ann_excess_return_pct": ("Excess return", "% a year", "{:z.2f}"),
    "ann_volatility_pct": ("Volatility", "% a year", "{:z.2f}"),
    "sharpe_pct": ("Sharpe ratio", "%, annualised", "{:.2f}"),
    "turnover_pct": ("Turnover", "% per rebalance", "{:.2f}"),
    "cv": ("CV of risk contributions", "ratio", "{:.3f}"),
    "hrc": ("Highest risk contribution", "share of risk", "{:.3f}"),
    "herfindahl": ("Herfindahl index", "1/n to 1", "{:.3f}"),
}
_ASSETS = Head("Assets", "n", "{:d}")
_PORTFOLIO = {"portfolio": Head("Portfolio", WORDS), "omega": Head("ω", "aversion", "{:.1f}")}
_TABLE = (
    _PORTFOLIO
    | {column: Head(*head) for column, head in _NAMES.items()}
    | {
        f"sd_{column.removeprefix('ann_excess_').removeprefix('ann_')}": Head("sd", unit, form)
        for column, (_, unit, form) in _NAMES.items()
    }
    | {
        "trials_sharpe_above_nominal": Head("Sharpe ratio above nominal", "trials", "{:.0f}"),
        "t_statistic": Head("t-statistic", "paired", "{:.2f}"),
    }
)
_DIFFERENCES = _PORTFOLIO | {
    "turnover_rel_pct": Head("Turnover", "% of the paper's", "{:+.1f}"),
    "cv_rel_pct": Head("CV of risk contributions", "% of the paper's", "{:+.1f}"),
    "sharpe_gain_rel_pct": Head("Gain of Sharpe ratio", "% of the paper's", "{:+.1f}"),
    "volatility_pct_diff": Head("Volatility", "percentage points", "{:+.2f}"),
    "hrc_diff": Head("Highest risk contribution", "share of risk", "{:+.4f}"),
    "herfindahl_diff": Head("Herfindahl index", "difference", "{:+.4f}"),
}
_CAPPED = _PORTFOLIO | {
    "windows": Head("Windows", "number", "{:d}"),
    "capped": Head("Capped", "windows", "{:d}"),
    "share": Head("Capped", "% of windows", "{:.2f}", 100.0),
}


def find_experiment(name: str, dataset: str | None = None) -> Experiment:
    """Experiment 1 or 2; on the French data with portfolios of 12 and 25 assets, from 1954.

    Raises
    ------
    UnknownLabelError
        Another name.

    Examples
    --------
    >>> from rrp_pyomo.paper.reproduce import find_experiment
    >>> find_experiment("1").omegas, find_experiment("2").sizes
    ((0.5, 1.0, 1.5, 2.0, 2.5, 3.0), (15, 25, 50, 75, 100))
    """
    if name not in EXPERIMENTS:
        raise UnknownLabelError("experiment", name, [*EXPERIMENTS, "table1"])
    experiment = EXPERIMENTS[name]
    return experiment.on(**FRENCH) if dataset == "french" else experiment


def reproduce(
    experiment: Experiment,
    panel: Panel,
    out: str | Path,
    trials: int = 1000,
    seed: int = 0,
    workers: int | None = None,
    executor: Executor | None = None,
    resume: bool = False,
    chunk: int = CHUNK,
    mean: Mean = "geometric",
    progress: bool = False,
    figures: bool = True,
) -> pd.DataFrame:
    """Run an experiment and write ``tables.csv``, figures, ``report.html`` and the raw trials.

    For the paper's own design ``differences.csv`` says how far the tables are from the paper's.

    The answer depends on data, design, seed and number of trials alone: not on workers, chunks,
    executor or interruptions. A resumed run may have more trials than before.

    Parameters
    ----------
    experiment : Experiment
        See :func:`find_experiment`.
    panel : Panel
    out : str or Path
        A new folder, or with ``resume`` that of an earlier run with the same settings.
    trials, seed : int
    workers : int, optional
        Processes; default the number of cores.
    executor : concurrent.futures.Executor, optional
        Where to run instead, such as ``dask.distributed.Client(...).get_executor()``.
    resume : bool
    chunk : int
        Trials that a worker runs at a time.
    mean : {"geometric", "uncompounded", "arithmetic"}
        How excess returns are annualised: Π(1 + e_t)^{52/T} − 1, 52 (Π(1 + e_t)^{1/T} − 1), as the
        paper seems to do, or 52 times their mean; 12 in place of 52 for monthly ones.
    progress : bool
        Show a bar with rate and remaining time on stderr.
    figures : bool
        Draw the figures and write the report, which takes some seconds.

    Returns
    -------
    DataFrame
        With the columns of Tables 3 to 8; see :meth:`Trials.table`.

    Raises
    ------
    InputError
        Data that do not suffice, a size beyond the universe, a folder that cannot be used.
    KeyboardInterrupt
        Finished trials are kept for ``resume``.

    Examples
    --------
    Two trials of three of five portfolios:

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from rrp_pyomo.backtest.engine import Panel
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.paper.experiments import Experiment
    >>> from rrp_pyomo.paper.reproduce import reproduce
    >>> data = french()
    >>> panel = Panel.of(data.returns.iloc[-36:, :5], data.factors[-36:], data.risk_free[-36:])
    >>> design = Experiment("small", (3,), (1.0,), start="2016-03-31", estimation="2Y")
    >>> with ThreadPoolExecutor(1) as executor:
    ...     table = reproduce(design, panel, "small", 2, executor=executor, figures=False)
    >>> table[["portfolio", "ann_volatility_pct"]].round(1).to_numpy().tolist()
    [['nominal', 8.0], ['worst_case', 8.0], ['robust', 7.9]]
    """
    for module in ("pyarrow", "threadpoolctl", *(NEEDED if figures else ())):
        require_extra(module, "an experiment")
    require_kind(experiment, Experiment, "experiment", "see find_experiment(name)")
    require_kind(panel, Panel, "panel", "see Panel.of(returns, factors, risk_free)")
    require_at_least(2, trials, "trials")
    require_at_least(1, chunk, "chunk")
    require_at_least(0, seed, "seed")
    experiment.windows(panel)
    folder = RunFolder(out, run_settings(experiment, panel, seed), resume)
    todo = list(chunks_of(experiment.sizes, trials, folder.done(), chunk))
    total = trials * len(experiment.sizes)
    left = sum(c.last - c.first for c in todo)
    with progress_bar(experiment.name, "trials", total, total - left, progress) as report:
        run_chunks(Job(experiment, panel, seed), todo, folder, executor, workers, report)
    table, capped, paths = _tabulate(experiment, panel, folder, trials, mean)
    write_atomically(folder.path / "tables.csv", to_csv(table), KEPT)
    if (paper := paper_table(experiment)) is not None:
        difference = to_csv(differences(table, paper))
        write_atomically(folder.path / "differences.csv", difference, KEPT)
    if figures:
        page = _report(experiment, panel, trials, mean, table, capped)
        drawn = _charts(experiment, table, paths)
        for figure, caption, name in _figures(experiment, table, paths):
            page.figure(figure, caption, folder.path, name, drawn.get(name, ()))
        page.write(folder.path / "report.html")
    return table


def run_settings(experiment: Experiment, panel: Panel, seed: int) -> dict[str, Any]:
    """What determines the trials, for the output folder."""
    return {
        "experiment": experiment.name,
        "sizes": list(experiment.sizes),
        "omegas": list(experiment.omegas),
        "start": experiment.start,
        "end": experiment.end,
        "estimation": experiment.estimation,
        "rebalance": experiment.rebalance,
        "seed": seed,
        "data_fingerprint": panel.fingerprint,
        "version": __version__,
    }


def paper_table(experiment: Experiment) -> pd.DataFrame | None:
    """Tables 3 to 5 or 6 to 8 as printed; None where the paper has not this design or size."""
    for name, original in EXPERIMENTS.items():
        if experiment.on(name=original.name, sizes=original.sizes) == original:
            source = resources.files("rrp_pyomo.paper").joinpath("paper_tables.csv")
            table = pd.read_csv(io.StringIO(source.read_text(encoding="utf-8")))
            table = table[(table["experiment"] == int(name)) & table["n"].isin(experiment.sizes)]
            return table.drop(columns="experiment").reset_index(drop=True) if len(table) else None
    return None


def differences(table: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """How far a table is from the paper's, where both have a row.

    Turnover, CV and what robust portfolios gain in Sharpe ratio over the nominal one in per cent of
    the paper's; volatility in percentage points; HRC and Herfindahl index as they are.
    """
    keys = ["n", "portfolio", "omega"]
    ours, theirs = (t.set_index(keys) for t in (table, paper))
    ours = ours.loc[ours.index.isin(theirs.index)]
    theirs = theirs.reindex(ours.index)

    def gain(t: pd.DataFrame) -> pd.Series:
        nominal = t.xs("nominal", level="portfolio")["sharpe_pct"].droplevel("omega")
        gains: pd.Series = t["sharpe_pct"] - nominal.reindex(t.index.get_level_values("n")).values
        return gains.where(t.index.get_level_values("portfolio") == "robust")

    relative = {
        "turnover_rel_pct": (ours["turnover_pct"], theirs["turnover_pct"]),
        "cv_rel_pct": (ours["cv"], theirs["cv"]),
        "sharpe_gain_rel_pct": (gain(ours), gain(theirs)),
    }
    rows = {
        name: 100.0 * (one / other.where(other > 0) - 1) for name, (one, other) in relative.items()
    }
    for name in ("ann_volatility_pct", "hrc", "herfindahl"):
        rows[f"{name.removeprefix('ann_')}_diff"] = ours[name] - theirs[name]
    return pd.DataFrame(rows).reset_index()


def _tabulate(
    experiment: Experiment, panel: Panel, folder: RunFolder, trials: int, mean: Mean
) -> tuple[pd.DataFrame, pd.DataFrame, list[WealthPaths]]:
    """The tables, the windows where ω was capped, and wealth through time; size by size, for all
    trials of all sizes together would need more memory."""
    tables, capped, paths = [], [], []
    for size in experiment.sizes:
        every = Trials.of(folder.load(size, trials), experiment, panel)
        tables.append(every.table(mean))
        capped.append(every.capped_table())
        paths.append(every.wealth_paths())
    return pd.concat(tables, ignore_index=True), pd.concat(capped, ignore_index=True), paths


def _figures(
    experiment: Experiment, table: pd.DataFrame, paths: list[WealthPaths]
) -> Iterator[tuple[Figure, str, str]]:
    """Figure, caption and file name of what Figures 1 to 4 of the paper show."""
    for path in paths:
        n, prefix = path.size, f"n{path.size:03d}"
        yield plots.plot_trials_wealth(path), f"n = {n}: wealth (as Figure 1)", f"{prefix}_wealth"
        if len(experiment.omegas) > 2:
            caption = f"n = {n}: wealth relative to the nominal portfolio (as Figure 2)"
            yield plots.plot_trials_relative(path), caption, f"{prefix}_relative"
            sweep = plot_omega_sweep(table[table["n"] == n])
            yield sweep, f"n = {n}: the effect of ω (Tables 3 and 5)", f"{prefix}_omega"
    if len(paths) > 1:
        caption = "Wealth by number of assets (as Figure 3)"
        yield plots.plot_sizes_wealth(paths), caption, "sizes_wealth"
        caption = "Wealth relative to nominal by number of assets (as Figure 4)"
        yield plots.plot_sizes_relative(paths), caption, "sizes_relative"


def _charts(
    experiment: Experiment, table: pd.DataFrame, paths: list[WealthPaths]
) -> dict[str, list[str]]:
    """Charts by the name of the picture that they belong to."""
    found = {}
    for path in paths:
        prefix = f"n{path.size:03d}"
        names = [
            named(kind) if np.isnan(omega) else f"{named(kind)} ω = {omega:g}"
            for kind, omega in path.portfolios
        ]
        relative, mean = (
            pd.DataFrame(numbers, path.dates, names)
            for numbers in (100.0 * path.relative, path.mean)
        )
        views = {
            "relative to nominal": charts.View(relative, "mean relative wealth (%)"),
            "wealth": charts.View(mean, "mean wealth (1 at the start)"),
        }
        found[f"{prefix}_wealth"] = [charts.lines(views, f"{prefix}_wealth")]
        if len(experiment.omegas) > 2:
            robust = [name for name in names if name.startswith("robust")]
            view = {
                "relative to nominal": views["relative to nominal"]._replace(
                    values=relative[robust]
                )
            }
            found[f"{prefix}_relative"] = [
                charts.lines(view, f"{prefix}_relative", names.index(robust[0]))
            ]
            rows, name = table[table["n"] == path.size], f"{prefix}_omega"
            found[name] = charts.omega_sweep(rows, OMEGA_PANELS, name)
    return found


def _report(
    experiment: Experiment,
    panel: Panel,
    trials: int,
    mean: Mean,
    table: pd.DataFrame,
    capped: pd.DataFrame,
) -> Page:
    """The page, all but its figures."""
    report = Page(f"{experiment.name.capitalize()}: {trials:,} trials")
    report.text(
        f"Portfolios of {', '.join(map(str, experiment.sizes))} assets drawn from "
        f"{len(panel.labels)}; rebalanced every {in_words(experiment.rebalance)} from "
        f"{experiment.start}, estimated on the {in_words(experiment.estimation)} before. Means and "
        "standard deviations (sd) over trials, of turnover and concentration also over rebalances; "
        f"{mean} excess returns."
    )
    report.heading("Tables")
    report.table(table.set_index("n"), _TABLE, _ASSETS)
    if (paper := paper_table(experiment)) is not None:
        report.heading(
            "The paper's Tables " + ("3 to 5" if len(experiment.omegas) > 2 else "6 to 8")
        )
        report.table(paper.set_index("n"), _TABLE, _ASSETS)
        report.heading("Differences")
        report.text(
            "Turnover, CV and gain of the Sharpe ratio over nominal: in per cent of the paper's. "
            "Volatility in percentage points."
        )
        report.table(differences(table, paper).set_index("n"), _DIFFERENCES, _ASSETS)
    compared = [] if paper is None else list(paper["n"])
    if alone := [n for n in experiment.sizes if n not in compared]:
        report.text(
            f"The paper has no figures for portfolios of {', '.join(map(str, alone))} assets in "
            "this design: these rows are compared with none."
        )
    report.heading("Windows in which (12) has no solution")
    report.text("There ω was replaced by 0.99 ω_max.")
    report.table(capped.set_index("n"), _CAPPED, _ASSETS)
    report.heading("Figures")
    return report
