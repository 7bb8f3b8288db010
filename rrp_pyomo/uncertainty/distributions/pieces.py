"""What attains the worst expectation of a piecewise linear loss max_k (a_k L + b_k), L = −w'R.

Nature chooses a distribution and, where a loss is at a kink, how its mass is shared by the pieces
that meet there: :func:`worst_of_pieces` is one such choice, :func:`state_pieces` states them all.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import bisect

from rrp_pyomo.data.validation import index_of
from rrp_pyomo.errors import ModelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty.distribution_set import DistributionSet
from rrp_pyomo.uncertainty.distributions.distribution import Distribution
from rrp_pyomo.uncertainty.distributions.moments import Moments
from rrp_pyomo.uncertainty.distributions.scenario_sets import Scenarios, ScenarioSet
from rrp_pyomo.uncertainty.distributions.wasserstein import Wasserstein

# The part of a scenario's probability that is moved far where none is in the steepest piece yet.
_SLIVER = 1e-6


class Pieces(NamedTuple):
    """The expected loss at choices of nature: Σ_k a_k E[L; k] + Σ_k b_k P(k).

    Attributes
    ----------
    gradient : Affine
        Of Σ_k a_k E[L; k] in the weights, which it is linear in: n rows.
    masses : list
        P(k), the probability of each piece: scalar expressions or numbers.
    """

    gradient: Any
    masses: list[Any]


@singledispatch
def worst_of_pieces(
    given: DistributionSet, w: FloatArray, slopes: FloatArray, intercepts: FloatArray
) -> Distribution:
    """The distribution that attains sup E[max_k (a_k L + b_k)], or one that comes close to it.

    Raises
    ------
    ModelError
        A set for which it is not known.
    """
    raise ModelError(
        f"what attains the worst expectation of pieces under {given!r} is not known; use Moments, "
        "a Wasserstein ball or a set of probabilities of scenarios"
    )


@singledispatch
def state_pieces(
    given: DistributionSet,
    program: Program,
    w: FloatArray,
    slopes: FloatArray,
    intercepts: FloatArray,
) -> Pieces | None:
    """State nature's choices on a program; None where only the worst one is known."""
    return None


# --- probabilities of scenarios -----------------------------------------------------------------


@worst_of_pieces.register
def _(
    given: ScenarioSet, w: FloatArray, slopes: FloatArray, intercepts: FloatArray
) -> Distribution:
    losses = (np.outer(-(given.center.R @ w), slopes) + intercepts).max(axis=1)
    return Distribution(given.center.scenarios, given._worst_probabilities(losses))


@state_pieces.register
def _(
    given: ScenarioSet,
    program: Program,
    w: FloatArray,
    slopes: FloatArray,
    intercepts: FloatArray,
) -> Pieces | None:
    return _shared(given, program, slopes)


def _shared(given: ScenarioSet, program: Program, slopes: FloatArray) -> Pieces:
    """p ∈ P, each p_i shared by the pieces."""
    p, N, R = given.state_member(program), len(given.center.p), given.center.R
    parts = [program.variable(f"piece_{k}", N, lower=0.0, unit=1.0 / N) for k in range(slopes.size)]
    program.subject_to(pieces=sum(parts[1:], parts[0]) == p)
    weighted = [a * part for a, part in zip(slopes, parts, strict=True)]
    gradient = -(R.T @ sum(weighted[1:], weighted[0]))
    return Pieces(gradient, [part.sum() for part in parts])


# --- moments ------------------------------------------------------------------------------------


@worst_of_pieces.register
def _(given: Moments, w: FloatArray, slopes: FloatArray, intercepts: FloatArray) -> Distribution:
    extreme = given._extreme(w, 0.5, 0.0)
    _, upper = _scarf(w, slopes, intercepts, extreme.mean, extreme.root)
    worst = extreme.two_points(w, upper if upper > 0.0 else 1.0)
    return _labelled(given, worst.R, worst.p)


@state_pieces.register
def _(
    given: Moments, program: Program, w: FloatArray, slopes: FloatArray, intercepts: FloatArray
) -> Pieces | None:
    """The means that may be worst, at the shares of the pieces and the covariance that are."""
    extreme = given._extreme(w, 0.5, 0.0)
    turn, upper = _scarf(w, slopes, intercepts, extreme.mean, extreme.root)
    flat, steep = float(slopes.min()), float(slopes.max())
    masses = [upper if a == steep else 1.0 - upper for a in slopes] if steep > flat else [1.0]
    slope = flat + upper * (steep - flat)
    loss = given._state_loss(program, extreme.mean)
    return Pieces(slope * loss + 0.5 * (steep - flat) * turn, masses)


def _scarf(
    w: FloatArray, slopes: FloatArray, intercepts: FloatArray, mean: FloatArray, root: FloatArray
) -> tuple[FloatArray, float]:
    """∂√(gap² + w'Σw)/∂w at a fixed gap of the mean loss to the kink, and the steep piece's share.

    The loss is on kink ± √(gap² + w'Σw) with shares (1 ± gap/√(…))/2 (Scarf 1958).
    """
    exposure = root @ w
    if slopes.min() == slopes.max():
        return np.zeros(w.size), 0.5
    first, last = int(slopes.argmin()), int(slopes.argmax())
    kink = (intercepts[first] - intercepts[last]) / (slopes[last] - slopes[first])
    gap = -float(mean @ w) - kink
    size = float(np.hypot(gap, np.linalg.norm(exposure)))
    if size == 0.0:
        return np.zeros(w.size), 0.5
    return root.T @ exposure / size, 0.5 * (1.0 + gap / size)


# --- Wasserstein balls --------------------------------------------------------------------------


@worst_of_pieces.register
def _(
    given: Wasserstein, w: FloatArray, slopes: FloatArray, intercepts: FloatArray
) -> Distribution:
    center, epsilon = given.center, given.radius
    if given._supported is not None and epsilon > 0.0:
        program = Program("adversary")
        plan = given._supported.state(program, epsilon, given._ground, slopes)
        shares = zip(plan.masses, intercepts, strict=True)
        loss = sum((float(b) * mass.sum() for mass, b in shares), plan.gradient @ w)
        program.maximize(loss * (1.0 / given._supported._size(w, slopes)))
        found = solve_program(program).arrays
        return given._supported._read(plan, found, epsilon, given._ground)
    L, charge = -(center.R @ w), float(given._ground.dual(w))
    if epsilon == 0.0 or charge == 0.0:
        return center
    if given.order == 1:
        return _far(given, w, L, slopes, intercepts)
    if np.isinf(given.order):
        return _labelled(given, center.R + epsilon * given._ground.against(w), center.p)
    return _by_price(given, w, L, charge, slopes, intercepts)


def _far(
    given: Wasserstein, w: FloatArray, L: FloatArray, slopes: FloatArray, intercepts: FloatArray
) -> Distribution:
    """The scenario of the largest loss moves by ε over its mass, a sliver of it before the kink."""
    center, i = given.center, int(L.argmax())
    steepest = int(np.argmax(np.where(slopes == slopes.max(), intercepts, -np.inf)))
    there = (slopes * L[i] + intercepts).argmax() == steepest
    mass = center.p[i] * (1.0 if there else _SLIVER)
    moved = center.R[i] + (given.radius / mass) * given._ground.against(w)
    p = np.append(center.p, mass)
    p[i] -= mass
    return _labelled(given, np.vstack([center.R, moved]), p)


def _by_price(
    given: Wasserstein,
    w: FloatArray,
    L: FloatArray,
    charge: float,
    slopes: FloatArray,
    intercepts: FloatArray,
) -> Distribution:
    """Order 2: what is in piece k moves by a_k s, for the s at which E[a_k² s²] = ε²."""
    center, epsilon, steep = given.center, given.radius, slopes.max()

    def masses(s: float) -> FloatArray:
        best = (np.outer(L, slopes) + intercepts + 0.5 * charge * s * slopes**2).argmax(axis=1)
        return np.asarray(center.p * (best == np.arange(slopes.size)[:, None]))

    def spent(s: float) -> float:
        return float(masses(s).sum(axis=1) @ slopes**2) * s**2

    low, high = 0.5 * epsilon / steep, 2.0 * epsilon / min(slopes[slopes > 0.0].min(), steep)
    while spent(high) < epsilon**2:
        high *= 2.0
    s = bisect(lambda s: spent(s) - epsilon**2, low, high, xtol=1e-15 * high, rtol=1e-14)
    before, after = masses(s * (1.0 - 1e-9)), masses(s * (1.0 + 1e-9))
    # At this s some mass may be in two pieces: as much in the steeper one as uses up the budget.
    cost = [float(m.sum(axis=1) @ slopes**2) * s**2 for m in (before, after)]
    share = 1.0 if cost[1] <= cost[0] else (epsilon**2 - cost[0]) / (cost[1] - cost[0])
    mixed = before + np.clip(share, 0.0, 1.0) * (after - before)
    moved = [center.R + a * s * given._ground.against(w) for a in slopes]
    return _labelled(given, np.vstack(moved), mixed.ravel())


def _labelled(given: DistributionSet, R: FloatArray, p: FloatArray) -> Distribution:
    held = p > 0.0
    table = pd.DataFrame(R[held], columns=index_of(given.labels))
    return Distribution(table, p[held] / p.sum())


@state_pieces.register
def _(
    given: Wasserstein,
    program: Program,
    w: FloatArray,
    slopes: FloatArray,
    intercepts: FloatArray,
) -> Pieces | None:
    if given.radius == 0.0:
        return _shared(given.nominal, program, slopes)
    if given._supported is not None:
        plan = given._supported.state(program, given.radius, given._ground, slopes)
        return Pieces(plan.gradient, [mass.sum() for mass in plan.masses])
    if np.isinf(given.order):
        moved = given.center.R + given.radius * given._ground.against(w)
        return _shared(Scenarios(moved, given.center.p), program, slopes)
    if given.order == 2:
        return None
    gradient, shares = _shared(given.nominal, program, slopes)
    z = program.variable("displacement", w.size)
    given._ground.state_within(program, z, 1.0)
    return Pieces(gradient + given.radius * float(slopes.max()) * z, shares)
