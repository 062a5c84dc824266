"""The slides: a deck a chapter, shown in any browser without kernel and without network."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from decks import stage

project = "The GAN course"
author = "the GAN course's authors"
extensions = [
    "myst_parser",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_revealjs",
]
stage()

myst_enable_extensions = ["amsmath", "dollarmath"]
# Decks stand alone; the first one lists them.
suppress_warnings = ["toc.not_included"]

revealjs_style_theme = "white"
revealjs_static_path = ["_static"]
revealjs_css_files = ["slides.css"]
revealjs_js_files = ["fit.js"]
revealjs_script_conf = {
    "width": 1280,
    "height": 720,
    "margin": 0.03,
    "center": False,
    "hash": True,
    "slideNumber": "c/t",
    "transition": "none",
}
