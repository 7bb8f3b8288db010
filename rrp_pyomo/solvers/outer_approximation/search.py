"""The search for the best integers: relaxations by HiGHS, cones and cuts by Clarabel."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple, TextIO

import numpy as np

from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend
from rrp_pyomo.solvers.conic.session import Session
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination
from rrp_pyomo.solvers.outer_approximation.branching import Branching, Child
from rrp_pyomo.solvers.outer_approximation.cuts import at_point, from_multipliers, separating
from rrp_pyomo.solvers.outer_approximation.fixing import Fixing
from rrp_pyomo.solvers.outer_approximation.master import WHOLE, Answer, Ending, Master
from rrp_pyomo.solvers.outer_approximation.options import Settings
from rrp_pyomo.solvers.outer_approximation.relaxation import Functions, Relaxation, relax
from rrp_pyomo.solvers.outer_approximation.solution import MixedIntegerSolution, Progress

#: By how much a point may miss a cone before it is cut off: at the root, at a node whose integers
#: are not whole yet, and where they are.
AT_ROOT, AT_NODE, AT_WHOLE = 1e-7, 1e-5, 1e-7

#: How often a point of the root's relaxation is cut off, and one of a node's.
ROOT_ROUNDS, NODE_ROUNDS = 40, 2

#: What is too little gained, relative to the bound, for another round.
LITTLE = 1e-5

#: How many cuts that are not active are kept.
MOST_CUTS = 400

#: After how many nodes HiGHS looks for whole numbers in the relaxation as it is then, which it does
#: again whenever there are twice as many; in which share of the time, and for how many nodes.
FIRST_LOOK, SHARE, LOOK_NODES = 100, 0.1, 10

#: Up to how many integers the tree is this package's own.
LARGEST_TREE = 200

UNBOUNDED = (
    "without its integers the model has no bound on the objective that could be proved; give the "
    "variables bounds that follow from the model"
)

_POINT = Termination.SOLVED, Termination.ALMOST_SOLVED


class _Leaf(NamedTuple):
    """What integers are worth, whether that is certain, and the cuts that say so."""

    value: float
    is_decided: bool
    cuts: Functions


class _Stop(Exception):  # noqa: N818  as StopIteration, it is no error
    """A limit was reached."""

    def __init__(self, termination: Termination, message: str = "") -> None:
        self.termination = termination
        self.message = message


class Search:
    """One search; :meth:`run` does it.

    Parameters
    ----------
    form : ConicForm
    integers : array
        Columns of the form that are integers, in units of 1.
    settings : Settings
    log : text stream, optional
    start : array, optional
        Integers to try first.
    interrupted : callable, optional
        Whether Ctrl-C was pressed.
    """

    def __init__(
        self,
        form: ConicForm,
        integers: IntArray,
        settings: Settings,
        log: TextIO | None = None,
        start: FloatArray | None = None,
        interrupted: Callable[[], bool] | None = None,
    ) -> None:
        self._began = time.perf_counter()
        self._form = form
        self._integers = integers
        self._settings = settings
        self._log = log
        self._start = start
        self._interrupted = interrupted
        self._fixing = Fixing(form, integers)
        self._session = Session(ClarabelBackend, **ClarabelBackend.for_programs)
        self._relaxation: Relaxation = relax(form)
        self._master = Master(self._relaxation, integers, settings.threads)
        self._nowhere = np.full(self._fixing.free.size, np.nan)
        self._seen: dict[tuple[float, ...], _Leaf] = {}
        self._value = np.inf
        self._best: FloatArray | None = None
        self._answer: ConicSolution | None = None
        self._left = np.inf  # the least value of what was given up undecided, or cut off by the gap
        self._bound = -np.inf
        self._iterations = self._nodes = 0
        self._progress = Progress(form, log)

    def run(self) -> MixedIntegerSolution:
        """Search until the gap is closed or a limit is reached."""
        root = Session(ClarabelBackend, **ClarabelBackend.for_programs).solve(self._form)
        setup = time.perf_counter() - self._began
        if root.termination is Termination.INFEASIBLE:
            return self._ended(root.termination, root, setup)
        if root.termination is Termination.UNBOUNDED:
            return self._unbounded(root, setup)
        try:
            self._search(root)
        except _Stop as stop:
            return replace(self._ended(stop.termination, self._answer, setup), message=stop.message)
        if self._best is not None and self._bound >= self._cutoff:
            return self._ended(Termination.SOLVED, self._answer, setup)
        if self._best is None and self._bound == np.inf:
            return self._ended(Termination.INFEASIBLE, None, setup)
        return self._ended(Termination.ALMOST_SOLVED, self._answer, setup)

    # --- what both ways share -------------------------------------------------------------------

    def _search(self, root: ConicSolution) -> None:
        if self._master.crossed:
            self._bound = np.inf
            return
        self._progress.head()
        if root.termination in _POINT:
            self._add(at_point(self._relaxation, root.scaled_point, root.scaled_slacks))
            z = root.scaled_multipliers
            self._add(from_multipliers(self._relaxation, root.scaled_point, z))
        if self._start is not None:
            lower, upper = self._limits
            self._leaf(np.clip(np.round(self._start), lower, upper))
        way = self._settings.search
        small = self._integers.size <= LARGEST_TREE
        if way == "rounds" or (way == "auto" and (self._relaxation.is_exact or not small)):
            self._rounds(root)
        else:
            self._tree(root)

    @property
    def _limits(self) -> tuple[FloatArray, FloatArray]:
        return self._master.lower[self._integers], self._master.upper[self._integers]

    def _cut_root(self, root: ConicSolution) -> Answer:
        """Cut points of the linear relaxation off until hardly any misses a cone."""
        answer = self._linear()
        if answer.ending is Ending.UNBOUNDED and root.termination is Termination.SOLVED:
            # Its cuts bound the objective to rounding only, which is not enough for HiGHS.
            floor = (root.errors.bound - self._form.constant) * self._form.objective_scale
            self._master.bound_objective(floor - 1e-6 * max(1.0, abs(floor)))
            answer = self._linear()
        for _ in range(ROOT_ROUNDS):
            if answer.point is None or not self._add(
                separating(self._relaxation, answer.point, AT_ROOT)
            ):
                break
            answer = self._linear()
        if answer.ending in (Ending.LIMIT, Ending.UNBOUNDED):
            raise _Stop(Termination.STALLED, UNBOUNDED)
        self._bound = max(self._bound, answer.bound)
        return answer

    def _linear(self) -> Answer:
        self._iterations += 1
        answer = self._master.linear(self._seconds)
        if answer.ending is Ending.LIMIT:
            self._check_limits()
        return answer

    def _leaf(self, values: FloatArray) -> _Leaf:
        """What these integers are worth; cuts that say so are added."""
        key = tuple(values.tolist())
        if key in self._seen:
            return self._seen[key]
        if self._relaxation.rules_out(self._fixing.whole(self._nowhere, values)):
            none = self._relaxation.rows[np.zeros(0, np.intp)]
            self._seen[key] = _Leaf(np.inf, True, none)
            return self._seen[key]
        answer = self._session.solve(self._fixing.at(values))
        relaxation, ending = self._relaxation, answer.termination
        x = self._fixing.whole(answer.scaled_point, values)
        cuts = from_multipliers(relaxation, x, answer.scaled_multipliers)
        value = np.inf
        if ending in _POINT and answer.errors.primal <= self._session.accepted.feasibility:
            cuts = cuts.above(at_point(relaxation, x, answer.scaled_slacks))
            value = (answer.objective - self._form.constant) * self._form.objective_scale
            if value < self._value:
                self._value, self._best, self._answer = value, x, answer
                self._report("*")
        decided = ending in (Termination.SOLVED, Termination.INFEASIBLE)
        leaf = self._seen[key] = _Leaf(value, decided, cuts)
        self._add(cuts)
        return leaf

    def _add(self, cuts: Functions) -> bool:
        self._master.add(cuts)
        return bool(cuts.size)

    @property
    def _cutoff(self) -> float:
        """What nothing has to be better than."""
        if self._best is None:
            return np.inf
        stated = abs(self._form.objective(self._value))
        settings = self._settings
        gap = max(settings.abs_gap, settings.rel_gap * stated) * self._form.objective_scale
        return self._value - gap

    @property
    def _seconds(self) -> float:
        limit = self._settings.time_limit
        return np.inf if limit is None else limit - (time.perf_counter() - self._began)

    def _check_limits(self) -> None:
        if self._interrupted is not None and self._interrupted():
            raise _Stop(Termination.INTERRUPTED)
        if self._seconds <= 0.0:
            raise _Stop(Termination.TIME_LIMIT)
        if self._nodes >= self._settings.node_limit:
            raise _Stop(Termination.ITERATION_LIMIT)

    # --- rounds: HiGHS searches, cuts follow ----------------------------------------------------

    def _rounds(self, root: ConicSolution) -> None:
        answer = self._cut_root(root)
        if answer.ending is Ending.INFEASIBLE:
            self._bound = np.inf
            return
        for _ in range(self._settings.max_iterations):
            self._check_limits()
            self._iterations += 1
            start = None if self._best is None else self._relaxation.lifted(self._best)
            nodes = min(self._settings.node_limit, 2**31 - 1)
            answer = self._master.integral(self._seconds, nodes, start, self._interrupted)
            self._bound = max(self._bound, answer.bound)
            if answer.ending is Ending.INFEASIBLE:
                self._bound = self._value if self._best is not None else np.inf
                return
            if answer.point is None:
                self._check_limits()
                raise _Stop(Termination.STALLED)
            values = np.round(answer.point[self._integers])
            before = len(self._seen)
            leaf = self._leaf(values)
            self._report(" ")
            if self._bound >= self._cutoff:
                return
            further = separating(self._relaxation, answer.point, AT_WHOLE)
            if not self._add(further) and len(self._seen) == before:
                self._left = min(self._left, self._bound if not leaf.is_decided else np.inf)
                return
        raise _Stop(Termination.ITERATION_LIMIT)

    # --- the tree: one linear program, cuts wherever integers are whole -------------------------

    def _tree(self, root: ConicSolution) -> None:
        answer = self._cut_root(root)
        if answer.ending is Ending.INFEASIBLE:
            self._bound = np.inf
            return
        branching = Branching(self._master, self._integers)
        waiting: list[tuple[float, int, Child]] = []
        next_one: Child | None = Child(answer.bound, *self._limits)
        count, look = 0, FIRST_LOOK
        while next_one is not None or waiting:
            node = next_one or heapq.heappop(waiting)[2]
            next_one = None
            least = min(node.bound, waiting[0][0] if waiting else np.inf)
            self._bound = max(self._bound, min(least, self._left, self._value))
            if node.bound >= self._cutoff:
                self._left = min(self._left, node.bound)
                continue
            self._check_limits()
            self._nodes += 1
            if self._nodes == look:
                look *= 2
                self._look_around()
            children = self._children(node, branching)
            for child in children[1:]:
                count += 1
                heapq.heappush(waiting, (child.bound, count, child))
            next_one = children[0] if children else None
            self._master.drop_idle(MOST_CUTS)
            self._report(" ", len(waiting))
        self._bound = max(self._bound, min(self._left, self._value))

    def _look_around(self) -> None:
        """What HiGHS, with its heuristics and cuts, finds in the relaxation."""
        self._master.restrict(*self._limits)
        start = None if self._best is None else self._relaxation.lifted(self._best)
        seconds = min(self._seconds, SHARE * (time.perf_counter() - self._began))
        answer = self._master.integral(seconds, LOOK_NODES, start, self._interrupted)
        if answer.point is not None:
            self._cut_whole(np.round(answer.point[self._integers]), answer.point)

    def _children(self, node: Child, branching: Branching) -> list[Child]:
        """Solve a node; the nodes below it, the one to look at next first."""
        self._master.restrict(node.lower, node.upper)
        for answer in self._cut_node(node, branching):
            if answer.ending is not Ending.OPTIMAL:
                if answer.ending is not Ending.INFEASIBLE:  # nothing is known but what was before
                    self._left = min(self._left, node.bound)
                return []
            if answer.bound >= self._cutoff:
                self._left = min(self._left, answer.bound)
                return []
        assert answer.point is not None
        x = answer.point[self._integers]
        if _is_whole(x):
            if (node.lower == node.upper).all():
                if not self._leaf(np.round(x)).is_decided:
                    self._left = min(self._left, answer.bound)
                return []
            return branching.around(node, np.round(x), answer.bound)
        lower, upper = branching.tightened(node, x, self._cutoff - answer.bound)
        return branching.children(Child(answer.bound, lower, upper), x, self._value)

    def _cut_node(self, node: Child, branching: Branching) -> Iterator[Answer]:
        """Relaxations of a node, each with more cuts than the last."""
        answer = self._linear()
        branching.learn(node, answer.bound)
        rounds = 0
        while True:
            yield answer
            assert answer.point is not None
            x, before = answer.point[self._integers], answer.bound
            if whole := _is_whole(x):
                if not self._cut_whole(np.round(x), answer.point):
                    return
                if (node.lower == node.upper).all():
                    return
            else:
                rounds += 1
                cuts = separating(self._relaxation, answer.point, AT_NODE)
                if rounds > NODE_ROUNDS or not self._add(cuts):
                    return
            answer = self._linear()
            if not whole and answer.bound - before < LITTLE * max(1e-3, abs(before)):
                rounds = NODE_ROUNDS

    def _cut_whole(self, x: FloatArray, point: FloatArray) -> bool:
        """Add what cuts off a point with whole numbers; whether there was anything to add."""
        known = len(self._seen)
        leaf = self._leaf(x)
        added = len(self._seen) > known
        if not added:  # its cuts may have been dropped meanwhile
            missed = np.flatnonzero(leaf.cuts.at(point) < -AT_WHOLE)
            added = self._add(leaf.cuts[missed])
        return self._add(separating(self._relaxation, point, AT_WHOLE)) or added

    def _report(self, mark: str, waiting: int = 0) -> None:
        self._progress.line(mark, self._nodes, waiting, self._bound, self._value, self._master.cuts)

    # --- endings --------------------------------------------------------------------------------

    def _unbounded(self, ray: ConicSolution, setup: float) -> MixedIntegerSolution:
        """The relaxation has no bound; whether there are feasible integers, another search says."""
        form = replace(self._form, P=None, q=np.zeros_like(self._form.q))
        other = Search(
            form, self._integers, self._settings, self._log, self._start, self._interrupted
        )
        found = other.run()
        if found.termination is Termination.INFEASIBLE or found.x is None:
            return found
        assert other._best is not None
        fixed = self._session.solve(self._fixing.at(other._best[self._integers]))
        x = ray.x
        if fixed.termination is Termination.UNBOUNDED:
            x = np.zeros(self._form.q.size)
            x[self._fixing.free] = fixed.x
        elif not self._relaxation.is_exact:  # where it is, rational data have a whole ray, too
            ended = self._ended(Termination.INFEASIBLE_OR_UNBOUNDED, fixed, setup)
            return replace(ended, x=x, message=UNBOUNDED)
        return replace(self._ended(Termination.UNBOUNDED, fixed, setup), x=x)

    def _ended(
        self, termination: Termination, answer: ConicSolution | None, setup: float
    ) -> MixedIntegerSolution:
        found = self._best is not None
        solution = MixedIntegerSolution(
            form=self._form,
            x=None if self._best is None else self._best * self._form.column_scale,
            objective=self._form.objective(self._value) if found else np.nan,
            bound=self._form.objective(min(self._bound, self._value)),
            termination=termination,
            status=termination.value,
            continuous=answer,
            iterations=self._iterations,
            nodes=self._nodes,
            cuts=self._master.cuts,
            setup_time=setup,
            solve_time=time.perf_counter() - self._began - setup,
        )
        self._report("=")
        return solution


def _is_whole(x: FloatArray) -> bool:
    return bool((np.abs(x - np.round(x)) <= WHOLE).all())
