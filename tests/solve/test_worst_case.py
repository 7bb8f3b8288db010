"""Programs with uncertain data solved: against the adversary's side, in every realisation."""

from __future__ import annotations

import pickle

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.data import DenseCovariance, FactorCovariance
from rrp_pyomo.errors import InputError, ModelError, UnknownLabelError
from rrp_pyomo.modeling import InCone, cones, cvar, sum_squares, variance, worst_case
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty import (
    Ball,
    Box,
    Budgeted,
    CovarianceBox,
    CovarianceEllipsoid,
    CovariancePoint,
    DelageYe,
    ElementwiseError,
    Ellipsoid,
    FrobeniusBall,
    KullbackLeibler,
    LoadingEllipsoids,
    LoadingsBall,
    Moments,
    Polyhedron,
    SamplingError,
    ScenarioProbabilities,
    Scenarios,
    Vertices,
    Wasserstein,
    hull,
)

N = 5
ASSETS = list("ABCDE")


def market(seed, n=N):
    rng = np.random.default_rng(seed)
    labels = [f"a{i}" for i in range(n)]
    mean = pd.Series(rng.normal(0.06, 0.03, n), labels)
    R = rng.normal(size=(n + 3, n)) * rng.uniform(0.05, 0.2, n)
    return mean, DenseCovariance(pd.DataFrame(R.T @ R / n, labels, labels))


def sets(mean, sigma):
    widths = 0.3 * np.sqrt(sigma.variances)
    return {
        "ellipsoid": Ellipsoid(mean, sigma, 0.2),
        "box": Box(mean, widths * np.linspace(0.2, 0.5, len(mean))),
        "ball": Ball(mean, 0.04),
        "ball of 1": Ball(mean, 0.05, 1),
        "ball of inf": Ball(mean, 0.02, np.inf),
    }


KINDS = list(sets(*market(0)))


def stated(members, sigma, lower=0.0, floor=None, risk_aversion=2.0):
    p = Program("robust_mean_variance")
    w = p.variable("w", members.labels, lower=lower)
    mu = p.uncertain("mu", members)
    p.maximize(worst_case(mu @ w) - 0.5 * risk_aversion * variance(w, sigma))
    p.subject_to(invested=w.sum() == 1)
    if floor is not None:
        p.subject_to(floor=worst_case(mu @ w) >= floor)
    return p


def by_cvxpy(kind, members, sigma, lower, floor=None):
    """The penalties as they are printed, stated by hand."""
    n = members.size
    w = cp.Variable(n)
    c, S = members.center.to_numpy(), sigma.matrix().to_numpy()
    penalty = {
        "ellipsoid": lambda: 0.2 * cp.norm(np.linalg.cholesky(S).T @ w),
        "box": lambda: members.half_width.to_numpy() @ cp.abs(w),
        "ball": lambda: 0.04 * cp.norm(w, 2),
        "ball of 1": lambda: 0.05 * cp.norm(w, "inf"),
        "ball of inf": lambda: 0.02 * cp.norm(w, 1),
    }[kind]()
    worst = c @ w - penalty
    rows = [cp.sum(w) == 1, w >= lower]
    rows += [worst >= floor] if floor is not None else []
    problem = cp.Problem(cp.Maximize(worst - cp.quad_form(w, cp.psd_wrap(S))), rows)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10)
    return problem, rows, w


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lower", [0.0, -1.0])
def test_values_duals_worst_elements_and_saddle_gaps(kind, lower):
    mean, sigma = market(3)
    members = sets(mean, sigma)[kind]
    free, _, _ = by_cvxpy(kind, members, sigma, lower)
    reached = solve_program(stated(members, sigma, lower))
    assert reached.objective == pytest.approx(free.value, rel=1e-7)
    assert reached.certificate.primal_residual < 1e-8
    worst = reached.worst_case["mu"]
    x = reached.values["w"]
    assert isinstance(worst, pd.Series)
    assert tuple(worst.index) == members.labels
    assert members.contains(worst, 1e-7)
    assert worst @ x == pytest.approx(-members.support(-x), abs=1e-9)
    draws = members.sample(np.random.default_rng(1), 200)
    assert (draws @ x).min() >= worst @ x - 1e-9
    assert abs(reached.saddle_gap) < 1e-7


@pytest.mark.parametrize("kind", KINDS)
def test_a_worst_case_in_a_constraint_has_its_dual(kind):
    mean, sigma = market(14)
    members = sets(mean, sigma)[kind]
    at = solve_program(stated(members, sigma, risk_aversion=2.0)).values["w"]
    best = solve_program(stated(members, sigma, risk_aversion=0.0)).objective
    floor = 0.5 * (best - members.support(-at))
    problem, rows, _ = by_cvxpy(kind, members, sigma, 0.0, floor)
    reached = solve_program(stated(members, sigma, floor=floor))
    assert reached.objective == pytest.approx(problem.value, rel=1e-6)
    # ∂objective/∂(left − right) of a maximised objective at `>=`.
    assert reached.duals["floor"] == pytest.approx(-rows[2].dual_value, rel=1e-3, abs=1e-6)
    assert reached.duals["floor"] < -1e-3
    assert abs(reached.saddle_gap) < 1e-6
    for key in (("mu", "objective"), ("mu", "floor")):
        element = reached.worst_case[key]
        assert element @ reached.values["w"] == pytest.approx(floor, abs=1e-8)


def polytopes(mean, sigma):
    s, n = np.sqrt(sigma.variances), len(mean)
    corners = mean.to_numpy() + 0.03 * np.random.default_rng(1).normal(size=(4, n))
    sides = np.vstack([np.eye(n), -np.eye(n), np.ones((1, n))])
    budgeted = Budgeted(mean, 0.3 * s, 2)
    vertices = Vertices(pd.DataFrame(corners, columns=mean.index))
    return {
        "budgeted": budgeted,
        "vertices": vertices,
        "polyhedron": Polyhedron(mean, sides, np.append(np.full(2 * n, 0.03), 0.04)),
        "intersection": Box(mean, 0.3 * s) & Ellipsoid(mean, sigma, 0.25),
        "sum": budgeted + Ball(mean * 0.0, 0.01, 1),
        "hull": hull(Ball(mean, 0.02), vertices),
        "flat ellipsoid": Ellipsoid(mean, root=0.1 * np.ones((1, n)), radius=1.0),
    }


@pytest.mark.parametrize("kind", polytopes(*market(0)))
@pytest.mark.parametrize("seed", [61, 62, 66])
def test_sets_with_corners_are_saddle_points_in_objective_and_rows(kind, seed):
    """Optima lie where several elements are worst: to a solver's accuracy."""
    mean, sigma = market(seed)
    members = polytopes(mean, sigma)[kind]
    p = Program("corners")
    w = p.variable("w", members.labels, lower=-1.0, upper=1.5)
    t = p.variable("t", upper=0.3)
    mu = p.uncertain("mu", members)
    p.minimize(variance(w, sigma) - worst_case(mu @ w) - 0.1 * t)
    p.subject_to(
        invested=w.sum() == 1,
        row=worst_case(2 * (mu @ w) - 0.1 * w["a0"]) >= t,
        other=worst_case(mu @ (w - 1 / N)) <= 0.02,
    )
    reached = solve_program(p)
    assert abs(reached.saddle_gap) < 1e-5
    x = reached.arrays["w"]
    for where, d, side in (("objective", x, -1), ("row", 2 * x, -1), ("other", x - 1 / N, 1)):
        element = reached.worst_case["mu", where]
        assert members.contains(element, 1e-6)
        assert d @ element.to_numpy() == pytest.approx(side * members.support(side * d), abs=1e-7)


def test_an_arbitrary_worst_element_is_no_saddle_where_several_are_worst():
    mean, sigma = market(3)
    members = sets(mean, sigma)["box"]
    reached = solve_program(stated(members, sigma))
    x = reached.values["w"]
    assert (x < 1e-8).any(), "the box ties at weights of 0"
    corner = members.worst(-x.where(x > 1e-8, -1.0))  # attains the worst case as well
    assert corner @ x == pytest.approx(reached.worst_case["mu"] @ x, abs=1e-9)
    fixed = Program("fixed")
    w = fixed.variable("w", members.labels, lower=0)
    fixed.maximize(corner.to_numpy() @ w - variance(w, sigma))
    fixed.subject_to(invested=w.sum() == 1)
    assert solve_program(fixed).objective > reached.objective + 1e-5
    assert abs(reached.saddle_gap) < 1e-7


def test_a_point_that_is_no_optimum_has_a_saddle_gap():
    mean, sigma = market(5)
    members = sets(mean, sigma)["ellipsoid"]
    p = stated(members, sigma)
    p.subject_to(pinned=p.variables["w"] == 1.0 / N)
    reached = solve_program(p)
    assert abs(reached.saddle_gap) < 1e-7  # the only point there is
    from rrp_pyomo.solve.worst_case import saddle_gap, worst_elements

    q = stated(members, sigma)
    x = np.full(N, 1.0 / N)
    best = solve_program(q).objective
    gap = saddle_gap(q, x, worst_elements(q, x))
    assert gap > 1e-3
    assert gap * 1.0 >= 0
    assert q.objective.value(x)[0] < best


# --- realisations -------------------------------------------------------------------------------


def two_sets(lower=0.0):
    mean, sigma = market(6)
    factors = Ball(pd.Series([0.03, 0.01], ["f", "g"]), 0.01)
    B = np.random.default_rng(0).normal(size=(N, 2))
    p = stated(sets(mean, sigma)["ball"], sigma, lower)
    w = p.variables["w"]
    f = p.uncertain("f", factors)
    p.subject_to(exposure=worst_case((B @ f) @ w - 0.1 * w.sum()) <= -0.09)
    return p, factors, B


def test_every_realisation_has_the_same_optimum():
    p, factors, B = two_sets()
    reached = solve_program(p)
    x = reached.arrays["w"]
    assert factors.support(B.T @ x) == pytest.approx(0.01, abs=1e-7), "the row binds"
    assert reached.duals["exposure"] > 1e-4
    for solver in ("scs", "casadi_ipopt"):
        other = solve_program(p, solver=solver)
        assert other.objective == pytest.approx(reached.objective, rel=2e-4)
        assert other.worst_case["mu"].to_numpy() == pytest.approx(
            reached.worst_case["mu"].to_numpy(), abs=2e-4
        )
    assert solve_program(p, solver="casadi_ipopt").objective == pytest.approx(
        reached.objective, rel=1e-6
    )
    for block, solver in ((p.block(), "clarabel"), (p.kernel(), "clarabel")):
        SolverFactory(solver).solve(block)
        assert pyo.value(block.objective) == pytest.approx(reached.objective, rel=1e-7)
    m = pyo.ConcreteModel()
    m.part = p.block(start={"w": x})
    SolverFactory("casadi_ipopt").solve(m)
    assert pyo.value(m.part.objective) == pytest.approx(reached.objective, rel=1e-6)
    assert abs(reached.saddle_gap) < 1e-7


def test_points_and_blocks_take_values_of_the_statements_variables():
    p, _, _ = two_sets()
    reached = solve_program(p)
    block = p.block()
    p.initialise(block, reached.values)
    assert pyo.value(block.objective) == pytest.approx(reached.objective, rel=1e-7)
    x = p.point(reached.values)
    assert max(p.residuals(x).values()) < 1e-7
    assert p.objective.value(x)[0] == pytest.approx(reached.objective, rel=1e-7)
    bad = p.residuals(p.point({"w": np.full(N, -1.0)}))
    assert bad["exposure"] > 0


def test_existing_variables_take_the_place_of_the_statements():
    p, _, _ = two_sets()
    m = pyo.ConcreteModel()
    m.x = pyo.Var(p.variables["w"].labels, initialize=0.2)
    m.part = p.block(bind={"w": m.x})
    m.cap = pyo.Constraint(expr=m.x["a0"] <= 0.1)
    SolverFactory("clarabel").solve(m)
    w = p.variables["w"]
    p.subject_to(cap=w["a0"] <= 0.1)
    assert pyo.value(m.part.objective) == pytest.approx(solve_program(p).objective, rel=1e-6)


# --- parameters ---------------------------------------------------------------------------------


def test_parameters_keep_what_was_compiled():
    mean, sigma = market(7)
    members = sets(mean, sigma)["ellipsoid"]

    def state(before, reward, costs, as_parameters):
        p = Program("costs")
        w = p.variable("w", members.labels, lower=0)
        mu = p.uncertain("mu", members)
        if as_parameters:
            before = p.parameter("before", before)
            reward, costs = p.parameter("reward", reward), p.parameter("costs", costs)
        p.maximize(reward * worst_case(mu @ w) - variance(w, sigma))
        p.subject_to(
            invested=w.sum() == 1,
            hurdle=worst_case(mu @ (w - before) - costs @ w) >= -0.015,
        )
        return p

    rng = np.random.default_rng(0)
    p = state(mean * 0 + 1 / N, 1.0, mean * 0, True)
    first, pattern = p.compiled(), p.conic().A
    solve_program(p)
    for k in range(3):
        before = pd.Series(rng.dirichlet(np.ones(N)), members.labels)
        costs = pd.Series(rng.uniform(0, 0.01, N), members.labels)
        reward = rng.uniform(0.5, 2.0)
        p.set(before=before[::-1], reward=reward, costs=costs)
        again = solve_program(p)
        assert p.compiled() is first
        assert (p.conic().A.indices == pattern.indices).all()
        fresh = solve_program(state(before, reward, costs, False))
        assert again.objective == pytest.approx(fresh.objective, rel=1e-7), k
        assert abs(again.saddle_gap) < 1e-6
    earlier = again.objective
    p.set(reward=3.0)
    assert again.worst_case is again.worst_case
    assert abs(again.saddle_gap) < 1e-6, "of the numbers that were solved for"
    assert again.objective == earlier
    block = p.block()
    assert pyo.value(block.reward) == 3.0


# --- worst elements by name ---------------------------------------------------------------------


def test_elements_that_differ_are_asked_for_by_place():
    mean, sigma = market(8)
    members = sets(mean, sigma)["ball"]
    p = Program("two_places")
    w = p.variable("w", members.labels, lower=0)
    v = p.variable("v", members.labels, lower=0, upper=0.5)
    mu = p.uncertain("mu", members)
    p.maximize(worst_case(mu @ w) + worst_case(mu @ v) - sum_squares(w - 0.1))
    p.subject_to(invested=w.sum() == 1, other=v.sum() == 1, both=worst_case(mu @ (w + v)) >= -1.0)
    worst = solve_program(p).worst_case
    assert set(worst) == {("mu", "objective", 1), ("mu", "objective", 2), ("mu", "both")}
    assert len(worst) == 3
    assert "both" in repr(worst)
    with pytest.raises(InputError, match=r"elements differ; pass one of \('mu', 'objective', 1\)"):
        worst["mu"]
    with pytest.raises(UnknownLabelError, match=r"unknown worst case .mi."):
        worst["mi"]
    assert members.contains(worst["mu", "both"])


def test_covariances_with_and_without_a_name():
    _mean, sigma = market(9)
    p = Program("variances")
    w = p.variable("w", sigma.labels, lower=0)
    p.minimize(worst_case(variance(w, CovariancePoint(sigma))))
    p.subject_to(invested=w.sum() == 1)
    reached = solve_program(p)
    assert reached.worst_case["covariance"] is sigma
    assert abs(reached.saddle_gap) < 1e-7
    q = Program("named")
    w = q.variable("w", sigma.labels, lower=0)
    S = q.uncertain("Sigma", CovariancePoint(sigma))
    q.minimize(worst_case(variance(w, S)))
    q.subject_to(invested=w.sum() == 1)
    assert list(solve_program(q).worst_case) == ["Sigma"]


LOADINGS = np.random.default_rng(3).normal(size=(2, N))


def sets_of_covariances(sigma):
    S, labels = sigma.matrix(), sigma.labels
    V = pd.DataFrame(LOADINGS, ["f", "g"], labels)
    F = pd.DataFrame(np.diag([0.04, 0.02]), ["f", "g"], ["f", "g"])
    D = pd.Series(np.linspace(0.01, 0.05, N), labels)
    return {
        "box": lambda: CovarianceBox(S - 0.2 * S.abs(), S + 0.2 * S.abs()),
        "ball": lambda: FrobeniusBall(sigma, 0.01),
        "sampling": lambda: SamplingError(sigma, 60, 1.0),
        "elementwise": lambda: ElementwiseError(sigma, 0.1 * S.abs(), 1.0),
        "ellipsoid": lambda: CovarianceEllipsoid(sigma, np.eye(N * N), 0.01),
        "columns of loadings": lambda: LoadingEllipsoids(V, F, np.eye(2), 0.1, D),
        "loadings": lambda: LoadingsBall(V, F, D, 0.3),
    }


@pytest.mark.parametrize("kind", sets_of_covariances(market(0)[1]))
@pytest.mark.parametrize("lower", [0.0, -1.0])
def test_worst_covariances_and_means_of_one_objective(kind, lower):
    mean, sigma = market(10)
    members, means = sets_of_covariances(sigma)[kind](), Box(mean, 0.02)
    p = Program("two_sets")
    w = p.variable("w", members.labels, lower=lower)
    mu, S = p.uncertain("mu", means), p.uncertain("Sigma", members)
    p.maximize(worst_case(mu @ w - 1.5 * variance(w, S)))
    p.subject_to(invested=w.sum() == 1)
    reached = solve_program(p)
    x = reached.values["w"]
    assert reached.objective == pytest.approx(
        -means.support(-x) - 1.5 * members.variance(x), rel=1e-6
    )
    assert reached.worst_case["Sigma"].variance(x) == pytest.approx(members.variance(x), rel=1e-6)
    # Where several loadings are worst, a mixture of their covariances makes it a saddle point.
    assert abs(reached.saddle_gap) < 1e-6
    for draw in members.sample(np.random.default_rng(0), 50):
        assert draw.variance(x) <= members.variance(x) * (1 + 1e-9)


def test_a_limit_on_a_worst_variance_stays_a_program_with_duals():
    mean, sigma = market(11)
    members = sets_of_covariances(sigma)["columns of loadings"]()

    def stated_with(limit):
        p = Program("limit")
        w = p.variable("w", members.labels, lower=0)
        mu, S = p.uncertain("mu", Ball(mean, 0.01)), p.uncertain("Sigma", members)
        p.maximize(worst_case(mu @ w))
        p.subject_to(invested=w.sum() == 1, risk=worst_case(variance(w, S)) <= limit)
        return p

    limit = 1.2 * members.variance(solve_program(stated_with(1.0)).values["w"] * 0 + 1 / N)
    reached = solve_program(stated_with(limit))
    assert members.variance(reached.values["w"]) == pytest.approx(limit, rel=1e-6)
    more = solve_program(stated_with(limit + 1e-5)).objective
    assert reached.duals["risk"] == pytest.approx((more - reached.objective) / 1e-5, rel=1e-2)
    assert abs(reached.saddle_gap) < 1e-6


SCENARIOS = pd.DataFrame(
    np.random.default_rng(0).normal(0.01, 0.05, size=(30, N)), columns=market(0)[0].index
)


def sets_of_distributions():
    center, sigma = SCENARIOS.mean(), DenseCovariance(SCENARIOS.cov())
    halves = [Scenarios(SCENARIOS[:15]), Scenarios(SCENARIOS[15:])]
    return {
        "scenarios": lambda: Scenarios(SCENARIOS),
        "moments": lambda: Moments(center, sigma),
        "Delage and Ye": lambda: DelageYe(center, sigma, 0.05, 1.2),
        "transport": lambda: Wasserstein(SCENARIOS, 0.01),
        "transport of 1": lambda: Wasserstein(SCENARIOS, 0.01, norm=1),
        "transport of order 2": lambda: Wasserstein(SCENARIOS, 0.01, order=2),
        "entropy": lambda: KullbackLeibler(SCENARIOS, 0.1),
        "box": lambda: ScenarioProbabilities.box(SCENARIOS, 0.5 / 30, 2 / 30),
        "mixture": lambda: ScenarioProbabilities.mixture(halves),
    }


@pytest.mark.parametrize("kind", sets_of_distributions())
@pytest.mark.parametrize("mean_weight", [0.0, 0.7])
def test_worst_distributions(kind, mean_weight):
    members = sets_of_distributions()[kind]()
    p = Program("tail")
    w = p.variable("w", members.labels, lower=0)
    R = p.uncertain("R", members)
    p.minimize(worst_case(mean_weight * cvar(-(R @ w), 1) + cvar(-(R @ w), 0.1)))
    p.subject_to(invested=w.sum() == 1)
    reached = solve_program(p)
    x, worst = reached.values["w"], reached.worst_case["R"]
    value = members.risk(x, 0.1, mean_weight)
    assert reached.objective == pytest.approx(value, rel=1e-6)
    attained = worst.cvar(x, 0.1) + mean_weight * worst.expected_loss(x)
    assert attained == pytest.approx(value, rel=1e-6)
    # The fixed program is one of linear pieces, which take weights to 1e-6 as they are.
    assert abs(reached.saddle_gap) < 1e-4


def test_programs_without_uncertain_data_have_no_worst_case():
    p = Program("plain")
    w = p.variable("w", ASSETS, lower=0)
    p.minimize(sum_squares(w))
    p.subject_to(invested=w.sum() == 1)
    reached = solve_program(p)
    assert dict(reached.worst_case) == {}
    assert reached.saddle_gap == 0.0
    assert p.counterpart() is not p


def test_solutions_travel_with_their_worst_case():
    mean, sigma = market(3)
    members = sets(mean, sigma)["box"]
    reached = solve_program(stated(members, sigma))
    travelled = pickle.loads(pickle.dumps(reached))
    assert travelled.worst_case["mu"].equals(reached.worst_case["mu"])
    assert travelled.saddle_gap == reached.saddle_gap


def test_a_fixed_program_without_an_optimum_has_an_infinite_gap():
    from rrp_pyomo.solve.worst_case import saddle_gap, worst_elements

    members = Ball(pd.Series([0.01, 0.02], ["a", "b"]), 0.1)
    p = Program("homogeneous")
    w = p.variable("w", members.labels)
    mu = p.uncertain("mu", members)
    p.maximize(worst_case(mu @ w))
    x = np.array([1.0, 1.0])
    assert saddle_gap(p, x, worst_elements(p, x)) == np.inf


def test_semidefinite_counterparts_are_solved_and_refused_by_blocks():
    """A spectral ball of covariances as its LMI: the cone decides which realisations there are."""

    class Spectral:
        labels = tuple("ab")
        formula = r"\{\Sigma\}"

        def variance(self, w, h=1.0):
            if not hasattr(w, "terms"):
                return float(w @ w)
            program = w.program
            W = program.variable(program.free_name("W"), 4)
            e = np.eye(9)
            at = [0, 1, 3, 4]
            body = e[:, at] @ W + (e[:, [2, 5]] + e[:, [6, 7]]) @ w + e[:, 8]
            program.subject_to(**{program.free_name("lmi"): InCone((body,), cones.Semidefinite())})
            return np.array([1.0, 0.0, 0.0, 1.0]) @ W

        def worst(self, w):
            return DenseCovariance(np.eye(2), self.labels)

    p = Program("lmi")
    w = p.variable("w", ["a", "b"])
    p.minimize(worst_case(variance(w, Spectral())))
    p.subject_to(invested=np.array([1.0, 2.0]) @ w == 1)
    reached = solve_program(p)
    assert reached.objective == pytest.approx(0.2, abs=1e-7)
    assert abs(reached.saddle_gap) < 1e-6
    for realise in (p.block, p.kernel):
        with pytest.raises(ModelError, match="semidefinite"):
            realise()


def test_factored_covariances_and_sets_stay_factored():
    n, m = 400, 3
    rng = np.random.default_rng(0)
    labels = [f"a{i}" for i in range(n)]
    sigma = FactorCovariance(
        pd.DataFrame(rng.normal(size=(m, n)), list("fgh"), labels),
        pd.DataFrame(np.diag([0.04, 0.02, 0.01]), list("fgh"), list("fgh")),
        pd.Series(rng.uniform(0.01, 0.1, n), labels),
    )
    mean = pd.Series(rng.normal(0.05, 0.05, n), labels)
    p = stated(Ellipsoid(mean, sigma, 0.2), sigma)
    assert p.conic().A.nnz < 20 * n
    reached = solve_program(p)
    assert abs(reached.saddle_gap) < 1e-6


def test_risk_of_a_set_of_distributions():
    from tests.modeling.test_worst_case import MomentRisk

    risk = MomentRisk()
    p = Program("risk")
    w = p.variable("w", risk.labels, lower=0)
    R = p.uncertain("R", risk)
    p.minimize(worst_case(cvar(-(R @ w), 0.1)))
    p.subject_to(invested=w.sum() == 1)
    reached = solve_program(p)
    v = cp.Variable(3)
    value = -risk.mean.to_numpy() if isinstance(risk.mean, pd.Series) else -risk.mean
    problem = cp.Problem(
        cp.Minimize(value @ v + 3.0 * cp.norm(risk.root @ v)), [cp.sum(v) == 1, v >= 0]
    )
    problem.solve(solver="CLARABEL")
    assert reached.objective == pytest.approx(problem.value, rel=1e-6)
    worst = reached.worst_case["R"]
    assert worst.probabilities.sum() == pytest.approx(1.0)


def test_integers_have_worst_elements_and_no_saddle_gap():
    mean = pd.Series([0.05, 0.08, 0.06], ["a", "b", "c"])
    program = Program("few")
    w, z = program.variable("w", mean.index, lower=0), program.variable("z", 3, domain="binary")
    mu = program.uncertain("mu", Box(mean, [0.01, 0.05, 0.01]))
    program.maximize(worst_case(mu @ w))
    program.subject_to(invested=w.sum() == 1, few=z.sum() <= 1, held=w <= z)
    solution = solve_program(program, "outer_approximation")
    assert solution.objective == pytest.approx(0.05, abs=1e-7)
    assert solution.worst_case["mu"]["c"] == pytest.approx(0.05)
    with pytest.raises(ModelError, match=r"'few' has integers.*objective_bound"):
        _ = solution.saddle_gap
