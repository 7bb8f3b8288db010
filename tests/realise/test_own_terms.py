"""The scaling suffix of a block beside terms of the user's own, in Ipopt against Clarabel."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo import FactorModel, RiskParitySOCP
from rrp_pyomo.data import datasets, excess_returns


@pytest.fixture(scope="module")
def estimated():
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).tail(60)
    model = FactorModel.fit(returns, data.factors.tail(60))
    return returns.mean().to_numpy(), model.covariance_uncertainty().nominal


def growth(estimated, softness, scaling=True):
    """Mean return, less one's own variance, less softness times (11)'s objective; all of 1e-2."""
    mean, covariance = estimated
    labels = list(covariance.labels)
    L = np.linalg.cholesky(covariance.matrix().to_numpy()).T
    m = pyo.ConcreteModel()
    m.w = pyo.Var(labels, bounds=(0, 1))
    m.parity = RiskParitySOCP(covariance).block(weights=m.w, scaling=scaling)
    w = list(m.w.values())
    m.v = pyo.Var(range(len(w)))
    m.vd = pyo.Constraint(
        range(len(w)), rule=lambda m, i: m.v[i] == sum(c * x for c, x in zip(L[i], w, strict=True))
    )
    variance = sum(v**2 for v in m.v.values())
    gain = sum(c * x for c, x in zip(mean.tolist(), w, strict=True))
    m.goal = pyo.Objective(
        expr=gain - 1.5 * variance - softness * m.parity.objective_expression, sense=pyo.maximize
    )
    return m


def solved(model, solver, **options):
    SolverFactory(solver).solve(model, **options)
    return np.array([v.value for v in model.w.values()]), pyo.value(model.goal)


@pytest.mark.parametrize("softness", [1e-4, 1e-3, 1e-2, 0.1])
def test_a_users_own_terms_are_solved_as_well_as_by_clarabel(estimated, softness):
    expected, best = solved(growth(estimated, softness), "clarabel")
    n = expected.size
    weights, goal = solved(growth(estimated, softness), "casadi_ipopt")
    assert n * np.abs(weights - expected).max() <= 1e-3
    assert goal == pytest.approx(best, rel=1e-5)
    # The .nl file knows of no suffix.
    weights, goal = solved(
        growth(estimated, softness), "casadi_ipopt", route="nl", solver_options={"tol": 1e-10}
    )
    assert n * np.abs(weights - expected).max() <= 1e-3
    assert goal == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("softness", [1e-4, 0.1])
def test_the_suffix_does_not_make_them_worse(estimated, softness):
    _, best = solved(growth(estimated, softness), "clarabel")
    with_suffix, without = (
        abs(solved(growth(estimated, softness, scaling), "casadi_ipopt")[1] - best)
        for scaling in (True, False)
    )
    assert with_suffix <= without + 1e-6 * abs(best)
