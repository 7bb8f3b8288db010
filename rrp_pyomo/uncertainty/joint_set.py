"""Sets of means and covariances that are uncertain together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from rrp_pyomo.data import Covariance
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.uncertainty.base import UncertaintySet
from rrp_pyomo.uncertainty.worst_case import WorstCase


class JointChoice(NamedTuple):
    """The choice of a mean and covariance together, stated on a program.

    Attributes
    ----------
    gradient, loss : Affine
        By how much the gradient of the loss, and the loss, differ from those of :meth:`worst`.
    read : callable
        From the solved program to a member, and the two differences as they were chosen.
    """

    gradient: Affine
    loss: Affine
    read: Callable[[Any], tuple[WorstCase, FloatArray, float]]


class JointSet(UncertaintySet):
    """A set of means and covariances that are uncertain together, such as by their loadings.

    Examples
    --------
    What brings means and covariances together, here by its loadings:

    >>> from rrp_pyomo import MeanVariance
    >>> from rrp_pyomo.uncertainty import JointSet, LoadingsBall
    >>> given = LoadingsBall([[1.0, 0.5]], [[0.04]], [0.01, 0.01], radius=0.1, factor_mean=[0.05])
    >>> isinstance(given, JointSet)
    True
    >>> worst = MeanVariance([0.0, 0.0], given, risk_aversion=2.0).solve().worst_case
    >>> worst.loadings.round(3).to_numpy().tolist(), worst.mean.round(4).tolist()
    ([[1.051, 0.586]], [0.0526, 0.0293])
    """

    @abstractmethod
    def loss(self, w: Any, risk_aversion: float) -> Any:
        """max over U of (λ/2) w'Σw − w'μ: a float, or a convex expression of n rows w."""

    @abstractmethod
    def worst(self, w: Any, risk_aversion: float) -> WorstCase:
        """The member that attains :meth:`loss`: its mean, its covariance, its loadings."""

    @property
    @abstractmethod
    def nominal(self) -> tuple[FloatArray, Covariance]:
        """The mean, 0 where there is none, and the covariance of the centre."""

    def _state_worst_jointly(
        self, program: Any, w: FloatArray, risk_aversion: float
    ) -> JointChoice | None:
        """The choice among members that are worst for w, or nearly; None where there is but one."""
        return None
