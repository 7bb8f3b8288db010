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
    command = [sys.executable, str(Path(__file__).parent), "--suite", suite]
    options = ["--cases", str(cases), "--workers", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    # What was found, each with the command that shows it again.
    assert done.returncode == 0, done.stdout + done.stderr
