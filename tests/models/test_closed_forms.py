"""What is known without a solver: closed forms, invariance, the smallest portfolios."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    Portfolio,
    RiskBudgeting,
    RiskContributions,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    largest_omega,
    parity_orthants,
)

NOMINAL = (RiskParityNLP, RiskParityQCLP, RiskParitySOCP)
nominal = pytest.mark.parametrize("formulation", NOMINAL)


@nominal
@pytest.mark.parametrize("form", ["dense", "factored"])
def test_uncorrelated_assets(formulation, form):
    """Diagonal Σ: weights ∝ √b_i / σ_i."""
    sigma, b = np.array([0.1, 0.2, 0.4, 0.05]), np.array([0.1, 0.2, 0.3, 0.4])
    Sigma = (
        DenseCovariance(np.diag(sigma**2))
        if form == "dense"
        else FactorCovariance(np.zeros((1, 4)), [[1.0]], sigma**2)
    )
    for budgets in (np.full(4, 0.25), b):
        expected = np.sqrt(budgets) / sigma
        portfolio = formulation(Sigma, budgets).solve()
        np.testing.assert_allclose(portfolio.weights, expected / expected.sum(), rtol=1e-6)


@nominal
@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.7, 1.0])
def test_two_assets(formulation, rho):
    """Equal contributions of two assets: 1/σ weights, whatever their correlation."""
    sigma = np.array([0.1, 0.3])
    Sigma = DenseCovariance(np.outer(sigma, sigma) * [[1.0, rho], [rho, 1.0]], ["A", "B"])
    portfolio = formulation(Sigma).solve()
    np.testing.assert_allclose(portfolio.weights, [0.75, 0.25], rtol=1e-6)
    assert portfolio.volatility == pytest.approx(0.075 * np.sqrt(2 + 2 * rho), rel=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("noise", [1e-3, 3e-4, 1e-4, 3e-5])
@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt"])
def test_a_fund_that_is_minus_another(noise, solver):
    """The objective of (11) is flat then; contributions are equal to rounding all the same."""
    rng = np.random.default_rng(4)
    returns = rng.normal(size=(60, 12)) @ np.diag(rng.uniform(0.02, 0.06, 12))
    returns += rng.normal(0.01, 0.04, (60, 1))
    inverse = -returns[:, 3] + noise * rng.normal(size=60)
    Sigma = DenseCovariance(np.cov(np.column_stack([returns, inverse]).T))
    portfolio = RiskParitySOCP(Sigma).solve(solver)
    assert portfolio.certificate.is_risk_parity
    exact = RiskParitySOCP(Sigma).solve("newton").weights
    assert noise > 3e-4 or portfolio.certificate.largest_deviation < 1e-9
    np.testing.assert_allclose(portfolio.weights, exact, rtol=1e-4)


@nominal
def test_equal_correlations(formulation):
    """Constant correlation: weights ∝ 1/σ_i again (Maillard, Roncalli & Teïletche)."""
    sigma = np.linspace(0.1, 0.5, 6)
    Sigma = DenseCovariance(np.outer(sigma, sigma) * (0.4 + 0.6 * np.eye(6)))
    expected = (1 / sigma) / (1 / sigma).sum()
    np.testing.assert_allclose(formulation(Sigma).solve().weights, expected, rtol=1e-6)


@nominal
@pytest.mark.parametrize("form", ["dense", "factored"])
def test_one_asset(formulation, form):
    Sigma = (
        DenseCovariance([[0.04]], ["A"])
        if form == "dense"
        else FactorCovariance([[1.0]], [[0.03]], [0.01], ["A"])
    )
    portfolio = formulation(Sigma).solve()
    assert portfolio.weights["A"] == pytest.approx(1.0, abs=1e-8)
    assert portfolio.volatility == pytest.approx(0.2, rel=1e-8)
    assert portfolio.cv == 0.0
    assert portfolio.certificate.is_risk_parity


def test_one_asset_robust():
    nominal = FactorCovariance([[1.0]], [[0.03]], [0.01], ["A"])
    uncertainty = CovarianceUncertainty.from_loading_errors(nominal, [[0.1]])
    worst = 0.03 * 1.1**2 + 0.01
    # (12b), (12c) with x = 1: Ω |Σ^Δ| ≤ Σ⁰ with Ω = ω |Σ^Δ| / Σ⁰.
    omega_max = (0.04 / (worst - 0.04)) ** 2
    assert largest_omega(uncertainty) == pytest.approx(omega_max, rel=1e-7)
    portfolio = RobustRiskParity(uncertainty, omega_max / 2).solve()
    assert portfolio.weights["A"] == pytest.approx(1.0, abs=1e-8)
    # p = √Σ̄ and t² = z = Σ⁰ − Ω |Σ^Δ|, which is Σ⁰ / 2 here.
    assert portfolio.objective == pytest.approx(np.sqrt(worst) - np.sqrt(0.02), rel=1e-7)


@nominal
@pytest.mark.parametrize("scale", [1e-6, 52.0, 1e4])
def test_scaling_the_covariance_leaves_the_weights(formulation, scale, factor_covariance):
    """c Σ has the portfolio of Σ; objectives are in variances or volatilities."""
    Sigma = factor_covariance(20)
    scaled = FactorCovariance(Sigma.V, scale * Sigma.F, scale * Sigma.D, Sigma.labels)
    one, two = formulation(Sigma).solve(), formulation(scaled).solve()
    np.testing.assert_allclose(two.weights, one.weights, rtol=1e-7)
    assert two.volatility == pytest.approx(one.volatility * np.sqrt(scale), rel=1e-7)


@pytest.mark.parametrize("scale", [1e-6, 52.0, 1e4])
def test_scaling_a_set_leaves_the_robust_weights(scale, make_uncertainty):
    one = make_uncertainty(20)
    nominal = one.nominal
    scaled = FactorCovariance(nominal.V, scale * nominal.F, scale * nominal.D, nominal.labels)
    errors = one.loading_bounds[1] - nominal.loadings
    two = CovarianceUncertainty.from_loading_errors(
        scaled, pd.DataFrame(errors.to_numpy(), scaled.loadings.index, errors.columns)
    )
    a, b = RobustRiskParity(one, 2.0).solve(), RobustRiskParity(two, 2.0).solve()
    assert 20 * np.abs(a.weights - b.weights).max() <= 1e-7
    assert b.objective == pytest.approx(a.objective * np.sqrt(scale), rel=1e-7)
    assert b.omega_max == pytest.approx(a.omega_max, rel=1e-7)
    assert b.certificate.duality_gap == pytest.approx(
        a.certificate.duality_gap * np.sqrt(scale), abs=1e-8 * np.sqrt(scale) * a.volatility
    )


def test_the_order_of_assets_does_not_matter(make_uncertainty, factor_covariance):
    order = np.random.default_rng(0).permutation(25)
    Sigma = factor_covariance(25)
    names = [Sigma.labels[i] for i in order]
    b = pd.Series(np.random.default_rng(1).dirichlet(np.full(25, 9.0)), list(Sigma.labels))
    permuted = FactorCovariance(Sigma.V[:, order], Sigma.F, Sigma.D[order], names)
    for formulation in NOMINAL:
        one, two = formulation(Sigma, b).solve(), formulation(permuted, b).solve()
        pd.testing.assert_series_equal(two.weights, one.weights[names], rtol=1e-6)

    uncertainty = make_uncertainty(25)
    errors = (uncertainty.loading_bounds[1] - uncertainty.nominal.loadings).to_numpy()
    nominal = uncertainty.nominal
    other = CovarianceUncertainty.from_loading_errors(
        FactorCovariance(nominal.V[:, order], nominal.F, nominal.D[order], names),
        errors[:, order],
    )
    one, two = (RobustRiskParity(u, 1.0, b).solve() for u in (uncertainty, other))
    pd.testing.assert_series_equal(two.weights, one.weights[names], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*beside:rrp_pyomo.errors.RiskParityWarning")
def test_units_of_the_objectives(factor_covariance):
    """Objectives are in the units of the data: (3) variance², (4) variance, (11) volatility."""
    Sigma = factor_covariance(10)
    X = np.full(10, 0.1)
    x = pd.Series(X, index=list(Sigma.labels))
    R = X * Sigma.marginal_risk(x).to_numpy()
    expected = {
        RiskParityNLP: ((R[:, None] - R[None, :]) ** 2).sum(),
        RiskParityQCLP: (R.max() - R.min()) / 2,
        RiskParitySOCP: np.sqrt(R.sum() / 10) - np.sqrt(R.min()),
    }
    from rrp_pyomo.data import WeightSet

    for formulation, value in expected.items():
        at_equal_weights = formulation(Sigma, weight_set=WeightSet(upper=0.1))
        assert at_equal_weights.solve().objective == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_singular_covariances(rank):
    """Σ of rank below n, without a portfolio of no risk: positive common exposures."""
    rng = np.random.default_rng(rank)
    half = rng.normal(size=(rank, 6)) * 0.3
    half[0] = rng.uniform(0.5, 1.5, 6)
    Sigma = DenseCovariance(half.T @ half * 1e-3)
    oracle = RiskParitySOCP(Sigma).solve("newton")
    assert oracle.cv <= 1e-13
    for formulation in NOMINAL:
        portfolio = formulation(Sigma).solve()
        assert 6 * np.abs(portfolio.weights - oracle.weights).max() <= 1e-5
        assert portfolio.certificate.is_risk_parity
    noiseless = FactorCovariance(half, 1e-3 * np.eye(rank), np.zeros(6))
    np.testing.assert_allclose(
        RiskParitySOCP(noiseless).solve("newton").weights, oracle.weights, rtol=1e-10
    )
    assert 6 * np.abs(RiskParityQCLP(noiseless).solve().weights - oracle.weights).max() <= 1e-5


def test_without_perturbation_robust_is_nominal(factor_covariance):
    """Σ^Δ = 0: (12) is (11), for every ω, and no ω is too large."""
    Sigma = factor_covariance(30)
    oracle = RiskParitySOCP(Sigma).solve("newton")
    sets = {
        "no errors": CovarianceUncertainty.from_loading_errors(Sigma, np.zeros((3, 30))),
        "scale 0": CovarianceUncertainty.from_loading_errors(Sigma, np.ones((3, 30)), scale=0.0),
        "bounds that meet": CovarianceUncertainty.from_bounds(Sigma.matrix(), Sigma.matrix()),
    }
    for uncertainty in sets.values():
        assert largest_omega(uncertainty) == np.inf
        for omega in (0.0, 1.0, 1e3):
            portfolio = RobustRiskParity(uncertainty, omega).solve()
            assert 30 * np.abs(portfolio.weights - oracle.weights.to_numpy()).max() <= 1e-5
            assert portfolio.omega_max == np.inf


def test_omega_zero_need_not_be_nominal(make_uncertainty):
    """(12e) uses Σ̄: nominal risk parity is a kink of (12a), which only a large Σ^Δ overcomes."""
    uncertainty = make_uncertainty(25)
    nominal = RiskParitySOCP(uncertainty.nominal).solve("newton")
    portfolio = RobustRiskParity(uncertainty, omega=0.0).solve()
    assert 25 * np.abs(portfolio.weights - nominal.weights).max() <= 1e-5
    # min √((9 x₁² + x₂²) / 2) − x₁ over x₁ ≤ x₂ = 1 − x₁ is at 80 x₁² − 16 x₁ − 1 = 0.
    large = CovarianceUncertainty.from_bounds(np.eye(2), np.diag([9.0, 1.0]))
    portfolio = RobustRiskParity(large, omega=0.0).solve()
    np.testing.assert_allclose(portfolio.weights, [0.25, 0.75], rtol=1e-4)
    assert portfolio.objective == pytest.approx(0.5, rel=1e-8)


def test_worst_case_is_nominal_on_the_worst_case(make_uncertainty):
    worst = make_uncertainty(25).worst_case
    assert RiskParityQCLP(worst).solve().cv <= 1e-10


@pytest.mark.parametrize("given", [pd.DataFrame, lambda *table: np.array(table[0])])
def test_a_table_is_taken_wherever_a_covariance_is(given):
    """Its rows and columns are the assets; weights are ∝ 1/σ_i."""
    table = given([[0.04, 0.0], [0.0, 0.01]], ["a", "b"], ["a", "b"])
    labels = ["a", "b"] if isinstance(table, pd.DataFrame) else [0, 1]
    expected = pd.Series([1 / 3, 2 / 3], labels, name="weights")
    for problem in (
        RiskParitySOCP(table),
        RiskParityNLP(table),
        RiskParityQCLP(table),
        RiskBudgeting(table),
    ):
        portfolio = problem.solve()
        pd.testing.assert_series_equal(portfolio.weights, expected, rtol=1e-5)
        assert portfolio.under(table).volatility == pytest.approx(portfolio.volatility)
    assert RiskContributions(table).at(expected)["volatility"] == pytest.approx(np.sqrt(0.08 / 9))
    assert Portfolio.of(expected, table).cv <= 1e-12
    found = parity_orthants(table).weights.abs()
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-9)
