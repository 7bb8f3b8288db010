"""Portfolios: numbers against their definitions, labels, JSON, warnings."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    Portfolio,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
)
from rrp_pyomo.errors import InputError, RiskParityWarning, UnknownLabelError
from rrp_pyomo.models.nominal import NominalCertificate

SIGMA = pd.DataFrame(
    [[0.04, 0.01, -0.002], [0.01, 0.09, 0.0], [-0.002, 0.0, 0.01]], list("ABC"), list("ABC")
)
X = pd.Series({"A": 0.5, "B": 0.2, "C": 0.3})


@pytest.fixture
def portfolio():
    return Portfolio.of(X, DenseCovariance(SIGMA))


def test_numbers_against_their_definitions(portfolio):
    marginal = np.array([0.02 + 0.002 - 0.0006, 0.005 + 0.018, -0.001 + 0.003])
    R = X.to_numpy() * marginal
    variance = R.sum()
    relative = R / variance
    np.testing.assert_allclose(portfolio.marginal_risk, marginal, rtol=1e-12)
    np.testing.assert_allclose(portfolio.relative_risk_contributions, relative, rtol=1e-12)
    assert portfolio.relative_risk_contributions.sum() == pytest.approx(1.0, abs=1e-15)
    assert portfolio.volatility == pytest.approx(np.sqrt(X @ SIGMA @ X), rel=1e-12)
    # (5): the standard deviation of the R_i over (1/n) x'Σx, with n − 1 degrees of freedom.
    assert portfolio.cv == pytest.approx(np.std(R, ddof=1) / (variance / 3), rel=1e-12)
    assert portfolio.highest_risk_contribution == pytest.approx(relative.max(), rel=1e-12)
    assert portfolio.herfindahl == pytest.approx((relative**2).sum(), rel=1e-12)
    assert portfolio.largest_deviation == pytest.approx(np.abs(relative - 1 / 3).max(), rel=1e-12)
    assert portfolio.certificate is None
    assert portfolio.omega is None
    assert portfolio.omega_max is None
    for series in (portfolio.marginal_risk, portfolio.relative_risk_contributions):
        assert list(series.index) == list("ABC")


def test_measures_of_concentration_at_their_limits():
    diagonal = DenseCovariance(np.eye(4))
    even = Portfolio.of(pd.Series(np.full(4, 0.25)), diagonal)
    single = Portfolio.of(pd.Series([1.0, 0, 0, 0]), diagonal)
    assert (even.cv, even.herfindahl, even.highest_risk_contribution) == (0.0, 0.25, 0.25)
    assert (single.cv, single.herfindahl, single.highest_risk_contribution) == (2.0, 1.0, 1.0)


def test_cv_is_relative_to_budgets():
    b = pd.Series({"A": 0.5, "B": 0.3, "C": 0.2})
    portfolio = RiskParitySOCP(DenseCovariance(SIGMA), b).solve("newton")
    assert portfolio.cv <= 1e-14
    assert portfolio.largest_deviation <= 1e-15
    pd.testing.assert_series_equal(portfolio.relative_risk_contributions, b, check_names=False)


def test_weights_are_aligned_by_label(portfolio):
    other = Portfolio.of(X[["C", "A", "B"]], DenseCovariance(SIGMA))
    pd.testing.assert_series_equal(other.weights, portfolio.weights)
    assert other.volatility == portfolio.volatility
    with pytest.raises(UnknownLabelError, match="asset 'D'"):
        Portfolio.of(pd.Series({"A": 0.5, "D": 0.5}), DenseCovariance(SIGMA))
    with pytest.raises(InputError, match="weights lack 1 of 3 assets, such as 'B'"):
        Portfolio.of(X.drop("B"), DenseCovariance(SIGMA))


def test_under_another_covariance():
    """Weights, budgets and risk stay with their assets; the certificate stays behind."""
    b = {"A": 0.5, "B": 0.3, "C": 0.2}
    portfolio = RiskParitySOCP(DenseCovariance(SIGMA), b).solve()
    order = ["C", "A", "B"]
    same = portfolio.under(DenseCovariance(SIGMA.loc[order, order]))
    assert same.largest_deviation <= 1e-6
    assert same.cv <= 1e-6
    pd.testing.assert_series_equal(same.weights, portfolio.weights[order])
    larger = portfolio.under(DenseCovariance(SIGMA + 0.05 * np.eye(3)))
    assert larger.volatility > portfolio.volatility
    assert larger.certificate is None
    assert portfolio.certificate.is_risk_parity
    with pytest.raises(UnknownLabelError, match="asset 'A'"):
        portfolio.under(DenseCovariance(np.eye(3), list("BCD")))


LABELS = {
    "integers": [3, 1, 2],
    "tuples": [("US", "A"), ("US", "B"), ("UK", "A")],
    "dates": list(pd.date_range("2001-01-05", periods=3)),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_any_kind(labels):
    Sigma = DenseCovariance(SIGMA.to_numpy(), labels)
    portfolio = RiskParityQCLP(Sigma).solve()
    assert portfolio.certificate.is_risk_parity
    assert list(portfolio.weights.index) == labels
    again = RiskParityQCLP(Sigma).solve(start=portfolio.weights[::-1])
    np.testing.assert_allclose(again.weights, portfolio.weights, rtol=1e-9)
    measured = portfolio.under(Sigma)
    assert measured.cv == portfolio.cv
    assert set(portfolio.to_dict()["weights"]) == {str(label) for label in labels}


KEYS = [
    "model", "solver", "status", "objective", "omega", "omega_max", "weights",
    "relative_risk_contributions", "volatility", "cv", "highest_risk_contribution", "herfindahl",
    "certificate",
]  # fmt: skip


def portfolios(make_uncertainty):
    Sigma = DenseCovariance(SIGMA)
    uncertainty = make_uncertainty(4)
    yield Portfolio.of(X, Sigma)
    yield Portfolio.of(pd.Series({"A": 0.0, "B": 0.0, "C": 0.0}), Sigma)
    yield RiskParityNLP(Sigma).solve()
    yield RiskParitySOCP(Sigma).solve("newton")
    yield RobustRiskParity(uncertainty, np.int64(1)).solve()
    yield RobustRiskParity(uncertainty, 1).solve("casadi_ipopt")


def test_to_dict_is_strict_json(make_uncertainty):
    for portfolio in portfolios(make_uncertainty):
        plain = portfolio.to_dict()
        assert list(plain) == KEYS
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert list(plain["weights"].values()) == portfolio.weights.tolist()


def test_what_is_not_a_number_is_null():
    nothing = Portfolio.of(pd.Series(0.0, list("ABC")), DenseCovariance(SIGMA)).to_dict()
    assert nothing["volatility"] == 0.0
    assert nothing["cv"] is None
    assert nothing["relative_risk_contributions"] == {"A": None, "B": None, "C": None}


def test_certificates_in_dictionaries(make_uncertainty):
    nominal = RiskParityQCLP(DenseCovariance(SIGMA)).solve()
    assert nominal.to_dict()["certificate"] == {
        "status": "Solve_Succeeded",
        "largest_deviation": nominal.largest_deviation,
        "is_risk_parity": True,
        "smallest_share": pytest.approx(1.0),
        "largest_share": pytest.approx(1.0),
        "binding": [],
    }
    robust = RobustRiskParity(make_uncertainty(4), 1.0).solve().to_dict()["certificate"]
    assert list(robust) == [
        "status", "residuals", "duality_gap", "relative_duality_gap", "smallest_share",
        "largest_share", "binding",
    ]  # fmt: skip
    assert list(robust["residuals"]) == ["12b", "12c", "12d", "12e", "12f", "12g"]


def test_certificates_detect_what_is_not_risk_parity():
    assert NominalCertificate("", 9.9e-7).is_risk_parity
    assert not NominalCertificate("", 1.1e-6).is_risk_parity
    assert not NominalCertificate("", np.nan).is_risk_parity


def test_portfolios_survive_pickling(make_uncertainty):
    for portfolio in portfolios(make_uncertainty):
        again = pickle.loads(pickle.dumps(portfolio))
        assert again.to_dict() == portfolio.to_dict()


def test_solvers_and_their_words():
    Sigma = DenseCovariance(SIGMA)
    assert RiskParitySOCP(Sigma).solve("newton").solver.startswith("newton")
    assert RiskParityQCLP(Sigma).solve().status == "Solve_Succeeded"
    by_ipopt = RiskParityQCLP(Sigma).solve("ipopt").solver
    assert by_ipopt.startswith("ipopt ")  # with its version, and which of several it was
    assert "(" in by_ipopt


def test_covariances_are_measured_alike_in_every_form():
    V, F, D = np.array([[1.0, 0.5, -0.2]]), np.array([[0.03]]), np.array([0.01, 0.02, 0.005])
    factored = FactorCovariance(V, F, D, list("ABC"))
    one, two = (Portfolio.of(X, Sigma) for Sigma in (factored, DenseCovariance(factored.matrix())))
    assert one.volatility == pytest.approx(two.volatility, rel=1e-14)
    np.testing.assert_allclose(
        one.relative_risk_contributions, two.relative_risk_contributions, rtol=1e-13
    )


def test_warnings_point_to_the_line_that_solved(hedging_covariance):
    with pytest.warns(RiskParityWarning, match="not risk parity") as caught:
        RiskParityQCLP(hedging_covariance(100, 3)).solve(start="equal")
    assert caught[0].filename == __file__


def test_plot(make_uncertainty):
    portfolio = RobustRiskParity(make_uncertainty(4), 1.0).solve()
    figure = portfolio.plot()
    left, right = ([bar.get_width() for bar in axes.patches] for axes in figure.axes)
    assert left == pytest.approx(100 * portfolio.weights)
    assert right == pytest.approx(100 * portfolio.relative_risk_contributions)
    assert "RobustRiskParity" in figure.get_suptitle()


def test_notebooks_show_a_table_and_a_statement(
    factor_covariance: Callable[..., FactorCovariance],
) -> None:
    covariance = factor_covariance(3)
    problem = RiskParitySOCP(covariance)
    shown = problem.solve()._repr_html_()
    assert "<p>Portfolio(RiskParitySOCP, 3 assets" in shown
    assert "contributions within" in shown
    assert shown.count("<td>33.33%</td>") == 3
    without = Portfolio(pd.Series([0.5, 0.5], ["<a>", "b"]), None, np.full(2, 0.5))._repr_html_()
    assert "risk contribution" not in without
    assert "<a>" not in without
    assert "&lt;a&gt;" in without
    assert r"\text{minimise}" in problem._repr_latex_()
    uncertainty = CovarianceUncertainty.from_loading_errors(covariance, 0.1 + 0 * covariance.V)
    text = repr(uncertainty)
    assert text.startswith("CovarianceUncertainty(FactorCovariance(3 assets, 3 factors), relative ")
    assert repr(uncertainty.perturbation).startswith("Perturbation(3 assets, norm ")


def test_what_rounds_to_nothing_is_no_short_position():
    sigma = DenseCovariance(np.eye(2), ["A", "B"])
    assert "gross" not in repr(Portfolio.of({"A": 1.0 + 1e-12, "B": -1e-12}, sigma))
    assert "gross 106 %, net 106 %" in repr(Portfolio.of({"A": 0.5, "B": 0.56}, sigma))
