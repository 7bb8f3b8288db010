"""CSV files and the French data set."""

from __future__ import annotations

import builtins

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.data import (
    datasets,
    excess_returns,
    read_budgets,
    read_factors,
    read_returns,
)
from rrp_pyomo.errors import InputError


def test_returns_come_back_as_written(tmp_path, sample):
    returns, _ = sample
    for name in ("returns.csv", "returns.csv.gz"):
        returns.to_csv(tmp_path / name)
        read = read_returns(tmp_path / name)
        pd.testing.assert_frame_equal(read, returns, check_names=False, check_freq=False)


def test_ticker_that_looks_like_a_missing_value(tmp_path):
    (tmp_path / "r.csv").write_text("date, NA, TRUE\n2001-01-05, 0.01, 0.02\n20010112,0.03,0\n")
    read = read_returns(tmp_path / "r.csv")
    assert list(read) == ["NA", "TRUE"]
    assert list(read.index) == [pd.Timestamp("2001-01-05"), pd.Timestamp("2001-01-12")]
    np.testing.assert_array_equal(read, [[0.01, 0.02], [0.03, 0.0]])


def test_risk_free_rate_is_split_off(tmp_path, sample):
    returns, factors = sample
    risk_free = pd.Series(np.linspace(0.001, 0.002, len(factors)), factors.index, name="RF")
    factors.join(risk_free).to_csv(tmp_path / "f.csv")
    read = read_factors(tmp_path / "f.csv")
    pd.testing.assert_frame_equal(read.factors, factors, check_names=False, check_freq=False)
    excess = excess_returns(returns, read.risk_free)
    np.testing.assert_allclose(excess, returns.to_numpy() - risk_free.to_numpy()[:, None])

    factors.to_csv(tmp_path / "plain.csv")
    assert read_factors(tmp_path / "plain.csv").risk_free is None
    assert excess_returns(returns, None) is returns


def test_budgets(tmp_path):
    (tmp_path / "b.csv").write_text("asset,budget\nA,0.25\nB,0.75\n")
    assert read_budgets(tmp_path / "b.csv").to_dict() == {"A": 0.25, "B": 0.75}


def test_french_data():
    data = datasets.french()
    assert data.returns.shape == (819, 30)
    assert list(data.factors) == ["Mkt-RF", "SMB", "HML"]
    for table in (data.returns, data.factors, data.risk_free):
        assert table.index.equals(pd.date_range("1949-01-31", "2017-03-31", freq="ME"))
        assert table.notna().all(axis=None)
    # Decimals: the market earned about 0.6 % a month over a risk-free rate of about 0.35 %.
    assert data.factors["Mkt-RF"].mean() == pytest.approx(0.0064, abs=0.001)
    assert data.risk_free.mean() == pytest.approx(0.0035, abs=0.0005)
    # Total returns: the industries' mean moves one for one with the risk-free rate.
    industries = data.returns.iloc[:, :12].mean(axis=1)
    design = np.column_stack([np.ones(819), data.factors["Mkt-RF"], data.risk_free])
    coefficients = np.linalg.lstsq(design, industries)[0]
    assert coefficients[2] == pytest.approx(1.0, abs=0.2)


def test_french_data_without_linearmodels(monkeypatch):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("linearmodels"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r'pip install "rrp-pyomo\[data\]"'):
        datasets.french()
