"""Conic solvers for Pyomo models; importing this registers them with both of Pyomo's factories."""

from rrp_pyomo.solvers.conic.clarabel import Clarabel
from rrp_pyomo.solvers.conic.errors import IncompatibleModelError
from rrp_pyomo.solvers.conic.scs import Scs

__all__ = ["Clarabel", "IncompatibleModelError", "Scs"]
