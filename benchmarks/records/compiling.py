"""Ten thousand rotated cones from a statement to a solver's arrays, beside cvxpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cvxpy as cp
import numpy as np
import pyomo.kernel as pmo
import scipy.sparse as sp
from record import Record, pairs

from rrp_pyomo import Program, square
from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.conic.compile import compile_model
from rrp_pyomo.solvers.reading.standard_form import read_model

CONES = 10_000
PAIRS = 9  # and one to warm up
ROUNDING = 1e-9

NAMES = "x", "z", "t"


def rows(seed: int) -> sp.csr_matrix:
    """A hundred sparse rows over all variables (x, z, t)."""
    matrix: sp.csr_matrix = sp.random(100, 3 * CONES, 0.01, format="csr", random_state=seed)
    return matrix


def in_pyomo(A: sp.csr_matrix) -> pmo.block:
    """max Σ t_k over 2 x_k z_k ≥ t_k² and A (x, z, t) ≤ 1, a conic object for each cone."""
    model = pmo.block()
    for name in NAMES:
        lower = None if name == "t" else 0
        setattr(model, name, pmo.variable_list([pmo.variable(lb=lower) for _ in range(CONES)]))
    members = zip(model.x, model.z, model.t, strict=True)
    model.cones = pmo.constraint_list(
        [pmo.conic.rotated_quadratic(x, z, [t]) for x, z, t in members]
    )
    model.rows = pmo.matrix_constraint(A, ub=1.0, x=[*model.x, *model.z, *model.t])
    model.total = pmo.objective(sum(model.t), sense=pmo.maximize)
    return model


def in_a_program(A: sp.csr_matrix) -> Program:
    """The same in three arrays."""
    program = Program()
    x, z = (program.variable(name, CONES, lower=0.0) for name in ("x", "z"))
    t = program.variable("t", CONES)
    parts = zip(np.split(np.arange(3 * CONES), 3), (x, z, t), strict=True)
    program.subject_to(cones=2 * x * z >= square(t))
    program.subject_to(rows=sum(A[:, own] @ variable for own, variable in parts) <= 1.0)
    program.maximize(t.sum())
    return program


def in_cvxpy(A: sp.csr_matrix) -> cp.Problem:
    """The same as cvxpy's users state many cones: one ``SOC`` of arrays, a cone in each column."""
    x, z, t = (cp.Variable(CONES, nonneg=name != "t") for name in NAMES)
    cones = cp.SOC(x + z, cp.vstack([x - z, np.sqrt(2.0) * t]), axis=0)
    return cp.Problem(cp.Maximize(cp.sum(t)), [cones, A @ cp.hstack([x, z, t]) <= 1])


def from_pyomo(model: pmo.block) -> ConicForm:
    """Our reading and compiling of a Pyomo model."""
    return compile_model(read_model(model)).form


def from_cvxpy(problem: cp.Problem) -> dict[str, Any]:
    """What cvxpy does before it calls Clarabel."""
    data: dict[str, Any] = problem.get_problem_data(cp.CLARABEL)[0]
    return data


class Check:
    """Whether both sets of arrays hold the statement: its rows and cones at a random point.

    Parameters
    ----------
    by_cone : bool
        Whether ours come from a Pyomo model, whose columns are in the order of its cones, and
        whose variables that a cone keeps nonnegative have no rows besides.
    """

    def __init__(self, by_cone: bool) -> None:
        self._by_cone = by_cone
        self.worst, self.turn = 0.0, 0

    def __call__(self, form: ConicForm, data: dict[str, Any]) -> None:
        A, self.turn = rows(self.turn), self.turn + 1
        x, z, t = np.random.default_rng(self.turn).uniform(0.5, 1.5, (3, CONES))
        slacks, depths = 1.0 - A @ np.concatenate([x, z, t]), 2.0 * x * z - t**2
        own = np.column_stack([x, z, t]).ravel() if self._by_cone else np.concatenate([x, z, t])
        scaled = own / form.column_scale
        self._compare(-t.sum(), form.objective(form.q @ scaled))
        s = (form.b - form.A @ scaled) / form.row_scale
        bounds = [] if self._by_cone else [x, z]
        self._compare(np.concatenate([*bounds, slacks]), s[: form.cones[0].dimension])
        (product,) = (group.product for group in form.groups if group.product is not None)
        self._compare(depths, _depths(s[form.cones[0].dimension :]) / product)
        other = np.concatenate([t, x, z])  # as the objective mentions them
        self._compare(-t.sum(), data["c"] @ other)
        s = data["b"] - data["A"] @ other
        nonnegative = data["dims"].nonneg
        self._compare(np.concatenate([x, z, slacks]), s[:nonnegative])
        self._compare(2.0 * depths, _depths(s[nonnegative:]))

    def _compare(self, stated: FloatArray | float, found: FloatArray | float) -> None:
        stated, found = np.sort(stated, axis=None), np.sort(found, axis=None)
        missed = float(np.abs(stated - found).max() / np.abs(stated).max())
        self.worst = max(self.worst, missed)
        if not missed <= ROUNDING:
            raise AssertionError(f"the arrays miss the statement by {missed:.1e}")


def _depths(members: FloatArray) -> FloatArray:
    """s₀² − s₁² − s₂² of each cone."""
    squares = members.reshape(-1, 3) ** 2
    depths: FloatArray = squares[:, 0] - squares[:, 1] - squares[:, 2]
    return depths


def compiled(
    work: str, limit: float, state: Callable[[sp.csr_matrix], Any], ours: Callable[[Any], ConicForm]
) -> Record:
    """One row: ours beside cvxpy, each from a statement that exists and nobody has compiled."""
    check = Check(by_cone=ours is from_pyomo)
    data = ((state(A), in_cvxpy(A)) for A in map(rows, range(PAIRS + 1)))
    seconds = pairs(ours, from_cvxpy, data, check)
    return Record(
        work=work,
        ours=seconds.ours,
        theirs=seconds.theirs,
        ratio=seconds.ratio,
        limit=limit,
        peer="cvxpy, get_problem_data of one SOC of arrays",
        certificate=f"rows and cones at random points, by the statement: {check.worst:.0e}",
        note="10,000 separate `SOC` constraints of scalars, as the Pyomo model states them, take "
        "cvxpy more than half a minute",
    )


def records() -> Iterator[Record]:
    """Through Pyomo, where each cone is an object, and from a Program, where all are one row."""
    work = f"compile {CONES:,} rotated cones"
    yield compiled(f"{work} of a Pyomo model", 1.5, in_pyomo, from_pyomo)
    yield compiled(f"{work} of a Program", 0.5, in_a_program, Program.conic)
