"""A known covariance: the set of one element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rrp_pyomo.data import Covariance, CovarianceUncertainty, DenseCovariance
from rrp_pyomo.errors import require_kind
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, norm
from rrp_pyomo.uncertainty.base import sample_size
from rrp_pyomo.uncertainty.covariance_set import CovarianceSet
from rrp_pyomo.uncertainty.covariances.box import CovarianceBox
from rrp_pyomo.uncertainty.covariances.expressions import variance_by_root as variance_by_root


@dataclass(frozen=True, repr=False, eq=False)
class CovariancePoint(CovarianceSet):
    """U = {Σ̂}.

    Parameters
    ----------
    center : Covariance
        Σ̂.

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance
    >>> from rrp_pyomo.uncertainty import CovariancePoint
    >>> known = CovariancePoint(DenseCovariance([[0.04, 0.0], [0.0, 0.01]]))
    >>> round(known.variance([0.5, 0.5]), 4)
    0.0125
    """

    center: Covariance

    def __post_init__(self) -> None:
        require_kind(self.center, Covariance, "covariance", "such as DenseCovariance(matrix)")

    @property
    def formula(self) -> str:
        return r"\{\hat\Sigma\}"

    def _variance_expression(self, w: Affine, h: Any) -> Any:
        return variance_by_root(self.center.root, w, h)

    def _volatility_expression(self, w: Affine) -> Any:
        return norm(Named("root", self.center.root) @ w)

    def _worst(self, w: FloatArray) -> Covariance:
        return self.center

    def _marginal_changes(self, w: FloatArray, directions: FloatArray) -> FloatArray:
        return self.center.operator @ directions

    def contains(self, element: Covariance, tolerance: float = 1e-9) -> bool:
        size = self.center.frobenius_norm
        gap = element.matrix().to_numpy() - self.center.matrix().to_numpy()
        return bool(np.linalg.norm(gap) <= tolerance * size)

    def sample(self, rng: np.random.Generator, size: int) -> list[Covariance]:
        return [self.center] * sample_size(rng, size)


def as_covariance_set(covariance: Any) -> CovarianceSet:
    """A set of covariances as it is, a known covariance or matrix as the set of one element.

    The box (7) of Costa & Kwon (2020) is a :class:`CovarianceBox` around its nominal covariance.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import as_covariance_set
    >>> as_covariance_set([[0.04, 0.0], [0.0, 0.01]])
    CovariancePoint(2 assets)
    """
    if isinstance(covariance, CovarianceSet):
        return covariance
    if isinstance(covariance, CovarianceUncertainty):
        return CovarianceBox.of_uncertainty(covariance)
    if not isinstance(covariance, Covariance):
        covariance = DenseCovariance(covariance)
    return CovariancePoint(covariance)
