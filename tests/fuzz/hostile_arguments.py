"""Arguments of wrong types and values, everywhere: each gets an error that names what was given."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from judging import Outcome

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    FactorModel,
    Portfolio,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    WeightSet,
    largest_omega,
)
from rrp_pyomo.backtest import Backtest, RiskParity, Robust
from rrp_pyomo.data import Group, LinearRow, excess_returns
from rrp_pyomo.errors import RiskParityError

#: What is never a right argument, wherever it is given.
NEVER: list[Any] = [
    object(), lambda: 1, "abc", b"1", 1 + 2j, {1, 2}, type, math, np.datetime64("2020-01-01"),
    np.timedelta64(1, "D"), datetime.date(2020, 1, 1), float("nan"), Decimal("nan"), pd.NaT,
    np.array(["a", "b"]), [[1.0], [2.0, 3.0]], np.zeros((2, 2, 2)), {"nobody": {"nothing": 1}},
]  # fmt: skip
#: What may be right somewhere.
ODD: list[Any] = [
    None, True, 0, -1, 1, 0.5, 10**400, math.inf, -math.inf, Fraction(1, 2), Fraction(-1, 2),
    Decimal("0.5"), np.float32(0.5), np.int8(1), np.array(0.5), np.array([0.5]), [], {}, (), "",
    [0.5, 0.5], {"A0": 0.5}, pd.Series([0.5]), pd.Series(dtype=float), pd.DataFrame(), pd.NA,
    pd.DataFrame({"A0": ["x"]}), np.ma.masked, np.eye(2), iter([1]), range(3), "A0", ["A0"],
    [None], ["A0", "A0"], WeightSet(), WeightSet, DenseCovariance(np.eye(2)), RiskParity(),
]  # fmt: skip

Call = Callable[[Any, Any], Any]


class Context:
    """Right arguments, of which one at a time is replaced."""

    def __init__(self, market: Any) -> None:
        self.R, self.F, self.labels = market.R, market.F, list(market.labels)
        self.model = market.model()
        self.S = self.model.covariance
        self.U = self.model.covariance_uncertainty()
        self.M = self.S.matrix()
        self.x = pd.Series(1.0 / len(self.M), self.M.index)


def _in_set(context: Any, **given: Any) -> Any:
    return WeightSet(**given).resolve(context.labels)


def _in_row(context: Any, *given: Any) -> Any:
    return _in_set(context, rows=[LinearRow(*given)])


CALLS: dict[str, Call] = {
    "returns": lambda c, b: FactorModel.fit(b, c.F),
    "factors": lambda c, b: FactorModel.fit(c.R, b),
    "returns of arrays": lambda c, b: FactorModel.from_arrays(b, c.F),
    "labels of arrays": lambda c, b: FactorModel.from_arrays(c.R, c.F, labels=b),
    "factor_labels": lambda c, b: FactorModel.from_arrays(c.R, c.F, factor_labels=b),
    "dates": lambda c, b: FactorModel.from_arrays(c.R, c.F, dates=b).residuals,
    "scale": lambda c, b: c.model.covariance_uncertainty(b),
    "covariance": lambda c, b: RiskParitySOCP(b),
    "matrix": lambda c, b: DenseCovariance(b),
    "labels": lambda c, b: DenseCovariance(c.M.to_numpy(), b),
    "repair": lambda c, b: DenseCovariance(c.M, repair=b),
    "loadings": lambda c, b: FactorCovariance(b, c.S.F, c.S.D),
    "factor_covariance": lambda c, b: FactorCovariance(c.S.V, b, c.S.D),
    "residual_variance": lambda c, b: FactorCovariance(c.S.V, c.S.F, b),
    "nominal": lambda c, b: CovarianceUncertainty.from_bounds(b, c.M),
    "upper bound": lambda c, b: CovarianceUncertainty.from_bounds(c.M, b),
    "lower bound": lambda c, b: CovarianceUncertainty.from_bounds(c.M, c.M, b),
    "nominal of errors": lambda c, b: CovarianceUncertainty.from_loading_errors(b, c.S.V),
    "standard_errors": lambda c, b: CovarianceUncertainty.from_loading_errors(c.S, b),
    "contained covariance": lambda c, b: c.U.contains(b),
    "uncertainty": lambda c, b: RobustRiskParity(b),
    "omega": lambda c, b: RobustRiskParity(c.U, b),
    "omega set": lambda c, b: setattr(RobustRiskParity(c.U), "omega", b),
    "budgets": lambda c, b: RiskParitySOCP(c.S, b),
    "weight_set": lambda c, b: RiskParitySOCP(c.S, weight_set=b),
    "uncertainty of limit": lambda c, b: largest_omega(b),
    "weight_set of limit": lambda c, b: largest_omega(c.U, b),
    "lower": lambda c, b: _in_set(c, lower=b),
    "upper": lambda c, b: _in_set(c, upper=b),
    "upper by asset": lambda c, b: _in_set(c, upper={c.labels[0]: b}),
    "groups": lambda c, b: _in_set(c, groups=b),
    "group": lambda c, b: _in_set(c, groups={"g": b}),
    "group members": lambda c, b: _in_set(c, groups={"g": Group(b, 0.0, 0.9)}),
    "group upper": lambda c, b: _in_set(c, groups={"g": (c.labels[:1], None, b)}),
    "rows": lambda c, b: _in_set(c, rows=b),
    "row": lambda c, b: _in_set(c, rows=[b]),
    "row name": lambda c, b: _in_row(c, b, {c.labels[0]: 1.0}, 0.0, 0.9),
    "row coefficients": lambda c, b: _in_row(c, "r", b, 0.0, 0.9),
    "row lower": lambda c, b: _in_row(c, "r", {c.labels[0]: 1.0}, b),
    "resolved labels": lambda c, b: WeightSet().resolve(b),
    "weights": lambda c, b: Portfolio.of(b, c.S),
    "covariance of a portfolio": lambda c, b: Portfolio.of(c.x, b),
    "covariance under": lambda c, b: Portfolio.of(c.x, c.S).under(b),
    "marginal weights": lambda c, b: c.S.marginal_risk(b),
    "variance weights": lambda c, b: c.S.variance(b),
    "excess returns": lambda c, b: excess_returns(b, c.F.iloc[:, 0]),
    "risk_free": lambda c, b: excess_returns(c.R, b),
    "solver": lambda c, b: RiskParitySOCP(c.S).solve(b),
    "start": lambda c, b: RiskParityQCLP(c.S).solve(start=b),
    "time_limit": lambda c, b: RiskParitySOCP(c.S).solve(time_limit=b),
    "backtest returns": lambda c, b: Backtest(b, c.F, [RiskParity()]),
    "backtest factors": lambda c, b: Backtest(c.R, b, [RiskParity()]),
    "strategies": lambda c, b: Backtest(c.R, c.F, b),
    "strategy": lambda c, b: Backtest(c.R, c.F, [b]),
    "estimation": lambda c, b: Backtest(c.R, c.F, [RiskParity()], estimation=b),
    "rebalance": lambda c, b: Backtest(c.R, c.F, [RiskParity()], rebalance=b),
    "backtest risk_free": lambda c, b: Backtest(c.R, c.F, [RiskParity()], risk_free=b),
    "strategy omega": lambda c, b: Robust(b),
    "newton max_iter": lambda c, b: RiskParitySOCP(c.S).solve("newton", max_iter=b),
    "newton tol": lambda c, b: RiskParitySOCP(c.S).solve("newton", tol=b),
}  # fmt: skip

#: What is right although it is in the list above.
RIGHT: dict[str, list[type]] = {
    "row name": [object], "labels of arrays": [object], "resolved labels": [object],
    "group members": [set], "labels": [object], "dates": [object], "factor_labels": [object],
}  # fmt: skip

#: What messages call an argument, where that is not its name.
ALIASES = {
    "matrix": ["covariance", "asset"], "strategies": ["strategy", "window"],
    "strategy": ["window"], "rows": ["row"], "labels": ["label"],
    "group members": ["group", "asset"], "weights": ["asset"],
    "marginal weights": ["asset"], "variance weights": ["asset"], "budgets": ["asset"],
    "upper": ["asset"], "lower": ["asset"], "labels of arrays": ["label"],
    "resolved labels": ["label"],
    "covariance of a portfolio": ["asset"], "covariance under": ["asset"], "start": ["asset"],
    "row coefficients": ["asset"], "group upper": ["'g'"], "backtest risk_free": ["window"],
    "estimation": ["window"], "rebalance": ["window"],
}  # fmt: skip

OPTIONS: dict[str, list[str]] = {
    "clarabel": [
        "tol_feas", "max_iter", "direct_solve_method", "chordal_decomposition_merge_method",
        "time_limit", "equilibrate_enable", "tol_gap_rel", "max_threads", "nonsense",
        "equilibrate_max_iter", "min_switch_step_length", "presolve_enable",
    ],
    "scs": [
        "eps_abs", "eps_rel", "max_iters", "alpha", "scale", "rho_x", "linear_solver", "normalize",
        "acceleration_lookback", "acceleration_interval", "eps_infeas", "time_limit_secs",
        "log_csv_filename", "write_data_filename", "nonsense",
    ],
    "casadi_ipopt": [
        "tol", "max_iter", "linear_solver", "mu_strategy", "output_file", "print_level",
        "hessian_approximation", "bound_relax_factor", "nonsense", "option_file_name",
        "max_wall_time", "nlp_scaling_method",
    ],
}  # fmt: skip
VALUES: list[Any] = [
    -1, 0, 1, -1.0, 0.0, 1.5, 1e-6, 3.0, math.nan, math.inf, 10**30, "foo", "", "ma97", "ma57",
    "mumps", "qdldl", None, True, [1], "/no/such/folder/x", object(), np.float64(1e-6),
    np.int64(5), b"x", -3,
]  # fmt: skip


def hostile(market: Any, rng: np.random.Generator, outcome: Outcome) -> None:
    """A few wrong arguments."""
    try:
        context = Context(market)
    except Exception as error:
        outcome.found("crash", f"context: {type(error).__name__}", error)
        return
    for _ in range(12):
        name = str(rng.choice(list(CALLS)))
        never = rng.random() < 0.5
        pool = NEVER if never else ODD
        value = pool[int(rng.integers(len(pool)))]
        _attempt(name, lambda c, v, name=name: CALLS[name](c, v), context, value, never, outcome)
    solver = str(rng.choice(list(OPTIONS)))
    option = str(rng.choice(OPTIONS[solver]))
    value = VALUES[int(rng.integers(len(VALUES)))]
    call: Call = lambda c, v: RiskParitySOCP(c.S).solve(solver, **{option: v})  # noqa: E731
    _attempt(f"{solver} {option}", call, context, value, option == "nonsense", outcome)


def _attempt(
    name: str, call: Call, context: Context, value: Any, never: bool, outcome: Outcome
) -> None:
    outcome.counts["hostile arguments"] += 1
    what = f"{name} = {_brief(value)}"
    try:
        call(context, value)
    except RiskParityError as error:
        message = str(error).replace("_", " ").lower()
        if not any(hint.lower() in message for hint in _hints(name, value)):
            outcome.found("unclear", what, error)
        return
    except Exception as error:
        outcome.found("crash", f"{what}: {type(error).__name__}", error)
        return
    if never and not isinstance(value, tuple(RIGHT.get(name, ()))):
        outcome.found("wrong", f"{what} is taken")


def _brief(value: Any) -> str:
    if callable(value) or type(value) is object:
        return type(value).__name__
    return " ".join(repr(value).split())[:40]


def _hints(name: str, value: Any) -> list[str]:
    """Of these an error says at least one: what the argument is called, or what it was."""
    words = [word[:5] for word in name.replace("_", " ").split() if word not in ("of", "by", "a")]
    given = [type(value).__name__, _brief(value)[:6], str(value)[:6]]
    if isinstance(value, dict | list | set | tuple | range):
        given += [str(item)[:6] for item in value]
    if isinstance(value, np.ndarray):
        given += [str(item)[:6] for item in value.flat]
    return [hint for hint in words + given + ALIASES.get(name, []) if hint]
