"""Which questions a model can answer, settled once on a traced model; the others are reported with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from seewhy.capture.tokens import GlobalAttention, NoAttention, attentions_of
from seewhy.models.adapter import Adapter
from seewhy.pipeline.attention_question import AttentionQuestion
from seewhy.pipeline.gradable import gradable
from seewhy.pipeline.gradcam_question import GradcamQuestion
from seewhy.pipeline.questions import EmbeddingQuestion, Question
from seewhy.pipeline.settings import BEST_CLASSES, MOST_CLASSES, Settings, class_indices
from seewhy.store.names import safe_name
from seewhy.values import ConfigError, LayerError, TargetError


@dataclass
class Applicable:
    """The questions of a run and what was decided on the way, in words for the summary and the manifest.

    ``inputs`` are those that maps are made for; ``target_layers`` is the default layer of each. ``default_layers`` are
    those that file names leave out, by kind. ``tokens`` are the numbers of tokens whose attention is read.
    """

    questions: list[Question] = field(default_factory=list)
    not_applicable: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    target_layers: Mapping[str, str] = field(default_factory=dict)
    default_layers: dict[str, str] = field(default_factory=dict)
    tokens: frozenset[int] = frozenset()

    @property
    def several(self) -> bool:
        """Whether names of files and answers must tell inputs apart."""
        return len(self.inputs) > 1


def applicable(adapter: Adapter, settings: Settings, class_names: tuple[str, ...] | None) -> Applicable:
    """Settle layers, classes and attention of the questions that ``settings`` switch on.

    Raises for a layer or class the user named that does not fit; what a default cannot serve is not applicable.
    """
    found = Applicable(inputs=adapter.spatial_inputs, target_layers=_target_layers(adapter))
    found.default_layers = _default_layers(adapter, found.target_layers)
    found.choices |= {f"note {number}": note for number, note in enumerate(adapter.notes, 1)}
    if settings.generate_embeddings:
        _add_embeddings(found, adapter, settings)
    if settings.generate_gradcam:
        _add_gradcam(found, adapter, settings, class_names)
    if settings.generate_attention:
        _add_attention(found, adapter, settings)
    if settings.generate_metrics:
        _add_grades(found, adapter, settings)
    return found


def _target_layers(adapter: Adapter) -> dict[str, str]:
    """Each input's default layer; none where an input has none."""
    with suppress(LayerError):
        return {name: choice.layer for name, choice in adapter.target_layers.items()}
    return {}


def _default_layers(adapter: Adapter, target_layers: Mapping[str, str]) -> dict[str, str]:
    """The layers whose files carry no layer in their name, whether or not this run asks about them."""
    defaults = {}
    with suppress(LayerError):
        defaults["embeddings"] = adapter.embedding_layer.layer
    if target_layers:
        defaults["gradcam"] = ",".join(dict.fromkeys(target_layers.values()))
    return defaults


def _add_embeddings(found: Applicable, adapter: Adapter, settings: Settings) -> None:
    default = adapter.embedding_layer
    layer = settings.embedding_layer or default.layer
    adapter.check_embedding_layer(layer)
    found.choices["embedding layer"] = f"{layer} ({'as asked' if settings.embedding_layer else default.why})"
    found.questions.append(EmbeddingQuestion(layer))


def _add_gradcam(found: Applicable, adapter: Adapter, settings: Settings, class_names: tuple[str, ...] | None) -> None:
    if settings.target_layer is None:
        try:
            chosen = {name: (choice.layer, choice.why) for name, choice in adapter.target_layers.items()}
        except LayerError as error:
            found.not_applicable["gradcam"] = error.message
            return
    else:
        named = (settings.target_layer,) if isinstance(settings.target_layer, str) else settings.target_layer
        chosen = {name: (layer, "as asked") for name, layer in named_layers(adapter, named).items()}
    for name, (layer, why) in chosen.items():
        adapter.check_target_layer(layer)
        found.choices["target layer" + (f" of {name}" if found.several else "")] = f"{layer} ({why})"
    question = _gradcam_question(found, adapter, settings, class_names)
    layers = tuple((name, layer) for name, (layer, _) in chosen.items())
    question = replace(question, layers=layers, several=found.several)
    if len(layers) > 1 and question.shares_key is None:
        found.choices["shares of the evidence"] = "not told: one layer sees several inputs, whose maps are the same"
    found.questions.append(question)


def named_layers(adapter: Adapter, names: Sequence[str]) -> dict[str, str]:
    """The layer of each input that the named layers lie on, in the inputs' order.

    Raises ``ConfigError`` SW-F136 for two layers on one input, and what :meth:`Adapter.layers_for` raises.
    """
    found: dict[str, str] = {}
    for name in names:
        for input_name, layer in adapter.layers_for(name).items():
            layer = str(adapter.layer(layer))
            if found.setdefault(input_name, layer) != layer:
                raise ConfigError(
                    "SW-F136",
                    f"the layers {found[input_name]} and {layer} both lie on the input {input_name!r}",
                    fix="name one layer for each input; run twice for two layers of one input",
                )
    return {name: found[name] for name in adapter.spatial_inputs if name in found}


def _gradcam_question(
    found: Applicable, adapter: Adapter, settings: Settings, class_names: tuple[str, ...] | None
) -> GradcamQuestion:
    """Which classes are asked about; the layers are settled elsewhere."""
    classes, count = settings.target_classes, adapter.classes
    if adapter.headless:
        if classes != "auto":
            raise TargetError(
                "SW-T08", f"target_classes={classes!r} was asked of a model without a head",
                fix="leave target_classes out (the map explains the norm of the embedding), or set model.num_classes",
            )  # fmt: skip
        found.choices["question"] = "norm of the embedding (the model has no head)"
        return GradcamQuestion(())
    if isinstance(classes, tuple):
        return GradcamQuestion((), class_indices(classes, count, class_names))
    if classes == "predicted":
        return GradcamQuestion((), best=1)
    if classes == "all" or count <= MOST_CLASSES:
        return GradcamQuestion((), tuple(range(count)))
    found.choices["classes"] = (
        f"the {BEST_CLASSES} highest of {count} for each record (target_classes=all for every class)"
    )
    return GradcamQuestion((), best=BEST_CLASSES)


def _add_attention(found: Applicable, adapter: Adapter, settings: Settings) -> None:
    attentions = attentions_of(adapter)
    if isinstance(attentions, NoAttention):
        found.not_applicable["attention"] = attentions.reason
        return
    found.tokens = frozenset(attention.tokens for attention in attentions.values())
    for name, attention in attentions.items():
        layers = _attention_layers(settings.attention_layers, attention)
        found.choices["attention" + (f" of {name}" if found.several else "")] = (
            f"heads of layer {', '.join(map(str, layers))} of {attention.calls}, and their rollout; {attention.query}"
        )
        found.questions.append(AttentionQuestion(attention, layers, input_name=name, several=found.several))


def _attention_layers(wanted: tuple[int, ...], attention: GlobalAttention) -> tuple[int, ...]:
    for index in wanted:
        if not -attention.calls <= index < attention.calls:
            raise ConfigError(
                "SW-F05", f"attention layer {index} was asked for, but the model has {attention.calls}",
                fix=f"use numbers from {-attention.calls} to {attention.calls - 1}",
            )  # fmt: skip
    return tuple(sorted({index % attention.calls for index in wanted}))


def _add_grades(found: Applicable, adapter: Adapter, settings: Settings) -> None:
    graded = gradable(adapter, settings.metrics, settings.target_layer, several=found.several)
    found.questions += graded.questions
    found.not_applicable |= graded.not_applicable
    found.choices |= graded.choices


def layer_suffix(layer: str, default: str) -> str:
    """What a file name carries when the layer of a question is not the model's default: ``@layer3``."""
    return "" if layer == default else "@" + safe_name(layer)
