"""What the conic solvers of Pyomo models have in common: everything but the solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, TextIO

import numpy as np
from pyomo.contrib.solver.common.config import SolverConfig
from pyomo.contrib.solver.common.results import Results, SolutionStatus, TerminationCondition

from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.solvers.backends import ConicSolution, Termination
from rrp_pyomo.solvers.conic.compile import CompiledModel, compile_model
from rrp_pyomo.solvers.conic.results import CONDITION, ConicSolutionLoader, relative_errors
from rrp_pyomo.solvers.pyomo_solver import Log, PyomoSolver
from rrp_pyomo.solvers.reading.standard_form import read_model

_UNDECIDED = (
    Termination.ALMOST_SOLVED,
    Termination.STALLED,
    Termination.INCONCLUSIVE,
    Termination.FAILED,
)


class Backend(Protocol):
    """A conic solver with its memory of the last form."""

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        """Solve the form."""


class ConicSolver(PyomoSolver):
    """Base of the conic solvers: a model becomes a conic form, which a backend solves.

    A model that the object solves again keeps the solver's memory: where the sparsity pattern is
    unchanged, numbers are updated in place.
    """

    CONFIG = SolverConfig()

    def __init__(self, **kwds: Any) -> None:
        super().__init__(**kwds)
        self._backend: Backend | None = None
        self._backend_options: dict[str, Any] = {}

    # --- what a solver has to say ---------------------------------------------------------------

    def _new_backend(self, options: Mapping[str, Any]) -> Backend:
        raise NotImplementedError

    def _tolerances(self, options: Mapping[str, Any]) -> tuple[float, float]:
        """Relative tolerances of feasibility and of the duality gap, for almost solved forms."""
        raise NotImplementedError

    # --- what they share ------------------------------------------------------------------------

    def _compile(self, model: Any, config: Any) -> CompiledModel:
        return compile_model(read_model(model))

    def _run(
        self, compiled: CompiledModel, options: dict[str, Any], config: Any, log: Log
    ) -> ConicSolution:
        shown = log if log.is_shown else None
        solution = self._solution(compiled.form, options, shown)
        if solution.termination is Termination.UNBOUNDED:
            return self._unbounded(compiled.form, solution, options, shown)
        return solution

    def _solution(
        self, form: ConicForm, options: dict[str, Any], log: TextIO | None
    ) -> ConicSolution:
        used = self._backend is not None and options == self._backend_options
        if not used:
            self._backend, self._backend_options = self._new_backend(options), options
        assert self._backend is not None
        try:
            solution = self._backend.solve(form, log)
            if used and solution.termination in _UNDECIDED:
                # Scaled for an earlier model: a solver that has not seen it may do better.
                self._backend = self._new_backend(options)
                solution = self._backend.solve(form, log)
        except BaseException:
            self._backend = None  # whatever it remembers is of no use
            raise
        return solution

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

    def _report(
        self, results: Results, model: Any, compiled: CompiledModel, solution: ConicSolution
    ) -> None:
        condition, status = self._verdict(compiled.form, solution)
        results.solution_loader = ConicSolutionLoader(model, compiled, solution, status)
        results.termination_condition = condition
        results.solution_status = status
        if compiled.standard.has_objective and status is not SolutionStatus.noSolution:
            sense = compiled.standard.sense
            value = compiled.standard.objective.value(solution.x.tolist())
            results.incumbent_objective = value
            # The two agree to the solver's tolerance; a bound beyond the incumbent says no more.
            results.objective_bound = sense * min(sense * value, solution.dual_objective)

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
