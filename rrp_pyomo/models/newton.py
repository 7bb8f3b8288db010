"""Newton's method on the convex log form of risk parity: fast, exact, factored or dense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from rrp_pyomo.data import Covariance, FactorCovariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.errors import InputError, SolverError, is_number
from rrp_pyomo.linalg import FloatArray, LinearMap

# Where positions are so much more volatile than all of them together, rounding is most of the risk.
_MOST_HEDGED = 1e5

NEWTON_OPTIONS = ("max_iter", "tol")


@dataclass(frozen=True, eq=False)
class NewtonResult:
    """Weights and how they were reached.

    Attributes
    ----------
    weights : (n,) array
        Of the given signs, with Σ|x_i| = 1.
    deviation : float
        Largest relative deviation of a risk contribution from its budget.
    iterations : int
    status : str
    """

    weights: FloatArray
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

    which is self-concordant, so that Newton steps with a line search converge from anywhere. With
    Σ = V'FV + D a step costs O(n m²) by the Woodbury identity, and no n × n matrix is formed.

    Parameters
    ----------
    covariance : Covariance
    budgets : (n,) array
        Positive, summing to 1.
    max_iter : int
    tol : float
        Required of the deviation max_i |x_i (Σx)_i / b_i − 1|; iterations go on beyond it as long
        as they improve, down to rounding, which is more where positions hedge each other.
    signs : (n,) array, optional
        ±1; 1 for all by default.

    Raises
    ------
    InputError
        ``max_iter`` or ``tol`` is no positive number.
    SolverError
        No convergence: a portfolio of these signs without any risk exists, or nearly so.

    References
    ----------
    Spinu (2013), An algorithm for computing risk parity weights.
    """
    if not (is_number(max_iter, Integral) and max_iter >= 1):
        raise InputError(f"max_iter is {max_iter!r}; expected a whole number of at least 1")
    if not (is_number(tol) and tol > 0):
        raise InputError(f"tol is {tol!r}; expected a positive number")
    sigma = np.sqrt(covariance.variances)
    solve = shifted_inverse(covariance)
    x = np.sqrt(budgets) / sigma * (1.0 if signs is None else signs)
    with np.errstate(divide="ignore"):
        x *= np.sqrt(budgets.sum() / (x @ (covariance.operator @ x)))
    best, best_deviation = x, np.inf
    steps = 0
    while steps < max_iter and (np.abs(x) * sigma < _MOST_HEDGED).all():
        contribution = x * (covariance.operator @ x)
        deviation = float(np.abs(contribution / budgets - 1.0).max())
        if deviation >= best_deviation and best_deviation <= max(
            tol, _rounding(best, sigma, budgets)
        ):
            break
        if deviation < best_deviation:
            best, best_deviation = x, deviation
        gradient = (contribution - budgets) / x
        direction = -solve(budgets / x**2, gradient)
        x = x + _step_length(covariance, budgets, x, gradient, direction) * direction
        steps += 1
    if best_deviation > max(tol, _rounding(best, sigma, budgets)):
        raise SolverError(
            f"Newton's method did not reach risk parity in {steps} iterations (deviation "
            f"{best_deviation:.3g}); a {'long-only' if signs is None else 'long–short'} portfolio "
            "with almost no risk seems to exist: check the covariance"
        )
    return NewtonResult(best / np.abs(best).sum(), best_deviation, steps, "converged")


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
            enough = now <= np.maximum(tol, _rounding(x, sigma, budgets))
            going = (better | ~enough) & (np.abs(x) * sigma < _MOST_HEDGED).all(axis=1)
            x, rows, contribution = x[going], rows[going], contribution[going]
            if not rows.size:
                break
            # In r = step / x, whose system is no worse conditioned than the budgets.
            hessian = x[:, :, None] * Sigma * x[:, None, :] + np.diag(budgets)
            r = np.linalg.solve(hessian, (budgets - contribution)[:, :, None])[:, :, 0]
            x = x * (1.0 + r / (1.0 + np.abs(r).max(axis=1, keepdims=True)))
    best[deviation > np.maximum(tol, _rounding(best, sigma, budgets))] = np.nan
    best /= np.abs(best).sum(axis=1, keepdims=True)
    return best


def _rounding(x: FloatArray, sigma: FloatArray, budgets: FloatArray) -> Any:
    """What rounding makes of |x_i (Σx)_i / b_i − 1| for x of unit volatility, (n,) or (k, n).

    No more than 1e-6: beyond that it is no risk parity.
    """
    size = np.abs(x) * sigma
    made = np.finfo(float).eps * (size / budgets).max(axis=-1) * size.sum(axis=-1)
    return np.minimum(made, 1e-6)


def _step_length(
    covariance: Covariance, b: FloatArray, x: FloatArray, g: FloatArray, d: FloatArray
) -> float:
    """The length s of the step x + s d; a full step is taken where it changes x by little.

    Otherwise the minimum along the line, a convex function of s, by Newton's method again:

        φ'(s) = g'd + s d'Σd + Σ_i b_i r_i (1 − 1/(1 + s r_i)),   r = d/x.
    """
    r = d / x
    furthest = -r.min()
    if furthest < 0.1 and r.max() < 0.1:
        return 1.0
    slope, curvature = g @ d, d @ (covariance.operator @ d)
    s = min(1.0, 0.9 / furthest) if furthest > 0 else 1.0
    for _ in range(4):
        shrunk = r / (1.0 + s * r)
        gradient = slope + s * curvature + b @ (r - shrunk)
        step = -gradient / (curvature + b @ shrunk**2)
        # Stay inside the domain 1 + s r > 0, nine tenths of the way to its edge at the most.
        edge = 1.0 / furthest if furthest > 0 else np.inf
        s = max(0.1 * s, min(s + step, s + 0.9 * (edge - s)))
    return float(s)


def shifted_inverse(
    covariance: Covariance, kept: NDArray[np.bool_] | None = None
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """(Σ + diag(e))⁻¹ g for a vector or the columns of g, over all assets or those that are kept.

    By Cholesky, or with factors U'U = V'FV and E = D + diag(e) by

        (U'U + E)⁻¹ g = E⁻¹g − E⁻¹U'(I + U E⁻¹ U')⁻¹ U E⁻¹ g.
    """
    at = slice(None) if kept is None else np.flatnonzero(kept)
    if not isinstance(covariance, FactorCovariance):
        matrix = np.asarray(covariance.operator)[at][:, at]

        def dense(e: FloatArray, g: FloatArray) -> FloatArray:
            hessian = matrix.copy()
            hessian.flat[:: matrix.shape[0] + 1] += e
            factor = scipy.linalg.cho_factor(hessian, overwrite_a=True, check_finite=False)
            solution: FloatArray = scipy.linalg.cho_solve(factor, g, check_finite=False)
            return solution

        return dense
    systematic = covariance.root.parts[0]
    assert isinstance(systematic, LinearMap)
    U = (systematic.factors[0].left @ systematic.factors[0].right)[:, at]
    D, identity = covariance.D[at], np.eye(U.shape[0])

    def factored(e: FloatArray, g: FloatArray) -> FloatArray:
        E = D + e
        scaled = U / E
        small = np.linalg.solve(identity + scaled @ U.T, scaled @ g)
        solution: FloatArray = ((g - U.T @ small).T / E).T
        return solution

    return factored
