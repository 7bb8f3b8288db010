"""Run the pages: each in a process of its own, forked from one that has imported what they need."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat.v4 as v4
from nbformat import NotebookNode
from notebooks import has_code, notebook

# What most pages import; each takes seconds that are paid once.
PRELOADED = (
    "IPython.core.interactiveshell", "matplotlib.pyplot", "pandas", "pyomo.environ", "pyomo.kernel",
    "clarabel", "rrp_pyomo.backtest", "rrp_pyomo.course", "rrp_pyomo.data.datasets",
    "rrp_pyomo.uncertainty", "linearmodels.datasets",
)  # fmt: skip
NUMBER = re.compile(r"(?<![A-Za-z_\d.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a cell: it failed, or it printed something else than the page says."""

    where: str
    message: str
    is_difference: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass
class Run:
    """A page that ran: its notebook with outputs, and what went wrong."""

    page: Path
    notebook: NotebookNode
    seconds: float
    faults: list[Fault] = field(default_factory=list)


def run_pages(pages: Iterable[Path], processes: int | None = None) -> Iterator[Run]:
    """Run pages side by side, each in its own folder, as they get done."""
    for name in PRELOADED:
        import_module(name)
    with multiprocessing.get_context("fork").Pool(processes, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(run_page, pages, chunksize=1)


def run_page(page: Path) -> Run:
    """Run the cells of a page in the folder where it is, until one fails."""
    from IPython.core.interactiveshell import InteractiveShell

    started = time.perf_counter()
    run = Run(page, notebook(page.read_text(encoding="utf-8")), 0.0)
    if has_code(run.notebook):
        os.chdir(page.parent)
        shell = InteractiveShell.instance(colors="nocolor")
        for cell in run.notebook.cells:
            if cell.cell_type == "code" and not _run_cell(shell, cell, run):
                break
    run.seconds = time.perf_counter() - started
    return run


def _run_cell(shell: Any, cell: NotebookNode, run: Run) -> bool:
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        shell.display_trap.hook = sys.displayhook  # the one that is captured
        result = shell.run_cell(cell.source, store_history=True)
    cell.execution_count = result.execution_count
    cell.outputs = list(_outputs(captured))
    where = f"{run.page}:{cell.metadata.line + 1}"
    said, got = cell.metadata.get("printed"), printed(cell)
    if not result.success:
        run.faults.append(Fault(where, f"failed\n{got}\n{captured.stderr}"))
    elif said is not None and not agree(said, got):
        message = f"the page says\n{said}\nand its code printed\n{got}"
        run.faults.append(Fault(where, message, is_difference=True))
    return bool(result.success)


def _outputs(captured: Any) -> Iterator[NotebookNode]:
    if captured.stdout:
        text = COLOUR.sub("", captured.stdout)
        yield v4.new_output("stream", name="stdout", text=text)
    for rich in captured.outputs:
        yield v4.new_output("display_data", data=rich.data, metadata=rich.metadata or {})


def printed(cell: NotebookNode) -> str:
    """What a cell that ran shows, as plain text."""
    return "\n".join(
        output.text.rstrip("\n") if output.output_type == "stream" else output.data["text/plain"]
        for output in cell.outputs
    )


def agree(said: str, printed: str) -> bool:
    """The same words, and numbers that differ by two units of the last digit at most."""
    left, right = said.split(), printed.split()
    return len(left) == len(right) and all(map(_same, left, right))


def _same(said: str, printed: str) -> bool:
    numbers, others = NUMBER.findall(said), NUMBER.findall(printed)
    if said == printed or NUMBER.sub("#", said) != NUMBER.sub("#", printed):
        return said == printed
    pairs = zip(numbers, others, strict=True)
    return all(abs(float(a) - float(b)) <= 2.01 * _unit(a) for a, b in pairs)


def _unit(number: str) -> float:
    """Of the last digit; whole numbers are exact."""
    mantissa, _, exponent = number.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals) if decimals or exponent else 0.0
