"""Markowitz's problem with costs as a separable program: beside conic answers and its bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo import FactorCovariance, MeanVariance, WeightSet
from rrp_pyomo.data import Group
from rrp_pyomo.errors import SolverError
from rrp_pyomo.models import separable
from rrp_pyomo.models.separable import SeparableProgram, markowitz

SETS = {
    "long-only": lambda n: None,
    "capped": lambda n: WeightSet(upper=1.5 / n),
    "long and short": lambda n: WeightSet(long_only=False, lower=-0.3, upper=0.6),
    "without bounds": lambda n: WeightSet(long_only=False),
    "cash": lambda n: WeightSet(fully_invested=False, upper=0.4),
}


def problem(
    n: int, m: int, seed: int, aversion: float, cost: float, kind: str, holds: bool
) -> MeanVariance:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(m, m))
    covariance = FactorCovariance(
        rng.normal(1.0, 0.5, (m, n)), 1e-4 * A @ A.T, rng.uniform(1e-5, 4e-4, n)
    )
    previous = rng.dirichlet(np.full(n, 0.3)) if holds else None
    mean = rng.normal(5e-4, 1e-3, n)
    weights = SETS[kind](n)
    return MeanVariance(mean, covariance, aversion, l1=cost, weight_set=weights, previous=previous)


def separated(stated: MeanVariance) -> SeparableProgram:
    program = markowitz(
        stated.mean_set.center.to_numpy(), stated.covariance, stated.risk_aversion,
        stated.trading, stated.weight_set,
    )  # fmt: skip
    assert program is not None
    return program


@given(
    n=st.integers(2, 40),
    m=st.integers(1, 5),
    seed=st.integers(0, 10_000),
    aversion=st.floats(0.1, 100.0),
    cost=st.sampled_from([0.0, 1e-4, 1e-3, 0.1]),
    kind=st.sampled_from(sorted(SETS)),
    holds=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_the_certificate_of_the_problem_says_that_it_is_the_best(
    n, m, seed, aversion, cost, kind, holds
):
    """The gap is bounded by :class:`MeanVariance` from the data, whatever found the weights."""
    stated = problem(n, m, seed, aversion, cost, kind, holds)
    x = separated(stated).solve(np.full(n, 1.0 / n))
    certificate = stated._certificate(stated._solution_at(x, "", ""))
    assert certificate.gap <= 1e-8 * stated.objective_unit
    assert certificate.infeasibility <= 1e-12


@pytest.mark.parametrize("kind", sorted(SETS))
@pytest.mark.parametrize("cost", [0.0, 1e-3])
def test_against_clarabel(kind, cost):
    stated = problem(30, 3, 1, 8.0, cost, kind, holds=True)
    x = separated(stated).solve(stated.trading.previous)
    np.testing.assert_allclose(x, stated.solve().weights, atol=1e-6)


def test_no_trade_where_costs_are_large():
    stated = problem(20, 2, 5, 1.0, 5.0, "long-only", holds=True)
    x = separated(stated).solve(np.full(20, 0.05))
    np.testing.assert_allclose(x, stated.trading.previous, atol=1e-14)


def test_its_bound_holds_for_any_multipliers():
    program = separated(problem(15, 3, 3, 5.0, 1e-3, "capped", holds=True))
    best = program.objective(program.solve(np.full(15, 1.0 / 15)))
    rng = np.random.default_rng(0)
    for _ in range(50):
        u = 0.02 * rng.normal(size=3)
        x = program.response(u).x
        apart = program.U @ x - u
        assert x.sum() == pytest.approx(1.0, abs=1e-13)
        assert -1e-17 <= program.objective(x) - best <= 0.5 * apart @ apart + 1e-17


def test_what_is_not_separable():
    rows = WeightSet(groups={"some": Group([0, 1], upper=0.5)})
    plain = problem(5, 2, 0, 1.0, 0.0, "long-only", holds=False)
    dense = plain.covariance.matrix().to_numpy()
    cases = [
        MeanVariance([0.0] * 5, plain.covariance, 1.0, weight_set=rows),
        MeanVariance([0.0] * 5, plain.covariance, 1.0, previous=[0.2] * 5, turnover=0.1),
        MeanVariance([0.0] * 5, plain.covariance, 1.0, linf=0.1),
        MeanVariance([0.0] * 5, dense, 1.0),
        MeanVariance([0.0] * 5, plain.covariance, 0.0),
    ]
    for case in cases:
        found = markowitz(None, case.covariance, case.risk_aversion, case.trading, case.weight_set)
        assert found is None, case


def test_what_is_not_finished_is_no_answer(monkeypatch):
    program = separated(problem(30, 3, 1, 8.0, 1e-3, "capped", holds=True))
    monkeypatch.setattr(separable, "_MOST_STEPS", 1)
    with pytest.raises(SolverError, match="from the optimum of a separable program"):
        program.solve(np.full(30, 1.0 / 30))
