"""CSV files and the French data set."""

from __future__ import annotations

import builtins
import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


GOOD = "date,A,B\n2001-01-05,0.1,0.2\n2001-01-12,0.1,0.3\n"


def archive(kind: str) -> bytes:
    """A sound file, packed."""
    text, packed = GOOD.encode() * 40, io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr("data.csv", text)
    elif kind == "tar":
        with tarfile.open(fileobj=packed, mode="w") as file:
            info = tarfile.TarInfo("data.csv")
            info.size = len(text)
            file.addfile(info, io.BytesIO(text))
    else:
        return {"gz": gzip, "bz2": bz2, "xz": lzma}[kind].compress(text)
    return packed.getvalue()


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip", "tar", "zst"])
@pytest.mark.parametrize("seed", range(6))
def test_damaged_archives(kind, seed, tmp_path):
    """Cut short, changed, or something else: one line that names the file."""
    rng = np.random.default_rng(seed)
    content = bytearray(archive("gz" if kind == "zst" else kind))
    if seed < 2:
        del content[rng.integers(1, len(content) - 2) :]
    elif seed < 4:
        for at in rng.integers(0, len(content), 20):
            content[at] ^= 0x41
    else:
        content = bytearray(GOOD.encode() if seed == 4 else rng.bytes(300))
    path = tmp_path / f"data.csv.{kind}"
    path.write_bytes(content)
    for read in (read_returns, read_factors, read_budgets):
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("members", [0, 2])
def test_archives_of_other_than_one_file(members, tmp_path):
    with zipfile.ZipFile(tmp_path / "data.csv.zip", "w") as file:
        for k in range(members):
            file.writestr(f"{k}.csv", GOOD)
    with pytest.raises(InputError, match=r"data\.csv\.zip is not a CSV file"):
        read_returns(tmp_path / "data.csv.zip")


@pytest.mark.parametrize("path", ["", ".", "a\0b.csv", 5, None, b"data.csv", ["data.csv"]])
def test_paths_that_are_none(path):
    for read in (read_returns, read_factors, read_budgets):
        with pytest.raises(InputError):
            read(path)


ZONES = {
    "summer": ["2001-01-05T00:00+01:00", "2001-01-12T00:00+01:00", "2001-04-06T00:00+02:00"],
    "one Z": ["2001-01-05", "2001-01-12", "2001-01-19T00:00Z"],
    "all but one": ["2001-01-05T00:00Z", "2001-01-12T00:00Z", "2001-01-19"],
}


@pytest.mark.parametrize("case", ZONES)
def test_dates_of_several_zones(case, tmp_path):
    rows = "".join(f"{date},0.1\n" for date in ZONES[case])
    (tmp_path / "data.csv").write_text(f"date,A\n\n{rows}")
    with pytest.raises(InputError, match=r"data\.csv, line 5: '2001.* time zone"):
        read_returns(tmp_path / "data.csv")


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.data())
def test_lines_are_those_of_an_editor(tmp_path_factory, data):
    """Whatever blank lines and cells over several lines are before the one that is meant."""
    blank = st.sampled_from(["", "\n", "\n\n", "  \n", "\n \n"])
    tall = data.draw(st.booleans())
    lines = [data.draw(blank), '"da\nte",A,B\n' if tall else "date,A,B\n"]
    for day in range(1, data.draw(st.integers(2, 6))):
        lines += [data.draw(blank), f"2001-01-{day:02d},0.01,0.02\n"]
    before = "".join([*lines, data.draw(blank)])
    wrong = data.draw(st.sampled_from(["2001-02-01,0.01,x\n", "2001-02-01,,0.02\n", "x,0.1,0.2\n"]))
    path = tmp_path_factory.getbasetemp() / "lines.csv"
    path.write_text(before + wrong + data.draw(blank) + "2001-02-02,0.01,0.02\n")
    with pytest.raises(InputError, match=rf"lines\.csv, line {before.count(chr(10)) + 1}[,:]"):
        read_returns(path)
