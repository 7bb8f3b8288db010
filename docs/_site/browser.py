"""Open a built site in the Chromium that is here: ``python docs/_site/browser.py out/site``.

Each page, 1,400 and 400 pixels wide, light and dark: no error on the console, nothing asked of
other machines, mathematics rendered, nothing wider than the window, text that stands out from what
is behind it. And the search finds what is there, among the first.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAGES_AT_ONCE = 4
SEARCHES = {
    "Wasserstein": "worst-case-cvar", "risk parity": "02-risk-contributions", "infeasible": "errors"
}  # fmt: skip
AMONG_FIRST = "#search-results li:nth-child(-n+3)"
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

SCRIPT = Path(__file__).with_suffix(".js")
AT_EACH_SIZE = {"too wide": "tooWide", "hard to read": "faint"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Requests are no news."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of the site on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


async def page_faults(context: Any, address: str, name: str) -> list[str]:
    """What is wrong with a page, at two widths and in two schemes."""
    page, found = await context.new_page(), []
    page.on("console", lambda message: found.append(message.text) if _is_bad(message) else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "request", lambda r: None if _is_here(r.url, address) else found.append(f"asks {r.url}")
    )
    await page.goto(address + name)
    await page.evaluate("siteChecks.typeset()")
    for text in await page.evaluate("siteChecks.mathematics()"):
        found.append(f"mathematics is not rendered: {text[:60]}")
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        for width in (1400, 400):
            await page.set_viewport_size({"width": width, "height": 900})
            for wrong, check in AT_EACH_SIZE.items():
                for what in await page.evaluate(f"siteChecks.{check}()"):
                    found.append(f"{wrong} at {width}, {scheme}: {what}")
    await page.close()
    return [f"{name}: {fault}" for fault in dict.fromkeys(found)]


def _is_bad(message: Any) -> bool:
    return message.type in ("error", "warning")


def _is_here(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:", "about:"))


async def search_faults(context: Any, address: str, word: str, expected: str) -> list[str]:
    page = await context.new_page()
    await page.goto(f"{address}search.html?q={word}")
    try:
        await page.wait_for_selector(f'{AMONG_FIRST} a[href*="{expected}"]', timeout=20_000)
    except Exception:
        return [f"search for {word}: {expected} is not found"]
    finally:
        await page.close()
    return []


async def faults(site: Path, chromium: str) -> list[str]:
    from playwright.async_api import async_playwright

    names = [str(path.relative_to(site)) for path in sorted(site.rglob("*.html"))]
    names = [name for name in names if not name.startswith(("_static", "genindex", "search"))]
    turns = asyncio.Semaphore(PAGES_AT_ONCE)

    async def in_turn(task: Any) -> list[str]:
        async with turns:
            return list(await task)

    with served(site) as address:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            context = await browser.new_context(viewport={"width": 1400, "height": 900})
            await context.add_init_script(path=SCRIPT)
            tasks = [page_faults(context, address, name) for name in names]
            tasks += [search_faults(context, address, *search) for search in SEARCHES.items()]
            found = await asyncio.gather(*map(in_turn, tasks))
            await browser.close()
    print(f"{len(names)} pages opened")
    return [fault for some in found for fault in some]


def main(site: Path) -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("skipped: there is no chromium on this machine to open the site in")
        return 0
    found = asyncio.run(faults(site, chromium))
    print(*found, sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
