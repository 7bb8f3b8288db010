"""The options of the embedded Ipopt: what it says of them itself, and what it needs for them."""

from __future__ import annotations

import ctypes
import functools
import io
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rrp_pyomo.errors import SolverError
from rrp_pyomo.solvers.ipopt.deferred import casadi
from rrp_pyomo.solvers.options import Option, checked, refused, require_writable
from rrp_pyomo.solvers.process import printing_to

#: Where Ipopt looks for options besides those that it is given.
OPTIONS_FILE = "ipopt.opt"

# What Ipopt loads as it goes. Where that fails, it ends with a status that names nothing, or the
# process ends. Each with the option that names the library, and a function that is in it.
_LOADED = {
    ("linear_solver", "ma27"): ("hsllib", "ma27ad"),
    ("linear_solver", "ma57"): ("hsllib", "ma57ad"),
    ("linear_solver", "ma77"): ("hsllib", "ma77_default_control_d"),
    ("linear_solver", "ma86"): ("hsllib", "ma86_default_control_d"),
    ("linear_solver", "ma97"): ("hsllib", "ma97_default_control_d"),
    ("linear_solver", "pardiso"): ("pardisolib", "pardisoinit"),
    ("linear_system_scaling", "mc19"): ("hsllib", "mc19ad"),
    ("nlp_scaling_method", "equilibration-based"): ("hsllib", "mc19ad"),
}
# What this way to Ipopt does not have, and what to do instead.
_OUT_OF_REACH = {
    "linear_solver": ("custom", "only a program in C++ can give one to Ipopt; use 'mumps'"),
    "replace_bounds": ("yes", "CasADi cannot follow the iterations then; leave it out"),
    "skip_finalize_solution_call": ("yes", "the solution would not come back; leave it out"),
    "warm_start_same_structure": ("yes", "every solve is the first of its Ipopt; leave it out"),
}
_MAY_BE_INFINITE = ("max_wall_time", "max_cpu_time", "nlp_lower_bound_inf", "nlp_upper_bound_inf")
_LARGEST_INTEGER = 2**31 - 1


def check_options(options: Mapping[str, object]) -> dict[str, Any]:
    """The options as Ipopt gets them; those in a file that it will read are checked with them.

    Raises
    ------
    UnknownLabelError
        No option of Ipopt has that name.
    InputError
        The option takes a value of another type or range, or needs a library or a file that is
        not to be had.
    """
    given = checked("Ipopt", options, option_types())
    together = {**_in_file(given.get("option_file_name")), **given}
    for name, (value, why) in _OUT_OF_REACH.items():
        if together.get(name, "").lower() == value:
            raise refused("Ipopt", name, together[name], why)
    for library in together.keys() & {"hsllib", "pardisolib"}:
        _load(library, together[library], library, together)
    for (name, value), (library, function) in _LOADED.items():
        if together.get(name, "").lower() == value:
            loaded = _load(name, together[name], library, together)
            if not any(hasattr(loaded, f) for f in (function, f"{function}_", function.upper())):
                why = f"it is not in the library that {library!r} names"
                raise refused("Ipopt", name, together[name], why)
    require_writable("Ipopt", together, "output_file")
    return given


@functools.cache
def option_types() -> dict[str, Option]:
    """The options of the embedded Ipopt, from its own documentation.

    Raises
    ------
    SolverError
        The documentation does not read as it does in the versions of Ipopt that are known.
    """
    text = _documentation()
    entries = re.findall(r"<strong>(\w+)</strong>(.*?)</blockquote>", text, re.DOTALL)
    if not entries:
        raise unreadable("its options", text)
    return {name: _option(name, entry) for name, entry in entries}


def _option(name: str, entry: str) -> Option:
    if bounds := re.search(r"range for this (real|integer) option is (.*?) and its", entry):
        kind = {"real": float, "integer": int}[bounds[1]]
        return Option(kind, _interval(name, kind, bounds[2].replace("&le;", "<=")))
    words = re.search(r"Possible values:(.*)", entry, re.DOTALL)
    if words is None or "this string option" not in entry:
        raise unreadable(f"its option {name}", entry)
    listed = re.findall(r"^ - ([^:\n]+)", words[1], re.MULTILINE) or words[1].split(",")
    choices = tuple(word.strip() for word in listed)
    return Option(str, choices=() if choices == ("*",) else choices)


def _interval(name: str, kind: type, stated: str) -> str:
    """``0 < x <= 1`` as ``(0, 1]``."""
    lower = re.match(rf"(\S+) (<=?) {name}\b", stated)
    upper = re.search(rf"\b{name} (<=?) (\S+)$", stated)
    least, most = (
        (str(-_LARGEST_INTEGER), str(_LARGEST_INTEGER)) if kind is int else ("-inf", "inf")
    )
    closed = kind is int or name in _MAY_BE_INFINITE
    left = f"{'[' if lower[2] == '<=' else '('}{lower[1]}" if lower else f"{'(['[closed]}{least}"
    right = f"{upper[2]}{']' if upper[1] == '<=' else ')'}" if upper else f"{most}{')]'[closed]}"
    return f"{left}, {right}"


def _in_file(named: str | None) -> dict[str, Any]:
    """The options in the file that Ipopt will read, ``name value`` a line."""
    file = Path(OPTIONS_FILE if named is None else named)
    if named in ("", os.devnull) or (named is None and not os.path.lexists(file)):
        return {}
    try:
        if not file.is_file():  # Ipopt reads a folder for ever
            raise FileNotFoundError(2, "there is no such file")
        words = shlex.split(file.read_text(encoding="utf-8"), comments=True)
        pairs = {name.lower(): word for name, word in zip(words[::2], words[1::2], strict=True)}
        parsed = {name: _parsed(name, word) for name, word in pairs.items()}
        return checked("Ipopt", parsed, option_types())
    except (OSError, ValueError) as error:
        why = f"the file cannot be used: {getattr(error, 'strerror', None) or error}"
        raise refused("Ipopt", "option_file_name", str(file), why) from error


def _parsed(name: str, word: str) -> object:
    kind = option_types()[name].kind if name in option_types() else str
    try:
        return kind(word.lower().replace("d", "e") if kind is float else word)
    except ValueError:
        return word


def _load(name: str, value: str, library: str, options: Mapping[str, Any]) -> ctypes.CDLL:
    """The library that an option needs."""
    default = re.search(rf'<strong>{library}<.*?default value .*?"(.*?)"', _documentation(), re.S)
    try:
        return ctypes.CDLL(options.get(library, default[1] if default else library))
    except OSError as error:
        why = f"this Ipopt has to load a library for it, which failed: {error}"
        remedy = f"give its path as {library!r}, or use what needs none, such as 'mumps'"
        raise refused("Ipopt", name, value, f"{why}; {remedy}") from error


@functools.cache
def version() -> tuple[int, ...]:
    """The version of the embedded Ipopt, from its banner."""
    text = _printed(print_level=5)
    banner = re.search(r"Ipopt version (\d+)\.(\d+)\.(\d+)", text)
    if banner is None:
        raise unreadable("its version", text)
    return tuple(int(part) for part in banner.groups())


def _documentation() -> str:
    return _printed(
        print_options_documentation="yes",
        print_options_mode="doxygen",
        print_advanced_options="yes",
    )


def _printed(**options: object) -> str:
    """What Ipopt prints on its way to the minimum of x², whatever options a file has."""
    x = casadi.MX.sym("x")
    printed = io.StringIO()
    with printing_to(printed):
        settings = {"ipopt": {**options, "option_file_name": "", "sb": "yes"}, "print_time": False}
        casadi.nlpsol("x", "ipopt", {"x": x, "f": x**2}, settings)()
    return printed.getvalue()


def unreadable(what: str, text: str) -> SolverError:
    """The error where Ipopt prints something else than the versions that are known."""
    return SolverError(
        f"the Ipopt in casadi {casadi.__version__} was asked for {what} and printed "
        f"{one_line(text)[:80]!r}; expected what Ipopt 3.14 prints. Install a version of casadi "
        "with which rrp-pyomo was tested, such as pip install 'casadi<3.9'"
    )


def one_line(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())
