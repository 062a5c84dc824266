"""Each figure function draws on the axis it is given what it is told, and returns that axis."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from torch import Generator, Tensor

from gan_course import plotting
from gan_course.distributions import ring

WINDOW = (-2.0, 2.0)
X = torch.linspace(-2, 2, 41)
PALETTE = {"real": plotting.REAL, "fake": plotting.FAKE, "judge": plotting.JUDGE}


def points(seed: int = 0, count: int = 20) -> Tensor:
    return torch.randn(count, 2, generator=Generator().manual_seed(seed))


def history(runs: int = 9, steps: int = 6) -> pd.DataFrame:
    random = np.random.default_rng(0)
    step, run = np.meshgrid(np.arange(steps) + 1, np.arange(runs), indexing="ij")
    values = random.normal(size=steps * runs)
    return pd.DataFrame({"step": step.ravel(), "run": run.ravel(), "generator_loss": values})


def belief(x: Tensor) -> Tensor:
    """Real to the right, generated to the left, and surer further up."""
    return (2 * x[:, 0] + 0.1 * x[:, 1]).sigmoid()


def outcomes() -> pd.DataFrame:
    """Of eight runs, 2 collapse at k = 1 and rate 0.1, 4 at 0.2; 6 and 8 at k = 5."""
    rows = [
        {"k": k, "rate": rate, "collapsed": run < count}
        for (k, rate), count in {(1, 0.1): 2, (1, 0.2): 4, (5, 0.1): 6, (5, 0.2): 8}.items()
        for run in range(8)
    ]
    return pd.DataFrame(rows)


FIGURES: dict[str, Callable[[Axes], Axes]] = {
    "samples": lambda ax: plotting.plot_samples(ax, points(0), points(1), WINDOW),
    "belief": lambda ax: plotting.plot_belief(ax, belief, WINDOW),
    "game": lambda ax: plotting.plot_game(ax, X, X.exp(), X.cos(), X.sigmoid()),
    "arrows": lambda ax: plotting.plot_arrows(ax, X[::4], X[::4] / 2, WINDOW),
    "runs": lambda ax: plotting.plot_runs(ax, history(), "generator_loss"),
    "shares": lambda ax: plotting.plot_shares(ax, outcomes(), "collapsed", "rate", "k"),
    "images": lambda ax: plotting.plot_images(ax, torch.zeros(5, 1, 4, 4)),
    "legend": lambda ax: plotting.legend_below(
        plotting.plot_samples(ax, points(0), points(1)), columns=2
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_axis_comes_back_and_no_other_is_made(name: str, ax: Axes):
    assert FIGURES[name](ax) is ax
    assert plt.get_fignums() == [ax.figure.number]
    ax.figure.canvas.draw()
    assert ax.get_children()


def test_samples_are_dots_and_crosses_at_their_places(ax: Axes):
    real, fake = points(0), points(1)
    plotting.plot_samples(ax, real, fake, WINDOW)
    dots, crosses = ax.collections
    np.testing.assert_array_equal(dots.get_offsets(), real.numpy())
    np.testing.assert_array_equal(crosses.get_offsets(), fake.numpy())
    assert (dots.get_label(), crosses.get_label()) == ("real", "generated")
    assert to_rgb(dots.get_facecolor()[0][:3]) == to_rgb(plotting.REAL)
    assert to_rgb(crosses.get_facecolor()[0][:3]) == to_rgb(plotting.FAKE)
    assert (ax.get_xlim(), ax.get_ylim(), ax.get_aspect()) == (WINDOW, WINDOW, 1.0)


@pytest.mark.parametrize(("real", "fake", "label"), [(1, None, "real"), (None, 1, "generated")])
def test_either_kind_of_samples_may_be_missing(
    real: int | None, fake: int | None, label: str, ax: Axes
):
    plotting.plot_samples(ax, real and points(), fake and points())
    assert [collection.get_label() for collection in ax.collections] == [label]


def test_belief_is_painted_where_it_holds(ax: Axes):
    plotting.plot_belief(ax, belief, WINDOW, resolution=21)
    image = ax.images[0]
    left, right, bottom, top = image.get_extent()
    width = (right - left) / 21  # a pixel is centred on its point
    assert [left + width / 2, right - width / 2] == pytest.approx(WINDOW)
    assert (bottom, top) == (left, right)
    assert (ax.get_xlim(), ax.get_ylim()) == (WINDOW, WINDOW)
    assert image.origin == "lower"
    assert image.get_clim() == (0, 1)
    axis = torch.linspace(*WINDOW, 21)
    y, x = torch.meshgrid(axis, axis, indexing="ij")  # rows go up, columns to the right
    expected = belief(torch.stack([x, y], dim=-1).reshape(-1, 2)).reshape(21, 21)
    np.testing.assert_allclose(image.get_array(), expected.numpy(), rtol=1e-6)


def test_the_contour_runs_where_the_discriminator_is_undecided(ax: Axes):
    plotting.plot_belief(ax, belief, WINDOW, resolution=41)
    vertices = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
    np.testing.assert_allclose(2 * vertices[:, 0] + 0.1 * vertices[:, 1], 0, atol=0.02)
    assert np.ptp(vertices[:, 1]) == pytest.approx(4, abs=0.01)


def test_a_decided_discriminator_has_no_contour(ax: Axes):
    plotting.plot_belief(ax, lambda x: 0.9 + 0 * x[:, 0], WINDOW)
    assert not ax.collections


def test_game_draws_both_densities_and_the_belief(ax: Axes):
    data, generated, judged = X.exp(), X.cos(), X.sigmoid()
    plotting.plot_game(ax, X, data, generated, judged)
    lines = {line.get_label(): line for line in ax.lines}
    for label, expected in {"$p_{data}$": data, "$p_g$": generated, "$D$": judged}.items():
        np.testing.assert_array_equal(lines[label].get_ydata(), expected.numpy())
        np.testing.assert_array_equal(lines[label].get_xdata(), X.numpy())
    styles = {lines[label].get_linestyle() for label in ("$p_{data}$", "$p_g$", "$D$")}
    assert len(styles) == 3  # told apart without colour
    assert ax.get_xlim() == WINDOW


def test_a_game_without_a_belief_has_the_densities_alone(ax: Axes):
    plotting.plot_game(ax, X, X.exp(), X.cos())
    named = [line.get_label() for line in ax.lines if not str(line.get_label()).startswith("_")]
    assert named == ["$p_{data}$", "$p_g$"]


def test_arrows_lead_from_the_noise_to_its_image(ax: Axes):
    z, x = torch.tensor([-1.0, 0.0, 3.0]), torch.tensor([0.5, -0.5, 1.0])
    plotting.plot_arrows(ax, z, x, WINDOW)
    heads = [text.xy for text in ax.texts]
    tails = [text.xyann for text in ax.texts]
    np.testing.assert_allclose(heads, [(0.5, 1), (-0.5, 1), (1.0, 1)])
    np.testing.assert_allclose(tails, [(-2, 0), (-1, 0), (2, 0)])


def test_runs_are_a_median_and_a_band_of_the_middle_half(ax: Axes):
    frame = history()
    plotting.plot_runs(ax, frame, "generator_loss", label="G")
    values = frame["generator_loss"].to_numpy().reshape(6, 9)
    (line,), (band,) = ax.lines, ax.collections
    np.testing.assert_allclose(line.get_ydata(), np.median(values, axis=1))
    np.testing.assert_array_equal(line.get_xdata(), np.arange(6) + 1)
    corners = band.get_paths()[0].vertices
    for quantile in (0.25, 0.75):
        for step, level in enumerate(np.quantile(values, quantile, axis=1), start=1):
            assert np.abs(corners - (step, level)).sum(axis=1).min() < 1e-9
    assert line.get_label() == "G"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "generator loss")


@pytest.mark.parametrize("count", [1, 6, 7])
def test_images_are_tiled_row_by_row(count: int, ax: Axes):
    images = torch.arange(count).reshape(-1, 1, 1, 1).expand(count, 1, 3, 2) / 10
    plotting.plot_images(ax, images, columns=3, title="tiles")
    canvas = ax.images[0].get_array()
    assert canvas.shape == (4 * -(-count // 3) - 1, 3 * 3 - 1)
    for index in range(count):
        top, left = 4 * (index // 3), 3 * (index % 3)
        np.testing.assert_allclose(canvas[top : top + 3, left : left + 2], index / 10, rtol=1e-6)
    assert ax.images[0].get_clim() == (-1, 1)
    assert ax.get_title() == "tiles"


def test_panels_are_equal_and_side_by_side():
    axes = plotting.panels(3)
    try:
        assert len(axes) == 3
        assert len({ax.get_position().y0 for ax in axes}) == 1
        assert axes[0].get_position().x1 <= axes[1].get_position().x0
    finally:
        plt.close(axes[0].figure)


def test_legend_names_what_is_drawn(ax: Axes):
    FIGURES["legend"](ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["real", "generated"]


# -- colours that colour-blind readers tell apart -------------------------------------

#: Machado, Oliveira & Fernandes 2009, table 1, severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(color: str) -> np.ndarray:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a linear sRGB colour, white point D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(np.clip(to_xyz @ rgb, 0, None) / (0.9505, 1.0, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", BLINDNESS)
@pytest.mark.parametrize("pair", list(itertools.combinations(PALETTE, 2)), ids="-".join)
def test_colours_are_told_apart_by_all_eyes(pair: tuple[str, str], eyes: str):
    """A difference of 10 in L*a*b* is seen at a glance."""
    seen = [lab(np.clip(BLINDNESS[eyes] @ linear(PALETTE[name]), 0, 1)) for name in pair]
    assert np.linalg.norm(seen[0] - seen[1]) > 10


def test_belief_runs_from_generated_to_real():
    assert plotting.BELIEF(0.0)[:3] == pytest.approx(to_rgb(plotting.FAKE), abs=0.01)
    assert plotting.BELIEF(1.0)[:3] == pytest.approx(to_rgb(plotting.REAL), abs=0.01)
    assert min(plotting.BELIEF(0.5)[:3]) > 0.9


def test_style_draws_without_a_warning():
    with plt.rc_context():
        plotting.use_style()
        figure, ax = plt.subplots()
        plotting.plot_samples(ax, ring().sample((9,)), None)
        figure.canvas.draw()
        plt.close(figure)
        assert not plt.rcParams["axes.spines.top"]


def test_shares_stand_in_their_fields_with_their_intervals(ax: Axes):
    plotting.plot_shares(ax, outcomes(), "collapsed", "rate", "k")
    ax.figure.canvas.draw()
    placed = sorted(ax.texts, key=lambda t: tuple(ax.transData.transform(t.get_position())[::-1]))
    assert [t.get_text() for t in placed] == [
        "25 %\n7 – 59",
        "50 %\n22 – 78",
        "75 %\n41 – 93",
        "100 %\n68 – 100",
    ]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.1", "0.2"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "5"]
    (mesh,) = ax.collections
    assert mesh.get_array().ravel().tolist() == [0.25, 0.5, 0.75, 1]


def test_a_greater_share_is_darker(ax: Axes):
    plotting.plot_shares(ax, outcomes(), "collapsed", "rate", "k")
    (mesh,) = ax.collections
    colors = mesh.cmap(np.linspace(0, 1, 11))[:, :3]
    assert (np.diff(colors @ [0.2126, 0.7152, 0.0722]) < 0).all()
