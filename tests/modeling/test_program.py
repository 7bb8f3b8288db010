"""Programs: what they hold, what they refuse, and how far a point is from satisfying them."""

from __future__ import annotations

import doctest

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
import scipy.sparse as sp

from rrp_pyomo import modeling
from rrp_pyomo.errors import InputError, ModelError, UnknownLabelError
from rrp_pyomo.linalg import Factor, LinearMap
from rrp_pyomo.modeling import Affine, norm, square, sum_squares
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program


@pytest.fixture
def program():
    return Program("mine")


@pytest.fixture
def x(program):
    return program.variable("x", ["a", "b"], lower=0, upper=[1.0, 2.0])


def factored(name="exposure"):
    V = np.array([[1.0, 2.0]])
    return LinearMap((Factor(V.T, V, name, ("market",)),), np.ones(2))


def test_docstring_example():
    names = {"np": np, **vars(modeling), "Program": Program}
    (found,) = (t for t in doctest.DocTestFinder().find(Program, globs=names) if t.examples)
    assert doctest.DocTestRunner().run(found).failed == 0


def test_values_and_points(program, x):
    t = program.variable("t")
    program.subject_to(m=factored() @ x >= t)
    point = program.point({"x": [0.5, 1.0], "t": 3.0})
    values = program.values(point)
    assert {name: v.tolist() for name, v in values.items()} == {
        "x": [0.5, 1.0],
        "t": [3.0],
        "exposure": [2.5],  # follows from x
    }
    assert program.columns == 4
    lower, upper = program.bounds()
    assert lower.tolist() == [0, 0, -np.inf, -np.inf]
    assert upper.tolist() == [1, 2, np.inf, np.inf]


def test_residuals(program, x):
    t = program.variable("t", lower=0)
    program.subject_to(
        equal=x.sum() == 1,
        below=x <= [0.5, 0.25],
        cone=norm(2 * x, t) <= 3,
        product=x * t >= square(Affine(1, {}) + 2.0 + 0 * t),
        negative=(x - 1) * t >= square(0 * t),
        both_negative=(x - 9) * (t - 9) >= square(0 * t + 100),
        squares=sum_squares(x) >= 6,
        fine=x >= -1,
    )
    found = program.residuals(np.array([0.5, 3.0, 2.0]))
    assert found == pytest.approx(
        {
            "x": 1.0,  # 3 is above its upper bound
            "t": 0.0,
            "equal": 2.5,
            "below": 2.75,
            "cone": np.sqrt(41.0) - 3,
            "product": 2 - 1.0,  # 0.5 * 2 should be 2²
            "negative": 0.5,
            "both_negative": 100.0,
            "squares": 0.0,
            "fine": 0.0,
        }
    )
    program.subject_to(more_squares=sum_squares(x) >= 10)
    residuals = program.residuals(np.array([0.5, 3.0, -2.0]))
    assert residuals["more_squares"] == 0.75
    assert residuals["product"] == pytest.approx(2.0)  # t < 0: |c| − √0
    assert residuals["t"] == 2.0


def test_names_of_definitions_leave_the_users_alone(program, x):
    program.subject_to(exposure_definition=x.sum() == 1)
    program.subject_to(m=factored() @ x >= 0)
    assert list(program.constraints) == ["exposure_definition", "exposure_2_definition", "m"]
    assert program.constraints["exposure_definition"].body.size == 1
    # And so do those of cones, which realisations state by auxiliary variables.
    program.subject_to(
        cone=norm(x - 1) <= x.sum(), cone_vector_definition=x <= 1, cone_bound_definition=x >= 0
    )
    block = program.block()
    assert len(block.cone_vector_definition) == len(block.cone_bound_definition) == 2
    names = {c.local_name for c in block.component_objects()}
    assert {"cone_vector_2", "cone_vector_2_definition", "cone_bound_2"} <= names


def test_an_empty_program_has_every_realisation():
    program = Program()
    assert program.conic().A.shape == (0, 0)
    assert program.quadratic().A.shape == (0, 0)
    kernel, block = program.kernel(), program.block()
    assert pyo.value(kernel.objective) == pyo.value(block.objective) == 0.0
    assert list(kernel.components(pmo.variable.ctype)) == []
    assert list(block.component_data_objects(pyo.Var)) == []
    assert solve_program(program).objective == 0.0


OTHER = Program("theirs").variable("w", ["a", "b"])
REFUSED = {
    "name taken": (lambda p, x: p.variable("x"), ["'x' is taken", "'mine'"]),
    "constraint's name taken": (lambda p, x: p.subject_to(x=x >= 1), ["'x' is taken"]),
    "no constraint": (lambda p, x: p.subject_to(c=x.sum()), ["'c' is x.sum()", "comparison"]),
    "a truth value": (
        lambda p, x: p.subject_to(c=np.float64(1.0) <= 2),
        ["'c'", "True", "comparison"],
    ),
    "repeated label": (lambda p, x: p.variable("y", ["a", "b", "a"]), ["'y'", "'a' 2 times"]),
    "no labels": (lambda p, x: p.variable("y", []), ["'y'", "no labels"]),
    "NaN bound": (lambda p, x: p.variable("y", ["a", "b"], [0, np.nan]), ["entry 'b'", "nan"]),
    "bounds cross": (lambda p, x: p.variable("y", None, 2, 1), ["'y'", "2.0 and 1.0", "lower ≤"]),
    "bounds nowhere": (lambda p, x: p.variable("y", lower=np.inf), ["'y'", "inf and inf"]),
    "too many bounds": (lambda p, x: p.variable("y", ["a"], [0, 0]), ["'y'", "2 bounds"]),
    "bounds are text": (lambda p, x: p.variable("y", lower="none"), ["str", "numbers"]),
    "unit": (lambda p, x: p.variable("y", unit=0.0), ["unit of 'y' is 0.0", "positive"]),
    "objective of two rows": (lambda p, x: p.minimize(x), ["2 rows", ".sum()"]),
    "objective a number": (lambda p, x: p.maximize(1.0), ["is a float", "scalar expression"]),
    "NaN coefficient": (
        lambda p, x: p.subject_to(c=np.array([1.0, np.nan]) @ x <= 1),
        ["constraint 'c'", "coefficient of 'x'", "NaN"],
    ),
    "NaN in a sparse matrix": (
        lambda p, x: p.subject_to(c=norm(sp.csr_array([[np.nan, 0.0]]) @ x) <= 1),
        ["constraint 'c'", "'x'", "NaN"],
    ),
    "infinite constant": (
        lambda p, x: p.subject_to(c=x <= [1.0, np.inf]),
        ["constraint 'c'", "constant", "infinite", "leave out"],
    ),
    "NaN weight": (lambda p, x: p.minimize(np.nan * sum_squares(x)), ["objective", "NaN"]),
    "NaN in a product": (
        lambda p, x: p.subject_to(c=x * (x + np.nan) >= square(x)),
        ["constraint 'c'", "constant"],
    ),
    "another program": (
        lambda p, x: p.subject_to(c=x + OTHER >= 0),
        ["constraint 'c'", "'w' of another program", "'theirs'", "'mine'"],
    ),
    "no variables": (lambda p, x: p.subject_to(c=Affine(1, {}) <= 1), ["'c' has no variables"]),
    "point of another length": (lambda p, x: p.point({"x": [1, 2, 3]}), ["3 values", "'x'", "2"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, program, x):
    make, fragments = REFUSED[case]
    with pytest.raises(InputError) as caught:
        make(program, x)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_point_of_an_unknown_variable(program, x):
    program.variable("theta")
    with pytest.raises(UnknownLabelError, match="'thet'; did you mean 'theta'"):
        program.point({"thet": 1.0})


@pytest.mark.parametrize(
    "name", ["objective", "objective_cone", "objective_expression", "scaling_factor", "name"]
)
@pytest.mark.parametrize("realise", ["kernel", "block"])
def test_names_that_blocks_have_themselves(name, realise):
    program = Program("mine")
    program.variable(name, ["a"])
    with pytest.raises(ModelError, match=f"{name!r} .*'mine'.*choose another"):
        getattr(program, realise)()


NONCONVEX = {
    "square from below": (lambda x, t: square(x) >= 1, "constraint 'c'"),
    "equal to a square": (lambda x, t: t == sum_squares(x), "constraint 'c'"),
    "product": (lambda x, t: x * t <= 1, "constraint 'c'"),
    "negative weight": (lambda x, t: square(x) * np.array([1.0, -1.0]) <= 1, "constraint 'c'"),
}


@pytest.mark.parametrize("case", NONCONVEX)
def test_conic_form_refuses_what_is_not_convex(case, program, x):
    make, what = NONCONVEX[case]
    program.subject_to(c=make(x, program.variable("t")))
    with pytest.raises(ModelError, match=f"{what} is not convex.*'ipopt'.*norm"):
        program.conic()


@pytest.mark.parametrize("maximizing", [False, True])
def test_conic_form_refuses_objectives_that_are_not_convex(maximizing, program, x):
    (program.maximize if maximizing else program.minimize)(
        sum_squares(x) if maximizing else x.sum() - sum_squares(x)
    )
    with pytest.raises(ModelError, match="the objective is not convex"):
        program.conic()


def test_labels_of_rows(program, x):
    t = program.variable("t")
    y = program.variable("y", [("k", 1), ("k", 2)])
    program.subject_to(
        by_x=x >= t,
        by_y=y >= np.eye(2) @ x + t,
        unlabelled=np.ones((3, 2)) @ x >= 0,
        scalar=x.sum() >= t,
    )
    block, kernel = program.block(), program.kernel()
    assert list(block.by_x) == ["a", "b"]
    assert list(block.by_y) == [("k", 1), ("k", 2)]
    assert list(block.unlabelled) == [0, 1, 2]
    assert not block.scalar.is_indexed()
    assert list(kernel.x) == ["a", "b"]
    assert list(kernel.y) == [("k", 1), ("k", 2)]
    assert block.y["k", 2].index() == ("k", 2)
    program.subject_to(cone=y * t >= square(np.eye(2) @ x))
    assert list(program.block().cone) == list(program.kernel().cone) == [("k", 1), ("k", 2)]


def test_a_variable_with_one_label_is_indexed():
    program = Program()
    x = program.variable("x", [7], lower=0)
    program.subject_to(c=x >= 1, d=x * x.sum() >= square(x))
    assert list(program.block().x) == list(program.kernel().x) == [7]


def test_units_become_scaling_factors():
    program = Program()
    x = program.variable("x", ["a", "b"], unit=0.01)
    program.subject_to(c=norm(x) <= program.variable("t"))
    for block in (program.block(), program.kernel()):
        assert [block.scaling_factor[v] for v in block.x.values()] == [100.0, 100.0]
        assert block.t not in block.scaling_factor


def test_matrices_are_not_taken_for_vectors():
    x = Program().variable("x", range(4))
    with pytest.raises(InputError, match=r"shape \(2, 2\).*`@`"):
        np.ones((2, 2)) * x
