"""The zero cone: linear equations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.cones.base import Cone


class Zero(Cone):
    """{s = 0}, row by row. Its dual is the whole space.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo.modeling.cones import Zero
    >>> Zero().violation(np.array([0.0, -2.0])).tolist()
    [0.0, 2.0]
    """

    name = "zero"
    part_names = ("s",)
    heads = 1
    takes = Takes.LINEAR
    shapes = ((1,), (3,))

    def rows(self, builder: ConicBuilder, parts: Sequence[Rows]) -> int:
        return builder.zero(parts[0])

    def violation(self, *parts: FloatArray) -> FloatArray:
        return np.abs(parts[0])
