"""Tail risk against the worst of a Wasserstein ball: times beside cvxpy's solver on the same data.

python benchmarks/tail_risk.py [--quick]
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import cvxpy as cp
import numpy as np
from _figures import Figure, run

from rrp_pyomo import MeanCVaR
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.uncertainty import Wasserstein

SCENARIOS, ASSETS, RADIUS, ALPHA = 1000, 100, 0.01, 0.05


def returns(seed: int) -> FloatArray:
    """Five factors and residuals with tails, per day."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((SCENARIOS, 5)) @ rng.standard_normal((5, ASSETS))
    own = rng.standard_t(5, size=(SCENARIOS, ASSETS))
    return np.asarray(0.0005 + 0.01 * (0.5 * common + own))


def by_cvxpy(R: FloatArray) -> tuple[float, float]:
    """The solver's own time, and the value."""
    w, tau = cp.Variable(ASSETS, nonneg=True), cp.Variable()
    excess = cp.Variable(SCENARIOS, nonneg=True)
    tail = tau + cp.sum(excess) / (ALPHA * SCENARIOS)
    rows = [excess >= -R @ w - tau, cp.sum(w) == 1]
    problem = cp.Problem(cp.Minimize(tail + RADIUS / ALPHA * cp.norm(w)), rows)
    value = problem.solve(solver=cp.CLARABEL)
    return problem.solver_stats.solve_time, value


def figures(quick: bool) -> Iterator[Figure]:
    ours, theirs, proofs, gaps = [], [], [], []
    for seed in range(2 if quick else 5):
        R = returns(seed)
        began = time.perf_counter()
        portfolio = MeanCVaR(Wasserstein(R, RADIUS), ALPHA).solve()
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        gap = portfolio.certificate.relative_gap
        proofs.append(time.perf_counter() - began)
        seconds, value = by_cvxpy(R)
        theirs.append(seconds)
        gaps.append(max(gap, abs(portfolio.worst_value / value - 1.0)))
    least = min(theirs)
    name = f"Wasserstein CVaR, {SCENARIOS} scenarios × {ASSETS} assets"
    yield Figure(f"{name}, whole", min(ours), 1.2 * least, "s")
    yield Figure("  cvxpy's solver time", least, least, "s")
    yield Figure("  the certificate", min(proofs), 0.5 * least, "s")
    yield Figure("  its gap, or another value than cvxpy's, relative", max(gaps), 1e-6, "")


if __name__ == "__main__":
    run(__doc__ or "", figures)
