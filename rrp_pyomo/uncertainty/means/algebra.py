"""What is made of sets of means: intersections, sums, hulls, images and multiples.

Support functions compose as the sets do (Rockafellar 1970, §13 and §16):

======================  ==========================================================
set                     σ(d)
======================  ==========================================================
U ∩ V                   min of σ_U(u) + σ_V(v) over u + v = d
U + V                   σ_U(d) + σ_V(d)
conv(U ∪ V)             max(σ_U(d), σ_V(d))
{Bf : f ∈ U}            σ_U(B'd)
{μ̂ + k(μ − μ̂)}          μ̂'d + k (σ_U(d) − μ̂'d)
======================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import (
    Labels,
    agreed_labels,
    as_floats,
    frozen,
    index_of,
    labels_of,
    positions,
    require_finite,
    require_shape,
    selection,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.modeling.constraints import Bounded
from rrp_pyomo.uncertainty.mean_set import MeanSet
from rrp_pyomo.uncertainty.means.point import Point
from rrp_pyomo.uncertainty.means.support import at_most, support_term
from rrp_pyomo.uncertainty.members import best_members, common_member

# Sets whose smallest common inflation is closer to 1 than this only touch.
_TOUCHING = 1e-6


@dataclass(frozen=True, init=False, repr=False, eq=False)
class _Several(MeanSet):
    """A set made of several sets of means of the same assets."""

    labels: Labels
    _center: FloatArray
    parts: tuple[MeanSet, ...]

    def _built(self, parts: tuple[MeanSet, ...], center: FloatArray) -> None:
        vars(self).update(labels=parts[0].labels, _center=frozen(center), parts=parts)

    def _charge(self, part: MeanSet, d: Affine) -> Any:
        """What a part charges, (σ(d) − center'd) / unit."""
        shift = (part._center - self._center) / self._unit
        nominal = shift @ d if shift.any() or part.is_point else None
        if part.is_point:
            return nominal
        penalty = part._penalty(d) * (1.0 / self._unit)
        return penalty if nominal is None else penalty + nominal

    def _joined(self, sign: str) -> str:
        return sign.join(rf"{{{part.formula}}}" for part in self.parts)

    def _numbers(self) -> dict[str, float]:
        return {"parts": len(self.parts)}


class Intersection(_Several):
    """U_1 ∩ … ∩ U_k: the infimal convolution of the support functions, never above any of them.

    Made by ``U & V``. The centre is the first of the sets' own centres that is in all of them;
    where none is, the point that is in all sets when each is inflated by the same, smallest factor.

    Raises
    ------
    InputError
        The sets have no point in common, or only touch: the minimum over splits of d need not be
        attained then.
    """

    def __init__(self, *parts: MeanSet) -> None:
        self._built(parts, _common_center(parts))

    @property
    def formula(self) -> str:
        return self._joined(r" \cap ")

    @property
    def is_point(self) -> bool:
        return any(part.is_point for part in self.parts)

    @property
    def _reach(self) -> float:
        return min(part._reach for part in self.parts)

    def _penalty(self, d: Affine) -> Any:
        return support_term(self, d, self._bounded)

    def _bounded(self, d: Affine, bound: Affine, new: Any) -> list[Bounded]:
        """σ_k(u_k) ≤ s_k with Σ u_k = d and Σ s_k = bound, about the common centre."""
        first, *others = self.parts
        memberships: list[Bounded] = []
        # Any split will do to begin with: all of d to the first set.
        for k, part in enumerate(others, start=1):
            u = new("split", d.labels or d.size, lambda x: np.zeros(self.size), -np.inf)
            s = new("share", None, lambda x: np.zeros(1), -np.inf)
            memberships += at_most(self._charge(part, u), s, new, f"part{k}", None)
            d, bound = d - u, bound - s
        return at_most(self._charge(first, d), bound, new, "part0", 1.0) + memberships

    def _worst(self, d: FloatArray) -> FloatArray:
        if not d.any() or self.is_point:
            return self._center
        for part in self.parts:
            if np.isfinite(part._support(d)):
                element = part._worst(d)
                if all(other is part or other._excess(element) <= 0.0 for other in self.parts):
                    return element
        return self._pulled_inside(best_members(self, d[None, :])[0])

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        if self.is_point:
            return np.zeros_like(directions)
        step = 1e-4 * float(np.abs(d).max())
        rows = self._worst_rows(np.vstack([d, d + step * directions.T]))
        changes: FloatArray = (rows[1:] - rows[0]).T / step
        return changes

    def _worst_rows(self, directions: FloatArray) -> FloatArray:
        if self.is_point:
            return super()._worst_rows(directions)
        return np.array([self._pulled_inside(u) for u in best_members(self, directions)])

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        for part in self.parts:
            part.state_member(program, u, scale)

    def _excess(self, point: FloatArray) -> float:
        return max(part._excess(point) for part in self.parts)

    def _borders(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Between border points in a hundred directions, each of which takes a small solve."""
        found = super()._borders(rng, min(count, 100))
        if count <= 100:
            return found
        shares = rng.dirichlet(np.full(3, 0.5), count)
        picks = rng.integers(len(found), size=(count, 3))
        mixed: FloatArray = np.einsum("ck,cki->ci", shares, found[picks])
        return mixed


class MinkowskiSum(_Several):
    """U_1 + … + U_k = {μ_1 + … + μ_k}: penalties and worst elements add. Made by ``U + V``."""

    def __init__(self, *parts: MeanSet) -> None:
        self._built(parts, np.sum([part._center for part in parts], axis=0))

    @property
    def formula(self) -> str:
        return self._joined(" + ")

    @property
    def is_point(self) -> bool:
        return all(part.is_point for part in self.parts)

    @property
    def _reach(self) -> float:
        return sum(part._reach for part in self.parts)

    def _penalty(self, d: Affine) -> Any:
        return reduce(
            lambda a, b: a + b, [part._penalty(d) for part in self.parts if not part.is_point]
        )

    def _support(self, d: FloatArray) -> float:
        return sum(part._support(d) for part in self.parts)

    def _worst(self, d: FloatArray) -> FloatArray:
        worst: FloatArray = np.sum([part._worst(d) for part in self.parts], axis=0)
        return worst

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        changes = [part._worst_changes(d, directions) for part in self.parts]
        total: FloatArray = np.sum(changes, axis=0)
        return total

    def _has_ties(self, d: FloatArray) -> bool:
        return any(part._has_ties(d) for part in self.parts)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        first, *others = self.parts
        for part in others:
            own = program.variable(program.free_name("summand"), self.size, unit=part._unit)
            part.state_member(program, own, scale)
            u = u - own
        first.state_member(program, u, scale)

    def scaled(self, factor: float) -> MeanSet:
        return MinkowskiSum(*(part.scaled(factor) for part in self.parts))

    def select(self, labels: Iterable[Hashable]) -> MeanSet:
        chosen = tuple(labels)
        return MinkowskiSum(*(part.select(chosen) for part in self.parts))


class Hull(_Several):
    """conv(U_1 ∪ … ∪ U_k): the larger of the support functions. Made by ``U | V`` or :func:`hull`.

    The centre is the mean of the sets' centres. Where several sets attain σ(d), the worst element
    is that of the first.
    """

    def __init__(self, *parts: MeanSet) -> None:
        centers = [part._center for part in parts]
        same = all(np.array_equal(center, centers[0]) for center in centers)
        self._built(parts, centers[0] if same else np.mean(centers, axis=0))

    @property
    def formula(self) -> str:
        parts = self._joined(r" \cup ")
        return rf"\operatorname{{conv}}\left({parts}\right)"

    @property
    def is_point(self) -> bool:
        centers = [part._center for part in self.parts]
        return all(part.is_point for part in self.parts) and all(
            np.array_equal(center, centers[0]) for center in centers
        )

    @property
    def _reach(self) -> float:
        return max(
            part._reach + float(np.abs(part._center - self._center).max()) for part in self.parts
        )

    def _penalty(self, d: Affine) -> Any:
        return support_term(self, d, self._bounded)

    def _bounded(self, d: Affine, bound: Affine, new: Any) -> list[Bounded]:
        """σ_k(d) ≤ bound for every set, about the common centre."""
        return [
            membership
            for k, part in enumerate(self.parts)
            for membership in at_most(self._charge(part, d), bound, new, f"part{k}", 1.0)
        ]

    def _support(self, d: FloatArray) -> float:
        return max(part._support(d) for part in self.parts)

    def _worst(self, d: FloatArray) -> FloatArray:
        return self._largest(d)._worst(d)

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        return self._largest(d)._worst_changes(d, directions)

    def _largest(self, d: FloatArray) -> MeanSet:
        return self.parts[int(np.argmax([part._support(d) for part in self.parts]))]

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        shares = program.variable(program.free_name("hull_share"), len(self.parts), lower=0.0)
        program.subject_to(**{program.free_name("hull_shares"): shares.sum() == 1.0 * scale})
        for k, part in enumerate(self.parts[:-1]):
            own = program.variable(program.free_name("hull_member"), self.size, unit=self._unit)
            part.state_member(program, own, shares[k])
            u = u - own
        self.parts[-1].state_member(program, u, shares[len(self.parts) - 1])

    def select(self, labels: Iterable[Hashable]) -> MeanSet:
        chosen = tuple(labels)
        return Hull(*(part.select(chosen) for part in self.parts))


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Image(MeanSet):
    """{Bf : f ∈ U}, σ(d) = σ_U(B'd): means of assets by those of factors. ``U.through(B)``."""

    labels: Labels
    _center: FloatArray
    inner: MeanSet
    _matrix: FloatArray

    def __init__(
        self, inner: MeanSet, matrix: Any, labels: Iterable[Hashable] | None = None
    ) -> None:
        B, assets = _loadings(inner, matrix, labels)
        vars(self).update(
            labels=assets, _center=frozen(B @ inner._center), inner=inner, _matrix=frozen(B)
        )

    @property
    def matrix(self) -> pd.DataFrame:
        """B, a row for each asset and a column for each label of the inner set."""
        return pd.DataFrame(self._matrix, index_of(self.labels), index_of(self.inner.labels))

    @property
    def formula(self) -> str:
        return rf"\{{B f : f \in {self.inner.formula}\}}"

    def __repr__(self) -> str:
        return f"Image({self.size} assets, of {self.inner!r})"

    @property
    def is_point(self) -> bool:
        return self.inner.is_point

    @cached_property
    def _reach(self) -> float:
        return self.inner._reach * float(np.abs(self._matrix).sum(axis=1).max())

    def _penalty(self, d: Affine) -> Any:
        of_sources: Any = self._matrix.T @ d
        return self.inner._penalty(of_sources._relabelled(self.inner.labels))

    def _support(self, d: FloatArray) -> float:
        return self.inner._support(self._matrix.T @ d)

    def _worst(self, d: FloatArray) -> FloatArray:
        return self._matrix @ self.inner._worst(self._matrix.T @ d)

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        B = self._matrix
        return B @ self.inner._worst_changes(B.T @ d, B.T @ directions)

    def _has_ties(self, d: FloatArray) -> bool:
        return self.inner._has_ties(self._matrix.T @ d)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        f = program.variable(program.free_name("source"), self.inner.labels, unit=self.inner._unit)
        self.inner.state_member(program, f, scale)
        program.subject_to(**{program.free_name("image"): u == self._matrix @ f})

    def _excess(self, point: FloatArray) -> float:
        deviation = point - self._center
        f, _, rank, _ = np.linalg.lstsq(self._matrix, deviation, rcond=None)
        missed = float(np.linalg.norm(self._matrix @ f - deviation)) / self._unit
        if rank < self.inner.size:
            return max(missed, super()._excess(point))
        return max(missed, self.inner._excess(self.inner._center + f))

    def scaled(self, factor: float) -> MeanSet:
        return Image(self.inner.scaled(factor), self._matrix, self.labels)

    def select(self, labels: Iterable[Hashable]) -> MeanSet:
        at, chosen = selection(labels, self.labels)
        return Image(self.inner, self._matrix[at], chosen)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Multiple(MeanSet):
    """{μ̂ + k(μ − μ̂) : μ ∈ U}, a set with its radius multiplied. ``U.scaled(k)`` or ``k * U``."""

    labels: Labels
    _center: FloatArray
    inner: MeanSet
    factor: float

    def __init__(self, inner: MeanSet, factor: float) -> None:
        vars(self).update(labels=inner.labels, _center=inner._center, inner=inner, factor=factor)

    @property
    def formula(self) -> str:
        return rf"\{{\hat\mu + {self.factor:.4g} (\mu - \hat\mu) : \mu \in {self.inner.formula}\}}"

    def __repr__(self) -> str:
        return f"Multiple({self.factor:.4g} times {self.inner!r})"

    @property
    def is_point(self) -> bool:
        return self.factor == 0.0 or self.inner.is_point

    @property
    def _reach(self) -> float:
        return self.factor * self.inner._reach

    def _penalty(self, d: Affine) -> Any:
        return self.factor * self.inner._penalty(d)

    def _worst(self, d: FloatArray) -> FloatArray:
        return self._center + self.factor * (self.inner._worst(d) - self._center)

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        return self.factor * self.inner._worst_changes(d, directions)

    def _has_ties(self, d: FloatArray) -> bool:
        return self.factor > 0.0 and self.inner._has_ties(d)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        if self.is_point:
            Point(self.center).state_member(program, u, scale)
            return
        k = self.factor
        self.inner.state_member(program, u / k + ((k - 1.0) / k) * self._center * scale, scale)

    def _excess(self, point: FloatArray) -> float:
        if self.is_point:
            return Point(self.center)._excess(point)
        return self.inner._excess(self._center + (point - self._center) / self.factor)

    def scaled(self, factor: float) -> MeanSet:
        return Multiple(self.inner, factor * self.factor)


def hull(*sets: MeanSet) -> MeanSet:
    """The convex hull of sets of means, points (Series) among them.

    Raises
    ------
    InputError
        No set, or sets of different assets.

    Examples
    --------
    Any mean between a box and a crisis:

    >>> import pandas as pd
    >>> from rrp_pyomo.uncertainty import Box, hull
    >>> means = hull(Box([0.05, 0.03], 0.01), pd.Series([-0.04, 0.0]))
    >>> means.worst([-0.5, -0.5]).round(3).tolist(), means.worst([0.5, 0.5]).round(3).tolist()
    ([-0.04, 0.0], [0.06, 0.04])
    """
    if not sets:
        raise InputError("hull() is given no set; give it at least one")
    flat = _flat([given if isinstance(given, MeanSet) else Point(given) for given in sets], Hull)
    return flat[0] if len(flat) == 1 else Hull(*flat)


def _intersection(*sets: MeanSet) -> MeanSet:
    parts = _flat(sets, Intersection)
    return Intersection(*parts)


def _sum(*sets: MeanSet) -> MeanSet:
    return MinkowskiSum(*_flat(sets, MinkowskiSum))


def _flat(sets: Iterable[MeanSet], kind: type[_Several]) -> tuple[MeanSet, ...]:
    """The parts of sets of one kind, over the assets of the first in its order."""
    given = [part for s in sets for part in (s.parts if isinstance(s, kind) else (s,))]
    labels = given[0].labels
    return tuple(part if part.labels == labels else _in_order(part, labels) for part in given)


def _in_order(part: MeanSet, labels: Labels) -> MeanSet:
    if set(part.labels) == set(labels):
        return part.select(labels)
    agreed_labels("asset", len(labels), first=labels, second=part.labels)
    return part


def _common_center(parts: tuple[MeanSet, ...]) -> FloatArray:
    for part in parts:
        if all(
            np.array_equal(other._center, part._center) or other._excess(part._center) < -_TOUCHING
            for other in parts
        ):
            return part._center
    if any(part.is_point for part in parts):
        points = [part for part in parts if part.is_point]
        for other in parts:
            if not other.contains(points[0]._center):
                raise InputError(
                    f"{other!r} does not contain the only element of {points[0]!r}; the "
                    "intersection is empty: choose a larger set"
                )
        return points[0]._center
    point, inflation = common_member(parts)
    if inflation > 1.0 - _TOUCHING:
        raise InputError(
            f"{' & '.join(map(repr, parts))} have no interior point in common: each would have to "
            f"be scaled by {inflation:.4g} to touch the others; choose larger radii"
        )
    return point


def _loadings(
    inner: MeanSet, matrix: Any, labels: Iterable[Hashable] | None
) -> tuple[FloatArray, Labels]:
    B = as_floats(matrix, "B", 2)
    if isinstance(matrix, pd.DataFrame):
        columns = agreed_labels("factor", B.shape[1], columns=matrix.columns)
        if set(columns) != set(inner.labels) and set(matrix.index) == set(inner.labels):
            raise InputError(
                f"B has the labels of {inner!r} as its rows; expected them as columns: give B.T"
            )
        order = positions(inner.labels, columns)
        agreed_labels("factor", B.shape[1], set=inner.labels, B=[columns[k] for k in order])
        B = B[:, order]
    require_shape(B, (len(B), inner.size), "B", f"means of {inner.size} factors")
    assets = agreed_labels("asset", len(B), labels=labels, B=labels_of(matrix))
    require_finite(B, "loading", assets, inner.labels)
    return B, assets


MeanSet._intersection = staticmethod(_intersection)
MeanSet._minkowski_sum = staticmethod(_sum)
MeanSet._point = staticmethod(Point)
MeanSet._hull = staticmethod(hull)
MeanSet._multiple = staticmethod(Multiple)
MeanSet._image = staticmethod(Image)
