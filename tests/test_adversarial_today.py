"""The sweep of adversarial terms: the teacher's field, the measures, and its records."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from tools import RUNS, load, made_again
from torch import Tensor
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


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (1.0, 4.0)])
def test_a_step_is_that_of_plain_autograd(
    weights: tuple[float, float], monkeypatch: pytest.MonkeyPatch
):
    """D's step, then the maker's against the new D; by hand, for one run, with plain descent."""
    monkeypatch.setattr(torch.optim, "Adam", lambda w, lr, **_: torch.optim.SGD(w, lr))
    torch.manual_seed(0)
    maker, D = Ensemble(lambda: mlp(3, 2, width=5), 2), Ensemble(lambda: mlp(2, 1, width=5), 2)
    asked, right, real = torch.randn(2, 7, 3), torch.randn(2, 7, 2), torch.randn(2, 7, 2) + 1
    own, judge = maker.member(1), D.member(1)
    rate, r1 = 0.05, 0.3

    def moved(network: torch.nn.Module, loss: Tensor) -> None:
        slopes = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            for w, slope in zip(network.parameters(), slopes, strict=True):
                w.sub_(rate * slope)

    for network in (own, judge):
        network.requires_grad_(True)
    if weights[1]:
        x = real[1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
        penalty = slope.square().sum(dim=1).mean() / 2
        fake = own(asked[1]).detach()
        moved(judge, F.softplus(-judge(x)).mean() + F.softplus(judge(fake)).mean() + r1 * penalty)
    made = own(asked[1])
    loss = weights[0] * (made - right[1]).square().sum(dim=1).mean()
    if weights[1]:
        loss = loss + weights[1] * F.softplus(-judge(made)).mean()
    moved(own, loss)

    settings = {"steps": 1, "rate": rate, "R1": r1}
    script.train(maker, D, lambda: (asked, right, real), settings, weights=weights)
    for network, by_hand in ((maker, own), (D, judge)):
        for w, expected in zip(network.member(1).parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(w, expected, rtol=0, atol=1e-5)


def test_a_training_of_three_times_the_steps_has_them():
    drawn = []
    torch.manual_seed(0)
    maker, D = Ensemble(lambda: mlp(2, 2, width=4), 1), Ensemble(lambda: mlp(2, 1, width=4), 1)

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        drawn.append(1)
        return (torch.zeros(1, 3, 2),) * 3

    for times in (1, 3):
        settings = {"steps": 4, "rate": 1e-2, "R1": 0.1}
        script.train(maker, D, draw, settings, weights=(1.0, 0.0), times=times)
    assert len(drawn) == 4 + 12


class Judge:
    """Reads the first pixel; sees the first ten."""

    def classify(self, x: Tensor) -> Tensor:
        return (x[..., 0, 0, 0] > 0).long()

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(-3)[..., :10]


def test_measures_of_what_can_be_counted_by_hand():
    images = digits()[0].flatten(1)
    test, others = images[:300], images[300:600]
    middle = test.mean(dim=0)
    half = middle + (test - middle) / 2
    made = torch.stack([test, middle.expand(300, 64), half, test.roll(1, dims=0)])
    classes = Judge().classify(test.view(-1, 1, 8, 8))
    found = script.looked_at(made, test, classes, others, Judge())
    expected = {"unexplained": [0, 1, 0.25], "spread": [1, 0, 0.25]}
    for name, values in expected.items():
        close = pytest.approx(values, abs=1e-4)
        assert found[name][:3].tolist() == close, name
    # pictures in another order: all spread and detail, and twice the error
    assert found["unexplained"][3].item() == pytest.approx(2, abs=0.15)
    assert found["spread"][3].item() == pytest.approx(1, abs=1e-4)
    assert found["detail"][[0, 3]].tolist() == pytest.approx([1, 1], abs=1e-4)
    assert found["detail"][2] < 0.7
    assert found["right"][0] == 1
    assert found["frechet"][1] > found["frechet"][0]
    assert found["precision"][0] > 0.5


def test_a_filter_sharpens_and_a_forger_gets_the_share_of_detail_that_was_asked():
    images = digits()[0][:50].flatten(1)
    wanted = script.laplacian(images.view(-1, 8, 8)).square().sum()
    blurred = F.avg_pool2d(images.view(-1, 1, 8, 8), 3, 1, 1, count_include_pad=False).flatten(1)
    change = script.sharpening(blurred[None])
    little = blurred + 0.1 * change[0]
    assert (little - images).square().mean() < (blurred - images).square().mean()
    for share in (0.5, 1.0):
        made = script.as_detailed(blurred[None], change, images, share).clamp(-1, 1)
        found = script.laplacian(made.unflatten(-1, (8, 8))).square().sum() / wanted
        assert float(found) == pytest.approx(share, abs=1e-3)


def test_students_are_asked_the_teacher_s_pairs(monkeypatch: pytest.MonkeyPatch):
    settings = script.QUICK["student"] | {"pairs": 300}
    target, calls = ring(std=settings["std"]), []

    def train(student: Any, D: Any, draw: Any, own: Any, *, weights: Any, times: int) -> None:
        calls.append((draw(), weights, times))

    monkeypatch.setattr(script, "train", train)
    frame = script.of_students(settings, 3)
    rows = settings["rows"]
    assert [(*weights, times) for _, weights, times in calls] == [tuple(r) for r in rows.values()]
    for (asked, right, real), _, _ in calls:
        ends = script.follow(asked.double(), target, settings["euler"]).float()
        torch.testing.assert_close(right, ends, rtol=0, atol=1e-4)
        assert script.on_toy(target, settings["std"], real)["high_quality"].min() > 0.9
        assert asked.shape == right.shape == real.shape == (3, settings["batch"], 2)
        assert not torch.equal(real, right)
    assert torch.equal(calls[0][0][0], calls[1][0][0])  # all rows are asked the same
    assert frame["row"].tolist() == [row for row in rows for _ in range(3)] + ["teacher"]
    of_teacher = frame[frame["row"] == "teacher"]
    assert of_teacher["off_teacher"].item() == 0
    assert of_teacher["high_quality"].item() > 0.97
    assert (frame[frame["row"] != "teacher"]["off_teacher"] > 0.3).all()  # untrained


@pytest.mark.slow
def test_a_student_that_is_the_teacher_is_not_off(monkeypatch: pytest.MonkeyPatch):
    settings = script.QUICK["student"]
    target = ring(std=settings["std"])

    class Copy(torch.nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return script.follow(z.double(), target, settings["euler"]).float()

    monkeypatch.setattr(script, "Ensemble", lambda *_: Copy())
    monkeypatch.setattr(script, "train", lambda *_, **__: None)
    frame = script.of_students(settings, 2)
    assert frame["off_teacher"].max() < 1e-5


def test_decoders_are_asked_for_what_they_see(monkeypatch: pytest.MonkeyPatch):
    calls = []

    def train(maker: Any, D: Any, draw: Any, own: Any, *, weights: Any, times: int) -> None:
        calls.append((draw(), weights, times, maker))

    monkeypatch.setattr(script, "train", train)
    images = digits()[0][:40].flatten(1)
    settings = script.QUICK["decoder"]
    for weight in (0.0, 4.0):
        script.autoencoder(images, settings, 3, weight, seed=0)
    for (asked, right, real), weights, times, maker in calls:
        assert torch.equal(asked, right)
        assert not torch.equal(asked, real)
        assert asked.shape == real.shape == (3, settings["batch"], 64)
        assert weights[0] == 1 and times == 1
        narrow = min(w.shape[1] for w in maker.member(0).parameters() if w.dim() == 2)
        assert narrow == settings["latent"]
    assert [weights[1] for _, weights, *_ in calls] == [0, 4]
    assert torch.equal(calls[0][0][0], calls[1][0][0])
    pairs = zip(calls[0][3].parameters(), calls[1][3].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
