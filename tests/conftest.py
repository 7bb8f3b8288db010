"""Instances for the tests: seeded covariances and uncertainty sets, random and of the market."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

# Small matrices: threads would only wait for each other. Libraries read this when they are loaded.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.data import CovarianceUncertainty, DenseCovariance, FactorCovariance, FactorModel
from rrp_pyomo.errors import SolverUnavailableError
from rrp_pyomo.solve.table import find_solver


def pytest_configure(config: pytest.Config) -> None:
    """Warnings of results to look at are errors; said here, the import is seen by coverage."""
    config.addinivalue_line("filterwarnings", "error::rrp_pyomo.errors.RiskParityWarning")


MARKET_DATA = Path(__file__).parents[2] / "shared" / "data"


def labels(n: int) -> list[str]:
    return [f"A{i}" for i in range(n)]


@pytest.fixture(scope="session")
def factor_covariance() -> Callable[..., FactorCovariance]:
    """V'FV + D of weekly returns: a market with betas around 1 and m − 1 other factors."""

    def make(n: int, m: int = 3, seed: int = 0) -> FactorCovariance:
        rng = np.random.default_rng([n, m, seed])
        V = rng.normal(0.0, 0.4, (m, n))
        V[0] = rng.normal(1.0, 0.25, n)
        half = np.diag(np.linspace(0.022, 0.01, m)) @ (np.eye(m) + 0.2 * rng.normal(size=(m, m)))
        D = rng.uniform(0.015, 0.05, n) ** 2
        return FactorCovariance(V, half.T @ half, D, labels(n))

    return make


@pytest.fixture(scope="session")
def dense_covariance() -> Callable[..., DenseCovariance]:
    """A sample covariance of 2n correlated weekly returns."""

    def make(n: int, seed: int = 0) -> DenseCovariance:
        rng = np.random.default_rng([n, seed])
        common = rng.normal(size=(2 * n, 1)) * rng.uniform(0.2, 1.2, n)
        returns = (common + rng.normal(size=(2 * n, n))) * rng.uniform(0.01, 0.05, n)
        return DenseCovariance(returns.T @ returns / (2 * n), labels(n))

    return make


@pytest.fixture(scope="session")
def hedging_covariance() -> Callable[..., FactorCovariance]:
    """Market betas N(1, 0.5²) and loadings N(0, 0.5²) on two more factors: some assets hedge."""

    def make(n: int, seed: int) -> FactorCovariance:
        rng = np.random.default_rng(seed)
        V = rng.normal(0.0, 0.5, (3, n))
        V[0] += 1.0
        return FactorCovariance(
            V, np.diag([4e-4, 1e-4, 1e-4]), rng.uniform(0.02, 0.05, n) ** 2, labels(n)
        )

    return make


@pytest.fixture(scope="session")
def make_uncertainty(factor_covariance) -> Callable[..., CovarianceUncertainty]:
    """A set that standard errors of 0.03 to 0.12 imply, as three years of weeks give."""

    def make(n: int, m: int = 3, seed: int = 0, scale: float = 1.0) -> CovarianceUncertainty:
        errors = np.random.default_rng(seed).uniform(0.03, 0.12, (m, n))
        return CovarianceUncertainty.from_loading_errors(
            factor_covariance(n, m, seed), errors, scale
        )

    return make


@pytest.fixture(scope="session")
def market() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Weekly excess returns of 250 stocks and of the three Fama-French factors, 1995 to 2016."""
    if not MARKET_DATA.is_dir():
        pytest.skip(f"the market data are not in {MARKET_DATA}")
    returns, factors = (
        pd.read_csv(MARKET_DATA / name, index_col=0, parse_dates=True)
        for name in ("weekly_returns.csv.gz", "ff3_weekly.csv")
    )
    return returns.sub(factors.pop("RF"), axis=0), factors


@pytest.fixture(scope="session")
def market_uncertainty(market) -> Callable[..., CovarianceUncertainty]:
    """The set of n random stocks, from ``weeks`` weeks of the market data."""

    def make(n: int, seed: int = 0, weeks: int = 156) -> CovarianceUncertainty:
        returns, factors = market
        rng = np.random.default_rng([n, seed])
        stocks = rng.choice(returns.columns, n, replace=False)
        first = rng.integers(len(returns) - weeks)
        window = slice(first, first + weeks)
        return FactorModel.fit(returns[stocks][window], factors[window]).covariance_uncertainty()

    return make


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """The name of an optional solver, or a skip that says how to install it."""

    def require(name: str) -> str:
        try:
            find_solver(name).require()
        except SolverUnavailableError as missing:
            pytest.skip(str(missing))
        return name

    return require
