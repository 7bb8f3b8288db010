"""Solving a program through the block that a solver reads, by Pyomo's own interface to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import InfeasibleError, InputError, SolverError
from rrp_pyomo.modeling import Program
from rrp_pyomo.realise.lifting import lifted
from rrp_pyomo.solve.solution import FloatArray, ProgramSolution, Start, start_values
from rrp_pyomo.solve.table import Solver
from rrp_pyomo.solvers.ipopt.executable import ipopt_solver
from rrp_pyomo.solvers.ipopt.quadratic import DEFAULTS

_INFEASIBLE = (
    TerminationCondition.provenInfeasible,
    TerminationCondition.locallyInfeasible,
)
# What limits the time of solvers behind Pyomo's older interfaces, which ignore its own time limit.
TIME_LIMITS = {
    "gurobi_direct": "TimeLimit",
    "mosek_direct": "mosek.dparam.optimizer_max_time",
    "xpress_direct": "timelimit",
}
# A point that another solver calls optimal may miss a constraint by this much, in the largest unit.
_LARGEST_RESIDUAL = 1e-3


def solve_by_pyomo(
    program: Program,
    entry: Solver,
    environ: bool,
    named: str,
    start: Start,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> ProgramSolution:
    """Through the environ block, or else the kernel block."""
    block = program.block() if environ else program.kernel()
    if start is not None:
        _initialise(lifted(program, bare_squares=not environ), block, start_values(start))
    try:
        status, optimal, infeasible = (_run_legacy if entry.legacy else _run)(
            entry.pyomo_name, block, time_limit, tee, options
        )
    except InputError:
        raise
    except Exception as error:  # whatever the solver's own package raises, such as for a licence
        words = " ".join(str(error).split())
        named_option = any(re.search(rf"\b{re.escape(option)}\b", words) for option in options)
        # SCIP does not say which option it does not know.
        if named_option or (options and isinstance(error, KeyError)):
            raise InputError(f"{named} refuses one of {', '.join(options)}: {words}") from error
        raise SolverError(f"{named} failed on {program.name}: {words}") from error
    ended = f"{named} ended with status {status!r} on {program.name}"
    if infeasible:
        raise InfeasibleError(f"{ended}: it has no solution")
    if not optimal:
        raise SolverError(ended)
    values = {name: _values(getattr(block, name)) for name in program.variables}
    residuals = program.residuals(np.concatenate(list(values.values())))
    worst = max(residuals, key=residuals.__getitem__)
    if not residuals[worst] <= _LARGEST_RESIDUAL * max(1.0, program.units.max()):
        raise SolverError(f"{ended}, but {worst!r} is violated by {residuals[worst]:.3g}")
    return ProgramSolution(
        values=values,
        objective=float(pyo.value(block.objective)),
        duality_gap=None,
        status=status,
        solver=named,
    )


def _run(
    name: str, block: Any, time_limit: float | None, tee: bool, options: dict[str, Any]
) -> tuple[str, bool, bool]:
    """Solve and load; the status, and whether it means optimal or infeasible."""
    solver = SolverFactory(name)
    if name == "ipopt":
        # The executable may be off PATH; and a nonconvex program starts near its solution.
        solver, options = ipopt_solver(), {**DEFAULTS, **options}
    results = solver.solve(
        block,
        load_solutions=False,
        raise_exception_on_nonoptimal_result=False,
        time_limit=time_limit,
        tee=tee,
        solver_options=options,
    )
    optimal = results.solution_status is SolutionStatus.optimal
    if optimal:
        results.solution_loader.load_vars()
    ended = results.termination_condition
    return ended.name, optimal, ended in _INFEASIBLE


def _run_legacy(
    name: str, block: Any, time_limit: float | None, tee: bool, options: dict[str, Any]
) -> tuple[str, bool, bool]:
    if time_limit is not None:
        options = {TIME_LIMITS[name]: time_limit, **options}
    solver = pyo.SolverFactory(name, options=options)
    # Without `save_results` it takes blocks that are not ConcreteModels.
    results = solver.solve(block, load_solutions=False, save_results=False, tee=tee)
    ended = results.solver.termination_condition
    if ended == "optimal":
        solver.load_vars()
    return str(ended), ended == "optimal", ended == "infeasible"


def _initialise(program: Program, block: Any, start: Mapping[str, Any]) -> None:
    for name, values in program.values(program.point(start)).items():
        component = getattr(block, name)
        if program.variables[name].labels is None:
            component.set_value(float(values[0]), skip_validation=True)
        else:
            for variable, value in zip(component.values(), values.tolist(), strict=True):
                variable.set_value(value, skip_validation=True)


def _values(component: Any) -> FloatArray:
    entries = component.values() if hasattr(component, "values") else [component]
    return np.array([pyo.value(entry) for entry in entries])
