"""The sweep of the modern baseline: its rows, its measures, and that its records come out again."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tools import RUNS, load
from torch import nn

from gan_course.distributions import ring
from gan_course.metrics import mean_interval

script = load("figures/sweeps/baseline.py")
TARGETS = list(script.SETTINGS["targets"])
PICTURES = ["stacked", "glyphs"]


def unjudged(name: str) -> Any:
    """A task without its data and its judge, which take seconds."""
    task = script.Task.__new__(script.Task)
    task.settings, task.shape, task.data = (
        script.SETTINGS["targets"][name],
        script.SHAPES[name],
        None,
    )
    task.latent = task.settings.get("latent", 2)
    return task


def record(name: str, quick: str = "") -> pd.DataFrame:
    return pd.read_csv(RUNS / f"baseline_{name}{quick}.csv")


def test_each_row_of_the_ladder_differs_from_the_last_in_one_thing():
    rows = list(script.ROWS.values())
    for one, two in itertools.pairwise(rows[:5]):
        assert sum(a != b for a, b in zip(one, two, strict=True)) == 1
    for name in ("full, non-saturating", "full, no R1", "full, no R2"):
        assert sum(a != b for a, b in zip(script.ROWS[name], rows[4], strict=True)) == 1
    assert script.ROWS["full, R1 twice for R1 + R2"][1] == sum(rows[4][1:3])  # as much in all


@pytest.mark.parametrize("name", TARGETS)
def test_residual_or_not_the_networks_have_as_many_weights(name: str):
    counts = [
        [
            sum(w.numel() for w in build().parameters())
            for build in unjudged(name).players(residual, 1)
        ]
        for residual in (False, True)
    ]
    assert counts[0] == counts[1]


def test_perfect_samples_have_no_distance_and_forgers_do():
    target, std = ring(std=0.05), 0.05
    x = target.sample((2, 20_000), torch.Generator().manual_seed(0))
    lost = x[:1, (torch.cdist(x[0], target.centers).argmin(dim=1) > 0)]
    fog = 2 * torch.rand(1, 20_000, 2, generator=torch.Generator().manual_seed(1)) - 1
    perfect, lost, fog = (script.on_toy(target, std, each) for each in (x, lost, fog))
    assert perfect["score"].max() < 1e-3
    assert perfect["effective"].min() > 7.99
    assert lost["effective"].item() == pytest.approx(7, abs=0.01)
    assert 0.02 < lost["score"].item() < 0.1  # an eighth is missing
    assert fog["score"].item() > 0.3  # though all modes are there, evenly
    assert fog["effective"].item() > 7.8


def test_the_score_is_js_of_masses_counted_by_hand():
    target = ring(std=0.1)
    x = torch.stack([target.centers[0], target.centers[0], target.centers[1], torch.zeros(2)])
    found = script.on_toy(target, 0.1, x[None])
    p = np.array([0.5, 0.25, 0, 0, 0, 0, 0, 0, 0.25])
    right = 1 - math.exp(-4.5)
    q = np.array([right / 8] * 8 + [1 - right])
    m = (p + q) / 2
    kl = lambda a: sum(a[a > 0] * np.log(a[a > 0] / m[a > 0]))  # noqa: E731
    assert found["score"].item() == pytest.approx((kl(p) + kl(q)) / 2, abs=1e-9)
    assert found["high_quality"].item() == 0.75


def test_nobody_chooses_his_own_rate():
    score = torch.tensor([[0.0, 0.0, 9.0, 9.0], [5.0, 5.0, 5.0, 5.0]])
    assert script.chosen_by_others(score).tolist() == [1, 1, 0, 0]


def test_the_judge_of_stacks_counts_modes(monkeypatch: pytest.MonkeyPatch):
    class Judge:
        def classify(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 0, 0, 0].long()

        def features(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(-3)

    unseen = torch.randn(50, 1, 8, 8)
    x = torch.zeros(1, 60, 3, 8, 8)
    x[:, :30, 0, 0, 0] = 7.0
    found = script.on_stacks(Judge(), unseen, x)
    assert found["modes"].item() == 2
    assert found["effective"].item() == pytest.approx(2, abs=1e-6)
    assert found["reverse_kl"].item() == pytest.approx(math.log(500), abs=1e-6)
    seen = 2 * (0.5 * math.log(0.5 / 0.2505) + 1e-3 * math.log(1e-3 / 0.2505))
    unseen_classes = 998 * 1e-3 * math.log(2)
    assert found["score"].item() == pytest.approx((seen + unseen_classes) / 2, abs=1e-6)


def test_glyphs_are_judged_beside_unseen_ones_and_their_rate_is_chosen_by_others(
    monkeypatch: pytest.MonkeyPatch,
):
    class Judge(script.Classifier):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            pass

        def classify(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 0, 0, 0].gt(0).long()

        def features(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 0, 0, :2].contiguous()

    monkeypatch.setattr(script, "frechet_distance", lambda x, y: (x.mean(1) - y.mean(1)).sum(1))
    random = torch.Generator().manual_seed(0)
    x, unseen, kept = (torch.randn(3, 60, 1, 16, 16, generator=random) / 3).unbind()
    unseen, kept = unseen.clone(), kept - 0.5
    unseen[:30, 0, 0, 0], unseen[30:, 0, 0, 0] = 0.1, -0.1
    x[:45, 0, 0, 0], x[45:, 0, 0, 0] = 0.1, -0.1
    found = script.on_glyphs(Judge(), unseen, kept, x[None])
    gap = (x[:, 0, 0, :2].mean(0) - kept[:, 0, 0, :2].mean(0)).sum()
    assert found["score"].item() == pytest.approx(gap.item(), abs=1e-5)
    one, other = (script.picture_quality(x[None], real, Judge()) for real in (unseen, kept))
    assert one.frechet.item() != pytest.approx(other.frechet.item())
    for name, column in (("frechet",) * 2, ("precision", "high_quality"), ("recall",) * 2):
        assert found[column].item() == getattr(one, name).item()
    kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert found["reverse_kl"].item() == pytest.approx(kl, abs=1e-5)
    assert found["effective"].item() == pytest.approx(10 * math.exp(-kl), abs=1e-4)


@pytest.mark.slow
def test_the_parts_of_the_glyphs_share_none():
    task = script.Task("glyphs", script.SETTINGS["targets"]["glyphs"])
    unseen, kept = task.measure.args[1:]
    parts = [task.data.data, unseen, kept]
    assert [len(part) for part in parts] == [2_000, 920, 400]
    rows = torch.cat([part.flatten(1) for part in parts])
    apart = torch.cdist(rows, rows).fill_diagonal_(1).min()
    assert apart > 1e-3
    assert task.measure.args[0].accuracy.estimate > 0.8


@pytest.mark.parametrize("quick", ["", ".quick"])
@pytest.mark.parametrize("name", TARGETS)
def test_records_are_of_the_settings_as_they_stand(name: str, quick: str):
    settings = script.QUICK if quick else script.SETTINGS
    note = json.loads((RUNS / f"baseline_{name}{quick}.json").read_text("utf-8"))
    own = settings["targets"][name]
    assert note["settings"] == settings | {"targets": {name: own}}
    frame = record(name, quick)
    assert frame["row"].drop_duplicates().tolist() == list(script.ROWS)
    cells = frame.groupby(["row", "step", "rate"]).size()
    assert cells.eq(own["runs"]).all()
    assert len(cells) == len(script.ROWS) * len(own["steps"]) * len(settings["rates"])
    for (_, _), part in frame.groupby(["row", "step"]):
        score = part["score"].to_numpy().reshape(len(settings["rates"]), -1)
        best = script.chosen_by_others(torch.tensor(score)).tolist()
        rates = part[part["quoted"]].sort_values("run")["rate"].tolist()
        assert rates == [settings["rates"][i] for i in best]


@pytest.mark.slow
def test_the_small_ring_comes_out_again():
    frame, before = script.measure("ring", script.QUICK), record("ring", ".quick")
    assert list(frame.columns) == list(before.columns)
    for measure in ("score", "effective", "high_quality"):
        for (cell, now), (_, then) in zip(
            frame.groupby(["row", "rate"]), before.groupby(["row", "rate"]), strict=True
        ):
            one, other = (mean_interval(part[measure], 0.9999) for part in (now, then))
            slack = 1e-3
            assert one.low <= other.high + slack, (cell, measure)
            assert other.low <= one.high + slack, (cell, measure)


@pytest.mark.parametrize("name", PICTURES)
def test_a_player_of_pictures_makes_pictures(name: str):
    G, D = (build() for build in unjudged(name).players(True, 1))
    assert isinstance(G, nn.Sequential)
    assert D(G(torch.randn(5, 64))).shape == (5, 1)
    assert G(torch.randn(5, 64)).shape == (5, *script.SHAPES[name])
    assert G(100 * torch.randn(5, 64)).abs().max() <= 1


@pytest.mark.parametrize("name", ["ring", *PICTURES])
def test_each_row_trains_with_its_own_loss_penalties_and_rates(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    """What reaches the trainer, row by row; and each rate goes to its own runs."""
    seen = []

    class Stop(Exception):
        pass

    def trainer(*given: Any, **options: Any) -> None:
        seen.append((*given, options))
        raise Stop

    monkeypatch.setattr(script, "Trainer", trainer)
    task = unjudged(name)
    for row in script.ROWS:
        with pytest.raises(Stop):
            next(script.play(task, row, script.SETTINGS, [1e-3, 1e-2]))
    runs = task.settings["runs"]
    for (loss, r1, r2, _), (G, _, _, prior, settings, options) in zip(
        script.ROWS.values(), seen, strict=True
    ):
        assert settings.loss == loss
        asked = {"R1": 0.1 * r1, "R2": 0.1 * r2}
        given = settings.penalties
        assert {k: given.get(k, 0) for k in asked} == pytest.approx(asked)
        for rate in (settings.discriminator_rate, settings.generator_rate):
            assert list(rate) == [1e-3] * runs + [1e-2] * runs
        assert (settings.betas, settings.averaging) == ((0.5, 0.99), 0.99)
        assert prior.event_shape == (task.latent,)
        assert options["seed"] == 0
        assert G.runs == 2 * runs
    for residual in (False, True):  # rows of one kind of network begin alike
        first, *others = (
            G
            for G, row in zip((s[0] for s in seen), script.ROWS.values(), strict=True)
            if row[3] == residual
        )
        for other in others:
            pairs = zip(first.parameters(), other.parameters(), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)


def test_the_averaged_weights_are_measured(monkeypatch: pytest.MonkeyPatch):
    asked = []

    class Trainer(script.Trainer):  # type: ignore[name-defined, misc]
        def sample(self, *given: Any, **options: Any) -> torch.Tensor:
            asked.append((given, options))
            return super().sample(*given, **options)

    monkeypatch.setattr(script, "Trainer", Trainer)
    own = script.SETTINGS["targets"]["ring"] | {"steps": [1, 2], "runs": 2, "samples": 30}
    task = script.Task("ring", own)
    for _, found in script.play(task, "relativistic", script.SETTINGS, [1e-3, 1e-2]):
        assert all(measured.shape == (4,) for measured in found.values())
    assert asked == [((30,), {"averaged": True})] * 2


def test_a_run_is_quoted_at_the_rate_that_is_best_for_the_others(monkeypatch: pytest.MonkeyPatch):
    score = torch.tensor([[0.1, 0.2, 0.5, 0.6], [0.4, 0.4, 0.4, 0.4]])  # the halves disagree

    def play(*_: Any, **__: Any) -> Any:
        yield 7, {name: score.flatten() for name in script.MEASURES}

    monkeypatch.setattr(script, "play", play)
    own = script.SETTINGS["targets"]["ring"] | {"runs": 4}
    settings = script.SETTINGS | {"rates": [1e-3, 1e-2], "targets": {"ring": own}}
    frame = script.measure("ring", settings, ["+ R1"])
    quoted = frame[frame["quoted"]].set_index("run")["rate"]
    assert quoted.to_dict() == {0: 1e-2, 1: 1e-2, 2: 1e-3, 3: 1e-3}
    assert frame["step"].eq(7).all()


def test_what_no_network_has_made_is_measured_beside():
    note = json.loads((RUNS / "baseline_beside.json").read_text("utf-8"))
    assert note["settings"] == script.SETTINGS
    frame = pd.read_csv(RUNS / "baseline_beside.csv")
    scores = frame.groupby(["target", "row"])["score"].mean()
    for name, own in script.SETTINGS["targets"].items():
        assert (frame["target"] == name).sum() == 3 * own["runs"]
        assert scores[name, "real"] < scores[name, "one Gaussian"] / 2
        assert scores[name, "real"] < scores[name, "untrained"] / 2
