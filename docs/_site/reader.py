"""What Sphinx reads in the place of a page: the notebook that it became when it ran."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from notebooks import notebook


def executed_path(text: str, pages: Path) -> Path:
    """Where the notebook of a page with this text is."""
    folder = pages / "_executed"
    folder.mkdir(exist_ok=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()}.ipynb"


def read(text: str) -> NotebookNode:
    """The page as it ran; what is no page, such as an included piece, as it is."""
    path = executed_path(text, Path(__file__).parents[1])
    return nbformat.read(path, as_version=4) if path.exists() else notebook(text)
