"""The landscape of problem (4) for three assets, with the traps of its nonconvexity."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from rrp_pyomo.figures.slide import as_covariance, chosen, mark, panels, per_cent, slide, title
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.plots import BLACK, BLUE, PLAIN, VERMILION

# Points to a side of the triangle.
_GRID = 90
# Steps of the descent, and what counts as no further descent, relative to the mean contribution.
_STEPS, _STILL = 60, 1e-9
# A deviation from the equal share that is none.
_PARITY = 1e-6
# The corners of the triangle: the three assets.
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])


@dataclass(frozen=True, eq=False)
class Stationary:
    """A stationary point of (4).

    Attributes
    ----------
    weights : (3,) array
    value : float
        ζ, half the range of the contributions, as a part of their sum.
    shares : (3,) array
        x_i (Σx)_i / x'Σx.
    """

    weights: FloatArray
    value: float
    shares: FloatArray

    @property
    def is_parity(self) -> bool:
        """Whether contributions are equal."""
        return float(np.ptp(self.shares)) < _PARITY


@slide
def trap_landscape(covariance: Any, assets: Iterable[Hashable] | None = None) -> Figure:
    """The objective of (4) over the weights of three assets, its minimum and its traps.

    With θ as good as it can be for the weights x ≥ 0, 1'x = 1, (4) minimises half the range of the
    contributions, ζ(x) = (max R_i − min R_i)/2 with R_i = x_i (Σx)_i. It is 0 at risk parity only.
    A trap is another local minimum: every small step makes ζ larger, so that a solver which ends
    there may report an optimum. Traps lie where an asset that hedges the others is not held.

    Parameters
    ----------
    covariance : Covariance, FactorModel, (n, n) DataFrame or array
    assets : three labels, optional
        The first three by default.

    Returns
    -------
    Figure
        The triangle of weights, each corner being all wealth in one asset; dark is low. The weights
        of marked points are in the order of the assets. Where there is a trap, ζ on the straight
        way from it to risk parity stands beside the triangle.

    Raises
    ------
    InputError
        Another number of assets than three.
    UnknownLabelError
        An asset that the covariance does not have.

    References
    ----------
    Costa & Kwon (2020), equation (4).

    Examples
    --------
    Two assets whose risks a third one hedges:

    >>> import numpy as np
    >>> from rrp_pyomo.figures import trap_landscape
    >>> betas = np.array([0.74, 0.36, -2.52])
    >>> figure = trap_landscape(np.outer(betas, betas) + np.diag([0.4, 0.2, 0.3]))
    >>> figure.savefig("traps.svg")
    >>> print(figure.get_suptitle())
    Every small step from the trap makes (4) worse, and it is not risk
    parity: shares of risk are 0 50 %, 1 50 %, 2 0 %
    """
    sigma = as_covariance(covariance)
    _, names = chosen(assets, sigma.labels, 3)
    Sigma = sigma.select(names).matrix().to_numpy()
    Sigma = Sigma / np.diag(Sigma).mean()
    found = stationary_points(Sigma)
    traps = [point for point in found if not point.is_parity]
    if traps:
        figure, (axes, way) = panels(1, 2, width_ratios=(1.9, 1))
        _draw_way(way, Sigma, traps[0], found[0])
    else:
        figure, (axes,) = panels()
    grid = _grid()
    x, y = (grid @ _CORNERS).T
    values = _value(Sigma, grid)
    filled = axes.tricontourf(
        Triangulation(x, y), values, levels=_levels(values), norm=PowerNorm(0.5), cmap="cividis"
    )
    filled.set_rasterized(True)  # thousands of corners otherwise
    for point in found:
        _mark(axes, point)
    _frame(axes, [str(name) for name in names])
    title(figure, _message(traps, names))
    return figure


def stationary_points(Sigma: FloatArray) -> list[Stationary]:
    """The local minima of (4) for three assets, the lowest first.

    From every point of a grid that lies below its neighbours a sequence of linear programs goes
    down until none of them promises anything: R linearised, in a box that shrinks where ζ does not
    follow.
    """
    found: list[Stationary] = []
    for start in _lowest(_value(Sigma, _grid())):
        x = _descent(Sigma, start)
        if all(np.abs(x - other.weights).max() > 1e-4 for other in found):
            R = x * (Sigma @ x)
            found.append(Stationary(x, float(_value(Sigma, x[None])[0] / R.sum()), R / R.sum()))
    return sorted(found, key=lambda point: point.value)


def _value(Sigma: FloatArray, x: FloatArray) -> FloatArray:
    """ζ of rows of weights."""
    return np.asarray(np.ptp(x * (x @ Sigma), axis=1) / 2)


def _grid() -> FloatArray:
    """Weights of three assets in steps of 1/_GRID, row by row of the first."""
    i, j = np.array([(i, j) for i in range(_GRID + 1) for j in range(_GRID + 1 - i)]).T
    return np.column_stack([i, j, _GRID - i - j]) / _GRID


def _lowest(values: FloatArray) -> FloatArray:
    """The points of the grid that no neighbour is below."""
    steps = np.rint(_grid() * _GRID).astype(int)
    table = np.full((_GRID + 3, _GRID + 3), np.inf)
    table[steps[:, 0] + 1, steps[:, 1] + 1] = values
    i, j = steps[:, 0] + 1, steps[:, 1] + 1
    around = [table[i + di, j + dj] for di, dj in
              ((1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1))]  # fmt: skip
    return np.asarray(_grid()[values <= np.min(around, axis=0)])


def _descent(Sigma: FloatArray, x: FloatArray) -> FloatArray:
    """A stationary point below a start."""
    radius = 1.0 / _GRID
    mean = float(x @ Sigma @ x) / 3
    for _ in range(_STEPS):
        step, promised = _step(Sigma, x, radius)
        if promised < _STILL * mean * min(1.0, radius * _GRID) or radius < 1e-12:
            break
        before, after = _value(Sigma, np.array([x, x + step]))
        if before - after >= 0.1 * promised:
            x = np.maximum(x + step, 0.0)
            x = x / x.sum()
        else:
            radius /= 4.0
    return x


def _step(Sigma: FloatArray, x: FloatArray, radius: float) -> tuple[FloatArray, float]:
    """The step of a linear program in (d, ζ, θ), and by how much it promises to lower ζ."""
    R, J = x * (Sigma @ x), np.diag(Sigma @ x) + x[:, None] * Sigma
    one = np.ones((3, 1))
    answer = scipy.optimize.linprog(
        [0.0, 0.0, 0.0, 1.0, 0.0],
        A_ub=np.vstack([np.hstack([J, -one, -one]), np.hstack([-J, -one, one])]),
        b_ub=np.concatenate([-R, R]),
        A_eq=[[1.0, 1.0, 1.0, 0.0, 0.0]],
        b_eq=[0.0],
        bounds=[(max(-radius, -xi), radius) for xi in x] + [(None, None)] * 2,
        method="highs",
    )
    return np.asarray(answer.x[:3]), float(np.ptp(R) / 2 - answer.x[3])


def _levels(values: FloatArray) -> FloatArray:
    """Contours that are closer where the landscape is low."""
    return np.asarray(values.max() * np.linspace(0.0, 1.0, 13) ** 2)


def _mark(axes: Axes, point: Stationary) -> None:
    """A point with its weights, in the order of the assets; traps have them on the outer side."""
    at = point.weights @ _CORNERS
    held = ", ".join(map(per_cent, point.weights))
    if point.is_parity:
        mark(axes, at, f"risk parity: {held}", BLUE, away=at + 1.0)
    else:
        mark(axes, at, f"trap: {held}", VERMILION, away=(0.5 - 1e-9, at[1] - 1.0))


def _draw_way(axes: Axes, Sigma: FloatArray, trap: Stationary, parity: Stationary) -> None:
    """ζ on the straight way from a trap to risk parity: up first, then down."""
    share = np.linspace(0.0, 1.0, 401)
    along = trap.weights + share[:, None] * (parity.weights - trap.weights)
    heights = _value(Sigma, along)
    axes.plot(100 * share, 100 * heights / heights[0], color=BLACK)
    mark(axes, (0.0, 100.0), "trap", VERMILION, away=(0.0, 101.0))
    mark(axes, (100.0, 0.0), "risk parity", BLUE, away=(101.0, 0.0))
    axes.set_xlabel("way to risk parity (%)")
    axes.set_ylabel("ζ, trap = 100")
    axes.set_ylim(0.0)


def _frame(axes: Axes, names: list[str]) -> None:
    """The corners' names, and nothing else around the triangle."""
    axes.set_aspect("equal")
    axes.set_axis_off()
    for corner, name, below in zip(_CORNERS, names, (True, True, False), strict=True):
        axes.annotate(
            f"all {name}", tuple(corner), (0, -18 if below else 6), textcoords="offset points",
            ha="center", fontsize=13, annotation_clip=False, **PLAIN,
        )  # fmt: skip


def _message(traps: list[Stationary], names: tuple[Hashable, ...]) -> str:
    if not traps:
        return "(4) has no trap here: every way down ends at risk parity"
    first = traps[0]
    shares = ", ".join(
        f"{name} {per_cent(share)}" for name, share in zip(names, first.shares, strict=True)
    )
    return (
        f"Every small step from the trap makes (4) worse, and it is not risk parity: shares of "
        f"risk are {shares}"
    )
