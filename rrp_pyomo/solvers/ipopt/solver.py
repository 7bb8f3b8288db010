"""Ipopt for Pyomo models, from CasADi's wheel: no executable, no compiler."""

from __future__ import annotations

import contextlib
import datetime
import time
from typing import Any

from pyomo.common.config import ConfigDict, ConfigValue, In, document_configdict
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.common.timing import HierarchicalTimer
from pyomo.contrib.solver.common.base import Availability, SolverBase
from pyomo.contrib.solver.common.config import SolverConfig
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import (
    Results,
    SolutionStatus,
    get_infeasible_results,
)
from pyomo.contrib.solver.common.solution_loader import NoSolutionSolutionLoader
from pyomo.contrib.solver.common.util import NoFeasibleSolutionError, NoOptimalSolutionError
from pyomo.core.staleflag import StaleFlagManager
from pyomo.repn.plugins.nl_writer import NLWriter

from rrp_pyomo.solvers.conic.errors import NonlinearModelError
from rrp_pyomo.solvers.conic.solver import Log
from rrp_pyomo.solvers.ipopt import embedded
from rrp_pyomo.solvers.ipopt.embedded import NonlinearSolution
from rrp_pyomo.solvers.ipopt.extract import read_quadratic
from rrp_pyomo.solvers.ipopt.loader import IpoptSolutionLoader
from rrp_pyomo.solvers.ipopt.nl import read_nl
from rrp_pyomo.solvers.ipopt.statement import Statement

ROUTES = ("auto", "quadratic", "nl")


@document_configdict()
class CasadiIpoptConfig(SolverConfig):  # type: ignore[misc]
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


@SolverFactory.register("casadi_ipopt", doc="Ipopt, embedded in the Python package casadi")
class CasadiIpopt(SolverBase):  # type: ignore[misc]
    """Ipopt (https://coin-or.github.io/Ipopt) for smooth models of Pyomo, kernel or environ.

    Models whose functions are at most quadratic go to Ipopt as sparse matrices with exact
    derivatives, others through Pyomo's .nl writer and CasADi's differentiation. Ipopt starts at the
    variables' values. ``solver_options`` are Ipopt's options by name, such as ``{"tol": 1e-10}``.

    What Ipopt calls optimal is a local optimum: no better point is near. It is the global one where
    the model is convex. ``objective_bound`` is therefore always None. A point that only meets
    Ipopt's loose tolerances (``Solved_To_Acceptable_Level``) is reported as feasible, not optimal.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var(initialize=1.0)
    >>> model.y = pyo.Var(initialize=1.0)
    >>> model.rosenbrock = pyo.Objective(expr=(1 - model.x)**2 + 100 * (model.y - model.x**2)**2)
    >>> results = CasadiIpopt().solve(model)
    >>> round(model.x.value, 6), round(model.y.value, 6)
    (1.0, 1.0)
    """

    CONFIG = CasadiIpoptConfig()

    def available(self) -> Availability:
        """CasADi, whose wheel carries Ipopt, is a dependency of this package."""
        return Availability.FullLicense

    def version(self) -> tuple[int, ...]:
        """The version of the embedded Ipopt."""
        return embedded.version()

    def solve(self, model: Any, **kwds: Any) -> Results:
        """Solve a model of ``pyomo.environ`` or ``pyomo.kernel``.

        Parameters
        ----------
        model : block
        **kwds
            Pyomo's solver configuration, such as ``time_limit``, ``tee``, ``load_solutions`` and
            ``solver_options``, and those of :class:`CasadiIpoptConfig`.

        Returns
        -------
        Results
            ``extra_info`` has Ipopt's ``status`` in its own words, ``iterations`` and the ``route``
            taken; ``timing_info`` has ``compile_time``, ``setup_time`` and ``solve_time`` in
            seconds.

        Raises
        ------
        IncompatibleModelError
            Ipopt cannot represent the model; nothing was solved.
        UnknownLabelError, InputError
            An option has a name that Ipopt does not know, or a value that it does not take.
        NoOptimalSolutionError
            Ipopt found no optimum and ``raise_exception_on_nonoptimal_result`` is set, as it is by
            default. Values of variables are untouched.
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
        options = config.solver_options.value()
        embedded.check_options(options)
        StaleFlagManager.mark_all_as_stale()
        log = Log(config.tee)
        config.timer.start("compile")
        try:
            statement, route = self._read(model, config)
        except InfeasibleConstraintException as error:
            config.timer.stop("compile")
            results = get_infeasible_results(model, self, config, str(error))
        else:
            compile_time = time.perf_counter() - start
            config.timer.stop("compile")
            config.timer.start("solve")
            with contextlib.redirect_stdout(log):  # where CasADi writes to
                solution = statement.run(options, config.time_limit, True)
            config.timer.stop("solve")
            results = self._results(model, statement, solution, config)
            results.extra_info.route = route
            results.timing_info.compile_time = compile_time
        results.solver_log = log.getvalue()
        results.timing_info.start_timestamp = start_timestamp
        results.timing_info.wall_time = time.perf_counter() - start
        results.timing_info.timer = config.timer
        return results

    def _read(self, model: Any, config: CasadiIpoptConfig) -> tuple[Statement, str]:
        if config.route != "nl":
            try:
                return read_quadratic(model), "quadratic"
            except NonlinearModelError:
                if config.route == "quadratic":
                    raise
        return read_nl(model, config), "nl"

    def _results(
        self, model: Any, statement: Statement, solution: NonlinearSolution, config: Any
    ) -> Results:
        status = solution.solution_status
        results = Results()
        results.solution_loader = (
            NoSolutionSolutionLoader(model, f"Ipopt ended with the status {solution.status!r}.")
            if status is SolutionStatus.noSolution
            else IpoptSolutionLoader(model, statement, solution)
        )
        results.termination_condition = solution.termination
        results.solution_status = status
        results.solver_name = self.name
        results.solver_version = self.version()
        results.solver_config = config
        results.extra_info.status = solution.status
        results.extra_info.iterations = solution.iterations
        results.timing_info.setup_time = solution.setup_time
        results.timing_info.solve_time = solution.solve_time
        usable = status in (SolutionStatus.optimal, SolutionStatus.feasible)
        if usable and statement.sense:
            results.incumbent_objective = statement.objective(solution)
        if status is not SolutionStatus.optimal and config.raise_exception_on_nonoptimal_result:
            raise NoOptimalSolutionError(
                f"{self.name} ended with the status {solution.status!r}, not with an optimal "
                "solution. Solve with raise_exception_on_nonoptimal_result=False and "
                "load_solutions=False to look at the results"
            )
        if config.load_solutions:
            if not usable:
                raise NoFeasibleSolutionError()
            results.solution_loader.load_solution()
        return results
