"""Pyomo's own solver tests, as installed with Pyomo, on solvers of ours."""

from __future__ import annotations

import ast
import importlib.util
import re
import types
import unittest
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyomo.environ as pyo

Solvers = Sequence[tuple[str, type]]

_MODULE = "pyomo.contrib.solver.tests.solvers.test_solvers"


def pyomo_suite(
    lists: Mapping[str, Solvers], excluded: Mapping[str, str], ipopt: type | None = None
) -> types.ModuleType:
    """Pyomo's test module with its solver lists replaced.

    Parameters
    ----------
    lists : mapping
        The solvers of each of Pyomo's lists, such as ``{"qp_solvers": [("clarabel", Clarabel)]}``.
        Lists that are not named are empty, and so the tests that need them are left out.
    excluded : mapping
        Reasons by the names of tests that do not apply; these are reported as skipped.
    ipopt : type, optional
        The class for which the tests make the allowances that they make for Ipopt.
    """
    spec = importlib.util.find_spec(_MODULE)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    stated = {name for node in tree.body for name in _solver_list(node)}
    assert stated >= set(lists), f"Pyomo has no solver list {set(lists) - stated}"
    tree.body = [node for node in tree.body if not _solver_list(node)]
    empty = stated - {name for name, solvers in lists.items() if solvers}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            node.body = [test for test in node.body if not _expanded_over(test) & empty]

    suite = types.ModuleType(_MODULE)
    suite.__dict__.update({name: list(lists.get(name, ())) for name in stated})
    exec(compile(tree, spec.origin, "exec"), suite.__dict__)
    if ipopt is not None:
        suite.__dict__["Ipopt"] = ipopt
    _exclude(suite, excluded)
    _register_legacy_names(lists)
    return suite


def _solver_list(node: ast.stmt) -> list[str]:
    """The name of the solver list that a statement defines, if it does."""
    if not isinstance(node, ast.Assign):
        return []
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in names if name.endswith("_solvers")]


def _expanded_over(test: ast.stmt) -> set[str]:
    """Names in a test's decorators, among them that of the list over which it is expanded."""
    decorators = test.decorator_list if isinstance(test, ast.FunctionDef) else []
    nodes = (node for decorator in decorators for node in ast.walk(decorator))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _exclude(suite: types.ModuleType, excluded: Mapping[str, str]) -> None:
    classes = [c for c in vars(suite).values() if isinstance(c, type)]
    cases = [c for c in classes if issubclass(c, unittest.TestCase)]
    for name, reason in excluded.items():
        expanded = re.compile(rf"{name}(_\d+_.*)?")
        mine = [(c, t) for c in cases for t in vars(c) if expanded.fullmatch(t)]
        assert mine, f"Pyomo has no test {name}"
        for case, test in mine:
            setattr(case, test, unittest.skip(reason)(vars(case)[test]))


def _register_legacy_names(lists: Mapping[str, Solvers]) -> None:
    """The tests look solvers up in the legacy factory as ``<name>_v2``, as Pyomo names its own."""
    for name, _ in {solver for solvers in lists.values() for solver in solvers}:
        legacy = pyo.SolverFactory.get_class(name)
        pyo.SolverFactory.register(f"{name}_v2")(legacy)
