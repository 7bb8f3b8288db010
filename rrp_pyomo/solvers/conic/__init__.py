"""Conic solvers for Pyomo models; naming one registers it with both of Pyomo's factories."""

from typing import TYPE_CHECKING

from rrp_pyomo._lazy import exports

if TYPE_CHECKING:
    from rrp_pyomo.solvers.conic.clarabel import Clarabel as Clarabel
    from rrp_pyomo.solvers.conic.scs import Scs as Scs

__all__, __getattr__, __dir__ = exports(__name__, {"clarabel": ["Clarabel"], "scs": ["Scs"]})
