"""The page of the records: a table, and the machine and versions that it was measured with."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from record import Record

PACKAGES = (
    "pyomo",
    "numpy",
    "scipy",
    "clarabel",
    "casadi",
    "cvxpy",
    "cvxportfolio",
    "riskparityportfolio",
    "skfolio",
    "jax",
)

HEAD = """\
# Records

What the package does fastest, each row measured side by side with a peer in the same run:
`make records` writes this page anew. Times are medians, in turns on the same data, with objects
that nobody has used before; every answer that was timed was also checked, as the last column says.
One core, unless a row says otherwise. A ratio is ours divided by theirs; where there is no peer,
the limit is one of time.

| work | ours | peer | theirs | ratio | to reach | checked |
| --- | ---: | --- | ---: | ---: | ---: | --- |
"""


def page(records: Sequence[Record], seconds: float) -> str:
    """The page in Markdown."""
    notes = [f"- {record.work}: {record.note}\n" for record in records if record.note]
    return (
        HEAD
        + "".join(map(_row, records))
        + ("\n" + "".join(notes) if notes else "")
        + f"\nMeasured on {datetime.date.today().isoformat()} in {seconds / 60:.0f} minutes, on "
        f"{_machine()}.\n\n" + ", ".join(_versions()) + ".\n"
    )


def _row(record: Record) -> str:
    if record.ratio is None:
        ratio, limit = "", f"{_time(record.limit)}"
    else:
        ratio, limit = f"{record.ratio:.2g} ×", f"{record.limit:g} ×"
    theirs = "" if record.theirs is None else _time(record.theirs)
    peer = record.peer or "none"
    missed = "" if record.reached else " **missed**"
    cells = (record.work, _time(record.ours), peer, theirs, ratio, limit + missed)
    return f"| {' | '.join(cells)} | {record.certificate} |\n"


def _time(seconds: float) -> str:
    if seconds < 1.0:
        return f"{1e3 * seconds:.3g} ms"
    if seconds < 120.0:
        return f"{seconds:.3g} s"
    return f"{int(seconds // 60)} min {seconds % 60:.0f} s"


def _machine() -> str:
    """Processor, cores, memory, system, as far as the system tells."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            r.split(":", 1)[1] for r in info.read_text().splitlines() if r.startswith("model name")
        ]
        processor = names[0].strip() if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [processor, f"{cores} cores"]
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        parts.append(f"{memory:.0f} GiB")
    return ", ".join([*parts, platform.system()])


def _versions() -> list[str]:
    versions = [f"Python {platform.python_version()}", f"rrp-pyomo {metadata.version('rrp-pyomo')}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return versions
