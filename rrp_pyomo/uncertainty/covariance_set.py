"""Sets of covariances: the largest variance of weights, and the member that has it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.validation import Labels, by_label
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.modeling.operators import Expression
from rrp_pyomo.uncertainty.base import UncertaintySet, differences


class Choice(NamedTuple):
    """The choice of a covariance, stated on a program.

    Attributes
    ----------
    marginal_risk : Affine
        Σw of the member that is chosen, or a mean of several members'.
    read : callable
        From the solved program to a member, and Σw as it was chosen.
    """

    marginal_risk: Affine
    read: Callable[[Any], tuple[Covariance, FloatArray]]


class CovarianceSet(UncertaintySet):
    """A convex compact set U of covariance matrices, per-period variances.

    Attributes
    ----------
    center : Covariance
        The nominal Σ̂, a member.

    Examples
    --------
    What all sets of covariances have, here of a ball:

    >>> import numpy as np
    >>> from rrp_pyomo.uncertainty import CovarianceSet, FrobeniusBall
    >>> given = FrobeniusBall([[0.04, 0.0], [0.0, 0.01]], radius=0.002)
    >>> isinstance(given, CovarianceSet), given.labels
    (True, (0, 1))
    >>> all(given.contains(member) for member in given.sample(np.random.default_rng(0), 5))
    True
    """

    center: Covariance

    @property
    def labels(self) -> Labels:  # type: ignore[override]
        """The assets."""
        return self.center.labels

    def variance(self, w: Any, h: Any = 1.0) -> Any:
        """v(w) = max of w'Σw over Σ ∈ U, over h: convex in both.

        Parameters
        ----------
        w : Series, mapping, (n,) array, or an affine expression of n rows
        h : 1 or a scalar expression
            v(w)/h, the perspective.

        Returns
        -------
        float, or an expression
        """
        if isinstance(w, Expression):
            return self._variance_expression(self._ordered(w), h)
        return self._variance(by_label(w, self.labels, "weights"))

    def volatility(self, w: Any) -> Any:
        """√v(w); of an expression, convex."""
        if isinstance(w, Expression):
            return self._volatility_expression(self._ordered(w))
        return float(np.sqrt(self.variance(w)))

    def _ordered(self, w: Expression) -> Affine:
        if isinstance(w, Affine):
            return w._in_order(self.labels)
        raise InputError(
            f"the variance of {w!r} under {self!r} takes affine weights; bind them to a variable "
            "first"
        )

    def support(self, w: Any) -> Any:
        """The support function at ww': :meth:`variance`."""
        return self.variance(w)

    def worst(self, w: Any) -> Covariance:
        """The member that attains v(w)."""
        return self._worst(by_label(w, self.labels, "weights"))

    @abstractmethod
    def _variance_expression(self, w: Affine, h: Any) -> Any:
        """v(w)/h as a sum of convex terms; h is 1 or a scalar expression."""

    def _volatility_expression(self, w: Affine) -> Any:
        """√v = min over h of (v/h + h)/2."""
        program = w.program
        h = program.variable(program.free_name("volatility_bound"), lower=0.0)
        return 0.5 * self._variance_expression(w, h) + 0.5 * h

    def _variance(self, w: FloatArray) -> float:
        return float(w @ (self._worst(w).operator @ w))

    @abstractmethod
    def _worst(self, w: FloatArray) -> Covariance:
        """The member that attains v(w)."""

    def _state_worst(self, program: Any, w: FloatArray) -> Choice | None:
        """The choice among members that are worst for w, or nearly; None where there is but one.

        Which of them is the worst decides how much the certificate of an answer proves.
        """
        return None

    def _marginal_risk(self, w: FloatArray) -> FloatArray:
        """Σ*w at the worst member Σ* for w: half the gradient of v."""
        return self._worst(w).operator @ w

    def _marginal_changes(self, w: FloatArray, directions: FloatArray) -> FloatArray:
        """How Σ*w moves with w, along the columns of directions: half of v''(w) times them."""
        return differences(self._marginal_risk, w, directions)

    @abstractmethod
    def contains(self, element: Covariance, tolerance: float = 1e-9) -> bool:
        """Whether a covariance is in the set, to a tolerance relative to the set's size."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, size: int) -> list[Covariance]:
        """Members, from the centre's neighbourhood to the border."""

    def plot(self, assets: Any = None, weights: Any = None) -> Any:
        """The covariances of two assets' returns as ellipses: centre, members, the worst one."""
        from rrp_pyomo.uncertainty.plots import plot_covariances

        return plot_covariances(self, assets, weights)
