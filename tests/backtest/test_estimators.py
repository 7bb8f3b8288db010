from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import OAS, LedoitWolf

from rrp_pyomo import FactorModel
from rrp_pyomo.backtest import (
    Backtest,
    BootstrapUncertainty,
    Custom,
    FactorModelEstimator,
    GivenBounds,
    SampleCovariance,
    ShrinkageCovariance,
)
from rrp_pyomo.backtest.engine import Panel
from rrp_pyomo.backtest.estimators import Estimate
from rrp_pyomo.backtest.schedule import Window, rolling_windows
from rrp_pyomo.errors import InputError

BOTH = ["nominal", "worst_case", "robust:0.5"]


def first_estimate(market, estimator) -> Estimate:
    window = rolling_windows(market.returns.index, "5Y")[0]
    return estimator(market.panel.history(window))


def test_factor_model_is_fitted_to_excess_returns(market) -> None:
    estimate = first_estimate(market, FactorModelEstimator(scale=2.0))
    excess = market.returns.sub(market.risk_free, axis=0)
    model = FactorModel.fit(excess.iloc[:60], market.factors.iloc[:60])
    pd.testing.assert_frame_equal(estimate.covariance.matrix(), model.covariance.matrix())
    expected = model.covariance_uncertainty(2.0).worst_case_loadings
    pd.testing.assert_frame_equal(estimate.uncertainty.worst_case_loadings, expected)


def test_sample_and_shrinkage(market) -> None:
    excess = market.returns.sub(market.risk_free, axis=0).iloc[:60]
    sample = first_estimate(market, SampleCovariance()).covariance.matrix()
    pd.testing.assert_frame_equal(sample, excess.cov())
    for estimator in (LedoitWolf(), OAS()):
        shrunk = first_estimate(market, ShrinkageCovariance(estimator=estimator)).covariance
        np.testing.assert_allclose(shrunk.matrix(), estimator.fit(excess.to_numpy()).covariance_)
    default = first_estimate(market, ShrinkageCovariance()).covariance
    expected = LedoitWolf().fit(excess.to_numpy()).covariance_
    np.testing.assert_allclose(default.matrix(), expected)


def test_bootstrap_bounds_enclose_the_variances_and_repeat(market) -> None:
    estimator = SampleCovariance(BootstrapUncertainty(replications=60))
    one, two = (first_estimate(market, estimator).uncertainty for _ in range(2))
    assert (one.worst_case.variances >= one.nominal.variances).all()
    assert np.array_equal(one.worst_case.matrix(), two.worst_case.matrix())


def test_bootstrap_bounds_are_quantiles_of_the_entries() -> None:
    """Of independent normal returns, as large samples have them: s_ij + 1.645 √((1 + δ_ij)/p)."""
    p, n = 2000, 4
    dates = pd.date_range("2000-01-31", periods=p + 1, freq="D", name="date")
    rng = np.random.default_rng(0)
    returns = pd.DataFrame(rng.normal(size=(p + 1, n)), dates).rename(columns=str)
    panel = Panel.of(returns, returns.iloc[:, :1].rename(columns=lambda _: "market"))
    history = panel.history(Window(dates[-1], slice(0, p), slice(p, p + 1)))
    estimator = SampleCovariance(BootstrapUncertainty(replications=1000, block=1.0))
    change = estimator(history).uncertainty.perturbation.matrix().to_numpy() * np.sqrt(p)
    # A quantile of a thousand draws has a standard error of about 0.07 standard deviations.
    np.testing.assert_allclose(change, 1.645 * np.sqrt(1 + np.eye(n)), rtol=0.2)


def test_wider_quantiles_make_wider_sets(market) -> None:
    sizes = [
        first_estimate(
            market, SampleCovariance(BootstrapUncertainty(60, quantile, block=3.0))
        ).uncertainty.relative_size
        for quantile in (0.6, 0.8, 0.95)
    ]
    assert sizes == sorted(sizes)


def test_backtest_with_bootstrapped_shrinkage(market) -> None:
    estimator = ShrinkageCovariance(BootstrapUncertainty(replications=30))
    run = Backtest(market.returns, market.factors, BOTH, "5Y", "1Y", estimator=estimator).run()
    assert np.isfinite(run.statistics().to_numpy(dtype=float)).all()
    assert run.cv["nominal"].max() < 1e-10


def test_given_bounds_by_frame_and_by_date(market) -> None:
    nominal = market.returns.sub(market.risk_free, axis=0).iloc[:60].cov()
    upper = 1.5 * nominal
    shuffled = upper.iloc[::-1, ::-1]
    by_frame = first_estimate(market, SampleCovariance(GivenBounds(shuffled))).uncertainty
    by_date = first_estimate(
        market, SampleCovariance(GivenBounds(lambda date: upper, lambda date: 0.5 * nominal))
    ).uncertainty
    np.testing.assert_allclose(by_frame.worst_case.matrix(), upper)
    np.testing.assert_allclose(by_date.perturbation.matrix(), 0.5 * nominal)


def test_bounds_that_lack_an_asset(market) -> None:
    upper = market.returns.cov().drop(index="asset 2")
    with pytest.raises(InputError, match="bounds lack 1 of 6 assets, such as 'asset 2'"):
        _ = first_estimate(market, SampleCovariance(GivenBounds(upper))).uncertainty


def test_no_uncertainty_set_was_given(market) -> None:
    backtest = Backtest(market.returns, market.factors, BOTH, estimator=SampleCovariance())
    with pytest.raises(InputError, match="uncertainty=BootstrapUncertainty"):
        backtest.run()


def test_custom_strategies_need_a_factor_model(market) -> None:
    custom = Custom("mine", lambda model: model.loadings.iloc[0])
    backtest = Backtest(market.returns, market.factors, [custom], estimator=SampleCovariance())
    with pytest.raises(InputError, match="'mine' takes a factor model"):
        backtest.run()


def test_quantile_out_of_range() -> None:
    with pytest.raises(InputError, match="quantile is 1"):
        BootstrapUncertainty(quantile=1.0)


@pytest.mark.parametrize(
    ("module", "estimator"),
    [
        ("sklearn", ShrinkageCovariance()),
        ("arch", SampleCovariance(BootstrapUncertainty())),
    ],
)
def test_without_the_extra(market, monkeypatch, module, estimator) -> None:
    find = importlib.util.find_spec
    absent = lambda name, *rest: None if name == module else find(name, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", absent)
    with pytest.raises(InputError, match=rf"needs {module}.*pip install \"rrp-pyomo\[backtest\]"):
        _ = first_estimate(market, estimator).uncertainty
