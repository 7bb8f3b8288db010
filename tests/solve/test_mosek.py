"""What Pyomo's interface to MOSEK makes of our kernel blocks.

MOSEK builds its task without a licence. The task is read back and solved by another solver: rows,
bounds, cones and objective have arrived if the answer is the known one.
"""

from __future__ import annotations

import contextlib
from typing import Any

import cvxpy as cp
import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
import scipy.sparse as sp

from rrp_pyomo import Program, RiskParitySOCP, RobustRiskParity, norm, square, sum_squares
from rrp_pyomo.errors import SolverError
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.table import SOLVERS, Takes

mosek = pytest.importorskip("mosek", reason=f"MOSEK is not installed: {SOLVERS['mosek'].install}")


def loaded(model: Any) -> Any:
    interface = pyo.SolverFactory("mosek_persistent")
    interface.set_instance(model)
    return interface


def columns(interface: Any, variables: Any) -> list[int]:
    return [interface._pyomo_var_to_solver_var_map[v] for v in variables]


def cone(task: Any, index: int) -> tuple[Any, list[int]]:
    """The type of a cone and its members, each with the coefficient 1 and no constant."""
    members = []
    for row in task.getaccafeidxlist(index):
        _, (column,), (coefficient,) = task.getafefrow(row)
        assert (coefficient, task.getafeg(row)) == (1.0, 0.0)
        members.append(column)
    assert not np.any(task.getaccb(index))
    return task.getdomaintype(task.getaccdomain(index)), members


def alpha(task: Any, index: int) -> float:
    exponents = task.getpowerdomainalpha(task.getaccdomain(index))
    return exponents[0] / sum(exponents)


RANGED = (mosek.boundkey.fx, mosek.boundkey.ra)


def between(expression: Any, bound: tuple[Any, float, float]) -> list[Any]:
    key, lower, upper = bound
    below = [expression >= lower] if key in (*RANGED, mosek.boundkey.lo) else []
    return below + ([expression <= upper] if key in (*RANGED, mosek.boundkey.up) else [])


def optimum(task: Any) -> float:
    """The optimal value of a task, by cvxpy and another solver."""
    n = task.getnumvar()
    integer = [(j,) for j in range(n) if task.getvartype(j) == mosek.variabletype.type_int]
    x = cp.Variable(n, integer=integer) if integer else cp.Variable(n)
    constraints = [c for j in range(n) for c in between(x[j], task.getvarbound(j))]
    for row in range(task.getnumcon()):
        _, column, value = task.getarow(row)
        assert not task.getnumqconknz(row)
        constraints += between(np.array(value) @ x[list(column)], task.getconbound(row))
    for index in range(task.getnumacc()):
        kind, members = cone(task, index)
        a, b, *c = (x[j] for j in members)
        match kind:
            case mosek.domaintype.quadratic_cone:
                constraints += [cp.norm(cp.hstack([b, *c])) <= a]
            case mosek.domaintype.rquadratic_cone:
                constraints += [cp.quad_over_lin(cp.hstack(c), 2 * b) <= a]
            case mosek.domaintype.primal_exp_cone:  # a ≥ b exp(c / b)
                constraints += [cp.ExpCone(c[0], b, a)]
            case mosek.domaintype.primal_power_cone:
                constraints += [cp.PowCone3D(a, b, c[0], alpha(task, index))]
            case _:
                raise AssertionError(kind)
    cost = np.array(task.getc()) @ x + task.getcfix()
    if task.getnumqobjnz():
        _, i, j, value = task.getqobj()
        lower = sp.csr_array((value, (i, j)), (n, n))
        cost += cp.quad_form(x, lower + lower.T - sp.diags_array(lower.diagonal())) / 2
    minimize = task.getobjsense() == mosek.objsense.minimize
    problem = cp.Problem((cp.Minimize if minimize else cp.Maximize)(cost), constraints)
    return problem.solve(solver=cp.HIGHS if integer else cp.CLARABEL)


CLAIMS = [
    (kind, p) for kind in ("kernel", "environ") for p in Takes if kind in SOLVERS["mosek"].kinds(p)
]


@pytest.mark.parametrize(("kind", "problems"), sorted(CLAIMS))
def test_what_the_table_says_arrives(kind, problems, smallest):
    model, best = smallest(problems, kind)
    task = loaded(model)._solver_model
    assert optimum(task) == pytest.approx(best, rel=1e-6)
    conic = problems in (Takes.SECOND_ORDER, Takes.EXPONENTIAL, Takes.POWER)
    assert (task.getprobtype() == mosek.problemtype.conic) is conic


def test_lorentz_forms_are_not_for_mosek(smallest):
    """On ConcreteModels cones are quadratics that are not convex by their coefficients."""
    model, _ = smallest(Takes.SECOND_ORDER, "environ")
    assert loaded(model)._solver_model.getprobtype() == mosek.problemtype.qcqo


def test_cones_of_the_robust_problem(make_uncertainty):
    """(12): one cone for (12b), one for each asset for (12d), one for (12e), over these variables.

    Signs: x, z, p, t, y ≥ 0, auxiliary variables free.
    """
    block = RobustRiskParity(make_uncertainty(4)).kernel()
    interface = loaded(block)
    task = interface._solver_model
    assert task.getprobtype() == mosek.problemtype.conic
    assert task.getnumacc() == 4 + 2
    stated = {c: cone(task, k) for c, k in interface._pyomo_cone_to_solver_cone_map.items()}
    for constraint, bound in ((block.perturbation, block.y), (block.portfolio_risk, block.p)):
        kind, members = stated.pop(constraint)
        assert kind == mosek.domaintype.quadratic_cone
        assert members == columns(interface, [bound, *constraint.x])
    for label, constraint in block.hyperbolic.items():
        kind, members = stated.pop(constraint)
        assert kind == mosek.domaintype.rquadratic_cone
        parts = [block.x[label], block.z[label], block.hyperbolic_root]
        assert members == columns(interface, parts)
    assert not stated
    nonnegative = [*block.x.values(), *block.z.values(), block.p, block.t, block.y]
    for column in range(task.getnumvar()):
        signed = column in columns(interface, nonnegative)
        key, lower, _ = task.getvarbound(column)
        assert key == (mosek.boundkey.lo if signed else mosek.boundkey.fr)
        assert lower == 0 or not signed


def test_formulations_arrive(make_uncertainty):
    uncertainty = make_uncertainty(6)
    for formulation in (RiskParitySOCP(uncertainty.nominal), RobustRiskParity(uncertainty, 2.0)):
        best = solve_program(formulation.program()).objective
        task = loaded(formulation.kernel())._solver_model
        assert optimum(task) == pytest.approx(best, abs=1e-6)


def test_a_block_in_a_larger_model_arrives(make_uncertainty):
    """Weights that are the model's own, with a bound, and a risk that is traded off."""
    robust = RobustRiskParity(make_uncertainty(6))

    def model():
        m = pmo.block()
        m.w = pmo.variable_dict((a, pmo.variable(lb=0, ub=0.3)) for a in robust.covariance.labels)
        m.parity = robust.kernel(weights=m.w)
        income = sum(k * w for k, w in enumerate(m.w.values()))
        m.goal = pmo.objective(income - 2 * m.parity.objective_expression, sense=pmo.maximize)
        return m

    solved = model()
    pyo.SolverFactory("clarabel").solve(solved)
    task = loaded(model())._solver_model
    assert optimum(task) == pytest.approx(pyo.value(solved.goal), rel=1e-6)


def maximum_of_squares() -> tuple[Program, float]:
    """A quadratic objective next to a cone: max 4 x₁ + 4 x₂ − ‖x − 1‖² − s, ‖x‖ ≤ s."""
    program = Program("maximum_of_squares")
    x, s = program.variable("x", "ab"), program.variable("s", upper=5)
    program.maximize(4 * x.sum() - sum_squares(x - 1) - s + 7)
    program.subject_to(length=norm(x) <= s)
    return program, solve_program(program).objective


def squares_in_constraints() -> tuple[Program, float]:
    """Quadratic constraints next to a cone, one for all and one for each entry."""
    program = Program("squares_in_constraints")
    x, y = program.variable("x", "ab"), program.variable("y", "ab")
    s = program.variable("s")
    program.minimize(s + y.sum() - x.sum())
    program.subject_to(
        length=norm(x) <= s,
        ball=sum_squares(x - y) <= 2 - x.sum(),
        each=square(x) + 0.5 * square(2 * y - 1) <= y + 3,
    )
    return program, solve_program(program).objective


@pytest.mark.parametrize("state", [maximum_of_squares, squares_in_constraints])
def test_squares_next_to_cones_arrive_as_cones(state):
    """MOSEK takes no model with quadratics and cones: its type would be ``mixed``."""
    program, best = state()
    task = loaded(program.kernel())._solver_model
    assert task.getprobtype() == mosek.problemtype.conic
    assert optimum(task) == pytest.approx(best, rel=1e-6)


def test_squares_without_cones_stay_quadratic():
    program = Program("projection")
    x = program.variable("x", "abc", lower=0)
    program.minimize(sum_squares(x - np.array([0.9, 0.4, -0.5])) + 2)
    program.subject_to(sums=x.sum() == 1)
    task = loaded(program.kernel())._solver_model
    assert task.getprobtype() == mosek.problemtype.qo
    assert optimum(task) == pytest.approx(2.295, rel=1e-6)


def test_without_a_licence_mosek_says_so(make_uncertainty):
    if pyo.SolverFactory("mosek_direct").license_is_valid():
        pytest.skip("MOSEK has a licence here")
    with pytest.raises(SolverError, match=r"mosek .* failed on RobustRiskParity: .*[Ll]icense"):
        RobustRiskParity(make_uncertainty(4)).solve("mosek", time_limit=5.0)


def test_the_option_that_limits_the_time():
    """Set before MOSEK looks for its licence."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, None))
    m.cost = pyo.Objective(expr=m.x)
    solver = pyo.SolverFactory("mosek_direct", options={SOLVERS["mosek"].time_limit_option: 5.0})
    with contextlib.suppress(mosek.Error):
        solver.solve(m)
    assert solver._solver_model.getdouparam(mosek.dparam.optimizer_max_time) == 5.0
