"""How statements are written: the notation of expressions as text and as LaTeX.

A notation is a string (a name), a number, or a tuple ``(operation, depth, *operands)``. Expressions
keep theirs beside their coefficients, so that a program reads the way it was stated.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Notation: TypeAlias = Any

#: Beyond this, a sum in a loop say, an expression is written by the names of its variables.
MOST_NESTED = 12

_PRECEDENCE = {"+": 1, "-": 1, "neg": 2, "*": 3, "/": 3, "@": 3}
_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta",
    "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega",
}  # fmt: skip
_LATEX_FUNCTIONS = {
    "norm": r"\lVert {0} \rVert_2", "norm1": r"\lVert {0} \rVert_1",
    "norminf": r"\lVert {0} \rVert_\infty", "abs": r"\lvert {0} \rvert",
    "square": r"\left({0}\right)^2", "sum_squares": r"\lVert {0} \rVert_2^2",
    "exp": r"\exp\left({0}\right)", "log": r"\log\left({0}\right)",
    "positive": r"\left({0}\right)_+", "maximum": r"\max\left({0}\right)",
    "worst_case": r"\operatorname{{worst\ case}}\left({0}\right)",
    "quad_over_lin": r"\frac{{\lVert {0} \rVert_2^2}}{{{1}}}",
}  # fmt: skip


def joined(operation: str, *operands: Notation) -> Notation:
    """The notation of an operation; None where it gets too long or an operand has none."""
    depth = 0
    for operand in operands:
        if operand is None:
            return None
        if type(operand) is tuple and operand[1] > depth:
            depth = operand[1]
    return None if depth >= MOST_NESTED else (operation, depth + 1, *operands)


def of_numbers(value: Any, name: str | None = None) -> Notation:
    """Of a number, an array or something that has a name."""
    name = name or getattr(value, "name", None)
    if isinstance(name, str):
        return name
    if isinstance(value, (float, int, np.number)) or (
        type(value) is np.ndarray and value.ndim == 0
    ):
        return float(value)
    shape = np.shape(getattr(value, "operator", value))  # a covariance's
    return "[" + "×".join(map(str, shape or (1,))) + "]"


def text(notation: Notation) -> str:
    """Plain text, such as ``norm(Delta @ x) - 5 * y``."""
    match notation:
        case str():
            return notation
        case float() | int():
            return f"{notation:.6g}"
        case ("+", _, a, b):
            return f"{text(a)} + {text(b)}"
        case ("-", _, a, b):
            return f"{text(a)} - {_wrapped(text, b, 2)}"
        case ("neg", _, a):
            return f"-{_wrapped(text, a, 2)}"
        case ("*" | "/" | "@" as sign, _, a, b):
            return f"{_wrapped(text, a, 3)} {sign} {_wrapped(text, b, 4)}"
        case ("[]", _, a, key):
            return f"{_wrapped(text, a, 5)}[{key}]"
        case ("sum", _, a):
            return f"{_wrapped(text, a, 5)}.sum()"
        case (name, _, *arguments):
            return f"{name}({', '.join(map(text, arguments))})"
    return str(notation)


def latex(notation: Notation) -> str:
    """LaTeX without its dollars."""
    match notation:
        case str():
            return _latex_name(notation)
        case float() | int():
            return _latex_number(notation)
        case ("+", _, a, b):
            return f"{latex(a)} + {latex(b)}"
        case ("-", _, a, b):
            return f"{latex(a)} - {_wrapped(latex, b, 2)}"
        case ("neg", _, a):
            return f"-{_wrapped(latex, a, 2)}"
        case ("*", _, a, b):
            return rf"{_wrapped(latex, a, 3)} \, {_wrapped(latex, b, 3)}"
        case ("@", _, a, b):
            return rf"{_wrapped(latex, a, 3)} {_wrapped(latex, b, 3)}"
        case ("/", _, a, b):
            return rf"\frac{{{latex(a)}}}{{{latex(b)}}}"
        case ("[]", _, a, key):
            return rf"{_wrapped(latex, a, 5)}_{{\mathrm{{{escaped(str(key))}}}}}"
        case ("sum", _, a):
            return rf"\mathbf{{1}}^\top {_wrapped(latex, a, 3)}"
        case (name, _, *arguments):
            written = [latex(a) for a in arguments]
            if name in _LATEX_FUNCTIONS and name != "quad_over_lin":
                return _LATEX_FUNCTIONS[name].format(", ".join(written))
            if name == "quad_over_lin":
                return _LATEX_FUNCTIONS[name].format(*written)
            return rf"\operatorname{{{escaped(name)}}}\left({', '.join(written)}\right)"
    return str(notation)


def _wrapped(write: Any, notation: Notation, least: int) -> str:
    """In parentheses where its own operation binds less than that."""
    binds = 9
    if type(notation) is tuple:
        binds = _PRECEDENCE.get(notation[0], 9)
    elif isinstance(notation, float) and notation < 0:
        binds = 2
    written: str = write(notation)
    if binds >= least:
        return written
    return rf"\left({written}\right)" if write is latex else f"({written})"


def _latex_name(name: str) -> str:
    """A letter or a Greek one with what follows as its index; other names are written out."""
    if name.startswith("["):
        return rf"[{name[1:-1]}]".replace("×", r" \times ")
    if not name.isidentifier():
        return rf"\text{{{escaped(name)}}}"
    head, _, tail = name.partition("_")
    if head not in _GREEK and len(head) > 1:
        return rf"\mathrm{{{escaped(name)}}}"
    written = f"\\{head}" if head in _GREEK else head
    return written + (rf"_{{\mathrm{{{escaped(tail)}}}}}" if tail else "")


def _latex_number(number: float) -> str:
    mantissa, _, exponent = f"{number:.6g}".partition("e")
    return mantissa if not exponent else rf"{mantissa} \cdot 10^{{{int(exponent)}}}"


def escaped(words: str) -> str:
    """Words with TeX's special characters as they are."""
    return "".join(f"\\{c}" if c in "_&%#${}" else c for c in words.replace("\\", ""))
