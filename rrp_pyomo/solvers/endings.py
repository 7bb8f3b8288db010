"""Why a model was not solved, in terms of its components."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pyomo.core.base.block import BlockData

#: So many names of components tell a story; more are a list.
_MOST = 6

#: An attribute of blocks: what to say where no point satisfies a constraint whose name begins so.
NOTES = "infeasibility_notes"


def contradiction(told: str, parts: Iterable[tuple[str, Any]]) -> str:
    """What is told of the constraints and bounds that no point satisfies.

    Parameters
    ----------
    told : str
        With a place for their names.
    parts : iterable of (str, component)
        What is meant of the component, such as "bounds of", and it; rows of one constraint are
        mentioned once.
    """
    families: dict[tuple[str, str], list[Any]] = {}
    for what, component in parts:
        families.setdefault((what, family(component)), []).append(component)
    names = [
        what + repr(name if len(members) > 1 else members[0].name)
        for (what, name), members in families.items()
    ]
    more = " and more" if len(names) > _MOST else ""
    notes = {note for members in families.values() for note in _notes(members[0])}
    return "; ".join([told.format(", ".join(names[:_MOST]) + more), *sorted(notes)])


def family(component: Any) -> str:
    """The name of a component without its index: ``parity.marginal_risk`` for each of its rows."""
    return re.sub(r"(?<=.)\[[^\[\]]*\]$", "", str(component.name))


def strangers(model: Any, variables: Sequence[Any]) -> str:
    """That variables do not belong to the model; empty where all do, and for kernel models.

    Whoever replaces a block has an objective that still mentions the old one: its variables are
    left, its constraints are gone.
    """
    if not isinstance(model, BlockData):
        return ""
    root = model.model()
    outside = {family(v): v for v in variables if v.model() is not root}
    if not outside:
        return ""
    names = ", ".join(map(repr, list(outside)[:_MOST]))
    more = " and more" if len(outside) > _MOST else ""
    return (
        f"variables outside the model are mentioned in it: {names}{more}; does the objective, or a "
        "constraint, still mean a block that has been removed?"
    )


def _notes(component: Any) -> Iterator[str]:
    """What the block of a component has to say about it."""
    name, block = family(component).rpartition(".")[-1], component
    while block is not None and not hasattr(block, NOTES):
        up = getattr(block, "parent_block", None)
        block = up() if up is not None else getattr(block, "parent", None)
    for beginning, note in getattr(block, NOTES, {}).items():
        if name.startswith(beginning):
            yield note
