"""Figures 1 to 4 of the paper; each function returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from rrp_pyomo.backtest.plots import finish, line_style, named, new_figure, tidy
from rrp_pyomo.plots import BLACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rrp_pyomo.paper.experiments import WealthPaths


def plot_trials_wealth(paths: WealthPaths, omega: float = 2.0) -> Figure:
    """Figure 1: mean wealth of nominal, worst case and one robust portfolio with the standard
    deviation over trials; below, their mean wealth relative to the nominal portfolio."""
    shown = [s for s, (_, w) in enumerate(paths.portfolios) if np.isnan(w) or w == omega]
    styles = {s: line_style(k) for k, s in enumerate(shown)}
    figure, (top, bottom) = new_figure(2, size=(9.0, 7.2), sharex=True)
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
    finish(top, f"Wealth of {_count(paths)}: mean, bars ± standard deviation")
    finish(bottom, "Mean wealth relative to nominal")
    return figure


def plot_trials_relative(paths: WealthPaths) -> Figure:
    """Figure 2: mean wealth of the robust portfolios relative to the nominal one, for every ω."""
    robust = [s for s, (kind, _) in enumerate(paths.portfolios) if kind == "robust"]
    figure, (axes,) = new_figure(1)
    _relative(axes, paths, {s: line_style(k) for k, s in enumerate(robust, 1)})
    finish(axes, f"Mean wealth relative to nominal, {_count(paths)}")
    return figure


def plot_sizes_wealth(sizes: Iterable[WealthPaths]) -> Figure:
    """Figure 3: mean wealth for portfolios of different sizes."""
    figure, pairs = _by_size(sizes)
    for axes, paths in pairs:
        for s, portfolio in enumerate(paths.portfolios):
            axes.plot(paths.dates, paths.mean[:, s], label=_portfolio(*portfolio), **line_style(s))
        axes.set_ylabel("wealth (1 at the beginning)")
    return _with_common_legend(figure, "Mean wealth by number of assets n")


def plot_sizes_relative(sizes: Iterable[WealthPaths]) -> Figure:
    """Figure 4: mean wealth relative to nominal for portfolios of different sizes."""
    figure, pairs = _by_size(sizes)
    for axes, paths in pairs:
        _relative(axes, paths, {s: line_style(s) for s in range(1, len(paths.portfolios))})
    return _with_common_legend(figure, "Mean wealth relative to nominal by number of assets n")


# --- parts ---------------------------------------------------------------------------------------


def _relative(axes: Axes, paths: WealthPaths, styles: Mapping[int, dict[str, Any]]) -> None:
    """(W / W_nominal − 1) in per cent, averaged over trials; the nominal portfolio is the axis."""
    axes.axhline(0.0, color=BLACK, linewidth=0.8)
    for s, style in styles.items():
        if s:
            relative = 100.0 * paths.relative[:, s]
            axes.plot(paths.dates, relative, label=_portfolio(*paths.portfolios[s]), **style)
    axes.set_ylabel("wealth relative\nto nominal (%)")


def _by_size(sizes: Iterable[WealthPaths]) -> tuple[Figure, list[tuple[Axes, WealthPaths]]]:
    every = list(sizes)
    rows = -(-len(every) // 2)
    figure, grid = new_figure(rows, min(2, len(every)), size=(10.0, 0.8 + 2.9 * rows))
    for unused in grid[len(every) :]:
        unused.set_axis_off()
    for axes, paths in zip(grid, every, strict=False):
        axes.set_title(f"n = {paths.size}", fontsize=10)
        axes.set_xlabel("date")
        tidy(axes)
    return figure, list(zip(grid, every, strict=False))


def _with_common_legend(figure: Figure, title: str) -> Figure:
    found: dict[str, Any] = {}
    for axes in figure.axes:
        found |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    rows = -(-len(found) // 5)  # as wide as the figure, no wider
    columns = -(-len(found) // rows)
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=columns, frameon=False
    )
    figure.suptitle(title)
    return figure


def _portfolio(kind: str, omega: float) -> str:
    return named(kind) if np.isnan(omega) else f"{named(kind)} ω = {omega:g}"


def _count(paths: WealthPaths) -> str:
    return f"{paths.trials:,} trials of {paths.size} assets"
