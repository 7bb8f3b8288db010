"""Answers are read in whatever form they come, and what typical wrong ones are is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import DenseCovariance, MeanVariance
from rrp_pyomo.course.answers import (
    is_permuted,
    known_portfolio,
    matrix,
    number,
    require_all_close,
    require_budget,
    require_close,
    require_contributions,
    vector,
)
from rrp_pyomo.course.exercises import WrongAnswer

ASSETS = ["a", "b", "c"]
WEIGHTS = pd.Series([0.5, 0.3, 0.2], ASSETS)
COVARIANCE = DenseCovariance(
    [[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.16]], labels=ASSETS
)
EQUAL = pd.Series(1 / 3, ASSETS)


@pytest.mark.parametrize(
    "answer",
    [
        WEIGHTS,
        WEIGHTS[::-1],
        WEIGHTS.to_dict(),
        WEIGHTS.tolist(),
        WEIGHTS.to_numpy().reshape(-1, 1),
        WEIGHTS.reset_index(drop=True),
        WEIGHTS[::-1].to_frame("weights"),
        dict(enumerate(WEIGHTS)),
        dict(enumerate(WEIGHTS, 1)),
    ],
    ids=["series", "reversed", "dict", "list", "column", "unlabelled", "table", "0, …", "1, …"],
)
def test_weights_come_in_many_forms(answer):
    pd.testing.assert_series_equal(vector(answer, ASSETS), WEIGHTS, check_names=False)


def test_weights_come_as_portfolio():
    portfolio = MeanVariance(None, COVARIANCE).solve()
    assert vector(portfolio, ASSETS).equals(portfolio.weights)
    unlabelled = MeanVariance(None, COVARIANCE.matrix().to_numpy()).solve()
    np.testing.assert_allclose(vector(unlabelled, ASSETS), portfolio.weights, atol=1e-12)


def test_numbers_as_labels_are_labels():
    """Scenarios 0, 1, 2 in another order are not taken by place."""
    given = pd.Series([0.2, 0.3, 0.5], [2, 1, 0])
    assert vector(given, [0, 1, 2]).tolist() == [0.5, 0.3, 0.2]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([0.5, 0.5], "should be 3 numbers; given: 2"),
        ({"a": 0.5, "b": 0.5}, "nothing for 'c'; 3 are asked for, and 2 given: 'a', 'b'"),
        (dict.fromkeys("ABC", 0.3), "nothing for 'a'"),
        ({**WEIGHTS, "d": 0.0}, "'d' is none of the 3"),
        (pd.concat([WEIGHTS, WEIGHTS[:1]]), "'a' is there more than once"),
        ({"a": [0.1, 0.2], "b": 0.5, "c": 0.0}, "should be 3 numbers"),
        (WEIGHTS.set_axis(pd.MultiIndex.from_product([ASSETS, [1]])), "nothing for 'a'"),
        (None, "should be 3 numbers; given: None"),
        ([0.5, np.nan, 0.5], "'b' is not"),
        (WEIGHTS.to_numpy() * 1j, "should be 3 numbers"),
    ],
)
def test_what_is_missing_is_named(answer, told):
    with pytest.raises(WrongAnswer, match=told):
        vector(answer, ASSETS)


def test_matrices_come_in_many_forms():
    table = COVARIANCE.matrix()
    written = (table.to_numpy().tolist(), table.to_dict())
    for answer in (table, table.iloc[::-1, ::-1], *written, COVARIANCE):
        pd.testing.assert_frame_equal(matrix(answer, ASSETS), table)
    with pytest.raises(WrongAnswer, match="3 × 3; given: 2 × 2"):
        matrix(np.eye(2), ASSETS)
    with pytest.raises(WrongAnswer, match="'a', 'b', 'c' as rows"):
        matrix(table.rename(index={"a": "x"}), ASSETS)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (20.0, "decimals are asked for"),
        (0.002, "in decimals already"),
        (2.4, "12 times too large"),
        (0.2 / 12**0.5, "√12 times too small"),
        (-0.2, "the sign"),
        (0.04, "the square of"),
        (0.2**0.5, "the square root of"),
        (0.3, "one of ours"),
        (0.25, "too large: 0.25; look there"),
    ],
)
def test_what_a_wrong_number_is(given, told):
    with pytest.raises(WrongAnswer, match=told):
        require_close(given, 0.2, "the volatility", "look there", mistakes=[(0.3, "one of ours")])
    require_close(0.2001, 0.2, "the volatility")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([0.2, 0.3, 0.5], "in another order"),
        ([0.1, 0.3, 0.2], "'a' is too small, 0.1; look there"),
        ([6.0, 3.6, 2.4], "12 times too large"),
        ([1.0, 0.0, 0.0], "one of ours"),
    ],
)
def test_what_wrong_numbers_are(given, told):
    with pytest.raises(WrongAnswer, match=told):
        require_all_close(
            pd.Series(given, ASSETS), WEIGHTS, "weights", "look there",
            mistakes=[([1.0, 0.0, 0.0], "one of ours")],
        )  # fmt: skip


def test_of_two_mistakes_the_nearer_is_told():
    mistakes = [(0.3, "the one"), (0.3001, "the other")]
    with pytest.raises(WrongAnswer, match="the other"):
        require_close(0.3001, 0.2, "the volatility", mistakes=mistakes)


def test_nearly_right_is_told_so():
    with pytest.raises(WrongAnswer, match="a little too small"):
        require_close(0.199, 0.2, "the volatility")
    with pytest.raises(WrongAnswer, match="'b' is a little too large"):
        require_all_close(WEIGHTS.add([0.0, 0.004, 0.0]), WEIGHTS, "weights")


def test_near_the_right_numbers_is_no_other_order():
    assert is_permuted(WEIGHTS[::-1], WEIGHTS)
    assert not is_permuted(WEIGHTS + 5e-5, WEIGHTS)


def test_rounded_numbers_are_told_so():
    exact = pd.Series([0.12345, 0.23456, 0.34567], ASSETS)
    with pytest.raises(WrongAnswer, match="rounded: hand in what was computed"):
        require_all_close(exact.round(2), exact, "weights")
    with pytest.raises(WrongAnswer, match="look rounded"):
        require_budget(pd.Series([0.33, 0.33, 0.33], ASSETS))
    with pytest.raises(WrongAnswer, match="one of ours"):
        require_close(0.545, 0.527, "the weight", relative=1e-4, mistakes=[(6 / 11, "one of ours")])


def test_contributions_as_budgeted():
    budgets = pd.Series([0.5, 0.25, 0.25], ASSETS)
    # x_i (Σx)_i = b_i as a fixed point.
    x = np.ones(3)
    for _ in range(200):
        x = np.sqrt(x * budgets / (COVARIANCE.matrix().to_numpy() @ x))
    weights = pd.Series(x / x.sum(), ASSETS)
    assert require_contributions(weights, COVARIANCE, budgets) < 1e-10
    with pytest.raises(WrongAnswer, match="in another order"):
        require_contributions(pd.Series(weights.to_numpy()[::-1], ASSETS), COVARIANCE, budgets)
    with pytest.raises(WrongAnswer, match="these are equal weights: the contribution of"):
        require_contributions(EQUAL, COVARIANCE, budgets)
    with pytest.raises(WrongAnswer, match="look rounded"):
        require_contributions(weights.round(3), COVARIANCE, budgets)


def test_portfolios_with_names():
    sigma = COVARIANCE.volatilities()
    least = pd.Series(np.linalg.inv(COVARIANCE.matrix()).sum(axis=0), ASSETS)
    assert known_portfolio(EQUAL, COVARIANCE) == "equal weights"
    assert "1/volatility" in known_portfolio(7 / sigma, COVARIANCE)
    assert "1/variance" in known_portfolio(sigma**-2, COVARIANCE)
    assert "least variance" in known_portfolio(least / least.sum(), COVARIANCE)
    assert known_portfolio(WEIGHTS, COVARIANCE) == ""


def test_a_number_is_one_number():
    assert number(np.array([[0.5]])) == 0.5
    for answer in ([0.5, 0.5], None, 10**400):
        with pytest.raises(WrongAnswer, match="one number; given: "):
            number(answer)
    with pytest.raises(WrongAnswer, match="finite"):
        number(np.inf)
