"""What every uncertainty set says: its support function, the element that attains it, its members.

What is not known of a market is a convex compact set U; what a model needs of U is its support
function, and what a user needs is the element that attains it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.validation import Labels, as_floats, as_number, by_label, index_of, selection
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.modeling.operators import Expression
from rrp_pyomo.program import Program
from rrp_pyomo.uncertainty.distributions.distribution import Distribution, checked_alpha, tail
from rrp_pyomo.uncertainty.members import nearest_member
from rrp_pyomo.uncertainty.worst_case import WorstCase


class UncertaintySet(ABC):
    """A convex compact set of means, of covariances or of distributions: a plain frozen value.

    Attributes
    ----------
    labels : tuple
        The assets.
    formula : str
        The set as mathematics, in LaTeX.
    """

    labels: Labels

    @property
    @abstractmethod
    def formula(self) -> str:
        """The set as mathematics, in LaTeX."""

    @property
    def size(self) -> int:
        """The number of assets n."""
        return len(self.labels)

    def _repr_latex_(self) -> str:
        return f"${self.formula}$"

    def __repr__(self) -> str:
        numbers = "".join(f", {name}={value:.4g}" for name, value in self._numbers().items())
        n = self.size
        return f"{type(self).__name__}({n} asset{'s' if n > 1 else ''}{numbers})"

    def _numbers(self) -> dict[str, float]:
        """What the set's own numbers are, for its ``repr``."""
        return {}


class MeanSet(UncertaintySet):
    """A convex compact set U of means μ, per-period decimals.

    A subclass says its support function as an expression and in numbers, which element attains it,
    and which constraints make a vector a member.
    """

    _center: FloatArray

    @property
    def center(self) -> pd.Series:
        """The nominal mean μ̂, a member."""
        return self._labelled(self._center)

    # --- the support function -------------------------------------------------------------------

    def support(self, direction: Any) -> Any:
        """σ(d) = max of d'μ over μ ∈ U.

        Parameters
        ----------
        direction : Series, mapping, (n,) array, or an affine expression of n rows
            Series and labelled expressions are aligned by label.

        Returns
        -------
        float, or an expression
            Of an expression it is convex, made of the language's terms. The smallest mean return
            of weights w is ``-set.support(-w)``.
        """
        if isinstance(direction, Expression):
            if not isinstance(direction, Affine):
                raise InputError(
                    f"the support function of {self!r} takes an affine direction, not "
                    f"{direction!r}; bind it to a variable first"
                )
            return self._expression(direction._in_order(self.labels))
        return self._support(by_label(direction, self.labels, "direction"))

    def worst(self, direction: Any) -> pd.Series:
        """The element that attains σ(d): the μ ∈ U with the largest d'μ.

        For weights w the worst mean is ``set.worst(-w)``. Where several elements attain it, one of
        them.
        """
        return self._labelled(self._worst(by_label(direction, self.labels, "direction")))

    @property
    @abstractmethod
    def is_point(self) -> bool:
        """Whether the set has one element only, as one of radius 0 has."""

    def _expression(self, d: Affine) -> Any:
        """σ(d) as an affine expression or a sum of convex terms."""
        nominal = self._center @ d
        return nominal if self.is_point else nominal + self._penalty(d)

    @abstractmethod
    def _penalty(self, d: Affine) -> Any:
        """σ(d) − μ̂'d as an expression, for a set of more than one element."""

    @abstractmethod
    def _worst(self, d: FloatArray) -> FloatArray:
        """The element that attains σ(d)."""

    def _worst_rows(self, directions: FloatArray) -> FloatArray:
        """The worst element in each direction, a row each."""
        return np.array([self._worst(d) for d in directions]).reshape(len(directions), self.size)

    def _support(self, d: FloatArray) -> float:
        return float(d @ self._worst(d))

    def _has_ties(self, d: FloatArray) -> bool:
        """Whether several elements may attain σ(d)."""
        return not self.is_point

    def _worst_changes(self, d: FloatArray, directions: FloatArray) -> FloatArray:
        """How the worst element moves with d, along the columns of directions."""
        return differences(self._worst, d, directions)

    # --- members --------------------------------------------------------------------------------

    @abstractmethod
    def state_member(self, program: Any, u: Affine, scale: Any = 1.0) -> None:
        """State u ∈ scale · U on a program.

        Parameters
        ----------
        program : Program
        u : Affine
            Of n rows.
        scale : float or scalar expression
            At least 0.
        """

    @property
    @abstractmethod
    def _reach(self) -> float:
        """The typical distance from the centre to the border: the unit of deviations."""

    def _excess(self, point: FloatArray) -> float:
        """By how much a point is outside, relative to the size of the set; at most 0 inside.

        The nearest member v gives the direction d = point − v. Where d'point > σ(d) the point is
        outside, whatever the accuracy of v.
        """
        d = point - nearest_member(self, point)
        length = float(np.linalg.norm(d))
        if length == 0.0:
            return 0.0
        return float(d @ point - self._support(d)) / (length * self._unit)

    @property
    def _unit(self) -> float:
        """The set's reach, the size of its centre where that is 0."""
        return self._reach or float(np.abs(self._center).max()) or 1.0

    def _pulled_inside(self, point: FloatArray) -> FloatArray:
        """What a solver missed the set by, taken back towards the centre."""
        step = 1e-12
        while self._excess(point) > 1e-11 and step < 1e-7:
            step *= 4.0
            point = point + step * (self._center - point)
        return point

    def contains(self, element: Any, tolerance: float = 1e-9) -> bool:
        """Whether a mean is in the set, to a tolerance relative to the set's size."""
        return self._excess(by_label(element, self.labels, "mean")) <= tolerance

    def sample(self, rng: np.random.Generator, size: int) -> pd.DataFrame:
        """Members in random directions from the centre, from its neighbourhood to the border.

        Returns
        -------
        (size, n) DataFrame
        """
        count, n = int(as_number(size, "size", least=0)), self.size
        rows = self._borders(rng, count)
        rows = self._center + (rng.uniform(size=count) ** (1.0 / n))[:, None] * (
            rows - self._center
        )
        return pd.DataFrame(rows, columns=index_of(self.labels))

    def _borders(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Members on the border, in random directions."""
        return self._worst_rows(rng.standard_normal((count, self.size)))

    # --- the algebra: what is made of sets, said in `means.algebra` ------------------------------

    #: Of sets of the same assets, of a set and a number, of a set and a matrix.
    _intersection: ClassVar[Any]
    _minkowski_sum: ClassVar[Any]
    _point: ClassVar[Any]
    _hull: ClassVar[Any]
    _multiple: ClassVar[Any]
    _image: ClassVar[Any]

    # Arrays leave `2.0 * set` and `B @ set` to the set, and so do pandas' objects.
    __array_ufunc__ = None
    __pandas_priority__ = 5000

    def __and__(self, other: Any) -> MeanSet:
        """U ∩ V."""
        return self._made(self._intersection, other)

    def __add__(self, other: Any) -> MeanSet:
        """U + V = {μ + ν : μ ∈ U, ν ∈ V}, the Minkowski sum; a Series or an array shifts."""
        return self._made(self._minkowski_sum, other)

    def __or__(self, other: Any) -> MeanSet:
        """The convex hull of U ∪ V; of a Series or an array as one more point."""
        return self._made(self._hull, other)

    __rand__, __radd__, __ror__ = __and__, __add__, __or__

    def _made(self, make: Any, other: Any) -> MeanSet:
        if isinstance(other, np.ndarray) and other.shape == (self.size,):
            other = self._labelled(other)
        if isinstance(other, pd.Series):
            other = self._point(other)
        made: MeanSet = make(self, other) if isinstance(other, MeanSet) else NotImplemented
        return made

    def __rmul__(self, factor: Any) -> MeanSet:
        """``k * U``: :meth:`scaled`."""
        return self.scaled(factor)

    def __rmatmul__(self, matrix: Any) -> MeanSet:
        """``B @ U``: :meth:`through`."""
        return self.through(matrix)

    def scaled(self, factor: float) -> MeanSet:
        """The set with its radius about the centre multiplied: {μ̂ + k(μ − μ̂) : μ ∈ U}, k ≥ 0."""
        multiple: MeanSet = self._multiple(self, as_number(factor, "factor", least=0.0))
        return multiple

    def through(self, matrix: Any, labels: Iterable[Hashable] | None = None) -> MeanSet:
        """The image {Bf : f ∈ U}: the means of assets with loadings B on factors with means f.

        Parameters
        ----------
        matrix : (n, m) DataFrame or array
            B, a row for each asset and a column for each label of this set. The columns of a
            DataFrame are aligned by label, its index names the assets.
        labels : iterable of hashables, optional
            The assets of an array, otherwise 0, 1, ….

        Notes
        -----
        Positions w with B'w = 0 are not charged. Where assets have means of their own beside the
        factors', add a set for them: ``factors.through(B) + Box(alpha, width)``.
        """
        image: MeanSet = self._image(self, matrix, labels)
        return image

    def select(self, labels: Iterable[Hashable]) -> MeanSet:
        """The means of some of the assets that the set allows: its shadow on these axes.

        Raises
        ------
        UnknownLabelError
            A label that is not in ``labels``.
        InputError
            No labels, or repeated ones.
        """
        at, chosen = selection(labels, self.labels)
        return self.through(np.eye(self.size)[at], chosen)

    def plot(self, assets: Any = None, weights: Any = None, ax: Any = None) -> Any:
        """The set's shadow on two assets, with its centre and, for weights, the worst mean.

        Parameters
        ----------
        assets : pair of labels, optional
            The first two by default.
        weights : Series or (n,) array, optional
        ax : matplotlib Axes, optional
            Where other sets are shown already.

        Returns
        -------
        matplotlib Figure
        """
        from rrp_pyomo.uncertainty.plots import plot_means

        return plot_means(self, assets, weights, ax)

    def _labelled(self, values: FloatArray) -> pd.Series:
        return pd.Series(values, index=index_of(self.labels), name="mean")


def differences(function: Any, at: FloatArray, directions: FloatArray) -> FloatArray:
    """The derivative of a vector of numbers at a point, along the columns of directions."""
    h = 1e-6 * (float(np.abs(at).max()) or 1.0)
    value = function(at)
    columns = [(function(at + h * direction) - value) / h for direction in directions.T]
    return np.column_stack(columns)


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
    """A set of means and covariances that are uncertain together, such as by their loadings."""

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


class DistributionSet(UncertaintySet):
    """A set of distributions of returns R, per-period decimals; the loss of weights is −w'R.

    A subclass says the worst expectation of a convex piecewise linear loss, as an expression and in
    numbers, and which distribution attains the worst risk; CVaR is one of these, with the quantile
    as a variable.
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
