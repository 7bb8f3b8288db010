"""Sets of covariances against the adversary's own problem, member by member and cone by cone."""

from __future__ import annotations

from functools import lru_cache

import cvxpy as cp
import numpy as np
import pytest

from rrp_pyomo import DenseCovariance, FactorCovariance, Program, norm, solve_program
from rrp_pyomo.errors import ModelError
from rrp_pyomo.uncertainty import (
    CovarianceBox,
    CovarianceEllipsoid,
    ElementwiseError,
    FactorCovarianceBall,
    FrobeniusBall,
    LoadingEllipsoids,
    LoadingsBall,
    SamplingError,
    as_covariance_set,
)

N, M = 5, 3
NAMES = [f"asset {k}" for k in range(N)]


class Market:
    """A random market of weekly returns with everything that sets are made of."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        root = rng.standard_normal((N, 2 * N))
        self.S = root @ root.T / (2 * N) * 1e-3
        self.V = 0.5 * rng.standard_normal((M, N)) + np.array([[1.0], [0.0], [0.0]])
        G = np.cov(rng.standard_normal((M, 30)))
        self.F = 4e-4 * np.cov(rng.standard_normal((M, 30)))
        self.G = G
        self.D = rng.uniform(1e-4, 5e-4, N)
        self.phi = 5e-3 * rng.standard_normal(M)
        self.rho = rng.uniform(0.05, 0.3, N)
        errors = 2e-4 * rng.uniform(size=(N, N))
        self.E = errors + errors.T
        # Large errors of covariances beside small ones of variances: the loosest entries are no
        # covariance.
        self.L = self.E * (1.0 - 0.9 * np.eye(N)) * 3.0
        R = rng.standard_normal((N * N, N * N))
        self.shape = 1e-9 * R @ R.T
        half = 1e-4 * np.abs(rng.standard_normal((N, N)))
        self.half = half + half.T
        self.rng = rng

    @property
    def factored(self) -> FactorCovariance:
        return FactorCovariance(self.V, self.F, self.D)


@lru_cache
def market(seed: int) -> Market:
    return Market(seed)


SETS = {
    "frobenius": lambda m: FrobeniusBall(m.S, 2e-4),
    "frobenius, factored": lambda m: FrobeniusBall(m.factored, 2e-4),
    "sampling": lambda m: SamplingError(m.S, 60, 2.0),
    "sampling, factored": lambda m: SamplingError(m.factored, 60, 2.0),
    "factor covariance": lambda m: FactorCovarianceBall(m.factored, 0.3),
    "elementwise": lambda m: ElementwiseError.from_observations(m.S, 60, 2.0),
    "elementwise, LMI": lambda m: ElementwiseError(m.S, m.L, 2.0),
    "ellipsoid": lambda m: CovarianceEllipsoid(m.S, m.shape, 3.0),
    "box": lambda m: CovarianceBox(m.S - m.half, m.S + m.half),
    "box, wide": lambda m: CovarianceBox(m.S - 4 * m.L, m.S + 4 * m.L),
    "columns": lambda m: LoadingEllipsoids(m.V, m.F, m.G, m.rho, m.D),
    "columns, G = cF": lambda m: LoadingEllipsoids(m.V, m.F, 59 * m.F, 0.1 * m.rho, m.D),
    "loadings": lambda m: LoadingsBall(m.V, m.F, m.D, 0.4),
}
each_set = pytest.mark.parametrize("name", SETS)
each_seed = pytest.mark.parametrize("seed", [1, 2])


def weights_of(m: Market, long: bool) -> np.ndarray:
    w = m.rng.standard_normal(N)
    w = np.abs(w) if long else w
    w[m.rng.integers(N)] = 0.0
    return w / np.abs(w).sum()


def adversary(name: str, m: Market, w: np.ndarray) -> float:
    """max w'Σw over the set, in cvxpy: over psd matrices, or by the S-lemma over loadings."""
    given = SETS[name](m)
    x = w / np.linalg.norm(w)
    scale = 1e-4
    if isinstance(given, (LoadingEllipsoids, LoadingsBall)):
        return float(np.square(np.linalg.norm(w))) * s_lemma(given, m, x)
    if isinstance(given, FactorCovarianceBall):
        L = np.linalg.cholesky(m.F)
        u = L.T @ m.V @ w
        least = np.eye(M) - 0.3 * np.outer(u, u) / (u @ u)  # another member that attains it
        return float(u @ np.linalg.solve(least, u) + w @ (m.D * w))
    center = given.center.matrix().to_numpy() / scale
    Sigma = cp.Variable((N, N), symmetric=True)
    limits = [Sigma >> 0]
    if isinstance(given, FrobeniusBall):
        limits += [cp.norm(Sigma - center, "fro") <= given.radius / scale]
    elif isinstance(given, SamplingError):
        half = np.linalg.inv(np.linalg.cholesky(center))
        limits += [cp.norm(half @ (Sigma - center) @ half.T, "fro") <= 2.0 * np.sqrt(2 / 59)]
    elif isinstance(given, ElementwiseError):
        limits += [cp.norm((Sigma - center) / (given.scale.to_numpy() / scale), "fro") <= 2.0]
    elif isinstance(given, CovarianceEllipsoid):
        u = cp.Variable(N * N)
        deviation = cp.reshape(np.linalg.cholesky(m.shape / scale**2) @ u, (N, N), order="F")
        limits += [Sigma == center + (deviation + deviation.T) / 2, cp.norm(u) <= 3.0]
    else:
        limits += [Sigma >= given.lower.to_numpy() / scale, Sigma <= given.upper.to_numpy() / scale]
    problem = cp.Problem(cp.Maximize(cp.trace(np.outer(x, x) @ Sigma)), limits)
    problem.solve(solver="CLARABEL")
    return float(problem.value) * scale * float(w @ w)


def s_lemma(given: LoadingEllipsoids | LoadingsBall, m: Market, x: np.ndarray) -> float:
    """max ‖u + y‖²_F + x'Dx over ‖y‖_G ≤ r as a linear matrix inequality."""
    F = m.F / 1e-4
    if isinstance(given, LoadingsBall):
        G, r = np.eye(M), given.radius * np.linalg.norm(x)
    else:
        G, r = given.shape.to_numpy(), float(given.radii @ np.abs(x))
    G = G / np.trace(G)
    r = r / np.sqrt(np.trace(given.shape.to_numpy())) if isinstance(given, LoadingEllipsoids) else r
    r = r * np.sqrt(1 / M) if isinstance(given, LoadingsBall) else r
    u = m.V @ x
    level, factor = cp.Variable(), cp.Variable(nonneg=True)
    corner = cp.reshape(level - u @ F @ u - factor * r**2, (1, 1), order="F")
    column = cp.reshape(-F @ u, (M, 1), order="F")
    lmi = cp.bmat([[factor * G - F, column], [column.T, corner]])
    problem = cp.Problem(cp.Minimize(level), [(lmi + lmi.T) / 2 >> 0])
    problem.solve(solver="CLARABEL")
    return float(problem.value) * 1e-4 + float(x @ (m.D * x))


@each_seed
@pytest.mark.parametrize("long", [True, False], ids=["long", "long-short"])
@each_set
def test_the_worst_variance_is_the_adversarys(name: str, long: bool, seed: int) -> None:
    m = market(seed)
    w = weights_of(m, long)
    given = SETS[name](m)
    assert given.variance(w) == pytest.approx(adversary(name, m, w), rel=2e-6)
    assert given.volatility(w) == pytest.approx(np.sqrt(given.variance(w)), rel=1e-14)


@each_seed
@pytest.mark.parametrize("long", [True, False], ids=["long", "long-short"])
@each_set
def test_the_worst_element_is_a_member_that_attains_it(name: str, long: bool, seed: int) -> None:
    m = market(seed)
    given, w = SETS[name](m), weights_of(m, long)
    worst = given.worst(w)
    assert given.contains(worst)
    assert given.contains(given.center)
    assert worst.variance(w) == pytest.approx(given.variance(w), rel=1e-12)
    assert isinstance(worst, FactorCovariance) == isinstance(given.center, FactorCovariance)
    # One step farther from the centre it is a member no more.
    if isinstance(worst, FactorCovariance) and isinstance(given, (LoadingEllipsoids, LoadingsBall)):
        beyond = FactorCovariance(2 * worst.V - given.center.V, worst.F, worst.D)
        assert not given.contains(beyond)
    elif not name.startswith("factor"):
        step = 0.01 * (worst.matrix() - given.center.matrix())
        assert not given.contains(DenseCovariance(worst.matrix() + step, repair="clip"), 1e-6)


@each_set
def test_no_member_exceeds_the_worst_variance(name: str) -> None:
    m = market(3)
    given = SETS[name](m)
    members = given.sample(np.random.default_rng(0), 500)
    assert all(given.contains(member, 1e-7) for member in members[::20])
    for long in (True, False):
        w = weights_of(m, long)
        variances = np.array([member.variance(w) for member in members])
        v, nominal = given.variance(w), given.center.variance(w)
        assert variances.max() <= v * (1 + 1e-12)
        assert variances.max() >= nominal + 0.05 * (v - nominal)


@pytest.mark.parametrize("kind", ["variance", "volatility"])
@pytest.mark.parametrize("long", [True, False], ids=["long", "long-short"])
@each_set
def test_expressions_are_the_worst_value_at_the_optimum(name: str, long: bool, kind: str) -> None:
    """Least worst risk less return: the program's value is the set's own of its weights."""
    m = market(1)
    given = SETS[name](m)
    mean = 1e-4 * np.random.default_rng(5).standard_normal(N)
    program = Program("least_risk")
    w = program.variable("w", N, lower=0.0 if long else -np.inf, unit=1 / N)
    program.subject_to(fully_invested=w.sum() == 1)
    if not long:
        program.subject_to(gross=norm(w, 1) <= 2)
    program.minimize(1e3 * (getattr(given, kind)(w) - mean @ w))
    solution = solve_program(program)
    x = solution.arrays["w"]
    own = getattr(given, kind)(x) - mean @ x
    assert solution.objective / 1e3 == pytest.approx(own, rel=1e-7)
    # No other weights are better: the objective is convex, and its subgradient is known.
    gradient = given.worst(x).operator @ x
    slope = (2.0 if kind == "variance" else 1.0 / given.volatility(x)) * gradient - mean
    if long and not name.startswith("box"):
        assert slope @ x - slope.min() <= 1e-4 * np.abs(slope * x).sum()


@pytest.mark.parametrize("name", [n for n in SETS if n != "factor covariance"])
def test_radius_zero_is_the_centre_without_cones(name: str) -> None:
    m = market(1)
    given = SETS[name](m)
    point = CovarianceBox(m.S, m.S) if name.startswith("box") else given.scaled(0.0)
    w = weights_of(m, long=True)
    assert point.worst(w) is point.center
    assert point.variance(w) == point.center.variance(w)
    programs = []
    for covariance in (point, as_covariance_set(point.center)):
        program = Program("nominal")
        x = program.variable("x", N, lower=0.0)
        program.minimize(covariance.variance(x))
        program.subject_to(fully_invested=x.sum() == 1, risk=covariance.volatility(x) <= 1.0)
        programs.append(program)
    first, second = (p.lowered() for p in programs)
    assert list(first.stated) == list(second.stated)
    assert list(first.variables) == list(second.variables)
    one, two = (solve_program(p).arrays["x"] for p in programs)
    assert np.array_equal(one, two)


def test_blocks_refuse_semidefinite_sets_and_take_the_others() -> None:
    m = market(1)
    for name, refused in (("ellipsoid", True), ("columns", False), ("elementwise", False)):
        program = Program("block")
        x = program.variable("x", N, lower=0.0, unit=1 / N)
        program.minimize(1e3 * SETS[name](m).variance(x))
        program.subject_to(fully_invested=x.sum() == 1)
        if refused:
            for realise in (program.block, program.kernel):
                with pytest.raises(ModelError, match="semidefinite"):
                    realise()
            continue
        import pyomo.environ as pyo

        expected = solve_program(program).objective
        for block, solver in ((program.block(), "clarabel"), (program.kernel(), "clarabel")):
            pyo.SolverFactory(solver).solve(block)
            assert pyo.value(block.objective) == pytest.approx(expected, rel=1e-6)
