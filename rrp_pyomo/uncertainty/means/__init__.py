"""Sets of means, a file for each kind."""

# Operators between sets are there as soon as there is a set.
from rrp_pyomo.uncertainty.means import algebra as algebra
