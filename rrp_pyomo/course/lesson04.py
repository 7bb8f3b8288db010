"""The exercises of lesson 4."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.answers import (
    number,
    require_budget,
    require_close,
    require_contributions,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.data import Covariance, DenseCovariance, datasets, excess_returns
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models import RiskParityQCLP, RiskParitySOCP, parity_orthants

LESSON = Lesson(4, "Traps of nonconvexity and certificates")

# A solver's parity portfolio, judged by whoever wrote its weights down to six digits.
_PARITY = 1e-4


def _shares(weights: Any, covariance: Covariance) -> FloatArray:
    """Relative risk contributions times n: 1 for all at parity."""
    x = np.asarray(weights, dtype=float)
    R = x * (covariance.operator @ x)
    if not R.sum() > 0:
        raise WrongAnswer("these weights have no risk to be shared: are all of them 0?")
    return np.asarray(x.size * R / R.sum())


def _spread(x: FloatArray, S: FloatArray) -> float:
    """ζ of (4): half of what lies between the largest and the smallest contribution."""
    return float(np.ptp(x * (S @ x))) / 2


def _three(matrix: list[list[float]]) -> Covariance:
    assets = ["A", "B", "H"]
    return DenseCovariance(pd.DataFrame(matrix, assets, assets))


def _hedged_pair() -> Data:
    covariance = _three([[0.01, 0, -0.025], [0, 0.04, -0.05], [-0.025, -0.05, 0.2]])
    return {
        "covariance": covariance.matrix(),
        "trap": pd.Series({"A": 2 / 3, "B": 1 / 3, "H": 0.0}),
    }


@LESSON.exercise(
    "How steep is the trap?",
    """
    `covariance` is that of three assets, `trap` the parity portfolio of A and B alone.
    Sell a little of it, h of all you have, to buy H: x(h) = (1 − h) trap + h e_H. How fast does ζ
    of (4) grow, for the best θ at each h? Answer: dζ/dh at h = 0 from above, a number.
    """,
    _hedged_pair,
)
def slope(answer: Any, data: Data) -> str:
    given = number(answer, "the slope")
    S, trap = data["covariance"].to_numpy(), data["trap"].to_numpy()
    hedge = np.array([0.0, 0.0, 1.0])

    def zeta(h: float) -> float:
        return _spread((1 - h) * trap + h * hedge, S)

    # Along a line ζ is a quadratic function as long as the same two contributions are extreme.
    h = 1e-3
    right = (4 * zeta(h / 2) - zeta(h) - 3 * zeta(0)) / h
    mistakes = (
        (2 * right, "so fast grows max R − min R; ζ is half of it, with θ in the middle"),
        (-right, "the sign: ζ grows here, or this would be no trap"),
        (zeta(0), "that is ζ itself at the trap; its slope is asked for"),
        (-(S[2] @ trap) / 2, "that is R_H's part alone: the contributions of A and B fall, too"),
        (
            (max(trap[:2] * S[:2, 2]) - trap @ S[2]) / 2,
            "A and B are sold to buy H: their contributions also shrink by (1 − h)²",
        ),
    )
    hint = (
        "differentiate R_A, R_B and R_H at h = 0 one by one; ζ bends, so take steps that are tiny"
    )
    require_close(given, right, "the slope", hint, mistakes=mistakes)
    return f"ζ grows by {right:.4g} h, so that no small purchase of H helps (4)"


def _industries() -> Data:
    data = datasets.french()
    R = excess_returns(data.returns, data.risk_free).iloc[-120:, :12]
    return {"covariance": DenseCovariance(R.cov())}


@LESSON.exercise(
    "How far from the best can it be?",
    """
    `covariance` is that of twelve industries; hold 1/12 of each. By the bound of this lesson,
    for weights with the same product the volatility could fall by at most what fraction? Answer: a
    number between 0 and 1, computed from the relative contributions and nothing else.
    """,
    _industries,
)
def gap(answer: Any, data: Data) -> str:
    given = number(answer, "the fraction")
    covariance: Covariance = data["covariance"]
    n = covariance.size
    shares = _shares(np.full(n, 1 / n), covariance)
    factor = np.exp(np.log(shares).mean())
    right = 1 - factor
    best = RiskParitySOCP(covariance).solve("newton").weights.to_numpy()
    x = np.full(n, 1 / n)
    true = 1 - np.sqrt(covariance.variance(best) / covariance.variance(x)) / np.exp(
        np.log(best / x).mean()
    )
    mistakes = (
        (true, "that is the truth, by the optimum; the bound by the contributions is asked for"),
        (
            1 - shares.prod(),
            "the product has the exponents 1/12: a geometric mean, not twelve factors",
        ),
        (1 - shares.min(), "that is the smallest contribution alone; the bound takes all twelve"),
        (factor, "that is what is left of the volatility at least; how much may be lost?"),
        (
            1 - np.exp(-(shares * np.log(shares)).mean()),
            "the logarithms are averaged with the budgets 1/12, not with r",
        ),
        (1 - factor / n, "r_i is divided by its budget 1/12 before the geometric mean is taken"),
        (-np.log(factor), "that is the logarithm; the fraction is 1 − exp of minus it"),
        (abs(shares - 1).max() / n, "that is the residual, the largest deviation"),
        (0.0, "the arithmetic mean of r_i / b_i is always 1; the bound takes the geometric one"),
    )
    hint = "1 − Π (r_i / b_i)^{b_i}, with the relative contributions r"
    require_close(given, right, "the fraction", hint, mistakes=mistakes)
    return f"at most {right:.4g}; the true figure, from the optimum, is {true:.4g}"


def _hedged_three() -> Data:
    return {"covariance": _three([[0.01, 0, -0.02], [0, 0.01, -0.02], [-0.02, -0.02, 0.09]])}


@LESSON.exercise(
    "Fall into it",
    """
    For the given `covariance` find weights, each at least 0.01 and 1 in sum, from which Ipopt ends
    in a trap of (4): `RiskParityQCLP(covariance).solve(start=weights)`. Answer: the weights to
    start from.
    """,
    _hedged_three,
)
def fall(answer: Any, data: Data) -> str:
    covariance: Covariance = data["covariance"]
    start = vector(answer, covariance.labels, "the start's weights")
    require_budget(start)
    if start.min() < 0.01 - 1e-9:
        raise WrongAnswer(f"{start.idxmin()!r} has {start.min():.4g}; at least 0.01 is asked for")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a trap is what the answer says
        found = RiskParityQCLP(covariance).solve(start=start)
    certificate = found.certificate
    assert certificate is not None
    if found.largest_deviation < _PARITY:
        marginal = covariance.marginal_risk(start)["H"]
        raise WrongAnswer(
            f"from there Ipopt comes to risk parity; H's marginal risk at your start is "
            f"{marginal:.2g}; start nearer to the trap, where H is not held, and A and B are alike"
        )
    return (
        f"{certificate.status!r} at {found.weights.round(3).to_dict()}, "
        f"{found.largest_deviation:.3f} from risk parity"
    )


def _with_inverse() -> Data:
    data = datasets.french()
    R = excess_returns(data.returns, data.risk_free).iloc[-120:, :12]
    inverse = -data.factors["Mkt-RF"].tail(120)
    return {"covariance": DenseCovariance(R.assign(Inverse=inverse).cov())}


@LESSON.exercise(
    "And out again",
    """
    `covariance` is that of twelve industries and a fund that earns what the market loses. From
    equal weights Ipopt ends in a trap. Answer: the weights of long-only, fully invested risk
    parity.
    """,
    _with_inverse,
)
def escape(answer: Any, data: Data) -> str:
    covariance: Covariance = data["covariance"]
    weights = vector(answer, covariance.labels)
    require_long_only(weights)
    if weights.any() and abs(weights["Inverse"]) < 1e-6:
        raise WrongAnswer("'Inverse' is not held and contributes nothing, as in the trap: ζ > 0")
    budgets = pd.Series(1 / covariance.size, list(covariance.labels))
    largest = require_contributions(weights, covariance, budgets)
    require_budget(weights, so_far="contributions are equal, but ")
    return f"every contribution within {largest:.1g} of 1/13"


def _five() -> Data:
    data = datasets.french()
    R = excess_returns(data.returns, data.risk_free).tail(120)
    return {"covariance": DenseCovariance(R[["NoDur", "Enrgy", "Utils", "Hlth", "Money"]].cov())}


@LESSON.exercise(
    "The calmest of many parities",
    """
    `covariance` is that of five industries, now with short positions: Σ|x_i| = 1. Of all risk
    parity books that are short in exactly three of them, find the least volatile. Answer: its
    weights.
    """,
    _five,
)
def calmest(answer: Any, data: Data) -> str:
    covariance: Covariance = data["covariance"]
    weights = vector(answer, covariance.labels)
    budgets = pd.Series(1 / covariance.size, list(covariance.labels))
    require_contributions(weights, covariance, budgets, so_far="no risk parity: ")
    if abs(weights.abs().sum() - 1) > _PARITY:
        raise WrongAnswer(
            f"contributions are equal, but Σ|x_i| is {weights.abs().sum():.4g}, not 1: "
            "with short positions gross and net differ"
        )
    short = int((weights < 0).sum())
    if short != 3:
        raise WrongAnswer(f"it is short in {short}, not in 3; x and −x are two books")
    every = parity_orthants(covariance)
    shorts = every.signs.lt(0).sum(axis=1)
    least = every.volatility[(shorts == 3) | (shorts == 2)].min()  # −x of two is short in three
    volatility = float(np.sqrt(covariance.variance(weights)))
    if volatility > (1 + _PARITY) * least:
        raise WrongAnswer(
            f"a parity book, but of volatility {volatility:.4%} a month: there is a calmer one; "
            "lists have x and leave out −x, so look at those that are short in two, too"
        )
    return f"volatility {volatility:.4%} a month, the least of the ten such books"
