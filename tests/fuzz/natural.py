"""Linear models as people write them, with magnitudes as they come; HiGHS's basis, exactly."""

from __future__ import annotations

import math
from fractions import Fraction

import highspy
import numpy as np
from statement import Body, Row, Statement

INF = math.inf
LARGEST = 1e9


def draw_natural(rng: np.random.Generator) -> Statement | None:
    """A linear model of a random family, or None where no reference can say what is true."""
    family = FAMILIES[int(rng.integers(len(FAMILIES)))]
    stated = family(rng)
    stated.kind = family.__name__
    if rng.random() < 0.3:
        _rescaled(stated, rng)
    if rng.random() < 0.3:
        stated.maximise = True
        stated.objective.linear = {i: -a for i, a in stated.objective.linear.items()}
    if rng.random() < 0.15:
        i = int(rng.integers(stated.size))
        low, high = stated.lower[i], stated.upper[i]
        stated.fixed[i] = low if low > -INF else min(high, 0.0)
    return solved_exactly(stated)


def _round(value: float, digits: int = 3) -> float:
    return float(f"{value:.{digits}g}")


def _magnitude(rng: np.random.Generator, low: float, high: float) -> float:
    value = 10.0 ** rng.uniform(low, high)
    return 10.0 ** round(math.log10(value)) if rng.random() < 0.5 else _round(value)


def penalties(rng: np.random.Generator) -> Statement:
    """Cover demand cheaply; what is missing costs a penalty."""
    n, m = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    size = _magnitude(rng, -1, 4)
    cost = {i: _round(_magnitude(rng, -3, 1)) for i in range(n)}
    upper = [_round(size * rng.uniform(0.3, 2)) for _ in range(n)]
    rows = []
    for k in range(m):
        slack = n + k
        cost[slack] = _magnitude(rng, 1, 9)
        chosen = [i for i in range(n) if rng.random() < 0.7] or [0]
        linear = {i: 1.0 if rng.random() < 0.6 else _round(rng.uniform(0.2, 3)) for i in chosen}
        reach = sum(a * upper[i] for i, a in linear.items())
        rows.append(Row(Body({**linear, slack: 1.0}), _round(reach * rng.uniform(0.1, 1.2))))
    return Statement([0.0] * (n + m), upper + [INF] * m, Body(cost), rows=rows)


def big_m(rng: np.random.Generator) -> Statement:
    """Rows with one coefficient far larger than the others."""
    n = int(rng.integers(2, 6))
    rows = []
    for _ in range(int(rng.integers(1, 5))):
        linear = {i: _round(rng.uniform(0.1, 3)) for i in range(n) if rng.random() < 0.6}
        linear[int(rng.integers(n))] = _magnitude(rng, 2, 9)
        rows.append(Row(Body(linear), _round(rng.uniform(0.5, 5) * _magnitude(rng, -1, 3))))
    cost = {i: _round(rng.uniform(0.1, 3)) * _magnitude(rng, -2, 6) for i in range(n)}
    upper = [INF if rng.random() < 0.7 else _magnitude(rng, 0, 4) for _ in range(n)]
    return Statement([0.0] * n, upper, Body(cost), rows=rows)


def transport(rng: np.random.Generator) -> Statement:
    """Supplies and demands; degenerate where sums agree."""
    a, b = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    unit = _magnitude(rng, -3, 6)
    demand = [int(rng.integers(1, 9)) for _ in range(b)]
    supply = [max(1, sum(demand) // a + int(rng.integers(0, 3))) for _ in range(a)]
    cost = {i * b + j: _round(rng.uniform(1, 9)) for i in range(a) for j in range(b)}
    rows = [Row(Body({i * b + j: 1.0 for j in range(b)}), -INF, supply[i] * unit) for i in range(a)]
    for j in range(b):
        body = Body({i * b + j: 1.0 for i in range(a)})
        equal = rng.random() < 0.5
        rows.append(Row(body, demand[j] * unit, demand[j] * unit if equal else INF))
    return Statement([0.0] * (a * b), [INF] * (a * b), Body(cost), rows=rows)


def scattered(rng: np.random.Generator) -> Statement:
    """Any rows, any bounds; feasible or not, bounded or not."""
    n, m = int(rng.integers(1, 7)), int(rng.integers(0, 7))
    span = float(rng.choice([0, 1, 2, 3]))
    columns = [_magnitude(rng, -span, span) for _ in range(n)]
    lower, upper = [], []
    for s in columns:
        side = rng.random()
        lower.append(0.0 if side < 0.5 else -INF if side < 0.7 else _round(-s * rng.uniform(0, 3)))
        upper.append(INF if rng.random() < 0.5 else lower[-1] + s if lower[-1] > -INF else s)
    rows = []
    for _ in range(m):
        size = _magnitude(rng, -span, span)
        chosen = [i for i in range(n) if rng.random() < 0.6] or [int(rng.integers(n))]
        linear = {i: _round(rng.normal() * size / columns[i]) or 1.0 for i in chosen}
        at = _round(rng.normal() * size)
        side = rng.random()
        if side < 0.2:
            rows.append(Row(Body(linear), at, at))
        elif side < 0.4:
            rows.append(Row(Body(linear), at, at + size))
        else:
            rows.append(Row(Body(linear), at) if side < 0.6 else Row(Body(linear), -INF, at))
    cost = {i: _round(rng.normal() / columns[i]) or 1.0 for i in range(n) if rng.random() < 0.9}
    return Statement(lower, upper, Body(cost or {0: 1.0}), rows=rows)


def deviations(rng: np.random.Generator) -> Statement:
    """Least absolute deviations from data that are far from zero."""
    points, n = int(rng.integers(2, 7)), int(rng.integers(1, 3))
    shift = _magnitude(rng, 0, 6)
    rows, cost = [], {}
    for k in range(points):
        over, under = n + 2 * k, n + 2 * k + 1
        linear = {i: _round(rng.normal()) or 1.0 for i in range(n)} | {over: 1.0, under: -1.0}
        rows.append(Row(Body(linear), b := _round(shift + rng.normal(), 9), b))
        cost |= {over: 1.0, under: 1.0}
    size = n + 2 * points
    return Statement([-INF] * n + [0.0] * (size - n), [INF] * size, Body(cost), rows=rows)


def investment(rng: np.random.Generator) -> Statement:
    """A budget, caps, turnover at a cost, and returns in a small unit."""
    n = int(rng.integers(2, 6))
    budget, unit = _magnitude(rng, -1, 8), _magnitude(rng, -6, 0)
    held = [_round(budget * v) for v in rng.dirichlet(np.ones(n))]
    rows = [Row(Body(dict.fromkeys(range(n), 1.0)), budget, budget)]
    cost = {i: -_round(unit * rng.normal(), 4) for i in range(n)}
    for i in range(n):
        rows.append(Row(Body({i: 1.0, n + i: -1.0}), -INF, held[i]))
        rows.append(Row(Body({i: 1.0, n + i: 1.0}), held[i]))
        cost[n + i] = _round(0.1 * unit)
    cap = [_round(budget * rng.uniform(1.0 / n, 1.0)) + budget / n for _ in range(n)]
    return Statement([0.0] * (2 * n), cap + [INF] * n, Body(cost), rows=rows)


def _rescaled(stated: Statement, rng: np.random.Generator) -> None:
    """The same in other units."""
    cost = stated.objective.linear
    factor = min(_magnitude(rng, -6, 6), LARGEST / max(map(abs, cost.values())))
    stated.objective.linear = {i: a * factor for i, a in cost.items()}
    if rng.random() < 0.5 and stated.rows:
        row = stated.rows[int(rng.integers(len(stated.rows)))]
        factor = min(_magnitude(rng, -6, 6), LARGEST / max(map(abs, row.body.linear.values())))
        row.body.linear = {i: a * factor for i, a in row.body.linear.items()}
        row.lower, row.upper = row.lower * factor, row.upper * factor


FAMILIES = (penalties, penalties, big_m, transport, scattered, scattered, deviations, investment)


# --- the reference -------------------------------------------------------------------------------


def solved_exactly(stated: Statement) -> Statement | None:
    """The statement with its optimum, from the basis at which HiGHS stops, verified exactly."""
    free = [i for i in range(stated.size) if i not in stated.fixed]
    rows = [row for row in stated.rows if row.active]
    place = {i: k for k, i in enumerate(free)}
    n = len(free)
    sign = -1 if stated.maximise else 1
    held = [{i: a for i, a in row.body.linear.items() if i in stated.fixed} for row in rows]
    moved = [
        sum((Fraction(a) * Fraction(stated.fixed[i]) for i, a in part.items()), Fraction(0))
        for part in held
    ]
    A = [{place[i]: Fraction(a) for i, a in row.body.linear.items() if i in place} for row in rows]
    c = {place[i]: sign * Fraction(a) for i, a in stated.objective.linear.items() if i in place}
    low = [_exact(stated.lower[i]) for i in free]
    high = [_exact(stated.upper[i]) for i in free]
    low += [
        None if r.lower == -INF else Fraction(r.lower) - s for r, s in zip(rows, moved, strict=True)
    ]
    high += [
        None if r.upper == INF else Fraction(r.upper) - s for r, s in zip(rows, moved, strict=True)
    ]
    status, basis = _by_highs(n, A, c, low, high)
    if status in ("Infeasible", "Unbounded"):
        proven = _is_infeasible if status == "Infeasible" else _is_unbounded
        if not proven(n, A, c, low, high):
            return None
        stated.verdict = status.lower()
        return stated
    if status != "Optimal":
        return None
    solved = _at_basis(n, A, c, low, high, basis)
    if solved is None:
        return None
    x, multipliers = solved
    full = [
        Fraction(stated.fixed[i]) if i in stated.fixed else x[place[i]] for i in range(stated.size)
    ]
    stated.optimum = stated.objective.value(full)
    stated.sensitivity = float(
        sum(
            abs(y) * sum(abs(a * x[j]) for j, a in row.items())
            for y, row in zip(multipliers, A, strict=True)
        )
    )
    return stated


def _exact(value: float) -> Fraction | None:
    return None if math.isinf(value) else Fraction(value)


def _by_highs(n, A, c, low, high):
    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    h.setOptionValue("threads", 1)
    h.setOptionValue("primal_feasibility_tolerance", 1e-10)
    h.setOptionValue("dual_feasibility_tolerance", 1e-10)

    def number(v, default):
        return default if v is None else float(v)

    for j in range(n):
        h.addCol(float(c.get(j, 0)), number(low[j], -INF), number(high[j], INF), 0, [], [])
    for k, row in enumerate(A):
        h.addRow(
            number(low[n + k], -INF),
            number(high[n + k], INF),
            len(row),
            list(row),
            [float(a) for a in row.values()],
        )
    h.run()
    basis = h.getBasis()
    return h.modelStatusToString(h.getModelStatus()), [*basis.col_status, *basis.row_status]


def _at_basis(n, A, c, low, high, basis):
    """Point and row multipliers of a basis, if it is optimal to many digits."""
    kind = highspy.HighsBasisStatus
    at: list[Fraction | None] = []
    for lo, hi, status in zip(low, high, basis, strict=True):
        if status == kind.kBasic:
            at.append(None)
        elif status == kind.kUpper:
            at.append(hi)
        else:
            at.append(lo if lo is not None else hi if hi is not None else Fraction(0))
    if any(v is None and s != kind.kBasic for v, s in zip(at, basis, strict=True)):
        return None
    basic = [j for j, s in enumerate(basis) if s == kind.kBasic]
    m = len(A)
    if len(basic) != m:
        return None
    # Row k: Σ a x − r_k = 0.
    columns = {
        j: [A[k].get(j, Fraction(0)) if j < n else Fraction(-(j - n == k)) for k in range(m)]
        for j in range(n + m)
    }
    rhs = [
        -sum((columns[j][k] * at[j] for j in range(n + m) if at[j] is not None), Fraction(0))
        for k in range(m)
    ]
    values = _solve([[columns[j][k] for j in basic] for k in range(m)], rhs)
    costs = _solve([columns[j] for j in basic], [c.get(j, Fraction(0)) for j in basic])
    if values is None or costs is None:
        return None
    for j, v in zip(basic, values, strict=True):
        at[j] = v
    for j in range(n + m):
        size = Fraction(1, 10**9) * (1 + abs(at[j]))
        if (low[j] is not None and at[j] < low[j] - size) or (
            high[j] is not None and at[j] > high[j] + size
        ):
            return None
    for j in range(n + m):
        if basis[j] == kind.kBasic or low[j] == high[j]:
            continue
        reduced = c.get(j, Fraction(0)) - sum(columns[j][k] * costs[k] for k in range(m))
        size = Fraction(1, 10**9) * (
            abs(c.get(j, Fraction(0))) + sum(abs(columns[j][k] * costs[k]) for k in range(m))
        )
        if (at[j] == low[j] and reduced < -size) or (at[j] == high[j] and reduced > size):
            return None
        if low[j] is None and high[j] is None and abs(reduced) > size:
            return None
    return at[:n], costs


def _solve(matrix, rhs):
    """Gaussian elimination in fractions; None where the matrix is singular."""
    m = len(rhs)
    rows = [[*row, b] for row, b in zip(matrix, rhs, strict=True)]
    for k in range(m):
        pivot = next((r for r in range(k, m) if rows[r][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for r in range(m):
            if r != k and rows[r][k]:
                factor = rows[r][k]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[k], strict=True)]
    return [row[m] for row in rows]


def _value(n, A, c, low, high):
    """The exact optimal value, None where HiGHS finds none or its basis is not optimal."""
    status, basis = _by_highs(n, A, c, low, high)
    solved = _at_basis(n, A, c, low, high, basis) if status == "Optimal" else None
    return None if solved is None else sum((v * solved[0][j] for j, v in c.items()), Fraction(0))


def _is_infeasible(n, A, c, low, high):
    """Whether rows must be violated, clearly: by slacks in units of each row's largest number."""
    elastic, costs = [dict(row) for row in A], {}
    slacks = 0
    for k, row in enumerate(elastic):
        sides = [abs(v) for v in (low[n + k], high[n + k]) if v is not None]
        size = max([abs(a) for a in row.values()] + sides, default=Fraction(1)) or Fraction(1)
        for sign in (1, -1):
            row[n + slacks] = sign * size
            costs[n + slacks] = Fraction(1)
            slacks += 1
    wide_low = [*low[:n], *([Fraction(0)] * slacks), *low[n:]]
    wide_high = [*high[:n], *([None] * slacks), *high[n:]]
    violation = _value(n + slacks, elastic, costs, wide_low, wide_high)
    return violation is not None and violation > Fraction(1, 10**4)


def _is_unbounded(n, A, c, low, high):
    """Whether the optimum within a box goes on falling with the size of the box."""

    def boxed(size):
        return _value(
            n, A, c,
            [Fraction(-size) if v is None else v for v in low[:n]] + low[n:],
            [Fraction(size) if v is None else v for v in high[:n]] + high[n:],
        )  # fmt: skip

    small, large = boxed(10**9), boxed(10**11)
    if small is None or large is None:
        return False
    return large < 50 * small < 0
