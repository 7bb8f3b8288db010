"""Named expressions: read from solutions and blocks, and nothing to those who solve."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest

from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.modeling import norm, square
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

ASSETS = ["bonds", "stocks", "gold"]
ROOT = np.array([[0.05, 0.02, 0.0], [0.0, 0.18, 0.03], [0.0, 0.0, 0.15]])
POINT = np.array([0.5, 0.3, 0.2])


def smallest_risk() -> Program:
    program = Program("smallest_risk")
    x = program.variable("x", ASSETS, lower=0)
    s = program.variable("s", lower=0)
    fee = program.parameter("fee", 0.01)
    program.minimize(s)
    program.subject_to(fully_invested=x.sum() == 1, risk=norm(ROOT @ x) <= s)
    program.expression("percent", 100 * s)
    program.expression("contribution", x * ((ROOT.T @ ROOT) @ x))
    program.expression("cost", fee * x["gold"] + 0.5 * fee)
    program.expression("pair", x[["gold", "bonds"]] + 1)
    program.expression("places", ROOT[:2] @ x)
    return program


def expected(x: np.ndarray, s: float, fee: float) -> dict[str, np.ndarray]:
    return {
        "percent": np.array([100 * s]),
        "contribution": x * (ROOT.T @ ROOT @ x),
        "cost": np.array([fee * x[2] + 0.5 * fee]),
        "pair": x[[2, 0]] + 1,
        "places": ROOT[:2] @ x,
    }


def test_solutions_have_them_labelled():
    program = smallest_risk()
    solution = solve_program(program)
    x, s = solution.arrays["x"], solution.values["s"]
    for name, value in expected(x, s, 0.01).items():
        np.testing.assert_allclose(solution.arrays[name], value, rtol=1e-14)
    assert isinstance(solution.values["percent"], float)
    assert solution.values["pair"].index.tolist() == ["gold", "bonds"]
    assert set(solution.values) == {"x", "s", "percent", "contribution", "cost", "pair", "places"}
    assert s**2 == pytest.approx(solution.values["contribution"].sum(), rel=1e-6)


def test_values_are_those_of_the_parameters_that_were_solved_for():
    program = smallest_risk()
    solution = solve_program(program)
    program.set(fee=0.5)
    gold = solution.values["x"]["gold"]
    assert solution.values["cost"] == pytest.approx(0.01 * gold + 0.005, rel=1e-14)
    assert pickle.loads(pickle.dumps(solution)).values["cost"] == solution.values["cost"]


@pytest.mark.parametrize("kind", ["block", "kernel"])
def test_blocks_have_them_by_label(kind):
    program = smallest_risk()
    b = getattr(program, kind)()
    for asset, weight in zip(ASSETS, POINT, strict=True):
        b.x[asset].value = weight
    b.s.value = 0.1
    b.fee.value = 0.03
    found = {
        "percent": [b.percent],
        "contribution": [b.contribution[a] for a in ASSETS],
        "cost": [b.cost],
        "pair": [b.pair["gold"], b.pair["bonds"]],
        "places": [b.places[0], b.places[1]],
    }
    for name, value in expected(POINT, 0.1, 0.03).items():
        np.testing.assert_allclose([pyo.value(e) for e in found[name]], value, rtol=1e-14)
    if kind == "block":
        assert all(b.find_component(name).ctype is pyo.Expression for name in found)
    else:
        assert isinstance(b.percent, pmo.expression)
        assert isinstance(b.pair, pmo.expression_dict)


def test_what_is_compiled_does_not_know_of_them():
    program, plain = smallest_risk(), smallest_risk()
    plain.expressions.clear()
    with_names, without = program.conic(), plain.conic()
    assert (with_names.A != without.A).nnz == 0
    assert program.columns == plain.columns == 4
    assert pickle.loads(pickle.dumps(program)).expressions.keys() == program.expressions.keys()


def test_a_solution_s_arrays_make_a_point():
    program = smallest_risk()
    solution = solve_program(program)
    np.testing.assert_array_equal(program.point(solution.arrays), solution.x)


def test_they_are_printed():
    program = smallest_risk()
    assert "\nexpressions     percent = 100 * s; contribution = x * ([3×3] @ x); " in str(program)
    assert r"\text{where}\quad & \mathrm{percent} = 100 \, s &&" in program._repr_latex_()
    assert "expressions" not in str(Program("none"))


def test_names_are_taken_once():
    program = smallest_risk()
    x = program.variables["x"]
    for name in ("x", "fee", "risk", "percent"):
        with pytest.raises(InputError, match=f"the name '{name}' is taken"):
            program.expression(name, 2 * x)
    with pytest.raises(InputError, match="the name 'percent' is taken"):
        program.variable("percent")
    assert program.free_name("percent") == "percent_2"


def test_names_of_pyomo_are_refused_when_a_block_is_built():
    program = smallest_risk()
    program.expression("doc", 2 * program.variables["x"])
    with pytest.raises(ModelError, match="'doc' names a part"):
        program.block()


def test_terms_and_what_is_no_expression_are_refused():
    program = smallest_risk()
    x = program.variables["x"]
    with pytest.raises(ModelError, match=r"'v' has the term norm.*bound the term by a variable"):
        program.expression("v", norm(ROOT @ x))
    with pytest.raises(InputError, match="'v' is a float"):
        program.expression("v", 1.0)
    with pytest.raises(InputError, match="of another program"):
        program.expression("v", smallest_risk().variables["x"].sum())
    with pytest.raises(InputError, match="NaN"):
        program.expression("v", square(x) * np.nan)
    assert "v" not in program.expressions


def test_labels_of_one_row_are_kept():
    program = Program("one")
    x = program.variable("x", ["only"], lower=1)
    program.minimize(x.sum())
    program.expression("double", 2 * x)
    block = program.block()
    block.x["only"].value = 3
    assert pyo.value(block.double["only"]) == 6
    values = solve_program(program).values["double"]
    pd.testing.assert_series_equal(values.round(6), pd.Series({"only": 2.0}, name="double"))
