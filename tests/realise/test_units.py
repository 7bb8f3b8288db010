"""Parts of blocks in units of the data, whatever the unit in which the statement measures risk."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import (
    FactorModel,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    WeightSet,
)
from rrp_pyomo.data import DenseCovariance, datasets, excess_returns

KINDS = pytest.mark.parametrize("kind", ["block", "kernel"])


@pytest.fixture(scope="module")
def uncertainty():
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).tail(60).iloc[:, :6]
    return FactorModel.fit(returns, data.factors.tail(60)).covariance_uncertainty()


@pytest.fixture
def x(uncertainty):
    x = np.array([3.0, 1.0, 2.0, 1.0, 4.0, 2.0])
    return x / x.sum()


def at(problem, kind, x):
    block = getattr(problem, kind)()
    problem.statement.initialise(block, problem._values_at(x))
    return block


@KINDS
def test_volatility_and_slack_of_11(uncertainty, x, kind):
    problem = RiskParitySOCP(uncertainty.nominal)
    block = at(problem, kind, x)
    S = uncertainty.nominal.matrix().to_numpy()
    variance = x @ S @ x
    assert pyo.value(block.volatility) == pytest.approx(np.sqrt(variance), rel=1e-12)
    smallest = (x * (S @ x)).min() * x.size / variance
    bound = (1 - pyo.value(block.slack) / pyo.value(block.volatility)) ** 2
    assert bound == pytest.approx(smallest, rel=1e-12)


@KINDS
def test_worst_case_volatility_of_12(uncertainty, x, kind):
    block = at(RobustRiskParity(uncertainty, 1.0), kind, x)
    S = uncertainty.worst_case.matrix().to_numpy()
    assert pyo.value(block.worst_case_volatility) == pytest.approx(np.sqrt(x @ S @ x), rel=1e-12)
    ratio = pyo.value(block.worst_case_volatility) / pyo.value(block.p)
    assert pyo.value(block.slack) == pytest.approx(
        ratio * (pyo.value(block.p) - pyo.value(block.t)), rel=1e-12
    )


@KINDS
@pytest.mark.parametrize("problem", [RiskParityNLP, RiskParityQCLP])
def test_contributions_of_3_and_4(uncertainty, x, kind, problem):
    budgets = np.array([0.1, 0.2, 0.1, 0.3, 0.2, 0.1])
    block = at(problem(uncertainty.nominal, budgets), kind, x)
    S = uncertainty.nominal.matrix().to_numpy()
    found = [pyo.value(block.contribution[a]) for a in uncertainty.labels]
    np.testing.assert_allclose(found, x * (S @ x), rtol=1e-12)
    assert pyo.value(block.variance) == pytest.approx(x @ S @ x, rel=1e-12)


@KINDS
def test_the_unit_stays_with_the_block(uncertainty, kind):
    problem = RiskParitySOCP(uncertainty.nominal)
    block = getattr(problem, kind)()
    assert block.unit == problem.risk_unit
    assert block.clone().unit == problem.risk_unit
    n = len(problem.labels)
    assert pyo.value(block.volatility) == np.sqrt(n * block.unit) * pyo.value(block.p)
    if kind == "block":
        model = pyo.ConcreteModel()
        model.parts = pyo.Block([1, 2], rule=lambda b, k: problem.block())
        assert model.parts[2].unit == problem.risk_unit


def test_a_cap_of_3_per_cent_is_one_of_3_per_cent(uncertainty):
    """With cash beside risk parity, as much is invested as the cap allows."""
    parity = RiskParitySOCP(uncertainty.nominal).solve()
    problem = RiskParitySOCP(uncertainty.nominal, weight_set=WeightSet(fully_invested=False))
    model = pyo.ConcreteModel()
    model.rp = problem.block(objective=False)
    model.cap = pyo.Constraint(expr=model.rp.volatility <= 0.03)
    model.parity = pyo.Constraint(expr=model.rp.slack <= 1e-9)
    model.goal = pyo.Objective(expr=sum(model.rp.x.values()), sense=pyo.maximize)
    SolverFactory("clarabel").solve(model)
    invested = 0.03 / parity.volatility
    weights = [v.value for v in model.rp.x.values()]
    np.testing.assert_allclose(weights, invested * parity.weights, rtol=1e-4)


def test_slacks_of_blocks_scale_with_the_data(uncertainty, x):
    """In percentages, everything in units of the data is 100 or 10,000 times as large."""
    S = uncertainty.nominal.matrix()
    decimals, percent = (at(RiskParitySOCP(DenseCovariance(S * k)), "block", x) for k in (1.0, 1e4))
    for name, factor in {"volatility": 100.0, "slack": 100.0, "objective_expression": 1.0}.items():
        a, b = (pyo.value(getattr(block, name)) for block in (decimals, percent))
        assert b == pytest.approx(factor * a, rel=1e-9)
