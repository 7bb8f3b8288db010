"""The Wasserstein distance of two discrete distributions, by linear programs."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from rrp_pyomo.errors import SolverError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.uncertainty.distributions.distribution import Distribution
from rrp_pyomo.uncertainty.distributions.ground_norm import GroundNorm


def distance(p: Distribution, q: Distribution, ground: GroundNorm, order: float) -> float:
    """W_order(P, Q) = min (Σ π_ij ‖ξ_i − ζ_j‖^order)^{1/order} over plans π; for ∞ the largest."""
    lengths = np.stack([ground.length(q.R - row) for row in p.R])
    if not np.isinf(order):
        least = _least_cost(p.p, q.p, lengths**order)
        return float(max(least, 0.0) ** (1.0 / order))
    # The least length by which a plan can do: one that has next to no mass beyond it.
    levels = np.unique(lengths)
    low, high = -1, levels.size - 1
    while high - low > 1:
        k = (low + high) // 2
        if _least_cost(p.p, q.p, (lengths > levels[k] * (1.0 + 1e-12)).astype(float)) <= 1e-12:
            high = k
        else:
            low = k
    return float(levels[high])


def _least_cost(p: FloatArray, q: FloatArray, cost: FloatArray) -> float:
    """min Σ π_ij cost_ij over plans π ≥ 0 with the marginals p and q."""
    N, M = cost.shape
    scale = float(cost[np.isfinite(cost)].max(initial=0.0)) or 1.0
    rows = sp.vstack(
        [sp.kron(sp.identity(N), np.ones((1, M))), sp.kron(np.ones((1, N)), sp.identity(M))]
    )
    found = linprog(
        np.where(np.isfinite(cost), cost / scale, 0.0).ravel(),
        A_eq=rows.tocsr()[:-1],  # the last one follows from the others
        b_eq=np.concatenate([p, q])[:-1],
        bounds=np.column_stack([np.zeros(N * M), np.where(np.isfinite(cost), np.inf, 0.0).ravel()]),
        method="highs",
    )
    if found.status == 2:
        return np.inf
    if found.status != 0:
        raise SolverError(
            f"the distance of two distributions was not found: {found.message}; try fewer scenarios"
        )
    return float(found.fun) * scale
