"""Pictures: every number that they should show is in them, at its place."""

from __future__ import annotations

import html
import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from rrp_pyomo import DenseCovariance, FactorCovariance, Portfolio
from rrp_pyomo.errors import InputError
from rrp_pyomo.plots import PALETTE, plot_comparison, plot_portfolio


def portfolio(n: int, seed: int = 0, short: bool = False) -> Portfolio:
    rng = np.random.default_rng(seed)
    labels = [f"A{i}" for i in range(n)]
    covariance = FactorCovariance(
        rng.normal(1.0, 0.3, (1, n)), np.array([[1e-3]]), rng.uniform(1e-3, 2e-3, n), labels, ["m"]
    )
    weights = pd.Series(rng.dirichlet(np.ones(n)), labels)
    if short:
        weights.iloc[0] = -weights.iloc[0]
    return Portfolio.of(weights, covariance, "random weights")


def widths(ax) -> list[float]:
    return [bar.get_width() for bar in ax.patches]


@pytest.mark.parametrize("n", [1, 5, 30, 60])
def test_bars_are_percentages_of_named_assets(n):
    p = portfolio(n)
    left, right = p.plot().axes
    assert widths(left) == pytest.approx(100 * p.weights)
    assert widths(right) == pytest.approx(100 * p.relative_risk_contributions)
    assert [label.get_text() for label in left.get_yticklabels()] == list(p.weights.index)
    assert left.get_xlim()[0] == 0.0
    assert "%" in left.get_xlabel()
    assert "%" in right.get_xlabel()


def test_many_assets_are_ranked_by_weight_in_both_panels():
    p = portfolio(200)
    left, right = plot_portfolio(p).axes
    ranked = p.weights.sort_values(ascending=False)
    assert widths(left) == pytest.approx(100 * ranked)
    assert widths(right) == pytest.approx(100 * p.relative_risk_contributions[ranked.index])
    assert "200 assets" in left.get_ylabel()
    assert len(left.get_yticks()) < 20


def test_budgets_are_drawn_at_their_assets():
    p = portfolio(5)
    budgets = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
    figure = plot_portfolio(Portfolio(p.weights, p.covariance, budgets))
    (lines,) = figure.axes[1].collections
    assert [path[0, 0] for path in lines.get_segments()] == pytest.approx(100 * budgets)


def test_short_positions_go_left_of_zero():
    p = portfolio(5, short=True)
    left, _ = plot_portfolio(p).axes
    assert left.get_xlim()[0] < 100 * p.weights.iloc[0] < 0 < left.get_xlim()[1]


def test_title_says_what_is_shown():
    p = portfolio(5)
    title = plot_portfolio(p).get_suptitle()
    assert "random weights" in title
    assert f"{100 * p.volatility:.2f} %" in title


@pytest.mark.parametrize("n", [5, 60, 200])
def test_comparison_shows_every_portfolio(n):
    portfolios = {f"seed {k}": portfolio(n, k) for k in range(7)}
    figure = plot_comparison(portfolios)
    left, right = figure.axes
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(portfolios)
    for ax, name in ((left, "weights"), (right, "relative_risk_contributions")):
        assert len({line.get_color() for line in ax.lines}) == 7
        for line, p in zip(ax.lines, portfolios.values(), strict=True):
            expected = 100 * getattr(p, name).to_numpy()
            assert np.sort(line.get_xdata()) == pytest.approx(np.sort(expected))
            if n <= 60:
                assert line.get_xdata() == pytest.approx(expected)


def test_comparison_follows_labels_not_positions():
    p = portfolio(5)
    order = p.weights.index[::-1]
    matrix = p.covariance.matrix().loc[order, order]
    q = Portfolio.of(p.weights[order], DenseCovariance(matrix), "turned")
    left, _ = plot_comparison({"as is": p, "turned": q}).axes
    assert left.lines[0].get_xdata() == pytest.approx(left.lines[1].get_xdata())


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match="0 portfolios"):
        plot_comparison({})
    with pytest.raises(InputError, match=f"expected 1 to {len(PALETTE)}"):
        plot_comparison({str(k): portfolio(2) for k in range(8)})
    with pytest.raises(InputError, match="'b' has other assets than 'a'"):
        plot_comparison({"a": portfolio(2), "b": portfolio(3)})


@pytest.mark.parametrize("draw", [plot_portfolio, lambda p: plot_comparison({"p": p})])
@pytest.mark.parametrize("n", [2, 200])
def test_figures_can_be_saved(draw, n, tmp_path):
    path = tmp_path / "figure.png"
    draw(portfolio(n)).savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


# --- labels are texts ----------------------------------------------------------------------------

ODD = ["$x_{$", "$$", "\\frac{", "$\\alpha$", "_under", "", " ", "a\nb", "%s{}", "<i>&amp;", "[/x]"]
odd = st.one_of(
    st.sampled_from(ODD),
    st.text(st.sampled_from("$\\_{}^ab %#&~<>[]"), max_size=6),
    st.tuples(st.sampled_from(ODD), st.integers(0, 9)),
)


def shown(figure: Figure) -> str:
    """What a figure shows, drawn as a vector graphic whose texts are texts."""
    picture = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(picture, format="svg")
    return html.unescape(picture.getvalue())


@given(labels=st.lists(odd, min_size=2, max_size=4, unique_by=str))
@settings(max_examples=12, deadline=None)
def test_labels_are_drawn_as_they_are(labels):
    p = portfolio(len(labels))
    index = pd.Index(labels, tupleize_cols=False)
    p = Portfolio.of(
        p.weights.to_numpy(), DenseCovariance(p.covariance.matrix().to_numpy(), labels), "$x_{$"
    )
    for figure in (plot_portfolio(p), plot_comparison(dict.fromkeys(map(str, labels), p))):
        text = shown(figure)
        assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == [str(i) for i in index]
        assert all(line.strip() in text for label in index for line in str(label).split("\n"))
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [str(label) for label in labels]
