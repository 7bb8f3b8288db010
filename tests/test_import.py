"""What importing the package needs, costs and does."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

import rrp_pyomo

EXTRAS = [
    "cvxpy", "gurobipy", "highspy", "hypothesis", "linearmodels", "mosek", "pyscipopt", "pytest",
    "scs", "sklearn", "statsmodels", "xpress",
]  # fmt: skip


def without(packages: list[str]) -> str:
    """Code after which nothing finds these packages."""
    return f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {packages}:
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


WITHOUT_EXTRAS = without(EXTRAS)
WITHOUT_CASADI = without(["casadi"])


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_extra_is_needed():
    python(
        WITHOUT_EXTRAS
        + f"""
import importlib, pkgutil
import rrp_pyomo

for name in rrp_pyomo.__all__:
    getattr(rrp_pyomo, name)
import rrp_pyomo.cli.main, rrp_pyomo.data, rrp_pyomo.modeling, rrp_pyomo.models, rrp_pyomo.plots
import rrp_pyomo.portfolio, rrp_pyomo.cli.tables, rrp_pyomo.solve.table
assert not set(sys.modules) & set({EXTRAS})
covariance = rrp_pyomo.DenseCovariance([[0.04, 0.01], [0.01, 0.09]])
portfolio = rrp_pyomo.RiskParitySOCP(covariance).solve()
assert portfolio.certificate.is_risk_parity
"""
    )


def test_missing_extras_are_named():
    output = python(
        WITHOUT_EXTRAS
        + """
from rrp_pyomo import DenseCovariance, RiskParitySOCP
from rrp_pyomo.data import datasets

for attempt in (
    datasets.french,
    lambda: RiskParitySOCP(DenseCovariance([[0.04, 0.01], [0.01, 0.09]])).solve("gurobi"),
):
    try:
        attempt()
    except Exception as error:
        print(type(error).__name__, error)
"""
    )
    data, solver = output.splitlines()
    assert data.startswith("InputError")
    assert 'pip install "rrp-pyomo[data]"' in data
    assert solver.startswith("SolverUnavailableError")
    assert 'pip install "rrp-pyomo[solvers]"' in solver


def test_no_module_needs_casadi():
    modules = python(
        WITHOUT_CASADI
        + """
import importlib, pkgutil
import rrp_pyomo

for module in pkgutil.walk_packages(rrp_pyomo.__path__, "rrp_pyomo."):
    importlib.import_module(module.name)
print(*(name for name in sys.modules if name.startswith("rrp_pyomo")))
"""
    ).split()
    assert {"rrp_pyomo.solvers.ipopt.embedded", "rrp_pyomo.solve.smooth"} <= set(modules)


def test_conic_problems_do_not_load_casadi():
    python(
        """
import sys
from rrp_pyomo import DenseCovariance, RiskParitySOCP

RiskParitySOCP(DenseCovariance([[0.04, 0.01], [0.01, 0.09]])).solve()
assert not {"casadi"} & set(sys.modules)
"""
    )


def test_conic_problems_and_blocks_are_solved_without_casadi(tmp_path):
    output = python(
        WITHOUT_CASADI
        + """
import pyomo.environ as pyo
from rrp_pyomo import DenseCovariance, RiskParityNLP, RiskParitySOCP
from rrp_pyomo.cli.main import app
from rrp_pyomo.solvers.ipopt import executable, ipopt_solver

executable.WHEELS.clear()
covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["a", "b"])
problem = RiskParitySOCP(covariance)
print(problem.solve().weights.round(5).to_list())
m = pyo.ConcreteModel()
m.w = pyo.Var(["a", "b"])
m.parity = problem.block(weights=m.w)
m.goal = pyo.Objective(expr=m.parity.objective_expression)
pyo.SolverFactory("clarabel").solve(m)
print([round(pyo.value(m.w[a]), 5) for a in m.w])
print(pyo.SolverFactory("casadi_ipopt").available(exception_flag=False))
for attempt in (
    RiskParityNLP(covariance).solve,
    lambda: RiskParityNLP(covariance).solve("casadi_ipopt"),
    ipopt_solver,
    lambda: pyo.SolverFactory("casadi_ipopt").solve(m),
):
    try:
        attempt()
    except Exception as error:
        print(type(error).__name__, error)
app(["solvers"])
""",
        PATH=str(tmp_path),
        HOME=str(tmp_path),
        IDAES_DATA=str(tmp_path),
        COLUMNS="300",
    )
    alone, block, available, *rest = output.splitlines()
    assert alone == block == "[0.33333, 0.66667]"
    assert available == "False"
    for line in rest[:4]:
        assert line.startswith("SolverUnavailableError")
        assert "is not installed here; to install it: pip install casadi" in line
    assert "Convex problems need no Ipopt" in rest[3]
    assert any("ipopt" in line and "not here: pip install casadi" in line for line in rest[4:])


def test_import_takes_hardly_longer_than_pyomo():
    """In processor time of fresh processes, side by side, what Python itself takes left out."""

    def seconds(code: str) -> float:
        before = os.times()
        python(code)
        after = os.times()
        user = after.children_user - before.children_user
        return user + after.children_system - before.children_system

    for code in ("import rrp_pyomo", "import pyomo.environ"):
        python(code)  # compiles what has changed
    turns = [
        (seconds("import rrp_pyomo"), seconds("import pyomo.environ"), seconds("pass"))
        for _ in range(5)
    ]
    ratio = statistics.median((ours - bare) / (pyomos - bare) for ours, pyomos, bare in turns)
    assert ratio <= 1.2


def test_import_loads_nothing_that_takes_long():
    """Numbers, solvers and pictures are loaded when they are first used; Pyomo's core is enough."""
    output = python(
        """
import sys
import rrp_pyomo
ours = set(sys.modules)
import pyomo.environ
print(len(ours), len(sys.modules), *sorted({name.partition(".")[0] for name in ours}))
"""
    )
    ours, pyomos, *packages = output.split()
    loaded = set(packages) - sys.stdlib_module_names
    assert not loaded & {"numpy", "scipy", "pandas", "matplotlib", "casadi", "clarabel", "typer"}
    assert {"rrp_pyomo", "pyomo"} <= loaded
    assert int(ours) < int(pyomos)


def test_exports():
    for name in rrp_pyomo.__all__:
        exported = getattr(rrp_pyomo, name)
        assert getattr(exported, "__name__", name) == name
        assert name in dir(rrp_pyomo)
    with pytest.raises(AttributeError, match="has no attribute 'RobustRiskPartiy'"):
        rrp_pyomo.RobustRiskPartiy  # noqa: B018


def test_submodules_need_no_import_of_their_own():
    python("import rrp_pyomo\nassert rrp_pyomo.data.datasets and rrp_pyomo.errors.InputError")


def test_solvers_are_registered_with_both_factories():
    output = python(
        """
import rrp_pyomo
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory

for name in ("clarabel", "scs", "casadi_ipopt"):
    solver = pyo.SolverFactory(name)
    print(type(SolverFactory(name)).__module__, type(solver).__module__, solver.available())
"""
    )
    for line in output.splitlines():
        new, old, available = line.split()
        assert new.startswith("rrp_pyomo.solvers.")
        assert old.startswith(("rrp_pyomo.solvers.", "pyomo.contrib.solver."))
        assert available != "False"
    assert len(output.splitlines()) == 3


@pytest.mark.parametrize("factory", [SolverFactory, pyo.SolverFactory])
def test_options_reach_a_solver_that_is_made_on_demand(factory):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 4))
    m.cost = pyo.Objective(expr=(m.x - 3) ** 2)
    factory("clarabel").solve(m)
    assert m.x.value == pytest.approx(3, abs=1e-5)


def test_names_that_have_moved_are_found_with_a_warning():
    import rrp_pyomo.modeling
    import rrp_pyomo.portfolio
    from rrp_pyomo.models.robust import RobustCertificate

    with pytest.warns(DeprecationWarning, match=r"modeling.Program is rrp_pyomo.program.Program"):
        assert rrp_pyomo.modeling.Program is rrp_pyomo.Program
    with pytest.warns(DeprecationWarning, match=r"is rrp_pyomo\.models\.robust"):
        assert rrp_pyomo.portfolio.RobustCertificate is RobustCertificate
    with pytest.raises(AttributeError, match="no attribute 'Progam'"):
        _ = rrp_pyomo.modeling.Progam
