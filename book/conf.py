"""The static book: the executed notebooks as pages, read without kernel and without network."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "notebooks")]

from staging import cited_in_chapters, stage  # noqa: E402

project = "The GAN course"
author = "the GAN course's authors"
settings = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
repository = settings["tool"]["gan-course"]["repository"]
html_title = project
html_theme = "furo"
html_show_copyright = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["recordings.js", "keyboard.js", ("sliders.js", {"defer": "defer"})]
# The arrow keys scroll wide code and move sliders; they must not leave the page.
html_theme_options = {"navigation_with_keys": False}
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinxcontrib.bibtex",
    "pages",
]
exclude_patterns = ["**/.ipynb_checkpoints", "chapter_map.md", "slides"]
chapter_pages = stage()
cited_in = cited_in_chapters()
bibtex_bibfiles = ["references.bib"]
bibtex_cite_id = "cite-{key}"

# Outputs are those of the committed notebooks: nothing runs here.
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show, nb_code_prompt_hide = "Show the {type}", "Hide the {type}"
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
# Widgets have left a picture in the notebook; no script is fetched for them.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
