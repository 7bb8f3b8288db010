"""Ipopt for Pyomo: embedded, from CasADi's wheel, or the executable where there is one.

Importing this package registers the solver ``casadi_ipopt`` with both of Pyomo's factories.
"""

from rrp_pyomo.solvers.ipopt.by_executable import ExecutableIpopt, ipopt_solver
from rrp_pyomo.solvers.ipopt.executable import IpoptExecutable, find_ipopt
from rrp_pyomo.solvers.ipopt.quadratic import solve_quadratic_form
from rrp_pyomo.solvers.ipopt.solver import CasadiIpopt
from rrp_pyomo.solvers.ipopt.stand_in import casadi_ipopt_as_ipopt

__all__ = [
    "CasadiIpopt",
    "ExecutableIpopt",
    "IpoptExecutable",
    "casadi_ipopt_as_ipopt",
    "find_ipopt",
    "ipopt_solver",
    "solve_quadratic_form",
]
