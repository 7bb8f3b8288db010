"""How a problem is stated: arrays of variables, expressions, terms, cones, named constraints."""

from rrp_pyomo._lazy import moved
from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.modeling import cones as cones
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.cones import Cone
from rrp_pyomo.modeling.constraints import InCone
from rrp_pyomo.modeling.expressions import Affine, stack
from rrp_pyomo.modeling.statement import Statement
from rrp_pyomo.modeling.symbols import Parameter, Variable
from rrp_pyomo.modeling.terms import (
    abs,
    cvar,
    entropy,
    exp,
    geometric_mean,
    log,
    log_sum_exp,
    maximum,
    norm,
    positive,
    power,
    quad_over_lin,
    relative_entropy,
    square,
    sum_squares,
    variance,
    worst_case,
)

__all__ = [
    "Affine",
    "Composite",
    "Cone",
    "ConicForm",
    "InCone",
    "Parameter",
    "QuadraticForm",
    "Statement",
    "Variable",
    "abs",
    "cones",
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
    "stack",
    "sum_squares",
    "variance",
    "worst_case",
]

__getattr__ = moved(__name__)
