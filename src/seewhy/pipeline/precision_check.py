"""What a lower precision costs: the maps of a run's first records beside those in 32 bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import torch
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Capture
from seewhy.data.batching import load_batches, reason_of
from seewhy.data.records import Batch
from seewhy.metrics.similarity import spearman
from seewhy.pipeline.attention_question import AttentionQuestion
from seewhy.pipeline.gradcam_question import GradcamQuestion
from seewhy.pipeline.host_copies import HostCopies
from seewhy.pipeline.job import Job
from seewhy.pipeline.questions import Question, Seen, answer_all, union_of_wants
from seewhy.values import Answer

COMPARED: Final = 8
"""So many of the first records are asked about twice."""
TOLD: Final = "precision"


@dataclass
class Comparison:
    """What two precisions say of the same records.

    ``correlations`` are Spearman's, of each pair of maps, by kind of map; ``constant`` pairs have none, since a map
    without differences has no order, and ``broken`` ones hold values that are not finite. ``same`` counts the records
    of which both predict the same class, ``predicted`` those of which a class is predicted at all. ``reason`` is why
    the last record that could not be asked about could not.
    """

    records: int = 0
    same: int = 0
    predicted: int = 0
    correlations: dict[str, list[float]] = field(default_factory=dict)
    constant: int = 0
    broken: int = 0
    reason: str = ""

    def add(self, kind: str, full: Tensor, half: Tensor) -> None:
        """Compare maps ``(K, *S)`` one by one."""
        for one, other in zip(full.flatten(1).double(), half.flatten(1).double(), strict=True):
            if not (one.isfinite().all() and other.isfinite().all()):
                self.broken += 1
            elif (one == one[0]).all() or (other == other[0]).all():
                self.constant += 1
            else:
                found = spearman(one.unsqueeze(0), other.unsqueeze(0))
                self.correlations.setdefault(kind, []).append(float(found[0]))

    def told(self, precision: str) -> str:
        """All of it in one line."""
        if not self.records:
            why = f": {self.reason}" if self.reason else ""
            none = f"none of the first {COMPARED} records could be asked about"
            return f"{precision}; not compared with 32 bits: {none}{why}"
        said = [f"{kind}: {_spread(found)}" for kind, found in self.correlations.items()]
        if self.constant:
            said.append(f"{self.constant} pairs of maps are constant, so their correlation is undefined")
        if self.broken:
            said.append(f"{self.broken} pairs of maps hold values that are not finite")
        if self.predicted:
            said.append(f"the predicted class is the same for {self.same} of {self.predicted}")
        what = "; ".join(said) or "no maps and no classes to compare"
        return f"{precision}; against 32 bits, on the first {self.records} records: {what}"


def precision_note(job: Job) -> dict[str, str]:
    """For the choices of a run in a lower precision, what that costs; nothing for one in 32 bits.

    The first selected records that can be read and asked about go through the model one by one, in both precisions; the
    classes asked about are those of the 32 bits. Grades are not compared: they ask hundreds of times.
    """
    if job.settings.precision == "32":
        return {}
    questions = [one for one in job.found.questions if isinstance(one, GradcamQuestion | AttentionQuestion)]
    found = Comparison()
    for batch in _first_records(job):
        if batch.failures:
            _, found.reason = batch.failures[-1]
        if batch.records:
            _compare(job, questions, batch, found)
    return {TOLD: found.told(job.settings.precision)}


def _first_records(job: Job) -> Iterator[Batch]:
    return load_batches(job.dataset, [[at] for at in job.selected[:COMPARED]], seed=job.settings.seed)


def _compare(job: Job, questions: Sequence[Question], batch: Batch, found: Comparison) -> None:
    """Add one record; one that cannot be asked about adds nothing but its reason."""
    wants, targets = union_of_wants(questions), [target for question in questions for target in question.targets()]
    asking = Probe(job.adapter.at("32"), targets, tokens=job.found.tokens)
    try:
        full = asking.capture(batch.inputs, wants)
        half = asking.asking(full.targets).on(job.adapter).capture(batch.inputs, wants)
        pairs = list(zip(*(_maps(job, questions, batch, one) for one in (full, half)), strict=True))
    except Exception as error:  # noqa: BLE001  the record boundary
        found.reason = reason_of(error)
        return
    found.records += 1
    for (kind, one), (_, other) in pairs:
        found.add(kind, one, other)
    if job.adapter.classes > 1:
        found.predicted += 1
        found.same += int(full.outputs.argmax(dim=1) == half.outputs.argmax(dim=1))


def _maps(job: Job, questions: Sequence[Question], batch: Batch, capture: Capture) -> Iterator[tuple[str, Tensor]]:
    """The maps of one record ``(K, *S)``, with what they are."""
    copies = HostCopies(job.adapter.device)
    asked = answer_all(questions, Seen(capture, job.adapter, batch.inputs, batch.records, 1, copies))
    copies.sent()
    (answers,) = asked()
    for question in questions:
        yield from _maps_of(question, answers)


def _maps_of(question: Question, answers: Mapping[str, Answer]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(question, GradcamQuestion):
        for layer in question.inputs_of:
            yield "Grad-CAM", torch.from_numpy(answers[question.key_of(layer)].values)
    elif isinstance(question, AttentionQuestion):
        yield "rollout", torch.from_numpy(answers[question.rollout_key].values).unsqueeze(0)


def _spread(found: Sequence[float]) -> str:
    return f"rank correlation {median(found):.3f} (median of {len(found)} maps), {min(found):.3f} (lowest)"
