"""Which solvers there are, what each of them takes, and where it is found on this machine.

This table drives validation before a solve, ``rrp solvers``, the table in ``docs/solvers.md`` and
the solver tests.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rrp_pyomo._version import __version__
from rrp_pyomo.errors import SolverUnavailableError, UnknownLabelError


class Takes(StrEnum):
    """Classes of problems that a solver takes."""

    LINEAR = "linear"
    QUADRATIC = "quadratic"  # convex objectives
    SECOND_ORDER = "second-order"  # cones, and whatever convex quadratic constraints come to
    EXPONENTIAL = "exponential"
    POWER = "power"
    INTEGER = "integer"
    NONCONVEX = "nonconvex"  # quadratics
    NONLINEAR = "nonlinear"  # any other smooth expression


@dataclass(frozen=True)
class Found:
    """An installed solver: its version, and where it was found."""

    version: str
    where: str


@dataclass(frozen=True)
class Solver:
    """One solver, as Pyomo's interface to it is.

    Attributes
    ----------
    name : str
        What ``solver=`` calls it.
    kernel, environ : frozenset of Takes
        What it takes where that is stated in ``pyomo.kernel``, and on a ConcreteModel. There,
        exponential and power cones are nonlinear expressions.
    accuracy : float
        To how much optimal values of order 1 are right, at the solver's default tolerances, which
        are about ten times smaller.
    duals : bool
    licence : str
        With the limits of what comes without one.
    install : str
        How to get it.
    locate : callable
        Finds the installation.
    pyomo_name : str
        What ``pyomo.environ.SolverFactory`` calls the interface.
    legacy : bool
        Whether that is one of Pyomo's older interfaces.
    """

    name: str
    kernel: frozenset[Takes]
    environ: frozenset[Takes]
    accuracy: float
    duals: bool
    licence: str
    install: str
    locate: Callable[[], Found | None]
    pyomo_name: str = ""
    legacy: bool = False

    @property
    def takes(self) -> frozenset[Takes]:
        """What it takes, however it is stated."""
        return self.kernel | self.environ

    @property
    def reads(self) -> tuple[str, ...]:
        """Which Pyomo models: ``"kernel"``, ``"environ"``."""
        return tuple(kind for kind in ("kernel", "environ") if getattr(self, kind))

    def kinds(self, problems: Takes) -> tuple[str, ...]:
        """In which Pyomo models it takes a class of problems."""
        return tuple(kind for kind in self.reads if problems in getattr(self, kind))

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


def capability_table() -> str:
    """The table in Markdown: a row for each solver, a column for each class of problems."""
    rows = [["solver", "Pyomo's name", *Takes, "duals", "accuracy", "licence, limits"]]
    rows.append(["---"] * len(rows[0]))
    for name, solver in SOLVERS.items():
        kinds = (solver.kinds(problems) for problems in Takes)
        rows.append(
            [
                f"`{name}`",
                f"`{solver.pyomo_name}`" if solver.pyomo_name else "",
                *("both" if len(kind) == 2 else "".join(kind) for kind in kinds),
                "yes" if solver.duals else "",
                f"{solver.accuracy:.0e}".replace("e-0", "e-"),
                solver.licence,
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _package(module: str) -> Callable[[], Found | None]:
    """Locate a solver that comes as a Python package."""

    @functools.cache
    def locate() -> Found | None:
        if importlib.util.find_spec(module) is None:
            return None
        return Found(importlib.metadata.version(module), f"Python package {module}")

    return locate


@functools.cache
def embedded_ipopt() -> Found:
    """The Ipopt inside CasADi, by its own version."""
    from rrp_pyomo.solvers.ipopt.embedded import version

    casadi = importlib.metadata.version("casadi")
    return Found(".".join(map(str, version())), f"embedded in the Python package casadi {casadi}")


def _ipopt() -> Found:
    from rrp_pyomo.solvers.ipopt.executable import find_ipopt

    executable = find_ipopt()
    if executable is None:
        return embedded_ipopt()
    return Found(executable.version, f"{executable.path} ({executable.found_in})")


@functools.cache
def _newton() -> Found:
    return Found(__version__, "part of this package")


_QUADRATIC = frozenset({Takes.LINEAR, Takes.QUADRATIC})
_SECOND_ORDER = _QUADRATIC | {Takes.SECOND_ORDER}
_CONIC = _SECOND_ORDER | {Takes.EXPONENTIAL, Takes.POWER}
_SMOOTH = _CONIC | {Takes.NONCONVEX, Takes.NONLINEAR}
_INTEGER = frozenset({Takes.INTEGER})
_XPRESS = _SECOND_ORDER | _INTEGER
_GUROBI = _XPRESS | {Takes.NONCONVEX}
_NOTHING: frozenset[Takes] = frozenset()
_EXTRA = 'pip install "rrp-pyomo[solvers]"'

SOLVERS: dict[str, Solver] = {
    solver.name: solver
    for solver in (
        Solver(
            "clarabel", _CONIC, _SECOND_ORDER, 1e-7, True, "Apache-2.0",
            "pip install clarabel", _package("clarabel"), "clarabel",
        ),
        Solver(
            "scs", _CONIC, _SECOND_ORDER, 1e-3, True, "MIT", _EXTRA, _package("scs"), "scs",
        ),
        Solver(
            "ipopt", _SMOOTH, _SMOOTH, 1e-6, True, "EPL-2.0",
            "pip install casadi, or put an ipopt executable on PATH", _ipopt, "ipopt",
        ),
        Solver(
            "casadi_ipopt", _SMOOTH, _SMOOTH, 1e-6, True, "EPL-2.0 (Ipopt), LGPL-3.0 (CasADi)",
            "pip install casadi", embedded_ipopt, "casadi_ipopt",
        ),
        Solver(
            "newton", _NOTHING, _NOTHING, 1e-14, False,
            "BSD-3-Clause; nominal risk parity only, long-only and fully invested",
            "part of this package", _newton,
        ),
        Solver(
            "gurobi", _GUROBI, _GUROBI, 1e-5, True,
            "commercial; without a licence 2,000 variables and 2,000 constraints, or 200 "
            "variables where anything is quadratic",
            _EXTRA, _package("gurobipy"), "gurobi_direct", legacy=True,
        ),
        Solver(
            "scip", _NOTHING, _SMOOTH | _INTEGER, 1e-5, False, "Apache-2.0", _EXTRA,
            _package("pyscipopt"), "scip_direct",
        ),
        Solver(
            "highs", _NOTHING, _QUADRATIC | _INTEGER, 1e-6, True, "MIT", _EXTRA,
            _package("highspy"), "highs",
        ),
        Solver(
            "mosek", _CONIC | _INTEGER, _QUADRATIC | _INTEGER, 1e-7, True,
            "commercial; builds its task without a licence, but does not solve it",
            'pip install "rrp-pyomo[mosek]", and a licence', _package("mosek"),
            "mosek_direct", legacy=True,
        ),
        Solver(
            "xpress", _XPRESS, _XPRESS, 1e-5, True,
            "commercial; without a licence 5,000 rows and columns, or 200 where anything is "
            "quadratic",
            'pip install "rrp-pyomo[xpress]"', _package("xpress"), "xpress_direct", legacy=True,
        ),
    )
}  # fmt: skip
