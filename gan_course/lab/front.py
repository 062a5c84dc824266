"""The code and the style of the lab's page, as one text each.

The code is written in ES modules, one a subject, in ``js/``. Neither anywidget, which loads one
module, nor a recording, which is one file, can follow their imports; so they are put one after
the other, without a bundler: each imports only those before it, and no two have a name in common.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
#: The modules, each after those that it imports.
MODULES = (
    *("basics", "plane", "line", "curves", "wall", "pad", "controls"),
    *("page", "jupyter", "replay"),
)
EXPORTS = "export { decode, mount, replay };\nexport default { render };\n"


def script() -> str:
    """The page's code as one ES module."""
    texts = [(HERE / "js" / f"{name}.js").read_text(encoding="utf-8") for name in MODULES]
    code = re.sub(r"^import [^;]+;\n|^export ", "", "\n".join(texts), flags=re.MULTILINE)
    return f"{code}\n{EXPORTS}"


def style() -> str:
    """The page's style."""
    return (HERE / "lab.css").read_text(encoding="utf-8")
