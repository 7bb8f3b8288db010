"""Figures of backtests; each function returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.plots import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PLAIN,
    PURPLE,
    SKY,
    VERMILION,
    plain_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from rrp_pyomo.backtest.result import BacktestResult

__all__ = [
    "omega_table",
    "plot_omega_sweep",
    "plot_relative_wealth",
    "plot_risk_contributions",
    "plot_wealth",
    "plot_weights",
]

COLOURS = (BLACK, ORANGE, BLUE, GREEN, PURPLE, SKY, VERMILION, GREY)
_STYLES = ("-", "--", "-.", (0, (8, 2)))

# So many assets can be told apart as stacked areas, and so many by name on an axis.
_MOST_STACKED, _MOST_NAMED = 8, 50

#: What depends on ω: columns of the paper's tables, and what they are.
OMEGA_PANELS = {
    "ann_excess_return_pct": "excess return (% a year)",
    "ann_volatility_pct": "volatility (% a year)",
    "sharpe_pct": "Sharpe ratio (%)",
    "turnover_pct": "turnover (% per rebalance)",
    "cv": "CV of risk contributions",
    "hrc": "highest risk contribution",
}


def plot_wealth(result: BacktestResult) -> Figure:
    """Wealth of each strategy, on a logarithmic axis.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, EqualWeight, RiskParity
    >>> from rrp_pyomo.backtest.plots import plot_wealth
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [EqualWeight(), RiskParity()], estimation="2Y").run()
    >>> plot_wealth(result).savefig("wealth.svg")
    """
    figure, (axes,) = new_figure(1)
    lines = _lines(axes, result.wealth)
    if (result.wealth > 0.0).any(axis=None):  # else ruined at once
        axes.set_yscale("log")
    axes.set_ylabel(f"wealth (1 at the beginning, {axes.get_yscale()} scale)")
    finish(axes, "Wealth", lines)
    return figure


def plot_relative_wealth(result: BacktestResult, reference: str | None = None) -> Figure:
    """Wealth relative to that of one strategy, by default the first: W / W_ref − 1 in per cent.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, EqualWeight, RiskParity
    >>> from rrp_pyomo.backtest.plots import plot_relative_wealth
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [EqualWeight(), RiskParity()], estimation="2Y").run()
    >>> plot_relative_wealth(result, "equal weight").savefig("relative.svg")
    """
    reference, relative = relative_to(result, reference)
    figure, (axes,) = new_figure(1)
    lines = _lines(axes, relative, first=1)
    axes.axhline(0.0, color=BLACK, linewidth=0.8)
    axes.set_ylabel(f"wealth relative to {reference} (%)", **PLAIN)
    finish(axes, f"Wealth relative to {reference}", lines)
    return figure


def relative_to(result: BacktestResult, reference: str | None) -> tuple[str, pd.DataFrame]:
    """The reference, by default the first strategy, and W / W_ref − 1 of the others in per cent."""
    (reference,) = _chosen(result, result.strategies[:1] if reference is None else [reference])
    wealth = result.wealth
    relative = 100.0 * (wealth.div(wealth[reference], axis=0) - 1.0)
    return reference, relative.drop(columns=reference)


def plot_weights(result: BacktestResult, strategies: Sequence[str] | None = None) -> Figure:
    """Target weights through time, one panel for each strategy.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, EqualWeight, RiskParity
    >>> from rrp_pyomo.backtest.plots import plot_weights
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [EqualWeight(), RiskParity()], estimation="2Y").run()
    >>> plot_weights(result).savefig("weights.svg")
    """
    return _shares(result.weights, _chosen(result, strategies), "weight (%)", "Target weights")


def plot_risk_contributions(
    result: BacktestResult, strategies: Sequence[str] | None = None
) -> Figure:
    """Relative risk contributions through time, one panel for each strategy.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, EqualWeight, RiskParity
    >>> from rrp_pyomo.backtest.plots import plot_risk_contributions
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [EqualWeight(), RiskParity()], estimation="2Y").run()
    >>> plot_risk_contributions(result, ["equal weight"]).savefig("contributions.svg")
    """
    return _shares(
        result.risk_contributions,
        _chosen(result, strategies),
        "share of risk (%)",
        "Relative risk contributions under the nominal covariance",
    )


def plot_omega_sweep(table: pd.DataFrame) -> Figure:
    """How return, volatility, Sharpe ratio, turnover and CV change with ω.

    Parameters
    ----------
    table : DataFrame
        With the columns of Tables 3 to 5 for one n; see :func:`omega_table` for a backtest.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, Robust
    >>> from rrp_pyomo.backtest.plots import omega_table, plot_omega_sweep
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> strategies = [Robust(1.0), Robust(2.0)]
    >>> result = Backtest(R, F, strategies, estimation="2Y").run()
    >>> omegas = {strategy.name: strategy.omega for strategy in strategies}
    >>> plot_omega_sweep(omega_table(result, omegas)).savefig("sweep.svg")
    """
    robust = table[table["portfolio"] == "robust"].sort_values("omega")
    figure, grid = new_figure(2, 3, size=(10.0, 5.6))
    for axes, (column, label) in zip(grid, OMEGA_PANELS.items(), strict=True):
        axes.plot(robust["omega"], robust[column], "o-", color=PURPLE, label="robust")
        for kind, colour, style in (("nominal", BLACK, "--"), ("worst_case", ORANGE, ":")):
            level = table.loc[table["portfolio"] == kind, column]
            if len(level):
                axes.axhline(level.iloc[0], color=colour, linestyle=style, label=named(kind))
        axes.set_xlabel("ω")
        axes.set_ylabel(label)
        tidy(axes)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("Robustness ω")
    return figure


def omega_table(result: BacktestResult, omegas: Mapping[str, float]) -> pd.DataFrame:
    """Statistics of a backtest for :func:`plot_omega_sweep`; ``omegas`` by name of strategy.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, Robust
    >>> from rrp_pyomo.backtest.plots import omega_table
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> strategies = [Robust(1.0), Robust(2.0)]
    >>> result = Backtest(R, F, strategies, estimation="2Y").run()
    >>> table = omega_table(result, {strategy.name: strategy.omega for strategy in strategies})
    >>> table[["omega", "ann_volatility_pct"]].round(1).to_numpy().tolist()
    [[1.0, 8.1], [2.0, 8.0]]
    """
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


# --- parts ---------------------------------------------------------------------------------------


def new_figure(
    rows: int, columns: int = 1, size: tuple[float, float] = (9.0, 4.8), sharex: bool = False
) -> tuple[Figure, Sequence[Axes]]:
    """An empty figure and its panels, row by row."""
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=sharex)
    return figure, list(grid.ravel())


def line_style(k: int) -> dict[str, Any]:
    """Colour and dashes of the k-th line."""
    style = _STYLES[(k + k // len(COLOURS)) % len(_STYLES)]
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": style, "linewidth": 1.4}


def _chosen(result: BacktestResult, strategies: Sequence[str] | None) -> list[str]:
    """The strategies to draw, all of them by default; one that was not run is an error."""
    if strategies is None:
        return result.strategies
    if isinstance(strategies, str) or not isinstance(strategies, Sequence) or not strategies:
        raise InputError(f"strategies is {strategies!r}; expected a list, such as ['nominal']")
    for name in strategies:
        if not isinstance(name, str) or name not in result.strategies:
            raise UnknownLabelError("strategy", name, result.strategies)
    return list(strategies)


def _lines(axes: Axes, table: pd.DataFrame, first: int = 0) -> list[Line2D]:
    return [
        axes.plot(table.index, table[name], label=str(name), **line_style(k))[0]
        for k, name in enumerate(table.columns, first)
    ]


def _shares(table: pd.DataFrame, strategies: Sequence[str], label: str, title: str) -> Figure:
    """Shares of the assets through time, a panel for each strategy.

    A few assets are stacked; for many, colour is the share and each asset has a line of its own.
    """
    columns = 2 if len(strategies) > 1 else 1
    rows = -(-len(strategies) // columns)
    stacked = table.shape[1] <= _MOST_STACKED
    height = 2.5 if stacked else max(2.5, 0.7 + 0.11 * min(table.shape[1], _MOST_NAMED))
    figure, grid = new_figure(rows, columns, size=(10.0, 1.4 + height * rows))
    # Colours end at five times the equal share: a concentrated strategy must not fade the others.
    largest = 500.0 / table.shape[1]
    for axes in grid[len(strategies) :]:
        axes.set_axis_off()
    for axes, name in zip(grid, strategies, strict=False):
        shares = pd.DataFrame(100.0 * table.xs(name, level="strategy"))
        axes.set_title(name, fontsize=10, **PLAIN)
        axes.set_xlabel("date")
        if stacked:
            _stack(axes, shares, label)
        else:
            mesh = _mesh(axes, shares, largest)
    if stacked:
        areas, assets = grid[0].collections, table.columns
        plain_legend(figure, areas, assets, loc="outside lower center", ncols=4, frameon=False)
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
    tidy(axes)


def _mesh(axes: Axes, shares: pd.DataFrame, largest: float) -> Any:
    """One line for each asset; the square root of the share is the colour, so that small shares
    are told apart."""
    mesh = axes.pcolormesh(
        shares.index, np.arange(shares.shape[1]), shares.to_numpy().T.clip(min=0.0),
        norm=PowerNorm(0.5, 0.0, largest), cmap="cividis", shading="nearest", rasterized=True,
    )  # fmt: skip
    axes.invert_yaxis()
    if shares.shape[1] <= _MOST_NAMED:
        axes.set_yticks(range(shares.shape[1]), list(map(str, shares.columns)), fontsize=5, **PLAIN)
    else:
        axes.set_ylabel("asset number")
    return mesh


def tidy(axes: Axes) -> None:
    """A light grid, and no frame around it."""
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(6))


def finish(axes: Axes, title: str, lines: Sequence[Line2D] | None = None) -> None:
    """Title, grid, and a legend beside the axes, where it hides nothing, by default of all."""
    axes.set_title(title, fontsize=11, **PLAIN)
    axes.set_xlabel("date")
    tidy(axes)
    handles = axes.get_legend_handles_labels()[0] if lines is None else lines
    labels = [handle.get_label() for handle in handles]
    plain_legend(axes, handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def named(kind: str) -> str:
    """The name of a kind of portfolio as a legend shows it."""
    return kind.replace("_", " ")
