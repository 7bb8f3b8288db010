"""A known mean: the set of one element."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrp_pyomo.data.validation import (
    Labels,
    Vector,
    agreed_labels,
    as_floats,
    frozen,
    labels_of,
    require_finite,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.uncertainty.base import MeanSet


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Point(MeanSet):
    """U = {μ̂}.

    Parameters
    ----------
    center : Series or (n,) array
        μ̂.
    """

    labels: Labels
    _center: FloatArray

    def __init__(self, center: Vector) -> None:
        labels, array = centered(center)
        vars(self).update(labels=labels, _center=array)

    @property
    def formula(self) -> str:
        return r"\{\hat\mu\}"

    def _expression(self, d: Affine) -> Any:
        return self._center @ d

    def _worst(self, d: FloatArray) -> FloatArray:
        return self._center

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        program.subject_to(**{program.free_name("point"): u == self._center * scale})

    def _excess(self, point: FloatArray) -> float:
        gap: float = np.abs(point - self._center).max()
        return gap / (float(np.abs(self._center).max()) or 1.0)


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
    """A set of means as it is, a known mean as the set of one element."""
    return mean if isinstance(mean, MeanSet) else Point(mean)
