"""Decimals, per cent and scales: what is refused, and that sensible decimals never are."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rrp_pyomo import FactorModel, RiskParitySOCP, RobustRiskParity
from rrp_pyomo.backtest.engine import Panel
from rrp_pyomo.cli.main import app
from rrp_pyomo.data import (
    DenseCovariance,
    FactorCovariance,
    excess_returns,
    read_factors,
    read_returns,
)
from rrp_pyomo.errors import InputError

quick = settings(deadline=None, derandomize=True, max_examples=25)
FREQUENCIES = {"B": 252, "W-FRI": 52, "ME": 12, "QE": 4}

# Volatilities and riskless rates a year.
STOCKS, BONDS, BILLS, COINS = 0.3, 0.05, 0.01, 1.2
KINDS = {"stocks": STOCKS, "bonds": BONDS, "bills": BILLS, "coins": COINS}


def table(rng, frequency, volatility, columns, mean=0.0, periods=240):
    per_year = FREQUENCIES[frequency]
    dates = pd.date_range("1975-01-01", periods=periods, freq=frequency, name="date")
    tails = np.sqrt(3.0 / rng.chisquare(5, (periods, 1)))
    values = mean / per_year + tails * rng.normal(size=(periods, len(columns))) * (
        volatility / np.sqrt(per_year)
    )
    return pd.DataFrame(np.maximum(values, -0.9), dates, list(columns))


def market(seed, frequency, volatility, rate=0.05, factor_volatility=(0.16, 0.09, 0.09)):
    """Returns that earn the rate, too, factors and the rate, in decimals."""
    rng = np.random.default_rng(seed)
    returns = table(rng, frequency, volatility, "ABCDEF", mean=rate)
    factors = table(rng, frequency, 1.0, ["MKT", "SMB", "MOM"]) * factor_volatility
    return returns, factors, pd.Series(rate / FREQUENCIES[frequency], returns.index, name="RF")


def files(folder, returns, factors, rate=None):
    returns.to_csv(folder / "returns.csv")
    (factors if rate is None else factors.join(rate)).to_csv(folder / "factors.csv")
    return ["--returns", str(folder / "returns.csv"), "--factors", str(folder / "factors.csv")]


def solve(arguments, *more):
    words = ["solve", "--model", "socp", "--solver", "newton", *arguments, *more]
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.05, 0.16])
def test_decimals_are_taken(tmp_path, frequency, kind, rate):
    """Quiet and wild assets beside factors leveraged three times, at rates of all times."""
    for lever in (1.0, 3.0):
        volatility = np.array([0.16, 0.09, 0.16]) * lever
        returns, factors, RF = market(0, frequency, KINDS[kind], rate, volatility)
        files(tmp_path, returns, factors, RF)
        given = read_factors(tmp_path / "factors.csv")
        total = read_returns(tmp_path / "returns.csv")
        excess = excess_returns(total, given.risk_free)
        np.testing.assert_allclose(excess, returns.sub(RF, axis=0), atol=1e-15)
        Panel.of(total, given.factors, given.risk_free)


def test_the_rates_of_1981_and_the_french_data_are_taken(french, tmp_path):
    arguments = files(tmp_path, french.returns, french.factors, french.risk_free)
    assert solve(arguments).exit_code == 0
    files(tmp_path, french.returns, french.factors, french.risk_free * 0 + 0.0135)
    assert read_factors(tmp_path / "factors.csv").risk_free.max() == 0.0135


@pytest.mark.parametrize("frequency", ["B", "W-FRI", "ME"])
@pytest.mark.parametrize("kind", ["stocks", "bonds"])
@pytest.mark.parametrize("with_rate", [True, False])
def test_factors_in_per_cent(tmp_path, frequency, kind, with_rate):
    """Refused with the option that says so; with it, the answer is that of decimals."""
    returns, factors, RF = market(1, frequency, KINDS[kind])
    rate = RF if with_rate else None
    expected, weights = tmp_path / "expected.json", tmp_path / "weights.json"
    assert solve(files(tmp_path, returns, factors, rate), "--json", expected).exit_code == 0
    arguments = files(tmp_path, returns, 100 * factors, 100 * rate if with_rate else None)
    refused = solve(arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    for fragment in ("factors.csv", "percentages", "divide by 100", "--factors-in-percent"):
        assert fragment in line
    assert solve(arguments, "--factors-in-percent", "--json", weights).exit_code == 0
    one, other = (json.loads(path.read_text())["weights"] for path in (expected, weights))
    assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.16])
def test_rate_in_per_cent(tmp_path, frequency, rate):
    returns, factors, RF = market(2, frequency, STOCKS, rate)
    files(tmp_path, returns, factors, 100 * RF)
    with pytest.raises(InputError, match=r"RF is .* in per cent.*--factors-in-percent"):
        read_factors(tmp_path / "factors.csv")
    declared = read_factors(tmp_path / "factors.csv", percent=False)  # but then beside returns:
    if rate >= 0.05:
        with pytest.raises(InputError, match=r"risk_free is .* in per cent"):
            excess_returns(returns, declared.risk_free)
        with pytest.raises(InputError, match=r"risk_free is .* in per cent"):
            Panel.of(returns, factors, declared.risk_free)


@pytest.mark.parametrize(("frequency", "volatility"), [("B", BONDS), ("W-FRI", 0.03), ("ME", 0.03)])
def test_quiet_returns_in_per_cent(tmp_path, frequency, volatility):
    returns, _, _ = market(3, frequency, volatility)
    (100 * returns).to_csv(tmp_path / "returns.csv")
    with pytest.raises(InputError, match="divide by 100"):
        read_returns(tmp_path / "returns.csv")
    read = read_returns(tmp_path / "returns.csv", percent=True)
    np.testing.assert_allclose(read, returns, rtol=1e-12)


def test_quiet_tables_beside_each_other(tmp_path):
    """Bond factors of 1.5 % a year, in per cent: wild for themselves only beside quiet bonds."""
    returns, factors, _ = market(4, "ME", 0.015, factor_volatility=(0.015, 0.015, 0.015))
    assert "percentages" in solve(files(tmp_path, returns, 100 * factors)).stderr
    assert "percentages" in solve(files(tmp_path, 100 * returns, factors)).stderr
    assert solve(files(tmp_path, returns, factors)).exit_code == 0


@pytest.mark.parametrize("start", [1.0, 100.0])
def test_prices_are_not_called_percentages(tmp_path, start):
    returns, factors, _ = market(5, "ME", STOCKS)
    prices = start * (1.0 + returns).cumprod()
    refused = solve(files(tmp_path, prices, factors))
    assert "prices.pct_change()" in refused.stderr
    assert "percentages" not in refused.stderr
    for fit in (FactorModel.fit, Panel.of):
        with pytest.raises(InputError, match=r"seem to be prices; .*pct_change"):
            fit(prices, factors)


@pytest.mark.parametrize("percent", ["yes", 1, 0.0, np.True_])
def test_per_cent_is_yes_or_no(tmp_path, percent):
    with pytest.raises(InputError, match="expected True, False or None"):
        read_returns(tmp_path / "returns.csv", percent=percent)


# --- more than all is lost -----------------------------------------------------------------------


@quick
@given(st.integers(0, 10**6), st.floats(-50.0, -1.03), st.sampled_from(sorted(FREQUENCIES)))
def test_more_than_all_is_lost(tmp_path_factory, seed, loss, frequency):
    returns, factors, _ = market(seed, frequency, STOCKS)
    row, column = np.random.default_rng(seed).integers((len(returns), 6))
    returns.iloc[row, column] = loss
    path = tmp_path_factory.getbasetemp() / "lost.csv"
    returns.to_csv(path)
    where = f"'{returns.columns[column]}' at '{returns.index[row]:%Y-%m-%d}' is {loss:.6g}"
    for call in (lambda: read_returns(path), lambda: FactorModel.fit(returns, factors)):
        with pytest.raises(InputError, match="below the −1 of a total loss") as caught:
            call()
        assert where in str(caught.value)


def test_all_is_lost(tmp_path):
    """−100 % is possible, and a little less over the riskless rate; factors may lose more."""
    returns, factors, RF = market(5, "ME", STOCKS)
    returns.iloc[40, 2], factors.iloc[7, 1] = -1.0, -1.2
    files(tmp_path, returns, factors, RF)
    given = read_factors(tmp_path / "factors.csv")
    FactorModel.fit(
        excess_returns(read_returns(tmp_path / "returns.csv"), given.risk_free), given.factors
    )


# --- scales --------------------------------------------------------------------------------------

POWERS = st.integers(-70, 70)


@quick
@given(st.integers(0, 10**6), POWERS, POWERS)
def test_every_scale_gives_the_same_portfolio(seed, returns_power, factors_power):
    returns, factors, _ = market(seed, "ME", STOCKS)
    plain = FactorModel.fit(returns, factors).covariance_uncertainty()
    c = 10.0**returns_power
    scaled = FactorModel.fit(c * returns, 10.0**factors_power * factors).covariance_uncertainty()
    assert scaled.relative_size == pytest.approx(plain.relative_size, rel=1e-9)
    np.testing.assert_allclose(
        scaled.worst_case.volatilities(), c * plain.worst_case.volatilities(), rtol=1e-9
    )
    weights = [RiskParitySOCP(U.worst_case).solve("newton").weights for U in (plain, scaled)]
    np.testing.assert_allclose(*weights, rtol=1e-9)


@pytest.mark.parametrize("c", [1e-70, 1e70])
def test_extreme_scales_are_solved(c):
    returns, factors, _ = market(6, "ME", STOCKS)
    one, other = (
        RobustRiskParity(FactorModel.fit(k * returns, k * factors).covariance_uncertainty()).solve()
        for k in (1.0, c)
    )
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)
    assert other.omega_max == pytest.approx(one.omega_max, rel=1e-6)
    assert other.certificate.largest_residual < 1e-6


@pytest.mark.parametrize("c", [1e-300, 1e-160, 1e-80, 1e80, 1e160, 1e300])
@pytest.mark.parametrize("part", ["returns", "factors", "one asset"])
def test_beyond_all_scales(c, part):
    returns, factors, _ = market(7, "ME", STOCKS)
    if part == "one asset":
        returns["C"] *= c
    else:
        returns, factors = (c * returns, factors) if part == "returns" else (returns, c * factors)
    match = r"beyond the scale of 1e-74 to 1e\+74.*units"
    if part == "one asset" and c > 1:  # beside decimals
        match = "'C' at .* below the −1 of a total loss"
    with pytest.raises(InputError, match=match):
        FactorModel.fit(returns, factors)


@pytest.mark.parametrize("c", [1e-300, 1e-160, 1e160, 1e300])
def test_variances_beyond_all_scales(c):
    for make in (
        lambda: DenseCovariance(c * (np.eye(3) + 0.5)),
        lambda: FactorCovariance(np.ones((1, 3)), [[c]], [c, c, c]),
        lambda: FactorCovariance(np.full((1, 3), np.sqrt(c)), [[1.0]], [0.0, 0.0, 0.0]),
    ):
        with pytest.raises(InputError, match=r"variance .* beyond the scale of .* units"):
            make()
