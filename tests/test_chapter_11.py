"""Chapter 11's exercises know right answers from wrong ones; its records come out again."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from tools import RUNS, exercise_tests, load, made_again
from torch import Tensor

from gan_course.exercises.chapter_11 import FAULTS, PREDICTIONS
from gan_course.metrics import mean_interval

WORDS = {key: word for key, (word, _) in PREDICTIONS.items()}
FOUND = {key: word for key, (word, _) in FAULTS.items()}


def posterior(x: float, a: float, s: float) -> tuple[float, float]:
    precision = 1 + a**2 / s**2
    return a * x / s**2 / precision, 1 / precision


def score(x: Tensor, c: Tensor, w: Tensor, std: float, sigma: float) -> Tensor:
    variance = std**2 + sigma**2
    each = w * torch.exp(-((x[:, None] - c) ** 2) / (2 * variance))
    return (each * (c - x[:, None])).sum(1) / each.sum(1) / variance


RIGHT = [
    ("11.1", WORDS),
    ("11.2", posterior),
    ("11.3", score),
    ("11.4", lambda y, t, c: c - (y - t * c) / (1 - t)),
    ("11.5", FOUND),
]

WRONG = [
    ("11.1", "diffusion in one pass", WORDS | {"one pass": "diffusion"}, "mean of the data"),
    ("11.1", "mixtures are joined", WORDS | {"bridges": "autoregressive"}, "tear"),
    ("11.1", "diffusion has more passes", WORDS | {"more pixels": "diffusion"}, "one after"),
    ("11.1", "the bound is exact", WORDS | {"exact": "VAE"}, "KL"),
    ("11.1", "no such family", WORDS | {"exact": "flow"}, "one of GAN"),
    ("11.1", "one missing", {"one pass": "GAN"}),
    ("11.2", "the prior", lambda x, a, s: (0.0, 1.0), "tight"),
    ("11.2", "the decoder turned round", lambda x, a, s: (x / a, s**2 / a**2), "denominator"),
    (
        "11.2",
        "a standard deviation",
        lambda x, a, s: (posterior(x, a, s)[0], posterior(x, a, s)[1] ** 0.5),
        "not its root",
    ),
    ("11.2", "the noise's variance", lambda x, a, s: (posterior(x, a, s)[0], s**2), "precisions"),
    ("11.2", "the mean alone", lambda x, a, s: posterior(x, a, s)[0], "two numbers"),
    ("11.3", "the sign", lambda *given: -score(*given), "sign"),
    ("11.3", "the mean noise", lambda x, c, w, d, s: -s * score(x, c, w, d, s), "mean noise"),
    ("11.3", "no noise", lambda x, c, w, std, sigma: score(x, c, w, std, 0.0), "std² \\+ σ²"),
    ("11.3", "noise alone", lambda x, c, w, std, sigma: score(x, c, w, 0.0, sigma), "std² \\+"),
    ("11.3", "standard deviations add", lambda x, c, w, d, s: score(x, c, w, d + s, 0.0)),
    ("11.3", "equal shares", lambda x, c, w, d, s: ((c - x[:, None]) * w).sum(1) / (d**2 + s**2)),
    ("11.3", "weights forgotten", lambda x, c, w, d, s: score(x, c, torch.ones_like(w), d, s)),
    ("11.4", "the sign", lambda y, t, c: (y - c) / (1 - t), "sign"),
    ("11.4", "the time that is left", lambda y, t, c: c - y, "1 − t"),
    ("11.4", "divided by the time past", lambda y, t, c: (c - y) / (t + 1e-9)),
    ("11.4", "z in place of the velocity", lambda y, t, c: (y - t * c) / (1 - t)),
    ("11.4", "no data", lambda y, t, c: -y / (1 - t)),
    ("11.5", "more steps are unfair", FOUND | {"A": "tuning"}, "steps need not"),
    ("11.5", "B is fair", FOUND | {"B": "nothing"}, "how many settings"),
    ("11.5", "C is tuned", FOUND | {"C": "tuning"}, "number of pictures"),
    ("11.5", "a word of one's own", FOUND | {"C": "speed"}, "one of tuning"),
    ("11.5", "the fair one alone", "A"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


@pytest.mark.slow
def test_the_families_come_out_again():
    frame, record = made_again("families")
    for (part, task, family), known in record.groupby(["part", "task", "family"]):
        again = frame[(frame["task"] == task) & (frame["family"] == family)]
        again = again[again["part"] == part]
        assert len(again) == len(known)
        for measure in ("weights", "steps", "rate"):
            assert list(again[measure].dropna()) == list(known[measure].dropna()), family
        for measure in ("sliced", "frechet"):
            if known[measure].notna().sum() > 1:
                one, other = (mean_interval(t[measure].dropna(), 0.999) for t in (again, known))
                assert one.low <= other.high and other.low <= one.high, (family, measure)


def comes_out_again(name: str, frame: pd.DataFrame, measure: str) -> None:
    """The small record: what was chosen is the same, and a measure's intervals meet."""
    record = pd.read_csv(RUNS / f"{name}.quick.csv")
    assert list(frame.columns) == list(record.columns)
    assert len(frame) == len(record)
    for (part, family), known in record.groupby(["part", "family"]):
        again = frame[(frame["part"] == part) & (frame["family"] == family)]
        for chosen in ("weights", "steps", "rate"):
            assert list(again[chosen].dropna()) == list(known[chosen].dropna()), family
        assert again[measure].notna().sum() == known[measure].notna().sum(), (part, family)
        if known[measure].notna().any():
            one, other = (mean_interval(t[measure].dropna(), 0.999) for t in (again, known))
            assert one.low <= other.high and other.low <= one.high, (part, family)


@pytest.mark.slow
def test_the_small_grid_comes_out_again():
    script = load("figures/sweeps/families.py")
    comes_out_again("families_grid", script.measure_grid(script.GRID_QUICK), "sliced")


def test_the_grid_has_the_ring_s_budget_and_rates():
    script = load("figures/sweeps/families.py")
    for quick, settings in (("", script.GRID), (".quick", script.GRID_QUICK)):
        note = json.loads((RUNS / f"families_grid{quick}.json").read_text("utf-8"))
        assert note["settings"] == settings
    found = pd.read_csv(RUNS / "families_grid.csv").dropna(subset=["weights"])
    ring = pd.read_csv(RUNS / "families.csv").dropna(subset=["weights"])
    ring = ring[(ring["part"] == "record") & (ring["task"] == "ring")].groupby("family").first()
    for part, rows in found.groupby("part"):
        first = rows.groupby("family").first()
        known = ring.loc[first.index]
        assert (first["steps"] == known["steps"] * (4 if part == "four times" else 1)).all()
        assert (first["weights"] == known["weights"]).all()
        assert first["rate"].equals(known["rate"])  # the recipe's is nan in both
        if part == "record":
            assert set(first.index) == set(ring.index)
        else:
            assert set(first.index) == set(script.GRID["controls"][part])


@pytest.mark.slow
def test_the_small_glyphs_come_out_again():
    script = load("figures/sweeps/families.py")
    for quick, settings in (("", script.GLYPHS), (".quick", script.GLYPHS_QUICK)):
        note = json.loads((RUNS / f"families_glyphs{quick}.json").read_text("utf-8"))
        assert note["settings"] == settings
    # Of the tuning there are no pictures.
    comes_out_again("families_glyphs", script.measure_glyphs(script.GLYPHS_QUICK), "frechet")


@pytest.mark.slow
def test_what_was_looked_at_afterwards_comes_out_again():
    script = load("figures/sweeps/families.py")
    for quick, settings in (("", script.GLYPHS_MORE), (".quick", script.GLYPHS_MORE_QUICK)):
        note = json.loads((RUNS / f"families_glyphs_more{quick}.json").read_text("utf-8"))
        assert note["settings"] == settings
    frame = script.measure_glyphs_more(script.GLYPHS_MORE_QUICK)
    comes_out_again("families_glyphs_more", frame, "frechet")


def test_larger_rates_are_tried_by_the_glyphs_protocol():
    script = load("figures/sweeps/families.py")
    before, after = (pd.read_csv(RUNS / f"families_glyphs{name}.csv") for name in ("", "_more"))
    changed = {key for key in script.GLYPHS if script.GLYPHS_MORE[key] != script.GLYPHS[key]}
    assert changed == {"rates"}
    largest = script.GLYPHS["rates"][-1]
    assert script.GLYPHS_MORE["rates"] == [largest, 2 * largest, 4 * largest]
    tuning = after[after["part"] == "tuning"].set_index(["family", "rate"])["price"]
    known = before[before["part"] == "tuning"].set_index(["family", "rate"])["price"]
    best = known.groupby("family").idxmin().str[1]
    assert set(script.GLYPHS_MORE["at the edge"]) == set(best.index[best == largest])
    for family, prices in tuning.groupby("family"):  # the same training, once more
        assert prices[family, largest] == pytest.approx(known[family, largest], rel=0.02)
        again = after[(after["family"] == family) & (after["part"] == "larger rate")]
        better = prices.idxmin()[1]
        assert set(again["rate"]) == ({better} if better > largest else set())
    control = after[after["part"] == "control"]
    for family, rate in script.GLYPHS_MORE["control"].items():
        assert set(control[control["family"] == family]["rate"]) == {rate} == {best[family]}


def test_glyphs_have_the_digits_protocol_and_equal_means():
    script = load("figures/sweeps/families.py")
    changed = {key for key in script.SETTINGS if script.GLYPHS[key] != script.SETTINGS[key]}
    assert changed == {"steps", "samples", "weights", "sampler steps"}
    record = pd.read_csv(RUNS / "families_glyphs.csv").dropna(subset=["weights"])
    trained = record.groupby("family").first()
    assert set(trained.index) == set(script.STEPS["digits"])
    assert trained["weights"].max() / trained["weights"].min() < 1.02
    assert trained["seconds"].max() / trained["seconds"].min() < 1.4
    with np.load(RUNS / "families_glyphs.npz") as kept:
        assert {key.split("|")[1] for key in kept} == {"real", "one Gaussian", *trained.index}


def test_the_grid_s_controls_change_one_thing():
    script = load("figures/sweeps/families.py")
    models = []
    for fastest in (10.0, 40.0):
        torch.manual_seed(0)
        task = script.on_grid() if fastest == 10 else script.on_grid(fastest)
        models.append(task.build("diffusion", 16, 2))
    assert len(task.source.centers) == 25
    plain, fast = (dict(model.named_buffers()) for model in models)
    (name,) = (n for n in plain if plain[n].numel() and not torch.equal(plain[n], fast[n]))
    tops = [float(table[name].norm(dim=-2).max()) for table in (plain, fast)]
    assert tops == pytest.approx([10, 40], rel=1e-3)
    pairs = zip(*(model.parameters() for model in models), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_predictions_are_what_was_measured():
    record = pd.read_csv(RUNS / "families.csv")
    ring = record[(record["task"] == "ring") & (record["part"] == "record")]
    quality = ring.groupby(["family", ring["sampler"].fillna("").astype(str)])[
        "high_quality"
    ].mean()
    assert quality["GAN, recipe"].max() > 0.5 > quality["diffusion", "1"] + 0.4
    assert quality["autoregressive"].max() > 0.8 > quality["normalising flow"].max() + 0.6


def test_equal_means_equal():
    record = pd.read_csv(RUNS / "families.csv")
    trained = record.dropna(subset=["weights"]).groupby(["task", "family"]).first()
    for _, rows in trained.groupby("task"):
        assert rows["weights"].max() / rows["weights"].min() < 1.08
        assert rows["seconds"].max() / rows["seconds"].min() < 1.4
        assert not math.isclose(rows["seconds"].max(), rows["seconds"].min())
