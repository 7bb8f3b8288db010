"""What the conic solvers of Pyomo models have in common: everything but the solver."""

from __future__ import annotations

import contextlib
import datetime
import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, TextIO

import numpy as np
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.common.timing import HierarchicalTimer
from pyomo.contrib.solver.common.base import SolverBase
from pyomo.contrib.solver.common.config import SolverConfig
from pyomo.contrib.solver.common.results import (
    Results,
    SolutionStatus,
    TerminationCondition,
    get_infeasible_results,
)
from pyomo.contrib.solver.common.util import NoFeasibleSolutionError, NoOptimalSolutionError
from pyomo.core.staleflag import StaleFlagManager

from rrp_pyomo.modeling.conic import ConicForm
from rrp_pyomo.solvers.backends import ConicSolution, Termination
from rrp_pyomo.solvers.conic.compile import CompiledModel, compile_model
from rrp_pyomo.solvers.conic.results import CONDITION, ConicSolutionLoader, relative_errors
from rrp_pyomo.solvers.conic.standard_form import read_model


class Backend(Protocol):
    """A conic solver with its memory of the last form."""

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        """Solve the form."""


class ConicSolver(SolverBase):  # type: ignore[misc]
    """Base of the conic solvers: reads a model, has a backend solve it, loads the results.

    A model that the object solves again keeps the solver's memory: where the sparsity pattern is
    unchanged, numbers are updated in place.
    """

    CONFIG = SolverConfig()

    def __init__(self, **kwds: Any) -> None:
        super().__init__(**kwds)
        self._backend: Backend | None = None
        self._backend_options: dict[str, Any] = {}

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
        NoOptimalSolutionError
            The solver found no optimal solution and ``raise_exception_on_nonoptimal_result`` is
            set, as it is by default. Values of variables are untouched.
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
        log = Log(config.tee) if config.tee else None
        try:
            with _timed(config.timer, "compile"):
                compiled = compile_model(read_model(model))
        except InfeasibleConstraintException as error:
            results = get_infeasible_results(model, self, config, str(error))
        else:
            compiled_at = time.perf_counter()
            with _timed(config.timer, "solve"):
                solution = self._solution(compiled.form, options, log)
                if solution.termination is Termination.UNBOUNDED:
                    solution = self._unbounded(compiled.form, solution, options, log)
            results = self._results(model, compiled, solution, config)
            results.timing_info.compile_time = compiled_at - start
        results.solver_log = log.getvalue() if log else ""
        results.timing_info.start_timestamp = start_timestamp
        results.timing_info.wall_time = time.perf_counter() - start
        results.timing_info.timer = config.timer
        return results

    # --- what a solver has to say ---------------------------------------------------------------

    def _options(self, config: Any) -> dict[str, Any]:
        """The backend's options for Pyomo's configuration."""
        raise NotImplementedError

    def _new_backend(self, options: Mapping[str, Any]) -> Backend:
        raise NotImplementedError

    def _tolerances(self, options: Mapping[str, Any]) -> tuple[float, float]:
        """Relative tolerances of feasibility and of the duality gap, for almost solved forms."""
        raise NotImplementedError

    # --- what they share ------------------------------------------------------------------------

    def _solution(
        self, form: ConicForm, options: dict[str, Any], log: TextIO | None
    ) -> ConicSolution:
        if self._backend is None or options != self._backend_options:
            self._backend, self._backend_options = self._new_backend(options), options
        try:
            return self._backend.solve(form, log)
        except BaseException:
            self._backend = None  # whatever it remembers is of no use
            raise

    def _unbounded(
        self, form: ConicForm, ray: ConicSolution, options: dict[str, Any], log: TextIO | None
    ) -> ConicSolution:
        """A ray shows that no optimum exists; that there are feasible points, a second solve."""
        feasibility = replace(form, P=None, q=np.zeros_like(form.q))
        found = self._solution(feasibility, options, log)
        if found.termination is Termination.INFEASIBLE:
            return found
        proven = found.termination in (Termination.SOLVED, Termination.ALMOST_SOLVED)
        return ray if proven else replace(ray, termination=Termination.INFEASIBLE_OR_UNBOUNDED)

    def _results(
        self, model: Any, compiled: CompiledModel, solution: ConicSolution, config: Any
    ) -> Results:
        condition, status = self._verdict(compiled.form, solution)
        results = Results()
        results.solution_loader = ConicSolutionLoader(model, compiled, solution, status)
        results.termination_condition = condition
        results.solution_status = status
        results.solver_name = self.name
        results.solver_version = self.version()
        results.solver_config = config
        results.extra_info.status = solution.status
        results.extra_info.iterations = solution.iterations
        results.timing_info.setup_time = solution.setup_time
        results.timing_info.solve_time = solution.solve_time
        if compiled.standard.has_objective and status is not SolutionStatus.noSolution:
            sense = compiled.standard.sense
            value = compiled.standard.objective.value(solution.x.tolist())
            results.incumbent_objective = value
            # The two agree to the solver's tolerance; a bound beyond the incumbent says no more.
            results.objective_bound = sense * min(sense * value, solution.dual_objective)
        if status is not SolutionStatus.optimal and config.raise_exception_on_nonoptimal_result:
            raise NoOptimalSolutionError(
                f"{self.name} ended with the status {solution.status!r} "
                f"({condition.name}), not with an optimal solution. Solve with "
                "raise_exception_on_nonoptimal_result=False and load_solutions=False to look at "
                "the results"
            )
        if config.load_solutions:
            if status not in (SolutionStatus.optimal, SolutionStatus.feasible):
                raise NoFeasibleSolutionError()
            with _timed(config.timer, "load"):
                results.solution_loader.load_solution()
        return results

    def _verdict(
        self, form: ConicForm, solution: ConicSolution
    ) -> tuple[TerminationCondition, SolutionStatus]:
        """Pyomo's words; a solver that is almost sure has its residuals looked at."""
        if solution.termination is Termination.SOLVED:
            return CONDITION[Termination.SOLVED], SolutionStatus.optimal
        if solution.termination is Termination.ALMOST_SOLVED:
            feasibility, gap = self._tolerances(self._backend_options)
            error = relative_errors(form, solution)
            if error.primal <= feasibility:
                if error.dual <= feasibility and error.gap <= gap:
                    return CONDITION[Termination.SOLVED], SolutionStatus.optimal
                return CONDITION[Termination.ALMOST_SOLVED], SolutionStatus.feasible
            return CONDITION[Termination.ALMOST_SOLVED], SolutionStatus.unknown
        return CONDITION[solution.termination], SolutionStatus.noSolution


@contextlib.contextmanager
def _timed(timer: HierarchicalTimer, what: str) -> Iterator[None]:
    timer.start(what)
    try:
        yield
    finally:
        timer.stop(what)


class Log(io.StringIO):
    """Keeps a solver's log and passes it on."""

    def __init__(self, streams: list[TextIO]) -> None:
        super().__init__()
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return super().write(text)
