"""Which solvers there are, what each of them takes, and where it is found on this machine.

This table drives validation before a solve, ``rrp solvers``, the table in ``docs/solvers.md`` and
the solver tests.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

from rrp_pyomo._version import __version__
from rrp_pyomo.errors import SolverUnavailableError, UnknownLabelError, require_kind
from rrp_pyomo.forms.problem_classes import Takes

__all__ = ["SOLVERS", "Solver", "capability_table", "find_solver"]

#: Classes of problems that a solver takes together, one set for each combination.
Combinations = tuple[frozenset[Takes], ...]


class Route(Enum):
    """The ways from a program to a solver."""

    CONIC = "conic form"
    SMOOTH = "quadratic form"
    PYOMO = "Pyomo block"


@dataclass(frozen=True)
class Found:
    """An installed solver: its version, and where it was found.

    Attributes
    ----------
    version, where : str
    path : str
        Its file or folder, where ``where`` does not say it.
    embedded : bool
        Whether it is part of a Python package for something else.
    """

    version: str
    where: str
    path: str = ""
    embedded: bool = False


@dataclass(frozen=True)
class Solver:
    """One solver, as Pyomo's interface to it is.

    Attributes
    ----------
    name : str
        What ``solver=`` calls it.
    kernel, environ : tuple of frozenset of Takes
        What it takes where that is stated in ``pyomo.kernel``, and on a ConcreteModel, as sets
        of classes that it takes together. On ConcreteModels, exponential and power cones are
        nonlinear expressions.
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
    module : str
        The module of this package that has the interface, imported when somebody asks for it.
    backend_name : str
        What in that module solves conic forms, a class; empty where nothing does.
    direct : tuple of frozenset of Takes
        What it takes as matrices: a conic form, or a quadratic form where it is embedded.
    near : dict
        Options that keep it from leaving a start that is almost a solution.
    time_limit_option : str
        What limits its time behind an older interface, which ignores Pyomo's own limit.
    feasibility_options : tuple of str
        What limits by how much its answers may violate a row, where the default is no smaller than
        what :func:`~rrp_pyomo.solve_program` tolerates.
    own : bool
        Whether it is an algorithm of this package for particular problems, not for programs.
    embedded_name : str
        Pyomo's name of the interface where what was found is embedded in a Python package.
    new_interface : callable, optional
        Makes an interface that is set up for programs, with their default options beside it.

    Examples
    --------
    >>> from rrp_pyomo.solve.table import SOLVERS, Takes
    >>> SOLVERS["clarabel"].can(frozenset({Takes.SECOND_ORDER})), SOLVERS["highs"].reads
    (True, ('environ',))
    """

    name: str
    kernel: Combinations
    environ: Combinations
    accuracy: float
    duals: bool
    licence: str
    install: str
    locate: Callable[[], Found | None]
    pyomo_name: str = ""
    legacy: bool = False
    module: str = ""
    backend_name: str = ""
    direct: Combinations = ()
    near: Mapping[str, object] = field(default_factory=dict)
    time_limit_option: str = ""
    feasibility_options: tuple[str, ...] = ()
    own: bool = False
    embedded_name: str = ""
    new_interface: Callable[[], Any] | None = None

    @property
    def takes(self) -> frozenset[Takes]:
        """What it takes, however it is stated, though not all of it together."""
        return frozenset().union(*self.kernel, *self.environ, *self.direct)

    @functools.cached_property
    def combinations(self) -> Combinations:
        """What it takes together, however it is stated; nothing that another one holds."""
        every = (*self.direct, *self.kernel, *self.environ)
        largest = [c for c in every if not any(c < other for other in every)]
        return tuple(dict.fromkeys(largest))

    def can(self, needed: frozenset[Takes]) -> bool:
        """Whether it takes all of these classes together."""
        return any(needed <= together for together in self.combinations)

    def reads_environ(self, needed: frozenset[Takes]) -> bool:
        """Whether it takes these classes on a ConcreteModel."""
        return any(needed <= together for together in self.environ)

    @property
    def reads(self) -> tuple[str, ...]:
        """Which Pyomo models: ``"kernel"``, ``"environ"``."""
        return tuple(kind for kind in ("kernel", "environ") if getattr(self, kind))

    def kinds(self, problems: Takes) -> tuple[str, ...]:
        """In which Pyomo models it takes a class of problems."""
        return tuple(
            kind
            for kind in self.reads
            if any(problems in together for together in getattr(self, kind))
        )

    def backend(self) -> Any:
        """The class that solves conic forms."""
        return getattr(import_module(self.module), self.backend_name)

    def route(self, found: Found, needed: frozenset[Takes]) -> Route:
        """The way to it for a program of these classes."""
        if self.backend_name:
            return Route.CONIC
        if found.embedded and any(needed <= together for together in self.direct):
            return Route.SMOOTH
        return Route.PYOMO

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


def is_own(name: str | None) -> bool:
    """Whether a solver is an algorithm of this package for particular problems."""
    return name is not None and find_solver(name).own


def find_solver(name: str) -> Solver:
    """The solver of that name.

    Raises
    ------
    UnknownLabelError
        Nobody knows it; the message suggests the nearest name.
    InputError
        It is no name.

    Examples
    --------
    >>> from rrp_pyomo.solve.table import find_solver
    >>> find_solver("scip").licence
    'Apache-2.0'
    """
    require_kind(name, str, "solver", "the name of one, such as 'clarabel'")
    if name not in SOLVERS:
        raise UnknownLabelError("solver", name, SOLVERS)
    return SOLVERS[name]


def default_for(name: str) -> str:
    """The solver that a problem asks for whose user did not.

    Ipopt is the user's own, on PATH, in Pyomo's or IDAES' folder, or the embedded one. What the
    wheels of the extra ``ipopt`` bring is run like it, but is not: it is for ``solver="ipopt"``.

    Examples
    --------
    >>> from rrp_pyomo.solve.table import default_for
    >>> default_for("clarabel")
    'clarabel'
    """
    if name != "ipopt" or embedded_ipopt() is None:
        return name
    from rrp_pyomo.solvers.ipopt.executable import find_ipopt

    executable = find_ipopt()
    return name if executable and executable.program == "ipopt" else "casadi_ipopt"


def capability_table() -> str:
    """The table in Markdown: a row for each solver, a column for each class of problems.

    Examples
    --------
    >>> from rrp_pyomo.solve.table import capability_table
    >>> print(capability_table().splitlines()[0][:60])
    | solver | Pyomo's name | linear | quadratic | second-order
    """
    rows = [["solver", "Pyomo's name", *Takes, "duals", "accuracy", "licence, limits"]]
    rows.append(["---"] * len(rows[0]))
    for name, solver in SOLVERS.items():
        kinds = ((problems, solver.kinds(problems)) for problems in Takes)
        if len(solver.combinations) > 1:
            apart = " or ".join(
                ", ".join(sorted(together - {Takes.LINEAR})) for together in solver.combinations
            )
            limits = f"{solver.licence}; {apart}, not both"
        else:
            limits = solver.licence
        rows.append(
            [
                f"`{name}`",
                f"`{solver.pyomo_name}`" if solver.pyomo_name else "",
                *(_written(kind, solver, problems) for problems, kind in kinds),
                "yes" if solver.duals else "",
                f"{solver.accuracy:.0e}".replace("e-0", "e-"),
                limits,
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _written(kinds: tuple[str, ...], solver: Solver, problems: Takes) -> str:
    if not kinds and problems in solver.takes:
        return "program"
    return "both" if len(kinds) == 2 else "".join(kinds)


def _folder(module: str) -> str | None:
    """Where a Python package is, without importing it; None where it is not."""
    spec = importlib.util.find_spec(module)
    return None if spec is None else str(Path(spec.origin or module).parent)


def _package(module: str) -> Callable[[], Found | None]:
    """Locate a solver that comes as a Python package."""

    @functools.cache
    def locate() -> Found | None:
        path = _folder(module)
        if path is None:
            return None
        return Found(importlib.metadata.version(module), f"Python package {module}", path)

    return locate


@functools.cache
def embedded_ipopt() -> Found | None:
    """The Ipopt inside CasADi, by its own version; None where CasADi is not installed."""
    path = _folder("casadi")
    if path is None:
        return None
    from rrp_pyomo.solvers.ipopt.options import version

    casadi = importlib.metadata.version("casadi")
    where = f"embedded in the Python package casadi {casadi}"
    return Found(".".join(map(str, version())), where, path, embedded=True)


def _ipopt() -> Found | None:
    from rrp_pyomo.solvers.ipopt.executable import find_ipopt

    executable = find_ipopt()
    if executable is None:
        return embedded_ipopt()
    return Found(executable.version, str(executable))


def _ipopt_interface() -> Any:
    """The executable may be off PATH; and a nonconvex program starts near its solution."""
    from rrp_pyomo.solvers.ipopt.by_executable import ExecutableIpopt, ipopt_solver
    from rrp_pyomo.solvers.ipopt.quadratic import DEFAULTS

    solver = ipopt_solver()
    return solver, solver.for_programs if isinstance(solver, ExecutableIpopt) else DEFAULTS


@functools.cache
def _newton() -> Found:
    return Found(__version__, "part of this package", _folder("rrp_pyomo") or "")


def _together(*sets: frozenset[Takes]) -> Combinations:
    return sets


_LINEAR = frozenset({Takes.LINEAR})
_QUADRATIC = _LINEAR | {Takes.QUADRATIC}
_SECOND_ORDER = _QUADRATIC | {Takes.SECOND_ORDER}
_CONIC = _SECOND_ORDER | {Takes.EXPONENTIAL, Takes.POWER}
_FORMS = _together(_CONIC | {Takes.SEMIDEFINITE})
_QUADRATIC_FORMS = _together(_SECOND_ORDER | {Takes.NONCONVEX})
_SMOOTH = _CONIC | {Takes.NONCONVEX, Takes.NONLINEAR}
_INTEGER = frozenset({Takes.INTEGER})
_XPRESS = _SECOND_ORDER | _INTEGER
_GUROBI = _XPRESS | {Takes.NONCONVEX}
_EXTRA = 'pip install "rrp-pyomo[solvers]"'
#: Ipopt's options that keep it near where it starts, for blocks of (3) and (4) at a solution:
#: ``pyo.SolverFactory("casadi_ipopt").solve(model, options=NEAR_START)``. By itself Ipopt moves a
#: start away from its bounds by more than that: a risk parity portfolio of assets that hedge has
#: weights near 0, and from a little further off Ipopt may end in the trap x_i = 0.
NEAR_START: Mapping[str, float] = {
    "bound_push": 1e-6,
    "bound_frac": 1e-6,
    "slack_bound_push": 1e-6,
    "slack_bound_frac": 1e-6,
    "mu_init": 1e-7,
}

#: Every solver by the name that ``solver=`` calls it, installed here or not.
SOLVERS: dict[str, Solver] = {
    solver.name: solver
    for solver in (
        Solver(
            "clarabel", _together(_CONIC), _together(_SECOND_ORDER), 1e-7, True, "Apache-2.0",
            "pip install clarabel", _package("clarabel"), "clarabel",
            module="rrp_pyomo.solvers.conic.clarabel", backend_name="ClarabelBackend",
            direct=_FORMS,
        ),
        Solver(
            "scs", _together(_CONIC), _together(_SECOND_ORDER), 1e-3, True, "MIT", _EXTRA,
            _package("scs"), "scs", module="rrp_pyomo.solvers.conic.scs",
            backend_name="ScsBackend", direct=_FORMS,
        ),
        Solver(
            "ipopt", _together(_SMOOTH), _together(_SMOOTH), 1e-6, True, "EPL-2.0",
            'pip install casadi or "rrp-pyomo[ipopt]", or put an ipopt executable on PATH', _ipopt,
            "ipopt",
            direct=_QUADRATIC_FORMS, near=NEAR_START, embedded_name="casadi_ipopt",
            new_interface=_ipopt_interface,
        ),
        Solver(
            "casadi_ipopt", _together(_SMOOTH), _together(_SMOOTH), 1e-6, True,
            "EPL-2.0 (Ipopt), LGPL-3.0 (CasADi)", "pip install casadi", embedded_ipopt,
            "casadi_ipopt", module="rrp_pyomo.solvers.ipopt.solver", direct=_QUADRATIC_FORMS,
            near=NEAR_START,
        ),
        Solver(
            "newton", (), (), 1e-14, False,
            "BSD-3-Clause; risk parity only, weights of given signs and one sum",
            "part of this package", _newton, own=True,
        ),
        Solver(
            "gurobi", _together(_GUROBI), _together(_GUROBI), 1e-5, True,
            "commercial; without a licence 2,000 variables and 2,000 constraints, or 200 "
            "variables where anything is quadratic",
            _EXTRA, _package("gurobipy"), "gurobi_direct", legacy=True,
            time_limit_option="TimeLimit", feasibility_options=("FeasibilityTol", "BarQCPConvTol"),
        ),
        Solver(
            "scip", (), _together(_SMOOTH | _INTEGER), 1e-5, False, "Apache-2.0", _EXTRA,
            _package("pyscipopt"), "scip_direct", feasibility_options=("numerics/feastol",),
        ),
        Solver(
            "highs", (), _together(_QUADRATIC, _LINEAR | _INTEGER), 1e-6, True, "MIT",
            "pip install highspy", _package("highspy"), "highs",
        ),
        Solver(
            "outer_approximation", _together(_CONIC | _INTEGER), _together(_XPRESS), 1e-6, True,
            "MIT (HiGHS), Apache-2.0 (Clarabel)", "pip install highspy", _package("highspy"),
            "outer_approximation", module="rrp_pyomo.solvers.outer_approximation.solver",
        ),
        Solver(
            "mosek", _together(_CONIC | _INTEGER), _together(_QUADRATIC | _INTEGER), 1e-7, True,
            "commercial; builds its task without a licence, but does not solve it",
            'pip install "rrp-pyomo[mosek]", and a licence', _package("mosek"),
            "mosek_direct", legacy=True, time_limit_option="mosek.dparam.optimizer_max_time",
        ),
        Solver(
            "xpress", _together(_XPRESS), _together(_XPRESS), 1e-5, True,
            "commercial; without a licence 5,000 rows and columns, or 200 where anything is "
            "quadratic",
            'pip install "rrp-pyomo[xpress]"', _package("xpress"), "xpress_direct", legacy=True,
            time_limit_option="timelimit", feasibility_options=("feastol",),
        ),
    )
}  # fmt: skip
