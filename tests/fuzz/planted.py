"""Random convex models whose solution is known: the objective is made to fit chosen multipliers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from statement import Body, ConeOf, Row, Square, Statement

INF = math.inf


class Plant:
    """Draws numbers of a few bits, so that the planted point is a solution in exact arithmetic."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        #: How many orders of magnitude the columns, rows, multipliers and squares span.
        wild = rng.random() < 0.6
        self.column_span, self.row_span, self.dual_span = (
            float(rng.choice([0, 1, 3, 5])) if wild else 0.0 for _ in range(3)
        )
        self.cost = self.power(float(rng.choice([0, 2, 4, 6])) if wild else 0.0)

    def power(self, span: float) -> float:
        """A power of two, up to 10^±span."""
        return 2.0 ** round(float(self.rng.uniform(-span, span)) * math.log2(10))

    def few(self, low: float = -4.0, high: float = 4.0) -> float:
        """A number of few bits that is not zero."""
        value = 0.0
        while value == 0.0:
            value = round(float(self.rng.uniform(low, high)) * 16) / 16
        return value

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def draw(self, kernel_cones: bool) -> Statement:
        """A model with an optimum."""
        rng = self.rng
        n = int(rng.integers(1, 9))
        shift = self.power(4) if self.chance(0.15) else 0.0
        scale = [self.power(self.column_span) for _ in range(n)]
        x = [scale[i] * (self.few() + shift * self.chance(0.7)) for i in range(n)]
        self.x, self.scale = [Fraction(v) for v in x], scale
        self.gradient = [Fraction(0)] * n
        self.sensitivity = 0.0
        self.lower, self.upper = [-INF] * n, [INF] * n
        self.rows: list[Row] = []
        self.cones: list[ConeOf] = []
        for _ in range(int(rng.integers(0, 3)) if self.chance(0.6) else 0):
            self.cone(kernel_cones)
        n = len(self.scale)
        for _ in range(int(rng.integers(0, n + 3))):
            self.row()
        if self.chance(0.25):
            self.ball()
        for i in range(n):
            self.bound(i)
        return self.objective()

    # --- parts ----------------------------------------------------------------------------------

    def multiplier(self) -> float:
        return (
            0.0 if self.chance(0.15) else abs(self.few()) * self.power(self.dual_span) * self.cost
        )

    def add(self, body: Body, multiplier: float) -> None:
        """∇f += multiplier ∇body."""
        for i, g in body.gradient(self.x).items():
            self.gradient[i] += Fraction(multiplier) * g
        self.sensitivity += abs(multiplier) * body.expanded(self.x)

    def row(self) -> None:
        rng, n = self.rng, len(self.scale)
        chosen = rng.choice(n, int(rng.integers(1, min(n, 5) + 1)), replace=False).tolist()
        size = self.power(self.row_span)
        body = Body({i: self.few() * size / self.scale[i] for i in chosen})
        if self.chance(0.2):
            body.constant = self.few() * size
        at = float(body.value(self.x))
        if Fraction(at) != body.value(self.x):
            return
        gap = abs(self.few()) * size
        side = rng.choice(
            ["equal", "lower", "upper", "lower range", "upper range", "slack", "none"]
        )
        λ = self.multiplier() / size
        low = {
            "equal": at,
            "lower": at,
            "lower range": at,
            "slack": at - gap,
            "upper range": at - gap,
        }
        high = {"equal": at, "upper": at, "upper range": at, "lower range": at + gap}
        if side == "slack" and self.chance(0.5):
            high["slack"] = at + gap
        if side == "equal" and self.chance(0.5):
            λ = -λ
        if side in ("slack", "none"):
            λ = 0.0
        sign = -1.0 if side.startswith("upper") else 1.0
        self.rows.append(Row(body, low.get(side, -INF), high.get(side, INF)))
        self.add(body, sign * λ)

    def ball(self) -> None:
        """Σ (F x + g)² + a'x ≤ c, active or not."""
        rng, n = self.rng, len(self.scale)
        size = self.power(self.row_span)
        squares = []
        for _ in range(int(rng.integers(1, 4))):
            chosen = rng.choice(n, int(rng.integers(1, min(n, 3) + 1)), replace=False).tolist()
            linear = {i: self.few() / self.scale[i] for i in chosen}
            constant = self.few() if self.chance(0.4) else 0.0
            squares.append(Square(size * abs(self.few()), linear, constant))
        linear = {int(rng.integers(n)): self.few()} if self.chance(0.4) else {}
        linear = {i: a * size / self.scale[i] for i, a in linear.items()}
        body = Body(linear, 0.0, squares)
        at = body.value(self.x)
        if Fraction(float(at)) != at:
            return
        active = self.chance(0.7) and float(at) > 0
        upper = float(at) + (0.0 if active else size * abs(self.few()))
        self.add(body, -self.multiplier() / size if active else 0.0)
        self.rows.append(Row(body, -INF, upper))

    def bound(self, i: int) -> None:
        x, s = float(self.x[i]), self.scale[i]
        side = self.rng.choice(
            ["free", "lower", "upper", "slack", "both", "fixed"],
            p=[0.3, 0.25, 0.1, 0.15, 0.15, 0.05],
        )
        if (self.lower[i], self.upper[i]) != (-INF, INF):
            return
        cost = self.multiplier() / s
        if side in ("lower", "both", "fixed"):
            self.lower[i] = x
        if side in ("upper", "fixed"):
            self.upper[i] = x
        if side == "both":
            self.upper[i] = x + abs(self.few()) * s
        if side == "slack":
            self.lower[i] = x - abs(self.few()) * s
            self.upper[i] = x + abs(self.few()) * s if self.chance(0.5) else INF
        if side in ("free", "slack"):
            cost = 0.0
        self.gradient[i] += Fraction(-cost if side == "upper" else cost)
        self.sensitivity += abs(cost * x)

    def cone(self, kernel: bool) -> None:
        """New variables in a cone, on its boundary with a multiplier, or inside."""
        rng = self.rng
        kinds = ["quadratic", "rotated_quadratic"]
        if kernel:
            kinds += ["primal_exponential", "primal_power"]
        kind = str(rng.choice(kinds))
        scale = self.power(min(self.column_span, 3.0))
        if kind == "quadratic":
            y, w = self.lorentz()
        elif kind == "rotated_quadratic":
            y, w = self.rotated()
        elif kind == "primal_exponential":
            y, w = self.exponential()
        else:
            alpha = float(rng.choice([0.25, 0.5, 0.75, 0.3]))
            y, w = self.powered(alpha)
        inside = self.chance(0.2)
        if inside:
            y[0], w = y[0] + abs(self.few()), [0.0] * len(y)
        λ = abs(self.few()) * self.power(self.dual_span) * self.cost / scale
        first = len(self.scale)
        members = tuple(range(first, first + len(y)))
        self.cones.append(ConeOf(kind, members, alpha if kind == "primal_power" else 0.0))
        for v, u in zip(y, w, strict=True):
            self.x.append(Fraction(v * scale))
            self.scale.append(scale)
            self.gradient.append(Fraction(λ * u))
            self.lower.append(-INF)
            self.upper.append(INF)
            self.sensitivity += abs(λ * u * v * scale)
        heads = {"quadratic": 1}.get(kind, 2)
        for k in members[:heads]:
            self.lower[k] = 0.0

    def lorentz(self) -> tuple[list[float], list[float]]:
        triples = [
            (5, 3, 4),
            (3, 1, 2, 2),
            (7, 2, 3, 6),
            (9, 1, 4, 8),
            (13, 5, 12),
            (1, 1),
            (11, 2, 6, 9),
        ]
        r, *u = triples[int(self.rng.integers(len(triples)))]
        u = [v * float(self.rng.choice([-1, 1])) for v in u]
        return [r / 4, *(v / 4 for v in u)], [float(r), *(-v for v in u)]

    def rotated(self) -> tuple[list[float], list[float]]:
        """2 r₁ r₂ = ‖u‖²; the multiplier is (r₂, r₁, −u)."""
        a, b = float(self.rng.choice([0.5, 1, 2])), float(self.rng.choice([0.5, 1, 2]))
        t = self.power(2)
        u = {1: [1, 1], 0.5: [1], 2: [2], 0.25: [0.5, 0.5], 4: [2, 2]}[a * b]
        # ‖u‖² = 2ab; u as listed has 2ab for these products.
        u = [v * float(self.rng.choice([-1, 1])) for v in u]
        return [a * t, b / t, *u], [b / t, a * t, *(-v for v in u)]

    def exponential(self) -> tuple[list[float], list[float]]:
        """r ≥ s exp(t/s): the gradient of r − s exp(t/s)."""
        s = abs(self.few(0.25, 4.0))
        q = self.few(-3.0, 3.0)
        e = math.exp(q)
        return [s * e, s, s * q], [1.0, -(1 - q) * e, -e]

    def powered(self, alpha: float) -> tuple[list[float], list[float]]:
        """r₁^α r₂^(1−α) ≥ |u|, rounded to the inside."""
        a, b = abs(self.few(0.25, 4.0)), abs(self.few(0.25, 4.0))
        u = a**alpha * b ** (1 - alpha)
        sign = float(self.rng.choice([-1, 1]))
        return [a, b, sign * u], [alpha * u / a, (1 - alpha) * u / b, -sign]

    # --- the objective --------------------------------------------------------------------------

    def objective(self) -> Statement:
        """f with ∇f(x) = Σ multiplier ∇body + …: its linear part is what the squares leave."""
        rng, n = self.rng, len(self.scale)
        body = Body()
        if self.chance(0.45):
            for _ in range(int(rng.integers(1, n + 2))):
                chosen = rng.choice(n, int(rng.integers(1, min(n, 3) + 1)), replace=False).tolist()
                linear = {i: self.few() / self.scale[i] for i in chosen}
                constant = self.few() if self.chance(0.3) else 0.0
                weight = self.cost * self.power(self.dual_span / 2)
                body.squares.append(Square(weight, linear, constant))
        slope = body.gradient(self.x)
        for i in range(n):
            c = float(self.gradient[i] - slope.get(i, 0))
            if c:
                body.linear[i] = c
        if self.chance(0.3):
            body.constant = self.few() * self.cost
        maximise = self.chance(0.3)
        if maximise:
            body = negative(body)
        return Statement(
            self.lower, self.upper, body, maximise, self.rows, self.cones,
            kind="planted", optimum=body.value(self.x), sensitivity=self.sensitivity,
        )  # fmt: skip


def negative(body: Body) -> Body:
    """−body."""
    return Body(
        {i: -a for i, a in body.linear.items()},
        -body.constant,
        [Square(-s.weight, s.linear, s.constant) for s in body.squares],
        [(-a, i, j) for a, i, j in body.products],
    )


def infeasible(plant: Plant, stated: Statement) -> Statement:
    """Rows that no point meets, clearly: their combination is 0 ≥ something positive."""
    rng, n = plant.rng, stated.size
    count = int(rng.integers(1, 4))
    total: dict[int, Fraction] = {}
    at = Fraction(0)
    sizes = []
    for _ in range(count):
        size = plant.power(plant.row_span)
        chosen = rng.choice(n, int(rng.integers(1, min(n, 4) + 1)), replace=False).tolist()
        linear = {i: plant.few() * size / plant.scale[i] for i in chosen}
        row = Row(Body(linear), float(Body(linear).value(plant.x)))
        stated.rows.append(row)
        sizes.append(Body(linear).terms(plant.x) / size)
        for i, a in linear.items():
            total[i] = total.get(i, Fraction(0)) + Fraction(a) / Fraction(size)
        at += Fraction(row.lower) / Fraction(size)
    last = {i: float(a) for i, a in total.items() if a}
    margin = (1 + max(sizes) + abs(float(at))) * float(rng.choice([0.03, 0.3, 3.0]))
    size = plant.power(plant.row_span)
    upper = float((at - Fraction(margin)) * Fraction(size))
    stated.rows.append(Row(Body({i: a * size for i, a in last.items()}), -INF, upper))
    order = rng.permutation(len(stated.rows))
    stated.rows = [stated.rows[k] for k in order]
    stated.verdict, stated.optimum, stated.kind = "infeasible", None, "infeasible"
    return stated


def unbounded(plant: Plant, stated: Statement) -> Statement:
    """A free direction that improves the objective and is in no other row but sensible ones."""
    n = stated.size
    stated.lower.append(-INF if plant.chance(0.5) else plant.few())
    stated.upper.append(INF)
    plant.scale.append(plant.power(plant.column_span))
    sign = -1.0 if not stated.maximise else 1.0
    cost = max((abs(a) for a in stated.objective.linear.values()), default=1.0)
    stated.objective.linear[n] = sign * abs(plant.few()) * cost
    for row in stated.rows:
        if row.body.is_linear and row.lower == -INF and row.upper < INF and plant.chance(0.5):
            size = max(abs(a) for a in row.body.linear.values())
            row.body.linear[n] = -abs(plant.few()) * size
            if stated.lower[n] > -INF:
                row.upper += row.body.linear[n] * stated.lower[n]
    stated.verdict, stated.optimum, stated.kind = "unbounded", None, "unbounded"
    return stated
