"""Cones that the package does not have are stated right by what they say of themselves."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from rrp_pyomo import Program, solve_program, stack
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.modeling import InCone, constraints
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.cones import CONES, Cone


class Ball(Cone):
    """{‖v‖₂ ≤ t} by a smooth function alone."""

    name = "ball"
    part_names = ("t", "v")
    heads = 1
    takes = Takes.EXPONENTIAL
    shapes = ((1, 3),)

    def rows(self, builder, parts):
        raise NotImplementedError

    def violation(self, *parts):
        return np.linalg.norm(np.concatenate(parts[1:])) - parts[0]

    def smooth(self, *entries):
        t, vector = entries
        return [t - pyo.sqrt(sum(v**2 for v in vector) + 1e-12)]


class Between(Cone):
    """{−t ≤ v ≤ t} as a body of two rows for each entry."""

    name = "between"
    part_names = ("t", "v")
    heads = 1
    takes = Takes.LINEAR
    shapes = ((1, 2),)

    def rows(self, builder, parts):
        raise NotImplementedError

    def violation(self, *parts):
        return np.array([np.abs(parts[1]).max()]) - parts[0]

    def quadratic(self, *parts):
        t, v = parts
        return Composite(stack(t - v, t + v), ()), 0.0, np.inf


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr(constraints, "CONES", (*CONES, Ball, Between))


def test_a_vector_of_a_smooth_cone_is_one_vector(listed):
    program = Program("ball")
    t, v = program.variable("t"), program.variable("v", range(3), lower=1)
    program.minimize(t)
    program.subject_to(c=InCone((t, v), Ball()))
    block = program.block()
    for variable in (block.t, *block.v.values()):
        variable.value = 2.0
    pyo.SolverFactory("casadi_ipopt").solve(block)
    assert pyo.value(block.objective) == pytest.approx(np.sqrt(3), rel=1e-6)


def test_duals_after_a_cone_of_several_rows_are_their_own(listed):
    program = Program("between")
    t, v = program.variable("t"), program.variable("v", range(2))
    program.minimize(2 * t)
    program.subject_to(c=InCone((t, v), Between()), least=v.sum() >= 4)
    solution = solve_program(program, "casadi_ipopt")
    assert solution.objective == pytest.approx(4.0)
    assert solution.duals["least"] == pytest.approx(1.0, abs=1e-6)
