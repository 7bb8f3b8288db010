"""Cases in worker processes: what hangs is ended, what dies is started again."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from typing import Any

from judging import Outcome

LIMIT = 60.0


def run(
    case: Callable[[int], Outcome], seeds: list[int], workers: int
) -> Iterator[tuple[int, Outcome]]:
    """The outcome of each case, in the order in which they end."""
    waiting = list(reversed(seeds))
    busy: dict[Any, _Worker] = {}
    for _ in range(min(workers, len(seeds))):
        worker = _Worker(case)
        busy[worker.pipe] = worker
        worker.begin(waiting.pop())
    while busy:
        ready = wait(list(busy), timeout=1.0)
        for worker in [w for p, w in busy.items() if p in ready or w.is_late]:
            outcome = worker.outcome()
            yield worker.seed, outcome
            if not worker.is_alive:
                del busy[worker.pipe]
                worker = _Worker(case)
                busy[worker.pipe] = worker
            if waiting:
                worker.begin(waiting.pop())
            else:
                del busy[worker.pipe]
                worker.end()


class _Worker:
    def __init__(self, case: Callable[[int], Outcome]) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(case, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, seed: int) -> None:
        self.seed, self._since, self.is_alive = seed, time.monotonic(), True
        self.pipe.send(seed)

    @property
    def is_late(self) -> bool:
        return time.monotonic() - self._since > LIMIT

    def outcome(self) -> Outcome:
        """What the case found, or how its process ended."""
        outcome = Outcome()
        try:
            if self.pipe.poll():
                return self.pipe.recv()
            outcome.found("hang", f"no answer within {LIMIT:.0f} s")
        except EOFError:
            self._process.join()
            outcome.found("crash", f"the process ended with exit code {self._process.exitcode}")
        self.end()
        self.is_alive = False
        return outcome

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _serve(case: Callable[[int], Outcome], pipe: Any) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)  # options with names of files leave some behind
        _answer(case, pipe)


def _answer(case: Callable[[int], Outcome], pipe: Any) -> None:
    while True:
        try:
            seed = pipe.recv()
        except EOFError:
            return
        try:
            outcome = case(seed)
        except Exception:
            outcome = Outcome()
            outcome.found("broken", "the fuzzer itself", traceback.format_exc())
        pipe.send(outcome)


def report(findings: Counter[str]) -> str:
    return "\n".join(f"{count:7d}  {what}" for what, count in findings.most_common())
