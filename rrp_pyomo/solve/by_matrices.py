"""Solving a program through its matrices: the fast path to Clarabel, SCS and the embedded Ipopt."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import InfeasibleError, SolverError, warn
from rrp_pyomo.forms.conic import NONNEGATIVE, ZERO
from rrp_pyomo.modeling import ConicForm, Program
from rrp_pyomo.realise.lifting import lifted
from rrp_pyomo.solve.solution import FloatArray, ProgramSolution, Start, start_values
from rrp_pyomo.solvers.backends import ACCURATE, ClarabelBackend, ConicSolution, Termination
from rrp_pyomo.solvers.ipopt.embedded import NonlinearSolution
from rrp_pyomo.solvers.ipopt.quadratic import solve_quadratic_form

if TYPE_CHECKING:
    from rrp_pyomo.solvers.conic.scs import ScsBackend

# Close to the limit of feasibility Clarabel stalls before it is accurate. It then says "almost
# solved", from its default tolerances for that on, and what it has is measured and reported.
_TOLERANCES = {name: tol for name, tol in ACCURATE.items() if not name.startswith("reduced")}
# The largest error of a point that is almost a solution, before there is a warning.
_ALMOST = 1e-6


def solve_conic(
    program: Program,
    solver: str,
    named: str,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> ProgramSolution:
    """By the conic form, with Clarabel or SCS."""
    form = program.conic()
    answer = _backend(solver, time_limit, options).solve(form, sys.stdout if tee else None)
    ended = f"{named} ended with status {answer.status!r} on {program.name}"
    if answer.termination is Termination.INFEASIBLE:
        raise InfeasibleError(f"{ended}: it has no solution")
    if answer.termination not in (Termination.SOLVED, Termination.ALMOST_SOLVED):
        raise SolverError(ended)
    gap = float(answer.objective - answer.dual_objective)
    if answer.termination is Termination.ALMOST_SOLVED:
        errors = _violation(form, answer.x), abs(gap) * form.objective_scale
        if max(errors) > _ALMOST:
            warn(
                f"{ended}: a constraint is violated by {errors[0]:.1g} of its magnitude and the "
                f"duality gap is {errors[1]:.1g}; look at the certificate, or relax the problem"
            )
    return _stated(program, answer, named, gap)


def solve_nonlinear(
    program: Program,
    named: str,
    start: Start,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> ProgramSolution:
    """By the quadratic form, with the embedded Ipopt."""
    flat = lifted(program)
    point = flat.point(start_values(start))
    answer = solve_quadratic_form(flat.quadratic(), point, options, time_limit, tee)
    ended = f"{named} ended with status {answer.status!r} on {program.name}"
    if answer.termination is TerminationCondition.locallyInfeasible:
        raise InfeasibleError(f"{ended}: no feasible point was found near the start")
    if answer.solution_status not in (SolutionStatus.optimal, SolutionStatus.feasible):
        raise SolverError(ended)
    if answer.solution_status is SolutionStatus.feasible:
        warn(f"{ended}: its tolerances were not reached; look at the certificate")
    return _stated(program, answer, named, None)


def _stated(
    program: Program, answer: ConicSolution | NonlinearSolution, named: str, gap: float | None
) -> ProgramSolution:
    """A solver's answer in terms of the program; matrices always minimise."""
    sign = -1.0 if program.maximizing else 1.0
    return ProgramSolution(
        values=program.values(answer.x),
        objective=sign * answer.objective,
        duality_gap=gap,
        status=answer.status,
        solver=named,
        iterations=answer.iterations,
    )


def _backend(
    solver: str, time_limit: float | None, options: dict[str, Any]
) -> ClarabelBackend | ScsBackend:
    if solver == "clarabel":
        seconds = {} if time_limit is None else {"time_limit": float(time_limit)}
        return ClarabelBackend(**{**_TOLERANCES, **seconds, **options})
    from rrp_pyomo.solvers.conic.scs import ScsBackend

    seconds = {} if time_limit is None else {"time_limit_secs": float(time_limit)}
    return ScsBackend(**{**seconds, **options})


def _violation(form: ConicForm, x: FloatArray) -> float:
    """By how much a point misses its cones, in the form's scaled rows."""
    slack = form.b - form.A @ (x / form.column_scale)
    worst, start = 0.0, 0
    for cone in form.cones:
        stop = start + cone.count * cone.dimension
        rows = slack[start:stop].reshape(cone.count, cone.dimension)
        if cone.kind == ZERO:
            gaps = np.abs(rows)
        elif cone.kind == NONNEGATIVE:
            gaps = -rows
        else:
            gaps = np.linalg.norm(rows[:, 1:], axis=1) - rows[:, 0]
        worst, start = max(worst, float(gaps.max())), stop
    return worst
