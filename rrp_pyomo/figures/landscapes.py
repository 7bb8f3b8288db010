"""The convex problem behind risk parity, drawn for two assets."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rrp_pyomo.figures.slide import as_covariance, chosen, mark, panels, per_cent, slide, title
from rrp_pyomo.models.newton import newton
from rrp_pyomo.plots import BLACK, BLUE, GREY, PLAIN, SKY, VERMILION

# The sum of the minimiser that is drawn: away from the line of sum 1, but on the same picture.
_SUM = 1.6
# By how much level sets lie above the minimum, in units of λ.
_LEVELS = np.array([0.02, 0.08, 0.18, 0.35, 0.6, 1.0, 1.6])


@slide
def log_barrier(covariance: Any, assets: Iterable[Hashable] | None = None) -> Figure:
    """Level sets of the convex log form of two assets, and the risk parity portfolio on its ray.

        f(y) = ½ y'Σy − λ ½ (log y₁ + log y₂),    y > 0

    is strictly convex, and ∇f = 0 says y_i (Σy)_i = λ/2: contributions are equal at its only
    minimiser y*, whatever λ > 0 is. λ moves y* along a ray; where that meets y₁ + y₂ = 1 is the
    risk parity portfolio.

    Parameters
    ----------
    covariance : Covariance, FactorModel, (n, n) DataFrame or array
    assets : pair of labels, optional
        The first two by default.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        Another number of assets than two, or two that are perfectly hedged: without a minimum.
    UnknownLabelError
        An asset that the covariance does not have.

    References
    ----------
    Maillard, Roncalli & Teïletche (2010); Spinu (2013), An algorithm for computing risk parity
    weights.

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance
    >>> from rrp_pyomo.figures import log_barrier
    >>> covariance = DenseCovariance([[0.04, 0.006], [0.006, 0.01]], ["stocks", "bonds"])
    >>> figure = log_barrier(covariance)
    >>> figure.savefig("barrier.svg")
    >>> print(figure.get_suptitle())
    The logarithms leave one minimum; its ray meets the weights of sum 1
    at risk parity: 33.3 % stocks, 66.7 % bonds
    """
    sigma = as_covariance(covariance)
    _, names = chosen(assets, sigma.labels, 2)
    pair = sigma.select(names)
    budgets = np.full(2, 0.5)
    x = newton(pair, budgets).weights
    x = x / x.sum()
    y, Sigma = _SUM * x, pair.matrix().to_numpy()
    reward = float(y @ Sigma @ y)

    def f(y1: Any, y2: Any) -> Any:
        risk = Sigma[0, 0] * y1**2 + 2 * Sigma[0, 1] * y1 * y2 + Sigma[1, 1] * y2**2
        return (0.5 * risk - reward * 0.5 * (np.log(y1) + np.log(y2))) / reward

    figure, (axes,) = panels()
    edge = 1.25 * max(1.0, *y)
    axis = np.linspace(0.01 * edge, edge, 100)
    levels = f(*y) + _LEVELS
    axes.contour(axis, axis, f(*np.meshgrid(axis, axis)), levels, colors=SKY, linewidths=1.5)
    axes.plot([0, 2 * edge * x[0]], [0, 2 * edge * x[1]], color=GREY, ls="--", lw=1.5)
    axes.plot([0, 1], [1, 0], color=BLACK)
    mark(axes, y, "y*, the only minimum", BLUE, away=x)
    mark(axes, x, "risk parity, y* / 1'y*", VERMILION, away=(0.0, 2.0))
    axes.set(xlim=(0.0, edge), ylim=(0.0, edge), aspect="equal")
    axes.set_xlabel(f"y, position in {names[0]}", **PLAIN)
    axes.set_ylabel(f"y, position in {names[1]}", **PLAIN)
    title(
        figure,
        f"The logarithms leave one minimum; its ray meets the weights of sum 1 at risk parity: "
        f"{per_cent(x[0], 1)} {names[0]}, {per_cent(x[1], 1)} {names[1]}",
    )
    return figure
