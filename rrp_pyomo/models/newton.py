"""Newton's method on the convex log form of risk parity: fast, exact, factored or dense."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.errors import InputError, SolverError, is_number
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.newton_systems import Systems

# Where positions are so much more volatile than all of them together, rounding is most of the risk.
_MOST_HEDGED = 1e5
# Beyond this there is no risk parity, whatever rounding may be.
_MOST_ROUNDING = 1e-6
# The part of the tolerance that is aimed at.
_BEYOND = 3e-3
_EPS = float(np.finfo(float).eps)

NEWTON_OPTIONS = ("max_iter", "tol")


@dataclass(frozen=True, eq=False)
class NewtonResult:
    """Weights and how they were reached.

    Attributes
    ----------
    weights : (n,) array
        x, of the given signs, with Σ|x_i| = 1.
    marginal_risk : (n,) array
        Σx.
    deviation : float
        Largest relative deviation of a risk contribution from its budget.
    iterations : int
    status : str
    """

    weights: FloatArray
    marginal_risk: FloatArray
    deviation: float
    iterations: int
    status: str


def newton(
    covariance: Covariance,
    budgets: FloatArray,
    max_iter: int = 100,
    tol: float = 1e-12,
    signs: FloatArray | None = None,
) -> NewtonResult:
    """The risk parity portfolio of an orthant: that of weights x ≥ 0, or of given signs.

    Its multiple x solves, among the weights of these signs, the strictly convex problem

        minimise  ½ x'Σx − Σ_i b_i log|x_i|,   with gradient  Σx − b/x  and Hessian  Σ + diag(b/x²),

    which is self-concordant, so that Newton steps with a line search converge from anywhere; they
    start at the solution for one factor. With Σ = V'FV + D a step costs O(n m²) by the Woodbury
    identity, and no n × n matrix is formed. Otherwise it is a few products with Σ, by conjugate
    gradients, or a factorisation where there are few assets or where hedges make these slow.

    Parameters
    ----------
    covariance : Covariance
    budgets : (n,) array
        Positive, summing to 1.
    max_iter : int
    tol : float
        Required of the deviation max_i |x_i (Σx)_i / b_i − 1|, or what rounding leaves of it where
        that is more: it grows with √n, and where positions hedge each other. Iterations that cost
        a factorisation, in which there is no more than rounding to gain, go on beyond it.
    signs : (n,) array, optional
        ±1; 1 for all by default.

    Raises
    ------
    InputError
        ``max_iter`` or ``tol`` is no positive number; Σ is not positive semidefinite among the
        directions of the steps.
    SolverError
        No convergence: in ``max_iter`` iterations, or because a portfolio of these signs without
        any risk exists, or nearly so.

    References
    ----------
    Spinu (2013), An algorithm for computing risk parity weights.
    """
    if not (is_number(max_iter, Integral) and max_iter >= 1):
        raise InputError(f"max_iter is {max_iter!r}; expected a whole number of at least 1")
    if not (is_number(tol) and tol > 0):
        raise InputError(f"tol is {tol!r}; expected a positive number")
    with np.errstate(all="ignore"):  # what is not finite ends the steps
        x, Sx, deviation, goal, steps = _steps(covariance, budgets, max_iter, tol, signs)
    if deviation > goal:
        _ = covariance.root  # says so where Σ is no covariance
        orthant = "long-only" if signs is None else "long–short"
        raise SolverError(
            f"Newton's method did not reach risk parity in {steps} iterations (deviation "
            f"{deviation:.3g}, of {goal:.3g}); "
            + (
                "raise max_iter"
                if steps == max_iter
                else f"a {orthant} portfolio with almost no risk seems to exist: check the "
                "covariance"
            )
        )
    size = np.abs(x).sum()
    return NewtonResult(x / size, Sx / size, deviation, steps, "converged")


def _steps(
    covariance: Covariance, b: FloatArray, max_iter: int, tol: float, signs: FloatArray | None
) -> tuple[FloatArray, FloatArray, float, float, int]:
    """The best x and its Σx, its deviation, what was required of it, and the number of steps."""
    sigma, systems = np.sqrt(covariance.variances), Systems(covariance)
    x, Sx = _start(systems, sigma, b, signs)
    best, best_deviation, goal = (x, Sx), np.inf, tol
    steps, exact = 0, True
    while (size := np.abs(x) * sigma).max() < _MOST_HEDGED:
        ratio = x * Sx / b
        deviation = float(max(ratio.max() - 1.0, 1.0 - ratio.min()))
        now = max(tol, _rounding(size, b)) if deviation <= _MOST_ROUNDING else tol
        if not exact and (deviation <= now or best_deviation <= goal):  # Σx is what steps add up to
            (x, Sx), exact = _of_unit_risk(x, systems.times(x)), True
            continue
        if deviation >= best_deviation and best_deviation <= goal:
            break
        if deviation < best_deviation:
            best, best_deviation, goal = (x, Sx), deviation, now
        if steps == max_iter or (deviation <= tol and not systems.direct):
            break
        pull = b / x
        gradient = Sx - pull
        # What the logarithm adds is of the order of the deviation squared; a last step goes beyond
        # the tolerance, as two products more are all that it takes.
        accuracy = max(deviation, _BEYOND * tol / deviation) if deviation else 1.0
        d, Sd = systems.step(pull / x, gradient, accuracy)
        s = _step_length(b, d / x, float(gradient @ d), float(d @ Sd))
        (x, Sx), exact = _of_unit_risk(x + s * d, Sx + s * Sd), False
        steps += 1
    systems.require_semidefinite()
    return *best, best_deviation, goal, steps


def _start(
    systems: Systems, sigma: FloatArray, b: FloatArray, signs: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Risk parity for one factor, the portfolio y of the inverse volatilities, and its Σx.

    There Σ = ββ' + diag(δ) with β = Σy / √(y'Σy), so that with the exposure f = β'x

        x_i (β_i f + δ_i x_i) = b_i,   whose solution gives f by Newton's method in one variable.
    """
    s = 1.0 if signs is None else signs
    y = s * np.sqrt(b) / sigma
    y, Sy = _of_unit_risk(y, systems.times(y))
    beta, variances = s * Sy, sigma**2
    squared = beta**2
    delta = np.maximum(variances - squared, 0.05 * variances)
    own, x, f = delta * b, y, 1.0
    for _ in range(3):
        half = 0.5 * f * beta
        root = np.sqrt(half**2 + own)
        x = np.where(half > 0.0, b / (half + root), (root - half) / delta)
        f -= float((f - beta @ x) / (1.0 + 0.5 * (squared @ (x / root))))
    x = s * x
    x, Sx = _of_unit_risk(x, systems.times(x))
    # Of unit risk, the better one has the larger logarithms; what is not finite is no better.
    return (x, Sx) if b @ np.log(x / y) > 0.0 else (y, Sy)


def _of_unit_risk(x: FloatArray, Sx: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The multiple of x with x'Σx = 1, and its Σx; not finite where x has no risk."""
    scale = 1.0 / np.sqrt((x * Sx).sum())  # by pairs, to fewer digits of rounding than x @ Sx
    return x * scale, Sx * scale


def newton_of_many(
    covariance: Covariance,
    budgets: FloatArray,
    signs: FloatArray,
    max_iter: int = 100,
    tol: float = 1e-12,
) -> FloatArray:
    """:func:`newton` for many orthants at once: a row of ``signs`` each, (k, n).

    A step r = d/x by which Newton's method changes x is shortened to r / (1 + max|r_i|). So it
    stays in the orthant and lowers the objective by half of what its slope promises, or more,
    because s r_i − log(1 + s r_i) ≤ s² r_i² / 2(1 − s max|r_i|). All rows need n × n systems, so
    that n should be small.

    Returns
    -------
    (k, n) array
        Weights with Σ|x_i| = 1; NaN in rows that did not converge, where a portfolio of these
        signs has no risk, or almost none.
    """
    Sigma = multiplied_out(covariance.operator)
    sigma = np.sqrt(covariance.variances)
    x = signs * np.sqrt(budgets) / sigma
    best, deviation = np.full_like(x, np.nan), np.full(len(x), np.inf)
    rows = np.arange(len(x))
    with np.errstate(all="ignore"):
        x /= np.sqrt((x * (x @ Sigma)).sum(axis=1, keepdims=True))
        for _ in range(max_iter):
            contribution = x * (x @ Sigma)
            now = np.abs(contribution / budgets - 1.0).max(axis=1)
            better = now < deviation[rows]
            deviation[rows[better]], best[rows[better]] = now[better], x[better]
            enough = now <= np.maximum(tol, _rounding(np.abs(x) * sigma, budgets))
            going = (better | ~enough) & (np.abs(x) * sigma < _MOST_HEDGED).all(axis=1)
            x, rows, contribution = x[going], rows[going], contribution[going]
            if not rows.size:
                break
            # In r = step / x, whose system is no worse conditioned than the budgets.
            hessian = x[:, :, None] * Sigma * x[:, None, :] + np.diag(budgets)
            r = np.linalg.solve(hessian, (budgets - contribution)[:, :, None])[:, :, 0]
            x = x * (1.0 + r / (1.0 + np.abs(r).max(axis=1, keepdims=True)))
    best[deviation > np.maximum(tol, _rounding(np.abs(best) * sigma, budgets))] = np.nan
    best /= np.abs(best).sum(axis=1, keepdims=True)
    return best


def _rounding(size: FloatArray, budgets: FloatArray) -> Any:
    """What rounding makes of |x_i (Σx)_i / b_i − 1|, where sizes σ_i|x_i| are (n,) or (k, n).

    With x'Σx = 1. The terms of (Σx)_i sum to σ_i Σ_j σ_j|x_j| at most, and the errors of n
    additions to √n of one. No more than 1e-6: beyond that it is no risk parity.

    References
    ----------
    Higham & Mary (2019), A new approach to probabilistic rounding error analysis.
    """
    unit = _EPS * np.sqrt(size.shape[-1])
    made = unit * (size / budgets).max(axis=-1) * size.sum(axis=-1)
    return np.minimum(made, _MOST_ROUNDING)


def _step_length(b: FloatArray, r: FloatArray, slope: float, curvature: float) -> float:
    """The length s of the step x + s d, r = d/x; a full step is taken where it changes x by little.

    Otherwise the minimum along the line, a convex function of s, by Newton's method again:

        φ'(s) = g'd + s d'Σd + Σ_i b_i r_i (1 − 1/(1 + s r_i)).
    """
    furthest = float(-r.min())
    if furthest < 0.1 and r.max() < 0.1:
        return 1.0
    s = min(1.0, 0.9 / furthest) if furthest > 0 else 1.0
    for _ in range(4):
        shrunk = r / (1.0 + s * r)
        gradient = slope + s * curvature + float(b @ (r - shrunk))
        step = -gradient / (curvature + float(b @ shrunk**2))
        # Stay inside the domain 1 + s r > 0, nine tenths of the way to its edge at the most.
        edge = 1.0 / furthest if furthest > 0 else np.inf
        s = max(0.1 * s, min(s + step, s + 0.9 * (edge - s)))
    return s
