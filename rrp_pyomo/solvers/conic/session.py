"""A conic solver with memory, second tries and a verdict, for whoever has forms to solve."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, TextIO

import numpy as np

from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination
from rrp_pyomo.solvers.conic.verdict import reach_of_infeasibility, reach_of_unboundedness

#: Endings after which another try may do better.
UNDECIDED = (
    Termination.ALMOST_SOLVED,
    Termination.STALLED,
    Termination.INCONCLUSIVE,
    Termination.FAILED,
)

# Endings at a point, and those after which nobody wants to go on.
_LIMITS = (Termination.ITERATION_LIMIT, Termination.TIME_LIMIT)
_POINTS = (
    Termination.SOLVED,
    Termination.ALMOST_SOLVED,
    Termination.STALLED,
    Termination.FAILED,
    *_LIMITS,
)

# Endings with a certificate.
_CERTIFIED = (Termination.INFEASIBLE, Termination.UNBOUNDED)

#: What an answer may miss; as many times what its solver was asked for in any case.
ACCEPTED, FACTOR = 1e-6, 10.0

#: How many times the accepted gap something else is.
Check = Callable[[ConicSolution, float], float]

#: How large points and multipliers are taken to be at most, in multiples of the constants and the
#: coefficients of the objective: certificates of infeasibility and unboundedness are proofs up to
#: there.
REACH = 1e8


class Tolerances(NamedTuple):
    """What a solver was asked for, relative to the numbers in the optimality conditions."""

    feasibility: float
    gap: float


class Refinement(NamedTuple):
    """Another try: with rows rescaled by cone or as they are, and with other options."""

    rescaled: bool
    options: Mapping[str, object]


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

    @property
    def refinements(self) -> Sequence[Refinement]:
        """What may do better where an answer does not stand, one after the other."""

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        """Solve the form."""


class _Try(NamedTuple):
    """An answer, and how many times what is wanted it misses."""

    answer: ConicSolution
    excess: float


class Session:
    """One conic solver for one form after the other.

    Where a form has the sparsity pattern of the last one, the solver's numbers are updated in
    place. Every answer is judged by its errors, computed from the data, and every certificate by
    how far it reaches. Where it does not stand, others try: a new solver, because an updated one
    keeps the equilibration and the start that suited the earlier numbers, and then the refinements
    of the backend. Where an exception ends a solve, everything that the solver remembers is
    dropped.

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
        """What the solver is asked for."""
        return self._backend.tolerances

    def solve(
        self, form: ConicForm, log: TextIO | None = None, further: Check | None = None
    ) -> ConicSolution:
        """Solve a form.

        Parameters
        ----------
        form : ConicForm
        log : text stream, optional
            Where the solver's log goes, line by line as it is written.
        further : function of ConicSolution and the accepted gap, optional
            How many times the latter something else is; another try may do better, but it decides
            nothing.

        Returns
        -------
        ConicSolution
            Its ``termination`` is ``SOLVED`` where its ``errors`` are at most those of
            :attr:`accepted`, and only there, whatever the solver says; among several tries that do
            not get there it is the best one.

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
            return self._best(form, log, further)
        except BaseException:
            self._backend = self._new()
            raise

    @cached_property
    def accepted(self) -> Tolerances:
        """The largest errors of an answer that is called solved."""
        return Tolerances(*(max(ACCEPTED, FACTOR * asked) for asked in self.tolerances))

    def _best(self, form: ConicForm, log: TextIO | None, further: Check | None) -> ConicSolution:
        start, tries = time.perf_counter(), list[_Try]()
        for answer in self._tries(form, log, start):
            answer = replace(answer, form=form, resolution=self.accepted.feasibility)
            tries.append(self._judged(answer, further))
            if tries[-1].excess <= 1.0:
                break
            if answer.termination in _LIMITS and not answer.updated:
                break
        answers = [t.answer for t in tries]
        if len(answers) == 1:
            return self._chosen(tries)
        return replace(
            self._chosen(tries),
            iterations=sum(answer.iterations for answer in answers),
            setup_time=sum(answer.setup_time for answer in answers),
            solve_time=sum(answer.solve_time for answer in answers),
        )

    def _judged(self, answer: ConicSolution, further: Check | None) -> _Try:
        """The answer with what its errors, or the reach of its certificate, make of it."""
        ending = answer.termination
        if ending in _CERTIFIED:
            if ending is Termination.INFEASIBLE:
                reach = reach_of_infeasibility(answer.form, answer.scaled_multipliers)
            else:
                ray = answer.scaled_point, answer.scaled_slacks
                reach = reach_of_unboundedness(answer.form, *ray)
            return _Try(answer, REACH / reach if reach > 0.0 else np.inf)
        if ending not in _POINTS:
            return _Try(answer, np.inf if ending in UNDECIDED else 0.0)
        excess = self._excess(answer)
        if excess <= 1.0 and further is not None:
            excess = max(excess, further(answer, self.accepted.gap))
        return _Try(answer, excess if np.isfinite(excess) else np.inf)

    def _excess(self, answer: ConicSolution) -> float:
        """How many times what is accepted the errors of a point are."""
        errors, (feasibility, gap) = answer.errors, self.accepted
        return max(errors.primal / feasibility, errors.dual / feasibility, errors.gap / gap)

    def _chosen(self, tries: list[_Try]) -> ConicSolution:
        """The best answer, with the ending that it proves."""
        if tries[-1].excess <= 1.0 and tries[-1].answer.termination not in _POINTS:
            return tries[-1].answer
        points = [t for t in tries if t.answer.termination in _POINTS and t.excess < np.inf]
        if points:
            best = min(points, key=lambda t: t.excess).answer
            ending = best.termination
            if self._excess(best) <= 1.0:
                ending = Termination.SOLVED
            elif ending is Termination.SOLVED:
                ending = Termination.ALMOST_SOLVED
            return best if ending is best.termination else replace(best, termination=ending)
        claims = [t.answer for t in tries if t.answer.termination in _CERTIFIED]
        if claims:
            return replace(claims[0], termination=Termination.INCONCLUSIVE)
        first = tries[0].answer
        if first.termination in (Termination.SOLVED, Termination.ALMOST_SOLVED):  # at no number
            return replace(first, termination=Termination.FAILED)
        return first

    def _tries(self, form: ConicForm, log: TextIO | None, start: float) -> Iterator[ConicSolution]:
        """Answers, one better founded than the other, as long as there is time for them."""
        first = self._backend.solve(form, log)
        yield first
        if first.updated:
            self._backend = self._new()
            yield self._backend.solve(form, log)
        for rescaled, options in self._backend.refinements:
            remaining = self._remaining(time.perf_counter() - start)
            if remaining is None:
                return
            backend = self._type(**{**self._options, **options, **remaining})
            yield backend.solve(form.rescaled() if rescaled else form, log)

    def _remaining(self, elapsed: float) -> dict[str, object] | None:
        """The option for what is left of the time limit, if there is one; None without any left."""
        (name,) = self._type.limits(1.0, None)
        limit: Any = self._options.get(name)
        if limit is None:
            return {}
        return self._type.limits(limit - elapsed, None) if limit > elapsed else None

    def _new(self) -> Backend:
        return self._type(**self._options)
