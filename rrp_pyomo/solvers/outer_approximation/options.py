"""The options of the outer approximation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rrp_pyomo.solvers.options import Option, checked

OPTIONS = {
    "rel_gap": Option(float, "[0, inf)"),
    "abs_gap": Option(float, "[0, inf)"),
    "time_limit": Option(float, "[0, inf]"),
    "threads": Option(int, "[1, 1024]"),
    "max_iterations": Option(int, "[1, 2147483647]"),
    "node_limit": Option(int, "[0, 2147483647]"),
    "search": Option(str, choices=("auto", "tree", "rounds")),
}


@dataclass(frozen=True)
class Settings:
    """How far to search, and how.

    Attributes
    ----------
    rel_gap, abs_gap : float
        The search ends where the best point is no farther from the bound, relative to the
        objective or in its units.
    time_limit : float or None
        Seconds.
    threads : int
        Of HiGHS.
    max_iterations : int
        Rounds of mixed-integer linear programs.
    node_limit : int
        Nodes of the tree; of one round's, where there are rounds.
    search : {"auto", "tree", "rounds"}
        One tree, cut as it grows, or a tree of HiGHS in each round; by default the former, up to
        200 integers.
    """

    rel_gap: float = 1e-6
    abs_gap: float = 1e-9
    time_limit: float | None = None
    threads: int = 1
    max_iterations: int = 2147483647
    node_limit: int = 2147483647
    search: str = "auto"


def read_settings(options: Mapping[str, object], **given: Any) -> Settings:
    """Settings from options by name, and what Pyomo's configuration gives.

    Raises
    ------
    UnknownLabelError
        No option has that name.
    InputError
        The option takes a value of another type or range.
    """
    known = {name: value for name, value in given.items() if value is not None}
    return Settings(**checked("outer_approximation", {**options, **known}, OPTIONS))
