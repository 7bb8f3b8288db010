"""Cards of a gallery: pages by their titles and pictures."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
PICTURE = re.compile(r"!\[([^\]]+)\]\(([^):\s]+)\)")


@dataclass(frozen=True)
class Card:
    """A page by its title, its first picture and what that shows."""

    page: Path
    title: str
    picture: Path
    line: str

    def markdown(self, folder: Path) -> str:
        link = os.path.relpath(self.page.with_suffix(""), folder)
        picture = os.path.relpath(self.picture, folder)
        return (
            f":::{{grid-item-card}} {self.title}\n:link: {link}\n:link-type: doc\n"
            f":img-top: {picture}\n:img-alt: {self.line}\n\n{self.line}\n:::\n"
        )


def cards(folder: Path) -> list[Card]:
    """Those of the pages of a folder, in the order of their names."""
    found = (_card(page) for page in sorted(folder.glob("*.md")) if page.stem != "index")
    return [card for card in found if card]


def _card(page: Path) -> Card | None:
    text = page.read_text(encoding="utf-8")
    title, picture = TITLE.search(text), PICTURE.search(text)
    if not (title and picture):
        return None
    line, target = picture.groups()
    return Card(page, title[1], page.parent / target, line)
