"""Options of the solvers behind Pyomo, tried before the solve on an empty model of the solver's.

Pyomo's interfaces hand them over as they are: HiGHS ignores what it does not know, and others raise
exceptions of their own that do not name the option.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from rrp_pyomo.errors import UnknownLabelError
from rrp_pyomo.solve.table import Found, Solver
from rrp_pyomo.solvers.options import Option, checked, refused, require_one_thread


def with_threads(solver: Solver, found: Found, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with ``threads``, which means the same to all, as the solver calls it.

    Raises
    ------
    InputError
        The solver works on one thread, and more are asked for.
    """
    if "threads" not in options:
        return dict(options)
    given = dict(options)
    threads = given.pop("threads")
    if solver.backend_name:
        return {**given, **solver.backend().limits(None, threads)}
    if found.embedded:
        from rrp_pyomo.solvers.ipopt.solver import MORE_THREADS, SEQUENTIAL

        require_one_thread(SEQUENTIAL, threads, MORE_THREADS)
        return given
    if solver.name == "scip":
        require_one_thread("SCIP, as Pyomo runs it,", threads, "leave it out, or use 'gurobi'")
        return given
    if solver.name == "highs":
        from rrp_pyomo.solvers.outer_approximation.threads import renew_threads

        renew_threads()
        return dict(options)
    checked(solver.name, {"threads": threads}, {"threads": Option(int, "[1, 1024]")})
    return {**given, _THREADS.get(solver.name, "threads"): threads}


def try_options(solver: str, options: Mapping[str, Any]) -> None:
    """Raise unless the solver takes these options; those of some solvers cannot be tried.

    Raises
    ------
    UnknownLabelError
        HiGHS has no option of that name.
    InputError
        The solver does not take the name or the value; the message has its own words.
    """
    if solver not in _SETTERS or not options:
        return
    package, setter = _SETTERS[solver]
    try_one = setter(import_module(package))
    for name, value in options.items():
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise refused(solver, name, value, "expected a value; leave it out for the default")
        try:
            try_one(name, value)
        except UnknownLabelError:
            raise
        except Exception as error:  # of any kind, with more or fewer words
            why = " ".join(str(error).split()) or type(error).__name__
            raise refused(solver, name, value, f"{solver} says: {why}") from error


def _highs(highspy: Any) -> Callable[[str, Any], None]:
    solver = highspy.Highs()
    solver.silent()

    def set_option(name: str, value: Any) -> None:
        status, known = solver.getOptionValue(name)
        if status == highspy.HighsStatus.kError:
            names = [word for word in dir(solver.getOptions()) if not word.startswith("_")]
            raise UnknownLabelError("highs option", name, names)
        if solver.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"the value is invalid; it takes one such as {known!r}")

    return set_option


def _gurobi(gurobipy: Any) -> Callable[[str, Any], None]:
    setter: Callable[[str, Any], None] = gurobipy.Env(empty=True).setParam
    return setter


def _scip(pyscipopt: Any) -> Callable[[str, Any], None]:
    setter: Callable[[str, Any], None] = pyscipopt.Model().setParam
    return setter


#: What limits their threads, where it is not ``threads``.
_THREADS = {"gurobi": "Threads", "mosek": "mosek.iparam.num_threads"}

_SETTERS: dict[str, tuple[str, Callable[[Any], Callable[[str, Any], None]]]] = {
    "highs": ("highspy", _highs),
    "gurobi": ("gurobipy", _gurobi),
    "scip": ("pyscipopt", _scip),
}
