"""The second-order cone: norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.kernel as pmo

from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Product, Weighted
from rrp_pyomo.modeling.cones.base import Cone, Quadratic, interleaved, lengths
from rrp_pyomo.modeling.expressions import Affine


class SecondOrder(Cone):
    """{‖v‖₂ ≤ t}. It is its own dual; smooth: t² − v'v ≥ 0 with t ≥ 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo.modeling.cones import SecondOrder
    >>> SecondOrder().violation(np.array([4.0]), np.array([3.0, 4.0])).tolist()
    [1.0]
    """

    name = "second-order"
    part_names = ("t", "v")
    heads = 1
    nonnegative = (0,)
    takes = Takes.SECOND_ORDER
    shapes = ((1, 3), (1, 2, 1), (2, 2, 2))

    def rows(self, builder: ConicBuilder, parts: Sequence[Rows]) -> int:
        return builder.second_order(parts[0], interleaved(parts[0].size, parts[1:]))

    def violation(self, *parts: FloatArray) -> FloatArray:
        return lengths(parts[1:], parts[0].size) - parts[0]

    def quadratic(self, *parts: Affine) -> Quadratic:
        t, *pieces = parts
        squared = Weighted(Product(t, t), -1.0)
        body = Composite(Affine(t.size, {}, labels=t.labels), (*squares(t.size, pieces), squared))
        return body, -np.inf, 0.0

    def kernel(self, *entries: Any) -> Any:
        t, vector = entries
        return pmo.conic.quadratic(t, vector)


def squares(count: int, pieces: Sequence[Affine], weight: float = 1.0) -> tuple[Weighted, ...]:
    """± ‖pieces‖² of each cone, as terms."""
    return tuple(Weighted(Product(e, e), weight, count == 1) for e in pieces)
