"""Solving a program by a solver's name, through whichever realisation that solver reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rrp_pyomo.errors import InputError, ModelError, is_number
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.constraints import InCone, QuadraticBound
from rrp_pyomo.modeling.counterpart import is_uncertain
from rrp_pyomo.program import Program
from rrp_pyomo.realise.lowering import is_sum_of_squares
from rrp_pyomo.solve.by_pyomo import solve_by_pyomo
from rrp_pyomo.solve.conic import solve_conic
from rrp_pyomo.solve.options import with_threads
from rrp_pyomo.solve.smooth import solve_smooth
from rrp_pyomo.solve.solution import ProgramSolution, Start
from rrp_pyomo.solve.table import SOLVERS, Route, find_solver
from rrp_pyomo.solve.worst_case import WorstElements, saddle_gap, worst_elements


def solve_program(
    program: Program,
    solver: str = "clarabel",
    start: Start = None,
    near: bool = False,
    time_limit: float | None = None,
    tee: bool = False,
    tolerance: float = 1e-6,
    **options: Any,
) -> ProgramSolution:
    """Solve a program.

    A program with parameters that is solved again after :meth:`Program.set` keeps its solver, whose
    numbers are updated in place.

    Parameters
    ----------
    program : Program
    solver : str
        Name of a solver, see :data:`~rrp_pyomo.solve.table.SOLVERS`.
    start : mapping, or function that returns one, optional
        Values by variable name, where a nonlinear solver starts; it is called only by solvers
        that use it.
    near : bool
        Whether the start is a solution or close to one: Ipopt is then kept from leaving it.
    time_limit : float, optional
        Seconds.
    tee : bool
        Print the solver's log.
    tolerance : float
        What an answer through a Pyomo block may violate a constraint by, relative to the
        constraint's own size; the certificate says it.
    **options
        The solver's own options by name; and ``threads``, which means the same to all that have
        several, and is refused by others if it is more than 1.

    Raises
    ------
    UnknownLabelError
        Unknown solver or option.
    SolverUnavailableError
        The solver is not installed here.
    InputError
        A time limit, a tolerance or an option's value that the solver does not take.
    ModelError
        The solver cannot represent the program.
    InfeasibleError
        The program has no solution.
    SolverError
        The solver stopped without one, or its answer violates a constraint.

    Examples
    --------
    >>> from rrp_pyomo import Program, solve_program
    >>> program = Program("diet")
    >>> x = program.variable("x", ["bread", "milk"], lower=0)
    >>> program.minimize(2 * x["bread"] + 3 * x["milk"])
    >>> program.subject_to(energy=4 * x["bread"] + 3 * x["milk"] >= 12)
    >>> solution = solve_program(program)
    >>> round(solution.objective, 4), round(float(solution.duals["energy"]), 4)
    (6.0, 0.5)
    """
    if time_limit is not None and not (is_number(time_limit) and time_limit > 0):
        raise InputError(f"time_limit is {time_limit!r}; expected a positive number of seconds")
    if not (is_number(tolerance) and tolerance > 0):
        raise InputError(f"tolerance is {tolerance!r}; expected a positive number")
    entry = find_solver(solver)
    needed = needs(program)
    if not entry.can(needed):
        able = ", ".join(name for name, other in SOLVERS.items() if other.can(needed))
        missing = ", ".join(sorted(needed - entry.takes)) or f"{', '.join(sorted(needed))} together"
        raise ModelError(
            f"solver {solver!r} does not take {missing} problems such as "
            f"{program.name!r}; use one that does: {able or 'none is known'}{_hint(program)}"
        )
    found = entry.require()
    if near:
        options = {**entry.near, **options}
    options = with_threads(entry, found, options)
    named = f"{solver} {found.version} ({found.where})"
    match entry.route(found, needed):
        case Route.CONIC:
            solution = solve_conic(program, entry, named, tolerance, time_limit, tee, options)
        case Route.SMOOTH:
            solution = solve_smooth(program, named, start, tolerance, time_limit, tee, options)
        case _:
            environ, embedded = entry.reads_environ(needed), found.embedded
            solution = solve_by_pyomo(
                program, entry, embedded, environ, named, start, tolerance, time_limit, tee, options
            )
    return _with_worst_case(program, solution) if is_uncertain(program) else solution


def _with_worst_case(program: Program, solution: ProgramSolution) -> ProgramSolution:
    """A solution that says what it is robust against, when it is asked."""

    def find_worst_case() -> WorstElements:
        with program.with_numbers(solution.numbers):
            return worst_elements(program, solution.x)

    def find_saddle_gap(worst: WorstElements) -> float:
        with program.with_numbers(solution.numbers):
            return saddle_gap(program, solution.x, worst)

    return replace(solution, find_worst_case=find_worst_case, find_saddle_gap=find_saddle_gap)


def _hint(program: Program) -> str:
    """What may make a cone of a product that is none as it is stated."""
    products = [
        name
        for name, c in program.lowered().stated.items()
        if isinstance(c, QuadraticBound) and c.lower < c.upper
    ]
    if not products:
        return ""
    names = ", ".join(map(repr, products))
    return f"; products such as those of {names} are cones as norm(e) <= t or x * z >= square(t)"


def needs(program: Program) -> frozenset[Takes]:
    """The classes of problems to which a program belongs, by the form of its statement."""
    source = program.lowered()
    needed = {Takes.LINEAR}
    for constraint in source.stated.values():
        needed.add(constraint.cone.takes if isinstance(constraint, InCone) else Takes.NONCONVEX)
    if isinstance(source.objective, Composite) and source.objective.terms:
        convex = is_sum_of_squares(source.objective, -1.0 if program.maximizing else 1.0)
        needed.add(Takes.QUADRATIC if convex else Takes.NONCONVEX)
    if any(v.domain != "continuous" for v in program.variables.values()):
        needed.add(Takes.INTEGER)
    return frozenset(needed)
