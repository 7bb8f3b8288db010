"""The cones of the language, a file for each."""

from rrp_pyomo.modeling.cones.base import Cone
from rrp_pyomo.modeling.cones.exponential import Exponential
from rrp_pyomo.modeling.cones.nonnegative import Nonnegative
from rrp_pyomo.modeling.cones.power import Power
from rrp_pyomo.modeling.cones.rotated import Rotated
from rrp_pyomo.modeling.cones.second_order import SecondOrder
from rrp_pyomo.modeling.cones.semidefinite import Semidefinite
from rrp_pyomo.modeling.cones.zero import Zero

#: Every kind of cone; what is not here is refused.
CONES: tuple[type[Cone], ...] = (
    Zero,
    Nonnegative,
    SecondOrder,
    Rotated,
    Exponential,
    Power,
    Semidefinite,
)

#: The cone of this name as a value, for :class:`~rrp_pyomo.modeling.InCone`.
ZERO, NONNEGATIVE = Zero(), Nonnegative()
#: The cone of this name as a value, for :class:`~rrp_pyomo.modeling.InCone`.
SECOND_ORDER, ROTATED = SecondOrder(), Rotated()
#: The cone of this name as a value, for :class:`~rrp_pyomo.modeling.InCone`.
EXPONENTIAL, SEMIDEFINITE = Exponential(), Semidefinite()

__all__ = [
    "CONES",
    "EXPONENTIAL",
    "NONNEGATIVE",
    "ROTATED",
    "SECOND_ORDER",
    "SEMIDEFINITE",
    "ZERO",
    "Cone",
    "Exponential",
    "Nonnegative",
    "Power",
    "Rotated",
    "SecondOrder",
    "Semidefinite",
    "Zero",
]
