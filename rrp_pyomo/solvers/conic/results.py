"""What a conic solver's answer says about the Pyomo model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pyomo.common.collections import ComponentMap
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.util import NoDualsError, NoReducedCostsError, NoSolutionError
from pyomo.core.staleflag import StaleFlagManager

from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.solvers.conic.compile import CompiledModel
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination
from rrp_pyomo.solvers.endings import contradiction
from rrp_pyomo.solvers.pyomo_solver import KernelSuffixes

CONDITION = {
    Termination.SOLVED: TerminationCondition.convergenceCriteriaSatisfied,
    Termination.ALMOST_SOLVED: TerminationCondition.unknown,
    Termination.INFEASIBLE: TerminationCondition.provenInfeasible,
    Termination.UNBOUNDED: TerminationCondition.unbounded,
    Termination.INFEASIBLE_OR_UNBOUNDED: TerminationCondition.infeasibleOrUnbounded,
    Termination.ITERATION_LIMIT: TerminationCondition.iterationLimit,
    Termination.TIME_LIMIT: TerminationCondition.maxTimeLimit,
    Termination.INTERRUPTED: TerminationCondition.interrupted,
    Termination.STALLED: TerminationCondition.minStepLength,
    Termination.INCONCLUSIVE: TerminationCondition.unknown,
    Termination.FAILED: TerminationCondition.error,
}

#: What is no part of a proof, relative to its heaviest row, and of how much of one is told.
NEGLIGIBLE, MOST_ROWS, MOST_VARIABLES, TINY = 0.02, 500, 3, 1e-300
PROOF = "no point is feasible, and the proof is mostly about {}"

RAYS = Termination.UNBOUNDED, Termination.INFEASIBLE_OR_UNBOUNDED


class AffineFunction(NamedTuple):
    """Σ coefficient · variable + constant."""

    coefficients: Mapping[Any, float]
    constant: float

    def __repr__(self) -> str:
        terms = (f"{value:+.6g}*{v.name}" for v, value in self.coefficients.items())
        return " ".join([*terms, f"{self.constant:+.6g}"])


def explained(compiled: CompiledModel, solution: ConicSolution, accepted: float) -> str:
    """Why an answer is no solution, in terms of the model; empty where the status says it all."""
    ending = solution.termination
    if ending is Termination.INFEASIBLE:
        return contradiction(PROOF, map(compiled.part, _in_proof(solution)))
    if ending in RAYS:
        return _direction(compiled, solution)
    if ending is Termination.INCONCLUSIVE:
        return "what it takes for a proof does not stand up to rounding; " + _remedy(solution)
    if ending is not Termination.ALMOST_SOLVED:
        return ""
    errors, missed = solution.errors, []
    if errors.primal > accepted:
        name = compiled.component(errors.row)
        missed.append(f"{name} is violated by {errors.primal:.1g} of its terms")
    if errors.dual > accepted:
        missed.append(f"the multipliers miss stationarity by {errors.dual:.1g}")
    if errors.gap > accepted:
        missed.append(f"the duality gap is {errors.gap:.1g} of the objective's terms")
    return f"{' and '.join(missed)}, where {accepted:.0e} is accepted; {_remedy(solution)}"


def _in_proof(solution: ConicSolution) -> list[int]:
    """The rows that a proof of infeasibility is made of, the heaviest first."""
    z = np.abs(solution.scaled_multipliers)
    both = [w / max(w.max(initial=0.0), TINY) for w in (z, np.abs(solution.form.b * z))]
    weights = np.maximum(*both)
    heavy = np.flatnonzero(weights > NEGLIGIBLE)
    rows: list[int] = heavy[np.argsort(-weights[heavy], kind="stable")][:MOST_ROWS].tolist()
    return rows


def _direction(compiled: CompiledModel, solution: ConicSolution) -> str:
    variables = compiled.standard.variables
    ray = np.abs(solution.scaled_point[: len(variables)])
    steepest = np.argsort(-ray, kind="stable")[:MOST_VARIABLES]
    moving = [variables[i].name for i in steepest if ray[i] > 0.1 * ray.max()]
    return f"the objective improves without end along {', '.join(map(repr, moving))}"


def _remedy(solution: ConicSolution) -> str:
    form = solution.form
    numbers = np.concatenate(
        [
            np.abs(form.A.data) / form.row_scale[form.A.indices],
            np.abs(form.b / form.row_scale),
            np.abs(form.q) / form.objective_scale,
        ]
    )
    numbers = numbers[numbers > 0.0]
    if not numbers.size:
        return "look at the point before it is used"
    return (
        f"the numbers of the model go from {numbers.min():.0e} to {numbers.max():.0e}: choose "
        "units of variables, constraints and the objective in which they are closer to 1"
    )


class ConicSolutionLoader(KernelSuffixes):
    """Values, duals and certificates by component.

    With f the objective, as it is stated, and K the cones, duals and reduced costs satisfy

        ∇f = Σ dual · ∇body + Σ dual' ∂members + reduced costs

    over the constraints with a body and the conic constraints. So, when minimising, the dual of an
    active lower bound is nonnegative and that of an active upper bound nonpositive, as everywhere
    in Pyomo; the dual of a conic constraint is a tuple in its dual cone, one entry for each member
    in the order of the constraint's arguments. All signs turn when maximising.
    """

    def __init__(
        self, model: Any, compiled: CompiledModel, solution: ConicSolution, status: SolutionStatus
    ) -> None:
        self._pyomo_model = model
        self._compiled = compiled
        self._solution = solution
        self._status = status

    def get_number_of_solutions(self) -> int:
        """1, or 0 where the solver has no point to show."""
        return 0 if self._status is SolutionStatus.noSolution else 1

    def load_vars(self, vars_to_load: Sequence[Any] | None = None) -> None:
        """Set the values of the variables."""
        if vars_to_load is not None:
            super().load_vars(vars_to_load)
            return
        for variable, value in zip(self._variables, self._values(), strict=True):
            variable.set_value(value, skip_validation=True)
        StaleFlagManager.mark_all_as_stale(delayed=True)

    def get_vars(self, vars_to_load: Sequence[Any] | None = None) -> Mapping[Any, float]:
        """Values by variable."""
        return _selected(zip(self._variables, self._values(), strict=True), vars_to_load)

    def get_duals(self, cons_to_load: Sequence[Any] | None = None) -> dict[Any, Any]:
        """Duals by constraint: a number, or a tuple for a conic constraint.

        Raises
        ------
        NoDualsError
            The solution is not optimal.
        """
        if self._status is not SolutionStatus.optimal:
            raise NoDualsError()
        duals = self._multipliers(self._compiled.standard.sense)
        if cons_to_load is None:
            return duals
        return {c: duals[c] for c in cons_to_load}

    def get_reduced_costs(self, vars_to_load: Sequence[Any] | None = None) -> Mapping[Any, float]:
        """Multipliers of the variables' bounds.

        Raises
        ------
        NoReducedCostsError
            The solution is not optimal.
        """
        if self._status is not SolutionStatus.optimal:
            raise NoReducedCostsError()
        costs = self._bound_multipliers(self._compiled.standard.sense)
        return _selected(zip(self._variables, costs, strict=True), vars_to_load)

    def get_infeasibility_certificate(self) -> tuple[dict[Any, Any], Mapping[Any, float]]:
        """Why no point is feasible, after the termination condition ``provenInfeasible``.

        Returns
        -------
        (duals, reduced costs)
            Multipliers as in :meth:`get_duals` and :meth:`get_reduced_costs`. The sum of

            - dual · (body − bound) over linear constraints, the bound being the lower one for
              positive duals and the upper one for negative ones,
            - dual'members over conic constraints,
            - the :class:`AffineFunction` that stands for each quadratic constraint,
            - reduced cost · (variable − bound) over variables,

            none of which can be negative at a feasible point, is a negative constant.

        Raises
        ------
        NoDualsError
            The solver ended otherwise.
        """
        if self._solution.termination is not Termination.INFEASIBLE:
            raise NoDualsError("There is no certificate of infeasibility: " + self._ended())
        costs = self._bound_multipliers(1.0)
        duals = self._linear_and_conic_multipliers(1.0)
        for quadratics in self._compiled.quadratics:
            functions = _affine_functions(
                quadratics.combined(self._compiled.form, self._solution.z), self._variables
            )
            constraints = [q.constraint for q in quadratics.constraints]
            duals.update(zip(constraints, functions, strict=True))
        return duals, _selected(zip(self._variables, costs, strict=True), None)

    def get_unbounded_ray(self) -> Mapping[Any, float]:
        """A direction of recession along which the objective improves without end.

        Raises
        ------
        NoSolutionError
            The solver ended with another termination condition than ``unbounded`` or
            ``infeasibleOrUnbounded``.
        """
        if self._solution.termination not in RAYS:
            raise NoSolutionError("There is no unbounded ray: " + self._ended())
        return _selected(zip(self._variables, self._solution.x.tolist(), strict=False), None)

    @property
    def _variables(self) -> list[Any]:
        return self._compiled.standard.variables

    def _values(self) -> list[float]:
        if self._status is SolutionStatus.noSolution:
            raise NoSolutionError()
        values: list[float] = self._solution.x[: len(self._variables)].tolist()
        return values

    def _ended(self) -> str:
        return f"the solver ended with the status {self._solution.status!r}."

    def _multipliers(self, sign: float) -> dict[Any, Any]:
        duals = self._linear_and_conic_multipliers(sign)
        for quadratics in self._compiled.quadratics:
            mu = sign * quadratics.dual(self._solution)
            constraints = [q.constraint for q in quadratics.constraints]
            duals.update(zip(constraints, mu.tolist(), strict=True))
        return duals

    def _linear_and_conic_multipliers(self, sign: float) -> dict[Any, Any]:
        compiled, z = self._compiled, self._solution.z
        form = compiled.form
        linear = sign * compiled.linear.dual(form, z)
        duals: dict[Any, Any] = dict(
            zip(compiled.standard.linear.constraints, linear.tolist(), strict=True)
        )
        for cones in compiled.cones:
            tuples = map(tuple, (sign * cones.read(form, z)).tolist())
            duals.update(zip(cones.stated.constraints, tuples, strict=True))
        return duals

    def _bound_multipliers(self, sign: float) -> list[float]:
        costs = sign * self._compiled.bounds.dual(self._compiled.form, self._solution.z)
        multipliers: list[float] = costs.tolist()
        return multipliers


def _affine_functions(rows: Rows, variables: list[Any]) -> list[AffineFunction]:
    coefficients = [ComponentMap() for _ in range(rows.size)]
    for row, col, val in zip(rows.row.tolist(), rows.col.tolist(), rows.val.tolist(), strict=True):
        if col < len(variables):
            known = coefficients[row].get(variables[col], 0.0)
            coefficients[row][variables[col]] = known + val
    return list(map(AffineFunction, coefficients, rows.constant.tolist()))


def _selected(
    items: Iterable[tuple[Any, float]], wanted: Sequence[Any] | None
) -> Mapping[Any, float]:
    values: Mapping[Any, float] = ComponentMap(items)
    if wanted is not None:
        values = ComponentMap((v, values[v]) for v in wanted)
    return values
