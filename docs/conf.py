"""Sphinx, for `make docs`."""

import logging
import posixpath
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_site"))

project = "rrp_pyomo"
author = "The rrp_pyomo authors"
project_copyright = "The rrp_pyomo authors"

extensions = [
    "reference",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "translator",
]
exclude_patterns = ["_site", "_notebooks", "_executed", "_files"]
html_theme = "furo"
html_title = "rrp_pyomo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_copy_source = False
html_search_scorer = str(DOCS / "_site" / "scorer.js")
html_extra_path = ["_notebooks"]
templates_path = ["_templates"]
highlight_language = "none"  # blocks without a language are text
pygments_dark_style = "a11y-dark"  # furo's own underlines modules, as if they were links
toc_object_entries_show_parents = "hide"

nb_custom_formats = {".md": ["reader.read", {}]}
nb_execution_mode = "off"  # build.py has run them
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
smartquotes_action = "De"  # dashes and ellipses: the prime of w'x is no quotation mark
myst_heading_anchors = 4

autodoc_typehints = "none"  # numpydoc says them
autodoc_preserve_defaults = True
numpydoc_show_class_members = False

copybutton_exclude = ".linenos, .gp, .go"


def link_notebook(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Tell the page's template whether there is a notebook of it."""
    if (DOCS / "_notebooks" / f"{page}.ipynb").exists():
        context["notebook"] = f"{posixpath.basename(page)}.ipynb"


def setup(app: Any) -> dict[str, bool]:
    """MathJax from its wheel; listed as an extension, it would forbid reading pages in parallel."""
    import_module("sphinx-mathjax-offline").setup(app)
    # Folders of pages may be empty.
    toctrees = logging.getLogger("sphinx.sphinx.directives.other")
    toctrees.addFilter(lambda record: "match any documents" not in str(record.msg))
    app.add_directive("gallery", import_module("gallery").Gallery)
    app.connect("html-page-context", link_notebook)
    return {"parallel_read_safe": True}
