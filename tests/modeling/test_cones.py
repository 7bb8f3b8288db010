"""Every cone passes the conformance test of cones, and a wrong one does not."""

from __future__ import annotations

import doctest

import numpy as np
import pyomo.kernel as pmo
import pytest

from rrp_pyomo import testing
from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.modeling import constraints
from rrp_pyomo.modeling.cones import (
    CONES,
    EXPONENTIAL,
    ROTATED,
    SECOND_ORDER,
    SEMIDEFINITE,
    ZERO,
    Exponential,
    Nonnegative,
    Power,
    Rotated,
    SecondOrder,
    Semidefinite,
    Zero,
)
from rrp_pyomo.modeling.cones.base import lengths
from rrp_pyomo.modeling.constraints import InCone
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.testing import check_cone

KINDS = [kind() for kind in CONES if kind is not Power] + [Power(0.5), Power(0.2)]


@pytest.mark.parametrize("cone", KINDS, ids=repr)
def test_every_cone_of_the_language_passes(cone):
    check_cone(cone)


def test_docstring_example():
    (found,) = doctest.DocTestFinder().find(check_cone, "check_cone", globs=vars(testing).copy())
    assert doctest.DocTestRunner().run(found).failed == 0


# --- wrong cones --------------------------------------------------------------------------------


class InsideOut(SecondOrder):
    def violation(self, *parts):
        return -super().violation(*parts)


class Squared(SecondOrder):
    """Positive where it should be, but not homogeneous."""

    def violation(self, *parts):
        return super().violation(*parts) * (1.0 + lengths(parts[1:], parts[0].size))


class Halved(Zero):
    """Says nothing of values below 0."""

    def violation(self, *parts):
        return np.maximum(parts[0], 0.0)


class OneViolation(Nonnegative):
    def violation(self, *parts):
        return super().violation(*parts).max(keepdims=True)


class AbsolutelyRelative(Power):
    def relative_violation(self, parts, sizes):
        return float(np.max(self.violation(*parts)))


class KernelOrder(Exponential):
    def kernel(self, *entries):
        x, y, z = entries
        return pmo.conic.primal_exponential(y, z, x)


class KernelScale(Rotated):
    def kernel_parts(self, parts):
        return parts


class RowsScale(SecondOrder):
    def rows(self, builder, parts):
        t, *pieces = parts
        return super().rows(builder, [t._replace(val=2.0 * t.val, constant=t.constant), *pieces])


class RowsOrder(Exponential):
    def rows(self, builder, parts):
        x, y, z = parts
        return builder.exponential(x, z, y)


class SmoothSides(Power):
    """One side of |c| only."""

    def smooth(self, *entries):
        return super().smooth(*entries)[:1]


class QuadraticWeight(Rotated):
    def quadratic(self, *parts):
        a, b, *pieces = parts
        return super().quadratic(a, 2.0 * b, *pieces)


class MultipliersMixedUp(Exponential):
    def split(self, members, parts):
        x, y, z = super().split(members, parts)
        return [y, x, z]


class TakesAnything(Zero):
    def shaped(self, parts):
        return parts


class Shapeless(Zero):
    shapes = ()


class TwoNames(SecondOrder):
    heads = 3


class Unclear(Semidefinite):
    def kernel(self, *entries):
        raise ModelError("that will not do")


WRONG = {
    InsideOut: "violation",
    Squared: "not homogeneous",
    Halved: "away from the cone, but has the violation",
    OneViolation: r"violation\(\) has shape \(1,\) for 3 cones",
    AbsolutelyRelative: r"relative_violation\(\) is .* in another unit",
    KernelOrder: r"kernel\(\) by clarabel gives another projection",
    KernelScale: r"kernel\(\) by clarabel gives another projection",
    RowsScale: "of the conic form's cone has the violation",
    RowsOrder: "violation",
    SmoothSides: r"block\(\) by casadi_ipopt",
    QuadraticWeight: r"block\(\) by clarabel gives another projection",
    MultipliersMixedUp: "the multipliers are not the gradient",
    TakesAnything: r"TakesAnything\(\) takes 0 parts",
    Shapeless: "no shapes to try",
    TwoNames: r"3 heads and the parts \('t', 'v'\)",
    Unclear: r"kernel\(\) should refuse it by a ModelError with its name; that will not do",
}


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_a_wrong_cone_fails(kind, monkeypatch):
    monkeypatch.setattr(constraints, "CONES", (*CONES, kind))
    with pytest.raises(AssertionError, match=WRONG[kind]):
        check_cone(kind())


def test_a_cone_that_is_not_listed_is_refused_at_once():
    class Mine(SecondOrder):
        pass

    x = Program().variable("x", 3)
    with pytest.raises(InputError, match=r"Mine\(\) is no cone that rrp_pyomo.modeling.cones list"):
        InCone((x[:1], x[1:]), Mine())
    with pytest.raises(InputError, match="is no cone"):
        InCone((x,), "second-order")


# --- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cone", "sizes", "message"),
    [
        (ZERO, (), "the parts s; 0 were given"),
        (ZERO, (1, 1), "the parts s; 2 were given"),
        (SECOND_ORDER, (1,), "the parts t, v; 1 were given"),
        (ROTATED, (1, 1), "the parts a, b, v; 2 were given"),
        (EXPONENTIAL, (1, 1, 1, 1), "the parts x, y, z; 4 were given"),
        (EXPONENTIAL, (2, 3, 1), "have 2, 3, 1 rows; expected one row for each cone"),
        (SECOND_ORDER, (2, 3), "have 2, 3 rows"),
        (SEMIDEFINITE, (8,), "given 8 rows; expected d²"),
        (SEMIDEFINITE, (4, 4), "given 4, 4 rows; expected d²"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(cone, sizes, message):
    program = Program()
    parts = tuple(program.variable(f"x{k}", size) for k, size in enumerate(sizes))
    with pytest.raises(InputError, match=message):
        InCone(parts, cone)


def test_rows_of_different_index_sets_are_not_one_cone_each():
    program = Program()
    x, y = program.variable("x", ["a", "b"]), program.variable("y", ["c", "d"])
    with pytest.raises(InputError, match=r"two index sets do not go together.*'a', 'b'.*'c', 'd'"):
        InCone((x, x, y), EXPONENTIAL)
    # Two scalar heads by their labels are one cone.
    assert InCone((x[["a"]], x[["b"]], y), ROTATED).cone.count((x[["a"]],)) == 1


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.5, np.nan])
def test_exponents_of_power_cones_are_inside_the_unit_interval(alpha):
    with pytest.raises(InputError, match=r"alpha of a power cone is .*expected 0 < alpha < 1"):
        Power(alpha)


def test_exponential_cones_are_missed_by_the_smallest_of_three_distances():
    """y exp(x/y) explodes for small y, where a small change of x does."""
    found = EXPONENTIAL.violation(*np.array([[0.01, -1.0, 1.0], [1e-3, -1e-9, 1.0], [1.0, 1.0, 2]]))
    np.testing.assert_allclose(found, [0.01 - 1e-3 * np.log(1e3), 1e-9, 1.0 - np.log(2)], rtol=1e-9)


def test_rotated_cones_are_measured_as_second_order_ones():
    """√(a b) has no slope at 0: a rounding error of a is no error of v."""
    parts = [np.array([1e-12]), np.array([1.0]), np.array([1e-5])]
    assert 0.0 < ROTATED.relative_violation(parts, [np.ones(1)] * 3) <= 1e-9
    assert ROTATED.violation(*parts)[0] == pytest.approx(9e-6)


def test_cones_are_equal_by_what_they_are():
    assert Power(0.2) == Power(0.2)
    assert hash(Power(0.2)) == hash(Power(0.2))
    assert Power(0.2) != Power(0.3)
    assert Zero() == ZERO != Nonnegative()


def test_a_membership_has_no_truth_value():
    x = Program().variable("x", 2)
    with pytest.raises(InputError, match=r"no truth value.*Program\.subject_to"):
        bool(InCone((x,), ZERO))


def test_multipliers_of_a_membership_come_by_part_and_label():
    """min r with ‖(x − 3, y − 4)‖ ≤ r and x = y = 0: the multiplier of v is −(−3, −4)/5."""
    program = Program()
    r, v = program.variable("r"), program.variable("v", ["x", "y"])
    program.minimize(r)
    program.subject_to(ball=InCone((r, v - [3.0, 4.0]), SECOND_ORDER), fixed=v == 0)
    duals = solve_program(program).duals
    assert duals["ball"]["t"] == pytest.approx(1.0)
    assert duals["ball"]["v"].to_dict() == pytest.approx({"x": 0.6, "y": 0.8}, abs=1e-6)
    assert duals["fixed"].to_dict() == pytest.approx({"x": -0.6, "y": -0.8}, abs=1e-6)
