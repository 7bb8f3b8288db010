"""Cuts are nonnegative on the whole cone, and enough of them are as good as the cone."""

from __future__ import annotations

import numpy as np
import pytest

from rrp_pyomo.forms.conic import ConicBuilder, ConicForm
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend
from rrp_pyomo.solvers.conic.session import Session
from rrp_pyomo.solvers.outer_approximation.cuts import at_point, from_multipliers, separating
from rrp_pyomo.solvers.outer_approximation.master import Ending, Master
from rrp_pyomo.solvers.outer_approximation.relaxation import relax

NONE = np.zeros(0, np.intp)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def unit_rows(*columns: int) -> Rows:
    k = len(columns)
    return Rows(np.arange(k), np.array(columns), np.ones(k), np.zeros(k))


def constant(*values: float) -> Rows:
    return Rows(NONE, NONE, np.zeros(0), np.array(values))


def of_cone(kind: str) -> tuple[ConicBuilder, int]:
    """A builder with variables that are the members of one cone, and how many they are."""
    sizes = {
        "second order": 4,
        "flat": 2,
        "product": 5,
        "single": 3,
        "swapped": 4,
        "semidefinite": 4,
    }
    n = sizes.get(kind, 3)
    builder = ConicBuilder(np.ones(n), by_cone=True)
    x = [unit_rows(k) for k in range(n)]
    match kind:
        case "second order":
            builder.second_order(x[0], unit_rows(1, 2, 3))
        case "flat":
            builder.second_order(x[0], x[1])
        case "product":
            builder.product(x[0].times(3.0), x[1], unit_rows(2, 3, 4))
        case "single":
            builder.product(x[0], x[1].times(0.2), x[2])
        case "swapped":
            builder.product(x[0], constant(1.0), unit_rows(1, 2, 3))
        case "exponential":
            builder.exponential(*x)
        case "power":
            builder.power(*x, 0.3)
        case "semidefinite":
            builder.semidefinite(unit_rows(0, 1, 2, 3), 2)
    return builder, n


KINDS = (
    "second order", "flat", "product", "single", "swapped", "exponential", "power", "semidefinite",
)  # fmt: skip


def inside(kind: str, u: np.ndarray) -> np.ndarray:
    """A point of the cone for any numbers, on its rim where the last one is 0."""
    *u, more = u
    more = abs(more)
    match kind:
        case "second order":
            return np.array([np.linalg.norm(u[:3]) + more, *u[:3]])
        case "flat":
            return np.array([abs(u[0]) + more, u[0]])
        case "product":
            a = abs(u[0]) + 0.1
            return np.array([a, (np.sum(np.square(u[1:4])) + more) / (3 * a), *u[1:4]])
        case "single":
            a = abs(u[0]) + 0.1
            return np.array([a, (u[1] ** 2 + more) / (0.2 * a), u[1]])
        case "swapped":
            return np.array([np.sum(np.square(u[:3])) + more, *u[:3]])
        case "exponential":
            y = abs(u[1]) + 0.1
            return np.array([u[0], y, y * np.exp(u[0] / y) + more])
        case "power":
            a, b = abs(u[0]), abs(u[1])
            return np.array([a, b, (a**0.3 * b**0.7) * np.cos(more)])
    B = np.array(u[:2])
    S = np.outer(B, B) + more * np.eye(2)
    return S.ravel()


def form_of(kind: str, cost: np.ndarray, box: float = 5.0) -> ConicForm:
    builder, n = of_cone(kind)
    identity = unit_rows(*range(n))
    builder.nonnegative(identity._replace(constant=np.full(n, box)))
    builder.nonnegative(identity.times(-1.0)._replace(constant=np.full(n, box)))
    return builder.build(Rows(np.zeros(n, np.intp), np.arange(n), cost, np.zeros(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_cuts_are_nonnegative_on_the_cone(kind, rng):
    builder, _ = of_cone(kind)
    form = builder.build(Rows(NONE, NONE, np.zeros(0), np.zeros(1)))
    relaxation = relax(form)
    rim = [inside(kind, rng.normal(size=6) * [1, 1, 1, 1, 1, 0]) for _ in range(30)]
    points = rim + [inside(kind, rng.normal(size=6)) for _ in range(30)]
    outside = rng.normal(size=(30, relaxation.cost.size))
    slacks = [form.b - form.A @ x for x in rim]
    multipliers = rng.normal(size=(30, form.b.size))  # in no dual cone
    cuts = [
        *(at_point(relaxation, x, s) for x, s in zip(rim, slacks, strict=True)),
        *(from_multipliers(relaxation, x, z) for x, z in zip(rim, multipliers, strict=True)),
        *(separating(relaxation, v, 1e-9) for v in outside),
    ]
    assert sum(c.size for c in cuts) > 30 or kind == "flat"
    for x in points:
        v = relaxation.lifted(x)
        size = max(1.0, np.abs(v).max())
        assert min(c.at(v).min(initial=0.0) for c in cuts) >= -1e-11 * size
        assert relaxation.rows.at(v).min(initial=0.0) >= -1e-12 * size


@pytest.mark.parametrize("kind", KINDS)
def test_cuts_at_the_solution_are_worth_the_cone(kind, rng):
    """The tangents at the optimum, and those of its multipliers, each bound the objective."""
    for _ in range(5):
        form = form_of(kind, rng.normal(size=of_cone(kind)[1]))
        answer = Session(ClarabelBackend, **ClarabelBackend.for_programs).solve(form)
        value = (answer.objective - form.constant) * form.objective_scale
        relaxation = relax(form)
        x, s, z = answer.scaled_point, answer.scaled_slacks, answer.scaled_multipliers
        master = Master(relaxation, NONE, 1)
        master.add(from_multipliers(relaxation, x, z))
        assert master.linear(np.inf).bound == pytest.approx(value, abs=2e-5)
        master.add(at_point(relaxation, x, s))
        assert master.linear(np.inf).bound <= value + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_separating_cuts_find_the_optimum(kind, rng):
    form = form_of(kind, rng.normal(size=of_cone(kind)[1]))
    value = Session(ClarabelBackend).solve(form).objective
    relaxation = relax(form)
    master = Master(relaxation, NONE, 1)
    for _ in range(100):
        answer = master.linear(np.inf)
        assert answer.ending is Ending.OPTIMAL
        assert answer.point is not None
        cuts = separating(relaxation, answer.point, 1e-8)
        if not cuts.size:
            break
        assert (cuts.at(answer.point) < 0.0).all()
        master.add(cuts)
    assert form.objective(answer.bound) == pytest.approx(value, abs=1e-5)


def test_infeasible_integers_are_cut_off():
    """The multipliers that prove integers infeasible leave no point of the relaxation there."""
    builder = ConicBuilder(np.ones(3), by_cone=True)
    builder.second_order(constant(1.0), unit_rows(0, 1))
    builder.nonnegative(unit_rows(0)._replace(constant=np.array([-0.8])))
    builder.nonnegative(unit_rows(1)._replace(constant=np.array([-0.8])))
    form = builder.build(Rows(NONE, NONE, np.zeros(0), np.zeros(1)))
    answer = Session(ClarabelBackend).solve(form)
    relaxation = relax(form)
    master = Master(relaxation, NONE, 1)
    master.add(from_multipliers(relaxation, np.zeros(3), answer.scaled_multipliers))
    assert master.linear(np.inf).ending is Ending.INFEASIBLE
