"""Returns for the backtests: French portfolios, and small synthetic markets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.backtest.engine import Panel
from rrp_pyomo.data import FrenchData, datasets, read_factors, read_returns

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def french() -> FrenchData:
    return datasets.french()


@pytest.fixture(scope="session")
def stocks() -> Panel:
    """The 250 stocks and three factors of section 5, weekly."""
    if not SHARED.is_dir():
        pytest.skip(f"the market data of the experiments are not at {SHARED}")
    factors = read_factors(SHARED / "ff3_weekly.csv")
    returns = read_returns(SHARED / "weekly_returns.csv.gz")
    return Panel.of(returns, factors.factors, factors.risk_free)


class Market:
    """Monthly returns of n assets that follow three factors."""

    def __init__(self, assets: int = 6, periods: int = 96, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        dates = pd.date_range("2000-01-31", periods=periods, freq="ME", name="date")
        factors = rng.normal(0.005, 0.03, (periods, 3)) * [1.5, 0.7, 0.6]
        loadings = np.vstack([rng.normal(1.0, 0.3, assets), rng.normal(0.0, 0.5, (2, assets))])
        returns = factors @ loadings + rng.normal(0.0, 0.04, (periods, assets))
        labels = [f"asset {i}" for i in range(assets)]
        self.returns = pd.DataFrame(returns + 0.002, dates, labels)
        self.factors = pd.DataFrame(factors, dates, ["Mkt-RF", "SMB", "HML"])
        self.risk_free = pd.Series(0.002, dates, name="RF")

    @property
    def panel(self) -> Panel:
        return Panel.of(self.returns, self.factors, self.risk_free)


@pytest.fixture
def market() -> Market:
    return Market()
