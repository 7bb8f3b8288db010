"""What a bound on one weight does to the contributions of all."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rrp_pyomo.data import Covariance, WeightSet
from rrp_pyomo.data.validation import as_number, selection
from rrp_pyomo.errors import InputError, RiskParityWarning, brief
from rrp_pyomo.figures.slide import as_covariance, label_ends, panels, per_cent, slide, title
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models import RiskBudgeting, RiskParitySOCP
from rrp_pyomo.plots import BLACK, BLUE, PLAIN, VERMILION

# From the weight at parity down to this part of it, in so many steps.
_DOWN_TO, _STEPS = 0.1, 15
_PROBLEMS = {"(11)": RiskParitySOCP, "constrained risk budgeting": RiskBudgeting}


@slide
def binding_bound(
    covariance: Any, asset: Hashable, bounds: Sequence[float] | None = None
) -> Figure:
    """Risk contributions beside an upper bound on one weight that tightens, by two problems.

    Contributions are multiples of the average, 1/n of the variance each. (11) rewards the smallest
    contribution only, which the bound holds down, and beyond it seeks the least variance;
    constrained risk budgeting keeps those equal that the bound does not touch.

    Parameters
    ----------
    covariance : Covariance, FactorModel, (n, n) DataFrame or array
    asset : label
        Whose weight is bounded.
    bounds : sequence of float, optional
        Upper bounds; by default from its weight at risk parity down to a tenth of that.

    Returns
    -------
    Figure

    Raises
    ------
    UnknownLabelError
        No asset of that name.
    InputError
        No bounds, bounds below 0 or above 1.
    InfeasibleError
        A bound of 0: nothing can be contributed to the risk.

    References
    ----------
    Costa & Kwon (2020), equation (11); Richard & Roncalli (2019), Constrained risk budgeting
    portfolios.

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance
    >>> from rrp_pyomo.figures import binding_bound
    >>> rows = [[0.04, 0.004, 0.0], [0.004, 0.01, 0.0], [0.0, 0.0, 0.02]]
    >>> covariance = DenseCovariance(rows, ["stocks", "bonds", "gold"])
    >>> figure = binding_bound(covariance, "bonds", bounds=[0.4, 0.3, 0.2, 0.1])
    >>> figure.savefig("bound.svg")
    >>> print(figure.get_suptitle())
    With bonds held to 10.0 %, (11) lets the others contribute 1.22 to
    1.71 of the average, constrained risk budgeting 1.47 to 1.47
    """
    sigma = as_covariance(covariance)
    (at,), (name,) = selection([asset], sigma.labels)
    parity = RiskBudgeting(sigma).solve().weights.iloc[at]
    upper = np.linspace(parity, _DOWN_TO * parity, _STEPS) if bounds is None else _checked(bounds)
    figure, grid = panels(1, 2, sharey=True)
    spreads: dict[str, tuple[float, float]] = {}
    others = np.delete(np.arange(sigma.size), at)
    for axes, (problem, kind) in zip(grid, _PROBLEMS.items(), strict=True):
        shares = sigma.size * np.array([_shares(kind, sigma, name, bound) for bound in upper])
        axes.plot(100 * upper, shares[:, others], color=BLUE, lw=1.2)
        axes.plot(100 * upper, shares[:, at], color=VERMILION, lw=3)
        axes.axhline(1.0, color=BLACK, lw=0.8, ls="--")
        axes.invert_xaxis()
        axes.set_title(problem)
        axes.set_xlabel(f"upper bound on {name} (% of wealth)", **PLAIN)
        largest = int(shares[-1, others].argmax())
        label_ends(axes, [
            (100 * upper[-1], shares[-1, at], str(name), VERMILION),
            (100 * upper[-1], shares[-1, others].max(), str(sigma.labels[others[largest]]), BLUE),
        ])  # fmt: skip
        spreads[problem] = shares[-1, others].min(), shares[-1, others].max()
    grid[0].set_ylabel("risk contribution (1: the average)")
    title(figure, _message(name, upper[-1], spreads))
    return figure


def _message(name: Hashable, bound: float, spreads: dict[str, tuple[float, float]]) -> str:
    (a, b), (c, d) = spreads.values()
    return (
        f"With {name} held to {per_cent(bound, 1)}, (11) lets the others contribute {a:.2f} to "
        f"{b:.2f} of the average, constrained risk budgeting {c:.2f} to {d:.2f}"
    )


def _checked(bounds: Any) -> FloatArray:
    try:
        found = [as_number(bound, "a bound", least=0.0, most=1.0) for bound in bounds]
    except TypeError:
        found = []
    if len(found) < 2:
        raise InputError(f"bounds are {brief(bounds)}; expected at least two, such as [0.1, 0.05]")
    return np.array(sorted(found, reverse=True))


def _shares(kind: Any, covariance: Covariance, asset: Hashable, bound: float) -> pd.Series:
    """Relative risk contributions beside a bound."""
    problem: RiskBudgeting | RiskParitySOCP = kind(
        covariance, weight_set=WeightSet(upper={asset: bound})
    )
    with warnings.catch_warnings():
        # That contributions are not equal is what the figure is about.
        warnings.simplefilter("ignore", RiskParityWarning)
        return problem.solve().relative_risk_contributions
