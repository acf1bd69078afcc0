"""The values that flow between rooms: inputs, the question, what a pass left behind, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
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
    target then asks the same of every perturbed input.
    """

    def bind(self, outputs: Float[Tensor, "b c"]) -> Target:
        """The same question with every choice made."""
        ...

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        """The score of each record."""
        ...


@dataclass(frozen=True)
class Wants:
    """What one pass over a batch should leave behind.

    ``heads_of`` numbers the attention calls, in order of execution from 0, whose heads are kept apart; the other calls
    are averaged over their heads as they are seen, which is what bounds memory.
    """

    activations: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    attention: bool = False
    heads_of: tuple[int, ...] = ()
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
            embedding=self.embedding or other.embedding,
        )


@dataclass(frozen=True)
class Capture:
    """What one forward (and one partial backward per target) left behind; detached, layers in grid form.

    ``outputs`` ``(B, C)``; ``scores`` ``(K, B)``, one row per target; ``activations[layer]`` ``(B, C, *S)``;
    ``gradients[layer]`` ``(K, B, C, *S)``, none without a target; ``attention`` one ``(B, heads, N, N)`` per call,
    prefix tokens included (one head where heads were averaged); ``embedding`` ``(B, D)``. ``targets`` are the bound
    questions.
    """

    outputs: Float[Tensor, "b c"]
    scores: Float[Tensor, "k b"]
    targets: tuple[Target, ...] = ()
    activations: Mapping[str, Float[Tensor, "b _ ..."]] = field(default_factory=dict)
    gradients: Mapping[str, Float[Tensor, "k b _ ..."]] = field(default_factory=dict)
    attention: tuple[Float[Tensor, "b _ n n"], ...] = ()
    embedding: Float[Tensor, "b d"] | None = None


@dataclass(frozen=True)
class Attribution:
    """The answer: raw signed maps at native resolution, one per target and record; never resized, never normalised.

    ``maps`` ``(K, B, *S)`` and ``scores`` ``(K, B)``; ``facts`` say method, layer and parameters.
    """

    maps: Float[Tensor, "k b *s"]
    scores: Float[Tensor, "k b"]
    signed: bool
    facts: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.maps.shape[:2] != self.scores.shape:
            raise TargetError(
                "SW-T06",
                f"an attribution needs one map per score, got maps {tuple(self.maps.shape)} "
                f"and scores {tuple(self.scores.shape)}",
                fix="stack maps as (targets, records, *space) and scores as (targets, records)",
            )
