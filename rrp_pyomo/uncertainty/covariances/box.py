"""Boxes of covariances: bounds on every entry."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rrp_pyomo.data import Covariance, CovarianceUncertainty, DenseCovariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.data.validation import Labels, Matrix, agreed_labels, labels_of, selection
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, InCone, abs, norm
from rrp_pyomo.modeling.cones import Semidefinite
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty.covariance_set import Choice
from rrp_pyomo.uncertainty.covariances.expressions import variance_by_root
from rrp_pyomo.uncertainty.covariances.matrices import as_symmetric, is_semidefinite
from rrp_pyomo.uncertainty.covariances.semidefinite import SemidefiniteSet, Triangle
from rrp_pyomo.uncertainty.covariances.signs import known_signs

# Up to so many assets a linear matrix inequality takes no time that one would notice.
_FEW = 25


@dataclass(frozen=True, init=False, repr=False, eq=False)
class CovarianceBox(SemidefiniteSet):
    """U = {Σ ⪰ 0 : Σ̲_ij ≤ Σ_ij ≤ Σ̄_ij}, bounds on every covariance.

    For weights of given signs s the worst entries are Σ̄_ij where s_i s_j > 0 and Σ̲_ij elsewhere,
    for long-only weights Σ̄. Where that corner is psd it is the worst element, and v(w) its
    quadratic form: one second-order cone, factored where Σ̄ is. Otherwise, with Σ̂ the centre of
    the box and Δ half its width,

        v(w) = min {⟨W, Σ̂⟩ + ⟨|W|, Δ⟩ : W ⪰ ww'},

    a linear matrix inequality of order n + 1, which only conic solvers take; w'Σ̄w is then above
    v(w) for long-only weights.

    Parameters
    ----------
    lower, upper : Covariance, (n, n) DataFrame or array
        Σ̲ and Σ̄, symmetric, in units of variance; neither needs to be psd.

    Attributes
    ----------
    center : Covariance
        The midpoint where that is psd; otherwise the element whose smallest eigenvalue, as
        correlations, is largest. Of a paper's set the nominal covariance.

    Raises
    ------
    InputError
        A lower bound above an upper one, labels that do not fit, no psd matrix between the bounds.

    References
    ----------
    Tütüncü & Koenig (2004), Robust asset allocation; Lobo & Boyd (2000), The worst-case risk of a
    portfolio; Costa & Kwon (2020), equations (6) and (7).

    Examples
    --------
    Of long-only weights the upper bounds are worst, where they are a covariance:

    >>> from rrp_pyomo.uncertainty import CovarianceBox
    >>> box = CovarianceBox([[0.03, 0.0], [0.0, 0.01]], [[0.05, 0.01], [0.01, 0.02]])
    >>> round(box.variance([0.5, 0.5]), 4)
    0.0225
    >>> box.worst([0.5, 0.5]).matrix().to_numpy().tolist()
    [[0.05, 0.01], [0.01, 0.02]]
    """

    center: Covariance
    _lower: FloatArray
    _upper: FloatArray
    _corner: Covariance | None

    def __init__(self, lower: Covariance | Matrix, upper: Covariance | Matrix) -> None:
        labels = _labels_of(upper)
        L, U = (as_symmetric(m, labels, name) for m, name in ((lower, "lower"), (upper, "upper")))
        if (L > U).any():
            i, j = np.argwhere(L > U)[0]
            raise InputError(
                f"the lower bound of ({labels[i]}, {labels[j]}) is {L[i, j]:.6g} and the upper one "
                f"{U[i, j]:.6g}; expected lower bounds of at most the upper ones"
            )
        given = upper if isinstance(upper, Covariance) else None
        vars(self).update(_lower=L, _upper=U, _corner=given or _if_semidefinite(U, labels))
        vars(self).update(center=_center(L, U, labels))

    @classmethod
    def of_uncertainty(cls, uncertainty: CovarianceUncertainty) -> CovarianceBox:
        """The set (7) of Costa & Kwon (2020), Σ⁰ + δ ∘ Σ^Δ with |δ_ij| ≤ 1, cut with psd.

        Its upper corner is Σ⁰ + |Σ^Δ|, which is Σ̄ only where no entry of Σ^Δ is negative: then, for
        long-only weights, the worst element is Σ̄, factored where it is.
        """
        worst = multiplied_out(uncertainty.worst_case.operator)
        other = uncertainty.lower
        if other is None:
            other = worst - 2.0 * multiplied_out(uncertainty.perturbation.operator)
        lower, upper = np.minimum(worst, other), np.maximum(worst, other)
        box = cls.__new__(cls)
        is_worst = bool(np.allclose(upper, worst, rtol=1e-12, atol=0.0))
        corner = uncertainty.worst_case if is_worst else None
        vars(box).update(_lower=lower, _upper=upper, center=uncertainty.nominal)
        vars(box).update(_corner=corner or _if_semidefinite(upper, uncertainty.labels))
        return box

    @property
    def lower(self) -> Any:
        """Σ̲ with labels, shape (n, n)."""
        return self.center.matrix() * 0.0 + self._lower

    @property
    def upper(self) -> Any:
        """Σ̄ with labels, shape (n, n)."""
        return self.center.matrix() * 0.0 + self._upper

    @property
    def formula(self) -> str:
        return (
            r"\{\Sigma \succeq 0 : \underline\Sigma_{ij} \le \Sigma_{ij} \le "
            r"\overline\Sigma_{ij}\}"
        )

    @property
    def is_point(self) -> bool:
        return bool((self._lower == self._upper).all())

    def _corner_of(self, signs: FloatArray) -> Covariance | None:
        """The worst entries for weights of these signs, if they are psd."""
        if (signs > 0.0).all() or (signs < 0.0).all():
            return self._corner
        key = tuple(signs)
        if key not in self._corners:
            entries = np.where(np.outer(signs, signs) > 0.0, self._upper, self._lower)
            self._corners[key] = _if_semidefinite(entries, self.labels)
        return self._corners[key]

    @cached_property
    def _corners(self) -> dict[tuple[float, ...], Covariance | None]:
        return {}

    def _corner_for(self, w: Affine) -> Covariance | None:
        signs = known_signs(w)
        return None if signs is None or self.is_point else self._corner_of(signs)

    def _variance_expression(self, w: Affine, h: Any) -> Any:
        corner = self._corner_for(w)
        if corner is None:
            return super()._variance_expression(w, h)
        return variance_by_root(corner.root, w, h)

    def _volatility_expression(self, w: Affine) -> Any:
        corner = self._corner_for(w)
        if corner is None:
            return super()._volatility_expression(w)
        return norm(Named("root", corner.root) @ w)

    def _worst(self, w: FloatArray) -> Covariance:
        if self.is_point:
            return self.center
        signs = np.where(w < 0.0, -1.0, 1.0)
        return self._corner_of(signs) or super()._worst(w)

    def _state_worst(self, program: Program, w: FloatArray) -> Choice | None:
        # Long positions have one worst member where the upper corner is psd; for what is not held,
        # of many assets, that corner has to do.
        small = _FEW if w.min() <= 1e-6 * w.max() else 0
        if w.min() >= 0.0 and self._corner is not None and self.size > small:
            return None
        return super()._state_worst(program, w)

    def _marginal_changes(self, w: FloatArray, directions: FloatArray) -> FloatArray:
        corner = self._corner_of(np.where(w < 0.0, -1.0, 1.0))
        if corner is None:
            return super()._marginal_changes(w, directions)
        return corner.operator @ directions

    # --- the entries ----------------------------------------------------------------------------

    @cached_property
    def _deviations(self) -> FloatArray:
        deviations: FloatArray = np.sqrt(self._upper.diagonal())
        return deviations

    def _halves(self, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Midpoint and half width of the entries, by upper triangle."""
        L, U = self._triangle.of(self._lower) / scale, self._triangle.of(self._upper) / scale
        return (L + U) / 2.0, (U - L) / 2.0

    def _entries_support(self, W: Affine, scale: FloatArray) -> Any:
        middle, half = (self._triangle.multiplicity * e for e in self._halves(scale))
        free = np.flatnonzero(half)
        return middle @ W + half[free] @ abs(W[free])

    def _state_entries(self, program: Program, scale: FloatArray) -> Affine:
        L, U = self._triangle.of(self._lower) / scale, self._triangle.of(self._upper) / scale
        return program.variable(program.free_name("entries"), self._triangle.count, L, U)

    def _loosest(self, w: FloatArray) -> FloatArray:
        return np.where(np.outer(w, w) >= 0.0, self._upper, self._lower)

    def _excess(self, entries: FloatArray) -> float:
        missed = np.maximum(entries - self._upper, self._lower - entries)
        return max(0.0, float((missed / np.outer(self._deviations, self._deviations)).max()))

    def _drawn_in(self, entries: FloatArray) -> FloatArray:
        change = np.clip(entries, self._lower, self._upper) - self._nominal
        return self._nominal + change

    def _deviation(self, rng: np.random.Generator) -> FloatArray:
        corner = rng.beta(0.3, 0.3, self._triangle.count)
        drawn = self._triangle.matrix(corner)
        entries: FloatArray = self._lower + drawn * (self._upper - self._lower)
        return entries - self._nominal

    def select(self, labels: Iterable[Hashable]) -> CovarianceBox:
        """The box of the covariances of some of the assets."""
        at, chosen = selection(labels, self.labels)
        box = CovarianceBox.__new__(CovarianceBox)
        upper = self._upper[np.ix_(at, at)]
        corner = None if self._corner is None else self._corner.select(chosen)
        vars(box).update(_lower=self._lower[np.ix_(at, at)], _upper=upper)
        vars(box).update(center=self.center.select(chosen))
        vars(box).update(_corner=corner or _if_semidefinite(upper, chosen))
        return box


def _labels_of(upper: Covariance | Matrix) -> Labels:
    if isinstance(upper, Covariance):
        return upper.labels
    n = np.shape(upper)[0] if np.ndim(upper) else 0
    rows, columns = labels_of(upper), labels_of(upper, 1) if np.ndim(upper) == 2 else None
    return agreed_labels("asset", n, upper=rows, upper_columns=columns)


def _if_semidefinite(entries: FloatArray, labels: Labels) -> Covariance | None:
    semidefinite = entries.diagonal().min() > 0.0 and is_semidefinite(entries)
    return DenseCovariance(entries, labels) if semidefinite else None


def _center(lower: FloatArray, upper: FloatArray, labels: Labels) -> Covariance:
    """The midpoint of the box, or the psd element that is farthest from being singular."""
    if upper.diagonal().min() <= 0.0:
        i = int(upper.diagonal().argmin())
        raise InputError(
            f"the upper bound of the variance of {labels[i]!r} is {upper[i, i]:.6g}; expected a "
            "positive number"
        )
    middle = (lower + upper) / 2.0
    if middle.diagonal().min() > 0.0 and is_semidefinite(middle):
        return DenseCovariance(middle, labels)
    n, triangle = len(labels), Triangle(len(labels))
    scale = triangle.of(np.sqrt(np.outer(upper.diagonal(), upper.diagonal())))
    program = Program("centre_of_box")
    bounds = (triangle.of(lower) / scale, triangle.of(upper) / scale)
    entries = program.variable("entries", triangle.count, *bounds)
    least = program.variable("least_eigenvalue", upper=1.0)
    identity = np.eye(n).reshape(-1, 1)
    program.maximize(least)
    program.subject_to(
        psd=InCone((triangle.expansion(n) @ entries - identity @ least,), Semidefinite())
    )
    solution = solve_program(program)
    if solution.arrays["least_eigenvalue"][0] < -1e-9:
        raise InputError(
            "no matrix between lower and upper is positive semidefinite: the largest smallest "
            f"eigenvalue, as correlations, is {solution.arrays['least_eigenvalue'][0]:.3g}; "
            "expected bounds of covariances, widen them"
        )
    found = np.clip(triangle.matrix(solution.arrays["entries"] * scale), lower, upper)
    return DenseCovariance(found, labels, repair="clip")
