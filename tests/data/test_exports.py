"""What ``rrp_pyomo.data`` offers, and what it does not import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rrp_pyomo.data
from rrp_pyomo.models.largest_omega import largest_omega


def test_everything_that_is_exported_is_there():
    for name in rrp_pyomo.data.__all__:
        assert getattr(rrp_pyomo.data, name) is not None
    assert rrp_pyomo.data.largest_omega is largest_omega
    with pytest.raises(AttributeError, match="'largest_alpha'"):
        _ = rrp_pyomo.data.largest_alpha


def test_imports_point_one_way():
    """At import, the data layer needs nothing of the layers above it."""
    for path in Path(rrp_pyomo.data.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rrp_pyomo"):
                assert node.module.split(".")[1] in {"data", "errors", "linalg"}, path.name
