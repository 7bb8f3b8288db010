"""Supporting half-spaces of cones: linear functions that are nonnegative on all of a cone.

Each family has its parameter, and every value of it gives a valid cut. Where a parameter comes
from, a point of the cone, a multiplier or a point outside, decides only how strong the cut is. So
cuts are valid to rounding, however rough the answers are that they were made from.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.forms.conic import EXPONENTIAL, POWER, Cone
from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.outer_approximation.relaxation import (
    OBJECTIVE,
    PLAIN,
    SWAPPED,
    Functions,
    Members,
    Products,
    Relaxation,
    stacked,
)

#: The range of the logarithms that parametrise tangents of exponential and power cones.
LARGEST = 18.0


def at_point(relaxation: Relaxation, x: FloatArray, s: FloatArray) -> Functions:
    """The tangents where slacks s of the form, in their cones, are next to the cones' rims."""
    products = relaxation.products
    a, c = _point_of(products, relaxation, x, s)
    found = [_of_products(products, np.arange(a.size), np.arctan2(c, a))]
    for members in relaxation.members:
        found.append(_cuts(members, *_tangents(members.cone, _by_cone(members, s))))
    return stacked(found, relaxation.cost.size)


def from_multipliers(relaxation: Relaxation, x: FloatArray, z: FloatArray) -> Functions:
    """Cuts that imply z's ≥ 0 for multipliers z of the form's rows, with the linear rows."""
    products = relaxation.products
    pressed = np.flatnonzero(products.head >= 0)
    head, member = products.head[pressed], products.member[pressed]
    kind = products.kind[pressed]
    first, second = z[head], np.append(z, 0.0)[head + 1]
    sign = np.where(kind == SWAPPED, -1.0, 1.0)
    norms = np.zeros(z.size)
    np.add.at(norms, head, z[member] ** 2)
    base = np.where(kind == PLAIN, np.sqrt(norms[head]), first - sign * second)
    angle = np.arctan2(-z[member], base)
    active = first > 0.0
    found = [_of_products(products, pressed[active], angle[active])]
    own = np.flatnonzero(products.kind == OBJECTIVE)
    if own.size:
        c = products.c[own].at(_extended(x, relaxation))
        found.append(_of_products(products, own, np.arctan2(c, 1.0)))
    for members in relaxation.members:
        found.append(_cuts(members, *_of_dual(members.cone, _by_cone(members, z))))
    return stacked(found, relaxation.cost.size)


def separating(relaxation: Relaxation, v: FloatArray, tolerance: float) -> Functions:
    """Cuts that a point of the relaxation violates by more than a tolerance."""
    products = relaxation.products
    a, b, c = (part.at(v) for part in (products.a, products.b, products.c))
    half = 0.5 * (a - b)
    depth = np.hypot(half, c) - 0.5 * (a + b)
    size = np.maximum(1.0, np.abs(c))
    beyond = np.flatnonzero(depth > tolerance * size)
    a, b, c = a[beyond], b[beyond], c[beyond]
    angle = 0.5 * np.arctan2(c, half[beyond])
    single = products.length[beyond] == 1
    with np.errstate(divide="ignore", invalid="ignore"):
        both = (a > 0.0) & (b > 0.0)
        # Scaling a and b alike meets the rim where the tangent has the slope √(b/a).
        angle = np.where(single & both, np.arctan2(np.sign(c) * np.sqrt(b), np.sqrt(a)), angle)
        # The part of a sum has to be what its square asks for.
        angle = np.where(~single & (a > 0.0), np.arctan2(c, a), angle)
    found = [_of_products(products, beyond, angle)]
    for members in relaxation.members:
        outside = members.functions.at(v).reshape(-1, members.cone.dimension)
        which, cuts = _tangents(members.cone, outside)
        values = (cuts * outside[which]).sum(axis=1)
        deep = values < -tolerance * np.maximum(1.0, np.abs(outside[which]).max(axis=1))
        found.append(_cuts(members, which[deep], cuts[deep]))
    return stacked(found, relaxation.cost.size)


def _of_products(products: Products, which: IntArray, angle: FloatArray) -> Functions:
    """sin²θ a − 2 sinθ cosθ c + cos²θ b ≥ 0, for the products chosen."""
    s, c = np.sin(angle), np.cos(angle)
    c = np.where(np.abs(c) < 1e-12, 0.0, c)
    a = products.a[which].times(s * s)
    b = products.b[which].times(c * c)
    return a + b + products.c[which].times(-2.0 * s * c)


def _point_of(
    products: Products, relaxation: Relaxation, x: FloatArray, s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """a and c of each product at slacks of the form."""
    s = np.append(s, [0.0, 0.0])  # for parts of the objective, and the last row
    head = np.maximum(products.head, 0)
    s0, s1 = s[head], s[head + 1]
    sign = np.select([products.kind == PLAIN, products.kind == SWAPPED], [0.0, -1.0], 1.0)
    a = np.where(products.kind == OBJECTIVE, 1.0, s0 + sign * s1)
    c = s[np.maximum(products.member, 0)]
    if (products.kind == OBJECTIVE).any():
        c = np.where(products.kind == OBJECTIVE, products.c.at(_extended(x, relaxation)), c)
    return a, c


def _extended(x: FloatArray, relaxation: Relaxation) -> FloatArray:
    return np.concatenate([x, np.zeros(relaxation.cost.size - x.size)])


def _by_cone(members: Members, rows: FloatArray) -> FloatArray:
    return rows[members.rows].reshape(-1, members.cone.dimension)


def _cuts(members: Members, which: IntArray, coefficients: FloatArray) -> Functions:
    """Σ coefficients · members ≥ 0, for the cones chosen."""
    dimension = members.cone.dimension
    rows = np.repeat(np.arange(which.size), dimension)
    columns = (which[:, None] * dimension + np.arange(dimension)).ravel()
    weights = sp.csr_matrix(
        (coefficients.ravel(), (rows, columns)), (which.size, members.functions.size)
    )
    return Functions((weights @ members.functions.G).tocsr(), weights @ members.functions.g)


def _tangents(cone: Cone, s: FloatArray) -> tuple[IntArray, FloatArray]:
    """The cuts that members s of cones are nearest to, or that they violate."""
    if cone.kind == EXPONENTIAL:
        x, y, z = s.T
        small = 1e-9 * np.maximum(1.0, np.abs(s).max(axis=1))
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            by_slope = np.clip(x / np.maximum(y, small), -LARGEST, LARGEST)
            by_height = np.clip(
                np.log(np.maximum(z, small) / np.maximum(y, small)), -LARGEST, LARGEST
            )
        return _deepest(s, [_exponential(t) for t in (by_slope, by_height)])
    if cone.kind == POWER:
        a, b, c = s.T
        small = 1e-9 * np.maximum(1.0, np.abs(s).max(axis=1))
        ratio = np.log(np.maximum(a, small)) - np.log(np.maximum(b, small))
        return np.arange(len(s)), _power(cone.alpha, ratio, np.where(c < 0.0, -1.0, 1.0))
    return _eigenvectors(s, -1.0)


def _of_dual(cone: Cone, z: FloatArray) -> tuple[IntArray, FloatArray]:
    """Cuts that together imply z's ≥ 0."""
    if cone.kind == EXPONENTIAL:
        which = np.flatnonzero((z[:, 0] < 0.0) & (z[:, 2] > 0.0))
        slope = np.log(-z[which, 0]) - np.log(z[which, 2])
        return which, _exponential(np.clip(slope, -LARGEST, LARGEST))
    if cone.kind == POWER:
        which = np.flatnonzero((z[:, 0] > 0.0) & (z[:, 1] > 0.0))
        za, zb = z[which, 0] / cone.alpha, z[which, 1] / (1.0 - cone.alpha)
        sign = np.where(z[which, 2] > 0.0, -1.0, 1.0)
        return which, _power(cone.alpha, np.log(zb) - np.log(za), sign)
    return _eigenvectors(z, 1.0)


def _deepest(s: FloatArray, candidates: list[FloatArray]) -> tuple[IntArray, FloatArray]:
    depths = np.array([(cuts * s).sum(axis=1) for cuts in candidates])
    best = depths.argmin(axis=0)
    return np.arange(len(s)), np.stack(candidates)[best, np.arange(len(s))]


def _exponential(t: FloatArray) -> FloatArray:
    """z ≥ y exp(x/y) ≥ eᵗ (x + (1 − t) y): the tangent at x/y = t."""
    cuts = np.column_stack([-np.ones_like(t), t - 1.0, np.exp(-t)])
    normal: FloatArray = cuts / np.abs(cuts).max(axis=1)[:, None]
    return normal


def _power(alpha: float, ratio: FloatArray, sign: FloatArray) -> FloatArray:
    """|c| ≤ a^α b^(1−α) ≤ α ρ^(α−1) a + (1 − α) ρ^α b: the tangent at a/b = ρ, of which the log."""
    ratio = np.clip(ratio, -2 * LARGEST, 2 * LARGEST)
    by_a, by_b = alpha * np.exp((alpha - 1.0) * ratio), (1.0 - alpha) * np.exp(alpha * ratio)
    cuts = np.column_stack([by_a, by_b, -sign])
    normal: FloatArray = cuts / np.abs(cuts).max(axis=1)[:, None]
    return normal


def _eigenvectors(s: FloatArray, sign: float) -> tuple[IntArray, FloatArray]:
    """u'Su ≥ 0 for eigenvectors u of matrices S with eigenvalues of a sign."""
    d = int(np.sqrt(2 * s.shape[1]))
    upper = np.array([(i, j) for j in range(d) for i in range(j + 1)], np.intp)
    i, j = upper.T
    factor = np.where(i == j, 1.0, np.sqrt(2.0))
    which, cuts = [], []
    for k, entries in enumerate(s):
        S = np.zeros((d, d))
        S[i, j] = S[j, i] = entries / factor
        values, vectors = np.linalg.eigh(S)
        for u in vectors.T[sign * values > 1e-9 * max(1.0, np.abs(values).max())]:
            which.append(k)
            cuts.append(factor * u[i] * u[j])
    return np.array(which, np.intp), np.array(cuts).reshape(-1, s.shape[1])
