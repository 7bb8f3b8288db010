"""What realisations are made of: large sparse rows, factored matrices, units, unknown kinds."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
import scipy.sparse as sp
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.errors import InputError
from rrp_pyomo.modeling import exp, norm, sum_squares
from rrp_pyomo.modeling.cones import SECOND_ORDER
from rrp_pyomo.modeling.constraints import InCone
from rrp_pyomo.models import RobustRiskParity
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

# --- size ---------------------------------------------------------------------------------------


def test_more_rows_times_columns_than_an_int32_counts():
    """70,000² of them, sparse, of a variable without bounds."""
    n = 70_000
    program = Program("large")
    x = program.variable("x", n)
    program.minimize(x.sum())
    program.subject_to(each=sp.eye_array(n, format="csr") @ x == 1)
    form = program.conic()
    assert form.A.shape == (n, n)
    np.testing.assert_array_equal(np.diff(form.A.indptr), 1)
    np.testing.assert_array_equal(form.A.indices, np.arange(n))
    assert solve_program(program).objective == pytest.approx(n)


def variance_of_factors(n: int, k: int, constrained: bool) -> Program:
    V = np.random.default_rng(0).normal(size=(k, n)) / np.sqrt(n)
    program = Program("factors")
    w = program.variable("w", n, lower=0)
    risk = sum_squares(V @ w)
    if constrained:
        program.maximize(np.linspace(0.0, 1.0, n) @ w)
        program.subject_to(risk=risk <= 0.01, invested=w.sum() == 1)
    else:
        program.minimize(risk)
        program.subject_to(invested=w.sum() == 1)
    return program


@pytest.mark.parametrize("constrained", [False, True], ids=["objective", "constraint"])
def test_squares_of_a_few_factors_stay_factored(constrained):
    """n · k coefficients and no n × n matrix, in every realisation of matrices."""
    n, k = 3000, 50
    program = variance_of_factors(n, k, constrained)
    most = 1.2 * n * k
    form = program.conic()
    entries = form.A.nnz + (0 if form.P is None else form.P.nnz)
    assert n * k <= entries <= most
    assert form.A.shape[1] <= n + k + 2
    quadratic = program.quadratic()
    assert n * k <= quadratic.A.nnz + quadratic.value.size <= most
    assert quadratic.value.size <= 2 * k + 2
    assert quadratic.A.shape[1] <= n + k + 2
    solution = solve_program(program, time_limit=30)
    assert solution.certificate.primal_residual <= 1e-7


@pytest.mark.parametrize("constrained", [False, True], ids=["objective", "constraint"])
@pytest.mark.parametrize("realisation", ["kernel", "block"])
def test_squares_of_a_few_factors_stay_factored_in_blocks(constrained, realisation):
    n, k = 120, 4
    block = getattr(variance_of_factors(n, k, constrained), realisation)()
    if realisation == "kernel":
        parts = list(block.children())
        matrices = [p for p in parts if isinstance(p, pmo.matrix_constraint)]
        entries = sum(matrix.A.nnz for matrix in matrices)
        assert n * k <= entries <= 1.2 * n * k + 2 * n
        squares = [p for p in parts if isinstance(p, pmo.conic.rotated_quadratic)]
        assert [len(cone.x) for cone in squares] in ([k], [])
        return
    squared = block.risk.body if constrained else block.objective_expression.expr
    expression = squared.to_string()
    assert expression.count("**2") == k
    assert len(expression) < 60 * k


# --- units --------------------------------------------------------------------------------------


def weekly_risk(scale: float) -> Program:
    """The smallest standard deviation where roots of covariances are of the size of scale."""
    root = scale * (np.eye(4) + 0.3 * np.tril(np.ones((4, 4))))
    program = Program("weekly")
    w = program.variable("w", ["a", "b", "c", "d"], lower=0)
    s = program.variable("s", lower=0, unit=scale)
    program.minimize(s + 0.1 * norm(root @ w - 0.3 * scale))
    program.subject_to(risk=norm(root @ w) <= s, invested=w.sum() == 1)
    return program


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e6])
def test_auxiliary_variables_have_the_size_of_what_they_stand_for(scale):
    program = weekly_risk(scale)
    flat = program.over_variables()
    new = [v for name, v in flat.variables.items() if name not in program.variables]
    assert {v.name for v in new} >= {"risk_vector", "objective_norm"}
    units = {v.name: v.unit for v in new}
    assert scale <= units["risk_vector"] <= 2 * scale
    assert scale <= units["objective_norm"] <= 2 * scale
    for realisation in ("kernel", "block"):
        block = getattr(program, realisation)()
        factors = block.scaling_factor
        sizes = {factors.get(v, 1.0) for v in block.risk_vector.values()}
        (factor,) = sizes
        assert factor == pytest.approx(1.0, rel=1.0) if scale == 1.0 else 0.5 <= factor * scale <= 2


@pytest.mark.parametrize("scale", [1e-7, 1e6])
@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt"])
def test_the_unit_of_the_data_does_not_matter(scale, solver):
    """Absolute tolerances of solvers mean the same, for auxiliary variables too."""
    best = solve_program(weekly_risk(1.0))
    found = solve_program(weekly_risk(scale), solver)
    assert found.objective == pytest.approx(scale * best.objective, rel=1e-5)
    np.testing.assert_allclose(found.arrays["w"], best.arrays["w"], atol=1e-3)


@pytest.mark.parametrize("scale", [1e-7, 1e6])
def test_the_unit_of_the_data_does_not_matter_to_blocks(scale):
    best = solve_program(weekly_risk(1.0))
    kernel = weekly_risk(scale).kernel()
    SolverFactory("clarabel").solve(kernel)
    w = [variable.value for variable in kernel.w.values()]
    np.testing.assert_allclose(w, best.arrays["w"], atol=1e-3)


# --- products with parameters ---------------------------------------------------------------------


def penalised(sense: str, k: float, offset: bool = False) -> Program:
    """Rows that share the product of k and a scalar."""
    program = Program("penalised")
    w, y = program.variable("w", ["a", "b", "c"], -9, 9), program.variable("y", lower=1)
    product = program.parameter("k", k) * y
    slack = np.diag([1.0, 2.0, 4.0]) @ w - np.arange(3.0)
    if offset:
        product = product + program.parameter("o", 0.0)
    program.minimize(y + sum_squares(w - 1))
    rows = {"<=": product <= slack, ">=": slack >= product, "==": product == slack}
    program.subject_to(rows=rows[sense])
    return program


SENSES = pytest.mark.parametrize("sense", ["<=", ">=", "=="])


@SENSES
@pytest.mark.parametrize("k", np.random.default_rng(3).normal(0.0, 2.0, 4))
def test_rows_that_share_a_product_with_a_parameter_are_a_matrix(sense, k):
    """Another value on the block is what the program itself would say, its duals by row too."""
    block = penalised(sense, 0.7).kernel()
    assert isinstance(block.rows, pmo.matrix_constraint)
    block.k.value = k
    results = SolverFactory("clarabel").solve(block)
    best = solve_program(penalised(sense, k))
    assert pyo.value(block.objective) == pytest.approx(best.objective, rel=1e-7)
    found = [variable.value for variable in block.w.values()]
    np.testing.assert_allclose(found, best.arrays["w"], atol=1e-5)
    duals = results.solution_loader.get_duals()
    np.testing.assert_allclose([duals[row] for row in block.rows], best.duals["rows"], atol=1e-5)


@SENSES
def test_rows_with_other_parameters_stay_rows_of_expressions(sense):
    block = penalised(sense, 0.7, offset=True).kernel()
    assert isinstance(block.rows, pmo.constraint_dict)
    SolverFactory("clarabel").solve(block)
    best = solve_program(penalised(sense, 0.7)).objective
    assert pyo.value(block.objective) == pytest.approx(best, rel=1e-7)


def test_marginal_risks_of_the_robust_problem_are_a_matrix(make_uncertainty):
    """One row has the parameter in it, whatever the number of assets."""
    block = RobustRiskParity(make_uncertainty(6), omega=1.0).kernel()
    assert block.marginal_risk.A.shape[0] == 6
    assert len(block.marginal_risk_product_definition) == 1


# --- unknown kinds ------------------------------------------------------------------------------


class Strange:
    """No constraint that anybody knows."""

    is_parametric = False


def test_a_constraint_of_an_unknown_kind_is_refused_at_once():
    program = Program("mine")
    x = program.variable("x", 2)
    with pytest.raises(InputError, match=r"constraint 'c' is .*Strange.*expected a comparison"):
        program.subject_to(fine=x <= 1, c=Strange())
    assert program.constraints == {}


@pytest.mark.parametrize("realisation", ["conic", "quadratic", "kernel", "block"])
def test_a_kind_that_gets_past_the_door_vanishes_nowhere(realisation):
    program = Program("mine")
    x = program.variable("x", 2)
    program.minimize(x.sum())
    program.subject_to(fine=x >= 1)
    program.constraints["strange"] = Strange()
    with pytest.raises((AttributeError, TypeError, InputError)):
        getattr(program, realisation)()
    with pytest.raises((AttributeError, TypeError, InputError)):
        solve_program(program)


def test_every_constraint_is_in_every_realisation():
    program = Program()
    x, t = program.variable("x", ["a", "b"]), program.variable("t", lower=0)
    program.minimize(t)
    program.subject_to(
        rows=x >= 1, cone=InCone((t, x), SECOND_ORDER), term=exp(x) <= 9, ball=norm(x) + t <= 8
    )
    stated = program.lowered().stated
    assert {"rows", "cone", "term", "ball"} <= set(stated)
    compiled = program.compiled()
    assert set(compiled.groups) == set(stated)
    assert len(set(compiled.groups.values())) == len(stated)
    for block in (program.kernel(), program.block()):
        for name in stated:
            component = getattr(block, name)
            assert component is not None
            assert len(component) > 0 if hasattr(component, "__len__") else True
