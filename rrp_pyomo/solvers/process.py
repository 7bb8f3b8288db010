"""What solvers share with the process: its standard output and its keyboard interrupt."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast


class _OutputByThread:
    """The standard output, but for threads with a log of their own.

    Attributes
    ----------
    shared : text stream
        The standard output of all other threads.
    logs : dict
        By thread.
    users : int
        How many solves are under way that need it.
    """

    def __init__(self, shared: TextIO) -> None:
        self.shared = shared
        self.logs: dict[int, TextIO] = {}
        self.users = 0

    def write(self, text: str) -> int:
        """Write to the thread's log, or to the standard output."""
        thread = threading.get_ident()
        log = self.logs.pop(thread, None)
        if log is None:
            return self.shared.write(text)
        try:
            return log.write(text)  # it may pass the text on to the standard output
        finally:
            self.logs[thread] = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shared, name)


_LOCK = threading.Lock()
# Up to Python 3.13, print() only borrows sys.stdout: what one thread puts back must not vanish
# while another one is still printing to it. So they are kept, and used again.
_OUTPUTS: deque[_OutputByThread] = deque(maxlen=16)


@contextlib.contextmanager
def printing_to(log: TextIO | None) -> Iterator[None]:
    """A context in which what this thread prints goes to the log, line by line.

    For solvers that know no other place to print to than Python's standard output. That belongs to
    the process: what other threads print passes through. Without a log nothing is touched.
    """
    if log is None:
        yield
        return
    thread = threading.get_ident()
    with _LOCK:
        if not isinstance(sys.stdout, _OutputByThread):
            sys.stdout = cast(TextIO, _output_for(sys.stdout))
        output = cast(_OutputByThread, sys.stdout)
        output.users += 1
        before = output.logs.get(thread)
        output.logs[thread] = log
    try:
        yield
    finally:
        with _LOCK:
            del output.logs[thread]
            if before is not None:
                output.logs[thread] = before
            output.users -= 1
            if not output.users and cast(object, sys.stdout) is output:
                sys.stdout = output.shared


def _output_for(shared: TextIO) -> _OutputByThread:
    for known in _OUTPUTS:
        if known.shared is shared:
            return known
    _OUTPUTS.append(_OutputByThread(shared))
    return _OUTPUTS[-1]


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool] | None]:
    """A context that raises, at its end, the interrupt that a solver stops for but swallows.

    Whoever handles Ctrl-C is called at once. If that raises, as Python's own handler does, a solver
    that runs Python code now and then gets the exception there; to one that goes on nevertheless
    the function that the context yields says that it should stop. It is None in threads other than
    the main one, which no interrupt reaches, and where the process ignores them.
    """
    handler: Any = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield None
        return
    raised: list[BaseException] = []

    def note(number: int, frame: Any) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    try:
        signal.signal(signal.SIGINT, note)
        yield lambda: bool(raised)
    finally:
        signal.signal(signal.SIGINT, handler)
        if raised:
            raise raised[0]
