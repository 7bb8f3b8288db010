"""Sets of covariances given by their entries: linear matrix inequalities."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.data import Covariance, DenseCovariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.data.definite import clipped
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, InCone, norm
from rrp_pyomo.modeling.cones import Semidefinite
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty.base import differences
from rrp_pyomo.uncertainty.covariance_set import Choice, CovarianceSet
from rrp_pyomo.uncertainty.covariances.expressions import smallest_mean, variance_by_root
from rrp_pyomo.uncertainty.covariances.matrices import (
    entries_of,
    is_definite,
    is_semidefinite,
    reach,
    sampled,
)


class Triangle:
    """Symmetric d × d matrices by their upper triangle, row after row: d(d + 1)/2 numbers."""

    def __init__(self, d: int) -> None:
        self.side = d
        self.rows, self.columns = np.triu_indices(d)
        self.count = self.rows.size
        #: How often an entry of the triangle is in the matrix.
        self.multiplicity = np.where(self.rows == self.columns, 1.0, 2.0)

    def of(self, matrix: FloatArray) -> FloatArray:
        """The upper triangle."""
        return matrix[self.rows, self.columns]

    def matrix(self, entries: FloatArray) -> FloatArray:
        """The symmetric matrix with this upper triangle."""
        full = np.empty((self.side, self.side))
        full[self.rows, self.columns] = full[self.columns, self.rows] = entries
        return full

    def expansion(self, side: int) -> sp.csr_array:
        """The map to the side² entries of a matrix whose leading block this one is."""
        places = np.concatenate([self.rows * side + self.columns, self.columns * side + self.rows])
        entries = np.tile(np.arange(self.count), 2)
        values = np.tile(1.0 / (3.0 - self.multiplicity), 2)  # the diagonal is there twice
        return sp.csr_array((values, (places, entries)), shape=(side * side, self.count))


class SemidefiniteSet(CovarianceSet):
    """A convex set of symmetric matrices' entries E, cut with the cone of psd matrices.

        v(w) = max {w'Σw : Σ ∈ E, Σ ⪰ 0} = min {σ_E(W) : W ⪰ ww'}

    where σ_E(W) = max {⟨W, Σ⟩ : Σ ∈ E} is the support function of the entries alone, and
    W ⪰ ww' the linear matrix inequality [[W, w], [w', 1]] ⪰ 0. Never above σ_E(ww'), and equal to
    it where the worst entries for W = ww' are psd as they are. Blocks have no semidefinite cone:
    blocks refuse these sets, ``solve_program`` takes them to Clarabel or SCS.

    References
    ----------
    Lobo & Boyd (2000), The worst-case risk of a portfolio; El Ghaoui, Oks & Oustry (2003),
    Worst-case value-at-risk and robust portfolio optimization.
    """

    # --- what a set of entries says -------------------------------------------------------------

    @property
    @abstractmethod
    def is_point(self) -> bool:
        """Whether the centre is the only element."""

    @abstractmethod
    def _entries_support(self, W: Affine, scale: FloatArray) -> Any:
        """σ_E of the matrix whose entries are those of W, by upper triangle, over ``scale``."""

    @abstractmethod
    def _state_entries(self, program: Program, scale: FloatArray) -> Affine:
        """The upper triangle, over ``scale``, of a matrix of E, with what keeps it there."""

    @abstractmethod
    def _loosest(self, w: FloatArray) -> FloatArray:
        """The matrix of E with the largest w'Σw, which need not be psd."""

    @abstractmethod
    def _drawn_in(self, entries: FloatArray) -> FloatArray:
        """The matrix between this one and the centre that is in E, to rounding."""

    @abstractmethod
    def _excess(self, entries: FloatArray) -> float:
        """By how much a matrix is outside of E, relative to the sizes of set and centre."""

    @abstractmethod
    def _deviation(self, rng: np.random.Generator) -> FloatArray:
        """A random deviation from the centre that ends at the border of E."""

    # --- what follows ---------------------------------------------------------------------------

    @cached_property
    def _triangle(self) -> Triangle:
        return Triangle(self.size)

    @cached_property
    def _nominal(self) -> FloatArray:
        return multiplied_out(self.center.operator)

    @cached_property
    def _scale(self) -> FloatArray:
        """What makes correlations of entries, by upper triangle: solvers work in those."""
        return self._triangle.of(np.outer(self._deviations, self._deviations))

    @cached_property
    def _deviations(self) -> FloatArray:
        return np.sqrt(self.center.variances)

    def _variance_expression(self, w: Affine, h: Any) -> Any:
        if self.is_point:
            return variance_by_root(self.center.root, w, h)
        return self._lifted(w, h)

    def _lifted(self, w: Affine, h: Any) -> Any:
        """min σ_E(W) over [[W, w], [w', h]] ⪰ 0, in W/u² and w/u of order 1."""
        program, triangle = w.program, self._triangle
        x = w * self._deviations
        unit = x.magnitude
        head = h.magnitude if isinstance(h, Affine) else 1.0
        x, h = x * (1.0 / unit), h * (1.0 / head)
        W = program.variable(program.free_name("second_moment"), triangle.count)
        lmi = state_above_outer(W, x, h, triangle)
        program.subject_to(**{program.free_name("above_outer_product"): lmi})

        def best(point: FloatArray) -> FloatArray:
            value = x.value(point)
            divisor = float(h.value(point)[0]) if isinstance(h, Affine) else h
            return triangle.of(np.outer(value, value)) / (divisor or 1.0)

        program.definitions.append((W, best))
        return (unit**2 / head) * self._entries_support(W, self._scale)

    def _volatility_expression(self, w: Affine) -> Any:
        if self.is_point:
            return norm(Named("root", self.center.root) @ w)
        return smallest_mean(self, w)

    def _worst(self, w: FloatArray) -> Covariance:
        if self.is_point or not w.any():
            return self.center
        entries = self._loosest(w)
        if is_semidefinite(entries):
            return DenseCovariance(entries, self.labels)
        # Around a singular centre a solver's last digits may leave the cone.
        return DenseCovariance(self._within(self._solved(w)), self.labels, repair="clip")

    def _marginal_changes(self, w: FloatArray, directions: FloatArray) -> FloatArray:
        if self.is_point:
            return self.center.operator @ directions
        if is_semidefinite(self._loosest(w)):
            return differences(lambda x: self._loosest(x) @ x, w, directions)
        # A conic solve for each direction, with its errors: Newton's method has no use for that.
        return np.full(directions.shape, np.nan)

    def _state_worst(self, program: Any, w: FloatArray) -> Choice | None:
        if self.is_point:
            return None
        triangle, scale, n = self._triangle, self._scale, self.size
        entries = self._state_entries(program, scale)
        matrix = triangle.expansion(n) @ entries
        program.subject_to(**{program.free_name("psd"): InCone((matrix,), Semidefinite())})
        d = self._deviations
        rows = sp.kron(sp.identity(n), (w * d)[None, :], format="csr")
        marginal_risk = (rows @ matrix) * d

        def read(solution: Any) -> tuple[Covariance, FloatArray]:
            found = self._within(triangle.matrix(entries.value(solution.x) * scale))
            member = DenseCovariance(found, self.labels, repair="clip")
            return member, member.operator @ w

        return Choice(marginal_risk, read)

    def _solved(self, w: FloatArray) -> FloatArray:
        """The psd matrix of E with the largest w'Σw, to a conic solver's accuracy."""
        triangle, scale = self._triangle, self._scale
        x = w * self._deviations
        x = x / np.linalg.norm(x)
        program = Program("worst_covariance")
        entries = self._state_entries(program, scale)
        weights = triangle.multiplicity * triangle.of(np.outer(x, x))
        program.maximize((entries * weights).sum())
        program.subject_to(psd=InCone((triangle.expansion(self.size) @ entries,), Semidefinite()))
        solution = solve_program(program)
        return triangle.matrix(entries.value(solution.x) * scale)

    def _within(self, entries: FloatArray) -> FloatArray:
        """The matrix brought back to the set, which a solver's rounding errors leave."""
        nominal = self._nominal
        entries = self._drawn_in(entries)
        if is_semidefinite(entries, 0.0):
            return entries
        if is_definite(nominal):
            return nominal + reach(nominal, entries - nominal) * (entries - nominal)
        return self._drawn_in(clipped(entries)[0])

    def contains(self, element: Any, tolerance: float = 1e-9) -> bool:
        """Whether the entries are in the set and psd, to a tolerance relative to their size."""
        entries = entries_of(element, self.labels)
        return self._excess(entries) <= tolerance and is_semidefinite(entries, tolerance)

    def sample(self, rng: np.random.Generator, size: int) -> list[Covariance]:
        def deviation() -> FloatArray:
            if rng.uniform() < 0.5:
                return self._deviation(rng)
            return self._loosest(rng.standard_normal(self.size)) - self._nominal

        return sampled(self.center, rng, size, deviation)


def state_above_outer(W: Affine, x: Affine, h: Any, triangle: Triangle) -> InCone:
    """W ⪰ xx'/h, as [[W, x], [x', h]] ⪰ 0."""
    n = triangle.side
    side = n + 1
    border = np.arange(n)
    places = np.concatenate([border * side + n, n * side + border])
    spread = sp.csr_array((np.ones(2 * n), (places, np.tile(border, 2))), shape=(side * side, n))
    corner = sp.csr_array(([1.0], ([side * side - 1], [0])), shape=(side * side, 1))
    last = corner @ h if isinstance(h, Affine) else corner.toarray().ravel() * h
    entries = triangle.expansion(side) @ W + spread @ x + last
    return InCone((entries,), Semidefinite())
