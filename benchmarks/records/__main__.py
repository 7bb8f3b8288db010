"""The records: each piece of work measured beside the fastest peer, and certified.

    python benchmarks/records [GROUP ...] [--out out/records.md]

Each group of rows is a module beside this one with ``records() -> Iterator[Record]``; it runs in a
process of its own, on one core unless its rows say otherwise. The exit status is 1 where a row
misses what it is to reach.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from page import page
from record import Record

GROUPS = {
    "nominal": 1,
    "robust": 1,
    "means": 1,
    "covariances": 1,
    "trading": 1,
    "experiment": 2,
    "compiling": 1,
    "resolving": 1,
}
"""The modules, in the order of the page, and how many cores each may use."""


def measured(group: str) -> list[Record]:
    """The rows of a group, from a process of its own."""
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "RAYON")}
    command = [sys.executable, __file__, "--child", group]
    if GROUPS[group] == 1 and hasattr(os, "sched_setaffinity"):
        core = str(min(os.sched_getaffinity(0)))
        command = [sys.executable, __file__, "--child", group, "--core", core]
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **one}, check=False
    )
    if finished.returncode:
        sys.exit(f"the records of {group!r} ended with exit status {finished.returncode}")
    rows = finished.stdout.splitlines()
    return [Record(**json.loads(row[3:])) for row in rows if row.startswith(">> ")]


def child(group: str, core: int | None) -> None:
    """Measure a group and print its rows, a line of JSON each."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    for record in importlib.import_module(group).records():
        print(">>", json.dumps(dataclasses.asdict(record)), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--out", type=Path, default=Path("out/records.md"))
    parser.add_argument("--child", choices=GROUPS, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.core)
        return 0
    if unknown := set(arguments.groups) - set(GROUPS):
        parser.error(f"no group is called {', '.join(unknown)}; the groups: {', '.join(GROUPS)}")
    began, records = time.perf_counter(), []
    for group in arguments.groups or GROUPS:
        for record in measured(group):
            records.append(record)
            figure = record.ours if record.ratio is None else record.ratio
            unit = "s" if record.ratio is None else "x"
            verdict = "" if record.reached else "  MISSED"
            print(f"{record.work:60} {figure:9.3g} of {record.limit:g} {unit}{verdict}", flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(page(records, time.perf_counter() - began), "utf-8")
    print(f"written to {arguments.out}")
    return int(not all(record.reached for record in records))


if __name__ == "__main__":
    sys.exit(main())
