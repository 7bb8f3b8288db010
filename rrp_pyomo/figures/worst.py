"""Uncertainty sets with the element that is worst for weights."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rrp_pyomo.data import CovarianceUncertainty
from rrp_pyomo.data.validation import by_label
from rrp_pyomo.errors import require_kind
from rrp_pyomo.figures.slide import chosen, mark, panels, per_cent, slide, title
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.plots import BLACK, BLUE, GREY, PLAIN, SKY, VERMILION
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.uncertainty.covariance_set import CovarianceSet
from rrp_pyomo.uncertainty.distribution_set import DistributionSet
from rrp_pyomo.uncertainty.distributions.distribution import Distribution, checked_alpha
from rrp_pyomo.uncertainty.mean_set import MeanSet
from rrp_pyomo.uncertainty.plots import border, ellipse, nominal_scenarios, scatter

_SETS = (MeanSet, CovarianceSet, DistributionSet, CovarianceUncertainty)


@slide
def worst_point(
    uncertainty_set: Any,
    weights: Any,
    assets: Iterable[Hashable] | None = None,
    alpha: float = 0.05,
) -> Figure:
    """An uncertainty set on two assets, and its element that is worst for the weights.

    Of a set of means the shadow μ ↦ (μ_i, μ_j) is drawn; where the weights hold no other assets,
    also the portfolios' lines of equal mean return x'μ through the centre and the worst mean, the
    latter a tangent. Of covariances ellipses of one standard deviation, of distributions scenarios
    whose areas are their probabilities.

    Parameters
    ----------
    uncertainty_set : MeanSet, CovarianceSet, CovarianceUncertainty or DistributionSet
    weights : Series, mapping, (n,) array or Portfolio
        Of all assets of the set.
    assets : pair of labels, optional
        The two axes; the first two assets by default.
    alpha : float
        Tail probability of the CVaR that a distribution is worst for.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        No such set, another number of assets than two, weights that do not fit.
    UnknownLabelError
        Assets that the set does not have.

    References
    ----------
    Ben-Tal, El Ghaoui & Nemirovski (2009), Robust optimization, chapter 1.

    Examples
    --------
    >>> from rrp_pyomo.figures import worst_point
    >>> from rrp_pyomo.uncertainty import Ellipsoid
    >>> means = Ellipsoid([0.05, 0.03], [[0.0004, 0.0], [0.0, 0.0001]])
    >>> figure = worst_point(means, [0.5, 0.5])
    >>> figure.savefig("point.svg")
    >>> print(figure.get_suptitle())
    The estimates promise these weights 4.00 % a period, the worst mean of
    the set 2.88 %
    """
    if not isinstance(uncertainty_set, _SETS):
        require_kind(uncertainty_set, MeanSet, "uncertainty_set",
                     "or a CovarianceSet, DistributionSet or CovarianceUncertainty")  # fmt: skip
    x = weights_of(weights, uncertainty_set.labels)
    at, names = chosen(assets, uncertainty_set.labels, 2)
    figure, (axes,) = panels()
    if isinstance(uncertainty_set, MeanSet):
        message = _means(axes, uncertainty_set, x, at)
        what = "mean"
    elif isinstance(uncertainty_set, DistributionSet):
        message = _distributions(axes, uncertainty_set, x, at, alpha)
        what = "return"
    else:
        message = _covariances(axes, uncertainty_set, x, names)
        what = "return"
    axes.set_xlabel(f"{what} of {names[0]} (% per period)", **PLAIN)
    axes.set_ylabel(f"{what} of {names[1]} (% per period)", **PLAIN)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
    title(figure, message)
    return figure


def weights_of(weights: Any, labels: Any) -> FloatArray:
    """Weights of a portfolio, or as they are given, in the order of labels."""
    given = weights.weights if isinstance(weights, Portfolio) else weights
    return by_label(given, labels, "weights")


def _means(axes: Axes, given: MeanSet, x: FloatArray, at: list[int]) -> str:
    center, worst = given._center, given._worst(-x)
    outline = border(given, at)
    axes.fill(*outline.T, fc=f"{SKY}50", ec=BLUE, lw=1.5)
    axes.set_aspect("equal", adjustable="datalim")
    if not np.delete(x, at).any():
        _lines_of_equal_return(axes, x[at], (center[at], worst[at]), outline)
    mark(axes, center[at], "estimate", BLUE, away=worst[at])
    mark(axes, worst[at], "worst", VERMILION, away=center[at])
    return (
        f"The estimates promise these weights {per_cent(float(center @ x), 2)} a period, the worst "
        f"mean of the set {per_cent(float(worst @ x), 2)}"
    )


def _lines_of_equal_return(
    axes: Axes, x: FloatArray, points: tuple[FloatArray, FloatArray], outline: FloatArray
) -> None:
    """x'μ = const through the points, as long as the set is wide."""
    if not (size := float(np.linalg.norm(x))):
        return
    along = np.array([-x[1], x[0]]) / size * float(np.ptp(outline, axis=0).max())
    for point, colour in zip(points, (GREY, VERMILION), strict=True):
        axes.plot(*np.array([point - along, point + along]).T, color=colour, lw=1.2, ls="--")


def _covariances(
    axes: Axes, given: CovarianceSet | CovarianceUncertainty, x: FloatArray, names: Any
) -> str:
    if isinstance(given, CovarianceUncertainty):
        nominal, worst = given.nominal, given.worst_case
    else:
        nominal, worst = given.center, given.worst(x)
        for member in given.sample(np.random.default_rng(0), 12):
            axes.plot(*ellipse(member, names), color=SKY, lw=0.8)
    drawn = ((nominal, "nominal", BLUE), (worst, "worst", VERMILION))
    for covariance, _, colour in drawn:
        axes.plot(*ellipse(covariance, names), color=colour)
    axes.set_aspect("equal", adjustable="datalim")
    outer, inner = (ellipse(covariance, names) for covariance in (worst, nominal))
    mark(axes, outer[:, outer[1].argmax()], "worst", VERMILION, away=(0.0, 0.0), size=0)
    mark(axes, inner[:, inner[1].argmin()], "nominal", BLUE, away=outer[:, 0] * 0, size=0)
    return (
        f"The volatility of these weights is {per_cent(np.sqrt(nominal.variance(x)), 2)} a period "
        f"by the estimates, {per_cent(np.sqrt(worst.variance(x)), 2)} in the worst case"
    )


def _distributions(
    axes: Axes, given: DistributionSet, x: FloatArray, at: list[int], alpha: float
) -> str:
    nominal, name = nominal_scenarios(given)
    worst = given.worst(x, alpha)
    scatter(axes, nominal, at, label=name, size=40.0)
    scatter(axes, worst, at, VERMILION, label="worst", size=40.0)
    axes.legend(frameon=False, fontsize=12, loc="best")
    return _of_cvar(nominal, worst, x, alpha, name)


def _of_cvar(
    nominal: Distribution, worst: Distribution, x: FloatArray, alpha: float, name: str
) -> str:
    before, after = (d.cvar(x, alpha) for d in (nominal, worst))
    who = "By the scenarios themselves" if name == "nominal" else "By one member of the set"
    return (
        f"{who} the worst {per_cent(alpha)} of periods lose {per_cent(before, 2)} on average, by "
        f"the worst distribution of the set {per_cent(after, 2)}"
    )


@slide
def worst_distribution(distribution_set: Any, weights: Any, alpha: float = 0.05) -> Figure:
    """The losses of a portfolio under the empirical distribution, and under the worst of a set.

    Parameters
    ----------
    distribution_set : DistributionSet
        Such as ``Wasserstein(returns, 0.01)``. One without a centre, such as a set of moments, is
        drawn with one of its members.
    weights : Series, mapping, (n,) array or Portfolio
    alpha : float
        Tail probability of the CVaR that the worst distribution maximises.

    Returns
    -------
    Figure
        The probability of a loss above each size, the tail enlarged, and CVaR_α of both.

    Raises
    ------
    InputError
        No such set, weights that do not fit, an α that is no probability.
    UnknownLabelError
        Weights of assets that the set does not have.

    References
    ----------
    Rockafellar & Uryasev (2000), Optimization of conditional value-at-risk.

    Examples
    --------
    >>> from rrp_pyomo.figures import worst_distribution
    >>> from rrp_pyomo.uncertainty import Wasserstein
    >>> returns = [[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01]]
    >>> figure = worst_distribution(Wasserstein(returns, 0.001), [0.5, 0.5], alpha=0.25)
    >>> figure.savefig("worst.svg")
    >>> print(figure.get_suptitle())
    By the scenarios themselves the worst 25 % of periods lose 2.00 % on
    average, by the worst distribution of the set 2.28 %
    """
    require_kind(distribution_set, DistributionSet, "distribution_set",
                 "such as Wasserstein(returns, 0.01)")  # fmt: skip
    alpha = checked_alpha(alpha)
    x = weights_of(weights, distribution_set.labels)
    nominal, name = nominal_scenarios(distribution_set)
    worst = distribution_set.worst(x, alpha)
    figure, (axes,) = panels()
    top = min(1.0, 4.0 * alpha)
    called = "empirical" if name == "nominal" else name
    drawn = ((nominal, called, BLUE, -5, "right"), (worst, "worst", VERMILION, 5, "left"))
    for distribution, label, colour, shift, side in drawn:
        losses, chance = _exceedance(distribution, x)
        axes.step(100 * losses, 100 * chance, where="post", color=colour)
        cvar = 100 * distribution.cvar(x, alpha)
        axes.axvline(cvar, color=colour, ls="--", lw=1.5)
        axes.annotate(
            f"{label}: CVaR {cvar:.2f} %", (cvar, 1.0), (shift, -14),
            xycoords=("data", "axes fraction"), textcoords="offset points", color=colour,
            ha=side, bbox={"fc": "white", "ec": "none", "pad": 1.0},
        )  # fmt: skip
    axes.axhline(100 * alpha, color=BLACK, lw=0.8)
    losses, chance = _exceedance(nominal, x)
    left = losses[(chance >= top).nonzero()[0][-1:]].min(initial=losses[-1])
    right = max(_exceedance(worst, x)[0][-1], losses[-1])
    axes.set_xlim(100 * (left - 0.05 * (right - left)), 100 * (right + 0.35 * (right - left)))
    axes.annotate(
        f"α = {per_cent(alpha)}", (1.0, 100 * alpha), (-4, 4), ha="right",
        xycoords=("axes fraction", "data"), textcoords="offset points",
    )  # fmt: skip
    axes.set_xlabel("loss per period (% of wealth)")
    axes.set_ylabel("probability of a larger loss (%)")
    axes.set_ylim(0.0, 100.0 * top)
    title(figure, _of_cvar(nominal, worst, x, alpha, name))
    return figure


def _exceedance(distribution: Distribution, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Losses in increasing order, and the probability of a larger one than each."""
    losses = distribution.losses(x).to_numpy()
    order = np.argsort(losses, kind="stable")
    return losses[order], 1.0 - np.cumsum(distribution.p[order])
