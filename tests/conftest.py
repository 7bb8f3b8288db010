"""Instances for the tests: seeded covariances and uncertainty sets, random and of the market."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# Small matrices: threads would only wait for each other. Libraries read this when they are loaded.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.data import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    FactorModel,
    FrenchData,
    datasets,
)
from rrp_pyomo.errors import SolverUnavailableError
from rrp_pyomo.solve.table import find_solver

if TYPE_CHECKING:
    from rrp_pyomo.backtest.engine import Panel


def pytest_configure(config: pytest.Config) -> None:
    """Warnings of results to look at are errors; said here, the import is seen by coverage."""
    config.addinivalue_line("filterwarnings", "error::rrp_pyomo.errors.RiskParityWarning")
    # Whoever starts the tests may ignore Ctrl-C, as `&` does: tests of interrupts would not end.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


# --- markets -------------------------------------------------------------------------------------


@dataclass(eq=False)
class Market:
    """Total returns of assets that follow three factors, the factors and the risk-free rate."""

    returns: pd.DataFrame
    factors: pd.DataFrame
    risk_free: pd.Series

    @property
    def excess(self) -> pd.DataFrame:
        return self.returns.sub(self.risk_free, axis=0)

    @property
    def panel(self) -> Panel:
        from rrp_pyomo.backtest.engine import Panel

        return Panel.of(self.returns, self.factors, self.risk_free)


FACTORS = ["Mkt-RF", "SMB", "HML"]


@pytest.fixture(scope="session")
def make_market() -> Callable[..., Market]:
    """Eight years of months of six assets, or of more or longer."""

    def make(assets: int = 6, periods: int = 96, seed: int = 0) -> Market:
        rng = np.random.default_rng(seed)
        dates = pd.date_range("2000-01-31", periods=periods, freq="ME", name="date")
        factors = rng.normal(0.005, 0.03, (periods, 3)) * [1.5, 0.7, 0.6]
        loadings = np.vstack([rng.normal(1.0, 0.3, assets), rng.normal(0.0, 0.5, (2, assets))])
        returns = factors @ loadings + rng.normal(0.0, 0.04, (periods, assets))
        return Market(
            pd.DataFrame(returns + 0.002, dates, [f"asset {i}" for i in range(assets)]),
            pd.DataFrame(factors, dates, FACTORS),
            pd.Series(0.002, dates, name="RF"),
        )

    return make


@pytest.fixture
def market(make_market) -> Market:
    """A small market of one's own, to be changed at will."""
    return make_market()


@pytest.fixture(scope="session")
def weekly_market() -> Market:
    """250 stocks over the weeks of the paper, 1995 to 2016, with moments like theirs.

    Factors have volatilities of 17, 9 and 10 % a year and fat tails, betas are 0.8 ± 0.4, and two
    thirds of a stock's variance are its own. To be read, not changed.
    """
    rng = np.random.default_rng(2020)
    dates = pd.date_range("1995-01-06", "2016-12-30", freq="W-FRI", name="date")
    weeks, n = len(dates), 250
    tails = np.sqrt(3.0 / rng.chisquare(5, (weeks, 1)))  # Student's t of 5 degrees of freedom
    factors = [0.0015, 0.0004, 0.0005] + tails * rng.normal(size=(weeks, 3)) * [
        0.023, 0.012, 0.014,
    ]  # fmt: skip
    loadings = rng.normal([[0.8], [0.1], [0.4]], [[0.4], [0.4], [0.6]], (3, n))
    own = tails * rng.normal(size=(weeks, n)) * rng.uniform(0.02, 0.06, n)
    rate = np.linspace(0.001, 0.0, weeks)
    returns = np.maximum(factors @ loadings + own, -0.8) + rate[:, None]
    return Market(
        pd.DataFrame(returns, dates, [f"S{i:03d}" for i in range(n)]),
        pd.DataFrame(factors, dates, FACTORS),
        pd.Series(rate, dates, name="RF"),
    )


@pytest.fixture(scope="session")
def market_uncertainty(weekly_market) -> Callable[..., CovarianceUncertainty]:
    """The set of n random stocks, from ``weeks`` weeks of the weekly market."""

    def make(n: int, seed: int = 0, weeks: int = 156) -> CovarianceUncertainty:
        returns, factors = weekly_market.excess, weekly_market.factors
        rng = np.random.default_rng([n, seed])
        stocks = rng.choice(returns.columns, n, replace=False)
        first = rng.integers(len(returns) - weeks)
        window = slice(first, first + weeks)
        return FactorModel.fit(returns[stocks][window], factors[window]).covariance_uncertainty()

    return make


@pytest.fixture(scope="session")
def french() -> FrenchData:
    """Monthly returns of 30 portfolios of Kenneth French's, which come with a dependency."""
    return datasets.french()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The paper's own market, for tests of the paper's own numbers; its prices are not ours."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"the paper's market data are not beside this checkout, in {path}")
    return path


# --- solvers -------------------------------------------------------------------------------------


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
