"""The terms of the language: what may stand beside the affine part of a side or an objective."""

from rrp_pyomo.modeling.composite import square
from rrp_pyomo.modeling.terms.logarithms import entropy, exp, log, log_sum_exp, relative_entropy
from rrp_pyomo.modeling.terms.maxima import maximum, positive
from rrp_pyomo.modeling.terms.means import geometric_mean
from rrp_pyomo.modeling.terms.norms import abs, norm
from rrp_pyomo.modeling.terms.powers import power
from rrp_pyomo.modeling.terms.risk import cvar
from rrp_pyomo.modeling.terms.squares import quad_over_lin, sum_squares
from rrp_pyomo.modeling.terms.worst_case import variance, worst_case

__all__ = [
    "abs",
    "cvar",
    "entropy",
    "exp",
    "geometric_mean",
    "log",
    "log_sum_exp",
    "maximum",
    "norm",
    "positive",
    "power",
    "quad_over_lin",
    "relative_entropy",
    "square",
    "sum_squares",
    "variance",
    "worst_case",
]
