"""What goes wrong is said, leaves the model as it was, and does not outlive its solve."""

from __future__ import annotations

import io
import signal
import threading
from dataclasses import replace
from typing import Any

import clarabel
import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from interrupts import pressed
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.util import (
    NoFeasibleSolutionError,
    NoOptimalSolutionError,
    NoSolutionError,
)

from rrp_pyomo.errors import ModelError
from rrp_pyomo.solvers.conic import Clarabel, Scs
from rrp_pyomo.solvers.conic.clarabel import TERMINATION, ClarabelBackend
from rrp_pyomo.solvers.conic.compile import compile_model
from rrp_pyomo.solvers.conic.results import CONDITION
from rrp_pyomo.solvers.conic.solution import Termination
from rrp_pyomo.solvers.reading.standard_form import read_model


@pytest.fixture(params=[Clarabel, Scs])
def solver(request: pytest.FixtureRequest) -> Any:
    return request.param()


def large(n: int = 400, seed: int = 0) -> Any:
    """A second-order cone problem that takes every solver a good part of a second."""
    rng = np.random.default_rng(seed)
    model = pmo.block()
    model.x = pmo.variable_list([pmo.variable(value=0.5) for _ in range(n)])
    model.r = pmo.variable(lb=0, value=0.5)
    model.y = pmo.variable_list([pmo.variable(value=0.5) for _ in range(n)])
    A = np.hstack([rng.normal(size=(n, n)), -np.eye(n)])
    model.rows = pmo.matrix_constraint(A, rhs=rng.normal(size=n), x=[*model.x, *model.y])
    model.cone = pmo.conic.quadratic(model.r, list(model.y))
    model.caps = pmo.constraint_list([pmo.constraint((-1, x, 1)) for x in model.x])
    weights = rng.normal(size=n)
    cost = sum(float(w) * x for w, x in zip(weights, model.x, strict=True))
    model.cost = pmo.objective(model.r + 0.01 * cost)
    return model


def small() -> Any:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(1, None))
    model.cost = pyo.Objective(expr=2 * model.x)
    return model


def assert_untouched(model: Any) -> None:
    assert {v.value for v in [*model.x, *model.y, model.r]} == {0.5}


def assert_solves(solver: Any) -> None:
    """The next model is solved as if nothing had happened."""
    results = solver.solve(small())
    assert results.solution_status is SolutionStatus.optimal
    assert results.incumbent_objective == pytest.approx(2.0, abs=1e-3)


def test_time_limit(solver: Any) -> None:
    model = large()
    with pytest.raises(NoOptimalSolutionError, match="maxTimeLimit"):
        solver.solve(model, time_limit=1e-3)
    with pytest.raises(NoFeasibleSolutionError):
        solver.solve(model, time_limit=1e-3, raise_exception_on_nonoptimal_result=False)
    results = solver.solve(
        model, time_limit=1e-3, raise_exception_on_nonoptimal_result=False, load_solutions=False
    )
    assert results.termination_condition is TerminationCondition.maxTimeLimit
    assert results.solution_status is SolutionStatus.noSolution
    with pytest.raises(NoSolutionError):
        results.solution_loader.load_vars()
    assert_untouched(model)
    assert_solves(solver)


@pytest.mark.no_cover  # an interrupt while coverage holds its lock leaves it locked for ever
def test_interrupt(solver: Any) -> None:
    """Ctrl-C during a solve raises KeyboardInterrupt soon; the handler before it is back."""
    model = large(n=500)
    options = {"eps_abs": 1e-14, "eps_rel": 1e-14} if isinstance(solver, Scs) else {}
    with pressed():
        solver.solve(model, solver_options=options)
    assert_untouched(model)
    assert_solves(solver)


def test_an_interrupt_stops_clarabel_at_its_next_iteration() -> None:
    """Pressed while the first iteration is printed; few others follow."""
    after: list[str] = []

    class Pressing(io.StringIO):
        def write(self, text: str) -> int:
            if after or text.lstrip().startswith("0  "):
                after.append(text)
            if len(after) == 1:
                signal.raise_signal(signal.SIGINT)
            return super().write(text)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Clarabel().solve(large(n=20), tee=Pressing())
    finally:
        signal.signal(signal.SIGINT, before)
    iterations = [line for line in "".join(after).splitlines() if line.strip()[:1].isdigit()]
    assert 1 <= len(iterations) <= 3, after


def test_numerical_error() -> None:
    """Clarabel gives up: so much regularisation, without refinement, leaves no digit right."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(3), initialize=0.5)
    model.rows = pyo.Constraint(range(4), rule=lambda m, k: m.x[0] + m.x[1] == 1)
    model.floor = pyo.Constraint(expr=model.x[2] >= -1)
    model.cost = pyo.Objective(expr=model.x[0] ** 2 + model.x[2])
    solver = Clarabel()
    options = {"static_regularization_constant": 1e10, "iterative_refinement_enable": False}
    results = solver.solve(
        model,
        solver_options=options,
        raise_exception_on_nonoptimal_result=False,
        load_solutions=False,
    )
    assert results.solution_status is SolutionStatus.noSolution
    assert results.termination_condition is TerminationCondition.error
    assert results.extra_info.status == "NumericalError"
    with pytest.raises(NoOptimalSolutionError, match="error"):
        solver.solve(model, solver_options=options)
    assert {v.value for v in model.x.values()} == {0.5}
    assert_solves(solver)


def test_every_status_has_a_meaning() -> None:
    """Of the installed Clarabel; and only what it proves or solves is called so in Pyomo."""
    statuses = {name for name in dir(clarabel.SolverStatus) if not name.startswith("_")}
    assert statuses == set(TERMINATION)
    assert set(CONDITION) == set(Termination)
    claims = {
        name: CONDITION[TERMINATION[name]].name
        for name in statuses
        if "Almost" in name or CONDITION[TERMINATION[name]].name not in HARMLESS
    }
    assert claims == {
        "Solved": "convergenceCriteriaSatisfied",
        "PrimalInfeasible": "provenInfeasible",
        "DualInfeasible": "unbounded",
        "AlmostSolved": "unknown",
        "AlmostPrimalInfeasible": "unknown",
        "AlmostDualInfeasible": "unknown",
    }


#: Conditions that claim nothing about the model.
HARMLESS = {
    "unknown", "iterationLimit", "maxTimeLimit", "interrupted", "minStepLength", "error",
}  # fmt: skip


def test_not_a_number(solver: Any) -> None:
    model = large(n=5)
    model.bad = pmo.matrix_constraint(np.array([[1.0, np.nan]]), lb=0.0, x=list(model.x)[:2])
    with pytest.raises(ModelError, match="bad"):
        solver.solve(model)
    assert_untouched(model)
    assert_solves(solver)


@pytest.mark.parametrize("kind", ["infeasible", "unbounded"])
def test_without_optimum(solver: Any, kind: str) -> None:
    model = large(n=5)
    if kind == "infeasible":
        model.bad = pmo.constraint(model.r <= -1)
    else:
        model.z = pmo.variable()
        model.cost.expr = model.cost.expr + model.z
    with pytest.raises(NoOptimalSolutionError, match=r"provenInfeasible|unbounded"):
        solver.solve(model)
    with pytest.raises(NoFeasibleSolutionError):
        pyo.SolverFactory(solver.name).solve(model)
    assert_untouched(model)
    assert_solves(solver)


def test_threads_other_than_the_main_one() -> None:
    """Signals belong to the main thread; elsewhere the solver just solves."""
    found: list[float] = []
    thread = threading.Thread(
        target=lambda: found.append(Clarabel().solve(small()).incumbent_objective)
    )
    thread.start()
    thread.join()
    assert found == pytest.approx([2.0])


# --- almost solved ------------------------------------------------------------------------------


def strained(digits: float) -> Any:
    """Random rows and costs whose numbers differ by so many digits, up and down."""
    rng = np.random.default_rng(116)
    size, n = (lambda *shape: 10.0 ** rng.uniform(-digits, digits, shape)), 6
    A = rng.normal(size=(4, n)) * size(4, n)
    sides = A @ (np.abs(rng.normal(size=n)) * size(n))
    costs = np.abs(rng.normal(size=n)) * size(n)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(n), bounds=(0, None))
    model.rows = pyo.Constraint(
        range(4), rule=lambda m, i: sum(A[i, k] * m.x[k] for k in m.x) == sides[i]
    )
    model.cost = pyo.Objective(expr=sum(c * model.x[k] for k, c in enumerate(costs)))
    return model


IMPOSSIBLE = {"tol_feas": 1e-30, "tol_gap_abs": 1e-30, "tol_gap_rel": 1e-30}


def test_almost_solved_is_not_optimal() -> None:
    """Not optimal, nothing loaded unless asked for; the message says which row and the remedy."""
    model, solver = strained(6.0), Clarabel()
    with pytest.raises(
        NoOptimalSolutionError,
        match=r"'rows\[0\]' is violated by .* from \de-\d+ to .*: choose units",
    ):
        solver.solve(model)
    results = solver.solve(model, load_solutions=False, raise_exception_on_nonoptimal_result=False)
    assert results.termination_condition is TerminationCondition.unknown
    assert results.solution_status is SolutionStatus.unknown
    with pytest.raises(NoFeasibleSolutionError, match="no values to load"):
        solver.solve(model, raise_exception_on_nonoptimal_result=False)
    assert model.x[0].value is None
    results.solution_loader.load_vars()
    assert model.x[0].value is not None


def test_almost_solved_is_optimal_where_the_data_say_so() -> None:
    """Clarabel, asked for the impossible, is almost sure; the errors are those of rounding."""
    results = Clarabel(solver_options=IMPOSSIBLE).solve(strained(1.0))
    assert results.extra_info.status in ("AlmostSolved", "InsufficientProgress")
    assert results.solution_status is SolutionStatus.optimal


@pytest.mark.parametrize("seed", range(3))
def test_relative_errors(seed: int) -> None:
    """Zero at a solution; each sees the term that is wrong."""
    rng = np.random.default_rng(seed)
    model = strained(1.0)
    form = compile_model(read_model(model)).form
    solution = ClarabelBackend().solve(form)
    assert solution.errors.largest < 1e-7
    worse = replace(solution, z=solution.z + 0.1 * rng.uniform(1, 2))
    assert worse.errors.dual > 1e-3
    worse = replace(solution, x=solution.x * 1.1)
    assert worse.errors.primal > 0.01
    assert worse.errors.gap > 0.001
