"""Robust mean-variance: from data to certified weights, beside cvxpy and hand-written conic data.

One core; the set is an ellipsoid of means of the shape of a factor covariance. Ratios are of
medians in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import _figures
import clarabel
import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from _figures import Figure

from rrp_pyomo import FactorCovariance, MeanVariance
from rrp_pyomo.uncertainty import Ellipsoid

AVERSION, RADIUS, PERIODS = 3.0, 1.5, 100


class Market:
    """A factor covariance and means, per period."""

    def __init__(self, n: int, m: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.V = rng.normal(1.0, 0.5, (m, n)) / np.sqrt(m)
        self.F, self.D = 4e-4 * np.eye(m), rng.uniform(1e-4, 4e-4, n)
        self.mean = rng.normal(0.002, 0.001, n)
        self.covariance = FactorCovariance(self.V, self.F, self.D)
        error = FactorCovariance(self.V, self.F / PERIODS, self.D / PERIODS)
        self.means = Ellipsoid(self.mean, error, RADIUS)

    def ours(self) -> float:
        problem = MeanVariance(self.means, self.covariance, AVERSION)
        return float(problem.solve().worst_value)  # type: ignore[arg-type]

    def by_cvxpy(self) -> float:
        R = np.vstack([np.sqrt(self.F) @ self.V, np.diag(np.sqrt(self.D))])
        w = cp.Variable(self.mean.size)
        penalty = RADIUS / np.sqrt(PERIODS) * cp.norm(R @ w)
        utility = self.mean @ w - penalty - AVERSION / 2 * cp.sum_squares(R @ w)
        return float(cp.Problem(cp.Maximize(utility), [cp.sum(w) == 1, w >= 0]).solve(cp.CLARABEL))

    def by_hand(self) -> float:
        """x, y = F^½ V x and t ≥ ‖(y, D^½ x)‖: min ½λ(‖y‖² + x'Dx) − μ'x + κt/√T."""
        n, m = self.mean.size, len(self.F)
        eye, none = sp.identity, sp.csc_matrix
        P = sp.diags(np.concatenate([AVERSION * self.D, np.full(m, AVERSION), [0.0]]), format="csc")
        q = np.concatenate([-self.mean, np.zeros(m), [RADIUS / np.sqrt(PERIODS)]])
        A = sp.bmat(
            [
                [np.sqrt(self.F) @ self.V, -eye(m), None],
                [np.ones((1, n)), none((1, m)), none((1, 1))],
                [-eye(n), None, None],
                [None, None, -np.ones((1, 1))],
                [None, -eye(m), None],
                [-sp.diags(np.sqrt(self.D)), None, None],
            ],
            format="csc",
        )
        b = np.zeros(A.shape[0])
        b[m] = 1.0
        cones = [
            clarabel.ZeroConeT(m + 1),
            clarabel.NonnegativeConeT(n),
            clarabel.SecondOrderConeT(1 + m + n),
        ]
        settings = clarabel.DefaultSettings()
        settings.verbose, settings.max_threads = False, 1
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-9
        return -float(clarabel.DefaultSolver(P, q, A, b, cones, settings).solve().obj_val)


def milliseconds(functions: list[Callable[[], Any]], repeats: int) -> list[float]:
    """The median time of each, taken in turn."""
    times = [[] for _ in functions]  # type: list[list[float]]
    for _ in range(repeats):
        for function, seen in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            seen.append(1e3 * (time.perf_counter() - start))
    return [float(np.median(seen)) for seen in times]


def figures(quick: bool) -> Iterator[Figure]:
    market = Market(25, 3, 0)
    assert abs(market.ours() - market.by_cvxpy()) < 1e-7  # cvxpy's tolerance is absolute
    ours, theirs = milliseconds([market.ours, market.by_cvxpy], 30 if quick else 200)
    yield Figure("n = 25, m = 3: data to certified weights", ours, 2.5, "ms")
    yield Figure("  of cvxpy's time", ours / theirs, 0.3, "")
    ratios = []
    for seed in range(2 if quick else 5):
        market = Market(5000, 20, seed)
        assert abs(market.ours() - market.by_hand()) < 1e-5 * abs(market.ours())
        ours, theirs = milliseconds([market.ours, market.by_hand], 3 if quick else 5)
        ratios.append(ours / theirs)
    yield Figure(
        "n = 5000, m = 20: of a direct call of Clarabel", float(np.median(ratios)), 1.2, ""
    )


if __name__ == "__main__":
    _figures.run(__doc__, figures)
