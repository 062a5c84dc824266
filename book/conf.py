"""The static book: the executed notebooks as pages, read without kernel and without network."""

from __future__ import annotations

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

HERE = Path(__file__).resolve().parent

# Sphinx reads below its own folder only: bring the chapters and their pictures there.
for folder in ("notebooks", "figures"):
    shutil.rmtree(HERE / folder, ignore_errors=True)
    left_out = shutil.ignore_patterns("source", "*.py", "__pycache__", ".*", "runs")
    shutil.copytree(HERE.parent / folder, HERE / folder, ignore=left_out)

project = "The GAN course"
author = "the GAN course's authors"
html_title = project
html_theme = "furo"
html_show_copyright = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinx-mathjax-offline"]
exclude_patterns = ["**/.ipynb_checkpoints"]

# Outputs are those of the committed notebooks: nothing runs here.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
# Widgets have left a picture in the notebook; no script is fetched for them.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

FRAME = """<iframe class="recording" src="{}" title="A recording of the lab" loading="lazy"
style="width: 100%; height: 52rem; border: 0"></iframe>"""


def play_recordings(app: Sphinx, page: nodes.document, name: str) -> None:
    """Below a paragraph that links to a recording of the lab, play it."""
    for paragraph in list(page.findall(nodes.paragraph)):
        for link in list(paragraph.findall(download_reference)):
            if link["reftarget"].endswith(".html"):
                downloads = relative_uri(app.builder.get_target_uri(name), "_downloads/")
                frame = nodes.raw("", FRAME.format(downloads + link["filename"]), format="html")
                paragraph.parent.insert(paragraph.parent.index(paragraph) + 1, frame)


def setup(app: Sphinx) -> None:
    """Have Sphinx call us."""
    app.connect("doctree-resolved", play_recordings)
