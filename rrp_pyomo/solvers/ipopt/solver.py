"""Ipopt for Pyomo models, from CasADi's wheel: no executable, no compiler."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyomo.common.config import ConfigDict, ConfigValue, In, document_configdict
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.contrib.solver.common.base import Availability
from pyomo.contrib.solver.common.results import (
    Results,
    SolutionStatus,
    TerminationCondition,
)
from pyomo.contrib.solver.common.solution_loader import NoSolutionSolutionLoader
from pyomo.repn.plugins.nl_writer import NLWriter

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.endings import contradiction
from rrp_pyomo.solvers.ipopt.deferred import has_casadi, require_casadi
from rrp_pyomo.solvers.ipopt.duals import IpoptSolutionLoader
from rrp_pyomo.solvers.ipopt.embedded import NonlinearSolution
from rrp_pyomo.solvers.ipopt.nl import read_nl
from rrp_pyomo.solvers.ipopt.options import check_options, version
from rrp_pyomo.solvers.ipopt.problem import Run, Statement
from rrp_pyomo.solvers.ipopt.read_quadratic import read_quadratic
from rrp_pyomo.solvers.ipopt.session import Answer, Session
from rrp_pyomo.solvers.options import require_one_thread
from rrp_pyomo.solvers.process import printing_to
from rrp_pyomo.solvers.pyomo_solver import Log, PyomoSolver, PyomoSolverConfig, registered
from rrp_pyomo.solvers.reading.errors import NonlinearModelError

NEARBY = (
    "near where Ipopt started, no point satisfies {} and the others; that is no proof: start "
    "elsewhere, or let 'clarabel' look for one where the model is convex"
)
ROUTES = ("auto", "quadratic", "nl")
SEQUENTIAL = "the embedded Ipopt, whose MUMPS is sequential,"
MORE_THREADS = (
    "leave it out, use an ipopt executable whose linear solver has threads, or set "
    "OMP_NUM_THREADS before Python starts for one that 'hsllib' or 'pardisolib' names"
)


@document_configdict()
class CasadiIpoptConfig(PyomoSolverConfig):
    """Pyomo's solver configuration, and how the model gets to Ipopt."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.route: str = self.declare(
            "route",
            ConfigValue(
                default="auto",
                domain=In(ROUTES),
                description="'quadratic': as matrices, for models that are at most quadratic; "
                "'nl': through Pyomo's .nl writer; 'auto': the first where it applies.",
            ),
        )
        self.writer_config: ConfigDict = self.declare("writer_config", NLWriter.CONFIG())
        # Constraints that the writer presolves have no duals, on the one route but not the other.
        self.writer_config.linear_presolve = False


@registered("casadi_ipopt", doc="Ipopt, embedded in the Python package casadi")
class CasadiIpopt(PyomoSolver):
    """Ipopt (https://coin-or.github.io/Ipopt) for smooth models of Pyomo, kernel or environ.

    Models whose functions are at most quadratic go to Ipopt as sparse matrices with exact
    derivatives, others through Pyomo's .nl writer and CasADi's differentiation. Ipopt starts at the
    variables' values. ``solver_options`` are Ipopt's options by name, such as ``{"tol": 1e-10}``.

    What Ipopt calls optimal meets the first-order conditions of a local optimum. It is the global
    one where every function is convex as it is written. A cone as ``x**2 <= r**2`` is not: at its
    apex, where the gradient of the constraint vanishes, values are right to 2e-5 only.
    ``objective_bound`` is therefore always None; ``extra_info.route`` says which way the model
    went. Objective and rows are balanced before Ipopt gets them, unless an option for scaling is
    given, so that answers do not depend on what they are multiplied by. An answer that does not
    stand in the model's own numbers is tried again, and is not called optimal where none does;
    ``extra_info.message`` says why.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from rrp_pyomo.solvers.ipopt import CasadiIpopt
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var(initialize=1.0)
    >>> model.y = pyo.Var(initialize=1.0)
    >>> model.f = pyo.Objective(expr=(1 - model.x) ** 2 + 100 * (model.y - model.x**2) ** 2)
    >>> results = CasadiIpopt().solve(model)
    >>> round(model.x.value, 6), round(model.y.value, 6)
    (1.0, 1.0)
    """

    CONFIG = CasadiIpoptConfig()

    def available(self) -> Availability:
        """Whether CasADi is here, whose wheel carries Ipopt."""
        return Availability.FullLicense if has_casadi() else Availability.NotFound

    def version(self) -> tuple[int, ...]:
        """The version of the embedded Ipopt."""
        return version()

    def _options(self, config: Any) -> dict[str, Any]:
        require_casadi()
        require_one_thread(SEQUENTIAL, config.threads, MORE_THREADS)
        return check_options(config.solver_options.value())

    def _run(
        self, compiled: tuple[Statement, str], options: dict[str, Any], config: Any, log: Log
    ) -> Answer:
        def runner(
            run: Run,
            options: Mapping[str, Any],
            limit: float | None,
            start: FloatArray | None,
            scale: FloatArray | None,
        ) -> NonlinearSolution:
            return _logged(run, options, limit, start, scale, log)

        return Session(compiled[0], options, config.time_limit, runner).answer()

    def _compile(self, model: Any, config: CasadiIpoptConfig) -> tuple[Statement, str]:
        statement, route = self._read(model, config)
        for component in (*statement.info.variables, *statement.info.constraints):
            lower, upper = component.lb, component.ub
            if lower is not None and upper is not None and lower > upper:
                raise InfeasibleConstraintException(
                    f"{component.name!r} has the bounds {lower} and {upper}, which cross"
                )
        return statement, route

    def _read(self, model: Any, config: CasadiIpoptConfig) -> tuple[Statement, str]:
        if config.route != "nl":
            try:
                return read_quadratic(model), "quadratic"
            except NonlinearModelError:
                if config.route == "quadratic":
                    raise
        return read_nl(model, config), "nl"

    def _variables(self, compiled: tuple[Statement, str]) -> Sequence[Any]:
        variables: Sequence[Any] = compiled[0].info.variables
        return variables

    def _report(
        self,
        results: Results,
        model: Any,
        compiled: tuple[Statement, str],
        solution: Answer,
    ) -> None:
        statement, results.extra_info.route = compiled
        results.extra_info.message = solution.message
        worst = solution.solution.errors.primal_at
        if solution.termination is TerminationCondition.locallyInfeasible and worst >= 0:
            # Which row is violated depends on how Ipopt weighs them: what opposes it is named, too.
            rows = [worst, *solution.solution.conditions.held_by]
            results.extra_info.message = contradiction(NEARBY, map(statement.part, rows))
        status = solution.solution_status
        results.solution_loader = (
            NoSolutionSolutionLoader(model, f"Ipopt ended with the status {solution.status!r}.")
            if status is SolutionStatus.noSolution
            else IpoptSolutionLoader(model, statement, solution.solution)
        )
        results.termination_condition = solution.termination
        results.solution_status = status
        if status in (SolutionStatus.optimal, SolutionStatus.feasible) and statement.sense:
            results.incumbent_objective = statement.objective(solution.solution)


def _logged(
    run: Run,
    options: Mapping[str, Any],
    limit: float | None,
    start: FloatArray | None,
    scale: FloatArray | None,
    log: Log,
) -> NonlinearSolution:
    if log.is_shown:
        with printing_to(log):
            return run(options, limit, True, start, scale)
    # Nobody looks on: a file takes the log, and the standard output is not needed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "ipopt.log"
        level = options.get("print_level", 5)
        to_file = {"output_file": str(file), "file_print_level": level}
        solution = run({**to_file, **options, "print_level": 0}, limit, False, start, scale)
        if file.exists():
            log.write(file.read_text(encoding="utf-8", errors="replace"))
    return solution
