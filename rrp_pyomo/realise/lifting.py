"""Where cones come to be over variables: what Pyomo's cones, and quadratics that stay sparse, need.

Affine members of cones and squares are replaced by auxiliary variables that linear rows define.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from rrp_pyomo.modeling.composite import Composite, Product
from rrp_pyomo.modeling.constraints import (
    InCone,
    QuadraticBound,
    Stated,
)
from rrp_pyomo.modeling.expressions import Affine, Scaled
from rrp_pyomo.modeling.symbols import Variable
from rrp_pyomo.realise.lowering import Lowered, copied, is_multiple


def over_variables(source: Lowered, kernel: bool = False, loose: Collection[str] = ()) -> Lowered:
    """An equivalent statement whose cones, products and squares are over variables.

    * ``‖e‖₂ ≤ k r`` becomes ``‖v‖₂ ≤ r`` with ``v = e / k``;
    * heads of cones get variables with their sign, vectors a variable each (for ``kernel`` in the
      scale of Pyomo's cones, otherwise multiples of a variable stay what they are);
    * ``‖e‖²`` gets a variable v = e, unless e is a multiple of one;
    * for ``kernel``, a product of a parameter that many rows share gets a variable: they stay rows
      of numbers, which a matrix holds.

    Parameters
    ----------
    source : Lowered
    kernel : bool
        For Pyomo's cones, whose members are variables and nothing else.
    loose : collection of str
        Variables that stand for others without the bounds that they declare.
    """
    return _Lifting(source, kernel, loose).result


class _Lifting:
    def __init__(self, source: Lowered, kernel: bool, loose: Collection[str]) -> None:
        self.kernel = kernel
        self.loose = loose
        self.result = copied(source)
        for name, constraint in source.stated.items():
            self.result.stated[name] = self._constraint(name, constraint)
        if isinstance(source.objective, Composite):
            self.result.objective = self._squares("objective", source.objective)

    def _constraint(self, name: str, constraint: Stated) -> Stated:
        if isinstance(constraint, QuadraticBound):
            body = self._squares(name, constraint.body)
            return QuadraticBound(body, constraint.lower, constraint.upper)
        if constraint.cone.is_linear:
            return self._rows(name, constraint) if self.kernel else constraint
        return self._membership(name, constraint)

    def _rows(self, name: str, constraint: InCone) -> InCone:
        """Linear rows, of numbers where the only parameters are in products that rows share."""
        (part,) = constraint.parts

        def is_shared(symbol: Any) -> bool:
            return isinstance(symbol, Scaled) and symbol.size < part.size

        if not part.is_parametric or not all(s.is_variable or is_shared(s) for s in part.terms):
            return constraint
        terms = {
            self._product(name, s) if is_shared(s) else s: block for s, block in part.terms.items()
        }
        rows = Affine(part.size, terms, part.constant, part.labels, part.notation)
        return InCone((rows,), constraint.cone, constraint.sign)

    def _product(self, name: str, product: Scaled) -> Affine:
        return self.result.introduce(f"{name}_product", Affine(product.size, {product: 1.0}))

    def _membership(self, name: str, constraint: InCone) -> InCone:
        cone, parts = constraint.cone, constraint.parts
        names = ["bound"] if cone.heads == 1 else ["left", "right", "third"][: cone.heads]
        factor = _positive_multiple(parts[0]) if cone.heads == 1 else 1.0
        if factor != 1.0:
            parts = tuple(part / factor for part in parts)
        if self.kernel:
            parts = cone.kernel_parts(parts)
        signed = cone.nonnegative if self.kernel else cone.signed(parts)
        heads = [
            self._head(f"{name}_{names[k]}", part, k in signed)
            for k, part in enumerate(parts[: cone.heads])
        ]
        vector = "vector" if cone.heads == 1 else "root"
        pieces = [self._piece(f"{name}_{vector}", part) for part in parts[cone.heads :]]
        return InCone((*heads, *pieces), cone, constraint.sign)

    def _head(self, name: str, expression: Affine, signed: bool) -> Affine:
        """A variable (nonnegative where that is meant) that equals the expression."""
        if not expression.terms and not self.kernel:
            return expression
        variable = bare(expression)
        if variable is not None:
            fits = variable.is_nonnegative and variable.name not in self.loose
            return variable if fits or not signed else self.result.introduce(name, expression, 0.0)
        if not signed and not self.kernel:
            return expression
        return self.result.introduce(name, expression, 0.0 if signed else -np.inf)

    def _piece(self, name: str, expression: Affine) -> Affine:
        """A variable that equals it, or the scalar one that stands in every row."""
        if bare(expression) is not None or (not self.kernel and is_multiple(expression)):
            return expression
        scalar = _scalar_in_every_row(expression)
        if scalar is not None and self.kernel:
            variable = self.result.introduce(name, scalar)
            return Affine(expression.size, {variable: np.ones(expression.size)})
        return self.result.introduce(name, expression)

    def _squares(self, name: str, body: Any) -> Any:
        if not isinstance(body, Composite):
            return body
        terms = []
        for weighted in body.terms:
            term = weighted.term
            if term.is_square and not is_multiple(term.a):
                v = self.result.introduce(f"{name}_vector", term.a)
                weighted = weighted._replace(term=Product(v, v))
            terms.append(weighted)
        return Composite(body.affine, tuple(terms), body.notation)


def bare(expression: Affine) -> Variable | None:
    """The variable that it is, None where it is something else."""
    if not is_multiple(expression):
        return None
    ((variable, block),) = expression.terms.items()
    fits = variable.size == expression.size and np.all(block == 1.0)
    return variable if fits else None


def _positive_multiple(bound: Affine) -> float:
    """k where the bound is k times a nonnegative scalar variable, else 1."""
    if is_multiple(bound):
        ((variable, block),) = bound.terms.items()
        if variable.size == 1 and variable.is_nonnegative and float(np.max(block)) > 0:
            return float(np.max(block))
    return 1.0


def _scalar_in_every_row(expression: Affine) -> Affine | None:
    """The scalar expression that all rows are, a multiple of one scalar variable."""
    if expression.size == 1 or not is_multiple(expression):
        return None
    ((variable, block),) = expression.terms.items()
    if variable.size == 1 and np.ndim(block) == 1 and np.ptp(block) == 0:
        return Affine(1, {variable: float(block[0])})
    return None
