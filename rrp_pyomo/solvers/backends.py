"""The former place of what is now in :mod:`rrp_pyomo.solvers.conic`."""

from __future__ import annotations

import contextlib
from typing import Any

from rrp_pyomo.solvers.conic.clarabel import ACCURATE, ClarabelBackend, clarabel_settings
from rrp_pyomo.solvers.conic.clarabel import TERMINATION as CLARABEL_TERMINATION
from rrp_pyomo.solvers.conic.clarabel import clarabel_cones as _clarabel_cones
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination, same_pattern
from rrp_pyomo.solvers.process import interruptible, printing_to

__all__ = [
    "ACCURATE",
    "CLARABEL_TERMINATION",
    "ClarabelBackend",
    "ConicSolution",
    "Termination",
    "_clarabel_cones",
    "_interruptible",
    "clarabel_settings",
    "printing_to",
    "same_pattern",
]


def _interruptible(solver: Any) -> contextlib.AbstractContextManager[object]:
    return interruptible()
