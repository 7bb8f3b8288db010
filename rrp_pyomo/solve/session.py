"""Solving one program after the other with solvers that remember."""

from __future__ import annotations

from typing import Any

from rrp_pyomo.errors import InfeasibleError, SolverError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.program import Program
from rrp_pyomo.solve.table import find_solver
from rrp_pyomo.solvers.conic.session import Session
from rrp_pyomo.solvers.conic.solution import Termination


class ProgramSession:
    """A solver for each name of a program, whose numbers are updated from one to the next.

    An updated solver keeps the equilibration of the first data that it saw, and its answers depend
    on them in their last digits: a run that must be reproducible starts with a new session.

    Parameters
    ----------
    solver : str
        A conic solver of the table.
    **options
        The solver's own, by name.

    Attributes
    ----------
    remarks : list of str
        What was unusual since somebody last cleared it.
    """

    def __init__(self, solver: str = "clarabel", **options: Any) -> None:
        self.remarks: list[str] = []
        self._backend = find_solver(solver).backend()
        self._options = options
        self._sessions: dict[str, Session] = {}

    def solve(self, program: Program) -> dict[str, FloatArray]:
        """The solution by variable name.

        Raises
        ------
        InfeasibleError
            There is none.
        SolverError
            The solver did not find one.
        """
        if program.name not in self._sessions:
            self._sessions[program.name] = Session(self._backend, **self._options)
        compiled = program.reduced()
        answer = self._sessions[program.name].solve(compiled.form)
        if answer.termination is Termination.INFEASIBLE:
            raise InfeasibleError(f"{program.name} has no solution")
        if answer.termination is Termination.ALMOST_SOLVED:
            self.remarks.append(f"{program.name} ended with {answer.status!r}")
        elif answer.termination is not Termination.SOLVED:
            raise SolverError(f"{program.name} ended with {answer.status!r}")
        return program.values(compiled.point(answer.x))
