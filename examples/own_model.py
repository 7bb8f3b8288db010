"""A model that is not in the paper, stated in arrays and solved through three realisations.

Robust mean-variance choice when the mean is known only within ‖μ − μ̂‖₂ ≤ δ:

    maximise  w'μ̂ − δ‖w‖₂ − (λ/2) w'Σ̂w   subject to  1'w = 1,  w ≥ 0.
"""

import numpy as np
from pyomo.environ import SolverFactory, value

from rrp_pyomo import FactorModel, Program, norm, solve_program, sum_squares
from rrp_pyomo.data import datasets

data = datasets.french()
model = FactorModel.fit(data.returns, data.factors)
mu = model.expected_returns
delta, risk_aversion = 0.005, 4.0

# The statement. In Pyomo's blocks a variable bounds norm(w), and the objective makes it small.
program = Program("robust_mean_variance")
w = program.variable("w", model.labels, lower=0)
variance = sum_squares(model.covariance.root @ w)
program.maximize(mu @ w - delta * norm(w) - risk_aversion / 2 * variance)
program.subject_to(fully_invested=w.sum() == 1)

# One statement, three realisations: matrices and cones, a kernel block, an environ block.
solution = solve_program(program, "clarabel")
answers = {"conic form": (solution.objective, solution.arrays["w"])}
for kind, block in (("kernel block", program.kernel()), ("environ block", program.block())):
    SolverFactory("clarabel").solve(block)
    answers[kind] = value(block.objective), np.array([value(block.w[a]) for a in model.labels])

# The optimality condition from the data: with c = μ̂ − δ w/‖w‖ − λ Σ̂w and the objective's
# multiplier ν, no asset has c > ν, and those in the portfolio have c = ν.
for kind, (objective, weights) in answers.items():
    length = np.linalg.norm(weights)
    c = mu - delta * weights / length - risk_aversion * (model.covariance.operator @ weights)
    slack = c.max() - weights @ c
    held = int((weights > 1e-4).sum())
    print(f"{kind:14s} objective {objective:.9f}, {held} assets, optimal to {slack:.1e}")
