"""One batch through the model: every question answered, and a record that fails costs only itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Inputs
from seewhy.data.batching import reason_of
from seewhy.data.records import Batch, Record
from seewhy.memory import is_out_of_memory, release
from seewhy.models.adapter import Adapter
from seewhy.models.heads import prediction
from seewhy.pipeline.grading_question import GradingQuestion
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
        for position, reason in batch.failures:
            yield Explained(position, stage="read", error=reason)
        waiting = deque(batch.parts(self.batch_size))
        while waiting:
            part = waiting.popleft()
            if len(part.records) > self.batch_size:
                waiting.extendleft(reversed(part.parts(self.batch_size)))
                continue
            found = self._attempt(part)
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

    def _attempt(self, batch: Batch) -> list[Explained] | _Fault:
        """The results; or what went wrong, in words: the error itself would keep alive every tensor of the attempt."""
        try:
            return self._ask(batch.positions, batch.records, batch.inputs)
        except Exception as error:  # noqa: BLE001  the record boundary: the batch is asked again, in parts
            return _Fault(reason_of(error), is_out_of_memory(error))

    def _ask(self, positions: Sequence[int], records: Sequence[Record], inputs: Inputs) -> list[Explained]:
        capture = self._probe.capture(inputs, self._wants)
        finite = capture.outputs.isfinite().all(dim=1).tolist()
        probabilities = self._probabilities(capture.outputs)
        results = []
        seen = Seen(capture, self._adapter, inputs, records, self.batch_size)
        for row, answers in enumerate(answer_all(self._questions, seen)):
            found = None if probabilities is None else probabilities[row]
            fault = _not_finite(answers) if finite[row] else "the model's outputs are not finite for this record"
            told = Explained(positions[row], records[row], found, answers, facts=facts_of(answers))
            results.append(Explained(positions[row], records[row], stage="model", error=fault) if fault else told)
        return results

    def _probabilities(self, outputs: Float[Tensor, "b c"]) -> NDArray[np.float32] | None:
        if self._adapter.classes < 2:
            return None
        said = prediction("multiclass", outputs, activation=self._adapter.activation).probabilities
        return None if said is None else said.float().cpu().numpy()


def _not_finite(answers: Mapping[str, Answer]) -> str:
    """What is wrong with the numbers of a record, which must not be drawn or stored as if they said something.

    An answer that says why it has no value is not wrong.
    """
    known = {key for key, answer in answers.items() if isinstance(answer, Qualified) and answer.undefined}
    broken = [key for key, answer in answers.items() if key not in known and not np.isfinite(answer.values).all()]
    return f"the answer {broken[0]} is not finite for this record" if broken else ""
