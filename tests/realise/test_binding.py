"""Existing Pyomo variables in the place of a program's own, and models that stay what they were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.modeling import norm, square
from rrp_pyomo.program import Program

LABELS = ("a", "b", "c")


def program(labels=LABELS, lower=0.0, upper=np.inf):
    """max Σ y with y² ≤ x s and Σ x = 1: y_i = √(s / n) at equal x."""
    p = Program("roots")
    n = len(labels)
    x = p.variable("x", labels, lower, upper, unit=1 / n)
    s = p.variable("s", upper=3.0)
    y = p.variable("y", labels)
    p.maximize(y.sum())
    p.subject_to(cones=x * s >= square(y), ball=norm(x) <= 2, fully_invested=x.sum() == 1)
    return p


def environ(bounds=(0, None), labels=LABELS):
    model = pyo.ConcreteModel()
    model.w = pyo.Var(labels, bounds=bounds)
    return model, model.w, "block"


def kernel(bounds=(0, None), labels=LABELS):
    model = pmo.block()
    lb, ub = bounds
    model.w = pmo.variable_dict((label, pmo.variable(lb=lb, ub=ub)) for label in labels)
    return model, model.w, "kernel"


BOTH = pytest.mark.parametrize("make", [environ, kernel])


def solve(model):
    SolverFactory("clarabel").solve(model)


def values(component):
    return [v.value for v in component.values()]


@BOTH
def test_bound_variables_take_the_place_of_the_programs(make):
    model, w, realise = make()
    model.b = getattr(program(), realise)({"x": w})
    assert all(model.b.x[label] is w[label] for label in LABELS)
    solve(model)
    assert values(w) == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert pyo.value(model.b.objective) == pytest.approx(3.0, rel=1e-7)


@BOTH
def test_the_users_model_is_not_changed(make):
    model, w, realise = make(bounds=(-1.0, 0.7))
    for k, v in enumerate(w.values()):
        v.value = 0.1 * k
    before = [(v.lb, v.ub, v.value, v.fixed, v.name) for v in w.values()]
    parts = list(vars(model))
    getattr(program(), realise)({"x": w})
    assert [(v.lb, v.ub, v.value, v.fixed, v.name) for v in w.values()] == before
    assert list(vars(model)) == parts


@BOTH
def test_loose_bounds_become_rows(make):
    """Bounds that the program declares hold although the user's variables do not have them."""
    model, w, realise = make(bounds=(-5.0, 9.0))
    model.b = getattr(program(lower=[0.0, 0.5, -np.inf], upper=[np.inf, 0.6, 0.1]), realise)(
        {"x": w}
    )
    rows = model.b.x_lower_bound, model.b.x_upper_bound
    assert [len(r) for r in rows] == [2, 2]
    solve(model)
    assert values(w) == pytest.approx([0.4, 0.5, 0.1], abs=1e-6)


@BOTH
def test_tighter_bounds_need_no_rows(make):
    _, w, realise = make(bounds=(0.2, 0.7))
    block = getattr(program(upper=0.8), realise)({"x": w})
    assert not hasattr(block, "x_lower_bound")
    assert not hasattr(block, "x_upper_bound")


@BOTH
def test_names_of_those_rows_leave_the_users_alone(make):
    p = program()
    p.subject_to(x_lower_bound=p.variables["x"] >= 0.25)
    model, w, realise = make(bounds=(None, None))
    model.b = getattr(p, realise)({"x": w})
    assert hasattr(model.b, "x_lower_bound_2")
    solve(model)
    assert values(w) == pytest.approx([1 / 3] * 3, abs=1e-6)


@BOTH
def test_more_variables_than_labels(make):
    """Extra variables of the user's stay out of it."""
    model, w, realise = make(labels=("z", *reversed(LABELS), "q"))
    model.b = getattr(program(), realise)({"x": w})
    solve(model)
    assert [w[label].value for label in LABELS] == pytest.approx([1 / 3] * 3, abs=1e-6)


LABEL_SETS = {
    "tuples": [("k", 1), ("k", 2), ("m", 1)],
    "integers": [3, 1, 2],
    "mixed": ["a", 7, 0.5],
    "timestamps": list(pd.date_range("2001-01-05", periods=3)),
}


@BOTH
@pytest.mark.parametrize("labels", LABEL_SETS.values(), ids=LABEL_SETS)
def test_labels_of_any_kind(make, labels):
    model, w, realise = make(bounds=(None, None), labels=labels)
    model.b = getattr(program(labels), realise)({"x": w})
    for label in labels:
        assert model.b.x[label] is w[label]
        model.b.cones[label], model.b.y[label]
    solve(model)
    assert values(w) == pytest.approx([1 / 3] * 3, abs=1e-6)


@BOTH
def test_sequences_in_label_order_and_scalars(make):
    model, w, realise = make()
    model.s = pyo.Var() if make is environ else pmo.variable()
    bind = {"x": [w[label] for label in LABELS], "s": model.s}
    model.b = getattr(program(), realise)(bind)
    solve(model)
    assert model.s.value == pytest.approx(3.0, rel=1e-6)
    model, w, realise = make()
    series = pd.Series({label: w[label] for label in reversed(LABELS)})
    assert getattr(program(), realise)({"x": series}).x["a"] is w["a"]


@BOTH
def test_parts_are_added_to_a_users_objective(make):
    model, w, realise = make(bounds=(0, 0.4))
    model.b = getattr(program(), realise)({"x": w}, objective=False)
    assert not hasattr(model.b, "objective")
    tilt = 100 * w["a"] + model.b.objective_expression
    if make is environ:
        model.o = pyo.Objective(expr=tilt, sense=pyo.maximize)
    else:
        model.o = pmo.objective(tilt, sense=pmo.maximize)
    solve(model)
    assert values(w) == pytest.approx([0.4, 0.3, 0.3], abs=1e-4)


def test_a_model_with_a_block_can_be_cloned():
    model, w, _ = environ()
    model.b = program().block({"x": w})
    twin = model.clone()
    assert twin.b.x["a"] is twin.w["a"]
    solve(twin)
    assert values(twin.w) == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert values(w) == [None] * 3


def refused(kind):
    environ_model, kernel_model = environ()[0], kernel()[0]
    own, other = (environ_model, kernel_model) if kind == "block" else (kernel_model, environ_model)
    lacking = (environ if kind == "block" else kernel)(labels=("a", "c"))[1]
    return {
        "unknown variable": ({"X": own.w}, UnknownLabelError, ["variable 'X'", "known: x, s, y"]),
        "missing label": ({"x": lacking}, InputError, ["'x'", "no entry for 'b'", "3 labels"]),
        "too short": ({"x": list(lacking.values())}, InputError, ["2 variables", "expected 3"]),
        "the other kind": ({"x": other.w}, InputError, ["'x'", f"pyomo.{own_kind(kind)} variable"]),
        "words": ({"x": ["a", "b", "c"]}, InputError, ["str a", "'x'", "do not mix"]),
        "a number": ({"x": 0.5}, InputError, ["1 variables", "'x'", "expected 3"]),
        "indexed for a scalar": ({"s": own.w}, InputError, ["given for 's'", "expression in such"]),
        "expressions of the other kind": (
            {"x": [v - 1 for v in other.w.values()]},
            InputError,
            ["Expression", f"pyomo.{own_kind(kind)} variable"],
        ),
    }


def own_kind(kind):
    return "environ" if kind == "block" else "kernel"


@pytest.mark.parametrize("kind", ["block", "kernel"])
@pytest.mark.parametrize("case", refused("block"))
def test_refused(kind, case):
    bind, error, fragments = refused(kind)[case]
    with pytest.raises(error) as caught:
        getattr(program(), kind)(bind)
    for fragment in fragments:
        assert fragment in str(caught.value)
