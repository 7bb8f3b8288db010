"""Resampled portfolios: expectations in closed form, and what averaging does and does not do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import MeanVariance, Resampled, WeightSet
from rrp_pyomo.errors import InputError, SolverError
from rrp_pyomo.uncertainty import Ellipsoid

LABELS = list("abcd")
FREE = WeightSet(long_only=False, fully_invested=False)
MEAN = pd.Series([0.05, 0.08, 0.02, 0.06], LABELS)
SIGMA = pd.DataFrame(
    0.04 * np.array([[1, 0.3, 0.1, 0], [0.3, 2, 0.2, 0.1], [0.1, 0.2, 0.5, 0], [0, 0.1, 0, 1]]),
    LABELS,
    LABELS,
)


def robust(mean, covariance):
    return MeanVariance(Ellipsoid(mean, covariance, 0.2), covariance, 2.0)


def along(portfolio, optimum):
    """The multiple of the optimum that draws hold, its mean and that mean's standard error."""
    S = SIGMA.to_numpy()
    multiples = portfolio.details.draw_weights @ S @ optimum / (optimum @ S @ optimum)
    return multiples.mean(), multiples.std() / np.sqrt(len(multiples))


@pytest.mark.parametrize(("fixed", "multiple"), [(True, 1.0), (False, 29 / 24)])
def test_free_normal_resampling_holds_as_much_or_more(fixed, multiple):
    """With Σ known the average is the optimum itself; with both drawn, (T − 1)/(T − n − 2) of it.

    Stated of it: that it is more robust, as a Bayesian's portfolio, which is w/(1 + 1/T), is.
    """
    problem = MeanVariance(MEAN, SIGMA, 2.0, weight_set=FREE)
    optimum = np.linalg.solve(SIGMA, MEAN) / 2.0
    found = Resampled(
        problem,
        120,
        average="risk_aversion",
        observations=30,
        fixed_covariance=fixed,
    ).solve()
    mean, error = along(found, optimum)
    assert abs(mean - multiple) < 3 * error
    if not fixed:
        assert mean - 3 * error > 1 / (1 + 1 / 30)
        np.testing.assert_allclose(29 / 24, 1.208, atol=4e-4)


@pytest.mark.parametrize("average", ["rank", "risk_aversion"])
@pytest.mark.parametrize("method", ["normal", "bootstrap"])
def test_averages_are_admissible_never_better_and_more_diversified(average, method):
    rng = np.random.default_rng(2)
    returns = pd.DataFrame(rng.multivariate_normal(MEAN, SIGMA, 40), columns=LABELS)
    X = WeightSet(upper=0.6)
    problem = MeanVariance(returns.mean(), returns.cov(), 2.0, weight_set=X)
    best = problem.solve()
    found = Resampled(problem, 20, method, average, returns=returns, points=6).solve()
    w = found.weights
    assert w.sum() == pytest.approx(1.0, abs=1e-8)
    assert w.max() <= 0.6 + 1e-8
    assert w.min() >= -1e-8
    assert (w > 1e-4).sum() >= (best.weights > 1e-4).sum()
    assert problem.worst_value(w) <= best.worst_value + 1e-9
    assert found.certificate.gap >= best.worst_value - problem.worst_value(w) - 1e-9
    assert found.objective == pytest.approx(problem.worst_value(w))
    assert found.details.spread.gt(0).any()
    np.testing.assert_allclose(found.details.draw_weights.mean(), w, atol=1e-12)
    assert found.to_dict()["draws"] == 20
    if average == "rank":
        averages = found.details.frontier
        assert averages.shape == (6, 4)
        values = [problem.worst_value(row) for _, row in averages.iterrows()]
        assert int(np.argmax(values)) == found.details.rank


def test_a_sample_without_errors_is_markowitz():
    """T → ∞ draws the estimates themselves."""
    problem = MeanVariance(MEAN, SIGMA, 2.0)
    found = Resampled(problem, 3, average="risk_aversion", observations=10**6, seed=1).solve()
    np.testing.assert_allclose(found.weights, problem.solve().weights, atol=5e-3)
    ranked = Resampled(problem, 2, observations=10**6, points=40).solve()
    best = problem.solve().worst_value
    assert problem.worst_value(ranked.weights) == pytest.approx(best, rel=2e-3)


def test_the_numbers_depend_on_the_seed_alone():
    problem = MeanVariance(MEAN, SIGMA, 2.0)
    one, other = (
        Resampled(problem, 12, average="risk_aversion", observations=30, seed=5) for _ in range(2)
    )
    here = one.solve().details.draw_weights
    assert other.solve(workers=2).details.draw_weights.equals(here)
    more = Resampled(problem, 13, average="risk_aversion", observations=30, seed=5)
    assert more.solve().details.draw_weights.iloc[:12].equals(here)
    changed = Resampled(problem, 12, average="risk_aversion", observations=30, seed=6)
    assert not changed.solve().details.draw_weights.equals(here)


def test_functions_make_problems_with_sets(capsys):
    rng = np.random.default_rng(3)
    returns = pd.DataFrame(rng.multivariate_normal(MEAN, SIGMA, 40), columns=LABELS)
    resampled = Resampled(robust, 4, average="risk_aversion", returns=returns)
    found = resampled.solve(progress=True)
    assert "resampling" in capsys.readouterr().err
    original = robust(returns.mean(), returns.cov())
    assert found.objective == pytest.approx(original.worst_value(found.weights))
    assert "draws=4" in repr(resampled)
    ranked = Resampled(robust, 3, returns=returns, points=4).solve()
    assert ranked.details.rank is not None


def test_returns_are_aligned_by_label():
    rng = np.random.default_rng(4)
    returns = pd.DataFrame(rng.multivariate_normal(MEAN, SIGMA, 40), columns=LABELS)
    problem = MeanVariance(MEAN, SIGMA, 2.0)
    one, other = (
        Resampled(problem, 3, "bootstrap", "risk_aversion", returns=r).solve().weights
        for r in (returns, returns[LABELS[::-1]])
    )
    assert one.equals(other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "block"}, "method is 'block'"),
        ({"average": "mean"}, "expected 'rank' or 'risk_aversion'"),
        ({"draws": 1}, "draws is 1"),
        ({"observations": None}, "as observations="),
        ({"method": "bootstrap"}, "give returns="),
        ({"problem": robust(MEAN, SIGMA)}, "give a function"),
        ({"problem": robust}, "give returns="),
        ({"problem": "markowitz"}, "expected a MeanVariance"),
        ({"returns": np.ones((5, 3))}, "4 assets"),
    ],
)
def test_what_is_refused(arguments, message):
    given = {"problem": MeanVariance(MEAN, SIGMA), "observations": 30, **arguments}
    with pytest.raises(InputError, match=message):
        Resampled(**given)


def test_a_draw_without_a_solution_is_named():
    free = MeanVariance(MEAN, SIGMA, weight_set=FREE)
    with pytest.raises(SolverError, match=r"draw 0: .* more observations"):
        Resampled(free, 2, average="risk_aversion", observations=4).solve()
    with pytest.raises(InputError, match=r"draw 0: .*no highest"):
        Resampled(free, 2, observations=30).solve()


def test_what_cannot_travel_is_refused():
    rng = np.random.default_rng(3)
    returns = rng.multivariate_normal(MEAN, SIGMA, 20)

    def local(mean, covariance):
        return MeanVariance(mean, covariance)

    resampled = Resampled(local, 12, average="risk_aversion", returns=returns)
    with pytest.raises(InputError, match="cannot be sent to 2 processes"):
        resampled.solve(workers=2)
