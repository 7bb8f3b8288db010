"""Finding an ``ipopt`` executable, and solving with it.

The executable is a script that is run like Ipopt for AMPL, ``ipopt model.nl -AMPL name=value``, and
answers like it, with a .sol file; what solves inside is CasADi's Ipopt. So these tests prove where
an executable is looked for, that Pyomo's interface runs it with the options and the start that are
meant, and that both routes agree in their answers. Real executables are those of the wheels, in
``test_wheels.py``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.common import Executable

from rrp_pyomo import DenseCovariance, RiskParityQCLP
from rrp_pyomo.errors import SolverUnavailableError
from rrp_pyomo.solvers.ipopt import CasadiIpopt, executable, find_ipopt, ipopt_solver

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a #! line")

SCRIPT = """#!{python}
import sys
if "--version" in sys.argv:
    print("Ipopt 3.99.1 (a stand-in)")
    raise SystemExit
import casadi
file, _, *settings = sys.argv[1:]
read = casadi.NlpBuilder()
read.import_nl(file)
options = dict(setting.replace('"', "").split("=") for setting in settings)
if "option_file_name" in options:
    options.update(line.split() for line in open(options.pop("option_file_name")))
strings = ("bound_mult_init_method", "mu_strategy")
options = {{name: o if name in strings else float(o) for name, o in options.items()}}
problem = {{"x": casadi.vertcat(*read.x), "f": read.f, "g": casadi.vertcat(*read.g)}}
ipopt = casadi.nlpsol("ipopt", "ipopt", problem, {{"ipopt": options}})
point = ipopt(x0=read.x_init, lbx=read.x_lb, ubx=read.x_ub, lbg=read.g_lb, ubg=read.g_ub)
code = {{"Solve_Succeeded": 0, "Maximum_Iterations_Exceeded": 400}}[ipopt.stats()["return_status"]]
x, dual = point["x"].full().ravel(), -point["lam_g"].full().ravel()
lines = ["Ipopt 3.99.1: " + ipopt.stats()["return_status"], "", "Options", 3, 1, 1, 0]
lines += [len(dual), len(dual), len(x), len(x), *map(repr, map(float, [*dual, *x]))]
lines += [f"objno 0 {{code}}"]
open(file[:-3] + ".sol", "w").write("\\n".join(map(str, lines)) + "\\n")
"""


def install(folder: Path, script: str = SCRIPT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ipopt"
    path.write_text(script.format(python=sys.executable))
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IDAES_DATA", raising=False)
    monkeypatch.setattr(executable, "WHEELS", {})


def model() -> pyo.ConcreteModel:
    """max log(x) + log(y) on x + 2y = 4: (2, 1), with the dual 1/2."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(initialize=0.5, bounds=(0.01, None))
    m.y = pyo.Var(initialize=0.5, bounds=(0.01, None))
    m.line = pyo.Constraint(expr=m.x + 2 * m.y == 4)
    m.utility = pyo.Objective(expr=-pyo.log(m.x) - pyo.log(m.y))
    m.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    return m


def test_none_is_found_and_the_embedded_one_takes_over() -> None:
    assert find_ipopt() is None
    ipopt = ipopt_solver()
    assert isinstance(ipopt, CasadiIpopt)
    assert ipopt.solve(model()).solver_name == "casadi_ipopt"


def test_one_on_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(path.parent))
    found = find_ipopt()
    assert found is not None
    assert (found.path, found.version, found.found_in) == (path, "3.99.1", "on PATH")
    assert found.program == "ipopt"


def test_the_one_that_was_set_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(install(tmp_path / "bin").parent))
    path = install(tmp_path / "mine")
    try:
        Executable("ipopt").set_path(str(path))
        found = find_ipopt()
        assert found is not None
        assert found.path == path
        assert found.found_in == executable.SET
        path.write_text(f"#!{sys.executable}\nprint('GLPSOL 5.0')\n")
        with pytest.raises(SolverUnavailableError, match=f"was set, {path}, does not answer"):
            find_ipopt()
        Executable("ipopt").set_path(str(tmp_path / "nowhere"))
        with pytest.raises(SolverUnavailableError, match="nowhere, does not answer"):
            find_ipopt()
    finally:
        Executable("ipopt").set_path(None)
    found = find_ipopt()
    assert found is not None
    assert found.found_in == "on PATH"


def test_the_one_of_pyomo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyomo.common.envvar.PYOMO_CONFIG_DIR", str(tmp_path / "pyomo"))
    path = install(tmp_path / "pyomo" / "bin")
    found = find_ipopt()
    assert found is not None
    assert (found.path, found.found_in) == (path, "in Pyomo's own folder")


@pytest.mark.parametrize("folder", ["bin", "bin/extra", "elsewhere"])
def test_the_one_of_idaes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.setenv("IDAES_DATA", str(tmp_path / "idaes"))
    path = install(tmp_path / "idaes" / folder)
    found = find_ipopt()
    assert found is not None
    assert found.path == path
    assert found.found_in == f"in the IDAES folder {path.parent}"
    assert "idaes" not in sys.modules


def test_the_home_folder_of_idaes(tmp_path: Path) -> None:
    path = install(tmp_path / "home" / ".idaes" / "bin")
    found = find_ipopt()
    assert found is not None
    assert found.path == path


def test_the_windows_folder_of_idaes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    path = install(tmp_path / "local" / "idaes" / "bin")
    found = find_ipopt()
    assert found is not None
    assert found.path == path


def test_libraries_beside_the_executable_are_found(tmp_path: Path) -> None:
    """IDAES has them there."""
    needs = "import os, sys\nassert os.path.dirname(sys.argv[0]) in os.environ['LD_LIBRARY_PATH']\n"
    path = install(tmp_path / "home" / ".idaes" / "bin", SCRIPT.replace("import sys\n", needs, 1))
    before = dict(os.environ)
    found = find_ipopt()
    assert found is not None
    assert found.path == path
    m = model()
    ipopt_solver().solve(m)
    assert m.x.value == pytest.approx(2.0, rel=1e-6)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "script",
    [
        "#!{python}\nraise SystemExit(1)\n",
        "#!{python}\nprint('Ipopt 3.14.19')\nraise SystemExit(1)\n",
        "#!{python}\nprint('bonmin 1.8.9 using Ipopt 3.14.19')\n",
        "of no kind that the system runs",
        "#!/no/such/interpreter",
    ],
)
def test_one_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    broken = install(tmp_path / "broken", script)
    works = install(tmp_path / "home" / ".idaes" / "bin")
    monkeypatch.setenv("PATH", str(broken.parent))
    found = find_ipopt()
    assert found is not None
    assert found.path == works


def test_models_are_solved_by_the_executable_where_it_is(tmp_path: Path) -> None:
    """From the IDAES folder, off PATH; and the embedded one gives the same answer."""
    install(tmp_path / "home" / ".idaes" / "bin")
    ipopt, m = ipopt_solver(), model()
    results = ipopt.solve(m, solver_options={"tol": 1e-10, "mu_strategy": "adaptive"})
    assert results.solver_name == "ipopt"
    assert results.solver_version == (3, 99, 1)
    assert (m.x.value, m.y.value) == pytest.approx((2.0, 1.0), rel=1e-8)
    assert m.dual[m.line] == pytest.approx(-0.5, rel=1e-7)
    embedded = model()
    CasadiIpopt().solve(embedded, solver_options={"tol": 1e-10})
    assert embedded.x.value == pytest.approx(m.x.value, rel=1e-8)
    assert embedded.dual[embedded.line] == pytest.approx(m.dual[m.line], rel=1e-7)


def test_formulations_are_solved_by_the_executable(tmp_path: Path) -> None:
    """Off PATH too, with the accuracy and the start of the embedded one."""
    path = install(tmp_path / "home" / ".idaes" / "bin")
    rng = np.random.default_rng(0)
    covariance = DenseCovariance(np.cov(rng.normal(size=(40, 8)).T) * 1e-4)
    portfolio = RiskParityQCLP(covariance).solve(solver="ipopt")
    assert str(path) in portfolio.solver
    assert portfolio.cv <= 1e-10


def test_threads_reach_what_the_executable_works_with(tmp_path: Path) -> None:
    """Its linear solver may be OpenMP's, or have a BLAS with threads."""
    tell = "import os\nprint('threads:', os.environ.get('OMP_NUM_THREADS'))\nimport casadi\n"
    install(tmp_path / "home" / ".idaes" / "bin", SCRIPT.replace("import casadi\n", tell, 1))
    before = os.environ.get("OMP_NUM_THREADS")
    for threads, said in ((3, "3"), (None, str(before))):
        results = ipopt_solver().solve(model(), threads=threads)
        assert f"threads: {said}\n" in results.solver_log
        assert results.solver_config.threads == threads
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_problems_ask_for_an_ipopt_of_ones_own_not_for_what_is_run_like_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = RiskParityQCLP(DenseCovariance([[0.04, 0.01], [0.01, 0.02]]))
    install(tmp_path / "like", SCRIPT.replace("Ipopt 3.99.1 (", "POUNCE 0.99.1 ("))
    monkeypatch.setenv("PATH", str(tmp_path / "like"))
    assert find_ipopt().program == "pounce"
    assert "casadi" in problem.solve().solver.lower()
    assert "casadi" not in problem.solve("ipopt").solver.lower()
    install(tmp_path / "own")
    monkeypatch.setenv("PATH", str(tmp_path / "own"))
    assert "casadi" not in problem.solve().solver.lower()
