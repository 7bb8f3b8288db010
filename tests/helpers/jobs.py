"""Jobs for the runner that die or wait, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from rrp_pyomo.paper.experiments import Chunk, Job


@dataclass
class KilledOnce:
    """A job whose first process dies at its third chunk, as by kill −9."""

    job: Job
    flag: Path

    def __call__(self, chunk: Chunk) -> pa.Table:
        if chunk.first == 2 and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.job(chunk)


@dataclass
class HeldBack:
    """A job that leaves a file for each chunk it begins; after some of them it waits for a gate."""

    job: Job
    begun: Path
    gate: Path
    free: int

    def __call__(self, chunk: Chunk) -> pa.Table:
        waits = len(list(self.begun.iterdir())) >= self.free
        (self.begun / f"{chunk.size} {chunk.first}").touch()
        deadline = time.monotonic() + 200
        while waits and not self.gate.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.job(chunk)
