"""What plug-in portfolios promise and what they deliver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.linalg
from scipy.stats import wishart

from rrp_pyomo.data import Covariance, DenseCovariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.data.validation import Matrix, Vector, as_number, by_label
from rrp_pyomo.errors import InputError, brief
from rrp_pyomo.linalg import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class ErrorMaximisation:
    """The utility w'μ − (λ/2) w'Σw of plug-in portfolios, promised and delivered.

    Attributes
    ----------
    optimal : float
        θ²/(2λ), of the weights that know μ and Σ; θ² = μ'Σ⁻¹μ.
    promised, delivered : float
        The expected utility of the estimated optimum under the estimates, and under the truth.
    simulated : DataFrame
        ``promised`` and ``delivered`` of each simulated sample.

    Examples
    --------
    Simulated samples say the same as the closed form, to within their own errors:

    >>> from rrp_pyomo import error_maximisation
    >>> found = error_maximisation([0.05, 0.03], [[0.04, 0.0], [0.0, 0.01]], 60, simulations=1000)
    >>> found.simulated.mean().round(3).to_dict()
    {'promised': 0.091, 'delivered': 0.06}
    >>> round(found.promised, 3), round(found.delivered, 3)
    (0.093, 0.06)
    """

    optimal: float
    promised: float
    delivered: float
    simulated: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"ErrorMaximisation(promised {self.promised:.4g}, optimal {self.optimal:.4g}, "
            f"delivered {self.delivered:.4g})"
        )

    def plot(self) -> Figure:
        """The simulated utilities as histograms, with what is expected of them."""
        from matplotlib.figure import Figure

        from rrp_pyomo.plots import BLACK, BLUE, VERMILION

        figure = Figure(figsize=(6.0, 3.2), dpi=150, layout="constrained")
        axes = figure.subplots()
        low, high = np.quantile(self.simulated.to_numpy(), [0.005, 0.995])
        bins = np.linspace(low, high, 60).tolist()
        for name, colour in (("promised", VERMILION), ("delivered", BLUE)):
            axes.hist(self.simulated[name], bins, color=colour, alpha=0.6, label=name)
            axes.axvline(getattr(self, name), color=colour, lw=1.5)
        axes.axvline(self.optimal, color=BLACK, lw=1.5, ls="--", label="optimal")
        axes.set_xlabel("utility per period")
        axes.set_ylabel("samples")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        return figure


def error_maximisation(
    mean: Mapping[Any, float] | Vector,
    covariance: Covariance | Matrix,
    observations: int,
    risk_aversion: float = 1.0,
    *,
    covariance_known: bool = True,
    simulations: int = 10_000,
    seed: int = 0,
) -> ErrorMaximisation:
    """Promised against delivered utility of w = Σ̂⁻¹μ̂/λ, in closed form and by simulation.

    With Σ known the plug-in portfolio of T normal returns promises (θ² + n/T)/(2λ) and delivers
    (θ² − n/T)/(2λ) on average. With the sample covariance in its place, c = (T − 1)/(T − n − 2),

        promised    c (θ² + n/T)/(2λ)
        delivered   c θ²/λ − c (T − 1)(T − 2)/((T − n − 1)(T − n − 4)) (θ² + n/T)/(2λ)

    Parameters
    ----------
    mean : Series, mapping or (n,) array
        The true μ, decimals per period, of excess returns: weights are free, the rest is cash.
    covariance : Covariance, (n, n) DataFrame or array
        The true Σ, positive definite.
    observations : int
        T ≥ 1 returns that μ̂, and Σ̂ if it is not known, come from.
    risk_aversion : float
        λ > 0.
    covariance_known : bool
    simulations : int
        How many samples are drawn.
    seed : int

    Raises
    ------
    InputError
        T ≤ n + 4 where the covariance is estimated, which has then no finite expected utility; a
        singular covariance.

    References
    ----------
    Kan & Zhou (2007), Optimal portfolio choice with parameter uncertainty; Michaud (1989), The
    Markowitz optimization enigma.

    Examples
    --------
    >>> from rrp_pyomo import error_maximisation
    >>> found = error_maximisation([0.05, 0.03], [[0.04, 0.0], [0.0, 0.01]], 60, simulations=1000)
    >>> round(found.promised, 4), round(found.optimal, 4), round(found.delivered, 4)
    (0.0929, 0.0762, 0.0596)
    """
    sigma = covariance if isinstance(covariance, Covariance) else DenseCovariance(covariance)
    mu, n = by_label(mean, sigma.labels, "mean"), sigma.size
    T = _whole(observations, "observations", 1 if covariance_known else n + 5)
    lam = as_number(risk_aversion, "risk_aversion", least=1e-300)
    draws = _whole(simulations, "simulations", 1)
    matrix = multiplied_out(sigma.operator)
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise InputError(
            f"the covariance of {n} assets is singular, and the optimum unbounded; leave out "
            "assets that others replicate"
        ) from None
    # In the coordinates in which Σ is the identity.
    theta = scipy.linalg.solve_triangular(factor, mu, lower=True)
    square, noise = float(theta @ theta), n / T
    promised, delivered = square + noise, square - noise
    if not covariance_known:
        c = (T - 1) / (T - n - 2)
        second = c * (T - 1) * (T - 2) / ((T - n - 1) * (T - n - 4))
        promised, delivered = c * promised, 2.0 * c * square - second * promised
    return ErrorMaximisation(
        optimal=square / (2.0 * lam),
        promised=promised / (2.0 * lam),
        delivered=delivered / (2.0 * lam),
        simulated=_simulated(theta, T, lam, covariance_known, draws, seed),
    )


def _simulated(
    theta: FloatArray, T: int, lam: float, known: bool, draws: int, seed: int
) -> pd.DataFrame:
    """Both utilities of each sample, from the distributions of its moments."""
    n, rng = theta.size, np.random.default_rng(seed)
    means = theta + rng.standard_normal((draws, n)) / np.sqrt(T)
    weights = means
    if not known:
        S = wishart(T - 1, np.eye(n) / (T - 1)).rvs(draws, random_state=rng).reshape(draws, n, n)
        weights = np.linalg.solve(S, means[:, :, None])[:, :, 0]
    promised = np.einsum("si,si->s", weights, means) / (2.0 * lam)
    delivered = (weights @ theta - (weights**2).sum(axis=1) / 2.0) / lam
    return pd.DataFrame({"promised": promised, "delivered": delivered})


def _whole(value: int, name: str, least: int) -> int:
    number = as_number(value, name)
    if number != int(number) or number < least:
        raise InputError(
            f"{name} is {brief(value)}; expected a whole number of at least {least} here"
        )
    return int(number)
