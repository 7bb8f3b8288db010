"""SCS for Pyomo models: a first-order solver, for very large models at low accuracy."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar, TextIO

import numpy as np
import scipy.sparse as sp
from pyomo.contrib.solver.common.base import Availability

from rrp_pyomo.errors import ModelError, SolverUnavailableError
from rrp_pyomo.forms.conic import (
    EXPONENTIAL,
    NONNEGATIVE,
    POWER,
    SECOND_ORDER,
    SEMIDEFINITE,
    ZERO,
    ConicForm,
)
from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.solvers.conic.semidefinite import lower_triangles, matrix_order
from rrp_pyomo.solvers.conic.session import Refinement, Tolerances
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination, same_pattern
from rrp_pyomo.solvers.conic.solver import ConicSolver
from rrp_pyomo.solvers.options import (
    Option,
    checked,
    refused,
    require_one_thread,
    require_writable,
)
from rrp_pyomo.solvers.process import printing_to
from rrp_pyomo.solvers.pyomo_solver import registered
from rrp_pyomo.solvers.status import unknown_status

_COUNT = "[1, 2147483647]"
#: SCS's settings and what they take; SCS itself has no list of them.
OPTIONS: dict[str, Option] = {
    "acceleration_interval": Option(int, _COUNT),
    "acceleration_lookback": Option(int, "[0, 2147483647]"),
    "adaptive_scale": Option(bool),
    "alpha": Option(float, "(0, 2)"),
    "eps_abs": Option(float, "[0, inf)"),
    # A looser one calls every problem infeasible, or unbounded.
    "eps_infeas": Option(float, "[0, 1)"),
    "eps_rel": Option(float, "[0, 1)"),
    "linear_solver": Option(str),
    "log_csv_filename": Option(str),
    "max_iters": Option(int, _COUNT),
    "normalize": Option(bool),
    "rho_x": Option(float, "(0, inf)"),
    "scale": Option(float, "(0, inf)"),
    "time_limit_secs": Option(float, "[0, inf)"),
    "write_data_filename": Option(str),
}

#: By SCS's ``status_val``; those of inaccurate answers are told apart by what they say.
TERMINATION = {
    1: Termination.SOLVED,
    -1: Termination.UNBOUNDED,
    -2: Termination.INFEASIBLE,
    -3: Termination.INCONCLUSIVE,
    -4: Termination.FAILED,
}
_INACCURATE = (2, -6, -7)

#: SCS's word for each kind of cone; it wants them in this order.
_CONES = {
    ZERO: "z",
    NONNEGATIVE: "l",
    SECOND_ORDER: "q",
    SEMIDEFINITE: "s",
    EXPONENTIAL: "ep",
    POWER: "p",
}


class ScsBackend:
    """SCS with its memory: the last solution starts the next one where the pattern is the same.

    Parameters
    ----------
    **options
        SCS's settings by name, such as ``eps_abs=1e-6``.

    Raises
    ------
    SolverUnavailableError
        SCS is not installed.
    UnknownLabelError
        No setting has that name.
    InputError
        The setting has another type.
    """

    #: What it does by default.
    for_programs: ClassVar[Mapping[str, object]] = {}

    def __init__(self, **options: object) -> None:
        if not find_spec("scs"):
            raise SolverUnavailableError(
                "SCS is not installed; pip install scs, or the extra rrp-pyomo[solvers]"
            )
        self._options: dict[str, Any] = scs_settings(options)
        self._solver: Any = None
        self._form: ConicForm | None = None
        self._start: dict[str, Any] = {}

    @classmethod
    def limits(cls, time_limit: float | None, threads: int | None) -> dict[str, object]:
        """The setting ``time_limit_secs``; SCS has none for threads, and its wheels use one."""
        require_one_thread(
            "SCS",
            threads,
            "leave it out, use 'clarabel', or set OMP_NUM_THREADS before Python starts for a build "
            "of SCS of your own that has threads",
        )
        # Its 0 is no limit.
        return {} if time_limit is None else {"time_limit_secs": max(float(time_limit), 1e-9)}

    @property
    def tolerances(self) -> Tolerances:
        """The weaker one of SCS's two, for feasibility and for the gap."""
        weaker = max(float(self._options.get(name, 1e-4)) for name in ("eps_abs", "eps_rel"))
        return Tolerances(weaker, weaker)

    @property
    def refinements(self) -> Sequence[Refinement]:
        """With rows rescaled, and two digits more."""
        eps = 0.01 * self.tolerances.feasibility
        return (Refinement(True, {"eps_abs": eps, "eps_rel": eps, "eps_infeas": 1e-9}),)

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        """Solve the form; never raises for an ending that is known.

        Parameters
        ----------
        form : ConicForm
        log : text stream, optional
            Where the solver's log goes, line by line as it is written.

        Raises
        ------
        ModelError
            SCS has no such cone.
        SolverError
            SCS ended with a word that is not known.
        KeyboardInterrupt
            Ctrl-C was pressed while SCS iterates. (While it factorises, SCS drops the signal.)
        """
        import scs

        start = time.perf_counter()
        last = self._form if self._form and same_pattern(self._form, form) else None
        order = lower_triangles(form)
        data, cones = _data(form, order), _cones(form)
        with printing_to(log):
            if last is not None and log is None and _same_matrices(last, form):
                self._solver.update(data["b"], data["c"])
            else:
                verbose = log is not None
                self._solver = scs.SCS(data, cones, verbose=verbose, **self._options)
            ready = time.perf_counter()
            raw = self._solver.solve(**(self._start if last is not None else _COLD))
        if raw["info"]["status_val"] == scs.SIGINT:
            raise KeyboardInterrupt
        self._form = form
        solved = raw["info"]["status_val"] in (scs.SOLVED, scs.SOLVED_INACCURATE)
        self._start = {k: raw[k] for k in "xys"} if solved else _COLD
        return _unscaled(
            form, order, raw, ready - start, time.perf_counter() - ready, last is not None
        )


@registered("scs", doc="SCS, conic operator splitting")
class Scs(ConicSolver):
    """SCS (https://www.cvxgrp.org/scs) for continuous convex models of Pyomo, kernel or environ.

    It takes what :class:`~rrp_pyomo.solvers.conic.clarabel.Clarabel` takes, at the accuracy that
    ``solver_options={"eps_abs": 1e-4, "eps_rel": 1e-4}``, its default, says: enough for a look at a
    very large model, not for a reference. The package ``scs`` is an extra (``solvers``).

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from rrp_pyomo.solvers.conic import Scs
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var()
    >>> model.y = pyo.Var(bounds=(0, None))
    >>> model.disc = pyo.Constraint(expr=model.x**2 + 1 <= model.y**2)
    >>> model.height = pyo.Objective(expr=model.x + 2 * model.y)
    >>> results = Scs().solve(model)
    >>> round(model.x.value, 2)
    -0.58
    """

    backend = ScsBackend

    def available(self) -> Availability:
        """Whether the package ``scs`` is installed."""
        return Availability.FullLicense if find_spec("scs") else Availability.NotFound

    def version(self) -> tuple[int, ...] | None:
        """The version of the installed package, None without one."""
        if not find_spec("scs"):
            return None
        import scs

        return tuple(int(part) for part in scs.__version__.split(".")[:3])


_COLD: dict[str, Any] = {"warm_start": False}


def scs_settings(options: Mapping[str, object]) -> dict[str, Any]:
    """Options as SCS gets them.

    Raises
    ------
    UnknownLabelError
        No setting has that name.
    InputError
        The setting takes a value of another type or range, this build has no such linear solver,
        or a file cannot be written.
    """
    settings = checked("SCS", options, OPTIONS)
    method = settings.get("linear_solver")
    if method is not None and (why := _why_not(method)):
        here = [f"{word.value!r}" for word in _linear_solvers() if not _why_not(word.value)]
        raise refused("SCS", "linear_solver", method, f"{why}; expected one of {', '.join(here)}")
    require_writable("SCS", settings, "log_csv_filename", "write_data_filename")
    return settings


def _linear_solvers() -> tuple[Any, ...]:
    import scs

    return tuple(scs.LinearSolver)


@cache
def _why_not(method: str) -> str:
    """Why SCS cannot use a linear solver; empty where it can. It says so when it is set up."""
    import scs

    one = np.ones(1)
    try:
        data = {"A": sp.csc_matrix([[1.0]]), "b": one, "c": one}
        scs.SCS(data, {"l": 1}, verbose=False, linear_solver=method)
    except (ValueError, ImportError) as error:
        return str(error)
    return ""


def _data(form: ConicForm, order: IntArray | None) -> dict[str, Any]:
    """SCS wants a row and a column at least: empty ones where the form has none."""
    k, n = form.A.shape
    A, rows = form.A, form.b
    if order is not None:
        A, rows = sp.csc_matrix(A[order]), rows[order]
    if not k or not n:
        A = sp.csc_matrix((max(k, 1), max(n, 1)))
    b, c = (np.concatenate([v, np.zeros(int(not v.size))]) for v in (rows, form.q))
    data = {"A": A, "b": b, "c": c}
    return data if form.P is None else {**data, "P": form.P}


def _cones(form: ConicForm) -> dict[str, Any]:
    cones: dict[str, Any] = {"z": 0, "l": 0, "q": [], "s": [], "ep": 0, "p": []}
    for cone in form.cones:
        if cone.kind not in _CONES:
            raise ModelError(
                f"SCS has no cone of the kind {cone.kind!r}; it takes {', '.join(_CONES)}"
            )
        word = _CONES[cone.kind]
        if cone.kind in (ZERO, NONNEGATIVE):
            cones[word] += cone.dimension
        elif cone.kind == EXPONENTIAL:
            cones[word] += cone.count
        elif cone.kind == SECOND_ORDER:
            cones[word] += [cone.dimension] * cone.count
        elif cone.kind == SEMIDEFINITE:
            cones[word] += [matrix_order(cone)] * cone.count
        else:
            cones[word] += [cone.alpha] * cone.count
    return cones if form.cones else {"z": 1}


def _same_matrices(a: ConicForm, b: ConicForm) -> bool:
    same = np.array_equal(a.A.data, b.A.data)
    if a.P is None or b.P is None:
        return same
    return same and np.array_equal(a.P.data, b.P.data)


def _termination(info: dict[str, Any]) -> Termination:
    value, status = info["status_val"], info["status"]
    if value in TERMINATION:
        return TERMINATION[value]
    if value in _INACCURATE and "time_limit" in status:
        return Termination.TIME_LIMIT
    if value in _INACCURATE and "max_iters" in status:
        return Termination.ITERATION_LIMIT
    import scs

    raise unknown_status("SCS", scs.__version__, status, (*TERMINATION, *_INACCURATE))


def _unscaled(
    form: ConicForm,
    order: IntArray | None,
    raw: dict[str, Any],
    setup_time: float,
    solve_time: float,
    updated: bool,
) -> ConicSolution:
    info, (k, n) = raw["info"], form.A.shape
    s, z = raw["s"][:k], raw["y"][:k]
    if order is not None:
        back = np.argsort(order)
        s, z = s[back], z[back]
    return ConicSolution(
        form=form,
        x=form.column_scale * raw["x"][:n],
        s=s / form.row_scale,
        z=z * form.row_scale / form.objective_scale,
        status=info["status"],
        termination=_termination(info),
        objective=form.objective(info["pobj"]),
        dual_objective=form.objective(info["dobj"]),
        iterations=info["iter"],
        setup_time=setup_time,
        solve_time=solve_time,
        updated=updated,
    )
