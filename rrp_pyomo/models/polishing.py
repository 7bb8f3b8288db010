"""The last digits of an answer, by Newton's method on what its active constraints leave free.

An interior-point solver stops where the objective cannot be told from the best one, and a flat
optimum leaves the weights off by the root of that. The gradient at the worst case is known exactly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rrp_pyomo.data import ResolvedWeightSet
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.models.weights import active, totals

# Beyond so many assets off their bounds a step costs more than its digits are worth.
_MOST = 100
_STEPS = 3
# After a step this small, relative to the largest weight, the next one is rounding.
_SMALL_STEP = 1e-8
# Weights this close to a bound, or to what was held before, relative to the largest are there.
_NEAR = 1e-5


def polished(
    gradient: Callable[[FloatArray], FloatArray],
    changes: Callable[[FloatArray, FloatArray], FloatArray],
    X: ResolvedWeightSet,
    trading: Trading,
    x: FloatArray,
) -> FloatArray | None:
    """The point near x where the gradient is a sum of multipliers; None where there is none near.

    Parameters
    ----------
    gradient : callable
        Of the loss without costs, at weights.
    changes : callable
        How it changes at weights, along the columns of a matrix.
    """
    if trading.turnover is not None or trading.largest:
        return None
    size = float(np.abs(x).max())
    bounds, rows = active(X, x, _NEAR)
    point = np.where(bounds < 0, X.lower, np.where(bounds > 0, X.upper, x))
    kept = trading.costs > 0
    still = kept & (np.abs(x - trading.previous) <= _NEAR * size)
    point[still] = trading.previous[still]
    free = np.flatnonzero((bounds == 0) & ~still)
    if not 0 < free.size <= _MOST:
        return None
    A, b = _equations(X, rows)
    k, A_free = free.size, A[:, free]
    charge = np.where(kept, trading.costs * np.sign(x - trading.previous), 0.0)[free]
    system = np.zeros((k + len(A), k + len(A)))
    system[:k, k:], system[k:, :k] = A_free.T, A_free
    directions = np.zeros((point.size, k))
    directions[free, np.arange(k)] = 1.0
    system[:k, :k] = changes(point, directions)[free]
    try:
        inverse = np.linalg.inv(system)
    except np.linalg.LinAlgError:
        return None
    for _ in range(_STEPS):
        # With the multipliers as they are after the step, the rows hold exactly.
        residual = np.concatenate([-(gradient(point)[free] + charge), b - A @ point])
        step = (inverse @ residual)[:k]
        if not np.abs(step).max() <= 0.1 * size:
            return None
        point[free] += step
        if np.abs(step).max() <= _SMALL_STEP * size:
            break
    return point


def _equations(X: ResolvedWeightSet, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The rows A x = b of X that hold with equality."""
    n = len(X.labels)
    A = [row for _, row, _ in totals(X)]
    b = [total for _, _, total in totals(X)]
    if X.matrix is not None:
        for k in np.flatnonzero(rows):
            A.append(X.matrix[[k]].toarray().ravel())
            b.append(X.row_upper[k] if rows[k] > 0 else X.row_lower[k])
    return np.array(A).reshape(len(A), n), np.array(b)
