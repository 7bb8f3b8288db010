"""Pyomo's own solver tests on ``casadi_ipopt``, by both ways of reading a model.

Left out are ``test_all_solvers_list``, which is about Pyomo's own registry, and the tests of
Pyomo's lists for mixed-integer and SOS solvers, which Ipopt is none of.
"""

from __future__ import annotations

from _suite import pyomo_suite
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.solvers.ipopt import CasadiIpopt
from rrp_pyomo.solvers.ipopt.solver import CasadiIpoptConfig


@SolverFactory.register("casadi_ipopt_nl", doc="Embedded Ipopt, always through the .nl file")
class ThroughNl(CasadiIpopt):
    """The solver on the route that it takes for general nonlinear models."""

    CONFIG = CasadiIpoptConfig()
    CONFIG.route = "nl"


AS_CONFIGURED = ("casadi_ipopt", CasadiIpopt)
THROUGH_NL = ("casadi_ipopt_nl", ThroughNl)
BOTH = [AS_CONFIGURED, THROUGH_NL]

suite = pyomo_suite(
    {
        "all_solvers": BOTH,
        "nlp_solvers": BOTH,
        "qcp_solvers": BOTH,
        "qp_solvers": BOTH,
        "dual_solvers": BOTH,
        "nl_solvers": [THROUGH_NL],
    },
    excluded={
        "test_node_limit": "is about HiGHS alone",
        "test_external_function": "CasADi's reader of .nl has no external functions: refused",
    },
    ipopt=CasadiIpopt,
)
TestDualSignConvention = suite.TestDualSignConvention
TestSolvers = suite.TestSolvers
TestLegacySolverInterface = suite.TestLegacySolverInterface
