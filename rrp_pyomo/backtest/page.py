"""One self-contained HTML page with tables, pictures and charts: the look of all reports."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from rrp_pyomo._files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a page is made with.
NEEDED = ("jinja2", "plotly")


class Head(NamedTuple):
    """The head of a column, and how its numbers are written: all with the same decimals.

    Parameters
    ----------
    name, unit : str
    form : str
        Of a number.
    factor : float
        By which it is multiplied first, such as 100 for per cent.
    """

    name: str
    unit: str
    form: str = "{}"
    factor: float = 1.0

    def written(self, value: Any) -> str:
        """A value as the table shows it."""
        if pd.isna(value):
            return ""
        if isinstance(value, str):
            return value.replace("_", " ") if self.unit == WORDS else value
        return self.form.format(value * self.factor if self.factor != 1.0 else value)


# The unit of columns of words, which are written from the left.
WORDS = ""


@dataclass
class Page:
    """A page that grows part by part."""

    title: str
    _parts: list[dict[str, Any]] = field(default_factory=list)

    def text(self, paragraph: str) -> None:
        """Add a paragraph."""
        self._parts.append({"kind": "text", "text": paragraph})

    def heading(self, text: str) -> None:
        """Add a heading."""
        self._parts.append({"kind": "heading", "text": text})

    def table(self, table: pd.DataFrame, heads: Mapping[str, Head], index: Head) -> None:
        """Add a table: its index, then its columns, each of which has a head."""
        columns = [(index, table.index), *((heads[str(name)], table[name]) for name in table)]
        cells = [[head.written(value) for value in values] for head, values in columns]
        self._parts.append(
            {
                "kind": "table",
                "label": self._parts[-1]["text"] if self._parts else self.title,
                "heads": [
                    {"name": head.name, "unit": head.unit, "words": head.unit == WORDS}
                    for head, _ in columns
                ],
                "rows": list(zip(*cells, strict=True)),
            }
        )

    def figure(
        self, figure: Figure, caption: str, folder: Path, name: str, charts: Sequence[str] = ()
    ) -> None:
        """Add a figure, also written to the folder as ``name.png`` and ``name.svg``.

        Where there are charts of it, made by :mod:`rrp_pyomo.backtest.charts`, the picture is
        folded away below them.
        """
        png = _saved(figure, "png", dpi=130, metadata={"Software": None})
        write_atomically(folder / f"{name}.png", png)
        write_atomically(folder / f"{name}.svg", _saved(figure, "svg", metadata={"Date": None}))
        picture = base64.b64encode(png).decode()
        self._parts.append(
            {"kind": "figure", "caption": caption, "png": picture, "charts": list(charts)}
        )

    def write(self, path: Path) -> None:
        """Write the page, with the library that draws its charts where it has any."""
        from jinja2 import Environment, PackageLoader

        loader = PackageLoader("rrp_pyomo.backtest", ".")
        template = Environment(
            loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
        ).get_template("page.html.j2")
        drawn = any(part.get("charts") for part in self._parts)
        script = _plotly() if drawn else ""
        page = template.render(title=self.title, parts=self._parts, plotly=script)
        write_atomically(path, page.encode())


def _plotly() -> str:
    """The library's own file, to stand on the page."""
    source = resources.files("plotly").joinpath("package_data/plotly.min.js")
    return source.read_text(encoding="utf-8")


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    """The figure as a file; the same figure always gives the same bytes."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "rrp", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()
