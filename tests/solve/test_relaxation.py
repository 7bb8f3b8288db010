"""Bounds that relaxations prove: never beyond the optimum, exact where the model is convex."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import DenseCovariance, RiskContributions, RiskParityQCLP, WeightSet, objective_bound
from rrp_pyomo.errors import InfeasibleError, ModelError
from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.solve.elimination import Reduced
from rrp_pyomo.solve.relaxation import Relaxation, _in_dual_cone
from rrp_pyomo.solve.table import find_solver
from rrp_pyomo.solvers.conic.session import Session
from rrp_pyomo.solvers.reading.standard_form import read_model


def grid(n, parts, lower, upper):
    """All weights of this many equal parts, summing to 1, between the bounds."""
    axes = np.meshgrid(*[np.arange(-parts, parts + 1)] * (n - 1), indexing="ij")
    x = np.stack([a.ravel() for a in axes], axis=1) / parts
    x = np.column_stack([x, 1.0 - x.sum(axis=1)])
    return x[((x >= lower - 1e-12) & (x <= upper + 1e-12)).all(axis=1)]


@pytest.mark.parametrize("seed", range(12))
def test_no_feasible_point_is_better(seed):
    """Caps, floors and ratios of contributions, long-only and long–short, against all of a grid."""
    rng = np.random.default_rng(seed)
    n, lower = 3, (0.0, -0.5)[seed % 2]
    half = rng.normal(size=(n, n + 1))
    Sigma = DenseCovariance(half @ half.T * 10.0 ** rng.uniform(-5, 3), list("abc"))
    S = Sigma.matrix().to_numpy()
    mean = rng.normal(size=n) * np.sqrt(S.diagonal().mean())
    cap = rng.uniform(0.3, 0.6)
    model = pyo.ConcreteModel()
    model.w = pyo.Var(list("abc"), bounds=(lower, 1.0), initialize=1 / 3)
    model.rc = RiskContributions(Sigma, {"ab": ["a", "b"]}).block(model.w)
    rc = model.rc
    model.invested = pyo.Constraint(expr=sum(model.w.values()) == 1)
    model.cap = pyo.Constraint(expr=rc.group["ab"] <= cap * rc.variance)
    model.ratio = pyo.Constraint(expr=rc.contribution["a"] <= 1.5 * rc.contribution["b"])
    gain = sum(m * v for m, v in zip(mean, model.w.values(), strict=True))
    if seed % 3 == 0:
        model.goal = pyo.Objective(expr=gain - rc.volatility, sense=pyo.maximize)
    elif seed % 3 == 1:
        model.goal = pyo.Objective(expr=rc.volatility - 0.1 * gain)
    else:
        model.goal = pyo.Objective(expr=rc.variance)
    x = grid(n, 200, lower, 1.0)
    contribution = x * (x @ S)
    variance = contribution.sum(axis=1)
    kept = (contribution[:, :2].sum(axis=1) <= cap * variance) & (
        contribution[:, 0] <= 1.5 * contribution[:, 1]
    )
    values = {
        0: x @ mean - np.sqrt(variance),
        1: np.sqrt(variance) - 0.1 * (x @ mean),
        2: variance,
    }[seed % 3][kept]
    bound = objective_bound(model)
    size = np.abs(values).max()
    if seed % 3 == 0:
        assert bound.bound >= values.max() - 1e-9 * size
        assert bound.bound <= values.max() + 0.2 * size
    else:
        assert bound.bound <= values.min() + 1e-9 * size
        assert bound.bound >= values.min() - 0.2 * size
    assert bound.unbounded == ()


def capped(Sigma, environ=True):
    """The least variance with a quarter of it from the first two, and 2 % of it from each."""
    n, labels = Sigma.size, list(Sigma.labels)
    own = pyo if environ else pmo
    decomposition = RiskContributions(Sigma, {"first": labels[:2]})
    if environ:
        model = pyo.ConcreteModel()
        model.w = pyo.Var(labels, bounds=(0, 1), initialize=1 / n)
        model.rc = decomposition.block(model.w)
        make = pyo.Constraint
    else:
        model = pmo.block()
        model.w = pmo.variable_dict((a, pmo.variable(lb=0, ub=1, value=1 / n)) for a in labels)
        model.rc = decomposition.kernel(model.w)
        make = pmo.constraint
    rc = model.rc
    model.invested = make(expr=sum(model.w.values()) == 1)
    model.cap = make(expr=(rc.group["first"] - 0.05 * rc.variance) / rc.unit <= 0)
    rows = {a: (rc.contribution[a] - 0.02 * rc.variance) / rc.unit >= 0 for a in labels}
    if environ:
        model.floor = pyo.Constraint(labels, rule=rows)
        model.goal = own.Objective(expr=rc.variance)
    else:
        model.floor = pmo.constraint_dict((a, pmo.constraint(expr=e)) for a, e in rows.items())
        model.goal = own.objective(rc.variance)
    return model


@pytest.mark.parametrize("environ", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_a_local_optimum_is_proved_to_be_global(factor_covariance, dense, environ):
    Sigma = factor_covariance(15)
    model = capped(DenseCovariance(Sigma.matrix()) if dense else Sigma, environ)
    before = objective_bound(model)
    assert before.objective == pytest.approx(Sigma.variance(np.full(15, 1 / 15)))
    assert before.violation > 0.1
    SolverFactory("casadi_ipopt").solve(model)
    proved = objective_bound(model)
    assert proved.bound == pytest.approx(before.bound, rel=1e-9)
    assert proved.objective == pytest.approx(pyo.value(model.goal.expr), rel=1e-9)
    assert proved.violation < 1e-7
    assert -1e-6 < (proved.objective - proved.bound) / proved.objective < 3e-4
    assert proved.relative_gap == pytest.approx(proved.gap / proved.objective)


@pytest.mark.parametrize("seed", range(3))
def test_global_solvers_find_nothing_better(factor_covariance, need, seed):
    need("gurobi")
    Sigma = factor_covariance(6, seed=seed)
    model = capped(Sigma)
    bound = objective_bound(model).bound
    options = {"FeasibilityTol": 1e-9, "MIPGap": 1e-6, "MIPGapAbs": 1e-12}
    SolverFactory("gurobi_persistent").solve(model, solver_options=options, time_limit=60)
    best = pyo.value(model.goal)
    assert bound <= best * (1 + 1e-6)
    assert bound >= best * (1 - 1e-3)


def test_a_convex_model_is_bounded_by_its_optimum(factor_covariance):
    """Volatility and turnover, a fixed weight, cash, a variable without bounds."""
    Sigma = factor_covariance(5)
    model = pyo.ConcreteModel()
    model.w = pyo.Var(list(Sigma.labels), bounds=(0, 1), initialize=0.2)
    model.cash = pyo.Var(bounds=(0, 0.5))
    model.turnover = pyo.Var(list(Sigma.labels))
    risk = RiskContributions(Sigma)
    model.rc = risk.block(model.w)
    model.w["A0"].fix(0.15)
    model.invested = pyo.Constraint(expr=sum(model.w.values()) + model.cash == 1)
    model.up = pyo.Constraint(Sigma.labels, rule=lambda m, a: m.turnover[a] >= m.w[a] - 0.2)
    model.down = pyo.Constraint(Sigma.labels, rule=lambda m, a: m.turnover[a] >= 0.2 - m.w[a])
    model.cost = pyo.Constraint(expr=sum(model.turnover.values()) <= 0.4)
    model.goal = pyo.Objective(expr=model.rc.volatility)
    SolverFactory("casadi_ipopt").solve(model)
    proved = risk.bound(model)
    assert proved.relative_gap < 1e-5
    assert proved.bound <= pyo.value(model.goal) * (1 + 1e-7)
    assert set(proved.unbounded) <= {v.name for v in model.turnover.values()}


def test_rough_multipliers_prove_less_and_nothing_false(factor_covariance):
    """The bound is of the multipliers in the dual cone, whatever a solver made of them."""
    model = capped(factor_covariance(5))
    model.goal.set_value(model.rc.volatility)  # a second-order cone among them
    stated = read_model(model, cones=False)
    relaxation = Relaxation(stated, Reduced.of(stated))
    backend = find_solver("clarabel").backend()
    answer = Session(backend).solve(relaxation._program().conic())
    best = relaxation._proved(answer)
    rng = np.random.default_rng(0)
    for size in 10.0 ** np.arange(-8, 0):
        noise = rng.normal(0.0, size * np.abs(answer.z).mean(), answer.z.size)
        assert relaxation._proved(replace(answer, z=answer.z + noise)) <= best + 1e-8 * abs(best)


def test_multipliers_are_moved_into_the_dual_cone():
    """Nonnegative, second-order, semidefinite: those outside, and only those."""
    rng = np.random.default_rng(1)
    unit = np.ones(1)
    builder = ConicBuilder(unit)
    nothing = Rows(*(np.zeros(0, np.intp),) * 2, np.zeros(0), np.zeros(3))
    builder.nonnegative(nothing)
    builder.second_order_rows(nothing, 3)
    builder.semidefinite(Rows(*nothing[:3], np.zeros(9)), 3)
    form = builder.build(Rows(*nothing[:3], np.zeros(1)))
    for _ in range(20):
        z = rng.normal(size=12)
        moved = _in_dual_cone(form, z)
        assert moved[:3].min() >= 0
        assert moved[3] >= np.linalg.norm(moved[4:6]) - 1e-12
        a, b, c, d, e, f = moved[6:] * np.sqrt([1, 0.5, 1, 0.5, 0.5, 1])
        matrix = np.array([[a, b, d], [b, c, e], [d, e, f]])
        assert np.linalg.eigvalsh(matrix)[0] >= -1e-12
        np.testing.assert_allclose(_in_dual_cone(form, moved), moved, atol=1e-12)


def test_problem_4_under_constraints(factor_covariance):
    """The relaxation reads any quadratic model: (4) next to binding bounds."""
    Sigma = factor_covariance(6)
    block = RiskParityQCLP(Sigma, weight_set=WeightSet(lower=0.1, upper=0.2)).block()
    for variable in block.x.values():
        variable.value = 1 / 6
    SolverFactory("casadi_ipopt").solve(block)
    proved = objective_bound(block)
    assert proved.bound <= proved.objective * (1 + 1e-6)
    assert proved.relative_gap < 0.2


def test_what_is_refused(factor_covariance):
    model = capped(factor_covariance(4))
    model.log = pyo.Constraint(expr=pyo.log(model.w["A0"]) >= -3)
    with pytest.raises(ModelError, match=r"quadratic models only: constraint 'log' .*deactivate"):
        objective_bound(model)
    model.log.deactivate()
    model.held = pyo.Var(domain=pyo.Binary)
    model.switch = pyo.Constraint(expr=model.w["A0"] <= model.held)
    with pytest.raises(ModelError, match=r"'held' is integer or binary.*relax_integer_vars"):
        objective_bound(model)
    model.held.domain = pyo.UnitInterval
    assert objective_bound(model).objective is None
    assert objective_bound(model).gap is None
    model.more = pyo.Constraint(expr=model.rc.group["first"] >= 0.2 * model.rc.variance)
    with pytest.raises(InfeasibleError, match="the model has no solution; relax"):
        objective_bound(model)


def test_nothing_bounds_the_objective():
    model = pyo.ConcreteModel()
    model.x, model.y = pyo.Var(bounds=(0, 1), initialize=0), pyo.Var(initialize=0)
    model.row = pyo.Constraint(expr=model.x * model.x <= 1)
    model.goal = pyo.Objective(expr=model.y)
    assert objective_bound(model).bound == -np.inf
