"""What comes out: weights, risk contributions, concentration, certificate."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from rrp_pyomo._lazy import moved
from rrp_pyomo.data import Covariance
from rrp_pyomo.data.covariance import CovarianceLike, as_covariance
from rrp_pyomo.data.validation import by_label, index_of
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rrp_pyomo.uncertainty.worst_case import WorstCase


class Certificate(Protocol):
    """What can be said of a portfolio from the data, whatever the solver says."""

    @property
    def status(self) -> str:
        """The solver's status, in its own words."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""

    def summary(self) -> str:
        """One line for a terminal."""


class Details(Protocol):
    """What a problem says of its portfolio beyond weights, risk and certificate."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""


@dataclass(frozen=True, eq=False, repr=False)
class Portfolio:
    """Weights with their risk under one covariance matrix.

    Attributes
    ----------
    weights : Series
        Proportions of wealth by asset.
    covariance : Covariance or None
        Σ under which risk is measured: the one given to a nominal problem, Σ⁰ of (12). A problem
        that has none leaves it out; :meth:`under` then gives one to measure by.
    budgets : (n,) array
        Target relative risk contributions; equal where the problem has none.
    model : str
        The problem.
    objective : float
        Its objective value, in per-period units of the data.
    status : str
        The solver's own words.
    solver : str
        Which solver, and where it was found if there are several.
    details : Details or None
        What is particular to the problem, such as ω and ω_max of (12).

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance, Portfolio, RiskParitySOCP
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> portfolio = RiskParitySOCP(covariance).solve()
    >>> portfolio
    Portfolio(RiskParitySOCP, 2 assets, volatility 9.43 %, largest weight 66.7 % in 'bonds')
    >>> round(portfolio.volatility, 4), portfolio.relative_risk_contributions.round(4).tolist()
    (0.0943, [0.5, 0.5])
    """

    weights: pd.Series
    covariance: Covariance | None
    budgets: FloatArray
    model: str = ""
    objective: float = np.nan
    status: str = ""
    solver: str = ""
    details: Details | None = None
    certify: Certificate | Callable[[], Certificate] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What certifies it is the statement, of which some sets make functions that do not travel.
        return vars(self) | {"certify": self.certificate}

    def __repr__(self) -> str:
        n, largest = self.weights.size, int(self.weights.abs().to_numpy().argmax())
        parts = [self.model] if self.model else []
        parts.append(f"{n} asset{'s' if n > 1 else ''}")
        if self.covariance is not None:
            parts.append(f"volatility {100 * self.volatility:.3g} %")
        if max(abs(self.gross - 1.0), abs(self.net - 1.0)) > 5e-4:
            parts.append(f"gross {100 * self.gross:.3g} %, net {100 * self.net:.3g} %")
        weight, asset = self.weights.iloc[largest], str(self.weights.index[largest])
        parts.append(f"largest weight {100 * weight:.3g} % in {asset!r}")
        return f"Portfolio({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: weights and relative risk contributions by asset."""
        columns = {"weight": self.weights}
        if self.covariance is not None:
            columns["risk contribution"] = self.relative_risk_contributions
        table = pd.DataFrame(columns).to_html(max_rows=40, float_format="{:.2%}".format)
        lines = [repr(self), *([] if self.certificate is None else [self.certificate.summary()])]
        return "".join(f"<p>{html.escape(line)}</p>" for line in lines) + table

    @classmethod
    def of(cls, weights: pd.Series, covariance: CovarianceLike, model: str = "") -> Portfolio:
        """Any weights, measured under a covariance: equal budgets, no solver, no certificate.

        Raises
        ------
        UnknownLabelError
            Weights of assets that the covariance does not know.
        InputError
            Weights that are missing or not finite; no covariance.
        """
        covariance = as_covariance(covariance)
        budgets = np.full(covariance.size, 1.0 / covariance.size)
        return cls(_aligned(weights, covariance), covariance, budgets, model=model)

    def under(self, covariance: CovarianceLike) -> Portfolio:
        """The same weights, their risk measured under another covariance of the same assets.

        The certificate is left behind: it is about the covariance of the problem.

        Raises
        ------
        InputError
            The covariance has other assets, or is none.
        """
        covariance = as_covariance(covariance)
        weights = _aligned(self.weights, covariance)
        budgets = by_label(
            pd.Series(self.budgets, self.weights.index), covariance.labels, "budgets"
        )
        return replace(self, weights=weights, covariance=covariance, budgets=budgets, certify=None)

    @property
    def gross(self) -> float:
        """Σ_i |x_i|: what is held long and what is held short."""
        return float(self.weights.abs().sum())

    @property
    def net(self) -> float:
        """Σ_i x_i: what is held long less what is held short."""
        return float(self.weights.sum())

    # --- risk -----------------------------------------------------------------------------------

    @cached_property
    def marginal_risk(self) -> pd.Series:
        """(Σx)_i, per-period variance.

        Raises
        ------
        InputError
            The problem had no covariance; so for all that follows from it.
        """
        if self.covariance is None:
            raise InputError(
                f"{self.model or 'the portfolio'} has no covariance to measure risk by; use "
                "portfolio.under(covariance)"
            )
        return self.covariance.marginal_risk(self.weights)

    @cached_property
    def relative_risk_contributions(self) -> pd.Series:
        """x_i (Σx)_i / x'Σx, summing to 1."""
        contributions = self.weights * self.marginal_risk
        return (contributions / contributions.sum()).rename("relative_risk_contribution")

    @property
    def volatility(self) -> float:
        """√(x'Σx), standard deviation of the return per period."""
        return math.sqrt(float((self.weights * self.marginal_risk).sum()))

    @property
    def cv(self) -> float:
        """Coefficient of variation of the risk contributions (5), sample standard deviation.

        With unequal budgets, of the contributions relative to their budgets, where those are not 0.
        """
        budgeted = self.budgets > 0
        relative = self.relative_risk_contributions.to_numpy()[budgeted] / self.budgets[budgeted]
        return float(relative.std(ddof=1) / relative.mean()) if relative.size > 1 else 0.0

    @property
    def highest_risk_contribution(self) -> float:
        """The largest relative risk contribution (HRC)."""
        return float(self.relative_risk_contributions.max())

    @property
    def herfindahl(self) -> float:
        """Σ_i of the squared relative risk contributions: 1/n at parity, 1 for one asset.

        Above 1 where positions hedge others, whose contributions are then negative.
        """
        return float((self.relative_risk_contributions**2).sum())

    @property
    def largest_deviation(self) -> float:
        """max_i |x_i (Σx)_i / x'Σx − b_i|."""
        return float(np.abs(self.relative_risk_contributions.to_numpy() - self.budgets).max())

    # --- how it was found -----------------------------------------------------------------------

    @property
    def omega(self) -> float | None:
        """ω of (12); None for other problems."""
        return getattr(self.details, "omega", None)

    @property
    def omega_max(self) -> float | None:
        """The largest ω for which (12) has a solution; None for other problems."""
        return getattr(self.details, "omega_max", None)

    @property
    def worst_case(self) -> WorstCase | None:
        """The mean, covariance, loadings or distribution that a robust answer is robust against."""
        return getattr(self.details, "worst_case", None)

    @property
    def worst_value(self) -> float | None:
        """The objective at the worst case, from the data; None for problems without sets."""
        return getattr(self.details, "worst_value", None)

    @property
    def nominal_value(self) -> float | None:
        """The objective at the centres of the sets; None for problems without sets."""
        return getattr(self.details, "nominal_value", None)

    @property
    def price_of_robustness(self) -> float | None:
        """What the nominal objective loses against the nominal optimum, at least 0."""
        return getattr(self.details, "price_of_robustness", None)

    @cached_property
    def certificate(self) -> Certificate | None:
        """What can be said of the portfolio from the data, whatever the solver says."""
        return self.certify() if callable(self.certify) else self.certify

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for strict JSON: what is not finite is None.

        What is particular to the problem is there by its own names.
        """
        plain = {
            "model": self.model,
            "solver": self.solver,
            "status": self.status,
            "objective": self.objective,
            "omega": None,
            "omega_max": None,
            "weights": _plain(self.weights),
            **self._risk(),
            "certificate": None if self.certificate is None else self.certificate.to_dict(),
        }
        numbers: dict[str, Any] = _finite(plain | (self.details.to_dict() if self.details else {}))
        return numbers

    def _risk(self) -> dict[str, Any]:
        """The measures of risk by name; without a covariance there are none."""
        names = ("volatility", "cv", "highest_risk_contribution", "herfindahl")
        if self.covariance is None:
            return dict.fromkeys(("relative_risk_contributions", *names))
        contributions = _plain(self.relative_risk_contributions)
        measures = {name: getattr(self, name) for name in names}
        return {"relative_risk_contributions": contributions, **measures}

    def plot(self) -> Figure:
        """Weights and relative risk contributions side by side."""
        from rrp_pyomo.plots import plot_portfolio

        return plot_portfolio(self)


def _aligned(weights: pd.Series, covariance: Covariance) -> pd.Series:
    x = by_label(weights, covariance.labels, "weights")
    return pd.Series(x, index=index_of(covariance.labels), name="weights")


def _finite(value: Any) -> Any:
    """None for numbers that are NaN or infinite, at any depth."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(series: pd.Series) -> dict[str, float]:
    return {str(label): float(value) for label, value in series.items()}


__getattr__ = moved(__name__)
