"""Measures of risk over scenarios."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Term
from rrp_pyomo.modeling.cones import NONNEGATIVE
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import Affine, flattened
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.operands import numbers
from rrp_pyomo.modeling.terms.worst_case import UncertainTerm
from rrp_pyomo.modeling.uncertain import Uncertain, kind_of, split


class CVaR(Term):
    """The mean of the worst α of the losses, as Rockafellar & Uryasev (2000) state it:

    a + p'(ℓ − a)₊ / α ≤ t, with s ≥ ℓ − a, s ≥ 0 for the positive part and any a.
    """

    name = "cvar"
    curvature = 1

    def __init__(self, losses: Affine, alpha: float, probabilities: FloatArray) -> None:
        self.arguments = (losses,)
        self.alpha = alpha
        self.probabilities = probabilities

    def quantile(self, x: FloatArray) -> float:
        """The loss that is exceeded with a probability of at most α."""
        losses = self.arguments[0].value(x)
        order = np.argsort(-losses, kind="stable")
        reached = np.cumsum(self.probabilities[order]) >= self.alpha * (1.0 - 1e-12)
        return float(losses[order][reached.argmax()])

    def value(self, x: FloatArray) -> FloatArray:
        a, losses = self.quantile(x), self.arguments[0].value(x)
        return np.array([a + self.probabilities @ np.maximum(losses - a, 0.0) / self.alpha])

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        (losses,) = self.arguments
        a = new("quantile", None, lambda x: np.array([self.quantile(x)]), -np.inf)
        s = new(
            "excess",
            losses.labels or losses.size,
            lambda x: np.maximum(losses.value(x) - self.quantile(x), 0.0),
            0.0,
        )
        mean = (self.probabilities / self.alpha) @ s
        return [
            Bounded("", InCone((bound - a - mean,), NONNEGATIVE)),
            Bounded("tail", InCone((s - losses + a,), NONNEGATIVE), None),
        ]


class UncertainRisk(UncertainTerm):
    """CVaR_α(−d'R) + mean_weight · E[−d'R] with R of a set of distributions."""

    name = "cvar"
    curvature = 1

    def __init__(
        self, symbol: Uncertain, direction: Affine, alpha: float, mean_weight: float = 0.0
    ) -> None:
        self.symbol = symbol
        self.arguments = (direction,)
        self.alpha = alpha
        self.mean_weight = mean_weight

    def beside(self, other: UncertainTerm, ratio: float) -> UncertainTerm | None:
        """With an expected loss of the same returns, which is CVaR at α = 1."""
        if not isinstance(other, UncertainRisk) or other.symbol is not self.symbol:
            return None
        if other.alpha != 1.0 or other.mean_weight or not _equal(self.direction, other.direction):
            return None
        return UncertainRisk(self.symbol, self.direction, self.alpha, self.mean_weight + ratio)

    def largest(self, sign: float) -> Any:
        return self.symbol.members.risk(self.direction, self.alpha, self.mean_weight)

    def at(self, element: Any) -> Any:
        losses = -(element.scenarios.to_numpy() @ self.direction)
        p = element.probabilities.to_numpy()
        risk = cvar(losses, self.alpha, p)
        return risk + self.mean_weight * (p @ losses) if self.mean_weight else risk

    def largest_at(self, direction: FloatArray, sign: float) -> float:
        return float(self.symbol.members.risk(direction, self.alpha, self.mean_weight))

    def worst(self, direction: FloatArray, sign: float) -> Any:
        return self.symbol.members.worst(direction, self.alpha, self.mean_weight)

    def gradient(self, element: Any, direction: FloatArray) -> FloatArray:
        returns, p = element.scenarios.to_numpy(), element.probabilities.to_numpy()
        order = np.argsort(returns @ direction, kind="stable")
        held = np.minimum(np.cumsum(p[order]), self.alpha)
        tail = np.diff(held, prepend=0.0) / self.alpha
        return np.asarray(-(tail @ returns[order]) - self.mean_weight * (p @ returns))

    def mixture(self, weights: FloatArray, elements: list[Any]) -> Any:
        first = elements[0].scenarios
        p = [w * e.probabilities.to_numpy() for w, e in zip(weights, elements, strict=True)]
        if all(e.scenarios.equals(first) for e in elements):
            return type(elements[0])(first, np.sum(p, axis=0))
        together = pd.concat([e.scenarios for e in elements], ignore_index=True)
        return type(elements[0])(together, np.concatenate(p))


def cvar(losses: Affine, alpha: float, probabilities: Any = None) -> Composite:
    """CVaR_α, the mean of the worst α of the losses, a scalar: convex.

    Parameters
    ----------
    losses : Affine
        A row for each scenario, such as ``-(R @ w)``. A scalar where R is uncertain, of a set of
        distributions; it then stands inside ``worst_case``.
    alpha : float
        The tail probability, 0 < α ≤ 1: 0.05 is the worst 5 %.
    probabilities : Series or array, optional
        Nonnegative, summing to 1; equal by default.

    Raises
    ------
    InputError
        α or probabilities that are none.

    References
    ----------
    Rockafellar & Uryasev (2000), Optimization of conditional value-at-risk.

    Examples
    --------
    The mean of the worst two of four losses, as small as it can be:

    >>> import numpy as np
    >>> from rrp_pyomo import Program, cvar, solve_program
    >>> R = np.array([[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01]])
    >>> program = Program("tail")
    >>> w = program.variable("w", 2, lower=0)
    >>> program.subject_to(invested=w.sum() == 1)
    >>> program.minimize(cvar(-(R @ w), 0.5))
    >>> solution = solve_program(program)
    >>> round(solution.objective, 4), solution.values["w"].round(4).tolist()
    (-0.0032, [0.1818, 0.8182])
    """
    (losses,) = flattened((losses,))
    if not 0.0 < alpha <= 1.0:
        raise InputError(
            f"alpha of cvar is {alpha!r}; expected the tail probability, 0 < alpha <= 1: 0.05 is "
            "the worst 5 %"
        )
    if losses.is_uncertain:
        return _uncertain_cvar(losses, alpha, probabilities)
    n = losses.size
    p = np.full(n, 1.0 / n)
    if probabilities is not None:
        p = np.atleast_1d(numbers(probabilities, losses)[0])
        if p.size != n or not (np.isfinite(p).all() and p.min() >= 0.0 and abs(p.sum() - 1) < 1e-9):
            raise InputError(
                f"the probabilities of {n} scenarios are {probabilities!r}; expected {n} numbers "
                "that are not negative and sum to 1"
            )
    return Composite.of(CVaR(losses, alpha, p), joined("cvar", losses.notation, float(alpha)))


def _uncertain_cvar(losses: Affine, alpha: float, probabilities: Any) -> Composite:
    """CVaR_α of −d'R + certain, where R is a symbol of a set of distributions."""
    certain, directions = split(losses)
    (symbol, direction), *others = directions.items()
    if others or kind_of(symbol.members) != "distribution":
        raise ModelError(
            f"cvar of {losses!r}: its losses are of {', '.join(repr(s.name) for s in directions)}; "
            "the worst case is known for the returns of one set of distributions: declare "
            "`R = program.uncertain('R', set)` with such a set, and write cvar(-(R @ w), alpha)"
        )
    if probabilities is not None:
        raise InputError(
            f"probabilities of cvar are given beside {symbol.name!r}, whose set of distributions "
            "has its own; leave them out"
        )
    result = Composite.of(UncertainRisk(symbol, -direction, alpha))
    return Composite(certain, result.terms, joined("cvar", losses.notation, float(alpha)))


def _equal(a: Affine, b: Affine) -> bool:
    """Whether two expressions have the same coefficients of the same symbols."""
    if a.terms.keys() != b.terms.keys() or a.size != b.size:
        return False
    blocks = [(a.constant, b.constant), *((a.terms[s], b.terms[s]) for s in a.terms)]
    return all(np.shape(p) == np.shape(q) and (p != q).sum() == 0 for p, q in map(_arrays, blocks))


def _arrays(pair: tuple[Any, Any]) -> Any:
    return tuple(block if sp.issparse(block) else np.asarray(block) for block in pair)
