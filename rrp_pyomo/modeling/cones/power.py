"""The power cone: weighted geometric means of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.kernel as pmo

from rrp_pyomo.errors import InputError
from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.cones.base import Cone


class Power(Cone):
    """{a^α b^(1−α) ≥ |c|, a, b ≥ 0}, row by row, for 0 < α < 1.

    Its dual is {(u/α)^α (v/(1−α))^(1−α) ≥ |w|, u, v ≥ 0}; smooth: a^α b^(1−α) ± c ≥ 0.

    Parameters
    ----------
    alpha : float

    Raises
    ------
    InputError
        α is not between 0 and 1.

    Examples
    --------
    The geometric mean of 1 and 4 is 2, that of 1 and 1 is 1:

    >>> import numpy as np
    >>> from rrp_pyomo.modeling.cones import Power
    >>> a, b, c = np.array([1.0, 1.0]), np.array([4.0, 1.0]), np.array([2.0, 2.0])
    >>> Power(0.5).violation(a, b, c).round(4).tolist()
    [0.0, 1.0]
    """

    name = "power"
    part_names = ("a", "b", "c")
    heads = 3
    nonnegative = (0, 1)
    takes = Takes.POWER
    shapes = ((1, 1, 1), (3, 3, 3))

    def __init__(self, alpha: float = 0.5) -> None:
        if not 0.0 < alpha < 1.0:
            raise InputError(f"alpha of a power cone is {alpha}; expected 0 < alpha < 1")
        self.alpha = float(alpha)

    def rows(self, builder: ConicBuilder, parts: Sequence[Rows]) -> int:
        a, b, c = parts
        return builder.power(a, b, c, self.alpha)

    def violation(self, *parts: FloatArray) -> FloatArray:
        a, b, c = parts
        mean = np.maximum(a, 0.0) ** self.alpha * np.maximum(b, 0.0) ** (1.0 - self.alpha)
        missed: FloatArray = np.max([np.abs(c) - mean, -a, -b], axis=0)
        return missed

    def smooth(self, *entries: Any) -> list[Any]:
        a, b, c = entries
        mean = a**self.alpha * b ** (1.0 - self.alpha)
        return [mean - c, mean + c]

    def kernel(self, *entries: Any) -> Any:
        a, b, c = entries
        return pmo.conic.primal_power(a, b, [c], self.alpha)

    def __repr__(self) -> str:
        return f"Power({self.alpha:g})"
