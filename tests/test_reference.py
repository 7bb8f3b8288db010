"""Every public name is in the reference, says what it is, and shows an example that runs."""

from __future__ import annotations

import doctest
import inspect
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import reference

PAGES = Path(__file__).parents[1] / "docs" / "reference"
ON_PAGES = {
    module: page.name
    for page in PAGES.glob("*.md")
    for module in reference.MODULES
    if f"```{{public}} {module}\n" in page.read_text(encoding="utf-8")
}
MODULES = [name for name in reference.MODULES if reference.find_spec(name)]
NAMES = {path: value for module in MODULES for path, value in reference.documented(module).items()}
CODE = {path: value for path, value in NAMES.items() if reference.kind(value) != "data"}


def test_every_module_has_a_page():
    assert set(MODULES) <= set(ON_PAGES)


def test_every_public_package_is_in_the_reference():
    """A package with an ``__all__`` that is not here is for those who work on it."""
    within = {"rrp_pyomo.forms", "rrp_pyomo.modeling.terms", "rrp_pyomo.cli"}
    package = Path(import_module("rrp_pyomo").__file__).parent
    packages = {
        f"rrp_pyomo.{path.parent.relative_to(package).as_posix().replace('/', '.')}"
        for path in package.rglob("*/__init__.py")
        if "\n__all__" in path.read_text(encoding="utf-8")
    }
    assert packages - set(MODULES) == within


@pytest.mark.parametrize("module", MODULES)
def test_a_page_has_every_name_of_its_module(module):
    here = {path.rpartition(".")[2] for path in reference.documented(module)}
    elsewhere = {
        name
        for (name, _), (_, page) in reference.homes().items()
        if page in MODULES and page != module
    }
    assert set(reference.public_names(module)) <= here | elsewhere


@pytest.mark.parametrize("path", CODE)
def test_a_name_says_what_it_is_and_shows_it(path):
    doc = inspect.cleandoc(CODE[path].__doc__ or "")
    summary = doc.partition("\n\n")[0].strip()
    assert summary
    assert ">>> " in doc.partition("\nExamples\n--------\n")[2]


@pytest.mark.parametrize("path", sorted(NAMES.keys() - CODE.keys()))
def test_a_constant_says_what_it_is(path):
    pytest.importorskip("sphinx")
    assert reference.comment(path)


@pytest.mark.parametrize("path", CODE)
def test_examples_run_as_they_are_pasted(path, tmp_path, monkeypatch):
    """Without the names of the module, or those of other examples; without a warning."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    value = CODE[path]
    said: list[str] = []
    assert "+SKIP" not in value.__doc__
    for test in doctest.DocTestFinder(recurse=False).find(value, path, globs={}):
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            runner.run(test, out=said.append)
    assert not said, "".join(said)


def test_every_exception_has_its_remedies_on_the_page_of_messages():
    page = (PAGES.parent / "errors.md").read_text(encoding="utf-8")
    shown = {name for name in import_module("rrp_pyomo.errors").__all__ if f"\n{name}: " in page}
    assert shown == set(import_module("rrp_pyomo.errors").__all__) - {"RiskParityError"}


def test_a_new_name_appears_by_itself(monkeypatch):
    errors: Any = import_module("rrp_pyomo.errors")
    new = type("NewError", (Exception,), {"__doc__": "New.", "__module__": errors.__name__})
    monkeypatch.setattr(errors, "NewError", new, raising=False)
    monkeypatch.setattr(errors, "__all__", [*errors.__all__, "NewError"])
    assert ".. autoexception:: rrp_pyomo.errors.NewError" in reference.reference(errors.__name__)
