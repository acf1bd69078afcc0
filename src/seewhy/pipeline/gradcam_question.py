"""The question where the evidence for a class lies: Grad-CAM of every input, from one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from seewhy.core import Target, Wants
from seewhy.evidence import shares_of
from seewhy.methods.cam import gradcam
from seewhy.pipeline.host_copies import Coming
from seewhy.pipeline.questions import Answers, Seen, Told
from seewhy.pipeline.ranked import Ranked
from seewhy.targets import EmbeddingNorm, Logit
from seewhy.values import Answer, Json

Layers = tuple[tuple[str, str], ...]
"""Input names, each with the layer that explains it; one layer may explain several inputs."""


@dataclass(frozen=True)
class GradcamQuestion:
    """Grad-CAM of every input in ``layers`` for given ``classes``, for the ``best`` few classes of each record, or for
    the norm of the outputs of a model without a head (neither given).

    There is one answer per layer, and one with each input's share of the evidence where several are explained. All of
    them come from the same pass, for the same classes. ``several``: the model has several inputs, so that names tell
    them apart. ``held`` are keys of which committed rows hold some classes (all of them, where no classes are given):
    pictures show them again, no row holds them twice.
    """

    layers: Layers
    classes: tuple[int, ...] = ()
    best: int = 0
    several: bool = False
    held: tuple[tuple[str, tuple[int, ...]], ...] = ()
    kind = "gradcam"

    @property
    def inputs_of(self) -> dict[str, list[str]]:
        """The inputs that each layer explains."""
        found: dict[str, list[str]] = {}
        for name, layer in self.layers:
            found.setdefault(layer, []).append(name)
        return found

    @property
    def shares_key(self) -> str | None:
        """The key of the inputs' shares of the evidence; None for one input, or where a layer that sees several inputs
        cannot tell them apart."""
        apart = 1 < len(self.layers) == len(self.inputs_of)
        return f"shares{self._which}@{','.join(self.inputs_of)}" if apart else None

    @property
    def _which(self) -> str:
        return f"best{self.best}" if self.best else ""

    def key_of(self, layer: str) -> str:
        """The key of the maps at a layer."""
        return f"gradcam{self._which}@{layer}"

    def specs(self) -> dict[str, Json]:
        every = self._every_spec()
        held = dict(self.held)
        return {key: spec for key, spec in every.items() if key not in held or set(self.classes) - set(held[key])}

    def _every_spec(self) -> dict[str, Json]:
        question = "given classes" if self.classes else f"{self.best} best classes" if self.best else "norm of outputs"
        about = {"kind": self.kind, "method": "gradcam", "question": question}
        maps = {
            self.key_of(layer): about | {"layer": layer} | ({"inputs": names} if self.several else {})
            for layer, names in self.inputs_of.items()
        }
        if self.shares_key is None:
            return maps
        shares = about | {"kind": "shares", "of": "positive values of the raw maps", "layers": dict(self.layers)}
        return {**maps, self.shares_key: shares}

    def promised(self, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        held = dict(self.held)
        return {key: _without(answers[key], held.get(key, ())) for key in self.specs()}

    def missing(self, answered: Mapping[str, frozenset[int]]) -> GradcamQuestion | None:
        known = {key: answered[key] for key in self._every_spec() if key in answered}
        if not self.classes:
            held = tuple((key, ()) for key in known)
            return None if len(held) == len(self._every_spec()) else replace(self, held=held)
        everywhere = frozenset.intersection(*(known.get(key, frozenset()) for key in self._every_spec()))
        asked = tuple(index for index in self.classes if index not in everywhere)
        some = {key: tuple(index for index in asked if index in classes) for key, classes in known.items()}
        held_some = tuple((key, classes) for key, classes in some.items() if classes)
        return replace(self, classes=asked, held=held_some) if asked else None

    def wants(self) -> Wants:
        layers = tuple(self.inputs_of)
        return Wants(activations=layers, gradients=layers)

    def targets(self) -> Sequence[Target]:
        if self.classes:
            return [Logit(index) for index in self.classes]
        return [Ranked(rank) for rank in range(self.best)] if self.best else [EmbeddingNorm()]

    def answer(self, seen: Seen, first_target: int) -> Told:
        capture = seen.capture
        asked = range(first_target, first_target + len(self.targets()))
        bound = [capture.targets[index] for index in asked]
        maps = {
            layer: seen.copies.take(
                torch.stack([gradcam(capture.activations[layer], capture.gradients[layer][index]) for index in asked])
            )
            for layer in self.inputs_of
        }
        chosen = [one.classes for one in bound if isinstance(one, Ranked) and one.classes is not None]
        best = seen.copies.take(torch.stack(chosen)) if chosen else None
        return lambda: self._told({layer: found() for layer, found in maps.items()}, best)

    def _told(self, maps: Mapping[str, NDArray[np.float32]], best: Coming | None) -> Answers:
        """``maps[layer]`` ``(K, B, *S)``; ``best`` are the classes of each record ``(K, B)`` where they were ranked."""
        records = next(iter(maps.values())).shape[1]
        classes = [self.classes] * records if best is None else [tuple(own) for own in best().T.tolist()]
        return [
            self._record({layer: found[:, record].copy() for layer, found in maps.items()}, classes[record])
            for record in range(records)
        ]

    def _record(self, own: Mapping[str, NDArray[np.float32]], classes: tuple[int, ...]) -> dict[str, Answer]:
        answers = {self.key_of(layer): Answer(values, classes) for layer, values in own.items()}
        if self.shares_key is not None:
            answers[self.shares_key] = Answer(self._shares(own), classes)
        return answers

    def _shares(self, maps: Mapping[str, NDArray[np.float32]]) -> Float32[np.ndarray, "k inputs"]:
        """Each input's share of the evidence, by class; NaN where a map holds values that are not finite."""
        count = len(maps[self.layers[0][1]])
        told = [shares_of({name: maps[layer][row] for name, layer in self.layers}) for row in range(count)]
        return np.array([list(shares.values()) for shares in told], np.float32)


def _without(answer: Answer, classes: Sequence[int]) -> Answer:
    """An answer without some of its classes."""
    kept = [place for place, index in enumerate(answer.classes) if index not in classes]
    if len(kept) == len(answer.classes):
        return answer
    return Answer(answer.values[kept], tuple(answer.classes[place] for place in kept))
