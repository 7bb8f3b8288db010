"""Sets of distributions: worst risks, worst expectations, and who attains them."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Any

import numpy as np

from rrp_pyomo.data.validation import as_floats, as_number, by_label
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.modeling.operators import Expression
from rrp_pyomo.program import Program
from rrp_pyomo.uncertainty.base import UncertaintySet
from rrp_pyomo.uncertainty.distributions.distribution import Distribution, checked_alpha, tail


class DistributionSet(UncertaintySet):
    """A set of distributions of returns R, per-period decimals; the loss of weights is −w'R.

    A subclass says the worst expectation of a convex piecewise linear loss, as an expression and in
    numbers, and which distribution attains the worst risk; CVaR is one of these, with the quantile
    as a variable.

    Examples
    --------
    What all sets of distributions have, here of scenarios without a doubt:

    >>> from rrp_pyomo.uncertainty import DistributionSet, Scenarios
    >>> given = Scenarios([[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01]])
    >>> isinstance(given, DistributionSet), round(given.risk([0.5, 0.5], 0.25), 4)
    (True, 0.02)
    """

    @property
    @abstractmethod
    def nominal(self) -> DistributionSet:
        """What is known where nothing is uncertain: the set of its centre."""

    def risk(self, w: Any, alpha: float, mean_weight: float = 0.0) -> Any:
        """sup over P of mean_weight · E[−w'R] + CVaR_α(−w'R), α being the tail probability.

        Parameters
        ----------
        w : Series, mapping, (n,) array, or an affine expression of n rows
        alpha : float
            0 < α ≤ 1: 0.05 is the worst 5 %.
        mean_weight : float
            At least 0.

        Returns
        -------
        float, or a convex expression
        """
        alpha, c = checked_alpha(alpha), as_number(mean_weight, "mean_weight", least=0.0)
        if isinstance(w, Expression):
            return self._risk_expression(self._ordered(w), alpha, c)
        return self._risk(by_label(w, self.labels, "weights"), alpha, c)

    def expected_loss(self, w: Any) -> Any:
        """sup over P of E[−w'R]: a float, or a convex expression."""
        return self.worst_piecewise(w, [1.0], [0.0])

    def worst_piecewise(self, w: Any, slopes: Any, intercepts: Any) -> Any:
        """sup over P of E[max_k (a_k L + b_k)] with L = −w'R.

        Parameters
        ----------
        w : Series, mapping, (n,) array, or an affine expression of n rows
        slopes : sequence of float
            a_k ≥ 0: a larger loss is not better.
        intercepts : sequence of float, or of scalar expressions
            b_k.

        Returns
        -------
        float, or a convex expression
        """
        slopes = as_floats(slopes, "slopes", 1)
        if slopes.size == 0 or not (slopes.min() >= 0.0 and np.isfinite(slopes).all()):
            raise InputError(f"slopes are {slopes}; expected finite numbers of at least 0")
        if len(intercepts) != slopes.size:
            raise InputError(
                f"there are {slopes.size} slopes and {len(intercepts)} intercepts; give one for "
                "each piece"
            )
        if isinstance(w, Expression):
            return self._piecewise(self._ordered(w), list(map(float, slopes)), list(intercepts))
        x = by_label(w, self.labels, "weights")
        return self._piecewise_value(x, slopes, as_floats(intercepts, "intercepts", 1))

    def worst(self, w: Any, alpha: float, mean_weight: float = 0.0) -> Distribution:
        """The distribution that attains :meth:`risk`; where several do, one of them."""
        alpha, c = checked_alpha(alpha), as_number(mean_weight, "mean_weight", least=0.0)
        return self._worst(by_label(w, self.labels, "weights"), alpha, c)

    def _ordered(self, w: Expression) -> Affine:
        if isinstance(w, Affine):
            return w._in_order(self.labels)
        raise InputError(
            f"the risk of {w!r} under {self!r} takes affine weights; bind them to a variable first"
        )

    def _unit(self, w: Affine) -> float:
        """The typical size of a loss."""
        return w.magnitude

    @abstractmethod
    def _piecewise(self, w: Affine, slopes: list[float], intercepts: list[Any]) -> Any:
        """sup E[max_k (a_k L + b_k)] as an expression."""

    @abstractmethod
    def _piecewise_value(self, w: FloatArray, slopes: FloatArray, intercepts: FloatArray) -> float:
        """The same in numbers."""

    @abstractmethod
    def _worst(self, w: FloatArray, alpha: float, mean_weight: float) -> Distribution:
        """The distribution that attains the risk."""

    def _risk(self, w: FloatArray, alpha: float, mean_weight: float) -> float:
        """The risk in numbers."""
        worst = self._worst(w, alpha, mean_weight)
        return mean_weight * worst.expected_loss(w) + worst.cvar(w, alpha)

    def _risk_expression(self, w: Affine, alpha: float, mean_weight: float) -> Any:
        """min over τ of sup E[max(c L + τ, (c + 1/α) L + (1 − 1/α) τ)], c the mean's weight."""
        if alpha == 1.0:
            return (1.0 + mean_weight) * self._piecewise(w, [1.0], [0.0])
        program = w.program
        t = program.variable(program.free_name("quantile"), unit=self._unit(w))
        program.definitions.append((t, partial(self._quantile, w, alpha, mean_weight)))
        slopes = [mean_weight, mean_weight + 1.0 / alpha]
        return self._piecewise(w, slopes, [t, (1.0 - 1.0 / alpha) * t])

    def _gradient(self, w: FloatArray, alpha: float, mean_weight: float) -> FloatArray:
        """A subgradient of the risk, the one of its worst distribution."""
        worst = self._worst(w, alpha, mean_weight)
        q = tail(-(worst.R @ w), worst.p, alpha)
        return np.asarray(-(worst.R.T @ (mean_weight * worst.p + q)))

    def _quantile(self, w: Affine, alpha: float, mean_weight: float, x: FloatArray) -> FloatArray:
        """The quantile of the worst distribution, at a point of a program's variables."""
        weights = w.value(x)
        return np.array([self._worst(weights, alpha, mean_weight).quantile(weights, alpha)])

    @abstractmethod
    def _state_gradient(
        self, program: Program, w: FloatArray, alpha: float, mean_weight: float
    ) -> Affine:
        """State on a program what makes g one with g'v ≤ risk(v) for all v, and return g.

        The risk is the largest g'v of these; where that takes a set that cones of ours do not
        state, the part of it that is worst at w.
        """

    @abstractmethod
    def contains(self, element: Any, tolerance: float = 1e-9) -> bool:
        """Whether a distribution is in the set, to a tolerance."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, size: int) -> list[Distribution]:
        """Members, from the centre's neighbourhood to the border."""

    def plot(
        self,
        assets: Any = None,
        weights: Any = None,
        alpha: float = 0.05,
        mean_weight: float = 0.0,
        ax: Any = None,
    ) -> Any:
        """The scenarios of two assets' returns: nominal, and the worst ones for weights.

        Parameters
        ----------
        assets : pair of labels, optional
            The first two by default.
        weights : Series or (n,) array, optional
        alpha, mean_weight : float
            Of the risk that is worst.
        ax : matplotlib Axes, optional
            Where other sets are shown already.

        Returns
        -------
        matplotlib Figure
        """
        from rrp_pyomo.uncertainty.plots import plot_distributions

        return plot_distributions(self, assets, weights, alpha, mean_weight, ax)
