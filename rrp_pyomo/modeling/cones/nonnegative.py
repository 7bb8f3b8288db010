"""The nonnegative orthant: linear inequalities."""

from __future__ import annotations

from collections.abc import Sequence

from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.cones.base import Cone


class Nonnegative(Cone):
    """{s ≥ 0}, row by row. It is its own dual.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo.modeling.cones import Nonnegative
    >>> Nonnegative().violation(np.array([1.0, -2.0])).tolist()
    [-1.0, 2.0]
    """

    name = "nonnegative"
    part_names = ("s",)
    heads = 1
    nonnegative = (0,)
    takes = Takes.LINEAR
    shapes = ((1,), (3,))

    def rows(self, builder: ConicBuilder, parts: Sequence[Rows]) -> int:
        return builder.nonnegative(parts[0])

    def violation(self, *parts: FloatArray) -> FloatArray:
        return -parts[0]
