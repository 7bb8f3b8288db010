"""The factor model: ordinary least squares, equations (8) and (9)."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo.data import FactorModel, datasets, excess_returns
from rrp_pyomo.errors import RiskParityWarning

quick = settings(deadline=None, derandomize=True, max_examples=30)


def assert_is_ols(model: FactorModel, returns: pd.DataFrame, factors: pd.DataFrame) -> None:
    design = sm.add_constant(factors)
    for asset in returns:
        fit = sm.OLS(returns[asset], design).fit()
        scale = np.abs(fit.params).max()
        assert model.alpha[asset] == pytest.approx(
            fit.params["const"], rel=1e-10, abs=1e-10 * scale
        )
        np.testing.assert_allclose(
            model.loadings[asset], fit.params.iloc[1:], rtol=1e-10, atol=1e-10 * scale
        )
        np.testing.assert_allclose(
            model.loading_standard_errors[asset], fit.bse.iloc[1:], rtol=1e-10
        )
        assert model.residual_variance[asset] == pytest.approx(fit.mse_resid, rel=1e-10)
        np.testing.assert_allclose(
            model.residuals[asset], fit.resid, atol=1e-10 * returns[asset].std()
        )


@quick
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 6), st.integers(8, 60))
def test_equals_statsmodels(make_sample, seed, n, m, p):
    returns, factors = make_sample(seed, n, m, p)
    assert_is_ols(FactorModel.fit(returns, factors), returns, factors)


def test_equals_statsmodels_on_french_data():
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free)
    assert_is_ols(FactorModel.fit(returns, data.factors), returns, data.factors)


def test_equals_statsmodels_on_fat_tailed_weeks(weekly_market):
    returns, factors = weekly_market.excess.iloc[:260, :25], weekly_market.factors.iloc[:260]
    assert_is_ols(FactorModel.fit(returns, factors), returns, factors)


def test_fewest_observations(make_sample):
    returns, factors = make_sample(seed=1, n=4, m=3, p=5)
    assert_is_ols(FactorModel.fit(returns, factors), returns, factors)


def test_moments(sample):
    returns, factors = sample
    model = FactorModel.fit(returns, factors)
    pd.testing.assert_frame_equal(model.factor_covariance, factors.cov(), rtol=1e-12)
    # With an intercept, α + V'φ is the sample mean.
    pd.testing.assert_series_equal(
        model.expected_returns, returns.mean(), rtol=1e-12, check_names=False
    )
    sigma = model.loadings.T @ factors.cov() @ model.loadings + np.diag(model.residual_variance)
    pd.testing.assert_frame_equal(model.covariance.matrix(), sigma, rtol=1e-12)
    fitted = model.alpha + factors @ model.loadings
    pd.testing.assert_frame_equal(fitted + model.residuals, returns, rtol=1e-12)
    assert model.observations == len(returns)
    assert repr(model) == "FactorModel(6 assets, 3 factors, 120 observations)"


def test_order_of_assets_and_units_do_not_matter(sample):
    returns, factors = sample
    model = FactorModel.fit(returns, factors)
    reordered = FactorModel.fit(returns.iloc[:, ::-1], factors.iloc[:, ::-1])
    pd.testing.assert_frame_equal(
        reordered.loadings.loc[factors.columns, returns.columns], model.loadings, rtol=1e-10
    )
    percent = FactorModel.fit(100 * returns, 100 * factors)
    pd.testing.assert_frame_equal(percent.loadings, model.loadings, rtol=1e-12)
    pd.testing.assert_frame_equal(
        percent.covariance.matrix(), 1e4 * model.covariance.matrix(), rtol=1e-12
    )


def test_arrays_give_the_same_model(sample):
    returns, factors = sample
    model = FactorModel.fit(returns, factors)
    bare = FactorModel.from_arrays(returns.to_numpy(), factors.to_numpy())
    np.testing.assert_array_equal(bare.loadings, model.loadings)
    assert bare.labels == tuple(range(6))
    assert list(bare.residuals.index) == list(range(120))


def test_model_does_not_follow_changes_of_its_data(sample):
    returns, factors = sample
    model = FactorModel.fit(returns, factors)
    before = model.covariance.matrix()
    returns.iloc[:] = 0.0
    factors.iloc[:] = 0.0
    pd.testing.assert_frame_equal(model.covariance.matrix(), before)
    assert model.expected_returns.abs().min() > 0


def test_an_asset_that_is_a_factor_is_no_error(sample):
    returns, factors = sample
    model = FactorModel.fit(returns.assign(A0=factors["F0"]), factors)
    np.testing.assert_allclose(model.loadings["A0"], [1, 0, 0], atol=1e-12)
    assert model.residual_variance["A0"] == pytest.approx(0, abs=1e-30)
    assert model.covariance.volatilities()["A0"] == pytest.approx(factors["F0"].std())


@pytest.mark.parametrize("name", ["RF", "rf "])
def test_the_riskless_rate_among_the_factors_is_remarked_upon(name):
    dates = pd.date_range("2020-01-31", periods=24, freq="ME")
    rng = np.random.default_rng(0)
    returns = pd.DataFrame(rng.normal(0.0, 0.04, (24, 3)), dates, list("ABC"))
    factors = pd.DataFrame(rng.normal(0.0, 0.04, (24, 2)), dates, ["Mkt-RF", name])
    with pytest.warns(RiskParityWarning, match=rf"a column {name!r}, which is the risk-free rate"):
        FactorModel.fit(returns, factors)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FactorModel.fit(returns, factors.drop(columns=name))
