"""Which other problems have the same weights as a robust mean-variance problem, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.uncertainty.covariances.forms import FrobeniusBall, QuadraticSet, SamplingError
from rrp_pyomo.uncertainty.covariances.point import CovariancePoint
from rrp_pyomo.uncertainty.joint_set import JointSet
from rrp_pyomo.uncertainty.means.ellipsoid import Ellipsoid
from rrp_pyomo.uncertainty.means.norms import Ball, Box
from rrp_pyomo.uncertainty.means.point import Point
from rrp_pyomo.uncertainty.worst_case import WorstCase

# A shape that differs from a multiple of the covariance by less is one.
_PROPORTIONAL = 1e-12


class Equivalent(NamedTuple):
    """A problem of the same weights.

    Attributes
    ----------
    name : str
        What it is called.
    problem : MeanVariance
    because : str
        Why, with the source.
    """

    name: str
    problem: Any
    because: str


def equivalents(problem: Any) -> Iterator[Equivalent]:
    """The problems that a problem is a case of, whatever its weight set."""
    yield from _penalties_as_sets(problem)
    yield from _sets_as_penalties(problem)
    yield from _sets_of_known_form(problem)
    yield from _sets_of_long_weights(problem)


def equivalents_at(problem: Any, x: FloatArray, elements: WorstCase) -> Iterator[Equivalent]:
    """Those that hold at the answer: their numbers depend on it."""
    if elements.covariance is not None and not isinstance(problem.covariance_set, JointSet):
        aversion = _larger_risk_aversion(problem, x)
        if aversion is not None:
            yield Equivalent(
                "larger risk aversion",
                problem._varied(mean_set=_center(problem), risk_aversion=aversion),
                "Ω = cΣ: λ + κ√c/σ(w*) in place of the set, σ(w*) the answer's volatility "
                "(Zhu, Coleman & Li 2009)",
            )
    yield Equivalent(
        "Markowitz at the worst case",
        problem._varied(
            mean_set=None if elements.mean is None else Point(elements.mean),
            covariance_set=CovariancePoint(_known(elements.covariance)),
        ),
        "the saddle point: the answer is best for the mean and covariance that are worst for it "
        "(Halldórsson & Tütüncü 2003)",
    )


def _penalties_as_sets(problem: Any) -> Iterator[Equivalent]:
    """A penalty is the worst case over a set around what is known."""
    mean, trading = problem.mean_set, problem.trading
    is_lasso = trading.costs.any() and not trading.previous.any() and isinstance(mean, Point)
    is_ridge = problem.l2_squared > 0 and isinstance(problem.covariance_set, CovariancePoint)
    if is_ridge and problem.risk_aversion:
        radius = 2.0 * problem.l2_squared / problem.risk_aversion
        ball = FrobeniusBall(problem.covariance_set.center, radius)
        yield Equivalent(
            "ridge as a ball of covariances",
            problem._varied(covariance_set=ball, l2_squared=0.0),
            f"γ‖w‖² is the worst case over a Frobenius ball of radius 2γ/λ = {radius:.6g}",
        )
    if is_lasso and mean is not None:
        box = Box(mean.center, trading.costs)
        yield Equivalent(
            "lasso as a box of means",
            problem._varied(mean_set=box, trading=_without_costs(trading)),
            "Σ c_i|w_i| is the worst case over |μ_i − μ̂_i| ≤ c_i (Xu, Caramanis & Mannor 2010)",
        )
    if is_lasso and is_ridge and problem.risk_aversion and mean is not None:
        yield Equivalent(
            "elastic net as box and ball",
            problem._varied(
                mean_set=Box(mean.center, trading.costs),
                covariance_set=ball,
                l2_squared=0.0,
                trading=_without_costs(trading),
            ),
            "the penalties of Zou & Hastie (2005): a box of means and a ball of covariances",
        )
    if problem.l2 > 0 and isinstance(mean, Point):
        yield Equivalent(
            "unsquared norm as a ball of means",
            problem._varied(mean_set=Ball(mean.center, problem.l2), l2=0.0),
            "δ‖w‖₂ is the worst case over ‖μ − μ̂‖₂ ≤ δ",
        )
    if trading.largest > 0 and isinstance(mean, Point):
        yield Equivalent(
            "largest weight as a ball of means",
            problem._varied(
                mean_set=Ball(mean.center, trading.largest, 1),
                trading=replace(trading, largest=0.0),
            ),
            "δ‖w‖_∞ is the worst case over ‖μ − μ̂‖₁ ≤ δ",
        )


def _sets_as_penalties(problem: Any) -> Iterator[Equivalent]:
    mean, covariance, trading = problem.mean_set, problem.covariance_set, problem.trading
    if isinstance(covariance, FrobeniusBall) and problem.risk_aversion:
        gamma = problem.risk_aversion * covariance.radius / 2.0
        yield Equivalent(
            "ridge",
            problem._varied(
                covariance_set=CovariancePoint(covariance.center),
                l2_squared=problem.l2_squared + gamma,
            ),
            f"the ball's worst case is a penalty γ‖w‖² with γ = λδ/2 = {gamma:.6g}",
        )
    known = isinstance(mean, Box | Ball) and not mean.is_point
    if isinstance(mean, Box) and known and not trading.costs.any() and trading.turnover is None:
        costs = replace(trading, costs=mean._half_width, previous=np.zeros(mean.size))
        yield Equivalent(
            "lasso",
            problem._varied(mean_set=_center(problem), trading=costs),
            "the box's worst case is the penalty Σ δ_i|w_i|",
        )
    if known and isinstance(mean, Ball) and mean.norm == 2.0 and problem.l2 == 0.0:
        yield Equivalent(
            "unsquared norm",
            problem._varied(mean_set=_center(problem), l2=mean.radius),
            "the ball's worst case is the penalty δ‖w‖₂, not its square",
        )


def _sets_of_known_form(problem: Any) -> Iterator[Equivalent]:
    covariance = problem.covariance_set
    if isinstance(covariance, SamplingError):
        grown = problem.risk_aversion * (1.0 + covariance.relative_error)
        yield Equivalent(
            "larger risk aversion",
            problem._varied(covariance_set=CovariancePoint(covariance.center), risk_aversion=grown),
            "sampling errors of normal returns raise every variance by the same part",
        )
    elif isinstance(covariance, QuadraticSet):
        yield Equivalent(
            "Markowitz with another covariance",
            problem._varied(covariance_set=CovariancePoint(covariance.form)),
            "the largest variance over the set is w'Mw for all weights",
        )


def _sets_of_long_weights(problem: Any) -> Iterator[Equivalent]:
    mean, X = problem.mean_set, problem.weight_set
    if not (isinstance(mean, Box) and X.long_only):
        return
    lower = Point(mean.center - mean.half_width)
    yield Equivalent(
        "Markowitz at the lower means",
        problem._varied(mean_set=lower),
        "long weights are worst off at μ̂ − δ, whatever they are (Tütüncü & Koenig 2004)",
    )
    if X.fully_invested and np.ptp(mean._half_width) == 0.0:
        yield Equivalent(
            "the nominal problem",
            problem._varied(mean_set=_center(problem)),
            "a uniform box takes δ from every fully invested long portfolio: it has no effect",
        )


def _larger_risk_aversion(problem: Any, x: FloatArray) -> float | None:
    """λ + κ√c/σ(x) where the shape of an ellipsoid of means is c times the covariance."""
    mean, covariance = problem.mean_set, problem.covariance_set
    if not (isinstance(mean, Ellipsoid) and isinstance(covariance, CovariancePoint)):
        return None
    sigma = float(np.sqrt(x @ (covariance.center.operator @ x)))
    if mean.zero_net or sigma == 0.0:
        return None
    shape = mean.root if isinstance(mean.root, np.ndarray) else mean.root.toarray()
    Omega, Sigma = shape.T @ shape, multiplied_out(covariance.center.operator)
    c = float(np.vdot(Omega, Sigma) / np.vdot(Sigma, Sigma))
    if np.abs(Omega - c * Sigma).max() > _PROPORTIONAL * max(1e-300, c) * np.abs(Sigma).max():
        return None
    return float(problem.risk_aversion + mean.radius * np.sqrt(c) / sigma)


def _center(problem: Any) -> Point | None:
    return None if problem.mean_set is None else Point(problem.mean_set.center)


def _known(covariance: Covariance | None) -> Covariance:
    assert covariance is not None, "a worst case has a covariance"
    return covariance


def _without_costs(trading: Trading) -> Trading:
    return replace(trading, costs=np.zeros_like(trading.costs))
