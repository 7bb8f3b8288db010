"""Parameters: numbers that change between solves, in every place and every realisation."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.errors import InputError, ModelError, UnknownLabelError
from rrp_pyomo.linalg import Factor, LinearMap
from rrp_pyomo.modeling import abs as abs_
from rrp_pyomo.modeling import (
    cvar,
    exp,
    log,
    maximum,
    norm,
    positive,
    quad_over_lin,
    square,
    sum_squares,
)
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

ASSETS = ["A", "B", "C"]
RNG = np.random.default_rng(5)
ROOT = np.array([[0.2, 0.05, 0.0], [0.0, 0.3, 0.1], [0.0, 0.0, 0.1]])
SCENARIOS = RNG.normal(0.05, 0.2, (6, 3))
OLD = {"k": 1.0, "v": pd.Series([0.1, 0.3, 0.2], ASSETS)}
NEW = {"k": 2.5, "v": pd.Series([0.3, 0.15, 0.25], ["C", "A", "B"])}


# Statements in k ≥ 0, a scalar, and v ≥ 0, one for each asset; numbers do instead.
def _in_objective(p, w, k, v):
    p.maximize(v @ w - k * sum_squares(ROOT @ w))


def _in_rows(p, w, k, v):
    p.maximize(np.array([0.1, 0.2, 0.15]) @ w)
    p.subject_to(each=w <= 2 * v + 0.1 * k, some=k * w["A"] + w["B"] >= 0.3, eq=w["C"] == v["C"])


def _weights(p, w, k, v):
    p.minimize(k * norm(ROOT @ w) + 0.3 * norm(w - v, 1) - v @ w)


def _weights_of_rows(p, w, k, v):
    p.minimize((v * abs_(w - 0.2)).sum() + k * norm(ROOT @ w) + (v * square(w)).sum())


def _weights_in_constraints(p, w, k, v):
    p.maximize(np.array([0.1, 0.5, 0.15]) @ w)
    p.subject_to(risk=k * norm(ROOT @ w) + v @ w <= 0.65, near=k * sum_squares(w - v) <= 1.2)


def _inside(p, w, k, v):
    p.minimize(norm(w - v) + exp(k * w["A"] - 1) - log(w["B"] + k))
    p.subject_to(
        tail=cvar(-(SCENARIOS @ w) - 0.1 * k, 0.4) <= 0.1,
        most=maximum(w - v) <= 0.5 * k,
        over=quad_over_lin(w - v, w["A"] + k) <= k,
    )


def _rows_of_terms(p, w, k, v):
    p.minimize(positive(w - v).sum() + 0.1 * w["A"])
    p.subject_to(each=abs_(w - v) <= 0.3 * k, squares=square(w - v) <= 0.1 * k + v)


STATEMENTS = {
    f.__name__[1:]: f
    for f in (
        _in_objective, _in_rows, _weights, _weights_of_rows, _weights_in_constraints, _inside,
        _rows_of_terms,
    )
}  # fmt: skip
EACH = pytest.mark.parametrize("statement", STATEMENTS)


def parametric(statement: str, values: Any) -> Program:
    p = Program(statement)
    w = p.variable("w", ASSETS, lower=0)
    STATEMENTS[statement](p, w, p.parameter("k", values["k"]), p.parameter("v", values["v"]))
    p.subject_to(invested=w.sum() == 1)
    return p


def with_numbers(statement: str, values: Any) -> Program:
    """The same statement with numbers in the place of parameters."""
    p = Program(statement)
    w = p.variable("w", ASSETS, lower=0)
    STATEMENTS[statement](p, w, values["k"], values["v"][ASSETS])
    p.subject_to(invested=w.sum() == 1)
    return p


@EACH
def test_numbers_and_parameters_say_the_same(statement):
    program = parametric(statement, OLD)
    assert program.parameters["v"].labels == tuple(ASSETS)
    for values in (OLD, NEW, OLD):
        program.set(**values)
        solution = solve_program(program)
        fresh = solve_program(with_numbers(statement, values))
        assert solution.objective == pytest.approx(fresh.objective, rel=1e-7, abs=1e-8)
        assert set(solution.duals) == set(fresh.duals)
        for name, dual in fresh.duals.items():
            np.testing.assert_allclose(solution.duals[name], dual, atol=1e-5, err_msg=name)
        assert solution.certificate.primal_residual <= 1e-7


def assigned(block: Any) -> None:
    block.k.value = NEW["k"]
    for label, value in NEW["v"].items():
        if isinstance(block.v, pyo.Param):
            block.v[label] = value
        else:
            block.v[label].value = value


@EACH
def test_kernel_blocks_carry_parameters(statement):
    block = parametric(statement, OLD).kernel()
    assert isinstance(block.k, pmo.parameter)
    assigned(block)
    best = solve_program(with_numbers(statement, NEW)).objective
    SolverFactory("clarabel").solve(block)
    assert pyo.value(block.objective) == pytest.approx(best, rel=1e-6, abs=1e-6)


@EACH
def test_environ_blocks_carry_parameters(statement):
    program = parametric(statement, OLD)
    block = program.block()
    assert isinstance(block.k, pyo.Param)
    assigned(block)
    program.set(**NEW)
    solution = solve_program(program)
    source = program.over_variables()
    for name, values in source.values(source.point(solution.arrays)).items():
        component = getattr(block, name)
        entries = component.values() if hasattr(component, "values") else [component]
        for entry, value in zip(entries, values.tolist(), strict=True):
            entry.set_value(value + 0.01, skip_validation=True)
    SolverFactory("casadi_ipopt").solve(block)
    assert pyo.value(block.objective) == pytest.approx(solution.objective, rel=1e-5, abs=1e-5)


def test_the_quadratic_form_has_the_values_of_now():
    program = parametric("in_objective", OLD)
    for values in (OLD, NEW):
        program.set(**values)
        best = solve_program(with_numbers("in_objective", values)).objective
        found = solve_program(program, "casadi_ipopt").objective
        assert found == pytest.approx(best, rel=1e-6)


def test_a_solution_remembers_what_it_was_solved_for():
    program = parametric("weights_in_constraints", OLD)
    solution = solve_program(program)
    program.set(k=100.0)
    assert solution.numbers["k"].tolist() == [1.0]
    assert solution.certificate.primal_residual <= 1e-7
    assert program.numbers["k"].tolist() == [100.0]


def test_a_parameter_multiplies_terms_as_a_vector():
    p = Program()
    w, v = p.variable("w", ASSETS), p.parameter("v", OLD["v"])
    point = np.array([1.0, 2.0, 3.0])
    assert (v @ square(w)).value(point).tolist() == pytest.approx([0.1 + 1.2 + 1.8])


# --- set ----------------------------------------------------------------------------------------


def small() -> Program:
    p = Program("small")
    x = p.variable("x", ASSETS, lower=0.1, upper=2)
    limit, aversion = p.parameter("limit", 1.0), p.parameter("aversion", [1.0, 2.0, 3.0], ASSETS)
    p.minimize((aversion * square(x - 1)).sum() + limit * norm(x))
    p.subject_to(cap=limit * sum_squares(x) <= 9, concave=limit * log(x) >= -9)
    return p


WRONG_VALUES = {
    "unknown name": ({"limits": 1.0}, UnknownLabelError, "'limits'; did you mean 'limit'"),
    "size": ({"aversion": [1.0, 2.0]}, InputError, "2 values .* 'aversion'; expected one, or 3"),
    "several for one": ({"limit": [1.0, 2.0]}, InputError, "2 values .* 'limit'; expected one"),
    "NaN": ({"aversion": [1.0, np.nan, 1.0]}, InputError, "'aversion' at 'B' is nan"),
    "infinite": ({"limit": np.inf}, InputError, "'limit' is inf; expected finite"),
    "text": ({"limit": "much"}, InputError, "str"),
    "Series for a scalar": ({"limit": pd.Series([1.0])}, InputError, "scalar; a Series was given"),
    "missing label": ({"aversion": {"A": 1.0, "B": 1.0}}, UnknownLabelError, "'C'"),
    "other label": ({"aversion": {"A": 1, "B": 1, "C": 1, "D": 1}}, UnknownLabelError, "'D'"),
    "sign of a term": ({"limit": -1.0}, ModelError, "not convex"),
}


@pytest.mark.parametrize("case", WRONG_VALUES)
def test_values_that_do_not_fit_change_nothing(case):
    values, kind, said = WRONG_VALUES[case]
    program = small()
    best = solve_program(program).objective
    with pytest.raises(kind, match=said):
        program.set(**{"aversion": 7.0} | values)
    assert program.numbers["aversion"].tolist() == [1.0, 2.0, 3.0]
    assert program.numbers["limit"].tolist() == [1.0]
    assert solve_program(program).objective == pytest.approx(best, rel=1e-9)


def test_one_value_stands_for_all_labels_and_mappings_are_by_label():
    program = small()
    program.set(aversion=4.0)
    assert program.numbers["aversion"].tolist() == [4.0, 4.0, 4.0]
    program.set(aversion={"C": 3.0, "B": 2.0, "A": 1.0})
    assert program.numbers["aversion"].tolist() == [1.0, 2.0, 3.0]


def test_declarations_that_are_refused():
    program = small()
    for declare, said in (
        (lambda: program.parameter("x", 1.0), "'x' is taken"),
        (lambda: program.parameter("cap", 1.0), "'cap' is taken"),
        (lambda: program.variable("limit"), "'limit' is taken"),
        (lambda: program.parameter("new", [1.0, 2.0]), "2 values"),
        (lambda: program.parameter("new", [1.0, 2.0], ["a", "a"]), "'a' 2 times"),
        (lambda: program.parameter("new", np.nan), "'new' is nan"),
    ):
        with pytest.raises(InputError, match=said):
            declare()
    assert set(program.parameters) == {"limit", "aversion"}


NOT_AFFINE = {
    "two parameters": lambda p, q, x: p * q,
    "a square": lambda p, q, x: p * p * x,
    "twice": lambda p, q, x: p * (q * x),
    "in a sum": lambda p, q, x: p * (x + q),
    "before a term": lambda p, q, x: p * (q * norm(x)),
}


@pytest.mark.parametrize("case", NOT_AFFINE)
def test_statements_are_affine_in_parameters(case):
    program = Program()
    p, q = program.parameter("p", 1.0), program.parameter("q", 2.0)
    x = program.variable("x", ASSETS)
    with pytest.raises(ModelError, match="not affine in the parameters; declare another parameter"):
        NOT_AFFINE[case](p, q, x)


PRODUCTS = {
    "of two": lambda k, x: k * (x["A"] * x["B"]) <= 1,
    "a square from below": lambda k, x: k * square(x) >= 1,
    "a square in an equation": lambda k, x: k * square(x) == 1,
    "a negative square": lambda k, x: -k * sum_squares(x) <= -1,
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_parameters_before_products_that_are_not_convex_are_refused(case):
    """They were once bounds on squares, without a word."""
    program = Program()
    x, k = program.variable("x", ASSETS), program.parameter("k", 1.0)
    with pytest.raises(ModelError, match=r"constraint 'c': 'k' multiplies a .*bind the product"):
        program.subject_to(c=PRODUCTS[case](k, x))
    assert program.constraints == {}


def test_products_beside_parameters_go_to_nonlinear_solvers():
    """max x + y with k v ≤ 1, v = x y: bound the product, and multiply that."""
    program = Program()
    x, y, v = (
        program.variable(name, None, 0, most) for name, most in zip("xyv", (2, 2, 9), strict=True)
    )
    k = program.parameter("k", 1.0)
    program.maximize(x + y)
    program.subject_to(product=v == x * y, limit=k * v <= 1)
    for value, best in ((1.0, 2.5), (0.5, 3.0), (0.25, 4.0)):
        program.set(k=value)
        found = solve_program(program, "casadi_ipopt", start={"x": 1.9, "y": 0.5, "v": 0.95})
        assert found.objective == pytest.approx(best, rel=1e-5)


# --- copies and threads -------------------------------------------------------------------------

LOADINGS = np.array([[1.0, 0.5, -0.2], [0.0, 1.0, 0.3]])


def systematic() -> LinearMap:
    return LinearMap((Factor(np.diag([2.0, 1.0]), LOADINGS, "exposure", ("f", "g")),))


def factored() -> Program:
    p = Program("factored")
    w = p.variable("w", ASSETS, lower=0)
    mu, lam = p.parameter("mu", OLD["v"]), p.parameter("lam", 1.0)
    p.maximize(mu @ w - lam * norm(systematic() @ w))
    p.subject_to(invested=w.sum() == 1)
    return p


COPIES = {
    "pickled": lambda p: pickle.loads(pickle.dumps(p)),
    "deep-copied": copy.deepcopy,
    "pickled twice": lambda p: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(p)))),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("solved", [False, True], ids=["before", "after"])
def test_copies_behave_as_the_original(how, solved):
    program = factored()
    if solved:
        solve_program(program)
    twin = COPIES[how](program)
    assert str(twin) == str(program)
    twin.set(lam=0.1, mu=NEW["v"])
    assert program.numbers["lam"].tolist() == [1.0]
    before = solve_program(program).objective
    program.set(lam=0.1, mu=NEW["v"])
    best = solve_program(program).objective
    assert solve_program(twin).objective == pytest.approx(best, rel=1e-9)
    assert best != pytest.approx(before, rel=1e-3)
    # The exposures are known to the copy: nothing grows.
    columns = program.columns
    for each in (program, twin):
        w = each.variables["w"]
        each.subject_to(more=norm(systematic() @ w) <= 1.1)
        assert each.columns == columns
    best = solve_program(program).objective
    assert solve_program(twin).objective == pytest.approx(best, rel=1e-9)
    with pytest.raises(InputError, match="of another program"):
        twin.subject_to(foreign=program.variables["w"] <= 1)
    assert len(twin.kernel().w) == len(twin.block().w) == 3


def test_threads_solve_one_program():
    program = factored()
    best, found, failed = solve_program(program).objective, [], []

    def solve() -> None:
        try:
            for _ in range(10):
                solution = solve_program(program)
                found.append((solution.objective, solution.certificate.primal_residual))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=solve, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert len(found) == 20
    np.testing.assert_allclose([objective for objective, _ in found], best, rtol=1e-9)
    assert max(residual for _, residual in found) <= 1e-7


def test_a_constraint_may_be_called_objective():
    """Its squares take new values of their parameter, as those of other constraints do."""
    program = Program("names")
    x = program.variable("x", ["a", "b"])
    weight = program.parameter("weight", 1.0)
    program.maximize(x.sum())
    program.subject_to(objective=weight * sum_squares(x) <= 2)
    assert solve_program(program).objective == pytest.approx(2.0)
    program.set(weight=4.0)
    assert solve_program(program).objective == pytest.approx(1.0)
