"""What a model may be made of, and that it is read as Pyomo means it."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pyomo.dae as dae
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
import scipy.sparse as sp
from pyomo.common.errors import PyomoException
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.core.base.suffix import SuffixFinder

from rrp_pyomo.solvers.conic import Clarabel
from rrp_pyomo.solvers.reading.standard_form import read_model


@pytest.fixture
def solver() -> Clarabel:
    return Clarabel()


def approx(value: Any) -> Any:
    return pytest.approx(value, abs=1e-6)


# --- kernel -------------------------------------------------------------------------------------


def test_kernel_containers(tools: Any, solver: Clarabel) -> None:
    """Nested blocks, lists, tuples and dicts of everything, parameters and named expressions."""
    model = pmo.block()
    model.parts = pmo.block_list()
    for k in range(2):
        part = pmo.block()
        part.x = pmo.variable_tuple([pmo.variable(lb=0), pmo.variable(lb=0, ub=3 + k)])
        part.share = pmo.parameter(2.0 + k)
        part.total = pmo.expression(part.share * part.x[0] + part.x[1])
        part.rows = pmo.constraint_dict({"floor": pmo.constraint(part.total >= 2 + k)})
        model.parts.append(part)
    model.nested = pmo.block_dict({"deep": pmo.block()})
    model.nested["deep"].linked = pmo.constraint_list(
        [pmo.constraint(model.parts[0].x[0] + model.parts[1].x[0] >= 1.5)]
    )
    sums = [part.x[0] + 2 * part.x[1] for part in model.parts]
    model.cost = pmo.objective(sum(sums))
    results = solver.solve(model)
    # The shares make x₀ the cheap variable; both floors need x₀ ≥ 1.
    assert results.incumbent_objective == approx(2.0)
    assert max(tools.optimality(model, results).values()) < 1e-6

    model.parts[1].share.value = 1.0
    assert solver.solve(model).incumbent_objective == approx(4.0)


@pytest.mark.parametrize("sparse", [True, False])
def test_matrix_constraints(tools: Any, solver: Clarabel, sparse: bool) -> None:
    """Rows with lower, upper, both and equal bounds; the dual belongs to the row."""
    model = pmo.block()
    model.x = pmo.variable_list([pmo.variable(lb=0) for _ in range(3)])
    A = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]])
    model.rows = pmo.matrix_constraint(
        sp.csr_matrix(A) if sparse else A,
        lb=np.array([1.0, -np.inf, -1.0, -np.inf]),
        ub=np.array([np.inf, 0.5, 1.0, np.inf]),
        x=list(model.x),
        sparse=sparse,
    )
    model.sums = pmo.matrix_constraint(np.array([[0.0, 1.0, 1.0]]), rhs=0.5, x=list(model.x))
    model.cost = pmo.objective(model.x[0] + 2 * model.x[1] + 4 * model.x[2])
    results = solver.solve(model)
    assert max(tools.optimality(model, results).values()) < 1e-6
    assert set(results.solution_loader.get_duals()) == {*model.rows, *model.sums}


def test_matrix_constraint_changes(solver: Clarabel) -> None:
    model = pmo.block()
    model.x = pmo.variable_list([pmo.variable(), pmo.variable()])
    model.rows = pmo.matrix_constraint(np.eye(2), lb=np.array([1.0, 2.0]), x=list(model.x))
    model.cost = pmo.objective(sum(model.x))
    assert solver.solve(model).incumbent_objective == approx(3.0)
    model.rows[1].lb = 5.0
    assert solver.solve(model).incumbent_objective == approx(6.0)
    model.x[1].lb = -1.0
    model.rows[1].deactivate()
    results = solver.solve(model)
    assert results.incumbent_objective == approx(0.0)
    assert results.solution_loader.get_duals()[model.rows[1]] == 0.0
    model.rows.deactivate()
    model.x[0].lb = 0.25
    assert solver.solve(model).incumbent_objective == approx(-0.75)


def test_matrix_constraint_without_variables(solver: Clarabel) -> None:
    model = pmo.block()
    model.rows = pmo.matrix_constraint(np.eye(2), lb=0.0)
    with pytest.raises(PyomoException, match="'rows' has no variables"):
        solver.solve(model)


def test_linear_constraints(solver: Clarabel) -> None:
    """Terms with parameters, one variable twice, a fixed one."""
    model = pmo.block()
    model.x, model.y = pmo.variable(), pmo.variable(value=2.0, fixed=True)
    model.p = pmo.parameter(3.0)
    model.row = pmo.linear_constraint(
        terms=[(model.x, model.p), (model.x, 1.0), (model.y, 2.0)], lb=12.0
    )
    model.cost = pmo.objective(model.x)
    assert solver.solve(model).incumbent_objective == approx(2.0)
    assert model.y.value == 2.0


def test_kernel_deactivation(solver: Clarabel) -> None:
    model = pmo.block()
    model.x = pmo.variable(lb=0)
    model.part = pmo.block()
    model.part.row = pmo.constraint(model.x >= 5)
    model.rows = pmo.constraint_list([pmo.constraint(model.x >= k) for k in (1, 3)])
    model.cost = pmo.objective(model.x)
    model.other = pmo.objective(-model.x, sense=pmo.maximize)
    model.other.deactivate()
    assert solver.solve(model).incumbent_objective == approx(5.0)
    model.part.deactivate()
    assert solver.solve(model).incumbent_objective == approx(3.0)
    model.rows[1].deactivate()
    assert solver.solve(model).incumbent_objective == approx(1.0)
    model.rows.deactivate()
    assert solver.solve(model).incumbent_objective == approx(0.0)
    model.cost.deactivate()
    model.other.activate()
    results = solver.solve(model)
    assert results.incumbent_objective == approx(0.0)


def test_cones_of_one_list(tools: Any, solver: Clarabel) -> None:
    """Of several dimensions, with a fixed member, a shared one, and one that is not active."""
    model = pmo.block()
    model.r = pmo.variable_list([pmo.variable(lb=0) for _ in range(4)])
    model.x = pmo.variable_list([pmo.variable(lb=k) for k in range(1, 6)])
    model.r[1].fix(2.5)
    heads_and_vectors = [
        (model.r[0], model.x[0:2]),
        (model.r[1], [model.x[0]]),
        (model.r[2], [model.x[1], model.x[2]]),
        (model.r[3], model.x[0:5]),
        (model.r[2], [model.x[3]]),
    ]
    model.cones = pmo.constraint_list(
        [pmo.conic.quadratic(head, list(vector)) for head, vector in heads_and_vectors]
    )
    model.cones[3].deactivate()
    model.cost = pmo.objective(sum(model.r) - 2.5)
    results = solver.solve(model)
    assert max(tools.optimality(model, results).values()) < 1e-6
    assert [r.value for r in model.r][::2] == [approx(np.sqrt(5)), approx(4.0)]
    assert model.x[4].value is None


@pytest.mark.parametrize("bound", [3, pmo.parameter(3.0), np.float64(3.0)])
def test_bounds_of_one_list(solver: Clarabel, bound: Any) -> None:
    """Numbers, none, and parameters, whose values are read at each solve."""
    model = pmo.block()
    model.x = pmo.variable_list([pmo.variable(lb=0, ub=bound), pmo.variable(ub=1), pmo.variable()])
    model.row = pmo.constraint(model.x[2] - model.x[0] <= 0)
    model.total = pmo.objective(sum(model.x), sense=pmo.maximize)
    assert solver.solve(model).incumbent_objective == approx(7.0)
    if isinstance(bound, pmo.parameter):
        bound.value = 4.0
        assert solver.solve(model).incumbent_objective == approx(9.0)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (lambda x: x[0] + 2 * x[1] + 3, 8.0),
        (lambda x: x[0] + 2 * x[1] - x[0], 4.0),
        (lambda x: x[0] + 0 * x[1] + 1.0, 2.0),
        (lambda x: x[0] + x[1] + 2 * x[2], 13.0),
    ],
    ids=["plain", "repeated", "zero", "fixed"],
)
@pytest.mark.parametrize("named", [False, True])
def test_sums_as_objectives(solver: Clarabel, body: Any, value: float, named: bool) -> None:
    """At x = (1, 2, 5), the last one fixed."""
    model = pmo.block()
    model.x = pmo.variable_list([pmo.variable(lb=1), pmo.variable(lb=2), pmo.variable(value=5)])
    model.x[2].fix()
    model.sum = pmo.expression(body(model.x))
    model.cost = pmo.objective(model.sum if named else body(model.x))
    model.row = pmo.constraint(model.x[0] + model.x[1] >= 3)
    assert solver.solve(model).incumbent_objective == approx(value)


def test_kernel_suffixes_and_legacy_interface() -> None:
    """``dual`` and ``rc`` are filled on the root block, cones with tuples, in both interfaces."""
    model = pmo.block()
    model.dual = pmo.suffix(direction=pmo.suffix.IMPORT)
    model.rc = pmo.suffix(direction=pmo.suffix.IMPORT)
    model.r = pmo.variable(lb=0)
    model.x = pmo.variable_list([pmo.variable(lb=3), pmo.variable(lb=4)])
    model.cone = pmo.conic.quadratic(model.r, model.x)
    model.cost = pmo.objective(model.r)
    for solve in (SolverFactory("clarabel").solve, pmo.SolverFactory("clarabel").solve):
        model.dual.clear()
        model.rc.clear()
        results = solve(model)
        assert model.r.value == approx(5.0)
        assert model.dual[model.cone] == pytest.approx((1.0, -0.6, -0.8), abs=1e-5)
        assert model.rc[model.x[0]] == pytest.approx(0.6, abs=1e-5)
    assert pyo.check_optimal_termination(results)


# --- environ ------------------------------------------------------------------------------------


def test_environ_components(tools: Any, solver: Clarabel) -> None:
    """Indexed blocks, variables, parameters and expressions; ranges; domains that are bounds."""
    model = pyo.ConcreteModel()
    model.places = pyo.Set(initialize=["north", "south"])
    model.cost_of = pyo.Param(model.places, initialize={"north": 2.0, "south": 3.0}, mutable=True)
    model.made = pyo.Var(model.places, domain=pyo.NonNegativeReals)
    model.share = pyo.Var(domain=pyo.UnitInterval)
    model.total = pyo.Expression(expr=sum(model.made[p] for p in model.places))

    @model.Block(model.places)
    def depot(block: Any, place: str) -> None:
        block.stock = pyo.Var(bounds=(0, 4))
        block.balance = pyo.Constraint(expr=block.stock == model.made[place] - 1)

    model.demand = pyo.Constraint(expr=(5, model.total, 7))
    model.split = pyo.Constraint(expr=model.made["south"] == model.share * 4)
    model.spend = pyo.Objective(expr=sum(model.cost_of[p] * model.made[p] for p in model.places))
    results = solver.solve(model)
    assert model.made["north"].value == approx(4.0)
    assert model.made["south"].value == approx(1.0)
    assert max(tools.optimality(model, results).values()) < 1e-6

    model.spend.sense = pyo.maximize
    results = solver.solve(model)
    assert model.made["south"].value == approx(4.0)
    assert max(tools.optimality(model, results).values()) < 1e-6

    model.depot["north"].deactivate()
    model.spend.sense = pyo.minimize
    assert solver.solve(model).incumbent_objective == approx(11.0)


def test_environ_suffixes(solver: Clarabel) -> None:
    model = pyo.ConcreteModel()
    model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    model.rc = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    model.x = pyo.Var([0, 1], bounds=(0, None))
    model.row = pyo.Constraint(expr=model.x[0] + 2 * model.x[1] >= 4)
    model.cost = pyo.Objective(expr=model.x[0] + model.x[1])
    solver.solve(model)
    assert model.dual[model.row] == approx(0.5)
    assert model.rc[model.x[0]] == approx(0.5)


def test_part_of_a_model(solver: Clarabel) -> None:
    """A block is a model: its own constraints, with variables from anywhere."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 9))
    model.part = pyo.Block()
    model.part.row = pyo.Constraint(expr=model.x >= 2)
    model.part.cost = pyo.Objective(expr=model.x)
    model.row = pyo.Constraint(expr=model.x >= 5)
    assert solver.solve(model.part).incumbent_objective == approx(2.0)
    assert solver.solve(model).incumbent_objective == approx(5.0)


def test_fixed_products_are_linear(solver: Clarabel) -> None:
    model = pyo.ConcreteModel()
    model.x, model.y = pyo.Var(initialize=1), pyo.Var(initialize=3)
    model.row = pyo.Constraint(expr=model.x * model.y >= 6)
    model.cost = pyo.Objective(expr=model.x + model.y**2)
    model.y.fix()
    assert solver.solve(model).incumbent_objective == approx(11.0)
    model.y.fix(2.0)
    assert solver.solve(model).incumbent_objective == approx(7.0)


def test_discretised_differential_equation(solver: Clarabel) -> None:
    """Sets and derivatives of pyomo.dae state nothing by themselves: x' = −x by implicit Euler."""
    model = pyo.ConcreteModel()
    model.t = dae.ContinuousSet(bounds=(0, 1))
    model.x = pyo.Var(model.t)
    model.slope = dae.DerivativeVar(model.x, wrt=model.t)
    model.decay = pyo.Constraint(model.t, rule=lambda m, t: m.slope[t] == -m.x[t])
    model.x[0].fix(1.0)
    model.cost = pyo.Objective(expr=model.x[1])
    pyo.TransformationFactory("dae.finite_difference").apply_to(model, nfe=10)
    assert solver.solve(model).incumbent_objective == approx(1.1**-10)


# --- corners ------------------------------------------------------------------------------------


def test_without_objective(solver: Clarabel) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(1, 2))
    model.row = pyo.Constraint(expr=model.x >= 1.5)
    results = solver.solve(model)
    assert results.solution_status is SolutionStatus.optimal
    assert results.incumbent_objective is None
    assert results.objective_bound is None
    assert 1.5 - 1e-6 <= model.x.value <= 2 + 1e-6


def test_example_in_the_documentation() -> None:
    from rrp_pyomo.solvers.conic import clarabel

    assert doctest.testmod(clarabel) == (0, 9)


@pytest.mark.parametrize("make", [pyo.ConcreteModel, pmo.block])
def test_nothing_at_all(solver: Clarabel, make: Any) -> None:
    assert solver.solve(make()).solution_status is SolutionStatus.optimal


def test_without_constraints(solver: Clarabel) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var()
    model.cost = pyo.Objective(expr=(model.x - 3) ** 2 + 1)
    assert solver.solve(model).incumbent_objective == approx(1.0)
    assert model.x.value == approx(3.0)


def test_all_fixed(solver: Clarabel) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(initialize=2.0)
    model.x.fix()
    model.row = pyo.Constraint(expr=model.x <= 2)
    model.disc = pyo.Constraint(expr=model.x**2 <= 4)
    model.cost = pyo.Objective(expr=3 * model.x + 1)
    results = solver.solve(model)
    assert results.incumbent_objective == approx(7.0)
    model.x.fix(2.5)
    solver.config.raise_exception_on_nonoptimal_result = False
    solver.config.load_solutions = False
    results = solver.solve(model)
    assert results.termination_condition is TerminationCondition.provenInfeasible
    assert results.incumbent_objective is None


def test_equal_bounds(tools: Any, solver: Clarabel) -> None:
    """A variable whose bounds meet has a value, and its reduced cost either sign."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var([0, 1], bounds=(2, 2))
    model.y = pyo.Var()
    model.row = pyo.Constraint(expr=model.y >= model.x[0] - model.x[1])
    model.cost = pyo.Objective(expr=model.y)
    results = solver.solve(model)
    costs = results.solution_loader.get_reduced_costs()
    assert [costs[model.x[k]] for k in (0, 1)] == approx([1.0, -1.0])
    assert max(tools.optimality(model, results).values()) < 1e-6


@pytest.mark.parametrize("bound", [1e20, float("inf"), 3e30])
def test_huge_bounds_are_none(solver: Clarabel, bound: float) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(-bound, bound))
    model.row = pyo.Constraint(expr=(1, model.x, bound))
    model.cost = pyo.Objective(expr=model.x)
    assert solver.solve(model).incumbent_objective == approx(1.0)


def test_crossed_bounds(solver: Clarabel) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(2, 1))
    model.cost = pyo.Objective(expr=model.x)
    solver.config.raise_exception_on_nonoptimal_result = False
    solver.config.load_solutions = False
    results = solver.solve(model)
    assert results.termination_condition is TerminationCondition.provenInfeasible


@pytest.mark.parametrize("make", ["kernel", "environ"])
def test_scaling_changes_nothing(make: str) -> None:
    """``scaling_factor`` sets the solver's units; the answers stay in the model's."""
    answers = []
    for factor in (None, 1e3):
        if make == "environ":
            model = pyo.ConcreteModel()
            model.x = pyo.Var([0, 1], bounds=(0, None))
            model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
            model.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
            model.row = pyo.Constraint(expr=model.x[0] + model.x[1] >= 2e-3)
            model.disc = pyo.Constraint(expr=model.x[0] ** 2 + 2 * model.x[1] ** 2 <= 9e-6)
            model.cost = pyo.Objective(expr=3 * model.x[0] + model.x[1])
            if factor:
                model.scaling_factor[model.x] = factor
        else:
            model = pmo.block()
            model.x = pmo.variable_list([pmo.variable(lb=0), pmo.variable(lb=0)])
            model.dual = pmo.suffix(direction=pmo.suffix.IMPORT)
            model.scaling_factor = pmo.suffix(direction=pmo.suffix.EXPORT)
            model.row = pmo.constraint(model.x[0] + model.x[1] >= 2e-3)
            model.disc = pmo.constraint(model.x[0] ** 2 + 2 * model.x[1] ** 2 <= 9e-6)
            model.cost = pmo.objective(3 * model.x[0] + model.x[1])
            if factor:
                for x in model.x:
                    model.scaling_factor[x] = factor
        solver = Clarabel(solver_options={"tol_feas": 1e-10, "tol_gap_abs": 1e-10})
        results = solver.solve(model)
        answers.append((results.incumbent_objective, model.x[1].value, model.dual[model.row]))
    assert answers[0] == pytest.approx(answers[1], rel=1e-4)


@pytest.mark.parametrize("name", ["clarabel", "scs", "casadi_ipopt"])
@pytest.mark.parametrize(
    ("violation", "condition"),
    [(1e-10, "convergenceCriteriaSatisfied"), (1e-6, "provenInfeasible")],
)
def test_constraints_without_variables(name: str, violation: float, condition: str) -> None:
    """Rounding errors pass, other violations are infeasible."""
    m = pyo.ConcreteModel()
    m.x, m.one = pyo.Var(bounds=(1, None), initialize=2.0), pyo.Var()
    m.cost = pyo.Objective(expr=m.x)
    m.one.fix(1.0)
    m.check = pyo.Constraint(expr=m.one >= 1.0 + violation)
    results = SolverFactory(name).solve(
        m, load_solutions=False, raise_exception_on_nonoptimal_result=False
    )
    assert results.termination_condition.name == condition


@pytest.mark.parametrize("make", ["kernel", "environ"])
def test_the_outermost_scaling_factor_counts(make: str) -> None:
    """As for Pyomo's own scaling: a block's owner has the last word, whatever the block says."""
    block, suffix, variable = (
        (pmo.block, lambda: pmo.suffix(direction=pmo.suffix.EXPORT), pmo.variable)
        if make == "kernel"
        else (pyo.Block, lambda: pyo.Suffix(direction=pyo.Suffix.EXPORT), pyo.Var)
    )
    model = pmo.block() if make == "kernel" else pyo.ConcreteModel()
    model.inner = block()
    model.inner.innermost = block()
    at = model.inner.innermost
    at.x, at.y, at.z = variable(), variable(), variable()
    for level, scaled in ((model, [at.x]), (model.inner, [at.x, at.y]), (at, [at.x, at.y, at.z])):
        level.scaling_factor = suffix()
        for k, one in enumerate(scaled):
            level.scaling_factor[one] = 10.0 ** (3 * len(scaled) + k)
    constraint = pmo.constraint if make == "kernel" else pyo.Constraint
    model.total = constraint(expr=at.x + at.y + at.z >= 1)
    stated = read_model(model)
    units = {id(v): unit for v, unit in zip(stated.variables, stated.units, strict=True)}
    found = [1 / units[id(v)] for v in (at.x, at.y, at.z)]
    assert found == pytest.approx([1e3, 1e7, 1e11])
    if make == "environ":
        finder = SuffixFinder("scaling_factor", 1.0, model)
        assert found == pytest.approx([finder.find(v) for v in (at.x, at.y, at.z)])
