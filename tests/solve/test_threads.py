"""``threads`` reaches each solver, by Pyomo and by name, or is refused; none ignores it."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import Program, norm
from rrp_pyomo.errors import InputError
from rrp_pyomo.solve.options import with_threads
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.table import SOLVERS, Found
from rrp_pyomo.solvers.ipopt import executable


def model() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1), initialize=0.2)
    m.total = pyo.Constraint(expr=sum(m.x.values()) == 1)
    m.cost = pyo.Objective(expr=sum(x**2 for x in m.x.values()))
    return m


@pytest.mark.parametrize("threads", [None, 1])
@pytest.mark.parametrize("solver", ["clarabel", "scs", "casadi_ipopt", "outer_approximation"])
def test_one_thread_is_what_all_can(solver: str, threads: int | None, need) -> None:
    results = SolverFactory(need(solver)).solve(model(), threads=threads)
    assert results.incumbent_objective == pytest.approx(1 / 3, abs=1e-4)


@pytest.mark.parametrize(
    ("solver", "said"),
    [
        ("scs", "expected None or 1, for SCS works on one thread: .*'clarabel'"),
        ("casadi_ipopt", "expected None or 1, for the embedded Ipopt, whose MUMPS is sequential"),
    ],
)
@pytest.mark.parametrize("threads", [0, 2])
def test_more_are_refused_by_those_that_have_one(
    solver: str, said: str, threads: int, need
) -> None:
    with pytest.raises(InputError, match=f"threads is {threads}; {said}"):
        SolverFactory(need(solver)).solve(model(), threads=threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_clarabel_gets_them(threads: int) -> None:
    """Of its methods faer has threads; its log says on how many it works."""
    faer = {"direct_solve_method": "faer"}
    results = SolverFactory("clarabel").solve(
        model(), threads=threads, tee=True, solver_options=faer
    )
    assert f"({threads} thread{'s' * (threads > 1)})" in results.solver_log


# --- by name --------------------------------------------------------------------------------------

#: What each solver makes of threads=2: its option, or its refusal.
BY_NAME = {
    "clarabel": "max_threads",
    "scs": "expected None or 1, for SCS",
    "casadi_ipopt": "expected None or 1, for the embedded Ipopt",
    "ipopt": "threads",
    "gurobi": "Threads",
    "scip": "expected None or 1, for SCIP",
    "highs": "threads",
    "outer_approximation": "threads",
    "mosek": "mosek.iparam.num_threads",
    "xpress": "threads",
}


def test_the_table_is_complete() -> None:
    assert set(BY_NAME) == {name for name, solver in SOLVERS.items() if not solver.own}


@pytest.mark.parametrize("name", BY_NAME)
def test_what_each_makes_of_them(name: str, need) -> None:
    solver, said = (
        SOLVERS[need(name) if name in ("clarabel", "scs", "highs") else name],
        BY_NAME[name],
    )
    found = Found("1.0", "here", embedded=name == "casadi_ipopt")
    assert with_threads(solver, found, {"tol": 1}) == {"tol": 1}
    if said.startswith("expected"):
        with pytest.raises(InputError, match=f"threads is 2; {said}"):
            with_threads(solver, found, {"threads": 2})
        assert with_threads(solver, found, {"tol": 1, "threads": 1}) == {"tol": 1}
    else:
        assert with_threads(solver, found, {"tol": 1, "threads": 2}) == {"tol": 1, said: 2}


def lots(integer: bool) -> Program:
    """At least 7.5 in all, of which integers make 8, as evenly as can be."""
    program = Program("lots")
    domain = "integer" if integer else "continuous"
    x = program.variable("x", 6, lower=0, upper=10, domain=domain)
    t = program.variable("t", lower=0)
    program.minimize(t + x.sum())
    program.subject_to(all=x.sum() >= 7.5, length=norm(2 * x - 1.3) <= t)
    return program


@pytest.mark.parametrize("name", ["clarabel", "gurobi", "outer_approximation", "ipopt"])
def test_one_number_after_the_other(name: str, need) -> None:
    """HiGHS has one pool of threads, and ends with an error where it is of another size."""
    if name == "ipopt" and not any(
        executable._in_wheel(*wheel) for wheel in executable.WHEELS.items()
    ):
        pytest.skip('pip install "rrp-pyomo[ipopt]"')
    program = lots(integer=name == "outer_approximation")
    best = solve_program(program, need(name)).objective
    for threads in (1, 2, 1):
        assert solve_program(program, name, threads=threads).objective == pytest.approx(best)


def test_highs_gets_another_number(need) -> None:
    need("highs")
    program = Program("lots")
    x = program.variable("x", 3, lower=0, domain="integer")
    program.minimize(x.sum())
    program.subject_to(all=2 * x.sum() >= 7.5)
    for threads in (1, 2, 1):
        assert solve_program(program, "highs", threads=threads).objective == pytest.approx(4.0)


@pytest.mark.parametrize("threads", [-1, 1.5, "two"])
@pytest.mark.parametrize(
    "name", ["clarabel", "scs", "casadi_ipopt", "outer_approximation", "highs"]
)
def test_what_is_no_number_of_threads(name: str, threads: object, need) -> None:
    need(name)
    program = Program("line")
    x = program.variable("x", lower=1)
    program.minimize(x)
    with pytest.raises(InputError, match=r"threads'? is"):
        solve_program(program, name, threads=threads)
