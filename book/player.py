"""The page that plays recorded trainings of the lab, a file for each k and loss."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gan_course.losses import LOSSES

HERE = Path(__file__).resolve().parent
RUNS = HERE.parent / "figures" / "runs"
FOLDER = HERE / "_static" / "trainings"
#: What is drawn of each moment and run, beside the samples and D's belief.
NUMBERS = ("modes", "high_quality", "real", "fake")
PLAYER = """<div class="trainings" data-about="{about}">
<div class="controls">
<div><label for="training-k">k (D steps)</label><input type="range" id="training-k" class="k" \
min="0" max="{last_k}" value="0" step="1" autocomplete="off">\
<span class="value" aria-hidden="true"></span></div>
<div><label for="training-loss">loss</label>\
<select id="training-loss" class="loss" autocomplete="off">{options}</select></div>
</div>
<div class="controls">
<button type="button" class="play">Play</button>
<div class="time"><label for="training-step">step</label><input type="range" id="training-step" \
class="moment" min="0" max="{last_moment}" value="0" step="1" autocomplete="off">\
<span class="value" aria-hidden="true"></span></div>
</div>
<p class="said" role="status"></p>
<div class="stage"><canvas class="main" role="img" aria-label="A recorded training"></canvas>
<div class="wall" role="group" aria-label="All seeds">{tiles}</div></div>
<div class="curves">{curves}</div>
<noscript>Without scripts nothing plays here.</noscript>
</div>
<script src="_static/trainings.js"></script>"""
TILE = '<button type="button"><canvas></canvas><span></span></button>'
CURVE = '<figure><figcaption>{}</figcaption><canvas role="img" aria-label="{}"></canvas></figure>'
CURVES = (
    ("modes covered", "Modes covered, over the steps"),
    ("HQ, the share of samples near a mode", "The share of samples near a mode, over the steps"),
    ("<span class='judge'></span>", "D on real and on generated samples, over the steps"),
)


def file_name(loss: str, k: int) -> str:
    """Of the recording of a loss and a k."""
    return f"{loss.replace(' ', '-')}-{k}.js"


def write() -> None:
    """Write the player, which ``trainings.md`` includes, and the recordings that it loads."""
    note = json.loads((RUNS / "trainings.json").read_text("utf-8"))
    table = pd.read_csv(RUNS / "trainings.csv")
    kept = np.load(RUNS / "trainings.npz")
    settings = note["settings"]
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for row, loss in enumerate(settings["losses"]):
        for column, k in enumerate(settings["k"]):
            numbers = table[(table["loss"] == loss) & (table["k"] == k)]
            arrays = [kept[name][row, column] for name in ("points", "belief")]
            (FOLDER / file_name(loss, k)).write_text(_recording(loss, k, numbers, arrays), "utf-8")
    about = {
        "k": settings["k"],
        "losses": list(settings["losses"]),
        "files": [[file_name(loss, k) for k in settings["k"]] for loss in settings["losses"]],
        "probability": [
            LOSSES[values["loss"]].gives_probabilities for values in settings["losses"].values()
        ],
        "steps": sorted(int(step) for step in table["step"].unique()),
        "runs": settings["runs"],
        "real": kept["real"].flatten().tolist(),
        "points": kept["points"].shape[-2],
        "side": kept["belief"].shape[-1],
    }
    (FOLDER / "player.html").write_text(_player(about), "utf-8")


def _recording(loss: str, k: int, numbers: pd.DataFrame, arrays: list[Any]) -> str:
    """A script that hands a recording to the page; scripts load from a disk, too."""
    block = base64.b64encode(zlib.compress(b"".join(a.tobytes() for a in arrays), 9)).decode()
    ordered = numbers.sort_values(["step", "run"])
    columns = {name: _short(ordered[name]) for name in NUMBERS}
    data = json.dumps({"block": block, **columns}, separators=(",", ":"), allow_nan=False)
    return f"recordedTraining({json.dumps(file_name(loss, k))}, {data});\n"


def _short(column: pd.Series[float]) -> list[float | None]:
    """Numbers as the table has them; what is not finite is null."""
    return [float(f"{v:.9g}") if np.isfinite(v) else None for v in column]


def _player(about: dict[str, Any]) -> str:
    return PLAYER.format(
        about=escape(json.dumps(about, separators=(",", ":"))),
        last_k=len(about["k"]) - 1,
        last_moment=len(about["steps"]) - 1,
        options="".join(f"<option>{escape(loss)}</option>" for loss in about["losses"]),
        tiles=TILE * about["runs"],
        curves="".join(CURVE.format(*words) for words in CURVES),
    )
