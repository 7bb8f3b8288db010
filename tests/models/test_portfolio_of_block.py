"""``problem.portfolio(block)``: what a composed model made of a problem, by the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.core.kernel.constraint import IConstraint
from pyomo.core.kernel.variable import IVariable

from rrp_pyomo import (
    NEAR_START,
    RiskBudgeting,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    WeightSet,
    largest_omega,
)
from rrp_pyomo.data import (
    CovarianceUncertainty,
    FactorCovariance,
    FactorModel,
    datasets,
    excess_returns,
)
from rrp_pyomo.errors import InputError, RiskParityWarning, UnknownLabelError
from rrp_pyomo.models.registry import PROBLEMS


@pytest.fixture
def covariance(factor_covariance: Callable[..., FactorCovariance]) -> FactorCovariance:
    return factor_covariance(6)


@pytest.fixture
def make_market() -> Callable[[int], FactorModel]:
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).tail(60)
    model = FactorModel.fit(returns, data.factors.tail(60))
    return lambda n: model.select(list(model.labels)[:n])


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


# --- where blocks begin ---------------------------------------------------------------------------


def hedging() -> FactorCovariance:
    """Assets that hedge: for Ipopt on (3) and (4) a weight of 0 is a trap."""
    rng = np.random.default_rng(0)
    V = rng.normal(0.0, 0.5, (3, 100)) + np.array([[1.0], [0.0], [0.0]])
    return FactorCovariance(V, np.diag([4e-4, 1e-4, 1e-4]), rng.uniform(4e-4, 25e-4, 100))


@pytest.mark.parametrize("problem", [RiskParityNLP, RiskParityQCLP])
@pytest.mark.parametrize("realise", ["block", "kernel"])
def test_blocks_of_nonconvex_problems_begin_at_the_convex_solution_and_can_stay_there(
    problem: type[RiskParityQCLP], realise: str
) -> None:
    stated = problem(hedging())
    block = getattr(stated, realise)()
    newton = RiskParitySOCP(hedging()).solve("newton").weights
    np.testing.assert_allclose(stated.portfolio(block).weights, newton, rtol=1e-12)
    pyo.SolverFactory("casadi_ipopt").solve(block, options=dict(NEAR_START))
    found = stated.portfolio(block)
    assert found.certificate.is_risk_parity  # type: ignore[union-attr]
    assert found.certificate.largest_deviation < 1e-8  # type: ignore[union-attr]


def test_a_model_with_weights_of_its_own_is_brought_to_a_start() -> None:
    problem = RiskParityQCLP(hedging())
    m = pyo.ConcreteModel()
    m.w = pyo.Var(problem.labels, initialize=0.01)
    m.parity = problem.block(weights=m.w, objective=True)
    problem.initialise(m.parity, RiskParitySOCP(hedging()).solve("newton").weights)
    assert max(abs(pyo.value(c.body) - c.lb) for c in m.parity.risk_contribution.values()) < 1e-12
    pyo.SolverFactory("casadi_ipopt").solve(m, options=dict(NEAR_START))
    assert problem.portfolio(m.parity).certificate.is_risk_parity  # type: ignore[union-attr]


@pytest.mark.parametrize("realise", ["block", "kernel"])
def test_every_variable_is_brought_to_the_best_point_for_the_weights(
    uncertainty: CovarianceUncertainty, realise: str
) -> None:
    """All constraints hold there, and the objective is that of the weights."""
    problem = RobustRiskParity(uncertainty, omega=0.5)
    weights = RiskParitySOCP(uncertainty.nominal).solve().weights
    block = getattr(problem, realise)()
    block.omega.value = 1.0
    problem.initialise(block, weights.iloc[::-1])
    if realise == "kernel":
        variables, constraints = (list(block.components(ctype=c)) for c in (IVariable, IConstraint))
    else:
        variables = list(block.component_data_objects(pyo.Var))
        constraints = list(block.component_data_objects(pyo.Constraint))
    assert len(variables) > 15
    assert all(v.value is not None for v in variables)
    assert len(constraints) > 12
    for c in constraints:
        body = pyo.value(c.body)
        assert c.lb is None or body >= pyo.value(c.lb) - 1e-9
        assert c.ub is None or body <= pyo.value(c.ub) + 1e-9
    there = RobustRiskParity(uncertainty, omega=1.0)
    expected = there.portfolio(block).objective / there.objective_unit
    assert pyo.value(block.objective_expression) == pytest.approx(expected)


def test_fixed_variables_keep_their_values(covariance: FactorCovariance) -> None:
    problem = RiskParitySOCP(covariance)
    block = problem.block()
    block.x["A0"].fix(0.4)
    problem.initialise(block, dict.fromkeys(covariance.labels, 0.1))
    assert block.x["A0"].value == 0.4
    assert block.x["A1"].value == 0.1
    with pytest.raises(UnknownLabelError, match="unknown asset 'B0'"):
        problem.initialise(block, {"B0": 1.0})
    with pytest.raises(InputError, match="has no 'x' with the assets of this problem"):
        problem.initialise(pyo.ConcreteModel(), np.full(6, 1 / 6))


@pytest.mark.parametrize(
    "weight_set",
    [
        WeightSet(fully_invested=False),
        WeightSet(upper=0.3),
        WeightSet(long_only=False),
        WeightSet(long_only=False, fully_invested=False),
    ],
)
def test_blocks_of_nonconvex_problems_begin_somewhere_for_every_weight_set(
    covariance: FactorCovariance, weight_set: WeightSet
) -> None:
    block = RiskParityQCLP(covariance, weight_set=weight_set).block()
    values = np.array([block.x[a].value for a in covariance.labels])
    assert values.sum() == pytest.approx(1.0)
    assert values.min() > 0.01


def test_bounds_of_the_models_own_variables_are_constraints(
    covariance: FactorCovariance, uncertainty: CovarianceUncertainty
) -> None:
    problem = RiskParitySOCP(covariance)
    parity = problem.solve().weights
    m = pyo.ConcreteModel()
    m.w = pyo.Var(covariance.labels, bounds=(0, 1), initialize=parity.to_dict())
    m.parity = problem.block(weights=m.w, objective=True)
    m.w["A0"].setub(0.7 * parity["A0"])
    pyo.SolverFactory("clarabel").solve(m)
    with pytest.warns(RiskParityWarning, match="beside upper bound of 'A0', contributions are"):
        bounded = problem.portfolio(m.parity)
    assert bounded.certificate.binding == ("upper bound of 'A0'",)  # type: ignore[union-attr]
    m.w["A0"].setub(1)
    m.cap = pyo.Constraint(expr=m.w["A0"] <= 0.7 * parity["A0"])
    pyo.SolverFactory("clarabel").solve(m)
    with pytest.warns(RiskParityWarning, match="look at the other constraints of the model"):
        problem.portfolio(m.parity)

    m.w["A0"].setub(1)
    m.w["A0"].fix(0.0)
    with pytest.warns(RiskParityWarning, match="'A0' can hold nothing"):
        m.robust = RobustRiskParity(uncertainty, 0.01).block(weights=m.w)
    without = WeightSet(upper={"A0": 0.0})
    weights = dict(zip(covariance.labels, [0.0, *[0.2] * 5], strict=True))
    for asset, weight in weights.items():
        m.w[asset].value = weight
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = RobustRiskParity(uncertainty, 0.01).portfolio(m.robust)
    assert found.omega_max == pytest.approx(largest_omega(uncertainty, without), rel=1e-6)


def test_the_gap_of_budgets_is_certified_too(covariance: FactorCovariance) -> None:
    problem = RiskBudgeting(covariance)
    free = problem.solve().weights
    m = pyo.ConcreteModel()
    m.w = pyo.Var(covariance.labels, bounds=(0, 1))
    m.w["A0"].setub(0.7 * free["A0"])
    m.budgets = problem.block(weights=m.w, objective=True)
    pyo.SolverFactory("casadi_ipopt").solve(m)
    found = problem.portfolio(m.budgets)
    assert found.certificate.binding == ("upper bound of 'A0'",)  # type: ignore[union-attr]
    assert found.objective == pytest.approx(pyo.value(m.budgets.parity_gap), abs=1e-7)


@pytest.mark.filterwarnings("ignore::rrp_pyomo.errors.RiskParityWarning")  # parity of factors
@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "resampled"])
def test_every_problem_of_the_package_is_brought_to_its_solution_and_certified_there(
    name: str, make_market: Callable[[int], FactorModel]
) -> None:
    """At the solution's weights a block satisfies its constraints, at the same objective."""
    model = make_market(5)
    uncertainty = model.covariance_uncertainty()
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).tail(60)[list(model.labels)]
    known = SimpleNamespace(
        covariance=uncertainty.nominal, uncertainty=uncertainty, model=model, returns=returns
    )
    problem = PROBLEMS[name].make(known)
    solved = problem.solve()
    m = pyo.ConcreteModel()
    m.w = pyo.Var(problem.labels, bounds=(-1, 1))
    m.part = problem.block(weights=m.w, objective=True)
    problem.initialise(m.part, solved.weights)
    assert all(v.value is not None for v in m.component_data_objects(pyo.Var))
    for c in m.component_data_objects(pyo.Constraint):
        assert c.slack() > -1e-9, c.name
    assert pyo.value(m.part.objective) * problem.objective_unit == pytest.approx(
        solved.objective, abs=1e-9
    )
    found = problem.portfolio(m.part)
    assert found.weights.equals(solved.weights)
    assert found.objective == pytest.approx(solved.objective, abs=1e-9)
    assert found.to_dict()["certificate"]
