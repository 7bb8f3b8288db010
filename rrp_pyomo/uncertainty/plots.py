"""Pictures of uncertainty sets on two assets."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rrp_pyomo.data.validation import by_label, selection
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
    at, names = selection(given.labels[:2] if assets is None else assets, given.labels)
    if len(at) != 2:
        raise InputError(f"a picture takes two assets, and {len(at)} are given; choose a pair")
    if ax is None:
        ax = Figure(figsize=(4.8, 3.6), layout="constrained").subplots()
        ax.set_xlabel(f"mean of {names[0]}", parse_math=False)
        ax.set_ylabel(f"mean of {names[1]}", parse_math=False)
        ax.locator_params(nbins=5)
        ax.set_aspect("equal", adjustable="datalim")
        ax.spines[["top", "right"]].set_visible(False)
    colour = _COLOURS[len(ax.patches) % len(_COLOURS)]
    ax.fill(*_border(given, at).T, fc=f"{colour}40", ec=colour, label=type(given).__name__)
    ax.plot(*given._center[at], "+", color=colour, ms=8)
    if weights is not None:
        x = by_label(weights, given.labels, "weights")
        ax.plot(*given._worst(-x)[at], "o", color=colour, ms=5, label="its worst mean")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure: Figure = ax.figure
    return figure


def _border(given: Any, at: list[int]) -> FloatArray:
    """Points of the shadow's border in turn: more of them where it bends."""

    def points(angles: FloatArray) -> FloatArray:
        directions = np.zeros((angles.size, given.size))
        directions[:, at[0]], directions[:, at[1]] = np.cos(angles), np.sin(angles)
        rows: FloatArray = given._worst_rows(directions)
        return rows[:, at]

    angles = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    border = points(angles)
    for _ in range(2):
        gaps = np.linalg.norm(np.roll(border, -1, axis=0) - border, axis=1)
        wide = gaps > 0.02 * gaps.sum()
        between = (angles + 0.5 * ((np.roll(angles, -1) - angles) % (2.0 * np.pi)))[wide]
        order = np.argsort(np.concatenate([angles, between]), kind="stable")
        border = np.concatenate([border, points(between)])[order]
        angles = np.concatenate([angles, between])[order]
    return border


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
    at, names = selection(given.labels[:2] if assets is None else assets, given.labels)
    if len(at) != 2:
        raise InputError(f"a picture takes two assets, and {len(at)} are given; choose a pair")
    angles = np.linspace(0.0, 2.0 * np.pi, 73)
    circle = np.array([np.cos(angles), np.sin(angles)])
    ax: Any = Figure(figsize=(4.8, 3.6), layout="constrained").subplots()

    def draw(covariance: Any, **style: Any) -> None:
        matrix = covariance.select([covariance.labels[i] for i in at]).matrix().to_numpy()
        values, vectors = np.linalg.eigh(matrix)
        ax.plot(*(vectors * np.sqrt(values.clip(min=0.0))) @ circle, **style)

    for k, member in enumerate(given.sample(np.random.default_rng(0), 12)):
        draw(member, color=_COLOURS[5], lw=0.8, label=None if k else "members")
    draw(given.center, color="black", label="nominal")
    if weights is not None:
        draw(given.worst(weights), color=_COLOURS[1], label="worst")
    ax.set_xlabel(f"return of {names[0]}", parse_math=False)
    ax.set_ylabel(f"return of {names[1]}", parse_math=False)
    ax.locator_params(nbins=5)
    ax.set_aspect("equal", adjustable="datalim")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure: Figure = ax.figure
    return figure


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
    at, names = selection(given.labels[:2] if assets is None else assets, given.labels)
    if len(at) != 2:
        raise InputError(f"a picture takes two assets, and {len(at)} are given; choose a pair")
    is_first = ax is None
    if ax is None:
        ax = Figure(figsize=(4.8, 3.6), layout="constrained").subplots()
        ax.set_xlabel(f"return of {names[0]}", parse_math=False)
        ax.set_ylabel(f"return of {names[1]}", parse_math=False)
        ax.locator_params(nbins=5)
        ax.spines[["top", "right"]].set_visible(False)

    def draw(distribution: Any, **style: Any) -> None:
        first, second = distribution.R[:, at].T
        areas = 16.0 * np.sqrt(len(distribution.p) * distribution.p)
        ax.scatter(first, second, s=areas, **style)

    colour = _COLOURS[max(0, len(ax.collections) - 1) % len(_COLOURS)]
    if is_first:
        name = "nominal" if hasattr(given, "center") else "a member"
        shown = getattr(given, "center", None) or given.sample(np.random.default_rng(0), 1)[0]
        draw(shown, facecolors="none", edgecolors="0.6", linewidths=0.8, label=name)
    if weights is not None:
        worst = given.worst(weights, alpha, mean_weight)
        draw(worst, color=colour, linewidths=0, label=f"worst of {type(given).__name__}")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure: Figure = ax.figure
    return figure
