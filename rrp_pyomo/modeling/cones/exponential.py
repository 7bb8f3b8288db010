"""The exponential cone: exponentials, logarithms, entropies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo

from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.cones.base import Cone

_LARGEST = 700.0  # beyond it, exp overflows


class Exponential(Cone):
    """The closure of {y exp(x/y) ≤ z, y > 0}, row by row.

    Its dual is the closure of {−α exp(β/α − 1) ≤ γ, α < 0}; smooth: z − y exp(x/y) ≥ 0.

    Examples
    --------
    (1, 1, 2) is outside as e > 2; x is too large by 1 − log 2:

    >>> import numpy as np
    >>> from rrp_pyomo.modeling.cones import Exponential
    >>> x, y, z = np.array([1.0]), np.array([1.0]), np.array([2.0])
    >>> Exponential().violation(x, y, z).round(4).tolist()
    [0.3069]
    """

    name = "exponential"
    part_names = ("x", "y", "z")
    heads = 3
    nonnegative = (1, 2)
    takes = Takes.EXPONENTIAL
    shapes = ((1, 1, 1), (3, 3, 3))

    def rows(self, builder: ConicBuilder, parts: Sequence[Rows]) -> int:
        return builder.exponential(*parts)

    def violation(self, *parts: FloatArray) -> FloatArray:
        """The smallest of the distances to the face {x ≤ 0, y = 0, z ≥ 0} and along x and z."""
        x, y, z = parts
        face = np.max([x, np.abs(y), -z], axis=0)
        inside = np.maximum(y, 1e-300)
        along_z = inside * np.exp(np.minimum(x / inside, _LARGEST)) - z
        along_x = x - inside * np.log(np.maximum(z, 1e-300) / inside)
        missed: FloatArray = np.where(y > 0.0, np.minimum(np.minimum(along_z, along_x), face), face)
        return missed

    def smooth(self, *entries: Any) -> list[Any]:
        x, y, z = entries
        return [z - y * pyo.exp(x / y)]

    def kernel(self, *entries: Any) -> Any:
        x, y, z = entries
        return pmo.conic.primal_exponential(z, y, x)
