"""Risk parity blocks in larger models: building, solving, and solving again.

    OMP_NUM_THREADS=1 python benchmarks/composition.py

Medians of processor time, which other processes disturb less than that of a clock; with Clarabel
through Pyomo's newer factory.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyomo.environ as pyo
from _figures import Figure, run
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import FactorModel, RiskParitySOCP, RobustRiskParity, WeightSet
from rrp_pyomo.data import Covariance, datasets

WINDOW = 60
DATA = datasets.french()
ASSETS = list(DATA.returns.columns)


def fitted(start: int) -> FactorModel:
    """The factor model of the 60 months from ``start``."""
    months = slice(start, start + WINDOW)
    return FactorModel.fit(100 * DATA.returns.iloc[months], 100 * DATA.factors.iloc[months])


def timed(call: Callable[[], Any], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def regimes(problems: list[Any]) -> pyo.ConcreteModel:
    """The least of the largest slack over all regimes, on the same weights."""
    m = pyo.ConcreteModel()
    m.w, m.worst = pyo.Var(ASSETS, bounds=(0, 1)), pyo.Var()
    m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
    K = range(len(problems))
    m.regime = pyo.Block(K, rule=lambda b, k: problems[k].block(weights=m.w))
    m.near = pyo.Constraint(K, rule=lambda m, k: m.regime[k].slack <= m.worst)
    m.goal = pyo.Objective(expr=m.worst)
    return m


def periods(covariances: list[Covariance]) -> pyo.ConcreteModel:
    """Risk parity a month, with the costs of the trades between them, which are a parameter."""
    m, T = pyo.ConcreteModel(), range(len(covariances))
    m.cost = pyo.Param(initialize=1.0, mutable=True)
    m.w, m.buy, m.sell = (pyo.Var(T, ASSETS, bounds=(0, 1)) for _ in range(3))
    m.month = pyo.Block(
        T, rule=lambda b, t: RiskParitySOCP(covariances[t]).block({a: m.w[t, a] for a in ASSETS})
    )

    @m.Constraint(T, ASSETS)
    def trade(m: Any, t: int, a: str) -> Any:
        before = m.w[t - 1, a] if t else 1 / len(ASSETS)
        return m.w[t, a] == before + m.buy[t, a] - m.sell[t, a]

    turnover = sum(m.buy.values()) + sum(m.sell.values())
    m.goal = pyo.Objective(expr=sum(m.month[t].slack for t in T) + m.cost * turnover)
    return m


def figures(quick: bool) -> Iterator[Figure]:
    free = WeightSet(fully_invested=False)
    starts = np.linspace(0, len(DATA.returns) - WINDOW, 40).astype(int).tolist()
    models = [fitted(start) for start in starts]
    repeats = 3 if quick else 9
    for name, problems in (
        ("(11)", [RiskParitySOCP(m.covariance, weight_set=free) for m in models]),
        ("(12)", [RobustRiskParity(m.covariance_uncertainty(), 1.0, None, free) for m in models]),
    ):
        model = regimes(problems)
        yield Figure(
            f"40 regimes × 30 assets of {name}: build",
            timed(lambda problems=problems: regimes(problems), repeats),  # type: ignore[misc]
            0.4,
            "s",
        )
        yield Figure(
            f"40 regimes × 30 assets of {name}: solve",
            timed(lambda model=model: SolverFactory("clarabel").solve(model), repeats),  # type: ignore[misc]
            0.5,
            "s",
        )
    model, solver = periods([fitted(start).covariance for start in starts[-12:]]), None
    solver = SolverFactory("clarabel")
    costs = iter(np.geomspace(0.5, 5.0, repeats + 2).tolist())

    def again() -> None:
        model.cost.value = next(costs)
        solver.solve(model)

    again(), again()
    yield Figure("12 months × 30 assets with costs: solve again", timed(again, repeats), 0.15, "s")


if __name__ == "__main__":
    run(__doc__, figures)
