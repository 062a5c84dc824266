"""What the lab leaves where there is no kernel: a picture that says what the networks say."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from gan_course.lab import Lab
from gan_course.lab.still import bundle, draw, words

LAYERS = ["real", "generated", "belief"]


def trained(**arguments: Any) -> Lab:
    lab = Lab(width=8, batch=32, **{"layers": LAYERS, **arguments})
    lab.run(20)
    return lab


def points(ax: Axes) -> list[Any]:
    return [np.asarray(scatter.get_offsets()) for scatter in ax.collections[-2:]]


def test_the_plane_shows_samples_and_belief() -> None:
    head, arrays = trained().frame()
    view, curves = draw(head, arrays).axes
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
    head, arrays = trained(data="one bump (1-D)", noise=1).frame()
    view = draw(head, arrays).axes[0]
    for line, name in zip(view.lines, ("p", "q", "belief"), strict=False):
        np.testing.assert_allclose(line.get_ydata(), arrays[name])


@pytest.mark.parametrize("layers", [[], ["real"], ["generated", "arrows"], ["optimal"]])
@pytest.mark.parametrize("data", ["ring", "one bump (1-D)"])
def test_only_the_layers_that_are_on_are_drawn(layers: list[str], data: str) -> None:
    head, arrays = trained(layers=layers, data=data).frame()
    view = draw(head, arrays).axes[0]
    shown = {str(made.get_label()) for made in view.collections}
    expected = {"real", "generated"} & set(layers) if data == "ring" else set()
    assert shown == expected
    assert not view.images


@pytest.mark.parametrize("arguments", [{"loss": "wasserstein"}, {"runs": 4}])
def test_a_score_or_a_wall_has_a_picture_too(arguments: dict[str, Any]) -> None:
    head, arrays = trained(**arguments).frame()
    assert len(points(draw(head, arrays).axes[0])) == 2


def test_the_bundle_is_the_page_a_picture_and_words() -> None:
    lab = trained()
    data, metadata = lab._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"].startswith("An interactive widget")
    assert metadata["image/png"]["alt"] == words(lab.frame()[0])
    assert "after 20 steps, with k = 1" in metadata["image/png"]["alt"]
    still, _ = bundle(*lab.frame())
    assert still.items() <= data.items()
