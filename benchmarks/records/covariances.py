"""Minimum worst-case variance over sets of covariances, beside skfolio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

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


def factored(rng: np.random.Generator) -> Any:
    """Loadings in ellipsoids of their own, one for each of the assets."""
    V = 0.3 * rng.standard_normal((FACTORS, MANY))
    V[0] += 1.0
    F = 4e-4 * np.cov(rng.standard_normal((FACTORS, 60)))
    D, radii = rng.uniform(1e-4, 1e-3, MANY), rng.uniform(0.01, 0.05, MANY)
    return MeanVariance(None, LoadingEllipsoids(V, F, 59.0 * F, radii, D), 2.0)


def records() -> Iterator[Record]:
    yield beside(
        "independent errors", independent_errors, True, "EmpiricalCovarianceUncertaintySet()"
    )
    yield beside(
        "correlated errors", correlated_errors, False,
        "EmpiricalCovarianceUncertaintySet(diagonal=False)",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    factored(rng).solve()
    solved = [timed(factored(rng).solve) for _ in range(5)]
    gap = max(portfolio.certificate.relative_gap for portfolio, _ in solved)
    assert gap < 1e-6, f"better weights may exist: gap {gap:.3g}"
    yield Record(
        f"worst-case covariance, factored, n = {MANY:,}, m = {FACTORS}",
        float(np.median([seconds for _, seconds in solved])),
        1.0,
        f"gap within {gap:.0e} of the worst variance, bounded from the data",
        note=(
            "ellipsoids of loadings (Goldfarb & Iyengar), for which skfolio has no set; its sets "
            "of covariances take a map of n² × n² numbers, which would be "
            f"{8 * float(MANY) ** 4 / 1e12:.0f} TB here."
        ),
    )
