"""The exceptions and warnings of the package: one small tree, rooted in standard types."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from numbers import Real

__all__ = [
    "InfeasibleError",
    "InputError",
    "ModelError",
    "RiskParityError",
    "RiskParityWarning",
    "SolverError",
    "SolverUnavailableError",
    "UnknownLabelError",
]


class RiskParityError(Exception):
    """Base of every exception that this package raises on purpose."""


class InputError(RiskParityError, ValueError):
    """Data or arguments that cannot be used; the message says what was expected and the remedy."""


class UnknownLabelError(InputError):
    """A label (asset, factor, group, solver, option) that nobody knows; suggests the nearest."""

    def __init__(self, kind: str, label: object, known: Iterable[object]) -> None:
        names = [str(k) for k in known]
        near = difflib.get_close_matches(str(label), names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {_shortened(names)}"
        super().__init__(f"unknown {kind} {brief(str(label), most=200)}; {hint}")

    def __reduce__(self) -> tuple[object, ...]:
        """As processes send it to each other."""
        return _said, (type(self), str(self))


class ModelError(InputError):
    """A model that the chosen realisation or solver cannot represent."""


class SolverError(RiskParityError, RuntimeError):
    """A solver that failed to solve what it was given."""


class SolverUnavailableError(SolverError):
    """A solver that is not installed here; the message says how to install it."""


class InfeasibleError(SolverError):
    """A problem without a solution; the message says why where it is known."""


class RiskParityWarning(UserWarning):
    """A result that its user should look at before trusting it."""


def warn(message: str) -> None:
    """Issue a :class:`RiskParityWarning` that points to the caller's line, not to one in here."""
    level = 1
    while sys._getframe(level).f_globals.get("__name__", "").startswith(f"{__package__}."):
        level += 1
    warnings.warn(message, RiskParityWarning, stacklevel=level + 1)


def _said(kind: type[RiskParityError], message: str) -> RiskParityError:
    """An exception that says this, whatever its class is made from."""
    error = kind.__new__(kind)
    error.args = (message,)
    return error


def _shortened(items: list[str], most: int = 12) -> str:
    more = f", … ({len(items)} in all)" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def brief(value: object, most: int = 60) -> str:
    """A value as messages show it."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # such as for an int of more than 4300 digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}… (a {type(value).__name__})"


def require_kind(value: object, kind: type, name: str, remedy: str) -> None:
    """Raise where an argument is of another type."""
    if isinstance(value, kind):
        return
    given = "None" if value is None else f"a {type(value).__name__}"
    if isinstance(value, type):
        given = f"the class {value.__name__} itself"
    raise InputError(f"{name} is {given}; expected a {kind.__name__}, {remedy}")


def is_number(value: object, kind: type = Real) -> bool:
    """Whether a value is a number: no bool, and no span of time, which is one to NumPy."""
    other = isinstance(value, bool) or type(value).__name__ == "timedelta64"
    return isinstance(value, kind) and not other
