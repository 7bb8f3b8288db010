"""Which quadratic constraints are convex, and the cones that they are.

For g(x) = x'Qx + a'x + c ≤ 0 there are two ways to be convex:

- Q is positive semidefinite, Q = F'F. Then g ≤ 0 is the product bound −(a'x + c) · 1 ≥ ‖F x‖²,
  and ‖F x‖ ≤ √−c where a = 0.
- M = [Q, a/2; a'/2, c], the matrix of g in y = (x, 1), has exactly one negative eigenvalue,
  M = N − w w' with N positive semidefinite. Then g ≤ 0 is the Lorentz cone ‖N^(1/2) y‖ ≤ |w'y|,
  of which one half is convex: the bounds of the variables must say which sign w'y has. Squares and
  a single product, ‖D x‖² + c ≤ r² and ‖D x‖² + c ≤ r₁ r₂, need no eigenvalues.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack
from scipy.optimize import nnls
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.reading.checks import GLOBAL
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError
from rrp_pyomo.solvers.reading.standard_form import QuadraticBody

Bounds = Sequence[float]

#: Eigenvalues within TOLERANCE times the largest (after scaling) count as zero where a head is
#: looked for; a matrix is not semidefinite where it misses that by ROUNDING (a correlation matrix).
TOLERANCE, ROUNDING = 1e-10, 1e-12
#: Matrices up to this order are factorised dense.
DENSE = 2000


class AffineRow(NamedTuple):
    """Σ values_k x_{columns_k} + constant."""

    columns: Sequence[int]
    values: Sequence[float]
    constant: float = 0.0


class ConicQuadratic(NamedTuple):
    """One head: ‖vector‖ ≤ heads₀. Two heads: ‖vector‖² ≤ heads₀ heads₁, both nonnegative."""

    heads: tuple[AffineRow, ...]
    vector: tuple[AffineRow, ...]


class Names(NamedTuple):
    """What messages call the constraint and its variables."""

    component: Any
    variables: Sequence[Any]

    @property
    def constraint(self) -> str:
        return repr(self.component.name)

    def variable(self, column: int) -> str:
        """The name of the variable of a column."""
        return repr(self.variables[column].name)


def as_cone(g: QuadraticBody, lower: Bounds, upper: Bounds, names: Names) -> ConicQuadratic:
    """The cone that g(x) ≤ 0 is, within the bounds of the variables.

    Raises
    ------
    IncompatibleModelError
        g ≤ 0 is not convex, or its sign conditions do not follow from the bounds.
    """
    squares = {i: v for (i, j), v in g.quadratic.items() if i == j and v}
    products = {ij: v for ij, v in g.quadratic.items() if ij[0] != ij[1] and v}
    negative = [i for i, v in squares.items() if v < 0.0]
    linear = {i: v for i, v in g.linear.items() if v}
    if not products and not negative:
        return _below(linear, g.constant, tuple(_root(i, v) for i, v in squares.items()))
    if not linear and g.constant >= 0.0:
        rest = [_root(i, v) for i, v in squares.items() if v > 0.0]
        if g.constant > 0.0:
            rest.append(AffineRow((), (), sqrt(g.constant)))
        if len(negative) == 1 and not products:
            (r,) = negative
            sign = _sign(r, lower, upper, names)
            return ConicQuadratic((AffineRow((r,), (sign * sqrt(-squares[r]),)),), tuple(rest))
        if len(products) == 1 and not negative:
            (((i, j), v),) = products.items()
            if i not in squares and j not in squares:
                s, t = _signs(i, j, v, lower, upper, names)
                heads = AffineRow((i,), (s * abs(v),)), AffineRow((j,), (t,))
                return ConicQuadratic(heads, tuple(rest))
    return _general(g, linear, lower, upper, names)


def square_root(Q: sp.coo_matrix) -> sp.csr_matrix | None:
    """F with Q = F'F for a symmetric matrix, or None where Q is not positive semidefinite.

    Each connected component is factorised by itself, after its diagonal is scaled to one.
    """
    n = Q.shape[0]
    Q = Q.tocsr()
    Q.eliminate_zeros()
    diagonal = Q.diagonal()
    used = np.flatnonzero(np.diff(Q.indptr))
    if not used.size:
        return sp.csr_matrix((0, n))
    if (diagonal[used] <= 0.0).any():
        return None
    scale = np.ones(n)
    scale[used] = np.sqrt(diagonal[used])
    correlation = sp.diags(1.0 / scale) @ Q @ sp.diags(1.0 / scale)
    _, label = connected_components(Q, directed=False)
    alone = np.bincount(label)[label[used]] == 1
    pieces = [_spread(used[alone], scale)]
    order = used[~alone][np.argsort(label[used[~alone]], kind="stable")]
    for block in np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if order.size else []:
        if block.size <= DENSE:
            F = _dense_root(correlation[block][:, block].toarray())
        else:
            F = _sparse_root(correlation[block][:, block])
        if F is None:
            return None
        pieces.append(F @ _spread(block, scale))
    return sp.vstack(pieces, format="csr")


def _spread(columns: Any, scale: FloatArray) -> sp.csr_matrix:
    """diag(scale), the rows of these columns."""
    places = np.arange(columns.size), columns
    return sp.csr_matrix((scale[columns], places), (columns.size, scale.size))


def _dense_root(Q: FloatArray) -> sp.csr_matrix | None:
    """Cholesky's factor with pivoting, cut at the rank."""
    U, pivots, rank, _ = lapack.dpstrf(Q)
    F = np.zeros_like(Q)[:rank]
    F[:, pivots - 1] = np.triu(U)[:rank]
    return sp.csr_matrix(F) if np.abs(Q - F.T @ F).max() <= ROUNDING else None


def _sparse_root(Q: sp.csr_matrix) -> sp.csr_matrix | None:
    """√D L' P of P Q P' = L D L', for Q moved by less than it is known."""
    n = Q.shape[0]
    moved = (Q + 1e-13 * n**0.5 * sp.eye(n)).tocsc()
    try:
        lu = splu(moved, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                  options={"SymmetricMode": True})  # fmt: skip
    except RuntimeError:  # a zero pivot
        return None
    pivots = lu.U.diagonal()
    if (pivots <= 0.0).any() or (lu.perm_r != lu.perm_c).any():
        return None
    permuted = sp.csr_matrix((np.ones(n), (lu.perm_c, np.arange(n))), (n, n))
    return (sp.diags(np.sqrt(pivots)) @ lu.L.T @ permuted).tocsr()


def _below(
    linear: dict[int, float], constant: float, vector: tuple[AffineRow, ...]
) -> ConicQuadratic:
    """‖vector‖² ≤ −(a'x + c)."""
    if not linear and constant <= 0.0:
        return ConicQuadratic((AffineRow((), (), sqrt(-constant)),), vector)
    bound = AffineRow(tuple(linear), tuple(-v for v in linear.values()), -constant)
    return ConicQuadratic((bound, AffineRow((), (), 1.0)), vector)


def _general(
    g: QuadraticBody,
    linear: dict[int, float],
    lower: Sequence[float],
    upper: Sequence[float],
    names: Names,
) -> ConicQuadratic:
    columns = sorted({i for ij in g.quadratic for i in ij} | set(linear))
    place = {column: k for k, column in enumerate(columns)}
    n = len(columns)
    i = np.array([place[i] for i, _ in g.quadratic], np.intp)
    j = np.array([place[j] for _, j in g.quadratic], np.intp)
    half = 0.5 * np.array(list(g.quadratic.values()))
    Q = sp.coo_matrix((np.tile(half, 2), (np.r_[i, j], np.r_[j, i])), (n, n))
    F = square_root(Q)
    if F is not None:
        return _below(linear, g.constant, _affine_rows(F, columns))
    if n > DENSE:
        raise _not_convex(names)
    M = np.zeros((n + 1, n + 1))
    M[:n, :n] = Q.toarray()
    at = [place[i] for i in linear]
    M[at, n] = M[n, at] = 0.5 * np.array(list(linear.values()))
    M[n, n] = g.constant
    return _lorentz(M, columns, lower, upper, names)


def _lorentz(
    M: FloatArray, columns: list[int], lower: Bounds, upper: Bounds, names: Names
) -> ConicQuadratic:
    scale = _equilibrating(M)
    values, vectors = np.linalg.eigh(M * np.outer(scale, scale))
    cut = TOLERANCE * np.abs(values).max()
    if values[0] >= -cut or (values.size > 1 and values[1] < -cut):
        raise _not_convex(names)
    values[np.abs(values) <= cut] = 0.0
    half = _half_space(values, vectors, scale, _at(columns, lower), _at(columns, upper))
    if not half:
        head = " + ".join(
            names.variable(c) for v, c in zip(vectors[:, 0], columns, strict=False) if v
        )
        raise IncompatibleModelError(
            f"constraint {names.constraint} is a second-order cone, of which the bounds of its "
            f"variables do not say which half is meant (where an affine expression in {head} has "
            "one sign or the other); give the variables bounds that do, or state the cone with a "
            "variable r >= 0 that equals its right-hand side"
        )
    roots = np.sqrt(np.abs(values))[:, None] * vectors.T / scale
    kept = roots[1:][values[1:] > 0.0]
    vector = tuple(_affine_row(row, columns) for row in kept)
    return ConicQuadratic((_affine_row(half * roots[0], columns),), vector)


def _half_space(
    values: FloatArray, vectors: FloatArray, scale: FloatArray, lower: FloatArray, upper: FloatArray
) -> float:
    """The sign that the bounds give to w'y on the Lorentz cone y'My ≤ 0, or 0 if they give none.

    A functional h that the bounds make nonnegative, a nonnegative combination of x − lower,
    upper − x and 1, is positive on one half of the cone and negative on the other just where
    h'M⁻¹h < 0: where h, in the coordinates g = |Λ|^(−1/2) V'h, is less than 45° away from w, or
    from −w. Least squares finds the combination at the smallest angle.
    """
    n = lower.size
    rows = np.column_stack([np.eye(n), -lower]), np.column_stack([-np.eye(n), upper])
    bounds = np.vstack([*rows, np.eye(n + 1)[n:]])
    bounds = bounds[np.isfinite(bounds).all(axis=1)] * scale
    curvature = np.maximum(np.abs(values), TOLERANCE * np.abs(values).max())
    bounds = bounds @ vectors / np.sqrt(curvature)
    bounds /= np.linalg.norm(bounds, axis=1)[:, None]
    for sign in (1.0, -1.0):
        weights, _ = nnls(bounds.T, sign * np.eye(n + 1)[0])
        g = weights @ bounds
        if sign * g[0] > (1 + 1e-9) * np.linalg.norm(g[1:]):
            return sign
    return 0.0


def _equilibrating(M: FloatArray) -> FloatArray:
    """s with all rows of diag(s) M diag(s) of magnitude one."""
    scale = np.ones(len(M))
    for _ in range(10):
        largest = np.abs(M * np.outer(scale, scale)).max(axis=1)
        scale /= np.sqrt(np.where(largest > 0.0, largest, 1.0))
    return scale


def _at(columns: list[int], values: Sequence[float]) -> FloatArray:
    return np.array([values[column] for column in columns])


def _affine_rows(F: sp.csr_matrix, columns: list[int]) -> tuple[AffineRow, ...]:
    named = np.array(columns)[F.indices].tolist()
    values, starts = F.data.tolist(), F.indptr.tolist()
    return tuple(AffineRow(named[s:e], values[s:e]) for s, e in pairwise(starts))


def _affine_row(row: FloatArray, columns: list[int]) -> AffineRow:
    at = np.flatnonzero(row[:-1])
    return AffineRow([columns[k] for k in at], row[at].tolist(), float(row[-1]))


def _root(column: int, square: float) -> AffineRow:
    return AffineRow((column,), (sqrt(square),))


def _sign(r: int, lower: Bounds, upper: Bounds, names: Names) -> float:
    if lower[r] >= 0.0:
        return 1.0
    if upper[r] <= 0.0:
        return -1.0
    raise IncompatibleModelError(
        f"constraint {names.constraint} is a second-order cone only where {names.variable(r)} "
        "has one sign; give that variable a lower bound of 0"
    )


def _signs(
    i: int, j: int, v: float, lower: Bounds, upper: Bounds, names: Names
) -> tuple[float, float]:
    """Signs s, t with s x_i ≥ 0, t x_j ≥ 0 and −v x_i x_j = |v| (s x_i)(t x_j)."""
    for s, t in ((1.0, 1.0), (-1.0, -1.0)) if v < 0.0 else ((1.0, -1.0), (-1.0, 1.0)):
        if all(lower[k] >= 0.0 if sign > 0.0 else upper[k] <= 0.0 for k, sign in ((i, s), (j, t))):
            return s, t
    raise IncompatibleModelError(
        f"constraint {names.constraint} is a rotated cone only where {names.variable(i)} and "
        f"{names.variable(j)} have fixed signs; give these variables "
        + ("lower bounds of 0" if v < 0.0 else "a lower and an upper bound of 0")
    )


def _not_convex(names: Names) -> IncompatibleModelError:
    return IncompatibleModelError(
        f"constraint {names.constraint} is quadratic but not convex; this solver takes convex "
        f"models only: {GLOBAL}"
    )
