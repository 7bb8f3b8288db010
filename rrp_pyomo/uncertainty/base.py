"""What every uncertainty set says: its support function, the element that attains it, its members.

What is not known of a market is a convex compact set U; what a model needs of U is its support
function, and what a user needs is the element that attains it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from rrp_pyomo.data.validation import Labels, as_number
from rrp_pyomo.errors import require_kind
from rrp_pyomo.linalg import FloatArray


class UncertaintySet(ABC):
    """A convex compact set of means, of covariances or of distributions: a plain frozen value.

    Attributes
    ----------
    labels : tuple
        The assets.
    formula : str
        The set as mathematics, in LaTeX.

    Examples
    --------
    What all sets have: assets, and a formula in LaTeX.

    >>> from rrp_pyomo.uncertainty import Box, UncertaintySet
    >>> box = Box([0.05, 0.03], 0.01)
    >>> isinstance(box, UncertaintySet), box.labels
    (True, (0, 1))
    >>> box.formula.count("mu")
    3
    """

    labels: Labels

    @property
    @abstractmethod
    def formula(self) -> str:
        """The set as mathematics, in LaTeX."""

    @property
    def size(self) -> int:
        """The number of assets n."""
        return len(self.labels)

    def _repr_latex_(self) -> str:
        return f"${self.formula}$"

    def __repr__(self) -> str:
        numbers = "".join(f", {name}={value:.4g}" for name, value in self._numbers().items())
        n = self.size
        return f"{type(self).__name__}({n} asset{'s' if n > 1 else ''}{numbers})"

    def _numbers(self) -> dict[str, float]:
        """What the set's own numbers are, for its ``repr``."""
        return {}


def sample_size(rng: np.random.Generator, size: int) -> int:
    """How many members are drawn, where a generator is given to draw them by."""
    require_kind(rng, np.random.Generator, "rng", "such as np.random.default_rng(0)")
    return int(as_number(size, "size", least=0))


def differences(function: Any, at: FloatArray, directions: FloatArray) -> FloatArray:
    """The derivative of a vector of numbers at a point, along the columns of directions."""
    h = 1e-6 * (float(np.abs(at).max()) or 1.0)
    value = function(at)
    columns = [(function(at + h * direction) - value) / h for direction in directions.T]
    return np.column_stack(columns)
