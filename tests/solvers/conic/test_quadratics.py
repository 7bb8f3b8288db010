"""Quadratic constraints and objectives: which are convex, and what cones they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from pyomo.contrib.solver.common.results import SolutionStatus

from rrp_pyomo.solvers.conic import Clarabel, Scs
from rrp_pyomo.solvers.conic.quadratics import DENSE, AffineRow, Names, as_cone, square_root
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError
from rrp_pyomo.solvers.reading.standard_form import QuadraticBody

SAMPLES = settings(max_examples=25, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)


def names(n: int) -> Names:
    return Names("c", [pmo.variable() for _ in range(n)])


def expanded(M: np.ndarray) -> QuadraticBody:
    """y'My for y = (x, 1) as a quadratic in x."""
    n = len(M) - 1
    products = {(i, j): 2.0 * M[i, j] for i in range(n) for j in range(i) if M[i, j]}
    squares = {(i, i): M[i, i] for i in range(n) if M[i, i]}
    linear = {i: 2.0 * M[i, n] for i in range(n) if M[i, n]}
    return QuadraticBody({**squares, **products}, linear, float(M[n, n]))


def value(row: AffineRow, x: np.ndarray) -> float:
    return float(np.dot(row.values, x[list(row.columns)]) + row.constant)


def assert_same_set(M: np.ndarray, lower: np.ndarray, upper: np.ndarray, rng: Any) -> int:
    """Points in the box satisfy the quadratic just where they satisfy the cone.

    Returns how many do.
    """
    n = lower.size
    cone = as_cone(expanded(M), lower, upper, names(n))
    inside = 0
    for _ in range(200):
        x = rng.normal(size=n) * rng.choice([0.1, 1.0, 5.0])
        x = np.where(np.isfinite(lower) & (x < lower), 2 * lower - x, x)
        x = np.where(np.isfinite(upper) & (x > upper), 2 * upper - x, x)
        if (x < lower).any() or (x > upper).any():
            continue
        y = np.append(x, 1.0)
        g = float(y @ M @ y)
        heads = [value(head, x) for head in cone.heads]
        length = sum(value(row, x) ** 2 for row in cone.vector)
        product = heads[0] ** 2 if len(heads) == 1 else heads[0] * heads[1]
        if abs(g) < 1e-6 * max(1.0, np.abs(M).max()) * (1 + x @ x):
            continue
        holds = length <= product and min(heads) >= 0
        assert holds == (g <= 0), (g, length, product, heads)
        inside += holds
    return inside


@SAMPLES
@given(seed=SEEDS)
def test_sums_of_squares(seed: int) -> None:
    """‖Fx + f‖² + a'x + c ≤ 0, the matrix of any rank."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    F = rng.normal(size=(int(rng.integers(1, n + 1)), n)) * 10.0 ** rng.integers(-3, 4)
    M = np.zeros((n + 1, n + 1))
    M[:n, :n] = F.T @ F if rng.random() < 0.7 else np.diag(rng.uniform(0, 2, n))
    M[:n, n] = M[n, :n] = rng.normal(size=n) * rng.integers(0, 2)
    M[n, n] = -rng.uniform(0, 10)
    free = np.full(n, np.inf)
    assert_same_set(M, -free, free, rng)


@SAMPLES
@given(seed=SEEDS)
def test_lorentz_cones(seed: int) -> None:
    """‖Fx + f‖² ≤ (w'x + ω)² where the bounds say that w'x + ω ≥ 0, or ≤ 0."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    F = np.column_stack([rng.normal(size=(n - 1, n)), rng.normal(size=n - 1)])
    w = np.append(rng.uniform(0.1, 2, n) * (rng.random(n) < 0.6), rng.uniform(0, 1))
    w[0] = 1.0
    M = 0.1 * F.T @ F - np.outer(w, w)
    lower = np.where(w[:n] > 0, 0.0, -0.5)
    upper = np.where(w[:n] > 0, np.inf, 0.5)
    assert_same_set(M, lower, upper, rng)
    turned = np.diag([-1.0] * n + [1.0])
    assert_same_set(turned @ M @ turned, -upper, -lower, rng)


@pytest.mark.parametrize(("s", "t"), [(1, 1), (-1, -1), (1, -1), (-1, 1)])
def test_products_of_either_sign(s: int, t: int) -> None:
    """x² + 2 ≤ s t r₁ r₂ with s r₁ ≥ 0, t r₂ ≥ 0."""
    M = np.zeros((4, 4))
    M[0, 0], M[3, 3] = 1.0, 2.0
    M[1, 2] = M[2, 1] = -0.5 * s * t
    lower = np.array([-np.inf, 0.0 if s > 0 else -np.inf, 0.0 if t > 0 else -np.inf])
    upper = np.array([np.inf, 0.0 if s < 0 else np.inf, 0.0 if t < 0 else np.inf])
    assert 10 < assert_same_set(M, lower, upper, np.random.default_rng(0)) < 100


@SAMPLES
@given(seed=SEEDS)
def test_square_root(seed: int) -> None:
    """F'F = Q for semidefinite matrices of any rank, scale and sparsity; None for others."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    G = sp.random(int(rng.integers(1, n + 1)), n, density=0.2, random_state=rng)
    scale = sp.diags(10.0 ** rng.integers(-6, 7, n))
    Q = (scale @ G.T @ G @ scale).tocoo()
    F = square_root(Q)
    assert F is not None
    size = np.sqrt(Q.diagonal())
    assert np.abs((F.T @ F - Q).toarray()).max(initial=0.0) <= 1e-9 * np.outer(size, size).max()

    worse = Q.tolil()
    k = int(rng.integers(n))
    worse[k, k] = worse[k, k] * 0.999 - 1e-9 * 10.0 ** rng.integers(-6, 7)
    lowest = np.linalg.eigvalsh(_correlation(worse.toarray()))[0]
    assert (square_root(worse.tocoo()) is None) == (lowest < -1e-10)


def _correlation(Q: np.ndarray) -> np.ndarray:
    size = np.sqrt(np.abs(np.diag(Q)))
    size[size == 0] = 1.0
    return Q / np.outer(size, size)


@pytest.mark.parametrize("last", [2.0, 1.0])
def test_square_root_of_a_long_chain(last: float) -> None:
    """A tridiagonal matrix too large for dense factors; semidefinite where ``last`` is 1."""
    n = DENSE + 500
    main = np.full(n, 2.0)
    main[0], main[-1] = 1.0, last
    Q = sp.diags([main, -np.ones(n - 1), -np.ones(n - 1)], [0, 1, -1]).tocoo()
    F = square_root(Q)
    assert F is not None
    assert abs(F.T @ F - Q).max() < 1e-9
    assert F.nnz < 3 * n
    Q.data[Q.row == Q.col] -= 1e-3
    assert square_root(Q) is None


@pytest.mark.parametrize("kind", ["environ", "kernel"])
@pytest.mark.parametrize("seed", range(6))
def test_quadratic_programs(tools: Any, accurate: Any, kind: str, seed: int) -> None:
    """Convex objective, a ball, an ellipsoid and a paraboloid: KKT with scalar multipliers."""
    rng = np.random.default_rng(seed)
    n = 5
    G, H = rng.normal(size=(3, n)), rng.normal(size=(n, n))
    if kind == "environ":
        model = pyo.ConcreteModel()
        model.x = pyo.Var(range(n))
        x = [model.x[k] for k in range(n)]
        constraint, objective = pyo.Constraint, pyo.Objective
    else:
        model = pmo.block()
        model.x = pmo.variable_list([pmo.variable() for _ in range(n)])
        x = list(model.x)
        constraint, objective = pmo.constraint, pmo.objective
    dot = lambda a: sum(float(v) * xk for v, xk in zip(a, x, strict=True))  # noqa: E731
    model.ball = constraint(expr=sum(xk**2 for xk in x) <= 4)
    model.ellipsoid = constraint(expr=-sum(dot(h) ** 2 for h in H) + dot(H[0]) >= -9)
    model.paraboloid = constraint(
        expr=(dot(G[0]) - 1) ** 2 + (dot(G[1]) + 0.5) ** 2 <= dot(G[2]) + 3
    )
    sense = [pyo.minimize, pyo.maximize][seed % 2]
    sign = 1 if sense == pyo.minimize else -1
    body = 0.5 * sum(dot(g) ** 2 for g in G) + dot(rng.normal(size=n)) + 1
    model.cost = objective(expr=sign * body, sense=sense)
    results = accurate.solver.solve(model)
    assert results.solution_status is SolutionStatus.optimal
    results.solution_loader.load_vars()
    assert results.incumbent_objective == pytest.approx(pyo.value(model.cost), rel=1e-12)
    errors = tools.optimality(model, results)
    # Multipliers of active quadratics are known to the square root of the duality gap.
    assert errors["primal"] < accurate.tolerance
    assert max(errors.values()) < max(1e-4, 20 * accurate.tolerance), errors


def test_inactive_quadratics_have_no_multiplier(accurate: Any) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(1, None))
    model.loose = pyo.Constraint(expr=model.x**2 <= 100)
    model.cost = pyo.Objective(expr=model.x)
    results = accurate.solver.solve(model)
    assert results.solution_loader.get_duals()[model.loose] == pytest.approx(0, abs=1e-4)
    assert results.solution_loader.get_reduced_costs()[model.x] == pytest.approx(1, abs=1e-4)


# --- multipliers near the apex ------------------------------------------------------------------


def lorentz(**bounds: Any) -> Any:
    """x² + y² ≤ r²."""
    model = pyo.ConcreteModel()
    model.x, model.y = pyo.Var(bounds=(bounds.get("x"), None)), pyo.Var()
    model.r = pyo.Var(bounds=(0, None))
    model.cone = pyo.Constraint(expr=model.x**2 + model.y**2 <= model.r**2)
    return model


def dual_of_cone(model: Any, accurate: Any) -> float:
    results = accurate.solver.solve(model)
    return results.solution_loader.get_duals()[model.cone]


@pytest.mark.parametrize("cost", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("tilt", [0.0, 0.5, 0.85, 0.95, 0.99])
def test_at_the_apex_of_a_lorentz_cone_there_is_no_multiplier(
    accurate: Any, tilt: float, cost: float
) -> None:
    """min r + tx: the gradient of x² + y² − r² is zero at (0, 0, 0), that of the objective not."""
    model = lorentz()
    model.cost = pyo.Objective(expr=cost * (model.r + tilt * model.x))
    assert np.isnan(dual_of_cone(model, accurate))


@pytest.mark.parametrize("tilt", [0.0, 0.5, 0.95])
def test_at_the_apex_a_rough_answer_is_no_multiplier_either(tilt: float) -> None:
    """SCS's slack is zero there, and its multiplier may be on the rim of its cone by chance."""
    model = lorentz()
    model.cost = pyo.Objective(expr=model.r + tilt * model.x)
    assert np.isnan(Scs().solve(model).solution_loader.get_duals()[model.cone])


def test_at_other_apices_there_is_no_multiplier(accurate: Any) -> None:
    """Of a cone in general position, (x − 1)² + (x + y)² ≤ (r − 2)², and of a product."""
    model = pyo.ConcreteModel()
    model.x, model.y, model.r = pyo.Var(), pyo.Var(), pyo.Var(bounds=(2, None))
    model.cone = pyo.Constraint(
        expr=(model.x - 1) ** 2 + (model.x + model.y) ** 2 <= (model.r - 2) ** 2
    )
    model.cost = pyo.Objective(expr=model.r)
    assert np.isnan(dual_of_cone(model, accurate))

    model = pyo.ConcreteModel()
    model.x, model.a, model.b = pyo.Var(), pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    model.cone = pyo.Constraint(expr=model.x**2 <= model.a * model.b)
    model.cost = pyo.Objective(expr=model.a + model.b + 0.5 * model.x)
    assert np.isnan(dual_of_cone(model, accurate))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4, 1e-6])
def test_near_the_apex_the_multiplier_is_right(accurate: Any, size: float, scaled: bool) -> None:
    """min r with x ≥ h: r = h, and 1 = −2rμ."""
    model = lorentz(x=size)
    if scaled:
        model.scaling_factor = pyo.Suffix()
        for variable in (model.x, model.y, model.r):
            model.scaling_factor[variable] = 1 / size
    model.cost = pyo.Objective(expr=model.r)
    dual = dual_of_cone(model, accurate)
    blurred = isinstance(accurate.solver, Scs) and size < accurate.tolerance and not scaled
    if not (blurred and np.isnan(dual)):  # SCS cannot tell 1e-6 from 0
        assert dual == pytest.approx(-1 / (2 * size), rel=1e-3)


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4])
def test_near_the_apex_of_a_product_the_multiplier_is_right(accurate: Any, size: float) -> None:
    """min a + b with x² ≤ ab, x ≥ h: a = b = h, and 1 = −aμ."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(size, None))
    model.a, model.b = pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    model.cone = pyo.Constraint(expr=model.x**2 <= model.a * model.b)
    model.cost = pyo.Objective(expr=model.a + model.b)
    assert dual_of_cone(model, accurate) == pytest.approx(-1 / size, rel=1e-3)


@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_inside_a_small_cone_there_is_none_but_zero(accurate: Any, size: float) -> None:
    model = lorentz()
    model.x.setlb(-0.1 * size)
    model.floor = pyo.Constraint(expr=model.r >= size)
    model.cost = pyo.Objective(expr=model.r + 0.1 * model.x)
    assert dual_of_cone(model, accurate) == pytest.approx(0.0, abs=1e-3)


# --- which half of a Lorentz cone ---------------------------------------------------------------


def tilted(slope: float) -> Any:
    """v² ≤ (u + tv)² with u ≥ 0: one half only where t < 1, for (0, −1) is in the other."""
    model = pyo.ConcreteModel()
    model.u, model.v = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(-10, 10))
    model.cone = pyo.Constraint(expr=model.v**2 <= (model.u + slope * model.v) ** 2)
    model.cost = pyo.Objective(expr=model.u - 0.2 * model.v)
    return model


@pytest.mark.parametrize("slope", [0.3, 0.9, 0.999])
def test_bounds_that_say_which_half_is_meant(slope: float) -> None:
    """v ≤ u / (1 − t), which is worth its price where 1 − t < 0.2."""
    model = tilted(slope)
    Clarabel().solve(model)
    height = 10.0 if slope > 0.8 else 0.0
    assert model.u.value == pytest.approx((1 - slope) * height, abs=1e-4)
    assert model.v.value == pytest.approx(height, abs=1e-4)


@pytest.mark.parametrize("slope", [1.001, 1.1, 1.5, 3.0, 4.5])
def test_bounds_that_leave_both_halves_are_refused(slope: float) -> None:
    """At u = 0 both v = 1 and v = −1 satisfy the constraint; half of the cone would lose one."""
    model = tilted(slope)
    for v in (1.0, -1.0):
        model.u.value, model.v.value = 0.0, v
        assert pyo.value(model.cone.body) <= 0.0
    with pytest.raises(IncompatibleModelError, match="do not say which half is meant"):
        Clarabel().solve(model)


def test_tiny_numbers_keep_their_relative_accuracy() -> None:
    """min x'Dx over 1'x = 1 with variances of 1e-5 and below: x ∝ 1/d."""
    variance = np.array([1e-5, 2e-5, 4e-6, 1e-6])
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(4), bounds=(0, None))
    model.budget = pyo.Constraint(expr=sum(model.x[k] for k in model.x) == 1)
    model.risk = pyo.Objective(expr=sum(v * model.x[k] ** 2 for k, v in enumerate(variance)))
    Clarabel().solve(model)
    expected = 1 / variance / np.sum(1 / variance)
    assert [model.x[k].value for k in range(4)] == pytest.approx(expected, rel=1e-6)
