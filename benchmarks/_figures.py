"""What the benchmarks share: figures against limits, one thread, a table, an exit status."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the table; ``value`` must not exceed ``limit``."""

    name: str
    value: float
    limit: float
    unit: str


def run(description: str, figures: Callable[[bool], Iterator[Figure]]) -> None:
    """Print the figures beside their limits; the exit status is 1 where one is missed."""
    if os.environ.get("OMP_NUM_THREADS") != "1":  # which libraries read when they are loaded
        one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        sys.exit(subprocess.call([sys.executable, *sys.argv], env={**os.environ, **one}))
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    missed = 0
    print(f"{'':60} {'value':>8} {'limit':>8}")
    for name, value, limit, unit in figures(parser.parse_args().quick):
        missed += value > limit
        verdict = "" if value <= limit else "  MISSED"
        print(f"{name:60} {value:8.3g} {limit:8.3g} {unit:4}{verdict}", flush=True)
    load = os.getloadavg()[0]
    if missed and load > 1.5:
        print(f"other processes are running (load average {load:.1f}): repeat it when they are not")
    sys.exit(int(missed > 0))
