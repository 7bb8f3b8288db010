"""Every message names what was given, what was expected and what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import rrp_pyomo
from rrp_pyomo import errors
from rrp_pyomo.errors import RiskParityError, UnknownLabelError
from rrp_pyomo.solvers.reading import errors as reading_errors

PACKAGE = Path(rrp_pyomo.__file__).parent

KINDS = {
    name
    for module in (errors, reading_errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, RiskParityError)
} - {"UnknownLabelError"}  # which has a message of its own

#: What was expected, or what to do about it.
REMEDY = re.compile(
    r"""\b(
    expected | must | needs? | at\ least | only\ 2 | takes? | goes\ with | there\ is | is\ stated
    | ask | assign | bind | build | check | choose | compare | convert | correct | deactivate
    | declare | divide | drop | fill | fix | give | go\ on | install | keep | leave | let | look
    | make | multiply | name | normalise | pass | pick | pip | raise | reduce | reformulate
    | reindex | relax | rename | resume | run | select | solve | square\ a | start | state
    | tighten | try | use | wait | write
    )\b""",
    re.VERBOSE,
)

#: Parts of messages that other functions are given to say what was expected.
PASSED_ON = re.compile(r"\{(remedy|error|expected)\b")

#: What stands for something that was given where a message has nothing to fill in.
NAMES_SOMETHING = re.compile(r"[{'`(]|--|is not installed")


class Message(NamedTuple):
    """Where an error is raised, and what it says in source form."""

    place: str
    text: str


def messages() -> list[Message]:
    """Every message of the package's own errors, with what its file says elsewhere filled in."""
    return [m for file in sorted(PACKAGE.rglob("*.py")) for m in _messages_of(file)]


def _messages_of(file: Path) -> Iterator[Message]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    texts = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant)
    }
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _named(node) in KINDS:
            text = "".join(_parts(node.args[0], texts, functions))
            yield Message(f"{file.relative_to(PACKAGE)}:{node.lineno}", text)


def _named(node: ast.expr) -> str:
    """The name of a variable, or of the function of a call, without its module."""
    function = node.func if isinstance(node, ast.Call) else node
    return str(getattr(function, "id", getattr(function, "attr", "")))


def _parts(node: ast.expr, texts: Any, functions: Any) -> Iterator[str]:
    """The literal parts of a message, and in braces what is filled in."""
    if isinstance(node, ast.FormattedValue):
        inner = node.value
        known = isinstance(inner, ast.Name | ast.Call) and _named(inner) in {**texts, **functions}
        parts = _parts(inner, texts, functions) if known else iter([f"{{{ast.unparse(inner)}}}"])
        yield from parts
        return
    match node:
        case ast.Constant():
            yield str(node.value)
        case ast.JoinedStr():
            for value in node.values:
                yield from _parts(value, texts, functions)
        case ast.Name(id=name) if name in texts:
            yield str(texts[name].value)
        case ast.Call() if _named(node) in functions:
            yield f"{{{ast.unparse(node)}}}"
            for said in ast.walk(functions[_named(node)]):
                if isinstance(said, ast.Return) and said.value is not None:
                    yield from _parts(said.value, texts, {})
        case ast.BinOp():
            yield from _parts(node.left, texts, functions)
            yield from _parts(node.right, texts, functions)
        case ast.IfExp():
            yield from _parts(node.body, texts, functions)
            yield from _parts(node.orelse, texts, functions)
        case _:
            yield f"{{{ast.unparse(node)}}}"


def test_the_walk_finds_the_messages() -> None:
    found = messages()
    assert len(found) > 200
    assert len({m.place.split(":")[0] for m in found}) > 40


def test_every_message_says_what_was_expected_or_what_to_do() -> None:
    silent = [m for m in messages() if not REMEDY.search(m.text) and not PASSED_ON.search(m.text)]
    assert silent == []


def test_every_message_names_what_was_given() -> None:
    assert [m for m in messages() if not NAMES_SOMETHING.search(m.text)] == []


def test_suggestions_are_part_of_what_is_unknown() -> None:
    assert "did you mean 'clarabel'?" in str(UnknownLabelError("solver", "clarable", ["clarabel"]))
    assert "known: a, b" in str(UnknownLabelError("solver", "xyz", ["a", "b"]))
