"""What the conic solvers of Pyomo models have in common: everything but the solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, TextIO

import numpy as np
from pyomo.contrib.solver.common.results import Results, SolutionStatus

from rrp_pyomo.solvers.conic.compile import CompiledModel, compile_model
from rrp_pyomo.solvers.conic.results import CONDITION, ConicSolutionLoader, explained
from rrp_pyomo.solvers.conic.session import Backend, Session
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination
from rrp_pyomo.solvers.pyomo_solver import Log, PyomoSolver, PyomoSolverConfig
from rrp_pyomo.solvers.reading.standard_form import read_model


class ConicSolver(PyomoSolver):
    """Base of the conic solvers: a model becomes a conic form, which a session solves.

    A model that the object solves again with the same options keeps the solver's memory: where the
    sparsity pattern is unchanged, numbers are updated in place. A subclass names its ``backend``.
    """

    CONFIG = PyomoSolverConfig()
    backend: ClassVar[type[Backend]]

    def __init__(self, **kwds: Any) -> None:
        super().__init__(**kwds)
        self._session: Session | None = None
        self._session_options: dict[str, Any] = {}

    def _options(self, config: Any) -> dict[str, Any]:
        limits = self.backend.limits(config.time_limit, config.threads)
        return {**config.solver_options.value(), **limits}

    def _compile(self, model: Any, config: Any) -> CompiledModel:
        return compile_model(read_model(model))

    def _run(
        self, compiled: CompiledModel, options: dict[str, Any], config: Any, log: Log
    ) -> ConicSolution:
        if self._session is None or options != self._session_options:
            self._session, self._session_options = Session(self.backend, **options), options
        shown = log if log.is_shown else None
        solution = self._session.solve(compiled.form, shown, compiled.further)
        if solution.termination is Termination.UNBOUNDED:
            return _unbounded(self._session, solution, shown)
        return solution

    def _variables(self, compiled: CompiledModel) -> Sequence[Any]:
        return compiled.standard.variables

    def _report(
        self, results: Results, model: Any, compiled: CompiledModel, solution: ConicSolution
    ) -> None:
        condition, status = CONDITION[solution.termination], self._status(solution)
        results.solution_loader = ConicSolutionLoader(model, compiled, solution, status)
        results.termination_condition = condition
        results.solution_status = status
        results.extra_info.updated = solution.updated
        if self._session is not None:
            accepted = max(self._session.accepted)
            results.extra_info.message = explained(compiled, solution, accepted)
        if compiled.standard.has_objective and status is not SolutionStatus.noSolution:
            sense = compiled.standard.sense
            value = compiled.standard.objective.value(solution.x.tolist())
            results.incumbent_objective = value
            # A bound beyond the incumbent says no more.
            results.objective_bound = sense * min(sense * value, solution.errors.bound)

    def _status(self, solution: ConicSolution) -> SolutionStatus:
        if solution.termination is Termination.SOLVED:
            return SolutionStatus.optimal
        if self._session is None or solution.termination is not Termination.ALMOST_SOLVED:
            return SolutionStatus.noSolution
        # The solver is almost sure: its residuals say of what.
        if solution.errors.primal <= self._session.accepted.feasibility:
            return SolutionStatus.feasible
        return SolutionStatus.unknown


def _unbounded(session: Session, ray: ConicSolution, log: TextIO | None) -> ConicSolution:
    """A ray shows that no optimum exists; that there are feasible points, a second solve."""
    feasibility = replace(ray.form, P=None, q=np.zeros_like(ray.form.q))
    found = session.solve(feasibility, log)
    if found.termination is Termination.INFEASIBLE:
        return found
    proven = found.termination in (Termination.SOLVED, Termination.ALMOST_SOLVED)
    return ray if proven else replace(ray, termination=Termination.INFEASIBLE_OR_UNBOUNDED)
