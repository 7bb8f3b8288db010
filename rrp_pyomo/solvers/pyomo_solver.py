"""The frame of a solver for Pyomo models: configuration, timing, log, results, exceptions."""

from __future__ import annotations

import contextlib
import datetime
import io
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO, TypeVar

from pyomo.common.config import ConfigValue, document_configdict
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.common.timing import HierarchicalTimer
from pyomo.contrib.solver.common.base import LegacySolverWrapper, SolverBase
from pyomo.contrib.solver.common.config import SolverConfig
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import (
    Results,
    SolutionStatus,
    get_infeasible_results,
)
from pyomo.contrib.solver.common.solution_loader import (
    NoSolutionSolutionLoader,
    SolutionLoader,
)
from pyomo.contrib.solver.common.util import (
    NoDualsError,
    NoFeasibleSolutionError,
    NoOptimalSolutionError,
)
from pyomo.core.kernel.base import ICategorizedObject
from pyomo.core.kernel.suffix import ISuffix
from pyomo.core.staleflag import StaleFlagManager

from rrp_pyomo.solvers.endings import strangers

_WITH_VALUES = SolutionStatus.optimal, SolutionStatus.feasible


def declare_without_solution(config: SolverConfig) -> None:
    """Add the setting that every solver of this package has beside Pyomo's own."""
    config.raise_exception_without_solution = config.declare(
        "raise_exception_without_solution",
        ConfigValue(
            default=True,
            domain=bool,
            description="Whether to raise where load_solutions is set and there is nothing to "
            "load; Pyomo's oldest interfaces do not, on which tools such as iis.mis rely.",
        ),
    )


@document_configdict()
class PyomoSolverConfig(SolverConfig):  # type: ignore[misc]
    """Pyomo's solver configuration, and what happens where there is no solution to load."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        declare_without_solution(self)


Solver = TypeVar("Solver", bound=SolverBase)


class PyomoSolver(SolverBase):  # type: ignore[misc]
    """Base of the solvers of this package: read a model, run the solver, report.

    A subclass says how a model is compiled (:meth:`_compile`), how the solver runs (:meth:`_run`)
    and what its answer means (:meth:`_report`).
    """

    def solve(self, model: Any, **kwds: Any) -> Results:
        """Solve a model of ``pyomo.environ`` or ``pyomo.kernel``.

        Parameters
        ----------
        model : block
        **kwds
            Pyomo's solver configuration, such as ``time_limit``, ``tee``, ``load_solutions`` and
            ``solver_options`` (the solver's own settings by name).

        Returns
        -------
        Results
            ``extra_info`` has the solver's ``status`` in its own words and ``iterations``;
            ``timing_info`` has ``compile_time``, ``setup_time`` and ``solve_time`` in seconds.

        Raises
        ------
        IncompatibleModelError
            The solver cannot represent the model; nothing was solved.
        UnknownLabelError, InputError
            An option has a name that the solver does not know, or a value that it does not take.
        NoOptimalSolutionError
            The solver found no optimum and ``raise_exception_on_nonoptimal_result`` is set, as it
            is by default. Values of variables are untouched.
        NoFeasibleSolutionError
            That is not set, but ``load_solutions`` is, and there is nothing to load.
        KeyboardInterrupt
            Ctrl-C was pressed. Values of variables are untouched.
        """
        start_timestamp = datetime.datetime.now(datetime.UTC)
        start = time.perf_counter()
        config = self.config(value=kwds, preserve_implicit=True)
        if config.timer is None:
            config.timer = HierarchicalTimer()
        options = self._options(config)
        StaleFlagManager.mark_all_as_stale()
        log = Log(config.tee)
        try:
            with _timed(config.timer, "compile"):
                compiled = self._compile(model, config)
        except InfeasibleConstraintException as error:
            results = get_infeasible_results(model, self, config, str(error))
            results.extra_info.status = str(error)
            results.extra_info.iterations = 0
            results.solution_loader = NoPoint(model, str(error))
        else:
            compile_time = time.perf_counter() - start
            with _timed(config.timer, "solve"):
                solution = self._run(compiled, options, config, log)
            results = self._results(model, compiled, solution, config)
            results.timing_info.compile_time = compile_time
        results.solver_log = log.getvalue()
        results.timing_info.start_timestamp = start_timestamp
        results.timing_info.wall_time = time.perf_counter() - start
        results.timing_info.timer = config.timer
        return results

    # --- what a solver has to say ---------------------------------------------------------------

    def _options(self, config: Any) -> dict[str, Any]:
        """The solver's own options for Pyomo's configuration, checked where that comes first."""
        raise NotImplementedError

    def _compile(self, model: Any, config: Any) -> Any:
        """The model as the solver takes it."""
        raise NotImplementedError

    def _variables(self, compiled: Any) -> Sequence[Any]:
        """The variables of the model as it was compiled, where the solver keeps them."""
        return ()

    def _run(self, compiled: Any, options: dict[str, Any], config: Any, log: Log) -> Any:
        """The solver's answer, with ``status``, ``iterations``, ``setup_time``, ``solve_time``."""
        raise NotImplementedError

    def _report(self, results: Results, model: Any, compiled: Any, solution: Any) -> None:
        """Fill in condition, status, objective and the loader of the solution."""
        raise NotImplementedError

    # --- what they share ------------------------------------------------------------------------

    def _results(self, model: Any, compiled: Any, solution: Any, config: Any) -> Results:
        results = Results()
        self._report(results, model, compiled, solution)
        results.solver_name = self.name
        results.solver_version = self.version()
        results.solver_config = config
        results.extra_info.status = solution.status
        results.extra_info.iterations = solution.iterations
        results.timing_info.setup_time = solution.setup_time
        results.timing_info.solve_time = solution.solve_time
        status = results.solution_status
        if status is not SolutionStatus.optimal:
            said = results.extra_info.get("message")
            told = ["" if said is None else said.value()]
            told.append(strangers(model, self._variables(compiled)))
            results.extra_info.message = "; ".join(filter(None, told))
        if status is not SolutionStatus.optimal and config.raise_exception_on_nonoptimal_result:
            raise NoOptimalSolutionError(
                f"{self._ended(results)}, not with an optimal solution. Solve with "
                "raise_exception_on_nonoptimal_result=False and load_solutions=False to look at "
                "the results"
            )
        if config.load_solutions:
            if status not in _WITH_VALUES:
                if not config.raise_exception_without_solution:
                    return results
                raise NoFeasibleSolutionError(
                    f"{self._ended(results)}: there are no values to load. Solve with "
                    "load_solutions=False to look at the results"
                )
            with _timed(config.timer, "load"):
                results.solution_loader.load_solution()
        return results

    def _ended(self, results: Results) -> str:
        message = results.extra_info.message if "message" in results.extra_info else ""
        return (
            f"{self.name} ended with the status {results.extra_info.status!r} "
            f"({results.termination_condition.name}{': ' + message if message else ''})"
        )


class LegacyInterface(LegacySolverWrapper):  # type: ignore[misc]
    """Pyomo's older way of calling a solver, with the ``warmstart`` that older solvers take."""

    def solve(self, model: Any, *arguments: Any, warmstart: bool = False, **keywords: Any) -> Any:
        """Solve a model.

        The outer approximation tries the integers' values first where ``warmstart`` is set. Ipopt
        starts at the variables' values whether it is set or not, and interior points and splittings
        of cones use none; other parameters are Pyomo's.
        """
        if "warmstart_discrete_vars" in self.config:
            self.config.warmstart_discrete_vars = warmstart
        return super().solve(model, *arguments, **keywords)

    def _solution_handler(
        self, load_solutions: bool, model: Any, results: Results, *legacy: Any
    ) -> Any:
        loaded = load_solutions and results.solution_status in _WITH_VALUES
        return super()._solution_handler(loaded, model, results, *legacy)


def registered(name: str, doc: str) -> Callable[[type[Solver]], type[Solver]]:
    """Register a solver with both of Pyomo's factories."""

    def register(solver: type[Solver]) -> type[Solver]:
        legacy = type(f"Legacy{solver.__name__}", (LegacyInterface, solver), {})
        SolverFactory.register(name, doc=doc)(solver, legacy)
        return solver

    return register


class NoPoint(NoSolutionSolutionLoader):  # type: ignore[misc]
    """The loader of a model that is infeasible before anything was solved: without multipliers."""

    def get_infeasibility_certificate(self) -> Any:
        """Raise that the reason is no combination of constraints.

        Raises
        ------
        NoDualsError
            Always; the message says which constraint is violated whatever the variables are.
        """
        raise NoDualsError(f"There are no multipliers: {self.err_msg}")


class KernelSuffixes(SolutionLoader):  # type: ignore[misc]
    """A solution loader that finds the suffixes of kernel models too."""

    def _collect_and_clear_import_suffixes(self) -> dict[str, Any]:
        if not isinstance(self._pyomo_model, ICategorizedObject):
            suffixes: dict[str, Any] = super()._collect_and_clear_import_suffixes()
            return suffixes
        found: dict[str, Any] = {}
        for suffix in self._pyomo_model.components(ctype=ISuffix):
            if suffix.import_enabled():
                suffix.clear()
                found.setdefault(suffix.storage_key, suffix)
        return found


@contextlib.contextmanager
def _timed(timer: HierarchicalTimer, what: str) -> Iterator[None]:
    timer.start(what)
    try:
        yield
    finally:
        timer.stop(what)


class Log(io.StringIO):
    """Keeps a solver's log and passes it on to the streams of ``tee``, if there are any."""

    def __init__(self, streams: list[TextIO]) -> None:
        super().__init__()
        self._streams = streams

    @property
    def is_shown(self) -> bool:
        """Whether somebody wants to see it."""
        return bool(self._streams)

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return super().write(text)
