"""Report pages: tables that can be read, lines that have names, charts that answer, no network."""

from __future__ import annotations

import itertools
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.backtest import Backtest
from rrp_pyomo.backtest.charts import View, lines
from rrp_pyomo.backtest.page import Head, Page
from rrp_pyomo.backtest.report import STATISTICS, backtest_report
from rrp_pyomo.backtest.schedule import in_words
from rrp_pyomo.data import datasets

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Elements(HTMLParser):
    """Tags with attributes, and the texts of cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(re.sub(r"(<script[^>]*>).*?</script>", r"\1</script>", page, flags=re.DOTALL))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self._cell:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def result():
    data = datasets.french()
    returns, factors, rate = (t.tail(120) for t in (data.returns, data.factors, data.risk_free))
    names = ["nominal", "equal_weight", "robust:1", "robust:2"]
    return Backtest(returns.iloc[:, :9], factors, names, rebalance="1Y", risk_free=rate).run()


@pytest.fixture(scope="module")
def report(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    omegas = {"robust ω = 1": 1.0, "robust ω = 2": 2.0}
    return backtest_report(result, path, omegas)


def test_the_page_takes_nothing_from_elsewhere(report):
    for tag, attributes in Elements(report.read_text("utf-8")).tags:
        assert tag not in ("link", "iframe", "base")
        for name in ("src", "href", "srcset", "data", "poster", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")


def test_numbers_have_units_and_the_same_decimals(result, report):
    rows = Elements(report.read_text("utf-8")).rows
    heads, body = rows[0], rows[1 : 1 + len(result.strategies)]
    for head, known in zip(heads[1:], STATISTICS.values(), strict=True):
        assert head == known.name + known.unit
        assert known.unit
    statistics = result.statistics()
    assert [row[0] for row in body] == list(statistics.index)
    for k, (name, head) in enumerate(STATISTICS.items(), 1):
        column = [row[k] for row in body]
        assert len({len(text.partition(".")[2]) for text in column}) == 1
        rounding = 0.51 * 10.0 ** -len(column[0].partition(".")[2])
        expected = head.factor * statistics[name].to_numpy()
        assert [float(text) for text in column] == pytest.approx(expected, abs=rounding)


def test_lengths_and_what_is_done_without_a_solution_are_in_words(report):
    page = report.read_text("utf-8")
    assert "every 1 year" in page
    assert "fitted on the 5 years before it" in page
    assert "Where (12) has no solution, 0.99 ω_max takes the place of ω." in page


@pytest.mark.parametrize(
    ("text", "words"), [("6M", "6 months"), ("1 y", "1 year"), ("13W", "13 weeks"), ("1D", "1 day")]
)
def test_lengths_in_words(text, words):
    assert in_words(text) == words


def test_every_line_has_its_name_at_its_end_and_what_is_hidden_goes_with_it(result, report):
    page = report.read_text("utf-8")
    chart = page[page.index('id="chart_relative_wealth"') :]
    for name in result.strategies:
        own = f'"legendgroup":"{name}"'.encode("ascii", "backslashreplace").decode()
        assert chart[: chart.index("</script>")].count(own) == 2
    for number in (1, 2):
        assert f'"  robust \\u03c9 = {number}"' in chart


def test_texts_are_no_markup(tmp_path):
    nasty = "<b>&amp; $x$</b>"
    page = Page(nasty)
    table = pd.DataFrame({"a": [0.5]}, index=[nasty])
    page.table(table, {"a": Head(nasty, "%", "{:.1f}", 100.0)}, Head("b", ""))
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<b>" not in text
    assert "<td>50.0</td>" in text
    assert "plotly" not in text.lower().replace("plotly writes", "")
    view = View(pd.DataFrame({nasty: [1.0, 2.0]}, pd.date_range("2020-01-31", periods=2)), "y")
    assert "<b>" not in lines({"": view}, "k").replace("\\u003cb", "")


def test_long_histories_are_thinned_but_for_their_end():
    dates = pd.date_range("2000-01-01", periods=5000)
    chart = lines({"": View(pd.DataFrame({"a": np.arange(5000.0)}, dates), "y")}, "k")
    assert f"{dates[-1]:%Y-%m-%d}" in chart
    assert chart.count("-") < 4 * 2000


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield found
        found.close()


@pytest.fixture
def opened(browser, report, request):
    """The page, and what was wrong while it was open."""
    scheme, width = getattr(request, "param", ("light", 1400))
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:"))
            else wrong.append(r.url))  # fmt: skip
    page.goto(report.as_uri())
    page.wait_for_selector("#chart_omega_hrc .legendtext")
    yield page
    page.close()
    assert wrong == []


@pytest.mark.parametrize(
    "opened", [(s, w) for s in ("light", "dark") for w in (400, 1400)], indirect=True
)
def test_the_page_fits_and_can_be_read(opened, request):
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    bright = """element => {
      const [r, g, b] = getComputedStyle(element)[PROPERTY].match(/[\\d.]+/g).map(Number);
      return (0.299 * r + 0.587 * g + 0.114 * b) / 255; }"""
    behind = opened.eval_on_selector("body", bright.replace("PROPERTY", '"backgroundColor"'))
    words = ("#chart_weights .ytick text", "#chart_relative_wealth .legendtext",
             "#chart_omega_hrc .gtitle", "#chart_weights .updatemenu-item-text",
             "#chart_weights .updatemenu-header-arrow",
             "#chart_relative_wealth .hoverlayer .legendtitletext")  # fmt: skip
    opened.hover("#chart_relative_wealth .nsewdrag")
    opened.wait_for_selector(words[-1])
    for where in words:
        front = opened.eval_on_selector(where, bright.replace("PROPERTY", '"fill"'))
        assert abs(front - behind) > 0.5, where


def test_pointing_at_a_line_shows_its_value(opened, result):
    opened.hover("#chart_relative_wealth .nsewdrag")
    said = opened.wait_for_selector("#chart_relative_wealth .hoverlayer .legend").text_content()
    wealth = result.wealth
    date = pd.Timestamp(re.search(r"\d{4}-\d\d-\d\d", said).group())
    ratio = 100 * (wealth["equal weight"] / wealth["nominal"] - 1)
    shown = float(re.search(r"equal weight : ([−-]?[\d.]+)", said).group(1).replace("−", "-"))
    assert shown == pytest.approx(ratio[date], rel=1e-3)


@pytest.mark.parametrize("chart", ["relative_wealth", "wealth"])
def test_every_line_is_named_beside_its_end(opened, result, chart):
    script = """names => names.map(e => [e.textContent.trim(), e.getBoundingClientRect()])
                              .map(([name, box]) => [name, box.x, box.right, box.y])"""
    labels = opened.eval_on_selector_all(f"#chart_{chart} .textpoint", script)
    assert {name for name, *_ in labels} == set(result.strategies)
    edge = opened.eval_on_selector(f"#chart_{chart}", "e => e.getBoundingClientRect().right")
    plot = opened.eval_on_selector(
        f"#chart_{chart} .nsewdrag", "e => e.getBoundingClientRect().right"
    )
    assert all(plot - 1 <= left < right <= edge for _, left, right, _ in labels)
    heights = sorted(y for *_, y in labels)
    assert min(b - a for a, b in itertools.pairwise(heights)) > 11


def test_a_click_in_the_legend_hides_a_line_and_its_name(opened, result):
    shown = "document.querySelectorAll('#chart_relative_wealth .scatterlayer .trace').length"
    count = opened.evaluate(shown)
    assert count == 2 * len(result.strategies)
    opened.click("#chart_relative_wealth .legendtoggle >> nth=1")
    opened.wait_for_function(f"{shown} === {count - 2}")


def test_the_menu_chooses_the_reference(opened, result):
    opened.click("#chart_relative_wealth .updatemenu-header")
    opened.click("#chart_relative_wealth .updatemenu-dropdown-button >> nth=1")
    drawn = opened.wait_for_function(
        """() => { const d = document.getElementById('chart_relative_wealth').data;
        const equal = d.find(t => t.name === 'equal weight').y;
        return equal.every(y => y === 0) && d.find(t => t.name === 'nominal').y.at(-1); }"""
    ).json_value()
    last = result.wealth.iloc[-1]
    assert drawn == pytest.approx(100 * (last["nominal"] / last["equal weight"] - 1), rel=1e-4)
