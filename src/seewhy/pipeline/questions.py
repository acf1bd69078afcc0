"""The questions a run puts to each record: what to capture for it, and how the capture answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from seewhy.core import Capture, Inputs, Target, Wants
from seewhy.data.records import Record
from seewhy.models.adapter import Adapter
from seewhy.pipeline.host_copies import HostCopies
from seewhy.values import Answer, Json


@dataclass(frozen=True)
class Seen:
    """A batch that went through the model: what was captured, and what it takes to ask the model again.

    ``batch_size`` is the most records that go through the model together. ``copies`` bring what is asked for to the
    host.
    """

    capture: Capture
    adapter: Adapter
    inputs: Inputs
    records: Sequence[Record]
    batch_size: int
    copies: HostCopies


@dataclass(frozen=True)
class Qualified(Answer):
    """An answer and what is known beside it: why it is NaN where it is ``undefined``, and ``facts`` for its row."""

    undefined: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


UNDEFINED = "undefined "
"""How the facts of a row begin that say why an answer has no value."""

Answers = Sequence[Mapping[str, Answer]]
Told = Callable[[], Answers]
"""Answers that are on their way from the device: being asked for, they wait until they are there."""


def facts_of(answers: Mapping[str, Answer]) -> dict[str, Json]:
    """What is to be known beside a record's answers."""
    found: dict[str, Json] = {}
    for key, answer in answers.items():
        if isinstance(answer, Qualified):
            found |= answer.facts
            if answer.undefined:
                found[f"{UNDEFINED}{key}"] = answer.undefined
    return found


class Question(Protocol):
    """One kind of answer, with all that decides its values."""

    @property
    def kind(self) -> str: ...

    def specs(self) -> dict[str, Json]:
        """What decides the values of each answer to be committed for this question, by the answer's key."""
        ...

    def promised(self, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        """The answers to be committed: all of its own but those that only its pictures need, since a row holds them."""
        ...

    def missing(self, answered: Mapping[str, frozenset[int]]) -> Question | None:
        """What of this question a record's committed answers leave open; None when nothing."""
        ...

    def wants(self) -> Wants: ...

    def targets(self) -> Sequence[Target]: ...

    def answer(self, seen: Seen, first_target: int) -> Told:
        """One ``{key: Answer}`` per record; this question's targets start at ``first_target`` of the capture.

        What is told later must not hold what was ``seen``: a batch's tensors go before the next one's come.
        """
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

    def promised(self, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        return {self.key: answers[self.key]}

    def missing(self, answered: Mapping[str, frozenset[int]]) -> EmbeddingQuestion | None:
        return None if self.key in answered else self

    def wants(self) -> Wants:
        return Wants(embedding=self.layer)

    def targets(self) -> Sequence[Target]:
        return ()

    def answer(self, seen: Seen, first_target: int) -> Told:
        del first_target
        if seen.capture.embedding is None:
            raise KeyError(self.key)
        vectors = seen.copies.take(seen.capture.embedding)
        return lambda: [{self.key: Answer(vector)} for vector in vectors()]


def union_of_wants(questions: Sequence[Question]) -> Wants:
    """One pass that serves all questions."""
    wants = Wants()
    for question in questions:
        wants = wants | question.wants()
    return wants


def answer_all(questions: Sequence[Question], seen: Seen) -> Callable[[], list[dict[str, Answer]]]:
    """Every question asked; being called, every answer, merged per record.

    Targets lie in the order of the questions.
    """
    asked: list[Told] = []
    first_target = 0
    for question in questions:
        asked.append(question.answer(seen, first_target))
        first_target += len(question.targets())
    records = seen.capture.outputs.shape[0]
    return lambda: _merged([told() for told in asked], records)


def _merged(answers: Sequence[Answers], records: int) -> list[dict[str, Answer]]:
    merged: list[dict[str, Answer]] = [{} for _ in range(records)]
    for told in answers:
        for record, own in zip(merged, told, strict=True):
            record.update(own)
    return merged
