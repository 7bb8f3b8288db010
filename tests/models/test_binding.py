"""Where a constraint keeps (11) and (12) from parity: what certificates and warnings say of it."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from rrp_pyomo import (
    DenseCovariance,
    FactorModel,
    RiskBudgeting,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskBudgeting,
    RobustRiskParity,
    WeightSet,
    solve_program,
)
from rrp_pyomo.data import Group, excess_returns
from rrp_pyomo.errors import InfeasibleError, InputError, RiskParityWarning


@pytest.fixture(scope="module")
def uncertainty(french):
    """The 60 months to 2017-03 of 30 industry and style portfolios."""
    returns = excess_returns(french.returns, french.risk_free).tail(60)
    return FactorModel.fit(returns, french.factors.tail(60)).covariance_uncertainty()


@pytest.fixture(scope="module")
def five(uncertainty):
    """Five constraints that rule parity out."""
    return {
        "upper bound of 'Utils'": WeightSet(upper={"Utils": 0.06}),
        "upper bound of 'Utils' ": WeightSet(upper={"Utils": 0.03}),
        "upper bound of 'NoDur'": WeightSet(upper=0.05),
        "upper bound of 'first'": WeightSet(
            groups={"first": Group(uncertainty.labels[:12], upper=0.35)}
        ),
        "lower bound of 'Utils'": WeightSet(lower={"Utils": 0.2}),
    }


def contributions(portfolio):
    return 30 * portfolio.relative_risk_contributions.to_numpy()


def test_the_review_of_11_and_12(uncertainty, five):
    """Each constraint is named, with the shares that the portfolio has, and the remedies."""
    for name, X in five.items():
        cases = {
            RiskParitySOCP(uncertainty.nominal, weight_set=X): r"\(11\) looks .*; RiskBudgeting ",
            RobustRiskParity(
                uncertainty, weight_set=X
            ): r"\(12\) looks .*RobustRiskBudgeting takes",
        }
        for problem, text in cases.items():
            with pytest.warns(RiskParityWarning, match=f"beside {name.strip()}.* {text}"):
                portfolio = problem.solve()
            certificate = portfolio.certificate
            assert name.strip() in certificate.binding
            assert name.strip() in certificate.summary()
            shares = contributions(portfolio)
            assert certificate.smallest_share == pytest.approx(shares.min())
            assert certificate.largest_share == pytest.approx(shares.max())


def test_an_excluded_asset_is_said(uncertainty):
    X = WeightSet(upper={"Utils": 0.0})
    with pytest.warns(RiskParityWarning, match="beside upper bound of 'Utils', contributions are"):
        portfolio = RiskParitySOCP(uncertainty.nominal, weight_set=X).solve()
    assert portfolio.certificate.largest_share > 16
    budgeted = RiskBudgeting(uncertainty.nominal, weight_set=X).solve()
    others = np.delete(contributions(budgeted), list(uncertainty.labels).index("Utils"))
    np.testing.assert_allclose(others, 30 / 29, rtol=1e-10)
    assert budgeted.certificate.excluded == ("Utils",)


def test_where_nothing_binds_nothing_is_said(uncertainty):
    """Neither at parity beside loose bounds, nor for an ω that needs no constraint to concentrate.

    Warnings are errors in these tests.
    """
    X = WeightSet(upper=0.5)
    assert RiskParitySOCP(uncertainty.nominal, weight_set=X).solve().certificate.binding == ()
    concentrated = RobustRiskParity(uncertainty, 11.0).solve()
    assert concentrated.certificate.binding == ()
    assert concentrated.certificate.largest_share > 5
    largest = concentrated.weights.idxmax()
    X = WeightSet(upper={largest: 0.99999999 * concentrated.weights[largest]})
    assert RobustRiskParity(uncertainty, 11.0, weight_set=X).solve().certificate.binding


@pytest.mark.parametrize("problem", [RiskParityNLP, RiskParityQCLP])
def test_3_and_4_name_constraints_and_do_not_warn(problem, uncertainty):
    certificate = problem(uncertainty.nominal, weight_set=WeightSet(upper=0.05)).solve().certificate
    assert certificate.binding == ("upper bound of 'NoDur'", "upper bound of 'Utils'")
    assert certificate.largest_share < 1.05
    assert certificate.to_dict()["binding"] == list(certificate.binding)


# --- a minimum share ------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.5, 0.7, 0.74])
def test_minimum_share_is_exact(alpha, uncertainty):
    """Utils ≤ 0.06 leaves it a share below 0.75: (11) gives 0.7275, more where it is asked for."""
    X = WeightSet(upper={"Utils": 0.06})
    portfolio = RiskParitySOCP(uncertainty.nominal, weight_set=X, minimum_share=alpha).solve()
    assert portfolio.certificate.smallest_share >= alpha - 1e-6
    free = RiskParitySOCP(uncertainty.nominal, weight_set=X).program()
    assert "minimum_share" not in free.constraints
    S = 1e4 * uncertainty.nominal.matrix().to_numpy()
    x, p, t = cp.Variable(30), cp.Variable(), cp.Variable()
    rows = [cp.geo_mean(cp.hstack([x[i], S[i] @ x])) >= t for i in range(30)]
    rows += [cp.norm(np.linalg.cholesky(S).T @ x) <= np.sqrt(30) * p, cp.sum(x) == 1, x >= 0]
    rows += [x[list(uncertainty.labels).index("Utils")] <= 0.06, t >= np.sqrt(alpha) * p]
    expected = cp.Problem(cp.Minimize(p - t), rows).solve(cp.CLARABEL)
    assert portfolio.objective * 100 == pytest.approx(expected, rel=1e-5)


def test_minimum_share_binds(factor_covariance):
    """A return is bought at the price of balance, down to the share that is asked for."""
    Sigma = factor_covariance(10)
    problem = RiskParitySOCP(Sigma, minimum_share=0.36)
    program = problem.program()
    x, p = program.variables["x"], program.variables["p"]
    program.minimize(p - 100 * x["A0"])
    weights = solve_program(program).arrays["x"]
    R = weights * (Sigma.operator @ weights)
    assert (10 * R / R.sum()).min() == pytest.approx(0.36, abs=1e-6)


def test_minimum_share_of_one_is_parity(factor_covariance):
    Sigma = factor_covariance(10)
    portfolio = RiskParitySOCP(Sigma, minimum_share=1).solve()
    np.testing.assert_allclose(10 * portfolio.relative_risk_contributions, 1.0, atol=1e-5)


def test_minimum_share_out_of_reach(uncertainty):
    X = WeightSet(upper={"Utils": 0.03})
    with pytest.raises(InfeasibleError, match=r"at least minimum_share=0\.9 of its budget"):
        RiskParitySOCP(uncertainty.nominal, weight_set=X, minimum_share=0.9).solve()
    for wrong in (-0.1, 1.1, np.nan, "half"):
        with pytest.raises(InputError, match=r"minimum_share is .*at least 0 and at most 1"):
            RiskParitySOCP(uncertainty.nominal, minimum_share=wrong)


# --- robust risk budgeting ------------------------------------------------------------------------


def test_robust_risk_budgeting_beside_constraints(uncertainty, five):
    """The largest contributions of the five, where (12) has 7.92, 11.8, 1.85, 8.23 and 3.56."""
    largest = [1.398, 1.436, 1.270, 1.954, 3.618]
    for expected, X in zip(largest, five.values(), strict=True):
        portfolio = RobustRiskBudgeting(uncertainty, 1.0, weight_set=X).solve()
        assert contributions(portfolio).max() == pytest.approx(expected, abs=1e-3)
        assert portfolio.certificate.largest_residual < 1e-7
    free = RobustRiskBudgeting(uncertainty, 1.0).solve()
    assert contributions(free).min() == pytest.approx(0.717, abs=1e-3)
    assert contributions(free).max() == pytest.approx(1.396, abs=1e-3)


def test_robust_risk_budgeting_against_cvxpy(uncertainty):
    U, n = uncertainty, 30
    S, D = (1e4 * m for m in (U.nominal.matrix().to_numpy(), U.perturbation.operator.toarray()))
    b = np.arange(1.0, n + 1) / np.arange(1.0, n + 1).sum()
    x, z, t = cp.Variable(n), cp.Variable(n), cp.Variable(n)
    p, y, g = cp.Variable(), cp.Variable(), cp.Variable()
    problem = RobustRiskBudgeting(U, 2.0, b, WeightSet(upper=0.08))
    rows = [cp.norm(D @ x) <= np.sqrt(n) * y, problem.Omega * y <= S @ x - z]
    rows += [cp.geo_mean(cp.hstack([x[i], z[i]])) >= np.sqrt(n * b[i]) * t[i] for i in range(n)]
    rows += [cp.norm(np.linalg.cholesky(S + D).T @ x) <= np.sqrt(n) * p, cp.sum(x) == 1]
    rows += [cp.sum(cp.multiply(b, cp.rel_entr(g, t))) <= 0, x >= 0, x <= 0.08]
    expected = cp.Problem(cp.Minimize(p - g), rows).solve(cp.CLARABEL)
    found = problem.solve()
    assert found.objective * 100 / np.sqrt(n) == pytest.approx(expected, rel=1e-5)


def test_robust_risk_budgeting_without_uncertainty(uncertainty, factor_covariance):
    """With Σ^Δ = 0 it is risk parity, with an asset less where one is excluded."""
    from rrp_pyomo import CovarianceUncertainty

    Sigma = factor_covariance(10)
    none = CovarianceUncertainty.from_loading_errors(Sigma, np.zeros((3, 10)))
    portfolio = RobustRiskBudgeting(none, 2.0).solve()
    assert abs(portfolio.objective) < 1e-8 * portfolio.volatility
    np.testing.assert_allclose(10 * portfolio.relative_risk_contributions, 1.0, atol=1e-3)
    less = RobustRiskBudgeting(none, 2.0, weight_set=WeightSet(upper={"A4": 0.0})).solve()
    assert abs(less.objective) < 1e-8 * portfolio.volatility
    shares = 9 * less.relative_risk_contributions.drop("A4")
    np.testing.assert_allclose(shares, 1.0, atol=1e-3)


def test_omega_of_robust_risk_budgeting_is_a_parameter(uncertainty):
    problem = RobustRiskBudgeting(uncertainty, 1.0)
    first = problem.solve()
    problem.omega = 3.0
    second = problem.solve()
    assert second.details.omega == 3.0
    fresh = RobustRiskBudgeting(uncertainty, 3.0).solve()
    assert second.objective == pytest.approx(fresh.objective, rel=1e-7)
    assert first.objective < second.objective
    limit = first.omega_max
    with pytest.raises(InfeasibleError, match="beyond omega_max"):
        RobustRiskBudgeting(uncertainty, 1.01 * limit).solve()


def test_a_single_asset():
    alone = DenseCovariance([[0.04]], ["A"])
    assert RiskBudgeting(alone).solve().weights["A"] == pytest.approx(1.0)
