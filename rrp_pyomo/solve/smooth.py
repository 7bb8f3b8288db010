"""The route by the quadratic form: to the Ipopt inside CasADi, with exact derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import InfeasibleError, warn
from rrp_pyomo.modeling.constraints import InCone
from rrp_pyomo.program import Program
from rrp_pyomo.realise.lowering import Lowered
from rrp_pyomo.realise.quadratic import as_quadratic_bound, quadratic_form
from rrp_pyomo.solve.certificate import certificate_of_point
from rrp_pyomo.solve.solution import (
    ProgramSolution,
    Start,
    labelled,
    start_values,
    without_solution,
)
from rrp_pyomo.solvers.ipopt.embedded import NonlinearSolution
from rrp_pyomo.solvers.ipopt.quadratic import solve_quadratic_form


def solve_smooth(
    program: Program,
    named: str,
    start: Start,
    tolerance: float,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> ProgramSolution:
    """Solve a program by matrices with quadratic functions: a local minimum near the start."""
    flat = program.over_variables()
    point = flat.point(start_values(start))
    answer = solve_quadratic_form(quadratic_form(flat), point, options, time_limit, tee)
    ended = f"{named} ended with status {answer.status!r} on {program.name}"
    if answer.termination is TerminationCondition.locallyInfeasible:
        raise InfeasibleError(
            f"{ended}: no feasible point was found near the start; relax its constraints, or try "
            "another start"
        )
    if answer.solution_status not in (SolutionStatus.optimal, SolutionStatus.feasible):
        raise without_solution(ended)
    if answer.solution_status is SolutionStatus.feasible:
        warn(f"{ended}: its tolerances were not reached; look at the certificate")
    sign = -1.0 if program.maximizing else 1.0
    x, numbers = answer.x[: program.columns], program.numbers
    return ProgramSolution(
        x=x,
        statement=program,
        objective=sign * answer.objective,
        duality_gap=None,
        status=answer.status,
        solver=named,
        iterations=answer.iterations,
        numbers=numbers,
        find_duals=lambda: _duals(program, flat, answer),
        certify=lambda: certificate_of_point(program, x, numbers, tolerance),
    )


def _duals(program: Program, flat: Lowered, answer: NonlinearSolution) -> Mapping[str, Any]:
    """Multipliers of the linear rows and of the quadratics that are stated as they are.

    Ipopt's λ satisfy ∇f + Σ λ ∇g = 0 with f what is minimised. A comparison whose cone has other
    functions than its own has no dual here.
    """
    sign = 1.0 if program.maximizing else -1.0
    starts, row = {}, 0
    for name, constraint in flat.stated.items():
        size = as_quadratic_bound(name, constraint).body.size
        starts[name], row = slice(row, row + size), row + size
    found = {}
    for name, comparison in program.constraints.items():
        stated = flat.stated.get(name)
        body = getattr(comparison, "body", None)
        if body is None or stated is None or _rows(stated) != body.size:
            continue
        if isinstance(stated, InCone) and not stated.cone.is_linear:
            continue
        numbers = sign * answer.row_multipliers[starts[name]]
        if any(np.isnan(source.coefficient).any() for source in flat.duals.get(name, ())):
            numbers = np.full(body.size, np.nan)
        scalar = body.size == 1 and body.labels is None
        found[name] = labelled(np.asarray(numbers), body.labels, name, scalar)
    return found


def _rows(constraint: Any) -> int:
    if hasattr(constraint, "body"):
        return int(constraint.body.size)
    return int(constraint.cone.count(constraint.parts))
