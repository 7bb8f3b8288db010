"""A statement as a Pyomo model, in one of the many ways in which it can be written."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
from pyomo.core.expr.numeric_expr import LinearExpression
from statement import Body, ConeOf, Row, Statement


class Rendering:
    """The model, and its components by their place in the statement."""

    def __init__(self, stated: Statement, rng: np.random.Generator, kernel: bool) -> None:
        self.stated, self.rng, self.kernel = stated, rng, kernel
        self.model: Any = pmo.block() if kernel else pyo.ConcreteModel()
        self.parameters: list[Any] = []
        self.x: list[Any] = []
        self.rows: list[Any] = []
        self.cones: list[Any] = []
        self._variables()
        for k, row in enumerate(stated.rows):
            self.rows.append(self._row(k, row))
        for k, cone in enumerate(stated.cones):
            self.cones.append(self._cone(k, cone))
        self._objective()
        if rng.random() < 0.3:
            self._clutter()
        for i, value in stated.fixed.items():
            self.x[i].fix(value)

    # --- numbers --------------------------------------------------------------------------------

    def _chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def number(self, value: float) -> Any:
        """A float, a NumPy scalar or a mutable parameter."""
        if self._chance(0.85):
            return value if self._chance(0.8) else np.float64(value)
        name = f"p{len(self.parameters)}"
        if self.kernel:
            parameter = pmo.parameter(value)
            setattr(self.model, name, parameter)
        else:
            parameter = pyo.Param(initialize=value, mutable=True, domain=pyo.Any)
            self.model.add_component(name, parameter)
        self.parameters.append(parameter)
        return parameter

    def _side(self, value: float) -> Any:
        """A bound; none in one of the ways of saying so."""
        if math.isinf(value) and self._chance(0.5):
            return None
        return self.number(value)

    def _endless(self) -> Any:
        """−∞ in a parameter, which Pyomo does not see through."""
        self.model.add_component(
            f"p{len(self.parameters)}", pyo.Param(initialize=-math.inf, mutable=True)
        )
        self.parameters.append(self.model.component(f"p{len(self.parameters)}"))
        return self.parameters[-1]

    # --- components -----------------------------------------------------------------------------

    def _variables(self) -> None:
        stated, n = self.stated, self.stated.size
        if self.kernel:
            made = [
                pmo.variable(lb=None if math.isinf(lo) else lo, ub=None if math.isinf(hi) else hi)
                for lo, hi in zip(stated.lower, stated.upper, strict=True)
            ]
            self.model.x = pmo.variable_list(made)
            self.x = made
            return
        m = self.model
        if self._chance(0.5):
            m.x = pyo.Var(range(n))
            self.x = list(m.x.values())
        else:
            for i in range(n):
                m.add_component(f"v{i}", pyo.Var())
            self.x = [m.component(f"v{i}") for i in range(n)]
        for v, lo, hi in zip(self.x, stated.lower, stated.upper, strict=True):
            if lo == 0.0 and self._chance(0.5):
                v.domain = pyo.NonNegativeReals
            else:
                v.setlb(self._side(lo))
            v.setub(self._side(hi))

    def _linear(self, linear: dict[int, float], constant: float = 0.0) -> Any:
        way = self.rng.integers(4)
        if way == 0 and linear and not self.kernel:
            return LinearExpression(
                constant=constant,
                linear_coefs=list(linear.values()),
                linear_vars=[self.x[i] for i in linear],
            )
        expression = sum(self.number(a) * self.x[i] for i, a in linear.items())
        if constant or way == 1:
            expression = expression + self.number(constant)
        return expression

    def expression(self, body: Body) -> Any:
        """A body, its squares as powers or products."""
        total = self._linear(body.linear, body.constant)
        for s in body.squares:
            inner = self._linear(s.linear, s.constant)
            total = total + s.weight * (inner**2 if self._chance(0.7) else inner * inner)
        for a, i, j in body.products:
            total = total + a * self.x[i] * self.x[j]
        return total

    def _row(self, k: int, row: Row) -> Any:
        if self.kernel:
            made = pmo.constraint(**self._kernel_row(row))
            setattr(self.model, f"c{k}", made)
        else:
            owner = self.model
            if self._chance(0.2):
                owner = pyo.Block()
                self.model.add_component(f"b{k}", owner)
            owner.add_component(f"c{k}", pyo.Constraint(expr=self._relation(row)))
            made = owner.component(f"c{k}")
        if not row.active:
            made.deactivate()
        return made

    def _kernel_row(self, row: Row) -> dict[str, Any]:
        body, lo, hi = self.expression(row.body), row.lower, row.upper
        if lo == hi:
            return {"body": body, "rhs": lo}
        return {
            "body": body,
            "lb": None if lo == -math.inf else lo,
            "ub": None if hi == math.inf else hi,
        }

    def _relation(self, row: Row) -> Any:
        body, lo, hi = self.expression(row.body), row.lower, row.upper
        if lo == hi:
            return body == self.number(lo) if self._chance(0.5) else (self.number(lo), body)
        if hi == math.inf and lo > -math.inf and self._chance(0.5):
            return body >= self.number(lo)
        if lo == -math.inf and hi < math.inf and self._chance(0.5):
            return body <= self.number(hi)
        sides = self._side(lo), self._side(hi)
        if sides == (None, None):
            sides = self._endless(), None
        return sides[0], body, sides[1]

    def update(self, stated: Statement) -> None:
        """State other numbers with the same components."""
        self.stated = stated
        for v, lo, hi in zip(self.x, stated.lower, stated.upper, strict=True):
            if self.kernel:
                v.lb, v.ub = None if math.isinf(lo) else lo, None if math.isinf(hi) else hi
            else:
                v.setlb(lo)
                v.setub(hi)
        for i, v in enumerate(self.x):
            if i in stated.fixed:
                v.fix(stated.fixed[i])
            elif v.fixed:
                v.free() if self.kernel else v.unfix()
        for made, row in zip(self.rows, stated.rows, strict=True):
            if self.kernel:
                for name, value in self._kernel_row(row).items():
                    setattr(made, name, value)
            else:
                made.set_value(self._relation(row))
            made.activate() if row.active else made.deactivate()
        self.model.goal.expr = self.expression(stated.objective)

    def _cone(self, k: int, cone: ConeOf) -> Any:
        y = [self.x[i] for i in cone.members]
        if self.kernel:
            kind = getattr(pmo.conic, cone.kind)
            made = {
                "quadratic": lambda: kind(y[0], y[1:]),
                "rotated_quadratic": lambda: kind(y[0], y[1], y[2:]),
                "primal_exponential": lambda: kind(*y),
                "primal_power": lambda: kind(y[0], y[1], y[2:], cone.alpha),
            }[cone.kind]()
            setattr(self.model, f"k{k}", made)
            return made
        if cone.kind == "quadratic":
            stated = sum(v**2 for v in y[1:]) <= y[0] ** 2
        else:
            stated = sum(v**2 for v in y[2:]) <= 2 * y[0] * y[1]
        self.model.add_component(f"k{k}", pyo.Constraint(expr=stated))
        return self.model.component(f"k{k}")

    def _objective(self) -> None:
        expression = self.expression(self.stated.objective)
        sense = pyo.maximize if self.stated.maximise else pyo.minimize
        make = pmo.objective if self.kernel else pyo.Objective
        self.model.goal = make(expr=expression, sense=sense)

    def _clutter(self) -> None:
        """Parts that are not active, rows without bounds, a variable that nobody mentions."""
        x = self.x[0]
        if self.kernel:
            self.model.off = pmo.constraint(body=x, lb=1e9)
            self.model.off.deactivate()
            self.model.other = pmo.objective(-x)
            self.model.other.deactivate()
            self.model.lonely = pmo.variable(lb=3)
            return
        m = self.model
        m.off = pyo.Constraint(expr=x >= 1e9)
        m.off.deactivate()
        m.other = pyo.Objective(expr=-(x**3))
        m.other.deactivate()
        m.aside = pyo.Block()
        m.aside.no = pyo.Constraint(expr=x <= -1e9)
        m.aside.deactivate()
        m.unused = pyo.Var(bounds=(3, 4))
        m.free = pyo.Constraint(expr=(self._endless(), x, None))
