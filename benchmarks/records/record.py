"""One line of the records: some work, our time, a peer's, and what was checked of the answers."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Record:
    """What was measured, and what was to be reached.

    Attributes
    ----------
    work : str
    ours : float
        Seconds.
    limit : float
        Of ``ratio`` where there is a peer, otherwise of ``ours``.
    certificate : str
        What was computed from the data of every answer that was timed, and its worst figure.
    peer : str
        Its name, and how it was called; empty where nothing else does this work.
    theirs, ratio : float, optional
        The peer's seconds, and the median of ours / theirs over pairs.
    note : str
        What the reader should know, such as why a peer has no figure.
    """

    work: str
    ours: float
    limit: float
    certificate: str
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether what was measured is within the limit."""
        return (self.ours if self.ratio is None else self.ratio) <= self.limit


class Timed(NamedTuple):
    """A result and the seconds that it took."""

    result: Any
    seconds: float


def timed(call: Callable[..., Any], *arguments: Any) -> Timed:
    """One call by the wall clock, without collections of garbage."""
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        result = call(*arguments)
        return Timed(result, time.perf_counter() - began)
    finally:
        gc.enable()


class Pairs(NamedTuple):
    """Medians over pairs of calls."""

    ours: float
    theirs: float
    ratio: float


def pairs(
    ours: Callable[[Any], Any],
    theirs: Callable[[Any], Any],
    data: Iterable[tuple[Any, Any]],
    check: Callable[[Any, Any], None],
) -> Pairs:
    """Both calls on the same data, side by side, in turns who goes first.

    Parameters
    ----------
    data : iterable of pairs
        What each of the two is given: new objects for each pair, so that nothing is remembered.
        The first pair is a warm-up.
    check : callable
        Is given both answers, outside of the time, and raises where one of them is not right.
    """
    seconds: list[tuple[float, float]] = []
    for turn, (for_us, for_them) in enumerate(data):
        if turn % 2:
            second, first = timed(theirs, for_them), timed(ours, for_us)
        else:
            first, second = timed(ours, for_us), timed(theirs, for_them)
        check(first.result, second.result)
        seconds.append((first.seconds, second.seconds))
    seconds = seconds[1:]
    return Pairs(
        statistics.median(a for a, _ in seconds),
        statistics.median(b for _, b in seconds),
        statistics.median(a / b for a, b in seconds),
    )
