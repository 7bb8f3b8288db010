"""Uncertain data in statements: whom the adversary opposes, what is refused, what is printed."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo.data import CovarianceUncertainty, DenseCovariance, FactorCovariance
from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.modeling import InCone, cones, cvar, norm, square, sum_squares, variance, worst_case
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty import Ball, Box, CovarianceBox, CovariancePoint, Ellipsoid

ASSETS = ["A", "B", "C"]
MEAN = pd.Series([0.05, 0.08, 0.02], ASSETS)
ROOT = np.array([[0.2, 0.05, 0.0], [0.0, 0.3, 0.1], [0.0, 0.0, 0.1]])
SIGMA = DenseCovariance(pd.DataFrame(ROOT.T @ ROOT, ASSETS, ASSETS))
ELLIPSOID = Ellipsoid(MEAN, SIGMA, 0.4)
POINT = np.array([0.5, 0.8, -0.3])


class MomentRisk:
    """All distributions with a mean and a covariance."""

    labels = tuple(ASSETS)
    formula = r"\{P\}"

    def __init__(self, mean=MEAN, root=ROOT):
        self.mean, self.root = mean.to_numpy(), root

    def risk(self, w, alpha, mean_weight=0.0):
        factor = np.sqrt((1.0 - alpha) / alpha)
        size = norm(self.root @ w) if hasattr(w, "terms") else np.linalg.norm(self.root @ w)
        return -(1.0 + mean_weight) * (self.mean @ w) + factor * size

    def worst(self, w, alpha, mean_weight=0.0):
        sd = np.linalg.norm(self.root @ w)
        along = self.root.T @ (self.root @ w) / sd
        low, high = -np.sqrt((1 - alpha) / alpha), np.sqrt(alpha / (1 - alpha))
        rows = np.array([self.mean + low * along, self.mean + high * along])
        return SimpleNamespace(
            scenarios=pd.DataFrame(rows, columns=ASSETS),
            probabilities=pd.Series([alpha, 1.0 - alpha]),
        )


def program(**kwargs):
    p = Program("robust")
    w = p.variable("w", ASSETS, **kwargs)
    return p, w, p.uncertain("mu", ELLIPSOID)


def objective_at(p, point=POINT):
    return float(p.objective.value(np.asarray(point, float))[0])


# --- whom the adversary opposes -----------------------------------------------------------------

MOST, LEAST = ELLIPSOID.support(POINT), -ELLIPSOID.support(-POINT)


def test_a_minimised_worst_case_is_the_largest_value_and_a_maximised_one_the_smallest():
    p, w, mu = program()
    p.minimize(worst_case(mu @ w))
    assert objective_at(p) == pytest.approx(MOST, rel=1e-14)
    p.maximize(worst_case(mu @ w))
    assert objective_at(p) == pytest.approx(LEAST, rel=1e-14)
    p.minimize(-2.0 * worst_case(mu @ w))
    assert objective_at(p) == pytest.approx(-2.0 * LEAST, rel=1e-14)
    p.maximize(-2.0 * worst_case(mu @ w))
    assert objective_at(p) == pytest.approx(-2.0 * MOST, rel=1e-14)


@pytest.mark.parametrize(
    ("state", "value"),
    [
        (lambda wc, t: wc >= t, LEAST),
        (lambda wc, t: wc <= t, MOST),
        (lambda wc, t: t <= wc, LEAST),
        (lambda wc, t: t >= wc, MOST),
        (lambda wc, t: -wc <= t, LEAST),
        (lambda wc, t: 0.0 >= t - 2 * wc, LEAST),
        (lambda wc, t: t - wc >= 0.0, MOST),
    ],
)
def test_the_sides_of_constraints(state, value):
    p, w, mu = program()
    t = p.variable("t")
    p.subject_to(row=state(worst_case(mu @ w), t))
    body = p.constraints["row"].body
    (weighted,) = body.terms
    assert weighted.term.value(np.append(POINT, 0.0))[0] == pytest.approx(value, rel=1e-14)
    # In the counterpart the body has the same value, made of convex terms on the small side.
    expanded = p.counterpart().constraints["row"].body
    x = np.append(POINT, 0.7)
    assert expanded.value(x) == pytest.approx(body.value(x), rel=1e-13)


def test_a_statement_does_not_change_the_expression_that_it_was_given():
    p, w, mu = program()
    t = p.variable("t")
    reward = worst_case(mu @ w)
    p.subject_to(above=reward >= t, below=reward <= t)
    x = np.append(POINT, 0.0)
    assert p.constraints["above"].body.value(x) == pytest.approx(LEAST, rel=1e-14)
    assert p.constraints["below"].body.value(x) == pytest.approx(MOST, rel=1e-14)
    with pytest.raises(ModelError, match="by where it stands"):
        reward.value(x)


# --- directions ---------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_affine_functions_of_several_symbols_are_split_into_directions(seed):
    rng = np.random.default_rng(seed)
    p, w, mu = program()
    f = p.uncertain("f", Box(pd.Series(rng.normal(size=2), ["x", "y"]), rng.uniform(size=2)))
    k = p.parameter("k", rng.uniform())
    B, c, d = rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=3)
    expression = (B @ f + 2 * mu + c + d * k) @ w - 3 * mu["B"] * w["B"] + mu.sum() - c @ w + 0.3
    p.minimize(worst_case(expression - f["x"]))
    x = rng.normal(size=3)
    ones, at_b = np.ones(3), np.array([0.0, 1.0, 0.0])
    of_mu = 2 * x - 3 * at_b * x + ones
    of_f = B.T @ x - np.array([1.0, 0.0])
    certain = (c + d * k.number) @ x - c @ x + 0.3
    expected = ELLIPSOID.support(of_mu) + f.members.support(of_f) + certain
    assert objective_at(p, x) == pytest.approx(expected, rel=1e-10, abs=1e-12)
    assert objective_at(p.counterpart(), x) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_directions_take_parameters_and_labels_in_any_order():
    p, w, mu = program()
    before = p.parameter("before", pd.Series([0.2, 0.3, 0.5], ASSETS))
    p.minimize(worst_case(mu @ (w - before)))
    assert objective_at(p) == pytest.approx(ELLIPSOID.support(POINT - before.number), rel=1e-14)
    other = Program("other")
    v = other.variable("v", ["C", "A", "B"])
    nu = other.uncertain("nu", ELLIPSOID)
    other.minimize(worst_case(nu @ v[ASSETS]))
    assert objective_at(other, POINT[[2, 0, 1]]) == pytest.approx(MOST, rel=1e-14)
    with pytest.raises(InputError, match="do not go together"):
        nu @ v


def test_a_factored_covariance_of_uncertain_means_makes_no_variable():
    p, w, mu = program()
    factored = FactorCovariance(
        pd.DataFrame([[1.0, 0.5, 0.2]], ["f"], ASSETS),
        pd.DataFrame([[0.04]], ["f"], ["f"]),
        pd.Series([0.01, 0.02, 0.03], ASSETS),
    )
    p.minimize(worst_case((factored @ mu) @ w))
    assert list(p.variables) == ["w"]
    expected = ELLIPSOID.support(factored.operator @ POINT)
    assert objective_at(p) == pytest.approx(expected, rel=1e-13)


# --- variances and risks ------------------------------------------------------------------------


def test_the_variance_of_a_point_is_a_sum_of_squares_and_stays_factored():
    p, w, _ = program()
    factored = FactorCovariance(
        pd.DataFrame([[1.0, 0.5, 0.2]], ["f"], ASSETS),
        pd.DataFrame([[0.04]], ["f"], ["f"]),
        pd.Series([0.01, 0.02, 0.03], ASSETS),
    )
    p.minimize(variance(w, factored))
    assert "exposure" in p.variables
    x = p.point({"w": POINT})
    assert objective_at(p, x) == pytest.approx(factored.variance(POINT), rel=1e-13)
    for given_ in (
        SIGMA,
        SIGMA.matrix(),
        SIGMA.matrix().to_numpy(),
        SIGMA.matrix().loc[::-1, ::-1],
    ):
        q, v, _ = program()
        q.minimize(variance(v, given_) + worst_case(variance(v, given_)))
        assert objective_at(q) == pytest.approx(2 * SIGMA.variance(POINT), rel=1e-13)


def test_the_papers_uncertainty_is_no_set_of_the_language():
    sigma = DenseCovariance(np.eye(2), ["a", "b"])
    uncertainty = CovarianceUncertainty.from_bounds(sigma, 1.5 * np.eye(2))
    program = Program("p")
    w = program.variable("w", ["a", "b"], lower=0)
    with pytest.raises(InputError, match=r"CovarianceBox\.of_uncertainty\(uncertainty\)"):
        variance(w, uncertainty)
    box = CovarianceBox.of_uncertainty(uncertainty)
    program.minimize(worst_case(variance(w, box)))
    program.subject_to(invested=w.sum() == 1)
    assert solve_program(program).objective == pytest.approx(0.75, abs=1e-6)


def test_sets_of_covariances_with_and_without_a_name():
    for named in (True, False):
        p, w, mu = program()
        members = CovariancePoint(SIGMA)
        sigma = p.uncertain("Sigma", members) if named else members
        p.maximize(worst_case(mu @ w - 1.5 * variance(w, sigma)))
        assert objective_at(p) == pytest.approx(LEAST - 1.5 * SIGMA.variance(POINT), rel=1e-13)
        assert objective_at(p.counterpart()) == pytest.approx(objective_at(p), rel=1e-13)


def test_parameters_multiply_terms_inside_and_outside():
    p, w, mu = program()
    k = p.parameter("k", 1.5)
    sigma = p.uncertain("Sigma", CovariancePoint(SIGMA))
    for stated in (
        worst_case(mu @ w - k * variance(w, sigma)),
        worst_case(mu @ w) - worst_case(k * variance(w, sigma)),
        worst_case(mu @ w) - k * worst_case(variance(w, sigma)),
    ):
        p.maximize(stated)
        assert objective_at(p) == pytest.approx(LEAST - 1.5 * SIGMA.variance(POINT), rel=1e-13)
        assert objective_at(p.counterpart()) == pytest.approx(objective_at(p), rel=1e-13)


def test_counterparts_of_several_terms_are_printed_by_their_parts():
    p, w, mu = program(lower=0)
    p.minimize(-worst_case(mu @ w))
    p.subject_to(row=worst_case(mu @ w - 0.1 * w["A"]) >= 0.01)
    written = str(p.counterpart())
    assert "row        f(w) - ([3] @ (-w) + 0.4 * norm(R @" in written
    assert "worst_case" not in written


def test_risks_over_sets_of_distributions():
    p, w, _ = program()
    R = p.uncertain("R", MomentRisk())
    p.minimize(worst_case(0.5 + cvar(0.1 - 2 * (R @ w), 0.05)))
    expected = 0.6 + 2 * MomentRisk().risk(POINT, 0.05)
    assert objective_at(p) == pytest.approx(expected, rel=1e-13)
    assert objective_at(p.counterpart()) == pytest.approx(expected, rel=1e-13)


def test_an_expected_loss_beside_a_tail_is_one_risk():
    """The two have one distribution: their worst cases apart are at least as large."""

    class Both(MomentRisk):
        def risk(self, w, alpha, mean_weight=0.0):
            assert (alpha, mean_weight) == (0.05, 0.25)
            return super().risk(w, alpha, mean_weight)

    p, w, _ = program()
    R = p.uncertain("R", Both())
    for order in (1, -1):
        terms = [cvar(-(R @ w), 1.0) * 0.5, 2 * cvar(-(R @ w), 0.05)][::order]
        p.minimize(worst_case(terms[0] + terms[1]))
        expected = 2 * MomentRisk().risk(POINT, 0.05, 0.25)
        assert objective_at(p) == pytest.approx(expected, rel=1e-13)
        assert objective_at(p.counterpart()) == pytest.approx(expected, rel=1e-13)
    for other in (cvar(-(R @ w), 0.5), cvar(-(R @ (2 * w)), 1.0), cvar(-(R @ (w - 0.1)), 1.0)):
        with pytest.raises(ModelError, match="'R' stands in two terms"):
            worst_case(other + cvar(-(R @ w), 0.05))


# --- what is refused ----------------------------------------------------------------------------


def refused(state, match, kind=ModelError):
    p, w, mu = program()
    nu = p.uncertain("nu", ELLIPSOID)
    sigma = p.uncertain("Sigma", CovariancePoint(SIGMA))
    R = p.uncertain("R", MomentRisk())
    k = p.parameter("k", 1.0)
    before = list(p.constraints)
    with pytest.raises(kind, match=match):
        state(SimpleNamespace(p=p, w=w, mu=mu, nu=nu, sigma=sigma, R=R, k=k))
    assert list(p.constraints) == before


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (lambda s: s.p.subject_to(a=s.mu @ s.w >= 0.1), "mu @ w.* outside worst_case"),
        (lambda s: s.p.minimize(s.mu @ s.w), "mu @ w is uncertain"),
        (lambda s: s.p.minimize(square(s.mu @ s.w)), "outside worst_case"),
        (lambda s: s.p.minimize(variance(s.w, s.sigma)), r"variance\(…\) of a set is uncertain"),
        (lambda s: s.p.minimize(cvar(-(s.R @ s.w), 0.1)), r"cvar\(…\) of a set is uncertain"),
        (lambda s: s.p.expression("e", s.mu @ s.w), "expression 'e'.*uncertain"),
        (lambda s: s.p.expression("e", worst_case(s.mu @ s.w)), "bound the term by a variable"),
        (lambda s: s.p.define("v", s.mu @ s.w, None), "'v' cannot equal mu @ w"),
        (
            lambda s: s.p.subject_to(
                a=InCone((s.w.sum(), s.mu * s.w), cones.SecondOrder()),
            ),
            "outside worst_case",
        ),
        (lambda s: s.p.subject_to(a=worst_case(s.mu @ s.w) == 0.1), "an equation has no side"),
        (lambda s: worst_case(square(s.mu @ s.w)), r"holds product\(…\) of mu @ w"),
        (lambda s: worst_case(norm(s.mu * s.w)), r"holds norm\(…\) of mu \* w"),
        (lambda s: worst_case((s.mu @ s.w) * s.w["A"]), r"no exact convex counterpart"),
        (lambda s: (s.mu * s.nu) @ s.w, "two uncertain factors"),
        (lambda s: s.mu @ (s.nu * s.w), "two uncertain factors|no exact|more than two"),
        (lambda s: (s.k * s.mu) @ s.w, "multiply the variables by a parameter first"),
        (lambda s: s.k * (s.mu @ s.w), "k \\* worst_case"),
        (lambda s: s.mu["A"] * sum_squares(s.w), "affine functions of variables only"),
        (lambda s: worst_case(worst_case(s.mu @ s.w)), "inside worst_case"),
        (
            lambda s: worst_case(variance(s.w, s.sigma) + variance(2 * s.w, s.sigma)),
            "'Sigma' stands in two terms",
        ),
        (lambda s: worst_case(s.R @ s.w), "'R' is a return whose distribution is uncertain"),
        (lambda s: cvar(-(s.mu @ s.w), 0.1), "one set of distributions"),
        (lambda s: s.p.maximize(worst_case(variance(s.w, s.sigma))), "convex and has the weight"),
        (lambda s: s.p.minimize(worst_case(-cvar(-(s.R @ s.w), 0.1))), "convex and has the weight"),
        (lambda s: s.sigma @ s.w, "uncertain covariance"),
        (lambda s: variance(s.mu * s.w, SIGMA), "weights that are certain"),
        (lambda s: s.mu.value(POINT), "no value outside"),
    ],
)
def test_what_has_no_exact_convex_counterpart_is_refused(state, match):
    refused(state, match)


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (lambda s: worst_case(s.mu * s.w), "expected a scalar"),
        (lambda s: worst_case(3.0), "expected an expression"),
        (lambda s: s.p.uncertain("mu", ELLIPSOID), "is taken"),
        (lambda s: s.p.uncertain("w", ELLIPSOID), "is taken"),
        (lambda s: s.p.uncertain("x", MEAN), "expected one of rrp_pyomo.uncertainty"),
        (lambda s: s.p.uncertain("x", SIGMA), "expected one of rrp_pyomo.uncertainty"),
        (lambda s: variance(s.w, ELLIPSOID), "expected a covariance or a set"),
        (lambda s: cvar(-(s.R @ s.w), 0.1, [1.0]), "leave them out"),
        (lambda s: cvar(-(s.R @ s.w), 1.5), "tail probability"),
        (lambda s: s.p.subject_to(a=worst_case(s.mu @ s.w) <= s.w), "cannot be repeated"),
        (lambda s: s.mu @ Program("q").variable("v", ["x", "y", "z"]), "do not go together"),
    ],
)
def test_what_is_no_worst_case_is_refused(state, match):
    refused(state, match, InputError)


def test_uncertain_data_of_another_program_are_refused():
    p, w, _ = program()
    _, _, foreign = program()
    with pytest.raises(InputError, match="of another program"):
        p.minimize(worst_case(foreign @ w))


def test_a_parameter_may_not_turn_the_adversary_round():
    p, w, mu = program()
    k = p.parameter("k", 0.0)
    p.maximize(k * worst_case(mu @ w))
    p.set(k=2.0)
    assert objective_at(p) == pytest.approx(2 * LEAST, rel=1e-14)
    with pytest.raises(ModelError, match="worst_case"):
        p.set(k=-1.0)
    assert float(p.parameters["k"].numbers[0]) == 2.0


# --- printing, copies ---------------------------------------------------------------------------


def test_statements_and_counterparts_are_printed():
    p, w, mu = program(lower=0)
    p.maximize(worst_case(mu @ w) - 0.5 * variance(w, SIGMA))
    p.subject_to(invested=w.sum() == 1, floor=worst_case(mu @ w) >= 0.01)
    assert str(p) == (
        "maximise   worst_case(mu @ w) - 0.5 * variance(w, [3×3])\n"
        "invested   w.sum()            == 1\n"
        "floor      worst_case(mu @ w) >= 0.01\n"
        "variables  w[3] >= 0\n"
        f"uncertain  mu in {ELLIPSOID!r}"
    )
    latex = p._repr_latex_()
    assert r"\operatorname{worst\ case}\left(\mu w\right)" in latex
    assert rf"\mu \in {ELLIPSOID.formula}" in latex
    expanded = str(p.counterpart())
    assert "norm(R @" in expanded
    assert "worst_case" not in expanded
    assert "uncertain" not in expanded
    # The statement itself is what it was.
    assert "worst_case" in str(p)
    assert list(p.counterpart().constraints) == ["invested", "floor"]


def test_counterparts_are_programs_of_their_own():
    p, w, mu = program(lower=0)
    p.minimize(-worst_case(mu @ w))
    q = p.counterpart()
    assert q.variables["w"] is not w
    q.subject_to(invested=q.variables["w"].sum() == 1)
    assert not p.constraints
    assert not isinstance(q.objective, Composite) or all(
        w.term.name != "worst_case" for w in q.objective.terms
    )


def test_programs_with_uncertain_data_travel():
    p, w, mu = program(lower=0)
    sigma = p.uncertain("Sigma", CovariancePoint(SIGMA))
    p.maximize(worst_case(mu @ w - variance(w, sigma)))
    for q in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert objective_at(q) == objective_at(p)
        assert list(q.uncertain_data) == ["mu", "Sigma"]
        with pytest.raises(InputError, match="of another program"):
            q.minimize(worst_case(mu @ w))


def test_sets_of_radius_0_leave_nothing_of_the_worst_case():
    p = Program("nominal")
    w = p.variable("w", ASSETS, lower=0)
    for k, members in enumerate((Ball(MEAN, 0.0), Box(MEAN, 0.0), Ellipsoid(MEAN, SIGMA, 0.0))):
        mu = p.uncertain(f"mu_{k}", members)
        p.subject_to(**{f"row_{k}": worst_case(mu @ w) >= 0.01})
    bodies = [c.body for c in p.counterpart().constraints.values()]
    assert not any(isinstance(body, Composite) for body in bodies)
