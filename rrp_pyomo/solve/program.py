"""Solving a program by a solver's name, through whichever realisation that solver reads."""

from __future__ import annotations

from numbers import Real
from typing import Any

from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.modeling import Program, Quadratic
from rrp_pyomo.modeling.constraints import NormBound, ProductBound, QuadraticBound
from rrp_pyomo.realise.conic import is_convex, is_sum_of_squares
from rrp_pyomo.solve.by_matrices import solve_conic, solve_nonlinear
from rrp_pyomo.solve.by_pyomo import solve_by_pyomo
from rrp_pyomo.solve.solution import ProgramSolution, Start
from rrp_pyomo.solve.table import SOLVERS, Takes, embedded_ipopt, find_solver

# Ipopt moves a start away from its bounds by these amounts. A risk parity portfolio of assets that
# hedge has weights near 0, and from a little further off Ipopt may end in the trap x_i = 0.
STAY_NEAR: dict[str, object] = {
    "bound_push": 1e-6,
    "bound_frac": 1e-6,
    "slack_bound_push": 1e-6,
    "slack_bound_frac": 1e-6,
    "mu_init": 1e-7,
}


def solve_program(
    program: Program,
    solver: str = "clarabel",
    start: Start = None,
    near: bool = False,
    time_limit: float | None = None,
    tee: bool = False,
    **options: Any,
) -> ProgramSolution:
    """Solve a program.

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
    **options
        The solver's own options by name.

    Raises
    ------
    UnknownLabelError
        Unknown solver or option.
    SolverUnavailableError
        The solver is not installed here.
    InputError
        A time limit or an option's value that the solver does not take.
    ModelError
        The solver cannot represent the program.
    InfeasibleError
        The program has no solution.
    SolverError
        The solver stopped without one.
    """
    if time_limit is not None and not (isinstance(time_limit, Real) and time_limit > 0):
        raise InputError(f"time_limit is {time_limit!r}; expected a positive number of seconds")
    entry = find_solver(solver)
    needed = needs(program)
    if missing := needed - entry.takes:
        able = ", ".join(name for name, other in SOLVERS.items() if needed <= other.takes)
        raise ModelError(
            f"solver {solver!r} does not take {', '.join(sorted(missing))} problems such as "
            f"{program.name!r}; use one that does: {able}"
        )
    found = entry.require()
    if near and entry.pyomo_name.endswith("ipopt"):
        options = {**STAY_NEAR, **options}
    named = f"{solver} {found.version} ({found.where})"
    if solver in ("clarabel", "scs"):
        return solve_conic(program, solver, named, time_limit, tee, options)
    if entry.pyomo_name.endswith("ipopt") and found == embedded_ipopt():
        return solve_nonlinear(program, named, start, time_limit, tee, options)
    environ = needed <= entry.environ
    return solve_by_pyomo(program, entry, environ, named, start, time_limit, tee, options)


def needs(program: Program) -> frozenset[Takes]:
    """The classes of problems to which a program belongs, by the form of its statement."""
    needed = {Takes.LINEAR}
    for constraint in program.constraints.values():
        if isinstance(constraint, (NormBound, ProductBound)):
            needed.add(Takes.SECOND_ORDER)
        elif isinstance(constraint, QuadraticBound):
            needed.add(Takes.SECOND_ORDER if is_convex(constraint) else Takes.NONCONVEX)
    if isinstance(program.objective, Quadratic):
        cost = -program.objective if program.maximizing else program.objective
        needed.add(Takes.QUADRATIC if is_sum_of_squares(cost) else Takes.NONCONVEX)
    return frozenset(needed)
