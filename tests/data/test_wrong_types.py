"""Arguments of a wrong type, everywhere: an answer that is right, or the package's own error."""

from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import Portfolio, RiskParityQCLP, RiskParitySOCP, RobustRiskParity, largest_omega
from rrp_pyomo.data import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    FactorModel,
    Group,
    LinearRow,
    WeightSet,
    excess_returns,
    read_budgets,
    read_factors,
    read_returns,
    resolve_budgets,
)
from rrp_pyomo.data.validation import index_of
from rrp_pyomo.errors import InputError

rng = np.random.default_rng(0)
LABELS = list("ABCDE")
DATES = pd.date_range("2001-01-05", periods=30, freq="W-FRI")
FACTORS = pd.DataFrame(rng.normal(size=(30, 2)) * 0.02, DATES, ["M", "S"])
RETURNS = pd.DataFrame(
    FACTORS.to_numpy() @ rng.normal(1.0, 0.3, (2, 5)) + rng.normal(size=(30, 5)) * 0.02,
    DATES,
    LABELS,
)
MODEL = FactorModel.fit(RETURNS, FACTORS)
SET = MODEL.covariance_uncertainty()
SIGMA = DenseCovariance(MODEL.covariance.matrix())
V, F, D = MODEL.covariance.V, MODEL.covariance.F, MODEL.covariance.D
WEIGHTS = pd.Series(0.2, LABELS)
PORTFOLIO = Portfolio.of(WEIGHTS, SIGMA)
ARRAYS = RETURNS.to_numpy(), FACTORS.to_numpy()


def resolve(**parts):
    return WeightSet(**parts).resolve(LABELS)


PLACES = {
    "fit returns": lambda v: FactorModel.fit(v, FACTORS),
    "fit factors": lambda v: FactorModel.fit(RETURNS, v),
    "array of returns": lambda v: FactorModel.from_arrays(v, ARRAYS[1]),
    "array of factors": lambda v: FactorModel.from_arrays(ARRAYS[0], v),
    "assets": lambda v: FactorModel.from_arrays(*ARRAYS, labels=v),
    "factors": lambda v: FactorModel.from_arrays(*ARRAYS, factor_labels=v),
    "dates": lambda v: FactorModel.from_arrays(*ARRAYS, dates=v).residuals,
    "excess of": lambda v: excess_returns(v, RETURNS["A"]),
    "risk-free rate": lambda v: excess_returns(RETURNS, v),
    "scale": MODEL.covariance_uncertainty,
    "dense": DenseCovariance,
    "dense labels": lambda v: DenseCovariance(SIGMA.operator, v),
    "repair": lambda v: DenseCovariance(SIGMA.operator, repair=v),
    "loadings": lambda v: FactorCovariance(v, F, D),
    "factor covariance": lambda v: FactorCovariance(V, v, D),
    "residual variance": lambda v: FactorCovariance(V, F, v),
    "factored labels": lambda v: FactorCovariance(V, F, D, v),
    "factor labels": lambda v: FactorCovariance(V, F, D, LABELS, v),
    "weights of a variance": SIGMA.variance,
    "weights of marginal risks": SIGMA.marginal_risk,
    "nominal": lambda v: CovarianceUncertainty.from_loading_errors(v, V),
    "standard errors": lambda v: CovarianceUncertainty.from_loading_errors(MODEL.covariance, v),
    "bounded": lambda v: CovarianceUncertainty.from_bounds(v, 2 * SIGMA.operator),
    "upper": lambda v: CovarianceUncertainty.from_bounds(SIGMA, v),
    "lower": lambda v: CovarianceUncertainty.from_bounds(SIGMA, 2 * SIGMA.matrix(), v),
    "contained": SET.contains,
    "penalty": SET.penalty,
    "assets of a set": WeightSet().resolve,
    "lower bounds": lambda v: resolve(lower=v),
    "upper bounds": lambda v: resolve(upper=v),
    "a bound": lambda v: resolve(upper={"A": v}),
    "groups": lambda v: resolve(groups=v),
    "a group": lambda v: resolve(groups={"g": v}),
    "members": lambda v: resolve(groups={"g": Group(v, upper=0.5)}),
    "a member": lambda v: resolve(groups={"g": Group(["A", v], upper=0.5)}),
    "a group's bound": lambda v: resolve(groups={"g": Group(["A"], upper=v)}),
    "rows": lambda v: resolve(rows=v),
    "a row": lambda v: resolve(rows=[v]),
    "a row's name": lambda v: resolve(rows=[LinearRow(v, {"A": 1.0}, 0.0)]),
    "coefficients": lambda v: resolve(rows=[LinearRow("r", v, 0.0)]),
    "a coefficient": lambda v: resolve(rows=[LinearRow("r", {"A": v}, 0.0)]),
    "a row's bound": lambda v: resolve(rows=[LinearRow("r", {"A": 1.0}, v)]),
    "budgets": lambda v: resolve_budgets(v, tuple(LABELS)),
    "a budget": lambda v: resolve_budgets(dict.fromkeys(LABELS, 0.2) | {"A": v}, tuple(LABELS)),
    "measured weights": lambda v: Portfolio.of(v, SIGMA),
    "measure": lambda v: Portfolio.of(WEIGHTS, v),
    "under": PORTFOLIO.under,
    "covariance of a problem": RiskParitySOCP,
    "budgets of a problem": lambda v: RiskParitySOCP(SIGMA, v),
    "weight set": lambda v: RiskParitySOCP(SIGMA, weight_set=v),
    "start": lambda v: RiskParityQCLP(SIGMA).solve(start=v),
    "uncertainty": RobustRiskParity,
    "omega": lambda v: RobustRiskParity(SET, v),
    "set of the largest omega": largest_omega,
    "weights of the largest omega": lambda v: largest_omega(SET, v),
    "file of returns": read_returns,
    "file of factors": read_factors,
    "file of budgets": read_budgets,
}

MIXED = [*DATES[:29], 7]
HOSTILE = {
    "none": None,
    "text": "A",
    "text of a number": "0.5",
    "bytes": b"A",
    "true": True,
    "numpy's true": np.True_,
    "integer": 3,
    "huge": 10**400,
    "too long to print": 10**5000,
    "fraction": Fraction(1, 2),
    "negative fraction": Fraction(-1, 2),
    "decimal": Decimal("0.5"),
    "decimal no number": Decimal("sNaN"),
    "complex": 0.5 + 0j,
    "no number": np.nan,
    "infinite": np.inf,
    "missing": pd.NA,
    "time": datetime.timedelta(days=1),
    "numpy's time": np.timedelta64(1, "D"),
    "no time": pd.NaT,
    "date": DATES[0],
    "path": Path("no/such/file"),
    "function": len,
    "class": WeightSet,
    "dictionary": {"A": 0.5},
    "dictionary of text": {"A": "0.5"},
    "dictionary of booleans": dict.fromkeys(LABELS, True),
    "empty dictionary": {},
    "set": {"A", "B"},
    "list": ["A", "B"],
    "list of numbers": [0.5] * 5,
    "list of lists": [["A"], ["B"]],
    "empty list": [],
    "short tuple": ("A",),
    "long tuple": ("A", {"A": 1.0}, 0.0, 1.0, 2.0),
    "row alone": LinearRow("r", {"A": 1.0}, 0.0),
    "group": Group(["A"], upper=0.5),
    "array": np.full(5, 0.2),
    "array of text": np.array(LABELS),
    "array of objects": np.array([0.1, "0.2", None, Fraction(1, 3), 0.2], dtype=object),
    "array without dimension": np.array(0.5),
    "square array": np.eye(5),
    "complex array": np.eye(5) * 1j,
    "masked array": np.ma.masked_greater(np.eye(5), 0.5),
    "cube": np.ones((2, 2, 2)),
    "series": pd.Series(0.2, LABELS),
    "series of text": pd.Series("0.2", LABELS),
    "series of other assets": pd.Series(0.2, list("VWXYZ")),
    "series of dates": pd.Series(DATES[:5], LABELS),
    "series with none": pd.Series([0.2, None, 0.2, 0.2, 0.2], LABELS, dtype=object),
    "table": RETURNS,
    "table of text": RETURNS.astype(str),
    "table of booleans": RETURNS > 0,
    "empty table": pd.DataFrame(),
    "table without a date": RETURNS.set_axis([*DATES[:29], pd.NaT]),
    "table of mixed dates": RETURNS.set_axis(MIXED),
    "table of other zones": RETURNS.tz_localize("UTC"),
    "table of repeated columns": RETURNS.set_axis(["A"] * 5, axis=1),
    "table of nameless columns": RETURNS.set_axis(["A", np.nan, "C", None, "E"], axis=1),
    "matrix": SIGMA.matrix(),
    "covariance": SIGMA,
    "uncertainty": SET,
    "weight set": WeightSet(),
    "iterator": iter(["A", "B"]),
    "index": pd.Index(LABELS),
    "index of others": pd.Index([1, "1", 2, 3, 4]),
    "index of dates": DATES,
}


def answer(place: str, value: object) -> str:
    """What comes of an argument: nothing, or an error of the package in words."""
    try:
        PLACES[place](value)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("place", PLACES)
def test_any_argument_anywhere(place):
    """Whatever is given is taken, or refused by an error of the package."""
    for name, value in HOSTILE.items():
        try:
            said = answer(place, value)
        except Exception as error:
            pytest.fail(f"{place}, given {name}: {type(error).__name__}: {error}")
        assert not said or 25 < len(said) < 500, f"{place}, given {name}: {said}"


NUMBERS = [Fraction(1, 2), Decimal("0.5"), np.float32(0.5), np.array(0.5), np.float64(0.5)]
NO_NUMBERS = [
    "0.5", b"0.5", True, np.True_, 0.5 + 0j, np.nan, None, pd.NA, pd.NaT, 10**400,
    datetime.timedelta(1), np.timedelta64(1, "D"), np.datetime64("2001-01-05"), [0.5], {"A": 0.5},
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_real_numbers_of_any_kind_are_what_they_say(number):
    assert RobustRiskParity(SET, number).omega == 0.5
    assert MODEL.covariance_uncertainty(number).relative_size == pytest.approx(
        MODEL.covariance_uncertainty(0.5).relative_size
    )
    X = resolve(upper=number, groups={"g": Group(["A", "B"], upper=number)})
    assert set(X.upper) == {0.5}
    assert X.row_upper.tolist() == [0.5]
    objects = np.full(5, None, dtype=object)
    objects[:] = [number] * 5
    assert WEIGHTS.to_numpy() @ SIGMA.marginal_risk(objects) == pytest.approx(
        2.5 * SIGMA.variance(WEIGHTS)
    )


PLACES_OF_NUMBERS = ["omega", "scale", "penalty", "a bound", "a budget", "a coefficient"]


@pytest.mark.parametrize("place", PLACES_OF_NUMBERS)
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_what_is_no_number_is_refused(place, value):
    assert answer(place, value)


def test_messages_name_the_place_of_what_is_no_number():
    assert "entry 2 is '0.2'" in answer("budgets", [0.2, 0.2, "0.2", 0.2, 0.2])
    assert "'C' is '0.2'" in answer("budgets", dict.fromkeys(LABELS, 0.2) | {"C": "0.2"})
    assert "'C' is True" in answer(
        "weights of a variance", dict.fromkeys(LABELS, 0.2) | {"C": True}
    )
    assert "upper of 'g' is 'half'" in answer("groups", {"g": Group(["A"], upper="half")})
    assert "'B' at '2001-01-12' is '1 %'" in answer(
        "fit returns", RETURNS.astype(object).replace(RETURNS.iloc[1, 1], "1 %")
    )


def test_messages_say_what_to_give_instead():
    assert "pd.DataFrame(values" in answer("fit returns", RETURNS.to_numpy())
    assert "DenseCovariance(matrix)" in answer("under", SIGMA.volatilities())
    assert "the class WeightSet itself" in answer("weight set", WeightSet)
    assert "[LinearRow(" in answer("rows", LinearRow("r", {"A": 1.0}, 0.0))
    assert "['XOM', 'CVX']" in answer("members", "ABC")
    assert "give one for each" in answer("dates", DATES[:5])
    assert "pd.to_datetime" in answer("fit returns", RETURNS.set_axis(MIXED))


LABELS_REFUSED = {
    "the same text": ([1, "1", 2, 3, 4], "read the same"),
    "no number": (["A", np.nan, "C", "D", "E"], "label 2 is missing"),
    "several no numbers": ([np.nan, float("nan"), "C", "D", "E"], "label 1 is missing"),
    "none": (["A", "B", "C", "D", None], "label 5 is missing"),
    "no time": ([*DATES[:4], pd.NaT], "label 5 is missing"),
    "part of a tuple": ([("A", 1), ("A", np.nan), "C", "D", "E"], "label 2 is missing"),
    "unhashable": (["A", ["B"], "C", "D", "E"], r"\['B'\] is a list"),
    "a number": (5, "labels are 5; expected a list"),
    "repeated": (["A", "B", "A", "D", "E"], "'A' occurs 2 times"),
}


@pytest.mark.parametrize("case", LABELS_REFUSED)
def test_labels_that_cannot_tell_assets_apart(case):
    labels, match = LABELS_REFUSED[case]
    with pytest.raises(InputError, match=match):
        DenseCovariance(SIGMA.operator, labels)
    with pytest.raises(InputError, match=match):
        FactorModel.from_arrays(*ARRAYS, labels)
    with pytest.raises(InputError, match=match):
        WeightSet().resolve(labels)


def test_a_set_of_labels_has_no_order():
    with pytest.raises(InputError, match="labels is a set, which has no order"):
        DenseCovariance(SIGMA.operator, set(LABELS))


KINDS = {
    "tuples": [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a")],
    "tuples of several lengths": [(1,), (1, 2), (1, 2, 3), (), (4,)],
    "tuples and text": ["A", ("A", 1), ("A", 2), "B", "C"],
    "tuples of one": [("A",), ("B",), ("C",), ("D",), ("E",)],
    "numbers": [1, 2.5, 3, 4, 10**30],
    "text and numbers": ["A", 1, 2, "B", 3],
    "dates": list(DATES[:5]),
    "several zones": [*DATES[:2], *DATES[2:5].tz_localize("UTC")],
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_come_out_as_they_went_in(kind):
    labels = KINDS[kind]
    Sigma = DenseCovariance(SIGMA.operator, labels)
    assert Sigma.labels == tuple(labels)
    assert list(Sigma.matrix().columns) == labels
    model = FactorModel.from_arrays(*ARRAYS, labels)
    for series in (Sigma.volatilities(), model.alpha, model.loadings.iloc[0]):
        assert list(series.index) == labels
    portfolio = RiskParitySOCP(Sigma, dict.fromkeys(labels, 0.2)).solve("newton")
    assert list(portfolio.weights.index) == labels
    assert list(portfolio.under(model.covariance).weights.index) == labels
    assert len(portfolio.to_dict()["weights"]) == 5


def test_labels_of_several_levels_stay_so():
    columns = pd.MultiIndex.from_product([["US", "UK"], ["A", "B"]])
    model = FactorModel.fit(RETURNS.iloc[:, :4].set_axis(columns, axis=1), FACTORS)
    volatilities = model.covariance.volatilities()
    assert volatilities.index.equals(columns)
    assert volatilities.loc[("UK", "A")] == volatilities.iloc[2]
    assert model.covariance.matrix().loc["US", "UK"].shape == (2, 2)
    named = index_of(model.labels, "asset")
    assert (named.name, named.nlevels, list(named)) == ("asset", 1, list(columns))
