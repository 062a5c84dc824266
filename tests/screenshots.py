"""Run a notebook in JupyterLab and save a picture of every screenful.

    python tests/screenshots.py notebooks/02_the_adversarial_game.ipynb out/

It fails if a cell does, if the browser complains, or if something on a screen is cut off,
overlaps, or is wider than its place; in both of JupyterLab's themes and at two widths.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import product
from pathlib import Path

from jupyter_browser import NO_CHROMIUM, Lab, chromium, course

WIDTHS = (1280, 800)
THEMES = ("Light", "Dark")
HEIGHT = 1000

# One screenful further, a little of the last one kept; false at the end.
_FURTHER = """async () => {
    const box = [...document.querySelectorAll('.jp-WindowedPanel-outer')].pop();
    const before = box.scrollTop;
    box.scrollTop += 0.9 * box.clientHeight;
    await new Promise(resolve => setTimeout(resolve, 800));
    return box.scrollTop > before + 1;
}"""


def photograph(lab: Lab, name: str, folder: Path) -> list[str]:
    """Save the notebook that is open, screenful by screenful; return what is wrong on them."""
    lab.scroll_to(1)  # so that everything has been drawn once
    lab.scroll_to(0)
    number, more, wrong = 0, True, list[str]()
    while more:
        number += 1
        lab.page.screenshot(path=folder / f"{name}-{number:02}.png")
        wrong += [f"{name}-{number:02}: {text}" for text in lab.crowded()]
        more = lab.page.evaluate(_FURTHER)
    print(f"{name}: {number} screenfuls")
    return wrong


def main() -> None:
    """Parse the command line, run the notebook in each window, say what was saved."""
    parser = argparse.ArgumentParser(description="Save a picture of every screenful.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if chromium() is None:
        sys.exit(NO_CHROMIUM)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    wrong = []
    with (
        tempfile.TemporaryDirectory() as home,
        course(Path(home)) as started,
        started.opened(arguments.notebook, max(WIDTHS), HEIGHT) as lab,
    ):
        lab.run_all()
        for theme, width in product(THEMES, WIDTHS):
            lab.switch_theme(theme)
            lab.page.set_viewport_size({"width": width, "height": HEIGHT})
            name = f"{arguments.notebook.stem}-{theme.lower()}-{width}"
            wrong += photograph(lab, name, arguments.folder)
        wrong += lab.errors() + lab.complaints()
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
