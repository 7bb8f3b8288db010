"""Ellipsoids of covariances: errors of the entries, correlated or not."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.data.validation import (
    Matrix,
    Vector,
    as_floats,
    as_number,
    require_finite,
    require_shape,
    selection,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, norm, square
from rrp_pyomo.program import Program
from rrp_pyomo.uncertainty.covariance_set import Choice
from rrp_pyomo.uncertainty.covariances.expressions import variance_by_root
from rrp_pyomo.uncertainty.covariances.matrices import as_covariance, as_symmetric
from rrp_pyomo.uncertainty.covariances.semidefinite import SemidefiniteSet


def _thin(matrix: FloatArray) -> Any:
    """The matrix without its zeros where most of it is zero, as for independent errors."""
    return sp.csr_array(matrix) if np.count_nonzero(matrix) < 0.2 * matrix.size else matrix


# What entries of the centre's size are rounded by, and its errors cannot tell.
_ROUNDING = 1e-14


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ElementwiseError(SemidefiniteSet):
    """U = {Σ ⪰ 0 : ‖(Σ − Σ̂) / S‖_F ≤ δ}, an error of its own for each entry.

    The norm is over all n² entries, so that covariances count twice; where S_ij = 0 the entry is
    known. Where S∘S is psd,

        v(w) = w'Σ̂w + δ √(q'(S∘S)q),   q_i ≥ w_i²

    is exact, n rotated cones and two second-order ones, because the worst entries
    Σ̂ + δ (S∘S∘ww')/‖S∘ww'‖_F are psd by Schur's product theorem. It is so for the standard errors
    of normal returns, :meth:`from_observations`. For other S the linear matrix inequality is taken.

    Parameters
    ----------
    center : Covariance, (n, n) DataFrame or array
        Σ̂, per-period variances.
    scale : (n, n) DataFrame or array
        S ≥ 0, symmetric, in units of variance.
    radius : float
        δ ≥ 0.

    Raises
    ------
    InputError
        A negative radius or error, labels or shapes that do not fit, a centre that
        :class:`~rrp_pyomo.DenseCovariance` refuses.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import ElementwiseError
    >>> given = ElementwiseError.from_observations([[0.04, 0.0], [0.0, 0.01]], 61, radius=2.0)
    >>> given.scale.round(4).to_numpy().tolist()
    [[0.0073, 0.0026], [0.0026, 0.0018]]
    >>> round(given.variance([0.5, 0.5]), 4)
    0.0167
    """

    center: Covariance
    radius: float
    _errors: FloatArray

    def __init__(
        self, center: Covariance | Matrix, scale: Covariance | Matrix, radius: float
    ) -> None:
        nominal = as_covariance(center)
        errors = as_symmetric(scale, nominal.labels, "scale")
        if errors.min() < 0.0:
            raise InputError(f"an error of scale is {errors.min():.6g}; expected at least 0")
        radius = as_number(radius, "radius", least=0.0)
        vars(self).update(center=nominal, radius=radius, _errors=errors)

    @classmethod
    def from_observations(
        cls, center: Covariance | Matrix, observations: float, radius: float
    ) -> ElementwiseError:
        """The standard errors S_ij = √((Σ̂_ii Σ̂_jj + Σ̂_ij²)/(T − 1)) of normal returns.

        Parameters
        ----------
        center : Covariance, (n, n) DataFrame or array
        observations : int
            T ≥ 2.
        radius : float
            δ ≥ 0, in standard errors.

        References
        ----------
        Anderson (2003), An Introduction to Multivariate Statistical Analysis, section 3.4.
        """
        nominal = as_covariance(center)
        T = as_number(observations, "observations", least=2.0)
        entries, variances = multiplied_out(nominal.operator), nominal.variances
        errors = np.sqrt((np.outer(variances, variances) + entries**2) / (T - 1.0))
        return cls(nominal, errors, radius)

    @property
    def scale(self) -> Any:
        """S with labels, shape (n, n)."""
        return self.center.matrix() * 0.0 + self._errors

    @property
    def formula(self) -> str:
        return (
            r"\{\Sigma \succeq 0 : \|(\Sigma - \hat\Sigma) / S\|_F \le "
            f"{self.radius:.4g}" + r"\}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"radius": self.radius}

    @property
    def is_point(self) -> bool:
        return self.radius == 0.0 or not self._errors.any()

    @property
    def is_second_order(self) -> bool:
        """Whether S∘S is psd, so that v takes second-order cones only."""
        return self._squared_root is not None

    @cached_property
    def _squared_root(self) -> FloatArray | None:
        """K with K'K = S∘S; None where that is not psd."""
        values, vectors = np.linalg.eigh(self._errors**2)
        if values[0] < -1e-12 * values[-1]:
            return None
        kept = values > values.size * np.finfo(float).eps * values[-1]
        root: FloatArray = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
        return root

    def _variance_expression(self, w: Affine, h: Any) -> Any:
        if self.is_point or self._squared_root is None:
            return super()._variance_expression(w, h)
        program = w.program
        unit = w.magnitude
        head = h.magnitude if isinstance(h, Affine) else 1.0
        x, h_1 = w * (1.0 / unit), h * (1.0 / head)
        q = program.variable(program.free_name("squared_weight"), w.labels or w.size, lower=0.0)

        def best(point: FloatArray) -> FloatArray:
            divisor = float(h_1.value(point)[0]) if isinstance(h_1, Affine) else h_1
            squares: FloatArray = x.value(point) ** 2 / (divisor or 1.0)
            return squares

        program.definitions.append((q, best))
        bound = q if not isinstance(h_1, Affine) else q * h_1
        program.subject_to(**{program.free_name("squares"): bound >= square(x)})
        K = Named("error_root", self._squared_root)
        nominal = variance_by_root(self.center.root, w, h)
        return nominal + (self.radius * unit**2 / head) * norm(K @ q)

    def _state_worst(self, program: Program, w: FloatArray) -> Choice | None:
        # The set is strictly convex where every entry has an error, and has one worst element.
        if self.is_second_order or (self._errors > 0.0).all():
            return None
        return super()._state_worst(program, w)

    def _marginal_changes(self, w: FloatArray, directions: FloatArray) -> FloatArray:
        if not self.is_second_order:
            return super()._marginal_changes(w, directions)
        nominal = self.center.operator @ directions
        squares = self._errors**2
        spread = squares @ w**2
        size = float(np.sqrt(w**2 @ spread))
        if not size * self.radius:
            return nominal
        moved = squares @ (2.0 * w[:, None] * directions)
        total = spread[:, None] * directions + w[:, None] * moved
        total -= np.outer(w * spread, w**2 @ moved) / size**2
        changes: FloatArray = nominal + (self.radius / size) * total
        return changes

    # --- the entries ----------------------------------------------------------------------------

    def _triangular(self, scale: FloatArray) -> FloatArray:
        """The errors by upper triangle, times √2 off the diagonal, over the scale."""
        triangle = self._triangle
        return triangle.of(self._errors) * np.sqrt(triangle.multiplicity) / scale

    def _entries_support(self, W: Affine, scale: FloatArray) -> Any:
        triangle = self._triangle
        nominal = triangle.multiplicity * triangle.of(self._nominal) / scale
        errors = self._triangular(scale)
        known = np.flatnonzero(errors)
        return nominal @ W + self.radius * norm(W[known] * errors[known])

    def _state_entries(self, program: Program, scale: FloatArray) -> Affine:
        triangle = self._triangle
        u = program.variable(program.free_name("u"), triangle.count)
        program.subject_to(**{program.free_name("ball"): norm(u) <= self.radius})
        errors = triangle.of(self._errors) / np.sqrt(triangle.multiplicity) / scale
        entries: Affine = u * errors + triangle.of(self._nominal) / scale
        return entries

    def _loosest(self, w: FloatArray) -> FloatArray:
        change = self._errors**2 * np.outer(w, w)
        size = float(np.linalg.norm(self._errors * np.outer(w, w)))
        return self._nominal + change * (self.radius / size) if size else self._nominal

    def _in_errors(self, matrix: FloatArray) -> float:
        """‖matrix / S‖_F over the entries that have an error."""
        known = self._errors == 0.0
        multiples = np.divide(matrix, self._errors, where=~known, out=np.zeros_like(matrix))
        return float(np.linalg.norm(multiples))

    def _drawn_in(self, entries: FloatArray) -> FloatArray:
        change = np.where(self._errors == 0.0, 0.0, entries - self._nominal)
        return self._nominal + change / max(1.0, self._in_errors(change) / (self.radius or 1.0))

    def _excess(self, entries: FloatArray) -> float:
        change, known = entries - self._nominal, self._errors == 0.0
        over = self._in_errors(change) - self.radius - _ROUNDING * self._in_errors(self._nominal)
        wrong = np.abs(change[known] / np.outer(self._deviations, self._deviations)[known])
        return max(0.0, over / (self.radius or 1.0), float(wrong.max(initial=0.0)))

    def _deviation(self, rng: np.random.Generator) -> FloatArray:
        u = rng.standard_normal((self.size, self.size))
        u = u + u.T
        return self.radius / np.linalg.norm(u) * self._errors * u

    def select(self, labels: Iterable[Hashable]) -> ElementwiseError:
        """The set of the covariances of some of the assets."""
        at, chosen = selection(labels, self.labels)
        return ElementwiseError(
            self.center.select(chosen), self._errors[np.ix_(at, at)], self.radius
        )

    def scaled(self, factor: float) -> ElementwiseError:
        """The set with ``factor`` times the radius."""
        return ElementwiseError(self.center, self._errors, factor * self.radius)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class CovarianceEllipsoid(SemidefiniteSet):
    """U = {Σ ⪰ 0 : vec Σ = vec Σ̂ + δR'u, ‖u‖₂ ≤ 1}, R'R = Ω the shape of vec Σ's errors.

        v(w) = min {⟨W, Σ̂⟩ + δ √(vec(W)'Ω vec(W)) : W ⪰ ww'}

    a linear matrix inequality of order n + 1 beside one second-order cone, which only conic solvers
    take. For Ω ≻ 0 on symmetric matrices these are the psd Σ with
    (vec Σ − vec Σ̂)'Ω⁻(vec Σ − vec Σ̂) ≤ δ². As Σ is symmetric, Ω acts by its part that swaps the
    two entries of a covariance, ¼(I + K)Ω(I + K): it is singular, and no inverse root is taken.

    For Ω = I take :class:`FrobeniusBall`, for the errors of a sample covariance
    :class:`SamplingError`, for a diagonal Ω :class:`ElementwiseError`: they need no inequality, or
    fewer cones.

    Parameters
    ----------
    center : Covariance, (n, n) DataFrame or array
        Σ̂, per-period variances.
    shape : (n², n²) DataFrame or array
        Ω, positive semidefinite, of variances squared: of vec Σ, column after column in the order
        of the centre's assets.
    radius : float
        δ ≥ 0.

    Raises
    ------
    InputError
        A negative radius, a shape of another size, not symmetric or not positive semidefinite.

    References
    ----------
    Lobo & Boyd (2000), The worst-case risk of a portfolio.

    Examples
    --------
    With Ω = I it is the Frobenius ball:

    >>> import numpy as np
    >>> from rrp_pyomo.uncertainty import CovarianceEllipsoid, FrobeniusBall
    >>> center = [[0.04, 0.0], [0.0, 0.01]]
    >>> general = CovarianceEllipsoid(center, np.eye(4), radius=0.002)
    >>> ball = FrobeniusBall(center, radius=0.002)
    >>> round(general.variance([0.5, 0.5]), 4), round(ball.variance([0.5, 0.5]), 4)
    (0.0135, 0.0135)
    """

    center: Covariance
    radius: float
    _shape: FloatArray

    def __init__(self, center: Covariance | Matrix, shape: Vector | Matrix, radius: float) -> None:
        nominal = as_covariance(center)
        n = nominal.size
        given = as_floats(shape, "shape", 2)
        require_shape(given, (n * n, n * n), "shape", f"the entries of vec Σ of {n} assets")
        require_finite(given, "shape", range(n * n), range(n * n))
        if np.abs(given - given.T).max() > 1e-9 * np.abs(given).max():
            raise InputError("shape is not symmetric; pass (S + S.T) / 2 to average its halves")
        radius = as_number(radius, "radius", least=0.0)
        vars(self).update(center=nominal, radius=radius)
        vars(self).update(_shape=self._compressed(given))
        assert self._root is not None

    def _compressed(self, shape: FloatArray) -> FloatArray:
        """E'ΩE, which acts on the upper triangle of a symmetric matrix."""
        E = self._triangle.expansion(self.size)
        half = E.T @ shape
        whole: FloatArray = E.T @ half.T
        return 0.5 * (whole + whole.T)

    @property
    def formula(self) -> str:
        return (
            r"\{\Sigma \succeq 0 : \mathrm{vec}\,\Sigma = \mathrm{vec}\,\hat\Sigma + "
            f"{self.radius:.4g}" + r"\,\Omega^{1/2} u,\ \|u\|_2 \le 1\}"
        )

    def _numbers(self) -> dict[str, float]:
        return {"radius": self.radius}

    @property
    def is_point(self) -> bool:
        return self.radius == 0.0 or not self._shape.any()

    @cached_property
    def _root(self) -> FloatArray:
        """R with R'R = E'ΩE, over the scale of correlations: √(vec W'Ω vec W) = ‖R triu(W)‖."""
        scaled = self._shape / self._scale / self._scale[:, None]
        try:
            return np.linalg.cholesky(scaled, upper=True).astype(np.float64, copy=False)
        except np.linalg.LinAlgError:
            values, vectors = np.linalg.eigh(scaled)
        if values[0] < -1e-10 * max(values[-1], 0.0):
            raise InputError(
                f"shape is not positive semidefinite: its smallest eigenvalue is {values[0]:.6g} "
                f"where the largest is {values[-1]:.6g}; expected the covariance of errors"
            )
        kept = values > values.size * np.finfo(float).eps * values[-1]
        root: FloatArray = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
        return root if kept.any() else np.zeros((1, values.size))

    def _state_worst(self, program: Program, w: FloatArray) -> Choice | None:
        # An ellipsoid that is not flat has one worst element: ww' leads out of it.
        if len(self._root) == self._triangle.count:
            return None
        return super()._state_worst(program, w)

    # --- the entries ----------------------------------------------------------------------------

    def _entries_support(self, W: Affine, scale: FloatArray) -> Any:
        triangle = self._triangle
        nominal = triangle.multiplicity * triangle.of(self._nominal) / scale
        return nominal @ W + self.radius * norm(_thin(self._root) @ W)

    def _state_entries(self, program: Program, scale: FloatArray) -> Affine:
        triangle = self._triangle
        u = program.variable(program.free_name("u"), len(self._root))
        program.subject_to(**{program.free_name("ball"): norm(u) <= self.radius})
        spread = _thin(self._root.T / triangle.multiplicity[:, None])
        entries: Any = spread @ u + triangle.of(self._nominal) / scale
        return cast(Affine, entries)

    def _loosest(self, w: FloatArray) -> FloatArray:
        triangle = self._triangle
        direction = self._root @ (triangle.of(np.outer(w, w)) * self._scale)
        size = float(np.linalg.norm(direction))
        if not size:
            return self._nominal
        return self._nominal + self._change(direction / size)

    def _change(self, u: FloatArray) -> FloatArray:
        """The deviation δ mat(R'u)."""
        triangle = self._triangle
        entries = self._root.T @ u / triangle.multiplicity * self._scale
        return triangle.matrix(self.radius * entries)

    def _in_errors(self, matrix: FloatArray) -> tuple[FloatArray, float]:
        """The shortest u with mat(R'u) nearest to a matrix, and what that misses."""
        triangle = self._triangle
        entries = triangle.of(matrix) / self._scale * triangle.multiplicity
        u, *_ = np.linalg.lstsq(self._root.T, entries, rcond=None)
        missed = float(np.abs(entries - self._root.T @ u).max())
        return u.astype(np.float64, copy=False), missed

    def _drawn_in(self, entries: FloatArray) -> FloatArray:
        if self.is_point:
            return self._nominal
        u, _ = self._in_errors(entries - self._nominal)
        return self._nominal + self._change(u / max(self.radius, float(np.linalg.norm(u))))

    def _excess(self, entries: FloatArray) -> float:
        u, outside = self._in_errors(entries - self._nominal)
        if self.is_point:
            return float(np.linalg.norm(u)) + outside
        least = _ROUNDING * float(np.linalg.norm(self._in_errors(self._nominal)[0]))
        over = (float(np.linalg.norm(u)) - least) / self.radius - 1.0
        return max(0.0, over, outside if outside > 1e-12 else 0.0)

    def _deviation(self, rng: np.random.Generator) -> FloatArray:
        u = rng.standard_normal(len(self._root))
        return self._change(u / np.linalg.norm(u))

    def select(self, labels: Iterable[Hashable]) -> CovarianceEllipsoid:
        """The set of the covariances of some of the assets."""
        at, chosen = selection(labels, self.labels)
        given, part = self._triangle, type(self._triangle)(len(at))
        place = given.matrix(np.arange(given.count, dtype=float))[np.ix_(at, at)].astype(int)
        taken = place[part.rows, part.columns]
        result = CovarianceEllipsoid.__new__(CovarianceEllipsoid)
        shape = self._shape[np.ix_(taken, taken)]
        vars(result).update(center=self.center.select(chosen), radius=self.radius, _shape=shape)
        return result

    def scaled(self, factor: float) -> CovarianceEllipsoid:
        """The set with ``factor`` times the radius."""
        result = CovarianceEllipsoid.__new__(CovarianceEllipsoid)
        radius = as_number(factor, "factor", least=0.0) * self.radius
        vars(result).update(center=self.center, radius=radius, _shape=self._shape)
        return result
