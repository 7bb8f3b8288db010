"""The reference: a page with ``{public} rrp_pyomo.data`` documents all names in its ``__all__``."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

#: Where names are public, from the front inwards. A name is documented on the page of the last of
#: these that has it, as what the first of them makes it: the shortest that one can import.
MODULES = (
    "rrp_pyomo",
    "rrp_pyomo.data",
    "rrp_pyomo.data.datasets",
    "rrp_pyomo.modeling",
    "rrp_pyomo.modeling.cones",
    "rrp_pyomo.models",
    "rrp_pyomo.uncertainty",
    "rrp_pyomo.backtest",
    "rrp_pyomo.backtest.engine",
    "rrp_pyomo.backtest.plots",
    "rrp_pyomo.sklearn",
    "rrp_pyomo.plots",
    "rrp_pyomo.figures",
    "rrp_pyomo.course",
    "rrp_pyomo.tables",
    "rrp_pyomo.solvers.conic",
    "rrp_pyomo.solvers.ipopt",
    "rrp_pyomo.solvers.outer_approximation",
    "rrp_pyomo.transformations",
    "rrp_pyomo.paper.experiments",
    "rrp_pyomo.paper.reproduce",
    "rrp_pyomo.paper.table1",
    "rrp_pyomo.errors",
    "rrp_pyomo.models.registry",
    "rrp_pyomo.solve.table",
    "rrp_pyomo.forms.problem_classes",
    "rrp_pyomo.testing",
)


def public_names(module: str) -> dict[str, Any]:
    """What a module makes public, but modules, which have pages of their own."""
    loaded = import_module(module)
    values = {name: getattr(loaded, name) for name in loaded.__all__}
    return {name: value for name, value in values.items() if not isinstance(value, ModuleType)}


def homes() -> dict[tuple[str, int], tuple[str, str]]:
    """Of each name, the module that it is imported from and the one on whose page it is.

    By name and ``id``: an estimator has the name of the problem that it solves.
    """
    found: dict[tuple[str, int], tuple[str, str]] = {}
    for module in filter(find_spec, MODULES):
        for name, value in public_names(module).items():
            key = name, id(value)
            found[key] = (found[key][0] if key in found else module, module)
    return found


def documented(module: str) -> dict[str, Any]:
    """The names on a module's page, by the name that imports them."""
    names = public_names(module)
    pages = homes()
    at = {name: pages[name, id(value)] for name, value in names.items()}
    return {
        f"{at[name][0]}.{name}": names[name]
        for name in sorted(names, key=str.lower)
        if at[name][1] == module
    }


def shared_bases(module: str) -> dict[str, type]:
    """Classes of the package that others of this page, but of none before, inherit from."""
    known, bases = {name for name, _ in homes()}, dict[str, type]()
    for page in filter(find_spec, MODULES[: MODULES.index(module) + 1]):
        new = {
            f"{base.__module__}.{base.__name__}": base
            for value in documented(page).values()
            for base in (value.__mro__[1:] if isinstance(value, type) else ())
            if base.__name__ not in known and _is_ours(base)
        }
        if page == module:
            return {path: base for path, base in new.items() if path not in bases}
        bases |= new
    return {}


def _is_ours(base: type) -> bool:
    named = base.__module__.startswith("rrp_pyomo.") and not base.__name__.startswith("_")
    return named and any(map(_is_method, vars(base).items()))


def _is_method(item: tuple[str, Any]) -> bool:
    return not item[0].startswith("_") and bool(inspect.getdoc(item[1]))


def reference(module: str) -> str:
    """A module's page, in reStructuredText."""
    names = documented(module)
    text = _summary(names) + "".join(_entry(path, value) for path, value in names.items())
    if bases := shared_bases(module):
        text += "\n.. rubric:: What they share\n"
        text += "".join(_entry(path, value) for path, value in bases.items())
    return text


def _summary(names: dict[str, Any]) -> str:
    listed = "".join(f"   ~{path}\n" for path, value in names.items() if kind(value) != "data")
    return f".. autosummary::\n   :nosignatures:\n\n{listed}" if listed else ""


def kind(value: Any) -> str:
    if isinstance(value, type):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if callable(value) and hasattr(value, "__code__") else "data"


def _entry(path: str, value: Any) -> str:
    sort = kind(value)
    if sort == "data":
        text = "\n".join(f"   {_escaped(line)}" for line in comment(path))
        return f"\n.. py:data:: {path}\n\n{text}\n"
    options = "   :members:\n" if sort == "class" else ""
    if any(base.__module__.startswith("rrp_pyomo.") for base in getattr(value, "__bases__", ())):
        options += "   :show-inheritance:\n"
    return f"\n.. auto{sort}:: {path}\n{options}"


def comment(path: str) -> list[str]:
    """What is said of a constant, ``#:`` above it, by the module of the package that makes it."""
    from sphinx.pycode import ModuleAnalyzer

    name = path.rpartition(".")[2]
    for module in [module for module in sys.modules if module.startswith("rrp_pyomo.")]:
        if name in vars(sys.modules[module]):
            found = ModuleAnalyzer.for_module(module).find_attr_docs()
            if ("", name) in found:
                return [line for line in found["", name] if line]
    return []


def _as_text(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are written to be read as they are: their formulas are indented, |x| is a size."""
    found: list[str] = []
    in_code, in_section = False, False
    for number, line in enumerate(lines):
        is_new = not number or not lines[number - 1].strip()
        if number + 1 < len(lines) and lines[number + 1][:3] == "---":
            in_section, in_code = True, False
        elif not in_section and is_new and not in_code and line.startswith("    "):
            found += ["::", ""]
            in_code = True
        elif not in_section and line.strip() and not line.startswith("    "):
            in_code = False
        if in_section and (line.startswith(">>>") or not line.strip()):
            in_code = bool(line.strip())
        found.append(line if in_code else _escaped(line))
    lines[:] = found


def _escaped(line: str) -> str:
    plain = line.split("``")
    plain[::2] = [text.replace("|", "\\|") for text in plain[::2]]
    return "``".join(plain)


def _skip(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what named tuples say of their fields, and the methods scikit-learn adds."""
    is_theirs = (getattr(value, "__module__", None) or "").startswith("sklearn.")
    return is_theirs or (inspect.getdoc(value) or "").startswith("Alias for field number") or None


def _resolve(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Where ``:class:`Box``` of a docstring leads, whatever it is documented as."""
    domain, target = node.get("refdomain"), node.get("reftarget", "")
    if domain != "py":
        return None
    parts = target.split(".")
    objects = env.domains["py"].objects
    for length in (1, 2):
        tail = ".".join(parts[-length:])
        ends = [name for name in objects if name.endswith(f".{tail}")]
        if len(ends) > 1 and all(objects[name].objtype == "class" for name in ends):
            # A problem or its estimator: the one on the same page, else that of the front.
            here = [name for name in ends if objects[name].docname == node.get("refdoc")]
            ends = here or [min(ends, key=lambda name: name.count("."))]
        if len(ends) == 1:
            entry = objects[ends[0]]
            return _link(app, node, content, entry, ends[0])
    return None


def _link(app: Any, node: Any, content: Any, entry: Any, title: str) -> Any:
    from sphinx.util.nodes import make_refnode

    builder, document = app.builder, node.get("refdoc")
    return make_refnode(builder, document, entry.docname, entry.node_id, content, title)


def setup(app: Any) -> dict[str, bool]:
    from docutils.statemachine import StringList
    from sphinx.util.docutils import SphinxDirective

    class Public(SphinxDirective):
        """Everything that a module makes public."""

        required_arguments = 1

        def run(self) -> list[Any]:
            from docutils import nodes

            source = ["````{eval-rst}", *reference(self.arguments[0]).splitlines(), "````"]
            node = nodes.Element()
            self.state.nested_parse(StringList(source, self.env.docname), 0, node)
            return list(node.children)

    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("public", Public)
    app.connect("autodoc-process-docstring", _as_text, priority=100)  # before numpydoc
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
