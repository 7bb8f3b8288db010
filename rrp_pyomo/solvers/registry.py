"""Which solvers there are, what each of them takes, and where it is found on this machine.

This table drives validation before a solve, ``rrp solvers``, the table in the documentation and
the solver tests.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rrp_pyomo import __version__
from rrp_pyomo.errors import SolverUnavailableError, UnknownLabelError

EMBEDDED = "embedded in the Python package casadi"


class Takes(StrEnum):
    """Classes of problems that a solver takes."""

    LINEAR = "linear"
    QUADRATIC = "quadratic"
    SECOND_ORDER = "second-order"
    EXPONENTIAL = "exponential"
    POWER = "power"
    INTEGER = "integer"
    NONCONVEX = "nonconvex"


@dataclass(frozen=True)
class Found:
    """An installed solver: its version, and where it was found."""

    version: str
    where: str


@dataclass(frozen=True)
class Solver:
    """One solver.

    Attributes
    ----------
    name : str
        What ``solver=`` and Pyomo call it.
    takes : frozenset of Takes
    reads : tuple of {"kernel", "environ"}
        Which Pyomo models.
    duals : bool
    licence : str
        With the limits of what comes without one.
    install : str
        How to get it.
    locate : callable
        Finds the installation.
    pyomo_name : str
        What Pyomo calls the interface.
    legacy : bool
        Whether that is one of Pyomo's older interfaces.
    """

    name: str
    takes: frozenset[Takes]
    reads: tuple[str, ...]
    duals: bool
    licence: str
    install: str
    locate: Callable[[], Found | None]
    pyomo_name: str = ""
    legacy: bool = False

    def require(self) -> Found:
        """The installation.

        Raises
        ------
        SolverUnavailableError
            With how to install it.
        """
        found = self.locate()
        if found is None:
            raise SolverUnavailableError(
                f"solver {self.name!r} is not installed here; to install it: {self.install}"
            )
        return found


def find_solver(name: str) -> Solver:
    """The solver of that name.

    Raises
    ------
    UnknownLabelError
        Nobody knows it; the message suggests the nearest name.
    """
    if name not in SOLVERS:
        raise UnknownLabelError("solver", name, SOLVERS)
    return SOLVERS[name]


def _package(module: str, distribution: str | None = None) -> Callable[[], Found | None]:
    """Locate a solver that comes as a Python package."""

    @functools.cache
    def locate() -> Found | None:
        if importlib.util.find_spec(module) is None:
            return None
        return Found(importlib.metadata.version(distribution or module), f"Python package {module}")

    return locate


def _ipopt() -> Found | None:
    from rrp_pyomo.solvers.ipopt.executable import find_ipopt

    executable = find_ipopt()
    if executable is None:
        embedded = _package("casadi")()
        return embedded and Found(embedded.version, EMBEDDED)
    return Found(executable.version, f"{executable.path} ({executable.found_in})")


@functools.cache
def _newton() -> Found:
    return Found(__version__, "part of this package")


_CONIC = frozenset(Takes) - {Takes.INTEGER, Takes.NONCONVEX}
_SMOOTH = frozenset({Takes.LINEAR, Takes.QUADRATIC, Takes.SECOND_ORDER, Takes.NONCONVEX})
_GLOBAL = _SMOOTH | {Takes.INTEGER}
_BOTH, _ENVIRON, _KERNEL = ("kernel", "environ"), ("environ",), ("kernel",)
_EXTRA = 'pip install "rrp-pyomo[solvers]"'

SOLVERS: dict[str, Solver] = {
    solver.name: solver
    for solver in (
        Solver(
            "clarabel", _CONIC, _BOTH, True, "Apache-2.0", "pip install clarabel",
            _package("clarabel"), "clarabel",
        ),
        Solver("scs", _CONIC, _BOTH, True, "MIT", _EXTRA, _package("scs"), "scs"),
        Solver(
            "ipopt", _SMOOTH, _BOTH, True, "EPL-2.0",
            "pip install casadi, or put an ipopt executable on PATH", _ipopt, "ipopt",
        ),
        Solver(
            "casadi_ipopt", _SMOOTH, _BOTH, True, "EPL-2.0 (Ipopt), LGPL-3.0 (CasADi)",
            "pip install casadi", _package("casadi"), "casadi_ipopt",
        ),
        Solver(
            "newton", frozenset(), (), False, "BSD-3-Clause",
            "part of this package, for nominal risk parity only", _newton,
        ),
        Solver(
            "gurobi", _GLOBAL, _ENVIRON, True,
            "commercial; without a licence up to 2,000 variables and 200 of them in quadratics",
            _EXTRA, _package("gurobipy"), "gurobi_persistent",
        ),
        Solver(
            "scip", _GLOBAL, _ENVIRON, False, "Apache-2.0", _EXTRA,
            _package("pyscipopt"), "scip_direct",
        ),
        Solver(
            "highs", frozenset({Takes.LINEAR, Takes.INTEGER}), _ENVIRON, True, "MIT", _EXTRA,
            _package("highspy"), "highs",
        ),
        Solver(
            "mosek", _CONIC | {Takes.INTEGER}, _KERNEL, True, "commercial",
            "pip install mosek, and a licence", _package("mosek"), "mosek_direct", legacy=True,
        ),
        Solver(
            "xpress", _GLOBAL, _ENVIRON, True, "commercial; a community licence is built in",
            "pip install xpress", _package("xpress"), "xpress_direct", legacy=True,
        ),
    )
}  # fmt: skip
