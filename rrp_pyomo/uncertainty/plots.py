"""Pictures of uncertainty sets on two assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rrp_pyomo.data.validation import by_label, selection

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_means(given: Any, assets: Any = None, weights: Any = None) -> Figure:
    """The set's shadow on two assets, its centre and, for weights, the worst mean."""
    from matplotlib.figure import Figure

    at, names = selection(given.labels[:2] if assets is None else assets, given.labels)
    angles = np.linspace(0.0, 2.0 * np.pi, 181)
    border = []
    for angle in angles:
        d = np.zeros(given.size)
        d[at] = np.cos(angle), np.sin(angle)
        border.append(given.worst(d).to_numpy()[at])
    figure = Figure(figsize=(4.5, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.fill(*np.transpose(border), alpha=0.25, label=type(given).__name__)
    axes.plot(*given.center.to_numpy()[at], "o", color="black", label="nominal")
    if weights is not None:
        worst = given.worst(-by_label(weights, given.labels, "weights")).to_numpy()[at]
        axes.plot(*worst, "s", color="tab:red", label="worst")
    axes.set_xlabel(f"mean of {names[0]}")
    axes.set_ylabel(f"mean of {names[1]}")
    axes.legend(frameon=False)
    return figure


def plot_covariances(given: Any, assets: Any = None, weights: Any = None) -> Figure:
    """The covariances of two assets' returns as ellipses: centre, members, the worst one."""
    from matplotlib.figure import Figure

    at, names = selection(given.labels[:2] if assets is None else assets, given.labels)
    angles = np.linspace(0.0, 2.0 * np.pi, 181)
    circle = np.array([np.cos(angles), np.sin(angles)])
    figure = Figure(figsize=(4.5, 4.0), layout="constrained")
    axes = figure.subplots()

    def draw(covariance: Any, **style: Any) -> None:
        matrix = covariance.matrix().to_numpy()[np.ix_(at, at)]
        values, vectors = np.linalg.eigh(matrix)
        axes.plot(*(vectors * np.sqrt(values.clip(min=0.0))) @ circle, **style)

    for member in given.sample(np.random.default_rng(0), 20):
        draw(member, color="tab:blue", alpha=0.25, linewidth=0.8)
    draw(given.center, color="black", label="nominal")
    if weights is not None:
        draw(given.worst(weights), color="tab:red", label="worst")
    axes.set_xlabel(f"return of {names[0]}")
    axes.set_ylabel(f"return of {names[1]}")
    axes.legend(frameon=False)
    return figure


def plot_distributions(
    given: Any, assets: Any, weights: Any, alpha: float, mean_weight: float
) -> Figure:
    """The nominal scenarios of two assets and, for weights, the worst distribution's.

    Areas are probabilities. A set that is about moments has its nominal worst case for nominal
    scenarios, or none without weights: then some of its members are drawn.
    """
    from matplotlib.figure import Figure

    at, names = selection(given.labels[:2] if assets is None else assets, given.labels)
    figure = Figure(figsize=(4.5, 4.0), layout="constrained")
    axes = figure.subplots()

    def draw(distribution: Any, **style: Any) -> None:
        first, second = distribution.R[:, at].T
        areas = 12.0 * len(distribution.p) * distribution.p
        axes.scatter(first, second, s=areas, linewidths=0, alpha=0.5, **style)

    center = getattr(given, "center", None)
    if center is not None:
        draw(center, color="black", label="nominal")
    else:
        for member in given.sample(np.random.default_rng(0), 3):
            draw(member, color="tab:blue", label=None)
    if weights is not None:
        draw(given.worst(weights, alpha, mean_weight), color="tab:red", label="worst")
    axes.set_xlabel(f"return of {names[0]}")
    axes.set_ylabel(f"return of {names[1]}")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return figure
