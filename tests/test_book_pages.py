"""The pages of docs/book keep to their rules; test_readme.py runs their code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "book"
INDEX = FOLDER / "index.md"
PAGES = [page for page in sorted(FOLDER.glob("*.md")) if page != INDEX]
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
LINES, BYTES = 15, 60_000
ROW = re.compile(r"^\| \[([^\]]+)\]\((.+)\.md\) \| (.+) \| (.+) \|$", re.MULTILINE)

# The sections of the text, each of which some page is about.
SECTIONS = (
    "Estimation error", "The robust framework", "Sets of means", "The worst-case lemma",
    "Sets of covariances", "The theorem ascribed to Goldfarb & Iyengar", "Computation",
    "Ambiguity sets", "Distributional robustness", "Moment-based robustness", "Shrinkage",
    "Norm penalties", "Black–Litterman", "Resampling", "Factor structure", "Empirical performance",
)  # fmt: skip


def blocks(page: Path) -> list[list[str]]:
    """The python blocks, each by its lines that are not blank."""
    found = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [[line for line in block.splitlines() if line.strip()] for block in found]


@EACH
def test_the_code_is_short_and_checks_its_number(page: Path) -> None:
    code = blocks(page)
    assert code
    assert max(map(len, code)) <= LINES
    lines = [line for block in code for line in block]
    assert max(map(len, lines)) <= 100
    assert any(line.lstrip().startswith("assert ") for line in lines)


@EACH
def test_statement_verdict_mathematics_and_picture_are_there(page: Path) -> None:
    text = page.read_text()
    assert text.startswith("# ")
    assert re.search(r"verdict", text, re.IGNORECASE)
    assert re.search(r"^    \S|\$", text, re.MULTILINE), "no mathematics"
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    code = "\n".join(line for block in blocks(page) for line in block)
    drawn = re.findall(r"""savefig\(\s*["']([^"']+)["']""", code)
    assert pictures
    assert set(pictures) == set(drawn)
    for picture in pictures:
        assert Path(picture).stem == page.stem
        assert (FOLDER / picture).stat().st_size <= BYTES


def test_every_picture_belongs_to_a_page() -> None:
    pictures = {path.stem for path in FOLDER.iterdir() if path.suffix in (".png", ".svg")}
    assert pictures == {page.stem for page in PAGES}


def test_the_index_has_every_page_with_a_verdict() -> None:
    """Where this fails, give the new page its row in docs/book/index.md."""
    rows = ROW.findall(INDEX.read_text())
    assert {name for _, name, _, _ in rows} == {page.stem for page in PAGES}
    for title, name, _, verdict in rows:
        assert (FOLDER / f"{name}.md").read_text().startswith(f"# {title}\n")
        assert len(verdict.split()) <= 6


def test_every_section_of_the_text_has_a_page() -> None:
    about = " ".join(section for _, _, section, _ in ROW.findall(INDEX.read_text()))
    assert [section for section in SECTIONS if section not in about] == []
