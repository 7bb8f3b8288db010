"""Expressions of Pyomo as a(x) + Σ_j p_j b_j(x), the p_j being some of their mutable Params."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pyomo.core.expr import numeric_expr as ne
from pyomo.core.expr.numvalue import native_types
from pyomo.core.expr.visitor import StreamBasedExpressionVisitor

#: For each Param by its id, what it multiplies.
Coefficients = dict[int, Any]


class NotAffineError(Exception):
    """The expression is not affine in the Params; the message says where and why."""


class ParameterTerms(NamedTuple):
    """``rest + Σ_j p_j · coefficients[id(p_j)]``.

    Attributes
    ----------
    rest : expression or number
        a(x), without the Params.
    coefficients : dict
        b_j(x) of every Param that occurs, without any of them.
    """

    rest: Any
    coefficients: Coefficients

    def __sub__(self, other: Any) -> ParameterTerms:
        return combined([self, other.negated()])

    def negated(self) -> ParameterTerms:
        return self.multiplied(-1.0)

    def multiplied(self, factor: Any) -> ParameterTerms:
        """The product with what has none of the Params."""
        scaled = {j: _times(factor, b) for j, b in self.coefficients.items()}
        return ParameterTerms(_times(factor, self.rest), scaled)

    def at(self, values: Mapping[int, float]) -> ParameterTerms:
        """With the Params replaced by numbers."""
        terms = [_times(values[j], b) for j, b in self.coefficients.items()]
        return ParameterTerms(_sum([self.rest, *terms]), {})


def mentions(expression: Any, params: Collection[int]) -> bool:
    """Whether one of the Params, given by their ids, is in an expression."""
    to_visit = [expression]
    while to_visit:
        node = to_visit.pop()
        if node.__class__ in native_types:
            continue
        if node.is_expression_type():
            to_visit.extend(node.args)
        elif id(node) in params:
            return True
    return False


def parameter_terms(expression: Any, params: Collection[int]) -> ParameterTerms:
    """Collect what multiplies each of the Params, which are given by their ids.

    Subtrees without them are kept as they are, named expressions and other Params among them.

    Raises
    ------
    NotAffineError
        A Param is multiplied by one of them, in a denominator, an exponent, under a power or in
        another function.
    """
    if expression.__class__ is ne.SumExpression:  # most of whose terms may be without any
        return combined([_collected(term, params) for term in expression.args])
    return _collected(expression, params)


def _collected(expression: Any, params: Collection[int]) -> ParameterTerms:
    if not mentions(expression, params):
        return ParameterTerms(expression, {})
    if not expression.is_expression_type():
        return ParameterTerms(0.0, {id(expression): 1.0})
    terms: ParameterTerms = _Collector(params).walk_expression(expression)
    return terms


def combined(parts: list[ParameterTerms]) -> ParameterTerms:
    """The sum."""
    coefficients: dict[int, list[Any]] = {}
    for part in parts:
        for j, b in part.coefficients.items():
            coefficients.setdefault(j, []).append(b)
    return ParameterTerms(
        _sum([p.rest for p in parts]), {j: _sum(b) for j, b in coefficients.items()}
    )


class _Collector(StreamBasedExpressionVisitor):  # type: ignore[misc]
    """Goes through an expression without recursion: Pyomo's may be deeper than Python's stack."""

    def __init__(self, params: Collection[int]) -> None:
        super().__init__()
        self._params = params

    def beforeChild(self, node: Any, child: Any, index: int) -> tuple[bool, Any]:
        if child.__class__ in native_types:
            return False, ParameterTerms(child, {})
        if id(child) in self._params:
            return False, ParameterTerms(0.0, {id(child): 1.0})
        descend = child.is_expression_type()
        return descend, None if descend else ParameterTerms(child, {})

    def exitNode(self, node: Any, parts: list[ParameterTerms]) -> ParameterTerms:
        uncertain = [part for part in parts if part.coefficients]
        if not uncertain:
            return ParameterTerms(node, {})
        if isinstance(node, ne.SumExpression):
            return combined(parts)
        if isinstance(node, ne.NegationExpression):
            return parts[0].negated()
        if isinstance(node, ne.ProductExpression):
            return _product(node, *parts)
        if isinstance(node, ne.DivisionExpression):
            numerator, denominator = parts
            if denominator.coefficients:
                raise NotAffineError(f"divides by an uncertain Param in {_brief(node)}")
            return numerator.multiplied(1.0 / denominator.rest)
        if node.is_named_expression_type():
            return parts[0]
        if isinstance(node, ne.PowExpression):
            raise NotAffineError(f"has an uncertain Param in the power {_brief(node)}")
        raise NotAffineError(f"has an uncertain Param inside of {_brief(node)}")


def _product(node: Any, left: ParameterTerms, right: ParameterTerms) -> ParameterTerms:
    if left.coefficients and right.coefficients:
        raise NotAffineError(f"multiplies uncertain Params by each other in {_brief(node)}")
    if right.coefficients:
        return right.multiplied(left.rest)
    return left.multiplied(right.rest)


def _times(factor: Any, term: Any) -> Any:
    return 0.0 if _is_zero(factor) or _is_zero(term) else factor * term


def _is_zero(term: Any) -> bool:
    return term.__class__ in native_types and term == 0


def _sum(terms: list[Any]) -> Any:
    """One term as it is; zeros left out."""
    terms = [t for t in terms if not _is_zero(t)]
    if len(terms) < 2:
        return terms[0] if terms else 0.0
    return sum(terms[1:], terms[0])


def _brief(node: Any) -> str:
    text = str(node)
    return text if len(text) <= 80 else f"{text[:80]}…"
