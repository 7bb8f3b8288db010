"""Blocks in the hands of Pyomo's own tools: copies, printers, references, initial values."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.latex_printer import latex_printer
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import (
    FactorModel,
    RiskBudgeting,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
)
from rrp_pyomo.data import datasets, excess_returns
from rrp_pyomo.errors import InputError, ModelError, UnknownLabelError
from rrp_pyomo.modeling import norm
from rrp_pyomo.program import Program

PROBLEMS = {
    "(3)": lambda u: RiskParityNLP(u.nominal),
    "(4)": lambda u: RiskParityQCLP(u.nominal),
    "(11)": lambda u: RiskParitySOCP(u.nominal),
    "(12)": lambda u: RobustRiskParity(u, 2.0),
    "budgeting": lambda u: RiskBudgeting(u.nominal),
}
PICKLERS = ["pickle", "dill", "cloudpickle"]
CONES = ["(11)", "(12)"]  # as quadratics, which conic solvers read
EACH = pytest.mark.parametrize("name", PROBLEMS)
BOTH = pytest.mark.parametrize("kind", ["block", "kernel"])


@pytest.fixture(scope="module")
def uncertainty():
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).tail(60).iloc[:, :6]
    return FactorModel.fit(returns, data.factors.tail(60)).covariance_uncertainty()


@pytest.fixture
def problem(name, uncertainty):
    return PROBLEMS[name](uncertainty)


def model_of(problem, weights=None, **options):
    """A model with weights of its own, and the problem as a block about them."""
    model = pyo.ConcreteModel()
    model.w = pyo.Var(list(problem.labels), bounds=(0, 1))
    model.parity = problem.block(model.w if weights is None else weights(model), **options)
    return model


def solved(model, solver="clarabel"):
    SolverFactory(solver).solve(model)
    return np.array(list(model.w.extract_values().values()))


# --- copies and printers ------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("tool", PICKLERS)
def test_models_and_blocks_are_pickled(problem, name, tool):
    model = model_of(problem, objective=True)
    tool = pytest.importorskip(tool)
    twin = tool.loads(tool.dumps(model))
    label = problem.labels[0]
    assert twin.parity.x[label] is twin.w[label]
    assert twin.parity.x[label] is not model.w[label]
    alone = tool.loads(tool.dumps(problem.block()))
    assert len(list(alone.component_data_objects(pyo.Var))) > len(problem.labels)
    if name in CONES:
        np.testing.assert_allclose(solved(twin), solved(model), atol=1e-12)


@EACH
def test_models_are_printed_as_latex(problem):
    model = model_of(problem, objective=True)
    written = latex_printer(model)
    assert written.count("\\\\") > len(problem.labels)
    for part in model.parity.component_objects((pyo.Constraint, pyo.Expression)):
        if not part.is_indexed():
            assert latex_printer(part)
    model.pprint(out := io.StringIO())
    assert "0 + " not in out.getvalue()
    assert "+ (0)" not in out.getvalue()


@pytest.mark.parametrize("name", ["(3)", "(4)", "(11)", "(12)"])
def test_gurobi_takes_them_as_nonlinear_functions(problem, name):
    pytest.importorskip("gurobipy")
    if name in CONES:
        model = model_of(problem, objective=True)
        SolverFactory("gurobi_direct_minlp").solve(model)
        expected = problem.solve().objective / problem.objective_unit
        assert pyo.value(model.parity.objective) == pytest.approx(expected, abs=1e-6)
        return
    # The nonconvex ones are global searches there: at the solution, they are to be read only.
    model = model_of(problem, objective=True)
    start = RiskParitySOCP(problem.covariance).solve().weights
    for label, variable in model.w.items():
        variable.setlb(start[label] - 1e-3)
        variable.setub(start[label] + 1e-3)
    SolverFactory("gurobi_direct_minlp").solve(model)
    assert pyo.value(model.parity.objective) == pytest.approx(0.0, abs=1e-4)


@EACH
def test_clones_and_indexed_blocks(problem, name):
    model = pyo.ConcreteModel()
    model.w = pyo.Var(list(problem.labels), bounds=(0, 1))
    model.part = pyo.Block([1, 2], rule=lambda b, k: problem.block(model.w))
    model.own = pyo.Block(["a"], rule=lambda b, k: problem.block(objective=False))
    model.total = pyo.Objective(expr=sum(b.objective_expression for b in model.part.values()))
    twin = model.clone()
    for label in problem.labels:
        assert twin.part[2].x[label] is twin.w[label]
        assert twin.own["a"].x[label].parent_block() is twin.own["a"]
    if name in CONES:
        np.testing.assert_allclose(solved(twin), problem.solve().weights, atol=1e-6)
        assert all(v.value is None for v in model.w.values())


# --- weights ------------------------------------------------------------------------------------


@EACH
def test_bound_weights_are_a_reference(problem):
    model = model_of(problem)
    x = model.parity.x
    assert x.is_reference()
    assert x.ctype is pyo.Var
    assert list(x) == list(problem.labels)
    x.fix(0.25)
    assert all(v.fixed and v.value == 0.25 for v in model.w.values())
    assert x.extract_values() == model.w.extract_values()
    x.unfix()
    x.setub(0.5)
    assert {v.ub for v in model.w.values()} == {0.5}
    seen = list(model.component_data_objects(pyo.Var))
    assert len(seen) == len({id(v) for v in seen})


def roots():
    program = Program("roots")
    x = program.variable("x", ["a", "b"], lower=0)
    s = program.variable("s", lower=0)
    program.minimize(s)
    program.subject_to(fully_invested=x.sum() == 1, risk=norm(np.diag([3.0, 4.0]) @ x) <= s)
    return program


@BOTH
def test_a_bound_scalar_is_a_scalar(kind):
    model = pyo.ConcreteModel() if kind == "block" else pmo.block()
    model.s = pyo.Var(initialize=0.5) if kind == "block" else pmo.variable(lb=0, value=0.5)
    model.b = getattr(roots(), kind)({"s": model.s})
    assert model.b.s is model.s
    assert pyo.value(model.b.s) == 0.5
    twin = model.clone()
    assert twin.b.s is twin.s
    assert pickle.loads(pickle.dumps(model)).b.s.value == 0.5
    SolverFactory("clarabel").solve(model)
    assert model.s.value == pytest.approx(2.4, rel=1e-6)  # 3 · 4 / 5


@BOTH
def test_kernel_and_environ_take_a_core_and_a_satellite(kind, uncertainty):
    """(11) on w = core + satellite, against the same with weights that a row defines."""
    problem = RiskParitySOCP(uncertainty.nominal)
    labels, first = list(problem.labels), problem.labels[0]

    def model_with(by_rows):
        if kind == "block":
            m = pyo.ConcreteModel()
            m.core = pyo.Param(labels, initialize=1 / 12, mutable=True)
            m.satellite = pyo.Var(labels, bounds=(0, 0.2))
            m.w = pyo.Var(labels, bounds=(0, 1))
        else:
            m = pmo.block()
            m.core = pmo.parameter_dict((a, pmo.parameter(1 / 12)) for a in labels)
            m.satellite = pmo.variable_dict((a, pmo.variable(lb=0, ub=0.2)) for a in labels)
            m.w = pmo.variable_dict((a, pmo.variable(lb=0, ub=1)) for a in labels)
        total = {a: m.core[a] + m.satellite[a] for a in labels}
        total[first] = 0.12  # a number among them
        if by_rows:
            if kind == "block":
                m.link = pyo.Constraint(labels, rule={a: m.w[a] == total[a] for a in labels})
            else:
                m.link = pmo.constraint_dict(
                    (a, pmo.constraint(m.w[a] == total[a])) for a in labels
                )
        m.parity = getattr(problem, kind)(m.w if by_rows else total, objective=True)
        SolverFactory("clarabel").solve(m)
        return m

    rows, links = model_with(True), model_with(False)
    assert not hasattr(rows.parity, "x_link")
    assert list(links.parity.x_link) == labels
    weights = [[m.parity.x[a].value for a in labels] for m in (rows, links)]
    np.testing.assert_allclose(*weights, atol=1e-7)
    assert weights[1][0] == pytest.approx(0.12, abs=1e-9)
    satellite = [links.satellite[a].value for a in labels[1:]]
    np.testing.assert_allclose(weights[1][1:], np.array(satellite) + 1 / 12, atol=1e-8)


def test_a_link_has_a_name_that_nothing_else_has():
    program = roots()
    program.subject_to(x_link=program.variables["x"] <= 0.9)
    model = pyo.ConcreteModel()
    model.v = pyo.Var()
    with pytest.raises(ModelError, match="'x_link' names a part"):
        program.block({"x": [model.v, 1 - model.v]})


@EACH
@pytest.mark.parametrize("scaling", [True, False])
def test_the_scaling_suffix_is_left_out(problem, scaling):
    assert (problem.block(scaling=scaling).component("scaling_factor") is None) is not scaling
    assert hasattr(problem.kernel(scaling=scaling), "scaling_factor") is scaling


# --- initial values -----------------------------------------------------------------------------


def entries(block):
    kind = pyo.Var if isinstance(block, pyo.Block) else pmo.variable
    if kind is pyo.Var:
        return list(block.component_data_objects(pyo.Var))
    return list(block.components(ctype=pmo.variable._ctype))


def largest_violation(block):
    worst = 0.0
    for row in block.component_data_objects(pyo.Constraint):
        body = pyo.value(row.body)
        low = -np.inf if row.lower is None else pyo.value(row.lower)
        high = np.inf if row.upper is None else pyo.value(row.upper)
        worst = max(worst, low - body, body - high)
    return worst


def weights_like(problem, kind):
    n = len(problem.labels)
    values = np.arange(1.0, n + 1) / (n * (n + 1) / 2)
    if kind == "block":
        w = pyo.Var(list(problem.labels), bounds=(0, 1))
        w.construct()
    else:
        w = pmo.variable_dict((a, pmo.variable(lb=0, ub=1)) for a in problem.labels)
    for variable, value in zip(w.values(), values, strict=True):
        variable.value = value
    return w, values


@EACH
@BOTH
def test_every_variable_starts_at_the_best_point_of_equal_weights(problem, kind):
    """Those of (3) and (4) at the solution of the convex problem, where their objective is 0."""
    block = getattr(problem, kind)()
    assert all(v.value is not None for v in entries(block))
    n = len(problem.labels)
    x = np.full(n, 1 / n)
    if isinstance(problem, RiskParityNLP | RiskParityQCLP):
        x = RiskParitySOCP(problem.covariance).solve("newton").weights.to_numpy()
        assert pyo.value(block.objective_expression) == pytest.approx(0.0, abs=1e-12)
    assert [v.value for v in block.x.values()] == pytest.approx(x, rel=1e-12)
    there = problem.program().objective.value(problem.statement.point(problem._values_at(x)))
    found = pyo.value(block.objective_expression)
    assert found == pytest.approx(float(there[0]), rel=1e-12, abs=1e-25)
    if kind == "block":
        assert largest_violation(block) < 1e-12


@EACH
@BOTH
def test_or_at_that_of_the_weights_own_values(problem, kind):
    weights, values = weights_like(problem, kind)
    block = getattr(problem, kind)(weights)
    point = problem.statement.values(problem.statement.point(problem._values_at(values)))
    for name, numbers in point.items():
        part = getattr(block, name)
        found = [v.value for v in part.values()] if hasattr(part, "values") else [part.value]
        np.testing.assert_allclose(found, numbers, rtol=1e-12, atol=1e-15)
    if kind == "block":
        assert largest_violation(block) < 1e-12
    # As expressions, the values of the weights go to the block's own.
    linked = getattr(problem, kind)({a: v + 0.0 for a, v in weights.items()})
    np.testing.assert_allclose([v.value for v in linked.x.values()], values, rtol=1e-12)


@EACH
def test_weights_without_values_or_at_0_do_not_start_at_the_apex(problem):
    for initial in (None, 0.0):
        w = pyo.Var(list(problem.labels), initialize=initial)
        w.construct()
        block = problem.block(w)
        assert {v.value for v in w.values()} == {initial}
        own = [v for v in entries(block) if v.parent_component() is not w]
        assert all(v.value is not None and np.isfinite(v.value) for v in own)
        assert max(abs(v.value) for v in own) > 0.1


def test_short_positions_that_have_no_best_point_do_not_spoil_it(uncertainty):
    problem = RiskParitySOCP(uncertainty.nominal)
    w = pyo.Var(
        list(problem.labels),
        initialize=dict(zip(problem.labels, [1, -1, 1, 1, -1, 0], strict=True)),
    )
    w.construct()
    assert all(np.isfinite(v.value) for v in entries(problem.block(w)))


@EACH
@BOTH
def test_a_program_sets_the_variables_of_its_block(problem, kind):
    weights, values = weights_like(problem, kind)
    made, set_later = getattr(problem, kind)(weights), getattr(problem, kind)()
    problem.statement.initialise(set_later, problem._values_at(values))
    for name in problem.statement.variables:
        a, b = getattr(made, name), getattr(set_later, name)
        pairs = zip(a.values(), b.values(), strict=True) if hasattr(a, "values") else [(a, b)]
        assert all(u.value == pytest.approx(v.value, rel=1e-12, abs=1e-15) for u, v in pairs)
    if kind == "block":
        assert largest_violation(set_later) < 1e-12


def test_a_start_for_a_program_of_ones_own():
    block = roots().block(start={"x": [0.5, 0.5], "s": 2.5})
    assert block.s.value == 2.5
    assert [v.value for v in block.risk_vector.values()] == [1.5, 2.0]
    assert roots().block().s.value is None
    with pytest.raises(UnknownLabelError, match="variable 'y'"):
        roots().block(start={"y": 1.0})
    with pytest.raises(InputError, match="3 values were given for 'x'"):
        roots().block(start={"x": [1.0, 2.0, 3.0]})


def two_parity_blocks(uncertainty):
    """Two sleeves with cash, trading, and a cap on p − t of both."""
    labels = list(uncertainty.labels)
    halves = labels[:3], labels[3:]
    m = pyo.ConcreteModel()
    m.w = pyo.Var(labels, bounds=(0, 1))
    m.cash = pyo.Var(bounds=(0, 0.1))
    m.trade = pyo.Var(labels, bounds=(0, None))
    from rrp_pyomo.data import WeightSet

    for k, half in enumerate(halves):
        covariance = uncertainty.nominal.select(half)
        sleeve = RiskParitySOCP(covariance, weight_set=WeightSet(fully_invested=False))
        block = sleeve.block({a: m.w[a] for a in half})
        m.add_component(f"sleeve_{k}", block)
        m.add_component(f"cap_{k}", pyo.Constraint(expr=block.p - block.t <= 0.02))
    m.sleeve_0.t.fix(0.35)
    m.invested = pyo.Constraint(expr=sum(m.w.values()) + m.cash == 1)
    before = 1 / len(labels)
    m.buy = pyo.Constraint(labels, rule=lambda m, a: m.trade[a] >= m.w[a] - before)
    m.sell = pyo.Constraint(labels, rule=lambda m, a: m.trade[a] >= before - m.w[a])
    m.goal = pyo.Objective(expr=m.sleeve_0.p + m.sleeve_1.p + 0.1 * sum(m.trade.values()))
    return m


@pytest.mark.parametrize("route", ["auto", "nl"])
def test_ipopt_finds_the_feasible_points_of_two_blocks(uncertainty, route):
    """From variables without values it starts at the apex of the cones, and finds none."""
    expected = two_parity_blocks(uncertainty)
    SolverFactory("clarabel").solve(expected)
    model = two_parity_blocks(uncertainty)
    SolverFactory("casadi_ipopt").solve(model, route=route)
    assert pyo.value(model.goal) == pytest.approx(pyo.value(expected.goal), rel=1e-6)


def test_series_of_expressions(uncertainty):
    problem = RiskParitySOCP(uncertainty.nominal)
    model = pyo.ConcreteModel()
    model.v = pyo.Var(list(problem.labels), bounds=(0, 2))
    half = pd.Series({a: 0.5 * v for a, v in model.v.items()})
    model.parity = problem.block(half, objective=True)
    SolverFactory("clarabel").solve(model)
    expected = 2 * problem.solve().weights.to_numpy()
    np.testing.assert_allclose([v.value for v in model.v.values()], expected, atol=1e-6)
