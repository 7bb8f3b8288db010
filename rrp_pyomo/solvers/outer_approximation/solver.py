"""Outer approximation for Pyomo models: mixed-integer cones by HiGHS above Clarabel."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pyomo.common.config import ConfigValue, document_configdict
from pyomo.contrib.solver.common.base import Availability
from pyomo.contrib.solver.common.config import BranchAndBoundConfig
from pyomo.contrib.solver.common.results import Results, SolutionStatus
from pyomo.contrib.solver.common.util import NoDualsError, NoReducedCostsError

from rrp_pyomo.errors import SolverUnavailableError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend
from rrp_pyomo.solvers.conic.compile import CompiledModel, compile_model
from rrp_pyomo.solvers.conic.results import CONDITION, ConicSolutionLoader
from rrp_pyomo.solvers.conic.solution import Termination
from rrp_pyomo.solvers.conic.solver import ConicSolver
from rrp_pyomo.solvers.outer_approximation.options import Settings, read_settings
from rrp_pyomo.solvers.process import interruptible
from rrp_pyomo.solvers.pyomo_solver import Log, declare_without_solution, registered
from rrp_pyomo.solvers.reading.standard_form import read_model

INTEGERS = (
    "a model with integers has no multipliers; fix them at their values, and solve with 'clarabel'"
)


@document_configdict()
class OuterApproximationConfig(BranchAndBoundConfig):  # type: ignore[misc]
    """Pyomo's configuration of a mixed-integer solver, and whether it starts at values."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        declare_without_solution(self)
        self.warmstart_discrete_vars: bool = self.declare(
            "warmstart_discrete_vars",
            ConfigValue(
                default=False,
                domain=bool,
                description="Whether the values of the integer variables are tried first.",
            ),
        )


@registered("outer_approximation", doc="Mixed-integer cones by HiGHS above Clarabel")
class OuterApproximation(ConicSolver):
    """Convex mixed-integer conic models of Pyomo, kernel or environ, to proved optimality.

    Linear relaxations by HiGHS (https://highs.dev) bound the optimum from one side; Clarabel solves
    the cones where the integers have values, which bounds it from the other side, and its
    multipliers are the linear cuts that the relaxations are refined by. The search ends where the
    two meet within ``rel_gap`` (1e-6, relative to the objective) or ``abs_gap`` (1e-9).

    It takes what Clarabel takes, and integer and binary variables. ``solver_options`` are
    ``rel_gap``, ``abs_gap``, ``node_limit``, ``max_iterations`` (rounds) and ``search``
    (``"tree"``, ``"rounds"`` or ``"auto"``); ``rel_gap``, ``abs_gap``, ``time_limit``,
    ``threads`` and ``warmstart_discrete_vars`` are Pyomo's. Models without integers are Clarabel's.

    ``objective_bound`` is proved. ``extra_info`` has ``gap`` (relative), ``iterations``, ``nodes``
    and ``cuts``. At a limit, the best point so far is ``feasible``.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from rrp_pyomo.solvers.outer_approximation import OuterApproximation
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(domain=pyo.Integers, bounds=(0, 10))
    >>> m.y = pyo.Var(domain=pyo.Integers, bounds=(0, 10))
    >>> m.disc = pyo.Constraint(expr=m.x**2 + m.y**2 <= 20.25)
    >>> m.most = pyo.Objective(expr=2 * m.x + m.y, sense=pyo.maximize)
    >>> results = OuterApproximation().solve(m)
    >>> results.solution_status.name, m.x.value, m.y.value
    ('optimal', 4.0, 2.0)
    """

    CONFIG = OuterApproximationConfig()
    backend = ClarabelBackend

    def available(self) -> Availability:
        """Whether HiGHS is here, as the Python package highspy."""
        found = importlib.util.find_spec("highspy") is not None
        return Availability.FullLicense if found else Availability.NotFound

    def version(self) -> tuple[int, ...]:
        """The version of HiGHS."""
        found = importlib.metadata.version("highspy")
        return tuple(int(part) for part in found.split(".")[:3])

    def _options(self, config: Any) -> dict[str, Any]:
        given = {name: getattr(config, name) for name in ("rel_gap", "abs_gap", "time_limit")}
        settings = read_settings(config.solver_options.value(), threads=config.threads, **given)
        return {"settings": settings, "start": config.warmstart_discrete_vars}

    def _compile(self, model: Any, config: Any) -> CompiledModel:
        if self.available() is Availability.NotFound:
            raise SolverUnavailableError(
                "solver 'outer_approximation' needs HiGHS, which is not installed here; to "
                "install it: pip install highspy"
            )
        return compile_model(read_model(model, integers=True))

    def _run(self, compiled: CompiledModel, options: dict[str, Any], config: Any, log: Log) -> Any:
        settings: Settings = options["settings"]
        integers = compiled.standard.integers
        if not integers.size:
            limits = ClarabelBackend.limits(settings.time_limit, None)
            return super()._run(compiled, limits, config, log)
        from rrp_pyomo.solvers.outer_approximation.search import Search  # needs HiGHS

        start = _values(compiled.standard.variables, integers) if options["start"] else None
        with interruptible() as interrupted:
            return Search(compiled.form, integers, settings, log, start, interrupted).run()

    def _report(self, results: Results, model: Any, compiled: CompiledModel, solution: Any) -> None:
        if not compiled.standard.integers.size:
            super()._report(results, model, compiled, solution)
            return
        results.extra_info.message = solution.message
        results.extra_info.nodes, results.extra_info.cuts = solution.nodes, solution.cuts
        ending, status = solution.termination, _status(solution)
        results.termination_condition = CONDITION[ending]
        results.solution_status = status
        results.solution_loader = MixedIntegerLoader(model, compiled, solution, status)
        if not compiled.standard.has_objective:
            return
        sense = compiled.standard.sense
        if np.isfinite(solution.bound) or status is SolutionStatus.feasible:
            results.objective_bound = sense * solution.bound
        if status in (SolutionStatus.optimal, SolutionStatus.feasible):
            value = compiled.standard.objective.value(solution.x.tolist())
            results.incumbent_objective = value
            bound = min(solution.bound, sense * value)
            results.objective_bound = sense * bound
            results.extra_info.gap = (sense * value - bound) / max(1e-10, abs(value))


class MixedIntegerLoader(ConicSolutionLoader):
    """Values, and no multipliers: those of the cones are about fixed integers."""

    _solution: Any

    def get_duals(self, cons_to_load: Sequence[Any] | None = None) -> dict[Any, Any]:
        """Raise that there are none.

        Raises
        ------
        NoDualsError
            Always.
        """
        raise NoDualsError(INTEGERS)

    def get_reduced_costs(self, vars_to_load: Sequence[Any] | None = None) -> Mapping[Any, float]:
        """Raise that there are none.

        Raises
        ------
        NoReducedCostsError
            Always.
        """
        raise NoReducedCostsError(INTEGERS)

    def get_infeasibility_certificate(self) -> tuple[dict[Any, Any], Mapping[Any, float]]:
        """Multipliers that prove the model infeasible without its integers, where it is.

        Raises
        ------
        NoDualsError
            It is feasible without them, or the solver ended otherwise.
        """
        continuous = self._solution.continuous
        if continuous is None or continuous.form is not self._compiled.form:
            raise NoDualsError("There is no certificate of infeasibility: " + INTEGERS)
        relaxed = ConicSolutionLoader(
            self._pyomo_model, self._compiled, continuous, SolutionStatus.noSolution
        )
        return relaxed.get_infeasibility_certificate()


def _status(solution: Any) -> SolutionStatus:
    rays = Termination.UNBOUNDED, Termination.INFEASIBLE_OR_UNBOUNDED
    if solution.x is None or solution.termination in rays:
        return SolutionStatus.noSolution
    optimal = solution.termination is Termination.SOLVED
    return SolutionStatus.optimal if optimal else SolutionStatus.feasible


def _values(variables: Sequence[Any], integers: Any) -> FloatArray | None:
    """The integers' values, where all have one."""
    values = [variables[k].value for k in integers]
    return None if any(value is None for value in values) else np.array(values, float)
