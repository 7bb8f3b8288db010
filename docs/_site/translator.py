"""HTML of pages as Sphinx writes it, but for formulas in plain text and for long code in tables."""

from __future__ import annotations

import re
from typing import Any

from adapt import SHELL
from docutils import nodes
from formulas import with_scripts
from sphinx.addnodes import desc_content
from sphinx.writers.html5 import HTML5Translator

# Where code in a table may go on in the next line.
BREAKS = re.compile(r"(?<=[(,=:])(?=\w)|(?=\.[a-z])")
LONG = 20


class Translator(HTML5Translator):
    """Formulas get their indices and powers, and code in tables places to break."""

    def visit_Text(self, node: nodes.Text) -> None:
        start = len(self.body)
        super().visit_Text(node)
        if not self.protect_literal_text:
            self.body[start:] = map(with_scripts, self.body[start:])
        elif _is_within(node, nodes.entry):
            self.body[start:] = map(_breakable, self.body[start:])

    def visit_literal_block(self, node: nodes.Element) -> None:
        """Those of docstrings that are in no language are formulas; cells may be of a shell."""
        if node.get("language") == "none" and _is_within(node, desc_content):
            formula = with_scripts(self.encode(node.astext()))
            self.body.append(f'<pre class="formula">{formula}</pre>\n')
            raise nodes.SkipNode
        if node.get("language") == "python" and _is_of_shell(node):
            node["language"] = "bash"
        super().visit_literal_block(node)


def _is_within(node: nodes.Node, kind: type) -> bool:
    while node.parent is not None and not isinstance(node, kind):
        node = node.parent
    return isinstance(node, kind)


def _is_of_shell(code: nodes.Element) -> bool:
    cell = code.parent and code.parent.parent
    return cell is not None and f"tag_{SHELL}" in cell.get("classes", ())


def _breakable(html: str) -> str:
    text = re.sub("<[^>]*>", "", html)
    return html.replace(text, BREAKS.sub("<wbr>", text)) if len(text) > LONG else html


def setup(app: Any) -> dict[str, bool]:
    app.set_translator("html", Translator)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
