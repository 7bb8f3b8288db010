"""Pyomo's transformations and PyROS take models with blocks of the problems in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyomo.contrib.pyros as pyros
import pyomo.environ as pyo
import pytest
from pyomo.contrib.fbbt.fbbt import fbbt

from rrp_pyomo import (
    RiskBudgeting,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    norm,
    solve_program,
)
from rrp_pyomo.data import CovarianceUncertainty, FactorCovariance
from rrp_pyomo.models.problem import PortfolioProblem

PROBLEMS = ["nlp", "qclp", "socp", "robust", "budgeting"]
KEEPING = [
    "contrib.aggregate_vars",
    "contrib.constraints_to_var_bounds",
    "contrib.deactivate_trivial_constraints",
    "contrib.detect_fixed_vars",
    "contrib.init_vars_midpoint",
    "contrib.propagate_fixed_vars",
    "contrib.remove_zero_terms",
    "core.relax_integer_vars",
]


@pytest.fixture
def uncertainty(factor_covariance: Callable[..., FactorCovariance]) -> CovarianceUncertainty:
    nominal = factor_covariance(5)
    return CovarianceUncertainty.from_loading_errors(nominal, 0.05 + 0.0 * nominal.V)


@pytest.fixture(params=PROBLEMS)
def problem(request: pytest.FixtureRequest, uncertainty: CovarianceUncertainty) -> PortfolioProblem:
    nominal = uncertainty.nominal
    makers: dict[str, Callable[[], PortfolioProblem]] = {
        "nlp": lambda: RiskParityNLP(nominal),
        "qclp": lambda: RiskParityQCLP(nominal),
        "socp": lambda: RiskParitySOCP(nominal),
        "robust": lambda: RobustRiskParity(uncertainty, omega=0.3),
        "budgeting": lambda: RiskBudgeting(nominal),
    }
    return makers[request.param]()


def composed(problem: PortfolioProblem) -> pyo.ConcreteModel:
    """One weight below what parity would give it, near the solution without that."""
    m = pyo.ConcreteModel()
    there = RiskParitySOCP(problem.covariance).solve().weights  # type: ignore[arg-type]
    m.w = pyo.Var(list(there.index), bounds=(0, 1), initialize=there.to_dict())
    m.parity = problem.block(weights=m.w)
    m.cap = pyo.Constraint(expr=m.w["A0"] <= 0.8 * there["A0"])
    m.goal = pyo.Objective(expr=m.parity.objective_expression)
    return m


def solved(problem: PortfolioProblem, model: Any) -> float:
    conic = isinstance(problem, RiskParitySOCP | RobustRiskParity)
    pyo.SolverFactory("clarabel" if conic else "casadi_ipopt").solve(model)
    (goal,) = model.component_data_objects(pyo.Objective, active=True)
    return float(pyo.value(goal))


def test_transformations_keep_the_optimum(problem: PortfolioProblem) -> None:
    optimum = solved(problem, composed(problem))
    for name in KEEPING:
        model = composed(problem)
        pyo.TransformationFactory(name).apply_to(model)
        assert solved(problem, model) == pytest.approx(optimum, abs=1e-5), name
    model = composed(problem)
    fbbt(model)
    assert solved(problem, model) == pytest.approx(optimum, abs=1e-5)


def test_a_scaled_model_has_the_same_answer(problem: PortfolioProblem) -> None:
    model = composed(problem)
    optimum = solved(problem, composed(problem))
    model.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    model.scaling_factor[model.cap] = 10.0
    scale = pyo.TransformationFactory("core.scale_model")
    scaled = scale.create_using(model, rename=False)
    solved(problem, scaled)
    scale.propagate_solution(scaled, model)
    assert pyo.value(model.goal) == pytest.approx(optimum, abs=1e-5)


def test_slack_variables_show_what_contradicts(problem: PortfolioProblem) -> None:
    model = composed(problem)
    model.floor = pyo.Constraint(expr=model.w["A0"] >= 0.5)
    pyo.TransformationFactory("core.add_slack_variables").apply_to(
        model, targets=[model.cap, model.floor]
    )
    slack = model._core_add_slack_variables
    cap = float(pyo.value(model.cap.upper))
    assert solved(problem, model) == pytest.approx(0.5 - cap, abs=1e-5)
    total = pyo.value(slack._slack_minus_cap + slack._slack_plus_floor)
    assert total == pytest.approx(0.5 - cap, abs=1e-5)


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt"])
def test_pyros_with_all_variables_of_the_block_in_the_first_stage(
    uncertainty: CovarianceUncertainty, solver: str
) -> None:
    """The largest mean over an ellipsoid of means, under a cap on the slack of (11)."""
    problem = RiskParitySOCP(uncertainty.nominal)
    labels = list(problem.labels)
    mean, root = np.linspace(0.2, 0.6, 5), 0.05 * np.eye(5)
    m = pyo.ConcreteModel()
    m.w = pyo.Var(labels, bounds=(0, 1), initialize=0.2)
    m.parity = problem.block(weights=m.w)
    m.mean = pyo.Param(labels, initialize=dict(zip(labels, mean, strict=True)), mutable=True)
    m.cap = pyo.Constraint(expr=m.parity.p - m.parity.t <= 0.05)
    m.goal = pyo.Objective(expr=sum(m.mean[a] * m.w[a] for a in labels), sense=pyo.maximize)
    found = pyo.SolverFactory("pyros").solve(
        model=m,
        first_stage_variables=list(m.component_data_objects(pyo.Var)),
        second_stage_variables=[],
        uncertain_params=[m.mean],
        uncertainty_set=pyros.EllipsoidalSet(mean, root.T @ root),
        local_solver=pyo.SolverFactory(solver),
        global_solver=pyo.SolverFactory(solver),
        objective_focus=pyros.ObjectiveType.worst_case,
        solve_master_globally=True,
        time_limit=60,
    )
    assert found.pyros_termination_condition is pyros.pyrosTerminationCondition.robust_optimal

    program = problem.program()
    x, p, t = (program.variables[name] for name in "xpt")
    spread = program.variable("spread")
    program.maximize(mean @ x - spread)
    program.subject_to(cap=p - t <= 0.05, ellipsoid=norm(root @ x) <= spread)
    expected = solve_program(program).objective
    assert found.final_objective_value == pytest.approx(expected, abs=1e-5)
