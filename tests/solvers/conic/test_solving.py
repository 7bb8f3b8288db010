"""Solving again, stopping early, logs, times and options of the conic solvers."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import SolverUnavailableError
from rrp_pyomo.solvers.conic import Clarabel, Scs


@pytest.fixture
def solver() -> Clarabel:
    return Clarabel()


def approx(value: Any) -> Any:
    return pytest.approx(value, abs=1e-6)


def test_the_bound_is_the_other_side_of_the_gap() -> None:
    """Stopped early, Clarabel knows that the optimum is between its bound and its incumbent."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(8, 8))
    for sense, sign in ((pyo.minimize, 1.0), (pyo.maximize, -1.0)):
        model = pyo.ConcreteModel()
        model.x = pyo.Var(range(8), bounds=(0, 1))
        model.total = pyo.Constraint(expr=sum(model.x.values()) == 1)
        squares = sum(sum(r * model.x[k] for k, r in enumerate(row)) ** 2 for row in root)
        model.cost = pyo.Objective(expr=sign * squares, sense=sense)
        exact = Clarabel().solve(model).incumbent_objective
        loose = {"tol_gap_abs": 1e-2, "tol_gap_rel": 1e-2}
        results = Clarabel(solver_options=loose).solve(model)
        gap = sign * (results.incumbent_objective - results.objective_bound)
        assert 1e-5 < gap < 2e-2
        assert sign * results.objective_bound <= sign * exact + 1e-8
        assert sign * exact <= sign * results.incumbent_objective + 1e-8


def test_scs_starts_from_the_last_solution() -> None:
    """Slightly other numbers, in b alone or in A too: far fewer iterations than from nothing."""
    rng = np.random.default_rng(3)
    A = rng.uniform(0.1, 1.0, (8, 20))
    options = {"eps_abs": 1e-7, "eps_rel": 1e-7}
    warm, iterations = Scs(solver_options=options), []
    for scale in (1.0, 1.0001, 1.0002):
        for shift in (0.0, 1e-5):
            model = pmo.block()
            model.x = pmo.variable_list([pmo.variable(lb=0) for _ in range(20)])
            model.r = pmo.variable(lb=0)
            model.cone = pmo.conic.quadratic(model.r, list(model.x))
            model.rows = pmo.matrix_constraint(A * scale, lb=np.full(8, 1 + shift), x=list(model.x))
            model.cost = pmo.objective(model.r + 0.1 * sum(model.x))
            cold = Scs(solver_options=options).solve(model)
            again = warm.solve(model)
            assert again.incumbent_objective == pytest.approx(cold.incumbent_objective, rel=1e-5)
            iterations.append((again.extra_info.iterations, cold.extra_info.iterations))
    assert iterations[0][0] == iterations[0][1]
    assert all(ours <= 0.7 * cold for ours, cold in iterations[1:]), iterations


def test_same_pattern_is_updated_in_place(solver: Clarabel) -> None:
    """New numbers in the same pattern: same answers as from a new solver, and no new set-up."""
    model = pmo.block()
    model.x = pmo.variable_list([pmo.variable(lb=0) for _ in range(4)])
    model.r = pmo.variable(lb=0)
    model.cone = pmo.conic.quadratic(model.r, list(model.x))
    model.p = pmo.parameter(1.0)
    rng = np.random.default_rng(0)
    model.cost = pmo.objective(model.r - model.p * model.x[0])
    updated = []
    for _ in range(4):
        A = rng.uniform(0.5, 1.5, (2, 4))
        model.rows = pmo.matrix_constraint(A, lb=np.array([1.0, 1.2]), x=list(model.x))
        model.p.value = rng.uniform(0.1, 0.5)
        again, fresh = solver.solve(model), Clarabel().solve(model)
        assert again.incumbent_objective == approx(fresh.incumbent_objective)
        updated.append(again.extra_info.updated)
        del model.rows
    assert updated == [False, True, True, True]

    model.extra = pmo.constraint(model.x[0] + model.x[1] >= 0.1)
    again = solver.solve(model)
    assert not again.extra_info.updated
    assert again.incumbent_objective == approx(Clarabel().solve(model).incumbent_objective)


def test_log_timing_and_version(solver: Clarabel, capsys: pytest.CaptureFixture[str]) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 1))
    model.cost = pyo.Objective(expr=model.x)
    assert solver.solve(model).solver_log == ""
    assert capsys.readouterr().out == ""
    results = solver.solve(model, tee=True)
    printed = capsys.readouterr().out
    assert "Clarabel" in printed
    assert printed == results.solver_log
    assert solver.solve(model).solver_log == ""
    timing = results.timing_info
    assert timing.compile_time > 0
    assert timing.setup_time > 0
    assert timing.solve_time > 0
    assert timing.wall_time >= timing.compile_time + timing.solve_time
    assert results.extra_info.iterations > 0
    assert solver.version() >= (0, 11)


def test_options() -> None:
    """Settings by name and type; unknown ones are named with the nearest, before solving."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(3), bounds=(0, 1))
    model.cost = pyo.Objective(expr=sum(model.x[k] ** 2 - model.x[k] for k in range(3)))
    for name in ("clarabel", "scs"):
        solver = SolverFactory(name)
        with pytest.raises(ValueError, match=r"did you mean 'max_iter"):
            solver.solve(model, solver_options={"max_itr": 5})
        option = "max_iter" if name == "clarabel" else "max_iters"
        with pytest.raises(ValueError, match=r"expected a value of type int"):
            solver.solve(model, solver_options={option: "many"})
        results = solver.solve(
            model,
            solver_options={option: 1},
            load_solutions=False,
            raise_exception_on_nonoptimal_result=False,
        )
        assert results.termination_condition is TerminationCondition.iterationLimit
        assert solver.solve(model).solution_status is SolutionStatus.optimal
    legacy = pyo.SolverFactory("clarabel", options={"max_iter": 1})
    legacy.solve(model, options={"max_iter": 100})
    assert model.x[0].value == approx(0.5)


def test_without_scs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without SCS its interface says so, and how to get it."""
    monkeypatch.setitem(sys.modules, "scs", None)
    solver = SolverFactory("scs")
    assert not solver.available()
    assert solver.version() is None
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 1))
    with pytest.raises(SolverUnavailableError, match="pip install scs"):
        solver.solve(model)
