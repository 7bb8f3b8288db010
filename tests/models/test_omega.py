"""(12) for one ω after the other: a parameter of the statement, compiled once."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pyomo.environ as pyo
import pytest

from rrp_pyomo import FactorModel, RobustRiskParity, WeightSet
from rrp_pyomo.errors import InputError
from rrp_pyomo.program import Program


@pytest.fixture
def problem() -> RobustRiskParity:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(120, 3)) * 0.02
    returns = factors @ rng.normal(1.0, 0.4, (3, 8)) + rng.normal(size=(120, 8)) * 0.03
    uncertainty = FactorModel.from_arrays(returns, factors).covariance_uncertainty()
    return RobustRiskParity(uncertainty, 0.5, weight_set=WeightSet(upper=0.3))


def anew(problem: RobustRiskParity, omega: float) -> RobustRiskParity:
    return RobustRiskParity(problem.uncertainty, omega, weight_set=WeightSet(upper=0.3))


def require_same(one: Program, two: Program) -> None:
    a, b = one.conic(), two.conic()
    for name in ("q", "b", "column_scale", "row_scale"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert (a.A != b.A).nnz == 0
    assert a.cones == b.cones


@pytest.mark.parametrize("omega", [1.0, 3.0])
def test_another_omega_is_compiled_as_stated_anew(problem, omega) -> None:
    problem.statement.conic()
    problem.omega = omega
    require_same(problem.statement, anew(problem, omega).program())
    assert (problem.omega, problem.Omega) == (omega, anew(problem, omega).Omega)
    require_same(problem.program(), anew(problem, omega).program())


def test_solved_for_several_omegas(problem) -> None:
    for omega in (1.0, 2.0, 0.0):
        problem.omega = omega
        ours = problem.solve()
        assert ours.omega == omega
        np.testing.assert_allclose(ours.weights, anew(problem, omega).solve().weights, atol=1e-8)
        assert ours.certificate.largest_residual < 1e-7


def test_a_portfolio_stays_about_the_omega_that_it_was_solved_for(problem) -> None:
    portfolio = problem.solve()
    problem.omega = 5.0
    assert portfolio.omega == 0.5
    assert portfolio.certificate.largest_residual < 1e-7


@pytest.mark.parametrize("omega", [-1.0, np.nan, np.inf])
def test_an_omega_that_is_none_changes_nothing(problem, omega) -> None:
    before = problem.solve().weights
    with pytest.raises(InputError, match="omega"):
        problem.omega = omega
    assert problem.omega == 0.5
    np.testing.assert_allclose(problem.solve().weights, before, atol=1e-9)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_have_an_omega_of_their_own(problem, copied) -> None:
    problem.solve()
    other = copied(problem)
    other.omega = 2.0
    assert other.statement.columns == problem.statement.columns
    np.testing.assert_allclose(other.solve().weights, anew(problem, 2.0).solve().weights, atol=1e-8)
    assert problem.omega == 0.5
    require_same(problem.statement, anew(problem, 0.5).program())


@pytest.mark.parametrize("kind", ["block", "kernel"])
def test_blocks_carry_omega(problem, kind) -> None:
    block = getattr(problem, kind)()
    solver = pyo.SolverFactory("clarabel")
    for omega in (0.5, 2.0):
        block.omega.value = omega
        solver.solve(block)
        weights = [block.x[label].value for label in problem.labels]
        np.testing.assert_allclose(weights, anew(problem, omega).solve().weights, atol=1e-5)
