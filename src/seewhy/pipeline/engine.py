"""One batch through the model: every question answered, and a record that fails costs only itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Inputs
from seewhy.data.batching import reason_of
from seewhy.data.records import Batch, Record
from seewhy.models.adapter import Adapter
from seewhy.models.heads import prediction
from seewhy.pipeline.questions import Question, answer_all, union_of_wants
from seewhy.values import Answer


@dataclass(frozen=True)
class Explained:
    """What the model said of one record, and the answers; or, when ``error`` is set, the stage that failed."""

    position: int
    record: Record | None = None
    probabilities: NDArray[np.float32] | None = None
    answers: Mapping[str, Answer] | None = None
    stage: str = ""
    error: str = ""

    @property
    def predicted(self) -> int | None:
        """The class with the highest probability."""
        return None if self.probabilities is None else int(self.probabilities.argmax())


class Engine:
    """Answers a fixed set of questions, one batch at a time."""

    def __init__(self, adapter: Adapter, questions: Sequence[Question], *, tokens: int | None) -> None:
        targets = [target for question in questions for target in question.targets()]
        self._adapter = adapter
        self._questions = tuple(questions)
        self._wants = union_of_wants(questions)
        self._probe = Probe(adapter, targets, tokens=tokens)

    def explain(self, batch: Batch) -> Iterator[Explained]:
        """One result per record of the batch, reading failures included."""
        for position, reason in batch.failures:
            yield Explained(position, stage="read", error=reason)
        if not batch.records:
            return
        try:
            yield from self._ask(batch.positions, batch.records, batch.inputs)
        except Exception as error:  # noqa: BLE001  the record boundary: the batch is asked again, one by one
            yield from self._one_by_one(batch, error)

    def _one_by_one(self, batch: Batch, error: Exception) -> Iterator[Explained]:
        if len(batch.records) == 1:
            yield Explained(batch.positions[0], batch.records[0], stage="model", error=reason_of(error))
            return
        for row, (position, record) in enumerate(zip(batch.positions, batch.records, strict=True)):
            single = {name: tensor[row : row + 1] for name, tensor in batch.inputs.items()}
            yield from self.explain(Batch((position,), (record,), single))

    def _ask(self, positions: Sequence[int], records: Sequence[Record], inputs: Inputs) -> list[Explained]:
        capture = self._probe.capture(inputs, self._wants)
        finite = capture.outputs.isfinite().all(dim=1).tolist()
        probabilities = self._probabilities(capture.outputs)
        results = []
        for row, answers in enumerate(answer_all(self._questions, capture)):
            found = None if probabilities is None else probabilities[row]
            fault = _not_finite(answers) if finite[row] else "the model's outputs are not finite for this record"
            told = Explained(positions[row], records[row], found, answers)
            results.append(Explained(positions[row], records[row], stage="model", error=fault) if fault else told)
        return results

    def _probabilities(self, outputs: Float[Tensor, "b c"]) -> NDArray[np.float32] | None:
        if self._adapter.classes < 2:
            return None
        said = prediction("multiclass", outputs, activation=self._adapter.activation).probabilities
        return None if said is None else said.float().cpu().numpy()


def _not_finite(answers: Mapping[str, Answer]) -> str:
    """What is wrong with the numbers of a record, which must not be drawn or stored as if they said something."""
    broken = [key for key, answer in answers.items() if not np.isfinite(answer.values).all()]
    return f"the answer {broken[0]} is not finite for this record" if broken else ""
