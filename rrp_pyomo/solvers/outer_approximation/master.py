"""HiGHS with the relaxation and its cuts: as a linear program, and with its integers."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import highspy
import numpy as np

from rrp_pyomo.errors import SolverError
from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.outer_approximation.relaxation import Functions, Relaxation
from rrp_pyomo.solvers.outer_approximation.threads import renew_threads

#: Bounds of integers count as whole numbers within this.
WHOLE = 1e-6

#: What rows and reduced costs may miss: two digits less than what answers may, and, where HiGHS
#: does not get there, its own.
ACCURATE, ROUGH = 1e-8, 1e-7


class Ending(Enum):
    """How a run of HiGHS ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    LIMIT = "limit"


_ENDINGS = {
    highspy.HighsModelStatus.kOptimal: Ending.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Ending.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Ending.UNBOUNDED,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: Ending.UNBOUNDED,
    highspy.HighsModelStatus.kModelEmpty: Ending.OPTIMAL,
}


class Answer(NamedTuple):
    """What HiGHS found: a lower bound on the value, and a point, if there is one."""

    ending: Ending
    bound: float
    point: FloatArray | None


class Master:
    """A model in HiGHS that rows are added to.

    Rows of the relaxation stay; cuts that are not active go where there are many.
    """

    def __init__(self, relaxation: Relaxation, integers: IntArray, threads: int) -> None:
        self._highs = highspy.Highs()
        self._integers = integers.astype(np.int32)
        self.lower, self.upper = relaxation.lower.copy(), relaxation.upper.copy()
        self.lower[integers] = np.ceil(self.lower[integers] - WHOLE)
        self.upper[integers] = np.floor(self.upper[integers] + WHOLE)
        renew_threads()
        self._set(output_flag=False, threads=threads, random_seed=0)
        self._set(small_matrix_value=1e-12)  # a cut without its small coefficients is none
        self._tolerance(ACCURATE)
        none = np.zeros(0, np.int32)
        self._highs.addCols(
            relaxation.cost.size, relaxation.cost, self.lower, self.upper, 0, none, none,
            np.zeros(0),
        )  # fmt: skip
        self.crossed = bool((self.lower > self.upper).any())
        self._cost = relaxation.cost
        self.cuts = 0
        self.add(relaxation.rows, relaxation.row_upper)
        self._fixed_rows = self._highs.getNumRow()

    def add(self, rows: Functions, top: FloatArray | None = None) -> None:
        """Rows ≥ 0, and at most ``top``."""
        if not rows.size:
            return
        G = rows.G.tocsr()
        G.sum_duplicates()
        G.eliminate_zeros()
        upper = np.full(rows.size, np.inf) if top is None else top - rows.g
        self._highs.addRows(
            rows.size, -rows.g, upper, G.nnz,
            G.indptr[:-1].astype(np.int32), G.indices.astype(np.int32), G.data,
        )  # fmt: skip
        self.cuts += 0 if top is not None else rows.size

    def bound_objective(self, value: float) -> None:
        """The row cost'v ≥ value."""
        at = np.flatnonzero(self._cost)
        self._highs.addRow(value, np.inf, at.size, at.astype(np.int32), self._cost[at])

    def restrict(self, lower: FloatArray, upper: FloatArray) -> None:
        """Bounds of the integers, from here on."""
        self._highs.changeColsBounds(self._integers.size, self._integers, lower, upper)

    def linear(self, seconds: float) -> Answer:
        """Solve the linear relaxation, from the last basis; from none where that is undecided."""
        self._set(presolve="off", solver="simplex")
        started = time.perf_counter()
        answer = self._run(seconds, integral=False)
        for tolerance in (ACCURATE, ROUGH):
            left = seconds - (time.perf_counter() - started)
            if answer.ending is not Ending.LIMIT or left <= 0.0:
                break
            self._highs.clearSolver()
            self._tolerance(tolerance)
            answer = self._run(left, integral=False)
        self._tolerance(ACCURATE)
        return answer

    def probe(self, lower: FloatArray, upper: FloatArray, basis: Any, iterations: int) -> float:
        """About what the relaxation is worth with these bounds, after a few dual iterations."""
        self.restrict(lower, upper)
        self.basis = basis
        self._set(simplex_iteration_limit=iterations)
        self._set(time_limit=np.inf)
        self._highs.run()
        self._set(simplex_iteration_limit=2**31 - 1)
        if self._highs.getModelStatus() is highspy.HighsModelStatus.kInfeasible:
            return np.inf
        return float(self._highs.getInfo().objective_function_value)

    def integral(
        self, seconds: float, nodes: int, start: FloatArray | None, stop: Callable[[], bool] | None
    ) -> Answer:
        """Solve with integers, from a point that has been found, for so many nodes at most."""
        self._set(presolve="choose", solver="choose")
        self._set(mip_max_nodes=nodes, mip_rel_gap=1e-7, mip_abs_gap=1e-9)
        self._set(mip_feasibility_tolerance=1e-7)
        kinds = np.full(self._integers.size, highspy.HighsVarType.kInteger)
        self._highs.changeColsIntegrality(self._integers.size, self._integers, kinds)
        if start is not None:
            solution = highspy.HighsSolution()
            solution.col_value = start.tolist()
            self._highs.setSolution(solution)

        def look(event: Any) -> None:
            if stop is not None and stop():
                event.interrupt()

        self._highs.cbMipInterrupt += look
        try:
            return self._run(seconds, integral=True)
        finally:
            self._highs.cbMipInterrupt -= look
            kinds = np.full(self._integers.size, highspy.HighsVarType.kContinuous)
            self._highs.changeColsIntegrality(self._integers.size, self._integers, kinds)

    @property
    def reduced_costs(self) -> FloatArray:
        """Of the integers, after a linear program."""
        costs = np.array(self._highs.getSolution().col_dual)[self._integers]
        return costs

    @property
    def basis(self) -> Any:
        """That of the last linear program."""
        return self._highs.getBasis()

    @basis.setter
    def basis(self, basis: Any) -> None:
        self._highs.setBasis(basis)

    def drop_idle(self, most: int) -> None:
        """Drop cuts that are not active in the basis, where there are more than ``most``."""
        rows = self._highs.getNumRow()
        if rows - self._fixed_rows <= most:
            return
        status = self._highs.getBasis().row_status
        idle = [
            k for k in range(self._fixed_rows, rows)
            if status[k] == highspy.HighsBasisStatus.kBasic
        ]  # fmt: skip
        if idle:
            self._highs.deleteRows(len(idle), np.array(idle, np.int32))

    def _tolerance(self, size: float) -> None:
        self._set(primal_feasibility_tolerance=size, dual_feasibility_tolerance=size)

    def _set(self, **options: object) -> None:
        for name, value in options.items():
            self._highs.setOptionValue(name, value)

    def _run(self, seconds: float, integral: bool) -> Answer:
        # HiGHS counts the time of earlier linear programs, too, but not that of trees.
        before = 0.0 if integral else self._highs.getRunTime()
        self._set(time_limit=before + max(seconds, 0.0))
        if self._highs.run() is highspy.HighsStatus.kError:
            raise SolverError(
                f"HiGHS failed on a relaxation ({self._highs.getModelStatus().name}); look at the "
                "magnitudes of the model's numbers"
            )
        ending = _ENDINGS.get(self._highs.getModelStatus(), Ending.LIMIT)
        info = self._highs.getInfo()
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        point = np.array(self._highs.getSolution().col_value) if found else None
        if integral:
            bound = float(info.mip_dual_bound)
        else:
            value = float(info.objective_function_value)
            bound = value if ending is Ending.OPTIMAL else -np.inf
        return Answer(ending, np.inf if ending is Ending.INFEASIBLE else bound, point)
