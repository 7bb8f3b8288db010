"""The exercises of lesson 12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyomo.environ as pyo
from scipy.stats import skew

from rrp_pyomo.course.answers import TOLERANCE, number, require_close
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.models import made, on_other_data, solved, values
from rrp_pyomo.data import FactorModel, excess_returns
from rrp_pyomo.data.datasets import french
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models import MeanVariance, MultiPeriod

LESSON = Lesson(12, "Several periods and out of sample")


# --- 12.1 -----------------------------------------------------------------------------------------


def _band_data() -> Data:
    return {
        "mean": 0.006,
        "volatility": 0.05,
        "risk_aversion": 3.0,
        "cost": 0.01,
        "held": 0.1,
        "periods": 4,
    }


@LESSON.exercise(
    "Where it pays to trade",
    """
    You hold the amount `held` of one asset. Each of the next `periods` periods it earns `mean` with
    `volatility`, and buying or selling a unit costs `cost`. Which amount do you hold after trading
    now, if you maximise Σ_h [mean·x_h − (risk_aversion/2)·volatility²·x_h² − cost·|x_h − x_{h−1}|]?
    A number.
    """,
    _band_data,
)
def band(answer: Any, data: Data) -> str:
    mean, cost, held = data["mean"], data["cost"], data["held"]
    curvature = data["risk_aversion"] * data["volatility"] ** 2
    periods, best = data["periods"], mean / curvature
    reach = cost / (periods * curvature)
    right = float(np.clip(held, best - reach, best + reach))
    require_close(
        number(answer),
        right,
        "the amount",
        "trade now and hold: the gain is periods times that of one period, the cost is paid once",
        mistakes=[
            (
                best,
                "that is best without costs; stop short of it, where a unit more costs its gain",
            ),
            (held, "that is not trading, which is best for one period only"),
            (best + reach, "the cost is paid for buying: stop below the best amount"),
            (best - cost / curvature, "the cost is paid once, and earned in all periods"),
            (best - reach - held, "that is what is bought; the amount held after it is asked for"),
            (
                (mean - cost / periods) / (data["risk_aversion"] * data["volatility"]),
                "the variance is the volatility squared",
            ),
        ],
    )
    return f"{right:.4f}, at the edge of the band from {best - reach:.4f} to {best + reach:.4f}"


# --- 12.2 -----------------------------------------------------------------------------------------


def _drift_data() -> Data:
    names = ["a", "b", "c"]
    return {
        "before": pd.Series([0.5, 0.3, 0.2], names),
        "returns": pd.Series([0.20, -0.10, 0.05], names),
        "target": pd.Series([0.45, 0.35, 0.20], names),
        "cost": 0.002,
    }


@LESSON.exercise(
    "What a rebalance costs",
    """
    A year ago weights were `before`; since then the assets had these `returns` and nothing was
    traded. Now the weights shall be `target`, and a unit of wealth that is bought or sold costs
    `cost`. What does the rebalance cost, as a part of today's wealth? A number.
    """,
    _drift_data,
)
def rebalance(answer: Any, data: Data) -> str:
    grown = data["before"] * (1 + data["returns"])
    drifted = grown / grown.sum()
    traded = float((data["target"] - drifted).abs().sum())
    right = data["cost"] * traded
    planned = float((data["target"] - data["before"]).abs().sum())
    require_close(
        number(answer),
        right,
        "the cost",
        "weights drift to before·(1 + returns), divided by their sum; sales cost as purchases do",
        mistakes=[
            (traded, "that is what is traded; multiply by the cost"),
            (data["cost"] * planned, "that is from the weights of a year ago; they have drifted"),
            (
                data["cost"] * float((data["target"] - grown).abs().sum()),
                "drifted weights are to be divided by their sum, which is today's wealth",
            ),
            (right / 2, "sales cost, too: buying and selling are both charged"),
            (right * grown.sum(), "that is a part of the wealth of a year ago"),
        ],
    )
    return f"{traded:.4f} of wealth is traded, which costs {right:.6f}"


# --- 12.3 -----------------------------------------------------------------------------------------


def _records_data() -> Data:
    """Least variance, estimated on five years, and equal weights in the twenty years after them."""
    data = french()
    returns = excess_returns(data.returns, data.risk_free).iloc[-420:-120, :12]
    before, after = returns.head(60), returns.tail(240)
    covariance = FactorModel.fit(before, data.factors.loc[before.index]).covariance
    least = MeanVariance(None, covariance).solve().weights
    return {"returns": pd.DataFrame({"least": after @ least, "equal": after.mean(axis=1)})}


@LESSON.exercise(
    "The error of a difference",
    """
    Two strategies have these monthly excess `returns`. What is the standard error of the difference
    of their monthly Sharpe ratios (mean over standard deviation), if months are independent?
    A number, not annualised.
    """,
    _records_data,
)
def error_of_a_difference(answer: Any, data: Data) -> str:
    returns = data["returns"]
    T, z = len(returns), (returns - returns.mean()) / returns.std()
    sharpe = returns.mean() / returns.std()
    influence = z - sharpe / 2 * (z**2 - 1)
    right = float((influence["least"] - influence["equal"]).std() / np.sqrt(T))
    apart = float(np.sqrt((influence.var() / T).sum()))
    rho = float(z.corr().iloc[0, 1])
    s, e = sharpe["least"], sharpe["equal"]
    normal = np.sqrt((2 - 2 * rho + (s**2 + e**2 - 2 * s * e * rho**2) / 2) / T)
    given = number(answer)
    for other in (float(normal), _jackknife(returns)):
        if abs(given - other) < 0.01 * other:
            right = other
    require_close(
        given,
        right,
        "the standard error",
        "the influence of a month on a Sharpe ratio S is z − ½S(z² − 1); take the difference of "
        "the two, its standard deviation, and divide by √T",
        relative=0.01,
        mistakes=[
            (float((z["least"] - z["equal"]).std() / np.sqrt(T)), "that leaves out the errors of "
             "the standard deviations"),
            (right * np.sqrt(12), "that is √12 times too large: per year, where a month is asked"),
            (right * np.sqrt(T), "that is of one month; divide by √T"),
            (apart, "the two were never apart: they share most of each month, so take the "
             "difference month by month"),
            (np.sqrt(1 / T), "that is about the error of one Sharpe ratio, not of the difference"),
            (np.sqrt(2 / T), "the two were never apart: their correlation is close to 1"),
            (s - e, "that is the difference, not its error"),
            (returns["least"].sub(returns["equal"]).std() / np.sqrt(T),
             "that is the error of the difference of means"),
        ],
    )  # fmt: skip
    z_score = (s - e) / right
    return f"{right:.5f} (skewness {skew(z['equal']):.2f}): a difference of {z_score:.2f} errors"


def _jackknife(returns: pd.DataFrame) -> float:
    """The error of the difference of Sharpe ratios from leaving out each month in turn."""
    left = [returns.drop(month) for month in returns.index]
    sharpe = np.array([(r.mean() / r.std()).to_numpy() for r in left])
    return float(np.sqrt(len(left) - 1) * (sharpe[:, 0] - sharpe[:, 1]).std())


# --- 12.4 -----------------------------------------------------------------------------------------


def _plan_of(held: dict[str, float], periods: int, aversion: float, cost: float) -> Data:
    """A plan's data: of each period the mean of its part of five years."""
    data, own = french(), pd.Series(held)
    returns = excess_returns(data.returns, data.risk_free).tail(60)[list(held)]
    return {
        "mean": returns.groupby(np.arange(60) // (60 // periods)).mean(),
        "covariance": FactorModel.fit(returns, data.factors.tail(60)).covariance,
        "risk_aversion": aversion,
        "cost": cost,
        "held": own,
    }


def _plan_data() -> Data:
    own = ["NoDur", "BusEq", "Telcm", "Utils", "Hlth"]
    return _plan_of(dict.fromkeys(own, 0.2), periods=3, aversion=5.0, cost=0.004)


@LESSON.exercise(
    "A plan with costs (modelling)",
    """
    Write a function `build(mean, covariance, risk_aversion, cost, held)` that returns a
    `pyo.ConcreteModel`. `mean` has a row for each period h and a column for each asset a, and the
    model a variable `m.w[h, a]` for each of these. Weights of each period are not negative and sum
    to 1; before the first period weights are `held`. The model maximises
    Σ_h [mean_h'w_h − (risk_aversion/2) w_h'Σw_h − cost Σ_a |w_ha − w_{h−1,a}|].
    What is handed in is the function; it is tried on other data, too.
    """,
    _plan_data,
    modelling=True,
)
def plan(answer: Any, data: Data) -> str:
    if isinstance(answer, pyo.Block):
        raise WrongAnswer("the answer should be the function build, not a model that it made")
    said = _judge_plan(answer, data)
    other = {"Durbl": 0.1, "Telcm": 0.2, "Utils": 0.4, "Money": 0.3}
    with on_other_data():
        _judge_plan(answer, {**data, "cost": 0.0})
        _judge_plan(answer, _plan_of(other, periods=2, aversion=7.0, cost=0.001))
    return said


def _judge_plan(answer: Any, data: Data) -> str:
    mean, covariance = data["mean"], data["covariance"]
    aversion, cost, held = data["risk_aversion"], data["cost"], data["held"]
    model = solved(made(answer, mean, covariance, aversion, cost, held))
    w = _by_period(model, mean)
    if (least := float(w.to_numpy().min())) < -TOLERANCE:
        raise WrongAnswer(f"a weight is short: {least:.4g}")
    for h, total in w.sum(axis=1).items():
        if abs(total - 1) > TOLERANCE:
            raise WrongAnswer(f"weights of period {h} sum to {total:.4g}, not to 1")
    best = MultiPeriod(mean, covariance, aversion, l1=cost, previous=held).solve().weights
    S, before = covariance.matrix().to_numpy(), held[mean.columns].to_numpy()

    def traded(x: FloatArray) -> float:
        return float(np.abs(np.diff(np.vstack([before, x]), axis=0)).sum())

    def gain(x: FloatArray) -> float:
        risk = np.einsum("ha,ab,hb", x, S, x)
        return float((mean.to_numpy() * x).sum() - aversion / 2 * risk - cost * traded(x))

    given, right = gain(w.to_numpy()), gain(best.to_numpy())
    if given < right - 1e-5 * max(abs(right), 1e-3):
        raise WrongAnswer(
            f"all rules hold, but the plan gains {given:.6f} where {right:.6f} can be: "
            + _why_less(w, data)
        )
    return f"the plan gains {given:.6f}, the most there is, and trades {traded(w.to_numpy()):.3f}"


def _by_period(model: pyo.ConcreteModel, mean: pd.DataFrame) -> pd.DataFrame:
    """The values of w[h, a]."""
    found = values(model)
    wanted = [(h, a) for h in mean.index for a in mean.columns]
    if missing := [key for key in wanted if found.get(key) is None]:
        raise WrongAnswer(
            f"there is no value of w{list(missing[0])}: the row of `mean` comes first, then its "
            f"column; your model's first is w{_index(next(iter(found), ()))}"
        )
    rows = [[found[h, a] for a in mean.columns] for h in mean.index]
    return pd.DataFrame(rows, mean.index, mean.columns, dtype=float)


def _index(key: Any) -> list[Any]:
    return list(key) if isinstance(key, tuple) else [key]


def _why_less(w: pd.DataFrame, data: Data) -> str:
    """What the plan may have forgotten: those of typical mistakes are tried."""
    mean, covariance = data["mean"], data["covariance"]
    aversion, cost, held = data["risk_aversion"], data["cost"], data["held"]

    def plan_of(means: pd.DataFrame, risk: float, price: float, before: Any) -> FloatArray:
        plan = MultiPeriod(means, covariance, risk, l1=price, previous=before)
        return plan.solve().weights.to_numpy()

    first = pd.DataFrame([mean.iloc[0]] * len(mean), mean.index)
    tries: dict[str, Callable[[], FloatArray]] = {
        "it is best without costs": lambda: plan_of(mean, aversion, 0.0, held),
        "it is best for risk_aversion · w'Σw, without the ½": (
            lambda: plan_of(mean, 2 * aversion, cost, held)
        ),
        "it is best where the first trade is free; before it weights are held": (
            lambda: plan_of(mean, aversion, cost, None)
        ),
        "it is best for half the costs: sales and purchases are both charged": (
            lambda: plan_of(mean, aversion, cost / 2, held)
        ),
        "it is best where each period trades from `held`, not from the period before": (
            lambda: np.vstack([plan_of(mean.loc[[h]], aversion, cost, held) for h in mean.index])
        ),
        "it is best for the first row of `mean` in all periods": (
            lambda: plan_of(first, aversion, cost, held)
        ),
    }
    for told, other in tries.items():
        if np.abs(other() - w.to_numpy()).max() < 1e-3:
            return told
    return "is each term there, and is the objective maximised?"


# --- 12.5 -----------------------------------------------------------------------------------------


def _many_data() -> Data:
    p = [0.31, 0.0026, 0.84, 0.04, 0.012, 0.55, 0.0004, 0.22, 0.63, 0.0032]
    p += [0.47, 0.0033, 0.0016, 0.71, 0.03, 0.15, 0.38, 0.92, 0.0022, 0.26]
    return {"p_values": pd.Series(p, [f"strategy {k}" for k in range(1, 21)]), "level": 0.05}


@LESSON.exercise(
    "Twenty strategies",
    """
    Twenty strategies were compared with 1/n, with these `p_values`. How many of the differences
    remain significant by Holm's procedure, such that the probability of calling one or more equal
    ones different is at most `level`, whatever the dependence between them? A number.
    """,
    _many_data,
)
def many(answer: Any, data: Data) -> str:
    p, level = np.sort(data["p_values"].to_numpy()), data["level"]
    n = len(p)
    passed = p <= level / (n - np.arange(n))
    right = int(np.argmin(passed)) if not passed.all() else n
    given = number(answer)
    mistakes: dict[float, str] = {
        int((p <= level).sum()): "that is without allowing for their number: each of twenty equal "
        "ones is significant at 5 % in one of twenty samples",
        int((p <= level / n).sum()): "that is Bonferroni's; Holm compares the k-th smallest with "
        "level/(20 − k + 1), and finds more",
        int((p <= level * np.arange(1, n + 1) / n).sum()): "that is Benjamini & Hochberg's, which "
        "limits the share of false discoveries, not the probability of one",
        int(passed.sum()): "that is how many are below their own bound; Holm stops at the first "
        "that is not",
        n - int(np.argmax(passed[::-1])): "that is Hochberg's, which starts from the largest and "
        "does not hold for every dependence",
        round(n * level): "that is how many are significant by chance, if all are equal",
        n - right: "that is how many do not remain significant",
    }
    if given != right:
        told = (
            "sort them; the k-th smallest is compared with level/(20 − k + 1), until one is larger"
        )
        raise WrongAnswer(f"the number is not {given:g}: {mistakes.get(given, told)}")
    return f"{right} of {n}; without allowing for their number it would be {(p <= level).sum()}"
