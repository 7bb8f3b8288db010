"""A model as plain numbers, and what is true of a point of it, in exact arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

Number = Fraction | float


@dataclass
class Square:
    """weight · (Σ linear x + constant)²."""

    weight: float
    linear: dict[int, float]
    constant: float = 0.0


@dataclass
class Body:
    """Σ linear x + constant + Σ squares + Σ product coefficient · x_i x_j."""

    linear: dict[int, float] = field(default_factory=dict)
    constant: float = 0.0
    squares: list[Square] = field(default_factory=list)
    products: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def is_linear(self) -> bool:
        return not self.squares and not self.products

    @property
    def variables(self) -> set[int]:
        own = set(self.linear) | {i for s in self.squares for i in s.linear}
        return own | {i for _, *ij in self.products for i in ij}

    def value(self, x: list[Fraction]) -> Fraction:
        total = Fraction(self.constant)
        total += sum(Fraction(a) * x[i] for i, a in self.linear.items())
        total += sum(Fraction(s.weight) * _inner(s, x) ** 2 for s in self.squares)
        return total + sum(Fraction(a) * x[i] * x[j] for a, i, j in self.products)

    def terms(self, x: list[Fraction]) -> float:
        """The sum of the magnitudes of the terms as they are stated."""
        total = abs(Fraction(self.constant))
        total += sum(abs(Fraction(a) * x[i]) for i, a in self.linear.items())
        total += sum(abs(Fraction(s.weight)) * _inner(s, x) ** 2 for s in self.squares)
        return float(total + sum(abs(Fraction(a) * x[i] * x[j]) for a, i, j in self.products))

    def expanded(self, x: list[Fraction]) -> float:
        """The same once squares are multiplied out, which rounds them to a double's precision."""
        squares = sum(abs(Fraction(s.weight)) * _magnitude(s, x) ** 2 for s in self.squares)
        return self.terms(x) + float(squares)

    def gradient(self, x: list[Fraction], absolute: bool = False) -> dict[int, Fraction]:
        """∇body, or the sums of the magnitudes of its terms, squares multiplied out."""
        size = abs if absolute else (lambda v: v)
        found: dict[int, Fraction] = {i: size(Fraction(a)) for i, a in self.linear.items()}
        for s in self.squares:
            inner = _magnitude(s, x) if absolute else _inner(s, x)
            for i, a in s.linear.items():
                found[i] = (
                    found.get(i, Fraction(0)) + size(2 * Fraction(s.weight) * Fraction(a)) * inner
                )
        for a, i, j in self.products:
            for k, other in ((i, j), (j, i)):
                found[k] = found.get(k, Fraction(0)) + size(Fraction(a) * x[other])
        return found


def _inner(s: Square, x: list[Fraction]) -> Fraction:
    return sum((Fraction(a) * x[i] for i, a in s.linear.items()), Fraction(s.constant))


def _magnitude(s: Square, x: list[Fraction]) -> Fraction:
    return sum((abs(Fraction(a) * x[i]) for i, a in s.linear.items()), abs(Fraction(s.constant)))


@dataclass
class Row:
    """lower ≤ body ≤ upper; an infinite side is none."""

    body: Body
    lower: float = -math.inf
    upper: float = math.inf
    active: bool = True


class ConeOf(NamedTuple):
    """A cone of pyomo.kernel.conic over these variables."""

    kind: str
    members: tuple[int, ...]
    alpha: float = 0.0


@dataclass
class Statement:
    """Minimise or maximise the objective over the rows, cones and bounds.

    ``optimum`` is the exact optimal value. ``sensitivity`` is Σ |multiplier| · terms over all rows
    there: by how much the optimum moves, relative to a move of all rows.
    """

    lower: list[float]
    upper: list[float]
    objective: Body
    maximise: bool = False
    rows: list[Row] = field(default_factory=list)
    cones: list[ConeOf] = field(default_factory=list)
    fixed: dict[int, float] = field(default_factory=dict)
    kind: str = ""
    verdict: str = "optimal"  # or "infeasible", "unbounded"
    optimum: Fraction | None = None
    sensitivity: float = 0.0

    @property
    def size(self) -> int:
        return len(self.lower)


def violation(cone: ConeOf, y: list[float]) -> tuple[float, float]:
    """By how much a point is outside of a cone, and the magnitude of the terms compared."""
    kind, a = cone.kind, cone.alpha
    if kind == "quadratic":
        length = math.hypot(*y[1:])
        return length - y[0], length + abs(y[0])
    if kind == "rotated_quadratic":
        # 2 r₁ r₂ ≥ ‖x‖², compared as lengths.
        length = math.hypot(*y[2:])
        heads = math.sqrt(2 * max(y[0], 0.0) * max(y[1], 0.0))
        outside = max(length - heads, -y[0], -y[1])
        return outside, length + heads + abs(y[0]) + abs(y[1])
    if kind == "primal_exponential":
        r, s, t = y
        terms = abs(r) + abs(s) + abs(t)
        outside = max(-r, -s)
        if s <= 1e-9 * terms:  # the closure: t ≤ 0 where s = 0
            return max(outside, t), terms
        power = t / s
        return max(outside, s * math.exp(power) - r if power < 600 else math.inf), terms
    if kind == "primal_power":
        length = math.hypot(*y[2:])
        heads = max(y[0], 0.0) ** a * max(y[1], 0.0) ** (1 - a)
        outside = max(length - heads, -y[0], -y[1])
        return outside, length + heads + abs(y[0]) + abs(y[1])
    raise AssertionError(kind)


def dual_violation(cone: ConeOf, w: list[float]) -> float:
    """The same for multipliers and the dual cone."""
    kind, a = cone.kind, cone.alpha
    if kind in ("quadratic", "rotated_quadratic"):
        return violation(cone, w)[0]
    if kind == "primal_exponential":
        u, v, t = w  # u ≥ −t exp(v/t − 1), t ≤ 0
        if t >= -1e-9 * (abs(u) + abs(v) + abs(t)):
            return max(-u, t, -v)
        power = v / t - 1
        return max(-u, -t * math.exp(power) - u if power < 600 else math.inf)
    if kind == "primal_power":
        heads = (max(w[0], 0.0) / a) ** a * (max(w[1], 0.0) / (1 - a)) ** (1 - a)
        return max(math.hypot(*w[2:]) - heads, -w[0], -w[1])
    raise AssertionError(kind)
