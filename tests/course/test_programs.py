"""Statements of readers are solved, and what their data tell is told truly."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest

from rrp_pyomo import Program
from rrp_pyomo.course.exercises import WrongAnswer
from rrp_pyomo.course.programs import optimum_of, transposed

ASSETS = ["a", "b", "c"]


def program(**more):
    stated = Program("least square")
    w = stated.variable("w", ASSETS, lower=0)
    stated.minimize(w @ w)
    stated.subject_to(invested=w.sum() == 1, **{name: row(w) for name, row in more.items()})
    return stated


def environ(index):
    m = pyo.ConcreteModel()
    m.w = pyo.Var(index, bounds=(0, 1))
    m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
    m.goal = pyo.Objective(expr=sum(v**2 for v in m.w.values()))
    return m


def kernel():
    m = pmo.block()
    m.w = pmo.variable_list(pmo.variable(lb=0) for _ in ASSETS)
    m.invested = pmo.constraint(sum(m.w) == 1)
    m.goal = pmo.objective(sum(v**2 for v in m.w))
    return m


@pytest.mark.parametrize(
    "model",
    [program(), environ(ASSETS), environ(range(3)), environ(pyo.RangeSet(3)), kernel()],
    ids=["program", "by asset", "range", "RangeSet", "kernel"],
)
def test_statements_come_in_many_forms(model):
    weights, objective = optimum_of(model, ASSETS)
    np.testing.assert_allclose(weights[ASSETS], 1 / 3, atol=1e-6)
    assert objective == pytest.approx(1 / 3, abs=1e-8)


def test_a_hint_for_what_no_values_satisfy_is_for_nothing_else():
    none = program(much=lambda w: w["a"] >= 2)
    with pytest.raises(WrongAnswer, match="is a row too tight"):
        optimum_of(none, ASSETS, hint="is a row too tight?")
    endless = Program("endless")
    w = endless.variable("w", ASSETS)
    endless.maximize(w.sum())
    with pytest.raises(WrongAnswer, match="unbounded") as told:
        optimum_of(endless, ASSETS, hint="is a row too tight?")
    assert "tight" not in str(told.value)


def test_a_transposed_root_is_told_where_its_limit_is_reached():
    C = np.array([[4.0, 1.0], [1.0, 9.0]])
    x = np.array([0.4, 0.6])
    reached = float(np.linalg.norm(np.linalg.cholesky(C) @ x))
    assert "‖L'w‖" in transposed(C, {"cap": x}, {"cap": reached})
    assert transposed(C, {"cap": x}, {"cap": 1.2 * reached}) == ""
