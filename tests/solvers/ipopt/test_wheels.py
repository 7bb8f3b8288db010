"""The executables in the wheels of ``pounce-solver`` and ``pyomo-ripopt``: real ones.

Neither is Ipopt. Both read .nl files, take Ipopt's options and write .sol files; what they do not
do as Ipopt does must raise an error or show in a certificate.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.common import Executable
from pyomo.contrib.solver.common.results import TerminationCondition
from pyomo.contrib.solver.common.util import NoDualsError

from rrp_pyomo import (
    CovarianceUncertainty,
    Program,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    norm,
)
from rrp_pyomo.errors import InputError, SolverError
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solvers.ipopt import (
    ExecutableIpopt,
    IpoptExecutable,
    executable,
    find_ipopt,
    ipopt_solver,
)
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError

PACKAGES = {program: package for package, program in executable.WHEELS.items()}
QUIET = {"load_solutions": False, "raise_exception_on_nonoptimal_result": False}


@pytest.fixture(autouse=True)
def _no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on PATH nor in the home folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("IDAES_DATA", raising=False)


@pytest.fixture(params=PACKAGES)
def found(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> IpoptExecutable:
    """One of them, and the only one that is found."""
    package = PACKAGES[request.param]
    pytest.importorskip({"pounce-solver": "pounce"}.get(package, "pyomo_ripopt"))
    monkeypatch.setattr(executable, "WHEELS", {package: request.param})
    found = find_ipopt()
    assert found is not None
    return found


def model(sense: int = pyo.maximize) -> pyo.ConcreteModel:
    """max log(x) + log(y) on x + 2y ≤ 4: (2, 1), where one unit more is worth 1/2."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(initialize=0.5, bounds=(0.01, None))
    m.y = pyo.Var(initialize=0.5, bounds=(0.01, None))
    m.line = pyo.Constraint(expr=m.x + 2 * m.y <= 4)
    sign = 1 if sense == pyo.maximize else -1
    m.utility = pyo.Objective(expr=sign * (pyo.log(m.x) + pyo.log(m.y)), sense=sense)
    return m


def test_found_in_the_wheel(found: IpoptExecutable) -> None:
    assert found.program in ("pounce", "ripopt")
    assert found.found_in == f"in the Python package {PACKAGES[found.program]}"
    assert found.path.is_file()
    assert found.path.parent.name == "bin"
    solver = ipopt_solver()
    assert isinstance(solver, ExecutableIpopt)
    assert ".".join(map(str, solver.version() or ())) == found.version


def test_one_on_path_comes_first(
    found: IpoptExecutable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bin" / "ipopt"
    path.parent.mkdir()
    path.symlink_to(found.path)
    monkeypatch.setenv("PATH", str(path.parent))
    first = find_ipopt()
    assert first is not None
    assert (first.path, first.found_in, first.program) == (path, "on PATH", found.program)


def test_a_model(found: IpoptExecutable) -> None:
    m = model()
    results = ipopt_solver().solve(m)
    assert results.solver_name == "ipopt"
    assert (m.x.value, m.y.value) == pytest.approx((2.0, 1.0), rel=1e-6)
    assert results.incumbent_objective == pytest.approx(np.log(2.0), rel=1e-6)


def test_pyomos_own_interface_once_it_is_told_where(found: IpoptExecutable) -> None:
    try:
        Executable("ipopt").set_path(str(found.path))
        m = model()
        pyo.SolverFactory("ipopt").solve(m)
        assert m.x.value == pytest.approx(2.0, rel=1e-6)
    finally:
        Executable("ipopt").set_path(None)


@pytest.mark.parametrize("sense", [pyo.minimize, pyo.maximize])
def test_duals_are_right_or_refused(found: IpoptExecutable, sense: int) -> None:
    m = model(sense)
    results = ipopt_solver().solve(m, load_solutions=False)
    if found.program == "ripopt":
        with pytest.raises(NoDualsError, match="ripopt's duals are not those of AMPL"):
            results.solution_loader.get_duals()
        return
    worth = 0.5 if sense == pyo.maximize else -0.5
    assert results.solution_loader.get_duals()[m.line] == pytest.approx(worth, rel=1e-6)
    m.x.setlb(3.0)
    results = ipopt_solver().solve(m)
    costs = results.solution_loader.get_reduced_costs()
    assert costs[m.x] == pytest.approx(worth * 2.0 * (1 / 3 - 1), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tolerance", 1e-9), ("mu_strategy", "quick"), ("linear_solver", "mumps")],
)
def test_options_that_are_not_taken_are_refused(
    found: IpoptExecutable, name: str, value: object
) -> None:
    """ripopt itself goes on without them."""
    with pytest.raises(
        InputError, match=rf"{found.program} option '{name}' is .*; {found.program}"
    ):
        ipopt_solver().solve(model(), solver_options={name: value}, **QUIET)


def test_options_that_are_taken(found: IpoptExecutable) -> None:
    """On the command line, and in a file where there is one."""
    for options in ({"max_iter": 2}, {"mu_strategy": "adaptive", "max_iter": 2}):
        results = ipopt_solver().solve(model(), solver_options=options, **QUIET)
        assert results.termination_condition is TerminationCondition.iterationLimit
    options = {"max_wall_time": 1e-9}
    results = ipopt_solver().solve(model(), solver_options=options, **QUIET)
    assert results.termination_condition is TerminationCondition.maxTimeLimit


def test_time_limit(found: IpoptExecutable) -> None:
    results = ipopt_solver().solve(model(), time_limit=1e-6, **QUIET)
    assert results.termination_condition is TerminationCondition.maxTimeLimit


def test_integers_are_refused(found: IpoptExecutable) -> None:
    m = model()
    m.x.domain = pyo.Integers
    with pytest.raises(IncompatibleModelError, match="variable 'x' is integer"):
        ipopt_solver().solve(m)


def test_threads(found: IpoptExecutable) -> None:
    m = model()
    ipopt_solver().solve(m, threads=1)
    assert m.x.value == pytest.approx(2.0, rel=1e-6)
    with pytest.raises(InputError, match=f"threads is 0; {found.program} takes"):
        ipopt_solver().solve(m, threads=0)
    if found.program == "ripopt":
        with pytest.raises(InputError, match="threads is 2; ripopt takes None or 1"):
            ipopt_solver().solve(m, threads=2)
    else:
        ipopt_solver().solve(m, threads=2)


def test_infeasible(found: IpoptExecutable) -> None:
    """ripopt does not find out; what it says is not that there is a solution."""
    program = Program("contradiction")
    x = program.variable("x", lower=0)
    program.minimize(x)
    program.subject_to(low=x * x <= 1, high=x >= 2)
    with pytest.raises(SolverError, match="contradiction"):
        solve_program(program, "ipopt")


@pytest.fixture
def uncertainty(factor_covariance) -> CovarianceUncertainty:
    covariance = factor_covariance(12)
    errors = np.random.default_rng(1).uniform(0.03, 0.12, covariance.loadings.shape)
    return CovarianceUncertainty.from_loading_errors(covariance, errors)


@pytest.mark.parametrize("problem", [RiskParityNLP, RiskParityQCLP, RiskParitySOCP])
def test_nominal_problems(found: IpoptExecutable, uncertainty, problem) -> None:
    """(3), (4) and (11): contributions from the data, whatever the executable says."""
    portfolio = problem(uncertainty.nominal).solve("ipopt")
    assert str(found.path) in portfolio.solver
    assert portfolio.cv <= 1e-9
    assert portfolio.certificate.largest_deviation <= 1e-10


@pytest.mark.parametrize("omega", [0.5, 2.0])
def test_the_robust_problem(found: IpoptExecutable, uncertainty, omega: float) -> None:
    """(12)."""
    problem = RobustRiskParity(uncertainty, omega=omega)
    portfolio = problem.solve("ipopt")
    assert str(found.path) in portfolio.solver
    assert max(portfolio.certificate.residuals.values()) <= 1e-7
    best = problem.solve("clarabel")
    assert portfolio.objective == pytest.approx(best.objective, rel=1e-6)
    np.testing.assert_allclose(portfolio.weights, best.weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("problem", ["qclp", "socp", "robust"])
def test_blocks(found: IpoptExecutable, uncertainty, problem: str) -> None:
    """In a model of somebody's own, who wants half of a weight in one asset."""
    stated = {
        "qclp": lambda: RiskParityQCLP(uncertainty.nominal),
        "socp": lambda: RiskParitySOCP(uncertainty.nominal),
        "robust": lambda: RobustRiskParity(uncertainty, omega=1.0),
    }[problem]()
    m = pyo.ConcreteModel()
    m.portfolio = stated.block()
    ipopt_solver().solve(m, solver_options={"tol": 1e-9})
    weights = np.array([v.value for v in m.portfolio.x.values()])
    best = stated.solve("clarabel" if problem != "qclp" else "casadi_ipopt").weights
    np.testing.assert_allclose(weights / weights.sum(), best, rtol=0, atol=1e-5)


LIAR = """#!{python}
import subprocess, sys
done = subprocess.run(["{real}", *sys.argv[1:]])
if "--version" not in sys.argv:
    file = sys.argv[1][:-3] + ".sol"
    lines = open(file).read().split("\\n")
    options = lines.index("Options")
    skipped = options + 2 + int(lines[options + 1])
    rows, _, columns, _ = map(int, lines[skipped : skipped + 4])
    first = skipped + 4 + rows
    for k in range(first, first + columns):
        lines[k] = repr(float(lines[k]) * {factor})
    open(file, "w").write("\\n".join(lines))
raise SystemExit(done.returncode)
"""


@pytest.mark.skipif(os.name == "nt", reason="the liar is a script with a #! line")
def test_a_wrong_answer_that_is_called_optimal_does_not_pass(
    found: IpoptExecutable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bin" / "ipopt"
    path.parent.mkdir()
    path.write_text(LIAR.format(python=sys.executable, real=found.path, factor=1.01))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    program = Program("cone")
    x = program.variable("x", 3, lower=0)
    t = program.variable("t", lower=0)
    program.minimize(t)
    program.subject_to(total=x.sum() == 1, length=norm(x) <= t)
    with pytest.raises(SolverError, match="'total' is violated by"):
        solve_program(program, "ipopt")


def test_the_reason_why_ripopt_has_no_duals(
    found: IpoptExecutable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this fails, ripopt's duals are right, and may be given."""
    if found.program != "ripopt":
        pytest.skip("the duals of the other one are right")
    solver = ExecutableIpopt(executable=str(found.path))
    m = model(pyo.minimize)
    read = solver.solve(m).solution_loader._sol_data
    assert read.duals == pytest.approx([0.5], rel=1e-6)  # AMPL's is −0.5
    assert not read.var_suffixes.get("ipopt_zL_out")


def test_they_are_looked_for_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executable, "WHEELS", {"no-such-package": "ipopt"})
    assert find_ipopt() is None
    shown = IpoptExecutable(Path("/x/pounce"), "0.13.0", "on PATH", "pounce")
    assert str(shown) == "/x/pounce (pounce, on PATH)"
    assert str(replace(shown, program="ipopt")) == "/x/pounce (on PATH)"
