"""The command line, ``rrp``: one file for each command."""

from rrp_pyomo.cli.main import app

__all__ = ["app"]
