"""Outer approximation: mixed-integer cones by HiGHS above Clarabel."""

from typing import TYPE_CHECKING

from rrp_pyomo._lazy import exports

if TYPE_CHECKING:
    from rrp_pyomo.solvers.outer_approximation.solver import (
        OuterApproximation as OuterApproximation,
    )

__all__, __getattr__, __dir__ = exports(__name__, {"solver": ["OuterApproximation"]})
