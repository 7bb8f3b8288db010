"""The conic constraints of ``pyomo.kernel.conic``: which variables they have, and their signs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pyomo.core.kernel import conic


class KernelCone(NamedTuple):
    """How conic constraints of one type are read.

    Attributes
    ----------
    members : callable
        The variables of a constraint, in the order of its dual tuple.
    signs : callable
        The places of the members, of a given number, that are nonnegative in the cone, and after
        them those that are nonpositive.
    bounds_needed : bool
        Whether Pyomo calls the constraint convex only where bounds state these signs. Geometric
        means, which it has as domains only, include them.
    """

    members: Callable[[Any], Sequence[Any]]
    signs: Callable[[int], tuple[Sequence[int], Sequence[int]]]
    bounds_needed: bool = True


def _head_and_vector(c: Any) -> Sequence[Any]:
    return c.r, *c.x


def _heads_and_vector(c: Any) -> Sequence[Any]:
    return c.r1, c.r2, *c.x


def _exponential(c: Any) -> Sequence[Any]:
    return c.r, c.x1, c.x2


def _geomean(c: Any) -> Sequence[Any]:
    return *c.r, c.x


def _one_head(dimension: int) -> tuple[Sequence[int], Sequence[int]]:
    return (0,), ()


def _two_heads(dimension: int) -> tuple[Sequence[int], Sequence[int]]:
    return (0, 1), ()


def _first_and_last(dimension: int) -> tuple[Sequence[int], Sequence[int]]:
    return (0,), (dimension - 1,)


def _all_but_last(dimension: int) -> tuple[Sequence[int], Sequence[int]]:
    return range(dimension - 1), ()


#: By the type of the constraint.
KERNEL_CONES = {
    conic.quadratic: KernelCone(_head_and_vector, _one_head),
    conic.rotated_quadratic: KernelCone(_heads_and_vector, _two_heads),
    conic.primal_exponential: KernelCone(_exponential, _two_heads),
    conic.dual_exponential: KernelCone(_exponential, _first_and_last),
    conic.primal_power: KernelCone(_heads_and_vector, _two_heads),
    conic.dual_power: KernelCone(_heads_and_vector, _two_heads),
    conic.primal_geomean: KernelCone(_geomean, _all_but_last, bounds_needed=False),
    conic.dual_geomean: KernelCone(_geomean, _all_but_last, bounds_needed=False),
}
