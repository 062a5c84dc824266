"""What the lab leaves where there is no kernel: a picture that says what the networks say."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import StepPatch

from gan_course.lab import Lab
from gan_course.lab.scene import Scene
from gan_course.lab.scores import reading
from gan_course.lab.still import bundle, draw, words
from gan_course.losses import LOSSES
from gan_course.plotting import FAKE, REAL

LAYERS = ["real", "generated", "belief"]


def trained(**arguments: Any) -> Lab:
    lab = Lab(width=8, batch=32, **{"layers": LAYERS, **arguments})
    lab.run(20)
    return lab


def still(lab: Lab) -> tuple[Axes, Axes]:
    """The main view of a lab's picture, and what stands beside it."""
    view, beside = draw(*lab.frame(), scores(lab)).axes
    return view, beside


def scores(lab: Lab) -> tuple[torch.Tensor, torch.Tensor]:
    return Scene.of(lab.trainer, lab.run_shown).scores


def points(ax: Axes) -> list[Any]:
    return [np.asarray(scatter.get_offsets()) for scatter in ax.collections[-2:]]


def test_the_plane_shows_samples_and_belief() -> None:
    lab = trained()
    head, arrays = lab.frame()
    view, curves = still(lab)
    for shown, sent in zip(points(view), (arrays["real"], arrays["fake"]), strict=True):
        np.testing.assert_allclose(shown, sent)
    np.testing.assert_allclose(view.images[0].get_array(), arrays["belief"])
    assert view.get_title() == "step 20: k = 1, non-saturating loss"
    real, fake, _ = curves.lines
    for line, name in ((real, "real"), (fake, "fake")):
        row = arrays["curves"][head["curves"].index(name)]
        np.testing.assert_allclose(line.get_ydata(), row)
        assert np.isfinite(row).all() and line.get_xdata()[-1] == 20


def test_the_line_shows_both_densities_and_the_belief() -> None:
    lab = trained(data="one bump (1-D)", noise=1)
    _, arrays = lab.frame()
    view, _ = still(lab)
    for line, name in zip(view.lines, ("p", "q", "belief"), strict=False):
        np.testing.assert_allclose(line.get_ydata(), arrays[name])
        x = np.linspace(*lab.trainer.data.window, len(arrays[name]))
        np.testing.assert_allclose(line.get_xdata(), x, atol=1e-5)


def test_what_d_says_has_the_colours_of_its_samples_and_the_scale_of_a_probability() -> None:
    lab = trained()
    head, arrays = lab.frame()
    _, beside = still(lab)
    assert beside.get_ylim() == (0, 1)
    *named, half = beside.lines
    assert list(half.get_ydata()) == [0.5, 0.5]
    lines = {str(line.get_label()): line for line in named}
    for label, name, colour in (
        ("on real samples", "real", REAL),
        ("on generated samples", "fake", FAKE),
    ):
        assert lines[label].get_color() == colour
        row = arrays["curves"][head["curves"].index(name)]
        np.testing.assert_allclose(lines[label].get_ydata(), row)
    _, beside = still(trained(loss="hinge"))
    inks = {
        str(steps.get_label()): to_hex(
            steps.get_facecolor() if steps.get_fill() else steps.get_edgecolor()
        )
        for steps in beside.patches
    }
    assert inks == {"real": REAL.lower(), "generated": FAKE.lower()}


def test_before_the_first_step_what_d_says_is_two_points() -> None:
    _, beside = still(Lab(width=8, batch=32, layers=LAYERS))
    assert [line.get_marker() for line in beside.lines[:2]] == ["o", "o"]
    assert list(beside.get_xticks()) == [0]
    _, beside = still(trained())
    assert [line.get_marker() for line in beside.lines[:2]] == ["None", "None"]


def test_the_words_say_what_the_head_says() -> None:
    values = {"k": 3, "loss": "hinge", "batch": 64}
    head = {"step": 7, "values": values, "measures": {"modes": 5.0}, "modes": 8}
    said = words(head)
    assert "after 7 steps, with k = 3 and the hinge loss" in said
    assert said.endswith(" 5 of 8 modes are covered.")
    for few in (0.0, 1.0):
        assert words({**head, "measures": {"modes": few}}).endswith(
            f" {few:.0f} of 8 modes are covered."
        )
    assert words({**head, "measures": {}}).endswith("what the discriminator says.")


@pytest.mark.parametrize("layers", [[], ["real"], ["generated", "arrows"], ["optimal"]])
@pytest.mark.parametrize("data", ["ring", "one bump (1-D)"])
def test_only_the_layers_that_are_on_are_drawn(layers: list[str], data: str) -> None:
    view, _ = still(trained(layers=layers, data=data))
    shown = {str(made.get_label()) for made in view.collections}
    expected = {"real", "generated"} & set(layers) if data == "ring" else set()
    assert shown == expected
    assert not view.images


def test_a_wall_has_a_picture_of_the_run_in_front() -> None:
    lab = trained(runs=4, loss="wasserstein")
    lab.lift(2)
    lab.run(0)
    view, beside = still(lab)
    np.testing.assert_allclose(points(view)[1], lab.frame()[1]["fake"])
    assert beside.get_title() == "D's scores"


@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_critic_returns_is_drawn_where_it_gives_no_probability(loss: str) -> None:
    lab = trained(loss=loss)
    view, beside = still(lab)
    assert len(points(view)) == 2
    if reading(loss).probability:
        assert beside.get_title() == "D, on average"
        assert np.isfinite([line.get_ydata()[-1] for line in beside.lines]).all()
        return
    assert beside.get_title() == "D's scores"
    both = torch.cat(scores(lab))
    for steps, sample in zip(beside.patches, scores(lab), strict=True):
        assert isinstance(steps, StepPatch)
        heights, edges, _ = steps.get_data()
        assert (edges[0], edges[-1]) == both.aminmax()
        np.testing.assert_allclose(heights, np.histogram(sample, edges, density=True)[0])
    texts = [text.get_text() for text in beside.get_legend().get_texts()]
    assert texts == ["real", "generated"]


@pytest.mark.parametrize(("loss", "name"), [("minimax", "D"), ("wasserstein", "D, scaled")])
def test_the_line_calls_d_what_it_is(loss: str, name: str) -> None:
    view, _ = still(trained(data="one bump (1-D)", noise=1, loss=loss))
    assert view.get_legend().get_texts()[2].get_text() == name


def test_the_bundle_is_the_page_a_picture_and_words() -> None:
    lab = trained()
    data, metadata = lab._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"].startswith("An interactive widget")
    assert metadata["image/png"]["alt"] == words(lab.frame()[0])
    assert "after 20 steps, with k = 1" in metadata["image/png"]["alt"]
    picture, _ = bundle(*lab.frame(), scores(lab))
    assert picture.items() <= data.items()


def test_the_bundle_is_of_the_moment_at_which_it_is_asked_for() -> None:
    """Not of the last step, since which more may have changed than the number of steps."""
    lab = trained()
    seen = {lab._repr_mimebundle_()[0]["image/png"]}
    for change in (
        lambda: lab.do("G step"),
        lambda: lab.set(loss="hinge"),
        lambda: lab.show("real"),
    ):
        change()
        lab.run(0)
        data, metadata = lab._repr_mimebundle_()
        expected, about = bundle(*lab.frame(), scores(lab))
        assert expected.items() <= data.items() and metadata["image/png"] == about["image/png"]
        assert data["image/png"] not in seen
        seen.add(data["image/png"])
    assert lab.trainer.steps == 20
