"""Solvers that a backtest keeps from window to window."""

from __future__ import annotations

from rrp_pyomo.errors import InfeasibleError, SolverError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Program
from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend
from rrp_pyomo.solvers.conic.solution import Termination


class Solvers:
    """One Clarabel object for each problem, whose numbers are updated from window to window.

    An updated solver keeps the equilibration of the first data that it saw. Its answers depend on
    them in their last digits: a run that must be reproducible starts with new solvers. And where
    (12) is almost infeasible it may not come to an end, while a new solver does.

    Attributes
    ----------
    remarks : list of str
        What was unusual since somebody last cleared it.
    """

    def __init__(self) -> None:
        self.remarks: list[str] = []
        self._backends: dict[str, ClarabelBackend] = {}

    def solve(self, program: Program) -> dict[str, FloatArray]:
        """The solution by variable name.

        Raises
        ------
        InfeasibleError
            There is none.
        SolverError
            Clarabel did not find one.
        """
        form = program.conic()
        backend = self._backends.setdefault(program.name, ClarabelBackend())
        answer = backend.solve(form)
        if answer.termination not in (Termination.SOLVED, Termination.INFEASIBLE):
            backend = self._backends[program.name] = ClarabelBackend()
            answer = backend.solve(form)
        if answer.termination is Termination.INFEASIBLE:
            raise InfeasibleError(f"{program.name} has no solution")
        if answer.termination is Termination.ALMOST_SOLVED:
            self.remarks.append(f"Clarabel ended with {answer.status!r}")
        elif answer.termination is not Termination.SOLVED:
            raise SolverError(f"Clarabel ended with {answer.status!r} on {program.name}")
        return program.values(answer.x)
