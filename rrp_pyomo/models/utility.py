"""Utilities of wealth: increasing, concave functions of what a unit of wealth has become."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InputError, brief
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, log, positive, power


class Utility(ABC):
    """An increasing, concave function u of wealth W, which is 1 at the start.

    A subclass says it as an expression, as numbers with a slope, and its inverse.
    """

    #: Whether it grows no faster than linearly in losses: only then balls of distributions with
    #: unbounded support have a worst case.
    has_bounded_slope: bool = False

    @abstractmethod
    def of(self, wealth: Affine) -> Any:
        """u(W) row by row, as a concave expression."""

    @abstractmethod
    def value(self, wealth: FloatArray) -> FloatArray:
        """u(W); −∞ outside its domain."""

    @abstractmethod
    def slope(self, wealth: FloatArray) -> FloatArray:
        """A supergradient u'(W)."""

    @abstractmethod
    def conjugate(self, slope: FloatArray) -> FloatArray:
        """The largest u(W) − slope · W, for slopes that u has: u lies below slope · W plus it."""

    @abstractmethod
    def inverse(self, value: float) -> float:
        """The wealth that has this utility: the certainty equivalent of an expected one."""


@dataclass(frozen=True)
class LogUtility(Utility):
    """u(W) = log W: the growth rate. Exponential cones."""

    def of(self, wealth: Affine) -> Any:
        return log(wealth)

    def value(self, wealth: FloatArray) -> FloatArray:
        return np.log(wealth, out=np.full_like(wealth, -np.inf), where=wealth > 0.0)

    def slope(self, wealth: FloatArray) -> FloatArray:
        return 1.0 / wealth

    def conjugate(self, slope: FloatArray) -> FloatArray:
        return -1.0 - np.log(slope)

    def inverse(self, value: float) -> float:
        return float(np.exp(value))


@dataclass(frozen=True)
class PowerUtility(Utility):
    """u(W) = W^{1−γ} / (1 − γ): constant relative risk aversion γ. Power cones.

    Parameters
    ----------
    gamma : float
        γ > 0, not 1: that is ``"log"``.

    Raises
    ------
    InputError
        Another γ.

    Examples
    --------
    The certainty equivalent of doubling or halving wealth at even odds:

    >>> import numpy as np
    >>> from rrp_pyomo import PowerUtility
    >>> u = PowerUtility(2.0)
    >>> round(float(u.inverse(u.value(np.array([2.0, 0.5])).mean())), 4)
    0.8
    """

    gamma: float

    def __post_init__(self) -> None:
        gamma = as_number(self.gamma, "gamma", least=0.0)
        if gamma in (0.0, 1.0):
            raise InputError(
                f"gamma is {gamma:g}; expected a positive number other than 1: use utility='log' "
                "for 1, and a MeanVariance of risk aversion 0 for 0"
            )
        object.__setattr__(self, "gamma", gamma)

    def of(self, wealth: Affine) -> Any:
        return (1.0 / (1.0 - self.gamma)) * power(wealth, 1.0 - self.gamma)

    def value(self, wealth: FloatArray) -> FloatArray:
        inside = wealth > 0.0 if self.gamma > 1.0 else wealth >= 0.0
        with np.errstate(over="ignore"):  # where next to nothing is left
            powers = np.power(wealth, 1.0 - self.gamma, out=np.full_like(wealth, 0.0), where=inside)
        return np.where(inside, powers / (1.0 - self.gamma), -np.inf)

    def slope(self, wealth: FloatArray) -> FloatArray:
        return np.asarray(wealth**-self.gamma)

    def conjugate(self, slope: FloatArray) -> FloatArray:
        gamma = self.gamma
        return np.asarray(gamma / (1.0 - gamma) * slope ** ((gamma - 1.0) / gamma))

    def inverse(self, value: float) -> float:
        return float(((1.0 - self.gamma) * value) ** (1.0 / (1.0 - self.gamma)))


@dataclass(frozen=True)
class KinkedUtility(Utility):
    """u = x − b (k − x)₊ of the return x = W − 1: losses below k count 1 + b times. Linear rows.

    Parameters
    ----------
    b : float
        b ≥ 0, what a shortfall costs beside itself.
    k : float
        The return below which there is one.

    Raises
    ------
    InputError
        A negative b, numbers that are not finite.

    Examples
    --------
    Of winning and losing a tenth, where losses count three times:

    >>> import numpy as np
    >>> from rrp_pyomo import KinkedUtility
    >>> KinkedUtility(b=2.0).value(np.array([1.1, 0.9])).round(4).tolist()
    [0.1, -0.3]
    """

    b: float
    k: float = 0.0

    has_bounded_slope = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "b", as_number(self.b, "b", least=0.0))
        object.__setattr__(self, "k", as_number(self.k, "k"))

    def of(self, wealth: Affine) -> Any:
        x = wealth - 1.0
        return x - self.b * positive(self.k - x) if self.b else x

    def value(self, wealth: FloatArray) -> FloatArray:
        x = wealth - 1.0
        return x - self.b * np.maximum(self.k - x, 0.0)

    def slope(self, wealth: FloatArray) -> FloatArray:
        return np.where(wealth - 1.0 < self.k, 1.0 + self.b, 1.0)

    def conjugate(self, slope: FloatArray) -> FloatArray:
        within = (slope >= 1.0) & (slope <= 1.0 + self.b)
        return np.where(within, self.k - slope * (1.0 + self.k), np.inf)

    def inverse(self, value: float) -> float:
        short = value < self.k
        return 1.0 + ((value + self.b * self.k) / (1.0 + self.b) if short else value)


def as_utility(given: Any) -> Utility:
    """A utility as it is, or ``"log"``.

    Raises
    ------
    InputError
        Something else.
    """
    if isinstance(given, Utility):
        return given
    if isinstance(given, str) and given == "log":
        return LogUtility()
    raise InputError(
        f"utility is {brief(given)}; expected 'log', PowerUtility(gamma) or KinkedUtility(b, k)"
    )
