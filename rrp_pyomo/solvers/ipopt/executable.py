"""Where an ``ipopt`` executable is found, and which Ipopt ``solver="ipopt"`` means."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyomo.common import Executable
from pyomo.contrib.solver.common.base import SolverBase
from pyomo.contrib.solver.solvers.ipopt import Ipopt

from rrp_pyomo.solvers.ipopt.deferred import require_casadi
from rrp_pyomo.solvers.ipopt.solver import CasadiIpopt


@dataclass(frozen=True)
class IpoptExecutable:
    """An ``ipopt`` that runs on its own.

    Attributes
    ----------
    path : Path
    version : str
        What it answers to ``--version``.
    found_in : str
        ``"on PATH"`` or ``"in the IDAES folder …"``.

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


def find_ipopt() -> IpoptExecutable | None:
    """The first ``ipopt`` that answers to ``--version``: Pyomo's, then the one IDAES installs.

    Pyomo looks on PATH and in its own folder; ``idaes get-extensions`` fills ``bin`` below
    ``$IDAES_DATA``, or ``~/.idaes`` (on Windows ``%LOCALAPPDATA%\\idaes``).

    Examples
    --------
    None where there is no executable; the embedded Ipopt needs none:

    >>> from rrp_pyomo.solvers.ipopt import find_ipopt
    >>> found = find_ipopt()
    >>> found is None or found.version.startswith("3.")
    True
    """
    for path, found_in in _candidates():
        version = Ipopt(executable=path).version()
        if version is not None:
            return IpoptExecutable(Path(path), ".".join(map(str, version)), found_in)
    return None


def ipopt_solver() -> SolverBase:
    """Pyomo's interface to the ``ipopt`` executable where there is one, else the embedded Ipopt.

    The ``solver_name`` of its results says which: ``"ipopt"`` or ``"casadi_ipopt"``.

    Raises
    ------
    SolverUnavailableError
        There is neither; CasADi, whose wheel carries the embedded one, is not installed.

    Examples
    --------
    >>> from rrp_pyomo.solvers.ipopt import ipopt_solver
    >>> ipopt_solver().name in ("ipopt", "casadi_ipopt")
    True
    """
    executable = find_ipopt()
    if executable is not None:
        return Ipopt(executable=str(executable.path))
    require_casadi()
    return CasadiIpopt()


def _candidates() -> Iterator[tuple[str, str]]:
    known = Executable("ipopt")
    known.rehash()  # PATH may have changed since Pyomo last looked
    if path := known.path():
        yield path, "on PATH" if shutil.which("ipopt") else "in Pyomo's own folder"
    for root in _idaes_roots():
        for folder in (root / "bin", *sorted(p for p in root.rglob("*") if p.is_dir())):
            if found := shutil.which("ipopt", path=folder):
                yield found, f"in the IDAES folder {folder}"


def _idaes_roots() -> Iterator[Path]:
    if data := os.environ.get("IDAES_DATA"):
        yield Path(data)
    yield Path.home() / ".idaes"
    if local := os.environ.get("LOCALAPPDATA"):
        yield Path(local) / "idaes"
