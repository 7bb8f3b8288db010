"""Ctrl-C as a user presses it: again and again, until something stops."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def pressed(every: float = 0.3) -> Iterator[None]:
    """A context that ends in ``KeyboardInterrupt``, raised soon, and leaves the handler as it was.

    One press may be lost: while a solver factorises, and where Python cannot raise, as in the
    callbacks of weak references.
    """
    before = signal.getsignal(signal.SIGINT)
    stopped = threading.Event()

    def press() -> None:
        while not stopped.wait(every):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, daemon=True)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            yield
        after = signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one may still be on its way
        stopped.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert after is before
