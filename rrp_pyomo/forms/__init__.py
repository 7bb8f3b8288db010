"""What a statement becomes outside Pyomo: conic and quadratic forms, plain numbers."""

from typing import TYPE_CHECKING

from rrp_pyomo._lazy import exports

if TYPE_CHECKING:
    from rrp_pyomo.forms.conic import Cone as Cone
    from rrp_pyomo.forms.conic import ConicForm as ConicForm
    from rrp_pyomo.forms.problem_classes import Takes as Takes
    from rrp_pyomo.forms.quadratic import QuadraticForm as QuadraticForm

# Imported on first use: the table of solvers names classes of problems and nothing else.
__all__, __getattr__, __dir__ = exports(
    __name__,
    {
        "conic": ("Cone", "ConicForm"),
        "problem_classes": ("Takes",),
        "quadratic": ("QuadraticForm",),
    },
)
