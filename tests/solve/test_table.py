"""The table of solvers says what is so: every entry is tried, those it leaves empty too."""

from __future__ import annotations

import io
import logging
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.contrib.solver.common.util import IncompatibleModelError
from rich.console import Console

from rrp_pyomo.cli.tables import solver_tables
from rrp_pyomo.errors import InputError, ModelError, SolverUnavailableError, UnknownLabelError
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.table import (
    SOLVERS,
    Solver,
    Takes,
    capability_table,
    embedded_ipopt,
    find_solver,
)
from rrp_pyomo.solvers.conic.clarabel import TERMINATION as CLARABEL_TERMINATION
from rrp_pyomo.solvers.conic.results import CONDITION
from rrp_pyomo.solvers.ipopt import embedded, executable, find_ipopt

PAGE = Path(__file__).parents[2] / "docs" / "solvers.md"
WITH_INTERFACE = [name for name, solver in SOLVERS.items() if solver.pyomo_name]
KINDS = ("kernel", "environ")


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Pyomo logs what it refuses."""
    caplog.set_level(logging.CRITICAL, "pyomo")


def value_by(interface, model) -> float:
    """The optimal value."""
    interface.solve(model)
    return pyo.value(model.cost)


DEGREE = "does not support expressions of degree"
#: What an interface says of a model that it does not take, in its own words.
REFUSALS: dict[tuple[str, str], tuple[type[Exception], str]] = {
    **{
        (name, kind): (ModelError, r"variable 'x' is integer|not convex|has the nonlinear term")
        for name in ("clarabel", "scs", "casadi_ipopt", "outer_approximation")
        for kind in KINDS
    },
    **{
        (name, kind): (ValueError, DEGREE)  # each has a DegreeError of its own
        for name in ("gurobi", "mosek", "xpress")
        for kind in KINDS
    },
    ("highs", "environ"): (IncompatibleModelError, DEGREE),
    # Pyomo's newer interfaces do not know kernel models, and find out by what happens.
    ("highs", "kernel"): (AttributeError, "property 'domain' of 'variable' object has no getter"),
    ("scip", "kernel"): (NotImplementedError, "unrecognized expression type: .*kernel.variable"),
}
NO_DUALS = {"scip": (NotImplementedError, "failed to implement required method 'get_duals'")}
TOO_LARGE = {
    "gurobi": "Model too large for size-limited license",
    "xpress": "(?i)license|licence",
}


CLAIMS = [
    pytest.param(name, kind, problems, id=f"{name}-{kind}-{problems}")
    for name in WITH_INTERFACE
    for kind in KINDS
    for problems in Takes
    if kind in SOLVERS[name].kinds(problems)
]
# Of ipopt executables it is known that they take an integer variable for a continuous one.
OTHERS = [
    pytest.param(name, kind, problems, id=f"{name}-{kind}-{problems}")
    for name in WITH_INTERFACE
    for kind in KINDS
    for problems in Takes
    if kind not in SOLVERS[name].kinds(problems) and name != "ipopt"
    if problems is not Takes.SEMIDEFINITE  # which Pyomo cannot state
]


@pytest.mark.parametrize(("name", "kind", "problems"), CLAIMS)
def test_solvers_take_what_the_table_says(name, kind, problems, interface, smallest):
    model, best = smallest(problems, kind)
    accuracy = SOLVERS[name].accuracy
    assert value_by(interface(name), model) == pytest.approx(best, rel=accuracy)


@pytest.mark.parametrize(("name", "kind", "problems"), OTHERS)
def test_solvers_refuse_what_the_table_does_not_say(name, kind, problems, interface, smallest):
    model, _ = smallest(problems, kind)
    error, said = REFUSALS[name, kind]
    with pytest.raises(error, match=said):
        value_by(interface(name), model)


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in WITH_INTERFACE for kind in SOLVERS[name].reads]
)
def test_duals(name, kind, interface, smallest):
    """dual(c) is the change of the optimum with the right-hand side, in Pyomo's sign."""
    solver = SOLVERS[name]
    for problems, changes in (
        (Takes.LINEAR, {"c": 1.0, "d": 1.0}),
        (Takes.SECOND_ORDER, {"c": 0.5**0.5}),
    ):
        if kind not in solver.kinds(problems):
            continue
        model, _ = smallest(problems, kind)
        suffix = pmo.suffix if kind == "kernel" else pyo.Suffix
        model.dual = suffix(direction=suffix.IMPORT)
        if not solver.duals:
            error, said = NO_DUALS[name]
            with pytest.raises(error, match=said):
                value_by(interface(name), model)
            continue
        interface(name).solve(model)
        for row, change in changes.items():
            dual = model.dual[getattr(model, row)]
            assert dual == pytest.approx(change, abs=solver.accuracy)


def of_size(variables: int, power: int) -> pyo.ConcreteModel:
    """The smallest Σ x_i or Σ x_i² on Σ x_i = 1: one constraint."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(variables), bounds=(0, 1))
    m.all = pyo.Constraint(expr=sum(m.x.values()) == 1)
    m.cost = pyo.Objective(expr=sum(x**power for x in m.x.values()))
    return m


@pytest.mark.parametrize(
    ("name", "power", "most", "stated"),
    [
        ("gurobi", 1, 2000, "2,000 variables"),
        ("gurobi", 2, 200, "200 variables where anything is quadratic"),
        ("xpress", 1, 4999, "5,000 rows and columns"),
        ("xpress", 2, 199, "200 where anything is quadratic"),
    ],
)
def test_size_limits(name, power, most, stated, interface):
    assert stated in SOLVERS[name].licence
    best = most ** (1 - power)
    found = value_by(interface(name), of_size(most, power))
    assert found == pytest.approx(best, abs=SOLVERS[name].accuracy)
    said = ""
    try:
        value_by(interface(name), of_size(most + 1, power))
    except Exception as error:  # of a class of the solver's own package
        said = str(error)
    if not said:
        pytest.skip(f"{name} has a licence here")
    assert re.search(TOO_LARGE[name], said)


def test_versions_are_those_of_packages():
    for name, package in (("clarabel", "clarabel"), ("highs", "highspy"), ("scs", "scs")):
        found = SOLVERS[name].locate()
        if found is not None:
            assert (found.version, found.embedded) == (version(package), False)
            assert found.where == f"Python package {package}"
            assert Path(found.path).name == package
            assert Path(found.path).is_dir()


def test_the_version_of_the_embedded_ipopt_is_the_one_that_it_prints(capfd):
    """CasADi has another version than the Ipopt in it, whose log says its own."""
    found = SOLVERS["casadi_ipopt"].require()
    assert found.where == f"embedded in the Python package casadi {version('casadi')}"
    program = Program()
    x = program.variable("x", lower=1)
    program.minimize(x * x)
    solve_program(program, "casadi_ipopt", tee=True)
    assert f"This is Ipopt version {found.version}," in capfd.readouterr().out


@pytest.fixture
def _no_executable(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("IDAES_DATA", raising=False)
    monkeypatch.setattr(executable, "WHEELS", {})


def shown_on_terminal(width: int = 400) -> str:
    console = Console(width=width, file=io.StringIO())
    for table in solver_tables():
        console.print(table)
    return console.file.getvalue()


@pytest.mark.usefixtures("_no_executable")
def test_ipopt_is_the_embedded_one_where_there_is_no_other():
    if find_ipopt() is not None:
        pytest.skip("Pyomo has an ipopt executable in its own folder")
    assert SOLVERS["ipopt"].require() == embedded_ipopt()
    assert f"no executable is here: {SOLVERS['ipopt'].install}" in shown_on_terminal()
    assert 'pip install casadi or "rrp-pyomo[ipopt]", or put' in SOLVERS["ipopt"].install


def test_the_terminal_shows_where_things_are():
    shown, found = shown_on_terminal(), find_ipopt()
    if found is not None:
        assert str(found.path) in shown
        assert found.found_in in shown
    for solver in SOLVERS.values():
        place = solver.locate()
        assert (solver.install if place is None else place.path or place.where) in shown


def test_names():
    assert find_solver("clarabel") is SOLVERS["clarabel"]
    with pytest.raises(UnknownLabelError, match="unknown solver 'clarable'; did you mean"):
        find_solver("clarable")


@pytest.mark.parametrize("name", [["clarabel"], {}, np.array(["clarabel"]), 1, b"clarabel"])
def test_what_is_no_name_of_a_solver(name):
    with pytest.raises(InputError, match=r"solver is an? .*; expected a str, .* 'clarabel'"):
        find_solver(name)


def test_a_missing_solver_says_how_to_get_it():
    fields = {"accuracy": 1e-6, "duals": False, "licence": "", "locate": lambda: None}
    missing = Solver("abacus", frozenset(), frozenset(), install="buy one", **fields)
    with pytest.raises(SolverUnavailableError, match=r"'abacus' is not installed.*: buy one"):
        missing.require()


def test_long_paths_are_shown_whole_where_there_is_little_room():
    assert "…" not in shown_on_terminal(80)


def test_the_terminal_shows_how_to_get_what_is_missing(monkeypatch):
    """With the name of the extra, which looks like markup."""
    monkeypatch.setitem(SOLVERS, "mosek", replace(SOLVERS["mosek"], locate=lambda: None))
    shown = shown_on_terminal()
    assert 'not here: pip install "rrp-pyomo[mosek]", and a licence' in shown
    assert "second-order (kernel)" in shown


def test_the_page_has_this_table():
    """Where this fails, replace the table in docs/solvers.md by what capability_table() says."""
    assert capability_table() in PAGE.read_text()


def stated_on_the_page(solver: str) -> dict[str, str]:
    """Termination conditions by the solver's words."""
    table = PAGE.read_text().partition(f"| {solver} | termination condition |")[2]
    rows = [row.split("|")[1:3] for row in table.partition("\n\n")[0].splitlines()[2:]]
    return {
        word: condition.strip().strip("`")
        for words, condition in rows
        for word in re.findall(r"`(\w+)`", words)
    }


def test_the_page_has_the_statuses_of_clarabel():
    conditions = {word: CONDITION[ended].name for word, ended in CLARABEL_TERMINATION.items()}
    assert stated_on_the_page("Clarabel") == conditions


def test_the_page_has_the_statuses_of_ipopt():
    stated = stated_on_the_page("Ipopt")
    conditions = {word: ended.name for word, (ended, _) in embedded.STATUS.items()}
    assert stated.items() <= conditions.items()
    # The last row stands for all that are not named.
    assert {conditions[word] for word in conditions.keys() - stated.keys()} == {"error"}


@pytest.mark.parametrize("name", ["gurobi", "scip", "xpress", "mosek"])
def test_names_of_pyomos_interfaces_are_told_ours(name: str) -> None:
    with pytest.raises(UnknownLabelError, match=f"solver '{name}_direct'; did you mean '{name}'"):
        find_solver(f"{name}_direct")
