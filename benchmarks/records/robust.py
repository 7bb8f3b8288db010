"""(12), robust risk parity: a small portfolio beside cvxpy, large ones beside Clarabel itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import clarabel
import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from record import Record, pairs

from rrp_pyomo import CovarianceUncertainty, FactorCovariance, RobustRiskParity

# What conic solvers are asked for, and what every answer that was timed is held to: large peers are
# less accurate.
TOLERANCE = 1e-9
AGREED, THEIRS = 1e-7, 1e-4
SETTINGS = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), TOLERANCE)


def uncertainty(n: int, seed: int) -> CovarianceUncertainty:
    """Weekly returns on three factors, market betas around 1, loadings with their errors."""
    rng = np.random.default_rng([n, seed])
    V = np.vstack([rng.normal(1.0, 0.25, n), rng.normal(0.0, 0.4, (2, n))])
    covariance = FactorCovariance(V, np.diag([5e-4, 1e-4, 1e-4]), rng.uniform(2e-4, 2e-3, n))
    return CovarianceUncertainty.from_loading_errors(covariance, rng.uniform(0.03, 0.12, (3, n)))


def unit_of(u: CovarianceUncertainty) -> float:
    """The variance of equal weights, over n: everything is of order 1 in it."""
    loading = u.nominal.V.sum(axis=1)
    return float(loading @ u.nominal.F @ loading + u.nominal.D.sum()) / u.size**2


# --- cvxpy ----------------------------------------------------------------------------------------


def matrices(u: CovarianceUncertainty, omega: float) -> dict[str, Any]:
    """Σ⁰, a matrix whose norm is that of Σ^Δ, and the root of Σ̄, multiplied out, and Ω."""
    n, unit, nominal, worst = u.size, unit_of(u), u.nominal, u.worst_case
    Sigma = nominal.V.T @ nominal.F @ nominal.V
    Sigma[np.diag_indices(n)] += nominal.D
    maps = u.perturbation.norm_map.factors
    return {
        "Sigma": Sigma / unit,
        "Delta": sum(f.left @ f.right for f in maps) / unit,
        "systematic": np.linalg.cholesky(worst.F).T @ worst.V / np.sqrt(unit),
        "residual": np.sqrt(worst.D / unit),
        "Omega": u.penalty(omega),
    }


def stated(n: int, data: dict[str, Any]) -> cp.Problem:
    """(12) for numbers or parameters."""
    x, z = cp.Variable(n), cp.Variable(n)
    p, t, y = cp.Variable(), cp.Variable(), cp.Variable()
    risk = cp.hstack([data["systematic"] @ x, cp.multiply(data["residual"], x)])
    return cp.Problem(
        cp.Minimize(p - t),
        [
            cp.SOC(np.sqrt(n) * y, data["Delta"] @ x),
            data["Omega"] * y <= data["Sigma"] @ x - z,
            cp.SOC(n * x + z / n, cp.vstack([2 * t * np.ones(n), n * x - z / n])),
            cp.SOC(np.sqrt(n) * p, risk),
            cp.sum(x) == 1,
            t >= 0,
        ],
    )


def by_cvxpy(u: CovarianceUncertainty, omega: float = 1.0) -> float:
    problem = stated(u.size, matrices(u, omega))
    return float(problem.solve(solver=cp.CLARABEL, **SETTINGS)) * np.sqrt(unit_of(u))


class Parametrised:
    """(12) compiled by cvxpy once, for new numbers."""

    def __init__(self, n: int, u: CovarianceUncertainty) -> None:
        first = matrices(u, 1.0)
        self.data = {
            name: cp.Parameter(np.shape(value), nonneg=name == "Omega")
            for name, value in first.items()
        }
        self.problem = stated(n, self.data)
        self(u)

    def __call__(self, u: CovarianceUncertainty) -> float:
        for name, value in matrices(u, 1.0).items():
            self.data[name].value = value
        found = self.problem.solve(
            solver=cp.CLARABEL, warm_start=True, enforce_dpp=True, **SETTINGS
        )
        return float(found) * np.sqrt(unit_of(u))


# --- Clarabel itself ------------------------------------------------------------------------------


def by_clarabel(u: CovarianceUncertainty, omega: float) -> float:
    """(12) as a standard form written by hand, factored, z left out and x in multiples of 1/n.

    Columns x, f = V⁰x, g = (V* − V⁰)x, p, t, y.
    """
    n, m, unit = u.size, len(u.nominal.F), unit_of(u)
    nominal, (change, known) = u.nominal, u.perturbation.norm_map.factors
    eye, one = sp.identity(n, format="csc"), np.ones((n, 1))
    size = u.relative_size * n  # of y
    FV = nominal.V.T @ nominal.F / unit / n
    root, D = np.linalg.cholesky(nominal.F).T / np.sqrt(unit), sp.diags(nominal.D / unit / n**2)
    zero, few = sp.csc_matrix, np.eye(m)
    Omega = np.full((n, 1), u.penalty(omega) * size / n)
    # z / n and x, each a row: their sum, their difference, and 2 t are the cones of (12d).
    z = sp.hstack([D, FV, zero((n, m)), zero((n, 2)), -Omega])
    x = sp.hstack([eye, zero((n, 2 * m + 3))])
    two_t = sp.hstack([zero((n, n + 2 * m + 1)), 2 * one, zero((n, 1))])
    places = np.arange(3 * n).reshape(3, n).T.ravel()
    product = sp.vstack([x + z, x - z, two_t]).tocsr()[places]
    Delta = np.hstack([known.left, change.left]) / unit / size
    weight_of_y = sp.csr_matrix(([np.sqrt(n)], ([0], [n + 2 * m + 2])), (1, n + 2 * m + 3))
    weight_of_p = sp.csr_matrix(([np.sqrt(n)], ([0], [n + 2 * m])), (1, n + 2 * m + 3))
    rows = [
        sp.hstack([np.full((1, n), 1.0 / n), zero((1, 2 * m + 3))]),
        sp.hstack([nominal.V / n, -few, zero((m, m + 3))]),
        sp.hstack([change.right / n, zero((m, m)), -few, zero((m, 3))]),
        sp.csr_matrix(([1.0], ([0], [n + 2 * m + 1])), (1, n + 2 * m + 3)),
        product,
        weight_of_y,
        sp.hstack([zero((2 * m, n)), Delta, zero((2 * m, 3))]),
        weight_of_p,
        sp.hstack([zero((m, n)), root, root, zero((m, 3))]),
        sp.hstack([sp.diags(np.sqrt(nominal.D / unit)) / n, zero((n, 2 * m + 3))]),
    ]
    A = -sp.vstack(rows, format="csc")
    b = np.zeros(A.shape[0])
    b[0] = -1.0
    q = np.zeros(A.shape[1])
    q[n + 2 * m], q[n + 2 * m + 1] = 1.0, -1.0
    cones = [
        clarabel.ZeroConeT(1 + 2 * m),
        clarabel.NonnegativeConeT(1),
        *[clarabel.SecondOrderConeT(3)] * n,
        clarabel.SecondOrderConeT(1 + 2 * m),
        clarabel.SecondOrderConeT(1 + m + n),
    ]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    P = sp.csc_matrix((q.size, q.size))
    solution = clarabel.DefaultSolver(P, q, A, b, cones, settings).solve()
    return float(solution.obj_val) * np.sqrt(unit)


# --- what is asked of answers ---------------------------------------------------------------------


class Check:
    """Both answers in the problem that was stated: certified, and equally good.

    Attributes
    ----------
    residual, gap, apart : float
        The worst violation of (12b) to (12g), the worst proven gap relative to p, and by how much
        the objective that the peer says is off ours, relative to p.
    """

    def __init__(self) -> None:
        self.residual = self.gap = self.apart = 0.0

    def __call__(self, portfolio: Any, theirs: float) -> None:
        certificate = portfolio.certificate
        self.residual = max(self.residual, certificate.largest_residual)
        self.gap = max(self.gap, abs(certificate.relative_duality_gap))
        p = portfolio.under(self.worst).volatility / np.sqrt(portfolio.weights.size)
        self.apart = max(self.apart, abs(theirs - portfolio.objective) / p)
        if max(self.residual, self.gap) > AGREED or self.apart > THEIRS:
            raise RuntimeError(f"an answer does not stand: {certificate.summary()}; {self.apart:g}")

    def instances(self, n: int, count: int) -> Iterator[tuple[Any, Any]]:
        """Pairs of equal data, each a new object."""
        for seed in range(count + 1):
            self.worst = uncertainty(n, seed).worst_case
            yield uncertainty(n, seed), uncertainty(n, seed)

    def __str__(self) -> str:
        return (
            f"(12b)–(12g) hold to {self.residual:.1g}, gap ≤ {self.gap:.1g} p, theirs within "
            f"{self.apart:.1g} p"
        )


def ours(u: CovarianceUncertainty, omega: float = 1.0) -> Any:
    return RobustRiskParity(u, omega).solve()


def by_our_form(u: CovarianceUncertainty, omega: float) -> Any:
    return RobustRiskParity(u, omega).solve("clarabel")


CALLS = {1000: {"": ours, " by its conic form": by_our_form}, 20_000: {"": ours}}


def record(
    work: str,
    limit: float,
    n: int,
    count: int,
    peer: str,
    theirs: Callable[[Any], Any],
    call: Callable[[Any], Any] = ours,
) -> Record:
    check = Check()
    found = pairs(call, theirs, check.instances(n, count), check)
    return Record(work, found.ours, limit, str(check), peer, found.theirs, found.ratio)


def records() -> Iterator[Record]:
    yield record(
        "(12), n = 25, from an uncertainty set",
        0.2,
        25,
        61,
        "cvxpy from scratch, Clarabel",
        by_cvxpy,
    )
    yield record(
        "(12), n = 25, new numbers",
        0.5,
        25,
        101,
        "cvxpy with parameters, compiled before, Clarabel",
        Parametrised(25, uncertainty(25, 0)),
    )
    for n, omega, count in ((1000, 1.0, 9), (20_000, 0.5, 2)):
        peer = functools.partial(by_clarabel, omega=omega)
        for by, call in CALLS[n].items():
            yield record(
                f"(12), n = {n:,}{by}",
                1.1,
                n,
                count,
                "Clarabel on a form written by hand",
                peer,
                functools.partial(call, omega=omega),
            )
