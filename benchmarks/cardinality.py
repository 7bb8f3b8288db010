"""Choosing the assets that share the risk: seconds by solver, against limits.

    python benchmarks/cardinality.py [--quick]

Industries of French's, 60 months to 2017-03, one thread: the least volatile parity portfolio of k
of n assets, and a composed model that maximises the mean return of k assets at parity. The optimum
of 12 assets is held against every choice. The exit status is 1 where a limit is missed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pyomo.environ as pyo
from _figures import Figure, run

from rrp_pyomo import FactorModel, RiskParitySOCP
from rrp_pyomo.data import datasets, excess_returns
from rrp_pyomo.solve.table import SOLVERS

# Without a licence Gurobi takes 200 variables.
NAMES = {12: ("outer_approximation", "scip", "gurobi"), 30: ("outer_approximation", "scip")}
LIMIT = 40.0


def market(n: int) -> tuple[Any, Any]:
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).tail(60).iloc[:, :n]
    fitted = FactorModel.fit(returns, data.factors.tail(60))
    return fitted.covariance_uncertainty().nominal, returns.mean()


def composed(covariance: Any, mean: Any, k: int, solver: str) -> float:
    """The largest mean return of k assets at parity."""
    model = pyo.ConcreteModel()
    model.w = pyo.Var(list(mean.index), bounds=(0, 1))
    model.rp = RiskParitySOCP(covariance, cardinality=k).block(weights=model.w)
    model.parity = pyo.Constraint(expr=model.rp.slack <= 1e-7)
    gain = sum(1000 * mean[a] * model.w[a] for a in mean.index)
    model.goal = pyo.Objective(expr=gain, sense=pyo.maximize)
    pyo.SolverFactory(SOLVERS[solver].pyomo_name).solve(model)
    return float(pyo.value(model.goal)) / 1000


def figures(quick: bool) -> Iterator[Figure]:
    for n, k in [(12, 4), (12, 6)] + [(30, 10)] * (not quick):
        covariance, mean = market(n)
        best = {}
        if n == 12:
            every = [
                RiskParitySOCP(covariance.select(S)).solve("newton")
                for S in itertools.combinations(covariance.labels, k)
            ]
            best["volatility"] = min(p.volatility for p in every)
            best["mean"] = max(float(mean @ p.weights.reindex(mean.index).fillna(0)) for p in every)
        for solver in NAMES[n]:
            began = time.process_time()
            least = RiskParitySOCP(covariance, cardinality=k).solve(solver).volatility
            yield Figure(
                f"{n} choose {k}, least volatility, {solver}",
                time.process_time() - began,
                LIMIT,
                "s",
            )
            began = time.process_time()
            most = composed(covariance, mean, k, solver)
            yield Figure(
                f"{n} choose {k}, largest mean, {solver}",
                time.process_time() - began,
                LIMIT,
                "s",
            )
            best.setdefault("volatility", least)
            best.setdefault("mean", most)
            off = max(abs(least / best["volatility"] - 1), abs(most / best["mean"] - 1))
            yield Figure("  off the best of all choices, or another solver's", off, 1e-4, "")


if __name__ == "__main__":
    run(__doc__, figures)
