"""Cones over bare variables: what Pyomo's cones, and quadratics that stay sparse, need.

Lifting replaces the affine expressions inside norms and products by auxiliary variables that are
defined by linear rows. The result is a program again, with the original variables at their places.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import numpy as np

from rrp_pyomo.modeling.constraints import Constraint, NormBound, ProductBound, QuadraticBound
from rrp_pyomo.modeling.expressions import Affine, Product, Quadratic, Variable
from rrp_pyomo.modeling.program import Program


def lifted(program: Program, bare_squares: bool = False, loose: Collection[str] = ()) -> Program:
    """An equivalent program whose norms, products and squares are over variables.

    * ``‖e‖₂ ≤ k r`` becomes ``‖v‖₂ ≤ r`` with ``v = e / k``;
    * ``a ∘ b ≥ c²`` gets variables a, b ≥ 0, and a multiple of one variable (entry by entry) as c;
      with ``bare_squares`` it becomes ``2 a ∘ b ≥ v²`` with a variable ``v = √2 c``, Pyomo's form;
    * ``‖e‖²`` in an objective or a constraint gets a variable v = e, unless e is a multiple of one.

    ``loose`` names variables that stand for others without the bounds that they declare.
    """
    return _Lifting(program, bare_squares, loose).program


class _Lifting:
    def __init__(self, source: Program, bare_squares: bool, loose: Collection[str]) -> None:
        self.bare_squares = bare_squares
        self.loose = loose
        self.program = copy.copy(source)
        self.program.variables = dict(source.variables)
        self.program._definitions = list(source._definitions)
        self.program.constraints = dict(source.constraints)
        for name, constraint in source.constraints.items():
            self.program.constraints[name] = self._constraint(name, constraint)
        if isinstance(source.objective, Quadratic):
            self.program.objective = self._quadratic("objective", source.objective)

    def _constraint(self, name: str, constraint: Constraint) -> Constraint:
        match constraint:
            case NormBound(parts, bound):
                factor = _positive_multiple(bound)
                side = self._side(f"{name}_bound", bound / factor)
                vectors = (e / factor for e in parts)
                return NormBound(
                    tuple(_bare(e) or self._new(f"{name}_vector", e) for e in vectors), side
                )
            case ProductBound(a, b, c):
                a, b = self._side(f"{name}_left", a), self._side(f"{name}_right", b)
                return ProductBound(a, b, self._squared(f"{name}_root", c))
            case QuadraticBound(body, lower, upper):
                return QuadraticBound(self._quadratic(name, body), lower, upper)
        return constraint

    def _quadratic(self, name: str, body: Quadratic) -> Quadratic:
        products = []
        for p in body.products:
            if p.is_square and not is_multiple(p.a):
                v = self._new(f"{name}_vector", p.a)
                p = Product(v, v, p.weight, p.summed)
            products.append(p)
        return Quadratic(body.size, body.affine, tuple(products))

    def _side(self, name: str, expression: Affine) -> Variable:
        """A nonnegative variable that equals the expression."""
        variable = _bare(expression)
        if variable is not None and variable.is_nonnegative and variable.name not in self.loose:
            return variable
        return self._new(name, expression, lower=0.0)

    def _squared(self, name: str, c: Affine) -> Affine:
        if not self.bare_squares:
            return c if is_multiple(c) else self._new(name, c)
        scaled = c * np.sqrt(2.0)
        (block, *others) = scaled.terms.values() or [0.0]
        if not others and is_multiple(scaled) and np.ndim(block) == 1 and np.ptp(block) == 0:
            (variable,) = scaled.terms  # one scalar variable in every row: lift it once
            if variable.size == 1:
                return self._new(name, Affine(1, {variable: float(block[0])}))
        return self._new(name, scaled)

    def _new(self, name: str, expression: Affine, lower: float = -np.inf) -> Variable:
        _, col, val, _ = expression.rows()
        units = self.program.units
        largest = float(np.max(np.abs(val) * units[col], initial=0.0)) or 1.0
        name = self.program.free_name(name)
        labels: Any = None if expression.size == 1 else self.program.row_labels(expression)
        return self.program.define(name, expression, labels, lower=lower, unit=largest)


def is_multiple(expression: Affine) -> bool:
    """Whether each row is a multiple of one entry of one variable, without a constant."""
    return (
        len(expression.terms) == 1
        and not np.any(expression.constant)
        and all(
            isinstance(b, (float, np.ndarray)) and np.ndim(b) < 2 for b in expression.terms.values()
        )
    )


def _bare(expression: Affine) -> Variable | None:
    if not is_multiple(expression):
        return None
    ((variable, block),) = expression.terms.items()
    return variable if variable.size == expression.size and np.all(block == 1.0) else None


def _positive_multiple(bound: Affine) -> float:
    """k where the bound is k times a nonnegative scalar variable, else 1."""
    if is_multiple(bound):
        ((variable, block),) = bound.terms.items()
        if variable.size == 1 and variable.is_nonnegative and float(np.max(block)) > 0:
            return float(np.max(block))
    return 1.0
