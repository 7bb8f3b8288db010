"""Pyomo's interface to ``ipopt`` executables, for all programs that are run like Ipopt."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from pyomo.contrib.solver.common.base import SolverBase
from pyomo.contrib.solver.common.results import Results, TerminationCondition
from pyomo.contrib.solver.common.util import NoDualsError, NoReducedCostsError
from pyomo.contrib.solver.solvers.ipopt import Ipopt, IpoptConfig
from pyomo.contrib.solver.solvers.ipopt import IpoptSolutionLoader as PyomoLoader

from rrp_pyomo.errors import InputError
from rrp_pyomo.solvers.ipopt.deferred import require_casadi
from rrp_pyomo.solvers.ipopt.executable import find_ipopt, identity, surroundings
from rrp_pyomo.solvers.ipopt.quadratic import DEFAULTS
from rrp_pyomo.solvers.ipopt.solver import CasadiIpopt
from rrp_pyomo.solvers.options import refused
from rrp_pyomo.solvers.reading.checks import integer_columns, refuse_integers

#: What says to each program on how many threads it works: Ipopt's linear solvers are OpenMP's.
#: ripopt works on one.
THREADS: Mapping[str, tuple[str, ...]] = {
    "ipopt": ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    "pounce": ("RAYON_NUM_THREADS",),
    "ripopt": (),
}

# Which of our own options a program does not have.
_MISSING = {
    "pounce": ("bound_mult_init_method",),
    "ripopt": ("bound_mult_init_method", "bound_relax_factor"),
}
# Endings that the code of the .sol file does not tell apart, by what the words have in common.
_ENDINGS = {
    "timeexceeded": TerminationCondition.maxTimeLimit,
    "searchdirectionbecomestoosmall": TerminationCondition.minStepLength,
}
# ripopt goes on without an option that it does not take, and says so in its log.
_IGNORED = re.compile(
    r"^Warning: (?:unknown option|unknown|unrecognized value) .*$", re.MULTILINE | re.IGNORECASE
)
# Only one thread at a time may have other variables in the environment.
_ENVIRONMENT = threading.Lock()


class ExecutableIpopt(Ipopt):  # type: ignore[misc]
    """Pyomo's interface to Ipopt, for executables that are run like it: POUNCE and ripopt, too.

    What the executable does not do as it is told raises an error, where Pyomo's own interface goes
    on: an option that it does not take, integers, which it would take for continuous variables, a
    number of threads that nothing makes it keep to, and duals that are not AMPL's (ripopt's).

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from rrp_pyomo.solvers.ipopt import ipopt_solver
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var(initialize=1.0)
    >>> model.valley = pyo.Objective(expr=(model.x - 2) ** 2)
    >>> results = ipopt_solver().solve(model)
    >>> round(model.x.value, 6)
    2.0
    """

    #: Pyomo's options for Ipopt, but for the writer's presolve.
    CONFIG = IpoptConfig()
    # As in the embedded one: constraints that the writer presolves have no duals.
    CONFIG.writer_config.linear_presolve = False

    def __init__(self, **kwds: Any) -> None:
        super().__init__(**{"name": "ipopt", **kwds})
        self._until_copied = contextlib.ExitStack()
        self._running = ""
        self._limit: float | None = None

    @property
    def program(self) -> str:
        """``"ipopt"``, ``"pounce"`` or ``"ripopt"``; empty where there is none."""
        answer = identity(self.config.executable.path() or "")
        return answer[0] if answer else ""

    @property
    def for_programs(self) -> dict[str, object]:
        """Options for problems with known units and, as a rule, a start near the solution.

        Those of the embedded Ipopt, but for accuracy: nobody judges what an executable stops at,
        and two digits less is what it gets to.
        """
        missing = _MISSING.get(self.program, ())
        return {k: v for k, v in {**DEFAULTS, "tol": 1e-10}.items() if k not in missing}

    def _get_version(self, path: str | None) -> tuple[int, ...] | None:
        answer = identity(path or "")
        return tuple(int(part) for part in answer[1].split(".")) if answer else None

    def _run_ipopt(
        self, results: Results, config: Any, nl_info: Any, basename: str, timer: Any, model: Any
    ) -> None:
        variables = [*nl_info.variables, *(variable for variable, _ in nl_info.eliminated_vars)]
        refuse_integers(variables, integer_columns(variables))
        path, threads = config.executable.path(), config.threads
        self._running = program = (identity(path or "") or ("ipopt",))[0]
        beside = {**(surroundings(path) if path else {}), **_on_threads(program, threads)}
        self._limit = config.time_limit
        config.threads = None  # Pyomo warns that nothing becomes of it
        try:
            with contextlib.ExitStack() as self._until_copied:
                self._until_copied.enter_context(_in_environment(beside))
                super()._run_ipopt(results, config, nl_info, basename, timer, model)
        finally:
            config.threads = threads
        _require_options_taken(program, config.solver_options.value(), results)
        words = re.sub("[^a-z]", "", str(results.extra_info.solver_message).lower())
        for part, ended in _ENDINGS.items():
            if part in words:
                results.termination_condition = ended
        if program == "ripopt":
            read = results.solution_loader
            results.solution_loader = _ValuesOnly(read._sol_data, read._nl_info, model)

    def _process_options(self, option_fname: str, options: Mapping[str, Any]) -> list[str]:
        # This comes after Pyomo has copied the environment for the process that it starts.
        self._until_copied.close()
        if self._running == "pounce" and self._limit is not None:
            # Its processor time comes in large steps.
            options = {"max_wall_time": self._limit, **options}
        if self._running == "ripopt":  # it reads no file of options, and no quotes
            return [f"{name}={value}" for name, value in options.items()]
        arguments: list[str] = super()._process_options(option_fname, options)
        return arguments

    def _parse_ipopt_output(self, output: str) -> dict[str, Any]:
        if self._running == "ipopt":
            parsed: dict[str, Any] = super()._parse_ipopt_output(output)
            return parsed
        # The lines of the others' logs are not Ipopt's, which Pyomo would warn of.
        found = re.search(r"Number of Iterations\D*(\d+)", output)
        return {"iters": int(found[1])} if found else {}


def ipopt_solver() -> SolverBase:
    """Pyomo's interface to the ``ipopt`` executable where there is one, else the embedded Ipopt.

    The ``solver_name`` of its results says which: ``"ipopt"`` or ``"casadi_ipopt"``.
    :func:`find_ipopt` says where an executable is looked for.

    Raises
    ------
    SolverUnavailableError
        There is neither; CasADi, whose wheel carries the embedded one, is not installed.

    Examples
    --------
    >>> from rrp_pyomo.solvers.ipopt import ipopt_solver
    >>> ipopt_solver().name in ("ipopt", "casadi_ipopt")
    True
    """
    executable = find_ipopt()
    if executable is not None:
        return ExecutableIpopt(executable=str(executable.path))
    require_casadi()
    return CasadiIpopt()


class _ValuesOnly(PyomoLoader):  # type: ignore[misc]
    """What ripopt's .sol file says of variables."""

    def get_duals(self, cons_to_load: Any = None) -> Any:
        raise NoDualsError(f"ripopt's duals {_NO_DUALS}")

    def get_reduced_costs(self, vars_to_load: Any = None) -> Any:
        raise NoReducedCostsError(f"ripopt's reduced costs {_NO_DUALS}")


_NO_DUALS = (
    "are not those of AMPL: their sign is another one where a model minimises, and bounds have "
    "none. Leave the suffixes out, or solve by another ipopt or by 'casadi_ipopt'"
)


def _on_threads(program: str, threads: int | None) -> dict[str, str]:
    if threads is None:
        return {}
    names = THREADS[program]
    if threads < 1 or (threads > 1 and not names):
        expected = "1 or more" if names else "None or 1, for it works on one"
        raise InputError(
            f"threads is {threads}; {program} takes {expected}: leave it out, or solve by an "
            "executable whose linear solver has threads"
        )
    return dict.fromkeys(names, str(threads))


def _require_options_taken(program: str, options: Mapping[str, Any], results: Results) -> None:
    """Raise where the log says that an option was not taken, whatever has become of the rest."""
    log = results.solver_log or ""
    complaints = _IGNORED.findall(log) if program == "ripopt" else []
    if results.extra_info.return_code:
        complaints = log.splitlines()
    for name, value in options.items():
        for line in complaints:
            if re.search(rf"\b{re.escape(name)}\b", line):
                why = f"{program} says: {' '.join(line.split())}; leave it out or give another one"
                raise refused(program, name, value, why)


@contextlib.contextmanager
def _in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The process's environment with these variables; one thread at a time."""
    with _ENVIRONMENT:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
