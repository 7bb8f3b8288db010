"""Bridges: each conic constraint of ``pyomo.kernel.conic`` as cones of the conic form.

A bridge hands the members y of equally shaped cones to the builder, as rows T y of a cone K that
solvers know, and returns a reader of their dual cones' elements, w = T'z, in the order of the
members. Where a cone needs auxiliary variables, theirs are left out: the multipliers of the
auxiliaries' columns add up to zero, so that w alone is in the dual of the projected cone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pyomo.core.kernel import conic

from rrp_pyomo.forms.conic import ConicBuilder, ConicForm
from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.linalg import FloatArray

#: From a form and its multipliers to the dual elements, one row of members for each cone.
DualReader = Callable[[ConicForm, FloatArray], FloatArray]


class Members:
    """The members y of equally shaped cones.

    Parameters
    ----------
    columns : (count, dimension) array
        The variables that they are.
    units : (n,) array
        The typical magnitudes of all variables.
    substituted : callable
        Moves fixed variables of affine rows into the constants.
    """

    def __init__(
        self, columns: IntArray, units: FloatArray, substituted: Callable[[Rows], Rows]
    ) -> None:
        self.columns = columns
        self._units = units
        self.dimension = columns.shape[1]
        self._substituted = substituted

    @property
    def units(self) -> FloatArray:
        """The typical magnitudes of the members, 1 where they are fixed."""
        return np.where(self.columns < 0, 1.0, self._units[np.maximum(self.columns, 0)])

    def __getitem__(self, places: int | slice) -> Rows:
        """The rows of some members, cone by cone."""
        return self._substituted(unit_rows(self.columns[:, places].ravel()))


def quadratic(builder: ConicBuilder, y: Members, alpha: float) -> DualReader:
    """‖x‖₂ ≤ r: a second-order cone as it stands, with itself as its dual."""
    if y.dimension == 1:
        return _in_order(builder.nonnegative(y[:]), (0,))
    group = builder.second_order_rows(y[:], y.dimension)
    return lambda form, z: form.dual(group, z)


def rotated_quadratic(builder: ConicBuilder, y: Members, alpha: float) -> DualReader:
    """‖x‖₂² ≤ 2 r₁ r₂: the product bound a b ≥ ‖x‖² with a = √2 r₁, b = √2 r₂."""
    if y.dimension == 2:
        return _in_order(builder.nonnegative(y[:]), (0, 1))
    root = np.sqrt(2.0)
    group = builder.product(y[0].times(root), y[1].times(root), y[2:])
    scale = np.array([root, root] + [1.0] * (y.dimension - 2))
    return lambda form, z: form.dual(group, z) * scale


def primal_exponential(builder: ConicBuilder, y: Members, alpha: float) -> DualReader:
    """x₁ exp(x₂ / x₁) ≤ r: the exponential cone of (x₂, x₁, r)."""
    return _in_order(builder.exponential(y[2], y[1], y[0]), (2, 1, 0))


def dual_exponential(builder: ConicBuilder, y: Members, alpha: float) -> DualReader:
    """−x₂ exp(x₁ / x₂ − 1) ≤ r, x₂ ≤ 0: the exponential cone of (x₂ − x₁, −x₂, r).

    With u = −x₂ ≥ 0 the left side is u exp(−x₁ / u − 1) = u exp((x₂ − x₁) / u).
    """
    group = builder.exponential(_difference(y[2], y[1]), y[2].times(-1.0), y[0])

    def dual(form: ConicForm, z: FloatArray) -> FloatArray:
        w = form.dual(group, z)
        return np.column_stack([w[:, 2], -w[:, 0], w[:, 0] - w[:, 1]])

    return dual


def primal_power(builder: ConicBuilder, y: Members, alpha: float) -> DualReader:
    """‖x‖₂ ≤ r₁^α r₂^(1−α): the power cone of (r₁, r₂, t) with ‖x‖₂ ≤ t where x is a vector."""
    return _power(builder, y[0], y[1], y[2:], y, alpha)


def dual_power(builder: ConicBuilder, y: Members, alpha: float) -> DualReader:
    """‖x‖₂ ≤ (r₁/α)^α (r₂/(1−α))^(1−α): the power cone of (r₁/α, r₂/(1−α), x)."""
    weights = 1.0 / alpha, 1.0 / (1.0 - alpha)
    read = _power(builder, y[0].times(weights[0]), y[1].times(weights[1]), y[2:], y, alpha)
    scale = np.array([*weights] + [1.0] * (y.dimension - 2))
    return lambda form, z: read(form, z) * scale


def primal_geomean(builder: ConicBuilder, y: Members, alpha: float) -> DualReader:
    """|x| ≤ (r₁ ⋯ r_m)^(1/m): a chain of power cones through t₂ … t_{m−1},

        t₂ ≤ r₁^(1/2) r₂^(1/2),   t_k ≤ r_k^(1/k) t_{k−1}^((k−1)/k),   |x| ≤ r_m^(1/m) t_{m−1}^((m−1)/m),

    so that t_k ≤ (r₁ ⋯ r_k)^(1/k).
    """  # noqa: E501
    return _geometric_mean(builder, y, y[y.dimension - 1])


def dual_geomean(builder: ConicBuilder, y: Members, alpha: float) -> DualReader:
    """|x| ≤ m (r₁ ⋯ r_m)^(1/m): the geometric mean cone of (r, x/m)."""
    m = y.dimension - 1
    read = _geometric_mean(builder, y, y[m].times(1.0 / m))
    scale = np.array([1.0] * m + [1.0 / m])
    return lambda form, z: read(form, z) * scale


#: By the type of the constraint, the function that hands the members to a builder.
BRIDGES: dict[type, Callable[[ConicBuilder, Members, float], DualReader]] = {
    conic.quadratic: quadratic,
    conic.rotated_quadratic: rotated_quadratic,
    conic.primal_exponential: primal_exponential,
    conic.dual_exponential: dual_exponential,
    conic.primal_power: primal_power,
    conic.dual_power: dual_power,
    conic.primal_geomean: primal_geomean,
    conic.dual_geomean: dual_geomean,
}


def _in_order(group: int, places: Sequence[int]) -> DualReader:
    order = list(places)
    return lambda form, z: form.dual(group, z).reshape(-1, len(order))[:, order]


def _power(
    builder: ConicBuilder, a: Rows, b: Rows, x: Rows, y: Members, alpha: float
) -> DualReader:
    if y.dimension == 3:
        return _in_order(builder.power(a, b, x, alpha), range(3))
    left, right, *_ = y.units.T
    units = left**alpha * right ** (1.0 - alpha)
    t = unit_rows(builder.variables(units))
    power, norm = builder.power(a, b, t, alpha), builder.second_order(t, x)
    return lambda form, z: np.hstack([form.dual(power, z)[:, :2], form.dual(norm, z)[:, 1:]])


def _geometric_mean(builder: ConicBuilder, y: Members, x: Rows) -> DualReader:
    m = y.dimension - 1
    if m == 1:
        group = builder.second_order(y[0], x)
        return _in_order(group, (0, 1))
    groups, magnitudes = [], y.units
    mean = y[0]
    for k in range(2, m + 1):
        units = np.exp(np.log(magnitudes[:, :k]).mean(axis=1))
        t = x if k == m else unit_rows(builder.variables(units))
        groups.append(builder.power(y[k - 1], mean, t, 1.0 / k))
        mean = t

    def dual(form: ConicForm, z: FloatArray) -> FloatArray:
        w = [form.dual(group, z) for group in groups]
        return np.column_stack([w[0][:, 1], *(part[:, 0] for part in w), w[-1][:, 2]])

    return dual


def unit_rows(columns: IntArray) -> Rows:
    """A row for each column, which is that variable."""
    n = columns.size
    return Rows(np.arange(n), columns, np.ones(n), np.zeros(n))


def _difference(a: Rows, b: Rows) -> Rows:
    return Rows(
        np.concatenate([a.row, b.row]),
        np.concatenate([a.col, b.col]),
        np.concatenate([a.val, -b.val]),
        a.constant - b.constant,
    )
