"""Figures of backtests and experiments; each function returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rrp_pyomo.backtest.result import BacktestResult
    from rrp_pyomo.paper.experiments import WealthPaths

# Okabe & Ito's palette, told apart by colour-blind readers; the light yellow is left out.
COLOURS = ("#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
_STYLES = ("-", "--", "-.", (0, (8, 2)))

# So many assets can be told apart as stacked areas, and so many by name on an axis.
_MOST_STACKED, _MOST_NAMED = 8, 50


def plot_wealth(result: BacktestResult) -> Figure:
    """Wealth of each strategy, on a logarithmic axis."""
    figure, (axes,) = _figure(1)
    _lines(axes, result.wealth)
    axes.set_yscale("log")
    axes.set_ylabel("wealth (1 at the beginning, log scale)")
    _finish(axes, "Wealth")
    return figure


def plot_relative_wealth(result: BacktestResult, reference: str | None = None) -> Figure:
    """Wealth relative to that of one strategy, by default the first: W / W_ref − 1 in per cent."""
    reference = reference or result.strategies[0]
    figure, (axes,) = _figure(1)
    wealth = result.wealth
    relative = 100.0 * (wealth.div(wealth[reference], axis=0) - 1.0)
    _lines(axes, relative.drop(columns=reference), first=1)
    axes.axhline(0.0, color=COLOURS[0], linewidth=0.8)
    axes.set_ylabel(f"wealth relative to {reference} (%)")
    _finish(axes, f"Wealth relative to {reference}")
    return figure


def plot_weights(result: BacktestResult, strategies: Sequence[str] | None = None) -> Figure:
    """Target weights through time, one panel for each strategy."""
    return _shares(result.weights, strategies or result.strategies, "weight (%)", "Target weights")


def plot_risk_contributions(
    result: BacktestResult, strategies: Sequence[str] | None = None
) -> Figure:
    """Relative risk contributions through time, one panel for each strategy."""
    return _shares(
        result.risk_contributions,
        strategies or result.strategies,
        "share of risk (%)",
        "Relative risk contributions under the nominal covariance",
    )


def plot_omega_sweep(table: pd.DataFrame) -> Figure:
    """How return, volatility, Sharpe ratio, turnover and CV change with ω.

    Parameters
    ----------
    table : DataFrame
        With the columns of Tables 3 to 5 for one n; see :func:`omega_table` for a backtest.
    """
    panels = {
        "ann_excess_return_pct": "excess return (% a year)",
        "ann_volatility_pct": "volatility (% a year)",
        "sharpe_pct": "Sharpe ratio (%)",
        "turnover_pct": "turnover (% per rebalance)",
        "cv": "CV of risk contributions",
        "hrc": "highest risk contribution",
    }
    robust = table[table["portfolio"] == "robust"].sort_values("omega")
    figure, grid = _figure(2, 3, size=(10.0, 5.6))
    for axes, (column, label) in zip(grid, panels.items(), strict=True):
        axes.plot(robust["omega"], robust[column], "o-", color=COLOURS[4], label="robust")
        for kind, colour, style in (("nominal", COLOURS[0], "--"), ("worst_case", COLOURS[1], ":")):
            level = table.loc[table["portfolio"] == kind, column]
            if len(level):
                axes.axhline(level.iloc[0], color=colour, linestyle=style, label=_named(kind))
        axes.set_xlabel("ω")
        axes.set_ylabel(label)
        _tidy(axes)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("Robustness ω")
    return figure


def omega_table(result: BacktestResult, omegas: Mapping[str, float]) -> pd.DataFrame:
    """Statistics of a backtest for :func:`plot_omega_sweep`; ``omegas`` by name of strategy."""
    table = result.statistics()
    kinds = {name: name.replace(" ", "_") for name in table.index} | dict.fromkeys(omegas, "robust")
    return pd.DataFrame(
        {
            "portfolio": pd.Series(kinds),
            "omega": pd.Series(omegas, dtype=float),
            "ann_excess_return_pct": 100.0 * table["excess_return"],
            "ann_volatility_pct": 100.0 * table["volatility"],
            "sharpe_pct": 100.0 * table["sharpe"],
            "turnover_pct": 100.0 * table["turnover"],
            "cv": table["cv"],
            "hrc": table["hrc"],
        }
    )


# --- the paper's figures -------------------------------------------------------------------------


def plot_trials_wealth(paths: WealthPaths, omega: float = 2.0) -> Figure:
    """Figure 1: mean wealth of nominal, worst case and one robust portfolio with the standard
    deviation over trials; below, their mean wealth relative to the nominal portfolio."""
    shown = [s for s, (_, w) in enumerate(paths.portfolios) if np.isnan(w) or w == omega]
    styles = {s: _style(k) for k, s in enumerate(shown)}
    figure, (top, bottom) = _figure(2, size=(9.0, 7.2), sharex=True)
    last = len(paths.dates) - 1
    bars = np.linspace(0, last, 18).astype(int)
    for k, s in enumerate(shown):
        style = styles[s]
        top.plot(paths.dates, paths.mean[:, s], label=_portfolio(*paths.portfolios[s]), **style)
        # Bars of the three portfolios side by side.
        at = np.clip(bars + (k - 1) * last // 120, 0, last)
        top.errorbar(
            paths.dates[at],
            paths.mean[at, s],
            paths.spread[at, s],
            fmt="none",
            ecolor=style["color"],
            elinewidth=1.0,
            capsize=2.0,
        )
    _relative(bottom, paths, styles)
    top.set_ylabel("wealth (1 at the beginning)")
    _finish(top, f"Wealth of {_count(paths)}: mean, bars ± standard deviation")
    _finish(bottom, "Mean wealth relative to nominal")
    return figure


def plot_trials_relative(paths: WealthPaths) -> Figure:
    """Figure 2: mean wealth of the robust portfolios relative to the nominal one, for every ω."""
    robust = [s for s, (kind, _) in enumerate(paths.portfolios) if kind == "robust"]
    figure, (axes,) = _figure(1)
    _relative(axes, paths, {s: _style(k) for k, s in enumerate(robust, 1)})
    _finish(axes, f"Mean wealth relative to nominal, {_count(paths)}")
    return figure


def plot_sizes_wealth(sizes: Iterable[WealthPaths]) -> Figure:
    """Figure 3: mean wealth for portfolios of different sizes."""
    figure, pairs = _by_size(sizes)
    for axes, paths in pairs:
        for s, portfolio in enumerate(paths.portfolios):
            axes.plot(paths.dates, paths.mean[:, s], label=_portfolio(*portfolio), **_style(s))
        axes.set_ylabel("wealth (1 at the beginning)")
    return _with_common_legend(figure, "Mean wealth by number of assets n")


def plot_sizes_relative(sizes: Iterable[WealthPaths]) -> Figure:
    """Figure 4: mean wealth relative to nominal for portfolios of different sizes."""
    figure, pairs = _by_size(sizes)
    for axes, paths in pairs:
        _relative(axes, paths, {s: _style(s) for s in range(1, len(paths.portfolios))})
    return _with_common_legend(figure, "Mean wealth relative to nominal by number of assets n")


# --- parts ---------------------------------------------------------------------------------------


def _figure(
    rows: int, columns: int = 1, size: tuple[float, float] = (9.0, 4.8), sharex: bool = False
) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=sharex)
    return figure, list(grid.ravel())


def _style(k: int) -> dict[str, Any]:
    style = _STYLES[(k + k // len(COLOURS)) % len(_STYLES)]
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": style, "linewidth": 1.4}


def _lines(axes: Axes, table: pd.DataFrame, first: int = 0) -> None:
    for k, name in enumerate(table.columns, first):
        axes.plot(table.index, table[name], label=str(name), **_style(k))


def _relative(axes: Axes, paths: WealthPaths, styles: Mapping[int, dict[str, Any]]) -> None:
    """(W / W_nominal − 1) in per cent, averaged over trials; the nominal portfolio is the axis."""
    axes.axhline(0.0, color=COLOURS[0], linewidth=0.8)
    for s, style in styles.items():
        if s:
            relative = 100.0 * paths.relative[:, s]
            axes.plot(paths.dates, relative, label=_portfolio(*paths.portfolios[s]), **style)
    axes.set_ylabel("wealth relative\nto nominal (%)")


def _by_size(sizes: Iterable[WealthPaths]) -> tuple[Figure, list[tuple[Axes, WealthPaths]]]:
    every = list(sizes)
    rows = -(-len(every) // 2)
    figure, grid = _figure(rows, min(2, len(every)), size=(10.0, 0.8 + 2.9 * rows))
    for unused in grid[len(every) :]:
        unused.set_axis_off()
    for axes, paths in zip(grid, every, strict=False):
        axes.set_title(f"n = {paths.size}", fontsize=10)
        axes.set_xlabel("date")
        _tidy(axes)
    return figure, list(zip(grid, every, strict=False))


def _with_common_legend(figure: Figure, title: str) -> Figure:
    found: dict[str, Any] = {}
    for axes in figure.axes:
        found |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=len(found), frameon=False
    )
    figure.suptitle(title)
    return figure


def _shares(table: pd.DataFrame, strategies: Sequence[str], label: str, title: str) -> Figure:
    """Shares of the assets through time, a panel for each strategy.

    A few assets are stacked; for many, colour is the share and each asset has a line of its own.
    """
    columns = 2 if len(strategies) > 1 else 1
    rows = -(-len(strategies) // columns)
    stacked = table.shape[1] <= _MOST_STACKED
    height = 2.5 if stacked else max(2.5, 0.7 + 0.11 * min(table.shape[1], _MOST_NAMED))
    figure, grid = _figure(rows, columns, size=(10.0, 1.4 + height * rows))
    # Colours end at five times the equal share: a concentrated strategy must not fade the others.
    largest = 500.0 / table.shape[1]
    for axes in grid[len(strategies) :]:
        axes.set_axis_off()
    for axes, name in zip(grid, strategies, strict=False):
        shares = pd.DataFrame(100.0 * table.xs(name, level="strategy"))
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("date")
        if stacked:
            _stack(axes, shares, label)
        else:
            mesh = _mesh(axes, shares, largest)
    if stacked:
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    else:
        figure.colorbar(
            mesh, ax=list(grid), label=label, fraction=0.03, pad=0.01, aspect=40, extend="max"
        )
    figure.suptitle(title)
    return figure


def _stack(axes: Axes, shares: pd.DataFrame, label: str) -> None:
    axes.stackplot(
        shares.index, shares.to_numpy().T, labels=list(map(str, shares.columns)),
        colors=COLOURS[1:] + COLOURS[:1], edgecolor="white", linewidth=0.2, step="post",
    )  # fmt: skip
    axes.set_ylabel(label)
    axes.margins(0.0)
    _tidy(axes)


def _mesh(axes: Axes, shares: pd.DataFrame, largest: float) -> Any:
    """One line for each asset; the square root of the share is the colour, so that small shares
    are told apart."""
    mesh = axes.pcolormesh(
        shares.index, np.arange(shares.shape[1]), shares.to_numpy().T.clip(min=0.0),
        norm=PowerNorm(0.5, 0.0, largest), cmap="cividis", shading="nearest", rasterized=True,
    )  # fmt: skip
    axes.invert_yaxis()
    if shares.shape[1] <= _MOST_NAMED:
        axes.set_yticks(range(shares.shape[1]), list(map(str, shares.columns)), fontsize=5)
    else:
        axes.set_ylabel("asset number")
    return mesh


def _tidy(axes: Axes) -> None:
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(6))


def _finish(axes: Axes, title: str) -> None:
    """Title, grid, and a legend beside the axes, where it hides nothing."""
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("date")
    _tidy(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _named(kind: str) -> str:
    return kind.replace("_", " ")


def _portfolio(kind: str, omega: float) -> str:
    return _named(kind) if np.isnan(omega) else f"{_named(kind)} ω = {omega:g}"


def _count(paths: WealthPaths) -> str:
    return f"{paths.trials:,} trials of {paths.size} assets"
