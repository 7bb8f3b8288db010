"""Clarabel, an interior-point solver for conic and quadratic programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar, TextIO

import clarabel
import numpy as np
import scipy.sparse as sp
from pyomo.contrib.solver.common.base import Availability

from rrp_pyomo.errors import ModelError
from rrp_pyomo.forms.conic import (
    EXPONENTIAL,
    NONNEGATIVE,
    POWER,
    SECOND_ORDER,
    SEMIDEFINITE,
    ZERO,
    Cone,
    ConicForm,
)
from rrp_pyomo.solvers.conic.semidefinite import matrix_order
from rrp_pyomo.solvers.conic.session import Refinement, Tolerances
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination, same_pattern
from rrp_pyomo.solvers.conic.solver import ConicSolver
from rrp_pyomo.solvers.options import Option, checked, refused
from rrp_pyomo.solvers.process import interruptible, printing_to
from rrp_pyomo.solvers.pyomo_solver import registered
from rrp_pyomo.solvers.status import unknown_status

#: What Clarabel's words for how it ended mean.
TERMINATION = {
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

# For another try at a form that is hard.
_TIGHT = {
    **dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-11),
    **dict.fromkeys(("tol_infeas_abs", "tol_infeas_rel"), 1e-10),
}

_CONES: dict[str, Callable[[Cone], Any]] = {
    ZERO: lambda cone: clarabel.ZeroConeT(cone.dimension),
    NONNEGATIVE: lambda cone: clarabel.NonnegativeConeT(cone.dimension),
    SECOND_ORDER: lambda cone: clarabel.SecondOrderConeT(cone.dimension),
    SEMIDEFINITE: lambda cone: clarabel.PSDTriangleConeT(matrix_order(cone)),
    EXPONENTIAL: lambda cone: clarabel.ExponentialConeT(),
    POWER: lambda cone: clarabel.PowerConeT(cone.alpha),
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

    #: Its options for programs, which are stated in known units.
    for_programs: ClassVar[Mapping[str, object]] = {
        name: tolerance for name, tolerance in ACCURATE.items() if not name.startswith("reduced")
    }

    def __init__(self, **options: object) -> None:
        self._settings = clarabel_settings(options)
        self._solver: Any = None
        self._form: ConicForm | None = None

    @classmethod
    def limits(cls, time_limit: float | None, threads: int | None) -> dict[str, object]:
        """The settings ``time_limit`` and ``max_threads``."""
        given = {"time_limit": time_limit, "max_threads": threads}
        return {name: limit for name, limit in given.items() if limit is not None}

    @property
    def tolerances(self) -> Tolerances:
        """Clarabel is content with the weaker one of its two for the gap."""
        settings = self._settings
        return Tolerances(settings.tol_feas, max(settings.tol_gap_rel, settings.tol_gap_abs))

    @property
    def refinements(self) -> Sequence[Refinement]:
        """Without Clarabel's equilibration, and with rows rescaled before it.

        Hardly any form is hard for all three.
        """
        tight = {name: min(getattr(self._settings, name), size) for name, size in _TIGHT.items()}
        return Refinement(False, {**tight, "equilibrate_enable": False}), Refinement(True, tight)

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
            Clarabel has no such cone.
        SolverError
            Clarabel ended with a word that is not known.
        KeyboardInterrupt
            Ctrl-C was pressed; the solver stops at its next iteration.
        """
        start = time.perf_counter()
        self._settings.verbose = log is not None
        updated = self._takes_numbers_of(form)
        if updated:
            self._update(form)
        else:
            P = _nothing(form.A.shape[1]) if form.P is None else form.P
            cones = clarabel_cones(form)
            self._solver = clarabel.DefaultSolver(P, form.q, form.A, form.b, cones, self._settings)
        self._form = form
        ready = time.perf_counter()
        with interruptible() as interrupted, printing_to(log):
            if interrupted is None:
                self._solver.unset_termination_callback()
            else:  # Clarabel looks for signals only at the end, and swallows its callback's errors
                self._solver.set_termination_callback(lambda info: interrupted())
            raw = self._solver.solve()
        return _unscaled(form, raw, ready - start, time.perf_counter() - ready, updated)

    def _takes_numbers_of(self, form: ConicForm) -> bool:
        """Whether the solver that there is can be updated; not where it has reshaped the form."""
        return (
            self._form is not None
            and same_pattern(self._form, form)
            and self._solver.is_data_update_allowed()
        )

    def _update(self, form: ConicForm) -> None:
        changes: dict[str, Any] = {"q": form.q, "b": form.b, "A": form.A.data}
        changes["settings"] = self._settings
        if form.P is not None:
            changes["P"] = form.P.data
        self._solver.update(**changes)


@registered("clarabel", doc="Clarabel, conic interior point")
class Clarabel(ConicSolver):
    """Clarabel (https://clarabel.org) for continuous convex models of Pyomo, kernel or environ.

    It takes linear rows, all cones of ``pyomo.kernel.conic`` but the semidefinite one, and convex
    quadratic constraints and objectives. ``solver_options`` are Clarabel's settings by name, such
    as ``{"tol_gap_abs": 1e-9, "max_iter": 100}``; ``time_limit`` and ``threads`` are Pyomo's. It
    runs on one thread and without presolve, unless options say otherwise.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from rrp_pyomo.solvers.conic import Clarabel
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var()
    >>> model.y = pyo.Var(bounds=(0, None))
    >>> model.disc = pyo.Constraint(expr=model.x**2 + 1 <= model.y**2)
    >>> model.height = pyo.Objective(expr=model.x + 2 * model.y)
    >>> results = Clarabel().solve(model)
    >>> round(model.x.value, 3)
    -0.577
    """

    backend = ClarabelBackend

    def available(self) -> Availability:
        """Clarabel is a dependency of this package."""
        return Availability.FullLicense

    def version(self) -> tuple[int, ...]:
        """The version of the installed wheel."""
        return tuple(int(part) for part in clarabel.__version__.split(".")[:3])


def clarabel_settings(options: Mapping[str, object]) -> Any:
    """Clarabel's settings object for options by name; quiet and single-threaded by default.

    Raises
    ------
    UnknownLabelError
        No setting has that name.
    InputError
        The setting takes a value of another type or range, or this build has no such method.
    """
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    # Presolve drops rows with infinite right-hand sides; without it every update stays possible.
    settings.presolve_enable = False
    rest = {name: value for name, value in options.items() if name not in _METHODS}
    for name, value in checked("Clarabel", rest, setting_types()).items():
        _set(settings, name, value)
    for name in options.keys() & _METHODS.keys():
        if not _has_method(name, options[name]):
            here = [method for method in _METHODS[name] if _has_method(name, method)]
            why = f"expected one of {', '.join(map(repr, here))}"
            raise refused("Clarabel", name, options[name], why)
        setattr(settings, name, options[name])
    return settings


# The words for methods, of which a build may lack some.
_METHODS: dict[str, tuple[object, ...]] = {
    "chordal_decomposition_merge_method": ("clique_graph", "parent_child", "none"),
    "direct_kkt_solver": (True, False),
    "direct_solve_method": ("auto", "qdldl", "faer", "mkl", "panua"),
}
_SHARE = "[0, 1)"
_INTERVALS = {
    **dict.fromkeys(("tol_feas", "tol_gap_rel", "tol_infeas_rel", "tol_ktratio"), _SHARE),
    "time_limit": "[0, inf]",
    "max_step_fraction": "(0, 1)",
    "linesearch_backtrack_step": "(0, 1)",
    "min_switch_step_length": _SHARE,
    "min_terminate_step_length": _SHARE,
    # Others end in factors of zeros, or in a proof that what has solutions has none.
    "dynamic_regularization_delta": "(0, inf)",
    "dynamic_regularization_eps": "(0, inf)",
    "equilibrate_min_scaling": "(0, 1]",
    "equilibrate_max_scaling": "[1, inf)",
    "max_iter": "[0, 4294967295]",
    "equilibrate_max_iter": "[0, 4294967295]",
    "iterative_refinement_max_iter": "[0, 4294967295]",
    "max_threads": "[0, 4294967295]",
}


@cache
def setting_types() -> dict[str, Option]:
    """Every setting of the installed Clarabel, by the type of its default."""
    defaults, known = clarabel.DefaultSettings(), {}
    for name in dir(defaults):
        kind = type(getattr(defaults, name))
        if not name.startswith("_") and name != "default":
            interval = _INTERVALS.get(name.removeprefix("reduced_"), "[0, inf)")
            known[name] = Option(kind, interval)
    return known


def _set(settings: Any, name: str, value: object) -> None:
    try:
        setattr(settings, name, value)
    except (TypeError, ValueError, OverflowError) as error:
        raise refused("Clarabel", name, value, str(error)) from error


def _has_method(name: str, method: object) -> bool:
    """Whether this Clarabel solves by a method; it says so only when it is given a problem."""
    settings = clarabel.DefaultSettings()
    try:
        setattr(settings, name, method)
        clarabel.DefaultSolver(
            _nothing(1), [0.0], _nothing(1), [0.0], [clarabel.ZeroConeT(1)], settings
        )
    except Exception:  # a bare one, where it lacks the method
        return False
    return True


def clarabel_cones(form: ConicForm) -> list[Any]:
    """The form's cones in Clarabel's words.

    Raises
    ------
    ModelError
        Clarabel has no such cone.
    """
    cones: list[Any] = []
    for cone in form.cones:
        if cone.kind not in _CONES:
            raise ModelError(
                f"Clarabel has no cone of the kind {cone.kind!r}; it takes {', '.join(_CONES)}"
            )
        cones.extend([_CONES[cone.kind](cone)] * cone.count)
    return cones


@lru_cache(maxsize=4)
def _nothing(n: int) -> sp.csc_matrix:
    """The matrix of an objective without squares."""
    return sp.csc_matrix((n, n))


def _unscaled(
    form: ConicForm, raw: Any, setup_time: float, solve_time: float, updated: bool
) -> ConicSolution:
    status = str(raw.status)
    if status not in TERMINATION:
        raise unknown_status("Clarabel", clarabel.__version__, status, TERMINATION)
    return ConicSolution(
        form=form,
        x=form.column_scale * np.array(raw.x),
        s=np.array(raw.s) / form.row_scale,
        z=np.array(raw.z) * form.row_scale / form.objective_scale,
        status=status,
        termination=TERMINATION[status],
        objective=form.objective(raw.obj_val),
        dual_objective=form.objective(raw.obj_val_dual),
        iterations=raw.iterations,
        setup_time=setup_time,
        solve_time=solve_time,
        updated=updated,
    )
