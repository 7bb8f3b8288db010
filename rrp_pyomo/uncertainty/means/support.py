"""Support functions that take variables of their own, as terms of the language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, Composite
from rrp_pyomo.modeling.composite import Term, as_composite
from rrp_pyomo.modeling.cones import NONNEGATIVE
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.uncertainty.mean_set import MeanSet


class SupportTerm(Term):
    """(σ(d) − μ̂'d) / unit ≤ t for a set of means, by the memberships that it has for it.

    Divided by the set's unit the values are of the size of d, as the variables are that it takes.
    """

    name = "support"
    curvature = 1
    lower = 0.0

    def __init__(
        self, given: MeanSet, d: Affine, memberships: Callable[[Affine, Affine, Any], list[Bounded]]
    ) -> None:
        self.arguments = (d,)
        self.given = given
        self.memberships = memberships

    def value(self, x: FloatArray) -> FloatArray:
        d = self.arguments[0].value(x)
        return np.array([(self.given._support(d) - self.given._center @ d) / self.given._unit])

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        return self.memberships(self.arguments[0], bound, new)


def support_term(given: MeanSet, d: Affine, memberships: Any) -> Composite:
    """σ(d) − μ̂'d of a set that says by which memberships (σ(d) − μ̂'d) / unit is bounded."""
    term = SupportTerm(given, d, memberships)
    return Composite.of(term, joined("support", d.notation)) * given._unit


def at_most(
    small: Affine | Composite, bound: Affine, new: Any, prefix: str, coefficient: float | None
) -> list[Bounded]:
    """The memberships that say affine + Σ c_k · term_k ≤ bound, for convex terms and c ≥ 0.

    Parameters
    ----------
    prefix : str
        What their suffixes begin with: no two memberships of a term have one name.
    coefficient : float or None
        What multiplies the outer term's bound in this one; None where it is not in it.
    """
    body = as_composite(small)
    slack = bound - body.affine
    if len(body.terms) == 1 and body.terms[0].size == body.terms[0].term.size == 1:
        ((term, weight, _),) = body.terms
        inner = 1.0 / float(np.ravel(weight)[0])
        own = None if coefficient is None else coefficient * inner
        return [_within(b, prefix, own) for b in term.epigraph(slack * inner, new)]
    memberships: list[Bounded] = []
    for k, (term, weight, summed) in enumerate(body.terms):
        labels = None if term.size == 1 else term.labels or term.size
        s = new(f"{term.name}_{k}", labels, term.value, term.lower)
        share = s * weight
        slack = slack - (share.sum() if summed else share)
        memberships += [_within(b, f"{prefix}_{term.name}{k}", None) for b in term.epigraph(s, new)]
    part = None if coefficient is None else 0
    return [
        Bounded(prefix, InCone((slack,), NONNEGATIVE), part, coefficient or 1.0),
        *memberships,
    ]


def _within(bounded: Bounded, prefix: str, coefficient: float | None) -> Bounded:
    """A membership of an inner term as one of the outer term."""
    suffix = f"{prefix}_{bounded.suffix}" if bounded.suffix else prefix
    if coefficient is None or bounded.part is None:
        return bounded._replace(suffix=suffix, part=None)
    return bounded._replace(suffix=suffix, coefficient=bounded.coefficient * coefficient)
