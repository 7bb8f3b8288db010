"""What is known of means over several periods: forecasts, and how their errors go together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from rrp_pyomo.data.validation import Labels, agreed_labels, by_label, index_of
from rrp_pyomo.errors import InputError, brief, is_number
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, Variable, norm, stack
from rrp_pyomo.program import Program
from rrp_pyomo.uncertainty import MeanSet, Point


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Means μ̂_h of H periods and the sets of their errors.

    Attributes
    ----------
    periods : tuple
        Their labels.
    centers : (H, n) array
        μ̂_h.
    sets : tuple of MeanSet
        S_h is a set less its centre: one for each period, or one for all.
    """

    periods: tuple[Hashable, ...]
    labels: Labels
    centers: FloatArray
    sets: tuple[MeanSet, ...]

    @classmethod
    def of(cls, mean: Any, errors: Any, periods: int | None, labels: Labels) -> Forecasts:
        """From what a user gives; see :class:`~rrp_pyomo.MultiPeriod`."""
        means, names = _listed(mean, periods)
        has_sets = any(isinstance(one, MeanSet) for one in means)
        sets = [one if isinstance(one, MeanSet) else _point(one, labels) for one in means]
        around: list[Any] = sets if len({id(one) for one in means}) > 1 else sets[:1]
        if errors is not None:
            if has_sets:
                raise InputError(
                    f"errors={brief(errors)} are given beside sets of means, which have errors of "
                    "their own; give the means alone as Series, or leave errors out"
                )
            around = list(errors) if isinstance(errors, list | tuple) else [errors]
        elif not has_sets:
            around = [_point(np.zeros(len(labels)), labels)]
        for one in around:
            if not isinstance(one, MeanSet):
                raise InputError(
                    f"errors are {brief(errors)}; expected a set of means, such as "
                    "Ellipsoid(mean, covariance, radius), or one for each period"
                )
        for one in [*sets, *around]:
            agreed_labels("asset", len(labels), covariance=labels, mean=one.labels)
        if len(around) not in (1, len(means)):
            raise InputError(
                f"{len(around)} sets of errors are given for {len(means)} periods; give one for "
                "each, or one for all"
            )
        return cls(names, labels, np.array([one.center for one in sets]), tuple(around))

    def known(self, means: FloatArray) -> Forecasts:
        """Other means, without errors."""
        return replace(self, centers=means, sets=(_point(0.0 * means[0], self.labels),))

    @property
    def known_alone(self) -> bool:
        """Whether the means have no errors."""
        return all(isinstance(one, Point) for one in self.sets)

    @property
    def by_period(self) -> tuple[MeanSet, ...]:
        """The set of each period."""
        return self.sets * len(self.periods) if len(self.sets) == 1 else self.sets


def _listed(mean: Any, periods: int | None) -> tuple[list[Any], tuple[Hashable, ...]]:
    """The mean of each period, and what the periods are called."""
    if periods is not None and not (is_number(periods, int) and periods >= 1):
        raise InputError(f"periods is {brief(periods)}; expected a whole number of at least 1")
    if isinstance(mean, pd.DataFrame):
        names: tuple[Hashable, ...] = tuple(mean.index)
        means: list[Any] = [row for _, row in mean.iterrows()]
    elif (isinstance(mean, list | tuple) and not all(map(is_number, mean))) or (
        isinstance(mean, np.ndarray) and mean.ndim == 2
    ):
        names, means = tuple(range(1, len(mean) + 1)), list(mean)
    else:
        names = tuple(range(1, (periods or 1) + 1))
        means = [mean] * len(names)
    if not means or periods not in (None, len(means)):
        raise InputError(
            f"means of {len(means)} periods are given with periods={periods}; give one mean for "
            "each period, at least one"
        )
    return means, names


def _point(mean: Any, labels: Labels) -> Point:
    return Point(pd.Series(by_label(mean, labels, "mean"), index_of(labels)))


class Structure(ABC):
    """How the errors d_h of the means go together in time.

    Parameters
    ----------
    forecasts : Forecasts
    """

    def __init__(self, forecasts: Forecasts) -> None:
        self.forecasts = forecasts

    @abstractmethod
    def state(self, program: Program, w: list[Variable]) -> Any:
        """Π(w) = max −Σ_h d_h'w_h as a convex expression."""

    @abstractmethod
    def worst(self, w: FloatArray) -> FloatArray:
        """The errors that attain Π, (H, n)."""

    @abstractmethod
    def state_members(self, program: Program) -> list[Affine]:
        """Means μ̂_h + d_h with errors of this structure, n rows for each period."""

    def _deviating(self, program: Program, h: int, u: MeanSet, scale: Any = 1.0) -> Affine:
        """d ∈ scale · S, as an expression."""
        n = len(self.forecasts.labels)
        member = program.variable(program.free_name(f"mean_{h + 1}"), n, unit=_size(u))
        u.state_member(program, member, scale)
        center = u.center.to_numpy()
        moved = center * scale if np.isscalar(scale) else center[:, None] @ scale
        deviation: Affine = member - moved
        return deviation


class Rectangular(Structure):
    """Every period has an error of its own: Π = Σ_h π_h(w_h)."""

    def state(self, program: Program, w: list[Variable]) -> Any:
        sets = self.forecasts.by_period
        return reduce(add, (penalty(u, x) for u, x in zip(sets, w, strict=True)))

    def worst(self, w: FloatArray) -> FloatArray:
        return np.array([deviation(u, x) for u, x in zip(self.forecasts.by_period, w, strict=True)])

    def state_members(self, program: Program) -> list[Affine]:
        return [
            self._deviating(program, h, u) + self.forecasts.centers[h]
            for h, u in enumerate(self.forecasts.by_period)
        ]


class Common(Structure):
    """The error is the same in all periods: Π = π(Σ_h w_h)."""

    def __init__(self, forecasts: Forecasts) -> None:
        super().__init__(forecasts)
        if len(forecasts.sets) > 1:
            raise InputError(
                f"{len(forecasts.sets)} sets of means are given for one common error; give the "
                "means alone, and one set as errors="
            )

    def state(self, program: Program, w: list[Variable]) -> Any:
        return penalty(self.forecasts.sets[0], reduce(add, w))

    def worst(self, w: FloatArray) -> FloatArray:
        return np.tile(deviation(self.forecasts.sets[0], w.sum(axis=0)), (len(w), 1))

    def state_members(self, program: Program) -> list[Affine]:
        d = self._deviating(program, 0, self.forecasts.sets[0])
        return [d + center for center in self.forecasts.centers]


class Joint(Structure):
    """d_h = t_h s_h with ‖t‖₂ ≤ 1: Π = √(Σ_h π_h(w_h)²)."""

    def state(self, program: Program, w: list[Variable]) -> Any:
        penalties = [penalty(u, x) for u, x in zip(self.forecasts.by_period, w, strict=True)]
        if len(penalties) == 1:
            return penalties[0]
        parts = [self._bound(program, part) for part in penalties if not _is_nought(part)]
        return norm(stack(*parts)) if parts else 0.0

    def _bound(self, program: Program, part: Any) -> Affine:
        if isinstance(part, Affine):
            return part
        p = program.variable(program.free_name("penalty"), lower=0.0, unit=part.affine.magnitude)
        program.subject_to(**{program.free_name("penalty_bound"): p >= part})
        return p

    def worst(self, w: FloatArray) -> FloatArray:
        errors = np.array(
            [deviation(u, x) for u, x in zip(self.forecasts.by_period, w, strict=True)]
        )
        penalties = -(errors * w).sum(axis=1)
        size = float(np.linalg.norm(penalties))
        return errors * (penalties / size)[:, None] if size else 0.0 * errors

    def state_members(self, program: Program) -> list[Affine]:
        H = len(self.forecasts.periods)
        t = program.variable("share", H, lower=0.0)
        program.subject_to(shares=norm(t) <= 1.0)
        return [
            self._deviating(program, h, u, t[h]) + self.forecasts.centers[h]
            for h, u in enumerate(self.forecasts.by_period)
        ]


STRUCTURES: dict[str, type[Structure]] = {
    "rectangular": Rectangular,
    "common": Common,
    "joint": Joint,
}


def penalty(u: MeanSet, w: Affine) -> Any:
    """π(w) = max −d'w over d in a set less its centre, as an expression."""
    return u.support(-w) + u.center.to_numpy() @ w


def deviation(u: MeanSet, w: FloatArray) -> FloatArray:
    """The d that attains π(w)."""
    worst: FloatArray = u.worst(-w).to_numpy() - u.center.to_numpy()
    return worst


def _is_nought(expression: Any) -> bool:
    if not isinstance(expression, Affine):
        return False
    blocks = (block.data if sp.issparse(block) else block for block in expression.terms.values())
    return not any(np.any(block) for block in blocks)


def _size(u: MeanSet) -> float:
    return float(np.abs(u.center).max()) or 1.0
