"""The four formulations as blocks: every realisation and solver gives the same answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import RiskParityNLP, RiskParityQCLP, RiskParitySOCP, RobustRiskParity
from rrp_pyomo.data import Group, LinearRow, WeightSet
from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solvers.ipopt.quadratic import DEFAULTS

N = 8
# A set in which risk parity is not, so that no objective is 0.
X = WeightSet(
    lower=0.05,
    upper=0.15,
    groups={"first": Group(["A0", "A1", "A2"], 0.3, 0.33)},
    rows=[LinearRow("tilt", {"A5": 1.0, "A6": -1.0}, 0.0, 0.01)],
)
CONVEX = ("RiskParitySOCP", "RobustRiskParity")
NONCONVEX = ("RiskParityNLP", "RiskParityQCLP")
# What Gurobi and SCIP need for seven digits.
EXACT = {
    "casadi_ipopt": DEFAULTS,
    "gurobi_persistent": {
        "FeasibilityTol": 1e-9,
        "OptimalityTol": 1e-9,
        "BarQCPConvTol": 1e-10,
        "MIPGap": 0,
        "MIPGapAbs": 0,
    },
    "scip_direct": {"numerics/feastol": 1e-9, "numerics/dualfeastol": 1e-9},
}


@pytest.fixture
def problems(factor_covariance, make_uncertainty):
    Sigma, uncertainty = factor_covariance(N), make_uncertainty(N)
    b = np.random.default_rng(0).dirichlet(np.full(N, 9.0))
    problems = [
        RiskParityNLP(Sigma, b, X),
        RiskParityQCLP(Sigma, b, X),
        RiskParitySOCP(Sigma, b, X),
        RobustRiskParity(uncertainty, 2.0, b, X),
    ]
    return {type(problem).__name__: problem for problem in problems}


def solved_directly(problem):
    """From equal weights, where a start matters."""
    return solve_program(problem.program(), problem.default_solver, start={"x": 1 / N})


def solved(block, solver):
    SolverFactory(solver).solve(block, solver_options=EXACT.get(solver, {}), time_limit=60)
    return pyo.value(block.objective), np.array([v.value for v in block.x.values()])


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt"])
@pytest.mark.parametrize("realisation", ["kernel", "block"])
@pytest.mark.parametrize("name", CONVEX + NONCONVEX)
def test_realisations_agree(problems, name, realisation, solver):
    problem = problems[name]
    block = getattr(problem, realisation)()
    if solver == "clarabel" and name in NONCONVEX:
        with pytest.raises(ModelError, match="not convex"):
            solved(block, solver)
        with pytest.raises(ModelError, match="'clarabel' does not take nonconvex"):
            problem.solve("clarabel")
        return
    direct = solved_directly(problem)
    for variable in block.x.values():
        variable.value = 1 / N
    objective, x = solved(block, solver)
    assert objective == pytest.approx(direct.objective, rel=1e-7)
    assert N * np.abs(x - direct.values["x"]).max() <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["gurobi", "scip"])
@pytest.mark.parametrize("name", CONVEX + NONCONVEX)
def test_environ_block_with_other_solvers(problems, name, solver, need):
    need(solver)
    problem = problems[name]
    direct = solved_directly(problem)
    interface = {"gurobi": "gurobi_persistent", "scip": "scip_direct"}[solver]
    objective, x = solved(problem.block(), interface)
    assert objective == pytest.approx(direct.objective, rel=1e-7)
    assert N * np.abs(x - direct.values["x"]).max() <= 1e-2


def test_global_optimum_of_4(factor_covariance, need):
    """SCIP proves by branching that no weights are better than Ipopt's, at parity and elsewhere."""
    need("scip")
    Sigma = factor_covariance(5)
    tight = WeightSet(lower=0.15, upper=0.25)
    for weight_set, parity in ((None, True), (tight, False)):
        problem = RiskParityQCLP(Sigma, weight_set=weight_set)
        block = problem.block()
        results = SolverFactory("scip_direct").solve(block, solver_options=EXACT["scip_direct"])
        local = problem.solve()
        assert local.certificate.is_risk_parity is parity
        bound = results.objective_bound * problem.risk_unit
        assert results.incumbent_objective == pytest.approx(results.objective_bound, abs=1e-8)
        assert local.objective == pytest.approx(bound, rel=1e-6, abs=1e-8 * problem.risk_unit)


# --- blocks as parts of models --------------------------------------------------------------------


def test_parts_have_the_names_of_the_statement(problems):
    parts = {
        "RiskParityNLP": ["R", "theta", "risk_contribution", "mean_contribution"],
        "RiskParitySOCP": ["z", "p", "t", "marginal_risk", "hyperbolic", "portfolio_risk"],
        "RobustRiskParity": ["y", "perturbation", "marginal_risk", "hyperbolic", "portfolio_risk"],
    }
    for name, expected in parts.items():
        for block in (problems[name].block(), problems[name].kernel()):
            for part in ["x", "fully_invested", "row_lower", "row_upper", "exposure", *expected]:
                assert hasattr(block, part)
            assert list(block.x) == list(problems[name].covariance.labels)
    assert list(problems["RobustRiskParity"].kernel().hyperbolic) == [f"A{i}" for i in range(N)]


def allocation(environ: bool):
    """Somebody's own model: expected returns, some cash, and a limit on what may be sold."""
    held = {f"A{i}": 0.125 for i in range(N)}
    mu = {f"A{i}": 0.001 * (i + 1) for i in range(N)}
    names = ["CASH", *held]
    model = pyo.ConcreteModel() if environ else pmo.block()
    if environ:
        model.w = pyo.Var(names, bounds=(0, 1))
        model.sold = pyo.Var(list(held), bounds=(0, None))
    else:
        model.w = pmo.variable_dict((n, pmo.variable(lb=0, ub=1)) for n in names)
        model.sold = pmo.variable_dict((n, pmo.variable(lb=0)) for n in held)
    expression = {n: held[n] - model.w[n] - model.sold[n] for n in held}
    total = sum(model.sold[n] for n in held) - 0.2
    invested = sum(model.w[n] for n in names)
    if environ:
        model.sells = pyo.Constraint(list(held), rule=lambda m, n: expression[n] <= 0)
        model.turnover = pyo.Constraint(expr=total <= 0)
        model.invested = pyo.Constraint(expr=invested == 1)
        model.cash = pyo.Constraint(expr=model.w["CASH"] >= 0.1)
    else:
        model.sells = pmo.constraint_dict(
            (n, pmo.constraint(body=e, ub=0)) for n, e in expression.items()
        )
        model.turnover = pmo.constraint(body=total, ub=0)
        model.invested = pmo.constraint(body=invested, rhs=1)
        model.cash = pmo.constraint(body=model.w["CASH"], lb=0.1)
    gain = sum(mu[n] * model.w[n] for n in held)
    model.gain = pyo.Expression(expr=gain) if environ else pmo.expression(gain)
    return model


@pytest.mark.parametrize("environ", [True, False], ids=["environ", "kernel"])
def test_a_part_of_an_allocation_model(make_uncertainty, environ):
    """Risk parity slack traded off against return, by weight: monotone, and the limits hold."""
    problem = RobustRiskParity(make_uncertainty(N), 1.0, weight_set=WeightSet(fully_invested=False))
    slack, gain = [], []
    for price in (0.0, 0.02, 0.1, 100.0):
        model = allocation(environ)
        model.parity = problem.block(model.w) if environ else problem.kernel(model.w)
        assert not hasattr(model.parity, "objective")
        tradeoff = model.parity.objective_expression - price * model.gain
        model.o = pyo.Objective(expr=tradeoff) if environ else pmo.objective(tradeoff)
        SolverFactory("clarabel").solve(model)
        x = pd.Series({n: v.value for n, v in model.w.items()})
        assert x.sum() == pytest.approx(1.0, abs=1e-7)
        assert x["CASH"] >= 0.1 - 1e-7
        assert (0.125 - x.drop("CASH")).clip(lower=0).sum() <= 0.2 + 1e-6
        slack.append(pyo.value(model.parity.objective_expression))
        gain.append(pyo.value(model.gain))
    assert (np.diff(slack) >= -1e-8).all()
    assert (np.diff(gain) >= -1e-8).all()
    assert gain[-1] > gain[0] + 1e-5


def test_weights_of_the_other_kind_are_refused(problems):
    problem = problems["RiskParitySOCP"]
    model, kernel = pyo.ConcreteModel(), pmo.block()
    model.w = pyo.Var([f"A{i}" for i in range(N)])
    kernel.w = pmo.variable_dict((f"A{i}", pmo.variable()) for i in range(N))
    with pytest.raises(InputError, match=r"pyomo.kernel variable.*do not mix"):
        problem.kernel(model.w)
    with pytest.raises(InputError, match=r"pyomo.environ variable.*do not mix"):
        problem.block(kernel.w)
    model.parity = problem.block()
    model.kernel = problem.kernel()
    with pytest.raises(ModelError, match=r"'kernel' .*pyomo.kernel object.*kernel alone"):
        SolverFactory("clarabel").solve(model)


@pytest.mark.filterwarnings("ignore:.*beside:rrp_pyomo.errors.RiskParityWarning")
def test_a_program_is_the_users_own(problems):
    """What is added to program() stays out of the formulation."""
    problem = problems["RiskParitySOCP"]
    before = problem.solve().objective
    program = problem.program()
    x = program.variables["x"]
    program.subject_to(no_more=x <= 0.14)
    assert solve_program(program).values["x"].max() <= 0.14 + 1e-8
    assert problem.solve().objective == before
    assert "no_more" not in problem.program().constraints
    assert not hasattr(problem.block(), "no_more")
