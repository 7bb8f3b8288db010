"""Sets of means: support functions, worst elements, members, and the algebra of sets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import as_number, by_label, index_of, selection
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.modeling.operators import Expression
from rrp_pyomo.uncertainty.base import UncertaintySet, differences, sample_size
from rrp_pyomo.uncertainty.members import nearest_member


class MeanSet(UncertaintySet):
    """A convex compact set U of means μ, per-period decimals.

    A subclass says its support function as an expression and in numbers, which element attains it,
    and which constraints make a vector a member.

    Examples
    --------
    What all sets of means have, here of a box; sums, hulls and intersections are sets again:

    >>> from rrp_pyomo.uncertainty import Ball, Box, MeanSet
    >>> box = Box([0.05, 0.03], 0.01)
    >>> both = box & Ball([0.05, 0.03], 0.012)
    >>> isinstance(both, MeanSet), round(-both.support([-0.5, -0.5]), 4)
    (True, 0.0315)
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
        count, n = sample_size(rng, size), self.size
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
