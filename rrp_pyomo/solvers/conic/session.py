"""A conic solver with memory, a second try and a verdict, for whoever has forms to solve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, NamedTuple, Protocol, TextIO

from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination

#: Endings after which a solver that starts afresh may do better.
UNDECIDED = (
    Termination.ALMOST_SOLVED,
    Termination.STALLED,
    Termination.INCONCLUSIVE,
    Termination.FAILED,
)


class Tolerances(NamedTuple):
    """What a solver was asked for, relative to the numbers in the optimality conditions."""

    feasibility: float
    gap: float


class Backend(Protocol):
    """A conic solver with its memory of the last form.

    Its options are the solver's own, by name; it checks them when it is made.
    """

    #: The options for programs, which are stated in known units.
    for_programs: ClassVar[Mapping[str, object]]

    def __init__(self, **options: object) -> None: ...

    @classmethod
    def limits(cls, time_limit: float | None, threads: int | None) -> dict[str, object]:
        """The solver's own options for limits in seconds and in threads."""

    @property
    def tolerances(self) -> Tolerances:
        """Those of its options."""

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        """Solve the form."""


class Session:
    """One conic solver for one form after the other.

    Where a form has the sparsity pattern of the last one, the solver's numbers are updated in
    place. An updated solver keeps the equilibration and the start that suited the earlier numbers:
    where it ends undecided, a new one tries again. Where an exception ends a solve, everything that
    the solver remembers is dropped.

    Parameters
    ----------
    backend : type
        Such as :class:`~rrp_pyomo.solvers.conic.clarabel.ClarabelBackend`.
    **options
        The solver's own, by name.

    Raises
    ------
    UnknownLabelError
        The solver has no option of that name.
    InputError
        The option takes a value of another type.
    SolverUnavailableError
        The solver is not installed.

    Examples
    --------
    >>> from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend
    >>> Session(ClarabelBackend, tol_feas=1e-9, max_iter=100).tolerances.feasibility
    1e-09
    """

    def __init__(self, backend: type[Backend], **options: object) -> None:
        self._type = backend
        self._options = options
        self._backend = self._new()

    @property
    def tolerances(self) -> Tolerances:
        """What an answer has to meet in order to be called solved."""
        return self._backend.tolerances

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        """Solve a form.

        Parameters
        ----------
        form : ConicForm
        log : text stream, optional
            Where the solver's log goes, line by line as it is written.

        Returns
        -------
        ConicSolution
            What a solver calls almost solved is measured from the data: where its ``errors`` meet
            the session's tolerances, its ``termination`` is ``SOLVED``.

        Raises
        ------
        ModelError
            The solver has no such cone.
        SolverError
            The solver ended with a word that is not known.
        KeyboardInterrupt
            Ctrl-C was pressed.
        """
        try:
            solution = self._judged(self._backend.solve(form, log))
            if solution.updated and solution.termination in UNDECIDED:
                self._backend = self._new()
                solution = self._judged(self._backend.solve(form, log))
        except BaseException:
            self._backend = self._new()
            raise
        return solution

    def _new(self) -> Backend:
        return self._type(**self._options)

    def _judged(self, solution: ConicSolution) -> ConicSolution:
        if solution.termination is not Termination.ALMOST_SOLVED:
            return solution
        errors, (feasibility, gap) = solution.errors, self.tolerances
        if max(errors.primal, errors.dual) <= feasibility and errors.gap <= gap:
            return replace(solution, termination=Termination.SOLVED)
        return solution
