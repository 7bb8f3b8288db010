"""Statements with something else in the place of their worst cases, such as the robust counterpart.

In the counterpart each worst case is what its set says of its direction, with the variables and
constraints that this takes; the names of the constraints stay.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from rrp_pyomo.modeling.composite import Composite, Weighted
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.operators import Comparison
from rrp_pyomo.modeling.statement import Statement
from rrp_pyomo.modeling.terms.worst_case import WorstCase, has_worst_case

#: Where an objective's worst cases stand; those of a constraint stand at its name.
OBJECTIVE = "objective"

S = TypeVar("S", bound=Statement)


class Place(NamedTuple):
    """Where a worst case stands: its term, and what multiplies it in left − right."""

    where: str
    weighted: Weighted

    @property
    def term(self) -> WorstCase:
        """The worst case."""
        term: WorstCase = self.weighted.term
        return term


def places(statement: Statement) -> list[Place]:
    """The worst cases of a statement, those of its objective first."""
    return [
        Place(where, weighted)
        for where, body in _bodies(statement)
        if isinstance(body, Composite)
        for weighted in body.terms
        if isinstance(weighted.term, WorstCase)
    ]


def _bodies(statement: Statement) -> Iterator[tuple[str, Any]]:
    yield OBJECTIVE, statement.objective
    for name, constraint in statement.constraints.items():
        if isinstance(constraint, Comparison):
            yield name, constraint.body


def is_uncertain(statement: Statement) -> bool:
    """Whether a statement has worst cases."""
    return any(has_worst_case(body) for _, body in _bodies(statement))


def counterpart(statement: S) -> S:
    """A statement of its own, with the same first variables, whose worst cases are expanded."""
    return rewritten(statement, lambda term: term.of.largest(term.side))


def rewritten(statement: S, by: Callable[[WorstCase], Any]) -> S:
    """A copy of a statement in which expressions stand in the place of its worst cases.

    Parameters
    ----------
    statement : Statement
    by : callable
        The expression for a worst case of the copy; called in the order of :func:`places`.
    """
    sets = [place.term.data.members for place in places(statement)]
    result = copy.deepcopy(statement, {id(members): members for members in sets})
    stated = [(n, c) for n, c in result.constraints.items() if has_worst_case(c)]
    result.objective = _rewritten(result.objective, by)
    for name, c in stated:
        assert isinstance(c, Comparison)
        left, right = _rewritten(c.left, by), _rewritten(c.right, by)
        result.constraints[name] = Comparison(left, c.sense, right, left - right)
    result.uncertain_data = {}
    return result


def _rewritten(side: Any, by: Callable[[WorstCase], Any]) -> Any:
    if not has_worst_case(side):
        return side
    total: Any = side.affine
    kept = tuple(w for w in side.terms if not isinstance(w.term, WorstCase))
    if kept:
        total = Composite(side.affine, kept)
    notation, parts = side.notation, []
    for weighted in side.terms:
        if isinstance(weighted.term, WorstCase):
            expression = by(weighted.term)
            notation = _replaced(notation, weighted.term.written, expression.notation)
            scaled = expression * weighted.weight
            parts.append(expression.notation if weighted.is_alone else scaled.notation)
            total = total + scaled
    if _holds_worst_case(notation):
        notation = _sum(side, kept, parts)
    total.notation = notation
    return total


def _sum(side: Composite, kept: tuple[Weighted, ...], parts: list[Any]) -> Any:
    """What is left of a side by its symbols, and the worst cases as they are written."""
    if side.affine.terms or kept:
        rest = Composite(side.affine, kept) if kept else Affine(1, side.affine.terms)
        parts = [repr(rest), *parts]
    total = parts[0]
    for part in parts[1:]:
        negative = type(part) is tuple and part[0] == "neg"
        total = joined("-", total, part[2]) if negative else joined("+", total, part)
    return total


def _replaced(notation: Any, part: Any, by: Any) -> Any:
    """A notation with another one in the place of a part."""
    if part is None or type(notation) is not tuple:
        return notation
    if notation == part:
        return by
    operation, _, *operands = notation
    return joined(operation, *(_replaced(operand, part, by) for operand in operands))


def _holds_worst_case(notation: Any) -> bool:
    return type(notation) is tuple and (
        notation[0] == "worst_case" or any(map(_holds_worst_case, notation[2:]))
    )
