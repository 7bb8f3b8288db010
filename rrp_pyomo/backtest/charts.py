"""Charts with values under the pointer and lines that can be hidden, as parts of an HTML page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.plots import GREEN, VERMILION, spread

if TYPE_CHECKING:
    from rrp_pyomo.backtest.result import BacktestResult

# Those of `rrp_pyomo.plots`, the lighter and darker ones so far changed that all can be read on
# white and on black; dashes tell lines apart that have one colour.
_COLOURS = ("#2b86c5", VERMILION, GREEN, "#c2619a", "#c08000", "#8a8a8a")
_DASHES = ("solid", "dash", "dot")
# Pixels: of a chart, its margins, a line of labels, a letter, a line of the legend.
_HEIGHT, _TOP, _BOTTOM, _LINE, _LETTER, _LEGEND = 430, 50, 60, 16, 7, 20
# A menu of every strategy as the reference is written for no more numbers than this.
_MOST_NUMBERS = 60_000
_MOST_NAMED = 60
# Steps that a chart keeps: a page of daily data is not larger for what no screen shows.
_MOST_STEPS = 1500


_AXIS = {"gridcolor": "#dddddd", "zerolinecolor": "#999999"}


class View(NamedTuple):
    """What a chart of lines can show: the lines' values, the axis' title, and its scale."""

    values: pd.DataFrame
    axis: str
    log: bool = False


def relative_views(wealth: pd.DataFrame, reference: str) -> dict[str, View]:
    """Wealth relative to the reference, and to any other strategy."""
    strategies = [reference, *(name for name in wealth if name != reference)]
    if wealth.size * len(strategies) > _MOST_NUMBERS:
        strategies = strategies[:1]
    return {
        f"relative to {name}": View(
            100.0 * (wealth.div(wealth[name], axis=0) - 1.0), "relative wealth (%)"
        )
        for name in strategies
    }


def wealth_view(wealth: pd.DataFrame) -> dict[str, View]:
    """Wealth as it is, on a logarithmic scale where nobody lost everything."""
    is_log = bool((wealth > 0.0).all(axis=None))
    scale = ", log scale" if is_log else ""
    return {"wealth": View(wealth, f"wealth (1 at the start{scale})", is_log)}


def lines(views: Mapping[str, View], key: str, colour: int = 0) -> str:
    """A chart of lines over time, each with its name at its end, and a menu of the views.

    Parameters
    ----------
    views : mapping from names to View
        The first is shown; all have the same lines.
    key : str
        A name for the chart that no other one on the page has.
    colour : int
        Of the first line; the others have those after it.
    """
    views = {name: view._replace(values=_thinned(view.values)) for name, view in views.items()}
    shown = [_shown(view) for view in views.values()]
    first = next(iter(views.values())).values
    names = [html.escape(str(name)) for name in first]
    dates = [f"{date:%Y-%m-%d}" for date in first.index]
    traces = [
        {
            "type": "scatter", "mode": "lines", "name": name, "legendgroup": name, "x": dates,
            "y": y, "line": _line(colour + k), "hovertemplate": "%{y:.4~g}",
        }
        for k, (name, y) in enumerate(zip(names, shown[0]["y"], strict=False))
    ]  # fmt: skip
    # Names are traces, too, so that they go when their line does.
    traces += [
        {
            "type": "scatter", "mode": "text", "legendgroup": name, "showlegend": False,
            "x": dates[-1:], "y": y, "text": [f"  {name}"], "textposition": "middle right",
            "textfont": {"color": _line(colour + k)["color"]}, "cliponaxis": False,
            "hoverinfo": "skip",
        }
        for k, (name, y) in enumerate(zip(names, shown[0]["y"][len(names) :], strict=True))
    ]  # fmt: skip
    menu = {
        "buttons": [
            {"label": html.escape(name), "method": "update",
             "args": [{"y": view["y"]}, {f"yaxis.{k}": v for k, v in view["yaxis"].items()}]}
            for name, view in zip(views, shown, strict=True)
        ],
        "x": 0.0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 8},
    }  # fmt: skip
    right = min(170, 20 + _LETTER * max(map(len, names)))
    layout = {
        "yaxis": shown[0]["yaxis"], "hovermode": "x unified",
        "xaxis": {"type": "date", "hoverformat": "%Y-%m-%d", "range": [dates[0], dates[-1]]},
        "margin": {"l": 60, "r": right, "t": _TOP, "b": _BOTTOM},
        # On narrow screens each name of the legend takes a line.
        "height": _HEIGHT + _LEGEND * len(names),
        "legend": {"orientation": "h", "y": -0.12, "yanchor": "top", "tracegroupgap": 0},
        "updatemenus": [menu] if len(views) > 1 else [],
    }  # fmt: skip
    return _chart(traces, layout, key)


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """Every k-th row, and the last one."""
    step = -(-len(table) // _MOST_STEPS)
    return table.iloc[sorted({*range(0, len(table), step), len(table) - 1})] if step > 1 else table


def _shown(view: View) -> dict[str, Any]:
    """The ordinates of lines and of their names, and the axis."""
    values = view.values.to_numpy()
    scaled = np.log10(values) if view.log else values
    low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
    room = 0.04 * (high - low) or 0.1
    low, high = low - room, high + room
    places = low + (high - low) * _label_heights((scaled[-1] - low) / (high - low))
    y = [_rounded(column) for column in values.T]
    y += [_rounded([10.0**place if view.log else place]) for place in places]
    axis = {
        "title": {"text": view.axis}, "type": "log" if view.log else "linear",
        "range": [low, high],
    }  # fmt: skip
    return {"y": y, "yaxis": axis}


def _label_heights(wanted: FloatArray) -> FloatArray:
    order = np.argsort(wanted, kind="stable")
    heights = np.empty_like(wanted)
    # Within the axis, rounding included: what is outside is not drawn.
    heights[order] = spread(wanted[order], _LINE / (_HEIGHT - _TOP - _BOTTOM), 0.01, 0.99)
    return heights


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def _line(k: int) -> dict[str, Any]:
    dash = _DASHES[k // len(_COLOURS) % len(_DASHES)]
    return {"color": _COLOURS[k % len(_COLOURS)], "width": 2, "dash": dash}


def shares(table: pd.DataFrame, strategies: Sequence[str], key: str) -> str:
    """Shares of the assets through time as colours, in per cent, with a menu of the strategies.

    Colours end at five times the equal share, as in the pictures.
    """
    n = table.shape[1]
    assets = [html.escape(str(asset)) for asset in table]
    traces = []
    for k, name in enumerate(strategies):
        part = 100.0 * table.xs(name, level="strategy")
        traces.append(
            {
                "type": "heatmap", "name": html.escape(name), "visible": k == 0,
                "x": [f"{date:%Y-%m-%d}" for date in part.index], "y": assets,
                "z": [_rounded(row) for row in part.to_numpy().T], "zmin": 0.0, "zmax": 500.0 / n,
                "colorscale": "Cividis", "colorbar": {"title": {"text": "%"}, "thickness": 12},
                "hovertemplate": "%{y}, %{x}: %{z:.2f} %<extra></extra>",
            }
        )  # fmt: skip
    buttons = [
        {"label": trace["name"], "method": "update",
         "args": [{"visible": [j == k for j in range(len(traces))]}]}
        for k, trace in enumerate(traces)
    ]  # fmt: skip
    layout = {
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True,
                  "dtick": 1 if n <= _MOST_NAMED else None},
        "xaxis": {"type": "date"}, "height": 130 + _LINE * min(max(n, 8), _MOST_NAMED),
        "margin": {"l": 60, "r": 10, "t": _TOP, "b": 40},
        "updatemenus": [{"buttons": buttons, "x": 0.0, "xanchor": "left", "y": 1.0,
                         "yanchor": "bottom", "pad": {"b": 8}}] if len(traces) > 1 else [],
    }  # fmt: skip
    return _chart(traces, layout, key)


def omega_sweep(table: pd.DataFrame, panels: Mapping[str, str], key: str) -> list[str]:
    """A small chart over ω for each measure; see :func:`rrp_pyomo.backtest.plots.plot_omega_sweep`.

    Parameters
    ----------
    table : DataFrame
    panels : mapping from columns to titles
    """
    robust = table[table["portfolio"] == "robust"].sort_values("omega")
    ends = [float(robust["omega"].min()), float(robust["omega"].max())]
    charts = []
    for column, label in panels.items():
        traces: list[dict[str, Any]] = []
        kinds = {"nominal": "dash", "worst_case": "dot", "robust": "solid"}
        for k, (kind, dash) in enumerate(kinds.items()):
            rows = robust if kind == "robust" else table[table["portfolio"] == kind]
            if rows.empty:
                continue
            y = _rounded(rows[column] if kind == "robust" else [rows[column].iloc[0]] * 2)
            name = kind.replace("_", " ")
            traces.append(
                {
                    "type": "scatter", "mode": "lines+markers" if kind == "robust" else "lines",
                    "x": _rounded(robust["omega"]) if kind == "robust" else ends, "y": y,
                    "name": name, "line": {**_line(k), "dash": dash},
                    "hovertemplate": "%{y:.4~g}",
                }
            )  # fmt: skip
        layout = {
            "title": {"text": label, "font": {"size": 14}, "x": 0.02, "xanchor": "left"},
            "xaxis": {"title": {"text": "ω"}}, "hovermode": "x unified", "height": 300,
            "margin": {"l": 50, "r": 10, "t": 40, "b": 80},
            "legend": {"orientation": "h", "y": -0.32, "yanchor": "top"},
        }  # fmt: skip
        charts.append(_chart(traces, layout, f"{key}_{column}"))
    return charts


def backtest_charts(
    result: BacktestResult, reference: str, sweep: pd.DataFrame | None
) -> dict[str, list[str]]:
    """The charts of a backtest by the name of the picture that they belong to."""
    from rrp_pyomo.backtest.plots import OMEGA_PANELS

    charts = {
        "weights": [shares(result.weights, result.strategies, "weights")],
        "risk_contributions": [
            shares(result.risk_contributions, result.strategies, "risk_contributions")
        ],
    }
    charts["wealth"] = [lines(wealth_view(result.wealth), "wealth")]
    if len(result.strategies) > 1:
        views = relative_views(result.wealth, reference)
        charts["relative_wealth"] = [lines(views, "relative_wealth")]
    if sweep is not None:
        charts["omega"] = omega_sweep(sweep, OMEGA_PANELS, "omega")
    return charts


def _chart(traces: list[dict[str, Any]], layout: dict[str, Any], key: str) -> str:
    """The chart as HTML, without the library itself."""
    import plotly.graph_objects as go
    from plotly.io import to_html

    for axis in ("xaxis", "yaxis"):
        layout[axis] = _AXIS | layout.get(axis, {})
    layout |= {
        "template": "none", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13}, "dragmode": False,
    }  # fmt: skip
    config = {"displaylogo": False, "responsive": True, "displayModeBar": False}
    figure = go.Figure(traces, layout)
    return str(
        to_html(
            figure,
            config,
            include_plotlyjs=False,
            full_html=False,
            div_id=f"chart_{key}",
            default_height=f"{layout['height']}px",
        )
    )
