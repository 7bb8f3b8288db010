"""Every statement through every solver that claims it, by name and as a block: the same answer.

Objectives agree to the accuracy that the registry states for each solver; weights, as the objective
is flat at its optimum, to the square root of that.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest

from rrp_pyomo import (
    CovarianceUncertainty,
    FactorCovariance,
    Program,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    norm,
    square,
    sum_squares,
)
from rrp_pyomo.errors import ModelError, SolverError
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.solve.program import needs, solve_program
from rrp_pyomo.solve.table import SOLVERS, Takes

pytestmark = pytest.mark.filterwarnings("ignore::rrp_pyomo.errors.RiskParityWarning")

N = 5  # small enough for licences that limit the size


@cache
def uncertainty() -> CovarianceUncertainty:
    """In the units of the statements, in which objectives of portfolios are then, too."""
    rng = np.random.default_rng(7)
    V = np.vstack([rng.normal(1.0, 0.25, N), rng.normal(0.0, 0.4, (2, N))])
    F, D = np.diag([5e-4, 2e-4, 1e-4]), rng.uniform(2e-4, 2e-3, N)
    unit = RiskParitySOCP(FactorCovariance(V, F, D)).risk_unit
    covariance = FactorCovariance(V, F / unit, D / unit)
    return CovarianceUncertainty.from_loading_errors(covariance, rng.uniform(0.03, 0.12, (3, N)))


def own_model() -> Program:
    """The README's: max w'μ̂ − δ‖w‖₂ − (λ/2) w'Σ̂w."""
    mu, root = np.linspace(0.002, 0.01, N), uncertainty().nominal.root
    program = Program("robust_mean_variance")
    x = program.variable("x", uncertainty().labels, lower=0)
    s = program.variable("s", lower=0)
    program.maximize(mu @ x - 0.005 * s - 0.001 * sum_squares(root @ x))
    program.subject_to(fully_invested=x.sum() == 1, length=norm(x) <= s)
    return program


def tracking() -> Program:
    """Squares in objective and constraints, in sums and entry by entry, next to a cone."""
    target = np.linspace(0.3, 0.1, N)
    program = Program("tracking")
    x, y = (program.variable(name, uncertainty().labels, lower=0) for name in "xy")
    s = program.variable("s", lower=0)
    program.minimize(sum_squares(x - target) + y.sum() + s)
    program.subject_to(
        fully_invested=x.sum() == 1,
        length=norm(x) <= s,
        near=sum_squares(x - 1 / N) <= 0.01,
        each=square(x) + 0.5 * square(2 * x - 0.4) <= y,
    )
    return program


STATEMENTS: dict[str, Any] = {
    "(3)": lambda: RiskParityNLP(uncertainty().nominal),
    "(4)": lambda: RiskParityQCLP(uncertainty().nominal),
    "(11)": lambda: RiskParitySOCP(uncertainty().nominal),
    "(12)": lambda: RobustRiskParity(uncertainty(), omega=1.0),
    "own model": own_model,
    "tracking": tracking,
}
NEEDS = {
    "(3)": {Takes.LINEAR, Takes.QUADRATIC, Takes.NONCONVEX},
    "(4)": {Takes.LINEAR, Takes.NONCONVEX},
    "(11)": {Takes.LINEAR, Takes.SECOND_ORDER},
    "(12)": {Takes.LINEAR, Takes.SECOND_ORDER},
    "own model": {Takes.LINEAR, Takes.QUADRATIC, Takes.SECOND_ORDER},
    "tracking": {Takes.LINEAR, Takes.QUADRATIC, Takes.SECOND_ORDER},
}
NOMINAL = ("(3)", "(4)", "(11)")


@cache
def reference(name: str) -> tuple[float, np.ndarray]:
    """Objective and weights: 0 and Newton's for nominal problems, else by Clarabel."""
    if name in NOMINAL:
        return 0.0, RiskParitySOCP(uncertainty().nominal).solve("newton").weights.to_numpy()
    return answer(STATEMENTS[name](), "clarabel")


def answer(statement: Any, solver: str) -> tuple[float, np.ndarray]:
    """Objective and weights by a solver's name."""
    if isinstance(statement, PortfolioProblem):
        portfolio = statement.solve(solver)
        return portfolio.objective, portfolio.weights.to_numpy()
    solution = solve_program(statement, solver)
    return solution.objective, solution.arrays["x"]


def assert_same(found: tuple[float, np.ndarray], name: str, solver: str) -> None:
    best, weights = reference(name)
    accuracy = max(SOLVERS[solver].accuracy, SOLVERS["clarabel"].accuracy)
    assert found[0] == pytest.approx(best, abs=accuracy)
    np.testing.assert_allclose(found[1], weights, rtol=0, atol=np.sqrt(accuracy) / N)


def claims(solver: str, name: str) -> bool:
    by_newton = solver == "newton" and name in (*NOMINAL, "(12)")
    return SOLVERS[solver].can(frozenset(NEEDS[name])) or by_newton


CLAIMS = [(solver, name) for name in STATEMENTS for solver in SOLVERS if claims(solver, name)]
OTHERS = [(solver, name) for name in STATEMENTS for solver in SOLVERS if not claims(solver, name)]
BLOCKS = [
    (solver, kind, name)
    for name in STATEMENTS
    for solver, entry in SOLVERS.items()
    for kind in entry.reads
    if any(NEEDS[name] <= together for together in getattr(entry, kind))
]


@pytest.mark.parametrize("name", STATEMENTS)
def test_needs(name):
    statement = STATEMENTS[name]()
    program = statement.program() if isinstance(statement, PortfolioProblem) else statement
    assert needs(program) == NEEDS[name]


@pytest.mark.parametrize(("solver", "name"), CLAIMS)
def test_by_name(solver, name, runs):
    assert_same(answer(STATEMENTS[name](), runs(solver)), name, solver)


@pytest.mark.parametrize(("solver", "kind", "name"), BLOCKS)
def test_by_block(solver, kind, name, interface):
    """As somebody would who has a model of their own around the block."""
    statement = STATEMENTS[name]()
    model = pmo.block() if kind == "kernel" else pyo.ConcreteModel()
    model.part = statement.kernel() if kind == "kernel" else statement.block()
    interface(solver).solve(model)
    weights = np.array([x.value for x in model.part.x.values()])
    assert_same((pyo.value(model.part.objective), weights), name, solver)


@pytest.mark.parametrize(("solver", "name"), OTHERS)
def test_refused(solver, name):
    """Whether or not the solver is installed."""
    with pytest.raises(ModelError, match=rf"solver '{solver}' does not take .*; use one that does"):
        answer(STATEMENTS[name](), solver)


@pytest.mark.parametrize("solver", ["clarabel", "scs", "casadi_ipopt", "gurobi", "scip", "xpress"])
def test_time_limits_arrive(solver, runs):
    """Nobody solves this in a tenth of a millisecond, and who is given time does."""
    root = np.random.default_rng(0).normal(size=(60, 60))
    program = Program("dense")
    x, s = program.variable("x", range(60), lower=0), program.variable("s")
    program.minimize(s)
    program.subject_to(length=norm(root @ x) <= s, invested=x.sum() == 1)
    with pytest.raises(SolverError, match="on dense"):
        solve_program(program, runs(solver), time_limit=1e-4)
    best = solve_program(program).objective
    found = solve_program(program, solver, time_limit=30.0).objective
    assert found == pytest.approx(best, abs=SOLVERS[solver].accuracy)


# --- a part of a model with integers ------------------------------------------------------------

TARGET = np.array([0.3, 0.25, 0.25, 0.15, 0.05])


def deviation() -> Program:
    """Σ|x_i − target_i|, a linear program."""
    program = Program("deviation")
    x = program.variable("x", range(N), lower=0)
    d = program.variable("d", range(N))
    program.minimize(d.sum())
    program.subject_to(above=d >= x - TARGET, below=d >= TARGET - x, invested=x.sum() == 1)
    return program


def three_assets(kind: str) -> Any:
    """At most three assets, each at most one half: the two smallest targets are given up."""
    if kind == "kernel":
        m = pmo.block()
        m.w = pmo.variable_dict((i, pmo.variable(lb=0, ub=0.5)) for i in range(N))
        m.held = pmo.variable_dict((i, pmo.variable(domain=pmo.Binary)) for i in range(N))
        rows = ((i, pmo.constraint(m.w[i] <= 0.5 * m.held[i])) for i in range(N))
        m.at_most_half = pmo.constraint_dict(rows)
        m.three = pmo.constraint(sum(m.held.values()) <= 3)
        m.part = deviation().kernel(bind={"x": m.w})
        return m
    m = pyo.ConcreteModel()
    m.w = pyo.Var(range(N), bounds=(0, 0.5))
    m.held = pyo.Var(range(N), domain=pyo.Binary)
    m.at_most_half = pyo.Constraint(range(N), rule=lambda m, i: m.w[i] <= 0.5 * m.held[i])
    m.three = pyo.Constraint(expr=sum(m.held.values()) <= 3)
    m.part = deviation().block(bind={"x": m.w})
    return m


MIXED_INTEGER = [
    (solver, kind)
    for solver, entry in SOLVERS.items()
    for kind in entry.reads
    if any({Takes.LINEAR, Takes.INTEGER} <= together for together in getattr(entry, kind))
]


@pytest.mark.parametrize(("solver", "kind"), MIXED_INTEGER)
def test_with_integers(solver, kind, interface):
    model = three_assets(kind)
    interface(solver).solve(model)
    accuracy = SOLVERS[solver].accuracy
    assert pyo.value(model.part.objective) == pytest.approx(2 * (0.15 + 0.05), abs=accuracy)
    assert [round(held.value) for held in model.held.values()] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("kind", ["kernel", "environ"])
@pytest.mark.parametrize("solver", ["clarabel", "scs", "casadi_ipopt"])
def test_integers_are_refused(solver, kind, interface):
    with pytest.raises(ModelError, match="integer or binary"):
        interface(solver).solve(three_assets(kind))
