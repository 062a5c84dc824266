"""The small panel of chapter 02: ipywidgets for the controls, matplotlib for the picture."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from gan_course.distributions import PRIORS, GaussianMixture, ring
from gan_course.lab.driver import Driver
from gan_course.losses import LOSSES
from gan_course.networks import mlp
from gan_course.plotting import FAKE, REAL, plot_belief, plot_samples
from gan_course.training import NonFiniteError, Record, Settings, Trainer


class Playground(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A 2-D GAN that trains in front of the reader.

    Args:
        data: the target; default a ring of eight modes, wide enough to see.
        width: units in each of the two hidden layers of both networks.
        seed: of the weights, the batches and the noise.
    """

    _open: Playground | None = None

    def __init__(self, data: GaussianMixture | None = None, width: int = 64, seed: int = 0) -> None:
        if Playground._open is not None:
            Playground._open.close()  # the cell was run again
        Playground._open = self
        self.data, self.width, self.seed = data or ring(std=0.05), width, seed
        self.settings = Settings()
        self.prior = "normal"
        self._real = self.data.sample((512,), torch.Generator().manual_seed(seed))
        self.picture = widgets.Image(format="png", layout={"max_width": "100%"})
        self.caption = widgets.HTML()
        self.driver = Driver(self._step, self._draw)
        super().__init__([*self._controls(), self.picture, self.caption])
        self._reset()
        self._draw()
        self.driver.start()

    def close(self) -> None:
        """Stop the training and remove the panel."""
        self.driver.stop()
        super().close()

    # -- what the driver does, between two steps ---------------------------------------

    def _reset(self) -> None:
        torch.manual_seed(self.seed)
        self.trainer = Trainer(
            mlp(2, 2, width=self.width, activation="leaky relu"),
            mlp(2, 1, width=self.width, activation="leaky relu"),
            self.data,
            PRIORS[self.prior](2),
            self.settings,
            seed=self.seed,
            device="cpu",  # so small a network is quickest there
        )
        self.recent: deque[tuple[int, float, float]] = deque(maxlen=400)
        self._note = ""

    def _step(self) -> None:
        try:
            record: Record = self.trainer.step()
        except NonFiniteError as error:
            self.driver.pause()
            self._note = f"<b>Stopped.</b> {error} Press Reset to start again."
            return
        self.recent.append((self.trainer.steps, record.real.item(), record.fake.item()))

    def _discriminator_step(self) -> None:
        before = self.trainer.discriminator_step()
        self._note = f"One D step: before it, D(x) averaged {before.real.item():.3f} on real and "
        self._note += f"{before.fake.item():.3f} on generated samples. G did not move."

    def _generator_step(self) -> None:
        step = self.trainer.generator_step()
        self._note = f"One G step down a loss of {step.loss.item():.3f}. D did not move."

    def _set(self, **changes: Any) -> None:
        self.settings = Settings(**{**vars(self.settings), **changes})
        self.trainer.set(**changes)

    def _set_rate(self, name: str, rate: float) -> None:
        self._set(**{name: rate})

    def _set_prior(self, prior: str) -> None:
        self.prior = prior
        self.trainer.prior = PRIORS[prior](2)

    def _draw(self) -> None:
        figure = Figure(figsize=(8, 3.6), dpi=90, layout="constrained")
        plane, curves = figure.subplots(1, 2)
        plot_belief(plane, lambda x: self.trainer.discriminate(x)[0], self.data.window, 48)
        plot_samples(plane, self._real, self.trainer.sample(512)[0], self.data.window)
        plane.set_title(f"step {self.trainer.steps}")
        if self.recent:
            steps, real, fake = zip(*self.recent, strict=True)
            curves.plot(steps, real, color=REAL, label="D(x), real")
            curves.plot(steps, fake, color=FAKE, linestyle="--", label="D(G(z)), generated")
            curves.legend(loc="upper right")
        curves.axhline(0.5, color="#333333", linewidth=0.5)
        curves.set(ylim=(0, 1), xlabel="step", title="what D believes, on average")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        self.picture.value = buffer.getvalue()
        self.caption.value = (
            self._note or "Blue shade: D says real. Orange shade: D says generated."
        )

    # -- the controls, which only post ---------------------------------------------------

    def _controls(self) -> list[widgets.Widget]:
        k = widgets.IntSlider(value=1, min=1, max=10, description="k")
        loss = widgets.Dropdown(options=list(LOSSES), description="loss")
        prior = widgets.Dropdown(options=list(PRIORS), description="prior")
        rates = {
            f"{player}_rate": widgets.FloatLogSlider(
                value=1e-3,
                base=10,
                min=-5,
                max=-1,
                step=0.25,
                readout_format=".1e",
                description=f"rate of {letter}",
            )
            for player, letter in (("discriminator", "D"), ("generator", "G"))
        }
        self._on_change(k, lambda value: self._set(k=value))
        self._on_change(loss, lambda value: self._set(loss=value))
        self._on_change(prior, self._set_prior)
        for name, slider in rates.items():
            self._on_change(slider, partial(self._set_rate, name))
        buttons = [
            self._button("Play", self.driver.play, "Train; pauses by itself after a while"),
            self._button("Pause", self.driver.pause, "Stop after this step"),
            self._button("D step", self._discriminator_step, "Move the discriminator once"),
            self._button("G step", self._generator_step, "Move the generator once"),
            self._button("Reset", self._reset, "Fresh weights, the same settings"),
        ]
        return [
            widgets.HBox([k, loss, prior], layout={"flex_flow": "row wrap"}),
            widgets.HBox(list(rates.values()), layout={"flex_flow": "row wrap"}),
            widgets.HBox(buttons, layout={"flex_flow": "row wrap"}),
        ]

    def _on_change(self, control: widgets.Widget, apply: Callable[[Any], None]) -> None:
        def post(change: dict[str, Any]) -> None:
            self.driver.post(lambda: apply(change["new"]))

        control.observe(post, names="value")

    def _button(self, label: str, command: Callable[[], None], tooltip: str) -> widgets.Button:
        button = widgets.Button(description=label, tooltip=tooltip, layout={"width": "6em"})
        button.on_click(lambda _: self.driver.post(command))
        return button
