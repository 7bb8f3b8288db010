"""Check a built site: ``python docs/_site/links.py out/site``.

Every link within it leads to a file and to an anchor that is there; every picture, script and style
is part of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


@dataclass
class Page(HTMLParser):
    """What a page names, and what it can be named by."""

    path: Path
    targets: list[tuple[str, bool]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=lambda: {"", "top"})

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value or "")
            elif value and ((tag, name) in LOADED or (tag, name) == ("a", "href")):
                self.targets.append((value, tag != "a"))


def faults(site: Path) -> Iterator[str]:
    """What leads nowhere or is loaded from elsewhere, by page."""
    page = cache(Page)
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.parts:
            continue
        for target, is_loaded in dict.fromkeys(page(path).targets):
            if wrong := _wrong(path, target, is_loaded, site, page):
                yield f"{path.relative_to(site)}: {target}: {wrong}"
    for style in sorted(site.rglob("*.css")):
        for parts in IN_STYLE.findall(style.read_text(encoding="utf-8", errors="replace")):
            target = "".join(parts)
            if not target.startswith(("data:", "#")) and _is_elsewhere(target):
                yield f"{style.relative_to(site)}: {target}: is loaded from elsewhere"


def _is_elsewhere(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.netloc) or parts.scheme not in ("", "data", "mailto", "javascript")


def _wrong(path: Path, target: str, is_loaded: bool, site: Path, page: object) -> str | None:
    if _is_elsewhere(target):
        return "is loaded from elsewhere" if is_loaded else None
    parts = urlsplit(target)
    if parts.scheme:
        return None
    there = path if not parts.path else path.parent / unquote(parts.path)
    if not there.is_file():
        return "no such file"
    if not there.resolve().is_relative_to(site.resolve()):
        return "leads out of the site"
    if there.suffix == ".html" and parts.fragment:
        anchors = page(there.resolve()).anchors  # type: ignore[operator]
        if unquote(parts.fragment) not in anchors:
            return "no such anchor"
    return None


def main(site: Path) -> int:
    found = list(faults(site))
    print(*found, sep="\n")
    print(f"{len(found)} links or files at fault")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
