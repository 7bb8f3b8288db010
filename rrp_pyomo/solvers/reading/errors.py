"""Refusals, in the words of this package and of Pyomo."""

from __future__ import annotations

from pyomo.contrib.solver.common.util import IncompatibleModelError as PyomoIncompatibleModelError

from rrp_pyomo.errors import ModelError


class IncompatibleModelError(ModelError, PyomoIncompatibleModelError):  # type: ignore[misc]
    """A Pyomo model that a conic solver cannot represent; the message names the component."""


class NonlinearModelError(IncompatibleModelError):
    """A model with functions that are more than quadratic."""
