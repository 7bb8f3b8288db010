"""Clarabel for Pyomo models: an interior-point solver for conic and quadratic programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import clarabel
from pyomo.contrib.solver.common.base import Availability
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.solvers.backends import ClarabelBackend, clarabel_settings
from rrp_pyomo.solvers.conic.solver import Backend, ConicSolver


@SolverFactory.register("clarabel", legacy_name="clarabel", doc="Clarabel, conic interior point")
class Clarabel(ConicSolver):
    """Clarabel (https://clarabel.org) for continuous convex models of Pyomo, kernel or environ.

    It takes linear rows, all cones of ``pyomo.kernel.conic`` but the semidefinite one, and convex
    quadratic constraints and objectives. ``solver_options`` are Clarabel's settings by name, such
    as ``{"tol_gap_abs": 1e-9, "max_iter": 100}``; ``time_limit`` and ``threads`` are Pyomo's.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var()
    >>> model.y = pyo.Var(bounds=(0, None))
    >>> model.disc = pyo.Constraint(expr=model.x**2 + 1 <= model.y**2)
    >>> model.height = pyo.Objective(expr=model.x + 2 * model.y)
    >>> results = Clarabel().solve(model)
    >>> round(model.x.value, 4)
    -0.5774
    """

    def available(self) -> Availability:
        """Clarabel is a dependency of this package."""
        return Availability.FullLicense

    def version(self) -> tuple[int, ...]:
        """The version of the installed wheel."""
        return tuple(int(part) for part in clarabel.__version__.split(".")[:3])

    def _options(self, config: Any) -> dict[str, Any]:
        options = dict(config.solver_options.value())
        if config.time_limit is not None:
            options["time_limit"] = config.time_limit
        if config.threads is not None:
            options["max_threads"] = config.threads
        return options

    def _new_backend(self, options: Mapping[str, Any]) -> Backend:
        return ClarabelBackend(**options)

    def _tolerances(self, options: Mapping[str, Any]) -> tuple[float, float]:
        settings = clarabel_settings(options)
        return settings.tol_feas, max(settings.tol_gap_rel, settings.tol_gap_abs)
