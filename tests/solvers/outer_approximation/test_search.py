"""The outer approximation against enumeration, other solvers, and what cannot be solved."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from interrupts import pressed
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.util import NoDualsError

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.modeling import exp, norm, square, sum_squares
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

QUIET = {"load_solutions": False, "raise_exception_on_nonoptimal_result": False}


def solver():
    return SolverFactory("outer_approximation")


def tracking(n: int, k: int, seed: int) -> tuple[Program, np.ndarray, np.ndarray]:
    """The closest portfolio of k assets to a benchmark, in tracking error."""
    random = np.random.default_rng(seed)
    B = random.normal(size=(3, n))
    Sigma = B.T @ B + np.diag(random.uniform(0.5, 1.5, n))
    benchmark = random.dirichlet(np.ones(n))
    root = np.linalg.cholesky(Sigma).T
    program = Program("tracking")
    x = program.variable("x", range(n), lower=0)
    s = program.variable("s", range(n), domain="binary")
    program.minimize(sum_squares(root @ (x - benchmark)))
    program.subject_to(full=x.sum() == 1, few=s.sum() == k, held=x <= s, least=x >= 0.05 * s)
    return program, Sigma, benchmark


def enumerated(Sigma: np.ndarray, benchmark: np.ndarray, k: int) -> float:
    n = benchmark.size
    root = np.linalg.cholesky(Sigma).T
    best = math.inf
    for chosen in itertools.combinations(range(n), k):
        at = list(chosen)
        program = Program("fixed")
        x = program.variable("x", range(k), lower=0.05)
        program.minimize(sum_squares(root[:, at] @ x - root @ benchmark))
        program.subject_to(full=x.sum() == 1)
        best = min(best, solve_program(program, "clarabel").objective)
    return best


@pytest.mark.parametrize("search", ["tree", "rounds"])
def test_cardinality_is_as_enumerated(search):
    for seed in range(2):
        program, Sigma, benchmark = tracking(7, 3, seed)
        solution = solve_program(program, "outer_approximation", search=search)
        best = enumerated(Sigma, benchmark, 3)
        assert solution.objective == pytest.approx(best, rel=1e-6)
        assert set(solution.values["s"]) <= {0.0, 1.0}
        assert solution.certificate.is_feasible


def random_model(seed: int, kernel: bool = False):
    """A norm, a product and a quadratic over integers, fixed and continuous variables."""
    random = np.random.default_rng(seed)
    n = 4
    G, c = random.normal(size=(3, 2 * n)), random.normal(size=2 * n)
    center = random.uniform(-2, 2, 3)
    if kernel:
        m = pmo.block()
        m.i = pmo.variable_list(
            pmo.variable(domain_type=pmo.IntegerSet, lb=-2.5, ub=3.2) for _ in range(n)
        )
        m.x = pmo.variable_list(pmo.variable(lb=-2, ub=2) for _ in range(n))
        m.r, m.a, m.b = (pmo.variable(lb=0, ub=6) for _ in range(3))
        m.u = pmo.variable_list(pmo.variable() for _ in range(3))
        v = [*m.i, *m.x]
        m.rows = pmo.constraint_list(
            pmo.constraint(m.u[j] == sum(G[j, k] * v[k] for k in range(2 * n)) - center[j])
            for j in range(3)
        )
        m.cone = pmo.conic.quadratic(m.r, list(m.u))
        m.product = pmo.conic.rotated_quadratic(m.a, m.b, [m.u[0]])
        m.sum = pmo.constraint(m.a + m.b <= 5)
        m.i[0].fix(1)
        m.goal = pmo.objective(2 * m.r + m.a + sum(c[k] * v[k] for k in range(2 * n)))
        return m
    m = pyo.ConcreteModel()
    m.i = pyo.Var(range(n), domain=pyo.Integers, bounds=(-2.5, 3.2))
    m.x = pyo.Var(range(n), bounds=(-2, 2))
    m.r, m.a, m.b = (pyo.Var(bounds=(0, 6)) for _ in range(3))
    m.u = pyo.Var(range(3))
    v = [*m.i.values(), *m.x.values()]
    m.rows = pyo.Constraint(
        range(3), rule=lambda m, j: m.u[j] == sum(G[j, k] * v[k] for k in range(2 * n)) - center[j]
    )
    m.cone = pyo.Constraint(expr=sum(u**2 for u in m.u.values()) <= m.r**2)
    m.product = pyo.Constraint(expr=m.u[0] ** 2 <= 2 * m.a * m.b)
    m.sum = pyo.Constraint(expr=m.a + m.b <= 5)
    m.i[0].fix(1)
    m.goal = pyo.Objective(
        expr=-(2 * m.r + m.a + sum(c[k] * v[k] for k in range(2 * n))), sense=pyo.maximize
    )
    return m


def test_agreement_with_gurobi():
    pytest.importorskip("gurobipy")
    for seed in range(6):
        model = random_model(seed)
        results = solver().solve(model)
        value = pyo.value(model.goal)
        assert results.incumbent_objective == pytest.approx(value)
        assert results.objective_bound >= value - 1e-9  # maximising
        assert results.objective_bound == pytest.approx(value, rel=2e-6, abs=1e-6)
        pyo.SolverFactory("gurobi_direct", options={"MIPGap": 1e-9}).solve(model)
        assert value == pytest.approx(pyo.value(model.goal), rel=1e-5, abs=1e-5)


def test_kernel_models_have_the_same_optimum():
    for seed in (0, 3):
        model, kernel = random_model(seed), random_model(seed, kernel=True)
        assert solver().solve(kernel).incumbent_objective == pytest.approx(
            -solver().solve(model).incumbent_objective, rel=2e-6
        )
        assert all(float(i.value).is_integer() for i in kernel.i)


def test_exponential_and_power_cones():
    """Integers x maximise log-like utilities: as by enumeration."""
    program = Program("lots")
    x = program.variable("x", ["a", "b"], lower=0, upper=6, domain="integer")
    e = program.variable("e", ["a", "b"])
    program.minimize(e.sum() + 0.05 * square(x["a"] - 1.4))
    program.subject_to(utility=exp(-0.7 * x) <= e, budget=2 * x["a"] + 3 * x["b"] <= 11)
    best = min(
        math.exp(-0.7 * a) + math.exp(-0.7 * b) + 0.05 * (a - 1.4) ** 2
        for a in range(7)
        for b in range(7)
        if 2 * a + 3 * b <= 11
    )
    assert solve_program(program, "outer_approximation").objective == pytest.approx(best, rel=1e-6)


def test_kernel_cones_that_are_no_quadratics():
    """√(i k) ≥ x and e^i ≤ r over whole i and k on a line: as by enumeration."""
    m = pmo.block()
    m.i, m.k = (pmo.variable(domain_type=pmo.IntegerSet, lb=0, ub=6) for _ in range(2))
    m.x = pmo.variable()
    m.r, m.one = pmo.variable(lb=0), pmo.variable(lb=0)
    m.one.fix(1.0)
    m.power = pmo.conic.primal_power(m.i, m.k, [m.x], 0.3)
    m.growth = pmo.conic.primal_exponential(m.r, m.one, m.i)
    m.line = pmo.constraint(2 * m.i + m.k <= 9)
    m.goal = pmo.objective(3 * m.x - 0.05 * m.r, sense=pmo.maximize)
    results = solver().solve(m)
    best = max(
        3 * i**0.3 * k**0.7 - 0.05 * math.exp(i)
        for i in range(7)
        for k in range(7)
        if 2 * i + k <= 9
    )
    assert results.incumbent_objective == pytest.approx(best, rel=2e-6)
    assert results.objective_bound == pytest.approx(best, rel=2e-6)


@pytest.mark.parametrize("search", ["tree", "rounds"])
def test_infeasible_integers(search):
    """The disc around (½, ½) has no whole point in it, though the relaxation is feasible."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["a", "b"], domain=pyo.Integers, bounds=(-9, 9))
    m.disc = pyo.Constraint(expr=sum((m.x[k] - 0.5) ** 2 for k in m.x) <= 0.4)
    m.cost = pyo.Objective(expr=m.x["a"])
    results = solver().solve(m, solver_options={"search": search}, **QUIET)
    assert results.termination_condition is TerminationCondition.provenInfeasible
    assert results.solution_status is SolutionStatus.noSolution
    with pytest.raises(NoDualsError, match="no multipliers; fix them"):
        results.solution_loader.get_infeasibility_certificate()


def test_integers_that_are_infeasible_without_a_proof_by_multipliers():
    """y ≥ 1/x at x = 0; and a relaxation that is far below."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(domain=pyo.NonNegativeIntegers)
    m.y = pyo.Var(bounds=(0, None))
    m.hyperbola = pyo.Constraint(expr=1 <= m.x * m.y)
    m.cost = pyo.Objective(expr=m.x + 1e-3 * m.y)
    results = solver().solve(m)
    assert results.objective_bound == pytest.approx(1.001, rel=2e-6)
    assert m.x.value == 1.0


def test_an_objective_alone():
    """Squares without a single row."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), domain=pyo.Integers)
    m.cost = pyo.Objective(expr=(m.x[0] - 2.3 * m.x[1]) ** 2 + (m.x[1] - 3.4) ** 2)
    results = solver().solve(m)
    best = min((i - 2.3 * k) ** 2 + (k - 3.4) ** 2 for i in range(30) for k in range(-9, 10))
    assert results.incumbent_objective == pytest.approx(best, rel=1e-6)


def test_an_infeasible_relaxation_has_a_certificate():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(domain=pyo.Integers, bounds=(0, 9))
    m.far = pyo.Constraint(expr=2 * m.x >= 30)
    m.cost = pyo.Objective(expr=m.x)
    results = solver().solve(m, **QUIET)
    assert results.termination_condition is TerminationCondition.provenInfeasible
    duals, _ = results.solution_loader.get_infeasibility_certificate()
    assert duals[m.far] > 0.0


def test_unbounded():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(domain=pyo.Integers)
    m.y = pyo.Var(bounds=(0, None))
    m.r = pyo.Var(bounds=(0, 4))
    m.cone = pyo.Constraint(expr=m.x**2 <= m.r**2)
    m.cost = pyo.Objective(expr=m.x - m.y)
    results = solver().solve(m, **QUIET)
    assert results.termination_condition is TerminationCondition.unbounded
    assert results.solution_loader.get_unbounded_ray()[m.y] > 0.0


def test_no_bound_that_could_be_proved():
    """y ≤ √x goes to infinity, though not along a ray."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(domain=pyo.Integers)
    m.y = pyo.Var()
    m.root = pyo.Constraint(expr=m.y**2 <= m.x)
    m.cost = pyo.Objective(expr=-m.y)
    results = solver().solve(m, **QUIET)
    assert results.solution_status is SolutionStatus.noSolution
    assert "give the variables bounds" in results.extra_info.message


def test_a_time_limit_leaves_an_incumbent_and_a_bound():
    program, _, _ = tracking(24, 8, 3)
    block = program.block()
    for k, s in enumerate(block.s.values()):
        s.set_value(float(k < 8))
    options = {"time_limit": 0.5, "warmstart_discrete_vars": True, **QUIET}
    results = solver().solve(block, solver_options={"rel_gap": 0.0, "abs_gap": 0.0}, **options)
    assert results.termination_condition is TerminationCondition.maxTimeLimit
    assert results.solution_status is SolutionStatus.feasible
    assert results.objective_bound < results.incumbent_objective
    assert results.extra_info.gap > 0.0
    results.solution_loader.load_vars()
    assert pyo.value(block.objective) == pytest.approx(results.incumbent_objective)


@pytest.mark.parametrize("search", ["tree", "rounds"])
def test_limits_of_nodes_and_rounds(search):
    program, _, _ = tracking(11, 4, 2)
    block = program.block()
    options = {"search": search, "node_limit": 20, "max_iterations": 2}
    results = solver().solve(block, solver_options=options, **QUIET)
    assert results.termination_condition is TerminationCondition.iterationLimit
    assert results.objective_bound <= solve_program(program, "outer_approximation").objective


@pytest.mark.no_cover  # an interrupt while coverage holds its lock leaves it locked for ever
@pytest.mark.parametrize("search", ["tree", "rounds"])
def test_an_interrupt_ends_the_search(search):
    program, _, _ = tracking(24, 8, 3)
    block = program.block()
    with pressed(every=1.0):
        solver().solve(block, solver_options={"search": search}, time_limit=20, **QUIET)
    assert all(v.value is None for v in block.x.values())


@pytest.mark.parametrize("legacy", [False, True])
def test_a_start_is_tried_first(legacy, capsys):
    program, _, _ = tracking(7, 3, 0)
    best = solve_program(program, "outer_approximation")
    block = program.block()
    for variable, value in zip(block.s.values(), best.values["s"], strict=True):
        variable.set_value(value)
    if legacy:
        pyo.SolverFactory("outer_approximation").solve(block, warmstart=True, tee=True)
    else:
        solver().solve(block, warmstart_discrete_vars=True, tee=True)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("*") for line in lines) == 1
    assert float(lines[1].split()[5]) == pytest.approx(best.objective, rel=1e-6)
    assert lines[-1].startswith("=")


def test_options_are_checked():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(domain=pyo.Binary)
    m.cost = pyo.Objective(expr=m.x)
    with pytest.raises(UnknownLabelError, match="did you mean 'rel_gap'"):
        solver().solve(m, solver_options={"relgap": 1e-3})
    with pytest.raises(InputError, match="'search' is 'wide'; expected one of 'auto'"):
        solver().solve(m, solver_options={"search": "wide"})
    assert solver().solve(m, rel_gap=0.1, threads=1).incumbent_objective == 0.0


def test_a_loose_gap_is_kept_to_and_reported():
    program, _, _ = tracking(10, 4, 1)
    exact = solve_program(program, "outer_approximation").objective
    block = program.block()
    results = solver().solve(block, rel_gap=0.05)
    assert results.objective_bound <= exact * (1 + 1e-6)
    assert exact * (1 - 1e-6) <= results.incumbent_objective <= exact * 1.06
    assert results.extra_info.gap <= 0.05


def test_without_integers_it_is_clarabel():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, None))
    m.least = pyo.Constraint(expr=m.x >= 2)
    m.cost = pyo.Objective(expr=m.x**2)
    results = solver().solve(m)
    assert results.solution_loader.get_duals()[m.least] == pytest.approx(4.0, abs=1e-5)


def test_a_norm_of_integers():
    """The closest lattice point, by Gurobi's and everybody's arithmetic."""
    random = np.random.default_rng(5)
    B, target = random.normal(size=(4, 4)), 3 * random.normal(size=4)
    program = Program("lattice")
    k = program.variable("k", range(4), lower=-6, upper=6, domain="integer")
    program.minimize(norm(B @ k - target))
    solution = solve_program(program, "outer_approximation")
    points = np.array(list(itertools.product(range(-6, 7), repeat=4)))
    best = np.linalg.norm(points @ B.T - target, axis=1).min()
    assert solution.objective == pytest.approx(best, rel=1e-6)
