"""What a solver need not see: variables that one row determines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.coefficients import entry_count
from rrp_pyomo.modeling.composite import as_composite
from rrp_pyomo.modeling.cones import Cone, Nonnegative, Rotated, SecondOrder
from rrp_pyomo.modeling.constraints import InCone
from rrp_pyomo.modeling.expressions import Affine, Scaled
from rrp_pyomo.modeling.symbols import Variable
from rrp_pyomo.realise.lowering import Lowered, Source, copied

# A rotated cone writes each of its heads twice: so many coefficients a row may that cost.
_MOST_REPEATED = 8
# How many times cones write a head.
_COPIES: dict[type[Cone], int] = {SecondOrder: 1, Rotated: 2}


class Reduced(Lowered):
    """A lowered statement with fewer variables, which has the same solutions.

    Where a single row v ≤ E keeps v from growing, and v is otherwise in one head of one cone,
    which is not left where v grows, v = E is as good as any value: the head is stated with E, and
    the row and v are gone. A bound v ≥ 0 goes with them: by itself, the head is never negative.

    Attributes
    ----------
    determined : dict of Variable to Affine
        The variables that are gone, and what they are.
    kept : (k,) array or None
        The columns that are left; None where these are all.
    """

    determined: dict[Variable, Affine]
    kept: IntArray | None

    def complete(self, x: FloatArray, rows: Sequence[Rows]) -> FloatArray:
        """A point of all variables from one of those that are left, and the rows of the others."""
        if self.kept is None:
            return x[: self.columns]
        point = np.zeros(self.columns)
        point[self.kept] = x[: self.kept.size]
        for v, own in zip(self.determined, rows, strict=True):
            point[v.offset : v.offset + v.size] = own.value(point)
        return point


class _Use(NamedTuple):
    """Where a symbol stands: in which part of which membership."""

    name: str
    part: int


def reduced(source: Lowered) -> Reduced:
    """A lowered statement without what its solver need not see."""
    result = Reduced.__new__(Reduced)
    vars(result).update(vars(copied(source)))
    result.determined, result.kept = {}, None
    uses = _uses(source)
    if uses is None:
        return result
    for v, found in _candidates(source, uses):
        _determine(result, v, *found)
    if result.determined:
        gone = np.zeros(source.columns, bool)
        for v in result.determined:
            gone[v.offset : v.offset + v.size] = True
        result.kept = np.flatnonzero(~gone)
    return result


def _uses(source: Lowered) -> dict[Any, list[_Use]] | None:
    """Where each symbol stands in memberships; None where there is something else."""
    uses: dict[Any, list[_Use]] = {}
    for name, constraint in source.stated.items():
        if not isinstance(constraint, InCone):
            return None
        for k, part in enumerate(constraint.parts):
            for symbol in part.terms:
                uses.setdefault(symbol, []).append(_Use(name, k))
    return uses


def _candidates(
    source: Lowered, uses: dict[Any, list[_Use]]
) -> Iterator[tuple[Variable, tuple[_Use, _Use]]]:
    """Variables in one inequality and in one head of a cone, and nowhere else."""
    pairs = [(v, found) for v, found in uses.items() if len(found) == 2 and v.is_variable]
    if not pairs:
        return
    elsewhere = set(as_composite(source.objective).affine.terms)
    for part in as_composite(source.objective).affine_parts():
        elsewhere.update(part.terms)
    for symbol in (*uses, *elsewhere):
        if isinstance(symbol, Scaled):
            elsewhere.update(symbol.inner.terms)
    for v, (row, head) in pairs:
        if type(_stated(source, row).cone) is not Nonnegative:
            row, head = head, row
        if (
            v not in elsewhere
            and type(_stated(source, row).cone) is Nonnegative
            and head.part < _heads(_stated(source, head).cone)
        ):
            yield v, (row, head)


def _stated(source: Lowered, use: _Use) -> InCone:
    membership = source.stated[use.name]
    assert isinstance(membership, InCone)  # as all of them are
    return membership


def _heads(cone: Cone) -> int:
    """How many parts of a cone keep it where they are larger."""
    return cone.heads if type(cone) in _COPIES else 0


def _determine(result: Reduced, v: Variable, row: _Use, head: _Use) -> None:
    """Put what bounds a variable in its place, if nothing else does and it is worth it."""
    if row.name not in result.stated:  # it determines another one already
        return
    (bound,), cone = _stated(result, row).parts, _stated(result, head)
    part = cone.parts[head.part]
    slope, factor = bound.terms[v], part.terms[v]
    if (
        v.domain != "continuous"
        or not _is(np.equal, v.upper, np.inf)
        or not (_is_multiple(v, bound) and _is(np.less, slope, 0.0))
        or not (_is_multiple(v, part) and _is(np.greater, factor, 0.0))
        or not (_is(np.equal, v.lower, -np.inf) or _is_head_alone(v, part))
    ):
        return
    others = {s: block for s, block in bound.terms.items() if s is not v}
    entries = sum(entry_count(block, bound.size, s.size) for s, block in others.items())
    if (_COPIES[type(cone.cone)] - 1) * entries > _MOST_REPEATED * bound.size:
        return
    if any(s in result.determined for s in others):
        return
    value = Affine(bound.size, others, bound.constant, bound.labels)._scaled(-1.0 / slope)
    rest = Affine(part.size, {s: b for s, b in part.terms.items() if s is not v}, part.constant)
    parts = list(cone.parts)
    parts[head.part] = rest + value._scaled(factor)
    result.determined[v] = value
    result.stated[head.name] = InCone(tuple(parts), cone.cone, cone.sign)
    del result.stated[row.name]
    by = -factor / slope
    for name, sources in result.duals.items():
        result.duals[name] = [
            Source(head.name, head.part, s.coefficient * by) if s.membership == row.name else s
            for s in sources
        ]


def _is(comparison: Any, a: Any, b: float) -> bool:
    """Whether a comparison holds for a number, or for all of an array."""
    return bool(comparison(a, b)) if isinstance(a, float) else bool(comparison(a, b).all())


def _is_multiple(v: Variable, part: Affine) -> bool:
    """Whether each row of a part has a number times its own entry of a variable."""
    block = part.terms[v]
    return v.size == part.size and (
        isinstance(block, float) or (isinstance(block, np.ndarray) and block.ndim == 1)
    )


def _is_head_alone(v: Any, part: Affine) -> bool:
    """Whether a part is a positive multiple of a variable that may be 0, and nothing else."""
    return (
        len(part.terms) == 1
        and v.is_variable
        and _is_multiple(v, part)
        and _is(np.greater, part.terms[v], 0.0)
        and _is(np.equal, part.constant, 0.0)
        and _is(np.less_equal, v.lower, 0.0)
    )
