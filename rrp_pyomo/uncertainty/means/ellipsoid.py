"""Ellipsoids of means: the joint error of estimates."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import stats

from rrp_pyomo.data import Covariance, DenseCovariance, FactorModel
from rrp_pyomo.data.definite import psd_root, symmetric
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
    positions,
    require_finite,
    require_shape,
    selection,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import Factor, FloatArray, LinearMap, Named, Stack
from rrp_pyomo.modeling import Affine, norm
from rrp_pyomo.uncertainty.mean_set import MeanSet
from rrp_pyomo.uncertainty.means.estimates import observed, tail_level
from rrp_pyomo.uncertainty.means.point import centered
from rrp_pyomo.uncertainty.means.signs import without_sign

Root = FloatArray | Stack


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Ellipsoid(MeanSet):
    """U = {μ̂ + κR'u : ‖u‖₂ ≤ 1} with R'R = Ω, and σ(d) = μ̂'d + κ√(d'Ωd).

    For Ω ≻ 0 these are the μ with (μ − μ̂)'Ω⁻¹(μ − μ̂) ≤ κ²; a singular Ω is a flat ellipsoid.
    Where Ωd = 0 every element attains σ(d), and the centre is the worst one.

    Parameters
    ----------
    center : Series or (n,) array
        μ̂.
    shape : Covariance, (n, n) DataFrame or array
        Ω, positive semidefinite: Σ/T for the error of a mean. A factored one stays factored.
    radius : float
        κ ≥ 0.
    root : (k, n) DataFrame, array or factored root, optional
        R in place of Ω.
    zero_net : bool
        Only the deviations with 1'(μ − μ̂) = 0, a part of the uncertainty being common to all
        assets and of no consequence for a fully invested portfolio: again an ellipsoid, with
        Ω − Ω11'Ω/(1'Ω1) (Ceria & Stubbs 2006).

    Raises
    ------
    InputError
        Both a shape and a root or neither, a shape that is not positive semidefinite, a negative
        radius, labels that do not fit.

    References
    ----------
    Ben-Tal & Nemirovski (1998), Robust convex optimization; Ceria & Stubbs (2006), Incorporating
    estimation errors into portfolio selection.

    Examples
    --------
    The shape is the covariance of the error of the mean, Σ/T:

    >>> import numpy as np
    >>> from rrp_pyomo.uncertainty import Ellipsoid
    >>> means = Ellipsoid([0.05, 0.03], np.diag([0.04, 0.01]) / 100, radius=2.0)
    >>> round(-means.support([-0.5, -0.5]), 4)
    0.0176
    >>> means.worst([-0.5, -0.5]).round(4).tolist()
    [0.0142, 0.0211]
    """

    labels: Labels
    _center: FloatArray
    radius: float
    zero_net: bool
    _root: Root
    _whole_root: Root

    def __init__(
        self,
        center: Vector,
        shape: Covariance | Matrix | None = None,
        radius: float = 1.0,
        *,
        root: Matrix | Stack | None = None,
        zero_net: bool = False,
    ) -> None:
        labels, array = centered(center)
        if (shape is None) == (root is None):
            raise InputError(
                f"an Ellipsoid takes a shape or a root, and {'neither' if root is None else 'both'}"
                " is given; give one of the two"
            )
        whole = _root_of(shape, labels) if root is None else _given_root(root, labels)
        radius = as_number(radius, "radius", least=0.0)
        vars(self).update(
            labels=labels,
            _center=array,
            radius=radius,
            zero_net=bool(zero_net),
            _root=_zero_net_root(whole) if zero_net else whole,
            _whole_root=whole,
        )

    @classmethod
    def of_mean(
        cls,
        returns: Matrix,
        level: float,
        covariance: Covariance | FactorModel | Matrix | None = None,
        zero_net: bool = False,
    ) -> Self:
        """The confidence region of the mean of T independent Gaussian returns.

        It holds the true mean vector, all assets together, with probability ``level``:

            (μ − μ̂)'(Σ/T)⁻¹(μ − μ̂) ≤ χ²_n(level)                          Σ given
            (μ − μ̂)'(S/T)⁻¹(μ − μ̂) ≤ n(T−1)/(T−n) F_{n,T−n}(level)       S estimated (Hotelling)

        Parameters
        ----------
        returns : (T, n) DataFrame or array
            Decimals per period.
        level : float
            0 ≤ level < 1.
        covariance : Covariance, FactorModel, DataFrame or array, optional
            Σ, taken as known; that of a factor model stays factored. Without it the sample's own.
        zero_net : bool
            As for the class.

        Raises
        ------
        InputError
            Fewer than n + 1 periods where no covariance is given, a level that is none.

        References
        ----------
        Anderson (2003), An introduction to multivariate statistical analysis, section 5.2.
        """
        mean, values = observed(returns)
        level = tail_level(level)
        periods, n = values.shape
        if covariance is None:
            if periods <= n:
                raise InputError(
                    f"{periods} periods are too few to estimate the covariance of {n} means; give "
                    "the covariance, such as FactorModel.fit(returns, factors)"
                )
            known: Any = DenseCovariance(np.atleast_2d(np.cov(values.T)), labels_of(mean))
            quantile = stats.f.ppf(level, n, periods - n) * n * (periods - 1) / (periods - n)
        else:
            known = covariance.covariance if isinstance(covariance, FactorModel) else covariance
            known = known if isinstance(known, Covariance) else DenseCovariance(known)
            quantile = stats.chi2.ppf(level, n)
        root = _ordered(known, labels_of(mean), "returns").root / np.sqrt(periods)
        return cls(mean, root=root, radius=float(np.sqrt(quantile)), zero_net=zero_net)

    @property
    def formula(self) -> str:
        net = r",\ \mathbf{1}^\top (\mu - \hat\mu) = 0" if self.zero_net else ""
        return (
            r"\{\mu : (\mu - \hat\mu)^\top \Omega^{-1} (\mu - \hat\mu) \le "
            rf"{self.radius:.4g}^2{net}\}}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"radius": self.radius}

    @property
    def root(self) -> Root:
        """R with R'R = Ω, that of the set's own Ω where the deviations' net is 0."""
        return self._root

    @cached_property
    def is_point(self) -> bool:
        return self.radius == 0.0 or self._reach == 0.0

    @cached_property
    def _reach(self) -> float:
        return self.radius * float(_column_lengths(self._whole_root).max())

    def _penalty(self, d: Affine) -> Any:
        return self.radius * norm(Named("R", self._root) @ without_sign(d))

    def _support(self, d: FloatArray) -> float:
        return float(self._center @ d + self.radius * np.linalg.norm(self._root @ d))

    def _worst(self, d: FloatArray) -> FloatArray:
        exposure = self._root @ d
        size = np.linalg.norm(exposure)
        if not size:
            return self._center
        worst: FloatArray = self._center + (self.radius / size) * transposed_product(
            self._root, exposure
        )
        return worst

    def _has_ties(self, d: FloatArray) -> bool:
        return not (self.is_point or (self._root @ d).any())

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        exposure, changes = self._root @ d, self._root @ directions
        size = float(np.linalg.norm(exposure)) or 1.0
        across = changes - np.outer(exposure / size, (exposure / size) @ changes)
        moved: FloatArray = (self.radius / size) * transposed_product(self._root, across)
        return moved

    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        y = program.variable(program.free_name("ellipsoid_direction"), self._root.shape[0])
        member = u == self._center * scale + self.radius * transposed_product(self._root, y)
        program.subject_to(**{program.free_name("ellipsoid"): norm(y) <= 1.0 * scale})
        program.subject_to(**{program.free_name("ellipsoid_member"): member})

    def _excess(self, point: FloatArray) -> float:
        deviation = point - self._center
        net = np.abs(deviation.sum()) / self.size / self._unit if self.zero_net else 0.0
        if self.is_point:
            return float(np.abs(deviation).max()) / self._unit
        length, missed = _preimage(self._whole_root, deviation / self.radius)
        outside = max(net, missed * self.radius / self._unit)
        return length - 1.0 if outside < 1e-12 else max(length - 1.0, outside)

    def scaled(self, factor: float) -> Ellipsoid:
        radius = as_number(factor, "factor", least=0.0) * self.radius
        return Ellipsoid(self.center, None, radius, root=self._whole_root, zero_net=self.zero_net)

    def select(self, labels: Iterable[Hashable]) -> Ellipsoid:
        """The ellipsoid of some of the assets, with their part of Ω."""
        at, chosen = selection(labels, self.labels)
        center = pd.Series(self._center[at], index_of(chosen))
        root = self._root
        part = root[:, at] if isinstance(root, np.ndarray) else _columns(root, at)
        return Ellipsoid(center, None, self.radius, root=part)


def transposed_product(root: Root, y: Any) -> Any:
    """R'y of numbers or of an expression, for a root that may be factored."""
    if not isinstance(root, Stack):
        return root.T @ y
    start, products = 0, []
    for part in root.parts:
        piece = y[start : start + part.shape[0]]
        start += part.shape[0]
        if isinstance(part, np.ndarray):
            products.append(part.T @ piece)
            continue
        if part.diagonal is not None:
            columns = isinstance(piece, np.ndarray) and piece.ndim > 1  # or an expression
            diagonal = part.diagonal[:, None] if columns else part.diagonal
            products.append(diagonal * piece)
        products += [factor.right.T @ (factor.left.T @ piece) for factor in part.factors]
    return reduce(lambda a, b: a + b, products)


def _zero_net_root(root: Root) -> Root:
    """R(I − a1')' with a = Ω1/(1'Ω1), whose square is Ω − Ω11'Ω/(1'Ω1)."""
    v = root @ np.ones(root.shape[1])
    if not v.any():
        return root
    a = transposed_product(root, v) / (v @ v)
    if isinstance(root, np.ndarray):
        return frozen(root - np.outer(v, a))
    ends = np.cumsum([part.shape[0] for part in root.parts])[:-1]
    pieces = zip(root.parts, np.split(v, ends), strict=True)
    return Stack(tuple(_less_product(part, piece, a[None, :]) for part, piece in pieces))


def _less_product(part: LinearMap | FloatArray, v: FloatArray, a: FloatArray) -> Any:
    if isinstance(part, np.ndarray):
        return part - v[:, None] @ a
    net = Factor(-v[:, None], a, "net", ("net",))
    return LinearMap((*part.factors, net), part.diagonal)


def _columns(root: Stack, at: list[int]) -> Root:
    """Some columns of a factored root; a diagonal keeps the rows of these columns only."""
    parts: list[LinearMap | FloatArray] = []
    for part in root.parts:
        if isinstance(part, LinearMap) and part.diagonal is None:
            cut = (Factor(f.left, f.right[:, at], f.name, f.labels) for f in part.factors)
            parts.append(LinearMap(tuple(cut)))
        elif isinstance(part, LinearMap) and not part.factors:
            parts.append(LinearMap(diagonal=part.diagonal[at]))  # type: ignore[index]
        else:
            return root.toarray()[:, at]
    return Stack(tuple(parts))


def _multiplied(factors: tuple[Factor, ...]) -> FloatArray:
    product: FloatArray = np.sum([f.left @ f.right for f in factors], axis=0)
    return product


def _column_lengths(root: Root) -> FloatArray:
    """√Ω_ii."""
    parts = root.parts if isinstance(root, Stack) else (root,)
    lengths: FloatArray = np.sqrt(np.sum([_squared_lengths(part) for part in parts], axis=0))
    return lengths


def _squared_lengths(part: LinearMap | FloatArray) -> FloatArray:
    """Of the columns of diag(d) + LR: d² + 2d(LR)_jj + R_j'(L'L)R_j; 0 for what rounding leaves."""
    if isinstance(part, np.ndarray):
        squares: FloatArray = (part**2).sum(axis=0)
        return squares
    d = np.zeros(part.shape[1]) if part.diagonal is None else part.diagonal
    if not part.factors:
        return d**2
    L = np.hstack([factor.left for factor in part.factors])
    R = np.vstack([factor.right for factor in part.factors])
    alone: FloatArray = d**2 + ((L.T @ L) @ R * R).sum(axis=0)
    squares = alone + (2.0 * d * (L * R.T).sum(axis=1) if d.any() else 0.0)
    squares[squares <= 1e-14 * alone] = 0.0
    return squares


def _preimage(root: Root, deviation: FloatArray) -> tuple[float, float]:
    """‖u‖ of the shortest u whose R'u is nearest to a deviation, and by how much that misses it."""
    split = _diagonal_and_rest(root)
    if split is None:
        R = root.toarray() if isinstance(root, Stack) else root
        u, *_ = np.linalg.lstsq(R.T, deviation, rcond=None)
        return float(np.linalg.norm(u)), float(np.linalg.norm(R.T @ u - deviation))
    variances, G = split
    # d'(D + G'G)⁻¹d by the inverse of the small matrix I + GD⁻¹G'.
    scaled = deviation / variances
    small = np.eye(len(G)) + (G / variances) @ G.T
    exposure = G @ scaled
    square = float(deviation @ scaled - exposure @ np.linalg.solve(small, exposure))
    return max(square, 0.0) ** 0.5, 0.0


def _diagonal_and_rest(root: Root) -> tuple[FloatArray, FloatArray] | None:
    """D > 0 and G with Ω = D + G'G and few rows in G, where a root is factored like that."""
    if not isinstance(root, Stack):
        return None
    variances, rows = np.zeros(root.shape[1]), []
    for part in root.parts:
        if not isinstance(part, LinearMap) or (part.diagonal is not None and part.factors):
            return None
        if part.diagonal is not None:
            variances += part.diagonal**2
        else:
            rows.append(_multiplied(part.factors))
    if not variances.min() > 0.0:
        return None
    return variances, np.vstack(rows) if rows else np.zeros((0, variances.size))


def _root_of(shape: Any, labels: Labels) -> Root:
    if isinstance(shape, Covariance):
        root = _ordered(shape, labels, "center").root
        return root if isinstance(root, Stack) else frozen(root)
    matrix = as_floats(shape, "shape", 2)
    n = len(labels)
    require_shape(matrix, (n, n), "shape", f"{n} assets")
    agreed_labels("asset", n, center=labels, shape=labels_of(shape), columns=labels_of(shape, 1))
    matrix = symmetric(matrix, labels, "shape")
    return frozen(psd_root(matrix, "shape") if matrix.any() else np.zeros((1, n)))


def _ordered(covariance: Covariance, labels: Any, name: str) -> Covariance:
    """A covariance in the order of these assets."""
    if set(covariance.labels) == set(labels):
        return covariance if covariance.labels == tuple(labels) else covariance.select(labels)
    agreed_labels("asset", len(labels), **{name: labels, "covariance": covariance.labels})
    return covariance


def _given_root(root: Any, labels: Labels) -> Root:
    if isinstance(root, Stack):
        if root.shape[1] != len(labels):
            raise InputError(f"root has {root.shape[1]} columns; expected {len(labels)} assets")
        return root
    matrix = as_floats(root, "root", 2)
    if isinstance(root, pd.DataFrame):
        columns = agreed_labels("asset", matrix.shape[1], root=root.columns)
        order = positions(labels, columns)
        agreed_labels("asset", len(columns), center=labels, root=[columns[k] for k in order])
        matrix = matrix[:, order]
    require_shape(matrix, (len(matrix), len(labels)), "root", f"{len(labels)} assets")
    require_finite(matrix, "root", range(len(matrix)), labels)
    return frozen(matrix)
