"""Mean and tail risk: limits, weight sets against cvxpy, certificates, worst cases."""

from __future__ import annotations

import pickle

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from scipy.stats import norm as normal

from rrp_pyomo import MeanCVaR, MeanEVaR, MeanVariance, WeightSet
from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.errors import InputError, SolverError
from rrp_pyomo.uncertainty import (
    Ball,
    DelageYe,
    Ellipsoid,
    KullbackLeibler,
    Moments,
    Polyhedron,
    ScenarioProbabilities,
    Scenarios,
    Wasserstein,
)

N, n, ALPHA = 60, 6, 0.1
LABELS = [f"asset {i}" for i in range(n)]


def market(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((N, 1)) @ rng.uniform(0.5, 1.5, (1, n))
    noise = rng.standard_t(5, (N, n)) * rng.uniform(0.5, 2, n)
    return pd.DataFrame(0.002 + 0.01 * (factor + noise), columns=LABELS)


R = market()
X = R.to_numpy()
COV = DenseCovariance(R.cov())
BOUND = 1.2 * float(np.abs(X).max())
SUPPORT = Polyhedron(
    pd.Series(0.0, LABELS), np.vstack([np.eye(n), -np.eye(n)]), np.full(2 * n, BOUND)
)
WEIGHT_SETS = {
    "long": (None, lambda w: [cp.sum(w) == 1, w >= 0]),
    "bounds": (
        WeightSet(upper=0.3, lower={LABELS[0]: 0.1}),
        lambda w: [cp.sum(w) == 1, w >= 0, w <= 0.3, w[0] >= 0.1],
    ),
    "short": (
        WeightSet(long_only=False, lower=-0.2, upper=0.6),
        lambda w: [cp.sum(w) == 1, w >= -0.2, w <= 0.6],
    ),
}
SMALL = {
    "Scenarios": lambda r: Scenarios(R),
    "W1": lambda r: Wasserstein(R, 0.01 * r),
    "W2": lambda r: Wasserstein(R, 0.01 * r, norm=1, order=2),
    "Winf": lambda r: Wasserstein(R, 0.01 * r, norm=np.inf, order=np.inf),
    "Mahalanobis": lambda r: Wasserstein(R, 0.1 * r, norm=COV),
    "KL": lambda r: KullbackLeibler(R, 0.1 * r),
    "box": lambda r: ScenarioProbabilities.box(R, (1 - r / 2) / N, (1 + r) / N),
    "ellipsoid": lambda r: ScenarioProbabilities.ellipsoid(
        R, r * np.random.default_rng(3).standard_normal((N, 3)) / (4 * N)
    ),
    "mixture": lambda r: ScenarioProbabilities.mixture(
        [
            Scenarios(R, 1 / N + r * np.roll(np.r_[0.4, -0.4, np.zeros(N - 2)], k) / N)
            for k in (0, 7)
        ]
    ),
    "Moments": lambda r: Moments(Ball(R.mean(), 0.002 * r), COV),
    "Delage-Ye": lambda r: DelageYe(R.mean(), COV, 0.01 * r, 1 + 0.1 * r),
    "supported": lambda r: Wasserstein(R.iloc[:12], 0.01 * r, support=SUPPORT),
}


def risk_of(name: str, w: cp.Variable, c: float) -> tuple[cp.Expression, list]:
    """The worst risk in cvxpy, by closed forms or duals, and its rows."""
    kappa = np.sqrt((1 - ALPHA) / ALPHA)
    losses = -X @ w
    mean, tau, s = cp.sum(losses) / N, cp.Variable(), cp.Variable(N, nonneg=True)
    cvar, rows = tau + cp.sum(s) / (ALPHA * N), [s >= losses - tau]
    root = np.linalg.cholesky(R.cov()).T
    if name == "Moments":
        return (1 + c) * (0.002 * cp.norm(w) - w @ R.mean().to_numpy()) + kappa * cp.norm(
            root @ w
        ), []
    if name == "Delage-Ye":
        delta = min(0.1, (1 + c) * np.sqrt(1.1) / np.hypot(1 + c, kappa))
        k = (1 + c) * delta + kappa * np.sqrt(1.1 - delta**2)
        return -(1 + c) * w @ R.mean().to_numpy() + k * cp.norm(root @ w), []
    if name.startswith("W") or name in ("Scenarios", "Mahalanobis"):
        charge = {
            "Scenarios": 0.0,
            "W1": 0.01 * (c + 1 / ALPHA) * cp.norm(w),
            "W2": 0.01
            * np.sqrt((1 - ALPHA) * c**2 + ALPHA * (c + 1 / ALPHA) ** 2)
            * cp.norm(w, "inf"),
            "Winf": 0.01 * (c + 1) * cp.norm(w, 1),
            "Mahalanobis": 0.1 * (c + 1 / ALPHA) * cp.norm(root @ w),
        }[name]
        return c * mean + cvar + charge, rows
    inner = c * losses + tau + s / ALPHA
    if name == "KL":
        t, u, level = cp.Variable(nonneg=True), cp.Variable(N), cp.Variable()
        ones = cp.reshape(t * np.ones(N), (N,), order="F")
        rows += [cp.ExpCone(inner - level, ones, u), cp.sum(u) <= N * t]
        return level + 0.1 * t, rows
    if name == "box":
        nu = cp.Variable()
        return nu + cp.sum(0.5 / N * (inner - nu) + 1.5 / N * cp.pos(inner - nu)), rows
    if name == "ellipsoid":
        A = np.random.default_rng(3).standard_normal((N, 3)) / (4 * N)
        total = A.sum(axis=0)
        A = A - np.outer(A @ total, total) / (total @ total)
        return cp.sum(inner) / N + cp.norm(A.T @ inner), rows
    parts = [1 / N + np.roll(np.r_[0.4, -0.4, np.zeros(N - 2)], k) / N for k in (0, 7)]
    return cp.max(np.array(parts) @ inner), rows


@pytest.mark.parametrize("weight_set", WEIGHT_SETS)
@pytest.mark.parametrize("name", [name for name in SMALL if name != "supported"])
def test_against_cvxpy(name, weight_set):
    ours, theirs = WEIGHT_SETS[weight_set]
    c = {"long": 0.0, "bounds": 0.8, "short": 0.3}[weight_set]
    w = cp.Variable(n)
    risk, rows = risk_of(name, w, c)
    expected = cp.Problem(cp.Minimize(100 * risk), rows + theirs(w)).solve(solver=cp.CLARABEL)
    portfolio = MeanCVaR(SMALL[name](1.0), ALPHA, c, ours).solve()
    assert portfolio.worst_value == pytest.approx(expected / 100, rel=1e-6)
    assert portfolio.objective == pytest.approx(portfolio.worst_value, rel=1e-6)
    assert portfolio.certificate.relative_gap <= 2e-6
    assert portfolio.price_of_robustness >= 0.0


@pytest.mark.parametrize("name", SMALL)
def test_worst_cases_prove_the_answer(name):
    """The worst distribution is a member, attains the value, and other weights do no better."""
    problem = MeanCVaR(SMALL[name](1.0), ALPHA, 0.5)
    portfolio = problem.solve()
    P, w = portfolio.worst_case.distribution, portfolio.weights
    assert problem.distribution.contains(P, 1e-7)
    value = 0.5 * P.expected_loss(w) + P.cvar(w, ALPHA)
    assert value == pytest.approx(portfolio.worst_value, rel=1e-7)
    assert portfolio.certificate.relative_gap <= 2e-6
    count = 3 if name == "supported" else 20
    others = np.random.default_rng(0).dirichlet(np.ones(n), size=count)
    best = min(problem.worst_value(v) for v in others)
    assert best >= portfolio.worst_value - portfolio.certificate.gap


@pytest.mark.parametrize("name", SMALL)
def test_radius_0_is_the_nominal_problem_exactly(name):
    problem = MeanCVaR(SMALL[name](0.0), ALPHA, 0.5)
    portfolio, nominal = problem.solve(), problem.nominal().solve()
    assert (portfolio.weights == nominal.weights).all()
    assert portfolio.price_of_robustness == pytest.approx(0.0, abs=1e-12)


def test_no_radius_takes_no_cone():
    for name in ("W1", "W2", "Winf", "Mahalanobis", "KL", "box", "ellipsoid", "mixture"):
        form = MeanCVaR(SMALL[name](0.0), ALPHA).statement.compiled().form
        known = MeanCVaR(R, ALPHA).statement.compiled().form
        assert form.cones == known.cones


# --- limits -----------------------------------------------------------------------------------


def test_the_robust_mean_of_an_ellipsoid_is_the_moment_cvar():
    """λ = 0, Ω = Σ: the weights of moment CVaR with √((1−α)/α) = κ."""
    kappa = np.sqrt((1 - ALPHA) / ALPHA)
    robust = MeanVariance(Ellipsoid(R.mean(), COV, kappa), COV, risk_aversion=0.0).solve()
    moments = MeanCVaR(Moments(R.mean(), COV), ALPHA).solve()
    assert robust.worst_value == pytest.approx(-moments.worst_value, rel=1e-9)
    np.testing.assert_allclose(robust.weights, moments.weights, atol=1e-7)


@pytest.mark.parametrize("norm", [2, 1])
def test_large_wasserstein_balls_give_equal_weights(norm):
    """Pflug, Pichler & Wozabal (2012)."""
    portfolio = MeanCVaR(Wasserstein(R, 1e4, norm), ALPHA).solve()
    np.testing.assert_allclose(portfolio.weights, 1 / n, atol=1e-5)


def test_large_mahalanobis_balls_give_minimum_variance():
    portfolio = MeanCVaR(Wasserstein(R, 1e5, COV), ALPHA).solve()
    minimum = MeanVariance(None, COV).solve()
    np.testing.assert_allclose(portfolio.weights, minimum.weights, atol=1e-4)


def test_the_ground_norm_of_the_largest_move_does_nothing_to_long_weights():
    nominal = MeanCVaR(R, ALPHA).solve()
    for radius in (0.01, 1.0):
        portfolio = MeanCVaR(Wasserstein(R, radius, np.inf), ALPHA).solve()
        np.testing.assert_allclose(portfolio.weights, nominal.weights, atol=1e-6)
        assert portfolio.worst_value == pytest.approx(nominal.worst_value + radius / ALPHA)


def test_factors_by_order():
    w = np.random.default_rng(1).standard_normal(n)
    nominal = Scenarios(R).risk(w, ALPHA)
    for order, factor in ((1, 1 / ALPHA), (2, ALPHA**-0.5), (np.inf, 1.0)):
        worst = Wasserstein(R, 0.01, 2, order).risk(w, ALPHA)
        assert worst - nominal == pytest.approx(0.01 * factor * np.linalg.norm(w), rel=1e-12)


def test_the_whole_distribution_is_the_tail_at_alpha_1():
    w = np.random.default_rng(2).standard_normal(n)
    for order in (1, 2, np.inf):
        worst = Wasserstein(R, 0.01, 1, order).risk(w, 1.0)
        assert worst == pytest.approx(-(X @ w).mean() + 0.01 * np.abs(w).max(), rel=1e-12)


def test_supports_that_are_never_reached_and_large_balls_inside_one():
    few, w = R.iloc[:15], np.array([0.4, 0.3, 0.1, 0.1, 0.05, 0.05])
    far = Polyhedron(pd.Series(0.0, LABELS), np.vstack([np.eye(n), -np.eye(n)]), 2.0)
    unbounded = Wasserstein(few, 0.01).risk(w, ALPHA)
    assert Wasserstein(few, 0.01, support=far).risk(w, ALPHA) == pytest.approx(unbounded, rel=1e-6)
    everywhere = Wasserstein(few, 10.0, support=SUPPORT).risk(w, ALPHA, 0.5)
    assert everywhere == pytest.approx(1.5 * BOUND * w.sum(), rel=1e-6)


def test_tail_probabilities_of_moment_cvar():
    w = np.random.default_rng(3).dirichlet(np.ones(n))
    moments, mean = Moments(R.mean(), COV), -float(R.mean() @ w)
    sigma = np.sqrt(COV.variance(w))
    assert moments.risk(w, 0.5) == pytest.approx(mean + sigma, rel=1e-12)
    assert moments.risk(w, 1.0) == pytest.approx(mean, rel=1e-12)
    assert moments.risk(w, 1 - 1e-12) == pytest.approx(mean, rel=1e-3)
    careful = MeanCVaR(moments, 1e-9).solve()
    np.testing.assert_allclose(careful.weights, MeanVariance(None, COV).solve().weights, atol=1e-4)


def test_delage_ye_begins_at_known_moments_and_is_continuous():
    w = np.random.default_rng(4).dirichlet(np.ones(n))
    known = Moments(R.mean(), COV).risk(w, ALPHA, 0.3)
    assert DelageYe(R.mean(), COV, 0, 1).risk(w, ALPHA, 0.3) == pytest.approx(known, rel=1e-12)
    gamma2 = 1.3
    at = ALPHA * gamma2
    values = [DelageYe(R.mean(), COV, at + d, gamma2).risk(w, ALPHA) for d in (-1e-9, 0.0, 1e-9)]
    assert values[0] == pytest.approx(values[2], rel=1e-8)
    sigma, mean = np.sqrt(COV.variance(w)), -float(R.mean() @ w)
    assert values[1] == pytest.approx(mean + np.sqrt(gamma2 / ALPHA) * sigma, rel=1e-12)


def test_small_and_large_relative_entropies():
    w = np.random.default_rng(5).dirichlet(np.ones(n))
    losses = -X @ w
    for radius in (1e-6, 1e-8):
        gain = KullbackLeibler(R, radius).expected_loss(w) - losses.mean()
        assert gain == pytest.approx(np.sqrt(2 * radius) * losses.std(), rel=5 * radius**0.5)
    for radius in (np.log(N), 50.0):
        given = KullbackLeibler(R, radius)
        assert given.expected_loss(w) == pytest.approx(losses.max(), rel=1e-14)
        largest = MeanEVaR(given).solve()
        v, t = cp.Variable(n, nonneg=True), cp.Variable()
        rows = [-X @ v <= t, cp.sum(v) == 1]
        assert largest.worst_value == pytest.approx(
            cp.Problem(cp.Minimize(100 * t), rows).solve(solver=cp.CLARABEL) / 100, rel=1e-6
        )
    assert KullbackLeibler(R, np.log(N) - 1e-3).expected_loss(w) < losses.max()


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.4])
def test_the_entropic_value_at_risk_is_above_cvar(alpha):
    evar, cvar = MeanEVaR(R, alpha).solve(), MeanCVaR(R, alpha).solve()
    assert evar.worst_value >= cvar.worst_value
    assert evar.worst_value >= Scenarios(R).risk(evar.weights, alpha)


def test_boxes_of_probabilities():
    w = np.random.default_rng(6).dirichlet(np.ones(n))
    same = ScenarioProbabilities.box(R, 1 / N, 1 / N)
    assert same.risk(w, ALPHA) == pytest.approx(Scenarios(R).risk(w, ALPHA), rel=1e-14)
    double = ScenarioProbabilities.box(R, 0, 2 / N)
    assert double.risk(w, ALPHA) == pytest.approx(Scenarios(R).risk(w, ALPHA / 2), rel=1e-8)


def test_mixtures_are_at_least_their_parts():
    rng = np.random.default_rng(7)
    parts = [Scenarios(R, p) for p in rng.dirichlet(np.ones(N), size=3)]
    mixture = ScenarioProbabilities.mixture(parts)
    for w in rng.standard_normal((5, n)):
        assert mixture.risk(w, ALPHA) >= max(part.risk(w, ALPHA) for part in parts) - 1e-10


# --- what measures of others agree with ----------------------------------------------------------


def test_skfolio_is_the_ground_norm_1_with_the_mean_beside_the_tail():
    """DistributionallyRobustCVaR as skfolio states it: ℓ₁ ground norm, c its risk aversion's share.

    minimise a λ ε + mean of s, s_i ≥ b_k τ + a_k w'ξ_i with ‖a_k w‖_∞ ≤ λ, over the pieces
    (−1, aversion) of −w'ξ + aversion · CVaR; with an aversion of 1 that is c = 1.
    """
    eps, alpha = 0.02, 0.05
    w, lam, tau, s = cp.Variable(n), cp.Variable(), cp.Variable(), cp.Variable(N)
    a1, b1 = -1.0, 1.0
    a2, b2 = -1.0 - 1.0 / alpha, 1.0 - 1.0 / alpha
    returns = X @ w
    rows = [
        b1 * tau + a1 * returns <= s,
        b2 * tau + a2 * returns <= s,
        cp.norm(a1 * w, "inf") <= lam,
        cp.norm(a2 * w, "inf") <= lam,
        cp.sum(w) == 1,
        w >= 0,
    ]
    value = cp.Problem(cp.Minimize(100 * (eps * lam + cp.sum(s) / N)), rows).solve(
        solver=cp.CLARABEL
    )
    portfolio = MeanCVaR(Wasserstein(R, eps, norm=1), alpha, mean_weight=1.0).solve()
    assert portfolio.worst_value == pytest.approx(value / 100, rel=1e-6)
    assert portfolio.worst_value == pytest.approx(
        MeanCVaR(Wasserstein(R, eps, norm=1), alpha, 1.0).worst_value(w.value), rel=1e-6
    )


def test_riskfolio_evar():
    """Riskfolio's statement: t + z log(1/(αN)), Σu ≤ z, (−R w − t, z, u) exponential."""
    alpha = 0.05
    w, t, z = cp.Variable((n, 1)), cp.Variable((1, 1)), cp.Variable((1, 1), nonneg=True)
    u, ones = cp.Variable((N, 1)), np.ones((N, 1))
    rows = [
        cp.sum(u) <= z,
        cp.constraints.ExpCone(-X @ w - t @ np.ones((1, 1)) * ones, ones @ z, u),
        cp.sum(w) == 1,
        w >= 0,
    ]
    objective = cp.Minimize(100 * (t + z * np.log(1 / (alpha * N))))
    value = cp.Problem(objective, rows).solve(solver=cp.CLARABEL)
    portfolio = MeanEVaR(R, alpha).solve()
    assert portfolio.worst_value == pytest.approx(value / 100, rel=1e-6)
    np.testing.assert_allclose(portfolio.weights, w.value.ravel(), atol=1e-4)


def test_normal_returns_are_no_worse_than_moments():
    """The CVaR of a normal distribution is below the worst of its moments."""
    w = np.full(n, 1 / n)
    sigma = np.sqrt(COV.variance(w))
    gaussian = -float(R.mean() @ w) + sigma * normal.pdf(normal.ppf(ALPHA)) / ALPHA
    assert gaussian < Moments(R.mean(), COV).risk(w, ALPHA)


# --- invariances, trading, blocks ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["W1", "KL", "Moments"])
def test_the_order_of_assets_and_units_do_not_matter(name):
    portfolio = MeanCVaR(SMALL[name](1.0), ALPHA, 0.2).solve()
    turned = R[LABELS[::-1]]
    percent = 100 * R
    again = {
        "W1": (Wasserstein(turned, 0.01), Wasserstein(percent, 1.0)),
        "KL": (KullbackLeibler(turned, 0.1), KullbackLeibler(percent, 0.1)),
        "Moments": (
            Moments(Ball(turned.mean(), 0.002), turned.cov()),
            Moments(Ball(percent.mean(), 0.2), percent.cov()),
        ),
    }[name]
    for given in again:
        other = MeanCVaR(given, ALPHA, 0.2).solve()
        np.testing.assert_allclose(other.weights[LABELS], portfolio.weights, atol=2e-5)


def test_costs_and_turnover():
    previous = pd.Series(1 / n, LABELS)
    problem = MeanCVaR(Wasserstein(R, 0.01, 1), ALPHA, l1=0.002, previous=previous, turnover=0.3)
    portfolio = problem.solve()
    w, t = cp.Variable(n), cp.Variable()
    s = cp.Variable(N, nonneg=True)
    trades = cp.norm(w - 1 / n, 1)
    risk = t + cp.sum(s) / (ALPHA * N) + 0.1 * cp.norm(w, "inf") + 0.002 * trades
    rows = [s >= -X @ w - t, cp.sum(w) == 1, w >= 0, trades <= 0.3]
    value = cp.Problem(cp.Minimize(100 * risk), rows).solve(solver=cp.CLARABEL)
    assert portfolio.worst_value == pytest.approx(value / 100, rel=1e-6)
    assert portfolio.certificate.relative_gap <= 2e-6


@pytest.mark.parametrize("name", ["W1", "KL", "box", "Moments"])
def test_blocks_say_the_same(name):
    """As a part of a Pyomo model, with weights that are given: the objective is the worst risk."""
    problem = MeanCVaR(SMALL[name](1.0), ALPHA, 0.4)
    expected = problem.solve()
    model = pyo.ConcreteModel()
    model.part = problem.block()
    pyo.SolverFactory("casadi_ipopt").solve(model)
    portfolio = problem.portfolio(model.part)
    assert portfolio.objective == pytest.approx(expected.worst_value, rel=1e-5)
    problem.initialise(model.part, expected.weights)
    objective = pyo.value(model.part.objective_expression) * problem.objective_unit
    assert objective == pytest.approx(expected.worst_value, rel=1e-4)


def test_reprs_and_refusals():
    assert "alpha=0.05" in repr(MeanCVaR(R))
    assert MeanEVaR(KullbackLeibler(R, 0.2)).distribution.radius == 0.2
    assert MeanEVaR(R, 0.05).distribution.radius == pytest.approx(np.log(20))
    with pytest.raises(InputError, match="expected Scenarios, or a KullbackLeibler"):
        MeanEVaR(Wasserstein(R, 0.1))
    with pytest.raises(InputError, match="tail probability"):
        MeanCVaR(R, 0)
    with pytest.raises(InputError, match="at most 1"):
        MeanCVaR(R, 95)


@pytest.mark.parametrize("name", ["W1", "KL", "supported", "Moments"])
def test_answers_travel(name):
    """Sets, and portfolios with their worst cases, are pickled."""
    given = pickle.loads(pickle.dumps(SMALL[name](1.0)))
    portfolio = MeanCVaR(given, ALPHA).solve()
    again = pickle.loads(pickle.dumps(portfolio))
    assert again.worst_value == portfolio.worst_value
    np.testing.assert_array_equal(
        again.worst_case.distribution.p, portfolio.worst_case.distribution.p
    )
    assert again.certificate.gap == portfolio.certificate.gap


def test_risk_that_can_be_earned_away_without_bound():
    """Where some weights that sum to 0 have a negative risk there is no least one."""
    better = R.assign(**{LABELS[1]: R[LABELS[0]] + 0.001})
    with pytest.raises(SolverError, match="unbounded"):
        MeanCVaR(better, ALPHA, weight_set=WeightSet(long_only=False)).solve()
