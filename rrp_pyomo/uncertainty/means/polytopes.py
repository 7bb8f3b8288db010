"""Sets of means with corners: budgets of deviations, vertices, linear inequalities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linprog, nnls

from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    Vector,
    agreed_labels,
    as_floats,
    as_number,
    frozen,
    index_of,
    labels_of,
    nonnegative,
    positions,
    require_finite,
    require_shape,
    selection,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, maximum
from rrp_pyomo.modeling.cones import NONNEGATIVE, ZERO
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.uncertainty.mean_set import MeanSet
from rrp_pyomo.uncertainty.means.point import Point, centered
from rrp_pyomo.uncertainty.means.signs import picked, row_signs
from rrp_pyomo.uncertainty.means.support import support_term


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Budgeted(MeanSet):
    """U = {μ̂ + δ∘z : ‖z‖_∞ ≤ 1, ‖z‖₁ ≤ Γ}: at most Γ means deviate by all that they may.

    σ(d) = μ̂'d + the sum of the Γ largest δ_i|d_i| (of a fractional Γ, its part of the next one)
    = μ̂'d + min over θ ≥ 0 of Γθ + Σ(δ_i|d_i| − θ)₊: linear rows. Γ = n is the box.

    Parameters
    ----------
    center : Series or (n,) array
        μ̂.
    half_width : float, Series, mapping or (n,) array
        δ ≥ 0.
    budget : float
        Γ ≥ 0; from n on it binds nothing.

    References
    ----------
    Bertsimas & Sim (2004), The price of robustness.

    Examples
    --------
    One of the two means may be off, and the adversary takes the one that hurts more:

    >>> from rrp_pyomo.uncertainty import Budgeted
    >>> means = Budgeted([0.05, 0.03], half_width=[0.02, 0.005], budget=1.0)
    >>> means.worst([-0.5, -0.5]).round(4).tolist()
    [0.03, 0.03]
    """

    labels: Labels
    _center: FloatArray
    _half_width: FloatArray
    budget: float

    def __init__(
        self,
        center: Vector,
        half_width: float | Vector | Mapping[Any, float],
        budget: float,
    ) -> None:
        labels, array = centered(center)
        widths = nonnegative(half_width, labels, "half_width")
        budget = as_number(budget, "budget", least=0.0)
        vars(self).update(labels=labels, _center=array, _half_width=widths, budget=budget)

    @property
    def half_width(self) -> pd.Series:
        """δ by asset."""
        return self._labelled(self._half_width).rename("half_width")

    @property
    def formula(self) -> str:
        return (
            r"\{\hat\mu + \delta \circ z : \|z\|_\infty \le 1,\ "
            rf"\|z\|_1 \le {self.budget:.4g}\}}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"budget": self.budget}

    @property
    def is_point(self) -> bool:
        return self.budget == 0.0 or not self._half_width.any()

    @property
    def _reach(self) -> float:
        return float(self._half_width.max()) * min(self.budget, 1.0)

    def _penalty(self, d: Affine) -> Any:
        return support_term(self, d, self._bounded)

    def _bounded(self, d: Affine, bound: Affine, new: Any) -> list[Bounded]:
        """s_i + θ ≥ ±δ_i d_i / unit with Γθ + Σs ≤ bound; one row where the sign is known."""
        signs, widths = row_signs(d), self._half_width / self._unit
        threshold = new("threshold", None, lambda x: self._threshold(d.value(x)), 0.0)
        s = new("excess", d.labels or d.size, lambda x: self._beyond(d.value(x)), 0.0)
        rows = [Bounded("", InCone((bound - self.budget * threshold - s.sum(),), NONNEGATIVE))]
        for name, sign in (("above", 1.0), ("below", -1.0)):
            at = np.flatnonzero((signs != -sign) & (widths > 0.0))
            if at.size:
                scaled = sign * widths[at] * picked(d, at)
                row = picked(s, at) + threshold - scaled
                rows.append(Bounded(name, InCone((row,), NONNEGATIVE), None))
        return rows

    def _threshold(self, d: FloatArray) -> FloatArray:
        """The best θ: the largest δ_i|d_i| / unit that the budget does not pay for in full."""
        charges = np.sort(self._half_width * np.abs(d) / self._unit)[::-1]
        paid = int(self.budget)
        return charges[paid : paid + 1] if paid < charges.size else np.zeros(1)

    def _beyond(self, d: FloatArray) -> FloatArray:
        charges = self._half_width * np.abs(d) / self._unit
        return np.maximum(charges - self._threshold(d), 0.0)

    def _worst(self, d: FloatArray) -> FloatArray:
        order = np.argsort(-self._half_width * np.abs(d), kind="stable")
        z = np.empty(self.size)
        z[order] = np.clip(self.budget - np.arange(self.size), 0.0, 1.0)
        return self._center + self._half_width * z * np.sign(d)

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        return np.zeros_like(directions)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        z = program.variable(program.free_name("budgeted_share"), self.size, lower=0.0)
        deviation, moved = u - self._center * scale, self._half_width * z
        rows = {
            "above": deviation <= moved,
            "below": deviation >= -moved,
            "share": z <= 1.0 * scale,
            "budget": z.sum() <= self.budget * scale,
        }
        for name, row in rows.items():
            program.subject_to(**{program.free_name(f"budgeted_{name}"): row})

    def _excess(self, point: FloatArray) -> float:
        deviation, widths = np.abs(point - self._center), self._half_width
        if self.is_point:
            return float(deviation.max()) / self._unit
        free = widths > 0.0
        z = deviation[free] / widths[free]
        fixed = float(deviation[~free].max(initial=0.0)) / self._unit
        # z beyond its bounds by ε is a mean beyond its own by ε · δ.
        own = float(((z - 1.0) * widths[free]).max()) / self._unit
        return max(own, fixed, (float(z.sum()) - self.budget) * min(1.0, 1.0 / self.budget))

    def scaled(self, factor: float) -> Budgeted:
        factor = as_number(factor, "factor", least=0.0)
        return Budgeted(self.center, factor * self._half_width, self.budget)

    def select(self, labels: Any) -> Budgeted:
        at, chosen = selection(labels, self.labels)
        center = pd.Series(self._center[at], index_of(chosen))
        return Budgeted(center, self._half_width[at], self.budget)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Vertices(MeanSet):
    """U = conv{v_1, …, v_k} with σ(d) = max_k v_k'd: scenarios for the mean, such as regimes.

    The centre is the mean of the points.

    Parameters
    ----------
    points : (k, n) DataFrame or array
        A row for each point. Where several attain σ(d) the first one is :meth:`worst`.

    Examples
    --------
    Two regimes; for each portfolio the worse one counts:

    >>> from rrp_pyomo.uncertainty import Vertices
    >>> means = Vertices([[0.08, 0.01], [-0.02, 0.04]])
    >>> means.worst([-0.8, -0.2]).round(3).tolist(), means.worst([-0.1, -0.9]).round(3).tolist()
    ([-0.02, 0.04], [0.08, 0.01])
    """

    labels: Labels
    _center: FloatArray
    _points: FloatArray
    names: Labels

    def __init__(self, points: Matrix) -> None:
        array = frozen(as_floats(points, "points", 2))
        k, n = array.shape
        if k == 0:
            raise InputError(f"points have shape {array.shape}; give at least one row")
        labels = agreed_labels("asset", n, points=labels_of(points, 1))
        names = agreed_labels("point", k, points=labels_of(points))
        require_finite(array, "point", names, labels)
        center = array[0] if (array == array[0]).all() else array.mean(axis=0)
        vars(self).update(labels=labels, _center=frozen(center), _points=array, names=names)

    @property
    def points(self) -> pd.DataFrame:
        """v_1, …, v_k, a row each."""
        return pd.DataFrame(self._points, index_of(self.names), index_of(self.labels))

    @property
    def formula(self) -> str:
        return rf"\operatorname{{conv}}\{{v_1, \dots, v_{{{len(self.names)}}}\}}"

    def _numbers(self) -> dict[str, float]:
        return {"points": len(self.names)}

    @property
    def is_point(self) -> bool:
        return bool((self._points == self._points[0]).all())

    @cached_property
    def _reach(self) -> float:
        return float(np.abs(self._points - self._center).max())

    def _penalty(self, d: Affine) -> Any:
        return self._unit * maximum(((self._points - self._center) / self._unit) @ d)

    def _worst(self, d: FloatArray) -> FloatArray:
        worst: FloatArray = self._points[int((self._points @ d).argmax())]
        return worst

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        return np.zeros_like(directions)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        share = program.variable(program.free_name("vertex_share"), len(self.names), lower=0.0)
        total = program.free_name("vertex_shares")
        program.subject_to(**{total: share.sum() == 1.0 * scale})
        program.subject_to(**{program.free_name("vertex_member"): u == self._points.T @ share})

    def _excess(self, point: FloatArray) -> float:
        """The distance to the nearest convex combination, by nonnegative least squares."""
        deviations = (self._points - self._center) / self._unit
        target = (point - self._center) / self._unit
        # The shares' sum weighs more than what could be gained by missing it.
        weight = 1e3 * max(1.0, float(np.abs(target).max()))
        shares, _ = nnls(
            np.vstack([deviations.T, np.full(len(deviations), weight)]), np.append(target, weight)
        )
        d = target - deviations.T @ (shares / shares.sum())
        length = float(np.linalg.norm(d))
        return 0.0 if length == 0.0 else float(d @ target - (deviations @ d).max()) / length

    def scaled(self, factor: float) -> Vertices:
        factor = as_number(factor, "factor", least=0.0)
        return Vertices(self._center + factor * (self.points - self._center))

    def select(self, labels: Any) -> Vertices:
        at, _ = selection(labels, self.labels)
        return Vertices(self.points.iloc[:, at])


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Polyhedron(MeanSet):
    """U = {μ̂ + d : A d ≤ b}, with σ(w) = μ̂'w + min of b'y over y ≥ 0, A'y = w.

    By the duality of linear programs: statements of the support function take one variable for each
    row of A. The polyhedron may be unbounded; then directions in which it is have no worst element,
    and no statement allows them.

    Parameters
    ----------
    center : Series or (n,) array
        μ̂.
    A : (k, n) DataFrame or array
        A row for each inequality; the columns of a DataFrame are aligned by label.
    b : float, Series or (k,) array
        At least 0, so that the centre is a member.

    References
    ----------
    Ben-Tal & Nemirovski (1999), Robust solutions of uncertain linear programs.

    Examples
    --------
    Errors of at most 0.01 upwards, whose sum is at least −0.01:

    >>> from rrp_pyomo.uncertainty import Polyhedron
    >>> means = Polyhedron([0.05, 0.03], [[1, 0], [0, 1], [-1, -1]], [0.01, 0.01, 0.01])
    >>> means.worst([-0.7, -0.3]).round(4).tolist()
    [0.03, 0.04]
    """

    labels: Labels
    _center: FloatArray
    A: FloatArray
    b: FloatArray

    def __init__(self, center: Vector, A: Matrix, b: float | Vector) -> None:
        labels, array = centered(center)
        rows = as_floats(A, "A", 2)
        if isinstance(A, pd.DataFrame):
            order = positions(labels, agreed_labels("asset", rows.shape[1], A=A.columns))
            agreed_labels("asset", rows.shape[1], center=labels, A=A.columns[order])
            rows = rows[:, order]
        require_shape(rows, (len(rows), len(labels)), "A", f"{len(labels)} assets")
        require_finite(rows, "A", range(len(rows)), labels)
        bounds = np.full(len(rows), as_number(b, "b")) if np.ndim(b) == 0 else as_floats(b, "b", 1)
        require_shape(bounds, (len(rows),), "b", f"{len(rows)} rows of A")
        require_finite(bounds, "b", range(len(rows)))
        if bounds.min(initial=0.0) < 0.0:
            k = int(bounds.argmin())
            raise InputError(
                f"row {k} of A d <= b has b = {bounds[k]:.6g}, so that the centre (d = 0) is not a "
                "member; expected at least 0: move the centre inside"
            )
        vars(self).update(labels=labels, _center=array, A=frozen(rows), b=frozen(bounds))

    @property
    def formula(self) -> str:
        return r"\{\hat\mu + d : A d \le b\}"

    def _numbers(self) -> dict[str, float]:
        return {"rows": len(self.b)}

    @cached_property
    def _rows(self) -> FloatArray:
        """The rows of A with length 1; those of zeros, which bind nothing, as they are."""
        return self.A / self._lengths[:, None]

    @cached_property
    def _lengths(self) -> FloatArray:
        lengths = np.linalg.norm(self.A, axis=1)
        return np.where(lengths > 0.0, lengths, 1.0)

    @cached_property
    def is_bounded(self) -> bool:
        """Whether {d : A d ≤ 0} is 0 alone: A has rank n, and A'y = 0 for some y > 0 (Stiemke)."""
        k, n = self.A.shape
        if k <= n or np.linalg.matrix_rank(self._rows) < n:
            return False
        found = linprog(np.zeros(k), A_eq=self._rows.T, b_eq=np.zeros(n), bounds=(1.0, None))
        return bool(found.status == 0)

    @cached_property
    def is_point(self) -> bool:
        return not self.b.any() and self.is_bounded

    @cached_property
    def _reach(self) -> float:
        wide = (self.b > 0.0) & self.A.any(axis=1)
        return float(np.median((self.b / self._lengths)[wide])) if wide.any() else 0.0

    @cached_property
    def _distances(self) -> FloatArray:
        """From the centre to each of the planes, in units."""
        distances: FloatArray = self.b / (self._lengths * self._unit)
        return distances

    def _penalty(self, d: Affine) -> Any:
        return support_term(self, d, self._bounded)

    def _bounded(self, d: Affine, bound: Affine, new: Any) -> list[Bounded]:
        """b'y ≤ bound, A'y = d, y ≥ 0."""
        y = new("multiplier", len(self.b), lambda x: self._solved(d.value(x))[1], 0.0)
        return [
            Bounded("", InCone((bound - self._distances @ y,), NONNEGATIVE)),
            Bounded("direction", InCone((self._rows.T @ y - d,), ZERO), None),
        ]

    def _support(self, d: FloatArray) -> float:
        """Infinite in directions in which the set is unbounded."""
        z, _ = self._solved(d)
        return float(self._center @ d + self._unit * (z @ d)) if np.isfinite(z).all() else np.inf

    def _worst(self, d: FloatArray) -> FloatArray:
        z, _ = self._solved(d)
        if not np.isfinite(z).all():
            raise InputError(
                f"{self!r} is unbounded in the direction {np.array2string(d, threshold=6)} and has "
                "no worst element there; choose an A with rows that bound it"
            )
        return self._center + self._unit * z

    def _solved(self, d: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The best deviation, in units, and the multipliers of the rows."""
        length = float(np.abs(d).max()) or 1.0
        for method in ("highs", "highs-ipm"):
            found = linprog(
                -d / length, self._rows, self._distances, bounds=(None, None), method=method
            )
            if found.x is not None:
                break
        else:
            return np.full(self.size, np.inf), np.zeros(len(self.b))
        z: FloatArray = found.x
        # Rounding may have left it a hair outside: back to the border, towards the centre.
        tight = self._distances > 0.0
        z = z / max(1.0, float((self._rows[tight] @ z / self._distances[tight]).max(initial=0.0)))
        return z, -length * found.ineqlin.marginals

    def _borders(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Where rays from the centre leave the set."""
        rays = rng.standard_normal((count, self.size))
        speeds = np.maximum(rays @ self._rows.T, 1e-150)
        reach = self._unit * (self._distances / speeds).min(axis=1, initial=np.inf)
        if not (reach < 1e100).all():
            raise InputError(
                f"{self!r} is unbounded, and members cannot be drawn in all directions; choose an "
                "A with rows that bound it"
            )
        borders: FloatArray = self._center + reach[:, None] * rays
        return borders

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        return np.zeros_like(directions)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        deviation = u - self._center * scale
        program.subject_to(
            **{
                program.free_name("polyhedron"): self._rows @ deviation
                <= self._unit * self._distances * scale
            }
        )

    def _excess(self, point: FloatArray) -> float:
        missed = self._rows @ ((point - self._center) / self._unit) - self._distances
        return float(missed.max(initial=-1.0))

    def scaled(self, factor: float) -> MeanSet:
        factor = as_number(factor, "factor", least=0.0)
        return Polyhedron(self.center, self.A, factor * self.b) if factor else Point(self.center)
