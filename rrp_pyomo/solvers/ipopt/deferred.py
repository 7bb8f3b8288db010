"""CasADi, imported when it is first used: conic problems and a browser's Python do without it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rrp_pyomo.errors import SolverUnavailableError


class _Deferred:
    """Stands where ``import casadi`` would, and is asked for the same names."""

    def __getattr__(self, name: str) -> Any:
        require_casadi()
        return getattr(import_module("casadi"), name)


def has_casadi() -> bool:
    """Whether CasADi is installed, which no wheel is for in a browser."""
    return find_spec("casadi") is not None


def require_casadi() -> None:
    """Raise where CasADi is not installed, with how to get an Ipopt."""
    if not has_casadi():
        raise SolverUnavailableError(
            "the embedded Ipopt was asked for, but the Python package casadi, whose wheel carries "
            "it, is not installed here; to install it: pip install casadi. Convex problems need no "
            "Ipopt: solve them with 'clarabel'"
        )


casadi: Any = _Deferred()
