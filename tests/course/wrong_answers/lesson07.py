"""Typical wrong answers to the exercises of lesson 7."""

import numpy as np

WRONG = [
    ("7.1", lambda e: e["loadings"], "without any error"),
    ("7.1", lambda e: e["loadings"] + e["standard_errors"], "negatively correlated"),
    ("7.1", lambda e: e["loadings"] + 2 * e["standard_errors"], "more than its standard error"),
    (
        "7.1",
        lambda e: e["loadings"] + np.sign(e["loadings"]) * e["standard_errors"],
        "the same sign",
    ),
    ("7.1", lambda e: e["loadings"].T, "should be 2 × 3"),
    ("7.1", lambda e: e["loadings"] - e["standard_errors"], "try all signs"),
    ("7.2", lambda e: e["nominal"].loc["B"], "u = 0"),
    ("7.2", lambda e: e["nominal"].loc["B"] - e["perturbation"].loc["B"], "corner of the box"),
    ("7.2", lambda e: _row(e, 1.0), "largest marginal risk"),
    ("7.2", lambda e: _row(e, -np.sqrt(3)), "√n times too far"),
    ("7.2", lambda e: _row(e, -0.5), "can be had"),
    ("7.2", lambda e: e["nominal"].loc["B"] - 5 * e["weights"], "which is more than 1"),
    ("7.3", lambda e: 2.529822, "that is Ω_max"),
    ("7.3", lambda e: 5.175292 / np.sqrt(2), "√n is missing"),
    ("7.3", lambda e: 1.236645, "do not multiply"),
    ("7.3", lambda e: 4, "on one side of some x"),
    ("7.4", lambda e: 0, "kink"),
    ("7.4", lambda e: 2 + np.sqrt(5), "1 + k"),
    ("7.4", lambda e: 2, "1/n is missing"),
    ("7.4", lambda e: 1, "begins to move"),
    ("7.4", lambda e: -2, "not positive"),
]


def _row(e, times):
    change = e["perturbation"] @ e["weights"]
    u = times * change / np.linalg.norm(change)
    return e["nominal"].loc[e["asset"]] + e["Omega"] / np.sqrt(3) * e["perturbation"] @ u
