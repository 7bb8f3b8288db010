"""The robust framework: when worst cases split, when max min is min max, which worst elements."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import DenseCovariance, Program, solve_program, variance, worst_case
from rrp_pyomo.uncertainty import Box, CovarianceBox, Ellipsoid, LoadingEllipsoids, LoadingsBall

N, AVERSION = 4, 3.0
LABELS = list("ABCD")


def market(seed):
    rng = np.random.default_rng(seed)
    R = rng.normal(size=(2 * N, N)) * rng.uniform(0.05, 0.15, N)
    S = pd.DataFrame(R.T @ R / 4, LABELS, LABELS)
    return pd.Series(rng.uniform(0.02, 0.12, N), LABELS), DenseCovariance(S)


def robust(means, covariances):
    p = Program("robust")
    w = p.variable("w", LABELS, lower=0)
    mu, S = p.uncertain("mu", means), p.uncertain("Sigma", covariances)
    p.maximize(worst_case(mu @ w - 0.5 * AVERSION * variance(w, S)))
    p.subject_to(invested=w.sum() == 1)
    return solve_program(p)


def adversary(member_of):
    """min over the set of ν + (1/2λ)(μ − ν1 + s)'Σ⁻¹(μ − ν1 + s), s ≥ 0."""
    mu, S, s = cp.Variable(N), cp.Variable((N, N), PSD=True), cp.Variable(N, nonneg=True)
    nu = cp.Variable()
    value = nu + cp.matrix_frac(mu - nu + s, S) / (2.0 * AVERSION)
    problem = cp.Problem(cp.Minimize(value), member_of(mu, S))
    problem.solve(solver="CLARABEL")
    return problem.value


@pytest.mark.parametrize("seed", range(4))
def test_the_adversarys_problem_has_the_same_value(seed):
    mean, sigma = market(seed)
    matrix = sigma.matrix().to_numpy()
    width = 0.1 * np.abs(matrix)
    root = np.linalg.cholesky(matrix).T
    answer = robust(
        Ellipsoid(mean, sigma, 0.3),
        CovarianceBox(sigma.matrix() - width, sigma.matrix() + width),
    )
    u = cp.Variable(N)
    least = adversary(
        lambda mu, S: [
            mu == mean.to_numpy() + 0.3 * root.T @ u,
            cp.norm(u) <= 1,
            cp.abs(S - matrix) <= width,
        ]
    )
    assert answer.objective == pytest.approx(least, rel=1e-5)
    assert abs(answer.saddle_gap) < 1e-6


def test_the_minimum_of_a_set_that_is_no_product_does_not_split():
    """Two pairs: the split takes the mean of one and the variance of the other."""
    pairs = [(0.02, 0.01), (0.10, 0.09)]

    def value(x, mean, var):
        return x * mean - x * x * var

    together = min(value(1.0, *pair) for pair in pairs)
    split = value(1.0, min(m for m, _ in pairs), max(v for _, v in pairs))
    assert together == pytest.approx(0.01)
    assert split == pytest.approx(-0.07)
    # And so do the portfolios: cash beside the asset, 0 ≤ x ≤ 1.
    x = np.linspace(0.0, 1.0, 10_001)
    best_together = x[np.min([value(x, *pair) for pair in pairs], axis=0).argmax()]
    best_split = x[value(x, 0.02, 0.09).argmax()]
    assert best_together == pytest.approx(1.0, abs=1e-3)
    assert best_split == pytest.approx(1 / 9, abs=1e-3)


def test_the_guarantee_holds_for_members_and_for_other_weights():
    mean, sigma = market(5)
    means = Ellipsoid(mean, sigma, 0.3)
    S = sigma.matrix()
    covariances = CovarianceBox(S - 0.1 * S.abs(), S + 0.1 * S.abs())
    answer = robust(means, covariances)
    x = answer.values["w"]
    rng = np.random.default_rng(0)
    returns = means.sample(rng, 300) @ x
    risks = [Sigma.variance(x) for Sigma in covariances.sample(rng, 100)]
    worst = returns.min() - 0.5 * AVERSION * max(risks)
    assert worst >= answer.objective - 1e-9
    for other in rng.dirichlet(np.ones(N), 300):
        value = -means.support(-other) - 0.5 * AVERSION * covariances.variance(other)
        assert value <= answer.objective + 1e-9


def test_where_worst_means_tie_the_multipliers_choose():
    """At idle assets every mean of the box is worst; Markowitz for the best of these would buy."""
    bought = 0
    for seed in range(6):
        mean, sigma = market(seed)
        means = Box(mean, 0.4 * mean)
        answer = robust(means, CovarianceBox(sigma.matrix(), sigma.matrix()))
        x, worst = answer.values["w"], answer.worst_case["mu"]
        assert means.contains(worst, 1e-8)
        assert worst @ x == pytest.approx(-means.support(-x), abs=1e-9)

        def gain(mean, x=x, sigma=sigma):
            gradient = mean - AVERSION * sigma.marginal_risk(x)
            return (gradient - gradient @ x).max()

        assert gain(worst) < 1e-6
        best = worst.where(x > 1e-7, 1.4 * mean)
        assert best @ x == pytest.approx(worst @ x, abs=1e-7)
        bought += gain(best) > 1e-3
    assert bought >= 3


@pytest.mark.parametrize("kind", ["columns", "ball"])
def test_one_worst_loading_is_no_saddle_point_where_two_are_worst(kind):
    rng = np.random.default_rng(0)
    V = pd.DataFrame(rng.normal(size=(2, N)), ["f", "g"], LABELS)
    F = pd.DataFrame(np.diag([0.04, 0.02]), ["f", "g"], ["f", "g"])
    D = pd.Series(0.01, LABELS)
    members = LoadingEllipsoids(V, F, np.eye(2), 0.3, D) if kind == "columns" else None
    members = members or LoadingsBall(V, F, D, 0.5)
    p = Program("least_risk")
    w = p.variable("w", LABELS, lower=-1.0)
    p.minimize(worst_case(variance(w, members)))
    p.subject_to(invested=w.sum() == 1)
    answer = solve_program(p)
    x = answer.values["w"]
    single, mixture = members.worst(x), answer.worst_case["covariance"]
    for element in (single, mixture):
        assert element.variance(x) == pytest.approx(members.variance(x), rel=1e-6)

    def least(covariance):
        q = Program("fixed")
        v = q.variable("v", LABELS, lower=-1.0)
        q.minimize(variance(v, covariance))
        q.subject_to(invested=v.sum() == 1)
        return solve_program(q).objective

    assert least(mixture) == pytest.approx(answer.objective, rel=1e-5)
    assert least(single) < answer.objective * (1 - 1e-3)
