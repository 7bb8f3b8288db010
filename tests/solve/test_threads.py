"""Pyomo's ``threads`` reaches each solver of this package, or is refused; none ignores it."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.errors import InputError


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
