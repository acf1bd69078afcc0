"""An explanation as bytes: arrays in the safetensors format, everything else as JSON in its header; no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from seewhy.core import Attribution
from seewhy.explain.cache_canonical import CannotBeKeyedError
from seewhy.explain.explained import Explained, scale_of
from seewhy.explain.head import Head
from seewhy.explain.prepared import Prepared
from seewhy.methods.ask import Asked
from seewhy.values import Json

TUPLE: Final = "\0tuple"
"""Marks a tuple in JSON, which knows lists only."""
GROUPS: Final = ("maps", "per_channel", "measured")


def packed(found: Explained, asked: Asked) -> bytes:
    """What a model was asked for and answered; what was done to the picture is left out, as it is done again.

    Raises ``CannotBeKeyedError`` for an answer with facts that are no plain values.
    """
    attribution = found.attribution
    tensors = {"score": attribution.score, "outputs": torch.from_numpy(np.array(found.outputs))}
    for group in GROUPS:
        tensors |= {f"{group}.{name}": tensor for name, tensor in getattr(attribution, group).items()}
    head = found.head
    facts = {
        "target": found.target,
        "head": [head.task, head.outputs, head.activation, head.headless, head.threshold],
        "of_model": list(found.of_model),
        "signed": attribution.signed,
        "facts": _facts(attribution.facts, asked),
        "order": list(tensors),
    }
    return _bytes(tensors, facts)


def unpacked(stored: bytes, prepared: Prepared, asked: Asked, device: torch.device) -> Explained:
    """The explanation that :func:`packed` was given, of a picture prepared anew, its tensors on the model's device."""
    told = _header(stored)
    tensors = {name: tensor.to(device) for name, tensor in load(stored).items()}
    groups = {
        group: {name[len(group) + 1 :]: tensors[name] for name in told["order"] if name.startswith(f"{group}.")}
        for group in GROUPS
    }
    facts = {
        name: dict(asked.settings) if name == "settings" and value is None else _plain(value)
        for name, value in told["facts"]
    }
    attribution = Attribution(
        groups["maps"], tensors["score"], told["signed"], groups["per_channel"], groups["measured"], facts
    )
    return Explained(
        prepared,
        attribution.map.float().cpu().numpy()[0],
        scale_of(asked.method, asked.settings),
        tensors["outputs"].cpu().numpy(),
        told["target"],
        attribution,
        Head(*told["head"]),
        tuple(told["of_model"]),
    )


def packed_array(values: NDArray[Any]) -> bytes:
    """An array of numbers."""
    return _bytes({"given": torch.from_numpy(np.ascontiguousarray(values))}, {"shape": list(values.shape)})


def unpacked_array(stored: bytes) -> NDArray[Any]:
    """The array that :func:`packed_array` was given."""
    return load(stored)["given"].numpy().reshape(_header(stored)["shape"])


def _bytes(tensors: Mapping[str, Tensor], facts: Json) -> bytes:
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return save(plain, {"facts": json.dumps(facts)})


def _header(stored: bytes) -> Any:
    length = int.from_bytes(stored[:8], "little")
    return json.loads(json.loads(stored[8 : 8 + length])["__metadata__"]["facts"])


def _facts(facts: Mapping[str, Json], asked: Asked) -> Json:
    """As pairs; settings that are no plain values are those asked with, which the key has compared, and left out."""
    pairs = []
    for name, value in facts.items():
        try:
            pairs.append([name, _marked(value)])
        except CannotBeKeyedError:
            own = asked.settings
            if name != "settings" or value.keys() != own.keys() or any(value[key] is not own[key] for key in own):
                raise
            pairs.append([name, None])
    return pairs


def _marked(value: Any) -> Json:
    """A plain value as JSON gives back exactly, tuples among them."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, tuple):
        return {TUPLE: [_marked(one) for one in value]}
    if isinstance(value, list):
        return [_marked(one) for one in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _marked(one) for key, one in value.items()}
    raise CannotBeKeyedError(f"the answer tells of a {type(value).__name__}, which is no plain value")


def _plain(value: Json) -> Any:
    if isinstance(value, dict):
        if TUPLE in value:
            return tuple(_plain(one) for one in value[TUPLE])
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
