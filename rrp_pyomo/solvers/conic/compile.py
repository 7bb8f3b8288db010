"""From a model's standard form to the conic form that solvers take, and back to its duals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pyomo.common.errors import InfeasibleConstraintException

from rrp_pyomo.forms.conic import ConicBuilder, ConicForm
from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.conic.cones import BRIDGES, DualReader, Members, unit_rows
from rrp_pyomo.solvers.conic.quadratics import (
    AffineRow,
    ConicQuadratic,
    Names,
    as_cone,
    square_root,
)
from rrp_pyomo.solvers.conic.solution import ConicSolution
from rrp_pyomo.solvers.reading.checks import GLOBAL, INFINITE, NONLINEAR, TRIVIAL
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError
from rrp_pyomo.solvers.reading.kernel_cones import KERNEL_CONES
from rrp_pyomo.solvers.reading.standard_form import (
    ConeGroup,
    QuadraticBody,
    QuadraticConstraint,
    StandardForm,
)

#: A cone's slack is zero where its head, relative to the cone's terms, is smaller than this times
#: the distance of the multiplier from the rim of its cone, relative to a multiplier above 1.
SMALL = 5e-3

#: How far duals of quadratic constraints, at a point that is right to the root of its gap, may be
#: from their cones' multipliers, relative to the objective's coefficients: as many accepted gaps.
ALIGNED = 100.0


class _Interval(NamedTuple):
    """lower ≤ rows ≤ upper in the conic form: which rows have which side, and in which group."""

    size: int
    equal: IntArray
    below: IntArray
    above: IntArray
    zero: int
    nonnegative: int

    def dual(self, form: ConicForm, z: FloatArray) -> FloatArray:
        """∂objective/∂rows: nonnegative at an active lower bound, nonpositive at an upper one."""
        dual = np.zeros(self.size)
        if self.equal.size:
            dual[self.equal] = form.dual(self.zero, z).ravel()
        if self.nonnegative >= 0:
            sides = form.dual(self.nonnegative, z).ravel()
            dual[self.below] = sides[: self.below.size]
            dual[self.above] -= sides[self.below.size :]
        return dual

    def place(self, group: int, row: int) -> int | None:
        """Which of the rows a group's row is a side of; None where the group is another one."""
        if group == self.zero:
            return int(self.equal[row])
        if group == self.nonnegative:
            return int(np.concatenate([self.below, self.above])[row])
        return None


class _Quadratics(NamedTuple):
    """Quadratic constraints that are equally shaped cones."""

    constraints: list[QuadraticConstraint]
    signs: FloatArray
    heads: tuple[Rows, ...]
    vector: Rows
    group: int

    def combined(self, form: ConicForm, z: FloatArray) -> Rows:
        """For each constraint, the sum of its cone's rows, weighted by their multipliers.

        These affine functions are nonnegative wherever the constraint and the sign conditions of
        its cone hold.
        """
        return self._weighted(form.dual(self.group, z))

    def dual(self, solution: ConicSolution) -> FloatArray:
        """∂objective/∂body, the multiplier of the constraint as it is written.

        Where ‖v‖² − a b is active, (z_a, z_b, z_v) = μ (b, a, −2v), and μ belongs to a b ≥ ‖v‖²;
        where ‖v‖² − r² is, (z_r, z_v) = μ (2r, −2v). Since the multipliers are right to rounding
        only, μ is what their part in the stationarity condition asks for on average. Without
        activity it is 0; at the apex, where no multiplier exists, NaN.
        """
        return self.signs * self._multipliers(solution)[0]

    def misalignment(self, solution: ConicSolution) -> float:
        """By how much μ ∇body and the cone's own multipliers differ, relative to the objective."""
        _, missed = self._multipliers(solution)
        form = solution.form
        steepest = np.abs(form.q).max(initial=0.0)
        relative: float = missed.max(initial=0.0) * form.objective_scale / max(1.0, steepest)
        return relative

    def _multipliers(self, solution: ConicSolution) -> tuple[FloatArray, FloatArray]:
        """μ by constraint, NaN at an apex, and the largest entries of what is left of G'w there."""
        form, x = solution.form, solution.x
        w = form.dual(self.group, solution.z)
        heads = [_evaluated(rows, x) for rows in reversed(self.heads)]
        vector = _evaluated(self.vector, x).reshape(w.shape[0], -1)
        factor = 3 - len(heads)
        gradient = np.column_stack([*(factor * head for head in heads), -2.0 * vector])
        rows, n = self._weighted(gradient), x.size
        places, own = np.unique(rows.row * n + rows.col, return_inverse=True)
        g, h = (np.bincount(own, v, places.size) for v in (rows.val, self._weighted(w).val))
        constraint = places // n
        with np.errstate(divide="ignore", invalid="ignore"):
            mu = np.divide(*(np.bincount(constraint, np.sign(g) * v, w.shape[0]) for v in (h, g)))
        mu = np.where((w == 0.0).all(axis=1), 0.0, mu)
        mu = np.where(np.isfinite(mu) & ~self._at_apex(solution), mu, np.nan)
        return mu, np.nan_to_num(np.abs(h - mu[constraint] * g))

    def _weighted(self, weights: FloatArray) -> Rows:
        """For each constraint, its cone's rows times their weights, added up."""
        heads = len(self.heads)
        length = weights.shape[1] - heads
        parts = [head.times(weights[:, k]) for k, head in enumerate(self.heads)]
        vector = self.vector.times(weights[:, heads:].ravel())
        constants = vector.constant.reshape(weights.shape[0], -1).sum(axis=1)
        return Rows(
            np.concatenate([*(part.row for part in parts), vector.row // max(length, 1)]),
            np.concatenate([*(part.col for part in parts), vector.col]),
            np.concatenate([*(part.val for part in parts), vector.val]),
            sum(part.constant for part in parts) + constants,
        )

    def _at_apex(self, solution: ConicSolution) -> NDArray[np.bool_]:
        """Where the slack of the cone vanishes as a whole, and not only its distance to the rim.

        No slack of an interior point is zero, but its product with the multiplier is nearly. At the
        apex the slack is small, relative to the terms in the cone's rows, and the multiplier well
        inside its cone; elsewhere on the rim the multiplier is close to its own rim and the slack
        is not small.
        """
        rows, dimension, *_ = solution.form.groups[self.group]
        s = solution.scaled_slacks[rows].reshape(-1, dimension)[:, 0]
        z = solution.scaled_multipliers[rows].reshape(-1, dimension)
        inside = z[:, 0] - np.linalg.norm(z[:, 1:], axis=1)
        largest = solution.terms[rows].reshape(-1, dimension).max(axis=1)
        inside /= np.maximum(1.0, z[:, 0])
        result: NDArray[np.bool_] = s < SMALL * inside * largest
        return result


@dataclass
class CompiledModel:
    """A conic form and the way back to the model's components."""

    standard: StandardForm
    form: ConicForm
    linear: _Interval
    bounds: _Interval
    cones: list[_Cones] = field(default_factory=list)
    quadratics: list[_Quadratics] = field(default_factory=list)

    def further(self, solution: ConicSolution, accepted: float) -> float:
        """What the model has to ask of an answer besides, in multiples of the accepted gap.

        That the duals of quadratic constraints are what their cones' multipliers are; that the gap
        is small beside the objective with its constant, too; and stationarity to a digit more,
        because an optimal point may be much farther away than the one that shows.
        """
        missed = max((q.misalignment(solution) for q in self.quadratics), default=0.0)
        gap = abs(solution.objective - solution.dual_objective)
        size = max(1.0, abs(solution.objective))
        return max(missed / ALIGNED, gap / size, 10.0 * solution.errors.dual) / accepted

    def component(self, row: int) -> str:
        """What a row of the form belongs to: a constraint's name, or a variable's."""
        what, part = self.part(row)
        return f"a bound of variable {part.name!r}" if what else f"constraint {part.name!r}"

    def part(self, row: int) -> tuple[str, Any]:
        """The constraint that a row of the form belongs to, or "bounds of" and the variable."""
        (group,) = (
            g for g, own in enumerate(self.form.groups) if own.rows.start <= row < own.rows.stop
        )
        row -= self.form.groups[group].rows.start
        linear, bound = self.linear.place(group, row), self.bounds.place(group, row)
        if linear is not None:
            return "", self.standard.linear.constraints[linear]
        if bound is not None:
            return "bounds of ", self.standard.variables[bound]
        of_cones = (cones.stated.constraints for cones in self.cones if group in cones.groups)
        of_quadratics = (
            [q.constraint for q in quadratics.constraints]
            for quadratics in self.quadratics
            if quadratics.group == group
        )
        constraints = next(chain(of_cones, of_quadratics))
        rows = self.form.groups[group].rows
        return "", constraints[row * len(constraints) // (rows.stop - rows.start)]


class _Cones(NamedTuple):
    """Conic constraints of one kind, their groups in the form, and how their duals are read."""

    stated: ConeGroup
    groups: range
    read: DualReader


def compile_model(standard: StandardForm) -> CompiledModel:
    """Compile the standard form of a model.

    Raises
    ------
    IncompatibleModelError
        The model is not convex, or a cone lacks the sign bounds that make it so.
    InfeasibleConstraintException
        A constraint without free variables is violated.
    """
    builder = ConicBuilder(standard.units, by_cone=True)
    linear = _linear_rows(builder, standard)
    implied = np.zeros(len(standard.variables), bool)
    cones = [_cone_rows(builder, standard, group, implied) for group in standard.cones]
    quadratics = _quadratic_rows(builder, standard)
    bounds = _bound_rows(builder, standard, implied)
    objective, triplets = _objective(standard)
    form = builder.build(objective, triplets)
    return CompiledModel(standard, form, linear, bounds, cones, quadratics)


def _linear_rows(builder: ConicBuilder, standard: StandardForm) -> _Interval:
    stated = standard.linear
    rows = standard.substituted(stated.rows)
    lower, upper = stated.lower - rows.constant, stated.upper - rows.constant
    empty = np.bincount(rows.row[rows.val != 0.0], minlength=rows.size) == 0
    if empty.any():
        magnitude = TRIVIAL * np.maximum(1.0, np.abs(rows.constant))
        violated = empty & ((lower > magnitude) | (upper < -magnitude))
        if violated.any():
            at = int(np.argmax(violated))
            raise InfeasibleConstraintException(
                f"constraint {stated.constraints[at].name!r} has no free variable and is violated: "
                f"{stated.lower[at]} <= {rows.constant[at]} <= {stated.upper[at]}"
            )
        lower, upper = np.where(empty, -np.inf, lower), np.where(empty, np.inf, upper)
    return _interval_rows(builder, rows, lower, upper)


def _bound_rows(
    builder: ConicBuilder, standard: StandardForm, implied: NDArray[np.bool_]
) -> _Interval:
    lower = np.where(implied & (standard.lower == 0.0), -np.inf, standard.lower)
    return _interval_rows(builder, unit_rows(np.arange(lower.size)), lower, standard.upper)


def _interval_rows(
    builder: ConicBuilder, rows: Rows, lower: FloatArray, upper: FloatArray
) -> _Interval:
    """lower ≤ rows − constant ≤ upper."""
    same = lower == upper
    equal = np.flatnonzero(same)
    below = np.flatnonzero((lower > -INFINITE) & ~same)
    above = np.flatnonzero((upper < INFINITE) & ~same)
    zero = nonnegative = -1
    if equal.size:
        zero = builder.zero(_chosen(rows, equal, 1.0, -lower[equal]))
    if below.size or above.size:
        sides = _chosen(rows, below, 1.0, -lower[below])
        if above.size:
            sides = sides.above(_chosen(rows, above, -1.0, upper[above]))
        nonnegative = builder.nonnegative(sides)
    return _Interval(rows.size, equal, below, above, zero, nonnegative)


def _chosen(rows: Rows, which: IntArray, sign: float, constant: FloatArray) -> Rows:
    if which.size == rows.size:
        return Rows(rows.row, rows.col, sign * rows.val, constant)
    if np.array_equal(rows.row, np.arange(rows.size)):  # an entry in each
        return Rows(np.arange(which.size), rows.col[which], sign * rows.val[which], constant)
    rank = np.full(rows.size, -1)
    rank[which] = np.arange(which.size)
    place = rank[rows.row]
    mine = place >= 0
    return Rows(place[mine], rows.col[mine], sign * rows.val[mine], constant)


def _cone_rows(
    builder: ConicBuilder, standard: StandardForm, group: ConeGroup, implied: NDArray[np.bool_]
) -> _Cones:
    columns = group.columns
    if hasattr(group.constraints[0], "alpha") and not 0.0 < group.alpha < 1.0:
        raise IncompatibleModelError(
            f"cone {group.constraints[0].name!r} has alpha = {group.alpha}; expected 0 < alpha < 1"
        )
    cone = KERNEL_CONES[group.type]
    nonnegative, nonpositive = map(list, cone.signs(group.dimension))
    heads = columns[:, nonnegative]
    implied[heads[heads >= 0]] = True
    if cone.bounds_needed:
        lower, upper = standard.limits
        if (lower[heads] < 0.0).any() or (upper[columns[:, nonpositive]] > 0.0).any():
            _refuse_sign(standard, group, nonnegative, 1)
            _refuse_sign(standard, group, nonpositive, -1)
    members = Members(columns, standard.units, standard.substituted)
    first = builder.count
    read = BRIDGES[group.type](builder, members, group.alpha)
    return _Cones(group, range(first, builder.count), read)


def _refuse_sign(standard: StandardForm, group: ConeGroup, places: list[int], sign: int) -> None:
    """Raise for the first cone where bounds do not state the sign of a member."""
    lower, upper = standard.limits
    for place in places:
        mine = group.columns[:, place]
        wrong = np.flatnonzero(lower[mine] < 0.0 if sign > 0 else upper[mine] > 0.0)
        if wrong.size:
            cone = group.constraints[wrong[0]]
            member = KERNEL_CONES[group.type].members(cone)[place]
            side, word = ("lb", "nonnegative") if sign > 0 else ("ub", "nonpositive")
            raise IncompatibleModelError(
                f"cone {cone.name!r} (conic.{group.type.__name__}) is convex only where "
                f"{member.name!r} is {word}; give that variable {side}=0"
            )


def _quadratic_rows(builder: ConicBuilder, standard: StandardForm) -> list[_Quadratics]:
    shapes: dict[tuple[int, int], list[tuple[QuadraticConstraint, float, ConicQuadratic]]]
    shapes = defaultdict(list)
    # Items of lists are read several times faster than those of arrays.
    lower, upper = standard.lower.tolist(), standard.upper.tolist()
    for stated in standard.quadratics:
        sign, g = _at_most_zero(stated)
        names = Names(stated.constraint, standard.variables)
        cone = as_cone(g, lower, upper, names)
        shapes[len(cone.heads), len(cone.vector)].append((stated, sign, cone))
    groups = []
    for members in shapes.values():
        constraints, signs, cones = (list(part) for part in zip(*members, strict=True))
        heads = tuple(_rows(part) for part in zip(*(c.heads for c in cones), strict=True))
        vector = _rows(list(chain.from_iterable(c.vector for c in cones)))
        if len(heads) == 1:
            group = builder.second_order(heads[0], vector)
        else:
            group = builder.product(heads[0], heads[1], vector)
        groups.append(_Quadratics(constraints, np.array(signs), heads, vector, group))
    return groups


def _at_most_zero(stated: QuadraticConstraint) -> tuple[float, QuadraticBody]:
    """The body moved and turned so that the constraint is g ≤ 0, and the sign of its dual."""
    if stated.lower > -INFINITE and stated.upper < INFINITE:
        raise IncompatibleModelError(
            f"constraint {stated.constraint.name!r} bounds a quadratic expression from both "
            f"sides, which is not convex; drop one bound (if it is redundant) or {NONLINEAR}"
        )
    sign = 1.0 if stated.upper < INFINITE else -1.0
    bound = stated.upper if sign > 0 else stated.lower
    body = stated.body
    g = QuadraticBody(
        {ij: sign * v for ij, v in body.quadratic.items()},
        {i: sign * v for i, v in body.linear.items()},
        sign * (body.constant - bound),
    )
    return -sign, g


def _rows(rows: Sequence[AffineRow]) -> Rows:
    lengths = [len(row.columns) for row in rows]
    n = sum(lengths)
    return Rows(
        np.repeat(np.arange(len(rows)), lengths),
        np.fromiter(chain.from_iterable(row.columns for row in rows), np.intp, n),
        np.fromiter(chain.from_iterable(row.values for row in rows), float, n),
        np.array([row.constant for row in rows]),
    )


def _objective(standard: StandardForm) -> tuple[Rows, Any]:
    body, sense = standard.objective, standard.sense
    n = len(standard.variables)
    linear = AffineRow(list(body.linear), list(body.linear.values()), body.constant)
    row = _rows([linear]).times(sense)
    if not body.quadratic:
        return row, None
    i, j = np.array(list(body.quadratic)).T
    v = sense * np.array(list(body.quadratic.values()))
    half = sp.coo_matrix((np.tile(0.5 * v, 2), (np.r_[i, j], np.r_[j, i])), (n, n))
    if square_root(half) is None:
        raise IncompatibleModelError(
            "the objective is quadratic but not "
            + ("convex" if sense > 0 else "concave")
            + f"; this solver takes convex models only: {GLOBAL}"
        )
    # ½x'Px has P_ii = 2 v_ii, P_ij = v_ij.
    return row, (np.minimum(i, j), np.maximum(i, j), np.where(i == j, 2.0 * v, v))


def _evaluated(rows: Rows, x: FloatArray) -> FloatArray:
    product = np.bincount(rows.row, rows.val * x[rows.col], minlength=rows.size)
    value: FloatArray = product + rows.constant
    return value
