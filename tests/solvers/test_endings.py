"""What solvers of this package say where a model has no solution, and whom they name instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.iis.mis import compute_infeasibility_explanation
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.util import NoFeasibleSolutionError, NoOptimalSolutionError
from pyomo.gdp import Disjunction

from rrp_pyomo import Program, RiskParitySOCP, RobustRiskParity, norm, solve_program
from rrp_pyomo.data import CovarianceUncertainty, DenseCovariance, FactorCovariance
from rrp_pyomo.errors import ModelError
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.modeling import square, sum_squares
from rrp_pyomo.solve.table import SOLVERS
from rrp_pyomo.solvers.reading.checks import GLOBAL, INTEGERS, KERNEL_INTEGERS
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError

ALL = pytest.mark.parametrize("name", ["clarabel", "scs", "casadi_ipopt"])
CONIC = pytest.mark.parametrize("name", ["clarabel", "scs"])
LABELS = [f"A{i}" for i in range(5)]


@pytest.fixture
def uncertainty(factor_covariance: Callable[..., FactorCovariance]) -> CovarianceUncertainty:
    nominal = factor_covariance(5)
    return CovarianceUncertainty.from_loading_errors(nominal, 0.1 + 0.0 * nominal.V)


@pytest.fixture
def composed(uncertainty: CovarianceUncertainty) -> pyo.ConcreteModel:
    m = pyo.ConcreteModel()
    m.w = pyo.Var(LABELS, bounds=(0, 1), initialize=0.2)
    m.parity = RiskParitySOCP(uncertainty.nominal).block(weights=m.w)
    m.goal = pyo.Objective(expr=m.parity.objective_expression)
    return m


def both_ways(name: str, model: Any, **options: Any) -> list[str]:
    """What the older and the newer interface say."""
    with pytest.raises(NoFeasibleSolutionError) as older:
        pyo.SolverFactory(name).solve(model, options=options)
    with pytest.raises(NoOptimalSolutionError) as newer:
        SolverFactory(name).solve(model, solver_options=options)
    return [str(older.value), str(newer.value)]


@ALL
def test_an_infeasible_model_names_its_constraints(name: str, composed: pyo.ConcreteModel) -> None:
    composed.floor = pyo.Constraint(expr=composed.w["A0"] >= 1.5)
    for said in both_ways(name, composed):
        assert "'floor'" in said
        assert "nfeasible" in said  # Clarabel's, SCS's and Ipopt's words
        if name != "casadi_ipopt":
            assert "the proof is mostly about" in said
        else:
            assert "that is no proof" in said


@ALL
def test_an_omega_beyond_its_limit_is_mentioned(
    name: str, uncertainty: CovarianceUncertainty
) -> None:
    problem = RobustRiskParity(uncertainty, omega=100)
    models = [problem.block(), problem.kernel()] if name == "clarabel" else [problem.block()]
    m = pyo.ConcreteModel()
    m.periods = pyo.Block([1, 2], rule=lambda _, k: problem.block(objective=False))
    for model in [*models, m]:
        for said in both_ways(name, model):
            assert "no solution for an omega beyond omega_max" in said
            assert "largest_omega(uncertainty, weight_set)" in said
            assert "perturbation" in said


def test_the_note_is_not_there_where_another_part_of_the_model_is_infeasible(
    uncertainty: CovarianceUncertainty,
) -> None:
    m = pyo.ConcreteModel()
    m.robust = RobustRiskParity(uncertainty, omega=0.1).block(objective=False)
    m.v = pyo.Var(bounds=(0, 1))
    m.far = pyo.Constraint(expr=m.v >= 2)
    for said in both_ways("clarabel", m):
        assert "omega_max" not in said
        assert "'far', bounds of 'v'" in said


@ALL
def test_an_unbounded_model_names_a_direction(name: str, composed: pyo.ConcreteModel) -> None:
    composed.v = pyo.Var()
    composed.goal.expr = composed.goal.expr + composed.v
    for said in both_ways(name, composed):
        assert "(unbounded" in said
        assert name == "casadi_ipopt" or "improves without end along 'v'" in said


@ALL
def test_variables_outside_the_model_are_named(
    name: str, composed: pyo.ConcreteModel, uncertainty: CovarianceUncertainty
) -> None:
    composed.del_component("parity")
    composed.parity = RobustRiskParity(uncertainty, 0.1).block(weights=composed.w)
    for said in both_ways(name, composed):
        assert "variables outside the model are mentioned in it: " in said
        assert "'t'" in said
        assert "a block that has been removed" in said


@ALL
def test_limits_are_said(name: str, composed: pyo.ConcreteModel) -> None:
    option = "max_iters" if name == "scs" else "max_iter"
    for said in both_ways(name, composed, **{option: 1}):
        assert "iterationLimit" in said


@CONIC
def test_a_certificate_reads_well(name: str) -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["a", "b"], bounds=(0, None))
    m.disc = pyo.Constraint(expr=m.x["a"] ** 2 + m.x["b"] ** 2 <= 1)
    m.far = pyo.Constraint(expr=m.x["a"] + m.x["b"] >= 3)
    m.cost = pyo.Objective(expr=m.x["a"])
    quiet = {"load_solutions": False, "raise_exception_on_nonoptimal_result": False}
    results = SolverFactory(name).solve(m, **quiet)
    duals, _ = results.solution_loader.get_infeasibility_certificate()
    assert repr(duals[m.disc]).count("*x[") == 2
    assert "object at" not in repr(duals[m.disc])


# --- whom they name instead -----------------------------------------------------------------------


def test_names_are_those_of_the_factory_and_take_what_is_promised() -> None:
    by_pyomo = {solver.pyomo_name: solver for solver in SOLVERS.values()}
    for name in ("outer_approximation", "gurobi_direct", "scip_direct", "xpress_direct"):
        assert f"'{name}'" in INTEGERS
        assert any({Takes.INTEGER, Takes.SECOND_ORDER} <= c for c in by_pyomo[name].environ)
    assert any({Takes.INTEGER, Takes.LINEAR} <= c for c in by_pyomo["highs"].environ)
    for name in ("outer_approximation", "gurobi_direct", "xpress_direct"):
        assert f"'{name}'" in KERNEL_INTEGERS
        assert any({Takes.INTEGER, Takes.SECOND_ORDER} <= c for c in by_pyomo[name].kernel)
    for name in ("casadi_ipopt", "scip_direct", "gurobi_direct"):
        assert f"'{name}'" in GLOBAL
        assert Takes.NONCONVEX in by_pyomo[name].takes


@ALL
def test_integers_go_to_solvers_that_take_the_model(name: str, composed: pyo.ConcreteModel) -> None:
    composed.held = pyo.Var(domain=pyo.Binary)
    composed.at_most = pyo.Constraint(expr=composed.w["A0"] <= composed.held)
    with pytest.raises(IncompatibleModelError, match="'scip_direct' or 'xpress_direct'"):
        pyo.SolverFactory(name).solve(composed)
    k = RiskParitySOCP(DenseCovariance([[1.0, 0.2], [0.2, 1.0]])).kernel()
    k.held = pmo.variable(domain_type=pmo.IntegerSet)
    k.at_most = pmo.constraint(k.x[0] <= k.held)
    with pytest.raises(IncompatibleModelError, match=r"gurobi_direct.*take kernel models"):
        pyo.SolverFactory(name).solve(k)


@ALL
def test_what_a_transformation_removes_names_it(name: str, composed: pyo.ConcreteModel) -> None:
    composed.either = Disjunction(expr=[composed.w["A0"] <= 0.1, composed.w["A0"] >= 0.3])
    with pytest.raises(IncompatibleModelError, match=r"pyo.TransformationFactory\('gdp.bigm'\)"):
        pyo.SolverFactory(name).solve(composed)
    composed.del_component("either")
    composed.one = pyo.SOSConstraint(var=composed.w, sos=1)
    composed.del_component("either_disjuncts")
    with pytest.raises(IncompatibleModelError, match=r"'gurobi_direct'.* takes them"):
        pyo.SolverFactory(name).solve(composed)


@CONIC
def test_what_is_not_convex_goes_to_ipopt(name: str, composed: pyo.ConcreteModel) -> None:
    composed.both = pyo.Constraint(expr=composed.w["A0"] * composed.w["A1"] <= 0.01)
    with pytest.raises(IncompatibleModelError, match=r"SolverFactory\('casadi_ipopt'\), or a glob"):
        pyo.SolverFactory(name).solve(composed)
    composed.both.set_value(pyo.log(composed.w["A0"]) >= -9)
    with pytest.raises(IncompatibleModelError, match=r"SolverFactory\('casadi_ipopt'\)"):
        pyo.SolverFactory(name).solve(composed)


def test_a_product_that_is_a_cone_in_other_words_says_so() -> None:
    root = [[1.0, 0.5], [0.0, 1.0]]
    program = Program("long_way")
    w, length = program.variable("w", 2, lower=0), program.variable("length", lower=0)
    program.minimize(length)
    program.subject_to(cap=sum_squares(root @ w) <= square(length), whole=w.sum() == 1)
    with pytest.raises(ModelError, match=r"such as those of 'cap' are cones as norm\(e\) <= t"):
        solve_program(program)
    cone = Program("cone")
    w, length = cone.variable("w", 2, lower=0), cone.variable("length", lower=0)
    cone.minimize(length)
    cone.subject_to(cap=norm(root @ w) <= length, whole=w.sum() == 1)
    there = solve_program(program, "casadi_ipopt", start={"w": 0.5, "length": 1.0})
    assert there.objective == pytest.approx(solve_program(cone).objective, abs=1e-6)


@ALL
def test_older_interfaces_take_a_warmstart(name: str, composed: pyo.ConcreteModel) -> None:
    results = pyo.SolverFactory(name).solve(composed, warmstart=True, timelimit=60)
    assert results.solver.termination_condition == "optimal"
    pyo.SolverFactory(name).solve(composed, warmstart=False)


@pytest.mark.parametrize("integers", [False, True])
def test_an_infeasible_model_of_the_outer_approximation(
    integers: bool, composed: pyo.ConcreteModel
) -> None:
    composed.floor = pyo.Constraint(expr=composed.w["A0"] >= 1.5)
    if integers:
        composed.held = pyo.Var(domain=pyo.Binary)
        composed.at_most = pyo.Constraint(expr=composed.w["A1"] <= composed.held)
    for said in both_ways("outer_approximation", composed):
        assert "nfeasible" in said
    quiet = pyo.SolverFactory("outer_approximation", raise_exception_without_solution=False)
    assert quiet.solve(composed).solver.termination_condition == "infeasible"


@ALL
def test_whoever_wants_no_exception_gets_none(name: str, composed: pyo.ConcreteModel) -> None:
    composed.floor = pyo.Constraint(expr=composed.w["A0"] >= 1.5)
    composed.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    before = composed.w["A0"].value
    solver = pyo.SolverFactory(name, raise_exception_without_solution=False)
    assert solver.solve(composed).solver.termination_condition == "infeasible"
    assert composed.w["A0"].value == before
    newer = SolverFactory(name).solve(
        composed,
        raise_exception_on_nonoptimal_result=False,
        raise_exception_without_solution=False,
    )
    assert newer.solution_status.name in ("noSolution", "infeasible")
    composed.floor.deactivate()
    assert solver.solve(composed).solver.termination_condition == "optimal"
    assert composed.w["A0"].value != before
    assert composed.dual


def test_an_irreducible_set_of_constraints_is_found(caplog: pytest.LogCaptureFixture) -> None:
    m = pyo.ConcreteModel()
    m.w = pyo.Var(["A0", "A1"], bounds=(0, 1), initialize=0.5)
    m.risk = pyo.Constraint(expr=m.w["A0"] ** 2 + m.w["A1"] ** 2 <= 0.6)
    m.floor = pyo.Constraint(expr=m.w["A0"] >= 0.9)
    m.idle = pyo.Constraint(expr=m.w["A1"] >= 0.01)
    m.goal = pyo.Objective(expr=m.w["A1"])
    solver = pyo.SolverFactory(
        "casadi_ipopt", options={"max_iter": 60}, raise_exception_without_solution=False
    )
    with caplog.at_level("INFO", logger="pyomo.contrib.iis"):
        compute_infeasibility_explanation(m, solver, tolerance=1e-6)
    _, found = caplog.text.split("Constraints / bounds in MIS:")
    assert "constraint: risk" in found
    assert "constraint: floor" in found
    assert "constraint: idle" not in found
