"""What is graded: one input's maps of B records, the question they answer, and everything a metric may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy import ops
from seewhy.baselines import NAMES, check_name, named
from seewhy.capture.probe import Explain, Probe
from seewhy.core import Attribution, Inputs, Target, Wants
from seewhy.evidence import Scale
from seewhy.metrics.asking import Asking
from seewhy.metrics.probability import ClassProbability
from seewhy.models.adapter import Adapter
from seewhy.models.heads import Task
from seewhy.targets import BinaryLogit, Logit
from seewhy.values import ConfigError

AT_ONCE_ON_CPU, AT_ONCE_ON_GPU = 8, 64
"""Changed copies that go through the model together where nobody says: beyond it a processor's cache overflows."""


def copies_at_once(adapter: Adapter) -> int:
    """How many changed copies go through a model together where nobody says."""
    return AT_ONCE_ON_CPU if adapter.device.type == "cpu" else AT_ONCE_ON_GPU


@dataclass(frozen=True)
class Case:
    """One input's maps of ``B`` records, and what a metric may ask for: its positional parameters name attributes.

    ``probe`` asks one settled question about ``inputs``; ``explain_with`` is how ``attribution`` was made, for metrics
    that explain again. ``name`` is the input whose map is graded; the others stay as they are. ``scale`` tells whether
    the map's positive values are evidence, or all magnitudes: what a reader of its heat map sees. ``contributes``:
    values are parts of the score, as opposed to sensitivities of it, which count per unit of the input. ``keys`` are
    the records' ids, which noise depends on (and on nothing else of the batch). ``mask`` ``(B, *S)`` is where the
    object is. ``rivals`` are maps of other methods, at any resolution.
    """

    probe: Probe
    inputs: Inputs
    attribution: Attribution
    explain_with: Explain
    name: str = "image"
    scale: Scale = "positive"
    contributes: bool = True
    task: Task | None = None
    keys: Sequence[str] = ()
    mask_given: Bool[Tensor, "b *s"] | None = None
    rivals: Mapping[str, Float[Tensor, "b *t"]] = field(default_factory=dict)
    chunk_size: int | None = None

    @property
    def adapter(self) -> Adapter:
        """The traced model."""
        return self.probe.adapter

    @property
    def at_once(self) -> int:
        """How many changed copies go through the model together at most."""
        return copies_at_once(self.adapter) if self.chunk_size is None else self.chunk_size

    @property
    def target(self) -> Target:
        """The settled question."""
        (target,) = self.probe.targets
        return target

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """The class asked about, for each record; raises ``ConfigError`` SW-F225 where the question is about none."""
        asked = self.target.index if isinstance(self.target, Logit | BinaryLogit) else None
        if not isinstance(asked, tuple) or None in asked:
            raise ConfigError(
                "SW-F225",
                f"this metric compares classes, and {type(self.target).__name__} asks about no single one",
                fix="ask about one class, or choose another metric",
            )
        return tuple(one for one in asked if one is not None)

    @cached_property
    def class_count(self) -> int:
        """How many classes there are to ask about."""
        return max(self.adapter.classes, 2) if isinstance(self.target, BinaryLogit) else self.adapter.classes

    @cached_property
    def image(self) -> Float[Tensor, "b c *s"]:
        """The input, where the model is."""
        return self.inputs[self.name].detach().to(self.adapter.device)

    @cached_property
    def size(self) -> tuple[int, ...]:
        """The input's ``S``."""
        return tuple(self.image.shape[2:])

    @cached_property
    def maps(self) -> Float[Tensor, "b *s"]:
        """The raw, signed maps at the method's own resolution."""
        return self.attribution.maps[self.name].detach().to(self.image.device)

    @cached_property
    def evidence(self) -> Float[Tensor, "b *s"]:
        """How much each place of the input speaks, the most first: the map at the input's size.

        Of a method whose sign says nothing of the class, the magnitude. Never clipped or normalised.
        """
        return self.evidence_of(self.maps)

    def evidence_of(self, maps: Float[Tensor, "n *t"]) -> Float[Tensor, "n *s"]:
        """Other maps as :attr:`evidence` is made."""
        return ops.resize(self._read(maps)[:, None].to(self.image), self.size)[:, 0]

    @cached_property
    def native_evidence(self) -> Float[Tensor, "b *s"]:
        """:attr:`evidence` at the method's own resolution, where no cell is spread over its neighbours."""
        return self._read(self.maps)

    def _read(self, maps: Float[Tensor, "n *t"]) -> Float[Tensor, "n *t"]:
        return maps.abs() if self.scale == "magnitude" else maps

    @cached_property
    def per_channel(self) -> Float[Tensor, "b c *s"]:
        """The signed attribution of every value of the input; of a method that has maps alone, one channel for all."""
        known = self.attribution.per_channel.get(self.name)
        if known is not None and known.shape == self.image.shape:
            return known.detach().to(self.image)
        return ops.resize(self.maps[:, None].to(self.image), self.size)

    def parts(self, baseline: Float[Tensor, "b c *s"]) -> Float64[Tensor, "b *s"]:
        """How much of the score each place claims, where ``baseline`` would take its place; in float64.

        Of a method whose values are parts of the score, the signed map at the input's size, its total kept but for
        what resizing does; of
        one whose values count per unit of the input, those times what would be taken away, over all channels.
        """
        if self.contributes:
            cells = self.maps[0].numel() / max(self.image[0, 0].numel(), 1)
            return ops.resize(self.maps[:, None].double(), self.size)[:, 0] * cells
        return (self.per_channel.double() * (self.image.double() - baseline.double())).sum(dim=1)

    @cached_property
    def unit(self) -> Float[Tensor, "b c"]:
        """What the step from black to white is in the input's values, for each channel.

        Where nobody knows how the values came from pixels, it is the standard deviation of each record's values.
        """
        known, channels = self.adapter.normalisation_of(self.name), self.image.shape[1]
        if known is not None and len(known.std) == channels:
            return (1 / self.image.new_tensor(known.std)).expand(len(self.image), channels)
        values = self.image.flatten(1)
        constant = values.amax(dim=1) == values.amin(dim=1)  # the deviation of which is rounding
        return values.std(dim=1, correction=0).masked_fill(constant, 0).unsqueeze(1).expand(-1, channels)

    def baseline(self, kind: str | Tensor | NDArray[Any]) -> Float[Tensor, "b c *s"]:
        """What stands for "nothing there": a name of :data:`seewhy.baselines.NAMES`, or values that fit the input.

        Raises ``ConfigError`` SW-F41 for an unknown name, SW-F40 for a colour where nobody knows how the input's
        values came from pixels, SW-F227 for values that do not fit, are not finite, or are none.
        """
        if isinstance(kind, str):
            check_name(kind)
            return named(kind, self.image, self.adapter.normalisation_of(self.name), key=(0, self.name))
        if isinstance(kind, np.ndarray):
            kind = torch.from_numpy(kind)
        if not isinstance(kind, Tensor) or not bool(kind.isfinite().all()):
            told = "values that are not finite" if isinstance(kind, Tensor) else f"{type(kind).__name__} {kind!r}"
            raise ConfigError(
                "SW-F227",
                f"a baseline is a name or the values of an input, got {told}",
                fix=f"use one of {', '.join(NAMES)}, or a tensor in the model's own values",
            )
        if kind.ndim > self.image.ndim or any(
            own not in (1, wanted)
            for own, wanted in zip(reversed(kind.shape), reversed(self.image.shape), strict=False)
        ):
            raise ConfigError(
                "SW-F227",
                f"a baseline {tuple(kind.shape)} does not fit the input {tuple(self.image.shape)}",
                fix="give one for all records (1, C, *S), or one for each",
            )
        return kind.to(self.image).expand_as(self.image)

    @cached_property
    def mask(self) -> Bool[Tensor, "b *s"]:
        """Where the object is; raises ``ConfigError`` SW-F226 where nobody said."""
        if self.mask_given is None:
            raise ConfigError(
                "SW-F226",
                "this metric needs to know where the object is, and these records have no mask or box",
                fix="give mask= or bbox=, or choose another metric",
            )
        return self.mask_given.to(self.image.device)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """What the noise of each record depends on."""
        return tuple(self.keys) or ("",) * len(self.image)

    @cached_property
    def score(self) -> Asking:
        """The question itself: the score of changed copies ``(n,)``."""
        return self._asking(self.probe)

    @cached_property
    def probability(self) -> Asking:
        """The probability of the class asked about; raises ``TargetError`` SW-T60 for a question about none."""
        target = ClassProbability.of(self.target, self.adapter.trace.outputs, self.task, self.adapter.activation)
        return self._asking(self.probe.asking([target]))

    @cached_property
    def outputs(self) -> Asking:
        """All outputs of the model for changed copies ``(n, K)``."""

        def ask(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float[Tensor, "n k"]:
            return self.probe.asking([]).capture(self._with(images, rows), Wants()).outputs

        return Asking(ask, ask(self.image, range(len(self.image))), self.at_once)

    @cached_property
    def representation(self) -> Asking:
        """The model's default embedding of changed copies ``(n, D)``.

        Raises ``ConfigError`` SW-F256 where its layer sees parts of records, such as frames, one by one.
        """
        wants = Wants(embedding=self.adapter.embedding_layer.layer)

        def ask(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float[Tensor, "n d"]:
            found = self.probe.asking([]).capture(self._with(images, rows), wants).embedding
            if found is None or len(found) != len(images):
                raise ConfigError(
                    "SW-F256",
                    f"the layer {wants.embedding} does not give one embedding for each record: it sees parts of them",
                    fix="choose another metric, such as relative_output_stability",
                )
            return found

        return Asking(ask, ask(self.image, range(len(self.image))), self.at_once)

    @cached_property
    def explain(self) -> Asking:
        """The same explanation of changed copies: raw maps ``(n, *s)`` for the clean input's question."""

        def ask(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float[Tensor, "n *s"]:
            return self._explained(self.probe.take(rows), self._with(images, rows))

        return Asking(ask, self.maps, self.at_once)

    def explain_class(self, classes: Sequence[int]) -> Float[Tensor, "b *s"]:
        """The same explanation of another class for each record."""
        target = self.target
        if isinstance(target, BinaryLogit):
            return self._explained(self.probe.asking([BinaryLogit(tuple(classes), target.boundary)]), self.inputs)
        return self._explained(self.probe.asking([Logit(tuple(classes))]), self.inputs)

    def explain_on(self, model: nn.Module) -> Float[Tensor, "b *s"]:
        """The same explanation of another model with the same layers, such as a copy with other weights."""
        return self._explained(self.probe.on(self.adapter.on(model)), self.inputs)

    def explain_shifted(self, by: Float[Tensor, "b c *s"]) -> Float[Tensor, "b *s"]:
        """The same explanation of each record plus its ``by``, from a model that first takes that off again."""
        found = []
        for row in range(len(self.image)):
            more = by[row : row + 1]
            probe = self.probe.take([row]).on(self.adapter.shifted({self.name: more}))
            found.append(self._explained(probe, self._with(self.image[row : row + 1] + more, [row])))
        return torch.cat(found) if found else self.maps

    def _explained(self, probe: Probe, inputs: Inputs) -> Float[Tensor, "n *s"]:
        return self.explain_with(probe, inputs).maps[self.name][0].detach().to(self.image.device)

    def _asking(self, probe: Probe) -> Asking:
        def ask(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float[Tensor, " n"]:
            return probe.take(rows).score(self._with(images, rows))[0]

        clean = probe.score(self.inputs)[0]
        return Asking(ask, clean, self.at_once)

    def _with(self, images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Inputs:
        """Changed copies of the graded input, beside the other inputs of the same records."""
        chosen = list(rows)
        others = {name: tensor[chosen] for name, tensor in self.inputs.items() if name != self.name}
        return {name: images if name == self.name else others[name] for name in self.inputs}
