"""Robust portfolios over sets of covariances, against cvxpy and a limit of seconds.

python benchmarks/uncertainty.py [--quick]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import cvxpy as cp
import numpy as np
from _figures import Figure, run

from rrp_pyomo import MeanVariance
from rrp_pyomo.uncertainty import Box, CovarianceEllipsoid, LoadingEllipsoids


def seconds(task: Callable[[], object], repeats: int) -> float:
    """The median time of a task, after one that does not count."""
    task()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def two_matrices(S: np.ndarray, root: np.ndarray, radius: float) -> float:
    """The generic covariance set as it is stated elsewhere: two psd matrices, X over ww' and Z."""
    n = len(S)
    w, X, Z = cp.Variable(n), cp.Variable((n, n), symmetric=True), cp.Variable((n, n), PSD=True)
    row, column = (cp.reshape(w, shape, order="F") for shape in ((1, n), (n, 1)))
    limits = [cp.bmat([[X, column], [row, np.ones((1, 1))]]) >> 0, cp.sum(w) == 1, w >= 0]
    risk = cp.trace(S @ (X + Z)) + radius * cp.norm(root @ cp.vec(X + Z, order="F"))
    problem = cp.Problem(cp.Minimize(1e3 * risk), limits)
    problem.solve(solver="CLARABEL", max_threads=1)
    return float(problem.value) / 1e3


def generic_set(repeats: int) -> Iterator[Figure]:
    rng, n = np.random.default_rng(0), 30
    S = np.cov(0.02 * rng.standard_normal((60, n)).T)
    for name, root in (
        ("independent errors", np.diag(np.sqrt(rng.uniform(0.5, 2.0, n * n) * 1e-9))),
        ("correlated errors", 1e-5 * rng.standard_normal((n * n, n * n))),
    ):
        found = {}

        def ours(root: np.ndarray = root, found: dict[str, float] = found) -> None:
            portfolio = MeanVariance(None, CovarianceEllipsoid(S, root.T @ root, 1.5), 2.0).solve()
            found["ours"] = -portfolio.worst_value

        def theirs(root: np.ndarray = root, found: dict[str, float] = found) -> None:
            found["theirs"] = two_matrices(S, root, 1.5)

        ratio = seconds(ours, repeats) / seconds(theirs, repeats)
        assert abs(found["ours"] / found["theirs"] - 1.0) < 1e-6
        yield Figure(f"vec ellipsoid, n = 30, {name}: ours / cvxpy", ratio, 1.0, "x")


def goldfarb_iyengar(repeats: int) -> Iterator[Figure]:
    rng, n, m = np.random.default_rng(0), 1000, 5
    V = 0.3 * rng.standard_normal((m, n)) + np.array([[1.0]] + [[0.0]] * (m - 1))
    F, D = 4e-4 * np.cov(rng.standard_normal((m, 60))), rng.uniform(1e-4, 1e-3, n)
    mean, radii = rng.uniform(0.0, 0.01, n), rng.uniform(0.01, 0.05, n)
    other = np.cov(rng.standard_normal((m, 20)))
    for name, shape in (("a regression's shape", 59.0 * F), ("a general shape", other)):

        def solve(shape: np.ndarray = shape) -> None:
            covariance = LoadingEllipsoids(V, F, shape, radii, D)
            MeanVariance(Box(mean, np.sqrt(D / 60)), covariance, 4.0).solve()

        yield Figure(
            f"Goldfarb-Iyengar, n = 1000, m = 5, {name}", seconds(solve, repeats), 0.3, "s"
        )


def figures(quick: bool) -> Iterator[Figure]:
    repeats = 1 if quick else 5
    yield from goldfarb_iyengar(repeats)
    yield from generic_set(repeats)


if __name__ == "__main__":
    run(__doc__ or "", figures)
