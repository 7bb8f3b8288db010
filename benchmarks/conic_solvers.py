"""From Pyomo models to conic forms, beside cvxpy and Pyomo's own interfaces.

    OMP_NUM_THREADS=1 python benchmarks/conic_solvers.py

Times are medians of one process. "Compile" is from a model that exists to arrays that the solver
takes: for cvxpy ``Problem.get_problem_data`` of a new problem, for HiGHS ``set_instance``.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
from pyomo.contrib.solver.solvers.highs import Highs

from rrp_pyomo.data import CovarianceUncertainty, FactorModel
from rrp_pyomo.models import RobustRiskParity
from rrp_pyomo.solvers.conic.compile import CompiledModel, compile_model
from rrp_pyomo.solvers.reading.standard_form import read_model


def compiled(model: Any) -> CompiledModel:
    return compile_model(read_model(model))


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median time of a call, after one to warm up."""
    call()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def report(what: str, ours: float, peer: str, theirs: float, most: float | None = None) -> None:
    limit = "" if most is None else f"   (at most {1e3 * most:.4g} ms)"
    print(
        f"{what:52} {1e3 * ours:9.3f} ms   {peer:22} {1e3 * theirs:9.3f} ms   "
        f"ratio {theirs / ours:7.2f}{limit}"
    )


# --- problem (12) at n = 25 ---------------------------------------------------------------------


def uncertainty(n: int, seed: int) -> CovarianceUncertainty:
    rng = np.random.default_rng(seed)
    factors = pd.DataFrame(rng.normal(0.002, 0.02, (200, 3)), columns=["f0", "f1", "f2"])
    loadings = rng.normal(size=(3, n)) * 0.3 + np.array([[1.0], [0.0], [0.0]])
    noise = rng.normal(0.0, 0.03, (200, n))
    returns = pd.DataFrame(factors.to_numpy() @ loadings + noise)
    return FactorModel.fit(returns.add_prefix("a"), factors).covariance_uncertainty()


def robust_in_cvxpy(source: CovarianceUncertainty, omega: float) -> Any:
    """Problem (12) with dense matrices."""
    Sigma, Delta = source.nominal.matrix(), source.perturbation.matrix()
    Sigma, Delta = np.asarray(Sigma), np.asarray(Delta)
    n = len(Sigma)
    unit = Sigma.sum() / n**2
    Omega = omega * np.linalg.norm(Delta) / np.linalg.norm(Sigma)
    root = np.linalg.cholesky(np.asarray(source.worst_case.matrix()) / unit).T
    x, z = cp.Variable(n, nonneg=True), cp.Variable(n, nonneg=True)
    p, t, y = (cp.Variable(nonneg=True) for _ in range(3))
    constraints = [
        cp.norm(Delta / unit @ x) <= np.sqrt(n) * y,
        Omega * y <= Sigma / unit @ x - z,
        cp.SOC(x + z, cp.vstack([x - z, 2 * t * np.ones(n)]), axis=0),
        cp.norm(root @ x) <= np.sqrt(n) * p,
        cp.sum(x) == 1,
    ]
    return cp.Problem(cp.Minimize(p - t), constraints).get_problem_data(cp.CLARABEL)


def robust_risk_parity() -> None:
    source = uncertainty(25, seed=0)
    model = RobustRiskParity(source, omega=1.0).kernel()
    theirs = seconds(lambda: robust_in_cvxpy(source, 1.0), 20)
    ours = seconds(lambda: compiled(model), 300)
    report("kernel (12), n = 25: compile", ours, "cvxpy, dense", theirs, 1.5e-3)


# --- a linear program on a ConcreteModel --------------------------------------------------------


def linear_program(rows: int, per_row: int = 50, columns: int = 5000) -> Any:
    rng = np.random.default_rng(0)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(columns), bounds=(0, 1))
    x = list(model.x.values())

    def row(model: Any, k: int) -> Any:
        which = rng.choice(columns, per_row, replace=False)
        values = rng.normal(size=per_row).tolist()
        return sum(v * x[j] for v, j in zip(values, which, strict=True)) <= 1

    model.rows = pyo.Constraint(range(rows), rule=row)
    model.total = pyo.Objective(expr=sum(x), sense=pyo.maximize)
    return model


def linear_programs() -> None:
    model = linear_program(2000)
    ours = seconds(lambda: compiled(model), 5)
    theirs = seconds(lambda: Highs().set_instance(model), 5)
    report("environ LP, 100,000 nonzeros: compile", ours, "HiGHS in Pyomo, load", theirs, theirs)
    for rows in (1000, 2000, 4000):
        model = linear_program(rows)
        tracemalloc.start()
        compiled(model)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(
            f"environ LP, {50 * rows:7,} nonzeros: peak memory {peak / (50 * rows):6.0f} bytes each"
        )


if __name__ == "__main__":
    robust_risk_parity()
    linear_programs()
