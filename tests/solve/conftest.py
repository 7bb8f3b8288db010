"""The smallest model of each class of problems, stated in kernel and environ, and who can run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest

from rrp_pyomo.solve.table import SOLVERS, Takes
from rrp_pyomo.solvers.ipopt import find_ipopt


def _linear(m: Any) -> float:
    m.state(c=m.x + m.y + m.z >= 2, d=m.y >= 0.5)
    m.minimise(m.x + 2 * m.y + 3 * m.z)
    return 2.5


def _quadratic(m: Any) -> float:
    m.state(c=m.x + m.y >= 2)
    m.minimise(m.x**2 + m.y**2 + (m.z - 1) ** 2 + 3)
    return 5.0


def _second_order(m: Any) -> float:
    """√(x² + y²) ≤ z."""
    m.state(c=m.x + m.y >= 2)
    if m.is_kernel:
        m.cone = pmo.conic.quadratic(m.z, [m.x, m.y])
    else:
        m.state(cone=m.x**2 + m.y**2 <= m.z**2)
    m.minimise(m.z)
    return math.sqrt(2)


def _exponential(m: Any) -> float:
    """y exp(x / y) ≤ z."""
    m.state(c=m.x >= 1, d=m.y == 2)
    if m.is_kernel:
        m.cone = pmo.conic.primal_exponential(m.z, m.y, m.x)
    else:
        m.state(cone=m.y * pyo.exp(m.x / m.y) <= m.z)
    m.minimise(m.z)
    return 2 * math.exp(0.5)


def _power(m: Any) -> float:
    """x^¼ y^¾ ≥ |z|."""
    m.state(c=m.x == 1, d=m.z >= 8)
    if m.is_kernel:
        m.cone = pmo.conic.primal_power(m.x, m.y, [m.z], 0.25)
    else:
        m.state(cone=m.x**0.25 * m.y**0.75 >= m.z)
    m.minimise(m.y)
    return 16.0


def _integer(m: Any) -> float:
    """Without x ∈ ℤ, x = 5/2 would be best, at 7.5."""
    m.make_integer(m.x)
    m.state(c=2 * m.x + m.y >= 5)
    m.minimise(3 * m.x + 2 * m.y + m.z)
    return 8.0


def _nonconvex(m: Any) -> float:
    """x y = 4; and away from it, x is better large than y."""
    m.state(c=m.x * m.y == 4)
    m.minimise(m.x + 4 * m.y)
    return 8.0


def _nonlinear(m: Any) -> float:
    m.state(c=m.x == 1, d=m.y >= pyo.exp(-m.x) * pyo.sin(m.x))
    m.minimise(m.y)
    return math.sin(1) / math.e


_STATE = {
    Takes.LINEAR: _linear,
    Takes.QUADRATIC: _quadratic,
    Takes.SECOND_ORDER: _second_order,
    Takes.EXPONENTIAL: _exponential,
    Takes.POWER: _power,
    Takes.INTEGER: _integer,
    Takes.NONCONVEX: _nonconvex,
    Takes.NONLINEAR: _nonlinear,
}


class KernelModel(pmo.block):
    """Variables 0 ≤ x, y, z ≤ 100 and one way to state what follows."""

    is_kernel = True

    def __init__(self) -> None:
        super().__init__()
        self.x, self.y, self.z = (pmo.variable(lb=0, ub=100, value=1) for _ in range(3))

    def state(self, **rows: Any) -> None:
        for name, row in rows.items():
            setattr(self, name, pmo.constraint(row))

    def minimise(self, expression: Any) -> None:
        self.cost = pmo.objective(expression)

    def make_integer(self, variable: Any) -> None:
        variable.domain_type = pmo.IntegerSet


class EnvironModel(pyo.ConcreteModel):
    """The same as a ConcreteModel."""

    is_kernel = False

    def __init__(self) -> None:
        super().__init__()
        for name in "xyz":
            self.add_component(name, pyo.Var(bounds=(0, 100), initialize=1))

    def state(self, **rows: Any) -> None:
        for name, row in rows.items():
            self.add_component(name, pyo.Constraint(expr=row))

    def minimise(self, expression: Any) -> None:
        self.cost = pyo.Objective(expr=expression)

    def make_integer(self, variable: Any) -> None:
        variable.domain = pyo.Integers


@pytest.fixture(scope="session")
def smallest() -> Callable[[Takes, str], tuple[Any, float]]:
    """The smallest model of a class of problems, and its optimal value."""

    def make(problems: Takes, kind: str) -> tuple[Any, float]:
        model = KernelModel() if kind == "kernel" else EnvironModel()
        return model, _STATE[problems](model)

    return make


@pytest.fixture(scope="session")
def runs(need) -> Callable[[str], str]:
    """The name of a solver that solves here, or a skip that says what is missing."""

    def require(name: str) -> str:
        if need(name) == "mosek" and not pyo.SolverFactory("mosek_direct").license_is_valid():
            pytest.skip("MOSEK is installed, but there is no licence for it")
        return name

    return require


@pytest.fixture(scope="session")
def interface(runs) -> Callable[[str], Any]:
    """Pyomo's interface to a solver that solves here."""

    def make(name: str) -> Any:
        executable = find_ipopt() if runs(name) == "ipopt" else None
        if executable is not None:
            return pyo.SolverFactory("ipopt", executable=str(executable.path))
        return pyo.SolverFactory("casadi_ipopt" if name == "ipopt" else SOLVERS[name].pyomo_name)

    return make
