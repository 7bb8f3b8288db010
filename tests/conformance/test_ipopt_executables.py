"""Pyomo's own solver tests on the ``ipopt`` executables that come in wheels.

Left out are ``test_all_solvers_list``, which is about Pyomo's own registry, and the tests of
Pyomo's lists for mixed-integer and SOS solvers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from _suite import pyomo_suite
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.solvers.ipopt import ExecutableIpopt, executable

FOUND = {
    program: path
    for package, program in executable.WHEELS.items()
    if (path := executable._in_wheel(package, program))
}


def solver(program: str) -> tuple[str, type]:
    """The interface to one program; without its wheel, to none."""
    path = FOUND.get(program, str(Path("nowhere") / program))

    def begin(self: Any, **kwds: Any) -> None:
        ExecutableIpopt.__init__(self, **{"executable": path, **kwds})

    made = type(program.capitalize(), (ExecutableIpopt,), {"__init__": begin})
    return program, SolverFactory.register(program, doc=f"the executable {program}")(made)


POUNCE, RIPOPT = (solver(program) for program in executable.WHEELS.values())
BOTH = [POUNCE, RIPOPT]

suite = pyomo_suite(
    {
        "all_solvers": BOTH,
        "nlp_solvers": BOTH,
        "qcp_solvers": BOTH,
        "qp_solvers": BOTH,
        "nl_solvers": BOTH,
        "dual_solvers": [POUNCE],
    },
    excluded={
        "test_node_limit": "it tests HiGHS alone",
        r"test_objective_changes_\d_ripopt\w*": "unbounded: ripopt stops at a limit of iterations",
        r"test_presolve_with_zero_coef_\d_ripopt": "infeasible: ripopt ends with an error",
    },
    ipopt=ExecutableIpopt,
)
pytestmark = pytest.mark.skipif(len(FOUND) < 2, reason='pip install "rrp-pyomo[ipopt]"')
TestDualSignConvention = suite.TestDualSignConvention
TestSolvers = suite.TestSolvers
TestLegacySolverInterface = suite.TestLegacySolverInterface
