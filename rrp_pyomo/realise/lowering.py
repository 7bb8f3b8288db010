"""Where terms become cones: the first step of every realisation.

Every constraint of the statement that comes out is a membership in a cone, or a quadratic that is
none; the original variables are at their places, auxiliary ones after them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.coefficients import entry_count
from rrp_pyomo.modeling.composite import Composite, Product, Weighted, as_composite
from rrp_pyomo.modeling.cones import NONNEGATIVE, ROTATED
from rrp_pyomo.modeling.constraints import (
    Bounded,
    InCone,
    QuadraticBound,
    Stated,
    membership,
    vanishing_parts,
)
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.modeling.operators import Comparison
from rrp_pyomo.modeling.statement import Statement
from rrp_pyomo.modeling.symbols import Variable

_ONE = Affine(1, {}, 1.0)


class Source(NamedTuple):
    """Where the dual of a comparison is read: ``coefficient`` times the multiplier of a part."""

    membership: str
    part: int
    coefficient: Any


class Lowered(Statement):
    """A statement whose constraints are memberships and quadratics only.

    Attributes
    ----------
    stated : dict of str to InCone or QuadraticBound
    duals : dict of str to list of Source
        By the name of each comparison whose dual is a sum of multipliers.
    """

    stated: dict[str, Stated]
    duals: dict[str, list[Source]]

    def define(self, name: str, expression: Affine, *args: Any, **kwargs: Any) -> Variable:
        variable = super().define(name, expression, *args, **kwargs)
        definition = f"{name}_definition"
        comparison: Any = self.constraints[definition]
        cone = membership(comparison)
        assert cone is not None
        self.stated[definition] = cone
        self.duals[definition] = [Source(definition, 0, 1.0)]
        return variable

    def introduce(self, name: str, expression: Affine, lower: float = -np.inf) -> Variable:
        """A variable that equals an expression, with a free name and a unit that fits."""
        labels = None if expression.size == 1 else expression.labels or expression.size
        return self.define(
            self.free_name(name), expression, labels, lower=lower, unit=expression.magnitude
        )


def copied(source: Statement) -> Lowered:
    """A statement to be changed, with the same variables."""
    result = Lowered.__new__(Lowered)
    vars(result).update(vars(source))
    for name in ("variables", "constraints", "duals", "stated"):
        setattr(result, name, dict(getattr(source, name, {})))
    result.definitions = list(source.definitions)
    return result


def lowered(statement: Statement) -> Lowered:
    """The statement with its terms replaced by what bounds them, and squares by rotated cones.

    The squares of an objective stay, unless lifting them is what keeps a factored variance
    factored.
    """
    result = copied(statement)
    for name, constraint in statement.constraints.items():
        if isinstance(constraint, InCone):
            result.stated[name] = constraint
        else:
            _lower_comparison(result, name, constraint)
    if isinstance(statement.objective, Composite):
        sign = -1.0 if statement.maximizing else 1.0
        small = statement.objective * sign
        small = _without_terms(result, "objective", small, parametric_squares=True)
        result.objective = _without_dense_squares(result, small) * sign
    return result


def _lower_comparison(result: Lowered, name: str, comparison: Comparison) -> None:
    cone = membership(comparison)
    if cone is not None:
        result.stated[name] = cone
        if cone.cone.is_linear:
            has_slope = not vanishing_parts(comparison)
            result.duals[name] = [Source(name, 0, cone.sign if has_slope else np.nan)]
        return
    if comparison.sense == "==":
        result.stated[name] = QuadraticBound(as_composite(comparison.body), 0.0, 0.0)
        return
    small = as_composite(comparison.body if comparison.sign > 0.0 else -comparison.body)
    if _is_bounded_term(small):
        sources = _bound_directly(result, name, small)
    else:
        small = _without_terms(result, name, small)
        sources = _at_most_zero(result, name, small, -comparison.sign)
    sign = np.nan if vanishing_parts(comparison) else comparison.sign
    result.duals[name] = [
        source._replace(coefficient=sign * source.coefficient) for source in sources
    ]


def _is_bounded_term(small: Composite) -> bool:
    """Whether it is number · term + affine, so that affine bounds the term."""
    if len(small.terms) != 1:
        return False
    term, weight, summed = small.terms[0]
    return (
        not term.is_product
        and not isinstance(weight, Affine)
        and bool(np.all(np.asarray(weight) != 0.0))
        and (not summed or term.size == 1)
    )


def _bound_directly(result: Lowered, name: str, small: Composite) -> list[Source]:
    """c · term + affine ≤ 0 as term ≤ −affine / c (≥ for the concave ones, where c < 0)."""
    term, weight, _ = small.terms[0]
    if type(weight) is float and weight == 1.0:
        return _bounded(result, name, term, -small.affine, -1.0)
    return _bounded(result, name, term, small.affine * (-1.0 / weight), -1.0 / weight)


def _bounded(
    result: Lowered, name: str, term: Any, bound: Affine, coefficient: Any
) -> list[Source]:
    def new(
        suffix: str,
        labels: Iterable[Hashable] | int | None,
        value: Callable[[FloatArray], FloatArray],
        lower: float,
    ) -> Variable:
        return _auxiliary(result, f"{name}_{suffix}", term, labels, value, lower)

    sources = []
    bounded: list[Bounded] = term.epigraph(bound, new)
    for suffix, cone, part, own in bounded:
        full = name if not suffix else f"{name}_{suffix}"
        if full in result.stated or (suffix and full in result.constraints):
            full = result.free_name(full)
        result.stated[full] = cone
        if part is not None:
            sources.append(Source(full, part, coefficient * own))
    return sources


def _auxiliary(
    result: Lowered,
    name: str,
    term: Any,
    labels: Iterable[Hashable] | int | None,
    value: Callable[[FloatArray], FloatArray],
    lower: float,
) -> Variable:
    """A variable of a term's size, with the function of a point that gives its best values."""
    unit = term_magnitude(term)
    variable = result.variable(result.free_name(name), labels, lower=lower, unit=unit)
    result.definitions.append((variable, value))
    return variable


def _without_terms(
    result: Lowered, name: str, small: Composite, parametric_squares: bool = False
) -> Composite:
    """Terms other than products replaced by variables that bound them.

    Squares that a parameter multiplies are terms of their own, unless they may stay.
    """
    affine, products = small.affine, []
    for weighted in small.terms:
        term = weighted.term
        has_parameter = isinstance(weighted.weight, Affine)
        if term.is_product and (parametric_squares or not has_parameter):
            products.append(weighted)
            continue
        if not has_parameter and np.all(np.asarray(weighted.weight) == 0.0):
            continue
        affine = affine + _in_its_place(result, name, weighted)
    return Composite(affine, tuple(products), small.notation)


def _in_its_place(result: Lowered, name: str, weighted: Weighted) -> Affine:
    """``weight ∘ s``, summed where the term is, with a new s that bounds the term."""
    term = weighted.term
    labels = None if term.size == 1 else term.labels or term.size
    lower = 0.0 if term.is_product else term.lower
    s = _auxiliary(result, f"{name}_{term.name}", term, labels, term.value, lower)
    if term.is_product:
        result.stated[f"{s.name}_cone"] = InCone((s, _ONE, term.a), ROTATED)
    else:
        _bounded(result, f"{s.name}_bound", term, s, 1.0)
    scaled: Affine = s * weighted.weight
    return scaled.sum() if weighted.summed else scaled


def _at_most_zero(result: Lowered, name: str, small: Composite, sign: float) -> list[Source]:
    """affine + products ≤ 0 as linear rows, as a rotated cone, or as a quadratic.

    Where ``sign`` is 1 it was written as −affine − products ≥ 0.
    """
    if not small.terms:
        result.stated[name] = InCone((-small.affine,), NONNEGATIVE, sign)
    elif is_sum_of_squares(small):
        roots = (w.term.a * np.sqrt(w.numbers) for w in small.terms)
        result.stated[name] = InCone((-small.affine, _ONE, *roots), ROTATED, sign)
    else:
        bounds = (-np.inf, 0.0) if sign < 0 else (0.0, np.inf)
        result.stated[name] = QuadraticBound(small * -sign, *bounds)
        return []
    return [Source(name, 0, -1.0)]


def is_sum_of_squares(body: Composite, sign: float = 1.0) -> bool:
    """Whether a quadratic (or its negative) is Σ w‖e‖² + affine with w ≥ 0, by its form."""
    if body.size > 1 and any(w.summed for w in body.terms):
        return False
    return all(
        w.term.is_product and w.term.is_square and np.all(sign * np.asarray(w.numbers) >= 0)
        for w in body.terms
    )


def _without_dense_squares(result: Lowered, small: Composite) -> Composite:
    """Squares whose matrix G'G would have more entries than G and the variables v = G x."""
    if not is_sum_of_squares(small):
        return small
    lifted = tuple(_lifted_if_dense(result, weighted) for weighted in small.terms)
    return Composite(small.affine, lifted, small.notation)


def _lifted_if_dense(result: Lowered, weighted: Weighted) -> Weighted:
    term = weighted.term
    if is_multiple(term.a):
        return weighted
    rows, columns = term.a.size, sum(symbol.size for symbol in term.a.terms)
    entries = sum(entry_count(b, rows, s.size) for s, b in term.a.terms.items())
    by_row = entries / rows
    squared = min(entries * (by_row + 1.0), columns * (columns + 1.0)) / 2
    if squared <= entries + 2 * rows:
        return weighted
    v = result.introduce("objective_vector", term.a)
    return weighted._replace(term=Product(v, v))


def is_multiple(expression: Affine) -> bool:
    """Whether each row is a multiple of one entry of one variable, without a constant."""
    return (
        len(expression.terms) == 1
        and not np.any(expression.constant)
        and all(
            s.is_variable and isinstance(b, (float, np.ndarray)) and np.ndim(b) < 2
            for s, b in expression.terms.items()
        )
    )


def term_magnitude(term: Any) -> float:
    """The typical size of a term's values."""
    sizes = [e.magnitude for e in term.arguments]
    return float(term.magnitude(*sizes))
