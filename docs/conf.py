"""Sphinx, for `make docs`."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_site"))

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
]
exclude_patterns = ["_site", "_notebooks", "_executed"]
html_theme = "furo"
html_title = "rrp_pyomo"
html_extra_path = ["_notebooks"]

nb_custom_formats = {".md": ["reader.read", {}]}
nb_execution_mode = "off"  # build.py has run them
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # numpydoc says them
autodoc_preserve_defaults = True
numpydoc_show_class_members = False

copybutton_exclude = ".linenos, .gp, .go"


def setup(app: Any) -> None:
    """MathJax from its wheel; listed as an extension, it would forbid reading pages in parallel."""
    import_module("sphinx-mathjax-offline").setup(app)
