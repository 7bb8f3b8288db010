"""Imports point one way, those inside functions and for typing included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rrp_pyomo"

# From the bottom up: a layer imports from itself and from those before it.
LAYERS = (
    ("_version",),
    ("errors", "_lazy", "_extras", "linalg"),
    ("_files", "_processes", "_progress"),
    ("data",),
    ("forms",),
    ("modeling",),
    ("realise",),
    ("program",),
    ("solvers",),
    ("solve",),
    ("uncertainty",),
    ("transformations",),
    ("portfolio", "plots"),
    ("models",),
    ("backtest", "tables"),
    ("sklearn",),
    ("paper",),
    ("figures",),
    ("course",),
    ("cli",),
    ("testing",),
)
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
# A portfolio draws itself.
KNOWN = {("rrp_pyomo.portfolio", "rrp_pyomo.plots")}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def imports(module: str) -> Iterator[str]:
    """The modules of the package that one names anywhere in it."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            base = node.module or ""
            for alias in node.names:
                names.append(f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Modules that are named to be imported later.
            names = [node.value] if node.value in MODULES else []
        assert package
        yield from (name for name in names if name in MODULES and name != module)


def edges() -> set[tuple[str, str]]:
    """Who imports whom; the package's own front, which offers everything, is left out."""
    return {
        (module, imported)
        for module in MODULES
        if module != "rrp_pyomo"
        for imported in imports(module)
        if imported != "rrp_pyomo"
    }


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_room_has_a_layer():
    assert {room(module) for module in MODULES if module != "rrp_pyomo"} == set(RANK)


def test_no_import_runs_up():
    up = {
        (one, other)
        for one, other in edges()
        if RANK[room(other)] > RANK[room(one)] or (one, other) == ("", "")
    }
    assert up == set()


def test_there_is_no_circle():
    """Packages that offer what their modules have, lazily or not, are not asked by those."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES if module != "rrp_pyomo"}
    for one, other in edges() - KNOWN:
        graph[one].add(other)
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"imports go round: {' -> '.join(error.args[1])}")
