"""Sessions: memory, second try, verdict; and what backends refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, TextIO

import numpy as np
import pyomo.environ as pyo
import pytest
import scipy.sparse as sp
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import InputError, ModelError, SolverError, UnknownLabelError
from rrp_pyomo.forms.conic import NONNEGATIVE, Cone, ConicBuilder, ConicForm
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.modeling import norm
from rrp_pyomo.program import Program
from rrp_pyomo.solvers.conic import clarabel as clarabel_module
from rrp_pyomo.solvers.conic import scs as scs_module
from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend
from rrp_pyomo.solvers.conic.scs import ScsBackend
from rrp_pyomo.solvers.conic.session import Refinement, Session, Tolerances
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination
from rrp_pyomo.solvers.conic.solver import ConicSolver

BACKENDS = [ClarabelBackend, ScsBackend]


def form(seed: int = 0, n: int = 5) -> ConicForm:
    """min q'x with Rx ≥ 1, ‖x‖ ≤ 10, numbers by seed: always the same pattern."""
    rng = np.random.default_rng(seed)
    builder = ConicBuilder(np.ones(n))
    places = np.indices((n, n)).reshape(2, -1)
    dense = rng.uniform(0.5, 1.5, n * n)
    builder.nonnegative(Rows(*places, dense, -np.ones(n)))
    none, at = np.zeros(0, np.intp), np.arange(n)
    bound = Rows(none, none, np.zeros(0), np.full(1, 10.0))
    builder.second_order(bound, Rows(at, at, np.ones(n), np.zeros(n)))
    return builder.build(Rows(0 * at, at, rng.uniform(0.5, 1.5, n), np.zeros(1)))


class Scripted:
    """A backend that solves by Clarabel and then ends as it is told, with one refinement.

    ``script`` has the changes of the next answers, in the order of the solves of all objects of
    this type; ``made`` counts the objects.
    """

    script: ClassVar[list[Any]] = []
    made: ClassVar[list[dict[str, object]]] = []
    refinements: ClassVar[tuple[Refinement, ...]] = (Refinement(True, {"tight": True}),)

    def __init__(self, **options: object) -> None:
        self.made.append(options)
        self._solved = 0

    @classmethod
    def limits(cls, time_limit: float | None, threads: int | None) -> dict[str, object]:
        return {} if time_limit is None else {"seconds": time_limit}

    @property
    def tolerances(self) -> Tolerances:
        return Tolerances(1e-6, 1e-6)

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        change = self.script.pop(0)
        if isinstance(change, BaseException):
            raise change
        answer = ClarabelBackend().solve(form)
        self._solved += 1
        if callable(change):
            return change(replace(answer, updated=self._solved > 1))
        return replace(answer, termination=change, updated=self._solved > 1)


@pytest.fixture
def scripted() -> type[Scripted]:
    return type("Fresh", (Scripted,), {"script": [], "made": []})


@pytest.mark.parametrize("backend", BACKENDS)
def test_options_are_checked_at_once(backend: type) -> None:
    with pytest.raises(UnknownLabelError, match="did you mean 'max_iter"):
        Session(backend, max_itr=5)
    with pytest.raises(InputError, match="expected a value of type"):
        Session(backend, verbose="loud") if backend is ClarabelBackend else Session(
            backend, max_iters="many"
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_are_updated_where_the_pattern_is_the_same(backend: type) -> None:
    session = Session(backend)
    answers = [session.solve(form(seed)) for seed in range(3)] + [session.solve(form(n=6))]
    assert [answer.updated for answer in answers] == [False, True, True, False]
    for seed in range(3):
        fresh = Session(backend).solve(form(seed))
        assert answers[seed].objective == pytest.approx(fresh.objective, rel=1e-3)


def test_a_solver_that_cannot_be_updated_is_made_anew() -> None:
    """Presolve reshapes what Clarabel has, and Clarabel then refuses new numbers."""
    session = Session(ClarabelBackend, presolve_enable=True)
    for seed in range(3):
        answer = session.solve(loose(form(seed)))
        fresh = Session(ClarabelBackend, presolve_enable=True).solve(loose(form(seed)))
        assert answer.objective == pytest.approx(fresh.objective)
        assert not answer.updated


def loose(stated: ConicForm) -> ConicForm:
    """The first row states nothing; presolve drops it."""
    return replace(stated, b=np.concatenate([[1e30], stated.b[1:]]))


def off(ending: str) -> Callable[[ConicSolution], ConicSolution]:
    """An answer that is not right, with this ending."""
    return lambda a: replace(a, termination=Termination[ending], x=a.x + 1e-3, z=a.z * 1.01)


@pytest.mark.parametrize("ending", ["SOLVED", "ALMOST_SOLVED", "STALLED", "INCONCLUSIVE", "FAILED"])
def test_where_an_answer_does_not_stand_others_try(scripted: type[Scripted], ending: str) -> None:
    """After an updated solver a new one, then the refinement; neither is kept for the next form."""
    scripted.script += [Termination.SOLVED, off(ending), off(ending), Termination.SOLVED]
    session = Session(scripted, anything=1)
    session.solve(form(0))
    answer = session.solve(form(1))
    assert answer.termination is Termination.SOLVED
    assert not answer.updated
    assert answer.form.row_scale == pytest.approx(form(1).row_scale)
    assert scripted.made == [{"anything": 1}] * 2 + [{"anything": 1, "tight": True}]
    scripted.script += [Termination.SOLVED]
    assert session.solve(form(2)).updated
    assert not scripted.script


@pytest.mark.parametrize("ending", ["SOLVED", "ALMOST_SOLVED", "STALLED", "FAILED"])
def test_what_ends_well_is_decided_by_errors(scripted: type[Scripted], ending: str) -> None:
    scripted.script += [Termination[ending], off(ending), off(ending)]
    session = Session(scripted)
    assert session.solve(form()).termination is Termination.SOLVED
    assert len(scripted.made) == 1
    worse = Session(scripted).solve(form())
    demoted = Termination.ALMOST_SOLVED if ending == "SOLVED" else Termination[ending]
    assert worse.termination is demoted
    assert worse.errors.largest > 1e-5


@pytest.mark.parametrize("part", ["x", "s", "z"])
@pytest.mark.parametrize("ending", ["SOLVED", "ITERATION_LIMIT", "FAILED"])
def test_what_is_no_number_is_no_answer(scripted: type[Scripted], part: str, ending: str) -> None:
    def answered(answer: ConicSolution) -> ConicSolution:
        nothing = np.full_like(getattr(answer, part), np.nan)
        return replace(answer, termination=Termination[ending], **{part: nothing})

    scripted.script += [answered] * 2
    assert Session(scripted).solve(form()).termination is not Termination.SOLVED


def test_the_best_of_several_tries(scripted: type[Scripted]) -> None:
    scripted.script += [off("SOLVED"), lambda a: replace(a, z=a.z * 1.001)]
    answer = Session(scripted).solve(form())
    single = ClarabelBackend().solve(form())
    assert answer.z == pytest.approx(1.001 * single.z)
    assert answer.termination is Termination.ALMOST_SOLVED
    assert answer.iterations >= 2 * single.iterations - 2


@pytest.mark.parametrize("ending", ["ITERATION_LIMIT", "TIME_LIMIT", "INTERRUPTED"])
def test_limits_are_no_reason_for_another_try(scripted: type[Scripted], ending: str) -> None:
    scripted.script += [off(ending)]
    assert Session(scripted).solve(form()).termination is Termination[ending]
    assert len(scripted.made) == 1


def test_other_tries_share_the_time_limit(scripted: type[Scripted]) -> None:
    scripted.script += [off("SOLVED"), Termination.SOLVED]
    Session(scripted, seconds=100.0).solve(form())
    first, second = (options["seconds"] for options in scripted.made)
    assert 99.0 < second < first == 100.0
    scripted.script += [off("SOLVED")]
    assert Session(scripted, seconds=1e-9).solve(form()).termination is Termination.ALMOST_SOLVED
    assert not scripted.script


@pytest.mark.parametrize("ending", ["INFEASIBLE", "UNBOUNDED"])
def test_a_false_certificate_is_none(scripted: type[Scripted], ending: str) -> None:
    """The point of an optimum as a ray, its multipliers as a combination of rows."""
    scripted.script += [Termination[ending], Termination.SOLVED]
    assert Session(scripted).solve(form()).termination is Termination.SOLVED
    scripted.script += [Termination[ending]] * 2
    assert Session(scripted).solve(form()).termination is Termination.INCONCLUSIVE


@pytest.mark.parametrize("seed", range(5))
def test_a_true_certificate_stands(seed: int) -> None:
    """x ≥ 1 and Σ x ≤ 1 for two or more; min −Σ x without a bound."""
    rng = np.random.default_rng(seed)
    n, at = int(rng.integers(2, 9)), np.arange(6)
    size = 10.0 ** rng.uniform(-4, 4)
    at = np.arange(n)
    above = Rows(at, at, np.ones(n), np.full(n, -size))
    below = Rows(0 * at, at, -np.ones(n), np.full(1, size))
    cost = Rows(0 * at, at, rng.uniform(0.5, 1.5, n) * 10.0 ** rng.uniform(-4, 4), np.zeros(1))
    for by_cone in (False, True):
        builder = ConicBuilder(np.ones(n), by_cone)
        builder.nonnegative(above)
        unbounded = Session(ClarabelBackend).solve(builder.build(cost.times(-1.0)))
        assert unbounded.termination is Termination.UNBOUNDED
        builder.nonnegative(below)
        infeasible = Session(ClarabelBackend).solve(builder.build(cost))
        assert infeasible.termination is Termination.INFEASIBLE


@pytest.mark.parametrize("seed", range(5))
def test_a_certificate_is_not_spoilt_by_what_shall_improve_it(seed: int) -> None:
    """max t with t ≤ (Sx)_i and ‖Dx‖ ≤ 1, and Dx = 0, to rounding, for an x ≥ 0."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 9))
    ray = rng.uniform(0.5, 1.5, n)
    D = rng.normal(size=(n - 1, n)) * 10.0 ** rng.uniform(-9, 0, (n - 1, 1))
    D -= np.outer(D @ ray, ray) / (ray @ ray)
    S = rng.uniform(0.1, 1.0, (n, n))
    program = Program("limit")
    x, t = program.variable("x", n, lower=0), program.variable("t")
    program.maximize(t)
    program.subject_to(least=S @ x >= t, bound=norm(D @ x) <= 1.0)
    answer = Session(ClarabelBackend, **ClarabelBackend.for_programs).solve(program.conic())
    assert answer.termination is Termination.UNBOUNDED


def test_clarabel_tries_again_where_its_scaling_has_become_wrong() -> None:
    """Rows of quite other magnitudes than the first ones: an updated Clarabel gets stuck."""
    stuck = 0
    for seed in range(20):
        first, later = unbalanced(seed), unbalanced(1000 + seed)
        updated = ClarabelBackend()
        updated.solve(first)
        stuck += updated.solve(later).termination is not Termination.SOLVED
        session = Session(ClarabelBackend)
        session.solve(first)
        answer = session.solve(later)
        assert answer.termination is Termination.SOLVED
        fresh = Session(ClarabelBackend).solve(later)
        assert answer.objective == pytest.approx(fresh.objective, rel=1e-6)
    assert stuck > 0


def unbalanced(seed: int) -> ConicForm:
    """Linear rows of magnitudes between 1e-6 and 1e6, in the solver's own units."""
    stated = form(seed)
    rows = np.concatenate([10.0 ** np.random.default_rng(seed).uniform(-6, 6, 5), np.ones(6)])
    A = stated.A.copy()
    A.data = A.data * rows[A.indices]
    return replace(stated, A=A, b=stated.b * rows, row_scale=rows, by_cone=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
def test_an_exception_ends_the_memory(scripted: type[Scripted], error: BaseException) -> None:
    scripted.script += [Termination.SOLVED, error, Termination.SOLVED]
    session = Session(scripted)
    session.solve(form())
    with pytest.raises(type(error)):
        session.solve(form())
    assert not session.solve(form()).updated
    assert len(scripted.made) == 2


# --- the verdict --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worse", "termination", "status"),
    [
        (lambda a: a, Termination.SOLVED, SolutionStatus.optimal),
        (
            lambda a: replace(a, z=a.z * 1.01),
            Termination.ALMOST_SOLVED,
            SolutionStatus.feasible,
        ),
        (
            lambda a: replace(a, x=a.x - 1e-3),
            Termination.ALMOST_SOLVED,
            SolutionStatus.unknown,
        ),
    ],
)
def test_almost_solved_is_measured(
    scripted: type[Scripted],
    worse: Callable[[ConicSolution], ConicSolution],
    termination: Termination,
    status: SolutionStatus,
) -> None:
    """Optimal is what its residuals say; feasible, what those of the constraints say."""
    scripted.script += [lambda a: worse(replace(a, termination=Termination.ALMOST_SOLVED))] * 4
    answer = Session(scripted).solve(form())
    assert answer.termination is termination
    assert (answer.errors.largest < 1e-6) == (termination is Termination.SOLVED)

    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(1, None))
    model.row = pyo.Constraint(expr=model.x >= 2)
    model.cost = pyo.Objective(expr=model.x)
    results = solver_of(scripted).solve(
        model, load_solutions=False, raise_exception_on_nonoptimal_result=False
    )
    assert results.solution_status is status
    solved = TerminationCondition.convergenceCriteriaSatisfied
    assert (results.termination_condition is solved) == (status is SolutionStatus.optimal)


def test_feasible_on_both_sides_is_not_optimal(scripted: type[Scripted]) -> None:
    """The worst point instead of the best one: only the duality gap tells."""

    def worst(answer: ConicSolution) -> ConicSolution:
        other = ClarabelBackend().solve(replace(answer.form, q=-answer.form.q))
        return replace(answer, x=other.x, s=other.s, termination=Termination.ALMOST_SOLVED)

    scripted.script += [worst] * 2
    answer = Session(scripted).solve(form())
    assert max(answer.errors.primal, answer.errors.dual) < 1e-6
    assert answer.errors.gap > 0.1
    assert answer.termination is Termination.ALMOST_SOLVED


def solver_of(scripted: type[Scripted]) -> ConicSolver:
    """A solver for Pyomo models with this backend."""

    class Solver(ConicSolver):
        backend = scripted

        def available(self) -> bool:
            return True

        def version(self) -> tuple[int, ...]:
            return (1, 0)

    return Solver()


@pytest.mark.parametrize(
    ("second", "condition"),
    [
        ("SOLVED", "unbounded"),
        ("ALMOST_SOLVED", "unbounded"),
        ("TIME_LIMIT", "infeasibleOrUnbounded"),
        ("INTERRUPTED", "infeasibleOrUnbounded"),
    ],
)
def test_a_ray_is_unbounded_only_where_a_point_is_feasible(
    scripted: type[Scripted], second: str, condition: str
) -> None:
    """What the second solve, without an objective, says."""
    asked: list[np.ndarray] = []

    def answered(answer: ConicSolution) -> ConicSolution:
        asked.append(answer.form.q)
        point = answer.x + (10.0 if condition == "infeasibleOrUnbounded" else 0.0)
        return replace(answer, x=point, termination=Termination[second], updated=False)

    scripted.script += [Termination.UNBOUNDED, answered]
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(None, 0))
    model.cost = pyo.Objective(expr=model.x)
    results = solver_of(scripted).solve(
        model, load_solutions=False, raise_exception_on_nonoptimal_result=False
    )
    assert results.termination_condition.name == condition
    assert not np.any(asked)


@pytest.mark.parametrize("backend", ["clarabel", "scs"])
def test_a_ray_of_an_infeasible_model(backend: str) -> None:
    """y ≥ x for an x that has no value: the objective y is unbounded, but there is no point."""
    model = pyo.ConcreteModel()
    model.x, model.y = pyo.Var(bounds=(1, None)), pyo.Var()
    model.row = pyo.Constraint(expr=model.x <= 0)
    model.cost = pyo.Objective(expr=model.y)
    results = SolverFactory(backend).solve(
        model, load_solutions=False, raise_exception_on_nonoptimal_result=False
    )
    assert results.termination_condition is TerminationCondition.provenInfeasible


# --- tolerances and limits ----------------------------------------------------------------------


def test_tolerances_are_those_of_the_options() -> None:
    assert Session(ClarabelBackend).tolerances == (1e-8, 1e-8)
    session = Session(ClarabelBackend, tol_feas=1e-5, tol_gap_abs=1e-4, tol_gap_rel=1e-6)
    assert session.tolerances == (1e-5, 1e-4)
    assert Session(ClarabelBackend, tol_gap_rel=1e-3).tolerances == (1e-8, 1e-3)
    assert Session(ScsBackend).tolerances == (1e-4, 1e-4)
    assert Session(ScsBackend, eps_abs=1e-9, eps_rel=1e-6).tolerances == (1e-6, 1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_limits_are_options(backend: Any) -> None:
    assert backend.limits(None, None) == {}
    session = Session(backend, **backend.limits(1e-9, 1))
    assert session.solve(form(n=200)).termination is Termination.TIME_LIMIT


# --- what backends refuse -----------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "name"), [(ClarabelBackend, "Clarabel"), (ScsBackend, "SCS")])
def test_a_cone_without_a_word_is_refused(backend: type, name: str) -> None:
    """The message names the solver and the kind; the memory is not of the refused form."""
    one = np.ones(1)
    A = sp.csc_matrix(-np.ones((1, 1)))
    stated = ConicForm(None, one, A, -one, (Cone("cubic", 1),), 0.0, one, one, 1.0, ())
    session = Session(backend)
    with pytest.raises(ModelError, match=rf"{name} has no cone of the kind 'cubic'; it takes zero"):
        session.solve(stated)
    solved = session.solve(replace(stated, cones=(Cone(NONNEGATIVE, 1),)))
    assert solved.objective == pytest.approx(1.0, abs=1e-3)


def test_new_words_of_a_solver_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(clarabel_module.TERMINATION, "Solved")
    with pytest.raises(SolverError, match=r"Clarabel \d+\.\d+.* ended with the status 'Solved'"):
        Session(ClarabelBackend).solve(form())
    monkeypatch.delitem(scs_module.TERMINATION, 1)
    with pytest.raises(SolverError, match=r"SCS \d+\.\d+.* ended with the status 'solved'"):
        Session(ScsBackend).solve(form())
