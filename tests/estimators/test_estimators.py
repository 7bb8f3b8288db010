"""Estimators of scikit-learn: what they estimate, solve and predict."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from rrp_pyomo import FactorModel, KinkedUtility, PowerUtility, WeightSet, models
from rrp_pyomo.backtest import BootstrapUncertainty, FactorModelEstimator, SampleCovariance
from rrp_pyomo.backtest.estimators import History
from rrp_pyomo.data import datasets
from rrp_pyomo.errors import InfeasibleError, InputError, UnknownLabelError
from rrp_pyomo.models.registry import PROBLEMS
from rrp_pyomo.sklearn import (
    ExpectedUtility,
    FactorRiskParity,
    MeanCVaR,
    MeanEVaR,
    MeanVariance,
    MultiPeriod,
    Prediction,
    Resampled,
    RiskBudgeting,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskBudgeting,
    RobustRiskParity,
)
from rrp_pyomo.sklearn.prediction import predicted
from rrp_pyomo.uncertainty import Box, FrobeniusBall

DATA = datasets.french()
R, F = DATA.returns.iloc[-60:, :5], DATA.factors[-60:]

BY_PROBLEM = {
    "nlp": RiskParityNLP(),
    "qclp": RiskParityQCLP(),
    "socp": RiskParitySOCP(),
    "robust": RobustRiskParity(),
    "budgeting": RiskBudgeting(),
    "robust_budgeting": RobustRiskBudgeting(),
    "factor_parity": FactorRiskParity(weight_set=WeightSet(long_only=False)),
    "mean_variance": MeanVariance(),
    "minimum_variance": MeanVariance(mean=None),
    "ledoit_wolf": MeanVariance(mean=None, estimator="ledoit_wolf"),
    "bayes_stein": MeanVariance(mean="bayes_stein", covariance="bayes_stein"),
    "black_litterman": MeanVariance(2.5, mean="black_litterman", covariance="black_litterman"),
    "resampled": Resampled(),
    "ridge": MeanVariance(l2_squared=0.01),
    "robust_mean_variance": MeanVariance(mean="ellipsoid"),
    "box_mean_variance": MeanVariance(mean="box"),
    "robust_minimum_variance": MeanVariance(mean=None, covariance="elementwise_error", radius=2.0),
    "goldfarb_iyengar": MeanVariance(mean="loading_ellipsoids", covariance="loading_ellipsoids"),
    "robust_loadings": MeanVariance(mean="alpha", covariance="loadings_ball"),
    "mean_cvar": MeanCVaR(),
    "moment_cvar": MeanCVaR(distribution="moments"),
    "wasserstein_cvar": MeanCVaR(distribution="wasserstein"),
    "evar": MeanEVaR(),
    "log_utility": ExpectedUtility(),
    "power_utility": ExpectedUtility(PowerUtility(5.0)),
    "robust_log_utility": ExpectedUtility(distribution="kullback_leibler"),
    "moment_shortfall": ExpectedUtility(KinkedUtility(5.0), distribution="moments"),
}


@pytest.fixture(scope="module")
def estimates():
    dates, assets, factors = R.index, tuple(R.columns), tuple(F.columns)
    history = History(dates[-1], R.to_numpy(), F.to_numpy(), assets, factors, dates)
    return FactorModelEstimator()(history)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_of_the_registry_is_within_reach(name, estimates):
    estimator = clone(BY_PROBLEM[name])
    problem = PROBLEMS[name].make(estimates, weight_set=estimator.weight_set)
    expected = problem.solve().weights
    fitted = estimator.fit(R, factors=F)
    assert fitted.weights_ == pytest.approx(expected.to_numpy(), abs=1e-6)
    assert fitted.solution_.weights.index.equals(R.columns)
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.weights_ == fitted.weights_).all()
    assert again.solution_.certificate.to_dict() == fitted.solution_.certificate.to_dict()


def test_tables_keep_their_labels_and_arrays_get_plain_ones():
    table, array = RobustRiskParity().fit(R, factors=F), RobustRiskParity().fit(R.values, None, F)
    assert list(table.feature_names_in_) == list(table.solution_.weights.index) == list(R.columns)
    assert list(array.solution_.weights.index) == [0, 1, 2, 3, 4]
    assert not hasattr(array, "feature_names_in_")
    assert (array.weights_ == table.weights_).all()
    assert table.n_features_in_ == 5


def test_factors_come_as_factors_or_as_y():
    by_name = RobustRiskParity().fit(R, factors=F).weights_
    assert (RobustRiskParity().fit(R, F).weights_ == by_name).all()
    assert (RobustRiskParity().fit(R, np.arange(60), F).weights_ == by_name).all()
    one = RiskParitySOCP().fit(R, factors=F.iloc[:, 0])
    expected = models.RiskParitySOCP(FactorModel.fit(R, F.iloc[:, :1]).covariance).solve()
    assert one.weights_ == pytest.approx(expected.weights.to_numpy(), abs=1e-9)


def test_what_is_estimated_is_chosen_by_name_or_by_an_object():
    def variances(estimator, factors=None):
        fitted = RiskParitySOCP(estimator=estimator).fit(R, factors=factors)
        return fitted.solution_.covariance.variances

    sample = R.var().to_numpy()
    assert variances(None) == pytest.approx(sample)
    assert variances("sample", F) == pytest.approx(sample)
    assert variances(None, F) == pytest.approx(FactorModel.fit(R, F).covariance.variances)
    assert variances("ledoit_wolf") == pytest.approx(sample, rel=0.3)
    assert np.abs(variances("ledoit_wolf") - sample).max() > 1e-5
    wider = RobustRiskParity(estimator=FactorModelEstimator(2.0)).fit(R, factors=F)
    assert wider.solution_.omega_max < RobustRiskParity().fit(R, factors=F).solution_.omega_max


def test_sets_come_without_factors_where_an_estimator_makes_them():
    estimator = SampleCovariance(BootstrapUncertainty(replications=20, block=3.0))
    fitted = RobustRiskParity(0.5, estimator=estimator).fit(R)
    assert abs(fitted.solution_.certificate.relative_duality_gap) < 1e-6
    again = RobustRiskParity(0.5, estimator=estimator).fit(R.values)
    assert again.weights_ == pytest.approx(fitted.weights_, abs=0.05)  # the date decides the draws


def test_means_and_covariances_are_chosen_by_functions_too():
    fitted = MeanVariance(
        mean=lambda known: Box(known.returns.mean(), 0.002),
        covariance=lambda known: FrobeniusBall(known.covariance, 0.001),
    ).fit(R)
    box, ball = Box(R.mean(), 0.002), FrobeniusBall(R.cov(), 0.001)
    expected = models.MeanVariance(box, ball).solve().weights
    assert fitted.weights_ == pytest.approx(expected.to_numpy(), abs=1e-6)


def test_omega_beyond_its_limit_is_refused_or_capped():
    limit = RobustRiskParity().fit(R, factors=F).solution_.omega_max
    with pytest.raises(InfeasibleError, match="omega_max"):
        RobustRiskParity(2 * limit).fit(R, factors=F)
    capped = RobustRiskParity(2 * limit, cap=True).fit(R, factors=F)
    assert capped.solution_.omega == pytest.approx(0.99 * limit)
    assert RobustRiskParity(1.0, cap=True).fit(R, factors=F).solution_.omega == 1.0


def test_a_plan_starts_from_what_is_held():
    held = dict(zip(R.columns, [0.1, 0.2, 0.3, 0.2, 0.2], strict=True))
    kept = MultiPeriod(2, l1=1.0, previous_weights=held).fit(R)
    assert kept.weights_ == pytest.approx(list(held.values()), abs=1e-6)
    limited = MultiPeriod(2, turnover=0.1, previous_weights=held).fit(R)
    assert np.abs(limited.weights_ - list(held.values())).sum() == pytest.approx(0.1, abs=1e-6)
    assert limited.solution_.weights.shape == (2, 5)
    assert clone(limited).set_params(solver="scs").fit(R).weights_ == pytest.approx(
        limited.weights_, abs=1e-3
    )


def test_limits_of_turnover_count_once_something_is_held():
    free = MeanVariance(10.0).fit(R).weights_
    assert MeanVariance(10.0, turnover=0.2).fit(R).weights_ == pytest.approx(free, abs=1e-6)
    held = np.full(5, 0.2)
    near = MeanVariance(10.0, turnover=0.2, previous_weights=held).fit(R).weights_
    assert np.abs(near - held).sum() == pytest.approx(0.2, abs=1e-6)


def test_clones_are_the_same():
    budgets = pd.Series([0.1, 0.2, 0.2, 0.2, 0.3], R.columns)
    estimator = RobustRiskParity(2.0, budgets=budgets, weight_set=WeightSet(upper=0.5))
    assert clone(estimator).get_params()["omega"] == 2.0
    fitted = estimator.fit(R, factors=F)
    assert estimator.get_params()["budgets"] is budgets
    assert (clone(fitted).fit(R, factors=F).weights_ == fitted.weights_).all()


def test_a_grid_of_omegas():
    grid = {"omega": [0.5, 1.0, 2.0]}
    search = GridSearchCV(RobustRiskParity(), grid, cv=TimeSeriesSplit(3)).fit(R, factors=F)
    scores = []
    for omega in grid["omega"]:
        fitted = RobustRiskParity(omega).fit(R[:45], factors=F[:45])
        out = R[45:] @ fitted.weights_
        scores.append(out.mean() / out.std())
    assert search.cv_results_["split2_test_score"] == pytest.approx(scores)
    assert search.best_params_["omega"] in grid["omega"]
    assert search.best_estimator_.solution_.omega == search.best_params_["omega"]


def test_factors_are_routed_to_a_search():
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = RobustRiskParity().set_fit_request(factors=True)
        search = GridSearchCV(estimator, {"omega": [1.0, 2.0]}, cv=TimeSeriesSplit(3))
        routed = search.fit(R, factors=F)
    plain = GridSearchCV(RobustRiskParity(), {"omega": [1.0, 2.0]}, cv=TimeSeriesSplit(3))
    assert routed.cv_results_["mean_test_score"] == pytest.approx(
        plain.fit(R, factors=F).cv_results_["mean_test_score"]
    )


def test_sets_and_shrinkage_are_searched():
    grid = [
        {"mean": ["ellipsoid"], "level": [0.5, 0.9]},
        {"mean": [None], "estimator": ["sample", "ledoit_wolf"]},
    ]
    search = GridSearchCV(MeanVariance(), grid, cv=TimeSeriesSplit(3), error_score="raise").fit(R)
    assert len(set(search.cv_results_["mean_test_score"].round(9))) == 4


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "factors", "error", "said"),
    [
        (RobustRiskParity(), None, InputError, r"RobustRiskParity is about.*fit\(X, factors=F\)"),
        (FactorRiskParity(), None, InputError, "FactorRiskParity is about the contributions"),
        (RiskParitySOCP(estimator="factor_model"), None, InputError, "choose estimator='sample'"),
        (RiskParitySOCP(estimator="sampel"), F, UnknownLabelError, "did you mean 'sample'"),
        (RiskParitySOCP(estimator=3), F, InputError, "estimator is 3; expected a name"),
        (RiskParitySOCP(estimator=SampleCovariance), F, InputError, "expected a name, such as"),
        (RiskParitySOCP(weight_set=0.5), F, InputError, "weight_set"),
        (MeanVariance(mean="elipsoid"), F, UnknownLabelError, "did you mean 'ellipsoid'"),
        (MeanVariance(covariance="ball"), F, UnknownLabelError, "unknown covariance 'ball'"),
        (MeanCVaR(distribution="normal"), F, UnknownLabelError, "unknown distribution 'normal'"),
        (RobustRiskParity(), F.shift(freq="D"), InputError, "returns and factors differ in"),
        (RobustRiskParity(), F[:50], InputError, "returns and factors differ in"),
        (RobustRiskParity(), F.values[:50], InputError, "60 periods and factors 50"),
    ],
)
def test_what_does_not_fit_is_said(estimator, factors, error, said):
    with pytest.raises(error, match=said):
        estimator.fit(R, factors=factors)


def test_prices_are_no_returns():
    with pytest.raises(InputError, match=r"X: all numbers are positive.*pct_change"):
        RiskParitySOCP().fit(100 * (1 + R).cumprod())


# --- without skfolio -----------------------------------------------------------------------------


def test_a_light_prediction_has_the_names_of_skfolios(monkeypatch):
    fitted = RiskParitySOCP().fit(R)
    full = fitted.predict(R)
    monkeypatch.setattr("rrp_pyomo.sklearn.prediction.HAS_SKFOLIO", False)
    light = fitted.predict(R)
    assert isinstance(light, Prediction)
    assert not isinstance(full, Prediction)
    for name in ("returns", "weights", "mean", "standard_deviation", "sharpe_ratio"):
        assert getattr(light, name) == pytest.approx(getattr(full, name))
    assert light.name == full.name == "RiskParitySOCP"
    assert np.asarray(light) == pytest.approx(np.asarray(full))
    assert fitted.score(R) == pytest.approx(light.sharpe_ratio)
    assert np.isnan(fitted.predict(R[:1]).sharpe_ratio)
    with pytest.raises(InputError, match="pip install skfolio"):
        predicted(R, fitted.weights_, "", None, {"annualization_factor": 12})


def test_without_scikit_learn_the_extra_is_named():
    code = "import sys; sys.modules['sklearn'] = None; import rrp_pyomo.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "rrp-pyomo[sklearn]"' in done.stderr
