"""The Ipopt inside CasADi's wheel: how it is run, its options, and its words for how it ended."""

from __future__ import annotations

import dataclasses
import functools
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.ipopt.deferred import casadi
from rrp_pyomo.solvers.ipopt.options import check_options, one_line, version
from rrp_pyomo.solvers.ipopt.verdict import AROUND, LARGEST, Conditions, Errors
from rrp_pyomo.solvers.process import interruptible, printing_to
from rrp_pyomo.solvers.status import unknown_status

STATUS: dict[str, tuple[TerminationCondition, SolutionStatus]] = {
    word: (TerminationCondition[termination], SolutionStatus[solution])
    for word, termination, solution in (
        ("Solve_Succeeded", "convergenceCriteriaSatisfied", "optimal"),
        # A square system of equations: the feasible point is all there is to find.
        ("Feasible_Point_Found", "convergenceCriteriaSatisfied", "optimal"),
        # Nothing to decide; Ipopt is not asked.
        ("No_Variables", "convergenceCriteriaSatisfied", "optimal"),
        # Within Ipopt's loose tolerances, not within those that were asked for.
        ("Solved_To_Acceptable_Level", "convergenceCriteriaSatisfied", "feasible"),
        ("Infeasible_Problem_Detected", "locallyInfeasible", "infeasible"),
        ("Diverging_Iterates", "unbounded", "unknown"),
        ("Search_Direction_Becomes_Too_Small", "minStepLength", "unknown"),
        ("Maximum_Iterations_Exceeded", "iterationLimit", "unknown"),
        ("Maximum_CpuTime_Exceeded", "maxTimeLimit", "unknown"),
        ("Maximum_WallTime_Exceeded", "maxTimeLimit", "unknown"),
        ("User_Requested_Stop", "interrupted", "unknown"),
        ("Restoration_Failed", "error", "unknown"),
        ("Error_In_Step_Computation", "error", "unknown"),
        ("Invalid_Number_Detected", "error", "noSolution"),
        ("Not_Enough_Degrees_Of_Freedom", "error", "noSolution"),
        ("Invalid_Problem_Definition", "error", "noSolution"),
        ("Invalid_Option", "error", "noSolution"),
        ("Unrecoverable_Exception", "error", "noSolution"),
        ("NonIpopt_Exception_Thrown", "error", "noSolution"),
        ("Insufficient_Memory", "error", "noSolution"),
        ("Internal_Error", "error", "noSolution"),
    )
}
"""What each of Ipopt's return statuses means in Pyomo's terms."""


@dataclass(frozen=True, eq=False)
class NonlinearSolution:
    """Where Ipopt stopped, in the units of the problem as it was stated.

    Attributes
    ----------
    x : (n,) array
    row_multipliers : (rows,) array
    bound_multipliers : (n,) array
        λ and z of the stationarity condition ∇f(x) + ∇g(x)'λ + z = 0; positive where an upper bound
        is active, negative where a lower one is.
    objective : float
    status : str
        Ipopt's own word, such as ``"Solve_Succeeded"``.
    iterations : int
    setup_time, solve_time : float
        Seconds before and inside Ipopt.
    evaluate : callable
        Computes :attr:`conditions`, which not everybody wants.
    has_least_multipliers : bool
        Whether those of equations are not Ipopt's, which were too large to mean anything.
    """

    x: FloatArray
    row_multipliers: FloatArray
    bound_multipliers: FloatArray
    objective: float
    status: str
    iterations: int
    setup_time: float
    solve_time: float
    evaluate: Callable[[], Conditions]
    has_least_multipliers: bool = False

    def with_conditions(self, conditions: Conditions) -> NonlinearSolution:
        """The same point with other multipliers, the least ones."""
        return dataclasses.replace(
            self,
            row_multipliers=conditions.row_multipliers,
            evaluate=lambda: conditions,
            has_least_multipliers=True,
        )

    @functools.cached_property
    def conditions(self) -> Conditions:
        """The numbers in the first-order conditions there."""
        return self.evaluate()

    @functools.cached_property
    def errors(self) -> Errors:
        """By how much they are missed."""
        return self.conditions.errors()

    @property
    def termination(self) -> TerminationCondition:
        """Why Ipopt stopped, in Pyomo's terms."""
        return STATUS[self.status][0]

    @property
    def solution_status(self) -> SolutionStatus:
        """What the point is, in Pyomo's terms; an ``optimal`` one is a local optimum."""
        return STATUS[self.status][1]


@dataclass(frozen=True, eq=False)
class NonlinearProblem:
    """Minimise f(x) subject to row_lower ≤ g(x) ≤ row_upper and lower ≤ x ≤ upper.

    Attributes
    ----------
    functions : dict
        ``x``, ``f`` and ``g`` as CasADi expressions; ``p`` where they have parameters, which the
        objective and the rows are multiplied by.
    derivatives : dict
        ``grad_f``, ``jac_g`` and ``hess_lag`` as ``casadi.nlpsol`` takes them; where it is empty,
        CasADi differentiates.
    """

    functions: dict[str, Any]
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    derivatives: dict[str, Any] = field(default_factory=dict)

    def solve(
        self,
        start: FloatArray,
        options: Mapping[str, object],
        time_limit: float | None = None,
        tee: bool = False,
        scale: FloatArray | None = None,
    ) -> NonlinearSolution:
        """Run Ipopt from ``start``; never raises for an ending that is known.

        Parameters
        ----------
        scale : (1 + rows,) array, optional
            The parameters; by default such that slopes at the start are :data:`LARGEST` and 1.

        Raises
        ------
        UnknownLabelError
            No option of Ipopt has that name.
        InputError
            The option takes a value of another type or range.
        SolverError
            Ipopt ended with a word that is not known.
        KeyboardInterrupt
            As soon as Ipopt's current evaluation is over.
        """
        options = check_options(options)
        if not self.lower.size:
            return self._constant()
        began = time.perf_counter()
        if time_limit is not None:
            options["max_wall_time"] = max(float(time_limit), 1e-9)
        solver = self._solver(options, tee)
        if scale is None:
            scale = self._scale_at(solver, start)
        rows = scale[1:]
        built = time.perf_counter()
        with interruptible():
            point = solver(
                x0=start,
                p=scale[: self._parameters.size],
                lbx=self.lower,
                ubx=self.upper,
                lbg=self.row_lower * rows,
                ubg=self.row_upper * rows,
            )
        stats = solver.stats()
        if stats["return_status"] == "Invalid_Option":
            raise InputError(_refusal(options, "it does not say why"))
        if stats["return_status"] not in STATUS:
            raise unknown_status(
                "Ipopt", ".".join(map(str, version())), stats["return_status"], STATUS
            )
        x, row_multipliers, bound_multipliers = (
            np.array(point[name]).ravel() for name in ("x", "lam_g", "lam_x")
        )
        row_multipliers, bound_multipliers = (
            row_multipliers * rows / scale[0],
            bound_multipliers / scale[0],
        )
        return NonlinearSolution(
            x=x,
            row_multipliers=row_multipliers,
            bound_multipliers=bound_multipliers,
            objective=float(point["f"]) / scale[0],
            status=stats["return_status"],
            iterations=stats["iter_count"],
            setup_time=built - began,
            solve_time=time.perf_counter() - built,
            evaluate=lambda: self._conditions(solver, x, row_multipliers, bound_multipliers),
        )

    def _conditions(
        self, solver: Any, x: FloatArray, row_multipliers: FloatArray, bound_multipliers: FloatArray
    ) -> Conditions:
        """From the functions that Ipopt itself calls, which are there already."""
        f, gradient = self._objective_at(solver, x)
        g, jacobian = self._rows_at(solver, x)
        elsewhere = self._near(x)
        _, gradient_around = self._objective_at(solver, elsewhere)
        slope_around = self._rows_at(solver, elsewhere)[1].data
        return Conditions(
            x=x,
            objective=f,
            gradient=gradient,
            rows=g,
            row=jacobian.indices,
            col=np.repeat(np.arange(x.size), np.diff(jacobian.indptr)),
            slope=jacobian.data,
            gradient_around=np.where(np.isfinite(gradient_around), gradient_around, gradient),
            slope_around=np.where(np.isfinite(slope_around), slope_around, jacobian.data),
            reach=np.ones_like(x),
            row_multipliers=row_multipliers,
            bound_multipliers=bound_multipliers,
            lower=self.lower,
            upper=self.upper,
            row_lower=self.row_lower,
            row_upper=self.row_upper,
        )

    def _objective_at(self, solver: Any, x: FloatArray) -> tuple[float, FloatArray]:
        f, gradient = solver.get_function("nlp_grad_f")(x, self._parameters)
        return float(f), np.array(gradient).ravel()

    def _rows_at(self, solver: Any, x: FloatArray) -> tuple[FloatArray, Any]:
        g, jacobian = solver.get_function("nlp_jac_g")(x, self._parameters)
        return np.array(g).ravel(), jacobian.sparse()

    def _near(self, x: FloatArray) -> FloatArray:
        """Somewhere else between the bounds, in no particular direction."""
        step = np.random.default_rng(0).uniform(-1.0, 1.0, x.size)
        step = AROUND * np.maximum(1.0, np.abs(x)) * (step + np.sign(step)) / 2.0
        step = np.where((x + step < self.lower) | (x + step > self.upper), -step, step)
        return np.clip(x + step, self.lower, self.upper)

    @property
    def _parameters(self) -> FloatArray:
        return np.ones(1 + self.row_lower.size if "p" in self.functions else 0)

    def _scale_at(self, solver: Any, start: FloatArray) -> FloatArray:
        """Factors by which the objective and the rows are as steep as Ipopt likes them."""
        scale = np.ones(1 + self.row_lower.size)
        if "p" not in self.functions:
            return scale
        steepest = np.zeros_like(scale)
        with np.errstate(invalid="ignore"):
            for x in (start, self._near(start)):
                _, gradient = self._objective_at(solver, x)
                _, jacobian = self._rows_at(solver, x)
                slopes = np.abs(np.r_[gradient, jacobian.data])
                row = np.r_[np.zeros(gradient.size, np.intp), 1 + jacobian.indices]
                np.fmax.at(steepest, row, np.where(np.isfinite(slopes), slopes, 0.0))
        return np.divide(LARGEST, steepest, out=scale, where=steepest > 0.0)

    def _constant(self) -> NonlinearSolution:
        functions = self.functions
        arguments = {name: functions[name] for name in ("x", "p", "f") if name in functions}
        value = casadi.Function("f", arguments, ["x", "p"], ["f"])([], self._parameters)
        none, rows = np.zeros(0), np.zeros(self.row_lower.size)
        nowhere = np.zeros(0, np.intp)
        nothing = Conditions(
            none, float(value), none, rows, nowhere, nowhere, none, rows, none, none, none,
            self.row_lower, self.row_upper, none, none, none,
        )  # fmt: skip
        return NonlinearSolution(
            none, rows, none, float(value), "No_Variables", 0, 0.0, 0.0, lambda: nothing
        )

    def _solver(self, options: Mapping[str, object], tee: bool) -> Any:
        settings = {
            "ipopt": {"print_level": 5 if tee else 0, "sb": "yes", **options},
            "print_time": False,
            "show_eval_warnings": False,
            # CasADi would differentiate the problem once more for multipliers of parameters.
            "no_nlp_grad": True,
            "calc_lam_p": False,
            # Scalar graphs, which are differentiated three times faster than their MX form.
            "expand": not self.derivatives,
            **self.derivatives,
        }
        printed = io.StringIO()
        try:
            with printing_to(printed):
                return casadi.nlpsol("ipopt", "ipopt", self.functions, settings)
        except RuntimeError as error:
            # Ipopt prints what is wrong with an option's value; CasADi's message does not say.
            if "IpoptInterface" not in str(error):
                raise
            raise InputError(_refusal(options, one_line(printed.getvalue()))) from error


def _refusal(options: Mapping[str, object], why: str) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return f"Ipopt refuses one of the options {given}: {why}; leave it out or give another value"
