"""What the table's problems are made of from estimates, at the limits where it is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import WeightSet
from rrp_pyomo.backtest.estimators import Estimate, FactorModelEstimator, History
from rrp_pyomo.data import datasets, excess_returns
from rrp_pyomo.errors import InputError
from rrp_pyomo.models.registry import PROBLEMS, Data

OF_ESTIMATES = [
    name
    for name, entry in PROBLEMS.items()
    if entry.data is Data.ESTIMATES and entry.class_name != "Resampled"
]


@pytest.fixture(scope="module")
def known() -> Estimate:
    """Ten years of months of eight industries."""
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).iloc[-120:, :8]
    factors = data.factors.iloc[-120:]
    history = History(
        returns.index[-1], returns.to_numpy(), factors.to_numpy(), tuple(returns),
        tuple(factors), returns.index,
    )  # fmt: skip
    return FactorModelEstimator()(history)


def weights(name: str, known: Estimate, number: float | None = None, X: WeightSet | None = None):
    return PROBLEMS[name].make(known, number, weight_set=X).solve().weights


@pytest.mark.parametrize(
    ("name", "nominal"),
    [
        ("ridge", "mean_variance"),
        ("robust_mean_variance", "mean_variance"),
        ("box_mean_variance", "mean_variance"),
        ("goldfarb_iyengar", "mean_variance"),
        ("robust_loadings", "mean_variance"),
        ("robust_minimum_variance", "minimum_variance"),
    ],
)
def test_nothing_uncertain_is_the_nominal_problem(name, nominal, known) -> None:
    """Least squares with an intercept have the sample means as expected returns."""
    X = WeightSet(upper=0.3)
    np.testing.assert_allclose(
        weights(name, known, 0.0, X), weights(nominal, known, None, X), atol=1e-5
    )
    usual = weights(name, known, None, X)
    assert np.abs(usual - weights(nominal, known, None, X)).max() > 0.01


def test_means_by_jorion_say_less_than_the_sample(known) -> None:
    sample, mean = known.returns.mean(), PROBLEMS["bayes_stein"].make(known).mean_set.center
    assert 0.1 * sample.std() < np.std(mean, ddof=1) < 0.9 * sample.std()
    assert np.corrcoef(mean, sample)[0, 1] == pytest.approx(1.0)


def test_prior_and_views_of_black_and_litterman_weigh_the_same(known) -> None:
    """For uncorrelated assets He & Litterman's Ω puts the mean half way from π = λΣ1/n to μ̂."""
    uncorrelated = np.linalg.qr(np.random.default_rng(0).normal(size=(120, 8)))[0] + 0.01
    returns = pd.DataFrame(uncorrelated * 0.1, known.returns.index, list(known.returns))
    history = known.history._replace(returns=returns.to_numpy())
    diagonal = replace(
        known, history=history, covariance=type(known.covariance)(
            np.zeros((1, 8)), np.eye(1), np.linspace(1e-3, 2e-3, 8), list(returns)
        ),
    )  # fmt: skip
    mean = PROBLEMS["black_litterman"].make(diagonal, 3.0).mean_set.center
    implied = 3.0 * np.linspace(1e-3, 2e-3, 8) / 8
    np.testing.assert_allclose(mean, 0.5 * (implied + returns.mean()), rtol=1e-9)


@pytest.mark.parametrize("name", OF_ESTIMATES)
def test_all_keep_to_the_weight_set_and_are_certified(name, known) -> None:
    portfolio = PROBLEMS[name].make(known, weight_set=WeightSet(upper=0.25)).solve()
    assert portfolio.weights.max() < 0.25 + 1e-7
    assert portfolio.weights.sum() == pytest.approx(1.0, abs=1e-7)
    assert portfolio.certificate is not None
    written = portfolio.to_dict()
    assert {"worst_value", "nominal_value", "price_of_robustness", "worst_case"} <= set(written)
    assert written["price_of_robustness"] >= 0.0


def test_averages_of_samples_hold_more_names(known) -> None:
    average, best = weights("resampled", known), weights("mean_variance", known)
    assert 1.0 / (average @ average) > 1.5 / (best @ best)


@pytest.mark.parametrize("name", ["goldfarb_iyengar", "robust_loadings"])
def test_loadings_need_a_factor_model(name, known) -> None:
    with pytest.raises(InputError, match="the estimates have no factor model, whose loadings"):
        PROBLEMS[name].make(replace(known, model=None))
