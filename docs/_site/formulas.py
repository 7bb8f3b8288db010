"""Formulas in plain text, such as ``x_i (Σx)_i ≤ e^{−u/t}``: the site sets indices and powers.

Pages and docstrings stay as they are read elsewhere.
"""

from __future__ import annotations

import re

BRACES = r"\{(?:[^{}]|\{[^{}]*\})*\}"
INDEX = r"max|min|ref|year|benchmark|[a-z]{1,3}(?![a-z_])|[A-Z]{1,2}(?![A-Za-z_])|\d+|[Α-ω∞*]"
POWER = r"\([^()]{1,8}\)|\d+|[A-Za-z](?![A-Za-z])|[Α-ω½∞*]"
# Behind one letter or a known word, but not behind a longer name, which is that of an argument.
BEFORE = (
    r"(?:(?<![A-Za-z0-9_.][A-Za-z])(?<=[A-Za-z])|(?<=max)|(?<=min)|(?<=mean)|(?<=VaR)|(?<=SE)"
    r"|(?<=RC)|(?<=term)|(?<=[)\]}|‖*⁰²³½ℓ\u0300-\u036fΑ-ω])|(?<=\S)(?=\^))"
)
SCRIPT = re.compile(rf"_({BRACES}|{INDEX})|\^({BRACES}|{POWER})")
SCRIPTS = re.compile(rf"{BEFORE}(?:{SCRIPT.pattern})+")


def with_scripts(text: str) -> str:
    """The text, which is HTML already, with what is behind ``_`` below and behind ``^`` above."""

    def script(found: re.Match[str]) -> str:
        tag = "sub" if found[1] else "sup"
        inner = (found[1] or found[2]).removeprefix("{").removesuffix("}")
        return f"<{tag}>{with_scripts(inner)}</{tag}>"

    return SCRIPTS.sub(lambda found: SCRIPT.sub(script, found[0]), text)
