"""On which integer a node is split: the one whose two sides are likely to be worth the most.

What a side adds to the bound, by unit of the fraction that it takes away, is learnt from the nodes
there were (pseudocosts), and tried out by a few dual simplex iterations where little is known yet
(Achterberg, Koch & Martin, 2005, reliability branching).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.outer_approximation.master import WHOLE, Master

#: How often a side is to be known before it is no longer tried out, how many integers are tried
#: out at a node, and by how many iterations.
RELIABLE, CANDIDATES, ITERATIONS = 4, 8, 50


@dataclass(frozen=True, eq=False)
class Child:
    """A node: bounds of the integers, a lower bound on the value, and the split that it is from.

    ``side`` is 0 below and 1 above; ``fraction`` is what that took away, ``worth`` the bound of the
    node above.
    """

    bound: float
    lower: FloatArray
    upper: FloatArray
    place: int = -1
    side: int = 0
    fraction: float = 1.0


class Branching:
    """What is known about the integers, and the splits that follow from it."""

    def __init__(self, master: Master, integers: IntArray) -> None:
        self._master = master
        self._sums = np.zeros((2, integers.size))
        self._counts = np.zeros((2, integers.size))

    def learn(self, node: Child, bound: float) -> None:
        """What a node's bound says about the split that it is from."""
        if node.place >= 0 and np.isfinite(bound):
            self._note(node.side, node.place, bound - node.bound, node.fraction)

    def tightened(
        self, node: Child, x: FloatArray, allowed: float
    ) -> tuple[FloatArray, FloatArray]:
        """Bounds from reduced costs: a step away from a bound may cost what is allowed at most."""
        lower, upper = node.lower.copy(), node.upper.copy()
        if not np.isfinite(allowed):
            return lower, upper
        costs = self._master.reduced_costs
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.floor(allowed / np.abs(costs) + WHOLE)
        low = (costs > 1e-9) & (x <= lower + WHOLE)
        high = (costs < -1e-9) & (x >= upper - WHOLE)
        upper[low] = np.minimum(upper[low], lower[low] + steps[low])
        lower[high] = np.maximum(lower[high], upper[high] - steps[high])
        return lower, upper

    def around(self, node: Child, x: FloatArray, bound: float) -> list[Child]:
        """Three children for whole numbers whose worth is not clear: below, there, above."""
        (j, *_) = np.flatnonzero(node.lower < node.upper)
        found = []
        for low, high in ((x[j], x[j]), (node.lower[j], x[j] - 1), (x[j] + 1, node.upper[j])):
            if low <= high:
                lower, upper = node.lower.copy(), node.upper.copy()
                lower[j], upper[j] = low, high
                found.append(Child(bound, lower, upper))
        return found

    def children(self, node: Child, x: FloatArray, incumbent: float) -> list[Child]:
        """The two sides of the best split, the upper one first."""
        fraction = x - np.floor(x)
        open_ones = np.flatnonzero((np.abs(x - np.round(x)) > WHOLE) & (node.lower < node.upper))
        if not open_ones.size:  # reduced costs fixed what was broken
            return [replace(node, place=-1)]
        order = open_ones[np.argsort(-self._scores(fraction)[open_ones], kind="stable")]
        unknown = [j for j in order[:CANDIDATES] if self._counts[:, j].min() < RELIABLE]
        basis = self._master.basis if unknown else None
        most = incumbent - node.bound if np.isfinite(incumbent) else max(1.0, abs(node.bound))
        for j in unknown:
            for child in self._split(node, x, j):
                value = self._master.probe(child.lower, child.upper, basis, ITERATIONS)
                gain = min(value - node.bound, most)
                self._note(child.side, j, gain, child.fraction)
        j = open_ones[np.argmax(self._scores(fraction)[open_ones])]
        return self._split(node, x, int(j))

    def _split(self, node: Child, x: FloatArray, j: int) -> list[Child]:
        floor = np.floor(x[j])
        below, above = node.upper.copy(), node.lower.copy()
        below[j], above[j] = floor, floor + 1
        return [
            Child(node.bound, above, node.upper, j, 1, floor + 1 - x[j]),
            Child(node.bound, node.lower, below, j, 0, x[j] - floor),
        ]

    def _note(self, side: int, j: int, gain: float, fraction: float) -> None:
        self._sums[side, j] += max(gain, 0.0) / fraction
        self._counts[side, j] += 1.0

    def _scores(self, fraction: FloatArray) -> FloatArray:
        typical = self._sums.sum(axis=1) / np.maximum(self._counts.sum(axis=1), 1.0)
        known = self._sums / np.maximum(self._counts, 1.0)
        worth = np.where(self._counts > 0.0, known, typical[:, None])
        below, above = worth[0] * fraction, worth[1] * (1.0 - fraction)
        scores: FloatArray = np.maximum(below, 1e-9) * np.maximum(above, 1e-9)
        return scores
