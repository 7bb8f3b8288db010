"""Solving a program by a solver's name, through whichever realisation that solver reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import InfeasibleError, InputError, ModelError, SolverError, warn
from rrp_pyomo.modeling import ConicForm, Program, Quadratic
from rrp_pyomo.modeling.conic import NONNEGATIVE, ZERO
from rrp_pyomo.modeling.constraints import NormBound, ProductBound, QuadraticBound
from rrp_pyomo.modeling.lifting import lifted
from rrp_pyomo.modeling.to_conic import is_convex, is_sum_of_squares
from rrp_pyomo.solvers.backends import ACCURATE, ClarabelBackend, ConicSolution, Termination
from rrp_pyomo.solvers.ipopt.embedded import NonlinearSolution
from rrp_pyomo.solvers.ipopt.executable import ipopt_solver
from rrp_pyomo.solvers.ipopt.quadratic import DEFAULTS, solve_quadratic_form
from rrp_pyomo.solvers.registry import Solver, Takes, embedded_ipopt, find_solver

if TYPE_CHECKING:
    from rrp_pyomo.solvers.conic.scs import ScsBackend

FloatArray = NDArray[np.float64]
Start: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None


@dataclass(frozen=True, eq=False)
class ProgramSolution:
    """A solved program.

    Attributes
    ----------
    values : dict of str to array
        By variable name.
    objective : float
        Of the statement.
    duality_gap : float or None
        Primal minus dual objective, where the solver has a dual.
    status : str
        The solver's own words.
    solver : str
        Which solver, its version and where it was found.
    iterations : int or None
    """

    values: dict[str, FloatArray]
    objective: float
    duality_gap: float | None
    status: str
    solver: str
    iterations: int | None = None


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
        Name of a solver, see :data:`~rrp_pyomo.solvers.registry.SOLVERS`.
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
        able = ", ".join(s for s in ("clarabel", "ipopt", "scip") if needed <= find_solver(s).takes)
        raise ModelError(
            f"solver {solver!r} does not take {', '.join(sorted(missing))} problems such as "
            f"{program.name!r}; use one that does: {able}"
        )
    found = entry.require()
    if near and entry.pyomo_name.endswith("ipopt"):
        options = {**STAY_NEAR, **options}
    named = f"{solver} {found.version} ({found.where})"
    if solver in ("clarabel", "scs"):
        form, log = program.conic(), sys.stdout if tee else None
        solved = _conic_backend(solver, time_limit, options).solve(form, log)
        return _from_conic(program, form, solved, named)
    if entry.pyomo_name.endswith("ipopt") and found == embedded_ipopt():
        flat = lifted(program)
        point = flat.point(_evaluated(start))
        answer = solve_quadratic_form(flat.quadratic(), point, options, time_limit, tee)
        return _from_nonlinear(program, answer, named)
    return _by_pyomo(program, entry, named, start, time_limit, tee, options)


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


def _conic_backend(
    solver: str, time_limit: float | None, options: dict[str, Any]
) -> ClarabelBackend | ScsBackend:
    seconds = {} if time_limit is None else {_TIME_LIMITS[solver]: float(time_limit)}
    if solver == "clarabel":
        return ClarabelBackend(**{**_TOLERANCES, **seconds, **options})
    from rrp_pyomo.solvers.conic.scs import ScsBackend

    return ScsBackend(**{**seconds, **options})


def _from_conic(
    program: Program, form: ConicForm, answer: ConicSolution, solver: str
) -> ProgramSolution:
    ended = f"{solver} ended with status {answer.status!r} on {program.name}"
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
    sign = -1.0 if program.maximizing else 1.0
    return ProgramSolution(
        values=program.values(answer.x),
        objective=sign * answer.objective,
        duality_gap=gap,
        status=answer.status,
        solver=solver,
        iterations=answer.iterations,
    )


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


def _from_nonlinear(program: Program, answer: NonlinearSolution, solver: str) -> ProgramSolution:
    ended = f"{solver} ended with status {answer.status!r} on {program.name}"
    if answer.termination is TerminationCondition.locallyInfeasible:
        raise InfeasibleError(f"{ended}: no feasible point was found near the start")
    if answer.solution_status not in (SolutionStatus.optimal, SolutionStatus.feasible):
        raise SolverError(ended)
    sign = -1.0 if program.maximizing else 1.0
    return ProgramSolution(
        values=program.values(answer.x),
        objective=sign * answer.objective,
        duality_gap=None,
        status=answer.status,
        solver=solver,
        iterations=answer.iterations,
    )


def _by_pyomo(
    program: Program,
    entry: Solver,
    named: str,
    start: Start,
    time_limit: float | None,
    tee: bool,
    options: dict[str, Any],
) -> ProgramSolution:
    """Through the block that the solver reads, by Pyomo's own interface."""
    environ = needs(program) <= entry.environ
    block = program.block() if environ else program.kernel()
    if start is not None:
        _initialise(lifted(program, bare_squares=not environ), block, _evaluated(start))
    try:
        status, optimal, infeasible = (_run_legacy if entry.legacy else _run)(
            entry.pyomo_name, block, time_limit, tee, options
        )
    except InputError:
        raise
    except Exception as error:  # whatever the solver's own package raises, such as for a licence
        words = " ".join(str(error).split())
        # SCIP does not say which option it does not know.
        if (options and isinstance(error, KeyError)) or any(o in words for o in options):
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
        options = {_TIME_LIMITS[name]: time_limit, **options}
    solver = pyo.SolverFactory(name, options=options)
    # Without `save_results` it takes blocks that are not ConcreteModels.
    results = solver.solve(block, load_solutions=False, save_results=False, tee=tee)
    ended = results.solver.termination_condition
    if ended == "optimal":
        solver.load_vars()
    return str(ended), ended == "optimal", ended == "infeasible"


def _evaluated(start: Start) -> Mapping[str, Any]:
    return start() if callable(start) else (start or {})


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


_INFEASIBLE = (
    TerminationCondition.provenInfeasible,
    TerminationCondition.locallyInfeasible,
)
# What limits the time of solvers that are called directly, and by those of Pyomo's older interfaces
# that ignore a time limit of their own.
_TIME_LIMITS = {
    "clarabel": "time_limit",
    "scs": "time_limit_secs",
    "gurobi_direct": "TimeLimit",
    "mosek_direct": "mosek.dparam.optimizer_max_time",
    "xpress_direct": "timelimit",
}
# Ipopt moves a start away from its bounds by these amounts. A risk parity portfolio of assets that
# hedge has weights near 0, and from a little further off Ipopt may end in the trap x_i = 0.
STAY_NEAR: dict[str, object] = {
    "bound_push": 1e-6,
    "bound_frac": 1e-6,
    "slack_bound_push": 1e-6,
    "slack_bound_frac": 1e-6,
    "mu_init": 1e-7,
}
# A point that another solver calls optimal may miss a constraint by this much, in the largest unit.
_LARGEST_RESIDUAL = 1e-3
# Close to the limit of feasibility Clarabel stalls before it is accurate. It then says "almost
# solved", from its default tolerances for that on, and what it has is measured and reported.
_TOLERANCES = {name: tol for name, tol in ACCURATE.items() if not name.startswith("reduced")}
# The largest error of a point that is almost a solution, before there is a warning.
_ALMOST = 1e-6
