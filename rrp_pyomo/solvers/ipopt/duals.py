"""Ipopt's answer in the terms of the Pyomo model."""

from __future__ import annotations

from typing import Any

from pyomo.contrib.solver.solvers.asl_sol_reader import ASLSolFileData, ASLSolFileSolutionLoader

from rrp_pyomo.solvers.ipopt.embedded import NonlinearSolution
from rrp_pyomo.solvers.ipopt.problem import Statement
from rrp_pyomo.solvers.pyomo_solver import KernelSuffixes


class IpoptSolutionLoader(KernelSuffixes, ASLSolFileSolutionLoader):  # type: ignore[misc]
    """Values, duals and reduced costs by component.

    With f the objective as it is stated, λ and z Ipopt's multipliers and the sense σ = 1 to
    minimise, −1 to maximise, duals are −σλ and reduced costs −σz, so that

        ∇f = Σ dual ∇body + reduced costs:

    the dual of an active lower bound is nonnegative when minimising, as everywhere in Pyomo. Values
    of variables that the .nl writer has eliminated are computed from the others.
    """

    def __init__(self, model: Any, statement: Statement, solution: NonlinearSolution) -> None:
        data = ASLSolFileData()
        sign = -1.0 if statement.sense >= 0.0 else 1.0
        data.primals = solution.x.tolist()
        data.duals = (sign * solution.row_multipliers).tolist()
        data.var_suffixes["rc"] = dict(enumerate((sign * solution.bound_multipliers).tolist()))
        super().__init__(data, statement.info, model)
