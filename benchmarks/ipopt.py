"""Problems (3) and (4) by the embedded Ipopt, beside the paper's times, and its options.

    OMP_NUM_THREADS=1 python benchmarks/ipopt.py

Times are medians of whole calls, from a covariance to a portfolio; CV is the coefficient of
variation of the risk contributions (5). The second table says why
``rrp_pyomo.solvers.ipopt.quadratic.DEFAULTS`` are what they are: with Ipopt's own defaults a start
at the solution is pushed away from it, at times for good.
"""

from __future__ import annotations

import statistics
import time
import warnings

import numpy as np

from rrp_pyomo import DenseCovariance, FactorCovariance, RiskParityNLP, RiskParityQCLP
from rrp_pyomo.errors import RiskParityWarning

PROBLEMS = {"(3)": RiskParityNLP, "(4)": RiskParityQCLP}
PAPER = {("(3)", "dense", 200): 65.59, ("(4)", "dense", 200): 1.81}  # Table 1, seconds

OWN_DEFAULTS_OF_IPOPT = {
    "tol": 1e-8,
    "bound_relax_factor": 1e-8,
    "bound_push": 1e-2,
    "bound_frac": 1e-2,
    "slack_bound_push": 1e-2,
    "slack_bound_frac": 1e-2,
    "mu_init": 0.1,
    "bound_mult_init_method": "constant",
}


def covariance(kind: str, n: int, seed: int) -> DenseCovariance | FactorCovariance:
    """Weekly variances of about 1e-3; assets that hedge are those with a small or negative beta."""
    rng = np.random.default_rng(seed)
    if kind == "dense":
        return DenseCovariance(np.cov((rng.normal(size=(2 * n, n)) * rng.uniform(0.01, 0.05, n)).T))
    beta = rng.normal(1.0, 0.5 if kind == "hedging" else 0.25, n)
    loadings = np.vstack([beta, rng.normal(0.0, 0.5, (2, n))])
    return FactorCovariance(loadings, np.diag([5e-4, 2e-4, 2e-4]), rng.uniform(2e-4, 2e-3, n))


def times() -> None:
    print(f"{'':4} {'covariance':12} {'n':>6} {'seconds':>8} {'paper':>7} {'ratio':>6} {'CV':>8}")
    for name, problem in PROBLEMS.items():
        for kind, n, repeats in (("dense", 25, 20), ("dense", 200, 10), ("factors", 5000, 3)):
            taken, found = [], []
            for seed in range(repeats):
                Sigma = covariance(kind, n, seed)
                began = time.perf_counter()
                found.append(problem(Sigma).solve(solver="casadi_ipopt").cv)
                taken.append(time.perf_counter() - began)
            seconds, paper = statistics.median(taken), PAPER.get((name, kind, n))
            beside = f"{paper:7.2f} {paper / seconds:6.0f}" if paper else f"{'–':>7} {'–':>6}"
            print(f"{name:4} {kind:12} {n:6} {seconds:8.3f} {beside} {max(found):8.1e}")


def options() -> None:
    print(f"\n{'':4} {'start':8} {'options':16} {'risk parity':>11} {'worst CV of these':>18}")
    cases = [
        covariance(kind, n, seed)
        for kind in ("dense", "factors", "hedging")
        for n in (5, 20, 60, 200)
        for seed in range(5)
    ]
    for name, problem in PROBLEMS.items():
        for start in ("convex", "equal"):
            for label, chosen in (("this package's", {}), ("Ipopt's own", OWN_DEFAULTS_OF_IPOPT)):
                found = [
                    problem(Sigma).solve(solver="casadi_ipopt", start=start, **chosen)
                    for Sigma in cases
                ]
                parity = [p.cv for p in found if p.certificate.is_risk_parity]
                share = f"{len(parity)} of {len(cases)}"
                print(f"{name:4} {start:8} {label:16} {share:>11} {max(parity):18.1e}")


if __name__ == "__main__":
    warnings.simplefilter("ignore", RiskParityWarning)
    times()
    options()
