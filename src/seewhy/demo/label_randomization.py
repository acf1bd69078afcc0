"""Label randomisation on the demonstration: a model that knows permuted labels by heart, and methods graded on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.demo.models import Kind, build, load
from seewhy.demo.scenes import Scenes, draw_scenes
from seewhy.demo.train import LARGEST_GRADIENT, Batches, share_right
from seewhy.methods.ask import Asked
from seewhy.methods.scale import scale_of
from seewhy.metrics.case import Case
from seewhy.metrics.grade import Grade
from seewhy.metrics.grading import grade
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.targets import Logit

BY_HEART: Final = 0.95
"""The share of permuted labels that Adebayo's models knew in the end; training ends there."""

FROM_PIXELS: Final = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""How scenes came from pixels: values in [-1, 1]."""


@dataclass(frozen=True)
class Budget:
    """How much is learnt by heart, and for how long at most: about a minute on one core."""

    scenes: int = 96
    epochs: int = 120
    batch: int = 16
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Memorized:
    """A model in evaluation mode, and the share of its permuted labels that it knows."""

    model: nn.Module
    share: float


def permuted(scenes: Scenes, seed: int = 0) -> Scenes:
    """The same scenes, every label given to some scene or other."""
    order = torch.randperm(len(scenes), generator=ops.generator(seed, "permuted labels"))
    return Scenes(scenes.images, scenes.labels[order])


def memorize(
    kind: Kind = "cnn", budget: Budget | None = None, *, seed: int = 0, report: Callable[[str], None] | None = None
) -> Memorized:
    """Train a demonstration model from scratch on permuted labels until it knows 95 % of them by heart.

    The same seed and number of threads give the same weights on the same machine; torch's global generator is left as
    it was. Adam at a steady rate, without any regularisation: nothing else can be learnt from such labels.
    """
    budget = budget or Budget()
    scenes = permuted(draw_scenes("train", budget.scenes), seed)
    batches = Batches(scenes, budget.batch)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        model = build(kind)
        optimizer = torch.optim.Adam(model.parameters(), lr=budget.learning_rate)
        share = 0.0
        for epoch in range(budget.epochs):
            _one_epoch(model.train(), batches, optimizer)
            if epoch % 4 == 3 or epoch == budget.epochs - 1:
                share = share_right(model, scenes)
                if report:
                    report(f"epoch {epoch + 1}: {share:.1%} of the permuted labels known")
                if share >= BY_HEART:
                    break
    return Memorized(model.eval(), share)


def _one_epoch(model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer) -> None:
    loss = nn.CrossEntropyLoss()
    weights = list(model.parameters())
    for images, labels in batches:
        gradients = torch.autograd.grad(loss(model(images), labels), weights)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        nn.utils.clip_grad_norm_(weights, LARGEST_GRADIENT)
        optimizer.step()
    optimizer.zero_grad()


def grade_methods(
    methods: Sequence[str], retrained: nn.Module, *, kind: Kind = "cnn", records: int = 16
) -> Mapping[str, Grade]:
    """How much of each method's maps is left in those of a model that learnt permuted labels; less is better.

    The maps are those of the shipped model for the digit it sees in the first ``records`` test scenes.
    """
    scenes = draw_scenes("test", records)
    inputs = {"image": scenes.inputs(torch.arange(records))}
    adapter = Adapter(load(kind), inputs, normalisation=FROM_PIXELS)
    probe, _ = Probe(adapter, [Logit()]).settled(inputs)
    found = {}
    for method in methods:
        asked = Asked(method)
        case = Case(probe, inputs, asked(probe, inputs).target(), asked, scale=scale_of(asked.method))
        found[method] = grade("label_randomization", case, retrained=retrained)
    return found
