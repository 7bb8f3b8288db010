"""The route by the conic form: to Clarabel, SCS and whoever else reads matrices with cones."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from rrp_pyomo.errors import InfeasibleError, SolverError, warn
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.constraints import InCone, membership
from rrp_pyomo.modeling.operators import Comparison
from rrp_pyomo.program import Program
from rrp_pyomo.realise.conic import CompiledStatement
from rrp_pyomo.solve.certificate import ProgramCertificate, certificate_of_point
from rrp_pyomo.solve.solution import ProgramSolution, labelled, without_solution
from rrp_pyomo.solve.table import Solver
from rrp_pyomo.solvers.conic.session import ACCEPTED, Session
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination


class _Sessions(threading.local):
    """The sessions of programs with parameters, by solver and options, each thread its own."""

    def __init__(self) -> None:
        self.known: WeakKeyDictionary[Program, dict[Any, Session]] = WeakKeyDictionary()


_SESSIONS = _Sessions()


def solve_conic(
    program: Program,
    entry: Solver,
    named: str,
    tolerance: float,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> ProgramSolution:
    """Solve a program by its conic form; one with parameters keeps its solver for the next time."""
    compiled = program.reduced()
    session = _session(program, entry, time_limit, options)
    answer = session.solve(compiled.form, sys.stdout if tee else None)
    ended = f"{named} ended with status {answer.status!r} on {program.name}"
    if answer.termination is Termination.INFEASIBLE:
        raise InfeasibleError(
            f"{ended}: it has no solution; relax its constraints: contradiction(program) names "
            "those that exclude each other"
        )
    if answer.termination is Termination.UNBOUNDED:
        raise SolverError(
            f"{ended}: the objective is unbounded; give the variables bounds, such as by a weight "
            "set"
        )
    if answer.termination not in (Termination.SOLVED, Termination.ALMOST_SOLVED):
        raise without_solution(ended)
    solution = _stated(program, replace(compiled), answer, named, tolerance)
    accuracy = max(session.accepted)
    if answer.termination is Termination.ALMOST_SOLVED or accuracy > ACCEPTED:
        _look_at(solution, ended, accuracy)
    return solution


def _look_at(solution: ProgramSolution, ended: str, accuracy: float) -> None:
    """Warn where a rough answer misses a constraint, or the optimum, by more than is stated."""
    certificate = solution.certificate
    gap = certificate.gap or 0.0
    if max(certificate.primal_residual, gap) > accuracy:
        warn(
            f"{ended}: {certificate.worst!r} is violated by {certificate.primal_residual:.1g} of "
            f"its size and the duality gap is {gap:.1g}; look at the certificate, or relax the "
            "problem"
        )


def _stated(
    program: Program,
    compiled: CompiledStatement,
    answer: ConicSolution,
    named: str,
    tolerance: float,
) -> ProgramSolution:
    """A solver's answer in terms of the program; matrices always minimise."""
    sign = -1.0 if program.maximizing else 1.0
    numbers = program.numbers

    def certify() -> ProgramCertificate:
        of_point = certificate_of_point(program, x, numbers, tolerance)
        return replace(of_point, dual_residual=answer.errors.dual, gap=answer.errors.gap)

    def find_duals() -> Mapping[str, Any]:
        return duals(program, compiled, answer)

    x = compiled.point(answer.x)[: program.columns]
    return ProgramSolution(
        x=x,
        statement=program,
        objective=float(sign * answer.objective),
        duality_gap=float(answer.objective - answer.dual_objective),
        status=answer.status,
        solver=named,
        iterations=answer.iterations,
        numbers=numbers,
        find_duals=find_duals,
        certify=certify,
    )


def duals(program: Program, compiled: CompiledStatement, answer: ConicSolution) -> dict[str, Any]:
    """Multipliers by constraint name and label; see :class:`ProgramSolution`."""
    sign = -1.0 if program.maximizing else 1.0
    x = compiled.point(answer.x)
    found: dict[str, Any] = {}
    for name, constraint in program.constraints.items():
        sources = compiled.source.duals.get(name)
        if sources is not None and isinstance(constraint, Comparison):
            size = constraint.body.size
            total = np.zeros(size)
            for source in sources:
                w = compiled.members(source.membership, answer.z)[source.part]
                rows = w if w.size == size else np.array([w.sum()])
                total = total + source.coefficient * rows
            labels = constraint.body.labels
            found[name] = labelled(sign * total, labels, name, size == 1 and labels is None)
            continue
        cone = constraint if isinstance(constraint, InCone) else membership(constraint)
        assert cone is not None
        members = [sign * w for w in compiled.members(name, answer.z)]
        if isinstance(constraint, Comparison):
            found[name] = _of_product(name, constraint, cone, members, x)
        else:
            found[name] = _by_part(cone, members)
    return found


def _of_product(
    name: str, constraint: Comparison, cone: InCone, w: list[FloatArray], x: FloatArray
) -> Any:
    """The dual μ of a b ≥ c²: (w_a, w_b, w_c) = μ (b, a, −2c); NaN at the apex, where none exists.

    The apex is where a and b are within rounding of 0, in the size that multipliers of order 1
    give to them.
    """
    a, b = (part.value(x) for part in cone.parts[:2])
    sizes = [
        max(float(np.abs(head).max()), part.magnitude)
        for head, part in zip((a, b), cone.parts, strict=False)
    ]
    apex = (a <= 1e-7 * sizes[0]) & (b <= 1e-7 * sizes[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        mu = np.where(
            apex, np.nan, (w[0] * sizes[0] + w[1] * sizes[1]) / (b * sizes[0] + a * sizes[1])
        )
    mu = np.where((w[0] == 0.0) & (w[1] == 0.0), 0.0, mu) * -constraint.sign
    labels = cone.cone.labels(cone.parts)
    return labelled(mu, labels, name, mu.size == 1 and labels is None)


def _by_part(cone: InCone, w: list[FloatArray]) -> dict[str, Any]:
    names = list(cone.cone.part_names)
    pieces = len(w) - len(names)
    names += [f"{names[-1]}{k + 2}" for k in range(pieces)]
    return {
        name: labelled(numbers, part.labels, name, part.size == 1 and part.labels is None)
        for name, part, numbers in zip(names, cone.parts, w, strict=True)
    }


def _session(
    program: Program, entry: Solver, time_limit: float | None, options: dict[str, Any]
) -> Session:
    backend = entry.backend()
    settings = {**backend.for_programs, **backend.limits(time_limit, None), **options}
    if not program.parameters:
        return Session(backend, **settings)
    known = _SESSIONS.known.setdefault(program, {})
    key = entry.name, *sorted((name, repr(value)) for name, value in settings.items())
    if key not in known:
        known[key] = Session(backend, **settings)
    return known[key]
