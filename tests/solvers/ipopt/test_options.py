"""Options of the embedded Ipopt: whatever they are given, an error that names it, or an answer."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import casadi
import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrp_pyomo import DenseCovariance, RiskParitySOCP
from rrp_pyomo.errors import InputError
from rrp_pyomo.solvers.ipopt.options import check_options, option_types

NO_NUMBER = [None, True, "x", b"1", [1.0], {}, 1j, math.nan, np.bool_(True), object]
NO_INTEGER = [*NO_NUMBER, 0.5, np.float64(2.0), 10**30, -(10**30), math.inf]
NO_WORD = [None, True, 1, 0.5, b"yes", ["yes"], "a\0b"]
#: Libraries that Ipopt loads when it runs, and whose functions they have.
LOADED = ["ma27", "ma57", "ma77", "ma86", "ma97", "pardiso"]


def solve(**options: object) -> None:
    RiskParitySOCP(DenseCovariance(np.diag([0.04, 0.09]))).solve("casadi_ipopt", **options)


def refuses(name: str, value: object, said: str = "") -> None:
    with pytest.raises(InputError, match=rf"Ipopt option '{name}' is .*{said}") as caught:
        check_options({name: value})
    assert repr(value)[:50] in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_option_of_ipopt_is_known() -> None:
    """Those that the headers of CasADi's wheel document by name are among them."""
    assert len(option_types()) > 250
    assert {"tol", "max_iter", "linear_solver", "hsllib", "mumps_scaling"} <= set(option_types())


@pytest.mark.parametrize("kind", [int, float, str])
def test_values_of_another_type_are_named(kind: type) -> None:
    others = {int: NO_INTEGER, float: NO_NUMBER, str: NO_WORD}[kind]
    names = [name for name, option in option_types().items() if option.kind is kind]
    assert len(names) > 20
    for name in names:
        for value in others:
            refuses(name, value)


@given(st.sampled_from(sorted(option_types())), st.floats(allow_nan=False), st.integers())
def test_numbers_are_taken_or_refused_as_ipopt_does(name: str, real: float, whole: int) -> None:
    """Ipopt's own check of the same value, where there is no infinity and no overflow."""
    option = option_types()[name]
    if option.kind is str:
        return
    value = option.kind(real if option.kind is float else max(min(whole, 2**31 - 1), 1 - 2**31))
    if math.isinf(value):
        return
    x = casadi.MX.sym("x")
    try:
        settings = {"ipopt": {name: value, "print_level": 0}} if name != "print_level" else {}
        casadi.nlpsol("s", "ipopt", {"x": x, "f": x**2}, settings)
    except RuntimeError:
        refuses(name, value, re.escape(option.interval))
    else:
        if name != "print_level":
            assert check_options({name: value}) == {name: value}


def test_words_are_taken_or_refused() -> None:
    for name, option in option_types().items():
        if option.choices:
            refuses(name, "/no such word", "expected one of")
            assert option.read(option.choices[0].upper()) == option.choices[0].upper()


@pytest.mark.parametrize("name", LOADED)
@pytest.mark.parametrize("library", [None, "/no/such/library.so", casadi.__path__[0]])
def test_linear_solvers_that_are_not_here_are_refused(name: str, library: str | None) -> None:
    """Ipopt ends the process where it cannot load some of them."""
    option = "pardisolib" if name == "pardiso" else "hsllib"
    given = {"linear_solver": name, **({} if library is None else {option: library})}
    with pytest.raises(InputError, match=r"Ipopt option '\w+' is '.*has to load a library for it"):
        solve(**given)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(initialize=1.0)
    model.cost = pyo.Objective(expr=model.x**2)
    with pytest.raises(InputError, match="has to load a library for it"):
        pyo.SolverFactory("casadi_ipopt").solve(model, options=given)


@pytest.mark.parametrize("name", LOADED)
def test_libraries_without_the_function_are_refused(name: str) -> None:
    option = "pardisolib" if name == "pardiso" else "hsllib"
    library = casadi._casadi.__file__
    with pytest.raises(InputError, match=f"'linear_solver' is '{name}'; it is not in the library"):
        check_options({"linear_solver": name, option: library})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("linear_system_scaling", "mc19"),
        ("linear_system_scaling", "MC19"),
        ("nlp_scaling_method", "equilibration-based"),
        ("linear_solver", "custom"),
        ("replace_bounds", "yes"),
        ("skip_finalize_solution_call", "yes"),
        ("warm_start_same_structure", "yes"),
        ("hsllib", "/no/such/library.so"),
        ("pardisolib", "/no/such/library.so"),
    ],
)
def test_what_this_ipopt_cannot_do_is_refused(name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"Ipopt option '{name}' is '{value}'"):
        solve(**{name: value})


@pytest.mark.parametrize("linear_solver", ["mumps", "MUMPS", "spral"])
def test_linear_solvers_that_are_here_are_taken(linear_solver: str) -> None:
    if linear_solver.lower() in option_types()["linear_solver"].choices:
        solve(linear_solver=linear_solver)


@pytest.mark.parametrize("file", ["missing/log", ".", "pipe", "x" * 300])
def test_files_that_cannot_be_written_are_refused(folder: Path, file: str) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match=r"'output_file' is .*cannot be written: \w"):
        solve(output_file=file)


@pytest.mark.parametrize(
    "text", ["max_iter", "no_option 1", "tol -1", "linear_solver ma97", "\xff"]
)
@pytest.mark.parametrize("named", [None, "own.opt"])
def test_options_files_are_checked(folder: Path, named: str | None, text: str) -> None:
    (folder / (named or "ipopt.opt")).write_text(text, encoding="latin-1")
    options = {} if named is None else {"option_file_name": named}
    with pytest.raises(InputError, match=r"Ipopt option '(option_file_name|linear_solver)' is"):
        solve(**options)


@pytest.mark.parametrize("file", [".", "missing", "pipe"])
def test_options_files_that_are_none_are_refused(folder: Path, file: str) -> None:
    """Ipopt reads a folder for ever."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match=r"'option_file_name' is .*no such file"):
        solve(option_file_name=file)


def test_options_files_are_read(folder: Path) -> None:
    (folder / "ipopt.opt").write_text("# few\nmax_iter 1 # iterations\ntol 1d-9\n")
    problem = RiskParitySOCP(DenseCovariance(np.diag([0.04, 0.09, 0.25])))
    with pytest.raises(Exception, match="Maximum_Iterations_Exceeded"):
        problem.solve("casadi_ipopt")
    problem.solve("casadi_ipopt", option_file_name="")
    problem.solve("casadi_ipopt", max_iter=100)
