"""How good an answer is, computed from the data: a solver's word is not proof.

Everything is measured in the rows, columns and objective of the form, whose typical magnitude is
one, and relative to the terms that add up to it where these are larger. Slacks and multipliers are
in their cones, where solvers keep them; what they miss are the equations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.forms.conic import (
    EXPONENTIAL,
    NONNEGATIVE,
    POWER,
    SECOND_ORDER,
    ZERO,
    ConicForm,
    RowGroup,
)
from rrp_pyomo.linalg import FloatArray

#: Beyond it, what a product misses is compared with the terms that cancel in its parts, too.
CANCELLING = 1e-7

#: Where all rows are as close as this to the slacks, which are in their cones, it does not matter
#: which of them miss a cone.
NEGLIGIBLE = 1e-8


class RelativeErrors(NamedTuple):
    """By how much an answer misses the optimality conditions.

    Attributes
    ----------
    primal : float
        The largest violation of a row or cone.
    dual : float
        The largest entry of ∇f − Σ G'w.
    gap : float
        The difference of the primal and the dual objective, or the most that the error of a slack
        or of a multiplier's row contributes to it, if that is more.
    row : int
        That of the form which is violated most.
    bound : float
        On the objective, in the units of the statement: the dual objective, less what the error of
        the multipliers may hide.
    """

    primal: float
    dual: float
    gap: float
    row: int
    bound: float

    @property
    def largest(self) -> float:
        """Of the three."""
        return max(self.primal, self.dual, self.gap)


def relative_errors(
    form: ConicForm, x: FloatArray, s: FloatArray, z: FloatArray, resolution: float
) -> RelativeErrors:
    """The errors of a point x, slacks s and multipliers z in the variables and rows of the form.

    Members of exponential and power cones below ``resolution`` are so close to the apex, or to a
    face, that a distance of rounding is a large difference of the two sides.
    """
    if not all(np.isfinite(part).all() for part in (x, s, z)):
        return RelativeErrors(np.inf, np.inf, np.inf, 0, np.nan)
    rows = form.b - _times(form, x)
    off = rows - s
    missed = _violations(form, x, rows, s, resolution)
    row = int(np.argmax(missed)) if missed.size else -1
    Az = _transposed_times(form, z)
    Px = _quadratic_times(form, x)
    quadratic = 0.5 * float(x @ Px)
    residual = Px + Az + form.q
    dual = np.abs(residual)
    if not dual.max(initial=0.0) <= NEGLIGIBLE:
        size = _transposed_times(form, np.abs(z), np.abs(form.A.data))
        dual = dual / np.maximum(1.0, np.maximum(np.abs(form.q), np.maximum(size, np.abs(Px))))
    dual_objective = -quadratic - float(form.b @ z)
    gap = quadratic + float(form.q @ x) - dual_objective
    # The gap is z's and what the equations miss, which must not hide in it.
    scale = max(1.0, abs(quadratic), float(np.abs(form.q * x).max(initial=0.0)))
    return RelativeErrors(
        primal=max(0.0, float(missed[row])) if missed.size else 0.0,
        dual=float(dual.max(initial=0.0)),
        gap=max(abs(gap), _most(form, off * z), _most(form, residual * x)) / scale,
        row=row,
        bound=form.objective(dual_objective - float(np.abs(residual * x).sum())),
    )


def _most(form: ConicForm, parts: FloatArray) -> float:
    """What errors contribute to a gap; without units, any of them may be what matters."""
    return float(np.abs(parts).max(initial=0.0) if form.by_cone else abs(parts.sum()))


def reach_of_infeasibility(form: ConicForm, z: FloatArray) -> float:
    """How large a feasible point would have to be, in multiples of the largest constant.

    Since s = b − Ax is in K and z in its dual, 0 ≤ z's = b'z − (A'z)'x: Σ|x| ≥ −b'z / max|A'z|.
    First, A'z is made smaller where z stays in the dual cone: multipliers of linear rows move in
    proportion to their size, and what is left goes to bounds of the variables.
    """
    linear = _are(form, ZERO, NONNEGATIVE)
    scale = np.where(linear, np.abs(z), 0.0)
    Az = _transposed_times(form, z)
    moved = z + scale * _least(form.A.T @ sp.diags(scale), -Az)
    moved = np.where(linear & (np.sign(moved) == np.sign(z)), moved, z)

    def reach(z: FloatArray) -> float:
        z = _absorbed(form, z)
        Az = _transposed_times(form, z)
        return _quotient(-float(form.b @ z), float(np.abs(Az).max(initial=0.0)), form.b)

    return max(reach(z), reach(moved))


def reach_of_unboundedness(form: ConicForm, x: FloatArray, s: FloatArray) -> float:
    """How large multipliers that prove a bound would have to be, in multiples of the largest cost.

    Where v in K is next to −Ax, and Px = 0, q'x = −z'Ax ≥ −z'(Ax + v) for multipliers z: Σ|z| ≥
    −q'x / max|Ax + v|. First, x moves in proportion to its size so that this becomes smaller.
    """

    def missed(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        Ax = _times(form, x)
        inside = _are(form, NONNEGATIVE) & (Ax <= 0.0)
        return np.where(inside, 0.0, Ax + s), _quadratic_times(form, x)

    def reach(x: FloatArray) -> float:
        largest = max(float(np.abs(part).max(initial=0.0)) for part in missed(x))
        return _quotient(-float(form.q @ x), largest, form.q)

    rows, curved = missed(x)
    off = rows != 0.0
    system, target = form.A[np.flatnonzero(off)], -rows[off]
    if form.P is not None:
        P = form.P + sp.triu(form.P, 1).T
        system, target = sp.vstack([system, P]), np.concatenate([target, -curved])
    moved = x + np.abs(x) * _least(system @ sp.diags(np.abs(x)), target)
    return max(reach(x), reach(moved))


def _least(matrix: sp.spmatrix, target: FloatArray) -> FloatArray:
    """The shortest y with matrix y = target, as nearly as there is one."""
    if not min(matrix.shape) or not np.isfinite(target).all():
        return np.zeros(matrix.shape[1])
    from scipy.sparse.linalg import lsmr  # only certificates need it

    y: FloatArray = lsmr(matrix.tocsr(), target, atol=1e-15, btol=1e-15, conlim=0.0)[0]
    return y


def _absorbed(form: ConicForm, z: FloatArray) -> FloatArray:
    """The multipliers with those of bounds x ≤ u and x ≥ l raised so that A'z vanishes there."""
    Az = _transposed_times(form, z)
    single = np.bincount(form.A.indices, minlength=z.size) == 1
    columns = form.columns
    bound = (single & _are(form, NONNEGATIVE))[form.A.indices]
    bound &= form.A.data * Az[columns] < 0.0
    row, col, val = form.A.indices[bound], columns[bound], form.A.data[bound]
    _, first = np.unique(col, return_index=True)
    z = z.copy()
    z[row[first]] += np.abs(Az[col[first]] / val[first])
    return z


def _are(form: ConicForm, *kinds: str) -> NDArray[np.bool_]:
    """Which rows are of cones of these kinds."""
    chosen = np.zeros(form.b.size, bool)
    for cone, own in form.blocks():
        chosen[own] = cone.kind in kinds
    return chosen


def terms_of_rows(form: ConicForm, x: FloatArray) -> FloatArray:
    """|A| |x| + |b|: the sizes of what cancels in b − Ax."""
    return _times(form, np.abs(x), np.abs(form.A.data)) + np.abs(form.b)


def _quotient(numerator: float, denominator: float, natural: FloatArray) -> float:
    if not numerator > 0.0:
        return 0.0
    denominator *= max(1.0, float(np.abs(natural).max(initial=0.0)))
    return numerator / denominator if denominator > 0.0 else np.inf


def _times(form: ConicForm, x: FloatArray, entries: FloatArray | None = None) -> FloatArray:
    """A x, or with other entries at the places of A's."""
    entries = (form.A.data if entries is None else entries) * x[form.columns]
    return np.bincount(form.A.indices, entries, form.b.size).astype(float, copy=False)


def _transposed_times(
    form: ConicForm, z: FloatArray, entries: FloatArray | None = None
) -> FloatArray:
    """A'z, or with other entries at the places of A's."""
    entries = (form.A.data if entries is None else entries) * z[form.A.indices]
    return np.bincount(form.columns, entries, form.q.size).astype(float, copy=False)


def _quadratic_times(form: ConicForm, x: FloatArray) -> FloatArray:
    """P x, of which the form has the upper triangle."""
    if form.P is None:
        return np.zeros_like(x)
    product: FloatArray = form.P @ x + form.P.T @ x - form.P.diagonal() * x
    return product


def _violations(
    form: ConicForm, x: FloatArray, v: FloatArray, s: FloatArray, resolution: float
) -> FloatArray:
    """By how much the rows v = b − Ax miss their cones, relative to half of their terms, a side.

    That of a cone is at its first row. Cones without a simple distance are taken to be missed by
    the difference to the slacks, which are in them, and by what is written in a model.
    """
    # What a row is measured by at least: its unit, or 1 where it has none but the model's.
    size = np.minimum(1.0, form.row_scale) if form.by_cone else np.ones_like(v)
    missed = np.abs(v - s) / size
    if not missed.max(initial=0.0) <= NEGLIGIBLE:
        size = np.maximum(size, 0.5 * terms_of_rows(form, x))
        missed = _by_cone(form, v, np.abs(v - s) / size, size, resolution)
    for group in form.groups:
        if group.product is not None:
            heads = np.arange(group.rows.start, group.rows.stop, group.dimension)
            missed[heads] = np.maximum(missed[heads], _of_products(form, x, v, group))
    return missed


def _by_cone(
    form: ConicForm, v: FloatArray, off: FloatArray, size: FloatArray, resolution: float
) -> FloatArray:
    missed = np.zeros_like(v)
    for cone, own in form.blocks():
        heads = slice(own.start, own.stop, cone.dimension)
        if cone.kind == ZERO:
            missed[own] = np.abs(v[own]) / size[own]
        elif cone.kind == NONNEGATIVE:
            missed[own] = -v[own] / size[own]
        elif cone.kind == SECOND_ORDER:
            members, sizes = (a[own].reshape(cone.count, -1) for a in (v, size))
            missed[heads] = (_lengths(members[:, 1:]) - members[:, 0]) / sizes.max(axis=1)
        else:
            missed[own] = off[own]
            if cone.kind in _HEIGHTS:
                members, sizes = (a[own].reshape(cone.count, -1) for a in (v, size))
                beyond = _HEIGHTS[cone.kind](members, cone.alpha, resolution) / sizes.max(axis=1)
                missed[heads] = np.maximum(
                    missed[heads], np.where(np.isfinite(beyond), beyond, 0.0)
                )
    return missed


def _lengths(vectors: FloatArray) -> FloatArray:
    lengths: FloatArray = np.sqrt((vectors * vectors).sum(axis=1))
    return lengths


def _above_exponential(members: FloatArray, alpha: float, small: float) -> FloatArray:
    """By how much y exp(x/y) ≤ z is missed; −inf where y is too small for that to mean anything."""
    x, y, z = members.T
    inside = np.maximum(y, small)
    with np.errstate(over="ignore"):
        height: FloatArray = inside * np.exp(x / inside) - z
    return np.where(y > small, height / np.maximum(1.0, height + z), -np.inf)


def _above_power(members: FloatArray, alpha: float, small: float) -> FloatArray:
    """By how much a^α b^(1−α) ≥ |c| is missed; −inf where a or b is too small."""
    a, b, c = members.T
    inside = np.maximum(a, small) ** alpha * np.maximum(b, small) ** (1.0 - alpha)
    return np.where(np.minimum(a, b) > small, np.abs(c) - inside, -np.inf)


_HEIGHTS = {EXPONENTIAL: _above_exponential, POWER: _above_power}


def _of_products(form: ConicForm, x: FloatArray, v: FloatArray, group: RowGroup) -> FloatArray:
    """By how much a b ≥ ‖c‖² are missed, relative to the two sides, or to the terms of their parts.

    Where one of a and b is much larger than the other, this is much more than the distance to the
    second-order cone.
    """
    members = v[group.rows].reshape(-1, group.dimension)
    assert group.product is not None
    product = (members[:, 0] + members[:, 1]) * (members[:, 0] - members[:, 1])
    square = _lengths(members[:, 2:]) ** 2
    sides = np.maximum(np.maximum(np.abs(product), square), np.minimum(1.0, group.product))
    missed: FloatArray = (square - product) / sides
    cancelling = np.flatnonzero(missed > CANCELLING)
    terms = terms_of_rows(form, x) if cancelling.size else v
    for k in cancelling:
        rows = group.rows.start + k * group.dimension + np.arange(group.dimension)
        turned = form.A[rows[:2]].toarray(), form.b[rows[:2]]
        a, b = (
            float(np.abs(turned[0].T @ sign) @ np.abs(x)) + abs(float(turned[1] @ sign))
            for sign in ((1.0, 1.0), (1.0, -1.0))
        )
        missed[k] *= sides[k] / max(sides[k], a * b, float(np.sum(terms[rows[2:]] ** 2)))
    return missed
