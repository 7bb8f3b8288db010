"""The embedded Ipopt under the name that tools of Pyomo ask for."""

from __future__ import annotations

from collections.abc import Callable

import pyomo.environ as pyo
import pytest

from rrp_pyomo import RiskParitySOCP
from rrp_pyomo.data import FactorCovariance
from rrp_pyomo.solvers.ipopt import casadi_ipopt_as_ipopt


def test_mindtpy_solves_a_model_with_lots(
    factor_covariance: Callable[..., FactorCovariance],
) -> None:
    covariance = factor_covariance(4)
    m = pyo.ConcreteModel()
    m.w = pyo.Var(covariance.labels, bounds=(0, 1))
    m.lots = pyo.Var(covariance.labels, domain=pyo.Integers, bounds=(0, 10))
    m.lot = pyo.Constraint(covariance.labels, rule=lambda m, a: m.w[a] == 0.1 * m.lots[a])
    m.parity = RiskParitySOCP(covariance).block(weights=m.w, objective=True)
    other = m.clone()
    with casadi_ipopt_as_ipopt():
        results = pyo.SolverFactory("mindtpy").solve(
            m, strategy="OA", nlp_solver="ipopt", mip_solver="appsi_highs", time_limit=60
        )
    assert results.solver.termination_condition == "optimal"
    pyo.SolverFactory("outer_approximation").solve(other)
    assert pyo.value(m.parity.objective) == pytest.approx(
        pyo.value(other.parity.objective), abs=1e-4
    )


def test_the_name_is_given_back() -> None:
    before = type(pyo.SolverFactory("ipopt"))
    assert before is not type(pyo.SolverFactory("casadi_ipopt"))
    with casadi_ipopt_as_ipopt():
        inside = pyo.SolverFactory("ipopt", options={"tol": 1e-9})
        assert inside.name == "casadi_ipopt"
        assert inside.options["tol"] == 1e-9
    assert type(pyo.SolverFactory("ipopt")) is before
    with pytest.raises(RuntimeError, match="meanwhile"):
        fail_within()
    assert type(pyo.SolverFactory("ipopt")) is before


def fail_within() -> None:
    with casadi_ipopt_as_ipopt():
        raise RuntimeError("meanwhile")
