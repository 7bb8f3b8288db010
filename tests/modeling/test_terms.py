"""Every term against cvxpy's: its values, and as part of objectives and constraints, with duals."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.errors import InfeasibleError, InputError, ModelError
from rrp_pyomo.modeling import abs as abs_
from rrp_pyomo.modeling import (
    cvar,
    entropy,
    exp,
    geometric_mean,
    log,
    log_sum_exp,
    maximum,
    norm,
    positive,
    power,
    quad_over_lin,
    relative_entropy,
    square,
    sum_squares,
)
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

LABELS = ["a", "b", "c", "d"]
N = len(LABELS)
RNG = np.random.default_rng(3)
A, B = RNG.normal(size=(2, N, N))
R = RNG.normal(size=(9, N))
SHIFT, COST = RNG.normal(size=(2, N))
WEIGHTS = np.array([0.5, 2.0, 1.0, 0.25])
SLOPES = np.array([3.0, 0.1, 1.0, 2.0])
#: Scenarios with probabilities that are multiples of one, so that repeating them is the same.
TIMES = np.array([1, 2, 1, 3, 1, 1, 2, 1, 1])
REPEATED = np.repeat(R, TIMES, axis=0)


class Case(NamedTuple):
    """A term of ours, of cvxpy's, and whether it is convex."""

    ours: Callable[[Any], Any]
    peer: Callable[[Any], Any]
    convex: bool = True


def worst_of(losses: Any, alpha: float) -> Any:
    """CVaR as a minimum over a; cvxpy's own takes whole numbers of scenarios only."""
    a = cp.Variable()
    return a + cp.sum(cp.pos(losses - a)) / (alpha * losses.size)


CASES = {
    "norm": Case(lambda x: norm(A @ x + SHIFT), lambda x: cp.norm(A @ x + SHIFT)),
    "norm of parts": Case(
        lambda x: norm(A @ x, x - 1, x.sum()),
        lambda x: cp.norm(cp.hstack([A @ x, x - 1, cp.sum(x)])),
    ),
    "norm 1": Case(lambda x: norm(A @ x + SHIFT, 1), lambda x: cp.norm1(A @ x + SHIFT)),
    "norm inf": Case(lambda x: norm(A @ x + SHIFT, np.inf), lambda x: cp.norm_inf(A @ x + SHIFT)),
    "norm 1 of parts": Case(
        lambda x: norm(A @ x, x - 1, p=1), lambda x: cp.norm1(cp.hstack([A @ x, x - 1]))
    ),
    "abs": Case(lambda x: abs_(A @ x + SHIFT), lambda x: cp.abs(A @ x + SHIFT)),
    "maximum": Case(
        lambda x: maximum(A @ x, SHIFT, x, 0.1), lambda x: cp.maximum(A @ x, SHIFT, x, 0.1)
    ),
    "largest": Case(lambda x: maximum(A @ x + SHIFT), lambda x: cp.max(A @ x + SHIFT)),
    "positive": Case(lambda x: positive(A @ x + SHIFT), lambda x: cp.pos(A @ x + SHIFT)),
    "square": Case(lambda x: square(A @ x + SHIFT), lambda x: cp.square(A @ x + SHIFT)),
    "sum_squares": Case(
        lambda x: sum_squares(A @ x + SHIFT), lambda x: cp.sum_squares(A @ x + SHIFT)
    ),
    "quad_over_lin": Case(
        lambda x: quad_over_lin(A @ x + SHIFT, x["a"] + 0.5),
        lambda x: cp.quad_over_lin(A @ x + SHIFT, x[0] + 0.5),
    ),
    "quad_over_lin of numbers": Case(
        lambda x: quad_over_lin(SHIFT, x["a"] + 0.5),
        lambda x: cp.quad_over_lin(SHIFT, x[0] + 0.5),
    ),
    "exp": Case(lambda x: exp(A @ x + SHIFT), lambda x: cp.exp(A @ x + SHIFT)),
    "log": Case(lambda x: log(2 * x + 0.1), lambda x: cp.log(2 * x + 0.1), convex=False),
    "power": Case(
        lambda x: power(SLOPES * x, 0.6),
        lambda x: cp.power(cp.multiply(SLOPES, x), 0.6, approx=False),
        convex=False,
    ),
    "negative power": Case(
        lambda x: power(x + 0.2, -1.5), lambda x: cp.power(x + 0.2, -1.5, approx=False)
    ),
    "entropy": Case(lambda x: entropy(x), lambda x: cp.entr(x), convex=False),
    "relative_entropy": Case(
        lambda x: relative_entropy(x, 0.2 * x.sum() + B @ x + 3),
        lambda x: cp.rel_entr(x, 0.2 * cp.sum(x) + B @ x + 3),
    ),
    "relative_entropy to numbers": Case(
        lambda x: relative_entropy(x, pd.Series(WEIGHTS[::-1], LABELS[::-1])),
        lambda x: cp.rel_entr(x, WEIGHTS),
    ),
    "log_sum_exp": Case(
        lambda x: log_sum_exp(A @ x + SHIFT), lambda x: cp.log_sum_exp(A @ x + SHIFT)
    ),
    "geometric_mean": Case(
        lambda x: geometric_mean(x + 0.1), lambda x: cp.geo_mean(x + 0.1), convex=False
    ),
    "weighted geometric_mean": Case(
        lambda x: geometric_mean(2 * x, pd.Series([3.0, 2.0, 1.0, 2.0], LABELS[::-1])),
        lambda x: cp.geo_mean(2 * x, [2, 1, 2, 3]),
        convex=False,
    ),
    "geometric_mean over quadratic cones": Case(
        lambda x: geometric_mean(x + 0.1, cones="second_order"),
        lambda x: cp.geo_mean(x + 0.1),
        convex=False,
    ),
    "weighted geometric_mean over quadratic cones": Case(
        lambda x: geometric_mean(2 * x, [0.35, 0.1, 0.5, 0.05], cones="second_order"),
        lambda x: cp.geo_mean(2 * x, [7, 2, 10, 1]),
        convex=False,
    ),
    "cvar": Case(lambda x: cvar(R @ x, 0.25), lambda x: worst_of(R @ x, 0.25)),
    "cvar of probabilities": Case(
        lambda x: cvar(R @ x, 0.3, TIMES / TIMES.sum()), lambda x: worst_of(REPEATED @ x, 0.3)
    ),
    "cvar of everything": Case(lambda x: cvar(R @ x, 1.0), lambda x: cp.sum(R @ x) / 9),
}
EACH = pytest.mark.parametrize("case", CASES)


@EACH
def test_values_are_those_of_cvxpy(case):
    ours, peer, _ = CASES[case]
    program, v = Program(), cp.Variable(N)
    term = ours(program.variable("x", LABELS))
    for point in RNG.uniform(0.05, 1.5, (5, N)):
        v.value = point
        expected, rtol = peer(v), 1e-9
        if expected.value is None:
            cp.Problem(cp.Minimize(expected), [v == point]).solve(cp.CLARABEL)
            rtol = 1e-6
        np.testing.assert_allclose(term.value(point), np.atleast_1d(expected.value), rtol=rtol)


# --- in statements ------------------------------------------------------------------------------

OURS = SimpleNamespace(norm=norm, sum=lambda e: e.sum(), times=lambda w, e: w * e)
CVXPY = SimpleNamespace(norm=cp.norm, sum=cp.sum, times=cp.multiply)


def total(t: Any, size: int, m: Any) -> Any:
    return t if size == 1 else m.sum(t)


def mixture(t: Any, size: int, m: Any) -> Any:
    return 0.7 * t if size == 1 else WEIGHTS @ t


# What is minimised, a convex term t standing for −t where it is concave, beside x.
OBJECTIVES: dict[str, Callable[..., Any]] = {
    "alone": lambda t, x, size, m: total(t, size, m),
    "beside others": lambda t, x, size, m: (
        COST @ x + 0.5 * total(t, size, m) / 3 + 0.3 * m.norm(x - 0.4)
    ),
    "weighted": lambda t, x, size, m: 2 * mixture(t, size, m) - COST @ x,
}
# What is at most a bound, row by row or a scalar.
BODIES: dict[str, Callable[..., Any]] = {
    "alone": lambda t, x, size, m: t,
    "scaled": lambda t, x, size, m: m.times(1.5 if size == 1 else WEIGHTS, t),
    "beside others": lambda t, x, size, m: (
        0.5 * total(t, size, m) + 0.3 * m.norm(x - 0.4) + COST @ x
    ),
    "summed": lambda t, x, size, m: total(t, size, m) - 0.1 * m.sum(x),
    "weighted": lambda t, x, size, m: mixture(t, size, m) + x[0 if m is CVXPY else "a"],
    "rows beside rows": lambda t, x, size, m: t + 0.2 * (x if size == N else m.sum(x)),
}


class Peer:
    """The same statement in cvxpy, over the same x."""

    def __init__(self, case: str) -> None:
        self.x = cp.Variable(N)
        self.term = CASES[case].peer(self.x)
        if not CASES[case].convex:
            self.term = -self.term
        self.domain = [self.x >= 0.05, self.x <= 2, cp.sum(self.x) == 2]

    def minimize(self, cost: Any, *constraints: Any) -> float:
        problem = cp.Problem(cp.Minimize(cost), [*self.domain, *constraints])
        return float(problem.solve(solver=cp.CLARABEL))


def stated(case: str) -> tuple[Program, Any, Any]:
    """The same in a program: the program, x and the term, to be minimised."""
    program = Program(case)
    x = program.variable("x", LABELS, lower=0.05, upper=2)
    term = CASES[case].ours(x)
    program.subject_to(total=x.sum() == 2)
    return program, x, term if CASES[case].convex else -term


def solve_kernel(program: Program) -> float:
    block = program.kernel()
    SolverFactory("clarabel").solve(block)
    return float(pyo.value(block.objective))


def solve_block(program: Program, near: np.ndarray) -> float:
    block = program.block()
    start = program.over_variables()
    for name, values in start.values(start.point({"x": near + 0.01})).items():
        component = getattr(block, name)
        entries = component.values() if hasattr(component, "values") else [component]
        for entry, value in zip(entries, values.tolist(), strict=True):
            entry.set_value(value, skip_validation=True)
    SolverFactory("casadi_ipopt").solve(block)
    return float(pyo.value(block.objective))


@EACH
@pytest.mark.parametrize("statement", OBJECTIVES)
def test_in_objectives(case, statement):
    peer, (program, x, term) = Peer(case), stated(case)
    cost = OBJECTIVES[statement]
    best = peer.minimize(cost(peer.term, peer.x, term.size, CVXPY))
    program.minimize(cost(term, x, term.size, OURS))
    solution = solve_program(program)
    assert solution.objective == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert float(program.objective.value(solution.x)[0]) == pytest.approx(best, rel=1e-6, abs=1e-6)
    program.maximize(-cost(term, x, term.size, OURS))
    assert solve_program(program).objective == pytest.approx(-best, rel=1e-6, abs=1e-6)
    if statement == "beside others":
        assert solve_kernel(program) == pytest.approx(-best, rel=1e-6, abs=1e-6)
        assert solve_block(program, solution.arrays["x"]) == pytest.approx(
            -best, rel=1e-5, abs=1e-5
        )


def bound_of(peer: Peer, body: Any) -> Any:
    """Half way from where the body is small to where the cost is."""
    peer.minimize(COST @ peer.x)
    far = np.array(peer.x.value)
    peer.minimize(cp.sum(body))
    mid = 0.5 * (far + peer.x.value)
    least = cp.Variable(body.shape)
    peer.minimize(cp.sum(least), body <= least, peer.x == mid)
    return least.value + 0.02


@EACH
@pytest.mark.parametrize("statement", BODIES)
def test_in_constraints(case, statement):
    peer, (program, x, term) = Peer(case), stated(case)
    if statement == "rows beside rows" and term.size not in (1, N):
        pytest.skip("another number of rows")
    body = BODIES[statement]
    bounded = body(peer.term, peer.x, term.size, CVXPY)
    bound = bound_of(peer, bounded)
    limit = bounded <= bound
    best = peer.minimize(COST @ peer.x, limit)
    program.minimize(COST @ x)
    left = body(term, x, term.size, OURS)
    if statement in ("alone", "summed"):
        program.subject_to(limit=left <= bound)
        sign = -1.0
    else:
        program.subject_to(limit=bound + (x.sum() - 2) >= left)
        sign = 1.0
    solution = solve_program(program)
    assert solution.objective == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert solution.certificate.primal_residual <= 1e-7
    dual = np.atleast_1d(solution.duals["limit"])
    # Optimal values agree to 1e-8, multipliers to its root.
    np.testing.assert_allclose(sign * dual, np.atleast_1d(limit.dual_value), atol=2e-4, rtol=1e-4)
    if statement in ("alone", "beside others"):
        assert solve_kernel(program) == pytest.approx(best, rel=1e-6, abs=1e-6)
        assert solve_block(program, solution.arrays["x"]) == pytest.approx(best, rel=1e-5, abs=1e-5)


@EACH
def test_duals_are_derivatives_in_the_right_hand_side(case):
    """left − right ≤ room: the dual is the change of the optimum with the room."""
    program, x, term = stated(case)
    program.minimize(COST @ x)
    body = term if term.size == 1 else WEIGHTS @ term
    start = solve_program(program)
    reached = float(body.value(start.x)[0])
    bound = reached - 0.05 * max(1.0, abs(reached))
    room = program.parameter("room", 0.0)
    program.subject_to(limit=body <= bound + room)
    dual = solve_program(program).duals["limit"]
    assert dual < -1e-5
    step = 1e-3 * max(1.0, abs(reached))
    program.set(room=step)
    above = solve_program(program).objective
    program.set(room=-step)
    below = solve_program(program).objective
    assert dual == pytest.approx((above - below) / (2 * step), rel=1e-2)


VANISHING = {
    "norm": lambda e, x: norm(e) <= 0,
    "multiple": lambda e, x: 0 >= 3 * norm(e),
    "sum_squares": lambda e, x: sum_squares(e) <= 0,
    "squares": lambda e, x: square(e) <= 0,
    "together": lambda e, x: norm(e) + sum_squares(e) <= 0,
}


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt"])
@pytest.mark.parametrize("kind", VANISHING)
def test_lengths_that_are_to_vanish_are_equations(kind, solver):
    """Without an inner point a cone may have no multipliers; those of the equations exist."""

    def stated(rows):
        program = Program("tied")
        x, y = program.variable("x", ["a", "b"], lower=0), program.variable("y", 2)
        program.subject_to(tied=rows(y - np.array([1.0, 2.0]) * x + [0.5, -1.0], x))
        program.subject_to(total=x.sum() == 1)
        program.minimize(sum_squares(x) + y.sum())
        return program

    program = stated(VANISHING[kind])
    found = solve_program(program, solver)
    as_equations = solve_program(stated(lambda e, x: e == 0), solver)
    np.testing.assert_allclose(found.x, as_equations.x, atol=1e-7)
    assert found.certificate.is_feasible
    assert found.duals["total"] == pytest.approx(as_equations.duals["total"], rel=1e-5)
    assert np.isnan(found.duals.get("tied", np.nan)).all()
    best = found.objective
    assert solve_kernel(program) == pytest.approx(best, rel=1e-6)
    assert solve_block(program, found.arrays["x"]) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt"])
def test_more_equations_than_variables_stay_a_cone(solver):
    program = Program("tall")
    x, y = program.variable("x", 2), program.variable("y")
    tall = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, -1.0]])
    program.subject_to(tied=norm(tall @ x - tall @ [1.0, 3.0]) <= 0, above=y >= x.sum())
    program.minimize(y)
    found = solve_program(program, solver)
    assert found.objective == pytest.approx(4.0, abs=1e-4)
    assert np.isnan(found.duals.get("tied", np.nan))


def test_bounds_that_may_be_more_than_0_are_no_equations():
    program = Program("ball")
    y, radius = program.variable("y", 2), program.parameter("radius", 0.0)
    program.subject_to(ball=norm(y) <= radius)
    program.minimize(y.sum())
    assert solve_program(program).objective == pytest.approx(0.0, abs=1e-6)
    program.set(radius=1.0)
    assert solve_program(program).objective == pytest.approx(-np.sqrt(2.0), rel=1e-6)


# --- what is refused ----------------------------------------------------------------------------

AT_MOST = "bound it from above, `{}(…) <= bound`"
AT_LEAST = "bound it from below, `{}(…) >= bound`"


@EACH
def test_terms_stand_where_they_are_convex(case):
    """The message has the term, its weight and the remedy; nothing is added."""
    program, x, term = stated(case)
    if not CASES[case].convex:
        term = -term
    total = term if term.size == 1 else term.sum()
    if case in ("square", "sum_squares"):
        pytest.skip("nonlinear solvers take squares anywhere")
    name = term.terms[0].term.name
    kind, remedy = ("convex", AT_MOST) if CASES[case].convex else ("concave", AT_LEAST)
    sign = 1.0 if CASES[case].convex else -1.0
    before, cost, changes = dict(program.constraints), program.objective, str(program)
    for weight, refused in (
        (-2.0, lambda: program.minimize(-2 * sign * total)),
        (2.0, lambda: program.maximize(2 * sign * total)),
        (1.5, lambda: program.subject_to(fine=x <= 1, bad=1.5 * sign * term >= 3)),
        (-1.5, lambda: program.subject_to(bad=-1.5 * sign * total <= x["a"], fine=x <= 1)),
    ):
        with pytest.raises(ModelError) as caught:
            refused()
        said = str(caught.value)
        assert f"{name}(…) is {kind} and has the weight {sign * weight:g}" in said
        assert remedy.format(name) in said
        assert said.startswith(("the objective:", "constraint 'bad':"))
    with pytest.raises(ModelError, match="in an equation is not convex; state it as <= or >="):
        program.subject_to(bad=term == 1)
    assert program.constraints == before
    assert program.objective is cost
    assert str(program) == changes


def test_weights_of_both_signs_are_named_by_the_wrong_one():
    program = Program()
    x = program.variable("x", ["a", "b"])
    with pytest.raises(ModelError, match=r"abs\(…\) is convex and has the weight -3 "):
        program.minimize(np.array([1.0, -3.0]) @ abs_(x))


REFUSED = {
    "order of a norm": (lambda x: norm(x, 3), r"norm of order 3 .*expected 1, 2 or inf"),
    "an empty norm": (lambda x: norm(), "norm.* has nothing to measure"),
    "a maximum of numbers": (lambda x: maximum(1.0, 2.0), "takes at least one affine expression"),
    "a wide divisor": (lambda x: quad_over_lin(x, x), "divisor of quad_over_lin has 2 rows"),
    "weights of a mean": (lambda x: geometric_mean(x, [1.0, 0.0]), "one positive number for each"),
    "cones of a mean": (lambda x: geometric_mean(x, cones="power"), "cones is 'power'; expected"),
    "odd weights": (
        lambda x: geometric_mean(x, [1.0, np.pi], cones="second_order"),
        "ratio of whole numbers up to 10,000 in all: use cones='exponential'",
    ),
    "weights too many": (lambda x: geometric_mean(x, [1.0] * 3), "one positive number for each"),
    "a power above 1": (lambda x: power(x, 2), "exponent of power is 2; expected a number below"),
    "no power": (lambda x: power(x, 0), "exponent of power is 0; expected a number below 1"),
    "alpha 0": (lambda x: cvar(x, 0.0), "alpha of cvar is 0.0.*0 < alpha <= 1"),
    "alpha 95 %": (lambda x: cvar(x, 95), "alpha of cvar is 95.*0.05 is the worst 5 %"),
    "probabilities": (lambda x: cvar(x, 0.5, [0.5, 0.6]), "probabilities of 2 .*sum to 1"),
    "negative probability": (lambda x: cvar(x, 0.5, [1.5, -0.5]), "not negative and sum to 1"),
    "a term in a term": (lambda x: exp(square(x)), r"square\(x\).*terms are not nested: bind it"),
    "a term over numbers": (lambda x: log(np.ones(2)), "ndarray.*stands where an affine expr"),
    "a term times a variable": (lambda x: abs_(x) * x, "more than two factors"),
    "a matrix of terms": (lambda x: np.eye(2) @ exp(x), r"only a vector.*matrix of shape \(2, 2\)"),
    "rows of terms": (lambda x: abs_(x)["a"], "pick them inside, such as abs"),
    "a loop over terms": (lambda x: list(abs_(x)), "pick them inside, such as abs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arguments_that_a_term_does_not_take(case):
    make, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        make(Program().variable("x", ["a", "b"]))


# --- edges --------------------------------------------------------------------------------------


def two(lower: float = 0.0, upper: float = 1.0) -> tuple[Program, Any]:
    program = Program()
    return program, program.variable("x", ["a", "b"], lower, upper)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 30])
def test_towers_of_every_height(n):
    """The largest Π x_i^{k_i/K} with Σx = 1 is at x_i = k_i/K."""
    k = np.random.default_rng(n).integers(1, 9, n)
    program = Program("tower")
    x = program.variable("x", n, lower=0)
    program.maximize(geometric_mean(n * x, k, cones="second_order"))
    program.subject_to(one=x.sum() == 1)
    solution = solve_program(program)
    np.testing.assert_allclose(solution.values["x"], k / k.sum(), atol=2e-5)
    b = k / k.sum()
    assert solution.objective == pytest.approx(np.exp(b @ np.log(n * b)), rel=1e-7)


@pytest.mark.parametrize("bound", [-1.0, 0.0])
def test_geometric_means_are_above_what_is_not_positive(bound):
    program, x = two()
    program.minimize(x.sum())
    program.subject_to(mean=geometric_mean(x) >= bound)
    assert solve_program(program).objective == pytest.approx(0.0, abs=1e-6)


def test_a_weight_of_nought_says_nothing():
    program, x = two()
    program.maximize(x.sum() - 0.0 * norm(x) + 0.0 * log(x).sum())
    program.subject_to(
        one=0.0 * norm(x) + x["a"] <= 0.5,
        rows=np.array([0.0, 1.0]) * abs_(x) <= np.array([0.0, 0.25]),
    )
    values = solve_program(program).values["x"]
    assert values.to_dict() == pytest.approx({"a": 0.5, "b": 0.25}, abs=1e-6)


@pytest.mark.parametrize("case", ["positive", "maximum"])
def test_bounds_that_no_variable_can_meet_are_infeasible(case):
    program, x = two(lower=-2.0)
    term = positive(x) if case == "positive" else maximum(x, 0.5)
    program.minimize(x.sum())
    program.subject_to(impossible=term <= [1.0, -0.25])
    with pytest.raises(InfeasibleError, match="it has no solution"):
        solve_program(program)


SCALARS = {
    "norm": (lambda x: norm(x), 1.5),
    "norm 1": (lambda x: norm(x, 1), 1.5),
    "norm inf": (lambda x: norm(x, np.inf), 1.5),
    "abs": (lambda x: abs_(x), 1.5),
    "maximum": (lambda x: maximum(x), 1.5),
    "positive": (lambda x: positive(x), 1.5),
    "square": (lambda x: square(x), 2.25),
    "sum_squares": (lambda x: sum_squares(x), 2.25),
    "quad_over_lin": (lambda x: quad_over_lin(x, x), 1.5),
    "exp": (lambda x: exp(x), np.exp(1.5)),
    "log_sum_exp": (lambda x: log_sum_exp(x), 1.5),
    "cvar": (lambda x: cvar(x, 0.3), 1.5),
    "entropy": (lambda x: -entropy(x), 1.5 * np.log(1.5)),
    "log": (lambda x: -log(x), -np.log(1.5)),
    "power": (lambda x: -power(x, 0.5), -np.sqrt(1.5)),
    "negative power": (lambda x: power(x, -2), 1.5**-2),
    "geometric_mean": (lambda x: -geometric_mean(x), -1.5),
    "relative_entropy": (lambda x: relative_entropy(x, 1.0), 1.5 * np.log(1.5)),
}


@pytest.mark.parametrize("case", SCALARS)
@pytest.mark.parametrize("labels", [None, ["only"]])
def test_terms_of_one_row(case, labels):
    make, value = SCALARS[case]
    program = Program()
    x = program.variable("x", labels, lower=1.5, upper=1.5)
    program.minimize(make(x))
    program.subject_to(bound=2 * make(x) <= 2 * value + 1e-3)
    assert solve_program(program).objective == pytest.approx(value, rel=1e-6)
    assert np.max(np.abs(solve_program(program).duals["bound"])) <= 1e-3


def test_notation_of_every_term():
    """What is printed is what was written."""
    program = Program()
    x, y = program.variable("x", ["a", "b"]), program.variable("y")
    written = {
        "norm(x)": norm(x),
        "norm1(x)": norm(x, 1),
        "norminf(x)": norm(x, np.inf),
        "abs(x)": abs_(x),
        "maximum(x, y, 2)": maximum(x, y, 2),
        "maximum(x)": maximum(x),
        "positive(x)": positive(x),
        "quad_over_lin(x, y)": quad_over_lin(x, y),
        "exp(x)": exp(x),
        "power(x, 0.5)": power(x, 0.5),
        "entropy(x)": entropy(x),
        "relative_entropy(x, y)": relative_entropy(x, y),
        "log_sum_exp(x)": log_sum_exp(x),
        "geometric_mean(x)": geometric_mean(x),
        "cvar(x, 0.05)": cvar(x, 0.05),
        "3 * sum_squares(x) - 2 * log(y)": 3 * sum_squares(x) - 2 * log(y),
    }
    assert {repr(term) for term in written.values()} == set(written)


def test_abs_of_numbers_is_pythons_own():
    """``from rrp_pyomo import *`` takes nothing away."""
    assert abs_(-2.0) == 2.0
    assert (abs_(np.array([-1.0, 2.0])) == [1.0, 2.0]).all()
    with pytest.raises(TypeError, match="bad operand type for abs"):
        abs_("-2")
