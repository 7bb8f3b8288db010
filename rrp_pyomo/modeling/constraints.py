"""Constraints: what comparing two expressions makes, four kinds in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.modeling.expressions import (
    Affine,
    Norm,
    Quadratic,
    common_size,
    repeated_rows,
)


class _Constraint:
    def __bool__(self) -> bool:
        raise InputError(
            "a constraint has no truth value; state `a <= b <= c` as two constraints, "
            "and give every constraint to Program.subject_to"
        )


@dataclass(frozen=True, eq=False)
class Linear(_Constraint):
    """``lower ≤ body ≤ upper`` row by row."""

    body: Affine
    lower: float
    upper: float


@dataclass(frozen=True, eq=False)
class NormBound(_Constraint):
    """``‖parts‖₂ ≤ bound``: a second-order cone."""

    parts: tuple[Affine, ...]
    bound: Affine


@dataclass(frozen=True, eq=False)
class ProductBound(_Constraint):
    """``a ∘ b ≥ c²`` row by row with a, b ≥ 0: rotated second-order cones."""

    a: Affine
    b: Affine
    c: Affine


@dataclass(frozen=True, eq=False)
class QuadraticBound(_Constraint):
    """``lower ≤ body ≤ upper`` row by row; conic where it bounds a sum of squares from above."""

    body: Quadratic
    lower: float
    upper: float


Constraint: TypeAlias = Linear | NormBound | ProductBound | QuadraticBound

_BOUNDS = {"<=": (-np.inf, 0.0), ">=": (0.0, np.inf), "==": (0.0, 0.0)}
_MIRRORED = {"<=": ">=", ">=": "<=", "==": "=="}


def compare(left: Any, right: Any, sense: str) -> Constraint:
    """The constraint that a comparison states, by the form of its sides."""
    if isinstance(right, Norm) and not isinstance(left, Norm):
        left, right, sense = right, left, _MIRRORED[sense]
    if isinstance(left, Norm):
        if sense != "<=" or isinstance(right, (Norm, Quadratic)):
            raise InputError("a norm can only be bounded from above, by an affine expression")
        return _norm_bound(left, Affine(1, {}) + right)
    if isinstance(left, Quadratic) and isinstance(right, Quadratic):
        if sense == "<=":
            left, right = right, left
        if sense != "==" and (product_bound := _product_bound(left, right)) is not None:
            return product_bound
        body, sense = left - right, sense if sense == "==" else ">="
    else:
        body = left - right
    if isinstance(body, Quadratic):
        return QuadraticBound(body, *_BOUNDS[sense])
    return Linear(body, *_BOUNDS[sense])


def _norm_bound(norm: Norm, bound: Affine) -> NormBound | Linear:
    if bound.size != 1:
        raise InputError(f"the bound of a norm has {bound.size} rows; expected a scalar")
    if norm.factor == 0.0:
        return Linear(bound, 0.0, np.inf)
    return NormBound(norm.parts, bound if norm.factor == 1.0 else bound / norm.factor)


def _product_bound(left: Quadratic, right: Quadratic) -> ProductBound | None:
    """``a ∘ b >= square(c)``, recognised by its form."""
    if not (left.is_pure and right.is_pure and right.products[0].is_square):
        return None
    product, squared = left.products[0], right.products[0]
    if product.summed or squared.summed or np.any(np.asarray(squared.weight) < 0):
        return None
    # x² ≥ c² holds for negative x too.
    if product.is_square or np.any(np.asarray(product.weight) <= 0):
        return None
    c = squared.a * np.sqrt(squared.weight / product.weight)
    size = common_size(left.size, c.size)
    return ProductBound(*(repeated_rows(e, size) for e in (product.a, product.b, c)))
