"""Nominal risk parity: dense beside cyclical coordinate descent in C++, factored on its own."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from typing import Any

import numpy as np
from record import Record, pairs, timed

from rrp_pyomo import DenseCovariance, FactorCovariance, RiskParitySOCP
from rrp_pyomo.linalg import FloatArray

ACCURACY = 1e-10
"""Of every risk contribution, as a part of its budget."""


def stocks(n: int, seed: int) -> FloatArray:
    """The sample covariance of weekly stock returns on a market and four more factors."""
    rng = np.random.default_rng([n, seed])
    V = np.vstack([rng.normal(1.0, 0.3, n), rng.normal(0.0, 0.5, (4, n))])
    return sample(rng, V, np.array([5e-4, 1e-4, 1e-4, 1e-4, 1e-4]), rng.uniform(2e-4, 2e-3, n))


def stocks_and_bonds(n: int, seed: int) -> FloatArray:
    """The same of stocks, and of bonds that move little, with rates and a little against stocks."""
    rng, half = np.random.default_rng([n, seed]), n // 2
    market = np.append(rng.normal(1.0, 0.3, half), rng.normal(-0.05, 0.05, n - half))
    rates = np.append(rng.normal(0.0, 0.1, half), rng.normal(0.2, 0.05, n - half))
    own = np.append(rng.uniform(2e-4, 2e-3, half), rng.uniform(1e-6, 2e-5, n - half))
    return sample(rng, np.vstack([market, rates]), np.array([5e-4, 3e-4]), own)


def sample(rng: np.random.Generator, V: FloatArray, F: FloatArray, D: FloatArray) -> FloatArray:
    """The covariance of 2n weeks."""
    n, weeks = D.size, 2 * D.size
    factors = rng.normal(size=(weeks, F.size)) * np.sqrt(F)
    return np.cov(factors @ V + rng.normal(size=(weeks, n)) * np.sqrt(D), rowvar=False)


def design() -> Callable[..., FloatArray]:
    """The peer's compiled function, without the optimiser in JAX that its package imports too."""
    package = importlib.util.find_spec("riskparityportfolio")
    if package is None:
        sys.exit("riskparityportfolio is missing: install the extra 'records'")
    (folder,) = package.submodule_search_locations
    loader = ExtensionFileLoader("vanilla", str(Path(folder, "vanilla" + EXTENSION_SUFFIXES[0])))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("vanilla", loader))
    loader.exec_module(module)
    return module.design


def deviation(Sigma: Any, x: FloatArray) -> float:
    """max_i |n x_i (Σx)_i / x'Σx − 1|."""
    R = x * (Sigma @ x)
    return float(np.abs(R.size * R / R.sum() - 1.0).max())


def dense(n: int, limit: float, make: Callable[[int, int], FloatArray], kind: str) -> Record:
    peer, budgets, worst = design(), np.full(n, 1.0 / n), [0.0]

    def ours(Sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
        portfolio = RiskParitySOCP(DenseCovariance(Sigma)).solve("newton", tol=ACCURACY)
        return Sigma, portfolio.weights.to_numpy()

    def theirs(Sigma: FloatArray, method: str) -> tuple[FloatArray, FloatArray]:
        return Sigma, peer(Sigma, budgets, ACCURACY / n, 1000, method)

    def check(*answers: tuple[FloatArray, FloatArray]) -> None:
        worst.append(max(deviation(*answer) for answer in answers))
        assert worst[-1] <= ACCURACY, worst[-1]

    repeated = 60 if n <= 200 else 8
    # Its matrices are in the order of columns. Both of its methods stop at the same accuracy.
    data = [(Sigma, np.asfortranarray(Sigma)) for Sigma in (make(n, k) for k in range(repeated))]
    first = data[0][1]
    took = {
        method: min(timed(theirs, first, method).seconds for _ in range(3))
        for method in ("spinu", "choi")
    }
    method = min(took, key=lambda name: took[name])
    found = pairs(ours, lambda Sigma: theirs(Sigma, method), data, check)
    return Record(
        f"nominal parity, dense, n = {n:,}, {kind}",
        found.ours,
        limit,
        f"contributions within {max(worst):.1g} of their budgets",
        f"riskparityportfolio, C++, {method!r}, tol = 1e-10/n",
        found.theirs,
        found.ratio,
    )


def million() -> Record:
    n, m, taken, worst = 1_000_000, 10, [], 0.0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        V = np.vstack([rng.normal(1.0, 0.25, n), rng.normal(0.0, 0.4, (m - 1, n))])
        F, D = np.diag(np.append(5e-4, np.full(m - 1, 1e-4))), rng.uniform(2e-4, 2e-3, n)
        portfolio, seconds = timed(
            lambda V, F, D: RiskParitySOCP(FactorCovariance(V, F, D)).solve("newton"), V, F, D
        )
        taken.append(seconds)
        # In extended precision: what is left is the answer's error, not that of checking it.
        x = portfolio.weights.to_numpy().astype(np.longdouble)
        R = x * (V.T @ (F @ (V @ x)) + D * x)
        worst = max(worst, float(np.abs(n * R / R.sum() - 1.0).max()))
        assert worst <= ACCURACY, worst
        assert portfolio.certificate.is_risk_parity, portfolio.certificate
    return Record(
        f"nominal parity, factored, n = {n:,}, m = {m}",
        statistics.median(taken),
        5.0,
        f"contributions within {worst:.1g} of their budgets, in extended precision",
    )


def records() -> Iterator[Record]:
    """The rows of this group."""
    for n, limit in ((200, 2.0), (1000, 1.0), (2000, 1.0)):
        yield dense(n, limit, stocks, "stocks")
    for n, limit in ((200, 2.0), (1000, 1.0)):
        yield dense(n, limit, stocks_and_bonds, "stocks and bonds")
    yield million()
