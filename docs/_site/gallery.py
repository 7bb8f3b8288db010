"""The directive ``{gallery}``: a card for each page with a picture in the folders that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from cards import cards
from docutils import nodes
from sphinx.util.docutils import SphinxDirective


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
