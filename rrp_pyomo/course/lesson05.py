"""The exercises of lesson 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.answers import (
    TOLERANCE,
    number,
    reals,
    require_budget,
    require_close,
    require_contributions,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.programs import optimum_of, stated, transposed, weights_of
from rrp_pyomo.data import DenseCovariance, datasets, excess_returns
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import norm
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

LESSON = Lesson(5, "Second-order cones and duals")


@LESSON.exercise(
    "A product as a cone",
    """
    For v = (x, z, t), write "x·z ≥ t² and x, z ≥ 0" as ‖Mv‖₂ ≤ c'v. Answer: the pair `(M, c)`, an
    array of as many columns as v has entries and one of three numbers.
    """,
)
def product_as_cone(answer: Any, data: Data) -> str:
    M, c = _cone(answer)
    rng = np.random.default_rng(5)
    x, z = rng.uniform(0.1, 2.0, (2, 500))
    edge = np.stack([x, z, rng.choice([-1, 1], 500) * np.sqrt(x * z)])
    slack = c @ edge - np.linalg.norm(M @ edge, axis=0)
    if abs(slack).max() > 1e-6 * abs(c).max():
        k = int(abs(slack).argmax())
        at = ", ".join(f"{value:.3g}" for value in edge[:, k])
        side = "outside" if slack[k] < 0 else "strictly inside"
        raise WrongAnswer(
            f"v = ({at}) has x·z = t², and your cone has it {side}; (x + z)² − (x − z)² is 4xz"
        )
    return "500 points with x·z = t² are on the border of your cone, and it is convex"


def _cone(answer: Any) -> tuple[FloatArray, FloatArray]:
    """(k, 3) and (3,)."""
    try:
        first, second = answer
        M, c = np.atleast_2d(reals(first)), reals(second).ravel()
    except (TypeError, ValueError):
        raise WrongAnswer("a pair is asked for, (M, c): an array of 3 columns and 3 numbers") from (
            None
        )
    if M.ndim != 2 or M.shape[1] != 3 or c.size != 3:
        raise WrongAnswer(f"M and c have 3 columns, those of v; given: {M.shape} and {c.shape}")
    if not (np.isfinite(M).all() and np.isfinite(c).all()):
        raise WrongAnswer("M and c should be finite")
    if len(M) == 1:
        raise WrongAnswer(
            "M has one row, and |m'v| ≤ c'v is a wedge between two planes, where the set is round; "
            "a pair is asked for, (M, c)"
        )
    if not c.any():
        raise WrongAnswer("with c = 0 only Mv = 0 is left")
    if c @ np.array([1.0, 1.0, 0.0]) < 0:
        raise WrongAnswer("c'v should be at least 0 where x and z are: the sign of c")
    return M, c


def _income() -> Data:
    data = datasets.french()
    R = 100 * excess_returns(data.returns, data.risk_free).iloc[-240:, :12]
    return {"mean": R.mean(), "covariance": R.cov(), "cap": 3.6}


def _income_program(
    data: Data, cap: float, root: Any = None, lower: float = 0.0, invested: bool = True
) -> Program:
    mean = data["mean"]
    root = DenseCovariance(data["covariance"]).root if root is None else root
    program = Program("income")
    w = program.variable("w", mean.index, lower=lower)
    program.maximize(mean @ w)
    program.subject_to(risk=norm(root @ w) <= cap)
    if invested:
        program.subject_to(invested=w.sum() == 1)
    return program


@LESSON.exercise(
    "What a little more risk earns",
    """
    Twelve industries, in per cent a month: `e["mean"]` and `e["covariance"]`. The long-only, fully
    invested portfolio of largest mean with a volatility of at most `e["cap"]`: how much more mean
    does one more unit of the cap earn? Answer: the price, a number.
    """,
    _income,
)
def price(answer: Any, data: Data) -> str:
    given = number(answer, "the price")
    s, h = data["cap"], 1e-4
    up, down = (solve_program(_income_program(data, s + k)).objective for k in (h, -h))
    right = (up - down) / (2 * h)
    best = solve_program(_income_program(data, s))
    assert best.duals is not None
    cholesky = np.linalg.cholesky(data["covariance"])  # LL', where ‖L'w‖ is the volatility
    others = [
        solve_program(_income_program(data, s, **changed)).duals
        for changed in ({"root": cholesky}, {"lower": -np.inf}, {"invested": False})
    ]
    other_root, short, uninvested = (duals["risk"] if duals else 0.0 for duals in others)
    mistakes = (
        (other_root, "NumPy's Cholesky factor L has Σ = LL': the volatility is ‖L'w‖"),
        (short, "that is the price with short positions; the weights are long-only"),
        (uninvested, "that is the price with any sum of the weights; the portfolio is invested"),
        (100 * right, "per cent of mean by per cent of volatility: a price without a unit"),
        (right / 100, "per cent of mean by per cent of volatility: a price without a unit"),
        (-right, "the sign: a larger cap allows more, and the mean is maximised"),
        (right / (2 * s), "that is the price of a unit of variance; ds² is 2s ds"),
        (best.objective / s, "that is mean over volatility, the average; the price is a slope"),
        (best.objective, "that is the largest mean itself"),
        (best.duals["invested"], "that is the dual of the budget"),
        (12**0.5 * right, "that is a price for a year; the data are of months"),
    )
    hint = "it is the dual of the cap; check it by two caps close to each other"
    require_close(given, right, "the price", hint, mistakes=mistakes)
    return f"optima at caps {s - h:g} and {s + h:g} differ by {right:.4g} a unit"


def _impossible() -> Data:
    data = datasets.french()
    R = 100 * excess_returns(data.returns, data.risk_free).iloc[-240:, :12]
    mean = R.mean()
    best = mean.nlargest(4).to_numpy()
    return {"mean": mean, "cap": 0.3, "target": 1.01 * (0.3 * best[:3].sum() + 0.1 * best[3])}


@LESSON.exercise(
    "A proof that there is none",
    """
    No w has Σw_i = 1, 0 ≤ w_i ≤ `e["cap"]` and Σ mean_i w_i ≥ `e["target"]`. Prove it: find ν and
    η_i ≥ 0 with mean_i ≤ ν + η_i for every asset and ν + cap · Σ η_i < target. Answer: the pair
    `(ν, η)`, a number and one number for each asset.
    """,
    _impossible,
)
def impossible(answer: Any, data: Data) -> str:
    try:
        given, more = answer.values() if isinstance(answer, Mapping) else answer
    except (TypeError, ValueError):
        raise WrongAnswer(
            "a pair is asked for: ν, a number, and η, a number for each asset"
        ) from None
    mean, cap, target = data["mean"], data["cap"], data["target"]
    nu, eta = number(given, "ν"), vector(more, mean.index, "η")
    if eta.min() < -1e-9:
        raise WrongAnswer(
            f"η of {eta.idxmin()!r} is negative: multiplied by w_i ≤ cap it turns the inequality"
        )
    short = mean - nu - eta
    if short.max() > 1e-9:
        raise WrongAnswer(
            f"{short.idxmax()!r} has a mean that is {short.max():.3g} above ν + η_i: the bound "
            "does not hold for portfolios of it"
        )
    bound = nu + cap * eta.sum()
    if bound >= target:
        raise WrongAnswer(
            f"true, but it proves only that no mean is above {bound:.6g}, and the target is "
            f"{target:.6g}: choose ν so that fewer, or more, assets need an η"
        )
    return f"no admissible w has a mean above {bound:.4f}, and the target is {target:.4f}"


def _tracking() -> Data:
    data = datasets.french()
    R = 100 * excess_returns(data.returns, data.risk_free).iloc[-240:, :12]
    return {
        "mean": R.mean(),
        "covariance": R.cov(),
        "benchmark": pd.Series(1 / 12, R.columns),
        "cap": 3.8,
        "tracking": 0.8,
    }


def _tracked(data: Mapping[str, Any]) -> pd.Series:
    program = _income_program(data, data["cap"])
    w, root = program.variables["w"], DenseCovariance(data["covariance"]).root
    program.subject_to(tracking=norm(root @ (w - data["benchmark"])) <= data["tracking"])
    found: pd.Series = solve_program(program).values["w"]
    return found


@LESSON.exercise(
    "Two cones",
    """
    Write `state(mean, covariance, benchmark, cap, tracking)`, which returns a model with variables
    `w` by asset: the largest mean of long-only, fully invested weights with a volatility of at most
    `cap` and a tracking error, the volatility of w − benchmark, of at most `tracking`. Answer: the
    function; it is tried on the data `e["mean"]`, `e["covariance"]`, … and on others. A Program, a
    ConcreteModel or a kernel block will do.
    """,
    _tracking,
    modelling=True,
)
def two_cones(answer: Any, data: Data) -> str:
    few = ["Utils", "Hlth", "Enrgy", "NoDur", "BusEq"]
    benchmark = pd.Series([0.1, 0.3, 0.1, 0.3, 0.2], few)
    others = {
        "mean": data["mean"][few],
        "covariance": data["covariance"].loc[few, few],
        "benchmark": benchmark,
    }
    trials = {
        "on the data": dict(data),
        # Here who need not invest would not.
        "with a wide tracking limit and negative means": {
            **data,
            "mean": data["mean"] - 1,
            "tracking": 5.0,
            "cap": 3.7,
        },
        "on five of the industries": {**others, "cap": 4.5, "tracking": 0.5},
    }
    reached = [_judge_tracking(answer, given, what) for what, given in trials.items()]
    return f"the optimum on three sets of data; on yours the mean is {reached[0]:.4f}"


def _judge_tracking(answer: Any, given: Mapping[str, Any], what: str) -> float:
    names = ("mean", "covariance", "benchmark", "cap", "tracking")
    model = stated(answer, *(given[name] for name in names))
    mean, C = given["mean"], given["covariance"].to_numpy()
    weights = weights_of(model, mean.index, hint="is a variance held below a volatility?")
    require_budget(weights, so_far=f"{what}: ")
    require_long_only(weights)
    active = (weights - given["benchmark"]).to_numpy()
    risks = {"cap": weights.to_numpy(), "tracking": active}
    for name, x in risks.items():
        risk, limit = float(np.sqrt(x @ C @ x)), given[name]
        if risk > limit * (1 + 1e-4):
            why = transposed(C, risks, given)
            if np.isclose(risk**2, limit, rtol=1e-3):
                why = f"; its square is {limit:g}: compare volatilities, or cap²"
            raise WrongAnswer(f"{what}: {name} is {limit:g}, your weights have {risk:.4g}{why}")
    best, found = float(mean @ _tracked(given)), float(mean @ weights)
    if found < best - 1e-4 * abs(best):
        raise WrongAnswer(
            f"{what}: the limits hold, but a mean of {best:.5g} is possible and yours is "
            f"{found:.5g}; is a limit too tight (a variance for a volatility), or is there "
            "another objective?"
        )
    return found


def _parity() -> Data:
    data = datasets.french()
    R = 100 * excess_returns(data.returns, data.risk_free).iloc[-120:, :12]
    return {"covariance": R.cov()}


@LESSON.exercise(
    "Risk parity in four rows",
    """
    Write `state(covariance)`, which returns problem (11) for a table of covariances: a Program, a
    ConcreteModel or a kernel block with variables `w` by asset. Leave the package's RiskParitySOCP
    aside. Answer: the function; it is tried on `e["covariance"]` and on others.
    """,
    _parity,
    modelling=True,
)
def parity(answer: Any, data: Data) -> str:
    C = data["covariance"]
    few = ["Utils", "Money", "Hlth"]
    trials = {"on the data": C, "on three of the industries": C.loc[few, few]}
    for what, given in trials.items():
        weights, value = optimum_of(stated(answer, given), given.index)
        budgets = pd.Series(1 / len(given), given.index)
        require_long_only(weights)
        require_budget(weights, so_far=f"{what}: ")
        covariance = DenseCovariance(given)
        require_contributions(weights, covariance, budgets, so_far=f"{what}: ")
        p = float(np.sqrt(covariance.variance(weights) / len(given)))
        if abs(value) > 1e-4 * min(1.0, p):
            raise WrongAnswer(
                f"{what}: contributions are equal, but (11) has the optimum 0 and your model "
                f"{value:.3g}: a row is missing, or has a factor too much or too few"
            )
    return f"contributions are equal to within {TOLERANCE:g} and p − t is 0 on both"
