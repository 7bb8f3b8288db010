"""The hot path of the paper's experiment 1: a rebalance of 8 portfolios of 25 assets.

    OMP_NUM_THREADS=1 python benchmarks/backtest.py

First a trial of 34 rebalances (fit, uncertainty set, two portfolios by Newton, six of (12)), on
synthetic weekly returns. Then (12) alone, re-solved for the same windows and ω, beside cvxpy's
re-solve of a parametrised, factored statement in the same run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cvxpy as cp
import numpy as np
import pandas as pd

from rrp_pyomo.backtest.engine import Panel, simulate
from rrp_pyomo.backtest.estimators import Estimate, FactorModelEstimator
from rrp_pyomo.backtest.strategies import Robust
from rrp_pyomo.paper.experiments import EXPERIMENTS
from rrp_pyomo.solve.session import ProgramSession

N, M = 25, 3
EXPERIMENT = EXPERIMENTS["1"]


def market(seed: int = 0) -> Panel:
    """22 years of weeks like those of the experiment."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("1995-01-06", "2016-12-30", freq="W-FRI")
    factors = rng.standard_t(4, (len(dates), M)) * [0.017, 0.009, 0.010] + 0.001
    loadings = np.vstack([rng.normal(1.0, 0.35, N), rng.normal(0.2, 0.5, (2, N))])
    noise = rng.standard_t(4, (len(dates), N)) * rng.uniform(0.015, 0.035, N)
    return Panel.of(pd.DataFrame(factors @ loadings + noise, dates), pd.DataFrame(factors, dates))


class Parametrised:
    """(12), factored, with every number a parameter (disciplined parametrised programming)."""

    def __init__(self) -> None:
        x, z, f0, f1 = (cp.Variable(k) for k in (N, N, M, M))
        p, t, y = (cp.Variable(nonneg=True) for _ in range(3))
        self.x, self.Omega = x, cp.Parameter(nonneg=True)
        shapes = {
            "V0": (M, N), "V1": (M, N), "left": (N, M), "D": N, "K1": (2 * M, M), "K0": (2 * M, M),
            "root": (M, M), "sd": N,
        }  # fmt: skip
        self.data = {name: cp.Parameter(shape) for name, shape in shapes.items()}
        d = self.data
        marginal = d["left"] @ f0 + cp.multiply(d["D"], x)
        factor_risk = cp.hstack([d["root"] @ f1, cp.multiply(d["sd"], x)])
        rows = [
            x >= 0, cp.sum(x) == 1, z >= 0, f0 == d["V0"] @ x, f1 == d["V1"] @ x,
            cp.norm(d["K1"] @ f1 + d["K0"] @ f0) <= np.sqrt(N) * y,
            marginal - z >= self.Omega * y,
            cp.SOC(x + z / N**2, cp.vstack([2 / N * t * np.ones(N), x - z / N**2])),
            cp.norm(factor_risk) <= np.sqrt(N) * p,
        ]  # fmt: skip
        self.problem = cp.Problem(cp.Minimize(p - t), rows)

    def load(self, estimate: Estimate) -> None:
        """The numbers of a window, in the units of our statement."""
        u = estimate.uncertainty
        unit = estimate.robust(1.0).risk_unit
        nominal, worst = u.nominal, u.worst_case
        K = u.perturbation.norm_map
        values = {
            "V0": nominal.V, "V1": worst.V, "left": nominal.V.T @ nominal.F / unit,
            "D": nominal.D / unit, "K1": K.factors[0].left / unit, "K0": K.factors[1].left / unit,
            "root": np.linalg.cholesky(nominal.F / unit).T, "sd": np.sqrt(nominal.D / unit),
        }  # fmt: skip
        for name, value in values.items():
            self.data[name].value = value

    def solve(self, Omega: float) -> np.ndarray:
        self.Omega.value = Omega
        self.problem.solve(solver=cp.CLARABEL)
        return self.x.value


def milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


def main() -> None:
    panel = market()
    windows, strategies = EXPERIMENT.windows(panel), EXPERIMENT.strategies
    estimator = FactorModelEstimator()
    simulate(panel, windows[:2], strategies)
    trials = [milliseconds(lambda: simulate(panel, windows, strategies)) for _ in range(7)]
    rebalance = statistics.median(trials) / len(windows)
    print(f"n = {N}, {len(windows)} rebalances of {len(strategies)} portfolios")
    print(f"{'one rebalance, all in':42} {rebalance:6.2f} ms (target 12)")
    histories = [panel.history(window) for window in windows]
    fit = [milliseconds(lambda h=h: estimator(h).uncertainty) for h in histories]
    print(f"{'  fit and uncertainty set':42} {statistics.median(fit):6.2f} ms")

    solvers, peer, ours, theirs, gaps = ProgramSession(), Parametrised(), [], [], []
    for history in histories:
        estimate = estimator(history)
        peer.load(estimate)
        for omega in EXPERIMENT.omegas:
            strategy, Omega = Robust(omega), estimate.uncertainty.penalty(omega)
            ours.append(milliseconds(lambda s=strategy, e=estimate: s.weights(e, solvers)))
            theirs.append(milliseconds(lambda w=Omega: peer.solve(w)))
            gaps.append(np.abs(peer.x.value - strategy.weights(estimate, solvers)).max() * N)
    first = len(EXPERIMENT.omegas)  # cvxpy compiles at its first solve
    ours_ms, theirs_ms = (statistics.median(times[first:]) for times in (ours, theirs))
    print(f"{'(12) re-solved, new window or ω':42} {ours_ms:6.2f} ms (target 1.6)")
    print(f"{'(12) re-solved by cvxpy with parameters':42} {theirs_ms:6.2f} ms")
    print(f"{'ratio':42} {ours_ms / theirs_ms:6.2f}    (target 0.7)")
    print(f"{'largest difference, n · max|Δx|':42} {max(gaps):6.0e}")


if __name__ == "__main__":
    main()
