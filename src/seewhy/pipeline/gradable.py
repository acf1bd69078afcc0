"""Which methods and metrics a run can grade a model by, settled once on the traced model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import NoAttention, attentions_of
from seewhy.methods.ask import Asked
from seewhy.metrics.controls import CONTROLS
from seewhy.metrics.rehearsal import why_no_metric
from seewhy.models.adapter import Adapter
from seewhy.pipeline.grading_question import GradingQuestion
from seewhy.pipeline.grading_settings import Grading
from seewhy.pipeline.rehearsal import why_no_method
from seewhy.pipeline.subjects import MetricAsked, Subject
from seewhy.values import LayerError

FEATURES: Final = "the outputs are features, and grades are about the evidence for a class"


@dataclass
class Gradable:
    """The grading questions of a run, what cannot be asked and why, and what was chosen."""

    questions: list[GradingQuestion] = field(default_factory=list)
    not_applicable: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)


def gradable(
    adapter: Adapter, grading: Grading, target_layer: str | tuple[str, ...] | None, *, several: bool
) -> Gradable:
    """A question for each method that suits the model, and one for each control.

    Raises for settings that cannot be, and for a layer the user named that does not fit.
    """
    found = Gradable()
    if adapter.headless:
        found.not_applicable["metrics"] = FEATURES
        return found
    subjects = _subjects(found, adapter, grading, target_layer)
    names = [name for name in adapter.spatial_inputs if any(name in each for _, each in subjects)]
    metrics = _metrics(found, adapter, grading, names)
    if not subjects or not metrics:
        return found
    for subject, inputs in subjects:
        found.questions.append(GradingQuestion(subject, metrics, inputs, grading.target, several))
    for control in CONTROLS:
        found.questions.append(GradingQuestion(Subject(control), metrics, tuple(names), grading.target, several))
    asked = ", ".join(subject.called(inputs[0]) for subject, inputs in subjects)
    found.choices["metrics"] = (
        f"{', '.join(one.name for one in metrics)} of {asked} and of the controls {', '.join(CONTROLS)}, about the "
        f"{'predicted class' if grading.target == 'predicted' else 'label'} of each record"
    )
    return found


def _subjects(
    found: Gradable, adapter: Adapter, grading: Grading, target_layer: str | tuple[str, ...] | None
) -> list[tuple[Subject, tuple[str, ...]]]:
    """The methods that suit the model, each with the inputs it explains."""
    probe, suited = Probe(adapter, []), []
    for name in usual_methods(adapter) if grading.methods is None else grading.methods:
        asked = Asked(name, settings=grading.settings_of(name))
        layer = target_layer if asked.method.needs_layer and "layer" not in asked.settings else None
        asked = Asked(name, layer, grading.settings_of(name))
        if why := why_no_method(adapter, asked, layer_named=layer is not None):
            found.not_applicable[f"metrics of {name}"] = why
            continue
        layers = dict(asked.layers_of(probe))
        suited.append((Subject(name, asked, layers), _inputs_of(asked, probe, layers)))
    return suited


def usual_methods(adapter: Adapter) -> Sequence[str]:
    """The methods graded where nobody says which: Grad-CAM, and rollout where there is attention to follow."""
    try:
        names = ["gradcam"] if adapter.target_layers else []
    except LayerError:
        names = []
    return names if isinstance(attentions_of(adapter), NoAttention) else [*names, "rollout"]


def _inputs_of(asked: Asked, probe: Probe, layers: Mapping[str, str]) -> tuple[str, ...]:
    if asked.method.needs_attention:
        return tuple(asked.attention(probe))
    explained = layers or dict.fromkeys(probe.adapter.spatial_inputs, "")
    return tuple(name for name in probe.adapter.spatial_inputs if name in explained)


def _metrics(
    found: Gradable, adapter: Adapter, grading: Grading, input_names: Sequence[str]
) -> tuple[MetricAsked, ...]:
    kept = []
    for name in grading.metrics:
        asked = MetricAsked(name, grading.settings_of(name))
        why = next((why for one in input_names if (why := why_no_metric(adapter, one, asked.name, asked.settings))), "")
        if why:
            found.not_applicable[name] = why
        else:
            kept.append(asked)
    return tuple(kept)
