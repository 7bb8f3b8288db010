"""The builder's scaling, where rows have no coefficients to scale them by."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest

from rrp_pyomo.forms.conic import ConicBuilder, ConicForm
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.solvers.conic import Clarabel

NONE = np.zeros(0, np.intp)


def constant(*values: float) -> Rows:
    return Rows(NONE, NONE, np.zeros(0), np.array(values))


def variables(*columns: int) -> Rows:
    n = len(columns)
    return Rows(np.arange(n), np.array(columns), np.ones(n), np.zeros(n))


def built(builder: ConicBuilder) -> ConicForm:
    return builder.build(variables(0))


@pytest.mark.parametrize("by_cone", [False, True])
@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e3, 1e6])
def test_constants_are_the_magnitude_where_there_is_no_coefficient(
    by_cone: bool, size: float
) -> None:
    """x · c ≥ y² with a fixed c: in the form both factors of the product are of magnitude one."""
    builder = ConicBuilder(np.ones(2), by_cone)
    builder.product(variables(0), constant(size), variables(1))
    form = built(builder)
    assert np.abs(form.b).max() == pytest.approx(1.0)
    assert np.abs(form.A.toarray()[:2]).max() == pytest.approx(1.0)

    builder = ConicBuilder(np.ones(2), by_cone)
    builder.nonnegative(constant(size))
    assert built(builder).b == pytest.approx([1.0])


@pytest.mark.parametrize("by_cone", [False, True])
def test_rows_of_zeros_are_left_alone(by_cone: bool) -> None:
    builder = ConicBuilder(np.ones(2), by_cone)
    builder.nonnegative(constant(0.0))
    assert built(builder).row_scale == pytest.approx([1.0])


def test_each_cone_has_its_own_magnitude_where_that_is_asked_for() -> None:
    """Two products in one call, their fixed factors nine digits apart."""
    builder = ConicBuilder(np.ones(4), by_cone=True)
    builder.product(variables(0, 1), constant(1e-6, 1e3), variables(2, 3))
    assert np.abs(built(builder).b) == pytest.approx([1.0, 1.0, 0.0] * 2)


@pytest.mark.parametrize("fixed", [1e-8, 1e-4, 1e4, 1e8])
def test_a_fixed_member_of_a_cone_costs_no_accuracy(fixed: float) -> None:
    """min r with y² ≤ 2 r c, y = 1 and c fixed: r = 1 / 2c, whatever c is."""
    model = pmo.block()
    model.r, model.c = pmo.variable(lb=0), pmo.variable(value=fixed, lb=0, fixed=True)
    model.y = pmo.variable()
    model.cone = pmo.conic.rotated_quadratic(model.r, model.c, [model.y])
    model.row = pmo.constraint(model.y >= np.sqrt(fixed))
    model.cost = pmo.objective(model.r)
    Clarabel().solve(model)
    assert pyo.value(model.r) == pytest.approx(0.5, rel=1e-6)
