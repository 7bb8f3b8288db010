"""What comes out: weights, risk contributions, concentration, certificate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.validation import by_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]

# A relative risk contribution this close to its budget counts as equal to it.
RISK_PARITY_TOLERANCE = 1e-6


@dataclass(frozen=True)
class NominalCertificate:
    """How far a portfolio is from risk parity, computed from weights and covariance.

    Attributes
    ----------
    status : str
        The solver's status, in its own words.
    largest_deviation : float
        max_i |x_i (Σx)_i / x'Σx − b_i|.
    is_risk_parity : bool
        Whether that is below 1e-6.
    """

    status: str
    largest_deviation: float

    @property
    def is_risk_parity(self) -> bool:
        return self.largest_deviation < RISK_PARITY_TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {
            "status": self.status,
            "largest_deviation": self.largest_deviation,
            "is_risk_parity": self.is_risk_parity,
        }


@dataclass(frozen=True)
class RobustCertificate:
    """How well a point satisfies (12b)–(12g), recomputed from the data, and how optimal it is.

    Attributes
    ----------
    status : str
        The solver's status, in its own words.
    residuals : dict of str to float
        By how much each of ``"12b"`` … ``"12g"`` is violated, relative to the size of its terms at
        the equally weighted portfolio; 0 where it holds.
    duality_gap : float or None
        Primal minus dual objective, per-period volatility; None where the solver has no dual.
    relative_duality_gap : float or None
        The same relative to p at the equally weighted portfolio.
    """

    status: str
    residuals: dict[str, float]
    duality_gap: float | None
    relative_duality_gap: float | None

    @property
    def largest_residual(self) -> float:
        """The worst of the residuals."""
        return max(self.residuals.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {
            "status": self.status,
            "residuals": dict(self.residuals),
            "duality_gap": self.duality_gap,
            "relative_duality_gap": self.relative_duality_gap,
        }


Certificate = NominalCertificate | RobustCertificate


@dataclass(frozen=True, eq=False)
class Portfolio:
    """Weights with their risk under one covariance matrix.

    Attributes
    ----------
    weights : Series
        Proportions of wealth by asset.
    covariance : Covariance
        Σ under which risk is measured: the one given to a nominal formulation, Σ⁰ of (12).
    budgets : (n,) array
        Target relative risk contributions.
    model : str
        The formulation.
    objective : float
        Its objective value, in per-period units of the data.
    status : str
        The solver's own words.
    solver : str
        Which solver, and where it was found if there are several.
    omega : float or None
        ω of (12).
    """

    weights: pd.Series
    covariance: Covariance
    budgets: FloatArray
    model: str = ""
    objective: float = np.nan
    status: str = ""
    solver: str = ""
    omega: float | None = None
    find_omega_max: Callable[[], float] | None = field(default=None, repr=False)
    certify: Certificate | Callable[[], Certificate] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, weights: pd.Series, covariance: Covariance, model: str = "") -> Portfolio:
        """Any weights, measured under a covariance: equal budgets, no solver, no certificate.

        Raises
        ------
        UnknownLabelError
            Weights of assets that the covariance does not know.
        InputError
            Weights that are missing or not finite.
        """
        budgets = np.full(covariance.size, 1.0 / covariance.size)
        return cls(_aligned(weights, covariance), covariance, budgets, model=model)

    def under(self, covariance: Covariance) -> Portfolio:
        """The same weights, their risk measured under another covariance of the same assets.

        The certificate is left behind: it is about the covariance of the problem.

        Raises
        ------
        InputError
            The covariance has other assets.
        """
        weights = _aligned(self.weights, covariance)
        budgets = by_label(
            pd.Series(self.budgets, self.weights.index), covariance.labels, "budgets"
        )
        return replace(self, weights=weights, covariance=covariance, budgets=budgets, certify=None)

    # --- risk -----------------------------------------------------------------------------------

    @cached_property
    def marginal_risk(self) -> pd.Series:
        """(Σx)_i, per-period variance."""
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

        With unequal budgets, of the contributions relative to their budgets.
        """
        relative = self.relative_risk_contributions.to_numpy() / self.budgets
        return float(relative.std(ddof=1) / relative.mean()) if relative.size > 1 else 0.0

    @property
    def highest_risk_contribution(self) -> float:
        """The largest relative risk contribution (HRC)."""
        return float(self.relative_risk_contributions.max())

    @property
    def herfindahl(self) -> float:
        """Σ_i of the squared relative risk contributions: 1/n at parity, 1 for one asset."""
        return float((self.relative_risk_contributions**2).sum())

    @property
    def largest_deviation(self) -> float:
        """max_i |x_i (Σx)_i / x'Σx − b_i|."""
        return float(np.abs(self.relative_risk_contributions.to_numpy() - self.budgets).max())

    # --- how it was found -----------------------------------------------------------------------

    @cached_property
    def omega_max(self) -> float | None:
        """The largest ω for which (12) has a solution; None for other problems."""
        return None if self.find_omega_max is None else self.find_omega_max()

    @cached_property
    def certificate(self) -> Certificate | None:
        """What can be said of the portfolio from the data, whatever the solver says."""
        return self.certify() if callable(self.certify) else self.certify

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for strict JSON: what is not finite is None."""
        certificate = self.certificate
        numbers: dict[str, Any] = _finite(
            {
                "model": self.model,
                "solver": self.solver,
                "status": self.status,
                "objective": self.objective,
                "omega": self.omega,
                "omega_max": self.omega_max,
                "weights": _plain(self.weights),
                "relative_risk_contributions": _plain(self.relative_risk_contributions),
                "volatility": self.volatility,
                "cv": self.cv,
                "highest_risk_contribution": self.highest_risk_contribution,
                "herfindahl": self.herfindahl,
                "certificate": None if certificate is None else certificate.to_dict(),
            }
        )
        return numbers

    def plot(self) -> Figure:
        """Weights and relative risk contributions side by side."""
        from rrp_pyomo.plots import plot_portfolio

        return plot_portfolio(self)


def _aligned(weights: pd.Series, covariance: Covariance) -> pd.Series:
    x = by_label(weights, covariance.labels, "weights")
    return pd.Series(x, index=list(covariance.labels), name="weights")


def _finite(value: Any) -> Any:
    """None for numbers that are NaN or infinite, at any depth."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(series: pd.Series) -> dict[str, float]:
    return {str(label): float(value) for label, value in series.items()}
