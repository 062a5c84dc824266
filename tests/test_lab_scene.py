"""What the lab sends to be drawn: on targets that differ under every exchange of axes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan_course.distributions import GaussianMixture, Uniform, normal, uniform
from gan_course.lab import Driver, Lab, driver
from gan_course.lab.controls import LAYERS, along_the_wall
from gan_course.lab.curves import NAMES
from gan_course.lab.scene import CELLS, GRID, MESH, Scene
from gan_course.lab.still import draw
from gan_course.metrics import mode_coverage

#: Where the data and the generated samples are; neither is the other's image in any mirror.
DATA, MADE = (-1.0, 2.0), (2.5, 0.5)


class Plane(nn.Module):
    """D's logit of x, an affine function of its axes; a score for each of them."""

    def __init__(self, *slopes: float, shift: float = 0.0) -> None:
        super().__init__()
        self.slopes, self.shift = torch.tensor(slopes), shift

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.slopes + self.shift).unsqueeze(-1)


class Affine(nn.Module):
    """G(z) = A z + b."""

    def __init__(self, matrix: list[list[float]], shift: tuple[float, ...]) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor(matrix))
        self.shift = torch.tensor(shift)

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.matrix.T + self.shift


def plane(
    loss: str = "non-saturating", noise: Any = None, matrix: list[list[float]] | None = None
) -> Scene:
    generator = Affine(matrix or [[0.1, 0.02], [-0.03, 0.2]], MADE)
    data = GaussianMixture([DATA, (0.3, -0.4)], 0.1, [0.8, 0.2])
    judge = Plane(0.7, -0.2, shift=0.1)
    return Scene(generator, judge, data, noise or normal(2), loss, seed=3)


def axis(scene: Scene, points: int) -> Tensor:
    return torch.linspace(*scene.data.window, points)


def cell(scene: Scene, x: float, y: float) -> tuple[int, int]:
    """Row and column of a point: rows along y, columns along x."""
    low, high = scene.data.window
    column, row = (int((v - low) / (high - low) * CELLS) for v in (x, y))
    return row, column


def test_the_surface_has_d_s_answer_at_every_point() -> None:
    scene = plane()
    y, x = torch.meshgrid(axis(scene, GRID), axis(scene, GRID), indexing="ij")
    expected = torch.sigmoid(0.7 * x - 0.2 * y + 0.1)
    torch.testing.assert_close(scene.arrays(["belief"])["belief"], expected)


@pytest.mark.parametrize(("loss", "sure"), [("minimax", 0.99), ("least squares", 0.99)])
def test_d_star_is_high_at_the_data_and_low_at_what_is_generated(loss: str, sure: float) -> None:
    scene = plane(loss)
    best = scene.arrays(["optimal"])["optimal"]
    assert best.shape == (CELLS, CELLS)
    assert best[cell(scene, *DATA)] > sure
    assert best[cell(scene, 0.3, -0.4)] > sure
    assert best[cell(scene, *MADE)] < 1 - sure
    for x, y in ((2.0, -1.0), (0.5, 2.5), (-0.4, 0.3)):  # exchanged axes
        assert best[cell(scene, x, y)].isnan()


def test_d_star_between_two_laws_is_their_share_of_the_mass() -> None:
    """Where the laws overlap unevenly, D* is p / (p + q), not its mirror image."""
    data = GaussianMixture([[0.0, 0.0]], 1.0)
    scene = Scene(
        Affine([[1.0, 0.0], [0.0, 1.0]], (0.8, -0.4)),
        Plane(1.0, 1.0),
        data,
        normal(2),
        "minimax",
        0,
    )
    best = scene.arrays(["optimal"])["optimal"]
    middles = axis(scene, 2 * CELLS + 1)[1::2]
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    near = x.square() + y.square() < 1
    expected = torch.sigmoid(-(0.8 * x - 0.4 * y) + (0.8**2 + 0.4**2) / 2)
    off = (best - expected)[near & best.isfinite()]
    assert off.mean().abs() < 0.03 and off.abs().mean() < 0.12
    right, above = (best[near & (along > 0.5)].nanmean() for along in (x, y))
    assert right < 0.5 < above


def test_samples_come_from_their_own_law() -> None:
    scene = plane()
    arrays = scene.arrays(["real", "generated"])
    torch.testing.assert_close(arrays["fake"].mean(0), torch.tensor(MADE), atol=0.05, rtol=0)
    near = (arrays["real"] - torch.tensor(DATA)).norm(dim=1) < 0.6
    assert 0.7 < near.float().mean() < 0.9
    assert torch.equal(arrays["fake"], plane().arrays(["generated"])["fake"])  # the same each time


def test_an_arrow_is_a_sample_and_its_pull() -> None:
    scene = plane()
    x, pull = scene.arrays(["arrows"])["arrows"].split(2, dim=1)
    assert torch.equal(x, scene.fake[: len(x)])
    # −d softplus(−D)/dx = σ(−D) dD/dx
    slope = torch.sigmoid(-scene.discriminator(x)) * torch.tensor([0.7, -0.2])
    torch.testing.assert_close(pull, slope)


def test_the_mesh_is_the_grid_of_z_sent_through_g() -> None:
    scene = plane()
    mesh = scene.arrays(["manifold"])["mesh"]
    quantiles = torch.special.ndtri(torch.linspace(0.01, 0.99, MESH))
    assert mesh.shape == (MESH, MESH, 2)
    for i, j in ((0, 0), (0, MESH - 1), (MESH - 1, 2), (3, 7)):
        z = torch.stack([quantiles[i], quantiles[j]])
        torch.testing.assert_close(mesh[i, j], scene.generator(z))


def test_a_thread_is_the_line_of_z_sent_through_g() -> None:
    scene = plane(noise=uniform(1), matrix=[[0.5], [-1.5]])
    thread = scene.arrays(["manifold"])["thread"]
    first, last = (scene.generator(torch.tensor([v])) for v in (-0.98, 0.98))
    torch.testing.assert_close(thread[[0, -1]], torch.stack([first, last]))
    assert (thread[1:, 1] < thread[:-1, 1]).all()


def line(generator: nn.Module, loss: str = "minimax") -> Scene:
    return Scene(generator, Plane(2.0, shift=-1.0), GaussianMixture([1.0], 0.5), normal(1), loss, 0)


def test_on_the_line_every_array_is_over_x() -> None:
    scene = line(Affine([[0.3]], (2.2,)))
    arrays = scene.arrays(["real", "generated", "belief", "manifold", "arrows", "optimal"])
    x = axis(scene, len(arrays["belief"]))
    torch.testing.assert_close(arrays["belief"], torch.sigmoid(2 * x - 1))
    low, high = scene.prior.window
    share, above = arrays["ladder"].T
    torch.testing.assert_close(above, 0.3 * (low + share * (high - low)) + 2.2)
    assert (share[1:] > share[:-1]).all()
    for name, mode in (("p", 1.0), ("q", 2.2)):
        assert x[arrays[name].argmax()] == pytest.approx(mode, abs=0.05)
    assert torch.equal(arrays["arrows"][:, 0], scene.fake[: len(arrays["arrows"]), 0])
    assert (arrays["arrows"][:, 1] > 0).all()  # D rises to the right
    low, high = scene.data.window
    best = arrays["optimal"]
    at = [int((v - low) / (high - low) * CELLS) for v in (0.7, 2.4)]
    assert best[at[0]] > 0.9 and best[at[1]] < 0.1


def test_a_histogram_on_the_line_is_the_law_of_g() -> None:
    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(0.3))

        def forward(self, z: Tensor) -> Tensor:
            return self.scale * z[:, :1] + 2.2

    scene = Scene(Folded(), Plane(1.0), GaussianMixture([1.0], 0.5), normal(2), "minimax", 0)
    q = scene.arrays(["generated"])["q"]
    x = axis(scene, len(q))
    assert torch.trapezoid(q, x).item() == pytest.approx(1, abs=0.03)
    assert (torch.trapezoid(q * x, x) / torch.trapezoid(q, x)).item() == pytest.approx(
        2.2, abs=0.06
    )


def test_what_lies_outside_the_picture_is_no_part_of_its_histogram() -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.far = nn.Parameter(torch.tensor(50.0))

        def forward(self, z: Tensor) -> Tensor:
            return 0.3 * z[:, :1] + 1.0 + self.far * (z[:, 1:] > 0)

    scene = Scene(Split(), Plane(1.0), GaussianMixture([1.0], 0.5), normal(2), "minimax", 0)
    q = scene.arrays(["generated"])["q"]
    inside = float((scene.fake < 10).float().mean())
    assert 0.4 < inside < 0.6
    assert torch.trapezoid(q, axis(scene, len(q))).item() == pytest.approx(inside, abs=0.02)


def test_the_rates_along_a_wall_are_even_on_the_scale_of_the_slider() -> None:
    assert along_the_wall("generator_rate", 5) == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert along_the_wall("generator_rate", 3) == [1e-5, 1e-3, 1e-1]


def test_the_measures_are_those_of_the_samples_drawn() -> None:
    scene = plane()
    real, fake = (scene.discriminator(x).squeeze(-1) for x in (scene.real, scene.fake))
    measures = scene.measures()
    assert measures["real"] == pytest.approx(real.sigmoid().mean().item())
    assert measures["fake"] == pytest.approx(fake.sigmoid().mean().item())
    value = (real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean()).item()
    assert measures["value"] == pytest.approx(value, abs=1e-5)
    assert measures["fake"] - measures["real"] > 0.3  # this D is wrong, and said to be
    scores = plane("wasserstein").measures()
    assert scores["real_score"] == pytest.approx(real.mean().item())
    assert scores["fake_score"] == pytest.approx(fake.mean().item())
    paired = fake[: len(real)]
    assert scores["loss"] == pytest.approx((paired.mean() - real.mean()).item(), abs=1e-5)


def test_what_is_outside_and_what_is_covered_is_counted() -> None:
    data = GaussianMixture([DATA, MADE, (0.3, -0.4)], 0.1)
    sent = Affine([[0.0, 0.0], [9.0, 0.0]], (2.5, 0.5))  # along y alone: some leave the picture
    scene = Scene(sent, Plane(1.0, 1.0), data, normal(2), "minimax", 0)
    low, high = data.window
    outside = ((scene.fake[:, 1] < low) | (scene.fake[:, 1] > high)).float().mean().item()
    assert 0.3 < outside < 0.9
    measures = scene.measures()
    assert measures["outside"] == pytest.approx(outside)
    assert measures["modes"] == 1  # that at MADE, alone
    assert 0 < measures["quality"] < 0.1


def test_the_theory_s_numbers_are_those_of_the_laws() -> None:
    data = GaussianMixture([[0.0, 0.0]], 1.0)
    best = Plane(-0.8, 0.4, shift=(0.8**2 + 0.4**2) / 2)
    sent = Affine([[1.0, 0.0], [0.0, 1.0]], (0.8, -0.4))
    gaps = {}
    for name, judge in {"best": best, "swapped": Plane(0.4, -0.8, shift=0.4)}.items():
        theory = Scene(sent, judge, data, normal(2), "minimax", 0).theory()
        gaps[name] = theory["gap"]
        assert 0.05 < theory["divergence"] < 0.2
    assert 0 <= gaps["best"] < 0.08 < gaps["swapped"]
    with_least = Scene(sent, best, data, normal(2), "least squares", 0).theory()
    assert set(with_least) == {"divergence", "least"} and 0 < with_least["least"] < 1


@pytest.mark.parametrize(
    "data",
    [
        GaussianMixture([DATA, MADE], 0.1, [0.7, 0.3]),
        Uniform(torch.tensor([-1.2, 1.8]), torch.tensor([-0.8, 2.9])),
    ],
    ids=["mixture", "uniform"],
)
def test_the_shares_are_sorted_by_both_axes(data: GaussianMixture | Uniform) -> None:
    """By brute force: what lies left of and below a place, of many samples."""
    at = torch.tensor([DATA[0] + 0.3, DATA[1] + 0.2])
    near = Affine([[0.01, 0.0], [0.0, 0.01]], DATA)
    scene = Scene(near, Plane(1.0, 1.0), data, normal(2), "minimax", 0)
    low, high = data.window
    edges = [round(float((v - low) / (high - low)) * CELLS) for v in at]
    placed = low + torch.tensor(edges) * (high - low) / CELLS
    many = data.sample((200_000,), torch.Generator().manual_seed(0))
    expected = (many < placed).all(dim=1).float().mean().item()
    shares = scene._data_shares()[:-1].reshape(CELLS, CELLS)
    assert shares[: edges[0], : edges[1]].sum() == pytest.approx(expected, abs=0.005)
    made = scene._generated_shares()[:-1].reshape(CELLS, CELLS)
    assert made[: edges[0], : edges[1]].sum() == pytest.approx(1, abs=0.01)
    assert made[: edges[1], : edges[0]].sum() == 0  # x first, then y


# --- Packs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["ring", "one bump (1-D)"])
def test_of_packs_there_is_no_shade_and_no_single_d_star_and_the_page_says_why(data: str) -> None:
    lab = Lab(data, width=8, batch=24, packing=3, layers=LAYERS)
    lab.run(2)
    head, arrays = lab.frame()
    assert {"belief", "optimal"}.isdisjoint(arrays) and {"real", "fake", "arrows"} <= set(arrays)
    assert {"gap", "least"}.isdisjoint(head["measures"]) and "divergence" in head["measures"]
    assert "packs of 3 samples" in head["reading"]["text"]
    assert "no single D*" in head["reading"]["text"]
    look = Scene.of(lab.trainer)
    for seen, x in zip(look.scores, (look.real, look.fake), strict=True):
        packs = x[: len(seen) * 3].reshape(1, len(seen), -1)
        assert len(seen) == len(x) // 3
        torch.testing.assert_close(seen, lab.trainer.logits(packs)[0])
    assert len(arrays["arrows"]) == 78
    view, _ = draw(head, arrays, look.scores).axes
    assert len(view.lines) == (3 if "1-D" in data else 0)  # p, q and the line at one half
    lab.do("slow motion")
    lab.run(9)
    assert lab.trainer.steps == 3
    lab.set(packing=1)
    lab.run(0)
    assert "belief" in lab.frame()[1] and lab.frame()[0]["reading"]["text"] == ""
    lab.stop()


def test_an_arrow_of_a_pack_is_the_pull_on_each_of_its_samples() -> None:
    judge = Plane(0.7, -0.2, 0.3, 0.4)
    scene = replace(plane(), discriminator=judge, packing=2)
    x, pull = scene.arrays(["arrows"])["arrows"].split(2, dim=1)
    first, second = pull[0::2], pull[1::2]
    share = torch.sigmoid(-judge(x.reshape(-1, 4)))
    torch.testing.assert_close(first, share * torch.tensor([0.7, -0.2]))
    torch.testing.assert_close(second, share * torch.tensor([0.3, 0.4]))


# --- The lab around a scene -------------------------------------------------------------------


@pytest.fixture
def wall() -> Iterator[Lab]:
    """Four runs whose samples lie in places of their own; the third is lifted."""
    made = Lab(runs=4, width=8, batch=32, loss="non-saturating")
    with torch.no_grad():
        *_, bias = made.trainer.generator.parameters()
        bias.copy_(torch.tensor([[0.0, 1.0], [0.7, 0.1], [-0.6, 0.3], [0.2, -0.8]]) * 0.9)
    made.lift(2)
    made.run(1)
    yield made
    made.stop()


def test_each_row_of_the_wall_is_that_run_s(wall: Lab) -> None:
    _, arrays = wall.frame()
    samples = wall.trainer.sample(100)
    np.testing.assert_allclose(arrays["wall"], samples.numpy(), atol=1e-6)
    data = wall.trainer.data
    expected = mode_coverage(samples, data.modes, float(data.std.max())).modes
    np.testing.assert_array_equal(arrays["covered"], expected.numpy())


def test_all_that_is_said_in_front_of_a_wall_is_of_the_lifted_run(wall: Lab) -> None:
    records = []
    step = wall.trainer.step
    wall.trainer.step = lambda: records.append(step()) or records[-1]
    wall.run(2)
    head, arrays = wall.frame()
    alone = Scene.of(wall.trainer, 2)
    assert head["run"] == 2
    for name, value in alone.measures().items():
        assert head["measures"][name] == pytest.approx(value), name
    np.testing.assert_allclose(
        arrays["belief"], alone.arrays(["belief"])["belief"].numpy(), atol=1e-5
    )
    rows = dict(zip(NAMES, arrays["curves"], strict=True))
    for name in ("real", "fake", "discriminator_gradient", "generator_gradient"):
        for at, record in ((-2, records[0]), (-1, records[1])):
            values = getattr(record, name)
            assert len(set(values.tolist())) == 4
            assert rows[name][at] == pytest.approx(values[2].item(), rel=1e-5), name
    for other, curves in enumerate(wall.curves):
        row = dict(zip(NAMES, curves.array()[:, -1], strict=True))
        assert row["real"] == pytest.approx(records[1].real[other].item(), rel=1e-5)
        assert row["modes"] == arrays["covered"][other]


def test_the_still_picture_is_of_the_lifted_run(wall: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr("gan_course.lab.lab.bundle", lambda *given: said.append(given) or ({}, {}))
    for loss in ("non-saturating", "wasserstein"):
        wall.set(loss=loss)
        wall.run(1)
        wall._repr_mimebundle_()
        head, arrays, scores = said[-1]
        alone = Scene.of(wall.trainer, 2)
        torch.testing.assert_close(scores, alone.scores)
        np.testing.assert_allclose(arrays["fake"], alone.fake.numpy(), atol=1e-6)
        view, beside = draw(head, arrays, scores).axes
        shown = np.asarray(view.collections[-1].get_offsets())
        np.testing.assert_allclose(shown, alone.fake.numpy(), atol=1e-6)
        np.testing.assert_allclose(view.images[0].get_array(), arrays["belief"], atol=1e-6)
        assert view.get_xlim() == view.get_ylim() == pytest.approx(head["window"])
        assert view.images[0].origin == "lower"
    assert beside.get_title() == "D's scores"


def test_notes_of_single_steps_are_of_the_lifted_run(
    wall: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for player in ("discriminator", "generator"):
        step = getattr(wall.trainer, f"{player}_step")
        monkeypatch.setattr(
            wall.trainer, f"{player}_step", lambda step=step: seen.append(step()) or seen[-1]
        )
    wall.do("D step")
    wall.run(0)
    loss, real, fake = (getattr(seen[0], name)[2].item() for name in ("loss", "real", "fake"))
    assert f"loss of {loss:.3f}" in wall.note["text"]
    assert f"{real:.3f} on real and {fake:.3f} on generated" in wall.note["text"]
    wall.do("G step")
    wall.run(0)
    assert f"loss of {seen[1].loss[2].item():.3f}" in wall.note["text"]


def test_slow_motion_in_front_of_a_wall_is_of_the_lifted_run(wall: Lab) -> None:
    wall.do("slow motion")
    wall.run(0)
    peeked = wall.trainer.peek()
    wall.run(1)
    assert wall._piece is not None
    torch.testing.assert_close(wall._piece.real, peeked.real[2])
    _, arrays = wall.frame()
    np.testing.assert_allclose(arrays["real"], peeked.real[2].numpy())
    with torch.no_grad():
        made = wall.trainer.generator(peeked.noise)[2]
    wall.run(1)
    np.testing.assert_allclose(wall.frame()[1]["fake"], made.numpy(), atol=1e-6)
    assert wall._piece.highlight == ("generated", "manifold")
    wall.run(1)
    batches = peeked.real, wall.trainer.generator(peeked.noise)
    real, fake = (wall.trainer.logits(batch)[2].sigmoid() for batch in batches)
    assert f"{real.mean():.2f} on real and {fake.mean():.2f} on generated" in wall._piece.text


def test_each_tile_along_a_rate_trains_at_what_is_written_below_it() -> None:
    lab = Lab(runs=4, along="discriminator_rate", width=4, batch=8)
    head, _ = lab.frame()
    expected = along_the_wall("discriminator_rate", 4)
    assert [float(text) for text in head["tiles"]] == expected == sorted(expected)
    assert list(lab.trainer.settings.discriminator_rate) == expected
    assert lab.trainer.settings.generator_rate == lab.values["generator_rate"]
    lab.stop()


def test_what_is_drawn_by_hand_is_where_it_was_drawn() -> None:
    lab = Lab(width=4, batch=8)
    points = [[-1.0, 2.0], [0.5, 2.5], [2.0, -0.5]]
    lab.receive({"kind": "drawn", "points": points})
    lab.run(0)
    torch.testing.assert_close(lab.trainer.data.centers, torch.tensor(points))
    assert float(lab.trainer.data.std.max()) == pytest.approx(0.02 * 3.5)
    lab.stop()


def test_every_setting_of_the_page_is_the_trainer_s() -> None:
    lab = Lab(width=4, batch=8)
    values = {
        "k": 3,
        "loss": "hinge",
        "penalty": "R1",
        "weight": 0.5,
        "discriminator_rate": 0.002,
        "generator_rate": 0.0005,
        "batch": 64,
        "speed": 10,
    }
    for name, value in values.items():
        lab.receive({"kind": "set", "values": {name: value}})
    lab.run(0)
    settings = lab.trainer.settings
    for name in ("k", "loss", "discriminator_rate", "generator_rate", "batch"):
        assert getattr(settings, name) == values[name], name
    assert settings.penalties == {"R1": 0.5}
    assert lab.driver.speed == 10
    assert lab.frame()[0]["values"] == {**lab.values, **values}
    lab.set(speed=0)
    lab.run(0)
    assert lab.driver.speed == math.inf
    lab.stop()


@pytest.mark.parametrize("speed", [3.0, 100.0])
def test_a_speed_is_the_number_of_steps_in_a_second(
    speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of our own, on which a step takes a tenth of a millisecond."""
    clock, taken = [0.0], []
    monkeypatch.setattr(driver.time, "perf_counter", lambda: clock[0])

    def step() -> None:
        taken.append(clock[0])
        clock[0] += 1e-4

    made = Driver(step, lambda: None)
    made.speed = speed
    made.play()
    while clock[0] < 20:
        made._slice()
        clock[0] += 1 / 60
    assert len(taken) == pytest.approx(20 * speed, rel=0.03)
    gaps = np.diff(taken)
    assert gaps.max() < 1 / speed + 0.06


def played(lab: Lab, then: Callable[[], None]) -> dict[str, Any]:
    """The last picture sent in a short session on a loop."""
    sent: list[dict[str, Any]] = []
    lab.view.send = lambda head, *_: sent.append(dict(head))

    async def session() -> None:
        lab.driver.start()
        then()
        for _ in range(200):
            await asyncio.sleep(0.01)
            if sent and not lab.driver._changed and lab.driver._commands.empty():
                break
        await lab.close()

    asyncio.run(session())
    return [head for head in sent if head["kind"] == "frame"][-1]


def test_the_last_picture_shows_what_was_last_asked_for() -> None:
    lab = Lab(width=4, batch=8)

    def ask() -> None:
        for number, k in enumerate((2, 5, 9), 1):
            lab.receive({"kind": "set", "values": {"k": k}, "page": "a", "number": number})
            lab.receive({"kind": "acknowledge", "number": number})

    last = played(lab, ask)
    assert last["values"]["k"] == 9 and last["seen"] == {"a": 3}
