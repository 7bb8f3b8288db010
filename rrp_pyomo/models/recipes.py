"""What problems of the table are made from where several have one class: a function for each.

Each takes the estimates of a market, the number that its user chooses and a weight set, and reads
as the problem is written; a line in :mod:`rrp_pyomo.models.registry` names it.
"""

from __future__ import annotations
