"""Plain Markdown pages as notebooks: ``python`` and ``sh`` blocks are cells that run.

A ``text`` block that follows such a block directly is what the block prints: the site shows what it
printed this time, and the build fails where the two differ. Blocks between ``<details>`` and
``</details>`` are folded away in the notebook, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import nbformat.v4 as v4
from nbformat import NotebookNode

BLOCK = re.compile(
    r"^```(?P<language>python|sh)\n(?P<code>.*?)^```\n"
    r"(?:\n*```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(text: str) -> NotebookNode:
    """The notebook of a page, not run yet."""
    cells = list(_cells(text))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def has_code(page: NotebookNode) -> bool:
    return any(cell.cell_type == "code" for cell in page.cells)


def _cells(text: str) -> Iterator[NotebookNode]:
    end = 0
    for block in BLOCK.finditer(text):
        if prose := text[end : block.start()].strip():
            yield v4.new_markdown_cell(prose)
        yield _code_cell(block, line=text[: block.start("code")].count("\n"))
        end = block.end()
    if prose := text[end:].strip():
        yield v4.new_markdown_cell(prose)


def _code_cell(block: re.Match[str], line: int) -> NotebookNode:
    code = block["code"].rstrip("\n")
    cell = v4.new_code_cell(f"%%bash -e\n{code}" if block["language"] == "sh" else code)
    cell.metadata["line"] = line
    if block["printed"] is not None:
        cell.metadata["printed"] = block["printed"]
    if _is_folded(block.string[: block.start()]):
        cell.metadata["jupyter"] = {"source_hidden": True}
    return cell


def _is_folded(before: str) -> bool:
    return before.count("<details") > before.count("</details>")
