"""Pictures of uncertainty sets on two assets, and the shapes that they are drawn with."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.validation import Labels, by_label, selection
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

# Okabe & Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def plot_means(given: Any, assets: Any = None, weights: Any = None, ax: Any = None) -> Figure:
    """The set's shadow on two assets, its centre and, for weights, the worst mean.

    Parameters
    ----------
    given : MeanSet
    assets : pair of labels, optional
        The first two by default.
    weights : Series, mapping or (n,) array, optional
    ax : Axes, optional
        Where other sets are shown already.

    Raises
    ------
    InputError
        Another number of assets than two, or a set of a single asset.
    """
    at, names = pair(given.labels, assets)
    if ax is None:
        ax = _empty(names, "mean")
        ax.set_aspect("equal", adjustable="datalim")
    colour = _COLOURS[len(ax.patches) % len(_COLOURS)]
    ax.fill(*border(given, at).T, fc=f"{colour}40", ec=colour, label=type(given).__name__)
    ax.plot(*given._center[at], "+", color=colour, ms=8)
    if weights is not None:
        x = by_label(weights, given.labels, "weights")
        ax.plot(*given._worst(-x)[at], "o", color=colour, ms=5, label="its worst mean")
    return _with_legend(ax)


def plot_covariances(given: Any, assets: Any = None, weights: Any = None) -> Figure:
    """One standard deviation of two assets' returns in every direction, an ellipse for each member.

    Parameters
    ----------
    given : CovarianceSet
    assets : pair of labels, optional
        The first two by default.
    weights : Series, mapping or (n,) array, optional
        The worst covariance for them is drawn, too.

    Raises
    ------
    InputError
        Another number of assets than two.
    """
    _, names = pair(given.labels, assets)
    ax = _empty(names, "return")
    ax.set_aspect("equal", adjustable="datalim")
    for k, member in enumerate(given.sample(np.random.default_rng(0), 12)):
        ax.plot(*ellipse(member, names), color=_COLOURS[5], lw=0.8, label=None if k else "members")
    ax.plot(*ellipse(given.center, names), color="black", label="nominal")
    if weights is not None:
        ax.plot(*ellipse(given.worst(weights), names), color=_COLOURS[1], label="worst")
    return _with_legend(ax)


def plot_distributions(
    given: Any,
    assets: Any = None,
    weights: Any = None,
    alpha: float = 0.05,
    mean_weight: float = 0.0,
    ax: Any = None,
) -> Figure:
    """The scenarios of two assets: nominal ones, and the worst ones for weights.

    Areas are probabilities. A set of moments has no nominal scenarios; some of a member are shown.

    Parameters
    ----------
    given : DistributionSet
    assets : pair of labels, optional
        The first two by default.
    weights : Series, mapping or (n,) array, optional
    alpha, mean_weight : float
        Of the risk that is worst.
    ax : Axes, optional
        Where other sets are shown already, with their nominal scenarios.

    Raises
    ------
    InputError
        Another number of assets than two, or a set of a single asset.
    """
    at, names = pair(given.labels, assets)
    is_first = ax is None
    if ax is None:
        ax = _empty(names, "return")
    colour = _COLOURS[max(0, len(ax.collections) - 1) % len(_COLOURS)]
    if is_first:
        shown, name = nominal_scenarios(given)
        scatter(ax, shown, at, label=name)
    if weights is not None:
        worst = given.worst(weights, alpha, mean_weight)
        scatter(ax, worst, at, colour, label=f"worst of {type(given).__name__}")
    return _with_legend(ax)


# --- shapes ---------------------------------------------------------------------------------------


def pair(labels: Labels, assets: Any = None) -> tuple[list[int], Labels]:
    """Positions and labels of the two assets of a picture, the first two by default.

    Raises
    ------
    InputError
        Another number of assets than two.
    """
    at, names = selection(labels[:2] if assets is None else assets, labels)
    if len(at) != 2:
        raise InputError(f"a picture takes two assets, and {len(at)} are given; choose a pair")
    return at, names


def border(given: Any, at: list[int]) -> FloatArray:
    """Points of the border of a mean set's shadow in turn, (k, 2): more of them where it bends."""

    def points(angles: FloatArray) -> FloatArray:
        directions = np.zeros((angles.size, given.size))
        directions[:, at[0]], directions[:, at[1]] = np.cos(angles), np.sin(angles)
        rows: FloatArray = given._worst_rows(directions)
        return rows[:, at]

    angles = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    found = points(angles)
    for _ in range(2):
        gaps = np.linalg.norm(np.roll(found, -1, axis=0) - found, axis=1)
        wide = gaps > 0.02 * gaps.sum()
        between = (angles + 0.5 * ((np.roll(angles, -1) - angles) % (2.0 * np.pi)))[wide]
        order = np.argsort(np.concatenate([angles, between]), kind="stable")
        found = np.concatenate([found, points(between)])[order]
        angles = np.concatenate([angles, between])[order]
    return found


def ellipse(covariance: Covariance, names: Labels) -> FloatArray:
    """One standard deviation of two assets' returns in every direction, (2, k)."""
    angles = np.linspace(0.0, 2.0 * np.pi, 73)
    values, vectors = np.linalg.eigh(covariance.select(names).matrix().to_numpy())
    circle = np.array([np.cos(angles), np.sin(angles)])
    return np.asarray((vectors * np.sqrt(values.clip(min=0.0))) @ circle)


def scatter(
    ax: Axes,
    distribution: Any,
    at: list[int],
    colour: str | None = None,
    label: str | None = None,
    size: float = 16.0,
) -> None:
    """Scenarios of two assets with their probabilities as areas: filled, or circles in grey."""
    first, second = distribution.R[:, at].T
    areas = size * np.sqrt(len(distribution.p) * distribution.p)
    style: dict[str, Any] = {"color": colour, "linewidths": 0}
    if colour is None:
        style = {"facecolors": "none", "edgecolors": "0.6", "linewidths": 0.8}
    ax.scatter(first, second, s=areas, label=label, **style)


def nominal_scenarios(given: Any) -> tuple[Any, str]:
    """The centre of a set of distributions, or a member of a set of moments, and what it is."""
    center = getattr(given, "center", None)
    if center is not None:
        return center, "nominal"
    return given.sample(np.random.default_rng(0), 1)[0], "a member"


def _empty(names: Labels, what: str) -> Any:
    """Axes of two assets on a figure of their own."""
    ax = Figure(figsize=(4.8, 3.6), layout="constrained").subplots()
    ax.set_xlabel(f"{what} of {names[0]}", parse_math=False)
    ax.set_ylabel(f"{what} of {names[1]}", parse_math=False)
    ax.locator_params(nbins=5)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _with_legend(ax: Any) -> Figure:
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure: Figure = ax.figure
    return figure
