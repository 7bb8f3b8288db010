"""One model after the other in one solver object: other numbers, other rows, parts fixed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from natural import draw_natural, solved_exactly
from planted import Plant
from statement import Statement


def chain(rng: np.random.Generator, kernel: bool, length: int) -> Iterator[Statement | None]:
    """Statements with the same variables and rows, each with its truth; None where it is unsure."""
    if rng.random() < 0.5:
        plant = Plant(rng)
        stated = plant.draw(kernel)
        for _ in range(length):
            yield stated
            stated = _equivalent(stated, plant)
        return
    found = draw_natural(rng)
    if found is None:
        return
    for _ in range(length):
        yield found
        stated = _perturbed(stated=found, rng=rng)
        stated.verdict, stated.optimum = "optimal", None
        solved = solved_exactly(stated)
        yield solved
        found = solved or found


def _equivalent(old: Statement, plant: Plant) -> Statement:
    """Changes after which the planted point still is a solution."""
    stated, rng = copy.deepcopy(old), plant.rng
    kind = rng.choice(["objective", "constant", "rows", "fix", "slack", "again"])
    if kind == "objective":
        body = stated.objective
        largest = max([1.0, *map(abs, body.linear.values()), *(s.weight for s in body.squares)])
        factor = plant.power(3) if largest < 1e6 else 2.0**-10
        body.linear = {i: a * factor for i, a in body.linear.items()}
        body.constant *= factor
        for s in body.squares:
            s.weight *= factor
        stated.optimum *= Fraction(factor)
        stated.sensitivity *= factor
    elif kind == "constant":
        constant = plant.few()
        stated.objective.constant += constant
        stated.optimum = stated.objective.value(plant.x)
    elif kind == "rows":
        for row in stated.rows:
            factor = plant.power(2)
            row.body.linear = {i: a * factor for i, a in row.body.linear.items()}
            row.body.constant *= factor
            for s in row.body.squares:
                s.weight *= factor
            row.lower, row.upper = row.lower * factor, row.upper * factor
    elif kind == "fix":
        chosen = int(rng.integers(stated.size))
        heads = {i for cone in stated.cones for i in cone.members}
        if chosen in stated.fixed:
            del stated.fixed[chosen]
        elif chosen not in heads and len(stated.fixed) < stated.size - 1:
            stated.fixed[chosen] = float(plant.x[chosen])
    elif kind == "slack":
        for row in stated.rows:
            at = row.body.value(plant.x)
            if row.lower < at < row.upper and at != 0:
                row.active = not row.active or plant.chance(0.5)
    return stated


def _perturbed(stated: Statement, rng: np.random.Generator) -> Statement:
    """Other numbers, fixed variables, rows switched off."""
    stated = copy.deepcopy(stated)
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.choice(["cost", "side", "coefficient", "bound", "fix", "switch"])
        i = int(rng.integers(stated.size))
        factor = float(
            rng.choice([0.5, 0.9, 1.1, 2.0, 3.0, -1.0], p=[0.2, 0.2, 0.2, 0.2, 0.15, 0.05])
        )
        if kind == "cost":
            linear = stated.objective.linear
            stated.objective.linear = {j: a * factor if j == i else a for j, a in linear.items()}
        elif kind == "bound" and factor > 0:
            stated.upper[i] = stated.upper[i] * factor if stated.upper[i] > 0 else stated.upper[i]
        elif kind == "fix":
            if i in stated.fixed:
                del stated.fixed[i]
            elif len(stated.fixed) < stated.size - 1:
                stated.fixed[i] = min(max(0.0, stated.lower[i]), stated.upper[i])
        elif stated.rows:
            row = stated.rows[int(rng.integers(len(stated.rows)))]
            if kind == "switch":
                row.active = not row.active
            elif kind == "side" and factor > 0:
                row.lower, row.upper = row.lower * factor, row.upper * factor
            elif kind == "coefficient":
                j = int(rng.choice(list(row.body.linear)))
                row.body.linear[j] *= factor
    return stated
