"""The live lab without a page: every control while it trains, the pictures as bytes."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import math
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gan_course
from gan_course import cells
from gan_course.cells import Cell
from gan_course.distributions import GaussianMixture, Uniform, normal, ring
from gan_course.lab import Driver, Lab
from gan_course.lab.controls import CONTROLS, LAYERS, TARGET_MENU
from gan_course.lab.curves import MOST, NAMES, Curves
from gan_course.lab.frames import pack, pack_small, unpack
from gan_course.lab.scene import CELLS, GRID, MESH, SHOWN, Scene
from gan_course.lab.scores import reading
from gan_course.lab.view import WINDOW
from gan_course.losses import LOSSES
from gan_course.networks import mlp
from gan_course.theory import jensen_shannon
from gan_course.training.history import symptom


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab(width=8, batch=32)
    yield made
    made.stop()


def extremes(options: Any) -> list[Any]:
    """The least, middle and largest stop of a slider, every entry of a menu."""
    options = list(options)
    return options if len(options) < 8 else [options[0], options[len(options) // 2], options[-1]]


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def heads(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect the heads of what the view sends."""
    sent: list[dict[str, Any]] = []
    # A copy, for what is sent leaves the kernel as it is.
    monkeypatch.setattr(lab.view, "send", lambda head, *_: sent.append(copy.deepcopy(head)))
    return sent


def listen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], bytes]]:
    """Collect what the view sends."""
    sent: list[tuple[dict[str, Any], bytes]] = []
    monkeypatch.setattr(lab.view, "send", lambda head, blocks: sent.append((head, blocks[0])))
    return sent


WITHOUT_JUPYTER = """
import sys
for name in ("anywidget", "ipywidgets", "traitlets", "IPython"):
    sys.modules[name] = None
import gan_course
assert gan_course.Trainer
for load in ("gan_course.Lab", "__import__('gan_course.lab')", "__import__('gan_course.explore')"):
    for name in [name for name in sys.modules if name.startswith("gan_course.lab")]:
        del sys.modules[name]
    try:
        eval(load)
    except ImportError as error:
        print(error.name, "pip install" in str(error))
"""


@pytest.mark.slow
def test_the_lab_is_a_name_of_the_library_which_itself_needs_no_jupyter() -> None:
    assert gan_course.Lab is Lab
    with pytest.raises(AttributeError, match="Lob"):
        _ = gan_course.Lob
    command = [sys.executable, "-c", WITHOUT_JUPYTER]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    said = "anywidget True\n" * 2 + "ipywidgets True\n"
    assert (done.stdout, done.returncode) == (said, 0), done.stderr


# --- Controls -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CONTROLS if name not in ("data", "along")])
def test_each_control_at_its_extremes_while_training(lab: Lab, name: str) -> None:
    lab.show(*LAYERS)
    if name == "packing":
        lab.set(batch=24)  # which each of its values divides
        lab.run(0)
    for value in [*LOSSES] if name == "loss" else extremes(CONTROLS[name].options):
        lab.set(**{name: value})
        lab.run(2)
        assert lab.values[name] == value
    assert lab.trainer.steps >= 2 or lab.note["kind"] == "error"


def test_each_target_while_training(lab: Lab) -> None:
    lab.show(*LAYERS)
    for name in [*lab.targets, "ring"]:
        lab.set(data=name)
        lab.run(2)
        assert lab.trainer.data.event_shape == lab.targets[name].event_shape


def test_a_setting_acts_at_the_next_step_on_the_same_networks(lab: Lab) -> None:
    generator = lab.trainer.generator
    lab.set(k=7, loss="hinge", penalty="R1", weight=0.3, generator_rate=1e-4, prior="uniform")
    assert lab.trainer.settings.k == 1
    lab.run(1)
    settings = lab.trainer.settings
    assert (settings.k, settings.loss, settings.penalties) == (7, "hinge", {"R1": 0.3})
    assert settings.generator_rate == 1e-4
    assert isinstance(lab.trainer.prior, Uniform)
    assert lab.trainer.generator is generator


@pytest.mark.parametrize(
    "change", [{"width": 4}, {"depth": 1}, {"noise": 3}, {"seed": 5}, {"packing": 2}]
)
def test_what_needs_new_networks_starts_again_and_says_so(lab: Lab, change: dict[str, Any]) -> None:
    lab.run(3)
    lab.set(**change)
    lab.run(0)
    assert lab.trainer.steps == 0
    assert "Started again" in lab.note["text"]
    assert CONTROLS[next(iter(change))].label in lab.note["text"]


def test_the_networks_are_of_the_sizes_asked_for(lab: Lab) -> None:
    lab.set(width=16, depth=3, noise=4, packing=2)
    lab.run(0)
    for network, inputs, outputs in (
        (lab.trainer.generator, 4, 2),
        (lab.trainer.discriminator, 4, 1),
    ):
        layers = [tuple(w.shape[-2:]) for name, w in network.named_parameters() if "weight" in name]
        assert layers == [(16, inputs), (16, 16), (16, 16), (outputs, 16)]


def test_two_controls_at_once_both_apply_and_both_advise(lab: Lab) -> None:
    lab.set(speed=3, seed=4)
    lab.run(0)
    assert (lab.driver.speed, lab.trainer.seed) == (3, 4)
    lab.set(depth=0)
    lab.run(0)
    assert lab.note["kind"] == "warning"
    assert "Started again, with new networks: depth." in lab.note["text"]
    assert "D's border is a straight line" in lab.note["text"]
    lab.set(depth=2, loss="wasserstein")
    lab.run(0)
    assert "Started again" in lab.note["text"] and "unbounded" in lab.note["text"]


def test_data_of_the_same_dimension_changes_under_the_training(lab: Lab) -> None:
    lab.run(3)
    lab.set(data="grid")
    lab.run(1)
    assert lab.trainer.steps == 4
    lab.set(data="two bumps (1-D)")
    lab.run(1)
    assert lab.trainer.steps == 1


def test_the_same_seed_gives_the_same_training(lab: Lab) -> None:
    lab.run(5)
    first = weights(lab.trainer.generator)
    lab.do("reset")
    lab.run(5)
    assert torch.equal(weights(lab.trainer.generator), first)
    lab.set(seed=1)
    lab.run(5)
    assert not torch.equal(weights(lab.trainer.generator), first)


def test_a_lab_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    Lab(width=8).stop()
    assert torch.equal(torch.rand(1), expected)


def test_a_step_of_one_player_moves_that_player_only(lab: Lab) -> None:
    players = {"D step": lab.trainer.discriminator, "G step": lab.trainer.generator}
    for action, moved in players.items():
        before = {name: weights(player) for name, player in players.items()}
        lab.do(action)
        lab.run(0)
        for name, player in players.items():
            assert torch.equal(before[name], weights(player)) is (player is not moved)
        assert "did not move" in lab.note["text"]


def test_bad_combinations_are_explained(lab: Lab) -> None:
    lab.set(loss="wasserstein")
    lab.run(0)
    assert "unbounded" in lab.note["text"]
    lab.set(penalty="WGAN-GP")
    lab.run(0)
    assert lab.note["text"] == ""


WRONG: dict[str, Callable[[], object]] = {
    "k = 0": lambda: Lab(k=0),
    "k = 1.5": lambda: Lab(k=1.5),
    "k = True": lambda: Lab(width=4).set(k=True),
    "width = True": lambda: Lab(width=True),
    "generator_rate = nan": lambda: Lab(generator_rate=math.nan),
    "loss = 'cross'": lambda: Lab(loss="cross"),
    "data = 'rings'": lambda: Lab("rings"),
    "data = ": lambda: Lab(normal(3)),
    "runs = 65": lambda: Lab(runs=65),
    "widths = 3": lambda: Lab(widths=3),
    "controls: 'kk'": lambda: Lab(controls=["kk"]),
    "controls: 'along'": lambda: Lab(controls=["along"]),
    "along = 'k'": lambda: Lab(runs=2, along="k"),
    "generator_rate = 0.01": lambda: Lab(runs=2, along="generator_rate", generator_rate=0.01),
    "packing = 3: must divide the batch of 256": lambda: Lab(packing=3),
    "packing = 4: must divide the batch of 30": lambda: Lab(width=4, packing=4).set(batch=30),
    "packing = 5": lambda: Lab(packing=5),
    "losses: loss = 'x'": lambda: Lab(losses=["x"]),
    "losses = []": lambda: Lab(losses=[]),
    "losses = 'hinge'": lambda: Lab(losses="hinge"),
    "controls = 'k'": lambda: Lab(controls="k"),
    "layers: 'fog'": lambda: Lab(layers=["fog"]),
    "layers = 'real'": lambda: Lab(layers="real"),
    "layers: ['real']": lambda: Lab(layers=[["real"]]),
    "controls = 5": lambda: Lab(controls=5),
    "k = 2.0: must be a whole number": lambda: Lab(width=4).set(k=2.0),
    "k = array([2, 3])": lambda: Lab(width=4).set(k=np.array([2, 3])),
    "generator_rate = None": lambda: Lab(width=4).set(generator_rate=None),
    "runs = 2.0": lambda: Lab(runs=2.0),
    "run = 1": lambda: Lab(width=4).lift(1),
    "action = ['play']": lambda: Lab(width=4).do(["play"]),
    "steps = 2.5": lambda: Lab(width=4).run(2.5),
}


@pytest.mark.parametrize("start", WRONG)
def test_a_wrong_argument_is_named(start: str) -> None:
    with pytest.raises(ValueError) as caught:
        WRONG[start]()
    assert str(caught.value).startswith(start)


def test_numbers_of_numpy_and_torch_are_taken_and_kept_as_plain_ones(
    lab: Lab, tmp_path: Path
) -> None:
    given = {"k": np.int64(2), "generator_rate": np.float32(0.001), "seed": torch.tensor(4)}
    lab.set(**given, speed=np.int64(3), loss=np.str_("hinge"))
    lab.run(1)
    kept = lab.frame()[0]["values"]
    assert [kept[name] for name in (*given, "speed")] == [2, pytest.approx(0.001), 4, 3]
    assert {type(value) for value in kept.values()} == {int, float, str}
    heads = json.dumps(kept)
    assert json.loads(heads) == kept
    path = lab.record(tmp_path / "run.html", steps=np.int64(2), every=1, changes={1: {"k": 5}})
    assert path.exists()


# --- Failure ------------------------------------------------------------------------------


def test_a_training_that_diverges_rests_says_so_and_offers_a_remedy(lab: Lab) -> None:
    lab.run(2)
    with torch.no_grad():
        next(lab.trainer.generator.parameters()).fill_(torch.inf)
    before = weights(lab.trainer.discriminator)
    lab.driver.play()
    lab.run(1)
    assert not lab.driver.playing
    assert "not finite" in lab.note["text"]
    assert torch.equal(weights(lab.trainer.discriminator), before)
    head, _ = lab.frame()
    assert "tenth" in head["remedy"]["label"]
    lab.receive({"kind": "remedy"})
    lab.run(1)
    assert lab.trainer.steps == 1
    assert lab.values["generator_rate"] == pytest.approx(1e-4)
    assert lab.frame()[0]["remedy"] is None


def test_the_remedy_is_a_tenth_of_each_rate_by_itself(lab: Lab) -> None:
    lab.set(discriminator_rate=0.005, generator_rate=0.0002)
    with torch.no_grad():
        next(lab.trainer.generator.parameters()).fill_(torch.inf)
    lab.run(1)
    tenths = {"discriminator_rate": 0.0005, "generator_rate": 0.00002}
    assert lab.frame()[0]["remedy"]["values"] == pytest.approx(tenths)


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "set", "values": {"k": -1}},
        {"kind": "set", "values": {"colour": "red"}},
        {"kind": "do", "action": "explode"},
        {"kind": "layers", "layers": ["fog"]},
        {"kind": "lift", "run": 3},
        {"kind": "drawn", "points": [[0, 0]]},
        {"kind": "unheard of"},
        {"kind": "set"},
    ],
    ids=str,
)
def test_what_the_page_may_not_do_is_refused_in_the_picture(
    lab: Lab, message: dict[str, Any]
) -> None:
    lab.receive(message)
    lab.run(1)
    assert lab.note["kind"] == "error"
    assert lab.note["text"].startswith("Refused.")
    assert lab.trainer.steps == 1


def test_what_became_wrong_before_its_turn_is_refused_then(lab: Lab) -> None:
    lab.set(batch=30)
    lab.set(packing=4)  # which divides 32
    lab.run(1)
    assert (lab.values["batch"], lab.values["packing"]) == (30, 1)
    assert lab.note["text"] == "Refused. packing = 4: must divide the batch of 30 samples"
    lab.set(batch=24, packing=3)
    lab.run(1)
    assert lab.trainer.settings.packing == 3


# --- What a page has asked for, and seen ---------------------------------------------------


def order(number: int, page: str = "a", **message: Any) -> dict[str, Any]:
    return {"page": page, "number": number, **message}


def test_each_picture_says_what_it_has_seen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = heads(lab, monkeypatch)
    lab.run(0)
    assert sent[-1]["seen"] == {}
    for number in (1, 2):
        lab.receive(order(number, kind="set", values={"k": 1 + number}))
    lab.receive(order(1, "b", kind="do", action="D step"))
    assert lab.values["k"] == 1  # not yet between two steps
    lab.run(0)
    assert (sent[-1]["seen"], sent[-1]["values"]["k"]) == ({"a": 2, "b": 1}, 3)
    lab.receive(order(3, kind="set", values={"k": -1}))
    lab.run(0)
    assert (sent[-1]["seen"]["a"], sent[-1]["values"]["k"]) == (3, 3)  # refused, and so seen
    assert lab.note["text"].startswith("Refused. k = -1")


def test_no_picture_says_it_has_seen_what_it_does_not_show(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = heads(lab, monkeypatch)
    post = lab.driver.post

    def draw_after_each(command: Callable[[], object]) -> None:
        post(command)
        lab.run(0)

    monkeypatch.setattr(lab.driver, "post", draw_after_each)
    for number in range(1, 5):
        lab.receive(order(number, kind="set", values={"k": 1 + number}))
    assert all(head["values"]["k"] >= 1 + head["seen"].get("a", 0) for head in sent)
    assert sent[-1]["seen"] == {"a": 4}


def test_of_two_words_on_one_subject_the_newer_counts_whichever_comes_first(lab: Lab) -> None:
    lab.receive(order(2, kind="set", values={"k": 9}))
    lab.receive(order(1, kind="set", values={"k": 8}))  # on the kernel's other thread
    lab.receive(order(4, kind="do", action="pause"))
    lab.receive(order(3, kind="do", action="play"))
    lab.receive(order(6, kind="set", values={"data": "grid"}))
    lab.receive(order(5, kind="drawn", points=[[0, 0], [1, 1]]))
    lab.receive(order(1, "b", kind="set", values={"batch": 64}))  # another page's own count
    lab.run(0)
    assert (lab.values["k"], lab.values["data"], lab.values["batch"]) == (9, "grid", 64)
    assert not lab.driver.playing
    assert lab.note["text"] == ""


def test_each_page_counts_what_it_says_by_itself(lab: Lab) -> None:
    lab.receive(order(5, "a", kind="set", values={"k": 9}))
    lab.receive(order(1, "b", kind="set", values={"k": 8}))
    lab.run(0)
    assert lab.values["k"] == 8
    lab.receive(order(4, "a", kind="set", values={"k": 7}))  # late: that page has said 9 since
    lab.run(0)
    assert lab.values["k"] == 8


def test_an_acknowledgement_hides_no_command(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = heads(lab, monkeypatch)
    lab.receive(order(1, kind="set", values={"k": 4}))
    lab.receive({"kind": "acknowledge", "number": 1})
    lab.driver._slice()
    assert sent[-1]["values"]["k"] == 4


def test_a_generator_that_runs_away_is_told(lab: Lab) -> None:
    lab.run(1)
    assert lab.frame()[0]["note"]["text"] == ""
    with torch.no_grad():
        list(lab.trainer.generator.parameters())[-1].fill_(50.0)
    assert "run away" in lab.frame()[0]["note"]["text"]


def test_a_perfect_discriminator_is_told() -> None:
    measures = {"outside": 0.0, "real": 0.999, "fake": 0.001}
    assert "nearly perfect" in symptom(measures)
    assert symptom({**measures, "fake": 0.2}) == ""
    assert symptom({"outside": 0.0, "real_score": 0.999, "fake_score": 0.001}) == ""


# --- The task, the window, closing ----------------------------------------------------------


@pytest.mark.slow
def test_the_window_closes_without_a_page_and_opens_for_a_new_one() -> None:
    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                await asyncio.sleep(0.05)

    async def scene() -> None:
        lab = Lab(width=4, batch=8)
        lab.do("play")
        await until(lambda: lab.view.sent >= WINDOW)
        await asyncio.sleep(0.1)  # what was begun ends
        steps = lab.trainer.steps
        await asyncio.sleep(0.4)
        assert (lab.view.sent, lab.trainer.steps) == (WINDOW, steps)
        lab.receive({"kind": "hello"})
        await until(lambda: lab.trainer.steps > steps)
        await lab.close()

    asyncio.run(scene())


def test_acknowledged_pictures_make_room_and_draw_nothing(lab: Lab) -> None:
    for _ in range(WINDOW):
        lab.run(0)
    assert not lab.view.ready()
    lab.receive({"kind": "acknowledge", "number": 3})
    assert lab.driver._apply() is False
    assert lab.view.ready()
    lab.receive({"kind": "acknowledge", "number": 10**6})  # of another kernel's
    lab.driver._apply()
    assert lab.view.acknowledged == lab.view.sent


def cell(monkeypatch: pytest.MonkeyPatch, name: str, run: str) -> None:
    """From now on, we are in this run of that cell."""
    monkeypatch.setattr(cells, "running", lambda: Cell(name, run))


def test_only_the_same_cell_run_again_ends_a_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        cell(monkeypatch, "first", "1")
        one, two = Lab(width=4), Lab(width=4)
        cell(monkeypatch, "second", "2")
        other = Lab(width=4)
        assert not (one.view.ended or two.view.ended or other.view.ended)
        cell(monkeypatch, "first", "3")
        again = Lab(width=4)
        await asyncio.wait_for(asyncio.gather(one.driver.close(), two.driver.close()), 10)
        for old in (one, two):  # no page is left on which to say so
            assert old.view.ended and old.view.comm is None
        other.do("play")
        again.do("play")
        await asyncio.sleep(0.2)
        assert other.trainer.steps > 0 and again.trainer.steps > 0
        await other.close()
        await again.close()

    asyncio.run(scene())


def test_a_lab_that_another_cell_shows_says_there_that_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell(monkeypatch, "made", "1")
    old = Lab(width=4)
    cell(monkeypatch, "shown", "2")
    old._repr_mimebundle_()
    cell(monkeypatch, "made", "3")
    said = heads(old, monkeypatch)
    Lab(width=4).stop()
    assert old.view.comm is not None
    assert [head["kind"] for head in said] == ["end"]
    old.receive({"kind": "hello"})  # the page is loaded again
    assert said[-1]["text"] == "This lab has ended. Run its cell again."


def test_two_labs_that_play_share_the_kernel() -> None:
    async def scene() -> list[int]:
        labs = [Lab(width=4, batch=8) for _ in range(3)]
        for lab in labs:
            lab.do("play")
        turns = 0
        while min(lab.trainer.steps for lab in labs) < 60:
            for lab in labs:
                lab.receive({"kind": "acknowledge", "number": lab.view.sent})
            await asyncio.sleep(0.01)
            turns += 1
        steps = [lab.trainer.steps for lab in labs]
        labs[0].set(k=3)
        labs[0].do("pause")
        await asyncio.sleep(0.3)
        assert labs[0].trainer.settings.k == 3 and not labs[0].driver.playing
        assert turns > 3  # the kernel is for others, too
        for lab in labs:
            await lab.close()
        return steps

    steps = asyncio.run(asyncio.wait_for(scene(), 60))
    assert max(steps) < 4 * min(steps)


def test_what_goes_wrong_in_the_task_comes_out_of_close(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        lab = Lab(width=4)
        monkeypatch.setattr(lab.trainer, "step", lambda: 1 / 0)
        lab.do("play")
        await asyncio.sleep(0.1)
        await lab.close()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scene())


def test_the_page_says_what_ended_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> list[dict[str, Any]]:
        lab = Lab(width=4)
        said: list[dict[str, Any]] = []
        monkeypatch.setattr(lab.view, "send", lambda head, *_: said.append(head))
        monkeypatch.setattr(lab.trainer, "step", lambda: 1 / 0)
        lab.do("play")
        await asyncio.sleep(0.1)
        with pytest.raises(ZeroDivisionError):
            await lab.close()
        return said

    last = asyncio.run(scene())[-1]
    assert last["kind"] == "end"
    assert "ZeroDivisionError: division by zero" in last["text"]


def test_a_slow_speed_takes_few_steps() -> None:
    async def scene() -> int:
        taken: list[int] = []
        driver = Driver(lambda: taken.append(1), lambda: None).start()
        driver.speed = 1e-3  # the second step is due in a quarter of an hour
        driver.post(driver.play)
        await asyncio.sleep(0.1)
        await driver.close()
        return len(taken)

    assert asyncio.run(scene()) == 1


def test_a_move_in_the_middle_of_a_slice_is_answered_after_that_step() -> None:
    log: list[str] = []

    def step() -> None:
        log.append("step")
        driver.post(lambda: log.append("moved"))

    driver = Driver(step, lambda: log.append("draw"))
    driver.playing = True
    driver._slice()
    assert log == ["step", "moved", "draw"]


def test_no_step_is_taken_while_no_picture_is_wanted() -> None:
    log: list[str] = []
    wanted = [False]
    driver = Driver(lambda: log.append("step"), lambda: log.append("draw"), 1, lambda: wanted[0])
    driver.playing = True
    driver.post(lambda: log.append("moved"))
    driver._slice()
    assert log == ["moved"]
    wanted[0] = True
    driver._slice()
    assert log == ["moved", "step", "draw"]


# --- Pictures as bytes ----------------------------------------------------------------------


def test_a_picture_decodes_to_what_the_networks_say(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = listen(lab, monkeypatch)
    lab.show(*LAYERS)
    lab.run(3)
    head, block = sent[-1]
    arrays = unpack(head["layout"], block)
    assert head["step"] == 3
    assert len(block) == 4 * sum(array.size for array in arrays.values())
    fake = torch.from_numpy(arrays["fake"])
    torch.testing.assert_close(fake, lab.trainer.sample(SHOWN)[0])
    low, high = head["window"]
    # Rows run along y, columns along x.
    corner = torch.tensor([[high, low], [low, high]])
    expected = lab.trainer.discriminate(corner)[0]
    assert arrays["belief"].shape == (GRID, GRID)
    torch.testing.assert_close(torch.from_numpy(arrays["belief"][[0, -1], [-1, 0]]), expected)
    assert arrays["mesh"].shape == (MESH, MESH, 2)


def test_a_small_block_is_the_picture_up_to_rounding() -> None:
    random = np.random.default_rng(0)
    arrays = {
        "fake": random.normal(size=(50, 2)).astype(np.float32),
        "belief": random.random((4, 4)).astype(np.float32),
        "optimal": np.array([0.5, np.nan], np.float32),
        "none": np.zeros((0, 2), np.float32),
        "flat": np.full(3, 7.0, np.float32),
    }
    layout, block = pack_small(arrays)
    back = unpack(layout, block)
    assert len(block) < 0.6 * len(pack(arrays)[1])
    for name, array in arrays.items():
        np.testing.assert_allclose(back[name], array, atol=0.003 if name == "belief" else 1e-4)


def test_a_small_block_is_off_by_half_a_step_at_most() -> None:
    random = np.random.default_rng(0)
    arrays = {"fake": random.random(5000) * 6 - 1, "belief": random.random(5000)}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    back = unpack(*pack_small(arrays))
    for name, steps in (("fake", 65_535), ("belief", 255)):
        step = float(np.ptp(arrays[name])) / steps
        off = back[name].astype(np.float64) - arrays[name]
        assert 0.45 * step < off.max() < 0.55 * step and 0.45 * step < -off.min() < 0.55 * step


def test_only_the_layers_that_are_on_are_sent(lab: Lab) -> None:
    lab.show("real")
    lab.run(0)
    assert set(lab.frame()[1]) == {"real", "curves"}


def test_looking_does_not_disturb_the_training(lab: Lab) -> None:
    lab.show(*LAYERS)
    lab.run(2)
    state = lab.trainer.random.get_state()
    before = weights(lab.trainer.generator)
    lab.frame()
    assert torch.equal(state, lab.trainer.random.get_state())
    assert torch.equal(before, weights(lab.trainer.generator))
    assert all(p.grad is None for p in lab.trainer.discriminator.parameters())


def test_curves_stay_short_and_keep_the_whole_training() -> None:
    curves = Curves()
    for step in range(1, 5 * MOST):
        curves.add(step, real=step / 2)
        curves.measure(step, value=-step)
    rows = curves.array()
    assert rows.shape[1] <= MOST
    assert rows[0, 0] < 10
    assert rows[0, -1] > 4.9 * MOST
    stride = rows[0, 1] - rows[0, 0]
    np.testing.assert_array_equal(rows[0], stride * np.arange(1, rows.shape[1] + 1))
    np.testing.assert_array_equal(rows[1], rows[0] / 2)
    np.testing.assert_array_equal(rows[NAMES.index("value")], -rows[0])
    curves.measure(5 * MOST - 1, loss=2.0)
    curves.add(5 * MOST, real=0.0)
    assert np.isnan(curves.array()[NAMES.index("value"), -1])  # no longer measured
    assert curves.array()[NAMES.index("loss"), -1] == 2


@pytest.mark.parametrize(
    ("loss", "seen"),
    [
        ("minimax", ["real", "fake", "value"]),
        ("least squares", ["real_score", "fake_score", "loss"]),
    ],
)
def test_before_the_first_step_the_curves_have_what_is_seen(loss: str, seen: list[str]) -> None:
    lab = Lab(width=8, batch=32)
    lab.frame()
    lab.set(loss=loss)
    lab.run(0)
    for steps in (0, 2):
        lab.run(steps)
        head, arrays = lab.frame()
        start = dict(zip(NAMES, arrays["curves"][:, 0].tolist(), strict=True))
        measured = {name: value for name, value in start.items() if math.isfinite(value)}
        assert list(measured) == ["step", *seen, "modes"]
        assert arrays["curves"][0].tolist() == list(range(steps + 1))
        if not steps:
            shown = {name: head["measures"][name] for name in (*seen, "modes")}
            assert measured == pytest.approx({"step": 0, **shown})
    lab.stop()


# --- What is said about the theory ----------------------------------------------------------


def scene(data: GaussianMixture, prior: GaussianMixture | Uniform, loss: str) -> Scene:
    torch.manual_seed(0)
    generator = mlp(prior.event_shape[0], data.event_shape[0], depth=0)
    return Scene(generator, mlp(data.event_shape[0], 1), data, prior, loss, seed=0)


def scene_of(look: Scene, loss: str) -> Scene:
    """The same networks under another loss."""
    return replace(look, loss=loss)


def affine(look: Scene, scale: float, shift: float) -> GaussianMixture:
    """Make the generator ``scale z + shift``, and return its law."""
    layer = look.generator[0]  # type: ignore[index]
    with torch.no_grad():
        layer.weight.copy_(scale * torch.eye(*layer.weight.shape))
        layer.bias.fill_(shift)
    return GaussianMixture(torch.full((1, look.dimension), shift), scale)


@pytest.mark.parametrize("dimension", [1, 2])
def test_the_divergence_of_gaussians_is_the_quadrature_s(dimension: int) -> None:
    data = GaussianMixture(torch.zeros(1, dimension), 1.0)
    look = scene(data, normal(dimension), "minimax")
    law = affine(look, 0.8, 0.5)
    exact = jensen_shannon(data, law)
    # Sorting loses a little, and 8,000 samples add about cells/(8 samples) of their own.
    assert look.truth.divergence == pytest.approx(exact, abs=0.025)
    assert look.truth.gap > 0


def test_the_gap_closes_for_the_best_discriminator() -> None:
    data = GaussianMixture([0.0], 1.0)
    look = scene(data, normal(1), "minimax")
    law = affine(look, 1.0, 0.7)

    class Best(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (data.log_prob(x) - law.log_prob(x)).unsqueeze(-1)

    best = Scene(look.generator, Best(), data, normal(1), "minimax", seed=0)
    assert 0 <= best.truth.gap < 0.01
    assert look.truth.gap > 0.05
    x = torch.linspace(*data.window, 2 * CELLS + 1)[1::2]
    expected = torch.sigmoid(Best()(x.unsqueeze(-1)).squeeze(-1))
    seen = look.truth.optimal
    # In the tails a cell holds a handful of samples, and D* there is chance.
    middle = (x > -1) & (x < 1.7)
    torch.testing.assert_close(seen[middle], expected[middle], atol=0.12, rtol=0)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_best_answer_and_the_labels_have_the_least_loss(loss: str) -> None:
    reads, cost = reading(loss), LOSSES[loss].discriminator
    if reads.best is None or reads.labels is None:
        assert loss in ("wasserstein", "relativistic")
        return
    fake, real = torch.tensor(reads.labels)
    p, q = torch.tensor([0.3, 0.1, 0.02]), torch.tensor([0.1, 0.2, 0.3])

    def expected(scores: torch.Tensor) -> torch.Tensor:
        rows = scores.unsqueeze(-1)
        alone = cost(rows, fake.expand_as(rows)), cost(real.expand_as(rows), rows)
        return (p * alone[0] + q * alone[1]).sum()

    least = expected(reads.best(p, q))
    assert least > 0.01
    for away in (-0.2, 0.2):
        for cell in range(3):
            moved = reads.best(p, q)
            moved[cell] += away
            assert expected(moved) > least + 1e-4
    assert cost(real.reshape(1, 1), fake.reshape(1, 1)) < 1e-6  # the other half is nought there
    torch.testing.assert_close(reads.shade(torch.stack([fake, real]), real), torch.tensor([0, 1.0]))


@pytest.mark.parametrize("loss", ["least squares", "hinge"])
def test_d_star_of_a_score_is_that_of_its_loss(loss: str) -> None:
    data = GaussianMixture([0.0], 1.0)
    look = scene(data, normal(1), loss)
    affine(look, 1.0, 0.7)
    assert look.truth.gap > 0
    assert look.truth.divergence == scene_of(look, "minimax").truth.divergence
    seen = look.truth.optimal[look.truth.optimal.isfinite()]
    jumps = ((seen > 0) & (seen < 1)).float().mean()  # the hinge's has two values
    assert jumps < 0.05 if loss == "hinge" else jumps > 0.5


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic"])
def test_a_critic_is_not_compared_with_a_probability(lab: Lab, loss: str) -> None:
    lab.show(*LAYERS)
    lab.run(2)
    lab.set(loss=loss)
    lab.run(2)
    head, arrays = lab.frame()
    assert "optimal" not in arrays
    assert {"value", "gap", "least", "real"}.isdisjoint(head["measures"])
    assert {"real_score", "fake_score", "loss", "divergence"} <= set(head["measures"])
    assert "no one D*" in head["reading"]["text"]
    rows = dict(zip(NAMES, arrays["curves"][:, -1], strict=True))
    assert np.isnan([rows[name] for name in ("real", "fake", "value", "gap")]).all()
    assert rows["divergence"] == pytest.approx(head["measures"]["divergence"])
    assert arrays["belief"].min() >= 0 and arrays["belief"].max() <= 1


def test_the_shade_of_a_critic_is_a_half_between_its_means() -> None:
    look = scene(GaussianMixture([0.0], 1.0), normal(1), "wasserstein")
    middle = sum(scores.mean() for scores in look.scores) / 2
    assert look._shade(middle.reshape(1)).item() == pytest.approx(0.5)
    high = look.reading.shade(torch.tensor([-3.0, 0.0, 1.0]), torch.tensor(0.0))
    torch.testing.assert_close(high, torch.tensor([0.0, 0.5, 2 / 3]))


def test_the_density_on_the_line_is_that_of_the_generator() -> None:
    data = GaussianMixture([0.0], 1.0)
    look = scene(data, normal(1), "minimax")
    law = affine(look, 0.5, 0.3)
    arrays = look.arrays(["real", "generated"])
    x = torch.linspace(*data.window, len(arrays["q"]))
    torch.testing.assert_close(arrays["q"], law.log_prob(x.unsqueeze(-1)).exp(), atol=0.01, rtol=0)
    torch.testing.assert_close(arrays["p"], data.log_prob(x.unsqueeze(-1)).exp())


@pytest.mark.parametrize("loss", LOSSES)
def test_an_arrow_points_down_the_generator_s_loss(loss: str) -> None:
    look = scene(ring(std=0.05), normal(2), loss)
    with torch.no_grad():
        list(look.discriminator.parameters())[-2].mul_(5)  # steep enough to measure
    x, slope = look.arrays(["arrows"])["arrows"].split(2, dim=1)
    logits = look.discriminator
    real = logits(look.real[: len(x)]).T

    def cost(points: torch.Tensor) -> torch.Tensor:
        return LOSSES[loss].generator(real, logits(points).T) * len(x)

    change = cost(x + 1e-3 * slope) - cost(x)
    predicted = -1e-3 * slope.square().sum().reshape(1)
    assert predicted < -1e-3
    torch.testing.assert_close(change, predicted, atol=1e-4, rtol=0.1)


def test_the_shares_of_both_laws_add_up_to_one(lab: Lab) -> None:
    for name in lab.targets:
        lab.set(data=name)
        lab.run(1)
        look = Scene.of(lab.trainer)
        assert look._data_shares().sum().item() == pytest.approx(1, abs=1e-4)
        assert look._generated_shares().sum().item() == pytest.approx(1, abs=1e-4)
        assert look.truth.gap >= 0
        assert -1e-6 <= look.truth.divergence <= math.log(2) + 1e-6


def test_the_view_names_every_control(lab: Lab) -> None:
    page = lab.view.page
    names = [name for name in CONTROLS if name != "along"]  # that is for a wall
    assert [control["name"] for control in page["controls"]] == names
    for control in page["controls"]:
        assert control["label"] and control["help"] and control["chapter"]
        assert len(control["labels"]) == len(control["options"])


# --- The wall -------------------------------------------------------------------------------


@pytest.fixture
def wall() -> Iterator[Lab]:
    made = Lab(runs=16, width=8, batch=32)
    yield made
    made.stop()


def test_a_wall_trains_all_runs_and_shows_each(wall: Lab) -> None:
    wall.run(3)
    head, arrays = wall.frame()
    assert arrays["wall"].shape[0] == arrays["covered"].shape[0] == wall.trainer.runs == 16
    assert len({row.tobytes() for row in arrays["wall"]}) == 16
    assert head["run"] == 0


def test_a_run_lifted_off_the_wall_is_the_one_in_the_main_view(wall: Lab) -> None:
    wall.run(3)
    wall.receive({"kind": "lift", "run": 5})
    wall.run(2)
    head, arrays = wall.frame()
    assert head["run"] == 5
    expected = wall.trainer.sample(SHOWN)[5]
    lone = Scene.of(wall.trainer, 5)
    torch.testing.assert_close(torch.from_numpy(arrays["fake"]), lone.fake)
    # The networks are those of run 5; the noise is the lone view's own.
    assert expected.mean(dim=0).sub(lone.fake.mean(dim=0)).abs().max() < 0.2
    assert arrays["curves"].shape[1] == 6  # step 0 is one


def test_a_run_of_the_wall_that_breaks_stops_alone(wall: Lab) -> None:
    with torch.no_grad():
        next(wall.trainer.generator.parameters())[3] = torch.inf
    wall.run(2)
    assert wall.trainer.steps == 2
    assert wall.note["text"].startswith("1 of 16 runs stopped")
    assert wall.frame()[0]["stopped"] == [3]


RATES = ["discriminator_rate", "generator_rate"]


@pytest.mark.parametrize("rate", RATES)
def test_a_wall_along_a_rate_differs_in_that_rate_alone(rate: str) -> None:
    lab = Lab(runs=16, along=rate, width=8, batch=256)
    values = getattr(lab.trainer.settings, rate)
    assert len(values) == len(set(values)) == 16
    assert (values[0], values[-1]) == (CONTROLS[rate].options[0], CONTROLS[rate].options[-1])
    player = lab.trainer.generator if rate == "generator_rate" else lab.trainer.discriminator
    before = [p.detach().clone() for p in player.parameters()]
    assert all(torch.equal(p, p[:1].expand_as(p)) for p in before)
    lab.run(1)
    moved = [(p - old).reshape(16, -1) for p, old in zip(player.parameters(), before, strict=True)]
    # Adam's first step moves each weight by its rate, one way or the other.
    steps = torch.cat(moved, dim=1).abs().median(dim=1).values
    torch.testing.assert_close(steps, torch.tensor(values), rtol=0.2, atol=0)
    lab.stop()


def test_a_wall_of_seeds_has_a_seed_of_its_own() -> None:
    lab = Lab(runs=4, seed=3, width=8, batch=32)
    assert lab.trainer.seed == 3
    lab.set(seed=4)
    lab.run(1)
    assert lab.trainer.seed == 4
    assert lab.note["text"].startswith("Started again")
    lab.stop()


def test_the_wall_names_each_run_s_rate_and_the_view_has_the_lifted_one_s() -> None:
    lab = Lab(runs=4, along="generator_rate", width=8, batch=32)
    lab.lift(2)
    lab.run(1)
    head, _ = lab.frame()
    assert head["along"] == "generator_rate"
    assert [float(text) for text in head["tiles"]] == list(lab.trainer.settings.generator_rate)
    assert head["values"]["generator_rate"] == lab.trainer.settings.generator_rate[2]
    with pytest.raises(ValueError, match=r"generator_rate = 0\.1: the runs of the wall differ"):
        lab.set(generator_rate=0.1)
    lab.set(along="seed", generator_rate=0.01)
    lab.run(1)
    assert lab.trainer.settings.generator_rate == 0.01
    assert lab.frame()[0]["tiles"] == []
    lab.stop()


def test_a_wall_along_a_rate_that_diverges_lowers_the_other_one() -> None:
    lab = Lab(runs=4, along="generator_rate", width=8, batch=32)
    with torch.no_grad():
        next(lab.trainer.generator.parameters()).fill_(torch.inf)
    lab.run(1)
    head, _ = lab.frame()
    assert head["remedy"] == {
        "label": "Start again with a tenth of the rate of D",
        "values": {"discriminator_rate": pytest.approx(1e-4)},
    }
    lab.stop()


# --- Slow motion ------------------------------------------------------------------------------


def test_a_round_in_slow_motion_is_a_step(lab: Lab) -> None:
    lab.set(k=2)
    lab.run(3)
    expected = weights(lab.trainer.discriminator), weights(lab.trainer.generator)
    lab.do("reset")
    lab.do("slow motion")
    lab.run(0)
    texts = []
    while lab.trainer.steps < 3:
        lab.run(1)
        assert lab._piece is not None
        texts.append(lab._piece.text)
    assert torch.equal(expected[0], weights(lab.trainer.discriminator))
    assert torch.equal(expected[1], weights(lab.trainer.generator))
    assert len(texts[:11]) == len(set(texts[:11])) == 2 * 4 + 3
    assert texts[0].startswith("D step 1 of 2")


#: How each piece of a step begins, what it shows, and whose weights have moved at it.
D_STEP = [
    ("draw a batch of real samples", ("real",), ""),
    ("draw noise, and let G make samples", ("generated", "manifold"), ""),
    ("D judges both batches", ("real", "generated", "belief"), ""),
    ("D's weights move", ("belief",), "D"),
]
G_STEP = [
    ("draw fresh noise", ("generated",), ""),
    ("the slope of the loss, through D", ("generated", "arrows"), ""),
    ("G's weights move", ("generated", "manifold"), "G"),
]


def test_each_piece_says_what_happens_at_it(lab: Lab) -> None:
    lab.set(k=2)
    lab.do("slow motion")
    lab.run(0)
    before = weights(lab.trainer.discriminator), weights(lab.trainer.generator)
    rounds = [("D step 1 of 2", D_STEP), ("D step 2 of 2", D_STEP), ("G step", G_STEP)]
    for name, pieces in rounds:
        for words, highlight, mover in pieces:
            lab.run(1)
            assert lab._piece is not None
            assert lab._piece.text.startswith(f"{name}: {words}")
            assert lab._piece.highlight == highlight
            after = weights(lab.trainer.discriminator), weights(lab.trainer.generator)
            moved = [not torch.equal(*pair) for pair in zip(before, after, strict=True)]
            assert moved == [mover == "D", mover == "G"], lab._piece.text
            before = after


def test_a_reset_leaves_nothing_of_what_was_before(lab: Lab) -> None:
    lab.run(3)
    lab.do("slow motion")
    lab.run(2)
    lab._remedy = {"label": "Slower", "values": {}}
    lab.do("reset")
    lab.run(0)
    head, arrays = lab.frame()
    assert (head["step"], head["piece"], head["remedy"]) == (0, None, None)
    assert arrays["curves"].shape[1] == 1
    lab.run(1)
    assert lab._piece is not None
    assert lab._piece.text.startswith("D step 1 of 1: draw a batch of real")
    assert torch.equal(lab._piece.real, lab.trainer.peek().real[0])


def test_slow_motion_shows_the_batch_that_the_step_uses(lab: Lab) -> None:
    lab.do("slow motion")
    lab.run(1)
    piece = lab._piece
    assert piece is not None and piece.real is not None and piece.fake is not None
    assert lab.frame()[1]["real"].shape == (32, 2)
    beliefs = [lab.trainer.discriminate(batch)[0].mean() for batch in (piece.real, piece.fake)]
    step = lab.trainer.discriminator_step()
    torch.testing.assert_close(torch.stack(beliefs), torch.cat([step.real, step.fake]))


def test_slow_motion_says_the_scores_of_a_critic_as_they_are() -> None:
    lab = Lab(width=8, batch=32, loss="wasserstein")
    with torch.no_grad():
        list(lab.trainer.discriminator.parameters())[-1].fill_(3.0)  # no probability is as large
    lab.do("slow motion")
    lab.run(0)
    peeked = lab.trainer.peek()
    with torch.no_grad():
        batches = peeked.real, lab.trainer.generator(peeked.noise)
    real, fake = (lab.trainer.logits(batch)[0].mean().item() for batch in batches)
    assert min(real, fake) > 1
    lab.run(3)
    assert lab._piece is not None
    assert f"{real:.2f} on real and {fake:.2f} on generated" in lab._piece.text
    lab.stop()


def test_leaving_slow_motion_finishes_the_round(lab: Lab) -> None:
    lab.do("slow motion")
    lab.run(2)
    lab.do("slow motion")
    lab.run(1)
    assert lab.trainer.steps == 2
    assert lab.frame()[0]["piece"] is None


def test_leaving_slow_motion_at_a_loss_that_is_not_finite_rests_and_offers_a_remedy() -> None:
    async def scene() -> None:
        lab = Lab(width=4, batch=8)
        lab.do("slow motion")
        await asyncio.sleep(0.1)
        assert lab.frame()[0]["piece"] is not None
        with torch.no_grad():
            for weight in lab.trainer.discriminator.parameters():
                weight.fill_(torch.nan)
        lab.do("slow motion")
        await asyncio.sleep(0.1)
        head, _ = lab.frame()
        assert not lab.driver.playing and not head["slow"] and head["piece"] is None
        assert "not finite" in head["note"]["text"] and head["remedy"] is not None
        lab.receive({"kind": "remedy"})
        await asyncio.sleep(0.2)
        assert lab.trainer.steps > 0
        await lab.close()  # raises what ended it, if something did

    asyncio.run(scene())


# --- Drawn by hand ----------------------------------------------------------------------------


def test_what_is_drawn_becomes_the_data(lab: Lab) -> None:
    lab.run(2)
    lab.receive({"kind": "drawn", "points": [[0, 0], [0.5, 0.5], [1, 0]]})
    lab.run(1)
    assert lab.values["data"] == "drawn"
    assert lab.trainer.steps == 3
    assert lab.trainer.data.sample((200,)).mean().item() == pytest.approx(1 / 3, abs=0.15)
    lab.set(data="ring")
    lab.set(data="drawn")


def test_what_is_drawn_on_one_lab_is_no_data_of_another() -> None:
    one, before = Lab(width=4), Lab(normal(2), width=4)
    one.draw_data([[0, 0], [1, 1]])
    one.run(0)
    assert one.values["data"] == "drawn"
    menus = {before: [*TARGET_MENU, "given"], Lab(width=4): [*TARGET_MENU]}
    for other, menu in menus.items():
        assert list(other.targets) == list(other.controls["data"].options) == menu
        with pytest.raises(ValueError, match="data = 'drawn'"):
            other.set(data="drawn")


@pytest.mark.parametrize(
    "points",
    [[[0, 0]], [[0], [1]], [[0, math.nan], [1, 1]], [], [[0, 0], [1]], [["a", 0], [1, 1]]],
    ids=str,
)
def test_a_bad_drawing_is_refused(lab: Lab, points: list[list[Any]]) -> None:
    with pytest.raises(ValueError, match=r"^points(:| ha(s|ve) shape)"):
        lab.draw_data(points)


# --- Replay -----------------------------------------------------------------------------------


def recorded(page: str) -> tuple[dict[str, Any], list[dict[str, np.ndarray]]]:
    """Read a page's recording as its JavaScript does."""
    match = re.search(r'id="recording">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    recording = json.loads(match[1])
    block = zlib.decompress(base64.b64decode(recording["block"]))
    arrays, start = [], 0
    for part in [*recording["heads"], recording["curves"]]:
        arrays.append(unpack(part["layout"], block[start : start + part["bytes"]]))
        start += part["bytes"]
    assert start == len(block)
    return recording, arrays


def test_a_recording_holds_the_training_that_a_lab_shows(lab: Lab, tmp_path: Path) -> None:
    path = lab.record(tmp_path / "run.html", steps=25, every=10)
    recording, arrays = recorded(path.read_text(encoding="utf-8"))
    assert [head["step"] for head in recording["heads"]] == [0, 10, 20, 25]
    _, last = lab.frame()
    np.testing.assert_allclose(arrays[-2]["fake"], last["fake"], atol=1e-3)
    np.testing.assert_allclose(arrays[-2]["belief"], last["belief"], atol=0.003)
    np.testing.assert_array_equal(arrays[-1]["curves"], last["curves"])


def test_a_replay_needs_nothing_from_outside_and_escapes_what_it_holds(
    lab: Lab, tmp_path: Path
) -> None:
    lab.note = {"kind": "info", "text": "</script><script>alert(1)</script>"}
    page = lab.record(tmp_path / "run.html", steps=1).read_text(encoding="utf-8")
    assert "alert(1)</script>" not in page
    assert not re.search(r"https?://|@import|\bsrc=|import\s*\(", page)
    assert recorded(page)[0]["heads"][0]["note"] == lab.note


def test_a_recording_can_move_controls_on_the_way(lab: Lab, tmp_path: Path) -> None:
    changes = {10: {"k": 5}, 20: {"loss": "hinge", "k": 2}}
    path = lab.record(tmp_path / "run.html", steps=30, every=10, changes=changes)
    heads = recorded(path.read_text(encoding="utf-8"))[0]["heads"]
    settings = [(head["step"], head["values"]["k"], head["values"]["loss"]) for head in heads]
    first, second = "non-saturating", "hinge"
    assert settings == [(0, 1, first), (10, 1, first), (20, 5, first), (30, 2, second)]
    said = [head["note"]["text"] for head in heads]
    assert said == ["", "", "From step 10: k (D steps) = 5.", said[3]]
    assert said[3] == "From step 20: loss = hinge, k (D steps) = 2."
    assert lab.trainer.settings.k == 2


def test_a_recording_of_a_training_that_goes_on_counts_its_own_steps_and_tells_the_training_s(
    lab: Lab, tmp_path: Path
) -> None:
    lab.run(7)
    path = lab.record(tmp_path / "run.html", steps=15, every=5, changes={5: {"k": 3}})
    heads = recorded(path.read_text(encoding="utf-8"))[0]["heads"]
    assert [(head["step"], head["values"]["k"]) for head in heads] == [
        (7, 1),
        (12, 1),
        (17, 3),
        (22, 3),
    ]
    assert [head["note"]["text"] for head in heads][2:] == ["From step 12: k (D steps) = 3."] * 2
    assert lab.trainer.steps == 22


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"every": 0}, "every = 0"),
        ({"path": "a.gif"}, "path = "),
        ({"changes": {5: {"k": 2}}}, "step 5: must be a multiple of 10"),
        ({"changes": {1000: {"k": 2}}}, "below 1000"),
        ({"changes": {10: {"width": 8}}}, "width needs new networks"),
        ({"changes": {10: {"k": 0}}}, "k = 0"),
        ({"changes": [10]}, r"changes = \[10\]: must be a dictionary"),
        ({"changes": {10: "k"}}, "changes: 'k' at 10: must be a dictionary"),
        ({"changes": {"a": {"k": 2}}}, "changes: step = 'a'"),
        ({"steps": 2.5}, r"steps = 2\.5"),
        ({"path": 5}, "path = 5"),
    ],
)
def test_a_wrong_recording_is_named(
    lab: Lab, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lab.record(**{"path": tmp_path / "a.html", **options})
