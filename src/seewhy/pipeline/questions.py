"""The questions a run puts to each record: what to capture for it, and how the capture answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seewhy.capture.tokens import GlobalAttention
from seewhy.core import Capture, Target, Wants
from seewhy.methods.attention import attention_heads, rollout
from seewhy.methods.cam import gradcam
from seewhy.targets import EmbeddingNorm, Logit
from seewhy.values import Answer, Json

Answers = list[dict[str, Answer]]


class Question(Protocol):
    """One kind of answer, with all that decides its values. ``key`` names it in shards and in the manifest."""

    @property
    def key(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def specs(self) -> dict[str, Json]:
        """What decides the values of each answer to be committed for this question, by the answer's key."""
        ...

    def missing(self, answered: Mapping[str, frozenset[int]]) -> Question | None:
        """What of this question a record's committed answers leave open; None when nothing."""
        ...

    def wants(self) -> Wants: ...

    def targets(self) -> Sequence[Target]: ...

    def answer(self, capture: Capture, first_target: int) -> Answers:
        """One ``{key: Answer}`` per record; this question's targets start at ``first_target`` of the capture."""
        ...


@dataclass(frozen=True)
class EmbeddingQuestion:
    """The feature vector of a layer."""

    layer: str
    kind = "embeddings"

    @property
    def key(self) -> str:
        return f"embeddings@{self.layer}"

    def specs(self) -> dict[str, Json]:
        return {self.key: {"kind": self.kind, "layer": self.layer}}

    def missing(self, answered: Mapping[str, frozenset[int]]) -> EmbeddingQuestion | None:
        return None if self.key in answered else self

    def wants(self) -> Wants:
        return Wants(embedding=self.layer)

    def targets(self) -> Sequence[Target]:
        return ()

    def answer(self, capture: Capture, first_target: int) -> Answers:
        del first_target
        if capture.embedding is None:
            raise KeyError(self.key)
        return [{self.key: Answer(vector)} for vector in _to_numpy(capture.embedding)]


@dataclass(frozen=True)
class GradcamQuestion:
    """Grad-CAM at a layer for given ``classes``, for the ``best`` few classes of each record, or for the norm of the
    outputs of a model without a head (neither given)."""

    layer: str
    classes: tuple[int, ...] = ()
    best: int = 0
    kind = "gradcam"

    @property
    def key(self) -> str:
        which = f"best{self.best}" if self.best else ""
        return f"gradcam{which}@{self.layer}"

    def specs(self) -> dict[str, Json]:
        question = "given classes" if self.classes else f"{self.best} best classes" if self.best else "norm of outputs"
        return {self.key: {"kind": self.kind, "method": "gradcam", "layer": self.layer, "question": question}}

    def missing(self, answered: Mapping[str, frozenset[int]]) -> GradcamQuestion | None:
        if not self.classes:
            return None if self.key in answered else self
        open_classes = tuple(index for index in self.classes if index not in answered.get(self.key, frozenset()))
        return GradcamQuestion(self.layer, open_classes) if open_classes else None

    def wants(self) -> Wants:
        return Wants(activations=(self.layer,), gradients=(self.layer,))

    def targets(self) -> Sequence[Target]:
        if self.classes:
            return [Logit(index) for index in self.classes]
        return [Logit(rank=rank) for rank in range(self.best)] if self.best else [EmbeddingNorm()]

    def answer(self, capture: Capture, first_target: int) -> Answers:
        asked = range(first_target, first_target + len(self.targets()))
        activations, gradients = capture.activations[self.layer], capture.gradients[self.layer]
        maps = [_to_numpy(gradcam(activations, gradients[index])) for index in asked]
        bound = [capture.targets[index] for index in asked]
        return [
            {self.key: Answer(np.stack([per_target[record] for per_target in maps]), _classes_of(bound, record))}
            for record in range(activations.shape[0])
        ]


@dataclass(frozen=True)
class AttentionQuestion:
    """The heads of chosen attention layers, and the rollout over all of them.

    ``rollout_known``: a record's rollout is committed already; the sheet shows it again, no row holds it twice.
    """

    attention: GlobalAttention
    layers: tuple[int, ...]
    rollout_known: bool = False
    kind = "attention"

    @property
    def key(self) -> str:
        return f"attention@{','.join(map(str, self.layers))}"

    def specs(self) -> dict[str, Json]:
        source = {"kind": self.kind, "of": self.attention.calls, "query": self.attention.query}
        heads = {self.key: source | {"method": "attention_heads", "layers": list(self.layers)}}
        return heads if self.rollout_known else {**heads, ROLLOUT: source | {"method": "rollout"}}

    def missing(self, answered: Mapping[str, frozenset[int]]) -> AttentionQuestion | None:
        return None if self.key in answered else replace(self, rollout_known=ROLLOUT in answered)

    def wants(self) -> Wants:
        return Wants(attention=True, heads_of=self.layers)

    def targets(self) -> Sequence[Target]:
        return ()

    def answer(self, capture: Capture, first_target: int) -> Answers:
        del first_target
        grid, query = self.attention.grid, self.attention.query
        flowed = rollout(capture.attention, query=query, prefix=grid.prefix)
        flow = _to_numpy(grid.tokens_to_grid(flowed[:, grid.prefix :]))
        per_layer = [
            _to_numpy(
                grid.tokens_to_grid(
                    attention_heads(capture.attention[index], query=query, prefix=grid.prefix)[..., grid.prefix :]
                )
            )
            for index in self.layers
        ]
        return [
            {self.key: Answer(np.stack([maps[record] for maps in per_layer])), ROLLOUT: Answer(flow[record])}
            for record in range(len(flow))
        ]


ROLLOUT = "rollout"


def union_of_wants(questions: Sequence[Question]) -> Wants:
    """One pass that serves all questions."""
    wants = Wants()
    for question in questions:
        wants = wants | question.wants()
    return wants


def answer_all(questions: Sequence[Question], capture: Capture) -> Answers:
    """Every question's answer, merged per record; targets lie in the order of the questions."""
    merged: Answers = [{} for _ in range(capture.outputs.shape[0])]
    first_target = 0
    for question in questions:
        for record, answers in zip(merged, question.answer(capture, first_target), strict=True):
            record.update(answers)
        first_target += len(question.targets())
    return merged


def _classes_of(bound: Sequence[Target], record: int) -> tuple[int, ...]:
    settled = (target.index for target in bound if isinstance(target, Logit))
    classes = (index[record] for index in settled if isinstance(index, tuple))
    return tuple(index for index in classes if index is not None)


def _to_numpy(tensor: object) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.float().cpu().numpy()  # type: ignore[attr-defined]
    return array
