"""What looks at the built site finds what is broken."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from links import faults as link_faults

INDEX = """<html><head><meta charset="utf-8"><link href="style.css" rel="stylesheet"></head>
<body><div class="content">
<article><h1 id="top-of-it">A</h1>{}</article></div></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(INDEX.format('<a href="sub/b.html#there">b</a>'))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.html").write_text(
        '<p id="there"><a href="../index.html#top-of-it">a</a>'
    )
    (tmp_path / "style.css").write_text("p { color: black }")
    return tmp_path


def test_a_whole_site_has_no_faults(site: Path) -> None:
    assert list(link_faults(site)) == []


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ('<a href="sub/c.html">', "no such file"),
        ('<a href="sub/b.html#gone">', "no such anchor"),
        ('<a href="#gone">', "no such anchor"),
        ('<img src="gone.svg">', "no such file"),
        ('<a href="../../secret.html">', "no such file"),
        ('<script src="https://example.org/x.js"></script>', "is loaded from elsewhere"),
        ('<img src="//example.org/x.png">', "is loaded from elsewhere"),
    ],
)
def test_a_broken_link_is_found(site: Path, broken: str, fault: str) -> None:
    (site / "index.html").write_text(INDEX.format(broken))
    (found,) = link_faults(site)
    assert found.startswith("index.html: ")
    assert found.endswith(fault)


def test_a_style_that_loads_from_elsewhere_is_found(site: Path) -> None:
    (site / "style.css").write_text("@import 'https://example.org/x.css'; p { src: url(a.woff) }")
    assert len(list(link_faults(site))) == 1


def test_links_to_other_sites_are_left_alone(site: Path) -> None:
    (site / "index.html").write_text(INDEX.format('<a href="https://www.pyomo.org#x">Pyomo</a>'))
    assert list(link_faults(site)) == []


CHROMIUM = shutil.which("chromium")
BAD = """<p style="color: #eee">faint</p><p style="width: 1500px">wide</p><p>raw $$x$$</p>
<p>‖d‖<em>p ≤ δ, ‖w‖</em>q</p>
<script>console.error("on the console"); throw new Error("thrown")</script>
<img src="http://127.0.0.1:9/x.png" alt="">"""


TOLD = (
    "hard to read at 400", "too wide at 1400", "too wide at 400", "is not rendered: raw",
    "is not rendered: p ≤ δ", "on the console", "thrown", "asks http://127.0.0.1:9",
    "search for Wasserstein",
)  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_browser_tells_what_readers_would_see(site: Path) -> None:
    pytest.importorskip("playwright")
    from browser import faults

    (site / "index.html").write_text(INDEX.format(BAD))
    found = "\n".join(asyncio.run(faults(site, str(CHROMIUM))))
    for told in TOLD:
        assert told in found
