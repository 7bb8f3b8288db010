"""Ipopt's answers judged: second tries, what stands, and what is said of what does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.ipopt.embedded import STATUS, NonlinearSolution
from rrp_pyomo.solvers.ipopt.problem import Run, Statement
from rrp_pyomo.solvers.ipopt.verdict import Errors

#: What an answer may miss; as many times what Ipopt was asked for in any case.
ACCEPTED, FACTOR = 1e-6, 10.0

#: Bounds and rows as they are stated, and what can be had of digits.
STRICT: Mapping[str, Any] = {"bound_relax_factor": 0.0, "nlp_scaling_method": "none", "tol": 1e-10}
#: For the apex of a cone: slacks that vanish with the gradient must not be moved by much.
TIGHTEST: Mapping[str, Any] = {**STRICT, "slack_move": 2e-14, "tol": 1e-12}
#: For equations that say the same: MUMPS finds them, and Ipopt leaves them out.
INDEPENDENT: Mapping[str, Any] = {"dependency_detector": "mumps"}

#: Who gives one of these wants the numbers as they are stated.
SCALING = (
    "nlp_scaling_method",
    "nlp_scaling_max_gradient",
    "nlp_scaling_obj_target_gradient",
    "nlp_scaling_constr_target_gradient",
    "nlp_scaling_min_value",
    "obj_scaling_factor",
)

#: Endings at a point that may be good enough, whatever Ipopt thinks of it.
POINTS = (
    "Solve_Succeeded",
    "Feasible_Point_Found",
    "Solved_To_Acceptable_Level",
    "Search_Direction_Becomes_Too_Small",
    "Restoration_Failed",
    "Error_In_Step_Computation",
)
#: Those that say that the point is a solution.
SOLVED = ("Solve_Succeeded", "Feasible_Point_Found")

#: Ipopt as somebody wants it to be run: which problem, options, seconds, start, factors.
Runner = Callable[
    [Run, Mapping[str, Any], "float | None", "FloatArray | None", "FloatArray | None"],
    NonlinearSolution,
]


@dataclass(frozen=True, eq=False)
class Answer:
    """Where Ipopt stopped and what that is worth.

    Attributes
    ----------
    solution : NonlinearSolution
    termination : TerminationCondition
    solution_status : SolutionStatus
    message : str
        Why the solution does not stand, and what may help; empty where the status says it all.
    iterations : int
    setup_time, solve_time : float
        Of all tries.
    """

    solution: NonlinearSolution
    termination: TerminationCondition
    solution_status: SolutionStatus
    message: str = ""
    iterations: int = 0
    setup_time: float = 0.0
    solve_time: float = 0.0

    @property
    def status(self) -> str:
        """Ipopt's own word."""
        return self.solution.status


class Session:
    """One model's tries.

    Parameters
    ----------
    statement : Statement
    options : mapping
        Ipopt's, as they were given; they go before those of second tries.
    time_limit : float or None
        Seconds for all tries.
    runner : callable
    """

    def __init__(
        self,
        statement: Statement,
        options: Mapping[str, Any],
        time_limit: float | None,
        runner: Runner,
    ) -> None:
        self._statement = statement
        self._options = dict(options)
        self._limit = time_limit
        self._runner = runner
        self._began = time.perf_counter()
        self._tries: list[NonlinearSolution] = []
        self._as_stated = np.ones(1 + len(statement.rows))
        self._accepted = max(ACCEPTED, FACTOR * float(self._options.get("tol", 0.0)))

    def answer(self) -> Answer:
        """Ipopt's answer where it stands, else the best one of some."""
        first = self._run(self._statement.run, self._options, None)
        if first.status == "Diverging_Iterates":
            return self._diverged(first)
        if self._excess(first) <= 1.0 or not (
            first.status in POINTS or self._is_feasible_after_all(first)
        ):
            return self._judged(first)
        again = [first]
        # Whoever starts at a point and ends at a worse one has not found what was to be refined.
        off = FACTOR * first.errors.largest * first.conditions.size
        worst = first.conditions.objective + off
        for defaults, start, scale in self._second_tries(again):
            if self._is_over:
                break
            options = {**defaults, **self._options}
            if "tol" in defaults:
                options["tol"] = min(defaults["tol"], options["tol"])
            found = self._run(self._statement.run, options, start, scale)
            if found.conditions.objective <= worst:
                again.append(found)
            if self._excess(again[-1]) <= 1.0:
                break
        return self._judged(min(again, key=self._excess))

    @property
    def _is_over(self) -> bool:
        return self._limit is not None and time.perf_counter() - self._began >= self._limit

    def _run(
        self,
        run: Run,
        options: Mapping[str, Any],
        start: FloatArray | None,
        scale: FloatArray | None = None,
    ) -> NonlinearSolution:
        left = self._limit
        if left is not None:
            left -= time.perf_counter() - self._began
        if any(name in SCALING for name in self._options):
            scale = self._as_stated
        found = self._runner(run, options, left, start, scale)
        if found.status in POINTS and found.conditions.are_ambiguous:
            found = found.with_conditions(found.conditions.with_least_multipliers())
        self._tries.append(found)
        return found

    def _second_tries(
        self, found: list[NonlinearSolution]
    ) -> Iterator[tuple[Mapping[str, Any], FloatArray | None, FloatArray | None]]:
        """Options, starts and factors; what has been found grows from try to try."""
        if found[0].has_least_multipliers:
            yield INDEPENDENT, None, None
            yield {**INDEPENDENT, **STRICT}, None, None
        yield STRICT, found[0].x, found[-1].conditions.scale
        yield TIGHTEST, found[-1].x, found[-1].conditions.scale
        yield STRICT, None, found[-1].conditions.scale
        yield STRICT, found[0].x, self._as_stated
        yield TIGHTEST, found[0].x, self._as_stated

    def _is_feasible_after_all(self, found: NonlinearSolution) -> bool:
        """Whether Ipopt ended at a feasible point and says that there is none."""
        says_so = found.status == "Infeasible_Problem_Detected"
        return says_so and found.errors.primal <= self._accepted

    def _excess(self, found: NonlinearSolution) -> float:
        """How many times what is accepted the errors of a point are."""
        if found.status not in POINTS:
            return np.inf
        errors = found.errors
        # A square system has no multipliers, and needs none.
        worst = errors.primal if found.status == "Feasible_Point_Found" else errors.largest
        return worst / self._accepted if np.isfinite(worst) else np.inf

    def _judged(self, found: NonlinearSolution) -> Answer:
        condition, status = STATUS[found.status]
        if found.status not in POINTS or not found.x.size:
            return self._as(found, condition, status)
        if self._excess(found) <= 1.0:
            return self._as(found, *STATUS["Solve_Succeeded"])
        feasible = found.errors.primal <= self._accepted
        status = SolutionStatus.feasible if feasible else SolutionStatus.unknown
        if found.status in SOLVED:
            condition = TerminationCondition.unknown
        return self._as(found, condition, status, self._explained(found.errors))

    def _diverged(self, found: NonlinearSolution) -> Answer:
        """What is unbounded has a feasible point, and far out better ones without end."""
        unknown = SolutionStatus.unknown
        numbers = found.conditions
        improves = numbers.objective < -self._accepted * numbers.size
        if not self._is_over:
            inside = self._run(self._statement.run_for_feasibility, self._options, None)
            if inside.status == "Infeasible_Problem_Detected":
                return self._as(found, *STATUS[inside.status])
            feasible = inside.status in POINTS and inside.errors.primal <= self._accepted
            if improves and feasible and found.errors.primal <= self._accepted:
                return self._as(found, TerminationCondition.unbounded, unknown)
            if inside.status in POINTS and not self._is_over:
                nearer = self._run(self._statement.run, self._options, inside.x)
                if nearer.status in POINTS:
                    return self._judged(nearer)
        message = (
            "the iterates diverge, and no feasible point has been found that shows that the "
            "objective is unbounded; give variables bounds or values to start at"
        )
        return self._as(found, TerminationCondition.infeasibleOrUnbounded, unknown, message)

    def _as(
        self,
        found: NonlinearSolution,
        condition: TerminationCondition,
        status: SolutionStatus,
        message: str = "",
    ) -> Answer:
        return Answer(
            found,
            condition,
            status,
            message,
            iterations=sum(t.iterations for t in self._tries),
            setup_time=sum(t.setup_time for t in self._tries),
            solve_time=sum(t.solve_time for t in self._tries),
        )

    def _explained(self, errors: Errors) -> str:
        missed, name = [], self._statement.component
        if not errors.primal <= self._accepted:
            missed.append(
                f"{name(errors.primal_at)} is violated by {errors.primal:.1g} of its terms"
            )
        if not errors.dual <= self._accepted:
            missed.append(
                f"the multipliers miss stationarity by {errors.dual:.1g} at {name(errors.dual_at)}"
            )
        if not errors.gap <= self._accepted:
            missed.append(
                f"the distances from bounds are worth {errors.gap:.1g} of the objective, most of "
                f"it that of {name(errors.gap_at)}"
            )
        return (
            f"{' and '.join(missed)}, where {self._accepted:.0e} is accepted; choose units of "
            "variables, constraints and the objective in which their numbers are closer to 1"
        )
