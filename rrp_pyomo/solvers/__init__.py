"""Solvers for Pyomo, registered with both of its factories under their names.

A solver's module registers its classes when it is imported. ``import rrp_pyomo`` registers just a
placeholder for each of them, so that it stays about as fast as ``import pyomo.environ``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.opt.base.solvers import LegacySolverFactory


def register_on_demand(name: str, module: str) -> None:
    """Register a placeholder that imports the module when somebody asks Pyomo for the solver."""

    def placeholder(factory: Any) -> Any:
        def load(**options: Any) -> Any:
            import_module(module)
            return factory(name, **options)

        return load

    SolverFactory.register(name)(placeholder(SolverFactory), placeholder(LegacySolverFactory))
