"""What constraints cost: dual variables as bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rrp_pyomo.errors import InputError, UnknownLabelError, require_kind
from rrp_pyomo.figures.slide import panels, slide, title
from rrp_pyomo.plots import BLACK, BLUE, PLAIN, VERMILION
from rrp_pyomo.solve.solution import ProgramSolution

# So many bars can be read.
_MOST = 12


@slide
def dual_prices(solution: ProgramSolution, names: Iterable[str] | None = None) -> Figure:
    """The largest dual variables of a solved program: what one more unit of a constraint is worth.

    A dual is ∂objective/∂(left − right) of its constraint, in units of the objective over units of
    the constraint; see :class:`~rrp_pyomo.solve.solution.ProgramSolution` for the sign.

    Parameters
    ----------
    solution : ProgramSolution
        Of :func:`~rrp_pyomo.solve_program`, by a solver that has duals.
    names : iterable of str, optional
        Constraints; all by default. The twelve largest duals are drawn.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        No solution, one without duals, no duals to draw.
    UnknownLabelError
        No constraint of that name.

    References
    ----------
    Boyd & Vandenberghe (2004), Convex optimization, section 5.6.

    Examples
    --------
    >>> from rrp_pyomo import Program, solve_program
    >>> from rrp_pyomo.figures import dual_prices
    >>> program = Program("diet")
    >>> x = program.variable("x", ["bread", "milk"], lower=0)
    >>> program.minimize(2 * x["bread"] + 3 * x["milk"])
    >>> program.subject_to(energy=4 * x["bread"] + 3 * x["milk"] >= 12, some=x["milk"] >= 1)
    >>> figure = dual_prices(solve_program(program))
    >>> figure.savefig("prices.svg")
    >>> print(figure.get_suptitle())
    Most is to be had from some: 1.5 of the objective per unit
    """
    require_kind(solution, ProgramSolution, "solution", "such as solve_program(program)")
    if solution.duals is None:
        raise InputError(
            f"the solution of {solution.solver} has no duals; solve with 'clarabel' or "
            "'casadi_ipopt'"
        )
    found = pd.Series(dict(_flat(solution.duals, names)), dtype=float).dropna()
    if found.empty:
        raise InputError(
            f"the solution of {solution.solver} has no duals of these constraints; give the names "
            "of others"
        )
    shown = found.loc[found.abs().sort_values(ascending=False, kind="stable").index[:_MOST]]
    figure, (axes,) = panels()
    place = np.arange(len(shown))
    colours = [BLUE if value >= 0 else VERMILION for value in shown]
    bars = axes.barh(place, shown.to_numpy(), height=min(0.8, 0.16 * len(shown)), color=colours)
    least = 1e-6 * found.abs().max()  # what an interior point method leaves of 0 is below
    axes.bar_label(
        bars, [f" {value if abs(value) > least else 0.0:.3g} " for value in shown], fontsize=12
    )
    axes.axvline(0.0, color=BLACK, lw=0.8)
    axes.set_yticks(place, list(shown.index), **PLAIN)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.margins(x=0.15)
    axes.set_xlabel("dual: change of the objective per unit of the constraint")
    zero = int((found.abs() <= least).sum())
    title(
        figure,
        f"Most is to be had from {shown.index[0]}: {shown.iloc[0]:.3g} of the objective per unit"
        + (f"; {zero} of {len(found)} constraints cost nothing" if zero else ""),
    )
    return figure


def _flat(duals: Mapping[str, Any], names: Iterable[str] | None) -> Iterator[tuple[str, float]]:
    """Name and label with their numbers."""
    for name in duals if names is None else names:
        if name not in duals:
            raise UnknownLabelError("constraint", name, duals)
        yield from _entries(name, duals[name])


def _entries(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for part, numbers in value.items():
            yield from _entries(f"{name}.{part}", numbers)
    elif isinstance(value, pd.Series):
        yield from ((f"{name}[{label}]", float(number)) for label, number in value.items())
    else:
        yield name, float(value)
