"""The embedded Ipopt under the name of Ipopt, for tools of Pyomo that have a list of names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyomo.environ as pyo
from pyomo.opt.base.solvers import LegacySolverFactory


@contextlib.contextmanager
def casadi_ipopt_as_ipopt() -> Iterator[None]:
    """A context in which ``pyo.SolverFactory("ipopt")`` is ``casadi_ipopt``.

    MindtPy takes Ipopt by that name only, and parmest asks for no other. As the executable does
    behind Pyomo's interface, it raises nothing where it has no solution to load.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from rrp_pyomo.solvers.ipopt import casadi_ipopt_as_ipopt
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var(initialize=1.0)
    >>> model.valley = pyo.Objective(expr=(model.x - 2) ** 2)
    >>> with casadi_ipopt_as_ipopt():
    ...     results = pyo.SolverFactory("ipopt").solve(model)
    >>> round(model.x.value, 6)
    2.0
    """

    def embedded(**options: Any) -> Any:
        quiet = {"raise_exception_without_solution": False, **options}
        return pyo.SolverFactory("casadi_ipopt", **quiet)

    known = LegacySolverFactory._cls
    before = known.get("ipopt")
    known["ipopt"] = embedded
    try:
        yield
    finally:
        if before is None:
            del known["ipopt"]
        else:
            known["ipopt"] = before
