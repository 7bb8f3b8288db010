"""Bad input to the data layer: a typed error that names the thing and says what is expected."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

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
from rrp_pyomo.errors import InputError, UnknownLabelError

LABELS = ("AAPL", "MSFT", "XOM")
DATES = pd.date_range("2001-01-05", periods=12, freq="W-FRI")
RETURNS = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 3)) * 0.02, DATES, list(LABELS))
FACTORS = pd.DataFrame(np.random.default_rng(1).normal(size=(12, 2)) * 0.02, DATES, ["MKT", "SMB"])
SIGMA = pd.DataFrame(np.diag([1.0, 2.0, 3.0]), list(LABELS), list(LABELS))
V, F, D = np.ones((2, 3)), np.eye(2), np.ones(3)
NOMINAL = FactorCovariance(V, F, D, LABELS, ["MKT", "SMB"])


def changed(frame: pd.DataFrame, row: int, column: int, value: object) -> pd.DataFrame:
    frame = frame.astype(object) if isinstance(value, str) else frame.copy()
    frame.iloc[row, column] = value
    return frame


def fit(returns=RETURNS, factors=FACTORS):
    return FactorModel.fit(returns, factors)


def bounds(upper=SIGMA, lower=None):
    return CovarianceUncertainty.from_bounds(SIGMA, upper, lower)


def errors(standard_errors=V, scale=1.0):
    return CovarianceUncertainty.from_loading_errors(NOMINAL, standard_errors, scale)


def resolve(**parts):
    return WeightSet(**parts).resolve(LABELS)


def budget(budgets):
    return resolve_budgets(budgets, LABELS)


CASES = {
    # Returns and factors
    "NaN return": (lambda: fit(changed(RETURNS, 4, 1, np.nan)), ["'MSFT' at '2001-02-02'", "nan"]),
    "infinite factor": (lambda: fit(factors=changed(FACTORS, 0, 1, np.inf)), ["'SMB'", "inf"]),
    "text in returns": (lambda: fit(changed(RETURNS, 2, 0, "n/a")), ["'AAPL'", "'n/a'", "numbers"]),
    "dates in returns": (
        lambda: fit(RETURNS.assign(date=DATES)),
        ["numbers", "'date' holds datetime64"],
    ),
    "dates alone": (lambda: FactorModel.from_arrays(DATES.to_numpy()[:, None], V), ["datetime64"]),
    "missing value of pandas": (
        lambda: fit(changed(RETURNS.astype("Float64"), 3, 2, pd.NA)),
        ["'XOM' at '2001-01-26'"],
    ),
    "ragged": (lambda: FactorModel.from_arrays([[1.0], [1.0, 2.0]], V), ["returns", "numbers"]),
    "misaligned": (lambda: fit(RETURNS.iloc[1:]), ["1 date", "'2001-01-05'", "intersection"]),
    "repeated asset": (lambda: fit(RETURNS[["XOM", "AAPL", "XOM"]]), ["'XOM'", "2 times"]),
    "repeated factor": (lambda: fit(factors=FACTORS[["SMB", "SMB"]]), ["factors", "'SMB'"]),
    "repeated date": (
        lambda: fit(RETURNS.iloc[[0, 1, 1]], FACTORS.iloc[[0, 1, 1]]),
        ["returns", "'2001-01-12'", "one row"],
    ),
    "unsorted": (lambda: fit(RETURNS[::-1], FACTORS[::-1]), ["2001-03-16", "sort_index"]),
    "too short": (lambda: fit(RETURNS[:3], FACTORS[:3]), ["3 observations", "m + 2 = 4"]),
    "different lengths": (
        lambda: FactorModel.from_arrays(np.ones((5, 2)), np.ones((6, 1))),
        ["5 periods", "6"],
    ),
    "no assets": (lambda: fit(RETURNS.iloc[:, :0]), ["no assets"]),
    "labels do not fit": (
        lambda: FactorModel.from_arrays(RETURNS.to_numpy(), FACTORS.to_numpy(), ["A"]),
        ["labels holds 1 assets where 3 are expected"],
    ),
    "one dimension": (lambda: FactorModel.from_arrays(np.ones(5), V), ["(5,)", "2 dimension"]),
    "constant factor": (lambda: fit(factors=FACTORS.assign(SMB=0.01)), ["'SMB'", "zero variance"]),
    "collinear factors": (
        lambda: fit(factors=FACTORS.assign(SUM=FACTORS["MKT"] - 2 * FACTORS["SMB"])),
        ["collinear", "'SUM'", "MKT, SMB"],
    ),
    "asset at rest": (lambda: fit(RETURNS.assign(XOM=0.0)), ["'XOM'", "zero variance"]),
    "misaligned risk-free rate": (
        lambda: excess_returns(RETURNS, FACTORS["MKT"].iloc[:-1]),
        ["risk_free", "'2001-03-23'"],
    ),
    # Covariances
    "asymmetric": (
        lambda: DenseCovariance(changed(SIGMA, 0, 2, 0.5)),
        ["not symmetric", "(AAPL, XOM) is 0.5", "(XOM, AAPL) is 0"],
    ),
    "indefinite": (
        lambda: DenseCovariance([[1.0, 2.0], [2.0, 1.0]]),
        ["smallest eigenvalue is -1", "repair='clip'"],
    ),
    "unknown repair": (lambda: DenseCovariance(SIGMA, repair="shrink"), ["'shrink'", "'clip'"]),
    "not square": (lambda: DenseCovariance(np.ones((2, 3))), ["(2, 3)", "(2, 2)"]),
    "rows and columns differ": (
        lambda: DenseCovariance(SIGMA[["MSFT", "AAPL", "XOM"]]),
        ["asset 1", "'AAPL' in rows", "'MSFT' in columns"],
    ),
    "repeated label": (lambda: DenseCovariance(np.eye(2), ["A", "A"]), ["'A'", "2 times"]),
    "NaN in a covariance": (
        lambda: DenseCovariance(changed(SIGMA, 1, 2, np.nan)),
        ["'XOM' at 'MSFT'", "nan"],
    ),
    "asset without variance": (
        lambda: DenseCovariance(changed(SIGMA, 1, 1, 0.0)),
        ["'MSFT'", "variance 0", "positive"],
    ),
    "factored asset without variance": (
        lambda: FactorCovariance([[1.0, 0.0]], [[1.0]], [0.0, 0.0], ["A", "B"]),
        ["'B'", "variance 0"],
    ),
    "indefinite factors": (
        lambda: FactorCovariance(V, [[1.0, 2.0], [2.0, 1.0]], D),
        ["factor_covariance", "smallest eigenvalue is -1"],
    ),
    "negative residual variance": (
        lambda: FactorCovariance(V, F, [1.0, -0.5, 1.0], LABELS),
        ["'MSFT'", "-0.5"],
    ),
    "factor covariance of another shape": (
        lambda: FactorCovariance(V, np.eye(3), D),
        ["factor_covariance", "(3, 3)", "(2, 2)"],
    ),
    "residual variance of other assets": (
        lambda: FactorCovariance(V, F, pd.Series(D, list("ABC")), LABELS),
        ["residual_variance", "'AAPL'", "'A'"],
    ),
    "unknown weight": (
        lambda: DenseCovariance(SIGMA).variance(pd.Series({"APPL": 1.0})),
        ["'APPL'", "did you mean 'AAPL'"],
    ),
    "weights of another length": (lambda: NOMINAL.marginal_risk([1, 2]), ["(2,)", "(3,)"]),
    "missing weight": (
        lambda: NOMINAL.variance(pd.Series({"AAPL": 1.0, "XOM": 0.0})),
        ["weights lack 1 of 3", "'MSFT'"],
    ),
    # Uncertainty sets
    "negative scale": (lambda: errors(scale=-1), ["scale is -1", "at least 0"]),
    "negative standard error": (lambda: errors(-V), ["standard error is -1"]),
    "standard errors of other factors": (
        lambda: errors(pd.DataFrame(V, ["MKT", "HML"], list(LABELS))),
        ["'SMB' in loadings", "'HML' in standard_errors"],
    ),
    "too many factors": (
        lambda: CovarianceUncertainty.from_loading_errors(
            FactorCovariance(np.ones((21, 2)), np.eye(21), D[:2]), np.ones((21, 2))
        ),
        ["21 factors", "at most 20", "from_bounds"],
    ),
    "upper below nominal": (
        lambda: bounds(changed(SIGMA, 2, 2, 2.5)),
        ["upper has variance 2.5 for 'XOM'", "below the nominal 3"],
    ),
    "lower above nominal": (
        lambda: bounds(lower=changed(SIGMA, 0, 0, 1.5)),
        ["lower has variance 1.5 for 'AAPL'", "above the nominal 1"],
    ),
    "asymmetric lower": (lambda: bounds(lower=changed(SIGMA, 0, 1, -0.5)), ["lower", "symmetric"]),
    "upper for other assets": (lambda: bounds(DenseCovariance(np.eye(3))), ["'AAPL'", "upper"]),
    "upper for fewer assets": (
        lambda: bounds(DenseCovariance(np.eye(2))),
        ["upper holds 2 assets", "nominal holds 3"],
    ),
    "upper not PSD": (
        lambda: bounds(SIGMA + 9 * (1 - np.eye(3))),
        ["upper: ", "not positive semidefinite", "smallest eigenvalue"],
    ),
    "negative omega": (lambda: errors().penalty(-0.5), ["omega is -0.5", "at least 0"]),
    "infinite omega": (lambda: errors().penalty(np.inf), ["omega is inf", "finite"]),
    # Weights
    "unknown bound": (lambda: resolve(upper={"MSTF": 0.5}), ["'MSTF'", "did you mean 'MSFT'"]),
    "bounds cross": (
        lambda: resolve(lower={"XOM": 0.5}, upper=0.4),
        ["'XOM'", "lower 0.5", "upper 0.4"],
    ),
    "bound is NaN": (lambda: resolve(upper={"AAPL": np.nan}), ["'AAPL'", "nan"]),
    "bounds without labels": (lambda: resolve(upper=[0.5] * 3), ["upper", "(3,)", "by asset"]),
    "row without labels": (
        lambda: resolve(rows=[LinearRow("r", [1.0, 0, 0], 0.1)]),
        ["'r'", "list", "mapping or Series"],
    ),
    "bound is text": (lambda: resolve(upper="much"), ["upper", "numbers"]),
    "short bound, long only": (
        lambda: resolve(lower={"MSFT": -0.1}),
        ["'MSFT' is -0.1", "long_only=False"],
    ),
    "upper bounds too small": (lambda: resolve(upper=0.3), ["sum to 0.9", "1/n = 0.333333"]),
    "lower bounds too large": (lambda: resolve(lower=0.4), ["sum to 1.2", "reduce"]),
    "unknown member": (
        lambda: resolve(groups={"oil": Group(["XOM", "CVX"], upper=0.5)}),
        ["'CVX'", "known: AAPL"],
    ),
    "group cannot reach its total": (
        lambda: resolve(upper={"XOM": 0.1}, groups={"oil": Group(["XOM"], lower=0.2)}),
        ["'oil' must lie between 0.2 and inf", "0 to 0.1"],
    ),
    "group is a list": (lambda: resolve(groups={"oil": ["XOM"]}), ["'oil'", "Group(members"]),
    "group bounds cross": (
        lambda: resolve(groups={"oil": Group(["XOM"], 0.5, 0.2)}),
        ["'oil'", "lower 0.5", "upper 0.2"],
    ),
    "group twice its member": (
        lambda: resolve(groups={"oil": Group(["XOM", "XOM"], 0.5)}),
        ["'oil'", "'XOM'", "2 times"],
    ),
    "row bounds nothing": (lambda: resolve(rows=[LinearRow("r", {"XOM": 1})]), ["'r'", "nothing"]),
    "row with NaN": (
        lambda: resolve(rows=[LinearRow("r", {"XOM": np.nan}, 0.0)]),
        ["'r'", "'XOM'", "nan"],
    ),
    "row named like a group": (
        lambda: resolve(
            groups={"r": Group(["XOM"], 0.1)}, rows=[LinearRow("r", {"XOM": 1.0}, 0.0)]
        ),
        ["'r'", "2 times"],
    ),
    # Budgets
    "zero budget": (lambda: budget([0.5, 0.5, 0.0]), ["'XOM' is 0", "positive"]),
    "negative budget": (
        lambda: budget({"AAPL": 1.5, "MSFT": -1.0, "XOM": 0.5}),
        ["'MSFT' is -1", "positive"],
    ),
    "budgets do not sum to one": (lambda: budget([1, 1, 2]), ["sum to 4", "budgets.sum()"]),
    "unknown budget": (
        lambda: budget({"AAPL": 0.5, "MSFT": 0.25, "XON": 0.25}),
        ["'XON'", "did you mean 'XOM'"],
    ),
    "missing budget": (lambda: budget({"AAPL": 0.5, "XOM": 0.5}), ["'MSFT'", "each asset"]),
    "budget is text": (lambda: budget(["a", "b", "c"]), ["budgets", "numbers"]),
}

UNKNOWN = {"unknown weight", "unknown bound", "unknown member", "unknown budget"}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case):
    call, fragments = CASES[case]
    with pytest.raises(InputError) as caught:
        call()
    assert type(caught.value) is (UnknownLabelError if case in UNKNOWN else InputError)
    for fragment in fragments:
        assert fragment in str(caught.value)


FILES = {
    "empty": ("", read_returns, ["is empty", "header"]),
    "header only": ("date,A\n", read_returns, ["0 row(s)"]),
    "one column": ("date\n2001-01-05\n", read_factors, ["1 column(s)", "commas"]),
    "semicolons": ("date;A\n2001-01-05;0.1\n", read_returns, ["1 column(s)", "commas"]),
    "ragged": (
        "date,A\n2001-01-05,0.1\n2001-01-12,0.1,0.2\n",
        read_returns,
        ["not a CSV", "line 3"],
    ),
    "text": (
        "date,A,B\n2001-01-05,0.1,0.2\n2001-01-12,0.1,none\n",
        read_returns,
        ["line 3", "column 'B'", "'none'"],
    ),
    "blank cell": ("date,A,B\n2001-01-05,,0.2\n", read_factors, ["line 2", "column 'A'", "''"]),
    "infinite": ("date,A\n2001-01-05,inf\n", read_returns, ["'inf'", "finite"]),
    "no date": ("date,A\n2001-01-05,0.1\nlater,0.2\n", read_returns, ["line 3", "'later'"]),
    "repeated asset": ("date,A,A\n2001-01-05,0.1,0.2\n", read_returns, ["'A'", "2 times"]),
    "repeated date": (
        "date,A\n2001-01-05,0.1\n2001-01-05,0.2\n",
        read_returns,
        ["'2001-01-05'", "one row"],
    ),
    "unsorted": ("date,A\n2001-01-12,0.1\n2001-01-05,0.2\n", read_returns, ["not sorted"]),
    "percentages": ("date,A\n2001-01-05,1.5\n2001-01-12,-2\n", read_returns, ["divide by 100"]),
    "per cent signs": ("date,A\n2001-01-05,1.5%\n", read_returns, ["'1.5%'", "percent=True"]),
    "risk-free rate only": ("date,RF\n2001-01-05,0.001\n", read_factors, ["no factors", "RF"]),
    "wide budgets": ("asset,b,c\nA,1,2\n", read_budgets, ["3 columns", "expected two"]),
    "repeated budget": ("asset,b\nA,0.5\nA,0.5\n", read_budgets, ["'A'", "2 times"]),
    "text budget": ("asset,b\nA,half\n", read_budgets, ["line 2", "'half'"]),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_file(case, tmp_path):
    text, read, fragments = FILES[case]
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read(path)
    for fragment in ["data.csv", *fragments]:
        assert fragment in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"returns\.csv: no such file"):
        read_returns(tmp_path / "returns.csv")


def test_file_that_is_not_compressed(tmp_path):
    (tmp_path / "returns.csv.gz").write_text("date,A\n2001-01-05,0.1\n")
    with pytest.raises(InputError, match=r"returns\.csv\.gz is not a CSV file"):
        read_returns(tmp_path / "returns.csv.gz")
