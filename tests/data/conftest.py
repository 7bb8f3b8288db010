"""Random instances for the tests of the data layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.data import FactorCovariance

Sample = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="session")
def make_sample() -> Callable[..., Sample]:
    """Returns of n assets that follow m correlated factors, and the factors, weekly."""

    def make(seed: int, n: int = 6, m: int = 3, p: int = 120) -> Sample:
        rng = np.random.default_rng(seed)
        dates = pd.date_range("2000-01-07", periods=p, freq="W-FRI")
        factors = rng.normal(size=(p, m)) @ rng.normal(size=(m, m)) * 0.02 + 0.001
        loadings = rng.normal(size=(m, n)) * 0.5
        loadings[0] += 1.0
        returns = factors @ loadings + rng.normal(size=(p, n)) * rng.uniform(0.01, 0.05, n)
        return (
            pd.DataFrame(returns, dates, [f"A{i}" for i in range(n)]),
            pd.DataFrame(factors, dates, [f"F{k}" for k in range(m)]),
        )

    return make


@pytest.fixture
def sample(make_sample: Callable[..., Sample]) -> Sample:
    return make_sample(seed=0)


@pytest.fixture(scope="session")
def make_covariance() -> Callable[..., FactorCovariance]:
    """A random factor covariance, F of the given rank."""

    def make(seed: int, n: int = 6, m: int = 3, rank: int | None = None) -> FactorCovariance:
        rng = np.random.default_rng(seed)
        half = rng.normal(size=(m if rank is None else rank, m))
        return FactorCovariance(
            rng.normal(size=(m, n)),
            half.T @ half,
            rng.uniform(0.1, 1.0, n),
            [f"A{i}" for i in range(n)],
            [f"F{k}" for k in range(m)],
        )

    return make
