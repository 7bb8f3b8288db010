"""Figures for lessons, slides and reports, drawn from your own data.

Every function returns a matplotlib figure of 16:9, with texts of 12 points and more; save it with
``figure.savefig("name.svg")``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrp_pyomo._lazy import exports

if TYPE_CHECKING:
    from rrp_pyomo.figures.accuracy import solver_accuracy as solver_accuracy
    from rrp_pyomo.figures.bars import contributions as contributions
    from rrp_pyomo.figures.bars import estimation_errors as estimation_errors
    from rrp_pyomo.figures.bounds import binding_bound as binding_bound
    from rrp_pyomo.figures.landscapes import log_barrier as log_barrier
    from rrp_pyomo.figures.paths import frontiers as frontiers
    from rrp_pyomo.figures.paths import omega_path as omega_path
    from rrp_pyomo.figures.paths import relative_wealth as relative_wealth
    from rrp_pyomo.figures.prices import dual_prices as dual_prices
    from rrp_pyomo.figures.traps import trap_landscape as trap_landscape
    from rrp_pyomo.figures.worst import worst_distribution as worst_distribution
    from rrp_pyomo.figures.worst import worst_point as worst_point

__all__, __getattr__, __dir__ = exports(
    __name__,
    {
        "accuracy": ("solver_accuracy",),
        "bars": ("contributions", "estimation_errors"),
        "bounds": ("binding_bound",),
        "landscapes": ("log_barrier",),
        "paths": ("frontiers", "omega_path", "relative_wealth"),
        "prices": ("dual_prices",),
        "slide": (),
        "traps": ("trap_landscape",),
        "worst": ("worst_distribution", "worst_point"),
    },
)
