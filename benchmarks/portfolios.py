"""From a covariance or an uncertainty set to a portfolio: times against limits.

    python benchmarks/portfolios.py [--quick]

One thread, medians of whole calls on data objects that nobody has used before; (12) beside its
peers is one of the records. The exit status is 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    RiskParityNLP,
    RiskParityQCLP,
    RobustRiskParity,
)
from rrp_pyomo.models.newton import newton


class Figure(NamedTuple):
    """One line of the table; ``value`` must not exceed ``limit``."""

    name: str
    value: float
    limit: float
    unit: str


def factor_covariance(n: int, seed: int = 0) -> FactorCovariance:
    """Weekly returns on three factors, market betas around 1."""
    rng = np.random.default_rng([n, seed])
    V = np.vstack([rng.normal(1.0, 0.25, n), rng.normal(0.0, 0.4, (2, n))])
    return FactorCovariance(V, np.diag([5e-4, 1e-4, 1e-4]), rng.uniform(2e-4, 2e-3, n))


def uncertainty(n: int, seed: int = 0) -> CovarianceUncertainty:
    errors = np.random.default_rng([n, seed]).uniform(0.03, 0.12, (3, n))
    return CovarianceUncertainty.from_loading_errors(factor_covariance(n, seed), errors)


def dense_covariance(n: int, seed: int = 0) -> DenseCovariance:
    rng = np.random.default_rng([n, seed])
    return DenseCovariance(np.cov((rng.normal(size=(2 * n, n)) * rng.uniform(0.01, 0.05, n)).T))


def median_seconds(call: Callable[[Any], object], arguments: Iterator[Any], count: int) -> float:
    """The median time of a call on each of ``count`` arguments, the first two as a warm-up."""
    taken = []
    for _ in range(count + 2):
        argument = next(arguments)
        began = time.perf_counter()
        call(argument)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[2:])


def instances(make: Callable[[int, int], Any], n: int) -> Iterator[Any]:
    """New data objects, whose cached properties nobody has asked for."""
    seed = 0
    while True:
        yield make(n, seed)
        seed += 1


# --- what is compared -----------------------------------------------------------------------------


def robust(u: CovarianceUncertainty, omega: float = 1.0) -> Any:
    return RobustRiskParity(u, omega).solve("clarabel")


def robust_by_pyomo(u: CovarianceUncertainty) -> Any:
    return SolverFactory("clarabel").solve(RobustRiskParity(u, 1.0).kernel())


def gibibytes(n: int, omega: float) -> float:
    """Peak memory of a new process that solves (12) and nothing else."""
    command = [sys.executable, __file__, "--memory", str(n), str(omega)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peak_memory(n: int, omega: float) -> float:
    robust(uncertainty(n), omega)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


# --- the table ------------------------------------------------------------------------------------


def figures(quick: bool) -> Iterator[Figure]:
    few, many = (3, 15) if quick else (9, 101)
    sets = {n: instances(uncertainty, n) for n in (25, 10_000)}

    kernel = median_seconds(robust_by_pyomo, sets[25], many)
    yield Figure("(12), n = 25, m = 3, by the kernel block and Pyomo", 1e3 * kernel, 8.0, "ms")

    seconds = median_seconds(lambda u: robust(u, 0.5), sets[10_000], 1 if quick else 3)
    yield Figure("(12), n = 10,000, omega = 0.5, by Clarabel", seconds, 3.0, "s")
    yield Figure("  peak memory", gibibytes(10_000, 0.5), 1.0, "GiB")

    for name, problem, make, n, limit in (
        ("(4) by Ipopt, n = 200, dense", RiskParityQCLP, dense_covariance, 200, 0.2),
        ("(4) by Ipopt, n = 5,000, factored", RiskParityQCLP, factor_covariance, 5000, 3.0),
        ("(3) by Ipopt, n = 200, dense", RiskParityNLP, dense_covariance, 200, 1.0),
    ):
        seconds = median_seconds(
            lambda Sigma, problem=problem: problem(Sigma).solve(), instances(make, n), few
        )
        yield Figure(name, seconds, limit, "s")

    for n, limit in ((25, 0.3), (5000, 5.0)):
        budgets = np.full(n, 1 / n)
        seconds = median_seconds(
            lambda Sigma, b=budgets: newton(Sigma, b), instances(factor_covariance, n), many
        )
        yield Figure(f"Newton, n = {n:,}, factored", 1e3 * seconds, limit, "ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--memory", nargs=2, metavar=("N", "OMEGA"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(peak_memory(int(arguments.memory[0]), float(arguments.memory[1])))
        return 0
    missed = 0
    print(f"{'':50} {'value':>8} {'limit':>8}")
    for figure in figures(arguments.quick):
        passed = figure.value <= figure.limit
        missed += not passed
        verdict = "" if passed else "  MISSED"
        print(f"{figure.name:50} {figure.value:8.3g} {figure.limit:8.3g} {figure.unit:4}{verdict}")
    load = os.getloadavg()[0]
    if missed and load > 1.5:
        print(f"other processes are running (load average {load:.1f}): repeat it when they are not")
    return int(missed > 0)


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":  # which libraries read when they are loaded
        one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        sys.exit(subprocess.call([sys.executable, *sys.argv], env={**os.environ, **one}))
    sys.exit(main())
