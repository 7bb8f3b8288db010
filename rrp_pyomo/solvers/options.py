"""What a solver's options take, checked before the solver sees them.

Solvers meet a value that they do not take with exceptions of their own, a status that does not say
which option it was, a wrong answer, or the end of the process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from rrp_pyomo.errors import InputError, UnknownLabelError

# Windows has no pipes that look like files.
_TO_WRITE = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
_NUMERIC: dict[type, type] = {int: Integral, float: Real}


@dataclass(frozen=True)
class Option:
    """The values that an option takes.

    Attributes
    ----------
    kind : type
        ``bool``, ``int``, ``float``, ``str``, or another one whose values the solver checks.
    interval : str
        The numbers, such as ``"(0, 1]"``; infinity is one of them where the bracket is square.
    choices : tuple of str
        The words, in small letters or capitals; any where there are none.
    """

    kind: type
    interval: str = "(-inf, inf)"
    choices: tuple[str, ...] = ()

    def read(self, value: object) -> Any:
        """The value as the solver gets it.

        Raises
        ------
        ValueError
            It is of another type or range.
        """
        if self.kind is bool and isinstance(value, (bool, np.bool_)):
            return bool(value)
        if self.kind is str and isinstance(value, str) and "\0" not in value:
            if self.choices and value.lower() not in (choice.lower() for choice in self.choices):
                raise ValueError
            return str(value)
        if self.kind in _NUMERIC:
            is_number = isinstance(value, _NUMERIC[self.kind]) and not isinstance(value, bool)
            if is_number and self._holds(number := self.kind(value)):
                return number
        elif self.kind not in (bool, str) and isinstance(value, self.kind):
            return value
        raise ValueError

    def _holds(self, number: float) -> bool:
        lower, upper = (float(end) for end in self.interval[1:-1].split(","))
        above = number >= lower if self.interval.startswith("[") else number > lower
        return above and (number <= upper if self.interval.endswith("]") else number < upper)

    @property
    def expected(self) -> str:
        """What to say to somebody who gave something else."""
        if self.choices:
            return f"expected one of {', '.join(map(repr, self.choices))}"
        within = f" in {self.interval}" if self.kind in _NUMERIC else ""
        return f"expected a value of type {self.kind.__name__}{within}"


def checked(
    solver: str, options: Mapping[str, object], known: Mapping[str, Option]
) -> dict[str, Any]:
    """Options as the solver gets them.

    Raises
    ------
    UnknownLabelError
        The solver has no option of that name.
    InputError
        The option takes a value of another type or range.
    """
    found = {}
    for name, value in options.items():
        if name not in known:
            raise UnknownLabelError(f"{solver} option", name, known)
        try:
            found[name] = known[name].read(value)
        except (ValueError, OverflowError) as error:
            raise refused(solver, name, value, known[name].expected) from error
    return found


def refused(solver: str, name: str, value: object, why: str) -> InputError:
    """The error for a value that a solver does not take."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return InputError(f"{solver} option {name!r} is {shown}; {why}")


def require_one_thread(solver: str, threads: object, remedy: str) -> None:
    """Raise unless a solver that works on one thread is asked for no more.

    Raises
    ------
    InputError
        With what to do instead.
    """
    if threads is not None and (isinstance(threads, bool) or threads != 1):
        raise InputError(
            f"threads is {threads!r}; expected None or 1, for {solver} works on one thread: "
            f"{remedy}"
        )


def require_writable(solver: str, options: Mapping[str, Any], *names: str) -> None:
    """Raise unless the files that these options name can be written; empty ones are not meant.

    Solvers that cannot write a file say nothing, and wait for ever for a reader of a pipe.

    Raises
    ------
    InputError
        With the operating system's reason.
    """
    for name in names:
        if path := options.get(name):
            try:
                os.close(
                    os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
                )
            except OSError as error:
                why = f"the file cannot be written: {error.strerror}; choose another one"
                raise refused(solver, name, path, why) from error
