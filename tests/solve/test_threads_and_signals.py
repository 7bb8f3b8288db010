"""What solvers share with the process: the standard output and the keyboard interrupt."""

from __future__ import annotations

import signal
import sys
import threading

import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.solvers.process import interruptible


def rosenbrock() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(initialize=-1.0), pyo.Var(initialize=2.0)
    m.cost = pyo.Objective(expr=(1 - m.x) ** 2 + 100 * (m.y - m.x**2) ** 2)
    return m


def test_threads_give_the_standard_output_back():
    before, lock = sys.stdout, threading.Lock()  # Pyomo's writers are not made for threads

    def solve() -> None:
        for _ in range(3):
            with lock:
                model = rosenbrock()
            SolverFactory("casadi_ipopt").solve(model)

    threads = [threading.Thread(target=solve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is before


@pytest.mark.parametrize("ignored", [True, False])
def test_an_interrupt_goes_to_whoever_handles_it(ignored):
    seen: list[int] = []
    handler = signal.SIG_IGN if ignored else lambda number, frame: seen.append(number)
    previous = signal.signal(signal.SIGINT, handler)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGINT)
        assert seen == ([] if ignored else [signal.SIGINT])
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)


def test_crossed_bounds_are_infeasible():
    for route in ("quadratic", "nl"):
        m = pyo.ConcreteModel()
        m.x = pyo.Var(bounds=(2, 1), initialize=1)
        m.cost = pyo.Objective(expr=m.x**2)
        results = SolverFactory("casadi_ipopt", route=route).solve(
            m, load_solutions=False, raise_exception_on_nonoptimal_result=False
        )
        assert results.termination_condition.name == "provenInfeasible"


def test_quadratics_without_a_bound_say_nothing():
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(bounds=(1, None)), pyo.Var(bounds=(0, None))
    m.idle = pyo.Constraint(expr=m.x**2 + m.y <= 1e30)
    m.idle_below = pyo.Constraint(expr=m.x**2 >= -1e30)
    m.cost = pyo.Objective(expr=m.x + m.y)
    results = SolverFactory("clarabel").solve(m)
    assert results.incumbent_objective == pytest.approx(1.0, abs=1e-6)
