"""A solved program, and where a solver starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# Values by variable name, or a function that returns them for solvers that use a start.
Start: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None


def start_values(start: Start) -> Mapping[str, Any]:
    """The values of a start; none where there is none."""
    return start() if callable(start) else (start or {})


@dataclass(frozen=True, eq=False)
class ProgramSolution:
    """A solved program.

    Attributes
    ----------
    values : dict of str to array
        By variable name.
    objective : float
        Of the statement.
    duality_gap : float or None
        Primal minus dual objective, where the solver has a dual.
    status : str
        The solver's own words.
    solver : str
        Which solver, its version and where it was found.
    iterations : int or None
    """

    values: dict[str, FloatArray]
    objective: float
    duality_gap: float | None
    status: str
    solver: str
    iterations: int | None = None
