"""Which questions a model can answer, settled once on a traced model; the others are reported with the reason."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from seewhy.capture.tokens import GlobalAttention, NoAttention, find_attention
from seewhy.core import Inputs
from seewhy.models.adapter import Adapter
from seewhy.pipeline.questions import AttentionQuestion, EmbeddingQuestion, GradcamQuestion, Question
from seewhy.pipeline.settings import BEST_CLASSES, MOST_CLASSES, Settings, class_indices
from seewhy.store.names import safe_name
from seewhy.values import ConfigError, LayerError, TargetError


@dataclass
class Applicable:
    """The questions of a run and what was decided on the way, in words for the summary and the manifest."""

    questions: list[Question] = field(default_factory=list)
    not_applicable: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    default_layers: dict[str, str] = field(default_factory=dict)
    tokens: int | None = None


def applicable(
    adapter: Adapter, settings: Settings, example: Inputs, class_names: tuple[str, ...] | None
) -> Applicable:
    """Settle layers, classes and attention of the questions that ``settings`` switch on.

    Raises for a layer or class the user named that does not fit; what a default cannot serve is not applicable.
    """
    found = Applicable(default_layers=_default_layers(adapter))
    found.choices |= {f"note {number}": note for number, note in enumerate(adapter.notes, 1)}
    if settings.generate_embeddings:
        _add_embeddings(found, adapter, settings)
    if settings.generate_gradcam:
        _add_gradcam(found, adapter, settings, class_names)
    if settings.generate_attention:
        _add_attention(found, adapter, settings, example)
    return found


def _default_layers(adapter: Adapter) -> dict[str, str]:
    """The layers whose files carry no layer in their name, whether or not this run asks about them."""
    defaults = {}
    with suppress(LayerError):
        defaults["embeddings"] = adapter.embedding_layer.layer
    with suppress(LayerError):
        defaults["gradcam"] = adapter.target_layer.layer
    return defaults


def _add_embeddings(found: Applicable, adapter: Adapter, settings: Settings) -> None:
    default = adapter.embedding_layer
    layer = settings.embedding_layer or default.layer
    adapter.check_embedding_layer(layer)
    found.choices["embedding layer"] = f"{layer} ({'as asked' if settings.embedding_layer else default.why})"
    found.questions.append(EmbeddingQuestion(layer))


def _add_gradcam(found: Applicable, adapter: Adapter, settings: Settings, class_names: tuple[str, ...] | None) -> None:
    try:
        default = adapter.target_layer
    except LayerError as error:
        if settings.target_layer is None:
            found.not_applicable["gradcam"] = error.message
            return
        default = None
    if settings.target_layer is None and default is not None:
        layer, why = default.layer, default.why
    else:
        layer, why = str(adapter.layer(str(settings.target_layer))), "as asked"
    adapter.check_target_layer(layer)
    found.choices["target layer"] = f"{layer} ({why})"
    found.questions.append(_gradcam_question(found, layer, adapter, settings, class_names))


def _gradcam_question(
    found: Applicable, layer: str, adapter: Adapter, settings: Settings, class_names: tuple[str, ...] | None
) -> GradcamQuestion:
    classes, count = settings.target_classes, adapter.classes
    if adapter.headless:
        if classes != "auto":
            raise TargetError(
                "SW-T08", f"target_classes={classes!r} was asked of a model without a head",
                fix="leave target_classes out (the map explains the norm of the embedding), or set model.num_classes",
            )  # fmt: skip
        found.choices["question"] = "norm of the embedding (the model has no head)"
        return GradcamQuestion(layer)
    if isinstance(classes, tuple):
        return GradcamQuestion(layer, class_indices(classes, count, class_names))
    if classes == "predicted":
        return GradcamQuestion(layer, best=1)
    if classes == "all" or count <= MOST_CLASSES:
        return GradcamQuestion(layer, tuple(range(count)))
    found.choices["classes"] = (
        f"the {BEST_CLASSES} highest of {count} for each record (target_classes=all for every class)"
    )
    return GradcamQuestion(layer, best=BEST_CLASSES)


def _add_attention(found: Applicable, adapter: Adapter, settings: Settings, example: Inputs) -> None:
    attention = find_attention(adapter, example)
    if isinstance(attention, NoAttention):
        found.not_applicable["attention"] = attention.reason
        return
    layers = _attention_layers(settings.attention_layers, attention)
    found.tokens = attention.tokens
    found.default_layers["attention"] = str(attention.calls - 1)
    found.choices["attention"] = (
        f"heads of layer {', '.join(map(str, layers))} of {attention.calls}, and their rollout; {attention.query}"
    )
    found.questions.append(AttentionQuestion(attention, layers))


def _attention_layers(wanted: tuple[int, ...], attention: GlobalAttention) -> tuple[int, ...]:
    for index in wanted:
        if not -attention.calls <= index < attention.calls:
            raise ConfigError(
                "SW-F05", f"attention layer {index} was asked for, but the model has {attention.calls}",
                fix=f"use numbers from {-attention.calls} to {attention.calls - 1}",
            )  # fmt: skip
    return tuple(sorted({index % attention.calls for index in wanted}))


def layer_suffix(key: str, kind: str, found: Applicable) -> str:
    """What a file name carries when the layer of a question is not the model's default: ``@layer3``."""
    layer = key.partition("@")[2]
    default = found.default_layers.get(kind, "")
    return "" if layer == default else "@" + safe_name(layer)
