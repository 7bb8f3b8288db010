"""The gallery shows every page with a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from cards import cards

DOCS = Path(__file__).parents[2] / "docs"
INDEX = DOCS / "gallery" / "index.md"


def folders() -> list[Path]:
    """Those that the page of the gallery names."""
    blocks = INDEX.read_text(encoding="utf-8").split("```{gallery}\n")[1:]
    names = [line for block in blocks for line in block.partition("```")[0].split()]
    return [(INDEX.parent / name).resolve() for name in names]


def test_every_page_with_a_picture_has_a_card() -> None:
    shown = {card.page for folder in folders() for card in cards(folder)}
    for name in ("gallery", "composition", "book", "course"):
        pages = [page for page in (DOCS / name).glob("*.md") if page.stem != "index"]
        drawn = {page for page in pages if "![" in page.read_text(encoding="utf-8")}
        assert drawn <= shown
    assert len(shown) >= 24


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_cards_have_a_picture_that_is_there_and_one_line(folder: Path) -> None:
    for card in cards(folder):
        assert card.picture.is_file(), card
        assert card.picture.stat().st_size <= 60_000, card.picture
        assert card.title
        assert "\n" not in card.line
