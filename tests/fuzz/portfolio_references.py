"""Answers to portfolio problems by NumPy, SciPy and cvxpy, from the definitions."""

from __future__ import annotations

import math
from typing import Any

import cvxpy as cp
import numpy as np
from scipy.optimize import linprog, minimize


def perturbation(V: Any, W: Any, F: Any) -> Any:
    """(V + W)'F(V + W) − V'FV without the cancellation."""
    cross = V.T @ F @ W
    return cross + cross.T + W.T @ F @ W


def has_risks(Sigma: Any, rows: list[Any]) -> bool:
    """Whether some weights of the set have marginal risks that are clearly positive."""
    n = len(Sigma)
    S = Sigma / np.abs(Sigma).max()
    A, b = [np.append(-row, 1.0) for row in S], [0.0] * n  # Σx ≥ τ
    for a, low, high in rows:
        for sign, bound in ((-1.0, -low), (1.0, high)):
            if math.isfinite(bound):
                A.append(np.append(sign * np.asarray(a, float), 0.0))
                b.append(bound)
    c = np.append(np.zeros(n), -1.0)
    bounds = [(0, None)] * n + [(None, None)]
    found = linprog(c, A, b, [np.append(np.ones(n), 0.0)], [1.0], bounds)
    return bool(found.status == 0 and -found.fun > 1e-6)


def parity(Sigma: Any, b: Any) -> Any:
    """Risk parity by the convex log form."""
    d = np.sqrt(Sigma.diagonal())
    C = Sigma / np.outer(d, d)

    def function(y: Any) -> tuple[float, Any]:
        e = np.exp(y)
        return 0.5 * e @ C @ e - b @ y, e * (C @ e) - b

    y = minimize(function, np.zeros(len(b)), jac=True, tol=1e-14, method="BFGS").x
    for _ in range(50):
        e = np.exp(y)
        gradient = e * (C @ e) - b
        step = np.linalg.solve(np.outer(e, e) * C + np.diag(e * (C @ e)), gradient)
        y = y - step * min(1.0, 1.0 / np.abs(step).max(initial=1e-300))
    x = np.exp(y) / d
    return x / x.sum()


def optimum(
    Sigma: Any, worst: Any, Delta: Any, Omega: float, b: Any, rows: list[Any]
) -> tuple[float, float, float] | None:
    """p − t and p of (11) or (12), in the unit of the equally weighted portfolio, and that unit.

    None where cvxpy finds no optimum.
    """
    n = len(b)
    unit = float(np.ones(n) @ Sigma @ np.ones(n)) / n**3
    unit = max(unit, float(Sigma.trace()) / n**3)
    # In X = n x, Z = z / n, Y = y / n, with p and t as they are stated.
    S, D = Sigma / unit / n**2, Delta / unit / n**2
    values, vectors = np.linalg.eigh(worst / unit / n**2)
    root = np.sqrt(values.clip(0))[:, None] * vectors.T
    x, z, y, p, t = cp.Variable(n), cp.Variable(n), cp.Variable(), cp.Variable(), cp.Variable()
    constraints = [x >= 0, z >= 0, p >= 0, t >= 0, cp.sum(x) == n]  # x in multiples of 1/n
    constraints += [cp.norm(D @ x) <= y * np.sqrt(n), Omega * y <= S @ x - z]
    for i in range(n):
        constraints.append(cp.SOC(x[i] + z[i], cp.hstack([2 * np.sqrt(n * b[i]) * t, x[i] - z[i]])))
    constraints.append(cp.norm(root @ x) <= np.sqrt(n) * p)
    for a, low, high in rows:
        if low > -math.inf:
            constraints.append(a @ x / n >= low)
        if high < math.inf:
            constraints.append(a @ x / n <= high)
    reference = cp.Problem(cp.Minimize(p - t), constraints)
    for tolerance in (1e-10, 1e-8):
        try:
            options = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance)
            reference.solve(solver="CLARABEL", **options)
        except cp.SolverError:
            continue
        if reference.status == "optimal":
            break
    else:
        return None
    return float(reference.value), float(p.value), float(np.sqrt(unit))
