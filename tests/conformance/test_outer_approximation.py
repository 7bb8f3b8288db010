"""Pyomo's own solver tests on the outer approximation, those with integers among them."""

from __future__ import annotations

from _suite import pyomo_suite

from rrp_pyomo.solvers.outer_approximation.solver import OuterApproximation

SOLVER = [("outer_approximation", OuterApproximation)]

# Lists that are not named here are of tests with nonlinear functions or SOS constraints.
suite = pyomo_suite(
    lists={
        "all_solvers": SOLVER,
        "dual_solvers": SOLVER,
        "qp_solvers": SOLVER,
        "qcp_solvers": SOLVER,
        "mip_solvers": SOLVER,
        "miqcqp_solvers": SOLVER,
    },
    excluded={"test_node_limit": "it tests HiGHS alone"},
)
# Left out: test_all_solvers_list, which counts the solvers that come with Pyomo.
globals().update({name: case for name, case in vars(suite).items() if name.startswith("Test")})
