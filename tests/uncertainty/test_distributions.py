"""Sets of distributions against the adversary's own programs, written in cvxpy."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm
from scipy.special import rel_entr

from rrp_pyomo import Program, log, solve_program
from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.uncertainty import (
    Ball,
    Box,
    DelageYe,
    Distribution,
    KullbackLeibler,
    Moments,
    Polyhedron,
    ScenarioProbabilities,
    Scenarios,
    Wasserstein,
)

N, n, EPS = 10, 3, 0.004
LABELS = list("abc")


def market(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((n, n)) * 0.01 + 0.02 * np.eye(n)
    return pd.DataFrame(0.003 + rng.standard_t(5, size=(N, n)) @ mix, columns=LABELS)


R = market()
COV = DenseCovariance(R.cov())
P_HAT = np.random.default_rng(5).dirichlet(np.full(N, 5.0))
PARTS = np.random.default_rng(6).dirichlet(np.ones(N), size=3)
A = np.random.default_rng(7).standard_normal((N, 4)) / (2 * N)
BOUND = 1.3 * float(np.abs(R.to_numpy()).max())
SUPPORT = Polyhedron(
    pd.Series(0.0, LABELS), np.vstack([np.eye(n), -np.eye(n)]), np.full(2 * n, BOUND)
)
GROUND = {"1": 1, "2": 2, "inf": np.inf, "mahalanobis": COV}

SCENARIO_SETS = {
    "known": Scenarios(R, P_HAT),
    "entropy": KullbackLeibler(Scenarios(R, P_HAT), 0.15),
    "entropy, large": KullbackLeibler(R, 1.9),
    "entropy, all": KullbackLeibler(R, np.log(N)),
    "box": ScenarioProbabilities.box(Scenarios(R, P_HAT), 0.3 * P_HAT, 2.5 * P_HAT),
    "ellipsoid": ScenarioProbabilities.ellipsoid(Scenarios(R, P_HAT), A),
    "mixture": ScenarioProbabilities.mixture([Scenarios(R, p) for p in PARTS]),
}
WASSERSTEIN = {
    f"W{order:g} {name}": Wasserstein(Scenarios(R, P_HAT), EPS, norm, order)
    for name, norm in GROUND.items()
    for order in (1, 2, np.inf)
}
SUPPORTED = {
    f"supported {name}": Wasserstein(Scenarios(R, P_HAT), EPS, norm, 1, SUPPORT)
    for name, norm in GROUND.items()
}
MOMENTS = {
    "moments": Moments(R.mean(), COV),
    "ball of means": Moments(Ball(R.mean(), 0.002, norm=1), COV),
    "Delage-Ye": DelageYe(R.mean(), COV, 0.02, 1.1),
    "Delage-Ye, wide": DelageYe(R.mean(), COV, 0.5, 1.1),
}
SETS = SCENARIO_SETS | WASSERSTEIN | SUPPORTED | MOMENTS
CASES = [(0.0, 0.1), (0.6, 0.1), (0.4, 1.0)]  # mean's weight, α


def weights(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n)


def solved(problem: cp.Problem) -> float:
    return float(problem.solve(solver=cp.CLARABEL))


def members(name: str, p: cp.Variable) -> list:
    """p ∈ P in cvxpy."""
    if name == "known":
        return [p == P_HAT]
    if name == "entropy":
        return [cp.sum(cp.rel_entr(p, P_HAT)) <= 0.15]
    if name == "entropy, large":
        return [cp.sum(cp.rel_entr(p, np.full(N, 1 / N))) <= 1.9]
    if name == "entropy, all":
        return []
    if name == "box":
        return [p >= 0.3 * P_HAT, p <= 2.5 * P_HAT]
    if name == "ellipsoid":
        z = cp.Variable(A.shape[1])
        return [p == P_HAT + A @ z, cp.norm(z) <= 1]
    share = cp.Variable(len(PARTS), nonneg=True)
    return [p == PARTS.T @ share, cp.sum(share) == 1]


@pytest.mark.parametrize(("c", "alpha"), CASES)
@pytest.mark.parametrize("name", SCENARIO_SETS)
def test_scenario_sets_against_the_adversary(name, c, alpha):
    w = weights()
    losses = -(R.to_numpy() @ w)
    p, q = cp.Variable(N, nonneg=True), cp.Variable(N, nonneg=True)
    rows = [cp.sum(p) == 1, cp.sum(q) == 1, alpha * q <= p, *members(name, p)]
    worst = solved(cp.Problem(cp.Maximize(100 * (c * p + q) @ losses), rows)) / 100
    assert SETS[name].risk(w, alpha, c) == pytest.approx(worst, rel=1e-6)


def dual_norm(norm: object, v: cp.Expression) -> cp.Expression:
    if norm is COV:
        return cp.norm(np.real(sqrtm(COV.matrix().to_numpy())) @ v)
    return cp.norm(v, {1: "inf", 2: 2, np.inf: 1}[norm])


def transport_dual(given: Wasserstein, w: np.ndarray, pieces: list, price: cp.Variable) -> list:
    """Rows of the dual of a Wasserstein ball: s_i above what moving scenario i can bring."""
    s = cp.Variable(N)
    losses = -(R.to_numpy() @ w)
    rows = []
    for a, b in pieces:
        if given.support is not None:
            gamma = cp.Variable((N, 2 * n), nonneg=True)
            C, d = SUPPORT.A, SUPPORT.b
            room = cp.sum(cp.multiply(gamma, d - R.to_numpy() @ C.T), axis=1)
            rows.append(a * losses + b + room <= s)
            rows += [dual_norm(given.norm, C.T @ gamma[i] + a * w) <= price for i in range(N)]
        elif given.order == 1:
            rows += [a * losses + b <= s, a * dual_norm(given.norm, w) <= price]
        elif given.order == 2:
            length = float(dual_norm(given.norm, w).value)
            rows.append(a * losses + b + EPS * cp.quad_over_lin(a * length, 4 * price) <= s)
        else:
            rows.append(a * (losses + given.radius * dual_norm(given.norm, w)) + b <= s)
    return [s, rows]


@pytest.mark.parametrize(("c", "alpha"), CASES)
@pytest.mark.parametrize("name", WASSERSTEIN | SUPPORTED)
def test_wasserstein_against_the_dual_of_transport(name, c, alpha):
    given, w = SETS[name], weights(2)
    price, tau = cp.Variable(nonneg=True), cp.Variable()
    pieces = [(c, tau), (c + 1 / alpha, (1 - 1 / alpha) * tau)]
    s, rows = transport_dual(given, w, pieces, price)
    cost = {1: EPS * price, 2: EPS * price, np.inf: 0.0}[given.order]
    worst = solved(cp.Problem(cp.Minimize(100 * (cost + P_HAT @ s)), rows)) / 100
    assert given.risk(w, alpha, c) == pytest.approx(worst, rel=2e-6)


@pytest.mark.parametrize(("c", "alpha"), [(0.0, 0.1), (0.6, 0.3)])
@pytest.mark.parametrize("name", ["moments", "Delage-Ye", "Delage-Ye, wide"])
def test_moments_against_the_dual_semidefinite_program(name, c, alpha):
    w, mu, Sigma = weights(3), R.mean().to_numpy(), COV.matrix().to_numpy()
    Q, q, r, tau = cp.Variable((n, n), PSD=True), cp.Variable(n), cp.Variable(), cp.Variable()
    if name == "moments":
        Q = cp.Variable((n, n), symmetric=True)
        value = cp.trace(Q @ Sigma) + r
    else:
        gamma1 = 0.02 if name == "Delage-Ye" else 0.5
        value = 1.1 * cp.trace(Q @ Sigma) + r
        value += np.sqrt(gamma1) * cp.norm(np.real(sqrtm(Sigma)) @ q)
    rows = []
    for a, b in ((c, tau), (c + 1 / alpha, (1 - 1 / alpha) * tau)):
        half = cp.reshape((q + a * w) / 2, (n, 1), order="F")
        last = cp.reshape(r - b + a * (w @ mu), (1, 1), order="F")
        rows.append(cp.bmat([[Q, half], [half.T, last]]) >> 0)
    worst = solved(cp.Problem(cp.Minimize(value), rows))
    assert SETS[name].risk(w, alpha, c) == pytest.approx(worst, rel=1e-5)


@pytest.mark.parametrize(("c", "alpha"), CASES)
@pytest.mark.parametrize("name", SETS)
def test_the_statement_has_the_value_of_the_numbers(name, c, alpha):
    w = weights(4)
    program = Program()
    x = program.variable("x", LABELS)
    program.subject_to(fixed=x == w)
    program.minimize(100 * SETS[name].risk(x, alpha, c))
    value = solve_program(program).objective / 100
    assert SETS[name].risk(w, alpha, c) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(("c", "alpha"), CASES)
@pytest.mark.parametrize("name", SETS)
def test_worst_distributions_attain_and_are_members(name, c, alpha):
    given, w = SETS[name], weights(5)
    worst, value = given.worst(w, alpha, c), given.risk(w, alpha, c)
    assert c * worst.expected_loss(w) + worst.cvar(w, alpha) == pytest.approx(value, rel=1e-7)
    assert given.contains(worst, 1e-8)


@pytest.mark.parametrize("name", SETS)
def test_sampled_members_are_inside_and_never_worse(name):
    given, w, rng = SETS[name], weights(6), np.random.default_rng(0)
    found = given.sample(rng, 100)
    value = given.risk(w, 0.1, 0.3)
    risks = [0.3 * P.expected_loss(w) + P.cvar(w, 0.1) for P in found]
    assert max(risks) <= value * (1 + 1e-8)
    assert all(given.contains(P, 1e-7) for P in found[:3])


@pytest.mark.parametrize("name", [name for name in SETS if name != "known"])
def test_what_is_too_far_is_no_member(name):
    far = {"entropy, all": np.eye(N)[0] * 1.5}.get(name)
    if far is not None:
        assert not SETS[name].contains(far - 0.5 * np.eye(N)[1])
        return
    moved = Distribution(R, PARTS[0]) if name in SCENARIO_SETS else Distribution(R + 0.1)
    if name == "mixture":
        moved = Distribution(R, 2 * PARTS[0].clip(max=0.05) + _rest(PARTS[0]))
    if name == "entropy, large":
        moved = Distribution(R, np.eye(N)[0])
    assert not SETS[name].contains(moved, 1e-6)


def _rest(p: np.ndarray) -> np.ndarray:
    rest = np.zeros(N)
    rest[0] = 1 - 2 * p.clip(max=0.05).sum()
    return rest


@pytest.mark.parametrize("name", SETS)
def test_expected_losses_and_kinks(name):
    """One piece, and max(L, 3 L + 0.01), as numbers, as a statement and by members."""
    given, w = SETS[name], weights(7)
    pieces = [([1.0], [0.0]), ([1.0, 3.0], [0.0, 0.01])]
    if name.startswith("Delage"):
        pieces = pieces[:1]
    for slopes, intercepts in pieces:
        program = Program()
        x = program.variable("x", LABELS)
        program.subject_to(fixed=x == w)
        program.minimize(100 * given.worst_piecewise(x, slopes, intercepts))
        value = given.worst_piecewise(w, slopes, intercepts)
        assert solve_program(program).objective / 100 == pytest.approx(value, rel=1e-6, abs=1e-9)
        for P in given.sample(np.random.default_rng(1), 20):
            losses = np.outer(P.losses(w), slopes) + intercepts
            assert P.p @ losses.max(axis=1) <= value + 1e-9
    assert given.expected_loss(w) == pytest.approx(given.worst_piecewise(w, [1.0], [0.0]))


@pytest.mark.parametrize("name", WASSERSTEIN | SUPPORTED)
def test_kinks_of_wasserstein_against_the_dual_of_transport(name):
    given, w = SETS[name], weights(8)
    price = cp.Variable(nonneg=True)
    s, rows = transport_dual(given, w, [(0.5, 0.0), (3.0, -0.02)], price)
    cost = {1: EPS * price, 2: EPS * price, np.inf: 0.0}[given.order]
    worst = solved(cp.Problem(cp.Minimize(100 * (cost + P_HAT @ s)), rows)) / 100
    found = given.worst_piecewise(w, [0.5, 3.0], [0.0, -0.02])
    assert found == pytest.approx(worst, rel=2e-6, abs=1e-8)


def test_scarf_with_a_box_of_means():
    """The kink's worst mean is the lowest one: values at the ends of the box bound it."""
    given, w = Moments(Box(R.mean(), 0.001), COV), np.array([0.2, 0.5, 0.3])
    known = Moments(R.mean() - 0.001, COV)
    assert given.worst_piecewise(w, [1, 2], [0, 0]) == pytest.approx(
        known.worst_piecewise(w, [1, 2], [0, 0]), rel=1e-12
    )


@pytest.mark.parametrize("norm", GROUND.values(), ids=GROUND)
def test_the_worst_variance_of_order_2(norm):
    """(σ̂ + ε‖w‖_*)², attained within ε and never exceeded."""
    given, w = Wasserstein(Scenarios(R, P_HAT), EPS, norm, 2), weights(9)
    worst = given.worst_of_variance(w)
    assert np.sqrt(worst.p @ (worst.losses(w) - worst.expected_loss(w)) ** 2) == pytest.approx(
        given.volatility(w), rel=1e-12
    )
    assert given.distance(worst) == pytest.approx(EPS, rel=1e-7)
    for P in given.sample(np.random.default_rng(2), 50):
        assert P.p @ (P.losses(w) - P.expected_loss(w)) ** 2 <= given.volatility(w) ** 2
    program = Program()
    x = program.variable("x", LABELS)
    program.subject_to(fixed=x == w)
    program.minimize(given.volatility(x))
    assert solve_program(program).objective == pytest.approx(given.volatility(w), rel=1e-7)


def test_distances():
    """Of shifted scenarios, of split ones, and of order ∞."""
    d = np.array([0.01, -0.02, 0.02])
    for order in (1, 2, np.inf):
        assert Wasserstein(R, 1.0, 2, order).distance(Distribution(R + d)) == pytest.approx(0.03)
    one = R.iloc[:1]
    half = Distribution(pd.concat([one, one + d]))
    assert Wasserstein(one, 1.0, 1, 1).distance(half) == pytest.approx(0.025)
    assert Wasserstein(one, 1.0, 2, 2).distance(half) == pytest.approx(0.03 / np.sqrt(2))
    assert Wasserstein(one, 1.0, np.inf, np.inf).distance(half) == pytest.approx(0.02)
    by_root = np.linalg.solve(np.linalg.cholesky(COV.matrix()), d)
    assert Wasserstein(R, 1.0, COV).distance(Distribution(R + d)) == pytest.approx(
        np.linalg.norm(by_root)
    )


def test_worst_expectations_of_utilities():
    """A concave utility by scenario: the statement, the numbers, the probabilities."""
    given = SCENARIO_SETS["entropy"]
    w = np.array([0.5, 0.2, 0.3])
    program = Program()
    x = program.variable("x", LABELS, lower=0)
    program.subject_to(fixed=x == w)
    program.minimize(given.worst_expectation(-log(1.0 + R.to_numpy() @ x)))
    losses = pd.Series(-np.log1p(R.to_numpy() @ w))
    value = given.worst_expectation(losses)
    assert solve_program(program).objective == pytest.approx(value, abs=1e-8)
    p = given.worst_probabilities(losses)
    assert p @ losses == pytest.approx(value, rel=1e-12)
    assert rel_entr(p, P_HAT).sum() == pytest.approx(0.15, rel=1e-9)


def test_labels_are_aligned():
    w = pd.Series([0.2, 0.5, 0.3], ["b", "c", "a"])
    x = w.loc[LABELS].to_numpy()
    for given in SETS.values():
        assert given.risk(w, 0.2) == given.risk(x, 0.2)
    program = Program()
    v = program.variable("v", ["c", "a", "b"])
    program.subject_to(fixed=v == w[["c", "a", "b"]])
    program.minimize(100 * SETS["W1 2"].risk(v, 0.2))
    value = solve_program(program).objective / 100
    assert value == pytest.approx(SETS["W1 2"].risk(w, 0.2), rel=1e-7)


def test_scenarios_of_probability_0_stay_impossible():
    p = P_HAT.copy()
    p[2] = 0.0
    given = KullbackLeibler(Scenarios(R, p / p.sum()), 3.0)
    assert len(given.center.p) == N - 1
    assert given.divergence(given.center.p) == 0.0


def test_parts_on_their_own_scenarios():
    """A mixture of samples: the worst expectation is the worst sample's."""
    other = market(11)
    given, w = ScenarioProbabilities.mixture([R, other]), weights(10)
    means = [-(table.to_numpy() @ w).mean() for table in (R, other)]
    assert given.expected_loss(w) == pytest.approx(max(means), rel=1e-12)
    assert given.scenarios.shape == (2 * N, n)


def test_an_ellipsoid_whose_columns_do_not_sum_to_0():
    """1'Az = 0 restricts z; where columns sum to 0 it says nothing, and no multiplier is stated."""
    tilted = A + 0.01
    given, losses = ScenarioProbabilities.ellipsoid(R, tilted), R.to_numpy()[:, 0]
    z = cp.Variable(4)
    p = 1 / N + tilted @ z
    rows = [cp.norm(z) <= 1, cp.sum(tilted @ z) == 0, p >= 0]
    worst = solved(cp.Problem(cp.Maximize(100 * p @ losses), rows)) / 100
    assert given.worst_expectation(losses) == pytest.approx(worst, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scenarios(R, np.full(N, 0.2)), "sum to 2; expected 1"),
        (lambda: Scenarios(R, -P_HAT), "at least 0"),
        (lambda: Scenarios(R.where(R > 0)), "finite numbers are expected"),
        (lambda: KullbackLeibler(R, -1), "at least 0"),
        (lambda: Wasserstein(R, -0.1), "at least 0"),
        (lambda: Wasserstein(R, 0.1, norm=3), "expected 1, 2 or inf"),
        (lambda: Wasserstein(R, 0.1, order=3), "order is 3"),
        (lambda: Wasserstein(R, 0.1, order=2, support=SUPPORT), "expected order=1"),
        (lambda: Wasserstein(10 * R, 0.1, support=SUPPORT), "outside of the support"),
        (lambda: Wasserstein(R, 0.1, support=R), "expected a Polyhedron"),
        (lambda: Wasserstein(R, 0.1, norm=DenseCovariance(COV.matrix(), list("xyz"))), "reindex"),
        (lambda: ScenarioProbabilities.box(R, 0.2, 0.3), "relax them"),
        (lambda: ScenarioProbabilities.box(R, 0.2, 0.1), "expected lower <= upper"),
        (lambda: ScenarioProbabilities.ellipsoid(R, A[1:]), "a row for each of the 10"),
        (lambda: ScenarioProbabilities.mixture([]), "at least one"),
        (lambda: Moments(pd.Series(0.0, list("xyz")), COV), "reindex"),
        (lambda: DelageYe(Ball(R.mean(), 0.1), COV, 0, 1), "expected known ones"),
        (lambda: DelageYe(R.mean(), COV, -1, 1), "gamma1"),
        (lambda: SETS["W1 2"].risk(weights(), 0.0), "tail probability"),
        (lambda: SETS["W1 2"].risk(weights(), 0.1, -1), "mean_weight"),
        (lambda: SETS["W1 2"].worst_piecewise(weights(), [-1.0], [0.0]), "at least 0"),
        (lambda: SETS["W1 2"].worst_piecewise(weights(), [1.0], []), "one for each piece"),
        (lambda: SETS["box"].contains(Distribution(R + 1)), "same scenarios in the same order"),
        (lambda: SETS["box"].worst_expectation([1.0, 2.0]), "each of the 10 scenarios"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SETS["W1 2"].worst_expectation(np.zeros(N)), "grows faster than linearly"),
        (lambda: SETS["W1 2"].volatility(weights()), "use order=2"),
        (lambda: SETS["moments"].worst_piecewise(weights(), [1, 2, 3], [0, 0, 0]), "one or two"),
        (lambda: SETS["Delage-Ye"].worst_piecewise(weights(), [1, 2], [0, 0]), "use Moments"),
    ],
)
def test_what_has_no_counterpart(make, message):
    with pytest.raises(ModelError, match=message):
        make()


@pytest.mark.parametrize("name", SETS)
def test_sets_are_drawn_and_written(name):
    given = SETS[name]
    figure = given.plot(assets=["a", "c"], weights=weights())
    assert figure.axes[0].get_xlabel() == "return of a"
    assert given._repr_latex_().startswith("$")
    assert "3 assets" in repr(given)


def test_distributions_say_their_moments():
    P = Distribution(R, P_HAT)
    w = pd.Series([0.2, 0.5, 0.3], LABELS)
    assert P.mean() @ w == pytest.approx(-P.expected_loss(w))
    assert P.covariance().variance(w) == pytest.approx(P.p @ (P.losses(w) - P.losses(w) @ P.p) ** 2)
    assert P.expectation(lambda table: table["a"]) == pytest.approx(P.mean()["a"])
    assert P.cvar(w, 1.0) == pytest.approx(P.expected_loss(w))
    assert P.cvar(w, 1e-9) == pytest.approx(P.losses(w).max())
    assert P.quantile(w, 1e-9) == P.losses(w).max()
    assert sum(P.to_dict()["probabilities"]) == pytest.approx(1.0)


def test_an_ellipsoid_of_one_direction_is_a_point():
    """1'Az = 0 leaves nothing of a single column that does not sum to 0."""
    given = ScenarioProbabilities.ellipsoid(R, A[:, :1])
    assert given.risk(weights(), 0.1) == Scenarios(R).risk(weights(), 0.1)
    assert not given.A.any()
