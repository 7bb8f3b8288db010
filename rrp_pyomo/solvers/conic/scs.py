"""SCS for Pyomo models: a first-order solver, for very large models at low accuracy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, TextIO

import numpy as np
import scipy.sparse as sp
from pyomo.contrib.solver.common.base import Availability
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.errors import InputError, SolverUnavailableError, UnknownLabelError
from rrp_pyomo.forms.conic import EXPONENTIAL, NONNEGATIVE, SECOND_ORDER, ZERO, ConicForm
from rrp_pyomo.solvers.backends import ConicSolution, Termination, printing_to, same_pattern
from rrp_pyomo.solvers.conic.solver import Backend, ConicSolver

#: SCS's settings and their types; SCS itself has no list of them.
OPTIONS: dict[str, type] = {
    "acceleration_interval": int,
    "acceleration_lookback": int,
    "adaptive_scale": bool,
    "alpha": float,
    "eps_abs": float,
    "eps_infeas": float,
    "eps_rel": float,
    "linear_solver": str,
    "log_csv_filename": str,
    "max_iters": int,
    "normalize": bool,
    "rho_x": float,
    "scale": float,
    "time_limit_secs": float,
    "write_data_filename": str,
}

#: By SCS's ``status_val``; those of inaccurate answers are told apart by what they say.
TERMINATION = {
    1: Termination.SOLVED,
    -1: Termination.UNBOUNDED,
    -2: Termination.INFEASIBLE,
    -3: Termination.INCONCLUSIVE,
    -4: Termination.FAILED,
}


@SolverFactory.register("scs", legacy_name="scs", doc="SCS, conic operator splitting")
class Scs(ConicSolver):
    """SCS (https://www.cvxgrp.org/scs) for continuous convex models of Pyomo, kernel or environ.

    It takes what :class:`~rrp_pyomo.solvers.conic.clarabel.Clarabel` takes, at the accuracy that
    ``solver_options={"eps_abs": 1e-4, "eps_rel": 1e-4}``, its default, says: enough for a look at a
    very large model, not for a reference. The package ``scs`` is an extra (``solvers``).
    """

    def available(self) -> Availability:
        """Whether the package ``scs`` is installed."""
        return Availability.FullLicense if find_spec("scs") else Availability.NotFound

    def version(self) -> tuple[int, ...] | None:
        """The version of the installed package, None without one."""
        if not find_spec("scs"):
            return None
        import scs

        return tuple(int(part) for part in scs.__version__.split(".")[:3])

    def _options(self, config: Any) -> dict[str, Any]:
        options = dict(config.solver_options.value())
        if config.time_limit is not None:
            options["time_limit_secs"] = max(config.time_limit, 1e-9)  # SCS's 0 is no limit
        return options

    def _new_backend(self, options: Mapping[str, Any]) -> Backend:
        return ScsBackend(**options)


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

    def __init__(self, **options: Any) -> None:
        if not find_spec("scs"):
            raise SolverUnavailableError(
                "SCS is not installed; pip install scs, or the extra rrp-pyomo[solvers]"
            )
        for name, value in options.items():
            _check_option(name, value)
        self._options = options
        self._solver: Any = None
        self._form: ConicForm | None = None
        self._start: dict[str, Any] = {}

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        """Solve the form; never raises for what the solver says.

        Parameters
        ----------
        form : ConicForm
        log : text stream, optional
            Where the solver's log goes.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C was pressed while SCS iterates. (While it factorises, SCS drops the signal.)
        """
        import scs

        start = time.perf_counter()
        known = self._form is not None and same_pattern(self._form, form)
        with printing_to(log):
            if known and log is None and _same_matrices(self._form, form):
                self._solver.update(form.b, form.q)
            else:
                data, cones = _data(form), _cones(form)
                verbose = log is not None
                self._solver = scs.SCS(data, cones, verbose=verbose, **self._options)
            ready = time.perf_counter()
            raw = self._solver.solve(**(self._start if known else {"warm_start": False}))
        if raw["info"]["status_val"] == scs.SIGINT:
            raise KeyboardInterrupt
        self._form = form
        solved = raw["info"]["status_val"] in (scs.SOLVED, scs.SOLVED_INACCURATE)
        self._start = {k: raw[k] for k in "xys"} if solved else {"warm_start": False}
        return _unscaled(form, raw, ready - start, time.perf_counter() - ready)


def _check_option(name: str, value: object) -> None:
    if name not in OPTIONS:
        raise UnknownLabelError("SCS option", name, OPTIONS)
    expected = OPTIONS[name]
    accepted = (int, float) if expected is float else expected
    if not isinstance(value, accepted) or isinstance(value, bool) is not (expected is bool):
        raise InputError(
            f"SCS option {name!r} is {value!r}; expected a value of type {expected.__name__}"
        )


def _data(form: ConicForm) -> dict[str, Any]:
    """SCS wants a row and a column at least: empty ones where the form has none."""
    k, n = form.A.shape
    A = form.A
    if not k or not n:
        A = sp.csc_matrix((max(k, 1), max(n, 1)))
    b, c = (np.concatenate([v, np.zeros(int(not v.size))]) for v in (form.b, form.q))
    data = {"A": A, "b": b, "c": c}
    return data if form.P is None else {**data, "P": form.P}


def _cones(form: ConicForm) -> dict[str, Any]:
    cones: dict[str, Any] = {"z": 0, "l": 0, "q": [], "ep": 0, "p": []}
    for cone in form.cones:
        if cone.kind in (ZERO, NONNEGATIVE):
            cones["z" if cone.kind == ZERO else "l"] += cone.dimension
        elif cone.kind == EXPONENTIAL:
            cones["ep"] += cone.count
        elif cone.kind == SECOND_ORDER:
            cones["q"] += [cone.dimension] * cone.count
        else:
            cones["p"] += [cone.alpha] * cone.count
    return cones if form.cones else {"z": 1}


def _same_matrices(a: ConicForm | None, b: ConicForm) -> bool:
    assert a is not None
    same = np.array_equal(a.A.data, b.A.data)
    if a.P is None or b.P is None:
        return same
    return same and np.array_equal(a.P.data, b.P.data)


def _unscaled(
    form: ConicForm, raw: dict[str, Any], setup_time: float, solve_time: float
) -> ConicSolution:
    info, (k, n) = raw["info"], form.A.shape
    status = info["status"]
    limit = Termination.TIME_LIMIT if "time_limit" in status else Termination.ITERATION_LIMIT
    termination = TERMINATION.get(info["status_val"], limit)
    return ConicSolution(
        x=form.column_scale * raw["x"][:n],
        s=raw["s"][:k] / form.row_scale,
        z=raw["y"][:k] * form.row_scale / form.objective_scale,
        status=status,
        termination=termination,
        objective=form.objective(info["pobj"]),
        dual_objective=form.objective(info["dobj"]),
        iterations=info["iter"],
        setup_time=setup_time,
        solve_time=solve_time,
    )
