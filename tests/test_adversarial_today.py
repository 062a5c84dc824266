"""The sweep of adversarial terms: the teacher's field, the measures, and its records."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch
from tools import RUNS, load, made_again
from torch.distributions import MultivariateNormal

from gan_course.distributions import GaussianMixture, ring
from gan_course.images import digits
from gan_course.metrics import mean_interval
from gan_course.networks import Ensemble, mlp

script = load("figures/sweeps/adversarial_today.py")


@pytest.mark.parametrize("t", [0.0, 0.3, 0.9])
def test_the_field_is_the_mean_velocity_by_quadrature(t: float):
    """E[x₁ − z | x_t = x] as an integral over x₁, z = (x − t x₁) / (1 − t)."""
    target = GaussianMixture([[0.5, -1.0], [-0.7, 0.4]], std=0.3, weights=[0.3, 0.7])
    side = torch.linspace(-3, 3, 301).double()
    ends = torch.cartesian_prod(side, side)
    masses = target.log_prob(ends.float()).double().exp()
    noise = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    for x in torch.tensor([[0.2, -0.3], [-0.5, 0.1]]).double():
        z = (x - t * ends) / (1 - t)
        weight = masses * noise.log_prob(z).exp()
        expected = (weight[:, None] * (ends - z)).sum(dim=0) / weight.sum()
        found = script.flow_field(x, t, target)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)


def test_one_step_of_the_teacher_ends_at_the_mean_and_many_at_the_data():
    target = GaussianMixture([[2.0, 0.0], [0.0, 1.0]], std=0.05, weights=[0.25, 0.75])
    z = torch.randn(2_000, 2, generator=torch.Generator().manual_seed(0)).double()
    mean = torch.tensor([0.5, 0.75]).double().expand(2_000, 2)
    torch.testing.assert_close(script.follow(z, target, 1), mean, rtol=0, atol=1e-6)
    apart, nearest = torch.cdist(script.follow(z, target, 200), target.centers.double()).min(dim=1)
    assert float((apart < 0.15).double().mean()) > 0.95
    assert float((nearest == 0).double().mean()) == pytest.approx(0.25, abs=0.03)


def test_detail_sees_edges_and_no_plane():
    row = torch.arange(8.0)
    plane = 2 * row[:, None] - row
    assert script.laplacian(plane).abs().max() < 1e-5
    point = torch.zeros(8, 8)
    point[3, 3] = 1.0
    assert script.laplacian(point).square().sum() == 4**2 + 4


def test_forgers_are_as_detailed_as_the_originals():
    images = digits()[0][:100].flatten(1)
    blurred = images.mean(dim=0).expand(2, 100, 64) / 2
    noise = torch.randn(2, 100, 64, generator=torch.Generator().manual_seed(0))
    made = script.as_detailed(blurred, noise, images).clamp(-1, 1).unflatten(-1, (8, 8))
    wanted = script.laplacian(images.unflatten(-1, (8, 8))).square().sum()
    found = script.laplacian(made).square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(found / wanted, torch.ones(2), rtol=0, atol=1e-3)


def test_the_parts_share_no_digit():
    images = digits()[0]
    rows = [set(part[0].tolist()) for part in script.parts(torch.arange(len(images)))]
    assert sum(map(len, rows)) == len(set().union(*rows)) == len(images)


def test_without_a_weight_the_discriminator_stands_still():
    torch.manual_seed(0)
    maker, D = (Ensemble(lambda: mlp(2, 2, width=4), 2), Ensemble(lambda: mlp(2, 1, width=4), 2))
    before = [w.clone() for w in D.parameters()]
    x = torch.randn(2, 8, 2)
    settings = {"steps": 3, "rate": 1e-2, "R1": 0.1}
    first = (maker(x) - x).square().mean()
    script.train(maker, D, lambda: (x, x, x), settings, weights=(1.0, 0.0))
    assert all(torch.equal(a, b) for a, b in zip(before, D.parameters(), strict=True))
    assert (maker(x) - x).square().mean() < first
    script.train(maker, D, lambda: (x, x, x), settings, weights=(0.0, 1.0))
    assert not all(torch.equal(a, b) for a, b in zip(before, D.parameters(), strict=True))


def test_records_are_of_the_settings_as_they_stand():
    for quick, settings in (("", script.SETTINGS), (".quick", script.QUICK)):
        note = json.loads((RUNS / f"adversarial_today{quick}.json").read_text("utf-8"))
        assert note["settings"] == settings
        frame = pd.read_csv(RUNS / f"adversarial_today{quick}.csv")
        sizes = frame.groupby("row").size().drop("teacher")
        assert sizes.eq(settings["runs"]).all()
        weights = settings["decoder"]["weights"]
        assert {f"weight {w:g}" for w in weights} <= set(sizes.index)
        assert set(settings["student"]["rows"]) <= set(sizes.index)


@pytest.mark.slow
def test_the_small_version_comes_out_again():
    frame, record = made_again("adversarial_today")
    for row in record["row"].unique():
        now, then = (table[table["row"] == row] for table in (frame, record))
        for measure in ("unexplained", "detail", "high_quality", "off_teacher"):
            if then[measure].isna().any() or len(then) < 2:
                continue
            one, other = (mean_interval(part[measure], 0.9999) for part in (now, then))
            assert one.low <= other.high + 1e-3, (row, measure)
            assert other.low <= one.high + 1e-3, (row, measure)


def test_the_teacher_of_the_record_is_nearly_perfect():
    teacher = ring(std=script.SETTINGS["student"]["std"])
    z = torch.randn(2_500, 2, generator=torch.Generator().manual_seed(3)).double()
    made = script.follow(z, teacher, script.SETTINGS["student"]["euler"])
    found = script.on_toy(teacher, script.SETTINGS["student"]["std"], made.unsqueeze(0))
    assert found["high_quality"].item() > 0.97
    assert found["effective"].item() > 7.95
