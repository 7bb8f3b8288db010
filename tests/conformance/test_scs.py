"""Pyomo's own solver tests on SCS, through the new and the legacy interface.

The tests compare to seven decimals, so SCS is asked for more accuracy than it aims at by default.
"""

from __future__ import annotations

from typing import Any

from _suite import pyomo_suite
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.solvers.conic import Scs


@SolverFactory.register("scs_accurate")
class AccurateScs(Scs):
    """SCS with tolerances that the tests' comparisons to seven decimals can hold."""

    def __init__(self, **kwds: Any) -> None:
        super().__init__(**kwds)
        self.config.solver_options.set_value({"eps_abs": 1e-9, "eps_rel": 1e-9})


SCS = [("scs_accurate", AccurateScs)]

suite = pyomo_suite(
    lists={"all_solvers": SCS, "dual_solvers": SCS, "qp_solvers": SCS, "qcp_solvers": SCS},
    excluded={"test_node_limit": "it tests HiGHS on an integer model"},
)
# Left out: test_all_solvers_list, which counts the solvers that come with Pyomo.
globals().update({name: case for name, case in vars(suite).items() if name.startswith("Test")})
