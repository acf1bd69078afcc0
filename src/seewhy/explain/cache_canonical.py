"""Values as canonical JSON, so that equal questions have equal keys; what cannot be told apart by value is refused."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.values import Json

PLAIN: Final = (bool, int, str, type(None))


class CannotBeKeyedError(Exception):
    """Something decides the answer that cannot be told apart by its value: the cache is left aside, and says why."""


def digest_of(value: Json) -> str:
    """SHA-256 of canonical JSON.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Any, names: Mapping[int, str]) -> Json:
    """Any setting as JSON that differs where the setting does; ``names`` are those of the model's modules, by ``id``.

    Raises :class:`CannotBeKeyedError` for functions and objects, which say nothing of what they do.

    >>> canonical((1, 0.5, None), {}), canonical(True, {})
    (['tuple', 1, ['float', '0x1.0000000000000p-1'], None], True)
    """
    if isinstance(value, PLAIN) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, float):
        return ["float", value.hex()]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *(canonical(one, names) for one in value)]
    if isinstance(value, Mapping):
        entries = [[canonical(key, names), canonical(one, names)] for key, one in value.items()]
        return ["mapping", *sorted(entries, key=json.dumps)]
    if isinstance(value, Tensor):
        return ["tensor", *content_of_tensor(value)]
    if isinstance(value, np.ndarray | np.generic):
        return ["array", *content_of_array(np.asarray(value))]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return [_name_of(type(value)), canonical(fields, names)]
    return _by_name(value, names)


def _by_name(value: Any, names: Mapping[int, str]) -> Json:
    if isinstance(value, nn.Module) and id(value) in names:
        return ["module", names[id(value)]]
    if isinstance(value, torch.dtype | torch.device | range | slice | bytes | complex | os.PathLike | enum.Enum):
        return [_name_of(type(value)), str(value)]
    if isinstance(value, set | frozenset):
        return ["set", *sorted((canonical(one, names) for one in value), key=json.dumps)]
    raise CannotBeKeyedError(f"a setting is {type(value).__name__}, which no value tells apart from another")


def content_of_tensor(tensor: Tensor) -> list[Json]:
    """Type, shape and SHA-256 of a tensor's values, wherever it is and however it is laid out."""
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        raise CannotBeKeyedError("a tensor is sparse, quantised or without values")
    dense = tensor.detach().cpu().contiguous().reshape(-1)
    return [str(tensor.dtype), list(tensor.shape), _sha256(dense.view(torch.uint8).numpy())]


def content_of_array(array: NDArray[Any]) -> list[Json]:
    """Type, shape and SHA-256 of an array's values in the order of its axes; strides do not matter."""
    if array.dtype.hasobject:
        raise CannotBeKeyedError("an array holds objects")
    return [array.dtype.str, list(array.shape), _sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8))]


def _sha256(values: NDArray[np.uint8]) -> str:
    return hashlib.sha256(values.data).hexdigest()


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
