"""Pyomo's own solver tests on Clarabel, through the new and the legacy interface."""

from __future__ import annotations

from _suite import pyomo_suite

from rrp_pyomo.solvers.conic import Clarabel

CLARABEL = [("clarabel", Clarabel)]

# Lists that are not named here are of tests with integer variables, nonlinear functions or SOS
# constraints, which no conic solver takes.
suite = pyomo_suite(
    lists={
        "all_solvers": CLARABEL,
        "dual_solvers": CLARABEL,
        "qp_solvers": CLARABEL,
        "qcp_solvers": CLARABEL,
    },
    excluded={"test_node_limit": "it tests HiGHS on an integer model"},
)
# Left out: test_all_solvers_list, which counts the solvers that come with Pyomo.
globals().update({name: case for name, case in vars(suite).items() if name.startswith("Test")})
