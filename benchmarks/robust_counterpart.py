"""Robust counterparts against PyROS: the largest worst mean under a limit for the variance.

    OMP_NUM_THREADS=1 python benchmarks/robust_counterpart.py

Ours is the transformation, on a copy of the model, and Clarabel through Pyomo. PyROS is given the
same model and set, with Ipopt for all of its subproblems (which are convex in the weights, and
linear in the means) and its own tolerances. Returns are in per cent per year: PyROS stops at
violations of 1e-4 in the model's units, and what it takes depends on how many of them it meets on
its way: a term for the variance in the objective, too, leaves a third. Processor time, of ours the
median of several runs. Both have the same optimum to PyROS's tolerance, or it is an error.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyomo.contrib.pyros as pyros
import pyomo.environ as pyo
from _figures import Figure, run

from rrp_pyomo.uncertainty import Ellipsoid

KAPPA = 2.0


def market(n: int) -> tuple[Any, pd.Series, np.ndarray]:
    """Three factors, and Σ/5: the errors of the means of five years."""
    rng = np.random.default_rng(n)
    assets = [f"asset {k}" for k in range(n)]
    mean = pd.Series(rng.normal(10.0, 5.0, n), assets)
    loadings = rng.normal(1.0, 0.3, (3, n))
    factor_variance, residual_variance = np.array([190.0, 70.0, 50.0]), rng.uniform(50.0, 360.0, n)
    covariance = (loadings.T * factor_variance) @ loadings + np.diag(residual_variance)
    m = pyo.ConcreteModel()
    m.w = pyo.Var(assets, bounds=(0, 1), initialize=1 / n)
    m.exposure = pyo.Var(range(3), initialize=1.0)
    m.mu = pyo.Param(assets, initialize=mean.to_dict(), mutable=True)
    m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
    m.exposed = pyo.Constraint(
        range(3),
        rule=lambda m, k: (
            m.exposure[k]
            == sum(float(v) * w for v, w in zip(loadings[k], m.w.values(), strict=True))
        ),
    )
    common = sum(float(f) * e**2 for f, e in zip(factor_variance, m.exposure.values(), strict=True))
    own = sum(float(d) * w**2 for d, w in zip(residual_variance, m.w.values(), strict=True))
    m.variance = pyo.Expression(expr=common + own)
    m.risk = pyo.Constraint(expr=m.variance <= 1.2 * float(covariance.mean()))
    m.goal = pyo.Objective(expr=sum(m.mu[a] * m.w[a] for a in assets), sense=pyo.maximize)
    return m, mean, covariance / 5


def ours(n: int, repeats: int) -> tuple[float, float]:
    """Seconds and optimum."""
    m, mean, shape = market(n)
    transformation = pyo.TransformationFactory("rrp_pyomo.robust_counterpart")
    taken = []
    for _ in range(repeats + 1):
        began = time.process_time()
        robust = transformation.create_using(m, sets={m.mu: Ellipsoid(mean, shape, KAPPA)})
        pyo.SolverFactory("clarabel").solve(robust)
        taken.append(time.process_time() - began)
    return statistics.median(taken[1:]), pyo.value(robust.goal)


def by_pyros(n: int, optimum: float) -> float:
    """Seconds."""
    m, mean, shape = market(n)
    ipopt = pyo.SolverFactory("casadi_ipopt")
    began = time.process_time()
    found = pyros.PyROS().solve(
        m,
        list(m.component_data_objects(pyo.Var)),
        [],
        list(m.mu.values()),
        pyros.EllipsoidalSet(mean.to_list(), shape.tolist(), scale=KAPPA**2),
        ipopt,
        ipopt,
        objective_focus=pyros.ObjectiveType.worst_case,
        solve_master_globally=True,
    )
    taken = time.process_time() - began
    assert found.pyros_termination_condition == pyros.pyrosTerminationCondition.robust_optimal
    assert abs(found.final_objective_value - optimum) < 5e-3
    return taken


def figures(quick: bool) -> Iterator[Figure]:
    logging.disable(logging.WARNING)
    for n, limit in ((5, 0.1), (10, 0.05), (20, 0.02), (40, 0.01)):
        seconds, optimum = ours(n, 3 if quick else 9)
        other = by_pyros(n, optimum)
        yield Figure(f"n = {n}: transformation and Clarabel", 1e3 * seconds, 100.0, "ms")
        yield Figure(f"n = {n}: PyROS", other, 60.0, "s")
        yield Figure(f"n = {n}: ours over PyROS", seconds / other, limit, "")


if __name__ == "__main__":
    run(__doc__, figures)
