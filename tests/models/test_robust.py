"""(12): against a dense transcription in cvxpy, its limit of feasibility, its certificate."""

from __future__ import annotations

import warnings
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import CovarianceUncertainty, DenseCovariance, RobustRiskParity, largest_omega
from rrp_pyomo.data import Group, LinearRow, WeightSet
from rrp_pyomo.errors import InfeasibleError, InputError, SolverError
from rrp_pyomo.solve.program import solve_program

TIGHT = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}


def transcription(uncertainty, omega, budgets=None, constraints=lambda x: []):
    """(12) as the paper prints it, dense, in cvxpy; weights and objective.

    In units of the equally weighted portfolio, for cvxpy passes numbers on as they are.
    """
    n = uncertainty.size
    Sigma, SigmaBar = (S.matrix().to_numpy() for S in (uncertainty.nominal, uncertainty.worst_case))
    unit = Sigma.sum() / n**3
    Sigma, SigmaBar = Sigma / unit, SigmaBar / unit
    Delta = SigmaBar - Sigma
    Omega = omega * np.linalg.norm(Delta) / np.linalg.norm(Sigma)
    values, vectors = np.linalg.eigh(SigmaBar)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    b = np.full(n, 1 / n) if budgets is None else budgets
    x, z = cp.Variable(n, nonneg=True), cp.Variable(n, nonneg=True)
    p, t, y = (cp.Variable(nonneg=True) for _ in range(3))
    t_i = cp.multiply(np.sqrt(n * b), np.ones(n)) * t
    problem = cp.Problem(
        cp.Minimize(p - t),
        [
            cp.norm(Delta @ x) <= np.sqrt(n) * y,
            Omega * y <= Sigma @ x - z,
            cp.SOC(n * x + z / n, cp.vstack([2 * t_i, n * x - z / n]), axis=0),
            cp.norm(root @ x) <= np.sqrt(n) * p,
            cp.sum(x) == 1,
            *constraints(x),
        ],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may stop short of these tolerances
        problem.solve(solver=cp.CLARABEL, **TIGHT)
    return x.value, problem.value * np.sqrt(unit)


@pytest.mark.slow
@pytest.mark.parametrize("omega", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("n", "seeds"), [(2, 3), (5, 3), (25, 3), (100, 1)])
def test_transcription(make_uncertainty, n, seeds, omega):
    for seed in range(seeds):
        uncertainty = make_uncertainty(n, seed=seed)
        x, objective = transcription(uncertainty, omega)
        portfolio = RobustRiskParity(uncertainty, omega).solve()
        assert n * np.abs(portfolio.weights - x).max() <= 1e-5
        assert portfolio.objective == pytest.approx(objective, rel=1e-6)
        assert portfolio.certificate.largest_residual <= 1e-7
        assert abs(portfolio.certificate.relative_duality_gap) <= 1e-8


def test_transcription_of_unequal_budgets(make_uncertainty):
    uncertainty = make_uncertainty(15)
    b = np.random.default_rng(0).dirichlet(np.full(15, 3.0))
    x, objective = transcription(uncertainty, 2.0, b)
    portfolio = RobustRiskParity(uncertainty, 2.0, b).solve()
    assert 15 * np.abs(portfolio.weights - x).max() <= 1e-5
    assert portfolio.objective == pytest.approx(objective, rel=1e-7)


@pytest.mark.parametrize("omega", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("n", [5, 25])
def test_transcription_on_the_market(market_uncertainty, n, omega):
    for seed in range(3):
        uncertainty = market_uncertainty(n, seed)
        if omega > largest_omega(uncertainty):
            with pytest.raises(InfeasibleError, match="beyond omega_max"):
                RobustRiskParity(uncertainty, omega).solve()
            continue
        x, objective = transcription(uncertainty, omega)
        portfolio = RobustRiskParity(uncertainty, omega).solve()
        assert n * np.abs(portfolio.weights - x).max() <= 1e-5
        assert portfolio.objective == pytest.approx(objective, rel=1e-7)


def test_transcription_of_bounds(dense_covariance):
    """A set from dense bounds, which nothing keeps factored."""
    Sigma = dense_covariance(12)
    noise = np.random.default_rng(0).normal(size=(12, 12)) * Sigma.variances.mean() ** 0.5 / 8
    upper = Sigma.matrix() + noise @ noise.T
    uncertainty = CovarianceUncertainty.from_bounds(Sigma, upper)
    x, objective = transcription(uncertainty, 1.0)
    portfolio = RobustRiskParity(uncertainty, 1.0).solve()
    assert 12 * np.abs(portfolio.weights - x).max() <= 1e-5
    assert portfolio.objective == pytest.approx(objective, rel=1e-7)


def test_factored_and_dense_sets_agree(make_uncertainty):
    factored = make_uncertainty(40)
    dense = CovarianceUncertainty.from_bounds(
        DenseCovariance(factored.nominal.matrix()), DenseCovariance(factored.worst_case.matrix())
    )
    one, two = (RobustRiskParity(u, 1.5).solve() for u in (factored, dense))
    assert 40 * np.abs(one.weights - two.weights).max() <= 1e-5
    assert one.objective == pytest.approx(two.objective, rel=1e-7)
    assert one.omega_max == pytest.approx(two.omega_max, rel=1e-7)


# --- the limit of feasibility ---------------------------------------------------------------------

SETS = {
    "simplex": None,
    "upper bounds": WeightSet(upper=0.3),
    "an asset left out": WeightSet(upper={"A0": 0.0}),
    "lower and upper": WeightSet(lower=0.02, upper={"A1": 0.2, "A3": 0.15}),
    "groups": WeightSet(groups={"first": Group(["A0", "A1", "A2"], 0.4, 0.6)}),
    "rows": WeightSet(rows=[LinearRow("tilt", {"A0": 1.0, "A4": -2.0}, -0.1, 0.0)]),
    "equality": WeightSet(rows=[LinearRow("pair", {"A0": 1.0, "A1": -1.0}, 0.0, 0.0)]),
    "invested by a row": WeightSet(
        fully_invested=False,
        groups={"all": Group([f"A{i}" for i in range(10)], 0.8, 1.2)},
        lower={"A2": 0.01},
    ),
}


@pytest.mark.filterwarnings("ignore:.*beside:rrp_pyomo.errors.RiskParityWarning")
@pytest.mark.parametrize("case", SETS)
def test_largest_omega_is_the_limit(case, make_uncertainty):
    require_limit(make_uncertainty, SETS[case])


def test_largest_omega_is_the_limit_on_the_market(market_uncertainty):
    require_limit(market_uncertainty, None)


def require_limit(make, X):
    """(12) has a solution just below ω_max, and just above it none, which is said."""
    for seed in range(3):
        uncertainty = make(10, seed=seed)
        limit = largest_omega(uncertainty, X)
        for below in (0.5, 0.99, 0.9999):
            portfolio = RobustRiskParity(uncertainty, below * limit, weight_set=X).solve()
            assert portfolio.certificate.largest_residual <= 1e-6
            assert portfolio.omega_max == limit
        for above in (1.0001, 1.5, 100.0):
            with pytest.raises(InfeasibleError) as caught:
                RobustRiskParity(uncertainty, above * limit, weight_set=X).solve()
            for fragment in (f"omega = {above * limit:.9g}", f"omega_max = {limit:.9g}", "smaller"):
                assert fragment in str(caught.value)


@pytest.mark.parametrize("case", SETS)
def test_largest_omega_by_bisection_in_cvxpy(case, make_uncertainty):
    """max min_i (Σ⁰x)_i / ‖Σ^Δ x‖ over X, without the trick of homogeneity."""
    uncertainty = make_uncertainty(10, seed=7)
    X = (SETS[case] or WeightSet()).resolve(uncertainty.labels)
    unit = uncertainty.nominal.frobenius_norm
    Sigma = uncertainty.nominal.matrix().to_numpy() / unit
    Delta = uncertainty.perturbation.matrix().to_numpy() / unit
    x, Omega = cp.Variable(10), cp.Parameter(nonneg=True)
    rows = []
    if X.fully_invested:
        rows.append(cp.sum(x) == 1)
    for bound, sign in ((X.lower, 1), (X.upper, -1)):
        at = np.isfinite(bound)
        rows.append(sign * x[at] >= sign * bound[at])
    if X.matrix is not None:
        for bound, sign in ((X.row_lower, 1), (X.row_upper, -1)):
            at = np.isfinite(bound)
            if at.any():
                rows.append(sign * (X.matrix[at] @ x) >= sign * bound[at])
    rows.append(cp.norm(Omega / np.sqrt(10) * (Delta @ x)) <= cp.min(Sigma @ x))
    problem = cp.Problem(cp.Minimize(0), rows)
    limit = largest_omega(uncertainty, SETS[case])
    for factor, feasible in ((0.999, True), (1.001, False)):
        Omega.value = factor * limit * uncertainty.relative_size
        problem.solve(solver=cp.CLARABEL)
        assert (problem.status in ("optimal", "optimal_inaccurate")) is feasible


def test_largest_omega_of_opposite_assets():
    """All marginal risks negative or none: −1 correlation leaves no room at all."""
    Sigma = np.array([[1.0, -1.0], [-1.0, 1.0]])
    uncertainty = CovarianceUncertainty.from_bounds(Sigma, np.eye(2) * 2)
    assert largest_omega(uncertainty) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(InfeasibleError, match="beyond omega_max = "):
        RobustRiskParity(uncertainty, 0.1).solve()


def test_largest_omega_is_infinite_where_weights_avoid_the_perturbation():
    """Only the first asset's variance is uncertain, and X need not hold it."""
    Sigma = np.diag([1.0, 1.0, 1.0]) + 0.5
    upper = Sigma + np.diag([1.0, 0.0, 0.0])
    uncertainty = CovarianceUncertainty.from_bounds(Sigma, upper)
    assert largest_omega(uncertainty) == np.inf
    portfolio = RobustRiskParity(uncertainty, 1e4).solve()
    assert portfolio.weights[0] <= 1e-3
    assert portfolio.to_dict()["omega_max"] is None


@pytest.mark.slow
@pytest.mark.parametrize("n", [1000, 5000])
def test_largest_omega_of_many_assets(make_uncertainty, n):
    """Bounds on every asset and a factored set stay sparse."""
    uncertainty = make_uncertainty(n)
    loose, tight = largest_omega(uncertainty), largest_omega(uncertainty, WeightSet(upper=10 / n))
    assert 0 < tight < loose < np.inf


@pytest.mark.parametrize("omega", [-0.1, np.nan, np.inf])
def test_omegas_that_are_none(make_uncertainty, omega):
    with pytest.raises(InputError, match=r"omega is .*expected a finite number of at least 0"):
        RobustRiskParity(make_uncertainty(3), omega)


def test_short_positions_are_refused(make_uncertainty):
    with pytest.raises(InputError, match=r"RobustRiskParity needs weights x ≥ 0.*'A0'.*long_only"):
        RobustRiskParity(make_uncertainty(3), 1.0, weight_set=WeightSet(long_only=False))


@pytest.mark.parametrize("solver", ["casadi_ipopt", "gurobi", "scip", "scs"])
def test_infeasible_through_other_solvers(make_uncertainty, solver, need):
    with pytest.raises(InfeasibleError, match="omega_max"):
        RobustRiskParity(make_uncertainty(5), 1e4).solve(need(solver))


def test_failures_below_the_limit_stay_failures(make_uncertainty):
    with pytest.raises(SolverError, match="MaxIterations") as caught:
        RobustRiskParity(make_uncertainty(5), 1.0).solve(max_iter=2)
    assert not isinstance(caught.value, InfeasibleError)


# --- the certificate ------------------------------------------------------------------------------


@pytest.fixture
def problem(make_uncertainty):
    return RobustRiskParity(make_uncertainty(8), 2.0)


def certificate(problem, **changed):
    program = problem.program()
    solution = solve_program(program)
    values = {name: values.copy() for name, values in solution.arrays.items()}
    for name, change in changed.items():
        values[name] = change(values[name])
    return problem._certificate(replace(solution, x=np.concatenate(list(values.values()))))


def test_certificate_of_a_solution(problem):
    found = certificate(problem)
    assert set(found.residuals) == {"12b", "12c", "12d", "12e", "12f", "12g"}
    assert found.largest_residual <= 1e-8
    assert abs(found.relative_duality_gap) <= 1e-8


def shrunk_cone(v):
    """How far ‖(2t_i, a − c)‖ is beyond a + c for 1 % more than t_i = √(ac), where it is equal."""
    a, c = 8 * v["x"], v["z"] / 8
    return (np.sqrt((a + c) ** 2 + 4 * (1.01**2 - 1) * a * c) - (a + c)).max()


# What is changed of a solution, where all of (12b) to (12e) are tight for some asset, and by how
# much an equation is then violated: 1 % of what is on one side of it, in the certificate's units.
WRONG = {
    "12b": ({"y": lambda y: 0.99 * y}, lambda v: 0.01 * v["y"] / 8 / v["relative_size"]),
    "12c": (
        {"z": lambda z: z * np.where(np.arange(8) == 3, 1.01, 1.0)},
        lambda v: 0.01 * v["z"][3] / 8,
    ),
    "12d": ({"t": lambda t: 1.01 * t}, shrunk_cone),
    "12e": ({"p": lambda p: 0.99 * p}, lambda v: 0.01 * v["p"]),
    "12f": ({"t": lambda t: -t}, lambda v: v["t"]),
    "12g": ({"x": lambda x: x * 0.99}, lambda v: 0.01),
}


@pytest.mark.parametrize("equation", WRONG)
def test_certificate_of_a_wrong_point(problem, equation):
    """Each equation notices its own violation, by what was changed, and the others do not."""
    changed, expected = WRONG[equation]
    residuals = certificate(problem, **changed).residuals
    sizes = {"relative_size": problem.uncertainty.relative_size}
    by = np.max(expected(solve_program(problem.program()).arrays | sizes))
    assert residuals.pop(equation) == pytest.approx(by, rel=1e-4)
    if equation != "12g":  # whose x is in all the others
        assert max(residuals.values()) <= 1e-7


def test_certificate_notices_what_the_program_notices(problem):
    """The same point in the statement's own residuals: 0 there where it is 0 here."""
    program = problem.program()
    solution = solve_program(program)
    values = solution.arrays | {"p": 0.9 * solution.arrays["p"]}
    found = program.residuals(program.point(values))
    assert found["portfolio_risk"] > 1e-2
    assert max(r for name, r in found.items() if name != "portfolio_risk") <= 1e-6


def test_certificates_without_a_dual(problem, need):
    portfolio = problem.solve("casadi_ipopt")
    assert portfolio.certificate.duality_gap is None
    assert portfolio.certificate.largest_residual <= 1e-8
    assert portfolio.certificate.status == portfolio.status


def test_omega_of_a_portfolio(make_uncertainty):
    uncertainty = make_uncertainty(5)
    portfolio = RobustRiskParity(uncertainty, np.float32(1.5)).solve()
    assert portfolio.omega == 1.5
    assert type(portfolio.omega) is float
    assert portfolio.omega_max == largest_omega(uncertainty)


def test_more_aversion_costs_worst_case_balance(make_uncertainty):
    """The objective is nondecreasing in ω: (12c) only gets tighter."""
    uncertainty = make_uncertainty(25)
    objectives = [RobustRiskParity(uncertainty, omega).solve().objective for omega in range(5)]
    assert (pd.Series(objectives).diff().dropna() > 0).all()


@pytest.mark.parametrize("share", [0.5, 0.99, 0.9999])
@pytest.mark.parametrize("seed", range(4))
def test_rough_answers_are_measured(make_uncertainty, need, share, seed):
    """What SCS calls solved: right to its stated accuracy, or there is a word of it."""
    uncertainty = make_uncertainty(5, seed=seed, scale=10.0 ** (-2 * seed))
    program = RobustRiskParity(uncertainty, share * largest_omega(uncertainty)).program()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            solution = solve_program(program, need("scs"))
        except SolverError:
            return
    residual = solution.certificate.primal_residual
    assert residual <= 1e-3 or any("is violated by" in str(w.message) for w in warned)
