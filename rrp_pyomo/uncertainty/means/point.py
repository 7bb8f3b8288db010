"""A known mean: the set of one element."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import (
    Labels,
    Vector,
    agreed_labels,
    as_floats,
    as_number,
    frozen,
    index_of,
    labels_of,
    require_finite,
    selection,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.uncertainty.mean_set import MeanSet


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Point(MeanSet):
    """U = {μ̂}.

    Parameters
    ----------
    center : Series or (n,) array
        μ̂.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import Point
    >>> round(Point([0.05, 0.03]).support([0.5, 0.5]), 4), Point([0.05, 0.03]).is_point
    (0.04, True)
    """

    labels: Labels
    _center: FloatArray

    def __init__(self, center: Vector) -> None:
        labels, array = centered(center)
        vars(self).update(labels=labels, _center=array)

    @property
    def formula(self) -> str:
        return r"\{\hat\mu\}"

    @property
    def is_point(self) -> bool:
        return True

    @property
    def _reach(self) -> float:
        return 0.0

    def _penalty(self, d: Affine) -> Any:
        return np.zeros(d.size) @ d

    def _worst(self, d: FloatArray) -> FloatArray:
        return self._center

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        return np.zeros_like(directions)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        program.subject_to(**{program.free_name("point"): u == self._center * scale})

    def _excess(self, point: FloatArray) -> float:
        return float(np.abs(point - self._center).max()) / self._unit

    def scaled(self, factor: float) -> Point:
        as_number(factor, "factor", least=0.0)
        return self

    def select(self, labels: Iterable[Hashable]) -> Point:
        at, chosen = selection(labels, self.labels)
        return Point(pd.Series(self._center[at], index_of(chosen)))


def centered(center: Any, labels: Iterable[Any] | None = None) -> tuple[Labels, FloatArray]:
    """The labels of a centre and its numbers, read-only.

    Raises
    ------
    InputError
        It has no numbers, some that are not finite, or labels that are repeated.
    """
    array = frozen(as_floats(center, "center", 1))
    assets = agreed_labels("asset", array.size, labels=labels, center=labels_of(center))
    require_finite(array, "center", assets)
    return assets, array


def as_mean_set(mean: Any) -> MeanSet:
    """A set of means as it is, a known mean as the set of one element.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import as_mean_set
    >>> as_mean_set([0.05, 0.03])
    Point(2 assets)
    """
    return mean if isinstance(mean, MeanSet) else Point(mean)
