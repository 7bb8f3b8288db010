"""Bad input from end to end: a typed error that names the thing, the expectation and the remedy.

What each data object refuses by itself has its own file, ``tests/data/test_bad_input.py``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory
from typer.testing import CliRunner

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorModel,
    Portfolio,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
)
from rrp_pyomo.cli.main import app
from rrp_pyomo.data import Group, LinearRow, WeightSet, read_budgets, read_factors, read_returns
from rrp_pyomo.errors import (
    InfeasibleError,
    InputError,
    ModelError,
    RiskParityError,
    SolverUnavailableError,
    UnknownLabelError,
)
from rrp_pyomo.solve.table import SOLVERS

rng = np.random.default_rng(0)
ASSETS, DATES = ["AAPL", "MSFT", "XOM"], pd.date_range("2001-01-05", periods=40, freq="W-FRI")
FACTORS = pd.DataFrame(rng.normal(size=(40, 2)) * 0.02, DATES, ["MKT", "SMB"])
RETURNS = pd.DataFrame(
    FACTORS.to_numpy() @ rng.uniform(0.5, 1.5, (2, 3)) + rng.normal(size=(40, 3)) * 0.01,
    DATES,
    ASSETS,
)
SET = FactorModel.fit(RETURNS, FACTORS).covariance_uncertainty()
SIGMA = SET.nominal


def changed(frame, row, column, value):
    frame = frame.copy()
    frame.iloc[row, column] = value
    return frame


def fit(returns=RETURNS, factors=FACTORS):
    return FactorModel.fit(returns, factors).covariance_uncertainty()


def matrix(**entries):
    """Σ with some entries replaced, such as ``AAPL_XOM=0.1``."""
    frame = SIGMA.matrix()
    for name, value in entries.items():
        frame.loc[tuple(name.split("_"))] = value
    return frame


def solve(**arguments):
    return RiskParitySOCP(SIGMA, **arguments).solve()


def within(**parts):
    return solve(weight_set=WeightSet(**parts))


def own_model(kernel=False):
    """A user's model with weights, environ or kernel."""
    if kernel:
        model = pmo.block()
        model.w = pmo.variable_dict((a, pmo.variable(lb=0)) for a in ASSETS)
    else:
        model = pyo.ConcreteModel()
        model.w = pyo.Var(ASSETS, bounds=(0, None))
    return model


def cone_on_a_concrete_model():
    model = own_model()
    model.parity = RiskParitySOCP(SIGMA).kernel()
    SolverFactory("clarabel").solve(model)


CASES = {
    # --- returns and factors
    "NaN return": (
        lambda: fit(changed(RETURNS, 3, 1, np.nan)),
        InputError, ["'MSFT' at '2001-01-26' is nan", "finite", "fill it in"],
    ),
    "infinite return": (
        lambda: fit(changed(RETURNS, 0, 2, -np.inf)),
        InputError, ["'XOM' at '2001-01-05' is -inf", "finite", "drop"],
    ),
    "infinite factor": (
        lambda: fit(factors=changed(FACTORS, 1, 0, np.inf)),
        InputError, ["'MKT' at '2001-01-12' is inf", "finite"],
    ),
    "misaligned indices": (
        lambda: fit(RETURNS.iloc[1:], FACTORS.iloc[:-1]),
        InputError, ["returns and factors differ in 2 date(s)", "'2001-01-05'", "intersection"],
    ),
    "duplicate assets": (
        lambda: fit(RETURNS.set_axis(["AAPL", "XOM", "XOM"], axis=1)),
        InputError, ["'XOM'", "2 times", "unique"],
    ),
    "duplicate dates": (
        lambda: fit(RETURNS.iloc[[0, 0, 1]], FACTORS.iloc[[0, 0, 1]]),
        InputError, ["several rows for '2001-01-05'", "one row"],
    ),
    "too few observations": (
        lambda: fit(RETURNS[:3], FACTORS[:3]),
        InputError, ["3 observations", "2 factors", "m + 2 = 4"],
    ),
    "constant factor": (
        lambda: fit(factors=FACTORS.assign(SMB=0.01)),
        InputError, ["factor 'SMB' has zero variance", "leave the factor out"],
    ),
    "collinear factors": (
        lambda: fit(factors=FACTORS.assign(HML=FACTORS["MKT"] * 2)),
        InputError, ["collinear", "'HML'", "MKT", "leave one"],
    ),
    "asset with zero variance": (
        lambda: fit(RETURNS.assign(XOM=0.0)),
        InputError, ["asset 'XOM' has zero variance", "leave the asset out"],
    ),
    # --- covariances and sets
    "not symmetric": (
        lambda: DenseCovariance(matrix(AAPL_XOM=0.0)),
        InputError, ["not symmetric", "(AAPL, XOM) is 0", "(S + S.T) / 2"],
    ),
    "not PSD": (
        lambda: DenseCovariance([[1.0, 2.0], [2.0, 1.0]]),
        InputError, ["positive semidefinite", "smallest eigenvalue is -1", "repair='clip'"],
    ),
    "zero on the diagonal": (
        lambda: DenseCovariance(np.diag([1.0, 0.0])),
        InputError, ["asset '1' has variance 0", "positive", "drop"],
    ),
    "upper below nominal": (
        lambda: CovarianceUncertainty.from_bounds(SIGMA, 0.9 * SIGMA.matrix()),
        InputError, ["'AAPL'", "below the nominal", "enclose"],
    ),
    "returns as covariance": (
        lambda: RiskParitySOCP(pd.DataFrame(np.eye(3)[:2])),
        InputError, ["covariance has shape (2, 3)", "2 assets need (2, 2)"],
    ),
    "a set as covariance": (
        lambda: RiskParityQCLP(SET),
        InputError, ["covariance is a CovarianceUncertainty", "expected a Covariance"],
    ),
    "a covariance as set": (
        lambda: RobustRiskParity(SIGMA),
        InputError, ["uncertainty is a FactorCovariance", "covariance_uncertainty()"],
    ),
    # --- budgets
    "zero budget": (
        lambda: solve(budgets=[0.5, 0.5, 0.0]),
        InputError, ["budget of 'XOM' is 0", "positive", "leave it out"],
    ),
    "negative budget": (
        lambda: solve(budgets={"AAPL": 0.8, "MSFT": -0.2, "XOM": 0.4}),
        InputError, ["budget of 'MSFT' is -0.2", "positive"],
    ),
    "budgets do not sum to one": (
        lambda: solve(budgets=[0.5, 0.5, 0.5]),
        InputError, ["sum to 1.5", "expected 1", "budgets / budgets.sum()"],
    ),
    "unknown budget": (
        lambda: solve(budgets=pd.Series({"AAPL": 0.5, "MSFT": 0.3, "XON": 0.2})),
        UnknownLabelError, ["asset 'XON'", "did you mean 'XOM'?"],
    ),
    "missing budget": (
        lambda: solve(budgets={"AAPL": 0.5, "MSFT": 0.5}),
        InputError, ["budgets lack 1 of 3", "'XOM'", "each asset"],
    ),
    # --- weights
    "contradictory bounds": (
        lambda: within(lower={"XOM": 0.5}, upper={"XOM": 0.4}),
        InputError, ["'XOM'", "lower 0.5, upper 0.4", "lower ≤ upper"],
    ),
    "bounds that leave money over": (
        lambda: within(upper=0.3),
        InputError, ["upper bounds sum to 0.9", "raise them", "0.333"],
    ),
    "contradictory groups": (
        lambda: within(
            groups={"a": Group(["AAPL", "MSFT"], 0.7), "b": Group(["MSFT", "XOM"], None, 0.2),
                    "c": Group(["AAPL"], None, 0.4)},
        ),
        InputError, ["no weights satisfy all of 'a', 'b', 'c'", "relax"],
    ),
    "group out of reach": (
        lambda: within(upper={"XOM": 0.1}, groups={"oil": Group(["XOM"], 0.2)}),
        InputError, ["'oil' must lie between 0.2", "allow only 0 to 0.1", "relax"],
    ),
    "unknown asset in a row": (
        lambda: within(rows=[LinearRow("r", {"MSF": 1.0}, upper=0.1)]),
        UnknownLabelError, ["asset 'MSF'", "did you mean 'MSFT'?"],
    ),
    "a dict as weight set": (
        lambda: solve(weight_set={"upper": 0.5}),
        InputError, ["weight_set is a dict", "WeightSet("],
    ),
    "short positions where there can be none": (
        lambda: within(long_only=False),
        InputError, ["RiskParitySOCP needs weights x ≥ 0", "'AAPL'", "long_only=True"],
    ),
    "nothing to invest": (
        lambda: within(fully_invested=False),
        InputError, ["x = 0", "fully invested", "block()"],
    ),
    "weights of unknown assets": (
        lambda: Portfolio.of(pd.Series({"AAPL": 0.5, "MSTF": 0.5}), SIGMA),
        UnknownLabelError, ["asset 'MSTF'", "did you mean 'MSFT'?"],
    ),
    # --- omega
    "negative omega": (
        lambda: RobustRiskParity(SET, omega=-1.0),
        InputError, ["omega is -1.0", "at least 0"],
    ),
    "omega beyond omega_max": (
        lambda: RobustRiskParity(SET, omega=1e6).solve(),
        InfeasibleError, ["omega = 1000000", "omega_max = ", "smaller omega"],
    ),
    # --- solvers
    "unknown solver": (
        lambda: RiskParitySOCP(SIGMA).solve("clarabell"),
        UnknownLabelError, ["solver 'clarabell'", "did you mean 'clarabel'?"],
    ),
    "solver that cannot": (
        lambda: RiskParityQCLP(SIGMA).solve("clarabel"),
        ModelError, ["'clarabel' does not take nonconvex", "RiskParityQCLP", "ipopt"],
    ),
    "Newton with bounds": (
        lambda: RiskParitySOCP(SIGMA, weight_set=WeightSet(upper=0.5)).solve("newton"),
        ModelError, ["'newton' takes weights", "more constraints", "'clarabel'"],
    ),
    "unknown option": (
        lambda: RiskParitySOCP(SIGMA).solve(max_itr=3),
        UnknownLabelError, ["Clarabel option 'max_itr'", "did you mean 'max_iter'?"],
    ),
    "unknown option of Ipopt": (
        lambda: RiskParityNLP(SIGMA).solve("casadi_ipopt", max_itr=3),
        UnknownLabelError, ["Ipopt option 'max_itr'", "did you mean 'max_iter'?"],
    ),
    "unknown option of Newton": (
        lambda: RiskParityNLP(SIGMA).solve("newton", tee=True),
        UnknownLabelError, ["Newton option 'tee'", "max_iter, tol"],
    ),
    "option of another type": (
        lambda: RiskParitySOCP(SIGMA).solve(max_iter="many"),
        InputError, ["'max_iter' is 'many'", "expected a value of type int"],
    ),
    "time limit": (
        lambda: RiskParitySOCP(SIGMA).solve(time_limit=-1),
        InputError, ["time_limit is -1", "positive number of seconds"],
    ),
    "unknown start": (
        lambda: RiskParityQCLP(SIGMA).solve(start="inverse_volatilty"),
        UnknownLabelError, ["start 'inverse_volatilty'", "did you mean 'inverse_volatility'?"],
    ),
    "start for unknown assets": (
        lambda: RiskParityQCLP(SIGMA).solve(start=pd.Series({"AAPL": 1.0, "IBM": 0.0})),
        UnknownLabelError, ["asset 'IBM'", "known: AAPL"],
    ),
    # --- models
    "kernel object on a ConcreteModel": (
        cone_on_a_concrete_model,
        ModelError, ["'parity'", "pyomo.kernel object", "pyomo.kernel alone"],
    ),
    "environ weights in a kernel block": (
        lambda: RiskParitySOCP(SIGMA).kernel(own_model().w),
        InputError, ["'x'", "expected a pyomo.kernel variable", "do not mix"],
    ),
    "kernel weights in an environ block": (
        lambda: RobustRiskParity(SET).block(own_model(kernel=True).w),
        InputError, ["'x'", "expected a pyomo.environ variable", "do not mix"],
    ),
    "weights that lack an asset": (
        lambda: RiskParityQCLP(SIGMA).block({a: own_model().w[a] for a in ASSETS[:2]}),
        InputError, ["no entry for 'XOM'", "3 labels"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case):
    call, kind, fragments = CASES[case]
    with pytest.raises(RiskParityError) as caught:
        call()
    assert isinstance(caught.value, kind)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_repaired_covariance_says_so():
    with pytest.raises(InputError, match="repair='clip'"):
        DenseCovariance([[1.0, 1.2], [1.2, 1.0]], ["A", "B"])
    Sigma = DenseCovariance([[1.0, 1.2], [1.2, 1.0]], ["A", "B"], repair="clip")
    portfolio = RiskParitySOCP(Sigma).solve("newton")
    assert "clipped 1 negative eigenvalue" in portfolio.covariance.repaired
    assert "-0.2" in portfolio.covariance.repaired


@pytest.mark.parametrize("name", ["clarabel", "ipopt", "gurobi", "scip", "scs", "mosek", "xpress"])
def test_a_solver_that_is_not_installed(name, monkeypatch):
    """On a machine without it: what is missing, and how to get it."""
    missing = replace(SOLVERS[name], locate=lambda: None)
    monkeypatch.setitem(SOLVERS, name, missing)
    with pytest.raises(SolverUnavailableError) as caught:
        RiskParitySOCP(SIGMA).solve(name)
    assert f"solver {name!r} is not installed here" in str(caught.value)
    assert f"to install it: {missing.install}" in str(caught.value)


FILES = {
    "empty": ("", ["is empty", "header"]),
    "no rows": ("date,AAPL\n", ["0 row(s)", "expected"]),
    "wrong columns": ("date;AAPL\n2001-01-05;0.1\n", ["1 column(s)", "commas"]),
    "text in numbers": ("date,AAPL\n2001-01-05,x\n", ["line 2", "'AAPL'", "'x'", "finite number"]),
    "no dates": ("date,AAPL\nfirst,0.1\n", ["line 2", "'first' is not a date", "YYYY-MM-DD"]),
    "percentages": ("date,AAPL\n2001-01-05,3.1\n2001-01-12,-2.0\n", ["divide by 100"]),
}


@pytest.mark.parametrize("read", [read_returns, read_factors])
@pytest.mark.parametrize("case", FILES)
def test_bad_files(case, read, tmp_path):
    text, fragments = FILES[case]
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read(path)
    for fragment in ("data.csv", *fragments):
        assert fragment in str(caught.value)


@pytest.mark.parametrize("case", FILES)
def test_bad_files_on_the_command_line(case, tmp_path):
    """One line, no traceback, exit status 2."""
    text, fragments = FILES[case]
    (tmp_path / "returns.csv").write_text(text)
    FACTORS.to_csv(tmp_path / "factors.csv")
    arguments = ["--returns", tmp_path / "returns.csv", "--factors", tmp_path / "factors.csv"]
    result = CliRunner().invoke(app, ["solve", "--model", "socp", *map(str, arguments)])
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    for fragment in ("returns.csv", *fragments):
        assert fragment in line


def test_budgets_of_other_assets_on_the_command_line(tmp_path):
    RETURNS.to_csv(tmp_path / "returns.csv")
    FACTORS.to_csv(tmp_path / "factors.csv")
    (tmp_path / "budgets.csv").write_text("asset,budget\nAAPL,0.5\nMSFT,0.3\nXON,0.2\n")
    assert read_budgets(tmp_path / "budgets.csv").sum() == 1
    names = ("returns", "factors", "budgets")
    arguments = [word for name in names for word in (f"--{name}", str(tmp_path / f"{name}.csv"))]
    result = CliRunner().invoke(app, ["solve", "--model", "qclp", *arguments])
    assert result.exit_code == 2
    assert "unknown asset 'XON'; did you mean 'XOM'?" in result.stderr
    arguments = [*arguments[:4], "--omega", "1e6"]
    result = CliRunner().invoke(app, ["solve", "--model", "robust", *arguments])
    assert result.exit_code == 3
    assert "omega = 1000000" in result.stderr
    assert "omega_max = " in result.stderr
