"""How accurate answers of several solvers are, by the certificate of each."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rrp_pyomo.errors import (
    InputError,
    RiskParityWarning,
    SolverError,
    SolverUnavailableError,
    brief,
)
from rrp_pyomo.figures.slide import panels, slide, title
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.plots import BLACK, BLUE, PLAIN
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

# Smaller ones are rounding; the axis begins there.
_FLOOR = 1e-17
# What certificates say about accuracy, all of it relative.
_MEASURES = {
    "largest_deviation": "deviation from budgets",
    "stationarity": "missing stationarity",
    "relative_duality_gap": "duality gap",
    "relative_gap": "gap",
    "infeasibility": "infeasibility",
    "largest_residual": "infeasibility",
    "primal_residual": "infeasibility",
    "dual_residual": "dual infeasibility",
}


@slide
def solver_accuracy(problem: PortfolioProblem | Program, solvers: Iterable[Any]) -> Figure:
    """What the certificate says of the answers of several solvers, or of one at several tolerances.

    Parameters
    ----------
    problem : portfolio problem, or a Program
        Its certificates are computed from the data, whatever the solver says: for (3), (4) and (11)
        the largest deviation of a relative contribution from its budget, for others the largest
        of gaps and residuals, all of them relative.
    solvers : iterable of str, or of tuples of str and dict; or a mapping from names to these
        Solvers and their options: ``["newton", ("clarabel", {"tol_gap_rel": 1e-4})]``.

    Returns
    -------
    Figure
        A bar for each, on a logarithmic axis; a solver that fails has its reason there.

    Raises
    ------
    InputError
        No such problem, or no solvers.
    UnknownLabelError, SolverUnavailableError
        A solver or option that nobody knows, or a solver that is not installed.

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance, RiskParitySOCP
    >>> from rrp_pyomo.figures import solver_accuracy
    >>> problem = RiskParitySOCP(DenseCovariance([[0.04, 0.006], [0.006, 0.01]]))
    >>> figure = solver_accuracy(problem, ["newton", ("clarabel", {"tol_gap_rel": 1e-4})])
    >>> figure.savefig("accuracy.svg")
    >>> figure.get_suptitle().split()[0]
    'newton'
    """
    if not isinstance(problem, (PortfolioProblem, Program)):
        raise InputError(
            f"problem is {brief(problem)}; expected a problem such as RiskParitySOCP(covariance), "
            "or a Program"
        )
    found = {name: _solved(problem, solver, options) for name, solver, options in _listed(solvers)}
    measured = {name: value for name, (value, _) in found.items() if value is not None}
    figure, (axes,) = panels()
    high = 10.0 * max([*measured.values(), 1e-3])
    middle = np.sqrt(_FLOOR * high)
    for place, (value, told) in enumerate(found.values()):
        end = _FLOOR if value is None else max(value, _FLOOR)
        axes.barh(place, end - _FLOOR, left=_FLOOR, height=0.6, color=BLUE)
        inside = end > middle
        axes.text(
            end, place, f" {told} ", va="center", ha="right" if inside else "left",
            color="white" if inside else BLACK,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(_FLOOR, high)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_yticks(range(len(found)), list(found), **PLAIN)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("largest of what the certificate finds (relative)")
    title(figure, _message(measured))
    return figure


def _listed(solvers: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, solver and options of each."""
    if (
        isinstance(solvers, str)
        or not isinstance(solvers, Iterable)
        or not (given := list(solvers))
    ):
        raise InputError(f"solvers is {brief(solvers)}; expected a list, such as ['clarabel']")
    for name in given:
        entry = solvers[name] if isinstance(solvers, Mapping) else name
        solver, options = (entry, {}) if isinstance(entry, str) else _pair(entry)
        said = "\n".join(f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
                         for key, value in options.items())  # fmt: skip
        own = f"{solver}\n{said}" if said else solver
        yield str(name) if isinstance(solvers, Mapping) else own, solver, options


def _pair(entry: Any) -> tuple[str, dict[str, Any]]:
    if (
        isinstance(entry, tuple)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and isinstance(entry[1], Mapping)
    ):
        return entry[0], dict(entry[1])
    raise InputError(
        f"a solver is {brief(entry)}; expected its name, or name and options, such as "
        "('clarabel', {'tol_gap_rel': 1e-4})"
    )


def _solved(
    problem: PortfolioProblem | Program, solver: str, options: dict[str, Any]
) -> tuple[float | None, str]:
    """The largest of what the certificate measures, and what to say of it."""
    try:
        with warnings.catch_warnings():
            # That the answer is not accurate is what the figure shows.
            warnings.simplefilter("ignore", RiskParityWarning)
            answer: Any = (
                solve_program(problem, solver, **options)
                if isinstance(problem, Program)
                else problem.solve(solver, **options)
            )
            certificate = answer.certificate
    except SolverUnavailableError:
        raise
    except SolverError as error:
        return None, f"failed: {str(error).split(';')[0][:60]}"
    values = {
        measure: abs(float(value))
        for name, measure in _MEASURES.items()
        if (value := getattr(certificate, name, None)) is not None and np.isfinite(value)
    }
    if not values:
        return None, "its certificate measures nothing"
    worst = max(values, key=values.__getitem__)
    return values[worst], f"{values[worst]:.1e}  {worst}"


def _message(measured: dict[str, float]) -> str:
    if not measured:
        return "No solver has an answer"
    best, worst = (pick(measured, key=measured.__getitem__) for pick in (min, max))
    if best == worst:
        return f"{best}: accurate to {measured[best]:.1e}"
    return (
        f"{' '.join(best.splitlines())} is accurate to {measured[best]:.0e}, "
        f"{' '.join(worst.splitlines())} to {measured[worst]:.0e} only"
    )
