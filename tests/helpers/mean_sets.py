"""Sets of means of five assets, each with its definition in cvxpy, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cvxpy as cp
import numpy as np
import pandas as pd

from rrp_pyomo.data import FactorCovariance
from rrp_pyomo.uncertainty import (
    Ball,
    Box,
    Budgeted,
    Ellipsoid,
    MeanSet,
    Point,
    Polyhedron,
    Vertices,
    hull,
)

ASSETS = list("abcde")
N = len(ASSETS)


class Case(NamedTuple):
    """A set, and what makes a cvxpy expression one of its elements."""

    given: MeanSet
    members: Callable[[Any], list[Any]]


def cases(seed: int = 0) -> dict[str, Case]:
    """Every kind of set, and what the algebra makes of them."""
    rng = np.random.default_rng(seed)
    c = pd.Series(rng.normal(0.006, 0.005, N), ASSETS)
    mu = c.to_numpy()
    delta = rng.uniform(0.001, 0.006, N)
    delta[1] = 0.0
    R = rng.normal(0.0, 0.002, (N, N))
    V, F, D = rng.normal(1.0, 0.5, (2, N)), np.diag([2e-3, 1e-3]), rng.uniform(1e-4, 1e-3, N)
    factored = FactorCovariance(pd.DataFrame(V, columns=ASSETS), F, D)
    dense = V.T @ F @ V + np.diag(D)
    A = rng.normal(size=(12, N))
    b = rng.uniform(0.004, 0.01, 24)
    points = mu + rng.normal(0.0, 0.004, (4, N))
    B = rng.normal(size=(N, 3))
    wide = rng.normal(size=(N, 7))
    f = rng.normal(0.004, 0.003, 7)
    width = np.where(delta > 0.0, delta, 1.0)

    def box(u, center=mu, widths=delta):
        return [cp.abs(u - center) <= widths]

    def ball(p, radius, center=mu):
        return lambda u: [cp.norm(u - center, p) <= radius]

    def ellipsoid(root, radius, center=mu):
        def members(u):
            y = cp.Variable(len(root))
            return [u == center + radius * root.T @ y, cp.norm(y, 2) <= 1]

        return members

    def budgeted(u):
        z = cp.Variable(N)
        return [u == mu + cp.multiply(delta, z), cp.norm(z, 1) <= 2.3, cp.norm(z, "inf") <= 1]

    def combinations(u, vertices=points):
        share = cp.Variable(len(vertices), nonneg=True)
        return [u == vertices.T @ share, cp.sum(share) == 1]

    def polyhedron(u):
        return [np.vstack([A, -A]) @ (u - mu) <= b]

    def total(*parts):
        def members(u):
            own = [cp.Variable(N) for _ in parts]
            rows = [row for part, v in zip(parts, own, strict=True) for row in part(v)]
            return [u == sum(own), *rows]

        return members

    def both(*parts):
        return lambda u: [row for part in parts for row in part(u)]

    def image(matrix, part):
        def members(u):
            g = cp.Variable(matrix.shape[1])
            return [u == matrix @ g, *part(g)]

        return members

    def boxes_hull(u):
        """Of two boxes: shares with a perspective that is linear."""
        s, v = cp.Variable(nonneg=True), cp.Variable(N)
        other = mu + 0.004
        return [
            s <= 1,
            cp.abs(v - s * mu) <= s * delta,
            cp.abs((u - v) - (1 - s) * other) <= (1 - s) * 0.002,
        ]

    def half_of_a_hull(u):
        s, v, share = cp.Variable(nonneg=True), cp.Variable(N), cp.Variable(4, nonneg=True)
        middle = (mu + points.mean(axis=0)) / 2
        return [
            cp.abs(v - s * mu) <= s * delta,
            cp.sum(share) == 1 - s,
            u == middle + 0.5 * (v + points.T @ share - middle),
        ]

    def composed(u):
        s, v, g = cp.Variable(nonneg=True), cp.Variable(N), cp.Variable(3)
        return [
            s <= 1,
            cp.abs(v - s * mu) <= s * width * 0.003,
            cp.norm(v - s * mu, 2) <= s * 0.005,
            cp.norm(g - f[:3], 2) <= 0.001,
            u == v + (1 - s) * (mu + 0.01) + B @ g,
        ]

    net = np.ones(N)
    shape = R.T @ R
    netted = shape - np.outer(shape @ net, shape @ net) / (net @ shape @ net)
    values, vectors = np.linalg.eigh(netted)
    net_root = (vectors * np.sqrt(values.clip(min=0.0))).T
    the_box, the_ball = Box(c, delta), Ball(c, 0.005)
    the_polyhedron = Polyhedron(c, np.vstack([A, -A]), b)
    the_budgeted = Budgeted(c, delta, 2.3)
    fine = Box(c, width * 0.003)
    shifted = Ball(c + 0.002, 0.006)
    found = {
        "point": (Point(c), lambda u: [u == mu]),
        "box": (the_box, box),
        "ball 1": (Ball(c, 0.005, 1), ball(1, 0.005)),
        "ball 2": (the_ball, ball(2, 0.005)),
        "ball inf": (Ball(c, 0.005, np.inf), ball("inf", 0.005)),
        "ellipsoid": (Ellipsoid(c, pd.DataFrame(shape, ASSETS, ASSETS), 1.7), ellipsoid(R, 1.7)),
        "flat ellipsoid": (Ellipsoid(c, root=R[:2], radius=0.7), ellipsoid(R[:2], 0.7)),
        "factored ellipsoid": (
            Ellipsoid(c, factored, 0.2),
            ellipsoid(np.linalg.cholesky(dense).T, 0.2),
        ),
        "zero net ellipsoid": (
            Ellipsoid(c, shape, 1.7, zero_net=True),
            ellipsoid(net_root, 1.7),
        ),
        "factored zero net": (
            Ellipsoid(c, factored, 0.2, zero_net=True),
            both(ellipsoid(np.linalg.cholesky(dense).T, 0.2), lambda u: [cp.sum(u - mu) == 0]),
        ),
        "budgeted": (the_budgeted, budgeted),
        "vertices": (Vertices(pd.DataFrame(points, columns=ASSETS)), combinations),
        "polyhedron": (the_polyhedron, polyhedron),
        "intersection": (
            fine & the_ball,
            both(lambda u: box(u, widths=width * 0.003), ball(2, 0.005)),
        ),
        "intersection of three": (
            the_ball & shifted & the_polyhedron,
            both(ball(2, 0.005), ball(2, 0.006, mu + 0.002), polyhedron),
        ),
        "sum": (
            the_box + Ball(0 * c, 0.002),
            total(box, ball(2, 0.002, np.zeros(N))),
        ),
        "hull of boxes": (the_box | Box(c + 0.004, 0.002), boxes_hull),
        "multiple of a hull": (
            0.5 * (the_box | Vertices(pd.DataFrame(points, columns=ASSETS))),
            half_of_a_hull,
        ),
        "factors": (
            Ball(f[:3], 0.004).through(pd.DataFrame(B, ASSETS)),
            image(B, ball(2, 0.004, f[:3])),
        ),
        "many factors and a residual": (
            Ball(f, 0.001, 1).through(pd.DataFrame(wide, ASSETS)) + Box(0 * c, 0.0005),
            total(
                image(wide, ball(1, 0.001, f)), lambda u: box(u, np.zeros(N), np.full(N, 0.0005))
            ),
        ),
        "intersection of a sum": (
            (fine + Ball(0 * c, 0.001)) & (the_budgeted + Ball(0 * c, 0.003)),
            both(
                total(lambda u: box(u, widths=width * 0.003), ball(2, 0.001, np.zeros(N))),
                total(budgeted, ball(2, 0.003, np.zeros(N))),
            ),
        ),
        "sum with a hull of an intersection": (
            hull(fine & the_ball, c + 0.01) + (B @ Ball(f[:3], 0.001)).through(np.eye(N), ASSETS),
            composed,
        ),
    }
    return {name: Case(given, members) for name, (given, members) in found.items()}


def largest(case: Case, direction: Any) -> float:
    """max of direction'u by cvxpy."""
    u = cp.Variable(N)
    problem = cp.Problem(cp.Maximize(direction @ (1e3 * u)), case.members(u))
    value = problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(value) / 1e3
