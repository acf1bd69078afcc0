"""One live question put to a traced model: the map, what the model says, and grades of the map beside its controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

import seewhy.metrics  # noqa: F401  (importing the room registers every metric)
from seewhy.capture.probe import Probe
from seewhy.cli.live_subject import LiveSubject
from seewhy.core import Attribution, Inputs
from seewhy.explain.answering import ListeningProbe
from seewhy.explain.baseline_choice import with_known_baseline
from seewhy.explain.class_choice import class_list
from seewhy.explain.explained import record_of
from seewhy.explain.head import head_of
from seewhy.explain.reading import Reading
from seewhy.methods.ask import Asked
from seewhy.methods.scale import about_class_of, contributes_of, scale_of
from seewhy.metrics.case import Case
from seewhy.metrics.controls import CONTROLS, controlled
from seewhy.metrics.grading import grade
from seewhy.models.adapter import Adapter
from seewhy.models.heads import prediction
from seewhy.pipeline.questions import UNDEFINED
from seewhy.pipeline.regions import NO_MASK, regions_of
from seewhy.pipeline.subjects import MetricAsked, Subject, key_of
from seewhy.registry import METHODS, METRICS
from seewhy.report.live import LiveError, Question
from seewhy.report.live_record import MAP
from seewhy.report.map_units import COMPONENT, INNER, NOISE, attention_unit, class_unit
from seewhy.report.run_facts import GRADES
from seewhy.values import Answer, Json, SeewhyError

LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass
class Found:
    """What the model said of one record, in the words of a run: answers by key, and the specification of each."""

    answers: dict[str, Answer] = field(default_factory=dict)
    questions: dict[str, Json] = field(default_factory=dict)
    facts: dict[str, Json] = field(default_factory=dict)
    probabilities: np.ndarray[Any, np.dtype[np.float32]] | None = None
    layers: dict[str, str] = field(default_factory=dict)
    target: int | None = None
    about_class: bool = True

    @property
    def predicted(self) -> int | None:
        """The class with the highest probability."""
        return None if self.probabilities is None else int(self.probabilities.argmax())


@dataclass(frozen=True)
class Asking:
    """A question on its way through a model: ``class_names`` are the model's, where they are known."""

    adapter: Adapter
    question: Question
    subject: LiveSubject
    class_names: Sequence[str] | None

    def found(self) -> Found:
        """The answer; raises ``SeewhyError`` for a method, setting, layer, class or metric that cannot be asked."""
        metrics = [METRICS[name].name for name in self.question.metrics]
        inputs = {name: tensor[None] for name, tensor in self.subject.record.inputs.items()}
        asked = self._asked()
        head = head_of(self.adapter, Reading(class_names=self.class_names))
        classes = class_list(self.question.target, 1, self.class_names)
        probe = ListeningProbe(self.adapter, head.question(classes), inputs)
        attribution = asked(probe, inputs).target()
        outputs, settled = probe.heard()
        found = Found(probabilities=self._probabilities(outputs), layers=dict(asked.layers_of(probe)))
        index = getattr(settled, "index", None)
        found.target = index[0] if isinstance(index, tuple) else index
        found.about_class = about_class_of(asked.method, asked.settings)
        self._add_maps(found, asked, attribution, probe)
        if metrics:
            case = Probe(self.adapter, [settled])
            self._add_grades(found, asked, metrics, self._cases(case, inputs, attribution, asked))
        return found

    def _asked(self) -> Asked:
        method = METHODS[self.question.method]
        asked = Asked(method.name, self.question.layer, self._settings(method.settings))
        colours = all(self.adapter.normalisation_of(name) is not None for name in self.adapter.spatial_inputs)
        return with_known_baseline(asked, colours)

    def _settings(self, known: Mapping[str, Json]) -> dict[str, Json]:
        """The settings that differ from the method's own, so that a question of defaults is the run's."""
        given = self.question.settings
        return {name: value for name, value in given.items() if name not in known or known[name] != value}

    def _probabilities(self, outputs: Tensor) -> Any:
        if self.adapter.classes < 2:
            return None
        said = prediction("multiclass", outputs, activation=self.adapter.activation).probabilities
        return None if said is None else said[0].float().cpu().numpy()

    @property
    def _several(self) -> bool:
        return len(self.adapter.spatial_inputs) > 1

    def _add_maps(self, found: Found, asked: Asked, attribution: Attribution, probe: Probe) -> None:
        index = found.target if found.about_class else None
        classes = () if index is None else (index,)
        scale = scale_of(asked.method, asked.settings)
        for name, maps in record_of(attribution, 0).maps.items():
            layer = found.layers.get(name)
            key = asked.method.name if layer is None else f"{asked.method.name}@{layer}"
            key += f":{name}" if self._several else ""
            found.answers[key] = Answer(maps.detach().float().cpu().numpy(), classes)
            found.questions[key] = {
                "kind": MAP, "method": asked.method.name, "layer": layer, "scale": scale, "inputs": [name],
                "unit": class_unit(index, scale=scale, signed=attribution.signed)
                if found.about_class
                else _unit_without_class(asked, probe, name),
            }  # fmt: skip

    def _cases(
        self, probe: Probe, inputs: Inputs, attribution: Attribution, asked: Asked
    ) -> Iterator[tuple[Case, bool]]:
        """The map of each input, ready to be graded, and whether it is known where the object is."""
        record = self.subject.record
        for name in attribution.maps:
            mask, (told,) = regions_of([record], inputs[name].shape[2:])
            yield (
                Case(
                    probe,
                    inputs,
                    attribution,
                    asked,
                    name=name,
                    scale=scale_of(asked.method, asked.settings),
                    contributes=contributes_of(asked.method, asked.settings),
                    keys=(record.record_id,),
                    mask_given=mask,
                ),
                told,
            )

    def _add_grades(
        self, found: Found, asked: Asked, metrics: Sequence[str], cases: Iterator[tuple[Case, bool]]
    ) -> None:
        own = Subject(asked.method.name, asked, found.layers)
        for case, told in cases:
            for metric in (MetricAsked(name) for name in metrics):
                for subject in (own, *(Subject(control) for control in CONTROLS)):
                    laid = case if subject.asked is not None else controlled(case, subject.name)
                    key = key_of(metric.name, subject, case.name, several=self._several)
                    found.questions[key] = {
                        "kind": GRADES, "input": case.name, "about": "predicted",
                        "layer": subject.layers.get(case.name), "better": metric.metric.better, **subject.spec,
                        **metric.spec,
                    }  # fmt: skip
                    value, reason = _grade(metric, laid, told)
                    classes = () if found.target is None else (found.target,)
                    found.answers[key] = Answer(np.array([value], np.float32), classes)
                    if reason:
                        found.facts[f"{UNDEFINED}{key}"] = reason


def _unit_without_class(asked: Asked, probe: Probe, name: str) -> str:
    """What a value of a map is that asks about no class."""
    if asked.method.needs_attention:
        return attention_unit(asked.attention(probe)[name].query)
    if "activations" in asked.method.reads:
        return COMPONENT
    return INNER if "of" in asked.method.settings else NOISE


def _grade(asked: MetricAsked, case: Case, told: bool) -> tuple[float, str]:
    """A grade; or NaN, and why there is none."""
    if asked.metric.needs_mask and not told:
        return float("nan"), NO_MASK
    try:
        found = grade(asked.name, case)
    except LiveError:
        raise
    except SeewhyError as error:
        return float("nan"), f"[{error.code}] {error.message}"
    value, reason = float(found.values[0]), found.reasons[0]
    if reason is None and abs(value) > LARGEST:
        reason = f"the value {value:.3g} is too large to be kept"
    return (value, "") if reason is None else (float("nan"), reason)


def same_inputs(inputs: Mapping[str, Tensor]) -> Inputs:
    """One record as a batch of two, on which a model is traced."""
    return {name: torch.stack([tensor, tensor]) for name, tensor in inputs.items()}
