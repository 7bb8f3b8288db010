"""Options of the conic solvers: whatever they are given, an error that names it, or an answer."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.util import NoFeasibleSolutionError, NoOptimalSolutionError

from rrp_pyomo import DenseCovariance, RiskParitySOCP
from rrp_pyomo.errors import InputError, RiskParityError
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solvers.conic.clarabel import clarabel_settings, setting_types
from rrp_pyomo.solvers.conic.scs import OPTIONS, scs_settings

HOSTILE = [
    None,
    True,
    b"1",
    [1.0],
    {},
    1j,
    object,
    math.nan,
    -1,
    -0.5,
    0,
    0.0,
    0.5,
    1,
    2,
    7.5,
    1000,
]
HOSTILE += [1e300, -1e300, 1e-300, math.inf, -math.inf, 10**12, 10**30, 10**400, "", "foo", "a\0b"]
HOSTILE += [np.bool_(True), np.float64(0.5), np.int64(3), "auto", "qdldl", "mkl", "cudss"]
CHECKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "clarabel": clarabel_settings,
    "scs": scs_settings,
}
METHODS = ("direct_solve_method", "chordal_decomposition_merge_method", "direct_kkt_solver")
NAMES = {"clarabel": {*setting_types(), *METHODS}, "scs": set(OPTIONS)}


def program() -> Program:
    """The smallest Σ x² + Σ x on 1'x = 1, x ≥ 0: 4/3."""
    made = Program()
    x = made.variable("x", 3, lower=0)
    made.minimize((x * x).sum() + x.sum())
    made.subject_to(all=x.sum() == 1.0)
    return made


def model() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, None))
    m.all = pyo.Constraint(expr=sum(m.x.values()) == 1.0)
    m.cost = pyo.Objective(expr=sum(x**2 + x for x in m.x.values()))
    return m


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Options that name files get one of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=list(CHECKS))
def solver(request: pytest.FixtureRequest, need: Callable[[str], None]) -> str:
    need(request.param)
    return str(request.param)


@pytest.mark.filterwarnings("ignore::rrp_pyomo.errors.RiskParityWarning")
def test_refused_or_solved_and_never_called_infeasible(solver: str) -> None:
    """A value that is let through ends in the answer or in a limit, not in an exception of others.

    A feasible problem stays feasible.
    """
    endings, stated = [], program()
    for name in sorted(NAMES[solver] - {"time_limit"}):  # which solve_program has for itself
        for value in HOSTILE:
            said = f"option {name!r} is {repr(value)[:50]}"
            endings.append(ending(partial(CHECKS[solver], {name: value}), said))
            if endings[-1]:
                continue
            run = partial(solve_program, stated, solver, tolerance=math.inf, **{name: value})
            endings.append(ending(run, "ended with status"))
    assert endings.count("") > 50
    assert set(endings) == {"", "InputError", "SolverError"}


def ending(run: Callable[[], Any], said: str) -> str:
    """The name of the package's error in which it ends, which says that."""
    try:
        run()
    except RiskParityError as error:
        return type(error).__name__ if said in str(error) else str(error)
    return ""


@pytest.mark.parametrize("way", ["solve", "program", "new", "legacy"])
@pytest.mark.parametrize(
    ("solver", "name", "value"),
    [
        ("clarabel", "direct_solve_method", "foo"),
        ("clarabel", "direct_solve_method", ["qdldl"]),
        ("clarabel", "chordal_decomposition_merge_method", "foo"),
        ("clarabel", "direct_kkt_solver", False),
        ("clarabel", "dynamic_regularization_delta", 0.0),
        ("clarabel", "dynamic_regularization_eps", 0.0),
        ("clarabel", "equilibrate_max_scaling", -1.0),
        ("clarabel", "equilibrate_min_scaling", 1e12),
        ("clarabel", "tol_feas", math.nan),
        ("clarabel", "time_limit", True),
        ("scs", "alpha", 3.0),
        ("scs", "eps_abs", -1.0),
        ("scs", "eps_infeas", 1e3),
        ("scs", "linear_solver", "foo"),
        ("scs", "linear_solver", "cudss"),
        ("scs", "max_iters", 10**30),
        ("scs", "scale", 0.0),
    ],
)
def test_every_way_refuses(
    way: str, solver: str, name: str, value: object, need: Callable[[str], None]
) -> None:
    need(solver)
    options: dict[str, Any] = {name: value}
    ways: dict[str, Callable[[], Any]] = {
        "solve": lambda: RiskParitySOCP(DenseCovariance(np.eye(2))).solve(solver, **options),
        "program": lambda: solve_program(program(), solver, **options),
        "new": lambda: SolverFactory(solver).solve(model(), solver_options=options),
        "legacy": lambda: pyo.SolverFactory(solver).solve(model(), options=options),
    }
    with pytest.raises(InputError, match=rf"\b{name}'? is {re.escape(repr(value))}; "):
        ways[way]()


@pytest.mark.parametrize("name", ["log_csv_filename", "write_data_filename"])
@pytest.mark.parametrize("file", ["missing/file", ".", "pipe", "x" * 300])
def test_files_that_cannot_be_written_are_refused(
    need: Callable[[str], None], folder: Path, name: str, file: str
) -> None:
    need("scs")
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match=rf"'{name}' is .*cannot be written: \w"):
        solve_program(program(), "scs", **{name: file})


def test_limits_are_endings_of_pyomo(solver: str) -> None:
    name = {"clarabel": "max_iter", "scs": "max_iters"}[solver]
    with pytest.raises((NoOptimalSolutionError, NoFeasibleSolutionError)):
        SolverFactory(solver).solve(model(), solver_options={name: 1})
