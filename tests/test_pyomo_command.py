"""The command ``pyomo`` knows the package's solvers by its entry point: nothing is imported."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from rrp_pyomo.solve.table import SOLVERS

pytestmark = pytest.mark.slow

PYOMO = (
    "from pyomo.scripting.pyomo_main import main_console_script as main; raise SystemExit(main())"
)
MODEL = """
import pyomo.environ as pyo

model = pyo.ConcreteModel()
model.x = pyo.Var(["a", "b", "c"], bounds=(0, 0.5), initialize=0.1)
model.r = pyo.Var(bounds=(0, None), initialize=1)
model.length = pyo.Constraint(expr=sum(x**2 for x in model.x.values()) <= model.r**2)
model.total = pyo.Constraint(expr=sum(model.x.values()) == 1)
model.cost = pyo.Objective(expr=model.r)

def pyomo_postprocess(options, instance, results):
    print("length:", round(pyo.value(instance.r), 4))
"""


def pyomo(folder: Path, *arguments: str) -> str:
    """What the console script does, with the interpreter that runs the tests."""
    done = subprocess.run(
        [sys.executable, "-c", PYOMO, *arguments], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_entry_point_registers_and_imports_nothing_else() -> None:
    (entry,) = (e for e in entry_points(group="pyomo.command") if e.name == "rrp_pyomo")
    assert entry.value == "rrp_pyomo"


@pytest.mark.parametrize("solver", ["clarabel", "scs", "casadi_ipopt", "outer_approximation"])
def test_pyomo_solve(solver: str, tmp_path: Path, need) -> None:
    need(solver)
    (tmp_path / "model.py").write_text(MODEL)
    said = pyomo(tmp_path, "solve", f"--solver={solver}", "model.py")
    assert "length: 0.5774" in said
    assert "Termination condition: optimal" in (tmp_path / "results.yml").read_text()


def test_pyomo_help_lists_the_solvers(tmp_path: Path) -> None:
    said = pyomo(tmp_path, "help", "--solvers")
    for name, solver in SOLVERS.items():
        if solver.module and solver.locate() is not None:
            assert re.search(rf"^ +\+{name} +\d", said, re.MULTILINE), said
