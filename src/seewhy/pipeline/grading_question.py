"""The question how good a method's maps are: grades by several metrics, from asking the model again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from seewhy.capture.counting import CountingProbe
from seewhy.capture.probe import Probe
from seewhy.core import Attribution, Explanation, Inputs, Target, Wants
from seewhy.memory import is_out_of_memory
from seewhy.methods.scale import contributes_of, scale_of
from seewhy.metrics.case import Case, copies_at_once
from seewhy.metrics.controls import controlled
from seewhy.metrics.grading import grade
from seewhy.pipeline.grading_settings import About
from seewhy.pipeline.questions import Answers, Qualified, Seen, Told
from seewhy.pipeline.regions import NO_MASK, regions_of
from seewhy.pipeline.subjects import MetricAsked, Subject, key_of
from seewhy.targets import Logit
from seewhy.values import Answer, Json, SeewhyError

NO_LABEL = "the record has no label among the model's classes"
LARGEST = float(np.finfo(np.float32).max)
PASSES = "passes "
"""How the facts of a row begin that say how many passes through the model a method's map took."""


@dataclass(frozen=True)
class GradingQuestion:
    """What ``metrics`` say of the maps of one method or control, for each input of ``input_names``.

    Every grade is one number about one class, under a key of its own, so that metrics asked for later add to those that
    are known. A grade that does not exist is NaN and says why; so is every grade of a method or metric that does not
    suit the model: such an error costs no record its other answers.
    """

    subject: Subject
    metrics: tuple[MetricAsked, ...]
    input_names: tuple[str, ...]
    about: About = "predicted"
    several: bool = False
    kind = "grades"

    def key(self, metric: str, input_name: str) -> str:
        """The key of a metric's grade."""
        return key_of(metric, self.subject, input_name, several=self.several)

    def specs(self) -> dict[str, Json]:
        return {
            self.key(one.name, name): {
                "kind": self.kind, "input": name, "about": self.about, "layer": self.subject.layers.get(name),
                **self.subject.spec, **one.spec,
            }
            for one in self.metrics
            for name in self.input_names
        }  # fmt: skip

    def promised(self, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        return {key: answers[key] for key in self.specs()}

    def missing(self, answered: Mapping[str, frozenset[int]]) -> GradingQuestion | None:
        left = tuple(
            one
            for one in self.metrics
            if any(self.key(one.name, input_name) not in answered for input_name in self.input_names)
        )
        return replace(self, metrics=left) if left else None

    def wants(self) -> Wants:
        return Wants()

    def targets(self) -> Sequence[Target]:
        return ()

    def answer(self, seen: Seen, first_target: int) -> Told:
        """Grades are numbers that decide what is asked next: they are there at once."""
        del first_target
        found = self._grades(seen)
        return lambda: found

    def _grades(self, seen: Seen) -> Answers:
        classes = self._classes(seen)
        found = [self.undefined(None, NO_LABEL) for _ in classes]
        rows = [row for row, index in enumerate(classes) if index is not None]
        if rows:
            graded = Graded(self, seen, tuple(rows), tuple(index for index in classes if index is not None))
            for row, answers in zip(rows, graded.answers(), strict=True):
                found[row] = answers
        return found

    def _classes(self, seen: Seen) -> list[int | None]:
        """The class that each record is asked about; None where it has none."""
        outputs = seen.capture.outputs
        if self.about == "predicted":
            return list(outputs.argmax(dim=1).tolist())
        labels = [record.label for record in seen.records]
        return [label if label is not None and 0 <= label < outputs.shape[1] else None for label in labels]

    def undefined(self, index: int | None, reason: str) -> dict[str, Qualified]:
        """Every grade of one record, where none exists."""
        keys = [self.key(one.name, name) for name in self.input_names for one in self.metrics]
        return {key: _undefined(index, reason) for key in keys}


Grades = list[dict[str, Qualified]]


@dataclass(frozen=True)
class Graded:
    """A batch on its way to grades: some ``rows`` of it, each with its class."""

    question: GradingQuestion
    seen: Seen
    rows: tuple[int, ...]
    classes: tuple[int, ...]

    def answers(self) -> Grades:
        """One ``{key: Answer}`` for each row."""
        probe = CountingProbe(self.seen.adapter, (Logit(self.classes),))
        inputs = {name: tensor[list(self.rows)] for name, tensor in self.seen.inputs.items()}
        try:
            attribution = self._attributed(probe, inputs)
        except SeewhyError as error:
            return self._alone(error)
        found: Grades = [{} for _ in self.rows]
        for name in self.question.input_names:
            mask, told = regions_of([self.seen.records[row] for row in self.rows], self._size(name))
            case = self._case(inputs, attribution, name, mask)
            passes = self._passes(probe, name)
            for asked in self.question.metrics:
                grades = self._grades(case, asked, told)
                for answers, answer in zip(found, grades, strict=True):
                    answers[self.question.key(asked.name, name)] = replace(answer, facts=passes)
        return found

    def _passes(self, probe: CountingProbe, name: str) -> dict[str, Json]:
        """How many passes a record's map took; nothing of a control, which asks no model."""
        subject = self.question.subject
        return {} if subject.asked is None else {f"{PASSES}{subject.called(name)}": probe.passes / len(self.rows)}

    def _attributed(self, probe: Probe, inputs: Inputs) -> Attribution:
        """The maps; those of a control come later, from what it is laid on."""
        asked = self.question.subject.asked
        if asked is not None:
            return asked(probe, inputs).target()
        blank = {name: torch.zeros(len(self.rows), *self._size(name)) for name in self.question.input_names}
        return Attribution(blank, torch.zeros(len(self.rows)))

    def _case(self, inputs: Inputs, attribution: Attribution, name: str, mask: Bool[Tensor, "b *s"]) -> Case:
        asked = self.question.subject.asked
        case = Case(
            Probe(self.seen.adapter, [Logit(self.classes)]),
            inputs,
            attribution,
            _explains_nothing if asked is None else asked,
            name=name,
            scale="positive" if asked is None else scale_of(asked.method, asked.settings),
            contributes=asked is None or contributes_of(asked.method, asked.settings),
            keys=tuple(self.seen.records[row].record_id for row in self.rows),
            mask_given=mask,
            chunk_size=min(copies_at_once(self.seen.adapter), self.seen.batch_size),
        )
        return controlled(case, self.question.subject.name) if asked is None else case

    def _grades(self, case: Case, asked: MetricAsked, told: Sequence[bool]) -> list[Qualified]:
        if asked.metric.needs_mask and not any(told):
            return [_undefined(index, NO_MASK) for index in self.classes]
        try:
            found = grade(asked.name, case, **asked.settings)
        except SeewhyError as error:
            key = self.question.key(asked.name, case.name)
            only = replace(self.question, metrics=(asked,), input_names=(case.name,))
            return [answers[key] for answers in replace(self, question=only)._alone(error)]
        return [
            _undefined(index, NO_MASK) if asked.metric.needs_mask and not known else _graded(index, value, reason)
            for index, value, reason, known in zip(
                self.classes, found.values.tolist(), found.reasons, told, strict=True
            )
        ]

    def _alone(self, error: SeewhyError) -> Grades:
        """Each record by itself, for one record's fault is not its neighbours'; of one record, the reason."""
        if is_out_of_memory(error):
            raise error
        if len(self.rows) == 1:
            return [self.question.undefined(self.classes[0], f"[{error.code}] {error.message}")]
        each = zip(self.rows, self.classes, strict=True)
        return [replace(self, rows=(row,), classes=(index,)).answers()[0] for row, index in each]

    def _size(self, name: str) -> tuple[int, ...]:
        return tuple(self.seen.inputs[name].shape[2:])


def _graded(index: int, value: float, reason: str | None) -> Qualified:
    if reason is None and abs(value) > LARGEST:
        reason = f"the value {value:.3g} is too large to be kept"
    if reason is not None:
        return _undefined(index, reason)
    return Qualified(np.array([value], np.float32), (index,))


def _undefined(index: int | None, reason: str) -> Qualified:
    """A grade that does not exist; without a class there is nothing that it is about."""
    classes = () if index is None else (index,)
    return Qualified(np.array([math.nan], np.float32), classes, undefined=reason)


def _explains_nothing(probe: Probe, inputs: Inputs) -> Explanation:
    """What a control is laid over: no map at all, since it needs none."""
    del probe
    scores = torch.zeros(1, next(iter(inputs.values())).shape[0])
    return Explanation({name: torch.zeros(*scores.shape, *tensor.shape[2:]) for name, tensor in inputs.items()}, scores)
