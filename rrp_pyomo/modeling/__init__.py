"""How a problem is stated: arrays of variables, expressions, named constraints, one program."""

from rrp_pyomo.forms.conic import Cone, ConicForm
from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.modeling.expressions import (
    Affine,
    Norm,
    Quadratic,
    Variable,
    norm,
    square,
    sum_squares,
)
from rrp_pyomo.modeling.program import Program

__all__ = [
    "Affine",
    "Cone",
    "ConicForm",
    "Norm",
    "Program",
    "Quadratic",
    "QuadraticForm",
    "Variable",
    "norm",
    "square",
    "sum_squares",
]
