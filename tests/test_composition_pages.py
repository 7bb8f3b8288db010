"""The pages of docs/composition keep to their rules; test_readme.py runs their code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "composition"
INDEX = FOLDER / "index.md"
PAGES = [page for page in sorted(FOLDER.glob("*.md")) if page != INDEX]
LINES, BYTES = 25, 60_000

# What the guide is to have, whoever writes the page.
TOPICS = (
    "sleeves", "regimes", "core-satellite", "turnover-and-costs", "tracking-error",
    "leverage-and-cash", "cvar", "frontier", "gdp-choice", "pyros", "twelve-periods",
    "units-and-duals",
)  # fmt: skip


def code(page: Path) -> list[str]:
    """The lines that run, without blank ones."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_is_short_and_checks_its_number(page: Path) -> None:
    lines = code(page)
    assert 0 < len(lines) <= LINES
    assert max(map(len, lines)) <= 100
    assert any(line.lstrip().startswith("assert ") for line in lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_mathematics_and_the_picture_are_there(page: Path) -> None:
    text = page.read_text()
    assert text.startswith("# ")
    before_code = text[: text.index("```python")]
    assert re.search(r"^    \S|\$", before_code, re.MULTILINE), "no mathematics before the code"
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    drawn = re.findall(r"""savefig\(\s*["']([^"']+)["']""", "\n".join(code(page)))
    assert pictures
    assert set(pictures) == set(drawn)
    for picture in pictures:
        assert Path(picture).stem == page.stem
        assert (FOLDER / picture).stat().st_size <= BYTES


def test_every_picture_belongs_to_a_page() -> None:
    pictures = {path.stem for path in FOLDER.iterdir() if path.suffix in (".png", ".svg")}
    assert pictures == {page.stem for page in PAGES}


def test_the_index_has_every_page_and_a_figure_for_it() -> None:
    rows = re.findall(r"^\| \[[^\]]+\]\((.+)\.md\) \|(.*)\|$", INDEX.read_text(), re.MULTILINE)
    missing = sorted({page.stem for page in PAGES} ^ {name for name, _ in rows})
    assert not missing, f"python benchmarks/composition_pages.py {' '.join(missing)}"
    assert set(TOPICS) <= {name for name, _ in rows}
    for name, cells in rows:
        assert re.search(r"\d\.\d\d", cells), f"no solver takes {name}"
