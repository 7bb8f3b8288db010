"""The rotated second-order cone: products, squares, and squares over linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.kernel as pmo

from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.cones.base import Cone, Quadratic, interleaved, lengths, or_one
from rrp_pyomo.modeling.cones.second_order import squares
from rrp_pyomo.modeling.expressions import Affine


class Rotated(Cone):
    """{a b ≥ ‖v‖₂², a, b ≥ 0}: a second-order cone turned by 45°,

        a b ≥ ‖v‖²,  a, b ≥ 0   ⇔   ‖(a − b, 2v)‖₂ ≤ a + b.

    Its dual is {4 α β ≥ ‖ν‖², α, β ≥ 0}; smooth: a b − v'v ≥ 0 with a, b ≥ 0.

    Examples
    --------
    1 · 4 ≥ 2², but not 3²:

    >>> import numpy as np
    >>> from rrp_pyomo.modeling.cones import Rotated
    >>> a, b = np.array([1.0]), np.array([4.0])
    >>> [round(float(Rotated().violation(a, b, np.array([v]))[0]), 4) for v in (2.0, 3.0)]
    [0.0, 1.0]
    """

    name = "rotated second-order"
    part_names = ("a", "b", "v")
    heads = 2
    nonnegative = (0, 1)
    takes = Takes.SECOND_ORDER
    shapes = ((1, 1, 2), (3, 3, 3), (2, 2, 2, 2))

    def rows(self, builder: ConicBuilder, parts: Sequence[Rows]) -> int:
        a, b, *pieces = parts
        return builder.product(a, b, interleaved(a.size, pieces))

    def violation(self, *parts: FloatArray) -> FloatArray:
        a, b, *pieces = parts
        product = np.sqrt(np.maximum(a, 0.0) * np.maximum(b, 0.0))
        missed: FloatArray = np.max([lengths(pieces, a.size) - product, -a, -b], axis=0)
        return missed

    def relative_violation(self, parts: Sequence[FloatArray], sizes: Sequence[FloatArray]) -> float:
        """As a second-order cone, in multiples of the heads' sizes: √(a b) has no slope at 0."""
        size_a, size_b = (or_one(size) for size in sizes[:2])
        a, b = parts[0] / size_a, parts[1] / size_b
        v = lengths([piece / np.sqrt(size_a * size_b) for piece in parts[2:]], a.size)
        return float(np.max(np.hypot(2.0 * v, a - b) - (a + b)))

    def quadratic(self, *parts: Affine) -> Quadratic:
        a, b, *pieces = parts
        if a.labels != b.labels:  # those of two scalars say nothing of each other
            b = Affine(b.size, b.terms, b.constant)
        product = a * b
        if not isinstance(product, Composite):
            product = Composite(product, ())
        terms = (*product.terms, *squares(a.size, pieces, -1.0))
        return Composite(product.affine, terms), 0.0, np.inf

    def signed(self, parts: tuple[Affine, ...]) -> tuple[int, ...]:
        """None where one head is a positive number: the other one is then at least ‖v‖²."""
        numbers = any(not p.terms and np.all(np.asarray(p.constant) > 0) for p in parts[:2])
        return () if numbers else self.nonnegative

    def kernel_parts(self, parts: tuple[Affine, ...]) -> tuple[Affine, ...]:
        """Pyomo's is 2 r₁ r₂ ≥ ‖x‖²: the vector times √2."""
        return (*parts[:2], *(np.sqrt(2.0) * piece for piece in parts[2:]))

    def kernel(self, *entries: Any) -> Any:
        a, b, vector = entries
        return pmo.conic.rotated_quadratic(a, b, vector)
