"""``casadi_ipopt``: both routes against each other and closed forms, refusals, faults."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from interrupts import pressed
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.util import (
    IncompatibleModelError,
    NoFeasibleSolutionError,
    NoOptimalSolutionError,
    NoSolutionError,
)

from rrp_pyomo import DenseCovariance, RiskParityNLP, RiskParityQCLP
from rrp_pyomo.errors import InputError, ModelError, UnknownLabelError
from rrp_pyomo.solvers.ipopt import CasadiIpopt
from rrp_pyomo.solvers.ipopt.quadratic import DEFAULTS

ROUTES = ("quadratic", "nl")


def solver(route: str = "auto", **options: Any) -> CasadiIpopt:
    return CasadiIpopt(route=route, solver_options=options)


# --- models -------------------------------------------------------------------------------------


def random_program(seed: int) -> dict[str, Any]:
    """Data of a strictly convex quadratic program with one convex quadratic row."""
    rng = np.random.default_rng(seed)
    n = 5
    L, M = rng.normal(size=(2, n, n))
    return {
        "H": L @ L.T + np.eye(n),
        "Q": M @ M.T,
        "c": 3.0 * rng.normal(size=n),
        "A": rng.normal(size=(3, n)),
        "b": rng.uniform(0.1, 1.0, 3),
        "sign": 1.0 if seed % 2 else -1.0,
    }


def environ_program(data: dict[str, Any]) -> pyo.ConcreteModel:
    """Products of sums, ranges, a maximisation every other time, a fixed variable."""
    H, Q, c, A, b, sign = data.values()
    n = range(len(c))
    model = pyo.ConcreteModel()
    model.x = pyo.Var(n, bounds=(-0.6, 0.8))
    model.one = pyo.Var()
    model.one.fix(1.0)
    model.e = pyo.Expression(n, rule=lambda _, i: sum(H[i, j] * model.x[j] for j in n))
    model.rows = pyo.Constraint(
        range(2), rule=lambda _, k: (-b[k], sum(A[k, i] * model.x[i] for i in n), b[k])
    )
    model.equal = pyo.Constraint(expr=sum(A[2, i] * model.x[i] for i in n) == 0.3 * b[2])
    model.ball = pyo.Constraint(
        expr=sum(Q[i, j] * model.x[i] * model.x[j] for i in n for j in n) <= model.one
    )
    cost = sum(model.x[i] * model.e[i] for i in n) / 2 + sum(c[i] * model.x[i] for i in n)
    model.cost = pyo.Objective(
        expr=sign * (cost + 7.0), sense=pyo.minimize if sign > 0 else pyo.maximize
    )
    model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    model.rc = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    return model


def kernel_program(data: dict[str, Any]) -> Any:
    """The same with matrix rows and lists."""
    H, Q, c, A, b, sign = data.values()
    n = range(len(c))
    model = pmo.block()
    model.x = pmo.variable_list(pmo.variable(lb=-0.6, ub=0.8) for _ in n)
    model.rows = pmo.matrix_constraint(A[:2], lb=-b[:2], ub=b[:2], x=list(model.x))
    model.equal = pmo.linear_constraint(list(model.x), A[2].tolist(), rhs=0.3 * b[2])
    model.ball = pmo.constraint(sum(Q[i, j] * model.x[i] * model.x[j] for i in n for j in n) <= 1.0)
    cost = sum(H[i, j] * model.x[i] * model.x[j] for i in n for j in n) / 2
    cost += sum(c[i] * model.x[i] for i in n)
    model.cost = pmo.objective(
        sign * (cost + 7.0), sense=pmo.minimize if sign > 0 else pmo.maximize
    )
    model.dual = pmo.suffix(direction=pmo.suffix.IMPORT)
    model.rc = pmo.suffix(direction=pmo.suffix.IMPORT)
    return model


def values(model: Any) -> np.ndarray:
    entries = model.x.values() if isinstance(model.x, pyo.Var) else model.x
    return np.array([v.value for v in entries])


def multipliers(model: Any) -> tuple[np.ndarray, np.ndarray]:
    duals = [model.dual[c] for c in (model.rows[0], model.rows[1], model.equal, model.ball)]
    entries = model.x.values() if isinstance(model.x, pyo.Var) else model.x
    return np.array(duals), np.array([model.rc[v] for v in entries])


def nonlinear_model() -> pyo.ConcreteModel:
    """minimise exp(x) + exp(−2y) subject to x − y = 1."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(initialize=0.0)
    model.y = pyo.Var(initialize=0.0)
    model.sum = pyo.Constraint(expr=model.x - model.y == 1.0)
    model.cost = pyo.Objective(expr=pyo.exp(model.x) + pyo.exp(-2 * model.y))
    model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    return model


# --- what it computes ---------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("make", [environ_program, kernel_program])
@pytest.mark.parametrize("seed", range(4))
def test_optimality_conditions_with_the_signs_of_pyomo(
    seed: int, make: Callable[..., Any], route: str
) -> None:
    """∇f = Σ dual ∇body + reduced costs, with signs by side and sense, from the data."""
    data = random_program(seed)
    H, Q, c, A, b, sign = data.values()
    model = make(data)
    results = solver(route, tol=1e-10).solve(model)
    assert results.extra_info.route == route
    x, (dual, rc) = values(model), multipliers(model)
    bodies = np.vstack([A, 2 * Q @ x])
    np.testing.assert_allclose(sign * (H @ x + c), dual @ bodies + rc, atol=1e-7)
    assert abs(A[2] @ x - 0.3 * b[2]) <= 1e-8
    assert x @ Q @ x <= 1 + 1e-7
    assert sign * dual[3] <= 1e-7
    for multiplier, value, low, high in [
        *zip(sign * dual[:2], A[:2] @ x, -b[:2], b[:2], strict=True),
        *zip(sign * rc, x, np.full(5, -0.6), np.full(5, 0.8), strict=True),
    ]:
        assert low - 1e-7 <= value <= high + 1e-7
        assert abs(max(multiplier, 0.0) * (value - low)) <= 1e-6
        assert abs(min(multiplier, 0.0) * (high - value)) <= 1e-6
    objective = sign * (0.5 * x @ H @ x + c @ x + 7.0)
    assert results.incumbent_objective == pytest.approx(objective, rel=1e-9)
    assert results.objective_bound is None


@pytest.mark.parametrize("seed", range(4))
def test_routes_and_kinds_of_model_agree(seed: int) -> None:
    answers = []
    for make in (environ_program, kernel_program):
        for route in ROUTES:
            model = make(random_program(seed))
            solver(route, tol=1e-10).solve(model)
            answers.append(np.concatenate([values(model), *multipliers(model)]))
    for other in answers[1:]:
        np.testing.assert_allclose(other, answers[0], atol=1e-6)


def test_nonlinear_model_in_closed_form() -> None:
    """exp(x) = 2 exp(−2y) on x − y = 1 with x = (2 + log 2)/3; the dual is exp(x)."""
    model = nonlinear_model()
    results = solver(tol=1e-10).solve(model)
    x = (2 + np.log(2)) / 3
    assert results.extra_info.route == "nl"
    assert model.x.value == pytest.approx(x, rel=1e-9)
    assert model.dual[model.sum] == pytest.approx(np.exp(x), rel=1e-8)
    assert results.incumbent_objective == pytest.approx(np.exp(x) + np.exp(2 - 2 * x), rel=1e-9)


def test_presolve_and_scaling_of_the_writer_do_not_show() -> None:
    plain = nonlinear_model()
    solver(tol=1e-10).solve(plain)
    scaled = nonlinear_model()
    del scaled.dual  # of eliminated constraints there are none
    scaled.extra = pyo.Var()
    scaled.defined = pyo.Constraint(expr=scaled.extra == 3 * scaled.x)
    scaled.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    scaled.scaling_factor[scaled.x] = 10.0
    scaled.scaling_factor[scaled.cost] = 0.5
    results = solver(tol=1e-10).solve(scaled, writer_config={"linear_presolve": True})
    assert scaled.x.value == pytest.approx(plain.x.value, rel=1e-9)
    assert scaled.extra.value == pytest.approx(3 * plain.x.value, rel=1e-9)
    assert results.incumbent_objective == pytest.approx(pyo.value(plain.cost), rel=1e-9)


def test_scaling_factors_make_small_numbers_count() -> None:
    """R_1 = R_2 for variances of 1e-8: at the stated scale every point is feasible to 1e-8."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var([0, 1], bounds=(0, None), initialize=0.5)
    model.budget = pyo.Constraint(expr=model.x[0] + model.x[1] == 1)
    model.parity = pyo.Constraint(expr=1e-8 * model.x[0] ** 2 == 4e-8 * model.x[1] ** 2)
    model.scaling_factor = pyo.Suffix(direction=pyo.Suffix.LOCAL)
    model.scaling_factor[model.x[0]] = 2.0
    solver().solve(model)
    assert model.x[0].value == pytest.approx(2 / 3, rel=1e-7)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_start_at_the_values_of_variables(side: float, route: str) -> None:
    """Of two minima the near one is found, and from it there is little left to do."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(initialize=3.0 * side)
    model.hole = pyo.Constraint(expr=model.x**2 >= 4.0)
    model.cost = pyo.Objective(expr=model.x**2 + 0.1 * model.x)
    cold = solver(route).solve(model)
    assert model.x.value == pytest.approx(2.0 * side, rel=1e-6)
    warm = solver(route, mu_init=1e-8, slack_bound_push=1e-8).solve(model)
    assert warm.extra_info.iterations < cold.extra_info.iterations


@pytest.mark.parametrize("route", ROUTES)
def test_fixed_by_bounds(route: str) -> None:
    """A variable with equal bounds has a reduced cost."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(2, 2))
    model.y = pyo.Var()
    model.c = pyo.Constraint(expr=model.y >= 3 * model.x)
    model.cost = pyo.Objective(expr=model.y + model.x)
    model.rc = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    solver(route).solve(model)
    assert model.rc[model.x] == pytest.approx(4.0, abs=1e-6)


def test_kernel_cones_are_read_as_what_they_say() -> None:
    """min −x − y in the disc of radius 1: (−√2); with an exponential cone through .nl."""
    model = pmo.block()
    model.x, model.y = pmo.variable(), pmo.variable()
    model.r = pmo.variable(lb=0.0, ub=1.0, value=1.0)
    model.disc = pmo.conic.quadratic(model.r, [model.x, model.y])
    model.cost = pmo.objective(-model.x - model.y)
    assert solver().solve(model).incumbent_objective == pytest.approx(-np.sqrt(2), rel=1e-7)
    model.one, model.z = pmo.variable(fixed=True, value=1.0), pmo.variable(value=5.0)
    model.exponential = pmo.conic.primal_exponential(model.z, model.one, model.x)
    model.cost.expr = model.z - 2 * model.x
    results = solver().solve(model)
    assert results.extra_info.route == "nl"
    assert model.x.value == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.parametrize("make", [pyo.ConcreteModel, pmo.block])
def test_all_variables_fixed(make: Callable[[], Any]) -> None:
    model = make()
    environ = make is pyo.ConcreteModel
    model.x = pyo.Var(initialize=2.0) if environ else pmo.variable(value=2.0)
    model.x.fix(2.0)
    model.cost = (pyo.Objective if environ else pmo.objective)(expr=model.x**2)
    results = solver().solve(model)
    assert results.incumbent_objective == pytest.approx(4.0)
    assert results.extra_info.status == "No_Variables"


@pytest.mark.parametrize("problem", [RiskParityNLP, RiskParityQCLP])
@pytest.mark.parametrize("realisation", ["block", "kernel"])
def test_blocks_of_the_nonconvex_problems(problem: Any, realisation: str) -> None:
    """With their scaling factors and the options for it, as accurate as without Pyomo."""
    rng = np.random.default_rng(5)
    Sigma = np.cov(rng.normal(size=(30, 6)).T) * 1e-4
    block = getattr(problem(DenseCovariance(Sigma)), realisation)()
    for weight in block.x.values():
        weight.value = 1 / 6
    results = solver(**DEFAULTS).solve(block)
    x = np.array([weight.value for weight in block.x.values()])
    R = x * (Sigma @ x)
    assert results.extra_info.route == "quadratic"
    assert R.std(ddof=1) / R.mean() <= 1e-8


# --- how it fits into Pyomo ---------------------------------------------------------------------


def test_both_factories_know_it() -> None:
    assert isinstance(SolverFactory("casadi_ipopt"), CasadiIpopt)
    legacy = pyo.SolverFactory("casadi_ipopt", options={"max_iter": 50})
    assert legacy.available()
    assert legacy.version() >= (3, 14)
    model = nonlinear_model()
    results = legacy.solve(model, options={"tol": 1e-10})
    pyo.assert_optimal_termination(results)
    assert model.x.value == pytest.approx((2 + np.log(2)) / 3, rel=1e-9)


def test_results_in_full(tmp_path: Path) -> None:
    model, stream = nonlinear_model(), io.StringIO()
    results = solver().solve(model, tee=stream, working_dir=tmp_path / "kept")
    assert results.solver_name == "casadi_ipopt"
    assert results.solver_version >= (3, 14)
    assert results.extra_info.status == "Solve_Succeeded"
    assert results.extra_info.iterations > 0
    timing = results.timing_info
    parts = timing.compile_time + timing.setup_time + timing.solve_time
    assert 0 < parts <= timing.wall_time
    assert "EXIT: Optimal Solution Found" in results.solver_log
    assert stream.getvalue() == results.solver_log
    assert (tmp_path / "kept" / "model.nl").read_text().startswith("g3")


def test_exported_suffixes_do_not_disturb() -> None:
    model = nonlinear_model()
    model.ipopt_zL_in = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    model.ipopt_zL_in[model.x] = 1.0
    model.priority = pyo.Suffix(direction=pyo.Suffix.EXPORT, datatype=pyo.Suffix.INT)
    model.priority[model.x], model.priority[model.y] = 1, 2
    assert solver().solve(model).solution_status is SolutionStatus.optimal


# --- refusals -----------------------------------------------------------------------------------


def square(x: Any) -> Any:
    return x**2


def unfit(name: str, function: Callable[[Any], Any]) -> pyo.ConcreteModel:
    """A model with something that cannot be taken, over functions that are quadratic or not."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(initialize=1.0)
    model.p = pyo.Param(mutable=True, initialize=1.0, within=pyo.Any)
    model.row = pyo.Constraint(expr=model.p * function(model.x) <= 4.0)
    model.cost = pyo.Objective(expr=model.x)
    match name:
        case "integer":
            model.x.domain = pyo.Integers
        case "two objectives":
            model.second = pyo.Objective(expr=-model.x)
        case "NaN coefficient":
            model.p.value = float("nan")
        case "NaN right-hand side":
            model.p.value = float("nan")
            model.other = pyo.Constraint(expr=model.x >= model.p)
            model.del_component(model.row)
            model.cost.expr = function(model.x)
        case "infinite coefficient":
            model.p.value = float("inf")
        case "NaN bound":
            model.x.setlb(float("nan"))
        case "NaN value":
            model.x.set_value(float("nan"), skip_validation=True)
        case "kernel object":
            model.cone = pmo.conic.quadratic(pmo.variable(lb=0), [pmo.variable()])
        case "SOS":
            model.y = pyo.Var([0, 1])
            model.sos = pyo.SOSConstraint(var=model.y, sos=1)
    return model


@pytest.mark.parametrize("function", [square, pyo.exp])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("integer", "'x' is integer"),
        ("two objectives", "'cost', 'second'"),
        ("NaN coefficient", "row|'p'"),
        ("NaN right-hand side", "other"),
        ("infinite coefficient", "'row'"),
        ("NaN bound", "'x'"),
        ("NaN value", "'x' has the value nan"),
        ("kernel object", "'cone' on 'unknown' is a pyomo.kernel object"),
        ("SOS", "'sos'"),
    ],
)
def test_refusals_name_the_component(
    name: str, message: str, function: Callable[[Any], Any]
) -> None:
    model = unfit(name, function)
    with pytest.raises(IncompatibleModelError, match=message) as refused:
        solver().solve(model)
    assert isinstance(refused.value, ModelError)


def test_kernel_sos_is_refused_behind_a_nonlinear_constraint() -> None:
    model = pmo.block()
    model.x = pmo.variable_list([pmo.variable(lb=0), pmo.variable(lb=0)])
    model.curve = pmo.constraint(pmo.exp(model.x[0]) <= 2.0)
    model.sos = pmo.sos2(list(model.x))
    model.cost = pmo.objective(model.x[0])
    with pytest.raises(IncompatibleModelError, match="'sos' is an SOS constraint"):
        solver().solve(model)


@pytest.mark.parametrize("name", ["asinh", "acosh", "atanh"])
def test_functions_that_cannot_be_read_are_named(name: str) -> None:
    model = nonlinear_model()
    model.curve = pyo.Constraint(expr=getattr(pyo, name)(model.x / 2 + 0.1) <= 5.0)
    with pytest.raises(IncompatibleModelError, match=f"'curve' has the function {name}"):
        solver().solve(model)


def test_conditional_expressions_are_named() -> None:
    model = nonlinear_model()
    model.switch = pyo.Constraint(
        expr=pyo.Expr_if(IF=model.x >= 0.0, THEN=model.x**2, ELSE=model.x) <= 5.0
    )
    with pytest.raises(IncompatibleModelError, match=r"'switch' has the expression Expr_if"):
        solver().solve(model)


def test_quadratic_route_on_request_refuses_other_functions() -> None:
    with pytest.raises(IncompatibleModelError, match="'cost'"):
        solver("quadratic").solve(nonlinear_model())


def test_relaxed_integers_are_taken() -> None:
    model = unfit("integer", square)
    pyo.TransformationFactory("core.relax_integer_vars").apply_to(model)
    solver().solve(model)
    assert model.x.value == pytest.approx(-2.0, rel=1e-6)


def test_options_are_checked_before_the_model_is_read() -> None:
    with pytest.raises(UnknownLabelError, match="did you mean 'max_iter'"):
        solver(max_itr=5).solve(nonlinear_model())
    with pytest.raises(InputError, match="'tol' is None"):
        solver(tol=None).solve(nonlinear_model())


# --- faults -------------------------------------------------------------------------------------


def long_valley(n: int = 2000) -> pyo.ConcreteModel:
    """The chained function of Rosenbrock, along whose valley Ipopt walks for several seconds."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(n), initialize=-1.0)
    model.y = pyo.Var(range(n - 1), initialize=1.0)
    model.squares = pyo.Constraint(range(n - 1), rule=lambda m, i: m.y[i] == m.x[i] ** 2)
    model.cost = pyo.Objective(
        expr=sum(
            100 * (model.x[i + 1] - model.y[i]) ** 2 + (1 - model.x[i]) ** 2 for i in range(n - 1)
        )
    )
    return model


def fails(model: Any, ipopt: CasadiIpopt, condition: TerminationCondition, **kwds: Any) -> None:
    """The documented results and exceptions; values stay; the same object solves the next model."""
    before = [v.value for v in model.component_data_objects(pyo.Var)]
    with pytest.raises(NoOptimalSolutionError):
        ipopt.solve(model, **kwds)
    with pytest.raises((NoFeasibleSolutionError, NoSolutionError)):
        ipopt.solve(model, raise_exception_on_nonoptimal_result=False, **kwds)
    results = ipopt.solve(
        model, raise_exception_on_nonoptimal_result=False, load_solutions=False, **kwds
    )
    assert results.termination_condition is condition
    assert results.solution_status is not SolutionStatus.optimal
    assert results.incumbent_objective is None
    assert [v.value for v in model.component_data_objects(pyo.Var)] == before
    other = nonlinear_model()
    ipopt.solve(other)
    assert other.x.value == pytest.approx((2 + np.log(2)) / 3, rel=1e-6)


@pytest.mark.parametrize("route", ROUTES)
def test_time_limit(route: str) -> None:
    model = environ_program(random_program(0))
    fails(model, solver(), TerminationCondition.maxTimeLimit, time_limit=0.0, route=route)


def test_iteration_limit() -> None:
    model = nonlinear_model()
    ipopt = solver()
    fails(model, ipopt, TerminationCondition.iterationLimit, solver_options={"max_iter": 1})


@pytest.mark.parametrize("route", ROUTES)
def test_infeasible(route: str) -> None:
    model = environ_program(random_program(0))
    model.far = pyo.Constraint(expr=sum(x**2 for x in model.x.values()) >= 100.0)
    fails(model, solver(), TerminationCondition.locallyInfeasible, route=route)


def test_constraint_without_variables_that_is_violated() -> None:
    model = nonlinear_model()
    model.z = pyo.Var(initialize=1.0)
    model.z.fix(1.0)
    model.never = pyo.Constraint(expr=model.z >= 2.0)
    fails_at_once = solver()
    with pytest.raises(NoOptimalSolutionError, match="never"):
        fails_at_once.solve(model)
    model.cost.expr = model.x
    with pytest.raises(NoOptimalSolutionError, match="'never' has no free variable"):
        fails_at_once.solve(model)


def test_acceptable_is_not_called_optimal() -> None:
    model = nonlinear_model()
    loose = {"tol": 1e-14, "acceptable_tol": 1e4, "acceptable_iter": 1}
    with pytest.raises(NoOptimalSolutionError, match="Solved_To_Acceptable_Level"):
        solver(**loose).solve(model)
    results = solver(**loose).solve(model, raise_exception_on_nonoptimal_result=False)
    assert results.solution_status is SolutionStatus.feasible
    assert results.incumbent_objective == pyo.value(model.cost)


def test_unbounded() -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(initialize=1.0)
    model.cost = pyo.Objective(expr=-(model.x**2))
    fails(model, solver(), TerminationCondition.unbounded)


def test_functions_that_cannot_be_evaluated() -> None:
    """log at a negative start."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(initialize=-1.0)
    model.cost = pyo.Objective(expr=model.x)
    model.c = pyo.Constraint(expr=pyo.log(model.x) >= 0.0)
    fails(model, solver(), TerminationCondition.error)
    results = solver().solve(
        model, raise_exception_on_nonoptimal_result=False, load_solutions=False
    )
    assert results.extra_info.status == "Invalid_Number_Detected"
    with pytest.raises(NoSolutionError, match="Invalid_Number_Detected"):
        results.solution_loader.get_vars()


def test_legacy_interface_reports_a_limit() -> None:
    model = nonlinear_model()
    legacy = pyo.SolverFactory("casadi_ipopt")
    results = legacy.solve(model, options={"max_iter": 1}, load_solutions=False)
    assert results.solver.termination_condition == pyo.TerminationCondition.maxIterations
    assert (model.x.value, model.y.value) == (0.0, 0.0)


@pytest.mark.no_cover  # an interrupt while coverage holds its lock leaves it locked for ever
def test_keyboard_interrupt_stops_ipopt_and_leaves_the_model_alone() -> None:
    model = long_valley()
    before = values(model)
    ipopt = solver()
    with pressed(every=0.5):
        ipopt.solve(model)
    np.testing.assert_array_equal(values(model), before)
    other = nonlinear_model()
    assert ipopt.solve(other).solution_status is SolutionStatus.optimal


def test_solving_off_the_main_thread() -> None:
    """Interrupts are the main thread's; another one solves all the same."""
    model = nonlinear_model()
    thread = threading.Thread(target=solver(tol=1e-10).solve, args=(model,))
    thread.start()
    thread.join()
    assert model.x.value == pytest.approx((2 + np.log(2)) / 3, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "accuracy"), [({}, 2e-5), ({"bound_relax_factor": 0.0}, 2e-5)], ids=str
)
@pytest.mark.parametrize("route", ROUTES)
def test_at_the_apex_of_a_cone_values_are_as_right_as_the_documents_say(
    route: str, options: dict[str, Any], accuracy: float
) -> None:
    """min r + c'x over ‖x − a‖ ≤ r is at x = a where ‖c‖ < 1."""
    rng = np.random.default_rng(0)
    for _ in range(8):
        n = int(rng.integers(1, 5))
        a, c = 3 * rng.normal(size=n), rng.normal(size=n)
        c *= rng.uniform(0.0, 0.97) / np.linalg.norm(c)
        model = pyo.ConcreteModel()
        model.x = pyo.Var(range(n))
        model.r = pyo.Var(bounds=(0, None))
        distance = sum((model.x[i] - a[i]) ** 2 for i in range(n))
        model.cone = pyo.Constraint(expr=distance <= model.r**2)
        model.cost = pyo.Objective(expr=model.r + sum(c[i] * model.x[i] for i in range(n)))
        results = solver(route, **options).solve(model)
        assert results.incumbent_objective == pytest.approx(c @ a, rel=accuracy, abs=accuracy)
