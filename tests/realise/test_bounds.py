"""Finite bounds of blocks, which never bind, and the transformations that ask for them."""

from __future__ import annotations

import logging

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo import gdp
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import (
    FactorModel,
    RiskBudgeting,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    WeightSet,
)
from rrp_pyomo.data import datasets, excess_returns
from rrp_pyomo.modeling import InCone, exp, geometric_mean, norm, sum_squares
from rrp_pyomo.modeling.cones import EXPONENTIAL
from rrp_pyomo.program import Program
from rrp_pyomo.realise.bounds import implied_bounds

PROBLEMS = {
    "(3)": lambda u: RiskParityNLP(u.nominal),
    "(4)": lambda u: RiskParityQCLP(u.nominal),
    "(11)": lambda u: RiskParitySOCP(u.nominal),
    "(12)": lambda u: RobustRiskParity(u, 1.0),
    "budgeting": lambda u: RiskBudgeting(u.nominal),
    "short": lambda u: RiskParitySOCP(
        u.nominal,
        weight_set=WeightSet(signs=dict(zip(u.labels, [-1, 1, 1], strict=True)), gross=1.0),
    ),
}
EACH = pytest.mark.parametrize("name", PROBLEMS)


@pytest.fixture(scope="module")
def uncertainties():
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free)
    labels = list(returns.columns[:3])
    spans = slice(-60, None), slice(-200, -140)
    return [
        FactorModel.fit(returns[labels].iloc[s], data.factors.iloc[s]).covariance_uncertainty()
        for s in spans
    ]


@pytest.fixture
def problem(name, uncertainties):
    return PROBLEMS[name](uncertainties[0])


def own(block):
    return [v for v in block.component_data_objects(pyo.Var) if v.parent_block() is block]


# --- bounds -------------------------------------------------------------------------------------


@EACH
def test_all_variables_have_bounds_that_no_best_point_comes_near(problem):
    """At the best values for any weights, half of each bound is enough."""
    model = pyo.ConcreteModel()
    model.w = pyo.Var(list(problem.labels), bounds=(-1, 1))
    model.b = problem.block(model.w, bounds=True)
    signs = np.array([-1.0, 1, 1]) if not problem.weight_set.long_only else np.ones(3)
    rng = np.random.default_rng(3)
    corners = [*np.eye(3), *rng.dirichlet(np.ones(3), 40), *rng.dirichlet(np.full(3, 0.1), 40)]
    for x in corners:
        values = problem._values_at(signs * x)
        problem.statement.initialise(model.b, values)
        if max(problem.statement.residuals(problem.statement.point(values)).values()) > 1e-9:
            continue  # with short positions some weights have none
        for variable in own(model.b):
            assert np.isfinite([variable.lb, variable.ub]).all()
            assert variable.lb / 2 - 1e-9 <= variable.value <= variable.ub / 2 + 1e-9


@EACH
def test_bounds_are_no_rows_of_the_conic_form_and_not_of_the_users(problem):
    assert np.isinf(problem.statement.bounds()[1]).any()
    model = pyo.ConcreteModel()
    model.w = pyo.Var(list(problem.labels))
    model.b = problem.block(model.w, bounds=True)
    assert all(v.bounds == (None, None) for v in model.w.values())
    unbounded = [v for v in own(problem.block()) if v.ub is None]
    assert unbounded


def test_they_do_not_depend_on_bounds_that_may_be_loosened(uncertainties):
    problem = RiskParitySOCP(uncertainties[0].nominal)
    found = []
    for upper in (0.4, None):
        model = pyo.ConcreteModel()
        model.w = pyo.Var(list(problem.labels), bounds=(0, upper))
        model.b = problem.block(model.w, bounds=True)
        found.append([v.bounds for v in own(model.b)])
    assert found[0] == found[1]


def test_they_hold_for_another_omega(uncertainties):
    problem = RobustRiskParity(uncertainties[0], 2.0)
    block = problem.block(bounds=True)
    for omega in (0.0, 0.01, 3.0):
        block.omega.value = problem.omega = omega
        SolverFactory("clarabel").solve(block)
        weights = [v.value for v in block.x.values()]
        np.testing.assert_allclose(weights, problem.solve().weights, atol=1e-6)


def test_without_a_total_nothing_follows(uncertainties):
    open_ended = RiskParitySOCP(
        uncertainties[0].nominal, weight_set=WeightSet(fully_invested=False)
    ).block(bounds=True)
    assert all(v.ub is None for v in own(open_ended))


def bounds_of(program):
    source = program.over_variables()
    lower, upper = implied_bounds(source)
    return {
        name: (lower[v.offset : v.offset + v.size], upper[v.offset : v.offset + v.size])
        for name, v in source.variables.items()
    }


def test_intervals_by_hand():
    """Each is twice what the row says, and a unit more."""
    p = Program("intervals")
    x = p.variable("x", ["a", "b"], lower=0)
    y, s, q = p.variable("y"), p.variable("s", lower=0), p.variable("q")
    p.minimize(s)
    p.subject_to(
        total=x.sum() == 3,
        row=y == np.array([2.0, -1.0]) @ x + 1,
        ball=norm(np.array([[1.0, 1.0], [0.0, 4.0]]) @ x) <= s,
        product=q == x["a"] * y,
    )
    found = bounds_of(p)
    np.testing.assert_allclose(found["x"], [[0, 0], [7, 7]])
    np.testing.assert_allclose(found["y"], [[-5], [15]])  # −2 … 7
    np.testing.assert_allclose(found["s"], [[0], [2 * np.hypot(3, 12) + 1]])
    np.testing.assert_allclose(found["q"], [[-2 * 6 - 1], [2 * 21 + 1]])


def test_a_sum_over_a_simplex_does_not_grow_with_its_number():
    for n in (2, 50):
        p = Program("simplex")
        x = p.variable("x", n, lower=0)
        y = p.variable("y")
        p.minimize(y)
        p.subject_to(total=x.sum() == 1, row=y == np.linspace(1, 2, n) @ x)
        np.testing.assert_allclose(bounds_of(p)["y"], [[-1.0], [5.0]])  # 1 … 2


def test_exponential_cones_and_means():
    p = Program("cones")
    z = p.variable("z", 3, lower=0, upper=2)
    u, g, h = p.variable("u", 3), p.variable("g"), p.variable("h", lower=0)
    p.maximize(g + h)
    p.subject_to(
        cone=InCone((u, h * np.ones(3), z), EXPONENTIAL),
        least=u >= -1,
        mean=g <= geometric_mean(z, cones="second_order"),
    )
    found = bounds_of(p)
    np.testing.assert_allclose(found["u"][1], 2 * 2 / np.e + 1)
    assert found["h"][1] == 2 * 3 + 1  # u + h ≤ z
    assert found["g"][1] == 2 * 2 + 1


def test_parameters_are_not_taken_by_their_values():
    p = Program("parameters")
    x, y = p.variable("x", lower=0, upper=1), p.variable("y", lower=0)
    k = p.parameter("k", 5.0)
    p.maximize(y)
    p.subject_to(most=y <= 3 - k * x, least=k * y <= 7)
    assert bounds_of(p)["y"][1] == 2 * 3 + 1


def test_programs_have_them_when_asked():
    p = Program("asked")
    x = p.variable("x", 2, lower=0)
    p.minimize(sum_squares(x))
    p.subject_to(total=x.sum() == 1, least=exp(x) <= 3)
    assert p.block().x[0].ub is None
    assert p.block(bounds=True).x[0].ub == 3


# --- transformations ----------------------------------------------------------------------------


def either(name, uncertainties, scaling=True):
    """The largest return of weights that are near to parity in one of two regimes."""
    problems = [PROBLEMS[name](u) for u in uncertainties]
    labels = list(problems[0].labels)
    m = pyo.ConcreteModel()
    m.w = pyo.Var(labels, bounds=(0, 1))
    m.goal = pyo.Objective(expr=m.w[labels[0]] - m.w[labels[1]], sense=pyo.maximize)
    m.regime = gdp.Disjunct([0, 1])
    for k, problem in enumerate(problems):
        best = problem.solve().objective / problem.objective_unit
        m.regime[k].rp = problem.block(m.w, scaling=scaling, bounds=True)
        cap = best + 0.05 * (k + 1)
        m.regime[k].cap = pyo.Constraint(expr=m.regime[k].rp.objective_expression <= cap)
    m.choice = gdp.Disjunction(expr=[m.regime[0], m.regime[1]])
    return m


@pytest.fixture(scope="module")
def expected(uncertainties):
    """The better of the two models that the choice leaves."""

    def best(name):
        if name not in known:
            found = []
            for k in (0, 1):
                m = either(name, uncertainties)
                m.choice.deactivate()
                m.regime[1 - k].deactivate()
                m.regime[k].indicator_var.fix(True)
                pyo.TransformationFactory("gdp.fix_disjuncts").apply_to(m)
                SolverFactory("casadi_ipopt").solve(m)
                found.append(pyo.value(m.goal))
            known[name] = max(found)
        return known[name]

    known = {}
    return best


CHOICES = ["(3)", "(4)", "(11)", "(12)", "budgeting"]


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("how", ["bigm", "hull"])
def test_disjunctions_as_integers(name, how, uncertainties, expected):
    pytest.importorskip("gurobipy" if how == "bigm" else "pyscipopt")
    m = either(name, uncertainties)
    pyo.TransformationFactory(f"gdp.{how}").apply_to(m)
    solver = "gurobi_direct_minlp" if how == "bigm" else "scip_direct"
    SolverFactory(solver).solve(m)
    assert pyo.value(m.goal) == pytest.approx(expected(name), abs=2e-5)


def test_multiple_big_ms_take_blocks_without_a_suffix(uncertainties, expected):
    pytest.importorskip("pyscipopt")
    pytest.importorskip("gurobipy")
    mbigm = pyo.TransformationFactory("gdp.mbigm")
    solver = pyo.SolverFactory("scip_direct")
    with pytest.raises(gdp.GDP_Error, match="Found active Suffix"):
        mbigm.apply_to(either("(4)", uncertainties), solver=solver)
    m = either("(4)", uncertainties, scaling=False)
    # Tight numbers for every row would take a global solve for each.
    mbigm.apply_to(m, solver=solver, only_mbigm_bound_constraints=True)
    SolverFactory("gurobi_direct_minlp").solve(m)
    assert pyo.value(m.goal) == pytest.approx(expected("(4)"), abs=2e-5)


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("algorithm", ["enumerate", "LOA", "RIC"])
def test_gdpopt_with_the_embedded_ipopt(name, algorithm, uncertainties, expected):
    pytest.importorskip("gurobipy")
    if algorithm != "enumerate" and name in ("(3)", "(4)"):
        pytest.skip("outer approximation is for convex problems")
    logging.getLogger("pyomo.contrib.gdpopt").setLevel(logging.ERROR)
    m = either(name, uncertainties)
    pyo.SolverFactory("gdpopt").solve(
        m, algorithm=algorithm, nlp_solver="casadi_ipopt", mip_solver="gurobi_direct"
    )
    assert pyo.value(m.goal) == pytest.approx(expected(name), abs=2e-5)
