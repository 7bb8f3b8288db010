"""Our estimators among skfolio's: its cross-validation, its pipelines and its populations."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from skfolio import MultiPeriodPortfolio, Population, Portfolio, RiskMeasure
from skfolio.model_selection import CombinatorialPurgedCV, WalkForward, cross_val_predict
from skfolio.optimization import (
    BaseOptimization,
    EqualWeighted,
    MeanRisk,
    StackingOptimization,
)
from skfolio.optimization import RiskBudgeting as TheirRiskBudgeting
from skfolio.pre_selection import SelectKExtremes
from skfolio.prior import TimeSeriesFactorModel
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from rrp_pyomo.data import datasets
from rrp_pyomo.sklearn import MeanVariance, MultiPeriod, RiskParitySOCP, RobustRiskParity

DATA = datasets.french()
R, F = DATA.returns.iloc[-84:, :6], DATA.factors[-84:]
CV = WalkForward(train_size=48, test_size=12)


def folds(make):
    """The out-of-sample returns of a walk through the data, by hand."""
    windows = [(R[i : i + 48], F[i : i + 48], R[i + 48 : i + 60]) for i in (0, 12, 24)]
    return np.concatenate([after @ make(before, f).weights_ for before, f, after in windows])


def test_a_walk_with_factors():
    walked = cross_val_predict(RobustRiskParity(2.0), R, cv=CV, params={"factors": F})
    assert isinstance(walked, MultiPeriodPortfolio)
    expected = folds(lambda before, f: RobustRiskParity(2.0).fit(before, factors=f))
    assert walked.returns == pytest.approx(expected)
    as_y = cross_val_predict(RobustRiskParity(2.0), R, F, cv=CV)
    assert as_y.returns == pytest.approx(expected)


def test_factors_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        asked = RobustRiskParity(2.0).set_fit_request(factors=True)
        prior = TimeSeriesFactorModel().set_fit_request(factors=True)
        theirs = TheirRiskBudgeting(prior_estimator=prior, risk_measure=RiskMeasure.VARIANCE)
        walked = cross_val_predict(
            [("robust", asked), ("nominal", theirs)], R, cv=CV, params={"factors": F}
        )
    expected = folds(lambda before, f: RobustRiskParity(2.0).fit(before, factors=f))
    assert [path.name for path in walked] == ["robust", "nominal"]
    assert walked[0].returns == pytest.approx(expected)


def test_a_population_of_both():
    ours = cross_val_predict([("ours", RobustRiskParity()), ("1/n", EqualWeighted())], R, F, cv=CV)
    assert isinstance(ours, Population)
    assert list(ours.summary().columns) == ["ours", "1/n"]
    assert ours[1].returns == pytest.approx(R[48:].mean(axis=1).to_numpy())
    one = RobustRiskParity().fit(R[:48], F[:48]).predict(R[48:])
    other = MeanRisk().fit(R[:48]).predict(R[48:])
    both = Population([one, other])
    assert both.max_measure(RiskMeasure.VARIANCE) in (one, other)
    assert list(both.composition().columns) == ["RobustRiskParity", "MeanRisk"]
    assert both.composition()["RobustRiskParity"].sum() == pytest.approx(1.0)


def test_the_best_omega_by_a_walk():
    grid = {"omega": [0.5, 2.0, 4.0]}
    search = GridSearchCV(RobustRiskParity(cap=True), grid, cv=CV).fit(R, factors=F)
    scores = [
        RobustRiskParity(omega, cap=True).fit(R[:48], factors=F[:48]).predict(R[48:60]).sharpe_ratio
        for omega in grid["omega"]
    ]
    assert search.cv_results_["split0_test_score"] == pytest.approx(scores)
    walked = cross_val_predict(search.best_estimator_, R, F, cv=CV)
    assert len(walked.returns) == 36


def test_paths_of_combinatorial_folds():
    paths = cross_val_predict(RiskParitySOCP(), R, cv=CombinatorialPurgedCV(5, 2))
    assert len(paths) == 4
    assert all(len(path) == 5 for path in paths)


def test_the_last_step_of_a_pipeline():
    with sklearn.config_context(transform_output="pandas", enable_metadata_routing=True):
        last = RobustRiskParity().set_fit_request(factors=True)
        pipe = Pipeline([("select", SelectKExtremes(k=3)), ("weigh", last)])
        walked = cross_val_predict(pipe, R, cv=CV, params={"factors": F})
    assert [len(portfolio.assets) for portfolio in walked] == [3, 3, 3]


@pytest.mark.parametrize("estimator", [MeanVariance(10.0, turnover=0.1), MultiPeriod(turnover=0.1)])
def test_what_is_held_is_handed_on(estimator):
    walked = cross_val_predict(estimator, R, cv=CV)
    weights = np.array([portfolio.weights for portfolio in walked])
    traded = np.abs(np.diff(weights, axis=0)).sum(axis=1)
    assert traded == pytest.approx([0.1, 0.1], abs=1e-6)
    assert walked[1].previous_weights == pytest.approx(weights[0])
    fitted = MeanVariance(previous_weights=R.iloc[0] * 0 + 1 / 6).fit(R)
    assert fitted.predict(R).previous_weights == pytest.approx(np.full(6, 1 / 6))
    assert not MeanVariance().needs_previous_weights
    assert MeanVariance(l1={"NoDur": 0.01}).needs_previous_weights


def test_a_fallback_of_theirs_and_a_step_in_a_stack():
    held = np.full(6, 1 / 6)
    impossible = MeanRisk(min_weights=0.9, previous_weights=held, fallback=RiskParitySOCP())
    expected = RiskParitySOCP().fit(R).weights_
    assert impossible.fit(R).weights_ == pytest.approx(expected)
    assert impossible.fallback_.previous_weights is held
    stack = StackingOptimization([("ours", RiskParitySOCP()), ("theirs", EqualWeighted())])
    assert stack.fit(R).weights_.sum() == pytest.approx(1.0)


def test_what_a_portfolio_is_measured_by():
    fitted = RiskParitySOCP(portfolio_params={"annualization_factor": 12, "name": "parity"}).fit(R)
    portfolio = fitted.predict(R)
    assert isinstance(portfolio, Portfolio)
    assert portfolio.name == "parity"
    assert portfolio.annualized_mean == pytest.approx(12 * portfolio.mean)
    assert fitted.score(R) == portfolio.sharpe_ratio
    assert isinstance(fitted, BaseOptimization)


def test_the_same_answers_as_theirs():
    ours, theirs = RiskParitySOCP(), TheirRiskBudgeting(risk_measure=RiskMeasure.VARIANCE)
    assert ours.fit(R).weights_ == pytest.approx(theirs.fit(R).weights_, abs=1e-5)
    both = [estimator.predict(R).sharpe_ratio for estimator in (ours, theirs)]
    assert both[0] == pytest.approx(both[1], rel=1e-4)
    assert ours.score(R) == pytest.approx(theirs.score(R), rel=1e-4)
