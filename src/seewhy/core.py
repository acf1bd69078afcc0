"""The values that flow between rooms: inputs, the question, what a pass left behind, and the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from seewhy.values import Json, TargetError

Inputs: TypeAlias = dict[str, Tensor]
"""Batch-first tensors by name, ``{"image": (B, C, H, W)}``. A single image is a dict of one."""


@runtime_checkable
class Target(Protocol):
    """A question to a model: one number per record.

    ``bind`` settles whatever depends on the outputs ("the predicted class") once, on the clean input; the bound
    target then asks the same of every perturbed input. Outputs are ``(B, C)`` logits, or ``(B, C, *S)`` where a model
    answers for every place or for several candidates.
    """

    def bind(self, outputs: Float[Tensor, "b c *s"]) -> Target:
        """The same question with every choice made."""
        ...

    def take(self, rows: Sequence[int]) -> Target:
        """The bound question for these records of the batch, in this order; a record may occur several times."""
        ...

    def __call__(self, outputs: Float[Tensor, "b c *s"]) -> Float[Tensor, " b"]:
        """The score of each record."""
        ...


@dataclass(frozen=True)
class Wants:
    """What one pass over a batch should leave behind.

    ``heads_of`` numbers the attention calls, in order of execution from 0, whose heads are kept apart; the other calls
    are averaged over their heads as they are seen, which is what bounds memory. ``attention_gradients`` keeps the heads
    of every call, with the score's gradient at each weight. ``input_gradients`` are those at the inputs.
    """

    activations: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    attention: bool = False
    heads_of: tuple[int, ...] = ()
    attention_gradients: bool = False
    input_gradients: bool = False
    embedding: str | None = None

    def __post_init__(self) -> None:
        if any(call < 0 for call in self.heads_of):
            raise TargetError(
                "SW-T07",
                f"attention calls are numbered from 0 in order of execution, got {self.heads_of}",
                fix="count from the front: the last of 12 calls is 11",
            )

    def __or__(self, other: Wants) -> Wants:
        """The union: one pass that serves both."""
        if self.embedding and other.embedding and self.embedding != other.embedding:
            raise TargetError(
                "SW-T05",
                f"one pass reads one embedding layer, got {self.embedding!r} and {other.embedding!r}",
                fix="ask for them in two runs",
            )
        return Wants(
            activations=tuple(dict.fromkeys(self.activations + other.activations)),
            gradients=tuple(dict.fromkeys(self.gradients + other.gradients)),
            attention=self.attention or other.attention,
            heads_of=tuple(dict.fromkeys(self.heads_of + other.heads_of)),
            attention_gradients=self.attention_gradients or other.attention_gradients,
            input_gradients=self.input_gradients or other.input_gradients,
            embedding=self.embedding or other.embedding,
        )


@dataclass(frozen=True)
class Capture:
    """What one forward (and one partial backward per target) left behind; detached, layers in grid form.

    ``outputs`` ``(B, C, *S)``; ``scores`` ``(K, B)``, one row per target; ``activations[layer]`` ``(B, C, *S)``;
    ``gradients[layer]`` ``(K, B, C, *S)``, none without a target; ``attention`` one ``(B, heads, N, N)`` per call,
    prefix tokens included (one head where heads were averaged); ``attention_gradients`` one ``(K, B, heads, N, N)`` per
    call; ``input_gradients[name]`` ``(K, B, ...)``, of each input's shape; ``embedding`` ``(B, D)``. ``targets`` are
    the bound questions.
    """

    outputs: Float[Tensor, "b c *s"]
    scores: Float[Tensor, "k b"]
    targets: tuple[Target, ...] = ()
    activations: Mapping[str, Float[Tensor, "b _ ..."]] = field(default_factory=dict)
    gradients: Mapping[str, Float[Tensor, "k b _ ..."]] = field(default_factory=dict)
    attention: tuple[Float[Tensor, "b _ _ _"], ...] = ()
    attention_gradients: tuple[Float[Tensor, "k b _ _ _"], ...] = ()
    input_gradients: Mapping[str, Float[Tensor, "k b ..."]] = field(default_factory=dict)
    embedding: Float[Tensor, "b d"] | None = None


@dataclass(frozen=True)
class Attribution:
    """The answer to one question: raw signed maps at native resolution; never resized, never normalised.

    ``maps[input]`` ``(B, *S)``; ``score`` ``(B,)``; input-space methods also keep ``per_channel[input]``
    ``(B, C, *S)``. ``measured[name]`` ``(B,)`` are numbers a method gives of its own accuracy (a completeness
    residual). ``facts`` say method, layer and parameters.
    """

    maps: Mapping[str, Float[Tensor, b * s]]
    score: Float[Tensor, " b"]
    signed: bool = True
    per_channel: Mapping[str, Float[Tensor, "b c *s"]] = field(default_factory=dict)
    measured: Mapping[str, Float[Tensor, " b"]] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)

    @property
    def map(self) -> Float[Tensor, b * s]:
        """The map of the only input; raises ``TargetError`` SW-T09 where there are several."""
        if len(self.maps) != 1:
            raise TargetError(
                "SW-T09",
                f"this attribution has {len(self.maps)} maps, one for each of {', '.join(self.maps)}",
                fix=f"name the input: attribution.maps[{next(iter(self.maps), 'image')!r}]",
            )
        return next(iter(self.maps.values()))


@dataclass(frozen=True)
class Explanation:
    """What a method says of ``K`` questions about ``B`` records at once: :class:`Attribution` with a first axis ``K``.

    ``maps[input]`` ``(K, B, *S)``, ``scores`` ``(K, B)``, ``per_channel[input]`` ``(K, B, C, *S)``, ``measured[name]``
    ``(K, B)``. Raises ``TargetError`` SW-T06 when there is not one map for each score.
    """

    maps: Mapping[str, Float[Tensor, "k b *s"]]
    scores: Float[Tensor, "k b"]
    signed: bool = True
    per_channel: Mapping[str, Float[Tensor, "k b c *s"]] = field(default_factory=dict)
    measured: Mapping[str, Float[Tensor, "k b"]] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, tensor in (*self.maps.items(), *self.per_channel.items(), *self.measured.items()):
            if tensor.shape[:2] != self.scores.shape:
                raise TargetError(
                    "SW-T06",
                    f"an explanation needs one map per score, got {name} {tuple(tensor.shape)} "
                    f"and scores {tuple(self.scores.shape)}",
                    fix="stack maps as (targets, records, *space) and scores as (targets, records)",
                )

    def target(self, index: int = 0) -> Attribution:
        """The answer to one of the questions."""
        return Attribution(
            {name: maps[index] for name, maps in self.maps.items()},
            self.scores[index],
            self.signed,
            {name: maps[index] for name, maps in self.per_channel.items()},
            {name: values[index] for name, values in self.measured.items()},
            self.facts,
        )
