"""Options of solvers behind Pyomo: the error names option and value, in the solver's words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

NOT_TAKEN = {
    "highs": {
        "threads": [1.5, None, "a", True, 10**30],
        "presolve": ["x", 3, None],
        "primal_feasibility_tolerance": [-1.0, math.nan, None, "small"],
        "output_flag": ["yes", None],
    },
    "gurobi": {
        "foo": [1],
        "BarConvTol": ["x", -1.0, math.nan, None],
        "Method": [77, None],
        "Threads": [10**30],
    },
    "scip": {
        "foo": [1],
        "limits/time": ["x", -1.0, None],
        "numerics/feastol": [5.0, math.nan],
        "limits/nodes": [10**30],
        "branching/scorefunc": ["z"],
    },
}
TAKEN = {
    "highs": {"threads": 1, "presolve": "off", "primal_feasibility_tolerance": 1e-8},
    "gurobi": {"BarConvTol": 1e-9, "Method": 2, "Threads": 1},
    "scip": {"limits/time": 60.0, "numerics/feastol": 1e-8},
}


@pytest.fixture(scope="module")
def program() -> Program:
    made = Program()
    x = made.variable("x", 2, lower=0)
    made.minimize(x.sum())
    made.subject_to(all=x.sum() >= 1.0)
    return made


@pytest.mark.parametrize(
    ("solver", "name", "value"),
    [(s, name, value) for s in NOT_TAKEN for name in NOT_TAKEN[s] for value in NOT_TAKEN[s][name]],
)
def test_options_that_are_not_taken(
    program: Program, need: Callable[[str], str], solver: str, name: str, value: object
) -> None:
    need(solver)
    with pytest.raises(InputError, match=rf"{solver} option '{name}' is {re.escape(repr(value))}"):
        solve_program(program, solver, **{name: value})


@pytest.mark.parametrize("solver", TAKEN)
def test_options_that_are_taken(program: Program, need: Callable[[str], str], solver: str) -> None:
    found = solve_program(program, need(solver), **TAKEN[solver])
    assert found.objective == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("name", "near"), [("thread", "threads"), ("presolved", "presolve")])
def test_highs_says_what_it_does_not_know(
    program: Program, need: Callable[[str], str], name: str, near: str
) -> None:
    """HiGHS itself ignores it."""
    need("highs")
    with pytest.raises(UnknownLabelError, match=f"highs option '{name}'; did you mean '{near}'"):
        solve_program(program, "highs", **{name: 1})
