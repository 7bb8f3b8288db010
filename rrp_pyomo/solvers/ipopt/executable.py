"""Where an ``ipopt`` executable is found, and which Ipopt ``solver="ipopt"`` means."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyomo.common import Executable, envvar

from rrp_pyomo.errors import SolverUnavailableError

#: Python packages whose wheels carry an executable that is run like Ipopt, and its name.
WHEELS = {"pounce-solver": "pounce", "pyomo-ripopt": "ripopt"}

#: What runs longer than this on ``--version`` is none of these programs; seconds.
PATIENCE = 10.0

#: Where the one is that the user has set; no other is looked at.
SET = "set by Executable('ipopt').set_path"

_ANSWER = re.compile(r"\s*(ipopt|pounce|ripopt) (\d+(?:\.\d+)+)", re.IGNORECASE)


@dataclass(frozen=True)
class IpoptExecutable:
    """An ``ipopt`` that runs on its own.

    Attributes
    ----------
    path : Path
    version : str
        What it answers to ``--version``.
    found_in : str
        ``"on PATH"``, ``"in the IDAES folder …"``, ``"in the Python package …"`` or how else.
    program : str
        ``"ipopt"``, or ``"pounce"`` or ``"ripopt"``, which are run like Ipopt and have versions of
        their own.

    Examples
    --------
    >>> from pathlib import Path
    >>> from rrp_pyomo.solvers.ipopt import IpoptExecutable
    >>> IpoptExecutable(Path("/usr/bin/ipopt"), "3.14.19", "on PATH").version
    '3.14.19'
    """

    path: Path
    version: str
    found_in: str
    program: str = "ipopt"

    def __str__(self) -> str:
        written = "" if self.program == "ipopt" else f"{self.program}, "
        return f"{self.path} ({written}{self.found_in})"


def find_ipopt() -> IpoptExecutable | None:
    """The first ``ipopt`` that answers to ``--version``; others are passed over.

    One that has been set by Pyomo's ``Executable("ipopt").set_path(...)`` is the only one that is
    looked at. Else, in this order:

    1. where Pyomo looks: the current folder, its own (``bin`` below ``$PYOMO_CONFIG_DIR``), PATH;
    2. the one that ``idaes get-extensions`` installs: ``bin`` below ``$IDAES_DATA``, then below
       ``~/.idaes``, on Windows ``%LOCALAPPDATA%\\idaes``, then any folder there;
    3. those in the wheels of ``pounce-solver`` and of ``pyomo-ripopt``, which the extra ``ipopt``
       brings.

    Raises
    ------
    SolverUnavailableError
        The one that was set does not answer.

    Examples
    --------
    None where there is no executable; the embedded Ipopt needs none:

    >>> from rrp_pyomo.solvers.ipopt import find_ipopt
    >>> found = find_ipopt()
    >>> found is None or found.program in ("ipopt", "pounce", "ripopt")
    True
    """
    for path, found_in in _candidates():
        if answer := identity(path):
            program, version = answer
            return IpoptExecutable(Path(path), version, found_in, program)
        if found_in == SET:
            raise SolverUnavailableError(
                f"the ipopt executable that was set, {path}, does not answer to --version as one "
                'does; give another path to pyomo.common.Executable("ipopt").set_path, or None to '
                "have one looked for"
            )
    return None


def identity(path: str | Path) -> tuple[str, str] | None:
    """The program that an executable is, and its version; None for any other program."""
    try:
        return _identity(str(path), os.stat(path).st_mtime_ns)
    except OSError:
        return None


@functools.cache
def _identity(path: str, changed: int) -> tuple[str, str] | None:
    try:
        run = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=PATIENCE,
            env={**os.environ, **surroundings(path)}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    answer = _ANSWER.match(run.stdout)
    return (answer[1].lower(), answer[2]) if answer and run.returncode == 0 else None


def surroundings(path: str | Path) -> dict[str, str]:
    """What an executable needs in its environment: libraries may be in its own folder.

    That is where IDAES has them; the system looks there by itself on Windows only.
    """
    names = () if os.name == "nt" else ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    folder = str(Path(path).parent)
    return {name: os.pathsep.join(filter(None, [os.environ.get(name), folder])) for name in names}


def _candidates() -> Iterator[tuple[str, str]]:
    known = Executable("ipopt")
    known.rehash()  # PATH may have changed since Pyomo last looked
    if path := known.path():
        found_in = _place(path)
        yield path, found_in
        if found_in == SET:
            return
    for root in _idaes_roots():
        for folder in (root / "bin", *sorted(p for p in root.rglob("*") if p.is_dir())):
            if found := shutil.which("ipopt", path=folder):
                yield found, f"in the IDAES folder {folder}"
    for package, program in WHEELS.items():
        if found := _in_wheel(package, program):
            yield found, f"in the Python package {package}"


def _place(path: str) -> str:
    """How Pyomo came to a path, which it does not say."""
    folder = Path(path).parent
    if not os.access(path, os.X_OK):
        return SET
    if folder == Path.cwd():
        return "in the current folder"
    if folder == Path(envvar.PYOMO_CONFIG_DIR, "bin"):
        return "in Pyomo's own folder"
    on_path = shutil.which("ipopt")
    return "on PATH" if on_path and os.path.samefile(path, on_path) else SET


def _idaes_roots() -> Iterator[Path]:
    if data := os.environ.get("IDAES_DATA"):
        yield Path(data)
    yield Path.home() / ".idaes"
    if local := os.environ.get("LOCALAPPDATA"):
        yield Path(local) / "idaes"


def _in_wheel(package: str, program: str) -> str | None:
    """The executable that is one of a package's files, beside its modules."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        # Not the script of that name in the environment's own bin, which starts Python first.
        inside = file.stem == program and file.parts[0] != ".."
        if inside and (found := shutil.which(file.locate())):
            return found
    return None
