"""What importing the package needs, costs and does."""

from __future__ import annotations

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

WITHOUT_EXTRAS = f"""
import sys

class WithoutExtras:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {EXTRAS}:
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(WithoutExtras, sys.meta_path)
"""


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
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
