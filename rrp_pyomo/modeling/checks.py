"""What a program refuses: labels, bounds and terms that no realisation could state."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.errors import InputError
from rrp_pyomo.modeling.coefficients import Block
from rrp_pyomo.modeling.constraints import (
    Constraint,
    Linear,
    NormBound,
    ProductBound,
    QuadraticBound,
)
from rrp_pyomo.modeling.expressions import Affine, Quadratic, as_numbers

if TYPE_CHECKING:
    from rrp_pyomo.modeling.program import Program


def distinct_labels(name: str, labels: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """The labels of a variable; none at all or a repeated one is an error."""
    labels = tuple(labels)
    if not labels:
        raise InputError(f"variable {name!r} has no labels; expected at least one, or None")
    if len(set(labels)) < len(labels):
        label, count = Counter(labels).most_common(1)[0]
        raise InputError(f"variable {name!r} has the label {label!r} {count} times; rename them")
    return labels


def ordered_bounds(name: str, labels: tuple[Hashable, ...] | None, *bounds: Any) -> list[Any]:
    """Lower and upper bounds, each a float or an array with an entry for each label."""
    size = 1 if labels is None else len(labels)
    lower, upper = numbers = [as_numbers(bound) for bound in bounds]
    for bound in numbers:
        if np.size(bound) not in (1, size):
            raise InputError(
                f"variable {name!r} has {np.size(bound)} bounds; expected one, or {size}"
            )
    ordered = (lower <= upper) & (lower < np.inf) & (upper > -np.inf)
    if not np.all(ordered):
        i = int(np.broadcast_to(ordered, (size,)).argmin())
        of = f"variable {name!r}" if labels is None else f"entry {labels[i]!r} of variable {name!r}"
        low, high = (np.broadcast_to(bound, (size,))[i] for bound in numbers)
        raise InputError(f"{of} has the bounds {low} and {high}; expected numbers, lower ≤ upper")
    return numbers


def require_terms(program: Program, what: str, stated: Constraint | Affine | Quadratic) -> None:
    """Raise for another program's variables, and for coefficients that are NaN or infinite."""
    expressions = list(_parts(stated))
    if isinstance(stated, Constraint) and not any(e.terms for e in expressions):
        raise InputError(f"{what} has no variables; leave it out")
    for expression in expressions:
        for variable, block in expression.terms.items():
            if variable.program is not program:
                raise InputError(
                    f"{what} is about {variable.name!r} of another program, "
                    f"{variable.program.name!r}; expected variables of {program.name!r} only"
                )
            if not _finite(block):
                raise InputError(
                    f"{what} has a coefficient of {variable.name!r} that is NaN or infinite; "
                    "expected finite numbers: check the data"
                )
        if not _finite(expression.constant):
            raise InputError(
                f"{what} has a constant that is NaN or infinite; expected finite numbers: "
                "leave out rows that bound nothing"
            )


def _finite(block: Block) -> bool:
    if isinstance(block, float):
        return math.isfinite(block)
    return bool(np.isfinite(block.data if sp.issparse(block) else block).all())


def _parts(stated: Constraint | Affine | Quadratic) -> Iterator[Affine]:
    """The affine expressions of a constraint or an objective."""
    match stated:
        case Affine():
            yield stated
        case Quadratic():
            yield stated.affine
            for product in stated.products:
                yield from (product.a, product.b, Affine(1, {}, product.weight))
        case NormBound(parts, bound):
            yield from (*parts, bound)
        case ProductBound(a, b, c):
            yield from (a, b, c)
        case Linear(body) | QuadraticBound(body):
            yield from _parts(body)
