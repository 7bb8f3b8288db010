"""Bars and dots over the assets: loadings with their errors, contributions against budgets."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rrp_pyomo.data import Covariance, FactorModel
from rrp_pyomo.data.validation import Labels, by_label, selection
from rrp_pyomo.errors import InputError, brief, require_kind
from rrp_pyomo.figures.slide import MOST_NAMED, as_covariance, name_assets, panels, slide, title
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.plots import BLACK, BLUE, PALETTE, PLAIN, VERMILION
from rrp_pyomo.portfolio import Portfolio

_MOST_PANELS = 4


@slide
def estimation_errors(model: FactorModel, assets: Iterable[Hashable] | None = None) -> Figure:
    """Factor loadings with a standard error to each side, a panel for each factor.

    Parameters
    ----------
    model : FactorModel
        Up to four factors; of more, those with the largest standard errors in units of risk,
        SE(V_kj) √F_kk, are drawn.
    assets : iterable of labels, optional
        Up to 40, in the order given; by default all, and of more those with the largest errors.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        No factor model, or more than 40 assets given.
    UnknownLabelError
        An asset that the model does not have.

    References
    ----------
    Costa & Kwon (2020), equations (8) and (10), whose intervals these are.

    Examples
    --------
    >>> from rrp_pyomo import FactorModel
    >>> from rrp_pyomo.data.datasets import french
    >>> from rrp_pyomo.figures import estimation_errors
    >>> data = french()
    >>> model = FactorModel.fit(data.returns.iloc[-60:, :5], data.factors[-60:])
    >>> figure = estimation_errors(model)
    >>> figure.savefig("errors.svg")
    >>> print(figure.get_suptitle())
    Loadings ± standard errors; times the factor's volatility, the largest
    is that of Enrgy on SMB: 0.07 ± 0.19
    """
    require_kind(model, FactorModel, "model", "such as FactorModel.fit(returns, factors)")
    V, SE = model.loadings.to_numpy(), model.loading_standard_errors.to_numpy()
    risk = SE * np.sqrt(np.diag(model.factor_covariance))[:, None]
    at = _worst_known(risk, 1, MOST_NAMED) if assets is None else _given(assets, model.labels)
    factors = _worst_known(risk[:, at], 0, _MOST_PANELS)
    figure, grid = panels(len(factors), 1, sharex=True)
    place = np.arange(len(at))
    for axes, k in zip(grid, factors, strict=True):
        axes.errorbar(place, V[k, at], SE[k, at], fmt="o", ms=5, color=BLUE, ecolor=VERMILION,
                      elinewidth=2, capsize=3)  # fmt: skip
        axes.axhline(0.0, color=BLACK, lw=0.8)
        axes.set_ylabel(str(model.factor_labels[k]), **PLAIN)
        axes.locator_params(axis="y", nbins=4)
    name_assets(grid[-1], [model.labels[j] for j in at])
    factor, j = max(((k, j) for k in factors for j in at), key=lambda place: risk[place])
    title(
        figure,
        "Loadings ± standard errors; times the factor's volatility, the largest is that of "
        f"{model.labels[j]} on {model.factor_labels[factor]}: "
        f"{V[factor, j]:.2f} ± {SE[factor, j]:.2f}",
    )
    return figure


def _worst_known(risk: FloatArray, axis: int, most: int) -> list[int]:
    """Positions along an axis, in order, at most so many: those of the largest errors."""
    largest = risk.max(axis=1 - axis)
    return sorted(np.argsort(-largest, kind="stable")[:most].tolist())


def _given(assets: Iterable[Hashable], labels: Labels) -> list[int]:
    at, _ = selection(assets, labels)
    if len(at) > MOST_NAMED:
        raise InputError(
            f"{len(at)} assets are given; at most {MOST_NAMED} can be read on a slide: choose some"
        )
    return at


@slide
def contributions(*portfolios: Any, covariance: Any = None, budgets: Any = None) -> Figure:
    """Relative risk contributions x_i (Σx)_i / x'Σx as bars, and the budgets b_i as lines.

    Parameters
    ----------
    *portfolios : Portfolio, Series, (n,) array, or mapping from names to these
        At most four; a Portfolio brings its name, a Series its ``name``. A mapping from assets to
        numbers is one portfolio.
    covariance : Covariance, FactorModel, (n, n) DataFrame or array, optional
        Σ, under which all are measured; portfolios that have a covariance are measured by theirs.
    budgets : Series, mapping or (n,) array, optional
        For all of them; those of the portfolios by default, equal for weights.

    Returns
    -------
    Figure
        A panel for each; assets as in the first, those with the largest contributions first where
        there are more than 40.

    Raises
    ------
    InputError
        None or more than four, weights without a covariance, other assets than the first has.
    UnknownLabelError
        Weights or budgets of unknown assets.

    References
    ----------
    Costa & Kwon (2020), equations (1) and (2).

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance
    >>> from rrp_pyomo.figures import contributions
    >>> covariance = DenseCovariance([[0.04, 0.004], [0.004, 0.01]], ["stocks", "bonds"])
    >>> figure = contributions({"stocks": 0.6, "bonds": 0.4}, covariance=covariance)
    >>> figure.savefig("contributions.svg")
    >>> print(figure.axes[0].get_title(loc="left"))
    weights 1: bonds has 14.3 % of the risk, its budget is 50.0 %
    """
    sigma = None if covariance is None else as_covariance(covariance)
    measured = [(name, _measured(given, sigma)) for name, given in _named(portfolios)]
    if not 1 <= len(measured) <= _MOST_PANELS:
        raise InputError(
            f"{len(measured)} portfolios are given; expected 1 to {_MOST_PANELS}, more cannot be "
            "read on a slide"
        )
    labels = tuple(measured[0][1].weights.index)
    shares = [100 * by_label(p.relative_risk_contributions, labels, "weights") for _, p in measured]
    wanted = None if budgets is None else by_label(budgets, labels, "budgets")
    n = len(labels)
    order = np.arange(n) if n <= MOST_NAMED else np.argsort(-shares[0], kind="stable")
    figure, grid = panels(len(measured), 1, sharex=True, sharey=True)
    for axes, (name, portfolio), share, colour in zip(
        grid, measured, shares, PALETTE, strict=False
    ):
        b = portfolio.budgets if wanted is None else wanted
        b = by_label(
            pd.Series(b, portfolio.weights.index if wanted is None else labels), labels, ""
        )
        axes.bar(np.arange(n), share[order], width=0.8 if n <= MOST_NAMED else 1.0, color=colour)
        left = np.arange(n) - 0.45
        axes.hlines(100 * b[order], left, left + 0.9, color=BLACK, lw=2.5)
        axes.axhline(0.0, color=BLACK, lw=0.8)
        axes.set_title(_told(name, share / 100, b, labels), **PLAIN)
        axes.locator_params(axis="y", nbins=5)
    name_assets(grid[-1], [labels[i] for i in order])
    figure.supylabel("share of risk (%), black line: budget", fontsize=13)
    return figure


def _named(portfolios: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """Portfolios with their names, those of mappings from names among them."""
    found: list[tuple[str, Any]] = []
    for given in portfolios:
        if isinstance(given, Mapping) and not all(map(np.isscalar, given.values())):
            found += [(str(name), weights) for name, weights in given.items()]
            continue
        own = given.model if isinstance(given, Portfolio) else getattr(given, "name", None)
        found.append((str(own or f"weights {len(found) + 1}"), given))
    return found


def _measured(given: Any, covariance: Covariance | None) -> Portfolio:
    """Weights with their risk."""
    if isinstance(given, Portfolio):
        return given if covariance is None else given.under(covariance)
    if covariance is None:
        raise InputError(
            f"weights {brief(given)} come without a covariance; give covariance=… or Portfolios"
        )
    return Portfolio.of(given, covariance)


def _told(name: str, share: FloatArray, b: FloatArray, labels: Labels) -> str:
    """What a panel shows."""
    furthest = int(np.abs(share - b).argmax())
    if abs(share[furthest] - b[furthest]) < 5e-5:
        return f"{name}: every share of risk is its budget"
    return (
        f"{name}: {labels[furthest]} has {100 * share[furthest]:.1f} % of the risk, "
        f"its budget is {100 * b[furthest]:.1f} %"
    )
