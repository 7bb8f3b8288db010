"""What the figures share: their size and fonts, labels that keep clear of each other, arguments."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from rrp_pyomo.data import Covariance, CovarianceUncertainty, DenseCovariance, FactorModel
from rrp_pyomo.data.validation import Labels, selection
from rrp_pyomo.errors import InputError
from rrp_pyomo.plots import PLAIN, spread

# Inches of a slide of 16:9, and points.
SIZE = (9.6, 5.4)
TEXT, TITLE = 12, 15
# So many assets get their names written on a slide.
MOST_NAMED = 40
# Letters of a title to a line.
_LINE = 70

_STYLE: Any = {
    "font.size": TEXT,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.labelsize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.7,
    "lines.linewidth": 2.0,
}

P = ParamSpec("P")


def slide(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a function draw in the style of the slides, whatever the reader's settings are."""

    @functools.wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            return function(*args, **kwargs)

    return drawn


def panels(rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, list[Axes]]:
    """A slide with panels, row by row."""
    figure = Figure(figsize=SIZE, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for axes in grid.flat:
        # Ticks that are made later would take their size from the reader's settings.
        axes.tick_params(labelsize=TEXT)
    return figure, list(grid.flat)


def title(figure: Figure, message: str) -> None:
    """What the figure shows, in a sentence."""
    whole = message.replace(" %", "\u00a0%")  # no line begins with the sign
    text = "\n".join(textwrap.wrap(whole, _LINE)).replace("\u00a0", " ")
    figure.suptitle(text, x=0.012, ha="left", fontsize=TITLE, fontweight="bold", **PLAIN)


def name_assets(axes: Axes, assets: Sequence[Hashable]) -> None:
    """Assets along the horizontal axis, as far as there is room for their names."""
    n = len(assets)
    axes.set_xlim(-0.6, n - 0.4)
    axes.grid(axis="x", visible=False)
    if n > MOST_NAMED:
        axes.set_xticks([])
        axes.set_xlabel(f"{n} assets")
        return
    names = [str(asset) for asset in assets]
    upright = max(map(len, names)) * n > 90
    axes.set_xticks(range(n), names, rotation=90 if upright else 0, fontsize=TEXT, **PLAIN)


def label_ends(
    axes: Axes, ends: Sequence[tuple[Any, float, str, str]], size: float = TEXT, gap: float = 1.25
) -> None:
    """Names at the right of lines, at the height of their last points or as near as there is room.

    Parameters
    ----------
    axes : Axes
        With all that is drawn on it.
    ends : sequence of (x, y, name, colour)
        Where the lines end, in data units.
    gap : float
        Between baselines, in units of the fonts' size.
    """
    figure: Any = axes.figure
    figure.draw_without_rendering()
    low, high = axes.get_window_extent().get_points()[:, 1]
    dates: Any = axes.xaxis
    points = [(float(dates.convert_units(x)), y) for x, y, _, _ in ends]
    heights = axes.transData.transform(points)[:, 1]
    order = np.argsort(heights, kind="stable")
    places = spread(heights[order], size * gap * figure.dpi / 72.0, low, high)
    for k, place in zip(order, places, strict=True):
        _, _, name, colour = ends[k]
        axes.annotate(
            name, points[k], (1.03, (place - low) / (high - low)), xycoords="data",
            textcoords="axes fraction", color=colour, fontsize=size, va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.8, "ls": ":"},
            **PLAIN,
        )  # fmt: skip


def mark(
    axes: Axes, at: Any, name: str, colour: str, away: Any = (0.0, 0.0), size: float = 9.0
) -> None:
    """A point with its name beside it, on the side that is away from another point."""
    axes.plot(*at, "o", color=colour, ms=size, mec="white", clip_on=False)
    right, up = (1 if one >= other else -1 for one, other in zip(at, away, strict=True))
    axes.annotate(
        name, tuple(at), (10 * right, 8 * up), textcoords="offset points", color=colour,
        fontsize=TEXT, ha="left" if right > 0 else "right", va="bottom" if up > 0 else "top",
        bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1.0}, **PLAIN,
    )  # fmt: skip


# --- arguments ------------------------------------------------------------------------------------


def as_covariance(given: object) -> Covariance:
    """A covariance, the nominal one of a factor model or set, or a matrix, with its labels."""
    if isinstance(given, FactorModel):
        return given.covariance
    if isinstance(given, CovarianceUncertainty):
        return given.nominal
    return given if isinstance(given, Covariance) else DenseCovariance(given)  # type: ignore[arg-type]


def chosen(
    assets: Iterable[Hashable] | None, labels: Labels, count: int
) -> tuple[list[int], Labels]:
    """Positions and labels of so many assets, by default the first ones.

    Raises
    ------
    InputError
        Another number of them; unknown ones are an :class:`UnknownLabelError`.
    """
    at, names = selection(labels[:count] if assets is None else assets, labels)
    if len(at) != count:
        word = {2: "two", 3: "three"}[count]
        raise InputError(f"the figure takes {word} assets, and {len(at)} are given; choose {word}")
    return at, names


def per_cent(value: float, digits: int = 0) -> str:
    """A share as text."""
    return f"{round(100 * value, digits) + 0.0:.{digits}f} %"
