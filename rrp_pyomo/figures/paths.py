"""Lines over a number or over time: ω, the trade-off of return and risk, wealth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from rrp_pyomo.data import CovarianceUncertainty
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InfeasibleError, InputError, brief, require_kind
from rrp_pyomo.figures.slide import label_ends, panels, per_cent, slide, title
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models import Frontier, RobustRiskParity, efficient_frontier, largest_omega
from rrp_pyomo.plots import BLACK, BLUE, GREY, PALETTE, PLAIN, VERMILION

if TYPE_CHECKING:
    from rrp_pyomo.backtest import BacktestResult

# Where ω stops by itself, and where Σ^Δ x = 0 for some x: there is no limit then.
_NEARLY, _UNLIMITED, _STEPS = 0.99, 3.0, 21
_MOST_LINES = 6


@slide
def omega_path(uncertainty: CovarianceUncertainty, omegas: Sequence[float] | None = None) -> Figure:
    """Weights and volatilities of robust risk parity (12) over ω, up to ω_max.

    Parameters
    ----------
    uncertainty : CovarianceUncertainty
        Such as ``FactorModel.fit(returns, factors).covariance_uncertainty()``.
    omegas : sequence of float, optional
        At least two in increasing order, 0 ≤ ω ≤ ω_max; by default 21 from 0 to 0.99 ω_max.

    Returns
    -------
    Figure
        Left the weights, those named that change most; right √(x'Σ⁰x) and √(x'(Σ⁰ + Σ^Δ)x) per
        period; in both a line at ω_max = :func:`~rrp_pyomo.largest_omega`.

    Raises
    ------
    InputError
        No uncertainty set, or other numbers.
    InfeasibleError
        An ω above ω_max.

    References
    ----------
    Costa & Kwon (2020), equation (12) and the bound on ω at the end of section 4.

    Examples
    --------
    >>> from rrp_pyomo import CovarianceUncertainty
    >>> from rrp_pyomo.figures import omega_path
    >>> nominal = [[0.04, 0.01, 0.0], [0.01, 0.02, 0.0], [0.0, 0.0, 0.01]]
    >>> upper = [[0.06, 0.01, 0.0], [0.01, 0.025, 0.0], [0.0, 0.0, 0.012]]
    >>> uncertainty = CovarianceUncertainty.from_bounds(nominal, upper)
    >>> figure = omega_path(uncertainty, omegas=[0.0, 1.0, 2.0])
    >>> figure.savefig("path.svg")
    >>> print(figure.get_suptitle())
    With ω from 0 to 2 the weight of 2 goes from 49.1 % to 52.0 %; beyond
    ω_max = 9.87 there is no portfolio
    """
    require_kind(uncertainty, CovarianceUncertainty, "uncertainty",
                 "such as model.covariance_uncertainty()")  # fmt: skip
    limit = largest_omega(uncertainty)
    if limit == 0.0:
        raise InfeasibleError(
            "no weights have positive marginal risks, so that (12) has no solution for any ω; "
            "leave out assets that hedge the others"
        )
    end = _NEARLY * limit if np.isfinite(limit) else _UNLIMITED
    omega = np.linspace(0.0, end, _STEPS) if omegas is None else _increasing(omegas, "omegas")
    weights = np.array([RobustRiskParity(uncertainty, w).solve().weights for w in omega])
    figure, grid = panels(1, 2)
    _draw_weights(grid[0], uncertainty, omega, weights)
    volatilities = {
        "worst case": (uncertainty.worst_case, VERMILION),
        "nominal": (uncertainty.nominal, BLUE),
    }
    ends = []
    for name, (covariance, colour) in volatilities.items():
        values = 100 * np.sqrt([covariance.variance(x) for x in weights])
        grid[1].plot(omega, values, color=colour)
        ends.append((omega[-1], values[-1], name, colour))
    grid[0].set_ylabel("weight (%)")
    grid[1].set_ylabel("volatility per period (%)")
    for axes in grid:
        axes.set_xlabel("ω")
        if np.isfinite(limit):
            axes.axvline(limit, color=BLACK, ls="--", lw=1.2)
    if np.isfinite(limit):
        grid[1].annotate(
            f"ω_max = {limit:.3g}", (limit, 1.0), (-6, -4), xycoords=("data", "axes fraction"),
            textcoords="offset points", rotation=90, ha="right", va="top",
        )  # fmt: skip
    change = weights[-1] - weights[0]
    most = int(change.argmax())
    until = (
        f"beyond ω_max = {limit:.3g} there is no portfolio"
        if np.isfinite(limit)
        else ("there is no largest ω")
    )
    title(
        figure,
        f"With ω from {omega[0]:.3g} to {omega[-1]:.3g} the weight of {uncertainty.labels[most]} "
        f"goes from {per_cent(weights[0, most], 1)} to {per_cent(weights[-1, most], 1)}; {until}",
    )
    label_ends(grid[1], ends)
    return figure


def _draw_weights(axes: Any, uncertainty: CovarianceUncertainty, omega: Any, weights: Any) -> None:
    """A line for each asset; names for those that change most."""
    moved = np.argsort(-np.ptp(weights, axis=0), kind="stable")[:_MOST_LINES]
    axes.plot(omega, 100 * np.delete(weights, moved, axis=1), color=GREY, lw=0.8)
    ends = []
    for j, colour in zip(moved, PALETTE, strict=False):
        axes.plot(omega, 100 * weights[:, j], color=colour)
        ends.append((omega[-1], 100 * weights[-1, j], str(uncertainty.labels[j]), colour))
    label_ends(axes, ends)


def _increasing(values: Any, name: str) -> FloatArray:
    try:
        found = [as_number(value, f"one of {name}", least=0.0) for value in values]
    except TypeError:
        found = []
    if len(found) < 2 or np.diff(found).min() <= 0.0:
        raise InputError(
            f"{name} are {brief(values)}; expected at least two numbers in increasing order, such "
            "as [0, 0.5, 1]"
        )
    return np.array(found)


@slide
def frontiers(problem: Any, points: int | Sequence[float] = 20) -> Figure:
    """The efficient frontier of a problem, what it is worth in the worst case, and the nominal one.

    Parameters
    ----------
    problem : MeanVariance, MeanCVaR or another problem with mean and risk; or a Frontier
    points : int or sequence of float
        See :func:`~rrp_pyomo.efficient_frontier`.

    Returns
    -------
    Figure
        Mean return against risk, per cent per period: solid lines at the centres of the sets,
        broken ones at the elements that are worst for each portfolio.

    Raises
    ------
    InputError
        What :func:`~rrp_pyomo.efficient_frontier` refuses.

    References
    ----------
    Markowitz (1952); Ceria & Stubbs (2006) for the frontiers promised and worst.

    Examples
    --------
    >>> from rrp_pyomo import MeanVariance
    >>> from rrp_pyomo.figures import frontiers
    >>> from rrp_pyomo.uncertainty import Box
    >>> problem = MeanVariance(Box([0.06, 0.03], [0.04, 0.005]), [[0.04, 0.0], [0.0, 0.01]])
    >>> figure = frontiers(problem, points=5)
    >>> figure.savefig("frontiers.svg")
    >>> print(figure.get_suptitle())
    The boldest nominal portfolio promises 6.00 % a period and is worth
    2.00 % in the worst case; the boldest robust one is worth 2.50 %
    """
    frontier = problem if isinstance(problem, Frontier) else efficient_frontier(problem, points)
    figure, (axes,) = panels()
    ends = []
    for name, style, colour, risk, mean in frontier.lines():
        axes.plot(100 * risk, 100 * mean, style, color=colour, marker=".")
        ends.append((100 * risk.iloc[-1], 100 * mean.iloc[-1], name, colour))
    axes.set_xlabel("risk per period (%)")
    axes.set_ylabel("mean return per period (%)")
    title(figure, _frontier_message(frontier))
    label_ends(axes, ends)
    return figure


def _frontier_message(frontier: Frontier) -> str:
    top = frontier.values.iloc[-1]
    if frontier.nominal is None:
        low = frontier.values.iloc[0]
        return (
            f"From {per_cent(low['nominal_risk'], 1)} to {per_cent(top['nominal_risk'], 1)} risk a "
            f"period, the mean return goes from {per_cent(low['nominal_return'], 2)} to "
            f"{per_cent(top['nominal_return'], 2)}"
        )
    bold = frontier.nominal.values.iloc[-1]
    return (
        f"The boldest nominal portfolio promises {per_cent(bold['nominal_return'], 2)} a period "
        f"and is worth {per_cent(bold['worst_return'], 2)} in the worst case; the boldest robust "
        f"one is worth {per_cent(top['worst_return'], 2)}"
    )


@slide
def relative_wealth(result: BacktestResult, benchmark: str | None = None) -> Figure:
    """Wealth of each strategy of a backtest relative to one of them, W / W_benchmark − 1.

    Parameters
    ----------
    result : BacktestResult
    benchmark : str, optional
        A strategy; the first by default.

    Returns
    -------
    Figure
        Per cent over time, a line for each of the others; at most seven.

    Raises
    ------
    InputError
        No backtest, one strategy only, or more than eight: see :meth:`BacktestResult.select`.
    UnknownLabelError
        No strategy of that name.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, EqualWeight, RiskParity
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.figures import relative_wealth
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [EqualWeight(), RiskParity()], estimation="2Y").run()
    >>> figure = relative_wealth(result, "equal weight")
    >>> figure.savefig("wealth.svg")
    >>> print(figure.get_suptitle())
    nominal ends 1.4 % below equal weight
    """
    from rrp_pyomo.backtest import BacktestResult as Result
    from rrp_pyomo.backtest.plots import relative_to

    require_kind(result, Result, "result", "such as Backtest(…).run()")
    reference, relative = relative_to(result, benchmark)
    if not 1 <= relative.shape[1] <= len(PALETTE):
        raise InputError(
            f"there are {relative.shape[1]} strategies beside {reference!r}; expected 1 to "
            f"{len(PALETTE)}: choose some by result.select([…])"
        )
    figure, (axes,) = panels()
    axes.axhline(0.0, color=BLACK, lw=1.2)
    dates = relative.index
    ends = [(dates[-1], 0.0, reference, BLACK)]
    for name, colour in zip(relative, PALETTE, strict=False):
        axes.plot(dates, relative[name], color=colour)
        ends.append((dates[-1], relative[name].iloc[-1], str(name), colour))
    axes.set_ylabel(f"wealth relative to {reference} (%)", **PLAIN)
    last = relative.iloc[-1]
    title(
        figure,
        f"{last.idxmax()} ends {abs(last.max()):.1f} % {'above' if last.max() >= 0 else 'below'} "
        f"{reference}",
    )
    label_ends(axes, ends)
    return figure
