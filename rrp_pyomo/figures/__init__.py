"""Figures for lessons, slides and reports, drawn from your own data."""

from __future__ import annotations

from rrp_pyomo._lazy import exports

__all__, __getattr__, __dir__ = exports(__name__, {})
