"""Pictures of portfolios: weights and relative risk contributions side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

    from rrp_pyomo.portfolio import Portfolio

__all__ = ["plot_comparison", "plot_portfolio"]

# Okabe & Ito's colours, which colour-blind readers can tell apart, without their light yellow.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#999999"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = "osD^vP*"

# More assets than this do not get their names written: they are ranked by weight instead.
MOST_NAMED = 60


# Labels are texts: dollars and backslashes in them are no mathematics.
PLAIN: dict[str, Any] = {"parse_math": False}


def plain_legend(
    owner: Axes | Figure, handles: Iterable[Any], labels: Iterable[object], **options: Any
) -> Legend:
    """A legend whose labels are texts, those that begin with an underscore included."""
    handles = list(handles)
    legend = owner.legend(handles, [" "] * len(handles), **options)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(str(label))
    return legend


def plot_portfolio(portfolio: Portfolio) -> Figure:
    """Weights and relative risk contributions of one portfolio as bars, in per cent.

    A black line shows the risk budget of each asset. Up to 60 assets are named, in the order of
    the portfolio; more of them are ranked by weight.

    Parameters
    ----------
    portfolio : Portfolio

    Returns
    -------
    Figure
        Save it with ``figure.savefig(path)``.

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance, RiskParitySOCP
    >>> from rrp_pyomo.plots import plot_portfolio
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> figure = plot_portfolio(RiskParitySOCP(covariance).solve())
    >>> figure.savefig("portfolio.svg")
    """
    n = portfolio.weights.size
    named = n <= MOST_NAMED
    order = np.arange(n) if named else np.argsort(-portfolio.weights.to_numpy(), kind="stable")
    figure, axes = _panels(portfolio.weights.index, "ranked by weight")
    rank, half = np.arange(1, n + 1), 0.4 if named else 0.5
    for ax, series, colour in zip(axes, _percentages(portfolio), PALETTE, strict=False):
        ax.barh(rank, series.to_numpy()[order], height=2 * half, color=colour)
        _from_zero(ax)
    budgets = 100.0 * portfolio.budgets[order]
    axes[1].vlines(budgets, rank - half, rank + half, color="black", lw=1.5, label="budget")
    axes[1].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False)
    figure.suptitle(_title(portfolio), **PLAIN)
    return figure


def plot_comparison(portfolios: Mapping[str, Portfolio]) -> Figure:
    """Weights and relative risk contributions of several portfolios of the same assets.

    A marker for each portfolio and asset; where there are more than 60 assets, a line for each
    portfolio, whose values are then ranked by size.

    Parameters
    ----------
    portfolios : mapping of str to Portfolio
        At most 7, by the name that the legend shows.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        No portfolio, more than 7, or portfolios of different assets.

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance, MeanVariance, RiskParitySOCP
    >>> from rrp_pyomo.plots import plot_comparison
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> parity, least = RiskParitySOCP(covariance).solve(), MeanVariance(None, covariance).solve()
    >>> figure = plot_comparison({"risk parity": parity, "least variance": least})
    >>> figure.savefig("comparison.svg")
    """
    _check(portfolios)
    assets = next(iter(portfolios.values())).weights.index
    rank = np.arange(1, len(assets) + 1)
    figure, axes = _panels(assets, "each portfolio ranked by itself")
    # Equal values lie side by side, not on top of each other.
    offsets = 0.12 * (np.arange(len(portfolios)) - (len(portfolios) - 1) / 2)
    looks = zip(portfolios.items(), offsets, PALETTE, MARKERS, strict=False)
    for (name, portfolio), offset, colour, marker in looks:
        for ax, series in zip(axes, _percentages(portfolio), strict=True):
            values = series.reindex(assets).to_numpy()
            if len(assets) <= MOST_NAMED:
                ax.plot(values, rank + offset, marker, color=colour, ms=5.5, mew=0, label=str(name))
            else:
                ax.plot(np.sort(values)[::-1], rank, color=colour, lw=1.5, label=str(name))
    for ax in axes:
        ax.grid(axis="y", color="0.9", lw=0.6)
    plain_legend(
        figure,
        axes[0].lines,
        portfolios,
        loc="outside upper center",
        ncols=len(portfolios) if len(portfolios) <= 5 else 4,
        frameon=False,
    )
    return figure


def spread(wanted: FloatArray, gap: float, low: float, high: float) -> FloatArray:
    """Heights at least ``gap`` apart, between limits where they fit, near the sorted wanted ones.

    Neighbours that are too close become a group around the mean of what they want.
    """
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    groups: list[tuple[float, list[float]]] = []
    for height in wanted:
        members = [float(height)]
        start = _start(members, gap, low, high)
        while groups and groups[-1][0] + len(groups[-1][1]) * gap > start:
            members = groups.pop()[1] + members
            start = _start(members, gap, low, high)
        groups.append((start, members))
    return np.array([start + k * gap for start, members in groups for k in range(len(members))])


def _start(members: list[float], gap: float, low: float, high: float) -> float:
    """Where the lowest of a group stands."""
    height = gap * (len(members) - 1)
    middle = float(np.mean(members)) - height / 2
    return max(low, min(middle, high - height))


def _check(portfolios: Mapping[str, Portfolio]) -> None:
    if not 1 <= len(portfolios) <= len(PALETTE):
        raise InputError(
            f"{len(portfolios)} portfolios to compare; expected 1 to {len(PALETTE)}, more could "
            "not be told apart"
        )
    first, *others = portfolios
    assets = set(portfolios[first].weights.index)
    for name in others:
        if set(portfolios[name].weights.index) != assets:
            raise InputError(
                f"portfolio {name!r} has other assets than {first!r}; compare portfolios of the "
                "same assets"
            )


def _percentages(portfolio: Portfolio) -> tuple[pd.Series, pd.Series]:
    return 100.0 * portfolio.weights, 100.0 * portfolio.relative_risk_contributions


def _panels(assets: pd.Index, ranked: str) -> tuple[Figure, tuple[Axes, Axes]]:
    """Two empty panels over the assets, the first at the top."""
    n = len(assets)
    height = max(0.17 * n, 1.6) if n <= MOST_NAMED else 5.5
    figure = Figure(figsize=(9.0, height + 1.4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.05})
    left.set_xlabel("weight (%)")
    right.set_xlabel("relative risk contribution (%)")
    left.set_ylim(n + 0.6, 0.4)
    if n <= MOST_NAMED:
        left.set_yticks(np.arange(1, n + 1), [str(asset) for asset in assets], fontsize=8, **PLAIN)
    else:
        left.set_ylabel(f"{n} assets, {ranked}")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        ax.grid(axis="x", color="0.85", lw=0.6)
        ax.set_axisbelow(True)
    return figure, (left, right)


def _from_zero(ax: Axes) -> None:
    """Lengths can only be compared from zero; short positions go to its left."""
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.0), max(high, 0.0))
    if low < 0:
        ax.axvline(0.0, color="black", lw=0.8)


def _title(portfolio: Portfolio) -> str:
    name = portfolio.model or "Portfolio"
    if portfolio.omega is not None:
        name += f", ω = {portfolio.omega:g}"
    return (
        f"{name}: volatility {100 * portfolio.volatility:.2f} % per period, "
        f"CV {portfolio.cv:.2g}, HRC {100 * portfolio.highest_risk_contribution:.2f} %"
    )
