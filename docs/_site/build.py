"""Build the site: ``python docs/_site/build.py out/site``.

The pages are copied beside the site and run there, for their code writes pictures and files. Then
Sphinx reads them with what they printed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from adapt import for_download, for_site
from execute import Run, run_pages
from notebooks import has_code
from reader import executed_path
from run import prepare_environment

DOCS = Path(__file__).parents[1]
SLOWEST = 5


def main(site: Path) -> int:
    pages = site.with_name("pages")
    for folder in (site, pages):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("__pycache__"))
    prepare_environment()
    runs = list(run_pages(sorted(pages.rglob("*.md")), os.cpu_count()))
    for run in runs:
        _write(run, pages)
    for run in sorted(runs, key=lambda run: -run.seconds)[:SLOWEST]:
        print(f"{run.seconds:6.1f} s  {run.page.relative_to(pages)}")
    faults = [fault for run in runs for fault in run.faults]
    print(*faults, sep="\n\n", file=sys.stderr)
    options = ["-W", "--keep-going", "--jobs", "auto", "-q"]
    built = subprocess.run([sys.executable, "-m", "sphinx", *options, pages, site], check=False)
    return built.returncode or bool(faults)


def _write(run: Run, pages: Path) -> None:
    """The page with its outputs for Sphinx, and without them for readers to download."""
    text = run.page.read_text(encoding="utf-8")
    nbformat.write(for_site(run.notebook, run.page, pages, DOCS.parent), executed_path(text, pages))
    if has_code(run.notebook):
        path = pages / "_notebooks" / run.page.relative_to(pages).with_suffix(".ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(for_download(run.notebook, run.page), path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
