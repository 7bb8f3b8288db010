"""The directive ``{gallery}``: a card for each page with a picture in the folders that it names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

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


class Gallery(SphinxDirective):
    """Folders, one on a line, from the page's own."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        here = Path(self.env.doc2path(self.env.docname)).parent
        found = [card for name in self.content for card in cards((here / name).resolve())]
        for card in found:
            self.env.note_dependency(str(card.page))
        if not found:
            return []
        text = "::::{grid} 1 2 2 3\n:gutter: 3\n\n" + "\n".join(c.markdown(here) for c in found)
        return self.parse_text_to_nodes(f"{text}\n::::\n")
