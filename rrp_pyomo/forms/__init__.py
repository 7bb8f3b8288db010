"""What a statement becomes outside Pyomo: conic and quadratic forms, plain numbers."""

from rrp_pyomo.forms.conic import Cone, ConicForm
from rrp_pyomo.forms.quadratic import QuadraticForm

__all__ = ["Cone", "ConicForm", "QuadraticForm"]
