"""Processes on this machine, and how many of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from numbers import Integral

from rrp_pyomo.errors import InputError, is_number


def number_of_workers(workers: int | None) -> int:
    """The number of cores where none is given; at least 1."""
    if workers is None:
        return os.cpu_count() or 1
    return require_at_least(1, workers, "workers")


def require_at_least(least: int, value: int, name: str) -> int:
    """The value as an int; one that is too small, or no whole number, is an error."""
    if not is_number(value, Integral):
        raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
    if value < least:
        raise InputError(f"{name} is {value}; expected at least {least}")
    return int(value)


def local_processes(workers: int) -> ProcessPoolExecutor:
    """Processes on this machine that leave Ctrl-C to their parent and end when it does."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_worker)


def _begin_worker() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
