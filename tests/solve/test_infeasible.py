"""Constraints that exclude each other: no others are named, and any all but one can be met."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import MeanVariance, Program, WeightSet, contradiction, log, norm, worst_case
from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.errors import InfeasibleError, InputError, ModelError
from rrp_pyomo.uncertainty import Ball

A = ["a", "b", "c"]


def held(**constraints: Callable) -> Program:
    program = Program("held")
    w, v = program.variable("w", A, lower=0), program.variable("v", 2, lower=0)
    program.minimize(w.sum() + v.sum() - log(v).sum())
    program.subject_to(invested=w.sum() == 1, elsewhere=v.sum() == 1, other=norm(v) <= 1)
    program.subject_to(**{name: stated(w) for name, stated in constraints.items()})
    return program


mean = pd.Series([0.1, 0.02, 0.03], A)
CASES = {
    "floors": (
        {"floor": lambda w: w >= np.array([0.1, 0.6, 0.6])},
        ("invested", "floor['b']", "floor['c']", "w['a'] >= 0"),
    ),
    "a cap beside income": (
        {"income": lambda w: mean @ w >= 0.05, "cap": lambda w: w <= np.array([0.1, 1, 1])},
        ("invested", "income", "cap['a']", "w['b'] >= 0"),
    ),
    "a norm": (
        {"near": lambda w: norm(w - 1 / 3, 1) <= 0.1, "most": lambda w: w["a"] >= 0.9},
        ("near", "most"),
    ),
    "a cone": ({"risk": lambda w: norm(w) <= 0.5}, ("invested", "risk")),
    "a logarithm": ({"growth": lambda w: log(w).sum() >= 0}, ("invested", "growth")),
    "nothing": ({"cap": lambda w: w <= 0.4}, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_what_excludes_each_other_is_named(case):
    constraints, expected = CASES[case]
    assert contradiction(held(**constraints)) == expected


def test_worst_cases_and_parameters_are_those_of_now():
    program = Program("robust")
    w, mu = program.variable("w", A, lower=0), program.uncertain("mu", Ball(mean, 0.05))
    least = program.parameter("least", 0.0)
    program.maximize(w.sum())
    program.subject_to(invested=w.sum() == 1, income=worst_case(mu @ w) >= least)
    assert contradiction(program) == ()
    program.set(least=0.09)
    found = contradiction(program)
    assert found[:2] == ("invested", "income")
    assert set(found[2:]) <= {"w['b'] >= 0", "w['c'] >= 0"}


def test_the_program_of_a_problem():
    covariance = DenseCovariance(np.diag([0.04, 0.01, 0.02]), A)
    given = {"weight_set": WeightSet(upper=0.4), "previous": {"a": 1, "b": 0, "c": 0}}
    problem = MeanVariance(None, covariance, turnover=0.1, **given)
    with pytest.raises(InfeasibleError, match=r"contradiction\(program\)"):
        problem.solve()
    assert contradiction(problem.program()) == ("turnover", "x['a'] <= 0.4")
    with pytest.raises(InputError, match=r"problem\.program\(\)"):
        contradiction(problem)


def test_integers_are_refused():
    program = Program("few")
    z = program.variable("z", 3, domain="binary")
    program.minimize(z.sum())
    program.subject_to(many=z.sum() >= 4)
    with pytest.raises(ModelError, match="binary"):
        contradiction(program)
