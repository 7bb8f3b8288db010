"""Names of a package that are imported when they are first used, and names that have moved."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

#: By module, the names that it had before and where each of them is now; the package's front knows.
MOVED: dict[str, dict[str, str]] = {}


def moved(module: str) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for the names that are elsewhere now, with a warning."""

    def get(name: str) -> Any:
        home = MOVED.get(module, {}).get(name)
        if home is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is {home}.{name} now", DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), name)

    return get


def exports(
    package: str, homes: Mapping[str, Iterable[str]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """A package's ``__all__``, ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping of str to iterable of str
        The names that each of its modules gives; the modules themselves are attributes, too.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name in home:
            value = getattr(import_module(f"{package}.{home[name]}"), name)
        elif name in homes:
            value = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home, *homes})

    return sorted(home), get, names
