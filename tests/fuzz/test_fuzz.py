"""A few hundred cases of each fuzzer find nothing; ``make fuzz`` runs as many as there is time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "cases"),
    [("models", 300), ("portfolios", 200), ("files", 100), ("compositions", 300)],
)
def test_nothing_is_found(suite: str, cases: int) -> None:
    done = fuzz(suite, "--cases", str(cases), "--workers", "1")
    # What was found, each with the command that shows it again.
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_diverges_starts_again_where_rows_almost_hold() -> None:
    """Ipopt's iterates left a model that has a solution, which was then called unbounded."""
    done = fuzz("compositions", "--case", "40936")
    assert done.returncode == 0, done.stdout + done.stderr


def fuzz(suite: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(__file__).parent), "--suite", suite, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)
