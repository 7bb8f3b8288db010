"""scikit-learn's own checks of estimators."""

from __future__ import annotations

import subprocess
import sys

from sklearn.utils.estimator_checks import parametrize_with_checks

from rrp_pyomo import sklearn as estimators

ALL = [
    estimators.RiskParitySOCP(),
    estimators.RiskParityQCLP(),
    estimators.RiskParityNLP(),
    estimators.RiskBudgeting(),
    estimators.FactorRiskParity(),
    estimators.RobustRiskParity(),
    estimators.RobustRiskBudgeting(),
    estimators.MeanVariance(),
    estimators.MeanVariance(mean="ellipsoid", covariance="loading_ellipsoids"),
    estimators.Resampled(draws=2),
    estimators.MeanCVaR(),
    estimators.MeanEVaR(),
    estimators.ExpectedUtility(),
    estimators.MultiPeriod(),
]

# What skfolio's Portfolio is not; the prediction that takes its place without skfolio is.
WITH_SKFOLIO = {
    "check_methods_sample_order_invariance": "skfolio's Portfolio is an array, but has no [order]",
}


def test_all_are_checked():
    classes = {type(estimator).__name__ for estimator in ALL}
    assert classes == set(estimators.__all__) - {"PortfolioEstimator", "Prediction"}


@parametrize_with_checks(ALL, expected_failed_checks=lambda estimator: WITH_SKFOLIO)
def test_as_scikit_learn_wants_it(estimator, check):
    check(estimator)


WITHOUT_SKFOLIO = """
import sys, warnings
sys.modules["skfolio"] = None
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator
from rrp_pyomo import sklearn as estimators
warnings.simplefilter("ignore", SkipTestWarning)
for name in {"PortfolioEstimator", "Prediction"} ^ set(estimators.__all__):
    estimator = getattr(estimators, name)()
    if name == "Resampled":
        estimator.set_params(draws=2)
    check_estimator(estimator)
assert "skfolio.portfolio" not in sys.modules
"""


def test_without_skfolio_nothing_is_expected_to_fail():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SKFOLIO], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
