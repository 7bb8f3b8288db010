"""Small programs with known answers: the same through every realisation and solver."""

from __future__ import annotations

from types import SimpleNamespace

import cvxpy as cp
import numpy as np
import pyomo.environ as pyo
import pytest
import scipy.sparse as sp
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.errors import InfeasibleError, InputError, ModelError, SolverError, UnknownLabelError
from rrp_pyomo.linalg import Factor, LinearMap, Stack
from rrp_pyomo.modeling import norm, square, sum_squares
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import needs, solve_program
from rrp_pyomo.solve.table import Takes

LABELS = ("a", "b", "c")
SPARSE = sp.coo_array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])

# --- programs, with their optimal value and (where it is unique) point ----------------------------


def linear():
    """Bounds and rows as vectors on both sides, a constant in the objective."""
    p = Program("linear")
    x = p.variable("x", LABELS, lower=[0.0, -1.0, -np.inf], upper=[np.inf, 1.0, 3.0])
    p.minimize(np.array([1.0, 1.0, -2.0]) @ x + 5)
    p.subject_to(low=x >= [0.5, -2.0, -1.0], high=x.sum() <= 2, pair=SPARSE @ x >= -7)
    return p, -0.5, {"x": [0.5, -1.0, 2.5]}


def projection():
    """The point of the simplex nearest to another; squares with constants in them."""
    p = Program("projection")
    x = p.variable("x", LABELS, lower=0)
    p.minimize(sum_squares(x - np.array([0.9, 0.4, -0.5])) + 2)
    p.subject_to(sums=x.sum() == 1)
    return p, 2.295, {"x": [0.75, 0.25, 0.0]}


def quadratic_maximum():
    """Maximise c'x − Σ d_i x_i², at x = c / 2d."""
    p = Program("quadratic_maximum")
    x = p.variable("x", LABELS)
    d, c = np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 16.0])
    p.maximize(c @ x - sum_squares(np.sqrt(d) * x))
    p.subject_to(bounded=x <= 100)
    return p, 19.0, {"x": [1.0, 1.0, 2.0]}


def ball():
    """Maximise c'x in a ball of radius 2, at 2c / ‖c‖."""
    p = Program("ball")
    x = p.variable("x", [("k", 1), ("k", 2), ("m", 1)], unit=0.1)
    c = np.array([3.0, -4.0, 12.0])
    p.maximize(c @ x)
    p.subject_to(ball=2 * norm(x) <= 4)
    return p, 26.0, {"x": 2 * c / 13}


def norm_of_parts():
    """A norm over several parts with constants, below a multiple of a variable plus a constant."""
    p = Program("norm_of_parts")
    x = p.variable("x", LABELS)
    s, t = p.variable("s"), p.variable("t", lower=0, upper=0)
    p.minimize(s)
    p.subject_to(far=norm(x - 1, t - 2) <= 2 * s + 1, centred=x.sum() == 0)
    return p, (np.sqrt(7) - 1) / 2, {"x": [0, 0, 0], "s": [(np.sqrt(7) - 1) / 2]}


def hyperbola():
    """Constants in the factors of a product: u v ≥ 8 at u = 2, v = 4."""
    p = Program("hyperbola")
    x, y = p.variable("x", lower=-50), p.variable("y", unit=10)
    p.minimize(x + y)
    p.subject_to(product=(x + 1) * (2 * y - 1) >= 8 * square(p.variable("one", None, 1, 1)))
    return p, 3.5, {"x": [1.0], "y": [2.5]}


def hyperbolas():
    """Product bounds row by row, with weights on a shared scalar: z_i = (w_i t)² / x_i."""
    p = Program("hyperbolas")
    x, z = (p.variable(name, LABELS, lower=0) for name in "xz")
    t = p.variable("t")
    p.minimize(z.sum())
    p.subject_to(
        given=x == [1.0, 2.0, 4.0], least=t >= 2, cones=x * z >= square(np.array([1, 2, 3]) * t)
    )
    return p, 21.0, {"z": [4.0, 8.0, 9.0], "t": [2.0]}


def scalar_factors():
    """Scalars against a vector: y z ≥ x_i² for each i, not for their sum."""
    p = Program("scalar_factors")
    y, z = p.variable("y", lower=0), p.variable("z", lower=0)
    x = p.variable("x", LABELS, lower=[1.0, 2.0, 3.0])
    p.minimize(y + z)
    p.subject_to(cones=y * z >= square(x))
    return p, 6.0, {"y": [3.0], "z": [3.0]}


def squares_by_row():
    """A vector of squares below a vector: y_i ≥ (x_i − 1)² with Σ x_i = 0."""
    p = Program("squares_by_row")
    x, y = p.variable("x", LABELS), p.variable("y", LABELS)
    p.minimize(y.sum())
    p.subject_to(squares=square(x - 1) + 0.5 * square(2 * x) <= y, centred=x.sum() == 3)
    return p, 3 * 2.0, {"x": [1.0, 1.0, 1.0], "y": [2.0, 2.0, 2.0]}


def sphere():
    """A sum of squares below an affine expression: ‖x − 1‖² ≤ 3."""
    p = Program("sphere")
    x = p.variable("x", LABELS)
    p.maximize(x.sum())
    p.subject_to(sphere=sum_squares(x) <= 2 * x.sum())
    return p, 6.0, {"x": [2.0, 2.0, 2.0]}


def mixed():
    """Squares beside a cone: rows of them, a sum of them, and in the objective."""
    p = Program("mixed")
    x, y, s = p.variable("x", LABELS), p.variable("y", LABELS), p.variable("s")
    p.minimize(y.sum() + s + sum_squares(x - 2))
    p.subject_to(
        squares=square(x - 1) + 0.5 * square(2 * x) <= y,
        centred=x.sum() == 3,
        cone=norm(x) <= s,
        sphere=sum_squares(x) <= 2 * x.sum(),
    )
    return p, 6.0 + np.sqrt(3) + 3.0, {"x": [1.0, 1.0, 1.0], "s": [np.sqrt(3)]}


def factored():
    """The smallest volatility for a covariance that stays factored: 1 / √(1'Σ⁻¹1)."""
    V, d = np.array([[1.0, 0.5, -0.2], [0.0, 1.0, 0.3]]), np.array([0.5, 1.0, 2.0])
    systematic = LinearMap((Factor(np.diag([2.0, 1.0]), V, "exposure", ("f", "g")),))
    p = Program("factored")
    x, s = p.variable("x", LABELS), p.variable("s", lower=0)
    p.minimize(s)
    p.subject_to(risk=norm(Stack((systematic, LinearMap(diagonal=d))) @ x) <= s, all=x.sum() == 1)
    Sigma = V.T @ np.diag([4.0, 1.0]) @ V + np.diag(d**2)
    best = np.linalg.solve(Sigma, np.ones(3))
    return p, 1 / np.sqrt(best.sum()), {"x": best / best.sum()}


def robust_mean_variance():
    """max μ'w − δ‖w‖ − (λ/2) w'Σw over the simplex, against cvxpy."""
    rng = np.random.default_rng(0)
    mu, half, delta, aversion = rng.uniform(0, 0.2, 4), rng.normal(size=(4, 4)) / 4, 0.1, 3.0
    p = Program("robust_mean_variance")
    w, s = p.variable("w", ["A", "B", "C", "D"], lower=0), p.variable("s", lower=0)
    p.maximize(mu @ w - delta * s - (aversion / 2) * sum_squares(half @ w))
    p.subject_to(error=norm(w) <= s, fully_invested=w.sum() == 1)
    v = cp.Variable(4, nonneg=True)
    risk = cp.sum_squares(half @ v)
    peer = cp.Problem(
        cp.Maximize(mu @ v - delta * cp.norm(v) - aversion / 2 * risk), [cp.sum(v) == 1]
    )
    best = peer.solve(solver=cp.CLARABEL)
    return p, best, {"w": v.value}


CONVEX = (
    linear, projection, quadratic_maximum, ball, norm_of_parts, hyperbola, hyperbolas,
    scalar_factors, squares_by_row, sphere, mixed, factored, robust_mean_variance,
)  # fmt: skip

# --- ways to solve them ---------------------------------------------------------------------------


def by_name(solver, **options):
    return lambda program: solve_program(program, solver, **options)


def by_block(realisation, solver):
    """Through a block and Pyomo's factory, as somebody would who solves a model of their own."""

    def solve(program):
        block = getattr(program, realisation)()
        SolverFactory(solver).solve(block)
        values = {}
        for name in program.variables:
            component = getattr(block, name)
            entries = component.values() if hasattr(component, "values") else [component]
            values[name] = np.array([entry.value for entry in entries])
        x = np.concatenate(list(values.values()))
        return SimpleNamespace(values=values, x=x, objective=pyo.value(block.objective))

    return solve


# The accuracy of each solver, relative: of the objective and of the point.
ROUTES = {
    "conic: clarabel": (by_name("clarabel"), 1e-7, 1e-4),
    "kernel: clarabel": (by_block("kernel", "clarabel"), 1e-7, 1e-4),
    "environ: clarabel": (by_block("block", "clarabel"), 1e-7, 1e-4),
    "quadratic: casadi_ipopt": (by_name("casadi_ipopt"), 1e-7, 1e-4),
    "kernel: casadi_ipopt": (by_block("kernel", "casadi_ipopt"), 1e-6, 1e-3),
    "environ: casadi_ipopt": (by_block("block", "casadi_ipopt"), 1e-6, 1e-3),
    "environ: gurobi": (by_name("gurobi"), 1e-5, 1e-2),
    "environ: scip": (by_name("scip"), 1e-5, 1e-2),
    "kernel: scs": (by_name("scs"), 1e-3, 1e-2),
}


@pytest.mark.parametrize("make", CONVEX, ids=lambda make: make.__name__)
@pytest.mark.parametrize("route", ROUTES)
def test_convex_programs(route, make, need):
    need(route.split()[-1])
    solve, accuracy, closeness = ROUTES[route]
    program, best, point = make()
    solution = solve(program)
    assert solution.objective == pytest.approx(best, rel=accuracy, abs=accuracy)
    for name, values in point.items():
        np.testing.assert_allclose(solution.values[name], values, atol=closeness)
    assert max(program.residuals(solution.x).values()) <= closeness


def product():
    p = Program("product")
    x, y = p.variable("x", lower=0), p.variable("y", lower=0)
    p.maximize(x * y + 0.5)
    p.subject_to(sums=x + y == 1)
    return p, 0.75, {"x": [0.5], "y": [0.5]}


def products_equal_to_numbers():
    p = Program("products_equal_to_numbers")
    x, y = p.variable("x", LABELS, 1, 10), p.variable("y", LABELS, 1, 10)
    p.minimize(x.sum() + y.sum())
    p.subject_to(products=x * (y + 1) == [4.0, 9.0, 16.0])
    return p, 2 * (2 + 3 + 4) - 3, {"x": [2.0, 3.0, 4.0]}


def saddle():
    p = Program("saddle")
    x, y = p.variable("x", lower=-1, upper=2), p.variable("y", lower=0.5, upper=2)
    p.minimize(square(x) - square(y) + 1)
    return p, -3.0, {"x": [0.0], "y": [2.0]}


def outside_a_ball():
    p = Program("outside_a_ball")
    x = p.variable("x", LABELS, lower=0)
    p.minimize(np.array([1.0, 2.0, 3.0]) @ x)
    p.subject_to(outside=sum_squares(x) >= 4)
    return p, 2.0, {"x": [2.0, 0.0, 0.0]}


NONCONVEX = (product, products_equal_to_numbers, saddle, outside_a_ball)


@pytest.mark.parametrize("make", NONCONVEX, ids=lambda make: make.__name__)
@pytest.mark.parametrize("solver", ["casadi_ipopt", "gurobi", "scip"])
def test_nonconvex_programs(solver, make, need):
    program, best, point = make()
    near = {name: np.array(values) + 0.1 for name, values in point.items()}
    solution = solve_program(program, need(solver), start=near)
    assert solution.objective == pytest.approx(best, rel=1e-5)
    for name, values in point.items():
        np.testing.assert_allclose(solution.values[name], values, atol=1e-3)


@pytest.mark.parametrize("make", NONCONVEX, ids=lambda make: make.__name__)
@pytest.mark.parametrize("solver", ["clarabel", "scs", "highs"])
def test_conic_solvers_refuse_what_is_not_convex(solver, make):
    program, _, _ = make()
    assert Takes.NONCONVEX in needs(program)
    able = "ipopt, casadi_ipopt, gurobi, scip"
    with pytest.raises(ModelError, match=f"'{solver}' does not take nonconvex.*: {able}"):
        solve_program(program, solver)
    for realisation in ("block", "kernel"):
        with pytest.raises(ModelError, match="convex"):
            SolverFactory("clarabel").solve(getattr(program, realisation)())


def test_linear_solvers_refuse_cones():
    with pytest.raises(ModelError, match=r"'highs' does not take second-order.*clarabel"):
        solve_program(ball()[0], "highs")
    assert solve_program(linear()[0], "highs").objective == pytest.approx(-0.5)


# --- how it can end -------------------------------------------------------------------------------


def impossible():
    p = Program("impossible")
    x = p.variable("x", LABELS, lower=0)
    p.minimize(x.sum())
    p.subject_to(ball=norm(x) <= 1, far=x.sum() >= 2)
    return p


def endless():
    p = Program("endless")
    x = p.variable("x", LABELS, lower=0)
    p.maximize(x.sum())
    p.subject_to(cone=norm(x) <= p.variable("t"))
    return p


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt", "gurobi", "scip", "scs"])
def test_infeasible(solver, need):
    with pytest.raises(InfeasibleError, match="impossible"):
        solve_program(impossible(), need(solver))


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt", "gurobi", "scip", "scs"])
def test_unbounded(solver, need):
    with pytest.raises(SolverError, match=r"ended with status .* on endless") as caught:
        solve_program(endless(), need(solver))
    assert not isinstance(caught.value, InfeasibleError)


def big_cone(n=300):
    p = Program("big_cone")
    x = p.variable("x", range(n), lower=0)
    p.minimize(norm_bound := p.variable("s"))
    p.subject_to(
        c=norm(np.random.default_rng(0).normal(size=(n, n)) @ x) <= norm_bound, d=x.sum() == 1
    )
    return p


def test_size_limit_of_the_licence_in_gurobis_wheel(need):
    need("gurobi")
    with pytest.raises(SolverError, match=r"gurobi .* failed on big_cone: .*size-limited license"):
        solve_program(big_cone(), "gurobi")


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt"])
def test_time_limit(solver):
    with pytest.raises(SolverError, match=r"status 'Max.*Time.*' on big_cone"):
        solve_program(big_cone(), solver, time_limit=1e-4)


@pytest.mark.parametrize("limit", [0, -1.0, "soon", np.nan, True, np.timedelta64(1, "s")])
def test_time_limits_that_are_none(limit):
    with pytest.raises(InputError, match=r"time_limit is .*positive number of seconds"):
        solve_program(ball()[0], time_limit=limit)


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt", "gurobi", "scip", "scs"])
def test_unknown_options(solver, need):
    program = linear()[0]
    with pytest.raises(InputError, match="no_such_option"):
        solve_program(program, need(solver), no_such_option=1)


@pytest.mark.parametrize(
    ("solver", "option", "near"),
    [("clarabel", "max_itr", "max_iter"), ("casadi_ipopt", "max_itr", "max_iter")],
)
def test_misspelled_options(solver, option, near):
    with pytest.raises(UnknownLabelError, match=f"'{option}'; did you mean '{near}'"):
        solve_program(ball()[0], solver, **{option: 10})


def test_options_arrive():
    with pytest.raises(SolverError, match="MaxIterations"):
        solve_program(ball()[0], max_iter=1)
    with pytest.raises(SolverError, match="Maximum_Iterations_Exceeded"):
        solve_program(ball()[0], "casadi_ipopt", max_iter=1)


def test_log_is_printed_on_request(capfd):
    solve_program(ball()[0])
    assert capfd.readouterr().out == ""
    solve_program(ball()[0], tee=True)
    assert "Clarabel" in capfd.readouterr().out
    solve_program(ball()[0], "casadi_ipopt", tee=True)
    assert "Ipopt" in capfd.readouterr().out


def test_start_of_the_original_variables_starts_the_auxiliary_ones(need):
    """Hardly a step is needed where the start is the solution, also for those that cones bring."""
    program, _, point = norm_of_parts()
    solution = solve_program(program, "casadi_ipopt", start=point, near=True)
    elsewhere = solve_program(program, "casadi_ipopt", near=True)
    assert solution.iterations <= 5
    assert elsewhere.iterations > 2 * solution.iterations


def test_starts_lead_to_the_nearer_of_two_solutions():
    program = Program("two")
    x, y = program.variable("x", None, -2, 2), program.variable("y", None, -2, 2)
    program.minimize(x * y)
    for sign in (1.0, -1.0):
        solution = solve_program(program, "casadi_ipopt", start={"x": sign, "y": -sign})
        assert solution.values["x"] == pytest.approx(2 * sign, abs=1e-6)
        assert solution.values["y"] == pytest.approx(-2 * sign, abs=1e-6)


def test_conic_solvers_do_not_ask_for_a_start():
    program, _, point = norm_of_parts()
    called = []
    solve_program(program, start=lambda: called.append(1) or point)
    assert called == []  # conic solvers need none


def test_duality_gap():
    solution = solve_program(robust_mean_variance()[0])
    assert abs(solution.duality_gap) <= 1e-8
    assert solution.status == "Solved"
    assert solution.solver.startswith("clarabel ")
    assert solution.iterations > 0
