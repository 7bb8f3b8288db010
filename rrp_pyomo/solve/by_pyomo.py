"""Solving a program through the block that a solver reads, by Pyomo's own interface to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.solvers.plugins.solvers.direct_or_persistent_solver import (
    DirectOrPersistentSolver,
)

from rrp_pyomo.errors import InfeasibleError, InputError, SolverError, warn
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.program import Program
from rrp_pyomo.realise.lifting import over_variables
from rrp_pyomo.solve.certificate import certificate_of_point
from rrp_pyomo.solve.options import try_options
from rrp_pyomo.solve.solution import ProgramSolution, Start, start_values, without_solution
from rrp_pyomo.solve.table import Solver

_INFEASIBLE = (
    TerminationCondition.provenInfeasible,
    TerminationCondition.locallyInfeasible,
)
# What raises these is wrong here, not in a solver.
_OUR_OWN = (AttributeError, TypeError, AssertionError, NotImplementedError)


def solve_by_pyomo(
    program: Program,
    entry: Solver,
    embedded: bool,
    environ: bool,
    named: str,
    start: Start,
    tolerance: float,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> ProgramSolution:
    """Through the environ block, or else the kernel block."""
    try_options(entry.name, options)
    options = {**dict.fromkeys(entry.feasibility_options, 0.1 * tolerance), **options}
    block = program.block() if environ else program.kernel()
    if start is not None:
        source = over_variables(program.lowered(), kernel=not environ)
        _initialise(source, block, start_values(start))
    # The best integers so far are worth something, with the bound beside them.
    integer = any(v.domain != "continuous" for v in program.variables.values())
    try:
        status, reached, bound = (_run_legacy if entry.legacy else _run)(
            entry, embedded, block, integer, time_limit, tee, options
        )
    except (InputError, *_OUR_OWN):
        raise
    except Exception as error:  # whatever the solver's own package raises, such as for a licence
        words = " ".join(str(error).split())
        named_option = any(re.search(rf"\b{re.escape(option)}\b", words) for option in options)
        # SCIP does not say which option it does not know.
        if named_option or (options and isinstance(error, KeyError)):
            raise InputError(
                f"{named} refuses one of {', '.join(options)}: {words}; leave it out or look it up "
                "in the solver's manual"
            ) from error
        raise SolverError(f"{named} failed on {program.name}: {words}") from error
    ended = f"{named} ended with status {status!r} on {program.name}"
    if reached is SolutionStatus.infeasible:
        raise InfeasibleError(f"{ended}: it has no solution; relax its constraints")
    if reached is SolutionStatus.noSolution:
        raise without_solution(ended)
    x = np.concatenate([_values(getattr(block, name)) for name in program.variables])
    certificate = certificate_of_point(program, x, program.numbers, tolerance)
    if not certificate.is_feasible:
        raise SolverError(
            f"{ended}, but {certificate.worst!r} is violated by "
            f"{certificate.primal_residual:.3g} of its size, more than the tolerance of "
            f"{tolerance:g}; tighten the solver's own tolerance, or give solve_program a larger one"
        )
    # The block's may be better than any: what stands for terms is loose by the solver's tolerance.
    objective = float(program.objective.value(x)[0])
    if not np.isfinite(objective):  # a logarithm of what is negative by that tolerance
        objective = float(pyo.value(block.objective))
    if reached is SolutionStatus.feasible:
        warn(
            f"{ended}: this is the best point so far, of objective {objective:.6g} where "
            f"{'nothing' if bound is None else f'{bound:.6g}'} is proved; give it more time"
        )
    return ProgramSolution(
        x=x,
        statement=program,
        objective=objective,
        duality_gap=None,
        status=status,
        solver=named,
        objective_bound=bound if bound is not None and np.isfinite(bound) else None,
        numbers=program.numbers,
        certify=lambda: certificate,
    )


def _run(
    entry: Solver,
    embedded: bool,
    block: Any,
    integer: bool,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> tuple[str, SolutionStatus, float | None]:
    """Solve and load; the status, what it means, and what is proved of the objective."""
    threads = None
    if embedded:
        solver = SolverFactory(entry.embedded_name or entry.pyomo_name)
    elif entry.new_interface is not None:
        solver, defaults = entry.new_interface()
        options = {**defaults, **options}
        threads = options.pop("threads", None)
    else:
        solver = SolverFactory(entry.pyomo_name)
    results = solver.solve(
        block,
        load_solutions=False,
        raise_exception_on_nonoptimal_result=False,
        time_limit=time_limit,
        tee=tee,
        threads=threads,
        solver_options=options,
    )
    ended, reached = results.termination_condition, results.solution_status
    if ended in _INFEASIBLE:
        reached = SolutionStatus.infeasible
    elif reached is SolutionStatus.optimal or (integer and reached is SolutionStatus.feasible):
        results.solution_loader.load_vars()
    else:
        reached = SolutionStatus.noSolution
    return ended.name, reached, results.objective_bound


def _run_legacy(
    entry: Solver,
    embedded: bool,
    block: Any,
    integer: bool,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> tuple[str, SolutionStatus, float | None]:
    if time_limit is not None:
        options = {entry.time_limit_option: time_limit, **options}
    solver = pyo.SolverFactory(entry.pyomo_name)
    for name, value in options.items():
        solver.options[name] = value
    if isinstance(solver, DirectOrPersistentSolver):
        # Without `save_results` it takes blocks that are not ConcreteModels.
        results = solver.solve(block, load_solutions=False, save_results=False, tee=tee)
    else:
        model = pyo.ConcreteModel()
        model.block = block
        results = solver.solve(model, load_solutions=False, tee=tee)
    ended = results.solver.termination_condition
    reached = SolutionStatus.noSolution
    if ended == "infeasible":
        reached = SolutionStatus.infeasible
    elif ended == "optimal":
        reached = SolutionStatus.optimal
    elif integer and ended == "maxTimeLimit" and results.problem.number_of_solutions > 0:
        reached = SolutionStatus.feasible
    if reached in (SolutionStatus.optimal, SolutionStatus.feasible):
        if hasattr(solver, "load_vars"):
            solver.load_vars()
        else:
            model.solutions.load_from(results)
    sides = results.problem.lower_bound, results.problem.upper_bound
    bound = sides[results.problem.sense == "maximize"]
    return str(ended), reached, bound


def _initialise(program: Any, block: Any, start: Mapping[str, Any]) -> None:
    for name, values in program.values(program.point(start)).items():
        component = getattr(block, name)
        if program.variables[name].index is None:
            component.set_value(float(values[0]), skip_validation=True)
        else:
            for variable, value in zip(component.values(), values.tolist(), strict=True):
                variable.set_value(value, skip_validation=True)


def _values(component: Any) -> FloatArray:
    entries = component.values() if hasattr(component, "values") else [component]
    return np.array([_value(entry) for entry in entries])


def _value(variable: Any) -> float:
    """A variable's value; one that nothing is about gets none from solvers, and may have any."""
    if variable.value is not None:
        return float(variable.value)
    lower, upper = (0.0 if bound is None else bound for bound in variable.bounds)
    return float(min(max(0.0, lower), upper if variable.has_ub() else np.inf))
