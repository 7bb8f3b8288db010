"""What the search answers, and the lines that it writes on its way there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TextIO

import numpy as np

from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination


@dataclass(frozen=True, eq=False)
class MixedIntegerSolution:
    """What was found: a point, what it is worth, and what no point is better than.

    Attributes
    ----------
    x : (n,) array or None
        The best point in the units of the statement; for an unbounded problem a ray.
    objective, bound : float
        Of the statement, when minimising.
    continuous : ConicSolution or None
        Of the form with its integers fixed; for an infeasible relaxation, of the relaxation.
    iterations, nodes, cuts : int
        Linear programs, or rounds; nodes of the tree; supporting half-spaces.
    """

    form: ConicForm = field(repr=False)
    x: FloatArray | None
    objective: float
    bound: float
    termination: Termination
    status: str
    continuous: ConicSolution | None = None
    message: str = ""
    iterations: int = 0
    nodes: int = 0
    cuts: int = 0
    setup_time: float = 0.0
    solve_time: float = 0.0

    @property
    def gap(self) -> float:
        """Objective less bound."""
        return max(0.0, self.objective - self.bound) if self.x is not None else np.inf


class Progress:
    """A log with a line for each better point, and one a second.

    Parameters
    ----------
    form : ConicForm
        Whose objective is shown.
    stream : text stream or None
    """

    def __init__(self, form: ConicForm, stream: TextIO | None) -> None:
        self._form = form
        self._stream = stream
        self._began = time.perf_counter()
        self._last = -np.inf

    def head(self) -> None:
        """The names of the columns."""
        self._say("  seconds    nodes     open           bound       incumbent      gap    cuts")

    def line(
        self, mark: str, nodes: int, waiting: int, bound: float, value: float, cuts: int
    ) -> None:
        """A line; without a mark, only where the last one is a second old."""
        now = time.perf_counter() - self._began
        if self._stream is None or (mark == " " and now < self._last + 1.0):
            return
        self._last = now
        bound, value = (self._form.objective(number) for number in (bound, value))
        gap = f"{(value - bound) / max(1e-10, abs(value)):8.1e}" if np.isfinite(value) else "-"
        self._say(
            f"{mark}{now:8.2f} {nodes:8d} {waiting:8d} {bound:15.8g} {value:15.8g} "
            f"{gap:>8} {cuts:7d}"
        )

    def _say(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text + "\n")
