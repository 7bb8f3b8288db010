"""Minimum worst-case variance over sets of covariances, beside skfolio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
from record import Record, pairs, timed
from skfolio.measures import RiskMeasure
from skfolio.optimization import MeanRisk
from skfolio.uncertainty_set import EmpiricalCovarianceUncertaintySet

from rrp_pyomo import MeanVariance
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.uncertainty import ElementwiseError, LoadingEllipsoids, SamplingError

STOCKS, DAYS, MANY, FACTORS = 30, 120, 2000, 5
# The confidence of the sets, in standard errors of the n² entries.
KAPPA = float(np.sqrt(scipy.stats.chi2.ppf(0.95, STOCKS**2)))
# How far skfolio's optimum may be from ours, relative to it: about Clarabel's tolerance on it.
AGREED = 1e-4


def returns(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((DAYS, 3)) * [0.010, 0.006, 0.005]
    noise = rng.standard_normal((DAYS, STOCKS)) * rng.uniform(0.010, 0.025, STOCKS)
    systematic = factors @ rng.normal(1.0, 0.3, (3, STOCKS))
    return pd.DataFrame(systematic + noise, columns=[f"stock {k}" for k in range(STOCKS)])


def independent_errors(X: pd.DataFrame) -> Portfolio:
    """Errors √(Σ_ii Σ_jj / T) of the entries, √2 of that for variances, each on its own."""
    S = X.cov()
    errors = np.sqrt(np.outer(np.diag(S), np.diag(S)) / DAYS)
    errors[np.diag_indices(STOCKS)] *= np.sqrt(2.0)
    return MeanVariance(None, ElementwiseError(S, errors, KAPPA), 2.0).solve()


def correlated_errors(X: pd.DataFrame) -> Portfolio:
    """Those of the sample covariance of normal returns, (I + K)(Σ ⊗ Σ)/T."""
    return MeanVariance(None, SamplingError(X.cov(), DAYS + 1, KAPPA), 2.0).solve()


def theirs(diagonal: bool, X: pd.DataFrame) -> MeanRisk:
    """skfolio's own set of these errors, in its minimum variance."""
    return MeanRisk(
        risk_measure=RiskMeasure.VARIANCE,
        covariance_uncertainty_set_estimator=EmpiricalCovarianceUncertaintySet(diagonal=diagonal),
        save_problem=True,
    ).fit(X)


def beside(
    name: str, ours: Callable[[pd.DataFrame], Portfolio], diagonal: bool, call: str
) -> Record:
    gaps, apart = list[float](), list[float]()

    def check(us: Portfolio, them: MeanRisk) -> None:
        gaps.append(us.certificate.relative_gap)
        assert gaps[-1] < 1e-6, f"better weights may exist: gap {gaps[-1]:.3g}"
        apart.append(abs(them.problem_values_["risk"] / -us.worst_value - 1.0))
        assert apart[-1] < AGREED, f"the optima are {apart[-1]:.3g} apart"

    data = ((returns(seed), returns(seed)) for seed in range(3))
    measured = pairs(ours, partial(theirs, diagonal), data, check)
    return Record(
        f"worst-case covariance, n = {STOCKS}, {name}",
        measured.ours,
        1 / 20,
        f"gap within {max(gaps):.0e} of the worst variance, bounded from the data; skfolio's "
        f"optimum within {max(apart):.0e}",
        f"skfolio, MeanRisk with {call}",
        measured.theirs,
        measured.ratio,
    )


class Factored(NamedTuple):
    """Loadings in ellipsoids of their own, one for each of many assets: ‖Δ_i‖_{59F} ≤ ρ_i."""

    V: np.ndarray
    F: np.ndarray
    D: np.ndarray
    radii: np.ndarray

    @classmethod
    def drawn(cls, seed: int) -> Factored:
        rng = np.random.default_rng(seed)
        V = 0.3 * rng.standard_normal((FACTORS, MANY))
        V[0] += 1.0
        F = 4e-4 * np.cov(rng.standard_normal((FACTORS, 60)))
        return cls(V, F, rng.uniform(1e-4, 1e-3, MANY), rng.uniform(0.01, 0.05, MANY))

    def solve(self) -> Portfolio:
        covariance = LoadingEllipsoids(self.V, self.F, 59.0 * self.F, self.radii, self.D)
        return MeanVariance(None, covariance, 2.0).solve()

    def gap(self, portfolio: Portfolio) -> float:
        """By how much less the worst variance could be, relative to it, by its subgradient.

        It is (‖F^½ V x‖ + ρ'x/√59)² + x'Dx for x ≥ 0.
        """
        x = np.maximum(portfolio.weights.to_numpy(), 0.0)
        exposure, errors = self.V @ x, self.radii / np.sqrt(59.0)
        systematic = float(np.sqrt(exposure @ self.F @ exposure))
        volatility = systematic + float(errors @ x)
        worst = volatility**2 + float(self.D @ x**2)
        assert abs(worst / -portfolio.worst_value - 1.0) < 1e-6, "another worst variance"
        slope = (self.F @ exposure) @ self.V / systematic + errors
        g = 2.0 * (volatility * slope + self.D * x)
        return (float(g @ x) - float(g.min()) * float(x.sum())) / worst


def records() -> Iterator[Record]:
    yield beside(
        "independent errors", independent_errors, True, "EmpiricalCovarianceUncertaintySet()"
    )
    yield beside(
        "correlated errors", correlated_errors, False,
        "EmpiricalCovarianceUncertaintySet(diagonal=False)",
    )  # fmt: skip
    Factored.drawn(0).solve()
    seconds, gaps = list[float](), list[float]()
    for seed in range(1, 6):
        given = Factored.drawn(seed)
        portfolio, taken = timed(given.solve)
        seconds.append(taken)
        gaps.append(given.gap(portfolio))
    assert max(gaps) < 1e-4, f"better weights may exist: gap {max(gaps):.3g}"
    yield Record(
        f"worst-case covariance, factored, n = {MANY:,}, m = {FACTORS}",
        float(np.median(seconds)),
        1.0,
        f"gap within {max(gaps):.0e} of the worst variance, bounded from the data",
        note=(
            "ellipsoids of loadings (Goldfarb & Iyengar), for which skfolio has no set: its "
            "compact one is of another kind, and that of entries takes a map of n² × n² numbers, "
            f"{8 * float(MANY) ** 4 / 1e12:.0f} TB here."
        ),
    )
