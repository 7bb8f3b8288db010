"""Which solver takes which page of docs/composition, and how long it needs.

    OMP_NUM_THREADS=1 python benchmarks/composition_pages.py [page ...]

Runs the code of each page, or of those that are given, keeps the pictures that it draws, and solves
the model that it leaves behind by each solver. Rows of the table in ``index.md`` are written anew.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "composition"
SOLVERS = ("clarabel", "casadi_ipopt", "scs", "gurobi_direct", "scip_direct", "outer_approximation")
SECONDS = 20.0
#: To which the optimum has to agree with that of the page, of the objective's size.
AGREEMENT = {"scs": 1e-2}
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| \[.*$\n?", re.MULTILINE)


def model_of(page: Path) -> tuple[str, Any]:
    """The title, and the last ConcreteModel that the page's code has a name for."""
    text = page.read_text()
    names: dict[str, Any] = {"__name__": "__main__"}
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        try:
            exec("\n".join(BLOCK.findall(text)), names)
        finally:
            os.chdir(home)
        for picture in Path(folder).glob("*.*"):
            shutil.copy(picture, FOLDER)
    matplotlib.pyplot.close("all")
    models = [v for v in names.values() if isinstance(v, pyo.ConcreteModel)]
    return text.splitlines()[0].removeprefix("# "), models[-1]


def cell(model: Any, solver: str) -> str:
    """Seconds where the optimum is that of the page, else what happened in a word."""
    model = model.clone()
    objective = next(model.component_data_objects(pyo.Objective, active=True))
    expected = pyo.value(objective)
    began = time.perf_counter()
    try:
        if solver == "gurobi_direct":  # Pyomo's newer one of that name takes linear models
            made = pyo.SolverFactory(solver)
            made.options["TimeLimit"] = SECONDS
            results = made.solve(model, load_solutions=False, save_results=False)
            found, load = results.solver.termination_condition == "optimal", made.load_vars
        else:
            results = SolverFactory(solver).solve(
                model,
                time_limit=SECONDS,
                load_solutions=False,
                raise_exception_on_nonoptimal_result=False,
            )
            found = results.solution_status is SolutionStatus.optimal
            load = results.solution_loader.load_vars
        spent = time.perf_counter() - began
        if not found:
            return "limit" if spent > SECONDS else "no answer"
        load()
    except Exception as error:
        return "size" if "size-limited" in str(error) else "–"
    off = abs(pyo.value(objective) - expected) / max(1e-2, abs(expected))
    close = off <= AGREEMENT.get(solver, 1e-4)
    return f"{spent:.2f}" if close else "local" if solver == "casadi_ipopt" else "inaccurate"


def main(chosen: list[str]) -> None:
    warnings.simplefilter("ignore")
    matplotlib.use("agg")
    index = FOLDER / "index.md"
    text = index.read_text()
    rows = {re.search(r"\((\S+)\.md\)", row).group(1): row for row in ROW.findall(text)}
    for page in sorted(FOLDER.glob("*.md")):
        if page != index and (not chosen or page.stem in chosen):
            title, model = model_of(page)
            cells = [f"[{title}]({page.name})", *(cell(model, solver) for solver in SOLVERS)]
            rows[page.stem] = f"| {' | '.join(cells)} |\n"
            print(rows[page.stem], end="", flush=True)
    table = "".join(rows[name] for name in sorted(rows))
    first = ROW.search(text)
    head = text[: first.start()] if first else text.rstrip() + "\n"
    rest = ROW.sub("", text[first.start() :]) if first else ""
    index.write_text(head + table + rest)


if __name__ == "__main__":
    main(sys.argv[1:])
