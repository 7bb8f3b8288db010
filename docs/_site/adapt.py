"""What differs between a page in the repository, on the site and as a notebook to download."""

from __future__ import annotations

import base64
import mimetypes
import os
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import nbformat.v4 as v4
from execute import printed
from nbformat import NotebookNode

LINK = re.compile(r"(?<![!\]\w])\[(?P<text>[^\]]+)\]\((?P<target>[^)#:\s]+\.\w+)(?:#[^)\s]*)?\)")
PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^):\s]+)\)")
DIRECTIVE = re.compile(r"^(?P<fence>`{3,}|:{3,})\{.*?^(?P=fence)$\n?", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r"^# .+$", re.MULTILINE)
COLUMNS = re.compile(r"\S {2,}\S|^ |^-+$|[│┃━]", re.MULTILINE)
BASH = "%%bash"
SHELL = "shell"
PATH_CELL = """\
# Cells in bash find the command `rrp` of this Python's environment.
import os, sys
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]"""
NEEDS = """\
*A notebook of rrp_pyomo's documentation. It needs the package in the kernel's environment, which
`pip install ".[docs]"` in a clone of the repository puts there, and no network.*"""


def for_site(page: NotebookNode, path: Path, docs: Path, repository: Path) -> NotebookNode:
    """With files outside docs/ to download: they are copied to ``_files`` beside the pages.

    Values that a page does not show, such as what ``solve`` returns, are left out.
    """

    def relinked(link: re.Match[str]) -> str:
        target = path.parent / link["target"]
        relative = _from_repository(target, docs)
        if target.exists() or not (repository / relative).is_file():
            return link[0]  # Sphinx tells what leads nowhere
        copy = docs / "_files" / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / relative, copy)
        return f"[{link['text']}](path:/_files/{relative})"

    page = _with_markdown(page, lambda text: LINK.sub(relinked, text))
    for cell in page.cells:
        if cell.cell_type == "code":
            _prepare(cell)
    return page


def _prepare(cell: NotebookNode) -> None:
    """What the site shows of a cell; it reads the tags as classes."""
    cell.metadata["tags"] = []
    if cell.source.startswith(BASH):
        cell.source = cell.source.partition("\n")[2]  # what a reader types
        cell.metadata["tags"].append(SHELL)
    if not cell.metadata.get("printed"):
        cell.outputs = [output for output in cell.outputs if output.output_type == "stream"]
    if not COLUMNS.search(printed(cell)):
        cell.metadata["tags"].append("sentences")  # their lines break


def for_download(page: NotebookNode, path: Path) -> NotebookNode:
    """As a reader runs it anywhere: no outputs, pictures within, links to the other notebooks."""

    def relinked(link: re.Match[str]) -> str:
        if (path.parent / link["target"]).is_file() and link["target"].endswith(".md"):
            return f"[{link['text']}]({link['target'].removesuffix('.md')}.ipynb)"
        return link["text"]

    def embedded(picture: re.Match[str]) -> str:
        kind, _ = mimetypes.guess_type(picture["target"])
        data = base64.b64encode((path.parent / picture["target"]).read_bytes()).decode()
        return f"![{picture['alt']}](data:{kind};base64,{data})"

    def adapted(text: str) -> str:
        return PICTURE.sub(embedded, LINK.sub(relinked, DIRECTIVE.sub("", text)))

    page = _with_markdown(page, adapted)
    cells = [_without_outputs(cell) for cell in page.cells]
    title = next(number for number, cell in enumerate(cells) if cell.cell_type == "markdown")
    cells[title].source = TITLE.sub(rf"\g<0>\n\n{NEEDS}", cells[title].source, count=1)
    if any(cell.source.startswith(BASH) for cell in cells):
        cells.insert(title + 1, v4.new_code_cell(PATH_CELL, id="path"))
    page.cells = [cell for cell in cells if cell.source]
    return page


def _from_repository(target: Path, docs: Path) -> Path:
    """What is linked from the copy of a page, as the repository has it."""
    return Path(os.path.relpath(target, docs.parent))


def _with_markdown(page: NotebookNode, change: Callable[[str], str]) -> NotebookNode:
    page = deepcopy(page)
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = change(cell.source)
    return page


def _without_outputs(cell: NotebookNode) -> NotebookNode:
    cell.metadata.pop("printed", None)
    cell.metadata.pop("line", None)
    if cell.cell_type == "code":
        cell.update(outputs=[], execution_count=None)
    return cell
