"""What Ipopt answers does not depend on what the objective or the rows are multiplied by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.results import SolutionStatus

from rrp_pyomo import RiskParityQCLP
from rrp_pyomo.data import FactorCovariance
from rrp_pyomo.solvers.ipopt import CasadiIpopt

N = 8
rng = np.random.default_rng(11)
LOADINGS = rng.normal(1.0, 0.5, (2, N)) * [[0.04], [0.02]]
SIGMA = LOADINGS.T @ LOADINGS + np.diag(rng.uniform(2e-4, 2e-3, N))
MU = rng.normal(0.005, 0.01, N)
SAMPLE = rng.normal(0.01, 0.05, (20, N))
#: Factors of the objective, and seeds of those of the rows.
FACTORS = [(1e-6, None), (1e-3, None), (1e3, None), (1e6, None), (1.0, 1), (1e-6, 2), (1e6, 3)]
NOTHING = {"raise_exception_on_nonoptimal_result": False, "load_solutions": False}


class Stated:
    """A long-only portfolio, fully invested, in a model whose rows have factors."""

    def __init__(self, seed: int | None) -> None:
        self._random = None if seed is None else np.random.default_rng(seed)
        self.model = pyo.ConcreteModel()
        self.model.w = pyo.Var(range(N), bounds=(0, 1), initialize=1 / N)
        self.model.rows = pyo.ConstraintList()
        self.w = np.array(list(self.model.w.values()))
        self.at_most(self.w.sum(), 1.0, equal=True)

    def at_most(self, body: Any, bound: float, equal: bool = False) -> None:
        factor = 1.0 if self._random is None else 10.0 ** self._random.uniform(-4, 4)
        body, bound = factor * body, factor * bound
        self.model.rows.add(body == bound if equal else body <= bound)


def variance(s: Stated) -> Any:
    return s.w @ SIGMA @ s.w


def mean_variance(s: Stated) -> Any:
    return 5 * (s.w @ SIGMA @ s.w) - MU @ s.w


def daily_variance(s: Stated) -> Any:
    return s.w @ (SIGMA / 400) @ s.w


def variance_for_a_return(s: Stated) -> Any:
    s.at_most(-(MU @ s.w), -0.8 * MU.max())
    return variance(s)


def return_for_a_variance(s: Stated) -> Any:
    s.at_most(variance(s), 1.5 / np.linalg.inv(SIGMA).sum())
    return -(MU @ s.w)


def squares_of_factors(s: Stated) -> Any:
    s.model.y = pyo.Var(range(N))
    root = np.linalg.cholesky(SIGMA).T
    for k in range(N):
        s.at_most(s.model.y[k] - root[k] @ s.w, 0.0, equal=True)
    return sum(y**2 for y in s.model.y.values())


def penalty(s: Stated) -> Any:
    s.model.short = pyo.Var(bounds=(0, None))
    s.at_most(-(MU @ s.w + s.model.short), -0.9 * MU.max())
    return variance(s) + 1e4 * s.model.short


def volatility(s: Stated) -> Any:
    return pyo.sqrt(variance(s))


def growth(s: Stated) -> Any:
    return -sum(pyo.log(1.0 + row @ s.w) for row in SAMPLE) / len(SAMPLE)


QUADRATIC = [
    variance, mean_variance, daily_variance, variance_for_a_return, return_for_a_variance,
    squares_of_factors, penalty,
]  # fmt: skip
CASES = [(kind, route) for kind in QUADRATIC for route in ("quadratic", "nl")]
CASES += [(volatility, "nl"), (growth, "nl")]


def solved(
    kind: Callable[[Stated], Any], route: str, factor: float = 1.0, seed: int | None = None
) -> np.ndarray:
    stated = Stated(seed)
    stated.model.aim = pyo.Objective(expr=factor * kind(stated))
    results = CasadiIpopt(route=route).solve(stated.model, **NOTHING)
    assert results.solution_status is SolutionStatus.optimal, results.extra_info.message
    values = results.solution_loader.get_vars()
    return np.array([values[w] for w in stated.model.w.values()])


@pytest.mark.parametrize(("kind", "route"), CASES)
def test_factors_change_neither_verdict_nor_point(kind: Callable[..., Any], route: str) -> None:
    point = solved(kind, route)
    for factor, seed in FACTORS:
        np.testing.assert_allclose(solved(kind, route, factor, seed), point, atol=2e-5)


@pytest.mark.parametrize("kind", [variance, daily_variance, squares_of_factors, volatility])
@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_small_variances_are_least(kind: Callable[..., Any], factor: float) -> None:
    """The tangent of x'Σx at x is nowhere on the simplex below 2 min (Σx)_i − x'Σx."""
    x = solved(kind, "auto", factor)
    x = np.maximum(x, 0.0) / np.maximum(x, 0.0).sum()
    assert 2.0 * (1.0 - (SIGMA @ x).min() / (x @ SIGMA @ x)) <= 1e-5


def test_what_is_near_0_at_its_best_is_optimal() -> None:
    """Σx² over x ≥ 0, Σx⁴, and nothing: there is no size to compare with."""
    for power, bound, route in [(2, 0, "quadratic"), (2, 0, "nl"), (4, None, "nl")]:
        for factor in (1e-6, 1.0, 1e6):
            model = pyo.ConcreteModel()
            model.x = pyo.Var(range(3), bounds=(bound, None), initialize=1.0)
            model.aim = pyo.Objective(expr=factor * sum(x**power for x in model.x.values()))
            assert CasadiIpopt(route=route).solve(model).solution_status is SolutionStatus.optimal
            assert max(abs(x.value) for x in model.x.values()) <= 1e-2
    stated = Stated(4)
    assert CasadiIpopt().solve(stated.model).solution_status is SolutionStatus.optimal


def test_factors_that_somebody_asks_for_are_theirs() -> None:
    """With an option for scaling, Ipopt gets the numbers as they are stated, and says so."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(initialize=1.0)
    model.aim = pyo.Objective(expr=3e-3 * (model.x - 3) ** 2)
    log = CasadiIpopt(solver_options={"nlp_scaling_method": "none"}).solve(model).solver_log
    assert "-1.5000000e-02" in log
    model.x.value = 1.0
    assert "-1.5000000e-02" not in CasadiIpopt().solve(model).solver_log


@pytest.mark.parametrize("seed", range(3))
def test_blocks_in_their_own_units_need_one_try(
    seed: int, factor_covariance: Callable[..., FactorCovariance]
) -> None:
    """What is 0 at its best, and has units, is judged by these at once."""
    model = pyo.ConcreteModel()
    model.parity = RiskParityQCLP(factor_covariance(10)).block()
    assert CasadiIpopt().solve(model).solver_log.count("EXIT:") == 1
