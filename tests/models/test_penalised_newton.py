"""(12) by Newton's method: the conic solver's answers, and silence where it has another one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from rrp_pyomo import CovarianceUncertainty, DenseCovariance, RobustRiskParity, largest_omega
from rrp_pyomo.data import WeightSet
from rrp_pyomo.errors import SolverError, UnknownLabelError
from rrp_pyomo.linalg import Factor, LinearMap


@pytest.mark.parametrize("n", [2, 25, 100])
@pytest.mark.parametrize("omega", [0.0, 0.5, 1.0])
def test_what_the_conic_solver_finds(make_uncertainty, n: int, omega: float) -> None:
    uncertainty = make_uncertainty(n, seed=n)
    problem = RobustRiskParity(uncertainty, omega)
    np.testing.assert_allclose(
        n * problem.equalised(), n * problem.solve("clarabel").weights, atol=2e-5
    )


def test_equal_to_the_last_digits_with_budgets(make_uncertainty) -> None:
    b = np.arange(1.0, 11.0) / 55.0
    problem = RobustRiskParity(make_uncertainty(10), 1.0, b)
    x = problem.equalised()
    R = problem.penalised_contributions(x) / b
    assert x.sum() == pytest.approx(1.0, abs=1e-14)
    assert R.max() / R.min() - 1.0 < 1e-10
    np.testing.assert_allclose(10 * x, 10 * problem.solve("clarabel").weights, atol=2e-5)


def test_one_statement_for_many_omegas(make_uncertainty) -> None:
    problem, alone = RobustRiskParity(make_uncertainty(8), 0.5), make_uncertainty(8)
    for omega in (0.5, 1.5, 1.0):
        problem.omega = omega
        expected = RobustRiskParity(alone, omega).equalised()
        np.testing.assert_array_equal(problem.equalised(), expected)
    again = pickle.loads(pickle.dumps(problem))
    np.testing.assert_array_equal(again.equalised(), problem.equalised())


def test_dense_covariances(make_uncertainty) -> None:
    given = make_uncertainty(6)
    matrices = (DenseCovariance(S.matrix()) for S in (given.nominal, given.worst_case))
    dense = CovarianceUncertainty.from_bounds(*matrices)
    factored = RobustRiskParity(given, 1.0).equalised()
    np.testing.assert_allclose(RobustRiskParity(dense, 1.0).equalised(), factored, atol=1e-12)


def test_a_known_covariance_needs_risk_parity_alone() -> None:
    matrix = [[0.04, 0.01], [0.01, 0.02]]
    known = CovarianceUncertainty.from_bounds(matrix, matrix)
    x = RobustRiskParity(known, 1.0).equalised()
    R = x * (known.nominal.operator @ x)
    assert R[0] == pytest.approx(R[1], rel=1e-12)


def test_silent_where_contributions_differ_or_nothing_is_feasible(make_uncertainty) -> None:
    """One asset that hedges the errors of the others is held for that, near the limit of ω."""
    differing = 0
    for seed in range(6):
        uncertainty = make_uncertainty(10, seed=seed)
        limit = largest_omega(uncertainty)
        assert RobustRiskParity(uncertainty, 1.001 * limit).equalised() is None
        for share in (0.9, 0.97, 0.995):
            problem = RobustRiskParity(uncertainty, share * limit)
            x, best = problem.equalised(), problem.solve("clarabel")
            R = problem.penalised_contributions(best.weights.to_numpy())
            if x is None:
                differing += R.max() / R.min() > 1.001
            else:
                np.testing.assert_allclose(10 * x, 10 * best.weights, atol=1e-3)
    assert differing >= 3


def test_other_weight_sets_are_left_to_conic_solvers(make_uncertainty) -> None:
    uncertainty = make_uncertainty(5)
    for X in (WeightSet(upper=0.5), WeightSet(gross=1.0, fully_invested=False)):
        assert RobustRiskParity(uncertainty, 1.0, weight_set=X).equalised() is None
    assert RobustRiskParity(uncertainty, 1.0, weight_set=WeightSet()).equalised() is not None


def test_solve_takes_it_by_itself_and_its_certificate_has_the_proof(make_uncertainty) -> None:
    problem = RobustRiskParity(make_uncertainty(25), 1.0)
    portfolio, conic = problem.solve(), problem.solve("clarabel")
    problem.omega = 3.0  # what was solved before stays what it is
    assert portfolio.solver == problem.solve("newton").solver == "newton"
    assert conic.solver.startswith("clarabel")
    assert portfolio.objective == pytest.approx(conic.objective, abs=1e-9 * portfolio.volatility)
    certificate = pickle.loads(pickle.dumps(portfolio)).certificate
    assert certificate == portfolio.certificate
    assert certificate.largest_residual <= 1e-13
    assert abs(certificate.relative_duality_gap) <= 1e-9
    assert certificate.smallest_share == pytest.approx(conic.certificate.smallest_share, abs=1e-5)
    assert portfolio.omega == 1.0


def test_what_it_does_not_find_goes_to_clarabel_or_is_said(make_uncertainty) -> None:
    problem = RobustRiskParity(make_uncertainty(5), 1.0, weight_set=WeightSet(upper=0.9))
    assert problem.solve().solver.startswith("clarabel")
    with pytest.raises(SolverError, match="use 'clarabel'"):
        problem.solve("newton")
    with pytest.raises(UnknownLabelError, match="Newton option 'tol'"):
        problem.solve("newton", tol=1e-3)


def test_few_rows_are_multiplied_out_without_a_square_matrix() -> None:
    """Of ‖Σ^Δ x‖, for many assets: one of 300,000 rows and columns would not fit."""
    n = 300_000
    factor = Factor(np.full((2, 3), 0.5), np.ones((3, n)), "exposure", ("a", "b", "c"))
    assert LinearMap((factor,)).toarray().sum() == 3.0 * n
