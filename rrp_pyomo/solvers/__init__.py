"""Solvers for Pyomo, registered with both of its factories under their names.

A solver's module registers its classes when it is imported. Here only placeholders are registered,
which import that module when somebody asks for the solver, so that ``import rrp_pyomo`` stays
about as fast as ``import pyomo.environ``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.opt.base.solvers import LegacySolverFactory

_MODULES = {
    "clarabel": "rrp_pyomo.solvers.conic.clarabel",
    "scs": "rrp_pyomo.solvers.conic.scs",
    "casadi_ipopt": "rrp_pyomo.solvers.ipopt.solver",
}


def _register_on_demand(name: str, module: str) -> None:
    def placeholder(factory: Any) -> Any:
        def load(**options: Any) -> Any:
            import_module(module)
            return factory(name, **options)

        return load

    SolverFactory.register(name)(placeholder(SolverFactory), placeholder(LegacySolverFactory))


for _name, _module in _MODULES.items():
    _register_on_demand(_name, _module)
