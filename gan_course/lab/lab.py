"""The live lab: a GAN that trains in front of the reader, and does what the reader says."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import gan_course.cells
from gan_course.arguments import one_of, shown, whole
from gan_course.distributions import PRIORS
from gan_course.lab.controls import (
    LAYERS,
    NONE,
    RATES,
    SEED,
    TARGET_MENU,
    advice,
    along_the_wall,
    check_changes,
    check_layers,
    described,
    offered,
)
from gan_course.lab.curves import NAMES, Curves
from gan_course.lab.driver import Driver
from gan_course.lab.frames import Arrays, Head
from gan_course.lab.replay import check, record, write
from gan_course.lab.scene import Scene, Target, checked_target, target_of, wall
from gan_course.lab.scores import reading
from gan_course.lab.slow import Piece, pieces
from gan_course.lab.still import bundle
from gan_course.lab.view import View
from gan_course.networks import Ensemble, mlp
from gan_course.training import NonFiniteError, Record, Settings, Trainer
from gan_course.training.history import symptom

GIVEN, DRAWN = "given", "drawn"
#: What a reader's layers are at the start.
SHOWN_LAYERS = ("real", "generated", "belief")
#: Runs that a wall may hold.
MOST_RUNS = 64
#: Pieces in a second, in slow motion.
SLOW = 0.6


class Lab:
    """A training under the reader's hands: networks, a driver, and a page in the notebook.

    As the last line of a cell it shows itself; :meth:`run` trains without a page.
    Whatever the page does can be done in Python, by :meth:`set` and :meth:`do`.

    Args:
        data: a name in the lab's menu of targets, or a target of your own in one or two
            dimensions.
        runs: trainings at once; above 1 they hang on a wall, and one is in the main view.
            They differ in their seed, or along a rate: ``Lab(runs=16, along="generator_rate")``.
        controls: names of the controls to show, see :data:`gan_course.lab.controls.CONTROLS`;
            default all.
        losses: the losses to offer; default all.
        layers: what the main view shows at first, see :data:`gan_course.lab.controls.LAYERS`.
        device: where to train; so small a network is quickest on the CPU.
        values: the controls' first values: ``Lab(k=5, loss="hinge", width=32)``.

    Attributes:
        trainer: the training itself; between two steps it is yours to look at.
        driver: what takes the steps.
        view: the page.
        values: the value of every control.
        note: what the page's status line says, as ``{"kind", "text"}``.

    Raises:
        ValueError: an argument is not allowed; the message names it.
    """

    def __init__(
        self,
        data: str | Target = "ring",
        *,
        runs: int = 1,
        controls: Sequence[str] | None = None,
        losses: Sequence[str] | None = None,
        layers: Collection[str] = SHOWN_LAYERS,
        device: str = "cpu",
        **values: Any,
    ) -> None:
        self.runs = whole("runs", runs, at_least=1, at_most=MOST_RUNS)
        self.device, self.run_shown = device, 0
        self.targets: dict[str, Target] = {name: make() for name, make in TARGET_MENU.items()}
        if not isinstance(data, str):
            self.targets[GIVEN] = checked_target("data", data)
        self.controls = offered(controls, losses, list(self.targets), self.runs)
        self.values = {name: control.default for name, control in self.controls.items()}
        check_layers(layers)
        self.layers = tuple(layers)
        values["data"] = data if isinstance(data, str) else GIVEN
        self.values |= check_changes(values, self.values, self.controls)
        self.view = View(self._page(controls), self.receive)
        self.driver = Driver(self._step, self._draw, math.inf, self.view.ready, self.view.fail)
        self.note = {"kind": "", "text": ""}
        self._remedy: dict[str, Any] | None = None
        self._slow = False
        self._restart()
        self._tune()
        self._advise()
        self._made_in, self._shown_in = gan_course.cells.running(), set[str]()
        gan_course.cells.until_it_runs_again(self._give_way)
        self._draw()
        self.driver.start()

    def _give_way(self) -> None:
        """The cell runs again. If no other shows this lab, nobody is left to be told its end."""
        self.stop()
        if self._made_in is not None and self._shown_in <= {self._made_in.name}:
            self.view.close()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        cell = gan_course.cells.running()
        self._shown_in |= {"" if cell is None else cell.name}
        page, _ = self.view._repr_mimebundle_(**options) or ({}, {})
        scores = Scene.of(self.trainer, self.run_shown).scores
        picture, words = bundle(*self.frame(), scores)
        return {**page, **picture}, words

    # -- what can be done to a lab ---------------------------------------------------------

    def set(self, **changes: Any) -> None:
        """Move controls, at the next step: ``lab.set(k=5, loss="hinge")``.

        Raises:
            ValueError: there is no such control, or the value is not allowed.
        """
        changes = check_changes(changes, self.values, self.controls)
        self.driver.post(partial(self._change, changes))

    def do(self, action: str) -> None:
        """Press a button: ``play``, ``pause``, ``D step``, ``G step``, ``reset``, ``slow motion``.

        Raises:
            ValueError: there is no such button.
        """
        self.driver.post(self._actions[one_of("action", action, self._actions)])

    def show(self, *layers: str) -> None:
        """Choose the layers of the main view: ``lab.show("real", "arrows")``.

        Raises:
            ValueError: there is no such layer.
        """
        check_layers(layers)
        self.driver.post(partial(setattr, self, "layers", layers))

    def lift(self, run: int) -> None:
        """Bring one run of the wall into the main view.

        Raises:
            ValueError: there is no such run.
        """
        run = whole("run", run, at_least=0, at_most=self.runs - 1)
        self.driver.post(partial(setattr, self, "run_shown", run))

    def draw_data(self, points: Sequence[Sequence[float]]) -> None:
        """Train on a distribution drawn by hand, a Gaussian kernel on each of the 2-D points.

        Raises:
            ValueError: there are fewer than two points, or they are not in the plane.
        """
        self.driver.post(partial(self._use_drawing, target_of(points)))

    def run(self, steps: int) -> Trainer:
        """Take steps here and now, without a page, and return the trainer.

        Raises:
            ValueError: ``steps`` is no whole number, or negative.
        """
        self.driver.run(whole("steps", steps, at_least=0))
        return self.trainer

    def record(
        self,
        path: str | Path,
        steps: int = 1000,
        every: int = 10,
        changes: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> Path:
        """Train for ``steps`` steps, without a page, and write a page that replays it.

        The file needs no kernel and no network; it opens from disk in any browser.

        Args:
            path: where to write; the name ends in ``.html``.
            steps: how many to take from the present state.
            every: steps from one picture to the next.
            changes: controls to move on the way, by the steps taken until then:
                ``{300: {"k": 5}}``.

        Raises:
            ValueError: ``steps`` or ``every`` is below 1, ``path`` is no HTML file, or a change
                is not allowed, needs new networks or falls between two pictures.
        """
        if not isinstance(path, str | Path):
            raise ValueError(f"path = {shown(path)}: must be a path that ends in .html")
        path = Path(path)
        steps, every = whole("steps", steps, at_least=1), whole("every", every, at_least=1)
        changes = {} if changes is None else changes
        check(self, path, steps, every, changes)
        write(path, record(self, steps, every, changes), f"GAN: {self.values['data']}")
        return path

    def stop(self) -> None:
        """End the training; its page keeps the last picture and says that it has ended."""
        self.driver.stop()
        self.view.end("This lab has ended. Run its cell again.")

    async def close(self) -> None:
        """End the training, wait for it, and raise what went wrong in it."""
        self.stop()
        await self.driver.close()

    # -- what the driver does, between two steps -------------------------------------------

    @property
    def _actions(self) -> dict[str, Any]:
        return {
            "play": self.driver.play,
            "pause": self.driver.pause,
            "D step": self._discriminator_step,
            "G step": self._generator_step,
            "reset": self._reset,
            "slow motion": self._toggle_slow_motion,
        }

    def _restart(self) -> None:
        """New networks, from the seed; the settings stay."""
        values = self.values
        dimension = self._target().event_shape[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(values["seed"])
            generator = self._network(values["noise"], dimension)
            discriminator = self._network(values["packing"] * dimension, 1)
        self.trainer = Trainer(
            generator,
            discriminator,
            self._target(),
            PRIORS[values["prior"]](values["noise"]),
            self._settings(),
            seed=values["seed"],
            device=self.device,
        )
        self.curves = [Curves() for _ in range(self.runs)]
        self._pieces: Iterator[Piece] = iter(())
        self._piece: Piece | None = None
        self._remedy = None

    def _network(self, inputs: int, outputs: int) -> nn.Module:
        sizes = {name: self.values[name] for name in ("width", "depth")}
        build = partial(mlp, inputs, outputs, activation="leaky relu", **sizes)
        if self.runs == 1:
            return build()
        network = Ensemble(build, self.runs)
        if self._along is not None:  # one beginning for all, so that only the rate differs
            with torch.no_grad():
                for weight in network.parameters():
                    weight.copy_(weight[:1].expand_as(weight))
        return network

    @property
    def _along(self) -> str | None:
        """The rate in which the runs of the wall differ; none if it is their seed."""
        along = self.values.get("along", SEED)
        return None if along == SEED else along

    @property
    def _tiles(self) -> list[float]:
        """The value of that rate in every run."""
        return [] if self._along is None else along_the_wall(self._along, self.runs)

    def _settings(self) -> Settings:
        values = self.values
        penalties = {} if values["penalty"] == NONE else {values["penalty"]: values["weight"]}
        chosen = {name: values[name] for name in ("loss", "k", "batch", "packing", *RATES)}
        if self._along is not None:
            chosen[self._along] = self._tiles
        return Settings(penalties=penalties, **chosen)

    def _target(self) -> Target:
        return self.targets[self.values["data"]]

    def _change(self, changes: Mapping[str, Any]) -> None:
        try:
            check_changes(changes, self.values, self.controls)
        except ValueError as error:  # it was allowed, until something else that came before
            self._refuse(str(error))
            return
        old, self.values = self.values, {**self.values, **changes}
        fresh = [
            name for name in changes if self.controls[name].fresh and old[name] != changes[name]
        ]
        if self._target().event_shape != self.trainer.data.event_shape:
            fresh.append("data")
        if fresh:
            self._restart()
        self._tune()
        self._advise()
        self._remedy = None
        if fresh:
            what = ", ".join(self.controls[name].label for name in fresh)
            text = f"Started again, with new networks: {what}. {self.note['text']}".strip()
            self.note = {"kind": self.note["kind"] or "info", "text": text}

    def _tune(self) -> None:
        """Bring the trainer in line with the controls, networks aside."""
        self.driver.speed = SLOW if self._slow else self.values["speed"] or math.inf
        self.trainer.set(**vars(self._settings()))
        self.trainer.data = self._target().to(self.trainer.device)
        prior = PRIORS[self.values["prior"]](self.values["noise"])
        self.trainer.prior = prior.to(self.trainer.device)

    def _advise(self) -> None:
        text = advice(self.values, self._target().event_shape[0])
        self.note = {"kind": "warning" if text else "", "text": text}

    def _use_drawing(self, target: Target) -> None:
        self.targets[DRAWN] = target
        self.controls["data"] = replace(self.controls["data"], options=[*self.targets])
        self._change({"data": DRAWN})

    def _reset(self) -> None:
        self._restart()
        self._advise()

    def _step(self) -> None:
        """A step; in slow motion, the next piece of one."""
        try:
            if self._slow:
                self._next_piece()
            else:
                self._note_down(self.trainer.step())
        except NonFiniteError as error:
            self._diverged(error)

    def _note_down(self, record: Record) -> None:
        names = ("real", "fake", "discriminator_gradient", "generator_gradient")
        columns = {name: getattr(record, name).tolist() for name in names}
        if not reading(self.trainer.settings.objective.name).probability:
            # What the trainer notes are means of a sigmoid, which say nothing of a score.
            columns["real"] = columns["fake"] = [math.nan] * self.runs
        for run, curves in enumerate(self.curves):
            row = {name: column[run] for name, column in columns.items()}
            curves.add(self.trainer.steps, **row)
        if self.runs > 1 and bool(record.frozen.any()):
            stopped = int(record.frozen.sum())
            text = f"{stopped} of {self.runs} runs stopped at a loss that is not finite."
            self.note = {"kind": "warning", "text": text}

    def _next_piece(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            self._pieces = pieces(self.trainer, self.run_shown)
            piece = next(self._pieces)
        self._piece = piece

    def _toggle_slow_motion(self) -> None:
        """A round that was begun is finished at once, so that no half step is left."""
        self._slow, self._piece = not self._slow, None
        self._tune()
        if self._slow:
            self.driver.play()
            return
        try:
            for _ in self._pieces:
                pass
        except NonFiniteError as error:
            self._diverged(error)

    def _discriminator_step(self) -> None:
        try:
            before = self.trainer.discriminator_step()
        except NonFiniteError as error:
            self._diverged(error)
            return
        run = self.run_shown
        text = f"One D step down a loss of {before.loss[run].item():.3f}. G did not move."
        if reading(self.trainer.settings.objective.name).probability:
            text += (
                f" Before it, D(x) averaged {before.real[run].item():.3f} on real and "
                f"{before.fake[run].item():.3f} on generated samples."
            )
        self.note = {"kind": "info", "text": text}

    def _generator_step(self) -> None:
        try:
            step = self.trainer.generator_step()
        except NonFiniteError as error:
            self._diverged(error)
            return
        loss = step.loss[self.run_shown].item()
        text = f"One G step down a loss of {loss:.3f}. D did not move."
        self.note = {"kind": "info", "text": text}

    def _diverged(self, error: NonFiniteError) -> None:
        """Rest at the last good state, say so, and offer slower rates."""
        self.driver.pause()
        lower = {
            name: max(self.values[name] / 10, min(self.controls[name].options))
            for name in RATES
            if name != self._along
        }
        which = "both rates" if len(lower) == 2 else f"the {self.controls[next(iter(lower))].label}"
        self._remedy = {"label": f"Start again with a tenth of {which}", "values": lower}
        self.note = {"kind": "error", "text": f"Stopped. {error}"}

    # -- the picture -----------------------------------------------------------------------

    def _draw(self) -> None:
        if self.view.comm is not None:
            self.view.show(*self.frame())

    def frame(self) -> tuple[Head, Arrays]:
        """Look at the training: the head and the arrays of a picture, see ``frames.py``."""
        scene = Scene.of(self.trainer, self.run_shown)
        piece = self._piece
        layers = {*self.layers, *(piece.highlight if piece else ())}
        arrays = scene.arrays([layer for layer in LAYERS if layer in layers])
        if piece is not None and piece.real is not None and piece.fake is not None:
            batches = {"real": piece.real, "fake": piece.fake}
            arrays |= {name: batch for name, batch in batches.items() if name in arrays}
        measures = scene.measures()
        if "optimal" in self.layers:
            measures |= scene.theory()
        curves = self.curves[self.run_shown]
        curves.measure(self.trainer.steps, **measures)
        head = {
            "kind": "frame",
            "step": self.trainer.steps,
            "playing": self.driver.playing,
            "dimension": scene.dimension,
            "window": list(scene.data.window),
            "values": {**self.values, **self._own_rate()},
            "layers": list(self.layers),
            "reading": {"name": scene.reading.name, "text": scene.explanation},
            "along": self._along,
            "tiles": [f"{rate:g}" for rate in self._tiles],
            "stopped": self.trainer.frozen.nonzero().flatten().tolist(),
            "measures": {n: m if math.isfinite(m) else None for n, m in measures.items()},
            "curves": NAMES,
            "note": self._said(measures),
            "remedy": self._remedy,
            "run": self.run_shown,
            "slow": self._slow,
            "piece": None if piece is None else {"text": piece.text, "highlight": piece.highlight},
            "modes": 0 if scene.data.modes is None else len(scene.data.modes),
        }
        arrays |= wall(self.trainer) if self.runs > 1 else {}
        if "covered" in arrays:
            for other, modes in zip(self.curves, arrays["covered"].tolist(), strict=True):
                if other is not curves:
                    other.measure(self.trainer.steps, modes=modes)
        numbers = {name: _numpy(array) for name, array in arrays.items()}
        return head, {**numbers, "curves": curves.array()}

    def _own_rate(self) -> dict[str, float]:
        """The rate of the run in the main view, if each run has one of its own."""
        return {} if self._along is None else {self._along: self._tiles[self.run_shown]}

    def _said(self, measures: Mapping[str, float]) -> dict[str, str]:
        """The note, and before it what the training itself suffers from."""
        text = symptom(measures)
        if not text or self.note["kind"] == "error":
            return self.note
        return {"kind": "warning", "text": f"{text} {self.note['text']}".strip()}

    # -- the page --------------------------------------------------------------------------

    def _page(self, names: Sequence[str] | None) -> dict[str, Any]:
        shown = self.controls if names is None else names
        return {
            "controls": [described(self.controls[name]) for name in shown],
            "layers": LAYERS,
            "runs": self.runs,
        }

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of a page; it may arrive on any thread, so it only posts."""
        kind = message.get("kind")
        if self.view.ended:
            self.view.end(self.view.ended)
        elif kind == "acknowledge":
            self.driver.post(lambda: self._acknowledge(message["number"]))
        elif kind == "hello":
            self.driver.post(self.view.welcome)
        else:
            try:
                if not self.view.outdated(message):
                    self._obey(kind, message)
            except (ValueError, TypeError, KeyError) as error:
                self.driver.post(partial(self._refuse, str(error)))
            self.driver.post(partial(self.view.saw, message))

    def _acknowledge(self, number: int) -> bool:
        self.view.acknowledge(number)
        return False  # there is nothing new to draw

    def _obey(self, kind: str | None, message: Mapping[str, Any]) -> None:
        if kind == "set":
            self.set(**message["values"])
        elif kind == "do":
            self.do(message["action"])
        elif kind == "layers":
            self.show(*message["layers"])
        elif kind == "lift":
            self.lift(message["run"])
        elif kind == "drawn":
            self.draw_data(message["points"])
        elif kind == "remedy":
            self.driver.post(self._take_the_remedy)
        else:
            raise ValueError(f"kind = {kind!r}: the page sent a message that the lab does not know")

    def _take_the_remedy(self) -> None:
        if self._remedy is not None:
            self.values |= self._remedy["values"]
            self._reset()
            self.driver.play()

    def _refuse(self, text: str) -> None:
        self.note = {"kind": "error", "text": f"Refused. {text}"}


def _numpy(array: torch.Tensor) -> NDArray[np.float32]:
    return array.detach().float().cpu().numpy()
