"""Weight sets in every formulation: kept by all solvers, explained by certificates."""

from __future__ import annotations

import warnings
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import (
    DenseCovariance,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
)
from rrp_pyomo.data import Group, LinearRow, WeightSet
from rrp_pyomo.errors import InputError, ModelError, RiskParityWarning, UnknownLabelError
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.weights import binding, violation
from rrp_pyomo.solve.program import solve_program

N = 10
SETS = {
    "upper": WeightSet(upper=0.12),
    "lower": WeightSet(lower={"A3": 0.3}),
    "by asset": WeightSet(lower=pd.Series({"A1": 0.05}), upper={"A0": 0.02, "A9": 0.0}),
    "fixed": WeightSet(lower={"A5": 0.2}, upper={"A5": 0.2}),
    "groups": WeightSet(
        groups={"top": Group(["A0", "A1", "A2"], 0.5, None), "end": (["A8", "A9"], None, 0.05)}
    ),
    "rows": WeightSet(rows=[LinearRow("tilt", {"A0": 1.0, "A1": 1.0, "A2": -1.0}, 0.2, 0.25)]),
    "equality": WeightSet(rows=[LinearRow("pair", {"A0": 1.0, "A7": -2.0}, 0.0, 0.0)]),
    "all": WeightSet(
        lower=0.02,
        upper=0.2,
        groups={"top": Group(["A0", "A1", "A2"], 0.35, 0.4)},
        rows=[LinearRow("tilt", pd.Series({"A5": 1.0, "A6": -1.0}), 0.01, None)],
    ),
    "invested otherwise": WeightSet(
        fully_invested=False, groups={"all": Group([f"A{i}" for i in range(N)], 1.3, 1.3)}
    ),
}

# (11) and (12) say so where a constraint keeps them from parity; see test_binding.py.
TAKEN_AS_IT_IS = pytest.mark.filterwarnings("ignore:.*beside:rrp_pyomo.errors.RiskParityWarning")


def formulations(Sigma, uncertainty, X):
    return {
        "3": RiskParityNLP(Sigma, weight_set=X),
        "4": RiskParityQCLP(Sigma, weight_set=X),
        "11": RiskParitySOCP(Sigma, weight_set=X),
        "12": RobustRiskParity(uncertainty, 1.0, weight_set=X),
    }


@TAKEN_AS_IT_IS
@pytest.mark.parametrize("case", SETS)
@pytest.mark.parametrize("problem", ["3", "4", "11", "12"])
def test_weights_are_in_the_set(problem, case, factor_covariance, make_uncertainty):
    formulation = formulations(factor_covariance(N), make_uncertainty(N), SETS[case])[problem]
    portfolio = formulation.solve()
    assert violation(formulation.weight_set, portfolio.weights.to_numpy()) <= 1e-7
    if problem == "12":
        assert portfolio.certificate.residuals["12g"] <= 1e-7
    elif case != "invested otherwise":
        assert not portfolio.certificate.is_risk_parity  # and no warning, X explains it
    other = formulation.solve("casadi_ipopt")
    assert other.objective == pytest.approx(portfolio.objective, rel=1e-5, abs=1e-12)


@TAKEN_AS_IT_IS
@pytest.mark.parametrize("case", SETS)
def test_socp_against_cvxpy(case, factor_covariance):
    """(11) over X, dense, in cvxpy."""
    Sigma = factor_covariance(N)
    X = SETS[case].resolve(Sigma.labels)
    unit = Sigma.variances.mean()
    S = Sigma.matrix().to_numpy() / unit
    x, p, t = cp.Variable(N), cp.Variable(), cp.Variable(nonneg=True)
    geometric = [cp.geo_mean(cp.hstack([x[i], S[i] @ x])) >= t for i in range(N)]
    rows = [cp.norm(np.linalg.cholesky(S).T @ x) <= np.sqrt(N) * p]
    rows += [x >= X.lower, x[np.isfinite(X.upper)] <= X.upper[np.isfinite(X.upper)]]
    if X.fully_invested:
        rows.append(cp.sum(x) == 1)
    if X.matrix is not None:
        low, high = np.isfinite(X.row_lower), np.isfinite(X.row_upper)
        rows += [X.matrix[low] @ x >= X.row_lower[low]] if low.any() else []
        rows += [X.matrix[high] @ x <= X.row_upper[high]] if high.any() else []
    problem = cp.Problem(cp.Minimize(p - t), geometric + rows)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    portfolio = RiskParitySOCP(Sigma, weight_set=SETS[case]).solve()
    assert portfolio.objective == pytest.approx(problem.value * np.sqrt(unit), rel=1e-6, abs=1e-10)
    assert N * np.abs(portfolio.weights - x.value).max() <= 1e-3


@pytest.mark.parametrize("formulation", [RiskParityNLP, RiskParityQCLP])
def test_short_positions(formulation, hedging_covariance):
    """Without x ≥ 0 risk parity has many answers; the one that is long-only is still one."""
    Sigma = hedging_covariance(N, seed=0)
    X = WeightSet(long_only=False, lower=-0.3, upper=0.8)
    portfolio = formulation(Sigma, weight_set=X).solve()
    assert portfolio.certificate.is_risk_parity
    start = pd.Series(newton(Sigma, portfolio.budgets).weights, index=list(Sigma.labels))
    start["A0"] *= -1
    other = formulation(Sigma, weight_set=X).solve(start=start / start.sum())
    assert other.weights.between(-0.3 - 1e-8, 0.8 + 1e-8).all()
    with pytest.raises(InputError, match=r"RiskParitySOCP needs weights x ≥ 0.*'A0'.*-0.3"):
        RiskParitySOCP(Sigma, weight_set=X)
    with pytest.raises(ModelError, match="'newton' takes weights that are just long-only"):
        formulation(Sigma, weight_set=X).solve("newton")


@pytest.mark.parametrize("formulation", [RiskParityNLP, RiskParityQCLP])
def test_a_set_in_which_11_has_no_solution(formulation):
    """x₁ ≥ 0.9 makes the other marginal risk negative, which (11b), (11e) exclude but (4) not."""
    Sigma = DenseCovariance([[1.0, -0.9], [-0.9, 1.0]], ["A", "B"])
    portfolio = formulation(Sigma, weight_set=WeightSet(lower={"A": 0.9})).solve()
    np.testing.assert_allclose(portfolio.weights, [0.9, 0.1], atol=1e-6)
    R = np.array([0.9 * (0.9 - 0.09), 0.1 * (0.1 - 0.81)])
    expected = (R[0] - R[1]) / 2 if formulation is RiskParityQCLP else 2 * (R[0] - R[1]) ** 2
    assert portfolio.objective == pytest.approx(expected, rel=1e-6)


def test_risk_parity_inside_the_set(factor_covariance):
    """Constraints that do not bind change nothing."""
    Sigma = factor_covariance(N)
    free = RiskParitySOCP(Sigma).solve().weights
    X = WeightSet(lower=0.5 * free.min(), upper=2 * free.max(), groups={"g": (["A0"], 0.0, 0.9)})
    for formulation in (RiskParityNLP, RiskParityQCLP, RiskParitySOCP):
        portfolio = formulation(Sigma, weight_set=X).solve()
        assert portfolio.certificate.is_risk_parity
        assert N * np.abs(portfolio.weights - free).max() <= 1e-5


def test_constraints_that_do_not_bind_explain_nothing(hedging_covariance):
    """A trap is reported although there are constraints, as long as none of them is active."""
    Sigma = hedging_covariance(100, seed=3)
    X = WeightSet(upper=0.9, groups={"half": Group([f"A{i}" for i in range(50)], 0.05, 0.95)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        portfolio = RiskParityQCLP(Sigma, weight_set=X).solve(start="equal")
    assert not portfolio.certificate.is_risk_parity
    assert [w.category for w in caught] == [RiskParityWarning]


@pytest.mark.parametrize(
    "formulation", [RiskParityNLP, RiskParityQCLP, RiskParitySOCP], ids=lambda f: f.__name__
)
def test_nothing_invested_is_no_answer(formulation, factor_covariance):
    problem = formulation(factor_covariance(3), weight_set=WeightSet(fully_invested=False))
    with pytest.raises(InputError, match=r"x = 0 in it.*fully invested, or block\(\)"):
        problem.solve()
    assert not hasattr(problem.block(), "fully_invested")


def test_sets_and_budgets_for_other_assets(factor_covariance):
    Sigma = factor_covariance(3)
    with pytest.raises(UnknownLabelError, match="asset 'A11'; did you mean 'A1'"):
        RiskParitySOCP(Sigma, weight_set=WeightSet(upper={"A11": 0.5}))
    with pytest.raises(UnknownLabelError, match="asset 'B0'"):
        RiskParitySOCP(Sigma, budgets={"A0": 0.5, "A1": 0.3, "B0": 0.2})


@pytest.mark.parametrize("magnitude", [1.0, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("kind", ["upper", "lower", "row_lower", "row_upper"])
def test_a_bound_is_active_by_its_own_size(kind, magnitude):
    """A weight of 1e-7 that is 10 % away from its bound does not explain anything."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = rng.uniform(0.1, 1.0, 4)
        x[2] *= magnitude
        x /= x.sum()
        labels = list("abcd")
        for slack, active in ((0.0, True), (1e-7, True), (1e-3, False), (0.1, False)):
            up, down = x[2] * (1 + slack), x[2] * (1 - slack)
            X = {
                "upper": WeightSet(upper={"c": up}),
                "lower": WeightSet(lower={"c": down}),
                "row_lower": WeightSet(rows=[LinearRow("row", {"c": 1.0}, down, None)]),
                "row_upper": WeightSet(groups={"group": Group(["c"], None, up)}),
            }[kind]
            assert bool(binding(X.resolve(labels), x)) is active


def test_an_asset_that_is_left_out_binding():
    x = np.array([0.5, 0.5 + 1e-10, -1e-10])
    assert binding(WeightSet(upper={"c": 0.0}).resolve("abc"), x)
    assert not binding(WeightSet().resolve("abc"), x)


def test_a_trap_beside_a_small_bound_is_not_explained_by_it():
    """Weights of assets that are a million times as volatile are below 1e-6, their bounds too."""
    rng = np.random.default_rng(3)
    volatilities = np.r_[rng.uniform(0.1, 0.3, 5), 2e6]
    Sigma = DenseCovariance(np.diag(volatilities**2))
    parity = (1 / volatilities) / (1 / volatilities).sum()
    problem = RiskParitySOCP(Sigma, weight_set=WeightSet(upper={Sigma.labels[-1]: 2 * parity[-1]}))
    solution = solve_program(problem.program())
    at = dict(solution.arrays)
    at["x"] = np.r_[at["x"][:-1], 0.0]
    trapped = replace(solution, x=np.concatenate(list(at.values())))
    with pytest.warns(RiskParityWarning, match="no constraint explains it"):
        problem._portfolio(trapped)
