"""Sets of means given by a norm: boxes, balls and ellipsoids. The dual norm is the penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.definite import psd_root, symmetric
from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    Vector,
    agreed_labels,
    as_floats,
    as_number,
    by_label,
    frozen,
    labels_of,
    require_shape,
)
from rrp_pyomo.errors import InputError, brief
from rrp_pyomo.linalg import FloatArray, Named, Stack
from rrp_pyomo.modeling import Affine, abs, norm
from rrp_pyomo.uncertainty.base import MeanSet
from rrp_pyomo.uncertainty.means.point import centered


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
    """

    labels: Labels
    _center: FloatArray
    _half_width: FloatArray

    def __init__(self, center: Vector, half_width: float | Vector | Mapping[Any, float]) -> None:
        labels, array = centered(center)
        widths = nonnegative(half_width, labels, "half_width")
        vars(self).update(labels=labels, _center=array, _half_width=widths)

    @property
    def half_width(self) -> pd.Series:
        """δ by asset."""
        return self._labelled(self._half_width).rename("half_width")

    @property
    def formula(self) -> str:
        return r"\{\mu : |\mu_i - \hat\mu_i| \le \delta_i\}"

    def _expression(self, d: Affine) -> Any:
        nominal = self._center @ d
        if not self._half_width.any():
            return nominal
        at_risk = np.flatnonzero(self._half_width)
        if _sign(d):
            return nominal + (_sign(d) * self._half_width) @ d
        if at_risk.size < d.size:
            d = d[[d.labels[i] for i in at_risk]] if d.labels else d[list(at_risk)]
        return nominal + self._half_width[at_risk] @ abs(d)

    def _worst(self, d: FloatArray) -> FloatArray:
        return self._center + self._half_width * np.sign(d)

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
        return float(missed.max() / _size(self._half_width, self._center))


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

    def _expression(self, d: Affine) -> Any:
        nominal = self._center @ d
        return nominal + self.radius * norm(d, p=self.dual_norm) if self.radius else nominal

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

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        name = program.free_name("ball")
        deviation = u - self._center * scale
        program.subject_to(**{name: norm(deviation, p=self.norm) <= self.radius * scale})

    def _excess(self, point: FloatArray) -> float:
        missed = np.linalg.norm(point - self._center, self.norm) - self.radius
        return float(missed / _size(np.array([self.radius]), self._center))


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Ellipsoid(MeanSet):
    """U = {μ̂ + κR'u : ‖u‖₂ ≤ 1} with R'R = Ω, and σ(d) = μ̂'d + κ√(d'Ωd).

    For Ω ≻ 0 these are the μ with (μ − μ̂)'Ω⁻¹(μ − μ̂) ≤ κ²; a singular Ω is a flat ellipsoid.

    Parameters
    ----------
    center : Series or (n,) array
        μ̂.
    shape : Covariance, (n, n) DataFrame or array
        Ω, positive semidefinite: Σ/T for the error of a mean. A factored one stays factored.
    radius : float
        κ ≥ 0.
    root : (k, n) array, optional
        R in place of Ω.

    Raises
    ------
    InputError
        Both a shape and a root or neither, a shape that is not positive semidefinite, a negative
        radius, labels that do not fit.

    References
    ----------
    Ben-Tal & Nemirovski (1998), Robust convex optimization; Ceria & Stubbs (2006).
    """

    labels: Labels
    _center: FloatArray
    radius: float
    _root: FloatArray | Stack

    def __init__(
        self,
        center: Vector,
        shape: Covariance | Matrix | None = None,
        radius: float = 1.0,
        *,
        root: Matrix | Stack | None = None,
    ) -> None:
        labels, array = centered(center)
        if (shape is None) == (root is None):
            given = "neither" if shape is None else "both"
            raise InputError(f"an Ellipsoid takes a shape or a root, {given} is given; give one")
        found = _root_of(shape, labels) if root is None else _given_root(root, labels)
        radius = as_number(radius, "radius", least=0.0)
        vars(self).update(labels=labels, _center=array, radius=radius, _root=found)

    @property
    def formula(self) -> str:
        return (
            r"\{\mu : (\mu - \hat\mu)^\top \Omega^{-1} (\mu - \hat\mu) \le "
            rf"{self.radius:.4g}^2\}}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"radius": self.radius}

    @property
    def root(self) -> FloatArray | Stack:
        """R with R'R = Ω."""
        return self._root

    def _expression(self, d: Affine) -> Any:
        nominal = self._center @ d
        return nominal + self.radius * norm(Named("R", self._root) @ d) if self.radius else nominal

    def _support(self, d: FloatArray) -> float:
        return float(self._center @ d + self.radius * np.linalg.norm(self._root @ d))

    def _worst(self, d: FloatArray) -> FloatArray:
        exposure = self._root @ d
        size = np.linalg.norm(exposure)
        if not size:
            return self._center
        return self._center + (self.radius / size) * transposed_product(self._root, exposure)

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        R = self._root.toarray() if isinstance(self._root, Stack) else self._root
        y = program.variable(program.free_name("ellipsoid_direction"), len(R))
        program.subject_to(
            **{
                program.free_name("ellipsoid"): norm(y) <= 1.0 * scale,
                program.free_name("ellipsoid_member"): u
                == self._center * scale + (self.radius * R.T) @ y,
            }
        )

    def _excess(self, point: FloatArray) -> float:
        R = self._root.toarray() if isinstance(self._root, Stack) else self._root
        deviation = point - self._center
        u, *_ = np.linalg.lstsq(self.radius * R.T, deviation, rcond=None)
        missed = np.linalg.norm(deviation - self.radius * (R.T @ u))
        outside = float(missed) / _size(self.radius * R, self._center)
        return max(float(np.linalg.norm(u)) - 1.0, outside)


def transposed_product(root: FloatArray | Stack, y: FloatArray) -> FloatArray:
    """R'y for a root that may be factored."""
    if not isinstance(root, Stack):
        return root.T @ y
    ends = np.cumsum([part.shape[0] for part in root.parts])
    total = np.zeros(root.shape[1])
    for part, piece in zip(root.parts, np.split(y, ends[:-1]), strict=True):
        if isinstance(part, np.ndarray):
            total += part.T @ piece
            continue
        if part.diagonal is not None:
            total += part.diagonal * piece
        for factor in part.factors:
            total += factor.right.T @ (factor.left.T @ piece)
    return total


def nonnegative(given: Any, labels: Labels, name: str) -> FloatArray:
    """A number of at least 0 for each asset; one number stands for all."""
    if isinstance(given, Mapping | pd.Series) or np.ndim(given) > 0:
        array = by_label(given, labels, name)
    else:
        array = np.full(len(labels), as_number(given, name))
    if array.min() < 0.0:
        i = int(array.argmin())
        raise InputError(f"{name} of {str(labels[i])!r} is {array[i]:.6g}; expected at least 0")
    return frozen(array)


def _sign(d: Affine) -> float:
    """1 or −1 where every row is a multiple of a variable with a bound that says so, else 0."""
    from rrp_pyomo.realise.lowering import is_multiple

    if not is_multiple(d):
        return 0.0
    ((variable, block),) = d.terms.items()
    low, high = np.asarray(variable.lower), np.asarray(variable.upper)
    own = 1.0 if np.all(low >= 0.0) else -1.0 if np.all(high <= 0.0) else 0.0
    given = 1.0 if np.all(block >= 0.0) else -1.0 if np.all(block <= 0.0) else 0.0
    return own * given


def _root_of(shape: Any, labels: Labels) -> FloatArray | Stack:
    if isinstance(shape, Covariance):
        agreed_labels("asset", len(labels), center=labels, shape=shape.labels)
        return shape.root
    matrix = as_floats(shape, "shape", 2)
    n = len(labels)
    require_shape(matrix, (n, n), "shape", f"{n} assets")
    agreed_labels("asset", n, center=labels, shape=labels_of(shape), columns=labels_of(shape, 1))
    matrix = symmetric(matrix, labels, "shape")
    return psd_root(matrix, "shape") if matrix.any() else np.zeros((1, n))


def _given_root(root: Any, labels: Labels) -> FloatArray | Stack:
    if isinstance(root, Stack):
        return root
    matrix = as_floats(root, "root", 2)
    agreed_labels("asset", matrix.shape[1], center=labels, root=labels_of(root, 1))
    return frozen(matrix)


def _size(widths: FloatArray, center: FloatArray) -> float:
    return float(np.abs(widths).max()) or float(np.abs(center).max()) or 1.0
