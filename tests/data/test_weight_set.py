"""Admissible weights and risk budgets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from rrp_pyomo.data import Group, LinearRow, WeightSet, resolve_budgets
from rrp_pyomo.errors import InputError

quick = settings(deadline=None, derandomize=True, max_examples=150)

LABELS = ("A", "B", "C", "D")


@pytest.mark.parametrize(
    "weight_set",
    [WeightSet(), WeightSet(lower=0.0), WeightSet(upper=1.0), WeightSet(lower={"A": 0}, upper=2)],
)
def test_plain_sets_are_the_simplex(weight_set):
    resolved = weight_set.resolve(LABELS)
    assert resolved.is_simplex
    assert resolved.matrix is None
    assert resolved.row_names == ()
    np.testing.assert_array_equal(resolved.lower, 0.0)
    np.testing.assert_array_equal(resolved.upper, np.inf)


@pytest.mark.parametrize(
    "weight_set",
    [
        WeightSet(upper=0.9),
        WeightSet(lower={"A": 0.1}),
        WeightSet(fully_invested=False),
        WeightSet(long_only=False),
        WeightSet(groups={"g": (["A"], None, 0.5)}),
        WeightSet(rows=[LinearRow("r", {"A": 1.0}, 0.0)]),
    ],
)
def test_other_sets_are_not_the_simplex(weight_set):
    assert not weight_set.resolve(LABELS).is_simplex


def test_bounds_by_label():
    resolved = WeightSet(lower={"C": 0.1}, upper=pd.Series({"D": 0.3, "A": 0.5})).resolve(LABELS)
    np.testing.assert_array_equal(resolved.lower, [0, 0, 0.1, 0])
    np.testing.assert_array_equal(resolved.upper, [0.5, np.inf, np.inf, 0.3])
    short = WeightSet(long_only=False, lower=-0.2).resolve(LABELS)
    np.testing.assert_array_equal(short.lower, -0.2)
    assert not short.long_only
    free = WeightSet(long_only=False, fully_invested=False, upper=3.0).resolve(LABELS)
    np.testing.assert_array_equal(free.lower, -np.inf)
    np.testing.assert_array_equal(free.upper, 3.0)


def test_groups_and_rows_become_a_matrix():
    weight_set = WeightSet(
        groups={"tech": Group(["B", "D"], upper=0.6), "rest": (["A", "C"], 0.2)},
        rows=[LinearRow("beta", pd.Series({"D": 1.5, "A": -0.5}), -1.0, 1.0)],
    )
    resolved = weight_set.resolve(LABELS)
    np.testing.assert_array_equal(
        resolved.matrix.toarray(), [[0, 1, 0, 1], [1, 0, 1, 0], [-0.5, 0, 0, 1.5]]
    )
    np.testing.assert_array_equal(resolved.row_lower, [-np.inf, 0.2, -1.0])
    np.testing.assert_array_equal(resolved.row_upper, [0.6, np.inf, 1.0])
    assert resolved.row_names == ("tech", "rest", "beta")


def test_one_set_serves_several_universes():
    weight_set = WeightSet(upper={"A": 0.5})
    np.testing.assert_array_equal(weight_set.resolve("AB").upper, [0.5, np.inf])
    np.testing.assert_array_equal(weight_set.resolve("BCA").upper, [np.inf, np.inf, 0.5])


@quick
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_refused_exactly_when_empty(seed, fully_invested, long_only):
    """Random bounds, groups and rows against a linear program of its own."""
    rng = np.random.default_rng(seed)
    lower = np.round(rng.uniform(0, 0.35, 4) if long_only else rng.uniform(-0.5, 0.3, 4), 3)
    upper = np.round(lower + rng.uniform(0, 0.4, 4), 3)
    coefficients = np.round(rng.normal(size=4), 3)
    row = np.sort(np.round(rng.normal(size=2) * 0.3, 3))
    group = np.sort(np.round(rng.uniform(0, 1, 2), 3))
    weight_set = WeightSet(
        fully_invested=fully_invested,
        long_only=long_only,
        lower=dict(zip(LABELS, lower, strict=True)),
        upper=dict(zip(LABELS, upper, strict=True)),
        groups={"ends": Group(["A", "D"], *group)},
        rows=[LinearRow("tilt", dict(zip(LABELS, coefficients, strict=True)), *row)],
    )
    ends = np.array([1.0, 0, 0, 1.0])
    answer = linprog(
        np.zeros(4),
        A_ub=np.array([ends, -ends, coefficients, -coefficients]),
        b_ub=[group[1], -group[0], row[1], -row[0]],
        A_eq=np.ones((1, 4)) if fully_invested else None,
        b_eq=[1.0] if fully_invested else None,
        bounds=np.column_stack([lower, upper]),
    )
    if answer.status == 0:
        resolved = weight_set.resolve(LABELS)
        x = answer.x
        assert (resolved.matrix @ x <= resolved.row_upper + 1e-7).all()
        assert (resolved.matrix @ x >= resolved.row_lower - 1e-7).all()
    else:
        assert answer.status == 2
        with pytest.raises(InputError):
            weight_set.resolve(LABELS)


def test_contradiction_that_only_a_linear_program_finds_names_the_rows():
    weight_set = WeightSet(
        groups={"ab": (["A", "B"], 0.6), "bc": (["B", "C"], 0.6), "ac": (["A", "C"], 0.6)},
        upper={"D": 0.5},
        lower={"D": 0.15},
    )
    with pytest.raises(InputError, match="'ab', 'bc', 'ac'"):
        weight_set.resolve(LABELS)


def test_budgets_by_label_and_by_position():
    b = {"D": 0.4, "A": 0.1, "B": 0.2, "C": 0.3}
    expected = [0.1, 0.2, 0.3, 0.4]
    for budgets in (b, pd.Series(b), expected, np.array(expected)):
        np.testing.assert_array_equal(resolve_budgets(budgets, LABELS), expected)
    np.testing.assert_array_equal(resolve_budgets(None, LABELS), 0.25)


# --- signs and gross -----------------------------------------------------------------------------

SIGNS = {"A": 1, "B": -1, "C": 1, "D": -1}


@pytest.mark.parametrize("signs", [SIGNS, pd.Series(SIGNS)[::-1], [1, -1, 1, -1]])
def test_signs_become_bounds(signs):
    resolved = WeightSet(signs=signs, gross=2).resolve(LABELS)
    np.testing.assert_array_equal(resolved.signs, [1, -1, 1, -1])
    np.testing.assert_array_equal(resolved.lower, [0, -np.inf, 0, -np.inf])
    np.testing.assert_array_equal(resolved.upper, [np.inf, 0, np.inf, 0])
    assert (resolved.gross, resolved.fully_invested) == (2.0, False)
    assert resolved.is_orthant
    assert not resolved.is_simplex
    assert not resolved.long_only


def test_what_is_normalised():
    given = {
        (): (True, None),
        ("fully_invested",): (True, None),
        ("gross",): (False, 1.0),
        ("gross", "fully_invested"): (True, 1.0),
    }
    values = {"gross": 1.0, "fully_invested": True}
    for names, (fully_invested, gross) in given.items():
        X = WeightSet(signs=SIGNS, **{name: values[name] for name in names}).resolve(LABELS)
        assert (X.fully_invested, X.gross) == (fully_invested, gross)
        assert X.is_orthant == (len(names) < 2)
    assert not WeightSet(signs=SIGNS, fully_invested=False).resolve(LABELS).is_orthant


def test_bounds_beside_signs_are_of_the_weights():
    X = WeightSet(signs=SIGNS, lower=-0.3, upper={"A": 0.4, "B": 0.2}).resolve(LABELS)
    np.testing.assert_array_equal(X.lower, [0, -0.3, 0, -0.3])
    np.testing.assert_array_equal(X.upper, [0.4, 0, np.inf, 0])
    assert not X.is_orthant
    # Weights of a gross of 1 are no larger than that.
    assert WeightSet(signs=SIGNS, gross=1, lower=-1, upper=1.5).resolve(LABELS).is_orthant


def test_bounds_that_leave_one_sign_give_it():
    X = WeightSet(long_only=False, lower={"A": 0.0, "C": 0.1}, upper={"B": 0, "D": -0.1})
    np.testing.assert_array_equal(X.resolve(LABELS).signs, [1, -1, 1, -1])
    assert WeightSet(long_only=False, lower={"A": 0.0}).resolve(LABELS).signs is None
    np.testing.assert_array_equal(WeightSet(upper=0.5).resolve(LABELS).signs, 1.0)
    given = WeightSet(signs=SIGNS, lower={"B": 0.0}).resolve(LABELS)
    np.testing.assert_array_equal(given.signs, [1, -1, 1, -1])


def test_gross_of_long_weights_is_their_sum():
    X = WeightSet(gross=1.5).resolve(LABELS)
    assert X.is_orthant
    assert X.long_only
    assert not X.is_simplex


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"signs": {**SIGNS, "E": 1}}, "unknown asset 'E'"),
        ({"signs": {"A": 1, "B": -1, "C": 1}}, "signs lack 1 of 4 assets, such as 'D'"),
        ({"signs": [1, -1]}, "signs .*4 assets"),
        ({"signs": {**SIGNS, "C": 0}}, r"sign of 'C' is 0; expected 1 .* or -1"),
        ({"signs": [1, -1, 1, 0.5]}, r"sign of 'D' is 0\.5; expected 1"),
        ({"signs": SIGNS, "long_only": True}, "sign of 'B' is -1 in a long-only set"),
        ({"signs": SIGNS, "lower": {"B": 0.1}}, r"sign of 'B' is -1, but its bounds are 0\.1 and"),
        ({"signs": SIGNS, "upper": {"A": -0.1}}, r"sign of 'A' is \+1, but its bounds are -inf"),
        ({"signs": SIGNS, "gross": 0}, "gross is 0; expected a positive number"),
        ({"signs": SIGNS, "gross": "1"}, "gross is '1'; expected a finite number"),
        ({"signs": SIGNS, "gross": 1, "lower": -0.1, "upper": 0.1}, r"only 0 to 0\.4 for Σ\|x_i\|"),
        ({"signs": SIGNS, "gross": 1, "upper": {"B": -0.6, "D": -0.6}}, r"gross=1.*only 1\.2 to"),
        ({"signs": SIGNS, "gross": 0.5, "fully_invested": True}, r"fully_invested, gross=0\.5"),
        ({"signs": SIGNS, "upper": 0.4}, "0.8, below the 1 .* give a gross in place of it"),
        ({"signs": dict.fromkeys("ABCD", -1)}, "upper bounds sum to 0, below the 1"),
        ({"long_only": False, "gross": 1}, r"gross=1 needs to know .* give signs="),
    ],
)
def test_signs_that_cannot_be_used(given, message):
    with pytest.raises(InputError, match=message):
        WeightSet(**given).resolve(LABELS)


@quick
@given(st.integers(0, 10**6), st.booleans())
def test_sets_of_signs_refused_exactly_when_empty(seed, fully_invested):
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], 4)
    low, high = np.sort(np.round(rng.uniform(0, 0.8, (2, 4)), 3), axis=0)
    lower, upper = np.where(signs > 0, low, -high), np.where(signs > 0, high, -low)
    gross = round(rng.uniform(0.5, 2.0), 3)
    equalities = np.vstack([signs, np.ones(4)])[: 1 + fully_invested]
    result = linprog(
        np.zeros(4),
        A_eq=equalities,
        b_eq=[gross, 1.0][: 1 + fully_invested],
        bounds=list(zip(lower, upper, strict=True)),
    )
    X = WeightSet(
        signs=signs,
        gross=gross,
        fully_invested=fully_invested,
        lower=dict(zip(LABELS, lower, strict=True)),
        upper=dict(zip(LABELS, upper, strict=True)),
    )
    if result.status == 0:
        X.resolve(LABELS)
    else:
        with pytest.raises(InputError):
            X.resolve(LABELS)
