"""What a solver said of a model against what is true of it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from statement import Body, ConeOf, Row, Square, Statement, dual_violation, violation

INF = math.inf


class Accuracy(NamedTuple):
    """What docs/solvers.md promises, and to what a solver may relax all rows together.

    On a curved boundary a duality gap of ε determines multipliers to √ε.
    """

    value: float
    absolute: float
    dual: float
    curved_dual: float
    relaxed: float


ACCURACY = {
    "clarabel": Accuracy(1e-6, 1e-6, 1e-5, 2e-4, 1e-8),  # 1e-4 for each row, and they add up
    "casadi_ipopt": Accuracy(1e-6, 1e-6, 1e-5, 1e-4, 1e-8),
    "scs": Accuracy(1e-3, 1e-3, 1e-2, 1e-2, 1e-4),
}


#: What docs/solvers.md says of Ipopt at the apex of a cone, or as near as its tolerance is.
APEX = 1e-3


@dataclass
class Answer:
    """What a solver said, by places in the statement; NaN and None where it said nothing."""

    verdict: str
    words: str = ""
    x: list[float | None] = field(default_factory=list)
    objective: float | None = None
    bound: float | None = None
    duals: list[Any] | None = None
    cone_duals: list[Any] | None = None
    costs: list[float | None] | None = None


@dataclass
class Outcome:
    """What a case found, and what it was about."""

    findings: list[tuple[str, str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def found(self, verdict: str, kind: str, detail: object = "") -> None:
        self.findings.append((verdict, kind, str(detail)))


def judge(stated: Statement, answer: Answer, solver: str, outcome: Outcome, lorentz: bool) -> None:
    """Compare; ``lorentz`` says that cones were stated as quadratic rows."""
    accuracy = ACCURACY[solver]
    said, true = answer.verdict, stated.verdict
    outcome.counts[f"{solver} {true}"] += 1
    if said in ("optimal", "feasible"):
        if len(answer.x) != stated.size or any(v is not None and math.isnan(v) for v in answer.x):
            outcome.found("wrong", f"{solver}: {said} without values", answer)
            return
        x = _point(stated, answer.x)
        if not _is_feasible(stated, x, accuracy, solver, outcome):
            return
        if true == "infeasible":
            outcome.counts[f"{solver} infeasible by less than the tolerance"] += 1
        elif true == "unbounded" and said == "optimal":
            outcome.found("wrong", f"{solver}: optimal, but it is unbounded", answer.objective)
        elif said == "optimal":
            _judge_objective(stated, answer, x, accuracy, solver, outcome)
            _judge_duals(stated, answer, x, accuracy, solver, outcome, lorentz)
            return
    elif said in ("infeasible", "unbounded", "infeasibleOrUnbounded"):
        if {said, true} == {"infeasible", "unbounded"} and solver == "scs":
            # Feasible to three digits, and then unbounded; or the other way round.
            outcome.counts["scs ill-posed"] += 1
        elif true not in said.replace("infeasibleOrUnbounded", "infeasible unbounded"):
            outcome.found("wrong", f"{solver}: {said}, but it is {true}", answer.words)
        return
    outcome.counts[f"{solver} {true} undecided"] += 1
    outcome.counts[f"{solver} undecided: {answer.words}"] += 1


def _point(stated: Statement, values: list[float | None]) -> list[Fraction]:
    """The point; variables that nothing mentions are where their bounds allow."""
    x = []
    for i, value in enumerate(values):
        if value is None:
            value = min(max(0.0, stated.lower[i]), stated.upper[i])
        x.append(Fraction(stated.fixed.get(i, value)))
    return x


def _is_feasible(
    stated: Statement, x: list[Fraction], accuracy: Accuracy, solver: str, outcome: Outcome
) -> bool:
    worst: list[tuple[float, str, str]] = []

    def check(what: str, outside: float, terms: float, rounding: float = 0.0) -> None:
        allowed = accuracy.value * terms + accuracy.absolute + 1e-14 * rounding
        if not outside <= allowed:
            worst.append((outside / allowed, what, f"{outside:.3g} of {terms:.3g}"))

    for row in filter(lambda row: row.active, stated.rows):
        at, terms = row.body.value(x), row.body.terms(x)
        rounding = row.body.expanded(x)
        if row.lower > -INF:
            check("row", float(Fraction(row.lower) - at), terms + abs(row.lower), rounding)
        if row.upper < INF:
            check("row", float(at - Fraction(row.upper)), terms + abs(row.upper), rounding)
    for i, at in enumerate(x):
        if i in stated.fixed:
            continue
        if stated.lower[i] > -INF:
            check("bound", float(Fraction(stated.lower[i]) - at), abs(stated.lower[i]))
        if stated.upper[i] < INF:
            check("bound", float(at - Fraction(stated.upper[i])), abs(stated.upper[i]))
    for cone in stated.cones:
        outside, terms = violation(cone, [float(x[i]) for i in cone.members])
        if solver == "casadi_ipopt" and terms < APEX:
            continue
        check(cone.kind, outside, terms)
    if worst:
        _, what, detail = max(worst)
        outcome.found("wrong", f"{solver}: {what} violated", f"{detail}; {stated.kind}")
    return not worst


def _judge_objective(
    stated: Statement, answer: Answer, x: list[Fraction], accuracy: Accuracy, solver: str,
    outcome: Outcome,
) -> None:  # fmt: skip
    body = stated.objective
    at, terms, rounding = body.value(x), body.terms(x), 1e-14 * body.expanded(x)
    if answer.objective is None or not math.isfinite(answer.objective):
        outcome.found("wrong", f"{solver}: optimal without an objective", answer.objective)
        return
    said = abs(float(Fraction(answer.objective) - at))
    if said > 1e-9 * terms + rounding + 1e-9:
        outcome.found(
            "wrong", f"{solver}: reported objective", f"{answer.objective} for {float(at)}"
        )
    if stated.optimum is None:
        return
    if solver == "scs":  # has some digits of the numbers that it sees
        terms = body.expanded(x)
    tolerance = accuracy.value * terms + accuracy.absolute + rounding
    relaxed = accuracy.relaxed * stated.sensitivity
    off = abs(float(at - stated.optimum))
    if off > tolerance:
        detail = (
            f"{float(at):.10g} for {float(stated.optimum):.10g}; terms {terms:.3g}; {stated.kind}"
        )
        if off > tolerance + relaxed:
            outcome.found("wrong", f"{solver}: objective", detail)
        else:
            outcome.counts[f"{solver} ill-posed"] += 1
    if answer.bound is not None and math.isfinite(answer.bound):
        sign = -1 if stated.maximise else 1
        beyond = float(sign * (Fraction(answer.bound) - stated.optimum))
        if beyond > tolerance + relaxed:
            outcome.found(
                "wrong", f"{solver}: objective_bound", f"{answer.bound} for {float(stated.optimum)}"
            )
    elif answer.bound is not None and math.isnan(answer.bound):
        outcome.found("wrong", f"{solver}: objective_bound is NaN")


def _judge_duals(
    stated: Statement, answer: Answer, x: list[Fraction], accuracy: Accuracy, solver: str,
    outcome: Outcome, lorentz: bool,
) -> None:  # fmt: skip
    if answer.duals is None or answer.costs is None or answer.cone_duals is None:
        return
    sense = -1 if stated.maximise else 1
    is_curved = stated.cones or not all(row.body.is_linear for row in stated.rows)
    close = accuracy.curved_dual if is_curved else accuracy.dual
    rows, duals = list(stated.rows), list(answer.duals)
    cones: list[tuple[ConeOf, Any]] = []
    unknown: set[int] = set()
    for cone, dual in zip(stated.cones, answer.cone_duals, strict=True):
        if lorentz and cone.kind in ("quadratic", "rotated_quadratic"):
            rows.append(as_row(cone))
            duals.append(dual)
        elif lorentz:
            unknown |= set(cone.members)  # the multiplier of a smooth function
        else:
            cones.append((cone, dual))
    slope = stated.objective.gradient(x)
    sizes = stated.objective.gradient(x, absolute=True)
    steep = max(1.0, *(float(v) for v in sizes.values()), 0.0) if sizes else 1.0
    left = {i: Fraction(slope.get(i, 0)) for i in range(stated.size)}
    gap, own, terms = 0.0, 0.0, stated.objective.terms(x)

    def sided(what: str, multiplier: float, at: Fraction, lower: float, upper: float) -> float:
        side = lower if sense * multiplier > 0 else upper
        if math.isinf(side):
            if abs(multiplier) > close * steep:
                outcome.found(
                    "wrong",
                    f"{solver}: sign of a {what}",
                    f"{multiplier} with bounds {lower}, {upper}",
                )
            return 0.0
        return abs(float(Fraction(multiplier) * (at - Fraction(side))))

    for row, dual in zip(rows, duals, strict=True):
        if dual is None or not row.active:
            continue
        gradient = row.body.gradient(x)
        if math.isnan(dual):
            steepest = max((abs(float(g)) for g in gradient.values()), default=0.0)
            if row.body.is_linear or steepest > 1e-2:
                outcome.found(
                    "wrong", f"{solver}: dual is NaN", f"where the gradient is {steepest}"
                )
            unknown |= row.body.variables
            continue
        if not math.isfinite(dual):
            outcome.found("wrong", f"{solver}: dual is {dual}")
            return
        gap += sided("dual", dual, row.body.value(x), row.lower, row.upper)
        own += abs(dual) * row.body.expanded(x)
        for i, g in gradient.items():
            left[i] -= Fraction(dual) * g
    for cone, dual in cones:
        if dual is None:
            continue
        w = [float(v) for v in dual]
        outside = dual_violation(cone, [sense * v for v in w])
        if not outside <= close * max(steep, *(abs(v) for v in w)):
            outcome.found("wrong", f"{solver}: dual outside of the dual cone", f"{cone.kind} {w}")
        for i, v in zip(cone.members, w, strict=True):
            left[i] -= Fraction(v)
        gap += abs(float(sum(Fraction(v) * x[i] for i, v in zip(cone.members, w, strict=True))))
    for i, cost in enumerate(answer.costs):
        if cost is None or i in stated.fixed:
            continue
        gap += sided("reduced cost", cost, x[i], stated.lower[i], stated.upper[i])
        own += abs(cost * float(x[i]))
        left[i] -= Fraction(cost)
    moves = {
        i: abs(float(v)) for i, v in left.items()
        if i not in unknown and i not in stated.fixed and answer.x[i] is not None
    }  # fmt: skip
    worst = max(moves.values(), default=0.0)
    if worst > close * steep:
        outcome.found(
            "wrong", f"{solver}: stationarity", f"{worst:.3g} of {steep:.3g}; {stated.kind}"
        )
    weighted = sum(v * abs(float(x[i])) for i, v in moves.items())
    # What cancels in Σ dual ∇body is known to the last digits of its terms only.
    sensitivity = max(stated.sensitivity, own)
    allowed = close * (terms + 1.0) + 10 * accuracy.relaxed * sensitivity
    if gap + weighted > allowed and not unknown:
        outcome.found(
            "wrong", f"{solver}: complementarity",
            f"{gap:.3g} + {weighted:.3g} of {terms:.3g}; {stated.kind}",
        )  # fmt: skip


def as_row(cone: ConeOf) -> Row:
    """The quadratic row that a second-order cone is on a ConcreteModel."""
    heads = 1 if cone.kind == "quadratic" else 2
    squares = [Square(1.0, {i: 1.0}) for i in cone.members[heads:]]
    first, second = cone.members[0], cone.members[heads - 1]
    return Row(Body({}, 0.0, squares, [(-float(heads), first, second)]), -INF, 0.0)
