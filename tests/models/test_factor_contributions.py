"""Contributions of factors to risk, and parity among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from scipy.optimize import minimize

from rrp_pyomo import (
    DenseCovariance,
    FactorCovariance,
    FactorModel,
    FactorRiskContributions,
    FactorRiskParity,
    WeightSet,
    objective_bound,
)
from rrp_pyomo.data import excess_returns
from rrp_pyomo.errors import InputError, RiskParityWarning, UnknownLabelError

SHORTS = WeightSet(long_only=False, lower=-0.5, upper=0.5)


@pytest.fixture(scope="module")
def model(french):
    returns = excess_returns(french.returns, french.risk_free).tail(60)
    return FactorModel.fit(returns, french.factors.tail(60))


def by_hand(Sigma, x):
    y = Sigma.V @ x
    return {
        "contribution": pd.Series(y * (Sigma.F @ y), Sigma.factor_labels),
        "residual": float(x @ (Sigma.D * x)),
        "variance": float(x @ Sigma.matrix().to_numpy() @ x),
    }


@pytest.mark.parametrize("environ", [True, False])
def test_parts(model, environ):
    """Weights of any sign; the contributions and the residual are the variance."""
    Sigma = model.covariance
    x = np.random.default_rng(0).normal(size=30)
    expected = by_hand(Sigma, x)
    decomposition = FactorRiskContributions(model)
    if environ:
        whole = pyo.ConcreteModel()
        whole.w = pyo.Var(list(Sigma.labels), initialize=dict(zip(Sigma.labels, x, strict=True)))
        whole.rc = decomposition.block(whole.w)
    else:
        whole = pmo.block()
        values = zip(Sigma.labels, x, strict=True)
        whole.w = pmo.variable_dict((a, pmo.variable(value=v)) for a, v in values)
        whole.rc = decomposition.kernel(whole.w)
    for parts in (decomposition.at(x), whole.rc):
        get = parts.get if isinstance(parts, dict) else lambda name, p=parts: getattr(p, name)
        contribution = {k: pyo.value(v) for k, v in get("contribution").items()}
        assert contribution == pytest.approx(expected["contribution"].to_dict(), rel=1e-10)
        assert pyo.value(get("residual")) == pytest.approx(expected["residual"], rel=1e-10)
        assert pyo.value(get("variance")) == pytest.approx(expected["variance"], rel=1e-10)
        assert pyo.value(get("volatility")) ** 2 == pytest.approx(expected["variance"], rel=1e-10)
    assert sum(expected["contribution"]) + expected["residual"] == pytest.approx(
        expected["variance"]
    )
    exposures = [pyo.value(whole.rc.exposure[k]) for k in Sigma.factor_labels]
    np.testing.assert_allclose(exposures, Sigma.V @ x)
    assert whole.rc.unit == pytest.approx(Sigma.variance(np.full(30, 1 / 30)) / 3)
    assert repr(decomposition) == "FactorRiskContributions(30 assets, 3 factors)"
    assert FactorRiskContributions(Sigma).at(x)["residual"] == decomposition.at(x)["residual"]


def test_a_covariance_without_factors_is_refused(model):
    with pytest.raises(InputError, match=r"a DenseCovariance; expected a FactorCovariance"):
        FactorRiskParity(DenseCovariance(model.covariance.matrix()))


# --- parity ------------------------------------------------------------------------------------


def test_uncorrelated_factors_that_are_assets():
    """V = I, F diagonal, D = 0: c_k = x_k² F_kk, so that x_k ∝ √b_k / σ_k."""
    volatility, b = np.array([0.1, 0.2, 0.4]), np.array([0.5, 0.3, 0.2])
    Sigma = FactorCovariance(np.eye(3), np.diag(volatility**2), np.zeros(3))
    portfolio = FactorRiskParity(Sigma, budgets=b).solve()
    expected = np.sqrt(b) / volatility
    np.testing.assert_allclose(portfolio.weights, expected / expected.sum(), rtol=1e-6)
    assert portfolio.certificate.is_risk_parity
    assert portfolio.certificate.systematic_share == pytest.approx(1.0)
    assert portfolio.objective == pytest.approx(portfolio.volatility**2, rel=1e-5)


def test_parity_with_short_positions(model):
    """The factors contribute the same, and SLSQP finds no smaller variance from ten starts."""
    Sigma = model.covariance
    portfolio = FactorRiskParity(model, weight_set=SHORTS).solve()
    parts = FactorRiskContributions(model).at(portfolio.weights)
    np.testing.assert_allclose(
        parts["contribution"] / parts["contribution"].sum(), np.full(3, 1 / 3), atol=1e-7
    )
    assert portfolio.certificate.largest_deviation < 1e-7
    assert "parity of factors, which make" in portfolio.certificate.summary()
    assert portfolio.certificate.to_dict()["is_risk_parity"] is True
    S, V, F = Sigma.matrix().to_numpy() * 1e3, Sigma.V, Sigma.F * 1e3

    def unequal(x):
        y = V @ x
        c = y * (F @ y)
        return c[:2] - c[2]

    rows = [{"type": "eq", "fun": unequal}, {"type": "eq", "fun": lambda x: x.sum() - 1}]
    best = np.inf
    for start in np.random.default_rng(1).normal(1 / 30, 0.2, (10, 30)):
        end = minimize(
            lambda x: x @ S @ x,
            start,
            jac=lambda x: 2 * S @ x,
            bounds=[(-0.5, 0.5)] * 30,
            constraints=rows,
            options={"maxiter": 300, "ftol": 1e-12},
        )
        if end.success:
            best = min(best, end.fun / 1e3)
    assert portfolio.volatility**2 <= best * (1 + 1e-5)


def test_the_smallest_variance_is_proved(model):
    """Parity as equations about a block: the bound is the variance that solve() found."""
    portfolio = FactorRiskParity(model, weight_set=SHORTS).solve()
    labels = list(model.labels)
    whole = pyo.ConcreteModel()
    whole.w = pyo.Var(labels, bounds=(-0.5, 0.5), initialize=portfolio.weights.to_dict())
    whole.rc = FactorRiskContributions(model).block(whole.w)
    whole.invested = pyo.Constraint(expr=sum(whole.w.values()) == 1)
    first, *others = whole.rc.contribution.values()
    whole.parity = pyo.Constraint(
        [1, 2], rule=lambda m, k: others[k - 1] / m.rc.unit == first / m.rc.unit
    )
    whole.goal = pyo.Objective(expr=whole.rc.variance)
    proved = objective_bound(whole)
    assert proved.violation < 1e-6
    assert proved.objective == pytest.approx(portfolio.volatility**2, rel=1e-9)
    assert -1e-6 < (proved.objective - proved.bound) / proved.objective < 1e-2


def test_parity_out_of_reach(model):
    """Long-only portfolios of stocks are about the market: the answer says how far from parity."""
    problem = FactorRiskParity(model)
    with pytest.warns(RiskParityWarning, match=r"up to 0\.\d+ away from their budgets; no"):
        portfolio = problem.solve()
    assert 0.01 < portfolio.certificate.largest_deviation < 0.3
    assert "no parity" in portfolio.certificate.summary()
    shares = FactorRiskContributions(model).at(portfolio.weights)["contribution"]
    shares = shares / shares.sum()
    deviation = np.abs(3 * shares - 1).max()
    equal = by_hand(model.covariance, np.full(30, 1 / 30))["contribution"]
    assert deviation < 0.5 * np.abs(3 * equal / equal.sum() - 1).max()
    Sigma = model.covariance  # no random long-only portfolio is nearer to parity
    y = np.random.default_rng(0).dirichlet(np.full(30, 0.1), 20000) @ Sigma.V.T
    c = y * (y @ Sigma.F)
    others = np.abs(3 * c / c.sum(axis=1, keepdims=True) - 1).max(axis=1)
    assert others.min() >= deviation - 1e-6


def test_budgets_starts_and_refusals(model):
    budgets = dict(zip(model.factor_labels, (0.6, 0.3, 0.1), strict=True))
    problem = FactorRiskParity(model, budgets=budgets, weight_set=SHORTS)
    portfolio = problem.solve(start=np.full(30, 1 / 30))
    contribution = FactorRiskContributions(model).at(portfolio.weights)["contribution"]
    np.testing.assert_allclose(contribution / contribution.sum(), [0.6, 0.3, 0.1], atol=1e-6)
    assert problem.solve().objective <= portfolio.objective * (1 + 1e-9)
    block = problem.block()
    assert pyo.value(block.contribution[model.factor_labels[0]]) > 0
    with pytest.raises(UnknownLabelError, match="unknown asset 'SMBB'; did you mean 'SMB'"):
        FactorRiskParity(model, budgets={"SMBB": 1.0})
    with pytest.raises(InputError, match="has x = 0 in it"):
        FactorRiskParity(model, weight_set=WeightSet(fully_invested=False)).solve()
