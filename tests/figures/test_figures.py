"""Figures: what is drawn is what the data say, and can be read on a slide."""

from __future__ import annotations

import io
import itertools
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from rrp_pyomo import (
    DenseCovariance,
    FactorModel,
    MeanVariance,
    Portfolio,
    Program,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    efficient_frontier,
    figures,
    largest_omega,
    norm,
    solve_program,
)
from rrp_pyomo.backtest import Backtest
from rrp_pyomo.errors import InputError, RiskParityWarning, UnknownLabelError
from rrp_pyomo.figures.traps import stationary_points
from rrp_pyomo.plots import BLACK, BLUE, VERMILION, spread
from rrp_pyomo.uncertainty import (
    Box,
    ElementwiseError,
    Ellipsoid,
    KullbackLeibler,
    LoadingEllipsoids,
    Moments,
    Wasserstein,
)

RNG = np.random.default_rng(5)
FACTORS = pd.DataFrame(RNG.normal(0.005, 0.04, (90, 2)), columns=["market", "size"])
B = RNG.normal([[1.0], [0.2]], 0.3, (2, 6))
ASSETS = ["Oil", "Steel", "Tech$", "Bank", "Food", "_x"]
RETURNS = pd.DataFrame(FACTORS.to_numpy() @ B + RNG.normal(0.002, 0.03, (90, 6)), columns=ASSETS)
MODEL = FactorModel.fit(RETURNS, FACTORS)
EQUAL = pd.Series(1 / 6, ASSETS, name="equal weights")
# Two assets whose risks a third one hedges: it lies beyond a trap.
BETAS = np.array([0.74, 0.36, -2.52])
HEDGED = pd.DataFrame(np.outer(BETAS, BETAS) + np.diag([0.4, 0.2, 0.3]), list("ABC"), list("ABC"))
LONG_NAMES = ["Emerging markets", "Government bonds", "Volatility fund"]
PAIR = pd.DataFrame([[0.04, 0.01], [0.01, 0.16]], ["bonds", "stocks"], ["bonds", "stocks"])
MEANS = Ellipsoid(pd.Series([0.05, 0.08], ["bonds", "stocks"]), PAIR, 0.1)


def robust_mean_variance() -> MeanVariance:
    return MeanVariance(Ellipsoid.of_mean(RETURNS, 0.8, MODEL.covariance), MODEL.covariance)


def solution():
    program = Program("p")
    x = program.variable("x", ASSETS, lower=0)
    program.minimize(norm(MODEL.covariance.root @ x))
    program.subject_to(budget=x.sum() == 1, cap=x <= 0.2)
    return solve_program(program)


def backtest():
    dates = pd.date_range("2015-01-31", periods=90, freq="ME")
    returns, factors = RETURNS.set_axis(dates), FACTORS.set_axis(dates)
    names = ["nominal", "equal_weight", "minimum_variance"]
    return Backtest(returns, factors, names, estimation="3Y", rebalance="1Y").run()


EXAMPLES = {
    "estimation_errors": lambda: figures.estimation_errors(MODEL),
    "contributions": lambda: figures.contributions(EQUAL, covariance=MODEL),
    "log_barrier": lambda: figures.log_barrier(PAIR),
    "trap_landscape": lambda: figures.trap_landscape(HEDGED),
    "trap_landscape with long names": lambda: figures.trap_landscape(
        HEDGED.set_axis(LONG_NAMES).set_axis(LONG_NAMES, axis=1)
    ),
    "dual_prices": lambda: figures.dual_prices(solution()),
    "worst_point": lambda: figures.worst_point(MEANS, [0.5, 0.5]),
    "worst_point of covariances": lambda: figures.worst_point(
        MODEL.covariance_uncertainty(), EQUAL, ["Tech$", "_x"]
    ),
    "omega_path": lambda: figures.omega_path(MODEL.covariance_uncertainty()),
    "frontiers": lambda: figures.frontiers(robust_mean_variance(), 4),
    "worst_distribution": lambda: figures.worst_distribution(Wasserstein(RETURNS, 0.01), EQUAL),
    "binding_bound": lambda: figures.binding_bound(MODEL, "Tech$", [0.15, 0.1]),
    "solver_accuracy": lambda: figures.solver_accuracy(
        RiskParitySOCP(MODEL.covariance), ["newton", ("clarabel", {"tol_gap_rel": 1e-3})]
    ),
    "relative_wealth": lambda: figures.relative_wealth(backtest()),
}


def texts(figure):
    """What can be read: axes' labels, titles, ticks and annotations that are shown."""
    found = [figure._suptitle] if figure._suptitle else []
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes._left_title]
        if axes.axison:
            found += [axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                found += [tick.label1 for tick in axis._update_ticks()]  # those in view
    return [text for text in found if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_can_be_read_on_a_slide_and_leaves_the_readers_settings_alone(name):
    with mpl.rc_context({"font.size": 5, "xtick.labelsize": 4, "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        figure = EXAMPLES[name]()
        assert dict(mpl.rcParams) == before
        assert figure.axes[0].get_facecolor() == (1.0, 1.0, 1.0, 1.0)
        figure.savefig(io.BytesIO(), format="svg")
        assert min(text.get_fontsize() for text in texts(figure)) >= 12
    width, height = figure.get_size_inches()
    assert width / height == pytest.approx(16 / 9)


@pytest.mark.parametrize("name", EXAMPLES)
def test_texts_keep_clear_of_each_other_and_of_the_edge(name):
    figure = EXAMPLES[name]()
    figure.draw_without_rendering()
    # The words alone: an annotation's own extent has its arrow in it.
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in texts(figure)]
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(width, height) < 2.0, (one, other)
    for text, box in boxes:
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.width, text
        assert 0 <= box.y0 <= box.y1 <= figure.bbox.height, text


def test_every_figure_is_among_the_examples():
    assert {name.split()[0] for name in EXAMPLES} == set(figures.__all__)


# --- what is drawn --------------------------------------------------------------------------------


def test_loadings_have_their_standard_errors():
    figure = figures.estimation_errors(MODEL, ["Bank", "Oil"])
    for axes, factor in zip(figure.axes, MODEL.factor_labels, strict=True):
        (points,) = [c for c in axes.containers if hasattr(c, "has_yerr")]
        assert points.lines[0].get_ydata() == pytest.approx(
            MODEL.loadings.loc[factor, ["Bank", "Oil"]]
        )
        ends = np.array(points.lines[2][0].get_segments())[:, :, 1]
        errors = MODEL.loading_standard_errors.loc[factor, ["Bank", "Oil"]]
        assert np.ptp(ends, axis=1) / 2 == pytest.approx(errors)


def heights(axes):
    return [bar.get_height() for bar in axes.patches]


def test_bars_are_the_contributions_and_lines_the_budgets():
    budgets = pd.Series([0.1, 0.1, 0.2, 0.2, 0.3, 0.1], ASSETS)
    parity = RiskParitySOCP(MODEL.covariance, budgets).solve()
    figure = figures.contributions(parity, EQUAL[::-1], covariance=MODEL.covariance)
    first, second = figure.axes
    assert heights(first) == pytest.approx(100 * budgets, abs=1e-4)
    expected = Portfolio.of(EQUAL, MODEL.covariance).relative_risk_contributions
    assert heights(second) == pytest.approx(100 * expected)
    (lines,) = first.collections
    assert [segment[0, 1] for segment in lines.get_segments()] == pytest.approx(100 * budgets)
    assert [label.get_text() for label in second.get_xticklabels()] == ASSETS
    assert "every share of risk is its budget" in first.get_title(loc="left")


def test_budgets_and_names_of_contributions_are_those_given():
    weights = {"bold": [0.9, 0.1], "shy": {"bonds": 0.5, "stocks": 0.5}}
    figure = figures.contributions(weights, covariance=PAIR, budgets={"stocks": 0.7, "bonds": 0.3})
    assert [axes.get_title(loc="left").split(":")[0] for axes in figure.axes] == ["bold", "shy"]
    segments = figure.axes[1].collections[0].get_segments()
    assert [segment[0, 1] for segment in segments] == pytest.approx([30.0, 70.0])
    # One mapping from assets to numbers is one portfolio.
    assert len(figures.contributions({"bonds": 0.5, "stocks": 0.5}, covariance=PAIR).axes) == 1


def dots(axes, colour=VERMILION):
    found = [line for line in axes.lines if line.get_marker() == "o" and line.get_color() == colour]
    return [np.ravel(line.get_data()).astype(float) for line in found]


def test_the_marked_point_has_parity_and_the_other_is_its_multiple():
    axes = figures.log_barrier(PAIR).axes[0]
    (x,), (y,) = dots(axes), dots(axes, BLUE)
    assert x == pytest.approx([2 / 3, 1 / 3])  # inverse volatilities, for two assets
    assert y / y.sum() == pytest.approx(x)
    # f is lowest at y*: the level sets around it are nested about that point.
    inner = axes.collections[0].get_paths()[0].vertices
    assert np.all(inner.min(axis=0) < y)
    assert np.all(inner.max(axis=0) > y)


def test_traps_are_stationary_and_no_risk_parity():
    Sigma = HEDGED.to_numpy()
    parity, trap = stationary_points(Sigma)
    assert parity.is_parity
    assert not trap.is_parity

    def zeta(x):
        return np.ptp(x * (Sigma @ x)) / 2

    # No step to other weights is better, at first order.
    for point in (parity, trap):
        for target in RNG.dirichlet(np.ones(3), 300):
            x = point.weights + 1e-6 * (target - point.weights)
            assert zeta(x) >= zeta(point.weights) - 1e-10
    # Beginning there, Ipopt does not leave it, and the certificate says what it is.
    with pytest.warns(RiskParityWarning, match="not risk parity"):
        answer = RiskParityQCLP(DenseCovariance(HEDGED)).solve(
            "casadi_ipopt", start=pd.Series(trap.weights, list("ABC"))
        )
    assert not answer.certificate.is_risk_parity
    assert answer.weights.to_numpy() == pytest.approx(trap.weights, abs=1e-3)
    axes, way = figures.trap_landscape(HEDGED).axes
    assert len(dots(axes)) == len(dots(axes, BLUE)) == 1
    (line,) = [line for line in way.lines if len(line.get_xdata()) > 1]
    heights = line.get_ydata()
    assert heights[0] == 100.0
    assert heights.max() > 101.0
    assert heights[-1] == pytest.approx(0.0, abs=1e-4)


def test_without_hedges_there_is_no_trap():
    (only,) = stationary_points(np.diag([1.0, 4.0, 16.0]))
    assert only.weights == pytest.approx(np.array([4, 2, 1]) / 7, abs=1e-7)
    assert len(figures.trap_landscape(np.diag([1.0, 4.0, 16.0])).axes) == 1


def test_bars_are_duals_by_name():
    solved = solution()
    figure = figures.dual_prices(solved, ["cap"])
    axes = figure.axes[0]
    drawn = {
        label.get_text(): bar.get_width()
        for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)
    }
    assert drawn == {f"cap[{a}]": pytest.approx(v) for a, v in solved.duals["cap"].items()}
    with pytest.raises(UnknownLabelError, match="did you mean 'cap'"):
        figures.dual_prices(solved, ["capp"])


def test_what_a_solver_leaves_of_0_is_no_price():
    program = Program("slack")
    x = program.variable("x", lower=0)
    program.maximize(2 * x)
    program.subject_to(tight=x <= 1, loose=x <= 3)
    solved = solve_program(program)
    assert 0 < abs(solved.duals["loose"]) < 1e-6
    (axes,) = figures.dual_prices(solved).axes
    assert [label.get_text() for label in axes.texts[:2]] == [" 2 ", " 0 "]


def test_the_marked_mean_attains_the_worst_case():
    x = np.array([0.3, 0.7])
    axes = figures.worst_point(MEANS, pd.Series(x, ["bonds", "stocks"])).axes[0]
    (worst,) = dots(axes)
    assert worst @ x == pytest.approx(-MEANS.support(-x))
    # The tangent there leaves the whole set on one side.
    outline = axes.patches[0].get_xy()
    assert (outline @ x).min() == pytest.approx(worst @ x, rel=1e-3)
    tangent = next(line for line in axes.lines if line.get_color() == VERMILION and
                   line.get_linestyle() == "--")  # fmt: skip
    assert np.ptp(tangent.get_xydata() @ x) < 1e-12


@pytest.mark.parametrize(
    "given",
    [
        Box(MODEL.expected_returns, 0.01),
        LoadingEllipsoids.from_regression(MODEL, 0.9)[1],
        ElementwiseError.from_observations(MODEL.covariance, 90, 1.0),
        MODEL.covariance_uncertainty(),
        KullbackLeibler(RETURNS, 0.1),
        Moments(RETURNS.mean(), MODEL.covariance),
    ],
    ids=lambda given: type(given).__name__,
)
def test_every_kind_of_set_is_drawn_for_a_portfolio(given):
    portfolio = RiskParitySOCP(MODEL.covariance).solve()
    axes = figures.worst_point(given, portfolio, ["Oil", "_x"]).axes[0]
    assert "Oil" in axes.get_xlabel()
    assert "_x" in axes.get_ylabel()


def test_the_path_ends_at_the_largest_omega():
    uncertainty = MODEL.covariance_uncertainty()
    limit = largest_omega(uncertainty)
    figure = figures.omega_path(uncertainty, [0.0, 1.0])
    left, right = figure.axes
    for axes in (left, right):
        (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert line.get_xdata()[0] == pytest.approx(limit)
    weights = RobustRiskParity(uncertainty, 1.0).solve().weights
    drawn = [line.get_ydata()[-1] for line in left.lines if line.get_linestyle() == "-"]
    assert sorted(drawn) == pytest.approx(sorted(100 * weights))
    worst = 100 * np.sqrt(uncertainty.worst_case.variance(weights))
    assert right.lines[0].get_ydata()[-1] == pytest.approx(worst)


def test_frontiers_are_those_of_the_problem():
    frontier = efficient_frontier(robust_mean_variance(), 4)
    axes = figures.frontiers(frontier).axes[0]
    assert len(axes.lines) == 4
    worst = axes.lines[1]
    assert worst.get_ydata() == pytest.approx(100 * frontier.values["worst_return"])
    assert worst.get_xdata() == pytest.approx(100 * frontier.values["worst_risk"])


def test_losses_are_those_of_the_two_distributions():
    given = KullbackLeibler(RETURNS, 0.2)
    axes = figures.worst_distribution(given, EQUAL, 0.1).axes[0]
    empirical, cvar, worst, worst_cvar, _ = axes.lines
    losses = -(RETURNS @ EQUAL)
    for loss, above in zip(*empirical.get_data(), strict=True):
        assert above == pytest.approx(100 * (100 * losses > loss + 1e-9).mean(), abs=1e-9)
    worse = given.worst(EQUAL, 0.1)
    assert cvar.get_xdata()[0] == pytest.approx(100 * given.center.cvar(EQUAL, 0.1))
    assert worst_cvar.get_xdata()[0] == pytest.approx(100 * given.risk(EQUAL, 0.1))
    assert worst.get_ydata()[0] == pytest.approx(100 * (1 - worse.p[losses.argmin()]))


def test_a_bound_keeps_the_others_equal_by_one_problem_and_not_by_the_other():
    figure = figures.binding_bound(DenseCovariance(HEDGED.abs()), "A", [0.4, 0.05])
    spreads = []
    for axes in figure.axes:
        others = [line for line in axes.lines if line.get_color() == BLUE]
        ends = [line.get_ydata()[-1] for line in others]
        spreads.append(np.ptp(ends))
        (own,) = [line for line in axes.lines if line.get_color() == VERMILION]
        assert sum(ends) + own.get_ydata()[-1] == pytest.approx(3.0)
    assert spreads[0] > 0.05
    assert spreads[1] < 1e-6


def test_bars_are_what_the_certificates_find():
    problem = RiskParitySOCP(MODEL.covariance)
    loose = {"tol_gap_rel": 1e-4, "tol_gap_abs": 1e-4, "tol_feas": 1e-4}
    figure = figures.solver_accuracy(problem, {"tight": "clarabel", "loose": ("clarabel", loose)})
    axes = figure.axes[0]
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RiskParityWarning)
        expected = [
            problem.solve("clarabel", **options).certificate.largest_deviation
            for options in ({}, loose)
        ]
    assert ends == pytest.approx(expected, rel=1e-6, abs=1e-15)
    assert ends[1] > 100 * ends[0]


def test_wealth_is_relative_to_the_benchmark():
    result = backtest()
    axes = figures.relative_wealth(result, "equal weight").axes[0]
    wealth = result.wealth
    ratio = 100 * (wealth["nominal"] / wealth["equal weight"] - 1)
    assert axes.lines[1].get_ydata() == pytest.approx(ratio)
    assert {"nominal", "equal weight", "minimum variance"} == {t.get_text() for t in axes.texts}
    assert axes.lines[0].get_color() == BLACK


# --- arguments ------------------------------------------------------------------------------------

WRONG = {
    "a model": (lambda: figures.estimation_errors(RETURNS), "FactorModel.fit"),
    "an asset": (lambda: figures.estimation_errors(MODEL, ["Oli"]), "did you mean 'Oil'"),
    "no covariance": (lambda: figures.contributions(EQUAL), "covariance="),
    "no portfolio": (lambda: figures.contributions(), "expected 1 to 4"),
    "three assets": (lambda: figures.log_barrier(MODEL, ["Oil", "Bank", "Food"]), "two assets"),
    "two assets": (lambda: figures.trap_landscape(PAIR), "three assets"),
    "no solution": (lambda: figures.dual_prices({"cap": 1.0}), "solve_program"),
    "no set": (lambda: figures.worst_point(RETURNS, EQUAL), "uncertainty_set"),
    "weights": (lambda: figures.worst_point(MEANS, [0.5, 0.3, 0.2]), "2 assets"),
    "no uncertainty": (lambda: figures.omega_path(MODEL), "covariance_uncertainty"),
    "omegas": (lambda: figures.omega_path(MODEL.covariance_uncertainty(), [2, 1]), "increasing"),
    "one omega": (lambda: figures.omega_path(MODEL.covariance_uncertainty(), 1.0), "at least two"),
    "no distribution": (lambda: figures.worst_distribution(MEANS, [0.5, 0.5]), "Wasserstein"),
    "alpha": (lambda: figures.worst_distribution(Wasserstein(RETURNS, 0.1), EQUAL, 0), "alpha"),
    "a bound": (lambda: figures.binding_bound(MODEL, "Oil", [0.2, 2.0]), "at most 1"),
    "one bound": (lambda: figures.binding_bound(MODEL, "Oil", 0.2), "at least two"),
    "no problem": (lambda: figures.solver_accuracy(MODEL, ["newton"]), "RiskParitySOCP"),
    "no solvers": (lambda: figures.solver_accuracy(robust_mean_variance(), "scs"), "a list"),
    "a solver": (
        lambda: figures.solver_accuracy(robust_mean_variance(), ["clarabell"]),
        "did you mean",
    ),
    "no backtest": (lambda: figures.relative_wealth(RETURNS), "Backtest"),
    "a benchmark": (lambda: figures.relative_wealth(backtest(), "nominl"), "did you mean"),
    "a frontier": (lambda: figures.frontiers(RiskParitySOCP(MODEL.covariance)), "such as Mean"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_drawn_is_said(name):
    call, piece = WRONG[name]
    with pytest.raises(InputError, match=piece):
        call()


@pytest.mark.parametrize("wanted", [[0, 0, 0], [1, 1.1, 9], [9, 9.9, 10], [0, 5, 10], [3]])
def test_labels_are_spread_within_their_limits(wanted):
    wanted = np.array(wanted, float)
    found = spread(wanted, 2.0, 0.0, 10.0)
    assert (np.diff(found) >= 2.0 - 1e-12).all()
    assert found.min() >= 0.0
    assert found.max() <= 10.0
    alone = [k for k in range(len(wanted)) if (np.abs(np.delete(wanted, k) - wanted[k]) > 4).all()]
    assert found[alone] == pytest.approx(wanted[alone])
