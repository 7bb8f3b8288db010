"""The code blocks of README.md run, and pages are whole; `make docs` runs those of docs/.

Blocks of one file share their variables and a folder of their own. Blocks in another language, such
as ``text``, are not run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from rrp_pyomo.solve.table import SOLVERS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_python(code: str, page: Path, line: int, names: dict[str, object]) -> None:
    """Run with the page's own line numbers in tracebacks."""
    exec(compile("\n" * line + code, str(page), "exec"), names)


def run_shell(code: str, folder: Path) -> None:
    rrp = f'rrp() {{ "{sys.executable}" -c "from rrp_pyomo.cli.main import app; app()" "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-euc", rrp + code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_code_blocks_run(tmp_path, monkeypatch):
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    page = PAGES[0]
    text = page.read_text()
    names: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        language, code = block.groups()
        if language == "python":
            run_python(code, page, text[: block.start(2)].count("\n"), names)
        else:
            run_shell(code, tmp_path)


def test_readme_shows_what_it_should():
    """At least the blocks that the README is there for."""
    languages = [language for language, _ in BLOCK.findall(PAGES[0].read_text())]
    assert languages.count("python") >= 3
    assert "sh" in languages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_code_block_has_a_known_language(page):
    """A misspelt language would leave its block untested."""
    fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
    assert len(fences) % 2 == 0
    others = {fence for fence in fences[0::2] if not fence.startswith("{")}
    assert others <= {"python", "sh", "text", "csv", "json", "julia"}
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_readme_takes_a_minute():
    assert len(PAGES[0].read_text().splitlines()) <= 120


def test_solver_table_is_complete():
    solvers = (ROOT / "docs" / "solvers.md").read_text()
    table = solvers[solvers.index("| solver | Pyomo's name |") :].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(SOLVERS)


def test_make_targets_exist():
    targets = set(re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text()))
    assert {"demo", "test"} <= targets
    subprocess.run(["make", "-n", *sorted(targets)], cwd=ROOT, check=True, capture_output=True)
