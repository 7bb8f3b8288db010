"""Run pages: ``python docs/_site/run.py [--update] PAGE...``; all of docs/ where none is named.

With ``--update``, ``text`` blocks under a code block get what it prints now.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from execute import Run, printed, run_pages
from notebooks import BLOCK

DOCS = Path(__file__).parents[1]


def main(arguments: list[str]) -> int:
    update = "--update" in arguments
    named = [Path(name).resolve() for name in arguments if name != "--update"]
    pages = named or sorted(DOCS.rglob("*.md"))
    prepare_environment()
    with tempfile.TemporaryDirectory() as folder:
        tree = shutil.copytree(DOCS, Path(folder) / "docs")
        copies = {tree / page.relative_to(DOCS): page for page in pages}
        faulty = 0
        for run in run_pages(copies, os.cpu_count()):
            page = copies[run.page]
            if update and all(fault.is_difference for fault in run.faults):
                page.write_text(_updated(page.read_text(encoding="utf-8"), run), encoding="utf-8")
            shown = [fault for fault in run.faults if not update or not fault.is_difference]
            print(f"{run.seconds:6.1f} s  {page.relative_to(DOCS)}", *shown, sep="\n")
            faulty += bool(shown)
    return faulty


def prepare_environment() -> None:
    """What pages run in: ``rrp`` is found and prints as wide as a page; pictures are shown where
    the page has them."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ |= {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PATH": path}
    os.environ |= {"COLUMNS": "96", "NO_COLOR": "1"}


def _updated(text: str, run: Run) -> str:
    cells = iter([cell for cell in run.notebook.cells if cell.cell_type == "code"])

    def renewed(block: object) -> str:
        cell, whole = next(cells), block[0]  # type: ignore[index]
        old = block["printed"]  # type: ignore[index]
        if old is None or cell.execution_count is None:
            return whole
        return whole[: -len(old) - 4] + printed(cell).rstrip() + "\n```\n"

    return BLOCK.sub(renewed, text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
