from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rrp_pyomo.backtest.statistics import (
    concentration,
    maximum_drawdown,
    paired_t,
    performance,
    turnover_of,
    wealth_of,
)
from rrp_pyomo.errors import InputError


def test_constant_growth() -> None:
    annual = performance(np.array([0.0, 0.02] * 26), 52)
    assert annual.excess_return == pytest.approx(1.02**26 - 1)
    assert annual.volatility == pytest.approx(0.01 * np.sqrt(52 / 51) * np.sqrt(52))
    assert annual.sharpe == pytest.approx(annual.excess_return / annual.volatility)


def test_arithmetic_mean() -> None:
    assert performance(np.array([0.0, 0.02]), 12, "arithmetic").excess_return == pytest.approx(0.12)


def test_geometric_mean_of_a_period_times_the_periods() -> None:
    annual = performance(np.array([0.0, 0.0404]), 12, "uncompounded")
    assert annual.excess_return == pytest.approx(12 * 0.02)
    assert performance(np.array([0.0, 0.0404]), 1, "uncompounded").excess_return == pytest.approx(
        performance(np.array([0.0, 0.0404]), 1).excess_return
    )
    assert performance(np.array([0.1, -1.0]), 12, "uncompounded").excess_return == -12.0


def test_unknown_mean() -> None:
    with pytest.raises(InputError, match="expected one of geometric, uncompounded, arithmetic"):
        performance(np.zeros(3), 12, "harmonic")  # type: ignore[arg-type]


def test_drawdown_counts_the_beginning() -> None:
    assert maximum_drawdown(np.array([-0.5, 1.0, -0.25])) == pytest.approx(0.5)
    assert maximum_drawdown(np.array([0.1, 0.1])) == 0.0


@given(hnp.arrays(float, (20, 2), elements=st.floats(-0.5, 0.5)))
@settings(max_examples=30)
def test_drawdown_is_the_worst_pair(returns: np.ndarray) -> None:
    wealth = np.vstack([np.ones(2), wealth_of(returns)])
    worst = [
        max(1 - wealth[j, k] / wealth[i, k] for i in range(21) for j in range(i, 21))
        for k in range(2)
    ]
    np.testing.assert_allclose(maximum_drawdown(returns), worst, atol=1e-12)


def test_turnover() -> None:
    weights = np.array([[[0.5, 0.5]], [[0.7, 0.3]], [[0.7, 0.3]]])
    np.testing.assert_allclose(turnover_of(weights), [[0.4], [0.0]])


def test_concentration_of_one_asset_and_of_parity() -> None:
    one, even = concentration(np.array([[1.0, 0, 0, 0], [0.25] * 4])).cv
    assert (one, even) == (pytest.approx(2.0), 0.0)
    measured = concentration(np.array([1.0, 0, 0, 0]))
    assert (measured.hrc, measured.herfindahl) == (1.0, 1.0)


def test_paired_t() -> None:
    difference = np.array([1.0, 2.0, 3.0])
    assert paired_t(difference + 5.0, np.full(3, 5.0)) == pytest.approx(2.0 / (1.0 / np.sqrt(3)))
