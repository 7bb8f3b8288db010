"""Index sets: rows carry their labels, data are aligned by them, and nothing is guessed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from rrp_pyomo.data import DenseCovariance, FactorCovariance
from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.modeling import abs as abs_
from rrp_pyomo.modeling import norm, stack, sum_squares
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

ASSETS = ["bonds", "stocks", "gold"]
POINT = np.array([1.0, 10.0, 100.0])


@pytest.fixture
def program():
    return Program("labels")


@pytest.fixture
def x(program):
    return program.variable("x", ASSETS, lower=0)


# --- rows ---------------------------------------------------------------------------------------

PICKED = {
    "a label": (lambda x: x["stocks"], [10.0], None),
    "a list": (lambda x: x[["gold", "bonds"]], [100.0, 1.0], ("gold", "bonds")),
    "one in a list": (lambda x: x[["gold"]], [100.0], ("gold",)),
    "an array": (lambda x: x[np.array(["gold", "stocks"])], [100.0, 10.0], ("gold", "stocks")),
    "an index": (lambda x: x[pd.Index(["gold", "stocks"])], [100.0, 10.0], ("gold", "stocks")),
    "a slice": (lambda x: x[1:], [10.0, 100.0], ("stocks", "gold")),
    "backwards": (lambda x: x[::-1], [100.0, 10.0, 1.0], ("gold", "stocks", "bonds")),
    "a mask": (
        lambda x: x[np.array([True, False, True])], [1.0, 100.0], ("bonds", "gold"),
    ),
    "a mask in a list": (lambda x: x[[False, True, False]], [10.0], ("stocks",)),
    "of an expression": (lambda x: (2 * x + 1)[["gold"]], [201.0], ("gold",)),
    "of picked rows": (lambda x: x[["gold", "bonds"]]["bonds"], [1.0], None),
    "none": (lambda x: x[3:], [], ()),
}  # fmt: skip


@pytest.mark.parametrize("case", PICKED)
def test_rows_are_picked_by_label_place_and_mask(case, x):
    make, values, labels = PICKED[case]
    picked = make(x)
    assert picked.value(POINT).tolist() == values
    assert picked.labels == labels
    assert len(picked) == len(values)


def test_an_expression_is_a_sequence_of_scalars(x):
    assert len(x) == 3
    rows = list(x)
    assert [row.value(POINT).tolist() for row in rows] == [[1.0], [10.0], [100.0]]
    assert [repr(row) for row in rows] == ["x[bonds]", "x[stocks]", "x[gold]"]
    assert sum(x).value(POINT).tolist() == [111.0]
    # Without labels, places are labels, also from the end.
    y = np.eye(3) @ x
    assert y[-1].value(POINT).tolist() == [100.0]
    assert [row.value(POINT)[0] for row in y] == [1.0, 10.0, 100.0]


def test_numbers_as_labels_are_labels(program):
    y = program.variable("y", [2, 1, 0])
    assert y[2].value(POINT).tolist() == [1.0]
    assert y[[0, 2]].value(POINT).tolist() == [100.0, 1.0]
    assert y[1:].value(POINT).tolist() == [10.0, 100.0]  # slices count places
    pairs = program.variable("pairs", [("a", 1), ("a", 2)])
    assert pairs["a", 2].value(np.arange(5.0)).tolist() == [4.0]
    assert pairs[[("a", 2)]].labels == (("a", 2),)


WRONG_ROWS = {
    "unknown": (lambda x: x["stock"], UnknownLabelError, "'stock'; did you mean 'stocks'"),
    "unknown in a list": (lambda x: x[["gold", "tin"]], UnknownLabelError, "'tin'; known: bonds"),
    "a place": (lambda x: x[0], UnknownLabelError, "unknown label of x '0'"),
    "a slice of labels": (lambda x: x["bonds":"gold"], InputError, "slices count places"),
    "a short mask": (lambda x: x[[True, False]], InputError, r"but the mask has shape \(2,\)"),
    "an unhashable label": (lambda x: x[{}], UnknownLabelError, "unknown label of x"),
    "beyond the end": (lambda x: (np.eye(3) @ x)[3], UnknownLabelError, "'3'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ROWS)
def test_labels_that_no_row_has(case, x):
    make, kind, said = WRONG_ROWS[case]
    with pytest.raises(kind, match=said):
        make(x)


# --- data with labels ---------------------------------------------------------------------------

SHUFFLED = ["gold", "bonds", "stocks"]
MU = pd.Series([300.0, 1.0, 20.0], SHUFFLED)
RETURNS = pd.DataFrame(
    [[300.0, 1.0, 20.0], [3.0, 0.0, 0.0]], index=["good", "bad"], columns=SHUFFLED
)


def test_series_and_frames_are_aligned_by_label(x):
    assert (MU @ x).value(POINT).tolist() == [30201.0]
    assert (x @ MU).value(POINT).tolist() == [30201.0]
    for product in (MU * x, x * MU):
        assert product.value(POINT).tolist() == [1.0, 200.0, 30000.0]
        assert product.labels == tuple(ASSETS)
    assert (x / MU).value(POINT).tolist() == pytest.approx([1.0, 0.5, 1 / 3])
    for total in (MU + x, x + MU):
        assert total.value(POINT).tolist() == [2.0, 30.0, 400.0]
    assert (MU - x).value(POINT).tolist() == [0.0, 10.0, 200.0]
    scenarios = RETURNS @ x
    assert scenarios.value(POINT).tolist() == [30201.0, 300.0]
    assert scenarios.labels == ("good", "bad")


@pytest.mark.parametrize("compare", ["le", "ge", "eq"])
def test_comparisons_with_series_are_by_label(program, x, compare):
    left, right = {
        "le": (x <= MU, MU >= x), "ge": (x >= MU, MU <= x), "eq": (x == MU, MU == x),
    }[compare]  # fmt: skip
    program.subject_to(left=left, right=right)
    for comparison in (left, right):
        assert np.abs(comparison.body.value(POINT)).tolist() == [0.0, 10.0, 200.0]
        assert comparison.body.labels == tuple(ASSETS)


WRONG_DATA = {
    "a missing label": (lambda x: MU[["gold", "bonds"]] @ x, "'stocks'"),
    "an extra label": (
        lambda x: pd.concat([MU, pd.Series([1.0], ["stonks"])]) @ x,
        "'stonks'; did you mean 'stocks'",
    ),
    "a repeated label": (lambda x: pd.concat([MU, MU]) @ x, "the label 'gold' more than once"),
    "columns": (lambda x: RETURNS[["gold", "bonds"]] @ x, "'stocks'"),
    "a frame the wrong way round": (lambda x: RETURNS.T @ x, "unknown label of the DataFrame"),
    "rows without labels": (lambda x: RETURNS @ (np.eye(3) @ x), r"no labels.*\.to_numpy\(\)"),
    "a frame beside x": (lambda x: x + RETURNS, r"DataFrame.*\.to_numpy\(\)"),
    "text": (lambda x: pd.Series(list("abc"), ASSETS) @ x, "could not convert|numbers"),
}


@pytest.mark.parametrize("case", WRONG_DATA)
def test_data_of_other_labels_are_refused(case, x):
    make, said = WRONG_DATA[case]
    with pytest.raises(ValueError, match=said):
        make(x)


V, F, D = np.array([[1.0, 2.0, 0.5]]), np.array([[4.0]]), np.array([1.0, 2.0, 3.0])
COVARIANCES = {
    "dense": DenseCovariance(V.T @ F @ V + np.diag(D), ASSETS),
    "factors": FactorCovariance(V, F, D, ASSETS),
}


@pytest.mark.parametrize("kind", COVARIANCES)
def test_covariances_multiply_by_label(kind):
    covariance, matrix = COVARIANCES[kind], V.T @ F @ V + np.diag(D)
    program = Program()
    x = program.variable("x", ASSETS)
    product = covariance @ x
    assert product.labels == tuple(ASSETS)
    point = program.point({"x": POINT})
    np.testing.assert_allclose(product.value(program.point({"x": POINT})), matrix @ POINT)
    program = Program()
    y = program.variable("y", SHUFFLED)
    product = covariance @ y
    assert product.labels == tuple(ASSETS)
    point = program.point({"y": POINT[[2, 0, 1]]})
    np.testing.assert_allclose(product.value(point), matrix @ POINT)
    assert program.columns == (3 if kind == "dense" else 4)  # factors stay factors
    with pytest.raises(InputError, match=r"'silver'|do not go together"):
        covariance @ program.variable("z", ["bonds", "stocks", "silver"])


# --- sets of rows -------------------------------------------------------------------------------


def test_two_index_sets_of_equal_size_do_not_add(program, x):
    s = program.variable("s", ["up", "down", "flat"])
    for make in (
        lambda: x + s, lambda: x - s, lambda: x <= s, lambda: x == s, lambda: x * s,
        lambda: abs_(x) + abs_(s), lambda: abs_(x) <= s,
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"two index sets .*both have 3: 'bonds'.*'up'"):
            make()
    with pytest.raises(InputError, match=r"bring one into the other's order, such as x\[list"):
        x + x[SHUFFLED]
    assert (x + x[SHUFFLED][ASSETS]).labels == tuple(ASSETS)
    assert (x + s.sum()).labels == tuple(ASSETS)
    assert (np.eye(3) @ x + s).labels == ("up", "down", "flat")


def test_labels_of_stacks(program, x):
    s = program.variable("s", ["up", "down"])
    assert stack(x, s).labels == (*ASSETS, "up", "down")
    assert stack(x, x).labels is None
    assert stack(x, np.eye(3) @ x).labels is None
    assert stack(x, s).value(np.arange(5.0)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("data", ["array", "frame"])
def test_scenarios_and_assets_of_the_same_number_are_not_mixed_up(data):
    """Three scenarios, three assets: rows of losses are scenarios, in whatever order."""
    scenarios = ["2008", "2020", "2022"]
    R = np.array([[-0.3, 0.1, 0.2], [-0.2, 0.05, 0.1], [-0.1, -0.15, 0.0]])
    program = Program("scenarios")
    w = program.variable("w", ASSETS, lower=0)
    u = program.variable("u", scenarios, lower=0)
    returns = pd.DataFrame(R, scenarios, ASSETS) if data == "frame" else R
    program.minimize(u.sum())
    program.subject_to(
        doubled=-(returns @ w) <= 2 * u,
        loss=u >= -(returns @ w),
        invested=w.sum() == 1,
        each=w <= 0.5,
    )
    duals = solve_program(program).duals
    kernel, block = program.kernel(), program.block()
    assert list(kernel.u) == list(block.u) == scenarios
    for name in ("doubled", "loss"):
        assert list(duals[name].index) == list(getattr(block, name)) == scenarios
    assert list(duals["each"].index) == list(block.each) == ASSETS
    assert duals["loss"]["2022"] == pytest.approx(1.0, abs=1e-5)
    assert isinstance(duals["invested"], float)


# --- numpy and scipy ----------------------------------------------------------------------------

INSTEAD = {
    "hstack": (lambda x: np.hstack([x, x]), "stack(a, b)"),
    "vstack": (lambda x: np.vstack([x, x]), "stack(a, b)"),
    "concatenate": (lambda x: np.concatenate([x, x]), "stack(a, b)"),
    "norm": (lambda x: np.linalg.norm(x), "norm(e)"),
    "exp": (lambda x: np.exp(x), "exp(e)"),
    "log": (lambda x: np.log(x), "log(e)"),
    "absolute": (lambda x: np.abs(x), "abs(e)"),
    "square": (lambda x: np.square(x), "square(e)"),
    "maximum": (lambda x: np.maximum(x, 0), "maximum(a, b)"),
    "minimum": (lambda x: np.minimum(0, x), "-maximum(-a, -b)"),
    "max": (lambda x: np.max(x), "maximum(e)"),
    "sum": (lambda x: np.sum(x), "e.sum()"),
    "dot": (lambda x: np.dot(np.eye(3), x), "A @ e"),
    "mean": (lambda x: np.mean(x), "e.sum() / len(e)"),
    "sqrt": (lambda x: np.sqrt(x), None),
    "sin": (lambda x: np.sin(x), None),
    "cumsum": (lambda x: np.cumsum(x), None),
}


@pytest.mark.parametrize("name", INSTEAD)
def test_functions_of_numpy_name_ours(name, x):
    make, instead = INSTEAD[name]
    with pytest.raises(InputError) as caught:
        make(x)
    said = str(caught.value)
    assert said.startswith(f"numpy's {name} does not take expressions of variables")
    assert (f"use {instead} of rrp_pyomo" if instead else "see rrp_pyomo.modeling") in said


@pytest.mark.parametrize(
    "number", [2, 2.0, np.float64(2), np.int64(2), np.float32(2), np.array(2.0)], ids=repr
)
def test_numbers_of_numpy_stand_left_of_expressions(number, program, x):
    for found, expected in (
        (number + x, 2 + POINT),
        (number - x, 2 - POINT),
        (number * x, 2 * POINT),
        (x / number, POINT / 2),
        (x - number, POINT - 2),
        (-x + number, 2 - POINT),
    ):
        assert found.value(POINT).tolist() == expected.tolist()
        assert found.labels == tuple(ASSETS)
    program.subject_to(a=number >= x, b=number <= x, c=number == x)
    assert [c.sense for c in program.constraints.values()] == ["<=", ">=", "=="]
    with pytest.raises((InputError, TypeError), match=r"divide|not affine"):
        number / x


def test_arrays_of_numpy_stand_left_of_expressions(program, x):
    d = np.array([1.0, 2.0, 4.0])
    for found, expected in (
        (d + x, d + POINT),
        (d - x, d - POINT),
        (d * x, d * POINT),
        (d @ x, [d @ POINT]),
        (np.outer(d, d) @ x, np.outer(d, d) @ POINT),
        (x @ d, [d @ POINT]),
    ):
        assert found.value(POINT).tolist() == list(expected)
    program.subject_to(a=d >= x, b=d <= x, c=d == x)
    assert [c.body.labels for c in program.constraints.values()] == [tuple(ASSETS)] * 3
    with pytest.raises(
        InputError, match=r"matrix of shape \(3, 3\).*matrix.T @ x.*variance\(x, matr"
    ):
        x @ np.eye(3)


def test_constraints_have_names(program, x):
    with pytest.raises(InputError, match=r"has no name.*subject_to\(name=…\)"):
        program.subject_to(x <= 1, other=x >= 0)
    assert not program.constraints


@pytest.mark.parametrize(
    "kind", ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "coo_array"]
)
def test_sparse_matrices_stand_left_of_expressions(kind, x):
    A = getattr(sp, kind)(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    assert (A @ x).value(POINT).tolist() == [201.0, 30.0]
    assert sum_squares(A @ x).value(POINT).tolist() == [201.0**2 + 30.0**2]


def test_pandas_own_products_are_what_they_were():
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], index=["r", "s"], columns=["a", "b"])
    series = pd.Series([1.0, 10.0], index=["a", "b"])
    pd.testing.assert_series_equal(frame @ series, frame.dot(series))
    pd.testing.assert_frame_equal(frame @ frame.T, frame.dot(frame.T))
    assert series @ series == 101.0
    np.testing.assert_array_equal(frame @ np.eye(2), frame.to_numpy())
    assert (series @ [1.0, 1.0]) == 11.0
    with pytest.raises(ValueError, match="not aligned"):
        frame @ frame


def test_terms_keep_the_labels_of_their_rows(program, x):
    program.maximize(x.sum())
    program.subject_to(near=abs_(x - 1) <= [0.1, 0.2, 0.3], ball=norm(x) <= 10)
    duals = solve_program(program).duals
    assert duals["near"].to_dict() == pytest.approx(dict.fromkeys(ASSETS, 1.0), abs=1e-6)


def test_bounds_are_aligned_by_label() -> None:
    program = Program("bounds")
    limits = pd.Series([0.3, 0.1, 0.2], ["c", "a", "b"])
    x = program.variable("x", ["a", "b", "c"], lower=-limits, upper=limits)
    np.testing.assert_array_equal(x.upper, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(x.lower, [-0.1, -0.2, -0.3])
    with pytest.raises(UnknownLabelError, match="a bound of variable 'y'"):
        program.variable("y", ["a", "b", "d"], upper=limits)
