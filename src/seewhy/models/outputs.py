"""Containers around tensors: the logits in what a model returns, the only tensor in what a layer puts out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeAlias

from jaxtyping import Float
from torch import Tensor

from seewhy.values import ModelError, nearest

Selector: TypeAlias = Callable[[Any], Tensor] | str | int
"""Which part of a model's answer holds the logits: a function of the answer, a key or attribute, or an index."""

LOGIT_KEYS = ("logits", "out", "output", "prediction", "predictions")
FEATURE_KEYS = ("pooler_output", "image_embeds", "embeddings", "features", "last_hidden_state")
"""Entries of the answer of a model without a head, best first."""


def entries(container: Any) -> dict[Any, Any]:
    """What a mapping, dataclass, tuple or list holds, by key, field or index; empty for anything else."""
    if isinstance(container, Mapping):
        return dict(container)
    if is_dataclass(container) and not isinstance(container, type):
        return {field.name: getattr(container, field.name) for field in fields(container)}
    return dict(enumerate(container)) if isinstance(container, list | tuple) else {}


def rebuilt(container: Any, changed: Mapping[Any, Any]) -> Any:
    """A container like ``container`` with other entries, its own kind kept."""
    if isinstance(container, Mapping):
        return type(container)(changed)  # type: ignore[call-arg]
    if is_dataclass(container) and not isinstance(container, type):
        return replace(container, **changed)
    if hasattr(container, "_make"):
        return container._make(changed.values())
    return type(container)(changed.values())


def sole_tensor(output: Any) -> Tensor | None:
    """The only tensor in a layer's output, or None where there is none or a choice."""
    if isinstance(output, Tensor):
        return output
    tensors = [entry for entry in entries(output).values() if isinstance(entry, Tensor)]
    return tensors[0] if len(tensors) == 1 else None


def described(container: Any) -> str:
    """A container's kind and entries for a message: ``dict with 'a' (2, 8), 'b' NoneType``."""
    held = ", ".join(f"{key!r} {_shape_or_kind(entry)}" for key, entry in entries(container).items())
    return f"{type(container).__name__} with {held or 'no entries'}"


def _shape_or_kind(entry: Any) -> str:
    return str(tuple(entry.shape)) if isinstance(entry, Tensor) else type(entry).__name__


def selected(answer: Any, selector: Selector | None = None, *, keys: Iterable[str] = LOGIT_KEYS) -> Tensor:
    """The tensor a model's answer is about: what ``selector`` picks, else the answer itself, one of ``keys``, or the
    first entry of a tuple or list.

    Raises ``ModelError``: SW-M01 where nothing says which entry holds the logits, SW-M11 for a selector that gives no
    tensor, SW-M12 for one that names no entry.
    """
    if selector is not None:
        return _chosen(answer, selector)
    if isinstance(answer, Tensor):
        return answer
    held = entries(answer)
    for key in keys:
        if isinstance(tensor := held.get(key, getattr(answer, key, None)), Tensor):
            return tensor
    if isinstance(answer, list | tuple) and isinstance(held.get(0), Tensor):
        return answer[0]  # type: ignore[no-any-return]
    example = next((key for key, entry in held.items() if isinstance(entry, Tensor)), None)
    choose = f"output_selector={example!r}" if example is not None else "output_selector=lambda answer: ..."
    raise ModelError(
        "SW-M01",
        f"the model returned {described(answer)}, and none is known to be its logits",
        fix=f"say where they are ({choose}), or return a tensor or one of the keys {', '.join(keys)}; a detector is "
        "explained by seewhy.explain_detection",
    )


def _chosen(answer: Any, selector: Selector) -> Tensor:
    tensor = selector(answer) if callable(selector) else _entry(answer, selector)
    if not isinstance(tensor, Tensor):
        raise ModelError(
            "SW-M11",
            f"output_selector={selector!r} gave {type(tensor).__name__}, where a tensor (batch, classes) is needed",
            fix="pick the entry that holds the logits",
        )
    return tensor


def _entry(answer: Any, name: str | int) -> Any:
    held = entries(answer)
    if name in held:
        return held[name]
    if isinstance(name, int) and -len(held) <= name < len(held):
        return list(held.values())[name]
    if isinstance(name, str) and hasattr(answer, name):
        return getattr(answer, name)
    raise ModelError(
        "SW-M12",
        f"output_selector={name!r} names nothing in what the model returned, {described(answer)}",
        near=nearest(str(name), map(str, held)),
        fix="name one of these entries",
    )


def as_logits(tensor: Tensor, *, batch: int | None, headless: bool) -> Float[Tensor, "b c"]:
    """One row per record in full precision; a record's single number, or squeezed record, gets its axis back.

    Raises ``ModelError``: SW-M02 where there are more axes than two, SW-M08 where rows are not records.
    """
    if tensor.ndim < 2:
        tensor = tensor.reshape(1, -1) if batch == 1 else tensor.reshape(-1, 1)
    if headless and tensor.ndim > 2:
        tensor = pooled(tensor)
    if tensor.ndim != 2:
        raise ModelError(
            "SW-M02",
            f"a classifier's outputs are (batch, classes), this model returned {tuple(tensor.shape)}",
            fix="wrap the model so that it returns logits, or reduce them with output_selector=lambda answer: ...; a "
            "segmentation network is explained by seewhy.explain_segmentation",
        )
    if batch is not None and tensor.shape[0] != batch:
        raise ModelError(
            "SW-M08",
            f"the model returned {tensor.shape[0]} rows of outputs for {batch} records",
            fix="wrap the model so that it returns one row of logits for each record",
        )
    return tensor.float() if tensor.itemsize < 4 and tensor.is_floating_point() else tensor


def pooled(tensor: Tensor) -> Float[Tensor, "b d"]:
    """Tokens ``(B, N, D)`` averaged over tokens, maps ``(B, C, *S)`` over space."""
    return tensor.mean(dim=1) if tensor.ndim == 3 else tensor.flatten(2).mean(dim=2)
