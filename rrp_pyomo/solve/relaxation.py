"""The semidefinite relaxation of a nonconvex quadratic model over moments.

The variables that are multiplied become a vector ũ = (1, u), their products entries of M ≈ ũũ':

    M ⪰ 0,   M₀₀ = 1,   g'M h ≥ 0 for rows g'ũ ≥ 0 and h'ũ ≥ 0,

and every quadratic function is linear in M (Shor 1987; Sherali & Adams 1990). Linear equations are
solved for variables first, such as marginal risks: M is smaller then, and may be positive definite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.errors import InfeasibleError, SolverError
from rrp_pyomo.forms.conic import NONNEGATIVE, SECOND_ORDER, SEMIDEFINITE, ConicForm
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import InCone
from rrp_pyomo.modeling.cones import ROTATED, SecondOrder, Semidefinite
from rrp_pyomo.program import Program
from rrp_pyomo.solve.elimination import Reduced
from rrp_pyomo.solve.table import find_solver
from rrp_pyomo.solvers.conic.quadratics import ConicQuadratic, Names, as_cone
from rrp_pyomo.solvers.conic.session import Session
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError
from rrp_pyomo.solvers.reading.standard_form import (
    QuadraticBody,
    QuadraticConstraint,
    StandardForm,
)

# What entries without bounds are taken to be at most, in multiples of their size at the solution.
_BEYOND = 1e3


class Relaxation:
    """Linear rows over the moments h (M's upper triangle, packed), and the columns y beside them.

    ``rows`` collects lower ≤ row ≤ upper over (h, y).
    """

    def __init__(self, stated: StandardForm, reduced: Reduced) -> None:
        self._stated = stated
        bodies = [stated.objective, *(q.body for q in stated.quadratics)]
        multiplied = sorted({c for body in bodies for ij in body.quadratic for c in ij})
        used = (reduced.columns[multiplied, 1:] != 0.0).any(axis=0)
        self._lifted = np.r_[0, 1 + np.flatnonzero(used)]  # places in ũ, the constant first
        self._others = 1 + np.flatnonzero(~used)
        self._d = self._lifted.size
        self._packed = _packing(self._d)
        self._moments = self._d * (self._d + 1) // 2
        entries = self._packed.ravel()
        self._onto_packed = sp.csr_array(
            (np.ones(entries.size), (np.arange(entries.size), entries)),
            (entries.size, self._moments),
        )
        self._size = self._moments + self._others.size
        self._kept = reduced.kept
        self._columns = reduced.columns
        self._rows: list[sp.csr_array] = []
        self._bounds: list[tuple[FloatArray, FloatArray]] = []
        self._between(self._linear(reduced.rows), 0.0, np.inf)
        self._multiply(reduced.rows)
        for q in stated.quadratics:
            self._between(self._quadratic(q.body)[None, :], q.lower, q.upper)
        self._between(sp.csr_array(np.eye(1, self._size)), 1.0, 1.0)
        self._cost = stated.sense * self._quadratic(stated.objective)

    def _linear(self, rows: FloatArray) -> sp.csr_array:
        """Rows over (1, kept columns) as rows over (h, y)."""
        first = sp.csr_array(rows[:, self._lifted])
        place = sp.csr_array(
            (np.ones(self._d), (np.arange(self._d), self._packed[0])), (self._d, self._moments)
        )
        return sp.hstack([first @ place, sp.csr_array(rows[:, self._others])], format="csr")

    def _quadratic(self, body: QuadraticBody) -> FloatArray:
        """A quadratic function of the model as a row over (h, y)."""
        units = self._stated.units
        linear = np.zeros(1 + len(self._kept))
        linear[0] = body.constant
        for j, value in body.linear.items():
            linear += value * units[j] * self._columns[j]
        row: FloatArray = self._linear(linear[None, :]).toarray().ravel()
        for (i, j), value in body.quadratic.items():
            a, b = (self._columns[c][self._lifted] for c in (i, j))
            row[: self._moments] += value * units[i] * units[j] * self._product(a, b[None, :])[0]
        return row

    def _product(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """a'M b_k as rows over h."""
        outer = a[None, :, None] * b[:, None, :]
        rows: FloatArray = outer.reshape(len(b), -1) @ self._onto_packed
        return rows

    def _multiply(self, rows: FloatArray) -> None:
        """Products of the rows that are over ũ alone."""
        pure = ~(rows[:, self._others] != 0.0).any(axis=1)
        G = rows[pure][:, self._lifted]
        for k, g in enumerate(G):
            self._between(self._over_all(self._product(g, G[k:])), 0.0, np.inf)

    def _over_all(self, rows: FloatArray) -> sp.csr_array:
        rest = sp.csr_array((len(rows), self._others.size))
        return sp.hstack([sp.csr_array(rows), rest], format="csr")

    def _between(self, rows: Any, lower: float, upper: float) -> None:
        rows = sp.csr_array(rows)
        size = abs(rows).max(axis=1).toarray().ravel() if rows.shape[0] else np.zeros(0)
        kept = size > 1e-12
        scale = 1.0 / np.where(kept, size, 1.0)
        self._rows.append((sp.diags_array(scale) @ rows)[kept])
        self._bounds.append((lower * scale[kept], upper * scale[kept]))

    # --- solving --------------------------------------------------------------------------------

    def bound(self) -> tuple[float, str]:
        """The bound on sense · objective, and the solver's status."""
        program = self._program()
        backend = find_solver("clarabel").backend()
        answer = Session(backend, **backend.for_programs).solve(program.conic())
        if answer.termination is Termination.INFEASIBLE:
            raise InfeasibleError(
                f"the relaxation ended with status {answer.status!r}: the model has no solution; "
                "relax its constraints"
            )
        if answer.termination in (Termination.UNBOUNDED, Termination.INFEASIBLE_OR_UNBOUNDED):
            return -np.inf, answer.status
        if not np.isfinite(answer.z).all():
            raise SolverError(
                f"the relaxation ended with status {answer.status!r}, without multipliers; give "
                "the variables tighter bounds"
            )
        return self._proved(answer), answer.status

    def _program(self) -> Program:
        program = Program("relaxation")
        h = program.variable("h", self._moments)
        parts = [h]
        if self._others.size:
            parts.append(program.variable("y", self._others.size))
        program.minimize(_over(self._cost[None, :], parts))
        rows = sp.vstack(self._rows, format="csr")
        lower, upper = (np.concatenate(side) for side in zip(*self._bounds, strict=True))
        equal = lower == upper
        below, above = np.isfinite(lower) & ~equal, np.isfinite(upper) & ~equal
        stated = {
            "equal": _over(rows[equal], parts) == lower[equal],
            "moments": InCone((h[self._packed.ravel().tolist()],), Semidefinite()),
        }
        if below.any():
            stated["below"] = _over(rows[below], parts) >= lower[below]
        if above.any():
            stated["above"] = _over(rows[above], parts) <= upper[above]
        for k, cone in enumerate(self._cones()):
            heads = [_over(self._affine([head]), parts) for head in cone.heads]
            vector = _over(self._affine(cone.vector), parts)
            kind = SecondOrder() if len(heads) == 1 else ROTATED
            stated[f"cone_{k}"] = InCone((*heads, vector), kind)
        program.subject_to(**stated)
        return program

    def _affine(self, rows: Any) -> FloatArray:
        result = np.zeros((len(rows), 1 + len(self._kept)))
        for row, (columns, values, constant) in zip(result, rows, strict=True):
            row[0] = constant
            for j, value in zip(columns, values, strict=True):
                row += value * self._stated.units[j] * self._columns[j]
        rows_over_all: FloatArray = self._linear(result).toarray()
        return rows_over_all

    def _cones(self) -> Iterator[ConicQuadratic]:
        """The second-order cones that M ⪰ 0 does not imply: ‖v‖ ≤ r, where r is multiplied too."""
        stated = self._stated
        limits = stated.lower.tolist(), stated.upper.tolist()
        defined = dict(filter(None, map(_definition, stated.quadratics)))
        for q in stated.quadratics:
            body = _substituted(q.body, defined)
            for bound, sign in ((q.upper, 1.0), (q.lower, -1.0)):
                if not np.isfinite(bound):
                    continue
                side = _weighted([(body, sign)], -sign * bound)
                try:
                    cone = as_cone(side, *limits, Names(q.constraint, stated.variables))
                except IncompatibleModelError:  # not convex: M is all there is
                    continue
                if cone.heads[-1].columns and cone.vector:
                    yield cone

    # --- what is proved -------------------------------------------------------------------------

    def _proved(self, answer: ConicSolution) -> float:
        """What multipliers z in the dual cone prove: −b'z + min (q + A'z)'x over the box of x."""
        form = answer.form
        z = _in_dual_cone(form, answer.scaled_multipliers)
        missed = form.q + form.A.T @ z
        low, high = self._box()
        reach = _BEYOND * np.maximum(1.0, np.abs(answer.x))
        low, high = np.maximum(low, -reach), np.minimum(high, reach)
        missed = missed / form.column_scale
        least = np.minimum(missed * low, missed * high).sum()
        return form.objective(float(least - form.b @ z))

    def unbounded(self) -> tuple[str, ...]:
        """The columns that neither bounds nor rows keep finite."""
        low, high = self._box()
        first = np.r_[self._packed[0, 1:], self._moments + np.arange(self._others.size)]
        kept = np.r_[self._lifted[1:], self._others] - 1
        open_ended = ~(np.isfinite(low) & np.isfinite(high))[first]
        return tuple(
            str(self._stated.variables[self._kept[k]].name) for k in sorted(kept[open_ended])
        )

    def _box(self, rounds: int = 12) -> tuple[FloatArray, FloatArray]:
        """Bounds on (h, y) that follow from the rows and from M ⪰ 0."""
        low, high = np.full(self._size, -np.inf), np.full(self._size, np.inf)
        diagonal = self._packed.diagonal()
        low[diagonal] = 0.0
        rows = sp.vstack(self._rows, format="csr")
        lower, upper = (np.concatenate(side) for side in zip(*self._bounds, strict=True))
        both = sp.vstack([rows, -rows], format="csr")
        limit = np.r_[upper, -lower]
        both, limit = both[np.isfinite(limit)], limit[np.isfinite(limit)]
        for _ in range(rounds):
            _propagate(both, limit, low, high)
            reach = np.sqrt(np.maximum(np.outer(high[diagonal], high[diagonal]), 0.0))
            np.minimum.at(high, self._packed.ravel(), reach.ravel())
            np.maximum.at(low, self._packed.ravel(), -reach.ravel())
        return low, high


def _propagate(rows: sp.csr_array, limit: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Bounds on each entry that a'x ≤ b and those of the others imply; in place."""
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    least = np.where(rows.data > 0.0, rows.data * low[rows.indices], rows.data * high[rows.indices])
    infinite = np.isinf(least)
    count = np.bincount(row, infinite, rows.shape[0])
    total = np.bincount(row, np.where(infinite, 0.0, least), rows.shape[0])
    rest = np.where(infinite, total[row], total[row] - least)
    known = count[row] - infinite == 0
    implied = (limit[row] - rest) / rows.data
    implied += 1e-9 * (np.abs(implied) + 1.0) * np.sign(rows.data)
    for positive, at, side in ((True, np.minimum, high), (False, np.maximum, low)):
        chosen = known & ((rows.data > 0.0) == positive)
        at.at(side, rows.indices[chosen], implied[chosen])


def _definition(q: QuadraticConstraint) -> tuple[int, QuadraticBody] | None:
    """The one column that is linear in an equation, as what it equals: v of v = ‖e‖²."""
    if q.lower != q.upper or len(q.body.linear) != 1:
        return None
    ((column, value),) = q.body.linear.items()
    if any(column in ij for ij in q.body.quadratic):
        return None
    rest = q.body._replace(linear={}, constant=q.body.constant - q.lower)
    return column, _weighted([(rest, -1.0 / value)])


def _substituted(body: QuadraticBody, defined: dict[int, QuadraticBody]) -> QuadraticBody:
    """A body with columns replaced by what they equal, unless that is what it says."""
    known = {j: value for j, value in body.linear.items() if j in defined}
    if len(body.linear) == 1 and all(
        defined[j].quadratic.keys() == body.quadratic.keys() for j in known
    ):
        return body
    rest = body._replace(linear={j: v for j, v in body.linear.items() if j not in known})
    return _weighted([(rest, 1.0), *((defined[j], value) for j, value in known.items())])


def _weighted(bodies: list[tuple[QuadraticBody, float]], constant: float = 0.0) -> QuadraticBody:
    """Σ weight · body + constant."""
    quadratic: dict[tuple[int, int], float] = {}
    linear: dict[int, float] = {}
    for body, weight in bodies:
        for ij, value in body.quadratic.items():
            quadratic[ij] = quadratic.get(ij, 0.0) + weight * value
        for j, value in body.linear.items():
            linear[j] = linear.get(j, 0.0) + weight * value
        constant += weight * body.constant
    return QuadraticBody(quadratic, linear, constant)


def _packing(d: int) -> Any:
    """Where entries of a symmetric matrix are in its packed upper triangle, the corner first."""
    i, j = np.triu_indices(d)
    packed = np.empty((d, d), np.intp)
    packed[i, j] = packed[j, i] = np.arange(i.size)
    return packed


def _over(rows: Any, parts: list[Any]) -> Any:
    """Rows over the concatenation of variables."""
    rows = sp.csc_array(rows)
    total, start = None, 0
    for part in parts:
        term = sp.csr_array(rows[:, start : start + part.size]) @ part
        total, start = term if total is None else total + term, start + part.size
    assert total is not None
    return total


def _in_dual_cone(form: ConicForm, z: FloatArray) -> FloatArray:
    """Multipliers moved into the dual cone where they are outside."""
    z = z.copy()
    for cone, own in form.blocks():
        if cone.kind == NONNEGATIVE:
            z[own] = np.maximum(z[own], 0.0)
        elif cone.kind == SECOND_ORDER:
            members = z[own].reshape(cone.count, -1)
            members[:, 0] = np.maximum(members[:, 0], np.linalg.norm(members[:, 1:], axis=1))
            z[own] = members.ravel()
        elif cone.kind == SEMIDEFINITE:
            z[own] = _made_semidefinite(z[own])
    return z


def _made_semidefinite(z: FloatArray) -> FloatArray:
    """A matrix, packed as in :class:`~rrp_pyomo.forms.conic.Cone`, moved until it is one."""
    d = round((2.0 * z.size) ** 0.5 - 0.5)
    j, i = np.tril_indices(d)  # column by column of the upper triangle
    matrix = np.zeros((d, d))
    matrix[i, j] = matrix[j, i] = z * np.where(i == j, 1.0, np.sqrt(0.5))
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    moved: FloatArray = z + np.where(i == j, max(0.0, -smallest), 0.0)
    return moved
