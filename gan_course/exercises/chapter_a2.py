"""Appendix A2's exercises: what does each patient suffer from?

The table of the clinic's trainings knows its patients by a number alone, which is made of the
cause by a hash: who looks into the table, or into the source, finds no answer there.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from gan_course.exercises import Open, Wrong, agrees, call, expect, number, specification

#: What may be wrong with a training of the clinic, and what it would show.
SHOWS = {
    "G's rate is 0": "then G's weights would not have moved at all",
    "D's rate is far too small": "then D's weights would hardly have moved",
    "D's labels are exchanged": "then D would find samples more real than data",
    "G climbs its loss": "then G's own step would make D's logit of its samples fall",
    "D's gradient stays in G": "then D's turn would leave a gradient in G",
    "a sigmoid too many": "then what the program takes for D(x) would be far below ½ on data, too",
    "D far ahead, no penalty": "then D would be sure of everything at the start",
    "both rates far too large": "then both players' weights would have moved very far",
    "penalty far too large": "then D would be flat: its slope at the data next to nothing",
    "the same noise in every step": "then the samples of the training's own noise would be better",
    "G ends in a ReLU": "then no sample would have a negative coordinate",
    "data beyond G's tanh": "then no sample would reach as far as the data",
    "D has few data": "then D would know the data that it has seen from new ones",
    "batch norm in D": "then what D says of a sample would depend on its company",
    "noise that hardly varies": "then noise of the usual size would spread the samples far more",
}
CAUSES = tuple(SHOWS)


def _key(cause: str) -> str:
    return hashlib.sha256(f"clinic: {cause}".encode()).hexdigest()


def patient(cause: str) -> int:
    """The number of the patient who suffers from a cause, from 1.

    Raises:
        ValueError: it is none of :data:`CAUSES`.
    """
    if cause not in CAUSES:
        raise ValueError(f"cause = {cause!r}: choose one of {list(CAUSES)}")
    return 1 + sorted(map(_key, CAUSES)).index(_key(cause))


@specification("A2.1")
def diagnosis(answer: dict[int, object]) -> None:
    """A cause for each patient."""
    wanted = {patient(cause): cause for cause in CAUSES}
    if not isinstance(answer, dict) or set(answer) != set(wanted):
        raise Wrong(f"answer with a dict that has the keys 1 to {len(CAUSES)}")
    for who in sorted(wanted):
        said = answer[who]
        if said is ...:
            continue
        if said not in CAUSES:
            raise Wrong(f"patient {who}: {said!r} is none of the causes; print(CAUSES)")
        if said != wanted[who]:
            raise Wrong(f"patient {who} does not suffer from “{said}”: {SHOWS[str(said)]}")
    if any(said is ... for said in answer.values()):
        raise Open


@specification("A2.2")
def least_loss(answer: object) -> None:
    """log(1 + e⁻¹) + log 2: real samples reach the logit 1, generated ones 0."""
    found = number(answer, "a loss")
    if agrees(found, 0.0, atol=5e-3):
        raise Wrong("that is the least loss of logits without bounds; a sigmoid stays below 1")
    if agrees(found, 2 * math.log1p(math.exp(-1)), atol=5e-3):
        raise Wrong("on samples the logit should be as low as possible: a sigmoid comes near 0")
    on_data, on_samples = math.log1p(math.exp(-1)), math.log(2)
    if agrees(found, on_data, atol=5e-3) or agrees(found, on_samples, atol=5e-3):
        raise Wrong("that is the one term; D's loss has two, of data and of samples")
    if agrees(found, 2 * math.log(2), atol=5e-3):
        raise Wrong("that is D = ½ for everything; data may have a logit above 0")
    hint = "as a logit a sigmoid lies between 0 and 1: what does each term cost at its best?"
    expect(hint, found, on_data + on_samples, 5e-3)


@specification("A2.3")
def rise(answer: Callable[..., Tensor]) -> None:
    """The mean logit after a step less before; along its gradient it rises by rate × norm²."""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2))
    D = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
    begun = parameters_to_vector(G.parameters()).detach().clone()
    of_D = parameters_to_vector(D.parameters()).detach().clone()
    for batch, rate in ((64, 0.5), (24, -0.5), (64, 0.1)):
        z = torch.randn(batch, 2)
        taken: list[int] = []

        def step(z: Tensor = z, rate: float = rate, taken: list[int] = taken) -> None:
            taken.append(1)
            slopes = torch.autograd.grad(D(G(z)).mean(), [*G.parameters()])
            for p, slope in zip(G.parameters(), slopes, strict=True):
                p.data += rate * slope

        def looks(z: Tensor = z) -> Tensor:
            with torch.no_grad():
                return torch.stack([D(G(z)).mean(), D(G(z.mean(0)))[0]])

        before = looks()
        step()
        truth, at_the_mean = (looks() - before).tolist()
        vector_to_parameters(begun.clone(), G.parameters())
        taken.clear()
        found = number(call(answer, G, D, z, step), "a rise")
        if len(taken) > 1:
            raise Wrong(f"`step` was called {len(taken)} times; G is to move once")
        vector_to_parameters(begun.clone(), G.parameters())
        if not torch.equal(parameters_to_vector(D.parameters()), of_D):
            raise Wrong("D is not the same afterwards; it is to stand still")
        if agrees(found, 0.0, atol=1e-6):
            raise Wrong("no rise at all: has the step been taken between the two looks?")
        if agrees(found, at_the_mean, atol=1e-5):
            raise Wrong("that is the logit at the mean of z; the mean of the logits was asked for")
        if agrees(found, truth * batch, atol=1e-4):
            raise Wrong("that is the sum over the samples; the mean was asked for")
        expect("D's mean logit of the same noise, after the step less before", found, truth, 1e-5)
