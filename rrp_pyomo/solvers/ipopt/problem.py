"""What the two ways of reading a Pyomo model, as a quadratic form or as .nl, have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pyomo.repn.plugins.nl_writer import NLWriterInfo

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.ipopt.embedded import NonlinearSolution
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError


class Run(Protocol):
    """Ipopt on a problem."""

    def __call__(
        self,
        options: Mapping[str, object],
        time_limit: float | None,
        tee: bool,
        start: FloatArray | None,
        scale: FloatArray | None,
    ) -> NonlinearSolution:
        """From ``start``, or from the values of the variables.

        The objective and the rows are multiplied by ``scale``, or by what makes their numbers about
        1; nothing of that is seen in the solution.
        """


@dataclass(frozen=True, eq=False)
class Statement:
    """A Pyomo model as Ipopt gets it.

    Attributes
    ----------
    info : NLWriterInfo
        Variables and constraints in the order of the solution's arrays, and what has been
        eliminated or scaled: Pyomo's record, which its own solution loader reads.
    sense : float
        1 where the model minimises, −1 where it maximises, 0 where it has no objective.
    rows : sequence
        Those constraints that Ipopt gets.
    run : callable
        Ipopt on the problem. It minimises ``sense`` times the objective, and its objective and
        multipliers are those of that.
    run_for_feasibility : callable
        The same without the objective.
    """

    info: NLWriterInfo
    sense: float
    rows: Sequence[Any]
    run: Run
    run_for_feasibility: Run

    def objective(self, solution: NonlinearSolution) -> float:
        """The model's objective at the solution, unscaled."""
        scaling = self.info.scaling
        scale = scaling.objectives[0] if scaling else 1.0
        return self.sense * solution.objective / scale

    def component(self, index: int) -> str:
        """The name of a row, or, beyond these, of a variable."""
        return repr(self.part(index)[1].name)

    def part(self, index: int) -> tuple[str, Any]:
        """A row, or, beyond these, "bounds of" and a variable."""
        rows = len(self.rows)
        if index < rows:
            return "", self.rows[index]
        return "bounds of ", self.info.variables[index - rows]


def start_values(variables: Iterable[Any]) -> FloatArray:
    """Where Ipopt starts: the variables' values, 0 where there is none."""
    variables = list(variables)
    for variable in variables:
        if variable.value is not None and not math.isfinite(variable.value):
            raise IncompatibleModelError(
                f"variable {variable.name!r} has the value {variable.value}, where Ipopt would "
                "start; give it a finite value, or None"
            )
    return np.array([0.0 if v.value is None else float(v.value) for v in variables])
