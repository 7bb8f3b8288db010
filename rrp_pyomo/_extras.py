"""What only an extra brings, most of it ``backtest``."""

from __future__ import annotations

import importlib.util

from rrp_pyomo.errors import InputError


def require_extra(module: str, what: str, extra: str = "backtest") -> None:
    """Raise where a module of an extra is not installed, with how to install it."""
    if importlib.util.find_spec(module) is None:
        raise InputError(
            f'{what} needs {module}, which is not installed; run: pip install "rrp-pyomo[{extra}]"'
        )
