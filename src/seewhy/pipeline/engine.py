"""One batch through the model: every question answered, and a record that fails costs only itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.data.batching import reason_of
from seewhy.data.records import Batch, Record
from seewhy.memory import is_out_of_memory, release
from seewhy.models.adapter import Adapter
from seewhy.models.heads import prediction
from seewhy.pipeline.grading_question import GradingQuestion
from seewhy.pipeline.host_copies import Coming, HostCopies
from seewhy.pipeline.questions import Qualified, Question, Seen, answer_all, facts_of, union_of_wants
from seewhy.values import Answer, Json


@dataclass(frozen=True)
class Explained:
    """What the model said of one record, and the answers; or, when ``error`` is set, the stage that failed."""

    position: int
    record: Record | None = None
    probabilities: NDArray[np.float32] | None = None
    answers: Mapping[str, Answer] | None = None
    stage: str = ""
    error: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)

    @property
    def predicted(self) -> int | None:
        """The class with the highest probability."""
        return None if self.probabilities is None else int(self.probabilities.argmax())


@dataclass(frozen=True)
class _Fault:
    """Why an attempt failed, and whether for want of memory."""

    reason: str
    memory: bool


@dataclass(frozen=True)
class _Asked:
    """Records the model was asked about, and what it said of them, on its way to the host."""

    batch: Batch
    finite: Coming
    probabilities: Coming | None
    answers: Callable[[], list[dict[str, Answer]]]


@dataclass(frozen=True)
class _Begun:
    """A batch in parts that are to go through the model, and what came of asking about the first."""

    batch: Batch
    parts: deque[Batch]
    first: _Asked | _Fault | None


class Engine:
    """Answers a fixed set of questions, one batch at a time.

    A batch that does not fit into memory is cut: ``batch_size`` is halved until one fits, and stays so for this engine.
    Which parts are tried depends on ``batch_size`` and on the batches this engine has seen alone, so that an engine for
    each chunk computes the same whether or not the run was interrupted before it.
    """

    def __init__(
        self, adapter: Adapter, questions: Sequence[Question], *, tokens: Collection[int] | None, batch_size: int
    ) -> None:
        targets = [target for question in questions for target in question.targets()]
        self.batch_size = batch_size
        """The most records that go through the model together; smaller once memory did not suffice."""
        self._adapter = adapter
        self._questions = tuple(questions)
        self._wants = union_of_wants(questions)
        self._asks_again = any(isinstance(question, GradingQuestion) for question in questions)
        self._probe = Probe(adapter, targets, tokens=tokens)

    def explain(self, batch: Batch) -> Iterator[Explained]:
        """One result per record of the batch, reading failures included."""
        yield from self._told(self._begin(batch))

    def explain_all(self, batches: Iterable[Batch], *, ahead: bool | None = None) -> Iterator[list[Explained]]:
        """What :meth:`explain` gives for each batch, in order.

        With ``ahead`` (None: on CUDA, which computes while the host does something else) the model is asked about the
        next batch before the results of one are taken in, so that neither waits for the other.
        """
        ahead = self._adapter.device.type == "cuda" if ahead is None else ahead
        waiting: deque[_Begun] = deque()
        for batch in batches:
            waiting.append(self._begin(batch))
            if len(waiting) > ahead:
                yield list(self._told(waiting.popleft()))
        for begun in waiting:
            yield list(self._told(begun))

    def _begin(self, batch: Batch) -> _Begun:
        parts = deque(batch.parts(self.batch_size))
        return _Begun(batch, parts, self._attempt(parts[0]) if parts else None)

    def _told(self, begun: _Begun) -> Iterator[Explained]:
        for position, reason in begun.batch.failures:
            yield Explained(position, stage="read", error=reason)
        waiting, first = begun.parts, begun.first
        del begun
        while waiting:
            part = waiting.popleft()
            if first is None and len(part.records) > self.batch_size:
                waiting.extendleft(reversed(part.parts(self.batch_size)))
                continue
            asked, first = first or self._attempt(part), None
            found = self._results(asked) if isinstance(asked, _Asked) else asked
            del asked
            if not isinstance(found, _Fault):
                yield from found
            elif found.memory and self._smaller(len(part.records)):
                release()
                waiting.appendleft(part)
            elif len(part.records) > 1:
                waiting.extendleft(reversed(part.parts(1)))
            else:
                if found.memory:
                    release()
                stage = "memory" if found.memory else "model"
                yield Explained(part.positions[0], part.records[0], stage=stage, error=found.reason)

    def _smaller(self, records: int) -> bool:
        """Let fewer records go through the model together than did not fit; whether that can help.

        Grades send changed copies through it, ``batch_size`` of them, even for one record.
        """
        if records == 1 and not (self._asks_again and self.batch_size > 1):
            return False
        limit = records if records > 1 else self.batch_size
        while self.batch_size >= limit:
            self.batch_size //= 2
        return True

    def _attempt(self, batch: Batch) -> _Asked | _Fault:
        """What was asked; or what went wrong, in words: the error itself would keep alive every tensor it came from."""
        try:
            return self._ask(batch)
        except Exception as error:  # noqa: BLE001  the record boundary: the batch is asked again, in parts
            return _Fault(reason_of(error), is_out_of_memory(error))

    def _ask(self, batch: Batch) -> _Asked:
        """Everything the device is to do, and the copies of what comes of it; on CUDA nothing here waits for either."""
        copies = HostCopies(self._adapter.device)
        capture = self._probe.capture(batch.inputs, self._wants)
        finite = copies.take(capture.outputs.isfinite().all(dim=1))
        said = self._probabilities(capture.outputs)
        probabilities = None if said is None else copies.take(said)
        seen = Seen(capture, self._adapter, batch.inputs, batch.records, self.batch_size, copies)
        answers = answer_all(self._questions, seen)
        copies.sent()
        return _Asked(batch, finite, probabilities, answers)

    def _probabilities(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, "b c"] | None:
        if self._adapter.classes < 2:
            return None
        return prediction("multiclass", outputs, activation=self._adapter.activation).probabilities

    def _results(self, asked: _Asked) -> list[Explained] | _Fault:
        """One result per record, once they are there; what goes wrong on a device may show only now."""
        try:
            finite, answers = asked.finite(), asked.answers()
            said = None if asked.probabilities is None else asked.probabilities()
        except Exception as error:  # noqa: BLE001  the record boundary, as in _attempt
            return _Fault(reason_of(error), is_out_of_memory(error))
        rows = zip(asked.batch.positions, asked.batch.records, answers, strict=True)
        return [
            _explained(position, record, None if said is None else said[row], own, finite=bool(finite[row]))
            for row, (position, record, own) in enumerate(rows)
        ]


def _explained(
    position: int,
    record: Record,
    probabilities: NDArray[np.float32] | None,
    answers: Mapping[str, Answer],
    *,
    finite: bool,
) -> Explained:
    fault = _not_finite(answers) if finite else "the model's outputs are not finite for this record"
    if fault:
        return Explained(position, record, stage="model", error=fault)
    return Explained(position, record, probabilities, answers, facts=facts_of(answers))


def _not_finite(answers: Mapping[str, Answer]) -> str:
    """What is wrong with the numbers of a record, which must not be drawn or stored as if they said something.

    An answer that says why it has no value is not wrong.
    """
    known = {key for key, answer in answers.items() if isinstance(answer, Qualified) and answer.undefined}
    broken = [key for key, answer in answers.items() if key not in known and not np.isfinite(answer.values).all()]
    return f"the answer {broken[0]} is not finite for this record" if broken else ""
