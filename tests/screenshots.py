"""Run a notebook in JupyterLab and save a picture of every screenful.

python tests/screenshots.py notebooks/02_the_adversarial_game.ipynb out/
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from jupyter_browser import NO_CHROMIUM, Lab, chromium, opened

WIDTHS = (1280, 800)
HEIGHT = 1000

# One screenful further, a little of the last one kept; false at the end.
_FURTHER = """async () => {
    const box = [...document.querySelectorAll('.jp-WindowedPanel-outer')].pop();
    const before = box.scrollTop;
    box.scrollTop += 0.9 * box.clientHeight;
    await new Promise(resolve => setTimeout(resolve, 800));
    return box.scrollTop > before + 1;
}"""


def photograph(lab: Lab, name: str, folder: Path) -> int:
    """Save the notebook that is open, screenful by screenful; return their number."""
    lab.scroll_to(1)  # so that everything has been drawn once
    lab.scroll_to(0)
    number, more = 0, True
    while more:
        number += 1
        lab.page.screenshot(path=folder / f"{name}-{number:02}.png")
        more = lab.page.evaluate(_FURTHER)
    return number


def main() -> None:
    """Parse the command line, run the notebook in each window, say what was saved."""
    parser = argparse.ArgumentParser(description="Save a picture of every screenful.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if chromium() is None:
        sys.exit(NO_CHROMIUM)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        with (
            tempfile.TemporaryDirectory() as home,
            opened(arguments.notebook, Path(home), width, HEIGHT) as lab,
        ):
            lab.run_all()
            name = f"{arguments.notebook.stem}-{width}"
            number = photograph(lab, name, arguments.folder)
            print(f"{name}: {number} screenfuls, errors: {lab.errors() or 'none'}")


if __name__ == "__main__":
    main()
