"""Expressions are what they say: random trees against numpy, as numbers and realised."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import Factor, LinearMap, Stack
from rrp_pyomo.modeling import Affine, norm, square, sum_squares
from rrp_pyomo.modeling.cones import NONNEGATIVE, ROTATED
from rrp_pyomo.modeling.constraints import membership
from rrp_pyomo.program import Program

N = 3
quick = settings(deadline=None, derandomize=True, max_examples=150)
seeds = st.integers(0, 2**32 - 1)
MATRICES = {
    "array": np.asarray,
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "coo_matrix": sp.coo_matrix,
    "coo_array": sp.coo_array,
    "csc_array": sp.csc_array,
}


def sparse_array(rng, shape):
    return rng.normal(size=shape) * (rng.uniform(size=shape) < 0.5)


class Tree:
    """Random expressions, grown together with what numpy makes of them at one point."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.program = Program("tree")
        self.variables = [
            self.program.variable("x", ["a", "b", "c"], unit=0.5),
            self.program.variable("y", ["a", "b", "c"]),
            self.program.variable("s"),
            self.program.variable("one", ["only"], unit=7.0),
        ]
        self.values = {v.name: self.rng.normal(size=v.size) for v in self.variables}

    def point(self) -> np.ndarray:
        return self.program.point(self.values)

    def affine(self, depth: int):
        """An expression of N rows or one, and its numbers."""
        if depth == 0:
            variable = self.variables[self.rng.integers(len(self.variables))]
            return variable, self.values[variable.name]
        e, v = self.affine(depth - 1)
        rng = self.rng
        match rng.integers(9):
            case 0:
                return -e, -v
            case 1:
                f, w = self.affine(depth - 1)
                return (e + f, v + w) if rng.integers(2) else (e - f, v - w)
            case 2:
                k = rng.normal()
                return k * e, k * v
            case 3:
                d = rng.normal(size=rng.choice([1, N]))
                return (d * e, d * v) if rng.integers(2) else (e / d, v / d)
            case 4:
                d = rng.normal(size=rng.choice([1, N]))
                return (d + e, d + v) if rng.integers(2) else (e - d, v - d)
            case 5:
                A = sparse_array(rng, (N, v.size))
                return MATRICES[rng.choice(list(MATRICES))](A) @ e, A @ v
            case 6:
                a = rng.normal(size=v.size)
                return a @ e, np.array([a @ v])
            case 7:
                left, right = rng.normal(size=(v.size, 2)), rng.normal(size=(2, v.size))
                diagonal = rng.normal(size=v.size)
                L = LinearMap((Factor(left, right, "exposure", ("f", "g")),), diagonal)
                return L @ e, L @ v
            case _:
                return e.sum(), np.array([v.sum()])

    def quadratic(self, depth: int):
        """A quadratic of N rows or one, and its numbers."""
        e, v = self.affine(depth)
        f, w = self.affine(depth)
        rng = self.rng
        weight = rng.normal(size=rng.choice([1, N]))
        match rng.integers(5):
            case 0:
                return e * f, v * w
            case 1:
                return square(e) - f * 2, v**2 - 2 * w
            case 2:
                return weight * (e * f) + e, weight * (v * w) + v
            case 3:
                return f.sum() - 3 * sum_squares(e, f), w.sum() - 3 * (v @ v + w @ w)[None]
            case _:
                return square(e) * weight + e * f - 1, v**2 * weight + v * w - 1


@quick
@given(seeds, st.integers(0, 5))
def test_affine_values_and_rows(seed, depth):
    tree = Tree(seed)
    expression, expected = tree.affine(depth)
    x = tree.point()
    assert expression.size == expected.size
    np.testing.assert_allclose(expression.value(x), expected, rtol=1e-9, atol=1e-9)
    row, col, val, constant = expression.rows()
    G = sp.coo_array((val, (row, col)), shape=(expression.size, tree.program.columns))
    np.testing.assert_allclose(G @ x + constant, expected, rtol=1e-9, atol=1e-9)


@quick
@given(seeds, st.integers(0, 3))
def test_quadratic_values(seed, depth):
    tree = Tree(seed)
    expression, expected = tree.quadratic(depth)
    assert expression.size == expected.size
    np.testing.assert_allclose(expression.value(tree.point()), expected, rtol=1e-9, atol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seeds, st.integers(0, 4))
def test_affine_rows_are_the_same_in_every_realisation(seed, depth):
    tree = Tree(seed)
    expression, expected = tree.affine(depth)
    tree.program.subject_to(c=expression >= 0)
    x = tree.point()

    form = tree.program.conic()
    *_, rows = form.groups  # the last constraint's
    slack = (form.b - form.A @ (x / form.column_scale)) / form.row_scale
    # Rounding is relative to the terms, which may cancel.
    size = 1e-9 * (1 + np.abs(expected).max() + tree_size(expression, x))
    np.testing.assert_allclose(slack[rows.rows], expected, atol=size)

    quadratic = tree.program.quadratic()
    body = (quadratic.A @ x - quadratic.row_lower)[-expression.size :]
    np.testing.assert_allclose(body, expected, atol=size)

    values = tree.program.values(x)
    kernel = tree.program.kernel()
    assign(kernel, values)
    rows = [row.body() - row.lower for row in kernel.c]
    np.testing.assert_allclose(rows, expected, atol=size)

    block = tree.program.block()
    assign(block, values)
    rows = [pyo.value(row.body) - pyo.value(row.lower) for row in block.c.values()]
    np.testing.assert_allclose(rows, expected, atol=size)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seeds, st.integers(0, 2))
def test_quadratic_rows_are_the_same_in_every_realisation(seed, depth):
    tree = Tree(seed)
    expression, expected = tree.quadratic(depth)
    tree.program.subject_to(c=expression <= 1)  # a square that is at most 0 is an equation
    expected = expected - 1
    flat = tree.program.over_variables()
    x = flat.point(tree.program.values(tree.point()))
    size = 1e-8 * (1 + np.abs(expected).max() + np.abs(x).max() ** 2)

    form = tree.program.quadratic()
    body = form.A @ x - form.row_upper
    np.add.at(body, form.row[form.row >= 0], (form.value * x[form.i] * x[form.j])[form.row >= 0])
    at = list(flat.stated).index("c")
    start = sum(_size(c) for c in list(flat.stated.values())[:at])
    np.testing.assert_allclose(body[start : start + expression.size], expected, atol=size)

    block = tree.program.block()
    assign(block, flat.values(x))
    rows = [pyo.value(row.body) - pyo.value(row.upper) for row in block.c.values()]
    np.testing.assert_allclose(rows, expected, atol=size)


def tree_size(expression: Affine, x: np.ndarray) -> float:
    _, col, val, constant = expression.rows()
    return float(np.abs(val * x[col]).sum() + np.abs(constant).sum())


def _size(constraint) -> int:
    return constraint.body.size if hasattr(constraint, "body") else constraint.parts[0].size


def assign(block, values) -> None:
    for name, numbers in values.items():
        component = getattr(block, name)
        entries = list(component.values()) if hasattr(component, "values") else [component]
        for entry, number in zip(entries, numbers.tolist(), strict=True):
            entry.value = number


# --- forms --------------------------------------------------------------------------------------


@pytest.fixture
def program():
    return Program("forms")


@pytest.fixture
def x(program):
    return program.variable("x", ["a", "b", "c"], lower=0)


@pytest.fixture
def t(program):
    return program.variable("t", lower=0)


@pytest.mark.parametrize("kind", MATRICES)
def test_sparse_and_dense_blocks_add_up(program, x, kind):
    A = MATRICES[kind](np.diag([1.0, 2.0, 3.0]))
    point = np.array([1.0, -1.0, 2.0])
    both = np.array([1.0, 10.0, 100.0]) * (A @ x + np.ones((3, 3)) @ x + 2 * x)
    np.testing.assert_allclose(both.value(point), [1 * 5, 10 * -2, 100 * 12])


def test_a_stack_gives_a_part_for_each_map(program, x):
    stack = Stack((LinearMap(diagonal=np.array([1.0, 2.0, 3.0])), np.ones((1, 3))))
    first, second = stack @ x
    point = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(first.value(point), [1.0, 4.0, 9.0])
    np.testing.assert_allclose(second.value(point), [6.0])


def test_exposures_are_introduced_once(program, x):
    V = np.ones((2, 3))
    one = LinearMap((Factor(V.T, V, "exposure", ("f", "g")),), np.ones(3))
    two = LinearMap((Factor(np.eye(2), V, "exposure", ("f", "g")),))
    program.subject_to(a=one @ x >= 0, b=norm(two / 2.0 @ x) <= 1)
    assert list(program.variables) == ["x", "exposure"]
    other = LinearMap((Factor(V.T, V.copy(), "exposure", ("f", "g")),))
    program.subject_to(c=other @ x >= 0)
    assert list(program.variables) == ["x", "exposure"]
    program.subject_to(d=LinearMap((Factor(V.T, 2 * V, "exposure", ("f", "g")),)) @ x >= 0)
    assert list(program.variables) == ["x", "exposure", "exposure_2"]


def test_a_map_of_a_constant_is_a_constant(program):
    L = LinearMap(diagonal=np.array([1.0, 2.0]))
    constant = L @ Affine(2, {}, np.array([3.0, 4.0]))
    np.testing.assert_allclose(constant.value(np.zeros(0)), [3.0, 8.0])


def test_products_over_rows_are_recognised(program, x, t):
    z = program.variable("z", ["a", "b", "c"], lower=0)
    assert membership(x * z >= square(t)).cone == ROTATED
    assert membership(square(np.arange(1.0, 4.0) * t) <= x * z).cone == ROTATED
    # Scalars against a vector: a bound for each row, not one for all of them.
    bound = membership(t * t.sum() >= square(x))
    assert bound.cone == ROTATED
    assert [part.size for part in bound.parts] == [3, 3, 3]
    # These say something else: x² ≥ c² has negative x too, −xz ≥ c² negative factors.
    assert membership(square(x) >= square(z)) is None
    assert membership(x * z <= square(t)) is None
    assert membership(-(x * z) >= square(t)) is None
    assert membership(x * z + t >= square(t)) is None
    assert membership(x * z == square(t)) is None


def test_weights_of_product_bounds(program, x, t):
    z = program.variable("z", ["a", "b", "c"], lower=0)
    bound = membership(np.array([1.0, 2.0, 4.0]) * (x * z) >= 4 * square(t + 1))
    c = bound.parts[2].value(np.array([0, 0, 0, 3.0, 0, 0, 0]))
    np.testing.assert_allclose(c**2, 4 * 4.0**2 / np.array([1.0, 2.0, 4.0]))


def test_a_norm_times_zero_bounds_nothing_but_its_bound(program, x, t):
    program.subject_to(bound=0 * norm(x) <= t - 1)
    stated = program.lowered().stated["bound"]
    assert stated.cone == NONNEGATIVE
    assert stated.parts[0].value(np.array([9.0, 9.0, 9.0, 3.0])) == 2.0


def test_norms_with_factors_and_from_both_sides(program, x, t):
    point = np.array([3.0, 0.0, 4.0, 2.0])
    for k, bound in enumerate((2 * norm(x) <= 8 * t, 8 * t >= norm(x) * 2, norm(x) / 4 <= t)):
        program.subject_to(**{f"bound_{k}": bound})
        first, *vector = program.lowered().stated[f"bound_{k}"].parts
        parts = np.concatenate([e.value(point) for e in vector])
        assert np.linalg.norm(parts) - first.value(point)[0] == pytest.approx(5 - 8)


REFUSED = {
    "sizes": (lambda x, t: x + np.ones(2), ["3 and 2 rows"]),
    "shapes": (lambda x, t: np.ones((2, 4)) @ x, ["(2, 4)", "3 rows", "(·, 3)"]),
    "text": (lambda x, t: x + "much", ["str", "numbers"]),
    "Series of other labels": (
        lambda x, t: x * pd.Series([1.0, 2.0, 3.0], ["a", "b", "d"]),
        ["'c'", "Series", "known: a, b, d"],
    ),
    "Series for rows without labels": (
        lambda x, t: (np.eye(3) @ x) * pd.Series([1.0, 2.0, 3.0]),
        ["Series", "no labels", "to_numpy"],
    ),
    "norm in a product": (lambda x, t: norm(x) * t, ["norm(x) times t", "numbers and parameters"]),
    "quotient": (lambda x, t: x / t, ["t stands where numbers", "divisors"]),
    "norm below a vector": (lambda x, t: norm(x) <= x, ["norm", "3 rows", "variable"]),
    "norm below an array": (lambda x, t: norm(x) <= np.ones(3), ["norm", "3 rows", "variable"]),
    "repeated sum of squares": (lambda x, t: sum_squares(x) + x, ["3 rows", "variable"]),
    "chain": (lambda x, t: 0 <= x <= 1, ["two constraints"]),
    "product of three": (lambda x, t: x * x * x, ["x * x times x", "two factors"]),
    "cube": (lambda x, t: x**3, ["power 3", "only 2"]),
    "nested terms": (lambda x, t: norm(square(x)), ["square(x)", "not nested"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, x, t):
    make, fragments = REFUSED[case]
    with pytest.raises(InputError) as caught:
        make(x, t)
    for fragment in fragments:
        assert fragment in str(caught.value)
