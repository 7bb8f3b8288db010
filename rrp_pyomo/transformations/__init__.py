"""Transformations of Pyomo models, registered with Pyomo's factory under their names.

``import rrp_pyomo`` registers placeholders, which import a transformation when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyomo.core.base.transformation import TransformationFactory

from rrp_pyomo._lazy import exports

if TYPE_CHECKING:
    from rrp_pyomo.transformations.robust_counterpart import RobustCounterpart as RobustCounterpart
    from rrp_pyomo.transformations.robust_counterpart import (
        RobustCounterpartBlock as RobustCounterpartBlock,
    )

__all__, __getattr__, __dir__ = exports(
    __name__, {"robust_counterpart": ["RobustCounterpart", "RobustCounterpartBlock"]}
)

_TRANSFORMATIONS = {
    "rrp_pyomo.robust_counterpart": (
        "rrp_pyomo.transformations.robust_counterpart",
        "Exact robust counterparts of constraints and objectives that are affine in mutable Params",
    ),
}


def register() -> None:
    """Register the transformations of this package, by the modules that have them."""
    for name, (module, description) in _TRANSFORMATIONS.items():
        TransformationFactory.register(name, description)(_on_demand(module))


def _on_demand(module: str) -> Any:
    def load(**options: Any) -> Any:
        return import_module(module).RobustCounterpart(**options)

    return load
