"""Clarabel on a conic form: matrices in, numbers out."""

from __future__ import annotations

import contextlib
import enum
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

import clarabel
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.forms.conic import EXPONENTIAL, NONNEGATIVE, POWER, SECOND_ORDER, ZERO, ConicForm

FloatArray = NDArray[np.float64]


class Termination(enum.Enum):
    """How a conic solver ended, whatever its own words for it."""

    SOLVED = "solved"
    ALMOST_SOLVED = "almost solved"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    INFEASIBLE_OR_UNBOUNDED = "infeasible or unbounded"
    ITERATION_LIMIT = "iteration limit"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    STALLED = "no more progress"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class ConicSolution:
    """A solver's answer to a conic form, in the units of the statement.

    Attributes
    ----------
    x : (n,) array
        The point; for an unbounded problem a direction of recession.
    s, z : (k,) arrays
        Slacks b − Ax and multipliers, both in the rows' own units; for an infeasible problem z is
        a certificate (A'z = 0, b'z < 0, z in the dual cone).
    status : str
        The solver's own words.
    objective, dual_objective : float
        Of the statement, not of its scaled form.
    setup_time, solve_time : float
        Seconds.
    """

    x: FloatArray
    s: FloatArray
    z: FloatArray
    status: str
    termination: Termination
    objective: float
    dual_objective: float
    iterations: int
    setup_time: float
    solve_time: float


CLARABEL_TERMINATION = {
    "Solved": Termination.SOLVED,
    "AlmostSolved": Termination.ALMOST_SOLVED,
    "PrimalInfeasible": Termination.INFEASIBLE,
    "AlmostPrimalInfeasible": Termination.INCONCLUSIVE,
    "DualInfeasible": Termination.UNBOUNDED,
    "AlmostDualInfeasible": Termination.INCONCLUSIVE,
    "MaxIterations": Termination.ITERATION_LIMIT,
    "MaxTime": Termination.TIME_LIMIT,
    "CallbackTerminated": Termination.INTERRUPTED,
    "InsufficientProgress": Termination.STALLED,
    "NumericalError": Termination.FAILED,
    "Unsolved": Termination.FAILED,
}


# For statements in known units: one digit more than Clarabel's defaults, at the price of about one
# iteration, because flat optima (large ω) need it for weights to agree to 1e-5 of 1/n. What is only
# "almost solved" then still satisfies Clarabel's default tolerances.
ACCURATE: dict[str, object] = {
    "tol_gap_abs": 1e-9,
    "tol_gap_rel": 1e-9,
    "tol_feas": 1e-9,
    "reduced_tol_gap_abs": 1e-8,
    "reduced_tol_gap_rel": 1e-8,
    "reduced_tol_feas": 1e-8,
}


class ClarabelBackend:
    """Clarabel with its memory: a form with the last one's sparsity pattern updates the numbers.

    Parameters
    ----------
    **options
        Clarabel's settings by name, such as ``max_iter=100``.

    Raises
    ------
    UnknownLabelError
        No setting has that name.
    InputError
        The setting has another type.
    """

    def __init__(self, **options: object) -> None:
        self._settings = clarabel_settings(options)
        self._solver: Any = None
        self._form: ConicForm | None = None

    def solve(self, form: ConicForm, log: TextIO | None = None) -> ConicSolution:
        """Solve the form; never raises for what the solver says.

        Parameters
        ----------
        form : ConicForm
        log : text stream, optional
            Where the solver's log goes, line by line as it is written.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C was pressed; the solver stops at its next iteration.
        """
        start = time.perf_counter()
        self._settings.verbose = log is not None
        if self._form is not None and same_pattern(self._form, form):
            self._update(form)
        else:
            P = sp.csc_matrix(form.A.shape[1:] * 2) if form.P is None else form.P
            cones = _clarabel_cones(form)
            self._solver = clarabel.DefaultSolver(P, form.q, form.A, form.b, cones, self._settings)
        self._form = form
        ready = time.perf_counter()
        with _interruptible(self._solver), printing_to(log):
            raw = self._solver.solve()
        return _unscaled(form, raw, ready - start, time.perf_counter() - ready)

    def _update(self, form: ConicForm) -> None:
        old = self._form
        assert old is not None
        changes: dict[str, Any] = {"q": form.q, "b": form.b, "A": form.A.data}
        changes["settings"] = self._settings
        if form.P is not None:
            changes["P"] = form.P.data
        self._solver.update(**changes)


def clarabel_settings(options: Mapping[str, object]) -> Any:
    """Clarabel's settings object for options by name; quiet and single-threaded by default."""
    settings = clarabel.DefaultSettings()
    known = [name for name in dir(settings) if not name.startswith("_") and name != "default"]
    settings.verbose = False
    settings.max_threads = 1
    # Presolve drops rows with infinite right-hand sides; without it every update stays possible.
    settings.presolve_enable = False
    for name, value in options.items():
        if name not in known:
            raise UnknownLabelError("Clarabel option", name, known)
        try:
            setattr(settings, name, value)
        except (TypeError, ValueError, OverflowError) as error:
            expected = type(getattr(settings, name)).__name__
            raise InputError(
                f"Clarabel option {name!r} is {value!r}; expected a value of type {expected}"
            ) from error
    return settings


def _clarabel_cones(form: ConicForm) -> list[Any]:
    make = {
        ZERO: lambda cone: clarabel.ZeroConeT(cone.dimension),
        NONNEGATIVE: lambda cone: clarabel.NonnegativeConeT(cone.dimension),
        SECOND_ORDER: lambda cone: clarabel.SecondOrderConeT(cone.dimension),
        EXPONENTIAL: lambda cone: clarabel.ExponentialConeT(),
        POWER: lambda cone: clarabel.PowerConeT(cone.alpha),
    }
    cones: list[Any] = []
    for cone in form.cones:
        cones.extend([make[cone.kind](cone)] * cone.count)
    return cones


def same_pattern(a: ConicForm, b: ConicForm) -> bool:
    """Whether two forms differ in numbers only."""
    return (
        a.cones == b.cones
        and a.A.shape == b.A.shape
        and (a.P is None) == (b.P is None)
        and np.array_equal(a.A.indptr, b.A.indptr)
        and np.array_equal(a.A.indices, b.A.indices)
        and (
            a.P is None
            or b.P is None
            or (np.array_equal(a.P.indptr, b.P.indptr) and np.array_equal(a.P.indices, b.P.indices))
        )
    )


@contextlib.contextmanager
def _interruptible(solver: Any) -> Iterator[None]:
    """Ctrl-C stops the solver at its next iteration and then raises KeyboardInterrupt.

    Clarabel swallows exceptions in its callback, and without one looks for signals only at the end.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield  # nobody here whom an interrupt would reach
        return
    pressed: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    solver.set_termination_callback(lambda info: bool(pressed))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        solver.unset_termination_callback()
    if pressed:
        handler(*pressed[0])


_STDOUT = threading.RLock()


@contextlib.contextmanager
def printing_to(log: TextIO | None) -> Iterator[None]:
    """A context in which solvers that print to the standard output print to the log.

    One thread at a time: the standard output belongs to the process, and each has to find its own
    again.
    """
    if log is None:
        yield
        return
    with _STDOUT, contextlib.redirect_stdout(log):
        yield


def _unscaled(form: ConicForm, raw: Any, setup_time: float, solve_time: float) -> ConicSolution:
    status = str(raw.status)
    return ConicSolution(
        x=form.column_scale * np.array(raw.x),
        s=np.array(raw.s) / form.row_scale,
        z=np.array(raw.z) * form.row_scale / form.objective_scale,
        status=status,
        termination=CLARABEL_TERMINATION[status],
        objective=form.objective(raw.obj_val),
        dual_objective=form.objective(raw.obj_val_dual),
        iterations=raw.iterations,
        setup_time=setup_time,
        solve_time=solve_time,
    )
