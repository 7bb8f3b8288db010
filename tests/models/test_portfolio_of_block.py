"""``problem.portfolio(block)``: what a composed model made of a problem, by the data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyomo.environ as pyo
import pytest

from rrp_pyomo import (
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    WeightSet,
    largest_omega,
)
from rrp_pyomo.data import CovarianceUncertainty, FactorCovariance
from rrp_pyomo.errors import InputError, RiskParityWarning


@pytest.fixture
def covariance(factor_covariance: Callable[..., FactorCovariance]) -> FactorCovariance:
    return factor_covariance(6)


@pytest.fixture
def uncertainty(covariance: FactorCovariance) -> CovarianceUncertainty:
    errors = np.full(covariance.V.shape, 0.08)
    return CovarianceUncertainty.from_loading_errors(covariance, errors)


@pytest.mark.parametrize("problem", [RiskParityNLP, RiskParityQCLP, RiskParitySOCP])
def test_weights_of_a_model_are_certified_as_those_of_solve(
    covariance: FactorCovariance, problem: type[RiskParitySOCP]
) -> None:
    stated = problem(covariance)
    solved = RiskParitySOCP(covariance).solve()
    m = pyo.ConcreteModel()
    m.w = pyo.Var(covariance.labels, initialize=solved.weights.to_dict())
    m.parity = pyo.Block(["a"], rule=lambda _, k: stated.block(weights=m.w))
    found = stated.portfolio(m.parity["a"])
    assert found.weights.equals(solved.weights)
    assert found.certificate is not None
    assert found.certificate.is_risk_parity  # type: ignore[attr-defined]
    assert found.objective == pytest.approx(0.0, abs=1e-8)
    assert found.solver == "block 'parity[a]'"
    m.w["A0"].set_value(0.9)
    with pytest.warns(RiskParityWarning, match=r"block 'parity\[a\]' .* not risk parity"):
        stated.portfolio(m.clone().parity["a"])


def test_the_objective_is_of_the_weights_however_loose_the_rest_is(
    uncertainty: CovarianceUncertainty,
) -> None:
    problem = RobustRiskParity(uncertainty, omega=0.5)
    solved = problem.solve()
    block = problem.block()
    for variable in block.component_data_objects(pyo.Var):
        variable.set_value(7.0)
    for asset, weight in solved.weights.items():
        block.x[asset].set_value(weight)
    found = problem.portfolio(block)
    assert found.objective == pytest.approx(solved.objective, abs=1e-8)
    assert found.omega_max == pytest.approx(largest_omega(uncertainty))
    kernel = problem.kernel()
    pyo.SolverFactory("clarabel").solve(kernel)
    assert found.objective == pytest.approx(problem.portfolio(kernel).objective, abs=1e-8)


def test_omega_is_that_of_the_block(uncertainty: CovarianceUncertainty) -> None:
    problem = RobustRiskParity(uncertainty, omega=0.5)
    block = problem.block()
    block.omega.set_value(1.5)
    pyo.SolverFactory("clarabel").solve(block)
    found = problem.portfolio(block)
    there = RobustRiskParity(uncertainty, omega=1.5).solve()
    assert found.omega == 1.5
    assert found.objective == pytest.approx(there.objective, rel=1e-6)
    assert problem.omega == problem.statement.numbers["omega"][0] == 0.5

    block.omega.set_value(2.0 * largest_omega(uncertainty))
    with pytest.warns(RiskParityWarning, match="an omega further below omega_max"):
        found = problem.portfolio(block)
    assert found.certificate.residuals["12c"] > 1e-3  # type: ignore[union-attr]


def test_a_sleeve_keeps_its_size(covariance: FactorCovariance) -> None:
    problem = RiskParitySOCP(covariance, weight_set=WeightSet(fully_invested=False))
    block = problem.block()
    block.sleeve = pyo.Constraint(expr=sum(block.x.values()) == 0.3)
    pyo.SolverFactory("clarabel").solve(block)
    assert problem.portfolio(block).weights.sum() == pytest.approx(0.3)
    assert problem.portfolio(block).certificate.is_risk_parity  # type: ignore[union-attr]


def test_what_is_no_solved_block_is_refused(covariance: FactorCovariance) -> None:
    problem = RiskParitySOCP(covariance)
    m = pyo.ConcreteModel(name="model")
    m.w = pyo.Var(covariance.labels)
    m.parity = problem.block(weights=m.w)
    with pytest.raises(InputError, match=r"'w\[A0\]' has no value; solve the model first"):
        problem.portfolio(m.parity)
    with pytest.raises(InputError, match=r"block 'model' has no 'x' with the assets"):
        problem.portfolio(m)
    m.x = pyo.Var(["A0", "other"], initialize=0.0)
    with pytest.raises(InputError, match=r"block 'model' has no 'x' with the assets"):
        problem.portfolio(m)
    for variable in m.w.values():
        variable.set_value(0.0)
    with pytest.raises(InputError, match="all weights on block 'parity' are 0"):
        problem.portfolio(m.parity)
