"""Sets of means given by a norm: boxes and balls. The dual norm is the penalty."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    Vector,
    as_number,
    index_of,
    nonnegative,
    selection,
)
from rrp_pyomo.errors import InputError, brief
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, maximum, norm
from rrp_pyomo.uncertainty.mean_set import MeanSet
from rrp_pyomo.uncertainty.means.estimates import (
    Method,
    bootstrap_half_widths,
    normal_half_widths,
    observed,
    tail_level,
)
from rrp_pyomo.uncertainty.means.point import centered
from rrp_pyomo.uncertainty.means.signs import row_signs, weighted_absolute, without_sign


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Box(MeanSet):
    """U = {μ : |μ_i − μ̂_i| ≤ δ_i}, with σ(d) = μ̂'d + Σ δ_i|d_i|.

    Parameters
    ----------
    center : Series or (n,) array
        μ̂.
    half_width : float, Series, mapping or (n,) array
        δ ≥ 0.

    References
    ----------
    Tütüncü & Koenig (2004), Robust asset allocation.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import Box
    >>> means = Box([0.05, 0.03], half_width=[0.02, 0.005])
    >>> round(-means.support([-0.5, -0.5]), 4)
    0.0275
    >>> means.worst([-0.5, -0.5]).round(4).tolist()
    [0.03, 0.025]
    """

    labels: Labels
    _center: FloatArray
    _half_width: FloatArray

    def __init__(self, center: Vector, half_width: float | Vector | Mapping[Any, float]) -> None:
        labels, array = centered(center)
        widths = nonnegative(half_width, labels, "half_width")
        vars(self).update(labels=labels, _center=array, _half_width=widths)

    @classmethod
    def of_mean(
        cls,
        returns: Matrix,
        level: float,
        method: Method = "normal",
        *,
        joint: bool = True,
        draws: int = 1000,
        block: int | None = None,
        seed: int | np.random.Generator | None = 0,
    ) -> Self:
        """Confidence intervals of the means of T periods of returns.

        Parameters
        ----------
        returns : (T, n) DataFrame or array
            Decimals per period.
        level : float
            The probability, 0 ≤ level < 1, with which the box holds the true means.
        method : {"normal", "bootstrap"}
            "normal": Student's t-intervals of independent Gaussian returns, t_{T−1} · s_i/√T.
            "bootstrap": quantiles of the errors of resampled means, which need ``arch``.
        joint : bool
            Whether ``level`` is about all means together: normal intervals are then of the level
            1 − (1 − level)/n each (Bonferroni, whatever the correlations), resampled ones as many
            standard errors wide as the largest of them needs. Otherwise it is about each mean on
            its own, and the box holds all of them with a smaller probability.
        draws : int
            Resamples.
        block : int, optional
            The mean length of the blocks that are resampled where returns depend on the past
            (the stationary bootstrap); single periods by default.
        seed : int, Generator or None

        Raises
        ------
        InputError
            A level or a method that is none, fewer than two periods, ``arch`` not installed.
        """
        mean, values = observed(returns)
        level = tail_level(level)
        if method not in ("normal", "bootstrap"):
            raise InputError(f"method is {brief(method)}; expected 'normal' or 'bootstrap'")
        if level == 0.0:
            return cls(mean, 0.0)
        if method == "normal":
            return cls(mean, normal_half_widths(values, level, joint))
        draws = int(as_number(draws, "draws", least=1))
        block = None if block is None else int(as_number(block, "block", least=1))
        return cls(mean, bootstrap_half_widths(values, level, joint, draws, block, seed))

    @property
    def half_width(self) -> pd.Series:
        """δ by asset."""
        return self._labelled(self._half_width).rename("half_width")

    @property
    def formula(self) -> str:
        return r"\{\mu : |\mu_i - \hat\mu_i| \le \delta_i\}"

    @property
    def is_point(self) -> bool:
        return not self._half_width.any()

    @property
    def _reach(self) -> float:
        return float(self._half_width.max())

    def _penalty(self, d: Affine) -> Any:
        return weighted_absolute(d, self._half_width)

    def _worst(self, d: FloatArray) -> FloatArray:
        return self._center + self._half_width * np.sign(d)

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        return np.zeros_like(directions)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        deviation = u - self._center * scale
        program.subject_to(
            **{
                program.free_name("box_above"): deviation <= self._half_width * scale,
                program.free_name("box_below"): deviation >= -self._half_width * scale,
            }
        )

    def _excess(self, point: FloatArray) -> float:
        missed = np.abs(point - self._center) - self._half_width
        return float(missed.max()) / self._unit

    def scaled(self, factor: float) -> Box:
        return Box(self.center, as_number(factor, "factor", least=0.0) * self._half_width)

    def select(self, labels: Iterable[Hashable]) -> Box:
        at, chosen = selection(labels, self.labels)
        return Box(_some(self._center, at, chosen), self._half_width[at])


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Ball(MeanSet):
    """U = {μ : ‖μ − μ̂‖_p ≤ δ} with σ(d) = μ̂'d + δ‖d‖_q, 1/p + 1/q = 1.

    Parameters
    ----------
    center : Series or (n,) array
        μ̂.
    radius : float
        δ ≥ 0.
    norm : {2, 1, inf}
        p.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import Ball
    >>> means = Ball([0.05, 0.03], radius=0.01)

    The smallest mean return of half and half is 0.04 − 0.01‖w‖₂:

    >>> round(-means.support([-0.5, -0.5]), 4)
    0.0329
    >>> means.worst([-0.5, -0.5]).round(4).tolist()
    [0.0429, 0.0229]
    """

    labels: Labels
    _center: FloatArray
    radius: float
    norm: float

    def __init__(self, center: Vector, radius: float, norm: float = 2) -> None:
        labels, array = centered(center)
        if norm not in (1, 2, np.inf):
            raise InputError(f"norm is {brief(norm)}; expected 1, 2 or inf")
        radius = as_number(radius, "radius", least=0.0)
        vars(self).update(labels=labels, _center=array, radius=radius, norm=float(norm))

    @property
    def formula(self) -> str:
        p = {1.0: "1", 2.0: "2"}.get(self.norm, r"\infty")
        return rf"\{{\mu : \|\mu - \hat\mu\|_{p} \le {self.radius:.4g}\}}"

    def _numbers(self) -> dict[str, float]:
        return {"radius": self.radius, "norm": self.norm}

    @property
    def dual_norm(self) -> float:
        """q with 1/p + 1/q = 1."""
        return {1.0: np.inf, 2.0: 2.0}.get(self.norm, 1.0)

    @property
    def is_point(self) -> bool:
        return self.radius == 0.0

    @property
    def _reach(self) -> float:
        return self.radius

    def _penalty(self, d: Affine) -> Any:
        if self.norm == np.inf:
            return weighted_absolute(d, np.full(d.size, self.radius))
        if self.norm == 2.0:
            return self.radius * norm(without_sign(d))
        signs = row_signs(d)
        return self.radius * (norm(d, np.inf) if (signs == 0.0).any() else maximum(signs * d))

    def _support(self, d: FloatArray) -> float:
        return float(self._center @ d + self.radius * np.linalg.norm(d, self.dual_norm))

    def _worst(self, d: FloatArray) -> FloatArray:
        if self.norm == 2.0:
            size = np.linalg.norm(d)
            return self._center + self.radius * (d / size if size else d)
        if self.norm == np.inf:
            return self._center + self.radius * np.sign(d)
        largest = int(np.abs(d).argmax())
        point = self._center.copy()
        point[largest] += self.radius * np.sign(d[largest])
        return point

    def _has_ties(self, d: FloatArray) -> bool:
        return not self.is_point and (self.norm != 2.0 or not d.any())

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        if self.norm != 2.0:
            return np.zeros_like(directions)
        size = float(np.linalg.norm(d)) or 1.0
        across: FloatArray = directions - np.outer(d / size, (d / size) @ directions)
        return (self.radius / size) * across

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        name = program.free_name("ball")
        deviation = u - self._center * scale
        program.subject_to(**{name: norm(deviation, p=self.norm) <= self.radius * scale})

    def _excess(self, point: FloatArray) -> float:
        missed = np.linalg.norm(point - self._center, self.norm) - self.radius
        return float(missed) / self._unit

    def scaled(self, factor: float) -> Ball:
        factor = as_number(factor, "factor", least=0.0)
        return Ball(self.center, factor * self.radius, self.norm)

    def select(self, labels: Iterable[Hashable]) -> Ball:
        at, chosen = selection(labels, self.labels)
        return Ball(_some(self._center, at, chosen), self.radius, self.norm)


def _some(center: FloatArray, at: list[int], labels: Labels) -> pd.Series:
    return pd.Series(center[at], index_of(labels))
