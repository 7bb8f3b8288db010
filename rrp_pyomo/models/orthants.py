"""The risk parity portfolios of all orthants: one for each choice of what is held short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
import pandas as pd

from rrp_pyomo.data import Covariance, resolve_budgets
from rrp_pyomo.data.covariance import CovarianceLike, as_covariance
from rrp_pyomo.data.validation import as_number, index_of
from rrp_pyomo.errors import InputError, SolverError, brief, is_number
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.newton import newton, newton_of_many
from rrp_pyomo.models.risk_parity import Budgets
from rrp_pyomo.portfolio import Portfolio

# Up to so many assets, all orthants are listed: 2,048 for 12 of them.
MOST_LISTED = 12
_SAMPLES = 2048
# Up to so many assets, many systems of that size are solved at once, this many entries together.
_MOST_AT_ONCE, _ENTRIES = 50, 2**21


@dataclass(frozen=True, eq=False, repr=False)
class ParityOrthants:
    """Risk parity portfolios of several orthants, from the least volatile to the most.

    Attributes
    ----------
    signs : (k, n) DataFrame
        1 where an asset is held long, −1 where short; the first asset is long in all of them.
    weights : (k, n) DataFrame
        With Σ_i |x_i| = gross.
    volatility : (k,) Series
        √(x'Σx) per period, of these weights.
    skipped : (j, n) DataFrame
        Signs of the orthants that have no such portfolio, as one of (almost) no risk exists there.
    is_complete : bool
        Whether all 2^(n−1) orthants were looked at, up to the sign of all weights.
    """

    signs: pd.DataFrame
    weights: pd.DataFrame
    volatility: pd.Series
    skipped: pd.DataFrame
    is_complete: bool
    _covariance: Covariance = field(repr=False)
    _budgets: FloatArray = field(repr=False)

    def __len__(self) -> int:
        return len(self.weights)

    def __repr__(self) -> str:
        parts = [f"{len(self)} {'in all' if self.is_complete else 'sampled'}"]
        if len(self):
            least, most = 100 * self.volatility.iloc[0], 100 * self.volatility.iloc[-1]
            parts.append(f"volatility {least:.3g} to {most:.3g} %")
        if len(self.skipped):
            parts.append(f"{len(self.skipped)} skipped")
        return f"ParityOrthants({', '.join(parts)})"

    def portfolio(self, rank: int = 0) -> Portfolio:
        """The portfolio of that rank, 0 for the least volatile."""
        return Portfolio(
            self.weights.iloc[rank].rename("weights"),
            self._covariance,
            self._budgets,
            "risk parity",
        )


def parity_orthants(
    covariance: CovarianceLike,
    budgets: Budgets = None,
    samples: int | None = None,
    seed: int = 0,
    gross: float = 1.0,
) -> ParityOrthants:
    """The risk parity portfolios of all orthants, or of some that are drawn at random.

    In the orthant of signs s, x_i (Σx)_i = b_i x'Σx has one solution with s'x = gross: the minimum
    of ½x'Σx − Σ_i b_i log|x_i| there, scaled. The orthants of s and −s have x and −x, of which the
    one is listed that is long in the first asset: 2^(n−1) portfolios.

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, positive, summing to 1; equal by default.
    samples : int, optional
        How many orthants to draw, without repetition. By default all for up to 12 assets, and
        2,048 for more.
    seed : int
        Of the random numbers.
    gross : float
        Σ_i |x_i|.

    Returns
    -------
    ParityOrthants

    Raises
    ------
    InputError
        Budgets that do not fit the covariance's assets; numbers that are not positive.

    References
    ----------
    Bai, Scheinberg & Tütüncü (2016), Least-squares approach to risk parity in portfolio selection:
    the 2^n portfolios. Spinu (2013), An algorithm for computing risk parity weights.

    Examples
    --------
    Both ways of signs, up to the sign of all of them:

    >>> from rrp_pyomo import DenseCovariance, parity_orthants
    >>> covariance = DenseCovariance([[0.04, 0.006], [0.006, 0.01]], ["stocks", "bonds"])
    >>> parity_orthants(covariance).weights.round(3).to_numpy().tolist()
    [[0.333, -0.667], [0.333, 0.667]]
    """
    covariance = as_covariance(covariance)
    b = resolve_budgets(budgets, covariance.labels)
    gross = as_number(gross, "gross")
    if gross <= 0:
        raise InputError(f"gross is {gross:.6g}; expected a positive number, such as 1.0")
    signs = _chosen(covariance.size, samples, seed)
    weights = gross * np.concatenate(
        [_portfolios(covariance, b, part) for part in _parts(signs, covariance.size)]
    )
    found = ~np.isnan(weights[:, 0])
    skipped, signs, weights = signs[~found], signs[found], weights[found]
    volatility = np.sqrt((weights * (covariance.operator @ weights.T).T).sum(axis=1))
    order = np.argsort(volatility, kind="stable")
    assets = index_of(covariance.labels)
    return ParityOrthants(
        signs=pd.DataFrame(signs[order].astype(int), columns=assets),
        weights=pd.DataFrame(weights[order], columns=assets),
        volatility=pd.Series(volatility[order], name="volatility"),
        skipped=pd.DataFrame(skipped.astype(int), columns=assets),
        is_complete=len(found) == 2 ** (covariance.size - 1),
        _covariance=covariance,
        _budgets=b,
    )


def _chosen(n: int, samples: int | None, seed: int) -> FloatArray:
    """Signs of different orthants, one a row, the first asset's being 1."""
    if samples is None:
        samples = 2 ** (n - 1) if n <= MOST_LISTED else _SAMPLES
    if not (is_number(samples, Integral) and samples >= 1):
        raise InputError(f"samples is {brief(samples)}; expected a whole number of at least 1")
    if not (is_number(seed, Integral) and seed >= 0):
        raise InputError(f"seed is {brief(seed)}; expected a whole number of at least 0")
    rng = np.random.default_rng(seed)
    if n <= 30:
        every = 2 ** (n - 1)
        drawn = every if samples >= every else samples
        codes = np.arange(every) if drawn == every else rng.choice(every, drawn, replace=False)
        short = (codes[:, None] >> np.arange(n)[::-1]) & 1
    else:  # two that are alike are not to be expected among 2^30 and more
        short = np.unique(rng.integers(0, 2, (samples, n)), axis=0)
        short[:, 0] = 0
    return np.asarray(1.0 - 2.0 * short)


def _parts(signs: FloatArray, n: int) -> Iterator[FloatArray]:
    """As many rows together as their systems of equations may be in memory."""
    yield from np.array_split(signs, -(-signs.shape[0] * n**2 // _ENTRIES))


def _portfolios(covariance: Covariance, budgets: FloatArray, signs: FloatArray) -> FloatArray:
    """A portfolio a row, Σ|x_i| = 1; NaN where there is none."""
    if covariance.size <= _MOST_AT_ONCE:
        return newton_of_many(covariance, budgets, signs)
    weights = np.full(signs.shape, np.nan)
    for row, s in zip(weights, signs, strict=True):
        try:
            row[:] = newton(covariance, budgets, signs=s).weights
        except SolverError:
            continue
    return weights
