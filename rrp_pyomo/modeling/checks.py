"""What a program refuses: labels, bounds and terms that no realisation could state."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.coefficients import Block
from rrp_pyomo.modeling.composite import Composite, Weighted
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.modeling.labels import aligned
from rrp_pyomo.modeling.operands import as_numbers
from rrp_pyomo.modeling.operators import Comparison, Expression


def distinct_labels(name: str, labels: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """The labels of a variable; none at all or a repeated one is an error."""
    labels = tuple(labels)
    if not labels:
        raise InputError(f"variable {name!r} has no labels; expected at least one, or None")
    if len(set(labels)) < len(labels):
        label, count = Counter(labels).most_common(1)[0]
        raise InputError(f"variable {name!r} has the label {label!r} {count} times; rename them")
    return labels


def ordered_bounds(name: str, labels: tuple[Hashable, ...] | int | None, *bounds: Any) -> list[Any]:
    """Lower and upper bounds, each a float or an array with an entry for each label."""
    if isinstance(labels, int):
        if labels < 1:
            raise InputError(f"variable {name!r} has {labels} rows; expected at least one, or None")
        labels = tuple(range(labels))
    size = 1 if labels is None else len(labels)
    lower, upper = numbers = [
        bound if type(bound) is float else _bound(name, labels, bound) for bound in bounds
    ]
    if type(lower) is type(upper) is float and lower <= upper and lower < np.inf > -upper:
        return numbers
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


def _bound(name: str, labels: tuple[Hashable, ...] | None, bound: Any) -> Any:
    if isinstance(bound, pd.Series) and labels is not None:
        return aligned(bound, labels, f"a bound of variable {name!r}")
    return as_numbers(bound)


def parameter_numbers(name: str, labels: tuple[Hashable, ...] | None, value: Any) -> FloatArray:
    """A parameter's value as an array with an entry for each label."""
    size = 1 if labels is None else len(labels)
    if isinstance(value, np.ndarray) and value.shape == (size,) and value.dtype == float:
        numbers = value.copy()
    else:
        numbers = _spread(name, labels, size, value)
    if not math.isfinite(numbers.sum()) and not np.isfinite(numbers).all():
        i = int((~np.isfinite(numbers)).argmax())
        of = "" if labels is None else f" at {labels[i]!r}"
        raise InputError(
            f"the value of parameter {name!r}{of} is {numbers[i]}; expected finite numbers"
        )
    return numbers


def _spread(name: str, labels: tuple[Hashable, ...] | None, size: int, value: Any) -> FloatArray:
    """The numbers of a mapping, a Series, or one for all."""
    if isinstance(value, Mapping):
        value = pd.Series(value)
    if hasattr(value, "index") and hasattr(value, "to_numpy"):
        if labels is None:
            raise InputError(f"parameter {name!r} is a scalar; a {type(value).__name__} was given")
        given = aligned(value, labels, f"the value of parameter {name!r}")
    else:
        given = as_numbers(value)
    if np.size(given) not in (1, size):
        raise InputError(
            f"{np.size(given)} values were given for parameter {name!r}; expected one"
            + (f", or {size}" if size > 1 else "")
        )
    return np.array(np.broadcast_to(given, (size,)), dtype=float)


def require_terms(program: Any, what: str, stated: Any) -> None:
    """Raise for another program's variables, and for coefficients that are NaN or infinite."""
    body = stated.body if isinstance(stated, Comparison) else stated
    expressions = list(body.affine_parts() if isinstance(body, Expression) else body.parts)
    if body is not stated and all(e.is_data for e in expressions):
        raise InputError(f"{what} has no variables; leave it out")
    for weighted in body.terms if isinstance(body, Composite) else ():
        if weighted.term.is_uncertain:
            raise _outside_worst_case(what, f"{weighted.term.name}(…) of a set")
        of = weighted.term.data
        if of is not None and of.program is not None and of.program is not program:
            raise _of_another(program, what, of)
    if isinstance(body, Composite) and not all(np.isfinite(w.numbers).all() for w in body.terms):
        raise InputError(f"{what} has a weight that is NaN or infinite; check the data")
    for expression in expressions:
        _require_own_and_finite(program, what, expression)


def require_named(program: Any, name: str, expression: Any) -> None:
    """Raise where something cannot be a named expression of a program."""
    if not isinstance(expression, Expression):
        raise InputError(
            f"expression {name!r} is a {type(expression).__name__}; expected an expression of the "
            "program's variables"
        )
    for weighted in expression.terms if isinstance(expression, Composite) else ():
        if not weighted.term.is_product:
            raise ModelError(
                f"expression {name!r} has the term {weighted.term.name}(…); expected affine "
                "functions and products: bound the term by a variable, and name that"
            )
    require_terms(program, f"expression {name!r}", expression)


def _require_own_and_finite(program: Any, what: str, expression: Affine) -> None:
    for symbol, block in expression.terms.items():
        if symbol.is_uncertain:
            raise _outside_worst_case(what, repr(expression))
        if symbol.program is not program:
            raise _of_another(program, what, symbol)
        if not _finite(block):
            raise InputError(
                f"{what} has a coefficient of {', '.join(map(repr, symbol.names()))} that is NaN "
                "or infinite; expected finite numbers: check the data"
            )
    if not _finite(expression.constant):
        raise InputError(
            f"{what} has a constant that is NaN or infinite; expected finite numbers: "
            "leave out rows that bound nothing"
        )


def _of_another(program: Any, what: str, symbol: Any) -> InputError:
    return InputError(
        f"{what} is about {', '.join(map(repr, symbol.names()))} of another program, "
        f"{symbol.program.name!r}; expected variables of {program.name!r} only"
    )


def _outside_worst_case(what: str, term: str) -> ModelError:
    return ModelError(
        f"{what}: {term} is uncertain and stands outside worst_case(…), where it has no value; "
        "write worst_case(…) around it, or give numbers in its place"
    )


def _finite(block: Block) -> bool:
    if isinstance(block, float):
        return math.isfinite(block)
    numbers = block if isinstance(block, np.ndarray) else block.data
    # A finite sum has finite terms; one that is not may have overflowed.
    total: float = np.add.reduce(numbers, axis=None)
    return math.isfinite(total) or bool(np.isfinite(numbers).all())


def require_convex(what: str, stated: Any, maximizing: bool = False) -> None:
    """Raise where a term, products apart, stands where it is not convex.

    On the small side of ``<=`` and in what is minimised, convex terms have positive weights and
    concave ones negative weights. Products may stand anywhere: nonlinear solvers take them, unless
    a parameter multiplies them in a constraint.
    """
    body = stated.body if isinstance(stated, Comparison) else stated
    if not isinstance(body, Composite):
        return
    sense = stated.sense if isinstance(stated, Comparison) else ""
    sign = -1.0 if sense == ">=" or (maximizing and not sense) else 1.0
    for weighted in body.terms:
        term = weighted.term
        if term.is_product:
            if sense and isinstance(weighted.weight, Affine):
                _require_convex_multiple(what, weighted, sign, sense)
            continue
        if sense == "==":
            raise ModelError(
                f"{what}: {term.name}(…) in an equation is not convex; state it as <= or >=, "
                "whichever side the optimum presses against"
            )
        if np.any(sign * term.curvature * np.asarray(weighted.numbers) < 0):
            raise ModelError(_wrong_sign(what, term, weighted, sense, maximizing))


def has_parametric_weight(stated: Any) -> bool:
    """Whether a parameter multiplies a term of a comparison or an objective."""
    body = stated.body if isinstance(stated, Comparison) else stated
    return isinstance(body, Composite) and any(isinstance(w.weight, Affine) for w in body.terms)


def _require_convex_multiple(what: str, weighted: Weighted, sign: float, sense: str) -> None:
    """A parameter multiplies what bounds a square from above, and no other product."""
    if sense != "==" and weighted.term.is_square and np.all(sign * weighted.numbers >= 0):
        return
    kind = "square" if weighted.term.is_square else "product"
    names = " and ".join(map(repr, weighted.weight.names()))
    raise ModelError(
        f"{what}: {names} multiplies a {kind} in a constraint that is not convex; bind "
        "the product to a variable, such as `v == x * y`, and multiply that"
    )


def _wrong_sign(what: str, term: Any, weighted: Weighted, sense: str, maximizing: bool) -> str:
    kind = "convex" if term.curvature > 0 else "concave"
    weight = float(np.ravel(weighted.numbers)[0])
    if np.size(weighted.numbers) > 1:
        weight = float(np.min(weighted.numbers * term.curvature))
    where = (
        f"in what is {'maximised' if maximizing else 'minimised'}"
        if not sense
        else f"in left - right {sense} 0"
    )
    needed = "large" if term.curvature > 0 else "small"
    return (
        f"{what}: {term.name}(…) is {kind} and has the weight {weight:g} {where}, which is not "
        f"convex; it can only be kept from getting {needed}: "
        + (
            f"minimise it, or bound it from above, `{term.name}(…) <= bound`"
            if term.curvature > 0
            else f"maximise it, or bound it from below, `{term.name}(…) >= bound`"
        )
    )
