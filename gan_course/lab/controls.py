"""What a reader can move: each control's choices, and what to expect of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gan_course.arguments import number, shown, whole
from gan_course.distributions import TARGETS, GaussianMixture, ring
from gan_course.losses import LOSSES
from gan_course.penalties import PENALTIES

#: The targets of the lab's menu; the ring is wide enough to be seen, and two live on a line.
TARGET_MENU: dict[str, Callable[[], GaussianMixture]] = {
    **TARGETS,
    "ring": partial(ring, std=0.05),
    "one bump (1-D)": lambda: GaussianMixture([1.0], 0.5),
    "two bumps (1-D)": lambda: GaussianMixture([-1.0, 1.0], 0.3),
}
NONE, SEED = "none", "seed"
#: Settings that may differ from run to run of a wall.
RATES = ("discriminator_rate", "generator_rate")


@dataclass(frozen=True)
class Control:
    """One quantity that the reader can move.

    Attributes:
        name: the keyword of :meth:`gan_course.lab.Lab.set`.
        label: what the reader sees.
        options: the stops of a slider or the entries of a menu.
        default: its value at the start.
        group: the heading under which it stands.
        help: what it is and what to expect.
        chapter: where the book treats it.
        menu: whether to choose from a list rather than slide.
        fresh: whether a change needs new networks, so that training starts again.
        labels: what to show for each option, where that is not the option itself.
    """

    name: str
    label: str
    options: Sequence[Any]
    default: Any
    group: str
    help: str
    chapter: str
    menu: bool = False
    fresh: bool = False
    labels: Sequence[str] = ()

    def read(self, value: Any) -> Any:
        """The value as it is kept: an entry of the menu, or a plain number of the range.

        Raises:
            ValueError: it is not allowed; the message names the control.
        """
        if not self.menu:
            kind = whole if isinstance(self.options[0], int) else number
            return kind(self.name, value, at_least=min(self.options), at_most=max(self.options))
        plain = value.item() if isinstance(value, np.generic) else value
        for option in self.options:
            if type(plain) is type(option) and plain == option:  # True is 1, and no entry
                return option
        raise ValueError(f"{self.name} = {shown(value)}: choose one of {list(self.options)}")


def _powers(low: int, high: int, parts: int) -> list[float]:
    """Powers of ten from 10^low to 10^high, ``parts`` stops in each decade."""
    return [float(f"{10 ** (e / parts):.2g}") for e in range(low * parts, high * parts + 1)]


def _controls() -> Iterator[Control]:
    yield Control(
        "k",
        "k (D steps)",
        range(1, 21),
        1,
        "Game",
        "How often D moves before G moves once. More steps bring D closer to D* and the shade "
        "closer to the truth; each round takes longer.",
        "02",
    )
    yield Control(
        "loss",
        "loss",
        list(LOSSES),
        "non-saturating",
        "Game",
        "What the players minimise. With minimax the arrows shrink where D is sure; with "
        "non-saturating they are longest there.",
        "05",
        menu=True,
    )
    yield Control(
        "penalty",
        "penalty",
        [NONE, *PENALTIES],
        NONE,
        "Game",
        "What D pays for being steep. R1 calms the circling of both players; WGAN-GP keeps a "
        "critic's slope near 1. Each D step takes about twice as long.",
        "06",
        menu=True,
    )
    yield Control(
        "weight",
        "weight",
        _powers(-2, 2, 2),
        1.0,
        "Game",
        "How much D pays. Too much flattens D until G learns nothing. Without a penalty it has "
        "no effect.",
        "06",
    )
    yield Control(
        "packing",
        "packing",
        range(1, 5),
        1,
        "Game",
        "How many samples D judges at once (PacGAN). In a pack, missing variety shows, and G pays "
        "for it. Must divide the batch. There is no D(x) to shade then. Needs new networks.",
        "07",
        fresh=True,
    )
    yield from _optimiser_controls()
    yield from _network_controls()
    yield from _run_controls()


def _optimiser_controls() -> Iterator[Control]:
    for letter, name in zip("DG", RATES, strict=True):
        yield Control(
            name,
            f"rate of {letter}",
            _powers(-5, -1, 4),
            1e-3,
            "Rates",
            f"Size of {letter}'s steps (Adam). Far above 0.01 the training jumps about or stops "
            "with a number that is not finite; far below 0.0001 nothing seems to move.",
            "06",
        )
    yield Control(
        "batch",
        "batch",
        [2**e for e in range(3, 11)],
        256,
        "Rates",
        "Samples in each step. Small ones make both players follow chance, large ones take time.",
        "02",
    )


def _network_controls() -> Iterator[Control]:
    yield Control(
        "prior",
        "prior on z",
        ["normal", "uniform"],  # the manifold's grid needs a prior without gaps
        "normal",
        "Noise",
        "Where the noise comes from. G has to bend it into the data: watch the manifold.",
        "02",
        menu=True,
    )
    yield Control(
        "noise",
        "dim. of z",
        [1, 2, 3, 4, 8, 16, 32],
        2,
        "Noise",
        "Dimension of z. With fewer dimensions than the data, G(z) is a curve without area, and D "
        "can always tell. Needs new networks.",
        "03",
        fresh=True,
    )
    yield Control(
        "width",
        "width",
        [4, 8, 16, 32, 64, 128],
        64,
        "Networks",
        "Units in each hidden layer. A narrow D draws coarse borders, a narrow G cannot reach all "
        "modes. Needs new networks.",
        "03",
        fresh=True,
    )
    yield Control(
        "depth",
        "depth",
        range(5),
        2,
        "Networks",
        "Hidden layers. With 0, D is logistic regression, its border a straight line, and G an "
        "affine map. Needs new networks.",
        "03",
        fresh=True,
    )


def along_the_wall(name: str, runs: int) -> list[float]:
    """One value of a rate for each run, evenly from the slider's one end to the other."""
    options = CONTROLS[name].options
    steps = np.geomspace(min(options), max(options), runs)
    return [float(f"{value:.2g}") for value in steps]


def _run_controls() -> Iterator[Control]:
    yield Control(
        "data",
        "data",
        [],  # the lab's own targets
        "ring",
        "Data",
        "What G shall imitate. Within one dimension, training goes on with the new data; from a "
        "plane to a line it starts again.",
        "01",
        menu=True,
    )
    yield Control(
        "seed",
        "seed",
        range(1000),
        0,
        "Data",
        "Another seed, another training. One good run proves little: try several. Needs new "
        "networks.",
        "07",
        fresh=True,
    )
    yield Control(
        "along",
        "runs differ in",
        [SEED, *RATES],
        SEED,
        "Data",
        "What tells the runs of the wall apart. With a rate, every run begins with the same "
        "weights, and the rates go from the slider's one end to the other. Needs new networks.",
        "07",
        menu=True,
        fresh=True,
        labels=["their seed", "the rate of D", "the rate of G"],
    )
    yield Control(
        "speed",
        "speed",
        [1, 3, 10, 30, 100, 0],
        0,
        "Data",
        "The largest number of steps in a second. Slow down to see single steps.",
        "02",
        menu=True,
        labels=["1 step/s", "3 steps/s", "10 steps/s", "30 steps/s", "100 steps/s", "no limit"],
    )


#: Every control by name.
CONTROLS: dict[str, Control] = {control.name: control for control in _controls()}

#: Every layer of the main view by name, with what it shows.
LAYERS: dict[str, str] = {
    "real": "real samples, blue dots",
    "generated": "generated samples, orange crosses",
    "belief": "D(x): blue where D says real, orange where it says generated, a line in between",
    "manifold": "the grid of z, warped by G into x; needs z of one or two dimensions",
    "arrows": "where the generator's loss pulls each generated sample",
    "optimal": "D*, the best answer to this generator, in place of D; how far D is from it; the "
    "true JS",
}


def offered(
    names: Sequence[str] | None, losses: Sequence[str] | None, targets: Sequence[str], runs: int
) -> dict[str, Control]:
    """Every control, the loss and the data with the choices of one lab.

    Raises:
        ValueError: one of ``names``, of controls to show, or of ``losses`` is unknown, or there
            is no loss.
    """
    controls = dict(CONTROLS)
    if runs == 1:
        del controls["along"]
    for argument, given in (("controls", names), ("losses", losses)):
        if given is not None:
            _check_names(argument, given)
    for name in () if names is None else names:
        if not isinstance(name, str) or name not in controls:
            raise ValueError(f"controls: {shown(name)} is not one of {list(controls)}")
    controls["data"] = replace(controls["data"], options=targets)
    if losses is not None:
        if not len(losses):
            raise ValueError(f"losses = {losses!r}: must name one at least of {list(LOSSES)}")
        for loss in losses:
            try:
                controls["loss"].read(loss)
            except ValueError as error:
                raise ValueError(f"losses: {error}") from None
        controls["loss"] = replace(controls["loss"], options=losses, default=losses[0])
    return controls


def described(control: Control) -> dict[str, Any]:
    """What the page needs to know of a control, with the way to its chapter."""
    page = {name: getattr(control, name) for name in ("name", "label", "group", "help", "chapter")}
    found = sorted(Path.cwd().glob(f"{control.chapter}_*.ipynb"))  # beside the running notebook
    return {
        **page,
        "menu": control.menu,
        "options": list(control.options),
        "labels": [str(label) for label in control.labels or control.options],
        "link": found[0].name if found else "",
    }


def check_changes(
    changes: Mapping[str, Any], values: Mapping[str, Any], controls: Mapping[str, Control]
) -> dict[str, Any]:
    """``changes`` to ``values`` in the form that is kept, see :meth:`Control.read`.

    Raises:
        ValueError: one is not allowed; the message names the first of them.
    """
    for name, value in changes.items():
        if name not in controls:
            raise ValueError(f"{name} = {shown(value)}: choose one of {list(controls)}")
    changes = {name: controls[name].read(value) for name, value in changes.items()}
    along = changes.get("along", values.get("along"))
    if along != SEED and along in changes:
        raise ValueError(
            f"{along} = {changes[along]!r}: the runs of the wall differ in it, from one end of "
            f"its slider to the other; to set it, choose along={SEED!r}"
        )
    packing, batch = ({**values, **changes}[name] for name in ("packing", "batch"))
    if batch % packing:
        raise ValueError(f"packing = {packing!r}: must divide the batch of {batch} samples")
    return changes


def check_layers(layers: Collection[str]) -> None:
    """Raise a ``ValueError`` that names the first of ``layers`` that there is not."""
    _check_names("layers", layers)
    for layer in layers:
        if not isinstance(layer, str) or layer not in LAYERS:
            raise ValueError(f"layers: {shown(layer)} is not one of {list(LAYERS)}")


def _check_names(argument: str, given: object) -> None:
    """Several names, and not one."""
    if isinstance(given, str):
        raise ValueError(f"{argument} = {given!r}: must be a list of names: [{given!r}]")
    if not isinstance(given, Collection):
        raise ValueError(f"{argument} = {shown(given)}: must be a list of names")


def advice(values: Mapping[str, Any], dimension: int) -> str:
    """Say what to expect of a combination that will not do well; empty if all is fine."""
    loss, penalty = values["loss"], values["penalty"]
    fastest = max(values["discriminator_rate"], values["generator_rate"])
    sayings = {
        "The wasserstein critic is unbounded without a penalty: its loss runs away. "
        "Add WGAN-GP (chapter 08).": loss == "wasserstein" and penalty == NONE,
        "WGAN-GP with R1's or R2's job: its slope of 1 fits a critic, not a probability "
        "(chapter 08).": penalty == "WGAN-GP" and loss in ("minimax", "maximum likelihood"),
        f"A rate of {fastest:g} is more than these networks usually survive (chapter 06).": fastest
        > 0.02,
        f"z has {values['noise']} dimension and x has {dimension}: G(z) is a curve, and D can "
        "always tell it from the data (chapter 03).": values["noise"] < dimension,
        "Without hidden layers D's border is a straight line: it can tell where the means are, "
        "and no more (chapter 03).": values["depth"] == 0,
        "Maximum likelihood gives nearly all weight to the few samples that D takes for real: "
        "expect jumps (chapter 05).": loss == "maximum likelihood",
    }
    return " ".join(saying for saying, applies in sayings.items() if applies)
